//! `cargo xtask bench registries`: what a search of registries of MCP servers costs with a copy of 50,000 servers, what
//! filling that copy costs, and how often the right server is found among real rows, beside the registry's own search:
//! a part of the name, in the order of names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aiw_tests::command::root;
use aiw_tests::{Answer, Request, Server, onnx_runtime, real_model, registry_rows};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use wait4::Wait4;

use crate::figures::{megabytes, millis};
use crate::report::BenchReport;

/// The servers of the large registry: a little more than the largest one has.
const SERVER_COUNT: usize = 50_000;

/// The pause between two pages of a copy, which is not ours to make shorter.
const PAGE_DELAY: Duration = Duration::from_millis(100);

/// Words of names and descriptions.
const NAME_WORDS: [&str; 32] = [
    "weather", "mail", "calendar", "postgres", "browser", "search", "papers", "stock", "video", "notes", "cluster",
    "document", "image", "flight", "cards", "time", "graph", "wallet", "ticket", "build", "logs", "metrics", "deploy",
    "map", "music", "recipe", "school", "health", "travel", "invoice", "chat", "photo",
];

/// Asks the real registries, and plans every server that they return. Returns `true` if each server has a plan.
pub fn check_live_registries(aiw: &Path) -> Result<bool> {
    let machine = RegistryHome::bare(aiw)?;
    let mut good = true;
    let mut reached = false;
    for query in ["filesystem", "postgres", "a weather forecast"] {
        let output = machine.aiw(&["mcp", "search", query, "--json"]).stderr(Stdio::null()).output()?;
        let said: Value = serde_json::from_slice(&output.stdout).context("the search printed no JSON")?;
        for source in said["sources"].as_array().into_iter().flatten() {
            let name = source["source"].as_str().unwrap_or_default();
            match source["problem"].as_str() {
                Some(problem) => println!("{problem}"),
                None => {
                    reached = true;
                    println!("{name}: {} servers for `{query}`", source["found"]);
                }
            }
        }
        for server in said["servers"].as_array().into_iter().flatten().take(5) {
            let (name, source) = (server["name"].as_str().unwrap_or(""), server["source"].as_str().unwrap_or(""));
            let output = machine.aiw(&["mcp", "info", name, "--source", source, "--json"]).output()?;
            let said: Value = serde_json::from_slice(&output.stdout).context("`aiw mcp info` printed no JSON")?;
            let ways = said["ways"].as_array().map(Vec::as_slice).unwrap_or_default();
            let refused = ways.iter().filter(|way| way["refused"].is_string()).count();
            good &= !ways.is_empty();
            println!("  {name}: {} ways, {refused} refused", ways.len());
        }
    }
    if !reached {
        println!("not checked: no registry can be reached from here");
    }
    Ok(good)
}

/// Adds the rows of a large registry and of the real rows.
pub fn run(report: &mut BenchReport, aiw: &Path) -> Result<()> {
    // Rows are made when they are asked for: what this process holds counts as its children's memory, too.
    let machine = RegistryHome::new(aiw, SERVER_COUNT, made)?;
    let (took, pages) = machine.fill()?;
    let beside = took.saturating_sub(PAGE_DELAY * pages);
    report.add_measurement("registry: a copy of 50,000 servers, less pauses", "s", beside.as_secs_f64())?;
    for query in ["weather", "a calendar of flights", "acme"] {
        let mut peak = 0;
        report.measure_pairs(&format!("registry: search for `{query}`"), "ms", || {
            let begun = Instant::now();
            let ended = machine.aiw(&["mcp", "search", query]).stdout(Stdio::null()).spawn()?.wait4()?;
            ensure!(ended.status.success(), "`aiw mcp search {query}` failed");
            peak = ended.rusage.maxrss.max(peak);
            Ok(millis(begun.elapsed()))
        })?;
        report.add_measurement("registry: its memory", "MB", megabytes(peak))?;
    }
    drop(machine);
    match registry_rows() {
        Some(rows) => quality(report, aiw, rows),
        None => {
            println!("the real rows are absent: AIW_CORPORA names their folder");
            Ok(())
        }
    }
}

/// Adds how often wanted servers are among the first five, in percent: by words beside the registry's own search, and by
/// meaning beside words.
fn quality(report: &mut BenchReport, aiw: &Path, rows: Vec<Value>) -> Result<()> {
    let mut newest: BTreeMap<String, Value> = BTreeMap::new();
    for row in rows {
        let name = row["server"]["name"].as_str().unwrap_or_default().to_owned();
        newest.insert(name, row);
    }
    let names: Vec<String> = newest.keys().cloned().collect();
    let rows: Vec<Value> = newest.into_values().map(|row| listed(row["server"].clone())).collect();
    let machine = RegistryHome::new(aiw, rows.len(), move |at| rows[at].clone())?;
    machine.fill()?;
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
    // By kind: the number of requests, and of each way the sum of the shares of what is wanted that it finds.
    let mut found: BTreeMap<&str, (f64, [f64; 3])> = BTreeMap::new();
    let first = |query: &str| -> Result<Vec<String>> {
        let output = machine.aiw(&["mcp", "search", query, "--limit", "5", "--json"]).output()?;
        let said: Value = serde_json::from_slice(&output.stdout).context("the search printed no JSON")?;
        let names = said["servers"].as_array().into_iter().flatten().filter_map(|server| server["name"].as_str());
        Ok(names.map(str::to_owned).collect())
    };
    let by_words: Vec<Vec<String>> = asked.iter().map(|(_, query, _)| first(query)).collect::<Result<_>>()?;
    let by_meaning: Option<Vec<Vec<String>>> = match machine.use_model()? {
        true => Some(asked.iter().map(|(_, query, _)| first(query)).collect::<Result<_>>()?),
        false => None,
    };
    for (at, (kind, query, wanted)) in asked.iter().enumerate() {
        let theirs = names.iter().filter(|name| name.to_lowercase().contains(&query.to_lowercase()));
        let theirs: Vec<String> = theirs.take(5).cloned().collect();
        // What can be found among five.
        let most = wanted.len().min(5) as f64;
        let share = |names: &[String]| names.iter().filter(|name| wanted.contains(*name)).count() as f64 / most;
        let (count, sums) = found.entry(kind).or_default();
        *count += 1.0;
        let ways = [&by_words[at], by_meaning.as_ref().map_or(&by_words[at], |all| &all[at]), &theirs];
        sums.iter_mut().zip(ways).for_each(|(sum, names)| *sum += share(names));
    }
    for (kind, (count, sums)) in found {
        let [words, meaning, registry] = sums.map(|sum| 100.0 * sum / count);
        report.add_pairs(&format!("registry: found by words, {count:.0} by {kind}"), "%", &[(words, registry)])?;
        if by_meaning.is_some() {
            let what = format!("registry: found by meaning, {count:.0} by {kind}");
            report.add_pairs(&what, "%", &[(meaning, words)])?;
        }
    }
    Ok(())
}

