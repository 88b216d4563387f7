//! Forged records and directories.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use aiw_core::{Diagnostic, ProcessId};
use aiw_supervisor::SupervisorError;
use aiw_tasks::{Outcome, ProcessScope, RetentionPolicy, Root, State, TaskError, WaitMode};
use proptest::prelude::*;
use rustix::fs::{FlockOperation, flock};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::environment::{Environment, is_running, kill, record_of, shim_of, swept, wait_for};

/// A process that belongs to no task.
struct Stranger(Child);

impl Stranger {
    /// Starts a process that shows nothing about itself, because it has no environment.
    fn bare() -> Self {
        Self(Command::new("sleep").arg("1000").env_clear().spawn().unwrap())
    }

    fn with(variables: &[(&str, &str)]) -> Self {
        Self(Command::new("sleep").arg("1000").envs(variables.iter().copied()).spawn().unwrap())
    }

    fn pid(&self) -> Value {
        let Root::Process { pid, start } = Root::for_pid(self.0.id()) else { panic!() };
        json!({"pid": pid, "start": start})
    }

    fn assert_lives(&mut self, what: &str) {
        // Time for a signal to take effect, before the process is asked for its status.
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(self.0.try_wait().unwrap(), None, "{what}");
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn directory(env: &Environment, id: ProcessId) -> PathBuf {
    env.home().join("tasks").join(id.as_str())
}

fn tamper(env: &Environment, id: ProcessId, change: impl FnOnce(&mut Value)) {
    let path = directory(env, id).join("task.json");
    let mut record = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut record);
    fs::write(path, serde_json::to_vec(&record).unwrap()).unwrap();
}

/// Returns a task that was killed with its shim, and that has not been read since.
fn dead(env: &Environment) -> ProcessId {
    let task = env.start("exec sleep 1000");
    kill(shim_of(&task), Signal::KILL);
    wait_for(|| (!is_running(task.pid.unwrap()) && !is_running(shim_of(&task))).then_some(()));
    task.id
}

/// Holds the lock of a task as its shim does.
fn lock(env: &Environment, id: ProcessId) -> File {
    let file = File::options().read(true).write(true).open(directory(env, id).join("alive")).unwrap();
    wait_for(|| flock(&file, FlockOperation::NonBlockingLockExclusive).ok());
    file
}

#[test]
fn a_child_that_does_not_show_its_mark_is_not_ended_by_a_look() {
    let env = Environment::new();
    for change in [json!({}), json!({"start": 0})] {
        let id = dead(&env);
        let mut stranger = Stranger::bare();
        tamper(&env, id, |record| {
            record["child"] = stranger.pid();
            record["child"].as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        });
        assert_eq!(env.ended(id).outcome, Some(Outcome::Lost));
        stranger.assert_lives("list");
    }
}

#[test]
fn a_supervisor_that_does_not_show_its_task_is_not_signalled() {
    let env = Environment::new();
    let other = env.start("exec sleep 1000");
    let mut stranger = Stranger::bare();
    for (what, shim) in [
        ("a stranger", stranger.pid()),
        ("a stranger without a start", json!({"pid": stranger.0.id(), "start": 0})),
        ("another task's", record_of(&other)["shim"].clone()),
        ("this very process", json!(Root::for_pid(std::process::id()))),
    ] {
        let id = dead(&env);
        tamper(&env, id, |record| record["shim"] = shim);
        let held = lock(&env, id);
        for wait in [false, true] {
            let error = env.tasks().with_timeout(Duration::ZERO).stop(id, wait).unwrap_err();
            assert!(matches!(error, TaskError::Process(SupervisorError::SignalFailed { .. })), "{what}: {error}");
        }
        // The wait begins while the lock is held. That the named process lives must not make it last.
        let mut held = Some(held);
        assert_eq!(env.ended_after(id, || drop(held.take())).outcome, Some(Outcome::Lost), "{what}");
        stranger.assert_lives(what);
        assert_eq!(env.tasks().get(other.id).unwrap().state, State::Running, "{what}");
    }
}

#[test]
fn another_instance_of_a_task_is_left_alone() {
    let env = Environment::new();
    let id = dead(&env);
    let mut stranger =
        Stranger::with(&[(aiw_tasks::TASK_VARIABLE, id.as_str()), (aiw_tasks::INSTANCE_VARIABLE, "0000000000000001")]);
    tamper(&env, id, |record| record["child"] = stranger.pid());
    assert_eq!(env.ended(id).outcome, Some(Outcome::Lost));
    stranger.assert_lives("another instance");
}

#[test]
fn looking_into_a_copy_of_a_home_ends_nothing() {
    let env = Environment::new();
    let task = env.start("exec sleep 1000");
    let copy = Environment::new();
    assert!(Command::new("cp").arg("-a").arg(env.home()).arg(copy.home()).status().unwrap().success());
    assert_eq!(copy.of(ProcessScope::All).list().unwrap()[0].state, State::Running);
    assert_eq!(env.tasks().get(task.id).unwrap().state, State::Running);
    assert!(is_running(task.pid.unwrap()) && is_running(shim_of(&task)));
    env.tasks().stop(task.id, true).unwrap();
}

#[test]
fn files_that_a_record_names_stay_unless_they_are_its_own() {
    let env = Environment::new();
    let id = dead(&env);
    let mut paths: Vec<PathBuf> = ["aiw-file-1-2-x.json", "aiw-file-x"].map(|name| env.path(name)).into();
    let other = aiw_tasks::memory_path().unwrap();
    paths.push(other.clone());
    for path in &paths {
        fs::write(path, "mine").unwrap();
    }
    // Locked as by the shim of another task.
    let held = File::open(&other).unwrap();
    flock(&held, FlockOperation::LockExclusive).unwrap();
    tamper(&env, id, |record| record["files"] = json!(paths));
    assert_eq!(env.ended(id).outcome, Some(Outcome::Lost));
    assert!(paths.iter().all(|path| path.exists()), "{paths:?}");
    fs::remove_file(other).unwrap();
}

#[test]
fn a_directory_that_is_a_link_is_followed_by_nothing() {
    let env = Environment::new();
    let task = env.run("echo words");
    let id = task.id;
    // Its shim still tidies up when the task has ended.
    wait_for(|| (!is_running(shim_of(&task))).then_some(()));
    let target = env.path("elsewhere");
    fs::rename(directory(&env, id), &target).unwrap();
    symlink(&target, directory(&env, id)).unwrap();
    let before = |path: &Path| -> Vec<_> {
        let mut files: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        files.sort();
        files
    };
    let files = before(&target);
    let tasks = env.of(ProcessScope::All);
    let (listed, problems) = tasks.list_with_problems().unwrap();
    assert!(listed.is_empty());
    let refused = |error: &TaskError| {
        assert_eq!(
            error.to_string(),
            format!("`{}` is a symbolic link, and aiw does not follow it", directory(&env, id).display())
        );
        assert!(error.hint().unwrap().starts_with(&format!("`rm {}`", directory(&env, id).display())));
    };
    assert_eq!(problems.len(), 1);
    refused(&problems[0]);
    refused(&tasks.get(id).unwrap_err());
    refused(&tasks.find(id.as_str()).unwrap_err());
    refused(&tasks.log(id).unwrap_err());
    refused(&tasks.stop(id, true).unwrap_err());
    refused(&tasks.remove(id).unwrap_err());
    refused(&tasks.wait(&[id], WaitMode::All, None, &AtomicBool::new(false), &mut |_| {}).unwrap_err());
    tasks.mark_read(&[id]).unwrap();
    assert_eq!(tasks.prune(RetentionPolicy { count: 0, age: Duration::ZERO }).unwrap(), []);
    assert!(directory(&env, id).is_symlink());
    assert_eq!(before(&target), files);
    // A link in the place where directories are made is not followed either.
    let staged = env.home().join("tasks").join(format!(".new-{id}"));
    let (outside, old) = (env.path("outside"), std::time::SystemTime::now() - Duration::from_secs(3600));
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "").unwrap();
    File::open(&outside).unwrap().set_modified(old).unwrap();
    symlink(&outside, &staged).unwrap();
    swept(&tasks);
    assert_eq!(before(&outside), ["file"]);
}

