//! HTTP against servers on loopback.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aiw_core::Secret;
use aiw_net::{DeniedBy, HostPattern, Hosts, HttpClient, HttpRequest, Method, NetError, Policy, Response};

use crate::world::{Server, in_child, reply, run, short, variable};

fn get(policy: &Policy, request: &HttpRequest) -> Result<Response, NetError> {
    run(HttpClient::new().unwrap().fetch(policy, request))
}

/// Gets it with limits of less than a second, for servers that are silent or slow.
fn get_shortly(policy: &Policy, request: &HttpRequest) -> Result<Response, NetError> {
    run(HttpClient::with_limits(short()).unwrap().fetch(policy, request))
}

fn denied(result: Result<Response, NetError>) -> String {
    match result {
        Err(NetError::Denied { message, .. }) => message,
        other => panic!("not denied: {other:?}"),
    }
}

#[test]
fn an_answer_comes_with_its_headers_whatever_its_status() {
    let server = Server::start(|_, stream| reply(stream, "429 Slow", &[("Retry-After", "7")], b"later"));
    let mut request = HttpRequest::new(server.url("/x"));
    request.headers.push(("X-Mine".to_owned(), "1".to_owned()));
    let response = get(&server.granted(), &request).unwrap();
    assert_eq!((response.status, response.body.as_slice()), (429, b"later".as_slice()));
    assert_eq!(response.header("retry-after"), Some("7"));
    assert_eq!(response.url, server.url("/x"));
    assert_eq!(server.seen.lock().unwrap()[0].headers["x-mine"], "1");
}

#[test]
fn only_what_is_public_or_granted_is_asked() {
    let server = Server::start(|_, stream| reply(stream, "200 OK", &[], b""));
    let port = server.port;
    let ask = |policy: &Policy, url: String| denied(get(policy, &HttpRequest::new(url)));
    let all = Policy::public();
    for host in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "169.254.169.254", "10.0.0.1"] {
        let message = ask(&all, format!("https://{host}:{port}/"));
        assert!(message.contains("is not a public address"), "{message}");
    }
    let error = get(&all, &HttpRequest::new(format!("https://127.0.0.1:{port}/"))).unwrap_err();
    assert!(matches!(error, NetError::Denied { by: DeniedBy::NotPublic, .. }), "{error}");
    let message = ask(&all, format!("https://localhost:{port}/"));
    assert!(message.starts_with("`localhost` resolves to `"), "{message}");
    let message = ask(&all, format!("http://example.com:{port}/"));
    assert!(message.contains("is not encrypted"), "{message}");
    let mut some = Policy::none();
    some.hosts = Hosts::Only(vec![HostPattern::parse("a.example").unwrap()]);
    let message = ask(&some, "https://b.example/secret?token=hunter2".to_owned());
    assert_eq!(message, "host `b.example` is not among the allowed ones: `a.example`");
    // A grant for one port is not a grant for another.
    let message = ask(&server.granted(), format!("http://127.0.0.1:{}/", port ^ 1));
    assert!(message.contains("is not among the allowed ones: none"), "{message}");
    assert_eq!(server.requests(), 0);
}

