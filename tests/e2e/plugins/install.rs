//! `aiw plugin install` and `remove`: from a search until nothing is left.

use std::fs;

use aiw_tests::{Environment, Market, Server, commit_all, git};
use serde_json::{Value, json};

use super::{hub, install, keys, market, point, publish, whole};

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
      PLUGIN   BRINGS  DESCRIPTION
      tools@m  mcp     The plugin tools
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
      `T_TOKEN` is a secret, and not set yet
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
      `T_TOKEN` is a secret, and not set yet
    Installed tools@m 1.0.0: words, tracker
    Use it: aiw claude --mcp
    ------- stderr -------
    `T_TOKEN` is not set: `aiw plugin install tools@m` asks for it, or export it
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
    Use it: aiw claude --mcp
    ------- stderr -------
    `T_TOKEN` is not set: `aiw plugin install tools@m` asks for it, or export it
    ------- exit code 0 -------
    ");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "list"])), @"
    PLUGIN   VERSION  SERVERS         STATE
    tools@m  1.0.0    words, tracker  not set: T_TOKEN
    ------- stderr -------
    ------- exit code 0 -------
    ");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "list", "--available"])), @"
      PLUGIN   BRINGS  DESCRIPTION
      other@m  mcp     The plugin other
    ✓ tools@m  mcp     The plugin tools
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
    PLUGIN   VERSION  SERVERS         STATE
    tools@m  1.0.0    words, tracker  disabled; not set: T_TOKEN
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
    tools@m is up to date
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
    Use it: aiw claude --mcp
    ------- stderr -------
    error: there is no plugin `nope`
    hint: marketplace `claude-plugins-official` is not fetched yet: `aiw plugin marketplace update claude-plugins-official`
    ------- exit code 2 -------
    ");
    assert_eq!(keys(&env.mcp()["mcpServers"]), ["a", "b"]);
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
