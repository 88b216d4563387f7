//! HTTPS requests. The manifest (`hosts`) and the user's grants list the allowed hosts. aiw follows redirects and checks
//! each address.

use crate::__wit::aiw::plugin::http;
use crate::{Error, Header, Method, Request, Response, Value};

/// The maximum length of a body that the host returns: 8 MiB.
pub const MAX_BODY: u32 = 8 << 20;

/// Reads a URL. Any status counts as an answer; see [`Response::success`].
pub fn get(url: impl Into<String>) -> Result<Response, Error> {
    send(&Request::new(url))
}

/// Sends a request with your own method, headers or limit.
pub fn send(request: &Request) -> Result<Response, Error> {
    http::send(request)
}

impl Request {
    /// Creates a `GET` without headers, for an answer of at most [`MAX_BODY`].
    pub fn new(url: impl Into<String>) -> Self {
        Self { method: Method::Get, url: url.into(), headers: Vec::new(), limit: MAX_BODY }
    }

    /// Makes it a `POST` with a body of at most 1 MiB. Its type is a header: `content-type`. Of all redirects, only status
    /// 303 is followed, with a `GET` without the body; the others are returned as the answer.
    #[must_use]
    pub fn post(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.method = Method::Post(body.into());
        self
    }

    /// Adds a header. Its value is text, or a [`Secret`](crate::Secret) that the host inserts.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.headers.push(Header { name: name.to_ascii_lowercase(), value: value.into() });
        self
    }

    /// Refuses a body longer than `bytes`.
    #[must_use]
    pub fn limit(mut self, bytes: u32) -> Self {
        self.limit = bytes;
        self
    }
}

impl Response {
    /// Returns the first header with that name, ignoring case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value.as_str())
    }

    /// Returns the answer if its status is a success, otherwise the error that the status stands for.
    pub fn success(self) -> Result<Self, Error> {
        // A query may contain a key.
        let url = self.url.split(['?', '#']).next().unwrap_or_default();
        let status = self.status;
        Err(match status {
            200..=299 => return Ok(self),
            404 | 410 => Error::not_found(format!("`{url}` does not exist (status {status})")),
            401 | 403 => Error::denied(format!("`{url}` refuses access (status {status})")),
            408 | 429 | 500..=599 => {
                let retry_after = self.header("retry-after").and_then(|seconds| seconds.trim().parse().ok());
                Error::unavailable(format!("`{url}` cannot answer now (status {status})"), retry_after)
            }
            _ => Error::malformed(format!("`{url}` answered with status {status}")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Field;

    fn answer(status: u16) -> Result<Response, Error> {
        let headers = vec![Field { name: "retry-after".to_owned(), value: "30".to_owned() }];
        Response { status, headers, body: Vec::new(), url: "https://a.example/x?key=k".to_owned() }.success()
    }

    #[test]
    fn a_status_becomes_the_error_that_it_means() {
        assert!(answer(204).is_ok());
        assert_eq!(answer(404), Err(Error::not_found("`https://a.example/x` does not exist (status 404)")));
        assert_eq!(answer(403), Err(Error::denied("`https://a.example/x` refuses access (status 403)")));
        let busy = "`https://a.example/x` cannot answer now (status 429)";
        assert_eq!(answer(429), Err(Error::unavailable(busy, Some(30))));
        assert_eq!(answer(304), Err(Error::malformed("`https://a.example/x` answered with status 304")));
    }
}
