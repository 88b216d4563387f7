//! Budgets, held against what was booked.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use aiw_events::{EventKind, EventLog, EventSubject, HomeEvent};
use aiw_home::{Budget, BudgetLimit, BudgetPeriod, Settings, now_millis, rfc3339};

use crate::checksums::Loss;
use crate::log::{OpenRequest, ReadPosition, UsageError, UsageLog, UsageLogGuard};
use crate::record::{UsageRecord, plausible_cost};
use crate::sum::{Sum, SumAccumulator, format_dollars};

/// How far the clock of another process may be ahead, in milliseconds.
const MAX_CLOCK_SKEW_MS: u64 = 60_000;

/// The shortest time between two readings of a whole book that has lost something.
const REREAD_INTERVAL: Duration = Duration::from_secs(5);

/// A budget that is used up, or has too little left.
#[derive(Debug, Clone, PartialEq)]
pub struct ExceededBudget {
    /// Whether nothing new begins.
    pub is_blocking: bool,
    /// Its name.
    pub name: String,
    /// A sentence that says it.
    pub message: String,
}

/// Why a request may not be sent.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    /// A budget refuses it.
    #[error("{}", .0.message)]
    Exceeded(ExceededBudget),
    /// There is a budget that might refuse it, and what was spent can't be read, or what it will use can't be booked.
    #[error("what your budgets have left is not known: {0}")]
    SpendingUnknown(UsageError),
    /// No budget would refuse it, but it can't be booked.
    #[error("what a request uses can't be booked: {0}")]
    RecordFailed(UsageError),
}

/// The spending of budgets. It reads on where it stopped, so it can be asked before each request.
#[derive(Debug)]
pub struct Spending {
    book: UsageLog,
    mark: ReadPosition,
    /// The budgets, with what was spent in the current period by requests that have ended.
    budgets: Vec<(Budget, SumAccumulator)>,
    /// The first day that was read.
    day: String,
    loss: Option<Loss>,
    /// When all was last read because of a loss.
    reread: Option<Instant>,
    /// The budgets whose end was told, and when the period began for which it was.
    notified: BTreeMap<String, u64>,
}

impl Spending {
    /// Begins with nothing read.
    pub fn new(book: UsageLog, budgets: Vec<Budget>) -> Self {
        let budgets = budgets.into_iter().map(|budget| (budget, SumAccumulator::default())).collect();
        let (day, told) = (String::new(), BTreeMap::new());
        Self { book, mark: ReadPosition::default(), budgets, day, loss: None, reread: None, notified: told }
    }

    /// Returns whether there are no budgets.
    pub fn is_empty(&self) -> bool {
        self.budgets.is_empty()
    }

    /// Returns whether one of them refuses.
    pub fn has_blocking(&self) -> bool {
        self.budgets.iter().any(|(budget, _)| budget.blocks)
    }

    /// Returns whether these are its budgets.
    pub fn matches(&self, budgets: &[Budget]) -> bool {
        self.budgets.iter().map(|(budget, _)| budget).eq(budgets)
    }

    /// Reads what was booked since.
    ///
    /// # Errors
    ///
    /// Fails if the book can't be read.
    pub fn refresh(&mut self, settings: &Settings) -> Result<(), UsageError> {
        self.refresh_by(settings, |book, mark, since, each| book.read_new(mark, since, each))
    }

    fn refresh_by(
        &mut self,
        settings: &Settings,
        read_on: impl Fn(&UsageLog, &mut ReadPosition, u64, &mut dyn FnMut(UsageRecord)) -> Result<Option<Loss>, UsageError>,
    ) -> Result<(), UsageError> {
        if self.budgets.is_empty() {
            return Ok(());
        }
        let now = now_millis();
        let day: String = rfc3339(now).chars().take(10).collect();
        // Another period began for some of them, or somebody has cut the book.
        let is_anew = day != self.day || self.book.has_shrunk(&self.mark)?;
        self.day = day;
        if is_anew {
            self.forget();
        }
        self.sum(settings, now, &read_on)?;
        // It may be another book than the one that was read so far. To read all of it takes too long for each request.
        if self.loss.is_some() && !is_anew && self.reread.is_none_or(|at| at.elapsed() >= REREAD_INTERVAL) {
            self.reread = Some(Instant::now());
            self.forget();
            self.sum(settings, now, &read_on)?;
        }
        Ok(())
    }

    /// Forgets what was read: the next reading begins at the book's first line.
    fn forget(&mut self) {
        self.mark = ReadPosition::default();
        self.budgets.iter_mut().for_each(|(_, spent)| *spent = SumAccumulator::default());
    }

