//! `aiw web`: the dashboard of the built product, its server killed, its browser, and what a page does to the machine.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use aiw_tests::{Environment, not_run};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::mcp::Client;
use crate::processes::Project;
use crate::servers::{Servers, is_there};
use crate::until;

mod work;

/// A page with its session.
struct Page {
    port: u16,
    token: String,
}

/// Sends a request, and leaves its answer to the caller.
fn begin(port: u16, method: &str, path: &str, headers: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    let origin = format!("http://127.0.0.1:{port}");
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\norigin: {origin}\r\nsec-fetch-site: same-origin\r\n\
         sec-fetch-mode: cors\r\nsec-fetch-dest: empty\r\ncontent-type: application/json\r\nconnection: close\r\n\
         {headers}{length}\r\n{body}"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

fn ask(port: u16, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
    let mut answer = Vec::new();
    let _ = begin(port, method, path, headers, body).read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, body.to_owned())
}

impl Page {
    /// Opens an address as a browser does.
    fn open(address: &str) -> Self {
        let (origin, code) = address.trim().split_once("/#code=").unwrap_or_else(|| panic!("no code in {address}"));
        let code = code.split('&').next().unwrap();
        let port = origin.rsplit_once(':').unwrap().1.parse().unwrap();
        let (status, body) = ask(port, "POST", "/api/v1/session", "", &json!({ "code": code }).to_string());
        assert_eq!(status, 200, "{body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        Self { port, token: answer["token"].as_str().unwrap().to_owned() }
    }

    fn headers(&self) -> String {
        format!("authorization: Bearer {}\r\n", self.token)
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let (status, body) = ask(self.port, method, &format!("/api/v1{path}"), &self.headers(), body);
        (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
    }

    /// Answers a question of a request with yes.
    fn agree(&self, method: &str, path: &str, body: &Value) -> (Value, Value) {
        let (status, asked) = self.ask(method, path, &body.to_string());
        assert_eq!(status, 409, "{method} {path}: {asked}");
        let mut again = body.clone();
        again["person"] = json!({ asked["ask"]["digest"].as_str().unwrap(): {"yes": true} });
        (asked["ask"].clone(), self.good(method, path, &again))
    }

    fn good(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if method == "GET" { String::new() } else { body.to_string() };
        let (status, answer) = self.ask(method, path, &body);
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }
}

/// Ends the dashboard of a test with it.
struct Ended<'a>(&'a Environment);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        let _ = self.0.run(&["web", "stop"]);
    }
}

/// Returns the process that serves the dashboard of a home. Between two lives there is none.
fn server(env: &Environment) -> Option<u32> {
    u32::try_from(record(env)["child"]["pid"].as_u64()?).ok()
}

/// Returns what its supervisor writes of it.
fn record(env: &Environment) -> Value {
    let root = env.home().join("web");
    let record = fs::read_dir(&root).unwrap().flatten().map(|entry| entry.path().join("web.json"));
    let record = record.into_iter().find(|path| path.is_file()).unwrap();
    serde_json::from_slice(&fs::read(record).unwrap()).unwrap()
}

#[test]
fn a_dashboard_in_the_background_outlives_its_death_and_ends_when_told() {
    let env = Environment::new();
    let _ended = Ended(&env);
    assert_eq!(env.json(&["web", "status"])["running"], false);
    let page = Page::open(&env.run(&["web", "-d"]).ok().stdout);
    assert_eq!(page.good("GET", "/status", &Value::Null)["running"], 0);
    for _ in 0..3 {
        let pid = until(|| server(&env));
        kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL).unwrap();
        until(|| {
            let is_new = server(&env).is_some_and(|now| now != pid);
            is_new.then(|| TcpStream::connect(("127.0.0.1", page.port)).ok()).flatten()
        });
        // The same address, and it knows its page.
        assert_eq!(page.good("GET", "/status", &Value::Null)["running"], 0);
    }
    // A second one points at the first, and no other port is taken.
    let second = Page::open(env.json(&["web"])["url"].as_str().unwrap());
    assert_eq!(second.port, page.port);
    let elsewhere = env.run(&["web", "-d", "--port", "1"]);
    assert_eq!(elsewhere.code, 2, "{}", elsewhere.whole());
    assert_eq!(env.json(&["web", "stop"])["stopped"], true);
    assert!(TcpStream::connect(("127.0.0.1", page.port)).is_err());
    let again = Page::open(&env.run(&["web", "-d", "--port", &page.port.to_string()]).ok().stdout);
    assert_eq!((page.ask("GET", "/status", "").0, again.ask("GET", "/status", "").0), (401, 200));
}

