//! From adding a marketplace to removing a plugin, as a user goes through it.

use std::fs;
use std::path::{Path, PathBuf};

use aiw_tests::{Answer, Environment, Market, Request, Run, Server, commit_all, git, git_backend};
use serde_json::{Value, json};

fn whole(env: &Environment, run: &Run) -> String {
    env.stable(&run.whole())
}

/// A home with the market `m`, which has these plugins at version 1.0.0.
fn market(plugins: &[(&str, Value)]) -> (Environment, Market) {
    let env = Environment::new();
    let mut market = Market::new(env.path("m"), "m");
    for (name, servers) in plugins {
        market = market.plugin(name, "1.0.0", servers.clone());
    }
    env.add(market.root()).ok();
    (env, market)
}

fn install(env: &Environment, plugin: &str) -> Run {
    env.run(&["plugin", "install", plugin, "--yes"]).ok()
}

/// The names of a JSON object's keys, in order.
fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// A bare repository `srv/OWNER/NAME.git` made of a directory; the commit.
fn publish(env: &Environment, directory: &Path, repository: &str) -> String {
    let commit = commit_all(directory);
    let bare = env.path("srv").join(format!("{repository}.git"));
    if bare.exists() {
        git(directory, &["push", "-q", "--force", "--tags", &bare.display().to_string(), "HEAD:main"]);
    } else {
        fs::create_dir_all(bare.parent().unwrap()).unwrap();
        git(directory, &["clone", "-q", "--bare", ".", &bare.display().to_string()]);
    }
    commit
}

/// What GitHub is: git below `/`, single files of a commit below `/raw`.
fn hub(env: &Environment) -> impl Fn(&Request) -> Answer + Send + Sync + 'static {
    let root = env.path("srv");
    fs::create_dir_all(&root).unwrap();
    let backend = git_backend(root.clone());
    move |request| match request.path.strip_prefix("/raw/") {
        None => backend(request),
        Some(path) => {
            let parts: Vec<&str> = path.splitn(4, '/').collect();
            let [owner, repository, sha, file] = parts[..] else { return Answer::status(404) };
            let shown = std::process::Command::new("git")
                .args(["show", &format!("{sha}:{file}")])
                .current_dir(root.join(owner).join(format!("{repository}.git")))
                .output()
                .unwrap();
            if shown.status.success() { Answer::ok(shown.stdout) } else { Answer::status(404) }
        }
    }
}

/// Points GitHub at a loopback server.
fn point(env: &Environment, server: &Server, raw: bool) {
    let mut source = json!({"base_url": server.url()});
    if raw {
        source["raw_url"] = format!("{}/raw", server.url()).into();
    }
    env.settings(&json!({"extraKnownMarketplaces": {}, "sources": {"market-github": source}}));
}

/// Every file of the home that holds a text.
fn files_with(env: &Environment, text: &str) -> Vec<PathBuf> {
    let (mut ahead, mut found) = (vec![env.home(), env.user()], Vec::new());
    while let Some(dir) = ahead.pop() {
        for file in fs::read_dir(dir).unwrap().flatten() {
            let path = file.path();
            if path.is_dir() {
                ahead.push(path);
            } else if fs::read(&path).unwrap().windows(text.len()).any(|window| window == text.as_bytes()) {
                found.push(path);
            }
        }
    }
    found
}

// ---- adding a marketplace ----

#[test]
fn a_directory_is_added_and_listed() {
    let env = Environment::new();
    let market = Market::new(env.path("m"), "m").plugin("a", "1.2.3", json!({"a": {"command": "true"}}));
    insta::assert_snapshot!(whole(&env, &env.add(market.root())), @"
    Added marketplace m from [TMP]/m: 1 plugin
    1 of them brings MCP servers
    ------- stderr -------
    ------- exit code 0 -------
    ");
    let listed = env.run(&["plugin", "marketplace", "list"]).ok().stdout;
    let row: Vec<_> =
        listed.lines().last().unwrap().split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    assert_eq!(row, ["m", &market.root().display().to_string(), "1 plugin, 1 with MCP servers"]);
    let settings: Value = serde_json::from_str(&env.read("settings.json")).unwrap();
    let root = fs::canonicalize(market.root()).unwrap();
    assert_eq!(settings["extraKnownMarketplaces"]["m"], json!({"source": {"source": "directory", "path": root}}));
}

#[test]
fn a_relative_directory_is_kept_as_an_absolute_one() {
    let env = Environment::new();
    let _market = Market::new(env.path("m"), "m").plugin("a", "1.0.0", json!({"a": {"command": "true"}}));
    env.run(&["plugin", "marketplace", "add", "./m"]).ok();
    let settings: Value = serde_json::from_str(&env.read("settings.json")).unwrap();
    let path = settings["extraKnownMarketplaces"]["m"]["source"]["path"].as_str().unwrap().to_owned();
    assert!(Path::new(&path).is_absolute(), "{path}");
    install(&env, "a");
}

#[test]
fn a_path_to_a_marketplace_json_is_added_with_its_plugins() {
    let env = Environment::new();
    let market = Market::new(env.path("m"), "m").plugin("a", "1.0.0", json!({"a": {"command": "true"}}));
    env.add(&market.document_path()).ok();
    let settings: Value = serde_json::from_str(&env.read("settings.json")).unwrap();
    assert_eq!(settings["extraKnownMarketplaces"]["m"]["source"]["source"], "file");
    install(&env, "a");
    assert_eq!(env.mcp()["mcpServers"]["a"]["command"], "true");
}

#[test]
fn the_url_of_a_document_brings_its_remote_entries_and_not_its_relative_ones() {
    let env = Environment::new();
    let plugin = Market::new(env.path("far"), "far").file(".mcp.json", r#"{"far": {"command": "true"}}"#);
    publish(&env, plugin.root(), "o/far");
    let backend = hub(&env);
    let server = Server::start(move |request| match request.path.as_str() {
        "/m/marketplace.json" => {
            let host = &request.headers["host"];
            Answer::ok(
                json!({"name": "m", "owner": {"name": "T"}, "plugins": [
                    {"name": "far", "source": {"source": "url", "url": format!("http://{host}/o/far.git")}},
                    {"name": "near", "source": "./near"}
                ]})
                .to_string(),
            )
        }
        _ => backend(request),
    });
    let url = format!("{}/m/marketplace.json", server.url());
    let added = env.run(&["plugin", "marketplace", "add", &url, "--yes"]).ok();
    insta::assert_snapshot!(added.stderr, @"plugin `near` is left out: it cannot be read: `near` cannot be resolved: the marketplace was added by the URL of its JSON file; add its git repository instead");
    install(&env, "far");
    assert_eq!(env.mcp()["mcpServers"]["far"]["command"], "true");
}

#[test]
fn a_repository_is_added_over_smart_http_by_file_url_and_by_plain_path() {
    let env = Environment::new();
    let market = Market::new(env.path("m"), "m").plugin("a", "1.0.0", json!({"a": {"command": "true"}}));
    let commit = publish(&env, market.root(), "o/m");
    let server = Server::start(hub(&env));
    let bare = env.path("srv/o/m.git");
    for (name, reference) in
        [("http", format!("{}/o/m.git", server.url())), ("file", format!("file://{}", bare.display()))]
    {
        env.run(&["plugin", "marketplace", "add", &reference, "--name", name, "--yes"]).ok();
        let listed = env.json(&["plugin", "marketplace", "list"]);
        let added = listed["marketplaces"].as_array().unwrap().iter().find(|m| m["name"] == name).unwrap();
        assert_eq!((&added["revision"], &added["plugins"]), (&json!(commit), &json!(1)));
        let installed = env.json(&["plugin", "install", &format!("a@{name}"), "--yes"]);
        assert_eq!(installed["installed"][0]["commit"], commit.as_str());
    }
    // The same declaration from two markets is one entry.
    assert_eq!(keys(&env.mcp()["mcpServers"]), ["a"]);
}

#[test]
fn a_repository_of_github_is_read_at_the_branch_or_tag_that_is_named() {
    let env = Environment::new();
    let market = Market::new(env.path("m"), "m").plugin("a", "1.0.0", json!({"a": {"command": "true"}}));
    let first = commit_all(market.root());
    git(market.root(), &["tag", "v1"]);
    market.put("plugins/a/.claude-plugin/plugin.json", r#"{"name": "a", "version": "2.0.0"}"#);
    let second = publish(&env, market.root(), "o/m");
    let server = Server::start(hub(&env));
    point(&env, &server, false);
    for (name, arguments, revision, source) in [
        ("head", vec!["o/m"], &second, "github:o/m"),
        ("at", vec!["o/m@v1"], &first, "github:o/m#v1"),
        ("hash", vec!["o/m#v1"], &first, "github:o/m#v1"),
        ("flag", vec!["o/m", "--ref", "v1"], &first, "github:o/m#v1"),
        ("branch", vec!["o/m@main"], &second, "github:o/m#main"),
    ] {
        let fixed = ["plugin", "marketplace", "add", "--name", name];
        env.run(&fixed.into_iter().chain(arguments).collect::<Vec<_>>()).ok();
        let listed = env.json(&["plugin", "marketplace", "list"]);
        let added = listed["marketplaces"].as_array().unwrap().iter().find(|m| m["name"] == name).unwrap();
        assert_eq!((&added["revision"], &added["source"]), (&json!(revision), &json!(source)));
    }
    // An update stays at the ref.
    env.run(&["plugin", "marketplace", "update", "at"]).ok();
    let installed = env.json(&["plugin", "install", "a@at", "--yes"]);
    assert_eq!(installed["installed"][0]["version"], "1.0.0");
}

#[test]
fn gits_own_instead_of_is_followed() {
    let env = Environment::new();
    let market = Market::new(env.path("m"), "m").plugin("a", "1.0.0", json!({"a": {"command": "true"}}));
    publish(&env, market.root(), "o/m");
    let server = Server::start(hub(&env));
    env.git_config(&format!("[url \"{}/\"]\n\tinsteadOf = https://github.com/\n", server.url()));
    env.run(&["plugin", "marketplace", "add", "o/m"]).ok();
    install(&env, "a");
}

#[test]
fn the_same_name_from_the_same_source_updates_and_from_another_fails() {
    let (env, mut market) = market(&[("a", json!({"a": {"command": "true"}}))]);
    market.edit(|document| document["plugins"][0]["description"] = "new".into());
    insta::assert_snapshot!(whole(&env, &env.add(market.root())), @"
    Updated marketplace m from [TMP]/m: 1 plugin
    1 of them brings MCP servers
    ------- stderr -------
    ------- exit code 0 -------
    ");
    let listed = env.json(&["plugin", "list", "--available"]);
    assert_eq!(listed["plugins"][0]["description"], "new");

    let other = Market::new(env.path("other"), "m");
    let before = env.read("settings.json");
    insta::assert_snapshot!(whole(&env, &env.add(other.root())), @"
    ------- stderr -------
    error: a marketplace `m` is already there, from [TMP]/m
    hint: add it under another name with `--name NAME`
    ------- exit code 2 -------
    ");
    assert_eq!(env.read("settings.json"), before);
    env.run(&["plugin", "marketplace", "add", "./other", "--name", "n"]).ok();
    let listed = env.json(&["plugin", "marketplace", "list"]);
    let names: Vec<_> =
        listed["marketplaces"].as_array().unwrap().iter().map(|m| m["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["claude-plugins-official", "aiw-official", "m", "n"]);
}

#[test]
fn default_markets_are_present_not_fetched_and_removable() {
    let env = Environment::new();
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "marketplace", "list"])), @"
    claude-plugins-official  github:anthropics/claude-plugins-official  not fetched yet
    aiw-official             github:putao520/aiw-plugins                off
    ------- stderr -------
    ------- exit code 0 -------
    ");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "search", "x"])), @"
    No plugin matches
    ------- stderr -------
    marketplace `claude-plugins-official` is not fetched yet: `aiw plugin marketplace update claude-plugins-official`
    ------- exit code 0 -------
    ");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "install", "x", "--yes"])), @"
    ------- stderr -------
    error: there is no plugin `x`
    hint: marketplace `claude-plugins-official` is not fetched yet: `aiw plugin marketplace update claude-plugins-official`
    ------- exit code 2 -------
    ");
    env.run(&["plugin", "marketplace", "remove", "claude-plugins-official"]).ok();
    env.run(&["plugin", "marketplace", "remove", "aiw-official"]).ok();
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "marketplace", "list"])), @"
    No marketplaces; `aiw plugin marketplace add OWNER/REPO` adds one
    ------- stderr -------
    ------- exit code 0 -------
    ");
}

#[test]
fn a_market_that_is_removed_leaves_its_installed_plugins_and_says_so() {
    let (env, _market) = market(&[("a", json!({"a": {"command": "true"}}))]);
    install(&env, "a");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "marketplace", "remove", "m"])), @"
    Removed marketplace m
    ------- stderr -------
    its installed plugins stay: a@m
    ------- exit code 0 -------
    ");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "list"])), @"
    a@m  1.0.0  a
    ------- stderr -------
    ------- exit code 0 -------
    ");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "info", "a@m"])), @"
    a@m
      its marketplace does not list it any more
      installed: 1.0.0 since 2026-01-01T00:00:00Z, as a
    ------- stderr -------
    ------- exit code 0 -------
    ");
    env.run(&["plugin", "remove", "a"]).ok();
    assert_eq!(env.mcp(), json!({"mcpServers": {}}));
}

