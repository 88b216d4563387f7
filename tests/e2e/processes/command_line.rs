//! `aiw up`, `ps`, `stop` and the others, as a user types them.

use std::fs;
use std::io::{BufRead, BufReader};

use aiw_tests::FakeClis;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::{Project, is_there};
use crate::terminal::Terminal;
use crate::until;

#[test]
fn a_list_says_what_takes_input() {
    let text = "process \"none\" { command \"sleep\" \"9\" }; process \"lines\" { command \"cat\"; input #true }
                process \"screen\" { command \"cat\"; terminal #true }";
    let project = Project::new(text);
    let takes = ["none", "lines", "screen"].map(|id| project.ps(id)["stdin_open"].clone());
    assert_eq!(takes, [false, true, true]);
}

#[test]
fn a_process_is_started_seen_read_and_stopped() {
    let project = Project::new("process \"web\" { shell \"echo moin; echo oops >&2; exec sleep 1000\" }");
    assert_eq!(project.ps("web")["state"], "not_started");
    let up = project.up(&[]);
    assert_eq!(up["processes"][0]["id"], "web", "{up}");
    let running = project.until("web", "running");
    let pid = running["pid"].as_u64().unwrap();
    assert!(is_there(pid));
    assert!(running["usage"]["memory"].as_u64().unwrap() > 0 && running["shell"] == true, "{running}");
    until(|| project.lines("web").len() == 2);
    assert_eq!(project.run(&["logs", "web", "--grep", "oo"]).ok().stdout, "oops\n");
    // A second one finds it running.
    assert_eq!(project.up(&[])["processes"][0]["pid"], pid);
    let shown = project.run(&["ps"]).ok().stdout;
    assert!(shown.contains("web") && shown.contains("running") && shown.contains("shell: echo moin"), "{shown}");
    assert_eq!(project.run(&["stop", "web"]).ok().stdout, "Stopped `web`\n");
    assert!(!is_there(pid));
    assert_eq!(project.until("web", "stopped")["restarts"], 0);
    assert_eq!(project.run(&["down"]).ok().stdout, "nothing runs\n");
    let unknown = project.run(&["process", "start", "wev"]);
    assert_eq!((unknown.code, unknown.stderr.contains("did you mean `web`")), (2, true), "{}", unknown.stderr);
    // A word that is neither a process nor a task is looked for among both.
    for command in ["logs", "stop", "wait"] {
        let unknown = project.run(&[command, "wev"]);
        assert!(unknown.stderr.contains("there is no process or task `wev`"), "{}", unknown.stderr);
        assert!(unknown.stderr.contains("did you mean `web`?"), "{}", unknown.stderr);
    }
    // Where the file makes no sense, nobody knows what it names. What has run has its log.
    project.write("process \"web\" {");
    for command in ["logs", "stop", "wait"] {
        let broken = project.run(&[command, "wev"]);
        let is_said = broken.stderr.contains("processes.kdl:1:");
        assert_eq!((broken.code, is_said), (3, true), "{command}: {}", broken.whole());
    }
    assert!(project.run(&["logs", "web"]).ok().stdout.contains("moin"));
}

#[test]
fn json_stands_before_a_subcommand_too_and_is_refused_where_there_is_none() {
    let project = Project::new("process \"web\" { command \"sleep\" \"1000\" }");
    let answer = |words: &[&str]| project.run(words).ok().json();
    assert_eq!(answer(&["web", "--json", "status"])["running"], false);
    assert_eq!(answer(&["process", "suggest", "--json", "forget"]), json!({"process": null}));
    let wrong = [
        ("--open", &["web", "--open", "status"][..]),
        ("--after", &["process", "suggest", "--after", "a", "forget"][..]),
    ];
    for (flag, words) in wrong {
        let refused = project.run(words);
        assert!(refused.code == 64 && refused.stderr.contains(flag), "{}", refused.whole());
    }
    for words in [&["process", "attach", "web", "--json"][..], &["process", "exec", "--json", "web", "--", "echo"]] {
        let refused = project.run(words);
        let error = refused.json()["error"].to_string();
        assert!(refused.code == 64 && error.contains("no JSON output"), "{}", refused.whole());
    }
    let refused = project.run(&["process", "suggest", "forget", "nope"]);
    assert!(refused.code == 2 && refused.stderr.contains("nothing is known of `nope`"), "{}", refused.whole());
}

