//! `list_tasks`, `wait_task`, `get_task_logs`, `stop_task`. They block.

use std::time::Duration;

use aiw_core::TaskId;
use aiw_launch::{full_shape, shape, standing, tail};
use aiw_mcp::Answer;
use aiw_tasks::{Scope, State, Stopped, Task, Tasks};
use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::bounds;
use crate::error::CallError;
use crate::find::find;
use crate::gateway::Inner;

/// The longest that `wait_task` waits: clients give a call a minute, and none extends it.
pub(crate) const MAX_WAIT: u64 = 45;

/// How many lines of a log are shown where no number is given, and at most.
pub(crate) const LINES: u64 = 50;
pub(crate) const MAX_LINES: u64 = 1000;

/// How many lines a report of `wait_task` shows.
const LAST_LINES: usize = 10;

/// A task with all that is known; its last words are cut.
fn whole(task: &Task) -> Value {
    let mut task = task.clone();
    task.about.final_message = task.about.final_message.map(|message| bounds::cut(message, bounds::MESSAGE));
    full_shape(&task)
}

/// Those that have not ended first, then the newest.
pub(crate) fn list(inner: &Inner, mut arguments: Arguments) -> Result<Answer, CallError> {
    let all = arguments.flag("all")?;
    arguments.end()?;
    let scope = if all { Scope::All } else { Scope::Session(inner.session.root) };
    let mut tasks = Tasks::open(&inner.home, scope)?.list_settled()?;
    tasks.reverse();
    tasks.sort_by_key(|task| task.state == State::Ended);
    let (tasks, left_out) = bounds::first_that_fit(tasks.iter().map(shape).collect());
    Ok(Answer::of(json!({"tasks": tasks, "left_out": left_out})))
}

/// A call that waits for the end of a task.
pub(crate) struct Waiting {
    pub id: TaskId,
    pub limit: Duration,
    pub has_ended: bool,
}

/// Finds the task that is to be waited for.
pub(crate) fn begin_wait(inner: &Inner, mut arguments: Arguments) -> Result<Waiting, CallError> {
    let named = arguments.task()?;
    let seconds = arguments.number("timeout_seconds", 0, MAX_WAIT)?.unwrap_or(MAX_WAIT);
    arguments.end()?;
    let task = find(&inner.home, &named)?;
    Ok(Waiting { id: task.id, limit: Duration::from_secs(seconds), has_ended: task.state == State::Ended })
}

/// Reports how a task that was waited for stands.
pub(crate) fn report(inner: &Inner, id: TaskId) -> Result<Answer, CallError> {
    let tasks = Tasks::open(&inner.home, Scope::All)?;
    let task = tasks.get(id)?;
    let done = task.state == State::Ended;
    let next = if done {
        format!("get_task_logs with id \"{id}\" shows what it did")
    } else {
        format!("it has not ended yet ({}): call wait_task again with id \"{id}\"", task.state)
    };
    let lines: Vec<String> = tail(&tasks, &task, LAST_LINES)?.into_iter().map(|line| line.text).collect();
    let answer = Answer::of(json!({
        "done": done,
        "standing": standing(&task),
        "task": whole(&task),
        "last_lines": bounds::last_that_fit(lines),
        "next": next,
    }));
    if done {
        tasks.mark_read(&[id])?;
    }
    Ok(answer)
}

/// The last lines of a log.
pub(crate) fn logs(inner: &Inner, mut arguments: Arguments) -> Result<Answer, CallError> {
    let named = arguments.task()?;
    let wanted = arguments.number("tail_lines", 1, MAX_LINES)?.unwrap_or(LINES);
    arguments.end()?;
    let task = find(&inner.home, &named)?;
    let tasks = Tasks::open(&inner.home, Scope::All)?;
    // One more than is shown tells whether there are more.
    let wanted = usize::try_from(wanted).unwrap_or(0);
    let mut lines: Vec<String> = tail(&tasks, &task, wanted + 1)?.into_iter().map(|line| line.text).collect();
    let read = lines.len();
    lines.drain(..read.saturating_sub(wanted));
    let lines = bounds::last_that_fit(lines);
    let earlier = lines.len() < read;
    let id = task.id;
    let how = match (earlier, lines.len() < wanted) {
        (false, _) => "these are all of its lines so far".into(),
        (true, false) if wanted < usize::try_from(MAX_LINES).unwrap_or(0) => {
            format!(
                "there are earlier lines: ask with a larger tail_lines (at most {MAX_LINES}), or run `aiw task logs {id}`"
            )
        }
        (true, _) => format!("there are earlier lines, more than a result may hold: run `aiw task logs {id}`"),
    };
    Ok(Answer::of(json!({
        "id": id,
        "pid": task.pid,
        "standing": standing(&task),
        "lines": lines,
        "earlier_lines": earlier,
        "more": how,
        "log": task.log.to_string_lossy(),
    })))
}

/// Ends a task: SIGTERM to all its processes, 5 s, SIGKILL.
pub(crate) fn stop(inner: &Inner, mut arguments: Arguments) -> Result<Answer, CallError> {
    let named = arguments.task()?;
    arguments.end()?;
    let id = find(&inner.home, &named)?.id;
    let tasks = Tasks::open(&inner.home, Scope::All)?;
    let (task, word) = match tasks.stop(id, true)? {
        Stopped::Ended(task) => (task, "stopped"),
        Stopped::Stopping(task) => (task, "still stopping"),
        Stopped::AlreadyEnded(task) => (task, "had ended already"),
    };
    let answer = Answer::of(json!({"result": word, "standing": standing(&task), "task": whole(&task)}));
    if task.state == State::Ended {
        tasks.mark_read(&[id])?;
    }
    Ok(answer)
}
