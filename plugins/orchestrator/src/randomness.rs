//! All randomness of a run comes from the seed that the host gives it.

use std::cell::RefCell;

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};

thread_local! {
    static RNG: RefCell<ChaCha20Rng> = RefCell::new(ChaCha20Rng::from_seed([0; 32]));
}

/// Begins a run's randomness. A seed of another length is filled up, or cut.
pub(crate) fn seed(bytes: &[u8]) {
    let mut seed = [0; 32];
    seed.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    RNG.with_borrow_mut(|source| *source = ChaCha20Rng::from_seed(seed));
}

/// Fills a buffer.
pub(crate) fn fill(buffer: &mut [u8]) {
    RNG.with_borrow_mut(|source| source.fill_bytes(buffer));
}

/// What the crate `getrandom` calls where there is no system to ask.
///
/// # Safety
///
/// `to` must be valid for writes of `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "Rust" fn __getrandom_v03_custom(to: *mut u8, length: usize) -> Result<(), getrandom::Error> {
    // SAFETY: the caller says so; zeroed first, the buffer is initialised.
    let buffer = unsafe {
        std::ptr::write_bytes(to, 0, length);
        std::slice::from_raw_parts_mut(to, length)
    };
    fill(buffer);
    Ok(())
}
