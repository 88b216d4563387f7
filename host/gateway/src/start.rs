//! `start_task` and `list_roles`.

use aiw_launch::{Permission, Request, Roles, full_shape};
use aiw_mcp::{Answer, Cancelled};
use aiw_tasks::{Queue, State};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::arguments::Arguments;
use crate::bounds;
use crate::error::CallError;
use crate::gateway::Inner;

/// What is to be started, as it was asked for.
pub(crate) fn request(inner: &Inner, mut arguments: Arguments) -> Result<Request, CallError> {
    let cli = arguments.required("ai_type", "`claude`, `codex` or `gemini`")?;
    let prompt = arguments.required("task", "what is to be done, in words")?;
    let provider = arguments.text("provider")?.filter(|name| !name.is_empty());
    let roles = arguments.text("role")?.unwrap_or_default();
    let cwd = arguments.text("cwd")?.filter(|dir| !dir.is_empty());
    let model = arguments.text("model")?.filter(|model| !model.is_empty());
    let permission = arguments.text("permission")?;
    arguments.end()?;

    if model.as_deref().is_some_and(|model| !aiw_core::is_model(model)) {
        return Err(CallError::Wrong { name: "model", what: "the name of a model" });
    }
    let path = cwd.map_or_else(|| inner.cwd.clone(), |dir| inner.cwd.join(dir));
    if !path.is_dir() {
        return Err(CallError::NoDirectory { path });
    }
    let names = roles.split(',').map(str::trim).filter(|name| !name.is_empty());
    Ok(Request {
        provider,
        roles: names.map(str::parse).collect::<Result<_, _>>()?,
        prompt: Some(prompt.into_bytes()),
        model,
        permission: permission.map(|word| word.parse::<Permission>()).transpose()?,
        ..Request::new(cli.parse()?, path)
    })
}

/// Starts it as the command line does. It blocks.
pub(crate) fn start(
    inner: &Inner,
    request: &Request,
    runtime: &Handle,
    cancelled: &Cancelled,
) -> Result<Answer, CallError> {
    let prepared = runtime.block_on(inner.launcher()?.prepare(request))?;
    let notes = prepared.notes.clone();
    let queue = Queue { limit: inner.home.settings()?.task_limit()?, may_queue: true };
    let executable = inner.means.executable()?;
    if cancelled.is_taken_back() {
        return Err(CallError::TakenBack);
    }
    let task = prepared.start(&inner.home, &inner.session, &executable, queue)?;
    let waits = if task.state == State::Queued { " It is queued: as many tasks run as may." } else { "" };
    let id = task.id;
    Ok(Answer::of(json!({
        "task": full_shape(&task),
        "notes": notes,
        "next": format!("call wait_task with id \"{id}\" until it has ended; get_task_logs shows what it does.{waits}"),
    })))
}

/// The roles that can be used where the server stands, by the rule that starts go by: those of the
/// directory itself only where it is trusted.
pub(crate) fn list_roles(inner: &Inner, arguments: Arguments) -> Result<Answer, CallError> {
    arguments.end()?;
    let listing = Roles::at(inner.home.clone(), &inner.home.settings()?, Some(&inner.cwd)).list();
    let mut problems: Vec<String> = listing.unread.iter().map(ToString::to_string).collect();
    let mut roles: Vec<Value> = Vec::new();
    for role in listing.roles.into_iter().filter(|role| role.trusted) {
        match (role.problem, role.shadowed_by) {
            (Some(problem), _) => problems.push(format!("`{}` {problem}", role.path.display())),
            (None, Some(_)) => {}
            (None, None) => roles.push(json!({
                "name": role.name,
                "description": bounds::cut(role.description.unwrap_or_default(), 400),
                "source": role.source.as_str(),
                "path": role.path.to_string_lossy(),
            })),
        }
    }
    problems.truncate(20);
    let (roles, left_out) = bounds::first_that_fit(roles);
    Ok(Answer::of(json!({"roles": roles, "left_out": left_out, "problems": problems})))
}
