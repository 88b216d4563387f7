//! Which upstreams a request asks, one after the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_dialects::{FailureKind, ModelRequest, UpstreamFailure};
use http::request::Parts;
use sha2::{Digest, Sha256};

use crate::gateway::Gateway;
use crate::in_flight::InFlightGuard;
use crate::pool::{AccountPool, Decision, FailoverFrom, FailureClass, MAX_QUEUE_WAIT, PoolAccount, Selection};
use crate::route::{GatewayRoute, Upstream};

/// Headers in which CLIs name their session.
const SESSION_HEADERS: [&str; 3] = ["x-claude-code-session-id", "session-id", "thread-id"];

/// How often all members are asked again that may answer a moment later, and how long that moment is at first. Where they
/// are limited, the time decides.
const MAX_RETRY_ROUNDS: u32 = 4;
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// The upstreams of one request.
pub(crate) struct UpstreamAttempts {
    gateway: Arc<Gateway>,
    route: Arc<GatewayRoute>,
    accounts: Vec<PoolAccount>,
    pool: Option<Arc<AccountPool>>,
    session: String,
    /// The members that a budget refuses, and what the first one says.
    refused: Vec<usize>,
    over: Option<UpstreamFailure>,
    /// The members that would not answer a moment later either.
    gone: Vec<usize>,
    /// The members that were asked in this round.
    tried: Vec<usize>,
    /// How often all were asked.
    rounds: u32,
    /// The member that was picked and is not asked yet.
    answering: Option<InFlightGuard>,
    /// The last failure, with its provider.
    failed: Option<(String, UpstreamFailure)>,
    /// When the last request was sent, in milliseconds since 1970.
    sent: u64,
    begun: Instant,
}

impl UpstreamAttempts {
    /// Begins with all members but those that a budget refuses.
    pub(crate) fn new(
        gateway: &Arc<Gateway>,
        route: &Arc<GatewayRoute>,
        request: &ModelRequest<'_>,
        parts: &Parts,
        asked: &str,
        used_up: Vec<(usize, String)>,
    ) -> Self {
        let account = |member: &Upstream| {
            let id = member.account_id();
            let named = format!("{id} {}", member.main_model().unwrap_or_default());
            PoolAccount { member: named, model: route.model_for(member, asked), id }
        };
        let pool =
            route.pool.as_ref().map(|pool| Arc::new(AccountPool::new(&gateway.home, &pool.name, pool.strategy())));
        let session = if pool.is_some() { session(request, parts) } else { String::new() };
        Self {
            accounts: route.members.iter().map(account).collect(),
            gateway: gateway.clone(),
            route: route.clone(),
            pool,
            session,
            over: used_up.first().map(|(_, why)| UpstreamFailure::new(FailureKind::PermissionDenied, why)),
            tried: used_up.iter().map(|(at, _)| *at).collect(),
            gone: used_up.iter().map(|(at, _)| *at).collect(),
            refused: used_up.into_iter().map(|(at, _)| at).collect(),
            rounds: 0,
            answering: None,
            failed: None,
            sent: 0,
            begun: Instant::now(),
        }
    }

    /// Returns the next member to ask, or why there is none.
    pub(crate) async fn next(&mut self) -> Result<usize, UpstreamFailure> {
        let Some(pool) = self.pool.clone() else {
            let first = if self.tried.is_empty() { Some(0) } else { None };
            return first.ok_or_else(|| self.last_failure());
        };
        loop {
            let is_over = self.tried.len() >= self.accounts.len();
            let pause = RETRY_DELAY.saturating_mul(1 << self.rounds.min(16));
            let is_limited = self.failed.as_ref().is_some_and(|(_, failure)| failure.kind == FailureKind::RateLimited);
            let is_last = self.is_alone() || self.gone.len() >= self.accounts.len();
            if is_over && (is_last || (!is_limited && self.rounds >= MAX_RETRY_ROUNDS)) {
                return Err(self.last_failure());
            }
            if is_over && is_limited && pause > MAX_QUEUE_WAIT.saturating_sub(self.begun.elapsed()) {
                return Err(self.all_are_limited(pause));
            }
            // Where all were asked, those that may answer now are asked again.
            let tried = if is_over { &self.gone } else { &self.tried };
            let (session, accounts, tried) = (self.session.clone(), self.accounts.clone(), tried.clone());
            // Those that choose at once see each other's choices.
            let gateway = self.gateway.clone();
            let alone = gateway.pick_lock.lock().await;
            let busy: Vec<usize> = accounts.iter().map(|account| self.gateway.in_flight.count(&account.id)).collect();
            let asked = pool.clone();
            let Selection { decision: pick, failover_from: left } =
                aiw_home::run_blocking(move || asked.pick(&session, &accounts, &tried, &busy)).await;
            match pick {
                Decision::Member(at) => {
                    self.answering = Some(InFlightGuard::begin(&self.gateway.in_flight, &self.accounts[at].id));
                    drop(alone);
                    if is_over {
                        tokio::time::sleep(pause).await;
                        self.begin_round();
                    }
                    if let Some(left) = left {
                        self.say_switch(&left, at);
                    }
                    return Ok(at);
                }
                Decision::NoneAvailable => return Err(self.last_failure()),
                Decision::Wait(time) => {
                    drop(alone);
                    if time > MAX_QUEUE_WAIT.saturating_sub(self.begun.elapsed()) {
                        // A failed request is not a limit.
                        let failed = self.failed.as_ref().map(|(_, failure)| failure.kind);
                        return Err(match failed {
                            Some(kind) if kind != FailureKind::RateLimited => self.last_failure(),
                            _ => self.all_are_limited(time),
                        });
                    }
                    tokio::time::sleep(if is_over { time.max(pause) } else { time }).await;
                    if is_over {
                        self.begin_round();
                    }
                }
            }
        }
    }

