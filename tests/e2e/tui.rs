//! `aiw tui` on a real terminal: each screen by its number, one action of each, and every way out.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::Duration;

use aiw_history::{Cli, MessageAuthor, ReadProgress, Store};
use aiw_tests::{Environment, FakeClis, Market};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::history::message;
use crate::processes::Project;
use crate::terminal::Terminal;
use crate::until;

const TICKS: &str = "process \"web\" { shell \"i=0; while true; do i=$((i+1)); echo tick $i; sleep 0.2; done\" }";

const FAILS: &str = "process \"once\" { shell \"printf '\\\\033[31mred\\\\033[0m\\\\n'; exit 3\" }";

fn is_alternate(terminal: &Terminal) -> bool {
    terminal.screen.lock().unwrap().screen().alternate_screen()
}

fn quit(mut terminal: Terminal) {
    terminal.press("q");
    assert!(terminal.ends().success());
}

/// Says yes to a question, as soon as a yes counts.
pub fn agree(terminal: &mut Terminal) {
    terminal.wait_for("y yes");
    terminal.press("y");
}

/// Takes the answer that is selected, as soon as that counts.
fn take(terminal: &mut Terminal) {
    terminal.wait_for("Enter take it");
    terminal.press("\r");
}

fn resize(terminal: &Terminal, rows: u16, cols: u16) {
    terminal.screen.lock().unwrap().screen_mut().set_size(rows, cols);
    terminal.master.resize(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
}

#[test]
fn aiw_alone_on_a_terminal_opens_it_and_each_screen_has_a_number() {
    let env = Environment::new();
    let mut terminal = Terminal::start(&env, &[]);
    terminal.wait_for("1 Dashboard");
    assert!(is_alternate(&terminal));
    for (key, shown) in [
        ("2", "no tasks: `aiw claude"),
        ("3", "no processes: `aiw process add"),
        ("4", "no servers: `aiw mcp search"),
        ("5", "no providers: each AI CLI uses its own"),
        ("6", "no sessions: `aiw history import"),
        ("7", "No plugins: `aiw plugin"),
        ("8", "begins a store"),
        ("9", "check: home"),
        ("0", "no events"),
        ("1", "no past sessions yet"),
    ] {
        terminal.press(key);
        terminal.wait_for(shown);
    }
    // The browser of plugins is left as every other screen is.
    terminal.press("7");
    terminal.wait_for("No plugins");
    terminal.press("\t");
    terminal.wait_for("begins a store");
    terminal.press("?");
    terminal.wait_for("`aiw sync status`");
    terminal.press("\u{1b}");
    terminal.wait("the screen again", |shown| shown.contains("begins a store") && !shown.contains("Shift-Tab"));
    quit(terminal);
}

#[test]
fn without_a_terminal_that_moves_its_cursor_it_names_the_command_that_prints() {
    let env = Environment::new();
    insta::assert_snapshot!(env.run(&["tui", "mcp"]).whole(), @"
    ------- stderr -------
    error: a screen needs a terminal that moves its cursor
    hint: `aiw mcp list` prints the same in lines
    ------- exit code 2 -------
    ");
    assert!(env.run(&["top"]).stderr.contains("`aiw ps --stats` prints the same in lines"));
    assert_eq!(env.run(&["tui", "nowhere"]).code, 64);
    let refused = env.run(&["tui", "tasks", "--json"]);
    assert!(refused.code == 64 && refused.stdout.contains("`aiw task list --json`"), "{}", refused.whole());
    assert_eq!(env.run(&[]).ok().stdout.lines().count(), 6);
    let mut terminal = Terminal::shell(&env, "TERM=dumb exec \"$0\"");
    terminal.wait_for("next: ");
    assert!(terminal.ends().success());
    let mut terminal = Terminal::shell(&env, "TERM=dumb exec \"$0\" tui tasks");
    terminal.wait_for("`aiw task list` prints the same");
    assert_eq!(terminal.ends().exit_code(), 2);
}

#[test]
fn a_process_is_started_followed_attached_to_and_stopped() {
    let project = Project::new(&format!("{FAILS}\n{TICKS}"));
    let mut terminal = Terminal::start(&project, &["top"]);
    terminal.wait_for("not started");
    terminal.press("u");
    // What the project's file starts is agreed to.
    terminal.wait_for("Allow this file to start these processes?");
    terminal.press("n");
    terminal.wait_for("nothing was started");
    terminal.press("u");
    terminal.wait_for("Allow this file");
    // Whoever types something else agrees to nothing with a letter of it.
    for key in ["t", "y", "t", "y", "t", "y"] {
        terminal.press(key);
        sleep(Duration::from_millis(120));
    }
    assert!(terminal.shown().contains("Allow this file"), "{}", terminal.shown());
    agree(&mut terminal);
    terminal.wait_for("exit code 3");
    terminal.wait("no code of another program", |shown| shown.lines().any(|line| line.trim() == "red"));
    terminal.press("j");
    terminal.wait_for("tick 5");
    // Its terminal, or its log and input, and back.
    terminal.press("a");
    terminal.wait_for("attached to `web`");
    assert!(!is_alternate(&terminal));
    terminal.wait_for("tick 12");
    terminal.press("\u{1d}");
    terminal.wait("the screen", |shown| shown.contains("3 Processes"));
    assert!(is_alternate(&terminal));
    // Two programs never have the terminal, and a question is answered by those who saw it.
    terminal.press("xy");
    terminal.wait_for("Stop `web`? (y/N)");
    assert_eq!(project.ps("web")["state"], "running");
    terminal.press("n");
    terminal.wait("no question", |shown| !shown.contains("(y/N)"));
    terminal.press("x");
    terminal.wait_for("Stop `web`? (y/N)");
    terminal.press("\r");
    terminal.wait("no question", |shown| !shown.contains("(y/N)"));
    assert_eq!(project.ps("web")["state"], "running");
    terminal.press("x");
    terminal.wait_for("Stop `web`? (y/N)");
    terminal.press("y");
    terminal.wait_for("stopped web");
    assert_eq!(project.ps("web")["state"], "stopped");
    // What somebody else does is seen without a key.
    project.run(&["process", "start", "web"]).ok();
    terminal.wait("it runs", |shown| shown.lines().any(|line| line.contains("web") && line.contains("running")));
    quit(terminal);
}

#[test]
fn logs_have_the_whole_screen_one_by_one_and_together() {
    let project = Project::new(&format!("{FAILS}\n{TICKS}"));
    project.up(&["web"]);
    project.run(&["process", "start", "once"]);
    let mut terminal = Terminal::start(&project, &["top"]);
    terminal.wait_for("exit code 3");
    terminal.press("L");
    terminal.wait_for("once: its last lines");
    terminal.wait_for("│ red");
    let is_red = |terminal: &Terminal| {
        let parser = terminal.screen.lock().unwrap();
        let screen = parser.screen();
        let (rows, columns) = screen.size();
        let mut cells = (0..rows).flat_map(|row| (0..columns).filter_map(move |column| screen.cell(row, column)));
        cells.any(|cell| cell.contents() == "r" && cell.fgcolor() == vt100::Color::Idx(1))
    };
    until(|| is_red(&terminal));
    terminal.press("\u{1b}");
    terminal.wait_for("L log");
    // All of them, with their names, as they are written.
    terminal.press("A");
    terminal.wait("both", |shown| shown.contains("once │ red") && shown.contains("web  │ tick"));
    let newest =
        |shown: &str| shown.lines().filter_map(|line| line.split("tick ").nth(1)?.trim().parse::<u64>().ok()).max();
    let before = newest(&terminal.shown()).unwrap_or(0);
    terminal.wait("new lines", |shown| newest(shown).is_some_and(|now| now > before + 2));
    // A process that is started anew goes on in it.
    terminal.press("/red\r");
    terminal.wait_for("line 1 of 1 with: red");
    project.run(&["process", "start", "once"]);
    terminal.wait_for("of 2 with: red");
    terminal.press("\u{1b}");
    terminal.wait("no search", |shown| !shown.contains("with: red"));
    terminal.press("f");
    terminal.wait_for("following");
    terminal.press("t");
    terminal
        .wait("times", |shown| shown.lines().any(|line| line.get(2..3) == Some(":") && line.contains("web  │ tick")));
    terminal.press("\u{1b}");
    terminal.wait_for("L log");
    quit(terminal);
}

#[test]
fn several_processes_are_marked_and_stopped_and_pages_open_by_name() {
    let other = TICKS.replace("web", "api");
    let project = Project::new(&format!("{other}\n{TICKS}"));
    project.up(&["web", "api"]);
    let mut terminal = Terminal::start(&project, &["top"]);
    terminal.wait_for("tick 2");
    terminal.press("  ");
    terminal.wait_for("2 marked");
    terminal.press("x");
    terminal.wait_for("Stop 2: api, web? (y/N)");
    // The yes is taken by an arrow.
    terminal.press("\u{1b}[C");
    terminal.press("\r");
    until(|| project.ps("web")["state"] == "stopped" && project.ps("api")["state"] == "stopped");
    terminal.press(":prov");
    terminal.wait_for(":prov");
    terminal.press("\t\r");
    terminal.wait_for("[5 Providers]");
    // Ctrl-C leaves what is typed first.
    terminal.press(":tas");
    terminal.wait_for(":tas");
    terminal.press("\u{3}");
    terminal.wait("no command line", |shown| !shown.contains(":tas"));
    terminal.press("\u{3}");
    assert!(terminal.ends().success());
}

#[test]
fn a_task_is_followed_and_stopped() {
    let (env, _clis) = FakeClis::environment();
    env.run(&["claude", "--detach", &FakeClis::script("for i in 1 2 3; do echo working $i; done; sleep 1000")]).ok();
    // The dashboard has its output, and leads to it.
    let mut terminal = Terminal::start(&env, &["tui"]);
    terminal.wait_for("running");
    terminal.wait_for("working 3");
    terminal.press("o");
    terminal.wait_for("L log");
    terminal.wait_for("working 3");
    terminal.press("/claude nothing like it");
    terminal.wait_for("nothing has these words");
    terminal.press("\u{1b}");
    terminal.wait_for("running");
    terminal.press("x");
    terminal.wait_for("(y/N)");
    terminal.press("y");
    terminal.wait_for("stopped");
    let task = env.json(&["task", "list"])["tasks"][0].clone();
    assert_eq!(task["state"], "ended");
    // What happened is an event; another process takes the task away.
    terminal.press("0");
    terminal.wait_for("exited ");
    terminal.press("t");
    terminal.wait_for("P prune");
    env.run(&["task", "remove", task["id"].as_str().unwrap()]).ok();
    terminal.wait_for("no tasks");
    quit(terminal);
}

#[test]
fn a_task_is_started_by_choosing_its_cli_and_provider() {
    let (env, _clis) = FakeClis::environment();
    let mut terminal = Terminal::start(&env, &["tui", "tasks"]);
    terminal.wait_for("no tasks");
    terminal.press("n");
    terminal.wait_for("Which CLI does the task run in?");
    terminal.press("clau");
    terminal.wait("one CLI", |shown| shown.contains("› claude") && !shown.contains("codex"));
    take(&mut terminal);
    terminal.wait_for("Which provider does claude use?");
    terminal.wait_for("› own");
    take(&mut terminal);
    terminal.wait_for("What is claude to do?");
    terminal.press("fix the test\r");
    terminal.wait_for("started ");
    terminal.wait_for("fix the test");
    let task = env.json(&["task", "list"])["tasks"][0].clone();
    assert_eq!((&task["cli"], &task["prompt"]), (&json!("claude"), &json!("fix the test")));
    quit(terminal);
}

#[test]
fn a_server_is_hidden_from_clients_and_offered_again() {
    let env = Environment::new();
    env.write_mcp(r#"{"mcpServers": {"one": {"command": "true"}, "two": {"command": "true"}}}"#);
    let mut terminal = Terminal::start(&env, &["tui", "mcp"]);
    terminal.wait_for("two");
    terminal.press("j");
    terminal.press("e");
    terminal.wait_for("disabled");
    let is_on = |env: &Environment| env.json(&["mcp", "list"])["servers"][1]["enabled"] == json!(true);
    until(|| !is_on(&env));
    terminal.press("e");
    until(|| is_on(&env));
    // One that does not work says so.
    terminal.press("s");
    terminal.wait_for("! ");
    quit(terminal);
}

#[test]
fn a_provider_is_added_by_questions_and_its_key_is_never_shown() {
    let (env, _clis) = FakeClis::environment();
    let mut terminal = Terminal::start(&env, &["tui", "providers"]);
    terminal.wait_for("no providers");
    terminal.press("n");
    // Letters narrow the list, and Enter takes what the arrows are at.
    terminal.wait_for("Preset:");
    terminal.press("openrouter");
    terminal.wait("one preset", |shown| shown.contains("› openrouter") && !shown.contains("anthropic"));
    take(&mut terminal);
    terminal.wait_for("Name (empty");
    terminal.press("mine\r");
    terminal.wait_for("CLIs (empty");
    take(&mut terminal);
    terminal.wait_for("Model (empty");
    terminal.press("\r");
    terminal.wait_for("API key of `mine`");
    terminal.press("sk-typed-canary");
    terminal.wait_for("***");
    assert!(!terminal.shown().contains("canary"), "{}", terminal.shown());
    terminal.press("\r");
    terminal.wait_for("Hide the key from the CLIs?");
    terminal.press("n");
    terminal.wait("the list", |shown| shown.contains("added mine") && shown.contains("ready"));
    terminal.press("m");
    terminal.wait_for("mine is the default of");
    assert_eq!(env.json(&["provider", "show", "mine"])["provider"]["secret"], "set");
    assert_eq!(env.json(&["provider", "default"])["default"]["claude"], "mine");
    assert!(!terminal.shown().contains("canary"), "{}", terminal.shown());
    quit(terminal);
}

#[test]
fn a_provider_is_edited_by_questions_and_who_types_nothing_leaves_it_as_it_is() {
    let env = Environment::new();
    let add =
        ["provider", "add", "gw", "--preset", "custom", "--base-url", "openai=https://a.test/v1", "--token-stdin"];
    env.run_with_input(&[&add[..], &["--model", "m-1", "--scenario", "chores"]].concat(), "sk-canary-gw\n").ok();
    let shown = || env.json(&["provider", "show", "gw"])["provider"].clone();
    let mut terminal = Terminal::start(&env, &["tui", "providers"]);
    let answer = |terminal: &mut Terminal, answers: [&str; 3]| {
        terminal.wait_for("gw");
        terminal.press("e");
        let now = shown();
        let (url, model) = (now["base_urls"]["openai"].as_str().unwrap(), now["model"].as_str());
        let asks = [
            format!("Address for the openai API (empty for {url}):"),
            model.map_or("Model (empty for the CLI's own choice):".to_owned(), |model| {
                format!("Model (empty for {model},")
            }),
            format!("Words for its use (empty for {}", now["scenario"].as_str().unwrap()),
        ];
        for (question, said) in asks.iter().zip(answers) {
            terminal.wait_for(question);
            terminal.press(format!("{said}\r"));
        }
    };
    answer(&mut terminal, ["", "m-2", "hard work"]);
    terminal.wait_for("changed gw");
    let now = shown();
    assert_eq!((&now["model"], &now["scenario"]), (&json!("m-2"), &json!("hard work")));
    assert_eq!((&now["base_urls"]["openai"], &now["secret"]), (&json!("https://a.test/v1"), &json!("set")));
    // A dash takes away. Its key does not move to another address: it is asked for again.
    answer(&mut terminal, ["https://b.test/v1", "-", ""]);
    terminal.wait_for("API key for https://b.test (the old key does not go there");
    terminal.press("sk-canary-b");
    terminal.wait_for("***");
    terminal.press("\r");
    // The old one goes only with a yes.
    agree(&mut terminal);
    until(|| shown()["base_urls"]["openai"] == "https://b.test/v1");
    assert_eq!((&shown()["model"], &shown()["scenario"]), (&json!(null), &json!("hard work")));
    answer(&mut terminal, ["", "", ""]);
    terminal.wait_for("! ");
    assert!(!terminal.shown().contains("canary"), "{}", terminal.shown());
    quit(terminal);
}

#[test]
fn a_past_session_is_found_and_gone_on_with() {
    let mut env = Environment::new();
    let bin = env.path("clients");
    fs::create_dir_all(&bin).unwrap();
    fs::write(bin.join("codex"), "#!/bin/sh\necho \"resumed with $*\"; read line; echo \"got $line\"; exit 4\n")
        .unwrap();
    fs::set_permissions(bin.join("codex"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), env.parts().1["PATH"]);
    env.set("PATH", path);
    let here = env.path("work");
    fs::create_dir_all(&here).unwrap();
    let store = Store::open(&env.home().join("history")).unwrap();
    let progress = ReadProgress { offset: 1, last_uuid: None, size: 1, modified: 0, inode: 0, prefix_digest: [0; 32] };
    for (session, text) in [("d4-fourth", "a theremin in the basement"), ("d5-fifth", "a \u{1b}[2Jharp\u{202e}")] {
        let mut said = message(session, session, MessageAuthor::User, 70_000, text);
        said.project = here.to_string_lossy().into_owned();
        let transcript = format!("/transcripts/{session}.jsonl");
        store.append(Cli::Codex, Path::new(&transcript), &[said], &progress).unwrap();
    }
    let mut terminal = Terminal::start(&env, &["tui", "history"]);
    terminal.wait_for("\\u{1b}[2Jharp\\u{202e}");
    terminal.press("/theremin");
    terminal.wait("the hit", |shown| shown.contains("theremin in the basement") && !shown.contains("harp"));
    terminal.press("\r");
    terminal.press("r");
    terminal.wait_for("resumed with resume d4-fourth");
    assert!(!is_alternate(&terminal));
    // What is typed is its own, and what it said in the end can be read.
    terminal.press("q\r");
    terminal.wait_for("got q");
    terminal.wait_for("press Enter to go back");
    terminal.press("\r");
    until(|| is_alternate(&terminal));
    terminal.wait_for("! it ended with exit status: 4");
    quit(terminal);
}

#[test]
fn a_plugin_is_installed_on_its_screen() {
    let env = Environment::new();
    env.settings(&json!({"extraKnownMarketplaces": {}}));
    let market = Market::new(env.path("m"), "m").plugin(
        "beta",
        "1.0.0",
        json!({"beta": {"type": "http", "url": "https://b.example/mcp"}}),
    );
    env.add(market.root()).ok();
    let mut terminal = Terminal::start(&env, &["tui", "plugins"]);
    terminal.wait_for("beta@m");
    // A number is a letter of a search.
    terminal.press("/b1");
    terminal.wait_for("nothing has these words");
    terminal.press("\u{1b}");
    terminal.wait_for("beta@m");
    terminal.press("i");
    terminal.wait_for("Install beta@m?");
    agree(&mut terminal);
    terminal.wait_for("Installed beta@m");
    assert_eq!(env.mcp()["mcpServers"]["beta"]["url"], "https://b.example/mcp");
    terminal.press("\u{1b}");
    terminal.press("4");
    terminal.wait_for("https://b.example/mcp");
    quit(terminal);
}

#[test]
fn every_way_out_gives_the_terminal_back() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        let project = Project::new(TICKS);
        project.up(&["web"]);
        let mut terminal = Terminal::start(&project, &["top"]);
        terminal.wait_for("tick 3");
        terminal.signal(signal);
        assert_eq!(terminal.ends().exit_code(), code);
    }
    // While another program has the terminal.
    let project = Project::new(TICKS);
    project.up(&["web"]);
    let mut terminal = Terminal::start(&project, &["top"]);
    terminal.wait_for("tick 3");
    terminal.press("a");
    terminal.wait_for("attached to `web`");
    terminal.signal(Signal::TERM);
    assert_eq!(terminal.ends().exit_code(), 143);
}

#[test]
fn a_terminal_that_takes_no_bytes_keeps_nothing_from_ending() {
    let project = Project::new(TICKS);
    project.up(&["web"]);
    for (arguments, shown) in [(&["top"][..], "tick 3"), (&["tui"], "1 Dashboard"), (&["logs", "-f", "web"], "tick 3")]
    {
        for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
            let mut terminal = Terminal::start(&project, arguments);
            terminal.wait_for(shown);
            terminal.stall();
            // Something is written, and waits.
            resize(&terminal, 40, 120);
            sleep(Duration::from_millis(500));
            terminal.signal(signal);
            assert_eq!(terminal.ends_stalled().exit_code(), code, "{arguments:?}");
        }
    }
}

