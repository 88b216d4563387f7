//! `cargo xtask bench gateway`: what the gateway adds to a request and to a stream, beside the same without it, and
//! beside claude-code-router and LiteLLM: in time, and in what each of them keeps. `cargo xtask setup --peers` installs
//! both.
//!
//! Long: one bench with its peers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aiw_tests::Environment;
use aiw_tests::command::root;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::figures::millis;
use crate::pairs::median;
use crate::report::BenchReport;

/// Requests of one measurement, and before the first one.
const REQUEST_COUNT: usize = 40;
const WARM_UP_COUNT: usize = 200;

/// Pieces of one stream, each of five characters.
const DELTA_COUNT: usize = 100_000;

/// Pieces of a stream that the peers pass on too.
const PEER_DELTA_COUNT: usize = 5_000;

/// An upstream of both APIs, which sends what was prepared.
struct FakeUpstream {
    address: SocketAddr,
    prepared: Arc<PreparedAnswers>,
}

struct PreparedAnswers {
    chat: Vec<u8>,
    /// As `chat`, but shorter: one of the peers needs minutes otherwise.
    few: Vec<u8>,
    messages: Vec<u8>,
    short: Vec<u8>,
    /// The last request.
    asked: Mutex<Vec<u8>>,
}

impl FakeUpstream {
    fn start() -> Result<Self> {
        let mut chat = String::new();
        let mut messages = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"up-model\",\"content\":[],\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n".to_owned();
        let mut few = String::new();
        for at in 0..DELTA_COUNT {
            if at == PEER_DELTA_COUNT {
                few.clone_from(&chat);
            }
            // One of the peers ends a stream that repeats itself.
            let word = if at % 2 == 0 { "hello" } else { "world" };
            chat.push_str("data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"");
            chat.push_str(word);
            chat.push_str("\"},\"finish_reason\":null}]}\n\n");
            messages.push_str("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hello\"}}\n\n");
        }
        let end = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
        chat.push_str(end);
        few.push_str(end);
        messages.push_str("event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":9}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
        let short = format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"hello\"}}}}]}}\n\n{end}")
            .into_bytes();
        let (chat, few, messages) = (chat.into_bytes(), few.into_bytes(), messages.into_bytes());
        let prepared = Arc::new(PreparedAnswers { chat, few, messages, short, asked: Mutex::default() });
        let shared = prepared.clone();
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let prepared = shared.clone();
                std::thread::spawn(move || serve(stream, &prepared));
            }
        });
        Ok(Self { address, prepared })
    }
}

/// Answers the requests of a connection. One that says `wait` gets its first word only, for as long as it stays.
fn serve(stream: TcpStream, prepared: &PreparedAnswers) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let (path, body) = read_request(&mut reader)?;
        let says = |word: &str| body.windows(word.len()).any(|at| at == word.as_bytes());
        prepared.asked.lock().ok()?.clone_from(&body);
        if let Some(case) = CASES.iter().find(|case| says(case.word)) {
            stream.write_all(&(case.answer)()).ok()?;
            return None;
        }
        let answer: &[u8] = match () {
            () if says("short") => &prepared.short,
            () if says("few") => &prepared.few,
            () if path.contains("messages") => &prepared.messages,
            () => &prepared.chat,
        };
        let waits = says("wait");
        let length = answer.len() + usize::from(waits);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).ok()?;
        if waits {
            stream.write_all(&prepared.short[..prepared.short.iter().position(|byte| *byte == b'\n')? + 2]).ok()?;
            std::thread::sleep(Duration::from_secs(60));
            return None;
        }
        // A model's server sends each piece by itself.
        let mut rest = answer;
        while let Some(at) = rest.windows(2).position(|at| at == b"\n\n") {
            let (event, after) = rest.split_at(at + 2);
            stream.write_all(event).ok()?;
            rest = after;
        }
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let (mut path, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if path.is_empty() {
            path = line.split(' ').nth(1)?.to_owned();
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((path, body))
}

/// A client that keeps its connection, and is not a bottleneck: it reads bytes.
struct BenchClient {
    stream: TcpStream,
    host: SocketAddr,
    token: String,
}

impl BenchClient {
    fn connect(host: SocketAddr, token: &str) -> Result<Self> {
        let stream = TcpStream::connect(host)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, host, token: token.to_owned() })
    }

    fn send(&mut self, path: &str, body: &str) -> Result<()> {
        let (host, token, length) = (self.host, &self.token, body.len());
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        Ok(self.stream.write_all(format!("{head}{body}").as_bytes())?)
    }

    /// Asks, and returns the time to the first word and to the end. `end` is the last that the answer says.
    fn ask(&mut self, path: &str, body: &str, end: &str) -> Result<(Duration, Duration)> {
        let begun = Instant::now();
        self.send(path, body)?;
        let (mut first, mut tail, mut buffer) = (None, Vec::new(), vec![0; 1 << 16]);
        loop {
            let read = self.stream.read(&mut buffer)?;
            ensure!(read > 0, "the answer broke off: {}", String::from_utf8_lossy(&tail));
            let piece = &buffer[..read];
            if first.is_none() && piece.windows(5).any(|at| at == b"hello") {
                first = Some(begun.elapsed());
            }
            // Behind its last event, a chunked body has a few bytes more.
            tail.extend_from_slice(piece);
            tail.drain(..tail.len().saturating_sub(200));
            let is_over = tail.windows(end.len()).any(|at| at == end.as_bytes());
            let has_rest = !tail.ends_with(b"\n\n") && !tail.ends_with(b"0\r\n\r\n");
            if is_over && !has_rest && (tail.ends_with(b"0\r\n\r\n") || self.is_plain()) {
                return Ok((first.context("no word came")?, begun.elapsed()));
            }
        }
    }

    /// Whether the remote says its length, so that no chunk ends the answer.
    fn is_plain(&self) -> bool {
        self.token.is_empty()
    }
}