    fn begin_round(&mut self) {
        self.rounds += 1;
        self.tried.clone_from(&self.gone);
    }

    fn last_failure(&self) -> UpstreamFailure {
        match (&self.failed, &self.over) {
            (Some((_, failure)), _) | (None, Some(failure)) => failure.clone(),
            (None, None) => UpstreamFailure::new(FailureKind::Upstream, "the pool has no member that may be asked"),
        }
    }

    fn all_are_limited(&self, time: Duration) -> UpstreamFailure {
        let said =
            self.failed.as_ref().map(|(provider, failure)| format!(": provider `{provider}`: {}", failure.message));
        let pool = self.route.name();
        let message = format!("all members of pool `{pool}` are limited{}", said.unwrap_or_default());
        UpstreamFailure::new(FailureKind::RateLimited, message).with_retry_after(Some(time))
    }

    fn say_switch(&self, left: &FailoverFrom, at: usize) {
        let own = self.failed.as_ref().filter(|(provider, _)| *provider == left.provider);
        let is_refused = self.refused.iter().any(|at| self.route.members[*at].provider == left.provider);
        let budget = || is_refused.then(|| "its budget is used up".to_owned());
        let is_private = self.route.is_private();
        let why = own.map(|(_, failure)| why(failure, is_private)).or_else(|| left.reason.clone()).or_else(budget);
        let why = why.map(|why| format!(" ({})", aiw_core::one_line(&why, 120))).unwrap_or_default();
        let (pool, from, to) = (self.route.name(), &left.provider, &self.route.members[at].provider);
        self.gateway.notify(&self.route, &format!("pool `{pool}` goes on with `{to}` in place of `{from}`{why}"));
    }

    /// Returns whether somebody else may be asked if this member does not answer.
    pub(crate) fn has_others(&self) -> bool {
        self.tried.len() + 1 < self.accounts.len()
    }

    /// Notes that a budget refuses a member.
    pub(crate) fn record_refusal(&mut self, at: usize, failure: UpstreamFailure) {
        self.refused.push(at);
        self.gone.push(at);
        self.tried.push(at);
        self.over.get_or_insert(failure);
    }

    /// Notes a failure before the client got anything. Returns whether another member may be asked.
    pub(crate) async fn record_failure(&mut self, at: usize, failure: &UpstreamFailure) -> bool {
        let Some(pool) = self.pool.clone() else { return false };
        let (account, noted, is_alone, sent) = (self.accounts[at].clone(), failure.clone(), self.is_alone(), self.sent);
        let why = why(failure, self.route.is_private());
        let may_go_on =
            aiw_home::run_blocking(move || pool.record_failure(&account, &noted, &why, is_alone, sent)).await;
        if !FailureClass::is_transient(failure) {
            self.gone.push(at);
        }
        self.failed = Some((self.route.members[at].provider.clone(), failure.clone()));
        self.tried.push(at);
        may_go_on && !is_alone
    }

    /// Returns what is noted at the end of an answer.
    pub(crate) fn open(&mut self, at: usize) -> OpenUpstream {
        let account = self.accounts[at].clone();
        let taken = self.answering.take();
        let answering = taken.unwrap_or_else(|| InFlightGuard::begin(&self.gateway.in_flight, &account.id));
        let sent = aiw_home::now_millis();
        self.sent = sent;
        let (is_alone, is_private) = (self.is_alone(), self.route.is_private());
        OpenUpstream { pool: self.pool.clone(), account, is_alone, is_private, sent, _answering: answering }
    }

    fn is_alone(&self) -> bool {
        self.accounts.len() == 1
    }
}

/// A member that answers.
#[derive(Debug)]
pub(crate) struct OpenUpstream {
    pool: Option<Arc<AccountPool>>,
    account: PoolAccount,
    is_alone: bool,
    is_private: bool,
    /// When the request was sent, in milliseconds since 1970.
    sent: u64,
    _answering: InFlightGuard,
}

impl OpenUpstream {
    /// The model that was asked.
    pub(crate) fn model(&self) -> &str {
        &self.account.model
    }

    /// Returns a word for the account and the model.
    pub(crate) fn account_key(&self) -> String {
        format!("{} {}", self.account.id, self.account.model)
    }

    /// Notes how the answer ended. This reads and writes files.
    pub(crate) fn record_outcome(&self, failure: Option<&UpstreamFailure>) {
        match (&self.pool, failure) {
            (Some(pool), None) => pool.record_success(&self.account, self.sent),
            (Some(pool), Some(failure)) => {
                pool.record_failure(&self.account, failure, &why(failure, self.is_private), self.is_alone, self.sent);
            }
            (None, _) => {}
        }
    }
}

/// Returns what is noted of a failure, in logs and in the pool's file. Providers quote prompts, so their words about a
/// private run are not.
fn why(failure: &UpstreamFailure, is_private: bool) -> String {
    if is_private { failure.generic_message() } else { failure.message.clone() }
}

/// Returns a word for the session of a request: the one that its client names, else its beginning.
fn session(request: &ModelRequest<'_>, parts: &Parts) -> String {
    let named = SESSION_HEADERS.iter().find_map(|name| parts.headers.get(*name)?.to_str().ok());
    let word = match named {
        Some(name) => name.to_owned(),
        None => aiw_dialects::session_key(request).unwrap_or_default(),
    };
    aiw_core::hex(&Sha256::digest(word)[..12])
}
