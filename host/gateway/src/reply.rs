//! Answers as clients get them.

use aiw_dialects::{Api, ModelRequest, UpstreamFailure};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};

use crate::body::ResponseBody;
use crate::endpoint::GenerateContentPath;

/// Puts a request together from its body and its path.
pub(crate) fn build_request<'a>(client: Api, body: &'a [u8], at: &'a GenerateContentPath) -> ModelRequest<'a> {
    ModelRequest { client, body, model: at.model.as_deref(), is_streamed: at.is_streamed }
}

/// Formats a whole answer.
pub(crate) fn json_response(status: StatusCode, body: Vec<u8>) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::Buffered(Some(body.into())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Formats an error as the client's dialect has it.
pub(crate) fn error_response(client: Api, failure: &UpstreamFailure) -> Response<ResponseBody> {
    let status = StatusCode::from_u16(failure.status(client)).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = json_response(status, failure.body(client));
    if let Some(wait) = failure.retry_after {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Formats an answer of events.
pub(crate) fn event_stream_response(body: ResponseBody) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
