//! MCP servers and their tools.

use aiw_app::servers::call::{ToolCallRequest, call as call_tool};
use aiw_app::servers::edit::{AddRequest, ServerAdd, ServersRemove, ServersSwitch};
use aiw_app::servers::look::{ServerDetails, ServerList, ServersStatus, ToolList};
use aiw_app::servers::{approve, edit, look};
use aiw_core::Reporter;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::api::{ApiCall, ApiResult, ApiRoute, Empty, MessagesResponse};

pub(super) fn routes() -> Vec<ApiRoute> {
    vec![
        ApiRoute::get("/servers", "aiw mcp list", list),
        ApiRoute::post("/servers", "aiw mcp add", add),
        ApiRoute::post("/servers/status", "aiw mcp status", status),
        ApiRoute::get("/servers/{name}", "aiw mcp show", show),
        ApiRoute::delete("/servers/{name}", "aiw mcp remove", remove),
        ApiRoute::post("/servers/{name}/tools", "aiw mcp tools", tools).with_query_params(&["profile"]),
        ApiRoute::post("/servers/{name}/enable", "aiw mcp enable", enable),
        ApiRoute::post("/servers/{name}/disable", "aiw mcp disable", disable),
        ApiRoute::post("/servers/{name}/approve", "aiw mcp approve", approve_pins),
        ApiRoute::post("/servers/{name}/call", "aiw mcp call", call_by_hand),
    ]
}

fn list(call: &ApiCall) -> ApiResult<ServerList> {
    Ok(look::list(&call.client, &call.prompter)?)
}

fn show(call: &ApiCall) -> ApiResult<ServerDetails> {
    Ok(look::show(&call.client, call.id(), &call.prompter)?)
}

fn add(call: &ApiCall, request: AddRequest) -> ApiResult<ServerAdd> {
    // It is written, even if it does not work yet.
    let (added, problem) =
        call.block_on_isolated(None, async |client| edit::add(client, request, &call.prompter, &call.prompter).await)?;
    if let Some(problem) = problem {
        call.prompter.note(problem.to_string());
    }
    Ok(added)
}

/// Which servers
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ServerNamesRequest {
    /// Their names; all if there are none
    #[serde(default)]
    names: Vec<String>,
}

fn status(call: &ApiCall, request: ServerNamesRequest) -> ApiResult<ServersStatus> {
    call.block_on_isolated(None, async |client| look::status(client, &request.names, &call.prompter).await)
}

fn tools(call: &ApiCall, _: Empty) -> ApiResult<ToolList> {
    let names = [call.id().to_owned()];
    call.block_on_isolated(call.query_param("profile"), async |client| {
        look::tools(client, &names, &call.prompter).await
    })
}

fn remove(call: &ApiCall) -> ApiResult<ServersRemove> {
    call.block_on(edit::remove(&call.client, &[call.id().to_owned()], &call.prompter, &call.prompter))
}

fn enable(call: &ApiCall, _: Empty) -> ApiResult<ServersSwitch> {
    Ok(edit::switch(&call.client, &[call.id().to_owned()], true, &call.prompter)?)
}

fn disable(call: &ApiCall, _: Empty) -> ApiResult<ServersSwitch> {
    Ok(edit::switch(&call.client, &[call.id().to_owned()], false, &call.prompter)?)
}

fn approve_pins(call: &ApiCall, _: Empty) -> ApiResult<MessagesResponse> {
    let name = call.id();
    let approval = call.block_on_isolated(None, async |client| {
        approve::approve(client, name, false, &call.prompter, &call.prompter).await
    })?;
    // That nothing waited was told.
    let done = (!approval.approved.is_empty()).then(|| format!("approved the tools of {name}"));
    Ok(MessagesResponse { done: done.into_iter().collect() })
}

/// A call of a tool
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CallToolRequest {
    /// The tool
    tool: String,
    /// Its arguments
    #[serde(default)]
    arguments: Map<String, Value>,
}

/// The result of a tool
#[derive(Debug, Serialize, JsonSchema)]
struct CallToolResponse {
    /// The tool
    tool: String,
    /// The result in words
    text: String,
    /// The result as the server wrote it
    result: Value,
    /// Whether the tool says that it failed
    failed: bool,
}

fn call_by_hand(call: &ApiCall, request: CallToolRequest) -> ApiResult<CallToolResponse> {
    let given = vec![Value::Object(request.arguments).to_string()];
    let request = ToolCallRequest { name: format!("{}/{}", call.id(), request.tool), arguments: given };
    let called = call.block_on_isolated(None, async |client| call_tool(client, &request, &call.prompter).await)?;
    Ok(CallToolResponse { tool: called.tool, text: called.text, result: called.result, failed: called.is_error })
}
