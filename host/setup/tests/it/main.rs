//! Setting up clients whose files are real, and undoing it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends by a panic, its helpers too")]

mod fuzz;
mod hooks;
mod import;
mod register;
mod world;
