//! Forged requests: each is refused before any work, while a correct one beside it is answered.

use std::io::{Read, Write};
use std::time::Duration;

use aiw_tests::Environment;
use serde_json::json;

use super::{Answer, Server};

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
const BEGIN: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"forger","version":"1"}}}"#;

/// What a forged request gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Refused(u16),
    /// Closed, or refused by the parser.
    Gone,
}
use Fate::{Gone, Refused};

fn fate(name: &str, answer: Option<Answer>) -> Fate {
    let Some(answer) = answer else { return Gone };
    assert!((400..600).contains(&answer.status), "{name}: {answer:?}");
    // Nothing was begun, and nothing is told.
    assert_eq!(answer.header("mcp-session-id"), None, "{name}");
    assert_eq!(answer.header("access-control-allow-origin"), None, "{name}");
    let status = answer.status;
    if name == "HEAD" {
        return Refused(status);
    }
    let text = answer.text();
    assert!(!text.contains("serverInfo") && !text.contains("tools"), "{name}: {text}");
    Refused(status)
}

#[test]
fn a_forged_request_is_refused_before_any_work_and_a_correct_one_beside_it_is_answered() {
    let env = Environment::cold();
    let server = Server::start(&env);
    let session = server.session("2025-11-25");
    let (port, own) = (server.address.port(), server.address.to_string());
    let old = server.token.clone();
    let bearer = format!("Bearer {old}");
    let with = |more: &[(&str, &str)]| server.request("POST", more, BEGIN);
    let text = |head: String, body: &str| format!("{head}\r\n{body}").into_bytes();
    let rest = format!(
        "Authorization: {bearer}\r\nAccept: application/json, text/event-stream\r\nContent-Type: application/json\r\n"
    );
    let length = format!("Content-Length: {}\r\n", BEGIN.len());
    let to = |path: &str| text(format!("POST {path} HTTP/1.1\r\nHost: {own}\r\n{rest}{length}"), BEGIN);
    let without = |name: &str| {
        let request = String::from_utf8(server.request("POST", &[], BEGIN)).unwrap();
        let kept = request.split_inclusive("\r\n").filter(|line| !line.starts_with(&format!("{name}:")));
        kept.collect::<String>().into_bytes()
    };
    let huge = "x".repeat(20 << 10);
    let chunks = format!("{:x}\r\n{}\r\n", 1 << 20, "x".repeat(1 << 20)).repeat(65) + "0\r\n\r\n";
    let cases: Vec<(&str, Vec<u8>, Fate)> = vec![
        // The host.
        ("no host", without("Host"), Refused(400)),
        ("a name that was rebound", with(&[("Host", &format!("evil.example:{port}"))]), Refused(403)),
        ("a name that resolves to loopback", with(&[("Host", &format!("127.0.0.1.nip.io:{port}"))]), Refused(403)),
        ("another port", with(&[("Host", "127.0.0.1:1")]), Refused(403)),
        ("no port", with(&[("Host", "localhost")]), Refused(403)),
        ("an address written as a number", with(&[("Host", &format!("2130706433:{port}"))]), Refused(403)),
        ("an empty host", with(&[("Host", "")]), Refused(403)),
        ("two hosts", with(&[("Host", &own), ("Host", "evil.example")]), Refused(400)),
        ("the same host twice", with(&[("Host", &own), ("Host", &own)]), Refused(400)),
        ("an absolute target", to(&format!("http://{own}/mcp")), Refused(400)),
        ("an absolute target elsewhere", to("http://evil.example/mcp"), Refused(400)),
        // The origin.
        ("a foreign origin", with(&[("Origin", "https://evil.example")]), Refused(403)),
        ("no origin that a page can name", with(&[("Origin", "null")]), Refused(403)),
        ("the own origin", with(&[("Origin", &format!("http://{own}"))]), Refused(403)),
        ("an empty origin", with(&[("Origin", "")]), Refused(403)),
        // The token.
        ("no token", without("Authorization"), Refused(401)),
        ("another token", with(&[("Authorization", &format!("Bearer {}", "0".repeat(old.len())))]), Refused(401)),
        ("half a token", with(&[("Authorization", &bearer[..bearer.len() / 2])]), Refused(401)),
        ("a token and more", with(&[("Authorization", &format!("{bearer}0"))]), Refused(401)),
        ("another scheme", with(&[("Authorization", &format!("Basic {old}"))]), Refused(401)),
        ("two tokens", with(&[("Authorization", &bearer), ("Authorization", "Bearer x")]), Refused(400)),
        (
            "a token in the query",
            String::from_utf8(without("Authorization")).unwrap().replace("/mcp ", &format!("/mcp?token={old} ")).into(),
            Refused(401),
        ),
        ("a token in a cookie", with(&[("Authorization", ""), ("Cookie", &format!("token={old}"))]), Refused(401)),
        // The method.
        ("PUT", server.request("PUT", &[], BEGIN), Refused(405)),
        ("OPTIONS", server.request("OPTIONS", &[("Access-Control-Request-Method", "POST")], ""), Refused(405)),
        ("TRACE", server.request("TRACE", &[], ""), Refused(405)),
        ("HEAD", server.request("HEAD", &[], ""), Refused(405)),
        ("a method of nobody's", server.request("BREW", &[], ""), Refused(405)),
        ("CONNECT", text(format!("CONNECT {own} HTTP/1.1\r\nHost: {own}\r\n{rest}"), ""), Refused(400)),
        // The path.
        ("the root", to("/"), Refused(404)),
        ("a path with dots", to("/mcp/../mcp"), Refused(404)),
        ("two slashes", to("//mcp"), Refused(404)),
        ("a slash at the end", to("/mcp/"), Refused(404)),
        ("an encoded path", to("/%6dcp"), Refused(404)),
        ("another case", to("/MCP"), Refused(404)),
        ("no path", to("*"), Refused(404)),
        // What is sent.
        ("a form", with(&[("Content-Type", "application/x-www-form-urlencoded")]), Refused(415)),
        ("plain text", with(&[("Content-Type", "text/plain;charset=utf-8")]), Refused(415)),
        ("no content type", without("Content-Type"), Refused(415)),
        ("no accept", without("Accept"), Refused(406)),
        ("accepts only a page", with(&[("Accept", "text/html")]), Refused(406)),
        ("not JSON", server.request("POST", &[], "{"), Refused(400)),
        ("a batch", server.request("POST", &[], &format!("[{BEGIN}]")), Refused(400)),
        ("no session", server.request("POST", &[], LIST), Refused(400)),
        ("a session of nobody's", server.request("POST", &[("Mcp-Session-Id", "x")], LIST), Refused(404)),
        // Sizes.
        ("a huge header", with(&[("X-Huge", &huge)]), Refused(431)),
        (
            "a huge body by its length",
            text(format!("POST /mcp HTTP/1.1\r\nHost: {own}\r\n{rest}Content-Length: 99999999999\r\n"), "{"),
            Refused(413),
        ),
        (
            "a huge body in chunks",
            text(format!("POST /mcp HTTP/1.1\r\nHost: {own}\r\n{rest}Transfer-Encoding: chunked\r\n"), &chunks),
            Refused(413),
        ),
        // How it is written.
        (
            "two lengths",
            text(format!("POST /mcp HTTP/1.1\r\nHost: {own}\r\n{rest}{length}Content-Length: 1\r\n"), BEGIN),
            Refused(400),
        ),
        (
            "the same length twice",
            text(format!("POST /mcp HTTP/1.1\r\nHost: {own}\r\n{rest}{length}{length}"), BEGIN),
            Refused(400),
        ),
        (
            "a length and chunks",
            text(
                format!("POST /mcp HTTP/1.1\r\nHost: {own}\r\n{rest}{length}Transfer-Encoding: chunked\r\n"),
                "0\r\n\r\n",
            ),
            Refused(400),
        ),
        (
            "chunks and a length",
            text(
                format!("POST /mcp HTTP/1.1\r\nHost: {own}\r\n{rest}Transfer-Encoding: chunked\r\n{length}"),
                "0\r\n\r\n",
            ),
            Refused(400),
        ),
        (
            "an encoding that is none",
            text(format!("POST /mcp HTTP/1.1\r\nHost: {own}\r\n{rest}Transfer-Encoding: xchunked\r\n"), BEGIN),
            Refused(400),
        ),
        ("lone line feeds", String::from_utf8(with(&[])).unwrap().replace("\r\n", "\n").into_bytes(), Refused(400)),
        ("HTTP/1.0", String::from_utf8(with(&[])).unwrap().replacen("1.1", "1.0", 1).into_bytes(), Refused(505)),
        ("HTTP/0.9", b"GET /mcp\r\n\r\n".to_vec(), Refused(400)),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(), Gone),
        ("TLS", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03random".to_vec(), Refused(400)),
        ("a header with a null", String::from_utf8(with(&[("X", "a\0b")])).unwrap().into_bytes(), Refused(400)),
        ("a header without a name", String::from_utf8(with(&[("", "x")])).unwrap().into_bytes(), Refused(400)),
    ];
    let asked = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list"});
    for (index, (name, request, expected)) in cases.into_iter().enumerate() {
        let got = fate(name, server.raw(&request));
        assert!(got == expected || (expected == Refused(413) && got == Gone), "{name}: {got:?}, not {expected:?}");
        if index % 8 == 0 {
            assert_eq!(session.post(&asked).message()["result"]["tools"].as_array().unwrap().len(), 11, "{name}");
        }
    }
    // The old token, once there is a new one. The running server knows the new one at once.
    let mut open = session.get(&[]);
    assert_eq!(open.status, 200);
    let new = env.run(&["mcp", "token", "--rotate"]).ok().stdout.trim().to_owned();
    assert_ne!(new, old);
    assert_eq!(fate("an old token", server.raw(&with(&[]))), Refused(401));
    assert_eq!(session.post(&asked).status, 401);
    let bearer = format!("Bearer {new}");
    let headers = [&session.headers()[..], &[("Authorization", bearer.as_str())]].concat();
    let answer = server.send("POST", &headers, &asked.to_string()).message();
    assert_eq!(answer["result"]["tools"].as_array().unwrap().len(), 11);
    // Nor does anybody keep a stream that was opened with the old one. The session is still there for the new one.
    while open.event().is_some() {}
    assert_eq!(server.send("POST", &headers, &asked.to_string()).status, 200);
    // A token that others could read is none, from the server's next look at its file on.
    std::fs::set_permissions(env.home().join("mcp-token"), std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .unwrap();
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(server.send("POST", &headers, &asked.to_string()).status, 401);
}

#[test]
fn a_slow_client_is_cut_off_and_keeps_nobody_waiting() {
    let env = Environment::cold();
    let server = Server::start(&env);
    let session = server.session("2025-11-25");
    let whole = server.request("POST", &[], BEGIN);
    let head = whole.len() - BEGIN.len();
    std::thread::scope(|scope| {
        let slow = |end: usize, expected: Option<u16>| {
            let mut stream = server.connect();
            stream.set_read_timeout(Some(aiw_tests::HANG_TIMEOUT)).unwrap();
            let mut writer = stream.try_clone().unwrap();
            // A byte now and then is not enough to stay.
            let bytes = whole[..end].to_vec();
            let writes = scope.spawn(move || {
                let (quick, slow) = bytes.split_at(bytes.len() - 40);
                let _ = writer.write_all(quick);
                for byte in slow {
                    std::thread::sleep(Duration::from_secs(1));
                    if writer.write_all(&[*byte]).is_err() {
                        return;
                    }
                }
            });
            stream.flush().unwrap();
            scope.spawn(move || {
                let answer = Answer::read(stream);
                assert_eq!(answer.map(|answer| answer.status), expected);
                writes.join().unwrap();
            })
        };
        let (slow_head, slow_body) = (slow(head, None), slow(whole.len(), Some(408)));
        let asked = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list"});
        assert_eq!(session.post(&asked).message()["id"], 7);
        slow_head.join().unwrap();
        slow_body.join().unwrap();
        assert_eq!(session.post(&asked).message()["id"], 7);
    });
}

/// The most memory that a process ever had, in kilobytes.
fn peak(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn strangers_take_no_memory_and_lock_nobody_out() {
    let env = Environment::cold();
    let server = Server::start(&env);
    let session = server.session("2025-11-25");
    let asked = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list"});
    assert_eq!(session.post(&asked).message()["id"], 7);
    let before = peak(server.process.id());
    let length = (62 << 20).to_string();
    let head = server.request("POST", &[("Authorization", "Bearer none"), ("Content-Length", &length)], "");
    let body = vec![b' '; 62 << 20];
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let mut stream = server.connect();
                let mut reads = stream.try_clone().unwrap();
                scope.spawn(move || {
                    let mut start = [0; 12];
                    reads.read_exact(&mut start).unwrap();
                    assert_eq!(&start, b"HTTP/1.1 401");
                });
                let _ = stream.write_all(&head).and_then(|()| stream.write_all(&body));
            });
        }
    });
    for _ in 0..11 {
        let silent: Vec<_> = (0..100).map(|_| server.connect()).collect();
        assert_eq!(session.post(&asked).message()["id"], 7);
        drop(silent);
    }
    let more = peak(server.process.id()).saturating_sub(before);
    assert!(more < 32 << 10, "{more} kB");
}
