//! `cargo xtask bench gateway`: what the gateway adds to a request and to a stream, beside the same without it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_tests::Environment;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::bench::{binary, millis};
use crate::command;

/// Requests of one measurement, after as many that are not counted.
const REQUESTS: usize = 200;

/// Pieces of one stream, each of five characters.
const DELTAS: usize = 100_000;

const STREAMS: usize = 5;

/// An upstream of both APIs, which sends what was prepared.
struct Upstream {
    address: SocketAddr,
}

struct Prepared {
    chat: Vec<u8>,
    messages: Vec<u8>,
    short: Vec<u8>,
}

impl Upstream {
    fn start() -> Result<Self> {
        let mut chat = String::new();
        let mut messages = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"up-model\",\"content\":[],\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n".to_owned();
        for _ in 0..DELTAS {
            chat.push_str("data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello\"},\"finish_reason\":null}]}\n\n");
            messages.push_str("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hello\"}}\n\n");
        }
        let end = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
        chat.push_str(end);
        messages.push_str("event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":9}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
        let short = format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"hello\"}}}}]}}\n\n{end}")
            .into_bytes();
        let prepared = Arc::new(Prepared { chat: chat.into_bytes(), messages: messages.into_bytes(), short });
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let prepared = prepared.clone();
                std::thread::spawn(move || serve(stream, &prepared));
            }
        });
        Ok(Self { address })
    }
}

/// Answers the requests of a connection. One that says `wait` gets its first word only, for as long as it stays.
fn serve(stream: TcpStream, prepared: &Prepared) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let (path, body) = read_request(&mut reader)?;
        let says = |word: &str| body.windows(word.len()).any(|at| at == word.as_bytes());
        let answer: &[u8] = match () {
            () if says("short") => &prepared.short,
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

/// A client that keeps its connection, and is no bottleneck: it reads bytes.
struct Client {
    stream: TcpStream,
    host: SocketAddr,
    token: String,
}

impl Client {
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

    /// Whether the far end says its length, so that no chunk ends the answer.
    fn is_plain(&self) -> bool {
        self.token.is_empty()
    }
}

struct Gateway {
    process: Child,
    address: SocketAddr,
    token: String,
}

impl Gateway {
    fn start(env: &Environment, aiw: &std::path::Path, provider: &str) -> Result<Self> {
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

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn first_words(client: &mut Client, path: &str, body: &str, end: &str) -> Result<Duration> {
    let mut times = Vec::new();
    for round in 0..2 * REQUESTS {
        let (first, _) = client.ask(path, body, end)?;
        if round >= REQUESTS {
            times.push(first);
        }
    }
    Ok(median(times))
}

/// Returns pieces a second.
fn pieces(client: &mut Client, path: &str, body: &str, end: &str) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..STREAMS {
        times.push(client.ask(path, body, end)?.1);
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of pieces")]
    Ok(DELTAS as f64 / median(times).as_secs_f64())
}

/// Prints a table. Returns whether all limits are kept.
pub fn bench(aiw: Option<PathBuf>) -> Result<bool> {
    let aiw = binary(aiw)?;
    let upstream = Upstream::start()?;
    let mut env = Environment::cold();
    env.set("THE_KEY", "sk-bench");
    for (name, api, url) in [
        ("chat", "chat-completions", format!("openai=http://{}/v1", upstream.address)),
        ("messages", "messages", format!("anthropic=http://{}", upstream.address)),
    ] {
        let added = env
            .program(&aiw)
            .args(["provider", "add", name, "--preset", "custom", "--api", api, "--base-url", &url])
            .args(["--model", "up-model", "--token-env", "THE_KEY"])
            .output()?;
        ensure!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    }
    let mut starts = Vec::new();
    for _ in 0..5 {
        let begun = Instant::now();
        drop(Gateway::start(&env, &aiw, "chat")?);
        starts.push(begun.elapsed());
    }
    let start = median(starts);
    let (chat, messages) = (Gateway::start(&env, &aiw, "chat")?, Gateway::start(&env, &aiw, "messages")?);
    let idle = chat.megabytes();
    let body = |says: &str| {
        json!({"model": "up-model", "max_tokens": 99, "stream": true, "messages": [{"role": "user", "content": says}]})
            .to_string()
    };
    let (done, stopped) = ("data: [DONE]\n\n", "\"message_stop\"}\n\n");
    let mut direct = Client::connect(upstream.address, "")?;
    let mut translated = Client::connect(chat.address, &chat.token)?;
    let mut passed = Client::connect(messages.address, &messages.token)?;
    let alone = first_words(&mut direct, "/v1/chat/completions", &body("short"), done)?;
    let through = first_words(&mut translated, "/v1/messages", &body("short"), stopped)?;
    let added = through.saturating_sub(alone);
    let chat_alone = pieces(&mut direct, "/v1/chat/completions", &body("long"), done)?;
    let chat_through = pieces(&mut translated, "/v1/messages", &body("long"), stopped)?;
    let messages_alone = pieces(&mut direct, "/v1/messages", &body("long"), stopped)?;
    let messages_through = pieces(&mut passed, "/v1/messages", &body("long"), stopped)?;
    let mut open = Vec::new();
    for _ in 0..16 {
        let mut client = Client::connect(chat.address, &chat.token)?;
        client.send("/v1/messages", &body("wait"))?;
        open.push(client);
    }
    std::thread::sleep(Duration::from_secs(1));
    let busy = chat.megabytes();
    let mut is_good = true;
    let mut row = |what: &str, measured: String, limit: String, is_kept: bool| {
        is_good &= is_kept;
        println!("{what:<58} {measured:>14} {limit:>14}{}", if is_kept { "" } else { "  OVER" });
    };
    println!("{:<58} {:>14} {:>14}", "", "measured", "limit");
    row("start, to its address", format!("{:.1} ms", millis(start)), "30 ms".into(), millis(start) <= 30.0);
    row("first word, direct", format!("{:.2} ms", millis(alone)), String::new(), true);
    row("first word, translated: added", format!("{:.2} ms", millis(added)), "1 ms".into(), millis(added) <= 1.0);
    let thousands = |count: f64| format!("{:.0}k/s", count / 1_000.0);
    row("pieces of Chat Completions, direct", thousands(chat_alone), String::new(), true);
    row(
        "pieces, translated to Messages",
        thousands(chat_through),
        thousands(chat_alone / 2.0),
        chat_through >= chat_alone / 2.0,
    );
    row("pieces of Messages, direct", thousands(messages_alone), String::new(), true);
    row(
        "pieces of Messages, passed on",
        thousands(messages_through),
        thousands(messages_alone / 2.0),
        messages_through >= messages_alone / 2.0,
    );
    row("memory of its own, idle", format!("{idle:.1} MB"), "15 MB".into(), idle <= 15.0);
    row("memory of its own, 16 open streams", format!("{busy:.1} MB"), "25 MB".into(), busy <= 25.0);
    command::run(command::host_cargo().args(["bench", "--quiet", "-p", "aiw-dialects", "--bench", "figures"]))?;
    Ok(is_good)
}
