//! One server of a session: starts at its first call, and again when it has ended; rests after failures.
//!
//! Long: the states of a server and its requests, which share the connection.

mod follow;

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aiw_core::{Diagnostic, ErrorKind, one_line};
use aiw_events::{EventKind, EventLog, EventSubject, HomeEvent};
use aiw_home::HomeError;
use aiw_mcp::{Call, ClientError, LOG_LEVEL_KEY, Lifecycle, McpRequest, Params, RpcError, parse_result};
use aiw_servers::{DeclaredServer, ServerScope};
use parking_lot::Mutex;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle};

use crate::access::ServerAccess;
use crate::definition;
use crate::error::PoolError;
use crate::found::ConfiguredServer;
use crate::log;
use crate::notifications::{CallGuard, NotificationRouter, SharedCaller};
use crate::record::{MAX_ITEMS, Records, ServerRecord};
use crate::shape::Kind;
use crate::start::{Connection, ServerContext, ServerProcess, ServerStart};
use crate::trace;

/// After so many failures in a row a server is left alone for [`COOLDOWN`].
const MAX_CONSECUTIVE_FAILURES: u32 = 5;

/// How long it is left alone.
const COOLDOWN: Duration = Duration::from_secs(30);

/// The first wait between two starts. It doubles with each failure.
const INITIAL_BACKOFF: Duration = Duration::from_millis(200);

/// How long a list may take.
const LIST_TIMEOUT: Duration = Duration::from_secs(30);

/// The methods that a subscription takes the place of, from protocol version 2026-07-28 on.
const SUBSCRIBE_METHODS: [&str; 2] = ["resources/subscribe", "resources/unsubscribe"];

/// How long a client waits until a server knows the level of messages that it wants.
const SET_LEVEL_TIMEOUT: Duration = Duration::from_millis(100);

/// How long a small request may take.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// How many definitions that are left out its log names at once.
const MAX_LOGGED_DEFINITIONS: usize = 20;

/// How long a server that has closed its pipes may take to exit before it is said without its exit code.
const EXIT_CODE_TIMEOUT: Duration = Duration::from_secs(2);

/// How often it is noted that a server is used, in seconds.
const USE_RECORD_INTERVAL_SECS: u64 = 60 * 60;

/// One server of a session.
pub(crate) struct Slot {
    pub(crate) context: ServerContext,
    records: Records,
    pub(crate) config: ConfiguredServer,
    pub(crate) relay: Arc<NotificationRouter>,
    /// Held while the server starts.
    connection: tokio::sync::Mutex<Option<Arc<Connection>>>,
    /// The last start.
    starting: Mutex<Option<AbortHandle>>,
    state: Mutex<ServerProcessState>,
    record: Mutex<Option<Arc<ServerRecord>>>,
    in_flight: AtomicUsize,
    /// Whether an event says that it has failed, and none that it works again.
    has_logged_failure: AtomicBool,
    /// When it was noted last that a tool of it was called, in seconds of Unix time.
    noted: AtomicU64,
    /// The last note of that.
    noting: Mutex<Option<JoinHandle<()>>>,
    /// Tells the pool that what it lists has changed.
    changes: mpsc::UnboundedSender<()>,
}

/// Why a server failed last.
#[derive(Debug, Clone)]
struct LastFailure {
    /// The error without the server's name.
    brief: String,
    kind: ErrorKind,
    hint: Option<String>,
}

/// The state of its process.
#[derive(Debug, Clone, Default)]
struct ServerProcessState {
    state: ServerState,
    /// How often it was started, with or without success.
    attempts: u64,
    failures: u32,
    /// No start before this time.
    not_before: Option<Instant>,
    error: Option<LastFailure>,
    used: Option<Instant>,
    pid: Option<u32>,
    log_level: Option<String>,
}

/// The state of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerState {
    /// The server is not running; the next call starts it.
    #[default]
    Idle,
    /// The server is starting.
    Starting,
    /// The server is running.
    Ready,
    /// The server could not be started, or has ended by itself. The next call tries again.
    Failed,
    /// The server has failed too often, and rests.
    Backoff,
    /// The server wants the user to log in. The next call tries again.
    AuthRequired,
}

