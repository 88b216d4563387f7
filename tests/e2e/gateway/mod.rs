//! The gateway, with scripted upstreams and a client that writes every byte itself.

mod matrix;
mod named;
mod openai;
mod pools;
mod real;
mod usage;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aiw_tests::{Answer as Scripted, Environment, FakeClis, Request, Server};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::http::Answer;

const KEY: &str = "sk-canary-of-the-provider";

/// The providers that tests add, and the API that each speaks.
const PROVIDERS: [(&str, &str, &str); 4] = [
    ("messages", "anthropic=", ""),
    ("responses", "openai=", "/v1"),
    ("chat-completions", "openai=", "/v1"),
    ("generate-content", "gemini=", ""),
];

/// Adds a provider of each API at one address.
fn add_providers(env: &mut Environment, url: &str) {
    env.set("THE_KEY", KEY);
    for (api, family, path) in PROVIDERS {
        let base_url = format!("{family}{url}{path}");
        let preset = ["--preset", "custom", "--base-url", &base_url, "--model", "up-model"];
        let own = ["provider", "add", api, "--api", api, "--token-env", "THE_KEY", "--no-scrub-env"];
        env.run(&[&own[..], &preset].concat()).ok();
    }
}

/// `aiw gateway serve` for one provider.
struct Gateway {
    process: Child,
    address: SocketAddr,
    token: String,
}

