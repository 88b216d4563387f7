//! The real AI CLIs as clients of the toolset `processes`: each makes a process, starts it, waits for its line, reads its
//! output and stops it.

use aiw_tests::{not_run, real_cli};
use serde_json::{Value, json};

use super::Project;
use crate::mcp_clients::{asks, line_of, tool_use};

const PROMPT: &str = "Run the greeter and tell me what it says";

fn runs(cli: &str) {
    let Some(client) = real_cli(cli) else { return not_run(&format!("{cli} is absent")) };
    let mut project = Project::empty();
    project.env.settings(&json!({"mcp": {"toolsets": ["processes"]}}));
    let call = |name: &str, arguments: Value| json!({"match": PROMPT, "offers": "create_process", "tools": [tool_use(cli, name, arguments)]});
    let turns = json!([
        call("create_process", json!({"id": "greeter", "command": "sh", "args": ["-c", "echo moin-moin; exec sleep 1000"]})),
        call("start_process", json!({"id": "greeter"})),
        call("wait_for_process", json!({"id": "greeter", "line": "moin"})),
        call("get_process_output", json!({"id": "greeter"})),
        call("stop_process", json!({"id": "greeter"})),
        {"match": PROMPT, "offers": "create_process", "text": "It says moin-moin."},
    ]);
    let Some(asked) = asks(&mut project.env, &client, PROMPT, "create_process", &turns, line_of(cli)) else { return };
    let asked = asked.all(&["It says moin-moin."]);
    assert!(asked[3].contains("it is so"), "{}", asked[3]);
    assert!(asked[4].contains("moin-moin"), "{}", asked[4]);
    assert!(asked[5].contains("stopped"), "{}", asked[5]);
}

#[test]
fn claude_code_runs_a_process() {
    runs("claude");
}

#[test]
fn codex_runs_a_process() {
    runs("codex");
}

#[test]
fn gemini_cli_runs_a_process() {
    runs("gemini");
}
