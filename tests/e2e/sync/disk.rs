//! Disks that are full or read-only: the old state or the new one stays, one sentence says why, and the same command does it
//! once it can.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use aiw_tests::{Environment, Run, not_run};

use super::{Machine, meet, pair};
use crate::intake::disk::Disk;

const FILES: usize = 20;

/// Bytes that are left on a full disk: from no room at all to nearly enough.
const FREE: [usize; 5] = [0, 8192, 16_384, 32_768, 65_536];

/// The files of a version, of which the second one is larger.
fn text(file: usize, version: usize) -> String {
    format!("{version} of {file}\n").repeat(300 * (version + file % 3))
}

fn write(machine: &Machine, version: usize) {
    for file in 0..FILES {
        machine.write(&format!(".claude/rules/{file}.md"), &text(file, version));
    }
}

/// Returns the version of all files.
fn version(machine: &Machine) -> usize {
    let read: Vec<String> = (0..FILES).map(|file| machine.read(&format!(".claude/rules/{file}.md"))).collect();
    let is_of = |version: &usize| (0..FILES).all(|file| read[file] == text(file, *version));
    let found = (1..=2).find(is_of);
    found.unwrap_or_else(|| panic!("neither: {:?}", read.iter().map(|text| text.get(..1)).collect::<Vec<_>>()))
}

/// Checks that a run that failed says so once.
fn says_once(run: &Run, said: &str) {
    assert_eq!(run.code, 69, "{}", run.whole());
    let errors: Vec<&str> = run.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert!(errors.len() == 1 && errors[0].contains(said), "{said}: {}", run.whole());
}

/// Runs a command on a full disk, and then again. Returns whether the first one failed.
fn twice(disk: &Disk, machine: &Machine, verb: &str, free: usize) -> bool {
    disk.fill(free);
    let run = machine.env.run(&["sync", verb]);
    let is_full = run.code != 0;
    if is_full {
        says_once(&run, "No space left on device");
        version(machine);
    }
    disk.free();
    if is_full {
        machine.env.run(&["sync", verb]).ok();
    }
    is_full
}

/// Pulls and undoes while what `place` chooses is full.
fn full(place: fn(&Environment) -> std::path::PathBuf) {
    let far = tempfile::tempdir().unwrap();
    let env = Environment::cold();
    let Some(disk) = Disk::at(&place(&env)) else { return not_run("no disk can be mounted") };
    let (one, other) = (Machine::new(), Machine::of(env));
    write(&one, 1);
    meet(far.path().to_str().unwrap(), &one, &other);
    assert_eq!(other.pull()["applied"], true);
    write(&one, 2);
    one.env.run(&["sync", "push"]).ok();
    let mut failed = [0, 0];
    for free in FREE {
        failed[0] += usize::from(twice(&disk, &other, "pull", free));
        assert_eq!(version(&other), 2, "{free}");
        failed[1] += usize::from(twice(&disk, &other, "undo", free));
        assert_eq!(version(&other), 1, "{free}");
    }
    assert!(failed.iter().all(|failed| *failed > 0), "{failed:?}");
}

#[test]
fn a_full_disk_of_aiw_leaves_the_old_state_or_the_new_one() {
    full(Environment::home);
}

#[test]
fn a_full_disk_of_a_cli_leaves_the_old_state_or_the_new_one() {
    full(|env| env.user().join(".claude"));
}

#[test]
fn a_push_waits_until_there_is_room() {
    for is_far in [true, false] {
        let far = tempfile::tempdir().unwrap();
        let env = Environment::cold();
        let place = if is_far { far.path().join("store") } else { env.home() };
        let Some(disk) = Disk::at(&place) else { return not_run("no disk can be mounted") };
        let (one, other) = (Machine::of(env), Machine::new());
        write(&one, 1);
        meet(far.path().join("store").to_str().unwrap(), &one, &other);
        let mut failed = 0;
        for (round, free) in FREE.into_iter().enumerate() {
            write(&one, 1 + round % 2);
            one.write(".claude/CLAUDE.md", &format!("{round}\n"));
            disk.fill(free);
            let run = one.env.run(&["sync", "push"]);
            if run.code != 0 {
                failed += 1;
                says_once(&run, if is_far { "has no space left" } else { "No space left on device" });
            }
            disk.free();
            one.env.run(&["sync", "push"]).ok();
            assert_eq!(one.env.json(&["sync", "status"])["unpushed"], serde_json::json!([]));
            other.pull();
            assert_eq!(other.read(".claude/CLAUDE.md"), format!("{round}\n"));
        }
        assert!(failed > 0);
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_file_that_is_read_only_stays_so() {
    let (_far, one, other, _) = pair();
    other.pull();
    let memory = other.file(".claude/CLAUDE.md");
    fs::set_permissions(&memory, fs::Permissions::from_mode(0o444)).unwrap();
    one.write(".claude/CLAUDE.md", "Be long.\n");
    one.env.run(&["sync", "push"]).ok();
    other.pull();
    assert_eq!((other.read(".claude/CLAUDE.md").as_str(), mode(&memory)), ("Be long.\n", 0o444));
    other.env.run(&["sync", "undo"]).ok();
    assert_eq!((other.read(".claude/CLAUDE.md").as_str(), mode(&memory)), ("Be brief.\n", 0o444));
}

#[test]
fn a_directory_that_is_read_only_is_named_and_nothing_is_half_done() {
    let (_far, one, other, _) = pair();
    let Some(disk) = Disk::at(&other.file(".claude/rules")) else { return not_run("no disk can be mounted") };
    one.write(".claude/rules/a.md", "old\n");
    one.env.run(&["sync", "push"]).ok();
    other.pull();
    for (path, text) in [(".claude/CLAUDE.md", "Be long.\n"), (".claude/rules/a.md", "new\n")] {
        one.write(path, text);
    }
    one.env.run(&["sync", "push"]).ok();
    let both = || (other.read(".claude/CLAUDE.md"), other.read(".claude/rules/a.md"));
    let (old, new) = (("Be brief.\n".into(), "old\n".into()), ("Be long.\n".into(), "new\n".into()));
    for verb in ["pull", "undo"] {
        let (before, after) = if verb == "pull" { (&old, &new) } else { (&new, &old) };
        disk.remount("ro");
        let run = other.env.run(&["sync", verb]);
        says_once(&run, "rules/a.md`");
        assert!(run.stderr.contains("Read-only file system"), "{}", run.whole());
        assert_eq!(both(), *before, "{verb}");
        // Other commands go on.
        other.env.run(&["sync", "status"]).ok();
        disk.remount("rw");
        other.env.run(&["sync", verb]).ok();
        assert_eq!(both(), *after, "{verb}");
    }
}
