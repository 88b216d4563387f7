//! Many tasks at once, and tasks that take turns.

use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use aiw_core::ProcessId;
use aiw_tasks::{Outcome, ProcessScope, QueueLimit, State, Task, TaskError, TaskStop, WaitMode};
use rustix::process::Signal;

use crate::environment::{
    Environment, HANG_TIMEOUT, assert_ended, is_running, kill, program, shim, shim_of, swept, task, wait_for,
};

fn starter(env: &Environment, count: usize, limit: u32, script: &str) -> Command {
    let mut command = Command::new(shim());
    command.arg("start").arg(env.home()).arg(env.runtime()).arg(env.root.to_string());
    command.args([&count.to_string(), &limit.to_string(), script]).stdout(Stdio::piped());
    command
}

fn ids(output: &[u8]) -> Vec<ProcessId> {
    String::from_utf8_lossy(output).lines().map(|line| line.parse().unwrap_or_else(|_| panic!("{line}"))).collect()
}

#[test]
fn fifty_tasks_of_ten_processes_are_one_session() {
    let env = Environment::new();
    let starters: Vec<_> =
        (0..10).map(|i| starter(&env, 5, 64, &format!("echo out; exit {}", i % 2)).spawn().unwrap()).collect();
    let mut all = Vec::new();
    for starter in starters {
        all.extend(ids(&starter.wait_with_output().unwrap().stdout));
    }
    assert_eq!(all.len(), 50);
    let waited = env
        .tasks()
        .wait(&all, WaitMode::All, Some(Instant::now() + HANG_TIMEOUT), &AtomicBool::new(false), &mut |_| {})
        .unwrap();
    assert!(waited.done);
    for (at, task) in waited.processes.iter().enumerate() {
        assert_eq!(task.id, all[at]);
        let code = task.exit_code.unwrap();
        assert_ended(task, if code == 0 { Outcome::Succeeded } else { Outcome::Failed }, Some(code), None);
        assert_eq!(env.stdout(task.id), ["out"]);
    }
    assert_eq!(waited.processes.iter().filter(|task| task.exit_code == Some(1)).count(), 25);
    assert_eq!(env.tasks().list().unwrap().len(), 50);
    assert_eq!(env.segments().len(), 1);
    wait_for(|| (aiw_tasks::testing::count_used_slots(&env.runtime(), env.root) == 0).then_some(()));
}

#[test]
fn never_more_than_the_limit_run() {
    let env = Environment::new();
    let (order, running) = (env.path("order"), env.path("running"));
    std::fs::create_dir(&running).unwrap();
    let queue = QueueLimit { limit: 2, may_queue: true };
    let started: Vec<_> = (0..12)
        .map(|i| {
            let script = format!(
                "mkdir {0}/{i}; ls {0} | wc -l >> {1}.count; echo {i} >> {1}; sleep 0.05; rmdir {0}/{i}",
                running.display(),
                order.display()
            );
            env.try_start(task(), program(&script), queue).unwrap()
        })
        .collect();
    for task in &started {
        assert_ended(&env.ended(task.id), Outcome::Succeeded, Some(0), None);
    }
    let counts = std::fs::read_to_string(order.with_extension("count")).unwrap();
    assert!(counts.lines().all(|count| count.trim().parse::<u32>().unwrap() <= 2), "{counts}");
}

#[test]
fn turns_come_in_the_order_of_the_starts() {
    let env = Environment::new();
    let order = env.path("order");
    let queue = QueueLimit { limit: 1, may_queue: true };
    let started: Vec<_> = (0..10)
        .map(|i| {
            let script = format!("sleep 0.05; echo {i} >> {}", order.display());
            env.try_start(task(), program(&script), queue).unwrap()
        })
        .collect();
    assert!(started.iter().any(|task| task.state == State::Queued));
    env.ended(started[9].id);
    assert_eq!(std::fs::read_to_string(order).unwrap(), "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n");
}

