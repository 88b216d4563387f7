//! The sessions of a server: how they begin, and how they end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rmcp::serve_server;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::HttpLimits;
use super::session::{Link, Session};
use crate::handler::{Front, Handler};
use crate::{Offer, Tool};

/// How often unused sessions are looked for.
const SWEEP: Duration = Duration::from_secs(30);

/// Why nothing new begins.
pub(super) const STOPPING: &str = "the server is stopping";

/// All sessions of a server.
pub(super) struct Sessions {
    make: Box<dyn Fn() -> Arc<dyn Offer> + Send + Sync>,
    limits: HttpLimits,
    stop: CancellationToken,
    running: Mutex<HashMap<String, Arc<Session>>>,
    /// The offer of requests without a session, and when it was used last.
    shared: Mutex<Option<Shared>>,
    /// How many sessions have not quite ended.
    alive: watch::Sender<usize>,
}

struct Shared {
    handler: Handler,
    offer: Arc<dyn Offer>,
    gone: CancellationToken,
    used: Instant,
    holds: usize,
}

impl Sessions {
    pub(super) fn new(
        make: Box<dyn Fn() -> Arc<dyn Offer> + Send + Sync>,
        limits: HttpLimits,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let sessions = Arc::new(Self {
            make,
            limits,
            stop: stop.clone(),
            running: Mutex::default(),
            shared: Mutex::default(),
            alive: watch::Sender::new(0),
        });
        let swept = Arc::downgrade(&sessions);
        let interval = SWEEP.min(limits.idle);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(interval) => {}
                    () = stop.cancelled() => return,
                }
                let Some(sessions) = swept.upgrade() else { return };
                sessions.sweep();
            }
        });
        sessions
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shared(&self) -> MutexGuard<'_, Option<Shared>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self) -> usize {
        self.running().len()
    }

    pub(super) fn get(&self, id: &str) -> Option<Arc<Session>> {
        self.running().get(id).cloned()
    }

    /// Begins a session, or says why there can't be one now.
    pub(super) fn begin(self: &Arc<Self>) -> Result<Arc<Session>, &'static str> {
        if self.stop.is_cancelled() {
            return Err(STOPPING);
        }
        let end = self.stop.child_token();
        let id = new_id().ok_or("the system has no random numbers")?;
        let (session, link) = Session::new(id, end.clone());
        {
            let mut running = self.running();
            while running.len() >= self.limits.sessions {
                // All in use: none is taken away.
                let unused = running.values().filter_map(|session| Some((session.unused_since()?, session.clone())));
                let (_, oldest) = unused.min_by_key(|(since, _)| *since).ok_or("there are too many sessions")?;
                oldest.end();
                running.remove(oldest.id());
            }
            running.insert(session.id().to_owned(), session.clone());
        }
        self.alive.send_modify(|alive| *alive += 1);
        let handler = Handler::new((self.make)(), end);
        tokio::spawn(run(handler, link, session.clone(), Alive(self.clone())));
        Ok(session)
    }

    /// Ends sessions that nobody has used for long.
    fn sweep(&self) {
        let idle = self.limits.idle;
        let is_old = |since: Instant| since.elapsed() >= idle;
        let old: Vec<_> =
            self.running().values().filter(|session| session.unused_since().is_some_and(is_old)).cloned().collect();
        old.iter().for_each(|session| session.end());
        let mut shared = self.shared();
        if shared.as_ref().is_some_and(|shared| shared.holds == 0 && is_old(shared.used))
            && let Some(old) = shared.take()
        {
            old.gone.cancel();
        }
    }

    /// What answers requests without a session: all of them have one offer, since they come with one token.
    pub(super) fn without_session(self: &Arc<Self>) -> (Front, InUse) {
        let mut shared = self.shared();
        let current = shared.get_or_insert_with(|| {
            let (offer, gone) = ((self.make)(), self.stop.child_token());
            Shared { handler: Handler::new(offer.clone(), gone.clone()), offer, gone, used: Instant::now(), holds: 0 }
        });
        current.holds += 1;
        (Front(current.handler.clone()), InUse(self.clone()))
    }

    /// A tool that requests without a session can call.
    pub(super) fn tool(self: &Arc<Self>, name: &str) -> Option<Tool> {
        let in_use = self.without_session();
        let offer = self.shared().as_ref().map(|shared| shared.offer.clone());
        drop(in_use);
        offer?.tools().iter().find(|tool| tool.name() == name).cloned()
    }

    /// Waits until every session has ended.
    pub(super) async fn ended(&self) {
        let mut alive = self.alive.subscribe();
        let _ = alive.wait_for(|alive| *alive == 0).await;
        self.shared().take();
    }
}

/// The offer of requests without a session is in use.
pub(super) struct InUse(Arc<Sessions>);

impl Drop for InUse {
    fn drop(&mut self) {
        if let Some(shared) = self.0.shared().as_mut() {
            shared.holds = shared.holds.saturating_sub(1);
            shared.used = Instant::now();
        }
    }
}

/// Counts a session until its offer is gone.
struct Alive(Arc<Sessions>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.alive.send_modify(|alive| *alive -= 1);
    }
}

async fn run(handler: Handler, link: Link, session: Arc<Session>, alive: Alive) {
    if let Ok(running) = serve_server(Front(handler), link).await {
        let _ = running.waiting().await;
    }
    session.end();
    session.close_all();
    alive.0.running().remove(session.id());
    drop(alive);
}

/// An id that nobody guesses.
fn new_id() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