impl Gateway {
    fn start(env: &Environment, provider: &str) -> Self {
        let mut process = env
            .command(&["gateway", "serve", "-p", provider, "--json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let address = said["url"].as_str().unwrap().strip_prefix("http://").unwrap().parse().unwrap();
        Self { process, address, token: said["token"].as_str().unwrap().to_owned() }
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        let has = |name: &str| headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
        if !has("host") {
            head.push_str(&format!("host: {}\r\n", self.address));
        }
        headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        head.push_str(&format!("content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()));
        stream.write_all(head.as_bytes()).unwrap();
        Answer::read(stream).unwrap()
    }

    /// Ends it. Returns what it said on standard error.
    fn stop(mut self) -> String {
        let _ = self.process.kill();
        let mut said = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        said
    }

    /// Asks, and leaves a moment later.
    fn leave(&self, path: &str, body: &Value) {
        let (address, token, body) = (self.address, &self.token, body.to_string());
        let mut stream = TcpStream::connect(address).unwrap();
        let head = format!("POST {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n");
        stream.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(500));
    }

    fn ask(&self, path: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        self.send("POST", path, &[("authorization", &bearer), ("content-type", "application/json")], &body.to_string())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An upstream that answers as a function says, and what it was asked.
struct Upstream {
    server: Server,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Upstream {
    fn new(answer: impl Fn(usize, &Value) -> Scripted + Send + Sync + 'static) -> Self {
        let asked: Arc<Mutex<Vec<(String, Value)>>> = Arc::default();
        let seen = asked.clone();
        let server = Server::start(move |request: &Request| {
            let Ok(body) = serde_json::from_slice::<Value>(&request.body) else { return Scripted::status(404) };
            let authorization = request.headers.get("authorization").or(request.headers.get("x-goog-api-key"));
            let mut asked = seen.lock().unwrap();
            asked.push((authorization.cloned().unwrap_or_default(), body.clone()));
            answer(asked.len(), &body)
        });
        Self { server, asked }
    }

    fn asked(&self) -> Vec<(String, Value)> {
        self.asked.lock().unwrap().clone()
    }
}

fn events(text: &str) -> Scripted {
    Scripted::Plain(200, vec![("content-type".into(), "text/event-stream".into())], text.into())
}

fn refusal(status: u16, headers: &[(&str, &str)], body: &Value) -> Scripted {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Scripted::Plain(status, headers, body.to_string().into_bytes())
}

/// An answer of Chat Completions that says a word.
fn chat(word: &str) -> String {
    format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{word}\"}},\"finish_reason\":null}}]}}\n\n\
         data: {{\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"stop\"}}],\
         \"usage\":{{\"prompt_tokens\":9,\"completion_tokens\":2}}}}\n\ndata: [DONE]\n\n"
    )
}

fn question(is_streamed: bool) -> Value {
    json!({"model": "claude-opus-5", "max_tokens": 999, "stream": is_streamed, "messages": [{"role": "user", "content": "Hi"}]})
}

#[test]
fn an_editor_is_served_by_any_provider_and_never_sees_its_key() {
    let upstream = Upstream::new(|_, _| events(&chat("Hello")));
    let mut env = Environment::new();
    add_providers(&mut env, &upstream.server.url());
    let gateway = Gateway::start(&env, "chat-completions");
    let whole: Value = serde_json::from_str(&gateway.ask("/v1/messages", &question(false)).text()).unwrap();
    assert_eq!((&whole["content"][0]["text"], &whole["model"]), (&json!("Hello"), &json!("claude-opus-5")), "{whole}");
    assert_eq!(whole["usage"]["input_tokens"], 9);
    let streamed = gateway.ask("/v1/messages", &question(true)).text();
    assert!(streamed.starts_with("event: message_start\n") && streamed.contains("message_stop"), "{streamed}");
    let responses = gateway.ask("/v1/responses", &json!({"model": "gpt-x", "stream": true, "input": "Hi"})).text();
    assert!(responses.contains("event: response.completed\n"), "{responses}");
    let path = "/v1beta/models/gemini-x:streamGenerateContent?alt=sse";
    let google = gateway.ask(path, &json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]})).text();
    assert!(google.contains("\"finishReason\":\"STOP\"") && google.contains("\"text\":\"Hello\""), "{google}");
    for (authorization, body) in upstream.asked() {
        assert_eq!(authorization, format!("Bearer {KEY}"));
        // Names of other vendors mean nothing to this provider.
        assert_eq!(body["model"], "up-model");
        assert!(!body.to_string().contains(&gateway.token));
    }
    let count: Value = serde_json::from_str(&gateway.ask("/v1/messages/count_tokens", &question(true)).text()).unwrap();
    assert!(count["input_tokens"].as_u64().unwrap() > 0);
    assert_eq!(upstream.asked().len(), 4);
}

#[test]
fn strangers_web_pages_and_other_names_are_refused() {
    let upstream = Upstream::new(|_, _| events(&chat("Hello")));
    let mut env = Environment::new();
    add_providers(&mut env, &upstream.server.url());
    let gateway = Gateway::start(&env, "messages");
    let body = question(true).to_string();
    let bearer = format!("Bearer {}", gateway.token);
    for (headers, status) in [
        (vec![], 401),
        (vec![("authorization", "Bearer aiw-0123")], 401),
        (vec![("x-api-key", "aiw-0123")], 401),
        (vec![("authorization", &*bearer), ("origin", "http://evil.example")], 403),
        (vec![("authorization", &*bearer), ("host", "evil.example")], 403),
    ] {
        let answer = gateway.send("POST", "/v1/messages", &headers, &body);
        assert_eq!(answer.status, status, "{headers:?}");
        assert!(!answer.text().contains(KEY));
    }
    let missing = gateway.ask("/v1/completions", &question(true));
    assert_eq!(missing.status, 404);
    assert!(missing.text().contains("Messages, Responses, Chat Completions or generateContent"));
    let translating = Gateway::start(&env, "chat-completions");
    for body in ["", "{", "[]", "{\"model\":\"m\"}", "{\"model\":\"m\",\"messages\":7}", "{\"messages\":[]}"] {
        let answer = translating.send("POST", "/v1/messages", &[("x-api-key", &translating.token)], body);
        let status = answer.status;
        assert!(status == 400 && answer.text().contains("invalid_request_error"), "{body}");
    }
    assert_eq!(gateway.send("HEAD", "/", &[], "").status, 200);
}

#[test]
fn errors_of_a_provider_reach_the_client_in_its_own_words_and_without_keys() {
    let upstream = Upstream::new(|_, body| match body["messages"][0]["content"].as_str().unwrap_or_default() {
        "key" => refusal(
            401,
            &[],
            &json!({"error": {"message": format!("Incorrect API key provided: {KEY}"), "code": "invalid_api_key"}}),
        ),
        "limit" => refusal(
            429,
            &[("retry-after", "7")],
            &json!({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}),
        ),
        "long" => refusal(
            400,
            &[],
            &json!({"error": {"message": "This model's maximum context length is 8192 tokens", "code": "context_length_exceeded"}}),
        ),
        "busy" => events("data: {\"error\":{\"message\":\"overloaded\",\"code\":503}}\n\n"),
        "html" => Scripted::Plain(200, vec![("content-type".into(), "text/html".into())], b"<html>".to_vec()),
        "cut" => events("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"}}]}\n\n"),
        _ => Scripted::Cut,
    });
    let mut env = Environment::new();
    add_providers(&mut env, &upstream.server.url());
    let gateway = Gateway::start(&env, "chat-completions");
    let ask = |text: &str| {
        let messages =
            json!({"model": "m", "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": text}]});
        let answer = gateway.ask("/v1/messages", &messages);
        let retry = answer.header("retry-after").map(str::to_owned);
        (answer.status, retry, answer.text())
    };
    let (status, _, said) = ask("key");
    assert_eq!(status, 401);
    assert!(
        said.contains("provider `chat-completions` refused its key")
            && said.contains("authentication_error")
            && !said.contains(KEY),
        "{said}"
    );
    // The person is told, until the key is accepted.
    let needs_key = || env.json(&["attention", "list"]).to_string().contains("it refuses the key");
    crate::until(needs_key);
    let (status, retry, said) = ask("limit");
    assert_eq!((status, retry.as_deref()), (429, Some("7")), "{said}");
    assert!(said.contains("rate_limit_error"));
    let (status, _, said) = ask("long");
    assert!(status == 400 && said.contains("prompt is too long"), "{said}");
    assert_eq!(ask("busy").0, 529);
    crate::until(|| !needs_key());
    assert_eq!(ask("html").0, 502);
    assert_eq!(ask("anything").0, 502);
    let (status, _, said) = ask("cut");
    assert!(status == 200 && said.contains("event: error\n") && !said.contains("message_stop"), "{said}");
    // Codex gives up at a status 429, and waits when an event says it.
    let limited = gateway.ask("/v1/responses", &json!({"model": "m", "stream": true, "input": "limit"}));
    assert_eq!(limited.status, 200);
    let said = limited.text();
    assert!(
        said.contains("response.failed") && said.contains("rate_limit_exceeded") && said.contains("try again in 7.0s"),
        "{said}"
    );
}

