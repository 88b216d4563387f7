//! `cargo xtask bench processes`: what it costs to start, restart, watch, log and list processes, beside pm2,
//! supervisor, circus and pitchfork. They are taken from `target/peers`, where `cargo xtask setup --peers` installs
//! them, or from
//! `PATH`; those that are absent are named.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::command::{self, root};
use crate::figures::{memory_of, middle, millis, share_of};

const RUNS: usize = 15;

/// How many idle processes are watched, and for how long.
const IDLE: usize = 20;
const WATCHED: Duration = Duration::from_secs(20);

const MANY: usize = 200;

/// The bytes of the log, in lines of 80.
const LOGGED: usize = 256 << 20;

/// The longest wait.
const PATIENCE: Duration = Duration::from_secs(30);

/// The pause before a restart, which is not a cost.
const PAUSE: Duration = Duration::from_millis(10);

/// A script that says its process id, then runs for ever.
const STAYS: &str = "echo $$ > SAYS; exec sleep 100000";

/// Installs the peers.
pub fn install_peers() -> Result<()> {
    let peers = root().join("target/peers");
    fs::create_dir_all(&peers)?;
    let mut npm = Command::new("npm");
    // Of the router, 3.1.1 needs a package that is not published.
    let router = "@musistudio/claude-code-router@2.0.0";
    command::run(npm.args(["install", "--no-audit", "--no-fund", "--silent", "pm2", router, "--prefix"]).arg(&peers))?;
    // It wants other versions of what circus uses.
    command::run(Command::new("python3").args(["-m", "venv"]).arg(peers.join("litellm")))?;
    command::run(Command::new(peers.join("litellm/bin/pip")).args(["install", "--quiet", "litellm[proxy]"]))?;
    command::run(Command::new("python3").args(["-m", "venv"]).arg(peers.join("python")))?;
    command::run(Command::new(peers.join("python/bin/pip")).args(["install", "--quiet", "supervisor", "circus"]))?;
    let mut cargo = Command::new("cargo");
    command::run(cargo.args(["install", "--quiet", "pitchfork-cli", "--root"]).arg(&peers))
}

/// Measures a binary, by default the release build, which is made first.
pub fn bench(aiw: Option<PathBuf>) -> Result<bool> {
    run(&crate::figures::binary(aiw)?)
}

/// Prints one row for each figure: ours, its limit, and what the peers take. Returns whether all are within their
/// limits.
pub fn run(aiw: &Path) -> Result<bool> {
    let mut all = vec![(Product::Aiw, aiw.to_owned())];
    for kind in [Product::Pm2, Product::Supervisor, Product::Circus, Product::Pitchfork] {
        match kind.installed() {
            Some(program) => all.push((kind, program)),
            None => println!("{} is not installed here: `cargo xtask setup --peers` installs it", kind.name()),
        }
    }
    let mut columns = Vec::new();
    for (kind, program) in &all {
        match figures(*kind, program) {
            Ok(figures) => columns.push((kind.name(), figures)),
            Err(e) if *kind != Product::Aiw => println!("{} was not measured: {e:#}", kind.name()),
            Err(e) => return Err(e.context("aiw was not measured")),
        }
    }
    let plain = to_a_file()?;
    let limits: [(&str, &str, f64); 8] = [
        ("process: from start to running, over a plain spawn", "ms", 10.0),
        ("process: restart, after its pause", "ms", 10.0),
        ("process: its end is noticed", "ms", 10.0),
        ("process: 20 idle ones, memory of the supervisors", "MB", 15.0),
        ("process: 20 idle ones, cpu of the supervisors", "%", 0.1),
        ("process: log, of the speed of `cat > file`", "%", -50.0),
        ("process: a list of 200", "ms", 10.0),
        ("process: 200 starts", "s", 2.0),
    ];
    print!("\n{:<54} {:>9} {:>9} {:<3}", "", "aiw", "limit", "");
    columns[1..].iter().for_each(|(name, _)| print!(" {name:>10}"));
    println!();
    let mut good = true;
    for (at, (what, unit, limit)) in limits.into_iter().enumerate() {
        let shown = |figures: &SupervisorFigures| {
            figures[at].map(|figure| if at == 5 { 100.0 * figure / plain } else { figure })
        };
        let ours = shown(&columns[0].1).context("every figure of aiw is measured")?;
        // A negative limit is the least.
        let over = if limit < 0.0 { ours < -limit } else { ours > limit };
        good &= !over;
        print!("{what:<54} {ours:>9.2} {:>9.1} {unit:<3}", limit.abs());
        for (_, figures) in &columns[1..] {
            print!(" {:>10}", shown(figures).map_or("-".into(), |figure| format!("{figure:.2}")));
        }
        println!("{}", if over { "  OVER" } else { "" });
    }
    Ok(crate::resident::print(aiw)? && good)
}

/// The figures of a supervisor, in the order of the rows.
type SupervisorFigures = [Option<f64>; 8];

