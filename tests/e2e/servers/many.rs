//! Many clients, servers and calls at once.

use serde_json::{Value, json};

use super::{Servers, text};
use crate::mcp::Client;

/// 10 clients × 20 servers × 100 calls is measured outside CI; this is the same on a smaller scale.
const CLIENTS: usize = 4;
const SERVERS: usize = 8;
const CALLS: usize = 50;

#[test]
fn each_answer_goes_to_its_own_request_and_none_is_lost() {
    let Some(servers) = Servers::new() else { return };
    let servers = (0..SERVERS).fold(servers, |servers, n| servers.with(&format!("s{n}"), &[])).known();
    std::thread::scope(|scope| {
        for client_number in 0..CLIENTS {
            let servers = &servers;
            scope.spawn(move || {
                let mut client = Client::initialized(&servers.env);
                let mut sent = Vec::new();
                for call in 0..CALLS {
                    for server in 0..SERVERS {
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
        let start = std::time::Instant::now();
        assert_eq!(text(&client.call("fast__echo", json!({"n": n}))), format!("{{\"n\": {n}}}"));
        assert!(start.elapsed() < super::HANGS / 2);
    }
    for id in waiting {
        assert_eq!(text(&client.answer(id)["result"]), "done");
    }
}
