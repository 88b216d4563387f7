//! Transcripts in Claude Code's format, for the benches.

#![allow(dead_code, clippy::allow_attributes, reason = "each bench needs a part of it")]
#![expect(clippy::unwrap_used, reason = "a bench may fail")]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use aiw_history::{MessageAuthor, SessionMessage};
use serde_json::json;

const WORDS: [&str; 24] = [
    "handshake",
    "certificate",
    "parser",
    "timeout",
    "retry",
    "socket",
    "the",
    "a",
    "and",
    "of",
    "in",
    "we",
    "fix",
    "error",
    "returns",
    "module",
    "test",
    "function",
    "why",
    "does",
    "token",
    "value",
    "cache",
    "index",
];

/// A text that depends on a number alone.
fn text(seed: u64, words: u64) -> String {
    let word = |n: u64| WORDS[usize::try_from((seed * 31 + n * n * 7 + n * seed) % 24).unwrap()];
    (0..words).map(word).collect::<Vec<_>>().join(" ")
}

/// A transcript with the proportions of real ones: about a hundred kilobytes of wrapping for every few messages. A turn
/// has four messages.
pub fn wrapped(path: &Path, session: &str, turns: u64, seed: u64) {
    let mut out = BufWriter::new(File::create(path).unwrap());
    let schema = format!("{{\"name\":\"tool\",\"description\":\"{}\"}}\n", text(seed, 200)).repeat(25);
    for turn in 0..turns {
        let id = seed * 100_000 + turn;
        let base = |kind: &str, content: serde_json::Value, n: u64| {
            // Each line has a time of its own, or all sessions would look like forks of one.
            let time = aiw_home::rfc3339(1_772_359_200_000 + seed * 3_600_007 + turn * 20_011 + n * 1_009);
            json!({"parentUuid": null, "isSidechain": false, "message": {"role": kind, "content": content}, "type": kind,
                "uuid": format!("{id:08}-{n}"), "timestamp": time, "cwd": "/srv/project", "sessionId": session})
        };
        let mut answer =
            base("user", json!([{"type": "tool_result", "tool_use_id": "t", "content": text(id + 2, 120)}]), 3);
        answer["toolUseResult"] = json!({"stdout": text(id + 2, 120)});
        for line in [
            base("user", json!(text(id, 25)), 0),
            json!({"type": "api-request-shape", "sessionId": session, "shape": schema}),
            json!({"parentUuid": null, "isSidechain": false, "attachment": {"type": "prompt_snapshot", "text": schema}, "type": "attachment", "uuid": format!("{id}-a")}),
            base("assistant", json!([{"type": "text", "text": text(id + 1, 80)}]), 1),
            base(
                "assistant",
                json!([{"type": "tool_use", "id": "t", "name": "Bash", "input": {"command": text(id, 10)}}]),
                2,
            ),
            answer,
        ] {
            writeln!(out, "{line}").unwrap();
        }
    }
    out.flush().unwrap();
}

/// A transcript of messages, each with the wrapping of its own line alone.
pub fn plain(path: &Path, messages: &[SessionMessage]) {
    let mut out = BufWriter::new(File::create(path).unwrap());
    for SessionMessage { uuid, session, project, time, role, text, .. } in messages {
        let (kind, content) = match role {
            MessageAuthor::User => ("user", json!(text)),
            MessageAuthor::Assistant => ("assistant", json!([{"type": "text", "text": text}])),
            MessageAuthor::Tool => ("user", json!([{"type": "tool_result", "tool_use_id": "t", "content": text}])),
        };
        let line = json!({"parentUuid": null, "isSidechain": false, "message": {"role": kind, "content": content},
            "type": kind, "uuid": uuid, "timestamp": time, "cwd": project, "sessionId": session});
        writeln!(out, "{line}").unwrap();
    }
    out.flush().unwrap();
}
