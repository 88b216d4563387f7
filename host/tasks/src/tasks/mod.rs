//! What anyone may do with tasks.

#[cfg(unix)]
mod keep;
#[cfg(unix)]
mod list;
#[cfg(unix)]
mod start;
#[cfg(unix)]
mod stop;
#[cfg(unix)]
mod sweep;
#[cfg(not(unix))]
mod unsupported;
#[cfg(unix)]
mod wait;

use std::time::Duration;

#[cfg(unix)]
pub(crate) use sweep::QUIET;

#[cfg(unix)]
use aiw_home::Home;

use crate::Task;
#[cfg(unix)]
use crate::record::Records;
#[cfg(unix)]
use crate::runtime::RuntimeDir;
#[cfg(unix)]
use crate::{Scope, TaskError};
#[cfg(not(unix))]
pub use unsupported::Tasks;

/// The tasks of a session, or of all.
#[cfg(unix)]
#[derive(Debug, Clone)]
pub struct Tasks {
    records: Records,
    runtime: RuntimeDir,
    scope: Scope,
    grace: Duration,
    patience: Duration,
    log_bytes: u64,
}

/// Which ends are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitMode {
    /// The first.
    Any,
    /// All of them.
    All,
}

/// How waiting ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Waited {
    /// The tasks as they are now, in the order asked for, each once.
    pub tasks: Vec<Task>,
    /// Whether what was waited for came true.
    pub done: bool,
    /// Whether it ended because it was cancelled.
    pub cancelled: bool,
}

/// What became of a request to stop.
#[derive(Debug, Clone, PartialEq)]
pub enum Stopped {
    /// It has ended; this is how.
    Ended(Task),
    /// It was told to and still runs.
    Stopping(Task),
    /// There was nothing to stop.
    AlreadyEnded(Task),
}

/// Which ended tasks are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// So many, the newest. Five times as many of those that no report has shown.
    pub count: usize,
    /// Those that ended no longer ago than this.
    pub age: Duration,
}

impl Default for Keep {
    fn default() -> Self {
        Self { count: 200, age: Duration::from_secs(30 * 24 * 3600) }
    }
}

#[cfg(unix)]
impl Tasks {
    /// The tasks of a scope. Nothing is created until a task is started.
    pub fn open(home: &Home, scope: Scope) -> Result<Self, TaskError> {
        Ok(Self {
            records: Records::of(home),
            runtime: RuntimeDir::find()?,
            scope,
            grace: Duration::from_secs(5),
            patience: stop::PATIENCE,
            log_bytes: crate::log::FILE_BYTES,
        })
    }

    /// Another runtime directory than the environment names.
    #[doc(hidden)]
    #[must_use]
    pub fn with_runtime(mut self, directory: impl Into<std::path::PathBuf>) -> Self {
        self.runtime = RuntimeDir::at(directory.into());
        self
    }

    /// Another time between SIGTERM and SIGKILL, for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Another time until a shim is taken for stuck, for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Smaller log files, for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn with_log_bytes(mut self, bytes: u64) -> Self {
        self.log_bytes = bytes;
        self
    }
}
