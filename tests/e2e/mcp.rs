//! `aiw mcp serve`: the protocol over standard input and output, the tools, and hostile clients.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use aiw_tests::{Environment, FakeClis};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// Far less than a call waits, and enough on a machine with other work.
const SOON: Duration = Duration::from_secs(20);

/// The first line that Claude Code 2.1.328 sends, byte for byte.
const PROBE: &str = r#"{"jsonrpc":"2.0","id":"server-discover-probe-1","method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"claude-code","title":"Claude Code","version":"2.1.328","description":"Anthropic's agentic coding tool","websiteUrl":"https://claude.com/claude-code"},"io.modelcontextprotocol/clientCapabilities":{"roots":{"listChanged":true},"elicitation":{"form":{},"url":{}}}}}}"#;

/// A client that sees every line that the server writes.
pub(crate) struct Client {
    server: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    id: i64,
    /// Messages that were read while another was waited for.
    early: Vec<Value>,
}

impl Client {
    pub(crate) fn start(env: &Environment) -> Self {
        Self::start_with(env, &["mcp", "serve"])
    }

    pub(crate) fn start_with(env: &Environment, arguments: &[&str]) -> Self {
        Self::of(env.command(arguments))
    }

    pub(crate) fn of(mut command: Command) -> Self {
        let mut server = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(server.stdout.take().unwrap());
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let stdin = server.stdin.take();
        Self { server, stdin, lines, id: 0, early: Vec::new() }
    }

    /// Returns the process id of the server.
    #[cfg(target_os = "linux")]
    pub(crate) fn pid(&self) -> u32 {
        self.server.id()
    }

    /// Starts a session of the version that most clients speak.
    pub(crate) fn initialized(env: &Environment) -> Self {
        let mut client = Self::start(env);
        let answer = client.initialize("2025-06-18");
        assert_eq!(answer["result"]["protocolVersion"], "2025-06-18", "{answer}");
        client
    }

    /// The same for a client that can answer a server.
    pub(crate) fn with_capabilities(env: &Environment, capabilities: Value) -> Self {
        let mut client = Self::start(env);
        client.introduce("2025-06-18", capabilities);
        client
    }

    pub(crate) fn initialize(&mut self, version: &str) -> Value {
        self.introduce(version, json!({}))
    }

    pub(crate) fn introduce(&mut self, version: &str, capabilities: Value) -> Value {
        let answer = self.ask(
            "initialize",
            &json!({"protocolVersion": version, "capabilities": capabilities,
                "clientInfo": {"name": "test", "version": "1"}}),
        );
        self.line(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        answer
    }

    /// The first message of this kind, of those that came already and those that come.
    fn wait_for(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.early.iter().position(&is_it) {
            return self.early.remove(at);
        }
        loop {
            let message = self.next();
            if is_it(&message) {
                return message;
            }
            self.early.push(message);
        }
    }

    /// The answer to a request, whatever else comes.
    pub(crate) fn answer(&mut self, id: i64) -> Value {
        self.wait_for(|message| message["id"] == id && message.get("method").is_none())
    }

    /// The next request of the server.
    pub(crate) fn next_request(&mut self) -> Value {
        self.wait_for(|message| message.get("method").is_some() && message.get("id").is_some())
    }

    /// The first notification with this method.
    pub(crate) fn told(&mut self, method: &str) -> Value {
        self.wait_for(|message| message["method"] == method && message.get("id").is_none())
    }

    /// All notifications with this method that came already.
    pub(crate) fn all_told(&mut self, method: &str) -> Vec<Value> {
        let (told, rest) = std::mem::take(&mut self.early).into_iter().partition(|m: &Value| m["method"] == method);
        self.early = rest;
        told
    }

    /// Asks, whatever else comes.
    pub(crate) fn request(&mut self, method: &str, params: &Value) -> Value {
        let id = self.send(method, params);
        self.answer(id)
    }

    /// The result of a request, whatever else comes.
    pub(crate) fn result(&mut self, method: &str, params: Value) -> Value {
        let answer = self.request(method, &params);
        assert!(answer.get("result").is_some(), "{method}: {answer:#}");
        answer["result"].clone()
    }

    /// Disconnects, whatever still comes.
    pub(crate) fn leave_whatever_comes(mut self) {
        drop(self.stdin.take());
        self.end();
    }

    /// The memory that the server holds, in kB.
    pub(crate) fn kilobytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.server.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse().unwrap()
    }

    /// Kills the server.
    pub(crate) fn kill(mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }

    pub(crate) fn line(&mut self, line: &str) {
        self.bytes(format!("{line}\n").as_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(bytes).unwrap();
        stdin.flush().unwrap();
    }

    /// Sends a request and returns its id.
    pub(crate) fn send(&mut self, method: &str, params: &Value) -> i64 {
        self.id += 1;
        let request = json!({"jsonrpc": "2.0", "id": self.id, "method": method, "params": params});
        self.line(&request.to_string());
        self.id
    }

    /// Returns the next message. The server must write nothing but messages.
    fn next(&self) -> Value {
        let line = self.lines.recv_timeout(aiw_tests::HANG_TIMEOUT).unwrap();
        let message: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert_eq!(message["jsonrpc"], "2.0", "{line}");
        message
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        let id = self.send(method, params);
        let answer = self.next();
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    pub(crate) fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.request("tools/call", &json!({"name": tool, "arguments": arguments}))["result"].clone()
    }

    /// Makes a call that must succeed, and checks that its structured result and its text agree.
    pub(crate) fn good(&mut self, tool: &str, arguments: Value) -> Value {
        let result = self.call(tool, arguments);
        assert_eq!(result["isError"], false, "{tool}: {result:#}");
        let text: Value = serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!(text, result["structuredContent"]);
        text
    }

    /// Makes a call that must fail, and returns its text.
    pub(crate) fn bad(&mut self, tool: &str, arguments: Value) -> String {
        let result = self.call(tool, arguments);
        assert_eq!(result["isError"], true, "{tool}: {result:#}");
        // Structured content would have to match the output schema, which some clients check.
        assert_eq!(result["structuredContent"], Value::Null);
        result["content"][0]["text"].as_str().unwrap().to_owned()
    }

    /// Starts a task and returns its id.
    fn task(&mut self, cli: &str, text: &str) -> String {
        let started = self.good("start_task", json!({"ai_type": cli, "task": FakeClis::script(text)}));
        started["task"]["id"].as_str().unwrap().to_owned()
    }

    /// Checks that nothing is written for this time.
    fn is_silent(&self, time: Duration) {
        assert_eq!(self.lines.recv_timeout(time), Err(RecvTimeoutError::Timeout));
    }

    /// Disconnects as clients do. Returns what the server wrote since then, and its exit code.
    fn leave(mut self) -> (Vec<String>, Option<i32>) {
        drop(self.stdin.take());
        let code = self.end();
        (self.lines.iter().collect(), code)
    }

    fn end(&mut self) -> Option<i32> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.server.try_wait().unwrap() {
                return status.code();
            }
            assert!(start.elapsed() < aiw_tests::HANG_TIMEOUT, "the server does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn stderr(&mut self) -> String {
        std::io::read_to_string(self.server.stderr.take().unwrap()).unwrap()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn stop_all(env: &Environment) {
    env.run(&["stop", "--all"]).ok();
}

#[test]
fn every_version_has_its_beginning() {
    let env = Environment::cold();
    for (asked, agreed) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        // This version has no `initialize`, so the answer is the newest version that has one.
        ("2026-07-28", "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
        ("x", "2025-11-25"),
    ] {
        let mut client = Client::start(&env);
        let answer = client.initialize(asked)["result"].clone();
        assert_eq!(answer["protocolVersion"], agreed, "{asked}");
        assert_eq!(answer["serverInfo"]["name"], "aiw");
        assert!(answer["serverInfo"]["version"].as_str().unwrap().starts_with("0."));
        assert_eq!(answer["capabilities"], json!({"tools": {"listChanged": true}}));
        assert!(answer["instructions"].as_str().unwrap().contains("wait_task"));
        assert_eq!(client.ask("tools/list", &json!({}))["result"]["tools"].as_array().unwrap().len(), 11);
        assert_eq!(client.ask("ping", &json!({}))["result"], json!({}));
        assert_eq!(client.ask("prompts/list", &json!({}))["result"], json!({"prompts": []}));
        assert_eq!(client.ask("resources/list", &json!({}))["result"], json!({"resources": []}));
        assert_eq!(client.ask("nothing/known", &json!({}))["error"]["code"], -32601);
        assert_eq!(client.leave(), (Vec::new(), Some(0)));
    }
    // Answering did not create a home.
    assert!(!env.home().exists());
}

#[test]
fn the_probe_of_claude_code_is_answered_and_either_beginning_may_follow() {
    let env = Environment::cold();
    let mut client = Client::start(&env);
    client.line(PROBE);
    let answer = client.next();
    assert_eq!(answer["id"], "server-discover-probe-1");
    let versions = answer["result"]["supportedVersions"].as_array().unwrap();
    assert_eq!((versions.first(), versions.last()), (Some(&json!("2024-11-05")), Some(&json!("2026-07-28"))));
    // The version without `initialize`: each request is self-contained.
    let probe: Value = serde_json::from_str(PROBE).unwrap();
    let meta = &probe["params"]["_meta"];
    let tools = client.ask("tools/list", &json!({"_meta": meta}));
    assert_eq!(tools["result"]["tools"].as_array().unwrap().len(), 11);
    let call = client.ask("tools/call", &json!({"name": "list_tasks", "arguments": {}, "_meta": meta}));
    assert_eq!(call["result"]["structuredContent"], json!({"tasks": [], "omitted": 0}));
    assert_eq!(client.ask("tools/list", &json!({}))["error"]["code"], -32602);
    let mut unknown = meta.clone();
    unknown["io.modelcontextprotocol/protocolVersion"] = "2099-01-01".into();
    assert!(client.ask("tools/list", &json!({"_meta": unknown}))["error"].is_object());
    assert_eq!(client.leave(), (Vec::new(), Some(0)));

    // A client that cancels the probe and starts in the older way.
    let mut client = Client::start(&env);
    client.line(PROBE);
    client.next();
    client.line(
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"server-discover-probe-1"}}"#,
    );
    assert_eq!(client.initialize("2025-11-25")["result"]["protocolVersion"], "2025-11-25");
    assert_eq!(client.ask("tools/list", &json!({}))["result"]["tools"].as_array().unwrap().len(), 11);
}

#[test]
fn what_is_no_beginning_does_not_end_the_server() {
    let env = Environment::cold();
    let mut client = Client::start(&env);
    client.line(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    client.line(r#"{"jsonrpc":"2.0","id":9,"result":{}}"#);
    client.line(r#"{"jsonrpc":"2.0","id":9,"error":{"code":1,"message":"x"}}"#);
    assert!(client.ask("tools/list", &json!({}))["error"].is_object());
    client.line(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#);
    assert_eq!(client.ask("ping", &json!({}))["result"], json!({}));
    assert!(client.ask("initialize", &json!({"protocolVersion": 5}))["error"].is_object());
    assert_eq!(client.initialize("2025-06-18")["result"]["protocolVersion"], "2025-06-18");
    assert_eq!(client.leave(), (Vec::new(), Some(0)));
}

#[test]
fn all_of_a_file_of_messages_is_answered() {
    let env = Environment::cold();
    let mut client = Client::start(&env);
    let begin = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
    let call = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"list_tasks"}}"#;
    // The last line of a file may have no line break.
    client.bytes(format!("{begin}\n{call}\n{}", call.replace(":2,", ":3,")).as_bytes());
    let (lines, code) = client.leave();
    assert_eq!((lines.len(), code), (3, Some(0)), "{lines:?}");
}

#[test]
fn the_tools_are_as_clients_need_them() {
    let env = Environment::cold();
    let mut client = Client::initialized(&env);
    let tools = client.ask("tools/list", &json!({}))["result"].clone();
    for tool in tools["tools"].as_array().unwrap() {
        // Claude Code hides other tools behind a search. Without being told, Codex runs only tools that read.
        assert_eq!(tool["_meta"], json!({"anthropic/alwaysLoad": true}));
        let reads = [
            "list_roles",
            "list_providers",
            "list_tasks",
            "get_task_logs",
            "wait_task",
            "search_history",
            "get_session",
            "get_session_todos",
            "get_status",
        ]
        .contains(&tool["name"].as_str().unwrap());
        assert_eq!(tool["annotations"]["readOnlyHint"], reads, "{}", tool["name"]);
        assert_eq!(tool["inputSchema"]["additionalProperties"], false);
    }
    // All on one page, because Gemini reads no other pages.
    assert_eq!(tools["nextCursor"], Value::Null);
    insta::assert_snapshot!("tools", format!("{tools:#}"));
}

#[test]
fn a_task_is_started_seen_waited_for_and_read() {
    let (env, clis) = FakeClis::environment();
    let mut client = Client::initialized(&env);
    let say = FakeClis::script(
        r#"printf '%s\n' '{"type":"assistant","message":{"content":[{"type":"text","text":"I see."}]},"parent_tool_use_id":null}'; read line < go"#,
    );
    Command::new("mkfifo").arg(env.path("go")).status().unwrap();
    let started =
        client.good("start_task", json!({"ai_type": "claude", "task": say, "permission": "edit", "model": "m-1"}));
    let task = &started["task"];
    let id = task["id"].as_str().unwrap();
    assert_eq!(
        (&task["cli"], &task["state"], &task["permission"]),
        (&json!("claude"), &json!("running"), &json!("edit"))
    );
    assert_eq!(task["cwd"].as_str(), env.path("").to_str().map(|dir| dir.trim_end_matches('/')));
    assert!(task["pid"].is_u64() && started["next"].as_str().unwrap().contains(id), "{started:#}");

    assert!(client.bad("stop_task", json!({"id": &id[..2]})).starts_with("there is no task"));

    // By a prefix of its id and by its process id. Looking does not mark anything as read.
    let listed = client.good("list_tasks", json!({}));
    assert_eq!((listed["tasks"].as_array().unwrap().len(), &listed["tasks"][0]["id"]), (1, &json!(id)));
    let all = client.good("list_tasks", json!({"all": true}));
    assert_eq!((all["tasks"].as_array().unwrap().len(), &all["tasks"][0]["id"]), (1, &json!(id)));
    let early = client.good("wait_task", json!({"id": &id[..8], "timeout_seconds": 0}));
    assert_eq!((&early["done"], &early["task"]["state"]), (&json!(false), &json!("running")));
    assert!(early["next"].as_str().unwrap().contains("call wait_task again"), "{early:#}");
    let start = Instant::now();
    let log = loop {
        let log = client.good("get_task_logs", json!({"pid": task["pid"]}));
        if log["lines"].as_array().unwrap().contains(&json!("I see.")) {
            break log;
        }
        assert!(start.elapsed() < aiw_tests::HANG_TIMEOUT, "{log:#}");
    };
    assert_eq!((&log["earlier_lines"], &log["log"]), (&json!(false), &task["log"]));

    let waits = client.send("tools/call", &json!({"name": "wait_task", "arguments": {"id": id}}));
    // Other requests are answered in the meantime.
    assert_eq!(client.ask("ping", &json!({}))["result"], json!({}));
    std::fs::write(env.path("go"), "\n").unwrap();
    let answer = client.next();
    assert_eq!(answer["id"], waits);
    let report = &answer["result"]["structuredContent"];
    assert_eq!((&report["done"], &report["state"]), (&json!(true), &json!("succeeded")), "{report:#}");
    assert_eq!(report["task"]["final_message"], "The work is done.");
    assert_eq!(report["task"]["usage"], json!({"input": 10, "output": 5}));
    // That counted as a report.
    assert_eq!(client.good("list_tasks", json!({}))["tasks"][0]["unseen"], false);
    assert_eq!(env.json(&["status"])["tasks"], json!([]));

    let seen = clis.only();
    let arguments =
        "-p --output-format stream-json --verbose --permission-mode acceptEdits --model m-1 --setting-sources user";
    assert_eq!(seen.arguments, arguments.split(' ').collect::<Vec<_>>());
    assert_eq!(String::from_utf8(seen.stdin).unwrap(), say);
    assert_eq!(client.stderr_after_leaving(), "");
}

#[test]
fn a_task_is_stopped_by_its_process_id() {
    let (env, _) = FakeClis::environment();
    let mut client = Client::initialized(&env);
    let started = client.good("start_task", json!({"ai_type": "codex", "task": FakeClis::script("sleep 300")}));
    let stopped = client.good("stop_task", json!({"pid": started["task"]["pid"]}));
    assert_eq!((&stopped["result"], &stopped["task"]["outcome"]), (&json!("stopped"), &json!("signalled")));
    // As models write it: the process id as the id, and numbers as text.
    let again = client.good("stop_task", json!({"id": started["task"]["pid"].to_string()}));
    assert_eq!(again["result"], "had already ended");
    let both = client.bad("stop_task", json!({"id": started["task"]["id"], "pid": 1}));
    assert!(both.contains("do not name one task"), "{both}");
    let waited = client.good("wait_task", json!({"id": started["task"]["id"], "timeout_seconds": "5"}));
    assert_eq!((&waited["done"], &waited["task"]["state"]), (&json!(true), &json!("ended")));
}

#[test]
fn a_log_is_shown_from_its_end_and_within_bounds() {
    let (env, _) = FakeClis::environment();
    let mut client = Client::initialized(&env);
    let id = client.task(
        "codex",
        "i=0; while [ $i -lt 3000 ]; do echo \"line $i of a log that goes on and on\" >&2; i=$((i+1)); done",
    );
    client.good("wait_task", json!({"id": id}));
    let log = client.good("get_task_logs", json!({"id": id}));
    let lines = log["lines"].as_array().unwrap();
    assert_eq!((lines.len(), &log["earlier_lines"]), (50, &json!(true)));
    assert!(lines.contains(&json!("line 2999 of a log that goes on and on")), "{log:#}");
    assert!(log["more"].as_str().unwrap().contains("larger tail_lines"), "{log:#}");
    let most = client.call("get_task_logs", json!({"id": id, "tail_lines": 1000}));
    assert!(most["structuredContent"].to_string().len() < 32 << 10);
    assert!(most["content"][0]["text"].as_str().unwrap().len() < 48 << 10);
    assert!(most["structuredContent"]["more"].as_str().unwrap().contains("aiw logs"), "{most:#}");
}

#[test]
fn roles_go_before_the_task() {
    let (env, clis) = FakeClis::environment();
    std::fs::create_dir_all(env.home().join("role")).unwrap();
    for (name, text) in [("calm", "Be calm."), ("brief", "Be brief.")] {
        std::fs::write(env.home().join(format!("role/{name}.md")), format!("About {name}\n------------\n{text}\n"))
            .unwrap();
    }
    std::fs::write(env.home().join("role/broken.md"), "no delimiter").unwrap();
    let mut client = Client::initialized(&env);
    let roles = client.good("list_roles", json!({}));
    let names: Vec<&str> =
        roles["roles"].as_array().unwrap().iter().map(|role| role["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["brief", "calm"]);
    assert_eq!(roles["roles"][1]["description"], "About calm");
    assert!(roles["problems"][0].as_str().unwrap().contains("12 dashes"), "{roles:#}");
    let started = client.good("start_task", json!({"ai_type": "gemini", "task": "Say it", "role": "calm, brief"}));
    assert_eq!(started["task"]["role"], "calm,brief");
    client.good("wait_task", json!({"id": started["task"]["id"]}));
    assert_eq!(String::from_utf8(clis.only().stdin).unwrap(), "Be calm.\n\n---\n\nBe brief.\n\n---\n\nSay it");
    let error = client.bad("start_task", json!({"ai_type": "gemini", "task": "Say it", "role": "../calm"}));
    assert!(error.contains("role name `../calm`"), "{error}");
}

#[test]
fn providers_are_listed_for_a_model_without_their_secrets() {
    let (env, _) = FakeClis::environment();
    let add = ["--preset", "litellm", "--base-url", aiw_tests::listening(), "--model", "m", "--scenario", "cheap work"];
    env.run_with_input(&[&["provider", "add", "gw", "--token-stdin", "--default"][..], &add].concat(), "canary\n").ok();
    env.run(&["provider", "add", "later", "--preset", "openrouter", "--token-env", "NOT_SET_KEY"]).ok();
    let mut client = Client::initialized(&env);
    let listed = client.good("list_providers", json!({}));
    assert_eq!(
        listed["providers"],
        json!([
            {"name": "gw", "scenario": "cheap work", "ai_types": ["claude", "codex", "gemini"], "default": true,
             "ready": true},
            {"name": "later", "scenario": null, "ai_types": ["claude", "codex", "gemini"], "default": false,
             "ready": false}
        ])
    );
    assert!(!listed.to_string().contains("canary"));
}

#[test]
fn what_cannot_be_done_is_an_answer_that_says_why() {
    let (env, clis) = FakeClis::environment();
    let mut client = Client::initialized(&env);
    env.run(&[
        "provider",
        "add",
        "local",
        "--preset",
        "litellm",
        "--base-url",
        &format!("anthropic={}", aiw_tests::listening()),
        "--token-env",
        "THE_KEY",
        "--clis",
        "claude",
    ])
    .ok();
    let mut errors = String::new();
    for (tool, arguments) in [
        ("start_task", json!({})),
        ("start_task", json!({"ai_type": "claude"})),
        ("start_task", json!({"ai_type": "cursor", "task": "x"})),
        ("start_task", json!({"ai_type": "claude", "task": ["x"]})),
        ("start_task", json!({"ai_type": "claude", "task": "  "})),
        ("start_task", json!({"ai_type": "claude", "task": "x", "cwd": "nowhere"})),
        ("start_task", json!({"ai_type": "claude", "task": "x", "provider": "nobody"})),
        ("start_task", json!({"ai_type": "codex", "task": "x", "provider": "local"})),
        ("start_task", json!({"ai_type": "claude", "task": "x", "role": "nobody"})),
        // Attempts to lift a CLI's safeguards.
        ("start_task", json!({"ai_type": "claude", "task": "x", "permission": "bypassPermissions"})),
        ("start_task", json!({"ai_type": "claude", "task": "x", "model": "--dangerously-skip-permissions"})),
        ("start_task", json!({"ai_type": "claude", "task": "x", "provider": "local", "model": "-yolo"})),
        ("start_task", json!({"ai_type": "claude", "task": "x", "arguments": ["--dangerously-skip-permissions"]})),
        ("start_task", json!({"ai_type": "claude --dangerously-skip-permissions", "task": "x"})),
        ("stop_task", json!({})),
        ("stop_task", json!({"id": "zzzzzzzzzzzz"})),
        ("stop_task", json!({"pid": 1})),
        ("wait_task", json!({"id": "../../etc"})),
        ("wait_task", json!({"id": "x", "timeout_seconds": "soon"})),
        ("wait_task", json!({"id": "x", "timeout_seconds": 46})),
        ("get_task_logs", json!({"id": {"a": 1}})),
        ("get_task_logs", json!({"id": "x", "tail_lines": -1})),
        ("list_tasks", json!({"all": 1})),
        ("list_roles", json!({"all": true})),
        ("run_shell", json!({})),
    ] {
        errors.push_str(&format!(
            "{tool} {arguments}\n  {}\n",
            client.bad(tool, arguments.clone()).replace('\n', "\n  ")
        ));
    }
    insta::assert_snapshot!("errors", env.stable(&errors));
    assert!(clis.seen().is_empty());
    // Parameters that are not a valid call.
    for params in [json!({}), json!({"name": 5}), json!({"name": "list_tasks", "arguments": [1]}), json!([]), json!(7)]
    {
        let answer = client.ask("tools/call", &params);
        assert!(answer["result"]["isError"] == true || answer["error"].is_object(), "{params}: {answer}");
    }
}

#[test]
fn a_call_that_is_taken_back_is_not_answered_and_its_task_runs_on() {
    let (env, _) = FakeClis::environment();
    let mut client = Client::initialized(&env);
    let id = client.task("claude", "sleep 300");
    let call = client.send("tools/call", &json!({"name": "wait_task", "arguments": {"id": id}}));
    std::thread::sleep(Duration::from_millis(200));
    client.line(
        &json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": call, "reason": "r"}})
            .to_string(),
    );
    client.is_silent(Duration::from_millis(500));
    let now = client.good("wait_task", json!({"id": id, "timeout_seconds": 0}));
    assert_eq!(now["task"]["state"], "running");
    stop_all(&env);
}

#[test]
fn a_client_that_leaves_ends_the_server_at_once_and_no_task() {
    let (env, _) = FakeClis::environment();
    let mut client = Client::initialized(&env);
    let id = client.task("claude", "sleep 300");
    client.send("tools/call", &json!({"name": "wait_task", "arguments": {"id": id}}));
    std::thread::sleep(Duration::from_millis(200));
    let start = Instant::now();
    let (_, code) = client.leave();
    assert_eq!(code, Some(0));
    // The call would wait for half a minute.
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert_eq!(env.json(&["task", "show", &id])["task"]["state"], "running");

    // So does a signal while a call is waiting.
    let mut client = Client::initialized(&env);
    client.send("tools/call", &json!({"name": "wait_task", "arguments": {"id": id}}));
    std::thread::sleep(Duration::from_millis(200));
    let start = Instant::now();
    kill_process(Pid::from_child(&client.server), Signal::TERM).unwrap();
    assert_eq!(client.end(), Some(143));
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert_eq!(client.lines.iter().count(), 0);
    assert_eq!(env.json(&["task", "show", &id])["task"]["state"], "running");
    stop_all(&env);
}

#[test]
fn a_client_that_does_not_read_holds_nothing_up_once_it_leaves() {
    let env = Environment::cold();
    let mut server = env.command(&["mcp", "serve"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = server.stdin.take().unwrap();
    let begin = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
    writeln!(stdin, "{begin}").unwrap();
    // More than fits in a pipe.
    for id in 1..200 {
        writeln!(stdin, "{}", json!({"jsonrpc": "2.0", "id": id, "method": "tools/list"})).unwrap();
    }
    drop(stdin);
    let start = Instant::now();
    while server.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < Duration::from_secs(20), "the server does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn two_servers_of_one_session_see_each_others_tasks() {
    let (env, _) = FakeClis::environment();
    let (mut one, mut other) = (Client::initialized(&env), Client::initialized(&env));
    let id = one.task("claude", "sleep 300");
    assert_eq!(other.good("list_tasks", json!({}))["tasks"][0]["id"], id.as_str());
    let stopped = other.good("stop_task", json!({"id": id}));
    assert_eq!(stopped["task"]["outcome"], "signalled");
    assert_eq!(one.good("wait_task", json!({"id": id}))["done"], true);
}

#[test]
fn hostile_input_neither_ends_nor_hangs_the_server() {
    let env = Environment::cold();
    let mut client = Client::initialized(&env);
    let long = "x".repeat(3 << 20);
    let deep = format!("{}1{}", "[".repeat(50_000), "]".repeat(50_000));
    let deep_call = format!(
        r#"{{"jsonrpc":"2.0","id":77,"method":"tools/call","params":{{"name":"list_tasks","arguments":{{"all":{deep}}}}}}}"#
    );
    for line in [
        "",
        " ",
        "\t",
        "{",
        "}",
        "null",
        "true",
        "1e999",
        "\"",
        "[]",
        "[1,2",
        "{}",
        "hello",
        "GET / HTTP/1.1",
        "\u{feff}",
        "\u{0}",
        "{\"jsonrpc\":\"2.0\"}",
        "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"ping\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"ping\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"ping\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":18446744073709551615,\"method\":\"ping\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":5}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"result\":{}}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"id\":2}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"tools/call\",\"params\":{\"name\":\"start_task\",\"arguments\":{\"ai_type\":\"claude\",\"task\":\"x\"}}}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\"}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":[]}}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/unknown\",\"params\":7}",
        "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]",
        &long,
        &deep,
        &deep_call,
        &"{\"a\":".repeat(50_000),
    ] {
        client.line(line);
    }
    client.bytes(b"\xff\xfe\x00\n{\"jsonrpc\":\"2.0\",\"id\":\"\xff\",\"method\":\"ping\"}\n\r\n");
    let huge = json!({"jsonrpc": "2.0", "id": 78, "method": "tools/call", "params": {"name": long, "arguments": {long.clone(): long}}});
    client.line(&huge.to_string());
    // Truncate a good message at every byte, and flip every byte of it.
    let good = json!({"jsonrpc": "2.0", "id": 79, "method": "tools/call", "params": {"name": "list_tasks", "arguments": {"all": true}}}).to_string();
    for at in 0..good.len() {
        client.line(&good[..at]);
        let mut bytes = good.clone().into_bytes();
        bytes[at] ^= 0x15;
        // If the flip makes a line break, there are two lines.
        client.bytes(&[bytes.as_slice(), b"\n"].concat());
    }
    // The server wrote only messages, and it still answers.
    let id = client.send("tools/list", &json!({}));
    let mut answers = Vec::new();
    loop {
        let answer = client.next();
        if answer["id"] == id && answer["result"]["tools"].is_array() {
            break;
        }
        answers.push(answer);
    }
    // Requests with an id were answered, however deep or long they were.
    for asked in [77, 78] {
        assert!(answers.iter().any(|answer| answer["id"] == asked), "{asked}");
    }
    let (_, code) = client.leave();
    assert_eq!(code, Some(0));
}

#[test]
fn an_id_that_is_none_is_answered_in_the_words_of_the_version() {
    let env = Environment::cold();
    // JSON-RPC 2.0 requires `null`. Newer schemas of MCP do not allow it, and leave the id out.
    for (version, has_null) in [("2025-06-18", true), ("2025-11-25", false)] {
        let mut client = Client::start(&env);
        client.initialize(version);
        for id in [
            "null",
            "1.5",
            "{}",
            "[1]",
            "true",
            "9223372036854775808",
            "12345678901234567890123",
            "1e999",
            "1,\"id\":2",
        ] {
            client.line(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#));
            let answer = client.next();
            assert_eq!(answer["error"]["code"], -32600, "{id}: {answer}");
            assert_eq!((answer.get("id").is_some(), &answer["id"]), (has_null, &Value::Null), "{id}: {answer}");
            // Nobody waits for an answer to these.
            client.line(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#));
        }
        let long = "\u{e4}\"\\ ".repeat(10_000);
        for id in
            [json!(0), json!(-7), json!(i64::MAX), json!(i64::MIN), json!(""), json!("1"), json!("null"), json!(long)]
        {
            client.line(&json!({"jsonrpc": "2.0", "id": id, "method": "ping"}).to_string());
            assert_eq!(client.next(), json!({"jsonrpc": "2.0", "id": id, "result": {}}));
        }
        assert_eq!(client.leave(), (Vec::new(), Some(0)));
    }
}

#[test]
fn a_thousand_calls_that_wait_hold_nobody_up() {
    let (env, _clis) = FakeClis::environment();
    let mut client = Client::initialized(&env);
    let ids = [client.task("claude", "sleep 300"), client.task("codex", "sleep 300")];
    for n in 0..1000 {
        client.send("tools/call", &json!({"name": "wait_task", "arguments": {"id": ids[n % 2]}}));
    }
    // Each of these is answered next, before all the waiting calls.
    let listed = client.good("list_tasks", json!({}));
    assert_eq!(listed["tasks"].as_array().unwrap().len(), 2);
    client.good("get_task_logs", json!({"id": ids[0]}));
    let early = client.good("wait_task", json!({"id": ids[0], "timeout_seconds": 0}));
    assert_eq!(early["done"], false);
    // Every waiting call learns of the end of its task.
    let stops = ids.clone().map(|id| client.send("tools/call", &json!({"name": "stop_task", "arguments": {"id": id}})));
    let (mut ended, mut stopped) = (0, 0);
    while ended + stopped < 1002 {
        let answer = client.next();
        let result = &answer["result"]["structuredContent"];
        if stops.iter().any(|id| answer["id"] == *id) {
            assert_eq!(result["result"], "stopped", "{answer}");
            stopped += 1;
        } else {
            assert_eq!((&result["done"], &result["task"]["state"]), (&json!(true), &json!("ended")), "{answer}");
            ended += 1;
        }
    }
    assert_eq!((ended, stopped), (1000, 2));
    assert_eq!(client.leave(), (Vec::new(), Some(0)));
}

#[test]
fn more_tasks_than_are_watched_at_once_are_waited_for_all_the_same() {
    let (env, _clis) = FakeClis::environment();
    env.settings(&json!({"max_concurrent_tasks": 40}));
    let mut client = Client::initialized(&env);
    let go = env.path("go").display().to_string();
    let ids: Vec<String> =
        (0..20).map(|_| client.task("claude", &format!("while [ ! -e {go} ]; do sleep 0.05; done"))).collect();
    for id in ids.iter().chain(&ids) {
        client.send("tools/call", &json!({"name": "wait_task", "arguments": {"id": id}}));
    }
    assert_eq!(client.good("list_tasks", json!({}))["tasks"].as_array().unwrap().len(), 20);
    std::fs::write(&go, "").unwrap();
    for _ in 0..40 {
        let answer = client.next();
        assert_eq!(answer["result"]["structuredContent"]["done"], true, "{answer}");
    }
}

#[test]
fn its_standard_output_is_the_protocols_alone() {
    let env = Environment::cold();
    let run = env.run(&["mcp", "serve", "--json"]);
    assert_eq!(run.code, 64, "{}", run.whole());
    // Without a client, as with /dev/null, the server ends.
    let run = env.run(&["mcp", "serve"]);
    assert_eq!(run.whole(), "------- stderr -------\n------- exit code 0 -------\n");
}

impl Client {
    /// Returns what the server wrote besides the protocol.
    fn stderr_after_leaving(mut self) -> String {
        drop(self.stdin.take());
        self.end();
        self.stderr()
    }
}

/// Whatever is killed at whatever moment: no task is stuck or lost, none of its processes keeps running, and
/// everything read so far is in the log.
#[test]
fn servers_shims_and_clis_that_are_killed_leave_nothing_behind() {
    let (env, _) = FakeClis::environment();
    // The same moments in each run. Another seed gives other moments.
    let mut seed: u64 = 0x5eed_5eed;
    let mut next = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let say = FakeClis::script("i=0; while [ $i -lt 400 ]; do echo \"line $i\"; i=$((i+1)); sleep 0.01; done");
    for round in 0..8 {
        let mut client = Client::initialized(&env);
        let ids: Vec<String> = (0..3)
            .map(|_| {
                let started = client.good("start_task", json!({"ai_type": "codex", "task": say}));
                started["task"]["id"].as_str().unwrap().to_owned()
            })
            .collect();
        std::thread::sleep(Duration::from_millis(next(120)));
        let pid = |id: &str| client_pid(&env, id);
        match next(4) {
            0 => kill(Some(client.server.id())),
            1 => kill(pid(&ids[0])),
            2 => kill(pid(&ids[1]).and_then(shim_of)),
            _ => {
                kill(Some(client.server.id()));
                ids.iter().for_each(|id| {
                    kill(pid(id).and_then(shim_of));
                    kill(pid(id));
                });
            }
        }
        drop(client);
        for id in &ids {
            env.run(&["stop", id]);
            let task = env.json(&["task", "show", id])["task"].clone();
            assert_eq!(task["state"], "ended", "round {round}: {task:#}");
            assert_ne!(task["outcome"], "succeeded", "round {round}: {task:#}");
            // The log has whole lines in order, from the first one.
            let log = env.run(&["logs", id, "--raw"]).ok().stdout;
            let lines: Vec<&str> = log.lines().filter(|line| line.starts_with("line ")).collect();
            for (number, line) in lines.iter().enumerate().take(lines.len().saturating_sub(1)) {
                assert_eq!(*line, format!("line {number}"), "round {round}");
            }
            let mark = format!("AIW_TASK_ID={id}");
            let left = std::fs::read_dir("/proc").unwrap().flatten().filter(|entry| {
                let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
                environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
            });
            assert_eq!(left.count(), 0, "round {round}: something of {id} runs on");
        }
    }
    assert_eq!(env.json(&["status"])["running"], 0);
}

fn client_pid(env: &Environment, id: &str) -> Option<u32> {
    env.json(&["task", "list"])["tasks"]
        .as_array()?
        .iter()
        .find(|task| task["id"] == id)
        .and_then(|task| u32::try_from(task["pid"].as_u64()?).ok())
}

/// Returns the shim that is the parent of a CLI, or `None` if it is gone.
fn shim_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let parent: u32 = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
    let line = std::fs::read(format!("/proc/{parent}/cmdline")).ok()?;
    line.split(|byte| *byte == 0).any(|word| word == b"shim").then_some(parent)
}

fn kill(pid: Option<u32>) {
    let pid = pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    if let Some(pid) = pid {
        let _ = kill_process(pid, Signal::KILL);
    }
}
