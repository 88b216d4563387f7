//! Bringing a copy up to date, a page at a time.
//!
//! The first pass asks for everything, and goes on where an earlier process was ended. Later ones ask for what changed
//! since the newest change that the pass before has seen, less a minute: a registry's clock may be wrong, so it is not
//! asked for the future either. A registry asks to be read once an hour at most.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use aiw_core::registry::{Page, ServerVersion};
use aiw_home::now_millis;
use aiw_wasm::limits::Allowance;
use aiw_wasm::{CallBudget, CallPermissions};

use crate::RegistryError;
use crate::copy::{CacheState, RegistryCache};
use crate::registry::{Registry, is_available};

/// The allowance of one run. A registry of 50,000 servers has 500 pages.
const RUN_ALLOWANCE: Allowance = Allowance {
    scope: "in one run",
    guest_time: Duration::from_secs(120),
    wall_time: Duration::from_secs(30 * 60),
    requests: 700,
    bytes: 512 << 20,
};

/// The requests after which a run ends, before it is ended.
const MAX_REQUESTS_PER_RUN: u32 = 600;

/// The most servers of a copy: four times as many as the largest registry has.
const MAX_SERVERS: u64 = 200_000;

/// The time between two pages: nobody waits for them, and others ask the registry too.
const PAGE_DELAY: Duration = Duration::from_millis(100);

/// How old a copy may be before it is brought up to date, and how soon after a failure it is tried again.
pub(crate) const MAX_AGE_MS: u64 = 60 * 60 * 1000;
const RETRY_DELAY_MS: u64 = 5 * 60 * 1000;

/// The overlap that the next pass asks for again, in milliseconds.
const OVERLAP_WINDOW_MS: u64 = 60 * 1000;

/// Pages without a server after which there is no end to be expected.
const MAX_EMPTY_PAGES: usize = 3;

/// Servers that a pass over everything did not see, and that are asked for by name before they are forgotten. With
/// more, the registry was reset.
const MAX_UNSEEN_LOOKUPS: usize = 50;

impl CacheState {
    /// Whether a run has something to do, at a time in milliseconds since 1970.
    pub(crate) fn is_due(&self, now: u64) -> bool {
        // A time in the future is a clock that was wrong.
        let age = |time: Option<u64>| time.filter(|time| *time <= now).map_or(u64::MAX, |time| now - time);
        if self.cooldown_until.is_some_and(|time| now < time && time - now <= MAX_AGE_MS) {
            return false;
        }
        let is_unfinished = self.cursor.is_some() || self.finished_at_ms.is_none();
        match self.problem.is_some() || is_unfinished {
            true => age(self.started_at_ms) >= RETRY_DELAY_MS,
            false => age(self.finished_at_ms) >= MAX_AGE_MS,
        }
    }
}

/// Brings a copy up to date. What was taken in before a failure stays.
pub(crate) async fn sync(registry: &Registry, copy: &mut RegistryCache) -> Result<(), RegistryError> {
    let run = SyncRun { registry, reach: registry.call_permissions(Arc::new(CallBudget::new(RUN_ALLOWANCE))) };
    let result = run.pass(copy).await;
    if let Err(e) = &result {
        let state = copy.state()?;
        copy.set_state(&CacheState { problem: Some(e.to_string()), ..state })?;
    }
    result
}

struct SyncRun<'r> {
    registry: &'r Registry,
    reach: CallPermissions,
}

