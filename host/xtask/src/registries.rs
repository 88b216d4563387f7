//! `cargo xtask bench registries`: what a search of registries of MCP servers costs with a copy of 50,000 servers, what
//! filling that copy costs, and how often the right server is found among real rows, beside the registry's own search:
//! a part of the name, in the order of names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_tests::{Answer, Request, Server, registry_rows};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use wait4::Wait4;

use crate::bench::{megabytes, millis};
use crate::command::{host_cargo, root};

/// The servers of the large registry: a little more than the largest one has.
const SERVERS: usize = 50_000;

/// The pause between two pages of a copy, which is not ours to make shorter.
const PAUSE: Duration = Duration::from_millis(100);

const RUNS: usize = 15;

/// Words of names and descriptions.
const WORDS: [&str; 32] = [
    "weather", "mail", "calendar", "postgres", "browser", "search", "papers", "stock", "video", "notes", "cluster",
    "document", "image", "flight", "cards", "time", "graph", "wallet", "ticket", "build", "logs", "metrics", "deploy",
    "map", "music", "recipe", "school", "health", "travel", "invoice", "chat", "photo",
];

/// Measures a binary, by default the release build, which is made first.
pub fn bench(aiw: Option<PathBuf>) -> Result<bool> {
    let aiw = match aiw {
        Some(aiw) => aiw.canonicalize().with_context(|| aiw.display().to_string())?,
        None => {
            crate::command::run(host_cargo().args(["build", "--release", "-p", "agentic-warden"]))?;
            root().join("target/release/aiw")
        }
    };
    run(&aiw)
}

/// Prints one row for each figure. Returns whether all are within their limits.
pub fn run(aiw: &Path) -> Result<bool> {
    let mut good = true;
    let mut row = |what: &str, measured: f64, limit: f64, unit: &str| {
        let over = measured > limit;
        good &= !over;
        println!("{what:<46} {measured:>9.1} {limit:>9.1} {unit}{}", if over { "  OVER" } else { "" });
    };
    let machine = Machine::new(aiw, made(SERVERS))?;
    let (took, pages) = machine.fill(SERVERS)?;
    let beside = took.saturating_sub(PAUSE * pages);
    row("registry: a copy of 50,000 servers, less pauses", beside.as_secs_f64(), 20.0, "s");
    for query in ["weather", "a calendar of flights", "acme"] {
        let mut samples = Vec::new();
        for _ in 0..RUNS {
            let start = Instant::now();
            let ended = machine.aiw(&["mcp", "search", query]).stdout(Stdio::null()).spawn()?.wait4()?;
            ensure!(ended.status.success(), "`aiw mcp search {query}` failed");
            samples.push((start.elapsed(), ended.rusage.maxrss));
        }
        samples.sort();
        row(&format!("registry: search for `{query}`"), millis(samples[RUNS / 2].0), 50.0, "ms");
        let memory = samples.iter().map(|sample| sample.1).max().unwrap_or_default();
        row("registry: its memory", megabytes(memory), 60.0, "MB");
    }
    drop(machine);
    match registry_rows() {
        Some(rows) => good &= quality(aiw, rows)?,
        None => println!("the real rows are absent: AIW_CORPORA names their folder"),
    }
    Ok(good)
}

/// How often what is wanted is among the first five, by aiw and by the registry's own search.
fn quality(aiw: &Path, rows: Vec<Value>) -> Result<bool> {
    let mut newest: BTreeMap<String, Value> = BTreeMap::new();
    for row in rows {
        let name = row["server"]["name"].as_str().unwrap_or_default().to_owned();
        newest.insert(name, row);
    }
    let names: Vec<String> = newest.keys().cloned().collect();
    let rows: Vec<Value> = newest.into_values().map(|row| listed(row["server"].clone())).collect();
    let machine = Machine::new(aiw, rows)?;
    machine.fill(names.len())?;
    let text = fs::read_to_string(root().join("host/registries/benches/requests.jsonl"))?;
    let requests: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let mut asked: Vec<(String, String, BTreeSet<String>)> = Vec::new();
    for request in &requests {
        let field = |field: &str| request[field].as_str().unwrap_or_default().to_owned();
        let wanted = request["wanted"].as_array().into_iter().flatten().filter_map(Value::as_str);
        asked.push((field("kind"), field("query"), wanted.map(str::to_owned).collect()));
    }
    // Every server by the last part of its name; several may share it.
    let last = |name: &str| name.rsplit('/').next().unwrap_or(name).to_owned();
    for query in names.iter().map(|name| last(name)).collect::<BTreeSet<_>>() {
        let wanted = names.iter().filter(|name| last(name) == query).cloned().collect();
        asked.push(("name".to_owned(), query, wanted));
    }
    // By kind: the number of requests, and of each the share of what is wanted that is found.
    let mut found: BTreeMap<&str, (f64, f64, f64)> = BTreeMap::new();
    for (kind, query, wanted) in &asked {
        let output = machine.aiw(&["mcp", "search", query, "--limit", "5", "--json"]).output()?;
        let said: Value = serde_json::from_slice(&output.stdout).context("the search printed no JSON")?;
        let ours = said["servers"].as_array().into_iter().flatten().filter_map(|server| server["name"].as_str());
        let theirs = names.iter().filter(|name| name.to_lowercase().contains(&query.to_lowercase()));
        // What can be found among five.
        let most = wanted.len().min(5) as f64;
        let share = |names: Vec<&str>| names.iter().filter(|name| wanted.contains(**name)).count() as f64 / most;
        let sums = found.entry(kind).or_default();
        sums.0 += 1.0;
        sums.1 += share(ours.collect());
        sums.2 += share(theirs.map(String::as_str).take(5).collect());
    }
    let mut good = true;
    println!("\n{:<46} {:>9} {:>9}", "wanted servers among the first five, %", "aiw", "registry");
    for (kind, (count, ours, theirs)) in found {
        let (ours, theirs) = (100.0 * ours / count, 100.0 * theirs / count);
        good &= ours >= theirs;
        let what = format!("{count:.0} by {kind}");
        println!("{what:<46} {ours:>9.1} {theirs:>9.1}{}", if ours < theirs { "  UNDER" } else { "" });
    }
    Ok(good)
}

