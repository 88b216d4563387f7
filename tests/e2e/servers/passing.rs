//! What passes through stays what it is.

use serde_json::{Value, json};

use super::{Servers, names, text};
use crate::mcp::Client;

#[test]
fn results_and_errors_pass_unchanged_and_definitions_as_far_as_they_are_pinned() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("test", &[]).known();
    let mut client = servers.session("test__echo");
    let tools = client.result("tools/list", json!({}));
    let echo = tools["tools"].as_array().unwrap().iter().find(|tool| tool["name"] == "test__echo").unwrap();
    assert_eq!(
        *echo,
        json!({"name": "test__echo", "description": "Returns its arguments.", "inputSchema": {"type": "object"},
            "annotations": {"readOnlyHint": true}, "title": "Echo"})
    );
    let odd = client.call("test__odd", json!({}));
    assert_eq!(odd["content"][1], json!({"type": "hologram", "depth": 3, "nested": {"a": null}}));
    assert_eq!(odd["content"][0]["_meta"], json!({"x": 1}));
    assert_eq!(odd["structuredContent"], json!({"n": 1.5, "deep": [null, {}]}));
    assert_eq!((&odd["_meta"], &odd["unknown"]), (&json!({"odd/key": [1]}), &json!({"field": null})));
    // The same through `call_tool`, whether a tool is listed or not.
    let call = json!({"server": "test", "tool": "odd", "arguments": {}});
    assert_eq!(client.call("call_tool", call), odd);
    let arguments = json!({"deep": [{"a": null}], "n": 1.5, "ü": "\u{0}"});
    let echoed = client.call("test__echo", arguments.clone());
    assert_eq!(serde_json::from_str::<Value>(text(&echoed)).unwrap(), arguments);
    // A server's error keeps its kind.
    let failed = client.request("tools/call", &json!({"name": "test__fails", "arguments": {}}));
    assert_eq!(failed["error"], json!({"code": -32099, "message": "not today", "data": {"odd": [1]}}));
    assert_eq!(client.call("test__failed", json!({}))["isError"], true);
    let meta = client
        .request("tools/call", &json!({"name": "test__meta", "arguments": {}, "_meta": {"claudecode/toolUseId": "x"}}));
    let meta: Value = serde_json::from_str(text(&meta["result"])).unwrap();
    assert_eq!(meta["claudecode/toolUseId"], "x");
}

#[test]
fn resources_prompts_and_completions_are_those_of_the_servers() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("a", &[]).with("b", &[]).known();
    let mut client = servers.session("a__echo");
    // What a server has besides tools is read behind the tools.
    crate::until(|| client.result("prompts/list", json!({}))["prompts"].as_array().unwrap().len() == 2);
    crate::until(|| client.result("resources/list", json!({}))["resources"].as_array().unwrap().len() == 2);
    let prompts = client.result("prompts/list", json!({}));
    assert_eq!(prompts["prompts"][0], json!({"name": "a__greet", "arguments": [{"name": "who"}]}));
    let got = client.result("prompts/get", json!({"name": "b__greet", "arguments": {"who": "you"}}));
    let heard: Value = serde_json::from_str(got["messages"][0]["content"]["text"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&heard["name"], &heard["arguments"], &got["odd"]),
        (&json!("greet"), &json!({"who": "you"}), &json!(1))
    );
    let resources = client.result("resources/list", json!({}));
    let uris: Vec<&str> =
        resources["resources"].as_array().unwrap().iter().map(|r| r["uri"].as_str().unwrap()).collect();
    // Both have it, so none of them has it alone.
    assert_eq!(uris, ["aiw://a/test://one", "aiw://b/test://one"]);
    let templates = client.result("resources/templates/list", json!({}));
    assert_eq!(templates["resourceTemplates"][1]["uriTemplate"], "aiw://b/test://item/{id}");
    for (uri, from) in
        [("aiw://a/test://one", "state-a"), ("aiw://b/test://one", "state-b"), ("aiw://b/test://item/7", "state-b")]
    {
        let read = client.result("resources/read", json!({"uri": uri}));
        assert_eq!((&read["contents"][0]["uri"], &read["contents"][0]["odd"]), (&json!(uri), &Value::Null));
        assert!(read["contents"][0]["text"].as_str().unwrap().contains(from), "{read}");
    }
    for uri in ["test://one", "test://item/7"] {
        let asked = client.request("resources/read", &json!({"uri": uri}));
        let message = asked["error"]["message"].as_str().unwrap();
        assert!(message.contains(&format!("ask for `aiw://a/{uri}` or `aiw://b/{uri}`")), "{asked}");
    }
    assert_eq!(client.request("resources/read", &json!({"uri": "none://x"}))["error"]["code"], -32002);
    let reference =
        json!({"ref": {"type": "ref/prompt", "name": "b__greet"}, "argument": {"name": "who", "value": "y"}});
    let completed = client.result("completion/complete", reference);
    assert!(completed["completion"]["values"][0].as_str().unwrap().contains("\"greet\""));
    assert_eq!(client.result("resources/subscribe", json!({"uri": "aiw://a/test://one"})), json!({}));
    let updated = client.told("notifications/resources/updated");
    assert_eq!(updated["params"], json!({"uri": "aiw://a/test://one"}));
    assert_eq!(client.result("logging/setLevel", json!({"level": "debug"})), json!({}));
}

