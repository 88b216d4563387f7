//! One session: what the client sends goes in, and what the server sends comes out on the stream that it belongs to.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use rmcp::RoleServer;
use rmcp::model::{
    ClientNotification, GetExtensions, GetMeta, JsonRpcMessage, ProgressToken, ProtocolVersion, RequestId,
    ServerNotification, ServerResult,
};
use rmcp::service::{OriginatingRequestId, RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::log::{LogReader, StreamLog, parse_event_id};
use super::ticks::KeepAliveTimer;
use crate::incoming::ToolCall;
use crate::queue::CallQueue;
use crate::wire::supports_batches;

/// Requests of a session that have no answer yet.
const MAX_OPEN_REQUESTS: usize = 4096;

/// Streams that have ended and are kept for a client that reads on.
const MAX_ENDED_STREAMS: usize = 64;
const MAX_ENDED_BYTES: usize = 32 << 20;
const EVENT_RETENTION: Duration = Duration::from_secs(5 * 60);

/// Why a message is not taken.
#[derive(Debug)]
pub(super) enum SessionError {
    Ended,
    Busy,
    DuplicateId(RequestId),
}

impl SessionError {
    pub(super) fn message(&self) -> &'static str {
        match self {
            Self::Ended => "the session has ended: begin a new one",
            Self::Busy => "too many requests of this session are open",
            Self::DuplicateId(_) => "another open request has this `id`",
        }
    }
}

/// A session.
pub(super) struct HttpSession {
    id: String,
    inbox: mpsc::Sender<RxJsonRpcMessage<RoleServer>>,
    desk: Mutex<SessionState>,
    /// The messages that belong to no request.
    general: Arc<StreamLog>,
    end: CancellationToken,
    /// Takes tool calls past rmcp, once the session has begun.
    queue: OnceLock<Arc<CallQueue>>,
    ticks: Arc<KeepAliveTimer>,
}

struct SessionState {
    streams: u64,
    version: Option<ProtocolVersion>,
    open: HashMap<RequestId, Arc<StreamLog>>,
    tokens: HashMap<ProgressToken, RequestId>,
    /// Since when, how many bytes, and what.
    ended: VecDeque<(Instant, usize, Arc<StreamLog>)>,
    ended_bytes: usize,
    /// The number of its current users.
    holds: usize,
    used: Instant,
}

impl HttpSession {
    /// A session and its server's side.
    pub(super) fn new(id: String, end: CancellationToken, ticks: Arc<KeepAliveTimer>) -> (Arc<Self>, SessionHandle) {
        let (inbox, messages) = mpsc::channel(16);
        let desk = SessionState {
            streams: 0,
            version: None,
            open: HashMap::new(),
            tokens: HashMap::new(),
            ended: VecDeque::new(),
            ended_bytes: 0,
            holds: 0,
            used: Instant::now(),
        };
        let (desk, general, lane) = (Mutex::new(desk), StreamLog::new(0), OnceLock::new());
        let session = Arc::new(Self { id, inbox, desk, general, end, queue: lane, ticks });
        (session.clone(), SessionHandle { session, messages })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    fn desk(&self) -> MutexGuard<'_, SessionState> {
        self.desk.lock()
    }

    /// A version was agreed on.
    pub(super) fn has_begun(&self) -> bool {
        self.desk().version.is_some()
    }

    /// Whether its version of the protocol has batches.
    pub(super) fn supports_batches(&self) -> bool {
        self.desk().version.as_ref().is_some_and(supports_batches)
    }

    /// Earlier clients fail on an event without data.
    pub(super) fn supports_priming(&self) -> bool {
        let newest = |version: &ProtocolVersion| version.as_str() >= ProtocolVersion::V_2025_11_25.as_str();
        self.desk().version.as_ref().is_some_and(newest)
    }

    /// Whether a request waits for its answer.
    pub(super) fn has_open_requests(&self) -> bool {
        !self.desk().open.is_empty()
    }

    /// Ends it.
    pub(super) fn end(&self) {
        self.end.cancel();
    }

    pub(super) async fn wait_until_ended(&self) {
        self.end.cancelled().await;
    }

    /// Returns since when it is unused; none while it is in use.
    pub(super) fn unused_since(&self) -> Option<Instant> {
        let desk = self.desk();
        (desk.holds == 0 && desk.open.is_empty()).then_some(desk.used)
    }

    /// Keeps it in use.
    pub(super) fn hold(self: &Arc<Self>) -> SessionGuard {
        self.desk().holds += 1;
        SessionGuard(self.clone())
    }

