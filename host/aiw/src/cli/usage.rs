//! `aiw usage` and `aiw budget`, as they are typed.

use std::path::PathBuf;

use aiw_home::{Budget, BudgetPeriod};
use aiw_usage::GroupBy;
use clap::{ArgGroup, Args, Subcommand};

use super::values::parse_since;
use crate::complete;

#[derive(Debug, Args)]
#[command(after_help = "aiw usage --by model --since 2w\naiw usage --by task --project .")]
pub struct UsageArgs {
    /// Sum up by provider, pool, model, task, project or day
    #[arg(long, value_name = "WHAT", default_value = "provider")]
    pub by: GroupBy,
    /// Only what is newer: a date, `today`, `yesterday` or how long ago (`2w`) [default: the beginning of this month]
    #[arg(long, value_name = "TIME", value_parser = parse_since)]
    pub since: Option<u64>,
    /// Only what this provider or pool was asked; `own` is the CLIs' own login
    #[arg(short, long, value_name = "NAME", add = complete::provider_choices())]
    pub provider: Option<String>,
    /// Only runs in this directory or below
    #[arg(long, value_name = "DIRECTORY")]
    pub project: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum BudgetCommand {
    /// Add a budget, or replace the one with this name
    ///
    /// Once it is used up, new runs say so. With `--block` they don't start, and the gateway refuses further requests.
    #[command(
        after_help = "aiw budget set daily --usd 20 --per day --block\naiw budget set router --tokens 5000000 --per month -p router"
    )]
    Set(BudgetArgs),
    /// List budgets, and what was spent of each
    List,
    /// Go on although a part of what was used is not known any more
    ///
    /// The book of usage knows how long it is and what it says. If a file of it is gone, cut or changed, budgets with
    /// `--block` refuse, because what was spent is not known. This command takes what the book says now as all that
    /// was spent.
    Repair,
    /// Remove budgets
    Remove {
        /// Their names
        #[arg(required = true, add = complete::budgets())]
        names: Vec<String>,
    },
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("limit").required(true)))]
pub struct BudgetArgs {
    /// Its name
    #[arg(value_parser = Budget::read_name)]
    pub name: String,
    /// How much, in US dollars
    #[arg(long, value_name = "AMOUNT", value_parser = Budget::read_dollars, group = "limit")]
    pub usd: Option<f64>,
    /// How much, in tokens that are read and written
    #[arg(long, value_name = "COUNT", group = "limit")]
    pub tokens: Option<u64>,
    /// For which time, in UTC: day, month
    #[arg(long, value_name = "TIME", default_value = "month")]
    pub per: BudgetPeriod,
    /// Only for what this provider or pool is asked; `own` is the CLIs' own login
    #[arg(short, long, value_name = "NAME", add = complete::provider_choices())]
    pub provider: Option<String>,
    /// Only for runs in this directory or below
    #[arg(long, value_name = "DIRECTORY")]
    pub project: Option<PathBuf>,
    /// Start nothing new once it is used up
    #[arg(long)]
    pub block: bool,
}
