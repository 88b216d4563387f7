//! The client's side of the protocol: one connection to one server.
//!
//! Results, notifications and the server's own requests pass as JSON values: unknown kinds of content and unknown
//! fields go through unchanged.

mod events;
mod http;
mod in_flight;
mod lines;
mod malformed;
mod request;
mod resume;
mod sender;

use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{
    ClientCapabilities, ClientConfig, ClientNotification, CustomNotification, Implementation, ProtocolVersion,
};
use rmcp::service::{ClientLifecycleMode, RoleClient, RunningService, serve_client_with_lifecycle};
use rmcp::transport::Transport;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};

pub use self::events::{EventHandler, RpcError};
pub use self::http::{ServerEndpoint, TokenProvider};
use self::in_flight::{ClientService, InFlightRequests};
use self::lines::{DirectRequests, LineTransport, SendQueue, ServerInput, ServerOutput};
pub use self::malformed::parse_result;
pub(crate) use self::request::map_service_error;
pub use self::request::{ClientError, Lifecycle, McpRequest, Params};
use self::sender::RequestSender;

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
    server: Value,
    sender: RequestSender,
}

/// The newest version of the protocol with `initialize`.
const LATEST_WITH_INITIALIZE: &str = "2025-11-25";

/// The most pages of a list.
const MAX_PAGES: usize = 1000;

