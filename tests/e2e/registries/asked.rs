//! Installing by `install_server`, with a client that asks its user.

use std::collections::BTreeMap;

use aiw_tests::Environment;
use serde_json::{Map, Value, json};

use super::install::{listed, manifest, sample, server_source, sha256, zipped};
use super::{Registry, machine, remote};
use crate::mcp::Client;

/// A registry with a bundle that needs no secret, and what a machine needs to install it.
fn open_sample() -> (Registry, Environment) {
    let mut manifest = manifest("1.0.0");
    manifest["user_config"]["key"]["required"] = json!(false);
    manifest["user_config"]["greeting"]["required"] = json!(true);
    manifest["user_config"]["greeting"]["default"] = json!("Good day");
    let bundle = zipped(&manifest, &server_source());
    let digest = sha256(&bundle);
    let registry = Registry::with_files(Vec::new(), BTreeMap::from([("/files/sample-1.0.0.mcpb", bundle)]));
    let row = listed(&registry.url(), "1.0.0", &digest);
    registry.rows.lock().unwrap().push(row);
    let env = machine(&registry.url());
    (registry, env)
}

fn client(env: &Environment, capabilities: &Value) -> Client {
    let mut client = Client::start_with(env, &["mcp", "serve", "--toolsets", "default,registries"]);
    client.introduce("2025-06-18", capabilities.clone());
    client
}

const NAME: &str = "io.github.acme/sample-mcp";

fn install(client: &mut Client) -> i64 {
    client.send("tools/call", &json!({"name": "install_server", "arguments": {"name": NAME}}))
}

/// The parameters of the next question, which is answered.
fn asked(client: &mut Client, result: &Value) -> Value {
    let question = client.next_request();
    assert_eq!(question["method"], "elicitation/create", "{question}");
    client.line(&json!({"jsonrpc": "2.0", "id": question["id"], "result": result}).to_string());
    question["params"].clone()
}

fn servers(env: &Environment) -> Map<String, Value> {
    if !env.home().join("mcp.json").exists() {
        return Map::new();
    }
    env.mcp()["mcpServers"].as_object().cloned().unwrap_or_default()
}

#[test]
fn a_client_asks_its_user_and_the_tools_are_there_at_once() {
    let (_registry, env) = open_sample();
    let mut client = client(&env, &json!({"elicitation": {}}));
    let call = install(&mut client);
    let first = asked(&mut client, &json!({"action": "accept", "content": {}}));
    let message = first["message"].as_str().unwrap();
    assert!(
        message.starts_with("Fetch this bundle to see what it runs?\n\nio.github.acme/sample-mcp 1.0.0"),
        "{first}"
    );
    let second = asked(&mut client, &json!({"action": "accept", "content": {"greeting": "Moin"}}));
    let message = second["message"].as_str().unwrap();
    assert!(message.starts_with("Install the MCP server `sample`, and start it?"), "{message}");
    assert!(message.contains("runs: python3 ") && message.contains("publisher: io.github.acme"), "{message}");
    // Secrets are not asked for in forms.
    assert!(message.contains("not asked for here: key, a secret"), "{message}");
    let schema = &second["requestedSchema"];
    assert_eq!(schema["required"], json!(["greeting"]), "{schema}");
    assert_eq!(schema["properties"].as_object().unwrap().len(), 1, "{schema}");
    assert_eq!(schema["properties"]["greeting"]["default"], "Good day", "{schema}");
    let said = client.answer(call)["result"]["structuredContent"].clone();
    assert_eq!((&said["installed"], &said["key"]), (&json!(true), &json!("sample")), "{said}");
    assert!(said["tools"].as_array().unwrap().contains(&json!("environment")), "{said}");
    assert_eq!(servers(&env)["sample"]["env"], json!({"SAMPLE_GREETING": "Moin"}));
    assert!(env.read("registry.lock").contains(NAME));
    // The same session can call them.
    let told = client.result(
        "tools/call",
        json!({"name": "call_tool", "arguments": {"server": "sample", "tool": "environment", "arguments": {}}}),
    );
    assert!(told.to_string().contains("Moin"), "{told}");
    client.leave_whatever_comes();
}

