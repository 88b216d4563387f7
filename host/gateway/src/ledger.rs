//! What requests use: booked before they are sent and when they have ended, and held against budgets.

use std::path::Path;

use std::time::{Duration, Instant};

use aiw_events::EventLog;
use aiw_home::{Budget, Home, HomeError, Settings};
use aiw_usage::{AdmissionError, OpenRequest, Spending, UsageError, UsageLog, UsageLogGuard, UsageRecord};
use parking_lot::{Mutex, MutexGuard};

use crate::route::GatewayRoute;

/// How often the settings are read again.
const SETTINGS_RELOAD_INTERVAL: Duration = Duration::from_secs(2);

/// The most bookings that wait until they can be written. Where a budget refuses, no request is sent while one waits.
const MAX_PENDING_RECORDS: usize = 1_024;

/// The book of a home, and its budgets. No lock is held while somebody else has the book: other requests go on
/// meanwhile.
#[derive(Debug)]
pub(crate) struct Ledger {
    home: Home,
    book: UsageLog,
    known: Mutex<KnownSpending>,
    /// Bookings that are not written yet. A writer locks it, in its turn of the book.
    unwritten: Mutex<Vec<UsageRecord>>,
}

#[derive(Debug)]
struct KnownSpending {
    read: Option<Instant>,
    settings: Option<Settings>,
    /// Why the settings could not be read when they were first needed: there may be a budget that refuses.
    problem: Option<String>,
    spending: Spending,
}

/// How a request was booked before it is sent.
#[derive(Debug)]
pub(crate) enum PendingRecord {
    Recorded(OpenRequest),
    /// It could not be, and no budget refuses it for that.
    NotRecorded(String),
}

impl Ledger {
    pub(crate) fn new(home: &Home) -> Self {
        let book = UsageLog::new(home);
        let spending = Spending::new(book.non_blocking(), Vec::new());
        let known = KnownSpending { read: None, settings: None, problem: None, spending };
        Self { home: home.clone(), book, known: Mutex::new(known), unwritten: Mutex::default() }
    }

    /// Returns the members of a pool whose budgets are used up, with why, as far as that is known now. A request is
    /// held against them again when it is booked.
    pub(crate) fn members_over_budget(&self, route: &GatewayRoute) -> Vec<(usize, String)> {
        let mut known = self.known();
        let KnownSpending { settings: Some(settings), spending, .. } = &mut *known else { return Vec::new() };
        if !spending.has_blocking() {
            return Vec::new();
        }
        match spending.refresh(settings) {
            // What was read before still counts.
            Ok(()) | Err(UsageError::Busy { .. }) => {}
            Err(_) => return Vec::new(),
        }
        let project = route.run.as_ref().and_then(|run| run.project.as_deref()).map(Path::new);
        let named = route.run.as_ref().map(|run| run.budgets.as_slice()).unwrap_or_default();
        let over = |name: &str| {
            let over = spending.exceeded(&[name, route.name()], project, named);
            over.into_iter().find(|over| over.is_blocking)
        };
        let members = route.members.iter().enumerate();
        members.filter_map(|(at, member)| Some((at, hinted(over(&member.provider)?.message)))).collect()
    }

    /// Books a request that is about to be sent, as what it is expected to use. The error is a sentence: it may not be
    /// sent.
    pub(crate) fn open(&self, mut booking: UsageRecord) -> Result<PendingRecord, String> {
        let mut turn = self.book.lock();
        let unwritten = match &mut turn {
            Ok(turn) => self.write(turn).err().map(|e| e.to_string()),
            Err(e) => (!self.unwritten().is_empty()).then(|| e.to_string()),
        };
        let mut known = self.known();
        let KnownSpending { settings: Some(settings), spending, .. } = &mut *known else {
            return Err(known.problem.clone().unwrap_or_default());
        };
        if let Some(e) = unwritten
            && spending.has_blocking()
        {
            return Err(format!("what requests have used can't be booked: {e}"));
        }
        booking.cost_usd = booking.cost(settings).ok().flatten();
        match spending.open_request(settings, turn, booking) {
            Ok(request) => Ok(PendingRecord::Recorded(request)),
            Err(e @ AdmissionError::RecordFailed(_)) => Ok(PendingRecord::NotRecorded(e.to_string())),
            Err(AdmissionError::Exceeded(over)) if spending.loss().is_none() => Err(hinted(over.message)),
            Err(e) => Err(e.to_string()),
        }
    }

    /// Notes what was used. It is written before the next request is sent, at the latest.
    pub(crate) fn close(&self, mut booking: UsageRecord) {
        booking.cost_usd = self.known().settings.as_ref().and_then(|settings| booking.cost(settings).ok()).flatten();
        let mut unwritten = self.unwritten();
        if unwritten.len() < MAX_PENDING_RECORDS {
            unwritten.push(booking);
        }
    }

