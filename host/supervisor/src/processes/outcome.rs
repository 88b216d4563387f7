//! What is answered about supervised processes, and what is asked.

use std::path::PathBuf;
use std::time::Duration;

use crate::record::Record;

/// A supervised process, as it was when it was looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Supervised {
    /// What is known of it. Of one whose supervisor has died it says so, recorded or not.
    pub record: Record,
    /// Where its files are.
    pub directory: PathBuf,
    /// It has ended and no report has shown that.
    pub unread: bool,
    /// What is told of its end stands in its record. Else its supervisor has died, and nobody has swept yet.
    pub settled: bool,
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
pub struct Waited<T> {
    /// What was waited for as it is now, in the order asked for, each once.
    pub all: Vec<T>,
    /// Whether what was waited for came true.
    pub done: bool,
    /// Whether it ended because it was cancelled.
    pub cancelled: bool,
}

/// What became of a request to stop.
#[derive(Debug, Clone, PartialEq)]
pub enum Stopped<T> {
    /// It has ended; this is how.
    Ended(T),
    /// It was told to and still runs.
    Stopping(T),
    /// There was nothing to stop.
    AlreadyEnded(T),
}

impl<T> Stopped<T> {
    /// The same of something else.
    pub fn map<U, E>(self, change: impl FnOnce(T) -> Result<U, E>) -> Result<Stopped<U>, E> {
        Ok(match self {
            Self::Ended(one) => Stopped::Ended(change(one)?),
            Self::Stopping(one) => Stopped::Stopping(change(one)?),
            Self::AlreadyEnded(one) => Stopped::AlreadyEnded(change(one)?),
        })
    }
}

/// Which ended processes are kept.
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
