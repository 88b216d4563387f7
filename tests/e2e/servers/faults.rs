//! Servers that do wrong: the others are answered meanwhile, and nothing stays.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{Servers, is_there, names, text};
use crate::mcp::Client;
use crate::until;

const FAULTS: [&str; 9] = ["exits", "hangs", "forks", "junk", "huge", "never", "floods", "lies", "silent"];

fn all() -> Option<Servers> {
    let servers = Servers::new()?.with("good", &[]);
    servers.env.settings(&json!({"mcp": {"servers": {"never": {"timeout": 2}, "huge": {"timeout": 30}}}}));
    Some(FAULTS.iter().fold(servers, |servers, fault| servers.faulty(fault)))
}

#[test]
fn what_one_server_does_wrong_holds_up_no_other() {
    let Some(servers) = all() else { return };
    let mut client = servers.session("good__echo");
    let call =
        |server: &str| json!({"name": "call_tool", "arguments": {"server": server, "tool": "echo", "arguments": {}}});
    let calls: Vec<(&str, i64)> =
        FAULTS.iter().map(|fault| (*fault, client.send("tools/call", &call(fault)))).collect();
    // While these fail in their ways, the good one answers at once.
    for n in 0..50 {
        let start = Instant::now();
        assert_eq!(text(&client.call("good__echo", json!({"n": n}))), format!("{{\"n\": {n}}}"));
        // Nor is what goes to all of them held up by one that hangs at its start.
        assert_eq!(client.result("logging/setLevel", json!({"level": "warning"})), json!({}));
        assert!(start.elapsed() < Duration::from_secs(10));
    }
    let mut sentence = |fault: &str| {
        let (_, id) = calls.iter().find(|(name, _)| *name == fault).unwrap();
        text(&client.answer(*id)["result"]).to_owned()
    };
    assert!(sentence("exits").contains("it exited with code 1; it last wrote `no license`"), "{}", sentence("exits"));
    assert!(sentence("never").contains("did not answer within 2 s"));
    let huge = sentence("huge");
    assert!(huge.contains("ended before it answered") || huge.contains("longer than"), "{huge}");
    for works in ["forks", "junk", "floods", "lies", "silent"] {
        assert_eq!(sentence(works), "{}", "{works}");
    }
    // What no client could use is left out, and the rest is there.
    let tools = servers.env.json(&["mcp", "tools", "lies"]);
    let tools: Vec<&str> =
        tools["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert!(tools.contains(&"echo") && !tools.contains(&"no_schema") && !tools.contains(&"bad_schema"), "{tools:?}");
    let processes = servers.processes();
    assert!(processes.len() > FAULTS.len() && processes.iter().any(|pid| is_there(*pid)));
    client.leave_whatever_comes();
    until(|| !servers.processes().iter().any(|pid| is_there(*pid)));
}

/// How long aiw waits until a server begins a session.
const START: Duration = Duration::from_secs(60);

#[test]
fn servers_that_do_not_answer_cost_the_others_nothing() {
    const DEAF: [&str; 3] = ["deaf-1", "deaf-2", "deaf-3"];
    let Some(mut servers) = Servers::new().map(|servers| servers.with("good", &[])) else { return };
    servers = DEAF.iter().fold(servers, |servers, name| servers.with(name, &["--fault", "deaf"]));
    servers = servers.known().faulty("hangs");
    let mut client = Client::initialized(&servers.env);
    let begun = Instant::now();
    client.send(
        "tools/call",
        &json!({"name": "call_tool", "arguments": {"server": "hangs", "tool": "echo", "arguments": {}}}),
    );
    // Those that start are told the level at their start, those that run at once. aiw gives each ten seconds to answer:
    // added up, more than the one that hangs has.
    for level in ["debug", "info", "notice", "warning", "error"] {
        assert_eq!(client.result("logging/setLevel", json!({"level": level})), json!({}));
        assert!(names(&mut client).contains(&"good__echo".to_owned()));
        assert_eq!(text(&client.call("good__echo", json!({"level": level}))), format!("{{\"level\": \"{level}\"}}"));
        for name in DEAF {
            assert_eq!(text(&client.call(&format!("{name}__echo"), json!({}))), "{}");
        }
    }
    assert!(begun.elapsed() < START, "{:?}", begun.elapsed());
    client.leave_whatever_comes();
}

#[test]
fn a_server_that_dies_in_a_call_says_so_and_starts_again() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("test", &[]).known();
    let mut client = servers.session("test__dies");
    let died = client.call("test__dies", json!({}));
    assert_eq!(died["isError"], true);
    assert!(text(&died).contains("it exited with code 3; it last wrote `last words`"), "{died}");
    assert_eq!(text(&client.call("test__echo", json!({}))), "{}");
    let events = servers.env.run(&["events"]).ok().stdout;
    let said: Vec<&str> = events.lines().filter_map(|line| line.split_once("  ")).map(|(_, said)| said).collect();
    assert_eq!(said, ["server test failed", "server test recovered"]);
    let log = servers.env.run(&["mcp", "logs", "test"]).ok().stdout;
    assert!(log.contains("last words"), "{log}");
}