    /// Books what was noted, and tells which budgets that uses up. This waits for the book.
    pub(crate) fn write_closed(&self) -> Result<(), UsageError> {
        // The next request may have written it.
        if !self.unwritten().is_empty() {
            self.write(&mut self.book.lock()?)?;
        }
        let mut known = self.known();
        let KnownSpending { settings: Some(settings), spending, .. } = &mut *known else { return Ok(()) };
        // What can't be read now is told after another request.
        if !spending.is_empty() && spending.refresh(settings).is_ok() {
            spending.log_exceeded(&EventLog::new(self.home.root()));
        }
        Ok(())
    }

    fn unwritten(&self) -> MutexGuard<'_, Vec<UsageRecord>> {
        self.unwritten.lock()
    }

    fn write(&self, turn: &mut UsageLogGuard<'_>) -> Result<(), UsageError> {
        let mut unwritten = self.unwritten();
        while let Some(booking) = unwritten.last() {
            turn.add(booking)?;
            unwritten.pop();
        }
        Ok(())
    }

    /// Returns what is known, after a look at the settings.
    fn known(&self) -> MutexGuard<'_, KnownSpending> {
        let mut known = self.known.lock();
        if known.read.is_none_or(|at| at.elapsed() > SETTINGS_RELOAD_INTERVAL) {
            known.read = Some(Instant::now());
            // Settings that can't be read stop new runs, which say why. What runs goes on as before.
            match self.settings() {
                Ok((settings, budgets)) => {
                    if !known.spending.matches(&budgets) {
                        known.spending = Spending::new(self.book.non_blocking(), budgets);
                    }
                    known.settings = Some(settings);
                    known.problem = None;
                }
                Err(e) => known.problem = Some(format!("your budgets can't be read: {e}")),
            }
        }
        known
    }

    fn settings(&self) -> Result<(Settings, Vec<Budget>), HomeError> {
        let settings = self.home.settings()?;
        let budgets = settings.budgets()?;
        Ok((settings, budgets))
    }
}

fn hinted(sentence: String) -> String {
    format!("{sentence}; `aiw usage` shows what for, and `aiw budget set` changes it")
}

#[cfg(test)]
mod tests {
    use aiw_core::{Api, provider};
    use aiw_home::{PoolStrategy, open_owned, try_lock_for};
    use aiw_providers::ModelEndpoint;
    use aiw_usage::{TokenCounts, UsageSource};

    use super::*;
    use crate::{RoutePool, Upstream};

    #[test]
    fn a_request_that_waits_for_the_book_holds_up_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path());
        let settings = r#"{"budgets": {"b": {"tokens": 1000, "per": "month", "action": "block"}}}"#;
        std::fs::write(home.settings_path(), settings).unwrap();
        let access = || ModelEndpoint {
            api: Api::Messages,
            url: "http://127.0.0.1:1".into(),
            is_granted: true,
            headers: Vec::new(),
            secrets: Vec::new(),
            models: provider::Models::default(),
            tuning: provider::Tuning::default(),
        };
        let members = ["one", "two"].map(|name| Upstream::new(name, access()));
        let route = GatewayRoute::new(members.into(), Some(RoutePool::new("pool", PoolStrategy::RoundRobin))).unwrap();
        let booking = |output| UsageRecord::new(UsageSource::Gateway, TokenCounts { output, ..TokenCounts::default() });
        let ledger = Ledger::new(&home);
        let mut open = Vec::new();
        for _ in 0..2 {
            let Ok(PendingRecord::Recorded(request)) = ledger.open(booking(600)) else { break };
            open.push(request);
        }
        assert_eq!(open.len(), 1);
        // Another process has the book.
        let held = try_lock_for(open_owned(&home.usage_checksums_path()).unwrap(), Duration::ZERO).unwrap().unwrap();
        std::thread::scope(|scope| {
            let waiting: Vec<_> = (0..3).map(|_| scope.spawn(|| ledger.open(booking(300)))).collect();
            let ending = scope.spawn(|| {
                // Each of these needs what the ledger knows, for as long as the others wait.
                for round in 0..100 {
                    assert!(ledger.members_over_budget(&route).is_empty());
                    if round == 50 {
                        ledger.close(open[0].final_record(booking(100)));
                    }
                    std::thread::sleep(Duration::from_millis(2));
                }
            });
            ending.join().unwrap();
            assert!(waiting.iter().all(|one| !one.is_finished()), "the others were waited for");
            drop(held);
            // What was noted meanwhile is written before the next request is held against the budget.
            let opened = waiting.into_iter().map(|one| one.join().unwrap()).filter(Result::is_ok).count();
            assert_eq!(opened, 3);
        });
        assert!(ledger.open(booking(1)).is_err());
    }
}
