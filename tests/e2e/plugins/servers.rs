//! What a plugin declares, and what of that is written to mcp.json.

use std::fs;
use std::path::{Path, PathBuf};

use aiw_tests::{Environment, Market};
use serde_json::{Value, json};

use super::{files_with, install, market, whole};
use crate::terminal::Terminal;

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
    plugin `strict` is left out: it is `strict: false` in its marketplace, but its plugin.json declares `mcpServers`
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
    error: plugin `strict@m` is `strict: false` in its marketplace, but its plugin.json declares `mcpServers`
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
    insta::assert_snapshot!(env.run(&["plugin", "remove", "my.tools"]).ok().stderr.replace(&env.path("").display().to_string(), ""), @"the plugin's data stays in `aiw/data/my.tools@m`");
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
    `A` is not set: export it, or give it: `aiw plugin update p@m --env A=VALUE`
    `E_TOKEN` is not set: `aiw plugin install p@m` asks for it, or export it
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
            ");
        }
    }
    let server = env.mcp()["mcpServers"]["s"].clone();
    assert_eq!(server["env"]["A"], "${secret:p-api-token}");
    assert_eq!(server["env"]["B"], "${secret:pin}");
    assert_eq!(server["env"]["C"], "${secret:p-api-key}");
}

#[test]
fn a_secret_is_asked_for_without_an_echo_and_reaches_the_server_from_the_vault() {
    let (env, _market) = market(&[(
        "p",
        json!({"s": {"command": "sh", "args": ["-c", "printf %s \"$API_TOKEN\" >\"$SEEN\""],
            "env": {"API_TOKEN": "${API_TOKEN}", "SEEN": "${SEEN}"}}}),
    )]);
    let seen = env.path("seen");
    let env_seen = format!("SEEN={}", seen.display());
    let install = ["plugin", "install", "p", "--env", &env_seen];
    let mut terminal = Terminal::start(&env, &install);
    terminal.wait_for("Install p@m?");
    terminal.press("y\r");
    terminal.wait_for("Value of API_TOKEN");
    terminal.press("canary-5ecr3t\r");
    terminal.wait_for("Installed p@m");
    assert!(terminal.ends().success());
    assert!(!terminal.shown().contains("canary-5ecr3t"), "{}", terminal.shown());
    assert_eq!(env.mcp()["mcpServers"]["s"]["env"]["API_TOKEN"], "${secret:p-api-token}");
    assert_eq!(files_with(&env, "canary-5ecr3t"), Vec::<PathBuf>::new());
    assert_eq!(env.json(&["plugin", "list"])["plugins"][0]["missing_env"], json!([]));
    env.run(&["mcp", "tools", "s"]);
    assert_eq!(fs::read_to_string(&seen).unwrap(), "canary-5ecr3t");

    // Disabled, the plugin still has it; removed, nothing does.
    env.run(&["plugin", "disable", "p"]).ok();
    env.run(&["plugin", "enable", "p"]).ok();
    assert_eq!(env.mcp()["mcpServers"]["s"]["env"]["API_TOKEN"], "${secret:p-api-token}");
    env.run_with_input(&["secret", "set", "mine"], "other").ok();
    let update = env.run(&["plugin", "update", "p", "--env", "API_TOKEN=@mine"]).ok();
    assert!(update.stderr.contains("nothing uses the secret `p-api-token` any more"), "{}", update.whole());
    assert_eq!(env.mcp()["mcpServers"]["s"]["env"]["API_TOKEN"], "${secret:mine}");
    let removed = env.run(&["plugin", "remove", "p"]).ok();
    assert!(removed.stderr.contains("nothing uses the secret `mine` any more"), "{}", removed.whole());
}

#[test]
fn a_secret_that_was_not_given_is_asked_for_again_and_one_that_is_gone_is_named() {
    let (env, _market) = market(&[("p", json!({"s": {"command": "c", "env": {"A": "${API_TOKEN}"}}}))]);
    insta::assert_snapshot!(install(&env, "p").stderr, @"`API_TOKEN` is not set: `aiw plugin install p@m` asks for it, or export it");
    let mut terminal = Terminal::start(&env, &["plugin", "install", "p"]);
    terminal.wait_for("Install p@m?");
    terminal.press("y\r");
    terminal.wait_for("Value of API_TOKEN");
    terminal.press("canary-5ecr3t\r");
    terminal.wait_for("Installed p@m");
    assert!(terminal.ends().success());
    assert_eq!(env.mcp()["mcpServers"]["s"]["env"]["A"], "${secret:p-api-token}");
    env.run(&["secret", "remove", "p-api-token", "--yes"]).ok();
    let info = env.run(&["plugin", "info", "p"]).ok().stdout;
    assert!(info.contains("`API_TOKEN` is not in the vault: `aiw secret set p-api-token` puts it there"), "{info}");
    let unknown = env.run(&["plugin", "update", "p", "--env", "API_TOKEN=@nothing"]);
    assert!(unknown.stderr.contains("`nothing`") && unknown.code != 0, "{}", unknown.whole());
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
    insta::assert_snapshot!(run.stderr, @"`open` is not set: `aiw plugin update p@m --env open=VALUE` sets it");
    assert_eq!(env.mcp()["mcpServers"]["s"]["args"], json!(["eu", "5", "${CLAUDE_PLUGIN_OPTION_OPEN}"]));
}

