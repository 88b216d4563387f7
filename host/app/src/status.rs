//! What runs, what finished, and what needs a person: `aiw status`.

use std::path::Path;

use aiw_home::Home;
use aiw_launch::TaskSummary;
use aiw_processes::Manager;
use aiw_tasks::{State, TaskError};
use aiw_usage::Sum;
use schemars::JsonSchema;
use serde::Serialize;

use crate::attention::Attention;
use crate::daemon::DaemonState;
use crate::tasks::{TaskCounts, TaskList, list, open};
use crate::{accounts, directory, own_executable};

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

/// Returns what runs, what finished since the user last looked, and what was used today.
pub fn status(home: &Home, all: bool) -> Result<(TaskStatus, TaskList), TaskError> {
    let mut listed = list(&open(home, all)?)?;
    listed.tasks.retain(|task| task.state != State::Ended || task.unread);
    let status = TaskStatus {
        // Most of it depends on no directory.
        attention: Attention::collect(home, directory(home).unwrap_or(Path::new("/"))),
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