impl McpClient {
    /// Starts a session over two streams: a process's standard output and input. A line is one message.
    pub fn connect_streams(
        input: impl AsyncRead + Send + Unpin + 'static,
        output: impl AsyncWrite + Send + Unpin + 'static,
        info: ClientInfo,
        events: Arc<dyn EventHandler>,
        lifecycle: Lifecycle,
        patience: Duration,
    ) -> BoxFuture<'static, Result<Self, ClientError>> {
        Self::over_lines(Box::new(input), Box::new(output), info, events, lifecycle, patience)
    }

    fn over_lines(
        input: ServerInput,
        output: ServerOutput,
        info: ClientInfo,
        events: Arc<dyn EventHandler>,
        lifecycle: Lifecycle,
        patience: Duration,
    ) -> BoxFuture<'static, Result<Self, ClientError>> {
        let raw = InFlightRequests::new(events.clone(), lifecycle);
        let outbox = SendQueue::new(output, raw.clone());
        let lines = LineTransport::new(input, outbox.clone(), raw.clone());
        Box::pin(async move {
            let mut begun = Self::begin(lines, raw.clone(), info, events, lifecycle, patience).await?;
            begun.sender.direct = Some(DirectRequests::new(raw, outbox));
            Ok(begun)
        })
    }

    /// Starts a session over streamable HTTP, under the endpoint's egress policy.
    pub fn connect_http(
        endpoint: ServerEndpoint,
        info: ClientInfo,
        events: Arc<dyn EventHandler>,
        lifecycle: Lifecycle,
        patience: Duration,
    ) -> BoxFuture<'static, Result<Self, ClientError>> {
        Box::pin(async move {
            let raw = InFlightRequests::new(events.clone(), lifecycle);
            Self::begin(endpoint.into_transport(raw.clone()), raw, info, events, lifecycle, patience).await
        })
    }

    async fn begin<T: Transport<RoleClient> + 'static>(
        transport: T,
        raw: InFlightRequests,
        info: ClientInfo,
        events: Arc<dyn EventHandler>,
        lifecycle: Lifecycle,
        patience: Duration,
    ) -> Result<Self, ClientError> {
        let capabilities: ClientCapabilities = serde_json::from_value(info.capabilities).unwrap_or_default();
        let info = ClientConfig::new(capabilities, Implementation::new(info.name, info.version))
            .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE);
        let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
        let lifecycle = match lifecycle {
            Lifecycle::Auto => ClientLifecycleMode::Auto { preferred_versions, legacy_version: None },
            Lifecycle::Discover => ClientLifecycleMode::Discover { preferred_versions },
            Lifecycle::Initialize => ClientLifecycleMode::Initialize,
        };
        let serving = serve_client_with_lifecycle(ClientService::new(info, events), transport, lifecycle);
        let service = tokio::time::timeout(patience, serving)
            .await
            .map_err(|_| ClientError::StartTimeout(patience))?
            .map_err(|error| ClientError::StartFailed(Box::new(error)))?;
        let server = raw.initialize_result();
        let sender = RequestSender { peer: service.peer().clone(), in_flight: raw, direct: None };
        Ok(Self { service, server, sender })
    }

    /// The server's description of itself from the start: `protocolVersion`, `capabilities`, `serverInfo`,
    /// `instructions`.
    pub fn initialize_result(&self) -> &Value {
        &self.server
    }

    /// Whether the session began without `initialize`. Such a server reports changes to those who follow them alone,
    /// and takes neither `ping` nor `logging/setLevel`.
    pub fn is_modern(&self) -> bool {
        self.sender.in_flight.is_modern()
    }

    /// Returns the version of the protocol by which [`Lifecycle::from_version`] begins the next session as this one
    /// began, whatever the server calls its version.
    pub fn protocol_version(&self) -> &str {
        let version = self.server["protocolVersion"].as_str().unwrap_or_default();
        // Without `initialize`, aiw has chosen the version.
        match self.is_modern() || Lifecycle::from_version(version) == Lifecycle::Initialize {
            true => version,
            false => LATEST_WITH_INITIALIZE,
        }
    }

    /// Follows changes of a server without `initialize`, which are reported as other notifications are. Ends with the
    /// subscription; dropping the future ends it too. `filter` has the protocol's form.
    ///
    /// Source: <https://modelcontextprotocol.io/specification/2026-07-28/basic/utilities/subscriptions>
    pub fn listen(&self, filter: Value) -> BoxFuture<'static, Result<(), ClientError>> {
        let sender = self.sender.clone();
        let params = Some(Params::Values(json!({"notifications": filter})));
        let request = McpRequest {
            method: "subscriptions/listen".into(),
            params,
            timeout: Duration::MAX,
            call_number: None,
            progress: None,
        };
        Box::pin(async move { sender.send(request).await.map(drop) })
    }

    /// Sends a request without progress.
    pub async fn request(&self, method: &str, params: Option<Value>, patience: Duration) -> Result<Value, ClientError> {
        let params = params.map(Params::Values);
        let request =
            McpRequest { method: method.to_owned(), params, timeout: patience, call_number: None, progress: None };
        Ok(parse_result(&self.send(request).await?)?)
    }

    /// Sends a request. The result is as the server wrote it. What the server asks for in its answer is asked for, and
    /// the request sent again with it.
    pub async fn send(&self, request: McpRequest) -> Result<Box<RawValue>, ClientError> {
        match self.is_modern() {
            true => resume::send(&self.sender, request).await,
            false => self.sender.send(request).await,
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
        let mut cursor: Option<Value> = None;
        for _ in 0..MAX_PAGES {
            let params = cursor.as_ref().map(|cursor| json!({"cursor": cursor}));
            let mut page = match self.request(method, params, patience).await {
                // The number meant no page: what came before is the list.
                Err(ClientError::Rpc(_)) if cursor.as_ref().is_some_and(Value::is_number) => break,
                page => page?,
            };
            if let Some(Value::Array(found)) = page.get_mut(field).map(Value::take) {
                items.extend(found);
            }
            // The protocol has texts. A server that counts pages is asked with its number.
            let next = page.get("nextCursor").filter(|next| next.is_number() || next.is_string()).cloned();
            // A server that returns the same cursor again would be asked forever.
            if items.len() >= most || next.is_none() || next == cursor {
                break;
            }
            cursor = next;
        }
        items.truncate(most);
        Ok(items)
    }

    /// Sends a notification to the server.
    pub fn notify<'a>(&'a self, method: &'a str, params: Option<Value>) -> BoxFuture<'a, Result<(), ClientError>> {
        Box::pin(async move {
            let notification = ClientNotification::CustomNotification(CustomNotification::new(method, params));
            self.service.send_notification(notification).await.map_err(map_service_error)
        })
    }

    /// Whether the connection is gone.
    pub fn is_closed(&self) -> bool {
        self.service.is_transport_closed() || self.sender.direct.as_ref().is_some_and(DirectRequests::is_closed)
    }

    /// Returns the server's fault, if the connection was ended for it: the middle of a sentence, "it …".
    pub fn fault(&self) -> Option<&'static str> {
        self.sender.in_flight.fault()
    }

    /// Ends the session.
    pub fn close(self) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let _ = self.service.cancel().await;
        })
    }
}

#[cfg(test)]
mod tests;
