//! What a listener accepts.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use aiw_core::Secret;
use http::Method;
use http::request::Parts;

use crate::refusal::{Refusal, RefusedRequest};
use crate::token::has_token;

/// Looks at a request's head, before a byte of its body is read: lets it in, or answers it.
type Gate = Box<dyn Fn(&Parts) -> Result<(), RefusedRequest> + Send + Sync>;

/// The rules for requests. Everything else is refused before the service sees it.
pub struct Rules {
    pub(crate) routes: Vec<HttpRoute>,
    pub(crate) origins: Vec<String>,
    pub(crate) gate: Option<Gate>,
    pub(crate) limits: ListenLimits,
}

impl Rules {
    /// Requests to these paths, from programs that are not web pages. Without a gate or a token, only open routes are
    /// served.
    pub fn new(routes: impl IntoIterator<Item = HttpRoute>) -> Self {
        Self { routes: routes.into_iter().collect(), origins: Vec::new(), gate: None, limits: ListenLimits::default() }
    }

    /// Where the token of routes that need one comes from. It is asked at each request, so that a new token counts at
    /// once. With none, every request is refused.
    #[must_use]
    pub fn with_token(self, token: impl Fn() -> Option<Secret> + Send + Sync + 'static) -> Self {
        self.with_gate(move |head| match has_token(head, token().as_ref()) {
            true => Ok(()),
            false => Err(Box::new(Refusal::Token.response())),
        })
    }

    /// Admits requests by a gate, where tokens are many, or are shown in other ways than `Authorization: Bearer …`.
    #[must_use]
    pub fn with_gate(mut self, gate: impl Fn(&Parts) -> Result<(), RefusedRequest> + Send + Sync + 'static) -> Self {
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

/// A path, and what may be asked there.
#[derive(Debug, Clone)]
pub struct HttpRoute {
    pub(crate) path: Cow<'static, str>,
    pub(crate) methods: Vec<Method>,
    pub(crate) is_prefix: bool,
    pub(crate) needs_token: bool,
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
            media_type: None,
        }
    }

    /// A path that needs no token: its path is a secret itself, or it tells nothing. Its requests have no body, and
    /// whoever asks it stays a stranger.
    pub fn open(path: impl Into<Cow<'static, str>>, methods: impl IntoIterator<Item = Method>) -> Self {
        Self { needs_token: false, ..Self::new(path, methods) }
    }

    /// Makes it one for all paths that begin so.
    #[must_use]
    pub fn and_below(self) -> Self {
        Self { is_prefix: true, ..self }
    }

    pub(crate) fn is_for(&self, path: &str) -> bool {
        if self.is_prefix { path.starts_with(&*self.path) } else { path == self.path }
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
    pub all_bodies_bytes: usize,
    /// How long a head may take, and how long a connection may wait for its next request.
    pub head_time: Duration,
    /// How long a body may take.
    pub body_time: Duration,
    /// Open connections at once that have shown a token. More are refused.
    pub connections: usize,
    /// Open connections at once that have shown none. If there are more, the oldest one is closed.
    pub strangers: usize,
    /// How long such a connection may live.
    pub stranger_time: Duration,
    /// How long running answers may take to finish once the listener stops.
    pub grace: Duration,
}

impl Default for ListenLimits {
    fn default() -> Self {
        Self {
            head_bytes: 16 << 10,
            body_bytes: 8 << 20,
            all_bodies_bytes: 256 << 20,
            head_time: Duration::from_secs(10),
            body_time: Duration::from_secs(30),
            connections: 1024,
            strangers: 64,
            stranger_time: Duration::from_secs(5),
            grace: Duration::from_secs(2),
        }
    }
}
