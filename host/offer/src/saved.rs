//! `save_workflow`, and the kept workflows as tools: `workflows__NAME`.

use std::borrow::Cow;
use std::sync::Arc;

use aiw_app::workflows::{ScriptError, ScriptTools, WorkflowDraft, WritePolicy, approve, check_workflow, script_plan};
use aiw_core::{WorkflowName, one_line};
use aiw_home::Home;
use aiw_mcp::{Arguments, Call, Tool, ToolEffect, ToolResult};
use aiw_orchestrator::{
    ApprovalState, OverwritePolicy, SavedWorkflow, WorkflowError, Workflows, extract_code, tool_name,
};
use aiw_routing::{CatalogItem, Pool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::ask::{FormPrompter, can_prompt};
use crate::context::Context;
use crate::error::CallError;
use crate::planning::saveable_plan;
use crate::workflows::start;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SaveWorkflow {
    /// Lowercase letters, digits, `_` and `-`
    name: String,
    /// Its description, for those who look for a tool
    description: String,
    /// The script, as run_workflow took it: `async function workflow(input) {…}`
    #[serde(default)]
    code: Option<String>,
    /// A planned tool, in place of `code`
    #[serde(default)]
    planned: Option<String>,
    /// The JSON schema of `input`: an object
    #[serde(default)]
    input_schema: Option<Map<String, Value>>,
    /// The tools that it may call; without this, those that it names
    #[serde(default)]
    tools: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct SaveResponse {
    message: String,
    /// Whether the user has approved it
    approved: bool,
    /// The tool that it is, once it is approved
    tool: String,
    /// Its file
    path: String,
    /// The tools that it may call
    tools: Vec<String>,
}

/// Writes a workflow's file, and asks the user to approve it.
pub(crate) async fn save_workflow(
    context: Arc<Context>,
    asked: SaveWorkflow,
    call: Call,
) -> Result<SaveResponse, CallError> {
    let name: WorkflowName = asked.name.trim().parse()?;
    let (tools, workflows) = (ScriptTools::new(&context.pool), Workflows::new(context.home.clone()));
    let planned = asked.planned.as_deref().map(|name| saveable_plan(&context, name)).transpose()?;
    let code = match (&asked.code, &planned) {
        (Some(code), None) => extract_code(code),
        (None, Some(planned)) => Cow::Borrowed(planned.job.code.as_str()),
        _ => return Err(CallError::MissingArgument { name: "code".into(), what: "or `planned`, and not both".into() }),
    };
    let orchestrator = context.client.app().orchestrator();
    let of_plan =
        || planned.as_ref().map_or_else(|| json!({"type": "object"}), |planned| planned.job.input_schema.clone());
    let schema = asked.input_schema.map_or_else(of_plan, Value::Object);
    let draft = WorkflowDraft {
        name: name.clone(),
        description: &asked.description,
        input_schema: &schema,
        code: &code,
        tools: &asked.tools,
    };
    let check = async {
        let kept = draft.to_workflow(orchestrator, &workflows, &tools).await?;
        // The file is what runs.
        check_workflow(orchestrator, &kept, &tools).await?;
        Ok::<_, CallError>(kept)
    };
    let kept = tokio::select! {
        checked = check => checked?,
        () = call.cancellation.wait_until_abandoned() => return Err(CallError::NoWaiter),
    };
    let (written, there) = (kept.clone(), workflows.clone());
    // What somebody wrote is not replaced.
    context.concurrency_limits.start.run(move || Ok(there.write(&written, OverwritePolicy::Never)?)).await?;
    let approved = can_prompt(&call.caller)
        && match approve(&workflows, &kept, &tools, &FormPrompter(&call)).await {
            Err(ScriptError::Prompt(_)) => false,
            approved => {
                approved?;
                true
            }
        };
    if approved {
        // It is listed when this is answered.
        context.pool.reload().await;
    }
    let message = match approved {
        true => "it is saved and approved: it is a tool now".to_owned(),
        false => format!("it is saved, and is a tool once the user has typed `aiw workflow approve {name}`"),
    };
    let (tool, path) = (tool_name(&name), kept.path.to_string_lossy().into_owned());
    Ok(SaveResponse { message, approved, tool, path, tools: kept.tools })
}

/// Returns the kept workflows that may run over these tools, as tools.
pub(crate) fn workflow_tools(home: &Home, pool: &Pool, tools: &ScriptTools) -> Vec<Tool> {
    let workflows = Workflows::new(home.clone());
    let listed = workflows.list();
    // What can't be read approves nothing.
    let Ok(lock) = workflows.lock() else { return Vec::new() };
    let kept = listed.into_iter().filter_map(|listed| listed.workflow.ok());
    kept.filter(|kept| kept.approval_state(&lock, &|tool| tools.digest(tool)) == ApprovalState::Approved)
        .filter_map(|kept| {
            let used = kept.tools.iter().filter_map(|tool| tools.tool(tool).ok()).collect::<Vec<_>>();
            let name = tool_name(&kept.name);
            is_allowed(pool, &name, &used).then(|| tool(&kept, &name, only_read(&used)))
        })
        .collect()
}

fn only_read(tools: &[&CatalogItem]) -> bool {
    tools.iter().all(|tool| tool.definition.is_read_only())
}

/// Whether the profile allows a kept workflow that calls these tools, which it allows already.
fn is_allowed(pool: &Pool, name: &str, tools: &[&CatalogItem]) -> bool {
    pool.profile().allows_builtin_tool(name, only_read(tools), true)
}

fn tool(kept: &SavedWorkflow, name: &str, only_reads: bool) -> Tool {
    let effect = match only_reads {
        true => ToolEffect::ReadOnly,
        false => ToolEffect::Mutating { idempotent: false, open_world: true },
    };
    let title = one_line(kept.name.as_str(), 60);
    Tool::new(name, &title, &kept.description, effect, kept.input_schema.clone())
}

/// Runs a kept workflow, if the user has approved it as it is now.
pub(crate) async fn run_workflow(
    context: &Arc<Context>,
    name: &str,
    arguments: Arguments,
    call: Call,
) -> Result<ToolResult, CallError> {
    let name: WorkflowName = name.parse()?;
    let input = arguments.parse().map_err(|e| CallError::MalformedArguments { problem: e.to_string() })?;
    let plan = {
        let (here, name) = (context.clone(), name.clone());
        let plan = move || {
            let tools = ScriptTools::new(&here.pool);
            let (kept, used) = tools.saved_workflow(&Workflows::new(here.home.clone()), &name, true)?;
            if !is_allowed(&here.pool, &tool_name(&name), &used) {
                return Err(WorkflowError::NotFound { name, nearest: None }.into());
            }
            Ok(script_plan(&kept, input.into(), &used)?)
        };
        context.concurrency_limits.view.run(plan).await?
    };
    start(context, plan, Some(name), WritePolicy::Approved, &call).await
}
