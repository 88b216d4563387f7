//! What a server says without being asked: changes of its lists, log messages, and questions for the client.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_core::one_line;
use aiw_mcp::{Caller, ClientError, EventHandler, RpcError, UI_EXTENSION};
use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::questions::filter_question;

/// How long a client may take for an answer: a person may have to read the question.
const CLIENT_RESPONSE_TIMEOUT: Duration = Duration::from_secs(600);

/// How many messages of a server pass on each second, how long one may be, and how many bytes of them pass. A server
/// that floods the client would hold up the others.
const MAX_MESSAGES_PER_SECOND: u64 = 100;
const MAX_MESSAGE_BYTES: usize = 64 << 10;
const MAX_BYTES_PER_SECOND: usize = 1 << 20;

/// How many questions of a server wait for answers at once.
const MAX_OPEN_QUESTIONS: usize = 3;

/// The client of a session, once it is known.
pub(crate) type SharedCaller = Arc<RwLock<Option<Caller>>>;

/// Relays between one server and its clients.
pub(crate) struct NotificationRouter {
    server: String,
    /// None for a server that several sessions share: it belongs to no client, so what is not about one of its calls is
    /// for nobody.
    client: Option<SharedCaller>,
    calls: Mutex<ServerCalls<Caller>>,
    /// The server's lists have changed.
    pub(crate) list_changed: Notify,
    window: Mutex<Window>,
    /// The resources that the client follows: the server's URI, and the client's.
    subscribed: Mutex<HashMap<String, String>>,
    /// The client follows other resources.
    pub(crate) subscriptions_changed: Notify,
}

/// The requests that a server works on, each with its client, and the questions that it has asked meanwhile.
struct ServerCalls<C> {
    open: Vec<(u64, C)>,
    next: u64,
    questions: usize,
}

impl<C> Default for ServerCalls<C> {
    fn default() -> Self {
        Self { open: Vec::new(), next: 0, questions: 0 }
    }
}

impl<C: Clone> ServerCalls<C> {
    fn begin(&mut self, client: C) -> u64 {
        self.next += 1;
        self.open.push((self.next, client));
        self.next
    }

    fn end(&mut self, number: u64) {
        self.open.retain(|(other, _)| *other != number);
    }

    /// The client of a call.
    fn numbered(&self, number: u64) -> Option<C> {
        self.open.iter().find(|(open, _)| *open == number).map(|(_, client)| client.clone())
    }

    /// The client that made the last call. Of which session's call a server speaks is not said, so with calls of
    /// several it speaks to nobody.
    fn client(&self, is_same: impl Fn(&C, &C) -> bool) -> Option<C> {
        let (_, last) = self.open.last()?;
        self.open.iter().all(|(_, other)| is_same(last, other)).then(|| last.clone())
    }
}

/// The bytes that passed in the last second.
#[derive(Default)]
struct Window {
    since: Option<Instant>,
    messages: u64,
    bytes: usize,
}

impl Window {
    /// Whether a message of this length may pass now.
    fn admits(&mut self, length: usize, now: Instant) -> bool {
        if self.since.is_none_or(|since| now.duration_since(since) > Duration::from_secs(1)) {
            *self = Self { since: Some(now), ..Self::default() };
        }
        let fits = length <= MAX_MESSAGE_BYTES
            && self.messages < MAX_MESSAGES_PER_SECOND
            && self.bytes + length <= MAX_BYTES_PER_SECOND;
        if fits {
            self.messages += 1;
            self.bytes += length;
        }
        fits
    }
}

impl NotificationRouter {
    pub(crate) fn new(server: &str, client: Option<SharedCaller>) -> Arc<Self> {
        Arc::new(Self {
            server: server.to_owned(),
            client,
            calls: Mutex::default(),
            list_changed: Notify::new(),
            window: Mutex::default(),
            subscribed: Mutex::default(),
            subscriptions_changed: Notify::new(),
        })
    }

    /// The server works on a request of this client until the value is dropped.
    pub(crate) fn track_call(self: &Arc<Self>, caller: Caller) -> CallGuard {
        CallGuard { relay: self.clone(), number: self.calls().begin(caller) }
    }

    fn calls(&self) -> parking_lot::MutexGuard<'_, ServerCalls<Caller>> {
        self.calls.lock()
    }

    /// The client follows a resource, which it knows by another URI. Returns the URI of an earlier subscription.
    pub(crate) fn subscribe(&self, own: &str, shown: &str) -> Option<String> {
        self.subscribed.lock().insert(own.to_owned(), shown.to_owned())
    }

    /// The client follows a resource no longer.
    pub(crate) fn unsubscribe(&self, own: &str) {
        self.subscribed.lock().remove(own);
    }

    /// Returns the server's URIs of the resources that the client follows.
    pub(crate) fn followed_uris(&self) -> Vec<String> {
        self.subscribed.lock().keys().cloned().collect()
    }

    /// The parameters of a message under the client's URI; none if the client does not follow the resource.
    fn under_its_uri(&self, params: Option<Value>) -> Option<Value> {
        let mut params = params?;
        let subscribed = self.subscribed.lock();
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

    /// Returns the client's capabilities for the server.
    pub(crate) fn capabilities(&self) -> Value {
        let known = self.session().map(|client| client.capabilities().clone()).unwrap_or_default();
        let relayed = ["sampling", "elicitation", "roots"];
        let relayed = relayed.iter().filter_map(|kind| Some(((*kind).to_owned(), known.get(*kind)?.clone())));
        let apps =
            known["extensions"].get(UI_EXTENSION).map(|apps| ("extensions".to_owned(), json!({ UI_EXTENSION: apps })));
        Value::Object(relayed.chain(apps).collect())
    }

    /// The client of the session that the server belongs to.
    fn session(&self) -> Option<Caller> {
        self.client.as_ref()?.read().clone()
    }

    /// The client whose request the server works on.
    fn asker(&self) -> Option<Caller> {
        self.calls().client(|one, other| self.client.is_some() || one.is_same_session(other))
    }

    /// Whether a message of the server's may pass on: those of a second are bounded in number and size.
    pub(crate) fn is_within_rate_limit(&self, message: &Value) -> bool {
        let length = message.to_string().len();
        self.window.lock().admits(length, Instant::now())
    }

    /// Counts a question while it is open. None if as many are as may be.
    fn open_question(&self) -> Option<OpenQuestion<'_>> {
        let mut calls = self.calls();
        (calls.questions < MAX_OPEN_QUESTIONS).then(|| {
            calls.questions += 1;
            OpenQuestion(self)
        })
    }
}

