//! The real Claude Code loads the mcp.json that an install writes, offers the tool to the model, and calls it. The
//! model is a script on loopback.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aiw_tests::{Answer, Environment, Run, Server, not_run, python, real_cli};
use serde_json::{Value, json};

/// Returns one answer of the Messages API, streamed or not, as the client requested.
fn message(streamed: bool, block: &Value, stop: &str) -> Answer {
    let mut message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "scripted",
        "content": [], "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 10, "output_tokens": 1}});
    if !streamed {
        message["content"] = json!([block]);
        message["stop_reason"] = stop.into();
        return Answer::Plain(
            200,
            vec![("content-type".into(), "application/json".into())],
            message.to_string().into(),
        );
    }
    let (start, delta) = if block["type"] == "tool_use" {
        let mut start = block.clone();
        start["input"] = json!({});
        (start, json!({"type": "input_json_delta", "partial_json": block["input"].to_string()}))
    } else {
        (json!({"type": "text", "text": ""}), json!({"type": "text_delta", "text": block["text"]}))
    };
    let events = [
        json!({"type": "message_start", "message": message}),
        json!({"type": "content_block_start", "index": 0, "content_block": start}),
        json!({"type": "content_block_delta", "index": 0, "delta": delta}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": null}, "usage": {"output_tokens": 5}}),
        json!({"type": "message_stop"}),
    ];
    let body: String =
        events.iter().map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap())).collect();
    Answer::Plain(200, vec![("content-type".into(), "text/event-stream".into())], body.into())
}

/// The tools that the model was offered, and their results.
#[derive(Default)]
struct Seen {
    tools: Vec<String>,
    results: Vec<Value>,
}

/// Starts a model that calls `tool` once, when it is offered.
fn model(tool: &'static str, seen: Arc<Mutex<Seen>>) -> Server {
    Server::start(move |request| {
        if request.method != "POST" || !request.path.ends_with("/v1/messages") {
            return Answer::ok("{}");
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let streamed = body["stream"] == true;
        let tools = body["tools"].as_array().into_iter().flatten();
        let names: Vec<String> = tools.filter_map(|t| t["name"].as_str().map(str::to_owned)).collect();
        let content = body["messages"].as_array().and_then(|m| m.last()).map(|m| m["content"].clone());
        let mut blocks = content.as_ref().and_then(Value::as_array).into_iter().flatten();
        let result = blocks.rfind(|b| b["type"] == "tool_result");
        let mut seen = seen.lock().unwrap();
        if let Some(result) = result {
            seen.results.push(result.clone());
        } else if names.iter().any(|name| name == tool) {
            seen.tools.clone_from(&names);
            let call = json!({"type": "tool_use", "id": "toolu_1", "name": tool, "input": {"text": "one two three"}});
            return message(streamed, &call, "tool_use");
        } else if seen.tools.is_empty() {
            seen.tools = names;
        }
        message(streamed, &json!({"type": "text", "text": "The end."}), "end_turn")
    })
}

#[test]
fn claude_code_offers_the_installed_tool_and_calls_it() {
    let Some(claude) = real_cli("claude") else {
        return not_run("Claude Code is absent (`npm install --prefix target/clients @anthropic-ai/claude-code`)");
    };
    let Some(python) = python() else { return not_run("python3 is absent, which the example's server needs") };
    let mut env = Environment::new();
    let market = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/marketplace");
    env.add(&market).ok();
    env.run(&["plugin", "install", "text-tools", "--yes"]).ok();

    let seen = Arc::new(Mutex::new(Seen::default()));
    let server = model("mcp__text__word_count", seen.clone());
    let path = std::env::var("PATH").unwrap_or_default();
    env.set("PATH", format!("{}:{path}", python.parent().unwrap().display()));
    for (name, value) in [
        ("ANTHROPIC_BASE_URL", server.url()),
        ("ANTHROPIC_API_KEY", "sk-ant-dummy".into()),
        ("CLAUDE_CONFIG_DIR", env.path("claude").display().to_string()),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".into()),
        ("CLAUDE_CODE_MAX_RETRIES", "1".into()),
        ("DISABLE_AUTOUPDATER", "1".into()),
        ("ENABLE_TOOL_SEARCH", "false".into()),
        ("TERM", "dumb".into()),
    ] {
        env.set(name, value);
    }
    let config = env.home().join("mcp.json").display().to_string();
    let mut command = env.program(&claude);
    command.args([
        "-p",
        "Count the words",
        "--mcp-config",
        &config,
        "--strict-mcp-config",
        "--allowedTools",
        "mcp__text",
    ]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() && start.elapsed() < aiw_tests::HANG_TIMEOUT {
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let run: Run = child.wait_with_output().unwrap().into();

    let seen = seen.lock().unwrap();
    assert!(seen.tools.iter().any(|name| name == "mcp__text__word_count"), "{:?}\n{}", seen.tools, run.whole());
    assert_eq!(run.code, 0, "{}", run.whole());
    let answer = seen.results.last().unwrap_or_else(|| panic!("the tool was not called: {}", run.whole()));
    assert_ne!(answer["is_error"], true, "{answer:#}");
    assert!(
        answer.to_string().contains(r#"\"words\":3"#) || answer.to_string().contains(r#"\"words\": 3"#),
        "{answer:#}"
    );
    assert!(run.stdout.contains("The end."), "{}", run.whole());
}
