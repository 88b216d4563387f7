//! A supervised server: it is restarted, has a terminal and a log of another size, and has several incarnations under
//! one id.

use std::time::{Duration, Instant};

use aiw_home::Home;
use aiw_supervisor::{
    LogPolicy, NewProcess, Outcome, ProcessScope, Processes, QueueLimit, Restart, RestartCondition, Root, State,
    StopOutcome, Stream, SupervisorError, Terminal, testing::NAMES,
};

use crate::environment::{Environment, is_running, kill, number, program, shim, wait_for};

fn restart(when: RestartCondition, limit: Option<u32>) -> Restart {
    Restart { when, pause: Duration::from_millis(20), longest: Duration::from_millis(20), limit, within: None }
}

#[test]
fn what_fails_is_started_again_as_often_as_it_may_be() {
    let env = Environment::new();
    let count = env.path("count");
    let script = |until: u32| {
        format!("echo x >> {0}; [ $(wc -l < {0}) -ge {until} ] && exit 0; echo failing; exit 7", count.display())
    };
    // It succeeds the third time.
    let new = NewProcess { restart: restart(RestartCondition::Failed, Some(9)), ..NewProcess::new("/") };
    let one = env.ended(env.start(new.clone(), &script(3)).record.id);
    assert_eq!((one.record.outcome, one.record.exit_code, one.record.restarts), (Some(Outcome::Succeeded), Some(0), 2));
    assert_eq!(env.lines(one.record.id, Stream::Stdout), ["failing", "failing"]);
    // It never succeeds.
    let new = NewProcess { restart: restart(RestartCondition::Failed, Some(2)), ..new };
    let one = env.ended(env.start(new, &script(1000)).record.id);
    assert_eq!((one.record.outcome, one.record.exit_code, one.record.restarts), (Some(Outcome::Failed), Some(7), 2));
}

#[test]
fn what_is_stopped_is_not_started_again() {
    let env = Environment::new();
    let new = NewProcess { restart: restart(RestartCondition::Ended, None), ..NewProcess::new("/") };
    let id = env.start(new, "echo up; sleep 0.01").record.id;
    let restarted = wait_for(|| Some(env.servers().get(id).unwrap().record).filter(|record| record.restarts >= 3));
    assert_ne!(restarted.state, State::Ended);
    let StopOutcome::Ended(one) = env.servers().stop(id, true).unwrap() else { panic!() };
    assert_eq!(one.record.state, State::Ended);
    let ups = env.lines(id, Stream::Stdout).len();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(env.lines(id, Stream::Stdout).len(), ups);
}

#[test]
fn a_supervisor_that_is_killed_takes_what_it_restarts_with_it() {
    let env = Environment::new();
    let new = NewProcess { restart: restart(RestartCondition::Ended, None), ..NewProcess::new("/") };
    let one = env.start(new, "exec sleep 1000");
    kill(one.record.shim.pid);
    wait_for(|| (!is_running(one.record.child.unwrap().pid)).then_some(()));
    assert_eq!(env.ended(one.record.id).record.outcome, Some(Outcome::Lost));
}

#[test]
fn what_left_its_session_and_cleared_its_environment_is_ended_after_its_supervisor_was_killed() {
    let env = Environment::new();
    let (far, again) = (env.path("far"), env.path("again"));
    // Twice: what it starts in turn, in a session of its own, is not spared either.
    let last = format!("trap \"\" TERM HUP; echo $$ > {}; while :; do /bin/sleep 1; done", again.display());
    std::fs::write(env.path("last"), last).unwrap();
    let first = format!(
        "echo $$ > {}; (/usr/bin/setsid /usr/bin/env -i /bin/sh {} &); while :; do /bin/sleep 1; done",
        far.display(),
        env.path("last").display()
    );
    std::fs::write(env.path("first"), first).unwrap();
    let script = format!("(setsid env -i /bin/sh {} &); exec sleep 1000", env.path("first").display());
    let one = env.start(NewProcess::new("/"), &script);
    // One that has nothing to do with it, with the same environment.
    let mut stranger = std::process::Command::new("/bin/sleep").arg("1000").env_clear().spawn().unwrap();
    let (far, again) = (number(&far), number(&again));
    kill(one.record.shim.pid);
    wait_for(|| (!is_running(one.record.child.unwrap().pid)).then_some(()));
    assert!(is_running(far) && is_running(again));
    // Its supervisor may still be about to vanish.
    wait_for(|| {
        env.servers().stop(one.record.id, true).unwrap();
        (env.servers().get(one.record.id).unwrap().record.state == State::Ended).then_some(())
    });
    assert!(!is_running(far) && !is_running(again));
    assert!(is_running(stranger.id()));
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    let note = env.servers().get(one.record.id).unwrap().record.note.unwrap();
    assert!(note.contains("processes that it left and that were ended"), "{note}");
}

