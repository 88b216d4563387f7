//! How fast transcripts are taken in: `cargo bench -p aiw-history --bench import -- [MEGABYTES]`.
//!
//! The transcripts have the proportions of real ones: about a hundred kilobytes of wrapping for every few messages.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints its figures")]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use aiw_history::{Import, Indexer, Places};
use aiw_home::Home;
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

fn write(path: &Path, session: &str, turns: u64, seed: u64) {
    let mut out = BufWriter::new(File::create(path).unwrap());
    let schema = format!("{{\"name\":\"tool\",\"description\":\"{}\"}}\n", text(seed, 200)).repeat(25);
    for turn in 0..turns {
        let id = seed * 100_000 + turn;
        let base = |kind: &str, content: serde_json::Value, n: u64| {
            json!({"parentUuid": null, "isSidechain": false, "message": {"role": kind, "content": content}, "type": kind,
                "uuid": format!("{id:08}-{n}"), "timestamp": "2026-03-01T10:00:00.000Z", "cwd": "/srv/project", "sessionId": session})
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

fn main() {
    let megabytes: u64 = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(200);
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let places = Places { claude: at("claude"), codex: at("codex"), gemini: at("gemini") };
    let project = places.claude.join("projects/-srv-project");
    std::fs::create_dir_all(&project).unwrap();
    let (mut written, mut number) = (0, 0);
    while written < megabytes * 1_000_000 {
        let session = format!("{number:08}-0000-4000-8000-000000000000");
        let path = project.join(format!("{session}.jsonl"));
        write(&path, &session, 60, number);
        written += std::fs::metadata(&path).unwrap().len();
        number += 1;
    }
    let indexer = Indexer::new(Home::at(at("aiw")), Vec::new());
    let found = Import::everything(&places);
    let start = Instant::now();
    let report = indexer.import(&found, &places, &mut |_, _| {}).unwrap();
    let seconds = start.elapsed().as_secs_f64();
    let bytes = report.bytes as f64;
    println!(
        "import: {:.0} MB, {} messages, {seconds:.2} s: {:.0} MB/s, {:.0} messages/s",
        bytes / 1e6,
        report.stored,
        bytes / 1e6 / seconds,
        report.stored as f64 / seconds
    );
    let start = Instant::now();
    let again = indexer.import(&found, &places, &mut |_, _| {}).unwrap();
    println!("again: {} transcripts in {:.1} ms", again.transcripts, start.elapsed().as_secs_f64() * 1000.0);
}
