//! Sessions over HTTP: every version, streams that survive a broken connection, and ends.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use aiw_tests::{Environment, FakeClis};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::Server;
use crate::servers::Servers;

const META: &str = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"test","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}"#;

#[test]
fn a_session_of_each_version_works_from_beginning_to_end() {
    let env = Environment::cold();
    let server = Server::start(&env);
    let mut ids = HashSet::new();
    for (asked, agreed) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
    ] {
        let session = server.session(asked);
        assert_eq!((session.version.as_str(), &session.result["serverInfo"]["name"]), (agreed, &json!("aiw")));
        assert!(session.id.len() >= 32 && ids.insert(session.id.clone()));
        assert_eq!(session.ask(1, "tools/list", &json!({}))["result"]["tools"].as_array().unwrap().len(), 11);
        assert_eq!(session.ask(2, "ping", &json!({}))["result"], json!({}));
        assert_eq!(session.call(3, "list_tasks", json!({})), json!({"tasks": [], "omitted": 0}));
        assert_eq!(session.ask(4, "nothing/known", &json!({}))["error"]["code"], -32601);
        let failed = session.ask(5, "tools/call", &json!({"name": "none"}));
        assert_eq!(failed["result"]["isError"], true);
        // An id that is not one, and a version that nobody knows.
        let mut answer = session.post(&json!({"jsonrpc": "2.0", "id": 1.5, "method": "ping"}));
        assert_eq!((answer.status, &answer.message()["error"]["code"]), (400, &json!(-32600)));
        let odd = [("Mcp-Session-Id", session.id.as_str()), ("MCP-Protocol-Version", "1.0")];
        let ping = json!({"jsonrpc": "2.0", "id": 6, "method": "ping"}).to_string();
        assert_eq!(server.send("POST", &odd, &ping).status, 400);
        // The end.
        assert_eq!(server.send("DELETE", &session.headers(), "").status, 202);
        for _ in 0..2 {
            assert_eq!(session.post(&json!({"jsonrpc": "2.0", "id": 6, "method": "ping"})).status, 404);
            assert_eq!(session.get(&[]).status, 404);
            assert_eq!(server.send("DELETE", &session.headers(), "").status, 404);
        }
    }
}

#[test]
fn the_version_without_sessions_answers_each_request_alone() {
    let env = Environment::cold();
    let server = Server::start(&env);
    let meta: Value = serde_json::from_str(META).unwrap();
    let ask = |method: &str, more: &[(&str, &str)], params: Value| {
        let mut params = params;
        params["_meta"] = meta.clone();
        let body = json!({"jsonrpc": "2.0", "id": "a", "method": method, "params": params}).to_string();
        let headers = [&[("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", method)], more].concat();
        let mut answer = server.send("POST", &headers, &body);
        assert_eq!(answer.header("mcp-session-id"), None);
        (answer.status, answer.message())
    };
    let (status, found) = ask("server/discover", &[], json!({}));
    assert_eq!((status, &found["result"]["supportedVersions"][4]), (200, &json!("2026-07-28")), "{found}");
    let (status, tools) = ask("tools/list", &[], json!({}));
    assert_eq!((status, tools["result"]["tools"].as_array().unwrap().len()), (200, 11));
    let call = json!({"name": "list_tasks", "arguments": {}});
    let (status, listed) = ask("tools/call", &[("Mcp-Name", "list_tasks")], call.clone());
    assert_eq!((status, &listed["result"]["structuredContent"]["tasks"]), (200, &json!([])), "{listed}");
    assert_eq!(ask("nothing/known", &[], json!({})).0, 404);
    assert_eq!(ask("ping", &[], json!({})).0, 404);
    assert_eq!(ask("initialize", &[], json!({})).1["error"]["code"], -32601);
    // Headers that differ from the body.
    for more in [&[][..], &[("Mcp-Name", "stop_task")], &[("Mcp-Name", "list_tasks"), ("Mcp-Name", "list_tasks")]] {
        let (status, refused) = ask("tools/call", more, call.clone());
        assert_eq!((status, &refused["error"]["code"]), (400, &json!(-32020)), "{refused}");
    }
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}).to_string();
    for (version, code) in [("2025-11-25", -32020), ("2099-01-01", -32020)] {
        let headers = [("MCP-Protocol-Version", version), ("Mcp-Method", "tools/list")];
        let mut answer = server.send("POST", &headers, &body);
        assert_eq!((answer.status, &answer.message()["error"]["code"]), (400, &json!(code)));
    }
    let bare = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    let headers = [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/list")];
    let mut answer = server.send("POST", &headers, &bare);
    assert_eq!((answer.status, &answer.message()["error"]["code"]), (400, &json!(-32602)));
    for method in ["GET", "DELETE"] {
        assert_eq!(server.send(method, &headers[..1], "").status, 405);
    }
}