#[test]
fn a_server_that_fails_again_and_again_rests_and_says_so() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.faulty("exits");
    let mut client = Client::initialized(&servers.env);
    let mut last = String::new();
    until(|| {
        last = text(&client.call("call_tool", json!({"server": "exits", "tool": "echo"}))).to_owned();
        last.contains("has failed 5 times in a row")
    });
    assert!(last.contains("no license") && last.contains("aiw mcp logs exits"), "{last}");
    // Five failures in a row are one piece of news, in aiw's words.
    let events = servers.env.json(&["events"])["events"].clone();
    assert_eq!((events.as_array().unwrap().len(), &events[0]["kind"]), (1, &json!("failed")), "{events:#}");
    assert!(!events.to_string().contains("license"));
    let starts = servers.starts("exits").len();
    client.call("call_tool", json!({"server": "exits", "tool": "echo"}));
    assert_eq!(servers.starts("exits").len(), starts);
}

#[test]
fn a_signal_ends_a_look_at_servers_and_leaves_no_process() {
    for command in ["status", "doctor", "tools"] {
        for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
            let Some(servers) = Servers::new() else { return };
            let servers = servers.faulty("hangs").faulty("forks").with("test", &[]);
            let mut child = servers.env.start(&["mcp", command]);
            until(|| servers.processes().len() > 3);
            kill_process(Pid::from_child(&child), signal).unwrap();
            assert_eq!(child.wait().unwrap().code(), Some(code), "{command}, {signal:?}");
            until(|| !servers.processes().iter().any(|pid| is_there(*pid)));
        }
    }
}

#[test]
fn calls_that_wait_for_a_slow_start_are_all_answered_and_start_it_once() {
    const CALLS: usize = 300;
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("test", &[]).with("late", &["--late", "2"]).known();
    let mut client = Client::initialized(&servers.env);
    let starts = servers.starts("late").len();
    let waiting: Vec<i64> =
        (0..CALLS).map(|n| client.send("tools/call", &json!({"name": "late__echo", "arguments": {"n": n}}))).collect();
    // They hold up no other server.
    assert_eq!(text(&client.call("test__echo", json!({}))), "{}");
    for (n, id) in waiting.into_iter().enumerate() {
        let said: Value = serde_json::from_str(text(&client.answer(id)["result"])).unwrap();
        assert_eq!(said, json!({"n": n}));
    }
    assert_eq!(servers.starts("late").len(), starts + 1);
}

/// How often aiw is killed.
const ROUNDS: usize = 20;

#[test]
fn after_a_kill_no_server_stays() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("test", &[]).faulty("forks").known();
    for round in 0..ROUNDS {
        let mut client = Client::initialized(&servers.env);
        client.send("tools/call", &json!({"name": "test__slow", "arguments": {"seconds": 30}}));
        client.send("tools/call", &json!({"name": "forks__echo", "arguments": {}}));
        // In the middle of a start, or of a call.
        std::thread::sleep(Duration::from_millis(10 * (round as u64 % 20)));
        client.kill();
    }
    until(|| !servers.processes().iter().any(|pid| is_there(*pid)));
}
