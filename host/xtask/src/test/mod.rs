//! `cargo xtask test`: builds everything that tests need, runs all tests, and prints one line.

mod programs;
mod soak;

use std::collections::{BTreeMap, VecDeque};
use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use aiw_tests::command;
use anyhow::{Context, Result, ensure};
use parking_lot::Mutex;

use self::programs::{Program, RunOptions, TestResult, Verdict};
pub use self::soak::soak;
use crate::{guests, plugins, tools};

/// Workspaces besides the host's, whose tests also run on this machine.
const GUESTS: [&str; 6] = [
    "plugins",
    "sdk/rust",
    "examples/acme-catalogue",
    "examples/acme-index",
    "examples/acme-spread",
    "tests/components/hostile",
];

/// The reasons for which tests may be skipped under CI: in each line the start of a reason, and after ` # ` why that is
/// all right.
const SKIP_LIST: &str = "tests/may-be-missing.txt";

/// The output of the installation of the tools of tests.
const TOOLS_LOG: &str = "target/tools-of-tests.log";

/// Held while tests are built and run: two runs would replace each other's tools and programs.
const LOCK_FILE: &str = "target/xtask-test.lock";

/// The longest time without a test that ends.
const HANG_TIMEOUT: Duration = Duration::from_secs(600);

/// The number of the slowest tests that are listed.
const SLOWEST_LEN: usize = 20;

/// What `cargo xtask test` was asked for.
#[derive(Debug, Default, clap::Args)]
pub struct TestOptions {
    /// Install no tools from the network; the tests that lack one are skipped
    #[arg(long)]
    offline: bool,
    /// Build everything and run nothing
    #[arg(long)]
    no_run: bool,
    /// Run only tests whose name, or whose program's name, contains one of these
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
}

/// The installation of the tools of tests, which runs beside the build: it waits for the network more than for a processor.
struct ToolsInstall(Child);

impl ToolsInstall {
    fn start() -> Result<Self> {
        let log = command::root().join(TOOLS_LOG);
        let output = File::create(&log).with_context(|| log.display().to_string())?;
        let mut install = Command::new(env::current_exe()?);
        install.arg("tools").stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        Ok(Self(install.spawn().context("cannot start the installation of tools")?))
    }

    /// Waits for the end, and prints what could not be installed.
    fn finish(mut self) -> Result<()> {
        let status = self.0.wait()?;
        let log = fs::read_to_string(command::root().join(TOOLS_LOG))?;
        ensure!(status.success(), "installing the tools of tests failed ({status}):\n{log}");
        print!("{log}");
        Ok(())
    }
}

impl Drop for ToolsInstall {
    fn drop(&mut self) {
        // It has ended already, unless the build failed.
        if self.0.try_wait().is_ok_and(|status| status.is_none()) {
            programs::kill_tree(self.0.id());
            let _ = self.0.wait();
        }
    }
}

/// Builds what tests need and runs them. Returns `true` if all passed.
pub fn run(options: &TestOptions) -> Result<bool> {
    let start = Instant::now();
    fs::create_dir_all(command::root().join("target"))?;
    let lock = File::create(command::root().join(LOCK_FILE))?;
    if lock.try_lock().is_err() {
        println!("waiting for another `cargo xtask test`");
        lock.lock()?;
    }
    let tools = if options.offline { None } else { Some(ToolsInstall::start()?) };
    if options.offline {
        for (what, tests) in tools::not_installed()? {
            println!("{what} is not installed: tests that need it are skipped ({tests})");
        }
    }
    let programs = build()?;
    if let Some(tools) = tools {
        tools.finish()?;
    }
    println!("built {} test programs in {:.0} s", programs.len(), start.elapsed().as_secs_f64());
    if options.no_run {
        return Ok(true);
    }
    let started = Instant::now();
    let path = tools::path()?;
    let mut results = run_programs(programs, &options.filters, &[("PATH", &*path)], HANG_TIMEOUT)?;
    if options.filters.is_empty() {
        results.extend(run_doctests("the host", &mut command::host_cargo(), &["--workspace"])?);
        results.extend(run_doctests("sdk/rust", &mut guest_cargo("sdk/rust"), &[])?);
    }
    print_slowest(&results);
    println!("\nran for {:.0} s", started.elapsed().as_secs_f64());
    summarize(&results)
}

