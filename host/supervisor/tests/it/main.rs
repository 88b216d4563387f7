//! Supervised processes that are no AI CLIs: real shims, shell scripts, and nothing of tasks.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test ends by a panic, its helpers too")]

mod attached;
mod environment;
mod killed;
mod looking;
mod server;
