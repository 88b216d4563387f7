use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// What runs. It holds secrets, so its `Debug` shows counts only.
#[derive(Clone)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// Its arguments, without its own name.
    pub arguments: Vec<OsString>,
    /// The whole environment of the CLI.
    pub environment: Vec<(OsString, OsString)>,
    /// What the CLI reads from its standard input.
    pub stdin: Vec<u8>,
    /// Files that exist in memory only.
    pub files: Vec<PassedFile>,
    /// What it may use.
    pub limits: Limits,
}

/// A file in memory, which the CLI finds at `/proc/self/fd/N`.
#[derive(Clone)]
pub struct PassedFile {
    /// N, from 3 to 255.
    pub fd: i32,
    /// The content.
    pub bytes: Vec<u8>,
}

/// What a task may use of the machine. Kept by cgroup v2; where that is not ours to use, the
/// task's note says that there is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Hundredths of a processor: 150 is one and a half.
    pub cpu_percent: Option<u32>,
}

/// What happens when enough tasks run already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// How many tasks of the session may run at once.
    pub limit: u32,
    /// Whether the task waits for its turn; else it is refused.
    pub may_queue: bool,
}

impl Default for Queue {
    fn default() -> Self {
        Self { limit: 64, may_queue: true }
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("path", &self.path)
            .field("arguments", &self.arguments.len())
            .field("environment", &self.environment.len())
            .field("stdin", &self.stdin.len())
            .field("files", &self.files)
            .field("limits", &self.limits)
            .finish()
    }
}

impl fmt::Debug for PassedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PassedFile").field("fd", &self.fd).field("bytes", &self.bytes.len()).finish()
    }
}