impl SyncRun<'_> {
    /// Makes a pass, or goes on with the one that was ended.
    async fn pass(&self, copy: &mut RegistryCache) -> Result<(), RegistryError> {
        let mut state = copy.state()?;
        if state.cursor.is_none() {
            // A copy that was never whole begins anew; another asks for what it has missed.
            let since = state.finished_at_ms.and_then(|_| state.newest_change_ms.or(state.since_ms));
            state = CacheState { pass_number: state.pass_number + 1, since_ms: since, newest_change_ms: None, ..state };
        }
        state = CacheState { started_at_ms: Some(now_millis()), problem: None, ..state };
        copy.set_state(&state)?;
        let mut cursors: HashSet<String> = state.cursor.iter().cloned().collect();
        let mut empty = 0;
        loop {
            let page = self.registry.changes(&self.reach, state.since_ms, state.cursor.as_deref()).await?;
            empty = if page.servers.is_empty() { empty + 1 } else { 0 };
            let next = page.next.clone();
            let (put, gone) = self.sorted(copy, page, state.since_ms.is_some()).await?;
            // A time in the future would hide what happens until then.
            let newest = put.iter().filter_map(|server| server.updated).max().map(|time| time.min(now_millis()));
            state.newest_change_ms = state.newest_change_ms.max(newest);
            let problem = match &next {
                Some(next) if !cursors.insert(next.clone()) => Some("gives the same cursor again"),
                Some(_) if empty >= MAX_EMPTY_PAGES => Some("gives one page after another without a server"),
                _ => None,
            };
            // A cursor that leads nowhere is not followed again.
            state.cursor = next.filter(|_| problem.is_none());
            if let Some(what) = problem {
                copy.apply_page(&put, &gone, &state)?;
                return Err(RegistryError::InvalidFeed { id: self.registry.id.clone(), what: what.to_owned() });
            }
            if state.cursor.is_some() {
                copy.apply_page(&put, &gone, &state)?;
                // The next run goes on at the cursor.
                if self.reach.budget.as_ref().is_some_and(|budget| budget.requests() >= MAX_REQUESTS_PER_RUN) {
                    return copy.set_state(&CacheState { cooldown_until: Some(now_millis() + MAX_AGE_MS), ..state });
                }
                if copy.count()? > MAX_SERVERS {
                    let what = format!("has more than {MAX_SERVERS} servers");
                    return Err(RegistryError::InvalidFeed { id: self.registry.id.clone(), what });
                }
                tokio::time::sleep(PAGE_DELAY).await;
                continue;
            }
            let newest = state.newest_change_ms.map(|time| time.saturating_sub(OVERLAP_WINDOW_MS)).max(state.since_ms);
            let whole = CacheState { newest_change_ms: newest, finished_at_ms: Some(now_millis()), ..state.clone() };
            if state.since_ms.is_some() {
                return copy.apply_page(&put, &gone, &whole);
            }
            copy.apply_page(&put, &gone, &state)?;
            return self.forget_unseen(copy, &whole).await;
        }
    }

    /// Sorts a page into servers to take in, and names to forget.
    async fn sorted(
        &self,
        copy: &RegistryCache,
        page: Page,
        has_all_versions: bool,
    ) -> Result<(Vec<ServerVersion>, Vec<String>), RegistryError> {
        let (mut put, mut gone) = (Vec::new(), Vec::new());
        for server in page.servers {
            if is_available(&server) {
                // An older version that changed says nothing of the newest, which has a row of its own.
                if server.latest || !has_all_versions {
                    put.push(server);
                }
                continue;
            }
            // If the newest version was withdrawn, an older one is now the newest, and need not have changed.
            let known = copy.server(&server.name)?;
            if known.is_none_or(|known| known.version != server.version && !server.latest) {
                continue;
            }
            match self.registry.server_with_permissions(&self.reach, &server.name, None).await? {
                Some(older) if is_available(&older) && older.name == server.name => put.push(older),
                _ => gone.push(server.name),
            }
        }
        gone.retain(|name| !put.iter().any(|server| server.name == *name));
        Ok((put, gone))
    }

    /// Ends a pass over everything: what it did not see is gone. Rows move between pages while others are added, so a
    /// few are asked for.
    async fn forget_unseen(&self, copy: &mut RegistryCache, whole: &CacheState) -> Result<(), RegistryError> {
        let unseen = copy.unseen_names(whole.pass_number)?;
        let (mut put, mut gone) = (Vec::new(), Vec::new());
        let is_reset = unseen.len() > MAX_UNSEEN_LOOKUPS;
        for name in unseen {
            let found =
                if is_reset { None } else { self.registry.server_with_permissions(&self.reach, &name, None).await? };
            match found.filter(is_available) {
                Some(server) => put.push(server),
                None => gone.push(name),
            }
        }
        copy.apply_page(&put, &gone, whole)
    }
}
