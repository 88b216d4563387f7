//! Streamable HTTP: an offer for each session, over requests whose host, origin and token were checked before.
//!
//! rmcp's own service takes only handlers of its types, which lose unknown fields, and forgets the answer to a request
//! whose connection broke. So the transport is ours; rmcp handles the protocol in each session, as it does on stdio.

mod batch;
mod headers;
mod log;
mod modern;
mod reply;
mod session;
mod sessions;
mod ticks;

use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use rmcp::RoleServer;
use rmcp::model::{ClientRequest, ErrorData, GetMeta, JsonRpcMessage, RequestMetaObject};
use rmcp::service::RxJsonRpcMessage;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::headers::{LAST_EVENT_ID_HEADER, SESSION_HEADER};
use self::log::StreamLog;
pub use self::reply::ReplyBody;
use self::reply::{
    JSON_CONTENT_TYPE, Rejection, SSE_CONTENT_TYPE, accepted, bad_request, error, session_error, unavailable,
};
use self::session::{HttpSession, SessionError};
pub use self::sessions::HttpLimits;
use self::sessions::{HttpSessions, STOPPING_MESSAGE};
use crate::ServerBackend;
use crate::incoming::ToolCall;
use crate::wire::{Incoming, batch_unsupported_error, parse, supports_batches};

/// How often open requests are looked for at the end.
const SHUTDOWN_POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A server of sessions over streamable HTTP. Its clones share them.
#[derive(Clone)]
pub struct HttpServer {
    sessions: Arc<HttpSessions>,
    /// Changes when all open streams are to end.
    cut: Arc<watch::Sender<()>>,
}

impl HttpServer {
    /// A server that makes an offer for each session. Sessions end with `stop`.
    pub fn new(
        make: impl Fn() -> Arc<dyn ServerBackend> + Send + Sync + 'static,
        limits: HttpLimits,
        stop: CancellationToken,
    ) -> Self {
        Self { sessions: HttpSessions::new(Box::new(make), limits, stop), cut: Arc::default() }
    }

    /// Ends every open stream: who has it may not ask any more. Sessions go on, and who may ask can resume.
    pub fn close_streams(&self) {
        self.cut.send_replace(());
    }

    /// How many sessions there are.
    pub fn session_count(&self) -> usize {
        self.sessions.count()
    }

    /// Waits until no request is open.
    pub async fn wait_until_idle(&self) {
        while !self.sessions.is_idle().await {
            tokio::time::sleep(SHUTDOWN_POLL_INTERVAL).await;
        }
    }

    /// Waits until every session has ended. Call it after `stop`.
    pub async fn wait_until_ended(&self) {
        self.sessions.wait_until_ended().await;
    }

