//! Installing servers from a registry: bundles on loopback, and what can't be installed.

use std::fs;
use std::io::Write;
use std::path::Path;

use aiw_tests::{Answer, Environment, Server};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Registry, machine, row};

/// The server that the tests of the pool use.
fn server_source() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("mcp_server.py")).unwrap()
}

/// A bundle of that server, which wants a key and takes a greeting.
fn bundle(version: &str) -> Vec<u8> {
    let manifest = json!({
        "manifest_version": "0.2", "name": "sample", "version": version, "description": "A sample",
        "author": {"name": "Acme"},
        "server": {"type": "python", "entry_point": "server.py", "mcp_config": {
            "command": "python3", "args": ["${__dirname}/server.py"],
            "env": {"SAMPLE_KEY": "${user_config.key}", "SAMPLE_GREETING": "${user_config.greeting}"}}},
        "user_config": {
            "key": {"type": "string", "title": "Key", "description": "The key", "sensitive": true, "required": true},
            "greeting": {"type": "string", "title": "Greeting", "description": "A greeting", "required": false}},
    });
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for (name, content) in [("manifest.json", manifest.to_string()), ("server.py", server_source())] {
        zip.start_file(name, options).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A registry with a sample server as a bundle, which is on the same server.
struct Sample {
    registry: Registry,
    env: Environment,
}

fn listed(url: &str, version: &str, digest: &str) -> Value {
    row(&json!({"name": "io.github.acme/sample-mcp", "description": "A sample", "version": version,
        "repository": {"url": "https://github.com/acme/sample", "source": "github"},
        "packages": [{"registryType": "mcpb", "identifier": format!("{url}/sample-{version}.mcpb"),
            "fileSha256": digest, "transport": {"type": "stdio"}}]}))
}

impl Sample {
    fn new() -> Self {
        let files = Server::start(|request| match request.path.as_str() {
            "/sample-1.0.0.mcpb" => Answer::ok(bundle("1.0.0")),
            "/sample-2.0.0.mcpb" => Answer::ok(bundle("2.0.0")),
            _ => Answer::status(404),
        });
        let row = listed(&files.url(), "1.0.0", &sha256(&bundle("1.0.0")));
        let registry = Registry::start(vec![row]);
        let env = machine(&registry.url());
        env.settings(&json!({"sources": {"registry-official": {"base_url": registry.url(), "files": files.url()}}}));
        std::mem::forget(files);
        Self { registry, env }
    }
}

#[test]
fn a_server_is_installed_tried_pinned_and_removed_with_its_secrets() {
    let Sample { registry: _registry, env } = Sample::new();
    let run = env.run(&["mcp", "install", "io.github.acme/sample-mcp", "--yes"]);
    assert_eq!(run.code, 1, "{}", run.whole());
    assert!(run.stderr.contains("--set key=…"), "{}", run.whole());
    assert!(!env.home().join("mcp.json").exists() || env.mcp()["mcpServers"] == json!({}), "{}", env.mcp());
    let install = ["mcp", "install", "io.github.acme/sample-mcp", "--yes", "--set", "key=canary-5ecr3t", "--json"];
    let installed = env.json(&install);
    let server = &installed["server"];
    assert_eq!((&server["key"], &server["version"]), (&json!("sample"), &json!("1.0.0")));
    assert!(server["tools"].as_u64().unwrap() > 0, "{server}");
    // The key is in the vault, and nowhere else.
    let entry = &env.mcp()["mcpServers"]["sample"];
    assert_eq!(entry["env"], json!({"SAMPLE_KEY": "${secret:sample-key}"}));
    for file in ["mcp.json", "registry.lock"] {
        assert!(!env.read(&format!("home/{file}")).contains("canary"), "{file}");
    }
    let lock: Value = serde_json::from_str(&env.read("home/registry.lock")).unwrap();
    let record = &lock["servers"]["sample"];
    assert_eq!((&record["source"], &record["publisher"]), (&json!("registry-official"), &json!("io.github.acme")));
    assert_eq!(record["answers"], json!({"key": ["${secret:sample-key}"]}));
    // It is pinned: a call needs no approval, and the server has the key.
    let called = env.run(&["mcp", "call", "sample/describe"]).ok();
    assert!(called.stdout.contains("canary-5ecr3t"), "{}", called.whole());
    let gone = env.run(&["mcp", "remove", "sample"]).ok();
    assert!(gone.stderr.contains("nothing uses the secret `sample-key`"), "{}", gone.whole());
    let lock: Value = serde_json::from_str(&env.read("home/registry.lock")).unwrap();
    assert_eq!((&env.mcp()["mcpServers"], &lock["servers"]), (&json!({}), &json!({})));
}