struct GatewayProcess {
    process: Child,
    address: SocketAddr,
    token: String,
}

impl GatewayProcess {
    fn start(env: &Environment, aiw: &Path, provider: &str) -> Result<Self> {
        let mut process =
            env.program(aiw).args(["gateway", "serve", "-p", provider, "--json"]).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().context("its output is piped")?).read_line(&mut line)?;
        let said: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
        let text = |key: &str| said[key].as_str().unwrap_or_default().to_owned();
        Ok(Self { process, address: text("url").trim_start_matches("http://").parse()?, token: text("token") })
    }

    fn megabytes(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
        let of = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or_default()
        };
        // What is read from the executable itself is shared with every other aiw.
        (of("RssAnon:") + of("RssShmem:")) / 1024.0
    }
}

impl Drop for GatewayProcess {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A way that a translation may go wrong, as peers' users have reported.
struct Case {
    /// The name of the part to keep.
    name: &'static str,
    /// The word by which the upstream knows the question.
    word: &'static str,
    /// The whole answer of the upstream, with its head.
    answer: fn() -> Vec<u8>,
    /// The question's message.
    question: fn() -> Value,
    /// Whether it was kept: the status, the head and the body that the client got, and what the upstream was asked.
    is_preserved: fn(u16, &str, &str, &str) -> bool,
}

fn stream_of(events: &[&str]) -> Vec<u8> {
    let body: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    format!("{head}{body}").into_bytes()
}

fn piece(delta: &str) -> String {
    format!(
        r#"{{"id":"c","object":"chat.completion.chunk","created":1,"model":"up-model","choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#
    )
}

fn last(reason: &str, usage: &str) -> String {
    format!(
        r#"{{"id":"c","object":"chat.completion.chunk","created":1,"model":"up-model","choices":[{{"index":0,"delta":{{}},"finish_reason":"{reason}"}}],"usage":{usage}}}"#
    )
}

const USAGE: &str =
    r#"{"prompt_tokens":100,"completion_tokens":5,"total_tokens":105,"prompt_tokens_details":{"cached_tokens":80}}"#;

fn call(index: u32, id: &str, arguments: &str) -> String {
    piece(&format!(
        r#"{{"tool_calls":[{{"index":{index},"id":"{id}","type":"function","function":{{"name":"look","arguments":"{arguments}"}}}}]}}"#
    ))
}

/// An answer of one word.
fn hello() -> Vec<u8> {
    stream_of(&[&piece(r#"{"content":"hello"}"#), &last("stop", USAGE), "[DONE]"])
}

fn says(word: &str) -> Value {
    json!({"role": "user", "content": word})
}

const CASES: [Case; 8] = [
    Case {
        name: "two calls side by side stay two",
        word: "case-side-by-side",
        answer: || {
            let more = |index: u32, text: &str| {
                piece(&format!(r#"{{"tool_calls":[{{"index":{index},"function":{{"arguments":"{text}"}}}}]}}"#))
            };
            let (one, two) = (call(0, "c1", ""), call(1, "c2", ""));
            let pieces = [more(0, r#"{\"a\":"#), more(1, r#"{\"b\":"#), more(0, "1}"), more(1, "2}")];
            let end = last("tool_calls", USAGE);
            let [p0, p1, p2, p3] = &pieces;
            stream_of(&[&one, &two, p0, p1, p2, p3, &end, "[DONE]"])
        },
        question: || says("case-side-by-side"),
        is_preserved: |_, _, body, _| {
            let joined = arguments(body);
            joined.len() == 2 && joined.contains(&json!({"a": 1})) && joined.contains(&json!({"b": 2}))
        },
    },
    Case {
        name: "two calls with one id get two",
        word: "case-one-id",
        answer: || {
            let calls = [call(0, "same", r#"{\"a\":1}"#), call(1, "same", r#"{\"b\":2}"#), last("tool_calls", USAGE)];
            stream_of(&[&calls[0], &calls[1], &calls[2], "[DONE]"])
        },
        question: || says("case-one-id"),
        is_preserved: |_, _, body, _| {
            let ids: std::collections::BTreeSet<String> = blocks(body, "tool_use")
                .filter_map(|block| Some(block["content_block"]["id"].as_str()?.to_owned()))
                .collect();
            ids.len() == 2 && arguments(body).len() == 2
        },
    },
    Case {
        name: "a limit keeps its status and Retry-After",
        word: "case-limit",
        answer: || {
            let body = r#"{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded"}}"#;
            let length = body.len();
            format!("HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\nretry-after: 7\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}").into_bytes()
        },
        question: || says("case-limit"),
        is_preserved: |status, head, _, _| status == 429 && head.to_ascii_lowercase().contains("retry-after: 7"),
    },
    Case {
        name: "an answer that breaks off is an error",
        word: "case-cut",
        answer: || stream_of(&[&piece(r#"{"content":"half a wo"}"#)]),
        question: || says("case-cut"),
        is_preserved: |_, _, body, _| body.contains("event: error") && !body.contains("\"message_stop\""),
    },
    Case {
        name: "cached tokens are counted once",
        word: "case-cached",
        answer: hello,
        question: || says("case-cached"),
        is_preserved: |_, _, body, _| {
            body.contains("\"cache_read_input_tokens\":80") && body.contains("\"input_tokens\":20")
        },
    },
    Case {
        name: "a picture in a result reaches the model",
        word: "case-picture",
        answer: hello,
        question: || {
            json!({"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": [
                    {"type": "text", "text": "case-picture"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgoPICTURE"}}
                ]}
            ]})
        },
        is_preserved: |_, _, _, asked| asked.contains("iVBORw0KGgoPICTURE"),
    },
    Case {
        name: "a thought comes back as one",
        word: "case-thought",
        answer: || {
            let thought = piece(r#"{"reasoning_content":"I wonder"}"#);
            stream_of(&[&thought, &piece(r#"{"content":"hello"}"#), &last("stop", USAGE), "[DONE]"])
        },
        question: || says("case-thought"),
        is_preserved: |_, _, body, _| body.contains("thinking_delta") && body.contains("I wonder"),
    },
    Case {
        name: "a name of 80 letters is cut and comes back",
        word: "case-name",
        answer: hello,
        question: || says("case-name"),
        is_preserved: |_, _, _, asked| {
            let asked: Value = serde_json::from_str(asked).unwrap_or_default();
            let names: Vec<&str> = asked["tools"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|tool| tool["function"]["name"].as_str())
                .collect();
            names.len() == 2 && names.iter().all(|name| name.len() <= 64)
        },
    },
];

/// The events of a stream of Messages.
fn events_of(body: &str) -> impl Iterator<Item = Value> {
    body.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data:")?.trim()).ok())
}

/// The events of a kind of block that begins.
fn blocks<'b>(body: &'b str, kind: &'b str) -> impl Iterator<Item = Value> + 'b {
    events_of(body).filter(move |event| event["content_block"]["type"] == kind)
}

/// The arguments of all calls in a stream of Messages.
fn arguments(body: &str) -> Vec<Value> {
    let mut texts: std::collections::BTreeMap<u64, String> = Default::default();
    for event in events_of(body).filter(|event| event["delta"]["type"] == "input_json_delta") {
        let text = event["delta"]["partial_json"].as_str().unwrap_or_default();
        texts.entry(event["index"].as_u64().unwrap_or_default()).or_default().push_str(text);
    }
    texts.values().filter_map(|text| serde_json::from_str(text).ok()).collect()
}

/// Asks once. Returns the status, the head and the body.
fn ask_once(host: SocketAddr, token: &str, body: &str) -> Result<(u16, String, String)> {
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let length = body.len();
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\nx-api-key: {token}\r\nanthropic-version: 2023-06-01\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes())?;
    let mut answer = Vec::new();
    // One that ends without a last chunk is what some of the cases are about.
    let _ = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    Ok((status, head.to_owned(), body.to_owned()))
}

/// Returns which cases are kept.
fn kept(upstream: &FakeUpstream, host: SocketAddr, token: &str) -> Vec<bool> {
    let is_kept = |case: &Case| {
        let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
        let tools = json!([
            {"name": "look", "description": "Looks", "input_schema": schema},
            {"name": format!("mcp__{}", "long_name_".repeat(8)), "description": "Long", "input_schema": schema}
        ]);
        // The name that is too long would fail every other case of a peer that does not cut it.
        let tools = if case.word == "case-name" { tools } else { json!([tools[0]]) };
        let messages = match case.word {
            "case-picture" => json!([
                says("Look"),
                {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "look", "input": {}}]},
                (case.question)()
            ]),
            _ => json!([(case.question)()]),
        };
        let body = json!({"model": "up-model", "max_tokens": 99, "stream": true, "messages": messages, "tools": tools});
        let Ok((status, head, body)) = ask_once(host, token, &body.to_string()) else { return false };
        let asked = upstream.prepared.asked.lock().map(|asked| String::from_utf8_lossy(&asked).into_owned());
        (case.is_preserved)(status, &head, &body, &asked.unwrap_or_default())
    };
    CASES.iter().map(is_kept).collect()
}

/// A peer that runs, until it is dropped.
struct Peer {
    name: &'static str,
    process: Child,
    address: SocketAddr,
    started: Duration,
    _home: tempfile::TempDir,
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// LiteLLM refuses to start with a weak one.
const PEER_KEY: &str = "sk-5b1f9c3a7e2d48d6a0c4f8e1b7395d2c6e4a8f0b3d7c1e9a5f2b6d8c0e4a7f1b";

impl Peer {
    /// Starts those that are installed.
    fn all(upstream: SocketAddr) -> Vec<Self> {
        let mut all = Vec::new();
        for (name, start) in [("claude-code-router", Self::router as fn(_) -> _), ("LiteLLM", Self::litellm)] {
            match start(upstream) {
                Ok(Some(peer)) => all.push(peer),
                Ok(None) => println!("{name} is not installed here: `cargo xtask setup --peers` installs it"),
                Err(e) => println!("{name} was not measured: {e:#}"),
            }
        }
        all
    }

    fn router(upstream: SocketAddr) -> Result<Option<Self>> {
        let program = root().join("target/peers/node_modules/.bin/ccr");
        if !program.is_file() {
            return Ok(None);
        }
        let (home, port) = (tempfile::tempdir()?, free_port()?);
        std::fs::create_dir_all(home.path().join(".claude-code-router"))?;
        let config = json!({
            "PORT": port, "HOST": "127.0.0.1", "APIKEY": PEER_KEY, "LOG": false,
            "Providers": [{
                "name": "up", "api_base_url": format!("http://{upstream}/v1/chat/completions"), "api_key": "sk-bench",
                "models": ["up-model"]
            }],
            "Router": {"default": "up,up-model"}
        });
        std::fs::write(home.path().join(".claude-code-router/config.json"), config.to_string())?;
        let mut command = std::process::Command::new(program);
        command.arg("start").env("HOME", home.path()).env("SERVICE_PORT", port.to_string());
        Self::start("claude-code-router", command, port, home).map(Some)
    }

    fn litellm(upstream: SocketAddr) -> Result<Option<Self>> {
        let program = root().join("target/peers/litellm/bin/litellm");
        if !program.is_file() {
            return Ok(None);
        }
        let (home, port) = (tempfile::tempdir()?, free_port()?);
        let config = format!(
            "model_list:\n  - model_name: up-model\n    litellm_params:\n      model: hosted_vllm/up-model\n      api_base: http://{upstream}/v1\n      api_key: sk-bench\nlitellm_settings:\n  num_retries: 0\n  telemetry: false\n"
        );
        let path = home.path().join("config.yaml");
        std::fs::write(&path, config)?;
        let mut command = std::process::Command::new(program);
        command.arg("--config").arg(&path).args(["--host", "127.0.0.1", "--port", &port.to_string()]);
        command
            .env("HOME", home.path())
            .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
            .env("LITELLM_MASTER_KEY", PEER_KEY);
        Self::start("LiteLLM", command, port, home).map(Some)
    }

    fn start(
        name: &'static str,
        mut command: std::process::Command,
        port: u16,
        home: tempfile::TempDir,
    ) -> Result<Self> {
        let begun = Instant::now();
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut peer = Self { name, process, address, started: Duration::ZERO, _home: home };
        while begun.elapsed() < Duration::from_secs(300) {
            if TcpStream::connect(address).is_ok() {
                peer.started = begun.elapsed();
                return Ok(peer);
            }
            if let Some(status) = peer.process.try_wait()? {
                anyhow::bail!("it ended: {status}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        anyhow::bail!("it does not listen")
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Returns the median time to the first word of some requests, in milliseconds.
fn first_word(client: &mut BenchClient, path: &str, body: &str, end: &str, requests: usize) -> Result<f64> {
    let times = (0..requests).map(|_| Ok(millis(client.ask(path, body, end)?.0))).collect::<Result<_>>()?;
    Ok(median(times))
}

/// Returns pieces a second, in thousands.
fn pieces(client: &mut BenchClient, path: &str, body: &str, end: &str) -> Result<f64> {
    Ok(DELTA_COUNT as f64 / millis(client.ask(path, body, end)?.1))
}

/// The path of Chat Completions, and the end of a stream of them.
const CHAT: (&str, &str) = ("/v1/chat/completions", "data: [DONE]\n\n");

/// The path of Messages, and the end of a stream of them.
const MESSAGES: (&str, &str) = ("/v1/messages", "\"message_stop\"}\n\n");

/// Returns a request whose answer depends on a word.
fn request(says: &str) -> String {
    json!({"model": "up-model", "max_tokens": 99, "stream": true, "messages": [{"role": "user", "content": says}]})
        .to_string()
}

/// Adds the rows of the gateway, and prints a table of aiw and its peers.
pub fn run(report: &mut BenchReport, aiw: &Path) -> Result<()> {
    let upstream = FakeUpstream::start()?;
    let mut env = Environment::cold();
    env.set("THE_KEY", "sk-bench");
    for (name, api, url) in [
        ("chat", "chat-completions", format!("openai=http://{}/v1", upstream.address)),
        ("messages", "messages", format!("anthropic=http://{}", upstream.address)),
    ] {
        let added = env
            .program(aiw)
            .args(["provider", "add", name, "--preset", "custom", "--api", api, "--base-url", &url])
            .args(["--model", "up-model", "--token-env", "THE_KEY"])
            .output()?;
        ensure!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    }
    report.measure_pairs("gateway: start, to its address", "ms", || {
        let begun = Instant::now();
        let gateway = GatewayProcess::start(&env, aiw, "chat")?;
        let took = begun.elapsed();
        drop(gateway);
        Ok(millis(took))
    })?;
    let (chat, messages) = (GatewayProcess::start(&env, aiw, "chat")?, GatewayProcess::start(&env, aiw, "messages")?);
    let idle = chat.megabytes();
    let mut direct = BenchClient::connect(upstream.address, "")?;
    // Each connects when it is measured: the gateway closes a connection that asks nothing for some seconds.
    let mut translated = BenchClient::connect(chat.address, &chat.token)?;
    let (short, long) = (request("short"), request("long"));
    first_word(&mut direct, CHAT.0, &short, CHAT.1, WARM_UP_COUNT)?;
    first_word(&mut translated, MESSAGES.0, &short, MESSAGES.1, WARM_UP_COUNT)?;
    report.measure_custom_pairs("gateway: first word, translated", "ms", || {
        let through = first_word(&mut translated, MESSAGES.0, &short, MESSAGES.1, REQUEST_COUNT)?;
        Ok((through, first_word(&mut direct, CHAT.0, &short, CHAT.1, REQUEST_COUNT)?))
    })?;
    report.measure_custom_pairs("gateway: pieces, translated to Messages", "k/s", || {
        let through = pieces(&mut translated, MESSAGES.0, &long, MESSAGES.1)?;
        Ok((through, pieces(&mut direct, CHAT.0, &long, CHAT.1)?))
    })?;
    let mut passed = BenchClient::connect(messages.address, &messages.token)?;
    report.measure_custom_pairs("gateway: pieces of Messages, passed on", "k/s", || {
        let through = pieces(&mut passed, MESSAGES.0, &long, MESSAGES.1)?;
        Ok((through, pieces(&mut direct, MESSAGES.0, &long, MESSAGES.1)?))
    })?;
    let mut open = Vec::new();
    for _ in 0..16 {
        let mut client = BenchClient::connect(chat.address, &chat.token)?;
        client.send(MESSAGES.0, &request("wait"))?;
        open.push(client);
    }
    std::thread::sleep(Duration::from_secs(1));
    report.add_measurement("gateway: memory of its own, idle", "MB", idle)?;
    report.add_measurement("gateway: memory of its own, 16 open streams", "MB", chat.megabytes())?;
    drop(open);
    let mut direct = BenchClient::connect(upstream.address, "")?;
    let alone = first_word(&mut direct, CHAT.0, &short, CHAT.1, WARM_UP_COUNT)?;
    beside(&upstream, &chat, alone)
}

/// Prints a table of aiw and its peers. A case that aiw loses is an error.
fn beside(upstream: &FakeUpstream, ours: &GatewayProcess, alone: f64) -> Result<()> {
    let peers = Peer::all(upstream.address);
    let measure = |host: SocketAddr, token: &str| -> Result<(f64, f64)> {
        let mut client = BenchClient::connect(host, token)?;
        first_word(&mut client, MESSAGES.0, &request("short"), "message_stop", WARM_UP_COUNT)?;
        let first = first_word(&mut client, MESSAGES.0, &request("short"), "message_stop", REQUEST_COUNT)?;
        let (_, whole) = client.ask("/v1/messages", &request("few"), "message_stop")?;
        Ok((first - alone, PEER_DELTA_COUNT as f64 / whole.as_secs_f64()))
    };
    let mut columns =
        vec![("aiw", None, measure(ours.address, &ours.token)?, kept(upstream, ours.address, &ours.token))];
    for peer in &peers {
        match measure(peer.address, PEER_KEY) {
            Ok(measured) => {
                columns.push((peer.name, Some(peer.started), measured, kept(upstream, peer.address, PEER_KEY)));
            }
            Err(e) => println!("{} was not measured: {e:#}", peer.name),
        }
    }
    let row = |what: &str, cells: Vec<String>| {
        println!("{what:<46}{}", cells.iter().map(|cell| format!("{cell:>20}")).collect::<String>());
    };
    println!();
    row("Messages to Chat Completions", columns.iter().map(|(name, ..)| (*name).to_owned()).collect());
    let started = |started: &Option<Duration>| {
        started.map_or_else(|| "above".into(), |time| format!("{:.1} s", time.as_secs_f64()))
    };
    row("start", columns.iter().map(|(_, time, ..)| started(time)).collect());
    row("first word, added", columns.iter().map(|(_, _, (added, _), _)| format!("{:.2} ms", *added)).collect());
    row("pieces a second", columns.iter().map(|(_, _, (_, rate), _)| format!("{:.1}k", rate / 1_000.0)).collect());
    for (at, case) in CASES.iter().enumerate() {
        row(case.name, columns.iter().map(|(.., kept)| if kept[at] { "kept" } else { "LOST" }.to_owned()).collect());
    }
    ensure!(columns[0].3.iter().all(|is_kept| *is_kept), "aiw loses what it should keep");
    Ok(())
}
