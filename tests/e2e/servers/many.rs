//! Many clients, servers and calls at once.

use std::collections::VecDeque;
use std::time::Instant;

use serde_json::{Value, json};

use super::{Servers, text};
use crate::mcp::Client;

/// How many clients, servers and calls at once, and how many calls one after the other.
struct Scale {
    clients: usize,
    servers: usize,
    calls: usize,
    in_a_row: usize,
}

impl Scale {
    /// `cargo xtask soak` runs the larger one.
    fn now() -> Self {
        match std::env::var_os("AIW_SOAK_ROUNDS") {
            Some(_) => Self { clients: 10, servers: 20, calls: 100, in_a_row: 100_000 },
            None => Self { clients: 4, servers: 8, calls: 50, in_a_row: 6_000 },
        }
    }
}

#[test]
fn each_answer_goes_to_its_own_request_and_none_is_lost() {
    let Some(servers) = Servers::new() else { return };
    let scale = Scale::now();
    let servers = (0..scale.servers).fold(servers, |servers, n| servers.with(&format!("s{n}"), &[])).known();
    let start = Instant::now();
    std::thread::scope(|scope| {
        for client_number in 0..scale.clients {
            let (servers, scale) = (&servers, &scale);
            scope.spawn(move || {
                let mut client = Client::initialized(&servers.env);
                let mut sent = Vec::new();
                for call in 0..scale.calls {
                    for server in 0..scale.servers {
                        let arguments = json!({"client": client_number, "server": server, "call": call});
                        let name = format!("s{server}__echo");
                        sent.push((
                            client.send("tools/call", &json!({"name": name, "arguments": arguments})),
                            arguments,
                        ));
                    }
                }
                for (id, arguments) in sent {
                    let answer = client.answer(id);
                    assert_eq!(serde_json::from_str::<Value>(text(&answer["result"])).unwrap(), arguments);
                }
            });
        }
    });
    println!(
        "{} clients, {} servers, {} calls each: {:.1} s",
        scale.clients,
        scale.servers,
        scale.calls,
        start.elapsed().as_secs_f64()
    );
}

/// Calls that are on their way at once.
const AT_ONCE: usize = 32;

#[test]
fn memory_stays_as_it_is_over_many_calls() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("test", &[]).known();
    let mut client = Client::initialized(&servers.env);
    let calls = Scale::now().in_a_row;
    let mut open = VecDeque::new();
    let mut early = 0;
    for call in 0..calls {
        if open.len() == AT_ONCE {
            client.answer(open.pop_front().unwrap());
        }
        let text = "x".repeat(call % 1000);
        open.push_back(client.send("tools/call", &json!({"name": "test__echo", "arguments": {"text": text}})));
        if call == calls / 4 {
            early = client.kilobytes();
        }
    }
    for id in open {
        client.answer(id);
    }
    let late = client.kilobytes();
    println!("{calls} calls: {early} kB after a quarter of them, {late} kB in the end");
    // A hundred bytes that every call left behind would be more.
    let allowed = (calls as u64 * 3 / 4 / 10).max(4096);
    assert!(late < early + allowed, "{early} kB became {late} kB");
}

#[test]
fn a_thousand_calls_that_wait_delay_no_other() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("slow", &[]).with("fast", &[]).known();
    let mut client = Client::initialized(&servers.env);
    let waiting: Vec<i64> = (0..1000)
        .map(|_| client.send("tools/call", &json!({"name": "slow__slow", "arguments": {"seconds": 5}})))
        .collect();
    for n in 0..20 {
        let start = Instant::now();
        assert_eq!(text(&client.call("fast__echo", json!({"n": n}))), format!("{{\"n\": {n}}}"));
        assert!(start.elapsed() < aiw_tests::HANG_TIMEOUT / 2);
    }
    for id in waiting {
        assert_eq!(text(&client.answer(id)["result"]), "done");
    }
}
