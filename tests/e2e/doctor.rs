//! `aiw doctor`: each problem is made for real, named with one command, and gone once that command has run.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use aiw_tests::{Answer, Environment, FakeClis, Market, Run, Server, component};
use serde_json::{Value, json};

/// Returns the problems of a part, each with the command that mends it.
fn problems(env: &Environment, part: &str) -> Vec<(String, String)> {
    let run = env.run(&["doctor", "--json"]);
    let answer = run.json();
    let all = answer["parts"].as_array().unwrap().iter();
    assert_eq!(run.code == 0, all.clone().all(|part| part["problems"] == json!([])), "{}", run.whole());
    let part = all.clone().find(|found| found["name"] == part).unwrap_or(&Value::Null);
    let text = |found: &Value, name: &str| found[name].as_str().unwrap().to_owned();
    let found = part["problems"].as_array().into_iter().flatten();
    found.map(|found| (text(found, "problem"), text(found, "next"))).collect()
}

/// Checks that a part has one problem, and returns the arguments of its command.
fn only(env: &Environment, part: &str, says: &str) -> Vec<String> {
    let found = problems(env, part);
    let [(problem, next)] = found.as_slice() else { panic!("{found:?}") };
    assert!(problem.contains(says), "{problem}");
    let command = next.split('`').nth(1).unwrap();
    let shown = env.run(&["doctor"]).stdout;
    assert!(shown.contains(problem) && shown.contains(&format!("→ {next}")), "{shown}");
    command.strip_prefix("aiw ").unwrap_or(command).split(' ').map(str::to_owned).collect()
}

fn mended(env: &Environment, part: &str, run: Run) {
    run.ok();
    assert_eq!(problems(env, part), []);
}

fn words(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

#[test]
fn a_provider_without_its_secret_or_variable_and_an_entry_that_can_not_be_used_are_named() {
    let mut env = Environment::new();
    let add =
        ["provider", "add", "gw", "--preset", "custom", "--base-url", "openai=https://x.test/v1", "--token-stdin"];
    assert_eq!(env.run_with_input(&add, "sk-canary-gw\n").code, 0);
    assert_eq!(problems(&env, "providers"), []);
    fs::remove_file(env.home().join("vault/gw.age")).unwrap();
    let command = only(&env, "providers", "provider `gw` lacks the secret `gw`");
    mended(&env, "providers", env.run_with_input(&words(&command), "sk-canary-gw\n"));

    env.set("SHELL_KEY", "sk-canary-gw");
    let add = [
        "provider",
        "add",
        "sh",
        "--preset",
        "custom",
        "--base-url",
        "openai=https://x.test/v1",
        "--token-env",
        "SHELL_KEY",
    ];
    env.run(&add).ok();
    assert_eq!(problems(&env, "providers"), []);
    env.unset("SHELL_KEY");
    let command = only(&env, "providers", "provider `sh` lacks the variable `SHELL_KEY`");
    assert_eq!(command, ["export", "SHELL_KEY=…"]);
    env.set("SHELL_KEY", "sk-canary-gw");
    assert_eq!(problems(&env, "providers"), []);
    assert!(!env.run(&["doctor"]).whole().contains("canary"));
}

#[test]
fn files_of_extensions_and_plugins_that_are_gone_or_changed_are_named() {
    let env = Environment::new();
    let path = component("acme-spread");
    env.run(&["extension", "add", &path.display().to_string(), "--yes"]).ok();
    let market = Market::new(env.path("good"), "good").plugin("kept", "1.0.0", json!({"kept": {"command": "true"}}));
    env.add(market.root()).ok();
    env.run(&["plugin", "install", "kept", "--yes"]).ok();
    assert_eq!(problems(&env, "installed"), []);

    let file = fs::read_dir(env.home().join("extensions")).unwrap().next().unwrap().unwrap().path();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&file, "another program").unwrap();
    let command = only(&env, "installed", "acme-spread");
    mended(&env, "installed", env.run(&words(&command)));
    fs::remove_file(&file).unwrap();
    let command = only(&env, "installed", "acme-spread");
    mended(&env, "installed", env.run(&words(&command)));

    fs::remove_dir_all(env.home().join("plugins")).unwrap();
    let command = only(&env, "installed", "the files of the plugin `kept@good` are gone");
    mended(&env, "installed", env.run(&[&words(&command)[..], &["--yes"]].concat()));
}

