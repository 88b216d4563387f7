//! `aiw plugin search` and `info`: what they find, and what they read for it.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aiw_tests::{Answer, Environment, Market, Server};
use serde_json::{Value, json};

use super::{hub, install, market, point, publish, whole};

#[test]
fn a_name_that_several_markets_have_must_be_whole() {
    let (env, _market) = market(&[("a", json!({"a": {"command": "true"}}))]);
    let other = Market::new(env.path("n"), "n").plugin("a", "1.0.0", json!({"a": {"command": "other"}}));
    env.add(other.root()).ok();
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "install", "a", "--yes"])), @"
    ------- stderr -------
    error: several marketplaces have a plugin `a`
    hint: name one of `a@m`, `a@n`
    ------- exit code 2 -------
    ");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "install", "aa", "--yes"])), @"
    ------- stderr -------
    error: there is no plugin `aa`
    hint: marketplace `claude-plugins-official` is not fetched yet: `aiw plugin marketplace update claude-plugins-official`
    ------- exit code 2 -------
    ");
    install(&env, "a@n");
}

#[test]
fn a_plugin_without_servers_is_hidden_and_says_what_it_brings() {
    let (env, market) = market(&[("a", json!({"a": {"command": "true"}}))]);
    let _market = market
        .file("plugins/b/skills/x/SKILL.md", "")
        .file("plugins/b/commands/x.md", "")
        .file("plugins/b/agents/x.md", "")
        .file("plugins/b/hooks/hooks.json", "{}")
        .file("plugins/b/.lsp.json", "{}")
        .entry(json!({"name": "b", "source": "./plugins/b"}));
    env.run(&["plugin", "marketplace", "update", "m"]).ok();
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "search"])), @"
      PLUGIN  BRINGS  DESCRIPTION
      a@m     mcp     The plugin a
    ------- stderr -------
    hidden: 1 without MCP servers (`--all` shows them)
    marketplace `claude-plugins-official` is not fetched yet: `aiw plugin marketplace update claude-plugins-official`
    ------- exit code 0 -------
    ");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "search", "--all"])), @"
      PLUGIN  BRINGS                            DESCRIPTION
      a@m     mcp                               The plugin a
      b@m     skills commands agents hooks lsp
    ------- stderr -------
    marketplace `claude-plugins-official` is not fetched yet: `aiw plugin marketplace update claude-plugins-official`
    ------- exit code 0 -------
    ");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "install", "b", "--yes"])), @"
    ------- stderr -------
    error: plugin `b@m` brings no MCP server; it brings skills, commands, agents, hooks, lsp
    hint: install it with `claude plugin install`, which installs the rest
    ------- exit code 2 -------
    ");
}