impl Slot {
    pub(crate) fn new(
        ground: ServerContext,
        records: Records,
        configured: ConfiguredServer,
        client: Option<SharedCaller>,
        changes: mpsc::UnboundedSender<()>,
    ) -> Arc<Self> {
        let ground = match configured.scope {
            ServerScope::Aiw => ground,
            ServerScope::Project => ServerContext { cwd: configured.directory.clone(), ..ground },
        };
        let digest = configured.digest();
        let record = records.load(&configured.key).filter(|record| record.declaration == digest).map(Arc::new);
        Arc::new(Self {
            context: ground,
            records,
            relay: NotificationRouter::new(&configured.key, client),
            config: configured,
            connection: tokio::sync::Mutex::default(),
            starting: Mutex::default(),
            state: Mutex::default(),
            record: Mutex::new(record),
            in_flight: AtomicUsize::new(0),
            has_logged_failure: AtomicBool::new(false),
            noted: AtomicU64::new(0),
            noting: Mutex::default(),
            changes,
        })
    }

    /// Notes that a tool of it was called, once in a while. The call does not wait for it.
    pub(crate) fn record_use(self: &Arc<Self>) {
        let now = aiw_home::now_millis() / 1000;
        if now.saturating_sub(self.noted.load(Ordering::Relaxed)) < USE_RECORD_INTERVAL_SECS {
            return;
        }
        self.noted.store(now, Ordering::Relaxed);
        let slot = self.clone();
        let noting = tokio::task::spawn_blocking(move || slot.records.record_use(slot.key(), now));
        *self.noting.lock() = Some(noting);
    }

    pub(crate) fn key(&self) -> &str {
        &self.config.key
    }

    /// Whether clients see it: it is enabled, and its entry can be used.
    pub(crate) fn is_offered(&self) -> bool {
        self.config.settings.enabled && self.config.server.is_ok()
    }

    /// Returns its record, if it was ever started from this declaration.
    pub(crate) fn record(&self) -> Option<Arc<ServerRecord>> {
        self.record.lock().clone()
    }

    /// Reads the record again: another process may have accepted a change.
    pub(crate) fn reload_record(&self) {
        let digest = self.config.digest();
        if let Some(record) = self.records.load(self.key()).filter(|record| record.declaration == digest) {
            self.set_record(record);
        }
    }

    fn set_record(&self, new: ServerRecord) {
        let mut record = self.record.lock();
        if record.as_deref() != Some(&new) {
            *record = Some(Arc::new(new));
            // The pool may be gone.
            let _ = self.changes.send(());
        }
    }

    fn standing<T>(&self, look: impl FnOnce(&mut ServerProcessState) -> T) -> T {
        look(&mut self.state.lock())
    }

    /// Its state, its process, and why it failed last.
    pub(crate) fn state(&self) -> (ServerState, Option<u32>, Option<String>) {
        self.standing(|standing| {
            (standing.state, standing.pid, standing.error.as_ref().map(|error| error.brief.clone()))
        })
    }

    fn server(&self) -> Result<&DeclaredServer, PoolError> {
        let server = self.key().to_owned();
        if !self.config.settings.enabled {
            return Err(PoolError::Disabled { server });
        }
        self.config
            .server
            .as_ref()
            .map_err(|problem| PoolError::InvalidDeclaration { server, problem: problem.clone() })
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        self.records.file(self.key(), "log")
    }

    /// The connection that nearly every call finds.
    pub(crate) fn active_connection(&self) -> Option<Arc<Connection>> {
        let held = self.connection.try_lock().ok()?;
        let connection = held.as_ref().filter(|connection| !connection.client.is_closed())?;
        self.standing(|standing| standing.used = Some(Instant::now()));
        Some(connection.clone())
    }

