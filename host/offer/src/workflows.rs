//! `run_workflow`, `wait_workflow`: a script over the tools of the servers behind aiw.

use std::sync::Arc;
use std::time::Duration;

use aiw_app::runs::is_private_session;
use aiw_app::workflows::{
    CallQuestion, ScriptPermissions, ScriptTools, TracedRun, WritePolicy, non_interactive_message, plan, question,
};
use aiw_core::{PromptError, WorkflowName, one_line};
use aiw_mcp::{Call, ToolResult};
use aiw_orchestrator::{CallableTool, ConsentReply, ScriptApprover, ScriptPlan, Trace};
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use crate::ask::{can_prompt, prompt_user};
use crate::context::Context;
use crate::error::CallError;
use crate::runs::ScriptRun;

/// The longest that a call waits for a script: clients give a call one minute.
const MAX_CALL_DURATION: Duration = Duration::from_secs(45);

/// How many scripts of a session may run at once, and how many results wait to be fetched.
const MAX_PARALLEL_RUNS: usize = 8;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunWorkflow {
    /// JavaScript: `async function workflow(input) {…}`, or statements that `return`
    code: String,
    /// The input of `workflow`
    #[serde(default)]
    input: Map<String, Value>,
    /// The tools that it may call, as `server__tool`; without this, those that it names
    #[serde(default)]
    tools: Vec<String>,
    /// Only check the code
    #[serde(default)]
    dry_run: bool,
    /// Keep the arguments of calls in the trace
    #[serde(default)]
    trace_arguments: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WaitWorkflow {
    /// The run that run_workflow named
    run: String,
}

#[derive(Serialize)]
struct RunResponse {
    /// Whether the script has ended
    done: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    /// The result, as the script wrote it: numbers keep all of their digits
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    #[serde(flatten)]
    trace: Option<Trace>,
}

/// A whole answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FullResponse<'a> {
    content: [Value; 1],
    structured_content: &'a RawValue,
    is_error: bool,
}

/// A script that was checked and not run.
#[derive(Serialize)]
struct Checked<'a> {
    checked: bool,
    /// The tools that it may call.
    tools: Vec<&'a str>,
}

/// Checks and runs a script.
pub(crate) async fn run_workflow(
    context: Arc<Context>,
    asked: RunWorkflow,
    call: Call,
) -> Result<ToolResult, CallError> {
    let tools = ScriptTools::new(&context.pool);
    // A wrong name costs no call that was made before it.
    let used = tokio::select! {
        used = tools.check(context.client.app().orchestrator(), &asked.code, &asked.tools) => used?,
        () = call.cancellation.wait_until_abandoned() => return Err(CallError::NoWaiter),
    };
    if asked.dry_run {
        let tools = used.iter().map(|tool| tool.proxied_name.as_str()).collect();
        return answer(&context, &Checked { checked: true, tools }, &call);
    }
    let plan = ScriptPlan { keep_arguments: asked.trace_arguments, ..plan(asked.code, asked.input.into(), &used) };
    start(&context, plan, None, WritePolicy::Prompt, &call).await
}

/// Runs a script, and waits for it.
pub(crate) async fn start(
    context: &Arc<Context>,
    plan: ScriptPlan,
    kept: Option<WorkflowName>,
    writes: WritePolicy,
    call: &Call,
) -> Result<ToolResult, CallError> {
    if !context.runs.ensure_capacity(MAX_PARALLEL_RUNS) {
        return Err(CallError::TooManyRuns { most: MAX_PARALLEL_RUNS });
    }
    let (home, orchestrator) = (context.home.clone(), context.client.app().orchestrator().clone());
    let about = TracedRun {
        private: is_private_session(&home, context.client.session()),
        client: call.caller.name().to_owned(),
        workflow: kept,
    };
    // The run holds what it needs, and not the session, with which it ends.
    let reach = ScriptPermissions::new(
        home.clone(),
        context.pool.clone(),
        Some(call.clone()),
        writes,
        ClientPrompter(call.clone()),
    );
    let (tell, ended) = watch::channel(None);
    let task = tokio::spawn(async move {
        let ended = aiw_app::workflows::run(&home, &orchestrator, plan, reach, about).await;
        let _ = tell.send(Some(Arc::new(ended)));
    });
    let id = context.runs.add(ScriptRun::new(ended, task.abort_handle()));
    let id = id.ok_or_else(|| CallError::Internal { problem: "the system gives no random numbers".into() })?;
    wait(context, &id, call, true).await
}

/// Waits for a script that took longer.
pub(crate) async fn wait_workflow(
    context: Arc<Context>,
    asked: WaitWorkflow,
    call: Call,
) -> Result<ToolResult, CallError> {
    wait(&context, &asked.run, &call, false).await
}

