//! One connection: requests one after the other, each checked, then answered.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response};
use http_body::Body;
use http_body_util::Either;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::body::BodyBudget;
use crate::guard;
use crate::head::{HeadInspector, HeadState};
use crate::places::ConnectionPermit;
use crate::rules::Rules;

/// The state that all connections of a listener share.
pub(crate) struct SharedListener<S> {
    pub(crate) rules: Rules,
    pub(crate) body_budget: BodyBudget,
    pub(crate) address: SocketAddr,
    pub(crate) service: S,
    pub(crate) stop: CancellationToken,
}

/// Serves a connection until its client leaves, its time is over, or the listener stops and the running answer is sent.
pub(crate) async fn serve<S, F, B>(stream: TcpStream, place: ConnectionPermit, shared: Arc<SharedListener<S>>)
where
    S: Fn(Request<Bytes>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    // Answers are small and awaited.
    let _ = stream.set_nodelay(true);
    let (limits, place) = (shared.rules.limits, Arc::new(place));
    let heads = HeadState::default();
    let io = TokioIo::new(HeadInspector { stream, heads: heads.clone() });
    let (for_requests, stop, own) = (shared.clone(), shared.stop.clone(), place.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let (shared, heads, place) = (for_requests.clone(), heads.clone(), own.clone());
        async move { Ok::<_, Infallible>(answer(request, &shared, &heads, &place).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head_timeout).max_buf_size(limits.head_bytes.max(8 << 10));
    let mut connection = std::pin::pin!(http.serve_connection(io, service));
    tokio::select! {
        _ = connection.as_mut() => return,
        () = place.wait_until_expired() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = tokio::time::timeout(limits.grace_period, connection).await;
}

async fn answer<S, F, B>(
    request: Request<Incoming>,
    shared: &SharedListener<S>,
    heads: &HeadState,
    place: &ConnectionPermit,
) -> Response<Either<B, http_body_util::Full<Bytes>>>
where
    S: Fn(Request<Bytes>) -> F,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes>,
{
    let mut response =
        match guard::admit(request, &shared.rules, shared.address, heads, place, &shared.body_budget).await {
            Ok(request) => {
                let mut response = (shared.service)(request).await.map(Either::Left);
                if shared.stop.is_cancelled() {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                response
            }
            Err(refusal) => {
                heads.linger();
                place.mark_rejected();
                refusal.response().map(Either::Right)
            }
        };
    for (name, value) in &shared.rules.headers {
        response.headers_mut().entry(name).or_insert_with(|| value.clone());
    }
    response
}
