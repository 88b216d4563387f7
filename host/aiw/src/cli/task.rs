//! `aiw task`, `aiw status`, `aiw wait`

use std::ffi::OsString;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::values::{parse_duration, parse_since};
use crate::complete;

#[derive(Debug, Subcommand)]
pub enum TaskCommand {
    /// List the tasks of this session, or of all sessions if you run it outside of an AI CLI
    List(ScopeArgs),
    /// Show how a task ended, what it said and how to resume it
    Show {
        /// Its id, the first four or more characters of it, or its process id
        #[arg(add = complete::tasks())]
        id: String,
    },
    /// Go on with the CLI's own session, where the task ran and with its provider and model
    Resume {
        /// The task's id, the beginning of it, or its process id
        #[arg(add = complete::tasks())]
        id: String,
        /// The next prompt; without one, the CLI runs interactively
        prompt: Vec<OsString>,
        /// Use the project's settings, hooks and MCP servers in this run, even if its directory is not trusted
        #[arg(long)]
        trust: bool,
        /// More arguments for the CLI: those that the task was started with are passed anyway
        #[arg(last = true, value_name = "ARGUMENT")]
        arguments: Vec<OsString>,
    },
    /// Delete finished tasks and their logs
    Remove {
        /// Ids, beginnings of ids, or process ids
        #[arg(required = true, add = complete::ended_tasks())]
        ids: Vec<String>,
    },
    /// Delete old tasks
    Prune(PruneArgs),
}

#[derive(Debug, Args)]
pub struct ScopeArgs {
    /// Include all sessions
    #[arg(long, visible_alias = "all")]
    pub all_namespaces: bool,
}

#[derive(Debug, Args)]
pub struct LogArgs {
    /// The task's id, the beginning of it, or its process id; or ids of processes [default: all processes of this
    /// project]
    #[arg(value_name = "ID", add = complete::tasks_and_processes())]
    pub ids: Vec<String>,
    /// Keep printing until it ends
    #[arg(short, long)]
    pub follow: bool,
    /// Only the last N lines, of each
    #[arg(short = 'n', long, value_name = "N")]
    pub tail: Option<usize>,
    /// Only output since this time: 10m, or 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_since)]
    pub since: Option<u64>,
    /// Only lines that match this regular expression
    #[arg(long, value_name = "PATTERN")]
    pub grep: Option<regex::Regex>,
    /// Print the bytes as the CLI wrote them
    #[arg(long, conflicts_with = "grep")]
    pub raw: bool,
}

#[derive(Debug, Args)]
pub struct StopArgs {
    /// Ids, beginnings of ids, or process ids of tasks; or ids of processes of this project
    #[arg(required_unless_present = "all", add = complete::tasks_and_processes())]
    pub ids: Vec<String>,
    /// All running tasks of this session
    #[arg(long, conflicts_with = "ids")]
    pub all: bool,
}

#[derive(Debug, Args)]
pub struct WaitArgs {
    /// Ids, beginnings of ids, or process ids of tasks [default: all that are running or finished since you last
    /// looked]; or ids of processes of this project
    #[arg(add = complete::awaitable_ids())]
    pub ids: Vec<String>,
    /// Wait until processes are ready, instead of until they end
    #[arg(long, requires = "ids", conflicts_with_all = ["any", "all"])]
    pub ready: bool,
    /// Stop waiting when the first one ends
    #[arg(long)]
    pub any: bool,
    /// Include all sessions
    #[arg(long, visible_alias = "all-namespaces")]
    pub all: bool,
    /// Wait no longer than this: 90s, 10m
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
}

#[derive(Debug, Args)]
pub struct PruneArgs {
    /// Keep this many finished tasks
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub keep: usize,
    /// Keep them this long: 30days
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "30days")]
    pub age: Duration,
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
}
