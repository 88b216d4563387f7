//! Drives components in the real host: misbehaving ones, third-party ones, and files that are not components.
//! `cargo xtask test` builds them.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod accounts;
mod acme;
mod common;
mod files;
mod grants;
mod hostile;
mod hostile_provider;
mod providers;
mod registries;
mod secrets;
mod spread;
