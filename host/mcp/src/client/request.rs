//! A request to a server, and how it fails.

use std::error::Error;
use std::time::Duration;

use aiw_net::NetError;
use rmcp::model::{ErrorCode, ProtocolVersion, RequestId};
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
    StartFailed(#[source] Box<ClientInitializeError>),
    /// The server did not start a session in time.
    #[error("it did not begin a session within {} s", .0.as_secs_f32())]
    StartTimeout(Duration),
    /// The server answered with an error.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The server did not answer in time. It was sent a cancellation.
    #[error("the MCP server did not answer within {} s", .0.as_secs_f32())]
    Timeout(Duration),
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
        matches!(self, Self::StartFailed(e) if is_refusal(e))
    }

    /// Returns the lifecycle to try after one that has failed with this error; none if no other would do better.
    pub fn next_lifecycle(&self, tried: Lifecycle) -> Option<Lifecycle> {
        use ClientInitializeError::{JsonRpcError, LegacyFallbackFailed};
        let error = match self {
            Self::StartFailed(error) => &**error,
            // Some servers hang after a request that they don't know.
            Self::StartTimeout(_) if tried != Lifecycle::Initialize => return Some(Lifecycle::Initialize),
            _ => return None,
        };
        match (tried, error) {
            _ if wants_login(error) => None,
            // It took too long to answer the discovery, and speaks nothing else.
            (Lifecycle::Auto, LegacyFallbackFailed { discover, fallback })
                if is_version_refusal(fallback) || is_unanswered(discover) && is_refusal(fallback) =>
            {
                Some(Lifecycle::Discover)
            }
            (Lifecycle::Auto, JsonRpcError(_)) => Some(Lifecycle::Discover),
            // Some servers end, or are of no use, after a request that they don't know.
            (Lifecycle::Auto | Lifecycle::Discover, _) => Some(Lifecycle::Initialize),
            (Lifecycle::Initialize, error) if is_refusal(error) => Some(Lifecycle::Discover),
            _ => None,
        }
    }
}

/// How a session with a server begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifecycle {
    /// With `server/discover`, or with `initialize` on the same connection if the server does not know that.
    Auto,
    /// With `server/discover`, from protocol version 2026-07-28 on.
    Discover,
    /// With `initialize`, up to protocol version 2025-11-25.
    Initialize,
}

impl Lifecycle {
    /// Returns the lifecycle of a protocol version (`2025-11-25`). An empty version is unknown.
    pub fn from_version(version: &str) -> Self {
        match version {
            "" => Self::Auto,
            version if version < ProtocolVersion::NO_INITIALIZE.as_str() => Self::Initialize,
            _ => Self::Discover,
        }
    }
}

fn is_refusal(error: &ClientInitializeError) -> bool {
    use ClientInitializeError::{ExpectedInitResponse, ExpectedInitResult, JsonRpcError, LegacyFallbackFailed};
    match error {
        LegacyFallbackFailed { fallback, .. } => is_refusal(fallback),
        error => matches!(error, ExpectedInitResponse(Some(_)) | ExpectedInitResult(_) | JsonRpcError(_)),
    }
}

fn is_version_refusal(error: &ClientInitializeError) -> bool {
    matches!(error, ClientInitializeError::JsonRpcError(e) if e.code == ErrorCode::UNSUPPORTED_PROTOCOL_VERSION)
}

/// The message of a discovery that counts as refused because its answer takes too long.
pub(super) const DISCOVERY_TIMEOUT_MESSAGE: &str = "no answer to `server/discover`";

fn is_unanswered(error: &ClientInitializeError) -> bool {
    matches!(error, ClientInitializeError::JsonRpcError(e) if e.message == DISCOVERY_TIMEOUT_MESSAGE)
}

fn wants_login(error: &ClientInitializeError) -> bool {
    error.auth_challenge().is_some()
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
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => beginning(fallback),
        ClientInitializeError::NoCompatibleProtocolVersion { server_supported, .. } => {
            let versions: Vec<&str> = server_supported.iter().map(ProtocolVersion::as_str).collect();
            let versions = aiw_core::quoted_text(&versions.join(", "), 300);
            format!("it speaks no version of the protocol that aiw speaks: {versions}")
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
    pub timeout: Duration,
    /// The caller's number for it, with which [`EventHandler`](crate::EventHandler) is asked for what the server needs.
    pub call_number: Option<u64>,
    /// Receives the parameters of progress notifications. Those that come faster than they are taken are dropped.
    pub progress: Option<mpsc::Sender<Value>>,
}

/// The parameters of a request.
#[derive(Debug, Clone, Serialize)]
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
        /// What the server had asked for, where the call is sent again.
        #[serde(flatten)]
        resumed: ResumedCall,
    },
}

/// See [`Params::Call`].
///
/// Source: <https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/mrtr>
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResumedCall {
    #[serde(skip_serializing_if = "Option::is_none")]
    input_responses: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_state: Option<Value>,
}

impl Params {
    /// The parameters of a tool call.
    pub fn for_call(name: String, arguments: Arguments, meta: Map<String, Value>) -> Self {
        Self::Call { name, arguments, meta, resumed: ResumedCall::default() }
    }

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

    /// The parameters of the same request with the answers to what its server had asked for.
    pub(super) fn into_resumed(self, answers: Map<String, Value>, state: Option<Value>) -> Self {
        match self {
            // Its arguments stay as they are written.
            Self::Call { name, arguments, meta, .. } => {
                let resumed = ResumedCall { input_responses: Some(answers), request_state: state };
                Self::Call { name, arguments, meta, resumed }
            }
            Self::Values(mut params) => {
                if let Value::Object(fields) = &mut params {
                    fields.insert("inputResponses".into(), answers.into());
                    fields.shift_remove("requestState");
                    fields.extend(state.map(|state| ("requestState".to_owned(), state)));
                }
                Self::Values(params)
            }
        }
    }

    /// As rmcp takes them.
    pub(super) fn into_value(self) -> Result<Value, RpcError> {
        serde_json::to_value(self).map_err(|e| RpcError::invalid_params(&format!("the arguments can't be read: {e}")))
    }
}

/// The notification that takes a request back.
pub(super) const CANCELLED_METHOD: &str = "notifications/cancelled";

/// The reason of a cancellation.
pub(super) const CANCEL_REASON: &str = "the client no longer waits";

/// Returns the parameters of a cancellation.
pub(super) fn cancellation_params(id: &RequestId) -> Value {
    json!({"requestId": id, "reason": CANCEL_REASON})
}

pub(crate) fn map_service_error(error: ServiceError) -> ClientError {
    match error {
        ServiceError::McpError(error) => ClientError::Rpc(error.into()),
        ServiceError::Timeout { timeout } => ClientError::Timeout(timeout),
        ServiceError::TransportClosed | ServiceError::Cancelled { .. } => ClientError::Closed,
        other => ClientError::Service(Box::new(other)),
    }
}