/// A server's question reaches the client under the server's name, and no field that the protocol doesn't know.
fn assert_is_relayed(question: &Value, params: &Value) {
    for (key, value) in params.as_object().unwrap() {
        match key.as_str() {
            "message" => {
                let message = "The MCP server `test` asks: ? (asked by the MCP server `test`)";
                assert_eq!(question["params"][key], message, "{question}");
            }
            "odd" if question["method"] == "elicitation/create" => assert_eq!(question["params"][key], Value::Null),
            _ => assert_eq!(question["params"][key], *value, "{question}"),
        }
    }
    if question["method"] == "sampling/createMessage" {
        let prompt = question["params"]["systemPrompt"].as_str().unwrap();
        assert!(prompt.starts_with("This request is from the MCP server `test`."), "{question}");
    }
}

#[test]
fn progress_logs_questions_and_cancellation_are_relayed() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("test", &[]).known();
    let capabilities = json!({"sampling": {}, "elicitation": {}, "roots": {"listChanged": true}});
    let mut client = Client::with_capabilities(&servers.env, capabilities);
    let arguments = json!({"steps": 3, "seconds": 0.05});
    let asked = json!({"name": "test__slow", "arguments": arguments, "_meta": {"progressToken": "mine"}});
    assert_eq!(text(&client.result("tools/call", asked)), "done");
    let steps: Vec<Value> = client.all_told("notifications/progress").iter().map(|m| m["params"].clone()).collect();
    let expected = |n: i64| json!({"progressToken": "mine", "progress": n, "total": 3});
    assert_eq!(steps, [expected(1), expected(2), expected(3)]);
    assert_eq!(text(&client.call("test__logs", json!({}))), "logged");
    let logged = client.told("notifications/message");
    assert_eq!(logged["params"], json!({"level": "warning", "data": {"odd": [null]}, "logger": "test/test"}));
    for (method, params, answer) in [
        ("sampling/createMessage", json!({"messages": [], "odd": null}), json!({"role": "assistant", "odd": [null]})),
        (
            "elicitation/create",
            json!({"message": "?", "odd": 1}),
            json!({"action": "accept", "content": {"odd": null}}),
        ),
        ("roots/list", json!({}), json!({"roots": [{"uri": "file:///x", "odd": 1}]})),
    ] {
        let id = client
            .send("tools/call", &json!({"name": "test__asks", "arguments": {"method": method, "params": params}}));
        let asked = client.next_request();
        assert_eq!(asked["method"], method);
        assert_is_relayed(&asked, &params);
        client.line(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": answer}).to_string());
        let told = client.answer(id);
        assert_eq!(serde_json::from_str::<Value>(text(&told["result"])).unwrap(), answer);
    }
    // What can't be marked as the server's is not asked.
    for params in [json!("aiw asks: your password?"), json!(["aiw asks"]), Value::Null] {
        for method in ["elicitation/create", "sampling/createMessage"] {
            let asks = json!({"method": method, "params": params});
            let refused = client.call("test__asks", asks);
            assert!(text(&refused).contains("are no object"), "{refused}");
        }
    }
    // A call that is cancelled is cancelled there too.
    let id = client.send("tools/call", &json!({"name": "test__slow", "arguments": {"seconds": 30}}));
    std::thread::sleep(std::time::Duration::from_millis(100));
    client
        .line(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}).to_string());
    crate::until(|| text(&client.call("test__was_cancelled", json!({}))) != "[]");

    // A client that can answer nothing is asked nothing.
    let mut client = Client::initialized(&servers.env);
    let refused = client.call("test__asks", json!({"method": "sampling/createMessage"}));
    assert!(text(&refused).contains("-32601"), "{refused}");
}

#[test]
fn a_flood_of_progress_is_bounded_and_the_call_is_answered() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("test", &[]).known();
    let mut client = Client::initialized(&servers.env);
    let begun = std::time::Instant::now();
    let asked = json!({"name": "test__slow", "arguments": {"steps": 5000}, "_meta": {"progressToken": "mine"}});
    assert_eq!(text(&client.result("tools/call", asked)), "done");
    let passed = client.all_told("notifications/progress").len() as u64;
    // Up to a hundred a second pass, however long it took.
    let most = 100 * (begun.elapsed().as_secs() + 1);
    assert!((1..=most).contains(&passed), "{passed} of {most}");
}

