//! Tasks of all sessions.

use std::ffi::OsString;

use aiw_app::runs;
use aiw_app::tasks::{self, TaskRemove};
use aiw_core::{CliKind, shell_quote};
use aiw_launch::{LaunchError, Permission, RunRequest, TaskDetails, TaskLog, TaskSummary, resume_line, tail};
use aiw_tasks::{RetentionPolicy, Tasks};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::{ApiCall, ApiError, ApiResult, ApiRoute, Empty, MessagesResponse};

/// How many lines of a log are sent by default, and at most.
const DEFAULT_LINES: u64 = 1_000;
const MAX_LINES: u64 = 100_000;

pub(super) fn routes() -> Vec<ApiRoute> {
    vec![
        ApiRoute::get("/tasks", "aiw task list", list),
        ApiRoute::post("/tasks", "aiw CLI PROMPT --detach", start),
        ApiRoute::post("/tasks/prune", "aiw task prune", prune),
        ApiRoute::get("/tasks/{id}", "aiw task show", show),
        ApiRoute::delete("/tasks/{id}", "aiw task remove", remove),
        ApiRoute::post("/tasks/{id}/resume", "aiw task resume", resume),
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

/// A task to start in the directory of the project
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StartTaskRequest {
    /// `claude`, `codex` or `gemini`
    cli: String,
    /// The prompt
    prompt: String,
    /// A provider or a pool; `own` is the CLI's own login. The default if absent
    provider: Option<String>,
    /// The model; that of the provider or of the CLI if absent
    model: Option<String>,
    /// The actions that the CLI takes without asking: `default` or `edit`. The settings decide if absent
    permission: Option<String>,
}

/// Another prompt for the session of a task
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ResumeTaskRequest {
    /// The prompt
    prompt: String,
}

/// A task that was started
#[derive(Debug, Serialize, JsonSchema)]
struct StartedTask {
    /// The task
    task: TaskDetails,
    /// Notes for the user, a sentence each
    notes: Vec<String>,
}

fn malformed(problem: impl std::fmt::Display) -> ApiError {
    ApiError::Malformed(problem.to_string())
}

fn prompt(text: String) -> ApiResult<Option<Vec<u8>>> {
    match text.trim().is_empty() {
        true => Err(malformed("`prompt` is empty")),
        false => Ok(Some(text.into_bytes())),
    }
}

fn start(call: &ApiCall, new: StartTaskRequest) -> ApiResult<StartedTask> {
    let cli: CliKind = new.cli.parse().map_err(malformed)?;
    let request = RunRequest {
        prompt: prompt(new.prompt)?,
        provider: new.provider,
        model: new.model,
        permission: new.permission.map(|word| word.parse::<Permission>()).transpose().map_err(malformed)?,
        ..RunRequest::new(cli, call.client.cwd())
    };
    run(call, request, &format!("aiw {cli} PROMPT"))
}

fn resume(call: &ApiCall, more: ResumeTaskRequest) -> ApiResult<StartedTask> {
    let (task, run_again) = tasks::resume(everywhere(call)?, call.id())?;
    let mcp = run_again.mcp.then(|| runs::own_server(call.home(), None)).transpose()?;
    let request = RunRequest {
        prompt: prompt(more.prompt)?,
        provider: run_again.provider,
        model: run_again.model,
        isolated: run_again.isolated,
        private: run_again.private,
        mcp,
        arguments: run_again.arguments.into_iter().map(OsString::from).collect(),
        ..RunRequest::new(run_again.cli, task.cwd)
    };
    run(call, request, &format!("aiw task resume {} PROMPT", shell_quote(task.id.as_str())))
}

/// Starts a run as the command line does, but lifts no guard of a CLI: `command` does that.
fn run(call: &ApiCall, request: RunRequest, command: &str) -> ApiResult<StartedTask> {
    let prepared = call.block_on(runs::prepare(&call.client, request))?;
    if let Some(flag) = &prepared.bypass_flag {
        let message = format!("the dashboard passes no `{flag}` on, which lifts guards of {}", prepared.cli.kind);
        return Err(LaunchError::Invalid { message, hint: Some(format!("`{command}` passes it on")) }.into());
    }
    let notes = [call.client.notes(), prepared.notes.clone()].concat();
    let task = runs::start(&call.client, prepared, true)?;
    runs::prune_tasks(call.home());
    Ok(StartedTask { task: TaskDetails::new(&task), notes })
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
