//! The listener, and what is checked before anything is sent.

use futures::future::BoxFuture;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aiw_core::one_line;
use aiw_dialects::{Api, FailureKind, ModelRequest, UpstreamFailure, estimate, token_count_response};
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
use crate::proof::{PROOF_PATH_PREFIX, compute_proof};
use crate::reply::{build_request, error_response, json_response};
use crate::route::GatewayRoute;

/// The largest request: a long conversation with pictures.
const MAX_BODY_BYTES: usize = 64 << 20;

/// How long an answer may take to end after the gateway is told to stop.
const SHUTDOWN_GRACE_PERIOD: Duration = Duration::from_secs(2);

impl Gateway {
    /// Answers one request.
    pub fn handle(self: Arc<Self>, request: http::Request<Bytes>) -> BoxFuture<'static, Response<ResponseBody>> {
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let Some(called) = Endpoint::parse(&parts.method, &parts.uri) else {
                let said = "aiw's gateway has no such address; clients speak Messages, Responses, Chat Completions or generateContent";
                return error_response(Api::Messages, &UpstreamFailure::new(FailureKind::NotFound, said));
            };
            match &called {
                Endpoint::HealthCheck => return json_response(StatusCode::OK, b"{}".to_vec()),
                Endpoint::Challenge(nonce) => {
                    let proof = self.key.as_ref().map(|key| compute_proof(key, nonce));
                    return json_response(StatusCode::OK, proof.unwrap_or_default().into_bytes());
                }
                Endpoint::Models(_) | Endpoint::Model(_) | Endpoint::Generate(..) | Endpoint::CountTokens(..) => {}
            }
            let Some(route) = self.route(&parts) else { return no_token(called.dialect()) };
            match called {
                Endpoint::HealthCheck | Endpoint::Challenge(_) => json_response(StatusCode::OK, b"{}".to_vec()),
                Endpoint::Models(dialect) => match self.models(&route).await {
                    Ok(models) => json_response(StatusCode::OK, models::format_model_list(dialect, &models)),
                    Err(failure) => error_response(dialect, &failure),
                },
                Endpoint::Model(name) => match self.models(&route).await {
                    Ok(models) if models.contains(&name) => {
                        json_response(StatusCode::OK, models::format_model(&name).to_string().into_bytes())
                    }
                    Ok(_) => {
                        let said = format!("`{}` has no model `{}`", route.name(), one_line(&name, 80));
                        error_response(Api::ChatCompletions, &UpstreamFailure::new(FailureKind::NotFound, said))
                    }
                    Err(failure) => error_response(Api::ChatCompletions, &failure),
                },
                Endpoint::CountTokens(dialect, at) => count(&build_request(dialect, &body, &at)),
                Endpoint::Generate(client, at) => {
                    self.generate(route, IncomingRequest { client, path: at, parts: &parts, body }).await
                }
            }
        })
    }

    /// Lets in who shows a token that leads somewhere.
    pub(crate) fn authenticate(&self, head: &Parts) -> Result<(), RejectionResponse> {
        if self.route(head).is_some() {
            return Ok(());
        }
        let dialect = Endpoint::parse(&head.method, &head.uri).map_or(Api::Messages, |called| called.dialect());
        Err(Box::new(no_token(dialect).map(|body| Full::new(body.into_bytes()))))
    }

    fn route(&self, head: &Parts) -> Option<Arc<GatewayRoute>> {
        token(head).and_then(|token| self.routes.find(&token))
    }
}

fn no_token(dialect: Api) -> Response<ResponseBody> {
    let said = "the token is not one of aiw's gateway: it was revoked, or its run has ended";
    error_response(dialect, &UpstreamFailure::new(FailureKind::InvalidKey, said))
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
            body_bytes: MAX_BODY_BYTES,
            body_timeout: Duration::from_secs(120),
            head_timeout: Duration::from_secs(120),
            grace_period: SHUTDOWN_GRACE_PERIOD,
            ..ListenLimits::default()
        };
        let routes = [
            // Signs of life, and the proof that this is the gateway of a home.
            Path::public("/", [Method::GET]),
            Path::public("/", [Method::HEAD]).with_prefix_match(),
            Path::public(PROOF_PATH_PREFIX, [Method::GET]).with_prefix_match(),
            Path::new("/", [Method::GET, Method::POST]).with_prefix_match(),
        ];
        // Tokens are many, and come in each vendor's own header.
        let gate = gateway.clone();
        let rules = Rules::new(routes).with_gate(move |head| gate.authenticate(head)).with_limits(limits);
        let answer = move |request| gateway.clone().handle(request);
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
        Ok(tokens) => json_response(StatusCode::OK, token_count_response(request.client, tokens)),
        Err(e) => error_response(request.client, &UpstreamFailure::new(FailureKind::Invalid, e.to_string())),
    }
}
