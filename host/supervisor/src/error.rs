//! The errors of supervised processes.

use std::io;
use std::path::{Path, PathBuf};

use aiw_core::{Diagnostic, ErrorKind, ProcessId, ProcessState, shell_quote_printable};

use crate::names::ResourceKind;

/// An error that concerns supervised processes. Messages call a process by the noun of its room.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// The process does not exist, or was removed.
    #[error("there is no {noun} `{id}`")]
    NotFound {
        /// The noun.
        noun: ResourceKind,
        /// The requested id.
        id: ProcessId,
    },
    /// The process exists, but this aiw cannot read its record.
    #[error("{noun} `{id}` cannot be read: {source}")]
    Unreadable {
        /// The noun.
        noun: ResourceKind,
        /// The process.
        id: ProcessId,
        /// The reason.
        source: RecordError,
    },
    /// A link is in the place of a process's directory.
    #[error("`{}` is a symbolic link, and aiw does not follow it", .path.display())]
    SymlinkRejected {
        /// The path of the link.
        path: PathBuf,
    },
    /// Something other than a directory is in the place of a process's directory.
    #[error("`{}` is {what}, not the directory of a {noun}", .path.display())]
    NotADirectory {
        /// The noun.
        noun: ResourceKind,
        /// The process that the path is named after.
        id: ProcessId,
        /// The path.
        path: PathBuf,
        /// The kind of file at the path.
        what: &'static str,
    },
    /// A process whose record cannot be read still has a supervisor.
    #[error("{noun} `{id}` cannot be removed: its record cannot be read, and a process holds its lock `{}`", .lock.display())]
    StillSupervised {
        /// The noun.
        noun: ResourceKind,
        /// The process.
        id: ProcessId,
        /// The lock.
        lock: PathBuf,
    },
    /// A process is started under one root, not under all of them.
    #[error("a {noun} is started under one root, and none was given")]
    MissingRoot {
        /// The noun.
        noun: ResourceKind,
    },
    /// The limit of running processes is reached, and the process was not allowed to wait.
    #[error("{limit} {noun}s run already")]
    LimitReached {
        /// The noun.
        noun: ResourceKind,
        /// How many processes may run.
        limit: u32,
    },
    /// The root's table is full.
    #[error("all {slots} places for running and queued {noun}s of this {set} are taken")]
    TableFull {
        /// The noun.
        noun: ResourceKind,
        /// The word for all processes of the root, such as `session`.
        set: &'static str,
        /// The number of slots.
        slots: usize,
    },
    /// The program could not be started. The process's record says so too.
    #[error("cannot start `{}`: {source}", .path.display())]
    NotStarted {
        /// The process whose record says so.
        id: ProcessId,
        /// The executable.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The working directory cannot be used.
    #[error("cannot work in `{}`: {source}", .path.display())]
    InvalidCwd {
        /// The directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A value cannot be passed to the process.
    #[error("{problem}")]
    InvalidValue {
        /// The problem, as a sentence.
        problem: String,
    },
    /// The supervisor did not start.
    #[error("the {}supervisor did not start: {source}", .noun.as_ref().map(|noun| format!("{noun}'s ")).unwrap_or_default())]
    Shim {
        /// The noun. An attached process has none.
        noun: Option<ResourceKind>,
        /// The reason.
        source: ShimError,
    },
    /// The process has not ended.
    #[error("{noun} `{id}` is still {state}")]
    StillRunning {
        /// The noun.
        noun: ResourceKind,
        /// The process.
        id: ProcessId,
        /// Its state.
        state: ProcessState,
    },
    /// The process does not run.
    #[error("{noun} `{id}` does not run")]
    NotRunning {
        /// The noun.
        noun: ResourceKind,
        /// The process.
        id: ProcessId,
    },
    /// The process takes no input while it runs.
    #[error("{noun} `{id}` takes no input")]
    InputClosed {
        /// The noun.
        noun: ResourceKind,
        /// The process.
        id: ProcessId,
    },
    /// The process has the shim of a version of aiw to which nobody can connect.
    #[error("{noun} `{id}` runs under an older aiw, to which nobody can attach")]
    UnsupportedShim {
        /// The noun.
        noun: ResourceKind,
        /// The process.
        id: ProcessId,
    },
    /// The process cannot be signaled.
    #[error("{noun} `{id}` runs where it cannot be reached: {source}")]
    SignalFailed {
        /// The noun.
        noun: ResourceKind,
        /// The process.
        id: ProcessId,
        /// The reason.
        source: SignalError,
    },
    /// The runtime directory, or a file in it, is not what it must be.
    #[error("`{}` {problem}", .path.display())]
    InvalidRuntimeDir {
        /// The file or directory.
        path: PathBuf,
        /// The problem, as the end of a sentence.
        problem: String,
    },
    /// Another process has held the lock of a root for too long.
    #[error("another process has held the lock `{}` for {seconds} s", .path.display())]
    Busy {
        /// The lock.
        path: PathBuf,
        /// How long we waited.
        seconds: u64,
    },
    /// `AIW_RUNTIME_DIR` is relative.
    #[error("`AIW_RUNTIME_DIR` is not an absolute path: `{}`", .path.display())]
    RelativeRuntimeDir {
        /// The value of the variable.
        path: PathBuf,
    },
    /// The shared memory cannot be used.
    #[error("cannot use shared memory `{name}`: {source}")]
    SharedMemory {
        /// The name of the shared memory.
        name: String,
        /// The reason.
        source: ShmError,
    },
    /// The system refused an operation.
    #[error("cannot {action} `{}`: {source}", .path.display())]
    Io {
        /// `read`, `write`, ….
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The home can't be used.
    #[error(transparent)]
    Home(#[from] aiw_home::HomeError),
    /// This system does not support supervised processes.
    #[error("supervised {noun}s do not work on this system yet")]
    Unsupported {
        /// The noun.
        noun: ResourceKind,
    },
}

impl SupervisorError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }
}

impl Diagnostic for SupervisorError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(self, Home)
    }

    fn own_kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. }
            | Self::LimitReached { .. }
            | Self::StillRunning { .. }
            | Self::NotRunning { .. }
            | Self::InputClosed { .. }
            | Self::UnsupportedShim { .. }
            | Self::InvalidCwd { .. }
            | Self::InvalidValue { .. } => ErrorKind::User,
            Self::InvalidRuntimeDir { .. } | Self::RelativeRuntimeDir { .. } => ErrorKind::Config,
            Self::MissingRoot { .. } => ErrorKind::Internal,
            _ => ErrorKind::Unavailable,
        }
    }

    fn own_fix(&self) -> Option<String> {
        let word = |path: &Path| shell_quote_printable(&path.to_string_lossy()).into_owned();
        let is_directory = |path: &Path| path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
        Some(match self {
            // A directory that is ours is open to others; one of somebody else's does not change by this.
            Self::InvalidRuntimeDir { path, .. } if is_directory(path) => format!("chmod 700 {}", word(path)),
            Self::InvalidRuntimeDir { path, .. } => aiw_home::move_aside_command(path),
            Self::RelativeRuntimeDir { .. } => "unset AIW_RUNTIME_DIR".into(),
            Self::SymlinkRejected { path } => format!("rm {}", word(path)),
            Self::StillSupervised { lock: path, .. } | Self::Busy { path, .. } => format!("lsof {}", word(path)),
            Self::Io { path, source, .. } | Self::InvalidCwd { path, source } => aiw_home::io_fix_command(path, source),
            Self::SharedMemory { source: ShmError::ShmUnavailable(place), .. } => {
                format!("sudo mkdir -p {0} && sudo mount -t tmpfs tmpfs {0}", word(place))
            }
            _ => return None,
        })
    }
}

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A newer version of aiw wrote it, so its fields may have another meaning.
    #[error("a newer version of aiw has written its record")]
    UnsupportedVersion,
    /// The record was copied here from another process.
    #[error("its record is of another one")]
    WrongKind,
    /// The file is not a valid record.
    #[error("its record makes no sense: {0}")]
    Corrupt(#[from] serde_json::Error),
    /// The file is too large, or not a plain file.
    #[error(transparent)]
    Home(#[from] aiw_home::HomeError),
    /// The system refuses to read it.
    #[error(transparent)]
    System(#[from] io::Error),
}

#[cfg(unix)]
impl RecordError {
    /// Whether the record is worth nothing to any aiw.
    pub(crate) fn is_corrupt(&self) -> bool {
        matches!(self, Self::WrongKind | Self::Corrupt(_))
    }
}

/// Why shared memory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ShmError {
    /// The system's error.
    #[error("{0}")]
    System(#[from] io::Error),
    /// An error of the crate that maps the memory.
    #[cfg(unix)]
    #[error("{0}")]
    Mapping(#[from] shared_memory::ShmemError),
    /// The directory for segments does not exist.
    #[error("there is no `{}`; mount a tmpfs at `{}`", .0.display(), .0.display())]
    ShmUnavailable(PathBuf),
    /// There is not enough memory for the segment's pages.
    #[error("{bytes} bytes cannot be had: {source}")]
    ShmFull {
        /// The number of bytes.
        bytes: usize,
        /// The system's error.
        source: io::Error,
    },
    /// The segment that was found cannot be used.
    #[error("{0}")]
    IncompatibleSegment(&'static str),
    /// The reason that the shim gave.
    #[error("{0}")]
    Reported(String),
}

/// Why a shim did not start.
#[derive(Debug, thiserror::Error)]
pub enum ShimError {
    /// The executable could not be run.
    #[error("`{}`: {source}", .path.display())]
    SpawnFailed {
        /// The executable.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The starter could not tell the shim what to run.
    #[error(transparent)]
    RequestFailed(io::Error),
    /// The shim ended without an answer.
    #[error("`{}` ended without an answer", .0.display())]
    NoResponse(PathBuf),
    /// The shim's answer could not be understood.
    #[error("`{}` answered something else", .0.display())]
    InvalidResponse(PathBuf),
    /// The shim's directory was removed before the shim had begun.
    #[error("it was swept away")]
    Removed,
    /// The reason that the shim gave.
    #[error("{0}")]
    Reported(String),
}

/// Why a process gets no signal.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    /// Its process id has no meaning here.
    #[error("it belongs to another container, or to an earlier start of the system")]
    OtherPidNamespace,
    /// The record has no start time, and a process id alone does not identify a process.
    #[error("the record does not say when process {pid} started")]
    UnknownStartTime {
        /// The process.
        pid: u32,
    },
    /// The system does not show what the process is.
    #[error("process {pid} cannot be inspected")]
    NotVisible {
        /// The process.
        pid: u32,
    },
    /// The process does not show the expected marks.
    #[error("process {pid} does not belong to it, whatever the record says")]
    PidReused {
        /// The process.
        pid: u32,
    },
    /// The system refuses the signal.
    #[error("{0}")]
    System(#[from] io::Error),
}
