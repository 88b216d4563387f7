//! `cargo xtask bench sync`: what configuration that travels costs, beside restic and a plain `git push` of the same files.
//! The Google that it pushes to is on loopback, and takes its time for each request.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aiw_tests::{Environment, LoopbackGoogle, git};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::figures::millis;
use crate::report::BenchReport;

/// The files that are pushed, and the bytes of each: 1 MB.
const FILE_COUNT: usize = 300;
const SIZE: usize = (1 << 20) / FILE_COUNT;

/// The time that Google takes for each request.
const REQUEST_DELAY: Duration = Duration::from_millis(100);

/// The files for Google, and the bytes of each. They are 5 MB once they are packed: they have lines without ASCII, as noise may
/// look like a secret, and so an eighth less.
const LARGE_FILE_COUNT: usize = 24;
const LARGE_SIZE: usize = 256 << 10;

/// The machines of a large store, and the snapshots of each: as many as are kept.
const MACHINE_COUNT: usize = 6;
const SNAPSHOT_COUNT: usize = 50;

/// Not of the list that phrases of wallets are made of: a push would ask about them.
const TEXT_WORDS: [&str; 16] = [
    "reviews", "a", "changed", "and", "names", "of", "files", "as", "it", "is", "in", "to", "or", "tests", "then",
    "asks",
];

/// Prints the words of a store on a terminal of its own.
const READ_PHRASE_SCRIPT: &str = r#"
import os, pty, re, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], "sync", "phrase"])
shown = b""
while b"Press Enter" not in shown:
    shown += os.read(terminal, 65536)
os.write(terminal, b"\n")
os.waitpid(pid, 0)
words = re.findall(r"(\d+)\. +([a-z]+)", shown.decode())
print(" ".join(word for _, word in sorted(words, key=lambda pair: int(pair[0]))))
"#;

/// Adds the rows of configuration that travels.
pub fn run(report: &mut BenchReport, aiw: &Path) -> Result<()> {
    to_a_folder(report, aiw)?;
    to_google(report, aiw)?;
    local_commands(report, aiw)?;
    large_store(report, aiw)
}

/// A machine with Claude Code's directory.
struct SyncMachine<'a> {
    aiw: &'a Path,
    env: Environment,
}

impl<'a> SyncMachine<'a> {
    fn new(aiw: &'a Path) -> Result<Self> {
        let env = Environment::cold();
        fs::create_dir_all(env.user().join(".claude"))?;
        Ok(Self { aiw, env })
    }

    fn file(&self, path: &str) -> PathBuf {
        self.env.user().join(".claude").join(path)
    }

    fn write(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let file = self.file(path);
        fs::create_dir_all(file.parent().context("a directory")?)?;
        Ok(fs::write(file, bytes)?)
    }

    /// Runs a command with standard input. Returns what it printed, and how long it took.
    fn with(&self, arguments: &[&str], input: &str) -> Result<(String, Duration)> {
        let typed = self.env.path("typed");
        fs::write(&typed, input)?;
        let mut command = self.env.program(self.aiw);
        command.args(arguments).stdin(fs::File::open(&typed)?);
        timed(&mut command).with_context(|| format!("`aiw {}`", arguments.join(" ")))
    }

    fn run(&self, arguments: &[&str]) -> Result<(String, Duration)> {
        self.with(arguments, "")
    }

    /// Returns the words of its store, which are shown on a terminal alone.
    fn words(&self) -> Result<String> {
        let mut command = self.env.program(Path::new("python3"));
        command.args(["-c", READ_PHRASE_SCRIPT]).arg(self.aiw).env("TERM", "xterm");
        let (words, _) = timed(&mut command).context("the words of the store")?;
        ensure!(words.split_whitespace().count() == 12, "the words of the store are not shown");
        Ok(words)
    }
}

/// Runs a program that has to succeed.
fn timed(command: &mut Command) -> Result<(String, Duration)> {
    let begun = Instant::now();
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output()?;
    let took = begun.elapsed();
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok((String::from_utf8_lossy(&output.stdout).into_owned(), took))
}