    /// Adds what was booked since the mark.
    fn sum(
        &mut self,
        settings: &Settings,
        now: u64,
        read_on: impl Fn(&UsageLog, &mut ReadPosition, u64, &mut dyn FnMut(UsageRecord)) -> Result<Option<Loss>, UsageError>,
    ) -> Result<(), UsageError> {
        let period = match self.budgets.iter().any(|(budget, _)| budget.period == BudgetPeriod::Month) {
            true => BudgetPeriod::Month,
            false => BudgetPeriod::Day,
        };
        let budgets = &mut self.budgets;
        self.loss = read_on(&self.book, &mut self.mark, start(now, period), &mut |booking| {
            let concerned = budgets.iter_mut().filter(|(budget, _)| is_in_period(budget, &booking, now));
            let mut cost = None;
            for (_, spent) in concerned.filter(|(budget, _)| concerns(budget, &booking)) {
                // A price that can't be read does not count; `aiw usage` reports it.
                let cost = *cost.get_or_insert_with(|| booking.cost(settings).ok().flatten());
                spent.add(&booking, cost);
            }
        })?;
        Ok(())
    }

    /// Books a request that is about to be sent, with what it is expected to use, unless a budget has too little left
    /// for that. All requests of all processes that are open are in the book, and nobody else writes in its turn: what
    /// is spent in the end is at most the budget and what open requests use beyond what was expected.
    ///
    /// # Errors
    ///
    /// Fails if a budget refuses it, or it can't be booked.
    pub fn open_request(
        &mut self,
        settings: &Settings,
        turn: Result<UsageLogGuard<'_>, UsageError>,
        booking: UsageRecord,
    ) -> Result<OpenRequest, AdmissionError> {
        let is_limited = self.budgets.iter().any(|(budget, _)| budget.blocks && concerns(budget, &booking));
        let unknown = |e| if is_limited { AdmissionError::SpendingUnknown(e) } else { AdmissionError::RecordFailed(e) };
        let mut turn = turn.map_err(unknown)?;
        // Another request may have been waited for, for longer than a day has left.
        let booking = UsageRecord { at: now_millis(), open: true, ..booking };
        if is_limited {
            self.refresh_by(settings, |_, mark, since, each| turn.read_new(mark, since, each)).map_err(unknown)?;
            let refuses = |(budget, spent): &(Budget, SumAccumulator)| self.judge(budget, spent.sum, Some(&booking));
            let concerned = self.budgets.iter().filter(|(budget, _)| budget.blocks && concerns(budget, &booking));
            if let Some(over) = { concerned }.find_map(refuses) {
                return Err(AdmissionError::Exceeded(over));
            }
        }
        turn.add(&booking).map_err(unknown)
    }

    /// Returns the budgets for a provider (and the pool that chose it) and a directory, or of these names, that are used
    /// up.
    pub fn exceeded(&self, providers: &[&str], project: Option<&Path>, named: &[String]) -> Vec<ExceededBudget> {
        let is_for = |budget: &Budget| {
            budget.provider.as_deref().is_none_or(|name| providers.contains(&name))
                && budget.project.as_deref().is_none_or(|of| {
                    project.is_some_and(|project| project.starts_with(of)) || named.contains(&budget.name)
                })
        };
        let concerned = self.budgets.iter().filter(|(budget, _)| is_for(budget));
        concerned.filter_map(|(budget, sum)| self.judge(budget, sum.sum, None)).collect()
    }

    /// Adds an event for each budget that is used up, unless there was one in its day or month.
    pub fn log_exceeded(&mut self, events: &EventLog) {
        let now = now_millis();
        for (budget, spent) in self.budgets.iter().filter(|_| self.loss.is_none()) {
            let since = start(now, budget.period);
            if !is_used_up(budget.limit, &spent.sum) || self.notified.insert(budget.name.clone(), since) == Some(since)
            {
                continue;
            }
            let limit = match budget.limit {
                BudgetLimit::Dollars(limit) => format_dollars(limit),
                BudgetLimit::Tokens(limit) => format!("{limit} tokens"),
            };
            let (name, project) = (Some(aiw_core::one_line(&budget.name, 60)), budget.project.clone());
            let why = Some(format!("{limit} a {}", budget.period.as_str()));
            let event = HomeEvent {
                name,
                project,
                reason: why,
                ..HomeEvent::now(EventKind::BudgetExceeded, EventSubject::Budget)
            };
            let is_it = |known: &HomeEvent| {
                (known.subject, known.kind, &known.name) == (event.subject, event.kind, &event.name)
            };
            // Another process may have told it.
            if events.since(&rfc3339(since), 1, is_it).is_ok_and(|page| page.events.is_empty()) {
                // A full disk stops no request.
                let _ = events.add(&event);
            }
        }
    }

