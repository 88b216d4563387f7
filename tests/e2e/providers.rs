//! Providers, secrets and trust: `aiw provider`, `aiw secret`, `aiw trust`, and which provider a run gets. The CLIs
//! are scripts that record what they were given.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use aiw_tests::{Answer, Environment, FakeClis, Run, Server, listening};
use serde_json::{Value, json};

fn add(env: &Environment, name: &str, more: &[&str]) {
    let arguments: Vec<&str> = ["provider", "add", name, "--token-stdin"].iter().chain(more).copied().collect();
    let run = env.run_with_input(&arguments, format!("sk-canary-{name}\n"));
    assert_eq!(run.code, 0, "{}", run.whole());
}

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_provider_is_added_listed_changed_and_removed_with_its_secret() {
    let (env, _) = FakeClis::environment();
    add(&env, "router", &["--preset", "openrouter", "--model", "some/model", "--env", "X_REGION=eu", "--default"]);
    let listed = env.json(&["provider", "list"]);
    assert_eq!(
        listed,
        json!({"providers": [{
            "name": "router", "preset": "openrouter",
            "base_urls": {"anthropic": "https://openrouter.ai/api", "openai": "https://openrouter.ai/api/v1"},
            "clis": ["claude", "codex"], "gateway": ["gemini"], "default": true, "secret": "set"
        }]})
    );
    let path = env.home().join("providers.json");
    let file: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!((&file["version"], &file["providers"]["router"]["token"]), (&json!(1), &json!({"secret": "router"})));
    for private in [&path, &env.home().join("vault/key"), &env.home().join("vault/router.age")] {
        assert_eq!(mode(private), 0o600, "{}", private.display());
    }
    assert_eq!(env.json(&["secret", "list"]), json!({"secrets": [{"name": "router"}]}));
    env.run(&["provider", "edit", "router", "--clis", "codex", "--model", ""]).ok();
    let shown = env.json(&["provider", "show", "router"])["provider"].clone();
    assert_eq!(
        (&shown["clis"], &shown["model"], &shown["env"]),
        (&json!(["codex"]), &json!(null), &json!(["X_REGION"]))
    );
    assert_eq!(env.run(&["provider", "edit", "router"]).code, 2);
    env.run(&["provider", "remove", "router"]).ok();
    assert_eq!(env.json(&["provider", "list"]), json!({"providers": []}));
    assert_eq!(env.json(&["secret", "list"]), json!({"secrets": []}));
    assert_eq!(env.run(&["provider", "show", "router"]).code, 2);
}

#[test]
fn a_token_does_not_follow_to_another_place_unasked() {
    let (env, clis) = FakeClis::environment();
    add(&env, "x", &["--preset", "custom", "--base-url", &format!("anthropic={}/v1", listening())]);
    let file = || serde_json::from_str::<Value>(&env.read("providers.json")).unwrap()["providers"]["x"].clone();
    let before = file();
    // An address on the same host is the same place.
    env.run(&["provider", "edit", "x", "--base-url", &format!("anthropic={}/other", listening())]).ok();
    assert_eq!(file()["token"], before["token"]);
    for elsewhere in [
        &["--preset", "deepseek"][..],
        &["--base-url", "anthropic=http://127.0.0.1:10"],
        &["--base-url", "openai=http://127.0.0.2:9"],
        &["--base-url", &format!("anthropic={}", listening().replace("http", "https"))],
    ] {
        let arguments: Vec<&str> = ["provider", "edit", "x"].iter().chain(elsewhere).copied().collect();
        let run = env.run(&arguments);
        assert_eq!((run.code, run.stderr.contains("--keep-token")), (2, true), "{arguments:?} {}", run.whole());
    }
    env.run(&["claude", "-p", "x", "hello"]).ok();
    assert_eq!(clis.only().environment["ANTHROPIC_AUTH_TOKEN"], "sk-canary-x");
    // A new token replaces the old one and leaves nothing of it behind.
    env.run_with_input(&["provider", "edit", "x", "--preset", "deepseek", "--token-stdin"], "sk-new\n").ok();
    let name = file()["token"]["secret"].as_str().unwrap().to_owned();
    assert_eq!(env.json(&["secret", "list"]), json!({"secrets": [{"name": name}]}));
    env.run(&["claude", "-p", "x", "hello"]).ok();
    assert_eq!(clis.seen().pop().unwrap().environment["ANTHROPIC_AUTH_TOKEN"], "sk-new");
    let keep = ["provider", "edit", "x", "--base-url", &format!("anthropic={}", listening()), "--keep-token"];
    env.run(&keep).ok();
    assert_eq!(file()["token"]["secret"], json!(name));
    assert_eq!(env.run(&["provider", "edit", "x", "--keep-token", "--token-env", "K"]).code, 64);
    env.run(&["provider", "edit", "x", "--preset", "openai", "--token-env", "K"]).ok();
    assert_eq!((&file()["token"], env.json(&["secret", "list"])), (&json!("${K}"), json!({"secrets": []})));
}

#[test]
fn further_secrets_do_not_follow_to_another_place() {
    let (env, _) = FakeClis::environment();
    add(&env, "x", &["--preset", "openai", "--secret-env", "a=KEY_A", "--secret-env", "b=KEY_B"]);
    let more = ["provider", "edit", "x", "--preset", "google", "--secret-env", "b=KEY_C"];
    let run = env.run(&more).ok();
    assert!(run.stderr.contains("`token`, `a`"), "{}", run.stderr);
    let file: Value = serde_json::from_str(&env.read("providers.json")).unwrap();
    let x = &file["providers"]["x"];
    assert_eq!((&x["secrets"], &x["token"]), (&json!({"b": "${KEY_C}"}), &json!(null)));
}

#[test]
fn what_was_written_by_hand_is_not_shown_where_it_may_be_a_secret() {
    let (env, _) = FakeClis::environment();
    fs::create_dir_all(env.home()).unwrap();
    let provider = |url: &str| {
        json!({"preset": "custom", "base_urls": {"openai": url}, "token": "${K}",
            "env": {"MY_API_KEY": "canary", "PLAIN": "sk-canary", "X_REGION": "eu"}})
    };
    let file = json!({"version": 1, "providers": {
        "good": provider("https://h/v1"), "user": provider("https://u:canary@h/v1"), "query": provider("https://h/v1?key=canary"),
    }});
    fs::write(env.home().join("providers.json"), file.to_string()).unwrap();
    let shown = env.run(&["provider", "show", "good"]).ok();
    assert!(
        shown.stdout.contains("sets X_REGION=eu") && shown.stdout.contains("sets MY_API_KEY to"),
        "{}",
        shown.stdout
    );
    for arguments in [&["list"][..], &["show", "good"], &["show", "user"], &["show", "query"], &["test", "user"]] {
        for json in [&[][..], &["--json"]] {
            let run = env.run(&[&["provider"], arguments, json].concat());
            assert!(!run.whole().contains("canary"), "{}", run.whole());
            assert_eq!(run.code, if arguments.contains(&"user") || arguments.contains(&"query") { 3 } else { 0 });
        }
    }
}

