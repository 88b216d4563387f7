//! Disks that are full or read-only.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use aiw_tests::{Environment, Run, not_run};

use super::{add, ended, hook, indexers, kept, line};

/// A small disk. Only root can mount one.
pub(crate) struct Disk(PathBuf);

impl Disk {
    pub(crate) fn at(path: &Path) -> Option<Self> {
        let _ = std::fs::remove_dir_all(path);
        std::fs::create_dir_all(path).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m,mode=700", "aiw"]).arg(path).status();
        mounted.is_ok_and(|status| status.success()).then(|| Self(path.to_owned()))
    }

    /// Fills the disk, but for some bytes.
    pub(crate) fn fill(&self, free: usize) {
        let path = self.0.join("filler");
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(&path).unwrap();
        while file.write(&[b'x'; 4096]).is_ok_and(|written| written > 0) {}
        let length = file.metadata().unwrap().len();
        file.set_len(length.saturating_sub(u64::try_from(free).unwrap())).unwrap();
    }

    pub(crate) fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }

    pub(crate) fn remount(&self, how: &str) {
        assert!(Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_loses_nothing_that_the_next_run_does_not_bring() {
    let env = Environment::cold();
    let Some(disk) = Disk::at(&env.home()) else { return not_run("no disk can be mounted") };
    add(&env, "s-1", &line("s-1", "u0", "user", "before"));
    hook(&env, "s-1");
    let mut count = 1;
    // From no room at all to nearly enough: each write meets the end of the disk once.
    for free in [0, 4096, 8192, 16_384, 32_768, 65_536, 131_072] {
        for _ in 0..50 {
            add(
                &env,
                "s-1",
                &line("s-1", &format!("u{count}"), "user", &format!("message {count} {}", "text ".repeat(50))),
            );
            count += 1;
        }
        disk.fill(free);
        for arguments in [&["history", "hooks", "handle"][..], &["history", "hooks", "handle", "--wait"]] {
            let run = env.run_with_input(arguments, ended(&env, "s-1"));
            assert_eq!(run.code, 0, "{}", run.whole());
        }
        disk.free();
        // Another session's hook carries on.
        add(&env, "s-2", &line("s-2", &format!("v{free}"), "user", "other"));
        hook(&env, "s-2");
        hook(&env, "s-1");
        let kept = kept(&env, "s-1");
        assert!(kept.len() == count && kept.values().all(|times| *times == 1), "{free}: {} of {count}", kept.len());
    }
}

#[test]
fn a_home_that_is_read_only_disturbs_no_client() {
    let env = Environment::cold();
    let Some(disk) = Disk::at(&env.home()) else { return not_run("no disk can be mounted") };
    add(&env, "s-1", &line("s-1", "u1", "user", "first"));
    hook(&env, "s-1");
    add(&env, "s-1", &line("s-1", "u2", "user", "second"));
    // An indexer that looks once more has the history open.
    crate::until(|| indexers(&env).is_empty());
    disk.remount("ro");
    let run = env.run_with_input(&["history", "hooks", "handle"], ended(&env, "s-1"));
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, "", ""));
    let import = env.run(&["history", "import", "--all"]);
    assert_eq!(import.code, 69, "{}", import.whole());
    disk.remount("rw");
    hook(&env, "s-1");
    assert_eq!(kept(&env, "s-1").into_values().collect::<Vec<_>>(), [1, 1]);
}

/// Runs the hook for a session, and then another session's when the disk is as it should be.
fn with_trouble(disk: &Disk, env: &Environment, session: &str, trouble: &str, off: bool) {
    crate::until(|| indexers(env).is_empty());
    match trouble {
        "full" => disk.fill(0),
        _ => disk.remount("ro"),
    }
    let mut command = env.command(&["history", "hooks", "handle"]);
    if off {
        command.env("AIW_HISTORY", "off");
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(ended(env, session).as_bytes()).unwrap();
    let run = Run::from(child.wait_with_output().unwrap());
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, "", ""));
    // Its indexer has met the trouble too.
    let start = Instant::now();
    while !indexers(env).is_empty() {
        assert!(start.elapsed() < aiw_tests::HANG_TIMEOUT);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    match trouble {
        "full" => disk.free(),
        _ => disk.remount("rw"),
    }
}

