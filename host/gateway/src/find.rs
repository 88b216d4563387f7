use aiw_home::Home;
use aiw_tasks::{Scope, Task, Tasks};

use crate::arguments::Named;
use crate::error::CallError;

/// The task that is meant. Those of other sessions are found too: whoever names one knows it.
pub(crate) fn find(home: &Home, named: &Named) -> Result<Task, CallError> {
    let tasks = Tasks::open(home, Scope::All)?;
    Ok(match named {
        // Only a process id: a small one is the beginning of many an id.
        Named::Pid(pid) => tasks.find_by_pid(u32::try_from(*pid).unwrap_or(0))?,
        Named::Id(text) => tasks.find(text)?,
    })
}
