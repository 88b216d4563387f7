//! Sums of bookings.

use std::collections::{BTreeMap, HashSet};

use aiw_core::ProcessId;
use aiw_home::{Settings, rfc3339};
use schemars::JsonSchema;
use serde::Serialize;

use crate::log::{UsageError, UsageLog};
use crate::record::{UsageRecord, UsageSource};

aiw_core::string_enum! {
    /// A key to sum bookings up by.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub enum GroupBy, "grouping" {
        /// The provider that answered.
        #[default]
        Provider = "provider",
        /// The pool that chose the provider.
        Pool = "pool",
        /// The model that answered.
        Model = "model",
        /// The task.
        Task = "task",
        /// The directory of the run.
        Project = "project",
        /// The day in UTC.
        Day = "day",
    }
}

impl GroupBy {
    fn key(self, booking: &UsageRecord) -> Option<String> {
        match self {
            // What a CLI asks without a provider of aiw's goes to its own login.
            Self::Provider => Some(booking.provider.clone().unwrap_or_else(|| aiw_home::CLI_LOGIN_NAME.to_owned())),
            Self::Pool => booking.pool.clone(),
            Self::Model => booking.model.clone(),
            Self::Task => booking.task.map(|task| task.to_string()),
            Self::Project => booking.project.clone(),
            Self::Day => Some(rfc3339(booking.at).chars().take(10).collect()),
        }
    }
}

/// The sum of bookings.
#[warn(missing_docs)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, JsonSchema)]
pub struct Sum {
    /// How many requests were sent through the gateway
    pub requests: u64,
    /// How many tasks sent them, or talked to their provider themselves and are counted as a whole
    pub tasks: u64,
    /// Tokens read, without those out of a cache or into one
    pub input: u64,
    /// Tokens read out of a cache
    pub cached: u64,
    /// Tokens read and put into a cache
    pub cache_written: u64,
    /// Of those put into a cache, those that stay for an hour, which costs more
    pub cache_written_1h: u64,
    /// Tokens written, thoughts included
    pub output: u64,
    /// Of the written ones, thoughts
    pub thinking: u64,
    /// The cost in US dollars, as far as prices are known
    pub cost_usd: f64,
    /// How many of the bookings have no known price
    pub unpriced: u64,
    /// How many of the answers broke off
    pub truncated: u64,
    /// For how many the tokens are an estimate, because the provider has not counted them
    pub estimated: u64,
    #[serde(skip)]
    bookings: u64,
}

impl Sum {
    pub(crate) fn add(&mut self, booking: &UsageRecord, cost: Option<f64>) {
        let tokens = &booking.tokens;
        self.bookings += 1;
        self.requests += u64::from(booking.source == UsageSource::Gateway);
        for (sum, more) in [
            (&mut self.input, tokens.input),
            (&mut self.cached, tokens.cached),
            (&mut self.cache_written, tokens.cache_written),
            (&mut self.cache_written_1h, tokens.cache_written_1h),
            (&mut self.output, tokens.output),
            (&mut self.thinking, tokens.thinking),
        ] {
            *sum = sum.saturating_add(more);
        }
        match cost {
            Some(cost) => self.cost_usd += cost,
            // What used nothing costs nothing.
            None => self.unpriced += u64::from(tokens.total() > 0),
        }
        self.truncated += u64::from(booking.truncated);
        self.estimated += u64::from(booking.estimated);
    }

    /// Returns how many bookings there are.
    pub fn record_count(&self) -> u64 {
        self.bookings
    }

    /// Returns all tokens that were read.
    pub fn total_input(&self) -> u64 {
        self.input.saturating_add(self.cached).saturating_add(self.cache_written)
    }

    /// Returns all tokens.
    pub fn total(&self) -> u64 {
        self.total_input().saturating_add(self.output)
    }

    /// Returns the cost for people: `?` where no price is known.
    pub fn cost(&self) -> String {
        match (self.unpriced, self.record_count()) {
            (0, _) => format_dollars(self.cost_usd),
            (unpriced, bookings) if unpriced == bookings => "?".to_owned(),
            _ => format!("{} + ?", format_dollars(self.cost_usd)),
        }
    }
}

/// A sum that grows, and the tasks that are in it. Each counts once, however many requests it sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct SumAccumulator {
    pub(crate) sum: Sum,
    tasks: HashSet<ProcessId>,
}

impl SumAccumulator {
    pub(crate) fn add(&mut self, booking: &UsageRecord, cost: Option<f64>) {
        self.sum.add(booking, cost);
        let is_new = match booking.task {
            Some(task) => self.tasks.insert(task),
            None => booking.source == UsageSource::Cli,
        };
        self.sum.tasks += u64::from(is_new);
    }
}

/// Formats money: in cents, and more exactly below one.
pub(crate) fn format_dollars(amount: f64) -> String {
    match amount {
        amount if amount == 0.0 || amount >= 0.995 => format!("${amount:.2}"),
        amount => format!("${amount:.4}"),
    }
}

/// A row of sums.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct UsageRow {
    /// The key of the sum: a provider, a model, a task, a directory or a day; null for bookings without one
    pub key: Option<String>,
    /// The sums.
    #[serde(flatten)]
    pub sum: Sum,
}

/// Sums of bookings.
#[warn(missing_docs)]
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Sums {
    /// The sums, in the order of their keys
    pub rows: Vec<UsageRow>,
    /// Sums of each pool, which are in the others too; of sums by provider only
    pub pools: Vec<UsageRow>,
    /// All of it
    pub total: Sum,
}

