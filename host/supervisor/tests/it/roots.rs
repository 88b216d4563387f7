//! Roots that are directories, and several kinds of processes.

use std::fs::{File, FileTimes};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};

use aiw_home::Home;
use aiw_supervisor::{
    Namespace, NewProcess, Outcome, ProcessScope, Processes, QueueLimit, Root, State, SupervisorError,
};

use crate::environment::{Environment, SERVERS, is_running, program, shim, wait_for};

const JOBS: Namespace = Namespace::new("jobs", "job.json", "job", ["TEST_JOB_ID", "TEST_JOB_INSTANCE"]);

fn of(env: &Environment, names: Namespace, root: Root) -> Processes {
    let all = Processes::open(&Home::from_root(env.path("home")), names, ProcessScope::Root(root)).unwrap();
    all.with_runtime(env.path("run")).with_grace(Duration::from_millis(300))
}

/// Returns the segments of directories that are there, by their links.
fn links(env: &Environment) -> Vec<PathBuf> {
    let all = std::fs::read_dir(env.path("run")).unwrap().map(|entry| entry.unwrap().path());
    let is_link =
        |path: &PathBuf| path.extension().is_none() && path.file_name().unwrap().to_str().unwrap().starts_with('d');
    all.filter(is_link).collect()
}

#[test]
fn processes_of_a_directory_need_no_process_above_them() {
    let env = Environment::new();
    for name in ["one", "two"] {
        std::fs::create_dir(env.path(name)).unwrap();
    }
    std::os::unix::fs::symlink(env.path("one"), env.path("link")).unwrap();
    let at = |name: &str| of(&env, SERVERS, Root::for_directory(&env.path(name)).unwrap());
    let queue = QueueLimit { limit: 1, may_queue: false };
    let one = at("one").start(shim(), NewProcess::new("/"), program("exec sleep 1000"), queue).unwrap();
    assert_eq!((one.record.root, one.record.root.pid()), (Root::for_directory(&env.path("link")).unwrap(), None));
    // The limit is that of one root.
    let two = at("two").start(shim(), NewProcess::new("/"), program("exec sleep 1000"), queue).unwrap();
    let refused = at("link").start(shim(), NewProcess::new("/"), program("exit 0"), queue).unwrap_err();
    assert!(matches!(refused, SupervisorError::LimitReached { limit: 1, .. }), "{refused}");
    assert_eq!(refused.to_string(), "1 servers run already");
    let ids = |processes: Processes| processes.list().unwrap().iter().map(|one| one.record.id).collect::<Vec<_>>();
    assert_eq!((ids(at("link")), ids(at("two"))), (vec![one.record.id], vec![two.record.id]));
    assert!(ids(env.servers()).is_empty());
    at("one").check().unwrap();
    for one in [one, two] {
        let stopped = env.servers().scoped(ProcessScope::All).stop(one.record.id, true).unwrap();
        assert!(matches!(stopped, aiw_supervisor::StopOutcome::Ended(_)));
    }
    // Segments without processes stay for those to come, and are not kept for ever.
    env.servers().sweep().unwrap();
    assert_eq!(links(&env).len(), 2);
    let long_ago = FileTimes::new().set_modified(SystemTime::now() - Duration::from_secs(2 * 24 * 3600));
    let one = at("one").start(shim(), NewProcess::new("/"), program("exec sleep 1000"), queue).unwrap();
    for link in links(&env) {
        File::options().write(true).open(link).unwrap().set_times(long_ago).unwrap();
    }
    env.servers().sweep().unwrap();
    assert_eq!(links(&env).len(), 1);
    assert_eq!(at("one").get(one.record.id).unwrap().record.state, State::Running);
    at("one").stop(one.record.id, true).unwrap();
    env.servers().sweep().unwrap();
    assert!(links(&env).is_empty());
}

