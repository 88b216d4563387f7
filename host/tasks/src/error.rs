//! The errors of tasks, and what to do about them.

use std::io;

use aiw_core::{Diagnostic, ProcessId};
use aiw_supervisor::SupervisorError;

/// An error that concerns tasks.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The task does not exist, or was removed.
    #[error("there is no task `{id}`")]
    TaskNotFound {
        /// The requested id.
        id: String,
    },
    /// The given text matches several tasks.
    #[error("`{text}` means several tasks")]
    Ambiguous {
        /// The given text.
        text: String,
        /// The matching tasks, or some of them if there are many.
        ids: Vec<ProcessId>,
    },
    /// Tasks start each other too deeply.
    #[error("tasks may start tasks only {limit} deep, and this would be number {depth}")]
    TooDeep {
        /// The depth that the task would have.
        depth: u8,
        /// The maximum depth.
        limit: u8,
    },
    /// Any other error of a task's process.
    #[error(transparent)]
    Process(SupervisorError),
}

impl From<SupervisorError> for TaskError {
    fn from(error: SupervisorError) -> Self {
        match error {
            SupervisorError::NotFound { id, .. } => Self::TaskNotFound { id: id.to_string() },
            error => Self::Process(error),
        }
    }
}

impl Diagnostic for TaskError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(self, Process)
    }

    fn own_fix(&self) -> Option<String> {
        match self {
            Self::Process(SupervisorError::Unreadable { id, .. } | SupervisorError::NotADirectory { id, .. }) => {
                Some(format!("aiw task remove {id}"))
            }
            _ => None,
        }
    }

    fn own_hint(&self) -> Option<String> {
        Some(match self {
            Self::TaskNotFound { .. } => "`aiw task list` shows the tasks".into(),
            Self::Ambiguous { ids, .. } => {
                let ids: Vec<&str> = ids.iter().map(ProcessId::as_str).collect();
                format!("they are {}", ids.join(", "))
            }
            Self::TooDeep { .. } => "let the task that asked do the work itself".into(),
            Self::Process(error) => return hint(error),
        })
    }
}

fn hint(error: &SupervisorError) -> Option<String> {
    Some(match error {
        SupervisorError::Unreadable { id, .. } => {
            format!("if no newer `aiw` has written it, `aiw task remove {id}` takes it away")
        }
        SupervisorError::NotADirectory { id, .. } => format!("`aiw task remove {id}` takes it away"),
        SupervisorError::StillSupervised { lock, .. } => {
            format!("wait until it has ended; `lsof {}` names the process", lock.display())
        }
        SupervisorError::LimitReached { .. } => "leave out `--no-queue` and it waits for its turn".into(),
        SupervisorError::TableFull { .. } => "stop tasks that are not needed: `aiw stop ID`".into(),
        SupervisorError::StillRunning { id, .. } => format!("stop it first: `aiw stop {id}`"),
        SupervisorError::Unsupported { .. } => "use Linux or macOS, or WSL on Windows".into(),
        SupervisorError::SymlinkRejected { path } => {
            format!("`rm {}` takes the link away, and leaves what it leads to", path.display())
        }
        SupervisorError::NotStarted { id, .. } => format!("`aiw task show {id}` shows what was tried"),
        SupervisorError::InvalidRuntimeDir { path, .. } => {
            let mode = if path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
                format!("`chmod 700 {}` if it is yours, ", path.display())
            } else {
                String::new()
            };
            format!("{mode}remove it, or set `AIW_RUNTIME_DIR` to a directory of your own")
        }
        SupervisorError::RelativeRuntimeDir { .. } => {
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
        SupervisorError::SharedMemory { .. } => "see that `/dev/shm` exists and has 2 MiB free".into(),
        _ => return None,
    })
}