#[test]
fn a_field_that_a_provider_refuses_is_left_out_from_then_on() {
    let upstream = Upstream::new(|_, body| match body.get("max_tokens") {
        Some(_) => refusal(
            400,
            &[],
            &json!({"error": {"message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", "param": "max_tokens"}}),
        ),
        None => events(&chat("Hello")),
    });
    let mut env = Environment::new();
    add_providers(&mut env, &upstream.server.url());
    let gateway = Gateway::start(&env, "chat-completions");
    for _ in 0..2 {
        assert_eq!(gateway.ask("/v1/messages", &question(false)).status, 200);
    }
    let limits: Vec<Value> =
        upstream.asked().into_iter().map(|(_, body)| body["max_completion_tokens"].clone()).collect();
    assert_eq!(limits, [Value::Null, json!(999), json!(999)]);
}

#[test]
fn a_run_gets_a_token_of_its_own_in_place_of_the_key() {
    let upstream = Upstream::new(|_, _| events(&chat("Hello")));
    let (mut env, fakes) = FakeClis::environment();
    add_providers(&mut env, &upstream.server.url());
    // Without a start, nothing is started.
    let explained = env.json(&["codex", "hi", "-p", "chat-completions", "--explain"]);
    let gateway = &explained["explain"]["gateway"];
    assert_eq!(
        (&gateway["from"], &gateway["to"]),
        (&json!("OpenAI Responses"), &json!("OpenAI Chat Completions")),
        "{explained}"
    );
    assert!(!gateway["losses"].as_array().unwrap().is_empty());
    assert_eq!(env.json(&["gateway", "status"])["url"], Value::Null);
    for (arguments, is_through) in [
        (vec!["claude", "hi", "-p", "messages"], false),
        (vec!["claude", "hi", "-p", "messages", "--gateway"], true),
        (vec!["claude", "hi", "-p", "generate-content"], true),
        (vec!["codex", "hi", "-p", "chat-completions"], true),
        (vec!["gemini", "hi", "-p", "messages"], true),
    ] {
        let before = fakes.seen().len();
        env.run(&arguments).ok();
        let seen = fakes.seen();
        assert_eq!(seen.len(), before + 1);
        let text = format!(
            "{:?}",
            seen.iter().map(|seen| (&seen.environment, &seen.arguments, &seen.settings)).collect::<Vec<_>>()
        );
        let own = seen.iter().find(|seen| seen.environment.values().any(|value| value.starts_with("aiw-")));
        if is_through {
            assert!(own.is_some(), "{arguments:?}: {text}");
        }
    }
    let through: Vec<_> = fakes
        .seen()
        .into_iter()
        .filter(|seen| seen.environment.values().any(|value| value.starts_with("aiw-")))
        .collect();
    assert_eq!(through.len(), 4);
    for seen in &through {
        let own: Vec<_> =
            seen.environment.iter().filter(|(name, value)| *name != "THE_KEY" && value.contains(KEY)).collect();
        assert!(own.is_empty() && !seen.settings.contains(KEY) && !seen.arguments.concat().contains(KEY), "{own:?}");
        assert!(format!("{:?} {:?}", seen.environment, seen.arguments).contains("http://127.0.0.1:"));
    }
    // A provider may say so once for all runs.
    env.run(&["provider", "edit", "messages", "--gateway"]).ok();
    assert_eq!(
        env.json(&["claude", "hi", "-p", "messages", "--explain"])["explain"]["gateway"]["from"],
        "Anthropic Messages"
    );
    env.run(&["provider", "edit", "messages", "--no-gateway"]).ok();
    assert_eq!(env.json(&["claude", "hi", "-p", "messages", "--explain"])["explain"]["gateway"], Value::Null);
    // The table of models sizes the context, and the user's own table beats it.
    env.settings(&json!({"models": {"up-model": {"context": 50_000, "output": 700}}}));
    env.run(&["claude", "hi", "-p", "chat-completions"]).ok();
    let sized =
        fakes.seen().into_iter().find(|seen| seen.environment.contains_key("CLAUDE_CODE_MAX_CONTEXT_TOKENS")).unwrap();
    assert_eq!(sized.environment["CLAUDE_CODE_MAX_CONTEXT_TOKENS"], "50000");
    assert_eq!(sized.environment["CLAUDE_CODE_MAX_OUTPUT_TOKENS"], "700");
    // The routes of runs are encrypted, and gone with their runs.
    let status = env.json(&["gateway", "status"]);
    assert!(status["url"].is_string() && status["runs"] == 0, "{status}");
}