#[test]
fn the_next_version_sees_reads_and_stops_what_runs_under_this_one() {
    let env = Environment::new();
    let next = env.path("aiw-next");
    // Copied by another process: while this process has a file open for writing, its other children briefly have it
    // open too.
    assert!(Command::new("cp").arg(shim()).arg(&next).status().unwrap().success());
    let at = of(&env, aiw_supervisor::testing::NAMES, Root::for_directory(&env.path("")).unwrap());
    let queue = QueueLimit::default();
    let one = at.start(shim(), NewProcess::new("/"), program("echo first; exec sleep 1000"), queue).unwrap();
    let id = one.record.id;
    let lines = || at.log(id).unwrap().tail(usize::MAX).unwrap();
    wait_for(|| lines().iter().any(|line| line.bytes == b"first").then_some(()));
    let old = one.record.child.unwrap().pid;
    let mut taking = Command::new(&next);
    taking.arg("take-over").args([env.path("home"), env.path("run"), env.path("")]).arg(id.as_str());
    let output = taking.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.starts_with(&format!("Running {id}\n")) && said.contains("first\n"), "{said}");
    assert!(said.ends_with("Ended\nRunning 1\n"), "{said}");
    assert!(!is_running(old));
    // This version sees what the next one has started, with both lives in one log, and stops it.
    assert_eq!(at.get(id).unwrap().record.state, State::Running);
    wait_for(|| lines().iter().any(|line| line.bytes == b"again").then_some(()));
    assert!(lines().iter().any(|line| line.bytes == b"first"));
    at.stop(id, true).unwrap();
    for link in links(&env) {
        let segment = std::fs::read_to_string(link).unwrap();
        let _ = std::fs::remove_file(std::path::Path::new("/dev/shm").join(segment.trim_start_matches('/')));
    }
}

#[test]
fn a_shim_does_for_a_process_what_its_kind_needs() {
    let env = Environment::new();
    let jobs = of(&env, JOBS, Root::for_directory(&env.path("")).unwrap());
    let job = jobs.start(shim(), NewProcess::new("/"), program("echo one; echo yes"), QueueLimit::default()).unwrap();
    let ended = wait_for(|| Some(jobs.get(job.record.id).unwrap()).filter(|one| one.record.state == State::Ended));
    assert_eq!((&ended.record.labels["lines"], ended.record.outcome), (&2.into(), Some(Outcome::Succeeded)));
    // A server has an interpreter only where its labels say so.
    let server = env.ended(env.start(NewProcess::new("/"), "echo one; echo yes").record.id);
    assert!(server.record.labels.is_empty());
    // Processes of an unknown kind are only supervised.
    let tested = of(&env, aiw_supervisor::testing::NAMES, Root::for_pid(std::process::id()));
    let one = tested.start(shim(), NewProcess::new("/"), program("echo no"), QueueLimit::default()).unwrap();
    let ended = wait_for(|| Some(tested.get(one.record.id).unwrap()).filter(|one| one.record.state == State::Ended));
    assert_eq!((ended.record.labels.is_empty(), ended.record.outcome), (true, Some(Outcome::Succeeded)));
    let absent = jobs.get(one.record.id).unwrap_err();
    assert_eq!(absent.to_string(), format!("there is no job `{}`", one.record.id));
    for link in links(&env) {
        File::options()
            .write(true)
            .open(link)
            .unwrap()
            .set_times(FileTimes::new().set_modified(SystemTime::UNIX_EPOCH))
            .unwrap();
    }
    jobs.sweep().unwrap();
    assert!(links(&env).is_empty());
}

#[test]
fn a_directory_takes_no_segment_from_another_one_of_its_name() {
    let env = Environment::new();
    let (one, two) = (Root::Directory { digest: 5 }, Root::Directory { digest: 5 + 36_u64.pow(6) });
    assert_eq!(one.to_string(), two.to_string());
    let start = |root: Root, script: &str| {
        of(&env, SERVERS, root).start(shim(), NewProcess::new("/"), program(script), QueueLimit::default())
    };
    let running = start(one, "exec sleep 1000").unwrap().record.id;
    let refused = start(two, "exit 0").unwrap_err().to_string();
    assert!(refused.ends_with("belongs to another directory, whose processes still run"), "{refused}");
    let first = of(&env, SERVERS, one);
    assert_eq!(first.list().unwrap()[0].record.state, State::Running);
    first.stop(running, true).unwrap();
    // A segment without processes may be replaced.
    env.ended(start(two, "exit 0").unwrap().record.id);
}
