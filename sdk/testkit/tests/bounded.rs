//! Tests that a hundred bad calls leave no memory behind. They are alone in their process to measure its memory.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "drive/common.rs"]
mod common;

use common::{fetch, hostile};

/// Returns the daemon memory of this process in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

#[tokio::test]
async fn a_hundred_bad_calls_leave_no_memory_behind() {
    let directory = tempfile::tempdir().unwrap();
    let hostile = hostile().directory(directory.path()).load().await.unwrap();
    let trees = format!("many-trees:{}", directory.path().display());
    let modes = ["memory", "recursion", "panic", "big-answer", "big-error", "many-requests", &trees, "rubbish"];
    // Warm up first, because allocators keep the memory that they once had.
    for mode in modes {
        fetch(&hostile, mode).await;
    }
    let before = resident();
    for call in 0..100 {
        fetch(&hostile, modes[call % modes.len()]).await;
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 100 << 20, "{} MiB more", grown >> 20);
}
