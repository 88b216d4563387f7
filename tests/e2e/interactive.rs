//! What needs a terminal: a CLI's interactive mode, and questions.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use aiw_tests::{Environment, FakeClis, Market, not_run};
use serde_json::json;

use crate::terminal::Terminal;

fn fake() -> (Environment, FakeClis) {
    let mut env = Environment::new();
    let clis = FakeClis::install(&mut env);
    env.set("THE_KEY", "sk-of-this-test");
    env.run(&[
        "provider",
        "add",
        "gw",
        "--preset",
        "litellm",
        "--base-url",
        aiw_tests::listening(),
        "--token-env",
        "THE_KEY",
    ])
    .ok();
    (env, clis)
}

/// Returns the in-memory files that pass settings with this test's secret.
fn memory_files() -> Vec<std::path::PathBuf> {
    let all = fs::read_dir("/dev/shm").unwrap().flatten().map(|entry| entry.path());
    all.filter(|path| fs::read_to_string(path).is_ok_and(|text| text.contains("sk-of-this-test"))).collect()
}

#[test]
fn without_a_prompt_the_cli_has_the_terminal_and_its_exit_code_is_ours() {
    let (env, clis) = fake();
    for (number, arguments) in [&["codex"][..], &["codex", "-p", "gw"], &["gemini", "-p", "gw"]].into_iter().enumerate()
    {
        let mut terminal = Terminal::start(&env, arguments);
        terminal.wait_for("interactive CLI of");
        // Without a provider, the CLI runs in the same process, so the terminal, group and signals are its own.
        if number == 0 {
            let pid = terminal.child.process_id().unwrap();
            terminal.wait_for(&format!("/{pid}"));
        }
        terminal.press("7\r");
        assert_eq!(terminal.ends().exit_code(), 7);
        // Under a provider, the CLI's own hint would lead elsewhere.
        let resume = match number {
            0 => "",
            1 => "resume with: aiw codex -p gw -- resume --last",
            _ => "resume with: aiw gemini -p gw -- --resume latest",
        };
        // The screen may be behind the end.
        terminal.wait_for(resume);
        assert_eq!(number == 0, !terminal.shown().contains("resume with"));
        assert_eq!(clis.seen().len(), number + 1);
    }
    let seen = clis.seen();
    assert!(!seen[0].environment.contains_key("AIW_CODEX_KEY") && seen[0].arguments.is_empty());
    assert_eq!(seen[1].environment["AIW_CODEX_KEY"], "sk-of-this-test");
    assert_eq!(seen[2].environment["GEMINI_API_KEY"], "sk-of-this-test");
    assert!(seen[2].settings.contains("gemini-api-key"), "{}", seen[2].settings);
    // Node does not close so high a descriptor when Gemini CLI restarts itself.
    let settings = &seen[2].environment["GEMINI_CLI_SYSTEM_SETTINGS_PATH"];
    let fd: Option<u32> = settings.strip_prefix("/proc/self/fd/").and_then(|fd| fd.parse().ok());
    assert!(fd.is_none_or(|fd| fd >= 100), "{settings}");
    assert_eq!(env.json(&["task", "list"]), json!({"tasks": []}));
}

#[test]
fn a_cli_that_looks_up_real_names_gets_a_file_that_goes_with_it() {
    let (env, clis) = fake();
    for keys in ["5\r", "\u{3}"] {
        let mut terminal = Terminal::start(&env, &["claude", "-p", "gw"]);
        terminal.wait_for("interactive CLI of");
        let files = memory_files();
        assert_eq!(files.len(), 1);
        terminal.press(keys);
        let code = terminal.ends().exit_code();
        assert_eq!(code, if keys == "5\r" { 5 } else { 130 });
        assert_eq!(memory_files(), Vec::<std::path::PathBuf>::new());
    }
    assert!(clis.seen()[0].settings.contains("sk-of-this-test"));
}

