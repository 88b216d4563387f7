//! Processes that die: clients, shims and children, at moments nobody chose.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Project, is_there};
use crate::crash::rounds;
use crate::until;

pub(super) fn record(project: &Project, id: &str) -> Option<Value> {
    let all = std::fs::read_dir(project.home().join("processes")).ok()?.flatten();
    let records = all.filter_map(|entry| std::fs::read(entry.path().join("process.json")).ok());
    records.filter_map(|bytes| serde_json::from_slice::<Value>(&bytes).ok()).find(|record| record["name"] == id)
}

/// Ends what a record names. Between two starts it names no child, and what it names may have ended by itself.
fn kill(pid: &Value) {
    if let Some(pid) = pid.as_u64().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

#[test]
fn a_shim_that_is_killed_leaves_nothing_and_always_starts_it_again_once() {
    let project = Project::new(
        "process \"always\" { shell \"sleep 1000 & exec sleep 1001\"; restart \"always\" backoff=\"10ms\" }
         process \"once\" { command \"sleep\" \"1000\" }",
    );
    project.up(&[]);
    let before = [project.until("always", "running"), project.until("once", "running")];
    for id in ["always", "once"] {
        kill(&record(&project, id).unwrap()["shim"]["pid"]);
    }
    // The next command ends what is left, and starts again what is to run always.
    let always = until(|| Some(project.ps("always")).filter(|now| now["state"] == "running"));
    assert!(!is_there(before[0]["pid"].as_u64().unwrap()) && !is_there(before[1]["pid"].as_u64().unwrap()));
    assert_eq!(always["restart_reasons"][0]["reason"], "its supervisor died");
    assert_eq!(project.ps("always")["pid"], always["pid"]);
    let once = project.ps("once");
    assert!(once["state"] == "failed" && once["reason"].as_str().unwrap().contains("supervisor died"), "{once}");
}

#[test]
fn what_is_being_stopped_does_not_pass_for_what_runs() {
    // It takes its time to end, and says when it was asked to.
    let project = Project::new(
        r#"process "p" { command "python3" "-uc" "import signal,time; signal.signal(15, lambda *_: (print('asked'), time.sleep(1), exit(0))); print('runs'); time.sleep(1000)" }"#,
    );
    project.up(&[]);
    until(|| project.lines("p").contains(&"runs".to_owned()));
    let before = project.ps("p")["pid"].clone();
    let mut client = project.start(&["stop", "p"]);
    until(|| project.lines("p").contains(&"asked".to_owned()));
    client.kill().unwrap();
    let _ = client.wait();
    assert!(is_there(before.as_u64().unwrap()));
    assert_ne!(project.up(&[])["processes"][0]["pid"], before);
    assert_eq!(project.ps("p")["state"], "running");
}

#[test]
fn whatever_is_killed_nothing_is_doubled_orphaned_or_lost() {
    let project = Project::new(
        "process \"p\" { shell \"i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done\"; restart \"always\" backoff=\"5ms\" max=100 within=\"1s\" }",
    );
    let mut seed = 7u64;
    let mut random = move |most: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % most
    };
    project.up(&[]);
    for _ in 0..rounds() {
        let mut client = project.start(if random(2) == 0 { &["up", "-d"] } else { &["restart", "p"] });
        std::thread::sleep(Duration::from_millis(random(60)));
        match random(3) {
            0 => client.kill().unwrap(),
            what => {
                if let Some(record) = record(&project, "p") {
                    kill(if what == 1 { &record["shim"]["pid"] } else { &record["child"]["pid"] });
                }
            }
        }
        let _ = client.wait();
        project.up(&[]);
        project.until("p", "running");
        // Exactly one runs, and its lines follow each other.
        let shells = || {
            let all = std::fs::read_dir("/proc").unwrap().flatten();
            let mark = format!("AIW_PROCESS_ID={}", record(&project, "p").unwrap()["id"].as_str().unwrap());
            let ours = all.filter(|entry| {
                let read = |file: &str| std::fs::read(entry.path().join(file)).unwrap_or_default();
                read("cmdline").starts_with(b"/bin/sh\0-c\0i=0")
                    && read("environ").split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
            });
            ours.count()
        };
        until(|| shells() == 1);
    }
    let lines: Vec<u64> = project.lines("p").iter().filter_map(|line| line.parse().ok()).collect();
    for pair in lines.windows(2) {
        assert!(pair[1] == pair[0] + 1 || pair[1] == 1, "{pair:?}");
    }
    project.run(&["down"]).ok();
    assert_eq!(project.ps("p")["state"], "stopped");
}