#[test]
fn a_supervisor_below_one_that_was_killed_goes_on_with_what_it_runs() {
    let env = Environment::new();
    let (home, run, below) = (env.path("home"), env.path("run"), env.path("below"));
    // A process of another root, which `take-over` starts anew from below the one above.
    std::fs::create_dir(&below).unwrap();
    let root = Root::for_directory(&below).unwrap();
    let others = Processes::open(&Home::from_root(&home), NAMES, ProcessScope::Root(root)).unwrap().with_runtime(&run);
    let first = others.start(shim(), NewProcess::new("/"), program("exit 0"), QueueLimit::default()).unwrap();
    let id = first.record.id;
    wait_for(|| (others.get(id).unwrap().record.state == State::Ended).then_some(()));
    let [aiw, home, run, below] = [shim(), &home, &run, &below].map(|path| path.display().to_string());
    let above = env.start(NewProcess::new("/"), &format!("{aiw} take-over {home} {run} {below} {id}; exec sleep 1000"));
    let started = wait_for(|| {
        let one = others.get(id).unwrap().record;
        (one.incarnation == 1 && one.state == State::Running).then_some(one)
    });
    kill(above.record.shim.pid);
    wait_for(|| (!is_running(above.record.child.unwrap().pid)).then_some(()));
    assert_eq!(env.ended(above.record.id).record.outcome, Some(Outcome::Lost));
    assert!(is_running(started.shim.pid) && is_running(started.child.unwrap().pid));
    others.stop(id, true).unwrap();
}

#[test]
fn a_terminal_is_one_and_is_typed_at() {
    let env = Environment::new();
    let new = NewProcess { terminal: Some(Terminal { rows: 40, columns: 132 }), ..NewProcess::new("/") };
    let script = "test -t 0 && test -t 1 && test -t 2 && echo terminal; stty size; read word; echo \"got $word\"; tty > /dev/tty";
    let mut program = program(script);
    program.stdin = b"hello\n".to_vec();
    let one = env.servers().start(shim(), new, program, QueueLimit::default()).unwrap();
    let one = env.ended(one.record.id);
    assert_eq!(one.record.outcome, Some(Outcome::Succeeded), "{:?}", one.record);
    let lines = env.lines(one.record.id, Stream::Stdout);
    assert!(["terminal", "40 132", "got hello"].iter().all(|line| lines.iter().any(|l| l == line)), "{lines:?}");
    assert!(lines.last().unwrap().starts_with("/dev/pts/"), "{lines:?}");
}

#[test]
fn a_size_is_taken_before_what_was_typed_after_it() {
    use rustix::process::{Pid, Signal, kill_process};
    let env = Environment::new();
    let new =
        NewProcess { terminal: Some(Terminal { rows: 40, columns: 132 }), takes_input: true, ..NewProcess::new("/") };
    let one = env.start(new, "while read word; do stty size; done");
    let id = one.record.id;
    let attachment = env.servers().attach(id).unwrap();
    let shim = Pid::from_raw(one.record.shim.pid.try_into().unwrap()).unwrap();
    for (rows, columns) in [(11, 60), (12, 61), (13, 62)] {
        // The shim finds both in its socket.
        kill_process(shim, Signal::STOP).unwrap();
        attachment.resize(Terminal { rows, columns }).unwrap();
        std::thread::scope(|scope| {
            let typed = scope.spawn(|| attachment.write(b"word\n"));
            std::thread::sleep(Duration::from_millis(50));
            kill_process(shim, Signal::CONT).unwrap();
            typed.join().unwrap().unwrap();
        });
        let sizes = |lines: Vec<String>| lines.into_iter().filter(|line| line != "word").collect::<Vec<_>>();
        let size = format!("{rows} {columns}");
        wait_for(|| sizes(env.lines(id, Stream::Stdout)).last().filter(|last| **last == size).map(drop));
    }
    env.servers().stop(id, true).unwrap();
    assert_eq!(env.lines(id, Stream::Stdout).iter().filter(|line| *line != "word").count(), 3);
}

#[test]
fn a_log_is_as_large_as_it_is_to_be() {
    let env = Environment::new();
    // A single read, up to the capacity of a pipe, goes into one file; this output is many times as large.
    let script = "seq 1 200000";
    let of = |files| NewProcess { log: LogPolicy { file_bytes: 2048, files }, ..NewProcess::new("/") };
    for (files, expected) in [(1, 1), (2, 2), (7, 7)] {
        let one = env.ended(env.start(of(files), script).record.id);
        let logs = std::fs::read_dir(&one.directory).unwrap().flatten();
        let logs: Vec<_> = logs.filter(|file| file.file_name().to_str().unwrap().starts_with("log")).collect();
        assert_eq!(logs.len(), expected);
        let kept: u64 = logs.iter().map(|file| file.metadata().unwrap().len()).sum();
        assert!(kept < u64::from(files) * (400 << 10), "{kept}");
        assert_eq!(env.lines(one.record.id, Stream::Aiw).last().unwrap(), "ended: succeeded, exit code 0");
        // With a single file, the last message replaces everything else.
        assert!(files == 1 || env.lines(one.record.id, Stream::Stdout).last().unwrap() == "200000");
    }
    let none = env.ended(env.start(of(0), script).record.id);
    assert_eq!(none.record.outcome, Some(Outcome::Succeeded));
    assert!(env.lines(none.record.id, Stream::Stdout).is_empty());
}

