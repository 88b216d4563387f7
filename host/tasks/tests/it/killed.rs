//! SIGKILL for all kinds of processes, at seeded random moments.

use std::collections::HashSet;
use std::process::{Command, Stdio};
use std::time::Duration;

use aiw_tasks::{Outcome, ProcessScope, State};
use rustix::process::Signal;

use crate::environment::{Environment, is_running, kill, shim, shim_of, swept, wait_for};

/// A random number generator with the same numbers every time.
struct Seed(u64);

impl Seed {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Returns the processes that carry the mark of one of this test's homes.
fn alive(marker: &str) -> Vec<u32> {
    let pids = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
    let ours = |pid: &u32| {
        let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.windows(marker.len()).any(|part| part == marker.as_bytes()) && is_running(*pid)
    };
    pids.filter(ours).collect()
}

#[test]
fn a_killed_shim_is_recorded_and_leaves_no_orphan() {
    let env = Environment::new();
    let away = env.path("away");
    let script = format!(
        "echo before; setsid sh -c 'echo $$ > {0}; exec sleep 1000' & while [ ! -s {0} ]; do sleep 0.01; done; echo after; exec sleep 1000",
        away.display()
    );
    let task = env.start(&script);
    wait_for(|| (env.stdout(task.id).len() == 2).then_some(()));
    let orphan = env.file("away").trim().parse().unwrap();
    kill(shim_of(&task), Signal::KILL);
    // The CLI dies with its shim, before anybody has checked.
    wait_for(|| (!is_running(task.pid.unwrap())).then_some(()));
    let lost = wait_for(|| swept(&env.tasks()).pop().filter(|task| task.state == State::Ended));
    assert_eq!((lost.outcome, lost.exit_code), (Some(Outcome::Lost), None));
    assert_eq!(
        lost.note.as_deref(),
        Some("its supervisor died, so how it ended is not known; processes that it left and that were ended: 1")
    );
    assert!(!is_running(orphan));
    assert_eq!(env.stdout(task.id), ["before", "after"]);
    assert_eq!(aiw_tasks::testing::count_used_slots(&env.runtime(), env.root), 0);
    let last = env.tasks().log(task.id).unwrap().tail(1).unwrap();
    assert_eq!(last[0].bytes, b"lost: the supervisor died");
}

#[test]
fn a_stranger_with_the_numbers_of_a_cli_is_left_alone() {
    let env = Environment::new();
    let tamper = |id: aiw_core::ProcessId, change: &dyn Fn(&mut serde_json::Value)| {
        let path = env.home().join("tasks").join(id.as_str()).join("task.json");
        let mut record = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        change(&mut record);
        std::fs::write(path, serde_json::to_vec(&record).unwrap()).unwrap();
    };
    for marked in [false, true] {
        let task = env.start("exec sleep 100");
        kill(shim_of(&task), Signal::KILL);
        wait_for(|| (!is_running(task.pid.unwrap())).then_some(()));
        let mut stranger = Command::new("sleep");
        if marked {
            stranger.env(aiw_tasks::TASK_VARIABLE, task.id.as_str());
        }
        let mut stranger = stranger.arg("100").spawn().unwrap();
        let root = aiw_tasks::Root::for_pid(stranger.id());
        tamper(task.id, &|record| {
            record["child"] = serde_json::json!(root);
            if marked {
                assert!(record["boot"].is_string());
                record["boot"] = "of another day".into();
            }
        });
        assert_eq!(env.ended(task.id).outcome, Some(Outcome::Lost));
        assert!(is_running(stranger.id()), "{marked}");
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }
}

#[test]
fn creators_of_a_segment_may_be_killed_whenever() {
    let mut seed = Seed(7);
    for round in 0..20 {
        let env = Environment::new();
        let mut creators: Vec<_> = (0..4)
            .map(|_| {
                let mut creator = Command::new(shim());
                creator.arg("attach").arg(env.runtime()).arg(env.root.to_string()).spawn().unwrap()
            })
            .collect();
        for creator in &mut creators {
            std::thread::sleep(Duration::from_micros(seed.below(8_000)));
            // No creator has given up by itself.
            assert!(creator.try_wait().unwrap().is_none(), "round {round}");
            creator.kill().unwrap();
            creator.wait().unwrap();
        }
        let attach = || aiw_tasks::testing::attach(&env.runtime(), env.root).unwrap();
        let names: Vec<_> = std::thread::scope(|scope| {
            let attaching: Vec<_> = (0..4).map(|_| scope.spawn(attach)).collect();
            attaching.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(names.iter().all(|name| *name == names[0]), "round {round}: {names:?}");
        assert_eq!(env.segments().len(), 1, "round {round}");
        env.tasks().check().unwrap();
        assert_eq!(env.run("exit 0").outcome, Some(Outcome::Succeeded), "round {round}");
    }
}

#[test]
fn whoever_is_killed_whenever_nothing_leaks() {
    // `cargo xtask soak` runs more rounds.
    let rounds = std::env::var("AIW_SOAK_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(20);
    let mut lost = 0;
    for round in 0..rounds {
        let mut seed = Seed(round);
        let mut env = Environment::new();
        // The test needs a session of its own, because shims are identified by their session.
        let mut root = Command::new("sleep").arg("1000").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        env.root = aiw_tasks::Root::for_pid(root.id());
        let marker = format!("AIW_TEST_ROUND={}", env.home().display());
        let script = "i=0; (setsid sleep 1000 &) ; while [ $i -lt 40 ]; do i=$((i+1)); echo line $i; [ $((i%10)) = 0 ] && sleep 0.01; done; exit 0";
        let mut starters: Vec<_> = (0..3)
            .map(|_| {
                Command::new(shim())
                    .arg("start")
                    .args([env.home(), env.runtime()])
                    .args([&env.root.to_string(), "3", "4", script])
                    .env("AIW_TEST_ROUND", env.home())
                    .stdout(Stdio::null())
                    .spawn()
                    .unwrap()
            })
            .collect();
        for _ in 0..4 {
            std::thread::sleep(Duration::from_micros(seed.below(25_000)));
            match seed.below(4) {
                0 => {
                    let which = seed.below(3) as usize;
                    let _ = starters[which].kill();
                }
                // A shim that may not even be registered yet.
                3 => {
                    let shims = shims(&env);
                    if !shims.is_empty() {
                        kill(shims[seed.below(shims.len() as u64) as usize], Signal::KILL);
                    }
                }
                what => {
                    let running = env.of(ProcessScope::All).list().unwrap();
                    let running: Vec<_> = running.iter().filter(|task| task.state != State::Ended).collect();
                    if !running.is_empty() {
                        let task = running[seed.below(running.len() as u64) as usize];
                        match (what, task.pid) {
                            (1, Some(pid)) => kill(pid, Signal::KILL),
                            _ => kill(shim_of(task), Signal::KILL),
                        }
                    }
                }
            }
        }
        for starter in &mut starters {
            starter.wait().unwrap();
        }
        // A shim may have just received its request. Then its task appears in a moment, or never.
        let mut seen = HashSet::new();
        wait_for(|| {
            let tasks = swept(&env.of(ProcessScope::All));
            let all_ended = tasks.iter().all(|task| task.state == State::Ended);
            let quiet = alive(&marker).is_empty() && shims(&env).is_empty();
            seen = tasks.iter().map(|task| task.id).collect();
            (all_ended && quiet).then_some(())
        });
        for task in env.of(ProcessScope::All).list().unwrap() {
            assert!(seen.contains(&task.id), "round {round}");
            let lines = env.stdout(task.id);
            let expected: Vec<String> = (1..=40).map(|i| format!("line {i}")).collect();
            assert_eq!(lines, expected[..lines.len()], "round {round}");
            match task.outcome {
                Some(Outcome::Succeeded) => assert_eq!(lines.len(), 40, "round {round}"),
                Some(Outcome::Signalled) => assert_eq!(task.signal, Some(9), "round {round}"),
                Some(Outcome::Lost) => {
                    lost += 1;
                    assert!(task.note.unwrap().starts_with("its supervisor died"), "round {round}");
                }
                other => panic!("round {round}: {other:?} {:?}", task.note),
            }
        }
        assert_eq!(aiw_tasks::testing::count_used_slots(&env.runtime(), env.root), 0, "round {round}");
        assert!(env.segments().len() <= 1, "round {round}");
        root.kill().unwrap();
        root.wait().unwrap();
    }
    assert!(lost > 0);
}

/// Returns the shims of a session, which are identified by their command lines.
fn shims(env: &Environment) -> Vec<u32> {
    let pids = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
    let root = env.root.to_string();
    let is_ours = |pid: &u32| {
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = command.split(|b| *b == 0).collect();
        words.get(1..3) == Some(&[b"shim", root.as_bytes()][..]) && is_running(*pid)
    };
    pids.filter(is_ours).collect()
}
