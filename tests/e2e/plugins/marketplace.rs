//! `aiw plugin marketplace …`: where marketplaces come from.

use std::fs;
use std::path::Path;

use aiw_tests::{Answer, Environment, Market, Server, commit_all, git};
use serde_json::{Value, json};

use super::{hub, install, keys, market, point, publish, whole};

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
    // The same declaration in two markets is one entry.
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
    // An update stays at the same ref.
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
    error: marketplace `m` already exists, from [TMP]/m
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
    NAME                     SOURCE                                     PLUGINS
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
    PLUGIN  VERSION  SERVERS  STATE
    a@m     1.0.0    a
    ------- stderr -------
    ------- exit code 0 -------
    ");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "info", "a@m"])), @"
    a@m
      its marketplace no longer lists it
      installed: 1.0.0 since 2026-01-01T00:00:00Z, as a
    ------- stderr -------
    ------- exit code 0 -------
    ");
    env.run(&["plugin", "remove", "a"]).ok();
    assert_eq!(env.mcp(), json!({"mcpServers": {}}));
}

#[test]
fn an_update_of_all_goes_on_past_a_failure_and_ends_with_its_code() {
    let (env, mut near) = market(&[("a", json!({"a": {"command": "true"}}))]);
    let far = Market::new(env.path("far"), "far").plugin("f", "1.0.0", json!({"f": {"command": "true"}}));
    publish(&env, far.root(), "o/far");
    let server = Server::start(hub(&env));
    let url = format!("{}/o/far.git", server.url());
    env.run(&["plugin", "marketplace", "add", &url, "--yes"]).ok();
    env.run(&["plugin", "marketplace", "remove", "claude-plugins-official"]).ok();
    drop(server);
    // It comes after the one that fails.
    let last = Market::new(env.path("z"), "z").plugin("z", "1.0.0", json!({"z": {"command": "true"}}));
    env.add(last.root()).ok();
    near.edit(|document| document["plugins"][0]["description"] = "new".into());

    let run = env.run(&["plugin", "marketplace", "update"]);
    assert_eq!(run.code, 69, "{}", run.whole());
    assert_eq!(run.stdout, "m: updated, 1 plugin\nz: unchanged, 1 plugin\n");
    let told: Vec<&str> = run.stderr.lines().collect();
    assert!(told[0].starts_with("far: not updated: "), "{}", run.whole());
    assert_eq!(told[1..], ["error: 1 of 3 marketplaces could not be updated"], "{}", run.whole());
    let run = env.run(&["plugin", "marketplace", "update", "--json"]);
    assert_eq!((run.code, &run.json()["failed"][0]["name"]), (69, &json!("far")));
    assert_eq!(run.json()["marketplaces"].as_array().unwrap().len(), 2);

    // Another kind of failure before it decides.
    fs::write(near.document_path(), "{").unwrap();
    let run = env.run(&["plugin", "marketplace", "update"]);
    assert_eq!(run.code, 2, "{}", run.whole());
    assert_eq!(run.stderr.lines().last(), Some("error: 2 of 3 marketplaces could not be updated"), "{}", run.whole());
}

#[test]
fn only_anthropics_own_marketplaces_are_official() {
    let (env, _market) = market(&[("a", json!({"a": {"command": "true"}}))]);
    let listed = env.json(&["plugin", "marketplace", "list"]);
    let official = |name: &str| {
        let markets = listed["marketplaces"].as_array().unwrap();
        markets.iter().find(|market| market["name"] == name).unwrap()["official"].clone()
    };
    assert_eq!((official("claude-plugins-official"), official("m")), (json!(true), json!(false)));
}

#[test]
fn a_repository_over_the_dumb_protocol_is_named_as_such() {
    let env = Environment::new();
    let market = Market::new(env.path("m"), "m").plugin("a", "1.0.0", json!({"a": {"command": "true"}}));
    publish(&env, market.root(), "o/m");
    let root = env.path("srv");
    git(&root.join("o/m.git"), &["update-server-info"]);
    // A server of files: it knows nothing of git, and ignores the query.
    let server = Server::start(move |request| match fs::read(root.join(request.path.trim_start_matches('/'))) {
        Ok(content) => Answer::ok(content),
        Err(_) => Answer::status(404),
    });
    for path in ["/o/m.git", "/o/m.git/"] {
        let url = format!("{}{path}", server.url());
        let run = env.run(&["plugin", "marketplace", "add", &url, "--yes"]);
        let said = format!(
            "error: `{}/o/m.git` offers only git's old \"dumb\" HTTP protocol, which aiw does not support: clone it and \
             add the directory, or use a server with git's smart HTTP protocol\n",
            server.url()
        );
        assert_eq!((run.code, run.stderr.as_str()), (2, said.as_str()), "{}", run.whole());
    }
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
    error: plugin `gone` was removed from its marketplace
    ------- exit code 2 -------
    ");
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
