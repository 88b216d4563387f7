//! `aiw usage` and `aiw budget …`

use aiw_app::accounts::is_below;
use aiw_app::current_dir;
use aiw_core::{did_you_mean, one_line};
use aiw_home::{Budget, BudgetLimit, BudgetPeriod, Home, OWN, now_millis, rfc3339};
use aiw_usage::{Book, Loss, Spending, Sum, Sums, sum_by};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::each::{FailedName, remove_each};
use super::usable_settings;
use crate::cli::usage::{BudgetArgs, BudgetCommand, UsageArgs};
use crate::failure::Failure;
use crate::output::Output;

/// `aiw usage`
#[derive(Serialize, JsonSchema)]
pub struct UsageAnswer {
    /// What is summed up by
    #[schemars(extend("enum" = ["provider", "pool", "model", "task", "project", "day"]))]
    pub by: &'static str,
    /// Since when, in RFC 3339 format
    pub since: String,
    /// The sums
    #[serde(flatten)]
    pub sums: Sums,
}

/// A budget, and what was spent of it.
#[derive(Serialize, JsonSchema)]
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
    pub refuses: bool,
    /// What was spent in the current day or month
    pub spent: Sum,
}

/// `aiw budget accept-loss`
#[derive(Serialize, JsonSchema)]
pub struct BudgetAcceptLoss {
    /// What the book of usage had lost; null if nothing
    pub accepted: Option<String>,
}

/// `aiw budget remove`
#[derive(Serialize, JsonSchema)]
pub struct BudgetRemove {
    /// The names of the budgets that were removed
    pub removed: Vec<String>,
    /// The budgets that could not be removed
    pub failed: Vec<FailedName>,
}

pub fn usage(args: &UsageArgs, output: &Output) -> Result<(), Failure> {
    let home = Home::find()?;
    let settings = usable_settings(&home, output)?;
    let month: String = rfc3339(now_millis()).chars().take(7).collect();
    let month = aiw_home::millis_of(&format!("{month}-01")).and_then(|millis| u64::try_from(millis).ok());
    let since = args.since.or(month).unwrap_or_default();
    let project = args.project.as_ref().map(|project| current_dir().map(|here| here.join(project))).transpose()?;
    let project = project.map(|project| std::fs::canonicalize(&project).unwrap_or(project));
    let sums = sum_by(&Book::of(&home), &settings, args.by, since, |booking| {
        let is_by =
            |name: &str| booking.provider.as_deref().unwrap_or(OWN) == name || booking.pool.as_deref() == Some(name);
        args.provider.as_deref().is_none_or(is_by) && is_below(booking, project.as_deref())
    })?;
    if sums.rows.is_empty() {
        output.line(format!("nothing was booked since {}", rfc3339(since)));
    } else {
        let what = args.by.as_str().to_uppercase();
        let headers = [&what, "REQUESTS", "TASKS", "READ", "CACHED", "WRITTEN", "COST"];
        let key = |key: &Option<String>| key.clone().unwrap_or_else(|| "-".to_owned());
        let mut lines: Vec<Vec<String>> = sums.rows.iter().map(|of| line(&key(&of.key), &of.sum)).collect();
        if sums.rows.len() > 1 {
            lines.push(line("all", &sums.total));
        }
        lines.extend(sums.pools.iter().map(|of| line(&format!("through pool {}", key(&of.key)), &of.sum)));
        let total = sums.total;
        output.table(&headers, &lines);
        if total.unpriced > 0 {
            output.note("?: a model without a known price; `models` in settings.json can name it: `docs/files.md`");
        }
        if total.cut > 0 || total.estimated > 0 {
            output
                .note(format!("{} answers broke off; for {}, the tokens are an estimate", total.cut, total.estimated));
        }
    }
    if let Some(loss) = Book::of(&home).read(since, |_| {})? {
        output.note(format!("note: {loss}; {}", Loss::HINT));
    }
    output.note("Interactive runs that don't go through aiw's gateway are not counted.");
    output.answer(UsageAnswer { by: args.by.as_str(), since: rfc3339(since), sums });
    Ok(())
}

fn line(key: &str, sum: &Sum) -> Vec<String> {
    vec![
        one_line(key, 80),
        sum.requests.to_string(),
        sum.tasks.to_string(),
        tokens(sum.read()),
        tokens(sum.cached),
        tokens(sum.output),
        sum.cost(),
    ]
}

/// Tokens for people: 950, 12.3k, 4.56M.
#[expect(clippy::cast_precision_loss, reason = "it is rounded anyway")]
pub fn tokens(count: u64) -> String {
    match count {
        0..1_000 => count.to_string(),
        1_000..1_000_000 => format!("{:.1}k", count as f64 / 1e3),
        _ => format!("{:.2}M", count as f64 / 1e6),
    }
}

