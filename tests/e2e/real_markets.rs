//! Facts about three real marketplaces, served unchanged.

use aiw_tests::{Environment, Server, commit_all, corpus, git, git_backend};
use serde_json::Value;

fn servers(plugin: &Value) -> usize {
    plugin["mcp_servers"].as_array().map_or(0, Vec::len)
}

#[test]
fn the_official_market_over_smart_http_has_286_entries_and_14_local_plugins_with_servers() {
    let Some(corpus) = corpus("anthropics+claude-plugins-official") else { return };
    let env = Environment::new();
    let root = env.path("srv/anthropics/claude-plugins-official");
    corpus.write(&root);
    let commit = commit_all(&root);
    git(
        &env.path("srv/anthropics"),
        &["clone", "-q", "--bare", "claude-plugins-official", "claude-plugins-official.git"],
    );
    let server = Server::start(git_backend(env.path("srv")));
    env.git_config(&format!("[url \"{}/\"]\n\tinsteadOf = https://github.com/\n", server.url()));

    env.run(&["plugin", "marketplace", "add", "anthropics/claude-plugins-official"]).ok();

    let listed = env.json(&["plugin", "list", "--available", "--all"]);
    let plugins = listed["plugins"].as_array().unwrap();
    assert_eq!(plugins.len(), 286);
    let remote = plugins.iter().filter(|p| p["mcp_servers"].is_null() && p["broken"].is_null()).count();
    assert_eq!(remote, 233);
    assert_eq!(plugins.iter().filter(|p| !p["mcp_servers"].is_null()).count(), 53);
    assert_eq!(plugins.iter().filter(|p| servers(p) > 0).count(), 14);
    let markets = env.json(&["plugin", "marketplace", "list"]);
    assert_eq!(markets["marketplaces"][0]["revision"], commit.as_str());
    assert_eq!(markets["marketplaces"][0]["plugins"], 286);

    let installed = env.json(&["plugin", "install", "context7", "--yes"]);
    assert_eq!(installed["installed"][0]["commit"], commit.as_str());
    assert_eq!(env.mcp()["mcpServers"]["context7"]["headers"]["Authorization"], "${CONTEXT7_API_KEY:-}");
}

#[test]
fn knowledge_work_plugins_over_a_file_url_has_32_empty_urls_each_with_a_word() {
    let Some(corpus) = corpus("anthropics+knowledge-work-plugins") else { return };
    let env = Environment::new();
    let root = env.path("kw");
    corpus.write(&root);
    commit_all(&root);
    let url = format!("file://{}", root.display());
    let added = env.run(&["plugin", "marketplace", "add", &url, "--name", "kw", "--no-inspect"]).ok();
    assert_eq!(added.stderr.matches("it has an empty `url`").count(), 32);
    let listed = env.json(&["plugin", "list", "--available", "--all"]);
    let plugins = listed["plugins"].as_array().unwrap();
    assert_eq!(plugins.len(), 94);
    assert_eq!(plugins.iter().filter(|p| !p["mcp_servers"].is_null()).count(), 22);
    assert_eq!(plugins.iter().filter(|p| servers(p) > 0).count(), 21);
}

#[test]
fn a_market_without_servers_shows_nothing_unless_asked_for_all() {
    let Some(corpus) = corpus("wshobson+agents") else { return };
    let env = Environment::new();
    let root = env.path("agents");
    corpus.write(&root);
    env.run(&["plugin", "marketplace", "add", &root.display().to_string(), "--no-inspect"]).ok();
    let shown = env.json(&["plugin", "search"]);
    assert_eq!(shown["plugins"].as_array().unwrap().len(), 0);
    assert!(shown["hidden"]["without_servers"].as_u64().unwrap() > 80);
    let all = env.json(&["plugin", "search", "--all"]);
    let plugins = all["plugins"].as_array().unwrap();
    assert_eq!(plugins.len(), 92);
    assert!(plugins.iter().any(|p| p["contents"].as_array().is_some_and(|b| b.contains(&"agents".into()))));
}
