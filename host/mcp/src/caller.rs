//! The client of a session, as a server sees it, and one of its requests.

use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{
    ClientCapabilities, ClientResult, CustomNotification, CustomRequest, GetExtensions, Implementation, RequestId,
    RequestMetaObject, ServerNotification, ServerRequest,
};
use rmcp::service::{
    OriginatingRequestId, Peer, PeerRequestOptions, RequestContext, ServiceError, SubscriptionSendError,
    SubscriptionSink,
};
use serde_json::{Map, Value};
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use crate::client::{ClientError, RpcError, map_service_error};
use crate::elicitation::{ClientQuestion, QuestionSender};
use crate::incoming;

/// The subscriptions of a client that follows the protocol from 2026-07-28 on: such a client receives changes only
/// on them.
pub(crate) type Subscriptions = Arc<Mutex<Vec<Subscription>>>;

/// One of them. Two clients may use the same request id, so each has a number of its own.
#[derive(Clone)]
pub(crate) struct Subscription {
    pub(crate) number: u64,
    pub(crate) sink: SubscriptionSink,
    /// The URIs of the resources that it follows.
    pub(crate) resources: Arc<[String]>,
}

/// The state that all callers of a session share.
#[derive(Clone)]
pub(crate) struct CallerSession {
    pub(crate) subscriptions: Subscriptions,
    /// The client has disconnected. From then on rmcp takes nothing more, and does not say so.
    pub(crate) disconnected: CancellationToken,
}

/// The client of a session.
#[derive(Clone)]
pub struct Caller {
    client: Arc<ClientIdentity>,
    /// The request on whose stream questions to the client travel.
    request: Option<RequestId>,
    /// Takes questions, where the answer to the request has to ask them.
    asker: Option<QuestionSender>,
    /// The log messages that the request asks for, from 2026-07-28 on: their level, and those above it.
    log_level: Option<String>,
}

/// The field of a request's metadata with the level of log messages that it asks for.
///
/// <https://modelcontextprotocol.io/specification/2026-07-28/server/utilities/logging>
pub const LOG_LEVEL_KEY: &str = "io.modelcontextprotocol/logLevel";

/// The extension that clients with MCP Apps declare.
pub const UI_EXTENSION: &str = "io.modelcontextprotocol/ui";

/// The levels of log messages, the least important first (RFC 5424).
pub const LOG_LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// The part of a caller that stays the same from request to request.
struct ClientIdentity {
    peer: Peer<RoleServer>,
    session: CallerSession,
    name: String,
    version: String,
    capabilities: Value,
    /// Whether it began without a handshake: then it gets log messages only for requests that ask for them.
    is_modern: bool,
}

impl Caller {
    /// Returns the sender of a request.
    pub(crate) fn from_context(context: &RequestContext<RoleServer>, session: CallerSession) -> Self {
        let request = Some(context.id.clone());
        let is_modern = context.protocol_version().is_some_and(|version| !version.has_initialize());
        let (info, can) = (context.client_info(), context.client_capabilities());
        Self::new(context.peer.clone(), session, request, info, can, is_modern)
    }

    /// Returns this client with the log level that its request asks for.
    pub(crate) fn with_log_level(self, meta: &Map<String, Value>) -> Self {
        let level = || meta.get(LOG_LEVEL_KEY).and_then(Value::as_str).map(str::to_owned);
        Self { log_level: if self.client.is_modern { level() } else { None }, ..self }
    }

    /// Returns a client that has finished the handshake.
    pub(crate) fn from_initialized(peer: Peer<RoleServer>, session: CallerSession) -> Self {
        let info = peer.peer_info();
        let (name, can) = (info.as_ref().map(|i| i.client_info.clone()), info.map(|i| i.capabilities.clone()));
        Self::new(peer, session, None, name, can, false)
    }

    /// Returns a client without a session, as its request describes it.
    pub(crate) fn from_request_meta(peer: Peer<RoleServer>, session: CallerSession, meta: &RequestMetaObject) -> Self {
        Self::new(peer, session, None, meta.client_info(), meta.client_capabilities(), true)
    }