    /// Waits for as long as an answer may take to be sent as one document.
    pub(super) async fn wait_for_deadline(&self) {
        self.ticks.tick().await;
    }

    /// Passes a request on. Its answer comes in the log, after what the server says meanwhile.
    pub(super) async fn send_request(
        &self,
        message: RxJsonRpcMessage<RoleServer>,
    ) -> Result<Arc<StreamLog>, SessionError> {
        let JsonRpcMessage::Request(request) = &message else { return Err(SessionError::Ended) };
        let log = self.new_stream();
        self.register_request(&log, &request.id, request.request.get_meta().get_progress_token())?;
        self.send(message).await?;
        Ok(log)
    }

    /// Takes a tool call as [`Self::send_request`] takes a request.
    pub(super) async fn call(self: &Arc<Self>, call: ToolCall) -> Result<Arc<StreamLog>, SessionError> {
        let log = self.new_stream();
        self.register_request(&log, &call.id, call.progress_token())?;
        self.start_call(call).await?;
        Ok(log)
    }

    /// Passes on a tool call whose stream is open.
    pub(super) async fn start_call(self: &Arc<Self>, call: ToolCall) -> Result<(), SessionError> {
        let Some(lane) = self.queue.get() else {
            return Box::pin(self.send(call.into_rmcp().ok_or(SessionError::Ended)?)).await;
        };
        let (session, id) = (self.clone(), call.id.clone());
        lane.call(call, move |answer| session.answered(&id, answer));
        Ok(())
    }

    /// Tool calls take this lane from now on.
    pub(super) fn set_queue(&self, lane: Arc<CallQueue>) {
        let _ = self.queue.set(lane);
    }

    /// A new stream.
    pub(super) fn new_stream(&self) -> Arc<StreamLog> {
        let mut desk = self.desk();
        desk.streams += 1;
        StreamLog::new(desk.streams)
    }

    /// The answer to a request will come in this stream.
    pub(super) fn register_request(
        &self,
        log: &Arc<StreamLog>,
        id: &RequestId,
        token: Option<ProgressToken>,
    ) -> Result<(), SessionError> {
        let mut desk = self.desk();
        if desk.open.contains_key(id) {
            return Err(SessionError::DuplicateId(id.clone()));
        }
        if desk.open.len() >= MAX_OPEN_REQUESTS {
            return Err(SessionError::Busy);
        }
        log.expect_response();
        desk.open.insert(id.clone(), log.clone());
        if let Some(token) = token {
            desk.tokens.insert(token, id.clone());
        }
        Ok(())
    }

    /// A request has its answer. Without a stream, it was cancelled.
    fn answered(&self, id: &RequestId, text: String) {
        self.close(id, |log| log.push(text, true));
    }

    /// Passes on a notification, or an answer to the server's own request.
    pub(super) async fn forward(&self, message: RxJsonRpcMessage<RoleServer>) -> Result<(), SessionError> {
        let cancelled = match &message {
            JsonRpcMessage::Notification(told) => match &told.notification {
                ClientNotification::CancelledNotification(cancelled) => cancelled.params.request_id.clone(),
                _ => None,
            },
            _ => None,
        };
        let is_a_call = |id: &RequestId| self.queue.get().is_some_and(|lane| lane.cancel(id));
        if !cancelled.as_ref().is_some_and(is_a_call) {
            self.send(message).await?;
        }
        // A cancelled request has no answer.
        if let Some(id) = cancelled {
            self.close(&id, StreamLog::cancel);
        }
        Ok(())
    }

    async fn send(&self, message: RxJsonRpcMessage<RoleServer>) -> Result<(), SessionError> {
        tokio::select! {
            sent = self.inbox.send(message) => sent.map_err(|_| SessionError::Ended),
            () = self.wait_until_ended() => Err(SessionError::Ended),
        }
    }

    /// A request has its answer, or will have none.
    fn close(&self, id: &RequestId, end: impl FnOnce(&StreamLog)) {
        let mut desk = self.desk();
        let Some(log) = desk.open.remove(id) else { return };
        desk.tokens.retain(|_, request| request != id);
        end(&log);
        let (now, bytes) = (Instant::now(), log.bytes());
        desk.used = now;
        // Others of its batch are open.
        if !log.is_done() {
            return;
        }
        desk.ended.push_back((now, bytes, log));
        desk.ended_bytes += bytes;
        while let Some((since, bytes)) = desk.ended.front().map(|(since, bytes, _)| (*since, *bytes))
            && desk.ended.len() > 1
            && (desk.ended.len() > MAX_ENDED_STREAMS
                || desk.ended_bytes > MAX_ENDED_BYTES
                || now.duration_since(since) > EVENT_RETENTION)
        {
            desk.ended_bytes -= bytes;
            desk.ended.pop_front();
        }
    }