#[test]
fn the_doctor_says_what_keeps_processes_from_running_and_what_to_do() {
    let project = Project::new(
        r#"process "web" { command "sleep" "1000" }
           process "gone" { command "no-such-program-anywhere" }
           process "key" { command "sleep" "1"; env { TOKEN secret="missing" } }
           process "dies" { shell "echo the port is taken; exit 3" }"#,
    );
    let doctor = || {
        let run = project.run(&["doctor", "--json"]);
        let whole: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        let part = whole["parts"].as_array().unwrap().iter().find(|part| part["name"] == "processes").unwrap();
        let problems: Vec<String> = part["problems"]
            .as_array()
            .unwrap()
            .iter()
            .map(|found| format!("{} → {}", found["problem"].as_str().unwrap(), found["next"].as_str().unwrap_or("-")))
            .collect();
        (run.code, part["summary"].as_str().unwrap().to_owned(), problems)
    };
    let (code, summary, problems) = doctor();
    assert_eq!((code, summary.as_str()), (1, "4 in this project, 0 running"));
    let says =
        |problems: &[String], all: &[&str]| problems.iter().any(|found| all.iter().all(|word| found.contains(word)));
    assert!(says(&problems, &["nothing of it runs until you allow it", "`aiw up`"]), "{problems:?}");
    assert!(says(&problems, &["`gone`: there is no program `no-such-program-anywhere`"]), "{problems:?}");
    assert!(says(&problems, &["`key` reads the secret `missing`", "aiw secret set missing"]), "{problems:?}");
    assert_eq!(problems.len(), 3, "{problems:?}");
    // Nothing was started or changed.
    assert_eq!(project.ps("web")["state"], "not_started");

    project.run(&["up", "-d", "--yes", "web", "dies"]).ok();
    project.until("dies", "failed");
    let before = project.ps("web")["pid"].clone();
    project.write(r#"process "web" { command "sleep" "1001" }"#);
    project.run(&["process", "start", "--yes", "web"]);
    let (_, summary, problems) = doctor();
    assert_eq!(summary, "2 in this project, 1 running");
    assert!(says(&problems, &["`dies` has failed: exit code 3", "`aiw restart dies`"]), "{problems:?}");
    assert!(says(&problems, &["`web` runs as it was defined before", "`aiw restart web`"]), "{problems:?}");
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert_eq!(project.ps("web")["pid"], before);

    project.run(&["process", "remove", "dies"]).ok();
    project.run(&["restart", "web"]).ok();
    let well = project.run(&["doctor"]).ok().stdout;
    assert!(well.contains("1 in this project, 1 running") && well.ends_with("no problems\n"), "{well}");
    project.write("process \"web\" { comand \"sleep\" }");
    let (_, _, problems) = doctor();
    assert!(says(&problems, &["processes.kdl:1:", "did you mean `command`", "`aiw process edit`"]), "{problems:?}");
}

#[test]
fn a_damaged_record_is_set_aside_when_its_process_starts() {
    let project = Project::new("process \"web\" { command \"sleep\" \"1000\" }");
    project.run(&["up", "-d", "--yes"]).ok();
    project.run(&["down"]).ok();
    let processes = project.home().join("processes");
    let directory = fs::read_dir(&processes).unwrap().flatten().next().unwrap().path();
    fs::write(directory.join("process.json"), "{\"trunc").unwrap();
    let problem = format!("`mv {} {}.aside`", directory.display(), directory.display());
    let doctor = project.run(&["doctor"]);
    assert!(
        doctor.stdout.contains("its record makes no sense") && doctor.stdout.contains(&problem),
        "{}",
        doctor.whole()
    );
    project.run(&["up", "-d"]).ok();
    assert_eq!(project.ps("web")["state"], "running");
    let aside = format!("{}.damaged", directory.display());
    assert_eq!(fs::read_to_string(format!("{aside}/process.json")).unwrap(), "{\"trunc");
    let doctor = project.run(&["doctor"]);
    assert!(doctor.stdout.contains(&format!("`rm -r {aside}` removes it and its log")), "{}", doctor.whole());
    project.run(&["down"]).ok();
    fs::remove_dir_all(&aside).unwrap();
    assert_eq!(project.run(&["doctor"]).code, 0);
}

#[test]
fn a_file_that_makes_no_sense_blinds_no_command_for_what_runs() {
    let project = Project::new("process \"web\" { command \"sleep\" \"1000\"; env { WHO \"me\" } }");
    project.up(&[]);
    let before = project.ps("web")["pid"].clone();
    project.write("process \"web\" { comand");
    let shown = project.run(&["ps"]);
    assert!(shown.stdout.contains("running") && shown.stderr.contains("processes.kdl:1:"), "{}", shown.whole());
    assert_eq!(project.run(&["process", "exec", "web", "--", "sh", "-c", "echo $WHO"]).ok().stdout, "me\n");
    let again = project.run(&["restart", "web"]).ok();
    assert!(again.stderr.contains("they are started again as they ran"), "{}", again.whole());
    let now = project.run(&["ps", "--json"]).json();
    assert_ne!(now["processes"][0]["pid"], before);
    project.run(&["stop", "web"]).ok();
    assert_eq!(project.run(&["restart", "web"]).code, 3);
}

#[test]
fn the_logs_of_several_are_one_list_with_their_names() {
    let project = Project::new(
        "process \"a\" { shell \"echo one; until [ -e two ]; do sleep 0.02; done; echo three; exec sleep 1000\" }
         process \"long-name\" { shell \"until [ -e one ]; do sleep 0.02; done; echo two; exec sleep 1000\" }
         process \"other\" { command \"true\"; auto-start #false }",
    );
    project.up(&[]);
    // A line has the time at which its supervisor read it: the next one is written after that.
    for (id, file) in [("a", "one"), ("long-name", "two")] {
        until(|| project.lines(id).len() == 1);
        fs::write(project.path(file), "").unwrap();
    }
    until(|| project.lines("a").len() == 2);
    let shown = project.run(&["logs", "--grep", "^(one|two|three)$"]).ok().stdout;
    assert_eq!(shown, "a         │ one\nlong-name │ two\na         │ three\n");
    let all = project.json(&["logs", "a", "long-name", "-n", "1"]);
    let ids: Vec<_> = all["lines"].as_array().unwrap().iter().map(|line| &line["id"]).collect();
    assert_eq!(ids, ["long-name", "a"], "{all}");
}

#[test]
fn processes_are_of_the_project_and_not_of_a_directory_or_a_session() {
    let project = Project::new("process \"web\" { command \"sleep\" \"1000\" }");
    fs::create_dir_all(project.path("deep/er")).unwrap();
    project.up(&[]);
    let below = project.command(&["ps", "--json"]).current_dir(project.path("deep/er")).output().unwrap();
    assert!(String::from_utf8_lossy(&below.stdout).contains("\"running\""));
    // Another project sees it only if it asks for all.
    let other = project.path("other");
    fs::create_dir_all(other.join(".git")).unwrap();
    let run = |words: &[&str]| {
        String::from_utf8(project.command(words).current_dir(&other).output().unwrap().stdout).unwrap()
    };
    assert!(!run(&["ps", "--json"]).contains("web"));
    assert!(run(&["ps", "--all", "--json"]).contains("\"web\""));
}

#[test]
fn what_an_agents_task_started_stays_when_the_task_ends() {
    let mut project = Project::new("process \"web\" { shell \"sleep 985 & exec sleep 1000\" }");
    FakeClis::install(&mut project.env);
    let aiw = project.parts().0.display().to_string();
    project.run(&["claude", &FakeClis::script(&format!("{aiw} up -d --yes"))]).ok();
    let running = project.ps("web");
    assert_eq!((&running["state"], &running["usage"]["processes"]), (&json!("running"), &json!(2)), "{running}");
}

#[test]
fn up_shows_what_all_write_and_ctrl_c_stops_what_it_started() {
    let project = Project::new(
        "process \"before\" { command \"yes\"; auto-start #false }
         process \"one\" { shell \"while :; do echo moin; sleep 0.1; done\" }
         process \"two\" { shell \"echo from-two; exec sleep 1000\" }",
    );
    project.up(&["before"]);
    // What ran before and writes without end is shown, and keeps nothing from ending.
    let mut up = project.start(&["up", "--yes", "before", "one", "two"]);
    let mut lines = BufReader::new(up.stdout.take().unwrap()).lines().map(Result::unwrap);
    let (mut one, mut two) = (false, false);
    while !(one && two) {
        let line = lines.next().expect("it goes on");
        one |= line.starts_with("one") && line.ends_with("│ moin");
        two |= line.starts_with("two") && line.ends_with("│ from-two");
    }
    kill_process(Pid::from_child(&up), Signal::INT).unwrap();
    lines.for_each(drop);
    assert_eq!(up.wait().unwrap().code(), Some(130));
    assert_eq!(
        (project.ps("one")["state"].as_str(), project.ps("two")["state"].as_str()),
        (Some("stopped"), Some("stopped"))
    );
    assert_eq!(project.ps("before")["state"], "running");
}

#[test]
fn up_shows_what_has_changed_in_the_file_and_does_it_if_told_to() {
    let web = |line: &str| format!("process \"web\" {{ shell \"echo {line}; exec sleep 1000\" }}\n");
    let new = "process \"new\" { shell \"echo from-new; exec sleep 1000\" }\n";
    // Earlier lines are no longer on the screen.
    let last = |shown: &str| shown.trim_end().lines().last().unwrap_or_default().to_owned();
    let is_asked = |shown: &str| last(shown).ends_with("[y/N]");
    let project = Project::new(&web("first"));
    let mut up = Terminal::start(&project, &["up", "--yes", "--no-color"]);
    up.wait_for("web │ first");
    let before = project.ps("web")["pid"].clone();
    // What makes no sense changes nothing.
    project.write("process \"web\" {");
    up.wait_for("what runs goes on as before");
    project.write(&format!("{}{new}", web("second")));
    up.wait_for("`new` is new or has changed, and starts:");
    up.wait_for("`web` runs, and is restarted:");
    up.wait_for("[y/N]");
    assert_eq!(project.ps("web")["pid"], before);
    up.press("n\r");
    up.wait_for("everything runs as before");
    assert_eq!(project.ps("web")["pid"], before);
    project.write(&format!("{}{new}", web("third")));
    up.wait("a question", is_asked);
    up.press("y\r");
    up.wait_for("web │ third");
    up.wait_for("new │ from-new");
    assert_ne!(project.ps("web")["pid"], before);
    // The file is allowed as it was shown.
    project.run(&["restart", "web"]).ok();
    // A yes allows all of the file, so what does not start is shown, too. The end of input is a no.
    let later = "process \"later\" { command \"true\"; auto-start #false }\n";
    project.write(&format!("{new}{later}"));
    up.wait_for("`web` runs, is no longer defined, and stops");
    up.wait_for("`later` is new or has changed, and stays as it is for now:");
    up.wait("a question", is_asked);
    up.press("\u{4}");
    up.wait("a no", |shown| last(shown).starts_with("everything runs as before"));
    project.write(&format!("{new}{later}\n"));
    up.wait("a question", is_asked);
    up.press("y\r");
    up.wait("the end of web", |_| {
        project.json(&["ps"])["processes"]
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["id"] != "web" || one["state"] == "stopped")
    });
    // A signal is a no, and the end.
    project.write(&web("fourth"));
    up.wait_for("`web` is new or has changed, and starts:");
    up.press("\u{3}");
    assert_eq!(up.ends().exit_code(), 130);
    assert!(project.json(&["ps"])["processes"].as_array().unwrap().iter().all(|one| one["state"] != "running"));
}

