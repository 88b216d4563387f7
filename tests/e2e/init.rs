//! `aiw init` on a terminal: the way of somebody who has just installed aiw, and every place where they may turn back.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use aiw_tests::{Answer, Environment, FakeClis, ModelApi, Server, git, listening, not_run, real_cli, tiny_model};
use serde_json::{Value, json};

use crate::doctor::{Other, open_to};
use crate::terminal::Terminal;

/// What is asked of somebody who adds a provider at this address, with what they type.
fn provider(address: &str) -> [(&'static str, &str); 8] {
    [
        ("Preset:", "litellm"),
        ("Name (empty for litellm):", ""),
        ("Address for the anthropic API", address),
        ("Address for the openai API", ""),
        ("Address for the gemini API", ""),
        ("Model (empty", "m"),
        ("API key of", "sk-typed-canary"),
        ("Hide the key from the CLIs?", ""),
    ]
}

/// What is asked about the other parts.
const REST: [(&str, &str); 4] = [
    ("Register aiw as an MCP server in", "y"),
    ("sessions read for `aiw history search`", "y"),
    ("Download a model", ""),
    ("Address of the remote", ""),
];

const AGREEMENT: &str = "Do all of this? [y/N]";

/// A registry of npm, by which the newest version of Claude Code is another one than that of anybody.
fn npm() -> Server {
    Server::start(|request| match request.path.as_str() {
        "/@anthropic-ai/claude-code/latest" => Answer::ok(r#"{"version": "99.0.0"}"#),
        _ => Answer::ok(r#"{"version": "1.2.3"}"#),
    })
}

/// Answers one question after the other.
fn answer(terminal: &mut Terminal, all: &[(&str, &str)]) {
    for (question, said) in all {
        terminal.wait_for(question);
        if *question == "API key of" {
            // What is typed before the terminal hides it is dropped.
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        terminal.press(format!("{said}\r"));
    }
}

/// Everything in a directory but code that was compiled, and what belongs to a session.
fn everything(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for path in fs::read_dir(directory).unwrap().flatten().map(|entry| entry.path()) {
        if path.ends_with("run") || path.ends_with("cache/compiled-v1") {
            continue;
        }
        if path.is_dir() {
            all.insert(path.display().to_string(), Vec::new());
            all.extend(everything(&path));
        } else {
            all.insert(path.display().to_string(), fs::read(&path).unwrap());
        }
    }
    all
}

#[test]
fn a_stranger_gets_from_a_fresh_home_to_an_answered_prompt() {
    let Some(real) = real_cli("claude") else { return not_run("claude is absent") };
    let Some(api) = ModelApi::start(&json!([{"text": "Hello from the model.", "repeat": true}])) else {
        return not_run("python3 is absent");
    };
    let mut env = Environment::new();
    let project = env.path("project");
    fs::create_dir_all(&project).unwrap();
    git(&project, &["init", "-q"]);
    let path = format!("{}:{}", real.parent().unwrap().display(), std::env::var("PATH").unwrap_or_default());
    env.set("PATH", path);
    env.set("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1");
    env.set("DISABLE_AUTOUPDATER", "1");
    let npm = npm();
    env.settings(&json!({"updates": {"npm_url": npm.url()}}));
    assert!(env.run(&[]).ok().stdout.contains("next: `aiw init`"));
    let mut terminal = Terminal::start(&env, &["init"]);
    answer(&mut terminal, &provider(api.url()));
    answer(&mut terminal, &REST);
    terminal.wait_for(AGREEMENT);
    assert!(npm.seen().is_empty(), "nobody is asked before the person agrees");
    terminal.press("y\r");
    terminal.wait_for(": 99.0.0 is out");
    terminal.wait_for("Next: `aiw claude -p litellm \"PROMPT\"`");
    let shown = terminal.shown();
    assert!(terminal.ends().success(), "{shown}");
    assert!(!shown.contains("canary") && shown.contains("undo: `aiw provider remove litellm`"), "{shown}");
    let cwd = project.display().to_string();
    let run = env.run(&["claude", "--cwd", &cwd, "-p", "litellm", "--timeout", "100s", "Say hello"]).ok();
    assert_eq!(run.stdout, "Hello from the model.\n");
    let is_theirs = |request: &Value| request["headers"].to_string().contains("sk-typed-canary");
    assert!(api.requests().iter().any(is_theirs));
    // What was skipped is still lacking, and nothing else.
    assert_eq!(env.run(&["init"]).ok().stdout, "aiw model pull\naiw sync init REMOTE\n");
    let said = env.run(&[]).ok().stdout;
    assert!(!said.contains("aiw init"), "{said}");
    let settings = fs::read_to_string(env.user().join(".claude/settings.json")).unwrap();
    assert!(settings.contains("history hooks handle"), "{settings}");
}

#[test]
fn who_turns_back_at_any_question_or_skips_all_of_them_has_written_nothing() {
    let (env, _clis) = FakeClis::environment();
    let before = everything(&env.path(""));
    let all = [&provider(listening())[..], &REST, &[(AGREEMENT, "")]].concat();
    for at in 0..all.len() {
        let mut terminal = Terminal::start(&env, &["init"]);
        answer(&mut terminal, &all[..at]);
        terminal.wait_for(all[at].0);
        terminal.press("\u{3}");
        assert_eq!(terminal.ends().exit_code(), 130, "{}: {}", all[at].0, terminal.shown());
        assert_eq!(everything(&env.path("")), before, "{}", all[at].0);
    }
    let mut terminal = Terminal::start(&env, &["init"]);
    answer(&mut terminal, &all);
    terminal.wait_for("nothing was written");
    assert_eq!(terminal.ends().exit_code(), 2);
    let mut terminal = Terminal::start(&env, &["init"]);
    answer(&mut terminal, &[("Preset:", "")]);
    answer(&mut terminal, &REST.map(|(question, _)| (question, "")));
    terminal.wait_for("nothing changes");
    assert!(terminal.ends().success() && everything(&env.path("")) == before);
}

#[test]
fn who_stops_in_a_step_has_those_before_and_nothing_of_that_one() {
    let (env, _clis) = FakeClis::environment();
    let mut terminal = Terminal::start(&env, &["tui"]);
    terminal.wait_for("`aiw init` asks for what is missing");
    terminal.press("q");
    assert!(terminal.ends().success());
    let far = env.path("far").display().to_string();
    let mut terminal = Terminal::start(&env, &["init"]);
    answer(&mut terminal, &[("Preset:", "")]);
    answer(&mut terminal, &REST[..3]);
    answer(&mut terminal, &[("Address of the remote", &far), (AGREEMENT, "y")]);
    // The last step asks for two of its words.
    terminal.wait_for("Word 3:");
    terminal.press("\u{3}");
    assert_eq!(terminal.ends().exit_code(), 130);
    assert_eq!(env.run(&["init"]).ok().stdout, "aiw provider add\naiw model pull\naiw sync init REMOTE\n");
    assert_eq!((env.json(&["secret", "list"])["secrets"].clone(), env.path("far").exists()), (json!([]), false));
    // The dashboard has something else to say now.
    let mut terminal = Terminal::start(&env, &["tui"]);
    terminal.wait_for("no past sessions yet");
    assert!(!terminal.shown().contains("aiw init"), "{}", terminal.shown());
    terminal.press("q");
    assert!(terminal.ends().success());
}

#[test]
fn without_a_terminal_it_prints_the_commands_and_where_nothing_is_lacking_it_asks_nothing() {
    let (env, _clis) = FakeClis::environment();
    let commands = ["aiw provider add", "aiw setup claude codex gemini", "aiw history hooks install", "aiw model pull"];
    let npm = npm();
    let updates = |check: bool| env.settings(&json!({"updates": {"npm_url": npm.url(), "check": check}}));
    updates(true);
    let printed = env.run(&["init", "--yes"]).ok();
    assert_eq!(
        printed.whole(),
        format!("{}\naiw sync init REMOTE\n------- stderr -------\n------- exit code 0 -------\n", commands.join("\n"))
    );
    let lacking = env.json(&["init"])["lacking"].clone();
    assert_eq!((&lacking[1]["part"], &lacking[1]["command"]), (&json!("clients"), &json!(commands[1])));
    let (model, far) = (env.path("model"), env.path("far").display().to_string());
    fs::create_dir(&model).unwrap();
    tiny_model(&model);
    let model = model.display().to_string();
    for command in [
        &["provider", "add", "gw", "--preset", "openrouter", "--token-stdin"][..],
        &["setup", "claude", "codex", "gemini", "--yes"],
        &["history", "hooks", "install"],
        &["model", "use", &model],
        &["sync", "init", &far],
    ] {
        env.run_with_input(command, "the-key").ok();
    }
    assert_eq!(env.json(&["init"]), json!({"lacking": []}));
    assert!(npm.seen().is_empty(), "nobody is there who wants to know");
    let on_terminal = |asks: &str| {
        let mut terminal = Terminal::start(&env, &["init"]);
        terminal.wait_for("nothing is lacking");
        assert!(terminal.ends().success());
        let shown = terminal.shown();
        // Who is asked is said meanwhile.
        let (said, asked): (Vec<&str>, Vec<&str>) =
            shown.trim().lines().map(str::trim_end).partition(|line| !line.starts_with("asking for"));
        assert_eq!(asked.join(" "), asks);
        said.join("\n")
    };
    let nothing = "nothing is lacking; `aiw doctor` looks for problems";
    let news = format!("{nothing}\nclaude 1.2.3: 99.0.0 is out\n  → update it as you installed it");
    let asks = ["claude", "codex", "gemini"].map(|cli| format!("asking for the newest version of {cli}")).join(" ");
    assert_eq!((on_terminal(&asks), npm.seen().len()), (news.clone(), 3));
    // Once a day, and not at all if that is wanted.
    assert_eq!((on_terminal(""), npm.seen().len()), (news, 3));
    updates(false);
    fs::remove_file(env.home().join("cache/cli-news.json")).unwrap();
    assert_eq!((on_terminal(""), npm.seen().len()), (nothing.to_owned(), 3));
}

#[test]
fn a_home_that_can_not_be_read_is_one_error_with_the_command_that_opens_it() {
    let env = Environment::cold();
    let closed = [env.home(), env.home().join("providers.json"), env.home().join("models.lock")];
    open_to(&env.home(), 0o700);
    fs::write(&closed[1], "{}").unwrap();
    fs::write(&closed[2], "").unwrap();
    let other = Other::of(&env);
    for (path, unread) in closed.iter().zip([1, 1, 2]) {
        open_to(path, 0o000);
        let run = other.run("\"$AIW\" init");
        let unread = closed[unread].display();
        let says = format!(
            "error: cannot read `{unread}`: Permission denied (os error 13)\nhint: `chmod u+rwX {}`\n",
            path.display()
        );
        assert_eq!((run.stdout.as_str(), run.stderr.as_str(), run.code), ("", says.as_str(), 69));
        let opened = other.run(&format!("chmod u+rwX {} && \"$AIW\" doctor >/dev/null || true", path.display()));
        opened.ok();
    }
    fs::remove_file(&closed[2]).unwrap();
    let run = other.run("\"$AIW\" init").ok();
    assert!(run.stdout.starts_with("aiw provider add\n"), "{}", run.whole());
}