#[test]
fn a_stream_that_was_cut_is_read_on_and_loses_nothing() {
    let (env, _clis) = FakeClis::environment();
    let server = Server::start(&env);
    for version in ["2025-06-18", "2025-11-25"] {
        let session = server.session(version);
        let go = env.path(&format!("go-{version}"));
        std::process::Command::new("mkfifo").arg(&go).status().unwrap();
        let task = FakeClis::script(&format!("read line < {}", go.display()));
        let started = session.call(1, "start_task", json!({"ai_type": "claude", "task": task}));
        let id = started["task"]["id"].as_str().unwrap();
        let wait = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call",
            "params": {"name": "wait_task", "arguments": {"id": id}}});
        let mut waiting = session.post(&wait);
        let (place, data) = waiting.event().unwrap();
        assert_eq!((waiting.status, data.as_str()), (200, ""));
        // The same id again, while it is open.
        let mut twice = session.post(&wait);
        assert_eq!((twice.status, &twice.message()["error"]["code"]), (400, &json!(-32600)));
        waiting.cut();
        // The answer comes while nobody reads.
        std::fs::write(&go, "\n").unwrap();
        let start = Instant::now();
        while session.call(3, "wait_task", json!({"id": id}))["done"] != true {
            assert!(start.elapsed() < aiw_tests::HANG_TIMEOUT);
        }
        std::thread::sleep(Duration::from_millis(50));
        for _ in 0..2 {
            let mut resumed = session.get(&[("Last-Event-ID", &place)]);
            let (next, data) = resumed.event().unwrap();
            let answer: Value = serde_json::from_str(&data).unwrap();
            assert_eq!((&answer["id"], &answer["result"]["structuredContent"]["done"]), (&json!(2), &json!(true)));
            assert_eq!(resumed.event(), None);
            // Nothing follows.
            assert_eq!(session.get(&[("Last-Event-ID", &next)]).event(), None);
        }
        // Places that are not, and those of another session.
        for place in ["99-0", "1-99", "x", "-1", ""] {
            let mut answer = session.get(&[("Last-Event-ID", place)]);
            assert_eq!((answer.status, answer.event()), (200, None), "{place}");
        }
        let other = server.session(version);
        assert_eq!(other.get(&[("Last-Event-ID", &place)]).event(), None);
    }
}

#[test]
fn a_cancelled_call_ends_its_stream() {
    let (env, _clis) = FakeClis::environment();
    let server = Server::start(&env);
    let session = server.session("2025-11-25");
    let task = FakeClis::script("sleep 600");
    let started = session.call(1, "start_task", json!({"ai_type": "claude", "task": task}));
    let arguments = json!({"id": started["task"]["id"]});
    let call = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": {"name": "wait_task", "arguments": arguments}});
    let mut waiting = session.post(&call);
    waiting.event().unwrap();
    let cancelled = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 2}});
    assert_eq!(session.post(&cancelled).status, 202);
    assert_eq!(waiting.event(), None);
    // Its id is free again.
    assert_eq!(session.ask(2, "ping", &json!({}))["result"], json!({}));
    env.run(&["stop", "--all"]).ok();
}

#[test]
fn many_calls_of_many_sessions_get_each_its_own_answer() {
    let env = Environment::cold();
    let server = Server::start(&env);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let session = server.session("2025-11-25");
                for id in 0..50 {
                    let answer = session.ask(id, "tools/call", &json!({"name": format!("none-{id}-{}", session.id)}));
                    let text = answer["result"]["content"][0]["text"].as_str().unwrap();
                    assert!(text.contains(&format!("none-{id}-{}", session.id)), "{text}");
                }
            });
        }
    });
}

