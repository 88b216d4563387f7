use aiw_core::TaskId;
use aiw_home::Home;
use aiw_tasks::{Scope, State, Task, Tasks};

use crate::arguments::Named;
use crate::error::CallError;

/// Shorter beginnings of an id are likelier a mistake, and some tools end what they name.
const SHORTEST: usize = 4;

/// The task that is meant. Those of other sessions are found too: whoever names one knows it.
pub(crate) fn find(home: &Home, named: &Named) -> Result<Task, CallError> {
    let tasks = Tasks::open(home, Scope::All)?;
    let by_pid = |pid: u64| tasks.find_by_pid(u32::try_from(pid).ok()?).ok();
    let text = match named {
        Named::Pid(pid) => return by_pid(*pid).ok_or_else(|| CallError::NoTask { text: pid.to_string() }),
        Named::Id(text) => text,
    };
    if let Ok(id) = text.parse::<TaskId>() {
        return Ok(tasks.get(id)?);
    }
    let begins = |task: &Task| text.len() >= SHORTEST && task.id.as_str().starts_with(text.as_str());
    let mut meant: Vec<Task> = tasks.list()?.into_iter().filter(begins).collect();
    if let Some(task) = text.parse().ok().and_then(by_pid)
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
        (None, _) => Err(CallError::NoTask { text: text.clone() }),
        (Some(last), others) => {
            let ids = others.iter().chain([&last]).take(8).map(|task| task.id.to_string()).collect();
            Err(CallError::Ambiguous { text: text.clone(), ids })
        }
    }
}
