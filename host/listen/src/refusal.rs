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
    MalformedHead(&'static str),
    UnsupportedVersion,
    HostMismatch,
    ForbiddenOrigin,
    PathNotFound,
    Unauthorized,
    /// The gate has its own answer.
    Custom(RejectionResponse),
    /// A request that needs no token has a body.
    UnexpectedBody,
    MethodNotAllowed(Vec<Method>),
    UnsupportedMediaType(&'static str),
    TooLarge(usize),
    Timeout,
    /// The memory for bodies, or the places for connections, are taken.
    Overloaded,
    /// The connection broke.
    BodyReadFailed,
}

impl Rejection {
    fn status(&self) -> StatusCode {
        match self {
            Self::MalformedHead(_) | Self::BodyReadFailed => StatusCode::BAD_REQUEST,
            Self::UnsupportedVersion => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::HostMismatch | Self::ForbiddenOrigin => StatusCode::FORBIDDEN,
            Self::PathNotFound => StatusCode::NOT_FOUND,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Custom(answer) => answer.status(),
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge(_) | Self::UnexpectedBody => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::MalformedHead(problem) => format!("the request is not valid: {problem}"),
            Self::UnsupportedVersion => "only HTTP/1.1 is spoken here".into(),
            Self::HostMismatch => "the `Host` is not an address of this server".into(),
            Self::ForbiddenOrigin => "web pages may not use this server".into(),
            Self::PathNotFound => "there is nothing at this path".into(),
            Self::Unauthorized => {
                "the header `Authorization: Bearer TOKEN` is missing, or its token is not valid".into()
            }
            Self::Custom(_) => String::new(),
            Self::UnexpectedBody => "a request to this path has no body".into(),
            Self::MethodNotAllowed(_) => "this method is not allowed here".into(),
            Self::UnsupportedMediaType(wanted) => format!("the body must be `{wanted}`"),
            Self::TooLarge(limit) => format!("the body is larger than {limit} bytes"),
            Self::Timeout => "the body took too long".into(),
            Self::Overloaded => "too many requests are open here; try again".into(),
            Self::BodyReadFailed => "the body could not be read".into(),
        }
    }

    /// The answer. The connection ends with it: what is left of the request is not read.
    pub(crate) fn response(self) -> Response<Full<Bytes>> {
        if let Self::Custom(mut answer) = self {
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
            Self::Unauthorized => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Overloaded => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Self::MethodNotAllowed(allowed) => {
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