    /// A connection that works; starts the server if there is none. The start goes on if this future is dropped.
    pub(crate) async fn ensure_connected(self: &Arc<Self>) -> Result<Arc<Connection>, PoolError> {
        self.server()?;
        if let Some(connection) = self.active_connection() {
            return Ok(connection);
        }
        let before = self.standing(|standing| standing.attempts);
        let slot = self.clone();
        let connecting = tokio::spawn(async move { slot.connect(before).await });
        *self.starting.lock() = Some(connecting.abort_handle());
        let defect = |_| Err(PoolError::ConnectionClosed { server: self.key().to_owned(), last: None });
        connecting.await.unwrap_or_else(defect)
    }

    /// Returns a connection for a call, for as long as a caller waits for it. The time limit of a call says nothing
    /// about the start, which has a limit of its own.
    pub(crate) async fn ensure_connected_for(
        self: &Arc<Self>,
        call: Option<&Call>,
    ) -> Result<Arc<Connection>, PoolError> {
        if let Some(connection) = self.active_connection() {
            return Ok(connection);
        }
        // A large future, and nearly every call finds a connection.
        Box::pin(wait(self.ensure_connected(), call)).await?
    }

    /// `before` is the number of attempts when the caller began to wait: it shares the failure of a later one.
    async fn connect(self: Arc<Self>, before: u64) -> Result<Arc<Connection>, PoolError> {
        let mut held = self.connection.lock().await;
        if let Some(connection) = held.as_ref().filter(|connection| !connection.client.is_closed()) {
            self.standing(|standing| standing.used = Some(Instant::now()));
            return Ok(connection.clone());
        }
        if held.take().is_some() {
            self.tell_failure(None);
        }
        let (attempts, error) = self.standing(|standing| (standing.attempts, standing.error.clone()));
        if let Some(LastFailure { brief: problem, kind, hint }) = error.filter(|_| attempts > before) {
            if self.standing(|standing| standing.state == ServerState::AuthRequired) {
                return Err(PoolError::LoginRequired { server: self.key().to_owned() });
            }
            return Err(PoolError::RecentlyFailed { server: self.key().to_owned(), problem, kind, hint });
        }
        self.wait_its_turn().await?;
        self.standing(|standing| {
            standing.state = ServerState::Starting;
            standing.attempts += 1;
        });
        let started = self.start().await;
        let connection = started.inspect_err(|e| self.failed(e))?;
        if self.has_logged_failure.swap(false, Ordering::Relaxed) {
            self.announce(EventKind::Recovered, None);
        }
        self.standing(|standing| {
            *standing = ServerProcessState {
                state: ServerState::Ready,
                attempts: standing.attempts,
                used: Some(Instant::now()),
                pid: connection.process.as_ref().map(ServerProcess::pid),
                log_level: standing.log_level.take(),
                ..ServerProcessState::default()
            };
        });
        *held = Some(connection.clone());
        drop(held);
        if let Some(level) = self.standing(|standing| standing.log_level.clone()) {
            self.set_log_level(&level).await;
        }
        if connection.client.is_modern() {
            self.spawn_subscription(&connection);
        }
        self.watch_lists(&connection);
        Ok(connection)
    }

    async fn start(self: &Arc<Self>) -> Result<Arc<Connection>, PoolError> {
        let capabilities = self.relay.capabilities();
        let events = self.relay.clone();
        self.server()?;
        let known = self.record().map_or(Lifecycle::Auto, |record| Lifecycle::from_version(&record.protocol));
        // A server that has failed was started for each lifecycle. Most failures have another cause, and one start shows them.
        let has_failed = self.standing(|standing| standing.failures > 0);
        let lifecycle = if known == Lifecycle::Auto && has_failed { Lifecycle::Initialize } else { known };
        let (ground, configured) = (&self.context, &self.config);
        let start = ServerStart {
            context: ground,
            config: configured,
            log_path: self.log_path(),
            capabilities,
            events,
            lifecycle,
        };
        let connection = Arc::new(start.run().await?);
        self.learn(&connection).await?;
        Ok(connection)
    }