#[test]
fn a_rename_is_followed() {
    let (env, mut market) = market(&[("new", json!({"new": {"command": "true"}}))]);
    market.edit(|document| document["renames"] = json!({"old": "mid", "mid": "new", "gone": null}));
    env.run(&["plugin", "marketplace", "update", "m"]).ok();
    install(&env, "old@m");
    assert_eq!(env.json(&["plugin", "list"])["plugins"][0]["id"], "new@m");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "install", "gone", "--yes"])), @"
    ------- stderr -------
    error: plugin `gone` was taken out of its marketplace
    ------- exit code 2 -------
    ");
}

// ---- install, list, remove: whole outputs ----

#[test]
fn a_plugin_goes_from_search_to_remove() {
    let (env, _market) = market(&[
        (
            "tools",
            json!({
                "words": {"command": "python3", "args": ["${CLAUDE_PLUGIN_ROOT}/server.py", "two words"]},
                "tracker": {"type": "http", "url": "https://t.example/mcp", "headers": {"Authorization": "Bearer ${T_TOKEN}"}}
            }),
        ),
        ("other", json!({"other": {"command": "true"}})),
    ]);
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "search", "tools"])), @"
      tools@m  mcp  The plugin tools
    ------- stderr -------
    marketplace `claude-plugins-official` is not fetched yet: `aiw plugin marketplace update claude-plugins-official`
    ------- exit code 0 -------
    ");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "info", "tools"])), @"
    tools@m
      The plugin tools
      version: 1.0.0
      source: ./plugins/tools
      server words: stdio python3 ${CLAUDE_PLUGIN_ROOT}/server.py 'two words'
      server tracker: http https://t.example/mcp
        headers Authorization: Bearer ${T_TOKEN}
        reads T_TOKEN
    ------- stderr -------
    ------- exit code 0 -------
    ");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "install", "tools"])), @"
    tools@m 1.0.0 from ./plugins/tools
      words (stdio) runs: python3 ${CLAUDE_PLUGIN_ROOT}/server.py 'two words'
      tracker (http) reaches: https://t.example/mcp
        headers Authorization: Bearer ${T_TOKEN}
        reads T_TOKEN
    ------- stderr -------
    error: `Install tools@m?` needs an answer, and there is no terminal to ask on
    hint: answer with `--yes`
    ------- exit code 2 -------
    ");
    assert!(!env.home().join("mcp.json").exists());
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "install", "tools", "--yes"])), @"
    tools@m 1.0.0 from ./plugins/tools
      words (stdio) runs: python3 ${CLAUDE_PLUGIN_ROOT}/server.py 'two words'
      tracker (http) reaches: https://t.example/mcp
        headers Authorization: Bearer ${T_TOKEN}
        reads T_TOKEN
    Installed tools@m 1.0.0: words, tracker
    Use it: claude --mcp-config [TMP]/aiw/mcp.json
    ------- stderr -------
    `T_TOKEN` is not set: export T_TOKEN, or name another variable with --env T_TOKEN='${OTHER}'
    ------- exit code 0 -------
    ");
    insta::assert_snapshot!(env.stable(&env.read("mcp.json")), @r#"
    {
      "mcpServers": {
        "words": {
          "command": "python3",
          "args": ["[TMP]/aiw/plugins/[DIGEST]/server.py", "two words"],
          "env": {
            "CLAUDE_PLUGIN_ROOT": "[TMP]/aiw/plugins/[DIGEST]",
            "CLAUDE_PLUGIN_DATA": "[TMP]/aiw/data/tools@m"
          }
        },
        "tracker": {
          "type": "http",
          "url": "https://t.example/mcp",
          "headers": {
            "Authorization": "Bearer ${T_TOKEN}"
          }
        }
      }
    }
    "#);
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "install", "tools", "--yes"])), @"
    Already installed: tools@m 1.0.0: words, tracker
    Use it: claude --mcp-config [TMP]/aiw/mcp.json
    ------- stderr -------
    `T_TOKEN` is not set: export T_TOKEN, or name another variable with --env T_TOKEN='${OTHER}'
    ------- exit code 0 -------
    ");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "list"])), @"
    tools@m  1.0.0  words, tracker
    ------- stderr -------
    ------- exit code 0 -------
    ");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "list", "--available"])), @"
      other@m  mcp  The plugin other
    ✓ tools@m  mcp  The plugin tools
    ------- stderr -------
    marketplace `claude-plugins-official` is not fetched yet: `aiw plugin marketplace update claude-plugins-official`
    ------- exit code 0 -------
    ");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "disable", "tools"])), @"
    tools@m: disabled
    ------- stderr -------
    ------- exit code 0 -------
    ");
    assert_eq!(env.mcp(), json!({"mcpServers": {}}));
    let settings: Value = serde_json::from_str(&env.read("settings.json")).unwrap();
    assert_eq!(settings["enabledPlugins"], json!({"tools@m": false}));
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "list"])), @"
    tools@m  1.0.0  words, tracker  disabled
    ------- stderr -------
    ------- exit code 0 -------
    ");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "enable", "tools"])), @"
    tools@m: enabled
    ------- stderr -------
    ------- exit code 0 -------
    ");
    assert_eq!(keys(&env.mcp()["mcpServers"]), ["words", "tracker"]);
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "update"])), @"
    tools@m is current
    ------- stderr -------
    ------- exit code 0 -------
    ");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "remove", "tools"])), @"
    Removed tools@m: words, tracker
    ------- stderr -------
    ------- exit code 0 -------
    ");
    assert_eq!(env.mcp(), json!({"mcpServers": {}}));
    assert_eq!(fs::read_dir(env.home().join("plugins")).unwrap().count(), 0);
    let settings: Value = serde_json::from_str(&env.read("settings.json")).unwrap();
    assert_eq!(settings["enabledPlugins"], json!({}));
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "remove", "tools"])), @"
    ------- stderr -------
    error: plugin `tools` is not installed
    hint: `aiw plugin list` shows what is installed
    ------- exit code 2 -------
    ");
}

