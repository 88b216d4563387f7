//! The listener, and what is checked before anything is sent.

use futures::future::BoxFuture;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aiw_core::one_line;
use aiw_dialects::{Api, FailureKind, ModelRequest, UpstreamFailure, count_answer, estimate};
use aiw_listen::{Full, HttpRoute as Path, ListenError, ListenLimits, Listener, Method, RejectionResponse, Rules};
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{Response, StatusCode};
use tokio_util::sync::CancellationToken;

use crate::body::ResponseBody;
use crate::endpoint::Endpoint;
use crate::exchange::IncomingRequest;
use crate::gateway::Gateway;
use crate::models;
use crate::proof::{PROOF, compute_proof};
use crate::reply::{build_request, refusal, whole};
use crate::route::GatewayRoute;

/// The largest request: a long conversation with pictures.
const BODY_BYTES: usize = 64 << 20;

/// How long an answer may take to end after the gateway is told to stop.
const SHUTDOWN_GRACE_PERIOD: Duration = Duration::from_secs(2);

impl Gateway {
    /// Answers one request.
    pub fn answer(self: Arc<Self>, request: http::Request<Bytes>) -> BoxFuture<'static, Response<ResponseBody>> {
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let Some(called) = Endpoint::parse(&parts.method, &parts.uri) else {
                let said = "aiw's gateway has no such address; clients speak Messages, Responses, Chat Completions or generateContent";
                return refusal(Api::Messages, &UpstreamFailure::new(FailureKind::NotFound, said));
            };
            match &called {
                Endpoint::Hello => return whole(StatusCode::OK, b"{}".to_vec()),
                Endpoint::Prove(nonce) => {
                    let proof = self.key.as_ref().map(|key| compute_proof(key, nonce));
                    return whole(StatusCode::OK, proof.unwrap_or_default().into_bytes());
                }
                Endpoint::Models(_) | Endpoint::Model(_) | Endpoint::Generate(..) | Endpoint::Count(..) => {}
            }
            let Some(route) = self.route(&parts) else { return no_token(called.dialect()) };
            match called {
                Endpoint::Hello | Endpoint::Prove(_) => whole(StatusCode::OK, b"{}".to_vec()),
                Endpoint::Models(dialect) => match self.models(&route).await {
                    Ok(models) => whole(StatusCode::OK, models::list(dialect, &models)),
                    Err(failure) => refusal(dialect, &failure),
                },
                Endpoint::Model(name) => match self.models(&route).await {
                    Ok(models) if models.contains(&name) => {
                        whole(StatusCode::OK, models::model(&name).to_string().into_bytes())
                    }
                    Ok(_) => {
                        let said = format!("`{}` has no model `{}`", route.name(), one_line(&name, 80));
                        refusal(Api::ChatCompletions, &UpstreamFailure::new(FailureKind::NotFound, said))
                    }
                    Err(failure) => refusal(Api::ChatCompletions, &failure),
                },
                Endpoint::Count(dialect, at) => count(&build_request(dialect, &body, &at)),
                Endpoint::Generate(client, at) => {
                    self.generate(route, IncomingRequest { client, at, parts: &parts, body }).await
                }
            }
        })
    }

    /// Lets in who shows a token that leads somewhere.
    pub(crate) fn admit(&self, head: &Parts) -> Result<(), RejectionResponse> {
        if self.route(head).is_some() {
            return Ok(());
        }
        let dialect = Endpoint::parse(&head.method, &head.uri).map_or(Api::Messages, |called| called.dialect());
        Err(Box::new(no_token(dialect).map(|body| Full::new(body.whole()))))
    }

    fn route(&self, head: &Parts) -> Option<Arc<GatewayRoute>> {
        token(head).and_then(|token| self.routes.find(&token))
    }
}

fn no_token(dialect: Api) -> Response<ResponseBody> {
    let said = "the token is not one of aiw's gateway: it was revoked, or its run has ended";
    refusal(dialect, &UpstreamFailure::new(FailureKind::Key, said))
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
pub fn serve(listener: Listener, gateway: Arc<Gateway>, stop: CancellationToken) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let limits = ListenLimits {
            head_bytes: 64 << 10,
            body_bytes: BODY_BYTES,
            body_time: Duration::from_secs(120),
            head_time: Duration::from_secs(120),
            grace: SHUTDOWN_GRACE_PERIOD,
            ..ListenLimits::default()
        };
        let routes = [
            // Signs of life, and the proof that this is the gateway of a home.
            Path::open("/", [Method::GET]),
            Path::open("/", [Method::HEAD]).and_below(),
            Path::open(PROOF, [Method::GET]).and_below(),
            Path::new("/", [Method::GET, Method::POST]).and_below(),
        ];
        // Tokens are many, and come in each vendor's own header.
        let gate = gateway.clone();
        let rules = Rules::new(routes).with_gate(move |head| gate.admit(head)).with_limits(limits);
        let answer = move |request| gateway.clone().answer(request);
        listener.serve(rules, answer, stop).await;
    })
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

fn count(request: &ModelRequest<'_>) -> Response<ResponseBody> {
    match estimate(request) {
        Ok(tokens) => whole(StatusCode::OK, count_answer(request.client, tokens)),
        Err(e) => refusal(request.client, &UpstreamFailure::new(FailureKind::Invalid, e.to_string())),
    }
}