    /// After a failure, waits until the server may be started again. One that failed often is not waited for.
    async fn wait_its_turn(&self) -> Result<(), PoolError> {
        let (failures, not_before, last) =
            self.standing(|s| (s.failures, s.not_before, s.error.as_ref().map(|error| error.brief.clone())));
        let last = last.unwrap_or_default();
        let wait = not_before.map(|at| at.saturating_duration_since(Instant::now())).unwrap_or_default();
        if failures >= MAX_CONSECUTIVE_FAILURES && !wait.is_zero() {
            return Err(PoolError::CircuitOpen { server: self.key().to_owned(), failures, wait, last });
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }

    fn failed(&self, error: &PoolError) {
        let failure = LastFailure { brief: error.message_without_server(), kind: error.kind(), hint: error.hint() };
        log::write_note(&self.log_path(), &failure.brief);
        self.tell_failure(error.needs_login().then_some("you have to log in"));
        if error.needs_login() {
            // Only the user can help, so neither waiting nor resting does.
            self.standing(|standing| {
                *standing = ServerProcessState {
                    state: ServerState::AuthRequired,
                    attempts: standing.attempts,
                    error: Some(failure),
                    log_level: standing.log_level.take(),
                    ..ServerProcessState::default()
                };
            });
            return;
        }
        self.standing(|standing| {
            standing.failures += 1;
            let open = standing.failures >= MAX_CONSECUTIVE_FAILURES;
            standing.state = if open { ServerState::Backoff } else { ServerState::Failed };
            let wait = if open { COOLDOWN } else { INITIAL_BACKOFF * 2u32.pow(standing.failures - 1) };
            standing.not_before = Some(Instant::now() + jittered(wait));
            standing.error = Some(failure);
            standing.pid = None;
        });
    }

    /// Adds the event that it has failed. Only the first of several failures is news.
    fn tell_failure(&self, why: Option<&str>) {
        if !self.has_logged_failure.swap(true, Ordering::Relaxed) {
            self.announce(EventKind::Failed, why);
        }
    }

    /// Adds an event. What the server said is not in it.
    fn announce(&self, kind: EventKind, why: Option<&str>) {
        let project = (self.config.scope == ServerScope::Project).then(|| self.config.directory.clone());
        let (name, why) = (Some(self.key().to_owned()), why.map(str::to_owned));
        let event = HomeEvent { name, project, reason: why, ..HomeEvent::now(kind, EventSubject::Server) };
        // A full disk stops no server.
        let _ = EventLog::new(self.context.home.root()).add(&event);
    }

    /// Reads the server's tools, before anything is called: one that has changed must not be.
    async fn learn(self: &Arc<Self>, connection: &Arc<Connection>) -> Result<(), PoolError> {
        let about = connection.client.initialize_result().clone();
        let capabilities = definition::capabilities(&about["capabilities"]);
        let tools = match capabilities.get("tools") {
            Some(_) => self.list(connection, "tools/list", "tools").await?,
            None => Vec::new(),
        };
        let took = u64::try_from(connection.start_duration.as_millis()).unwrap_or(u64::MAX);
        let digest = self.config.digest();
        let protocol = one_line(connection.client.protocol_version(), 20);
        let learnt = move |record: &mut ServerRecord| {
            record.update_tools(tools);
            record.server = definition::server_info(&about["serverInfo"]);
            record.set_instructions(about["instructions"].as_str());
            record.protocol = protocol;
            if !capabilities["prompts"].is_object() {
                record.update_items(Kind::Prompt, Vec::new());
            }
            if !capabilities["resources"].is_object() {
                record.update_items(Kind::Resource, Vec::new());
                record.update_items(Kind::Template, Vec::new());
            }
            record.capabilities = capabilities;
            record.started_ms = took;
            record.declaration = digest;
        };
        self.update(learnt).await
    }

    async fn update(
        self: &Arc<Self>,
        change: impl FnOnce(&mut ServerRecord) + Send + 'static,
    ) -> Result<(), PoolError> {
        let slot = self.clone();
        let update = move || {
            let mut event = None;
            let record = slot.records.update(slot.key(), |record| {
                let before = record.clone();
                change(record);
                if before.is_whole && !record.has_same_definitions(&before) {
                    // To clients with roots, for example, a server may list more.
                    let blocks = !record.changes().is_empty() && !record.has_same_changes(&before);
                    event = Some(if blocks { EventKind::Changed } else { EventKind::ListChanged });
                }
            })?;
            if let Some(kind) = event {
                slot.announce(kind, None);
            }
            Ok::<_, HomeError>(record)
        };
        let record = aiw_home::run_blocking(update).await?;
        let known = self.record();
        let is_known =
            |sentence: &str| known.iter().any(|known| known.skipped_item_notices().any(|known| known == sentence));
        for sentence in
            record.skipped_item_notices().filter(|sentence| !is_known(sentence)).take(MAX_LOGGED_DEFINITIONS)
        {
            log::write_note(&self.log_path(), sentence);
        }
        self.set_record(record);
        Ok(())
    }

    async fn list(&self, connection: &Arc<Connection>, method: &str, field: &str) -> Result<Vec<Value>, PoolError> {
        let listed = connection.client.list(method, field, MAX_ITEMS + 1, LIST_TIMEOUT).await;
        match listed {
            Ok(items) => Ok(items),
            // It declares lists that it does not have.
            Err(ClientError::Rpc(e)) if e.code == -32601 => Ok(Vec::new()),
            Err(e) => Err(self.failure(e, connection, LIST_TIMEOUT).await),
        }
    }

    async fn look_again(self: &Arc<Self>, connection: &Arc<Connection>) -> Result<(), PoolError> {
        self.learn(connection).await?;
        self.learn_more(connection).await
    }

    async fn learn_more(self: &Arc<Self>, connection: &Arc<Connection>) -> Result<(), PoolError> {
        let can = connection.client.initialize_result()["capabilities"].clone();
        let (mut prompts, mut resources, mut templates) = (Vec::new(), Vec::new(), Vec::new());
        if can["prompts"].is_object() {
            prompts = self.list(connection, "prompts/list", "prompts").await?;
        }
        if can["resources"].is_object() {
            resources = self.list(connection, "resources/list", "resources").await?;
            templates = self.list(connection, "resources/templates/list", "resourceTemplates").await?;
        }
        let learnt = move |record: &mut ServerRecord| {
            record.update_items(Kind::Prompt, prompts);
            record.update_items(Kind::Resource, resources);
            record.update_items(Kind::Template, templates);
            record.is_whole = true;
        };
        self.update(learnt).await
    }

    /// Starts it, if it does not run, and reads everything that it offers. Returns how long its start took.
    pub(crate) async fn refresh(self: &Arc<Self>) -> Result<Duration, PoolError> {
        let connection = self.ensure_connected().await?;
        self.learn_more(&connection).await?;
        Ok(connection.start_duration)
    }

    fn is_unused(&self) -> bool {
        let idle = self.config.settings.idle;
        let used = self.standing(|standing| standing.used);
        self.in_flight.load(Ordering::Relaxed) == 0 && used.is_none_or(|used| used.elapsed() >= idle)
    }

    /// Records that the server ended by itself.
    async fn ended(self: &Arc<Self>, connection: &Arc<Connection>) {
        let e = self.failure(ClientError::Closed, connection, Duration::ZERO).await;
        self.lost(connection, &e).await;
    }

    /// A connection is of no use any more.
    async fn lost(&self, connection: &Arc<Connection>, error: &PoolError) {
        let mut held = self.connection.lock().await;
        if held.as_ref().is_some_and(|held| Arc::ptr_eq(held, connection)) {
            *held = None;
            self.failed(error);
        }
    }

    /// Ends a start that goes on.
    pub(crate) fn cancel_start(&self) {
        let starting = self.starting.lock().take();
        starting.iter().for_each(AbortHandle::abort);
    }

    /// Ends its process; the next call starts it again.
    pub(crate) async fn stop(&self) {
        let connection = self.connection.lock().await.take();
        self.standing(|standing| {
            if standing.state == ServerState::Ready {
                standing.state = ServerState::Idle;
            }
            standing.pid = None;
        });
        drop(connection);
        let noting = self.noting.lock().take();
        if let Some(noting) = noting {
            // It only decides what later sessions list.
            let _ = noting.await;
        }
    }

    /// Sends a request, with the client's metadata, progress and cancellation.
    pub(crate) async fn send_request(
        self: &Arc<Self>,
        method: &str,
        params: Map<String, Value>,
        call: Option<&Call>,
    ) -> Result<Value, PoolError> {
        let connection = self.ensure_connected_for(call).await?;
        if connection.client.is_modern() && SUBSCRIBE_METHODS.contains(&method) {
            if connection.client.initialize_result()["capabilities"]["resources"]["subscribe"] != true {
                return Err(RpcError::method_not_found(method).into());
            }
            self.relay.subscriptions_changed.notify_one();
            return Ok(json!({}));
        }
        let params = Params::Values(params.into());
        parse_result(&self.forward_request(method, params, call, connection, None).await?).map_err(PoolError::from)
    }

    /// Forwards a request over a connection. The result is as the server wrote it. Without a client's call, its progress goes to
    /// `steps`, if that is given.
    pub(crate) async fn forward_request(
        &self,
        method: &str,
        params: Params,
        call: Option<&Call>,
        connection: Arc<Connection>,
        steps: Option<mpsc::Sender<Value>>,
    ) -> Result<Box<RawValue>, PoolError> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let _one = InFlightGuard(&self.in_flight);
        let during = call.map(|call| self.relay.track_call(call.caller.clone()));
        let (mut request, token) = self.request(method, params, call);
        request.call_number = during.as_ref().map(CallGuard::number);
        if connection.client.is_modern()
            && let Some(level) = self.wanted_level(call)
            && let Some(params) = &mut request.params
        {
            params.extend_meta(Map::from_iter([(LOG_LEVEL_KEY.to_owned(), level)]));
        }
        let answer = match call.zip(token) {
            Some((call, token)) => {
                wait(Box::pin(send_with_progress(&self.relay, &connection, request, call, &token)), Some(call)).await
            }
            None => {
                let progress = steps.filter(|_| call.is_none());
                wait(pin!(connection.client.send(McpRequest { progress, ..request })), call).await
            }
        };
        self.standing(|standing| standing.used = Some(Instant::now()));
        match answer? {
            Ok(answer) => Ok(answer),
            Err(ClientError::Rpc(e)) => Err(e.into()),
            Err(e) => {
                let e = Box::pin(self.failure(e, &connection, self.config.settings.timeout)).await;
                match e {
                    PoolError::LoginRequired { .. } => Box::pin(self.lost(&connection, &e)).await,
                    PoolError::ConnectionClosed { .. } => self.tell_failure(None),
                    _ => {}
                }
                Err(e)
            }
        }
    }

