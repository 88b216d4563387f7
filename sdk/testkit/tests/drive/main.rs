//! Drives components in the real host: those that misbehave, those of third parties, and files that
//! are none. `cargo xtask test` builds them.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod accounts;
mod acme;
mod common;
mod files;
mod grants;
mod hostile;
mod hostile_provider;
mod providers;
mod secrets;
mod spread;
