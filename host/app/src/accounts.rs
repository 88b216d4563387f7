//! What runs use: booked at the end of those that the gateway does not count, and held against budgets before a start.

use std::collections::BTreeSet;
use std::path::Path;

use aiw_core::{one_line, unix_millis};
use aiw_events::EventLog;
use aiw_home::{ExecutionContext, Home, HomeError, Settings, now_millis, parse_rfc3339, rfc3339};
use aiw_launch::{LaunchError, PreparedRun};
use aiw_tasks::{EndedTask, MeasuredUsage, TaskUsage};
use aiw_usage::{
    ExceededBudget, GroupBy, Spending, Sum, Sums, TokenCounts, UsageError, UsageLog, UsageRecord, UsageSource,
    budgets_for, plausible_cost, sum_by,
};
use schemars::JsonSchema;
use serde::Serialize;

/// `aiw usage`
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
pub struct UsageReport {
    /// The key of the sums
    #[schemars(extend("enum" = ["provider", "pool", "model", "task", "project", "day"]))]
    pub by: &'static str,
    /// Since when, in RFC 3339 format
    pub since: String,
    /// The sums
    #[serde(flatten)]
    pub sums: Sums,
}

/// Returns the beginning of this month in UTC, in milliseconds since 1970.
pub fn this_month() -> u64 {
    let month: String = rfc3339(now_millis()).chars().take(7).collect();
    parse_rfc3339(&format!("{month}-01")).and_then(|millis| u64::try_from(millis).ok()).unwrap_or_default()
}

/// Returns what was used since a time in milliseconds since 1970, or in this month: the bookings that are wanted, summed up
/// by a key.
///
/// # Errors
///
/// Fails if the book or the settings can't be read.
pub fn summarize_usage(
    home: &Home,
    by: GroupBy,
    since: Option<u64>,
    is_wanted: impl Fn(&UsageRecord) -> bool,
) -> Result<UsageReport, UsageError> {
    let since = since.unwrap_or_else(this_month);
    let sums = sum_by(&UsageLog::new(home), &home.settings_or_empty()?.0, by, since, is_wanted)?;
    Ok(UsageReport { by: by.as_str(), since: rfc3339(since), sums })
}

/// Holds a run against the budgets: a sentence for each that is used up and only warns, or an error for one that refuses.
///
/// # Errors
///
/// Fails if a budget refuses, or can't be read.
pub(crate) fn check(home: &Home, prepared: &PreparedRun, starts: bool) -> Result<Vec<String>, LaunchError> {
    let settings = home.settings()?;
    let budgets = settings.budgets()?;
    if budgets.is_empty() {
        return Ok(Vec::new());
    }
    let book = UsageLog::new(home);
    let mut spending = Spending::new(book.clone(), budgets);
    spending.refresh(&settings).map_err(usage_error)?;
    if starts && spending.has_blocking() {
        // What a run uses could not be held against them.
        book.check_writable().map_err(usage_error)?;
    }
    let payers = prepared.budget_subjects();
    let over = |names: &[&str]| spending.exceeded(names, Some(prepared.cwd()), &[]);
    let (own, members) = payers.split_at(payers.len().min(1));
    let mut all = over(own);
    // A pool stops where none of its members may be asked.
    let refuses = |name: &&str| over(&[name]).into_iter().find(|over| over.is_blocking);
    if !members.is_empty() && members.iter().all(|name| refuses(name).is_some()) {
        all.extend(members.iter().find_map(refuses));
    }
    match all.iter().find(|over| over.is_blocking).filter(|_| starts) {
        Some(ExceededBudget { message: sentence, .. }) => {
            Err(LaunchError::BudgetExceeded { sentence: sentence.clone() })
        }
        None => {
            // A member that only warns is said, too.
            all.extend(members.iter().flat_map(|name| over(&[name])).filter(|over| !over.is_blocking));
            let said: BTreeSet<String> = all.into_iter().map(|over| over.message).collect();
            Ok(said.into_iter().collect())
        }
    }
}

fn usage_error(error: UsageError) -> LaunchError {
    match error {
        UsageError::Home(e) => e.into(),
        other => {
            let message = format!("what your budgets have left is not known: {other}");
            LaunchError::Invalid { message, hint: None }
        }
    }
}

