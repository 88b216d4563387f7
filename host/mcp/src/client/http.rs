//! Streamable HTTP over `net`: rmcp speaks the protocol, `net` decides what may be reached.
//!
//! <https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#streamable-http>

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aiw_core::Secret;
use aiw_net::{HttpRequest, Method, NetError, Policy, StreamingResponse};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use http::{HeaderName, HeaderValue};
use rmcp::model::{ClientJsonRpcMessage, ClientRequest, ErrorData, JsonRpcMessage};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::{
    AuthRequiredError, HttpStatusError, InsufficientScopeError, SseError, StreamableHttpClient,
    StreamableHttpClientTransportConfig, StreamableHttpError, StreamableHttpPostResponse,
};
use serde_json::Value;
use sse_stream::{Sse, SseStream};

use super::in_flight::InFlightRequests;
use super::request::DISCOVERY_TIMEOUT_MESSAGE;

const EVENT_STREAM_TYPE: &str = "text/event-stream";
const JSON_TYPE: &str = "application/json";
const SESSION_HEADER: &str = "mcp-session-id";

/// The longest accepted answer or stream event.
const MAX_MESSAGE: usize = 64 << 20;

/// How long a stream of events may be silent. A server sends comments to keep it open.
const STREAM_IDLE_TIMEOUT: Duration = Duration::from_secs(600);

/// Where the tokens for a server come from.
#[async_trait]
pub trait TokenProvider: Send + Sync {
    /// The token for the next request, if there is one.
    async fn token(&self) -> Option<Secret>;

    /// The server refused a request that carried this token, or none. Returns another token to try with. `again` if
    /// it has refused two: there is no third try.
    async fn on_unauthorized(&self, token: Option<Secret>, again: bool) -> Option<Secret>;

    /// The server says that the token allows too little.
    async fn on_insufficient_scope(&self, challenge: &str);
}

/// A server at an address.
#[derive(Clone)]
pub struct ServerEndpoint {
    client: aiw_net::HttpClient,
    policy: Policy,
    url: String,
    secrets: Vec<(String, Secret)>,
    bearer: Option<Arc<dyn TokenProvider>>,
}

impl ServerEndpoint {
    /// A server at `url`, reached under `policy`. `headers` may hold keys: they go only to the server's origin.
    pub fn new(
        client: aiw_net::HttpClient,
        policy: Policy,
        url: impl Into<String>,
        headers: Vec<(String, Secret)>,
    ) -> Self {
        Self { client, policy, url: url.into(), secrets: headers, bearer: None }
    }

    /// Adds tokens. They go only to the server's origin, as all keys do.
    #[must_use]
    pub fn with_token_provider(self, bearer: Arc<dyn TokenProvider>) -> Self {
        Self { bearer: Some(bearer), ..self }
    }

    /// An address may hold a key, so no error names more of it than its origin.
    async fn open(&self, request: &HttpRequest) -> Result<StreamingResponse, NetError> {
        self.client.open(&self.policy, request, STREAM_IDLE_TIMEOUT).await.map_err(NetError::without_paths)
    }

    pub(crate) fn into_transport(self, raw: InFlightRequests) -> StreamableHttpClientTransport<HttpTransport> {
        let config = StreamableHttpClientTransportConfig::with_uri(self.url.as_str());
        StreamableHttpClientTransport::with_client(HttpTransport { endpoint: Arc::new(self), raw }, config)
    }
}

/// rmcp's HTTP client trait, implemented over `net`.
#[derive(Clone)]
pub(crate) struct HttpTransport {
    endpoint: Arc<ServerEndpoint>,
    raw: InFlightRequests,
}

type HttpFailure = StreamableHttpError<NetError>;

/// The data that rmcp passes along with each request.
struct RequestExtras {
    session: Option<Arc<str>>,
    token: Option<String>,
    headers: HashMap<HeaderName, HeaderValue>,
}

impl HttpTransport {
    async fn send(
        &self,
        method: Method,
        url: &str,
        accept: &str,
        body: Vec<u8>,
        given: RequestExtras,
    ) -> Result<StreamingResponse, HttpFailure> {
        let mut request = HttpRequest { method, body, ..HttpRequest::new(url) };
        let secrets = &mut request.secret_headers;
        secrets.extend(self.endpoint.secrets.iter().cloned());
        if let Some(token) = given.token {
            secrets.push(("authorization".into(), Secret::new(format!("Bearer {token}"))));
        }
        // Anyone who knows a session's id can use it.
        if let Some(session) = given.session {
            secrets.push((SESSION_HEADER.into(), Secret::new(session.to_string())));
        }
        for (name, value) in &given.headers {
            let value = value.to_str().map_err(|_| HttpFailure::ReservedHeaderConflict(name.to_string()))?;
            request.headers.push((name.to_string(), value.to_owned()));
        }
        if !accept.is_empty() {
            request.headers.push(("accept".into(), accept.into()));
        }
        if method == Method::Post {
            request.headers.push(("content-type".into(), JSON_TYPE.into()));
        }
        let answer = match &self.endpoint.bearer {
            Some(bearer) => self.send_with(bearer.as_ref(), request).await,
            None => self.endpoint.open(&request).await,
        };
        checked(answer.map_err(HttpFailure::Client)?)
    }

