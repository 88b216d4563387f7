//! The client's side of the protocol: one connection to one server.
//!
//! Results, notifications and the server's own requests pass as JSON values: unknown kinds of content and unknown
//! fields go through unchanged.

mod events;
mod http;
mod lines;
mod raw;
mod request;

use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{
    ClientCapabilities, ClientConfig, ClientNotification, ClientRequest, CustomNotification, CustomRequest,
    CustomResult, GetExtensions, Implementation, ProtocolVersion, RequestId, ServerResult,
};
use rmcp::service::{Peer, PeerRequestOptions, RoleClient, RunningService, serve_client};
use rmcp::transport::Transport;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};

pub use self::events::{Events, RpcError};
pub use self::http::{Bearer, ServerEndpoint};
use self::lines::{Direct, LineTransport, Outbox, ServerInput, ServerOutput};
pub use self::raw::value_of;
use self::raw::{ClientService, ProgressSender, Raw};
pub(crate) use self::request::failure;
use self::request::{CANCELLED, cancellation};
pub use self::request::{ClientError, McpRequest, Params};

/// A client's description of itself.
#[derive(Debug, Clone)]
pub struct ClientInfo {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its capabilities for a server (`sampling`, `elicitation`, `roots`), in the protocol's form.
    pub capabilities: Value,
}

/// A connection to a server.
pub struct McpClient {
    service: RunningService<RoleClient, ClientService>,
    raw: Raw,
    server: Value,
    /// Takes requests, where rmcp does not have to.
    direct: Option<Direct>,
}

impl McpClient {
    /// Starts a session over two streams: a process's standard output and input. A line is one message.
    pub fn over(
        input: impl AsyncRead + Send + Unpin + 'static,
        output: impl AsyncWrite + Send + Unpin + 'static,
        info: ClientInfo,
        events: Arc<dyn Events>,
        patience: Duration,
    ) -> BoxFuture<'static, Result<Self, ClientError>> {
        Self::over_lines(Box::new(input), Box::new(output), info, events, patience)
    }

    fn over_lines(
        input: ServerInput,
        output: ServerOutput,
        info: ClientInfo,
        events: Arc<dyn Events>,
        patience: Duration,
    ) -> BoxFuture<'static, Result<Self, ClientError>> {
        let raw = Raw::new(events.clone());
        let outbox = Outbox::new(output, raw.clone());
        let lines = LineTransport::new(input, outbox.clone(), raw.clone());
        Box::pin(async move {
            let begun = Self::begin(lines, raw.clone(), info, events, patience).await?;
            Ok(Self { direct: Some(Direct::new(raw, outbox)), ..begun })
        })
    }

    /// Starts a session over streamable HTTP, under the endpoint's egress policy.
    pub fn http(
        endpoint: ServerEndpoint,
        info: ClientInfo,
        events: Arc<dyn Events>,
        patience: Duration,
    ) -> BoxFuture<'static, Result<Self, ClientError>> {
        Box::pin(async move {
            let raw = Raw::new(events.clone());
            Self::begin(endpoint.transport(raw.clone()), raw, info, events, patience).await
        })
    }

    async fn begin<T: Transport<RoleClient> + 'static>(
        transport: T,
        raw: Raw,
        info: ClientInfo,
        events: Arc<dyn Events>,
        patience: Duration,
    ) -> Result<Self, ClientError> {
        let capabilities: ClientCapabilities = serde_json::from_value(info.capabilities).unwrap_or_default();
        // The newest version that has a handshake.
        let info = ClientConfig::new(capabilities, Implementation::new(info.name, info.version))
            .with_protocol_version(ProtocolVersion::V_2025_11_25);
        let begun = tokio::time::timeout(patience, serve_client(ClientService::new(info, events), transport)).await;
        let service = begun
            .map_err(|_| ClientError::SlowStart(patience))?
            .map_err(|error| ClientError::Begin(Box::new(error)))?;
        let server = raw.server();
        Ok(Self { service, raw, server, direct: None })
    }

    /// The server's description of itself from the start: `protocolVersion`, `capabilities`, `serverInfo`,
    /// `instructions`.
    pub fn server(&self) -> &Value {
        &self.server
    }

    /// Sends a request without progress.
    pub async fn request(&self, method: &str, params: Option<Value>, patience: Duration) -> Result<Value, ClientError> {
        let params = params.map(Params::Values);
        let request = McpRequest { method: method.to_owned(), params, patience, progress: None };
        Ok(value_of(&self.send(request).await?)?)
    }

    /// Sends a request. The result is as the server wrote it.
    pub async fn send(&self, request: McpRequest) -> Result<Box<RawValue>, ClientError> {
        match &self.direct {
            Some(direct) => direct.send(request)?.answer().await,
            None => self.send_by_rmcp(request).await,
        }
    }

    /// A large future: as a part of every call's, it would be moved around with it.
    fn send_by_rmcp(&self, request: McpRequest) -> BoxFuture<'_, Result<Box<RawValue>, ClientError>> {
        Box::pin(async move {
            let params = request.params.map(Params::value).transpose()?;
            let mut sent = CustomRequest::new(request.method, params);
            if let Some(progress) = request.progress {
                sent.extensions_mut().insert(ProgressSender(progress));
            }
            let sent = ClientRequest::CustomRequest(sent);
            let options = PeerRequestOptions::with_timeout(request.patience);
            let handle = self.service.send_cancellable_request(sent, options).await.map_err(failure)?;
            let mut unanswered =
                Unanswered { peer: self.service.peer().clone(), raw: self.raw.clone(), id: Some(handle.id.clone()) };
            let answer = handle.await_response().await;
            if let Some(id) = unanswered.id.take() {
                self.raw.forget(&id);
            }
            match answer.map_err(failure)? {
                // As it was written.
                ServerResult::CustomResult(CustomResult(Value::String(text))) => Ok(RawValue::from_string(text)),
                // Nothing else comes out of `raw`; if it does, it is still complete.
                other => Ok(to_raw_value(&other)),
            }
            .map(|result| result.unwrap_or_default())
        })
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
    pub fn notify<'a>(&'a self, method: &'a str, params: Option<Value>) -> BoxFuture<'a, Result<(), ClientError>> {
        Box::pin(async move {
            let notification = ClientNotification::CustomNotification(CustomNotification::new(method, params));
            self.service.send_notification(notification).await.map_err(failure)
        })
    }

    /// Whether the connection is gone.
    pub fn is_closed(&self) -> bool {
        self.service.is_transport_closed() || self.direct.as_ref().is_some_and(Direct::is_over)
    }

    /// Returns the server's fault, if the connection was ended for it: the middle of a sentence, "it …".
    pub fn fault(&self) -> Option<&'static str> {
        self.raw.fault()
    }

    /// Ends the session.
    pub fn close(self) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let _ = self.service.cancel().await;
        })
    }
}

/// Cancels a request that nobody waits for anymore.
struct Unanswered {
    peer: Peer<RoleClient>,
    raw: Raw,
    id: Option<RequestId>,
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        self.raw.forget(&id);
        let peer = self.peer.clone();
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            let notification = CustomNotification::new(CANCELLED, Some(cancellation(&id)));
            // The server may be gone.
            let _ = peer.send_notification(ClientNotification::CustomNotification(notification)).await;
        });
    }
}

#[cfg(test)]
mod tests;
