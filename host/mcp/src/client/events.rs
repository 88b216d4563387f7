//! Unsolicited messages from a server, and protocol errors.

use async_trait::async_trait;
use rmcp::model::ErrorData;
use serde_json::Value;

/// An unsolicited message from a server.
#[async_trait]
pub trait EventHandler: Send + Sync {
    /// The server notifies the client: `notifications/tools/list_changed`, progress, a log message.
    async fn on_notification(&self, method: &str, params: Option<Value>);

    /// The server sends a request: `sampling/createMessage`, `elicitation/create`, `roots/list`.
    /// `call` is the [`McpRequest::call_number`](crate::McpRequest::call_number) that needs the answer, where that is known.
    async fn on_request(&self, method: &str, params: Option<Value>, call: Option<u64>) -> Result<Value, RpcError>;
}

/// An error of JSON-RPC, as the other side sent it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct RpcError {
    /// Its code. <https://www.jsonrpc.org/specification#error_object>
    pub code: i32,
    /// Its message.
    pub message: String,
    /// More data, if any.
    pub data: Option<Value>,
}

impl RpcError {
    /// There is no such method here.
    pub fn method_not_found(method: &str) -> Self {
        Self { code: -32601, message: format!("there is no method `{method}`"), data: None }
    }
}

impl RpcError {
    /// The code for a resource that is not there.
    pub const RESOURCE_NOT_FOUND: i32 = -32002;

    /// The parameters are not valid.
    pub fn invalid_params(message: &str) -> Self {
        Self { code: -32602, message: message.to_owned(), data: None }
    }

    /// There is no such resource. <https://modelcontextprotocol.io/specification/2025-11-25/server/resources#error-handling>
    pub fn resource_not_found(uri: &str) -> Self {
        Self {
            code: Self::RESOURCE_NOT_FOUND,
            message: "there is no such resource".into(),
            data: Some(serde_json::json!({"uri": uri})),
        }
    }
}

impl From<ErrorData> for RpcError {
    fn from(error: ErrorData) -> Self {
        Self { code: error.code.0, message: error.message.into_owned(), data: error.data }
    }
}

impl From<RpcError> for ErrorData {
    fn from(error: RpcError) -> Self {
        Self::new(rmcp::model::ErrorCode(error.code), error.message, error.data)
    }
}
