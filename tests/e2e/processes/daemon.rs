//! The daemon: files that processes watch, times at which they start, and programs that run when something happens.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Project, is_there};
use crate::crash::rounds;
use crate::until;

fn resident(project: &Project) -> Option<u64> {
    project.json(&["status"])["daemon"]["pid"].as_u64()
}

fn kill(pid: u64) {
    let _ = kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL);
}

/// Waits until the daemon has taken in what was said to it. It answers nobody, so a change shows that it is there.
fn is_listening(project: &Project, id: &str, file: &str) -> u64 {
    let before = restarts(project, id);
    until(|| {
        fs::write(project.path(file), "x").unwrap();
        std::thread::sleep(Duration::from_millis(100));
        restarts(project, id) > before
    });
    std::thread::sleep(Duration::from_millis(300));
    restarts(project, id)
}

fn restarts(project: &Project, id: &str) -> u64 {
    project.ps(id)["restarts"].as_u64().unwrap()
}

/// The events of one kind of a process, by their starters.
fn events(project: &Project, id: &str, kind: &str) -> Vec<Value> {
    // Without a time, they are the newest 50.
    let all = project.json(&["events", "--since", "1h", "--subject", id, "--kind", kind]);
    all["events"].as_array().unwrap().clone()
}

#[test]
fn a_change_restarts_what_runs_and_what_has_failed_with_the_environment_that_it_has() {
    let project = Project::new(
        "process \"api\" { shell \"echo $TMPDIR; exec sleep 1000\"; watch \"src/**\" debounce=\"50ms\" }
         process \"job\" { shell \"test -e src/good\"; watch \"src/**\" debounce=\"50ms\" }
         process \"other\" { command \"sleep\" \"1000\" }",
    );
    fs::create_dir(project.path("src")).unwrap();
    // The daemon, which another project has started, has another one.
    project.up(&["other"]);
    project.command(&["up", "-d", "--yes"]).env("TMPDIR", "/tmp/kestrel").output().unwrap();
    project.until("job", "failed");
    let seen = is_listening(&project, "api", "src/first");
    fs::write(project.path("src/good"), "").unwrap();
    until(|| project.ps("job")["state"] == "stopped" && restarts(&project, "api") == seen + 1);
    assert!(project.lines("api").iter().all(|line| line == "/tmp/kestrel"), "{:?}", project.lines("api"));
    assert_eq!(restarts(&project, "other"), 0);
    assert!(events(&project, "api", "restarted").iter().all(|event| event["actor"] == "watch"));
    assert!(events(&project, "job", "started").iter().skip(1).all(|event| event["actor"] == "watch"));
    // What somebody has stopped stays so, and nothing is watched any more.
    project.run(&["stop", "job", "api"]).ok();
    let before = events(&project, "job", "started").len();
    fs::write(project.path("src/good"), "again").unwrap();
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!(project.ps("api")["state"], "stopped");
    assert_eq!(events(&project, "job", "started").len(), before);
    assert!(project.json(&["status"])["daemon"]["projects"].as_array().unwrap().is_empty());
}

#[test]
fn a_resident_that_is_killed_restarts_once_for_each_change() {
    let project = Project::new("process \"api\" { command \"sleep\" \"1000\"; watch \"src/**\" debounce=\"50ms\" }");
    fs::create_dir(project.path("src")).unwrap();
    project.up(&[]);
    let first = is_listening(&project, "api", "src/first");
    for round in 0..rounds() {
        let seen = first + round;
        let pid = until(|| resident(&project));
        fs::write(project.path(&format!("src/{round}")), "x").unwrap();
        std::thread::sleep(Duration::from_millis(round * 37 % 130));
        kill(pid);
        until(|| restarts(&project, "api") > seen);
        std::thread::sleep(Duration::from_millis(150));
        assert_eq!(restarts(&project, "api"), seen + 1, "round {round}");
    }
}

