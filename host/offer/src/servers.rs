//! `call_tool`, `read_result`: the tools of the servers behind aiw.

use std::sync::Arc;

use aiw_mcp::{Arguments, Call, RpcError, ToolAnswer};
use aiw_routing::PoolError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::bounds;
use crate::context::Context;
use crate::error::CallError;
use crate::kept::limit;
use crate::planning;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallTool {
    /// The MCP server
    server: String,
    /// The tool's own name, without the server's
    tool: String,
    /// The tool's arguments
    #[serde(default)]
    arguments: Map<String, Value>,
}

/// Calls a tool of a server behind aiw. Its answer passes unchanged, and so does its error.
pub(crate) async fn call_tool(context: Arc<Context>, asked: CallTool, call: Call) -> Result<ToolAnswer, CallError> {
    let is_servers = || context.pool.offered(&[(asked.server.clone(), asked.tool.clone())]).iter().any(Option::is_some);
    // A server may have that name.
    if asked.server == planning::SERVER && !is_servers() {
        return Box::pin(planning::run_planned(&context, &asked.tool, asked.arguments.into(), call)).await;
    }
    pass(&context, &asked.server, &asked.tool, asked.arguments.into(), &call).await
}

/// Calls a tool by the parts of its proxied name.
pub(crate) async fn pass(
    context: &Context,
    server: &str,
    tool: &str,
    arguments: Arguments,
    call: &Call,
) -> Result<ToolAnswer, CallError> {
    let room = limit(call.caller.name());
    let result = context.pool.call(server, tool, arguments, Some(call)).await.map_err(|e| match e {
        PoolError::Rpc(e) => CallError::Rpc(cut(*e, room)),
        PoolError::Cancelled => CallError::NobodyWaits,
        e => CallError::Pool(e),
    })?;
    context.kept.fit(result, call.caller.name()).map_err(CallError::Rpc)
}

/// Cuts an error to the length that a client takes. Errors have no next page.
fn cut(mut error: RpcError, room: usize) -> RpcError {
    if error.message.len() > room {
        error.message = format!("{} [aiw cut this error]", &error.message[..error.message.floor_char_boundary(room)]);
    }
    error.data = error.data.filter(|data| bounds::length(data) <= room);
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
pub(crate) struct ResultPiece {
    text: String,
    /// Where the text begins
    offset: usize,
    /// Where to go on; absent at the end
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<usize>,
    total_bytes: usize,
}

/// Reads on in a result that was cut.
pub(crate) async fn read_result(
    context: Arc<Context>,
    asked: ReadResult,
    call: Call,
) -> Result<ResultPiece, CallError> {
    // As JSON it is longer.
    let most = limit(call.caller.name()) * 3 / 4;
    let piece = context.kept.piece(&asked.handle, asked.offset, most);
    let piece = piece.ok_or(CallError::NoResult { handle: asked.handle })?;
    Ok(ResultPiece { text: piece.text, offset: piece.offset, next_offset: piece.next, total_bytes: piece.total })
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
