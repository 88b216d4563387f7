//! Logging in to servers: a real authorization server, faulty ones, and where tokens went.

pub mod faults;
mod real;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use aiw_tests::{Environment, Run};

/// A login that waits for the browser.
struct Waiting {
    child: Child,
    stderr: BufReader<std::process::ChildStderr>,
    said: String,
    /// The address for the browser; none if it ended before it had one.
    url: Option<String>,
}

impl Waiting {
    fn start(env: &Environment, more: &[&str]) -> Self {
        let arguments = [&["mcp", "login", "g", "--no-browser", "--json"], more].concat();
        let mut command = env.command(&arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let (mut said, mut url) = (String::new(), None);
        while url.is_none() {
            let mut line = String::new();
            if stderr.read_line(&mut line).unwrap() == 0 {
                break;
            }
            url = line.starts_with("http").then(|| line.trim().to_owned());
            said.push_str(&line);
        }
        Self { child, stderr, said, url }
    }

    /// A parameter of the address, decoded.
    fn parameter(&self, name: &str) -> Option<String> {
        let (_, query) = self.url.as_ref()?.split_once('?')?;
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let value = pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next()?;
        Some(decoded(value))
    }

    /// The browser comes back with a query.
    fn comes_back(&self, query: &str) -> u16 {
        get(&format!("{}?{query}", self.parameter("redirect_uri").unwrap())).0
    }

    fn end(mut self) -> Run {
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).unwrap();
        let mut run: Run = self.child.wait_with_output().unwrap().into();
        run.stderr = self.said + &rest;
        run
    }
}

/// The names of the secrets in the vault.
fn kept(env: &Environment) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(env.home().join("vault")) else { return Vec::new() };
    let names = entries.flatten().map(|entry| entry.file_name().into_string().unwrap());
    names.filter_map(|name| name.strip_suffix(".age").map(str::to_owned)).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'%' => {
                bytes.push(u8::from_str_radix(std::str::from_utf8(&after[..2]).unwrap(), 16).unwrap());
                rest = &after[2..];
            }
            b'+' => bytes.push(b' '),
            other => bytes.push(*other),
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// A plain request to a server on loopback: status and body.
fn ask(method: &str, url: &str, kind: &str, body: &str) -> (u16, String) {
    let (place, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(place).unwrap();
    let head = format!("{method} /{path} HTTP/1.1\r\nhost: {place}\r\nconnection: close\r\n");
    let head = format!("{head}content-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

fn get(url: &str) -> (u16, String) {
    ask("GET", url, "text/plain", "")
}
