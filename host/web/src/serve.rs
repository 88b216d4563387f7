//! The server of the page: what is open to everybody, what needs a session, and how long it lives.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv6Addr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_app::App;
use aiw_home::{ExecutionContext, Home};
use aiw_listen::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use aiw_listen::{
    Bytes, HeaderMap, HeaderName, HeaderValue, HttpRoute, ListenLimits, Listener, MatchedPath, Method, Request,
    Response, Rules, StatusCode,
};
use aiw_routing::KnownTool;
use futures::StreamExt;
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::access::{Access, NO_SESSION_MESSAGE, error_response, new_socket_name, revoke_all, session_token};
use crate::api::{API_PREFIX, ApiCall, ApiError, ApiRoute, DoctorFn, PromptRequired, extract_prompter};
use crate::assets::{PAGE_FILES, find_file};
use crate::error::WebError;
use crate::openapi::description;
use crate::person::WebPrompter;
use crate::place::{DashboardLock, StartDirectory, WebEndpoint, listen_address, new_address, supervised_socket};
use crate::progress::PageProgress;
use crate::projects::Projects;
use crate::routes::route_table;
use crate::stream::{OpenStreams, StreamSubscription};

/// How long the dashboard in the background lives after its last page.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// As many calls of one session are answered at once, and as many streams are open.
const MAX_CALLS_PER_SESSION: usize = 16;
const MAX_STREAMS_PER_SESSION: usize = 32;

/// As many connections are open, and as many streams of all sessions: the others are for requests.
const MAX_CONNECTIONS: usize = 512;
const MAX_STREAMS: usize = MAX_CONNECTIONS / 2;

/// The longest request.
const MAX_BODY_BYTES: usize = 4 << 20;

/// Where a code becomes a session.
const SESSION_PATH: &str = "/api/v1/session";

/// The longest body there.
const MAX_CODE_BYTES: usize = 256;

/// Headers of every answer. Nothing but the page's own files is loaded, and nothing of it is framed.
const SECURITY_HEADERS: [(&str, &str); 7] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src \
         'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types vue",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// Facts that only the binary knows.
pub struct WebOptions {
    /// Looks for problems of the parts of aiw.
    pub doctor: DoctorFn,
    /// Returns aiw's own tools.
    pub own_tools: fn() -> Vec<KnownTool>,
    /// The observer of the app, for pages that wait.
    pub progress: Arc<PageProgress>,
}

/// Returns a home as the dashboard in the background sees it: from where it was started.
pub fn with_start_context(home: &Home) -> Home {
    StartDirectory::with_start_context(&without_credentials(home))
}

/// Returns a home as the dashboard sees it: with what surrounds whoever starts it, but for variables that hold a secret.
pub fn without_credentials(home: &Home) -> Home {
    let around = home.context();
    let usual = around.variables().filter(|(name, _)| name.to_str().is_some_and(aiw_supervisor::is_usual_variable));
    let directory = around.directory().map(Path::to_owned);
    home.with_context(ExecutionContext::new(directory, usual))
}

/// The state that all requests share.
struct Shared {
    app: Arc<App>,
    projects: Arc<Projects>,
    options: WebOptions,
    access: Access,
    streams: OpenStreams,
    sessions: Mutex<BTreeMap<String, SessionLimits>>,
    used: Mutex<Instant>,
    stop: CancellationToken,
}

/// The limits of one session.
#[derive(Clone)]
struct SessionLimits {
    reads: Arc<Semaphore>,
    calls: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    /// Ends the streams when the session is ended.
    over: CancellationToken,
}

/// A dashboard that listens.
pub struct WebServer {
    listener: Listener,
    place: WebEndpoint,
    shared: Arc<Shared>,
    serving: DashboardLock,
}

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

impl WebServer {
    /// Binds the dashboard of a home. `None` if one runs already.
    ///
    /// # Errors
    ///
    /// The wanted port is taken, or the home can't be written.
    pub async fn bind(app: Arc<App>, port: Option<u16>, options: WebOptions) -> Result<Option<Self>, WebError> {
        let Some(serving) = DashboardLock::try_acquire(app.home())? else { return Ok(None) };
        let listener = Listener::bind(listen_address(port)?).await?;
        // Those of a socket that is closed are good for nothing.
        revoke_all(app.home())?;
        let socket = new_socket_name(app.home())?;
        Ok(Some(Self::of(app, listener, options, serving, (socket, false))))
    }