#[test]
fn a_process_starts_at_its_times_once_each_whatever_is_killed() {
    let project = Project::new(
        "process \"tick\" { shell \"date +%s\"; cron \"* * * * * *\" }
         process \"slow\" { command \"sleep\" \"1000\"; cron \"* * * * * *\" }",
    );
    let up = project.up(&[]);
    assert!(up["processes"][0]["next_run_at"].is_string(), "{up:#}");
    for round in 0..rounds().min(60) {
        let before = events(&project, "tick", "started").len();
        until(|| events(&project, "tick", "started").len() > before);
        if let Some(pid) = resident(&project) {
            std::thread::sleep(Duration::from_millis(round * 170 % 1000));
            kill(pid);
        }
    }
    let times: Vec<u64> = project.lines("tick").iter().map(|line| line.parse().unwrap()).collect();
    // A start may be late on a busy machine: then it is in the second of the next one, and there is none in its own.
    let is_late = |three: &[u64]| three[1] != three[2] || three[1] - three[0] >= 2;
    assert!(times.windows(3).all(is_late) && times[0] != times[1], "twice in a second: {times:?}");
    assert!(events(&project, "tick", "started").iter().all(|event| event["actor"] == "cron"));
    // What still runs is not started twice, and that is told.
    assert_eq!(events(&project, "slow", "started").len(), 1);
    assert_eq!(events(&project, "slow", "start_skipped")[0]["reason"], "it still runs");
    // Somebody else writes the file: nothing of it starts before it is allowed.
    project.write("process \"tick\" { shell \"echo stranger\"; cron \"* * * * * *\" }");
    std::thread::sleep(Duration::from_millis(2500));
    assert!(!project.lines("tick").contains(&"stranger".to_owned()));
    assert_eq!(project.json(&["down"])["stopped"].as_array().unwrap().len(), 2);
    assert!(project.json(&["status"])["daemon"]["projects"].as_array().unwrap().is_empty());
}

#[test]
fn a_program_runs_for_an_event_gets_it_as_json_and_causes_no_other() {
    let project = Project::new(&format!(
        "process \"odd\" {{ shell \"exit 3\"; auto-start #false }}
         process \"even\" {{ shell \"exit 3\"; auto-start #false }}
         on \"failed\" of=\"odd\" {{ command \"sh\" \"-c\" \"cat >> told; {} process start odd even\" }}
         on \"exited\" of=\"even\" {{ command \"sh\" \"-c\" \"setsid sleep 1000 & echo $! > left; sleep 1000\"; timeout \"1s\" }}",
        aiw_tests::binary().display()
    ));
    project.run(&["process", "start", "--yes", "odd"]);
    let told = until(|| fs::read_to_string(project.path("told")).ok().filter(|text| text.ends_with('\n')));
    let event: Value = serde_json::from_str(told.trim()).unwrap();
    assert_eq!((&event["kind"], &event["name"], &event["exit_code"]), (&"failed".into(), &"odd".into(), &Value::Null));
    // It has started both again, which is nobody's event.
    until(|| events(&project, "odd", "started").len() == 2 && !events(&project, "even", "failed").is_empty());
    project.until("on:failed:odd", "stopped");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(fs::read_to_string(project.path("told")).unwrap().lines().count(), 1);
    assert!(!project.path("left").exists());
    assert_eq!(events(&project, "odd", "started")[1]["actor"], "hook");
    // What happened before is not told again to whoever comes later.
    project.run(&["down"]).ok();
    until(|| project.json(&["status"])["daemon"]["projects"].as_array().is_none_or(Vec::is_empty));
    project.run(&["process", "start", "odd"]);
    until(|| fs::read_to_string(project.path("told")).unwrap().lines().count() > 1);
    project.until("on:failed:odd", "stopped");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(fs::read_to_string(project.path("told")).unwrap().lines().count(), 2);
    // One that hangs is ended in its time, with its tree.
    project.run(&["process", "start", "even"]);
    let left = until(|| fs::read_to_string(project.path("left")).ok().and_then(|pid| pid.trim().parse::<u64>().ok()));
    project.until("on:exited:even", "failed");
    assert!(!is_there(left));
}

