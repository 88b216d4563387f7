//! A request to a server, and how it fails.

use std::time::Duration;

use rmcp::model::RequestId;
use rmcp::service::{ClientInitializeError, ServiceError};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::events::RpcError;

/// Why a request to a server failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The connection could not be made.
    #[error("the MCP server did not start a session: {0}")]
    Begin(#[source] Box<ClientInitializeError>),
    /// It did not start a session in time.
    #[error("the MCP server did not start a session within {} s", .0.as_secs_f32())]
    SlowStart(Duration),
    /// It answered with an error.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// It did not answer in time. It was sent a cancellation.
    #[error("the MCP server did not answer within {} s", .0.as_secs_f32())]
    Slow(Duration),
    /// The connection is gone.
    #[error("the connection to the MCP server has ended")]
    Closed,
    /// The request could not be sent, or the answer was invalid.
    #[error("cannot query the MCP server: {0}")]
    Service(#[source] Box<ServiceError>),
}

/// A request to a server.
#[derive(Debug)]
pub struct Request {
    /// Its method: `tools/call`.
    pub method: String,
    /// Its parameters; `_meta` passes unchanged except for the progress token, which is the connection's own.
    pub params: Option<Value>,
    /// How long it may take. A request that takes longer is cancelled, and so is one whose future is dropped.
    pub patience: Duration,
    /// Receives the parameters of progress notifications. Those that come faster than they are taken are dropped.
    pub progress: Option<mpsc::Sender<Value>>,
}

/// The notification that takes a request back.
pub(super) const CANCELLED: &str = "notifications/cancelled";

/// Its parameters, if nobody waits for the answer any more.
pub(super) fn cancellation(id: &RequestId) -> Value {
    json!({"requestId": id, "reason": "the client no longer waits"})
}

pub(crate) fn failure(error: ServiceError) -> ClientError {
    match error {
        ServiceError::McpError(error) => ClientError::Rpc(error.into()),
        ServiceError::Timeout { timeout } => ClientError::Slow(timeout),
        ServiceError::TransportClosed | ServiceError::Cancelled { .. } => ClientError::Closed,
        other => ClientError::Service(Box::new(other)),
    }
}