#[test]
fn a_url_with_credentials_or_of_another_scheme_is_invalid() {
    for url in ["https://u:hunter2@example.com/", "ftp://example.com/", "file:///etc/passwd", "nonsense", "https://"] {
        let error = get(&Policy::public(), &HttpRequest::new(url)).unwrap_err();
        assert!(matches!(error, NetError::Invalid { .. }), "{url}: {error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn a_header_that_changes_where_a_request_goes_is_refused() {
    for name in ["Host", "Content-Length", "Transfer-Encoding", "Proxy-Authorization", "a b", "a\r\nb"] {
        let mut request = HttpRequest::new("https://example.com/");
        request.headers.push((name.to_owned(), "x".to_owned()));
        assert!(matches!(get(&Policy::public(), &request), Err(NetError::Invalid { .. })), "{name}");
    }
    let mut request = HttpRequest::new("https://example.com/");
    request.headers.push(("x".to_owned(), "hunter2\r\nHost: other".to_owned()));
    assert!(!get(&Policy::public(), &request).unwrap_err().to_string().contains("hunter2"));
}

#[test]
fn a_redirect_is_checked_as_the_first_address_was() {
    let inner = Server::start(|_, stream| reply(stream, "200 OK", &[], b"secret"));
    let port = inner.port;
    let server = Server::start(move |request, stream| {
        let to = request.target[1..].replace("PORT", &port.to_string());
        reply(stream, "302 Found", &[("Location", &to)], b"");
    });
    let mut policy = server.granted();
    policy.hosts = Hosts::Any;
    for to in ["http://127.0.0.1:PORT/", "https://127.0.0.1:PORT/", "https://localhost:PORT/", "//localhost:PORT/"] {
        denied(get(&policy, &HttpRequest::new(server.url(&format!("/{to}")))));
    }
    let error = get(&policy, &HttpRequest::new(server.url("/file:///etc/passwd"))).unwrap_err();
    assert!(matches!(error, NetError::Invalid { .. }), "{error}");
    assert_eq!(inner.requests(), 0);
}

/// A `POST` with a key, a type and a body.
fn post(url: String) -> HttpRequest {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    HttpRequest {
        method: Method::Post,
        headers: vec![header("content-type", "text/plain"), header("accept", "text/html"), header("x-key", "hunter2")],
        secret_headers: vec![("authorization".to_owned(), Secret::new("hunter2"))],
        body: b"hunter2".to_vec(),
        follow_see_other: true,
        ..HttpRequest::new(url)
    }
}

#[test]
fn a_post_is_sent_once_and_a_303_goes_on_without_its_body() {
    let other = Server::start(|_, stream| reply(stream, "200 OK", &[], b"there"));
    let away = other.url("/x");
    let server = Server::start(move |request, stream| match request.target.as_str() {
        "/away" => reply(stream, "303 See Other", &[("Location", &away)], b""),
        "/see" => reply(stream, "303 See Other", &[("Location", "/then")], b""),
        "/then" => reply(stream, "200 OK", &[], b"seen"),
        status => reply(stream, &format!("{} Moved", &status[1..]), &[("Location", "/then")], b"not followed"),
    });
    let mut policy = server.granted();
    policy.grant_url(&other.url("/"));
    let seen = || server.seen.lock().unwrap().drain(..).collect::<Vec<_>>();

    let response = get(&policy, &post(server.url("/see"))).unwrap();
    assert_eq!((response.body.as_slice(), response.url), (b"seen".as_slice(), server.url("/then")));
    let [first, then] = &seen()[..] else { panic!("two requests") };
    assert_eq!((first.method.as_str(), first.body.as_slice()), ("POST", b"hunter2".as_slice()));
    assert_eq!((then.method.as_str(), then.body.as_slice()), ("GET", b"".as_slice()));
    assert!(!then.headers.contains_key("content-type") && !then.headers.contains_key("content-length"));
    assert_eq!((then.headers["accept"].as_str(), then.headers["authorization"].as_str()), ("text/html", "hunter2"));

    // Another origin gets a GET without anything that could be a key.
    assert_eq!(get(&policy, &post(server.url("/away"))).unwrap().body, b"there");
    let there = other.seen.lock().unwrap().drain(..).collect::<Vec<_>>();
    assert_eq!((there.len(), there[0].method.as_str()), (1, "GET"));
    assert!(!format!("{:?}", there[0]).contains("hunter2"), "{:?}", there[0]);
    seen();

    for status in [301, 302, 307, 308] {
        let response = get(&policy, &post(server.url(&format!("/{status}")))).unwrap();
        assert_eq!((response.status, response.body.as_slice()), (status, b"not followed".as_slice()));
        assert_eq!(seen().len(), 1, "{status}");
    }
    let plain = HttpRequest { follow_see_other: false, ..post(server.url("/see")) };
    assert_eq!(get(&policy, &plain).unwrap().status, 303);
}

#[test]
fn a_method_that_writes_is_sent_with_its_body_and_never_to_another_address() {
    let methods = [
        (Method::Put, "PUT"),
        (Method::Patch, "PATCH"),
        (Method::Propfind, "PROPFIND"),
        (Method::Mkcol, "MKCOL"),
        (Method::Delete, "DELETE"),
    ];
    let other = Server::start(|_, stream| reply(stream, "200 OK", &[], b"there"));
    let away = other.url("/x");
    let server = Server::start(move |request, stream| match request.target.as_str() {
        "/plain" => reply(stream, "207 Multi-Status", &[], b"done"),
        target => reply(stream, target.split('/').nth(1).unwrap(), &[("Location", &away)], b""),
    });
    let mut policy = server.granted();
    policy.grant_url(&other.url("/"));
    for (method, name) in methods {
        let request = |path: &str| HttpRequest { method, follow_see_other: true, ..post(server.url(path)) };
        let response = get(&policy, &request("/plain")).unwrap();
        assert_eq!((response.status, response.body.as_slice()), (207, b"done".as_slice()), "{name}");
        let seen = server.seen.lock().unwrap().last().unwrap().clone();
        assert_eq!((seen.method.as_str(), seen.body.as_slice()), (name, b"hunter2".as_slice()));
        assert_eq!(seen.headers["authorization"], "hunter2");
        for status in ["301", "302", "303", "307", "308"] {
            let response = get(&policy, &request(&format!("/{status}/x"))).unwrap();
            assert_eq!(response.status.to_string(), status, "{name}");
        }
        // The policy holds for each of them.
        let error = get(&Policy::public(), &HttpRequest { method, ..HttpRequest::new(server.url("/plain")) });
        assert!(denied(error).contains("is not encrypted"), "{name}");
    }
    assert_eq!(other.requests(), 0);
    // One without a body says so: servers refuse one whose length they don't know.
    for method in [Method::Put, Method::Patch] {
        get(&policy, &HttpRequest { method, ..HttpRequest::new(server.url("/plain")) }).unwrap();
        assert_eq!(server.seen.lock().unwrap().last().unwrap().headers["content-length"], "0");
    }
}

#[test]
fn a_redirect_to_another_origin_takes_no_keys_along() {
    let other = Server::start(|_, stream| reply(stream, "200 OK", &[], b"there"));
    let to = other.url("/x");
    let server = Server::start(move |request, stream| match request.target.as_str() {
        "/again" => reply(stream, "301 Moved", &[("Location", "/out")], b""),
        _ => reply(stream, "302 Found", &[("Location", &to)], b""),
    });
    let mut policy = server.granted();
    policy.grant_url(&other.url("/"));
    let mut request = HttpRequest::new(server.url("/again"));
    for name in ["authorization", "cookie", "x-api-key", "accept"] {
        request.headers.push((name.to_owned(), "hunter2".to_owned()));
    }
    let response = get(&policy, &request).unwrap();
    assert_eq!((response.body.as_slice(), response.url), (b"there".as_slice(), other.url("/x")));
    let same = server.seen.lock().unwrap()[1].clone();
    assert_eq!(same.headers["authorization"], "hunter2");
    let last = other.seen.lock().unwrap()[0].clone();
    assert_eq!(last.headers["accept"], "hunter2");
    for gone in ["authorization", "cookie", "x-api-key"] {
        assert!(!last.headers.contains_key(gone), "{gone}");
    }
}

#[test]
fn a_secret_stays_with_its_origin_in_whatever_header_and_for_good() {
    let other = Server::start(|request, stream| match request.target.as_str() {
        "/x" => reply(stream, "200 OK", &[], b"there"),
        back => reply(stream, "302 Found", &[("Location", &back[1..])], b""),
    });
    let to = other.url("/");
    let server = Server::start(move |request, stream| match request.target.as_str() {
        "/v1" => reply(stream, "302 Found", &[("Location", "/v2")], b""),
        "/v2" => reply(stream, "302 Found", &[("Location", &format!("{to}x"))], b""),
        "/back" => reply(stream, "200 OK", &[], b"again"),
        around => reply(stream, "302 Found", &[("Location", &format!("{to}{}", &around[1..]))], b""),
    });
    let mut policy = server.granted();
    policy.grant_url(&other.url("/"));
    let ask = |path: &str| {
        let mut request = HttpRequest::new(server.url(path));
        // These would be sent along if they were not secrets.
        for name in ["user-agent", "accept", "authorization"] {
            request.secret_headers.push((name.to_owned(), Secret::new("hunter2")));
        }
        assert!(!format!("{request:?}").contains("hunter2"));
        run(HttpClient::new().unwrap().fetch(&policy, &request)).unwrap()
    };
    let with = |seen: &Server| {
        let seen = seen.seen.lock().unwrap();
        seen.iter().map(|seen| seen.headers.values().filter(|value| *value == "hunter2").count()).collect::<Vec<_>>()
    };
    assert_eq!(ask("/v1").body, b"there");
    assert_eq!((with(&server), with(&other)), (vec![3, 3], vec![0]));
    // The redirect back to the first server came from another server, so the secrets are not sent.
    assert_eq!(ask(&format!("/{}", server.url("/back"))).body, b"again");
    assert_eq!((with(&server), with(&other)), (vec![3, 3, 3, 0], vec![0, 0]));
}

#[test]
fn without_encryption_a_secret_goes_to_this_machine_and_its_networks_only() {
    let server = Server::start(|_, stream| reply(stream, "200 OK", &[], b"here"));
    let mut request = HttpRequest::new(format!("http://localhost:{}/", server.port));
    request.secret_headers.push(("x-api-key".to_owned(), Secret::new("hunter2")));
    let mut policy = Policy::none();
    policy.grant_url(&request.url);
    assert_eq!(get(&policy, &request).unwrap().body, b"here");
    assert_eq!(server.seen.lock().unwrap()[0].headers["x-api-key"], "hunter2");
    request.url = "http://1.1.1.1/".to_owned();
    policy.grant_url(&request.url);
    let error = get(&policy, &request).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`1.1.1.1` is not reached over `https`, and only this machine and private networks get a key without encryption"
    );
    request.secret_headers[0].1 = Secret::new("hunter2\n");
    request.url = server.url("/");
    let error = get(&policy, &request).unwrap_err().to_string();
    assert_eq!(error, "the value of header `x-api-key` has characters that are not allowed in a header");
}

#[test]
fn redirects_in_a_circle_end() {
    let server = Server::start(|_, stream| reply(stream, "302 Found", &[("Location", "/x")], b""));
    let error = get(&server.granted(), &HttpRequest::new(server.url("/x"))).unwrap_err();
    assert!(matches!(error, NetError::Malformed { .. }), "{error}");
    assert_eq!(server.requests(), 6);
}

#[test]
fn an_endless_body_ends_at_the_limit() {
    let server = Server::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    });
    let mut request = HttpRequest::new(server.url("/"));
    request.max_body_bytes = 100_000;
    assert!(matches!(get(&server.granted(), &request), Err(NetError::TooLarge { .. })));
    request.max_body_bytes = u64::MAX;
    let error = run(HttpClient::new().unwrap().fetch(&server.granted(), &request)).unwrap_err();
    assert!(matches!(error, NetError::TooLarge { .. }), "{error}");
}

