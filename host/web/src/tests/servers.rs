//! Servers that a page starts: those that are declared now, and only while it waits for them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Served;

/// A server without tools, which says its process id in a file.
const SERVER: &str = r#"echo $$ > "$0"
while read -r line; do
    id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
    case "$line" in
    *'"initialize"'*) result='{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"x","version":"1"}}' ;;
    *) result='{"tools":[]}' ;;
    esac
    [ -z "$id" ] || printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$result"
done"#;

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
    assert!(said().contains("there is no server"), "{}", said());
}

#[test]
fn a_server_that_was_added_does_not_go_on() {
    let served = Served::begin();
    let page = served.page();
    let file = served.directory.path().join("pid");
    let entry = json!({"command": "sh", "args": ["-c", SERVER, file]});
    let request = json!({"name": "one", "entry": entry, "plain": false, "force": false, "unchecked": false});
    let added = page.post("/servers", &request);
    assert_eq!((added.status, added.json()["server"]["new"].clone()), (200, json!(true)), "{}", added.body);
    let pid = std::fs::read_to_string(&file).unwrap();
    let begun = Instant::now();
    while std::process::Command::new("kill").args(["-0", pid.trim()]).output().unwrap().status.success() {
        assert!(begun.elapsed() < Duration::from_secs(10), "it runs");
        std::thread::sleep(Duration::from_millis(10));
    }
}
