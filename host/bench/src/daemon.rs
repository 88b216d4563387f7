//! The figures of what somebody is awake for, of events, and of attaching: rows of `cargo xtask bench processes`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use aiw_tests::{Answer, Server};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::figures::{cpu_share, memory_usage, millis};
use crate::report::BenchReport;

const EVENT_TIMEOUT: Duration = Duration::from_secs(30);
/// The debounce of the file that is watched.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// How long the daemon is watched while nothing happens.
const WATCH_TIME: Duration = Duration::from_secs(20);
const EVENT_COUNT: usize = 100_000;

/// Types one character after another at `cat` through `aiw process attach`, and prints the middle time until each is
/// shown, in milliseconds.
const TYPING_SCRIPT: &str = r#"
import os, pty, select, sys, time
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], "process", "attach", "cat"])
def read(limit):
    seen = b""
    while select.select([terminal], [], [], limit)[0]:
        seen += os.read(terminal, 65536)
        limit = 0.3
    return seen
read(5)
times = []
for number in range(31):
    letter = b"abcdefghij"[number % 10:number % 10 + 1]
    begun = time.perf_counter()
    os.write(terminal, letter)
    seen = b""
    while letter not in seen:
        if not select.select([terminal], [], [], 5)[0]:
            sys.exit("nothing is shown")
        seen += os.read(terminal, 65536)
    times.append(time.perf_counter() - begun)
    time.sleep(0.02)
print(1000 * sorted(times)[len(times) // 2])
os.write(terminal, b"\x1d")
"#;

/// A project of its own, in a home of its own.
struct MeasuredProject<'a> {
    aiw: &'a Path,
    dir: tempfile::TempDir,
    lines: Receiver<(Instant, String)>,
    reader: Child,
}

impl<'a> MeasuredProject<'a> {
    fn new(aiw: &'a Path) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        fs::create_dir(dir.path().join(".ichimi"))?;
        fs::create_dir(dir.path().join("src"))?;
        let text = format!(
            "process \"api\" {{ command \"sleep\" \"100000\"; watch \"src/**\" debounce=\"{}ms\" }}
             process \"cat\" {{ command \"cat\"; terminal rows=24 columns=80 }}",
            DEBOUNCE.as_millis()
        );
        fs::write(dir.path().join(".ichimi/processes.kdl"), text)?;
        let mut reader = of(aiw, dir.path(), &["events", "-f", "--json"]).stdout(Stdio::piped()).spawn()?;
        let out = reader.stdout.take().context("its output")?;
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if send.send((Instant::now(), line)).is_err() {
                    return;
                }
            }
        });
        Ok(Self { aiw, dir, lines, reader })
    }

    fn run(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        let done = of(self.aiw, self.dir.path(), arguments).output()?;
        ensure!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        Ok(done.stdout)
    }

    fn json(&self, arguments: &[&str]) -> Result<Value> {
        Ok(serde_json::from_slice(&self.run(arguments)?)?)
    }

    /// Waits until the reader has shown an event of `api` of this kind.
    fn shown(&self, kind: &str) -> Result<Instant> {
        loop {
            let (at, line) = self.lines.recv_timeout(EVENT_TIMEOUT).with_context(|| format!("{kind} is not shown"))?;
            let event: Value = serde_json::from_str(&line)?;
            if event["kind"] == kind && event["name"] == "api" {
                return Ok(at);
            }
        }
    }
}

impl Drop for MeasuredProject<'_> {
    fn drop(&mut self) {
        let _ = self.run(&["down"]);
        let _ = self.reader.kill();
        let _ = self.reader.wait();
    }
}

