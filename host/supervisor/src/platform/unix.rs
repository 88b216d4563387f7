//! What Linux and macOS have in common.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use rustix::event::Timespec;
pub(crate) use rustix::process::Signal;

/// How a process is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    Runs,
    /// A signal has stopped it, and it does nothing.
    Stopped,
    Gone,
}

/// What a process id leads to.
pub(crate) enum Opened<P> {
    /// The process that was meant.
    Is(P),
    /// It is there, and shows nothing of itself.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "nothing hides elsewhere"))]
    Hidden(P),
    /// It is there no more.
    Gone,
}

impl<P> Opened<P> {
    /// The process, if it is there.
    pub fn there(self) -> Option<P> {
        match self {
            Self::Is(process) | Self::Hidden(process) => Some(process),
            Self::Gone => None,
        }
    }
}

pub(crate) fn timespec(duration: Duration) -> Timespec {
    Timespec { tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX), tv_nsec: duration.subsec_nanos().into() }
}

/// Whether both are open on one file.
pub(crate) fn same_file(one: &File, other: &File) -> bool {
    let identity = |file: &File| file.metadata().ok().map(|meta| (meta.dev(), meta.ino()));
    identity(one).is_some() && identity(one) == identity(other)
}

/// Sleeps, until a signal at most. The standard library's sleep goes on after one.
pub(super) fn doze(limit: Duration) {
    let _ = rustix::thread::nanosleep(&timespec(limit));
}
