//! Test programs: what cargo built, and one run of each, read from libtest's JSON events.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use aiw_tests::command;
use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The interval at which a program without output is checked for its end.
const EXIT_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The time in which the last output of a program that exited has to arrive.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// The number of deaths after which a program is not started again.
const MAX_DEATHS: usize = 3;

/// The name under which a death is counted that no single test causes.
const PROGRAM: &str = "(program)";

/// The number of lines of standard error that are shown of a program that died.
const STDERR_TAIL_LINES: usize = 30;

/// A test program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Program {
    /// The package, and the target unless it is the library: `aiw-core`, `aiw-tests::e2e`.
    pub name: String,
    /// The executable.
    pub path: PathBuf,
    /// The directory of the package, in which cargo runs tests.
    directory: PathBuf,
}

/// How programs are run.
#[derive(Debug, Clone, Copy)]
pub struct RunOptions<'a> {
    /// The number of tests at a time.
    pub threads: usize,
    /// Variables that the program gets.
    pub environment: &'a [(&'a str, &'a str)],
    /// The longest time without an event before a program is killed.
    pub hang_timeout: Duration,
}

/// The result of one test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Passed,
    Ignored,
    /// With the reason: something that the test needs is missing on this machine.
    Skipped(String),
    /// With the captured output, or why the program died.
    Failed(String),
}

/// A test that ended.
#[derive(Debug, Clone)]
pub struct TestResult {
    pub name: String,
    pub verdict: Verdict,
    pub duration: Duration,
    /// The captured output of a test that passed.
    pub output: String,
}

impl TestResult {
    fn failed(name: &str, why: String) -> Self {
        Self { name: name.to_owned(), verdict: Verdict::Failed(why), duration: Duration::ZERO, output: String::new() }
    }
}

/// One run of a program.
#[derive(Debug, Default)]
struct Outcome {
    results: Vec<TestResult>,
    /// The tests that had started and not ended when the program died.
    running: Vec<String>,
    /// Why the program died, if it did.
    death: Option<String>,
}

