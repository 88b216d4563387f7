//! Messages that bypass rmcp's types, which drop unknown fields.
//!
//! Over HTTP, rmcp keeps the ids and timeouts. What it would parse into its own types is wrapped so that it only passes
//! it on: a result becomes a JSON string, a server's request a custom one. Over lines, answers don't go through rmcp.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aiw_core::unpaired_surrogates;
use memchr::memchr;
use parking_lot::{Mutex, MutexGuard};
use rmcp::model::{
    ClientConfig, ClientJsonRpcMessage, ClientRequest, ClientResult, CustomRequest, CustomResult, ErrorData, GetMeta,
    JsonRpcMessage, RequestId, ServerJsonRpcMessage, ServerNotification, ServerRequest,
};
use rmcp::service::{NotificationContext, RequestContext, RoleClient, Service};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::events::{EventHandler, RpcError};
use super::malformed::{self, INTERNAL_ERROR};
use super::request::{DISCOVERY_TIMEOUT_MESSAGE, Lifecycle};

/// The fields of metadata with the version of the protocol, and with a server's name and version.
///
/// Source: <https://modelcontextprotocol.io/specification/2026-07-28/server/discover>
const PROTOCOL_VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
const SERVER_INFO_KEY: &str = "io.modelcontextprotocol/serverInfo";

/// How long a server that may not know `server/discover` has for its answer. Some answer nothing to what they don't
/// know.
const DISCOVER_TIMEOUT: Duration = Duration::from_secs(3);

/// The method under which a server's request is passed on.
const REQUEST_METHOD: &str = "aiw/asked";

/// The first id of the requests past rmcp.
const MIN_RAW_REQUEST_ID: i64 = 100;

/// The requests in progress on one connection.
#[derive(Clone)]
pub(crate) struct InFlightRequests {
    shared: Arc<SharedInFlight>,
}

struct SharedInFlight {
    /// Requests whose results are passed on unchanged.
    pending: Mutex<PendingRequests>,
    /// The id of the next request past rmcp. rmcp has the first ids, for the beginning of the session.
    next: AtomicI64,
    lifecycle: Lifecycle,
    /// The requests that were to begin the session, the last of which is in progress.
    handshakes: Mutex<Vec<(RequestId, Handshake)>>,
    /// The server's description of itself, in the form of an answer to `initialize`.
    server: OnceLock<Value>,
    /// The metadata of a request that began a session without `initialize`: each later one has it too.
    request_meta: OnceLock<Map<String, Value>>,
    /// The server's fault for which the connection was ended.
    fault: OnceLock<&'static str>,
    events: Arc<dyn EventHandler>,
}

/// A request that begins a session.
#[derive(Clone)]
enum Handshake {
    Initialize,
    Discover {
        /// Its metadata.
        meta: Map<String, Value>,
        sent: Instant,
    },
}

/// See [`SharedInFlight::pending`].
#[derive(Default)]
struct PendingRequests {
    /// rmcp's, by their ids.
    requests: HashMap<RequestId, Option<WatchedRequest>>,
    /// The requests past rmcp.
    direct: BTreeMap<i64, WaitingCaller>,
    /// Whether the connection is over: no call is answered any more.
    is_over: bool,
}

/// A caller that waits for a request past rmcp.
struct WaitingCaller {
    watched: Option<WatchedRequest>,
    answer: oneshot::Sender<RpcResult>,
}

impl PendingRequests {
    fn watched(&self) -> impl Iterator<Item = &WatchedRequest> {
        let direct = self.direct.values().map(|waiting| &waiting.watched);
        self.requests.values().chain(direct).flatten()
    }
}

/// A server's answer. A result passes as it was written.
pub(super) type RpcResult = Result<Box<RawValue>, RpcError>;

/// The usual answer, which is read in one go. Anything else is looked at more closely.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainResponse<'a> {
    jsonrpc: &'a str,
    id: i64,
    #[serde(borrow)]
    result: &'a RawValue,
}

/// Where the progress of a request goes. It travels with the request to [`InFlightRequests::track`], which knows the token.
#[derive(Clone)]
pub(crate) struct ProgressSender(pub(crate) mpsc::Sender<Value>);

/// A request with progress.
struct WatchedRequest {
    token: Value,
    progress: ProgressSender,
}