#[test]
fn what_was_started_is_stopped_where_nothing_can_be_written() {
    let project = Project::new(TICKS);
    let mut terminal = Terminal::start(&project, &["up", "--yes", "web"]);
    terminal.wait_for("tick 3");
    terminal.stall();
    sleep(Duration::from_millis(500));
    terminal.signal(Signal::TERM);
    assert_eq!(terminal.ends_stalled().exit_code(), 143);
    assert_eq!(project.ps("web")["state"], "stopped");
    // What ran before goes on.
    project.up(&["web"]);
    let mut terminal = Terminal::start(&project, &["up", "--yes", "web"]);
    terminal.wait_for("tick");
    terminal.stall();
    sleep(Duration::from_millis(500));
    terminal.signal(Signal::TERM);
    assert_eq!(terminal.ends_stalled().exit_code(), 143);
    assert_eq!(project.ps("web")["state"], "running");
}

#[test]
fn it_stops_and_goes_on_as_the_shell_wants() {
    let project = Project::new(TICKS);
    project.up(&["web"]);
    let mut terminal = Terminal::shell(&project, "\"$0\" top; exit $?");
    terminal.wait_for("tick 3");
    let shell = terminal.child.process_id().unwrap();
    let children = fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).unwrap();
    let pid: i32 = children.trim().parse().unwrap();
    let send = |signal: Signal| kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    for way in ["a key", "a signal"] {
        match way {
            "a key" => terminal.press("\u{1a}"),
            _ => send(Signal::TSTP),
        }
        until(|| !is_alternate(&terminal));
        let state = || fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        until(|| state().contains(") T "));
        send(Signal::CONT);
        until(|| is_alternate(&terminal));
        terminal.wait_for("3 Processes");
    }
    quit(terminal);
    // Where no shell waits, it would stop for ever.
    let mut terminal = Terminal::start(&project, &["top"]);
    terminal.wait_for("tick 3");
    terminal.press("\u{1a}");
    terminal.press("?");
    terminal.wait_for("Esc back");
    terminal.press("\u{1b}");
    terminal.wait("no help", |shown| !shown.contains("Esc back"));
    quit(terminal);
}

