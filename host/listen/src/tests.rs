//! The listener over real connections.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aiw_core::Secret;
use http::{Method, Request, Response};
use http_body_util::Full;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::{Bytes, HttpRoute, ListenError, ListenLimits, Listener, Rules};

/// A server that echoes bodies, and how often it was asked.
struct Server {
    address: std::net::SocketAddr,
    asked: Arc<AtomicUsize>,
    stop: CancellationToken,
    serves: tokio::task::JoinHandle<()>,
}

async fn server(limits: ListenLimits) -> Server {
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let (address, stop, asked) = (listener.address(), CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
    let route = HttpRoute::new("/echo", [Method::POST]).with_media_type("text/plain");
    let rules = Rules::new([route, HttpRoute::public("/open", [Method::GET])])
        .with_token(|| Some(Secret::new("token")))
        .with_limits(limits);
    let counted = asked.clone();
    let echo = move |request: Request<Bytes>| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move { Response::new(Full::new(request.into_body())) }
    };
    let serves = tokio::spawn(listener.serve(rules, echo, stop.clone()));
    Server { address, asked, stop, serves }
}

/// Sends bytes, and returns the first piece of what comes back.
async fn exchange(stream: &mut TcpStream, bytes: &[u8]) -> String {
    stream.write_all(bytes).await.unwrap();
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut answer)).await.unwrap().unwrap();
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

