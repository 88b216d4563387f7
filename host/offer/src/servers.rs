//! `call_tool`, `read_result`: the tools of the servers behind aiw.

use std::sync::Arc;

use aiw_mcp::{Arguments, Call, RpcError, ToolResult};
use aiw_routing::PoolError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::bounds;
use crate::context::Context;
use crate::error::CallError;
use crate::planning;
use crate::results::max_result_bytes;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallTool {
    /// The MCP server
    #[serde(default)]
    server: Option<String>,
    /// The tool's own name; without `server`, the name that lists show: `SERVER__TOOL`
    tool: String,
    /// The tool's arguments
    #[serde(default)]
    arguments: Map<String, Value>,
}

/// Calls a tool of a server behind aiw. Its answer passes unchanged, and so does its error.
pub(crate) async fn call_tool(context: Arc<Context>, asked: CallTool, call: Call) -> Result<ToolResult, CallError> {
    let is_offered = |server: &str, tool: &str| {
        context.pool.tools_by_name(&[(server.to_owned(), tool.to_owned())]).iter().any(Option::is_some)
    };
    let (server, tool) = named(&context, asked.server, asked.tool, is_offered)?;
    // A server may have that name.
    if server == planning::PLANNED_SERVER && !is_offered(&server, &tool) {
        return Box::pin(planning::run_planned(&context, &tool, asked.arguments.into(), call)).await;
    }
    let result = context.pool.call(&server, &tool, asked.arguments.into(), Some(&call), None).await;
    fitted(&context, result, &call)
}

/// Returns the server and the tool's own name, where the tool may have the name that lists show.
fn named(
    context: &Context,
    server: Option<String>,
    tool: String,
    is_offered: impl Fn(&str, &str) -> bool,
) -> Result<(String, String), CallError> {
    let by_name = || match context.pool.resolve_tool_ref(&tool) {
        Ok(found) => Ok((found.server, found.tool.unwrap_or_default())),
        Err(error) => {
            let planned = tool.strip_prefix(planning::PLANNED_SERVER).and_then(|rest| rest.strip_prefix("__"));
            planned
                .map(|planned| (planning::PLANNED_SERVER.to_owned(), planned.to_owned()))
                .ok_or(CallError::Pool(error))
        }
    };
    let Some(server) = server else { return by_name() };
    let is_whole = tool.starts_with(&format!("{server}__")) && !is_offered(&server, &tool);
    let found = is_whole.then(by_name).and_then(Result::ok).filter(|(of_name, _)| *of_name == server);
    Ok(found.unwrap_or((server, tool)))
}

/// Calls a tool by the parts of its proxied name.
pub(crate) async fn forward_call(
    context: &Context,
    server: &str,
    tool: &str,
    arguments: Arguments,
    call: &Call,
) -> Result<ToolResult, CallError> {
    fitted(context, context.pool.call_by_client(server, tool, arguments, call).await, call)
}

/// Fits a result to the length that a client takes.
fn fitted(context: &Context, result: Result<Box<RawValue>, PoolError>, call: &Call) -> Result<ToolResult, CallError> {
    let room = max_result_bytes(call.caller.name());
    let result = result.map_err(|e| match e {
        PoolError::Rpc(e) => CallError::Rpc(cut(*e, room)),
        PoolError::Cancelled => CallError::NoWaiter,
        e => CallError::Pool(e),
    })?;
    context.results.truncate_result(result, call.caller.name()).map_err(CallError::Rpc)
}

/// Cuts an error to the length that a client takes. Errors have no next page.
fn cut(mut error: RpcError, room: usize) -> RpcError {
    if error.message.len() > room {
        error.message = format!("{} [aiw cut this error]", &error.message[..error.message.floor_char_boundary(room)]);
    }
    error.data = error.data.filter(|data| bounds::json_len(data) <= room);
    error
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadResult {
    /// The handle that the cut result names
    handle: String,
    /// Where to go on, in bytes
    #[serde(default)]
    offset: usize,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct ResultPart {
    text: String,
    /// Where the text begins
    offset: usize,
    /// Where to go on; absent at the end
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<usize>,
    total_bytes: usize,
}

/// Reads on in a result that was cut.
pub(crate) async fn read_result(context: Arc<Context>, asked: ReadResult, call: Call) -> Result<ResultPart, CallError> {
    // As JSON it is longer.
    let most = max_result_bytes(call.caller.name()) * 3 / 4;
    let piece = context.results.chunk(&asked.handle, asked.offset, most);
    let piece = piece.ok_or(CallError::ResultNotFound { handle: asked.handle })?;
    Ok(ResultPart { text: piece.text, offset: piece.offset, next_offset: piece.next_offset, total_bytes: piece.total })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_error_is_cut_between_characters_and_keeps_its_kind() {
        let error = |message: &str, data| RpcError { code: -32000, message: message.into(), data };
        let short = cut(error("no", Some(json!({"why": "x"}))), 100);
        assert_eq!((short.message.as_str(), short.data), ("no", Some(json!({"why": "x"}))));
        let long = cut(error(&"é".repeat(1000), Some(json!("x".repeat(1000)))), 101);
        assert_eq!((long.code, long.data), (-32000, None));
        assert_eq!(long.message, format!("{} [aiw cut this error]", "é".repeat(50)));
    }
}