/// Sums up what was booked since a time, in milliseconds since 1970. Only what `is_wanted`.
///
/// # Errors
///
/// Fails if the book can't be read.
pub fn sum_by(
    book: &UsageLog,
    settings: &Settings,
    by: GroupBy,
    since: u64,
    is_wanted: impl Fn(&UsageRecord) -> bool,
) -> Result<Sums, UsageError> {
    let mut rows: BTreeMap<Option<String>, SumAccumulator> = BTreeMap::new();
    let mut pools: BTreeMap<Option<String>, SumAccumulator> = BTreeMap::new();
    let mut total = SumAccumulator::default();
    let mut problem = None;
    book.read(since, |booking| {
        if is_wanted(&booking) {
            let cost = booking.cost(settings).unwrap_or_else(|e| {
                problem.get_or_insert(e);
                None
            });
            total.add(&booking, cost);
            if by == GroupBy::Provider && booking.pool.is_some() {
                pools.entry(booking.pool.clone()).or_default().add(&booking, cost);
            }
            rows.entry(by.key(&booking)).or_default().add(&booking, cost);
        }
    })?;
    if let Some(problem) = problem {
        return Err(problem.into());
    }
    let all = |sums: BTreeMap<Option<String>, SumAccumulator>| {
        sums.into_iter().map(|(key, SumAccumulator { sum, .. })| UsageRow { key, sum }).collect()
    };
    Ok(Sums { rows: all(rows), pools: all(pools), total: total.sum })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::TokenCounts;

    #[test]
    fn what_stays_in_the_cache_for_an_hour_has_its_own_price() {
        let dir = tempfile::tempdir().unwrap();
        let home = aiw_home::Home::from_root(dir.path());
        let own =
            r#"{"models": {"m": {"price": {"input": 1, "cache_written": 3, "cache_written_1h": 7, "output": 10}}}}"#;
        std::fs::write(home.settings_path(), own).unwrap();
        let (book, settings) = (UsageLog::new(&home), home.settings().unwrap());
        let tokens = TokenCounts { cache_written: 3_000_000, cache_written_1h: 1_000_000, ..TokenCounts::default() };
        for model in ["m", "claude-sonnet-4-5"] {
            book.add(&UsageRecord { model: Some(model.into()), ..UsageRecord::new(UsageSource::Gateway, tokens) })
                .unwrap();
        }
        let rows = sum_by(&book, &settings, GroupBy::Model, 0, |_| true).unwrap().rows;
        // Of Claude: twice the price of input for an hour, else a quarter more than that of input.
        assert_eq!(rows.iter().map(|row| row.sum.cost()).collect::<Vec<_>>(), ["$13.50", "$13.00"]);
        assert!(rows.iter().all(|row| row.sum.total_input() == 3_000_000 && row.sum.cache_written_1h == 1_000_000));
    }

    #[test]
    fn sums_add_up_and_what_has_no_price_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let home = aiw_home::Home::from_root(dir.path());
        let settings = r#"{"models": {"m": {"price": {"input": 1, "cached": 0.5, "output": 10}}}}"#;
        std::fs::write(home.settings_path(), settings).unwrap();
        let (book, settings) = (UsageLog::new(&home), home.settings().unwrap());
        let tokens =
            TokenCounts { input: 1_000_000, cached: 2_000_000, output: 100_000, thinking: 5, ..TokenCounts::default() };
        let of = |model: &str, provider: Option<&str>| UsageRecord {
            model: Some(model.into()),
            provider: provider.map(Into::into),
            ..UsageRecord::new(UsageSource::Gateway, tokens)
        };
        let direct = UsageRecord { source: UsageSource::Cli, cost_usd: Some(0.5), ..of("other", None) };
        let task =
            UsageRecord { task: Some(ProcessId::from_number(7)), pool: Some("always".into()), ..of("m", Some("p")) };
        let fell_back = UsageRecord { model: Some("unheard-of".into()), ..task.clone() };
        for booking in [task.clone(), task, fell_back, direct] {
            book.add(&booking).unwrap();
        }
        let Sums { rows, pools, total } = sum_by(&book, &settings, GroupBy::Provider, 0, |_| true).unwrap();
        let costs: Vec<(Option<&str>, String)> = rows.iter().map(|row| (row.key.as_deref(), row.sum.cost())).collect();
        assert_eq!(costs, [(Some("own"), "$0.5000".to_owned()), (Some("p"), "$6.00 + ?".to_owned())]);
        assert_eq!((rows[1].sum.requests, rows[1].sum.tasks, rows[1].sum.total_input()), (3, 1, 9_000_000));
        // A task that sent three requests is one, also where rows are summed up.
        assert_eq!((total.requests, total.tasks), (3, 2));
        assert_eq!(pools, [UsageRow { key: Some("always".into()), sum: rows[1].sum }]);
        let rows =
            sum_by(&book, &settings, GroupBy::Model, 0, |booking| booking.source == UsageSource::Gateway).unwrap();
        assert_eq!(rows.rows.iter().map(|row| row.sum.cost()).collect::<Vec<_>>(), ["$6.00", "?"]);
        assert_eq!(sum_by(&book, &settings, GroupBy::Day, u64::MAX, |_| true).unwrap(), Sums::default());
    }
}
