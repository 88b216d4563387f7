//! What needs a person: each kind is made for real, shown first in every view, muted, and gone once it is resolved.

use std::fs;

use aiw_tests::{Environment, FakeClis};
use serde_json::{Value, json};

use crate::mcp::Client;
use crate::processes::Project;
use crate::servers::Servers;
use crate::until;

/// Returns the entries as `attention list --json` has them.
fn items(env: &Environment) -> Vec<Value> {
    env.json(&["attention", "list"])["items"].as_array().unwrap().clone()
}

/// Returns the one entry of a source.
fn only(env: &Environment, source: &str) -> Value {
    let all = items(env);
    let of: Vec<&Value> = all.iter().filter(|item| item["source"] == source).collect();
    let [item] = of[..] else { panic!("{all:#?}") };
    item.clone()
}

/// Checks that every view without a terminal shows an entry first.
fn shown_everywhere(env: &Environment, item: &Value) {
    let (id, problem) = (item["id"].as_str().unwrap(), item["problem"].as_str().unwrap());
    let beginning: String = problem.chars().take(40).collect();
    for words in [&[][..], &["status"]] {
        let run = env.run(words).ok();
        assert!(run.stdout.lines().take(8).any(|line| line.contains(&beginning)), "{words:?}: {}", run.whole());
        assert!(!run.stdout.contains("next: "), "{}", run.whole());
        let answer = env.run(&[words, &["--json"]].concat()).json();
        let listed = answer["attention"]["items"].as_array().unwrap().clone();
        assert!(listed.iter().any(|item| item["id"] == id), "{words:?}: {answer:#}");
    }
    let mut client = Client::initialized(env);
    let told = client.good("get_status", json!({}));
    assert!(told["attention"].as_array().unwrap().iter().any(|item| item["problem"] == problem), "{told:#}");
}

#[test]
fn nothing_needs_a_person_in_a_fresh_home_and_the_next_step_is_said() {
    let env = Environment::new();
    assert_eq!(env.json(&["attention", "list"]), json!({"items": [], "muted": 0}));
    assert_eq!(env.run(&["attention", "list"]).ok().stdout, "nothing needs you\n");
    assert!(env.run(&[]).ok().stdout.contains("next: "));
    let unknown = env.run(&["attention", "mute", "mcp-0123456789"]);
    assert!(
        unknown.code == 2 && unknown.stderr.contains("nothing with the id `mcp-0123456789`"),
        "{}",
        unknown.whole()
    );
}

#[test]
fn a_failed_task_is_shown_until_it_was_seen_and_a_result_is_a_warning() {
    let (env, _clis) = FakeClis::environment();
    let id = env.run(&["claude", "--detach", &FakeClis::script("exit 3")]).ok().stdout.trim().to_owned();
    until(|| env.json(&["attention", "list"])["items"].as_array().unwrap().len() == 1);
    let failed = only(&env, "tasks");
    assert_eq!((&failed["severity"], &failed["link"]), (&json!("error"), &json!(format!("/tasks/{id}"))), "{failed:#}");
    assert!(failed["problem"].as_str().unwrap().contains("failed (exit code 3)"), "{failed:#}");
    shown_everywhere(&env, &failed);
    // It is muted, and another one is not.
    let muted = failed["id"].as_str().unwrap();
    env.run(&["attention", "mute", muted]).ok();
    assert_eq!(env.json(&["attention", "list"]), json!({"items": [], "muted": 1}));
    assert_eq!(env.json(&["attention", "list", "--muted"])["items"][0]["muted"], true);
    env.run(&["claude", &FakeClis::script("true")]).ok();
    let done = env.run(&["claude", "--detach", &FakeClis::script("true")]).ok().stdout.trim().to_owned();
    until(|| items(&env).len() == 1);
    let seen = only(&env, "tasks");
    assert!(seen["severity"] == "warning" && seen["problem"].as_str().unwrap().contains(&done), "{seen:#}");
    env.run(&["attention", "unmute", muted]).ok();
    assert_eq!(items(&env).len(), 2);
    for id in [id, done] {
        env.run(&["task", "show", &id]).ok();
    }
    assert_eq!(env.json(&["attention", "list"]), json!({"items": [], "muted": 0}));
}

#[test]
fn a_changed_tool_and_a_missing_key_are_shown_until_they_are_resolved() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("test", &[]).known();
    let env = &servers.env;
    assert_eq!(items(env), [] as [Value; 0]);
    fs::write(servers.state("test").join("description"), "Otherwise.").unwrap();
    env.run(&["mcp", "call", "test", "echo"]).ok();
    let blocked = only(env, "mcp");
    assert_eq!((&blocked["severity"], &blocked["link"]), (&json!("error"), &json!("/servers/test")), "{blocked:#}");
    shown_everywhere(env, &blocked);
    env.run(&["mcp", "approve", "test", "--yes"]).ok();
    assert_eq!(items(env), [] as [Value; 0]);

    let add =
        ["provider", "add", "gw", "--preset", "custom", "--base-url", "openai=https://x.test/v1", "--token-stdin"];
    assert_eq!(env.run_with_input(&add, "sk-canary-gw\n").code, 0);
    fs::remove_file(env.home().join("vault/gw.age")).unwrap();
    let lacking = only(env, "providers");
    assert_eq!(lacking["next"], "`aiw secret set gw`", "{lacking:#}");
    shown_everywhere(env, &lacking);
}

#[test]
fn a_process_that_failed_and_what_doctor_found_are_shown() {
    let project = Project::new("process \"web\" { command \"sh\" \"-c\" \"exit 4\"\n restart \"no\" }");
    project.run(&["up", "-d", "--yes"]);
    until(|| items(&project).iter().any(|item| item["source"] == "processes"));
    let failed = only(&project, "processes");
    assert_eq!((&failed["severity"], &failed["link"]), (&json!("error"), &json!("/processes/web")), "{failed:#}");
    assert!(failed["problem"].as_str().unwrap().contains("process `web` has failed"), "{failed:#}");
    shown_everywhere(&project, &failed);
    // What is muted is this failure, and not the next one.
    project.run(&["attention", "mute", failed["id"].as_str().unwrap()]).ok();
    assert_eq!(items(&project), [] as [Value; 0]);
    project.run(&["restart", "web"]);
    until(|| items(&project).iter().any(|item| item["source"] == "processes" && item["id"] != failed["id"]));
    // A problem of a part without a source of its own is that of the last `doctor`.
    fs::create_dir_all(project.home().join("workflows")).unwrap();
    fs::write(project.home().join("workflows/odd.js"), "no header").unwrap();
    assert!(items(&project).iter().all(|item| item["source"] != "workflows"));
    assert_eq!(project.run(&["doctor"]).code, 1);
    let found = only(&project, "workflows");
    assert!(found["severity"] == "warning" && found["checked_at"].is_string(), "{found:#}");
    fs::remove_file(project.home().join("workflows/odd.js")).unwrap();
    project.run(&["doctor"]);
    assert!(items(&project).iter().all(|item| item["source"] != "workflows"));
}

#[test]
fn a_changed_process_file_waits_for_consent() {
    let project = Project::new("process \"web\" { command \"sleep\" \"1000\" }");
    project.up(&[]);
    assert_eq!(items(&project), [] as [Value; 0]);
    project.write("process \"other\" { command \"sleep\" \"1000\" }");
    let waits = only(&project, "processes");
    assert_eq!(waits["severity"], "warning", "{waits:#}");
    assert!(waits["problem"].as_str().unwrap().contains("waits for your consent"), "{waits:#}");
}
