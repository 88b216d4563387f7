//! `cargo xtask bench processes`: the cost to start, restart, watch, log and list processes, beside pm2, supervisor,
//! circus and pitchfork. They are taken from `target/peers`, where `cargo xtask setup --peers` installs them, or from
//! `PATH`; those that are absent are named.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use aiw_tests::command::{self, root};
use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::figures::{cpu_share, memory_usage, millis};
use crate::pairs::median;
use crate::report::BenchReport;

const RUN_COUNT: usize = 15;

/// How many idle processes are watched, and for how long.
const IDLE_PROCESS_COUNT: usize = 20;
const WATCH_TIME: Duration = Duration::from_secs(20);

const PROCESS_COUNT: usize = 200;

/// The bytes of the log, in lines of 80.
const LOG_BYTES: usize = 256 << 20;

const START_TIMEOUT: Duration = Duration::from_secs(30);

/// The pause before a restart, which is not a cost.
const RESTART_DELAY: Duration = Duration::from_millis(10);

/// A script that says its process id, then runs for ever.
const SLEEP_SCRIPT: &str = "echo $$ > SAYS; exec sleep 100000";

/// Adds the rows of processes, and notes what the peers take.
pub fn run(report: &mut BenchReport, aiw: &Path) -> Result<()> {
    let mut peers = Vec::new();
    for kind in [Product::Pm2, Product::Supervisor, Product::Circus, Product::Pitchfork] {
        let Some(program) = kind.installed() else {
            println!("{} is not installed here: `cargo xtask setup --peers` installs it", kind.name());
            continue;
        };
        match PeerFigures::measure(kind, &program) {
            Ok(figures) => peers.push(figures),
            Err(e) => println!("{} was not measured: {e:#}", kind.name()),
        }
    }
    let note = |report: &BenchReport, unit: &str, figure: fn(&PeerFigures) -> Option<f64>| {
        for peer in &peers {
            if let Some(figure) = figure(peer) {
                report.note(&format!("with {}", peer.kind.name()), figure, unit);
            }
        }
    };
    let kind = Product::Aiw;
    let run = SupervisorRun::new(kind, aiw, &[("web".into(), SLEEP_SCRIPT)], false, false)?;
    report.measure_custom_pairs("process: from start to running", "ms", || {
        let plain = plain_start(&run)?;
        Ok((start(&run)?, plain))
    })?;
    note(report, "ms", |peer| Some(peer.start));
    report.measure_pairs("process: its end is noticed", "ms", || notice(&run)?.context("aiw notes an end"))?;
    note(report, "ms", |peer| peer.notice);
    drop(run);
    let (run, mut pid) = restarting(kind, aiw)?;
    report.measure_pairs("process: restart, after its pause", "ms", || restart(&run, &mut pid))?;
    note(report, "ms", |peer| Some(peer.restart));
    drop(run);
    let (memory, cpu) = idle(kind, aiw)?;
    report.add_measurement("process: 20 idle ones, memory of the supervisors", "MB", memory)?;
    note(report, "MB", |peer| Some(peer.memory));
    report.add_measurement("process: 20 idle ones, cpu of the supervisors", "%", cpu)?;
    note(report, "%", |peer| Some(peer.cpu));
    report.measure_pairs("process: a log", "MB/s", || logged(kind, aiw))?;
    note(report, "MB/s", |peer| Some(peer.log));
    let run = SupervisorRun::new(kind, aiw, &named(PROCESS_COUNT, SLEEP_SCRIPT), false, true)?;
    let starts = start_all(&run)?;
    match peers.iter().find(|peer| peer.kind == Product::Pm2) {
        Some(peer) => report.add_pairs("process: 200 starts", "s", &[(starts, peer.starts)])?,
        None => report.add_measurement("process: 200 starts", "s", starts)?,
    }
    note(report, "s", |peer| Some(peer.starts));
    report.measure_pairs("process: a list of 200", "ms", || list(&run))?;
    note(report, "ms", |peer| Some(peer.list));
    drop(run);
    crate::daemon::run(report, aiw)
}

/// The figures of a peer.
struct PeerFigures {
    kind: Product,
    start: f64,
    notice: Option<f64>,
    restart: f64,
    memory: f64,
    cpu: f64,
    log: f64,
    list: f64,
    starts: f64,
}

