//! A request to a server, and how it fails.

use std::error::Error;
use std::time::Duration;

use aiw_net::NetError;
use rmcp::model::RequestId;
use rmcp::service::{ClientInitializeError, ServiceError};
use rmcp::transport::streamable_http_client::StreamableHttpError;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use super::events::RpcError;
use crate::Arguments;

/// Why a request to a server failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The connection could not be made.
    #[error("{}", beginning(.0))]
    Begin(#[source] Box<ClientInitializeError>),
    /// The server did not start a session in time.
    #[error("it did not begin a session within {} s", .0.as_secs_f32())]
    SlowStart(Duration),
    /// The server answered with an error.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The server did not answer in time. It was sent a cancellation.
    #[error("the MCP server did not answer within {} s", .0.as_secs_f32())]
    Slow(Duration),
    /// The connection is gone.
    #[error("the connection to the MCP server has ended")]
    Closed,
    /// The request could not be sent, or the answer was invalid.
    #[error("{}", sending(.0))]
    Service(#[source] Box<ServiceError>),
}

impl ClientError {
    /// Whether the server answered the request that begins a session, and could not have meant yes.
    pub fn is_refusal(&self) -> bool {
        use ClientInitializeError::{ExpectedInitResponse, ExpectedInitResult, JsonRpcError};
        matches!(self, Self::Begin(e) if matches!(**e, ExpectedInitResponse(Some(_)) | ExpectedInitResult(_) | JsonRpcError(_)))
    }
}

/// Why a session did not begin, without the names of rmcp's types.
fn beginning(error: &ClientInitializeError) -> String {
    match error {
        ClientInitializeError::TransportError { error, .. } => http_problem(&*error.error),
        ClientInitializeError::JsonRpcError(error) => {
            format!("it refused with {} (code {})", aiw_core::quoted_text(&error.message, 300), error.code.0)
        }
        ClientInitializeError::ExpectedInitResponse(Some(_)) | ClientInitializeError::ExpectedInitResult(_) => {
            "its answer to `initialize` is not valid".to_owned()
        }
        other => other.to_string(),
    }
}

/// Why a request was not sent, without the names of rmcp's types.
fn sending(error: &ServiceError) -> String {
    match error {
        ServiceError::TransportSend(error) => http_problem(&*error.error),
        other => other.to_string(),
    }
}

fn http_problem(error: &(dyn Error + 'static)) -> String {
    match error.downcast_ref() {
        Some(StreamableHttpError::<NetError>::Client(error)) => error.to_string(),
        _ => error.to_string(),
    }
}

/// A request to a server.
#[derive(Debug)]
pub struct McpRequest {
    /// Its method: `tools/call`.
    pub method: String,
    /// Its parameters; `_meta` passes unchanged except for the progress token, which is the connection's own.
    pub params: Option<Params>,
    /// How long it may take. A request that takes longer is cancelled, and so is one whose future is dropped.
    pub patience: Duration,
    /// Receives the parameters of progress notifications. Those that come faster than they are taken are dropped.
    pub progress: Option<mpsc::Sender<Value>>,
}

/// The parameters of a request.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Params {
    /// The parameters of any request.
    Values(Value),
    /// The parameters of a tool call.
    Call {
        /// The tool.
        name: String,
        /// Its arguments.
        arguments: Arguments,
        /// The client's additions to `_meta`.
        #[serde(rename = "_meta", skip_serializing_if = "Map::is_empty")]
        meta: Map<String, Value>,
    },
}

impl Params {
    /// Adds to the metadata.
    pub fn extend_meta(&mut self, more: Map<String, Value>) {
        match self {
            Self::Values(Value::Object(fields)) => {
                let meta = fields.entry("_meta").or_insert_with(|| Map::new().into());
                if let Value::Object(meta) = meta {
                    meta.extend(more);
                }
            }
            Self::Values(_) => {}
            Self::Call { meta, .. } => meta.extend(more),
        }
    }

    /// As rmcp takes them.
    pub(super) fn value(self) -> Result<Value, RpcError> {
        serde_json::to_value(self).map_err(|e| RpcError::invalid(&format!("the arguments can't be read: {e}")))
    }
}

/// The notification that takes a request back.
pub(super) const CANCELLED: &str = "notifications/cancelled";

/// Returns the parameters of a cancellation.
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