/// Builds the components, the binary, and all test programs.
fn build() -> Result<Vec<Program>> {
    plugins::setup()?;
    guests::build()?;
    let mut host = command::host_build();
    let mut programs = programs::build(host.args(["--lib", "--bins", "--tests", "--examples"]))?;
    for workspace in GUESTS {
        let mut guest = guest_cargo(workspace);
        command::quiet_unless_terminal(guest.args(["test", "--no-run", "--locked"]));
        programs.extend(programs::build(&mut guest)?);
    }
    Ok(programs)
}

/// Returns a `cargo` command for a guest's tests. Where the host's tests are linted as they are built, the guests' are, too.
fn guest_cargo(workspace: &str) -> Command {
    let mut guest = command::guest_cargo(workspace);
    for name in ["RUSTC_WORKSPACE_WRAPPER", "CLIPPY_ARGS"] {
        if let Some(value) = env::var_os(name) {
            guest.env(name, value);
        }
    }
    guest
}

/// Runs programs two at a time: the end-to-end tests, which take longest and often wait for a process, and the others one
/// after the other. Prints one line for each program, and each failure.
fn run_programs(
    mut programs: Vec<Program>,
    filters: &[String],
    environment: &[(&str, &str)],
    hang_timeout: Duration,
) -> Result<Vec<(String, TestResult)>> {
    let processors = thread::available_parallelism()?.get();
    let forced = env::var("RUST_TEST_THREADS").ok().and_then(|threads| threads.parse().ok());
    programs.sort_by_key(|program| !program.name.contains("e2e"));
    let queue = Mutex::new(VecDeque::from(programs));
    let all = Mutex::new(Vec::new());
    let worker = || -> Result<()> {
        loop {
            let Some(program) = queue.lock().pop_front() else { return Ok(()) };
            let is_long = program.name.contains("e2e");
            let threads = forced.unwrap_or(if is_long { processors + 1 } else { processors });
            let start = Instant::now();
            let results = program.run(RunOptions { threads, environment, hang_timeout }, filters);
            print_program(&program.name, &results, start.elapsed());
            all.lock().extend(results.into_iter().map(|result| (program.name.clone(), result)));
        }
    };
    thread::scope(|scope| {
        let workers = [scope.spawn(worker), scope.spawn(worker)];
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| anyhow::anyhow!("a worker panicked"))?)
    })?;
    Ok(all.into_inner())
}

fn print_program(name: &str, results: &[TestResult], duration: Duration) {
    if results.is_empty() {
        return;
    }
    let mut text = String::new();
    for result in results {
        if let Verdict::Failed(output) = &result.verdict {
            text += &format!("\nFAILED {name} {} ({:.1} s)\n{output}\n", result.name, result.duration.as_secs_f64());
        }
    }
    let (passed, failed) = count(results.iter());
    text += &format!("{name}: {passed} passed, {failed} failed, {:.1} s\n", duration.as_secs_f64());
    print!("{text}");
    let _ = std::io::stdout().flush();
}

/// Returns the numbers of tests that passed and that failed.
fn count<'a>(results: impl Iterator<Item = &'a TestResult>) -> (u64, u64) {
    results.fold((0, 0), |(passed, failed), result| match result.verdict {
        Verdict::Passed => (passed + 1, failed),
        Verdict::Failed(_) => (passed, failed + 1),
        Verdict::Ignored | Verdict::Skipped(_) => (passed, failed),
    })
}

