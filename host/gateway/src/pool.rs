//! Which member of a pool answers, and which one rests.
//!
//! A session stays with its member, because that one has its prompt in the cache. A member that is limited or fails
//! rests; after that, or after a while, one request tries it again. What is known stands in a small file for each pool,
//! so that gateways share it and a restart loses nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aiw_dialects::{FailureKind, UpstreamFailure};
use aiw_events::{EventKind, EventLog, EventSubject, HomeEvent};
use aiw_home::{ExclusiveLock, Home, HomeError, Mode, PoolStrategy, now_millis, read_capped, replace};
use serde::{Deserialize, Serialize};

/// How long a session that is not used stays with its member.
const SESSION_AFFINITY_TTL: Duration = Duration::from_secs(60 * 60);

/// How long an ended cooldown is remembered: the next one continues its backoff.
const COOLDOWN_RETENTION: Duration = Duration::from_secs(60 * 60);

/// How often it is noted that a session was used.
const AFFINITY_TOUCH_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// The most sessions that are remembered.
const MAX_SESSIONS: usize = 500;

/// The most rests that are remembered.
const MAX_COOLDOWNS: usize = 500;

/// The longest rest after which one request tries again.
const PROBE_INTERVAL: Duration = Duration::from_secs(15 * 60);

/// The rest after a limit whose end was not said. It doubles, up to `MAX_BACKOFF_COOLDOWN`.
const RATE_LIMIT_COOLDOWN: Duration = Duration::from_secs(2);

/// The rest after failures. It doubles, up to `MAX_BACKOFF_COOLDOWN`.
const FAILURE_COOLDOWN: Duration = Duration::from_secs(30);
const MAX_BACKOFF_COOLDOWN: Duration = Duration::from_secs(5 * 60);

/// So many failures in so long a time make a member rest.
const FAILURES_BEFORE_COOLDOWN: usize = 3;
const FAILURE_WINDOW: Duration = Duration::from_secs(60);

/// The rest of an account that has nothing left or whose key is refused, unless its configuration changes.
const QUOTA_COOLDOWN: Duration = Duration::from_secs(30 * 60);

/// The rest of a model that is not there.
const MODEL_NOT_FOUND_COOLDOWN: Duration = Duration::from_secs(60 * 60);

/// How long a request waits for a member that is limited, or asks again, where all are.
pub(crate) const MAX_QUEUE_WAIT: Duration = Duration::from_secs(20);

/// How long another gateway may have the file.
const STATE_FILE_LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// The largest file.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A member, as a pool's file knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PoolAccount {
    /// The provider, its address and its key, as a word: another key is another account.
    pub id: String,
    /// The account and the member's main model, as a word: one account may be in a pool with several models.
    pub member: String,
    /// The model that is asked for.
    pub model: String,
}

impl PoolAccount {
    fn with_model(&self) -> String {
        // A name of a model comes from a client.
        format!("{} {}", self.id, aiw_core::one_line(&self.model, 100))
    }
}

/// The content of a pool's file.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct PoolState {
    /// How many sessions were given a member.
    turns: u64,
    /// Which member a session is with, and when that was noted.
    sessions: BTreeMap<String, (String, u64)>,
    /// The resting accounts, by account, or by account and model.
    cooldowns: BTreeMap<String, Cooldown>,
}

/// Why something rests, and until when. Times are in milliseconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Cooldown {
    /// When it last had to rest.
    since: u64,
    /// When it may be used again.
    until: u64,
    /// When one request may try, before that.
    probe: u64,
    /// How often it had to rest without an answer in between.
    strikes: u32,
    /// When it failed lately.
    failed: Vec<u64>,
    /// Why, in a few words.
    why: String,
    /// Whether waiting helps: its server has said until when it is limited.
    is_limit: bool,
    /// Whether asking again does not: the key is refused, or the model is not there.
    is_final: bool,
}

impl Cooldown {
    fn is_over(&self, now: u64) -> bool {
        now >= self.until
    }
}

/// A pool and its file.
#[derive(Debug)]
pub(crate) struct AccountPool {
    path: PathBuf,
    order: PoolStrategy,
    events: EventLog,
}

/// A member that a session has left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FailoverFrom {
    /// The provider.
    pub provider: String,
    /// Why it rests, if it does.
    pub reason: Option<String>,
}

/// The decision about a session's request, and the member that the session leaves for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selection {
    pub decision: Decision,
    pub failover_from: Option<FailoverFrom>,
}

