//! The life of a task, from start to end.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use aiw_core::{Diagnostic, ErrorKind};
use aiw_supervisor::SupervisorError;
use aiw_tasks::{
    FollowFrom, INSTANCE_VARIABLE, NamedFile, NewProcess, Outcome, PassedFile, ProcessScope, Program, QueueLimit,
    ResourceLimits, RetentionPolicy, Root, State, Stream, TASK_VARIABLE, TaskError, TaskStop, WaitMode, memory_path,
};
use rustix::process::Signal;

use crate::environment::{
    Environment, NewTask, assert_ended, is_running, kill, program, record_of, shim, shim_of, swept, task,
};

#[test]
fn exit_codes_are_what_they_are() {
    let env = Environment::new();
    for (code, outcome) in
        [(0, Outcome::Succeeded), (1, Outcome::Failed), (137, Outcome::Failed), (143, Outcome::Failed)]
    {
        assert_ended(&env.run(&format!("exit {code}")), outcome, Some(code), None);
    }
    assert_ended(&env.run("kill -SEGV $$"), Outcome::Signalled, None, Some(11));
}

#[test]
fn a_task_is_what_was_said_of_it() {
    let env = Environment::new();
    let started = env.start("sleep 100");
    assert_eq!(started.state, State::Running);
    assert_eq!(
        (started.about.prompt.as_str(), started.about.provider.as_deref()),
        ("fix the failing test", Some("openrouter"))
    );
    assert!(is_running(started.pid.unwrap()) && !started.unread);
    assert_eq!(env.tasks().list().unwrap(), [env.tasks().get(started.id).unwrap()]);
    assert_eq!(env.tasks().find_by_pid(started.pid.unwrap()).unwrap().id, started.id);
    let other = env.of(ProcessScope::Root(Root::Process { pid: 1, start: 0 }));
    assert_eq!(other.list().unwrap(), []);
    let directory = started.log.parent().unwrap();
    assert_eq!(directory.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    for name in ["task.json", "prompt", "log", "alive"] {
        assert_eq!(directory.join(name).metadata().unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    assert!(matches!(env.tasks().remove(started.id), Err(TaskError::Process(SupervisorError::StillRunning { .. }))));
    let TaskStop::Ended(stopped) = env.tasks().stop(started.id, true).unwrap() else { panic!() };
    assert_ended(&stopped, Outcome::Signalled, None, Some(15));
    assert!(matches!(env.tasks().stop(started.id, true).unwrap(), TaskStop::AlreadyEnded(_)));
    assert!(stopped.unread);
    env.tasks().mark_read(&[started.id]).unwrap();
    assert!(!env.tasks().get(started.id).unwrap().unread);
    env.tasks().remove(started.id).unwrap();
    assert_eq!(env.tasks().get(started.id).unwrap_err().kind(), ErrorKind::User);
}

#[test]
fn who_ignores_sigterm_is_killed_after_the_grace() {
    let mut env = Environment::new();
    env.grace = Duration::from_millis(200);
    let task = env.start("trap '' TERM; echo ready; while :; do sleep 1; done");
    crate::environment::wait_for(|| (!env.stdout(task.id).is_empty()).then_some(()));
    let TaskStop::Ended(task) = env.tasks().stop(task.id, true).unwrap() else { panic!() };
    assert_ended(&task, Outcome::Signalled, None, Some(9));
}

#[test]
fn a_cli_that_ends_with_0_when_stopped_has_not_succeeded() {
    let env = Environment::new();
    let task = env.start("trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done");
    crate::environment::wait_for(|| (!env.stdout(task.id).is_empty()).then_some(()));
    env.tasks().stop(task.id, false).unwrap();
    assert_ended(&env.ended(task.id), Outcome::Signalled, Some(0), Some(15));
}

#[test]
fn a_timeout_is_called_one() {
    let mut env = Environment::new();
    env.grace = Duration::from_millis(100);
    for (script, code, signal) in
        [("exec sleep 100", None, Some(15)), ("trap 'exit 3' TERM; while :; do sleep 0.01; done", Some(3), None)]
    {
        let process = NewProcess { timeout: Some(Duration::from_millis(300)), ..task().process };
        let new = NewTask { process, ..task() };
        let task = env.try_start(new, program(script), QueueLimit::default()).unwrap();
        assert_ended(&env.ended(task.id), Outcome::Timeout, code, signal);
    }
}

#[test]
fn the_stream_has_a_say() {
    let env = Environment::new();
    let good = env.run("echo session s-1; echo final done and dusted; echo verdict good");
    assert_ended(&good, Outcome::Succeeded, Some(0), None);
    assert_eq!(
        (good.about.session.as_deref(), good.about.final_message.as_deref()),
        (Some("s-1"), Some("done and dusted"))
    );
    assert_eq!((good.about.usage.unwrap().input, good.about.cost_usd), (7, Some(0.25)));
    assert_ended(&env.run("echo session s; echo verdict bad"), Outcome::Failed, Some(0), None);
    let cut = env.run("echo session s");
    assert_ended(&cut, Outcome::Failed, Some(0), None);
    assert_eq!(cut.note.as_deref(), Some("it ended with exit code 0, but without its last record"));
    let defect = env.run("echo panic now; echo after");
    assert_eq!(env.stdout(defect.id), ["panic now", "after"]);
    assert_ended(&defect, Outcome::Succeeded, Some(0), None);
}

#[test]
fn who_leaves_the_group_is_ended_too() {
    let env = Environment::new();
    let away = env.path("away");
    let script = format!(
        "setsid sh -c 'trap \"\" TERM; (setsid sleep 1000 & echo $! > {0}.2); echo $$ > {0}; while :; do sleep 1; done' & \
         while [ ! -s {0} ]; do sleep 0.01; done; exit 0",
        away.display()
    );
    let task = env.run(&script);
    assert_ended(&task, Outcome::Succeeded, Some(0), None);
    for name in ["away", "away.2"] {
        assert!(!is_running(env.file(name).trim().parse().unwrap()), "{name}");
    }
}

#[test]
fn what_has_an_open_pipe_holds_nobody() {
    let env = Environment::new();
    let script = "(trap '' TERM HUP; while :; do echo again; done) & echo mine; exit 4";
    assert_ended(&env.run(script), Outcome::Failed, Some(4), None);
}

#[test]
fn the_prompt_arrives_byte_for_byte() {
    let env = Environment::new();
    let long: Vec<u8> = (0..2 << 20).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for prompt in [&b""[..], b"  ", b"-x 'a\" $(b) \0\xff\xfe\n", &long] {
        let copy = env.path("copy");
        let program = Program { stdin: prompt.to_vec(), ..program(&format!("cat > {}; wc -c", copy.display())) };
        let task = env.try_start(task(), program, QueueLimit::default()).unwrap();
        assert_ended(&env.ended(task.id), Outcome::Succeeded, Some(0), None);
        assert!(std::fs::read(&copy).unwrap() == prompt);
        assert!(std::fs::read(task.log.with_file_name("prompt")).unwrap() == prompt);
    }
}

#[test]
fn the_child_has_its_environment_and_files_and_nothing_else() {
    let env = Environment::new();
    let files = vec![
        PassedFile { fd: 4, bytes: b"four\0\xff".to_vec() },
        PassedFile { fd: 3, bytes: b"three".to_vec() },
        PassedFile { fd: 200, bytes: vec![b'x'; 100_000] },
    ];
    let environment = vec![("A".into(), "b c".into()), ("PATH".into(), std::env::var_os("PATH").unwrap())];
    let script = "env | grep -v '^_=\\|^PWD=\\|^SHLVL=\\|^OLDPWD=' | sort; cat /proc/self/fd/3; echo; wc -c < /proc/self/fd/4; wc -c < /proc/self/fd/200; \
                  ls /proc/self/fd; ulimit -c; pwd";
    let new = NewTask { process: NewProcess::new(env.home().parent().unwrap()), ..task() };
    let cwd = new.process.cwd.canonicalize().unwrap();
    let task = env.try_start(new, Program { files, environment, ..program(script) }, QueueLimit::default()).unwrap();
    env.ended(task.id);
    let path = format!("PATH={}", std::env::var("PATH").unwrap());
    let mark = format!("{TASK_VARIABLE}={}", task.id);
    let instance = format!("{INSTANCE_VARIABLE}={:016x}", record_of(&task)["instance"].as_u64().unwrap());
    let core =
        String::from_utf8(std::process::Command::new("sh").args(["-c", "ulimit -c"]).output().unwrap().stdout).unwrap();
    let mut seen = env.stdout(task.id);
    // Without the descriptor through which `ls` itself reads the directory.
    let fds: Vec<String> = seen.drain(7..seen.len() - 2).collect();
    let fds: Vec<&str> = fds.iter().map(String::as_str).filter(|fd| !["5", "6", "7"].contains(fd)).collect();
    let mut fds: Vec<u32> = fds.iter().map(|fd| fd.parse().unwrap()).collect();
    fds.sort_unstable();
    assert_eq!(fds, [0, 1, 2, 3, 4, 200]);
    assert_eq!(seen, ["A=b c", &mark, &instance, &path, "three", "6", "100000", core.trim(), cwd.to_str().unwrap()]);
}

#[test]
fn a_named_file_is_private_and_goes_with_the_cli_or_with_the_sweep() {
    let env = Environment::new();
    // In memory and, as on a system without a file system in memory, in the runtime directory.
    let new = || memory_path().unwrap();
    let on_disk = || env.runtime().join(new().file_name().unwrap());
    let (prints, waits) = ("stat -c %a", "sleep 100; cat");
    for (script, path) in [(prints, new()), (waits, new()), (prints, on_disk()), (waits, on_disk())] {
        let killed = script == waits;
        let mut program = program(&format!("{script} {}", path.display()));
        program.named_files.push(NamedFile { path: path.clone(), bytes: b"one".to_vec() });
        let task = env.try_start(task(), program, QueueLimit::default()).unwrap();
        if killed {
            assert_eq!(std::fs::read(&path).unwrap(), b"one");
            kill(shim_of(&task), Signal::KILL);
        } else {
            env.ended(task.id);
            assert_eq!(env.stdout(task.id), ["600"]);
        }
        env.ended(task.id);
        assert!(!path.exists());
    }
    let mut program = program("true");
    program.named_files.push(NamedFile { path: env.home().join("task.json"), bytes: Vec::new() });
    assert!(matches!(
        env.try_start(task(), program, QueueLimit::default()),
        Err(TaskError::Process(SupervisorError::InvalidValue { .. }))
    ));
}

#[test]
fn a_named_file_whose_maker_is_dead_is_swept_away() {
    let env = Environment::new();
    let ours = memory_path().unwrap();
    let mut maker =
        std::process::Command::new("sleep").arg("1000").stdout(std::process::Stdio::null()).spawn().unwrap();
    let Root::Process { pid, start } = Root::for_pid(maker.id()) else { panic!() };
    let path = |word: &str| ours.with_file_name(format!("aiw-file-{pid}-{start}-{word}.json"));
    let stranger = ours.with_file_name(format!("aiw-file-{pid}-{start}.json"));
    // A file of a task in this home, one of a task in another home, and one of no task.
    let (here, there, left) = (path("here"), path("there"), path("left"));
    let other = Environment::new();
    for (env, path) in [(&env, &here), (&other, &there)] {
        let mut program = program("sleep 1000");
        program.named_files.push(NamedFile { path: path.clone(), bytes: b"one".to_vec() });
        env.try_start(task(), program, QueueLimit::default()).unwrap();
    }
    for path in [&ours, &left, &stranger] {
        std::fs::write(path, "x").unwrap();
    }
    swept(&env.tasks());
    assert!(left.exists());
    maker.kill().unwrap();
    maker.wait().unwrap();
    swept(&env.tasks());
    assert_eq!([&left, &ours, &here, &there, &stranger].map(|path| path.exists()), [false, true, true, true, true]);
    for path in [&ours, &stranger] {
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn secrets_are_on_no_command_line_and_in_no_file() {
    let env = Environment::new();
    let secret = "canary-7c1f";
    let mut program = program("sleep 100");
    program.environment.push(("KEY".into(), secret.into()));
    program.stdin = b"the prompt".to_vec();
    program.files.push(PassedFile { fd: 5, bytes: secret.into() });
    let task = env.try_start(task(), program, QueueLimit::default()).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", task.pid.unwrap())).unwrap();
    let shim: u32 = stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().parse().unwrap();
    for file in [
        format!("/proc/{shim}/cmdline"),
        format!("/proc/{shim}/environ"),
        format!("/proc/{}/cmdline", task.pid.unwrap()),
    ] {
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        assert!(!text.contains(secret) && !text.contains("the prompt"), "{file}: {text}");
    }
    let directory = task.log.parent().unwrap();
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        assert!(!String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()).contains(secret), "{entry:?}");
    }
    for segment in env.segments() {
        assert!(!String::from_utf8_lossy(&std::fs::read(segment).unwrap()).contains(secret));
    }
    env.tasks().stop(task.id, true).unwrap();
}

#[test]
fn a_shim_hides_its_memory_and_is_known_all_the_same() {
    use std::os::unix::process::CommandExt;
    let env = Environment::new();
    // Root may read everything, so this test runs as another user.
    let user = rustix::process::geteuid();
    let user = if user.is_root() { 65534 } else { user.as_raw() };
    let directory = env.path("");
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o777)).unwrap();
    let start = |script: &str| {
        format!(
            "{} start {} {} {} 1 64 '{script}'",
            shim().display(),
            env.home().display(),
            env.runtime().display(),
            env.root
        )
    };
    let id = env.path("id");
    let script = start(&format!("{} > {}", start("exec sleep 1000").replace('\'', "\""), id.display()));
    let run = |program: &str, arguments: &[&str]| {
        let mut command = std::process::Command::new(program);
        command.args(arguments).current_dir("/").uid(user).output().unwrap()
    };
    if run("/bin/sh", &["-c", &format!("test -x {}", shim().display())]).status.code() != Some(0) {
        // The binary is in a directory that the other user cannot read.
        return;
    }
    let outer = String::from_utf8(run("/bin/sh", &["-c", &script]).stdout).unwrap();
    assert_ended(&env.ended(outer.trim().parse().unwrap()), Outcome::Succeeded, Some(0), None);
    // The outer shim did not end the inner shim as a leftover.
    let inner = env.tasks().get(env.file("id").trim().parse().unwrap()).unwrap();
    assert_eq!(inner.state, State::Running);
    assert!(!run("cat", &[&format!("/proc/{}/environ", shim_of(&inner))]).status.success());
    // The CLI's memory is not hidden.
    assert!(run("cat", &[&format!("/proc/{}/environ", inner.pid.unwrap())]).status.success());
    env.tasks().stop(inner.id, true).unwrap();
}

#[test]
fn a_supervisor_that_proc_hides_is_asked_and_not_signalled() {
    use std::os::unix::process::CommandExt;
    let env = Environment::new();
    std::fs::set_permissions(env.path(""), std::fs::Permissions::from_mode(0o777)).unwrap();
    let copy = env.path("shim");
    // Copied by another process: while this process has a file open for writing, its other children briefly have it
    // open too.
    assert!(std::process::Command::new("cp").arg(shim()).arg(&copy).status().unwrap().success());
    let run = |command: &str, last: &[&str]| {
        // Only root may mount, and nothing is hidden from root, so the command runs as another user.
        let script =
            "mount -t proc -o hidepid=2 proc /proc && exec setpriv --reuid 65534 --regid 65534 --clear-groups \"$@\"";
        let mut run = std::process::Command::new("unshare");
        run.args(["-m", "sh", "-c", script, "sh"]).arg(&copy).arg(command).args([env.home(), env.runtime()]);
        run.arg(env.root.to_string()).args(last).current_dir("/").process_group(0);
        run.output().ok().filter(|output| output.status.success())
    };
    let Some(started) = run("start", &["1", "64", "exec sleep 1000"]) else { return };
    let id = String::from_utf8(started.stdout).unwrap().trim().to_owned();
    let stopped = run("stop", &[&id]).unwrap();
    assert_eq!(String::from_utf8(stopped.stdout).unwrap(), "Some(Signalled)\n");
    let task = env.tasks().get(id.parse().unwrap()).unwrap();
    assert_ended(&task, Outcome::Signalled, None, Some(15));
}

#[test]
fn what_cannot_be_started_says_why() {
    let env = Environment::new();
    let missing = Program { path: "/no/such".into(), ..program("") };
    let error = env.try_start(task(), missing, QueueLimit::default()).unwrap_err();
    assert_eq!(error.to_string(), "cannot start `/no/such`: No such file or directory (os error 2)");
    let TaskError::Process(SupervisorError::NotStarted { id, .. }) = error else { panic!() };
    let record = env.tasks().get(id).unwrap();
    assert_ended(&record, Outcome::Failed, None, None);
    assert_eq!(record.note.as_deref(), Some("`/no/such` could not be started: No such file or directory (os error 2)"));
    let nowhere = NewTask { process: NewProcess::new("/no/where"), ..task() };
    let error = env.try_start(nowhere, program(""), QueueLimit::default()).unwrap_err();
    assert_eq!(error.to_string(), "cannot work in `/no/where`: No such file or directory (os error 2)");
    let deep = NewTask { process: NewProcess { depth: 4, ..task().process }, ..task() };
    let deep = env.try_start(deep, program(""), QueueLimit::default()).unwrap_err();
    assert_eq!(deep.to_string(), "tasks may start tasks only 3 deep, and this would be number 4");
    for (program, message) in [
        (
            Program { arguments: vec!["a\0b".into()], ..program("") },
            "argument 1 contains a NUL character; standard input may",
        ),
        (Program { environment: vec![("A=B".into(), "".into())], ..program("") }, "`A=B` is not a name of a variable"),
        (
            Program { files: vec![PassedFile { fd: 2, bytes: vec![] }], ..program("") },
            "2 is not a number for a passed file: each has its own, from 3 to 255",
        ),
    ] {
        assert_eq!(env.try_start(task(), program, QueueLimit::default()).unwrap_err().to_string(), message);
    }
    let about = task().about;
    let error = env
        .tasks()
        .start("/bin/true".as_ref(), &about, task().process, program(""), QueueLimit::default())
        .unwrap_err();
    assert!(error.to_string().starts_with("the task's supervisor did not start: "), "{error}");
    assert!(matches!(
        env.of(ProcessScope::All).start(shim(), &about, task().process, program(""), QueueLimit::default()),
        Err(TaskError::Process(SupervisorError::MissingRoot { .. }))
    ));
    // Only a task that already had its directory is listed.
    assert_eq!(env.tasks().list().unwrap().len(), 1);
}

#[test]
fn limits_that_cannot_be_kept_are_said_to_be_none() {
    let env = Environment::new();
    let limits = ResourceLimits { memory: Some(1 << 30), cpu_percent: Some(50), ..ResourceLimits::default() };
    let task = env.try_start(task(), Program { limits, ..program("exit 0") }, QueueLimit::default()).unwrap();
    let task = env.ended(task.id);
    assert_ended(&task, Outcome::Succeeded, Some(0), None);
    if let Some(note) = task.note {
        assert!(note.starts_with("memory and processor are not limited: "), "{note}");
    }
}

#[test]
fn waiting_can_be_cut_short() {
    let env = Environment::new();
    let (long, short) = (env.start("sleep 100"), env.start("exit 0"));
    let wait = |mode, deadline, cancelled| {
        let cancelled = AtomicBool::new(cancelled);
        env.tasks().wait(&[long.id, short.id], mode, deadline, &cancelled, &mut |_| {}).unwrap()
    };
    let any = wait(WaitMode::Any, None, false);
    assert!(any.done && any.processes[1].state == State::Ended && any.processes[0].state == State::Running);
    let soon = wait(WaitMode::All, Some(Instant::now() + Duration::from_millis(20)), false);
    assert!(!soon.done && !soon.cancelled);
    let cancelled = wait(WaitMode::All, None, true);
    assert!(!cancelled.done && cancelled.cancelled);
    let mut states = Vec::new();
    env.tasks().stop(long.id, false).unwrap();
    env.tasks()
        .wait(&[long.id], WaitMode::All, None, &AtomicBool::new(false), &mut |tasks| states.push(tasks[0].state))
        .unwrap();
    assert_eq!(states.last(), Some(&State::Ended));
}

#[test]
fn a_task_that_is_removed_meanwhile_ends_no_wait() {
    let env = Environment::new();
    let (long, short) = (env.start("sleep 100"), env.run("exit 3"));
    let mut calls = 0;
    let waited = env
        .tasks()
        .wait(&[short.id, long.id], WaitMode::All, None, &AtomicBool::new(false), &mut |_| {
            calls += 1;
            if calls == 1 {
                env.tasks().remove(short.id).unwrap();
                env.tasks().stop(long.id, true).unwrap();
                env.tasks().remove(long.id).unwrap();
            }
        })
        .unwrap();
    assert!(waited.done);
    assert_ended(&waited.processes[0], Outcome::Failed, Some(3), None);
    assert_ended(&waited.processes[1], Outcome::Lost, None, None);
    env.tasks().mark_read(&[short.id, long.id]).unwrap();
    let never = env.tasks().wait(&[short.id], WaitMode::All, None, &AtomicBool::new(false), &mut |_| {});
    assert!(matches!(never, Err(TaskError::TaskNotFound { .. })));
}

#[test]
fn a_log_is_followed_to_its_end() {
    let env = Environment::new();
    let task = env.start("for i in 1 2 3; do echo line $i; sleep 0.05; done; printf end >&2");
    let mut follow = env.tasks().log(task.id).unwrap().follow(FollowFrom::Start).unwrap();
    let mut seen = Vec::new();
    loop {
        let ended = env.tasks().get(task.id).unwrap().state == State::Ended;
        let entries = follow.next(Duration::from_millis(200)).unwrap();
        if entries.is_empty() && ended {
            break;
        }
        seen.extend(entries);
    }
    seen.extend(follow.finish());
    let text: Vec<(Stream, String)> =
        seen.into_iter().map(|e| (e.stream, String::from_utf8(e.bytes).unwrap())).collect();
    let lines: Vec<&str> = text.iter().filter(|(s, _)| *s == Stream::Stdout).map(|(_, t)| t.as_str()).collect();
    assert_eq!(lines, ["line 1", "line 2", "line 3"]);
    assert!(text.contains(&(Stream::Stderr, "end".into())));
    assert!(text.contains(&(Stream::Aiw, "ended: succeeded, exit code 0".into())));
}

#[test]
fn the_end_of_a_task_wakes_its_follower() {
    let env = Environment::new();
    for _ in 0..12 {
        let task = env.start("true");
        let tasks = env.tasks();
        let following = std::thread::spawn(move || {
            let mut follow = tasks.log(task.id).unwrap().follow(FollowFrom::Start).unwrap();
            while tasks.get(task.id).unwrap().state != State::Ended {
                follow.next(Duration::from_secs(3600)).unwrap();
            }
        });
        crate::environment::wait_for(|| following.is_finished().then_some(()));
        following.join().unwrap();
    }
}

#[test]
fn ended_tasks_are_kept_by_number_and_age() {
    let env = Environment::new();
    let mut ids: Vec<_> = (0..4).map(|_| env.run("exit 0").id).collect();
    ids.push(env.start("sleep 100").id);
    env.tasks().mark_read(&ids).unwrap();
    let keep = RetentionPolicy { count: 2, age: Duration::from_secs(3600) };
    assert_eq!(env.tasks().prune(keep).unwrap().len(), 2);
    let left: Vec<_> = env.tasks().list().unwrap().iter().map(|task| task.id).collect();
    assert_eq!(left, ids[2..]);
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!(env.tasks().prune(RetentionPolicy { count: 9, age: Duration::ZERO }).unwrap().len(), 2);
    assert_eq!(env.tasks().list().unwrap().len(), 1);
    env.tasks().stop(ids[4], true).unwrap();
}

#[test]
fn what_another_version_wrote_is_left_alone() {
    let env = Environment::new();
    let ids: Vec<_> = (0..5).map(|_| env.run("exit 0").id).collect();
    let path = |at: usize| env.home().join("tasks").join(ids[at].as_str()).join("task.json");
    let text = |at: usize| std::fs::read_to_string(path(at)).unwrap();
    let word = text(0).replace("\"ended\",", "\"paused\",");
    let version = text(1).replace("\"version\":1", "\"version\":2");
    assert!(word != text(0) && version != text(1));
    std::fs::write(path(0), &word).unwrap();
    std::fs::write(path(1), &version).unwrap();
    std::fs::remove_file(path(2)).unwrap();
    // As if the record could not be read for a moment.
    std::fs::remove_file(path(3)).unwrap();
    std::fs::create_dir(path(3)).unwrap();
    let old = std::time::SystemTime::now() - Duration::from_secs(3 * 24 * 3600);
    let age = |at: usize| std::fs::File::open(path(at).parent().unwrap()).unwrap().set_modified(old).unwrap();
    [0, 1, 3].into_iter().for_each(age);
    std::thread::sleep(Duration::from_millis(5));
    // A directory without a record may be in the making.
    assert_eq!(env.tasks().prune(RetentionPolicy { count: 9, age: Duration::ZERO }).unwrap(), [ids[4]]);
    assert_eq!((text(0), text(1)), (word, version));
    assert!(path(2).parent().unwrap().exists() && path(3).exists());
    assert_eq!(env.tasks().list().unwrap(), []);
    let error = env.tasks().get(ids[1]).unwrap_err();
    assert!(error.to_string().ends_with("cannot be read: a newer version of aiw has written its record"), "{error}");
    age(2);
    assert_eq!(env.tasks().prune(RetentionPolicy::default()).unwrap(), [ids[2]]);
}

#[test]
fn fields_of_a_newer_aiw_survive_a_sweep() {
    let env = Environment::new();
    let task = env.start("sleep 100");
    let path = task.log.with_file_name("task.json");
    kill(shim_of(&task), Signal::KILL);
    let text = std::fs::read_to_string(&path).unwrap().replacen('{', "{\"color\":{\"of\":[\"it\",7]},", 1);
    std::fs::write(&path, text).unwrap();
    assert_eq!(env.ended(task.id).outcome, Some(Outcome::Lost));
    assert!(std::fs::read_to_string(&path).unwrap().contains("\"color\":{\"of\":[\"it\",7]}"));
}

#[test]
fn tasks_that_a_task_started_outlive_it() {
    let env = Environment::new();
    let script = format!(
        "{} start {} {} {} 1 64 'echo $$ > {}; exec sleep 1000' > {}",
        shim().display(),
        env.home().display(),
        env.runtime().display(),
        env.root,
        env.path("inner").display(),
        env.path("id").display()
    );
    assert_ended(&env.run(&script), Outcome::Succeeded, Some(0), None);
    let inner = env.file("inner").trim().parse().unwrap();
    assert!(is_running(inner));
    let id = env.file("id").trim().parse().unwrap();
    assert_eq!(env.tasks().get(id).unwrap().state, State::Running);
    env.tasks().stop(id, true).unwrap();
    assert!(!is_running(inner));
}