    fn of(
        app: Arc<App>,
        listener: Listener,
        options: WebOptions,
        serving: DashboardLock,
        (socket, in_background): (String, bool),
    ) -> Self {
        let place = WebEndpoint { port: listener.address().port(), in_background, socket };
        let access = place.access(app.home());
        let shared = Shared {
            projects: Arc::new(Projects::new(app.clone())),
            app,
            options,
            access,
            streams: OpenStreams::default(),
            sessions: Mutex::default(),
            used: Mutex::new(Instant::now()),
            stop: CancellationToken::new(),
        };
        Self { listener, place, shared: Arc::new(shared), serving }
    }

    /// Returns its address.
    pub fn url(&self) -> String {
        self.shared.access.origin()
    }

    /// Returns its address with a code that is good once, for a minute.
    ///
    /// # Errors
    ///
    /// The home can't be written.
    pub fn new_address(&self) -> Result<String, WebError> {
        Ok(new_address(&self.shared.access, self.shared.app.home())?)
    }

    /// Serves until it is told to stop, or in the background until no page was there for half an hour.
    ///
    /// # Errors
    ///
    /// The home can't be written.
    pub async fn serve(self, stop: CancellationToken) -> Result<(), WebError> {
        let Self { listener, place, shared, serving } = self;
        place.write(shared.app.home())?;
        let watched = shared.app.feed().changes(&[])?;
        watched.follow_file(&WebEndpoint::path(shared.app.home()));
        let removed = async {
            while WebEndpoint::read(shared.app.home()).is_ok_and(|place| place.is_some()) {
                watched.next().await;
            }
        };
        let idle = async {
            loop {
                tokio::time::sleep(IDLE_TIMEOUT / 30).await;
                if shared.streams.count() > 0 {
                    *shared.used.lock() = Instant::now();
                }
                if place.in_background && shared.used.lock().elapsed() > IDLE_TIMEOUT {
                    return;
                }
            }
        };
        let ended = async {
            tokio::select! {
                () = removed => {}
                () = idle => {}
                () = stop.cancelled() => {}
            }
            shared.stop.cancel();
        };
        let service = shared.clone();
        let answer = move |request| {
            let shared = service.clone();
            async move { answer(&shared, request).await }
        };
        let serves = listener.serve(rules(&shared), answer, shared.stop.clone());
        tokio::join!(serves, ended, redirects(&shared, place.port));
        WebEndpoint::remove(shared.app.home());
        let forgotten = revoke_all(shared.app.home());
        drop(serving);
        Ok(forgotten?)
    }
}

/// Serves the dashboard on the socket that is this process's standard input: its supervisor holds it, and names it in the
/// variables of `home`, which the app does not see.
///
/// # Errors
///
/// There is no such socket, or the home can't be written.
pub async fn run_in_background(home: &Home, app: Arc<App>, options: WebOptions) -> Result<(), WebError> {
    let system = |source| WebError::System { what: "there is no socket on standard input", source };
    let socket = std::os::fd::AsFd::as_fd(&io::stdin()).try_clone_to_owned().map(TcpListener::from).map_err(system)?;
    let listener = Listener::from_socket(socket).map_err(system)?;
    let Some(serving) = DashboardLock::try_acquire(app.home())? else { return Ok(()) };
    let socket = supervised_socket(home).map_or_else(|| new_socket_name(home), Ok)?;
    WebServer::of(app, listener, options, serving, (socket, true)).serve(CancellationToken::new()).await
}

fn rules(shared: &Arc<Shared>) -> Rules {
    let files = PAGE_FILES.iter().map(|file| HttpRoute::public(file.path, [Method::GET]));
    let api = route_table()
        .iter()
        .map(|route| HttpRoute::new(route.full_path(), [route.method.clone()]).with_media_type("application/json"));
    let more = [
        HttpRoute::public("/", [Method::GET]),
        HttpRoute::public(SESSION_PATH, [Method::POST])
            .with_public_body_limit(MAX_CODE_BYTES)
            .with_media_type("application/json"),
        HttpRoute::new(SESSION_PATH, [Method::GET, Method::DELETE]),
        HttpRoute::new(format!("{API_PREFIX}/events"), [Method::GET]),
        HttpRoute::new(format!("{API_PREFIX}/openapi.json"), [Method::GET]),
    ];
    let access = shared.access.clone();
    Rules::new(files.chain(more).chain(api))
        .with_origins([shared.access.origin()])
        .with_gate(move |head| access.authorize(head))
        .with_headers(headers())
        .with_limits(ListenLimits {
            body_bytes: MAX_BODY_BYTES,
            max_connections: MAX_CONNECTIONS,
            ..ListenLimits::default()
        })
}

