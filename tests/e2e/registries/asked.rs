//! Installing by `install_server`, with a client that asks its user.

use std::collections::BTreeMap;

use aiw_tests::Environment;
use serde_json::{Map, Value, json};

use super::install::{listed, manifest, sample, server_source, sha256, zipped};
use super::{Registry, machine, remote, row};
use crate::mcp::Client;
use crate::servers::is_there;
use crate::until;

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

/// A registry with one npm package that asks for this, and a client that can ask.
fn asking(variables: &Value) -> (Registry, Environment, Client) {
    let row = row(&json!({"name": NAME, "description": "x", "version": "1.0.0",
        "packages": [{"registryType": "npm", "identifier": "acme-x", "version": "1.0.0",
            "transport": {"type": "stdio"}, "environmentVariables": variables}]}));
    let registry = Registry::start(vec![row]);
    let env = machine(&registry.url());
    let client = client(&env, &json!({"elicitation": {}}));
    (registry, env, client)
}

#[test]
fn a_form_asks_for_nothing_that_may_be_a_secret() {
    for variable in [
        json!({"name": "OPENAI_API_KEY", "format": "filepath", "isRequired": true}),
        json!({"name": "TOKEN", "format": "number", "isRequired": true}),
        json!({"name": "WORD", "description": "Paste your GitHub password", "isRequired": true}),
        json!({"name": "MNEMONIC", "isRequired": true}),
    ] {
        let (_registry, _env, mut client) = asking(&json!([variable]));
        let call = install(&mut client);
        let said = client.answer(call)["result"]["structuredContent"].clone();
        assert!(said["command"].as_str().is_some_and(|line| line.starts_with("aiw mcp install")), "{variable}: {said}");
        client.leave_whatever_comes();
    }
}

#[test]
fn a_form_is_valid_whatever_a_row_says() {
    let (_registry, _env, mut client) = asking(&json!([
        {"name": "A", "format": "number", "default": "true"},
        {"name": "B", "format": "boolean", "default": "[1]"},
        {"name": "C", "choices": ["a", "a", "b"], "default": "zzz"},
        {"name": "D", "format": "number", "default": "7"}]));
    let call = install(&mut client);
    let form = asked(&mut client, &json!({"action": "decline"}));
    let fields = &form["requestedSchema"]["properties"];
    assert_eq!(fields["A"], json!({"type": "number"}), "{fields}");
    assert_eq!(fields["B"], json!({"type": "boolean"}), "{fields}");
    assert_eq!(fields["C"], json!({"type": "string", "enum": ["a", "b"]}), "{fields}");
    assert_eq!(fields["D"], json!({"type": "number", "default": 7}), "{fields}");
    client.answer(call);
    client.leave_whatever_comes();
}

#[test]
fn what_the_user_writes_while_they_are_asked_is_not_replaced() {
    let (_registry, env) = open_sample();
    let accept = json!({"action": "accept", "content": {"greeting": "Moin"}});
    let mut client = client(&env, &json!({"elicitation": {}}));
    let call = install(&mut client);
    asked(&mut client, &accept);
    asked(&mut client, &accept);
    assert_eq!(client.answer(call)["result"]["structuredContent"]["installed"], true);
    let call = install(&mut client);
    asked(&mut client, &accept);
    let question = client.next_request();
    assert!(question["params"]["message"].as_str().unwrap().starts_with("Replace"), "{question}");
    let mut own = env.mcp();
    own["mcpServers"]["sample"] = json!({"command": "mine"});
    env.write_mcp(&own.to_string());
    client.line(&json!({"jsonrpc": "2.0", "id": question["id"], "result": accept}).to_string());
    let answer = client.answer(call);
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    assert_eq!(env.mcp(), own);
    client.leave_whatever_comes();
}

#[test]
fn a_call_that_is_cancelled_while_the_server_is_tried_ends_the_server() {
    let mut manifest = manifest("1.0.0");
    manifest["user_config"] = json!({});
    manifest["server"]["mcp_config"]["env"] = json!({});
    let silent = "import os, time\nopen(os.path.expanduser('~/pid'), 'w').write(str(os.getpid()))\ntime.sleep(600)\n";
    let bundle = zipped(&manifest, silent);
    let digest = sha256(&bundle);
    let registry = Registry::with_files(Vec::new(), BTreeMap::from([("/files/sample-1.0.0.mcpb", bundle)]));
    registry.rows.lock().unwrap().push(listed(&registry.url(), "1.0.0", &digest));
    let env = machine(&registry.url());
    let mut client = client(&env, &json!({"elicitation": {}}));
    let call = install(&mut client);
    asked(&mut client, &json!({"action": "accept"}));
    asked(&mut client, &json!({"action": "accept"}));
    let pid = || std::fs::read_to_string(env.user().join("pid")).ok().and_then(|text| text.parse::<i64>().ok());
    until(|| pid().is_some());
    let pid = pid().unwrap();
    let cancelled = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": call}});
    client.line(&cancelled.to_string());
    until(|| !is_there(pid));
    let trials = || std::fs::read_dir(env.home().join("cache/trials")).into_iter().flatten().flatten();
    until(|| trials().all(|entry| !entry.path().is_dir()));
    assert!(servers(&env).is_empty());
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
    let two = "2. remote https://two.invalid/mcp";
    let which = asked(&mut client, &json!({"action": "accept", "content": {"method": two}}));
    assert_eq!(which["requestedSchema"]["properties"]["method"]["enum"][1], two, "{which}");
    let question = asked(&mut client, &json!({"action": "decline"}));
    let message = question["message"].as_str().unwrap();
    assert!(message.contains("reaches: https://two.invalid/mcp") && !message.contains("one.invalid"), "{message}");
    assert_eq!(message.lines().filter(|line| line.starts_with("Install the MCP server")).count(), 1, "{message}");
    assert_eq!(client.answer(call)["result"]["structuredContent"]["installed"], false);
    client.leave_whatever_comes();
}
