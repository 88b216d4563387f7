//! Sessions of CLIs that aiw ran: where they are, and under which provider they go on.

use std::fs;
use std::path::Path;

use aiw_tests::{Environment, FakeClis};
use serde_json::{Value, json};

use super::{add, ended, hits, hook, line};
use crate::mcp::Client;
use crate::terminal::Terminal;

/// Fake CLIs and a provider.
fn with_provider() -> (Environment, FakeClis) {
    let (mut env, clis) = FakeClis::environment();
    env.set("THE_KEY", "the-key");
    let address = aiw_tests::listening();
    env.run(&["provider", "add", "gw", "--preset", "litellm", "--base-url", address, "--token-env", "THE_KEY"]).ok();
    (env, clis)
}

/// A session of Codex, with the id of its provider if it has one.
pub fn codex(env: &Environment, session: &str, provider: Option<&str>, text: &str) {
    codex_at(env, session, provider, text, "2026-03-01T10:00:00.000Z");
}

/// The same at another time.
pub fn codex_at(env: &Environment, session: &str, provider: Option<&str>, text: &str, time: &str) {
    let meta = json!({"timestamp": time, "type": "session_meta",
        "payload": {"id": session, "cwd": env.user(), "model_provider": provider}});
    let said = json!({"timestamp": time, "type": "response_item",
        "payload": {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}});
    let path = env.user().join(format!(".codex/sessions/2026/03/01/rollout-2026-03-01T10-00-00-{session}.jsonl"));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("{meta}\n{said}\n")).unwrap();
}

/// A session of Gemini CLI in a home.
fn gemini(home: &Path, project: &str, session: &str, text: &str) {
    let directory = home.join(".gemini/tmp/p");
    fs::create_dir_all(directory.join("chats")).unwrap();
    fs::write(directory.join(".project_root"), project).unwrap();
    let time = "2026-03-01T10:00:00.000Z";
    let head = json!({"sessionId": session, "projectHash": "x", "startTime": time, "lastUpdated": time});
    let said = json!({"id": format!("{session}-1"), "timestamp": time, "type": "user", "content": text});
    let chat = directory.join("chats/session-2026-03-01T10-00-12345678.jsonl");
    fs::write(chat, format!("{head}\n{said}\n")).unwrap();
}

/// The only hit with a word: its session's provider, and the line that goes on with it.
fn resume(env: &Environment, word: &str) -> (Value, String) {
    let found = hits(env, word);
    assert_eq!(found.len(), 1, "{word}: {found:?}");
    (found[0]["provider"].clone(), found[0]["resume"].as_str().unwrap().to_owned())
}

#[test]
fn a_directory_with_an_odd_name_takes_one_line() {
    let (env, _) = with_provider();
    let project = env.path("two\nlines it's");
    fs::create_dir_all(&project).unwrap();
    let told = line("s-odd", "o1", "user", "an ostrich").replace("\"/srv/p\"", &json!(project).to_string());
    add(&env, "s-odd", &told);
    env.run(&["history", "import", "--all"]).ok();
    let (_, resume) = resume(&env, "ostrich");
    assert!(resume.lines().count() == 1 && resume.contains("$'"), "{resume}");
    let shown = env.run(&["history", "search", "ostrich"]).ok().stdout;
    assert!(shown.contains(&format!("resume: {resume}\n")), "{shown}");
    // A shell goes there.
    let cd = resume.split(" && ").next().unwrap();
    let there = env.program(Path::new("bash")).args(["-c", &format!("{cd} && printf %s \"$PWD\"")]).output();
    assert_eq!(String::from_utf8(there.unwrap().stdout).unwrap(), project.display().to_string());
}

