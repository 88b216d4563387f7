//! Disks that are full or read-only.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use aiw_tests::{Environment, not_run};

use super::{add, ended, hook, kept, line};

/// A small disk for aiw's home. Only root can mount one.
struct Disk(PathBuf);

impl Disk {
    fn at(path: &Path) -> Option<Self> {
        let _ = std::fs::remove_dir_all(path);
        std::fs::create_dir_all(path).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m,mode=700", "aiw"]).arg(path).status();
        mounted.is_ok_and(|status| status.success()).then(|| Self(path.to_owned()))
    }

    /// Fills the disk, but for some bytes.
    fn fill(&self, free: usize) {
        let path = self.0.join("filler");
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(&path).unwrap();
        while file.write(&[b'x'; 4096]).is_ok_and(|written| written > 0) {}
        let length = file.metadata().unwrap().len();
        file.set_len(length.saturating_sub(u64::try_from(free).unwrap())).unwrap();
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }

    fn remount(&self, how: &str) {
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
        for arguments in [&["hooks", "handle"][..], &["hooks", "handle", "--wait"]] {
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
    disk.remount("ro");
    let run = env.run_with_input(&["hooks", "handle"], ended(&env, "s-1"));
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, "", ""));
    let import = env.run(&["history", "import", "--all"]);
    assert_eq!(import.code, 69, "{}", import.whole());
    disk.remount("rw");
    hook(&env, "s-1");
    assert_eq!(kept(&env, "s-1").into_values().collect::<Vec<_>>(), [1, 1]);
}
