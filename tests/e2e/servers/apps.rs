//! Tools of MCP Apps: those that a page alone may use, and the pages that tools name (SEP-1865).

use serde_json::{Value, json};

use super::{Servers, names, text};
use crate::mcp::Client;
use crate::until;

fn with_pages(page: &str) -> Value {
    let tool = |name: &str, ui: Value| {
        json!({"name": name, "description": format!("Draws the {name} of a chart."), "inputSchema": {"type": "object"},
            "_meta": {"build": 7, "ui": ui}})
    };
    json!({"tools": [
        tool("outline", json!({"resourceUri": page, "prefersBorder": true})),
        tool("legend", json!({"resourceUri": page, "visibility": ["app"]})),
        tool("axes", json!({"resourceUri": "https://a.example/", "visibility": ["model", "app"]})),
    ]})
}

#[test]
fn a_page_alone_uses_what_is_for_pages_and_reads_what_its_tool_names() {
    let Some(mut servers) = Servers::new() else { return };
    let file = servers.env.path("tools.json");
    std::fs::write(&file, with_pages("ui://charts/page").to_string()).unwrap();
    let entry = servers.entry("test", &["--define", file.to_str().unwrap()]);
    servers.put("test", entry);
    // A client without pages: not in its list, not found, not called.
    let mut plain = servers.session("test__outline");
    assert!(!names(&mut plain).contains(&"test__legend".to_owned()));
    let found = plain.good("intelligent_route", json!({"user_request": "draw the outline and the legend of a chart"}));
    assert!(found.to_string().contains("test__outline"), "{found}");
    assert!(!found.to_string().contains("test__legend"), "{found}");
    let call = json!({"server": "test", "tool": "legend", "arguments": {}});
    assert!(plain.bad("call_tool", call.clone()).contains("legend"));
    assert!(plain.bad("test__legend", json!({})).contains("test__legend"));
    assert_eq!(servers.env.run(&["mcp", "call", "test", "legend"]).code, 2);
    // One with pages.
    let mut client = Client::with_capabilities(&servers.env, clients_with_pages());
    until(|| names(&mut client).contains(&"test__legend".to_owned()));
    let listed = client.result("tools/list", json!({}));
    let meta = |name: &str| {
        let tool = listed["tools"].as_array().unwrap().iter().find(|tool| tool["name"] == name).unwrap();
        tool.get("_meta").cloned()
    };
    assert_eq!(meta("test__outline"), Some(json!({"ui": {"resourceUri": "ui://aiw/test/charts/page"}})));
    let ui = json!({"resourceUri": "ui://aiw/test/charts/page", "visibility": ["app"]});
    assert_eq!(meta("test__legend"), Some(json!({ "ui": ui })));
    // What is no page is left out, and the rest stays.
    assert_eq!(meta("test__axes"), Some(json!({"ui": {"visibility": ["model", "app"]}})));
    assert_eq!(text(&client.call("test__legend", json!({}))), "called legend with {}");
    // The model of that client does not.
    assert!(client.bad("call_tool", call).contains("legend"));
    // No list names the page.
    for uri in ["ui://aiw/test/charts/page", "ui://charts/page"] {
        assert_eq!(client.result("resources/read", json!({ "uri": uri }))["contents"][0]["uri"], uri);
    }
    for uri in ["ui://aiw/test/charts/other", "ui://aiw/other/charts/page", "ui://charts/other"] {
        assert_eq!(client.request("resources/read", &json!({ "uri": uri }))["error"]["code"], -32002, "{uri}");
    }
    // Another page is another tool.
    std::fs::write(&file, with_pages("ui://charts/another").to_string()).unwrap();
    servers.env.run(&["mcp", "call", "test", "axes"]).ok();
    let mut client = Client::with_capabilities(&servers.env, clients_with_pages());
    let listed = names(&mut client);
    assert!(listed.contains(&"test__axes".to_owned()), "{listed:?}");
    assert!(!listed.contains(&"test__outline".to_owned()) && !listed.contains(&"test__legend".to_owned()));
    assert!(client.bad("test__legend", json!({})).contains("legend"));
    assert_eq!(client.request("resources/read", &json!({"uri": "ui://charts/another"}))["error"]["code"], -32002);
}