#[test]
fn a_log_is_shown_to_its_end_although_more_is_written() {
    let project = Project::new("process \"writes\" { command \"yes\"; log files=2 size=\"1MB\" }");
    project.up(&[]);
    project.until("writes", "running");
    for arguments in [&["logs", "writes", "--tail", "3"][..], &["logs", "writes"], &["logs", "writes", "--json"]] {
        let run = project.run(arguments).ok();
        assert!(run.stdout.contains('y'), "{arguments:?}");
    }
}

/// Returns `true` if a process has a handler for a signal (`SigCgt` of proc_pid_status(5)).
fn catches(pid: u32, signal: Signal) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim();
    u64::from_str_radix(caught, 16).unwrap() >> (signal.as_raw() - 1) & 1 == 1
}

#[test]
fn what_a_signal_ends_says_by_which() {
    let project = Project::new("process \"web\" { command \"sleep\" \"1000\" }");
    for (sent, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        let mut up = project.start(&["up", "--yes"]);
        project.until("web", "running");
        let mut waiting = project.start(&["wait", "web"]);
        until(|| catches(waiting.id(), sent));
        kill_process(Pid::from_child(&waiting), sent).unwrap();
        assert_eq!(until(|| waiting.try_wait().unwrap()).code(), Some(code));
        assert_eq!(project.ps("web")["state"], "running");
        kill_process(Pid::from_child(&up), sent).unwrap();
        assert_eq!(until(|| up.try_wait().unwrap()).code(), Some(code));
        project.until("web", "stopped");
    }
}

