//! The real AI CLIs behind which 20 servers with 500 tools stand: they route, and call what they got.

use aiw_tests::{not_run, real_cli};
use serde_json::{Value, json};

use super::five_hundred;
use crate::mcp_clients::{self, line_of, tool_use};

const PROMPT: &str = "Approve the invoice number seven";
const TARGET: &str = "invoices__approve_invoice";

/// `name` is how the client's model calls a tool of aiw.
fn routes(cli: &str, by_name: bool) {
    let Some(real) = real_cli(cli) else { return not_run(&format!("{cli} is absent")) };
    let Some(mut servers) = five_hundred() else { return };
    let turn = |name: &str, input: Value| json!({"match": PROMPT, "offers": "intelligent_route", "tools": [tool_use(cli, name, input)]});
    let mut called = match by_name {
        true => turn(TARGET, json!({"id": "7"})),
        // It lists once and never again.
        false => turn("call_tool", json!({"server": "invoices", "tool": "approve_invoice", "arguments": {"id": "7"}})),
    };
    // A client lists the tools anew while its model thinks.
    called["delay"] = json!(2);
    let turns = json!([
        turn("intelligent_route", json!({"user_request": "approve an invoice"})),
        called,
        {"match": PROMPT, "offers": "intelligent_route", "text": "It is approved."},
    ]);
    let Some(asked) = mcp_clients::asks(&mut servers.env, &real, PROMPT, "intelligent_route", &turns, line_of(cli))
    else {
        return;
    };
    let asked = asked.all(&["It is approved."]);
    let seen = || asked.last().map_or("", |body| &body[body.len().saturating_sub(6000)..]);
    assert!(asked.len() >= 3, "{} requests: {}", asked.len(), seen());
    // No tool of the servers costs the first request anything; then the right one came, with its schema.
    assert!(!asked[0].contains("approve_invoice"), "{}", asked[0]);
    let is_shown = |body: &String| body.contains(TARGET) && body.contains("Can approve one invoice or more.");
    assert!(asked[1..asked.len() - 1].iter().any(is_shown), "{}", seen());
    assert!(asked[asked.len() - 1].contains("called approve_invoice with"), "{}", seen());
}

#[test]
fn claude_code_calls_what_it_was_given() {
    routes("claude", true);
}

#[test]
fn codex_calls_what_it_was_given() {
    routes("codex", false);
}

#[test]
fn gemini_cli_calls_what_it_was_given() {
    routes("gemini", true);
}
