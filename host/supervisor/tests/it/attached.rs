//! Attached processes: they use their owner's pipes, and end with the owner.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use aiw_supervisor::{AttachedChild, Exit, Program, SupervisorError};

use crate::environment::{Environment, HANG_TIMEOUT, is_running, kill, number, program, shim, wait_for};

fn attach(script: &str) -> AttachedChild {
    AttachedChild::start(shim(), "/".as_ref(), program(script), Duration::from_millis(200)).unwrap()
}

/// Returns a script that starts a process which leaves the group, the session and its parents, ignores SIGTERM, and
/// writes its id to a file; it also clears its environment.
fn away(path: &std::path::Path) -> String {
    format!("(setsid env -i /bin/sh -c 'trap \"\" TERM; echo $$ > {}; while :; do sleep 1; done' &)", path.display())
}

#[test]
fn bytes_go_to_and_fro_as_they_are() {
    let mut attached = attach("cat; echo over >&2; exit 5");
    let bytes: Vec<u8> = (0..1 << 20).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut stdin = attached.stdin.take().unwrap();
    let mut stdout = attached.stdout.take().unwrap();
    let mut echoed = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            stdin.write_all(&bytes).unwrap();
            drop(stdin);
        });
        stdout.read_to_end(&mut echoed).unwrap();
    });
    assert!(echoed == bytes);
    let mut said = String::new();
    attached.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "over\n");
    assert_eq!(attached.wait(HANG_TIMEOUT), Some(Exit { code: Some(5), signal: None }));
    assert_eq!(attached.wait(HANG_TIMEOUT), Some(Exit { code: Some(5), signal: None }));
}

#[test]
fn an_owner_that_is_killed_takes_the_whole_group_with_it() {
    let env = Environment::new();
    let (far, near) = (env.path("far"), env.path("near"));
    let script = format!("{}; trap '' TERM; echo $$ > {}; while :; do sleep 1; done", away(&far), near.display());
    let mut owner = Command::new(shim()).arg("own").arg(script).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(owner.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let (far, near): (u32, u32) = (number(&far), number(&near));
    assert_eq!(first.trim().parse(), Ok(near));
    assert!(is_running(far) && is_running(near));
    owner.kill().unwrap();
    owner.wait().unwrap();
    wait_for(|| (!is_running(far) && !is_running(near)).then_some(()));
}

#[test]
fn a_reaper_that_is_killed_leaves_nothing_either() {
    let env = Environment::new();
    let far = env.path("far");
    let mut attached = attach(&format!("{}; exec sleep 1000", away(&far)));
    let far = number(&far);
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", attached.pid())).unwrap();
    let reaper: u32 = stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().parse().unwrap();
    kill(reaper);
    assert_eq!(attached.wait(HANG_TIMEOUT), Some(Exit { code: None, signal: None }));
    wait_for(|| (!is_running(far) && !is_running(attached.pid())).then_some(()));
}

#[test]
fn what_is_stopped_or_dropped_ends_with_all_it_has_started() {
    let env = Environment::new();
    for (name, stops) in [("one", true), ("two", false)] {
        let path = env.path(name);
        let mut attached = attach(&format!("{}; echo up; exec sleep 1000", away(&path)));
        let far = number(&path);
        let pid = attached.pid();
        assert_eq!(attached.wait(Duration::from_millis(20)), None);
        if stops {
            attached.stop();
            assert_eq!(attached.wait(HANG_TIMEOUT), Some(Exit { code: None, signal: Some(15) }));
            assert!(!is_running(far) && !is_running(pid));
        } else {
            drop(attached);
            wait_for(|| (!is_running(far) && !is_running(pid)).then_some(()));
        }
    }
}

#[test]
fn what_it_leaves_behind_at_its_own_end_is_ended() {
    let env = Environment::new();
    let path = env.path("far");
    let mut attached = attach(&format!("{}; while [ ! -s {} ]; do sleep 0.01; done", away(&path), path.display()));
    assert_eq!(attached.wait(HANG_TIMEOUT), Some(Exit { code: Some(0), signal: None }));
    assert!(!is_running(number(&path)));
}

#[test]
fn it_has_its_environment_and_no_descriptor_of_others() {
    let mut program = program("env | grep -c KEY=; ls /proc/self/fd | wc -l; cat /proc/self/fd/7");
    program.environment.push(("KEY".into(), "canary-31b2".into()));
    program.files.push(aiw_supervisor::PassedFile { fd: 7, bytes: b"seven".to_vec() });
    let mut attached = AttachedChild::start(shim(), "/".as_ref(), program, HANG_TIMEOUT).unwrap();
    let mut said = String::new();
    attached.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    // The standard ones, the passed one, and the one through which `ls` reads the directory.
    assert_eq!(said, "1\n5\nseven");
    attached.wait(HANG_TIMEOUT).unwrap();
}

#[test]
fn it_starts_in_the_directory_that_was_opened_and_not_in_what_has_its_path_now() {
    let env = Environment::new();
    let (at, away) = (env.path("project"), env.path("moved"));
    std::fs::create_dir(&at).unwrap();
    std::fs::write(at.join("mine"), "").unwrap();
    std::fs::create_dir(at.join("sub")).unwrap();
    let opened = std::fs::File::open(&at).unwrap();
    std::fs::rename(&at, &away).unwrap();
    std::fs::create_dir(&at).unwrap();
    std::fs::write(at.join("theirs"), "").unwrap();
    let said = |cwd: &str, script: &str| {
        let started = AttachedChild::start_beneath(shim(), &opened, cwd.as_ref(), program(script), HANG_TIMEOUT);
        let mut attached = started.unwrap();
        let mut said = String::new();
        attached.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        attached.wait(HANG_TIMEOUT).unwrap();
        said
    };
    assert_eq!(said(".", "ls"), "mine\nsub\n");
    assert_eq!(said("sub", "ls .."), "mine\nsub\n");
    assert_eq!(said("/", "pwd"), "/\n");
    let error =
        AttachedChild::start_beneath(shim(), &opened, "none".as_ref(), program("true"), HANG_TIMEOUT).unwrap_err();
    assert_eq!(error.to_string(), "cannot work in `none`: No such file or directory (os error 2)");
}

#[test]
fn what_cannot_be_started_says_why() {
    let start =
        |cwd: &str, program: Program| AttachedChild::start(shim(), cwd.as_ref(), program, HANG_TIMEOUT).unwrap_err();
    assert_eq!(
        start("/", Program::new("/no/such")).to_string(),
        "cannot start `/no/such`: No such file or directory (os error 2)"
    );
    let error = start("/no/where", program("true"));
    assert_eq!(error.to_string(), "cannot work in `/no/where`: No such file or directory (os error 2)");
    let silent = AttachedChild::start("/bin/true".as_ref(), "/".as_ref(), program("true"), HANG_TIMEOUT).unwrap_err();
    assert!(matches!(silent, SupervisorError::Shim { .. }), "{silent}");
}
