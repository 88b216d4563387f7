//! `cargo xtask test`: builds everything that tests need, runs all tests, and prints one line.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::{command, guests, plugins};

/// Workspaces besides the host's, whose tests also run on this machine.
const GUESTS: [&str; 5] =
    ["plugins", "sdk/rust", "examples/acme-catalogue", "examples/acme-index", "examples/acme-spread"];

/// Where tests say that they were not run, one line each: the test, a tab, and why.
const NOT_RUN: &str = "target/not-run.txt";

/// Why tests may not be run under CI: a beginning of the reason in each line, and after ` # ` why that is all right.
const MAY_BE_MISSING: &str = "tests/may-be-missing.txt";

#[derive(Default)]
struct Count {
    passed: u64,
    failed: u64,
}

/// Installs what tests use beside the build's own tools.
pub fn install_tools() -> Result<()> {
    command::run(Command::new("bash").arg(command::root().join("tests/tools")))
}

/// Builds what tests need and runs them. Returns whether all passed.
pub fn run() -> Result<bool> {
    plugins::setup()?;
    guests::build()?;

    let mut count = Count::default();
    let said = command::root().join(NOT_RUN);
    fs::create_dir_all(command::root().join("target"))?;
    fs::write(&said, "")?;
    let mut host = command::host_cargo();
    host.args(["test", "--workspace", "--locked", "--no-fail-fast"]).env("AIW_NOT_RUN", &said);
    // Many tests wait for a process of theirs. One more at a time than there are processors keeps these busy.
    if env::var_os("RUST_TEST_THREADS").is_none() {
        let threads = thread::available_parallelism()?.get() + 1;
        host.env("RUST_TEST_THREADS", threads.to_string());
    }
    test("the host", &mut host, &mut count)?;
    for workspace in GUESTS {
        let mut guest = command::guest_cargo(workspace);
        // Where the host's tests are linted as they are built, the guests' were, too: nothing is built again.
        for name in ["RUSTC_WORKSPACE_WRAPPER", "CLIPPY_ARGS"] {
            if let Some(value) = env::var_os(name) {
                guest.env(name, value);
            }
        }
        test(workspace, guest.args(["test", "--locked", "--no-fail-fast"]), &mut count)?;
    }
    let not_run = NotRun::read(&fs::read_to_string(&said)?);
    let passed = count.passed.saturating_sub(not_run.tests);
    println!("{passed} passed, {} failed, {} not run", count.failed, not_run.tests);
    for (why, tests) in &not_run.reasons {
        println!("  not run: {why} ({tests})");
    }
    if not_run.tests > 0 {
        println!("`cargo xtask setup --tests` installs what they need");
    }
    let listed = fs::read_to_string(command::root().join(MAY_BE_MISSING))?;
    let unlisted = not_run.unlisted(&listed);
    // A machine that is made for tests has what they need.
    let is_ci = env::var_os("CI").is_some();
    if is_ci && !unlisted.is_empty() {
        println!("failed: not run, and not listed in {MAY_BE_MISSING}: {}", unlisted.join("; "));
    }
    Ok(count.failed == 0 && (!is_ci || unlisted.is_empty()))
}

/// The tests that were not run.
#[derive(Default)]
struct NotRun {
    tests: u64,
    /// Why, each with how many tests.
    reasons: BTreeMap<String, usize>,
}

impl NotRun {
    /// Reads what tests have said. A test may say it several times.
    fn read(said: &str) -> Self {
        let lines: BTreeSet<(&str, &str)> = said.lines().filter_map(|line| line.split_once('\t')).collect();
        let tests: BTreeSet<&str> = lines.iter().map(|(test, _)| *test).collect();
        let mut reasons = BTreeMap::new();
        for (_, why) in &lines {
            *reasons.entry((*why).to_owned()).or_default() += 1;
        }
        Self { tests: tests.len() as u64, reasons }
    }

    /// Returns the reasons that a list does not have.
    fn unlisted(&self, listed: &str) -> Vec<&str> {
        let listed: Vec<&str> = listed
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| Some(line.split_once(" # ")?.0.trim()))
            .collect();
        let is_unlisted = |why: &&str| !listed.iter().any(|start| why.starts_with(start));
        self.reasons.keys().map(String::as_str).filter(is_unlisted).collect()
    }
}

