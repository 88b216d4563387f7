//! Budgets, held against what was booked.

use std::path::Path;

use aiw_home::{Budget, BudgetLimit, BudgetPeriod, Settings, now_millis, rfc3339};

use crate::book::{Book, Mark, UsageError};
use crate::booking::Booking;
use crate::sum::{Sum, dollars};

/// How far the clock of another process may be ahead, in milliseconds.
const SKEW: u64 = 60_000;

/// A budget that is used up.
#[derive(Debug, Clone, PartialEq)]
pub struct OverBudget {
    /// Whether nothing new begins.
    pub refuses: bool,
    /// Its name.
    pub name: String,
    /// A sentence that says it.
    pub sentence: String,
}

/// What was spent of budgets. It reads on where it stopped, so it can be asked before each request.
#[derive(Debug)]
pub struct Spending {
    book: Book,
    mark: Mark,
    budgets: Vec<(Budget, Spent)>,
    /// The first day that was read.
    day: String,
}

/// What was spent in the current period.
#[derive(Debug, Default)]
struct Spent {
    sum: Sum,
}

impl Spending {
    /// Begins with nothing read.
    pub fn new(book: Book, budgets: Vec<Budget>) -> Self {
        let budgets = budgets.into_iter().map(|budget| (budget, Spent::default())).collect();
        Self { book, mark: Mark::default(), budgets, day: String::new() }
    }

    /// Returns whether there are no budgets.
    pub fn is_empty(&self) -> bool {
        self.budgets.is_empty()
    }

    /// Returns whether one of them refuses.
    pub fn has_refusing(&self) -> bool {
        self.budgets.iter().any(|(budget, _)| budget.refuses)
    }

    /// Returns whether these are its budgets.
    pub fn is_of(&self, budgets: &[Budget]) -> bool {
        self.budgets.iter().map(|(budget, _)| budget).eq(budgets)
    }

    /// Reads what was booked since.
    ///
    /// # Errors
    ///
    /// Fails if the book can't be read.
    pub fn refresh(&mut self, settings: &Settings) -> Result<(), UsageError> {
        if self.budgets.is_empty() {
            return Ok(());
        }
        let now = now_millis();
        let day: String = rfc3339(now).chars().take(10).collect();
        if day != self.day || self.book.has_shrunk(&self.mark)? {
            // Another period began for some of them, or somebody has cut the book.
            self.day = day;
            self.mark = Mark::default();
            self.budgets.iter_mut().for_each(|(_, spent)| *spent = Spent::default());
        }
        let month = start(now, BudgetPeriod::Month);
        let since = match self.budgets.iter().any(|(budget, _)| budget.period == BudgetPeriod::Month) {
            true => month,
            false => start(now, BudgetPeriod::Day),
        };
        let budgets = &mut self.budgets;
        self.book.read_on(&mut self.mark, since, &mut |booking| {
            // A clock that was wrong may have booked in the future.
            let is_now = |budget: &Budget| (start(now, budget.period)..=now.saturating_add(SKEW)).contains(&booking.at);
            let concerned = budgets.iter_mut().filter(|(budget, _)| is_now(budget) && concerns(budget, &booking));
            let mut cost = None;
            for (_, spent) in concerned {
                // A price that can't be read is none, and is said by `aiw usage`.
                let cost = *cost.get_or_insert_with(|| booking.cost(settings).ok().flatten());
                spent.sum.add(&booking, cost);
            }
        })
    }