#[test]
fn a_program_that_is_not_there_is_an_event_and_is_shown_where_one_looks() {
    let project = Project::new(
        "process \"odd\" { shell \"exit 3\"; auto-start #false }
         on \"failed\" of=\"odd\" { command \"not-there-at-all\" }
         on \"failed\" of=\"odd\" { command \"sh\" \"-c\" \"cat >> told; exit 4\" }",
    );
    project.run(&["process", "start", "--yes", "odd"]);
    assert!(project.json(&["doctor"]).to_string().contains("not-there-at-all"));
    let row = |id: &str| {
        let all = project.json(&["ps"])["processes"].as_array().unwrap().clone();
        all.into_iter().find(|one| one["id"] == id)
    };
    let failed = until(|| row("on:failed:odd"));
    assert_eq!(failed["state"], "failed");
    assert!(failed["reason"].as_str().unwrap().contains("not-there-at-all"), "{failed:#}");
    let told = until(|| events(&project, "on:failed:odd", "failed").into_iter().next());
    assert_eq!(told["actor"], "hook");
    assert!(told["reason"].as_str().unwrap().starts_with("it can't be started: "), "{told:#}");
    let doctor = project.json(&["doctor"]).to_string();
    assert!(doctor.contains("hook `on:failed:odd`: it can't be started: "), "{doctor}");
    // The second of the same kind runs, and its failure is an event of its own.
    until(|| fs::read_to_string(project.path("told")).ok().filter(|text| text.ends_with('\n')));
    project.until("on:failed:odd#2", "failed");
    let second = until(|| events(&project, "on:failed:odd#2", "failed").into_iter().next());
    assert_eq!(second["name"], "on:failed:odd#2");
    assert!(events(&project, "on:failed:odd#2", "started").is_empty());
    // It is there now, and the next event finds it.
    fs::write(project.path("not-there-at-all"), "#!/bin/sh\ncat >> told-too\n").unwrap();
    project.run(&["down"]).ok();
    assert!(row("on:failed:odd").is_none_or(|row| row["state"] != "failed"));
}

#[test]
fn many_events_that_no_program_caused_are_all_told_and_a_circle_is_broken() {
    let project = Project::new(
        "process \"many\" { shell \"exit 3\"; replicas 30; auto-start #false }
         process \"round\" { command \"sleep\" \"98765\"; auto-start #false; restart \"always\" max=100 backoff=\"10ms..20ms\" }
         on \"failed\" of=\"many\" { command \"sh\" \"-c\" \"cat >> told\" }
         on \"restarted\" of=\"round\" { command \"sh\" \"-c\" \"cat >> rounds; pkill -f 'sleep 9876[5]'\" }",
    );
    project.run(&["process", "start", "--yes", "many"]);
    let lines = |name: &str| fs::read_to_string(project.path(name)).unwrap_or_default().lines().count();
    until(|| lines("told") == 30);
    assert!(events(&project, "on:failed:many", "start_skipped").is_empty());
    project.run(&["process", "start", "--yes", "round"]);
    let pid = until(|| project.ps("round")["pid"].as_u64());
    kill(pid);
    let dropped = until(|| events(&project, "on:restarted:round", "start_skipped").into_iter().next());
    assert!(dropped["reason"].as_str().unwrap().contains("seem to go round"), "{dropped:#}");
    assert!((20..60).contains(&lines("rounds")), "{}", lines("rounds"));
    let doctor = project.json(&["doctor"]).to_string();
    assert!(doctor.contains("hook `on:restarted:round`: ") && doctor.contains("dropped: `round` and"), "{doctor}");
    project.run(&["down"]).ok();
}

