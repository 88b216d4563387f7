//! The real Claude Code with our hooks, against a scripted model, and the real Codex and Gemini CLI.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aiw_tests::{Environment, ModelApi, Run, git, not_run, python, real_cli};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{hits, indexers};

pub struct Client {
    pub env: Environment,
    pub api: ModelApi,
    pub program: PathBuf,
    pub project: PathBuf,
}

impl Client {
    pub fn new(name: &str, turns: &Value) -> Option<Self> {
        let Some(program) = real_cli(name) else {
            not_run(&format!("{name} is absent"));
            return None;
        };
        let Some(api) = ModelApi::start(turns) else {
            not_run("python3 is absent");
            return None;
        };
        let mut env = Environment::new();
        let project = env.path("project");
        fs::create_dir_all(&project).unwrap();
        git(&project, &["init", "-q"]);
        for (name, value) in [
            ("ANTHROPIC_BASE_URL", api.url()),
            ("ANTHROPIC_API_KEY", "the-key"),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
            ("CLAUDE_CODE_MAX_RETRIES", "1"),
            ("DISABLE_AUTOUPDATER", "1"),
            ("IS_SANDBOX", "1"),
            ("GOOGLE_GEMINI_BASE_URL", api.url()),
            ("GEMINI_API_KEY", "the-key"),
            ("GEMINI_CLI_TRUST_WORKSPACE", "true"),
            ("TERM", "xterm-256color"),
        ] {
            env.set(name, value);
        }
        Some(Self { env, api, program, project })
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.env.program(&self.program);
        command.args(arguments).current_dir(&self.project);
        command
    }

    fn run(&self, arguments: &[&str]) -> Run {
        Run::from(self.command(arguments).output().unwrap())
    }

    /// Claude Code with a prompt; returns what it answers.
    fn claude(&self, arguments: &[&str]) -> String {
        let all: Vec<&str> = arguments.iter().copied().chain(["--dangerously-skip-permissions"]).collect();
        let run = self.run(&all);
        assert_eq!((run.code, run.stderr.contains("hook")), (0, false), "{}", run.whole());
        run.stdout
    }

    /// Whether a session's transcript says that it was compacted.
    fn has_compacted(&self, session: &str, trigger: &str) -> bool {
        let projects = fs::read_dir(self.env.user().join(".claude/projects")).unwrap().flatten();
        let texts =
            projects.filter_map(|project| fs::read_to_string(project.path().join(format!("{session}.jsonl"))).ok());
        texts.into_iter().any(|text| {
            text.lines().any(|line| {
                line.contains("\"compact_boundary\"") && line.contains(&format!("\"trigger\":\"{trigger}\""))
            })
        })
    }

