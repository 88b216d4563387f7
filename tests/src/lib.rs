//! Support for the end-to-end tests: a separate home, the real binary, marketplaces created on the fly, and git and
//! HTTP servers on loopback. The chores and the benches run programs with [`command`].
//!
//! Nothing here checks results; the tests do.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test support ends a test by a panic")]

use std::time::Duration;

pub mod command;
mod corpora;
mod environment;
mod fake_cli;
mod google;
mod market;
mod meaning;
mod model_api;
mod odd_json;
mod recorder;
mod server;

pub use corpora::{Corpus, corpus, registry_rows, tool_rows};
pub use environment::{Environment, Run, binary, component, components_dir, describing, scripts_part};
pub use fake_cli::{FakeClis, Seen, listening};
pub use google::{DriveEntry, GoogleState, LoopbackGoogle};
pub use market::{Market, commit_all, git};
pub use meaning::{TINY_DIMENSIONS, noise, onnx_package, onnx_runtime, real_model, tiny_model};
pub use model_api::{ModelApi, not_run, python, real_cli};
pub use odd_json::{assert_finds_odd_json, assert_reads_odd_json};
pub use recorder::{Lane, Sent};
pub use server::{Answer, Request, Server, Then, git_backend};

/// The time after which what has not happened counts as a hang, with room for what runs at the lowest priority on a busy
/// machine.
pub const HANG_TIMEOUT: Duration = Duration::from_secs(300);
