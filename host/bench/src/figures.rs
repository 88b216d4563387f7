//! What several benches measure, the binary that they measure, and the CLI that it runs.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aiw_tests::command::{self, host_cargo, host_target};
use anyhow::{Context, Result};

/// Returns the binary to measure: the given one, or the release build, which is made first.
pub fn resolve_binary(aiw: Option<PathBuf>) -> Result<PathBuf> {
    let Some(aiw) = aiw else {
        command::run(host_cargo().args(["build", "--release", "-p", "agentic-warden"]))?;
        return Ok(host_target().join("release/aiw"));
    };
    aiw.canonicalize().with_context(|| aiw.display().to_string())
}

pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The memory that is a process's own share, in MB.
pub fn memory_usage(pid: u32) -> Option<f64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<f64>().ok()? / 1024.0)
}

/// The share of a processor that processes take for a while, in percent.
#[expect(clippy::cast_precision_loss, reason = "it is a figure")]
pub fn cpu_share(pids: &[u32], time: Duration) -> f64 {
    // The first number of the file is the time on a processor, in nanoseconds.
    let taken = || -> u64 {
        let tasks =
            pids.iter().flat_map(|pid| fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten());
        let times = tasks.filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok());
        times.filter_map(|times| times.split_whitespace().next()?.parse::<u64>().ok()).sum()
    };
    let before = taken();
    std::thread::sleep(time);
    100.0 * taken().saturating_sub(before) as f64 / time.as_nanos() as f64
}

#[expect(clippy::cast_precision_loss, reason = "megabytes for people")]
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Creates a `codex` first on the `PATH`, which does this, as a shell's command, with a prompt.
pub fn prepend_fake_codex(bin: &Path, does: &str) -> Result<OsString> {
    fs::create_dir(bin)?;
    let codex = bin.join("codex");
    fs::write(&codex, format!("#!/bin/sh\ncase $1 in --version) echo codex-cli 1.0.0;; *) {does};; esac\n"))?;
    fs::set_permissions(&codex, fs::Permissions::from_mode(0o755))?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    Ok(std::env::join_paths(std::iter::once(bin.to_owned()).chain(std::env::split_paths(&path)))?)
}