    /// The level of log messages that a request's client wants: for this request, or for all.
    fn wanted_level(&self, call: Option<&Call>) -> Option<Value> {
        let of_call = call.and_then(|call| call.meta.get(LOG_LEVEL_KEY)).cloned();
        of_call.or_else(|| self.standing(|standing| standing.log_level.clone().map(Value::from)))
    }

    /// A request with what the client adds to it, and under which token the client wants its progress.
    fn request(&self, method: &str, mut params: Params, call: Option<&Call>) -> (McpRequest, Option<Value>) {
        let mut token = None;
        if let Some(call) = call.filter(|call| !call.meta.is_empty()) {
            let mut meta = call.meta.clone();
            // What belongs to the client's own connection.
            meta.retain(|key, value| !key.starts_with("io.modelcontextprotocol/") && trace::is_valid(key, value));
            token = meta.shift_remove("progressToken");
            if !meta.is_empty() {
                params.extend_meta(meta);
            }
        }
        let patience = self.config.settings.timeout;
        (
            McpRequest {
                method: method.to_owned(),
                params: Some(params),
                timeout: patience,
                call_number: None,
                progress: None,
            },
            token,
        )
    }

    /// Tells a running server something, if it runs.
    pub(crate) async fn notify(&self, method: &str, params: Option<Value>) {
        let connection = self.connection.try_lock().ok().and_then(|held| held.clone());
        // Without `initialize`, a server asks for roots where it needs them.
        if let Some(connection) = connection.filter(|connection| !connection.client.is_modern()) {
            let _ = connection.client.notify(method, params).await;
        }
    }

