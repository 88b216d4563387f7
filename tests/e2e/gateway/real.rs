//! The real CLIs with upstreams of every API.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use aiw_tests::{Environment, ModelApi, git, not_run, real_cli};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{KEY, add_providers};

/// Two calls at once of a tool that the CLI has by itself, in its own words.
pub(super) fn reads(cli: &str, project: &Path) -> Value {
    let file = |name: &str| project.join(name).display().to_string();
    let call = |name: &str| match cli {
        "claude" => json!({"name": "Read", "input": {"file_path": file(name)}}),
        "codex" => json!({"name": "exec_command", "input": {"cmd": format!("cat {}", file(name))}}),
        _ => json!({"name": "read_file", "input": {"file_path": file(name)}}),
    };
    json!([call("one.txt"), call("two.txt")])
}

pub(super) fn set_up(cli: &str, turns: &dyn Fn(&Path) -> Value) -> Option<(Environment, ModelApi)> {
    let Some(real) = real_cli(cli) else {
        not_run(&format!("{cli} is absent"));
        return None;
    };
    let mut env = Environment::new();
    let project = env.path("project");
    fs::create_dir_all(&project).unwrap();
    git(&project, &["init", "-q"]);
    fs::write(project.join("one.txt"), "the first secret is apricot\n").unwrap();
    fs::write(project.join("two.txt"), "the second secret is quince\n").unwrap();
    let Some(api) = ModelApi::start(&turns(&project)) else {
        not_run("python3 is absent");
        return None;
    };
    let path = std::env::var("PATH").unwrap_or_default();
    for (name, value) in [
        ("PATH", format!("{}:{path}", real.parent().unwrap().display())),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".into()),
        ("DISABLE_AUTOUPDATER", "1".into()),
        ("GEMINI_CLI_TRUST_WORKSPACE", "true".into()),
        ("TERM", "xterm-256color".into()),
    ] {
        env.set(name, value);
    }
    add_providers(&mut env, api.url());
    Some((env, api))
}

fn command(env: &Environment, cli: &str, provider: &str, prompt: &str) -> Command {
    let cwd = env.path("project").display().to_string();
    let mut arguments = vec![cli, prompt, "-p", provider, "--gateway", "--cwd", &cwd, "--timeout", "90s"];
    if cli == "codex" {
        arguments.extend(["--", "--dangerously-bypass-approvals-and-sandbox"]);
    }
    env.command(&arguments)
}

fn works(cli: &str) {
    let turns = |project: &Path| {
        let mut turns = Vec::new();
        for _ in super::PROVIDERS {
            turns.push(
                json!({"text": "I read both.", "thinking": "Which files are there?", "tools": reads(cli, project)}),
            );
            turns.push(json!({"text": "Apricot and quince."}));
        }
        json!(turns)
    };
    let Some((env, api)) = set_up(cli, &turns) else { return };
    for (provider, ..) in super::PROVIDERS {
        let before = api.requests().len();
        let output = command(&env, cli, provider, "Read both files and tell the secrets").output().unwrap();
        let (said, problems) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(
            output.status.success() && said.contains("Apricot and quince."),
            "{cli} with {provider}: {said}\n{problems}"
        );
        let requests = api.requests();
        let asked: Vec<&Value> = requests[before..].iter().filter(|request| request["method"] == "POST").collect();
        let last = asked.last().unwrap()["body"].to_string();
        let found = ["the first secret is apricot", "the second secret is quince"].map(|text| last.find(text));
        // Claude Code sends results as they come in, and what speaks its own API gets its bytes.
        let is_passed_on = cli == "claude" && provider == "messages";
        assert!(
            found.iter().all(Option::is_some) && (is_passed_on || found[0] < found[1]),
            "{cli} with {provider}: {found:?} in {last}"
        );
        for request in asked {
            let headers = request["headers"].to_string();
            assert!(headers.contains(KEY) && !headers.contains("aiw-"), "{headers}");
        }
    }
}

#[test]
fn claude_code_works_with_every_api() {
    works("claude");
}

#[test]
fn codex_works_with_every_api() {
    works("codex");
}

#[test]
fn gemini_cli_works_with_every_api() {
    works("gemini");
}

/// The process that serves the runs of a home.
pub(super) fn gateway_of(env: &Environment) -> Pid {
    let home = env.home().display().to_string();
    let has = |process: &Path, file: &str, text: &str| {
        fs::read(process.join(file))
            .is_ok_and(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " ").contains(text))
    };
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let found = processes
        .filter(|process| has(process, "cmdline", "gateway serve --runs") && has(process, "environ", &home))
        .find_map(|process| process.file_name()?.to_str()?.parse().ok());
    Pid::from_raw(found.unwrap()).unwrap()
}

#[test]
fn a_gateway_that_is_killed_costs_a_run_no_more_than_its_open_request() {
    let turns = |_: &Path| json!([{"text": "Too slow.", "delay": 3}, {"text": "Here I am.", "repeat": true}]);
    let Some((env, api)) = set_up("claude", &turns) else { return };
    let run = command(&env, "claude", "chat-completions", "Say where you are");
    let running = std::thread::spawn(move || { run }.output().unwrap());
    let begun = Instant::now();
    while api.requests().iter().all(|request| request["method"] != "POST") {
        assert!(begun.elapsed() < aiw_tests::HANG_TIMEOUT, "no request came");
        std::thread::sleep(Duration::from_millis(20));
    }
    let address = env.json(&["gateway", "status"])["url"].clone();
    kill_process(gateway_of(&env), Signal::KILL).unwrap();
    let output = running.join().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("Here I am."),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let status = env.json(&["gateway", "status"]);
    assert_eq!((&status["url"], &status["runs"]), (&address, &json!(0)));
}