#[test]
fn commands_at_the_same_time_lose_nothing_of_each_other() {
    let (env, _) = FakeClis::environment();
    let start = |arguments: &[&str], text: &str| {
        let mut command = env.command(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        child
    };
    let adding: Vec<_> = (0..6)
        .map(|n| start(&["provider", "add", "x", "--preset", "openai", "--token-stdin"], &format!("sk-{n}\n")))
        .collect();
    let mut codes: Vec<i32> =
        adding.into_iter().map(|child| Run::from(child.wait_with_output().unwrap()).code).collect();
    codes.sort();
    assert_eq!(codes, [0, 2, 2, 2, 2, 2]);
    assert_eq!(env.json(&["secret", "list"]), json!({"secrets": [{"name": "x"}]}));
    let variables: Vec<String> = (0..8).map(|n| format!("V_{n}")).collect();
    let values: Vec<String> = variables.iter().map(|name| format!("{name}=1")).collect();
    let editing: Vec<_> = values.iter().map(|value| start(&["provider", "edit", "x", "--env", value], "")).collect();
    for child in editing {
        Run::from(child.wait_with_output().unwrap()).ok();
    }
    let mut kept: Vec<String> =
        serde_json::from_value(env.json(&["provider", "show", "x"])["provider"]["env"].clone()).unwrap();
    kept.sort();
    assert_eq!(kept, variables);
}

#[test]
fn a_token_does_not_go_to_a_place_that_another_command_chose_meanwhile() {
    let (env, _) = FakeClis::environment();
    add(&env, "x", &["--preset", "openai"]);
    let mut command = env.command(&["provider", "edit", "x", "--token-stdin"]);
    let mut editing = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // By now it has read the provider and waits for the token.
    std::thread::sleep(std::time::Duration::from_secs(1));
    env.run(&["provider", "edit", "x", "--preset", "openrouter", "--token-env", "K"]).ok();
    editing.stdin.take().unwrap().write_all(b"sk-for-openai\n").unwrap();
    let run = Run::from(editing.wait_with_output().unwrap());
    assert_eq!((run.code, run.stderr.contains("another command changed the address")), (2, true), "{}", run.whole());
    assert_eq!(env.json(&["secret", "list"]), json!({"secrets": []}));
}

#[test]
fn a_key_that_the_cli_prints_is_masked_in_the_log_and_on_the_screen() {
    let (env, clis) = FakeClis::environment();
    add(&env, "gw", &["--preset", "litellm", "--base-url", listening(), "--model", "m"]);
    let script = FakeClis::script(
        r#"env; env >&2; printf '{"type":"result","is_error":false,"result":"it is %s","session_id":"s"}\n' "$ANTHROPIC_AUTH_TOKEN""#,
    );
    for form in ["text", "stream-json", "json"] {
        let run =
            env.run(&["claude", "-p", "gw", "--env", "MY_TOKEN=canary-of-the-line", "--output", form, &script]).ok();
        assert!(!run.whole().contains("canary"), "{}", run.whole());
        assert!(form == "json" || run.whole().contains("ANTHROPIC_AUTH_TOKEN=[secret]"), "{}", run.whole());
    }
    assert!(clis.seen().iter().all(|seen| seen.environment["ANTHROPIC_AUTH_TOKEN"] == "sk-canary-gw"));
    for task in fs::read_dir(env.home().join("tasks")).unwrap().flatten() {
        for file in fs::read_dir(task.path()).unwrap().flatten() {
            let text = String::from_utf8_lossy(&fs::read(file.path()).unwrap()).into_owned();
            assert!(!text.contains("canary"), "{}: {text}", file.path().display());
        }
    }
}

#[test]
fn what_is_no_plain_file_is_not_waited_for() {
    let (env, _) = FakeClis::environment();
    let id = env.run(&["claude", "--detach", "hello"]).ok().stdout.trim().to_owned();
    env.run(&["wait"]).ok();
    let pipe = |path: std::path::PathBuf| {
        let _ = fs::remove_file(&path);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    };
    let fails = |name: &str, arguments: &[&str]| {
        let path = pipe(env.home().join(name));
        let run = env.run(arguments);
        assert!(run.code != 0 && run.stderr.contains("not a plain file"), "{name}: {}", run.whole());
        fs::remove_file(path).unwrap();
    };
    fails("providers.json", &["provider", "list"]);
    fails("settings.json", &["trust", "list"]);
    fails("extensions.lock", &["extension", "list"]);
    fails(&format!("tasks/{id}/log"), &["logs", &id]);
    fails(&format!("tasks/{id}/task.json"), &["task", "show", &id]);
}

#[test]
fn what_was_given_can_be_taken_away() {
    let (env, _) = FakeClis::environment();
    add(&env, "x", &["--preset", "openai", "--env", "A=1", "--env", "B=2", "--secret-env", "a=KEY_A"]);
    env.run(&["provider", "edit", "x", "--unset-env", "A", "--unset-secret", "a", "--env", "C=3"]).ok();
    let file: Value = serde_json::from_str(&env.read("providers.json")).unwrap();
    let x = &file["providers"]["x"];
    assert_eq!((&x["env"], x.get("secrets")), (&json!({"B": "2", "C": "3"}), None), "{x}");
    for unset in [["--unset-env", "A"], ["--unset-secret", "a"]] {
        assert_eq!(env.run(&["provider", "edit", "x", unset[0], unset[1]]).code, 2);
    }
}

#[test]
fn a_secret_that_no_run_would_get_is_said_to_be_missing() {
    let (env, _) = FakeClis::environment();
    add(&env, "x", &["--preset", "openai"]);
    let secret = || env.json(&["provider", "list"])["providers"][0]["secret"].clone();
    assert_eq!(secret(), "set");
    let (key, sealed) = (env.home().join("vault/key"), env.home().join("vault/x.age"));
    let good = fs::read(&sealed).unwrap();
    fs::write(&sealed, "no secret").unwrap();
    assert_eq!(secret(), "missing");
    fs::write(&sealed, good).unwrap();
    assert_eq!(secret(), "set");
    fs::remove_file(key).unwrap();
    assert_eq!(secret(), "missing");
}

#[test]
fn what_is_no_good_provider_is_refused_before_anything_is_kept() {
    let (env, _) = FakeClis::environment();
    for (arguments, code, said) in [
        (
            &["provider", "add", "x", "--preset", "openrouter", "--token", "sk-canary"][..],
            64,
            "pass a token as an argument",
        ),
        (&["provider", "add", "x", "--preset", "nonsense", "--token-env", "K"], 2, "no preset `nonsense`"),
        (&["provider", "add", "x"], 2, "no terminal to ask on"),
        (&["provider", "add", "x", "--preset", "openrouter"], 2, "needs a token"),
        (&["provider", "add", "own", "--preset", "openrouter", "--token-env", "K"], 2, "own configuration"),
        (&["provider", "add", "x", "--preset", "custom", "--base-url", "https://h"], 2, "which API"),
        (&["provider", "add", "x", "--preset", "custom"], 2, "needs an address"),
        (&["provider", "add", "x", "--preset", "custom", "--base-url", "openai=https://u:canary@h"], 2, "credentials"),
        (&["provider", "add", "x", "--preset", "custom", "--base-url", "openai=ftp://h"], 2, "not an address"),
        (
            &["provider", "add", "x", "--preset", "openai", "--token-env", "K", "--env", "API_KEY=canary"],
            2,
            "looks like a secret",
        ),
        (&["provider", "add", "../x", "--preset", "openai", "--token-env", "K"], 64, "characters"),
    ] {
        let run = env.run(arguments);
        assert_eq!(run.code, code, "{arguments:?} {}", run.whole());
        assert!(run.stderr.contains(said) && !run.stderr.contains("canary"), "{arguments:?} {}", run.stderr);
    }
    assert!(!env.home().join("providers.json").exists() && !env.home().join("vault").exists());
    assert_eq!(env.run_with_input(&["provider", "add", "x", "--preset", "openai", "--token-stdin"], "\n").code, 2);
}

#[test]
fn the_launch_plan_reaches_the_cli_and_a_secret_only_the_cli() {
    let (mut env, clis) = FakeClis::environment();
    env.set("ANTHROPIC_API_KEY", "sk-users-own");
    env.set("OPENAI_API_KEY", "sk-users-own");
    env.set("CODEX_API_KEY", "sk-users-own");
    env.set("GOOGLE_API_KEY", "sk-users-own");
    add(&env, "gw", &["--preset", "litellm", "--base-url", listening(), "--model", "m-1", "--env", "X_ONE=1"]);

    env.run(&["claude", "-p", "gw", "hello"]).ok();
    let seen = clis.seen().pop().unwrap();
    assert_eq!(seen.environment["ANTHROPIC_BASE_URL"], listening());
    assert_eq!(seen.environment["ANTHROPIC_AUTH_TOKEN"], "sk-canary-gw");
    assert_eq!((seen.environment["ANTHROPIC_MODEL"].as_str(), seen.environment["X_ONE"].as_str()), ("m-1", "1"));
    assert!(!seen.environment.contains_key("ANTHROPIC_API_KEY"));
    let settings: Value = serde_json::from_str(&seen.settings).unwrap();
    assert_eq!(settings["env"]["ANTHROPIC_AUTH_TOKEN"], "sk-canary-gw");
    assert_eq!((&settings["env"]["ANTHROPIC_API_KEY"], &settings["apiKeyHelper"]), (&json!(""), &json!("")));
    assert_eq!(settings["env"]["X_ONE"], "1");

    env.run(&["codex", "-p", "gw", "--model", "m-2", "hello", "--", "--color", "never"]).ok();
    let seen = clis.seen().pop().unwrap();
    assert_eq!(seen.environment["AIW_CODEX_KEY"], "sk-canary-gw");
    assert!(!seen.environment.contains_key("OPENAI_API_KEY") && !seen.environment.contains_key("CODEX_API_KEY"));
    let arguments = seen.arguments.join(" ");
    assert!(
        arguments.contains(&format!(r#"base_url="{}/v1""#, listening())) && arguments.contains("-m m-2"),
        "{arguments}"
    );
    assert!(arguments.ends_with("--color never -"), "{arguments}");

    env.run(&["gemini", "-p", "gw", "hello"]).ok();
    let seen = clis.seen().pop().unwrap();
    assert_eq!(seen.environment["GEMINI_API_KEY"], "sk-canary-gw");
    assert_eq!(seen.environment["GOOGLE_GEMINI_BASE_URL"], listening());
    assert_eq!(seen.environment["GOOGLE_API_KEY"], "");
    let settings: Value = serde_json::from_str(&seen.settings).unwrap();
    assert_eq!(settings["security"]["auth"]["selectedType"], "gemini-api-key");
    assert!(clis.seen().iter().all(|seen| !seen.arguments.join(" ").contains("canary")));

    // Without a provider, nothing is changed.
    env.run(&["claude", "-p", "own", "hello"]).ok();
    let seen = clis.seen().pop().unwrap();
    assert_eq!((seen.environment["ANTHROPIC_API_KEY"].as_str(), seen.settings.as_str()), ("sk-users-own", ""));
}

#[test]
fn a_users_own_settings_go_beneath_and_what_would_undo_the_provider_is_refused() {
    let (env, clis) = FakeClis::environment();
    add(&env, "gw", &["--preset", "litellm", "--base-url", listening()]);
    let given = r#"{"model": "mine", "env": {"ANTHROPIC_BASE_URL": "http://evil", "KEPT": "1"}}"#;
    env.run(&["claude", "-p", "gw", "hello", "--", "--settings", given, "--add-dir", "/"]).ok();
    let seen = clis.seen().pop().unwrap();
    let settings: Value = serde_json::from_str(&seen.settings).unwrap();
    assert_eq!((&settings["model"], &settings["env"]["KEPT"]), (&json!("mine"), &json!("1")));
    assert_eq!(settings["env"]["ANTHROPIC_BASE_URL"], listening());
    assert_eq!(seen.arguments.iter().filter(|argument| *argument == "--settings").count(), 1);
    for arguments in [
        &["codex", "-p", "gw", "hello", "--", "-c", "model_provider=\"x\""][..],
        &["codex", "-p", "gw", "hello", "--", "--profile", "x"],
        &["codex", "-p", "gw", "hello", "--", "--oss"],
        &["claude", "-p", "gw", "--env", "ANTHROPIC_BASE_URL=http://evil", "hello"],
    ] {
        assert_eq!(env.run(arguments).code, 2, "{arguments:?}");
    }
    assert_eq!(clis.seen().len(), 1);
}

#[test]
fn an_unknown_or_unfit_provider_stops_before_anything_starts() {
    let (env, clis) = FakeClis::environment();
    add(&env, "a", &["--preset", "openrouter"]);
    add(&env, "g", &["--preset", "google", "--clis", "gemini"]);
    insta::assert_snapshot!(env.run(&["claude", "-p", "nope", "hello"]).whole(), @"
    ------- stderr -------
    error: there is no provider `nope`
    hint: these work with `claude`: a; `-p` is the provider; a prompt needs no flag: aiw claude 'nope hello'
    ------- exit code 2 -------
    ");
    for (line, prompt) in [
        (&["claude", "fix", "-p", "nope", "it"][..], "'fix nope it'"),
        (&["claude", "x", "-pnope"], "'x nope'"),
        (&["claude", "--provider=nope", "x"], "'nope x'"),
    ] {
        let said = env.run(line).stderr;
        assert!(said.trim_end().ends_with(&format!("aiw claude {prompt}")), "{said}");
    }
    insta::assert_snapshot!(env.run(&["codex", "-p", "g", "hello"]).whole(), @"
    ------- stderr -------
    error: provider `g` does not work with `codex`: it is meant for other CLIs
    hint: these work with `codex`: a
    ------- exit code 2 -------
    ");
    env.run(&["provider", "default", "a"]).ok();
    fs::remove_file(env.home().join("vault/a.age")).unwrap();
    insta::assert_snapshot!(env.run(&["claude", "hello"]).whole(), @"
    ------- stderr -------
    error: provider `a` has no secret `token`: `a` is not in the vault
    hint: `aiw secret set a`
    ------- exit code 2 -------
    ");
    fs::remove_file(env.home().join("vault/key")).unwrap();
    let run = env.run(&["gemini", "-p", "g", "hello"]);
    assert_eq!((run.code, run.stderr.contains("the vault key is missing")), (3, true), "{}", run.whole());
    assert!(clis.seen().is_empty());
    assert_eq!(env.json(&["task", "list"]), json!({"tasks": []}));
}

#[test]
fn what_decides_about_the_provider_is_said() {
    let (env, clis) = FakeClis::environment();
    add(&env, "one", &["--preset", "openrouter"]);
    add(&env, "two", &["--preset", "openrouter"]);
    let project = env.path("project");
    fs::create_dir_all(project.join("deep")).unwrap();
    fs::write(project.join(".aiw.json"), r#"{"provider": {"claude": "two"}}"#).unwrap();
    let explained = |arguments: &[&str]| {
        let all: Vec<&str> =
            ["claude", "--cwd", "project/deep", "--explain"].iter().chain(arguments).copied().collect();
        let run = env.run(&all.iter().copied().chain(["--json"]).collect::<Vec<_>>()).ok();
        let answer = run.json()["explain"].clone();
        (answer["provider"].clone(), answer["decided_by"].clone(), run.stderr.contains("not trusted"))
    };
    assert_eq!(explained(&[]), (json!(null), json!("none"), true));
    env.run(&["provider", "default", "one"]).ok();
    assert_eq!(explained(&[]), (json!("one"), json!("default"), true));
    env.run(&["trust", "add", "project", "--yes"]).ok();
    assert_eq!(explained(&[]), (json!("two"), json!("project"), false));
    assert_eq!(explained(&["-p", "one"]), (json!("one"), json!("flag"), false));
    assert_eq!(explained(&["-p", "own"]), (json!(null), json!("flag"), false));
    assert_eq!(env.json(&["trust", "list"])["directories"].as_array().unwrap().len(), 1);
    env.run(&["trust", "remove", "project"]).ok();
    assert_eq!(explained(&[]), (json!("one"), json!("default"), true));
    let text = env.run(&["claude", "--explain", "hello"]).ok().stdout;
    assert!(text.contains("provider: one (the default)") && !text.contains("canary"), "{text}");
    // A hundred variables are listed by their prefixes.
    assert!(text.lines().any(|line| line.starts_with("  OTEL_…: ")), "{text}");
    assert!(clis.seen().is_empty());
}

#[test]
fn a_file_of_aiw_0_6_is_brought_up_to_date() {
    let (env, clis) = FakeClis::environment();
    fs::create_dir_all(env.home()).unwrap();
    let old = json!({"providers": {"router": {"token": "sk-canary-old", "base_url": listening(), "scenario": "cheap",
        "env": {"X_KEY": "canary-2"}, "compatible_with": ["claude"]}}});
    fs::write(env.home().join("providers.json"), old.to_string()).unwrap();
    let run = env.run(&["claude", "-p", "router", "hello"]).ok();
    assert!(run.stderr.contains("brought up to date") && !run.stderr.contains("canary"), "{}", run.stderr);
    let seen = clis.only();
    assert_eq!(seen.environment["ANTHROPIC_AUTH_TOKEN"], "sk-canary-old");
    assert_eq!(seen.environment["X_KEY"], "canary-2");
    assert_eq!(mode(&env.home().join("providers.json")), 0o600);
    let text = env.read("providers.json");
    assert!(!text.contains("canary") && text.contains("cheap"), "{text}");
    assert!(env.home().join("providers.json.v0.age").is_file());
}

#[test]
fn a_provider_is_tested_where_it_is() {
    let (env, _) = FakeClis::environment();
    let server = Server::start(|request| match (request.path.as_str(), request.headers.get("authorization")) {
        ("/v1/models", Some(key)) if key == "Bearer sk-canary-gw" => {
            Answer::ok(r#"{"data": [{"id": "model-one"}, {"id": "model-two", "display_name": "Two"}]}"#)
        }
        ("/v1/models", _) => Answer::status(401),
        _ => Answer::status(404),
    });
    add(&env, "gw", &["--preset", "custom", "--base-url", &format!("openai={}/v1", server.url())]);
    let test = env.json(&["provider", "test", "gw"])["test"].clone();
    assert_eq!((&test["key"], &test["models"]), (&json!("accepted"), &json!(["model-one", "model-two"])));
    assert!(test["latency_ms"].is_u64());
    // Its own model is looked for among them.
    env.run(&["provider", "edit", "gw", "--model", "model-one"]).ok();
    assert!(!env.run(&["provider", "test", "gw"]).ok().stderr.contains("model-one"));
    env.run(&["provider", "edit", "gw", "--model", "model-three"]).ok();
    let tested = env.run(&["provider", "test", "gw"]).ok();
    assert!(
        tested.stderr.contains("its model `model-three` is not among the models that it lists"),
        "{}",
        tested.whole()
    );
    env.run_with_input(&["provider", "edit", "gw", "--token-stdin"], "sk-wrong\n").ok();
    let refused = env.run(&["provider", "test", "gw"]);
    assert_eq!(refused.code, 2, "{}", refused.whole());
    assert!(!refused.whole().contains("sk-wrong"));
    drop(server);
    assert_eq!(env.run(&["provider", "test", "gw"]).code, 69);
}

#[test]
fn secrets_are_kept_listed_by_name_and_never_shown() {
    let (mut env, _) = FakeClis::environment();
    env.run_with_input(&["secret", "set", "one"], "sk-canary\n").ok();
    env.set("FROM", "canary-two");
    env.run(&["secret", "set", "two", "--env", "FROM"]).ok();
    let list = env.run(&["secret", "list"]).ok();
    assert_eq!(list.stdout, "NAME\none\ntwo\n");
    let key = json!({"url": "https://mcp.example.com", "headers": {"X-Key": "${secret:one}"}});
    let servers = json!({"mcpServers": {"far": key, "near": {"command": "x"}}});
    fs::write(env.home().join("mcp.json"), servers.to_string()).unwrap();
    let asks = env.run(&["secret", "remove", "one"]);
    assert!(asks.code == 2 && asks.stderr.contains("`one` is used by the MCP server `far`"), "{}", asks.whole());
    let removed = env.json(&["secret", "remove", "one", "--yes"]);
    assert_eq!(removed, json!({"removed": "one", "providers": [], "servers": ["far"]}));
    assert_eq!(env.run(&["secret", "remove", "one"]).code, 2);
    assert_eq!(env.run_with_input(&["secret", "set", "one"], "").code, 2);
    assert_eq!(env.run_with_input(&["secret", "set", "one"], "two\nlines").code, 2);
    fs::set_permissions(env.home().join("vault/key"), fs::Permissions::from_mode(0o644)).unwrap();
    let run = env.run_with_input(&["secret", "set", "three"], "x");
    assert_eq!((run.code, run.stderr.contains("chmod 600")), (3, true), "{}", run.whole());
}

#[test]
fn a_component_of_a_third_party_spreads_tasks_over_accounts() {
    let (mut env, clis) = FakeClis::environment();
    let component = aiw_tests::component("acme-spread").display().to_string();
    env.run(&["extension", "add", &component, "--yes"]).ok();
    let mut add = vec!["provider", "add", "acme", "--preset", "acme-spread"];
    for account in ["account-a=KEY_A", "account-b=KEY_B", "account-c=KEY_C"] {
        add.extend(["--secret-env", account]);
    }
    env.run(&add).ok();
    for name in ["KEY_A", "KEY_B", "KEY_C"] {
        env.set(name, format!("the-{name}"));
    }
    // Start them at the same time, so that each has to see the others.
    let arguments = ["claude", "-p", "acme", "--detach", "--json", "#!\nsleep 30"];
    let starting: Vec<_> = (0..6).map(|_| env.start(&arguments)).collect();
    let mut tags: Vec<String> = Vec::new();
    for child in starting {
        let run = Run::from(child.wait_with_output().unwrap()).ok();
        tags.push(run.json()["task"]["tag"].as_str().unwrap().to_owned());
    }
    tags.sort();
    assert_eq!(tags, ["account-a", "account-a", "account-b", "account-b", "account-c", "account-c"]);
    let start = std::time::Instant::now();
    while clis.seen().len() < 6 {
        assert!(start.elapsed().as_secs() < 60, "the CLIs do not start");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let mut keys: Vec<String> =
        clis.seen().iter().map(|seen| seen.environment["ANTHROPIC_AUTH_TOKEN"].clone()).collect();
    keys.sort();
    assert_eq!(keys, ["the-KEY_A", "the-KEY_A", "the-KEY_B", "the-KEY_B", "the-KEY_C", "the-KEY_C"]);
    env.run(&["stop", "--all"]).ok();
}

#[test]
fn a_token_variable_is_hidden_from_other_providers_only_if_it_is_a_key_or_the_user_says_so() {
    let (mut env, clis) = FakeClis::environment();
    for name in ["GITHUB_TOKEN", "ROUTER_KEY", "DEEPSEEK_API_KEY"] {
        env.set(name, "sk-canary");
    }
    add(&env, "gw", &["--preset", "litellm", "--base-url", listening(), "--model", "m"]);
    let added = env.run(&["provider", "add", "copilot", "--preset", "openrouter", "--token-env", "GITHUB_TOKEN"]).ok();
    assert!(added.stderr.contains("`aiw provider edit copilot --scrub-env`"), "{}", added.whole());
    let added = env.run(&["provider", "add", "router", "--preset", "openrouter", "--token-env", "ROUTER_KEY"]).ok();
    assert!(added.stderr.contains("`aiw provider edit router --no-scrub-env`"), "{}", added.whole());
    let explain = |more: &[&str]| {
        let run = env.run(&[&["codex", "-p", "gw", "--explain", "--json"], more, &["hello"]].concat()).ok();
        let explained = serde_json::from_str::<Value>(&run.stdout).unwrap()["explain"].clone();
        assert!(!explained["unsets"].to_string().contains("ROUTER_KEY"), "{explained}");
        explained["scrub_env"].clone()
    };
    let explained = || explain(&[]);
    assert_eq!(explained(), json!(["DEEPSEEK_API_KEY", "ROUTER_KEY"]));
    let shown = env.run(&["codex", "-p", "gw", "--explain", "hello"]).ok().stdout;
    assert!(shown.contains("DEEPSEEK_API_KEY ROUTER_KEY"), "{shown}");
    env.run(&["codex", "-p", "gw", "hello"]).ok();
    let seen = clis.seen().pop().unwrap().environment;
    assert_eq!(seen.get("GITHUB_TOKEN").map(String::as_str), Some("sk-canary"));
    assert!(!seen.contains_key("ROUTER_KEY") && !seen.contains_key("DEEPSEEK_API_KEY"), "{seen:?}");
    // The user decides either way, and can give a variable back to one run.
    env.run(&["provider", "edit", "copilot", "--scrub-env"]).ok();
    env.run(&["provider", "edit", "router", "--no-scrub-env"]).ok();
    assert_eq!(explained(), json!(["DEEPSEEK_API_KEY", "GITHUB_TOKEN"]));
    assert_eq!(env.json(&["provider", "show", "copilot"])["provider"]["scrub_env"], json!(["GITHUB_TOKEN"]));
    assert_eq!(explain(&["--env", "GITHUB_TOKEN"]), json!(["DEEPSEEK_API_KEY"]));
    // A nested run that needs a withheld variable says so.
    let (aiw, _) = env.parts();
    let prompt = format!("#!\n'{}' codex -p copilot inner >&2 || true", aiw.display());
    let nested = env.run_with_input(&["codex", "-p", "gw", "-"], &prompt).whole();
    assert!(nested.contains("the variable `GITHUB_TOKEN` is withheld from this run"), "{nested}");
    assert!(nested.contains("`aiw provider edit copilot --token-stdin`"), "{nested}");
    // The variable holds the outer provider's key, which is not for another provider.
    env.set("GEMINI_API_KEY", "sk-canary-own");
    env.run(&["provider", "add", "google", "--preset", "google", "--token-env", "GEMINI_API_KEY"]).ok();
    let prompt = format!("#!\n'{}' gemini -p google inner >&2 || true", aiw.display());
    let nested = env.run_with_input(&["gemini", "-p", "gw", "-"], &prompt).whole();
    assert!(nested.contains("the variable `GEMINI_API_KEY` is withheld from this run"), "{nested}");
    // What a provider reads for headers counts as well, and later changes keep what is hidden.
    env.run(&["provider", "edit", "router", "--scrub-env"]).ok();
    env.run(&["provider", "edit", "router", "--header", "X-Pass=${PASS_KEY}"]).ok();
    env.run(&["provider", "edit", "router", "--model", "m"]).ok();
    assert_eq!(env.json(&["provider", "show", "router"])["provider"]["scrub_env"], json!(["PASS_KEY", "ROUTER_KEY"]));
    // No program works without these.
    for name in ["HOME", "PATH", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR", "https_proxy", "AIW_HOME"] {
        let refused = env.run(&["provider", "add", "bad", "--preset", "openrouter", "--token-env", name]);
        assert_eq!(refused.code, 2, "{}", refused.whole());
        assert!(refused.stderr.contains("programs of every kind read it"), "{}", refused.whole());
    }
}

#[test]
fn headers_of_a_provider_reach_its_api_in_every_cli() {
    let (mut env, clis) = FakeClis::environment();
    env.set("TEAM", "blue");
    env.run_with_input(&["secret", "set", "org"], "org-canary\n").ok();
    let headers = ["--header", "X-Org=@org", "--header", "X-Team=${TEAM}", "--header", "X-Plain=a b"];
    let gw = ["--preset", "litellm", "--base-url", listening(), "--model", "m"];
    add(&env, "gw", &[&gw[..], &headers].concat());
    for cli in ["claude", "codex", "gemini"] {
        env.run(&[cli, "-p", "gw", "hello"]).ok();
    }
    let seen: Vec<_> = clis.seen().into_iter().map(|seen| (seen.environment, seen.arguments.join(" "))).collect();
    assert_eq!(seen[0].0["ANTHROPIC_CUSTOM_HEADERS"], "X-Org: org-canary\nX-Team: blue\nX-Plain: a b");
    assert!(seen[1].1.contains(r#"env_http_headers={"X-Org"="AIW_CODEX_HEADER_1""#), "{}", seen[1].1);
    assert_eq!(seen[1].0["AIW_CODEX_HEADER_1"], "org-canary");
    assert_eq!(seen[2].0["GEMINI_CLI_CUSTOM_HEADERS"], "X-Org:org-canary,X-Team:blue,X-Plain:a b");
    assert!(!seen.iter().any(|(_, arguments)| arguments.contains("canary")));
    let shown = env.run(&["provider", "show", "gw"]).ok().stdout;
    assert!(shown.contains("sends X-Plain: a b") && shown.contains("sends X-Org with `org` in the vault"), "{shown}");
    env.run(&["provider", "edit", "gw", "--unset-header", "x-plain", "--header", "x-team=red"]).ok();
    assert_eq!(env.json(&["provider", "show", "gw"])["provider"]["headers"], json!(["X-Org", "x-team"]));
    // A secret header was given for the old address.
    let moved =
        env.run_with_input(&["provider", "edit", "gw", "--base-url", "http://127.0.0.1:10", "--token-stdin"], "t\n");
    assert!(moved.ok().stderr.contains("header `X-Org`"));
    assert_eq!(env.json(&["provider", "show", "gw"])["provider"]["headers"], json!(["x-team"]));
    // What can't be honoured is refused when it is given.
    for (arguments, words) in [
        (&["--header", "Authorization=Bearer x"][..], "the AI CLI sends it itself"),
        (&["--header", "X-Api-Token=sk-ant-REDACTED"], "looks like a secret"),
        (&["--header", "X-List=a,b"], "which `gemini` can't send"),
        (&["--header", "X-Line=a\nb"], "visible ASCII"),
        (&["--env", "ANTHROPIC_CUSTOM_HEADERS=X-A: b"], "`--header NAME=VALUE`"),
        (&["--env", "GOOGLE_GEMINI_BASE_URL=http://127.0.0.1"], "`--base-url URL`"),
    ] {
        let refused = env.run(&[&["provider", "edit", "gw"][..], arguments].concat());
        assert_eq!(refused.code, 2, "{}", refused.whole());
        assert!(refused.stderr.contains(words), "{arguments:?}: {}", refused.whole());
    }
    env.run(&["provider", "edit", "gw", "--clis", "claude,codex", "--header", "X-List=a,b"]).ok();
}

#[test]
fn a_run_does_not_start_where_nothing_answers() {
    let (env, clis) = FakeClis::environment();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, url) = (listener.local_addr().unwrap(), format!("http://{}", listener.local_addr().unwrap()));
    add(&env, "gw", &["--preset", "litellm", "--base-url", &url, "--model", "m"]);
    drop(listener);
    for arguments in [&["codex", "-p", "gw", "hello"][..], &["claude", "-p", "gw", "--detach", "hello"]] {
        let refused = env.run(arguments);
        assert_eq!(refused.code, 69, "{}", refused.whole());
        let words = format!("provider `gw` can't be reached: cannot connect to `{address}`: Connection refused");
        assert!(refused.stderr.contains(&words) && refused.stderr.contains("`--no-check`"), "{}", refused.whole());
    }
    assert!(clis.seen().is_empty());
    env.run(&["codex", "-p", "gw", "--explain", "hello"]).ok();
    env.run(&["codex", "-p", "gw", "--no-check", "hello"]).ok();
    // A connection that worked is not tried again for a minute.
    let listener = TcpListener::bind(address).unwrap();
    env.run(&["codex", "-p", "gw", "hello"]).ok();
    drop(listener);
    env.run(&["codex", "-p", "gw", "hello"]).ok();
    assert_eq!(clis.seen().len(), 3);
    // A name that the user typed and that does not exist is an error as well.
    add(&env, "typo", &["--preset", "litellm", "--base-url", "http://nowhere.invalid", "--model", "m"]);
    let refused = env.run(&["codex", "-p", "typo", "hello"]);
    assert!(refused.code == 69 && refused.stderr.contains("`nowhere.invalid`"), "{}", refused.whole());
}

#[test]
fn providers_are_renamed_and_several_removed_at_once() {
    let (env, clis) = FakeClis::environment();
    let gw = ["--preset", "litellm", "--base-url", listening(), "--model", "m"];
    add(&env, "old", &[&gw[..], &["--default"]].concat());
    add(&env, "other", &gw);
    let renamed = env.json(&["provider", "rename", "old", "new"]);
    assert_eq!(renamed, json!({"renamed": "old", "name": "new"}));
    assert_eq!(env.json(&["provider", "default"])["default"]["codex"], "new");
    env.run(&["codex", "hello"]).ok();
    assert_eq!(clis.only().environment["AIW_CODEX_KEY"], "sk-canary-old");
    for (arguments, words) in [
        (["provider", "rename", "new", "other"], "already exists"),
        (["provider", "rename", "new", "own"], "own configuration"),
        (["provider", "rename", "gone", "x"], "no provider `gone`"),
    ] {
        let refused = env.run(&arguments);
        assert!(refused.code == 2 && refused.stderr.contains(words), "{}", refused.whole());
    }
    let removed = env.run(&["provider", "remove", "new", "gone", "other", "--json"]);
    assert_eq!(removed.code, 2, "{}", removed.whole());
    let answer: Value = serde_json::from_str(&removed.stdout).unwrap();
    assert_eq!(answer["removed"][0]["name"], "new");
    assert_eq!((answer["removed"].as_array().unwrap().len(), &answer["failed"][0]["name"]), (2, &json!("gone")));
    assert_eq!(env.json(&["provider", "list"]), json!({"providers": []}));
    assert_eq!(env.json(&["secret", "list"]), json!({"secrets": []}));
}

#[test]
fn a_cli_that_a_cli_starts_gets_nothing_of_the_outer_provider() {
    let (mut env, clis) = FakeClis::environment();
    env.set("OPENROUTER_API_KEY", "sk-users-own");
    env.set("DEEPSEEK_API_KEY", "sk-users-own");
    env.set("OTHER_KEY", "sk-of-another-provider");
    add(&env, "gw", &["--preset", "litellm", "--base-url", listening(), "--model", "m"]);
    env.run(&["provider", "add", "other", "--preset", "openrouter", "--token-env", "OTHER_KEY"]).ok();
    let (aiw, _) = env.parts();
    let prompt = format!("#!\nfor p in own other; do '{}' claude -p $p inner >&2 || true; done", aiw.display());
    let run = env.run_with_input(&["claude", "-p", "gw", "-"], &prompt);
    let seen = clis.seen();
    // A provider's key is only in the environment of that provider's own runs, so the inner run of `other` has
    // none.
    assert_eq!(seen.len(), 2, "{}", run.whole());
    let outer = seen.iter().find(|seen| seen.environment.contains_key("ANTHROPIC_MODEL")).unwrap();
    for name in ["OPENROUTER_API_KEY", "DEEPSEEK_API_KEY", "OTHER_KEY"] {
        assert!(!outer.environment.contains_key(name), "{name}");
    }
    let inner = seen.iter().find(|seen| seen.stdin == b"inner").unwrap();
    assert!(!inner.environment.values().any(|value| value.contains("canary")), "{:?}", inner.environment);
    assert!(!inner.environment.keys().any(|name| name.starts_with("ANTHROPIC_")), "{:?}", inner.environment);
}

#[test]
fn what_the_user_gives_behind_a_double_dash_of_their_own_does_not_undo_the_provider() {
    let (env, clis) = FakeClis::environment();
    add(&env, "gw", &["--preset", "litellm", "--base-url", listening()]);
    env.run(&["claude", "-p", "gw", "hello", "--", "--", "x"]).ok();
    let seen = clis.only();
    let at = |word: &str| seen.arguments.iter().position(|argument| argument == word).unwrap();
    assert!(at("--settings") < at("--"), "{:?}", seen.arguments);
    assert!(seen.settings.contains("sk-canary-gw"));
}

/// Adds or updates the hostile provider, with an address for its preset.
fn third_party(env: &Environment, url: &str) {
    describing(env, &format!("url={url}"));
}

/// Adds or updates the hostile provider, with this description.
fn describing(env: &Environment, mode: &str) {
    let path = env.path("third-party.wasm");
    let update = path.exists();
    fs::write(&path, aiw_tests::describing("hostile-provider", mode)).unwrap();
    match update {
        true => env.run(&["extension", "update", "hostile-provider", "--accept-changes"]).ok(),
        false => env.run(&["extension", "add", &path.display().to_string(), "--yes"]).ok(),
    };
}

#[test]
fn a_token_does_not_follow_a_preset_that_moves() {
    let (env, clis) = FakeClis::environment();
    third_party(&env, "https://one.example/v1");
    let added =
        env.run_with_input(&["provider", "add", "x", "--preset", "polite", "--token-stdin"], "sk-canary\n").ok();
    assert!(added.whole().contains("https://one.example/v1"), "{}", added.whole());
    let run = || env.run(&["codex", "-p", "x", "hello"]);
    run().ok();
    // Another path on the same host is not another place.
    third_party(&env, "https://one.example/v2");
    run().ok();
    third_party(&env, "https://two.example/v1");
    for arguments in [&["codex", "-p", "x", "hello"][..], &["provider", "test", "x"]] {
        let stopped = env.run(arguments);
        assert_eq!(stopped.code, 2, "{}", stopped.whole());
        let words = "now leads to `https://two.example`; you agreed to `https://one.example`";
        assert!(stopped.stderr.contains(words), "{}", stopped.whole());
        assert!(stopped.stderr.contains("aiw provider edit x --keep-token"), "{}", stopped.whole());
    }
    assert_eq!(clis.seen().len(), 2);
    // Lists include the provider, because they send nothing.
    env.run(&["provider", "list"]).ok();
    env.run(&["provider", "edit", "x", "--keep-token"]).ok();
    run().ok();
    assert!(clis.seen().pop().unwrap().arguments.join(" ").contains("https://two.example/v1"));
}

#[test]
fn an_address_that_a_preset_gains_is_not_used_until_it_is_agreed_to() {
    let (env, clis) = FakeClis::environment();
    describing(&env, "url=https://one.example/v1");
    env.run_with_input(&["provider", "add", "x", "--preset", "polite", "--token-stdin"], "sk-canary\n").ok();
    describing(&env, "also=https://two.example/v1");
    // Through the gateway, the CLI reaches the address that was agreed to.
    let explained = env.json(&["gemini", "-p", "x", "hello", "--explain"]);
    assert_eq!(explained["explain"]["gateway"]["to"], "OpenAI Chat Completions", "{explained}");
    // Other CLIs work as before, and changing something else does not agree to the new address.
    env.run(&["codex", "-p", "x", "hello"]).ok();
    let edited = env.run(&["provider", "edit", "x", "--model", "m"]);
    assert_eq!(edited.code, 2, "{}", edited.whole());
    assert!(env.json(&["gemini", "-p", "x", "hello", "--explain"])["explain"]["gateway"].is_object());
    env.run(&["provider", "edit", "x", "--keep-token"]).ok();
    assert_eq!(env.json(&["gemini", "-p", "x", "hello", "--explain"])["explain"]["gateway"], json!(null));
    env.run(&["gemini", "-p", "x", "hello"]).ok();
    // An address at a place that the user already agreed to is used at once.
    describing(&env, "url=https://one.example/v1");
    env.run_with_input(&["provider", "add", "y", "--preset", "polite", "--token-stdin"], "sk-canary\n").ok();
    describing(&env, "also=https://one.example/v2");
    env.run(&["gemini", "-p", "y", "hello"]).ok();
    assert_eq!(clis.seen().len(), 3);
}

#[test]
fn a_private_address_that_an_extension_names_is_agreed_to_or_not_reached() {
    let (env, clis) = FakeClis::environment();
    let server = Server::start(|_| Answer::ok(r#"{"data": []}"#));
    for url in [server.url().to_owned(), "https://192.168.7.7/v1".into(), "https://169.254.169.254/v1".into()] {
        third_party(&env, &url);
        let add = ["provider", "add", "x", "--preset", "polite", "--token-stdin"];
        let refused = env.run_with_input(&add, "sk-canary\n");
        assert_eq!(refused.code, 2, "{}", refused.whole());
        assert!(refused.stderr.contains("on this machine or in a private network"), "{}", refused.whole());
        assert_eq!(env.json(&["provider", "list"]), json!({"providers": []}));
        env.run_with_input(&[&add[..], &["--yes"]].concat(), "sk-canary\n").ok();
        env.run(&["codex", "-p", "x", "--no-check", "hello"]).ok();
        assert!(clis.seen().pop().unwrap().arguments.join(" ").contains(&url));
        env.run(&["provider", "remove", "x"]).ok();
    }
    // Whether a name is private is known only when it is resolved. Then nothing is sent.
    third_party(&env, "https://localhost/v1");
    let add = ["provider", "add", "y", "--preset", "polite", "--token-stdin", "--yes"];
    env.run_with_input(&add, "sk-canary\n").ok();
    let path = env.home().join("providers.json");
    let mut file: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    if let Some(urls) = file["providers"]["y"].as_object_mut() {
        urls.remove("base_urls");
        // As if written by hand, with nothing pinned yet.
        urls.remove("id");
    }
    fs::write(&path, file.to_string()).unwrap();
    let starts = clis.seen().len();
    let refused = env.run(&["codex", "-p", "y", "hello"]);
    assert_eq!(refused.code, 2, "{}", refused.whole());
    assert!(refused.stderr.contains("`localhost` resolves to `127.0.0.1`"), "{}", refused.whole());
    assert!(refused.stderr.contains("hint: to agree to this address, run `aiw provider edit"), "{}", refused.whole());
    assert_eq!(clis.seen().len(), starts);
    // aiw's own presets for this machine keep working.
    for preset in ["ollama", "lmstudio"] {
        env.run(&["provider", "add", preset, "--preset", preset]).ok();
        env.run(&["codex", "-p", preset, "--model", "m", "--no-check", "hello"]).ok();
    }
}

#[test]
fn an_entry_that_was_written_by_hand_gets_what_is_pinned_at_its_first_start() {
    let (mut env, clis) = FakeClis::environment();
    env.set("K", "sk-canary");
    fs::create_dir_all(env.home()).unwrap();
    fs::set_permissions(env.home(), fs::Permissions::from_mode(0o700)).unwrap();
    let file = json!({"version": 1, "providers": {"x": {"preset": "openrouter", "token": "${K}", "model": "m"}}});
    fs::write(env.home().join("providers.json"), file.to_string()).unwrap();
    let id = || {
        let file: Value = serde_json::from_str(&env.read("providers.json")).unwrap();
        let x = &file["providers"]["x"];
        assert_eq!(x["origins"]["openai"], "https://openrouter.ai");
        x["id"].as_str().unwrap().to_owned()
    };
    env.run(&["codex", "-p", "x", "one"]).ok();
    let first = id();
    env.run(&["codex", "-p", "x", "two"]).ok();
    assert_eq!(id(), first);
    // Codex looks up a session's provider by this id, and `config.toml` cannot contain a table with it.
    let seen = clis.seen();
    assert_eq!(seen.len(), 2);
    for seen in seen {
        assert!(seen.arguments.join(" ").contains(&format!("model_provider=\"{first}\"")), "{:?}", seen.arguments);
    }
    let mut other = FakeClis::environment().0;
    other.set("K", "sk-canary");
    other.run(&["provider", "add", "x", "--preset", "openrouter", "--token-env", "K"]).ok();
    let file: Value = serde_json::from_str(&other.read("providers.json")).unwrap();
    assert_ne!(file["providers"]["x"]["id"], json!(first));
}

#[test]
fn what_the_user_sets_for_a_provider_beats_what_is_cleared() {
    let (env, clis) = FakeClis::environment();
    let variables = ["--env", "CLAUDE_CODE_EFFORT_LEVEL=low", "--env", "OTEL_EXPORTER_OTLP_ENDPOINT=http://mine"];
    add(&env, "gw", &[&["--preset", "litellm", "--base-url", listening()][..], &variables].concat());
    env.run(&["claude", "-p", "gw", "hello"]).ok();
    let seen = clis.only();
    assert_eq!(seen.environment["CLAUDE_CODE_EFFORT_LEVEL"], "low");
    assert_eq!(seen.environment["OTEL_EXPORTER_OTLP_ENDPOINT"], "http://mine");
    let settings: Value = serde_json::from_str(&seen.settings).unwrap();
    assert_eq!(settings["env"]["OTEL_EXPORTER_OTLP_ENDPOINT"], "http://mine");
}

#[test]
fn a_cli_that_tries_in_vain_is_stopped_and_the_address_and_the_reason_are_said() {
    use std::net::ToSocketAddrs;

    if ("api.openai.com", 443).to_socket_addrs().is_ok() {
        aiw_tests::not_run("names resolve here");
        return;
    }
    let (env, _clis) = FakeClis::environment();
    add(&env, "gw", &["--preset", "openai", "--model", "m"]);
    let run = env.run(&["codex", "-p", "gw", &FakeClis::script("sleep 600")]);
    assert_eq!(run.code, 69, "{}", run.whole());
    let said = "provider `gw` can't be reached at `https://api.openai.com`: cannot resolve `api.openai.com`";
    assert!(run.stderr.contains(&format!("error: {said}")) && run.stderr.contains("--no-check"), "{}", run.whole());
    let tasks = env.json(&["task", "list", "--all"]);
    assert!(!tasks.to_string().contains("\"running\""), "{tasks}");
}