fn clients_with_pages() -> Value {
    json!({"extensions": {"io.modelcontextprotocol/ui": {"mimeTypes": ["text/html;profile=mcp-app"]}}})
}

/// A server that names another's page, and claims what looks like its qualified URI, takes nothing from it.
#[test]
fn servers_that_name_one_page_have_one_each() {
    let Some(mut servers) = Servers::new() else { return };
    let define = |name: &str, page: &str| {
        let file = servers.env.path(name);
        std::fs::write(&file, with_pages(page).to_string()).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let (first, second) = (define("one.json", "ui://charts/page"), define("two.json", "ui://charts/page"));
    let third = define("three.json", "ui://aiw/one/charts/page");
    for (key, file) in [("one", first), ("two", second), ("three", third)] {
        let entry = servers.entry(key, &["--define", &file]);
        servers.put(key, entry);
        servers.env.run(&["mcp", "tools", key]).ok();
    }
    let mut client = Client::with_capabilities(&servers.env, clients_with_pages());
    let listed = client.result("tools/list", json!({}));
    let page = |name: &str| {
        let tool = listed["tools"].as_array().unwrap().iter().find(|tool| tool["name"] == name).unwrap();
        tool["_meta"]["ui"]["resourceUri"].as_str().unwrap().to_owned()
    };
    for (key, own) in [("one", "charts/page"), ("two", "charts/page"), ("three", "aiw/one/charts/page")] {
        let uri = format!("ui://aiw/{key}/{own}");
        assert_eq!(page(&format!("{key}__outline")), uri);
        let read = client.result("resources/read", json!({ "uri": uri }));
        assert_eq!(read["contents"][0]["uri"], uri);
        assert!(read["contents"][0]["text"].as_str().unwrap().contains(&format!("ui://{own}")), "{read}");
    }
    let said = client.request("resources/read", &json!({"uri": "ui://charts/page"}));
    let message = said["error"]["message"].as_str().unwrap();
    assert!(message.contains("`ui://aiw/one/charts/page` or `ui://aiw/two/charts/page`"), "{said}");
}

/// What a client does not list costs it nothing, and what is found brings what its page calls.
#[test]
fn tools_for_pages_are_listed_with_the_tools_of_their_server() {
    let Some(mut servers) = Servers::new() else { return };
    let file = servers.env.path("tools.json");
    std::fs::write(&file, with_pages("ui://charts/page").to_string()).unwrap();
    let entry = servers.entry("test", &["--define", file.to_str().unwrap()]);
    servers.put("test", entry);
    servers.env.settings(&json!({"mcp": {"list": {"never": ["test"]}}}));
    servers.env.run(&["mcp", "tools", "test"]).ok();
    let mut client = Client::with_capabilities(&servers.env, clients_with_pages());
    let listed =
        |client: &mut Client| names(client).into_iter().filter(|name| name.starts_with("test__")).collect::<Vec<_>>();
    assert_eq!(listed(&mut client), [] as [&str; 0]);
    client.good("intelligent_route", json!({"user_request": "draw the outline of a chart", "max_tools": 1}));
    assert_eq!(listed(&mut client), ["test__legend", "test__outline"]);
    assert_eq!(text(&client.call("test__legend", json!({}))), "called legend with {}");
}

#[test]
fn a_resource_can_be_read_right_after_the_first_start() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("test", &["--late", "1"]);
    let mut client = Client::initialized(&servers.env);
    let read = client.result("resources/read", json!({"uri": "test://one"}));
    assert_eq!(read["contents"][0]["uri"], "test://one");
}
