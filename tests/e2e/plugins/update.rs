//! `aiw plugin update`.

use std::fs;

use serde_json::json;

use super::{install, keys, market, whole};

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
    p@m is up to date
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
            run.stderr.contains("`aiw plugin update p@m --accept-changes` accepts this"),
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
    error: the update of `p@m` changes its servers: server `s`, `command`: ${CLAUDE_PLUGIN_ROOT}/run becomes ${CLAUDE_PLUGIN_ROOT}/lib; new server t (sse) reaches: https://h/sse
    hint: `aiw plugin update p@m --accept-changes` accepts this
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