/// Builds test programs with a `cargo build` or `cargo test --no-run` command, which compiler errors fail.
pub fn build(cargo: &mut Command) -> Result<Vec<Program>> {
    cargo.args(["--message-format", "json-render-diagnostics"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = cargo.spawn().context("cannot run cargo")?;
    let mut messages = String::new();
    child.stdout.take().context("cargo's output is piped")?.read_to_string(&mut messages)?;
    if !child.wait()?.success() {
        bail!("`{}` failed", command::line(cargo));
    }
    let mut programs: Vec<Program> = messages.lines().filter_map(Program::from_message).collect();
    programs.sort();
    programs.dedup();
    Ok(programs)
}

impl Program {
    /// Parses a message of cargo. Returns `None` if it is not about a test program.
    fn from_message(line: &str) -> Option<Self> {
        let message: Value = serde_json::from_str(line).ok()?;
        let path = PathBuf::from(message["executable"].as_str()?);
        let is_test = message["profile"]["test"].as_bool()?;
        let directory = Path::new(message["manifest_path"].as_str()?).parent()?.to_owned();
        let (target, kind) = (message["target"]["name"].as_str()?, message["target"]["kind"][0].as_str()?);
        // `path+file:///directory#name@version`, or `…/name#version` where the directory has the package's name.
        let (source, id) = message["package_id"].as_str()?.rsplit_once('#')?;
        let package = match id.split_once('@') {
            Some((package, _)) => package,
            None => source.rsplit('/').next()?,
        };
        let name = match kind {
            "test" => format!("{package}::{target}"),
            "bin" | "example" => format!("{package}::{kind}/{target}"),
            _ => package.to_owned(),
        };
        is_test.then_some(Self { name, path, directory })
    }

    /// Runs the tests whose full name contains one of the filters (all, without a filter) on some threads. A program that
    /// dies is started again for the tests that it did not reach, so that only the test that kills it is lost.
    pub fn run(&self, options: RunOptions<'_>, filters: &[String]) -> Vec<TestResult> {
        let Some(filters) = self.own_filters(filters) else { return Vec::new() };
        let mut outcome = self.run_once(options, &filters);
        let mut results = std::mem::take(&mut outcome.results);
        if outcome.death.is_none() {
            return results;
        }
        let mut left: BTreeSet<String> = match self.list(&filters) {
            Ok(names) => names.into_iter().collect(),
            Err(e) => {
                results.push(TestResult::failed(PROGRAM, format!("{}\n{e:#}", outcome.death.unwrap_or_default())));
                return results;
            }
        };
        for _ in 0..MAX_DEATHS {
            let Some(death) = outcome.death.take() else { return results };
            for result in &results {
                left.remove(&result.name);
            }
            let before = results.len();
            for name in std::mem::take(&mut outcome.running) {
                left.remove(&name);
                let mut alone = self.run_once(options, &["--exact".to_owned(), name.clone()]);
                results.append(&mut alone.results);
                results.extend(alone.death.map(|death| TestResult::failed(&name, death)));
            }
            // None kills the program by itself: the death is counted under the program's own name.
            if !results[before..].iter().any(|result| matches!(result.verdict, Verdict::Failed(_))) {
                results.push(TestResult::failed(PROGRAM, death));
            }
            if left.is_empty() {
                return results;
            }
            let exact: Vec<String> = std::iter::once("--exact".to_owned()).chain(left.iter().cloned()).collect();
            outcome = self.run_once(options, &exact);
            results.append(&mut outcome.results);
        }
        if let Some(death) = outcome.death {
            results.push(TestResult::failed(PROGRAM, format!("{death}\n{} tests were not run", left.len())));
        }
        results
    }

    /// Returns the filters for libtest, which knows nothing of the program's name; `None` if no test can match.
    fn own_filters(&self, filters: &[String]) -> Option<Vec<String>> {
        let mut own = Vec::new();
        for filter in filters {
            if self.name.contains(filter) {
                return Some(Vec::new());
            }
            // As in `aiw-tests::e2e::tasks`.
            let rest = filter.strip_prefix(&*self.name).and_then(|rest| rest.strip_prefix("::"));
            own.push(rest.unwrap_or(filter).to_owned());
        }
        (filters.is_empty() || !own.is_empty()).then_some(own)
    }

    /// Returns the names of the tests that match.
    fn list(&self, filters: &[String]) -> Result<Vec<String>> {
        let listed = command::output(self.command().args(filters).args(["--list", "--format", "terse"]))?;
        Ok(listed.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.current_dir(&self.directory).stdin(Stdio::null());
        // Only for the JSON events, which libtest calls unstable.
        command.env("RUSTC_BOOTSTRAP", "1");
        // As `.cargo/config.toml` has it for cargo.
        command.env("ORT_DISABLE_TELEMETRY", "1");
        // Otherwise, insta runs `cargo metadata` in each program.
        command.env("INSTA_WORKSPACE_ROOT", command::root());
        command
    }

    fn run_once(&self, options: RunOptions<'_>, arguments: &[String]) -> Outcome {
        let mut events = Events::default();
        match self.run_to_end(options, arguments, &mut events) {
            Ok(None) => Outcome { results: events.results, ..Outcome::default() },
            Ok(Some(why)) => {
                let running: Vec<String> = events.running.into_keys().collect();
                let names =
                    if running.is_empty() { String::new() } else { format!(" while it ran {}", running.join(", ")) };
                let death = why.replacen('\n', &format!("{names}\n"), 1);
                Outcome { results: events.results, running, death: Some(death) }
            }
            Err(e) => Outcome { results: events.results, death: Some(format!("{e:#}")), ..Outcome::default() },
        }
    }

    /// Returns why the program died, with the end of its standard error; `None` if it ran all its tests.
    fn run_to_end(&self, options: RunOptions<'_>, arguments: &[String], events: &mut Events) -> Result<Option<String>> {
        let errors = tempfile::NamedTempFile::new()?;
        let mut command = self.command();
        command.args(arguments).args(["-Zunstable-options", "--format", "json", "--show-output"]);
        command.arg(format!("--test-threads={}", options.threads)).envs(options.environment.iter().copied());
        command.stdout(Stdio::piped()).stderr(File::options().append(true).open(errors.path())?);
        let mut child = command.spawn().with_context(|| format!("cannot run `{}`", self.path.display()))?;
        let output = child.stdout.take().context("the program's output is piped")?;
        let (sender, lines) = channel();
        thread::spawn(move || BufReader::new(output).split(b'\n').try_for_each(|line| sender.send(line).map_err(drop)));
        let why = match events.read(&mut child, &lines, options.hang_timeout)? {
            End::Exited(_) if events.are_complete() => return Ok(None),
            End::Exited(status) => describe(status),
            End::Hung => {
                format!("was killed, because no test ended for {} minutes", options.hang_timeout.as_secs() / 60)
            }
        };
        let text = String::from_utf8_lossy(&fs::read(errors.path())?).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        Ok(Some(format!("the program {why}\n{}", lines[lines.len().saturating_sub(STDERR_TAIL_LINES)..].join("\n"))))
    }
}

/// How a program ended.
enum End {
    Exited(ExitStatus),
    Hung,
}

fn describe(status: ExitStatus) -> String {
    match status.signal() {
        Some(signal) => format!("was killed by signal {signal}"),
        None => format!("exited with {} before its last test", status.code().unwrap_or_default()),
    }
}

/// The events of one run.
#[derive(Debug, Default)]
struct Events {
    results: Vec<TestResult>,
    running: BTreeMap<String, Instant>,
    /// The number of tests that libtest announced.
    announced: Option<u64>,
    /// `true` once libtest has reported its own result.
    has_ended: bool,
}

impl Events {
    /// Returns `true` if each announced test has ended, and libtest has said so.
    fn are_complete(&self) -> bool {
        self.has_ended && self.running.is_empty() && self.announced == Some(self.results.len() as u64)
    }

    /// Reads events until the program has ended. A process that a test left behind may keep the pipe open.
    fn read(
        &mut self,
        child: &mut Child,
        lines: &Receiver<std::io::Result<Vec<u8>>>,
        hang_timeout: Duration,
    ) -> Result<End> {
        let (mut last_event, mut exited) = (Instant::now(), None);
        loop {
            let is_quiet = match lines.recv_timeout(EXIT_POLL_INTERVAL) {
                Ok(line) => {
                    if self.record(&String::from_utf8_lossy(&line?)) {
                        last_event = Instant::now();
                    }
                    false
                }
                Err(RecvTimeoutError::Timeout) => true,
                Err(RecvTimeoutError::Disconnected) => {
                    thread::sleep(EXIT_POLL_INTERVAL);
                    true
                }
            };
            if exited.is_none() {
                exited = child.try_wait()?.map(|status| (status, Instant::now()));
            }
            match exited {
                // What it wrote last may still be in the pipe.
                Some((status, at)) if self.are_complete() || is_quiet && at.elapsed() > DRAIN_TIMEOUT => {
                    return Ok(End::Exited(status));
                }
                Some((status, at)) if at.elapsed() > 10 * DRAIN_TIMEOUT => return Ok(End::Exited(status)),
                _ => {}
            }
            if exited.is_none() && last_event.elapsed() > hang_timeout {
                kill_tree(child.id());
                child.wait()?;
                return Ok(End::Hung);
            }
        }
    }

    /// Records a line of libtest's JSON. Returns `false` for other output, as of a process that a test started.
    fn record(&mut self, line: &str) -> bool {
        let start = line.find("{ \"type\": \"").unwrap_or(0);
        let Ok(event) = serde_json::from_str::<Value>(&line[start..]) else { return false };
        match (event["type"].as_str(), event["event"].as_str(), event["name"].as_str()) {
            (Some("suite"), Some("started"), _) => self.announced = event["test_count"].as_u64(),
            (Some("suite"), Some("ok" | "failed"), _) => self.has_ended = true,
            (Some("test"), Some("started"), Some(name)) => {
                self.running.insert(name.to_owned(), Instant::now());
            }
            (Some("test"), Some("ignored"), Some(name)) => {
                self.running.remove(name);
                self.results.push(TestResult {
                    name: name.to_owned(),
                    verdict: Verdict::Ignored,
                    duration: Duration::ZERO,
                    output: String::new(),
                });
            }
            (Some("test"), Some(result @ ("ok" | "failed")), Some(name)) => {
                // A test that is not running cannot end.
                let Some(start) = self.running.remove(name) else { return false };
                let text = |key: &str| event[key].as_str().unwrap_or_default();
                let output = format!("{}{}", text("stdout"), text("message"));
                let (verdict, output) = match (result, skip_reason(&output)) {
                    ("failed", _) => (Verdict::Failed(output), String::new()),
                    (_, Some(why)) => (Verdict::Skipped(why.to_owned()), String::new()),
                    _ => (Verdict::Passed, output),
                };
                self.results.push(TestResult { name: name.to_owned(), verdict, duration: start.elapsed(), output });
            }
            // Such as libtest's warning of a test that takes over a minute.
            _ => return false,
        }
        true
    }
}

/// Returns why a test was skipped, if it said so.
fn skip_reason(output: &str) -> Option<&str> {
    output.lines().find_map(|line| line.strip_prefix("skipped: "))
}

/// Kills a process and everything that it started and that did not detach.
pub fn kill_tree(pid: u32) {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    for child in children.split_whitespace().filter_map(|child| child.parse().ok()) {
        kill_tree(child);
    }
    let _ = Command::new("sh").args(["-c", "kill -KILL \"$0\"", &pid.to_string()]).status();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_test_programs_of_cargos_messages_are_taken() {
        let message = |kind: &str, name: &str, test: bool, id: &str| {
            serde_json::json!({"reason": "compiler-artifact", "package_id": id, "manifest_path": "/a/core/Cargo.toml",
                "target": {"kind": [kind], "name": name}, "profile": {"test": test}, "executable": "/t/x"})
            .to_string()
        };
        let name = |line: &str| Program::from_message(line).map(|program| program.name);
        let id = "path+file:///a/core#aiw-core@0.7.0";
        assert_eq!(name(&message("lib", "aiw_core", true, id)).as_deref(), Some("aiw-core"));
        assert_eq!(name(&message("test", "it", true, id)).as_deref(), Some("aiw-core::it"));
        assert_eq!(name(&message("bin", "aiw", true, "path+file:///a/sdk#0.7.0")).as_deref(), Some("sdk::bin/aiw"));
        assert_eq!(name(&message("bin", "aiw", false, id)), None);
        assert_eq!(name(r#"{"reason": "build-finished", "success": true}"#), None);
    }

    #[test]
    fn events_are_recorded_amid_other_output() {
        let mut events = Events::default();
        for line in [
            r#"{ "type": "suite", "event": "started", "test_count": 4 }"#,
            r#"{ "type": "test", "event": "started", "name": "a" }"#,
            r#"{ "type": "test", "event": "started", "name": "b" }"#,
            "a child's line",
            r#"no line end{ "type": "test", "name": "a", "event": "ok" }"#,
            r#"{ "type": "test", "name": "never started", "event": "ok" }"#,
            r#"{ "type": "test", "name": "b", "event": "failed", "stdout": "left: 1\n" }"#,
            r#"{ "type": "test", "event": "started", "name": "c" }"#,
            r#"{ "type": "test", "event": "timeout", "name": "c" }"#,
            r#"{ "type": "test", "event": "started", "name": "d" }"#,
            r#"{ "type": "test", "name": "d", "event": "ok", "stdout": "x\nskipped: no python\n" }"#,
        ] {
            events.record(line);
        }
        let verdicts: Vec<_> = events.results.iter().map(|result| (&*result.name, result.verdict.clone())).collect();
        let expected = [
            ("a", Verdict::Passed),
            ("b", Verdict::Failed("left: 1\n".into())),
            ("d", Verdict::Skipped("no python".into())),
        ];
        assert_eq!(verdicts, expected);
        assert!(!events.are_complete() && events.running.contains_key("c"));
        events.record(r#"{ "type": "test", "name": "c", "event": "ok" }"#);
        assert!(!events.are_complete(), "libtest has not ended");
        events.record(r#"{ "type": "suite", "event": "failed", "passed": 3, "failed": 1 }"#);
        assert!(events.are_complete());
    }

    #[test]
    fn filters_name_programs_or_tests() {
        let program = Program { name: "aiw-tests::e2e".into(), path: PathBuf::new(), directory: PathBuf::new() };
        let own = |filters: &[&str]| program.own_filters(&filters.iter().map(|f| (*f).to_owned()).collect::<Vec<_>>());
        assert_eq!(own(&[]), Some(vec![]));
        assert_eq!(own(&["e2e"]), Some(vec![]));
        assert_eq!(own(&["tasks::", "aiw-tests::e2e::cli"]), Some(vec!["tasks::".to_owned(), "cli".to_owned()]));
    }

    /// This program itself stands for one that dies, or that leaves early as if all were well.
    #[test]
    fn a_program_that_dies_loses_one_test_with_its_name() {
        for (how, said) in [("abort", "killed by signal 6"), ("exit", "exited with 0 before its last test")] {
            dies(how, said);
        }
    }

    fn dies(how: &str, said: &str) {
        let path = std::env::current_exe().unwrap();
        let directory = path.parent().unwrap().to_owned();
        let program = Program { name: "x".into(), path, directory };
        let environment = [("AIW_TEST_DIES", how)];
        let options = RunOptions { threads: 2, environment: &environment, hang_timeout: Duration::from_secs(60) };
        let results = program.run(options, &["programs::tests::stands_for".to_owned()]);
        let mut seen: Vec<_> =
            results.iter().map(|r| (r.name.rsplit("::").next().unwrap(), r.verdict == Verdict::Passed)).collect();
        seen.sort_unstable();
        let expected = [("stands_for_a_test_that_aborts", false), ("stands_for_a_test_that_passes", true)];
        assert_eq!(seen, expected, "{results:?}");
        let failed = results.iter().find_map(|result| match &result.verdict {
            Verdict::Failed(why) => Some(why.clone()),
            _ => None,
        });
        assert!(failed.is_some_and(|why| why.contains(said)), "{results:?}");
    }

    #[test]
    fn stands_for_a_test_that_aborts() {
        match std::env::var("AIW_TEST_DIES").as_deref() {
            Ok("abort") => std::process::abort(),
            Ok("exit") => std::process::exit(0),
            _ => {}
        }
    }

    #[test]
    fn stands_for_a_test_that_passes() {
        thread::sleep(Duration::from_millis(50));
    }
}