#[test]
fn nothing_is_installed_unless_the_user_agrees() {
    let (_registry, env) = open_sample();
    let accept = json!({"action": "accept", "content": {}});
    for answers in [
        vec![json!({"action": "decline"})],
        vec![json!({"action": "cancel"})],
        vec![json!({"action": "yes"})],
        vec![json!({})],
        vec![accept.clone(), json!({"action": "decline"})],
    ] {
        let mut client = client(&env, &json!({"elicitation": {"form": {}}}));
        let call = install(&mut client);
        answers.iter().for_each(|answer| drop(asked(&mut client, answer)));
        let said = client.answer(call)["result"]["structuredContent"].clone();
        assert_eq!(said["installed"], false, "{said}");
        client.leave_whatever_comes();
    }
    // What can't be an answer, and what would be filled from the vault.
    for content in [json!({"greeting": ["a"]}), json!({"greeting": "${secret:other}"}), json!({}), json!("x")] {
        let mut client = client(&env, &json!({"elicitation": {}}));
        let call = install(&mut client);
        asked(&mut client, &accept);
        asked(&mut client, &json!({"action": "accept", "content": content}));
        let answer = client.answer(call);
        assert_eq!(answer["result"]["isError"], true, "{answer}");
        client.leave_whatever_comes();
    }
    assert!(servers(&env).is_empty());
    assert!(!env.home().join("bundles").exists(), "nothing was unpacked");
}

#[test]
fn a_client_that_cannot_ask_or_fails_gets_the_command() {
    let (_registry, env) = open_sample();
    let command = "aiw mcp install io.github.acme/sample-mcp --source registry-official";
    for capabilities in [json!({}), json!({"elicitation": {"url": {}}})] {
        let mut client = client(&env, &capabilities);
        let call = install(&mut client);
        assert_eq!(client.answer(call)["result"]["structuredContent"]["command"], command);
        client.leave_whatever_comes();
    }
    let mut failing = client(&env, &json!({"elicitation": {}}));
    let call = install(&mut failing);
    let question = failing.next_request();
    let error = json!({"code": -32601, "message": "no"});
    failing.line(&json!({"jsonrpc": "2.0", "id": question["id"], "error": error}).to_string());
    assert_eq!(failing.answer(call)["result"]["structuredContent"]["command"], command);
    failing.leave_whatever_comes();
    // What needs a secret is known only once the bundle is there.
    let (_registry, env) = sample();
    let mut needy = client(&env, &json!({"elicitation": {}}));
    let call = install(&mut needy);
    asked(&mut needy, &json!({"action": "accept"}));
    assert_eq!(needy.answer(call)["result"]["structuredContent"]["command"], command);
    needy.leave_whatever_comes();
    assert!(servers(&env).is_empty());
}

#[test]
fn of_several_ways_the_user_chooses_one_and_a_row_cannot_speak_for_aiw() {
    let mut row = remote(NAME, "x\n\nInstall the MCP server `good`, and start it?", "1.0.0");
    row["server"]["remotes"] = json!([
        {"type": "streamable-http", "url": "https://one.invalid/mcp"},
        {"type": "streamable-http", "url": "https://two.invalid/mcp"}]);
    let registry = Registry::start(vec![row]);
    let env = machine(&registry.url());
    let mut client = client(&env, &json!({"elicitation": {}}));
    let call = install(&mut client);
    let two = "remote https://two.invalid/mcp";
    let which = asked(&mut client, &json!({"action": "accept", "content": {"way": two}}));
    assert_eq!(which["requestedSchema"]["properties"]["way"]["enum"][1], two, "{which}");
    let question = asked(&mut client, &json!({"action": "decline"}));
    let message = question["message"].as_str().unwrap();
    assert!(message.contains("reaches: https://two.invalid/mcp") && !message.contains("one.invalid"), "{message}");
    assert_eq!(message.lines().filter(|line| line.starts_with("Install the MCP server")).count(), 1, "{message}");
    assert_eq!(client.answer(call)["result"]["structuredContent"]["installed"], false);
    client.leave_whatever_comes();
}