    /// Returns the budgets for a provider (and the pool that chose it) and a directory that are used up.
    pub fn over(&self, providers: &[&str], project: Option<&Path>) -> Vec<OverBudget> {
        let is_for = |budget: &Budget| {
            budget.provider.as_deref().is_none_or(|name| providers.contains(&name))
                && budget.project.as_deref().is_none_or(|of| project.is_some_and(|project| project.starts_with(of)))
        };
        let over = |(budget, spent): &(Budget, Spent)| {
            let sum = &spent.sum;
            let (limit, used) = match budget.limit {
                BudgetLimit::Dollars(limit) if sum.cost_usd >= limit => (dollars(limit), sum.cost()),
                BudgetLimit::Tokens(limit) if sum.all() >= limit => (format!("{limit} tokens"), sum.all().to_string()),
                _ => return None,
            };
            let period = budget.period.as_str();
            let name = aiw_core::one_line(&budget.name, 60);
            let sentence = format!("the budget `{name}` of {limit} a {period} is used up: {used} so far");
            Some(OverBudget { refuses: budget.refuses, name: budget.name.clone(), sentence })
        };
        self.budgets.iter().filter(|(budget, _)| is_for(budget)).filter_map(over).collect()
    }

    /// Returns each budget with what was spent of it.
    pub fn all(&self) -> impl Iterator<Item = (&Budget, &Sum)> {
        self.budgets.iter().map(|(budget, spent)| (budget, &spent.sum))
    }
}

fn concerns(budget: &Budget, booking: &Booking) -> bool {
    let by = |name: &Option<String>, wanted: &str| name.as_deref().unwrap_or(aiw_home::OWN) == wanted;
    budget
        .provider
        .as_deref()
        .is_none_or(|wanted| by(&booking.provider, wanted) || booking.pool.as_deref() == Some(wanted))
        && budget
            .project
            .as_deref()
            .is_none_or(|of| booking.project.as_deref().is_some_and(|project| Path::new(project).starts_with(of)))
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
    aiw_home::millis_of(&date).and_then(|millis| u64::try_from(millis).ok()).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use aiw_home::Home;

    use super::*;
    use crate::booking::{Source, Tokens};

    #[test]
    fn a_budget_counts_what_it_is_for_in_its_time() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let settings = r#"{
            "models": {"m": {"price": {"input": 0, "output": 1}}},
            "budgets": {
                "all": {"usd": 3, "per": "day", "then": "refuse"},
                "p": {"tokens": 1500000, "per": "month", "provider": "p"},
                "here": {"usd": 0.5, "per": "day", "project": "/here"}
            }
        }"#;
        std::fs::write(home.settings_path(), settings).unwrap();
        let (book, settings) = (Book::of(&home), home.settings().unwrap());
        let mut spending = Spending::new(book.clone(), settings.budgets().unwrap());
        let tokens = Tokens { output: 1_000_000, ..Tokens::default() };
        let booking = |provider: &str, project: &str| Booking {
            provider: Some(provider.into()),
            project: Some(project.into()),
            model: Some("m".into()),
            ..Booking::new(Source::Gateway, tokens)
        };
        let names = |spending: &Spending, providers: &[&str], project: &str| -> Vec<String> {
            spending.over(providers, Some(Path::new(project))).into_iter().map(|over| over.name).collect()
        };
        spending.refresh(&settings).unwrap();
        assert!(names(&spending, &["p"], "/here").is_empty());
        book.add(&booking("p", "/here/below")).unwrap();
        // The day before does not count today.
        book.add(&Booking { at: start(now_millis(), BudgetPeriod::Day) - 1, ..booking("q", "/here") }).unwrap();
        spending.refresh(&settings).unwrap();
        assert_eq!(names(&spending, &["p"], "/here"), ["here"]);
        assert!(names(&spending, &["p"], "/hereabouts").is_empty());
        book.add(&Booking { pool: Some("p".into()), ..booking("q", "/elsewhere") }).unwrap();
        book.add(&booking("q", "/elsewhere")).unwrap();
        spending.refresh(&settings).unwrap();
        assert_eq!(names(&spending, &["p"], "/elsewhere"), ["all", "p"]);
        assert_eq!(names(&spending, &["q"], "/here"), ["all", "here"]);
        let over = spending.over(&["q"], None);
        assert!(over[0].refuses, "{over:?}");
        assert_eq!(over[0].sentence, "the budget `all` of $3.00 a day is used up: $3.00 so far");
    }
}