#[test]
fn several_plugins_are_installed_and_the_one_that_fails_is_named() {
    let (env, _market) = market(&[("a", json!({"a": {"command": "true"}})), ("b", json!({"b": {"command": "true"}}))]);
    let run = env.run(&["plugin", "install", "a", "nope", "b", "--yes"]);
    insta::assert_snapshot!(whole(&env, &run), @"
    a@m 1.0.0 from ./plugins/a
      a (stdio) runs: true
    Installed a@m 1.0.0: a
    b@m 1.0.0 from ./plugins/b
      b (stdio) runs: true
    Installed b@m 1.0.0: b
    Use it: claude --mcp-config [TMP]/aiw/mcp.json
    ------- stderr -------
    error: there is no plugin `nope`
    hint: marketplace `claude-plugins-official` is not fetched yet: `aiw plugin marketplace update claude-plugins-official`
    ------- exit code 2 -------
    ");
    assert_eq!(keys(&env.mcp()["mcpServers"]), ["a", "b"]);
}

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
      a@m  mcp  The plugin a
    ------- stderr -------
    hidden: 1 without MCP servers (`--all` shows them)
    marketplace `claude-plugins-official` is not fetched yet: `aiw plugin marketplace update claude-plugins-official`
    ------- exit code 0 -------
    ");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "search", "--all"])), @"
      a@m  mcp                               The plugin a
      b@m  skills commands agents hooks lsp
    ------- stderr -------
    marketplace `claude-plugins-official` is not fetched yet: `aiw plugin marketplace update claude-plugins-official`
    ------- exit code 0 -------
    ");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "install", "b", "--yes"])), @"
    ------- stderr -------
    error: plugin `b@m` brings no MCP server; it brings skills, commands, agents, hooks, lsp
    hint: install it with `claude plugin install`, which takes the rest
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

#[test]
fn nothing_of_a_plugin_or_its_repository_is_run() {
    let env = Environment::new();
    let marker = env.path("it-ran");
    let touch = format!("#!/bin/sh\ntouch {}\n", marker.display());
    let market = Market::new(env.path("m"), "m")
        .plugin(
            "p",
            "1.0.0",
            json!({"p": {"command": "${CLAUDE_PLUGIN_ROOT}/run", "headersHelper": "${CLAUDE_PLUGIN_ROOT}/run"}}),
        )
        .file("plugins/p/run", &touch)
        .file(
            "plugins/p/hooks/hooks.json",
            &json!({"hooks": {"SessionStart": [{"hooks": [{"type": "command", "command": "./run"}]}]}}).to_string(),
        )
        .file("plugins/p/package.json", &json!({"scripts": {"postinstall": "./run"}}).to_string())
        .file(".gitattributes", "* filter=evil\n");
    let run = market.root().join("plugins/p/run");
    fs::set_permissions(&run, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    commit_all(market.root());
    for hook in ["post-checkout", "pre-auto-gc", "reference-transaction", "post-index-change", "pre-receive", "update"]
    {
        fs::copy(&run, market.root().join(".git/hooks").join(hook)).unwrap();
    }
    let script = run.display().to_string();
    for key in
        ["core.fsmonitor", "core.sshCommand", "uploadpack.packObjectsHook", "filter.evil.smudge", "credential.helper"]
    {
        git(market.root(), &["config", key, &script]);
    }
    for (name, reference) in [("file", format!("file://{}", market.root().display())), ("plain", "./m".to_owned())] {
        env.run(&["plugin", "marketplace", "add", &reference, "--name", name]).ok();
        env.run(&["plugin", "install", &format!("p@{name}"), "--yes"]).ok();
        env.run(&["plugin", "info", &format!("p@{name}")]).ok();
        env.run(&["plugin", "update"]).ok();
        env.run(&["plugin", "remove", &format!("p@{name}")]).ok();
    }
    env.run(&["plugin", "validate", "./m"]).ok();
    assert!(!marker.exists(), "something of the plugin was run");
}

#[test]
fn an_installed_tree_that_was_changed_is_made_whole_by_an_install() {
    let (env, _market) = market(&[("p", json!({"p": {"command": "${CLAUDE_PLUGIN_ROOT}/run", "args": ["${A}"]}}))]);
    install(&env, "p");
    let tree = fs::read_dir(env.home().join("plugins")).unwrap().next().unwrap().unwrap().path();
    fs::write(tree.join(".mcp.json"), "{}").unwrap();
    env.run(&["plugin", "install", "p", "--yes", "--env", "A=1"]).ok();
    assert!(fs::read_to_string(tree.join(".mcp.json")).unwrap().contains("CLAUDE_PLUGIN_ROOT"));
    assert_eq!(fs::read_dir(env.home().join("plugins")).unwrap().count(), 1);
    fs::remove_dir_all(&tree).unwrap();
    install(&env, "p");
    assert!(tree.join(".mcp.json").is_file());
}

// ---- validate ----

#[test]
fn what_an_author_should_mend_is_said() {
    let (env, market) = market(&[("p", json!({"p": {"type": "http", "url": ""}}))]);
    let _market = market
        .field("description", Value::Null)
        .field("name", "My.Market".into())
        .field("renames", json!({"old": "gone"}))
        .entry(json!({"name": "Upper", "source": {"source": "github", "repo": "o/r"}}))
        .entry(json!({"name": "versions", "source": "./plugins/versions", "version": "2.0.0"}))
        .file(
            "plugins/versions/.claude-plugin/plugin.json",
            r#"{"name": "versions", "version": "1.0.0", "name": "versions"}"#,
        )
        .file("plugins/versions/A.md", "")
        .file("plugins/versions/a.md", "");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "validate", "./m"])), @"
    error: `renames` leads from `old` to `gone`, which is not listed
    error: plugin `versions`: the key `name` stands twice in `.claude-plugin/plugin.json`
    error: plugin `versions`: `A.md` and `a.md` are one file where case does not count
    warning: the document has no `description`
    warning: the name `My.Market` is not kebab-case
    warning: plugin `p`: server `p` in `.mcp.json` is left out: it has an empty `url`
    warning: plugin `Upper` has a name that is not kebab-case
    warning: plugin `Upper` is not pinned to a commit by `sha`
    warning: plugin `versions`: plugin.json says version `1.0.0`, the marketplace `2.0.0`; plugin.json counts
    ------- stderr -------
    error: the marketplace has 3 errors
    ------- exit code 2 -------
    ");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "validate", "./m/plugins/versions"])), @"
    error: the key `name` stands twice in `.claude-plugin/plugin.json`
    error: `A.md` and `a.md` are one file where case does not count
    ------- stderr -------
    error: the plugin has 2 errors
    ------- exit code 2 -------
    ");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "validate", "./m/plugins"])), @"
    ------- stderr -------
    error: `./m/plugins` holds neither `.claude-plugin/marketplace.json` nor `.claude-plugin/plugin.json`
    ------- exit code 2 -------
    ");
}

#[test]
fn the_example_marketplace_validates() {
    let env = Environment::new();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/marketplace");
    let run = env.run(&["plugin", "validate", &example.display().to_string()]).ok();
    assert_eq!(run.stdout, "The marketplace is valid\n");
}

// ---- mcp.json is the user's ----

#[test]
fn install_and_remove_give_mcp_json_back_byte_for_byte() {
    let (env, _market) =
        market(&[("a", json!({"a": {"command": "true", "args": ["x"]}, "b": {"type": "http", "url": "https://h"}}))]);
    for text in [
        "{\"mcpServers\":{}}",
        "{}\n",
        "{\n  \"mcpServers\": {}\n}\n",
        "{\r\n\t\"mcpServers\": {\r\n\t\t\"mine\": {\"command\": \"x\", \"odd\": [1, 2.50, 1e3], \"z\": null}\r\n\t}\r\n}\r\n",
        "{ \"first\" : 1,\n\n  \"mcpServers\" :{\"z\":{ \"command\":\"\\u0078\" , \"timeout\":5}, \"y\" : {\"url\":\"https://h/\\/\"}\n } ,\"last\":{\"a\":true}}",
        "{\n    \"mcpServers\": {\n        \"mine\": {\n            \"command\": \"x\"\n        }\n    },\n    \"other\": {}\n}",
    ] {
        env.write_mcp(text);
        let own: Value = serde_json::from_str(text).unwrap();
        install(&env, "a");
        let servers = env.mcp()["mcpServers"].clone();
        assert_eq!(servers["a"]["args"], json!(["x"]), "{text}");
        for (key, value) in own["mcpServers"].as_object().into_iter().flatten() {
            assert_eq!(&servers[key], value, "{text}");
        }
        env.run(&["plugin", "remove", "a"]).ok();
        let after = env.read("mcp.json");
        if own.get("mcpServers").is_some() {
            assert_eq!(after, text);
        } else {
            assert_eq!(env.mcp(), json!({"mcpServers": {}}), "{after}");
        }
    }
}