#[test]
fn up_in_a_pipe_asks_nothing_and_does_nothing_new() {
    let project = Project::new("process \"web\" { command \"sleep\" \"1000\" }");
    let mut up = project.start(&["up", "--yes"]);
    let pid = project.until("web", "running")["pid"].clone();
    project.write("process \"web\" { command \"sleep\" \"2000\" }\nprocess \"new\" { command \"sleep\" \"1\" }");
    let mut said = BufReader::new(up.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.any(|line| line.contains("everything runs as before")));
    assert_eq!((&project.ps("web")["pid"], &project.ps("new")["state"]), (&pid, &json!("not_started")));
    kill_process(Pid::from_child(&up), Signal::INT).unwrap();
    said.for_each(drop);
    assert_eq!(up.wait().unwrap().code(), Some(130));
}

/// How often the threads of a process have slept in so many seconds.
#[cfg(target_os = "linux")]
fn wake_ups(pid: u32, seconds: u64) -> u64 {
    let sleeps = || -> u64 {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
        let of = |status: String| -> Option<u64> {
            status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?.trim().parse().ok()
        };
        threads.filter_map(|thread| of(fs::read_to_string(thread.path().join("status")).ok()?)).sum()
    };
    let before = sleeps();
    std::thread::sleep(std::time::Duration::from_secs(seconds));
    sleeps().saturating_sub(before)
}

