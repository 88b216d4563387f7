//! The listener, and what is checked before anything is sent.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aiw_dialects::{Api, Failure, FailureKind, Request, count_answer, estimate};
use aiw_listen::{ListenError, ListenLimits, Listener, Method, Route as Path, Rules};
use aiw_net::{Client, NetError};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use tokio_util::sync::CancellationToken;

use crate::body::AnswerBody;
use crate::called::{Called, InPath};
use crate::proof::proof_of;
use crate::route::Route;
use crate::routes::Routes;

/// The largest request: a long conversation with pictures.
const BODY_BYTES: usize = 64 << 20;

/// How long an answer may take to end after the gateway is told to stop.
const GRACE: Duration = Duration::from_secs(2);

/// Serves clients.
pub struct Gateway {
    pub(crate) client: Client,
    routes: Arc<dyn Routes>,
    /// What only a gateway of this home knows.
    key: Option<String>,
    /// What upstreams have refused, by address and model.
    pub(crate) refused: Mutex<HashMap<(String, String), Vec<String>>>,
}

impl Gateway {
    /// Makes a gateway for these routes.
    ///
    /// # Errors
    ///
    /// Fails if there is no way to make connections.
    pub fn new(routes: Arc<dyn Routes>) -> Result<Self, NetError> {
        Ok(Self { client: Client::new()?, routes, key: None, refused: Mutex::default() })
    }

    /// Lets it prove that it is the gateway of a home.
    #[must_use]
    pub(crate) fn with_key(self, key: String) -> Self {
        Self { key: Some(key), ..self }
    }

    /// Answers one request.
    pub async fn answer(self: Arc<Self>, request: http::Request<Bytes>) -> Response<AnswerBody> {
        let (parts, body) = request.into_parts();
        let Some(called) = Called::of(&parts.method, &parts.uri) else {
            let said = "aiw's gateway has no such address; clients speak Messages, Responses or generateContent";
            return refusal(Api::Messages, &Failure::new(FailureKind::NotFound, said));
        };
        let dialect = match &called {
            Called::Hello => return whole(StatusCode::OK, b"{}".to_vec()),
            Called::Prove(nonce) => {
                let proof = self.key.as_ref().map(|key| proof_of(key, nonce));
                return whole(StatusCode::OK, proof.unwrap_or_default().into_bytes());
            }
            Called::Models(dialect) | Called::Generate(dialect, _) | Called::Count(dialect, _) => *dialect,
        };
        let Some(route) = token(&parts).and_then(|token| self.routes.find(&token)) else {
            let said = "the token is not that of a run of aiw, or the run has ended";
            return refusal(dialect, &Failure::new(FailureKind::Key, said));
        };
        match called {
            Called::Hello | Called::Prove(_) => whole(StatusCode::OK, b"{}".to_vec()),
            Called::Models(dialect) => whole(StatusCode::OK, models(dialect, &route)),
            Called::Count(dialect, at) => count(&request_of(dialect, &body, &at)),
            Called::Generate(dialect, at) => self.generate(route, dialect, at, &parts, body).await,
        }
    }

    pub(crate) fn refused_by(&self, url: &str, model: &str) -> Vec<String> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.get(&(url.to_owned(), model.to_owned())).cloned().unwrap_or_default()
    }

    pub(crate) fn learn(&self, url: &str, model: &str, fields: Vec<String>) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let known = refused.entry((url.to_owned(), model.to_owned())).or_default();
        known.extend(fields.into_iter().filter(|field| !known.contains(field)).collect::<Vec<_>>());
    }
}

/// Binds an address of this machine. Port 0 is any free one.
///
/// # Errors
///
/// Fails if the address is taken, or is not one of this machine alone.
pub async fn bind(address: SocketAddr) -> Result<Listener, ListenError> {
    Listener::bind(address).await
}

/// Serves until `stop`. Web pages are refused: none has an origin that is allowed.
pub async fn serve(listener: Listener, gateway: Arc<Gateway>, stop: CancellationToken) {
    // Tokens are many, and come in each vendor's own header, so the gateway looks at them.
    let rules = Rules::new([Path::under("/", [Method::GET, Method::HEAD, Method::POST])]).with_limits(ListenLimits {
        head_bytes: 64 << 10,
        body_bytes: BODY_BYTES,
        body_time: Duration::from_secs(120),
        head_time: Duration::from_secs(120),
        grace: GRACE,
        ..ListenLimits::default()
    });
    let answer = move |request| gateway.clone().answer(request);
    listener.serve(rules, answer, stop).await;
}

pub(crate) fn request_of<'a>(client: Api, body: &'a [u8], at: &'a InPath) -> Request<'a> {
    Request { client, body, model: at.model.as_deref(), is_streamed: at.is_streamed }
}

/// Returns the token that a client shows, in its vendor's header.
fn token(parts: &Parts) -> Option<String> {
    let header = |name: &str| parts.headers.get(name)?.to_str().ok();
    let bearer = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|value| value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("bearer ")));
    let in_query = || parts.uri.query()?.split('&').find_map(|pair| pair.strip_prefix("key="));
    let token = bearer.or_else(|| header("x-api-key")).or_else(|| header("x-goog-api-key")).or_else(in_query)?;
    Some(token.trim().to_owned())
}

fn models(dialect: Api, route: &Route) -> Vec<u8> {
    let model = route.upstream.main_model();
    let answer = match dialect {
        Api::GenerateContent => {
            let model = |model: &str| serde_json::json!({"name": format!("models/{model}"), "supportedGenerationMethods": ["generateContent"]});
            serde_json::json!({"models": model_list(route.upstream.main_model(), model)})
        }
        _ => {
            let one = |model: &str| serde_json::json!({"id": model, "object": "model", "type": "model", "display_name": model});
            serde_json::json!({"object": "list", "data": model_list(model, one), "has_more": false})
        }
    };
    answer.to_string().into_bytes()
}

fn model_list(model: Option<&str>, of: impl Fn(&str) -> serde_json::Value) -> Vec<serde_json::Value> {
    model.into_iter().map(of).collect()
}

fn count(request: &Request<'_>) -> Response<AnswerBody> {
    match estimate(request) {
        Ok(tokens) => whole(StatusCode::OK, count_answer(request.client, tokens)),
        Err(e) => refusal(request.client, &Failure::new(FailureKind::Invalid, e.to_string())),
    }
}

/// Formats a whole answer.
pub(crate) fn whole(status: StatusCode, body: Vec<u8>) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::Whole(Some(body.into())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Formats an error as the client's dialect has it.
pub(crate) fn refusal(client: Api, failure: &Failure) -> Response<AnswerBody> {
    let status = StatusCode::from_u16(failure.status(client)).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = whole(status, failure.body(client));
    if let Some(wait) = failure.retry_after {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
