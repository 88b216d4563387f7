//! What Linux and macOS have in common.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

pub(crate) use rustix::process::Signal;

/// How a process is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    Runs,
    /// A signal has stopped it, and it does nothing.
    Stopped,
    Gone,
}

/// Whether both are open on one file.
pub(crate) fn same_file(one: &File, other: &File) -> bool {
    let identity = |file: &File| file.metadata().ok().map(|meta| (meta.dev(), meta.ino()));
    identity(one).is_some() && identity(one) == identity(other)
}

/// Sleeps, until a signal at most. The standard library's sleep goes on after one.
pub(super) fn doze(limit: Duration) {
    let _ = rustix::thread::nanosleep(&super::timespec(limit));
}