#[test]
fn a_signal_ends_the_server_its_streams_and_nothing_else() {
    for signal in [Signal::INT, Signal::TERM] {
        let (env, _clis) = FakeClis::environment();
        let mut server = Server::start(&env);
        let session = server.session("2025-11-25");
        let mut listening = session.get(&[]);
        assert_eq!(listening.status, 200);
        let started =
            session.call(1, "start_task", json!({"ai_type": "claude", "task": FakeClis::script("sleep 600")}));
        let code = server.end(signal).unwrap();
        assert_eq!(code, 128 + signal.as_raw());
        // Its connection is closed, not kept half open.
        let mut byte = [0];
        let read = std::io::Read::read(&mut listening.body.reader, &mut byte);
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
        assert!(std::net::TcpStream::connect(server.address).is_err());
        // A task is not the server's: it goes on.
        let shown = env.json(&["task", "show", started["task"]["id"].as_str().unwrap()]);
        assert_eq!(shown["task"]["state"], "running", "{shown}");
        env.run(&["stop", "--all"]).ok();
    }
}

#[test]
fn an_open_call_ends_before_the_server_does_unless_it_is_asked_twice() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("test", &[]).known();
    for (seconds, twice) in [(1.5, false), (600.0, true)] {
        let mut server = Server::start(&servers.env);
        let session = server.session("2025-11-25");
        let slow = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": "call_tool", "arguments": {"server": "test", "tool": "slow", "arguments": {"seconds": seconds}}}});
        let request = server.request("POST", &session.headers(), &slow.to_string());
        let mut stream = server.connect();
        std::io::Write::write_all(&mut stream, &request).unwrap();
        std::thread::sleep(Duration::from_millis(500));
        let begun = Instant::now();
        if twice {
            rustix::process::kill_process(rustix::process::Pid::from_child(&server.process), Signal::INT).unwrap();
            std::thread::sleep(Duration::from_millis(300));
        }
        assert_eq!(server.end(Signal::INT), Some(130));
        // Waiting for the call would take ten minutes, and giving it up five seconds.
        assert!(begun.elapsed() < aiw_tests::HANG_TIMEOUT);
        if !twice {
            let mut answer = String::new();
            std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
            assert!(answer.contains("done"), "{answer}");
        }
    }
}

#[test]
fn only_the_toolsets_that_were_asked_for_are_offered() {
    let env = Environment::cold();
    let server = Server::with(&env, &["--toolsets", "tasks"]);
    let session = server.session("2025-11-25");
    assert_eq!(session.ask(1, "tools/list", &json!({}))["result"]["tools"].as_array().unwrap().len(), 8);
    let unknown = env.run(&["mcp", "serve", "--toolsets", "tasks,none"]);
    assert_eq!(unknown.code, 64);
    assert!(
        unknown.stderr.starts_with("error: there is no toolset `none`\nhint: the toolsets are: "),
        "{}",
        unknown.stderr
    );
    env.settings(&json!({"mcp": {"toolsets": ["odd"]}}));
    let unknown = env.run(&["mcp", "serve", "--http", "127.0.0.1:0"]);
    assert_eq!(
        (unknown.code, unknown.stderr.lines().next()),
        (3, Some("error: `mcp.toolsets`: there is no toolset `odd`"))
    );
    env.settings(&json!({"mcp": {"toolsets": []}}));
    let server = Server::start(&env);
    assert_eq!(server.session("2025-11-25").ask(1, "tools/list", &json!({}))["result"]["tools"], json!([]));
}

#[test]
fn an_address_that_others_reach_or_that_is_taken_is_refused() {
    let env = Environment::cold();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"] {
        let refused = env.run(&["mcp", "serve", "--http", address]);
        assert_eq!(refused.code, 64, "{}", refused.whole());
        assert!(refused.stderr.contains("is not a loopback address"), "{}", refused.stderr);
    }
    let server = Server::start(&env);
    let taken = env.run(&["mcp", "serve", "--http", &server.address.to_string()]);
    assert_eq!(taken.code, 69, "{}", taken.whole());
    assert!(taken.stderr.contains("is in use"), "{}", taken.stderr);
}

#[test]
fn the_token_is_the_owners_alone_and_stays_out_of_sight() {
    use std::os::unix::fs::PermissionsExt;

    let env = Environment::cold();
    let server = Server::start(&env);
    let file = env.home().join("mcp-token");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_to_string(&file).unwrap().trim(), server.token);
    assert_eq!(env.json(&["mcp", "token"]), json!({"token": server.token, "path": file.display().to_string()}));
    let arguments = std::fs::read(format!("/proc/{}/cmdline", server.process.id())).unwrap();
    assert!(!String::from_utf8_lossy(&arguments).contains(&server.token));
    std::fs::write(&file, "short").unwrap();
    assert_eq!(env.run(&["mcp", "token"]).code, 3);
    assert_eq!(env.run(&["mcp", "token", "--rotate"]).code, 0);
}