#[test]
fn what_stands_in_the_place_of_a_directory_can_be_removed() {
    let env = Environment::new();
    env.run("exit 0");
    let tasks = env.of(ProcessScope::All);
    let id = ProcessId::from_number(7);
    let path = directory(&env, id);
    let make: [(&str, &dyn Fn()); 3] = [
        ("a FIFO", &|| assert!(Command::new("mkfifo").arg(&path).status().unwrap().success())),
        ("a file", &|| fs::write(&path, "words").unwrap()),
        ("a socket", &|| drop(UnixListener::bind(&path).unwrap())),
    ];
    for (what, make) in make {
        make();
        let expected = format!("`{}` is {what}, not the directory of a task", path.display());
        let (listed, problems) = tasks.list_with_problems().unwrap();
        assert_eq!((listed.len(), problems[0].to_string()), (1, expected.clone()));
        assert_eq!(tasks.get(id).unwrap_err().to_string(), expected);
        assert_eq!(problems[0].hint(), Some(format!("`aiw task remove {id}` takes it away")));
        assert_eq!(tasks.prune(RetentionPolicy::default()).unwrap(), []);
        tasks.remove(id).unwrap();
        assert!(fs::symlink_metadata(&path).is_err());
        assert!(matches!(tasks.remove(id), Err(TaskError::TaskNotFound { .. })));
    }
    assert_eq!(tasks.list().unwrap().len(), 1);
}

