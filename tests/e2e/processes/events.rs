//! What happened to processes and tasks, and by whom.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use aiw_tests::FakeClis;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::Project;
use super::tools::client;
use crate::mcp::Client;
use crate::terminal::Terminal;
use crate::until;

/// Events as `kind name by`.
fn short(events: &Value) -> Vec<String> {
    let word = |event: &Value, field: &str| event[field].as_str().map(|word| format!(" {word}")).unwrap_or_default();
    let events = events["events"].as_array().unwrap().iter();
    events
        .map(|event| format!("{}{}{}", event["kind"].as_str().unwrap(), word(event, "name"), word(event, "actor")))
        .collect()
}

#[test]
fn what_happens_to_processes_is_told_with_who_started_them() {
    let project = Project::new(
        "process \"db\" { shell \"echo up; exec sleep 1000\"; ready line=\"up\" }
         process \"api\" { command \"sleep\" \"1000\"; needs \"db\"; restart \"on-failure\" backoff=\"10ms\" }
         process \"odd\" { shell \"exit 3\"; auto-start #false }
         process \"late\" { command \"sleep\" \"1000\"; needs \"odd\"; auto-start #false }",
    );
    assert_eq!(project.json(&["events"]), json!({"events": [], "next": 0, "gap": false}));
    project.up(&["api"]);
    project.until("api", "running");
    let pid = project.ps("api")["pid"].as_i64().unwrap();
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL).unwrap();
    until(|| short(&project.json(&["events", "--kind", "restarted"])) == ["restarted api"]);
    project.until("api", "running");
    project.run(&["stop", "api"]).ok();
    project.run(&["process", "start", "--yes", "late"]);
    until(|| project.ps("late")["state"] == "failed");
    let all = project.json(&["events"]);
    let newest = short(&project.json(&["events", "-n", "3"]));
    assert_eq!(newest, short(&all)[short(&all).len() - 3..]);
    let of = |name: &str| short(&project.json(&["events", "--subject", name]));
    assert_eq!(of("db"), ["started db need", "ready db"], "{all:#}");
    assert_eq!(of("api"), ["started api you", "exited api", "restarted api", "exited api", "stopped api"], "{all:#}");
    assert_eq!(of("odd"), ["started odd need", "exited odd", "failed odd"], "{all:#}");
    assert_eq!(of("late"), ["start_skipped late", "failed late"], "{all:#}");
    let exits = project.json(&["events", "--subject", "api", "--kind", "exited"]);
    assert_eq!((&exits["events"][0]["signal"], &exits["events"][1]["signal"]), (&json!(9), &json!(15)));
    let lines = project.run(&["events"]).ok().stdout;
    assert!(lines.contains("process odd exited: exit code 3\n"), "{lines}");
    // Another project's are shown only with all others.
    let elsewhere = project.path("elsewhere");
    std::fs::create_dir_all(elsewhere.join(".git")).unwrap();
    let seen = |all: &[&str]| {
        let mut command = project.command(&[&["events", "--json"], all].concat());
        let output = command.current_dir(&elsewhere).output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["events"].as_array().unwrap().len()
    };
    assert_eq!((seen(&[]), seen(&["--all"])), (0, all["events"].as_array().unwrap().len()));
    assert_eq!(project.run(&["events", "--kind", "gone"]).code, 64);
}

#[test]
fn a_reader_that_waits_is_told_and_no_value_is_in_an_event() {
    let project = Project::new(
        "process \"one\" { command \"sh\" \"-c\" \"sleep 1000 # argument-word\"; env { KEY \"variable-word\" } }",
    );
    let mut follow = project.command(&["events", "-f", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    project.up(&[]);
    let line = lines.next().unwrap().unwrap();
    let event: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&event["kind"], &event["actor"]), (&json!("started"), &json!("up")));
    assert!(!line.contains("-word"), "{line}");
    project.run(&["down"]).ok();
    assert!(lines.next().unwrap().unwrap().contains("\"exited\""));
    kill_process(Pid::from_child(&follow), Signal::INT).unwrap();
    assert!(follow.wait().unwrap().success());
    let file = project.home().join("events/events.jsonl");
    assert!(!std::fs::read_to_string(file).unwrap().contains("-word"));
}

#[test]
fn a_private_run_tells_no_more_than_its_id_and_state() {
    let mut project = Project::empty();
    let _clis = FakeClis::install(&mut project.env);
    project.run(&["claude", "--private", "-d", "prompt-word"]).ok();
    project.run(&["claude", "-d", "prompt-word"]).ok();
    until(|| short(&project.json(&["events", "--all", "--kind", "exited"])).len() == 2);
    let all = project.json(&["events", "--all"]);
    let started = project.json(&["events", "--all", "--kind", "started"]);
    assert_eq!(short(&started), ["started", "started claude you"], "{all:#}");
    assert!(started["events"][0]["project"].is_null() && !all.to_string().contains("-word"), "{all:#}");
}