#[test]
fn a_cli_that_is_installed_twice_is_named_and_a_link_to_it_is_not() {
    let mut env = Environment::new();
    let directories = ["one", "two", "three"].map(|name| env.path(name));
    for directory in &directories {
        fs::create_dir(directory).unwrap();
    }
    let [one, two, three] = &directories;
    let ran = env.path("ran");
    let script = format!("#!/bin/sh\ntouch {}\necho '1.2.3 (Claude Code)'\n", ran.display());
    for directory in [one, three] {
        fs::write(directory.join("claude"), &script).unwrap();
        fs::set_permissions(directory.join("claude"), fs::Permissions::from_mode(0o755)).unwrap();
    }
    symlink(one.join("claude"), two.join("claude")).unwrap();
    env.set("PATH", format!("{}:{}:{}:/usr/bin:/bin", two.display(), one.display(), three.display()));
    let found = problems(&env, "clis");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].0.contains(&three.join("claude").display().to_string()), "{found:?}");
    assert!(!ran.exists(), "looking starts nothing");
    fs::remove_file(three.join("claude")).unwrap();
    assert_eq!(problems(&env, "clis"), []);
}

#[test]
fn a_home_with_every_document_broken_is_looked_at_whole() {
    let env = Environment::new();
    for name in ["settings.json", "providers.json", "plugins.json", "mcp.json", "registry.lock"] {
        fs::write(env.home().join(name), "{ broken").unwrap();
    }
    for name in ["extensions.lock", "models.lock", "workflows.lock", "registry.yaml"] {
        fs::write(env.home().join(name), "= [broken").unwrap();
    }
    let run = env.run(&["doctor", "--json"]);
    assert_eq!(run.code, 1, "{}", run.whole());
    let answer = run.json();
    let parts: Vec<&str> =
        answer["parts"].as_array().unwrap().iter().map(|part| part["name"].as_str().unwrap()).collect();
    for name in ["home", "clis", "providers", "processes", "mcp", "workflows", "installed", "models", "history"] {
        assert!(parts.contains(&name), "{parts:?}");
    }
    assert!(!run.whole().contains("panicked"), "{}", run.whole());
}

#[test]
fn newer_versions_of_clis_are_asked_for_once_a_day_and_only_when_a_person_asks() {
    let (env, _clis) = FakeClis::environment();
    let server = Server::start(|request| match request.path.as_str() {
        "/npm/@anthropic-ai/claude-code/latest" => Answer::ok(r#"{"name": "x", "version": "2.0.0"}"#),
        "/npm/@openai/codex/latest" => Answer::ok(r#"{"version": "1.2.3"}"#),
        _ => Answer::status(503),
    });
    env.settings(&json!({"updates": {"npm_url": format!("{}/npm/", server.url())}}));
    env.run(&["cli", "list"]).ok();
    assert!(!env.run(&["doctor"]).stdout.contains("is out"));
    assert!(server.seen().is_empty(), "nobody asked");

    let run = env.run(&["cli", "outdated"]).ok();
    assert!(run.stdout.contains("claude 1.2.3: 2.0.0 is out\n  → "), "{}", run.whole());
    assert!(run.stdout.contains("codex 1.2.3: the newest is 1.2.3"), "{}", run.whole());
    assert!(run.stderr.contains("gemini: the newest version is not known"), "{}", run.whole());
    let asked = server.seen().len();
    let news = env.json(&["cli", "outdated"]);
    assert_eq!(news["clis"][0]["newest"], "2.0.0", "{news:#}");
    assert_eq!(server.seen().len(), asked + 1, "what is known is not asked again, and gemini is");
    assert!(env.run(&["doctor"]).stdout.contains("claude 1.2.3 (2.0.0 is out)"));
    assert_eq!(server.seen().len(), asked + 1);

    env.settings(&json!({"updates": {"npm_url": server.url(), "check": false}}));
    let run = env.run(&["cli", "outdated"]);
    assert!(run.code == 2 && run.stderr.contains("`updates.check`"), "{}", run.whole());
    assert_eq!(server.seen().len(), asked + 1);
}

#[test]
fn a_server_without_its_secret_or_its_program_is_named() {
    let env = Environment::new();
    env.write_mcp(r#"{"mcpServers": {"s": {"command": "sh", "args": ["${secret:of-s}"]}}}"#);
    let command = only(&env, "mcp", "reads the secret `of-s`");
    mended(&env, "mcp", env.run_with_input(&words(&command), "value-of-s\n"));
    env.write_mcp(r#"{"mcpServers": {"s": {"command": "/nonexistent/bin"}, "t": {"command": "no-such-program"}}}"#);
    let found = problems(&env, "mcp");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].0.contains("there is no program `/nonexistent/bin`"), "{found:?}");
    assert_eq!(found[1].1, "`aiw mcp show t` shows its entry");
}