#[test]
fn a_server_asks_three_things_at_once_and_only_during_its_calls() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("test", &[]).known();
    let mut client = Client::with_capabilities(&servers.env, json!({"sampling": {}, "elicitation": {}}));
    let asks = |more: Value| {
        let mut asked = json!({"method": "elicitation/create", "params": {"message": "?"}});
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"name": "test__asks", "arguments": asked})
    };
    let id = client.send("tools/call", &asks(json!({"times": 8})));
    let open: Vec<Value> = (0..3).map(|_| client.next_request()).collect();
    // The others reach aiw meanwhile.
    std::thread::sleep(std::time::Duration::from_millis(500));
    for question in &open {
        let answer = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept", "content": {}}});
        client.line(&answer.to_string());
    }
    let told = client.answer(id);
    let answers: Vec<Value> = serde_json::from_str(text(&told["result"])).unwrap();
    let (accepted, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer["action"] == "accept");
    assert_eq!((accepted.len(), refused.len()), (3, 5), "{answers:?}");
    assert!(refused.iter().all(|answer| answer["message"].as_str().unwrap().contains("3 questions")), "{refused:?}");
    // Nobody is asked once the call is over.
    assert_eq!(text(&client.result("tools/call", asks(json!({"later": true})))), "later");
    let asked = servers.state("test").join("asked");
    crate::until(|| std::fs::read_to_string(&asked).is_ok_and(|text| text.ends_with(']')));
    assert!(std::fs::read_to_string(&asked).unwrap().contains("during a call"));
    // What a form may not ask for, and where nobody is sent.
    for params in [
        json!({"message": "Your password?", "requestedSchema": {"properties": {"x": {"type": "string"}}}}),
        json!({"message": "?", "requestedSchema": {"properties": {"password": {"type": "string"}}}}),
        json!({"message": "x".repeat(5000)}),
        json!({"mode": "url", "message": "?", "url": "https://a.example/", "elicitationId": "1"}),
        json!({"mode": "odd", "message": "?"}),
    ] {
        let refused = client.result("tools/call", asks(json!({"params": params})));
        assert!(text(&refused).contains("-32602"), "{refused}");
    }
}

#[test]
fn a_client_without_a_session_is_asked_in_the_answer_to_its_request() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("test", &[]).known();
    let meta = |capabilities: Value| {
        json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities":
            capabilities, "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"}})
    };
    let able = meta(json!({"sampling": {}, "elicitation": {}, "roots": {}}));
    let asks = |method: &str, params: &Value| json!({"name": "test__asks", "arguments": {"method": method, "params": params}, "_meta": able});
    let elicited = json!({"action": "accept", "content": {"odd": [null]}});
    let questions = [
        ("elicitation/create", json!({"message": "?", "odd": 1}), elicited.clone()),
        ("sampling/createMessage", json!({"messages": [], "odd": null}), json!({"role": "assistant", "odd": [null]})),
        ("roots/list", json!({}), json!({"roots": [{"uri": "file:///x", "odd": 1}]})),
    ];
    let server = crate::http::Server::start(&servers.env);
    let mut stdio = Client::start(&servers.env);
    let over_http = |params: &Value| {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
        let name = params["name"].as_str().unwrap();
        let headers = [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/call"), ("Mcp-Name", name)];
        server.send("POST", &headers, &body).message()
    };
    let mut over_stdio = |params: &Value| stdio.request("tools/call", params);
    let ways: [&mut dyn FnMut(&Value) -> Value; 2] = [&mut over_stdio, &mut |params| over_http(params)];
    for send in ways {
        for (method, params, answer) in &questions {
            let call = asks(method, params);
            let asked = send(&call)["result"].take();
            assert_eq!((&asked["resultType"], asked.get("content")), (&json!("input_required"), None), "{asked}");
            let question = &asked["inputRequests"]["q1"];
            assert_eq!(question["method"], *method);
            assert_is_relayed(question, params);
            let mut again = call.clone();
            again["requestState"] = asked["requestState"].clone();
            again["inputResponses"] = json!({"q1": answer});
            let told = send(&again);
            assert_eq!(told["result"]["resultType"], "complete", "{told}");
            assert_eq!(serde_json::from_str::<Value>(text(&told["result"])).unwrap(), *answer);
            // Its state has served.
            assert_eq!(send(&again)["error"]["code"], -32602);
        }
        // Without an answer, the server hears an error.
        let call = asks("elicitation/create", &json!({"message": "?"}));
        let mut again = call.clone();
        again["requestState"] = send(&call)["result"]["requestState"].clone();
        assert!(text(&send(&again)["result"]).contains("the client gave no answer"));
        // A state is good for its own request alone.
        let mut other = json!({"name": "test__echo", "arguments": {}, "_meta": able});
        other["requestState"] = send(&call)["result"]["requestState"].clone();
        assert_eq!(send(&other)["error"]["code"], -32602);
        // A client that can answer nothing is asked nothing.
        let mut unable = call.clone();
        unable["_meta"] = meta(json!({}));
        assert!(text(&send(&unable)["result"]).contains("-32601"));
    }
}