/// Runs the tests that kill processes, with many rounds, those with many calls at once, and then property tests for
/// the given time. Returns whether all passed.
///
/// Each round of property tests has its own seed, which is printed and stored in `target/soak-seeds.txt`.
/// `PROPTEST_RNG_SEED=SEED PROPTEST_CASES=2000 cargo test fuzz::` repeats a round. proptest adds failures to
/// `proptest-regressions`, and every later run of the tests begins with them.
pub fn soak(minutes: u64) -> Result<bool> {
    let mut count = Count::default();
    let mut cargo = command::host_cargo();
    cargo.args(["test", "-p", "aiw-tasks", "-p", "aiw-supervisor", "-p", "aiw-usage", "--locked", "killed"]);
    cargo.env("AIW_SOAK_ROUNDS", "200");
    test("the rooms of tasks, of the supervisor and of usage", &mut cargo, &mut count)?;
    let mut cargo = command::host_cargo();
    cargo.args(["test", "-p", "aiw-tests", "--locked", "--test", "e2e", "servers::many"]).env("AIW_SOAK_ROUNDS", "200");
    test("many clients, servers and calls", cargo.args(["--", "--nocapture"]), &mut count)?;
    let mut cargo = command::host_cargo();
    cargo.args(["test", "-p", "aiw-tests", "--locked", "--test", "e2e", "--"]);
    cargo.args(["killed", "processes::crash", "sync::race"]);
    cargo.env("AIW_SOAK_ROUNDS", "200");
    test("the real binary", &mut cargo, &mut count)?;
    let mut cargo = command::host_cargo();
    cargo.args(["test", "-p", "aiw-orchestrator", "--locked", "--test", "it", "--", "many_runs"]);
    test("10,000 scripts", cargo.env("AIW_SOAK_ROUNDS", "200"), &mut count)?;

    let mut cargo = command::host_cargo();
    cargo
        .args(["test", "-p", "aiw-tests", "--locked", "--test", "e2e", "--", "intake::large", "a_line_without_end"])
        .env("AIW_SOAK_MEGABYTES", "2048");
    test("a transcript and a line of 2 GB", cargo.arg("--nocapture"), &mut count)?;

    let end = Instant::now() + Duration::from_secs(60 * minutes);
    let seeds = command::root().join("target/soak-seeds.txt");
    let mut seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    loop {
        let before = count.failed;
        let mut cargo = command::host_cargo();
        cargo.args(["test", "--workspace", "--locked", "--no-fail-fast", "fuzz::"]);
        cargo.env("PROPTEST_RNG_SEED", seed.to_string()).env("PROPTEST_CASES", "2000");
        test(&format!("all rooms, seed {seed}"), &mut cargo, &mut count)?;
        let verdict = if count.failed == before { "passed" } else { "failed" };
        let mut file = OpenOptions::new().create(true).append(true).open(&seeds)?;
        writeln!(file, "{seed} {verdict}")?;
        seed += 1;
        // From here on, a failed case would fail in every round.
        if Instant::now() >= end || count.failed > 0 {
            break;
        }
    }
    println!("{} passed, {} failed; the seeds are in {}", count.passed, count.failed, seeds.display());
    Ok(count.failed == 0)
}

/// Runs one `cargo test`, prints its output and counts the results.
/// Runs tests, and counts them. Where none ends for long, their program is ended: a run that hangs says nothing.
fn test(name: &str, cargo: &mut Command, count: &mut Count) -> Result<()> {
    const HANGS: Duration = Duration::from_secs(600);

    println!("\n# {}, in {name}", command::line(cargo));
    let mut child = cargo.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot run cargo")?;
    let output = child.stdout.take().context("cargo's output is piped")?;
    let failed_before = count.failed;
    let (sender, lines) = channel();
    thread::spawn(move || BufReader::new(output).split(b'\n').try_for_each(|line| sender.send(line).map_err(drop)));
    // Before the first line, what is tested is built.
    let mut patience = Duration::MAX;
    loop {
        let line = match lines.recv_timeout(patience) {
            Ok(line) => line?,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                println!("failed: in {name}, no test has ended for {} minutes", HANGS.as_secs() / 60);
                count.failed += 1;
                end_children_of(child.id());
                continue;
            }
        };
        patience = HANGS;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        if let Some((passed, failed)) = result(&line) {
            count.passed += passed;
            count.failed += failed;
        }
    }
    // Tests that do not compile or that crash print nothing that could be counted.
    if !child.wait()?.success() && count.failed == failed_before {
        println!("failed: {} in {name}", command::line(cargo));
        count.failed += 1;
    }
    Ok(())
}

/// Ends the processes that a process has started. Cargo goes on with its next program of tests then.
fn end_children_of(pid: u32) {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    for child in children.split_whitespace() {
        let _ = Command::new("sh").args(["-c", "kill -KILL \"$0\"", child]).status();
    }
}

/// Parses a line: `test result: ok. 3 passed; 0 failed; …` → (3, 0).
fn result(line: &str) -> Option<(u64, u64)> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut counts = counts.split("; ").map(|count| count.split(' ').next().and_then(|n| n.parse().ok()));
    Some((counts.next()??, counts.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_run_is_counted_once_a_test_and_held_to_the_list() {
        let not_run = NotRun::read("a::one\tpython3 is absent\na::one\tpython3 is absent\nb\tfish is not installed\n");
        assert_eq!((not_run.tests, not_run.reasons.len()), (2, 2));
        let listed = "# why\nfish is not # no shell of ours\n";
        assert_eq!(not_run.unlisted(listed), ["python3 is absent"]);
        assert!(NotRun::read("").unlisted(listed).is_empty());
    }

    #[test]
    fn the_results_of_cargo_test_are_counted() {
        let line =
            "test result: FAILED. 33 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out; finished in 41.66s";
        assert_eq!(result(line), Some((33, 4)));
        assert_eq!(result("test a_result ... ok"), None);
    }
}
