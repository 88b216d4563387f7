//! The `mcp_servers.yaml` of aiw 0.6, which the next command about servers moves to `mcp.json`.

use std::fs;
use std::time::Duration;

use aiw_tests::Environment;
use serde_json::{Value, json};

use crate::crash::rounds;

const OLD: &str = r#"mcpServers:
  filesystem:
    source: registry
    command: npx
    args: ["-y", "@anthropic/mcp-filesystem"]
    env:
      ALLOWED_PATHS: "/home/user"
  exa:
    source: smithery
    command: npx
    args: ["-y", "@anthropic/mcp-exa"]
    env:
      EXA_API_KEY: "${EXA_API_KEY}"
  leaky:
    command: npx
    args: [leaky]
    env:
      LEAKY_TOKEN: canary-0123456789abcdef
"#;

fn with(old: &[u8], mcp: &str) -> Environment {
    let env = Environment::new();
    fs::create_dir_all(env.home()).unwrap();
    fs::write(env.home().join("mcp.json"), mcp).unwrap();
    fs::write(env.home().join("mcp_servers.yaml"), old).unwrap();
    env
}

/// What the old file says, in the form of `mcp.json`.
fn moved() -> Value {
    json!({
        "filesystem": {"command": "npx", "args": ["-y", "@anthropic/mcp-filesystem"],
            "env": {"ALLOWED_PATHS": "/home/user"}},
        "exa": {"command": "npx", "args": ["-y", "@anthropic/mcp-exa"], "env": {"EXA_API_KEY": "${EXA_API_KEY}"}},
        "leaky": {"command": "npx", "args": ["leaky"], "env": {"LEAKY_TOKEN": "${secret:leaky-token}"}},
    })
}

#[test]
fn servers_of_an_old_aiw_move_to_mcp_json_once_with_their_keys_in_the_vault() {
    let env = with(OLD.as_bytes(), "{}");
    let run = env.run(&["mcp", "list"]).ok();
    let backup = env.home().join("mcp_servers.yaml.v0.age");
    let note = format!(
        "note: mcp_servers.yaml of aiw 0.6 is moved to mcp.json: 3 servers, and 1 secret to the vault; the old file is \
         `{}`, encrypted\n",
        backup.display()
    );
    assert_eq!(run.stderr, note, "{}", run.whole());
    assert!(run.stdout.contains("filesystem") && run.stdout.contains("exa"), "{}", run.whole());
    assert_eq!(env.mcp()["mcpServers"], moved());
    assert_eq!(env.json(&["secret", "list"])["secrets"][0]["name"], "leaky-token");
    assert!(!env.home().join("mcp_servers.yaml").exists());
    let sealed = fs::read(&backup).unwrap();
    assert!(sealed.starts_with(b"age-encryption.org") && !sealed.windows(6).any(|part| part == b"canary"));
    // Once.
    assert_eq!(env.run(&["mcp", "list"]).ok().stderr, "");
    // A process that was killed before it removed the file: the next one only removes it.
    let before = env.read("mcp.json");
    fs::write(env.home().join("mcp_servers.yaml"), OLD).unwrap();
    let run = env.run(&["mcp", "list"]).ok();
    assert!(run.stderr.contains("3 servers, and 0 secrets") && run.stderr.lines().count() == 1, "{}", run.whole());
    assert_eq!((env.read("mcp.json"), env.home().join("mcp_servers.yaml").exists()), (before, false));
}

#[test]
fn nothing_of_mcp_json_is_replaced_and_what_is_left_out_is_named() {
    let mine = "{\"mcpServers\": {\"exa\":   {\"command\": \"mine\"}}, \"other\":   1}\n";
    let more = "  aiw: {command: x}\n  odd: {command: x, env: {PORT: 8080}}\n  old: {type: sse, url: 'https://h.example'}\n  \
                off: {command: x, enabled: false}\n  thief: {command: x, env: {A: '${secret:mine}'}}\n  no: 3\n";
    let env = with(format!("{OLD}{more}").as_bytes(), mine);
    let run = env.run(&["mcp", "list"]).ok();
    let text = env.read("mcp.json");
    assert!(text.starts_with("{\"mcpServers\": {\"exa\":   {\"command\": \"mine\"}"), "{text}");
    assert!(text.ends_with(", \"other\":   1}\n"), "{text}");
    let names: Vec<&str> = run.stderr.lines().skip(1).filter_map(|line| line.split('`').nth(1)).collect();
    assert_eq!(names, ["exa", "aiw", "odd", "old", "off", "thief", "no"], "{}", run.whole());
    assert!(
        run.stderr.contains(
            "note: server `exa` of mcp_servers.yaml is left out: it has the name of another server in mcp.json\n"
        ),
        "{}",
        run.whole()
    );
    let listed = env.json(&["mcp", "list"]);
    let names: Vec<&str> =
        listed["servers"].as_array().unwrap().iter().map(|server| server["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["exa", "filesystem", "leaky"]);
}

#[test]
fn an_old_file_that_is_broken_or_hostile_is_left_alone_with_one_line() {
    let deep = format!("mcpServers: {}1{}", "[".repeat(5000), "]".repeat(5000));
    let bomb: String = (1..40).fold("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, at| {
        let from = format!("*a{}", at - 1);
        format!("{text}a{at}: &a{at} [{}]\n", [from.as_str(); 9].join(", "))
    });
    let huge = format!("mcpServers:\n{}", "  a: {command: x}\n".repeat(100_000));
    for (old, said) in [
        (deep.as_bytes(), "cannot be read: "),
        (bomb.as_bytes(), "cannot be read: "),
        (huge.as_bytes(), "is larger than 1 MiB"),
        (b"mcpServers: \xff\xfe", "is not UTF-8"),
        (b"mcpServers: {a: {command: x}, a: {command: y}}", "cannot be read: "),
        (b"mcpServers: [", "cannot be read: "),
        (b"servers: {}", "has no `mcpServers`"),
    ] {
        let env = with(old, "{}");
        let run = env.run(&["mcp", "list"]).ok();
        let line = run.stderr.lines().next().unwrap_or_default();
        assert!(line.contains("mcp_servers.yaml` ") && line.contains(said), "{said}: {}", run.whole());
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.whole());
        assert_eq!(fs::read(env.home().join("mcp_servers.yaml")).unwrap(), old);
        assert!(!env.home().join("mcp_servers.yaml.v0.age").exists());
        assert_eq!(env.read("mcp.json"), "{}");
    }
    // A link leads to what is somebody else's.
    let env = with(b"", "{}");
    let path = env.home().join("mcp_servers.yaml");
    fs::remove_file(&path).unwrap();
    fs::write(env.path("elsewhere"), OLD).unwrap();
    std::os::unix::fs::symlink(env.path("elsewhere"), &path).unwrap();
    let run = env.run(&["mcp", "list"]).ok();
    assert!(run.stderr.contains("mcp_servers.yaml` is a link\n") && run.stderr.lines().count() == 1, "{}", run.whole());
    assert!(path.is_symlink() && env.read("mcp.json") == "{}");
    // Nothing is said of a file without anything.
    assert_eq!(with(b"# nothing\n", "{}").run(&["mcp", "list"]).ok().stderr, "");
}

