//! The real AI CLIs use a planned tool over real servers.

use aiw_tests::{not_run, real_cli};
use serde_json::{Value, json};

use super::{Api, Model};
use crate::mcp_clients::{asks, line_of, tool_use};
use crate::real_servers::installed;
use crate::servers::Servers;

const PROMPT: &str = "Say which time it is in Tokyo at noon, and echo it";

fn plans(cli: &str) {
    let Some(real) = real_cli(cli) else { return not_run(&format!("{cli} is absent")) };
    let (Some(time), Some(everything)) = (installed("mcp-server-time"), installed("mcp-server-everything")) else {
        return;
    };
    let Some(mut servers) = Servers::new() else { return };
    servers.put("time", json!({"command": time, "args": ["--local-timezone", "UTC"]}));
    servers.put("everything", json!({"command": everything}));
    let mut servers = servers.known();
    let plan = json!({"feasible": true, "name": "noon in Tokyo", "steps": [
        {"tool": "time__convert_time", "args": {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}},
        {"tool": "everything__echo", "args": {"message": "Noon is {{step1.target.datetime}}"}},
    ]});
    let model = Model::saying(Api::Ollama, plan.to_string());
    let llm = json!({"api": "ollama", "url": model.url()});
    servers.env.settings(&json!({"planner": llm, "mcp": {"toolsets": ["servers", "routing"]}}));
    let call = |name: &str, arguments: Value| json!({"match": PROMPT, "offers": "intelligent_route", "tools": [tool_use(cli, name, arguments)]});
    // Codex lists the tools once.
    let use_it = match cli {
        "codex" => call("call_tool", json!({"server": "planned", "tool": "noon_in_tokyo", "arguments": {}})),
        _ => call("planned__noon_in_tokyo", json!({})),
    };
    let turns = json!([
        call("intelligent_route", json!({"user_request": "Convert a time from UTC to Asia/Tokyo. Echo a message."})),
        use_it,
        {"match": PROMPT, "offers": "intelligent_route", "text": "It was said."},
    ]);
    let Some(asked) = asks(&mut servers.env, &real, PROMPT, "intelligent_route", &turns, line_of(cli)) else { return };
    let asked = asked.all(&["It was said."]);
    assert!(asked[1].contains("planned__noon_in_tokyo"), "{}", asked[1]);
    assert!(asked[2].contains("T21:00:00+09:00"), "{}", asked[2]);
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
