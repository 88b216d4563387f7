use aiw_core::TaskId;
use aiw_home::Home;
use aiw_tasks::{Scope, State, Task, Tasks};

use crate::error::CallError;

/// The task that is meant by an id, the beginning of one, or a process id. Those of other sessions
/// are found too: whoever names one knows it.
pub(crate) fn find(home: &Home, text: &str) -> Result<Task, CallError> {
    let tasks = Tasks::open(home, Scope::All)?;
    if let Ok(id) = text.parse::<TaskId>() {
        return Ok(tasks.get(id)?);
    }
    let mut meant: Vec<Task> = tasks.list()?.into_iter().filter(|task| task.id.as_str().starts_with(text)).collect();
    if let Ok(pid) = text.parse()
        && let Ok(task) = tasks.find_by_pid(pid)
        && !meant.iter().any(|found| found.id == task.id)
    {
        // A process that lives is meant rather than a beginning that happens to be a number.
        if task.state != State::Ended {
            return Ok(task);
        }
        meant.push(task);
    }
    match (meant.pop(), meant.as_slice()) {
        (Some(task), []) => Ok(task),
        (None, _) => Err(CallError::NoTask { text: text.to_owned() }),
        (Some(last), others) => {
            let ids = others.iter().chain([&last]).take(8).map(|task| task.id.to_string()).collect();
            Err(CallError::Ambiguous { text: text.to_owned(), ids })
        }
    }
}
