//! Messages that bypass rmcp's types, which drop unknown fields.
//!
//! Over HTTP, rmcp keeps the ids and timeouts. What it would parse into its own types is wrapped so that it only passes
//! it on: a result becomes a JSON string, a server's request a custom one. Over lines, answers don't go through rmcp.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

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

use super::events::{Events, RpcError};

/// The method under which a server's request is passed on.
const ASKED: &str = "aiw/asked";

/// The first id of the requests past rmcp.
const FIRST_ID: i64 = 100;

/// The deepest nesting of an answer that is looked into. Parsers give up at 128.
const MAX_DEPTH: usize = 100;

/// The answers of which deep items may be cut.
const LISTS: [&str; 4] = ["tools", "prompts", "resources", "resourceTemplates"];

/// The requests in progress on one connection.
#[derive(Clone)]
pub(crate) struct Raw {
    shared: Arc<SharedRaw>,
}

struct SharedRaw {
    /// Requests whose results are passed on unchanged.
    pending: Mutex<PendingRequests>,
    /// The id of the next request past rmcp. rmcp has the first ids, for the beginning of the session.
    next: AtomicI64,
    /// The request that begins the session, and what was answered.
    first: OnceLock<RequestId>,
    server: OnceLock<Value>,
    /// The server's fault for which the connection was ended.
    fault: OnceLock<&'static str>,
    events: Arc<dyn Events>,
}

/// See [`SharedRaw::pending`].
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
    answer: oneshot::Sender<ToolAnswer>,
}

impl PendingRequests {
    fn watched(&self) -> impl Iterator<Item = &WatchedRequest> {
        let direct = self.direct.values().map(|waiting| &waiting.watched);
        self.requests.values().chain(direct).flatten()
    }
}

/// A server's answer. A result passes as it was written.
pub(super) type ToolAnswer = Result<Box<RawValue>, RpcError>;

/// The usual answer, which is read in one go. Anything else is looked at more closely.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainAnswer<'a> {
    jsonrpc: &'a str,
    id: i64,
    #[serde(borrow)]
    result: &'a RawValue,
}

/// Where the progress of a request goes. It travels with the request to [`Raw::sent`], which knows the token.
#[derive(Clone)]
pub(crate) struct ProgressSender(pub(crate) mpsc::Sender<Value>);

/// A request with progress.
struct WatchedRequest {
    token: Value,
    progress: ProgressSender,
}

impl Raw {
    pub(crate) fn new(events: Arc<dyn Events>) -> Self {
        let shared = SharedRaw {
            pending: Mutex::default(),
            next: AtomicI64::new(FIRST_ID),
            first: OnceLock::new(),
            server: OnceLock::new(),
            fault: OnceLock::new(),
            events,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Returns the server's answer to `initialize`.
    pub(crate) fn server(&self) -> Value {
        self.shared.server.get().cloned().unwrap_or(Value::Null)
    }

    /// The server did what no client can go on after.
    pub(crate) fn failed(&self, fault: &'static str) {
        let _ = self.shared.fault.set(fault);
    }

    pub(crate) fn fault(&self) -> Option<&'static str> {
        self.shared.fault.get().copied()
    }

    /// A message that goes out.
    pub(crate) fn sent(&self, message: &ClientJsonRpcMessage) {
        let JsonRpcMessage::Request(request) = message else { return };
        match request.request {
            ClientRequest::CustomRequest(ref custom) => {
                let token = custom.get_meta().get_progress_token();
                let token = token.and_then(|token| serde_json::to_value(token).ok());
                let progress = custom.extensions.get::<ProgressSender>().cloned();
                let watched = token.zip(progress).map(|(token, progress)| WatchedRequest { token, progress });
                self.pending().requests.insert(request.id.clone(), watched);
            }
            ClientRequest::InitializeRequest(_) => drop(self.shared.first.set(request.id.clone())),
            _ => {}
        }
    }

    fn pending(&self) -> MutexGuard<'_, PendingRequests> {
        self.shared.pending.lock()
    }