/// A decision about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Ask this member.
    Member(usize),
    /// Wait: all members are limited, and the first will be free then.
    Wait(Duration),
    /// There is nobody left to ask.
    NoneAvailable,
}

impl AccountPool {
    pub(crate) fn new(home: &Home, name: &str, order: PoolStrategy) -> Self {
        Self { path: path(home, name), order, events: EventLog::new(home.root()) }
    }

    /// Picks a member for a request of a session. `tried` were asked already, and `busy` says how many requests each
    /// member answers now.
    pub(crate) fn pick(&self, session: &str, members: &[PoolAccount], tried: &[usize], busy: &[usize]) -> Selection {
        let now = now_millis();
        self.change(|state| state.pick(session, members, tried, busy, self.order, now)).unwrap_or_else(|| {
            // Without the file, the order is what counts.
            let pick =
                (0..members.len()).find(|at| !tried.contains(at)).map_or(Decision::NoneAvailable, Decision::Member);
            Selection { decision: pick, failover_from: None }
        })
    }

    /// Notes that a member has answered a request that was sent at a time, in milliseconds since 1970.
    pub(crate) fn record_success(&self, member: &PoolAccount, sent: u64) {
        // Nearly always there is nothing to clear, and then nothing is locked.
        let has_rest = load(&self.path).is_some_and(|state| state.has_rest(member));
        if has_rest {
            self.change_and_tell(member, None, |state| state.clear(member, sent));
        }
    }

    /// Notes a failure of a member at a request that was sent at a time, in milliseconds since 1970, and why in these words.
    /// Returns whether another one may be asked.
    pub(crate) fn record_failure(
        &self,
        member: &PoolAccount,
        failure: &UpstreamFailure,
        why: &str,
        is_alone: bool,
        sent: u64,
    ) -> bool {
        let Some(fault) = FailureClass::of(failure) else { return false };
        if !is_alone {
            let now = now_millis();
            self.change_and_tell(member, Some(fault.phrase()), |state| state.rest(member, fault, why, sent, now));
        }
        true
    }

    /// Changes the file, and adds an event if the account rests now, or does not any more.
    fn change_and_tell(&self, member: &PoolAccount, why: Option<&str>, change: impl FnOnce(&mut PoolState) -> bool) {
        let now = now_millis();
        let change = |state: &mut PoolState| {
            let before = state.is_resting(&member.id, now);
            let has_changed = change(state);
            let after = state.is_resting(&member.id, now);
            ((before != after).then_some(after), has_changed)
        };
        match self.change(change).flatten() {
            Some(true) => self.announce(member, EventKind::Cooldown, why),
            Some(false) => self.announce(member, EventKind::Recovered, None),
            None => {}
        }
    }

    /// Adds an event. The provider's own words are not in it.
    fn announce(&self, member: &PoolAccount, kind: EventKind, why: Option<&str>) {
        let (name, why) = (Some(provider_of(&member.id)), why.map(str::to_owned));
        // A full disk stops no request.
        let _ = self.events.add(&HomeEvent { name, reason: why, ..HomeEvent::now(kind, EventSubject::Provider) });
    }

    /// Looks at the file, and changes it, while no other gateway does. The second part of the result says whether it
    /// changed.
    fn change<T>(&self, change: impl FnOnce(&mut PoolState) -> (T, bool)) -> Option<T> {
        // It is aiw's own file, so nothing is written through a link.
        if std::fs::symlink_metadata(&self.path).is_ok_and(|meta| meta.file_type().is_symlink()) {
            return None;
        }
        let _turn = ExclusiveLock::try_acquire_for(&self.path.with_extension("lock"), STATE_FILE_LOCK_TIMEOUT)
            .ok()
            .flatten()?;
        let mut state = load(&self.path).unwrap_or_default();
        let (result, has_changed) = change(&mut state);
        if has_changed && let Ok(bytes) = serde_json::to_vec(&state) {
            // What can't be written is forgotten by the next request.
            let _ = replace(&self.path, &bytes, Mode::Private);
        }
        Some(result)
    }
}

fn path(home: &Home, name: &str) -> PathBuf {
    home.gateway_dir().join("pools").join(name).with_added_extension("json")
}

fn load(path: &Path) -> Option<PoolState> {
    serde_json::from_slice(&read_capped(path, MAX_FILE_BYTES).ok()??).ok()
}

