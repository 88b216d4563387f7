//! Real MCP servers from npm and PyPI behind aiw. Each answer through aiw is compared with the server's own.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use aiw_tests::{Environment, commit_all, not_run};
use serde_json::{Value, json};

use crate::mcp::Client;
use crate::servers::{is_there, names, text};
use crate::until;

/// A server of npm or PyPI that is installed below `target/servers`.
pub(crate) fn installed(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target/servers");
    let known = [root.join("node_modules/.bin").join(name), root.join("venv/bin").join(name)];
    let found = known.into_iter().find(|path| path.is_file());
    if found.is_none() {
        not_run(&format!("{name} is absent"));
    }
    found
}

/// The server itself, without aiw.
struct Direct {
    server: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    id: i64,
}

impl Direct {
    fn start(env: &Environment, command: &[String]) -> Self {
        let mut program: Command = env.program(Path::new(&command[0]));
        program.args(&command[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server = program.spawn().unwrap();
        let lines = BufReader::new(server.stdout.take().unwrap()).lines();
        let mut direct = Self { server, lines, id: 0 };
        let version = "2025-06-18";
        let info = json!({"name": "test", "version": "1"});
        direct.result("initialize", json!({"protocolVersion": version, "capabilities": {}, "clientInfo": info}));
        direct.line(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        direct
    }

    fn line(&mut self, message: &Value) {
        writeln!(self.server.stdin.as_mut().unwrap(), "{message}").unwrap();
    }

    fn result(&mut self, method: &str, params: Value) -> Value {
        self.id += 1;
        self.line(&json!({"jsonrpc": "2.0", "id": self.id, "method": method, "params": params}));
        loop {
            let answer: Value = serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap();
            if answer["id"] == self.id && answer.get("method").is_none() {
                return answer["result"].clone();
            }
        }
    }

    fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        self.result("tools/call", json!({"name": tool, "arguments": arguments}))
    }
}

impl Drop for Direct {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The processes that were started from this home, by a variable that only they have.
fn processes(env: &Environment) -> Vec<i64> {
    let mark = format!("MARK={}", env.path("").display());
    let is_marked = |pid: &i64| {
        let variables = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        variables.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    let all = fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(is_marked)
        .filter(|p| is_there(*p))
        .collect()
}

/// Adds a server, has it examined, lists its tools and makes calls, directly, by the listed name and by `call_tool`.
fn works(env: &Environment, name: &str, command: &[String], calls: &[(&str, Value)]) {
    let mark = format!("MARK={}", env.path("").display());
    // However large it is.
    env.settings(&json!({"mcp": {"list": {"always": [name]}}}));
    let line: Vec<&str> = command.iter().map(String::as_str).collect();
    env.run(&[&["mcp", "add", name, "--env", &mark, "--"][..], &line].concat()).ok();
    let doctor = env.json(&["mcp", "doctor", name]);
    assert_eq!(doctor["servers"][0]["problems"], json!([]), "{doctor:#}");
    assert_eq!(doctor["servers"][0]["state"], "ready", "{doctor:#}");

    let mut direct = Direct::start(env, command);
    let own = direct.result("tools/list", json!({}));
    let mut client = Client::initialized(env);
    for tool in own["tools"].as_array().unwrap() {
        let wanted = format!("{name}__{}", tool["name"].as_str().unwrap());
        until(|| names(&mut client).contains(&wanted));
        let listed = client.result("tools/list", json!({}));
        let mut listed = listed["tools"].as_array().unwrap().iter().find(|t| t["name"] == *wanted).unwrap().clone();
        listed["name"] = tool["name"].clone();
        // What is not pinned does not pass.
        let mut tool = tool.clone();
        tool.as_object_mut().unwrap().retain(|key, _| !["_meta", "icons", "execution"].contains(&key.as_str()));
        assert_eq!(listed, tool);
    }
    for (tool, arguments) in calls {
        let expected = direct.call(tool, arguments);
        assert!(expected["content"].is_array(), "{expected}");
        let called = client.call(&format!("{name}__{tool}"), arguments.clone());
        assert_eq!(without_version(called), expected, "{tool}");
        let asked = json!({"server": name, "tool": tool, "arguments": arguments});
        assert_eq!(without_version(client.call("call_tool", asked)), expected, "{tool}");
    }
    assert!(!processes(env).is_empty());
    client.leave_whatever_comes();
    until(|| processes(env).is_empty());
}

/// A result without what a server adds from protocol version 2026-07-28 on: `direct` speaks an older one.
fn without_version(mut result: Value) -> Value {
    let fields = result.as_object_mut().unwrap();
    fields.shift_remove("resultType");
    let is_left = |meta: &mut Value| {
        meta.as_object_mut().unwrap().shift_remove("io.modelcontextprotocol/serverInfo");
        *meta != json!({})
    };
    if !fields.get_mut("_meta").is_none_or(is_left) {
        fields.shift_remove("_meta");
    }
    result
}

fn words(parts: &[&str]) -> Vec<String> {
    parts.iter().map(|part| (*part).to_owned()).collect()
}

#[test]
fn server_everything_answers_as_it_does_directly() {
    let Some(program) = installed("mcp-server-everything") else { return };
    let env = Environment::new();
    let command = words(&[program.to_str().unwrap(), "stdio"]);
    let calls = [
        ("echo", json!({"message": "ä \u{1f600}"})),
        ("get-sum", json!({"a": 2, "b": 40})),
        ("get-tiny-image", json!({})),
        ("get-structured-content", json!({"location": "New York"})),
        ("get-resource-links", json!({"count": 3})),
        ("get-annotated-message", json!({"messageType": "error", "includeImage": true})),
        // Arguments that its schema forbids: the refusal is its own.
        ("get-sum", json!({"a": "x"})),
    ];
    works(&env, "everything", &command, &calls);
}

#[test]
fn server_everything_has_resources_prompts_progress_and_questions() {
    let Some(program) = installed("mcp-server-everything") else { return };
    let env = Environment::new();
    let command = words(&[program.to_str().unwrap(), "stdio"]);
    env.run(&["mcp", "add", "everything", "--", &command[0], &command[1]]).ok();
    env.run(&["mcp", "tools"]).ok();
    let mut direct = Direct::start(&env, &command);
    let mut client = Client::with_capabilities(&env, json!({"sampling": {}, "elicitation": {}, "roots": {}}));
    let asked = json!({"name": "everything__trigger-long-running-operation", "arguments": {"duration": 1, "steps": 4},
        "_meta": {"progressToken": 7}});
    let done = client.result("tools/call", asked);
    assert!(text(&done).contains("completed"), "{done}");
    let steps = client.all_told("notifications/progress");
    assert!(steps.iter().all(|step| step["params"]["progressToken"] == 7), "{steps:?}");
    assert_eq!(steps.last().unwrap()["params"]["progress"].as_f64(), Some(4.0), "{steps:?}");

    until(|| !client.result("prompts/list", json!({}))["prompts"].as_array().unwrap().is_empty());
    let prompt = json!({"name": "args-prompt", "arguments": {"city": "Oslo", "state": "x"}});
    let mut renamed = prompt.clone();
    renamed["name"] = "everything__args-prompt".into();
    assert_eq!(client.result("prompts/get", renamed), direct.result("prompts/get", prompt));
    until(|| !client.result("resources/list", json!({}))["resources"].as_array().unwrap().is_empty());
    let resources = client.result("resources/list", json!({}));
    // Their names follow the rule of tools; the rest is the server's own.
    let nameless = |mut list: Value| {
        list["resources"].as_array_mut().unwrap().iter_mut().for_each(|item| item["name"] = Value::Null);
        list["resources"].take()
    };
    assert_eq!(nameless(resources.clone()), nameless(direct.result("resources/list", json!({}))));
    let first = json!({"uri": resources["resources"][0]["uri"]});
    assert_eq!(client.result("resources/read", first.clone()), direct.result("resources/read", first));

    // It offers these only to a client that can answer.
    for (tool, method, arguments, answer, expected) in [
        (
            "trigger-sampling-request",
            "sampling/createMessage",
            json!({"prompt": "hi"}),
            json!({"role": "assistant", "model": "m", "content": {"type": "text", "text": "sampled canary"}}),
            "sampled canary",
        ),
        (
            "trigger-elicitation-request",
            "elicitation/create",
            json!({}),
            json!({"action": "accept", "content": {"name": "elicited canary", "check": true}}),
            "elicited canary",
        ),
    ] {
        let tool = format!("everything__{tool}");
        until(|| names(&mut client).contains(&tool));
        let id = client.send("tools/call", &json!({"name": tool, "arguments": arguments}));
        let question = loop {
            let question = client.next_request();
            if question["method"] == method {
                break question;
            }
            client.line(&json!({"jsonrpc": "2.0", "id": question["id"], "result": {"roots": []}}).to_string());
        };
        client.line(&json!({"jsonrpc": "2.0", "id": question["id"], "result": answer}).to_string());
        let told = client.answer(id);
        assert!(told["result"].to_string().contains(expected), "{told}");
    }
}

#[test]
fn server_filesystem_reads_only_what_it_may() {
    let Some(program) = installed("mcp-server-filesystem") else { return };
    let env = Environment::new();
    let folder = env.path("folder");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("a.txt"), "what is in it\n").unwrap();
    let folder = folder.to_str().unwrap();
    let calls = [
        ("read_text_file", json!({"path": format!("{folder}/a.txt")})),
        ("list_directory", json!({"path": folder})),
        ("read_text_file", json!({"path": "/etc/passwd"})),
    ];
    works(&env, "files", &words(&[program.to_str().unwrap(), folder]), &calls);
}

#[test]
fn server_memory_keeps_what_it_is_told() {
    let Some(program) = installed("mcp-server-memory") else { return };
    let env = Environment::new();
    let file = env.path("memory.jsonl");
    let set = format!("MEMORY_FILE_PATH={}", file.display());
    let command = words(&["/usr/bin/env", &set, program.to_str().unwrap()]);
    let entity = json!({"entities": [{"name": "n", "entityType": "t", "observations": ["o"]}]});
    fs::write(&file, json!({"type": "entity", "name": "m", "entityType": "t", "observations": []}).to_string())
        .unwrap();
    works(&env, "memory", &command, &[("read_graph", json!({})), ("search_nodes", json!({"query": "m"}))]);
    let result = env.json(&["mcp", "call", "memory", "create_entities", &entity.to_string()]);
    assert!(result["result"]["content"][0]["text"].as_str().unwrap().contains("\"n\""), "{result}");
    assert!(fs::read_to_string(&file).unwrap().contains("\"n\""));
}

#[test]
fn mcp_server_git_reads_a_repository() {
    let Some(program) = installed("mcp-server-git") else { return };
    let env = Environment::new();
    let repository = env.path("repository");
    fs::create_dir_all(&repository).unwrap();
    fs::write(repository.join("a"), "1").unwrap();
    commit_all(&repository);
    let path = repository.to_str().unwrap();
    let calls = [("git_log", json!({"repo_path": path})), ("git_status", json!({"repo_path": path}))];
    works(&env, "git", &words(&[program.to_str().unwrap(), "--repository", path]), &calls);
}

#[test]
fn mcp_server_time_converts() {
    let Some(program) = installed("mcp-server-time") else { return };
    let env = Environment::new();
    let asked = json!({"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"});
    works(&env, "time", &words(&[program.to_str().unwrap(), "--local-timezone", "UTC"]), &[("convert_time", asked)]);
}