#[test]
fn a_task_that_waits_for_one_beneath_it_does_not_hold_it_up() {
    let env = Environment::new();
    let queue = QueueLimit { limit: 1, may_queue: true };
    let (inner, innermost, other) = (env.path("inner"), env.path("innermost"), env.path("other"));
    let await_file = |path: &std::path::Path| format!("while [ ! -e {0} ]; do sleep 0.01; done", path.display());
    // A script that starts a task below its own, and waits for a file that shows its end.
    let nest = |script: &str, done: &std::path::Path| {
        format!(
            "{} start {} {} {} 1 1 '{script}'; {}",
            shim().display(),
            env.home().display(),
            env.runtime().display(),
            env.root,
            await_file(done)
        )
    };
    // The middle task is quoted as a shell command within a shell command.
    let middle = nest(&format!("touch {}", innermost.display()), &innermost).replace('\'', "\"");
    let middle = format!("{middle}; touch {}", inner.display());
    let outer = format!("{}; {}", await_file(&other), nest(&middle, &inner));
    let outer = env.try_start(task(), program(&outer), queue).unwrap();
    // This task was queued before those below the outer task.
    let waiting = env.try_start(task(), program("exit 0"), queue).unwrap();
    assert_eq!(waiting.state, State::Queued);
    std::fs::write(other, "").unwrap();
    for id in [outer.id, waiting.id] {
        assert_ended(&env.ended(id), Outcome::Succeeded, Some(0), None);
    }
    assert_eq!(env.tasks().list().unwrap().len(), 4);
}

#[test]
fn who_may_not_queue_is_refused_and_leaves_nothing() {
    let env = Environment::new();
    let one = env.start("sleep 100");
    let refused = env.try_start(task(), program("exit 0"), QueueLimit { limit: 1, may_queue: false }).unwrap_err();
    assert!(matches!(refused, TaskError::Process(aiw_supervisor::SupervisorError::LimitReached { limit: 1, .. })));
    assert_eq!(env.tasks().list().unwrap().len(), 1);
    env.tasks().stop(one.id, true).unwrap();
}

#[test]
fn a_queued_task_can_be_stopped_and_a_dead_one_holds_up_nobody() {
    let env = Environment::new();
    let queue = QueueLimit { limit: 1, may_queue: true };
    let first = env.start("sleep 100");
    let [second, third] = [(); 2].map(|()| env.try_start(task(), program("exit 0"), queue).unwrap());
    assert_eq!((second.state, second.pid), (State::Queued, None));
    env.tasks().stop(second.id, true).unwrap();
    let second = env.tasks().get(second.id).unwrap();
    assert_ended(&second, Outcome::Signalled, None, None);
    assert_eq!(second.note.as_deref(), Some("it was stopped before its turn came"));
    kill(shim_of(&first), Signal::KILL);
    assert_ended(&env.ended(third.id), Outcome::Succeeded, Some(0), None);
    assert_eq!(env.tasks().get(first.id).unwrap().outcome, Some(Outcome::Lost));
}

#[test]
fn a_stopped_shim_holds_up_nobody_and_can_be_ended() {
    let env = Environment::new();
    let queue = QueueLimit { limit: 1, may_queue: true };
    let first = env.start("sleep 100");
    let [second, third] = [(); 2].map(|()| env.try_start(task(), program("exit 0"), queue).unwrap());
    let stop = |task: &Task| {
        let shim = shim_of(task);
        kill(shim, Signal::STOP);
        let stat = || std::fs::read_to_string(format!("/proc/{shim}/stat")).unwrap();
        wait_for(|| stat().contains(") T ").then_some(()));
        shim
    };
    stop(&second);
    stop(&first);
    // A stopped shim handles the request nevertheless.
    let TaskStop::Ended(first) = env.tasks().stop(first.id, true).unwrap() else { panic!() };
    assert_ended(&first, Outcome::Signalled, None, Some(15));
    assert_ended(&env.ended(third.id), Outcome::Succeeded, Some(0), None);
    assert_eq!(env.tasks().get(second.id).unwrap().state, State::Queued);
    kill(shim_of(&second), Signal::CONT);
    assert_ended(&env.ended(second.id), Outcome::Succeeded, Some(0), None);
}

