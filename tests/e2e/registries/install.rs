//! Installing servers from a registry: bundles on loopback, and what can't be installed.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use aiw_tests::Environment;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Registry, machine, remote, row};
use crate::mcp::Client;
use crate::terminal::Terminal;

/// The server that the tests of the pool use.
pub fn server_source() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("mcp_server.py")).unwrap()
}

/// A bundle of that server, which wants a key and takes a greeting.
fn bundle(version: &str) -> Vec<u8> {
    packed(version, &server_source())
}

/// A bundle of another program.
fn bundle_of(program: &str) -> Vec<u8> {
    packed("1.0.0", program)
}

/// A bundle that has the greeting as an argument.
fn leaky() -> Vec<u8> {
    let mut manifest = manifest("3.0.0");
    manifest["server"]["mcp_config"]["args"] = json!(["${__dirname}/server.py", "--define", "${user_config.greeting}"]);
    zipped(&manifest, &server_source())
}

fn packed(version: &str, program: &str) -> Vec<u8> {
    zipped(&manifest(version), program)
}

pub fn manifest(version: &str) -> Value {
    json!({
        "manifest_version": "0.2", "name": "sample", "version": version, "description": "A sample",
        "author": {"name": "Acme"},
        "server": {"type": "python", "entry_point": "server.py", "mcp_config": {
            "command": "python3", "args": ["${__dirname}/server.py"],
            "env": {"SAMPLE_KEY": "${user_config.key}", "SAMPLE_GREETING": "${user_config.greeting}"}}},
        "user_config": {
            "key": {"type": "string", "title": "Key", "description": "The key", "sensitive": true, "required": true},
            "greeting": {"type": "string", "title": "Greeting", "description": "A greeting", "required": false}},
    })
}

pub fn zipped(manifest: &Value, program: &str) -> Vec<u8> {
    zip_of(&[("manifest.json", manifest.to_string()), ("server.py", program.to_owned())])
}