    /// Returns what a budget says, if it has nothing left, or too little for a request.
    fn judge(&self, budget: &Budget, ended: Sum, request: Option<&UsageRecord>) -> Option<ExceededBudget> {
        let name = aiw_core::one_line(&budget.name, 60);
        let over = |sentence| {
            Some(ExceededBudget { is_blocking: budget.blocks, name: budget.name.clone(), message: sentence })
        };
        if let Some(loss) = &self.loss {
            return over(format!("what was spent of the budget `{name}` is not known: {loss}; {}", Loss::HINT));
        }
        let sum = self.with_open(budget, ended);
        let period = budget.period.as_str();
        let (limit, used, needs) = match budget.limit {
            BudgetLimit::Dollars(limit) => {
                let needs = request.and_then(|request| request.cost_usd).unwrap_or_default();
                (format_dollars(limit), sum.cost(), (sum.cost_usd + needs > limit).then(|| format_dollars(needs)))
            }
            BudgetLimit::Tokens(limit) => {
                let needs = request.map(|request| request.tokens.total()).unwrap_or_default();
                let is_over = sum.total().saturating_add(needs) > limit;
                (format!("{limit} tokens"), sum.total().to_string(), is_over.then(|| needs.to_string()))
            }
        };
        match needs {
            _ if is_used_up(budget.limit, &sum) => {
                over(format!("the budget `{name}` of {limit} a {period} is used up: {used} so far"))
            }
            Some(needs) => over(format!(
                "the budget `{name}` of {limit} a {period} has too little left: {used} so far, and this request needs about {needs}"
            )),
            None => None,
        }
    }

    /// Returns a sum with what open requests are expected to use.
    fn with_open(&self, budget: &Budget, mut sum: Sum) -> Sum {
        let now = now_millis();
        let open =
            self.mark.open_requests().filter(|booking| is_in_period(budget, booking, now) && concerns(budget, booking));
        open.for_each(|booking| sum.add(booking, plausible_cost(booking.cost_usd)));
        sum
    }

    /// Returns each budget with what was spent of it.
    pub fn all(&self) -> impl Iterator<Item = (&Budget, Sum)> {
        self.budgets.iter().map(|(budget, sum)| (budget, self.with_open(budget, sum.sum)))
    }

    /// Returns what the book has lost.
    pub fn loss(&self) -> Option<&Loss> {
        self.loss.as_ref()
    }
}

fn is_used_up(limit: BudgetLimit, sum: &Sum) -> bool {
    match limit {
        BudgetLimit::Dollars(limit) => sum.cost_usd >= limit,
        BudgetLimit::Tokens(limit) => sum.total() >= limit,
    }
}

/// Returns whether a booking counts in the current period. A clock that was wrong may have booked in the future.
fn is_in_period(budget: &Budget, booking: &UsageRecord, now: u64) -> bool {
    (start(now, budget.period)..=now.saturating_add(MAX_CLOCK_SKEW_MS)).contains(&booking.at)
}

fn concerns(budget: &Budget, booking: &UsageRecord) -> bool {
    let by = |name: &Option<String>, wanted: &str| name.as_deref().unwrap_or(aiw_home::CLI_LOGIN_NAME) == wanted;
    budget
        .provider
        .as_deref()
        .is_none_or(|wanted| by(&booking.provider, wanted) || booking.pool.as_deref() == Some(wanted))
        && budget.project.as_deref().is_none_or(|of| {
            let is_in = |project: &str| Path::new(project).starts_with(of);
            booking.project.as_deref().is_some_and(is_in) || booking.budgets.contains(&budget.name)
        })
}

/// Returns the names of the budgets of projects that hold for a directory. The bookings of a private run have them in
/// the place of the directory.
pub fn budgets_for<'b>(budgets: impl IntoIterator<Item = &'b Budget>, directory: &Path) -> Vec<String> {
    let holds = |budget: &&Budget| budget.project.as_deref().is_some_and(|of| directory.starts_with(of));
    budgets.into_iter().filter(holds).map(|budget| budget.name.clone()).collect()
}