#[test]
fn a_search_wants_all_words_and_puts_names_first() {
    let entry = |name: &str, description: &str, category: &str, tags: &[&str]| json!({"name": name, "source": "./plugins/a", "description": description, "category": category, "tags": tags});
    let (env, market) = market(&[("a", json!({"a": {"command": "true"}}))]);
    let _market = market
        .entry(entry("notes", "Keeps what you write", "productivity", &[]))
        .entry(entry("editor", "Edits notes and tables", "development", &["text"]))
        .entry(entry("my-notes-sync", "Copies", "productivity", &[]));
    env.run(&["plugin", "marketplace", "update", "m"]).ok();
    let found = |arguments: &[&str]| {
        let answer = env.json(&[&["plugin", "search"], arguments].concat());
        let names = answer["plugins"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(found(&["notes"]), ["notes", "my-notes-sync", "editor"]);
    assert_eq!(found(&["NOTES", "tables"]), ["editor"]);
    assert_eq!(found(&["text"]), ["editor"]);
    assert_eq!(found(&["--category", "Productivity"]), ["my-notes-sync", "notes"]);
    assert_eq!(found(&["nothing", "at", "all"]), [""; 0]);
    assert_eq!(found(&["--market", "m"]).len(), 4);
    assert_eq!(env.run(&["plugin", "search", "--market", "nope"]).code, 2);
}

/// Publishes a repository `o/NAME` with these files. Returns the commit.
fn remote(env: &Environment, name: &str, files: &[(&str, &str)]) -> String {
    let directory = env.path(name);
    for (path, text) in files {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    publish(env, &directory, &format!("o/{name}"))
}

fn raw_reads(server: &Server, name: &str) -> Vec<String> {
    let prefix = format!("GET /raw/o/{name}/");
    let mut reads: Vec<_> =
        server.seen().into_iter().filter_map(|r| r.strip_prefix(&prefix).map(str::to_owned)).collect();
    reads.sort();
    reads
}

#[test]
fn a_pinned_entry_is_inspected_by_two_reads_and_a_third_where_plugin_json_names_a_file() {
    let env = Environment::new();
    let two = remote(
        &env,
        "two",
        &[
            (".claude-plugin/plugin.json", r#"{"name": "two", "version": "1.1.0"}"#),
            (".mcp.json", r#"{"two": {"command": "x"}}"#),
        ],
    );
    let three = remote(
        &env,
        "three",
        &[
            ("p/.claude-plugin/plugin.json", r#"{"name": "three", "mcpServers": "./s.json"}"#),
            ("p/s.json", r#"{"three": {"type": "http", "url": "https://h"}}"#),
        ],
    );
    let none = remote(&env, "none", &[("README.md", "")]);
    let server = Server::start(hub(&env));
    point(&env, &server, true);
    let market = Market::new(env.path("m"), "m")
        .entry(json!({"name": "two", "source": {"source": "github", "repo": "o/two", "sha": two}}))
        .entry(json!({"name": "three", "source": {"source": "git-subdir", "url": "https://github.com/o/three.git", "path": "p", "ref": "main", "sha": three}}))
        .entry(json!({"name": "none", "source": {"source": "github", "repo": "o/none", "sha": none}}));
    insta::assert_snapshot!(whole(&env, &env.add(market.root())), @"
    Added marketplace m from [TMP]/m: 3 plugins
    2 of them bring MCP servers, 1 is not yet inspected
    ------- stderr -------
    ------- exit code 0 -------
    ");
    assert_eq!(raw_reads(&server, "two"), [format!("{two}/.claude-plugin/plugin.json"), format!("{two}/.mcp.json")]);
    assert_eq!(
        raw_reads(&server, "three"),
        [format!("{three}/p/.claude-plugin/plugin.json"), format!("{three}/p/.mcp.json"), format!("{three}/p/s.json")]
    );
    assert!(server.seen().iter().all(|request| request.starts_with("GET /raw/")), "{:?}", server.seen());

    let listed = env.json(&["plugin", "list", "--available", "--all"]);
    let plugins = listed["plugins"].as_array().unwrap();
    let found = |name: &str| plugins.iter().find(|p| p["name"] == name).unwrap();
    assert_eq!(found("two")["mcp_servers"], json!([{"name": "two", "type": "stdio"}]));
    assert_eq!(found("two")["version"], "1.1.0");
    assert_eq!(found("three")["mcp_servers"], json!([{"name": "three", "type": "http"}]));
    // No file at all says nothing about a plugin, because a private repository answers in the same way.
    assert_eq!(found("none")["mcp_servers"], Value::Null);
    // The plugins' other files were not read.
    assert!(plugins.iter().all(|p| p["contents"].is_null()));

    let before = (raw_reads(&server, "two").len(), raw_reads(&server, "three").len());
    env.run(&["plugin", "marketplace", "update", "m"]).ok();
    env.run(&["plugin", "marketplace", "remove", "m"]).ok();
    env.add(market.root()).ok();
    let after = (raw_reads(&server, "two").len(), raw_reads(&server, "three").len());
    assert_eq!(after, before, "a commit is read once and for good");
    assert_eq!(env.json(&["plugin", "list", "--available"])["plugins"].as_array().unwrap().len(), 2);
}

#[test]
fn an_entry_without_a_commit_is_resolved_by_listing_refs() {
    let env = Environment::new();
    let first = remote(&env, "r", &[(".mcp.json", r#"{"r": {"command": "one"}}"#)]);
    let server = Server::start(hub(&env));
    point(&env, &server, true);
    let market = Market::new(env.path("m"), "m")
        .entry(json!({"name": "r", "source": {"source": "github", "repo": "o/r", "ref": "main"}}));
    env.add(market.root()).ok();
    assert_eq!(raw_reads(&server, "r"), [format!("{first}/.claude-plugin/plugin.json"), format!("{first}/.mcp.json")]);
    assert!(server.seen().contains(&"GET /o/r.git/info/refs".to_owned()), "{:?}", server.seen());
    assert!(!server.seen().iter().any(|request| request.starts_with("POST")), "nothing is cloned: {:?}", server.seen());
    let found = env.json(&["plugin", "info", "r"]);
    assert_eq!(found["plugin"]["commit"], first.as_str());
}

#[test]
fn a_429_ends_the_round_and_is_said() {
    let env = Environment::new();
    let server = Server::start(|request| {
        if request.path.starts_with("/raw/") {
            Answer::Plain(429, vec![("retry-after".into(), "7".into())], Vec::new())
        } else {
            Answer::status(404)
        }
    });
    point(&env, &server, true);
    let mut market = Market::new(env.path("m"), "m").plugin("local", "1.0.0", json!({"local": {"command": "true"}}));
    for n in 0..100 {
        let sha = format!("{n:040x}");
        market =
            market.entry(json!({"name": format!("p{n}"), "source": {"source": "github", "repo": "o/r", "sha": sha}}));
    }
    insta::assert_snapshot!(whole(&env, &env.add(market.root())), @"
    Added marketplace m from [TMP]/m: 101 plugins
    1 of them brings MCP servers, 100 are not yet inspected
    ------- stderr -------
    inspecting plugins ended early: the host answers 429 (too many requests); try again in 7 s
    ------- exit code 0 -------
    ");
    assert!(server.seen().len() < 60, "the round went on: {}", server.seen().len());
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "search"])), @"
      PLUGIN   BRINGS  DESCRIPTION
      local@m  mcp     The plugin local
    ------- stderr -------
    hidden: 100 not yet inspected (`--all` shows them)
    ------- exit code 0 -------
    ");
}

#[test]
fn an_entry_that_nobody_looked_into_is_installed_all_the_same() {
    let env = Environment::new();
    let sha = remote(&env, "r", &[(".mcp.json", r#"{"r": {"command": "one"}}"#)]);
    let server = Server::start(hub(&env));
    point(&env, &server, true);
    let market = Market::new(env.path("m"), "m")
        .entry(json!({"name": "r", "source": {"source": "github", "repo": "o/r", "sha": sha}}));
    env.run(&["plugin", "marketplace", "add", &market.root().display().to_string(), "--no-inspect"]).ok();
    assert_eq!(server.seen(), [""; 0]);
    let listed = env.json(&["plugin", "list", "--available", "--all"]);
    assert_eq!(listed["plugins"][0]["mcp_servers"], Value::Null);
    install(&env, "r");
    assert_eq!(env.mcp()["mcpServers"]["r"]["command"], "one");
}

#[test]
fn a_market_of_300_remote_entries_is_usable_at_once_where_their_host_is_away() {
    let env = Environment::new();
    let server = Server::start(|_| Answer::status(404));
    let url = server.url();
    drop(server);
    env.settings(
        &json!({"extraKnownMarketplaces": {}, "sources": {"market-github": {"base_url": url, "raw_url": url}}}),
    );
    let mut market = Market::new(env.path("m"), "m").plugin("local", "1.0.0", json!({"local": {"command": "true"}}));
    for n in 0..300 {
        let sha = format!("{n:040x}");
        market =
            market.entry(json!({"name": format!("p{n}"), "source": {"source": "github", "repo": "o/r", "sha": sha}}));
    }
    let run = env.add(market.root()).ok();
    assert!(run.stdout.contains("300 are not yet inspected"), "{}", run.whole());
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.whole());
    install(&env, "local");
}

#[test]
fn what_is_installed_was_inspected() {
    let env = Environment::new();
    let sha = remote(&env, "r", &[(".mcp.json", r#"{"r": {"command": "one"}}"#), ("skills/x/SKILL.md", "")]);
    let server = Server::start(hub(&env));
    point(&env, &server, true);
    let market = Market::new(env.path("m"), "m")
        .entry(json!({"name": "r", "source": {"source": "github", "repo": "o/r", "sha": sha}}));
    env.run(&["plugin", "marketplace", "add", &market.root().display().to_string(), "--no-inspect"]).ok();
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "search"])), @"
    No plugins
    ------- stderr -------
    hidden: 1 not yet inspected (`--all` shows them)
    ------- exit code 0 -------
    ");
    install(&env, "r");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "search"])), @"
      PLUGIN  BRINGS      DESCRIPTION
    ✓ r@m     mcp skills
    ------- stderr -------
    ------- exit code 0 -------
    ");
    let listed = env.json(&["plugin", "search"]);
    assert_eq!(listed["plugins"][0]["mcp_servers"], json!([{"name": "r", "type": "stdio"}]));
    // Even where the listing lost it.
    env.run(&["plugin", "marketplace", "remove", "m"]).ok();
    env.run(&["plugin", "marketplace", "add", &market.root().display().to_string(), "--no-inspect"]).ok();
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "search"])), @"
      PLUGIN  BRINGS  DESCRIPTION
    ✓ r@m     mcp
    ------- stderr -------
    ------- exit code 0 -------
    ");
}

#[test]
fn a_host_that_does_not_answer_holds_up_nothing_and_the_next_look_goes_on() {
    let env = Environment::new();
    let sha = remote(&env, "r", &[(".mcp.json", r#"{"r": {"command": "one"}}"#)]);
    let backend = hub(&env);
    let is_away = Arc::new(AtomicBool::new(true));
    let away = is_away.clone();
    let server = Server::start(move |request| match away.load(Ordering::Relaxed) {
        true => Answer::Silence,
        false => backend(request),
    });
    point(&env, &server, true);
    let market = Market::new(env.path("m"), "m")
        .plugin("local", "1.0.0", json!({"local": {"command": "true"}}))
        .entry(json!({"name": "r", "source": {"source": "github", "repo": "o/r", "sha": sha}}));
    let note = "some plugins could not be inspected within 1 s; `aiw plugin marketplace update m` goes on, and waits \
                longer on a terminal";
    let run = env.add(market.root()).ok();
    assert_eq!(run.stderr.trim_end(), note, "{}", run.whole());
    let run = env.run(&["plugin", "marketplace", "update", "m"]).ok();
    assert_eq!(run.stderr.trim_end(), format!("m: {note}"), "{}", run.whole());
    is_away.store(false, Ordering::Relaxed);
    env.run(&["plugin", "marketplace", "update", "m"]).ok();
    let names = env.json(&["plugin", "search"])["plugins"].as_array().unwrap().len();
    assert_eq!(names, 2);
}

#[test]
fn a_mistyped_word_finds_what_was_meant_and_what_is_not_installed_is_said() {
    let env = Environment::cold();
    let market = Market::new(env.path("m"), "m")
        .plugin("calendar", "1.0.0", json!({"calendar": {"command": "x"}}))
        .file("plugins/calendar/skills/x/SKILL.md", "")
        .file("plugins/calendar/commands/c.md", "");
    env.add(market.root()).ok();
    for word in ["calender", "clendar", "calnedar"] {
        let found = env.run(&["plugin", "search", "--all", word]).ok().stdout;
        assert!(found.contains("calendar"), "{word}: {found}");
    }
    assert!(!env.run(&["plugin", "search", "--all", "columbus"]).stdout.contains("calendar"));
    let installed = env.run(&["plugin", "install", "calendar", "--yes"]).ok();
    assert!(
        installed.stderr.contains("its skills and commands are not installed: aiw installs MCP servers"),
        "{}",
        installed.whole()
    );
}