    /// Sends a request with a token, and once more if the server refuses it and there is another.
    async fn send_with(&self, bearer: &dyn TokenProvider, request: HttpRequest) -> Result<StreamingResponse, NetError> {
        let open = async |token: Option<&Secret>| {
            let mut request = request.clone();
            if let Some(token) = token {
                request
                    .secret_headers
                    .push(("authorization".into(), Secret::new(format!("Bearer {}", token.expose()))));
            }
            self.endpoint.open(&request).await
        };
        let mut token = bearer.token().await;
        let mut answer = open(token.as_ref()).await?;
        if answer.status == 401
            && let Some(other) = bearer.on_unauthorized(token.take(), false).await
        {
            answer = open(Some(&other)).await?;
            if answer.status == 401 {
                bearer.on_unauthorized(Some(other), true).await;
            }
        }
        if answer.status == 403 {
            bearer.on_insufficient_scope(answer.header("www-authenticate").unwrap_or_default()).await;
        }
        Ok(answer)
    }

    /// The events of a stream, each with its message as rmcp takes it.
    fn events(&self, answer: StreamingResponse) -> BoxStream<'static, Result<Sse, SseError>> {
        let raw = self.raw.clone();
        let held = Arc::new(AtomicUsize::new(0));
        let counted = held.clone();
        let pieces = futures::stream::unfold(Some(answer), move |answer| {
            let counted = counted.clone();
            async move {
                let mut answer = answer?;
                match answer.chunk().await {
                    Ok(Some(piece))
                        if counted.fetch_add(piece.len(), Ordering::Relaxed) + piece.len() > MAX_MESSAGE =>
                    {
                        let message = format!("an event is longer than {} MiB", MAX_MESSAGE >> 20);
                        Some((Err(std::io::Error::other(message)), None))
                    }
                    Ok(Some(piece)) => Some((Ok(Bytes::from(piece)), Some(answer))),
                    Ok(None) => None,
                    Err(error) => Some((Err(std::io::Error::other(error.without_paths())), None)),
                }
            }
        });
        let events = SseStream::from_bytes_stream(pieces);
        let whole = events.then(move |event| {
            held.store(0, Ordering::Relaxed);
            let raw = raw.clone();
            async move {
                let mut event = event?;
                if let Some(data) = &event.data {
                    let message = raw.receive(data.as_bytes()).await;
                    event.data = message.and_then(|message| serde_json::to_string(&message).ok());
                }
                Ok(event)
            }
        });
        whole.boxed()
    }
}

/// The answer, unless its status is an error.
fn checked(answer: StreamingResponse) -> Result<StreamingResponse, HttpFailure> {
    let challenge = answer.header("www-authenticate").map(str::to_owned);
    match (answer.status, challenge) {
        (401, challenge) => Err(HttpFailure::AuthRequired(AuthRequiredError::new(challenge.unwrap_or_default()))),
        (403, Some(challenge)) => Err(HttpFailure::InsufficientScope(InsufficientScopeError::new(challenge, None))),
        (429 | 500..=599, _) if !is(&answer, JSON_TYPE) => {
            let wait = answer.header("retry-after").map(str::to_owned);
            Err(HttpStatusError::new(answer.status, wait).into())
        }
        (301..=308, _) => Err(HttpFailure::UnexpectedServerResponse(
            "the server redirects elsewhere, and aiw sends no body there".into(),
        )),
        _ => Ok(answer),
    }
}

fn is(answer: &StreamingResponse, kind: &str) -> bool {
    let found = answer.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim();
    found.eq_ignore_ascii_case(kind)
}

