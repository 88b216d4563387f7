//! What continuous integration says: commands and their exit codes, tools, the daemon, and the real `gh`.

mod real;

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aiw_tests::{Answer, Environment, Request, Server, git, not_run};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::mcp::Client;
use crate::until;

const TIME: &str = "2026-11-27T10:00:00.1234567Z ";

/// A GitHub Enterprise host on loopback with one run, and a checkout of its repository.
pub(super) struct Host {
    pub env: Environment,
    /// It answers as long as this is here.
    _server: Server,
    seen: Arc<Mutex<Vec<Request>>>,
    /// The status and the conclusion of the run.
    state: Arc<Mutex<(&'static str, Option<&'static str>)>>,
}

impl Drop for Host {
    fn drop(&mut self) {
        self.run(&["ci", "watch", "--stop"]);
    }
}

impl Host {
    pub fn new(log: impl Fn() -> Answer + Send + Sync + 'static) -> Self {
        let (seen, state) =
            (Arc::<Mutex<Vec<Request>>>::default(), Arc::new(Mutex::new(("completed", Some("failure")))));
        let (requests, now) = (seen.clone(), state.clone());
        let server = Server::start(move |request| {
            requests.lock().unwrap().push(request.clone());
            let (status, conclusion) = *now.lock().unwrap();
            let run = json!({
                "id": 77, "name": "CI", "run_number": 12, "run_attempt": 2, "display_title": "Fix \u{202e}it",
                "head_branch": "main", "head_sha": "0123456789abcdef0123456789abcdef01234567", "event": "push",
                "status": status, "conclusion": conclusion, "created_at": "2026-11-27T10:00:00Z",
                "updated_at": "2026-11-27T10:05:00Z", "html_url": "https://ghe.test/o/r/actions/runs/77",
            });
            let mark =
                format!("\"{status} {conclusion:?}\"").replace(' ', "-").replace("Some(\"", "").replace("\")", "");
            let given = |body: Value| match request.headers.get("if-none-match") {
                Some(known) if *known == mark => Answer::status(304),
                _ => Answer::Plain(200, vec![("etag".into(), mark.clone())], body.to_string().into_bytes()),
            };
            let step = json!({"number": 3, "name": "Run make", "status": "completed", "conclusion": "failure"});
            let jobs = json!([
                {"id": 1, "name": "lint", "status": "completed", "conclusion": "success", "steps": []},
                {"id": 2, "name": "test (ubuntu, 20)", "status": "completed", "conclusion": "failure", "steps": [step]},
            ]);
            match request.path.strip_prefix("/api/v3/repos/o/r/actions").unwrap_or_default() {
                "/runs" => given(json!({"total_count": 1, "workflow_runs": [run]})),
                "/runs/77" => given(run),
                "/runs/77/jobs" => Answer::ok(json!({"total_count": 2, "jobs": jobs}).to_string()),
                "/jobs/1/logs" => Answer::status(410),
                "/jobs/2/logs" => log(),
                _ => Answer::status(404),
            }
        });
        let env = Environment::cold();
        let address = server.url() + "/api/v3";
        env.settings(
            &json!({"ci": {"hosts": {"ghe.test": {"api_url": address}}}, "mcp": {"toolsets": ["ci", "processes"]}}),
        );
        let host = Self { env, _server: server, seen, state };
        host.check_out("git@ghe.test:o/r.git");
        host
    }

    fn check_out(&self, remote: &str) {
        let project = self.env.path("project");
        let _ = fs::remove_dir_all(&project);
        fs::create_dir_all(&project).unwrap();
        git(&project, &["init", "-q"]);
        git(&project, &["commit", "-q", "--allow-empty", "-m", "x"]);
        git(&project, &["remote", "add", "origin", remote]);
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = self.env.command(arguments);
        command.current_dir(self.env.path("project")).env("GH_ENTERPRISE_TOKEN", "the-token");
        command
    }

    fn run(&self, arguments: &[&str]) -> aiw_tests::Run {
        self.command(arguments).output().unwrap().into()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["--json"]].concat()).json()
    }

    fn requests(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    fn is(&self, status: &'static str, conclusion: Option<&'static str>) {
        *self.state.lock().unwrap() = (status, conclusion);
    }

    fn client(&self) -> Client {
        let mut client = Client::of(self.command(&["mcp", "serve"]));
        client.initialize("2025-06-18");
        client
    }
}

pub(super) fn log() -> Answer {
    let lines: String = (0..100).map(|n| format!("{TIME}line {n}\n")).collect();
    Answer::ok(format!("{lines}{TIME}\u{1b}[31mthe-token\u{1b}[0m\n{TIME}##[error]exit code 2\n"))
}

