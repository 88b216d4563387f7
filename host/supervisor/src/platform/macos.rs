//! macOS and other Unixes: signals and coarse sleeps, because there are no futexes and no pidfds.

use std::fs;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::unix::{Condition, Opened, doze};
use crate::program::ResourceLimits;

/// Returns 0 for a process that exists: its start time cannot be read cheaply here.
pub(crate) fn start_of(pid: u32) -> Option<u64> {
    let id = i32::try_from(pid).ok().and_then(Pid::from_raw)?;
    test_kill_process(id).is_ok().then_some(0)
}

/// Returns `None`: boots of the system are not distinguished here.
pub(crate) fn boot() -> Option<&'static str> {
    None
}

/// Whether process start times distinguish processes on this system. They don't, so the marks that a process shows
/// have to do.
pub(crate) const KNOWS_STARTS: bool = false;

/// Returns whether a process was started with these values of variables, or `None` if that cannot be read.
pub(crate) fn has_variables(pid: u32, wanted: &[(&str, String)]) -> Option<bool> {
    let line = Some(ps(&["-Ewwo", "command=", "-p", &pid.to_string()])).filter(|line| !line.trim().is_empty())?;
    Some(has_all(&line, wanted))
}

/// Returns whether a line of `ps` shows all of these variables with these values.
fn has_all(line: &str, wanted: &[(&str, String)]) -> bool {
    wanted.iter().all(|(name, value)| line.split_whitespace().any(|word| word == format!("{name}={value}")))
}

/// Returns whether a process was started with exactly these arguments, or `None` if that cannot be read.
pub(crate) fn was_started_as(pid: u32, arguments: &[String]) -> Option<bool> {
    let line = Some(ps(&["-wwo", "command=", "-p", &pid.to_string()])).filter(|line| !line.trim().is_empty())?;
    Some(line.trim_end().ends_with(&format!(" {}", arguments.join(" "))))
}

/// Returns the condition of the process.
pub(crate) fn condition(pid: u32, _start: u64) -> Condition {
    if start_of(pid).is_none() {
        return Condition::Gone;
    }
    let stopped = ps(&["-o", "state=", "-p", &pid.to_string()]).trim_start().starts_with('T');
    if stopped { Condition::Stopped } else { Condition::Runs }
}

/// Returns whether the process exists.
pub(crate) fn is_alive(pid: u32, _start: u64) -> bool {
    start_of(pid).is_some()
}

/// Returns how long the system has been up.
pub(crate) fn uptime() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::try_from(time).unwrap_or_default()
}

/// Returns 0: there is only one namespace of process ids.
pub(crate) fn pid_namespace() -> u64 {
    0
}

/// Does nothing: sleepers check for themselves.
pub(crate) fn wake(_word: &AtomicU32) {}

/// Sleeps while a word holds a value, for at most a second.
pub(crate) fn sleep_on(word: &AtomicU32, value: u32, limit: Duration) {
    if word.load(Ordering::Acquire) == value {
        std::thread::sleep(limit.min(Duration::from_secs(1)));
    }
}

/// Returns `None`: there is no such directory.
pub(crate) fn runtime_base(_uid: u32) -> Option<PathBuf> {
    None
}

/// Returns `None`: segments are not files.
pub(crate) fn segment_file(_id: &str) -> Option<PathBuf> {
    None
}

/// Does nothing: segments have their pages from the start.
pub(crate) fn allocate_segment(_id: &str, _bytes: u64) -> io::Result<()> {
    Ok(())
}

/// Creates an empty file without a name.
pub(crate) fn memory_file() -> io::Result<fs::File> {
    let path = std::env::temp_dir().join(format!("aiw-{}", crate::files::random()));
    let mut options = fs::OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(options.read(true).write(true).create_new(true), 0o600);
    let file = options.open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

/// A process, by its id.
#[derive(Debug)]
pub(crate) struct Process {
    id: Pid,
}

impl Process {
    /// Opens the process with this id.
    pub fn open(pid: u32, _start: u64) -> io::Result<Opened<Self>> {
        let id = i32::try_from(pid).ok().and_then(Pid::from_raw).filter(|id| test_kill_process(*id).is_ok());
        Ok(id.map_or(Opened::Gone, |id| Opened::Is(Self { id })))
    }

    /// Sends the process a signal. It is not an error if the process is gone.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        match kill_process(self.id, signal) {
            Err(rustix::io::Errno::SRCH) | Ok(()) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Waits for the process to end. Returns whether it did.
    pub fn wait(&self, limit: Duration) -> bool {
        let start = Instant::now();
        loop {
            if test_kill_process(self.id).is_err() {
                return true;
            }
            if start.elapsed() >= limit {
                return false;
            }
            std::thread::sleep(Duration::from_millis(50).min(limit));
        }
    }

    /// Returns `None`: no descriptor becomes readable when the process ends.
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// Does nothing: there is nothing to switch off.
pub(crate) fn hide_memory() {}

/// Does nothing: orphans go to process 1 here. Processes that left the group are found by [`marked`].
pub(crate) fn become_subreaper() -> io::Result<()> {
    Ok(())
}

/// Does nothing: this system has no such feature. The next sweep ends what is left.
pub(super) fn die_with_parent(_parent: Pid) -> io::Result<()> {
    Ok(())
}

/// Does nothing: no limit here is without effect.
pub(crate) fn mark(_number: u64) {}

/// Does nothing, as [`mark`].
pub(crate) fn unmark() {}

/// Returns false: processes have no mark here but their variables.
pub(crate) fn has_mark(_pid: u32, _number: u64) -> Option<bool> {
    Some(false)
}

/// Returns the descendants of a process, each with its start, except those that `skip` selects and their descendants.
pub(crate) fn descendants(of: u32, skip: &dyn Fn(u32, u64) -> bool) -> Vec<(u32, u64)> {
    let table = ps(&["-axo", "pid=,ppid="]);
    let pairs: Vec<(u32, u32)> = table
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace().map(str::parse);
            Some((fields.next()?.ok()?, fields.next()?.ok()?))
        })
        .collect();
    let mut found = Vec::new();
    let mut next = vec![of];
    while let Some(parent) = next.pop() {
        for (pid, _) in pairs.iter().filter(|(_, above)| *above == parent) {
            if !skip(*pid, 0) {
                found.push((*pid, 0));
                next.push(*pid);
            }
        }
    }
    found
}