impl InFlightRequests {
    pub(crate) fn new(events: Arc<dyn EventHandler>, lifecycle: Lifecycle) -> Self {
        let shared = SharedInFlight {
            lifecycle,
            pending: Mutex::default(),
            next: AtomicI64::new(MIN_RAW_REQUEST_ID),
            handshakes: Mutex::default(),
            server: OnceLock::new(),
            request_meta: OnceLock::new(),
            fault: OnceLock::new(),
            events,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Returns the server's description of itself, in the form of an answer to `initialize`.
    pub(crate) fn initialize_result(&self) -> Value {
        self.shared.server.get().cloned().unwrap_or(Value::Null)
    }

    /// Returns what each request carries in its metadata, if the session began without `initialize`.
    pub(crate) fn request_meta(&self) -> Option<&Map<String, Value>> {
        self.shared.request_meta.get()
    }

    /// Passes on what a server asks the client for.
    pub(crate) async fn forward_request(
        &self,
        method: &str,
        params: Option<Value>,
        call: Option<u64>,
    ) -> Result<Value, RpcError> {
        self.shared.events.on_request(method, params, call).await
    }

    /// Whether a request was to begin the session, and whether it is the last of those.
    fn handshake(&self, id: &RequestId) -> Option<(Handshake, bool)> {
        let handshakes = self.shared.handshakes.lock();
        let at = handshakes.iter().position(|(known, _)| known == id)?;
        Some((handshakes[at].1.clone(), at + 1 == handshakes.len()))
    }

    /// Takes the server's description of itself from the result of a handshake. What servers leave out of a discovery
    /// is filled in, or rmcp would not read it.
    fn learn(&self, handshake: Handshake, result: &mut Value) {
        let Handshake::Discover { meta, .. } = handshake else {
            let _ = self.shared.server.set(result.clone());
            return;
        };
        let Some(fields) = result.as_object_mut() else { return };
        if let Some(Value::Array(versions)) = fields.get_mut("supportedVersions") {
            versions.retain(Value::is_string);
        }
        for (key, usual) in [("resultType", json!("complete")), ("ttlMs", json!(0)), ("cacheScope", json!("private"))] {
            fields.entry(key).or_insert(usual);
        }
        let version = meta.get(PROTOCOL_VERSION_KEY).cloned().unwrap_or_default();
        if fields.get("supportedVersions").and_then(Value::as_array).is_some_and(|known| known.contains(&version)) {
            let about = |key: &str| fields.get(key).cloned().unwrap_or_default();
            let server_info = fields.get("_meta").and_then(|meta| meta.get(SERVER_INFO_KEY)).cloned();
            let server = json!({
                "protocolVersion": version,
                "capabilities": about("capabilities"),
                "serverInfo": server_info.unwrap_or_else(|| about("serverInfo")),
                "instructions": about("instructions"),
            });
            let _ = self.shared.server.set(server);
            let _ = self.shared.request_meta.set(meta);
        }
    }

    /// The server did what no client can go on after.
    pub(crate) fn set_fault(&self, fault: &'static str) {
        let _ = self.shared.fault.set(fault);
    }

    pub(crate) fn fault(&self) -> Option<&'static str> {
        self.shared.fault.get().copied()
    }

    /// A message that goes out.
    pub(crate) fn track(&self, message: &ClientJsonRpcMessage) {
        let JsonRpcMessage::Request(request) = message else { return };
        match request.request {
            ClientRequest::CustomRequest(ref custom) => {
                let token = custom.get_meta().get_progress_token();
                let token = token.and_then(|token| serde_json::to_value(token).ok());
                let progress = custom.extensions.get::<ProgressSender>().cloned();
                let watched = token.zip(progress).map(|(token, progress)| WatchedRequest { token, progress });
                self.pending().requests.insert(request.id.clone(), watched);
            }
            ClientRequest::InitializeRequest(_) => self.began(&request.id, Handshake::Initialize),
            ClientRequest::DiscoverRequest(_) => {
                let meta = match serde_json::to_value(request.request.get_meta()) {
                    Ok(Value::Object(meta)) => meta,
                    _ => Map::new(),
                };
                self.began(&request.id, Handshake::Discover { meta, sent: Instant::now() });
            }
            _ => {}
        }
    }

    /// When a discovery counts as refused, if one is in progress and `initialize` can follow it.
    pub(crate) fn discovery_deadline(&self) -> Option<Instant> {
        if self.shared.server.get().is_some() || self.shared.lifecycle != Lifecycle::Auto {
            return None;
        }
        match self.shared.handshakes.lock().last()? {
            (_, Handshake::Discover { sent, .. }) => Some(*sent + DISCOVER_TIMEOUT),
            _ => None,
        }
    }

    /// How long a discovery may take, where `initialize` can follow it.
    pub(crate) fn discovery_timeout(&self) -> Option<Duration> {
        (self.shared.lifecycle == Lifecycle::Auto).then_some(DISCOVER_TIMEOUT)
    }

    /// The refusal of the discovery in progress.
    pub(crate) fn discovery_refusal(&self) -> Option<ServerJsonRpcMessage> {
        let id = self.shared.handshakes.lock().last()?.0.clone();
        Some(JsonRpcMessage::error(ErrorData::invalid_request(DISCOVERY_TIMEOUT_MESSAGE, None), Some(id)))
    }

    fn began(&self, id: &RequestId, handshake: Handshake) {
        let mut handshakes = self.shared.handshakes.lock();
        // rmcp begins anew with the same request where a session has expired.
        handshakes.retain(|(known, _)| known != id);
        handshakes.push((id.clone(), handshake));
    }

    fn pending(&self) -> MutexGuard<'_, PendingRequests> {
        self.shared.pending.lock()
    }

