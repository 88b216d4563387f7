//! Figures of the benches, and the binary that they are about.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::command::{host_cargo, root, run as run_command};

/// The binary that is measured: this one, or the release build, which is made first.
pub fn binary(aiw: Option<PathBuf>) -> Result<PathBuf> {
    let Some(aiw) = aiw else {
        run_command(host_cargo().args(["build", "--release", "-p", "agentic-warden"]))?;
        return Ok(root().join("target/release/aiw"));
    };
    aiw.canonicalize().with_context(|| aiw.display().to_string())
}

pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[expect(clippy::cast_precision_loss, reason = "megabytes for people")]
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
