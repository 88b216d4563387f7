//! The sessions of a server: how they begin, and how they end.

use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use rmcp::model::RequestMetaObject;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage, serve_directly};
use rmcp::transport::Transport;
use rmcp::{RoleServer, serve_server};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::session::{HttpSession, SessionHandle};
use super::ticks::KeepAliveTimer;
use crate::ServerBackend;
use crate::caller::Caller;
use crate::handler::{Handler, ToolHandler};
use crate::queue::CallQueue;

/// How long an answer may take, at least, to be sent as one JSON document. One that takes longer gets a stream, which
/// survives a broken connection.
const JSON_RESPONSE_DEADLINE: Duration = Duration::from_millis(10);

/// How often unused sessions are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);

/// How many sessions there may be, and how long unused ones stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpLimits {
    /// Sessions at once. One more ends the one that has been unused for longest.
    pub max_sessions: usize,
    /// How long a session stays that nobody uses: no request, no open stream.
    pub idle_timeout: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self { max_sessions: 64, idle_timeout: Duration::from_secs(30 * 60) }
    }
}

/// Why nothing new begins.
pub(super) const STOPPING_MESSAGE: &str = "the server is stopping";

/// All sessions of a server.
pub(super) struct HttpSessions {
    make: Box<dyn Fn() -> Arc<dyn ServerBackend> + Send + Sync>,
    limits: HttpLimits,
    stop: CancellationToken,
    running: Mutex<HashMap<String, Arc<HttpSession>>>,
    /// The handlers of requests without a session, by client.
    stateless: tokio::sync::Mutex<HashMap<StatelessClient, SharedHandler>>,
    /// How many sessions have not quite ended.
    alive: watch::Sender<usize>,
    ticks: Arc<KeepAliveTimer>,
}

/// Maximum number of clients without sessions. Each may watch files and start servers of its own.
const MAX_STATELESS_CLIENTS: usize = 16;

/// The digest of the name, version and capabilities that a client without a session states in each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct StatelessClient([u8; 32]);

impl StatelessClient {
    fn from_meta(meta: &RequestMetaObject) -> Self {
        let stated = serde_json::to_vec(&(meta.client_info(), meta.client_capabilities())).unwrap_or_default();
        Self(Sha256::digest(stated).into())
    }
}

struct SharedHandler {
    handler: Handler,
    offer: Arc<dyn ServerBackend>,
    gone: CancellationToken,
    uses: Arc<Mutex<Uses>>,
}

/// How many requests use a shared handler, and when the last one did.
struct Uses {
    now: usize,
    last: Instant,
}

impl Uses {
    /// Returns when the last request ended; `None` while one is open.
    fn unused_since(&self) -> Option<Instant> {
        (self.now == 0).then_some(self.last)
    }
}