/// Returns the processes of this user that were started with these values of variables, and whether there may be
/// more.
pub(crate) fn marked(wanted: &[(&str, String)], _number: u64, _since: u64) -> (Vec<(u32, u64)>, bool) {
    let ours = std::process::id();
    let pid = |line: &str| line.split_whitespace().next()?.parse().ok();
    let table = ps(&["-xEwwo", "pid=,command="]);
    let lines = table.lines().filter(|line| has_all(line, wanted));
    (lines.filter_map(pid).filter(|pid| *pid != ours).map(|pid| (pid, 0)).collect(), false)
}

/// Returns whether a process is a shim: `shim` is its first argument.
pub(crate) fn is_shim(pid: u32) -> bool {
    ps(&["-wwo", "command=", "-p", &pid.to_string()]).split_whitespace().nth(1) == Some("shim")
}

fn ps(arguments: &[&str]) -> String {
    let output = Command::new("/bin/ps").args(arguments).stdin(Stdio::null()).output();
    output.map_or_else(|_| String::new(), |output| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Reports when something may have changed in a directory.
#[derive(Debug)]
pub(crate) struct Watch {}

impl Watch {
    pub fn new(_directory: &Path) -> Self {
        Self {}
    }

    /// Sleeps for at most a quarter of a second, or until a signal comes.
    pub fn wait(&mut self, limit: Duration) {
        doze(limit.min(Duration::from_millis(250)));
    }
}

/// A group that does nothing: there are no cgroups.
#[derive(Debug)]
pub(crate) struct Group {}

impl Group {
    /// Returns no group, and a sentence about limits that were requested.
    pub fn create(_id: aiw_core::ProcessId, limits: ResourceLimits) -> (Option<Self>, Option<String>) {
        let asked = limits.memory.is_some() || limits.cpu_percent.is_some() || limits.pids.is_some();
        (None, asked.then(|| "memory and processor are not limited: this system has no cgroups".into()))
    }

    /// Returns `None`: there is no group to enter.
    pub fn entrance(&self) -> Option<std::os::fd::OwnedFd> {
        None
    }

    /// Does nothing.
    pub fn end(&self) {}
}

/// Returns how much memory a process has in use: unknown here.
pub(crate) fn resident(_pid: u32) -> Option<u64> {
    None
}

/// Who listens on a port of this machine.
pub(crate) enum Holder {
    /// A descendant of this process.
    #[expect(dead_code, reason = "nothing tells here")]
    Ours,
    /// Another process.
    #[expect(dead_code, reason = "nothing tells here")]
    Stranger {
        /// Its id.
        pid: u32,
        /// The name of its program.
        name: String,
    },
    /// It cannot be seen.
    Unknown,
}

/// Returns who listens on a TCP port of this machine: unknown here.
pub(crate) fn holder(_port: u16) -> Holder {
    Holder::Unknown
}

/// The TCP sockets of this machine that listen: not looked at here.
pub(crate) struct Listeners;

impl Listeners {
    /// Looks at nothing.
    pub fn now() -> Self {
        Self
    }

    /// Returns no ports.
    pub fn ports(&self, _pid: u32) -> impl Iterator<Item = u16> {
        std::iter::empty()
    }
}

/// The processes of this machine by their parents: not looked at here.
pub(crate) struct Parents;

impl Parents {
    /// Looks at nothing.
    pub fn now() -> Self {
        Self
    }

    /// Returns no descendants.
    pub fn descendants(&self, _of: u32) -> Vec<u32> {
        Vec::new()
    }
}

/// Returns what a process uses: unknown here.
pub(crate) fn sample(_pid: u32) -> Option<(u64, u64)> {
    None
}