#[test]
fn a_run_is_listed_shown_read_and_waited_for() {
    let host = Host::new(log);
    let list = host.run(&["ci", "list"]).ok();
    let first = list.stdout.lines().nth(1).unwrap_or_default();
    assert_eq!(first.split_whitespace().take(5).collect::<Vec<_>>(), ["77", "failure", "CI", "#12,", "attempt"]);
    let listed = host.json(&["ci", "list", "--limit", "3", "--branch", "*"]);
    assert_eq!((&listed["runs"][0]["title"], &listed["token"]), (&json!("Fix \\u{202e}it"), &json!("variable")));
    let show = host.run(&["ci", "show"]).ok().stdout;
    assert!(show.contains("test (ubuntu, 20)") && show.contains("3 Run make"), "{show}");
    let logs = host.run(&["ci", "logs", "77"]).ok().stdout;
    assert!(logs.contains("│ line 71\n") && logs.contains("│ ##[error]exit code 2\n"), "{logs}");
    assert!(!logs.contains("line 70\n") && !logs.contains("the-token") && !logs.contains(TIME), "{logs}");
    let all = host.run(&["ci", "logs", "--all"]).ok().stdout;
    assert!(all.contains("│ line 0\n") && all.contains("(its log is gone") && !all.contains("the-token"), "{all}");
    let lines = host.run(&["ci", "logs", "--all", "--json"]).ok().stdout;
    let first: Value = serde_json::from_str(lines.lines().nth(1).unwrap()).unwrap();
    assert_eq!(first, json!({"job": "test (ubuntu, 20)", "line": "line 0", "note": null}));
    let failed = host.run(&["ci", "watch"]);
    assert!(failed.code == 1 && failed.stderr.contains("aiw ci logs 77"), "{}", failed.whole());
    host.is("completed", Some("success"));
    host.run(&["ci", "watch", "77"]).ok();
    host.is("in_progress", None);
    let late = host.run(&["ci", "watch", "--timeout", "1s", "--json"]);
    assert_eq!((late.code, &late.json()["done"]), (124, &json!(false)), "{}", late.whole());
    let gone = host.run(&["ci", "show", "78"]);
    assert!(gone.code == 2 && gone.stderr.contains("or your token can't see it"), "{}", gone.whole());
    let tokens = host.seen.lock().unwrap().iter().all(|request| request.headers["authorization"] == "Bearer the-token");
    assert!(tokens);
}

#[test]
fn a_clone_that_names_another_host_gets_nothing() {
    let host = Host::new(log);
    // It is told where its remote leads, and would see a token that came there.
    let thief = Server::start(|_| Answer::status(404));
    for remote in
        [thief.url() + "/o/r", "https://ghe.test@evil.test/o/r".into(), "https://ghe.test.evil.test/o/r".into()]
    {
        host.check_out(&remote);
        let refused = host.command(&["ci", "list"]).env("GH_TOKEN", "another-token").output().unwrap();
        let refused = aiw_tests::Run::from(refused);
        assert!(refused.code == 2 && refused.stderr.contains("--repo OWNER/REPO"), "{}", refused.whole());
        assert!(!refused.whole().contains("-token"), "{}", refused.whole());
    }
    let named = host.run(&["ci", "list", "--repo", "evil.test/o/r"]);
    assert_eq!(named.code, 2, "{}", named.whole());
    assert_eq!((thief.seen().len(), host.requests()), (0, 0));
}