#[test]
fn without_memory_for_files_the_settings_are_in_the_runtime_directory_while_the_cli_runs() {
    // A `/dev` with a terminal and no `shm`. Only root can mount one.
    let devices = "mount -t tmpfs aiw dev && mkdir dev/pts && mount --rbind /dev/pts dev/pts && \
                   for file in null zero urandom tty ptmx; do \
                   touch dev/$file && mount --bind /dev/$file dev/$file || exit 42; done; mount --rbind dev /dev";
    let (env, clis) = fake();
    fs::create_dir(env.path("dev")).unwrap();
    let can = Command::new("unshare").args(["-m", "sh", "-c", devices]).current_dir(env.path("")).output();
    if !can.is_ok_and(|output| output.status.success()) {
        return not_run("no disk can be mounted");
    }
    let run = env.path("run");
    let named = || -> Vec<_> {
        let all = fs::read_dir(&run).into_iter().flatten().flatten().map(|entry| entry.path());
        all.filter(|path| fs::read_to_string(path).is_ok_and(|text| text.contains("sk-of-this-test"))).collect()
    };
    for (keys, code) in [("5\r", 5), ("\u{3}", 130)] {
        let script = format!("exec unshare -m sh -c '{devices} || exit 42; exec \"$0\" claude -p gw' \"$0\"");
        let mut terminal = Terminal::shell(&env, &script);
        terminal.wait_for("interactive CLI of");
        let files = named();
        assert_eq!(files.len(), 1, "{}", terminal.shown());
        assert_eq!(fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o600);
        terminal.press(keys);
        assert_eq!(terminal.ends().exit_code(), code);
        assert_eq!(named(), Vec::<std::path::PathBuf>::new());
    }
    assert_eq!(memory_files(), Vec::<std::path::PathBuf>::new());
    assert!(clis.seen().iter().all(|seen| seen.settings.contains("sk-of-this-test")));
}

#[test]
fn a_token_is_typed_unseen_and_the_terminal_is_as_it_was() {
    let (env, _) = fake();
    let mut terminal = Terminal::start(&env, &["provider", "add", "asked"]);
    terminal.wait_for("Preset:");
    terminal.press("openrouter\r");
    terminal.wait_for("CLIs (empty for claude,codex)");
    terminal.press("vim\r");
    terminal.wait_for("`vim` is not one of them");
    terminal.press("codex\r");
    terminal.wait_for("Model");
    terminal.press("\r");
    terminal.wait_for("API key of `asked`");
    std::thread::sleep(std::time::Duration::from_millis(200));
    terminal.press("sk-typed-canary\r");
    terminal.wait_for("***************");
    terminal.wait_for("Hide the key from the CLIs?");
    terminal.press("perhaps\r");
    terminal.wait_for("Answer `y` or `n`");
    terminal.press("y\r");
    terminal.wait_for("Added provider");
    assert!(!terminal.shown().contains("canary"), "{}", terminal.shown());
    assert!(terminal.ends().success());
    let provider = env.json(&["provider", "show", "asked"])["provider"].clone();
    assert_eq!((&provider["secret"], &provider["clis"]), (&json!("set"), &json!(["codex"])));
    assert_eq!(provider["via_gateway"], true);
    let mut terminal = Terminal::start(&env, &["provider", "add", "other"]);
    terminal.wait_for("Preset:");
    terminal.press(b"\xffopenrouter\r");
    terminal.wait_for("error: the answer can't be read");
    assert_eq!(terminal.ends().exit_code(), 2);
    let mut terminal = Terminal::start(&env, &["secret", "set", "x"]);
    terminal.wait_for("Secret");
    terminal.press("\u{3}");
    assert_eq!(terminal.ends().exit_code(), 130);
    assert_eq!(env.json(&["secret", "list"])["secrets"].as_array().unwrap().len(), 1);
}

#[test]
fn adding_a_provider_asks_for_everything_and_again_after_a_typo() {
    let (env, _) = fake();
    let mut terminal = Terminal::start(&env, &["provider", "add"]);
    for (question, wrong, said, right) in [
        ("Preset:", "openruter", "`openruter` is none of them", "litellm"),
        ("Name (empty for litellm):", "gw", "provider `gw` already exists", "second"),
        ("Address for the anthropic API", "nonsense", "`nonsense`", "http://127.0.0.1:9"),
        ("Address for the openai API", "", "", ""),
        ("Address for the gemini API", "", "", ""),
        ("Model", "sk-ant-api03-0123456789abcdef", "looks like a key, and was not taken", "--yolo"),
        ("is not a valid model name", "", "", "m"),
    ] {
        terminal.wait_for(question);
        if !wrong.is_empty() {
            terminal.press(format!("{wrong}\r"));
            terminal.wait_for(said);
        }
        terminal.press(format!("{right}\r"));
    }
    terminal.wait_for("API key of `second`");
    std::thread::sleep(std::time::Duration::from_millis(200));
    terminal.press("sk-typed-canary\r");
    terminal.wait_for("Hide the key from the CLIs?");
    terminal.press("\r");
    terminal.wait_for("Added provider `second`");
    assert!(terminal.ends().success());
    let provider = env.json(&["provider", "show", "second"])["provider"].clone();
    assert_eq!((&provider["model"], &provider["clis"]), (&json!("m"), &json!(["claude"])));
}

