//! Sessions that are kept out of the history, however they were started.

use std::collections::BTreeSet;
use std::fs;

use aiw_tests::{Environment, FakeClis};
use serde_json::{Value, json};

use super::launched::{codex, codex_at};
use super::real::Client as RealClient;
use super::{add, hits, line};
use crate::mcp::Client;
use crate::terminal::Terminal;
use crate::until;

/// The sessions that are noted as private.
fn noted(env: &Environment) -> BTreeSet<String> {
    let entries = fs::read_dir(env.home().join("history/private")).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// Forgets that these sessions are private, so that the next way to start one has to note it again.
fn forget(env: &Environment) {
    let _ = fs::remove_dir_all(env.home().join("history/private"));
}

/// Whether a task is private.
fn is_private(env: &Environment, id: &str) -> bool {
    env.json(&["task", "show", id])["task"]["private"] == true
}

/// The newest task.
fn newest(env: &Environment) -> String {
    let tasks = env.json(&["task", "list", "--all"]);
    let newest =
        tasks["tasks"].as_array().unwrap().iter().max_by_key(|task| task["started"].as_str().unwrap().to_owned());
    newest.unwrap()["id"].as_str().unwrap().to_owned()
}

/// The end of this second.
fn now() -> String {
    let date = std::process::Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%S.999Z"]).output().unwrap();
    String::from_utf8(date.stdout).unwrap().trim().to_owned()
}

const OFF: [&str; 1] = ["--private"];

#[test]
fn a_private_run_is_noted_however_it_is_started() {
    let (mut env, clis) = FakeClis::environment();
    let own = |name: &str| BTreeSet::from([name.to_owned()]);
    // Nothing is noted of the others.
    env.run(&["claude", "hello"]).ok();
    assert_eq!((noted(&env), is_private(&env, &newest(&env))), (BTreeSet::new(), false));
    // In the foreground, and without waiting for it.
    for (cli, session) in [("claude", "session-1"), ("codex", "thread-1"), ("gemini", "session-2")] {
        for form in [&[][..], &["--detach"]] {
            env.run(&[&[cli][..], &OFF, form, &["hello"]].concat()).ok();
            until(|| noted(&env) == own(session));
            assert!(is_private(&env, &newest(&env)), "{cli} {form:?}");
            env.run(&["wait"]).ok();
            // The mark outlives the task.
            env.run(&["task", "remove", &newest(&env)]).ok();
            assert_eq!(noted(&env), own(session));
            forget(&env);
        }
    }
    env.set("AIW_HISTORY", "off");
    env.run(&["codex", "hello"]).ok();
    assert_eq!(noted(&env), own("thread-1"));
    forget(&env);
    // By a model.
    let mut client = Client::initialized(&env);
    let started = client.good("start_task", json!({"ai_type": "gemini", "task": "hello"}));
    until(|| noted(&env) == own("session-2"));
    assert!(is_private(&env, started["task"]["id"].as_str().unwrap()));
    drop(client);
    forget(&env);
    // By a component.
    let path = env.path("starts.wasm");
    fs::write(&path, aiw_tests::describing("hostile-provider", "does=start")).unwrap();
    env.run(&["extension", "add", &path.display().to_string(), "--yes"]).ok();
    let address = aiw_tests::listening();
    env.run(&["provider", "add", "starts", "--preset", "start", "--base-url", &format!("openai={address}")]).ok();
    let before = clis.seen().len();
    env.run(&["provider", "test", "starts"]);
    until(|| noted(&env) == own("session-1"));
    env.run(&["wait"]).ok();
    assert_eq!(clis.seen().len(), before + 1);
    assert!(is_private(&env, &newest(&env)));
    forget(&env);
    env.unset("AIW_HISTORY");
    // In a private task, by a CLI that passes the variable on to nobody.
    let inner = format!("env -u AIW_HISTORY {} codex --env AIW_HISTORY=on hello", env.parts().0.display());
    env.run(&[&["gemini"][..], &OFF, &[&FakeClis::script(&inner)]].concat()).ok();
    assert_eq!(noted(&env), BTreeSet::from(["session-2".to_owned(), "thread-1".to_owned()]));
    forget(&env);
    // One that goes on.
    env.run(&[&["claude"][..], &OFF, &["hello"]].concat()).ok();
    let first = newest(&env);
    forget(&env);
    let shown = env.json(&["task", "show", &first]);
    assert!(shown["task"]["resume"].as_str().unwrap().contains("aiw claude --private -- "), "{shown}");
    env.run(&["task", "resume", &first, "go", "on"]).ok();
    assert_eq!(noted(&env), own("session-1"));
    assert!(newest(&env) != first && is_private(&env, &newest(&env)));
    assert_eq!(clis.seen().last().unwrap().environment["AIW_HISTORY"], "off");
    forget(&env);
    // One that is killed as soon as it has said which session it is.
    let started = env.json(&[&["claude"][..], &OFF, &["--detach", &FakeClis::script("sleep 300")]].concat());
    until(|| noted(&env) == own("session-1"));
    env.run(&["stop", started["task"]["id"].as_str().unwrap()]).ok();
    add(&env, "session-1", &line("session-1", "u1", "user", "a heron"));
    assert_eq!(env.json(&["history", "import", "--all"])["messages"], 0);
    assert_eq!(hits(&env, "heron"), Vec::<Value>::new());
}

#[test]
fn private_tasks_of_the_real_clis_are_in_no_history() {
    let (text, kept) = ("privateask", "openask");
    for (cli, api) in [("claude", "messages"), ("codex", "responses"), ("gemini", "gemini")] {
        let turns = json!([
            {"api": api, "match": text, "text": "privateanswer", "repeat": true},
            {"api": api, "match": kept, "text": "openanswer", "repeat": true},
        ]);
        let Some(mut client) = RealClient::new(cli, &turns) else { continue };
        let path = format!("{}:{}", client.program.parent().unwrap().display(), client.env.parts().1["PATH"]);
        client.env.set("PATH", path);
        let url = format!("openai={}/v1", client.api.url());
        let settings = client.env.user().join(".gemini/settings.json");
        fs::create_dir_all(settings.parent().unwrap()).unwrap();
        fs::write(settings, r#"{"security": {"auth": {"selectedType": "gemini-api-key"}}}"#).unwrap();
        if cli == "codex" {
            client.env.set("THE_KEY", "the-key");
            let add = ["provider", "add", "gw", "--preset", "litellm", "--base-url", &url, "--token-env", "THE_KEY"];
            client.env.run(&add).ok();
        }
        let project = client.project.display().to_string();
        // Gemini CLI asks a model which model to use.
        let provider: &[&str] = if cli == "codex" { &["-p", "gw"] } else { &["--model", "m"] };
        let own: &[&str] = if cli == "codex" { &["--", "--skip-git-repo-check"] } else { &[] };
        for (form, prompt) in [(&OFF[..], text), (&["--detach", "--env", "AIW_HISTORY=off"], text), (&[], kept)] {
            let line = [&[cli, "--cwd", &project][..], provider, form, &[prompt], own].concat();
            client.env.run(&line).ok();
            client.env.run(&["wait"]).ok();
        }
        assert_eq!(noted(&client.env).len(), 2, "{cli}");
        client.env.run(&["task", "prune", "--keep", "0"]).ok();
        // The table of tasks outlives them.
        for entry in fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
            let bytes = fs::read(entry.path()).unwrap_or_default();
            assert!(!bytes.windows(text.len()).any(|piece| piece == text.as_bytes()), "{:?}", entry.path());
        }
        client.env.run(&["history", "import", "--all"]).ok();
        assert_eq!(hits(&client.env, text), Vec::<Value>::new(), "{cli}");
        assert!(!hits(&client.env, kept).is_empty(), "{cli}");
    }
}

#[test]
fn what_was_read_before_a_cli_named_its_session_is_taken_out_again() {
    let (env, _) = FakeClis::environment();
    let home = env.user().display().to_string();
    codex(&env, "thread-late", None, "a heron");
    let transcript = env
        .user()
        .join(".codex/sessions/2026/03/01/rollout-2026-03-01T10-00-00-thread-late.jsonl")
        .display()
        .to_string();
    env.run(&["history", "import", "--all"]).ok();
    // It goes on with a session, and names it when it is told to.
    let said = json!({"timestamp": "TIME", "type": "response_item",
        "payload": {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "an egret"}]}});
    let said = said.to_string().replace("TIME", "'$(date -u +%Y-%m-%dT%H:%M:%S.999Z)'");
    let script = format!(
        "#!/bin/sh\n\
        if [ \"$1\" = --version ]; then echo 'codex-cli 0.144.1'; exit 0; fi\n\
        cat > /dev/null\n\
        echo '{said}' >> {transcript}\n\
        while ! [ -e {home}/go ]; do sleep 0.05; done\n\
        echo '{{\"type\":\"thread.started\",\"thread_id\":\"thread-late\"}}'\n\
        echo '{{\"type\":\"turn.completed\",\"usage\":{{\"input_tokens\":1,\"output_tokens\":1}}}}'\n"
    );
    fs::write(env.path("fake-bin/codex"), script).unwrap();
    env.run(&["codex", "--env", "AIW_HISTORY=off", "--cwd", &home, "--detach", "x"]).ok();
    until(|| {
        env.run(&["history", "import", "--all"]).ok();
        hits(&env, "egret").len() == 1
    });
    fs::write(env.user().join("go"), "").unwrap();
    env.run(&["wait"]).ok();
    // What was said in it before the private run stays.
    assert_eq!((hits(&env, "heron").len(), hits(&env, "egret").len()), (1, 0));
    env.run(&["history", "import", "--all"]).ok();
    assert_eq!((hits(&env, "heron").len(), hits(&env, "egret").len()), (1, 0));
}