#[test]
fn the_doctor_says_that_nothing_can_be_written_and_which_settings_mean_nothing() {
    let env = Environment::cold();
    let Some(disk) = Disk::at(&env.home()) else { return not_run("no disk can be mounted") };
    env.settings(&serde_json::json!({"tasks": {"limits": 3}}));
    let problems = || {
        let run = env.run(&["doctor"]);
        assert_eq!(run.code, 1, "{}", run.whole());
        run.stdout
    };
    let found = problems();
    assert!(
        found.contains(
            "`tasks.limits` in settings.json means nothing; did you mean `tasks.limit`?\n    → `${EDITOR:-vi} "
        ),
        "{found}"
    );
    disk.fill(0);
    assert!(problems().contains("` is full: 0 MiB and "));
    disk.free();
    disk.remount("ro");
    assert!(problems().contains("` is on a disk that can only be read"));
}

#[test]
fn a_session_whose_hook_could_write_nothing_is_read_after_another_ones() {
    for trouble in ["full", "read-only"] {
        let env = Environment::cold();
        let Some(disk) = Disk::at(&env.home()) else { return not_run("no disk can be mounted") };
        env.run(&["history", "hooks", "install"]).ok();
        for session in ["old", "s-1", "s-2", "s-3"] {
            add(&env, session, &line(session, &format!("{session}-u"), "user", &format!("said in {session}")));
        }
        with_trouble(&disk, &env, "s-1", trouble, false);
        hook(&env, "s-2");
        for session in ["s-1", "s-2"] {
            assert_eq!(kept(&env, session).into_values().collect::<Vec<_>>(), [1], "{trouble}: {session}");
        }
        // Without another hook, an import or a search sees it.
        add(&env, "s-1", &line("s-1", "s-1-v", "user", "said later"));
        with_trouble(&disk, &env, "s-1", trouble, false);
        assert_eq!(env.json(&["history", "doctor"])["queued"], 1, "{trouble}");
        // A full disk has room for a name; what can't be written at all is elsewhere.
        let names = std::fs::read_dir(env.home().join("history/queue")).unwrap().flatten();
        let is_named = names.into_iter().any(|entry| entry.file_name().to_string_lossy().ends_with(".s-1.name"));
        assert_eq!(is_named, trouble == "full", "{trouble}");
        env.run(&["history", "search", "later"]).ok();
        let start = Instant::now();
        while kept(&env, "s-1").len() < 2 {
            assert!(start.elapsed() < aiw_tests::HANG_TIMEOUT, "{trouble}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        crate::until(|| indexers(&env).is_empty());
        add(&env, "s-1", &line("s-1", "s-1-w", "user", "said at last"));
        with_trouble(&disk, &env, "s-1", trouble, false);
        let elsewhere = env.path("nothing.jsonl");
        std::fs::write(&elsewhere, line("x", "x", "user", "elsewhere")).unwrap();
        env.run(&["history", "import", &elsewhere.display().to_string()]).ok();
        assert_eq!(kept(&env, "s-1").len(), 3, "{trouble}");
        assert_eq!(env.json(&["history", "doctor"])["queued"], 0, "{trouble}");
        // Nobody asked for the others.
        assert_eq!(kept(&env, "old").len() + kept(&env, "s-3").len(), 0, "{trouble}");
    }
}

#[test]
fn a_private_session_stays_private_although_its_hook_could_write_nothing() {
    for trouble in ["full", "read-only"] {
        let env = Environment::cold();
        let Some(disk) = Disk::at(&env.home()) else { return not_run("no disk can be mounted") };
        env.run(&["history", "hooks", "install"]).ok();
        for session in ["private", "open"] {
            add(&env, session, &line(session, &format!("{session}-u"), "user", &format!("said in {session}")));
        }
        with_trouble(&disk, &env, "private", trouble, true);
        hook(&env, "open");
        // What is elsewhere until the machine is started again is in the home now.
        let _ = std::fs::remove_dir_all(env.path("run"));
        env.run(&["history", "import", "--all"]).ok();
        assert_eq!((kept(&env, "open").len(), kept(&env, "private").len()), (1, 0), "{trouble}");
    }
}
