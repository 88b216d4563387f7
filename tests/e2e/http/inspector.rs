//! MCP Inspector's CLI as a client, over standard input and output and over HTTP.

use std::path::{Path, PathBuf};

use aiw_tests::{Environment, Run, not_run};
use serde_json::{Value, json};

use super::Server;

/// Returns Node.js and the Inspector, which npm installed below `target/conformance`.
fn inspector() -> Option<(PathBuf, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let node = root.join("target/node/node_modules/node/bin/node");
    let inspector = root.join("target/conformance/node_modules/.bin/mcp-inspector");
    (node.is_file() && inspector.is_file()).then_some((node, inspector))
}

#[test]
fn the_inspector_lists_and_calls_tools_over_both() {
    let Some((node, inspector)) = inspector() else {
        not_run("MCP Inspector is not installed");
        return;
    };
    let env = Environment::cold();
    let server = Server::start(&env);
    let run = |arguments: &[&str]| -> Run {
        env.program(&node).arg(&inspector).arg("--cli").args(arguments).output().unwrap().into()
    };
    let (binary, _) = env.parts();
    let (binary, url) = (binary.display().to_string(), format!("http://{}/mcp", server.address));
    let header = format!("Authorization: Bearer {}", server.token);
    for target in [vec![binary.as_str(), "mcp", "serve"], vec![&url, "--transport", "http", "--header", &header]] {
        let with = |more: &[&str]| -> Value { run(&[&target, more].concat()).ok().json() };
        assert_eq!(with(&["--method", "tools/list"])["tools"].as_array().unwrap().len(), server.tools());
        let called = with(&["--method", "tools/call", "--tool-name", "list_tasks"]);
        assert_eq!(called["structuredContent"], json!({"tasks": [], "omitted": 0}));
    }
    let refused = run(&[&url, "--transport", "http", "--header", "Authorization: Bearer x", "--method", "tools/list"]);
    assert_ne!(refused.code, 0, "{}", refused.whole());
}