#[test]
fn a_watch_through_a_link_and_a_directory_that_is_gone_are_said() {
    let project = Project::new(
        "process \"web\" { command \"sleep\" \"1000\"; watch \"linked/**\" \"src/**\"; auto-start #false }
         process \"in\" { shell \"sleep 0.5; exit 1\"; cwd \"place\"; restart \"always\" backoff=\"20ms\"; auto-start #false }",
    );
    for directory in ["far", "src", "place"] {
        fs::create_dir(project.path(directory)).unwrap();
    }
    std::os::unix::fs::symlink(project.path("far"), project.path("linked")).unwrap();
    project.up(&["web"]);
    until(|| project.says("web").contains("`linked` is a link to a directory, which is not followed"));
    project.up(&["in"]);
    fs::remove_dir(project.path("place")).unwrap();
    let failed = project.until("in", "failed");
    let reason = failed["reason"].as_str().unwrap();
    assert!(reason.contains("place` in which it runs is gone"), "{failed:#}");
}

#[test]
fn what_runs_by_itself_is_shown_before_it_is_allowed() {
    let project = Project::new(
        "process \"a\" { command \"true\"; watch \"x\"; cron \"@daily\" }\non \"failed\" { command \"mail\" }",
    );
    let asked = project.run(&["up", "-d", "--yes"]);
    for shown in ["is started again when x changes", "is started at @daily", "on failed of any process: mail"] {
        assert!(asked.whole().contains(shown), "{shown}: {}", asked.whole());
    }
    let next = project.run(&["up", "-d"]);
    assert!(next.whole().contains("Scheduled `a`: in "), "{}", next.whole());
    let doctor = project.json(&["doctor"]);
    assert!(!doctor.to_string().contains("the daemon does not run"), "{doctor:#}");
}

#[test]
fn a_project_starts_at_boot_by_a_unit_that_systemd_takes() {
    let project = Project::new("process \"a\" { command \"true\" }");
    assert_eq!(project.json(&["process", "autostart", "status"])["on"], false);
    let refused = project.run(&["process", "autostart", "enable"]);
    assert!(refused.code != 0 && refused.whole().contains("ExecStart="), "{}", refused.whole());
    let on = project.json(&["process", "autostart", "enable", "--yes"]);
    let file = std::path::PathBuf::from(on["file"].as_str().unwrap());
    assert!(on["on"] == true && file.starts_with(project.home().parent().unwrap()), "{on:#}");
    if let Ok(checked) = std::process::Command::new("systemd-analyze")
        .args(["--user", "verify"])
        .arg(&file)
        .env("XDG_RUNTIME_DIR", project.path("."))
        .output()
    {
        // It says more where no manager of the user runs.
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert!(!said.contains("aiw-up"), "{said}");
    }
    let status = || project.run(&["process", "autostart", "status"]).ok().whole();
    assert!(status().contains("nothing of it runs until you allow it: `aiw up` shows it, and asks"), "{}", status());
    project.up(&[]);
    assert!(status().contains("start when you log in") && !status().contains("allow it"), "{}", status());
    assert_eq!(project.json(&["process", "autostart", "disable"])["on"], false);
    assert!(!file.exists());
    fs::write(&file, "[Unit]\n").unwrap();
    for verb in [&["process", "autostart", "enable", "--yes"][..], &["process", "autostart", "disable"]] {
        assert!(project.run(verb).whole().contains("is not a file that aiw has written"));
    }
    let empty = Project::empty();
    let refused = empty.run(&["process", "autostart", "enable", "--yes"]);
    assert!(refused.code == 2 && refused.whole().contains("has no processes"), "{}", refused.whole());
}

