//! Budgets: what is set, listed and removed, and what of each was spent.

use aiw_core::{Diagnostic, Plan, did_you_mean, one_line};
use aiw_home::{Budget, BudgetLimit, CLI_LOGIN_NAME, Home, HomeError};
use aiw_usage::{Loss, Spending, Sum, UsageError, UsageLog};
use schemars::JsonSchema;
use serde::Serialize;

use crate::phrases::format_tokens;

/// Why a budget can't be set, listed or removed.
#[derive(Debug, thiserror::Error)]
pub enum BudgetError {
    /// The settings.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The book of usage.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// There is no such provider or pool.
    #[error("there is no provider or pool `{}`", one_line(.name, 80))]
    ProviderNotFound {
        /// The name.
        name: String,
        /// The known names.
        known: Vec<String>,
    },
    /// There is no such budget.
    #[error("there is no budget `{}`", one_line(.name, 80))]
    NotFound {
        /// The name.
        name: String,
        /// The known names.
        known: Vec<String>,
    },
}

impl Diagnostic for BudgetError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(self, Home, Usage)
    }

    fn own_hint(&self) -> Option<String> {
        let meant = |name: &str, known: &[String], yours: &str, add: &str| {
            let meant = did_you_mean(name, known.iter().map(String::as_str), yours);
            Some(meant.unwrap_or_else(|| format!("`aiw {add}` adds one")))
        };
        match self {
            Self::ProviderNotFound { name, known } => {
                meant(name, known, "your providers and pools", "provider add NAME")
            }
            Self::NotFound { name, known } => meant(name, known, "your budgets", "budget set"),
            _ => None,
        }
    }
}

/// A budget, and what was spent of it.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BudgetSummary {
    /// Its name
    pub name: String,
    /// How much, in US dollars; null if it counts tokens
    pub usd: Option<f64>,
    /// How much, in tokens; null if it counts dollars
    pub tokens: Option<u64>,
    /// For which time, in UTC
    #[schemars(extend("enum" = ["day", "month"]))]
    pub per: &'static str,
    /// The provider or pool that it is for; null for all
    pub provider: Option<String>,
    /// The directory that it is for; null for all
    pub project: Option<String>,
    /// Whether nothing new starts once it is used up
    pub blocks: bool,
    /// The amount spent in the current day or month
    pub spent: Sum,
}

impl BudgetSummary {
    fn of(budget: &Budget, spent: Sum) -> Self {
        let (usd, tokens) = match budget.limit {
            BudgetLimit::Dollars(usd) => (Some(usd), None),
            BudgetLimit::Tokens(tokens) => (None, Some(tokens)),
        };
        Self {
            name: budget.name.clone(),
            usd,
            tokens,
            per: budget.period.as_str(),
            provider: budget.provider.clone(),
            project: budget.project.as_ref().map(|path| path.display().to_string()),
            blocks: budget.blocks,
            spent,
        }
    }

    /// Returns what it allows, for people.
    pub fn line(&self) -> String {
        let limit = match (self.usd, self.tokens) {
            (Some(usd), _) => format!("${usd:.2}"),
            (None, count) => format!("{} tokens", format_tokens(count.unwrap_or_default())),
        };
        let name = one_line(&self.name, 60);
        let provider = self.provider.as_ref().map(|name| format!(" for {}", one_line(name, 80))).unwrap_or_default();
        let project = self.project.as_ref().map(|path| format!(" in {path}")).unwrap_or_default();
        let then = if self.blocks { "then blocks" } else { "then warns" };
        format!("budget `{name}`: {limit} a {}{provider}{project}, {then}", self.per)
    }

    /// Whether all of it was spent.
    pub fn is_exceeded(&self) -> bool {
        let by_cost = self.usd.is_some_and(|limit| self.spent.cost_usd >= limit);
        by_cost || self.tokens.is_some_and(|limit| self.spent.total() >= limit)
    }