    /// A request past rmcp: its id, which is its progress token too, and what its answer comes through. None once the
    /// connection has ended. If it ends later, the answer never comes.
    pub(crate) fn register_direct(
        &self,
        progress: Option<mpsc::Sender<Value>>,
    ) -> Option<(i64, oneshot::Receiver<RpcResult>)> {
        let id = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let watched = progress.map(|progress| WatchedRequest { token: id.into(), progress: ProgressSender(progress) });
        let (sender, answer) = oneshot::channel();
        let mut pending = self.pending();
        if pending.is_over {
            return None;
        }
        pending.direct.insert(id, WaitingCaller { watched, answer: sender });
        Some((id, answer))
    }

    /// Forgets a request whose answer is no longer awaited.
    pub(crate) fn forget(&self, id: &RequestId) {
        let mut pending = self.pending();
        pending.requests.remove(id);
        if let RequestId::Number(id) = id {
            pending.direct.remove(id);
        }
    }

    /// Ends the connection: nothing more will be received.
    pub(crate) fn close(&self) {
        let mut pending = self.pending();
        pending.is_over = true;
        pending.requests.clear();
        pending.direct.clear();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.pending().is_over
    }

    /// Whether the session began without `initialize`.
    pub(crate) fn is_modern(&self) -> bool {
        self.request_meta().is_some()
    }

    /// Returns a result, or an error if it is of a kind that was not asked for: the handle of a task looks like a result
    /// with nothing in it.
    ///
    /// Source: SEP-2663.
    fn passable(&self, result: Box<RawValue>) -> RpcResult {
        let kind = malformed::result_type(result.get());
        match malformed::unsupported_type_reason(kind.as_deref(), self.is_modern()) {
            None => Ok(result),
            Some(why) => {
                Err(RpcError { code: INTERNAL_ERROR, message: format!("the server's answer {why}"), data: None })
            }
        }
    }

    /// Passes on a result in its usual form, past rmcp. Returns whether it was one.
    pub(crate) fn try_deliver(&self, bytes: &[u8]) -> bool {
        // A client that takes `\r` for the end of a line would read what stands behind it as another message.
        if memchr(b'\r', bytes).is_some() {
            return false;
        }
        let Ok(text) = std::str::from_utf8(bytes) else { return false };
        if !unpaired_surrogates(bytes).is_empty() {
            return false;
        }
        let Ok(PlainResponse { jsonrpc: "2.0", id, result }) = serde_json::from_str(text) else { return false };
        let Some(waiting) = self.pending().direct.remove(&id) else { return false };
        // The caller may have given up just now.
        let _ = waiting.answer.send(self.passable(result.to_owned()));
        true
    }

    /// Returns the caller that waits for an answer: whether rmcp does, or the request past it.
    fn taken(&self, id: &RequestId) -> (bool, Option<WaitingCaller>) {
        let mut pending = self.pending();
        let direct = match id {
            RequestId::Number(id) => pending.direct.remove(id),
            RequestId::String(_) => None,
        };
        (pending.requests.remove(id).is_some(), direct)
    }

    /// The id of a request of ours that a response means. Some servers write numbers as strings, or with a fraction.
    fn own_id(&self, id: &Value) -> Option<RequestId> {
        let as_number = match id {
            Value::String(text) => text.parse::<i64>().ok(),
            Value::Number(number) if number.is_f64() => {
                number.to_string().strip_suffix(".0").and_then(|id| id.parse().ok())
            }
            _ => None,
        };
        let is_ours = |id: &RequestId| {
            let pending = self.pending();
            let is_direct = matches!(id, RequestId::Number(id) if pending.direct.contains_key(id));
            is_direct || pending.requests.contains_key(id) || self.handshake(id).is_some()
        };
        let as_written = || serde_json::from_value::<RequestId>(id.clone()).ok();
        as_number.map(RequestId::Number).filter(is_ours).or_else(as_written)
    }

