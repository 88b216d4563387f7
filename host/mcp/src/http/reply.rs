//! What is answered over HTTP.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, BodyStream, Empty, Full, StreamBody};
use rmcp::RoleServer;
use rmcp::model::{ErrorCode, ErrorData, RequestId};
use rmcp::service::TxJsonRpcMessage;
use serde_json::json;
use tokio::sync::watch;

use super::log::LogReader;
use super::session::{HttpSession, SessionError};

pub(super) const JSON_CONTENT_TYPE: &str = "application/json";
pub(super) const SSE_CONTENT_TYPE: &str = "text/event-stream";

/// The body of an answer: a document, or a stream of events.
pub type ReplyBody = UnsyncBoxBody<Bytes, Infallible>;

pub(super) fn json(status: StatusCode, message: String) -> Response<ReplyBody> {
    with(status, JSON_CONTENT_TYPE, Full::new(Bytes::from(message)).boxed_unsync())
}

/// The message was taken; it has no answer.
pub(super) fn accepted() -> Response<ReplyBody> {
    let mut response = Response::new(Empty::new().boxed_unsync());
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

/// The answer to a message that is refused.
pub(super) type Rejection = Box<Response<ReplyBody>>;

/// A refusal that no id belongs to.
pub(super) fn error(status: StatusCode, message: &str) -> Rejection {
    let code = if status == StatusCode::NOT_FOUND { -32001 } else { -32000 };
    let message = json!({"jsonrpc": "2.0", "id": null, "error": {"code": code, "message": message}});
    Box::new(json(status, message.to_string()))
}

/// The server can't take it now.
pub(super) fn unavailable(why: &'static str) -> Rejection {
    error(StatusCode::SERVICE_UNAVAILABLE, why)
}

/// A message that is not valid.
pub(super) fn bad_request(problem: ErrorData, id: Option<RequestId>) -> Rejection {
    let message = TxJsonRpcMessage::<RoleServer>::error(problem, id);
    Box::new(json(StatusCode::BAD_REQUEST, serde_json::to_string(&message).unwrap_or_default()))
}

/// The method is not one of this version's.
pub(super) fn method_not_found(method: &str, id: Option<RequestId>) -> Rejection {
    let problem = ErrorData::new(ErrorCode::METHOD_NOT_FOUND, format!("there is no method `{method}`"), None);
    let mut response = bad_request(problem, id);
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

pub(super) fn session_error(problem: SessionError) -> Rejection {
    let message = problem.message();
    match problem {
        SessionError::Ended => error(StatusCode::NOT_FOUND, message),
        SessionError::Busy => error(StatusCode::TOO_MANY_REQUESTS, message),
        SessionError::DuplicateId(id) => bad_request(ErrorData::invalid_request(message, None), Some(id)),
    }
}

/// The events of a session's stream. The session counts as used while it is open.
pub(super) fn stream(reader: LogReader, session: Arc<HttpSession>) -> Response<ReplyBody> {
    let hold = session.hold();
    let events = stream::unfold((reader, hold), |(mut reader, hold)| async move {
        let event = tokio::select! {
            event = reader.next() => event?,
            () = hold.session().wait_until_ended() => return None,
        };
        Some((frame(event), (reader, hold)))
    });
    event_response(StreamBody::new(events).boxed_unsync())
}

pub(super) fn is_stream(response: &Response<ReplyBody>) -> bool {
    response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == SSE_CONTENT_TYPE)
}

/// A stream that ends when it is cut.
pub(super) fn close_on_signal(response: Response<ReplyBody>, mut cut: watch::Receiver<()>) -> Response<ReplyBody> {
    let is_cut = async move { drop(cut.changed().await) };
    response.map(|body| StreamBody::new(BodyStream::new(body).take_until(Box::pin(is_cut))).boxed_unsync())
}

/// A stream without events, for a place that is not known any more.
pub(super) fn empty_event_stream() -> Response<ReplyBody> {
    event_response(Empty::new().boxed_unsync())
}

pub(super) fn event_response(body: ReplyBody) -> Response<ReplyBody> {
    with(StatusCode::OK, SSE_CONTENT_TYPE, body)
}

pub(super) fn frame(event: String) -> Result<Frame<Bytes>, Infallible> {
    Ok(Frame::data(Bytes::from(event)))
}

fn with(status: StatusCode, kind: &'static str, body: ReplyBody) -> Response<ReplyBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
