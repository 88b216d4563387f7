//! Supervised processes that are not AI CLIs: real shims and shell scripts, without tasks.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test ends by a panic, its helpers too")]

mod attached;
mod environment;
mod killed;
mod looking;
mod roots;
mod server;
