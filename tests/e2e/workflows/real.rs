//! The real AI CLIs as clients of the toolset `workflows`: each finds tools, runs a script over them, saves it, and calls
//! what was saved as a tool.

use aiw_tests::{not_run, real_cli};
use serde_json::{Value, json};

use crate::mcp_clients::{asks, line_of, tool_use};
use crate::servers::Servers;

const FIRST: &str = "Sum one and two with the tools that you find, and keep how you did it";
const SECOND: &str = "Sum one and two once more";
const CODE: &str = "async function workflow(input) {
  const all = await Promise.all([1, 2].map((n) => tools.one__echo({ n })));
  return 'the sum is ' + all.reduce((sum, one) => sum + one.n, 0);
}";

fn runs(cli: &str) {
    let Some(client) = real_cli(cli) else { return not_run(&format!("{cli} is absent")) };
    let Some(servers) = Servers::new() else { return };
    let mut servers = servers.with("one", &[]).known();
    servers.env.settings(&json!({"mcp": {"toolsets": ["servers", "routing", "workflows"]}}));
    let turns = |prompt: &str, calls: &[(&str, Value)], end: &str| {
        let call = |(name, arguments): &(&str, Value)| json!({"match": prompt, "offers": "run_workflow", "tools": [tool_use(cli, name, arguments.clone())]});
        let end = json!({"match": prompt, "offers": "run_workflow", "text": end});
        Value::Array(calls.iter().map(call).chain([end]).collect())
    };
    let first = turns(
        FIRST,
        &[
            ("intelligent_route", json!({"user_request": "Return arguments.", "declarations": true})),
            ("run_workflow", json!({"code": CODE})),
            ("save_workflow", json!({"name": "sum", "description": "Sums one and two", "code": CODE})),
        ],
        "It is kept.",
    );
    let Some(asked) = asks(&mut servers.env, &client, FIRST, "run_workflow", &first, line_of(cli)) else { return };
    let asked = asked.all(&["It is kept."]);
    assert!(asked[1].contains("tools.one__echo(args?"), "{}", asked[1]);
    assert!(asked[2].contains("the sum is 3"), "{}", asked[2]);
    assert!(asked[3].contains("aiw workflow approve sum"), "{}", asked[3]);
    servers.env.run(&["workflow", "approve", "sum", "--yes"]).ok();
    // The scripted model of the second session is another one.
    servers.env.run(&["provider", "remove", "gw"]).ok();
    let second = turns(SECOND, &[("workflows__sum", json!({}))], "Three again.");
    let Some(asked) = asks(&mut servers.env, &client, SECOND, "run_workflow", &second, line_of(cli)) else { return };
    let asked = asked.all(&["Three again."]);
    assert!(asked[1].contains("the sum is 3"), "{}", asked[1]);
    let listed = servers.env.json(&["workflow", "runs", "--workflow", "sum"]);
    assert_eq!(listed["runs"][0]["calls"].as_array().unwrap().len(), 2, "{listed:#}");
}

#[test]
fn claude_code_keeps_a_script() {
    runs("claude");
}

#[test]
fn codex_keeps_a_script() {
    runs("codex");
}

#[test]
fn gemini_cli_keeps_a_script() {
    runs("gemini");
}
