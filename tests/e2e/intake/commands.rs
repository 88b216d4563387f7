//! The commands themselves.

use std::fs;
use std::os::unix::fs::symlink;

use aiw_tests::{Environment, FakeClis};
use serde_json::{Value, json};

use super::{add, ended, hits, hook, indexers, kept, line, transcript};
use crate::mcp::Client;
use crate::terminal::Terminal;

#[test]
fn a_session_is_found_after_its_hook_and_once_after_many() {
    let env = Environment::new();
    add(&env, "s-1", &line("s-1", "u1", "user", "Why does the heron parser fail?"));
    add(&env, "s-1", &line("s-1", "a1", "assistant", "It reads past the end."));
    for _ in 0..3 {
        hook(&env, "s-1");
    }
    let found = hits(&env, "heron");
    assert_eq!(found.len(), 1);
    assert_eq!(
        (&found[0]["uuid"], &found[0]["session"], &found[0]["role"]),
        (&json!("u1"), &json!("s-1"), &json!("user"))
    );
    add(&env, "s-1", &line("s-1", "u2", "user", "And the egret?"));
    hook(&env, "s-1");
    assert_eq!(kept(&env, "s-1").into_values().collect::<Vec<_>>(), [1, 1, 1]);
    assert_eq!(env.read("logs/history.log"), "");
}

#[test]
fn what_a_cli_writes_after_its_hook_is_found() {
    let env = Environment::new();
    add(&env, "s-1", &line("s-1", "u1", "user", "Why does the heron parser fail?"));
    env.run_with_input(&["history", "hooks", "handle"], ended(&env, "s-1")).ok();
    crate::until(|| kept(&env, "s-1").len() == 1);
    add(&env, "s-1", &line("s-1", "a1", "assistant", "It reads past the end."));
    crate::until(|| kept(&env, "s-1").len() == 2);
}

#[test]
fn each_hook_of_many_starts_an_indexer_that_gets_its_turn() {
    let env = Environment::new();
    let queue = env.home().join("history/queue");
    for round in 0..60 {
        let session = format!("s-{round}");
        add(&env, &session, &line(&session, &format!("u{round}"), "user", "A heron."));
        env.run_with_input(&["history", "hooks", "handle"], ended(&env, &session)).ok();
        // No other hook comes, which would make up for this one.
        crate::until(|| fs::read_dir(&queue).unwrap().next().is_none());
    }
}

#[test]
fn a_session_of_a_task_is_read_after_the_task_and_is_not_left_behind_by_it() {
    let (env, _) = FakeClis::environment();
    // So many that they are not read before the task has ended.
    let all: String = (0..20_000).map(|n| line("s-1", &format!("u{n}"), "user", &format!("heron {n}"))).collect();
    add(&env, "s-1", &all);
    let heard = env.path("heard.json");
    fs::write(&heard, ended(&env, "s-1")).unwrap();
    let script = format!("{} history hooks handle < {}", env.parts().0.display(), heard.display());
    env.run(&["claude", &FakeClis::script(&script)]).ok();
    let queue = env.home().join("history/queue");
    crate::until(|| fs::read_dir(&queue).unwrap().next().is_none());
    assert_eq!(env.json(&["history", "stats"])["messages"], 20_000);
    let tasks = env.json(&["task", "list"]);
    let log = env.home().join("tasks").join(tasks["tasks"][0]["id"].as_str().unwrap()).join("log");
    let log = fs::read(log).unwrap();
    assert!(!String::from_utf8_lossy(&log).contains("that it left"), "{}", String::from_utf8_lossy(&log));
}

#[test]
fn a_search_has_what_hooks_asked_for_or_says_that_it_waits() {
    let env = Environment::new();
    fs::create_dir_all(env.home().join("history")).unwrap();
    let lock = fs::File::options().create(true).append(true).open(env.home().join("history/indexer.lock")).unwrap();
    // Another one is at work, and does not get there.
    lock.lock().unwrap();
    add(&env, "s-1", &line("s-1", "u1", "user", "A heron."));
    for _ in 0..2 {
        env.run_with_input(&["history", "hooks", "handle"], ended(&env, "s-1")).ok();
    }
    let run = env.run(&["history", "search", "heron"]).ok();
    assert_eq!(run.stderr, "note: 1 session waits to be taken in: search again soon\n");
    assert_eq!(env.json(&["history", "search", "heron"])["waiting"], 1);
    let mut client = Client::initialized(&env);
    let told = client.good("search_history", json!({"query": "heron"}));
    assert!(told["message"].as_str().unwrap().ends_with("; 1 session not read yet: search again soon"), "{told}");
    drop(lock);
    let found = env.json(&["history", "search", "heron"]);
    assert_eq!((&found["waiting"], &found["hits"][0]["uuid"]), (&json!(0), &json!("u1")));
}

