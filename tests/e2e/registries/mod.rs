//! Registries of MCP servers: the real components against a registry on loopback.

mod asked;
mod crash;
mod hostile;
mod install;
mod keeping;
mod real;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aiw_tests::{Answer, Environment, Request, Server};
use serde_json::{Value, json};

use crate::terminal::Terminal;

/// Rows of the registry, by name: the newest version of each server.
type Rows = Arc<Mutex<Vec<Value>>>;

/// A registry with the API of the official one, which gives two servers a page.
pub struct Registry {
    pub rows: Rows,
    pub server: Option<Server>,
}

/// When rows changed last, unless they say otherwise.
const LONG_AGO: &str = "2026-01-02T03:04:05Z";

/// A row as the official registry has it.
pub fn row(server: &Value) -> Value {
    let official = json!({"status": "active", "publishedAt": LONG_AGO, "updatedAt": LONG_AGO, "isLatest": true});
    json!({"server": server, "_meta": {"io.modelcontextprotocol.registry/official": official}})
}

/// A server that is reached at an address, and does nothing.
pub fn remote(name: &str, description: &str, version: &str) -> Value {
    let url = format!("https://{}.example/mcp", name.rsplit('/').next().unwrap_or(name));
    row(&json!({"name": name, "description": description, "version": version,
        "remotes": [{"type": "streamable-http", "url": url}]}))
}

fn official(row: &Value) -> &Value {
    &row["_meta"]["io.modelcontextprotocol.registry/official"]
}

fn parameter(request: &Request, name: &str) -> Option<String> {
    let pairs = request.query.split('&').filter_map(|pair| pair.split_once('='));
    let found = pairs.into_iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| value.replace("%3A", ":").replace("%2F", "/").replace("%20", " ").replace('+', " "))
}

fn answered(request: &Request, rows: &[Value]) -> Answer {
    let path = request.path.replace("%2F", "/").replace("%40", "@");
    if let Some(rest) = path.strip_prefix("/v0.1/servers/") {
        let Some((name, version)) = rest.split_once("/versions/") else { return Answer::status(404) };
        let fits = |row: &&Value| {
            let is_version = version == "latest" || row["server"]["version"] == version;
            row["server"]["name"] == name && is_version && official(row)["status"] != "deleted"
        };
        return match rows.iter().find(fits) {
            Some(row) => Answer::ok(row.to_string()),
            None => Answer::Plain(
                404,
                Vec::new(),
                br#"{"title":"Not Found","status":404,"detail":"Server not found"}"#.into(),
            ),
        };
    }
    if path != "/v0.1/servers" {
        return Answer::status(404);
    }
    let since = parameter(request, "updated_since");
    let search = parameter(request, "search").unwrap_or_default();
    let wanted = |row: &&Value| {
        let changed = official(row)["updatedAt"].as_str().unwrap_or_default();
        match &since {
            Some(since) => changed >= since.as_str(),
            None => official(row)["status"] != "deleted",
        }
    };
    let matches = |row: &&Value| {
        let text = format!("{} {}", row["server"]["name"], row["server"]["description"]);
        text.to_lowercase().contains(&search.to_lowercase())
    };
    let all: Vec<&Value> = rows.iter().filter(wanted).filter(matches).collect();
    let start: usize = parameter(request, "cursor").and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
    let page: Vec<&Value> = all.iter().skip(start).take(2).copied().collect();
    let mut metadata = json!({"count": page.len()});
    if start + 2 < all.len() {
        metadata["nextCursor"] = json!((start + 2).to_string());
    }
    Answer::ok(json!({"servers": page, "metadata": metadata}).to_string())
}

impl Registry {
    pub fn start(rows: Vec<Value>) -> Self {
        Self::with_files(rows, BTreeMap::new())
    }

    /// A registry that also has files, by path.
    pub fn with_files(rows: Vec<Value>, files: BTreeMap<&'static str, Vec<u8>>) -> Self {
        let rows: Rows = Arc::new(Mutex::new(rows));
        let known = rows.clone();
        let server = Server::start(move |request| match files.get(request.path.as_str()) {
            Some(file) => Answer::ok(file.clone()),
            None => answered(request, &known.lock().unwrap()),
        });
        Self { rows, server: Some(server) }
    }

    pub fn url(&self) -> String {
        self.server.as_ref().unwrap().url()
    }
}