/// Runs the examples in doc comments of a workspace, which rustdoc compiles. Returns one result for each.
fn run_doctests(name: &str, cargo: &mut Command, packages: &[&str]) -> Result<Vec<(String, TestResult)>> {
    // With `--quiet`, rustdoc prints dots instead of names.
    cargo.args(["test", "--doc", "--locked", "--no-fail-fast"]).args(packages);
    let start = Instant::now();
    let (output, success) = printed(cargo)?;
    let mut results = Vec::new();
    for line in output.lines() {
        let Some((test, verdict)) = line.strip_prefix("test ").and_then(|line| line.rsplit_once(" ... ")) else {
            continue;
        };
        let verdict = match verdict {
            "ok" => Verdict::Passed,
            "ignored" => Verdict::Ignored,
            _ => Verdict::Failed("its output is above".to_owned()),
        };
        results.push(TestResult { name: test.to_owned(), verdict, duration: Duration::ZERO, output: String::new() });
    }
    let (passed, mut failed) = count(results.iter());
    if failed > 0 || !success {
        print!("{output}");
    }
    // An example that does not compile leaves no line.
    if failed == 0 && !success {
        let verdict = Verdict::Failed("its output is above".to_owned());
        results.push(TestResult {
            name: "(rustdoc)".to_owned(),
            verdict,
            duration: Duration::ZERO,
            output: String::new(),
        });
        failed = 1;
    }
    println!("examples of {name}: {passed} passed, {failed} failed, {:.1} s", start.elapsed().as_secs_f64());
    Ok(results.into_iter().map(|result| (format!("examples of {name}"), result)).collect())
}

/// Runs a command and returns its standard output and whether it succeeded.
fn printed(command: &mut Command) -> Result<(String, bool)> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    Ok((String::from_utf8_lossy(&output.stdout).into_owned(), output.status.success()))
}

fn print_slowest(results: &[(String, TestResult)]) {
    let mut slowest: Vec<_> = results.iter().collect();
    slowest.sort_by_key(|(_, result)| std::cmp::Reverse(result.duration));
    println!("\nslowest tests:");
    for (program, result) in slowest.into_iter().take(SLOWEST_LEN) {
        println!("{:>7.1} s  {program} {}", result.duration.as_secs_f64(), result.name);
    }
}

/// Prints the failures, the skipped tests and the counts. Returns `true` if the run is good.
fn summarize(results: &[(String, TestResult)]) -> Result<bool> {
    let (passed, failed) = count(results.iter().map(|(_, result)| result));
    for (program, result) in results {
        if matches!(result.verdict, Verdict::Failed(_)) {
            println!("FAILED {program} {}", result.name);
        }
    }
    let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
    for (_, result) in results {
        if let Verdict::Skipped(why) = &result.verdict {
            *reasons.entry(why).or_default() += 1;
        }
    }
    for (why, tests) in &reasons {
        println!("skipped: {why} ({tests})");
    }
    let listed = fs::read_to_string(command::root().join(SKIP_LIST))?;
    let unlisted = unlisted(reasons.keys().copied(), &listed);
    // A machine that is made for tests has what they need.
    let is_ci = env::var_os("CI").is_some();
    if is_ci && !unlisted.is_empty() {
        println!("failed: skipped, and not listed in {SKIP_LIST}: {}", unlisted.join("; "));
    }
    let skipped: u64 = reasons.values().sum();
    if passed + failed + skipped == 0 {
        println!("no test has such a name");
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    Ok(failed == 0 && passed + skipped > 0 && (!is_ci || unlisted.is_empty()))
}

/// Returns the reasons that a list does not have.
fn unlisted<'a>(reasons: impl Iterator<Item = &'a str>, listed: &str) -> Vec<&'a str> {
    let listed: Vec<&str> = listed
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.split_once(" # ")?.0.trim()))
        .collect();
    reasons.filter(|why| !listed.iter().any(|start| why.starts_with(start))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_to_skip_are_compared_with_the_list() {
        let listed = "# why\nfish is not # no shell of ours\n";
        let reasons = ["python3 is absent", "fish is not installed"];
        assert_eq!(unlisted(reasons.into_iter(), listed), ["python3 is absent"]);
        assert!(unlisted(std::iter::empty(), listed).is_empty());
    }
}
