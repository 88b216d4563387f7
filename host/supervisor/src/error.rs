//! What can go wrong with supervised processes.

use std::io;
use std::path::{Path, PathBuf};

use aiw_core::{TaskId, TaskState};

/// What can go wrong with supervised processes.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// There is no such process (or it was removed).
    #[error("there is no process `{id}`")]
    Absent {
        /// What was asked for.
        id: TaskId,
    },
    /// The process is there, but this aiw cannot tell what it is.
    #[error("process `{id}` cannot be read: {source}")]
    Unreadable {
        /// The process.
        id: TaskId,
        /// Why.
        source: RecordProblem,
    },
    /// In the place of a process' directory is a link.
    #[error("`{}` is a symbolic link, and aiw does not follow it", .path.display())]
    Link {
        /// Where it is.
        path: PathBuf,
    },
    /// In the place of the process' directory is something else.
    #[error("`{}` is {what}, not the directory of a process", .path.display())]
    NoDirectory {
        /// The process that it is called after.
        id: TaskId,
        /// Where it is.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A process whose record cannot be read is supervised.
    #[error("process `{id}` cannot be removed: its record cannot be read, and a process holds its lock `{}`", .lock.display())]
    Supervised {
        /// The process.
        id: TaskId,
        /// The lock.
        lock: PathBuf,
    },
    /// Processes are started in a session, not in all of them.
    #[error("a process is started in one session, and none was given")]
    NoSession,
    /// As many run as may run, and it was not to wait.
    #[error("{limit} processes run already")]
    Limit {
        /// How many may run.
        limit: u32,
    },
    /// The session's table has no room.
    #[error("all {slots} places for running and queued processes of this session are taken")]
    Full {
        /// How many places there are.
        slots: usize,
    },
    /// The program could not be started. The process' record says so too.
    #[error("cannot start `{}`: {source}", .path.display())]
    NotStarted {
        /// The process whose record tells it.
        id: TaskId,
        /// The executable.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The directory to work in is none.
    #[error("cannot work in `{}`: {source}", .path.display())]
    Cwd {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What was given cannot be passed on.
    #[error("{problem}")]
    Invalid {
        /// What is wrong, as a sentence.
        problem: String,
    },
    /// The supervisor did not come up.
    #[error("the supervisor did not start: {source}")]
    Shim {
        /// Why.
        source: ShimProblem,
    },
    /// The process has not ended.
    #[error("process `{id}` is still {state}")]
    StillRunning {
        /// The process.
        id: TaskId,
        /// Its state.
        state: TaskState,
    },
    /// The processes are out of reach.
    #[error("process `{id}` runs where it cannot be reached: {source}")]
    OutOfReach {
        /// The process.
        id: TaskId,
        /// Why.
        source: Refusal,
    },
    /// The runtime directory, or what lies in it, is not what it must be.
    #[error("`{}` {problem}", .path.display())]
    Runtime {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong with it, as the end of a sentence.
        problem: String,
    },
    /// Another process has decided about a session for too long.
    #[error("another process has held the lock `{}` for {seconds} s", .path.display())]
    Busy {
        /// The lock.
        path: PathBuf,
        /// How long we waited.
        seconds: u64,
    },
    /// `AIW_RUNTIME_DIR` is relative.
    #[error("`AIW_RUNTIME_DIR` is not an absolute path: `{}`", .path.display())]
    RelativeRuntime {
        /// What it says.
        path: PathBuf,
    },
    /// The shared memory cannot be had.
    #[error("cannot use shared memory `{name}`: {source}")]
    Memory {
        /// Its name.
        name: String,
        /// Why.
        source: MemoryProblem,
    },
    /// The system refused an operation.
    #[error("cannot {action} `{}`: {source}", .path.display())]
    Io {
        /// `read`, `write`, ….
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// This system has no supervised processes.
    #[error("supervised processes do not work on this system yet")]
    Unsupported,
}

impl SupervisorError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }
}

/// Why a record tells nothing.
#[derive(Debug, thiserror::Error)]
pub enum RecordProblem {
    /// Its fields may mean something else by now.
    #[error("a newer version of aiw has written its record")]
    Newer,
    /// It was copied here.
    #[error("its record is of another one")]
    Foreign,
    /// It is not a record.
    #[error("its record makes no sense: {0}")]
    Nonsense(#[from] serde_json::Error),
    /// It is too large, or no file.
    #[error(transparent)]
    Home(#[from] aiw_home::HomeError),
    /// The system does not let us.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// Why shared memory cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum MemoryProblem {
    /// The system's own words.
    #[error("{0}")]
    System(#[from] io::Error),
    /// The words of the crate that maps it.
    #[cfg(unix)]
    #[error("{0}")]
    Mapping(#[from] shared_memory::ShmemError),
    /// There is no place for segments at all.
    #[error("there is no `{}`; mount a tmpfs at `{}`", .0.display(), .0.display())]
    NoPlace(PathBuf),
    /// Its pages cannot be had.
    #[error("{bytes} bytes cannot be had: {source}")]
    NoRoom {
        /// How many.
        bytes: usize,
        /// What the system said.
        source: io::Error,
    },
    /// What is there is not what it must be.
    #[error("{0}")]
    Unfit(&'static str),
    /// As the shim has said it.
    #[error("{0}")]
    Told(String),
}

/// Why a shim did not come up.
#[derive(Debug, thiserror::Error)]
pub enum ShimProblem {
    /// It could not be run.
    #[error("`{}`: {source}", .path.display())]
    NotRun {
        /// The executable.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It could not be told what to run.
    #[error(transparent)]
    NotTold(io::Error),
    /// It ended without a word.
    #[error("`{}` ended without an answer", .0.display())]
    Silent(PathBuf),
    /// It said something else.
    #[error("`{}` answered something else", .0.display())]
    Strange(PathBuf),
    /// Its directory was gone before it had begun.
    #[error("it was swept away")]
    SweptAway,
    /// As the shim has said it.
    #[error("{0}")]
    Told(String),
}

/// Why a process gets no signal.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Its number means nothing here.
    #[error("it belongs to another container, or to an earlier start of the system")]
    Elsewhere,
    /// A number alone is not a process.
    #[error("the record does not say when process {pid} started")]
    NoStart {
        /// The process.
        pid: u32,
    },
    /// Nothing can be known of it.
    #[error("process {pid} cannot be inspected")]
    Hidden {
        /// The process.
        pid: u32,
    },
    /// It does not show what it has to.
    #[error("process {pid} does not belong to it, whatever the record says")]
    Stranger {
        /// The process.
        pid: u32,
    },
    /// The system refuses it.
    #[error("{0}")]
    System(#[from] io::Error),
}