/// Books what a task used, and returns it for its record. This runs in the shim. What the gateway has counted is only summed
/// up.
pub fn record_task_usage(task: &EndedTask) -> MeasuredUsage {
    let own = MeasuredUsage { usage: task.summary.usage, cost_usd: plausible_cost(task.summary.cost_usd), note: None };
    let Ok(home) = Home::find(ExecutionContext::from_process()) else { return own };
    let counted = match task.description.gateway {
        true => by_gateway(&home, task),
        false => by_itself(&home, task),
    };
    counted.unwrap_or_else(|e| {
        // A CLI knows nothing of the prices of another vendor.
        let known = if task.description.gateway { MeasuredUsage::default() } else { own };
        MeasuredUsage { note: Some(format!("what it used is not in the book of usage: {e}")), ..known }
    })
}

fn by_gateway(home: &Home, task: &EndedTask) -> Result<MeasuredUsage, UsageError> {
    let since = unix_millis(task.started_at);
    // Without its prices, what was used still counts.
    let (book, (settings, _)) = (UsageLog::new(home), home.settings_or_empty()?);
    let sum = sum_by(&book, &settings, GroupBy::Task, since, |booking| booking.task == Some(task.id))?.total;
    let usage = TaskUsage {
        input: sum.total_input(),
        output: sum.output,
        cached: Some(sum.cached),
        cache_written: Some(sum.cache_written),
        cache_written_1h: Some(sum.cache_written_1h),
        reasoning: Some(sum.thinking),
    };
    let is_known = sum.record_count() > 0 && sum.unpriced == 0;
    Ok(MeasuredUsage { usage: Some(usage), cost_usd: is_known.then_some(sum.cost_usd), note: None })
}

fn by_itself(home: &Home, task: &EndedTask) -> Result<MeasuredUsage, UsageError> {
    let (about, facts, (settings, _)) = (&task.description, &task.summary, home.settings_or_empty()?);
    let by_cli = plausible_cost(facts.cost_usd);
    let Some(usage) = facts.usage else { return Ok(MeasuredUsage { usage: None, cost_usd: by_cli, note: None }) };
    let count = |count: u64| count.min(TokenCounts::MAX_TOKENS);
    let read = count(usage.input);
    let cached = usage.cached.unwrap_or_default().min(read);
    let cache_written = usage.cache_written.unwrap_or_default().min(read - cached);
    let tokens = TokenCounts {
        input: read - cached - cache_written,
        cached,
        cache_written,
        cache_written_1h: usage.cache_written_1h.unwrap_or_default().min(cache_written),
        output: count(usage.output),
        thinking: usage.reasoning.unwrap_or_default().min(count(usage.output)),
    };
    let budgets = settings.budgets().unwrap_or_default();
    let mut booking = UsageRecord {
        cli: Some(about.cli),
        provider: about.provider.clone(),
        model: about.answering_model.clone().or_else(|| facts.model.as_deref().map(|model| one_line(model, 200))),
        task: Some(task.id),
        project: (!about.private).then(|| task.cwd.to_string_lossy().into_owned()),
        budgets: if about.private { budgets_for(&budgets, &task.cwd) } else { Vec::new() },
        truncated: !facts.is_complete,
        ..UsageRecord::new(UsageSource::Cli, tokens)
    };
    booking.cost_usd = cost(&booking, &settings, by_cli)?;
    let book = UsageLog::new(home);
    book.add(&booking)?;
    if !budgets.is_empty() {
        let mut spending = Spending::new(book, budgets);
        // The next one tells it, if this one can't.
        if spending.refresh(&settings).is_ok() {
            spending.log_exceeded(&EventLog::new(home.root()));
        }
    }
    Ok(MeasuredUsage { usage: Some(usage), cost_usd: booking.cost_usd, note: None })
}

/// Returns what a task cost. A CLI knows the prices of its own vendor's models, and takes others for one of them.
fn cost(booking: &UsageRecord, settings: &Settings, by_cli: Option<f64>) -> Result<Option<f64>, HomeError> {
    match (&booking.provider, &booking.model) {
        (Some(_), Some(_)) => booking.cost(settings),
        _ => Ok(by_cli.or(booking.cost(settings)?)),
    }
}

/// Returns what was used today, in UTC.
///
/// # Errors
///
/// Fails if the book can't be read.
pub fn usage_today(home: &Home) -> Result<Sum, UsageError> {
    const DAY_MS: u64 = 24 * 60 * 60 * 1000;
    let since = now_millis() / DAY_MS * DAY_MS;
    Ok(summarize_usage(home, GroupBy::Day, Some(since), |_| true)?.sums.total)
}

/// Returns what was used in a directory and below it, or all of it.
pub fn is_in_directory(booking: &UsageRecord, directory: Option<&Path>) -> bool {
    directory.is_none_or(|directory| booking.project.as_deref().is_some_and(|at| Path::new(at).starts_with(directory)))
}