fn of(program: &Path, dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).env("HOME", dir).env("AIW_HOME", dir.join("home")).env("AIW_RUNTIME_DIR", dir.join("run"));
    command.current_dir(dir).stdin(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Adds the rows of a daemon.
pub fn run(report: &mut BenchReport, aiw: &Path) -> Result<()> {
    let project = MeasuredProject::new(aiw)?;
    project.run(&["up", "-d", "--yes"])?;
    project.shown("started")?;
    // The daemon has to listen before it is measured.
    std::thread::sleep(Duration::from_secs(2));
    let mut number = 0;
    report.measure_pairs("process: from a changed file to its restart, after the debounce", "ms", || {
        number += 1;
        let begun = Instant::now();
        fs::write(project.dir.path().join(format!("src/{number}")), "x")?;
        let took = project.shown("restarted")?.saturating_duration_since(begun + DEBOUNCE);
        std::thread::sleep(Duration::from_millis(300));
        Ok(millis(took))
    })?;
    report.measure_pairs("process: an end, from SIGKILL to whoever waits for its event", "ms", || {
        let pid = project.json(&["ps", "--json"])?["processes"][0]["pid"].as_u64().context("a process")?;
        let begun = Instant::now();
        ensure!(Command::new("kill").args(["-9", &pid.to_string()]).status()?.success(), "kill failed");
        let took = project.shown("exited")?.saturating_duration_since(begun);
        project.run(&["process", "start", "api"])?;
        project.shown("started")?;
        Ok(millis(took))
    })?;
    searched(report, aiw)?;
    std::thread::sleep(Duration::from_secs(3));
    let pid = project.json(&["status", "--json"])?["daemon"]["pid"]
        .as_u64()
        .and_then(|pid| u32::try_from(pid).ok())
        .context("a daemon")?;
    report.add_measurement("process: memory of the daemon", "MB", memory_usage(pid).context("its memory")?)?;
    report.add_measurement("process: cpu of the daemon when nothing happens", "%", cpu_share(&[pid], WATCH_TIME))?;
    let mut types = of(Path::new("python3"), project.dir.path(), &["-c", TYPING_SCRIPT]);
    let typed = types.arg(aiw).stderr(Stdio::inherit()).output()?;
    let typed: f64 = String::from_utf8(typed.stdout)?.trim().parse().context("attach shows nothing")?;
    report.add_measurement("process: a key, from `aiw process attach` and back", "ms", typed)?;
    listed(report, aiw)
}

/// Adds the row of a list of ten runs, from a server that answers at once.
fn listed(report: &mut BenchReport, aiw: &Path) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let run =
        |id: u64| json!({"id": id, "name": "CI", "run_number": id, "status": "completed", "conclusion": "success"});
    let answer = json!({"total_count": 10, "workflow_runs": (1..=10).map(run).collect::<Vec<_>>()}).to_string();
    let server = Server::start(move |_| Answer::ok(answer.clone()));
    fs::create_dir(dir.path().join("home"))?;
    let settings = json!({"ci": {"hosts": {"ghe.test": {"api_url": server.url()}}}});
    fs::write(dir.path().join("home/settings.json"), settings.to_string())?;
    report.measure_pairs("ci: `aiw ci list`, beside the answer of its server", "ms", || {
        let begun = Instant::now();
        let done = of(aiw, dir.path(), &["ci", "list", "--repo", "ghe.test/o/r", "--json"]).output()?;
        let took = begun.elapsed();
        ensure!(String::from_utf8_lossy(&done.stdout).contains("\"total\": 10"), "the runs are not listed");
        Ok(millis(took))
    })?;
    Ok(())
}

/// Adds the row of a search in as many events as a home may have.
fn searched(report: &mut BenchReport, aiw: &Path) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let events = dir.path().join("home/events");
    fs::create_dir_all(&events)?;
    let line = |number: usize| {
        let at = number % 60;
        format!(
            "{{\"time\":\"2026-11-27T10:00:{at:02}Z\",\"kind\":\"ready\",\"subject\":\"process\",\"name\":\"p{number:06}\",\"pid\":{}}}\n",
            100_000 + number
        )
    };
    let mut base = 0;
    for (name, part) in [("events.1.jsonl", 0..EVENT_COUNT / 2), ("events.jsonl", EVENT_COUNT / 2..EVENT_COUNT)] {
        let mut file = fs::File::create(events.join(name))?;
        let head = format!("@{base}\n");
        let text: String = part.map(line).collect();
        file.write_all(head.as_bytes())?;
        file.write_all(text.as_bytes())?;
        base += head.len() + text.len();
    }
    report.measure_pairs("process: a search in 100,000 events", "ms", || {
        let begun = Instant::now();
        let done = of(aiw, dir.path(), &["events", "--all", "--subject", "p099999", "--json"]).output()?;
        let took = begun.elapsed();
        ensure!(String::from_utf8_lossy(&done.stdout).contains("p099999"), "the event is not found");
        Ok(millis(took))
    })?;
    Ok(())
}
