//! An HTTP server on loopback.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request as a handler sees it.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The method, such as `GET` or `POST`.
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// The query after the question mark.
    pub query: String,
    /// The headers, with lowercase names.
    pub headers: BTreeMap<String, String>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// An answer, which may be faulty.
pub enum Answer {
    /// Status, headers, body.
    Plain(u16, Vec<(String, String)>, Vec<u8>),
    /// A body that never ends.
    Endless,
    /// A body of a few bytes per second.
    Trickle,
    /// No answer while the client waits.
    Silence,
    /// Headers that promise more than is sent.
    Cut,
    /// Status, headers with the length, and the beginning of a body. Then the connection ends, or only says no more.
    Part(u16, Vec<(String, String)>, Vec<u8>, Then),
}

/// What follows the beginning of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The connection ends.
    End,
    /// Nothing, while the client waits.
    Silence,
}

impl Answer {
    /// Creates an answer with status 200 and a body.
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::Plain(200, Vec::new(), body.into())
    }

    /// Creates an answer with a status and no body.
    pub fn status(status: u16) -> Self {
        Self::Plain(status, Vec::new(), Vec::new())
    }

    /// Creates an answer with a status and JSON.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        let headers = vec![("content-type".into(), "application/json".into())];
        Self::Plain(status, headers, body.to_string().into_bytes())
    }

    /// Creates a redirect.
    pub fn redirect(to: impl Into<String>) -> Self {
        Self::Plain(302, vec![("location".into(), to.into())], Vec::new())
    }
}

/// An HTTP server on loopback, with a thread for each connection. It ends when dropped.
pub struct Server {
    port: u16,
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts the server.
    pub fn start(handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
        let port = listener.local_addr().unwrap().port();
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let handler = Arc::new(handler);
        let (stopped, log) = (stop.clone(), seen.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (handler, stopped, log) = (handler.clone(), stopped.clone(), log.clone());
                std::thread::spawn(move || {
                    let _ = serve(stream, &*handler, &stopped, &log);
                });
            }
        });
        Self { port, stop, seen }
    }

    /// Returns the address: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns `METHOD PATH` of each request so far.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn serve(
    stream: TcpStream,
    handler: &(dyn Fn(&Request) -> Answer + Send + Sync),
    stop: &AtomicBool,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    // Head and body are written apart: without this, the second waits 40 ms for an acknowledgement of the first.
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = line.split_whitespace();
        let (method, target) =
            (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let mut request = Request { method, path: path.to_owned(), query: query.to_owned(), ..Request::default() };
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            request.headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
        if request.headers.get("transfer-encoding").is_some_and(|v| v.contains("chunked")) {
            loop {
                let mut size = String::new();
                reader.read_line(&mut size)?;
                let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
                let mut chunk = vec![0; size + 2];
                reader.read_exact(&mut chunk)?;
                if size == 0 {
                    break;
                }
                request.body.extend_from_slice(&chunk[..size]);
            }
        } else if let Some(length) = request.headers.get("content-length").and_then(|v| v.parse().ok()) {
            request.body = vec![0; length];
            reader.read_exact(&mut request.body)?;
        }
        log.lock().unwrap().push(format!("{} {}", request.method, request.path));
        match handler(&request) {
            Answer::Plain(status, headers, body) => {
                let mut head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
                for (name, value) in headers {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
                stream.write_all(head.as_bytes())?;
                stream.write_all(b"\r\n")?;
                stream.write_all(&body)?;
            }
            Answer::Endless => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")?;
                while !stop.load(Ordering::Relaxed) {
                    stream.write_all(&[b' '; 65536])?;
                }
                return Ok(());
            }
            Answer::Trickle => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{")?;
                while !stop.load(Ordering::Relaxed) {
                    stream.write_all(b" ")?;
                    std::thread::sleep(Duration::from_millis(300));
                }
                return Ok(());
            }
            Answer::Silence => {
                while !stop.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(50));
                }
                return Ok(());
            }
            Answer::Part(status, headers, body, then) => {
                let mut head = format!("HTTP/1.1 {status} X\r\n");
                for (name, value) in headers {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
                stream.write_all(head.as_bytes())?;
                stream.write_all(b"\r\n")?;
                stream.write_all(&body)?;
                while then == Then::Silence && !stop.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(50));
                }
                return Ok(());
            }
            Answer::Cut => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{")?;
                return Ok(());
            }
        }
    }
}

/// Serves the bare or plain repositories below a directory over smart HTTP, with git's own backend.
pub fn git_backend(root: PathBuf) -> impl Fn(&Request) -> Answer + Send + Sync + 'static {
    move |request| {
        let mut child = Command::new("git")
            .arg("http-backend")
            .env("GIT_PROJECT_ROOT", &root)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("GIT_CONFIG_COUNT", "3")
            .env("GIT_CONFIG_KEY_0", "safe.directory")
            .env("GIT_CONFIG_VALUE_0", "*")
            .env("GIT_CONFIG_KEY_1", "uploadpack.allowReachableSHA1InWant")
            .env("GIT_CONFIG_VALUE_1", "true")
            .env("GIT_CONFIG_KEY_2", "uploadpack.allowTipSHA1InWant")
            .env("GIT_CONFIG_VALUE_2", "true")
            .env("REQUEST_METHOD", &request.method)
            .env("PATH_INFO", &request.path)
            .env("QUERY_STRING", &request.query)
            .env("CONTENT_TYPE", request.headers.get("content-type").map_or("", String::as_str))
            .env("HTTP_CONTENT_ENCODING", request.headers.get("content-encoding").map_or("", String::as_str))
            .env("CONTENT_LENGTH", request.body.len().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("git starts");
        let mut input = child.stdin.take().unwrap();
        let body = request.body.clone();
        let writer = std::thread::spawn(move || {
            let _ = input.write_all(&body);
        });
        let output = child.wait_with_output().unwrap().stdout;
        let _ = writer.join();
        let split = output.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(output.len().saturating_sub(4));
        let head = String::from_utf8_lossy(&output[..split]).into_owned();
        let mut status = 200;
        let mut headers = Vec::new();
        for line in head.lines() {
            let Some((name, value)) = line.split_once(':') else { continue };
            if name.eq_ignore_ascii_case("status") {
                status = value.trim().split(' ').next().and_then(|s| s.parse().ok()).unwrap_or(500);
            } else {
                headers.push((name.to_lowercase(), value.trim().to_owned()));
            }
        }
        Answer::Plain(status, headers, output.get(split + 4..).unwrap_or_default().to_vec())
    }
}