/// A whole body.
async fn whole(mut answer: StreamingResponse) -> Result<Vec<u8>, HttpFailure> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|e| HttpFailure::Client(e.without_paths()))? {
        if body.len() + piece.len() > MAX_MESSAGE {
            let message = format!("an answer is longer than {} MiB", MAX_MESSAGE >> 20);
            return Err(HttpFailure::UnexpectedServerResponse(message.into()));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// Returns the message of an error without an id.
fn refusal(body: &[u8]) -> Option<String> {
    let error: Value = aiw_core::from_foreign_json(body).ok()?;
    let is_nameless = error.get("id").is_none_or(Value::is_null) && error.get("method").is_none();
    let said = error["error"]["message"].as_str().or_else(|| error["error"].as_str()).unwrap_or("no reason");
    is_nameless.then(|| aiw_core::one_line(said, 300))
}

fn is_discovery(message: &ClientJsonRpcMessage, in_session: bool) -> bool {
    let JsonRpcMessage::Request(request) = message else { return false };
    !in_session && matches!(request.request, ClientRequest::DiscoverRequest(_))
}

/// A refused discovery as an answer to it, whatever id the refusal has: what is in front of an older server refuses
/// what it does not know in many ways, and `initialize` is tried then.
fn no_discovery(message: &ClientJsonRpcMessage, body: Option<&[u8]>) -> StreamableHttpPostResponse {
    let id = match message {
        JsonRpcMessage::Request(request) => Some(request.id.clone()),
        _ => None,
    };
    let Some(body) = body else {
        let error = ErrorData::invalid_request(DISCOVERY_TIMEOUT_MESSAGE, None);
        return StreamableHttpPostResponse::Json(JsonRpcMessage::error(error, id), None);
    };
    let answer: Value = aiw_core::from_foreign_json(body).unwrap_or_default();
    let error = answer.get("error").cloned().and_then(|error| serde_json::from_value::<ErrorData>(error).ok());
    let error = error.unwrap_or_else(|| ErrorData::invalid_request("`server/discover` is refused", None));
    StreamableHttpPostResponse::Json(JsonRpcMessage::error(error, id), None)
}

fn status(answer: &StreamingResponse) -> HttpFailure {
    HttpFailure::UnexpectedServerResponse(Cow::from(format!("it answers with status {}", answer.status)))
}

impl StreamableHttpClient for HttpTransport {
    type Error = NetError;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        token: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, HttpFailure> {
        self.raw.track(&message);
        let in_session = session.is_some();
        let body = serde_json::to_vec(&message)?;
        let given = RequestExtras { session, token, headers };
        let accepted = format!("{EVENT_STREAM_TYPE}, {JSON_TYPE}");
        let sending = self.send(Method::Post, &uri, &accepted, body, given);
        let answer = match self.raw.discovery_timeout().filter(|_| is_discovery(&message, in_session)) {
            // rmcp sends nothing else before the answer to its first request.
            Some(timeout) => match tokio::time::timeout(timeout, sending).await {
                Ok(answer) => answer?,
                Err(_) => return Ok(no_discovery(&message, None)),
            },
            None => sending.await?,
        };
        let asked = matches!(message, ClientJsonRpcMessage::Request(_));
        let session = answer.header(SESSION_HEADER).map(str::to_owned);
        match answer.status {
            202 | 204 => return Ok(StreamableHttpPostResponse::Accepted),
            404 if in_session => return Err(HttpFailure::SessionExpired),
            200..=299 if !asked && !is(&answer, EVENT_STREAM_TYPE) => return Ok(StreamableHttpPostResponse::Accepted),
            200..=299 if is(&answer, EVENT_STREAM_TYPE) => {
                return Ok(StreamableHttpPostResponse::Sse(self.events(answer), session));
            }
            _ => {}
        }
        let refused = answer.status;
        if is_discovery(&message, in_session) && (400..500).contains(&refused) && ![401, 403, 429].contains(&refused) {
            return Ok(no_discovery(&message, Some(&whole(answer).await?)));
        }
        if !is(&answer, JSON_TYPE) {
            let kind = answer.header("content-type").map(str::to_owned);
            return Err(if (200..=299).contains(&answer.status) {
                HttpFailure::UnexpectedContentType(kind)
            } else {
                status(&answer)
            });
        }
        let failed = status(&answer);
        let is_refused = answer.status >= 400;
        let body = whole(answer).await?;
        // Without an id, no caller would see this error.
        if let Some(reason) = refusal(&body).filter(|_| is_refused) {
            // A server that was started anew does not know the session. Some say so with 400 instead of 404.
            let is_about_session = in_session && reason.to_ascii_lowercase().contains("session");
            return Err(if is_about_session {
                HttpFailure::SessionExpired
            } else {
                HttpFailure::UnexpectedServerResponse(format!("{failed}: {reason}").into())
            });
        }
        match self.raw.receive(&body).await {
            Some(message) => Ok(StreamableHttpPostResponse::Json(message, session)),
            None if is_refused => Err(failed),
            None => Err(HttpFailure::UnexpectedServerResponse("its answer is not a message of JSON-RPC 2.0".into())),
        }
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session: Arc<str>,
        token: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), HttpFailure> {
        let given = RequestExtras { session: Some(session), token, headers };
        let answer = self.send(Method::Delete, &uri, "", Vec::new(), given).await?;
        match answer.status {
            200..=299 | 405 => Ok(()),
            _ => Err(status(&answer)),
        }
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last_event: Option<String>,
        token: Option<String>,
        mut headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, HttpFailure> {
        if let Some(Ok(last)) = last_event.as_deref().map(HeaderValue::from_str) {
            headers.insert(HeaderName::from_static("last-event-id"), last);
        }
        let given = RequestExtras { session, token, headers };
        let answer = self.send(Method::Get, &uri, EVENT_STREAM_TYPE, Vec::new(), given).await?;
        match answer.status {
            200..=299 if is(&answer, EVENT_STREAM_TYPE) => Ok(self.events(answer)),
            404 => Err(HttpFailure::SessionExpired),
            405 => Err(HttpFailure::ServerDoesNotSupportSse),
            200..=299 => Err(HttpFailure::UnexpectedContentType(answer.header("content-type").map(str::to_owned))),
            _ => Err(status(&answer)),
        }
    }
}
