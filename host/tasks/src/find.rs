//! Finding the task that the user means.

use aiw_core::ProcessId;
use aiw_supervisor::{ProcessScope, State};

use crate::error::TaskError;
use crate::task::Task;
use crate::tasks::Tasks;

/// A shorter beginning of an id is likely a mistake, and some commands end the task they name.
const MIN_ID_PREFIX_LEN: usize = 4;

impl Tasks {
    /// Returns the task whose CLI has, or had, this process id. Of several, it is one that is alive, or else the
    /// newest.
    pub fn find_by_pid(&self, pid: u32) -> Result<Task, TaskError> {
        let all = self.of_all_sessions()?;
        by_pid(&all, pid).cloned().ok_or_else(|| TaskError::TaskNotFound { id: pid.to_string() })
    }

    /// Returns the task with this id, beginning of an id (at least four characters), or process id. Tasks of other
    /// sessions are found too, because the user knows their ids.
    pub fn find(&self, text: &str) -> Result<Task, TaskError> {
        if let Ok(id) = text.parse::<ProcessId>() {
            return self.get(id);
        }
        let all = self.of_all_sessions()?;
        let mut meant: Vec<&Task> =
            all.iter().filter(|task| text.len() >= MIN_ID_PREFIX_LEN && task.id.as_str().starts_with(text)).collect();
        if let Some(task) = text.parse().ok().and_then(|pid| by_pid(&all, pid)) {
            // A live process takes precedence over an id that happens to begin with this number.
            if task.state != State::Ended {
                return Ok(task.clone());
            }
            if !meant.iter().any(|found| found.id == task.id) {
                meant.push(task);
            }
        }
        match meant.as_slice() {
            [task] => Ok((*task).clone()),
            [] => Err(TaskError::TaskNotFound { id: aiw_core::one_line(text, 60) }),
            several => Err(TaskError::Ambiguous {
                text: aiw_core::one_line(text, 60),
                ids: several.iter().take(8).map(|task| task.id).collect(),
            }),
        }
    }

    /// Returns the tasks that are named, each once, however often and by whatever name.
    pub fn find_all(&self, names: &[String]) -> Result<Vec<Task>, TaskError> {
        let mut found: Vec<Task> = Vec::new();
        for name in names {
            let task = self.find(name)?;
            if !found.iter().any(|other| other.id == task.id) {
                found.push(task);
            }
        }
        Ok(found)
    }

    /// Returns how many characters of an id name one task, of the tasks of all sessions; at least four. `listed` are all
    /// of these, which are not read again where there are no others.
    pub fn unique_id_len(&self, listed: &[Task]) -> Result<usize, TaskError> {
        let others = match self.processes.scope() {
            ProcessScope::All => Vec::new(),
            ProcessScope::Root(_) => self.of_all_sessions()?,
        };
        let mut ids: Vec<_> = listed.iter().chain(&others).map(|task| task.id).collect();
        ids.sort_unstable();
        ids.dedup();
        let shared = |pair: &[ProcessId]| {
            let (one, other) = (pair[0].as_str().bytes(), pair[1].as_str().bytes());
            one.zip(other).take_while(|(one, other)| one == other).count()
        };
        Ok(ids.windows(2).map(shared).max().map_or(MIN_ID_PREFIX_LEN, |most| MIN_ID_PREFIX_LEN.max(most + 1)))
    }

    fn of_all_sessions(&self) -> Result<Vec<Task>, TaskError> {
        Self { processes: self.processes.scoped(ProcessScope::All) }.list()
    }
}

/// Of several tasks that had a process id, returns one that is alive, or else the newest.
fn by_pid(tasks: &[Task], pid: u32) -> Option<&Task> {
    let had = tasks.iter().filter(|task| task.pid == Some(pid));
    had.max_by_key(|task| (task.state != State::Ended, task.started))
}
