//! Processes that die while they copy a registry or install from it, and several at once.

use std::fs;
use std::time::{Duration, Instant};

use aiw_tests::Environment;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::install::sample;
use super::{Registry, age_copy, machine, names, remote, until_copied};
use crate::crash::rounds;

/// The processes that bring the copies of a home up to date.
pub fn copying(env: &Environment) -> Vec<Pid> {
    let mark = format!("AIW_HOME={}", env.home().display());
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw) else {
            continue;
        };
        let read = |file: &str| fs::read(entry.path().join(file)).unwrap_or_default();
        let is_ours = read("environ").split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes());
        if is_ours && read("cmdline").split(|byte| *byte == 0).any(|word| word == b"__sync") {
            found.push(pid);
        }
    }
    found
}

#[test]
fn a_copy_goes_on_where_its_process_was_killed() {
    let rows = (0..40).map(|at| remote(&format!("many/weather-{at:02}"), "Weather", "1.0.0")).collect();
    let registry = Registry::start(rows);
    let env = machine(&registry.url());
    for round in 0..rounds() {
        let found = env.json(&["mcp", "search", "weather", "-n", "200"]);
        // Nothing that was taken in is lost, and a part is not taken for the whole.
        assert!(!names(&found).is_empty(), "{found}");
        std::thread::sleep(Duration::from_millis(30 + round * 37 % 400));
        for pid in copying(&env) {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::KILL);
        }
        age_copy(&env);
    }
    let found = until_copied(&env, "weather-07");
    assert_eq!(found["sources"][0]["cached_servers"], 40, "{found}");
}

#[test]
fn of_several_processes_one_copies() {
    let rows = (0..20).map(|at| remote(&format!("many/weather-{at:02}"), "Weather", "1.0.0")).collect();
    let registry = Registry::start(rows);
    let env = machine(&registry.url());
    let started: Vec<_> = (0..6).map(|_| env.start(&["mcp", "__sync"])).collect();
    started.into_iter().for_each(|child| drop(child.wait_with_output().unwrap()));
    let begun = Instant::now();
    while !copying(&env).is_empty() {
        assert!(begun.elapsed() < aiw_tests::HANG_TIMEOUT);
        std::thread::sleep(Duration::from_millis(20));
    }
    let pages = registry.server.as_ref().unwrap().seen();
    assert_eq!(pages.len(), 10, "{pages:?}");
    assert_eq!(until_copied(&env, "weather-19")["sources"][0]["cached_servers"], 20);
}

#[test]
fn an_installation_that_is_killed_is_there_or_not() {
    let (_registry, env) = sample();
    let install = ["mcp", "install", "io.github.acme/sample-mcp", "--yes", "--set", "key=canary-5ecr3t"];
    let begun = Instant::now();
    env.run(&install).ok();
    let whole = u64::try_from(begun.elapsed().as_millis()).unwrap();
    env.run(&["mcp", "remove", "sample"]).ok();
    env.run(&["secret", "remove", "sample-key"]);
    for round in 0..rounds() {
        let mut child = env.start(&install);
        std::thread::sleep(Duration::from_millis(whole * round / rounds().max(1)));
        let _ = child.kill();
        child.wait().unwrap();
        // The next command finishes, or forgets, what was begun.
        let secrets = env.json(&["secret", "list"]);
        env.run(&["mcp", "list"]).ok();
        let text = env.read("registry.lock");
        let lock: Value = if text.is_empty() { json!({}) } else { serde_json::from_str(&text).unwrap() };
        let entry = env.mcp()["mcpServers"].get("sample").cloned();
        assert_eq!(entry.is_some(), lock["servers"].get("sample").is_some(), "{lock}");
        let stored = if entry.is_some() { json!([{"name": "sample-key"}]) } else { json!([]) };
        assert_eq!(secrets["secrets"], stored);
        if let Some(entry) = entry {
            assert_eq!(entry["env"], json!({"SAMPLE_KEY": "${secret:sample-key}"}));
            env.run(&["mcp", "call", "sample/echo", "a=1"]).ok();
            env.run(&["mcp", "remove", "sample"]).ok();
            env.run(&["secret", "remove", "sample-key"]);
        }
    }
    // An installation is possible still.
    env.run(&install).ok();
}
