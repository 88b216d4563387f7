//! Sends a known secret along every path that a secret can take. Then looks for it everywhere except in the CLI
//! that it is for.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aiw_tests::{Answer, Environment, FakeClis, Run, Server};
use serde_json::Value;

const CANARY: &str = "sk-canary-5d1e90c7";
/// A prompt is private too: it must not be on any command line.
const PROMPT: &str = "prompt-canary-77aa";

fn contains(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

/// Finds all files beneath a directory.
fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files(&entry.path(), found),
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
}

/// Returns the id, command line and environment of each process that has the test's environment.
fn processes(env: &Environment) -> Vec<(u32, Vec<u8>, Vec<u8>)> {
    let mark = env.home().display().to_string();
    let all = fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let environment = fs::read(entry.path().join("environ")).ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        (pid != std::process::id() && contains(&environment, &mark)).then_some((pid, line, environment))
    })
    .collect()
}

#[test]
fn a_secret_is_nowhere_but_in_the_cli_that_it_is_for() {
    let mut env = Environment::new();
    let clis = FakeClis::install(&mut env);
    let server = Server::start(|request| match request.headers.get("authorization").map(String::as_str) {
        // The server may repeat what it was sent.
        Some(key) => Answer::ok(format!(r#"{{"data": [{{"id": "{key}"}}], "error": "{key}"}}"#)),
        None => Answer::status(401),
    });
    let url = server.url();
    let mut said: Vec<Run> = Vec::new();
    let mut run = |run: Run| said.push(run);

    // Store the secret in each way.
    run(env.run_with_input(&["secret", "set", "one"], CANARY));
    run(env.run_with_input(
        &["provider", "add", "gw", "--preset", "litellm", "--base-url", &url, "--token-stdin"],
        CANARY,
    ));
    let path = env.home().join("providers.json");
    let mut document: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    document["providers"]["gw"]["env"] = serde_json::json!({"EXTRA_KEY": {"secret": "one"}});
    fs::write(&path, document.to_string()).unwrap();
    // Put the secret where it must not be.
    run(env.run(&["provider", "add", "bad", "--preset", "openai", "--token", CANARY]));
    run(env.run(&[
        "provider",
        "add",
        "bad",
        "--preset",
        "openai",
        "--token-env",
        "K",
        "--env",
        &format!("X_TOKEN={CANARY}"),
    ]));
    run(env.run(&["provider", "edit", "gw", "--base-url", &format!("anthropic=https://u:{CANARY}@h")]));
    // Show, test and explain.
    for arguments in [
        &["provider", "list"][..],
        &["provider", "show", "gw", "--json"],
        &["provider", "test", "gw"],
        &["provider", "test", "gw", "--json"],
        &["secret", "list", "--json"],
        &["claude", "-p", "gw", "--explain", "hi"],
        &["codex", "-p", "gw", "--explain", "hi", "--json"],
        &["gemini", "-p", "gw", "--explain", "hi", "--json"],
    ] {
        run(env.run(arguments));
    }
    // Start each CLI, and look at everything else while they run.
    let script = format!("#!\n# {PROMPT}\nsleep 3\n");
    for cli in ["claude", "codex", "gemini"] {
        let started = env.run_with_input(&[cli, "-p", "gw", "--detach", "--json", "-"], &script);
        assert_eq!(started.code, 0, "{}", started.whole());
        said.push(started);
    }
    let start = Instant::now();
    while clis.seen().len() < 3 {
        assert!(start.elapsed() < Duration::from_secs(30), "the CLIs do not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    let list = env.json(&["task", "list"]);
    let own: Vec<u32> =
        list["tasks"].as_array().unwrap().iter().map(|task| task["pid"].as_u64().unwrap() as u32).collect();
    let all = processes(&env);
    let shims = all.iter().filter(|(_, line, _)| contains(line, "shim")).count();
    assert_eq!(shims, 3, "three shims are looked at");
    for (pid, line, environment) in all {
        let line_text = String::from_utf8_lossy(&line).replace('\0', " ");
        assert!(!contains(&line, CANARY) && !contains(&line, PROMPT), "{line_text}");
        // The CLI and its child processes.
        let parent = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent: u32 =
            parent.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
        if !own.contains(&pid) && !own.contains(&parent) {
            assert!(!contains(&environment, CANARY), "the environment of {pid} ({line_text})");
        }
    }
    // The shared-memory segments.
    for entry in fs::read_dir("/dev/shm").unwrap().flatten() {
        let bytes = fs::read(entry.path()).unwrap_or_default();
        let name = entry.file_name().to_string_lossy().into_owned();
        // This file contains the settings of a CLI that resolves real paths. It is removed when the CLI ends.
        if !name.starts_with("aiw-file-") {
            assert!(!contains(&bytes, CANARY), "{name}");
        }
    }
    said.push(env.run(&["wait", "--json"]));
    for id in list["tasks"].as_array().unwrap().iter().map(|task| task["id"].as_str().unwrap().to_owned()) {
        said.push(env.run(&["task", "show", &id]));
        said.push(env.run(&["logs", &id, "--raw"]));
    }
    // Failures must not reveal the secret either.
    fs::write(env.home().join("vault/gw.age"), "damaged").unwrap();
    said.push(env.run(&["claude", "-p", "gw", "hi"]));
    assert_eq!(said.last().unwrap().code, 3);
    fs::write(
        &path,
        format!(r#"{{"version": 1, "providers": {{"gw": {{"preset": "openai", "token": "{CANARY}"}}}}}}"#),
    )
    .unwrap();
    said.push(env.run(&["codex", "-p", "gw", "hi"]));
    said.push(env.run(&["provider", "list"]));
    fs::remove_file(&path).unwrap();

    for run in &said {
        assert!(!run.whole().contains(CANARY), "{}", run.whole());
    }
    let mut kept = Vec::new();
    files(&env.home(), &mut kept);
    files(&env.path("run"), &mut kept);
    assert!(kept.iter().any(|path| path.ends_with("prompt")), "prompts are kept");
    for path in kept {
        assert!(!contains(&fs::read(&path).unwrap(), CANARY), "{}", path.display());
    }
    // The CLIs did get it.
    for seen in clis.seen() {
        assert!(
            seen.environment.values().filter(|value| value.as_str() == CANARY).count() >= 2,
            "{:?}",
            seen.arguments
        );
    }
}

#[test]
fn a_process_that_holds_a_secret_leaves_no_core_file() {
    use std::os::unix::process::ExitStatusExt;

    let mut env = Environment::new();
    let clis = FakeClis::install(&mut env);
    env.set("THE_KEY", CANARY);
    env.run(&["provider", "add", "gw", "--preset", "openrouter", "--token-env", "THE_KEY"]).ok();
    let (aiw, _) = env.parts();
    let mut shell = env.program(Path::new("/bin/sh"));
    shell.args(["-c", &format!("ulimit -c unlimited; exec '{}' claude -p gw '#!\nsleep 60'", aiw.display())]);
    let mut child = shell.spawn().unwrap();
    let start = Instant::now();
    while clis.seen().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(30), "the CLI does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::ABORT).unwrap();
    let status = child.wait().unwrap();
    assert_eq!((status.signal(), status.core_dumped()), (Some(6), false));
    // The task goes on, because its starter was only watching.
    assert_eq!(env.json(&["task", "list"])["tasks"][0]["state"], "running");
    env.run(&["stop", "--all"]).ok();
}
