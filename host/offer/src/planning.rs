//! What a model of the user's own has planned, as a tool for this session: `planned__NAME`.

use std::sync::Arc;
use std::time::Instant;

use aiw_app::planning::{PlanError, plan as plan_job};
use aiw_app::workflows::{ScriptTools, WritePolicy, plan};
use aiw_core::{one_line, quoted_text};
use aiw_mcp::{Arguments, Call, Tool, ToolEffect, ToolResult};
use aiw_orchestrator::problem_of_arguments;
use aiw_routing::CatalogItem;
use serde::Serialize;
use serde_json::Value;

use crate::bounds::UNTRUSTED_SERVER_NOTICE;
use crate::context::Context;
use crate::error::CallError;
use crate::planned::{PLANNED_TOOL_PREFIX, SessionPlan};
use crate::workflows::start;

/// The server's name by which call_tool reaches planned tools.
pub(crate) const PLANNED_SERVER: &str = "planned";

/// The answer that describes a planned tool.
#[derive(Serialize)]
pub(crate) struct PlanResponse {
    message: String,
    mode: &'static str,
    tool: PlannedSummary,
}

#[derive(Serialize)]
struct PlannedSummary {
    name: String,
    input_schema: Value,
    /// Its calls, with what is filled in: `TOOL ARGUMENTS`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    calls: Vec<String>,
    /// The script, if the model wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    read_only: bool,
}

/// The longest call that is shown, in characters, and the longest script.
const MAX_CALL_LEN: usize = 300;
const MAX_CODE_LEN: usize = 4000;

/// Lets the model plan a request over the tools that were found for it. The new tool is not listed yet.
pub(crate) async fn plan_tool(
    context: &Arc<Context>,
    request: &str,
    offered: &[CatalogItem],
) -> Result<(Tool, PlanResponse), PlanError> {
    let (client, profile) = (&context.client, context.pool.profile());
    // A plan is a script, and one of whatever name.
    if !profile.allows_builtin_tool("run_workflow", false, true)
        || !profile.allows_builtin_tool(&format!("{PLANNED_TOOL_PREFIX}job"), false, true)
    {
        return Err(PlanError::Denied);
    }
    let job = plan_job(client, request, offered).await?;
    let tools = ScriptTools::new(&context.pool);
    let used: Vec<&CatalogItem> = job.tools.iter().filter_map(|name| tools.tool(name).ok()).collect();
    let only_reads = used.iter().all(|tool| tool.definition.is_read_only());
    let digests: Vec<_> = job.tools.iter().filter_map(|name| Some((name.clone(), tools.digest(name)?))).collect();
    let effect = match only_reads {
        true => ToolEffect::ReadOnly,
        false => ToolEffect::Mutating { idempotent: false, open_world: true },
    };
    let text =
        format!("What a model has planned for this request: {} It calls {}.", sentence(request), job.tools.join(", "));
    let mut all = context.plans.lock();
    let is_same = |known: &SessionPlan| {
        (&known.job.code, &known.job.input_schema, &known.digests) == (&job.code, &job.input_schema, &digests)
    };
    // A server may be called so, and an earlier plan may still be in use.
    let is_free = |name: &String| {
        tools.tool(name).is_err()
            && all.get(name).is_none_or(|known| is_same(known) && known.tool.definition()["description"] == *text)
    };
    let names = std::iter::once(format!("{PLANNED_TOOL_PREFIX}{}", job.name));
    let mut names = names.chain((2..).map(|number| format!("{PLANNED_TOOL_PREFIX}{}_{number}", job.name)));
    let name = names.find(is_free).unwrap_or_default();
    let tool = Tool::new(&name, &job.name, &text, effect, job.input_schema.clone());
    let answer = PlanResponse {
        message: format!(
            "Use the `{name}` tool: one call does the whole job, as a model has planned it. Look whether its calls are what you \
             want. Without that name, use call_tool with server `{PLANNED_SERVER}` and tool `{}`. What changes something asks the user. \
             search_tools finds single tools. {UNTRUSTED_SERVER_NOTICE}",
            name.trim_start_matches(PLANNED_TOOL_PREFIX)
        ),
        mode: "llm",
        tool: PlannedSummary {
            name: name.clone(),
            input_schema: job.input_schema.clone(),
            calls: match job.is_code {
                true => Vec::new(),
                false => {
                    job.steps.iter().map(|(tool, given)| one_line(&format!("{tool} {given}"), MAX_CALL_LEN)).collect()
                }
            },
            code: job.is_code.then(|| job.code.chars().take(MAX_CODE_LEN).collect()),
            read_only: only_reads,
        },
    };
    all.insert(name, Arc::new(SessionPlan { job, digests, tool: tool.clone(), created_at: Instant::now() }));
    Ok((tool, answer))
}

fn sentence(request: &str) -> String {
    let text = one_line(request.trim(), 200);
    if text.ends_with(['.', '!', '?', '…']) { text } else { format!("{text}.") }
}

/// Runs a planned tool.
pub(crate) async fn run_planned(
    context: &Arc<Context>,
    name: &str,
    arguments: Arguments,
    call: Call,
) -> Result<ToolResult, CallError> {
    let gone = || CallError::PlanNotFound { name: name.to_owned() };
    let planned = context.plans.get(name).ok_or_else(gone)?;
    let input = arguments.parse().map_err(|e| CallError::MalformedArguments { problem: e.to_string() })?;
    let input = Value::Object(input);
    if let Some(problem) = problem_of_arguments(&planned.job.input_schema, &input.to_string()) {
        return Err(CallError::MalformedArguments { problem });
    }
    context.registry.touch(planned.tool.name(), Instant::now());
    let plan = {
        let (here, planned) = (context.clone(), planned.clone());
        let work = move || {
            let tools = ScriptTools::new(&here.pool);
            if !planned.is_current(&tools) {
                return Err(CallError::PlanNotFound { name: planned.tool.name().to_owned() });
            }
            let used: Vec<&CatalogItem> =
                planned.job.tools.iter().map(|tool| tools.tool(tool)).collect::<Result<_, _>>()?;
            let only_reads = used.iter().all(|tool| tool.definition.is_read_only());
            if !here.pool.profile().allows_builtin_tool(planned.tool.name(), only_reads, true) {
                return Err(CallError::PlanNotFound { name: planned.tool.name().to_owned() });
            }
            Ok(plan(planned.job.code.clone(), input, &used))
        };
        context.concurrency_limits.view.run(work).await?
    };
    start(context, plan, None, WritePolicy::PromptPerCall, &call).await
}

/// Why there is no plan, for the client.
pub(crate) fn no_plan_reason(no_plan: &PlanError) -> String {
    let text = one_line(&no_plan.to_string(), 300);
    match no_plan {
        PlanError::NotConfigured | PlanError::Disabled | PlanError::Denied | PlanError::NoToolsAvailable => text,
        PlanError::Plan(_) | PlanError::InvalidCode { .. } => format!("the model gave no plan: {text}"),
        _ => format!("the model that plans jobs has not answered: {text}"),
    }
}

/// Returns the parts of a planned tool that save_workflow keeps.
pub(crate) fn saveable_plan(context: &Context, name: &str) -> Result<Arc<SessionPlan>, CallError> {
    context.plans.get(name).ok_or_else(|| CallError::PlanNotFound { name: quoted_text(name, 80) })
}