impl PoolState {
    fn pick(
        &mut self,
        session: &str,
        members: &[PoolAccount],
        tried: &[usize],
        busy: &[usize],
        order: PoolStrategy,
        now: u64,
    ) -> (Selection, bool) {
        let left: Vec<usize> = (0..members.len()).filter(|at| !tried.contains(at)).collect();
        let free: Vec<usize> = left
            .iter()
            .copied()
            .filter(|at| self.resting(&members[*at], now).is_none_or(|rest| now >= rest.probe))
            .collect();
        let stays = self
            .sessions
            .get(session)
            .filter(|(_, at)| now.saturating_sub(*at) < millis(SESSION_AFFINITY_TTL))
            .cloned();
        let own = stays.as_ref().and_then(|(id, _)| free.iter().copied().find(|at| members[*at].member == *id));
        let picked = own.or_else(|| match order {
            _ if free.is_empty() => None,
            PoolStrategy::Priority => free.first().copied(),
            // Of those that are free, so that the rest of one doubles nobody's turn.
            PoolStrategy::RoundRobin => free.get(usize::try_from(self.turns % free.len() as u64).unwrap_or(0)).copied(),
            PoolStrategy::LeastBusy => free.iter().copied().min_by_key(|at| busy.get(*at).copied().unwrap_or(0)),
        });
        let at = match picked.map_or_else(|| self.none_is_free(&left, members, now), Decision::Member) {
            Decision::Member(at) => at,
            pick => return (Selection { decision: pick, failover_from: None }, false),
        };
        let mut has_changed = false;
        // One request tries; the others wait until it has succeeded, or for the next time.
        for key in [members[at].id.clone(), members[at].with_model()] {
            if let Some(rest) = self.cooldowns.get_mut(&key).filter(|rest| !rest.is_over(now)) {
                rest.probe = now.saturating_add(millis(PROBE_INTERVAL));
                has_changed = true;
            }
        }
        let left = stays.as_ref().filter(|(id, _)| *id != members[at].member).map(|(id, _)| {
            let before = members.iter().find(|member| member.member == *id);
            let rest = before.and_then(|before| self.resting(before, now));
            FailoverFrom { provider: provider_of(id), reason: rest.map(|rest| aiw_core::one_line(&rest.why, 120)) }
        });
        let noted = stays.filter(|(id, _)| *id == members[at].member).map(|(_, at)| at);
        if noted.is_none() {
            self.turns = self.turns.wrapping_add(1);
        }
        if noted.is_none_or(|at| now.saturating_sub(at) >= millis(AFFINITY_TOUCH_INTERVAL)) {
            self.sessions.insert(session.to_owned(), (members[at].member.clone(), now));
            self.forget_sessions(now);
            has_changed = true;
        }
        (Selection { decision: Decision::Member(at), failover_from: left }, has_changed)
    }

    /// Decides where all members that are left rest: wait for a limit that ends soon, or ask the one that has rested
    /// most.
    fn none_is_free(&self, left: &[usize], members: &[PoolAccount], now: u64) -> Decision {
        let ends = |at: &usize| self.resting(&members[*at], now).map_or(0, |rest| rest.until);
        let Some(soonest) = left.iter().copied().min_by_key(|at| ends(at)) else { return Decision::NoneAvailable };
        let wait = |at: usize| match self.resting(&members[at], now) {
            Some(rest) if rest.is_limit => Some(Duration::from_millis(rest.until.saturating_sub(now).max(1))),
            _ => None,
        };
        match wait(soonest) {
            None => Decision::Member(soonest),
            // Rather one that fails than a client that is sent away.
            Some(time) if time > MAX_QUEUE_WAIT => {
                let may_work =
                    |at: &usize| self.resting(&members[*at], now).is_none_or(|rest| !rest.is_limit && !rest.is_final);
                let failing = left.iter().copied().filter(may_work).min_by_key(|at| ends(at));
                failing.map_or(Decision::Wait(time), Decision::Member)
            }
            Some(time) => Decision::Wait(time),
        }
    }

    /// Returns the rest of a member that ends last.
    fn resting(&self, member: &PoolAccount, now: u64) -> Option<&Cooldown> {
        let keys = [member.id.clone(), member.with_model()];
        let rests = keys.iter().filter_map(|key| self.cooldowns.get(key)).filter(|rest| !rest.is_over(now));
        rests.max_by_key(|rest| rest.until)
    }