#[test]
fn positions_never_go_back_however_often_a_log_is_rotated() {
    for files in [1, 2] {
        let env = Environment::new();
        let new = NewProcess { log: LogPolicy { file_bytes: 4096, files }, ..NewProcess::new("/") };
        let one = env.start(new, "yes");
        let log = env.servers().log(one.record.id).unwrap();
        let (mut last, begun) = (0, Instant::now());
        while begun.elapsed() < Duration::from_millis(500) {
            let end = log.end_position().unwrap();
            assert!(end >= last, "{end} after {last}");
            last = end;
        }
        assert!(last > 4096 * 10, "{last}");
        env.servers().stop(one.record.id, true).unwrap();
    }
}

#[test]
fn an_id_has_one_life_after_the_other() {
    let env = Environment::new();
    let mut new = NewProcess::new("/");
    new.labels.insert("name".into(), "web".into());
    let first = env.start(new.clone(), "echo first; exit 3");
    let id = first.record.id;
    let again =
        |script: &str| env.servers().start_again(shim(), id, new.clone(), program(script), QueueLimit::default());
    env.ended(id);
    env.servers().mark_seen(&[id]).unwrap();
    let second = again("echo second; exec sleep 1000").unwrap();
    assert_eq!((second.record.id, second.record.incarnation, second.record.exit_code), (id, 1, None));
    assert_ne!(second.record.instance, first.record.instance);
    // Only one incarnation runs at a time.
    let error = again("echo never").unwrap_err();
    assert!(matches!(error, SupervisorError::StillRunning { .. }), "{error}");
    let running = env.servers().get(id).unwrap();
    assert_eq!((running.record.state, running.record.incarnation), (State::Running, 1));
    wait_for(|| env.lines(id, Stream::Stdout).contains(&"second".to_owned()).then_some(()));
    // A process whose shim died silently makes way as well.
    kill(second.record.shim.pid);
    wait_for(|| (!is_running(second.record.shim.pid)).then_some(()));
    let third = again("echo third").unwrap();
    assert_eq!(third.record.incarnation, 2);
    let third = env.ended(id);
    assert_eq!((third.record.outcome, third.is_seen), (Some(Outcome::Succeeded), false));
    assert_eq!(env.lines(id, Stream::Stdout), ["first", "second", "third"]);
    assert_eq!(third.record.labels["name"], "web");
    assert_eq!(env.servers().list().unwrap().len(), 1);
    // A start that is refused because it may not queue leaves the previous state as it was.
    let other = env.start(NewProcess::new("/"), "exec sleep 1000");
    let queue = QueueLimit { limit: 1, may_queue: false };
    let refused = env.servers().start_again(shim(), id, new.clone(), program("echo never"), queue).unwrap_err();
    assert!(matches!(refused, SupervisorError::LimitReached { limit: 1, .. }));
    assert_eq!(env.servers().get(id).unwrap().record, third.record);
    env.servers().stop(other.record.id, true).unwrap();
}

#[test]
fn labels_are_kept_and_what_somebody_understands_is_added() {
    let env = Environment::new();
    let mut new = NewProcess::new("/");
    new.labels.insert("counts".into(), true.into());
    let one = env.ended(env.start(new.clone(), "echo one; echo yes").record.id);
    assert_eq!(one.record.outcome, Some(Outcome::Succeeded));
    assert_eq!((&one.record.labels["lines"], &one.record.labels["last"]), (&2.into(), &"yes".into()));
    let doubted = env.ended(env.start(new, "echo no").record.id);
    assert_eq!((doubted.record.outcome, doubted.record.exit_code), (Some(Outcome::Failed), Some(0)));
    assert_eq!(doubted.record.note.as_deref(), Some("its last line says no"));
    // There is no interpreter for a process without that label.
    let plain = env.ended(env.start(NewProcess::new("/"), "echo no").record.id);
    assert_eq!((plain.record.outcome, plain.record.labels.is_empty()), (Some(Outcome::Succeeded), true));
}

#[test]
fn two_rooms_do_not_see_each_other() {
    let env = Environment::new();
    let one = env.start(NewProcess::new("/"), "exec sleep 1000");
    let home = Home::from_root(env.path("home"));
    let others = Processes::open(&home, NAMES, ProcessScope::All).unwrap().with_runtime(env.path("run"));
    assert!(others.list().unwrap().is_empty() && others.get(one.record.id).is_err());
    // It is empty for a moment while the shell becomes `sleep`.
    let environment = wait_for(|| {
        let environment = std::fs::read(format!("/proc/{}/environ", one.record.child.unwrap().pid)).unwrap();
        Some(String::from_utf8_lossy(&environment).into_owned()).filter(|environment| !environment.is_empty())
    });
    assert!(environment.contains(&format!("TEST_SERVER_ID={}", one.record.id)) && !environment.contains("AIW_TASK"));
}