#[test]
fn a_need_that_was_not_met_says_nothing_of_what_it_runs() {
    let project = Project::new(
        "process \"g\" { shell \"trap 'exit 0' TERM; while :; do sleep 0.05; done\"; ready line=\"pattern-word*\" timeout=\"300ms\"
            restart \"on-failure\" max=1 within=\"60s\" backoff=\"10ms\" }
         process \"n\" { command \"sleep\" \"1000\"; needs \"g\" }",
    );
    project.up(&[]);
    until(|| project.ps("n")["state"] == "failed");
    let held = project.json(&["events", "--kind", "start_skipped"]);
    assert_eq!(held["events"][0]["reason"], "held back by `g`", "{held:#}");
    assert!(!project.json(&["events"]).to_string().contains("-word"));
}

#[test]
fn a_model_waits_for_what_somebody_else_does() {
    let project = Project::new("process \"one\" { command \"sleep\" \"1000\" }");
    let mut client = client(&project);
    let from = client.good("wait_for_event", json!({"timeout_seconds": 1}));
    assert_eq!(from["events"], json!([]));
    project.up(&[]);
    let seen = client.good("wait_for_event", json!({"from": from["next"], "process": "one"}));
    assert_eq!(short(&seen), ["started one up"]);
    client.good("create_process", json!({"id": "two", "command": "sleep", "args": ["1000"]}));
    client.good("start_process", json!({"id": "two"}));
    let seen = client.good("wait_for_event", json!({"from": seen["next"], "kinds": ["started"]}));
    // By the name that the client gives itself.
    assert_eq!(short(&seen), ["started two test"], "{seen}");
    assert!(client.bad("wait_for_event", json!({"kinds": ["gone"]})).contains("gone"));
}

#[test]
fn a_task_of_a_client_is_started_by_that_client() {
    let mut project = Project::empty();
    let _clis = FakeClis::install(&mut project.env);
    let mut client = Client::start_with(&project.env, &["mcp", "serve", "--toolsets", "tasks"]);
    client.initialize("2025-06-18");
    client.good("start_task", json!({"ai_type": "claude", "task": "prompt-word"}));
    until(|| short(&project.json(&["events", "--all", "--kind", "started"])) == ["started claude test"]);
}

#[test]
fn what_is_started_in_the_same_way_again_and_again_is_suggested() {
    let project = Project::new(
        "process \"db\" { command \"sleep\" \"1000\" }
         process \"api\" { command \"sleep\" \"1000\" }",
    );
    let starts = project.home().join("processes/habits");
    let settings = project.home().join("settings.json");
    project.up(&[]);
    project.run(&["down"]).ok();
    // By itself is no habit.
    assert!(!starts.exists());
    for _ in 0..4 {
        project.run(&["process", "start", "db"]).ok();
        project.run(&["process", "start", "api"]).ok();
        project.run(&["down"]).ok();
    }
    let all = project.json(&["process", "suggest"]);
    let one = &all["suggestions"][0];
    assert_eq!(
        (&one["id"], &one["times"], &one["confidence_level"]),
        (&json!("after:db:api"), &json!(4), &json!("high"))
    );
    assert_eq!(one["events"][3]["by"], "you", "{all:#}");
    let mut client = client(&project);
    assert_eq!(client.good("get_suggestions", json!({"current_process": "db"}))["suggestions"], all["suggestions"]);
    assert_eq!(client.good("get_suggestions", json!({"current_process": "api"}))["suggestions"], json!([]));
    // The file is the user's, who sees first what it gains.
    let refused = project.run(&["process", "suggest", "accept", "after:db:api"]);
    assert_eq!((refused.code, refused.stderr.contains("terminal")), (2, true), "{}", refused.stderr);
    let mut terminal = Terminal::start(&project, &["process", "suggest", "accept", "after:db:api"]);
    terminal.wait_for("needs \"db\"");
    terminal.wait_for("Add this to the file?");
    terminal.press("y\r");
    assert!(terminal.ends().success());
    let text = std::fs::read_to_string(project.path(".ichimi/processes.kdl")).unwrap();
    assert!(text.contains("process \"api\" { needs \"db\"; command"), "{text}");
    assert_eq!(project.json(&["process", "suggest"])["suggestions"], json!([]));
    // The file was allowed, and is.
    project.run(&["process", "start", "api"]).ok();
    project.run(&["down"]).ok();
    project.run(&["process", "suggest", "forget"]).ok();
    assert_eq!(project.json(&["process", "suggest"])["suggestions"], json!([]));
    std::fs::remove_dir_all(&starts).unwrap();
    let kept = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, kept.replacen('{', "{\"habits\": false,", 1)).unwrap();
    project.run(&["process", "start", "db"]).ok();
    assert!(!starts.exists());
    project.run(&["down"]).ok();
}