    fn new(
        peer: Peer<RoleServer>,
        session: CallerSession,
        request: Option<RequestId>,
        info: Option<Implementation>,
        capabilities: Option<ClientCapabilities>,
        is_modern: bool,
    ) -> Self {
        let (name, version) = info.map(|info| (info.name, info.version)).unwrap_or_default();
        let capabilities = capabilities.and_then(|known| serde_json::to_value(known).ok()).unwrap_or_default();
        let client = ClientIdentity { peer, session, name, version, capabilities, is_modern };
        Self { client: Arc::new(client), request, asker: None, log_level: None }
    }

    /// Returns this client, which is asked in the answer to its request.
    pub(crate) fn with_question_sender(self, asker: QuestionSender) -> Self {
        Self { asker: Some(asker), ..self }
    }

    /// Returns this client in one of its requests.
    pub(crate) fn for_request(&self, request: RequestId) -> Self {
        Self { client: self.client.clone(), request: Some(request), asker: None, log_level: None }
    }

    /// Returns this client outside of a request.
    #[must_use]
    pub fn without_request(&self) -> Self {
        Self { client: self.client.clone(), request: None, asker: None, log_level: None }
    }

    /// Whether both are the client of one session.
    pub fn is_same_session(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.client.session.subscriptions, &other.client.session.subscriptions)
    }

    /// Its name: `claude-code`, `codex-mcp-client`. Empty if it gave none.
    pub fn name(&self) -> &str {
        &self.client.name
    }

    /// Its version.
    pub fn version(&self) -> &str {
        &self.client.version
    }

    /// Its capabilities for a server (`sampling`, `elicitation`, `roots`), in the protocol's form.
    pub fn capabilities(&self) -> &Value {
        &self.client.capabilities
    }

    /// Returns `true` if the client declares MCP Apps.
    ///
    /// Source: SEP-1865.
    pub fn supports_apps(&self) -> bool {
        self.client.capabilities["extensions"][UI_EXTENSION].is_object()
    }

    /// Whether it wants a log message of this level.
    fn wants(&self, level: Option<&str>) -> bool {
        let rank = |level: &str| LOG_LEVELS.iter().position(|known| *known == level);
        let wanted = self.log_level.as_deref().and_then(rank);
        !self.client.is_modern || wanted.is_some_and(|wanted| level.and_then(rank).is_some_and(|rank| rank >= wanted))
    }

    /// Sends a notification. A log message that the client did not ask for is dropped. Returns once it is written, so that it arrives before an answer that is given later.
    pub fn notify<'a>(&'a self, method: &'a str, params: Option<Value>) -> BoxFuture<'a, Result<(), ClientError>> {
        Box::pin(async move {
            if method == "notifications/message"
                && !self.wants(params.as_ref().and_then(|params| params["level"].as_str()))
            {
                return Ok(());
            }
            let subscribed = self.client.session.subscriptions.lock().clone();
            let is_change = method.ends_with("/list_changed") || method == "notifications/resources/updated";
            if subscribed.is_empty() || !is_change {
                return self.while_there(self.client.peer.send_notification(notification(method, params))).await;
            }
            let uri = params.as_ref().and_then(|params| params["uri"].as_str()).unwrap_or_default();
            for Subscription { number, sink, .. } in subscribed {
                // One that did not ask for this kind refuses it.
                let sent = match method {
                    "notifications/tools/list_changed" => sink.notify_tool_list_changed().await,
                    "notifications/prompts/list_changed" => sink.notify_prompt_list_changed().await,
                    "notifications/resources/list_changed" => sink.notify_resource_list_changed().await,
                    _ => sink.notify_resource_updated(uri).await,
                };
                if matches!(sent, Err(SubscriptionSendError::SubscriptionClosed)) {
                    let mut sinks = self.client.session.subscriptions.lock();
                    sinks.retain(|other| other.number != number);
                }
            }
            Ok(())
        })
    }

    /// Sends a request to the client, and waits for its answer. One that takes too long is cancelled.
    pub fn send_request<'a>(
        &'a self,
        method: &'a str,
        params: Option<Value>,
        patience: Duration,
    ) -> BoxFuture<'a, Result<Value, ClientError>> {
        Box::pin(async move {
            if let Some(asker) = &self.asker {
                let (answer, given) = oneshot::channel();
                let question = ClientQuestion { method: method.to_owned(), params, answer };
                asker.send(question).await.map_err(|_| ClientError::Closed)?;
                let given = tokio::time::timeout(patience, given).await.map_err(|_| ClientError::Timeout(patience))?;
                let unanswered = |_| RpcError { code: -32603, message: "the client gave no answer".into(), data: None };
                return given.map_err(|e| unanswered(e).into());
            }
            let mut request = CustomRequest::new(method, params);
            if let Some(id) = &self.request {
                request.extensions_mut().insert(OriginatingRequestId(id.clone()));
            }
            let options = PeerRequestOptions::with_timeout(patience);
            let sent = async {
                let handle =
                    self.client.peer.send_cancellable_request(ServerRequest::CustomRequest(request), options).await?;
                handle.await_response().await
            };
            match self.while_there(sent).await? {
                ClientResult::CustomResult(result) => Ok(incoming::unwrap_result(result.0)),
                other => serde_json::to_value(other).map_err(|_| RpcError::method_not_found(method).into()),
            }
        })
    }
}