    /// Answers a request. Who may ask was checked before.
    pub fn handle(&self, request: Request<Bytes>) -> BoxFuture<'_, Response<ReplyBody>> {
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let headers = &parts.headers;
            let result = match parts.method {
                Method::POST => self.post(headers, &body).await,
                Method::GET => self.get(headers),
                Method::DELETE => self.delete(headers),
                _ => Err(error(StatusCode::METHOD_NOT_ALLOWED, "only GET, POST and DELETE are allowed here")),
            };
            let response = result.unwrap_or_else(|refusal| *refusal);
            if reply::is_stream(&response) { reply::close_on_signal(response, self.cut.subscribe()) } else { response }
        })
    }

    async fn post(&self, headers: &HeaderMap, body: &Bytes) -> Result<Response<ReplyBody>, Rejection> {
        if !(accepts(headers, JSON_CONTENT_TYPE) && accepts(headers, SSE_CONTENT_TYPE)) {
            let message = "the header `Accept` must list application/json and text/event-stream";
            return Err(error(StatusCode::NOT_ACCEPTABLE, message));
        }
        let message = match parse(body) {
            Some(Incoming::Message(message)) => *message,
            Some(Incoming::Call(call)) => match self.call(headers, call).await? {
                CallOutcome::Answered(response) => return Ok(response),
                CallOutcome::Modern(message) => *message,
            },
            Some(Incoming::Batch(batch)) => return Box::pin(self.batch(headers, batch)).await,
            Some(Incoming::ErrorResponse(problem, id)) => return Err(bad_request(problem, id)),
            None => {
                return Err(bad_request(
                    ErrorData::parse_error("the body is not a message of JSON-RPC 2.0", None),
                    None,
                ));
            }
        };
        // Most requests are calls, and this is large.
        Box::pin(self.pass_on(headers, message, body)).await
    }

    /// Any other message than a tool call of a session.
    async fn pass_on(
        &self,
        headers: &HeaderMap,
        message: RxJsonRpcMessage<RoleServer>,
        body: &Bytes,
    ) -> Result<Response<ReplyBody>, Rejection> {
        let version = headers::parse_version(headers)?;
        if headers::is_modern(&message, version.as_ref()) {
            // A request that is refused takes no other client's place.
            let body = headers::check_sessionless(headers, version.as_ref(), &message, body)?;
            let unbound = self.sessions.acquire_stateless(&meta_of(&message)).await.map_err(unavailable)?;
            if let Some(body) = body {
                headers::check_parameters(headers, &message, &body, |tool| unbound.input_schema(tool))?;
            }
            return Ok(modern::handle_request(unbound, message, version).await);
        }
        if let JsonRpcMessage::Request(request) = &message
            && let ClientRequest::InitializeRequest(begin) = &request.request
        {
            headers::check_handshake(headers, version.as_ref(), &begin.params.protocol_version, &request.id)?;
            return self.begin(headers, message).await;
        }
        headers::check_session(version.as_ref())?;
        let session = self.session(headers)?;
        let _hold = session.hold();
        speak(&session, message).await
    }

    /// A tool call. One of a version without sessions is left to rmcp.
    async fn call(&self, headers: &HeaderMap, call: ToolCall) -> Result<CallOutcome, Rejection> {
        let version = headers::parse_version(headers)?;
        if !call.has_session() || version.as_ref().is_some_and(headers::is_sessionless) {
            let invalid =
                || bad_request(ErrorData::invalid_request("this is not a request of JSON-RPC 2.0", None), None);
            return Ok(CallOutcome::Modern(Box::new(call.into_rmcp().ok_or_else(invalid)?)));
        }
        headers::check_session(version.as_ref())?;
        let session = self.session(headers)?;
        let _hold = session.hold();
        let asked = session.call(call).await;
        Ok(CallOutcome::Answered(answer_in(&session, asked).await?))
    }

    /// Several messages at once.
    async fn batch(&self, headers: &HeaderMap, batch: Vec<Incoming>) -> Result<Response<ReplyBody>, Rejection> {
        let version = headers::parse_version(headers)?;
        if !version.as_ref().is_none_or(supports_batches) {
            return Err(bad_request(batch_unsupported_error(), None));
        }
        let session = self.session(headers)?;
        if !session.supports_batches() {
            return Err(bad_request(batch_unsupported_error(), None));
        }
        let _hold = session.hold();
        match session.forward_batch(batch).await.map_err(session_error)? {
            Some(log) => Ok(reply::stream(log.read_from_start(session.supports_priming()), session)),
            None => Ok(accepted()),
        }
    }

    /// Begins a session.
    async fn begin(
        &self,
        headers: &HeaderMap,
        message: RxJsonRpcMessage<RoleServer>,
    ) -> Result<Response<ReplyBody>, Rejection> {
        if headers.contains_key(SESSION_HEADER) {
            return Err(error(StatusCode::BAD_REQUEST, "this session has begun already"));
        }
        let session = self.sessions.create_session().map_err(unavailable)?;
        let log = session.send_request(message).await.map_err(session_error)?;
        let answer = log.single_message(std::future::pending()).await.ok_or_else(|| unavailable(STOPPING_MESSAGE))?;
        if !session.has_begun() {
            session.end();
            return Ok(reply::json(StatusCode::OK, answer));
        }
        let mut response = reply::json(StatusCode::OK, answer);
        if let Ok(id) = session.id().parse() {
            response.headers_mut().insert(SESSION_HEADER, id);
        }
        Ok(response)
    }

    fn get(&self, headers: &HeaderMap) -> Result<Response<ReplyBody>, Rejection> {
        if !accepts(headers, SSE_CONTENT_TYPE) {
            return Err(error(StatusCode::NOT_ACCEPTABLE, "the header `Accept` must list text/event-stream"));
        }
        has_sessions(headers)?;
        let session = self.session(headers)?;
        let reader = match headers.get(LAST_EVENT_ID_HEADER) {
            Some(last) => {
                let found = last.to_str().ok().and_then(|last| session.resume(last));
                // An error would make some clients ask again and again.
                let Some(found) = found else { return Ok(reply::empty_event_stream()) };
                found
            }
            None => session.listen(),
        };
        Ok(reply::stream(reader, session))
    }

    fn delete(&self, headers: &HeaderMap) -> Result<Response<ReplyBody>, Rejection> {
        has_sessions(headers)?;
        self.session(headers)?.end();
        Ok(accepted())
    }

    /// The session that a request names.
    fn session(&self, headers: &HeaderMap) -> Result<Arc<HttpSession>, Rejection> {
        let mut ids = headers.get_all(SESSION_HEADER).iter();
        let (Some(id), None) = (ids.next(), ids.next()) else {
            return Err(error(StatusCode::BAD_REQUEST, "the header `Mcp-Session-Id` is missing"));
        };
        let session = id.to_str().ok().and_then(|id| self.sessions.get(id));
        session.ok_or_else(|| error(StatusCode::NOT_FOUND, "there is no such session: begin a new one"))
    }
}