#[test]
fn what_is_not_set_is_said_under_one_name_until_it_is_set() {
    let (env, market) = market(&[(
        "p",
        json!({"s": {"command": "c", "args": ["${user_config.directory}", "${REGION}"], "env": {"P": "${user_config.pin}"}}}),
    )]);
    let manifest = json!({"name": "p", "version": "1.0.0", "userConfig": {
        "directory": {"title": "Where it looks", "required": true}, "pin": {"title": "The PIN", "sensitive": true}}});
    market.put("plugins/p/.claude-plugin/plugin.json", &manifest.to_string());
    env.run(&["plugin", "marketplace", "update", "m"]).ok();
    insta::assert_snapshot!(whole(&env, &install(&env, "p")), @"
    p@m 1.0.0 from ./plugins/p
      s (stdio) runs: c ${user_config.directory} ${REGION}
        env P: ${user_config.pin}
        reads REGION, directory, pin
      `pin` is a secret, and not set yet
    Installed p@m 1.0.0: s
    Use it: aiw claude --mcp
    ------- stderr -------
    `REGION` is not set: export it, or give it: `aiw plugin update p@m --env REGION=VALUE`
    `directory` is not set: `aiw plugin update p@m --env directory=VALUE` sets it
    `pin` is not set: `aiw plugin install p@m` asks for it, or export it as CLAUDE_PLUGIN_OPTION_PIN
    ------- exit code 0 -------
    ");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "list"])), @"
    PLUGIN  VERSION  SERVERS  STATE
    p@m     1.0.0    s        not set: REGION, directory, pin
    ------- stderr -------
    ------- exit code 0 -------
    ");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "info", "p"])), @"
    p@m
      The plugin p
      version: 1.0.0
      source: ./plugins/p
      server s: stdio c ${user_config.directory} ${REGION}
        env P: ${user_config.pin}
        reads REGION, directory, pin
      installed: 1.0.0 since 2026-01-01T00:00:00Z, as s
      `REGION` is not set: export it, or give it: `aiw plugin update p@m --env REGION=VALUE`
      `directory` is not set: `aiw plugin update p@m --env directory=VALUE` sets it
      `pin` is not set: `aiw plugin install p@m` asks for it, or export it as CLAUDE_PLUGIN_OPTION_PIN
    ------- stderr -------
    ------- exit code 0 -------
    ");
    let unset = |command: &[&str]| {
        let answer = env.json(command);
        let plugin = answer.get("plugin").unwrap_or(&answer["plugins"][0]);
        plugin["missing_env"].clone()
    };
    assert_eq!(unset(&["plugin", "list"]), json!(["REGION", "directory", "pin"]));
    assert_eq!(unset(&["plugin", "info", "p"]), json!(["REGION", "directory", "pin"]));

    // The advice is a command that works, and sets a value without a new version.
    insta::assert_snapshot!(
        whole(&env, &env.run(&["plugin", "update", "p@m", "--env", "directory=/d", "--env", "REGION=eu"])), @"
    Updated p@m 1.0.0
    ------- stderr -------
    `pin` is not set: `aiw plugin install p@m` asks for it, or export it as CLAUDE_PLUGIN_OPTION_PIN
    ------- exit code 0 -------
    ");
    assert_eq!(env.mcp()["mcpServers"]["s"]["args"], json!(["/d", "${REGION:-eu}"]));
    assert_eq!(unset(&["plugin", "list"]), json!(["pin"]));
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "update", "p", "--env", "REGION=eu"])), @"
    p@m is up to date
    ------- stderr -------
    ------- exit code 0 -------
    ");
    env.run(&["plugin", "update", "p", "--env", "pin=${PIN}"]).ok();
    assert_eq!(env.mcp()["mcpServers"]["s"]["env"]["P"], "${PIN}");
    let told = env.run(&["plugin", "info", "p"]).ok().stdout;
    assert!(told.contains("asks for it, or export it as PIN"), "{told}");
    // Without its marketplace, too.
    env.run(&["plugin", "marketplace", "remove", "m"]).ok();
    assert_eq!(unset(&["plugin", "list"]), json!(["pin"]));
    assert!(env.run(&["plugin", "info", "p"]).ok().stdout.contains("`pin` is not set"));
    // It is not known whose value it is.
    assert_eq!(env.run(&["plugin", "update", "--env", "REGION=eu"]).code, 64);
}
