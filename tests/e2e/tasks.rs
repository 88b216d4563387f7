//! Tasks: `aiw claude|codex|gemini PROMPT`, `aiw task`, `aiw status`, `aiw wait`. The CLIs are scripts that record
//! what they were given and run their prompt.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use aiw_tests::{Environment, FakeClis};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::until;

fn detach(env: &Environment, cli: &str, text: &str) -> String {
    let run = env.run(&[cli, "--detach", &FakeClis::script(text)]).ok();
    run.stdout.trim().to_owned()
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn task(env: &Environment, id: &str) -> Value {
    env.json(&["task", "show", id])["task"].clone()
}

#[test]
fn a_prompt_is_a_task_that_shows_what_the_model_says() {
    let (env, clis) = FakeClis::environment();
    let say = r#"printf '%s\n' '{"type":"assistant","message":{"content":[{"type":"text","text":"I see."},{"type":"tool_use","name":"Bash","input":{"command":"ls"}}]},"parent_tool_use_id":null}'; echo odd >&2"#;
    let run = env.run(&["claude", &FakeClis::script(say)]).ok();
    // The final message was not one of the model's messages in the stream, but it is the answer anyway.
    assert_eq!(run.stdout, "I see.\nThe work is done.\n");
    let (started, rest) = run.stderr.split_once('\n').unwrap();
    assert!(started.starts_with("task ") && started.ends_with(": claude with its own configuration"), "{started}");
    assert_eq!(rest, "> Bash ls\nodd\nused: 10 tokens read, 5 written, $0.2500\n");
    let seen = clis.only();
    assert_eq!(seen.arguments, ["-p", "--output-format", "stream-json", "--verbose", "--setting-sources", "user"]);
    assert_eq!(seen.stdin, FakeClis::script(say).into_bytes());
    let list = env.json(&["task", "list"]);
    let task = &list["tasks"][0];
    let keys: Vec<&str> = task.as_object().unwrap().keys().map(String::as_str).collect();
    insta::assert_snapshot!(
        keys.join(" "),
        @"id pid root_pid cli provider role state outcome exit_code signal started ended unseen prompt cwd log session"
    );
    assert_eq!(task["cli"], "claude");
    assert_eq!(
        (&task["state"], &task["outcome"], &task["exit_code"]),
        (&json!("ended"), &json!("succeeded"), &json!(0))
    );
    assert_eq!((&task["provider"], &task["signal"], &task["unseen"]), (&json!(null), &json!(null), &json!(false)));
    assert_eq!(task["session"], "session-1");
    let shown = self::task(&env, task["id"].as_str().unwrap());
    assert_eq!((&shown["final_message"], &shown["cost_usd"]), (&json!("The work is done."), &json!(0.25)));
    assert_eq!(shown["usage"], json!({"input": 10, "output": 5}));
    assert!(shown["resume"].as_str().unwrap().ends_with("aiw claude -- --resume session-1"), "{shown}");
}

#[test]
fn each_form_of_output_is_what_it_says() {
    let (env, _) = FakeClis::environment();
    let run = env.run(&["codex", "--output", "stream-json", "hello"]).ok();
    assert_eq!(run.stdout.lines().count(), 2);
    assert!(run.stdout.starts_with(r#"{"type":"thread.started""#), "{}", run.stdout);
    for arguments in [&["codex", "--output", "json", "hello"][..], &["--json", "codex", "hello"]] {
        let answer = env.run(arguments).ok().json();
        assert_eq!(answer["task"]["outcome"], "succeeded");
    }
    let failed = env.run(&["--json", "codex", &FakeClis::script("exit 3")]);
    assert_eq!((failed.code, &failed.json()["task"]["exit_code"]), (3, &json!(3)));
}

#[test]
fn how_a_cli_ended_is_how_the_task_ended() {
    let (env, _) = FakeClis::environment();
    for (text, outcome, code, signal, exit) in [
        ("true", "succeeded", json!(0), json!(null), 0),
        ("exit 1", "failed", json!(1), json!(null), 1),
        ("exit 137", "failed", json!(137), json!(null), 137),
        ("exit 143", "failed", json!(143), json!(null), 143),
        ("kill -9 $$", "signalled", json!(null), json!(9), 137),
        // Without a final message in the stream, a task has not succeeded, whatever its exit code says.
        ("exit 0", "failed", json!(0), json!(null), 1),
    ] {
        let run = env.run(&["claude", &FakeClis::script(text)]);
        let task = env.json(&["task", "list"])["tasks"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(
            (&task["outcome"], &task["exit_code"], &task["signal"], run.code),
            (&json!(outcome), &code, &signal, exit),
            "{text}: {}",
            run.whole()
        );
    }
    let run = env.run(&["gemini", "--timeout", "1s", &FakeClis::script("sleep 60")]);
    assert_eq!(run.code, 124, "{}", run.whole());
}

#[test]
fn a_detached_task_is_waited_for_and_reported_once() {
    let (env, _) = FakeClis::environment();
    let good = detach(&env, "claude", "sleep 0.3");
    let bad = detach(&env, "codex", "sleep 0.3; exit 7");
    let early = env.run(&["wait", "--timeout", "1", &detach(&env, "gemini", "sleep 30")]);
    assert_eq!(early.code, 124, "{}", early.whole());
    env.run(&["stop", "--all"]).ok();
    let report = env.run(&["wait", &good, &bad]);
    assert_eq!(report.code, 1, "{}", report.whole());
    assert!(report.stdout.contains(&format!("{good} claude succeeded")), "{}", report.stdout);
    assert!(report.stdout.contains("The work is done."), "{}", report.stdout);
    assert!(report.stdout.contains(&format!("{bad} codex failed (exit code 7)")), "{}", report.stdout);
    assert!(report.stdout.contains(&format!("tasks/{bad}/log")), "{}", report.stdout);
    assert_eq!(env.run(&["wait", &good]).code, 0);
    // Each was reported once, and the stopped one was reported by the command that stopped it.
    assert_eq!(env.run(&["wait"]).ok().stdout, "no tasks to wait for\n");
    let mut status = env.json(&["status"]);
    // The bad one said nothing of its tokens.
    assert_eq!(status.as_object_mut().unwrap().remove("today").unwrap()["tasks"], 1);
    let nothing = json!({"items": [], "muted": 0});
    assert_eq!(status, json!({"attention": nothing, "tasks": [], "running": 0, "queued": 0, "unseen": 0}));
    assert_eq!(env.run(&["wait", "zzzzzzzzzzzz"]).code, 2);
}

#[test]
fn a_log_that_cannot_be_read_hides_no_other_report() {
    let (env, _) = FakeClis::environment();
    let (more, broken) = (detach(&env, "claude", "true"), detach(&env, "claude", "true"));
    until(|| env.json(&["status"])["unseen"] == 2);
    let log = env.home().join("tasks").join(&broken).join("log");
    fs::remove_file(&log).unwrap();
    std::os::unix::fs::symlink("/dev/null", &log).unwrap();
    let report = env.run(&["wait", &broken, &more]);
    assert!(report.code != 0 && report.stdout.contains(&format!("{more} claude succeeded")), "{}", report.whole());
    assert!(report.stderr.contains("log"), "{}", report.stderr);
    // What was not reported is news still.
    let status = env.json(&["status"]);
    assert_eq!(status["tasks"].as_array().unwrap().iter().map(|task| &task["id"]).collect::<Vec<_>>(), [&broken]);
}

#[test]
fn waiting_for_any_ends_with_the_first() {
    let (env, _) = FakeClis::environment();
    let long = detach(&env, "claude", "sleep 30");
    let short = detach(&env, "claude", "true");
    let answer = env.json(&["wait", "--any", &long, &short]);
    let states: Vec<&str> = answer["tasks"].as_array().unwrap().iter().map(|t| t["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["running", "ended"]);
    // The task is not a child of this process, but it is found and stopped anyway.
    let stopped = env.json(&["stop", &long]);
    assert_eq!(stopped["tasks"][0]["outcome"], "signalled");
}

#[test]
fn prompts_arrive_byte_for_byte_by_standard_input() {
    let (env, clis) = FakeClis::environment();
    let two_megabytes = "a line of text\n".repeat(140_000);
    let cases: [&[u8]; 8] = [
        two_megabytes.as_bytes(),
        b"--dangerously-skip-permissions",
        b"-x; rm -rf / $(touch /tmp/x) `id` && echo '\"' | cat > /dev/null",
        b"two\nlines\r\n\ttab",
        b"nul \0 byte",
        b"invalid \xff\xfe utf-8",
        "“quotes” — ünïcödé \u{202e}".as_bytes(),
        b" leading and trailing ",
    ];
    for bytes in cases {
        let run = env.run_with_input(&["codex", "-"], bytes);
        assert_eq!(run.code, 0, "{}", run.whole());
        let seen = clis.seen().pop().unwrap();
        assert!(seen.stdin == bytes, "{} bytes arrived of {}", seen.stdin.len(), bytes.len());
        assert_eq!(seen.arguments, ["exec", "--json", "-"]);
    }
    for empty in [&b""[..], b"  ", b"\n\t\n"] {
        let run = env.run_with_input(&["codex", "-"], empty);
        assert_eq!((run.code, run.stderr.contains("the prompt is empty")), (2, true), "{}", run.whole());
    }
    // The words of the command line are joined.
    env.run(&["codex", "fix", "the test"]).ok();
    assert_eq!(clis.seen().pop().unwrap().stdin, b"fix the test");
}

#[test]
fn a_flag_in_the_wrong_place_is_answered_with_the_right_line() {
    let (env, clis) = FakeClis::environment();
    insta::assert_snapshot!(env.run(&["codex", "fix it", "--full-auto"]).whole(), @"
    ------- stderr -------
    error: unexpected argument '--full-auto' found
    hint: flags of aiw go beside the prompt, those of codex after `--`: aiw codex 'fix it' -- --full-auto
    ------- exit code 64 -------
    ");
    insta::assert_snapshot!(env.run(&["claude", "-p", "fix the test"]).whole(), @"
    ------- stderr -------
    error: there is no prompt, and no terminal for the interactive mode
    hint: `-p` is the provider; a prompt needs no flag: aiw claude 'fix the test'
    ------- exit code 2 -------
    ");
    insta::assert_snapshot!(env.run(&["claude"]).whole(), @r#"
    ------- stderr -------
    error: there is no prompt, and no terminal for the interactive mode
    hint: aiw claude "what to do", or `-` to read it from standard input
    ------- exit code 2 -------
    "#);
    let run = env.run(&["claude", "-p", "own", "fix", "-m", "x", "the test", "--add-dir", "/", "--", "-y"]);
    assert!(run.stderr.contains("aiw claude -p own -m x 'fix the test' -- --add-dir / -y"), "{}", run.stderr);
    let run = env.run(&["--provider", "fake", "claude", "hi"]);
    assert!(run.stderr.contains("aiw claude --provider fake hi"), "{}", run.stderr);
    let run = env.run(&["claude", "--modle", "opus", "hi"]);
    assert!(run.stderr.contains("aiw claude --model opus hi"), "{}", run.stderr);
    insta::assert_snapshot!(env.run(&["claude", "--print", "hi"]).whole(), @r#"
    ------- stderr -------
    error: unexpected argument '--print' found
    hint: flags of aiw go beside the prompt, those of claude after `--`: aiw claude hi -- --print
    ------- exit code 64 -------
    "#);
    let said = |arguments: &[&str]| env.run(arguments).stderr;
    let print = said(&["claude", "-p"]);
    assert!(print.contains("`-p` is the provider; a prompt needs no flag"), "{print}");
    let print = said(&["claude", "-p", "hello"]);
    assert!(print.contains("`-p` is the provider; a prompt needs no flag: aiw claude hello"), "{print}");
    let print = said(&["claude", "-p", "hello", "world"]);
    assert!(print.contains("no provider") && print.contains("aiw claude 'hello world'"), "{print}");
    let print = said(&["claude", "-p", "own"]);
    assert!(print.contains("aiw claude -p own \"what to do\""), "{print}");
    let wrong = said(&["claude", "-p", "own", "--env", "A_TOKEN=sk-canary", "-x", "fix it"]);
    assert!(wrong.contains("aiw claude -p own --env A_TOKEN=… 'fix it' -- -x"), "{wrong}");
    let after = said(&["claude", "fix it", "--env=A_TOKEN=sk-canary", "-x"]);
    assert!(after.contains("aiw claude --env=A_TOKEN=… 'fix it' -- -x") && !after.contains("canary"), "{after}");
    assert_eq!(env.run(&["claude", "-", "hello"]).code, 64);
    for model in ["a\nb", "", "-x"] {
        assert_eq!(env.run(&["claude", "-p", "own", &format!("--model={model}"), "hi"]).code, 2, "{model:?}");
    }
    assert!(clis.seen().is_empty());
    env.run(&["claude", "hello", "--", "--add-dir", "/x", "--", "-y"]).ok();
    assert_eq!(clis.only().arguments[6..], ["--add-dir", "/x", "--", "-y"]);
}

#[test]
fn what_lifts_a_guard_is_shown_and_never_added() {
    let (env, clis) = FakeClis::environment();
    env.run(&["claude", "--permission", "edit", "hello", "--", "--dangerously-skip-permissions"]).ok();
    let list = env.json(&["task", "list"]);
    let shown = task(&env, list["tasks"][0]["id"].as_str().unwrap());
    assert_eq!(shown["bypass"], "--dangerously-skip-permissions");
    assert_eq!(shown["permission"], "edit");
    env.settings(&json!({"clis": {"gemini": {"permission": "edit"}, "codex": {"permission": "everything"}}}));
    env.run(&["gemini", "hello"]).ok();
    let seen = clis.seen().pop().unwrap();
    assert_eq!(seen.arguments, ["--output-format", "stream-json", "--approval-mode", "auto_edit"]);
    let run = env.run(&["codex", "hello"]).ok();
    assert!(run.stderr.contains("`clis.codex.permission` in settings.json is ignored"), "{}", run.stderr);
    assert_eq!(clis.seen().pop().unwrap().arguments, ["exec", "--json", "-"]);
}

#[test]
fn a_cli_sees_nothing_of_the_one_above_it_and_what_the_user_gives() {
    let (mut env, clis) = FakeClis::environment();
    for name in ["CLAUDECODE", "CLAUDE_CODE_ENTRYPOINT", "CLAUDE_CODE_SESSION_ID", "GEMINI_CLI", "CODEX_THREAD_ID"] {
        env.set(name, "1");
    }
    env.set("MINE", "here");
    fs::create_dir(env.path("work")).unwrap();
    env.run(&["claude", "--cwd", "work", "--env", "A=b c", "--env", "MINE", "--isolated", "hello"]).ok();
    let seen = clis.only();
    for name in ["CLAUDECODE", "CLAUDE_CODE_ENTRYPOINT", "CLAUDE_CODE_SESSION_ID", "GEMINI_CLI", "CODEX_THREAD_ID"] {
        assert!(!seen.environment.contains_key(name), "{name}");
    }
    assert_eq!((seen.environment["A"].as_str(), seen.environment["MINE"].as_str()), ("b c", "here"));
    assert_eq!(seen.environment["CLAUDE_CONFIG_DIR"], env.home().join("isolated/claude").display().to_string());
    assert_eq!(seen.cwd, env.path("work").canonicalize().unwrap().display().to_string());
    assert_eq!(env.run(&["claude", "--cwd", "nowhere", "hello"]).code, 2);
    assert_eq!(env.run(&["claude", "--env", "NOT_SET", "hello"]).code, 2);
}

#[test]
fn roles_go_before_the_prompt_and_a_projects_own_only_where_it_is_trusted() {
    let (env, clis) = FakeClis::environment();
    fs::create_dir_all(env.home().join("role")).unwrap();
    fs::write(env.home().join("role/one.md"), "First\n------------\nYou are one.\n").unwrap();
    let agents = env.path("project/.claude/agents");
    fs::create_dir_all(&agents).unwrap();
    fs::write(agents.join("two.md"), "---\nname: two\ndescription: Second\n---\nYou are two.\n").unwrap();
    let run = env.run(&["codex", "--cwd", "project", "-r", "two", "Do it"]);
    assert_eq!(run.code, 2, "{}", run.whole());
    env.run(&["trust", "add", "project", "--yes"]).ok();
    env.run(&["codex", "--cwd", "project", "-r", "one,two", "Do it"]).ok();
    assert_eq!(clis.only().stdin, b"You are one.\n\n---\n\nYou are two.\n\n---\n\nDo it");
    assert_eq!(env.json(&["task", "list"])["tasks"][0]["role"], "one,two");
}

#[test]
fn ctrl_c_stops_the_task_and_a_hang_up_leaves_it() {
    let (env, clis) = FakeClis::environment();
    for (number, sent) in [(1, Signal::INT), (2, Signal::HUP)] {
        let mut aiw = env.start(&["claude", &FakeClis::script("sleep 60")]);
        until(|| clis.seen().len() == number);
        signal(&aiw, sent);
        let code = until(|| aiw.try_wait().unwrap()).code();
        assert_eq!(code, Some(if number == 1 { 130 } else { 129 }));
    }
    let list = env.json(&["task", "list"]);
    assert_eq!((&list["tasks"][0]["outcome"], &list["tasks"][1]["state"]), (&json!("signalled"), &json!("running")));
    env.run(&["stop", "--all"]).ok();
}

#[test]
fn what_the_disk_does_not_take_is_answered_all_the_same() {
    let (env, _) = FakeClis::environment();
    let (aiw, _) = env.parts();
    // The limit of 40 blocks of 512 bytes is for the log. The session's shared memory exists before.
    detach(&env, "claude", "true");
    let mut shell = env.program(Path::new("/bin/sh"));
    let line = format!("ulimit -f 40; exec {} claude \"$0\"", aiw.display());
    let much = FakeClis::script(
        "i=0; while [ $i -lt 600 ]; do echo a line of sixty characters or so, of no use at all to anybody; i=$((i+1)); done",
    );
    let run = aiw_tests::Run::from(shell.args(["-c", &line, &much]).output().unwrap()).ok();
    assert!(run.stdout.ends_with("The work is done.\n"), "{}", run.whole());
    assert!(run.stderr.contains("the log is not whole"), "{}", run.whole());
}

#[test]
fn logs_are_read_from_the_end_followed_and_searched() {
    let (env, _) = FakeClis::environment();
    let loud = r#"i=0; while [ $i -lt 2000 ]; do echo "line $i"; i=$((i+1)); done; printf '\033[31mred\033[0m\n' >&2"#;
    let id = detach(&env, "claude", loud);
    env.run(&["wait", &id]).ok();
    let last = env.run(&["logs", &id, "--tail", "3"]).ok().stdout;
    assert_eq!(last.lines().count(), 3);
    let whole = env.run(&["logs", &id]).ok().stdout;
    assert_eq!(whole.lines().filter(|line| line.starts_with("line ")).count(), 2000);
    assert!(whole.contains("\nred\n") && !whole.contains('\u{1b}'));
    let found = env.run(&["logs", &id[..6], "--grep", "^line 19.9$"]).ok().stdout;
    assert_eq!(found.lines().count(), 10);
    let answer = env.json(&["logs", &id, "--grep", "^red$"]);
    assert_eq!((&answer["lines"][0]["stream"], &answer["lines"][0]["text"]), (&json!("stderr"), &json!("red")));
    let raw = env.run(&["logs", &id, "--raw"]).ok().stdout;
    assert!(raw.contains("\u{1b}[31mred") && raw.contains("\"type\":\"result\""));
    assert_eq!(env.run(&["logs", &id, "--since", "2100-01-01T00:00:00Z"]).ok().stdout, "");
    // One that writes faster than it is read is shown as far as it was.
    let fast = detach(&env, "claude", "exec yes");
    env.run(&["logs", &fast, "--grep", "^y$"]).ok();
    env.run(&["stop", &fast]).ok();
    let slow = detach(&env, "claude", "echo one; sleep 1; echo two");
    let followed = env.run(&["logs", "-f", &slow]).ok().stdout;
    assert!(followed.contains("one\n") && followed.contains("two\n"), "{followed}");
}

#[test]
fn fifty_tasks_of_ten_processes_are_all_waited_for() {
    let (env, clis) = FakeClis::environment();
    let starters: Vec<_> = (0..10)
        .map(|_| {
            let mut command = env.program(Path::new("/bin/sh"));
            let (aiw, _) = env.parts();
            command.args([
                "-c",
                &format!("for i in 1 2 3 4 5; do '{}' claude --detach '#!\nsleep 0.5' || exit 1; done", aiw.display()),
            ]);
            command.stdout(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let mut ids = Vec::new();
    for mut starter in starters {
        let mut text = String::new();
        starter.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        assert!(starter.wait().unwrap().success());
        ids.extend(text.lines().map(str::to_owned));
    }
    assert_eq!(ids.len(), 50);
    let waited = env.json(&["wait", "--all"]);
    assert_eq!(waited["tasks"].as_array().unwrap().len(), 50);
    assert!(waited["tasks"].as_array().unwrap().iter().all(|task| task["outcome"] == "succeeded"));
    assert_eq!(clis.seen().len(), 50);
}

#[test]
fn a_task_within_a_task_shares_its_session_three_deep() {
    let (env, _) = FakeClis::environment();
    let (aiw, _) = env.parts();
    let aiw = aiw.display();
    // Each starts the next one and waits for it.
    let mut inner = "true".to_owned();
    for _ in 0..4 {
        inner = format!(
            "cat > \"$seen/inner\" <<'EOF{n}'\n#!\n{inner}\nEOF{n}\n'{aiw}' codex - < \"$seen/inner\" >\"$seen/out\" 2>&1 || {{ cat \"$seen/out\" >&2; exit 9; }}",
            n = inner.len()
        );
    }
    let run = env.run_with_input(&["codex", "-"], FakeClis::script(&inner).as_bytes());
    assert_eq!(run.code, 9, "{}", run.whole());
    let list = env.json(&["task", "list"]);
    let tasks = list["tasks"].as_array().unwrap();
    // The fourth below the first is refused, so all above it fail.
    assert_eq!(tasks.len(), 4, "{list}");
    assert!(tasks.iter().all(|task| task["root_pid"] == tasks[0]["root_pid"]));
    let log = env.run(&["logs", tasks[3]["id"].as_str().unwrap()]).ok().stdout;
    assert!(log.contains("only 3 deep"), "{log}");
}

#[test]
fn without_the_leader_of_its_terminal_session_a_script_is_one_session() {
    let (env, _) = FakeClis::environment();
    let (aiw, _) = env.parts();
    // The leader starts the script and exits, as with services, containers and `nohup`.
    let leader = format!(
        r#"( while kill -0 $$; do sleep 0.02; done 2>/dev/null
        "{0}" claude --detach one; "{0}" wait; "{0}" codex --detach two; "{0}" wait; : > "$HOME/end" ) &"#,
        aiw.display()
    );
    let mut sh = env.program(Path::new("setsid"));
    assert!(sh.args(["--wait", "sh", "-c", &leader]).status().unwrap().success());
    until(|| env.user().join("end").exists());
    let list = env.json(&["task", "list", "--all"]);
    let roots: Vec<&Value> = list["tasks"].as_array().unwrap().iter().map(|task| &task["root_pid"]).collect();
    assert!(matches!(roots.as_slice(), [one, two] if one == two), "{list}");
}

#[test]
fn beyond_the_limit_tasks_wait_for_their_turn_or_are_refused() {
    let (env, _) = FakeClis::environment();
    env.settings(&json!({"tasks": {"limit": 2}}));
    let first: Vec<String> = (0..2).map(|_| detach(&env, "claude", "sleep 30")).collect();
    let third = detach(&env, "claude", "true");
    assert_eq!(task(&env, &third)["state"], "queued");
    let refused = env.run(&["claude", "--no-queue", "--detach", "hello"]);
    assert_eq!((refused.code, refused.stderr.contains("2 tasks run already")), (2, true), "{}", refused.whole());
    env.run(&["stop", &first[0]]).ok();
    env.run(&["wait", &third]).ok();
    // A queued task can be stopped too.
    let fourth = detach(&env, "claude", "sleep 30");
    let fifth = detach(&env, "claude", "true");
    assert_eq!(env.json(&["stop", &fifth])["tasks"][0]["outcome"], "signalled");
    let listed = env.run(&["task", "list"]).ok().stdout;
    let is_fifth = |line: &str| fifth.starts_with(line.split(' ').next().unwrap()) && line.contains("stopped");
    assert!(listed.lines().skip(1).any(is_fifth), "{listed}");
    env.run(&["stop", &fourth, &first[1]]).ok();
    assert_eq!(env.run(&["task", "remove", &fifth]).code, 0);
    assert_eq!(env.run(&["task", "show", &fifth]).code, 2);
    let would = env.json(&["task", "prune", "--keep", "0", "--dry-run"]);
    assert_eq!((would["removed"].as_array().unwrap().len(), &would["dry_run"]), (4, &json!(true)));
    assert_eq!(env.json(&["task", "prune", "--keep", "0"])["removed"].as_array().unwrap().len(), 4);
}

#[test]
fn a_damaged_record_is_said_and_can_be_removed() {
    let (env, _) = FakeClis::environment();
    let (good, bad) = (detach(&env, "claude", "true"), detach(&env, "claude", "true"));
    env.run(&["wait"]).ok();
    fs::write(env.home().join(format!("tasks/{bad}/task.json")), "{").unwrap();
    for command in [&["task", "list"][..], &["status"]] {
        let run = env.run(command).ok();
        assert!(run.stderr.contains(&format!("task `{bad}` cannot be read")), "{}", run.whole());
        assert!(run.stderr.contains(&format!("aiw task remove {bad}")), "{}", run.whole());
    }
    assert_eq!(env.json(&["task", "list"])["tasks"][0]["id"], good.as_str());
    env.run(&["task", "remove", &bad]).ok();
    assert_eq!(env.run(&["task", "list"]).ok().stderr, "");
    // It cannot be removed while it is supervised.
    let running = detach(&env, "claude", "sleep 60");
    let path = env.home().join(format!("tasks/{running}/task.json"));
    until(|| task(&env, &running)["state"] == "running");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, "{").unwrap();
    assert_ne!(env.run(&["task", "remove", &running]).code, 0);
    fs::write(&path, whole).unwrap();
    env.run(&["stop", &running]).ok();
}

fn record(env: &Environment, id: &str) -> Value {
    serde_json::from_str(&env.read(&format!("tasks/{id}/task.json"))).unwrap()
}

/// Creates a task whose CLI and supervisor were killed, and that nothing has looked at since.
pub fn killed(env: &Environment) -> String {
    let id = detach(env, "claude", "exec sleep 60");
    until(|| task(env, &id)["state"] == "running");
    let record = record(env, &id);
    for who in ["shim", "child"] {
        let pid = Pid::from_raw(record[who]["pid"].as_i64().unwrap().try_into().unwrap()).unwrap();
        let _ = kill_process(pid, Signal::KILL);
        let gone = || !Path::new(&format!("/proc/{}/cmdline", pid.as_raw_nonzero())).exists();
        let empty = || fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).is_ok_and(|line| line.is_empty());
        until(|| gone() || empty());
    }
    id
}

#[test]
fn a_forged_record_gets_no_process_signalled() {
    let (env, _) = FakeClis::environment();
    for (who, start) in [("child", None), ("child", Some(0)), ("shim", None), ("shim", Some(0))] {
        let id = killed(&env);
        // The process reveals nothing about itself, so nothing contradicts the record.
        let mut stranger = std::process::Command::new("sleep").arg("100").env_clear().spawn().unwrap();
        let stat = fs::read_to_string(format!("/proc/{}/stat", stranger.id())).unwrap();
        let own: u64 = stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().parse().unwrap();
        let mut forged = record(&env, &id);
        forged[who] = json!({"pid": stranger.id(), "start": start.unwrap_or(own)});
        let directory = env.home().join("tasks").join(&id);
        fs::write(directory.join("task.json"), forged.to_string()).unwrap();
        let lock = fs::File::options().write(true).open(directory.join("alive")).unwrap();
        if who == "shim" {
            rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
        }
        env.run(&["task", "list"]).ok();
        let stopped = env.run(&["stop", &id]);
        assert_eq!(stopped.code != 0, who == "shim", "{who} {start:?}: {}", stopped.whole());
        std::thread::sleep(Duration::from_millis(50));
        assert!(stranger.try_wait().unwrap().is_none(), "{who} {start:?}: {}", stopped.whole());
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }
}

#[test]
fn a_directory_of_a_task_that_is_a_link_is_refused() {
    let (env, _) = FakeClis::environment();
    let id = detach(&env, "claude", "true");
    env.run(&["wait", &id]).ok();
    let (directory, outside) = (env.home().join("tasks").join(&id), env.path("outside"));
    fs::rename(&directory, &outside).unwrap();
    std::os::unix::fs::symlink(&outside, &directory).unwrap();
    let text = "`[TMP]/aiw/tasks/ID` is a symbolic link, and aiw does not follow it";
    let hint = "`rm [TMP]/aiw/tasks/ID` takes the link away, and leaves what it leads to";
    let stable = |text: &str| env.stable(text).replace(&id, "ID");
    for command in [&["task", "list"][..], &["status"]] {
        assert_eq!(stable(&env.run(command).ok().stderr), format!("{text} ({hint})\n"));
    }
    for command in [&["task", "show"][..], &["logs"], &["stop"], &["task", "remove"], &["wait"]] {
        let run = env.run(&[command, &[&id]].concat());
        assert_eq!((run.code, stable(&run.stderr)), (69, format!("error: {text}\nhint: {hint}\n")), "{command:?}");
    }
    env.run(&["task", "prune", "--keep", "0"]).ok();
    assert!(directory.is_symlink());
    let mut files: Vec<_> = fs::read_dir(outside).unwrap().map(|file| file.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["alive", "log", "prompt", "read", "task.json"]);
}

#[test]
fn what_stands_in_the_place_of_a_task_is_said_and_can_be_removed() {
    let (env, _) = FakeClis::environment();
    env.run(&["claude", "hello"]).ok();
    let path = env.home().join("tasks/zzzzzzzzzzzz");
    let pipe = || assert!(env.program(Path::new("mkfifo")).arg(&path).status().unwrap().success());
    let socket = || drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    for (what, make) in
        [("a FIFO", &pipe as &dyn Fn()), ("a socket", &socket), ("a file", &|| fs::write(&path, "").unwrap())]
    {
        make();
        let text = format!("`[TMP]/aiw/tasks/zzzzzzzzzzzz` is {what}, not the directory of a task");
        let list = env.run(&["task", "list"]).ok();
        assert_eq!(env.stable(&list.stderr), format!("{text} (`aiw task remove zzzzzzzzzzzz` takes it away)\n"));
        let show = env.run(&["task", "show", "zzzzzzzzzzzz"]);
        let expected = format!("error: {text}\nhint: `aiw task remove zzzzzzzzzzzz` takes it away\n");
        assert_eq!((show.code, env.stable(&show.stderr)), (69, expected));
        assert_eq!(env.run(&["task", "remove", "zzzzzzzzzzzz"]).ok().stdout, "Removed zzzzzzzzzzzz\n");
        assert!(fs::symlink_metadata(&path).is_err());
    }
    assert_eq!(env.json(&["task", "list"])["tasks"].as_array().unwrap().len(), 1);
}

#[test]
fn a_runtime_directory_that_is_not_absolute_is_refused() {
    let (mut env, clis) = FakeClis::environment();
    env.set("AIW_RUNTIME_DIR", "run/here");
    for command in [&["claude", "hello"][..], &["task", "list"], &["status"], &["wait"]] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.run(command).whole(), @"
            ------- stderr -------
            error: `AIW_RUNTIME_DIR` is not an absolute path: `run/here`
            hint: set it to a path that begins with `/`, or unset it: aiw finds a directory by itself
            ------- exit code 3 -------
            ");
        }
    }
    assert!(clis.seen().is_empty() && !env.path("run/here").exists());
}

#[test]
fn what_a_limit_of_memory_is_worth_is_said() {
    let (env, _) = FakeClis::environment();
    env.run(&["codex", "--memory", "512M", "--cpu", "150", "hello"]).ok();
    let list = env.json(&["task", "list"]);
    let note = task(&env, list["tasks"][0]["id"].as_str().unwrap())["note"].clone();
    // Either the task has its own cgroup, or the note says that it is not limited.
    assert!(note.is_null() || note.as_str().unwrap().contains("not limited"), "{note}");
    assert_eq!(env.run(&["codex", "--memory", "lots", "hello"]).code, 64);
}

#[test]
fn a_wait_that_is_told_to_end_says_by_what() {
    let (env, _) = FakeClis::environment();
    detach(&env, "claude", "sleep 60");
    for (sent, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        let mut waiting = env.start(&["wait"]);
        // It is waiting by now.
        std::thread::sleep(Duration::from_millis(300));
        signal(&waiting, sent);
        assert_eq!(until(|| waiting.try_wait().unwrap()).code(), Some(code));
    }
    env.run(&["stop", "--all"]).ok();
}

#[test]
fn a_task_neither_waits_for_itself_nor_stops_itself() {
    let (env, clis) = FakeClis::environment();
    let (aiw, _) = env.parts();
    let aiw = aiw.display();
    let inner = format!("'{aiw}' codex --detach '#!\nsleep 1'; '{aiw}' wait && '{aiw}' task stop --all >&2");
    let run = env.run_with_input(&["claude", "--timeout", "50s", "-"], FakeClis::script(&inner).as_bytes());
    assert_eq!(run.code, 0, "{}", run.whole());
    assert_eq!(clis.seen().len(), 2);
}

#[test]
fn flags_of_aiw_may_follow_the_prompt() {
    let (env, clis) = FakeClis::environment();
    let line = ["claude", "fix it", "-m", "opus", "--env", "A=b", "--", "--add-dir", "/x"];
    env.run(&line).ok();
    let seen = clis.only();
    assert_eq!(seen.stdin, b"fix it");
    let text = seen.arguments.join(" ");
    assert!(text.contains("--model opus") && text.ends_with("--add-dir /x"), "{text}");
}

#[test]
fn a_task_is_resumed_looked_at_and_stopped_by_short_commands() {
    let (env, clis) = FakeClis::environment();
    let id = env.run(&["claude", "-m", "opus", "-d", "hello", "--", "--add-dir", "/srv", "-r", "old"]).ok();
    let id = id.stdout.trim().to_owned();
    env.run(&["wait", &id]).ok();
    assert!(!env.run(&["logs", &id]).ok().stdout.is_empty());
    assert!(env.run(&["stop", &id]).ok().stdout.starts_with(&format!("{id} ended")), "it has ended");
    let session = env.json(&["task", "show", &id])["task"]["session"].clone();
    if session.is_null() {
        let refused = env.run(&["task", "resume", &id, "go", "on"]);
        assert!(refused.stderr.contains("has no session of claude"), "{}", refused.whole());
        return;
    }
    let alone = env.run(&["task", "resume", &id]);
    let hint = format!("aiw task resume {id} \"what to do\"");
    assert!(alone.code == 2 && alone.stderr.contains(&hint), "{}", alone.whole());
    let unknown = env.run(&["wait", "nope", "--ready"]);
    assert!(unknown.code == 2 && unknown.stderr.contains("`nope`"), "{}", unknown.whole());
    env.run(&["task", "resume", &id, "go", "on", "--", "--verbose"]).ok();
    let seen = clis.seen().pop().unwrap();
    let text = seen.arguments.join(" ");
    assert!(
        text.contains("--model opus") && text.contains(&format!("--resume {}", session.as_str().unwrap())),
        "{text}"
    );
    // The CLI's own arguments stay, but not which session it went on with before.
    assert!(text.contains("--add-dir /srv --verbose") && !text.contains("old"), "{text}");
    assert_eq!(seen.stdin, b"go on");
    let refused = env.run(&["task", "resume", &id, "go", "--nonsense"]);
    assert_eq!((refused.code, refused.stderr.matches("error:").count()), (64, 1), "{}", refused.whole());
}

#[test]
fn a_directory_that_a_cli_refuses_and_a_refused_key_say_what_to_type() {
    let (env, _clis) = FakeClis::environment();
    for (cli, script, says) in [
        (
            "codex",
            "echo 'Not inside a trusted directory and --skip-git-repo-check was not specified.' >&2; exit 1",
            "add `-- --skip-git-repo-check`",
        ),
        ("gemini", "exit 55", "`--trust` for one run"),
        ("claude", "echo 'API Error: 401 authentication_error' >&2; exit 1", "claude is not logged in"),
    ] {
        let run = env.run(&[cli, &FakeClis::script(script)]);
        assert!(run.code != 0 && run.stderr.contains(says), "{cli}: {}", run.whole());
    }
    let run = env.run(&["claude", &FakeClis::script("echo 401; exit 1")]);
    assert!(run.stderr.contains("aiw logs"), "{}", run.whole());
}
