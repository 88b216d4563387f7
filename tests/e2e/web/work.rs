//! Work with the real server in a real browser: what the page does is there for the command line.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use aiw_history::{Cli, MessageAuthor, ReadProgress, SessionMessage, Store};
use aiw_tests::{Environment, FakeClis, Market};
use serde_json::{Value, json};

use super::{Ended, in_browser};
use crate::history::message;
use crate::processes::Project;

const PROCESSES: &str = r#"
process "api" { shell "echo hello of api; echo trouble >&2; exec sleep 600" }
process "broken" { shell "exit 3" }
process "listens" { command "python3" "-m" "http.server" "--bind" "127.0.0.1" "0" }
process "web" { shell "echo hello of web; while [ ! -e go ]; do sleep 0.1; done; echo late line of web; exec sleep 600" }
"#;

/// Writes a session of 250 messages: a tool's answer that a search finds, markup, and one message that is shown in part.
fn write_session(env: &Environment) {
    let store = Store::open(&env.home().join("history")).unwrap();
    let progress = ReadProgress { offset: 1, last_uuid: None, size: 1, modified: 0, inode: 0, prefix_digest: [0; 32] };
    let said = |number: i64| -> SessionMessage {
        let (role, text) = match number {
            40 => (MessageAuthor::User, "The certificate of the mirror is refused: which issuer is it?".to_owned()),
            41 => (MessageAuthor::Tool, "certificate verify failed: unable to get local issuer".to_owned()),
            42 => (MessageAuthor::Assistant, "<img src=x onerror=\"window.hit=1\"> breaks nothing".to_owned()),
            43 => (MessageAuthor::Assistant, format!("{} its very end", "a long story ".repeat(3_000))),
            _ => (MessageAuthor::Assistant, format!("step {number}")),
        };
        message("many", &format!("m{number}"), role, number, &text)
    };
    let messages: Vec<_> = (0..250).map(said).collect();
    store.append(Cli::Claude, Path::new("/transcripts/many.jsonl"), &messages, &progress).unwrap();
}

#[test]
fn what_is_done_in_a_browser_is_there_for_the_command_line() {
    let Some(mut node) = in_browser("work.mjs") else { return };
    let mut project = Project::new(PROCESSES);
    let clis = FakeClis::install(&mut project.env);
    let env = &project.env;
    write_session(env);
    let market = Market::new(env.path("m"), "local").plugin("one", "1.0.0", json!({"s": {"command": "true"}}));
    env.add(market.root()).ok();
    env.run(&["claude", "-p", "own", "without guards", "--", "--dangerously-skip-permissions"]).ok();
    env.run(&["up", "-d", "--yes"]);
    let _ended = Ended(env);
    let address = env.run(&["web", "-d"]).ok().stdout;
    let mut node = node.arg(address.trim()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    for line in BufReader::new(node.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if line == "write" {
            fs::write(env.path("go"), "").unwrap();
        }
        said.push_str(&line);
        said.push('\n');
    }
    let complained = std::io::read_to_string(node.stderr.take().unwrap()).unwrap();
    assert!(node.wait().unwrap().success(), "{said}{complained}");

    let mine = env.json(&["provider", "show", "mine"]);
    assert_eq!(mine["provider"]["base_urls"]["openai"], "http://127.0.0.1:9/v1", "{mine:#}");
    assert_eq!((&mine["provider"]["model"], &mine["provider"]["secret"]), (&"small".into(), &"set".into()), "{mine:#}");
    let lite = env.json(&["provider", "show", "litellm"])["provider"]["base_urls"].clone();
    let addresses = json!({"anthropic": "http://127.0.0.1:4000", "gemini": "http://127.0.0.1:4000", "openai": "http://127.0.0.1:4000/v1"});
    assert_eq!(lite, addresses);
    assert_eq!(env.json(&["provider", "show", "ollama"])["provider"]["model"], "tiny");
    let pool = env.json(&["pool", "show", "both"]);
    let members = pool["pool"]["members"].as_array().unwrap_or_else(|| panic!("{pool:#}"));
    let members: Vec<_> = members.iter().map(|member| (&member["provider"], &member["model"])).collect();
    assert_eq!(members, [(&"other".into(), &"large".into()), (&"mine".into(), &Value::Null)], "{pool:#}");
    assert_eq!(env.json(&["budget", "list"])["budgets"][0]["provider"], "both");
    let seen = clis.seen();
    let prompts: Vec<_> = seen.iter().map(|run| String::from_utf8_lossy(&run.stdin).trim().to_owned()).collect();
    assert_eq!(prompts, ["without guards", "write a haiku", "now a sonnet"]);
    assert!(seen[2].arguments.windows(2).any(|pair| pair == ["--resume", "session-1"]), "{:?}", seen[2].arguments);
    assert!(seen.iter().all(|run| run.cwd == seen[0].cwd));
}
