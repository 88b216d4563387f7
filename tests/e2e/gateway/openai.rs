//! Programs that speak Chat Completions: the libraries of OpenAI itself, with upstreams of every API.

use std::path::{Path, PathBuf};
use std::process::Command;

use aiw_tests::{Environment, ModelApi, not_run};
use serde_json::{Value, json};

use super::{Gateway, PROVIDERS, add_providers};

/// A file below the repository.
fn below(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}

/// Runs what drives a library with a gateway to each provider.
fn drive(library: &str, program: impl FnOnce() -> Command) {
    let library = below(library);
    if !library.exists() {
        return not_run(&format!("`{}` is absent", library.display()));
    }
    let calls = json!([{"name": "look", "input": {"at": "apple"}}, {"name": "look", "input": {"at": "cherry"}}]);
    let turns = PROVIDERS.iter().flat_map(|_| [0, 1]).flat_map(|_| {
        let answer = json!({"text": "Both are red: \u{1f34e} gr\u{fc}n.", "usage": {"input": 40, "output": 7}});
        [json!({"text": "I look.", "thinking": "Which fruits?", "tools": calls}), answer]
    });
    let Some(api) = ModelApi::start(&turns.collect()) else { return not_run("python3 is absent") };
    let mut env = Environment::new();
    add_providers(&mut env, api.url());
    let gateways = PROVIDERS.map(|(provider, ..)| Gateway::start(&env, provider));
    let mut command = program();
    command.arg("up-model");
    for gateway in &gateways {
        command.arg(format!("http://{}/v1", gateway.address)).arg(&gateway.token);
    }
    let output = command.output().unwrap();
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.lines().count(), PROVIDERS.len(), "{said}\n{errors}");
    for (line, (provider, ..)) in said.lines().zip(PROVIDERS) {
        let answer: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&answer["models"], &answer["model"]), (&json!(["up-model"]), &json!("up-model")), "{answer}");
        for way in ["whole", "streamed"] {
            let expected = json!({
                "calls": ["apple", "cherry"], "text": "Both are red: \u{1f34e} gr\u{fc}n.",
                "reasons": ["tool_calls", "stop"], "tokens": [40, 7],
            });
            assert_eq!(answer[way], expected, "{provider}, {way}: {answer}");
        }
        assert!(answer["refused"].as_str().unwrap().contains("the token is not one of aiw's gateway"), "{answer}");
    }
    let asked: Vec<Value> = api.requests().into_iter().filter(|request| request["method"] == "POST").collect();
    assert_eq!(asked.len(), PROVIDERS.len() * 4);
    for pair in asked.chunks(2) {
        let told = pair[1]["body"].to_string();
        for word in ["Be brief.", "Look at both", "apple is red", "cherry is red"] {
            assert!(told.contains(word), "{word} in {told}");
        }
    }
}

#[test]
fn the_library_of_pypi_works_with_each_api() {
    let python = below("target/openai/venv/bin/python");
    drive("target/openai/venv/installed", || {
        let mut command = Command::new(&python);
        command.arg(below("tests/openai_client.py"));
        command
    });
}

#[test]
fn the_library_of_npm_works_with_each_api() {
    let library = below("target/openai/node_modules/openai/index.mjs");
    drive("target/openai/node_modules/openai", || {
        let mut command = Command::new("node");
        command.arg(below("tests/openai_client.mjs")).arg(&library);
        command
    });
}