/// Numbers that are the same each time.
fn numbers(seed: usize) -> impl Iterator<Item = u64> {
    let mut state = (seed as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    })
}

/// A text as people write it.
fn prose(seed: usize) -> String {
    let mut text = format!("# Skill {seed}\n\n");
    let mut numbers = numbers(seed);
    while text.len() < SIZE {
        let number = numbers.next().unwrap_or_default();
        text.push_str(TEXT_WORDS[usize::try_from(number % 16).unwrap_or_default()]);
        text.push(if number.is_multiple_of(11) { '\n' } else { ' ' });
    }
    text
}

/// Adds the row of a push of many files to a new store in a folder, beside `git push`, and notes that of restic.
fn to_a_folder(report: &mut BenchReport, aiw: &Path) -> Result<()> {
    let machine = SyncMachine::new(aiw)?;
    for file in 0..FILE_COUNT {
        machine.write(&format!("skills/s{}/{file}.md", file % 30), prose(file).as_bytes())?;
    }
    let mut round = 0;
    report.measure_custom_pairs("sync: a push of 300 files (1 MB) to a new folder", "s", || {
        round += 1;
        let far = machine.env.path(&format!("far-{round}"));
        machine.run(&["sync", "init", far.to_str().context("a path in UTF-8")?])?;
        let ours = machine.run(&["sync", "push"])?.1;
        machine.run(&["sync", "leave"])?;
        Ok((ours.as_secs_f64(), with_git(&machine, round)?.as_secs_f64()))
    })?;
    match with_restic(&machine, 0)? {
        Some(took) => report.note("the same with restic", took.as_secs_f64(), "s"),
        None => println!("restic is not installed here: `apt-get install restic`"),
    }
    Ok(())
}

/// Pushes the same files with restic, where it is installed: a new repository, and a backup.
fn with_restic(machine: &SyncMachine<'_>, round: usize) -> Result<Option<Duration>> {
    let repository = machine.env.path(&format!("restic-{round}"));
    let restic = |arguments: &[&str]| {
        let mut command = machine.env.program(Path::new("restic"));
        command.arg("--quiet").arg("--repo").arg(&repository).args(arguments).env("RESTIC_PASSWORD", "bench");
        command
    };
    if !restic(&["version"]).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        return Ok(None);
    }
    let (_, begun) = timed(&mut restic(&["init"]))?;
    let (_, pushed) = timed(restic(&["backup"]).arg(machine.file("skills")))?;
    Ok(Some(begun + pushed))
}

/// Pushes the same files with git, without sealing anything: `git add`, `commit` and `push` to a bare repository.
fn with_git(machine: &SyncMachine<'_>, round: usize) -> Result<Duration> {
    let (bare, tree) = (machine.env.path(&format!("bare-{round}")), machine.env.path(&format!("tree-{round}")));
    fs::create_dir(&bare)?;
    git(&bare, &["init", "-q", "--bare"]);
    timed(machine.env.program(Path::new("cp")).arg("-r").arg(machine.file("skills")).arg(&tree))?;
    git(&tree, &["init", "-q"]);
    git(&tree, &["remote", "add", "origin", bare.to_str().context("a path in UTF-8")?]);
    let mut took = Duration::ZERO;
    for arguments in [&["add", "."][..], &["commit", "-q", "-m", "bench"], &["push", "-q", "origin", "HEAD"]] {
        took += timed(machine.env.program(Path::new("git")).args(arguments).current_dir(&tree))?.1;
    }
    Ok(took)
}

