//! Tools found by what they do: the real binary in front of servers with many tools.

mod clients;
mod hostile;
mod model;

use serde_json::{Value, json};

use crate::mcp::Client;
use crate::servers::{Servers, names, text};

/// A tool's definition.
pub(super) fn tool(name: &str, description: &str, parameters: &[&str]) -> Value {
    let properties: serde_json::Map<String, Value> =
        parameters.iter().map(|name| ((*name).to_owned(), json!({"type": "string"}))).collect();
    json!({"name": name, "description": description, "inputSchema": {"type": "object", "properties": properties}})
}

impl Servers {
    /// Declares a server with these tools.
    pub(super) fn defining(self, name: &str, tools: &[Value]) -> Self {
        let file = self.env.path(&format!("tools-{name}.json"));
        std::fs::write(&file, json!(tools).to_string()).unwrap();
        self.with(name, &["--define", file.to_str().unwrap()])
    }
}

/// Twenty servers with twenty-five tools each, and what some of them do.
pub(super) fn five_hundred() -> Option<Servers> {
    const THINGS: [&str; 20] = [
        "invoice",
        "calendar",
        "ticket",
        "photo",
        "container",
        "playlist",
        "recipe",
        "flight",
        "contact",
        "database",
        "spreadsheet",
        "branch",
        "deployment",
        "camera",
        "warehouse",
        "survey",
        "podcast",
        "lawsuit",
        "molecule",
        "tide",
    ];
    const ACTIONS: [&str; 25] = [
        "list",
        "create",
        "delete",
        "rename",
        "archive",
        "restore",
        "share",
        "export",
        "import",
        "count",
        "compare",
        "merge",
        "split",
        "lock",
        "unlock",
        "tag",
        "untag",
        "schedule",
        "cancel",
        "approve",
        "reject",
        "print",
        "translate",
        "summarize",
        "validate",
    ];
    let servers = THINGS.iter().try_fold(Servers::new()?, |servers, thing| {
        let tools: Vec<Value> = ACTIONS
            .iter()
            .map(|action| tool(&format!("{action}_{thing}"), &format!("Can {action} one {thing} or more."), &["id"]))
            .collect();
        Some(servers.defining(&format!("{thing}s"), &tools))
    })?;
    Some(servers.known())
}

#[test]
fn a_request_gets_tools_with_schemas_that_can_be_called() {
    let Some(servers) = five_hundred() else { return };
    let mut client = Client::initialized(&servers.env);
    let before = names(&mut client);
    let is_own = |name: &&String| !name.contains("__");
    assert_eq!((before.contains(&"intelligent_route".to_owned()), before.iter().filter(is_own).count()), (true, 15));
    let request = "Approve the invoice. Then cancel the flights.";
    let routed = client.good("intelligent_route", json!({"user_request": request}));
    let tools = routed["tools"].as_array().unwrap();
    let found: Vec<&str> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert!(found.len() <= 5 && routed["message"].as_str().unwrap().contains("of 500 tools"), "{routed:#}");
    for wanted in ["invoices__approve_invoice", "flights__cancel_flight"] {
        let tool = &tools[found.iter().position(|name| *name == wanted).unwrap_or_else(|| panic!("{routed:#}"))];
        assert_eq!(tool["input_schema"]["properties"]["id"]["type"], "string");
        assert!(tool["reason"].as_str().unwrap().contains('`'), "{tool:#}");
        assert_eq!(
            text(&client.call(wanted, json!({"id": "7"}))),
            format!("called {} with {{\"id\": \"7\"}}", tool["tool"].as_str().unwrap())
        );
    }
    // They are listed from now on, and only they.
    let after = names(&mut client);
    let new = found.iter().filter(|name| !before.contains(&(**name).to_owned())).count();
    assert_eq!(after.len(), before.len() + new);
    assert!(new > 0 && found.iter().all(|name| after.contains(&(*name).to_owned())));
    // A search registers nothing.
    let listed = client.good("search_tools", json!({"query": "translate podcasts", "limit": 3}));
    assert_eq!(listed["tools"][0]["name"], "podcasts__translate_podcast");
    assert_eq!((listed["tools"].as_array().unwrap().len(), names(&mut client).len()), (3, after.len()));
    assert!(!listed.to_string().contains("properties"), "{listed:#}");
    // A person sees the same.
    let shown = servers.env.json(&["mcp", "route", request, "--explain"]);
    let shown: Vec<&str> = shown["tools"].as_array().unwrap().iter().map(|t| t["proxied"].as_str().unwrap()).collect();
    assert_eq!(shown, found);
}

#[test]
fn a_profile_holds_and_so_does_a_change_of_the_servers() {
    let Some(servers) = Servers::new() else { return };
    let definitions = [tool("send_mail", "Sends an email.", &[]), tool("read_mail", "Reads emails.", &[])];
    let servers = servers.defining("mail", &definitions).known();
    let settings = json!({"mcp": {"profiles": {"quiet": {"deny": ["mail/send_mail"]}}}});
    std::fs::write(servers.env.home().join("settings.json"), settings.to_string()).unwrap();
    let mut client = Client::start_with(&servers.env, &["mcp", "serve", "--profile", "quiet"]);
    client.initialize("2025-06-18");
    let names = |found: &Value| -> Vec<String> {
        found["tools"].as_array().unwrap().iter().map(|tool| tool["tool"].as_str().unwrap().to_owned()).collect()
    };
    for name in ["intelligent_route", "search_tools"] {
        let key = if name == "search_tools" { "query" } else { "user_request" };
        assert_eq!(names(&client.good(name, json!({key: "send an email"}))), ["read_mail"], "{name}");
    }
    let route = |profile: &[&str]| servers.env.json(&[&["mcp", "route", "send an email"], profile].concat());
    assert_eq!(names(&route(&["--profile", "quiet"])), ["read_mail"]);
    assert_eq!(names(&route(&[]))[0], "send_mail");
    // A server that is switched off is not searched.
    servers.env.run(&["mcp", "disable", "mail"]).ok();
    assert_eq!(route(&[])["total_tools"], 0);
}