impl PeerFigures {
    fn measure(kind: Product, program: &Path) -> Result<Self> {
        let medians = |measure: &mut dyn FnMut() -> Result<f64>| -> Result<f64> {
            Ok(median((0..RUN_COUNT).map(|_| measure()).collect::<Result<_>>()?))
        };
        let run = SupervisorRun::new(kind, program, &[("web".into(), SLEEP_SCRIPT)], false, false)?;
        let started = medians(&mut || start(&run)).context("a start")?;
        let noticed: Option<Vec<f64>> =
            (0..RUN_COUNT).map(|_| notice(&run)).collect::<Result<_>>().context("the end of a process")?;
        drop(run);
        let (run, mut pid) = restarting(kind, program)?;
        let restarted = medians(&mut || restart(&run, &mut pid)).context("a restart")?;
        drop(run);
        let (memory, cpu) = idle(kind, program).context("idle processes")?;
        let log = logged(kind, program).context("a log")?;
        let run = SupervisorRun::new(kind, program, &named(PROCESS_COUNT, SLEEP_SCRIPT), false, true)?;
        let starts = start_all(&run).context("many processes")?;
        let list = medians(&mut || list(&run)).context("a list")?;
        Ok(Self {
            kind,
            start: started,
            notice: noticed.map(median),
            restart: restarted,
            memory,
            cpu,
            log,
            list,
            starts,
        })
    }
}

/// A supervisor that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Product {
    Aiw,
    Pm2,
    Supervisor,
    Circus,
    Pitchfork,
}

impl Product {
    fn name(self) -> &'static str {
        match self {
            Self::Aiw => "aiw",
            Self::Pm2 => "pm2",
            Self::Supervisor => "supervisor",
            Self::Circus => "circus",
            Self::Pitchfork => "pitchfork",
        }
    }

    /// The program that clients run, where it is installed.
    fn installed(self) -> Option<PathBuf> {
        let (place, name) = match self {
            Self::Aiw => return None,
            Self::Pm2 => ("node_modules/.bin", "pm2"),
            Self::Supervisor => ("python/bin", "supervisorctl"),
            Self::Circus => ("python/bin", "circusctl"),
            Self::Pitchfork => ("bin", "pitchfork"),
        };
        let here = root().join("target/peers").join(place).join(name);
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::iter::once(here).chain(std::env::split_paths(&path).map(|dir| dir.join(name))).find(|path| path.is_file())
    }
}

/// Programs under a supervisor of their own, in a directory of their own. Dropped, all of it ends.
struct SupervisorRun {
    kind: Product,
    program: PathBuf,
    dir: tempfile::TempDir,
    said: Receiver<(Instant, String)>,
}