#[test]
fn it_ends_when_its_terminal_goes_away() {
    let project = Project::new(TICKS);
    project.up(&["web"]);
    let size = PtySize { rows: 24, cols: 100, pixel_width: 0, pixel_height: 0 };
    let pair = native_pty_system().openpty(size).unwrap();
    let mut command = CommandBuilder::new(project.parts().0);
    command.args(["top"]);
    command.env_clear();
    for (name, value) in project.parts().1 {
        command.env(name, value);
    }
    command.env("TERM", "xterm-256color");
    command.cwd(project.path(""));
    let mut child = pair.slave.spawn_command(command).unwrap();
    drop(pair.slave);
    // It reads keys, and so it has begun.
    let tasks = format!("/proc/{}/task", child.process_id().unwrap());
    let name = |task: fs::DirEntry| fs::read_to_string(task.path().join("comm")).unwrap_or_default();
    until(|| fs::read_dir(&tasks).unwrap().flatten().map(name).any(|name| name.trim() == "aiw-input"));
    drop(pair.master);
    until(|| child.try_wait().unwrap().is_some());
    // What it showed runs on.
    assert_eq!(project.ps("web")["state"], "running");
}

#[test]
fn storms_of_sizes_and_floods_of_text_do_nothing() {
    let project = Project::new(TICKS);
    project.up(&["web"]);
    let mut terminal = Terminal::start(&project, &["top"]);
    terminal.wait_for("tick 3");
    for n in 0..200u16 {
        resize(&terminal, 1 + n * 7 % 60, 1 + n * 13 % 200);
        if n % 10 == 0 {
            sleep(Duration::from_millis(5));
        }
    }
    resize(&terminal, 12, 40);
    terminal.wait_for("this needs 60");
    // Keys do nothing where nobody sees what they do.
    terminal.press("xy");
    terminal.press(format!("\u{1b}[200~{}\u{1b}[201~", "xyDqy\n".repeat(20_000)));
    resize(&terminal, 30, 100);
    terminal.wait_for("3 Processes");
    terminal.press(format!("\u{1b}[200~{}\u{1b}[201~", "xyDqy\n".repeat(20_000)));
    terminal.press("?");
    terminal.wait_for("this help");
    assert_eq!(project.ps("web")["state"], "running");
    terminal.press("\u{1b}");
    terminal.wait("the list", |shown| shown.contains("web") && !shown.contains("this help"));
    quit(terminal);
}