    /// A stream that nobody will read on.
    pub(super) fn remove_stream(&self, log: &Arc<StreamLog>) {
        let mut desk = self.desk();
        let place = desk.ended.iter().rposition(|(.., ended)| ended.number() == log.number());
        if let Some((_, bytes, _)) = place.and_then(|place| desk.ended.remove(place)) {
            desk.ended_bytes -= bytes;
        }
    }

    /// Reads what belongs to no request, from the first message that nobody has read.
    pub(super) fn listen(&self) -> LogReader {
        self.general.read_unread()
    }

    /// Reads on after an event.
    pub(super) fn resume(&self, last: &str) -> Option<LogReader> {
        let (number, index) = parse_event_id(last)?;
        let desk = self.desk();
        let known =
            std::iter::once(&self.general).chain(desk.open.values()).chain(desk.ended.iter().map(|(.., log)| log));
        let log = known.into_iter().find(|log| log.number() == number && log.contains(index))?;
        Some(log.read_from(index + 1))
    }

    /// Puts a message of the server's into the stream that it belongs to.
    fn deliver(&self, message: &TxJsonRpcMessage<RoleServer>) {
        let text = serde_json::to_string(message).unwrap_or_default();
        let answered = match message {
            JsonRpcMessage::Response(response) => {
                if let ServerResult::InitializeResult(agreed) = &response.result {
                    self.desk().version = Some(agreed.protocol_version.clone());
                }
                Some(&response.id)
            }
            JsonRpcMessage::Error(error) => error.id.as_ref(),
            _ => None,
        };
        if let Some(id) = answered {
            return self.answered(id, text);
        }
        self.stream_of(message).push(text, false);
    }

    /// Returns the stream of a request or notification: that of the request it belongs to, else the general one. If the
    /// client does not read that one, which it need not, the newest that is open.
    fn stream_of(&self, message: &TxJsonRpcMessage<RoleServer>) -> Arc<StreamLog> {
        let desk = self.desk();
        let request = match message {
            JsonRpcMessage::Request(request) => {
                request.request.extensions().get::<OriginatingRequestId>().map(|origin| &origin.0)
            }
            JsonRpcMessage::Notification(told) => match &told.notification {
                ServerNotification::ProgressNotification(progress) => desk.tokens.get(&progress.params.progress_token),
                ServerNotification::CustomNotification(told) if told.method == "notifications/progress" => {
                    let token = told.params.as_ref().and_then(|params| params.get("progressToken")).cloned();
                    let token = token.and_then(|token| serde_json::from_value(token).ok());
                    token.and_then(|token: ProgressToken| desk.tokens.get(&token))
                }
                _ => None,
            },
            _ => None,
        };
        if let Some(log) = request.and_then(|id| desk.open.get(id)) {
            return log.clone();
        }
        if self.general.has_reader() {
            return self.general.clone();
        }
        desk.open.values().max_by_key(|log| log.number()).unwrap_or(&self.general).clone()
    }

    /// Closes all streams: nothing follows on them.
    pub(super) fn close_all(&self) {
        let desk = self.desk();
        desk.open.values().chain(std::iter::once(&self.general)).for_each(|log| log.finish());
    }
}

/// Somebody uses a session.
pub(super) struct SessionGuard(Arc<HttpSession>);

impl SessionGuard {
    pub(super) fn session(&self) -> &HttpSession {
        &self.0
    }
}

impl Drop for SessionGuard {
    fn drop(&mut self) {
        let mut desk = self.0.desk();
        desk.holds -= 1;
        desk.used = Instant::now();
    }
}

/// The server's side of a session.
pub(super) struct SessionHandle {
    session: Arc<HttpSession>,
    messages: mpsc::Receiver<RxJsonRpcMessage<RoleServer>>,
}

impl Transport<RoleServer> for SessionHandle {
    type Error = Infallible;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Infallible>> + Send + 'static {
        self.session.deliver(&message);
        std::future::ready(Ok(()))
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        tokio::select! {
            biased;
            () = self.session.wait_until_ended() => None,
            message = self.messages.recv() => message,
        }
    }

    async fn close(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