pub fn zip_of(files: &[(&str, String)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for (name, content) in files {
        zip.start_file(*name, options).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn listed(url: &str, version: &str, digest: &str) -> Value {
    row(&json!({"name": "io.github.acme/sample-mcp", "description": "A sample", "version": version,
        "repository": {"url": "https://github.com/acme/sample", "source": "github"},
        "packages": [{"registryType": "mcpb", "identifier": format!("{url}/files/sample-{version}.mcpb"),
            "fileSha256": digest, "transport": {"type": "stdio"}}]}))
}

/// A registry with a sample server, whose bundles are at the same address, and a machine that uses it.
pub fn sample() -> (Registry, Environment) {
    let files = BTreeMap::from([
        ("/files/sample-1.0.0.mcpb", bundle("1.0.0")),
        ("/files/sample-2.0.0.mcpb", bundle("2.0.0")),
        ("/files/sample-3.0.0.mcpb", leaky()),
    ]);
    let registry = Registry::with_files(Vec::new(), files);
    let row = listed(&registry.url(), "1.0.0", &sha256(&bundle("1.0.0")));
    registry.rows.lock().unwrap().push(row);
    let env = machine(&registry.url());
    (registry, env)
}

#[test]
fn a_server_is_installed_tried_pinned_and_removed_with_its_secrets() {
    let (_registry, env) = sample();
    let run = env.run(&["mcp", "install", "io.github.acme/sample-mcp", "--yes"]);
    assert_eq!(run.code, 2, "{}", run.whole());
    assert!(run.stderr.contains("--set key=…"), "{}", run.whole());
    assert!(!env.home().join("mcp.json").exists() || env.mcp()["mcpServers"] == json!({}), "{}", env.mcp());
    let install = ["mcp", "install", "io.github.acme/sample-mcp", "--yes", "--set", "key=canary-5ecr3t"];
    let installed = env.json(&install);
    let server = &installed["server"];
    assert_eq!((&server["key"], &server["version"]), (&json!("sample"), &json!("1.0.0")));
    assert!(server["tools"].as_u64().unwrap() > 0, "{server}");
    // The key is in the vault, and nowhere else.
    let entry = &env.mcp()["mcpServers"]["sample"];
    assert_eq!(entry["env"], json!({"SAMPLE_KEY": "${secret:sample-key}"}));
    for file in ["mcp.json", "registry.lock"] {
        assert!(!env.read(file).contains("canary"), "{file}");
    }
    let lock: Value = serde_json::from_str(&env.read("registry.lock")).unwrap();
    let record = &lock["servers"]["sample"];
    assert_eq!((&record["source"], &record["publisher"]), (&json!("registry-official"), &json!("io.github.acme")));
    assert_eq!(record["answers"], json!({"key": ["${secret:sample-key}"]}));
    // It is pinned: a call needs no approval, and the server has the key.
    let called = env.run(&["mcp", "call", "sample/environment"]).ok();
    assert!(called.stdout.contains("canary-5ecr3t"), "{}", called.whole());
    let gone = env.run(&["mcp", "remove", "sample"]).ok();
    assert!(gone.stderr.contains("nothing uses the secret `sample-key`"), "{}", gone.whole());
    let lock: Value = serde_json::from_str(&env.read("registry.lock")).unwrap();
    assert_eq!((&env.mcp()["mcpServers"], &lock["servers"]), (&json!({}), &json!({})));
}

#[test]
fn a_bundle_with_another_digest_is_refused_and_nothing_is_written() {
    let (registry, env) = sample();
    registry.rows.lock().unwrap()[0] = listed(&registry.url(), "1.0.0", &sha256(b"another"));
    let run = env.run(&["mcp", "install", "io.github.acme/sample-mcp", "--yes", "--set", "key=x"]);
    assert!(run.code != 0 && run.stderr.contains("SHA-256"), "{}", run.whole());
    assert!(env.mcp()["mcpServers"].as_object().is_none_or(serde_json::Map::is_empty));
    assert!(!env.home().join("bundles").exists());
}

#[test]
fn a_newer_version_is_found_and_installed_with_the_same_answers() {
    let (registry, env) = sample();
    let install = ["mcp", "install", "io.github.acme/sample-mcp", "--yes", "--set", "key=canary-5ecr3t"];
    env.json(&install);
    let run = env.run(&["mcp", "outdated"]).ok();
    assert_eq!(run.stdout, "All servers from registries are up to date\n", "{}", run.whole());
    let before = env.mcp()["mcpServers"]["sample"].clone();
    registry.rows.lock().unwrap()[0] = listed(&registry.url(), "2.0.0", &sha256(&bundle("2.0.0")));
    let run = env.run(&["mcp", "outdated"]).ok();
    assert_eq!(run.stdout, "`sample` 1.0.0 has a newer version: 2.0.0\n", "{}", run.whole());
    let updated = env.json(&["mcp", "update", "--yes"]);
    assert_eq!(updated["updated"][0]["version"], "2.0.0", "{updated}");
    let after = env.mcp()["mcpServers"]["sample"].clone();
    assert_eq!(after["env"], before["env"]);
    assert_ne!(after["args"], before["args"], "another bundle is another directory");
    // Withdrawn.
    registry.rows.lock().unwrap().clear();
    let run = env.run(&["mcp", "outdated"]).ok();
    assert_eq!(run.stdout, "`sample` 2.0.0 is no longer in its registry\n", "{}", run.whole());
}

#[test]
fn a_server_whose_name_looks_like_another_ones_stays_apart_and_says_what_it_replaces() {
    let registry = Registry::with_files(Vec::new(), BTreeMap::new());
    let env = machine(&registry.url());
    let names = ["io.github.acme/sample", "io.github.acme/Sample", "io.github.acrne/sample"];
    registry.rows.lock().unwrap().extend(names.map(|name| remote(name, "A sample", "1.0.0")));
    let install = |name: &str, more: &[&str]| {
        env.run(&[&["mcp", "install", name, "--yes", "--no-check"], more].concat()).ok().whole()
    };
    let said = install(names[0], &[]);
    assert!(!said.contains("replaces") && !said.contains("it is not"), "{said}");
    let said = install(names[1], &[]);
    assert!(
        said.contains("it is not `io.github.acme/sample` 1.0.0 from registry-official, which is installed as `sample`"),
        "{said}"
    );
    assert!(said.contains("reaches: https://sample.example/mcp") && said.contains("writes that address as"), "{said}");
    let said = install(names[2], &[]);
    assert!(said.contains("it is not `io.github.acme/sample`"), "{said}");
    let keys: Vec<String> = env.mcp()["mcpServers"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["sample", "Sample-2", "sample-3"]);
    let said = install(names[2], &["--name", "sample", "--force"]);
    assert!(said.contains("replaces `sample`: `io.github.acme/sample` 1.0.0 from registry-official"), "{said}");
}

#[test]
fn an_address_inside_a_network_is_named_and_asked_about() {
    let registry = Registry::with_files(Vec::new(), BTreeMap::new());
    let env = machine(&registry.url());
    let inner = row(&json!({"name": "io.github.acme/inner", "description": "A sample", "version": "1.0.0",
        "remotes": [{"type": "streamable-http", "url": "https://0xa9fea9fe/mcp"}]}));
    registry.rows.lock().unwrap().push(inner);
    let said = env.run(&["mcp", "install", "io.github.acme/inner", "--yes", "--no-check"]).ok().whole();
    assert!(said.contains("reaches: https://169.254.169.254/mcp"), "{said}");
    assert!(said.contains("inside a private or local network: `169.254.169.254`"), "{said}");
    assert_eq!(env.mcp()["mcpServers"]["inner"]["url"], "https://169.254.169.254/mcp");
}

#[test]
fn what_does_not_speak_mcp_is_not_written() {
    let (registry, env) = sample();
    let liar = bundle_of("print('hello')");
    let digest = sha256(&liar);
    let files = BTreeMap::from([("/files/sample-1.0.0.mcpb", liar)]);
    let other = Registry::with_files(Vec::new(), files);
    other.rows.lock().unwrap().push(listed(&other.url(), "1.0.0", &digest));
    drop(registry);
    env.settings(&json!({"sources": {"registry-official": {"base_url": other.url()}}}));
    let run = env.run(&["mcp", "install", "io.github.acme/sample-mcp", "--yes", "--set", "key=x"]);
    assert_eq!(run.code, 2, "{}", run.whole());
    assert!(run.stderr.contains("`sample` does not work"), "{}", run.whole());
    assert!(env.mcp()["mcpServers"].as_object().is_none_or(serde_json::Map::is_empty));
}

#[test]
fn servers_that_cannot_be_installed_say_why() {
    let package = |package: Value| {
        row(&json!({"name": "a/server", "description": "x", "version": "1.0.0", "packages": [package]}))
    };
    let stdio = json!({"type": "stdio"});
    for (said, row) in [
        (
            "SSE",
            row(&json!({"name": "a/server", "description": "x", "version": "1.0.0",
            "remotes": [{"type": "sse", "url": "https://x.example/sse"}]})),
        ),
        (
            "starts an HTTP server",
            package(json!({"registryType": "npm", "identifier": "x", "version": "1.0.0",
            "transport": {"type": "streamable-http", "url": "http://localhost:3000/mcp"}})),
        ),
        (
            "cargo install x@1.0.0",
            package(json!({"registryType": "cargo", "identifier": "x", "version": "1.0.0",
            "transport": stdio})),
        ),
        (
            "valid",
            package(json!({"registryType": "npm", "identifier": "x; rm -rf ~", "version": "1.0.0",
            "transport": stdio})),
        ),
        (
            "valid",
            package(json!({"registryType": "pypi", "identifier": "--index-url=https://evil.example",
            "version": "1.0.0", "transport": stdio})),
        ),
        (
            "decides what code runs",
            package(json!({"registryType": "npm", "identifier": "x", "version": "1.0.0",
            "transport": stdio, "environmentVariables": [{"name": "NODE_OPTIONS", "value": "--require /tmp/x"}]})),
        ),
    ] {
        let registry = Registry::start(vec![row]);
        let env = machine(&registry.url());
        let run = env.run(&["mcp", "install", "a/server", "--yes"]);
        assert_eq!(run.code, 2, "{}", run.whole());
        assert!(run.stderr.contains(said), "{said}: {}", run.whole());
    }
}

#[test]
fn a_model_finds_servers_and_leaves_the_installation_to_the_user() {
    let (_registry, env) = sample();
    let mut client = Client::start_with(&env, &["mcp", "serve", "--toolsets", "default,registries"]);
    client.initialize("2025-06-18");
    let mut call = |name: &str, arguments: Value| {
        client.result("tools/call", json!({"name": name, "arguments": arguments}))["structuredContent"].clone()
    };
    let found = call("search_servers", json!({"query": "sample"}));
    assert_eq!(found["servers"][0]["name"], "io.github.acme/sample-mcp", "{found}");
    let offer = call("install_server", json!({"name": "io.github.acme/sample-mcp"}));
    assert_eq!(offer["command"], "aiw mcp install io.github.acme/sample-mcp --source registry-official", "{offer}");
    assert_eq!(offer["methods"][0]["kind"], "mcpb", "{offer}");
    assert!(env.mcp()["mcpServers"].as_object().is_none_or(serde_json::Map::is_empty));
    client.leave_whatever_comes();
    // It is no part of what is offered unasked.
    let mut client = Client::initialized(&env);
    let tools = client.result("tools/list", json!({}));
    assert!(tools["tools"].as_array().unwrap().iter().all(|tool| tool["name"] != "search_servers"), "{tools}");
    client.leave_whatever_comes();
}

#[test]
fn a_key_that_is_asked_for_as_a_path_is_a_secret_all_the_same() {
    let row = row(&json!({"name": "a/sec", "description": "x", "version": "1.0.0",
        "packages": [{"registryType": "npm", "identifier": "acme-x", "version": "1.0.0",
            "transport": {"type": "stdio"},
            "environmentVariables": [{"name": "OPENAI_API_KEY", "format": "filepath"}],
            "packageArguments": [{"type": "named", "name": "--api-key", "format": "filepath"}]}]}));
    let registry = Registry::start(vec![row]);
    let env = machine(&registry.url());
    let install = ["mcp", "install", "a/sec", "--yes", "--no-check"];
    // As the hint of a missing value writes it.
    let run = env.run(&[&install[..], &["--set", "--api-key=sk-proj-canary0123456789abcdef"]].concat());
    assert!(run.code == 2 && run.stderr.contains("looks like a secret"), "{}", run.whole());
    let run = env.run(&[&install[..], &["--set", "OPENAI_API_KEY=sk-proj-canary0123456789abcdef"]].concat()).ok();
    assert!(!run.whole().contains("canary"), "{}", run.whole());
    for file in ["mcp.json", "registry.lock"] {
        assert!(!env.read(file).contains("canary"), "{file}");
    }
    // A path is none.
    let force = ["--force", "--set", "--api-key=/etc/keys/acme.pem"];
    env.run(&[&install[..], &force].concat()).ok();
    assert!(env.read("mcp.json").contains("--api-key=/etc/keys/acme.pem"), "{}", env.mcp());
}

#[test]
fn an_update_puts_no_secret_on_a_command_line_and_replaces_nothing_of_the_users() {
    let (registry, env) = sample();
    env.run_with_input(&["secret", "set", "hello"], "canary-hello").ok();
    let install = ["mcp", "install", "io.github.acme/sample-mcp", "--yes", "--set", "key=canary-5ecr3t"];
    env.json(&[&install[..], &["--set", "greeting=@hello"]].concat());
    let before = env.mcp();
    assert_eq!(before["mcpServers"]["sample"]["env"]["SAMPLE_GREETING"], "${secret:hello}");
    registry.rows.lock().unwrap()[0] = listed(&registry.url(), "3.0.0", &sha256(&leaky()));
    let run = env.run(&["mcp", "update", "--yes"]);
    assert!(run.code != 0 && run.stderr.contains("arguments"), "{}", run.whole());
    assert!(!run.whole().contains("canary"), "{}", run.whole());
    assert_eq!(env.mcp(), before);
    registry.rows.lock().unwrap()[0] = listed(&registry.url(), "2.0.0", &sha256(&bundle("2.0.0")));
    let mut own = before;
    own["mcpServers"]["sample"] = json!({"command": "mine"});
    env.write_mcp(&own.to_string());
    let run = env.run(&["mcp", "update", "--yes"]);
    assert!(run.code != 0 && run.stderr.contains("--force"), "{}", run.whole());
    assert_eq!(env.mcp(), own);
}

#[test]
fn what_is_asked_stands_before_the_yes_and_a_default_is_the_answer_with_yes_and_with_enter() {
    let variables = json!([
        {"name": "ACME_REGION", "description": "Where it runs", "default": "eu", "isRequired": true},
        {"name": "ACME_LEVEL", "default": "info"},
        {"name": "ACME_KEY", "description": "Of your account", "isRequired": true, "isSecret": true},
        {"name": "ACME_HINT"}, {"name": "ACME_PIN", "isSecret": true}]);
    let row = row(&json!({"name": "io.github.acme/asks", "description": "x", "version": "1.0.0",
        "packages": [{"registryType": "npm", "identifier": "acme-x", "version": "1.0.0",
            "transport": {"type": "stdio"}, "environmentVariables": variables}]}));
    let registry = Registry::start(vec![row]);
    let env = machine(&registry.url());
    let install = ["mcp", "install", "io.github.acme/asks", "--no-check", "--set", "ACME_KEY=canary-5ecr3t"];
    let mut terminal = Terminal::start(&env, &install);
    terminal.wait("the question", |shown| shown.contains("Install the MCP server `asks`?"));
    let shown = terminal.shown();
    for line in [
        "  needs ACME_REGION, by its publisher's default `eu`: Where it runs",
        "  takes ACME_LEVEL, by its publisher's default `info`",
        "  needs ACME_KEY, a secret: Of your account",
        "  takes ACME_HINT, ACME_PIN (a secret)",
    ] {
        assert!(shown.contains(line), "{line}:\n{shown}");
    }
    terminal.press("y\r");
    for value in ["ACME_REGION [eu, its publisher's default]:", "ACME_LEVEL [info", "ACME_HINT (", "ACME_PIN ("] {
        let value = &format!("Value of {value}");
        terminal.wait(value, |shown| shown.contains(value));
        terminal.press("\r");
    }
    terminal.wait("the end", |shown| shown.contains("Installed `asks`"));
    let by_enter = env.mcp()["mcpServers"]["asks"].clone();
    let expected = json!({"ACME_REGION": "eu", "ACME_LEVEL": "info", "ACME_KEY": "${secret:asks-acme-key}"});
    assert_eq!(by_enter["env"], expected);
    env.run(&["mcp", "remove", "asks"]).ok();
    env.run(&["secret", "remove", "asks-acme-key"]).ok();
    let run = env.run(&[&install[..], &["--yes"]].concat()).ok();
    assert!(run.stdout.contains("takes ACME_LEVEL, by its publisher's default `info`"), "{}", run.whole());
    assert_eq!(env.mcp()["mcpServers"]["asks"], by_enter);
    // Declined, and still so after an update.
    env.run(&[&install[..], &["--yes", "--set", "ACME_LEVEL="]].concat()).ok();
    assert_eq!(env.mcp()["mcpServers"]["asks"]["env"].get("ACME_LEVEL"), None);
    registry.rows.lock().unwrap()[0]["server"]["version"] = json!("1.0.1");
    env.run(&["mcp", "update", "--yes", "--no-check"]).ok();
    assert_eq!(env.mcp()["mcpServers"]["asks"]["env"].get("ACME_LEVEL"), None, "{}", env.mcp());
}

#[test]
fn a_server_whose_name_has_several_slashes_is_found_and_installed() {
    let rows = vec![remote("io.github.acme/team/weather", "Says the weather", "1.0.0")];
    let registry = Registry::start(rows);
    let env = machine(&registry.url());
    let found = env.json(&["mcp", "search", "weather"]);
    assert_eq!(found["servers"][0]["name"], "io.github.acme/team/weather", "{found}");
    env.run(&["mcp", "install", "io.github.acme/team/weather", "--yes", "--no-check"]).ok();
    assert_eq!(env.mcp()["mcpServers"]["weather"]["url"], "https://weather.example/mcp");
}