pub fn budget(command: BudgetCommand, output: &Output) -> Result<(), Failure> {
    let home = Home::find()?;
    home.recover()?;
    match command {
        BudgetCommand::Set(args) => set(&home, args, output),
        BudgetCommand::List => list(&home, output),
        BudgetCommand::AcceptLoss => accept_loss(&home, output),
        BudgetCommand::Remove { names } => {
            let (removed, failures) = remove_each(&names, output, |name| {
                let lock = home.lock()?;
                let mut settings = home.settings()?;
                if !settings.remove_budget(name)? {
                    let budgets = settings.budgets()?;
                    let known = budgets.iter().map(|budget| budget.name.as_str());
                    let meant = did_you_mean(name, known, "your budgets");
                    return Err(Failure::user(format!("there is no budget `{}`", one_line(name, 80)))
                        .with_hint(meant.unwrap_or_else(|| "`aiw budget set` adds one".into())));
                }
                settings.save(&lock)?;
                output.line(format!("Removed budget `{name}`"));
                Ok(name.to_owned())
            });
            output.conclude(BudgetRemove { removed, failed: failures.failed }, failures.first)
        }
    }
}

fn set(home: &Home, args: BudgetArgs, output: &Output) -> Result<(), Failure> {
    let project = args.project.map(|project| current_dir().map(|here| here.join(project))).transpose()?;
    if let Some(name) = args.provider.as_deref().filter(|name| *name != OWN)
        && let providers = home.providers()?
        && !providers.has(name)
    {
        let pools = providers.pools().iter().map(|pool| pool.name.as_str());
        let known = providers.providers().iter().map(|provider| provider.name.as_str()).chain(pools);
        let failure = Failure::user(format!("there is no provider or pool `{}`", one_line(name, 80)));
        let meant = did_you_mean(name, known, "your providers and pools");
        return Err(failure.with_hint(meant.unwrap_or_else(|| "`aiw provider add NAME` adds one".into())));
    }
    let budget = Budget {
        name: args.name,
        limit: match (args.usd, args.tokens) {
            (Some(usd), _) => BudgetLimit::Dollars(usd),
            (None, tokens) => BudgetLimit::Tokens(tokens.unwrap_or_default()),
        },
        period: args.per,
        provider: args.provider,
        project: project.map(|project| std::fs::canonicalize(&project).unwrap_or(project)),
        refuses: args.refuse,
    };
    let lock = home.lock()?;
    let mut settings = home.settings()?;
    settings.set_budget(&budget)?;
    settings.save(&lock)?;
    output.line(format!("Set {}", described(&budget)));
    let mut spending = Spending::new(Book::of(home), vec![budget.clone()]);
    spending.refresh(&settings)?;
    let spent = spending.all().next().map(|(_, spent)| spent).unwrap_or_default();
    output.answer(json!({"budget": summary(&budget, spent)}));
    Ok(())
}

fn accept_loss(home: &Home, output: &Output) -> Result<(), Failure> {
    let loss = Book::of(home).accept_loss()?;
    output.line(match &loss {
        Some(loss) => format!("Accepted that {loss}: budgets go on with what it says now"),
        None => "nothing was lost".to_owned(),
    });
    output.answer(BudgetAcceptLoss { accepted: loss.map(|loss| loss.to_string()) });
    Ok(())
}

fn described(budget: &Budget) -> String {
    let limit = match budget.limit {
        BudgetLimit::Dollars(usd) => format!("${usd:.2}"),
        BudgetLimit::Tokens(count) => format!("{} tokens", tokens(count)),
    };
    let name = one_line(&budget.name, 60);
    let provider = budget.provider.as_ref().map(|name| format!(" for {}", one_line(name, 80))).unwrap_or_default();
    let project = budget.project.as_ref().map(|path| format!(" in {}", path.display())).unwrap_or_default();
    let then = if budget.refuses { "then refuses" } else { "then warns" };
    format!("budget `{name}`: {limit} a {}{provider}{project}, {then}", budget.period.as_str())
}

fn summary(budget: &Budget, spent: Sum) -> BudgetSummary {
    let (usd, tokens) = match budget.limit {
        BudgetLimit::Dollars(usd) => (Some(usd), None),
        BudgetLimit::Tokens(tokens) => (None, Some(tokens)),
    };
    BudgetSummary {
        name: budget.name.clone(),
        usd,
        tokens,
        per: budget.period.as_str(),
        provider: budget.provider.clone(),
        project: budget.project.as_ref().map(|path| path.display().to_string()),
        refuses: budget.refuses,
        spent,
    }
}

fn list(home: &Home, output: &Output) -> Result<(), Failure> {
    let settings = home.settings()?;
    let mut spending = Spending::new(Book::of(home), settings.budgets()?);
    spending.refresh(&settings)?;
    if spending.is_empty() {
        output.line("no budgets: `aiw budget set NAME --usd AMOUNT --per day` sets one");
    }
    let mut budgets = Vec::new();
    for (budget, spent) in spending.all() {
        let used = match budget.limit {
            BudgetLimit::Dollars(_) => spent.cost(),
            BudgetLimit::Tokens(_) => tokens(spent.all()),
        };
        let used = match budget.limit {
            BudgetLimit::Dollars(_) if spent.unpriced > 0 => {
                format!("{used} ({} of its bookings have no price)", spent.unpriced)
            }
            _ => used,
        };
        let when = if budget.period == BudgetPeriod::Day { "today" } else { "this month" };
        output.line(format!("{}; {used} {when}", described(budget)));
        budgets.push(summary(budget, spent));
    }
    if let Some(loss) = spending.loss() {
        output.note(format!("note: {loss}; {}", Loss::HINT));
    }
    output.answer(json!({"budgets": budgets}));
    Ok(())
}