#[test]
fn a_directory_with_a_damaged_record_can_be_removed_unless_it_is_supervised() {
    let env = Environment::new();
    let tasks = env.of(ProcessScope::All);
    let outside = env.path("outside");
    fs::write(&outside, "").unwrap();
    let damage: [&dyn Fn(&Path); 7] = [
        &|path| fs::write(path.join("task.json"), "{").unwrap(),
        &|path| fs::write(path.join("task.json"), "").unwrap(),
        &|path| fs::remove_file(path.join("task.json")).unwrap(),
        &|path| {
            fs::remove_file(path.join("task.json")).unwrap();
            fs::create_dir_all(path.join("task.json/deep")).unwrap();
        },
        &|path| {
            fs::write(path.join("task.json"), "[]").unwrap();
            fs::remove_file(path.join("alive")).unwrap();
            symlink(&outside, path.join("alive")).unwrap();
        },
        &|path| {
            fs::write(path.join("task.json"), "null").unwrap();
            fs::remove_file(path.join("alive")).unwrap();
            assert!(Command::new("mkfifo").arg(path.join("alive")).status().unwrap().success());
        },
        &|path| {
            fs::write(path.join("task.json"), "0").unwrap();
            // An obstacle that an interrupted removal may have left.
            let staged = path.with_file_name(format!(".new-{}", path.file_name().unwrap().to_str().unwrap()));
            fs::create_dir_all(staged.join("deep")).unwrap();
        },
    ];
    for (number, damage) in damage.iter().enumerate() {
        let task = env.run("exit 0");
        // The shim holds its lock a moment longer than its record says.
        wait_for(|| (!is_running(shim_of(&task))).then_some(()));
        let id = task.id;
        damage(&directory(&env, id));
        tasks.remove(id).unwrap_or_else(|error| panic!("{number}: {error}"));
        assert!(!directory(&env, id).exists() && outside.exists(), "{number}");
    }
    let running = env.start("exec sleep 1000");
    let whole = fs::read(running.log.with_file_name("task.json")).unwrap();
    for damage in ["{", ""] {
        fs::write(running.log.with_file_name("task.json"), damage).unwrap();
        let error = tasks.remove(running.id).unwrap_err();
        assert!(matches!(error, TaskError::Process(SupervisorError::StillSupervised { .. })), "{error}");
        assert!(!error.hint().unwrap().contains("task remove"));
    }
    fs::write(running.log.with_file_name("task.json"), whole).unwrap();
    tasks.stop(running.id, true).unwrap();
}

#[test]
fn a_task_that_is_named_twice_is_reported_once() {
    let env = Environment::new();
    let (one, two) = (env.run("exit 0").id, env.run("exit 0").id);
    let waited = env
        .tasks()
        .wait(&[one, two, one, two], WaitMode::All, Some(Instant::now()), &AtomicBool::new(false), &mut |tasks| {
            assert_eq!(tasks.len(), 2);
        })
        .unwrap();
    assert_eq!(waited.processes.iter().map(|task| task.id).collect::<Vec<_>>(), [one, two]);
}

