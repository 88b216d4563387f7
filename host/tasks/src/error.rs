use std::io;
use std::path::{Path, PathBuf};

use aiw_core::{ErrorKind, TaskId};

/// What can go wrong with tasks.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// There is no such task (or it was removed).
    #[error("there is no task `{id}`")]
    NoTask {
        /// What was asked for.
        id: String,
    },
    /// The task is there, but this aiw cannot tell what it is.
    #[error("task `{id}` cannot be read: {reason}")]
    Unreadable {
        /// The task.
        id: TaskId,
        /// Why.
        reason: String,
    },
    /// In the place of a task's directory is a link.
    #[error("`{}` is a symbolic link, and aiw does not follow it", .path.display())]
    Link {
        /// Where it is.
        path: PathBuf,
    },
    /// In the place of the task's directory is something else.
    #[error("`{}` is {what}, not the directory of a task", .path.display())]
    NoDirectory {
        /// The task that it is called after.
        id: TaskId,
        /// Where it is.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A task whose record cannot be read is supervised.
    #[error("task `{id}` cannot be removed: its record cannot be read, and a process holds its lock `{}`", .lock.display())]
    Supervised {
        /// The task.
        id: TaskId,
        /// The lock.
        lock: PathBuf,
    },
    /// What was asked for means several tasks.
    #[error("`{text}` means several tasks")]
    Ambiguous {
        /// What was asked for.
        text: String,
        /// Those that it means; not all, if they are many.
        ids: Vec<TaskId>,
    },
    /// Tasks are started in a session, not in all of them.
    #[error("a task is started in one session, and none was given")]
    NoSession,
    /// Tasks start tasks that start tasks.
    #[error("tasks may start tasks only {limit} deep, and this would be number {depth}")]
    Depth {
        /// How deep it would be.
        depth: u8,
        /// How deep it may be.
        limit: u8,
    },
    /// As many run as may run, and it was not to wait.
    #[error("{limit} tasks run already")]
    Limit {
        /// How many may run.
        limit: u32,
    },
    /// The session's table has no room.
    #[error("all {slots} places for running and queued tasks of this session are taken")]
    Full {
        /// How many places there are.
        slots: usize,
    },
    /// The CLI could not be started. The task's record says so too.
    #[error("cannot start `{}`: {reason}", .path.display())]
    NotStarted {
        /// The task whose record tells it.
        id: TaskId,
        /// The executable.
        path: PathBuf,
        /// Why, as the system says it.
        reason: String,
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
    /// The task's supervisor did not come up.
    #[error("the task's supervisor did not start: {reason}")]
    Shim {
        /// What it said, or how it ended.
        reason: String,
    },
    /// The task is still running.
    #[error("task `{id}` is still {state}")]
    StillRunning {
        /// The task.
        id: TaskId,
        /// Its state.
        state: crate::State,
    },
    /// The task's processes are out of reach.
    #[error("task `{id}` runs where it cannot be reached: {reason}")]
    OutOfReach {
        /// The task.
        id: TaskId,
        /// Why.
        reason: String,
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
    #[error("cannot use shared memory `{name}`: {reason}")]
    Memory {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
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
    /// This system has no supervised tasks.
    #[error("supervised tasks do not work on this system yet")]
    Unsupported,
}

impl TaskError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    /// The kind, for the exit code.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoTask { .. }
            | Self::Ambiguous { .. }
            | Self::Depth { .. }
            | Self::Limit { .. }
            | Self::Cwd { .. }
            | Self::Invalid { .. }
            | Self::StillRunning { .. } => ErrorKind::User,
            Self::Runtime { .. } | Self::RelativeRuntime { .. } => ErrorKind::Config,
            Self::NoSession => ErrorKind::Internal,
            Self::Full { .. }
            | Self::NotStarted { .. }
            | Self::Shim { .. }
            | Self::OutOfReach { .. }
            | Self::Memory { .. }
            | Self::Busy { .. }
            | Self::Unreadable { .. }
            | Self::Link { .. }
            | Self::NoDirectory { .. }
            | Self::Supervised { .. }
            | Self::Io { .. }
            | Self::Unsupported => ErrorKind::Unavailable,
        }
    }

    /// What to do next, where there is one thing to do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoTask { .. } => "`aiw task list` shows the tasks".into(),
            Self::Ambiguous { ids, .. } => {
                let ids: Vec<&str> = ids.iter().map(TaskId::as_str).collect();
                format!("they are {}", ids.join(", "))
            }
            Self::Unreadable { id, .. } => {
                format!("if no newer `aiw` has written it, `aiw task remove {id}` takes it away")
            }
            Self::Link { path } => {
                format!("`rm {}` takes the link away, and leaves what it leads to", path.display())
            }
            Self::NoDirectory { id, .. } => format!("`aiw task remove {id}` takes it away"),
            Self::Supervised { lock, .. } => {
                format!("wait until it has ended; `lsof {}` names the process", lock.display())
            }
            Self::Depth { .. } => "let the task that asked do the work itself".into(),
            Self::Limit { .. } => "leave out `--no-queue` and it waits for its turn".into(),
            Self::Full { .. } => "stop tasks that are not needed: `aiw task stop ID`".into(),
            Self::StillRunning { id, .. } => format!("stop it first: `aiw task stop {id}`"),
            Self::NotStarted { id, .. } => format!("`aiw task show {id}` shows what was tried"),
            Self::Runtime { path, .. } => {
                let mode = if path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
                    format!("`chmod 700 {}` if it is yours, ", path.display())
                } else {
                    String::new()
                };
                format!("{mode}remove it, or set `AIW_RUNTIME_DIR` to a directory of your own")
            }
            Self::RelativeRuntime { .. } => {
                "set it to a path that begins with `/`, or unset it: aiw finds a directory by itself".into()
            }
            Self::Busy { path, .. } => {
                format!("`lsof {}` names the process; if it is stopped, let it go on or end it", path.display())
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => "make room on that disk".into(),
            Self::Io { source, .. }
                if matches!(source.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied) =>
            {
                "`AIW_HOME` may name another directory, which you may write".into()
            }
            Self::Memory { .. } => "see that `/dev/shm` exists and has 2 MiB free".into(),
            Self::Unsupported => "use Linux or macOS, or WSL on Windows".into(),
            _ => return None,
        })
    }
}
