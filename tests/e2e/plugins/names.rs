//! Names of servers in mcp.json: conflicts, their resolution, and what is restored.

use serde_json::{Value, json};

use super::{install, keys, market, whole};

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

    // A rename avoids the names of the plugin's other servers.
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