#[test]
fn who_adds_a_provider_may_go_back_to_an_earlier_question() {
    let (env, _) = fake();
    let mut terminal = Terminal::start(&env, &["provider", "add"]);
    for (question, said) in [
        ("Preset:", "litellm"),
        ("Name (empty for litellm):", "first"),
        ("Address for the anthropic API (empty for none) of `first`", "<"),
        ("Name (empty for litellm):", "second"),
        ("Address for the anthropic API (empty for none) of `second`", ""),
        ("Address for the openai API", "http://127.0.0.1:9/v1"),
        ("API of http://127.0.0.1:9/v1", "responses"),
        ("Address for the gemini API", ""),
        ("Model", "<"),
        ("Address for the gemini API", ""),
        ("Model", "m"),
        ("API key of `second`", "sk-typed-canary"),
        ("Hide the key from the CLIs?", ""),
    ] {
        terminal.wait_for(question);
        std::thread::sleep(std::time::Duration::from_millis(200));
        terminal.press(format!("{said}\r"));
    }
    terminal.wait_for("Added provider `second`");
    assert!(terminal.ends().success());
    let provider = env.json(&["provider", "show", "second"])["provider"].clone();
    assert_eq!(provider["model"], "m");
    let written: serde_json::Value = serde_json::from_str(&env.read("providers.json")).unwrap();
    assert_eq!(written["providers"]["second"]["api"], "responses", "{written:#}");
}

#[test]
fn a_run_on_a_terminal_shows_what_it_does_while_it_does_it() {
    let (env, _) = fake();
    let tool = r#"{"type":"assistant","message":{"id":"m1","usage":{"input_tokens":40,"output_tokens":2},"content":[{"type":"tool_use","name":"Bash","input":{"command":"cargo test"}}]},"parent_tool_use_id":null}"#;
    let script = FakeClis::script(&format!("echo '{tool}'; read -r _ < \"$HOME/go\""));
    let pipe = env.user().join("go");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut terminal = Terminal::start(&env, &["claude", &script]);
    terminal.wait_for(": claude with its own configuration");
    terminal.wait_for(" · > Bash cargo test · 42 tokens");
    fs::write(&pipe, "go\n").unwrap();
    terminal.wait_for("The work is done.");
    assert!(terminal.ends().success());
    // The live line is gone.
    assert!(!terminal.shown().contains(" · "), "{}", terminal.shown());
}

#[test]
fn a_secret_is_typed_unseen_wherever_the_words_go_and_whoever_reads_it() {
    let (env, _) = fake();
    for (number, command) in ["secret set s1", "provider edit gw --token-stdin"].into_iter().enumerate() {
        let mut terminal = Terminal::shell(&env, &format!("\"$0\" {command} 2>/dev/null; echo ended $?"));
        terminal.wait("the question", |shown| shown.contains("Secret") || shown.contains("API key of"));
        terminal.press("sk-typed-canary\r");
        terminal.wait_for("ended 0");
        assert!(!terminal.shown().contains("canary"), "{}", terminal.shown());
        assert!(terminal.ends().success());
        assert_eq!(env.json(&["secret", "list"])["secrets"].as_array().unwrap().len(), number + 1);
    }
}

