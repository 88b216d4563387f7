//! Servers that a page starts: those that are declared now.

use serde_json::{Value, json};

use super::Served;

#[test]
fn a_tool_is_called_as_its_server_is_declared_now() {
    let served = Served::begin();
    let page = served.page();
    let declare = |servers: Value| {
        std::fs::create_dir_all(served.home.root()).unwrap();
        std::fs::write(served.home.root().join("mcp.json"), json!({"mcpServers": servers}).to_string()).unwrap();
    };
    let said = || {
        let answer = page.post("/servers/one/call", &json!({"tool": "echo"}));
        assert_ne!(answer.status, 200, "{}", answer.body);
        answer.body
    };
    declare(json!({"one": {"command": "/nowhere/before"}}));
    assert!(said().contains("/nowhere/before"), "{}", said());
    declare(json!({"one": {"command": "/nowhere/after"}}));
    assert!(said().contains("/nowhere/after"), "{}", said());
    declare(json!({}));
    assert!(said().contains("there is no MCP server"), "{}", said());
}