#[test]
fn a_session_goes_on_under_the_provider_that_it_had() {
    let (env, clis) = with_provider();
    let home = env.user().display().to_string();
    // Its hook says under which provider it is.
    add(&env, "s-hooked", &line("s-hooked", "h1", "user", "a heron"));
    let heard = env.path("heard.json");
    fs::write(&heard, ended(&env, "s-hooked")).unwrap();
    let script = format!("{} history hooks handle < {}", env.parts().0.display(), heard.display());
    env.run(&["claude", "-p", "gw", &FakeClis::script(&script)]).ok();
    // A task knows its provider, and which session it was.
    codex(&env, "thread-1", None, "an egret");
    env.run(&["codex", "-p", "gw", "--cwd", &home, &FakeClis::script("true")]).ok();
    // Codex itself names it, also of sessions on a terminal.
    let providers: Value = serde_json::from_str(&env.read("providers.json")).unwrap();
    let id = providers["providers"]["gw"]["id"].as_str().unwrap();
    codex(&env, "thread-named", Some(id), "a stork");
    // One that aiw did not start.
    add(&env, "s-own", &line("s-own", "o1", "user", "a crane"));
    hook(&env, "s-own");
    env.run(&["history", "import", "--all"]).ok();
    let named = |word: &str| resume(&env, word);
    assert_eq!(named("heron"), (json!("gw"), "cd /srv/p && aiw claude -p gw -- --resume s-hooked".into()));
    assert_eq!(named("egret"), (json!("gw"), format!("cd {home} && aiw codex -p gw -- resume thread-1")));
    assert_eq!(named("stork"), (json!("gw"), format!("cd {home} && aiw codex -p gw -- resume thread-named")));
    assert_eq!(named("crane"), (Value::Null, "cd /srv/p && claude --resume s-own".into()));
    let shown = env.run(&["history", "search", "heron"]).ok().stdout;
    assert!(shown.contains("resume: cd /srv/p && aiw claude -p gw -- --resume s-hooked\n"), "{shown}");
    let sessions = env.json(&["history", "show", "s-hooked"]);
    assert_eq!(sessions["session"]["resume"], "cd /srv/p && aiw claude -p gw -- --resume s-hooked");
    let mut client = Client::initialized(&env);
    let told = client.good("search_history", json!({"query": "heron"}));
    assert_eq!(told["sessions"][0]["resume"], "cd /srv/p && aiw claude -p gw -- --resume s-hooked");
    let told = client.good("get_session", json!({"session_id": "s-hooked"}));
    assert_eq!(told["resume"], "cd /srv/p && aiw claude -p gw -- --resume s-hooked");
    // The choice on a screen goes through aiw too.
    let started = clis.seen().len();
    let mut terminal = Terminal::start(&env, &["history", "search", "stork", "--interactive"]);
    terminal.wait_for("a stork");
    terminal.press("\r");
    terminal.wait_for("interactive CLI of");
    terminal.press("0\r");
    assert!(terminal.ends().success());
    let seen = &clis.seen()[started];
    assert_eq!(seen.arguments[seen.arguments.len() - 2..], ["resume", "thread-named"]);
    assert_eq!((seen.environment["AIW_CODEX_KEY"].as_str(), seen.cwd.as_str()), ("the-key", home.as_str()));
}

#[test]
fn a_session_on_a_terminal_has_its_provider_without_hooks_too() {
    let (env, _) = with_provider();
    // It says which session it is in as Claude Code does.
    let script = "#!/bin/sh\n\
        if [ \"$1\" = --version ]; then echo '2.1.328 (Claude Code)'; exit 0; fi\n\
        mkdir -p \"$HOME/.claude/sessions\"\n\
        echo \"{\\\"pid\\\":$$,\\\"sessionId\\\":\\\"s-terminal\\\"}\" > \"$HOME/.claude/sessions/$$.json\"\n\
        echo interactive; read -r code; rm \"$HOME/.claude/sessions/$$.json\"; exit \"$code\"\n";
    fs::write(env.path("fake-bin/claude"), script).unwrap();
    add(&env, "s-terminal", &line("s-terminal", "u1", "user", "a heron"));
    let mut terminal = Terminal::start(&env, &["claude", "-p", "gw"]);
    terminal.wait_for("interactive");
    std::thread::sleep(std::time::Duration::from_millis(1500));
    terminal.press("0\r");
    assert!(terminal.ends().success());
    env.run(&["history", "import", "--all"]).ok();
    let line = "cd /srv/p && aiw claude -p gw -- --resume s-terminal".to_owned();
    assert_eq!(resume(&env, "heron"), (json!("gw"), line));
    assert_eq!(fs::read_dir(env.home().join("history/launched")).unwrap().count(), 0);
}

