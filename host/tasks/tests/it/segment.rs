//! Segments that are damaged or not private.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::sync::atomic::AtomicBool;

use aiw_core::Diagnostic;
use aiw_supervisor::SupervisorError;
use aiw_tasks::{Outcome, State, TaskError, WaitMode};

use crate::environment::{Environment, assert_ended, program, task, wait_for};

/// Returns a session with an empty segment.
fn used() -> Environment {
    let env = Environment::new();
    env.run("exit 0");
    env.tasks().check().unwrap();
    env
}

fn assert_works(env: &Environment) {
    assert_ended(&env.run("exit 0"), Outcome::Succeeded, Some(0), None);
    env.tasks().check().unwrap();
    assert_eq!(env.segments().len(), 1);
}

#[test]
fn a_truncated_segment_is_named_and_the_next_start_makes_another() {
    let env = used();
    fs::OpenOptions::new().write(true).open(&env.segments()[0]).unwrap().set_len(100).unwrap();
    let error = env.tasks().check().unwrap_err();
    assert!(error.to_string().ends_with(": it is truncated"), "{error}");
    assert_eq!(env.tasks().list().unwrap().len(), 1);
    assert_works(&env);
}

#[test]
fn garbage_and_other_versions_are_refused_and_replaced() {
    for bytes in [&b"garbage!"[..], &0x6169_775f_7461_0003_u64.to_le_bytes(), &[0; 8]] {
        let env = used();
        let file = fs::OpenOptions::new().write(true).open(&env.segments()[0]).unwrap();
        file.write_all_at(bytes, 0).unwrap();
        let error = env.tasks().check().unwrap_err();
        assert!(error.to_string().ends_with("it is not of this version of aiw, or was never finished"), "{error}");
        assert_works(&env);
    }
}

#[test]
fn a_segment_that_is_cut_off_in_use_ends_nobody() {
    let env = Environment::new();
    let task = env.start("sleep 600");
    let (tasks, id) = (env.tasks(), task.id);
    let waiting = std::thread::spawn(move || {
        tasks.wait(&[id], WaitMode::All, None, &AtomicBool::new(false), &mut |_| {}).unwrap()
    });
    std::thread::sleep(std::time::Duration::from_millis(100));
    fs::OpenOptions::new().write(true).open(&env.segments()[0]).unwrap().set_len(0).unwrap();
    // A new segment is created, and its limit counts the task that already existed.
    assert_works(&env);
    assert_eq!(env.tasks().get(id).unwrap().state, State::Running);
    env.tasks().stop(id, true).unwrap();
    assert_eq!(env.ended(id).outcome, Some(Outcome::Signalled));
    assert!(waiting.join().unwrap().done);
}

#[test]
fn a_table_full_of_garbage_harms_nobody() {
    let env = used();
    let file = fs::OpenOptions::new().write(true).open(&env.segments()[0]).unwrap();
    let mut noise = vec![0; 1024 * 512];
    let mut state = 1_u64;
    for word in noise.chunks_exact_mut(8) {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        word.copy_from_slice(&state.to_le_bytes());
    }
    file.write_all_at(&noise, 4096).unwrap();
    assert_eq!(env.tasks().list().unwrap().len(), 1);
    // The owners in the garbage are dead.
    assert_works(&env);
}

#[test]
fn what_others_may_write_is_not_used() {
    let env = used();
    let segment = &env.segments()[0];
    fs::set_permissions(segment, fs::Permissions::from_mode(0o666)).unwrap();
    let error = env.tasks().check().unwrap_err();
    assert!(error.to_string().ends_with("it is not a private file of this user"), "{error}");
    assert_works(&env);
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&env.segments()[0], Some(65534), None).unwrap();
        env.tasks().check().unwrap_err();
        assert_works(&env);
    }
}

#[test]
fn a_home_that_cannot_be_written_is_named() {
    let env = Environment::new();
    fs::create_dir_all(env.home()).unwrap();
    fs::write(env.home().join("tasks"), "").unwrap();
    let error = env.try_start(task(), program("exit 0"), aiw_tasks::QueueLimit::default()).unwrap_err();
    let TaskError::Process(SupervisorError::Io { path, .. }) = &error else { panic!("{error:?}") };
    assert_eq!(path, &env.home().join("tasks"));
}

