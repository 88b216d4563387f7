//! Tests of the public API against hostile servers and real repositories.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by a panic")]

mod checkout;
mod git;
mod hostile;
mod http;
mod tree;
mod world;
