use aiw_home::Home;
use aiw_tasks::{Scope, Task, Tasks};

use crate::arguments::Named;
use crate::error::CallError;

/// The task that is meant. Those of other sessions are found too: whoever names one knows it.
pub(crate) fn find(home: &Home, named: &Named) -> Result<Task, CallError> {
    let tasks = Tasks::open(home, Scope::All)?;
    let Named { id, pid } = named;
    let task = match (id, pid) {
        (Some(text), _) => tasks.find(text)?,
        // Only a process id: a small one is the beginning of many an id.
        (None, pid) => tasks.find_by_pid(pid.unwrap_or(0))?,
    };
    match pid {
        Some(_) if task.pid != *pid => Err(CallError::TwoTasks { id: task.id, pid: task.pid }),
        _ => Ok(task),
    }
}
