//! What requests use: booked when they have ended, and held against budgets before they are sent.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aiw_home::{Budget, Home, HomeError, Settings};
use aiw_usage::{Book, Booking, OverBudget, Spending, UsageError};

use crate::route::Route;

/// How often the settings are read again.
const FRESH: Duration = Duration::from_secs(2);

/// The book of a home, and its budgets.
#[derive(Debug)]
pub(crate) struct Ledger {
    home: Home,
    book: Book,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    read: Option<Instant>,
    settings: Option<Settings>,
    /// Why the settings could not be read when they were first needed: there may be a budget that refuses.
    problem: Option<String>,
    spending: Spending,
}

/// What budgets say of a request.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    /// The members that may not be asked.
    pub members: Vec<usize>,
    /// Why nobody may be asked.
    pub all: Option<String>,
}

impl Ledger {
    pub(crate) fn new(home: &Home) -> Self {
        let book = Book::of(home);
        let spending = Spending::new(book.clone(), Vec::new());
        Self {
            home: home.clone(),
            book,
            known: Mutex::new(Known { read: None, settings: None, problem: None, spending }),
        }
    }

    /// Returns what budgets refuse to a request. Without budgets, this reads a file every two seconds.
    pub(crate) fn refused(&self, route: &Route) -> Refused {
        let mut known = self.known();
        let Known { settings: Some(settings), spending, .. } = &mut *known else {
            return Refused { members: Vec::new(), all: known.problem.clone() };
        };
        if spending.is_empty() {
            return Refused::default();
        }
        if let Err(e) = spending.refresh(settings) {
            // Nobody knows whether it is used up, so a budget that refuses does.
            let all = spending.has_refusing().then(|| format!("what was spent of your budgets can't be read: {e}"));
            return Refused { members: Vec::new(), all };
        }
        let project = route.run.as_ref().and_then(|run| run.project.as_deref()).map(Path::new);
        let over = |name: &str| spending.over(&[name], project).into_iter().find(|over| over.refuses);
        let of_members: Vec<Option<OverBudget>> = route.members.iter().map(|member| over(&member.provider)).collect();
        let members = (0..of_members.len()).filter(|at| of_members[*at].is_some()).collect();
        let all = match of_members.iter().all(Option::is_some) {
            true => of_members.into_iter().flatten().next(),
            false => over(route.name()),
        };
        let hint = "`aiw usage` shows what for, and `aiw budget` changes it";
        Refused { members, all: all.map(|over| format!("{}; {hint}", over.sentence)) }
    }

    /// Books what was used.
    pub(crate) fn add(&self, mut booking: Booking) -> Result<(), UsageError> {
        let cost = self.known().settings.as_ref().and_then(|settings| booking.cost(settings).ok());
        booking.cost_usd = cost.flatten();
        self.book.add(&booking)
    }

    /// Returns what is known, after a look at the settings.
    fn known(&self) -> MutexGuard<'_, Known> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.read.is_none_or(|at| at.elapsed() > FRESH) {
            known.read = Some(Instant::now());
            // Settings that can't be read stop new runs, which say why. What runs goes on as before.
            match self.settings() {
                Ok((settings, budgets)) => {
                    if !known.spending.is_of(&budgets) {
                        known.spending = Spending::new(self.book.clone(), budgets);
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
