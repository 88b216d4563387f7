//! What becomes of servers after their installation, and what an installation leaves behind.

use std::fs;
use std::time::{Duration, Instant};

use aiw_tests::{Answer, Environment, Server};
use serde_json::{Value, json};

use super::install::sample;
use super::{Registry, age_copy, machine, until_copied, weather};

/// Installs the sample server.
fn install(env: &Environment) {
    env.json(&["mcp", "install", "io.github.acme/sample-mcp", "--yes", "--set", "key=canary-5ecr3t"]);
}

/// Has the copy brought up to date, until a search finds the sample as it should be.
fn synced(env: &Environment, is_so: impl Fn(&Value) -> bool) {
    age_copy(env);
    let begun = Instant::now();
    loop {
        let found = env.json(&["mcp", "search", "sample"]);
        if found["sources"][0]["copied"].is_u64() && is_so(&found) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{found}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What the doctor says of the sample's row in its registry, and what it says of copies.
fn news(env: &Environment) -> (Value, Value) {
    let answer = env.json(&["mcp", "doctor", "sample"]);
    let server = &answer["servers"][0];
    let said = server["problems"].as_array().unwrap().iter().any(|line| line.as_str().unwrap().contains("aiw mcp"));
    assert_eq!(said, server.get("news").is_some(), "{answer}");
    (server["news"].clone(), answer["copies"].clone())
}

#[test]
fn the_doctor_tells_from_the_copy_alone_what_has_become_of_a_server() {
    let (mut registry, env) = sample();
    install(&env);
    assert_eq!(news(&env), (Value::Null, json!([])), "there is no copy yet");
    until_copied(&env, "sample");
    assert_eq!(news(&env), (Value::Null, json!([])));
    let change = |version: &str, status: &str| {
        let mut rows = registry.rows.lock().unwrap();
        rows[0]["server"]["version"] = version.into();
        let official = &mut rows[0]["_meta"]["io.modelcontextprotocol.registry/official"];
        official["status"] = status.into();
        official["statusMessage"] = "use another".into();
        official["updatedAt"] = aiw_now().into();
    };
    change("2.0.0", "deprecated");
    synced(&env, |found| found["servers"][0]["status"] == "deprecated");
    let seen = registry.server.as_ref().unwrap().seen().len();
    let newer = json!({"what": "newer", "version": "2.0.0"});
    let deprecated = json!({"what": "deprecated", "reason": "use another"});
    assert_eq!(news(&env), (json!([deprecated, newer]), json!([])));
    let run = env.run(&["mcp", "doctor"]).ok();
    for line in [
        "  it is deprecated: use another (`aiw mcp remove sample`)\n",
        "  it has a newer version: 2.0.0 (`aiw mcp update sample`)\n",
    ] {
        assert!(run.stdout.contains(line), "{}", run.whole());
    }
    assert_eq!(registry.server.as_ref().unwrap().seen().len(), seen, "the registry was asked");

    change("2.0.0", "deleted");
    synced(&env, |found| found["servers"] == json!([]));
    registry.server = None;
    assert_eq!(news(&env).0, json!([{"what": "gone"}]));
    let run = env.run(&["mcp", "doctor"]).ok();
    assert!(run.stdout.contains("  it is no longer in its registry (`aiw mcp remove sample`)\n"), "{}", run.whole());
}

/// The present time as rows have it.
fn aiw_now() -> String {
    let output = std::process::Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn the_doctor_tells_of_another_publisher_and_nothing_from_a_copy_that_is_older_than_the_server() {
    let (registry, env) = sample();
    until_copied(&env, "sample");
    registry.rows.lock().unwrap()[0]["server"]["version"] = "2.0.0".into();
    // The copy still has the version before.
    install(&env);
    assert_eq!(news(&env).0, Value::Null);
    registry.rows.lock().unwrap()[0]["_meta"]["io.modelcontextprotocol.registry/official"]["updatedAt"] =
        aiw_now().into();
    synced(&env, |found| found["servers"][0]["version"] == "2.0.0");
    assert_eq!(news(&env).0, Value::Null);
    let path = env.home().join("registry.lock");
    let lock = env.read("registry.lock").replace("\"io.github.acme\"", "\"com.former\"");
    fs::write(path, lock).unwrap();
    assert_eq!(news(&env).0, json!([{"what": "publisher", "publisher": "io.github.acme"}]));
    let run = env.run(&["mcp", "doctor"]).ok();
    let line = "  it has another publisher now: `io.github.acme` (`aiw mcp info io.github.acme/sample-mcp`)\n";
    assert!(run.stdout.contains(line), "{}", run.whole());
}

#[test]
fn the_doctor_names_a_copy_that_is_damaged_or_can_not_be_brought_up_to_date() {
    let good = Registry::start(weather());
    let env = machine(&good.url());
    let copies = |env: &Environment| env.json(&["mcp", "doctor"])["copies"].clone();
    assert_eq!(copies(&env), json!([]));
    until_copied(&env, "weather");
    assert_eq!(copies(&env), json!([]));
    let path = env.home().join("cache/registries/registry-official-v1.db");
    // In the middle, where no search may come by.
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0x5a);
    fs::write(&path, bytes).unwrap();
    let run = env.run(&["mcp", "doctor"]).ok();
    let note =
        "note: the copy of registry-official was damaged and is removed; the next `aiw mcp search` makes a new one\n";
    assert_eq!(run.stderr, note, "{}", run.whole());
    assert!(!path.exists());
    until_copied(&env, "weather");
    assert_eq!(copies(&env), json!([]));

    let bad = Server::start(|_| Answer::status(500));
    env.settings(&json!({"sources": {"registry-official": {"base_url": bad.url()}}}));
    age_copy(&env);
    let begun = Instant::now();
    while env.json(&["mcp", "search", "weather"])["sources"][0].get("problem").is_none() {
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(100));
    }
    let said = copies(&env);
    assert_eq!(said[0]["source"], "registry-official", "{said}");
    let problem = said[0]["problem"].as_str().unwrap();
    assert!(problem.starts_with("the copy of registry-official could not be brought up to date: "), "{problem}");
    assert!(problem.ends_with("; the next `aiw mcp search` tries again"), "{problem}");
}