#[test]
fn a_result_that_is_too_long_is_cut_and_read_on() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("test", &[]).known();
    let mut client = servers.session("test__big");
    let cut = client.call("test__big", json!({"bytes": 200_000}));
    let (mut read, note) = (text(&cut).len(), cut["content"][1]["text"].as_str().unwrap());
    assert!(read < 100_000 && note.contains("of 200000 bytes"), "{note}");
    let handle = note.split('"').nth(1).unwrap().to_owned();
    let mut offset = Some(json!(read));
    while let Some(at) = offset.filter(|at| !at.is_null()) {
        let piece = client.good("read_result", json!({"handle": handle, "offset": at}));
        read += piece["text"].as_str().unwrap().len();
        offset = piece.get("next_offset").cloned();
    }
    assert_eq!(read, 200_000);
    assert!(client.bad("read_result", json!({"handle": "r9"})).contains("no kept result"));
    assert!(names(&mut client).contains(&"read_result".to_owned()));
}

#[test]
fn tools_that_would_fill_a_context_are_called_without_being_listed() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("few", &["--tools", "200"]).with("many", &["--tools", "500"]).known();
    let mut client = Client::initialized(&servers.env);
    let listed = client.result("tools/list", json!({}));
    let listed = listed["tools"].as_array().unwrap();
    assert!(listed.len() == 15, "{listed:#?}");
    // What clients send on to the model, four bytes a token.
    let length = |tool: &Value, key: &str| tool[key].as_str().unwrap().len();
    let cost =
        |tool: &Value| length(tool, "name") + length(tool, "description") + tool["inputSchema"].to_string().len();
    let tokens = listed.iter().map(cost).sum::<usize>() / 4;
    assert!(tokens <= 1500, "{tokens} tokens");
    let call = json!({"server": "many", "tool": "more_0499", "arguments": {}});
    assert_eq!(text(&client.call("call_tool", call)), "called more_0499");
    assert_eq!(text(&client.call("many__more_0007", json!({}))), "called more_0007");
}

#[test]
fn a_request_id_that_is_still_open_is_refused() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("test", &[]).known();
    let mut client = Client::initialized(&servers.env);
    let call = |seconds: f64| {
        json!({"jsonrpc": "2.0", "id": 77, "method": "tools/call", "params": {
            "name": "test__slow", "arguments": {"seconds": seconds}}})
    };
    client.line(&call(1.0).to_string());
    client.line(&call(0.0).to_string());
    let refused = client.answer(77);
    assert_eq!(refused["error"]["code"], -32600, "{refused}");
    assert_eq!(text(&client.answer(77)["result"]), "done");
    // It is free again.
    client.line(&call(0.0).to_string());
    assert_eq!(text(&client.answer(77)["result"]), "done");
}

#[test]
fn a_client_without_a_session_gets_log_messages_only_if_it_asks_for_them() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("test", &[]).known();
    let mut stdio = Client::start(&servers.env);
    let mut logged = |level: Option<&str>| {
        let mut meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"}});
        if let Some(level) = level {
            meta["io.modelcontextprotocol/logLevel"] = level.into();
        }
        let call = json!({"name": "test__logs", "arguments": {}, "_meta": meta});
        assert_eq!(text(&stdio.request("tools/call", &call)["result"]), "logged");
        stdio.all_told("notifications/message").len()
    };
    // It is a warning.
    let counts = [None, Some("error"), Some("warning"), Some("debug"), Some("odd")].map(&mut logged);
    assert_eq!(counts, [0, 0, 1, 1, 0]);
}

#[test]
fn a_short_limit_for_calls_does_not_shorten_the_start() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("late", &[]).known().with("late", &["--late", "2"]);
    servers.env.settings(&json!({"mcp": {"servers": {"late": {"timeout": 1}}}}));
    let mut client = Client::initialized(&servers.env);
    assert_eq!(text(&client.call("call_tool", json!({"server": "late", "tool": "echo", "arguments": {}}))), "{}");
}
