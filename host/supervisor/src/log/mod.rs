//! The log of a process: its entries, and how it is written and read.

mod format;
mod overwrite;
mod page;
mod read;
mod text;
#[cfg(unix)]
mod write;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use page::{LogPage, PageLimits, PositionedEntry};
pub use read::LogFollower;
#[cfg(unix)]
pub(crate) use text::strip_ansi;
#[cfg(unix)]
pub(crate) use write::{LogWriter, add_line};

/// How much of a process's output is read and written at once, in bytes: the capacity of a pipe. Larger pipes count against
/// what a user may have, and then the user's other pipes become small.
#[cfg(unix)]
pub(crate) const PIPE_CHUNK_BYTES: usize = 64 << 10;

/// Where logged bytes came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// The process's standard output.
    Stdout,
    /// The process's standard error.
    Stderr,
    /// aiw itself: started, asked to stop, ended.
    Aiw,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// When the end of the line was read, in milliseconds since 1970.
    pub time: u64,
    /// The stream that the line came from.
    pub stream: Stream,
    /// The raw bytes, without the line break.
    pub bytes: Vec<u8>,
    /// Whether a line break followed.
    pub is_complete: bool,
}

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FollowFrom {
    /// At the oldest line that was kept.
    Start,
    /// At the last `n` lines.
    Tail(usize),
    /// At the first line that is not older than this time, in milliseconds since 1970.
    Since(u64),
}

/// The log of a process.
#[derive(Debug, Clone)]
pub struct Log {
    directory: PathBuf,
}

impl Log {
    #[cfg(unix)]
    pub(crate) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// Returns the directory that its files are in.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the path of the live file. Older parts are next to it, as `log.1` and so on.
    pub fn path(&self) -> PathBuf {
        self.directory.join("log")
    }
}

/// The maximum number of files of a log, including the live one.
const MAX_FILES: usize = 16;

/// Returns the path of an older part.
fn numbered(path: &Path, age: usize) -> PathBuf {
    path.with_file_name(format!("log.{age}"))
}
