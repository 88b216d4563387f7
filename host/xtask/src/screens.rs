//! `cargo xtask bench screens`: what the terminal view costs on a real terminal, with tasks that run: its first frame, a key, its
//! memory, and what it does while nothing changes.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use aiw_tests::Environment;
use anyhow::{Context, Result, ensure};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};

use crate::figures::{binary, memory_of, middle, share_of, with_codex};

/// How many tasks run.
const TASKS: usize = 20;

const RUNS: usize = 15;

/// How long it is watched while nothing changes.
const WATCHED: Duration = Duration::from_secs(20);

/// The longest wait.
const PATIENCE: Duration = Duration::from_secs(30);

/// Measures a binary, by default the release build, which is made first.
pub fn bench(aiw: Option<PathBuf>) -> Result<bool> {
    run(&binary(aiw)?)
}

/// Prints one row for each figure. Returns whether all are within their limits.
pub fn run(aiw: &Path) -> Result<bool> {
    let env = Environment::cold();
    let path = with_codex(&env.path("fake-bin"), "exec sleep 1000")?;
    let tasks = |arguments: &[&str]| -> Result<()> {
        let output = env.program(aiw).args(arguments).env("PATH", &path).output()?;
        ensure!(output.status.success(), "`aiw {arguments:?}` failed: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    };
    for _ in 0..TASKS {
        tasks(&["codex", "-p", "own", "--detach", "wait"])?;
    }
    let rows = measure(aiw, &env, &path);
    tasks(&["stop", "--all"])?;
    let mut good = true;
    println!("\n{:<54} {:>9} {:>9}", "", "aiw", "limit");
    for (what, ours, limit, unit) in rows? {
        let end = if ours > limit { "  OVER" } else { "" };
        good &= ours <= limit;
        println!("{what:<54} {ours:>9.2} {limit:>9} {unit}{end}");
    }
    Ok(good)
}

type ScreenRow = (&'static str, f64, f64, &'static str);

fn measure(aiw: &Path, env: &Environment, path: &OsStr) -> Result<Vec<ScreenRow>> {
    let mut first = Vec::new();
    for _ in 0..RUNS {
        let begun = Instant::now();
        let mut screen = OnScreen::start(aiw, env, path)?;
        screen.until("Dashboard")?;
        first.push(begun.elapsed());
        screen.quit()?;
    }
    let mut screen = OnScreen::start(aiw, env, path)?;
    screen.until("Dashboard")?;
    let mut keys = Vec::new();
    for round in 0..2 * RUNS {
        screen.rest();
        let begun = Instant::now();
        screen.press(["2", "1"][round % 2])?;
        screen.some()?;
        keys.push(begun.elapsed());
    }
    screen.rest();
    let pid = screen.child.process_id().context("a process")?;
    let before = screen.written.load(Ordering::SeqCst);
    let share = share_of(&[pid], WATCHED);
    let written = screen.written.load(Ordering::SeqCst) - before;
    let memory = memory_of(pid).context("its memory")?;
    screen.quit()?;
    #[expect(clippy::cast_precision_loss, reason = "it is a figure")]
    let written = written as f64;
    Ok(vec![
        ("screens: the first frame, 20 tasks run", middle(first), 100.0, "ms"),
        ("screens: from a key to its frame", middle(keys), 30.0, "ms"),
        ("screens: written while nothing changes, 20 s", written, 0.0, "bytes"),
        ("screens: processor while nothing changes", share, 0.2, "%"),
        ("screens: memory", memory, 30.0, "MB"),
    ])
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
            let piece = self.pieces.recv_timeout(PATIENCE).with_context(shown)?;
            seen.extend(piece);
        }
        Ok(())
    }

    /// Waits until something is drawn.
    fn some(&self) -> Result<()> {
        self.pieces.recv_timeout(PATIENCE).context("nothing is drawn").map(drop)
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