#[test]
fn a_search_starts_an_indexer_for_what_none_has_read() {
    let env = Environment::new();
    let queue = env.home().join("history/queue");
    let mut client = Client::initialized(&env);
    let searches: [&mut dyn FnMut(); 2] = [&mut || drop(env.run(&["history", "search", "heron"]).ok()), &mut || {
        drop(client.good("search_history", json!({"query": "heron"})))
    }];
    for (round, search) in searches.into_iter().enumerate() {
        let session = format!("s-{round}");
        add(&env, &session, &line(&session, &format!("u{round}"), "user", "A heron."));
        // The hook takes this for an indexer at work, which is killed before it reads the request.
        fs::create_dir_all(&queue).unwrap();
        let lock = fs::File::options().create(true).append(true).open(env.home().join("history/indexer.lock")).unwrap();
        lock.lock().unwrap();
        env.run_with_input(&["history", "hooks", "handle"], ended(&env, &session)).ok();
        drop(lock);
        assert_eq!(fs::read_dir(&queue).unwrap().count(), 1);
        search();
        crate::until(|| fs::read_dir(&queue).unwrap().next().is_none());
    }
    assert_eq!(hits(&env, "heron").len(), 2);
}

#[test]
fn a_damaged_history_is_made_anew_by_whoever_searches() {
    let env = Environment::new();
    add(&env, "s-1", &line("s-1", "u1", "user", "A heron."));
    hook(&env, "s-1");
    // One that has the database open could mend it.
    crate::until(|| indexers(&env).is_empty());
    let database = env.home().join("history/history.db");
    let mut bytes = fs::read(&database).unwrap();
    bytes[..100].fill(b'x');
    fs::write(&database, bytes).unwrap();
    let run = env.run(&["history", "search", "heron"]).ok();
    assert!(run.whole().contains("the history was damaged and is being made anew"), "{}", run.whole());
    crate::until(|| hits(&env, "heron").len() == 1);
}

#[test]
fn what_hooks_ask_for_while_the_settings_cannot_be_read_waits() {
    let env = Environment::new();
    add(&env, "s-1", &line("s-1", "u1", "user", "A heron."));
    let settings = env.home().join("settings.json");
    let before = fs::read(&settings).ok();
    fs::write(&settings, "{broken").unwrap();
    env.run_with_input(&["history", "hooks", "handle", "--wait"], ended(&env, "s-1")).ok();
    assert_eq!(fs::read_dir(env.home().join("history/queue")).unwrap().count(), 1);
    match before {
        Some(before) => fs::write(&settings, before).unwrap(),
        None => fs::remove_file(&settings).unwrap(),
    }
    crate::until(|| hits(&env, "heron").len() == 1);
}

#[test]
fn the_hook_succeeds_and_says_nothing_whatever_it_hears() {
    let env = Environment::new();
    add(&env, "s-1", &line("s-1", "u1", "user", "text"));
    let other = ended(&env, "s-1").replace("SessionEnd", "PreToolUse");
    let outside =
        json!({"session_id": "x", "transcript_path": "/etc/passwd", "hook_event_name": "SessionEnd"}).to_string();
    for input in
        ["", "{", "[]", "null", "{}", "\u{0}\u{1}", &"[".repeat(100_000), &other, &outside, &ended(&env, "none")]
    {
        let run = env.run_with_input(&["history", "hooks", "handle"], input);
        assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, "", ""), "{input:.100}");
    }
    // Not even where it has no place to write.
    let mut nowhere = Environment::new();
    fs::write(nowhere.path("file"), "").unwrap();
    nowhere.set("AIW_HOME", nowhere.path("file").display().to_string());
    let run = nowhere.run_with_input(&["history", "hooks", "handle"], ended(&env, "s-1"));
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, "", ""));
    hook(&env, "s-1");
    let doctor = env.json(&["history", "doctor"]);
    let skipped: Vec<_> = doctor["skipped"].as_array().unwrap().iter().map(|s| s["path"].as_str().unwrap()).collect();
    assert!(skipped.contains(&"/etc/passwd"), "{doctor}");
    assert!(env.read("logs/history.log").contains("/etc/passwd"));
    assert_eq!(hits(&env, "root").len(), 0);
}