#[test]
fn variants_of_one_tool_do_not_take_all_places() {
    let Some(servers) = Servers::new() else { return };
    let same = tool("take_screenshot", "Takes a screenshot of a web page.", &["url"]);
    let mut servers = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta"]
        .iter()
        .fold(servers, |servers, name| servers.defining(name, std::slice::from_ref(&same)));
    servers = servers.defining("images", &[tool("crop_picture", "Crops a screenshot or another picture.", &["path"])]);
    let servers = servers.known();
    let found = servers.env.json(&["mcp", "route", "take a screenshot and crop it"]);
    let tools = found["tools"].as_array().unwrap();
    assert!(tools.iter().any(|tool| tool["tool"] == "crop_picture"), "{found:#}");
    let shots: Vec<&Value> = tools.iter().filter(|tool| tool["tool"] == "take_screenshot").collect();
    assert_eq!(shots.len(), 2, "{found:#}");
    assert_eq!(shots[0]["similar"].as_array().unwrap().len(), 4, "{found:#}");
}

#[test]
fn every_request_has_an_answer() {
    let Some(servers) = Servers::new() else { return };
    let definitions = [
        tool("search_web", "Searches the web.", &["query"]),
        tool("bing", "使用必应搜索指定的关键词", &["query"]),
        tool("wetter", "Zeigt die Wettervorhersage für einen Ort.", &["ort"]),
    ];
    let servers = servers.defining("mixed", &definitions).known();
    let mut client = Client::initialized(&servers.env);
    let mut route = |request: &str| client.good("intelligent_route", json!({"user_request": request}));
    for nothing in ["", "  \n", "the of and to", "!!! ??? …", "\u{200b}\u{200b}"] {
        let routed = route(nothing);
        assert!(routed["message"].as_str().unwrap().contains("no word to search for"), "{nothing:?}: {routed}");
        assert_eq!(routed["tools"], json!([]));
    }
    for (request, wanted) in [
        ("请用必应搜索新闻", "bing"),
        ("Wettervorhersage für Berlin", "wetter"),
        ("```js\nconst r = await searchWeb('x')\n```", "search_web"),
        (&"search the web for cats. ".repeat(5000), "search_web"),
        (&"x".repeat(100_000), ""),
        ("ニュースを検索して", ""),
    ] {
        let routed = route(request);
        let first = routed["tools"][0]["tool"].as_str().unwrap_or_default();
        assert_eq!(first, wanted, "{}: {routed}", &request[..request.floor_char_boundary(60)]);
    }
    // Arguments of another kind are refused with a sentence.
    assert!(client.bad("intelligent_route", json!({"user_request": 7.5, "max_tools": -1})).contains("user_request"));
}

#[test]
fn each_sentence_gets_its_best_tool() {
    let Some(servers) = Servers::new() else { return };
    let refunds: Vec<Value> = ["order", "item", "shipping", "tax", "gift_card", "deposit"]
        .iter()
        .map(|what| tool(&format!("refund_{what}"), &format!("Refund the {what} of an order in the crm."), &["order"]))
        .collect();
    let slack = [tool("post_message", "Posts a message to a channel.", &["text"])];
    let servers = servers.defining("crm", &refunds).defining("slack", &slack).known();
    let found = servers.env.json(&["mcp", "route", "Refund an order in the crm. Tell the team on slack."]);
    let names: Vec<&str> = found["tools"].as_array().unwrap().iter().map(|t| t["proxied"].as_str().unwrap()).collect();
    assert!(names.len() <= 5 && names.contains(&"slack__post_message"), "{names:?}");
    assert!(names.contains(&"crm__refund_order"), "{names:?}");
}

#[test]
fn words_of_people_find_what_tools_call_otherwise() {
    let Some(servers) = Servers::new() else { return };
    let files = [
        tool("read_file", "Read the complete contents of a file.", &["path"]),
        tool("search_files", "Recursively search for files and directories matching a pattern.", &["pattern"]),
        tool("write_file", "Create a new file or overwrite one.", &["path"]),
    ];
    let memory = [
        tool("create_entities", "Create new entities in the knowledge graph.", &["entities"]),
        tool("delete_entities", "Delete entities from the knowledge graph.", &["names"]),
    ];
    let browser = [
        tool("browser_navigate", "Navigate to a URL.", &["url"]),
        tool("browser_screenshot", "Take a screenshot of the current page.", &[]),
        tool("browser_close", "Close the page.", &[]),
    ];
    let servers = servers.defining("files", &files).defining("memory", &memory).defining("browser", &browser).known();
    for (request, wanted) in [
        ("find the file named invoice.py", &["files__search_files"] as &[&str]),
        ("remember that Anna likes tea", &["memory__create_entities"]),
        (
            "open https://example.com and take a screenshot",
            &["browser__browser_navigate", "browser__browser_screenshot"],
        ),
    ] {
        let found = servers.env.json(&["mcp", "route", request, "--limit", "3"]);
        let names: Vec<&str> =
            found["tools"].as_array().unwrap().iter().map(|t| t["proxied"].as_str().unwrap()).collect();
        assert!(wanted.iter().all(|wanted| names.contains(wanted)), "{request}: {names:?}");
    }
}