#[cfg(target_os = "linux")]
#[test]
fn what_waits_sleeps_while_nothing_happens_and_is_awake_when_something_does() {
    let project = Project::new("process \"web\" { shell \"echo begun; exec sleep 1000\"; restart \"no\" }");
    let mut up = project.start(&["up", "--yes"]);
    let mut shown = BufReader::new(up.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(shown.any(|line| line.ends_with("│ begun")));
    let mut logs = project.start(&["logs", "-f", "web"]);
    let mut followed = BufReader::new(logs.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(followed.any(|line| line == "begun"));
    let mut waits = project.start(&["wait", "web"]);
    let mut client = crate::mcp::Client::start_with(&project.env, &["mcp", "serve", "--toolsets", "processes"]);
    client.initialize("2025-06-18");
    // Until all have begun to wait.
    std::thread::sleep(std::time::Duration::from_secs(2));
    for (pid, what) in [(up.id(), "up"), (logs.id(), "logs -f"), (waits.id(), "wait"), (client.pid(), "mcp serve")] {
        let count = wake_ups(pid, 3);
        assert!(count <= 6, "`aiw {what}` was awake {count} times in 3 s");
    }
    // Its supervisor dies.
    let shim = project.ps("web");
    let pid = i32::try_from(shim["pid"].as_i64().unwrap()).unwrap();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim().parse().unwrap();
    let records = fs::read_dir(project.env.home().join("processes")).unwrap().flatten();
    let alive = records.map(|record| record.path().join("alive")).find(|alive| alive.exists()).unwrap();
    let alive = fs::File::open(alive).unwrap();
    kill_process(Pid::from_raw(parent).unwrap(), Signal::KILL).unwrap();
    // Somebody else looks too, so that the first look of each can't tell yet.
    while alive.try_lock_shared().is_err() {}
    std::thread::sleep(std::time::Duration::from_millis(300));
    drop(alive);
    shown.for_each(drop);
    followed.for_each(drop);
    assert_eq!((up.wait().unwrap().code(), waits.wait().unwrap().code()), (Some(1), Some(1)));
    assert_eq!(logs.wait().unwrap().code(), Some(0));
}

#[test]
fn up_that_is_killed_leaves_everything_running() {
    let project = Project::new("process \"web\" { command \"sleep\" \"1000\" }");
    let mut up = project.start(&["up", "--yes"]);
    project.until("web", "running");
    // The state is in the table before the process id is.
    let pid = until(|| project.ps("web")["pid"].as_u64());
    up.kill().unwrap();
    up.wait().unwrap();
    assert_eq!(project.ps("web")["pid"].as_u64(), Some(pid));
}

#[test]
fn up_ends_when_all_have_ended_and_says_what_failed() {
    let project = Project::new(
        "process \"fine\" { command \"true\" }
         process \"bad\" { shell \"echo why; exit 7\" }",
    );
    let up = project.run(&["up", "--yes"]);
    assert_eq!(up.code, 1, "{}", up.whole());
    assert!(up.stdout.contains("│ why") && up.stderr.contains("failed: `bad` (exit code 7)"), "{}", up.whole());
    let bad = project.ps("bad");
    assert_eq!((&bad["reason"], &bad["last_lines"]), (&json!("exit code 7"), &json!(["why"])));
    assert!(project.run(&["ps"]).ok().stdout.contains("exit code 7 │ why"));
}

#[test]
fn a_command_runs_where_a_process_does_and_signals_and_input_reach_it() {
    let project = Project::new(
        "process \"cat\" { command \"cat\"; input #true; env { WHO \"me\" }; cwd \"sub\" }
         process \"trap\" { shell \"trap 'echo got it' USR1; echo ready; while :; do sleep 0.05; done\" }
         process \"deaf\" { command \"sleep\" \"1000\" }",
    );
    fs::create_dir(project.path("sub")).unwrap();
    project.up(&[]);
    let run = project.run(&["process", "exec", "cat", "--", "sh", "-c", "echo $WHO; pwd; exit 3"]);
    assert_eq!(run.code, 3);
    assert_eq!(run.stdout, format!("me\n{}\n", fs::canonicalize(project.path("sub")).unwrap().display()));
    project.run(&["process", "input", "cat", "first line"]).ok();
    project.run_with_input(&["process", "input", "cat"], "second\nthird\n").ok();
    until(|| project.lines("cat") == ["first line", "second", "third"]);
    until(|| project.lines("trap") == ["ready"]);
    project.run(&["process", "signal", "USR1", "trap"]).ok();
    until(|| project.lines("trap").contains(&"got it".to_owned()));
    let refused = project.run(&["process", "input", "deaf", "x"]);
    assert_eq!((refused.code, refused.stderr.contains("takes no input")), (2, true), "{}", refused.stderr);
    assert_eq!(project.run(&["process", "signal", "NOPE", "trap"]).code, 2);
}

#[test]
fn a_process_is_added_and_removed_and_the_rest_of_the_file_stays() {
    let file = "// mine\nprocess \"a\" { command \"sleep\" \"1000\" } // a\n";
    let project = Project::new(file);
    project.up(&["a"]);
    let added = project.run(&[
        "process",
        "add",
        "b",
        "--env",
        "K=v",
        "--restart",
        "on-failure",
        "--needs",
        "a",
        "--",
        "sleep",
        "1000",
    ]);
    assert!(added.ok().stdout.starts_with("Added `b` to"), "");
    let text = fs::read_to_string(project.path(".ichimi/processes.kdl")).unwrap();
    assert!(text.starts_with(file) && text.contains("process \"b\""), "{text}");
    // The change was the user's own, so nothing is asked.
    assert_eq!(project.run(&["process", "start", "b"]).ok().code, 0);
    assert_eq!(project.ps("b")["restart"], "on-failure");
    assert_eq!(project.run(&["process", "add", "b", "--", "x"]).code, 2);
    assert_eq!(project.run(&["process", "remove", "b"]).code, 2);
    project.run(&["stop", "b"]).ok();
    project.run(&["process", "remove", "b"]).ok();
    assert_eq!(fs::read_to_string(project.path(".ichimi/processes.kdl")).unwrap(), file);
    assert_eq!(project.json(&["ps"])["processes"].as_array().unwrap().len(), 1);
}

#[test]
fn secrets_reach_the_process_and_nothing_else() {
    let project = Project::new(
        "process \"p\" { shell \"echo the key is $KEY; exec sleep 1000\"; env { KEY secret=\"my-key\" } }
         process \"q\" { shell \"echo $TOKEN; exec sleep 1000\"; env-file \"vars\" }",
    );
    let missing = project.run(&["up", "-d", "--yes", "p"]);
    assert_eq!((missing.code, missing.stderr.contains("aiw secret set my-key")), (2, true), "{}", missing.stderr);
    project.run_with_input(&["secret", "set", "my-key"], "canary-5ecr3t-value").ok();
    fs::write(project.path("vars"), "export TOKEN='canary-of-a-file'\n").unwrap();
    project.up(&[]);
    until(|| project.lines("p").len() == 1 && project.lines("q").len() == 1);
    assert!(!project.lines("p")[0].contains("canary") && project.lines("p")[0].starts_with("the key is "));
    assert!(!project.lines("q")[0].contains("canary"), "{:?}", project.lines("q"));
    let got = project.run(&["process", "exec", "p", "--", "sh", "-c", "test \"$KEY\" = canary-5ecr3t-value"]);
    assert_eq!(got.code, 0);
    let mut left: Vec<std::path::PathBuf> = vec![project.home(), project.path("run")];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().flatten().map(|entry| entry.path()));
        } else if path.is_file() {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            assert!(!text.contains("canary"), "{}", path.display());
        }
    }
}

