//! `cargo xtask bench instructions`: the instructions of a start, counted by callgrind. A count varies less than a time,
//! so it shows small changes on a busy machine too.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use aiw_tests::command;
use anyhow::{Context, Result, bail, ensure};

use crate::commands::await_first_response;
use crate::compare::ComparedBinaries;

/// The increase from which on a commit needs a reason.
const MAX_INCREASE: f64 = 0.03;

/// The home of every run: the length of a path counts. It is made anew for each command.
const HOME: &str = "/tmp/aiw-bench-instructions";

/// The runs of each command. The smallest count is compared: threads that wait for each other only add to it.
const RUN_COUNT: usize = 3;

/// Commands that are counted: a name, and the arguments.
const STARTUP_COMMANDS: [(&str, &[&str]); 3] =
    [("--version", &["--version"]), ("status", &["status"]), (SERVE_LABEL, &["mcp", "serve"])];

/// Replaces the system's randomness, from which hash tables take their seeds.
const FIXED_RANDOM: &str = include_str!("fixed_random.c");

/// The start that is asked for an answer.
const SERVE_LABEL: &str = "mcp serve, to its first answer";

/// Prints the counts of a binary.
pub fn run(aiw: &Path) -> Result<()> {
    need_valgrind()?;
    println!("{:<36} {:>16}", "", "instructions");
    for (what, arguments) in STARTUP_COMMANDS {
        println!("{what:<36} {:>16}", count(aiw, what, arguments)?);
    }
    Ok(())
}

/// Builds a revision and this tree, and prints the counts of both.
pub fn compare(revision: &str) -> Result<()> {
    need_valgrind()?;
    let binaries = ComparedBinaries::build(revision)?;
    println!("{:<36} {:>16} {:>16} {:>9}", "", binaries.revision, "instructions", "change");
    for (what, arguments) in STARTUP_COMMANDS {
        let (old, new) = (count(&binaries.old, what, arguments)?, count(&binaries.new, what, arguments)?);
        let change = increase(old, new);
        let note = if change > MAX_INCREASE { "  needs a reason in the commit" } else { "" };
        println!("{what:<36} {old:>16} {new:>16} {:>+8.2}%{note}", 100.0 * change);
    }
    Ok(())
}

/// Returns the increase from one count to another, as a share of the first one.
fn increase(old: u64, new: u64) -> f64 {
    (new as f64 - old as f64) / old as f64
}

fn need_valgrind() -> Result<()> {
    let mut valgrind = Command::new("valgrind");
    let version = valgrind.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !version.is_ok_and(|status| status.success()) {
        bail!("valgrind is not installed: `cargo xtask setup --tests` installs it");
    }
    Ok(())
}

/// Counts the instructions of a command in a home that an uncounted run has prepared.
fn count(aiw: &Path, what: &str, arguments: &[&str]) -> Result<u64> {
    let home = CountingHome::new()?;
    finish(home.command(Command::new(aiw), arguments), what)?;
    let counts: Vec<u64> = (0..RUN_COUNT).map(|_| home.count(aiw, what, arguments)).collect::<Result<_>>()?;
    counts.into_iter().min().context("a count")
}

/// The directory [`HOME`]. Dropped, it is removed.
struct CountingHome;

impl CountingHome {
    fn new() -> Result<Self> {
        // An earlier run that was killed may have left it.
        let _ = fs::remove_dir_all(HOME);
        fs::create_dir(HOME).with_context(|| format!("cannot create `{HOME}`"))?;
        let home = Self;
        fs::write(home.path("random.c"), FIXED_RANDOM)?;
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(home.path("random.so")).arg(home.path("random.c"));
        command::run(&mut cc)?;
        Ok(home)
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(HOME).join(name)
    }

    /// Adds arguments and an environment that is the same on each machine.
    fn command(&self, mut command: Command, arguments: &[&str]) -> Command {
        command.args(arguments).current_dir(HOME).env_clear();
        for (name, value) in [("PATH", "/usr/bin:/bin"), ("LANG", "C.UTF-8"), ("TZ", "UTC"), ("SOURCE_DATE_EPOCH", "0")]
        {
            command.env(name, value);
        }
        command.env("HOME", HOME).env("AIW_HOME", self.path("aiw")).env("AIW_RUNTIME_DIR", self.path("run"));
        command.env("LD_PRELOAD", self.path("random.so"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn count(&self, aiw: &Path, what: &str, arguments: &[&str]) -> Result<u64> {
        let totals = self.path("callgrind.out");
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--tool=callgrind", "--quiet"]);
        valgrind.arg(format!("--callgrind-out-file={}", totals.display())).arg(aiw);
        finish(self.command(valgrind, arguments), what)?;
        let text = fs::read_to_string(&totals).context("callgrind wrote no totals")?;
        fs::remove_file(&totals)?;
        total(&text).context("callgrind wrote no total")
    }
}

impl Drop for CountingHome {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(HOME);
    }
}

/// Runs a command to its end. A server is asked first, and ends with its input.
fn finish(mut command: Command, what: &str) -> Result<()> {
    if what == SERVE_LABEL {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
    }
    let mut child = command.spawn().with_context(|| format!("cannot run {:?}", command.get_program()))?;
    if what == SERVE_LABEL {
        await_first_response(&mut child)?;
        drop(child.stdin.take());
    }
    let status = child.wait()?;
    ensure!(status.success(), "`{what}` failed: {status}");
    Ok(())
}

/// Parses the total of a file of callgrind: `summary: 123` or `totals: 123`.
fn total(text: &str) -> Option<u64> {
    let value =
        text.lines().find_map(|line| line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: ")))?;
    value.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read() {
        assert_eq!(total("version: 1\nevents: Ir\nsummary: 123456\n\nfn=(1)\n0 5\n"), Some(123_456));
        assert_eq!(total("events: Ir\ntotals: 77 3\n"), Some(77));
        assert_eq!(total("events: Ir\n"), None);
    }

    #[test]
    fn an_increase_is_a_share_of_the_old_count() {
        assert_eq!(increase(200, 206), 0.03);
        assert!(increase(200, 206) <= MAX_INCREASE && increase(200, 207) > MAX_INCREASE);
        assert!(increase(200, 100) < 0.0);
    }
}