#[test]
fn copies_run_side_by_side_and_are_named_together() {
    let project = Project::new(
        "process \"api\" { shell \"echo $AIW_PROCESS_REPLICA; exec sleep 1000\"; replicas 3 }
         process \"web\" { command \"sleep\" \"1000\"; needs \"api\" until=\"started\" }",
    );
    let started = project.up(&["web"]);
    let ids: Vec<&str> =
        started["processes"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids.iter().filter(|id| id.starts_with("api-")).count(), 3, "{started:#}");
    project.until("web", "running");
    until(|| (1..=3).all(|number| project.lines(&format!("api-{number}")) == [number.to_string()]));
    let refused = project.run(&["process", "remove", "api"]);
    assert!(refused.whole().contains("still runs") || refused.code != 0, "{}", refused.whole());
    assert_eq!(project.json(&["restart", "api"])["processes"].as_array().unwrap().len(), 3);
    assert_eq!(project.json(&["stop", "api"])["stopped"].as_array().unwrap().len(), 3);
    assert_eq!(project.ps("web")["state"], "running");
    project.run(&["down"]).ok();
    project.write("process \"api\" { command \"true\"; replicas 3 }");
    project.run(&["process", "remove", "api"]).ok();
    assert!(!fs::read_to_string(project.path(".ichimi/processes.kdl")).unwrap().contains("api"));
}

#[test]
fn what_is_stopped_stays_so_although_the_resident_waits_to_start_it() {
    let project = Project::new(
        "process \"web\" { shell \"test -e src/ok && exec sleep 1000; exit 3\"; watch \"src/*\" debounce=\"20ms\" }
         process \"tick\" { command \"sleep\" \"1000\"; cron \"* * * * * *\"; auto-start #false }",
    );
    fs::create_dir(project.path("src")).unwrap();
    project.up(&["web"]);
    project.until("web", "failed");
    until(|| {
        fs::write(project.path("src/x"), "x").unwrap();
        std::thread::sleep(Duration::from_millis(100));
        events(&project, "web", "started").len() > 1
    });
    std::thread::sleep(Duration::from_millis(300));
    for what in ["web", "tick"] {
        // Somebody else has the home's turn for a while.
        let turn = fs::File::options().append(true).create(true).open(project.home().join(".turn")).unwrap();
        if what == "tick" {
            project.up(&["tick"]);
        }
        turn.lock().unwrap();
        fs::write(project.path("src/ok"), "x").unwrap();
        std::thread::sleep(Duration::from_millis(1200));
        let mut stop = project.start(&["stop", what]);
        std::thread::sleep(Duration::from_millis(200));
        drop(turn);
        stop.wait().unwrap();
        std::thread::sleep(Duration::from_millis(800));
        assert_ne!(project.ps(what)["state"], "running", "{what}");
        assert!(project.json(&["status"])["daemon"]["projects"].as_array().unwrap().is_empty());
        fs::remove_file(project.path("src/ok")).unwrap();
    }
}

#[test]
fn no_program_runs_after_down_or_for_a_process_that_changes_what_it_watches_for_ever() {
    let project = Project::new(
        "process \"web\" { command \"true\"; auto-start #false }
         process \"self\" { shell \"date +%N > src/out; exec sleep 1000\"; watch \"src/**\" debounce=\"20ms\"; auto-start #false }
         on \"exited\" of=\"web\" { command \"sleep\" \"1\" }",
    );
    fs::create_dir(project.path("src")).unwrap();
    for _ in 0..4 {
        project.run(&["process", "start", "--yes", "web"]);
        project.until("web", "stopped");
    }
    until(|| project.ps("on:exited:web")["state"] == "running");
    assert!(project.run(&["logs", "on:exited:web"]).code == 0);
    project.run(&["down"]).ok();
    let began = project.ps("on:exited:web")["started"].clone();
    std::thread::sleep(Duration::from_millis(1500));
    let after = project.ps("on:exited:web");
    assert!(after["state"] != "running" && after["started"] == began, "{after:#}");
    project.up(&["self"]);
    until(|| project.says("self").contains("20 times in a minute are enough"));
    let before = restarts(&project, "self");
    std::thread::sleep(Duration::from_secs(1));
    assert!(restarts(&project, "self") <= before + 1);
}