/// A question that waits for its answer.
struct OpenQuestion<'a>(&'a NotificationRouter);

impl Drop for OpenQuestion<'_> {
    fn drop(&mut self) {
        self.0.calls().questions -= 1;
    }
}

/// See [`NotificationRouter::track_call`].
pub(crate) struct CallGuard {
    relay: Arc<NotificationRouter>,
    number: u64,
}

impl CallGuard {
    /// The number of the call, with which [`Events::on_request`] knows its client.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        self.relay.calls().end(self.number);
    }
}

#[async_trait]
impl EventHandler for NotificationRouter {
    async fn on_notification(&self, method: &str, params: Option<Value>) {
        match method {
            "notifications/tools/list_changed"
            | "notifications/prompts/list_changed"
            | "notifications/resources/list_changed" => self.list_changed.notify_one(),
            "notifications/message" | "notifications/resources/updated" | "notifications/elicitation/complete"
                if params.as_ref().is_some_and(|params| self.is_within_rate_limit(params)) =>
            {
                // The last request may have asked for log messages.
                let client = match method {
                    "notifications/message" => self.asker().or_else(|| self.session()),
                    _ => self.session(),
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

    async fn on_request(&self, method: &str, params: Option<Value>, call: Option<u64>) -> Result<Value, RpcError> {
        // Servers ask for roots as they start; a person is asked only about what they have begun.
        let asker = match (call, method) {
            (Some(call), _) => self.calls().numbered(call),
            (None, "roots/list") => self.asker().or_else(|| self.session()),
            (None, _) => self.asker(),
        };
        let Some(asker) = asker else {
            let problem = "a question is passed on during a call, and while only one session has calls";
            let is_known = ["sampling/createMessage", "elicitation/create", "roots/list"].contains(&method);
            return Err(if is_known { refused(problem) } else { RpcError::method_not_found(method) });
        };
        let params = filter_question(&self.server, method, params, asker.capabilities())?;
        let Some(_question) = self.open_question() else {
            return Err(refused(&format!("{MAX_OPEN_QUESTIONS} questions of this server wait for answers already")));
        };
        asker.send_request(method, params, CLIENT_RESPONSE_TIMEOUT).await.map_err(|e| match e {
            ClientError::Rpc(e) => e,
            other => RpcError { code: -32603, message: other.to_string(), data: None },
        })
    }
}

/// The refusal of a question that could be asked at another time.
fn refused(problem: &str) -> RpcError {
    RpcError { code: -32603, message: problem.to_owned(), data: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_calls_of_two_sessions_a_server_speaks_to_none() {
        let mut calls = ServerCalls::default();
        let client = |calls: &ServerCalls<char>| calls.client(|one, other| one == other);
        assert_eq!(client(&calls), None);
        let first = calls.begin('a');
        let second = calls.begin('a');
        assert_eq!(client(&calls), Some('a'));
        let other = calls.begin('b');
        assert_eq!(client(&calls), None);
        calls.end(first);
        assert_eq!(client(&calls), None);
        calls.end(second);
        assert_eq!(client(&calls), Some('b'));
        calls.end(other);
        assert_eq!(client(&calls), None);
    }

    #[test]
    fn messages_are_bounded_in_number_and_size() {
        let (mut window, now) = (Window::default(), Instant::now());
        assert!(!window.admits(MAX_MESSAGE_BYTES + 1, now));
        let passed = (0..1000).filter(|_| window.admits(MAX_MESSAGE_BYTES, now)).count();
        assert_eq!(passed, MAX_BYTES_PER_SECOND / MAX_MESSAGE_BYTES);
        let later = now + Duration::from_millis(1001);
        assert_eq!((0..1000).filter(|_| window.admits(10, later)).count(), 100);
    }

    #[test]
    fn a_flood_of_progress_and_log_messages_shares_one_bound() {
        let relay = NotificationRouter::new("x", None);
        let begun = Instant::now();
        let step = json!({"progressToken": 1, "progress": 1});
        let logged = json!({"level": "info", "data": "flood"});
        let passed =
            (0..10_000).flat_map(|_| [&step, &logged]).filter(|message| relay.is_within_rate_limit(message)).count();
        // Each second that it took has its own hundred.
        let most = 100 * (begun.elapsed().as_secs() + 1);
        assert!(passed >= 100 && passed as u64 <= most, "{passed} of {most}");
        assert!(!relay.is_within_rate_limit(&json!({"progressToken": 1, "message": "x".repeat(MAX_MESSAGE_BYTES)})));
    }

    #[test]
    fn only_three_questions_of_a_server_are_open() {
        let relay = NotificationRouter::new("x", None);
        let mut open: Vec<_> = (0..MAX_OPEN_QUESTIONS).map(|_| relay.open_question().unwrap()).collect();
        assert!(relay.open_question().is_none());
        open.pop();
        let again = relay.open_question();
        assert!(again.is_some() && relay.open_question().is_none());
    }
}
