//! macOS: signals and coarse sleeps, because there are no futexes that all of its versions have, and no pidfds.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::libproc;
use super::seen::is_alive;
use super::unix::{OpenedProcess, missing_cgroup_warning, timespec};
use crate::program::ResourceLimits;

/// Returns what distinguishes this boot of the system from others; process ids mean nothing across boots.
pub(crate) fn boot_id() -> Option<&'static str> {
    static BOOT_ID: OnceLock<Option<String>> = OnceLock::new();
    BOOT_ID.get_or_init(libproc::boot_id).as_deref()
}

/// Returns `false`: orphans go to process 1 here.
pub(crate) fn is_subreaper() -> bool {
    false
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

/// Sleeps until the time limit or a signal. Returns whether no signal came. The standard library's sleep continues after a
/// signal.
fn doze(limit: Duration) -> bool {
    matches!(rustix::thread::nanosleep(&timespec(limit)), rustix::thread::NanosleepRelativeResult::Ok)
}

/// How often a sleeper checks for itself.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Sleeps while a word holds a value, until a signal or the time limit.
pub(crate) fn sleep_on(word: &AtomicU32, value: u32, limit: Duration) {
    let start = Instant::now();
    while word.load(Ordering::Acquire) == value {
        let left = limit.saturating_sub(start.elapsed());
        if left.is_zero() || !doze(left.min(POLL_INTERVAL)) {
            return;
        }
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

/// A process, by its id and start.
#[derive(Debug)]
pub(crate) struct Process {
    id: Pid,
    pid: u32,
    start: u64,
}

impl Process {
    /// Opens the process with this id and start. A start of 0 is not compared.
    pub fn open(pid: u32, start: u64) -> io::Result<OpenedProcess<Self>> {
        let Some(id) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(OpenedProcess::Gone) };
        Ok(match libproc::stat(pid) {
            Some(stat) if !stat.is_alive(start) => OpenedProcess::Gone,
            Some(stat) if stat.start == 0 => OpenedProcess::Hidden,
            Some(stat) => OpenedProcess::Found(Self { id, pid, start: stat.start }),
            None => OpenedProcess::Gone,
        })
    }

    /// Sends the process a signal. It is not an error if the process is gone. Between the look at its start and the signal,
    /// another process could get its id; nothing on this system prevents that.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        if !is_alive(self.pid, self.start) {
            return Ok(());
        }
        match kill_process(self.id, signal) {
            Err(rustix::io::Errno::SRCH) | Ok(()) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Waits for the process to end. Returns whether it did.
    pub fn wait(&self, limit: Duration) -> bool {
        let start = Instant::now();
        loop {
            if !is_alive(self.pid, self.start) {
                return true;
            }
            if start.elapsed() >= limit {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10).min(limit));
        }
    }

    /// Returns `None`: no descriptor becomes readable when the process ends.
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// Does nothing: there is nothing to switch off.
pub(crate) fn hide_memory() {}

/// Does nothing: orphans go to process 1 here. Processes that left the group are found by [`find_marked`].
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

/// Notices of what changes in directories: there are none here.
#[derive(Debug)]
pub(crate) enum DirectoryWatcher {}

impl DirectoryWatcher {
    /// Returns `None`.
    pub fn open() -> Option<Self> {
        None
    }

    /// Never called.
    pub fn add(&self, _directory: &Path, _writes: bool) -> Option<i32> {
        match *self {}
    }

    /// Never called.
    pub fn remove(&self, _number: i32) {
        match *self {}
    }

    /// Never called.
    pub fn drain_events(&self, _each: &mut dyn FnMut(Option<i32>, &OsStr, bool)) {
        match *self {}
    }

    /// Never called.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        match *self {}
    }
}

/// A group that does nothing: there are no cgroups.
#[derive(Debug)]
pub(crate) struct Group {}

impl Group {
    /// Returns no group, and a sentence about limits that were requested.
    pub fn create(_id: aiw_core::ProcessId, limits: ResourceLimits) -> (Option<Self>, Option<String>) {
        let asked = limits.memory.is_some() || limits.cpu_percent.is_some() || limits.pids.is_some();
        (None, missing_cgroup_warning(limits, "this system has no cgroups").filter(|_| asked))
    }

    /// Returns `None`: there is no group to enter.
    pub fn procs_fd(&self) -> Option<std::os::fd::OwnedFd> {
        None
    }

    /// Does nothing.
    pub fn kill_and_remove(&self) {}
}
