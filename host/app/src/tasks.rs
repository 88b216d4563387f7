//! Tasks: which are meant, how they stand, waiting for and stopping them, and going on with one.

use aiw_core::{ProcessId, Reporter};
use aiw_home::Home;
use aiw_launch::{LaunchError, ResumeCommand, RootKind, TaskDetails, TaskWaitResult, tail};
use aiw_tasks::{ProcessScope, RetentionPolicy, State, Task, TaskError, TaskStop, Tasks};
use schemars::JsonSchema;
use serde::Serialize;

/// How many tasks there are in each state
#[warn(missing_docs)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TaskCounts {
    /// How many are running
    pub running: usize,
    /// How many are queued
    pub queued: usize,
    /// How many finished since you last looked
    pub unseen: usize,
}

impl TaskCounts {
    /// Counts tasks.
    pub fn new(tasks: &[Task]) -> Self {
        let mut counts = Self::default();
        for task in tasks {
            match task.state {
                State::Queued => counts.queued += 1,
                State::Ended => counts.unseen += usize::from(task.unread),
                State::Running | State::Starting | State::Stopping => counts.running += 1,
            }
        }
        counts
    }
}

/// `aiw task remove`, `prune`
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
pub struct TaskRemove {
    /// The ids of the tasks that were removed
    pub removed: Vec<String>,
    /// Whether they would have been removed, but were not
    pub dry_run: bool,
}

/// Tasks in a list.
#[derive(Debug)]
pub struct TaskList {
    /// The tasks, oldest first.
    pub tasks: Vec<Task>,
    /// Why others can't be shown.
    pub problems: Vec<TaskError>,
    /// How many characters of an id name one task.
    pub id_len: usize,
}

/// A task that was stopped.
#[derive(Debug)]
pub struct StoppedTask {
    /// The task.
    pub task: Task,
    /// The result: `stopped`, `still stopping`, or `ended` if it had ended before.
    pub result: &'static str,
}

/// Returns the tasks of this session; outside of an AI CLI, and with `all`, those of all sessions.
pub fn open(home: &Home, all: bool) -> Result<Tasks, TaskError> {
    let session = aiw_launch::session();
    let is_inside = session.kind != RootKind::Session || session.task.is_some();
    Tasks::open(home, if is_inside && !all { ProcessScope::Root(session.root) } else { ProcessScope::All })
}

/// Lists tasks, after what dead supervisors have left behind was ended.
pub fn list(all: &Tasks) -> Result<TaskList, TaskError> {
    all.sweep()?;
    let (tasks, problems) = all.list_with_problems()?;
    let id_len = if tasks.is_empty() { 0 } else { all.unique_id_len(&tasks)? };
    Ok(TaskList { tasks, problems, id_len })
}

/// Returns all tasks but the one that this process runs in, and those above it: they end after it.
pub fn other_tasks(tasks: &Tasks, own: Option<ProcessId>) -> Result<Vec<Task>, TaskError> {
    let (mut above, mut next) = (Vec::new(), own);
    while let Some(id) = next.filter(|id| !above.contains(id)) {
        above.push(id);
        next = tasks.get(id).ok().and_then(|task| task.parent);
    }
    Ok(tasks.list_repaired()?.into_iter().filter(|task| !above.contains(&task.id)).collect())
}

/// Stops tasks with all their processes, and waits until they have ended. All are told before any is waited for.
pub fn stop(tasks: &Tasks, ids: &[ProcessId]) -> Result<Vec<StoppedTask>, TaskError> {
    let told = ids.iter().map(|id| tasks.stop(*id, false)).collect::<Result<Vec<_>, _>>()?;
    let ended = |(id, told): (&ProcessId, TaskStop)| match told {
        TaskStop::AlreadyEnded(task) => Ok(StoppedTask { task, result: "ended" }),
        TaskStop::Ended(_) | TaskStop::Stopping(_) => Ok(match tasks.stop(*id, true)? {
            TaskStop::Stopping(task) => StoppedTask { task, result: "still stopping" },
            TaskStop::Ended(task) | TaskStop::AlreadyEnded(task) => StoppedTask { task, result: "stopped" },
        }),
    };
    let stopped = ids.iter().zip(told).map(ended).collect::<Result<Vec<_>, TaskError>>()?;
    mark_told(tasks, stopped.iter().map(|one| &one.task))?;
    Ok(stopped)
}

/// Notes that the ends of these tasks are told. One that has ended only since it was looked at stays news.
fn mark_told<'a>(tasks: &Tasks, told: impl IntoIterator<Item = &'a Task>) -> Result<(), TaskError> {
    let ended = told.into_iter().filter(|task| task.state == State::Ended);
    tasks.mark_read(&ended.map(|task| task.id).collect::<Vec<_>>())
}

/// Reports on a task, with the last lines of its log. If it had ended when it was looked at, that is not new any more.
pub fn report(tasks: &Tasks, task: &Task, lines: usize) -> Result<TaskWaitResult, TaskError> {
    let last_lines = tail(tasks, task, lines)?.into_iter().map(|line| line.text).collect();
    mark_told(tasks, [task])?;
    Ok(TaskWaitResult { task: TaskDetails::new(task), last_lines })
}

/// Returns what goes on with the session of an ended task.
///
/// # Errors
///
/// Fails if the task still runs, or its CLI has named no session.
pub fn resume(tasks: &Tasks, name: &str) -> Result<(Task, ResumeCommand), LaunchError> {
    let task = tasks.find(name)?;
    let (id, cli) = (task.id, task.about.cli);
    let refused = |message: String, hint: String| Err(LaunchError::Invalid { message, hint: Some(hint) });
    match ResumeCommand::from_task(&task) {
        None => refused(
            format!("task {id} has no session of {cli} to go on with"),
            format!("`aiw task show {id}` shows what it did"),
        ),
        Some(_) if task.state != State::Ended => {
            refused(format!("task {id} still runs"), format!("`aiw wait {id}` waits for it"))
        }
        Some(run) => Ok((task, run)),
    }
}

/// Removes ended tasks, or whatever is in their place.
pub fn remove(tasks: &Tasks, names: &[String], sink: &dyn Reporter) -> Result<TaskRemove, TaskError> {
    let mut removed = Vec::new();
    for name in names {
        // A whole id names what stands in the task's place as well, whatever that is.
        let id = match name.parse() {
            Ok(id) => id,
            Err(_) => tasks.find(name)?.id,
        };
        if !removed.contains(&id.to_string()) {
            tasks.remove(id)?;
            sink.done(format!("Removed {id}"));
            removed.push(id.to_string());
        }
    }
    Ok(TaskRemove { removed, dry_run: false })
}

/// Removes the ended tasks that are not to be kept, of all sessions; with `dry_run`, it only names them.
pub fn prune(tasks: &Tasks, keep: RetentionPolicy, dry_run: bool) -> Result<TaskRemove, TaskError> {
    let removed = if dry_run { tasks.prunable(keep)? } else { tasks.prune(keep)? };
    Ok(TaskRemove { removed: removed.iter().map(ToString::to_string).collect(), dry_run })
}