fn headers() -> HeaderMap {
    SECURITY_HEADERS
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}

/// Sends whoever comes by the machine's other loopback address to the one that has the page.
async fn redirects(shared: &Arc<Shared>, port: u16) {
    // A machine without IPv6 has no such address.
    let Ok(listener) = Listener::bind((Ipv6Addr::LOCALHOST, port).into()).await else { return };
    let rules = Rules::new([HttpRoute::public("/", [Method::GET])]).with_headers(headers());
    let access = shared.access.clone();
    let answer = move |_: Request<Bytes>| {
        let answer = redirect(&access);
        async move { answer }
    };
    listener.serve(rules, answer, shared.stop.clone()).await;
}

fn redirect(access: &Access) -> Answer {
    let mut response = whole(Bytes::new());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    if let Ok(to) = HeaderValue::from_str(&format!("{}/", access.origin())) {
        response.headers_mut().insert(LOCATION, to);
    }
    response
}

fn whole(bytes: Bytes) -> Answer {
    Response::new(Full::new(bytes).boxed_unsync())
}

fn json_of(status: StatusCode, value: &Value) -> Answer {
    let mut response = whole(Bytes::from(value.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn refused(status: StatusCode, words: &str) -> Answer {
    error_response(status, words).map(BodyExt::boxed_unsync)
}

async fn answer(shared: &Arc<Shared>, request: Request<Bytes>) -> Answer {
    let matched = request.extensions().get::<MatchedPath>().map(|path| path.0.to_string()).unwrap_or_default();
    if !matched.starts_with(API_PREFIX) {
        let host = request.headers().get(aiw_listen::header::HOST).map(HeaderValue::as_bytes).unwrap_or_default();
        if shared.access.origin().strip_prefix("http://").map(str::as_bytes) != Some(host) {
            return redirect(&shared.access);
        }
        return match find_file(&matched) {
            Some(file) => file.to_response().map(|body| Full::new(body).boxed_unsync()),
            None => refused(StatusCode::NOT_FOUND, "this aiw was built without its page"),
        };
    }
    if matched == SESSION_PATH && request.method() == Method::POST {
        return begin(shared, request).await;
    }
    // The gate has let it in.
    let Some(session) = session_token(request.headers()).map(str::to_owned) else {
        return refused(StatusCode::UNAUTHORIZED, NO_SESSION_MESSAGE);
    };
    *shared.used.lock() = Instant::now();
    let limits = limits(shared, &session);
    match matched.strip_prefix(API_PREFIX).unwrap_or_default() {
        "/session" if request.method() == Method::DELETE => end(shared, &session),
        "/session" => json_of(StatusCode::OK, &about(shared)),
        "/openapi.json" => json_of(StatusCode::OK, &description()),
        "/events" => match limits.streams.try_acquire_owned() {
            _ if shared.streams.count() >= MAX_STREAMS => {
                let why = format!("{MAX_STREAMS} pages of this dashboard listen already: close one");
                refused(StatusCode::TOO_MANY_REQUESTS, &why)
            }
            Ok(permit) => events(shared, &request, session, (permit, limits.over)),
            Err(_) => {
                let why = format!(
                    "{MAX_STREAMS_PER_SESSION} pages of this session listen already: close one, or open another session with `aiw web`"
                );
                refused(StatusCode::TOO_MANY_REQUESTS, &why)
            }
        },
        // What hangs keeps nobody from looking.
        path => match if request.method() == Method::GET { limits.reads } else { limits.calls }.try_acquire_owned() {
            Ok(permit) => call(shared, path, request, permit).await,
            Err(_) => refused(StatusCode::TOO_MANY_REQUESTS, "too many requests of this session are open"),
        },
    }
}

fn limits(shared: &Shared, session: &str) -> SessionLimits {
    let mut sessions = shared.sessions.lock();
    if sessions.len() > 256 {
        sessions.retain(|_, limits| Arc::strong_count(&limits.calls) > 1 || Arc::strong_count(&limits.streams) > 1);
    }
    let semaphore = |count| Arc::new(Semaphore::new(count));
    let new = || SessionLimits {
        reads: semaphore(MAX_CALLS_PER_SESSION),
        calls: semaphore(MAX_CALLS_PER_SESSION),
        streams: semaphore(MAX_STREAMS_PER_SESSION),
        over: CancellationToken::new(),
    };
    sessions.entry(session.to_owned()).or_insert_with(new).clone()
}

/// Returns what a page learns of the server.
fn about(shared: &Shared) -> Value {
    let home = shared.app.home();
    let directory = home.context().directory().map(|path| path.display().to_string()).unwrap_or_default();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "home": home.root().display().to_string(),
        "project": directory,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Code {
    code: String,
}

/// Makes a session of a code.
async fn begin(shared: &Arc<Shared>, request: Request<Bytes>) -> Answer {
    let (head, body) = request.into_parts();
    if let Err((status, words)) = shared.access.check_same_origin(&head) {
        return refused(status, words);
    }
    let Ok(Code { code }) = serde_json::from_slice(&body) else {
        return refused(StatusCode::BAD_REQUEST, "the body must be `{\"code\": \"…\"}`");
    };
    let access = shared.access.clone();
    let redeemed = tokio::task::spawn_blocking(move || access.redeem(&code)).await;
    let token = match redeemed {
        Ok(Ok(Some(token))) => token,
        Ok(Ok(None)) => {
            return refused(StatusCode::UNAUTHORIZED, "the code was used, or is too old: `aiw web` gives another one");
        }
        Ok(Err(e)) => return refused(StatusCode::SERVICE_UNAVAILABLE, &format!("the session can't be kept: {e}")),
        Err(_) => return refused(StatusCode::INTERNAL_SERVER_ERROR, "this is a bug in aiw: the request failed"),
    };
    *shared.used.lock() = Instant::now();
    let mut answer = about(shared);
    answer["token"] = token.into();
    json_of(StatusCode::OK, &answer)
}

fn end(shared: &Shared, session: &str) -> Answer {
    match shared.access.end_session(session) {
        Ok(()) => {
            shared.sessions.lock().remove(session).into_iter().for_each(|limits| limits.over.cancel());
            json_of(StatusCode::OK, &json!({}))
        }
        Err(e) => refused(StatusCode::SERVICE_UNAVAILABLE, &e.to_string()),
    }
}

/// The words of a query. The last of a name counts.
fn words(request: &Request<Bytes>) -> BTreeMap<String, String> {
    let query = request.uri().query().unwrap_or_default();
    query
        .split('&')
        .filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            // A blank is written in this way too, but only here.
            let text = |part: &str| percent_decode(&part.replace('+', " "));
            Some((text(name)?, text(value)?))
        })
        .collect()
}

/// Returns a part of an address without its escapes. `None` if one is cut short, or they make no text.
pub(crate) fn percent_decode(part: &str) -> Option<String> {
    let is_escape =
        |rest: &str| rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    let decoded = part.split('%').skip(1).all(is_escape).then(|| percent_decode_str(part).decode_utf8());
    decoded?.ok().map(Cow::into_owned)
}

fn events(
    shared: &Arc<Shared>,
    request: &Request<Bytes>,
    session: String,
    (permit, over): (OwnedSemaphorePermit, CancellationToken),
) -> Answer {
    let query = words(request);
    let topics = query.get("topics").map(|topics| topics.split(',').map(str::to_owned).collect()).unwrap_or_default();
    let client = match shared.projects.client(query.get("project").map(String::as_str)) {
        Ok(Some(client)) => client,
        Ok(None) => return refused(StatusCode::NOT_FOUND, "aiw knows no such project"),
        Err(e) => return failed(e.into()),
    };
    let definitions = crate::routes::definition_files(&client);
    let access = shared.access.clone();
    let is_over = Box::new(move || access.is_session_ended(&session));
    let listens = StreamSubscription {
        topics,
        log_dirs: crate::routes::log_dirs(&client, &query),
        definition_files: definitions,
        cancellation: over,
        is_session_ended: is_over,
    };
    if let Some(word) = listens.unknown_topic() {
        return refused(StatusCode::BAD_REQUEST, &format!("there is no topic `{}`", aiw_core::one_line(word, 40)));
    }
    let events = match listens.events(shared.app.feed(), &shared.streams, shared.stop.clone()) {
        Ok(events) => events,
        Err(e) => return failed(e.into()),
    };
    let frames = events.map(move |bytes| {
        let _ = &permit;
        Ok::<_, Infallible>(Frame::data(bytes))
    });
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn failed(problem: ApiError) -> Answer {
    let status = problem.status();
    json_of(status, &serde_json::to_value(problem.into_response()).unwrap_or_default())
}

/// Finds the route, and calls its verb in a thread of its own: verbs read and write files.
async fn call(shared: &Arc<Shared>, path: &str, request: Request<Bytes>, permit: OwnedSemaphorePermit) -> Answer {
    let Some(route) = route_table().iter().find(|route| route.path == path && route.method == request.method()) else {
        return refused(StatusCode::NOT_FOUND, "there is nothing at this path");
    };
    let left = shared.stop.child_token();
    // Whoever leaves drops this.
    let _waits = left.clone().drop_guard();
    let (shared, runtime) = (shared.clone(), tokio::runtime::Handle::current());
    let done = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        called(&shared, route, &request, runtime, left)
    });
    match done.await {
        Ok(answer) => answer,
        Err(_) => refused(StatusCode::INTERNAL_SERVER_ERROR, "this is a bug in aiw: the request failed"),
    }
}

fn called(
    shared: &Arc<Shared>,
    route: &ApiRoute,
    request: &Request<Bytes>,
    runtime: tokio::runtime::Handle,
    left: CancellationToken,
) -> Answer {
    let query = words(request);
    let made = || {
        let mut body = match request.body().is_empty() {
            true => json!({}),
            false => serde_json::from_slice(request.body())
                .map_err(|e| ApiError::Malformed(format!("the body is not JSON: {e}")))?,
        };
        let person = extract_prompter(&mut body)?;
        let client = shared.projects.client(query.get("project").map(String::as_str))?;
        let client = client.ok_or_else(|| ApiError::Malformed("aiw knows no such project".into()))?;
        let own = route.full_path();
        let pairs = own.split('/').zip(request.uri().path().split('/'));
        let segments = pairs.filter(|(own, _)| own.starts_with('{')).map(|(_, given)| percent_decode(given));
        let segments = segments.collect::<Option<Vec<String>>>();
        let segments = segments.ok_or_else(|| ApiError::Malformed("the path is not valid".into()))?;
        Ok::<_, ApiError>(ApiCall {
            projects: shared.projects.clone(),
            doctor: shared.options.doctor.clone(),
            own_tools: shared.options.own_tools,
            progress: shared.options.progress.clone(),
            client,
            prompter: person,
            runtime,
            cancellation: left,
            segments,
            query: query.clone(),
            body,
        })
    };
    let call: ApiCall = match made() {
        Ok(call) => call,
        Err(problem) => return failed(problem),
    };
    let answer = (route.run)(&call);
    let mut response = match (call.prompter.pending_prompt(), answer) {
        (Some(ask), _) => {
            json_of(StatusCode::CONFLICT, &serde_json::to_value(PromptRequired { ask }).unwrap_or_default())
        }
        (None, Ok(value)) => json_of(StatusCode::OK, &value),
        (None, Err(problem)) => failed(problem),
    };
    tell(&call.prompter, &mut response);
    response
}

/// The header with what a verb told: an array of texts, with escapes for all that is not ASCII.
const PROGRESS_HEADER: HeaderName = HeaderName::from_static("x-aiw-told");

/// The longest.
const MAX_PROGRESS_HEADER_BYTES: usize = 6 << 10;

fn tell(person: &WebPrompter, response: &mut Answer) {
    let mut kept = Vec::new();
    let mut bytes = 0;
    for line in person.reported_messages() {
        let line = aiw_core::one_line(&line, 400);
        bytes += line.len() * 2;
        if bytes > MAX_PROGRESS_HEADER_BYTES {
            break;
        }
        kept.push(line);
    }
    if kept.is_empty() {
        return;
    }
    let text = json!(kept).to_string();
    let escaped: String = text
        .encode_utf16()
        .map(|unit| match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => char::from(byte).to_string(),
            _ => format!("\\u{unit:04x}"),
        })
        .collect();
    if let Ok(value) = HeaderValue::from_str(&escaped) {
        response.headers_mut().insert(PROGRESS_HEADER, value);
    }
}
