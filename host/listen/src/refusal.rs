//! Requests that the service doesn't see, and what they are answered.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;

/// The answer to a request that is not let in.
pub type RejectionResponse = Box<Response<Full<Bytes>>>;

/// Why a request is refused.
#[derive(Debug)]
pub(crate) enum Rejection {
    /// The head is not written as HTTP/1.1 demands.
    Head(&'static str),
    Version,
    Host,
    Origin,
    Path,
    Token,
    /// The gate has its own answer.
    Gate(RejectionResponse),
    /// A request that needs no token has a body.
    HasBody,
    Method(Vec<Method>),
    MediaType(&'static str),
    TooLarge(usize),
    Timeout,
    /// The memory for bodies, or the places for connections, are taken.
    Full,
    /// The connection broke.
    Broken,
}

impl Rejection {
    fn status(&self) -> StatusCode {
        match self {
            Self::Head(_) | Self::Broken => StatusCode::BAD_REQUEST,
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::Host | Self::Origin => StatusCode::FORBIDDEN,
            Self::Path => StatusCode::NOT_FOUND,
            Self::Token => StatusCode::UNAUTHORIZED,
            Self::Gate(answer) => answer.status(),
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::MediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge(_) | Self::HasBody => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::Full => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::Head(problem) => format!("the request is not valid: {problem}"),
            Self::Version => "only HTTP/1.1 is spoken here".into(),
            Self::Host => "the `Host` is not an address of this server".into(),
            Self::Origin => "web pages may not use this server".into(),
            Self::Path => "there is nothing at this path".into(),
            Self::Token => "the header `Authorization: Bearer TOKEN` is missing, or its token is not valid".into(),
            Self::Gate(_) => String::new(),
            Self::HasBody => "a request to this path has no body".into(),
            Self::Method(_) => "this method is not allowed here".into(),
            Self::MediaType(wanted) => format!("the body must be `{wanted}`"),
            Self::TooLarge(limit) => format!("the body is larger than {limit} bytes"),
            Self::Timeout => "the body took too long".into(),
            Self::Full => "too many requests are open here; try again".into(),
            Self::Broken => "the body could not be read".into(),
        }
    }

    /// The answer. The connection ends with it: what is left of the request is not read.
    pub(crate) fn response(self) -> Response<Full<Bytes>> {
        if let Self::Gate(mut answer) = self {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            return *answer;
        }
        let mut response = Response::new(Full::new(Bytes::from(self.sentence() + "\n")));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self {
            Self::Token => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Full => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Self::Method(allowed) => {
                let allowed: Vec<&str> = allowed.iter().map(Method::as_str).collect();
                if let Ok(allowed) = HeaderValue::from_str(&allowed.join(", ")) {
                    headers.insert(ALLOW, allowed);
                }
            }
            _ => {}
        }
        response
    }
}
