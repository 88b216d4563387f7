//! Logs of any size, however their writers ended.

use std::fs;
use std::time::Duration;

use aiw_core::ProcessId;
use aiw_tasks::{FollowFrom, LogPolicy, NewProcess, Outcome, QueueLimit, Stream};

use crate::environment::{Environment, NewTask, program, shim, task};

/// Returns a task whose log has small files.
fn small() -> NewTask {
    let log = LogPolicy { file_bytes: 4096, ..LogPolicy::default() };
    NewTask { process: NewProcess { log, ..task().process }, ..task() }
}

fn run(env: &Environment, script: &str) -> ProcessId {
    let task = env.try_start(small(), program(script), QueueLimit::default()).unwrap();
    assert_eq!(env.ended(task.id).outcome, Some(Outcome::Succeeded));
    task.id
}

#[test]
fn a_log_is_rotated_and_read_across_its_parts() {
    let env = Environment::new();
    let id = run(&env, "seq -f 'number %.0f' 40000");
    let directory = env.home().join("tasks").join(id.as_str());
    for part in ["log", "log.1", "log.2", "log.3"] {
        assert!(fs::metadata(directory.join(part)).unwrap().len() > 0, "{part}");
    }
    assert!(!directory.join("log.4").exists());
    let log = env.tasks().log(id).unwrap();
    for count in [1, 7, 300] {
        let lines: Vec<String> =
            log.tail(count).unwrap().into_iter().map(|entry| String::from_utf8(entry.bytes).unwrap()).collect();
        let mut expected: Vec<String> = (40_002 - count..=40_000).map(|i| format!("number {i}")).collect();
        expected.push("ended: succeeded, exit code 0".into());
        assert_eq!(lines, expected);
    }
    let mut all = Vec::new();
    let mut follow = log.follow(FollowFrom::Start).unwrap();
    loop {
        let entries = follow.next(Duration::ZERO).unwrap();
        if entries.is_empty() {
            break;
        }
        all.extend(entries);
    }
    assert_eq!(all, log.tail(usize::MAX).unwrap());
}

#[test]
fn who_reads_too_slowly_is_told_that_lines_are_missing() {
    let env = Environment::new();
    let go = env.path("go");
    let script = format!("echo first; while [ ! -e {} ]; do sleep 0.01; done; seq 40000", go.display());
    let task = env.try_start(small(), program(&script), QueueLimit::default()).unwrap();
    let mut follow = env.tasks().log(task.id).unwrap().follow(FollowFrom::Start).unwrap();
    let read = |follow: &mut aiw_tasks::LogFollower, until: &str| {
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line| line != until) {
            let entries = follow.next(Duration::from_secs(60)).unwrap();
            lines.extend(entries.into_iter().map(|entry| String::from_utf8(entry.bytes).unwrap()));
        }
        lines
    };
    read(&mut follow, "first");
    assert!(!follow.has_lost_lines());
    fs::write(go, "").unwrap();
    env.ended(task.id);
    let lines = read(&mut follow, "ended: succeeded, exit code 0");
    assert!(
        follow.has_lost_lines() && lines.iter().any(|line| line.starts_with("lines are missing here")),
        "{lines:?}"
    );
    assert_eq!(lines[lines.len() - 2], "40000");
}

#[test]
fn a_torn_entry_is_skipped_and_what_follows_is_read() {
    let env = Environment::new();
    let id = run(&env, "echo whole");
    let path = env.tasks().log(id).unwrap().path();
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend_from_slice(b"1732104000123 o= to");
    fs::write(&path, &bytes).unwrap();
    let last = env.tasks().log(id).unwrap().tail(2).unwrap();
    assert_eq!((last[0].bytes.as_slice(), last[1].stream), (&b"whole"[..], Stream::Aiw));
    for noise in [&b"\n\n\n"[..], b"no entry\n", b"\xff\xfe\n", b"1 o\n", b" o= x\n", b"99999999999999999999999 o= x\n"]
    {
        fs::write(&path, [noise, b"7 e= kept\n", noise].concat()).unwrap();
        let entries = env.tasks().log(id).unwrap().tail(9).unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!(
            (entries[0].time, entries[0].stream, entries[0].bytes.as_slice()),
            (7, Stream::Stderr, &b"kept"[..])
        );
    }
}

#[test]
fn long_lines_and_bytes_that_are_no_text_come_back_as_they_were() {
    let env = Environment::new();
    let script = "head -c 300000 /dev/zero | tr '\\0' x; echo; printf 'a\\0\\377\\r\\n'; printf rest";
    let task = env.run(script);
    let entries = env.tasks().log(task.id).unwrap().tail(usize::MAX).unwrap();
    let stdout: Vec<_> = entries.into_iter().filter(|entry| entry.stream == Stream::Stdout).collect();
    assert_eq!(
        stdout.iter().map(|e| (e.bytes.len(), e.is_complete)).collect::<Vec<_>>(),
        [(300_000, true), (4, true), (4, false)]
    );
    assert_eq!((stdout[1].bytes.as_slice(), stdout[2].bytes.as_slice()), (&b"a\0\xff\r"[..], &b"rest"[..]));
    // Read from the end, with a window that begins within the long line.
    let tail = env.tasks().log(task.id).unwrap().tail(4).unwrap();
    assert_eq!(tail[0].bytes.len(), 300_000);
}

#[test]
fn lines_since_a_moment_are_those() {
    let env = Environment::new();
    let task = env
        .run("i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo padding padding padding $i; done; sleep 0.05; echo late");
    let log = env.tasks().log(task.id).unwrap();
    let all = log.tail(usize::MAX).unwrap();
    let late = all.iter().find(|entry| entry.bytes == b"late").unwrap().time;
    for since in [late, all[2000].time, 0] {
        let expected: Vec<_> = all.iter().filter(|entry| entry.time >= since).cloned().collect();
        assert_eq!(log.follow(FollowFrom::Since(since)).unwrap().next(Duration::ZERO).unwrap(), expected);
    }
}

#[test]
fn a_signal_ends_the_sleep_of_a_follower() {
    let env = Environment::new();
    let task = env.start("sleep 100");
    let mut command = std::process::Command::new(shim());
    command.arg("follow").args([env.home(), env.runtime()]).arg(env.root.to_string()).arg(task.id.as_str());
    let mut follower = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut ready = [0; 5];
    std::io::Read::read_exact(follower.stdout.as_mut().unwrap(), &mut ready).unwrap();
    // The follower may not sleep yet, so one signal may come too early.
    let status = crate::environment::wait_for(|| {
        crate::environment::kill(follower.id(), rustix::process::Signal::USR1);
        follower.try_wait().unwrap()
    });
    assert!(status.success());
}