impl Caller {
    async fn while_there<T>(&self, sent: impl Future<Output = Result<T, ServiceError>>) -> Result<T, ClientError> {
        tokio::select! {
            sent = sent => sent.map_err(map_service_error),
            () = self.client.session.disconnected.cancelled() => Err(ClientError::Closed),
        }
    }
}

/// A notification as it is. Without parameters rmcp would write `null`, which clients refuse.
fn notification(method: &str, params: Option<Value>) -> ServerNotification {
    let params = params.or_else(|| Some(Value::Object(Map::new())));
    ServerNotification::CustomNotification(CustomNotification::new(method, params))
}

/// One request of a client.
#[derive(Clone)]
pub struct Call {
    /// The client that calls.
    pub caller: Caller,
    /// Whether the answer is still wanted.
    pub cancellation: Cancellation,
    /// The request's `_meta`: a progress token, and what the client adds.
    pub meta: Map<String, Value>,
}

/// Whether a call is still wanted.
#[derive(Debug, Clone)]
pub struct Cancellation(Source);

#[derive(Debug, Clone)]
enum Source {
    /// rmcp knows it.
    Tokens { request: CancellationToken, gone: CancellationToken },
    /// The lane knows it. Two tokens for each call would cost a tenth of its time.
    Queue(Arc<QueuedCall>),
}

impl Cancellation {
    pub(crate) fn from_tokens(request: CancellationToken, gone: CancellationToken) -> Self {
        Self(Source::Tokens { request, gone })
    }

    pub(crate) fn from_queued_call(wanted: Arc<QueuedCall>) -> Self {
        Self(Source::Queue(wanted))
    }

    /// Whether the client has cancelled the call. A client that only disconnected has not.
    pub fn is_cancelled(&self) -> bool {
        match &self.0 {
            Source::Tokens { request, .. } => request.is_cancelled(),
            Source::Queue(wanted) => wanted.is_taken_back.load(Ordering::Acquire),
        }
    }

    /// Waits until no one needs the answer anymore: the call was cancelled, or the client disconnected.
    pub async fn wait_until_abandoned(&self) {
        match &self.0 {
            Source::Tokens { request, gone } => tokio::select! {
                () = request.cancelled() => {}
                () = gone.cancelled() => {}
            },
            Source::Queue(wanted) => wanted.nobody_waits().await,
        }
    }
}

/// Whether somebody waits for a call of a lane.
#[derive(Debug, Default)]
pub(crate) struct QueuedCall {
    is_taken_back: AtomicBool,
    is_over: AtomicBool,
    cancelled: Notify,
}

impl QueuedCall {
    /// The client has cancelled the call.
    pub(crate) fn cancel(&self) {
        self.is_taken_back.store(true, Ordering::Release);
        self.abandon();
    }

    /// The client has disconnected.
    pub(crate) fn abandon(&self) {
        self.is_over.store(true, Ordering::Release);
        self.cancelled.notify_waiters();
    }

    async fn nobody_waits(&self) {
        // It is told of what comes after its making.
        let told = self.cancelled.notified();
        if !self.is_over.load(Ordering::Acquire) {
            told.await;
        }
    }
}