#[test]
fn a_private_session_on_a_terminal_is_noted_at_its_end_although_its_cli_does_not_name_it() {
    let (env, _) = FakeClis::environment();
    let home = env.user().display().to_string();
    codex(&env, "thread-before", None, "a heron");
    std::thread::sleep(std::time::Duration::from_millis(50));
    let script = "#!/bin/sh\n\
        if [ \"$1\" = --version ]; then echo 'codex-cli 0.144.1'; exit 0; fi\n\
        echo interactive; read -r code; exit \"$code\"\n";
    fs::write(env.path("fake-bin/codex"), script).unwrap();
    let mut terminal = Terminal::start(&env, &["codex", "--env", "AIW_HISTORY=off", "--cwd", &home]);
    terminal.wait_for("interactive");
    codex_at(&env, "thread-private", None, "an egret", &now());
    // Somebody takes it in before it has ended.
    env.run(&["history", "import", "--all"]).ok();
    assert_eq!(hits(&env, "egret").len(), 1);
    terminal.press("0\r");
    assert!(terminal.ends().success());
    assert_eq!(noted(&env), BTreeSet::from(["thread-private".to_owned()]));
    env.run(&["history", "import", "--all"]).ok();
    assert_eq!((hits(&env, "heron").len(), hits(&env, "egret").len()), (1, 0));
}