#[test]
fn a_body_as_long_as_a_component_is_read_by_who_asks_for_it() {
    let server = Server::start(|_, stream| reply(stream, "200 OK", &[], &vec![b'x'; 12 << 20]));
    let mut request = HttpRequest::new(server.url("/"));
    assert!(matches!(get(&server.granted(), &request), Err(NetError::TooLarge { .. })));
    request.max_body_bytes = 32 << 20;
    let answer = run(HttpClient::new().unwrap().fetch(&server.granted(), &request)).unwrap();
    assert_eq!(answer.body.len(), 12 << 20);
}

#[test]
fn an_announced_length_beyond_the_limit_is_not_read() {
    let server = Server::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n");
        std::thread::sleep(Duration::from_secs(60));
    });
    let start = Instant::now();
    let error = get(&server.granted(), &HttpRequest::new(server.url("/"))).unwrap_err();
    assert!(matches!(error, NetError::TooLarge { .. }), "{error}");
    // The server says nothing more for a minute, and nobody waits for it.
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_small_body_that_unpacks_to_a_large_one_ends_at_the_limit() {
    let mut gzip = Command::new("gzip").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = gzip.stdin.take().unwrap();
    std::thread::spawn(move || {
        for _ in 0..64 {
            stdin.write_all(&vec![0; 1 << 20]).unwrap();
        }
    });
    let bomb = gzip.wait_with_output().unwrap().stdout;
    assert!(bomb.len() < 100_000);
    let server = Server::start(move |_, stream| reply(stream, "200 OK", &[("Content-Encoding", "gzip")], &bomb));
    let mut request = HttpRequest::new(server.url("/"));
    request.max_body_bytes = 1 << 20;
    let error = run(HttpClient::new().unwrap().fetch(&server.granted(), &request)).unwrap_err();
    assert!(matches!(error, NetError::TooLarge { .. }), "{error}");
}