#[test]
fn a_waiting_run_is_served_after_the_gateway_and_its_supervisor_were_killed() {
    is_served_after_deaths(true, false);
}

#[test]
fn a_waiting_run_is_served_after_an_update_took_the_file_of_its_gateway_and_of_what_looks_after_it() {
    for with_supervisor in [false, true] {
        is_served_after_deaths(with_supervisor, true);
    }
}

/// Kills the gateway under a run that waits, and its supervisor if wanted, after aiw's file was removed if wanted.
fn is_served_after_deaths(with_supervisor: bool, without_file: bool) {
    let upstream = Upstream::new(|_, _| events(&chat("Hello")));
    let (mut env, _fakes) = FakeClis::environment();
    add_providers(&mut env, &upstream.server.url());
    let (asked, killed) = (env.path("asked"), env.path("killed"));
    // It asks, waits, and then asks until it is answered.
    let script = format!(
        r#"{ask}
touch '{asked}'
while [ ! -e '{killed}' ]; do sleep 0.05; done
python3 - <<'PY'
import os, time, urllib.request
for _ in range(300):
    try:
        urllib.request.urlopen(os.environ["ANTHROPIC_BASE_URL"])
        break
    except OSError:
        time.sleep(0.1)
PY
{ask}"#,
        ask = pools::asking(1),
        asked = asked.display(),
        killed = killed.display(),
    );
    let aiw = env.path("aiw-of-the-run");
    // Copied by another process, so that no other child has the file open for writing.
    assert!(Command::new("cp").arg(env.parts().0).arg(&aiw).status().unwrap().success());
    let mut run = env.program(&aiw);
    run.args(["claude", &FakeClis::script(&script), "-p", "chat-completions"]);
    let running = std::thread::spawn(move || run.output().unwrap());
    let begun = std::time::Instant::now();
    while !asked.exists() {
        assert!(begun.elapsed() < aiw_tests::HANG_TIMEOUT, "it did not ask");
        std::thread::sleep(Duration::from_millis(20));
    }
    let address = env.json(&["gateway", "status"])["url"].clone();
    let gateway = real::gateway_of(&env);
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", gateway.as_raw_nonzero())).unwrap();
    let parent = stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().parse().unwrap();
    if without_file {
        std::fs::remove_file(&aiw).unwrap();
    }
    if with_supervisor {
        kill_process(Pid::from_raw(parent).unwrap(), Signal::KILL).unwrap();
    }
    kill_process(gateway, Signal::KILL).unwrap();
    std::fs::write(&killed, "").unwrap();
    let output = running.join().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said.matches("Hello").count(), 2, "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(env.json(&["gateway", "status"])["url"], address);
}