impl SupervisorRun {
    /// Writes the programs, each a name and a script, with `SAYS` for the file that tells the bench what they say. With
    /// `again`, they are started again whenever they end; with `all`, they start with the supervisor.
    fn new(kind: Product, program: &Path, programs: &[(String, &str)], again: bool, all: bool) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let says = dir.path().join("says");
        command::run(Command::new("mkfifo").arg(&says))?;
        let (send, said) = channel();
        // Open for both, so that it never ends.
        let fifo = fs::OpenOptions::new().read(true).write(true).open(&says)?;
        std::thread::spawn(move || {
            for line in BufReader::new(fifo).lines().map_while(Result::ok) {
                if send.send((Instant::now(), line)).is_err() {
                    return;
                }
            }
        });
        let machine = Self { kind, program: program.to_owned(), dir, said };
        let mut scripts = Vec::new();
        for (name, script) in programs {
            let path = machine.path(&format!("{name}.sh"));
            fs::write(&path, script.replace("SAYS", &says.display().to_string()))?;
            scripts.push((name.as_str(), path.display().to_string()));
        }
        machine.configure(&scripts, again, all)?;
        Ok(machine)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn configure(&self, programs: &[(&str, String)], again: bool, all: bool) -> Result<()> {
        let here = self.dir.path().display();
        let mut text = String::new();
        let file = match self.kind {
            Product::Aiw => {
                for (name, script) in programs {
                    let restart = if again { "always" } else { "no" };
                    writeln!(text, "process \"{name}\" {{ command \"/bin/sh\" \"{script}\"; auto-start #{all}")?;
                    let pause = RESTART_DELAY.as_millis();
                    writeln!(text, "restart \"{restart}\" max=100 within=\"1s\" backoff=\"{pause}ms..{pause}ms\" }}")?;
                }
                fs::create_dir(self.path(".ichimi"))?;
                ".ichimi/processes.kdl"
            }
            Product::Pm2 => {
                let app = |(name, script): &(&str, String)| {
                    json!({"name": name, "script": "/bin/sh", "args": [script], "interpreter": "none",
                        "autorestart": again, "restart_delay": 0})
                };
                text = json!({"apps": programs.iter().map(app).collect::<Vec<_>>()}).to_string();
                "apps.json"
            }
            Product::Supervisor => {
                writeln!(text, "[unix_http_server]\nfile={here}/s.sock\n[supervisord]\nlogfile={here}/log")?;
                writeln!(text, "pidfile={here}/pid\nchildlogdir={here}\nminfds=1024\n[supervisorctl]")?;
                writeln!(text, "serverurl=unix://{here}/s.sock\n[rpcinterface:supervisor]")?;
                writeln!(text, "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface")?;
                for (name, script) in programs {
                    writeln!(text, "[program:{name}]\ncommand=/bin/sh {script}\nautostart={all}")?;
                    writeln!(text, "autorestart={again}\nstartsecs=0")?;
                }
                "supervisord.conf"
            }
            Product::Circus => {
                writeln!(text, "[circus]\nendpoint=ipc://{here}/e\npubsub_endpoint=ipc://{here}/p\ncheck_delay=1")?;
                for (name, script) in programs {
                    writeln!(text, "[watcher:{name}]\ncmd=/bin/sh {script}\nautostart={all}\nrespawn={again}")?;
                    writeln!(text, "warmup_delay=0\nstdout_stream.class=FileStream")?;
                    writeln!(text, "stdout_stream.filename={here}/{name}.out")?;
                }
                "circus.ini"
            }
            Product::Pitchfork => {
                for (name, script) in programs {
                    writeln!(text, "[daemons.{name}]\nrun = \"exec /bin/sh {script}\"\nready_delay = 0")?;
                    if again {
                        writeln!(text, "retry = 1000000")?;
                    }
                }
                "pitchfork.toml"
            }
        };
        fs::write(self.path(file), text)?;
        // A daemon that programs are given to later.
        match self.kind {
            Product::Supervisor if !all => self.quiet(&mut self.daemon()),
            Product::Circus if !all => self.quiet(&mut self.daemon()),
            Product::Pm2 => self.quiet(&mut self.command(&["ping"])),
            Product::Pitchfork => self.quiet(&mut self.command(&["supervisor", "start"])),
            _ => Ok(()),
        }
    }

    /// The daemon of those that have one beside their client.
    fn daemon(&self) -> Command {
        match self.kind {
            Product::Supervisor => {
                let mut command = self.of(&self.program.with_file_name("supervisord"));
                command.arg("-c").arg(self.path("supervisord.conf"));
                command
            }
            _ => {
                let mut command = self.of(&self.program.with_file_name("circusd"));
                command.args(["--daemon", "--log-level", "info", "--log-output"]).arg(self.path("log"));
                command.arg(self.path("circus.ini"));
                command
            }
        }
    }

    fn of(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        let here = self.dir.path();
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("LANG", "C.UTF-8");
        for name in ["HOME", "AIW_HOME", "PM2_HOME", "XDG_STATE_HOME"] {
            command.env(name, here);
        }
        command.env("AIW_RUNTIME_DIR", here.join("run")).current_dir(here);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.of(&self.program);
        match self.kind {
            Product::Supervisor => command.arg("-c").arg(self.path("supervisord.conf")),
            Product::Circus => command.arg("--endpoint").arg(format!("ipc://{}/e", self.dir.path().display())),
            _ => &mut command,
        };
        command.args(arguments);
        command
    }

    fn quiet(&self, command: &mut Command) -> Result<()> {
        let output = command.stderr(Stdio::piped()).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{command:?} failed: {}", said.trim());
        Ok(())
    }

    /// Starts all programs.
    fn up(&self) -> Result<()> {
        match self.kind {
            Product::Aiw => self.quiet(&mut self.command(&["up", "--detach", "--yes"])),
            Product::Pm2 => self.quiet(&mut self.command(&["start", "apps.json"])),
            Product::Supervisor | Product::Circus => self.quiet(&mut self.daemon()),
            Product::Pitchfork => self.quiet(&mut self.command(&["start", "--all"])),
        }
    }

