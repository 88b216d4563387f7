//! The real AI CLIs before a server that writes what is no JSON, or half a character: one broken tool leaves the others.

use aiw_tests::{not_run, real_cli};
use serde_json::{Value, json};

use super::Servers;
use crate::mcp_clients::{self, line_of, tool_use};

const PROMPT: &str = "Say it with half a character";

fn uses(cli: &str) {
    let Some(real) = real_cli(cli) else { return not_run(&format!("{cli} is absent")) };
    let Some(servers) = Servers::new() else { return };
    let mut servers = servers.faulty("odd").known();
    // Codex searches for tools that it does not list; `call_tool` reaches each.
    let turn = |tool: &str, arguments: Value| {
        let input = json!({"server": "odd", "tool": tool, "arguments": arguments});
        json!({"match": PROMPT, "offers": "intelligent_route", "tools": [tool_use(cli, "call_tool", input)]})
    };
    let turns = json!([
        turn("half", json!({})),
        turn("unwritable", json!({})),
        turn("echo", json!({"said": "after the others"})),
        {"match": PROMPT, "offers": "intelligent_route", "text": "It is said."},
    ]);
    let Some(asked) = mcp_clients::asks(&mut servers.env, &real, PROMPT, "intelligent_route", &turns, line_of(cli))
    else {
        return;
    };
    let asked = asked.all(&["It is said."]);
    let last = asked.last().unwrap();
    for said in ["cut here \u{fffd}", "the server's answer is not JSON", "after the others"] {
        let at = last.find(PROMPT).unwrap_or_default();
        assert!(last.contains(said), "{said}: {}", last[at..].chars().take(9000).collect::<String>());
    }
    let listed = servers.env.json(&["mcp", "tools", "odd"]).to_string();
    assert!(listed.contains("Says half a character: \u{fffd}") && listed.contains("\"echo\""), "{listed}");
    // What is no number costs its field.
    assert!(listed.contains("\"counted\""), "{listed}");
}

#[test]
fn claude_code_uses_it() {
    uses("claude");
}

#[test]
fn codex_uses_it() {
    uses("codex");
}

#[test]
fn gemini_cli_uses_it() {
    uses("gemini");
}