#[test]
fn a_link_to_mcp_json_is_followed_and_its_mode_kept() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let (env, _market) = market(&[("a", json!({"a": {"command": "true"}}))]);
    let real = env.path("dotfiles.json");
    fs::write(&real, "{\"mcpServers\": {}}").unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&real, env.home().join("mcp.json")).unwrap();
    install(&env, "a");
    assert!(env.home().join("mcp.json").is_symlink());
    assert_eq!(env.mcp()["mcpServers"]["a"]["command"], "true");
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_new_mcp_json_is_private() {
    use std::os::unix::fs::PermissionsExt;

    let (env, _market) = market(&[("a", json!({"a": {"command": "true"}}))]);
    install(&env, "a");
    for (path, mode) in [("mcp.json", 0o600), ("settings.json", 0o600), ("plugins.json", 0o600), (".", 0o700)] {
        let meta = fs::metadata(env.home().join(path)).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, mode, "{path}");
    }
}

#[test]
fn a_taken_name_is_overwritten_skipped_or_renamed_and_remove_undoes_each() {
    let (env, _market) = market(&[("p", json!({"taken": {"command": "theirs"}, "free": {"command": "true"}}))]);
    let own = "{\n  \"mcpServers\": {\n    \"taken\": { \"command\": \"mine\", \"odd\":1 }\n  }\n}\n";
    env.write_mcp(own);
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "install", "p", "--yes"])), @"
    p@m 1.0.0 from ./plugins/p
      taken (stdio) runs: theirs
        the name is taken by an entry of your own
      free (stdio) runs: true
    ------- stderr -------
    error: the server name `taken` is taken in mcp.json by an entry of your own
    hint: choose with `--on-conflict overwrite`, `skip` or `rename`
    ------- exit code 2 -------
    ");
    assert_eq!(env.read("mcp.json"), own);

    let run = env.run(&["plugin", "install", "p", "--yes", "--on-conflict", "skip"]).ok();
    insta::assert_snapshot!(run.stderr, @"server `taken` is left out: an entry of your own has the name");
    assert_eq!(env.mcp()["mcpServers"]["taken"]["command"], "mine");
    assert_eq!(keys(&env.mcp()["mcpServers"]), ["taken", "free"]);
    env.run(&["plugin", "remove", "p"]).ok();
    assert_eq!(env.read("mcp.json"), own);

    let run = env.run(&["plugin", "install", "p", "--yes", "--on-conflict", "rename"]).ok();
    insta::assert_snapshot!(run.stderr, @"server `taken` is added as `p-taken`: an entry of your own has the name");
    assert_eq!(keys(&env.mcp()["mcpServers"]), ["taken", "p-taken", "free"]);
    env.run(&["plugin", "remove", "p"]).ok();
    assert_eq!(env.read("mcp.json"), own);

    let run = env.run(&["plugin", "install", "p", "--yes", "--on-conflict", "overwrite"]).ok();
    insta::assert_snapshot!(run.stderr, @"server `taken` replaces an entry of your own");
    assert_eq!(env.mcp()["mcpServers"]["taken"]["command"], "theirs");
    env.run(&["plugin", "remove", "p"]).ok();
    assert_eq!(env.mcp()["mcpServers"]["taken"], json!({"command": "mine", "odd": 1}));
    assert_eq!(keys(&env.mcp()["mcpServers"]), ["taken"]);
}

#[test]
fn an_overwritten_entry_of_the_users_comes_back_after_disable_and_enable_too() {
    let (env, _market) = market(&[("p", json!({"taken": {"command": "theirs"}}))]);
    env.write_mcp(r#"{"mcpServers": {"taken": {"command": "mine"}}}"#);
    env.run(&["plugin", "install", "p", "--yes", "--on-conflict", "overwrite"]).ok();
    env.run(&["plugin", "disable", "p"]).ok();
    assert_eq!(env.mcp()["mcpServers"]["taken"]["command"], "mine");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "enable", "p"])), @"
    ------- stderr -------
    error: the server name `taken` is taken in mcp.json by an entry of your own
    hint: choose with `--on-conflict overwrite`, `skip` or `rename`
    ------- exit code 2 -------
    ");
    env.run(&["plugin", "enable", "p", "--on-conflict", "overwrite"]).ok();
    assert_eq!(env.mcp()["mcpServers"]["taken"]["command"], "theirs");
    env.run(&["plugin", "remove", "p"]).ok();
    assert_eq!(env.mcp()["mcpServers"]["taken"]["command"], "mine");
}

#[test]
fn the_same_declaration_from_two_plugins_is_one_entry_gone_with_the_last() {
    let shared = json!({"shared": {"type": "http", "url": "https://s.example/mcp", "odd": true}});
    let (env, _market) = market(&[("a", shared.clone()), ("b", shared)]);
    install(&env, "a");
    install(&env, "b");
    assert_eq!(keys(&env.mcp()["mcpServers"]), ["shared"]);
    let plugins: Value = serde_json::from_str(&env.read("plugins.json")).unwrap();
    assert_eq!(keys(&plugins["servers"]), ["shared"]);
    assert_eq!(plugins["servers"]["shared"]["owners"], json!(["a@m", "b@m"]));
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "remove", "a"])), @"
    Removed a@m: no server
    ------- stderr -------
    server `shared` stays in mcp.json: `b@m` has it as well
    ------- exit code 0 -------
    ");
    assert_eq!(keys(&env.mcp()["mcpServers"]), ["shared"]);
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "remove", "b"])), @"
    Removed b@m: shared
    ------- stderr -------
    ------- exit code 0 -------
    ");
    assert_eq!(env.mcp(), json!({"mcpServers": {}}));
}

#[test]
fn another_declaration_of_the_same_name_is_a_clash_of_two_plugins() {
    let (env, _market) = market(&[("a", json!({"s": {"command": "one"}})), ("b", json!({"s": {"command": "two"}}))]);
    install(&env, "a");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "install", "b", "--yes"])), @"
    b@m 1.0.0 from ./plugins/b
      s (stdio) runs: two
        the name is taken by the plugin `a@m`
    ------- stderr -------
    error: the server name `s` is taken in mcp.json by the plugin `a@m`
    hint: choose with `--on-conflict overwrite`, `skip` or `rename`
    ------- exit code 2 -------
    ");
    env.run(&["plugin", "install", "b", "--yes", "--on-conflict", "rename"]).ok();
    assert_eq!(keys(&env.mcp()["mcpServers"]), ["s", "b-s"]);
}

#[test]
fn a_server_that_another_plugin_overwrote_comes_back_when_that_one_goes() {
    let (env, _market) = market(&[("a", json!({"s": {"command": "one"}})), ("b", json!({"s": {"command": "two"}}))]);
    install(&env, "a");
    env.run(&["plugin", "install", "b", "--yes", "--on-conflict", "overwrite"]).ok();
    assert_eq!(env.mcp()["mcpServers"]["s"]["command"], "two");
    env.run(&["plugin", "remove", "b"]).ok();
    assert_eq!(env.mcp()["mcpServers"]["s"]["command"], "one");
    env.run(&["plugin", "remove", "a"]).ok();
    assert_eq!(env.mcp(), json!({"mcpServers": {}}));

    install(&env, "a");
    env.run(&["plugin", "install", "b", "--yes", "--on-conflict", "overwrite"]).ok();
    env.run(&["plugin", "remove", "a"]).ok();
    assert_eq!(env.mcp()["mcpServers"]["s"]["command"], "two");
    env.run(&["plugin", "remove", "b"]).ok();
    assert_eq!(env.mcp(), json!({"mcpServers": {}}));
}

#[test]
fn servers_that_run_from_their_own_tree_are_never_shared() {
    let own = json!({"s": {"command": "${CLAUDE_PLUGIN_ROOT}/run"}});
    let (env, _market) = market(&[("a", own.clone()), ("b", own)]);
    install(&env, "a");
    let run = env.run(&["plugin", "install", "b", "--yes"]);
    assert_eq!(run.code, 2, "{}", run.whole());
}

#[test]
fn an_entry_that_the_user_changed_stays_on_remove_and_it_is_said() {
    let (env, _market) = market(&[("p", json!({"one": {"command": "true"}, "two": {"command": "true"}}))]);
    install(&env, "p");
    let changed = env.read("mcp.json").replacen("\"true\"", "\"mine\"", 1);
    env.write_mcp(&changed);
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "remove", "p"])), @"
    Removed p@m: two
    ------- stderr -------
    server `one` stays in mcp.json: it was changed by hand
    ------- exit code 0 -------
    ");
    assert_eq!(keys(&env.mcp()["mcpServers"]), ["one"]);
    assert_eq!(env.mcp()["mcpServers"]["one"]["command"], "mine");
}

#[test]
fn an_entry_that_the_user_changed_stays_through_an_update_and_the_remove_after_it() {
    let (env, market) = market(&[("p", json!({"one": {"command": "true"}}))]);
    install(&env, "p");
    env.write_mcp(&env.read("mcp.json").replacen("\"true\"", "\"mine\"", 1));
    market.put("plugins/p/.claude-plugin/plugin.json", r#"{"name": "p", "version": "1.1.0"}"#);
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "update", "p"])), @"
    Updated p@m: 1.0.0 → 1.1.0
    ------- stderr -------
    server `one` stays in mcp.json: it was changed by hand
    ------- exit code 0 -------
    ");
    assert_eq!(env.mcp()["mcpServers"]["one"]["command"], "mine");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "remove", "p"])), @"
    Removed p@m: no server
    ------- stderr -------
    server `one` stays in mcp.json: it was changed by hand
    ------- exit code 0 -------
    ");
    assert_eq!(env.mcp()["mcpServers"]["one"]["command"], "mine");
}