#[test]
fn a_link_that_is_a_symlink_is_refused_by_name() {
    let env = used();
    let target = env.path("target");
    fs::rename(env.link(), &target).unwrap();
    symlink(&target, env.link()).unwrap();
    let expected = format!("`{}` is a symbolic link, and must be a file", env.link().display());
    assert_eq!(env.tasks().check().unwrap_err().to_string(), expected);
    let error = env.try_start(task(), program("exit 0"), aiw_tasks::QueueLimit::default()).unwrap_err();
    assert!(error.to_string().contains("is not a plain file"), "{error}");
    let hint = error.hint().unwrap();
    assert!(
        matches!(error, TaskError::Process(SupervisorError::InvalidRuntimeDir { .. })) && hint.starts_with("remove it"),
        "{error:?} {hint}"
    );
    fs::remove_file(env.link()).unwrap();
    fs::rename(&target, env.link()).unwrap();
    assert_works(&env);
}

#[test]
fn a_link_to_elsewhere_is_not_followed() {
    for name in ["", "/../x", "/aiw-0-1_task2-x", "no segment"] {
        let env = used();
        for segment in env.segments() {
            fs::remove_file(segment).unwrap();
        }
        fs::write(env.link(), name).unwrap();
        assert!(env.tasks().check().is_err());
        assert_works(&env);
    }
}

#[test]
fn a_system_without_shared_memory_is_told_what_to_do() {
    let env = Environment::new();
    let devices = env.path("devices");
    fs::create_dir(&devices).unwrap();
    // A `/dev` that contains nothing but `/dev/null`. Only root can mount one.
    let script = "mount -t tmpfs aiw \"$1\" && touch \"$1/null\" && mount --bind /dev/null \"$1/null\" && \
                  mount --rbind \"$1\" /dev || exit 42; shift; exec \"$@\"";
    let output = std::process::Command::new("unshare")
        .args(["-m", "sh", "-c", script, "sh"])
        .args([devices.as_path(), crate::environment::shim(), "start".as_ref(), &env.home(), &env.runtime()])
        .args([&env.root.to_string(), "1", "64", "exit 0"])
        .output();
    let Some(output) = output.ok().filter(|output| output.status.success()) else { return };
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("error: cannot use shared memory `/aiw-"), "{said}");
    assert!(said.ends_with("`: there is no `/dev/shm`; mount a tmpfs at `/dev/shm`\n"), "{said}");
}

#[test]
fn a_full_table_is_said_to_be_full_and_has_room_again() {
    let env = used();
    assert_eq!(aiw_tasks::testing::fill(&env.runtime(), env.root).unwrap(), 1024);
    let error = env.try_start(task(), program("exit 0"), aiw_tasks::QueueLimit::default()).unwrap_err();
    assert_eq!(error.to_string(), "all 1024 places for running and queued tasks of this session are taken");
    assert_eq!(env.tasks().list().unwrap().len(), 1);
    assert_eq!(fs::read_dir(env.home().join("tasks")).unwrap().count(), 1);
}

#[test]
fn a_runtime_directory_of_others_is_refused() {
    let env = used();
    fs::set_permissions(env.runtime(), fs::Permissions::from_mode(0o755)).unwrap();
    let error = env.try_start(task(), program("exit 0"), aiw_tasks::QueueLimit::default()).unwrap_err();
    assert!(error.to_string().ends_with("is open to others; its mode must be 0700"), "{error}");
    // Listing does not need it.
    assert_eq!(env.tasks().list().unwrap().len(), 1);
    fs::set_permissions(env.runtime(), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn tasks_survive_the_loss_of_their_segment_and_come_back() {
    let env = Environment::new();
    let task = env.start("sleep 100");
    // As at a logout.
    for segment in env.segments() {
        fs::remove_file(segment).unwrap();
    }
    fs::remove_dir_all(env.runtime()).unwrap();
    assert_eq!(env.tasks().get(task.id).unwrap().state, State::Running);
    wait_for(|| (aiw_tasks::testing::count_used_slots(&env.runtime(), env.root) == 1).then_some(()));
    env.tasks().stop(task.id, true).unwrap();
    assert_eq!(env.tasks().get(task.id).unwrap().outcome, Some(Outcome::Signalled));
}
