//! How sessions get into the history: hooks, the indexer, imports; also where processes are killed and disks are full.

mod canary;
mod commands;
pub(crate) mod disk;
mod killed;
mod large;
mod launched;
mod private;
mod real;
mod typed;
mod versions;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use aiw_tests::{Environment, Run};
use rustix::process::Pid;
use serde_json::{Value, json};

/// A line of Claude Code's.
pub fn line(session: &str, uuid: &str, kind: &str, text: &str) -> String {
    let line = json!({"parentUuid": null, "isSidechain": false, "type": kind, "message": {"role": kind, "content": text},
        "uuid": uuid, "timestamp": "2026-03-01T10:00:00.000Z", "cwd": "/srv/p", "sessionId": session});
    format!("{line}\n")
}

/// Where Claude Code keeps a session.
pub fn transcript(env: &Environment, session: &str) -> PathBuf {
    let project = env.user().join(".claude/projects/-srv-p");
    fs::create_dir_all(&project).unwrap();
    project.join(format!("{session}.jsonl"))
}

/// Adds to a session.
pub fn add(env: &Environment, session: &str, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(transcript(env, session)).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// What a hook hears at the end of a session.
pub fn ended(env: &Environment, session: &str) -> String {
    let path = transcript(env, session);
    json!({"session_id": session, "transcript_path": path, "cwd": "/srv/p", "hook_event_name": "SessionEnd", "reason": "other"})
        .to_string()
}

/// The hook at the end of a session, and the indexer after it.
pub fn hook(env: &Environment, session: &str) -> Run {
    env.run_with_input(&["history", "hooks", "handle", "--wait"], ended(env, session)).ok()
}

/// How often each message of a session is in the history, by its uuid.
pub fn kept(env: &Environment, session: &str) -> BTreeMap<String, usize> {
    let run = env.run(&["history", "export", session, "--json"]);
    let mut kept = BTreeMap::new();
    if run.code == 0 {
        for message in run.json()["messages"].as_array().unwrap() {
            *kept.entry(message["uuid"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    kept
}

/// The hits whose text has a word.
pub fn hits(env: &Environment, word: &str) -> Vec<Value> {
    let answer = env.json(&["history", "search", word, "--limit", "50"]);
    let hits = answer["hits"].as_array().unwrap_or_else(|| panic!("{answer}")).clone();
    hits.into_iter().filter(|hit| hit["snippet"].as_str().unwrap().contains(word)).collect()
}

/// The indexers of this environment. Only Linux has the list that this reads.
pub fn indexers(env: &Environment) -> Vec<Pid> {
    let home = format!("AIW_HOME={}", env.home().display());
    let is_ours = |pid: &i32| {
        let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let has = |bytes: &[u8], word: &[u8]| bytes.split(|byte| *byte == 0).any(|part| part == word);
        has(&read("cmdline"), b"__index") && has(&read("environ"), home.as_bytes())
    };
    let look = || -> Vec<Pid> {
        let pids =
            fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(is_ours).filter_map(Pid::from_raw).collect()
    };
    // It forks when it starts: the parent may end, and its child come to be, while the list is read.
    let again = |found: Vec<Pid>| match found.is_empty() {
        true => {
            std::thread::sleep(Duration::from_millis(20));
            look()
        }
        false => found,
    };
    again(again(look()))
}