/// Waits for a run. `is_first` is the call that began it: if nobody wants its answer, nobody knows the run.
async fn wait(context: &Context, id: &str, call: &Call, is_first: bool) -> Result<ToolResult, CallError> {
    let ended = context.runs.get(id);
    let mut ended = ended.ok_or_else(|| CallError::RunNotFound { run: id.to_owned() })?;
    let waited = tokio::select! {
        waited = tokio::time::timeout(MAX_CALL_DURATION, ended.wait_for(Option::is_some)) => waited,
        () = call.cancellation.wait_until_abandoned() => {
            if is_first {
                context.runs.remove(id);
            }
            return Err(CallError::NoWaiter);
        }
    };
    let ended = match waited {
        Err(_) => {
            let message = format!("it still runs: call wait_workflow with `run` {id}");
            let running = RunResponse {
                done: false,
                message: Some(message),
                run: Some(id.to_owned()),
                result: None,
                trace: None,
            };
            return answer(context, &running, call);
        }
        Ok(seen) => seen.ok().and_then(|seen| seen.clone()),
    };
    context.runs.remove(id);
    let ended = ended.ok_or_else(|| CallError::Internal { problem: "the run ended without a result".into() })?;
    match &ended.outcome {
        Ok(result) => {
            let (result, trace) = (Some(result.clone()), Some(ended.trace.clone()));
            answer(context, &RunResponse { done: true, message: None, run: None, result, trace }, call)
        }
        Err(error) => Err(CallError::Workflow { problem: error.to_string(), made: made(&ended.trace) }),
    }
}

/// Says which calls a failed script had made: those stay made.
fn made(trace: &Trace) -> String {
    const MAX_NAMED_TOOLS: usize = 20;
    let one = |call: &aiw_orchestrator::CallTrace| match &call.error {
        None => one_line(&call.tool, 120),
        Some(error) => {
            let given = call.arguments.as_deref().unwrap_or("{}");
            format!("{} with {given} (failed: {})", one_line(&call.tool, 120), one_line(error, 120))
        }
    };
    let some = |all: Vec<String>, count: usize| match count.saturating_sub(all.len()) {
        0 => all.join(", "),
        more => format!("{}, and {more} more", all.join(", ")),
    };
    let ended = some(trace.calls.iter().take(MAX_NAMED_TOOLS).map(one).collect(), trace.calls.len());
    let open = trace.cancelled.iter().take(MAX_NAMED_TOOLS).map(|name| one_line(name, 120)).collect();
    let open = some(open, trace.cancelled.len());
    let mut parts = Vec::new();
    if !ended.is_empty() {
        parts.push(format!("calls so far: {ended}"));
    }
    if !open.is_empty() {
        parts.push(format!("under way when it ended, so that they may have happened: {open}"));
    }
    if parts.is_empty() {
        parts.push("it had made no calls".to_owned());
    }
    parts.extend(trace.logs.last().map(|last| format!("it logged last: {}", one_line(&last.line, 200))));
    parts.join("; ")
}

fn answer(context: &Context, value: &impl Serialize, call: &Call) -> Result<ToolResult, CallError> {
    let defect = |e: serde_json::Error| CallError::Internal { problem: e.to_string() };
    let structure = serde_json::value::to_raw_value(value).map_err(defect)?;
    let text = json!({"type": "text", "text": structure.get()});
    let whole = FullResponse { content: [text], structured_content: &structure, is_error: false };
    let raw = serde_json::value::to_raw_value(&whole).map_err(defect)?;
    context.results.truncate_result(raw, call.caller.name()).map_err(CallError::Rpc)
}

/// Asks the user through the client.
struct ClientPrompter(Call);

#[async_trait]
impl ScriptApprover for ClientPrompter {
    async fn prompt(&self, tool: &CallableTool, arguments: &str, calls: usize) -> ConsentReply {
        let unasked = || ConsentReply::NotInteractive(non_interactive_message(tool));
        if !can_prompt(&self.0.caller) {
            return unasked();
        }
        let CallQuestion { message, choices } = question(tool, arguments, calls);
        let texts: Vec<&str> = choices.iter().map(|(text, _)| text.as_str()).collect();
        let field = texts.first().map(|first| {
            ("allow".to_owned(), json!({"type": "string", "title": "Allow", "enum": texts, "default": first}))
        });
        match prompt_user(&self.0, message, field.into_iter().collect(), &[]).await {
            Ok(said) => {
                let chosen =
                    choices.iter().find(|(text, _)| said.get("allow").is_some_and(|said| said == text.as_str()));
                ConsentReply::Yes(chosen.map_or(1, |(_, calls)| *calls))
            }
            Err(PromptError::Declined) => ConsentReply::No,
            Err(_) => unasked(),
        }
    }
}