#[test]
fn a_hidden_question_that_is_stopped_leaves_the_terminal_as_it_was_and_comes_back_hidden() {
    let (env, _) = fake();
    let script =
        r#"set -m; "$0" secret set x; stty -a | grep -ow -e "[-]*echo"; read word; fg >/dev/null; echo "code $?""#;
    let mut terminal = Terminal::shell(&env, script);
    terminal.wait_for("Secret");
    terminal.press("half-canary\u{1a}");
    terminal.wait("a terminal that echoes", |shown| shown.lines().any(|line| line.trim() == "echo"));
    terminal.press("seen\r");
    terminal.wait("the question again", |shown| shown.contains("seen") && shown.matches("Secret").count() == 2);
    terminal.press("sk-typed-canary\r");
    terminal.wait_for("code 0");
    assert!(!terminal.shown().contains("canary"), "{}", terminal.shown());
    assert!(terminal.ends().success());
    // A program that has the terminal to itself is not suspended, because nobody could resume it.
    let mut terminal = Terminal::start(&env, &["secret", "set", "y"]);
    terminal.wait_for("Secret");
    terminal.press("\u{1a}");
    terminal.press("sk-typed-canary\r");
    terminal.wait_for("Stored");
    assert!(!terminal.shown().contains("canary"), "{}", terminal.shown());
    assert!(terminal.ends().success());
}

#[test]
fn waiting_shows_a_live_line_for_each_task() {
    let (env, _) = fake();
    let id = env.run(&["codex", "--detach", "#!\nsleep 1"]).ok().stdout.trim().to_owned();
    let mut terminal = Terminal::start(&env, &["wait"]);
    terminal.wait(&id, |shown| shown.contains(&id[..4]) && shown.contains("running"));
    terminal.wait("the report", |shown| shown.contains("succeeded after"));
    assert!(terminal.ends().success());
}

#[test]
fn a_list_has_headers_and_fits_a_terminal_and_in_a_pipe_it_is_whole() {
    let (mut env, _) = fake();
    let prompt = "say why the test that fails only on Fridays fails, and only on Fridays, please";
    let id = env.run(&["codex", "--detach", prompt]).ok().stdout.trim().to_owned();
    env.run(&["wait", &id]).ok();
    let listed = |env: &Environment, arguments: &[&str]| {
        let mut terminal = Terminal::start(env, arguments);
        assert!(terminal.ends().success());
        terminal.wait_for("STATE");
        terminal
    };
    let terminal = listed(&env, &["task", "list"]);
    // The only task is named by the least that a command takes.
    let id = id[..4].to_owned();
    terminal.wait_for(&id);
    let shown = terminal.shown();
    let lines: Vec<&str> = shown.lines().collect();
    let headers: Vec<&str> = lines[0].split_whitespace().collect();
    assert_eq!(headers, ["ID", "STATE", "CLI", "PROVIDER", "TIME", "STARTED", "DIRECTORY", "PROMPT"]);
    // One line for the task, cut at a word.
    assert_eq!(lines.len(), 2, "{shown}");
    assert!(lines[1].starts_with(&id) && lines[1].contains(" ago ") && lines[1].ends_with('…'), "{shown}");
    let cut = lines[1].rsplit("  ").next().unwrap().trim_end_matches('…');
    assert!(prompt.starts_with(cut) && prompt[cut.len()..].starts_with(' '), "{shown}");
    let color = |terminal: &Terminal| {
        let parser = terminal.screen.lock().unwrap();
        parser.screen().cell(0, 0).unwrap().bold()
    };
    assert!(color(&terminal));
    env.set("NO_COLOR", "1");
    assert!(!color(&listed(&env, &["task", "list"])));

    // A program gets all columns, and the headers unless it does without.
    let rows = env.run(&["task", "list", "--no-header"]).ok().stdout;
    assert!(rows.starts_with(&id) && rows.lines().count() == 1 && rows.contains(" ago "), "{rows}");
    assert!(rows.contains(env.path("").display().to_string().trim_end_matches('/')), "{rows}");
    let piped = env.run(&["task", "list"]).ok().stdout;
    let headers_of =
        |text: &str| text.lines().next().unwrap().split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!((headers_of(&piped), piped.lines().count()), (headers_of(&shown), 2));
    assert_eq!(env.run(&["task", "show", &id]).code, 0);
    let mut terminal = Terminal::start(&env, &["task", "list", "--no-header"]);
    terminal.wait_for(&id);
    assert!(terminal.ends().success() && !terminal.shown().contains("STATE"), "{}", terminal.shown());
    for arguments in [&["provider", "list"][..], &["provider", "presets"], &["extension", "list"], &["cli", "list"]] {
        let first = |text: &str| text.lines().next().unwrap_or_default().split_whitespace().next().map(str::to_owned);
        let rows = env.run(&[arguments, &["--no-header"]].concat()).ok().stdout;
        let mut terminal = Terminal::start(&env, arguments);
        assert!(terminal.ends().success());
        let row = first(&rows).unwrap();
        terminal.wait_for(&row);
        let header = first(&terminal.shown()).unwrap();
        assert!(header != row && header.chars().all(|c| c.is_ascii_uppercase()), "{arguments:?}: {header}");
    }
}