/// The outcome of a tool call.
enum CallOutcome {
    Answered(Response<ReplyBody>),
    Modern(Box<RxJsonRpcMessage<RoleServer>>),
}

/// A message to a session that has begun.
async fn speak(
    session: &Arc<HttpSession>,
    message: RxJsonRpcMessage<RoleServer>,
) -> Result<Response<ReplyBody>, Rejection> {
    if !matches!(message, JsonRpcMessage::Request(_)) {
        session.forward(message).await.map_err(session_error)?;
        return Ok(accepted());
    }
    answer_in(session, session.send_request(message).await).await
}

/// The answer to a request: a document if it comes soon, else a stream.
async fn answer_in(
    session: &Arc<HttpSession>,
    asked: Result<Arc<StreamLog>, SessionError>,
) -> Result<Response<ReplyBody>, Rejection> {
    let log = asked.map_err(session_error)?;
    if let Some(answer) = log.single_message(session.wait_for_deadline()).await {
        session.remove_stream(&log);
        return Ok(reply::json(StatusCode::OK, answer));
    }
    Ok(reply::stream(log.read_from_start(session.supports_priming()), session.clone()))
}

/// The metadata of a request, which say who sends it.
fn meta_of(message: &RxJsonRpcMessage<RoleServer>) -> RequestMetaObject {
    match message {
        JsonRpcMessage::Request(request) => request.request.get_meta().clone(),
        _ => RequestMetaObject::default(),
    }
}

/// Versions with sessions have GET and DELETE; later ones have neither.
fn has_sessions(headers: &HeaderMap) -> Result<(), Rejection> {
    match headers::parse_version(headers)? {
        Some(version) if !version.has_initialize() => {
            Err(error(StatusCode::METHOD_NOT_ALLOWED, "this version of the protocol has no sessions"))
        }
        _ => Ok(()),
    }
}

/// Whether a client takes this media type.
fn accepts(headers: &HeaderMap, wanted: &str) -> bool {
    let group = wanted.split_once('/').map_or(wanted, |(group, _)| group);
    let listed = headers.get_all(ACCEPT).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let mut kinds = listed.filter_map(|kind| kind.split(|byte| *byte == b';').next()).map(<[u8]>::trim_ascii);
    kinds.any(|kind| {
        let any_of_group = || kind.strip_suffix(b"/*").is_some_and(|kind| kind.eq_ignore_ascii_case(group.as_bytes()));
        kind.eq_ignore_ascii_case(wanted.as_bytes()) || kind == b"*/*" || any_of_group()
    })
}

#[cfg(test)]
mod tests;
