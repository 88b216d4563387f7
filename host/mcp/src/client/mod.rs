//! The client's side of the protocol: one connection to one server.
//!
//! Results, notifications and the server's own requests pass as JSON values: unknown kinds of content and unknown
//! fields go through unchanged.

mod events;
mod http;
mod lines;
mod raw;

use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{
    ClientCapabilities, ClientConfig, ClientNotification, ClientRequest, CustomNotification, CustomRequest,
    Implementation, ServerResult,
};
use rmcp::service::{
    ClientInitializeError, PeerRequestOptions, RoleClient, RunningService, ServiceError, serve_client,
};
use rmcp::transport::Transport;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};

pub use self::events::{Events, RpcError};
pub use self::http::Endpoint;
use self::lines::Lines;
use self::raw::{Back, Raw};

/// What a client says about itself.
#[derive(Debug, Clone)]
pub struct ClientInfo {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it can do for a server (`sampling`, `elicitation`, `roots`), in the protocol's form.
    pub capabilities: Value,
}

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

/// A connection to a server.
pub struct Client {
    service: RunningService<RoleClient, Back>,
    server: Value,
}

impl Client {
    /// Starts a session over two streams: a process's standard output and input. A line is one message.
    pub async fn over(
        input: impl AsyncRead + Send + Unpin + 'static,
        output: impl AsyncWrite + Send + Unpin + 'static,
        info: ClientInfo,
        events: Arc<dyn Events>,
        patience: Duration,
    ) -> Result<Self, ClientError> {
        let raw = Raw::new(events.clone());
        Self::begin(Lines::new(input, output, raw.clone()), raw, info, events, patience).await
    }

    /// Starts a session over streamable HTTP, under the endpoint's egress policy.
    pub async fn http(
        endpoint: Endpoint,
        info: ClientInfo,
        events: Arc<dyn Events>,
        patience: Duration,
    ) -> Result<Self, ClientError> {
        let raw = Raw::new(events.clone());
        Self::begin(endpoint.transport(raw.clone()), raw, info, events, patience).await
    }

    async fn begin<T: Transport<RoleClient> + 'static>(
        transport: T,
        raw: Raw,
        info: ClientInfo,
        events: Arc<dyn Events>,
        patience: Duration,
    ) -> Result<Self, ClientError> {
        let capabilities: ClientCapabilities = serde_json::from_value(info.capabilities).unwrap_or_default();
        let info = ClientConfig::new(capabilities, Implementation::new(info.name, info.version));
        let begun = tokio::time::timeout(patience, serve_client(Back::new(info, events), transport)).await;
        let service = begun
            .map_err(|_| ClientError::SlowStart(patience))?
            .map_err(|error| ClientError::Begin(Box::new(error)))?;
        Ok(Self { service, server: raw.server() })
    }

    /// What the server said about itself at the start: `protocolVersion`, `capabilities`, `serverInfo`,
    /// `instructions`.
    pub fn server(&self) -> &Value {
        &self.server
    }

    /// Sends a request. One that takes too long is cancelled.
    pub async fn request(&self, method: &str, params: Option<Value>, patience: Duration) -> Result<Value, ClientError> {
        let request = ClientRequest::CustomRequest(CustomRequest::new(method, params));
        let options = PeerRequestOptions::with_timeout(patience);
        let handle = self.service.send_cancellable_request(request, options).await.map_err(failure)?;
        match handle.await_response().await.map_err(failure)? {
            ServerResult::CustomResult(result) => Ok(raw::unwrapped(result.0)),
            // Nothing else comes out of `raw`; if it does, it is still complete.
            other => Ok(serde_json::to_value(other).unwrap_or(Value::Null)),
        }
    }

    /// All items of one of the server's lists (`tools/list`, `resources/list`), page by page; at most `most`.
    pub async fn list(
        &self,
        method: &str,
        field: &str,
        most: usize,
        patience: Duration,
    ) -> Result<Vec<Value>, ClientError> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let params = cursor.as_ref().map(|cursor| json!({"cursor": cursor}));
            let mut page = self.request(method, params, patience).await?;
            if let Some(Value::Array(found)) = page.get_mut(field).map(Value::take) {
                items.extend(found);
            }
            let next = page.get("nextCursor").and_then(Value::as_str).map(str::to_owned);
            // A server that returns the same cursor again would be asked forever.
            if items.len() >= most || next.is_none() || next == cursor {
                items.truncate(most);
                return Ok(items);
            }
            cursor = next;
        }
    }

    /// Sends a notification to the server.
    pub async fn notify(&self, method: &str, params: Option<Value>) -> Result<(), ClientError> {
        let notification = ClientNotification::CustomNotification(CustomNotification::new(method, params));
        self.service.send_notification(notification).await.map_err(failure)
    }

    /// Whether the connection is gone.
    pub fn is_closed(&self) -> bool {
        self.service.is_transport_closed()
    }

    /// Ends the session.
    pub async fn close(self) {
        let _ = self.service.cancel().await;
    }
}

fn failure(error: ServiceError) -> ClientError {
    match error {
        ServiceError::McpError(error) => ClientError::Rpc(error.into()),
        ServiceError::Timeout { timeout } => ClientError::Slow(timeout),
        ServiceError::TransportClosed | ServiceError::Cancelled { .. } => ClientError::Closed,
        other => ClientError::Service(Box::new(other)),
    }
}

#[cfg(test)]
mod tests;
