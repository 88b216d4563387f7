//! Checks of API providers from time to time: only where the settings ask for them, and without asking a model anything.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aiw_tests::{Answer, Environment, Server};
use serde_json::{Value, json};

use crate::until;

/// A provider on loopback, which can fail.
fn provider() -> (Server, Arc<AtomicBool>) {
    let fails = Arc::new(AtomicBool::new(false));
    let is_failing = fails.clone();
    let server = Server::start(move |request| {
        let key = request.headers.get("authorization").map(String::as_str);
        match (request.path.as_str(), key) {
            _ if is_failing.load(Ordering::Relaxed) => Answer::status(503),
            ("/v1/models", Some("Bearer sk-canary-gw")) => Answer::ok(r#"{"data": [{"id": "model-one"}]}"#),
            _ => Answer::status(401),
        }
    });
    (server, fails)
}

fn health(env: &Environment, name: &str) -> Value {
    let listed = env.json(&["provider", "list"]);
    let all = listed["providers"].as_array().unwrap();
    all.iter().find(|provider| provider["name"] == name).unwrap()["health"].clone()
}

/// Makes the last round an old one, and waits until there was another.
fn another_round(env: &Environment) -> Value {
    const LONG_AGO: &str = "2020-01-01T00:00:00Z";
    let path = env.home().join("health/providers.json");
    let mut book: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for health in book.as_object_mut().unwrap().values_mut() {
        health["checked"] = LONG_AGO.into();
    }
    fs::write(&path, book.to_string()).unwrap();
    until(|| Some(health(env, "gw")).filter(|health| health["checked"] != LONG_AGO))
}

fn events(env: &Environment) -> Vec<(Value, Value, Value)> {
    let all = env.json(&["events", "--all"]);
    let of_providers = all["events"].as_array().unwrap().iter().filter(|event| event["subject"] == "provider");
    of_providers.map(|event| (event["kind"].clone(), event["name"].clone(), event["reason"].clone())).collect()
}

#[test]
fn providers_are_checked_only_if_the_settings_ask_for_it_and_a_change_is_told_once() {
    let mut env = Environment::new();
    let (server, fails) = provider();
    let place = format!("openai={}/v1", server.url());
    let add = ["provider", "add", "gw", "--preset", "custom", "--base-url", &place, "--token-stdin"];
    assert_eq!(env.run_with_input(&add, "sk-canary-gw\n").code, 0);
    env.set("SHELL_KEY", "sk-canary-gw");
    let add = ["provider", "add", "shell", "--preset", "custom", "--base-url", &place, "--token-env", "SHELL_KEY"];
    env.run(&add).ok();
    let is_quiet = |env: &Environment| {
        let status = env.json(&["status"]);
        let is_awake = status["daemon"]["awake"] == true;
        !is_awake && health(env, "gw").is_null() && server.seen().is_empty()
    };
    assert!(is_quiet(&env), "{:?}", server.seen());
    // Too often is refused, and then nothing is checked.
    env.settings(&json!({"health": {"every": 59}}));
    let listed = env.run(&["provider", "list"]).ok();
    assert!(listed.stderr.contains("`health.every`") && listed.stderr.contains("from 60 to"), "{}", listed.whole());
    assert!(env.run(&["doctor"]).whole().contains("`health.every`"));
    assert!(is_quiet(&env), "{:?}", server.seen());

    env.settings(&json!({"health": {"every": 60}}));
    let first = until(|| Some(health(&env, "gw")).filter(|health| !health.is_null()));
    assert_eq!((&first["healthy"], &first["problem"]), (&json!(true), &Value::Null));
    let shell = health(&env, "shell");
    assert!(shell["healthy"].is_null() && shell["problem"].as_str().unwrap().contains("`SHELL_KEY`"), "{shell}");
    let status = env.json(&["status"])["daemon"].clone();
    assert_eq!((&status["awake"], &status["checks_providers"]), (&json!(true), &json!(true)));
    assert_eq!(events(&env), []);
    fails.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        assert_eq!(another_round(&env)["healthy"], false);
    }
    let failed = (json!("unhealthy"), json!("gw"), json!("it does not answer as it should"));
    assert_eq!(events(&env), std::slice::from_ref(&failed));
    let table = env.run(&["provider", "list"]).ok().stdout;
    assert!(table.contains("it does not answer as it should") && table.contains("not checked: its key"), "{table}");
    fails.store(false, Ordering::Relaxed);
    for _ in 0..2 {
        assert_eq!(another_round(&env)["healthy"], true);
    }
    let recovered = (json!("recovered"), json!("gw"), Value::Null);
    assert_eq!(events(&env), [failed, recovered]);
    // A round that another process makes meanwhile is not made twice, and no model was asked anything.
    assert_eq!(server.seen(), vec!["GET /v1/models".to_owned(); 5]);
    let kept = env.read("health/providers.json") + &env.read("events/events.jsonl");
    assert!(!kept.contains("canary"), "{kept}");
    env.settings(&json!({}));
    assert!(health(&env, "gw").is_null());
}