/// A row as the official registry has it.
fn listed(server: Value) -> Value {
    let time = "2026-01-02T03:04:05Z";
    let official = json!({"status": "active", "publishedAt": time, "updatedAt": time, "isLatest": true});
    json!({"server": server, "_meta": {"io.modelcontextprotocol.registry/official": official}})
}

/// A row of the usual size.
fn made(at: usize) -> Value {
    // Steps that have nothing to do with each other.
    let word = |step: usize| NAME_WORDS[(at * step + at / NAME_WORDS.len()) % NAME_WORDS.len()];
    let name = format!("io.github.acme{:05}/{}-{}-mcp", at / 3, word(7), word(11));
    let description = format!(
        "Reads and writes your {} and {} with {}, for {} and for everybody who has a {}",
        word(3),
        word(5),
        word(13),
        word(17),
        word(19)
    );
    let key = json!({"name": "API_KEY", "description": "The key", "isRequired": true, "isSecret": true});
    let package = json!({"registryType": "npm", "identifier": format!("@acme{}/{}", at / 3, word(7)),
        "version": "1.0.0", "transport": {"type": "stdio"}, "environmentVariables": [key]});
    listed(json!({"name": name, "description": description, "version": format!("1.0.{}", at % 3),
        "repository": {"url": format!("https://github.com/acme{}/x", at / 3), "source": "github"},
        "packages": [package]}))
}

/// A home that knows one registry, on loopback.
struct RegistryHome {
    aiw: PathBuf,
    home: tempfile::TempDir,
    servers: usize,
    _server: Option<Server>,
}

impl RegistryHome {
    fn new(aiw: &Path, servers: usize, row: impl Fn(usize) -> Value + Send + Sync + 'static) -> Result<Self> {
        let server = Server::start(move |request| page(request, servers, &row));
        let machine = Self::bare(aiw)?;
        let sources = json!({"version": 1, "sources": {"registry-official": {"base_url": server.url()}}});
        fs::write(machine.home.path().join("settings.json"), sources.to_string())?;
        let ranks = "sources:\n  registry-smithery: {enabled: false}\n";
        fs::write(machine.home.path().join("registry.yaml"), ranks)?;
        Ok(Self { servers, _server: Some(server), ..machine })
    }

    /// A home as it is at first.
    fn bare(aiw: &Path) -> Result<Self> {
        Ok(Self { aiw: aiw.to_owned(), home: tempfile::tempdir()?, servers: 0, _server: None })
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

    /// Ranks by meaning from now on, with the real model where `cargo xtask setup --tests` puts it.
    fn use_model(&self) -> Result<bool> {
        let (Some(model), Some(runtime)) = (real_model("all-MiniLM-L6-v2"), onnx_runtime()) else { return Ok(false) };
        let mut command = self.aiw(&["model", "use"]);
        let status = command.arg(model).arg("--runtime").arg(runtime).stdout(Stdio::null()).status()?;
        ensure!(status.success(), "the model can't be used");
        Ok(true)
    }

    /// Fills the copy. Returns how long that took, and the number of pages.
    fn fill(&self) -> Result<(Duration, u32)> {
        let start = Instant::now();
        loop {
            let output = self.aiw(&["mcp", "search", "x", "--json"]).stderr(Stdio::null()).output()?;
            let said: Value = serde_json::from_slice(&output.stdout).context("the search printed no JSON")?;
            let source = &said["sources"][0];
            if let Some(copied) = source["cached_servers"].as_u64() {
                ensure!(copied == self.servers as u64, "the copy has {copied} servers of {}", self.servers);
                return Ok((start.elapsed(), u32::try_from(self.servers.div_ceil(100))?));
            }
            if start.elapsed() > Duration::from_secs(600) {
                bail!("the copy is not whole after ten minutes: {source}");
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

/// A page as the official registry gives it.
fn page(request: &Request, servers: usize, row: impl Fn(usize) -> Value) -> Answer {
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
    let page: Vec<Value> = (start..(start + limit).min(servers)).map(row).collect();
    let mut metadata = json!({"count": page.len()});
    if start + limit < servers {
        metadata["nextCursor"] = json!((start + limit).to_string());
    }
    Answer::ok(json!({"servers": page, "metadata": metadata}).to_string())
}
