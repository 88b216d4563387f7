//! The command line itself: help, usage errors, and which output goes where.

use std::io::Read;
use std::process::Stdio;

use aiw_tests::{Environment, Market};
use serde_json::json;

/// The lines themselves are tested where they are parsed.
#[test]
fn help_version_and_wrong_lines_need_no_home_and_go_where_they_belong() {
    let env = Environment::cold();
    for words in [&["--help"][..], &["logs", "--help"], &["plugin", "marketplace", "add", "--help"]] {
        let run = env.run(words).ok();
        assert!(run.stderr.is_empty() && run.stdout.contains("Usage: aiw"), "{}", run.whole());
    }
    assert_eq!(env.run(&["help"]).ok().stdout, env.run(&["--help"]).ok().stdout);
    assert_eq!(env.run(&["help", "logs"]).ok().stdout, env.run(&["logs", "--help"]).ok().stdout);
    let run = env.run(&["help", "tusk"]);
    assert!(run.code == 64 && run.stderr.contains("unrecognized subcommand 'tusk'"), "{}", run.whole());
    for flag in ["--version", "-V"] {
        assert_eq!(env.run(&[flag]).ok().stdout, format!("aiw {}\n", env!("CARGO_PKG_VERSION")));
    }
    let wrong = env.run(&["process", "logs", "a b"]);
    assert!(wrong.code == 64 && wrong.stdout.is_empty(), "{}", wrong.whole());
    assert_eq!(wrong.stderr.lines().last(), Some("hint: did you mean `aiw logs 'a b'`?"));
    let answer = env.run(&["plugin", "install", "--json"]);
    assert_eq!((answer.code, &answer.json()["error"]["kind"]), (64, &json!("usage")));
    assert!(answer.json()["error"]["message"].as_str().is_some_and(|message| !message.is_empty()));
    assert!(!env.home().exists());
}

