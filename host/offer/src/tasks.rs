//! `list_tasks`, `wait_task`, `get_task_logs`, `stop_task`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_app::feed::Topic;
use aiw_app::tasks::{self, StoppedTask};
use aiw_core::{ProcessId, one_line};
use aiw_launch::{TaskDetails, TaskSummary, describe_state, tail};
use aiw_mcp::Call;
use aiw_tasks::{State, TaskError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bounds;
use crate::context::Context;
use crate::error::CallError;
use crate::find::{TaskSelector, find};

/// The longest that `wait_task` waits, in seconds: clients give a call one minute, and none extends it.
const MAX_WAIT_SECS: u64 = 45;

/// How many log lines are shown by default, and at most.
const DEFAULT_LINES: usize = 50;
const MAX_LINES: usize = 1000;

/// How many lines a report of `wait_task` shows.
const REPORT_LINE_COUNT: usize = 10;

/// Cuts a task's final message.
fn shortened(mut task: TaskDetails) -> TaskDetails {
    task.final_message = task.final_message.map(|message| bounds::truncate_text(message, bounds::MAX_MESSAGE_BYTES));
    task
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListTasks {
    /// The tasks of all the user's sessions, not only this one
    #[serde(default)]
    all: bool,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct TaskList {
    tasks: Vec<TaskSummary>,
    /// How many older ones there are
    omitted: usize,
    /// Why others can't be read
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
}

/// The problems that are listed.
const MAX_PROBLEMS: usize = 20;

/// Tasks that have not ended first, then the newest.
pub(crate) async fn list_tasks(context: Arc<Context>, asked: ListTasks, _: Call) -> Result<TaskList, CallError> {
    let shared = context.clone();
    let list = move || {
        let tasks = if asked.all { shared.client.all_tasks()? } else { shared.client.tasks()? };
        let (mut tasks, problems) = tasks.list_repaired_with_problems()?;
        tasks.reverse();
        tasks.sort_by_key(|task| task.state == State::Ended);
        let (tasks, left_out) = bounds::truncate_list(tasks.iter().map(TaskSummary::new).collect());
        let problems = problems.iter().take(MAX_PROBLEMS).map(|problem| one_line(&problem.to_string(), 300)).collect();
        Ok(TaskList { tasks, omitted: left_out, problems })
    };
    context.concurrency_limits.view.run(list).await
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WaitTask {
    /// The task's id, or its first 4 characters or more
    id: Option<String>,
    /// Instead of the id: its process id
    #[schemars(range(min = 1))]
    pid: Option<u32>,
    /// How long to wait; 0 doesn't wait
    #[serde(default = "longest_wait")]
    #[schemars(range(min = 0, max = MAX_WAIT_SECS))]
    timeout_seconds: u64,
}

fn longest_wait() -> u64 {
    MAX_WAIT_SECS
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Report {
    /// Whether it has ended
    done: bool,
    /// Its state, in a few words
    state: String,
    task: TaskDetails,
    last_lines: Vec<String>,
    /// The next step
    next: String,
}

/// Waits without a thread, so a thousand calls can.
pub(crate) async fn wait_task(context: Arc<Context>, asked: WaitTask, call: Call) -> Result<Report, CallError> {
    let received = Instant::now();
    let (shared, named) = (context.clone(), TaskSelector::new(asked.id, asked.pid)?);
    let limit = Duration::from_secs(asked.timeout_seconds.min(MAX_WAIT_SECS));
    let task = context.concurrency_limits.wait.run(move || find(shared.client.all_tasks()?, &named)).await?;
    let id = task.id;
    if task.state != State::Ended && !limit.is_zero() {
        tokio::select! {
            () = ended(&context, id) => {}
            () = tokio::time::sleep_until((received + limit).into()) => {}
            () = call.cancellation.wait_until_abandoned() => return Err(CallError::Abandoned),
        }
    }
    let shared = context.clone();
    context.concurrency_limits.wait.run(move || report(&shared, id)).await
}

/// Completes once a task has ended or can't be observed anymore.
async fn ended(context: &Arc<Context>, id: ProcessId) {
    let feed = context.client.app().feed().clone();
    let subscribe = move || Ok(feed.changes(&[Topic::Tasks])?);
    // If it can't be listened to, the answer gives its state.
    let Ok(changes) = context.concurrency_limits.wait.run(subscribe).await else { return };
    loop {
        let shared = context.clone();
        let look = move || Ok(shared.client.all_tasks()?.get(id)?.state);
        if !context.concurrency_limits.wait.run(look).await.is_ok_and(|state| state != State::Ended) {
            return;
        }
        changes.next().await;
    }
}

/// Reports the state of a task after a wait.
fn report(context: &Context, id: ProcessId) -> Result<Report, CallError> {
    let tasks = context.client.all_tasks()?;
    let task = tasks.get(id)?;
    let done = task.state == State::Ended;
    let next = if done {
        format!("get_task_logs with id \"{id}\" shows what it did")
    } else {
        format!("it has not ended yet ({}): call wait_task again with id \"{id}\"", task.state)
    };
    let report = tasks::report(tasks, &task, REPORT_LINE_COUNT)?;
    let last_lines = bounds::tail_lines(report.last_lines);
    Ok(Report { done, state: describe_state(&task), task: shortened(report.task), last_lines, next })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetTaskLogs {
    /// The task's id, or its first 4 characters or more
    id: Option<String>,
    /// Instead of the id: its process id
    #[schemars(range(min = 1))]
    pid: Option<u32>,
    /// How many lines from the end
    #[serde(default = "usual_lines")]
    #[schemars(range(min = 1, max = MAX_LINES))]
    tail_lines: usize,
}

fn usual_lines() -> usize {
    DEFAULT_LINES
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct LogLines {
    id: String,
    pid: Option<u32>,
    /// The task's state, in a few words
    state: String,
    lines: Vec<String>,
    /// Whether there are lines before these
    earlier_lines: bool,
    /// How to get them
    more: String,
    /// The log file: the CLI's raw stream
    log: String,
}

/// The last lines of a log.
pub(crate) async fn get_task_logs(context: Arc<Context>, asked: GetTaskLogs, _: Call) -> Result<LogLines, CallError> {
    let (shared, named) = (context.clone(), TaskSelector::new(asked.id, asked.pid)?);
    context.concurrency_limits.view.run(move || lines(&shared, &named, asked.tail_lines)).await
}

fn lines(context: &Context, named: &TaskSelector, wanted: usize) -> Result<LogLines, CallError> {
    let tasks = context.client.all_tasks()?;
    let task = find(tasks, named)?;
    // Read one more than is shown, to know whether there are more.
    let mut lines: Vec<String> = tail(tasks, &task, wanted + 1)?.into_iter().map(|line| line.text).collect();
    let read = lines.len();
    lines.drain(..read.saturating_sub(wanted));
    let lines = bounds::tail_lines(lines);
    let earlier = lines.len() < read;
    let id = task.id;
    let more = match (earlier, lines.len() < wanted) {
        (false, _) => "these are all of its lines so far".into(),
        (true, false) if wanted < MAX_LINES => {
            format!(
                "there are earlier lines: ask with a larger tail_lines (at most {MAX_LINES}), or run `aiw logs {id}`"
            )
        }
        (true, _) => format!("there are earlier lines, more than a result may hold: run `aiw logs {id}`"),
    };
    Ok(LogLines {
        id: id.to_string(),
        pid: task.pid,
        state: describe_state(&task),
        lines,
        earlier_lines: earlier,
        more,
        log: task.log.to_string_lossy().into_owned(),
    })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StopTask {
    /// The task's id, or its first 4 characters or more
    id: Option<String>,
    /// Instead of the id: its process id
    #[schemars(range(min = 1))]
    pid: Option<u32>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct StopReport {
    /// stopped, still stopping, or had already ended
    result: &'static str,
    /// Its state, in a few words
    state: String,
    task: TaskDetails,
}

/// Ends a task: SIGTERM to all its processes, 5 s, SIGKILL.
pub(crate) async fn stop_task(context: Arc<Context>, asked: StopTask, _: Call) -> Result<StopReport, CallError> {
    let (shared, named) = (context.clone(), TaskSelector::new(asked.id, asked.pid)?);
    context.concurrency_limits.stop.run(move || stop(&shared, &named)).await
}

fn stop(context: &Context, named: &TaskSelector) -> Result<StopReport, CallError> {
    let tasks = context.client.all_tasks()?;
    let id = find(tasks, named)?.id;
    let stopped = tasks::stop(tasks, &[id])?.pop().ok_or(TaskError::TaskNotFound { id: id.to_string() })?;
    let StoppedTask { task, result } = stopped;
    let result = if result == "ended" { "had already ended" } else { result };
    Ok(StopReport { result, state: describe_state(&task), task: shortened(TaskDetails::new(&task)) })
}
