//! `aiw ci …`, as it is typed.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::values::parse_duration;
use crate::complete;

#[derive(Debug, Subcommand)]
pub enum CiCommand {
    /// List the newest runs of the branch that is checked out
    List(ListRunsArgs),
    /// Show a run and its jobs; without an id, how the workflows of the commit went
    Show(OneRunArgs),
    /// Print what failed in a run, or in all runs of the commit: the errors, with the lines before each
    ///
    /// Time stamps, escape codes and secrets are taken out. The lines were written by the programs of the run.
    Logs(RunLogArgs),
    /// Wait until a run has ended; without an id, all workflows of the commit
    ///
    /// Exit codes: 0 if all succeeded, 1 if not, 124 if time ran out.
    Watch(WatchArgs),
}

#[derive(Debug, Args)]
pub struct RepositoryArgs {
    /// OWNER/REPO, or HOST/OWNER/REPO [default: that which is checked out]
    #[arg(long, value_name = "OWNER/REPO")]
    pub repo: Option<String>,
}

#[derive(Debug, Args)]
pub struct ListRunsArgs {
    #[command(flatten)]
    pub repository: RepositoryArgs,
    /// Only of this branch; `*` for all [default: the one that is checked out]
    #[arg(long)]
    pub branch: Option<String>,
    /// How many at the most
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub limit: u16,
}

#[derive(Debug, Args)]
pub struct OneRunArgs {
    /// Its id [default: the newest runs of all workflows of the commit that is checked out]
    #[arg(value_name = "RUN", add = complete::ci_runs())]
    pub run: Option<u64>,
    /// Only this workflow of the commit: its name, or the name of its file
    #[arg(long, value_name = "NAME", conflicts_with = "run")]
    pub workflow: Option<String>,
    #[command(flatten)]
    pub repository: RepositoryArgs,
}

#[derive(Debug, Args)]
pub struct RunLogArgs {
    #[command(flatten)]
    pub run: OneRunArgs,
    /// All lines of all jobs, as they come
    #[arg(long)]
    pub all: bool,
}

#[derive(Debug, Args)]
pub struct WatchArgs {
    #[command(flatten)]
    pub run: OneRunArgs,
    /// Wait no longer than this: 90s, 10m
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
    /// Return at once, and let aiw ask for the branch's runs until 30 minutes after the last: `aiw events` shows them
    #[arg(long, conflicts_with_all = ["run", "timeout"])]
    pub background: bool,
    /// Let it ask no more
    #[arg(long, conflicts_with_all = ["run", "timeout", "background", "repo"])]
    pub stop: bool,
}