/// Adds the row of pushes of large files to Google, beside a request to it.
fn to_google(report: &mut BenchReport, aiw: &Path) -> Result<()> {
    let google = LoopbackGoogle::start();
    google.but(|_, _| {
        std::thread::sleep(REQUEST_DELAY);
        None
    });
    let machine = SyncMachine::new(aiw)?;
    machine.env.settings(&google.settings());
    machine.with(&["secret", "set", "sync-google-client"], LoopbackGoogle::CLIENT_SECRET)?;
    machine.run(&["sync", "login", "gdrive:"])?;
    machine.run(&["sync", "init", "gdrive:"])?;
    let mut round = 0;
    report.measure_custom_pairs("sync: a push of 5 MB to Drive, 100 ms a request", "s", || {
        for file in 0..LARGE_FILE_COUNT {
            let bytes = numbers(round * LARGE_FILE_COUNT + file).flat_map(u64::to_le_bytes).take(LARGE_SIZE);
            let lines = bytes.enumerate().map(|(at, byte)| if at % 64 == 63 { b'\n' } else { byte | 0x80 });
            let noise: Vec<u8> = lines.collect();
            machine.write(&format!("skills/large/{file}.bin"), &noise)?;
        }
        round += 1;
        Ok((machine.run(&["sync", "push"])?.1.as_secs_f64(), REQUEST_DELAY.as_secs_f64()))
    })?;
    let sent = google.state.lock().files.values().map(|file| file.bytes.len()).max().unwrap_or_default();
    ensure!(sent > 5 << 20, "only {sent} bytes were pushed");
    Ok(())
}

/// Adds the rows of commands that ask no remote.
fn local_commands(report: &mut BenchReport, aiw: &Path) -> Result<()> {
    let machine = SyncMachine::new(aiw)?;
    for file in 0..FILE_COUNT {
        machine.write(&format!("skills/s{}/{file}.md", file % 30), prose(file).as_bytes())?;
    }
    let far = machine.env.path("far");
    machine.run(&["sync", "init", far.to_str().context("a path in UTF-8")?])?;
    machine.run(&["sync", "push"])?;
    machine.write("skills/s1/1.md", b"changed")?;
    report.measure_pairs("sync: `aiw status`, with a store of 300 files", "ms", || {
        Ok(millis(machine.run(&["status"])?.1))
    })?;
    fs::rename(&far, machine.env.path("elsewhere"))?;
    report
        .measure_pairs("sync: `aiw sync status`, offline", "ms", || Ok(millis(machine.run(&["sync", "status"])?.1)))?;
    Ok(())
}

/// Adds the rows of a machine that lists a store of many snapshots and plans a pull: first when it has read nothing of
/// it, then again.
fn large_store(report: &mut BenchReport, aiw: &Path) -> Result<()> {
    let far = tempfile::tempdir()?;
    let remote = far.path().to_str().context("a path in UTF-8")?;
    let mut words = String::new();
    for number in 0..MACHINE_COUNT {
        let machine = SyncMachine::new(aiw)?;
        match number {
            0 => machine.run(&["sync", "init", remote])?,
            _ => machine.with(&["sync", "join", remote], &words)?,
        };
        if number == 0 {
            words = machine.words()?;
        } else {
            machine.run(&["sync", "pull"])?;
        }
        for snapshot in 0..SNAPSHOT_COUNT {
            machine.write(&format!("rules/{number}-{}.md", snapshot % 10), prose(snapshot).as_bytes())?;
            machine.run(&["sync", "push"])?;
        }
    }
    let machine = SyncMachine::new(aiw)?;
    machine.with(&["sync", "join", remote], &words)?;
    for what in ["sync: 300 snapshots, listed and planned", "sync: 300 snapshots, listed and planned again"] {
        let (listed, listing) = machine.run(&["sync", "list", "--json"])?;
        let (_, planning) = machine.run(&["sync", "pull", "--dry-run"])?;
        let listed: Value = serde_json::from_str(&listed)?;
        let count = listed["snapshots"].as_array().map_or(0, Vec::len);
        ensure!(count == MACHINE_COUNT * SNAPSHOT_COUNT, "{count} snapshots are listed");
        report.add_measurement(what, "s", (listing + planning).as_secs_f64())?;
    }
    Ok(())
}