    /// The client wants log messages from this level on.
    pub(crate) async fn set_log_level(self: &Arc<Self>, level: &str) {
        self.standing(|standing| standing.log_level = Some(level.to_owned()));
        // One that starts is told after its start.
        let connection = self.connection.try_lock().ok().and_then(|held| held.clone());
        let takes_level = |connection: &Arc<Connection>| {
            let client = &connection.client;
            !client.is_modern() && client.initialize_result()["capabilities"]["logging"].is_object()
        };
        if let Some(connection) = connection.filter(takes_level) {
            let params = json!({"level": level});
            let told =
                async move { drop(connection.client.request("logging/setLevel", Some(params), PING_TIMEOUT).await) };
            // Don't wait for a server that does not answer; one that is far away still gets the request.
            let _ = tokio::time::timeout(SET_LEVEL_TIMEOUT, tokio::spawn(told)).await;
        }
    }

    /// Why a request failed, with how the server ended.
    async fn failure(&self, error: ClientError, connection: &Arc<Connection>, patience: Duration) -> PoolError {
        let server = self.key().to_owned();
        let refusal = match error {
            ClientError::Service(_) | ClientError::Closed => {
                connection.access.as_ref().and_then(ServerAccess::take_error)
            }
            _ => None,
        };
        if let Some(refusal) = refusal {
            return PoolError::from_token_error(refusal, &server);
        }
        match error {
            ClientError::Rpc(e) => e.into(),
            ClientError::Timeout(_) | ClientError::StartTimeout(_) => PoolError::Timeout { server, after: patience },
            ClientError::Closed => {
                let fault = connection.client.fault();
                let connection = connection.clone();
                // It closed its pipes just now, and is about to exit. On a busy machine that takes a while.
                let end = move || connection.process.as_ref().and_then(|p| p.exit_message(EXIT_CODE_TIMEOUT));
                let end = aiw_home::run_blocking(end).await;
                // What it did wrong is why it was ended.
                let last = fault.map(str::to_owned).or(end);
                PoolError::ConnectionClosed { server, last }
            }
            source => PoolError::Client { server, source: Box::new(source) },
        }
    }
}