    fn has_rest(&self, member: &PoolAccount) -> bool {
        self.cooldowns.contains_key(&member.id) || self.cooldowns.contains_key(&member.with_model())
    }

    /// Clears what began before a request was sent that has been answered.
    fn clear(&mut self, member: &PoolAccount, sent: u64) -> bool {
        let before = self.cooldowns.len();
        for key in [member.id.clone(), member.with_model()] {
            if self.cooldowns.get(&key).is_some_and(|rest| rest.since <= sent) {
                self.cooldowns.remove(&key);
            }
        }
        self.cooldowns.len() < before
    }

    /// Whether an account, or a model of it, has had to rest and not answered since. That a model is not there says nothing of
    /// the account: clients name the models.
    fn is_resting(&self, account: &str, now: u64) -> bool {
        self.cooldowns.iter().any(|(key, rest)| {
            let model = key.strip_prefix(account).filter(|model| model.is_empty() || model.starts_with(' '));
            let is_missing = |model: &str| rest.is_final && !model.is_empty();
            rest.until > 0
                && now.saturating_sub(rest.until) < millis(COOLDOWN_RETENTION)
                && model.is_some_and(|model| !is_missing(model))
        })
    }

    fn rest(&mut self, member: &PoolAccount, fault: FailureClass, why: &str, sent: u64, now: u64) -> bool {
        let key = if fault.is_of_account() { member.id.clone() } else { member.with_model() };
        // What ended long ago says nothing any more.
        self.cooldowns.retain(|_, rest| now.saturating_sub(rest.until) < millis(COOLDOWN_RETENTION));
        // Clients name the models.
        if self.cooldowns.len() >= MAX_COOLDOWNS && !self.cooldowns.contains_key(&key) {
            let soonest = self.cooldowns.iter().min_by_key(|(_, rest)| rest.until).map(|(key, _)| key.clone());
            soonest.and_then(|key| self.cooldowns.remove(&key));
        }
        let rest = self.cooldowns.entry(key).or_default();
        // Requests that were sent at once are refused at once: that is one limit, and not one after the other.
        if matches!(fault, FailureClass::RateLimited { wait: None, .. }) && rest.since > sent && !rest.is_over(now) {
            return false;
        }
        let doubled = |first: Duration| first.saturating_mul(1 << rest.strikes.min(16)).min(MAX_BACKOFF_COOLDOWN);
        let time = match fault {
            FailureClass::RateLimited { wait: Some(wait), .. } => wait,
            FailureClass::RateLimited { wait: None, .. } => doubled(RATE_LIMIT_COOLDOWN),
            FailureClass::AccountUnusable => QUOTA_COOLDOWN,
            FailureClass::ModelNotFound => MODEL_NOT_FOUND_COOLDOWN,
            FailureClass::Timeout => doubled(FAILURE_COOLDOWN),
            FailureClass::UpstreamError => {
                rest.failed.retain(|at| now.saturating_sub(*at) < millis(FAILURE_WINDOW));
                rest.failed.push(now);
                if rest.failed.len() < FAILURES_BEFORE_COOLDOWN {
                    // What ended it is a success after this.
                    rest.since = now;
                    return true;
                }
                rest.failed.clear();
                doubled(FAILURE_COOLDOWN)
            }
        };
        rest.strikes = rest.strikes.saturating_add(1);
        rest.since = now;
        let until = now.saturating_add(millis(time));
        // A server's newest word counts.
        rest.until = if matches!(fault, FailureClass::RateLimited { wait: Some(_), .. }) {
            until
        } else {
            rest.until.max(until)
        };
        rest.probe = rest.until.min(now.saturating_add(millis(PROBE_INTERVAL)));
        rest.is_limit = matches!(fault, FailureClass::RateLimited { wait: Some(_), .. });
        rest.is_final = matches!(fault, FailureClass::AccountUnusable | FailureClass::ModelNotFound);
        rest.why = aiw_core::one_line(why, 120);
        true
    }

    fn forget_sessions(&mut self, now: u64) {
        self.sessions.retain(|_, (_, at)| now.saturating_sub(*at) < millis(SESSION_AFFINITY_TTL));
        while self.sessions.len() > MAX_SESSIONS {
            let oldest = self.sessions.iter().min_by_key(|(_, (_, at))| *at).map(|(session, _)| session.clone());
            let Some(oldest) = oldest else { return };
            self.sessions.remove(&oldest);
        }
    }
}

