//! Messages that bypass rmcp's types, which drop unknown fields.
//!
//! rmcp keeps the ids, timeouts and versions. What it would parse into its own types is wrapped so that it only
//! passes it on: a result becomes a JSON string, a server's request a custom one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rmcp::model::{
    ClientConfig, ClientJsonRpcMessage, ClientRequest, ClientResult, CustomRequest, CustomResult, ErrorData, GetMeta,
    JsonRpcMessage, RequestId, ServerJsonRpcMessage, ServerNotification, ServerRequest,
};
use rmcp::service::{NotificationContext, RequestContext, RoleClient, Service};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::events::{Events, RpcError};

/// The method under which a server's request is passed on.
const ASKED: &str = "aiw/asked";

/// What is in progress on one connection.
#[derive(Clone)]
pub(crate) struct Raw {
    shared: Arc<Shared>,
}

struct Shared {
    /// Requests whose results are passed on unchanged.
    pending: Mutex<HashMap<RequestId, Option<Watched>>>,
    /// The request that begins the session, and what was answered.
    first: OnceLock<RequestId>,
    server: OnceLock<Value>,
    /// What the server did wrong, so that the connection was ended.
    fault: OnceLock<&'static str>,
    events: Arc<dyn Events>,
}

/// Where the progress of a request goes. It travels with the request to [`Raw::sent`], which knows the token.
#[derive(Clone)]
pub(crate) struct Progress(pub(crate) mpsc::Sender<Value>);

/// A request with progress.
struct Watched {
    token: Value,
    progress: Progress,
}

impl Raw {
    pub(crate) fn new(events: Arc<dyn Events>) -> Self {
        let shared = Shared {
            pending: Mutex::default(),
            first: OnceLock::new(),
            server: OnceLock::new(),
            fault: OnceLock::new(),
            events,
        };
        Self { shared: Arc::new(shared) }
    }

    /// What the server answered to `initialize`.
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
                let progress = custom.extensions.get::<Progress>().cloned();
                let watched = token.zip(progress).map(|(token, progress)| Watched { token, progress });
                self.pending().insert(request.id.clone(), watched);
            }
            ClientRequest::InitializeRequest(_) => drop(self.shared.first.set(request.id.clone())),
            _ => {}
        }
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<RequestId, Option<Watched>>> {
        self.shared.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody waits for this request's answer anymore.
    pub(crate) fn forget(&self, id: &RequestId) {
        self.pending().remove(id);
    }

    /// A received message in rmcp's form; none for noise. Notifications are reported on the way.
    pub(crate) async fn received(&self, bytes: &[u8]) -> Option<ServerJsonRpcMessage> {
        let mut message: Value = serde_json::from_slice(bytes).ok()?;
        let fields = message.as_object_mut()?;
        let id = fields.get("id").and_then(|id| serde_json::from_value::<RequestId>(id.clone()).ok());
        let method = fields.get("method").and_then(Value::as_str).map(str::to_owned);
        match (method, id) {
            (None, Some(id)) => {
                let known = self.pending().remove(&id).is_some();
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
                let mut watched = pending.values().flatten();
                // Progress of a request that has ended, or that nobody watches, is noise.
                if let Some(watched) = watched.find(|watched| params.get("progressToken") == Some(&watched.token)) {
                    let _ = watched.progress.0.try_send(params.clone());
                }
                return None;
            }
            (Some(method), None) => {
                self.shared.events.notified(&method, fields.get("params").cloned()).await;
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

/// What answers the server.
pub(crate) struct Back {
    info: ClientConfig,
    events: Arc<dyn Events>,
}

impl Back {
    pub(crate) fn new(info: ClientConfig, events: Arc<dyn Events>) -> Self {
        Self { info, events }
    }
}

impl Service<RoleClient> for Back {
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
