//! How long Claude Code's hook takes, and when its messages can be found: the binary that `AIW_BENCH_SHIM` names, with
//! what the client says at a session's end.

#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "a bench prints its figures")]

mod transcripts;

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aiw_history::Store;
use serde_json::json;

/// The number of sessions that end. The median counts.
const ROUNDS: u64 = 15;

/// The messages of a session: four in each turn.
const MESSAGES: u64 = 100;

fn main() {
    let Some(aiw) = std::env::var_os("AIW_BENCH_SHIM") else {
        eprintln!("without hooks: AIW_BENCH_SHIM names no aiw");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let project = at("claude/projects/-srv-project");
    std::fs::create_dir_all(&project).unwrap();
    let store = Store::open(&at("home/history")).unwrap();
    let (mut returned, mut indexed) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let session = format!("{round:08}-0000-4000-8000-000000000000");
        let path = project.join(format!("{session}.jsonl"));
        transcripts::wrapped(&path, &session, MESSAGES / 4, round);
        let said = json!({"session_id": session, "transcript_path": path, "cwd": "/srv/project",
            "hook_event_name": "SessionEnd", "reason": "other"});
        let said = said.to_string();
        let mut hook = Command::new(&aiw);
        hook.args(["history", "hooks", "handle"])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", at("home"))
            .env("AIW_HOME", at("home"))
            .env("AIW_RUNTIME_DIR", at("run"))
            .env("CLAUDE_CONFIG_DIR", at("claude"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let start = Instant::now();
        let mut hook = hook.spawn().unwrap();
        hook.stdin.take().unwrap().write_all(said.as_bytes()).unwrap();
        assert!(hook.wait().unwrap().success());
        returned.push(start.elapsed().as_secs_f64() * 1000.0);
        let start = Instant::now();
        while store.stats().unwrap().messages < (round + 1) * MESSAGES {
            assert!(start.elapsed() < Duration::from_secs(60), "what the hook queued was not indexed");
            std::thread::sleep(Duration::from_millis(1));
        }
        indexed.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    for (what, mut times) in [("hook returns", returned), ("100 messages can be found, after the hook", indexed)] {
        times.sort_by(f64::total_cmp);
        println!("{what}\t{:.1}\tms", times[times.len() / 2]);
    }
}