#[test]
fn it_opens_in_the_project_of_the_command_and_lists_those_it_was_opened_in() {
    let env = Environment::new();
    let _ends = Ended(&env);
    let address = |directory: &Path| {
        fs::create_dir_all(directory).unwrap();
        let run = env.command(&["web", "-d"]).current_dir(directory).output().unwrap();
        String::from_utf8(run.stdout).unwrap().trim().to_owned()
    };
    let (one, other) = (env.path("first project"), env.path("other"));
    let addresses = [address(&one), address(&other)];
    assert!(addresses[0].ends_with("first%20project") && addresses[1].ends_with("other"), "{addresses:?}");
    let pages = addresses.map(|address| Page::open(&address));
    let projects = pages[1].good("GET", "/projects", &Value::Null)["projects"].clone();
    assert_eq!(projects, json!([one, other]));
    let path = format!("/processes?project={}", other.display().to_string().replace('/', "%2F"));
    pages[1].good("GET", &path, &Value::Null);
    // Its sessions are over with it.
    assert_eq!(env.json(&["web", "stop"])["stopped"], true);
    let again = Page::open(&env.run(&["web", "-d", "--port", &pages[0].port.to_string()]).ok().stdout);
    assert_eq!((again.port, pages[0].ask("GET", "/status", "").0), (pages[0].port, 401));
}

#[test]
fn it_starts_at_login_by_a_file_that_is_shown_first() {
    let env = Environment::new();
    let on = |command: &str| env.json(&["web", "autostart", command]);
    assert_eq!(on("status")["on"], false);
    assert_eq!(env.run(&["web", "autostart", "enable"]).code, 2);
    let enabled = env.json(&["web", "autostart", "enable", "--yes"]);
    let file = PathBuf::from(enabled["file"].as_str().unwrap());
    let text = fs::read_to_string(&file).unwrap();
    assert!(enabled["on"] == true && text.contains("web --no-open") && text.contains("AIW_HOME="), "{text}");
    // A file of somebody else's is left alone.
    fs::write(&file, "[Service]\n").unwrap();
    assert_eq!(env.run(&["web", "autostart", "disable"]).code, 2);
    fs::write(&file, text).unwrap();
    assert_eq!(on("disable")["on"], false);
    assert!(!file.exists());
}

/// Puts a program in the place of the user's browser. It writes down what it is started with.
fn browser(env: &mut Environment) -> PathBuf {
    let (program, told) = (env.path("browser"), env.path("opened"));
    fs::write(&program, format!("#!/bin/sh\nprintf '%s\\n' \"$@\" > {0}.new\nmv {0}.new {0}\n", told.display()))
        .unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    env.set("BROWSER", program.display().to_string());
    told
}

