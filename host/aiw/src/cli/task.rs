//! `aiw task`, `aiw status`, `aiw wait`

use std::time::Duration;

use clap::{Args, Subcommand};

use super::run::parse_duration;

#[derive(Debug, Subcommand)]
pub enum TaskCommand {
    /// List the tasks of this session; outside of an AI CLI, of all sessions
    List(ScopeArgs),
    /// Show one task: how it ended, what it said, how to go on with it
    Show {
        /// Its id, its beginning (four characters at least), or its process id
        id: String,
    },
    /// Print what a task wrote
    Logs(LogArgs),
    /// End tasks: SIGTERM, and SIGKILL after five seconds
    Stop {
        /// Ids, beginnings of them, or process ids
        #[arg(required_unless_present = "all")]
        ids: Vec<String>,
        /// All that run in this session
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
    /// Wait until tasks have ended, and report
    Wait(WaitArgs),
    /// Forget ended tasks, with their logs
    Remove {
        /// Ids, beginnings of them, or process ids
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Forget old tasks
    Prune(PruneArgs),
}

#[derive(Debug, Args)]
pub struct ScopeArgs {
    /// Of all sessions
    #[arg(long, visible_alias = "all")]
    pub all_namespaces: bool,
}

#[derive(Debug, Args)]
pub struct LogArgs {
    /// The task's id, the beginning of it, or its process id
    pub id: String,
    /// Go on until the task has ended
    #[arg(short, long)]
    pub follow: bool,
    /// The last lines only
    #[arg(long, value_name = "N")]
    pub tail: Option<usize>,
    /// What was written since: 10m, or 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_since)]
    pub since: Option<u64>,
    /// Lines that match a regular expression
    #[arg(long, value_name = "PATTERN")]
    pub grep: Option<regex::Regex>,
    /// The bytes as the CLI wrote them
    #[arg(long, conflicts_with = "grep")]
    pub raw: bool,
}

#[derive(Debug, Args)]
pub struct WaitArgs {
    /// Ids, beginnings of them, or process ids; if none is named, all that run or have ended unreported
    pub ids: Vec<String>,
    /// Until the first has ended
    #[arg(long)]
    pub any: bool,
    /// The tasks of all sessions
    #[arg(long, visible_alias = "all-namespaces")]
    pub all: bool,
    /// No longer than this: 90s, 10m
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
}

#[derive(Debug, Args)]
pub struct PruneArgs {
    /// How many ended tasks are kept
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub keep: usize,
    /// How long they are kept: 30days
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "30days")]
    pub age: Duration,
}

/// Milliseconds since 1970 of a time, or of a while ago.
fn parse_since(text: &str) -> Result<u64, String> {
    let time = match parse_duration(text) {
        Ok(ago) => std::time::SystemTime::now().checked_sub(ago),
        Err(_) => humantime::parse_rfc3339_weak(text).ok(),
    };
    let since = time.and_then(|time| time.duration_since(std::time::SystemTime::UNIX_EPOCH).ok());
    since
        .and_then(|since| u64::try_from(since.as_millis()).ok())
        .ok_or_else(|| "it must be a while ago (`10m`) or a time (`2026-01-31T12:00:00Z`)".into())
}
