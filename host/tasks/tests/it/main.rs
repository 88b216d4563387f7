//! Tasks as their users see them: real shims, with shell scripts in place of CLIs.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends by a panic, its helpers too")]

mod disk;
mod environment;
mod forged;
mod killed;
mod life;
mod logs;
mod many;
mod masking;
mod segment;
