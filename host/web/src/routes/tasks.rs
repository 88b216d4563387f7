//! Tasks of all sessions.

use aiw_app::tasks::{self, TaskRemove};
use aiw_launch::{TaskDetails, TaskLog, TaskSummary, resume_line, tail};
use aiw_tasks::{RetentionPolicy, Tasks};
use schemars::JsonSchema;
use serde::Serialize;

use crate::api::{ApiCall, ApiResult, ApiRoute, Empty, MessagesResponse};

/// How many lines of a log are sent by default, and at most.
const DEFAULT_LINES: u64 = 1_000;
const MAX_LINES: u64 = 100_000;

pub(super) fn routes() -> Vec<ApiRoute> {
    vec![
        ApiRoute::get("/tasks", "aiw task list", list),
        ApiRoute::post("/tasks/prune", "aiw task prune", prune),
        ApiRoute::get("/tasks/{id}", "aiw task show", show),
        ApiRoute::delete("/tasks/{id}", "aiw task remove", remove),
        ApiRoute::post("/tasks/{id}/stop", "aiw stop", stop),
        ApiRoute::get("/tasks/{id}/log", "aiw logs", log).with_query_params(&["lines"]),
    ]
}

fn everywhere(call: &ApiCall) -> ApiResult<&Tasks> {
    Ok(call.client.all_tasks()?)
}

/// The tasks, and those that can't be shown
#[derive(Debug, Serialize, JsonSchema)]
struct TaskListResponse {
    /// The tasks, oldest first
    tasks: Vec<TaskSummary>,
    /// Why others are missing
    problems: Vec<String>,
}

fn list(call: &ApiCall) -> ApiResult<TaskListResponse> {
    let listed = tasks::list(everywhere(call)?)?;
    let problems = listed.problems.iter().map(ToString::to_string).collect();
    Ok(TaskListResponse { tasks: listed.tasks.iter().map(TaskSummary::new).collect(), problems })
}

/// A task
#[derive(Debug, Serialize, JsonSchema)]
struct TaskResponse {
    /// The facts about it
    task: TaskDetails,
    /// The command line that goes on with its session
    resume: Option<String>,
}

fn show(call: &ApiCall) -> ApiResult<TaskResponse> {
    let tasks = everywhere(call)?;
    let task = tasks.find(call.id())?;
    if task.unread {
        tasks.mark_read(&[task.id])?;
    }
    Ok(TaskResponse { task: TaskDetails::new(&task), resume: resume_line(&task) })
}

fn stop(call: &ApiCall, _: Empty) -> ApiResult<MessagesResponse> {
    let tasks = everywhere(call)?;
    let task = tasks.find(call.id())?;
    let stopped = tasks::stop(tasks, &[task.id])?;
    Ok(MessagesResponse { done: stopped.iter().map(|one| format!("{} {}", one.task.id, one.result)).collect() })
}

fn remove(call: &ApiCall) -> ApiResult<TaskRemove> {
    Ok(tasks::remove(everywhere(call)?, &[call.id().to_owned()], &call.prompter)?)
}

fn prune(call: &ApiCall, _: Empty) -> ApiResult<TaskRemove> {
    Ok(tasks::prune(everywhere(call)?, RetentionPolicy::default(), false)?)
}

fn log(call: &ApiCall) -> ApiResult<TaskLog> {
    let tasks = everywhere(call)?;
    let task = tasks.find(call.id())?;
    let most = call.query_u64("lines")?.unwrap_or(DEFAULT_LINES).min(MAX_LINES);
    let lines = tail(tasks, &task, usize::try_from(most).unwrap_or(usize::MAX))?;
    Ok(TaskLog::new(&task, &lines))
}