#[test]
fn an_entry_that_the_user_removed_is_no_error() {
    let (env, _market) = market(&[("p", json!({"one": {"command": "true"}}))]);
    install(&env, "p");
    env.write_mcp("{\"mcpServers\": {}}");
    env.run(&["plugin", "disable", "p"]).ok();
    env.run(&["plugin", "enable", "p"]).ok();
    assert_eq!(keys(&env.mcp()["mcpServers"]), ["one"]);
    env.write_mcp("{\"mcpServers\": {}}");
    env.run(&["plugin", "remove", "p"]).ok();
    assert_eq!(env.read("mcp.json"), "{\"mcpServers\": {}}");
}

#[test]
fn keys_are_safe_and_never_collide() {
    let server = |n: u32| json!({"command": format!("c{n}")});
    let (env, _market) = market(&[(
        "p",
        json!({"google calendar": server(1), "google.calendar": server(2), "google-calendar": server(3), "Größe": server(4), "…": server(5)}),
    )]);
    install(&env, "p");
    let mcp = env.mcp();
    let by_command: Vec<_> = mcp["mcpServers"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(k, v)| (k.as_str(), v["command"].as_str().unwrap()))
        .collect();
    assert_eq!(
        by_command,
        [
            ("google-calendar-2", "c1"),
            ("google-calendar-3", "c2"),
            ("google-calendar", "c3"),
            ("Gr-e", "c4"),
            ("server", "c5")
        ]
    );
    env.run(&["plugin", "remove", "p"]).ok();
    assert_eq!(env.mcp(), json!({"mcpServers": {}}));
}

// ---- update ----

#[test]
fn an_update_without_changes_of_servers_just_moves() {
    let (env, market) = market(&[("p", json!({"s": {"command": "true"}}))]);
    install(&env, "p");
    market.put("plugins/p/.claude-plugin/plugin.json", r#"{"name": "p", "version": "1.1.0"}"#);
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "update"])), @"
    Updated p@m: 1.0.0 → 1.1.0
    ------- stderr -------
    ------- exit code 0 -------
    ");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "update", "p"])), @"
    p@m is current
    ------- stderr -------
    ------- exit code 0 -------
    ");
    assert_eq!(fs::read_dir(env.home().join("plugins")).unwrap().count(), 1);
}

#[test]
fn an_update_that_changes_a_server_needs_agreement() {
    let before = json!({"s": {"command": "one", "args": ["${A}"]}});
    for (what, after) in [
        ("the command", json!({"s": {"command": "two", "args": ["${A}"]}})),
        ("an argument", json!({"s": {"command": "one", "args": ["${A}", "x"]}})),
        ("a variable", json!({"s": {"command": "one", "args": ["${B}"]}})),
        ("a new server", json!({"s": {"command": "one", "args": ["${A}"]}, "t": {"command": "t"}})),
        ("a URL", json!({"s": {"type": "http", "url": "https://h"}})),
    ] {
        let (env, market) = market(&[("p", before.clone())]);
        install(&env, "p");
        let (mcp, plugins) = (env.read("mcp.json"), env.read("plugins.json"));
        market.put("plugins/p/.claude-plugin/plugin.json", r#"{"name": "p", "version": "2.0.0"}"#);
        market.put("plugins/p/.mcp.json", &after.to_string());
        let run = env.run(&["plugin", "update", "p"]);
        assert_eq!(run.code, 2, "{what}: {}", run.whole());
        assert!(
            run.stderr.contains("`aiw plugin update p@m --accept-changes` agrees to it"),
            "{what}: {}",
            run.whole()
        );
        assert_eq!((env.read("mcp.json"), env.read("plugins.json")), (mcp, plugins), "{what}");
        env.run(&["plugin", "update", "p", "--accept-changes"]).ok();
        assert_eq!(keys(&env.mcp()["mcpServers"]).len(), after.as_object().unwrap().len(), "{what}");
    }
}

#[test]
fn an_update_says_what_changes_and_how_many_files() {
    let (env, market) = market(&[("p", json!({"s": {"command": "${CLAUDE_PLUGIN_ROOT}/run"}}))]);
    market.put("plugins/p/run", "1");
    market.put("plugins/p/lib", "1");
    install(&env, "p");
    market.put("plugins/p/.claude-plugin/plugin.json", r#"{"name": "p", "version": "2.0.0"}"#);
    market.put("plugins/p/run", "2");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "update", "p"])), @"
    p@m: 2 files changed in the plugin, which a server runs from
    Updated p@m: 1.0.0 → 2.0.0
    ------- stderr -------
    ------- exit code 0 -------
    ");
    market.put("plugins/p/.claude-plugin/plugin.json", r#"{"name": "p", "version": "3.0.0"}"#);
    market.put(
        "plugins/p/.mcp.json",
        &json!({"s": {"command": "${CLAUDE_PLUGIN_ROOT}/lib"}, "t": {"type": "sse", "url": "https://h/sse"}})
            .to_string(),
    );
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "update", "p"])), @"
    p@m: 2 files changed in the plugin, which a server runs from
    ------- stderr -------
    error: the update of `p@m` changes its servers: server `s`, `command`: ${CLAUDE_PLUGIN_ROOT}/run becomes ${CLAUDE_PLUGIN_ROOT}/lib; new server `t`: https://h/sse
    hint: `aiw plugin update p@m --accept-changes` agrees to it
    ------- exit code 2 -------
    ");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "update", "p", "--accept-changes"])), @"
    p@m: 2 files changed in the plugin, which a server runs from
    Updated p@m: 2.0.0 → 3.0.0
    ------- stderr -------
    ------- exit code 0 -------
    ");
}