#[test]
fn a_trickling_body_ends_at_the_deadline() {
    let server = Server::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        while stream.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let start = Instant::now();
    let error = get_shortly(&server.granted(), &HttpRequest::new(server.url("/?token=hunter2"))).unwrap_err();
    assert_eq!(error.to_string(), format!("`{}` took too long", server.url("/")));
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn silence_ends_before_and_within_a_body() {
    for head in ["", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"] {
        let server = Server::start(move |_, stream| {
            let _ = stream.write_all(head.as_bytes());
            std::thread::sleep(Duration::from_secs(60));
        });
        let start = Instant::now();
        let error = get_shortly(&server.granted(), &HttpRequest::new(server.url("/"))).unwrap_err();
        assert!(matches!(error, NetError::Unavailable { .. }), "{error}");
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn a_body_that_breaks_off_is_an_error() {
    let server = Server::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nab");
    });
    let error = get(&server.granted(), &HttpRequest::new(server.url("/"))).unwrap_err();
    assert!(matches!(error, NetError::Malformed { .. } | NetError::Unavailable { .. }), "{error}");
}

#[test]
fn nobody_there_is_unavailable() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut policy = Policy::none();
    let url = format!("http://127.0.0.1:{port}/");
    policy.grant_url(&url);
    let error = get(&policy, &HttpRequest::new(url)).unwrap_err();
    assert!(matches!(error, NetError::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[test]
fn a_proxy_is_used_and_the_rules_still_hold() {
    let proxy = Server::start(|request, stream| {
        let status = if request.target == "http://plain.example/x" { "200 OK" } else { "405 No" };
        reply(stream, status, &[], b"by proxy");
    });
    let home = tempfile::tempdir().unwrap();
    let url = format!("http://localhost:{}", proxy.port);
    in_child(
        "http::child_behind_a_proxy",
        home.path(),
        &[
            ("HTTP_PROXY", &url),
            ("http_proxy", &url),
            ("HTTPS_PROXY", &url),
            ("https_proxy", &url),
            ("NO_PROXY", ""),
            ("no_proxy", ""),
        ],
    );
    assert_eq!(proxy.requests(), 2);
    assert_eq!(proxy.seen.lock().unwrap()[1].method, "CONNECT");
}

#[test]
#[ignore = "runs in a child"]
fn child_behind_a_proxy() {
    assert!(!variable("HTTP_PROXY").is_empty());
    let mut policy = Policy::public();
    policy.grant_url("http://plain.example/");
    let response = get(&policy, &HttpRequest::new("http://plain.example/x")).unwrap();
    assert_eq!(response.body, b"by proxy");
    denied(get(&policy, &HttpRequest::new("https://10.0.0.1/")));
    denied(get(&policy, &HttpRequest::new("http://other.example/")));
    // aiw asks the proxy to connect, because the proxy resolves names. This proxy cannot connect.
    assert!(get(&policy, &HttpRequest::new("https://encrypted.example/")).is_err());
}

#[test]
fn a_certificate_is_checked_against_the_systems_store() {
    let home = tempfile::tempdir().unwrap();
    let file = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let (key, certificate) = (file("key.pem"), file("cert.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .args([
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ])
        .args(["-keyout", &key, "-out", &certificate])
        .stderr(Stdio::null())
        .status();
    if !made.is_ok_and(|status| status.success()) {
        // Without openssl there is no server to test with.
        return;
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut server = Command::new("openssl")
        .args(["s_server", "-quiet", "-www", "-key", &key, "-cert", &certificate, "-accept", &port.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() && start.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let url = format!("https://localhost:{port}/");
    let outcome = std::panic::catch_unwind(|| {
        in_child(
            "http::child_with_a_certificate",
            home.path(),
            &[("T_URL", &url), ("T_TRUSTED", "1"), ("SSL_CERT_FILE", &certificate)],
        );
        in_child("http::child_with_a_certificate", home.path(), &[("T_URL", &url), ("T_TRUSTED", "")]);
    });
    server.kill().unwrap();
    server.wait().unwrap();
    outcome.unwrap();
}

#[test]
#[ignore = "runs in a child"]
fn child_with_a_certificate() {
    let url = variable("T_URL");
    let mut policy = Policy::none();
    policy.grant_url(&url);
    let result = run(HttpClient::new().unwrap().fetch(&policy, &HttpRequest::new(&url)));
    if variable("T_TRUSTED") == "1" {
        assert_eq!(result.unwrap().status, 200);
    } else {
        let error = result.unwrap_err();
        assert!(matches!(error, NetError::Unavailable { .. }), "{error}");
        assert!(error.to_string().contains("certificate"), "{error}");
    }
    denied(get(&Policy::public(), &HttpRequest::new(url)));
}
