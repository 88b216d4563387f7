//! Vector stores and models through the public surface.

#![expect(clippy::unwrap_used, reason = "helpers of tests end a test by a panic")]

mod conformance;
mod embed;
mod file;