/// A row as the official registry has it.
fn listed(server: Value) -> Value {
    let time = "2026-01-02T03:04:05Z";
    let official = json!({"status": "active", "publishedAt": time, "updatedAt": time, "isLatest": true});
    json!({"server": server, "_meta": {"io.modelcontextprotocol.registry/official": official}})
}

/// Rows of the usual size, in the order of their names.
fn made(count: usize) -> Vec<Value> {
    // Steps that have nothing to do with each other.
    let word = |at: usize, step: usize| WORDS[(at * step + at / WORDS.len()) % WORDS.len()];
    let row = |at: usize| {
        let name = format!("io.github.acme{:05}/{}-{}-mcp", at / 3, word(at, 7), word(at, 11));
        let description = format!(
            "Reads and writes your {} and {} with {}, for {} and for everybody who has a {}",
            word(at, 3),
            word(at, 5),
            word(at, 13),
            word(at, 17),
            word(at, 19)
        );
        let key = json!({"name": "API_KEY", "description": "The key", "isRequired": true, "isSecret": true});
        let package = json!({"registryType": "npm", "identifier": format!("@acme{}/{}", at / 3, word(at, 7)),
            "version": "1.0.0", "transport": {"type": "stdio"}, "environmentVariables": [key]});
        listed(json!({"name": name, "description": description, "version": "1.0.0",
            "repository": {"url": format!("https://github.com/acme{}/x", at / 3), "source": "github"},
            "packages": [package]}))
    };
    (0..count).map(row).collect()
}

/// A home that knows one registry, on loopback.
struct Machine {
    aiw: PathBuf,
    home: tempfile::TempDir,
    _server: Server,
}

impl Machine {
    fn new(aiw: &Path, rows: Vec<Value>) -> Result<Self> {
        let rows = Arc::new(rows);
        let server = Server::start(move |request| page(request, &rows));
        let home = tempfile::tempdir()?;
        let sources = json!({"version": 1, "sources": {"registry-official": {"base_url": server.url()}}});
        fs::write(home.path().join("settings.json"), sources.to_string())?;
        let ranks = "sources:\n  registry-smithery: {enabled: false}\n";
        fs::write(home.path().join("registry.yaml"), ranks)?;
        Ok(Self { aiw: aiw.to_owned(), home, _server: server })
    }

    fn aiw(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.aiw);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("LANG", "C.UTF-8")
            .env("HOME", self.home.path())
            .env("AIW_HOME", self.home.path())
            .env("AIW_RUNTIME_DIR", self.home.path().join("run"))
            .stdin(Stdio::null())
            .stderr(Stdio::inherit());
        command
    }

    /// Fills the copy. Returns how long that took, and the number of pages.
    fn fill(&self, servers: usize) -> Result<(Duration, u32)> {
        let start = Instant::now();
        loop {
            let output = self.aiw(&["mcp", "search", "x", "--json"]).output()?;
            let said: Value = serde_json::from_slice(&output.stdout).context("the search printed no JSON")?;
            let source = &said["sources"][0];
            if let Some(copied) = source["copied"].as_u64() {
                ensure!(copied as usize == servers, "the copy has {copied} servers of {servers}");
                return Ok((start.elapsed(), u32::try_from(servers.div_ceil(100))?));
            }
            if start.elapsed() > Duration::from_secs(600) {
                bail!("the copy is not whole after ten minutes: {source}");
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

/// A page as the official registry gives it.
fn page(request: &Request, rows: &[Value]) -> Answer {
    if request.path != "/v0.1/servers" {
        return Answer::status(404);
    }
    let parameter = |name: &str| {
        let mut pairs = request.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
    };
    // While there is no copy, the searches that wait for it find nothing.
    if parameter("search").is_some() {
        return Answer::ok(json!({"servers": [], "metadata": {"count": 0}}).to_string());
    }
    let number = |name: &str| parameter(name).and_then(|value| value.parse::<usize>().ok());
    let (start, limit) = (number("cursor").unwrap_or(0), number("limit").unwrap_or(30).min(100));
    let page: Vec<&Value> = rows.iter().skip(start).take(limit).collect();
    let mut metadata = json!({"count": page.len()});
    if start + limit < rows.len() {
        metadata["nextCursor"] = json!((start + limit).to_string());
    }
    Answer::ok(json!({"servers": page, "metadata": metadata}).to_string())
}