    fn start(&self, name: &str) -> Command {
        match self.kind {
            Product::Aiw => self.command(&["process", "start", "--yes", name]),
            Product::Pm2 => self.command(&["start", "apps.json", "--only", name]),
            _ => self.command(&["start", name]),
        }
    }

    fn stop(&self, name: &str) -> Result<()> {
        self.quiet(&mut self.command(&["stop", name]))
    }

    fn list(&self) -> Command {
        match self.kind {
            Product::Aiw => self.command(&["ps"]),
            Product::Pm2 => self.command(&["jlist"]),
            Product::Supervisor | Product::Circus => self.command(&["status"]),
            Product::Pitchfork => self.command(&["list"]),
        }
    }

    /// Returns a program's next line.
    fn said(&self) -> Result<(Instant, String)> {
        self.said.recv_timeout(START_TIMEOUT).context("a program did not say that it runs")
    }

    /// Where an end shows first, if that is a file.
    fn noted(&self) -> Option<PathBuf> {
        match self.kind {
            Product::Aiw => {
                let all = fs::read_dir(self.path("processes")).ok()?.flatten();
                all.map(|entry| entry.path().join("process.json")).find(|path| path.is_file())
            }
            Product::Pm2 => Some(self.path("pm2.log")),
            Product::Supervisor => Some(self.path("log")),
            Product::Circus | Product::Pitchfork => None,
        }
    }

    /// The processes of the supervisor itself: all that were started here, but the programs.
    fn own(&self) -> Vec<u32> {
        let mark = format!("HOME={}", self.dir.path().display());
        let (mark, here) = (mark.as_bytes(), self.dir.path().as_os_str().as_encoded_bytes());
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        ids.filter(|pid| {
            let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
            let words = read("cmdline");
            let is_program = words.starts_with(b"sleep\0") || words.starts_with(b"/bin/sh\0");
            // A daemon may have written over its variables; it still runs in this directory.
            let is_here = fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == self.dir.path());
            let is_marked = read("environ").split(|byte| *byte == 0).any(|variable| variable == mark);
            let names_it = words.windows(here.len().max(1)).any(|part| part == here);
            !is_program && (is_marked || is_here || names_it)
        })
        .collect()
    }
}

impl Drop for SupervisorRun {
    fn drop(&mut self) {
        let last: &[&str] = match self.kind {
            Product::Aiw => &["down"],
            Product::Pm2 => &["kill"],
            Product::Supervisor => &["shutdown"],
            Product::Circus => &["quit"],
            Product::Pitchfork => &["supervisor", "stop"],
        };
        let _ = self.command(last).status();
    }
}

/// Measures the start of the program by itself, in milliseconds.
fn plain_start(run: &SupervisorRun) -> Result<f64> {
    let begun = Instant::now();
    let mut child = Command::new("/bin/sh").arg(run.path("web.sh")).spawn()?;
    let took = run.said()?.0 - begun;
    child.kill()?;
    child.wait()?;
    Ok(millis(took))
}

/// Starts the program and returns its process id, and the milliseconds until it runs.
fn begin(run: &SupervisorRun) -> Result<(String, f64)> {
    let begun = Instant::now();
    let mut client = run.start("web").spawn()?;
    let (running, pid) = run.said()?;
    client.wait()?;
    Ok((pid, millis(running.saturating_duration_since(begun))))
}

/// Measures a start, in milliseconds.
fn start(run: &SupervisorRun) -> Result<f64> {
    let (_, took) = begin(run)?;
    run.stop("web")?;
    Ok(took)
}

/// Measures how soon the end of a process is noticed, in milliseconds. `None` if that shows in no file.
fn notice(run: &SupervisorRun) -> Result<Option<f64>> {
    let (pid, _) = begin(run)?;
    let Some(noted) = run.noted() else { return Ok(None) };
    let is_noted = |before: &[u8]| {
        let now = fs::read(&noted).unwrap_or_default();
        let ended = br#""state":"ended""#;
        if run.kind == Product::Aiw { now.windows(ended.len()).any(|part| part == ended) } else { now != before }
    };
    std::thread::sleep(Duration::from_millis(200));
    let before = fs::read(&noted)?;
    let begun = Instant::now();
    kill(&pid)?;
    while !is_noted(&before) {
        ensure!(begun.elapsed() < START_TIMEOUT, "an end is not noticed");
        std::thread::sleep(Duration::from_micros(200));
    }
    let took = begun.elapsed();
    // One that has ended may count as stopped.
    let _ = run.stop("web");
    Ok(Some(millis(took)))
}