/// Returns the provider of an account or a member. Behind its name stands what tells keys apart.
fn provider_of(account: &str) -> String {
    aiw_core::one_line(account.split_once('#').map_or(account, |(name, _)| name), 80)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The fault of a member that a failure shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureClass {
    /// It answers later.
    RateLimited { wait: Option<Duration>, is_of_account: bool },
    /// The account has nothing left, or its key is refused.
    AccountUnusable,
    /// The model is not there.
    ModelNotFound,
    /// It does not work.
    UpstreamError,
    /// It takes requests and says nothing.
    Timeout,
}

impl FailureClass {
    /// Returns what a failure says of the member. `None`: nothing, the request itself is what is wrong.
    fn of(failure: &UpstreamFailure) -> Option<Self> {
        let said = failure.message.to_ascii_lowercase();
        // Links tell nothing, nor do parts of words: an explanation is not the name of a plan.
        let texts = said.split_whitespace().filter(|word| !word.contains('/'));
        let all: Vec<&str> = texts.flat_map(|text| text.split(|c: char| !c.is_ascii_alphanumeric())).collect();
        let says = |words: &[&str]| words.iter().any(|word| all.contains(word));
        let is_of_account = says(&["account", "accounts", "plan", "subscription", "workspace"]);
        Some(match failure.kind {
            FailureKind::Invalid | FailureKind::TooLong | FailureKind::TooLarge => return None,
            FailureKind::RateLimited => Self::RateLimited { wait: failure.retry_after, is_of_account },
            FailureKind::QuotaExceeded | FailureKind::InvalidKey => Self::AccountUnusable,
            // A key that may not use one model may use others.
            FailureKind::PermissionDenied if says(&["key", "account", "organization"]) => Self::AccountUnusable,
            FailureKind::PermissionDenied | FailureKind::NotFound => Self::ModelNotFound,
            FailureKind::Timeout => Self::Timeout,
            FailureKind::Overloaded | FailureKind::Upstream => Self::UpstreamError,
        })
    }

    /// Returns whether the same request may be answered a moment later.
    pub(crate) fn is_transient(failure: &UpstreamFailure) -> bool {
        matches!(Self::of(failure), Some(Self::UpstreamError | Self::RateLimited { .. }))
    }

    /// Returns what it is, for events.
    fn phrase(self) -> &'static str {
        match self {
            Self::RateLimited { .. } => "it is limited",
            Self::AccountUnusable => "it has nothing left, or refuses the key",
            Self::ModelNotFound => "it has no such model",
            Self::UpstreamError => "it fails",
            Self::Timeout => "it does not answer",
        }
    }

    fn is_of_account(self) -> bool {
        match self {
            Self::RateLimited { is_of_account, .. } => is_of_account,
            Self::AccountUnusable | Self::UpstreamError | Self::Timeout => true,
            Self::ModelNotFound => false,
        }
    }
}

/// The end of the year 9999, in milliseconds since 1970.
const MAX_TIMESTAMP_MS: u64 = 253_402_300_799_999;

/// A resting account of a pool, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CooldownEntry {
    /// The provider.
    pub provider: String,
    /// The model, if only that rests.
    pub model: Option<String>,
    /// Until when, in milliseconds since 1970.
    pub retry_at: u64,
    /// The provider's own words.
    pub reason: String,
}

/// Returns what rests in a pool.
pub fn cooldowns(home: &Home, pool: &str) -> Vec<CooldownEntry> {
    let now = now_millis();
    let state = load(&path(home, pool)).unwrap_or_default();
    let resting = |(key, rest): (String, Cooldown)| {
        let (account, model) =
            key.split_once(' ').map_or((key.as_str(), None), |(id, model)| (id, Some(model.to_owned())));
        let provider = provider_of(account);
        // The file may have been written by hand.
        let (until, why) = (rest.until.min(MAX_TIMESTAMP_MS), aiw_core::one_line(&rest.why, 120));
        let model = model.map(|model| aiw_core::one_line(&model, 100));
        (!rest.is_over(now)).then_some(CooldownEntry { provider, model, retry_at: until, reason: why })
    };
    state.cooldowns.into_iter().filter_map(resting).collect()
}