    /// A request past rmcp: its id, which is its progress token too, and what its answer comes through. None once the
    /// connection has ended. If it ends later, the answer never comes.
    pub(crate) fn expect(&self, progress: Option<mpsc::Sender<Value>>) -> Option<(i64, oneshot::Receiver<ToolAnswer>)> {
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
    pub(crate) fn over(&self) {
        let mut pending = self.pending();
        pending.is_over = true;
        pending.requests.clear();
        pending.direct.clear();
    }

    pub(crate) fn is_over(&self) -> bool {
        self.pending().is_over
    }

    /// Passes on a result in its usual form, past rmcp. Returns whether it was one.
    pub(crate) fn is_passed_on(&self, bytes: &[u8]) -> bool {
        // A client that takes `\r` for the end of a line would read what stands behind it as another message.
        if memchr(b'\r', bytes).is_some() {
            return false;
        }
        let Ok(text) = std::str::from_utf8(bytes) else { return false };
        let Ok(PlainAnswer { jsonrpc: "2.0", id, result }) = serde_json::from_str(text) else { return false };
        let Some(waiting) = self.pending().direct.remove(&id) else { return false };
        // The caller may have given up just now.
        let _ = waiting.answer.send(Ok(result.to_owned()));
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

    /// A received message in rmcp's form; none for noise. Notifications are reported on the way.
    pub(crate) async fn received(&self, bytes: &[u8]) -> Option<ServerJsonRpcMessage> {
        let whole = serde_json::from_slice(bytes).ok();
        let is_whole = whole.is_some();
        let mut message: Value = whole.or_else(|| serde_json::from_slice(&shallow(bytes)?).ok())?;
        let fields = message.as_object_mut()?;
        if !is_whole {
            if fields.contains_key("method") {
                return None;
            }
            if !fields.get("result").is_some_and(is_list) {
                fields.shift_remove("result");
                fields.insert("error".into(), json!({"code": INTERNAL, "message": too_deep()}));
            }
        }
        let id = fields.get("id").and_then(|id| serde_json::from_value::<RequestId>(id.clone()).ok());
        let method = fields.get("method").and_then(Value::as_str).map(str::to_owned);
        match (method, id) {
            (None, Some(id)) => {
                let (known, waiting) = self.taken(&id);
                if let Some(waiting) = waiting {
                    // The caller may have given up just now.
                    let _ = waiting.answer.send(answer_of(fields));
                    return None;
                }
                if let Some(result) = fields.get_mut("result") {
                    if self.shared.first.get() == Some(&id) {
                        let _ = self.shared.server.set(result.clone());
                    }
                    if known {
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
                self.shared.events.notified(&method, fields.get("params").cloned()).await;
                // Of what it hears, rmcp needs only what ends the server's own requests.
                if method != "notifications/cancelled" {
                    return None;
                }
            }
            (Some(method), Some(_)) if method != "ping" => {
                let params = fields.shift_remove("params");
                fields.insert("method".into(), ASKED.into());
                fields.insert("params".into(), json!({"method": method, "params": params}));
            }
            _ => {}
        }
        serde_json::from_value(message).ok()
    }
}

/// JSON in which what is nested too deeply is null. None if nothing is.
fn shallow(json: &[u8]) -> Option<Vec<u8>> {
    let mut kept = Vec::new();
    let (mut depth, mut in_string, mut is_escaped, mut is_cut) = (0usize, false, false, false);
    for &byte in json {
        let was_deep = depth > MAX_DEPTH;
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        match (was_deep, depth > MAX_DEPTH) {
            (false, false) => kept.push(byte),
            (false, true) => {
                is_cut = true;
                kept.extend_from_slice(b"null");
            }
            (true, _) => {}
        }
    }
    is_cut.then_some(kept)
}

/// The code of an answer that no client could use.
const INTERNAL: i32 = -32603;

/// Of a list, the items that are not too deep are worth having. Anything else would say what the server did not.
fn is_list(result: &Value) -> bool {
    LISTS.iter().any(|list| result[list].is_array())
}

fn too_deep() -> String {
    format!("the server's answer is nested more than {MAX_DEPTH} levels deep")
}

/// Parses a result. Items of a list that are nested too deeply are cut; another result that deep is an error.
pub fn value_of(result: &RawValue) -> Result<Value, RpcError> {
    let text = result.get();
    serde_json::from_str(text).or_else(|_| {
        let cut = shallow(text.as_bytes()).and_then(|cut| serde_json::from_slice(&cut).ok());
        cut.filter(is_list).ok_or_else(|| RpcError { code: INTERNAL, message: too_deep(), data: None })
    })
}

/// Reads an answer. One without a valid result or error becomes an error, or its request would wait in vain.
fn answer_of(fields: &mut Map<String, Value>) -> ToolAnswer {
    let result = fields.shift_remove("result").and_then(|result| to_raw_value(&result).ok());
    let error = fields.shift_remove("error").and_then(|error| serde_json::from_value::<ErrorData>(error).ok());
    let invalid = || RpcError { code: INTERNAL, message: "the server's answer is not valid".into(), data: None };
    result.ok_or_else(|| error.map_or_else(invalid, RpcError::from))
}

/// The client as rmcp runs it: what it says of itself, and where what comes goes.
pub(crate) struct ClientService {
    info: ClientConfig,
    events: Arc<dyn Events>,
}

impl ClientService {
    pub(crate) fn new(info: ClientConfig, events: Arc<dyn Events>) -> Self {
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
            ServerRequest::CustomRequest(CustomRequest { method, params: Some(mut asked), .. }) if method == ASKED => {
                let method = asked["method"].as_str().unwrap_or_default().to_owned();
                let params = Some(asked["params"].take()).filter(|params| !params.is_null());
                let answer = self.events.asked(&method, params).await?;
                Ok(ClientResult::CustomResult(CustomResult::new(answer)))
            }
            _ => Err(RpcError::no_method("").into()),
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