#[test]
fn doctor_names_junk_and_the_rest_is_found() {
    let env = Environment::new();
    let secret = env.path("outside.jsonl");
    fs::write(&secret, line("x", "x", "user", "OUTSIDE")).unwrap();
    symlink(&secret, transcript(&env, "link")).unwrap();
    fs::create_dir(transcript(&env, "dir")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(transcript(&env, "pipe")).status().unwrap().success());
    add(&env, "bad", &line("bad", "b1", "user", "before: egrets"));
    add(&env, "bad", "{\"type\":\"user\",\n");
    add(&env, "bad", &format!("{{\"type\":\"user\",\"message\":{{\"content\":{}\n", "[".repeat(100_000)));
    add(&env, "bad", &line("bad", "b2", "user", "2100").replace("2026-03-01", "2100-01-01"));
    add(&env, "bad", &line("bad", "b3", "user", &"long ".repeat(5_000_000)));
    add(&env, "bad", &line("bad", "b4", "user", "after: herons"));
    let mut file = fs::OpenOptions::new().append(true).open(transcript(&env, "bad")).unwrap();
    std::io::Write::write_all(&mut file, b"{\"type\":\"user\",\"message\":{\"content\":\"\xff\"}}\n").unwrap();
    add(&env, "good", &line("good", "g1", "user", "good storks"));
    let run = env.run(&["history", "import", "--all"]).ok();
    assert!(run.stdout.contains("`aiw history doctor` says why"), "{}", run.whole());
    for (word, uuid) in [("egrets", "b1"), ("herons", "b4"), ("storks", "g1")] {
        let found = hits(&env, word);
        assert_eq!(found.iter().map(|hit| &hit["uuid"]).collect::<Vec<_>>(), [uuid], "{word}");
    }
    assert_eq!(hits(&env, "OUTSIDE").len(), 0);
    let doctor = env.json(&["history", "doctor"]);
    let mut skipped: Vec<String> = doctor["skipped"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| {
            format!("{}: {}", s["path"].as_str().unwrap().rsplit('/').next().unwrap(), s["reason"].as_str().unwrap())
        })
        .collect();
    skipped.sort();
    assert_eq!(
        skipped[1..],
        [
            "dir.jsonl: is not a regular file",
            "link.jsonl: is a link, or is reached through one",
            "pipe.jsonl: is not a regular file"
        ]
    );
    for reason in ["2 lines not JSON", "1 line longer than 16 MiB", "1 line with an impossible time"] {
        assert!(skipped[0].contains(reason), "{reason}: {}", skipped[0]);
    }
    assert_eq!(doctor["hooks_installed"], false);
}

#[test]
fn what_older_versions_and_interrupted_writers_leave_is_found() {
    let env = Environment::new();
    // Two objects on one line, and a torn one before a whole one.
    let whole = |uuid: &str, text: &str| line("glued", uuid, "user", text).trim_end().to_owned();
    add(&env, "glued", &format!("{}{}\n", whole("g1", "first ocelot"), whole("g2", "second marzipan")));
    add(&env, "glued", &format!("{}{}\n", &whole("g3", "lost")[..30], whole("g4", "third nougat")));
    // Titles, yours and the model's; a summary of another session is not this one's.
    add(&env, "titled", "{\"type\":\"custom-title\",\"customTitle\":\"tapir release\",\"sessionId\":\"titled\"}\n");
    add(&env, "titled", "{\"type\":\"summary\",\"summary\":\"the marmoset invoice\",\"leafUuid\":\"t1\"}\n");
    add(&env, "titled", "{\"type\":\"summary\",\"summary\":\"the pangolin invoice\",\"leafUuid\":\"elsewhere\"}\n");
    add(&env, "titled", &line("titled", "t1", "user", "hello there"));
    add(&env, "titled", "{\"type\":\"ai-title\",\"aiTitle\":\"Fix the echidna build\",\"sessionId\":\"titled\"}\n");
    // Codex before autumn 2025.
    let id = "22222222-2222-4333-8444-000000000003";
    let rollout = env.user().join(format!(".codex/sessions/2025/06/11/rollout-2025-06-11T09-12-01-{id}.jsonl"));
    fs::create_dir_all(rollout.parent().unwrap()).unwrap();
    let said = |role: &str, kind: &str, text: &str| {
        json!({"type": "message", "role": role, "content": [{"type": kind, "text": text}]}).to_string()
    };
    let lines = [
        json!({"id": id, "timestamp": "2025-06-11T09:12:01.000Z", "instructions": null}).to_string(),
        json!({"record_type": "state"}).to_string(),
        said("user", "input_text", "rename the gazebo module"),
        said("assistant", "output_text", "It is called pavilion now."),
    ];
    fs::write(&rollout, lines.join("\n") + "\n").unwrap();
    env.run(&["history", "import", "--all"]).ok();
    for (word, session) in [
        ("ocelot", "glued"),
        ("marzipan", "glued"),
        ("nougat", "glued"),
        ("tapir", "titled"),
        ("marmoset", "titled"),
        ("echidna", "titled"),
        ("gazebo", id),
        ("pavilion", id),
    ] {
        let found = hits(&env, word);
        assert_eq!(found.iter().map(|hit| &hit["session"]).collect::<Vec<_>>(), [session], "{word}");
    }
    assert_eq!(hits(&env, "pangolin").len(), 0);
}