#[test]
fn a_shim_that_does_nothing_is_killed() {
    let mut env = Environment::new();
    env.grace = Duration::from_millis(1);
    let task = env.start("trap '' TERM; echo ready; while :; do sleep 1; done");
    wait_for(|| (!env.stdout(task.id).is_empty()).then_some(()));
    let shim = shim_of(&task);
    kill(shim, Signal::STOP);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // The shim has no time to do anything in between.
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                kill(shim, Signal::STOP);
            }
        });
        let stopped = env.tasks().with_timeout(Duration::from_millis(1)).stop(task.id, true);
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(matches!(stopped.unwrap(), TaskStop::Ended(_)));
    });
    assert!(!is_running(shim) && !is_running(task.pid.unwrap()));
}

#[test]
fn sessions_do_not_see_each_other_and_all_sees_all() {
    let mut env = Environment::new();
    let one = env.start("exit 0");
    let mut other = Command::new("sleep").arg("100").spawn().unwrap();
    let ours = env.root;
    env.root = aiw_tasks::Root::for_pid(other.id());
    let two = env.start("sleep 100");
    assert_eq!(env.tasks().list().unwrap().iter().map(|task| task.id).collect::<Vec<_>>(), [two.id]);
    assert_eq!(env.of(ProcessScope::All).list().unwrap().len(), 2);
    env.tasks().stop(two.id, true).unwrap();
    assert_eq!(env.segments().len(), 1);
    let segments = env.segments();
    other.kill().unwrap();
    other.wait().unwrap();
    swept(&env.of(ProcessScope::All));
    assert!(!segments[0].exists() && !env.link().exists());
    env.root = ours;
    assert!(env.link().exists());
    env.ended(one.id);
}

#[test]
fn two_versions_of_the_table_do_not_disturb_each_other() {
    let mut env = Environment::new();
    let mut root = Command::new("sleep").arg("1000").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    env.root = aiw_tasks::Root::for_pid(root.id());
    let next = env.path("aiw-next");
    // Copied by another process: while this process has a file open for writing, its other children briefly have it
    // open too.
    assert!(Command::new("cp").arg(shim()).arg(&next).status().unwrap().success());
    let starter = |newer: bool, script: &str| {
        let mut starter = Command::new(if newer { next.as_path() } else { shim() });
        starter.arg("start").arg(env.home()).arg(env.runtime()).arg(env.root.to_string());
        starter.args(["3", "1", script]).stdout(Stdio::piped()).spawn().unwrap()
    };
    let mut all = Vec::new();
    for starter in [false, true, false, true].map(|newer| starter(newer, "echo out; exit 0")) {
        all.extend(ids(&starter.wait_with_output().unwrap().stdout));
    }
    assert_eq!(all.len(), 12);
    for id in &all {
        assert_ended(&env.ended(*id), Outcome::Succeeded, Some(0), None);
    }
    let long = ids(&starter(true, "exec sleep 1000").wait_with_output().unwrap().stdout);
    // The newer task has a table of its own, and is visible nevertheless.
    assert_eq!(aiw_tasks::testing::count_used_slots(&env.runtime(), env.root), 0);
    wait_for(|| (env.tasks().get(long[0]).unwrap().state == State::Running).then_some(()));
    let link = env.link().with_file_name(format!("{}_task3", env.root));
    let segment = std::path::Path::new("/dev/shm").join(&std::fs::read_to_string(&link).unwrap()[1..]);
    root.kill().unwrap();
    root.wait().unwrap();
    swept(&env.of(ProcessScope::All));
    assert!(!env.link().exists() && link.exists() && segment.exists());
    for id in long {
        env.tasks().stop(id, true).unwrap();
        assert_ended(&env.tasks().get(id).unwrap(), Outcome::Signalled, None, env.tasks().get(id).unwrap().signal);
    }
    swept(&env.of(ProcessScope::All));
    assert!(link.exists() && segment.exists());
    std::fs::remove_file(segment).unwrap();
}

#[test]
fn a_waiter_in_another_thread_hears_every_end() {
    let env = Environment::new();
    for _ in 0..10 {
        let started: Vec<_> = (0..4).map(|_| env.start("sleep 0.02").id).collect();
        let tasks = env.tasks();
        let deadline = Instant::now() + HANG_TIMEOUT;
        let waited = tasks.wait(&started, WaitMode::All, Some(deadline), &AtomicBool::new(false), &mut |_| {}).unwrap();
        assert!(waited.done);
    }
    std::thread::sleep(Duration::from_millis(1));
}

