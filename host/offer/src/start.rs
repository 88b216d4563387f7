//! `start_task` and `list_roles`.

use std::sync::Arc;

use aiw_app::runs;
use aiw_core::CliKind;
use aiw_launch::{Permission, Roles, RunRequest, TaskDetails};
use aiw_mcp::{Call, Cancellation};
use aiw_tasks::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use crate::bounds;
use crate::context::{Context, caller_name};
use crate::error::CallError;

/// The AI CLIs by name, for the schema.
fn ai_types(schema: &mut schemars::Schema) {
    schema.insert("enum".into(), CliKind::ALL.iter().map(|cli| cli.as_str()).collect());
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartTask {
    /// Which AI CLI to use
    #[schemars(transform = ai_types)]
    ai_type: String,
    /// The prompt. The task doesn't see this conversation: name files, goals and limits, and what it should
    /// answer
    task: String,
    /// A name from list_providers; `own` is the CLI's own login. Leave it out for the default
    provider: Option<String>,
    /// A role from list_roles, or several separated by commas; they go before the task
    role: Option<String>,
    /// The directory to work in; this server's own by default
    cwd: Option<String>,
    /// A model's name as the CLI or the provider knows it
    model: Option<String>,
    /// `default`: what the CLI allows without asking, mostly reading; `edit`: also changing files in the directory
    #[schemars(extend("enum" = ["default", "edit"]))]
    permission: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct StartResponse {
    task: TaskDetails,
    /// Notes for the user
    notes: Vec<String>,
    /// The next step
    next: String,
}

/// Returns the request for a task.
fn request(context: &Context, asked: StartTask, by: String) -> Result<RunRequest, CallError> {
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let path = given(asked.cwd).map_or_else(|| context.client.cwd().to_owned(), |dir| context.client.cwd().join(dir));
    let roles = asked.role.unwrap_or_default();
    let names = roles.split(',').map(str::trim).filter(|name| !name.is_empty());
    Ok(RunRequest {
        provider: given(asked.provider),
        roles: names.map(str::parse).collect::<Result<_, _>>()?,
        prompt: Some(asked.task.into_bytes()),
        model: given(asked.model),
        permission: asked.permission.map(|word| word.parse::<Permission>()).transpose()?,
        started_by: by,
        ..RunRequest::new(asked.ai_type.parse()?, path)
    })
}

/// Starts a task as the command line does.
pub(crate) async fn start_task(
    context: Arc<Context>,
    asked: StartTask,
    call: Call,
) -> Result<StartResponse, CallError> {
    let (shared, runtime) = (context.clone(), Handle::current());
    let by = caller_name(&call);
    context.concurrency_limits.start.run(move || start(&shared, asked, by, &runtime, &call.cancellation)).await
}

fn start(
    context: &Context,
    asked: StartTask,
    by: String,
    runtime: &Handle,
    cancelled: &Cancellation,
) -> Result<StartResponse, CallError> {
    let request = request(context, asked, by)?;
    let client = &context.client;
    let prepared = runtime.block_on(runs::prepare(client, request))?;
    let notes = [client.notes(), prepared.notes.clone()].concat();
    if cancelled.is_cancelled() {
        return Err(CallError::Cancelled);
    }
    let task = runs::start(client, prepared, true)?;
    let waits = if task.state == State::Queued { " It is queued: the limit of running tasks is reached." } else { "" };
    let id = task.id;
    Ok(StartResponse {
        task: TaskDetails::new(&task),
        notes,
        next: format!("call wait_task with id \"{id}\" until it has ended; get_task_logs shows what it does.{waits}"),
    })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListRoles {}

#[derive(Serialize, JsonSchema)]
pub(crate) struct RoleList {
    roles: Vec<RoleSummary>,
    /// How many more there are
    omitted: usize,
    /// Roles that can't be used, and why
    problems: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct RoleSummary {
    name: String,
    description: String,
    /// aiw: aiw's own; project, user: Claude Code's subagents
    source: &'static str,
    path: String,
}

/// The roles available in the server's directory, by the same rule as for starts: the directory's own roles only if
/// it is trusted.
pub(crate) async fn list_roles(context: Arc<Context>, _: ListRoles, _: Call) -> Result<RoleList, CallError> {
    let shared = context.clone();
    context.concurrency_limits.view.run(move || roles(&shared)).await
}

fn roles(context: &Context) -> Result<RoleList, CallError> {
    let listing = Roles::open(context.home.clone(), &context.home.settings()?, Some(context.client.cwd())).list();
    let mut problems: Vec<String> = listing.read_errors.iter().map(ToString::to_string).collect();
    let mut roles = Vec::new();
    for role in listing.roles.into_iter().filter(|role| role.trusted) {
        match (role.problem, role.shadowed_by) {
            (Some(problem), _) => problems.push(format!("`{}` {problem}", role.path.display())),
            (None, Some(_)) => {}
            (None, None) => roles.push(RoleSummary {
                name: role.name,
                description: bounds::truncate_text(role.description.unwrap_or_default(), 400),
                source: role.source.as_str(),
                path: role.path.to_string_lossy().into_owned(),
            }),
        }
    }
    problems.truncate(20);
    let (roles, left_out) = bounds::truncate_list(roles);
    Ok(RoleList { roles, omitted: left_out, problems })
}
