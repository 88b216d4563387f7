//! Which upstreams a request asks, one after the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_dialects::{Failure, FailureKind, Request};
use http::request::Parts;
use sha2::{Digest, Sha256};

use crate::busy::Answering;
use crate::gateway::Gateway;
use crate::pool::{Account, Left, Pick, Picked, Pool, WAITS};
use crate::route::{Route, Upstream};

/// Headers in which CLIs name their session.
const SESSIONS: [&str; 3] = ["x-claude-code-session-id", "session-id", "thread-id"];

/// The upstreams of one request.
pub(crate) struct Turn {
    gateway: Arc<Gateway>,
    route: Arc<Route>,
    accounts: Vec<Account>,
    pool: Option<Arc<Pool>>,
    session: String,
    tried: Vec<usize>,
    /// The last failure, with its provider.
    failed: Option<(String, Failure)>,
    begun: Instant,
}

impl Turn {
    /// Begins with all members but those that a budget refuses.
    pub(crate) fn begin(
        gateway: &Arc<Gateway>,
        route: &Arc<Route>,
        request: &Request<'_>,
        parts: &Parts,
        asked: &str,
        refused: Vec<usize>,
    ) -> Self {
        let account = |member| Account { id: Upstream::account(member), model: route.model_for(member, asked) };
        let pool = route.pool.as_ref().map(|pool| Arc::new(Pool::new(&gateway.home, &pool.name, pool.order())));
        let session = if pool.is_some() { session(request, parts) } else { String::new() };
        Self {
            accounts: route.members.iter().map(account).collect(),
            gateway: gateway.clone(),
            route: route.clone(),
            pool,
            session,
            tried: refused,
            failed: None,
            begun: Instant::now(),
        }
    }

    /// Returns the next member to ask, or why there is none.
    pub(crate) async fn next(&mut self) -> Result<usize, Failure> {
        let Some(pool) = self.pool.clone() else {
            let first = if self.tried.is_empty() { Some(0) } else { None };
            return first.ok_or_else(|| self.last_failure());
        };
        loop {
            let (session, accounts, tried) = (self.session.clone(), self.accounts.clone(), self.tried.clone());
            let busy: Vec<usize> = accounts.iter().map(|account| self.gateway.busy.count(&account.id)).collect();
            let asked = pool.clone();
            let Picked { pick, left } =
                aiw_home::blocking(move || asked.pick(&session, &accounts, &tried, &busy)).await;
            match pick {
                Pick::Member(at) => {
                    if let Some(left) = left {
                        self.say_switch(&left, at);
                    }
                    return Ok(at);
                }
                Pick::Nobody => return Err(self.last_failure()),
                Pick::Wait(time) => {
                    let left = WAITS.saturating_sub(self.begun.elapsed());
                    if time > left {
                        return Err(self.all_are_limited(time));
                    }
                    tokio::time::sleep(time).await;
                }
            }
        }
    }

    fn last_failure(&self) -> Failure {
        match &self.failed {
            Some((_, failure)) => failure.clone(),
            None => Failure::new(FailureKind::Upstream, "the pool has no member that may be asked"),
        }
    }

    fn all_are_limited(&self, time: Duration) -> Failure {
        let said =
            self.failed.as_ref().map(|(provider, failure)| format!(": provider `{provider}`: {}", failure.message));
        let pool = self.route.name();
        let message = format!("all members of pool `{pool}` are limited{}", said.unwrap_or_default());
        Failure::new(FailureKind::RateLimit, message).with_retry_after(Some(time))
    }

    fn say_switch(&self, left: &Left, at: usize) {
        let own = self.failed.as_ref().filter(|(provider, _)| *provider == left.provider);
        let why = own.map(|(_, failure)| failure.message.clone()).or_else(|| left.why.clone());
        let why = why.map(|why| format!(" ({})", aiw_core::one_line(&why, 120))).unwrap_or_default();
        let (pool, from, to) = (self.route.name(), &left.provider, &self.route.members[at].provider);
        self.gateway.say(&self.route, &format!("pool `{pool}` goes on with `{to}` in place of `{from}`{why}"));
    }

    /// Notes a failure before the client got anything. Returns whether another member may be asked.
    pub(crate) async fn failed(&mut self, at: usize, failure: &Failure) -> bool {
        let Some(pool) = self.pool.clone() else { return false };
        let (account, noted, is_alone) = (self.accounts[at].clone(), failure.clone(), self.is_alone());
        let may_go_on = aiw_home::blocking(move || pool.failed(&account, &noted, is_alone)).await;
        self.failed = Some((self.route.members[at].provider.clone(), failure.clone()));
        self.tried.push(at);
        may_go_on && self.tried.len() < self.accounts.len()
    }

    /// Returns what is noted at the end of an answer.
    pub(crate) fn open(&self, at: usize) -> OpenTurn {
        let account = self.accounts[at].clone();
        let answering = Answering::begin(&self.gateway.busy, &account.id);
        OpenTurn { pool: self.pool.clone(), account, is_alone: self.is_alone(), _answering: answering }
    }

    fn is_alone(&self) -> bool {
        self.accounts.len() == 1
    }
}

/// A member that answers.
#[derive(Debug)]
pub(crate) struct OpenTurn {
    pool: Option<Arc<Pool>>,
    account: Account,
    is_alone: bool,
    _answering: Answering,
}

impl OpenTurn {
    /// The model that was asked.
    pub(crate) fn model(&self) -> &str {
        &self.account.model
    }

    /// Notes how the answer ended. This reads and writes files.
    pub(crate) fn ended(&self, failure: Option<&Failure>) {
        match (&self.pool, failure) {
            (Some(pool), None) => pool.answered(&self.account),
            (Some(pool), Some(failure)) => drop(pool.failed(&self.account, failure, self.is_alone)),
            (None, _) => {}
        }
    }
}

/// Returns a word for the session of a request: the one that its client names, else its beginning.
fn session(request: &Request<'_>, parts: &Parts) -> String {
    let named = SESSIONS.iter().find_map(|name| parts.headers.get(*name)?.to_str().ok());
    let word = match named {
        Some(name) => name.to_owned(),
        None => aiw_dialects::session(request).unwrap_or_default(),
    };
    Sha256::digest(word).iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}
