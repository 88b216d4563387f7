//! `aiw mcp serve --http`: a client that writes every byte itself.

mod forged;
mod inspector;
mod sessions;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use aiw_tests::Environment;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// A running server.
pub(crate) struct Server {
    process: Child,
    address: SocketAddr,
    token: String,
}

impl Server {
    pub(crate) fn start(env: &Environment) -> Self {
        Self::with(env, &[])
    }

    fn with(env: &Environment, arguments: &[&str]) -> Self {
        let arguments = [&["mcp", "serve", "--http", "127.0.0.1:0", "--json"], arguments].concat();
        let mut process = env.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let url: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let url = url["url"].as_str().unwrap();
        let address = url.strip_prefix("http://").unwrap().strip_suffix("/mcp").unwrap().parse().unwrap();
        let token = env.run(&["mcp", "token"]).ok().stdout.trim().to_owned();
        Self { process, address, token }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(aiw_tests::HANG_TIMEOUT)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Sends bytes and reads the answer; none if the connection is closed without one.
    fn raw(&self, bytes: &[u8]) -> Option<Answer> {
        let mut stream = self.connect();
        // A server that refuses may close before everything is written.
        let _ = stream.write_all(bytes);
        let _ = stream.flush();
        Answer::read(stream)
    }

    /// The headers of a correct request.
    fn headers(&self) -> Vec<(String, String)> {
        let headers = [
            ("Host", self.address.to_string()),
            ("Authorization", format!("Bearer {}", self.token)),
            ("Accept", "application/json, text/event-stream".into()),
            ("Content-Type", "application/json".into()),
        ];
        headers.map(|(name, value)| (name.to_owned(), value)).to_vec()
    }

    /// A request with more headers, or others: one with the same name is replaced.
    fn request(&self, method: &str, more: &[(&str, &str)], body: &str) -> Vec<u8> {
        let mut headers = self.headers();
        headers.retain(|(name, _)| !more.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)));
        headers.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        if !body.is_empty() {
            headers.push(("Content-Length".to_owned(), body.len().to_string()));
        }
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("{method} /mcp HTTP/1.1\r\n{headers}\r\n{body}").into_bytes()
    }

    pub(crate) fn send(&self, method: &str, more: &[(&str, &str)], body: &str) -> Answer {
        self.raw(&self.request(method, more, body)).unwrap()
    }

    /// How many tools it offers.
    fn tools(&self) -> usize {
        self.session("2025-11-25").ask(1, "tools/list", &json!({}))["result"]["tools"].as_array().unwrap().len()
    }

    /// Begins a session.
    pub(crate) fn session(&self, version: &str) -> Session<'_> {
        let begin = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": version,
            "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}});
        let answer = self.send("POST", &[], &begin.to_string());
        assert_eq!(answer.status, 200, "{answer:?}");
        let id = answer.header("mcp-session-id").unwrap().to_owned();
        let mut answer = answer;
        let result = answer.message()["result"].clone();
        let version = result["protocolVersion"].as_str().unwrap().to_owned();
        let session = Session { server: self, id, version, result };
        let told = session.post(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        assert_eq!(told.status, 202);
        session
    }

    /// Ends the server with a signal, and returns its exit code.
    fn end(&mut self, signal: Signal) -> Option<i32> {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
        let start = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.code();
            }
            assert!(start.elapsed() < aiw_tests::HANG_TIMEOUT, "the server does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A session with the server.
pub(crate) struct Session<'a> {
    server: &'a Server,
    id: String,
    version: String,
    result: Value,
}

impl Session<'_> {
    fn headers(&self) -> [(&str, &str); 2] {
        [("Mcp-Session-Id", &self.id), ("MCP-Protocol-Version", &self.version)]
    }

    fn post(&self, message: &Value) -> Answer {
        self.server.send("POST", &self.headers(), &message.to_string())
    }

    pub(crate) fn ask(&self, id: i64, method: &str, params: &Value) -> Value {
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let mut answer = self.post(&message);
        assert_eq!(answer.status, 200, "{answer:?}");
        // Notifications may come first on the same stream.
        loop {
            let message = answer.message();
            if message.get("method").is_none() {
                assert_eq!(message["id"], id, "{message}");
                return message;
            }
        }
    }

    fn call(&self, id: i64, tool: &str, arguments: Value) -> Value {
        let answer = self.ask(id, "tools/call", &json!({"name": tool, "arguments": arguments}));
        answer["result"]["structuredContent"].clone()
    }

    pub(crate) fn get(&self, more: &[(&str, &str)]) -> Answer {
        self.server.send("GET", &[&self.headers(), more].concat(), "")
    }
}

/// An answer, whose body is read as it comes.
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    body: Body,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.status, self.headers)
    }
}

impl Answer {
    pub(crate) fn read(stream: TcpStream) -> Option<Self> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        match reader.read_line(&mut line) {
            Ok(0) => return None,
            Err(e) if e.kind() == ErrorKind::ConnectionReset => return None,
            Err(e) => panic!("{e}"),
            Ok(_) => {}
        }
        let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("{line}")).parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let find = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        let is_chunked = find("transfer-encoding") == Some("chunked");
        let left = find("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        Some(Self { status, headers, body: Body { reader, is_chunked, left, is_done: false } })
    }

    pub(crate) fn header(&self, wanted: &str) -> Option<&str> {
        self.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(mut self) -> String {
        let mut text = String::new();
        self.body.read_to_string(&mut text).unwrap();
        text
    }

    /// The next event: its id and its data.
    fn event(&mut self) -> Option<(String, String)> {
        let (mut id, mut data, mut is_empty) = (String::new(), String::new(), true);
        loop {
            let mut line = Vec::new();
            let mut byte = [0];
            loop {
                if self.body.read(&mut byte).unwrap() == 0 {
                    return None;
                }
                if byte == *b"\n" {
                    break;
                }
                line.push(byte[0]);
            }
            let line = String::from_utf8(line).unwrap();
            match line.split_once(':') {
                None if line.is_empty() && !is_empty => return Some((id, data)),
                Some(("id", value)) => id = value.trim().to_owned(),
                Some(("data", value)) => data = value.trim().to_owned(),
                _ => continue,
            }
            is_empty = false;
        }
    }

    /// The next message: the whole body, or that of the next event which has one.
    pub(crate) fn message(&mut self) -> Value {
        let text = match self.header("content-type") {
            Some("text/event-stream") => loop {
                let (_, data) = self.event().unwrap();
                if !data.is_empty() {
                    break data;
                }
            },
            _ => {
                let mut text = String::new();
                self.body.read_to_string(&mut text).unwrap();
                text
            }
        };
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }

    /// Cuts the connection.
    fn cut(self) {
        self.body.reader.get_ref().shutdown(Shutdown::Both).unwrap();
    }
}

/// A body, in chunks or of a known length.
struct Body {
    reader: BufReader<TcpStream>,
    is_chunked: bool,
    left: usize,
    is_done: bool,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.is_done {
            return Ok(0);
        }
        if self.left == 0 && self.is_chunked {
            let mut line = String::new();
            self.reader.read_line(&mut line)?;
            if line.trim().is_empty() {
                line.clear();
                self.reader.read_line(&mut line)?;
            }
            self.left = usize::from_str_radix(line.trim(), 16).unwrap_or(0);
        }
        let most = self.left.min(buffer.len());
        // Reading nothing would wait for something.
        let read = if most == 0 { 0 } else { self.reader.read(&mut buffer[..most])? };
        self.left -= read;
        self.is_done = read == 0;
        Ok(read)
    }
}
