//! `cargo xtask bench screens`: what the terminal view costs on a real terminal, with tasks that run: its first frame, a key, its
//! memory, and what it does while nothing changes.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use aiw_tests::Environment;
use anyhow::{Context, Result, ensure};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};

use crate::figures::{cpu_share, memory_usage, millis, prepend_fake_codex};
use crate::report::BenchReport;

/// How many tasks run.
const TASK_COUNT: usize = 20;

/// How long it is watched while nothing changes.
const WATCH_TIME: Duration = Duration::from_secs(20);

/// The longest wait.
const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// Adds the rows of the terminal view.
pub fn run(report: &mut BenchReport, aiw: &Path) -> Result<()> {
    let env = Environment::cold();
    let path = prepend_fake_codex(&env.path("fake-bin"), "exec sleep 1000")?;
    let tasks = |arguments: &[&str]| -> Result<()> {
        let output = env.program(aiw).args(arguments).env("PATH", &path).output()?;
        ensure!(output.status.success(), "`aiw {arguments:?}` failed: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    };
    for _ in 0..TASK_COUNT {
        tasks(&["codex", "-p", "own", "--detach", "wait"])?;
    }
    let measured = measure(report, aiw, &env, &path);
    tasks(&["stop", "--all"])?;
    measured
}

fn measure(report: &mut BenchReport, aiw: &Path, env: &Environment, path: &OsStr) -> Result<()> {
    report.measure_pairs("screens: the first frame, 20 tasks run", "ms", || {
        let begun = Instant::now();
        let mut screen = OnScreen::start(aiw, env, path)?;
        screen.until("Dashboard")?;
        let took = begun.elapsed();
        screen.quit()?;
        Ok(millis(took))
    })?;
    let mut screen = OnScreen::start(aiw, env, path)?;
    screen.until("Dashboard")?;
    let mut pages = ["2", "1"].into_iter().cycle();
    report.measure_pairs("screens: from a key to its frame", "ms", || {
        screen.rest();
        let begun = Instant::now();
        screen.press(pages.next().unwrap_or_default())?;
        screen.some()?;
        Ok(millis(begun.elapsed()))
    })?;
    screen.rest();
    let pid = screen.child.process_id().context("a process")?;
    let before = screen.written.load(Ordering::SeqCst);
    let share = cpu_share(&[pid], WATCH_TIME);
    let written = screen.written.load(Ordering::SeqCst) - before;
    let memory = memory_usage(pid).context("its memory")?;
    screen.quit()?;
    report.add_measurement("screens: written while nothing changes, 20 s", "bytes", written as f64)?;
    report.add_measurement("screens: processor while nothing changes", "%", share)?;
    report.add_measurement("screens: memory", "MB", memory)
}

/// A terminal with the view on it.
struct OnScreen {
    child: Box<dyn portable_pty::Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    pieces: Receiver<Vec<u8>>,
    written: Arc<AtomicUsize>,
    _master: Box<dyn portable_pty::MasterPty + Send>,
}

impl OnScreen {
    fn start(aiw: &Path, env: &Environment, path: &OsStr) -> Result<Self> {
        let size = PtySize { rows: 60, cols: 200, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size)?;
        let mut command = CommandBuilder::new(aiw);
        command.env_clear();
        for (name, value) in env.program(aiw).get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        command.env("TERM", "xterm-256color");
        command.env("PATH", path);
        command.arg("tui");
        command.cwd(env.path(""));
        let child = pair.slave.spawn_command(command)?;
        drop(pair.slave);
        let mut output = pair.master.try_clone_reader()?;
        let (sender, pieces) = channel();
        let written = Arc::new(AtomicUsize::new(0));
        let count = written.clone();
        std::thread::spawn(move || {
            let mut piece = [0; 65536];
            while let Ok(read @ 1..) = output.read(&mut piece) {
                count.fetch_add(read, Ordering::SeqCst);
                if sender.send(piece[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        let keys = pair.master.take_writer()?;
        Ok(Self { child, keys, pieces, written, _master: pair.master })
    }

    fn press(&mut self, keys: &str) -> Result<()> {
        self.keys.write_all(keys.as_bytes())?;
        Ok(self.keys.flush()?)
    }

    /// Waits for a word.
    fn until(&self, word: &str) -> Result<()> {
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains(word) {
            let shown = || format!("`{word}` is not drawn: {}", String::from_utf8_lossy(&seen));
            let piece = self.pieces.recv_timeout(READY_TIMEOUT).with_context(shown)?;
            seen.extend(piece);
        }
        Ok(())
    }

    /// Waits until something is drawn.
    fn some(&self) -> Result<()> {
        self.pieces.recv_timeout(READY_TIMEOUT).context("nothing is drawn").map(drop)
    }

    /// Waits until nothing is drawn any more.
    fn rest(&self) {
        while self.pieces.recv_timeout(Duration::from_secs(1)).is_ok() {}
    }

    fn quit(&mut self) -> Result<()> {
        self.press("q")?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the view ended with {status:?}");
        Ok(())
    }
}