/// Returns when a period began, in milliseconds since 1970.
fn start(now: u64, period: BudgetPeriod) -> u64 {
    let length = match period {
        BudgetPeriod::Day => 10,
        BudgetPeriod::Month => 7,
    };
    let mut date: String = rfc3339(now).chars().take(length).collect();
    if period == BudgetPeriod::Month {
        date.push_str("-01");
    }
    aiw_home::parse_rfc3339(&date).and_then(|millis| u64::try_from(millis).ok()).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use aiw_home::Home;

    use super::*;
    use crate::record::{TokenCounts, UsageSource};

    #[test]
    fn a_budget_counts_what_it_is_for_in_its_time() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path());
        let settings = r#"{
            "models": {"m": {"price": {"input": 0, "output": 1}}},
            "budgets": {
                "all": {"usd": 3, "per": "day", "action": "block"},
                "p": {"tokens": 1500000, "per": "month", "provider": "p"},
                "here": {"usd": 0.5, "per": "day", "project": "/here"}
            }
        }"#;
        std::fs::write(home.settings_path(), settings).unwrap();
        let (book, settings) = (UsageLog::new(&home), home.settings().unwrap());
        let mut spending = Spending::new(book.clone(), settings.budgets().unwrap());
        let tokens = TokenCounts { output: 1_000_000, ..TokenCounts::default() };
        let booking = |provider: &str, project: &str| UsageRecord {
            provider: Some(provider.into()),
            project: Some(project.into()),
            model: Some("m".into()),
            ..UsageRecord::new(UsageSource::Gateway, tokens)
        };
        let names = |spending: &Spending, providers: &[&str], project: &str| -> Vec<String> {
            spending.exceeded(providers, Some(Path::new(project)), &[]).into_iter().map(|over| over.name).collect()
        };
        spending.refresh(&settings).unwrap();
        assert!(names(&spending, &["p"], "/here").is_empty());
        book.add(&booking("p", "/here/below")).unwrap();
        // The day before does not count today.
        book.add(&UsageRecord { at: start(now_millis(), BudgetPeriod::Day) - 1, ..booking("q", "/here") }).unwrap();
        spending.refresh(&settings).unwrap();
        assert_eq!(names(&spending, &["p"], "/here"), ["here"]);
        assert!(names(&spending, &["p"], "/hereabouts").is_empty());
        book.add(&UsageRecord { pool: Some("p".into()), ..booking("q", "/elsewhere") }).unwrap();
        book.add(&booking("q", "/elsewhere")).unwrap();
        spending.refresh(&settings).unwrap();
        assert_eq!(names(&spending, &["p"], "/elsewhere"), ["all", "p"]);
        assert_eq!(names(&spending, &["q"], "/here"), ["all", "here"]);
        let over = spending.exceeded(&["q"], None, &[]);
        // It is told once in a day, by whoever sees it first.
        let events = EventLog::new(home.root());
        spending.log_exceeded(&events);
        spending.log_exceeded(&events);
        let mut other = Spending::new(book.clone(), settings.budgets().unwrap());
        other.refresh(&settings).unwrap();
        other.log_exceeded(&events);
        let told = events.read(0, 10, |_| true).unwrap().events;
        let told: Vec<String> = told.iter().map(HomeEvent::to_string).collect();
        let expected = [
            "budget all is used up: $3.00 a day",
            "budget p is used up: 1500000 tokens a month",
            "budget here is used up: $0.5000 a day",
        ];
        assert_eq!(told, expected);
        assert!(over[0].is_blocking, "{over:?}");
        assert_eq!(over[0].message, "the budget `all` of $3.00 a day is used up: $3.00 so far");
        // A private run has the names of its directory's budgets in its place.
        let budgets = settings.budgets().unwrap();
        let named = budgets_for(&budgets, Path::new("/here/below"));
        assert_eq!(
            (named.as_slice(), budgets_for(&budgets, Path::new("/hereabouts"))),
            (["here".to_owned()].as_slice(), vec![])
        );
        let of = |spending: &Spending| -> f64 {
            let mut sums = spending.budgets.iter().filter(|(budget, _)| budget.name == "here");
            sums.next().unwrap().1.sum.cost_usd
        };
        let before = of(&spending);
        book.add(&UsageRecord { project: None, budgets: named.clone(), ..booking("q", "") }).unwrap();
        spending.refresh(&settings).unwrap();
        assert!(of(&spending) > before);
        let private: Vec<String> = spending.exceeded(&["q"], None, &named).into_iter().map(|over| over.name).collect();
        assert_eq!(private, ["all", "here"]);
    }
}
