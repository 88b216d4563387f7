//! A task's log: what it holds, how it is written and read.

mod format;
mod read;
#[cfg(unix)]
mod write;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use read::Follow;
#[cfg(unix)]
pub(crate) use write::Writer;

/// Where logged bytes came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// The process' standard output.
    Stdout,
    /// The process' standard error.
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
    #[cfg(unix)]
    pub(crate) fn of(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// The live file. Older parts stand beside it, as `log.1` and so on.
    pub fn path(&self) -> PathBuf {
        self.directory.join("log")
    }
}

/// How many files a log has at most, the live one included.
const FILES: usize = 16;

/// The name of an older part.
fn numbered(path: &Path, age: usize) -> PathBuf {
    path.with_file_name(format!("log.{age}"))
}