#[test]
fn a_move_that_is_killed_anywhere_is_done_by_the_next_command() {
    let mut cut = 0;
    for round in 0..rounds() {
        let env = with(OLD.as_bytes(), "{}");
        let mut child = env.start(&["mcp", "list"]);
        std::thread::sleep(Duration::from_millis(1 + round * 7 % 41));
        child.kill().unwrap();
        cut += u32::from(!child.wait().unwrap().success());
        env.run(&["mcp", "list"]).ok();
        assert_eq!(env.mcp()["mcpServers"], moved(), "{round}");
        assert!(!env.home().join("mcp_servers.yaml").exists());
        assert!(env.home().join("mcp_servers.yaml.v0.age").exists());
        let secrets = env.json(&["secret", "list"])["secrets"].clone();
        assert_eq!((secrets.as_array().unwrap().len(), &secrets[0]["name"]), (1, &json!("leaky-token")), "{round}");
    }
    assert!(cut > 0);
}

#[test]
fn markets_plugins_and_registries_of_an_old_aiw_are_taken_over() {
    let env = Environment::cold();
    let market = json!({"name": "here", "plugins": []});
    fs::create_dir_all(env.path("market/.claude-plugin")).unwrap();
    fs::write(env.path("market/.claude-plugin/marketplace.json"), market.to_string()).unwrap();
    let markets = json!({
        "claude-code-official": {"source": {"type": "github", "repo": "anthropics/claude-plugins-official"}, "enabled": true},
        "here": {"source": {"type": "local", "path": env.path("market")}, "enabled": true},
        "odd": {"source": {"type": "remote"}},
    });
    env.settings(&json!({"extraKnownMarketplaces": markets}));
    let record = json!({"version": "1.0.0", "installed_at": "2025-01-01T00:00:00Z", "enabled": true, "source": "here"});
    fs::write(env.home().join("plugins.json"), json!({"plugins": {"files@here": record}}).to_string()).unwrap();
    let registries = "sources:\n  registry: {enabled: false}\n  smithery:\n    enabled: false\n    api_key: \"${SMITHERY_API_KEY}\"\n";
    fs::write(env.home().join("registry.yaml"), registries).unwrap();
    let doctor = env.run(&["doctor"]);
    assert!(!doctor.stdout.contains("registry.yaml"), "{}", doctor.whole());
    assert!(doctor.stdout.contains("marketplace `odd`") && doctor.code != 0, "{}", doctor.whole());
    let run = env.run(&["plugin", "marketplace", "list"]).ok();
    for said in [
        "2 marketplaces",
        "`aiw plugin install files@here` installs it again",
        "marketplace `odd` has a source without `url`",
    ] {
        assert!(run.stderr.contains(said), "{said}: {}", run.whole());
    }
    for (name, backup) in [("settings.json", "settings.json.v0"), ("plugins.json", "plugins.json.v0")] {
        assert!(env.read(backup).contains("2025") || env.read(backup).contains("\"type\""), "{name}");
    }
    let settings: Value = serde_json::from_str(&env.read("settings.json")).unwrap();
    assert_eq!(settings["extraKnownMarketplaces"]["here"]["source"]["source"], "directory");
    assert_eq!(settings["enabledPlugins"], json!({"files@here": true}));
    env.run(&["plugin", "marketplace", "update", "here"]).ok();
    // Once.
    let again = env.run(&["plugin", "list"]).ok();
    assert!(!again.stderr.contains("0.6"), "{}", again.whole());
    // As Claude Code's settings of then run it.
    env.run(&["hooks", "status"]).ok();
}