#[test]
fn a_supervisor_that_hangs_keeps_no_other_process_waiting() {
    // If each were waited for, that would take longer than anything here may.
    const HUNG: u32 = 14;
    let project = Project::new(&format!(
        "process \"hung\" {{ command \"sleep\" \"1000\"; replicas {HUNG}; watch \"src/**\" debounce=\"50ms\" }}
         process \"swift\" {{ command \"sleep\" \"1000\"; watch \"src/**\" debounce=\"50ms\" }}"
    ));
    fs::create_dir(project.path("src")).unwrap();
    project.up(&[]);
    let seen = is_listening(&project, "swift", "src/first");
    // They have the same files, so all of them were started again.
    until(|| restarts(&project, "hung-1") == seen && restarts(&project, &format!("hung-{HUNG}")) == seen);
    let shims: Vec<i64> = (1..=HUNG)
        .map(|number| {
            super::crash::record(&project, &format!("hung-{number}")).unwrap()["shim"]["pid"].as_i64().unwrap()
        })
        .collect();
    let each = |signal| {
        for pid in &shims {
            kill_process(Pid::from_raw(i32::try_from(*pid).unwrap()).unwrap(), signal).unwrap();
        }
    };
    each(Signal::STOP);
    fs::write(project.path("src/second"), "x").unwrap();
    until(|| restarts(&project, "swift") == seen + 1);
    let held = until(|| events(&project, "hung-1", "start_skipped").first().cloned());
    assert_eq!((&held["reason"], &held["actor"]), (&"its supervisor does not answer".into(), &"watch".into()));
    each(Signal::CONT);
    until(|| project.says("hung-1").contains("started again later for a changed file"));
    until(|| (1..=HUNG).all(|number| restarts(&project, &format!("hung-{number}")) == seen + 1));
    assert_eq!(restarts(&project, "swift"), seen + 1);
}

#[test]
fn what_can_not_be_started_at_its_time_is_told_once_and_said_in_its_log() {
    let project = Project::new(
        "process \"lost\" { command \"true\"; cwd \"sub\"; cron \"* * * * * *\" }
         process \"slow\" { command \"sleep\" \"1000\"; cron \"* * * * * *\" }",
    );
    project.up(&[]);
    let held = |id: &str| events(&project, id, "start_skipped");
    until(|| held("lost").len() == 1 && held("slow").len() == 1);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!((held("lost").len(), held("slow").len()), (1, 1), "once in each life");
    assert_eq!(held("slow")[0]["reason"], "it still runs");
    assert_eq!(held("lost")[0]["reason"], "it can't be started: `aiw process start lost` says why");
    fs::create_dir(project.path("sub")).unwrap();
    until(|| !events(&project, "lost", "started").is_empty());
    fs::remove_dir(project.path("sub")).unwrap();
    until(|| held("lost").len() == 2);
    assert_eq!(held("lost")[1]["reason"], "it can't be started: `aiw logs lost` says why");
    assert!(project.says("lost").contains("it can't be started at its time"), "{}", project.says("lost"));
    // A file of somebody else's starts nothing, and that is told too.
    project.write("process \"slow\" { command \"sleep\" \"1\"; cron \"* * * * * *\" }");
    let why = until(|| held("slow").get(1).map(|event| event["reason"].as_str().unwrap().to_owned()));
    assert!(why.contains("not allowed"), "{why}");
}

#[test]
fn a_link_in_the_place_of_the_residents_lock_is_said() {
    let project = Project::new("process \"api\" { command \"sleep\" \"1000\"; watch \"src/**\" }");
    fs::create_dir_all(project.home().join("daemon")).unwrap();
    std::os::unix::fs::symlink(project.path("elsewhere"), project.home().join("daemon/awake.lock")).unwrap();
    let up = project.run(&["up", "-d", "--yes"]);
    assert!(up.code != 0 && up.stderr.contains("awake.lock") && up.stderr.contains("is a link"), "{}", up.whole());
    for command in ["status", "doctor"] {
        let said = project.run(&[command]).whole();
        assert!(said.contains("the daemon can't run") && said.contains("is a link"), "{said}");
        assert!(!said.contains("`aiw up` starts it"), "{said}");
    }
    assert!(!project.path("elsewhere").exists());
}
