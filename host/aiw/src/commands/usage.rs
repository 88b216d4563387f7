//! `aiw usage` and `aiw budget …`

use std::path::{Path, PathBuf};

use aiw_app::accounts::{is_in_directory, summarize_usage, this_month};
use aiw_app::budgets;
use aiw_app::phrases::format_tokens;
use aiw_app::{directory as client_directory, usable_settings};
use aiw_core::{one_line, pluralize};
use aiw_home::{Budget, BudgetLimit, CLI_LOGIN_NAME, Home, rfc3339};
use aiw_usage::{Loss, Sum, UsageLog};
use schemars::JsonSchema;
use serde::Serialize;

use super::each::{FailedName, remove_each};
use crate::cli::usage::{BudgetCommand, UsageArgs};
use crate::failure::CliError;
use crate::output::Output;

/// `aiw budget remove`
#[derive(Serialize, JsonSchema)]
pub struct BudgetRemove {
    /// The names of the budgets that were removed
    pub removed: Vec<String>,
    /// The budgets that could not be removed
    pub failed: Vec<FailedName>,
}

pub fn usage(args: &UsageArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    usable_settings(home, output)?;
    let since = args.since.unwrap_or_else(this_month);
    let project = args.project.as_deref().map(|directory| whole(home, directory)).transpose()?;
    let answer = summarize_usage(home, args.by, Some(since), |booking| {
        let is_by = |name: &str| {
            booking.provider.as_deref().unwrap_or(CLI_LOGIN_NAME) == name || booking.pool.as_deref() == Some(name)
        };
        args.provider.as_deref().is_none_or(is_by) && is_in_directory(booking, project.as_deref())
    })?;
    let sums = &answer.sums;
    if sums.rows.is_empty() {
        output.line(format!("nothing was used since {}", rfc3339(since)));
    } else {
        let what = args.by.as_str().to_uppercase();
        let headers = [&what, "REQUESTS", "TASKS", "READ", "CACHED", "WRITTEN", "COST"];
        let key = |key: &Option<String>| key.clone().unwrap_or_else(|| "-".to_owned());
        let mut lines: Vec<Vec<String>> = sums.rows.iter().map(|of| line(&key(&of.key), &of.sum)).collect();
        if sums.rows.len() > 1 {
            lines.push(line("all", &sums.total));
        }
        lines.extend(sums.pools.iter().map(|of| line(&format!("through pool {}", key(&of.key)), &of.sum)));
        let total = &sums.total;
        output.table(&headers, &lines);
        if total.unpriced > 0 {
            output.note("?: a model without a known price; `models` in settings.json can name it: `docs/files.md`");
        }
        if total.truncated > 0 || total.estimated > 0 {
            output.note(broken_off(total));
        }
    }
    if let Some(loss) = UsageLog::new(home).read(since, |_| {})? {
        output.note(format!("note: {loss}; {}", Loss::HINT));
    }
    output.note("Interactive runs that don't go through aiw's gateway are not counted.");
    output.set_json(answer);
    Ok(())
}

/// Says which of the sums are not exact, and why.
fn broken_off(total: &Sum) -> String {
    let cut = (total.truncated > 0).then(|| format!("{} broke off", pluralize(total.truncated, "answer")));
    let estimated = (total.estimated > 0).then(|| format!("the tokens of {} are an estimate", total.estimated));
    cut.into_iter().chain(estimated).collect::<Vec<_>>().join("; ")
}

/// A directory, as bookings name theirs.
fn whole(home: &Home, directory: &Path) -> Result<PathBuf, CliError> {
    let directory = client_directory(home)?.join(directory);
    Ok(std::fs::canonicalize(&directory).unwrap_or(directory))
}

fn line(key: &str, sum: &Sum) -> Vec<String> {
    vec![
        one_line(key, 80),
        sum.requests.to_string(),
        sum.tasks.to_string(),
        format_tokens(sum.total_input()),
        format_tokens(sum.cached),
        format_tokens(sum.output),
        sum.cost(),
    ]
}

pub fn budget(command: BudgetCommand, home: &Home, output: &Output) -> Result<(), CliError> {
    home.recover()?;
    match command {
        BudgetCommand::Set(args) => {
            let budget = Budget {
                name: args.name,
                limit: match (args.usd, args.tokens) {
                    (Some(usd), _) => BudgetLimit::Dollars(usd),
                    (None, tokens) => BudgetLimit::Tokens(tokens.unwrap_or_default()),
                },
                period: args.per,
                provider: args.provider,
                project: args.project.as_deref().map(|directory| whole(home, directory)).transpose()?,
                blocks: args.block,
            };
            let answer = budgets::set(home, &budget)?;
            output.line(format!("Set {}", answer.budget.line()));
            output.set_json(answer);
        }
        BudgetCommand::List => {
            let (answer, loss) = budgets::list(home)?;
            if answer.budgets.is_empty() {
                output.line("no budgets: `aiw budget set NAME --usd AMOUNT --per day` sets one");
            }
            answer.budgets.iter().for_each(|budget| output.line(format!("{}; {}", budget.line(), budget.spent_line())));
            if let Some(loss) = loss {
                output.note(format!("note: {loss}; {}", Loss::HINT));
            }
            output.set_json(answer);
        }
        BudgetCommand::Repair => {
            let answer = budgets::repair(home)?;
            output.line(match &answer.accepted {
                Some(loss) => format!("Accepted that {loss}: budgets go on with what it says now"),
                None => "nothing was lost".to_owned(),
            });
            output.set_json(answer);
        }
        BudgetCommand::Remove { names } => {
            let (removed, failures) = remove_each(&names, output, |name| {
                budgets::remove(home, name)?;
                output.line(format!("Removed budget `{name}`"));
                Ok(name.to_owned())
            });
            return output.set_json_or_error(BudgetRemove { removed, failed: failures.failed }, failures.first_error);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_that_are_not_exact_say_only_what_happened() {
        let said = |cut, estimated| {
            let mut total = Sum::default();
            (total.truncated, total.estimated) = (cut, estimated);
            broken_off(&total)
        };
        assert_eq!(said(0, 2), "the tokens of 2 are an estimate");
        assert_eq!(said(1, 0), "1 answer broke off");
        assert_eq!(said(2, 3), "2 answers broke off; the tokens of 3 are an estimate");
    }
}