/// Returns the address that a browser is led to.
fn led_to(told: &Path) -> String {
    let arguments = until(|| fs::read_to_string(told).ok());
    assert!(!arguments.contains("code"), "a command line with a code: {arguments}");
    let page = PathBuf::from(arguments.trim());
    assert_eq!(fs::metadata(&page).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&page).unwrap();
    text.split("url=").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

#[test]
fn a_browser_is_led_there_by_a_file_that_only_its_user_reads() {
    let mut env = Environment::new();
    let told = browser(&mut env);
    let env = env;
    let _ended = Ended(&env);
    let run = env.run(&["web", "-d", "--open"]).ok();
    assert!(!run.stdout.contains("code") && run.stderr.contains("Your browser opens"), "{}", run.whole());
    Page::open(&led_to(&told)).good("GET", "/overview", &Value::Null);
}

#[test]
fn where_no_browser_opens_the_address_is_printed() {
    let mut env = Environment::new();
    env.set("BROWSER", "false");
    let env = env;
    let _ended = Ended(&env);
    let run = env.run(&["web", "-d", "--open"]).ok();
    assert!(!run.stderr.contains("Your browser opens"), "{}", run.whole());
    Page::open(&run.stdout);
}

#[test]
fn many_at_once_start_one_and_each_gets_a_code() {
    let env = Environment::new();
    let _ended = Ended(&env);
    let runs: Vec<_> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..20).map(|_| scope.spawn(|| env.run(&["web", "-d"]).ok().stdout)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let ports: BTreeSet<u16> = runs.iter().map(|address| Page::open(address).port).collect();
    assert_eq!(ports.len(), 1, "{runs:?}");
}

#[test]
fn whoever_leaves_keeps_nobody_waiting() {
    let env = Environment::new();
    env.write_mcp(r#"{"mcpServers": {"hangs": {"command": "sleep", "args": ["1000"]}}}"#);
    let _ended = Ended(&env);
    let page = Page::open(&env.run(&["web", "-d"]).ok().stdout);
    let hang = || {
        let mut stream = TcpStream::connect(("127.0.0.1", page.port)).unwrap();
        let head = format!(
            "POST /api/v1/servers/hangs/tools HTTP/1.1\r\nhost: 127.0.0.1:{0}\r\norigin: http://127.0.0.1:{0}\r\n\
             sec-fetch-site: same-origin\r\nsec-fetch-mode: cors\r\nsec-fetch-dest: empty\r\n\
             content-type: application/json\r\nauthorization: Bearer {1}\r\n\r\n",
            page.port, page.token
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    let calls: Vec<TcpStream> = (0..16).map(|_| hang()).collect();
    let is_busy = || page.ask("POST", "/servers/nobody/enable", "").0 == 429;
    until(is_busy);
    drop(calls);
    // The server itself is given up only after a minute.
    let left = Instant::now();
    while is_busy() {
        assert!(left.elapsed() < Duration::from_secs(30), "calls that nobody waits for go on");
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn one_that_crashes_again_and_again_is_ended_between_two_lives() {
    let env = Environment::new();
    let _ended = Ended(&env);
    env.run(&["web", "-d"]).ok();
    // The pause before the next life grows with each end.
    for _ in 0..7 {
        let pid = until(|| server(&env));
        kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL).unwrap();
        until(|| server(&env) != Some(pid));
    }
    assert_eq!(env.json(&["web", "stop"])["stopped"], true);
    assert_eq!(record(&env)["state"], "ended");
    assert_eq!(env.json(&["web", "status"])["running"], false);
}

#[test]
fn a_model_opens_it_for_the_user_and_gets_no_code() {
    let mut project = Project::new("process \"web\" { command \"sleep\" \"600\" }");
    let told = browser(&mut project.env);
    let project = project;
    let _ended = Ended(&project.env);
    let mut client = Client::start_with(&project.env, &["mcp", "serve", "--toolsets", "processes"]);
    client.initialize("2025-06-18");
    let answer = client.good("open_web_console", json!({}));
    assert_eq!(answer["opened"], true, "{answer}");
    assert!(!answer.to_string().contains("code"), "{answer}");
    let page = Page::open(&led_to(&told));
    assert!(answer["url"].as_str().unwrap().ends_with(&format!(":{}", page.port)));
    let closed = client.good("open_web_console", json!({"auto_open": false}));
    assert_eq!(closed["opened"], false);
}

#[test]
fn what_a_page_does_happens_on_this_machine() {
    let project = Project::new("process \"web\" { shell \"echo up; exec sleep 600\" }");
    let env = &project.env;
    let _ended = Ended(env);
    project.env.run(&["up", "-d", "--yes"]).ok();
    project.env.run(&["down"]).ok();
    let page = Page::open(&project.env.run(&["web", "-d"]).ok().stdout);
    page.good("POST", "/processes/web/start", &json!({}));
    let ps: Value = serde_json::from_str(&project.env.run(&["ps", "--json"]).ok().stdout).unwrap();
    assert_eq!(ps["processes"][0]["state"], "running", "{ps}");
    until(|| {
        let log = page.good("GET", "/processes/web/log", &Value::Null);
        let lines = log["lines"].as_array().unwrap();
        let up = lines.iter().find(|line| line["text"] == "up")?.clone();
        // As `aiw logs --json` prints it, and beside it what aiw says.
        let printed: Value = serde_json::from_str(&project.env.run(&["logs", "web", "--json"]).ok().stdout).unwrap();
        assert!(printed["lines"].as_array().unwrap().contains(&up), "{up}: {printed}");
        assert!(up["stream"] == "stdout" && up["time"].as_str().unwrap().ends_with('Z'), "{up}");
        assert!(lines.iter().any(|line| line["stream"] == "aiw"), "{log}");
        Some(())
    });
    page.good("POST", "/processes/web/stop", &json!({}));
    let ps: Value = serde_json::from_str(&project.env.run(&["ps", "--json"]).ok().stdout).unwrap();
    assert_ne!(ps["processes"][0]["state"], "running", "{ps}");
    // What somebody else starts is told.
    let mut stream = TcpStream::connect(("127.0.0.1", page.port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let head = format!(
        "GET /api/v1/events?topics=processes HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nsec-fetch-site: same-origin\r\n\
         sec-fetch-mode: cors\r\nsec-fetch-dest: empty\r\nauthorization: Bearer {}\r\n\r\n",
        page.port, page.token
    );
    stream.write_all(head.as_bytes()).unwrap();
    sleep(Duration::from_millis(300));
    project.env.run(&["process", "start", "web"]).ok();
    let (mut heard, mut bytes) = (String::new(), [0; 4096]);
    while !heard.contains("\"topics\":[\"processes\"]") {
        let count = stream.read(&mut bytes).unwrap();
        assert!(count > 0, "{heard}");
        heard.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
}

const CITY: &str = "async function workflow(input) {
  return { city: (await tools.one__echo({ city: input.city })).city };
}";
const SLOW: &str = "async function workflow(input) {
  return await tools.one__slow({ seconds: 600 });
}";

fn save(env: &Environment, name: &str, code: &str) {
    let script = env.path("script.js");
    fs::write(&script, code).unwrap();
    env.run(&["workflow", "save", name, &script.display().to_string(), "--description", "Does a job"]).ok();
}

#[test]
fn a_workflow_runs_from_its_page_and_ends_with_it() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("one", &[]).known();
    let env = &servers.env;
    let _ended = Ended(env);
    save(env, "city", CITY);
    save(env, "slow", SLOW);
    let page = Page::open(&env.run(&["web", "-d"]).ok().stdout);
    let run = json!({"input": {"city": "Oslo"}});
    // Nobody has seen it yet.
    let (status, refused) = page.ask("POST", "/workflows/city/run", &run.to_string());
    assert_eq!(status, 422, "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("has not been approved"), "{refused}");
    // To try it needs no approval, and only calls that read are let through.
    let tried = page.good("POST", "/workflows/city/test", &run);
    assert!(tried["result"] == json!({"city": "Oslo"}) || tried["error"].is_string(), "{tried}");
    for name in ["city", "slow"] {
        let (asked, approved) = page.agree("POST", &format!("/workflows/{name}/approve"), &json!({}));
        assert!(asked["text"].as_str().unwrap().contains("tools.one__"), "{asked}");
        assert_eq!(approved["state"], "approved", "{approved}");
    }
    let ran = page.good("POST", "/workflows/city/run", &run);
    assert_eq!((&ran["result"], &ran["calls"][0]["tool"]), (&json!({"city": "Oslo"}), &json!("one__echo")), "{ran}");
    let runs = page.good("GET", "/runs?workflow=city", &Value::Null);
    assert_eq!(runs["runs"][0]["calls"][0]["tool"], "one__echo", "{runs}");
    assert_eq!(runs, env.json(&["workflow", "runs", "--workflow", "city"]));
    // Whoever leaves stops it.
    let before = servers.starts("one").len();
    let stream = begin(page.port, "POST", "/api/v1/workflows/slow/run", &page.headers(), "{}");
    until(|| servers.starts("one").get(before..).is_some_and(|new| new.iter().any(|start| is_there(&start["pid"]))));
    drop(stream);
    until(|| servers.processes().into_iter().all(|pid| !is_there(pid)));
}

#[test]
fn pools_and_budgets_are_set_after_a_plan_and_are_those_of_the_command_line() {
    let env = Environment::new();
    let _ended = Ended(&env);
    let page = Page::open(&env.run(&["web", "-d"]).ok().stdout);
    for (name, preset) in [("one", "anthropic"), ("two", "deepseek")] {
        env.run(&["provider", "add", name, "--preset", preset, "--token-env", "KEY"]).ok();
    }
    let pool = json!({"name": "work", "members": ["one", "two=deepseek-chat"], "strategy": "round-robin"});
    let (asked, _) = page.agree("POST", "/pools", &pool);
    assert_eq!(asked["details"], json!(["work: one, two=deepseek-chat", "strategy: round-robin"]));
    assert_eq!(env.json(&["pool", "show", "work"])["pool"]["strategy"], "round-robin");
    let budget = json!({"name": "daily", "usd": "20", "per": "day", "provider": "work", "block": true});
    let (asked, set) = page.agree("POST", "/budgets", &budget);
    assert_eq!(asked["details"], json!(["budget `daily`: $20.00 a day for work, then blocks"]));
    assert_eq!(set["budget"], env.json(&["budget", "list"])["budgets"][0]);
    // One that is replaced is shown.
    let (asked, _) = page.agree("POST", "/budgets", &json!({"name": "daily", "tokens": 5000}));
    assert_eq!(asked["details"][1], "in place of budget `daily`: $20.00 a day for work, then blocks");
    for (bad, status) in [
        (json!({"name": "a b", "usd": "1"}), 400),
        (json!({"name": "a", "usd": "1", "tokens": 1}), 400),
        (json!({"name": "a", "usd": "much"}), 400),
        (json!({"name": "a", "usd": "1", "provider": "nobody"}), 422),
    ] {
        assert_eq!(page.ask("POST", "/budgets", &bad.to_string()).0, status, "{bad}");
    }
    page.good("DELETE", "/budgets/daily", &json!({}));
    page.good("DELETE", "/pools/work", &json!({}));
    assert_eq!(env.json(&["budget", "list"])["budgets"], json!([]));
    assert_eq!(env.json(&["pool", "list"])["pools"], json!([]));
}

#[test]
fn a_page_finds_tools_and_holds_to_a_profile_as_the_command_does() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("one", &[]).with("two", &[]).known();
    let env = &servers.env;
    let _ended = Ended(env);
    let page = Page::open(&env.run(&["web", "-d"]).ok().stdout);
    let found = page.good("POST", "/route", &json!({"request": "sleep and report progress", "limit": 3}));
    let same = env.json(&["mcp", "route", "--limit", "3", "sleep and report progress"]);
    assert_eq!((&found["tools"], &found["total_tools"]), (&same["tools"], &same["total_tools"]), "{found}");
    assert_eq!(found["tools"][0]["tool"], "slow", "{found}");
    page.good("POST", "/profiles", &json!({"name": "reader", "allow": ["one/echo"]}));
    assert_eq!(page.good("GET", "/profiles", &Value::Null)["profiles"][0]["allow"], json!(["one/echo"]));
    let shown = page.good("POST", "/profiles/reader/tools", &json!({}));
    assert_eq!(shown, env.json(&["mcp", "profile", "show", "reader"]));
    assert_eq!(shown["profile"]["tools"], json!(["one/echo"]));
    // What it does not allow is neither found nor listed.
    let found = page.good("POST", "/route", &json!({"request": "sleep and report progress", "profile": "reader"}));
    assert_eq!((&found["total_tools"], &found["tools"]), (&json!(1), &json!([])), "{found}");
    let tools = page.good("POST", "/servers/one/tools?profile=reader", &json!({}));
    assert_eq!(tools["tools"].as_array().unwrap().len(), 1, "{tools}");
    page.good("DELETE", "/profiles/reader", &json!({}));
    assert_eq!(env.json(&["mcp", "profile", "list"])["profiles"], json!([]));
}

#[test]
fn a_key_in_the_address_of_a_server_is_shown_by_no_view() {
    let env = Environment::new();
    let _ended = Ended(&env);
    // It looks like no key; its name says that it is one.
    let address = "http://127.0.0.1:9/mcp?api_key=horse9&region=eu#token=horse9";
    let servers = json!({"mcpServers": {
        "far": {"type": "http", "url": address},
        "near": {"command": "npx", "args": ["mcp-remote", address]},
    }});
    env.write_mcp(&servers.to_string());
    let is_hidden = |said: &str| {
        assert!(!said.contains("horse9"), "{said}");
        assert!(said.contains("region=eu"), "{said}");
    };
    for arguments in [&["mcp", "list"][..], &["mcp", "show", "far"], &["mcp", "show", "near"]] {
        is_hidden(&env.run(arguments).ok().whole());
        is_hidden(&env.run(&[arguments, &["--json"]].concat()).ok().whole());
    }
    let page = Page::open(&env.run(&["web", "-d"]).ok().stdout);
    for path in ["/servers", "/servers/far", "/servers/near"] {
        is_hidden(&page.good("GET", path, &Value::Null).to_string());
    }
    let mut client = Client::initialized(&env);
    let said = client.call("call_tool", json!({"server": "far", "tool": "x", "arguments": {}})).to_string();
    assert!(!said.contains("horse9"), "{said}");
}

#[test]
fn ci_and_suggestions_say_why_there_are_none() {
    let project = Project::new("process \"web\" { shell \"echo up; exec sleep 600\" }");
    let _ended = Ended(&project.env);
    let page = Page::open(&project.env.run(&["web", "-d"]).ok().stdout);
    let (status, refused) = page.ask("GET", "/ci", "");
    let said = project.env.run(&["ci", "list"]);
    let message = refused["error"]["message"].as_str().unwrap_or_else(|| panic!("{refused}"));
    assert!(status != 200 && said.stderr.contains(message), "{refused} {}", said.whole());
    assert_eq!(page.ask("GET", "/ci/x", "").0, 400);
    assert_eq!(page.good("GET", "/suggestions", &Value::Null), json!({"suggestions": []}));
    assert_eq!(page.ask("POST", "/suggestions/none/accept", "{}").0, 422);
}

/// Returns a script of the page's tests with its browser, if there is one.
fn in_browser(script: &str) -> Option<Command> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/web/page");
    let chromium = std::env::var_os("AIW_TEST_CHROMIUM").map_or_else(|| "/usr/bin/chromium".into(), PathBuf::from);
    if !page.join("node_modules/playwright-core").is_dir() || !chromium.is_file() {
        not_run("the dashboard in a browser: `cargo xtask setup --tests` installs Chromium and playwright-core");
        return None;
    }
    let mut node = Command::new("node");
    node.arg(page.join("test").join(script)).env("AIW_TEST_CHROMIUM", chromium);
    Some(node)
}

#[test]
fn a_page_comes_back_with_what_happened_while_its_server_was_dead() {
    let Some(mut node) = in_browser("again.mjs") else { return };
    let text = "process \"web\" { command \"sleep\" \"600\" }; process \"late\" { command \"sleep\" \"600\" }";
    let project = Project::new(text);
    let _ended = Ended(&project.env);
    project.env.run(&["up", "-d", "--yes", "web"]).ok();
    let addresses = [(); 2].map(|()| project.env.run(&["web", "-d"]).ok().stdout.trim().to_owned());
    let mut node =
        node.args(addresses).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(node.stdout.take().unwrap());
    let mut first = String::new();
    said.read_line(&mut first).unwrap();
    assert_eq!(first, "ready\n", "{}", std::io::read_to_string(node.stderr.take().unwrap()).unwrap());
    let server = Pid::from_raw(i32::try_from(until(|| server(&project.env))).unwrap()).unwrap();
    // It tells nobody of what happens from now on.
    kill_process(server, Signal::STOP).unwrap();
    project.env.run(&["process", "start", "late"]).ok();
    kill_process(server, Signal::KILL).unwrap();
    drop(node.stdin.take());
    let said = std::io::read_to_string(said).unwrap();
    assert!(node.wait().unwrap().success(), "{said}");
}

#[test]
fn a_server_of_another_user_gets_no_session_from_a_browser() {
    let Some(mut node) = in_browser("thief.mjs") else { return };
    let env = Environment::new();
    let _ended = Ended(&env);
    let address = env.run(&["web", "-d"]).ok().stdout;
    let port = address.trim().split_once("/#").unwrap().0.rsplit_once(':').unwrap().1.to_owned();
    let mut node =
        node.arg(address.trim()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = node.stdin.take().unwrap();
    let mut said = BufReader::new(node.stdout.take().unwrap());
    let mut all = String::new();
    let mut until_it_says = |word: &str| {
        loop {
            let mut line = String::new();
            let is_end = said.read_line(&mut line).unwrap() == 0;
            all.push_str(&line);
            if is_end || line.trim_end() == word {
                return all.clone();
            }
        }
    };
    until_it_says("up");
    // It ends as nothing of it can forget a session.
    let pids = [record(&env)["shim"]["pid"].as_u64(), server(&env).map(u64::from)];
    for pid in pids.map(|pid| Pid::from_raw(i32::try_from(pid.unwrap()).unwrap()).unwrap()) {
        let _ = kill_process(pid, Signal::KILL);
    }
    until(|| TcpStream::connect(("127.0.0.1", port.parse::<u16>().unwrap())).err());
    let _ = writeln!(input, "down");
    until_it_says("taken");
    let again = env.run(&["web", "-d"]).ok().stdout;
    let _ = writeln!(input, "{}", again.trim());
    let said = until_it_says("its end");
    let complained = std::io::read_to_string(node.stderr.take().unwrap()).unwrap();
    assert!(node.wait().unwrap().success(), "{said}{complained}");
}

#[test]
fn every_page_works_in_a_browser() {
    let Some(mut node) = in_browser("browser.mjs") else { return };
    let project = Project::new("process \"web\" { shell \"echo up; exec sleep 600\" }");
    let _ended = Ended(&project.env);
    let address = project.env.run(&["web", "-d"]).ok().stdout;
    let fresh = project.env.run(&["web", "-d"]).ok().stdout;
    let run = node.arg(address.trim()).env("AIW_FRESH_ADDRESS", fresh.trim()).output().unwrap();
    let said = [run.stdout, run.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(run.status.success(), "{said}");
}
