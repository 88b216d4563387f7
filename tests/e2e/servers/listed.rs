//! What a client lists: no more than the limits, chosen by rules, and what is left out is found and called.

use serde_json::{Value, json};

use super::{Servers, names, text};
use crate::mcp::Client;
use crate::routing::tool;
use crate::until;

/// So many tools, of about 100 tokens each.
fn tools(what: &str, count: usize) -> Vec<Value> {
    let text = format!("Does one thing with a {what}. {}", "It says much about how, when and why. ".repeat(6));
    (0..count).map(|n| tool(&format!("{what}_{n}"), &text, &["id"])).collect()
}

/// Servers of many sizes: the largest alone is beyond the default limit.
fn servers() -> Option<Servers> {
    let servers = Servers::new()?;
    let of = |servers: Servers, what: &str, count| servers.defining(what, &tools(what, count));
    let servers = of(of(of(of(servers, "whale", 60), "horse", 20), "cat", 5), "ant", 1);
    Some(servers.known())
}

fn session(servers: &Servers, more: &[&str]) -> Client {
    let mut client = Client::start_with(&servers.env, &[&["mcp", "serve"], more].concat());
    client.initialize("2025-06-18");
    client
}

/// The servers whose tools a client lists, and what all that it lists costs.
fn listed(client: &mut Client) -> (Vec<String>, usize) {
    let tools = client.result("tools/list", json!({}))["tools"].as_array().unwrap().clone();
    let mut servers: Vec<String> =
        tools.iter().filter_map(|tool| Some(tool["name"].as_str()?.split_once("__")?.0.to_owned())).collect();
    servers.dedup();
    (servers, tools.iter().map(|tool| tool.to_string().len().div_ceil(4)).sum())
}

