//! What is said of a process when it is started, besides the program.

use std::path::PathBuf;
use std::time::Duration;

use aiw_core::TaskId;
use serde::{Deserialize, Serialize};

use crate::record::Labels;

/// What is known of a process before it starts. All of it may be shown: secrets belong in
/// [`Program`](crate::Program).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewProcess {
    /// What it is, in words of whoever starts it. They stand in its record as they are.
    pub labels: Labels,
    /// The same in a few bytes, for the table in shared memory.
    pub label: Vec<u8>,
    /// Where it works.
    #[serde(skip)]
    pub cwd: PathBuf,
    /// How long it may run.
    pub timeout: Option<Duration>,
    /// How many processes stand above it.
    pub depth: u8,
    /// The process right above it. Those above one may wait for it, so they do not count when it is looked
    /// whether there is a place for it.
    pub parent: Option<TaskId>,
    /// Whether it is started again when it has ended.
    pub restart: Restart,
    /// The terminal that it has; else it has pipes.
    pub terminal: Option<Terminal>,
    /// How much is kept of what it writes.
    pub log: LogPolicy,
}

impl NewProcess {
    /// A process that runs once in a directory, with nothing else said of it.
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
    /// How long after its end.
    pub delay: Duration,
    /// How often at most.
    pub limit: Option<u32>,
}

impl Default for Restart {
    fn default() -> Self {
        Self { when: RestartWhen::Never, delay: Duration::from_secs(1), limit: None }
    }
}

/// After which ends a process is started again. One that was told to end, or ran out of time, never is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestartWhen {
    /// After none.
    Never,
    /// After those that are no success.
    Failed,
    /// After all.
    Ended,
}

/// The size of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

/// How much of what a process writes is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPolicy {
    /// When a file of the log is full and the next one begins, in bytes.
    pub file_bytes: u64,
    /// How many files there are at most, the live one included: 16 at most. Without any there is no log.
    pub files: u8,
}

impl Default for LogPolicy {
    fn default() -> Self {
        Self { file_bytes: 16 << 20, files: 4 }
    }
}

/// What happens when enough processes run already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// How many of the session may run at once.
    pub limit: u32,
    /// Whether the process waits for its turn; else it is refused.
    pub may_queue: bool,
}

impl Default for Queue {
    fn default() -> Self {
        Self { limit: 64, may_queue: true }
    }
}
