//! The errors of tasks, and what to do about them.

use std::io;
use std::path::PathBuf;

use aiw_core::{ErrorKind, TaskId, TaskState};
use aiw_supervisor::{RecordProblem, Refusal, ShimProblem, SupervisorError};

/// An error that concerns tasks.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The task does not exist, or was removed.
    #[error("there is no task `{id}`")]
    NoTask {
        /// The requested id.
        id: String,
    },
    /// The task exists, but this aiw cannot read its record.
    #[error("task `{id}` cannot be read: {source}")]
    Unreadable {
        /// The task.
        id: TaskId,
        /// The reason.
        source: RecordProblem,
    },
    /// Something other than a directory is in the place of the task's directory.
    #[error("`{}` is {what}, not the directory of a task", .path.display())]
    NoDirectory {
        /// The task that the path is named after.
        id: TaskId,
        /// The path.
        path: PathBuf,
        /// What the path is.
        what: &'static str,
    },
    /// A task whose record cannot be read still has a supervisor.
    #[error("task `{id}` cannot be removed: its record cannot be read, and a process holds its lock `{}`", .lock.display())]
    Supervised {
        /// The task.
        id: TaskId,
        /// The lock.
        lock: PathBuf,
    },
    /// The given text matches several tasks.
    #[error("`{text}` means several tasks")]
    Ambiguous {
        /// The given text.
        text: String,
        /// The matching tasks, or some of them if there are many.
        ids: Vec<TaskId>,
    },
    /// A task is started in one session, not in all of them.
    #[error("a task is started in one session, and none was given")]
    NoSession,
    /// Tasks start each other too deeply.
    #[error("tasks may start tasks only {limit} deep, and this would be number {depth}")]
    Depth {
        /// The depth that the task would have.
        depth: u8,
        /// The maximum depth.
        limit: u8,
    },
    /// The limit of running tasks is reached, and the task was not allowed to wait.
    #[error("{limit} tasks run already")]
    Limit {
        /// How many tasks may run.
        limit: u32,
    },
    /// The session's table is full.
    #[error("all {slots} places for running and queued tasks of this session are taken")]
    Full {
        /// The number of slots.
        slots: usize,
    },
    /// The task's supervisor did not start.
    #[error("the task's supervisor did not start: {source}")]
    Shim {
        /// The reason.
        source: ShimProblem,
    },
    /// The task is still running.
    #[error("task `{id}` is still {state}")]
    StillRunning {
        /// The task.
        id: TaskId,
        /// Its state.
        state: TaskState,
    },
    /// The task cannot be signaled.
    #[error("task `{id}` runs where it cannot be reached: {source}")]
    OutOfReach {
        /// The task.
        id: TaskId,
        /// The reason.
        source: Refusal,
    },
    /// This system does not support supervised tasks.
    #[error("supervised tasks do not work on this system yet")]
    Unsupported,
    /// Any other error that concerns a process.
    #[error(transparent)]
    Process(SupervisorError),
}

impl From<SupervisorError> for TaskError {
    fn from(error: SupervisorError) -> Self {
        match error {
            SupervisorError::Absent { id } => Self::NoTask { id: id.to_string() },
            SupervisorError::Unreadable { id, source } => Self::Unreadable { id, source },
            SupervisorError::NoDirectory { id, path, what } => Self::NoDirectory { id, path, what },
            SupervisorError::Supervised { id, lock } => Self::Supervised { id, lock },
            SupervisorError::NoSession => Self::NoSession,
            SupervisorError::Limit { limit } => Self::Limit { limit },
            SupervisorError::Full { slots } => Self::Full { slots },
            SupervisorError::Shim { source } => Self::Shim { source },
            SupervisorError::StillRunning { id, state } => Self::StillRunning { id, state },
            SupervisorError::OutOfReach { id, source } => Self::OutOfReach { id, source },
            SupervisorError::Unsupported => Self::Unsupported,
            error => Self::Process(error),
        }
    }
}

impl TaskError {
    /// Returns the kind of the error, for the exit code.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoTask { .. }
            | Self::Ambiguous { .. }
            | Self::Depth { .. }
            | Self::Limit { .. }
            | Self::StillRunning { .. }
            | Self::Process(SupervisorError::Cwd { .. } | SupervisorError::Invalid { .. }) => ErrorKind::User,
            Self::Process(SupervisorError::Runtime { .. } | SupervisorError::RelativeRuntime { .. }) => {
                ErrorKind::Config
            }
            Self::NoSession => ErrorKind::Internal,
            Self::Full { .. }
            | Self::Shim { .. }
            | Self::OutOfReach { .. }
            | Self::Unreadable { .. }
            | Self::NoDirectory { .. }
            | Self::Supervised { .. }
            | Self::Unsupported
            | Self::Process(_) => ErrorKind::Unavailable,
        }
    }

    /// Returns what to do next, if there is one obvious step.
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
            Self::NoDirectory { id, .. } => format!("`aiw task remove {id}` takes it away"),
            Self::Supervised { lock, .. } => {
                format!("wait until it has ended; `lsof {}` names the process", lock.display())
            }
            Self::Depth { .. } => "let the task that asked do the work itself".into(),
            Self::Limit { .. } => "leave out `--no-queue` and it waits for its turn".into(),
            Self::Full { .. } => "stop tasks that are not needed: `aiw task stop ID`".into(),
            Self::StillRunning { id, .. } => format!("stop it first: `aiw task stop {id}`"),
            Self::Unsupported => "use Linux or macOS, or WSL on Windows".into(),
            Self::Process(error) => return hint(error),
            _ => return None,
        })
    }
}

fn hint(error: &SupervisorError) -> Option<String> {
    Some(match error {
        SupervisorError::Link { path } => {
            format!("`rm {}` takes the link away, and leaves what it leads to", path.display())
        }
        SupervisorError::NotStarted { id, .. } => format!("`aiw task show {id}` shows what was tried"),
        SupervisorError::Runtime { path, .. } => {
            let mode = if path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
                format!("`chmod 700 {}` if it is yours, ", path.display())
            } else {
                String::new()
            };
            format!("{mode}remove it, or set `AIW_RUNTIME_DIR` to a directory of your own")
        }
        SupervisorError::RelativeRuntime { .. } => {
            "set it to a path that begins with `/`, or unset it: aiw finds a directory by itself".into()
        }
        SupervisorError::Busy { path, .. } => {
            format!("`lsof {}` names the process; if it is stopped, let it go on or end it", path.display())
        }
        SupervisorError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
            "make room on that disk".into()
        }
        SupervisorError::Io { source, .. }
            if matches!(source.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied) =>
        {
            "`AIW_HOME` may name another directory, which you may write".into()
        }
        SupervisorError::Memory { .. } => "see that `/dev/shm` exists and has 2 MiB free".into(),
        _ => return None,
    })
}