#[test]
fn a_segment_that_no_link_leads_to_goes_with_its_session() {
    let mut env = Environment::new();
    let mut root = Command::new("sleep").arg("100").spawn().unwrap();
    env.root = aiw_tasks::Root::for_pid(root.id());
    env.run("exit 0");
    let segment = env.segments().remove(0);
    // The shim may just be leaving, and removes its own files there.
    let start = Instant::now();
    while std::fs::remove_dir_all(env.runtime()).is_err() && env.runtime().exists() {
        assert!(start.elapsed() < HANG_TIMEOUT, "the directory stays");
    }
    let other = Environment::new();
    other.run("exit 0");
    swept(&other.tasks());
    assert!(segment.exists());
    root.kill().unwrap();
    root.wait().unwrap();
    swept(&other.tasks());
    assert!(!segment.exists());
}

#[test]
fn whoever_waits_is_asleep_and_whoever_ends_wakes_the_next() {
    let env = Environment::new();
    let (gate, order) = (env.path("gate"), env.path("order"));
    let queue = QueueLimit { limit: 1, may_queue: true };
    let script = |i: usize| {
        let wait =
            if i == 0 { format!("while [ ! -e {} ]; do sleep 0.01; done;", gate.display()) } else { String::new() };
        format!("{wait} echo {i} >> {}", order.display())
    };
    let started: Vec<_> = (0..60).map(|i| env.try_start(task(), program(&script(i)), queue).unwrap()).collect();
    let waiting: Vec<u32> = started[1..].iter().map(shim_of).collect();
    let used = || -> u64 { waiting.iter().map(|pid| processor_time(*pid)).sum() };
    wait_for(|| (env.tasks().get(started[59].id).unwrap().state == State::Queued).then_some(()));
    let before = used();
    std::thread::sleep(Duration::from_secs(2));
    // In nanoseconds, for 59 waiting tasks and two seconds: less than a hundredth of a processor, on any machine.
    assert!(used() - before < 20_000_000, "{} ns", used() - before);
    std::fs::write(gate, "").unwrap();
    for task in &started {
        assert_ended(&env.ended(task.id), Outcome::Succeeded, Some(0), None);
    }
    let order = std::fs::read_to_string(order).unwrap();
    let order: Vec<usize> = order.lines().map(|line| line.parse().unwrap()).collect();
    assert!(order.iter().copied().eq(0..60), "{order:?}");
}

/// Returns the processor time that a process has used, in nanoseconds.
fn processor_time(pid: u32) -> u64 {
    let times = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
    times.split(' ').next().and_then(|time| time.parse().ok()).unwrap_or(0)
}

#[test]
fn a_place_is_never_lost_whoever_of_the_queue_is_killed() {
    let env = Environment::new();
    let queue = QueueLimit { limit: 3, may_queue: true };
    let started: Vec<_> = (0..24).map(|_| env.try_start(task(), program("sleep 0.2"), queue).unwrap()).collect();
    // Some that run, some that are next, and some that wait for long.
    for at in [0, 3, 4, 10, 11, 12, 23] {
        kill(shim_of(&started[at]), Signal::KILL);
    }
    let mut lost = 0;
    for task in &started {
        match env.ended(task.id).outcome {
            Some(Outcome::Succeeded) => {}
            Some(Outcome::Lost) => lost += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!((1..=7).contains(&lost), "{lost}");
    // All three places still exist.
    let gate = env.path("gate");
    let script = format!("while [ ! -e {} ]; do sleep 0.01; done", gate.display());
    let three: Vec<_> = (0..3).map(|_| env.try_start(task(), program(&script), queue).unwrap()).collect();
    for task in &three {
        wait_for(|| (env.tasks().get(task.id).unwrap().state == State::Running).then_some(()));
    }
    std::fs::write(gate, "").unwrap();
    three.iter().for_each(|task| drop(env.ended(task.id)));
}
