//! How to start a process, apart from the program itself.

use std::path::PathBuf;
use std::time::Duration;

use aiw_core::ProcessId;
use serde::{Deserialize, Serialize};

use crate::record::Labels;

/// A process that is to be started. All of this may be shown: secrets belong in [`Program`](crate::Program).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewProcess {
    /// A description of the process, in the starter's terms. The labels are stored in its record unchanged.
    pub labels: Labels,
    /// The labels in a few bytes, for the table in shared memory.
    pub label: Vec<u8>,
    /// The working directory.
    #[serde(skip)]
    pub cwd: PathBuf,
    /// How long the process may run.
    pub timeout: Option<Duration>,
    /// The number of processes above it.
    pub depth: u8,
    /// The process directly above it. The processes above one may wait for it, so they do not count against the limit
    /// of running processes.
    pub parent: Option<ProcessId>,
    /// Whether the process is started again after it ends.
    pub restart: Restart,
    /// The terminal of the process. Without one it has pipes.
    pub terminal: Option<Terminal>,
    /// How much of its output is kept.
    pub log: LogPolicy,
}

impl NewProcess {
    /// Returns a process that runs once in a directory, with defaults for everything else.
    pub fn within(cwd: impl Into<PathBuf>) -> Self {
        Self {
            labels: Labels::new(),
            label: Vec::new(),
            cwd: cwd.into(),
            timeout: None,
            depth: 0,
            parent: None,
            restart: Restart::default(),
            terminal: None,
            log: LogPolicy::default(),
        }
    }
}

/// Whether, and how often, a process is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// After which ends.
    pub when: RestartWhen,
    /// The delay after an end.
    pub delay: Duration,
    /// The maximum number of restarts.
    pub limit: Option<u32>,
}

impl Default for Restart {
    fn default() -> Self {
        Self { when: RestartWhen::Never, delay: Duration::from_secs(1), limit: None }
    }
}

/// After which ends a process is started again. A process that was stopped or that timed out is never started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestartWhen {
    /// After none.
    Never,
    /// After those that are not a success.
    Failed,
    /// After all.
    Ended,
}

/// The size of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    /// The number of lines.
    pub rows: u16,
    /// The number of characters in a line.
    pub columns: u16,
}

/// How much of a process's output is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPolicy {
    /// The size at which a log file is full and the next one begins, in bytes.
    pub file_bytes: u64,
    /// The maximum number of files, including the live one; at most 16. With 0 there is no log.
    pub files: u8,
}

impl Default for LogPolicy {
    fn default() -> Self {
        Self { file_bytes: 16 << 20, files: 4 }
    }
}

/// The limit of running processes, and the treatment of one that exceeds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// How many processes of the root may run at once.
    pub limit: u32,
    /// Whether the process waits for its turn. Otherwise it is refused.
    pub may_queue: bool,
}

impl Default for Queue {
    fn default() -> Self {
        Self { limit: 64, may_queue: true }
    }
}
