//! Reading a task's log as it is written: the one loop behind runs and `aiw logs`.

use std::time::Duration;

use aiw_tasks::{FollowFrom, LogEntry, State, Task, TaskError, Tasks};

use crate::failure::CliError;

/// A step of the loop.
pub enum FollowStep<'a> {
    /// A line was written.
    Entry(&'a LogEntry),
    /// Everything that was written so far has been read. Told once.
    CaughtUp,
    /// The task as it is now, each time the loop goes on.
    TaskPolled(&'a Task),
}

/// How the reading ended.
pub struct FollowResult {
    /// The task, as it was when it was looked at last.
    pub task: Task,
    /// Lines could not be read: they were written too fast.
    pub has_missed_lines: bool,
}

/// Hands over each line of a log: those that are there, and with `wait` those that come until the task has ended.
pub fn follow(
    tasks: &Tasks,
    task: &Task,
    from: FollowFrom,
    wait: bool,
    mut each: impl FnMut(FollowStep<'_>) -> Result<(), CliError>,
) -> Result<FollowResult, CliError> {
    /// Its end and its lines wake the loop; a signal is seen within this time.
    const POLL_INTERVAL: Duration = Duration::from_secs(1);

    let log = tasks.log(task.id)?;
    let mut log = if wait { log.follow(from) } else { log.existing_lines(from) }.map_err(TaskError::from)?;
    let mut caught_up = false;
    let task = loop {
        let now = tasks.get(task.id)?;
        let ended = !wait || now.state == State::Ended;
        let patience = if ended || !caught_up { Duration::ZERO } else { POLL_INTERVAL };
        let entries = log.next(patience).map_err(TaskError::from)?;
        entries.iter().try_for_each(|entry| each(FollowStep::Entry(entry)))?;
        if entries.is_empty() {
            if ended && caught_up {
                break now;
            }
            if !caught_up {
                caught_up = true;
                each(FollowStep::CaughtUp)?;
            }
        }
        each(FollowStep::TaskPolled(&now))?;
    };
    let has_missed = log.has_lost_lines();
    log.finish().iter().try_for_each(|entry| each(FollowStep::Entry(entry)))?;
    Ok(FollowResult { task, has_missed_lines: has_missed })
}