#[test]
fn a_list_stays_within_its_limits_and_what_is_left_out_is_found_and_called() {
    let Some(servers) = servers() else { return };
    let mut client = session(&servers, &[]);
    let (first, tokens) = listed(&mut client);
    assert_eq!(first, ["ant", "cat", "horse"]);
    assert!(tokens <= 5000, "{tokens}");
    // The client hears of it, and calls it by every way.
    let found = client.good("search_tools", json!({"query": "whale 41"}));
    assert!(found.to_string().contains("whale__whale_41"), "{found:#}");
    let wanted = json!({"server": "whale", "tool": "whale_41", "arguments": {"id": "7"}});
    assert_eq!(text(&client.call("call_tool", wanted.clone())), r#"called whale_41 with {"id": "7"}"#);
    // By the name that lists show, too.
    let server = wanted["server"].as_str().unwrap().to_owned();
    for named in [
        json!({"tool": format!("{server}__whale_41")}),
        json!({"server": server, "tool": format!("{server}__whale_41")}),
    ] {
        let mut call = named;
        call["arguments"] = wanted["arguments"].clone();
        assert_eq!(text(&client.call("call_tool", call)), r#"called whale_41 with {"id": "7"}"#);
    }
    let nowhere = client.call("call_tool", json!({"tool": "nowhere__x"}));
    assert!(nowhere["isError"] == true || nowhere["error"].is_object(), "{nowhere}");
    assert_eq!(text(&client.call("whale__whale_3", json!({"id": "7"}))), r#"called whale_3 with {"id": "7"}"#);
    client.call("horse__horse_1", json!({}));
    // A call does not change the list of a session that runs: the client's caches hold.
    assert_eq!(listed(&mut client), (first.clone(), tokens));
    assert_eq!(listed(&mut session(&servers, &[])), (first.clone(), tokens));
    // Both logs and status say what is left out, and why.
    let why = " left of 5000 (raise `mcp.list.tokens`)";
    until(|| servers.env.run(&["mcp", "logs", "aiw"]).ok().stdout.contains("the server `whale` are not listed"));
    let status = servers.env.json(&["mcp", "status"]);
    let of = |name: &str| status["servers"].as_array().unwrap().iter().find(|server| server["name"] == name).unwrap();
    assert!(of("whale")["listed"] == false && of("whale")["listing"].as_str().unwrap().contains(why), "{status:#}");
    assert_eq!((&of("horse")["listed"], &of("horse")["listing"]), (&json!(true), &json!("used lately")));
    let shown = servers.env.run(&["mcp", "status"]).ok().stdout;
    assert!(
        shown.lines().any(|row| row.starts_with("whale") && row.contains("  no  ") && row.contains(why)),
        "{shown}"
    );
    // And so does the view of a client, to the last token.
    let seen = servers.env.json(&["mcp", "tools", "--session", "claude"])["session"].clone();
    assert_eq!((seen["tokens"].as_u64(), &seen["registered"]), (Some(tokens as u64), &json!(false)));
    let tools = seen["tools"].as_array().unwrap();
    let seen_names: Vec<&str> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(seen_names, names(&mut client));
}

#[test]
fn the_settings_and_a_profile_choose_and_what_was_used_comes_before_what_is_small() {
    let Some(servers) = servers() else { return };
    let set = |list: Value| {
        let profiles = json!({"p": {"list": {"always": ["whale"], "tokens": 0}}, "q": {"deny": ["horse"]}});
        servers.env.settings(&json!({"mcp": {"list": list, "profiles": profiles}}));
    };
    let now = |more: &[&str]| listed(&mut session(&servers, more)).0;
    set(json!({"never": ["ant", "cat"]}));
    assert_eq!(now(&[]), ["horse"]);
    set(json!({"tools": 0}));
    assert_eq!(now(&[]), [""; 0]);
    assert_eq!(now(&["--profile", "p"]), ["whale"]);
    set(json!({"always": ["Wh*"]}));
    assert_eq!(now(&[]), ["whale"]);
    // There is room for the two small ones, or for the one that was used.
    set(json!({"tools": 35}));
    assert_eq!(now(&["--profile", "q"]), ["ant", "cat"]);
    assert_eq!(now(&[]), ["ant", "cat"]);
    servers.env.run(&["mcp", "call", "horse/horse_1"]).ok();
    assert_eq!(now(&[]), ["horse"]);
    // A change reaches a session that runs.
    let mut client = session(&servers, &[]);
    assert_eq!(listed(&mut client).0, ["horse"]);
    set(json!({"never": ["*"]}));
    until(|| listed(&mut client).0.is_empty());
    // A name that no server has is said, and a file that makes no sense keeps what was.
    set(json!({"always": ["hrose"]}));
    assert!(servers.env.run(&["mcp", "status"]).stderr.contains("`hrose`, which is not a server"));
}

#[test]
fn each_toolset_lists_what_the_documentation_says() {
    let Some(servers) = servers() else { return };
    let docs = include_str!("../../../docs/mcp.md");
    let row = |toolset: &str| -> Vec<String> {
        let row = docs.lines().find_map(|line| line.strip_prefix(&format!("| `{toolset}` | "))).unwrap();
        let tools = row.split('`').skip(1).step_by(2).map(str::to_owned);
        let mut tools: Vec<String> = tools.filter(|name| !name.contains("__")).collect();
        tools.sort();
        tools
    };
    for toolset in ["tasks", "routing", "history", "registries", "processes", "workflows"] {
        let mut client = session(&servers, &["--toolsets", toolset]);
        let mut listed = names(&mut client);
        listed.sort();
        assert_eq!(listed, row(toolset), "{toolset}");
        // Nor is anything else of the servers there.
        let answer = client.request("resources/list", &json!({}));
        assert!(answer.get("error").is_some(), "{toolset}: {answer}");
    }
    // What can't be listed or found can't be called.
    let mut tasks = session(&servers, &["--toolsets", "tasks"]);
    let refused = tasks.request("tools/call", &json!({"name": "ant__ant_0", "arguments": {}}));
    assert!(refused.to_string().contains("ant__ant_0") && !refused.to_string().contains("called ant_0"), "{refused}");
    let mut routing = session(&servers, &["--toolsets", "routing"]);
    routing.good("intelligent_route", json!({"user_request": "do the one thing with an ant"}));
    assert!(names(&mut routing).contains(&"ant__ant_0".to_owned()));
    assert_eq!(text(&routing.call("ant__ant_0", json!({}))), "called ant_0 with {}");
    let mut all = names(&mut session(&servers, &["--toolsets", "servers"]));
    all.retain(|name| !name.contains("__"));
    assert_eq!(all, row("servers"));
}
