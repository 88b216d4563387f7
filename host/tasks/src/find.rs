//! Finding the task that somebody means.

use aiw_supervisor::{Scope, State};

use crate::error::TaskError;
use crate::task::Task;
use crate::tasks::Tasks;

/// Shorter beginnings of an id are likelier a mistake, and some commands end what they name.
const SHORTEST: usize = 4;

impl Tasks {
    /// The task whose CLI has, or had, this process id; the newest of several.
    pub fn find_by_pid(&self, pid: u32) -> Result<Task, TaskError> {
        let all = self.of_all_sessions()?;
        by_pid(&all, pid).cloned().ok_or_else(|| TaskError::NoTask { id: pid.to_string() })
    }

    /// The task that is meant by its id, by the beginning of one (four characters at least), or by
    /// a process id. Tasks of other sessions are found too: whoever names one knows it.
    pub fn find(&self, text: &str) -> Result<Task, TaskError> {
        if let Ok(id) = text.parse::<aiw_core::TaskId>() {
            return self.get(id);
        }
        let all = self.of_all_sessions()?;
        let mut meant: Vec<&Task> =
            all.iter().filter(|task| text.len() >= SHORTEST && task.id.as_str().starts_with(text)).collect();
        if let Some(task) = text.parse().ok().and_then(|pid| by_pid(&all, pid)) {
            // A process that lives is meant rather than a beginning that happens to be a number.
            if task.state != State::Ended {
                return Ok(task.clone());
            }
            if !meant.iter().any(|found| found.id == task.id) {
                meant.push(task);
            }
        }
        match meant.as_slice() {
            [task] => Ok((*task).clone()),
            [] => Err(TaskError::NoTask { id: aiw_core::one_line(text, 60) }),
            several => Err(TaskError::Ambiguous {
                text: aiw_core::one_line(text, 60),
                ids: several.iter().take(8).map(|task| task.id).collect(),
            }),
        }
    }

    fn of_all_sessions(&self) -> Result<Vec<Task>, TaskError> {
        Self { processes: self.processes.of(Scope::All) }.list()
    }
}

/// Among several that had a process id, one that lives is meant, else the newest.
fn by_pid(tasks: &[Task], pid: u32) -> Option<&Task> {
    let had = tasks.iter().filter(|task| task.pid == Some(pid));
    had.max_by_key(|task| (task.state != State::Ended, task.started))
}
