//! The real AI CLIs use a planned tool over real servers.

use aiw_tests::{not_run, real_cli};
use serde_json::{Value, json};

use super::{Api, Model};
use crate::mcp_clients::{asks, line_of, tool_use};
use crate::servers::Servers;

const PROMPT: &str = "Echo the sum and say it";

fn plans(cli: &str) {
    let Some(real) = real_cli(cli) else { return not_run(&format!("{cli} is absent")) };
    let Some(servers) = Servers::new() else { return };
    let mut servers = servers.with("one", &[]).with("two", &[]).known();
    let plan = json!({"feasible": true, "name": "say sum", "steps": [
        {"tool": "one__echo", "args": {"sum": 42}},
        {"tool": "two__echo", "args": {"said": "The sum is {{step1.sum}}"}},
    ]});
    let model = Model::saying(Api::Ollama, plan.to_string());
    let llm = json!({"api": "ollama", "url": model.url()});
    servers.env.settings(&json!({"llm": llm, "mcp": {"toolsets": ["servers", "routing"]}}));
    let call = |name: &str, arguments: Value| json!({"match": PROMPT, "offers": "intelligent_route", "tools": [tool_use(cli, name, arguments)]});
    // Codex lists the tools once.
    let use_it = match cli {
        "codex" => call("call_tool", json!({"server": "planned", "tool": "say_sum", "arguments": {}})),
        _ => call("planned__say_sum", json!({})),
    };
    let turns = json!([
        call("intelligent_route", json!({"user_request": "Echo the sum, and echo what is said. Return arguments."})),
        use_it,
        {"match": PROMPT, "offers": "intelligent_route", "text": "It was said."},
    ]);
    let Some(asked) = asks(&mut servers.env, &real, PROMPT, "intelligent_route", &turns, line_of(cli)) else { return };
    let asked = asked.all(&["It was said."]);
    assert!(asked[1].contains("planned__say_sum"), "{}", asked[1]);
    assert!(asked[2].contains("The sum is 42"), "{}", asked[2]);
}

#[test]
fn claude_code_uses_a_planned_tool() {
    plans("claude");
}

#[test]
fn codex_uses_a_planned_tool() {
    plans("codex");
}

#[test]
fn gemini_cli_uses_a_planned_tool() {
    plans("gemini");
}