    /// Returns what was spent of it, for people.
    pub fn spent_line(&self) -> String {
        let Self { usd, spent, per, .. } = self;
        let used = match usd {
            Some(_) if spent.unpriced > 0 => {
                format!("{} ({} without a known price)", spent.cost(), spent.unpriced)
            }
            Some(_) => spent.cost(),
            None => format_tokens(spent.total()),
        };
        format!("{used} {}", if *per == "day" { "today" } else { "this month" })
    }
}

/// A budget that was set.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BudgetSet {
    /// The budget
    pub budget: BudgetSummary,
}

/// All budgets.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BudgetList {
    /// The budgets
    pub budgets: Vec<BudgetSummary>,
}

/// The loss of bookings that was accepted.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BudgetRepair {
    /// The loss that the book of usage had; null if none
    pub accepted: Option<String>,
}

/// Adds a budget, or replaces the one of its name.
///
/// # Errors
///
/// Fails if there is no such provider, or the settings can't be written.
pub fn set(home: &Home, budget: &Budget) -> Result<BudgetSet, BudgetError> {
    check(home, budget)?;
    let lock = home.lock()?;
    let mut settings = home.settings()?;
    settings.set_budget(budget)?;
    settings.save(&lock)?;
    let mut spending = Spending::new(UsageLog::new(home), vec![budget.clone()]);
    spending.refresh(&settings)?;
    let spent = spending.all().next().map(|(_, spent)| spent).unwrap_or_default();
    Ok(BudgetSet { budget: BudgetSummary::of(budget, spent) })
}

/// Returns what setting a budget would change, for views that ask before.
///
/// # Errors
///
/// Fails if there is no such provider, or the settings can't be read.
pub fn plan(home: &Home, budget: &Budget) -> Result<Plan, BudgetError> {
    check(home, budget)?;
    let line = |budget: &Budget| BudgetSummary::of(budget, Sum::default()).line();
    let before = home.settings()?.budgets()?.into_iter().find(|known| known.name == budget.name);
    let replaced = before.map(|before| format!("in place of {}", line(&before)));
    let mut plan =
        Plan { details: std::iter::once(line(budget)).chain(replaced).collect(), ..Plan::new("Set this budget?") };
    plan.add_hidden_bytes(format!("{budget:?}").as_bytes());
    Ok(plan)
}

fn check(home: &Home, budget: &Budget) -> Result<(), BudgetError> {
    if let Some(name) = budget.provider.as_deref().filter(|name| *name != CLI_LOGIN_NAME)
        && let providers = home.providers()?
        && !providers.has(name)
    {
        let pools = providers.pools().iter().map(|pool| pool.name.to_string());
        let known = providers.providers().iter().map(|provider| provider.name.to_string()).chain(pools).collect();
        return Err(BudgetError::ProviderNotFound { name: name.to_owned(), known });
    }
    Ok(())
}

/// Returns all budgets with what was spent of each, and what the book has lost.
///
/// # Errors
///
/// Fails if the settings or the book can't be read.
pub fn list(home: &Home) -> Result<(BudgetList, Option<Loss>), BudgetError> {
    let settings = home.settings()?;
    let mut spending = Spending::new(UsageLog::new(home), settings.budgets()?);
    spending.refresh(&settings)?;
    let budgets = spending.all().map(|(budget, spent)| BudgetSummary::of(budget, spent)).collect();
    Ok((BudgetList { budgets }, spending.loss().cloned()))
}

/// Takes what the book says now as all that was spent.
///
/// # Errors
///
/// Fails if the book can't be written.
pub fn repair(home: &Home) -> Result<BudgetRepair, BudgetError> {
    let accepted = UsageLog::new(home).repair()?.map(|loss| loss.to_string());
    Ok(BudgetRepair { accepted })
}

/// Removes a budget.
///
/// # Errors
///
/// Fails if there is none of the name, or the settings can't be written.
pub fn remove(home: &Home, name: &str) -> Result<(), BudgetError> {
    let lock = home.lock()?;
    let mut settings = home.settings()?;
    if !settings.remove_budget(name)? {
        let known = settings.budgets()?.into_iter().map(|budget| budget.name).collect();
        return Err(BudgetError::NotFound { name: name.to_owned(), known });
    }
    Ok(settings.save(&lock)?)
}
