//! What a server says without being asked: changes of its lists, log messages, and questions for the client.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use aiw_core::{one_line, quoted};
use aiw_mcp::{Caller, ClientError, Events, RpcError};
use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::Notify;

/// How long a client may take for an answer: a person may have to read the question.
const PATIENCE: Duration = Duration::from_secs(600);

/// How many messages of a server pass on each second. A server that floods the client would hold up the others.
const RATE: u64 = 100;

/// The client of a session, once it is known.
pub(crate) type Known = Arc<RwLock<Option<Caller>>>;

/// Relays between one server and the client.
pub(crate) struct Relay {
    server: String,
    client: Known,
    /// The client's requests that the server works on; a question of the server belongs to the last one.
    asking: Mutex<Vec<(u64, Caller)>>,
    next: AtomicU64,
    /// The server's lists have changed.
    pub(crate) changed: Notify,
    window: Mutex<(Option<Instant>, u64)>,
    /// The resources that the client follows: the server's URI, and the client's.
    subscribed: Mutex<HashMap<String, String>>,
}

impl Relay {
    pub(crate) fn new(server: &str, client: Known) -> Arc<Self> {
        Arc::new(Self {
            server: server.to_owned(),
            client,
            asking: Mutex::default(),
            next: AtomicU64::default(),
            changed: Notify::new(),
            window: Mutex::default(),
            subscribed: Mutex::default(),
        })
    }

    /// The server works on a request of this client until the value is dropped.
    pub(crate) fn during(self: &Arc<Self>, caller: Caller) -> During {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.asking.lock().unwrap_or_else(PoisonError::into_inner).push((number, caller));
        During { relay: self.clone(), number }
    }

    /// The client follows a resource, which it knows by another URI.
    pub(crate) fn subscribe(&self, own: &str, shown: &str) {
        let mut subscribed = self.subscribed.lock().unwrap_or_else(PoisonError::into_inner);
        subscribed.insert(own.to_owned(), shown.to_owned());
    }

    /// The client follows a resource no longer.
    pub(crate) fn unsubscribe(&self, own: &str) {
        self.subscribed.lock().unwrap_or_else(PoisonError::into_inner).remove(own);
    }

    /// The parameters of a message under the client's URI; none if the client does not follow the resource.
    fn under_its_uri(&self, params: Option<Value>) -> Option<Value> {
        let mut params = params?;
        let subscribed = self.subscribed.lock().unwrap_or_else(PoisonError::into_inner);
        params["uri"] = subscribed.get(params.get("uri")?.as_str()?)?.as_str().into();
        Some(params)
    }

    /// A log message that says which server it is from: no server speaks in the name of another one, or of aiw.
    fn under_its_name(&self, params: Option<Value>) -> Option<Value> {
        let mut params = params.filter(Value::is_object)?;
        let logger = params.get("logger").and_then(Value::as_str);
        let logger = logger.map(|logger| format!("/{}", one_line(logger, 60))).unwrap_or_default();
        params["logger"] = format!("{}{logger}", one_line(&self.server, 60)).into();
        Some(params)
    }

    /// A question that says which server asks it: the client knows only aiw.
    fn as_its_question(&self, method: &str, mut params: Value) -> Value {
        let server = quoted(&self.server);
        let text = |field: &str| params.get(field).and_then(Value::as_str).unwrap_or_default();
        match method {
            "elicitation/create" => {
                params["message"] = format!("The MCP server {server} asks: {}", text("message")).into();
            }
            "sampling/createMessage" => {
                let own = text("systemPrompt");
                let prompt = format!("This request is from the MCP server {server}.\n\n{own}");
                params["systemPrompt"] = prompt.trim_end().into();
            }
            _ => {}
        }
        params
    }

    /// Returns the client's capabilities for the server.
    pub(crate) fn capabilities(&self) -> Value {
        let client = self.client.read().unwrap_or_else(PoisonError::into_inner);
        let known = client.as_ref().map(|client| client.capabilities().clone()).unwrap_or_default();
        let relayed = ["sampling", "elicitation", "roots"];
        let relayed = relayed.iter().filter_map(|kind| Some(((*kind).to_owned(), known.get(*kind)?.clone())));
        Value::Object(relayed.collect())
    }

    fn asker(&self) -> Option<Caller> {
        let asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        let last = asking.last().map(|(_, caller)| caller.clone());
        last.or_else(|| self.client.read().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn is_within_rate(&self) -> bool {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.0.is_none_or(|start| start.elapsed() > Duration::from_secs(1)) {
            *window = (Some(Instant::now()), 0);
        }
        window.1 += 1;
        window.1 <= RATE
    }
}

/// See [`Relay::during`].
pub(crate) struct During {
    relay: Arc<Relay>,
    number: u64,
}

impl Drop for During {
    fn drop(&mut self) {
        let mut asking = self.relay.asking.lock().unwrap_or_else(PoisonError::into_inner);
        asking.retain(|(number, _)| *number != self.number);
    }
}

#[async_trait]
impl Events for Relay {
    async fn notified(&self, method: &str, params: Option<Value>) {
        match method {
            "notifications/tools/list_changed"
            | "notifications/prompts/list_changed"
            | "notifications/resources/list_changed" => self.changed.notify_one(),
            "notifications/message" | "notifications/resources/updated" | "notifications/elicitation/complete"
                if self.is_within_rate() =>
            {
                // The last request may have asked for log messages.
                let client = match method {
                    "notifications/message" => self.asker(),
                    _ => self.client.read().unwrap_or_else(PoisonError::into_inner).clone(),
                };
                let params = match method {
                    // A server speaks of its own resources alone.
                    "notifications/resources/updated" => self.under_its_uri(params),
                    "notifications/message" => self.under_its_name(params),
                    _ => params,
                };
                if let (Some(client), Some(_)) = (client, &params) {
                    // It may be gone.
                    let _ = client.notify(method, params).await;
                }
            }
            _ => {}
        }
    }

    async fn asked(&self, method: &str, params: Option<Value>) -> Result<Value, RpcError> {
        let kind = match method {
            "sampling/createMessage" => "sampling",
            "elicitation/create" => "elicitation",
            "roots/list" => "roots",
            _ => return Err(RpcError::no_method(method)),
        };
        // What is no object could not be marked as the server's.
        let params = match params {
            Some(params) if params.is_object() => Some(self.as_its_question(method, params)),
            None if kind == "roots" => None,
            _ => return Err(RpcError::invalid(&format!("the parameters of `{method}` are no object"))),
        };
        let asker = self.asker().filter(|caller| caller.capabilities().get(kind).is_some());
        let Some(asker) = asker else { return Err(RpcError::no_method(method)) };
        asker.ask(method, params, PATIENCE).await.map_err(|e| match e {
            ClientError::Rpc(e) => e,
            other => RpcError { code: -32603, message: other.to_string(), data: None },
        })
    }
}