/// Returns any value that a record may contain, including the worst ones.
fn anything(depth: u32) -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0u64..9).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        "(\\.\\./){1,9}etc/passwd|/dev/shm/aiw-file-1-2-x|aiw-file-9|[0-9a-z]{12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(depth, 32, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::hash_map("[a-z]{0,9}", inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
    .boxed()
}

/// The fields of a record, each of which may have any value.
const FIELDS: [&str; 32] = [
    "version",
    "id",
    "root",
    "cli",
    "state",
    "outcome",
    "exit_code",
    "signal",
    "started",
    "running_since",
    "ended",
    "provider",
    "role",
    "tag",
    "model",
    "permission",
    "bypass",
    "prompt",
    "cwd",
    "session",
    "final_message",
    "usage",
    "cost_usd",
    "note",
    "depth",
    "isolated",
    "parent",
    "timeout",
    "shim",
    "child",
    "files",
    "boot",
];

/// Calls all operations on a task, ignoring most results.
fn do_all(env: &Environment, id: ProcessId, runs: bool) {
    let tasks = env.of(ProcessScope::All).with_grace(Duration::ZERO).with_timeout(Duration::ZERO);
    let _ = tasks.list_with_problems();
    let _ = env.tasks().sweep();
    if let Ok(task) = tasks.get(id) {
        let _ = format!("{task:?} {}", serde_json::to_string(&task).unwrap());
    }
    let _ = tasks.find(id.as_str());
    let _ = tasks.find_by_pid(1);
    let _ = tasks.log(id).map(|log| log.tail(9));
    let _ = tasks.wait(&[id], WaitMode::All, Some(Instant::now()), &AtomicBool::new(false), &mut |_| {});
    let _ = tasks.stop(id, false);
    let _ = tasks.mark_read(&[id]);
    let _ = tasks.prune(RetentionPolicy { count: 0, age: Duration::ZERO });
    let removed = tasks.remove(id);
    assert!(!runs || removed.is_err() || !directory(env, id).exists());
}

mod fuzz {
    use super::*;
    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn whatever_a_record_says_nothing_is_signalled_or_deleted_that_is_not_its_own(
            changes in proptest::collection::vec((proptest::sample::select(&FIELDS[..]), anything(3)), 0..6),
            whole in proptest::option::weighted(0.2, anything(4)),
            bytes in proptest::option::weighted(0.2, proptest::collection::vec(any::<u8>(), 0..400)),
            states in (0usize..5, any::<bool>(), any::<bool>(), any::<bool>()),
        ) {
            thread_local! {
                static ENV: (Environment, Value) = {
                    let env = Environment::new();
                    let record = record_of(&env.run("exit 0"));
                    (env, record)
                };
            }
            let (state, locked, is_shim, has_start) = states;
            ENV.with(|(env, record)| {
                let mut strangers = [Stranger::bare(), Stranger::with(&[("AIW_TASK_ID", record["id"].as_str().unwrap())])];
                let id: ProcessId = record["id"].as_str().unwrap().parse().unwrap();
                let outside = env.path("aiw-file-1-2-x.json");
                fs::write(&outside, "").unwrap();
                let mut record = record.clone();
                record["state"] = json!(["queued", "starting", "running", "stopping", "ended"][state]);
                record["files"] = json!([outside, env.path("..").join("x"), "/dev/shm/aiw-file-x"]);
                record["child"] = strangers[0].pid();
                record[if is_shim { "shim" } else { "child" }] = strangers[1].pid();
                if !has_start {
                    record["shim"]["start"] = json!(0);
                    record["child"]["start"] = json!(0);
                }
                for (field, value) in changes {
                    record[field] = value;
                }
                let bytes = bytes.unwrap_or_else(|| serde_json::to_vec(&whole.unwrap_or(record)).unwrap());
                let path = directory(env, id);
                fs::create_dir_all(&path).unwrap();
                fs::write(path.join("task.json"), bytes).unwrap();
                fs::write(path.join("alive"), "").unwrap();
                let held = locked.then(|| lock(env, id));
                do_all(env, id, held.is_some());
                drop(held);
                do_all(env, id, false);
                for stranger in &mut strangers {
                    stranger.assert_lives("a forged record");
                }
                assert!(outside.exists() && env.home().join("tasks").is_dir());
            });
        }
    }
}
