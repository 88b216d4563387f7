//! Tasks: which are meant, how they stand, waiting for and stopping them, and going on with one.

use aiw_core::{ProcessId, Reporter};
use aiw_home::Home;
use aiw_launch::{LaunchError, ResumeCommand, RootKind, TaskDetails, TaskSummary, TaskWaitResult, tail};
use aiw_processes::Manager;
use aiw_tasks::{ProcessScope, RetentionPolicy, State, Task, TaskError, TaskStop, Tasks};
use aiw_usage::Sum;
use schemars::JsonSchema;
use serde::Serialize;

use crate::attention::Attention;
use crate::daemon::DaemonState;
use crate::{accounts, directory, own_executable};

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

/// `aiw status`
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
pub struct TaskStatus {
    /// What needs you
    pub attention: Attention,
    /// The tasks that are queued or running, and those that finished since you last looked
    pub tasks: Vec<TaskSummary>,
    /// How many there are in each state
    #[serde(flatten)]
    pub counts: TaskCounts,
    /// How many processes of this project run, if any
    #[serde(skip_serializing_if = "is_zero")]
    pub processes: usize,
    /// The daemon, if it is awake or should be
    #[serde(skip_serializing_if = "Option::is_none")]
    pub daemon: Option<DaemonState>,
    /// How many files of this machine are not pushed to its store, if it has one and there are some
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unpushed: Option<usize>,
    /// Today's usage, in UTC, if any was booked
    pub today: Option<Sum>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
fn is_zero(count: &usize) -> bool {
    *count == 0
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
pub fn list(tasks: &Tasks) -> Result<TaskList, TaskError> {
    tasks.sweep()?;
    let (tasks, problems) = tasks.list_with_problems()?;
    Ok(TaskList { tasks, problems })
}

/// Returns what runs, what finished since the user last looked, and what was used today.
pub fn status(home: &Home, all: bool) -> Result<(TaskStatus, TaskList), TaskError> {
    let mut listed = list(&open(home, all)?)?;
    listed.tasks.retain(|task| task.state != State::Ended || task.unread);
    let cwd = directory(home).ok();
    let status = TaskStatus {
        attention: cwd.map(|cwd| Attention::collect(home, cwd)).unwrap_or_default(),
        tasks: listed.tasks.iter().map(TaskSummary::new).collect(),
        counts: TaskCounts::new(&listed.tasks),
        // What stands in the way of processes is said by `aiw ps`, and of the book of usage by `aiw usage`.
        processes: running(home).unwrap_or_default(),
        daemon: Some(DaemonState::inspect(home)).filter(|state| state.line().is_some()),
        unpushed: aiw_sync::unpushed_files(home).filter(|count| *count > 0),
        today: accounts::usage_today(home).ok().filter(|sum| sum.record_count() > 0),
    };
    Ok((status, listed))
}

/// How many processes of the project run, after what dead supervisors left behind was ended, or started again.
fn running(home: &Home) -> Option<usize> {
    let manager = Manager::open_in(home, directory(home).ok()?).ok()?.with_executable(own_executable().ok()?);
    manager.reconcile().ok()?;
    Some(manager.list_running().ok()?.iter().filter(|status| status.state.is_alive()).count())
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
