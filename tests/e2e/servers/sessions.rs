//! When servers start and end, what they get, and how edits reach a session.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Servers, is_there, names, text};
use crate::mcp::Client;
use crate::until;

#[test]
fn known_tools_are_listed_without_a_start_and_the_first_call_starts_their_server() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("test", &[]).faulty("hangs").known_but(&["hangs"]);
    let before = servers.starts("test").len();
    let start = Instant::now();
    let mut client = Client::initialized(&servers.env);
    assert!(names(&mut client).contains(&"test__echo".to_owned()));
    // A server that hangs is given up after a minute.
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_eq!(servers.starts("test").len(), before);
    assert_eq!(text(&client.call("test__echo", json!({}))), "{}");
    assert_eq!(servers.starts("test").len(), before + 1);
    // Each session has its own process, which ends with it.
    let mut other = Client::initialized(&servers.env);
    let pid = |client: &mut Client| -> i64 {
        let told: Value = serde_json::from_str(text(&client.call("test__environment", json!({})))).unwrap();
        told["pid"].as_i64().unwrap()
    };
    let (first, second) = (pid(&mut client), pid(&mut other));
    assert_ne!(first, second);
    client.leave_whatever_comes();
    until(|| !is_there(first));
    assert!(is_there(second));
}

#[test]
fn a_server_gets_what_its_entry_names_and_nothing_else() {
    let Some(mut servers) = Servers::new() else { return };
    servers.env.run_with_input(&["secret", "set", "token"], "sk-canary-vault-1").ok();
    servers.env.set("GIVEN", "sk-canary-given-2");
    servers.env.set("OPENAI_API_KEY", "sk-canary-foreign-3");
    let mut entry = servers.entry("test", &[]);
    entry["env"] = json!({"TOKEN": "${secret:token}", "OTHER": "x ${GIVEN}", "DEFAULT": "${UNSET_:-d}"});
    servers.put("test", entry);
    let mut client = servers.session("test__environment");
    let told: Value = serde_json::from_str(text(&client.call("test__environment", json!({})))).unwrap();
    let env = told["env"].as_object().unwrap();
    assert_eq!(
        (&env["TOKEN"], &env["OTHER"], &env["DEFAULT"]),
        (&json!("sk-canary-vault-1"), &json!("x sk-canary-given-2"), &json!("d"))
    );
    let known = [
        "PATH",
        "HOME",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "TMPDIR",
        "TEMP",
        "TMP",
        "TOKEN",
        "OTHER",
        "DEFAULT",
        "AIW_ATTACHED",
        "PWD",
    ];
    let odd: Vec<&String> = env.keys().filter(|name| !known.contains(&name.as_str())).collect();
    assert!(odd.is_empty(), "{odd:?}");
    // A value that is missing is named, and no value is shown anywhere.
    let mut entry = servers.entry("bad", &[]);
    entry["env"] = json!({"A": "${NOT_THERE}", "B": "${secret:none}"});
    servers.put("bad", entry);
    let mut missing = String::new();
    until(|| {
        missing = text(&client.call("call_tool", json!({"server": "bad", "tool": "echo"}))).to_owned();
        !missing.contains("there is no MCP server")
    });
    assert!(missing.contains("the variable `NOT_THERE`") && missing.contains("the secret `none`"), "{missing}");
    for args in [
        ["mcp", "list", "--json"],
        ["mcp", "status", "--json"],
        ["mcp", "doctor", "--json"],
        ["mcp", "tools", "--json"],
    ] {
        let run = servers.env.run(&args);
        assert!(!run.whole().contains("canary"), "{}", run.whole());
    }
    for file in std::fs::read_dir(servers.env.home().join("servers")).unwrap() {
        assert!(!std::fs::read_to_string(file.unwrap().path()).unwrap().contains("canary"));
    }
}

#[test]
fn an_edit_reaches_a_session_and_leaves_unchanged_servers_alone() {
    let Some(servers) = Servers::new() else { return };
    let mut servers = servers.with("a", &[]).known();
    let mut client = servers.session("a__echo");
    client.call("a__echo", json!({}));
    let starts = servers.starts("a").len();
    let entry = servers.entry("b", &[]);
    servers.put("b", entry.clone());
    until(|| names(&mut client).contains(&"b__echo".to_owned()));
    client.told("notifications/tools/list_changed");
    servers.env.run(&["mcp", "disable", "b"]).ok();
    until(|| !names(&mut client).contains(&"b__echo".to_owned()));
    assert!(text(&client.call("call_tool", json!({"server": "b", "tool": "echo"}))).contains("is disabled"));
    servers.env.run(&["mcp", "enable", "b"]).ok();
    until(|| names(&mut client).contains(&"b__echo".to_owned()));
    // A file that makes no sense changes nothing.
    servers.env.write_mcp("{");
    std::thread::sleep(Duration::from_millis(400));
    assert!(names(&mut client).contains(&"b__echo".to_owned()));
    servers.put("b", entry);
    client.call("a__echo", json!({}));
    assert_eq!(servers.starts("a").len(), starts);
}

