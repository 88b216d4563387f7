//! What a listener accepts.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use aiw_core::Secret;
use http::request::Parts;
use http::{HeaderMap, Method};

use crate::refusal::{Rejection, RejectionResponse};
use crate::token::has_token;

/// Looks at a request's head, before a byte of its body is read: lets it in, or answers it.
type RequestGate = Box<dyn Fn(&Parts) -> Result<(), RejectionResponse> + Send + Sync>;

/// The rules for requests. Everything else is refused before the service sees it.
pub struct Rules {
    pub(crate) routes: Vec<HttpRoute>,
    pub(crate) origins: Vec<String>,
    pub(crate) gate: Option<RequestGate>,
    pub(crate) headers: HeaderMap,
    pub(crate) limits: ListenLimits,
}

impl Rules {
    /// Requests to these paths, from programs that are not web pages. Without a gate or a token, only open routes are
    /// served.
    pub fn new(routes: impl IntoIterator<Item = HttpRoute>) -> Self {
        Self {
            routes: routes.into_iter().collect(),
            origins: Vec::new(),
            gate: None,
            headers: HeaderMap::new(),
            limits: ListenLimits::default(),
        }
    }

    /// Where the token of routes that need one comes from. It is asked at each request, so that a new token counts at
    /// once. With none, every request is refused.
    #[must_use]
    pub fn with_token(self, token: impl Fn() -> Option<Secret> + Send + Sync + 'static) -> Self {
        self.with_gate(move |head| match has_token(head, token().as_ref()) {
            true => Ok(()),
            false => Err(Box::new(Rejection::Unauthorized.response())),
        })
    }

    /// Admits requests by a gate, where tokens are many, or are shown in other ways than `Authorization: Bearer …`.
    #[must_use]
    pub fn with_gate(mut self, gate: impl Fn(&Parts) -> Result<(), RejectionResponse> + Send + Sync + 'static) -> Self {
        self.gate = Some(Box::new(gate));
        self
    }

    /// Web pages of these origins may ask too: `http://127.0.0.1:4000`. Without any, each request with an `Origin` is
    /// refused.
    #[must_use]
    pub fn with_origins(mut self, origins: impl IntoIterator<Item = String>) -> Self {
        self.origins = origins.into_iter().collect();
        self
    }

    /// Headers that every answer has, those to refused requests too. The service's own ones win.
    #[must_use]
    pub fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers = headers;
        self
    }

    /// Other limits than the default ones.
    #[must_use]
    pub fn with_limits(mut self, limits: ListenLimits) -> Self {
        self.limits = limits;
        self
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").field("routes", &self.routes).field("origins", &self.origins).finish_non_exhaustive()
    }
}

/// The path of the route that a request was let in by: an extension of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchedPath(pub Cow<'static, str>);

/// A path, and what may be asked there. A segment in braces, as in `/tasks/{id}`, stands for any segment that is not empty.
#[derive(Debug, Clone)]
pub struct HttpRoute {
    pub(crate) path: Cow<'static, str>,
    pub(crate) methods: Vec<Method>,
    pub(crate) is_prefix: bool,
    pub(crate) needs_token: bool,
    /// The longest body of somebody without a token.
    pub(crate) max_public_body_bytes: usize,
    pub(crate) media_type: Option<&'static str>,
}

impl HttpRoute {
    /// A path that needs a token: the gate lets in who has one.
    pub fn new(path: impl Into<Cow<'static, str>>, methods: impl IntoIterator<Item = Method>) -> Self {
        Self {
            path: path.into(),
            methods: methods.into_iter().collect(),
            is_prefix: false,
            needs_token: true,
            max_public_body_bytes: 0,
            media_type: None,
        }
    }

    /// A path that needs no token: its path is a secret itself, or it tells nothing. Its requests have no body, unless
    /// [`Self::with_public_body_limit`] allows one, and whoever asks it stays a stranger.
    pub fn public(path: impl Into<Cow<'static, str>>, methods: impl IntoIterator<Item = Method>) -> Self {
        Self { needs_token: false, ..Self::new(path, methods) }
    }

    /// Makes it one for all paths that begin so.
    #[must_use]
    pub fn with_prefix_match(self) -> Self {
        Self { is_prefix: true, ..self }
    }

    /// Takes bodies of so many bytes from whoever has no token: what is sent there becomes one.
    #[must_use]
    pub fn with_public_body_limit(self, bytes: usize) -> Self {
        Self { max_public_body_bytes: bytes, ..self }
    }

    pub(crate) fn matches(&self, path: &str) -> bool {
        if self.is_prefix {
            return path.starts_with(&*self.path);
        }
        let is_any = |own: &str| own.starts_with('{') && own.ends_with('}');
        let mut given = path.split('/');
        let fits = |own: &str| given.next().is_some_and(|given| given == own || is_any(own) && !given.is_empty());
        self.path.split('/').all(fits) && given.next().is_none()
    }

    /// The media type that the body of a POST must have.
    #[must_use]
    pub fn with_media_type(mut self, media_type: &'static str) -> Self {
        self.media_type = Some(media_type);
        self
    }
}

/// How much, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenLimits {
    /// The request line and the headers together, at least 8 KiB.
    pub head_bytes: usize,
    /// The body of a request.
    pub body_bytes: usize,
    /// The bodies of all requests together, for as long as the service keeps them. Further ones wait, as long as a body
    /// may take.
    pub total_body_bytes: usize,
    /// How long a head may take, and how long a connection may wait for its next request.
    pub head_timeout: Duration,
    /// How long a body may take.
    pub body_timeout: Duration,
    /// Open connections at once that have shown a token. More are refused.
    pub max_connections: usize,
    /// Open connections at once that have shown none. If there are more, the oldest one is closed.
    pub max_unauthenticated: usize,
    /// How long such a connection may live.
    pub unauthenticated_timeout: Duration,
    /// How long running answers may take to finish once the listener stops.
    pub grace_period: Duration,
}

impl Default for ListenLimits {
    fn default() -> Self {
        Self {
            head_bytes: 16 << 10,
            body_bytes: 8 << 20,
            total_body_bytes: 256 << 20,
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            max_connections: 1024,
            max_unauthenticated: 64,
            unauthenticated_timeout: Duration::from_secs(5),
            grace_period: Duration::from_secs(2),
        }
    }
}
