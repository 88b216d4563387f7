//! Calls over HTTP: a client for any of the servers that are compared, and the server that is asked directly.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{CALLS, answer, median};

/// Connections that ask at the same time.
const AT_ONCE: usize = 16;

/// Where a server is, and how it is asked to call `echo`.
pub struct Place {
    pub address: String,
    pub path: &'static str,
    pub token: Option<String>,
    pub call: Value,
    /// Whether it speaks MCP, and so in sessions.
    pub has_sessions: bool,
}

impl Place {
    /// A place of streamable HTTP.
    pub fn mcp(address: String, token: Option<String>, tool: &str) -> Self {
        let params = json!({"name": tool, "arguments": {"text": "hello"}});
        let call = json!({"jsonrpc": "2.0", "id": null, "method": "tools/call", "params": params});
        Self { address, path: "/mcp", token, call, has_sessions: true }
    }
}

/// Connections to one place, in one session.
pub struct Connections(Vec<Connection>);

struct Connection {
    stream: BufReader<TcpStream>,
    /// The request that it repeats.
    call: Vec<u8>,
}

impl Connections {
    /// None if nothing answers there within some seconds.
    pub fn new(place: &Place) -> Option<Self> {
        let begun = Instant::now();
        while TcpStream::connect(&place.address).is_err() {
            if begun.elapsed() > Duration::from_secs(20) {
                return None;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let mut session = None;
        if place.has_sessions {
            let mut first = Connection::new(&place.address, Vec::new());
            let info = json!({"name": "bench", "version": "1"});
            let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info});
            let begin = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
            session = first.post(&request(place, None, &begin)).1;
            let begun = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
            first.post(&request(place, session.as_deref(), &begun));
        }
        let connection = |id: usize| {
            let mut call = place.call.clone();
            if place.has_sessions {
                call["id"] = id.into();
            }
            Connection::new(&place.address, request(place, session.as_deref(), &call))
        };
        let mut all: Vec<Connection> = (1..=AT_ONCE).map(connection).collect();
        // The first call starts what has to be started.
        let body = all[0].call();
        assert!(body.contains("hello") && !body.contains(r#""isError":true"#), "{}: {body}", place.address);
        Some(Self(all))
    }

    /// The median of single calls.
    pub fn each(&mut self) -> Duration {
        let timed = |_| {
            let begun = Instant::now();
            self.0[0].call();
            begun.elapsed()
        };
        median(&mut (0..CALLS).map(timed).collect::<Vec<_>>())
    }

    /// Calls a second over all connections, of this many.
    pub fn rate(&mut self, calls: usize) -> f64 {
        let each = calls / self.0.len();
        let begun = Instant::now();
        std::thread::scope(|scope| {
            for connection in &mut self.0 {
                scope.spawn(|| (0..each).for_each(|_| drop(connection.call())));
            }
        });
        (self.0.len() * each) as f64 / begun.elapsed().as_secs_f64()
    }
}

fn request(place: &Place, session: Option<&str>, message: &Value) -> Vec<u8> {
    let Place { address, path, token, .. } = place;
    let body = message.to_string();
    let mut head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\naccept: application/json, text/event-stream\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n",
        body.len()
    );
    if let Some(token) = token {
        head += &format!("authorization: Bearer {token}\r\n");
    }
    if let Some(session) = session {
        head += &format!("mcp-protocol-version: 2025-06-18\r\nmcp-session-id: {session}\r\n");
    }
    (head + "\r\n" + &body).into_bytes()
}

impl Connection {
    fn new(address: &str, call: Vec<u8>) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: BufReader::new(stream), call }
    }

    fn call(&mut self) -> String {
        let call = std::mem::take(&mut self.call);
        let (body, _) = self.post(&call);
        self.call = call;
        body
    }

    /// The answer's body, and the session that it names.
    fn post(&mut self, request: &[u8]) -> (String, Option<String>) {
        self.stream.get_mut().write_all(request).unwrap();
        let (mut status, mut length, mut is_chunked, mut session) = (String::new(), 0, false, None);
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.stream.read_line(&mut line).unwrap() > 0, "the connection has ended");
            let shown = line.trim_end();
            if shown.is_empty() {
                break;
            }
            match shown.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim())) {
                _ if status.is_empty() => status = shown.to_owned(),
                Some((name, value)) if name == "content-length" => length = value.parse().unwrap(),
                Some((name, _)) if name == "transfer-encoding" => is_chunked = true,
                Some((name, value)) if name == "mcp-session-id" => session = Some(value.to_owned()),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        while is_chunked {
            line.clear();
            self.stream.read_line(&mut line).unwrap();
            let size = usize::from_str_radix(line.trim(), 16).unwrap();
            let at = body.len();
            body.resize(at + size + 2, 0);
            self.stream.read_exact(&mut body[at..]).unwrap();
            body.truncate(at + size);
            is_chunked = size > 0;
        }
        let body = String::from_utf8(body).unwrap();
        assert!(status.contains(" 20"), "{status}: {body}");
        (body, session)
    }
}

/// A server of streamable HTTP that answers at once. Returns its address.
pub fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || serve_one(stream.unwrap()));
        }
    });
    address
}

fn serve_one(stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let (mut stream, mut line) = (BufReader::new(stream), String::new());
    loop {
        let mut length = 0;
        loop {
            line.clear();
            if stream.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        let message: Value = serde_json::from_slice(&body).unwrap();
        let answer = match answer(&message) {
            Some(answer) => {
                let answer = answer.to_string();
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nmcp-session-id: x\r\ncontent-length";
                format!("{head}: {}\r\n\r\n{answer}", answer.len())
            }
            None => "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n".to_owned(),
        };
        stream.get_mut().write_all(answer.as_bytes()).unwrap();
    }
}