#[test]
fn a_session_whose_provider_is_gone_says_so() {
    let (env, _) = with_provider();
    let home = env.user().display().to_string();
    codex(&env, "thread-1", None, "an egret");
    env.run(&["codex", "-p", "gw", "--cwd", &home, &FakeClis::script("true")]).ok();
    env.run(&["history", "import", "--all"]).ok();
    env.run(&["provider", "remove", "gw"]).ok();
    let problem = "provider `gw`, which this session had, is gone: add it again with `aiw provider add gw`, or go on \
                   without it: `codex resume thread-1`";
    assert_eq!(hits(&env, "egret")[0]["problem"], problem);
    assert!(env.run(&["history", "search", "egret"]).ok().stdout.contains(problem));
    assert!(env.run(&["history", "show", "thread-1"]).ok().stdout.contains(problem));
    let mut client = Client::initialized(&env);
    assert_eq!(client.good("search_history", json!({"query": "egret"}))["sessions"][0]["problem"], problem);
    let mut terminal = Terminal::start(&env, &["history", "search", "egret", "--interactive"]);
    terminal.wait_for("an egret");
    terminal.press("\r");
    terminal.wait_for("provider `gw`, which this session had, is gone");
    assert_eq!(terminal.ends().exit_code(), 2);
}

#[test]
fn sessions_in_the_directories_that_aiw_gives_to_clis_are_found() {
    let (env, _) = with_provider();
    gemini(&env.home().join("gemini/gw"), "/srv/g", "11112222-gemini", "a heron");
    gemini(&env.home().join("gemini/gw-isolated"), "/srv/i", "22223333-gemini", "a bittern");
    gemini(&env.home().join("isolated/gemini"), "/srv/o", "33334444-gemini", "an ibis");
    let claude = env.home().join("isolated/claude/projects/-srv-p");
    fs::create_dir_all(&claude).unwrap();
    fs::write(claude.join("s-isolated.jsonl"), line("s-isolated", "i1", "user", "an egret")).unwrap();
    let sessions = env.home().join("isolated/codex/sessions/2026");
    codex(&env, "thread-isolated", None, "a stork");
    fs::create_dir_all(sessions.parent().unwrap()).unwrap();
    fs::rename(env.user().join(".codex/sessions/2026"), sessions).unwrap();
    assert_eq!(env.json(&["history", "doctor"])["unread"], 5);
    assert_eq!(env.json(&["history", "watch", "--once"])["messages"], 5);
    let home = env.user().display().to_string();
    for (word, provider, line) in [
        ("heron", json!("gw"), "cd /srv/g && aiw gemini -p gw -- --resume 11112222-gemini".to_owned()),
        ("bittern", json!("gw"), "cd /srv/i && aiw gemini -p gw --isolated -- --resume 22223333-gemini".to_owned()),
        ("ibis", Value::Null, "cd /srv/o && aiw gemini --isolated -- --resume 33334444-gemini".to_owned()),
        ("egret", Value::Null, "cd /srv/p && aiw claude --isolated -- --resume s-isolated".to_owned()),
        ("stork", Value::Null, format!("cd {home} && aiw codex --isolated -- resume thread-isolated")),
    ] {
        assert_eq!(resume(&env, word), (provider, line), "{word}");
    }
    // By hand, it is the same.
    let other = Environment::new();
    gemini(&other.home().join("gemini/gw"), "/srv/g", "11112222-gemini", "a heron");
    let chats = other.home().join("gemini/gw/.gemini/tmp/p/chats");
    other.run(&["history", "import", &chats.display().to_string()]).ok();
    assert_eq!(hits(&other, "heron")[0]["project"], "/srv/g");
}