#[test]
fn a_projects_servers_wait_for_trust_and_a_change_asks_again() {
    let Some(servers) = Servers::new() else { return };
    let project = servers.env.path("");
    let entry = servers.entry("theirs", &[]);
    std::fs::write(project.join(".mcp.json"), json!({"mcpServers": {"theirs": entry}}).to_string()).unwrap();
    let mut client = Client::initialized(&servers.env);
    assert!(
        text(&client.call("call_tool", json!({"server": "theirs", "tool": "echo"}))).contains("there is no MCP server")
    );
    let list = servers.env.run(&["mcp", "list"]).ok();
    assert!(list.stderr.contains("aiw trust add") && list.stdout.contains("no MCP servers"), "{}", list.whole());
    for look in [["mcp", "tools"].as_slice(), &["mcp", "route", "echo a text"]] {
        let run = servers.env.run(look).ok();
        assert!(run.stdout.contains("no tools: `aiw mcp status` shows your servers"), "{}", run.whole());
    }
    assert!(servers.starts("theirs").is_empty());
    let trusted = servers.env.run(&["trust", "add", "--yes"]).ok().stdout;
    assert!(trusted.contains("theirs (stdio) runs: ") && trusted.contains("mcp_server.py"), "{trusted}");
    until(|| names(&mut client).contains(&"theirs__echo".to_owned()));
    let changed = json!({"mcpServers": {"theirs": entry, "more": {"command": "evil"}}}).to_string();
    std::fs::write(project.join(".mcp.json"), changed).unwrap();
    until(|| !names(&mut client).contains(&"theirs__echo".to_owned()));
    let list = servers.env.run(&["mcp", "list"]).ok();
    assert!(list.stderr.contains("not as you trusted it"), "{}", list.whole());
}

#[test]
fn a_shared_server_serves_all_sessions_of_a_process_and_others_their_own() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("one", &[]).with("each", &[]).known();
    servers.env.settings(&json!({"mcp": {"servers": {"one": {"shared": true}}}}));
    let server = crate::http::Server::start(&servers.env);
    let pid = |session: &crate::http::Session<'_>, name: &str| {
        let asked = json!({"name": format!("{name}__environment"), "arguments": {}});
        let answer = session.ask(7, "tools/call", &asked);
        let told: Value = serde_json::from_str(text(&answer["result"])).unwrap();
        told["pid"].as_i64().unwrap()
    };
    let (first, second) = (server.session("2025-06-18"), server.session("2025-06-18"));
    assert_eq!(pid(&first, "one"), pid(&second, "one"));
    assert_ne!(pid(&first, "each"), pid(&second, "each"));
    // It can't say whose question it asks, so with calls of both open it asks neither.
    let asks = || {
        let asked =
            json!({"name": "one__asks", "arguments": {"method": "elicitation/create", "params": {"message": "?"}}});
        text(&second.ask(8, "tools/call", &asked)["result"]).to_owned()
    };
    assert!(asks().contains("-32601"), "{}", asks());
    let slow = json!({"name": "one__slow", "arguments": {"seconds": 3}});
    std::thread::scope(|scope| {
        let open = scope.spawn(|| first.ask(9, "tools/call", &slow));
        until(|| asks().contains("only one session has calls"));
        assert_eq!(text(&open.join().unwrap()["result"]), "done");
    });
    assert!(asks().contains("-32601"), "{}", asks());
    drop(server);
    until(|| !servers.processes().iter().any(|pid| is_there(*pid)));
}

#[test]
fn a_shared_servers_log_reaches_the_only_session_with_calls_or_none() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("one", &[]).known();
    servers.env.settings(&json!({"mcp": {"servers": {"one": {"shared": true}}}}));
    let server = crate::http::Server::start(&servers.env);
    let sessions = [server.session("2025-06-18"), server.session("2025-06-18")];
    let mut streams = sessions.each_ref().map(|session| session.get(&[]));
    let logs = |at: usize, word: &str| {
        let asked = json!({"name": "one__logs", "arguments": {"data": word}});
        assert_eq!(text(&sessions[at].ask(7, "tools/call", &asked)["result"]), "logged");
    };
    let refuses = || {
        let asked =
            json!({"name": "one__asks", "arguments": {"method": "elicitation/create", "params": {"message": "?"}}});
        text(&sessions[1].ask(8, "tools/call", &asked)["result"]).contains("only one session has calls")
    };
    let slow = json!({"name": "one__slow", "arguments": {"seconds": 5}});
    std::thread::scope(|scope| {
        let open = scope.spawn(|| sessions[0].ask(9, "tools/call", &slow));
        until(refuses);
        logs(1, "in calls of both");
        assert!(refuses(), "the other session's call has ended too early");
        assert_eq!(text(&open.join().unwrap()["result"]), "done");
    });
    // A stream keeps the order, so the message before it would come first.
    for (at, word) in [(0, "only mine"), (1, "only yours")] {
        logs(at, word);
        let told = std::iter::repeat_with(|| streams[at].message())
            .find(|told| told["method"] == "notifications/message" && told["params"]["logger"] == "one/test");
        assert_eq!(told.unwrap()["params"]["data"], word);
    }
}
