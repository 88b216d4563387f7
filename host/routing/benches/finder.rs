//! How long finding tools takes, without a model: prints rows of `what, measured, unit` for `cargo xtask bench`.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints, and may fail")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_home::Home;
use aiw_routing::{CurrentEmbeddings, Finder, KnownServer, ServerRecord, ToolDefinition};
use serde_json::json;

const ROUNDS: usize = 15;

const REQUEST: &str = "Take a screenshot of the page. Then send the file by email and create an issue in the tracker.";

const WORDS: [&str; 40] = [
    "create",
    "delete",
    "list",
    "search",
    "update",
    "send",
    "read",
    "write",
    "export",
    "import",
    "file",
    "page",
    "issue",
    "email",
    "branch",
    "invoice",
    "calendar",
    "event",
    "image",
    "screenshot",
    "database",
    "query",
    "table",
    "record",
    "user",
    "message",
    "channel",
    "map",
    "route",
    "weather",
    "stock",
    "price",
    "chart",
    "report",
    "document",
    "video",
    "song",
    "playlist",
    "cluster",
    "log",
];

fn main() {
    for tools in [500, 10_000] {
        let servers = servers(tools);
        let everything = |_: &str, _: &ToolDefinition| true;
        let prepared = |home: &Home| {
            let finder = Finder::new(home, Arc::new(CurrentEmbeddings::none(home)));
            let begun = Instant::now();
            finder.prepare(&servers, &everything, Duration::ZERO);
            (finder, begun.elapsed())
        };
        let mut colds: Vec<Duration> = (0..ROUNDS)
            .map(|_| {
                let home = tempfile::tempdir().unwrap();
                prepared(&Home::from_root(home.path())).1
            })
            .collect();
        row(&format!("index of {tools} tools, cold"), &mut colds);
        let home = tempfile::tempdir().unwrap();
        let home = Home::from_root(home.path());
        let (finder, _) = prepared(&home);
        let mut warms: Vec<Duration> = (0..ROUNDS).map(|_| prepared(&home).1).collect();
        row(&format!("index of {tools} tools, warm restart"), &mut warms);
        let mut finds: Vec<Duration> = (0..ROUNDS * 10)
            .map(|_| {
                let begun = Instant::now();
                let found = finder.find(&servers, &everything, REQUEST, 5);
                assert!(!found.matches.is_empty());
                begun.elapsed()
            })
            .collect();
        row(&format!("a request to {tools} tools, without a model"), &mut finds);
    }
}

fn row(what: &str, times: &mut [Duration]) {
    times.sort();
    println!("{what}\t{:.2}\tms", times[times.len() / 2].as_secs_f64() * 1e3);
}

/// Servers with 50 tools each, whose definitions have ordinary lengths.
fn servers(tools: usize) -> Vec<KnownServer> {
    let word = |n: usize| WORDS[n % WORDS.len()];
    let server = |server: usize| {
        let mut record = ServerRecord::default();
        record.server =
            json!({"name": "bench", "description": format!("Works with {} and {}.", word(server), word(server * 7))});
        for n in 0..50 {
            let seed = server * 50 + n;
            let name = format!("{}_{}_{}", word(seed), word(seed * 3 + 1), seed % 97);
            let text: Vec<&str> = (0..20).map(|n| word(seed * 5 + n * n)).collect();
            let parameter = |n: usize| {
                (
                    word(seed + n).to_owned(),
                    json!({"type": "string", "description": format!("The {} of the {}.", word(n), word(seed))}),
                )
            };
            let properties: serde_json::Map<_, _> = (0..4).map(parameter).collect();
            let tool = json!({"name": name, "description": text.join(" "), "inputSchema": {"type": "object", "properties": properties}});
            let tool = ToolDefinition::new(&tool);
            record.pins.insert(name, tool.clone());
            record.tools.push(tool);
        }
        (format!("server-{server}"), Arc::new(record))
    };
    (0..tools / 50).map(server).collect()
}
