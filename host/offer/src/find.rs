//! The task that a call means.

use aiw_tasks::{Task, Tasks};

use crate::error::CallError;

/// How a call names a task: by at least one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TaskSelector {
    /// Its id, the beginning of that, or a process id as text.
    id: Option<String>,
    /// Its process id and nothing else.
    pid: Option<u32>,
}

impl TaskSelector {
    pub(crate) fn new(id: Option<String>, pid: Option<u32>) -> Result<Self, CallError> {
        let id = id.map(|id| id.trim().to_owned()).filter(|id| !id.is_empty());
        if id.is_none() && pid.is_none() {
            let what = "the task's id as `start_task` and `list_tasks` give it; or give its `pid`".to_owned();
            return Err(CallError::MissingArgument { name: "id".to_owned(), what });
        }
        Ok(Self { id, pid })
    }
}

/// The named task. Tasks of other sessions are found too: a caller that names one knows it.
pub(crate) fn find(tasks: &Tasks, named: &TaskSelector) -> Result<Task, CallError> {
    let TaskSelector { id, pid } = named;
    let task = match (id, pid) {
        (Some(text), _) => tasks.find(text)?,
        // Only a process id: a small number is the beginning of many ids.
        (None, pid) => tasks.find_by_pid(pid.unwrap_or(0))?,
    };
    match pid {
        Some(_) if task.pid != *pid => Err(CallError::TaskMismatch { id: task.id, pid: task.pid }),
        _ => Ok(task),
    }
}