#[test]
fn many_processes_start_and_stop() {
    // 50, and 200 in the soak.
    let many = if std::env::var_os("AIW_SOAK_ROUNDS").is_some() { 200 } else { 50 };
    let text: String = (0..many).map(|at| format!("process \"p{at}\" {{ command \"sleep\" \"1000\" }}\n")).collect();
    let project = Project::new(&text);
    assert_eq!(project.up(&[])["processes"].as_array().unwrap().len(), many);
    let all = project.json(&["ps"]);
    let pids: Vec<u64> = all["processes"].as_array().unwrap().iter().filter_map(|p| p["pid"].as_u64()).collect();
    assert_eq!(pids.len(), many);
    assert_eq!(project.json(&["down"])["stopped"].as_array().unwrap().len(), many);
    assert!(pids.iter().all(|pid| !is_there(*pid)));
}

#[test]
fn of_several_that_start_at_once_one_does() {
    let project = Project::new("process \"p\" { command \"sleep\" \"1000\" }");
    project.up(&[]);
    project.run(&["down"]).ok();
    let clients: Vec<_> = (0..8).map(|_| project.start(&["up", "-d", "--json"])).collect();
    let mut pids: Vec<u64> = clients
        .into_iter()
        .map(|client| serde_json::from_slice::<Value>(&client.wait_with_output().unwrap().stdout).unwrap())
        .map(|up| up["processes"][0]["pid"].as_u64().unwrap())
        .collect();
    pids.dedup();
    assert_eq!(pids.len(), 1);
}

/// A directory that can't be written while this lives, whatever is open in it. Only root can do that to itself.
struct ReadOnly(std::path::PathBuf);

impl ReadOnly {
    fn make(path: &std::path::Path) -> Option<Self> {
        let mount = |arguments: &[&str]| {
            let mounted = std::process::Command::new("mount").args(arguments).arg(path).status();
            mounted.is_ok_and(|status| status.success())
        };
        let this = mount(&["--bind", path.to_str().unwrap()]).then(|| Self(path.to_owned()))?;
        mount(&["-o", "remount,bind,ro"]).then_some(this)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn in_a_home_that_became_read_only_nothing_is_stopped_for_a_restart_and_everything_can_be_looked_at() {
    let project = Project::new("process \"p\" { shell \"echo said; exec sleep 1000\"; restart \"always\" }");
    project.up(&[]);
    let before = until(|| Some(project.ps("p")).filter(|now| now["state"] == "running"));
    until(|| project.lines("p").contains(&"said".to_owned()));
    assert_eq!(project.run(&["history", "search", "x"]).code, 0);
    let Some(read_only) = ReadOnly::make(&project.home()) else { return aiw_tests::not_run("nothing can be mounted") };
    let restart = project.run(&["restart", "p"]);
    assert!(restart.code == 69 && restart.stderr.contains("Read-only"), "{}", restart.whole());
    assert!(is_there(before["pid"].as_u64().unwrap()));
    let looks = [
        &["ps"][..],
        &["ps", "--all", "--stats"],
        &["logs", "p"],
        &["status"],
        &["task", "list"],
        &["history", "search", "x"],
    ];
    let look = || {
        for arguments in looks {
            let run = project.run(arguments);
            assert_eq!(run.code, 0, "{arguments:?}: {}", run.whole());
        }
    };
    look();
    let stop = project.run(&["stop", "p"]);
    assert_eq!(stop.code, 0, "{}", stop.whole());
    until(|| !is_there(before["pid"].as_u64().unwrap()));
    // What can't be recorded disturbs nobody.
    look();
    let start = project.run(&["process", "start", "p"]);
    assert!(start.code == 69 && start.stderr.contains("Read-only"), "{}", start.whole());
    drop(read_only);
    assert_ne!(project.up(&[])["processes"][0]["pid"], before["pid"]);
}
