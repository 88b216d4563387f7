//! Routing with a model: a tiny one that is made here, run by the real library.

use std::time::Instant;

use aiw_tests::{onnx_runtime, real_model, tiny_model};
use serde_json::{Value, json};

use super::tool;
use crate::mcp::Client;
use crate::servers::Servers;
use crate::until;

/// The tool and the request share no word, only a meaning.
const REQUEST: &str = "online web";

fn with_model() -> Option<Servers> {
    let runtime = onnx_runtime()?;
    let servers = Servers::new()?;
    let definitions = [
        tool("look", "Look up articles on the internet.", &[]),
        tool("song", "Play music.", &[]),
        tool("zone", "Convert a time zone.", &[]),
    ];
    let servers = servers.defining("tiny", &definitions).known();
    let model = servers.env.path("tiny-model");
    tiny_model(&model);
    let model = model.to_str().unwrap();
    servers.env.run(&["model", "use", model, "--runtime", runtime.to_str().unwrap()]).ok();
    Some(servers)
}

fn first(servers: &Servers) -> Value {
    servers.env.json(&["mcp", "route", REQUEST])["tools"][0].clone()
}

#[test]
fn a_model_finds_what_shares_no_word_and_takes_part_as_it_arrives() {
    let Some(servers) = with_model() else { return };
    let found = first(&servers);
    assert_eq!(
        (&found["tool"], &found["semantic_score"], &found["keyword_score"]),
        (&json!("look"), &json!(1.0), &json!(0.0))
    );
    // The vectors are kept: the next process makes none.
    let dir = servers.env.home().join("cache/vectors");
    let file = std::fs::read_dir(&dir).unwrap().next().unwrap().unwrap().path();
    let length = std::fs::metadata(&file).unwrap().len();
    assert_eq!(first(&servers)["tool"], "look");
    assert_eq!(std::fs::metadata(&file).unwrap().len(), length);
    // A session answers at once, by words; a moment later by meaning too.
    let mut client = Client::initialized(&servers.env);
    until(|| {
        let routed = client.good("intelligent_route", json!({"user_request": REQUEST}));
        routed["tools"][0]["tool"] == "look"
    });
}

/// A running server follows what its user chooses: no client has to be started again.
#[test]
fn a_session_notices_at_once_that_the_model_is_switched_off_and_on_or_exchanged() {
    let Some(servers) = with_model() else { return };
    let mut client = Client::initialized(&servers.env);
    let mut finds = || {
        let routed = client.good("intelligent_route", json!({"user_request": REQUEST}));
        routed["tools"][0]["tool"] == "look"
    };
    until(&mut finds);
    let run = |args: &[&str]| drop(servers.env.run(args).ok());
    run(&["model", "off"]);
    assert!(!finds(), "the model is off");
    run(&["model", "on"]);
    until(&mut finds);
    run(&["model", "remove", "tiny-model"]);
    assert!(!finds(), "the model is removed");
    // One that comes from another place while the server runs.
    let other = servers.env.path("other-model");
    tiny_model(&other);
    run(&["model", "use", other.to_str().unwrap()]);
    until(&mut finds);
}

#[test]
fn a_damaged_collection_is_made_again() {
    let Some(servers) = with_model() else { return };
    assert_eq!(first(&servers)["tool"], "look");
    let dir = servers.env.home().join("cache/vectors");
    let file = std::fs::read_dir(&dir).unwrap().next().unwrap().unwrap().path();
    let bytes = std::fs::read(&file).unwrap();
    for length in (0..bytes.len()).step_by(bytes.len() / 12) {
        std::fs::write(&file, &bytes[..length]).unwrap();
        assert_eq!(first(&servers)["tool"], "look", "cut to {length} bytes");
    }
}

#[test]
fn a_model_that_changes_or_vanishes_leaves_the_words() {
    let Some(servers) = with_model() else { return };
    let weights = servers.env.path("tiny-model").join("model.onnx");
    let mut bytes = std::fs::read(&weights).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    let by_words = |what: &str| {
        let run = servers.env.run(&["mcp", "route", "play music"]).ok();
        assert!(run.stdout.contains("tiny/song") && run.stderr.contains("words alone"), "{what}: {}", run.whole());
        assert!(!servers.env.run(&["mcp", "route", REQUEST]).ok().stdout.contains("tiny/look"), "{what}");
    };
    by_words("changed");
    std::fs::remove_file(&weights).unwrap();
    by_words("gone");
    let mut client = Client::initialized(&servers.env);
    let routed = client.good("intelligent_route", json!({"user_request": "play music"}));
    assert_eq!(routed["tools"][0]["tool"], "song");
}

#[test]
fn a_session_does_not_wait_until_a_model_has_seen_many_tools_and_a_person_does() {
    let (Some(model), Some(runtime)) = (real_model("all-MiniLM-L6-v2"), onnx_runtime()) else { return };
    let Some(servers) = Servers::new() else { return };
    let about = |number: usize| {
        format!("Tool {number}. ") + &"Reads the certificate of a host and says who made it. ".repeat(12)
    };
    let definitions: Vec<Value> = (0..60).map(|number| tool(&format!("look_{number}"), &about(number), &[])).collect();
    let servers = servers.defining("many", &definitions).known();
    servers.env.run(&["model", "use", model.to_str().unwrap(), "--runtime", runtime.to_str().unwrap()]).ok();
    // A session gets an answer by words before that: all vectors take many seconds.
    let mut client = Client::initialized(&servers.env);
    let begun = Instant::now();
    let routed = client.good("intelligent_route", json!({"user_request": "certificate of a host"}));
    let took = begun.elapsed();
    assert!(routed["tools"][0]["tool"].as_str().unwrap().starts_with("look_"), "{routed:#}");
    // A person waits for them, and is told nothing that would be different a moment later.
    let run = servers.env.run(&["mcp", "route", "certificate of a host"]).ok();
    assert!(run.stdout.contains("many/look_") && !run.stderr.contains("known so far"), "{}", run.whole());
    assert!(took < begun.elapsed() / 2, "{took:?} of {:?}", begun.elapsed());
}
