//! The arguments and results of operations on supervised processes.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::record::ProcessRecord;

/// A supervised process, as it was when it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct SupervisedProcess {
    /// The record. If the supervisor has died, it says so, even if that is not yet written to disk.
    pub record: ProcessRecord,
    /// The directory with its files.
    pub directory: PathBuf,
    /// Whether the process has ended and a report has shown that.
    pub is_seen: bool,
    /// Whether the end is written in the record on disk. If not, the supervisor has died and nobody has swept yet.
    pub is_persisted: bool,
}

/// Which ends to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitMode {
    /// The first.
    Any,
    /// All of them.
    All,
}

/// How waiting ended.
#[derive(Debug, Clone, PartialEq)]
pub struct WaitOutcome<T> {
    /// The processes as they are now, in the requested order, each once.
    pub processes: Vec<T>,
    /// Whether the awaited ends have happened.
    pub done: bool,
    /// Whether waiting stopped because it was canceled.
    pub cancelled: bool,
}

/// The result of a request to stop.
#[derive(Debug, Clone, PartialEq)]
pub enum StopOutcome<T> {
    /// The process has ended.
    Ended(T),
    /// The process was told to stop and still runs.
    Stopping(T),
    /// The process had already ended.
    AlreadyEnded(T),
}

impl<T> StopOutcome<T> {
    /// Converts the process that it contains.
    pub fn map<U, E>(self, change: impl FnOnce(T) -> Result<U, E>) -> Result<StopOutcome<U>, E> {
        Ok(match self {
            Self::Ended(one) => StopOutcome::Ended(change(one)?),
            Self::Stopping(one) => StopOutcome::Stopping(change(one)?),
            Self::AlreadyEnded(one) => StopOutcome::AlreadyEnded(change(one)?),
        })
    }
}

/// Which ended processes to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// The number of newest processes to keep. Five times as many are kept that no report has shown.
    pub count: usize,
    /// The maximum time since the end.
    pub age: Duration,
}

impl Default for RetentionPolicy {
    fn default() -> Self {
        Self { count: 200, age: Duration::from_secs(30 * 24 * 3600) }
    }
}

/// The usage of a process and its descendants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessUsage {
    /// The number of processes.
    pub processes: usize,
    /// The resident memory, in bytes. Shared pages count for each process.
    pub memory: u64,
    /// The processor time so far, in milliseconds.
    pub cpu: u64,
}