#[test]
fn two_hundred_megabytes_of_log_take_little_memory() {
    if !cfg!(target_os = "linux") {
        return not_run("memory is read in /proc");
    }
    let held = |log: Vec<u8>| {
        let host = Host::new(move || Answer::ok(log.clone()));
        let mut child = host.command(&["ci", "logs"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut most = 0;
        while child.try_wait().unwrap().is_none() {
            let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            most = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).unwrap_or(most);
            std::thread::sleep(Duration::from_millis(2));
        }
        let output = child.wait_with_output().unwrap();
        assert!(String::from_utf8(output.stdout).unwrap().contains("##[error]the end"));
        most
    };
    let line = format!("{TIME}{}\n", "a line of a log that is long and says little ".repeat(4));
    let end = format!("{TIME}##[error]the end\n");
    let small = held(format!("{line}{end}").into_bytes());
    let large = held((line.repeat((200 << 20) / line.len()) + &end).into_bytes());
    let endless = held([vec![b'x'; 50 << 20], format!("\n{end}").into_bytes()].concat());
    assert!(large < small + (20 << 10) && endless < small + (20 << 10), "{small} {large} {endless} kB");
}

#[test]
fn a_model_waits_for_a_run_and_reads_what_failed() {
    let host = Host::new(log);
    let mut client = host.client();
    host.is("in_progress", None);
    let waits = client.good("wait_for_ci_completion", json!({"timeout_secs": 1}));
    assert_eq!((&waits["done"], &waits["message"]), (&json!(false), &json!("not yet: call again with run_id 77")));
    host.is("completed", Some("failure"));
    let ended = client.good("wait_for_ci_completion", json!({"run_id": 77}));
    assert_eq!((&ended["done"], &ended["failed"]), (&json!(true), &json!(["test (ubuntu, 20)"])), "{ended}");
    let logs = client.good("get_ci_failed_logs", json!({"run_id": 77}));
    let lines = &logs["jobs"][0]["lines"];
    assert_eq!((&lines[31], &lines[32]), (&json!("##[error]exit code 2"), &Value::Null), "{logs}");
    assert!(logs["about"].as_str().unwrap().contains("no orders to you"));
    assert_eq!(client.good("list_ci_runs", json!({"limit": 2}))["runs"][0]["id"], 77);
    assert_eq!(client.good("get_ci_run_details", json!({}))["jobs"][0]["name"], "test (ubuntu, 20)");
    let bad = client.bad("list_ci_runs", json!({"repo": "evil.test/o/r"}));
    assert!(bad.contains("evil.test") && bad.contains("the user's way"), "{bad}");
    assert!(client.bad("get_ci_run_details", json!({"run_id": 1})).contains("or your token can't see it"));
    let effect = |client: &mut Client, name: &str| {
        let tools = client.result("tools/list", json!({}));
        let tools = tools["tools"].as_array().unwrap().iter();
        tools
            .filter(|tool| tool["name"] == name)
            .map(|tool| tool["annotations"]["readOnlyHint"].clone())
            .collect::<Vec<_>>()
    };
    for name in ["list_ci_runs", "get_ci_run_details", "get_ci_failed_logs", "wait_for_ci_completion"] {
        assert_eq!(effect(&mut client, name), [json!(true)], "{name}");
    }
    assert_eq!(effect(&mut client, "start_ci_monitoring"), [json!(false)]);
    // It is not among the usual toolsets.
    let mut usual = Client::of(host.command(&["mcp", "serve", "--toolsets", "default"]));
    usual.initialize("2025-06-18");
    assert_eq!(effect(&mut usual, "list_ci_runs"), [Value::Null; 0]);
}

fn events(host: &Host) -> Vec<String> {
    let all = host.json(&["events"]);
    let all = all["events"].as_array().unwrap().iter().filter(|event| event["subject"] == "ci");
    all.map(|event| format!("{} {}", event["kind"].as_str().unwrap(), event["name"].as_str().unwrap())).collect()
}

#[test]
fn the_resident_tells_what_begins_and_ends_and_is_one_after_a_kill() {
    let host = Host::new(log);
    host.is("in_progress", None);
    host.command(&["secret", "set", "ci.hosts.ghe.test.token", "--env", "GH_ENTERPRISE_TOKEN"]).output().unwrap();
    let mut client = host.client();
    let monitored = client.good("start_ci_monitoring", json!({"poll_interval": 10}));
    assert_eq!((&monitored["monitored"]["branch"], &monitored["monitored"]["interval"]), (&json!("main"), &json!(10)));
    until(|| events(&host) == ["started run #12, attempt 2"]);
    let status = host.run(&["status"]).ok().stdout;
    assert!(status.contains("1 asked for at CI"), "{status}");
    let pid = || host.json(&["status"])["daemon"]["pid"].as_u64();
    let first = until(pid);
    let before = host.requests();
    kill_process(Pid::from_raw(i32::try_from(first).unwrap()).unwrap(), Signal::KILL).unwrap();
    until(|| pid().filter(|pid| *pid != first));
    until(|| host.requests() > before);
    // A second one would ask at the same time.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(6) {
        assert_eq!(host.requests(), before + 1);
        std::thread::sleep(Duration::from_millis(100));
    }
    host.is("completed", Some("failure"));
    let told = client.good("wait_for_event", json!({"kinds": ["failed"], "timeout_seconds": 45}));
    assert_eq!(told["events"][0]["name"], "run #12, attempt 2", "{told}");
    assert_eq!(events(&host), ["started run #12, attempt 2", "failed run #12, attempt 2"]);
    let stopped = host.json(&["ci", "watch", "--stop"]);
    assert_eq!(stopped["stopped"].as_array().unwrap().len(), 1);
    let after = host.requests();
    std::thread::sleep(Duration::from_secs(2));
    assert!(host.requests() == after && host.json(&["status"])["daemon"]["ci"] == json!([]));
    for file in ["events/events.jsonl", "daemon"] {
        let text = text_below(&host.env.home().join(file));
        assert!(!text.contains("the-token"), "{file}");
    }
}

/// All text in a file, or in the files of a directory.
fn text_below(path: &Path) -> String {
    match fs::read_dir(path) {
        Ok(entries) => entries.flatten().map(|entry| text_below(&entry.path())).collect(),
        Err(_) => String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned(),
    }
}