/// A machine on which the official registry's component reads the one on loopback, and no other is asked.
pub fn machine(registry: &str) -> Environment {
    let mut env = Environment::new();
    env.set("AIW_HOME", env.home().display().to_string());
    env.settings(&json!({"sources": {"registry-official": {"base_url": registry}}}));
    std::fs::write(env.home().join("registry.yaml"), "sources:\n  registry-smithery: {enabled: false}\n").unwrap();
    env
}

/// Searches until the copy answers.
pub fn until_copied(env: &Environment, query: &str) -> Value {
    let begun = Instant::now();
    loop {
        let found = env.json(&["mcp", "search", query]);
        if found["sources"][0]["cached_servers"].is_u64() {
            return found;
        }
        assert!(begun.elapsed() < aiw_tests::HANG_TIMEOUT, "{found}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

pub fn names(found: &Value) -> Vec<&str> {
    found["servers"].as_array().unwrap().iter().map(|server| server["name"].as_str().unwrap()).collect()
}

fn weather() -> Vec<Value> {
    vec![
        remote("io.github.acme/weather", "Forecasts for any place", "1.0.0"),
        remote("io.github.acme/notes", "Takes notes, about the weather too", "1.0.0"),
        remote("com.other/forecaster", "Tomorrow's temperature", "2.0.0"),
        remote("com.other/postgres", "Queries a database", "0.3.0"),
        remote("io.github.last/files", "Reads and writes files", "1.1.0"),
    ]
}

#[test]
fn a_search_asks_the_registry_until_its_copy_is_whole_and_then_the_copy() {
    let mut registry = Registry::start(weather());
    let env = machine(&registry.url());
    let live = env.json(&["mcp", "search", "weather"]);
    assert_eq!(names(&live), ["io.github.acme/weather", "io.github.acme/notes"]);
    assert!(live["sources"][0].get("cached_servers").is_none(), "{live}");
    // The copy knows beginnings of words, which the registry's own search matches anywhere.
    let copied = until_copied(&env, "forec");
    assert_eq!(names(&copied), ["com.other/forecaster", "io.github.acme/weather"]);
    assert_eq!(copied["sources"][0]["cached_servers"], 5);
    // Without a network too.
    registry.server = None;
    let offline = env.json(&["mcp", "search", "database"]);
    assert_eq!(names(&offline), ["com.other/postgres"]);
    let shown = env.run(&["mcp", "search", "files"]).ok();
    assert!(shown.stdout.contains("io.github.last/files") && shown.stdout.contains("http"), "{}", shown.whole());
    assert_eq!(shown.stderr, "");
}

#[test]
fn a_registry_that_does_not_answer_is_named_and_hides_nothing() {
    let good = Registry::start(weather());
    let bad = Server::start(|_| Answer::status(500));
    let env = machine(&good.url());
    env.settings(&json!({"sources": {
        "registry-official": {"base_url": good.url()}, "registry-smithery": {"base_url": bad.url()}}}));
    std::fs::remove_file(env.home().join("registry.yaml")).unwrap();
    let run = env.run(&["mcp", "search", "postgres"]).ok();
    assert!(run.stdout.contains("com.other/postgres"), "{}", run.whole());
    assert!(run.stderr.contains("registry-smithery did not answer"), "{}", run.whole());
    let found = env.json(&["mcp", "search", "postgres"]);
    let problems: BTreeMap<&str, bool> = found["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|source| (source["source"].as_str().unwrap(), source.get("problem").is_some()))
        .collect();
    assert_eq!(problems, BTreeMap::from([("registry-official", false), ("registry-smithery", true)]));
    // Where none has answered, nobody knows whether a server matches, and no copy will know it in a minute.
    let run = env.run(&["mcp", "search", "postgres", "--source", "registry-smithery"]);
    assert_eq!((run.code, run.stdout.as_str()), (69, ""), "{}", run.whole());
    assert!(
        run.stderr.contains("registry-smithery did not answer") && !run.stderr.contains("in a minute"),
        "{}",
        run.whole()
    );
    let run = env.run(&["mcp", "search", "no-such-thing"]).ok();
    assert!(run.stdout.contains("No server matches"), "{}", run.whole());
    assert_eq!(env.run(&["mcp", "search", "x", "--source", "nowhere"]).code, 2);
}

#[test]
fn a_silent_registry_does_not_hold_up_what_is_there() {
    let good = Registry::start(weather());
    let env = machine(&good.url());
    until_copied(&env, "weather");
    let silent = Server::start(|_| Answer::Silence);
    env.settings(&json!({"sources": {
        "registry-official": {"base_url": good.url()}, "registry-smithery": {"base_url": silent.url()}}}));
    std::fs::remove_file(env.home().join("registry.yaml")).unwrap();
    let run = env.run(&["mcp", "search", "postgres"]).ok();
    assert!(run.stdout.contains("com.other/postgres"), "{}", run.whole());
    assert!(run.stderr.contains("`registry-smithery` gave no answer within 1 s"), "{}", run.whole());
    // Where nothing is found without it, it has its time.
    let run = env.run(&["mcp", "search", "no-such-thing"]).ok();
    assert!(run.stdout.contains("No server matches") && !run.stderr.contains("within 1 s"), "{}", run.whole());
}

#[test]
fn a_registry_without_a_feed_is_searched_offline_by_what_earlier_searches_found() {
    let rows = json!({"servers": [
        {"qualifiedName": "acme/weather", "displayName": "Weather", "description": "Forecasts for any place"},
        {"qualifiedName": "acme/ledger", "displayName": "Ledger", "description": "Invoices and other accounting"},
    ]});
    let smithery = Server::start(move |_| Answer::ok(rows.to_string()));
    let env = machine("http://127.0.0.1:1");
    env.settings(&json!({"sources": {"registry-smithery": {"base_url": smithery.url()}}}));
    std::fs::write(env.home().join("registry.yaml"), "sources:\n  registry-official: {enabled: false}\n").unwrap();
    assert_eq!(names(&env.json(&["mcp", "search", "business"])).len(), 2);
    drop(smithery);
    // In words that no search had.
    let run = env.run(&["mcp", "search", "accounting"]).ok();
    assert!(run.stdout.contains("acme/ledger") && !run.stdout.contains("acme/weather"), "{}", run.whole());
    assert!(run.stderr.contains("found by earlier searches"), "{}", run.whole());
    let found = env.json(&["mcp", "search", "invoices"]);
    assert_eq!((names(&found), &found["sources"][0]["found"]), (vec!["acme/ledger"], &json!(1)));
    assert!(found["sources"][0]["problem"].is_string(), "{found}");
    // A row of a list does not say how its server is reached.
    assert_eq!(env.run(&["mcp", "install", "acme/ledger", "--yes"]).code, 69);
    assert_eq!(env.run(&["mcp", "search", "something-else"]).code, 69);
}

#[test]
fn a_first_copy_that_fails_is_not_an_empty_registry() {
    let registry = Registry::start(weather());
    let env = machine("http://127.0.0.1:1");
    let run = env.run(&["mcp", "search", "weather"]);
    assert_eq!(run.code, 69, "{}", run.whole());
    assert!(run.stderr.contains("no registry could be asked, and there is no copy of one"), "{}", run.whole());
    assert!(!run.whole().contains("No server matches"), "{}", run.whole());
    let found = env.run(&["mcp", "search", "weather", "--json"]);
    let found: Value = serde_json::from_str(&found.stdout).unwrap();
    assert!(found["sources"][0]["problem"].is_string(), "{found:#}");
    // As soon as it can be reached, it answers.
    env.settings(&json!({"sources": {"registry-official": {"base_url": registry.url()}}}));
    assert!(!names(&env.json(&["mcp", "search", "weather"])).is_empty());
}

#[test]
fn a_copy_follows_new_changed_withdrawn_and_deleted_servers() {
    let registry = Registry::start(weather());
    let env = machine(&registry.url());
    until_copied(&env, "weather");
    {
        let mut rows = registry.rows.lock().unwrap();
        let now = "2026-03-01T00:00:00Z";
        let touch =
            |row: &mut Value| row["_meta"]["io.modelcontextprotocol.registry/official"]["updatedAt"] = now.into();
        rows[0]["server"]["description"] = "Blizzards".into();
        rows[1]["_meta"]["io.modelcontextprotocol.registry/official"]["status"] = "deleted".into();
        let mut new = remote("io.github.new/blizzard", "New", "1.0.0");
        touch(&mut new);
        rows.push(new);
        (0..2).for_each(|at| touch(&mut rows[at]));
    }
    age_copy(&env);
    let begun = Instant::now();
    loop {
        let found = env.json(&["mcp", "search", "blizzard"]);
        if names(&found) == ["io.github.new/blizzard", "io.github.acme/weather"] {
            break;
        }
        assert!(begun.elapsed() < aiw_tests::HANG_TIMEOUT, "{found}");
        std::thread::sleep(Duration::from_millis(100));
    }
    let found = env.json(&["mcp", "search", "notes"]);
    assert_eq!((names(&found), &found["sources"][0]["cached_servers"]), (Vec::new(), &json!(5)));
}

/// Makes a copy two hours old, if there is one.
pub fn age_copy(env: &Environment) {
    let path = env.home().join("cache/registries/registry-official-v2.db");
    let script = "
import sqlite3, sys
copy = sqlite3.connect(sys.argv[1], timeout=30)
if copy.execute(\"SELECT count(*) FROM sqlite_schema WHERE name = 'state'\").fetchone()[0]:
    copy.execute('UPDATE state SET finished = finished - 7200000, begun = begun - 7200000')
    copy.commit()
";
    if path.exists() {
        let done = std::process::Command::new("python3").args(["-c", script]).arg(&path).status().unwrap();
        assert!(done.success());
    }
}

#[test]
fn info_shows_what_the_registry_says_and_from_the_copy_if_it_cannot_be_asked() {
    let mut registry = Registry::start(weather());
    let env = machine(&registry.url());
    let info = env.json(&["mcp", "info", "com.other/postgres"]);
    assert_eq!(info["server"]["version"], "0.3.0");
    assert_eq!(env.run(&["mcp", "info", "com.other/nothing"]).code, 2);
    until_copied(&env, "weather");
    registry.server = None;
    let run = env.run(&["mcp", "info", "com.other/postgres"]).ok();
    assert!(run.stderr.starts_with("note: this is from the local copy: "), "{}", run.whole());
    assert!(run.stdout.contains("publisher: com.other"), "{}", run.whole());
    assert_eq!(env.run(&["mcp", "info", "com.other/nothing"]).code, 69, "it may be there");
}

#[test]
fn servers_whose_names_look_alike_have_each_their_number_and_say_whose_they_are() {
    let of = |name: &str, owner: &str| {
        let mut row = remote(name, "Forecasts", "1.0.0");
        row["server"]["remotes"][0]["url"] = json!("https://weather.example/mcp");
        row["server"]["repository"] = json!({"url": format!("https://github.com/{owner}/weather"), "source": "github"});
        row
    };
    let registry = Registry::start(vec![of("io.github.Acme/weather", "Acme"), of("io.github.acme/weather", "acme")]);
    let env = machine(&registry.url());
    let run = env.run(&["mcp", "search", "weather"]).ok();
    let lines: Vec<&str> = run.stdout.lines().skip(1).collect();
    assert!(lines.len() == 2 && lines[0].starts_with("1  io.github.acme/weather "), "{}", run.whole());
    assert!(lines[1].starts_with("2  io.github.Acme/weather "), "{}", run.whole());
    let said = "note: 2 looks like 1: it is `io.github.Acme/weather` of registry-official, published by `io.github.Acme`, \
                source code: https://github.com/Acme/weather";
    assert!(run.stderr.contains(said), "{}", run.whole());
    let found = env.json(&["mcp", "search", "weather"]);
    assert_eq!(found["servers"][0]["confusable_with"], json!(["registry-official io.github.Acme/weather"]), "{found}");
    // The number is that of the server that is shown beside it.
    let mut terminal = Terminal::start(&env, &["mcp", "search", "weather"]);
    terminal.wait("the question", |shown| shown.contains("Install which one?"));
    terminal.press("2\r");
    terminal.wait("the server", |shown| shown.contains("publisher: io.github.Acme"));
    terminal.press("\u{3}");
}

#[test]
fn a_vendors_own_server_comes_first_from_the_registry_and_from_its_copy() {
    let registry = Registry::start(vec![
        remote("ai.hosting/someone-acme", "Acme for Acme: the Acme MCP server", "1.0.0"),
        remote("com.acme/mcp", "Our server", "1.0.0"),
        remote("io.github.someone/acme", "Acme, acme and acme", "1.0.0"),
    ]);
    let env = machine(&registry.url());
    assert_eq!(names(&env.json(&["mcp", "search", "acme"]))[0], "com.acme/mcp");
    assert_eq!(names(&until_copied(&env, "Acme MCP server"))[0], "com.acme/mcp");
}

#[test]
fn a_name_that_no_server_has_is_answered_with_those_that_could_be_meant() {
    let registry = Registry::start(weather());
    let env = machine(&registry.url());
    for command in ["install", "info"] {
        for name in ["weather", "io.github.Acme/weather", "acme/weather-mcp"] {
            let run = env.run(&["mcp", command, name]);
            assert_eq!(run.code, 2, "{}", run.whole());
            assert!(run.stderr.contains("did you mean `io.github.acme/weather`?"), "{}", run.whole());
        }
        let run = env.run(&["mcp", command, "nothing-like-it"]);
        assert!(run.code == 2 && run.stderr.contains("`aiw mcp search` finds names"), "{}", run.whole());
    }
}