#[test]
fn an_environment_is_what_is_allowed_and_what_is_defined() {
    let mut project = Project::new("process \"p\" { shell \"env; exec sleep 1000\"; env { A \"1\" } }");
    project.env.set("ANTHROPIC_API_KEY", "canary");
    project.env.set("LC_ALL", "C.UTF-8");
    project.up(&[]);
    let lines = until(|| Some(project.lines("p")).filter(|lines| lines.iter().any(|line| line.starts_with("HOME="))));
    assert!(lines.contains(&"A=1".to_owned()) && lines.contains(&"LC_ALL=C.UTF-8".to_owned()), "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with("ANTHROPIC") || line.starts_with("AIW_HOME")), "{lines:?}");
}

#[test]
fn the_json_of_an_empty_project() {
    let project = Project::empty();
    assert_eq!(project.json(&["ps"]), json!({"processes": []}));
    let up = project.run(&["up"]);
    assert_eq!((up.code, up.stderr.contains("aiw process add ID -- COMMAND")), (2, true), "{}", up.stderr);
}

#[test]
fn what_can_not_start_holds_up_no_other_and_each_says_why() {
    let project = Project::new(
        "process \"a\" { command \"sleep\" \"1000\" }
         process \"b\" { command \"/no/such/program\" }
         process \"c\" { command \"sleep\" \"1000\"; needs \"b\" }
         process \"d\" { command \"sleep\" \"1000\"; cwd \"gone\" }
         process \"e\" { command \"./plain\" }",
    );
    fs::write(project.path("plain"), "no program").unwrap();
    let up = project.run(&["up", "-d", "--yes"]);
    assert_eq!(up.code, 2, "{}", up.whole());
    for why in [
        "process `b`: there is no program `/no/such/program`",
        "process `c` needs `b`, which did not start",
        "process `d`: its directory `gone` is not there",
        "plain` is not executable",
    ] {
        assert!(up.stderr.contains(why), "{why}: {}", up.whole());
    }
    assert_eq!(project.ps("a")["state"], "running");
    // What can't be started again is not stopped.
    assert_eq!(project.run(&["restart", "a", "b"]).code, 2);
    assert_eq!(project.ps("a")["state"], "running");
}