impl HttpSessions {
    pub(super) fn new(
        make: Box<dyn Fn() -> Arc<dyn ServerBackend> + Send + Sync>,
        limits: HttpLimits,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let sessions = Arc::new(Self {
            make,
            limits,
            stop: stop.clone(),
            running: Mutex::default(),
            stateless: tokio::sync::Mutex::default(),
            alive: watch::Sender::new(0),
            ticks: KeepAliveTimer::new(JSON_RESPONSE_DEADLINE),
        });
        let swept = Arc::downgrade(&sessions);
        let interval = SWEEP_INTERVAL.min(limits.idle_timeout);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(interval) => {}
                    () = stop.cancelled() => return,
                }
                let Some(sessions) = swept.upgrade() else { return };
                sessions.sweep().await;
            }
        });
        sessions
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Arc<HttpSession>>> {
        self.running.lock()
    }

    pub(super) fn count(&self) -> usize {
        self.running().len()
    }

    /// Whether no request is open.
    pub(super) async fn is_idle(&self) -> bool {
        let is_used = |shared: &SharedHandler| shared.uses.lock().unused_since().is_none();
        !self.running().values().any(|session| session.has_open_requests())
            && !self.stateless.lock().await.values().any(is_used)
    }

    pub(super) fn get(&self, id: &str) -> Option<Arc<HttpSession>> {
        self.running().get(id).cloned()
    }

    /// Begins a session, or says why there can't be one now.
    pub(super) fn create_session(self: &Arc<Self>) -> Result<Arc<HttpSession>, &'static str> {
        if self.stop.is_cancelled() {
            return Err(STOPPING_MESSAGE);
        }
        let end = self.stop.child_token();
        let id = aiw_core::random_hex::<16>().map_err(|_| "the system has no random numbers")?;
        let (session, link) = HttpSession::new(id, end.clone(), self.ticks.clone());
        {
            let mut running = self.running();
            let unused_since = |session: &Arc<HttpSession>| session.unused_since();
            evict_unused(&mut running, self.limits.max_sessions, unused_since, |session| session.end())
                .ok_or("there are too many sessions")?;
            running.insert(session.id().to_owned(), session.clone());
        }
        self.alive.send_modify(|alive| *alive += 1);
        let handler = Handler::new((self.make)(), end);
        tokio::spawn(run(handler, link, session.clone(), CountedSession(self.clone())));
        Ok(session)
    }

    /// Ends sessions that nobody has used for long.
    async fn sweep(&self) {
        let idle = self.limits.idle_timeout;
        let is_old = |since: Instant| since.elapsed() >= idle;
        let old: Vec<_> =
            self.running().values().filter(|session| session.unused_since().is_some_and(is_old)).cloned().collect();
        old.iter().for_each(|session| session.end());
        self.stateless.lock().await.retain(|_, shared| {
            let is_kept = !shared.uses.lock().unused_since().is_some_and(is_old);
            if !is_kept {
                shared.gone.cancel();
            }
            is_kept
        });
    }

    /// Returns the handler of a request without a session. All requests of one client have the same, as those of a
    /// session do: what it lists depends on the client's capabilities.
    pub(super) async fn acquire_stateless(&self, meta: &RequestMetaObject) -> Result<StatelessGuard, &'static str> {
        let client = StatelessClient::from_meta(meta);
        let mut stateless = self.stateless.lock().await;
        if !stateless.contains_key(&client) {
            let max = self.limits.max_sessions.min(MAX_STATELESS_CLIENTS);
            // A client that has yet to answer a question would have to begin its request anew.
            let rank =
                |shared: &SharedHandler| Some((shared.handler.has_open_question(), shared.uses.lock().unused_since()?));
            evict_unused(&mut stateless, max, rank, |shared| shared.gone.cancel())
                .ok_or("there are too many clients")?;
            stateless.insert(client, self.share(meta).await);
        }
        let current = &stateless[&client];
        current.uses.lock().now += 1;
        Ok(StatelessGuard {
            handler: current.handler.clone(),
            offer: current.offer.clone(),
            uses: current.uses.clone(),
        })
    }

    async fn share(&self, meta: &RequestMetaObject) -> SharedHandler {
        let (offer, gone) = ((self.make)(), self.stop.child_token());
        let handler = Handler::new(offer.clone(), gone.clone());
        // Requests come and go. What the offer tells its client outside of them goes to subscriptions, or nowhere.
        let running = serve_directly(ToolHandler(handler.clone()), NullClient(gone.clone()), None);
        let peer = running.peer().clone();
        tokio::spawn(running.waiting());
        handler.initialize_once(|session| Caller::from_request_meta(peer, session, meta)).await;
        SharedHandler { handler, offer, gone, uses: Arc::new(Mutex::new(Uses { now: 0, last: Instant::now() })) }
    }

    /// Waits until every session has ended.
    pub(super) async fn wait_until_ended(&self) {
        let mut alive = self.alive.subscribe();
        let _ = alive.wait_for(|alive| *alive == 0).await;
        self.stateless.lock().await.clear();
    }
}

/// Ends and removes entries, those with the lowest rank first, until one more fits. Returns `None` if too many are in use,
/// which have no rank: none of these is taken away.
fn evict_unused<K: Clone + Eq + Hash, V, R: Ord>(
    entries: &mut HashMap<K, V>,
    max: usize,
    rank: impl Fn(&V) -> Option<R>,
    end: impl Fn(&V),
) -> Option<()> {
    while entries.len() >= max {
        let unused = entries.iter().filter_map(|(key, entry)| Some((rank(entry)?, key)));
        let first = unused.min_by(|(one, _), (other, _)| one.cmp(other))?.1.clone();
        entries.remove(&first).iter().for_each(&end);
    }
    Some(())
}

/// The use of a shared handler by a request.
pub(super) struct StatelessGuard {
    handler: Handler,
    offer: Arc<dyn ServerBackend>,
    uses: Arc<Mutex<Uses>>,
}

impl StatelessGuard {
    pub(super) fn tool_handler(&self) -> ToolHandler {
        ToolHandler(self.handler.clone())
    }

    /// The input schema of a tool.
    pub(super) fn input_schema(&self, tool: &str) -> Option<Value> {
        let tools = self.offer.tools();
        tools.iter().find(|known| known.name() == tool).map(|tool| tool.definition()["inputSchema"].clone())
    }
}

impl Drop for StatelessGuard {
    fn drop(&mut self) {
        let mut uses = self.uses.lock();
        uses.now -= 1;
        uses.last = Instant::now();
    }
}

/// A client that says nothing and hears nothing.
struct NullClient(CancellationToken);

impl Transport<RoleServer> for NullClient {
    type Error = Infallible;

    fn send(
        &mut self,
        _: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Infallible>> + Send + 'static {
        std::future::ready(Ok(()))
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        self.0.cancelled().await;
        None
    }

    async fn close(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Counts a session until its offer is gone.
struct CountedSession(Arc<HttpSessions>);

impl Drop for CountedSession {
    fn drop(&mut self) {
        self.0.alive.send_modify(|alive| *alive -= 1);
    }
}

async fn run(handler: Handler, link: SessionHandle, session: Arc<HttpSession>, alive: CountedSession) {
    let mut lane = None;
    if let Ok(running) = serve_server(ToolHandler(handler.clone()), link).await {
        lane = CallQueue::new(handler, running.peer());
        lane.iter().for_each(|lane| session.set_queue(lane.clone()));
        let _ = running.waiting().await;
    }
    session.end();
    if let Some(lane) = lane {
        lane.close_and_wait().await;
    }
    session.close_all();
    alive.0.running().remove(session.id());
    drop(alive);
}
