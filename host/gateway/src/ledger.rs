//! What requests use: booked before they are sent and when they have ended, and held against budgets.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aiw_home::{Budget, Home, HomeError, Settings};
use aiw_usage::{Book, Booking, NotOpened, OpenRequest, Spending, UsageError};

use crate::route::Route;

/// How often the settings are read again.
const FRESH: Duration = Duration::from_secs(2);

/// The most bookings that wait until they can be written. Where a budget refuses, no request is sent while one waits.
const UNWRITTEN: usize = 1_024;

/// The book of a home, and its budgets.
#[derive(Debug)]
pub(crate) struct Ledger {
    home: Home,
    book: Book,
    known: Mutex<Known>,
    /// What could not be written yet. Locked by whoever writes.
    unwritten: Mutex<Vec<Booking>>,
}

#[derive(Debug)]
struct Known {
    read: Option<Instant>,
    settings: Option<Settings>,
    /// Why the settings could not be read when they were first needed: there may be a budget that refuses.
    problem: Option<String>,
    spending: Spending,
}

/// How a request was booked before it is sent.
#[derive(Debug)]
pub(crate) enum Opened {
    Booked(OpenRequest),
    /// It could not be, and no budget refuses it for that.
    NotBooked(String),
}

impl Ledger {
    pub(crate) fn new(home: &Home) -> Self {
        let book = Book::of(home);
        let spending = Spending::new(book.clone(), Vec::new());
        let known = Known { read: None, settings: None, problem: None, spending };
        Self { home: home.clone(), book, known: Mutex::new(known), unwritten: Mutex::default() }
    }

    /// Returns the members of a pool whose budgets are used up, with why. A request is held against them again when it is booked.
    pub(crate) fn used_up(&self, route: &Route) -> Vec<(usize, String)> {
        let mut known = self.known();
        let Known { settings: Some(settings), spending, .. } = &mut *known else { return Vec::new() };
        if !spending.has_refusing() || spending.refresh(settings).is_err() {
            return Vec::new();
        }
        let project = route.run.as_ref().and_then(|run| run.project.as_deref()).map(Path::new);
        let over = |name: &str| spending.over(&[name, route.name()], project).into_iter().find(|over| over.refuses);
        let members = route.members.iter().enumerate();
        members.filter_map(|(at, member)| Some((at, hinted(over(&member.provider)?.sentence)))).collect()
    }

    /// Books a request that is about to be sent, as what it is expected to use. The error is a sentence: it may not be sent.
    pub(crate) fn open(&self, mut booking: Booking) -> Result<Opened, String> {
        let mut unwritten = self.unwritten.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = self.write(&mut unwritten);
        let mut known = self.known();
        let Known { settings: Some(settings), spending, .. } = &mut *known else {
            return Err(known.problem.clone().unwrap_or_default());
        };
        if let Err(e) = rest
            && spending.has_refusing()
        {
            return Err(format!("what requests have used can't be booked: {e}"));
        }
        booking.cost_usd = booking.cost(settings).ok().flatten();
        match spending.open(settings, booking) {
            Ok(request) => Ok(Opened::Booked(request)),
            Err(e @ NotOpened::NotBooked(_)) => Ok(Opened::NotBooked(e.to_string())),
            Err(NotOpened::Over(over)) if spending.loss().is_none() => Err(hinted(over.sentence)),
            Err(e) => Err(e.to_string()),
        }
    }

    /// Books what was used. What can't be written is kept, and written before the next request is sent.
    pub(crate) fn close(&self, mut booking: Booking) -> Result<(), UsageError> {
        booking.cost_usd = self.known().settings.as_ref().and_then(|settings| booking.cost(settings).ok()).flatten();
        let mut unwritten = self.unwritten.lock().unwrap_or_else(PoisonError::into_inner);
        if unwritten.len() < UNWRITTEN {
            unwritten.push(booking);
        }
        self.write(&mut unwritten)
    }

    fn write(&self, unwritten: &mut Vec<Booking>) -> Result<(), UsageError> {
        while let Some(booking) = unwritten.last() {
            self.book.add(booking)?;
            unwritten.pop();
        }
        Ok(())
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

fn hinted(sentence: String) -> String {
    format!("{sentence}; `aiw usage` shows what for, and `aiw budget` changes it")
}
