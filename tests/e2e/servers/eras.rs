//! Clients and servers with `initialize` (up to 2025-11-25) and without it (2026-07-28), in each combination.

use serde_json::{Value, json};

use super::{Servers, names, text};
use crate::mcp::Client;
use crate::until;

const QUESTION: &str = "elicitation/create";

impl Servers {
    /// The methods of all requests that a server has received.
    fn methods(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.state(name).join("methods")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn forget_methods(&self, name: &str) {
        std::fs::write(self.state(name).join("methods"), "").unwrap();
    }
}

/// The metadata of a client without `initialize`.
fn meta(capabilities: &Value) -> Value {
    json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": capabilities,
        "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"}})
}

#[test]
fn a_client_with_initialize_uses_servers_of_both_eras() {
    for era in ["legacy", "modern"] {
        let Some(servers) = Servers::new() else { return };
        let servers = servers.with("test", &["--era", era]).known();
        let mut client = Client::with_capabilities(&servers.env, json!({"elicitation": {}}));
        assert_eq!(text(&client.call("test__echo", json!({"n": 1}))), r#"{"n": 1}"#);
        let slow = json!({"name": "test__slow", "arguments": {"steps": 2}, "_meta": {"progressToken": "mine"}});
        assert_eq!(text(&client.result("tools/call", slow)), "done");
        assert_eq!(client.all_told("notifications/progress").len(), 2, "{era}");
        // The client's own metadata passes beside that of the connection.
        let sent = client.request("tools/call", &json!({"name": "test__meta", "arguments": {}, "_meta": {"a/b": 1}}));
        let sent: Value = serde_json::from_str(text(&sent["result"])).unwrap();
        let version = &sent["io.modelcontextprotocol/protocolVersion"];
        assert_eq!((&sent["a/b"], version == "2026-07-28"), (&json!(1), era == "modern"), "{sent}");
        // A question.
        let asks = json!({"name": "test__asks", "arguments": {"method": QUESTION, "params": {"message": "?"}}});
        let id = client.send("tools/call", &asks);
        let asked = client.next_request();
        assert_eq!(asked["method"], QUESTION);
        assert!(asked["params"]["message"].as_str().unwrap().contains("asked by the MCP server `test`"), "{asked}");
        let answer = json!({"action": "accept", "content": {"odd": null}});
        client.line(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": answer}).to_string());
        let told = client.answer(id);
        assert_eq!(serde_json::from_str::<Value>(text(&told["result"])).unwrap(), answer);
        // Log messages, a resource that is followed, and a tool that changes.
        client.result("logging/setLevel", json!({"level": "debug"}));
        client.call("test__logs", json!({}));
        let logged = |message: &Value| message["params"]["level"] == "warning";
        while !logged(&client.told("notifications/message")) {}
        until(|| !client.result("resources/list", json!({}))["resources"].as_array().unwrap().is_empty());
        assert_eq!(client.result("resources/subscribe", json!({"uri": "test://one"})), json!({}));
        assert_eq!(client.told("notifications/resources/updated")["params"]["uri"], "test://one");
        assert!(names(&mut client).contains(&"test__changes".to_owned()));
        std::fs::write(servers.state("test").join("description"), "Otherwise.").unwrap();
        // A server without `initialize` is heard as soon as its changes are followed.
        until(|| {
            client.call("test__poke", json!({}));
            !names(&mut client).contains(&"test__changes".to_owned())
        });
        // One that can be asked nothing.
        let mut unable = Client::initialized(&servers.env);
        let refused = unable.request("tools/call", &asks);
        assert!(refused.to_string().contains("-32601"), "{era}: {refused}");
        assert_eq!(servers.starts("test").len(), 3, "{era}");
    }
}

#[test]
fn a_client_without_initialize_uses_servers_of_both_eras() {
    for era in ["legacy", "modern"] {
        let Some(servers) = Servers::new() else { return };
        let servers = servers.with("test", &["--era", era]).known();
        let (able, unable) = (meta(&json!({"elicitation": {}})), meta(&json!({})));
        let mut client = Client::start(&servers.env);
        let call = |tool: &str, arguments: Value, meta: &Value| json!({"name": format!("test__{tool}"), "arguments": arguments, "_meta": meta});
        // Discovery is answered from what is known, and wakes no server.
        let starts = servers.starts("test").len();
        let found = client.result("server/discover", json!({"_meta": unable}));
        assert!(found["instructions"].as_str().unwrap().contains("other MCP servers"), "{found}");
        let listed = client.result("tools/list", json!({"_meta": unable}));
        assert!(listed.to_string().contains("test__echo"), "{listed}");
        assert_eq!(servers.starts("test").len(), starts);
        assert_eq!(text(&client.result("tools/call", call("echo", json!({"n": 1}), &unable))), r#"{"n": 1}"#);
        let mut asks = call("asks", json!({"method": QUESTION, "params": {"message": "?"}}), &able);
        let asked = client.result("tools/call", asks.clone());
        assert_eq!((&asked["resultType"], asked.get("content")), (&json!("input_required"), None), "{asked}");
        let (name, question) = asked["inputRequests"].as_object().unwrap().iter().next().unwrap();
        assert_eq!(question["method"], QUESTION);
        let answer = json!({"action": "accept", "content": {"odd": [null]}});
        asks["requestState"] = asked["requestState"].clone();
        asks["inputResponses"] = json!({ name.as_str(): answer });
        let told = client.result("tools/call", asks.clone());
        assert_eq!(serde_json::from_str::<Value>(text(&told)).unwrap(), answer);
        let mut cannot = asks.as_object().unwrap().clone();
        cannot.retain(|key, _| ["name", "arguments"].contains(&key.as_str()));
        cannot.insert("_meta".into(), unable.clone());
        let refused = client.request("tools/call", &cannot.into());
        assert!(refused.to_string().contains("-32601"), "{era}: {refused}");
        // Log messages for those requests alone that ask for them.
        for (level, count) in [(None, 0), (Some("warning"), 1), (Some("error"), 0)] {
            let mut wanted = unable.clone();
            if let Some(level) = level {
                wanted["io.modelcontextprotocol/logLevel"] = level.into();
            }
            assert_eq!(text(&client.result("tools/call", call("logs", json!({}), &wanted))), "logged");
            assert_eq!(client.all_told("notifications/message").len(), count, "{era} {level:?}");
        }
        // A subscription reaches the server of its resource, and ends with the last that wants it.
        let filter = json!({"resourceSubscriptions": ["test://one", "test://unknown"]});
        let listen = json!({"_meta": unable, "notifications": filter});
        let ids = [(); 2].map(|()| client.send("subscriptions/listen", &listen));
        assert_eq!(client.told("notifications/resources/updated")["params"]["uri"], "test://one", "{era}");
        let is_followed = |method: &str| servers.methods("test").iter().any(|seen| seen == method);
        let unsubscribe = "resources/unsubscribe";
        for (at, id) in ids.into_iter().enumerate() {
            assert!(!is_followed(unsubscribe), "{era}");
            let cancelled = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
            client.line(&cancelled.to_string());
            // Only a server with `initialize` knows the request.
            if era == "legacy" && at == 1 {
                until(|| is_followed(unsubscribe));
            }
        }
    }
}

#[test]
fn how_a_server_is_spoken_to_is_found_out_once() {
    let Some(servers) = Servers::new() else { return };
    // What each hears at first, and how often it is started for that.
    let table = [
        ("legacy", ["server/discover", "initialize"].as_slice(), 1),
        ("silent", &["server/discover", "initialize"], 1),
        ("fragile", &["server/discover", "initialize"], 2),
        ("modern", &["server/discover"], 1),
    ];
    let servers = table.iter().fold(servers, |servers, (era, ..)| servers.with(era, &["--era", era])).known();
    for (era, heard, starts) in table {
        let begins = |methods: Vec<String>| {
            methods.into_iter().filter(|m| ["server/discover", "initialize"].contains(&m.as_str())).collect::<Vec<_>>()
        };
        assert_eq!(begins(servers.methods(era)), heard, "{era}");
        assert_eq!(servers.starts(era).len(), starts, "{era}");
        servers.forget_methods(era);
        let run = servers.env.run(&["mcp", "call", era, "echo", "n=1"]);
        assert!(run.stdout.contains("\"n\""), "{era}: {run:?}");
        assert_eq!(begins(servers.methods(era)), heard[heard.len() - 1..], "{era}");
        assert_eq!(servers.starts(era).len(), starts + 1, "{era}");
    }
    // A server that is updated, and then downgraded.
    let Some(mut servers) = Servers::new() else { return };
    let (script, mut entry) = (servers.env.path("server.sh"), servers.entry("one", &["--era", "ERA"]));
    let words: Vec<&str> = entry["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    let line = format!("exec {} {}\n", entry["command"].as_str().unwrap(), words.join(" "));
    entry = json!({"command": "sh", "args": [script]});
    servers.put("one", entry);
    for era in ["legacy", "modern", "legacy"] {
        std::fs::write(&script, line.replace("ERA", era)).unwrap();
        let run = servers.env.run(&["mcp", "call", "one", "echo", "n=1"]);
        assert!(run.stdout.contains("\"n\""), "{era}: {run:?}");
    }
}
