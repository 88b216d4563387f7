//! Workflows over the tools of MCP servers, and their runs.

use aiw_app::workflows::{self, WorkflowRequest, WorkflowResult};
use aiw_core::WorkflowName;
use aiw_orchestrator::{RunRecord, RunRecords, WorkflowSummary, Workflows};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::api::{ApiCall, ApiError, ApiResult, ApiRoute, Empty, MessagesResponse};

/// As many runs are sent by default.
const DEFAULT_RUNS: u64 = 20;

pub(super) fn routes() -> Vec<ApiRoute> {
    vec![
        ApiRoute::get("/workflows", "aiw workflow list", workflow_list),
        ApiRoute::get("/workflows/{name}", "aiw workflow show", workflow),
        ApiRoute::delete("/workflows/{name}", "aiw workflow remove", remove_workflow),
        ApiRoute::post("/workflows/{name}/approve", "aiw workflow approve", approve_workflow),
        ApiRoute::post("/workflows/{name}/run", "aiw workflow run", run_workflow),
        ApiRoute::post("/workflows/{name}/test", "aiw workflow test", test_workflow),
        ApiRoute::get("/runs", "aiw workflow runs", workflow_runs).with_query_params(&["workflow", "tail"]),
    ]
}

/// The workflows
#[derive(Debug, Serialize, JsonSchema)]
struct WorkflowListResponse {
    /// The workflows
    workflows: Vec<WorkflowSummary>,
}

fn workflow_list(call: &ApiCall) -> ApiResult<WorkflowListResponse> {
    Ok(WorkflowListResponse { workflows: workflows::list(call.isolated_client(None)?.as_ref())? })
}

fn named(call: &ApiCall) -> ApiResult<WorkflowName> {
    call.id().parse().map_err(|e| ApiError::Malformed(format!("{e}")))
}

/// A workflow
#[derive(Debug, Serialize, JsonSchema)]
struct WorkflowResponse {
    /// The facts about it
    workflow: WorkflowSummary,
    /// Its text
    text: String,
}

fn workflow(call: &ApiCall) -> ApiResult<WorkflowResponse> {
    let workflows = Workflows::new(call.home().clone());
    let kept = workflows.get(&named(call)?)?;
    let summary =
        workflows::summary(&workflows, &kept, &workflows::ScriptTools::new(call.isolated_client(None)?.pool()))?;
    Ok(WorkflowResponse { workflow: summary, text: kept.text })
}

fn remove_workflow(call: &ApiCall) -> ApiResult<MessagesResponse> {
    Workflows::new(call.home().clone()).remove(&named(call)?)?;
    Ok(MessagesResponse::new(format!("removed {}", call.id())))
}

fn approve_workflow(call: &ApiCall, _: Empty) -> ApiResult<WorkflowSummary> {
    let name = named(call)?;
    call.block_on_isolated(None, async |client| {
        workflows::approve_by_name(client, &name, &call.prompter, &call.prompter).await
    })
}

/// A run of a workflow
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RunWorkflowRequest {
    /// Its input
    #[serde(default)]
    input: Map<String, Value>,
    /// Whether the trace keeps the arguments of its calls
    #[serde(default)]
    trace_arguments: bool,
}

fn run_workflow(call: &ApiCall, request: RunWorkflowRequest) -> ApiResult<WorkflowResult> {
    ran(call, request, false)
}

fn test_workflow(call: &ApiCall, request: RunWorkflowRequest) -> ApiResult<WorkflowResult> {
    ran(call, request, true)
}

fn ran(
    call: &ApiCall,
    RunWorkflowRequest { input, trace_arguments }: RunWorkflowRequest,
    is_test: bool,
) -> ApiResult<WorkflowResult> {
    let input = vec![Value::Object(input).to_string()];
    let request = WorkflowRequest { name: named(call)?, input, keep_arguments: trace_arguments, is_test };
    let ended =
        call.block_on_isolated(None, async |client| workflows::run_by_name(client, request, &call.prompter).await)?;
    Ok(WorkflowResult::new(&ended))
}

/// Runs of workflows
#[derive(Debug, Serialize, JsonSchema)]
struct WorkflowRunListResponse {
    /// The runs, the newest first
    runs: Vec<RunRecord>,
}

fn workflow_runs(call: &ApiCall) -> ApiResult<WorkflowRunListResponse> {
    let most = usize::try_from(call.query_u64("tail")?.unwrap_or(DEFAULT_RUNS)).unwrap_or(usize::MAX);
    Ok(WorkflowRunListResponse { runs: RunRecords::new(call.home().clone()).list(call.query_param("workflow"), most) })
}