fn kill(pid: &str) -> Result<()> {
    command::run(Command::new("kill").args(["-9", pid]))
}

/// Starts a program that is started again whenever it ends. Returns its process id.
fn restarting(kind: Product, program: &Path) -> Result<(SupervisorRun, String)> {
    let run = SupervisorRun::new(kind, program, &[("web".into(), SLEEP_SCRIPT)], true, false)?;
    run.quiet(&mut run.start("web"))?;
    let (_, pid) = run.said()?;
    Ok((run, pid))
}

/// Measures a restart after its pause, in milliseconds.
fn restart(run: &SupervisorRun, pid: &mut String) -> Result<f64> {
    std::thread::sleep(Duration::from_millis(300));
    let begun = Instant::now();
    kill(pid)?;
    let (running, next) = run.said()?;
    *pid = next;
    let pause = if run.kind == Product::Aiw { millis(RESTART_DELAY) } else { 0.0 };
    Ok(millis(running.saturating_duration_since(begun)) - pause)
}

fn named(count: usize, script: &str) -> Vec<(String, &str)> {
    (0..count).map(|at| (format!("p{at}"), script)).collect()
}

/// The memory of the supervisors of idle processes, in MB, and the share of a processor that they take, in percent.
fn idle(kind: Product, program: &Path) -> Result<(f64, f64)> {
    let machine = SupervisorRun::new(kind, program, &named(IDLE_PROCESS_COUNT, SLEEP_SCRIPT), false, true)?;
    machine.up()?;
    (0..IDLE_PROCESS_COUNT).try_for_each(|_| machine.said().map(drop))?;
    std::thread::sleep(Duration::from_secs(3));
    let own = machine.own();
    ensure!(!own.is_empty(), "its supervisor is not found");
    let cpu = cpu_share(&own, WATCH_TIME);
    Ok((own.iter().filter_map(|pid| memory_usage(*pid)).sum(), cpu))
}

fn lines(dir: &Path) -> Result<PathBuf> {
    let path = dir.join("lines");
    let (mut file, line) = (fs::File::create(&path)?, format!("{}\n", "x".repeat(79)));
    // In pieces: the peak memory of this process counts as that of its children.
    let piece = line.repeat((1 << 20) / line.len());
    (0..LOG_BYTES / piece.len()).try_for_each(|_| file.write_all(piece.as_bytes()))?;
    Ok(path)
}

#[expect(clippy::cast_precision_loss, reason = "it is a figure")]
fn speed(took: Duration) -> f64 {
    LOG_BYTES as f64 / took.as_secs_f64() / 1e6
}

/// How fast a program's output is taken, in MB a second.
fn logged(kind: Product, program: &Path) -> Result<f64> {
    let dir = tempfile::tempdir()?;
    let lines = lines(dir.path())?;
    let script = format!("echo begun > SAYS; cat '{}'; echo done > SAYS; exec sleep 100000", lines.display());
    let machine = SupervisorRun::new(kind, program, &[("web".into(), &script)], false, false)?;
    machine.quiet(&mut machine.start("web"))?;
    let (begun, _) = machine.said()?;
    let (done, _) = machine.said()?;
    Ok(speed(done - begun))
}

/// Starts all programs. Returns the seconds until the last one runs.
fn start_all(run: &SupervisorRun) -> Result<f64> {
    let begun = Instant::now();
    run.up()?;
    let mut last = begun;
    for _ in 0..PROCESS_COUNT {
        last = run.said()?.0;
    }
    Ok(last.saturating_duration_since(begun).as_secs_f64())
}

/// Measures a list, in milliseconds.
fn list(run: &SupervisorRun) -> Result<f64> {
    let begun = Instant::now();
    let status = run.list().status()?;
    let took = begun.elapsed();
    ensure!(status.success() || run.kind != Product::Aiw, "the list failed");
    Ok(millis(took))
}