/// Waits for work, until nobody waits for the call that needs it.
async fn wait<T>(work: impl Future<Output = T>, call: Option<&Call>) -> Result<T, PoolError> {
    let Some(call) = call else { return Ok(work.await) };
    tokio::select! {
        done = work => Ok(done),
        () = call.cancellation.wait_until_abandoned() => Err(PoolError::Cancelled),
    }
}

/// Sends a request and passes its progress on, under the client's own token.
async fn send_with_progress(
    relay: &NotificationRouter,
    connection: &Connection,
    request: McpRequest,
    call: &Call,
    token: &Value,
) -> Result<Box<RawValue>, ClientError> {
    let (progress, mut steps) = mpsc::channel(64);
    let sent = connection.client.send(McpRequest { progress: Some(progress), ..request });
    tokio::pin!(sent);
    loop {
        tokio::select! {
            biased;
            Some(mut step) = steps.recv() => {
                if !relay.is_within_rate_limit(&step) {
                    continue;
                }
                step["progressToken"] = token.clone();
                // The client may be gone.
                let _ = call.caller.notify("notifications/progress", Some(step)).await;
            }
            answer = &mut sent => return answer,
        }
    }
}

/// One request less in flight, however it ended.
struct InFlightGuard<'a>(&'a AtomicUsize);

impl Drop for InFlightGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Up to a fifth more, so that sessions don't all try at the same time.
fn jittered(wait: Duration) -> Duration {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let random = RandomState::new().build_hasher().finish() % 200;
    wait + wait.mul_f64(random as f64 / 1000.0)
}