    /// The messages with a word, once the indexer has read what was queued.
    pub fn found(&self, word: &str) -> Vec<(String, String)> {
        let start = Instant::now();
        loop {
            let found = hits(&self.env, word);
            if !found.is_empty() || start.elapsed() > aiw_tests::HANG_TIMEOUT {
                let text = |hit: &Value, key: &str| hit[key].as_str().unwrap().to_owned();
                return found.iter().map(|hit| (text(hit, "session"), text(hit, "role"))).collect();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

const S1: &str = "11111111-1111-4111-8111-111111111111";
const S2: &str = "22222222-2222-4222-8222-222222222222";
const S3: &str = "33333333-3333-4333-8333-333333333333";

#[test]
fn each_message_of_claude_code_is_found_once_in_the_right_session() {
    let turns = json!([
        {"match": "plainask", "text": "plainanswer"},
        {"match": "continueask", "text": "continueanswer"},
        {"match": "toolask", "offers": "^Bash$", "text": "toolstart", "tools": [{"name": "Bash", "input": {"command": "echo toolresult$((40+2))", "description": "d"}}]},
        {"result": "toolresult42", "text": "toolanswer"},
        {"match": "agentask", "offers": "^Agent$", "text": "agentstart", "tools": [{"name": "Agent", "input": {"description": "Look", "prompt": "subprompt", "subagent_type": "general-purpose"}}]},
        {"match": "subprompt", "text": "subanswer"},
        // The tool answers at once; what the agent says comes as a notification.
        {"match": "agentask", "result": ".", "text": "agentwaits"},
        {"match": "<result>subanswer</result>", "text": "agentanswer"},
        {"match": "forkask", "text": "forkanswer"},
        {"match": "afterask", "text": "afteranswer"},
        {"match": "termask", "text": "termanswer", "delay": 120}
    ]);
    let Some(client) = Client::new("claude", &turns) else { return };
    client.env.run(&["history", "hooks", "install"]).ok();
    assert_eq!(client.claude(&["-p", "plainask", "--session-id", S1]).trim(), "plainanswer");
    assert_eq!(client.claude(&["-p", "continueask", "--continue"]).trim(), "continueanswer");
    assert_eq!(client.claude(&["-p", "toolask", "--session-id", S2]).trim(), "toolanswer");
    let said = client.claude(&["-p", "agentask", "--resume", S2]);
    assert!(said.trim().ends_with("agentanswer"), "{said}");
    let fork = client.claude(&["-p", "forkask", "--resume", S1, "--fork-session", "--output-format", "json"]);
    let fork: Value = serde_json::from_str(&fork).unwrap();
    let fork = fork["session_id"].as_str().unwrap();
    client.claude(&["-p", "/compact keep the code word", "--resume", S1]);
    assert_eq!(client.claude(&["-p", "afterask", "--resume", S1]).trim(), "afteranswer");
    assert!(client.has_compacted(S1, "manual"));
    // Ended while the model answers.
    let mut child = client.command(&["-p", "termask", "--session-id", S3]).spawn().unwrap();
    let start = Instant::now();
    while !client.api.requests().iter().any(|request| request["body"].to_string().contains("termask")) {
        assert!(start.elapsed() < aiw_tests::HANG_TIMEOUT, "claude does not ask");
        std::thread::sleep(Duration::from_millis(50));
    }
    kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), Signal::TERM).unwrap();
    assert!(!child.wait().unwrap().success());
    let once = |session: &str, role: &str| vec![(session.to_owned(), role.to_owned())];
    for (word, session, role) in [
        ("plainask", S1, "user"),
        ("plainanswer", S1, "assistant"),
        ("continueask", S1, "user"),
        ("continueanswer", S1, "assistant"),
        ("toolask", S2, "user"),
        ("toolstart", S2, "assistant"),
        ("toolresult42", S2, "tool"),
        ("toolanswer", S2, "assistant"),
        ("agentask", S2, "user"),
        ("agentstart", S2, "assistant"),
        ("agentwaits", S2, "assistant"),
        ("agentanswer", S2, "assistant"),
        ("forkask", fork, "user"),
        ("forkanswer", fork, "assistant"),
        ("afterask", S1, "user"),
        ("afteranswer", S1, "assistant"),
        ("termask", S3, "user"),
    ] {
        assert_eq!(client.found(word), once(session, role), "{word}");
    }
    // What a subagent is asked is also the argument of a call, in the session that started it. Its answer comes in a
    // notification, which is nobody's message.
    for (word, times) in [("subprompt", 2), ("subanswer", 1)] {
        let found = client.found(word);
        assert_eq!(found.len(), times, "{word}: {found:?}");
        assert!(found.iter().all(|(session, _)| session == S2), "{word}: {found:?}");
    }
    // Hooks left nothing to an import, and nothing is there twice.
    assert_eq!(client.env.json(&["history", "import", "--all"])["messages"], 0);
    let doctor = client.env.json(&["history", "doctor"]);
    assert_eq!((&doctor["queued"], &doctor["skipped"]), (&json!(0), &json!([])), "{doctor}");
    assert_eq!(client.env.read("logs/history.log"), "");
}

#[test]
fn a_session_that_is_compacted_by_itself_is_found_once() {
    let big = (0..1700).map(|n| format!("line {n} of a long file about herons\n")).collect::<String>();
    let Some(client) = Client::new("claude", &json!([])) else { return };
    let file = client.project.join("big.txt");
    fs::write(&file, big).unwrap();
    let read = |from: u64| json!([{"name": "Read", "input": {"file_path": file, "offset": from}}]);
    let turns = json!([
        {"match": "autoask", "offers": "^Read$", "text": "autostart", "tools": read(1), "usage": {"input": 60_000, "output": 10}},
        {"result": "long file", "offers": "^Read$", "text": "autoagain", "tools": read(2), "usage": {"input": 120_000, "output": 10}},
        {"text": "autoanswer", "repeat": true}
    ]);
    let api = ModelApi::start(&turns).unwrap();
    let mut client = client;
    client.env.set("ANTHROPIC_BASE_URL", api.url());
    client.env.set("CLAUDE_CODE_AUTO_COMPACT_WINDOW", "100000");
    client.env.set("ANTHROPIC_MODEL", "claude-haiku-4-5");
    client.api = api;
    client.env.run(&["history", "hooks", "install"]).ok();
    client.claude(&["-p", "autoask", "--session-id", S1]);
    assert!(client.has_compacted(S1, "auto"));
    assert_eq!(client.found("autoask"), [(S1.to_owned(), "user".to_owned())]);
    for word in ["autostart", "autoagain"] {
        assert_eq!(client.found(word), [(S1.to_owned(), "assistant".to_owned())], "{word}");
    }
    assert!(!client.found("autoanswer").is_empty());
    assert_eq!(client.env.json(&["history", "import", "--all"])["messages"], 0);
}

/// A transaction in the store, so that no indexer can write, until it is dropped.
struct Blocked(Child);

impl Blocked {
    fn new(env: &Environment) -> Option<Self> {
        let program = "import sqlite3, sys\n\
            store = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
            store.execute('BEGIN IMMEDIATE')\n\
            print('begun', flush=True)\n\
            sys.stdin.read()\n";
        let mut python = Command::new(python()?);
        python.args(["-c", program]).arg(env.home().join("history/history.db"));
        let mut child = python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let blocked = Self(child);
        (line == "begun\n").then_some(blocked)
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn claude_ends_although_its_session_can_not_be_indexed_yet() {
    if !cfg!(target_os = "linux") {
        return not_run("processes are found in /proc");
    }
    let turns = json!([{"match": "earlyask", "text": "earlyanswer"}, {"match": "lateask", "text": "lateanswer"}]);
    let Some(client) = Client::new("claude", &turns) else { return };
    client.env.run(&["history", "hooks", "install"]).ok();
    client.claude(&["-p", "earlyask", "--session-id", S1]);
    assert_eq!(client.found("earlyanswer").len(), 1);
    crate::until(|| indexers(&client.env).is_empty());
    let Some(blocked) = Blocked::new(&client.env) else { return not_run("python3 has no sqlite3") };
    assert_eq!(client.claude(&["-p", "lateask", "--session-id", S2]).trim(), "lateanswer");
    // Claude is gone, and its indexer waits.
    assert_eq!(indexers(&client.env).len(), 1);
    assert_eq!(hits(&client.env, "lateanswer"), Vec::<Value>::new());
    assert_eq!(client.env.json(&["history", "doctor"])["queued"], 1);
    drop(blocked);
    assert_eq!(client.found("lateanswer"), [(S2.to_owned(), "assistant".to_owned())]);
    assert_eq!(client.found("lateask"), [(S2.to_owned(), "user".to_owned())]);
    assert_eq!(client.env.read("logs/history.log"), "");
}

#[test]
fn a_private_session_of_claude_code_that_runs_or_was_killed_is_not_read() {
    if !cfg!(target_os = "linux") {
        return not_run("only Linux tells what a process was started with");
    }
    let turns = json!([{"match": "privateask", "text": "privateanswer", "delay": 120, "repeat": true}, {"match": "openask", "text": "openanswer"}]);
    let Some(mut client) = Client::new("claude", &turns) else { return };
    client.env.run(&["history", "hooks", "install"]).ok();
    let asked = |client: &Client, count: usize| {
        let start = Instant::now();
        while client.api.requests().iter().filter(|r| r["body"].to_string().contains("privateask")).count() < count {
            assert!(start.elapsed() < aiw_tests::HANG_TIMEOUT, "claude does not ask");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    // In the transcripts of so many sessions.
    let written = |client: &Client, count: usize| {
        let start = Instant::now();
        loop {
            let projects = fs::read_dir(client.env.user().join(".claude/projects")).unwrap().flatten();
            let files = projects.flat_map(|project| fs::read_dir(project.path()).into_iter().flatten().flatten());
            let texts = files.map(|file| fs::read_to_string(file.path()).unwrap_or_default());
            if texts.filter(|text| text.contains("\"content\":\"privateask\"}")).count() >= count {
                return;
            }
            assert!(start.elapsed() < aiw_tests::HANG_TIMEOUT, "claude writes nothing");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let kill = |id: u32| kill_process(Pid::from_raw(i32::try_from(id).unwrap()).unwrap(), Signal::KILL).unwrap();
    // The client itself, of which nobody else knows: another session's hook, an import and a watch pass over it.
    let mut command = client.command(&["-p", "privateask", "--session-id", S1]);
    let mut child = command.env("AIW_HISTORY", "off").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    asked(&client, 1);
    written(&client, 1);
    assert_eq!(client.env.json(&["history", "import", "--all"])["messages"], 0);
    assert_eq!(client.env.json(&["history", "watch", "--once"])["messages"], 0);
    client.claude(&["-p", "openask", "--session-id", S2]);
    assert_eq!(client.found("openanswer").len(), 1);
    kill(child.id());
    child.wait().unwrap();
    assert_eq!(client.env.json(&["history", "import", "--all"])["messages"], 0);
    // One that aiw starts. Whatever kills it, aiw knows which session it was.
    let path = format!("{}:{}", client.program.parent().unwrap().display(), client.env.parts().1["PATH"]);
    client.env.set("PATH", path);
    let before = client.api.requests().iter().filter(|r| r["body"].to_string().contains("privateask")).count();
    let mut command = client.env.command(&["claude", "privateask"]);
    let mut aiw = command.env("AIW_HISTORY", "off").current_dir(&client.project).spawn().unwrap();
    asked(&client, before + 1);
    let claudes: Vec<u32> = fs::read_dir(client.env.user().join(".claude/sessions"))
        .unwrap()
        .flatten()
        .filter_map(|file| file.file_name().to_str()?.strip_suffix(".json")?.parse().ok())
        .filter(|id| Path::new(&format!("/proc/{id}")).exists())
        .collect();
    assert_eq!(claudes.len(), 1);
    written(&client, 2);
    kill(claudes[0]);
    assert!(!aiw.wait().unwrap().success());
    assert_eq!(client.env.json(&["history", "import", "--all"])["messages"], 0);
    assert_eq!(hits(&client.env, "privateask"), Vec::<Value>::new());
    assert_eq!(fs::read_dir(client.env.home().join("history/private")).unwrap().count(), 2);
}

#[test]
fn sessions_of_the_real_codex_are_found() {
    let turns = json!([
        {"api": "responses", "match": "codexask", "text": "codexstart", "tools": [{"name": "exec_command", "input": {"cmd": "echo codexresult$((40+2))"}}]},
        {"api": "responses", "result": "codexresult42", "text": "codexanswer"},
        {"api": "responses", "match": "resumeask", "text": "resumeanswer"}
    ]);
    let Some(mut client) = Client::new("codex", &turns) else { return };
    client.env.set("THE_KEY", "key");
    let provider = format!(
        "model_providers.x={{name=\"x\",base_url=\"{}/v1\",env_key=\"THE_KEY\",wire_api=\"responses\"}}",
        client.api.url()
    );
    let base = [
        "exec",
        "--skip-git-repo-check",
        "-s",
        "danger-full-access",
        "-c",
        "model_provider=x",
        "-c",
        &provider,
        "-m",
        "m",
    ];
    // A new hook runs once the user has reviewed it; this flag stands for the review.
    client.env.run(&["history", "hooks", "install", "--scope", "codex"]).ok();
    let exec = ["exec", "--dangerously-bypass-hook-trust"];
    for (more, word) in [(&["codexask"][..], "codexanswer"), (&["resume", "--last", "resumeask"], "resumeanswer")] {
        let run = client.run(&[&exec[..], &base[1..], more].concat());
        assert_eq!(run.code, 0, "{}", run.whole());
        assert_eq!(client.found(word).len(), 1, "{word}: {}", run.whole());
    }
    check(
        &client,
        "codex",
        &[
            ("codexask", "user"),
            ("codexstart", "assistant"),
            ("codexresult42", "tool"),
            ("codexanswer", "assistant"),
            ("resumeask", "user"),
            ("resumeanswer", "assistant"),
        ],
    );
}

#[test]
fn sessions_of_the_real_gemini_cli_are_found() {
    let turns = json!([
        {"api": "gemini", "match": "geminiask", "offers": "run_shell_command", "text": "geministart", "tools": [{"name": "run_shell_command", "input": {"command": "printf 'gemini%s' result42", "description": "d"}}]},
        {"api": "gemini", "result": "geminiresult42", "text": "geminianswer"},
        {"api": "gemini", "match": "resumeask", "text": "resumeanswer"}
    ]);
    let Some(client) = Client::new("gemini", &turns) else { return };
    let settings = client.env.user().join(".gemini/settings.json");
    fs::create_dir_all(settings.parent().unwrap()).unwrap();
    fs::write(
        settings,
        r#"{"security": {"auth": {"selectedType": "gemini-api-key"}}, "privacy": {"usageStatisticsEnabled": false}}"#,
    )
    .unwrap();
    let base = ["--skip-trust", "--approval-mode", "yolo", "-m", "m"];
    client.env.run(&["history", "hooks", "install", "--scope", "gemini"]).ok();
    for (more, word) in
        [(&["-p", "geminiask"][..], "geminianswer"), (&["--resume", "latest", "-p", "resumeask"], "resumeanswer")]
    {
        let run = client.run(&[&base[..], more].concat());
        assert_eq!(run.code, 0, "{}", run.whole());
        assert_eq!(client.found(word).len(), 1, "{word}: {}", run.whole());
    }
    check(
        &client,
        "gemini",
        &[
            ("geminiask", "user"),
            ("geministart", "assistant"),
            ("geminiresult42", "tool"),
            ("geminianswer", "assistant"),
            ("resumeask", "user"),
            ("resumeanswer", "assistant"),
        ],
    );
}

/// Each word is found once, all in one session of the CLI's, in the project.
fn check(client: &Client, cli: &str, words: &[(&str, &str)]) {
    let mut sessions = Vec::new();
    for (word, role) in words {
        let found = hits(&client.env, word);
        assert_eq!(found.len(), 1, "{word}: {found:?}");
        assert_eq!((&found[0]["role"], &found[0]["cli"]), (&json!(role), &json!(cli)), "{word}");
        assert_eq!(Path::new(found[0]["project"].as_str().unwrap()), client.project, "{word}");
        sessions.push(found[0]["session"].clone());
    }
    sessions.dedup();
    assert_eq!(sessions.len(), 1);
    assert_eq!(client.env.json(&["history", "import", "--all"])["messages"], 0);
    assert_eq!(client.env.json(&["history", "doctor"])["skipped"], json!([]));
}