/// Forgets what rests in a pool, and which session is with whom.
///
/// # Errors
///
/// Fails if the file can't be removed.
pub fn remove_pool_state(home: &Home, pool: &str) -> Result<(), HomeError> {
    let path = path(home, pool);
    let _ = aiw_home::remove_file(&path.with_extension("lock"));
    match aiw_home::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(HomeError::io("remove", &path, e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn account(at: usize, model: &str) -> PoolAccount {
        PoolAccount { id: format!("p{at}#0"), member: format!("p{at}#0 m"), model: model.into() }
    }

    fn members(count: usize) -> Vec<PoolAccount> {
        (0..count).map(|at| account(at, "m")).collect()
    }

    fn failure(kind: FailureKind, message: &str, wait: Option<u64>) -> UpstreamFailure {
        UpstreamFailure::new(kind, message).with_retry_after(wait.map(Duration::from_secs))
    }

    /// Time passes as a test says.
    struct World {
        state: PoolState,
        members: Vec<PoolAccount>,
        order: PoolStrategy,
        now: u64,
    }

    impl World {
        fn new(count: usize, order: PoolStrategy) -> Self {
            Self { state: PoolState::default(), members: members(count), order, now: 1_000_000 }
        }

        fn pick(&mut self, session: &str) -> Decision {
            self.state.pick(session, &self.members, &[], &[2, 1, 3], self.order, self.now).0.decision
        }

        fn fails(&mut self, at: usize, failure: &UpstreamFailure) -> bool {
            match FailureClass::of(failure) {
                Some(fault) => self.state.rest(&self.members[at], fault, &failure.message, self.now, self.now),
                None => false,
            }
        }

        fn wait(&mut self, seconds: u64) {
            self.now += seconds * 1000;
        }
    }

    #[test]
    fn a_session_stays_with_its_member_while_that_works() {
        let mut world = World::new(3, PoolStrategy::RoundRobin);
        let picked: Vec<Decision> =
            ["a", "b", "c", "d", "a", "b"].into_iter().map(|session| world.pick(session)).collect();
        assert_eq!(picked, [0, 1, 2, 0, 0, 1].map(Decision::Member));
        // Its member is limited: another one takes over, and keeps it.
        assert!(world.fails(1, &failure(FailureKind::RateLimited, "slow", Some(60))));
        let other = world.pick("b");
        assert!(other != Decision::Member(1));
        world.wait(61);
        assert_eq!(world.pick("b"), other);
        // After an hour without a request, it may go elsewhere.
        world.wait(3_601);
        assert!(matches!(world.pick("new"), Decision::Member(_)));
        let mut by_order = World::new(3, PoolStrategy::Priority);
        assert_eq!([by_order.pick("a"), by_order.pick("b")], [Decision::Member(0), Decision::Member(0)]);
        assert_eq!(World::new(3, PoolStrategy::LeastBusy).pick("a"), Decision::Member(1));
    }

    #[test]
    fn each_failure_rests_as_long_as_it_should_and_only_what_it_concerns() {
        let mut world = World::new(2, PoolStrategy::Priority);
        // The request's own fault is nobody's.
        for kind in [FailureKind::Invalid, FailureKind::TooLong, FailureKind::TooLarge] {
            assert!(!world.fails(0, &failure(kind, "no", None)));
        }
        assert_eq!(world.pick("a"), Decision::Member(0));
        // A limit without a time doubles.
        let limited = failure(FailureKind::RateLimited, "slow", None);
        for seconds in [2, 4, 8] {
            world.fails(0, &limited);
            world.wait(seconds - 1);
            assert_eq!(world.pick("a"), Decision::Member(1), "{seconds}");
            world.state.sessions.clear();
            world.wait(1);
            assert_eq!(world.pick("a"), Decision::Member(0), "{seconds}");
        }
        world.state.clear(&world.members[0].clone(), u64::MAX);
        // Two failures are chance.
        let broken = failure(FailureKind::Upstream, "broke off", None);
        world.fails(0, &broken);
        world.fails(0, &broken);
        assert_eq!(world.pick("x"), Decision::Member(0));
        world.fails(0, &broken);
        assert_eq!(world.pick("x"), Decision::Member(1));
        world.wait(30);
        assert_eq!(world.pick("y"), Decision::Member(0));
        // An account rests for all models, a model that is missing for itself.
        let of_account = failure(FailureKind::RateLimited, "the limit of your plan is reached", Some(600));
        world.fails(0, &of_account);
        let other = PoolAccount { model: "other".into(), ..world.members[0].clone() };
        assert!(world.state.resting(&other, world.now).is_some());
        let mut world = World::new(2, PoolStrategy::Priority);
        world.fails(0, &failure(FailureKind::NotFound, "no such model", None));
        assert!(world.state.resting(&other, world.now).is_none() && world.pick("a") == Decision::Member(1));
    }

    #[test]
    fn a_long_rest_is_tried_by_one_request_and_ends_with_its_success() {
        let mut world = World::new(2, PoolStrategy::Priority);
        // 18 days, as one vendor said.
        world.fails(0, &failure(FailureKind::RateLimited, "slow", Some(18 * 86_400)));
        assert_eq!(world.pick("a"), Decision::Member(1));
        world.wait(15 * 60);
        world.state.sessions.clear();
        assert_eq!(world.pick("b"), Decision::Member(0));
        assert_eq!(world.pick("c"), Decision::Member(1));
        let first = world.members[0].clone();
        assert!(world.state.clear(&first, world.now));
        assert_eq!(world.pick("d"), Decision::Member(0));
    }

    #[test]
    fn an_older_answer_ends_no_later_rest_and_one_account_may_be_two_members() {
        let mut world = World::new(2, PoolStrategy::Priority);
        let sent = world.now;
        world.wait(5);
        world.fails(0, &failure(FailureKind::RateLimited, "slow", Some(600)));
        let first = world.members[0].clone();
        assert!(!world.state.clear(&first, sent));
        assert_eq!(world.pick("a"), Decision::Member(1));
        assert!(world.state.clear(&first, world.now));
        let mut world = World::new(0, PoolStrategy::RoundRobin);
        let member = |model: &str| PoolAccount { member: format!("p#0 {model}"), ..account(0, model) };
        world.members = vec![member("one"), member("two")];
        let picked: Vec<Decision> = ["a", "b", "a", "b", "b"].into_iter().map(|session| world.pick(session)).collect();
        assert_eq!(picked, [0, 1, 0, 1, 1].map(Decision::Member));
        // Any number may stand in the file.
        world.state.turns = u64::MAX;
        world.pick("c");
        world.pick("d");
    }

    #[test]
    fn where_all_rest_a_limit_is_waited_for_and_a_failure_is_tried() {
        let mut world = World::new(2, PoolStrategy::Priority);
        world.fails(0, &failure(FailureKind::RateLimited, "slow", Some(60)));
        world.fails(1, &failure(FailureKind::RateLimited, "slow", Some(9)));
        assert_eq!(world.pick("a"), Decision::Wait(Duration::from_secs(9)));
        let mut world = World::new(2, PoolStrategy::Priority);
        world.fails(0, &failure(FailureKind::QuotaExceeded, "nothing left", None));
        let broken = failure(FailureKind::Overloaded, "too much", None);
        (0..3).for_each(|_| assert!(world.fails(1, &broken)));
        assert_eq!(world.pick("a"), Decision::Member(1));
        let tried = world.state.pick("a", &world.members, &[0, 1], &[], PoolStrategy::Priority, world.now).0;
        assert_eq!(tried.decision, Decision::NoneAvailable);
    }

    #[test]
    fn what_is_refused_at_once_is_one_limit_and_where_no_end_is_said_none_is_waited_for() {
        let mut world = World::new(2, PoolStrategy::Priority);
        let (first, sent) = (world.members[0].clone(), world.now);
        let limited = FailureClass::of(&failure(FailureKind::RateLimited, "slow", Some(0))).unwrap();
        world.wait(1);
        let until = world.now + millis(RATE_LIMIT_COOLDOWN);
        for _ in 0..10 {
            world.state.rest(&first, limited, "slow", sent, world.now);
            world.now += 10;
        }
        assert_eq!(world.state.resting(&first, world.now).map(|rest| (rest.until, rest.strikes)), Some((until, 1)));
        // One that was sent later is another one.
        world.state.rest(&first, limited, "slow", world.now, world.now);
        assert_eq!(world.state.resting(&first, world.now).unwrap().strikes, 2);
        assert_eq!(world.pick("a"), Decision::Member(1));
        world.fails(1, &failure(FailureKind::RateLimited, "slow", None));
        assert_eq!(world.pick("a"), Decision::Member(1));
        world.fails(1, &failure(FailureKind::RateLimited, "slow", Some(1)));
        assert_eq!(world.pick("a"), Decision::Wait(Duration::from_secs(1)));
    }

    #[test]
    fn a_client_that_invents_models_does_not_fill_the_file() {
        let mut world = World::new(1, PoolStrategy::Priority);
        for model in 0..2 * MAX_COOLDOWNS {
            world.members[0] = account(0, &format!("{model:x<90}"));
            world.fails(0, &failure(FailureKind::NotFound, &"x".repeat(500), None));
        }
        assert_eq!(world.state.cooldowns.len(), MAX_COOLDOWNS);
        assert!(serde_json::to_vec(&world.state).unwrap().len() < MAX_FILE_BYTES as usize / 2);
    }

    #[test]
    fn a_file_is_shared_and_survives_nonsense() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path());
        home.make_dir(&home.gateway_dir().join("pools")).unwrap();
        let pool = || AccountPool::new(&home, "work", PoolStrategy::Priority);
        let members = members(2);
        assert_eq!(pool().pick("a", &members, &[], &[]).decision, Decision::Member(0));
        assert!(pool().record_failure(
            &members[0],
            &failure(FailureKind::InvalidKey, "refused", None),
            "refused",
            false,
            0
        ));
        let picked = pool().pick("a", &members, &[], &[]);
        let left = FailoverFrom { provider: "p0".into(), reason: Some("refused".into()) };
        assert_eq!(picked, Selection { decision: Decision::Member(1), failover_from: Some(left) });
        let rests = cooldowns(&home, "work");
        assert_eq!((rests.len(), rests[0].provider.as_str(), rests[0].reason.as_str()), (1, "p0", "refused"));
        // A second failure, and a model that is not there, are no news.
        assert!(pool().record_failure(
            &members[0],
            &failure(FailureKind::InvalidKey, "words", None),
            "words",
            false,
            0
        ));
        assert!(pool().record_failure(&members[1], &failure(FailureKind::NotFound, "words", None), "words", false, 0));
        pool().record_success(&members[0], u64::MAX);
        pool().record_success(&members[1], u64::MAX);
        let told = EventLog::new(home.root()).read(0, 10, |_| true).unwrap().events;
        let told: Vec<String> = told.iter().map(HomeEvent::to_string).collect();
        assert_eq!(told, ["provider p0 cooldown: it has nothing left, or refuses the key", "provider p0 recovered"]);
        assert!(cooldowns(&home, "work").is_empty());
        // A pool of one is never left without.
        assert!(pool().record_failure(
            &members[0],
            &failure(FailureKind::InvalidKey, "refused", None),
            "refused",
            true,
            0
        ));
        assert!(cooldowns(&home, "work").is_empty());
        for nonsense in ["", "{", "[]", r#"{"cooldown": 7}"#] {
            std::fs::write(path(&home, "work"), nonsense).unwrap();
            assert_eq!(pool().pick("a", &members, &[], &[]).decision, Decision::Member(0));
        }
        remove_pool_state(&home, "work").unwrap();
        remove_pool_state(&home, "work").unwrap();
    }

    mod fuzz {
        use super::*;

        proptest! {
            /// Whatever happens, a request gets a member that was not tried, or is told to wait for a limit.
            #[test]
            fn somebody_is_always_asked(
                steps in proptest::collection::vec((0..3_usize, 0..11_usize, 0..2_000_u64, any::<bool>()), 0..60),
                order in 0..3_usize,
            ) {
                let kinds = [
                    FailureKind::Invalid, FailureKind::TooLong, FailureKind::InvalidKey, FailureKind::PermissionDenied,
                    FailureKind::NotFound, FailureKind::TooLarge, FailureKind::RateLimited, FailureKind::QuotaExceeded,
                    FailureKind::Overloaded, FailureKind::Timeout, FailureKind::Upstream,
                ];
                let mut world = World::new(3, PoolStrategy::ALL[order]);
                for (at, kind, wait, is_answered) in steps {
                    if is_answered {
                        let member = world.members[at].clone();
                        world.state.clear(&member, world.now);
                    } else {
                        world.fails(at, &failure(kinds[kind], "your plan", (wait % 2 == 0).then_some(wait)));
                    }
                    world.wait(wait % 97);
                    match world.pick("session") {
                        Decision::Member(at) => prop_assert!(at < 3),
                        Decision::Wait(time) => prop_assert!(!time.is_zero()),
                        Decision::NoneAvailable => prop_assert!(false),
                    }
                }
            }
        }
    }
}
