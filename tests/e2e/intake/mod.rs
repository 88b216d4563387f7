//! How sessions get into the history: hooks, the indexer, imports; also where processes are killed and disks are full.

mod canary;
mod commands;
mod disk;
mod killed;
mod real;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use aiw_tests::{Environment, Run};
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
    env.run_with_input(&["hooks", "handle", "--wait"], ended(env, session)).ok()
}

/// How often each message of a session is in the history, by its uuid.
pub fn kept(env: &Environment, session: &str) -> BTreeMap<String, usize> {
    let run = env.run(&["history", "show", session, "--limit", "100000", "--json"]);
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