#[test]
fn private_mode_and_excluded_projects_leave_nothing() {
    let mut env = Environment::new();
    env.settings(&json!({"history": {"exclude": ["/srv/secret/**"]}}));
    let project = env.path("closed");
    fs::create_dir_all(&project).unwrap();
    fs::write(project.join(".aiw.json"), r#"{"history": false}"#).unwrap();
    add(&env, "s-1", &line("s-1", "u1", "user", "excluded heron").replace("/srv/p", "/srv/secret/x"));
    add(&env, "s-2", &line("s-2", "u2", "user", "closed heron").replace("/srv/p", &project.display().to_string()));
    add(&env, "s-3", &line("s-3", "u3", "user", "private heron"));
    add(&env, "s-4", &line("s-4", "u4", "user", "open heron"));
    env.set("AIW_HISTORY", "off");
    hook(&env, "s-3");
    assert_eq!(env.json(&["history", "import", "--all"])["messages"], 0);
    assert_eq!(env.json(&["history", "watch", "--once"])["messages"], 0);
    env.unset("AIW_HISTORY");
    for session in ["s-1", "s-2", "s-4"] {
        hook(&env, session);
    }
    env.run(&["history", "import"]).ok();
    env.run(&["history", "watch", "--once"]).ok();
    let found = hits(&env, "heron");
    assert_eq!(found.iter().map(|hit| hit["uuid"].as_str().unwrap()).collect::<Vec<_>>(), ["u4"]);
}

#[test]
fn an_exclusion_takes_out_what_is_there_and_its_end_brings_it_back() {
    let env = Environment::new();
    let secret = |session: &str, uuid: &str, text: &str| {
        add(&env, session, &line(session, uuid, "user", text).replace("/srv/p", "/srv/secret/x"));
    };
    secret("s-1", "u1", "a heron");
    add(&env, "s-2", &line("s-2", "u2", "user", "an egret"));
    env.run(&["history", "import", "--all"]).ok();
    env.settings(&json!({"history": {"exclude": ["/srv/secret"]}}));
    // Nobody can be asked, and nothing goes unasked.
    let run = env.run(&["history", "import"]).ok();
    let there = "1 message of 1 session, of projects that are excluded now";
    assert_eq!(run.stderr, format!("note: the history still has {there}: `aiw history import --yes` takes them out\n"));
    assert_eq!((hits(&env, "heron").len(), &env.json(&["history", "doctor"])["excluded"]), (1, &json!(1)));
    let mut terminal = Terminal::start(&env, &["history", "import"]);
    terminal.wait_for(&format!("Take {there}, out of the history? [y/N]"));
    terminal.press("n\r");
    assert!(terminal.ends().success());
    assert_eq!(hits(&env, "heron").len(), 1);
    assert_eq!(env.json(&["history", "import", "--yes"])["taken_out"], 1);
    assert_eq!((hits(&env, "heron").len(), hits(&env, "egret").len()), (0, 1));
    let database = fs::read(env.home().join("history/history.db")).unwrap();
    assert!(!database.windows(5).any(|window| window == b"heron"));
    // It stays away, and so does what is said there meanwhile.
    secret("s-3", "u3", "another heron");
    let again = env.json(&["history", "import", "--yes"]);
    assert_eq!((&again["taken_out"], &again["messages"]), (&json!(0), &json!(0)));
    env.settings(&json!({}));
    assert_eq!(env.json(&["history", "import"])["messages"], 2);
    assert_eq!((hits(&env, "heron").len(), hits(&env, "egret").len()), (2, 1));
    assert_eq!(env.json(&["history", "import"])["messages"], 0);
}

#[test]
fn todos_of_what_is_kept_out_are_not_shown() {
    let mut env = Environment::new();
    for session in ["s-kept", "s-forgotten", "s-private"] {
        let input = json!({"todos": [{"content": format!("plan of {session}"), "status": "pending"}]});
        let call = json!({"type": "tool_use", "id": "t", "name": "TodoWrite", "input": input});
        let todo = json!({"type": "assistant", "uuid": session, "sessionId": session, "cwd": "/srv/p",
            "timestamp": "2026-03-01T10:00:00Z", "message": {"content": [call]}});
        add(&env, session, &format!("{todo}\n"));
    }
    env.run(&["history", "import", "--all"]).ok();
    env.run(&["history", "forget", "s-forgotten", "--yes"]).ok();
    env.set("AIW_HISTORY", "off");
    let private = ended(&env, "s-private");
    env.run_with_input(&["history", "hooks", "handle"], private).ok();
    env.unset("AIW_HISTORY");
    assert_eq!(env.json(&["history", "todos", "s-kept"])["todos"][0]["content"], "plan of s-kept");
    for session in ["s-forgotten", "s-private"] {
        let run = env.run(&["history", "todos", session]);
        assert_ne!(run.code, 0, "{}", run.whole());
        assert!(!run.whole().contains("plan of"), "{}", run.whole());
    }
    assert_eq!(env.json(&["history", "todos"])["session"], "s-kept");
    fs::write(env.home().join("settings.json"), r#"{"history": {"exclude": ["/srv/p"]}}"#).unwrap();
    assert!(!env.run(&["history", "todos"]).whole().contains("plan of"));
    // What an agent asks for is the same.
    let mut client = Client::initialized(&env);
    let answer = client.call("get_session_todos", json!({"session_id": "s-kept"}));
    assert!(!answer.to_string().contains("plan of"), "{answer}");
}

#[test]
fn a_time_to_come_forgets_nothing() {
    let env = Environment::new();
    add(&env, "s-1", &line("s-1", "u1", "user", "A heron."));
    env.run(&["history", "import", "--all"]).ok();
    let run = env.run(&["history", "forget", "--before", "2090-01-01", "--yes"]);
    assert!(run.code != 0 && run.whole().contains("names a time to come"), "{}", run.whole());
    assert_eq!(hits(&env, "heron").len(), 1);
    let unknown = env.run(&["history", "forget", "/srv/q", "--yes"]);
    assert!(unknown.code != 0 && unknown.whole().contains("has nothing of `/srv/q`"), "{}", unknown.whole());
    assert_eq!(env.run(&["history", "search", "heron", "--since", "2026"]).code, 64);
    assert_eq!(env.run(&["history", "search", "heron", "--since", "3years"]).code, 0);
}

#[test]
fn what_is_typed_while_the_model_works_is_found() {
    let env = Environment::new();
    let queued = |mode: &str, text: &str| {
        let attachment = json!({"type": "queued_command", "prompt": text, "commandMode": mode});
        let line = json!({"type": "attachment", "uuid": text, "sessionId": "s-1", "cwd": "/srv/p",
            "timestamp": "2026-03-01T10:00:00Z", "attachment": attachment});
        format!("{line}\n")
    };
    add(&env, "s-1", &queued("prompt", "heron-prompt"));
    add(&env, "s-1", &queued("task-notification", "heron-note"));
    // Half of a character, as JavaScript writes it.
    add(&env, "s-1", &line("s-1", "u2", "user", "heron-half CUT").replace("CUT", "\\ud83d"));
    hook(&env, "s-1");
    assert_eq!(kept(&env, "s-1").into_keys().collect::<Vec<_>>(), ["heron-prompt", "u2"]);
    assert_eq!(hits(&env, "heron-prompt")[0]["role"], "user");
}

#[test]
fn doctor_names_secrets_that_it_cannot_know() {
    let env = Environment::new();
    for name in ["one", "two"] {
        env.run_with_input(&["secret", "set", name], "heron-value-7f3a\n").ok();
    }
    let reasons = || env.json(&["history", "doctor"])["unreadable_secrets"].clone();
    assert_eq!(reasons(), json!([]));
    let damaged = env.home().join("vault/one.age");
    let before = fs::read(&damaged).unwrap();
    fs::write(&damaged, "nonsense").unwrap();
    let one = "secret `one` can't be opened: it is damaged, or was encrypted to another key";
    assert_eq!(reasons(), json!([one]));
    fs::write(&damaged, before).unwrap();
    let key = env.home().join("vault/key");
    fs::rename(&key, env.path("key")).unwrap();
    // Once for all that it concerns.
    let reason = format!("the vault key is missing: `{}`", key.display());
    assert_eq!(reasons(), json!([reason]));
    let said = env.run(&["history", "doctor"]).ok().stdout;
    assert!(said.contains(&format!("{reason}: what can't be read is not taken out of sessions")), "{said}");
}

#[test]
fn hooks_go_into_the_settings_and_out_again() {
    let env = Environment::new();
    let settings = env.user().join(".claude/settings.json");
    fs::create_dir_all(settings.parent().unwrap()).unwrap();
    let before = "{\n  // mine\n  \"hooks\": {\"Stop\": []},\n  \"model\": \"opus\", \"x\": 1.0\n}\n";
    fs::write(&settings, before).unwrap();
    assert_eq!(env.json(&["history", "hooks", "install", "--dry-run"])["changed"], true);
    assert_eq!(fs::read_to_string(&settings).unwrap(), before);
    assert_eq!(env.json(&["history", "hooks", "install"])["changed"], true);
    assert_eq!(env.json(&["history", "hooks", "install"])["changed"], false);
    assert_eq!(env.json(&["history", "hooks", "status"])["installed"], true);
    assert_eq!(env.json(&["history", "doctor"])["hooks_installed"], true);
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, text.replacen('{', "{\"disableAllHooks\": true,", 1)).unwrap();
    assert_eq!(env.json(&["history", "hooks", "status"])["settings"][0]["disabled"], true);
    assert!(env.run(&["history", "hooks", "status"]).ok().stdout.contains("`disableAllHooks` switches all hooks off"));
    assert_eq!(env.json(&["history", "doctor"])["hooks_installed"], false);
    fs::write(&settings, &text).unwrap();
    assert_eq!((text.matches("hooks handle").count(), text.contains("// mine")), (2, true), "{text}");
    assert_eq!(env.json(&["history", "hooks", "uninstall"])["changed"], true);
    assert_eq!(fs::read_to_string(&settings).unwrap(), before);
    assert_eq!(env.json(&["history", "hooks", "status"])["installed"], false);
    // Those of a project.
    assert_eq!(env.json(&["history", "hooks", "install", "--scope", "local"])["scope"], "local");
    let local: Value = serde_json::from_slice(&fs::read(env.path(".claude/settings.local.json")).unwrap()).unwrap();
    assert_eq!(local["hooks"]["PreCompact"][0]["hooks"][0]["timeout"], 10);
    env.run(&["history", "hooks", "uninstall", "--scope", "local"]).ok();
    assert!(!env.path(".claude").exists());
}

#[test]
fn todos_of_a_session_that_is_running() {
    let env = Environment::new();
    let todo = json!({"parentUuid": null, "type": "assistant", "uuid": "a", "sessionId": "s-1", "message": {"role": "assistant",
        "content": [{"type": "tool_use", "id": "t", "name": "TodoWrite", "input": {"todos": [{"content": "Feed the heron", "status": "in_progress"}]}}]}});
    add(&env, "s-1", &format!("{todo}\n{{\"torn"));
    let todos = env.json(&["history", "todos"]);
    assert_eq!(todos["session"], "s-1");
    assert_eq!(todos["todos"], json!([{"id": "1", "content": "Feed the heron", "status": "in_progress"}]));
    assert_eq!(env.run(&["history", "todos", "nope"]).code, 2);
    let mut client = Client::initialized(&env);
    let told = client.good("get_session_todos", json!({"session_id": "s-1"}));
    assert_eq!((&told["session_id"], &told["todos"]), (&json!("s-1"), &todos["todos"]));
    assert_eq!(client.good("get_session_todos", json!({})), told);
    assert!(client.bad("get_session_todos", json!({"session_id": "../nope"})).contains("nope"));
}

#[test]
fn a_fork_of_a_private_session_has_only_what_is_its_own_after_an_import() {
    let env = Environment::new();
    let copied = |session: &str| {
        line(session, "u1", "user", "The heron has a secret that nobody may know.")
            + &line(session, "a1", "assistant", "I keep it.")
    };
    add(&env, "s-private", &copied("s-private"));
    let mut off = Environment::new();
    off.set("AIW_HISTORY", "off");
    off.set("AIW_HOME", env.home().display().to_string());
    off.run_with_input(&["history", "hooks", "handle", "--wait"], ended(&env, "s-private")).ok();
    add(&env, "s-fork", &(copied("s-fork") + &line("s-fork", "u2", "user", "The egret is known to all.")));
    env.run(&["history", "import", "--all"]).ok();
    assert!(hits(&env, "heron").is_empty());
    assert_eq!(hits(&env, "egret").len(), 1);
    assert_eq!(kept(&env, "s-fork").into_keys().collect::<Vec<_>>(), ["u2"]);
    assert!(kept(&env, "s-private").is_empty());
}

#[test]
fn no_way_leads_around_an_excluded_project() {
    let env = Environment::new();
    let secret = env.user().join("secret");
    fs::create_dir_all(&secret).unwrap();
    symlink(&secret, env.user().join("link")).unwrap();
    fs::create_dir_all(env.home()).unwrap();
    let settings = json!({"history": {"exclude": [secret.display().to_string()]}});
    fs::write(env.home().join("settings.json"), settings.to_string()).unwrap();
    for (number, way) in ["secret", "link", "other/../secret", "link/deep"].into_iter().enumerate() {
        let session = format!("s-{number}");
        let directory = env.user().join(way).display().to_string();
        add(&env, &session, &line(&session, &format!("u{number}"), "user", "A heron.").replace("/srv/p", &directory));
    }
    env.run(&["history", "import", "--all"]).ok();
    assert!(hits(&env, "heron").is_empty());
}

#[test]
fn an_export_is_json_whatever_was_said() {
    let env = Environment::new();
    let odd = "heron \u{7f}\u{9b}31m \u{202e}right\u{2066} \u{0} \u{feff} \\ \" \u{2028} \u{fffe} \u{e0041} end";
    add(&env, "s-1", &line("s-1", "u1", "user", odd));
    hook(&env, "s-1");
    let run = env.run(&["history", "export", "s-1", "--format", "json"]).ok();
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(document["messages"][0]["text"], odd);
    assert_eq!(document, env.json(&["history", "export", "s-1"]));
    assert!(!run.stdout.contains(['\u{9b}', '\u{202e}', '\u{7f}']));
}

#[test]
fn how_strict_secrets_are_taken_out_is_a_setting() {
    let env = Environment::new();
    // What looks random is taken out in both; the form of a commit only if that is wanted.
    let commit = "0f1a6b7c8d9eafb0c1d2e3f405162738495a6b7c";
    let random = format!("heron qX7{} of commit {commit}", "vB2nM9kLp4Rt".repeat(2));
    let settings = env.home().join("settings.json");
    fs::create_dir_all(env.home()).unwrap();
    add(&env, "s-1", &line("s-1", "u1", "user", &random));
    hook(&env, "s-1");
    let standard = env.run(&["history", "export", "s-1"]).ok().stdout;
    assert!(standard.contains(commit) && !standard.contains("vB2nM9"), "{standard}");
    fs::write(&settings, r#"{"history": {"redact": "strict"}}"#).unwrap();
    add(&env, "s-2", &line("s-2", "u2", "user", &random));
    hook(&env, "s-2");
    let strict = env.run(&["history", "export", "s-2"]).ok().stdout;
    assert!(!strict.contains(commit) && !strict.contains("vB2nM9"), "{strict}");
    fs::write(&settings, r#"{"history": {"redact": "paranoid"}}"#).unwrap();
    let run = env.run(&["history", "import", "--all"]);
    assert_ne!(run.code, 0);
    assert!(run.stderr.contains("`history.redact` that is not `standard` or `strict`"), "{}", run.whole());
}