impl Server {
    /// Returns a connection over which a request was answered.
    async fn kept(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let answer = exchange(&mut stream, self.request("kept").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        stream
    }

    /// Returns the answer until the server closes, or until it is silent for a moment.
    async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn request(&self, body: &str) -> String {
        let (host, length) = (self.address, body.len());
        format!(
            "POST /echo HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer token\r\nContent-Type: text/plain; \
             charset=utf-8\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    }

    async fn is_well(&self) {
        let before = self.asked.load(Ordering::Relaxed);
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // Two requests on one connection.
        for body in ["one", "three"] {
            stream.write_all(self.request(body).as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(body.as_bytes()) {
                let read = tokio::time::timeout(Duration::from_secs(20), stream.read_buf(&mut answer));
                assert_ne!(read.await.unwrap().unwrap(), 0, "{}", String::from_utf8_lossy(&answer));
            }
            assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
        }
        assert_eq!(self.asked.load(Ordering::Relaxed), before + 2);
    }
}

#[tokio::test]
async fn only_loopback_addresses_are_bound() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:127.0.0.1]:0"] {
        let refused = Listener::bind(address.parse().unwrap()).await;
        assert!(matches!(refused, Err(ListenError::NotLoopback { .. })), "{address}");
    }
    let taken = Listener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    assert!(matches!(Listener::bind(taken.address()).await, Err(ListenError::InUse { .. })));
}

#[tokio::test]
async fn a_head_or_a_body_that_takes_too_long_is_cut_off() {
    let moment = Duration::from_millis(200);
    let server = server(ListenLimits { head_timeout: moment, body_timeout: moment, ..ListenLimits::default() }).await;
    let whole = server.request("body");
    for (end, expected) in [(whole.len() - 10, ""), (whole.len() - 2, "HTTP/1.1 408 ")] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(&whole.as_bytes()[..end]).await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(Duration::from_secs(20), stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        assert!(answer.starts_with(expected) && answer.is_empty() == expected.is_empty(), "{answer}");
    }
    assert_eq!(server.asked.load(Ordering::Relaxed), 0);
    server.is_well().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_however_it_is_sent() {
    let server = server(ListenLimits { body_bytes: 10, ..ListenLimits::default() }).await;
    assert!(server.raw(server.request("ten bytes!").as_bytes()).await.ends_with("ten bytes!"));
    let long = server.request("eleven byte").replace("Content-Length: 11", "Transfer-Encoding: chunked");
    let long = long.replace("eleven byte", "b\r\neleven byte\r\n0\r\n\r\n");
    for request in [server.request("eleven byte"), long] {
        let answer = server.raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("larger than 10 bytes"), "{answer}");
    }
    assert_eq!(server.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn connections_beyond_the_limit_are_refused_and_places_are_given_back() {
    let server = server(ListenLimits { max_connections: 2, ..ListenLimits::default() }).await;
    let kept = [server.kept().await, server.kept().await];
    let answer = server.raw(server.request("x").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: 1"), "{answer}");
    drop(kept);
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.is_well().await;
}

#[tokio::test]
async fn silent_strangers_lock_nobody_out_who_has_a_token() {
    let server =
        server(ListenLimits { unauthenticated_timeout: Duration::from_secs(2), ..ListenLimits::default() }).await;
    let mut known = server.kept().await;
    let mut silent = Vec::new();
    // Each test may have a thousand files open.
    for _ in 0..11 {
        silent.clear();
        for _ in 0..100 {
            silent.push(TcpStream::connect(server.address).await.unwrap());
        }
        server.is_well().await;
    }
    // Whoever was let in before is still there.
    assert!(exchange(&mut known, server.request("again").as_bytes()).await.ends_with("again"));
    // The oldest ones made room, and the others live seconds.
    let mut closed = 0;
    for stranger in &mut silent {
        let mut byte = [0];
        closed += usize::from(tokio::time::timeout(Duration::ZERO, stranger.read(&mut byte)).await.is_ok());
    }
    assert!(closed >= 100 - 64, "{closed}");
    let mut last = silent.pop().unwrap();
    let mut byte = [0];
    let read = tokio::time::timeout(Duration::from_secs(60), last.read(&mut byte)).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)));
}

#[tokio::test]
async fn a_stranger_that_announces_a_body_is_refused_before_it_is_sent_and_holds_no_memory() {
    let limits = ListenLimits { body_bytes: 62 << 20, total_body_bytes: 62 << 20, ..ListenLimits::default() };
    let server = server(limits).await;
    let mut strangers = Vec::new();
    for authorization in ["", "Authorization: Bearer tokem\r\n"].repeat(20) {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = format!(
            "POST /echo HTTP/1.1\r\nHost: {}\r\n{authorization}Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
            server.address,
            62 << 20
        );
        let answer = exchange(&mut stream, head.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        strangers.push(stream);
    }
    // All the memory that there is.
    let body = "x".repeat(62 << 20);
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let sent = server.request(&body);
    let (mut reads, mut writes) = stream.split();
    let read = async {
        let mut answer = Vec::new();
        while answer.len() < body.len() {
            assert_ne!(reads.read_buf(&mut answer).await.unwrap(), 0);
        }
        answer
    };
    let (_, answer) = tokio::join!(writes.write_all(sent.as_bytes()), read);
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
    assert_eq!(server.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn whoever_sends_a_body_with_a_wrong_token_reads_why_it_is_refused() {
    let server = server(ListenLimits::default()).await;
    let request = server.request(&"x".repeat(7 << 20)).replace("Bearer token", "Bearer tokem");
    for _ in 0..20 {
        assert!(server.raw(request.as_bytes()).await.starts_with("HTTP/1.1 401 "));
    }
    let open = format!("GET /open HTTP/1.1\r\nHost: {}\r\nContent-Length: 3\r\n\r\nabc", server.address);
    assert!(server.raw(open.as_bytes()).await.starts_with("HTTP/1.1 413 "));
    assert_eq!(server.asked.load(Ordering::Relaxed), 0);
}

/// A client with a token could take all memory by announcing large bodies and sending nothing.
#[tokio::test]
async fn large_bodies_that_never_come_keep_no_small_one_waiting() {
    let limits = ListenLimits { body_bytes: 1 << 20, total_body_bytes: 1 << 20, ..ListenLimits::default() };
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let (address, stop) = (listener.address(), CancellationToken::new());
    let answer = |_: Request<Bytes>| async { Response::new(Full::new(Bytes::new())) };
    let rules = Rules::new([HttpRoute::new("/echo", [Method::POST])]).with_token(|| Some(Secret::new("token")));
    tokio::spawn(listener.serve(rules.with_limits(limits), answer, stop.clone()));
    let server = Server { address, asked: Arc::default(), stop, serves: tokio::spawn(async {}) };
    let mut silent = TcpStream::connect(address).await.unwrap();
    let announced = server.request("").replace("Content-Length: 0", "Content-Length: 1048576");
    silent.write_all(announced.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = server.request("abc");
    let answered = tokio::time::timeout(Duration::from_secs(5), exchange(&mut stream, request.as_bytes())).await;
    assert_eq!(&answered.expect("it doesn't wait")[..12], "HTTP/1.1 200");
    drop(silent);
}

#[tokio::test]
async fn all_bodies_share_one_memory_and_give_it_back() {
    let limits = ListenLimits {
        body_bytes: 10,
        total_body_bytes: 15,
        body_timeout: Duration::from_millis(300),
        ..ListenLimits::default()
    };
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let (address, stop) = (listener.address(), CancellationToken::new());
    let kept: Arc<Mutex<Vec<Bytes>>> = Arc::default();
    let keeps = kept.clone();
    let keep = move |request: Request<Bytes>| {
        keeps.lock().unwrap().push(request.into_body().slice(1..2));
        async { Response::new(Full::new(Bytes::new())) }
    };
    let rules = Rules::new([HttpRoute::new("/echo", [Method::POST])]).with_token(|| Some(Secret::new("token")));
    tokio::spawn(listener.serve(rules.with_limits(limits), keep, stop.clone()));
    let server = Server { address, asked: Arc::default(), stop, serves: tokio::spawn(async {}) };
    let status = async |request: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        exchange(&mut stream, request.as_bytes()).await[..12].to_owned()
    };
    let piece = server.request("").replace("Content-Length: 0", "Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\n\r\n";
    // Three bytes are kept of one that might have had ten.
    assert_eq!(status(&piece).await, "HTTP/1.1 200");
    assert_eq!(status(&server.request("ten bytes!")).await, "HTTP/1.1 200");
    assert_eq!(status(&server.request("abc")).await, "HTTP/1.1 503");
    // A clone of a part keeps the whole.
    kept.lock().unwrap().pop();
    assert_eq!(status(&server.request("abc")).await, "HTTP/1.1 200");
    assert_eq!(status(&piece).await, "HTTP/1.1 503");
    kept.lock().unwrap().clear();
    assert_eq!(status(&piece).await, "HTTP/1.1 200");
    server.stop.cancel();
}

#[tokio::test]
async fn a_request_that_comes_before_the_answer_to_another_is_not_mixed_up_with_it() {
    let server = server(ListenLimits::default()).await;
    let answer = server.raw([server.request("one"), server.request("two")].concat().as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.matches("HTTP/1.1").count() <= 2, "{answer}");
    assert!(!answer.contains("two") || answer.matches("HTTP/1.1 200 ").count() == 2, "{answer}");
    server.is_well().await;
}

#[tokio::test]
async fn an_open_path_needs_no_token_but_the_host_all_the_same() {
    let server = server(ListenLimits::default()).await;
    let get = |host: &str| format!("GET /open?code=1 HTTP/1.1\r\nHost: {host}\r\n\r\n");
    assert!(server.raw(get(&server.address.to_string()).as_bytes()).await.starts_with("HTTP/1.1 200 "));
    assert!(server.raw(get("evil.example").as_bytes()).await.starts_with("HTTP/1.1 403 "));
}

#[tokio::test]
async fn a_stopped_listener_answers_nobody() {
    let server = server(ListenLimits::default()).await;
    server.is_well().await;
    let waiting = TcpStream::connect(server.address).await.unwrap();
    server.stop.cancel();
    tokio::time::timeout(Duration::from_secs(20), server.serves).await.unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
    drop(waiting);
}

#[test]
fn no_bytes_stop_it_or_reach_the_service() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server =
        runtime.block_on(server(ListenLimits { head_timeout: Duration::from_millis(300), ..ListenLimits::default() }));
    let line = prop_oneof![
        "[ -~]{0,40}",
        Just("Host: 127.0.0.1".to_owned()),
        Just("Authorization: Bearer tokem".into()),
        Just("Transfer-Encoding: chunked".into()),
        Just("Content-Length: 5".into()),
        Just("POST /echo HTTP/1.1".into()),
        Just("GET /open HTTP/1.1".into()),
    ];
    let end = prop_oneof![Just("\r\n".to_owned()), Just("\n".into()), Just("\r".into())];
    let lines = proptest::collection::vec((line, end), 0..12);
    let bytes = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..2000),
        lines.prop_map(|lines| lines.into_iter().map(|(line, end)| line + &end).collect::<String>().into_bytes()),
    ];
    proptest!(ProptestConfig::with_cases(200), |(bytes in bytes)| {
        runtime.block_on(async {
            let before = server.asked.load(Ordering::Relaxed);
            let answer = server.raw(&bytes).await;
            prop_assert!(!answer.contains(" 200 OK"), "{}", answer);
            prop_assert_eq!(server.asked.load(Ordering::Relaxed), before);
            Ok(())
        })?;
    });
    runtime.block_on(server.is_well());
}