fn figures(kind: Product, program: &Path) -> Result<SupervisorFigures> {
    let (start, noticed) = one(kind, program).context("a start")?;
    let restart = again(kind, program).context("a restart")?;
    let (memory, cpu) = idle(kind, program).context("idle processes")?;
    let log = of_three(|| logged(kind, program)).context("a log")?;
    let (list, starts) = many(kind, program).context("many processes")?;
    Ok([Some(start), Some(restart), noticed, Some(memory), Some(cpu), Some(log), Some(list), Some(starts)])
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
                    let pause = PAUSE.as_millis();
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
        self.said.recv_timeout(PATIENCE).context("a program did not say that it runs")
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

/// Measures a start over a plain spawn, and how soon the end of a process is noticed.
fn one(kind: Product, program: &Path) -> Result<(f64, Option<f64>)> {
    let machine = SupervisorRun::new(kind, program, &[("web".into(), STAYS)], false, false)?;
    let (mut starts, mut plain, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let begun = Instant::now();
        let mut child = Command::new("/bin/sh").arg(machine.path("web.sh")).spawn()?;
        plain.push(machine.said()?.0 - begun);
        child.kill()?;
        child.wait()?;
        let begun = Instant::now();
        let mut client = machine.start("web").spawn()?;
        let (running, pid) = machine.said()?;
        starts.push(running.saturating_duration_since(begun));
        client.wait()?;
        if let Some(noted) = machine.noted() {
            let is_noted = |before: &[u8]| {
                let now = fs::read(&noted).unwrap_or_default();
                let ended = br#""state":"ended""#;
                if kind == Product::Aiw { now.windows(ended.len()).any(|part| part == ended) } else { now != before }
            };
            std::thread::sleep(Duration::from_millis(200));
            let before = fs::read(&noted)?;
            let begun = Instant::now();
            kill(&pid)?;
            while !is_noted(&before) {
                ensure!(begun.elapsed() < PATIENCE, "an end is not noticed");
                std::thread::sleep(Duration::from_micros(200));
            }
            ends.push(begun.elapsed());
        }
        // One that has ended may count as stopped.
        let _ = machine.stop("web");
    }
    let noticed = (!ends.is_empty()).then(|| middle(ends));
    Ok((middle(starts) - middle(plain), noticed))
}

fn kill(pid: &str) -> Result<()> {
    command::run(Command::new("kill").args(["-9", pid]))
}

/// Measures a restart after its pause.
fn again(kind: Product, program: &Path) -> Result<f64> {
    let machine = SupervisorRun::new(kind, program, &[("web".into(), STAYS)], true, false)?;
    machine.quiet(&mut machine.start("web"))?;
    let mut samples = Vec::new();
    let (_, mut pid) = machine.said()?;
    for _ in 0..RUNS {
        std::thread::sleep(Duration::from_millis(300));
        let begun = Instant::now();
        kill(&pid)?;
        let (running, next) = machine.said()?;
        samples.push(running.saturating_duration_since(begun));
        pid = next;
    }
    let pause = if kind == Product::Aiw { millis(PAUSE) } else { 0.0 };
    Ok(middle(samples) - pause)
}

fn named(count: usize, script: &str) -> Vec<(String, &str)> {
    (0..count).map(|at| (format!("p{at}"), script)).collect()
}

/// The memory of the supervisors of idle processes, in MB, and the share of a processor that they take, in percent.
fn idle(kind: Product, program: &Path) -> Result<(f64, f64)> {
    let machine = SupervisorRun::new(kind, program, &named(IDLE, STAYS), false, true)?;
    machine.up()?;
    (0..IDLE).try_for_each(|_| machine.said().map(drop))?;
    std::thread::sleep(Duration::from_secs(3));
    let own = machine.own();
    ensure!(!own.is_empty(), "its supervisor is not found");
    let cpu = share_of(&own, WATCHED);
    Ok((own.iter().filter_map(|pid| memory_of(*pid)).sum(), cpu))
}

fn lines(dir: &Path) -> Result<PathBuf> {
    let path = dir.join("lines");
    let line = format!("{}\n", "x".repeat(79));
    fs::write(&path, line.repeat(LOGGED / line.len()))?;
    Ok(path)
}

#[expect(clippy::cast_precision_loss, reason = "it is a figure")]
fn speed(took: Duration) -> f64 {
    LOGGED as f64 / took.as_secs_f64() / 1e6
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

/// How fast `cat` writes the same to a file, in MB a second.
fn to_a_file() -> Result<f64> {
    let dir = tempfile::tempdir()?;
    let lines = lines(dir.path())?;
    of_three(|| {
        let out = fs::File::create(dir.path().join("out"))?;
        let begun = Instant::now();
        let status = Command::new("cat").arg(OsStr::new(&lines)).stdout(out).status()?;
        ensure!(status.success(), "cat failed");
        Ok(speed(begun.elapsed()))
    })
}

/// The middle of three measurements: the disk's speed varies.
fn of_three(measure: impl Fn() -> Result<f64>) -> Result<f64> {
    let mut samples = [measure()?, measure()?, measure()?];
    samples.sort_by(f64::total_cmp);
    Ok(samples[1])
}

/// Measures a list of many, in milliseconds, and their start, in seconds.
fn many(kind: Product, program: &Path) -> Result<(f64, f64)> {
    let machine = SupervisorRun::new(kind, program, &named(MANY, STAYS), false, true)?;
    let begun = Instant::now();
    machine.up()?;
    let mut last = begun;
    for _ in 0..MANY {
        last = machine.said()?.0;
    }
    let starts = last.saturating_duration_since(begun).as_secs_f64();
    let mut samples = Vec::new();
    for _ in 0..RUNS {
        let begun = Instant::now();
        let status = machine.list().status()?;
        samples.push(begun.elapsed());
        ensure!(status.success() || kind != Product::Aiw, "the list failed");
    }
    Ok((middle(samples), starts))
}