#[test]
fn alone_it_says_how_things_stand_and_what_comes_next() {
    let env = Environment::cold();
    let fresh = env.run(&[]).ok();
    insta::assert_snapshot!(fresh.stdout, @"
    tasks      none running
    processes  none in this project
    providers  none: each AI CLI uses its own
    servers    none
    history    no past sessions yet
    next: `aiw init` asks for what is missing, and sets it up; `aiw --help` lists all commands
    ");
    assert_eq!((env.json(&[])["servers"].clone(), env.home().exists()), (json!(0), false));
    let (env, _) = aiw_tests::FakeClis::environment();
    env.run(&["provider", "add", "router", "--preset", "openrouter", "--token-env", "KEY"]).ok();
    env.run(&["claude", "--detach", "hello"]).ok();
    env.run(&["process", "add", "web", "--", "sleep", "9"]).ok();
    // What needs somebody stands first, and no next step is taught beside it.
    let said = env.run(&[]).ok().stdout;
    let (needs, state) = said.split_once("\n\n").unwrap();
    assert!(needs.contains("provider `router` lacks the variable `KEY`: `export KEY=…`"), "{said}");
    assert_eq!(state.lines().count(), 5, "{said}");
    for (line, part) in state.lines().zip(["tasks", "processes  1 in", "providers  1: router", "servers", "history"]) {
        assert!(line.starts_with(part), "{part}: {said}");
    }
}

#[test]
fn a_manual_page_is_written_for_each_command() {
    let env = Environment::cold();
    env.run(&["__man", "man"]).ok();
    let page = |name: &str| std::fs::read_to_string(env.path("man").join(name)).unwrap();
    assert!(page("aiw.1").contains("aiw\\-task(1)"));
    assert!(page("aiw-logs.1").contains("\\-\\-follow"));
    assert!(!env.path("man/aiw-__docs.1").exists());
}

/// Presses TAB after these words in bash, with the script that aiw prints, and returns what is offered.
fn completed(env: &Environment, words: &[&str]) -> Vec<String> {
    let (binary, variables) = env.parts();
    let path = format!("{}:{}", binary.parent().unwrap().display(), variables["PATH"]);
    let script = r#"source <(aiw completions bash)
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9
        _clap_complete_aiw aiw "${COMP_WORDS[COMP_CWORD]}" 2>/dev/null
        printf '%s\n' "${COMPREPLY[@]}""#;
    let mut bash = env.program(std::path::Path::new("bash"));
    bash.args(["--norc", "-c", script, "bash"]).args(words).env("PATH", path);
    let run: aiw_tests::Run = bash.output().unwrap().into();
    run.stdout.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

/// The same in fish; none where it is not installed.
fn completed_by_fish(env: &Environment, line: &str) -> Option<Vec<String>> {
    let (binary, variables) = env.parts();
    let path = format!("{}:{}", binary.parent().unwrap().display(), variables["PATH"]);
    let script = "aiw completions fish | source; complete -C $argv[1]";
    let mut fish = env.program(std::path::Path::new("fish"));
    let run: aiw_tests::Run = fish.args(["--no-config", "-c", script, line]).env("PATH", path).output().ok()?.into();
    // A name and, after a tab, what it is.
    Some(run.ok().stdout.lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect())
}

#[test]
fn fish_is_offered_commands_and_names() {
    let env = Environment::cold();
    let Some(offered) = completed_by_fish(&env, "aiw mcp ") else {
        aiw_tests::not_run("fish is not installed");
        return;
    };
    assert!(offered.contains(&"doctor".to_owned()) && offered.contains(&"status".to_owned()), "{offered:?}");
    env.run(&["mcp", "add", "clock", "--no-check", "--", "true"]).ok();
    assert_eq!(completed_by_fish(&env, "aiw mcp disable cl").unwrap(), ["clock"]);
}

#[test]
fn a_shell_is_offered_commands_ids_and_names() {
    let (env, _clis) = aiw_tests::FakeClis::environment();
    assert!(completed(&env, &["aiw", "ta"]).contains(&"task".to_owned()));
    assert!(!completed(&env, &["aiw", ""]).contains(&"__docs".to_owned()));
    let id = env.run(&["codex", "--detach", "#!\nsleep 60"]).ok().stdout.trim().to_owned();
    assert_eq!(completed(&env, &["aiw", "logs", &id[..2]]), std::slice::from_ref(&id));
    assert_eq!(completed(&env, &["aiw", "stop", &id[..2]]), std::slice::from_ref(&id));
    assert!(completed(&env, &["aiw", "task", "remove", &id[..2]]).is_empty());
    env.run(&["stop", &id]).ok();

    let add = ["provider", "add", "my-router", "--preset", "litellm", "--base-url", "http://127.0.0.1:9"];
    env.run(&[&add[..], &["--token-env", "X_KEY"]].concat()).ok();
    assert_eq!(completed(&env, &["aiw", "provider", "show", "my"]), ["my-router"]);
    assert_eq!(completed(&env, &["aiw", "claude", "-p", "my"]), ["my-router"]);
    env.run(&["role", "new", "reviewer"]).ok();
    assert_eq!(completed(&env, &["aiw", "role", "show", "rev"]), ["reviewer"]);
    let market = Market::new(env.path("m"), "shelf").plugin("notes", "1.0.0", json!({"notes": {"command": "notes"}}));
    env.add(market.root()).ok();
    assert_eq!(completed(&env, &["aiw", "plugin", "marketplace", "update", "sh"]), ["shelf"]);
    assert_eq!(completed(&env, &["aiw", "plugin", "install", "no"]), ["notes@shelf"]);
    assert!(completed(&env, &["aiw", "plugin", "remove", "no"]).is_empty());
    env.run(&["plugin", "install", "notes", "--yes"]).ok();
    assert_eq!(completed(&env, &["aiw", "plugin", "remove", "no"]), ["notes@shelf"]);
    if let Some(servers) = crate::servers::Servers::new() {
        let servers = servers.with("clock", &[]).known();
        let env = &servers.env;
        assert_eq!(completed(env, &["aiw", "mcp", "call", "clock/ec"]), ["clock/echo"]);
        let definitions =
            json!([{"name": "zone", "inputSchema": {"type": "object", "properties": {"from": {}, "to": {}}}}]);
        let file = env.path("zone.json");
        std::fs::write(&file, definitions.to_string()).unwrap();
        let servers = servers.with("zones", &["--define", file.to_str().unwrap()]).known();
        let offered = completed(&servers.env, &["aiw", "mcp", "call", "zones/zone", "fr"]);
        // bash takes `=` for the end of a word.
        assert!(offered == ["from="] || offered == ["from"], "{offered:?}");
    }
    for shell in ["zsh", "fish", "powershell"] {
        let script = env.run(&["completions", shell]).ok().stdout;
        assert!(script.contains("AIW_COMPLETE"), "{script}");
    }
}

#[test]
fn nothing_is_printed_on_standard_output_by_a_command_that_fails() {
    let env = Environment::new();
    for arguments in [
        vec!["plugin", "info", "nope"],
        vec!["plugin", "install", "nope", "--yes"],
        vec!["plugin", "remove", "nope"],
        vec!["plugin", "enable", "nope"],
        vec!["plugin", "disable", "nope"],
        vec!["plugin", "update", "nope"],
        vec!["plugin", "search", "--market", "nope"],
        vec!["plugin", "list", "--available", "--market", "nope"],
        vec!["plugin", "validate", "./nope"],
        vec!["plugin", "browse"],
        vec!["plugin", "marketplace", "add", "./nope"],
        vec!["plugin", "marketplace", "remove", "nope"],
        vec!["plugin", "marketplace", "update", "nope"],
        vec!["extension", "info", "nope"],
        vec!["extension", "add", "./nope"],
        vec!["extension", "remove", "nope"],
        vec!["extension", "remove", "market-github"],
        vec!["extension", "verify", "nope"],
        vec!["extension", "call", "./nope", "describe"],
    ] {
        let run = env.run(&arguments);
        assert_eq!(run.code, 2, "{arguments:?}: {}", run.whole());
        assert_eq!(run.stdout, "", "{arguments:?}");
        assert!(run.stderr.starts_with("error: ") && run.stderr.lines().count() <= 2, "{arguments:?}: {}", run.whole());
        assert!(!run.stderr.trim_end().ends_with('.'), "{arguments:?}: {}", run.whole());
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let env = Environment::new();
    let mut market = Market::new(env.path("m"), "m");
    // More than fits in a pipe.
    let entry = |n| json!({"name": format!("plugin-{n}"), "source": {"source": "npm"}, "description": "d".repeat(80)});
    market.edit(|document| document["plugins"] = (0..2000).map(entry).collect());
    env.add(market.root()).ok();
    for json in [false, true] {
        let mut arguments = vec!["plugin", "list", "--available", "--all"];
        if json {
            arguments.push("--json");
        }
        let mut child = env.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = [0; 10];
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut first).unwrap();
        drop(stdout);
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let status = child.wait().unwrap();
        assert!(status.success(), "{status}: {stderr}");
        assert!(!stderr.contains("error") && !stderr.contains("panick"), "{stderr}");
    }
}

#[test]
fn output_is_the_same_without_colour_and_in_a_narrow_world() {
    let mut env = Environment::new();
    let market = Market::new(env.path("m"), "m").plugin("a", "1.0.0", json!({"a": {"command": "true"}}));
    env.add(market.root()).ok();
    let plain = env.run(&["plugin", "search"]).ok().stdout;
    for (name, value) in [("NO_COLOR", "1"), ("COLUMNS", "20"), ("TERM", "xterm-256color"), ("CLICOLOR_FORCE", "1")] {
        env.set(name, value);
        let run = env.run(&["plugin", "search"]).ok();
        assert_eq!(run.stdout, plain, "{name}");
    }
}