#[test]
fn an_update_keeps_a_server_under_the_name_that_it_was_given() {
    let (env, market) = market(&[("p", json!({"s": {"command": "one"}}))]);
    env.write_mcp(r#"{"mcpServers": {"s": {"command": "mine"}}}"#);
    env.run(&["plugin", "install", "p", "--yes", "--on-conflict", "rename"]).ok();
    market.put("plugins/p/.claude-plugin/plugin.json", r#"{"name": "p", "version": "2.0.0"}"#);
    env.run(&["plugin", "update", "p"]).ok();
    assert_eq!(keys(&env.mcp()["mcpServers"]), ["s", "p-s"]);
}

#[test]
fn an_update_keeps_what_the_user_had_before_an_overwritten_server() {
    let (env, market) = market(&[("p", json!({"s": {"command": "one"}}))]);
    env.write_mcp(r#"{"mcpServers": {"s": {"command": "mine"}}}"#);
    env.run(&["plugin", "install", "p", "--yes", "--on-conflict", "overwrite"]).ok();
    market.put("plugins/p/.claude-plugin/plugin.json", r#"{"name": "p", "version": "2.0.0"}"#);
    env.run(&["plugin", "update", "p"]).ok();
    assert_eq!(env.mcp()["mcpServers"]["s"]["command"], "one");
    env.run(&["plugin", "remove", "p"]).ok();
    assert_eq!(env.mcp()["mcpServers"]["s"]["command"], "mine");
}

#[test]
fn an_update_leaves_a_server_out_that_was_left_out() {
    let (env, market) = market(&[("p", json!({"s": {"command": "one"}, "t": {"command": "t"}}))]);
    env.write_mcp(r#"{"mcpServers": {"s": {"command": "mine"}}}"#);
    env.run(&["plugin", "install", "p", "--yes", "--on-conflict", "skip"]).ok();
    market.put("plugins/p/.claude-plugin/plugin.json", r#"{"name": "p", "version": "2.0.0"}"#);
    env.run(&["plugin", "update", "p"]).ok();
    assert_eq!(keys(&env.mcp()["mcpServers"]), ["s", "t"]);
    assert_eq!(env.mcp()["mcpServers"]["s"]["command"], "mine");
}

#[test]
fn an_update_takes_away_the_servers_that_are_gone() {
    let (env, market) = market(&[("p", json!({"s": {"command": "one"}, "t": {"command": "two"}}))]);
    install(&env, "p");
    market.put("plugins/p/.claude-plugin/plugin.json", r#"{"name": "p", "version": "2.0.0"}"#);
    market.put("plugins/p/.mcp.json", r#"{"t": {"command": "two"}}"#);
    env.run(&["plugin", "update", "p", "--accept-changes"]).ok();
    assert_eq!(keys(&env.mcp()["mcpServers"]), ["t"]);
}

#[test]
fn an_update_keeps_a_disabled_plugin_disabled() {
    let (env, market) = market(&[("p", json!({"s": {"command": "one"}}))]);
    install(&env, "p");
    env.run(&["plugin", "disable", "p"]).ok();
    market.put("plugins/p/.claude-plugin/plugin.json", r#"{"name": "p", "version": "2.0.0"}"#);
    env.run(&["plugin", "update", "p"]).ok();
    assert_eq!(env.mcp(), json!({"mcpServers": {}}));
    env.run(&["plugin", "enable", "p"]).ok();
    assert_eq!(keys(&env.mcp()["mcpServers"]), ["s"]);
}

#[test]
fn an_update_keeps_the_answers_of_the_install() {
    let (env, market) = market(&[("p", json!({"s": {"command": "one", "args": ["${REGION}", "${USER_ID}"]}}))]);
    env.run(&["plugin", "install", "p", "--yes", "--env", "REGION=eu", "--env", "USER_ID=${LOGIN}"]).ok();
    let args = env.mcp()["mcpServers"]["s"]["args"].clone();
    assert_eq!(args, json!(["${REGION:-eu}", "${LOGIN}"]));
    market.put("plugins/p/.claude-plugin/plugin.json", r#"{"name": "p", "version": "2.0.0"}"#);
    env.run(&["plugin", "update", "p"]).ok();
    assert_eq!(env.mcp()["mcpServers"]["s"]["args"], args);
}

// ---- entry forms ----

#[test]
fn every_form_of_a_git_entry_installs_what_it_names() {
    let env = Environment::new();
    let plugin = Market::new(env.path("r"), "r")
        .file(".mcp.json", r#"{"root": {"command": "root"}}"#)
        .file("sub/dir/.mcp.json", r#"{"deep": {"command": "old"}}"#);
    let first = commit_all(plugin.root());
    git(plugin.root(), &["tag", "v1"]);
    plugin.put("sub/dir/.mcp.json", r#"{"deep": {"command": "new"}}"#);
    let second = publish(&env, plugin.root(), "o/r");
    let server = Server::start(hub(&env));
    point(&env, &server, false);
    let url = format!("{}/o/r.git", server.url());
    let mut market = Market::new(env.path("m"), "m");
    let forms = [
        ("github", json!({"source": "github", "repo": "o/r"}), "root", "root", &second),
        ("url", json!({"source": "url", "url": url}), "root", "root", &second),
        ("url-path", json!({"source": "url", "url": url, "path": "sub/dir"}), "deep", "new", &second),
        ("url-sha", json!({"source": "url", "url": url, "path": "sub/dir", "sha": first}), "deep", "old", &first),
        ("subdir", json!({"source": "git-subdir", "url": url, "path": "sub/dir"}), "deep", "new", &second),
        (
            "subdir-ref",
            json!({"source": "git-subdir", "url": url, "path": "sub/dir", "ref": "v1"}),
            "deep",
            "old",
            &first,
        ),
        (
            "subdir-sha",
            json!({"source": "git-subdir", "url": "o/r", "path": "sub/dir", "ref": "gone", "sha": first}),
            "deep",
            "old",
            &first,
        ),
        ("shorthand", json!({"source": "git-subdir", "url": "o/r", "path": "sub/dir"}), "deep", "new", &second),
    ];
    for (name, source, ..) in &forms {
        market = market.entry(json!({"name": name, "source": source}));
    }
    env.run(&["plugin", "marketplace", "add", "./m"]).ok();
    for (name, _, key, command, commit) in &forms {
        let done = env.json(&["plugin", "install", name, "--yes"]);
        assert_eq!(done["installed"][0]["commit"], commit.as_str(), "{name}: {done:#}");
        assert_eq!(done["installed"][0]["version"], commit.as_str(), "{name}");
        assert_eq!(env.mcp()["mcpServers"][key]["command"], *command, "{name}");
        env.run(&["plugin", "remove", name]).ok();
    }
}

#[test]
fn a_bare_name_lies_below_the_plugin_root_and_a_path_does_not() {
    let env = Environment::new();
    let _market = Market::new(env.path("m"), "m")
        .field("metadata", json!({"pluginRoot": "./pkgs"}))
        .file("pkgs/bare/.mcp.json", r#"{"bare": {"command": "true"}}"#)
        .file("plugins/path/.mcp.json", r#"{"path": {"command": "true"}}"#)
        .file(".mcp.json", r#"{"root": {"command": "true"}}"#)
        .entry(json!({"name": "bare", "source": "bare"}))
        .entry(json!({"name": "path", "source": "./plugins/path"}))
        .entry(json!({"name": "root", "source": "./"}))
        .entry(json!({"name": "dot", "source": "."}));
    env.run(&["plugin", "marketplace", "add", "./m"]).ok();
    for name in ["bare", "path", "root"] {
        install(&env, name);
        assert_eq!(env.mcp()["mcpServers"][name]["command"], "true", "{name}");
    }
    install(&env, "dot");
}

#[test]
fn servers_stand_in_the_entry_in_plugin_json_and_in_files_that_they_name() {
    let server = |command: &str| json!({"command": command});
    let env = Environment::new();
    let plain =
        |name: &str, servers: Value| json!({"name": name, "version": "1.0.0", "mcpServers": servers}).to_string();
    let _market = Market::new(env.path("m"), "m")
        .entry(json!({"name": "entry", "source": "./plugins/none", "strict": false, "mcpServers": {"entry": server("entry")}}))
        .file("plugins/none/README.md", "")
        .file("plugins/object/.claude-plugin/plugin.json", &plain("object", json!({"object": server("object")})))
        .entry(json!({"name": "object", "source": "./plugins/object"}))
        .file("plugins/path/.claude-plugin/plugin.json", &plain("path", json!("./servers/mcp.json")))
        .file("plugins/path/servers/mcp.json", &json!({"mcpServers": {"path": server("path")}}).to_string())
        .entry(json!({"name": "path", "source": "./plugins/path"}))
        .file("plugins/list/.claude-plugin/plugin.json", &plain("list", json!(["./one.json", {"two": server("two")}, "https://h/x.mcpb"])))
        .file("plugins/list/one.json", &json!({"one": server("one")}).to_string())
        .entry(json!({"name": "list", "source": "./plugins/list"}))
        .file("plugins/same/.claude-plugin/plugin.json", &plain("same", json!({"same": server("same")})))
        .file("plugins/same/.mcp.json", &json!({"same": server("same")}).to_string())
        .entry(json!({"name": "same", "source": "./plugins/same"}))
        .file("plugins/strict/.claude-plugin/plugin.json", &plain("strict", json!({"strict": server("strict")})))
        .entry(json!({"name": "strict", "source": "./plugins/strict", "strict": false, "mcpServers": {"x": server("x")}}));
    let added = env.run(&["plugin", "marketplace", "add", "./m"]).ok();
    insta::assert_snapshot!(added.stderr, @"
    plugin `list`: the bundle `https://h/x.mcpb` is left out: .mcpb bundles are not installed
    plugin `strict` is left out: it is `strict: false` in its marketplace, and its plugin.json declares `mcpServers` all the same
    ");
    for (name, keys) in [
        ("entry", vec!["entry"]),
        ("object", vec!["object"]),
        ("path", vec!["path"]),
        ("list", vec!["one", "two"]),
        ("same", vec!["same"]),
    ] {
        let run = install(&env, name);
        for key in keys {
            assert_eq!(env.mcp()["mcpServers"][key]["command"], key, "{name}");
        }
        assert_eq!(run.stderr.contains(".mcpb"), name == "list", "{}", run.whole());
    }
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "install", "strict", "--yes"])), @"
    ------- stderr -------
    error: plugin `strict@m` is `strict: false` in its marketplace, and its plugin.json declares `mcpServers` all the same
    ------- exit code 2 -------
    ");
}

#[test]
fn every_type_of_server_is_kept_with_its_unknown_fields() {
    let servers = json!({
        "stdio": {"type": "stdio", "command": "c", "timeout": 5},
        "http": {"type": "http", "url": "https://h", "oauth": {"clientId": "x", "callbackPort": 1}},
        "sse": {"type": "sse", "url": "https://h", "headers": {"X": "${Y:-}"}},
        "ws": {"type": "ws", "url": "wss://h"},
        "registry": {"type": "streamable-http", "url": "https://h/r", "_docs": "text"},
        "empty": {"type": "http", "url": ""}
    });
    let (env, _market) = market(&[("p", servers)]);
    let run = install(&env, "p");
    insta::assert_snapshot!(run.stderr, @"server `empty` in `.mcp.json` is left out: it has an empty `url`");
    let mcp = env.mcp()["mcpServers"].clone();
    assert_eq!(mcp["stdio"]["timeout"], 5);
    assert_eq!(mcp["http"]["oauth"], json!({"clientId": "x", "callbackPort": 1}));
    assert_eq!(mcp["sse"]["headers"]["X"], "${Y:-}");
    assert_eq!(mcp["ws"], json!({"type": "ws", "url": "wss://h"}));
    assert_eq!(mcp["registry"], json!({"type": "http", "url": "https://h/r", "_docs": "text"}));
    assert_eq!(mcp.get("empty"), None);
    let listed = env.json(&["plugin", "list"]);
    let types: Vec<_> =
        listed["plugins"][0]["mcp_servers"].as_array().unwrap().iter().map(|s| s["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["stdio", "http", "sse", "ws", "http"]);
}

// ---- variables and secrets ----

#[test]
fn the_plugins_own_directories_are_resolved_and_given_to_its_processes() {
    let (env, market) = market(&[(
        "my.tools",
        json!({"s": {"command": "${CLAUDE_PLUGIN_ROOT}/run", "args": ["--data=${CLAUDE_PLUGIN_DATA}/x"], "env": {"OWN": "1"}},
               "far": {"type": "http", "url": "https://h/${CLAUDE_PLUGIN_ROOT}"}}),
    )]);
    market.put("plugins/my.tools/run", "#!/bin/sh\n");
    install(&env, "my.tools");
    let mcp = env.mcp()["mcpServers"].clone();
    let root = mcp["s"]["env"]["CLAUDE_PLUGIN_ROOT"].as_str().unwrap().to_owned();
    let data = env.home().join("data/my.tools@m");
    assert_eq!(mcp["s"]["command"], format!("{root}/run"));
    assert!(Path::new(&root).join("run").is_file());
    assert_eq!(mcp["s"]["args"][0], format!("--data={}/x", data.display()));
    assert_eq!(mcp["s"]["env"]["CLAUDE_PLUGIN_DATA"], data.display().to_string());
    assert_eq!(mcp["s"]["env"]["OWN"], "1");
    assert_eq!(mcp["far"]["url"], format!("https://h/{root}"));
    assert_eq!(mcp["far"].get("env"), None);
    fs::write(data.join("kept.txt"), "x").unwrap();
    insta::assert_snapshot!(env.run(&["plugin", "remove", "my.tools"]).ok().stderr.replace(&env.path("").display().to_string(), ""), @"what the plugin wrote stays in `aiw/data/my.tools@m`");
    assert!(data.join("kept.txt").exists());
}

#[test]
fn variables_are_kept_as_references_and_missing_ones_are_named_with_their_flag() {
    let (mut env, _market) = market(&[(
        "p",
        json!({"s": {"command": "c", "args": ["${A}", "${B:-b}", "${C}", "$D", "${CLAUDE_PROJECT_DIR}"], "env": {"E": "${E_TOKEN}"}}}),
    )]);
    env.set("C", "set");
    let run = install(&env, "p");
    insta::assert_snapshot!(run.stderr, @"
    `A` is not set: export A, or give it with --env A=VALUE
    `E_TOKEN` is not set: export E_TOKEN, or name another variable with --env E_TOKEN='${OTHER}'
    ");
    let server = env.mcp()["mcpServers"]["s"].clone();
    assert_eq!(server["args"], json!(["${A}", "${B:-b}", "${C}", "$D", "${CLAUDE_PROJECT_DIR}"]));
    assert_eq!(server["env"]["E"], "${E_TOKEN}");
    let again = env.json(&["plugin", "install", "p", "--yes"]);
    assert_eq!(again["installed"][0]["missing_env"], json!(["A", "E_TOKEN"]));
}

#[test]
fn a_value_that_is_given_is_a_default_and_a_reference_stays_one() {
    let (mut env, _market) = market(&[("p", json!({"s": {"command": "c", "args": ["${A}", "${B:-b}", "${C}"]}}))]);
    env.set("OTHER", "x");
    env.run(&["plugin", "install", "p", "--yes", "--env", "A=1", "--env", "B=${OTHER}", "--env", "C=a}b"]).ok();
    assert_eq!(env.mcp()["mcpServers"]["s"]["args"], json!(["${A:-1}", "${OTHER}", "a}b"]));
}

#[test]
fn a_secret_on_the_command_line_is_written_nowhere() {
    let secret = "s3cr3t-v4lue";
    let (env, market) = market(&[(
        "p",
        json!({"s": {"command": "c", "env": {"A": "${API_TOKEN}", "B": "${user_config.pin}", "C": "${user_config.api_key}"}}}),
    )]);
    let manifest = json!({"name": "p", "version": "1.0.0", "userConfig": {
        "pin": {"title": "The PIN", "sensitive": true, "required": true}, "api_key": {"title": "The key"}}});
    market.put("plugins/p/.claude-plugin/plugin.json", &manifest.to_string());
    env.run(&["plugin", "marketplace", "update", "m"]).ok();
    for json in [false, true] {
        let mut arguments = vec!["plugin".to_owned(), "install".into(), "p".into(), "--yes".into()];
        for name in ["API_TOKEN", "pin", "api_key"] {
            arguments.extend(["--env".to_owned(), format!("{name}={secret}")]);
        }
        if json {
            arguments.push("--json".into());
        }
        let run = env.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).ok();
        assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret), "{}", run.whole());
        assert_eq!(files_with(&env, secret), Vec::<PathBuf>::new());
        if !json {
            insta::assert_snapshot!(run.stderr, @"
            the value of `API_TOKEN` is not kept: export it where your client starts
            the value of `api_key` is not kept: export it where your client starts
            `API_TOKEN` is not set: export API_TOKEN, or name another variable with --env API_TOKEN='${OTHER}'
            `CLAUDE_PLUGIN_OPTION_API_KEY` is not set: export CLAUDE_PLUGIN_OPTION_API_KEY, or name another variable with --env api_key='${OTHER}'
            `CLAUDE_PLUGIN_OPTION_PIN` is not set: export CLAUDE_PLUGIN_OPTION_PIN, or name another variable with --env pin='${OTHER}'
            ");
        }
    }
    let server = env.mcp()["mcpServers"]["s"].clone();
    assert_eq!(server["env"]["A"], "${API_TOKEN}");
    assert_eq!(server["env"]["B"], "${CLAUDE_PLUGIN_OPTION_PIN}");
    assert_eq!(server["env"]["C"], "${CLAUDE_PLUGIN_OPTION_API_KEY}");
}

#[test]
fn options_of_the_plugin_are_given_by_name_by_default_or_by_variable() {
    let (env, market) = market(&[(
        "p",
        json!({"s": {"command": "c", "args": ["${user_config.region}", "${user_config.size}", "${user_config.open}"]}}),
    )]);
    let manifest = json!({"name": "p", "version": "1.0.0", "userConfig": {
        "region": {"title": "Where"}, "size": {"title": "How large", "default": 5}, "open": {"title": "Whatever"}}});
    market.put("plugins/p/.claude-plugin/plugin.json", &manifest.to_string());
    env.run(&["plugin", "marketplace", "update", "m"]).ok();
    let run = env.run(&["plugin", "install", "p", "--yes", "--env", "region=eu"]).ok();
    insta::assert_snapshot!(run.stderr, @"`CLAUDE_PLUGIN_OPTION_OPEN` is not set: export CLAUDE_PLUGIN_OPTION_OPEN, or give it with --env open=VALUE");
    assert_eq!(env.mcp()["mcpServers"]["s"]["args"], json!(["eu", "5", "${CLAUDE_PLUGIN_OPTION_OPEN}"]));
}

// ---- JSON ----

#[test]
fn the_json_of_every_command_has_its_shape() {
    let (env, _market) = market(&[("a", json!({"a": {"command": "true", "args": ["${A_TOKEN}"]}}))]);
    let json = |arguments: &[&str]| env.stable(&format!("{:#}", env.json(arguments)));
    insta::assert_snapshot!(json(&["plugin", "marketplace", "list"]), @r#"
    {
      "marketplaces": [
        {
          "name": "claude-plugins-official",
          "source": "github:anthropics/claude-plugins-official",
          "revision": null,
          "plugins": null,
          "enabled": true,
          "not_inspected": null,
          "fetched_at": null,
          "official": true
        },
        {
          "name": "aiw-official",
          "source": "github:putao520/aiw-plugins",
          "revision": null,
          "plugins": null,
          "enabled": false,
          "not_inspected": null,
          "fetched_at": null,
          "official": true
        },
        {
          "name": "m",
          "source": "[TMP]/m",
          "revision": "dir-[REVISION]",
          "plugins": 1,
          "enabled": true,
          "not_inspected": 0,
          "fetched_at": "2026-01-01T00:00:00Z",
          "official": true
        }
      ]
    }
    "#);
    insta::assert_snapshot!(json(&["plugin", "list", "--available", "--all"]), @r#"
    {
      "plugins": [
        {
          "id": "a@m",
          "name": "a",
          "marketplace": "m",
          "version": "1.0.0",
          "description": "The plugin a",
          "category": null,
          "source": "./plugins/a",
          "mcp_servers": [
            {
              "name": "a",
              "type": "stdio"
            }
          ],
          "brings": [],
          "installed": false,
          "enabled": false,
          "broken": null
        }
      ],
      "hidden": {
        "without_servers": 0,
        "not_inspected": 0,
        "broken": 0
      },
      "not_fetched": [
        "claude-plugins-official"
      ]
    }
    "#);
    insta::assert_snapshot!(json(&["plugin", "info", "a"]), @r#"
    {
      "plugin": {
        "id": "a@m",
        "name": "a",
        "marketplace": "m",
        "version": "1.0.0",
        "description": "The plugin a",
        "category": null,
        "source": "./plugins/a",
        "mcp_servers": [
          {
            "name": "a",
            "type": "stdio",
            "target": "true ${A_TOKEN}",
            "details": [],
            "reads": [
              "A_TOKEN"
            ]
          }
        ],
        "brings": [],
        "installed": false,
        "enabled": false,
        "broken": null,
        "commit": null,
        "left_out": []
      }
    }
    "#);
    insta::assert_snapshot!(json(&["plugin", "install", "a", "nope", "--yes"]), @r#"
    {
      "installed": [
        {
          "id": "a@m",
          "version": "1.0.0",
          "commit": null,
          "servers": [
            "a"
          ],
          "missing_env": [
            "A_TOKEN"
          ],
          "notes": [],
          "unchanged": false
        }
      ],
      "failed": [
        {
          "id": "nope",
          "error": "there is no plugin `nope`",
          "hint": "marketplace `claude-plugins-official` is not fetched yet: `aiw plugin marketplace update claude-plugins-official`"
        }
      ]
    }
    "#);
    insta::assert_snapshot!(json(&["plugin", "list"]), @r#"
    {
      "plugins": [
        {
          "id": "a@m",
          "name": "a",
          "marketplace": "m",
          "version": "1.0.0",
          "description": "The plugin a",
          "category": null,
          "source": "./plugins/a",
          "mcp_servers": [
            {
              "name": "a",
              "type": "stdio"
            }
          ],
          "brings": [],
          "installed": true,
          "enabled": true,
          "broken": null
        }
      ]
    }
    "#);
    insta::assert_snapshot!(json(&["plugin", "disable", "a"]), @r#"
    {
      "plugins": [
        {
          "id": "a@m",
          "enabled": false,
          "changed": true,
          "servers": [
            "a"
          ],
          "notes": []
        }
      ],
      "failed": []
    }
    "#);
    insta::assert_snapshot!(json(&["plugin", "enable", "a"]), @r#"
    {
      "plugins": [
        {
          "id": "a@m",
          "enabled": true,
          "changed": true,
          "servers": [
            "a"
          ],
          "notes": []
        }
      ],
      "failed": []
    }
    "#);
    insta::assert_snapshot!(json(&["plugin", "update"]), @r#"
    {
      "updated": [],
      "unchanged": [
        "a@m"
      ],
      "failed": []
    }
    "#);
    insta::assert_snapshot!(json(&["plugin", "marketplace", "update", "m"]), @r#"
    {
      "marketplaces": [
        {
          "name": "m",
          "changed": false,
          "revision": "dir-[REVISION]",
          "plugins": 1,
          "added": [],
          "removed": [],
          "notes": []
        }
      ],
      "failed": []
    }
    "#);
    insta::assert_snapshot!(json(&["plugin", "validate", "./m"]), @r#"
    {
      "valid": true,
      "kind": "marketplace",
      "errors": [],
      "warnings": []
    }
    "#);
    insta::assert_snapshot!(json(&["plugin", "remove", "a"]), @r#"
    {
      "removed": [
        {
          "id": "a@m",
          "servers": [
            "a"
          ],
          "notes": []
        }
      ],
      "failed": []
    }
    "#);
    insta::assert_snapshot!(json(&["plugin", "marketplace", "remove", "m"]), @r#"
    {
      "removed": "m",
      "installed_plugins": []
    }
    "#);
    insta::assert_snapshot!(json(&["plugin", "marketplace", "add", "./m"]), @r#"
    {
      "marketplaces": [
        {
          "name": "m",
          "source": "[TMP]/m",
          "revision": "dir-[REVISION]",
          "plugins": 1,
          "enabled": true,
          "not_inspected": 0,
          "fetched_at": "2026-01-01T00:00:00Z",
          "official": true
        }
      ],
      "notes": []
    }
    "#);
}

#[test]
fn errors_are_json_on_standard_output_with_the_same_exit_code() {
    let (env, _market) = market(&[("a", json!({"a": {"command": "true"}}))]);
    for (arguments, kind) in [
        (vec!["plugin", "info", "nope"], "user"),
        (vec!["plugin", "install", "a"], "user"),
        (vec!["plugin", "install", "x@claude-plugins-official", "--yes"], "unavailable"),
        (vec!["plugin", "marketplace", "remove", "nope"], "user"),
        (vec!["plugin", "marketplace", "add", "./nope"], "user"),
        (vec!["plugin", "browse"], "user"),
        (vec!["plugin", "nonsense"], "usage"),
    ] {
        let plain = env.run(&arguments);
        let arguments: Vec<&str> = arguments.into_iter().chain(["--json"]).collect();
        let run = env.run(&arguments);
        assert_eq!(run.code, plain.code, "{arguments:?}");
        let answer = run.json();
        let error = if let Some(failed) = answer.get("failed") { failed[0].clone() } else { answer["error"].clone() };
        if answer.get("failed").is_none() {
            assert_eq!(keys(&answer), ["error"]);
            assert_eq!(keys(&error), ["kind", "message", "hint"], "{arguments:?}");
            assert_eq!(error["kind"], kind, "{arguments:?}");
        } else {
            assert_eq!(keys(&answer), ["installed", "failed"]);
            assert!(error["error"].is_string() && error["id"].is_string(), "{answer:#}");
        }
        // What would be installed is shown all the same.
        assert!(run.stderr.is_empty() || arguments[1] == "install", "{}", run.whole());
    }
}

// ---- without a terminal ----

#[test]
fn without_a_terminal_nothing_is_asked_and_the_flag_is_named() {
    let (env, market) = market(&[("a", json!({"a": {"command": "true"}})), ("b", json!({"a": {"command": "b"}}))]);
    let refused = |arguments: &[&str], flag: &str| {
        let run = env.run(arguments);
        assert_eq!(run.code, 2, "{}", run.whole());
        assert!(run.stderr.contains(flag), "{}", run.whole());
    };
    refused(&["plugin", "install", "a"], "`--yes`");
    refused(&["plugin", "marketplace", "add", "http://127.0.0.1:1/marketplace.json"], "`--yes`");
    install(&env, "a");
    refused(&["plugin", "install", "b", "--yes"], "`--on-conflict overwrite`");
    market.put("plugins/a/.mcp.json", r#"{"a": {"command": "other"}}"#);
    market.put("plugins/a/.claude-plugin/plugin.json", r#"{"name": "a", "version": "2.0.0"}"#);
    refused(&["plugin", "update"], "--accept-changes`");
}

// ---- remote entries, without cloning ----

/// A repository `o/NAME` with these files; the commit.
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
    // No file at all says nothing of a plugin: a private repository answers so as well.
    assert_eq!(found("none")["mcp_servers"], Value::Null);
    // Its other files were not seen.
    assert!(plugins.iter().all(|p| p["brings"].is_null()));

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
    looking into plugins ended early: the host answers 429 (too many requests); try again in 7 s
    ------- exit code 0 -------
    ");
    assert!(server.seen().len() < 60, "the round went on: {}", server.seen().len());
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "search"])), @"
      local@m  mcp  The plugin local
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
fn what_is_written_into_enabled_plugins_by_hand_is_carried_out() {
    let (env, _market) = market(&[("p", json!({"p": {"command": "x"}}))]);
    install(&env, "p");
    let path = env.home().join("settings.json");
    let switch = |from: &str, to: &str| {
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace(&format!("\"p@m\": {from}"), &format!("\"p@m\": {to}"))).unwrap();
    };
    switch("true", "false");
    let listed = env.run(&["plugin", "list"]).ok();
    assert_eq!(listed.stderr, "p@m: disabled, as settings.json says\n");
    assert_eq!(env.mcp(), json!({"mcpServers": {}}));
    switch("false", "true");
    env.run(&["plugin", "list"]).ok();
    assert_eq!(env.mcp()["mcpServers"]["p"]["command"], "x");
    assert_eq!(env.run(&["plugin", "list"]).ok().stderr, "");
}

#[test]
fn two_servers_of_one_plugin_never_get_one_key() {
    let (env, mut market) = market(&[("p", json!({"x y": {"command": "one"}}))]);
    install(&env, "p");
    market = market.file("plugins/p/.claude-plugin/plugin.json", r#"{"name": "p", "version": "2.0.0"}"#).file(
        "plugins/p/.mcp.json",
        &json!({"mcpServers": {"x y": {"command": "one"}, "x-y": {"command": "two"}}}).to_string(),
    );
    env.run(&["plugin", "update", "p", "--accept-changes"]).ok();
    let mcp = env.mcp();
    let commands: Vec<_> = mcp["mcpServers"].as_object().unwrap().values().map(|s| s["command"].clone()).collect();
    assert_eq!(commands, ["one", "two"], "{mcp}");
    env.run(&["plugin", "remove", "p"]).ok();
    assert_eq!(env.mcp(), json!({"mcpServers": {}}));

    // A rename keeps clear of the plugin's own other servers.
    env.write_mcp(r#"{"mcpServers": {"gh": {"command": "mine"}}}"#);
    market.put(
        "plugins/p/.mcp.json",
        &json!({"mcpServers": {"gh": {"command": "a"}, "p-gh": {"command": "b"}}}).to_string(),
    );
    env.run(&["plugin", "install", "p", "--yes", "--on-conflict", "rename"]).ok();
    assert_eq!(env.mcp()["mcpServers"].as_object().unwrap().len(), 3);
    env.run(&["plugin", "remove", "p"]).ok();
    assert_eq!(env.mcp(), json!({"mcpServers": {"gh": {"command": "mine"}}}));
}

#[test]
fn a_value_that_looks_like_a_secret_is_kept_nowhere() {
    let (env, _market) =
        market(&[("p", json!({"p": {"command": "x", "env": {"A": "${DATABASE_URL}", "B": "${HEADER}"}}}))]);
    for (value, secret) in [
        ("DATABASE_URL=postgres://u:hunter2@h/d", "hunter2"),
        ("HEADER=Bearer ghp_aaaaaaaa", "ghp_aaaaaaaa"),
        ("HEADER=https://h.example/?api_key=SEKRIT", "SEKRIT"),
        ("TKN=hunter3", "hunter3"),
    ] {
        let run = env.run(&["plugin", "install", "p", "--yes", "--env", value]);
        let everywhere = [run.stdout, run.stderr, env.read("mcp.json"), env.read("plugins.json")].concat();
        assert!(!everywhere.contains(secret), "{value}: {everywhere}");
    }
}

#[test]
fn a_repository_that_leads_elsewhere_by_its_git_file_is_refused() {
    let env = Environment::new();
    let secret = env.path("secret");
    fs::create_dir(&secret).unwrap();
    fs::write(secret.join(".mcp.json"), r#"{"s": {"command": "stolen"}}"#).unwrap();
    commit_all(&secret);
    let url = format!("file://{}", env.path("m/sub").display());
    let market = Market::new(env.path("m"), "m").entry(json!({"name": "q", "source": {"source": "url", "url": url}}));
    market.put("sub/.git", &format!("gitdir: {}\n", secret.join(".git").display()));
    env.add(market.root()).ok();
    let run = env.run(&["plugin", "install", "q", "--yes"]);
    assert_eq!(run.code, 2, "{}", run.whole());
    assert!(run.stderr.contains("keeps its objects elsewhere"), "{}", run.stderr);
}
