//! A task's log: what it holds, how it is written and read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::TaskError;

/// Where logged bytes came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// The CLI's standard output.
    Stdout,
    /// The CLI's standard error.
    Stderr,
    /// aiw itself: started, asked to stop, ended.
    Aiw,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When its end was read, in milliseconds since 1970.
    pub time: u64,
    /// Where it came from.
    pub stream: Stream,
    /// The raw bytes, without the line break.
    pub bytes: Vec<u8>,
    /// Whether a line break followed.
    pub whole: bool,
}

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// At the oldest line that is kept.
    Start,
    /// At the last so many lines.
    Tail(usize),
    /// At the first line that is not older than this, in milliseconds since 1970.
    Since(u64),
}

/// The log of a task.
#[derive(Debug, Clone)]
pub struct Log {
    directory: PathBuf,
}

impl Log {
    /// The live file.
    pub fn path(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// The last lines, oldest first. It reads from the end, so the size of the log does not matter.
    pub fn tail(&self, _lines: usize) -> Result<Vec<Entry>, TaskError> {
        Err(TaskError::Unsupported)
    }

    /// Lines from a place on, up to what is there now. Those of a stream are in order; a line
    /// stands where its end was read.
    pub fn follow(&self, _from: From) -> Result<Follow, TaskError> {
        Err(TaskError::Unsupported)
    }

    #[expect(dead_code, reason = "until tasks have logs")]
    pub(crate) fn of(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }
}

/// Reads a log while it is written.
#[derive(Debug)]
pub struct Follow {}

impl Follow {
    /// The next lines, at most some hundreds. Where there are none, it waits for at most `patience`, and then
    /// answers with none: ask whether the task has ended, and ask again.
    pub fn next(&mut self, _patience: Duration) -> Result<Vec<Entry>, TaskError> {
        Err(TaskError::Unsupported)
    }

    /// What is left of lines that have no line break, once the task has ended.
    pub fn rest(self) -> Vec<Entry> {
        Vec::new()
    }
}