#[test]
fn a_client_is_told_what_happens_once_it_has_set_a_level() {
    let project = Project::new(
        "process \"one\" { command \"sleep\" \"1000\" }
         process \"odd\" { shell \"exit 3\"; auto-start #false }",
    );
    let mut client = client(&project);
    project.up(&[]);
    assert_eq!(client.result("logging/setLevel", json!({"level": "info"})), json!({}));
    project.run(&["stop", "one"]).ok();
    let told = |client: &mut Client| {
        let params = client.told("notifications/message")["params"].clone();
        assert_eq!(params["logger"], "aiw/events", "{params}");
        format!("{} {} {}", params["level"].as_str().unwrap(), params["data"]["kind"], params["data"]["name"])
    };
    // That it was started is not told: nobody had asked.
    assert_eq!(told(&mut client), "notice \"exited\" \"one\"");
    assert_eq!(told(&mut client), "info \"stopped\" \"one\"");
    client.result("logging/setLevel", json!({"level": "error"}));
    project.run(&["process", "start", "odd"]).ok();
    assert_eq!(told(&mut client), "error \"failed\" \"odd\"");
}

/// Readers of events, which end with the test.
struct Readers(Vec<std::process::Child>);

impl Drop for Readers {
    fn drop(&mut self) {
        for reader in &mut self.0 {
            let _ = reader.kill();
            let _ = reader.wait();
        }
    }
}

#[test]
fn no_event_is_torn_or_lost_whoever_is_killed() {
    // As many as a house full of agents has, where there is time for it.
    let is_soak = std::env::var_os("AIW_SOAK_ROUNDS").is_some();
    let (shims, readers, kills) = if is_soak { (200, 20, 60) } else { (30, 6, 12) };
    let groups = shims / 10;
    // So many processes that end at once would fill the files before the readers are read.
    let lives = if is_soak { "2" } else { "0.2" };
    let text: String = (0..groups)
        .map(|group| {
            format!(
                "process \"p{group}\" {{ shell \"sleep {lives}; exit 1\"; replicas 10; \
                 restart \"on-failure\" max=100 within=\"1s\" backoff=\"50ms..100ms\" }}\n"
            )
        })
        .collect();
    let project = Project::new(&text);
    std::fs::create_dir_all(project.home()).unwrap();
    let outputs: Vec<_> = (0..readers).map(|number| project.path(&format!("reader-{number}"))).collect();
    let follow = |path: &std::path::PathBuf| {
        let out = std::fs::File::create(path).unwrap();
        project.command(&["events", "-f", "--all", "--json"]).stdout(out).stderr(Stdio::null()).spawn().unwrap()
    };
    let mut following = Readers(outputs.iter().map(follow).collect());
    std::thread::sleep(std::time::Duration::from_millis(500));
    project.up(&[]);
    let mut killed = std::collections::BTreeSet::new();
    for round in 0..kills {
        std::thread::sleep(std::time::Duration::from_millis(60));
        let id = format!("p{}-{}", round * 7 % groups, 1 + round * 3 % 10);
        if let Some(pid) = super::crash::record(&project, &id).and_then(|record| record["shim"]["pid"].as_i64()) {
            let _ = kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL);
            killed.insert(id);
        }
        if round % 6 == 0 {
            // A reader that dies takes nothing along.
            let gone = Readers(following.0.split_off(following.0.len() - 1));
            drop(gone);
        }
        if following.0.len() == 2 {
            break;
        }
    }
    project.run(&["down"]);
    let read = |name: &str| std::fs::read_to_string(project.home().join("events").join(name)).unwrap_or_default();
    let (older, text) = (read("events.1.jsonl"), read("events.jsonl"));
    // A file begins with the position of its first event. No third one was needed.
    let first = older.lines().chain(text.lines()).next().unwrap();
    assert_eq!(first, "@0", "the first events are gone");
    let lines: Vec<&str> = older.lines().skip(1).chain(text.lines().skip(1)).collect();
    let events: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(text.ends_with('\n') && killed.len() > 3, "{killed:?}");
    // Each life that began has an end, but where the supervisor that would have told it was killed.
    let count = |id: &str, kinds: &[&str]| {
        let is_one = |event: &&Value| event["name"] == id && kinds.contains(&event["kind"].as_str().unwrap());
        events.iter().filter(is_one).count()
    };
    for id in (0..groups).flat_map(|group| (1..=10).map(move |copy| format!("p{group}-{copy}"))) {
        let (begun, ended) = (count(&id, &["started", "restarted"]), count(&id, &["exited"]));
        assert!(begun > 0, "`{id}` has not begun");
        assert!(killed.contains(&id) || begun == ended, "`{id}` began {begun} times and ended {ended} times");
    }
    // Who was left saw all of it, in this order.
    for (_, path) in following.0.iter().zip(&outputs) {
        until(|| std::fs::read_to_string(path).unwrap().lines().count() == lines.len());
        let seen = std::fs::read_to_string(path).unwrap();
        let seen: Vec<Value> = seen.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(seen == events, "a reader saw something else");
    }
}
