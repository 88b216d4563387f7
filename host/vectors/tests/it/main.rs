//! Vector stores and models through the public surface.

#![expect(clippy::unwrap_used, reason = "helpers of tests end a test by a panic")]

mod conformance;
mod embed;
mod file;

/// Vectors that look random and are the same on every machine.
fn noise(seed: u64, dimensions: usize) -> Vec<f32> {
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        f32::from(u16::try_from(state >> 48).unwrap()) / f32::from(u16::MAX) - 0.5
    };
    (0..dimensions).map(|_| next()).collect()
}