#[test]
fn an_mcp_server_that_a_person_starts_says_what_it_is() {
    let env = Environment::cold();
    let mut terminal = Terminal::start(&env, &["mcp", "serve"]);
    terminal.wait_for("It waits for messages now; Ctrl-C ends it.");
    for line in ["aiw setup", "aiw setup claude", "aiw claude --mcp"] {
        assert!(terminal.shown().contains(line), "{}", terminal.shown());
    }
    terminal.press("\u{3}");
    assert_eq!(terminal.ends().exit_code(), 130);
    // A client is told nothing.
    assert_eq!(env.run(&["mcp", "serve"]).stderr, "");
}

/// Whoever says no made no mistake.
#[test]
fn a_question_that_is_declined_is_no_error() {
    let (env, _) = fake();
    let entry = |name: &str| json!({name: {"command": name}});
    let market = Market::new(env.path("m"), "m").plugin("a", "1.0.0", entry("a")).plugin("b", "1.0.0", entry("b"));
    env.add(market.root()).ok();
    let other = Market::new(env.path("other"), "claude-plugins-offical");
    let other = other.root().display().to_string();
    fs::create_dir_all(env.path("project")).unwrap();
    let project = env.path("project").display().to_string();
    fs::write(env.path("project/.mcp.json"), json!({"mcpServers": {"x": {"command": "x"}}}).to_string()).unwrap();
    let extension = aiw_tests::component("acme-index").display().to_string();
    let asked: [(&[&str], &[&str], &str); 7] = [
        (&["plugin", "install", "a"], &["Install a@m? [y/N]"], "nothing was done"),
        (&["plugin", "install", "a", "b"], &["Install a@m? [y/N]", "Install b@m? [y/N]"], "b: nothing was done"),
        (&["plugin", "marketplace", "add", &other], &["Add it anyway? [y/N]"], "nothing was done"),
        (&["setup", "gemini"], &["Write these changes? [y/N]"], "nothing was written"),
        (&["history", "hooks", "install"], &["? [y/N]"], "nothing was written"),
        (&["trust", "add", &project], &["? [y/N]"], "nothing was trusted"),
        (&["extension", "add", &extension], &["Add acme-index? [y/N]"], "nothing was done"),
    ];
    for (arguments, questions, said) in asked {
        let mut terminal = Terminal::start(&env, arguments);
        for question in questions {
            terminal.wait_for(question);
            terminal.press("n\r");
        }
        assert_eq!(terminal.ends().exit_code(), 2, "{}", terminal.shown());
        terminal.wait_for(said);
        assert!(!terminal.shown().contains("error"), "{}", terminal.shown());
    }
    assert_eq!(env.mcp(), json!(null));
}

#[test]
fn a_name_that_looks_like_a_reserved_one_is_asked_for_on_a_terminal() {
    let env = Environment::new();
    let market = Market::new(env.path("m"), "claude-plugins-offical");
    let path = market.root().display().to_string();
    let names = || env.run(&["plugin", "marketplace", "list"]).ok().stdout;
    for (answer, code) in [("n\r", 2), ("y\r", 0)] {
        assert!(!names().contains("claude-plugins-offical"));
        let mut terminal = Terminal::start(&env, &["plugin", "marketplace", "add", &path]);
        terminal.wait_for("looks like `claude-plugins-official`");
        terminal.wait_for("Add it anyway? [y/N]");
        terminal.press(answer);
        assert_eq!(terminal.ends().exit_code(), code, "{answer:?}");
    }
    assert!(names().contains("claude-plugins-offical"));
}