#[test]
fn what_comes_at_once_is_read_to_its_end() {
    let env = Environment::new();
    let mut terminal = Terminal::start(&env, &["tui", "tasks"]);
    terminal.wait_for("no tasks");
    // More than one read takes.
    terminal.press(format!("{}?", "j".repeat(3_000)));
    terminal.wait_for("this help");
    terminal.press("\u{1b}");
    // Read with the next key, it would be another one.
    terminal.wait_for("no tasks");
    quit(terminal);
}

#[test]
fn nothing_is_written_while_nothing_changes_and_no_thread_stays() {
    let env = Environment::new();
    env.write_mcp(r#"{"mcpServers": {"one": {"command": "true"}}}"#);
    let mut terminal = Terminal::start(&env, &["tui", "tasks"]);
    terminal.wait_for("no tasks");
    sleep(Duration::from_millis(500));
    let threads = |terminal: &Terminal| {
        let pid = terminal.child.process_id().unwrap();
        fs::read_dir(format!("/proc/{pid}/task")).unwrap().count()
    };
    let (written, before) = (terminal.written.load(Ordering::SeqCst), threads(&terminal));
    sleep(Duration::from_secs(3));
    assert_eq!(terminal.written.load(Ordering::SeqCst), written);
    // A screen that was left listens no more.
    for _ in 0..20 {
        terminal.press("4");
        terminal.press("2");
    }
    terminal.wait_for("no tasks");
    until(|| threads(&terminal) <= before);
    quit(terminal);
}

#[test]
fn a_terminal_without_unicode_gets_ascii_and_one_with_it_gets_more() {
    let mut env = Environment::new();
    env.write_mcp(r#"{"mcpServers": {"one": {"command": "true"}}}"#);
    for (locale, mark) in [("C", "> one"), ("C.UTF-8", "› one")] {
        env.set("LC_ALL", locale);
        env.set("NO_COLOR", "1");
        let terminal = Terminal::start(&env, &["tui", "mcp"]);
        terminal.wait_for(mark);
        let parser = terminal.screen.lock().unwrap();
        let (rows, columns) = parser.screen().size();
        for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
            let cell = parser.screen().cell(row, column).unwrap();
            assert_eq!((cell.fgcolor(), cell.bgcolor()), (vt100::Color::Default, vt100::Color::Default));
        }
        drop(parser);
        quit(terminal);
    }
}
