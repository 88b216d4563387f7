//! Disks that are full or read-only.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use aiw_tasks::{Outcome, State, WaitMode};
use rustix::process::Signal;

use crate::environment::{Environment, HANG_TIMEOUT, assert_ended, is_running, kill, shim, shim_of, wait_for};

/// A small disk for one test. Only root can mount one.
struct Disk(PathBuf);

impl Disk {
    fn at(path: &Path) -> Option<Self> {
        std::fs::create_dir_all(path).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m,mode=700", "aiw"]).arg(path).status();
        mounted.is_ok_and(|status| status.success()).then(|| Self(path.to_owned()))
    }

    /// Fills the disk completely.
    fn fill(&self) {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(self.0.join("filler")).unwrap();
        for length in [4096, 1] {
            while file.write(&vec![b'x'; length]).is_ok_and(|written| written > 0) {}
        }
    }

    fn read_only(&self) {
        assert!(Command::new("mount").args(["-o", "remount,ro"]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_task_that_ends_well_on_a_full_disk_is_recorded_so() {
    let env = Environment::new();
    let Some(disk) = Disk::at(&env.home()) else { return };
    let go = env.path("go");
    let words = "x".repeat(20_000);
    let task = env.start(&format!(
        "echo session s; echo final {words}; while [ ! -e {} ]; do sleep 0.01; done; echo verdict good",
        go.display()
    ));
    wait_for(|| env.tasks().get(task.id).unwrap().about.session);
    disk.fill();
    std::fs::write(go, "").unwrap();
    let task = env.ended(task.id);
    assert_eq!((task.outcome, task.exit_code), (Some(Outcome::Succeeded), Some(0)), "{task:?}");
    assert_eq!(task.about.final_message.as_deref(), Some(words.as_str()));
    assert!(!task.log.with_file_name("reserve").exists() && !task.log.with_file_name("task.json.new").exists());
}

#[test]
fn a_limit_on_the_size_of_files_ends_the_cli_and_not_its_shim() {
    let env = Environment::new();
    // The session's shared memory is larger than the limit.
    env.run("exit 0");
    let start = |script: &str| {
        let limited = "ulimit -f 40; exec \"$0\" start \"$@\"";
        let output = Command::new("sh")
            .args(["-c", limited])
            .args([shim(), &env.home(), &env.runtime()])
            .args([&env.root.to_string(), "1", "64", script])
            .output()
            .unwrap();
        env.ended(String::from_utf8(output.stdout).unwrap().trim().parse().unwrap())
    };
    let long = start("head -c 200000 /dev/zero; exit 0");
    assert_ended(&long, Outcome::Succeeded, Some(0), None);
    assert_eq!(long.note.as_deref(), Some("the log is not whole: File too large (os error 27)"));
    let file = env.path("file");
    let cli = start(&format!("exec head -c 200000 /dev/zero > {}", file.display()));
    assert_ended(&cli, Outcome::Signalled, None, Some(25));
}

#[test]
fn a_lost_task_that_cannot_be_recorded_hides_no_others() {
    let env = Environment::new();
    let Some(disk) = Disk::at(&env.home()) else { return };
    let good = env.run("exit 0");
    let lost = env.start("sleep 100");
    kill(shim_of(&lost), Signal::KILL);
    wait_for(|| (!is_running(lost.pid.unwrap()) && !is_running(shim_of(&lost))).then_some(()));
    disk.read_only();
    let tasks = env.tasks();
    for _ in 0..2 {
        // A process that another test is starting may briefly inherit the lock taken here. The task then still counts
        // as alive.
        let all = wait_for(|| Some(tasks.list().unwrap()).filter(|all| all[1].state == State::Ended));
        assert_eq!(all.iter().map(|task| task.id).collect::<Vec<_>>(), [good.id, lost.id]);
        assert_eq!(all[1].outcome, Some(Outcome::Lost));
        let found = wait_for(|| Some(tasks.get(lost.id).unwrap()).filter(|task| task.state == State::Ended));
        assert_eq!(found.ended, all[1].ended);
        assert!(all[1].ended >= lost.running_since);
    }
    let waited = tasks.wait(
        &[good.id, lost.id],
        WaitMode::All,
        Some(Instant::now() + HANG_TIMEOUT),
        &AtomicBool::new(false),
        &mut |_| {},
    );
    assert!(waited.unwrap().processes.iter().all(|task| task.state == State::Ended));
    tasks.mark_read(&[good.id, lost.id]).unwrap();
}