    /// A received message in rmcp's form; none for noise. Notifications are reported on the way.
    pub(crate) async fn receive(&self, bytes: &[u8]) -> Option<ServerJsonRpcMessage> {
        let mut message = malformed::parse_message(bytes)?;
        let fields = message.as_object_mut()?;
        let id = match fields.contains_key("method") {
            true => fields.get("id").and_then(|id| serde_json::from_value::<RequestId>(id.clone()).ok()),
            false => fields.get("id").and_then(|id| self.own_id(id)),
        };
        if let Some(id) = id.as_ref().and_then(|id| serde_json::to_value(id).ok()) {
            fields.insert("id".into(), id);
        }
        let handshake = id.as_ref().and_then(|id| self.handshake(id));
        if handshake.is_none() && std::str::from_utf8(bytes).is_err() {
            malformed::replace_non_list(fields, "is not UTF-8");
        }
        let method = fields.get("method").and_then(Value::as_str).map(str::to_owned);
        match (method, id) {
            // Too late: rmcp waits for the answer to the next one.
            (None, Some(_)) if matches!(handshake, Some((_, false))) => return None,
            (None, Some(id)) => {
                let (known, waiting) = self.taken(&id);
                if let Some(waiting) = waiting {
                    // The caller may have given up just now.
                    let _ = waiting.answer.send(answer_of(fields).and_then(|result| self.passable(result)));
                    return None;
                }
                if let Some(result) = fields.get_mut("result") {
                    if let Some((handshake, _)) = handshake {
                        self.learn(handshake, result);
                    }
                    let kind = result["resultType"].as_str();
                    if let Some(why) = malformed::unsupported_type_reason(kind, self.is_modern()).filter(|_| known) {
                        malformed::replace_with_error(fields, why);
                    } else if known {
                        *result = Value::String(result.to_string());
                    }
                }
            }
            (Some(method), None) if method == "notifications/progress" => {
                let params = fields.get("params")?;
                let pending = self.pending();
                // Progress of a request that has ended, or that nobody watches, is noise.
                if let Some(watched) =
                    pending.watched().find(|watched| params.get("progressToken") == Some(&watched.token))
                {
                    let _ = watched.progress.0.try_send(params.clone());
                }
                return None;
            }
            (Some(method), None) => {
                self.shared.events.on_notification(&method, fields.get("params").cloned()).await;
                // Of what it hears, rmcp needs only what ends the server's own requests.
                if method != "notifications/cancelled" {
                    return None;
                }
            }
            (Some(method), Some(_)) if method != "ping" => {
                let params = fields.shift_remove("params");
                fields.insert("method".into(), REQUEST_METHOD.into());
                fields.insert("params".into(), json!({"method": method, "params": params}));
            }
            _ => {}
        }
        serde_json::from_value(message).ok()
    }
}

/// Reads an answer. One without a valid result or error becomes an error, or its request would wait in vain.
fn answer_of(fields: &mut Map<String, Value>) -> RpcResult {
    let result = fields.shift_remove("result").and_then(|result| to_raw_value(&result).ok());
    let error = fields.shift_remove("error").and_then(|error| serde_json::from_value::<ErrorData>(error).ok());
    let invalid = || RpcError { code: INTERNAL_ERROR, message: "the server's answer is not valid".into(), data: None };
    result.ok_or_else(|| error.map_or_else(invalid, RpcError::from))
}

/// The client as rmcp runs it: what it says of itself, and where what comes goes.
pub(crate) struct ClientService {
    info: ClientConfig,
    events: Arc<dyn EventHandler>,
}

impl ClientService {
    pub(crate) fn new(info: ClientConfig, events: Arc<dyn EventHandler>) -> Self {
        Self { info, events }
    }
}

impl Service<RoleClient> for ClientService {
    async fn handle_request(
        &self,
        request: ServerRequest,
        _: RequestContext<RoleClient>,
    ) -> Result<ClientResult, ErrorData> {
        match request {
            ServerRequest::PingRequest(_) => Ok(ClientResult::empty(())),
            ServerRequest::CustomRequest(CustomRequest { method, params: Some(mut asked), .. })
                if method == REQUEST_METHOD =>
            {
                let method = asked["method"].as_str().unwrap_or_default().to_owned();
                let params = Some(asked["params"].take()).filter(|params| !params.is_null());
                let answer = self.events.on_request(&method, params, None).await?;
                Ok(ClientResult::CustomResult(CustomResult::new(answer)))
            }
            _ => Err(RpcError::method_not_found("").into()),
        }
    }

    async fn handle_notification(
        &self,
        _: ServerNotification,
        _: NotificationContext<RoleClient>,
    ) -> Result<(), ErrorData> {
        // They were reported when they came.
        Ok(())
    }

    fn get_info(&self) -> ClientConfig {
        self.info.clone()
    }
}
