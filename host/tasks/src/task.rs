use std::path::PathBuf;
use std::time::Duration;

use aiw_core::{CliKind, TaskId};
use serde::{Deserialize, Serialize};

use crate::{Outcome, State, Usage};

/// The process at the root of a session: an AI CLI, an IDE, or the asking process itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Root {
    /// Its process id.
    pub pid: u32,
    /// When it started, in the system's ticks since boot; 0 where that is not known.
    pub start: u64,
}

impl Root {
    /// The root with this process id, its start looked up.
    pub fn of(pid: u32) -> Self {
        Self { pid, start: crate::platform::start_of(pid).unwrap_or(0) }
    }

    /// Whether both are one process, as far as is known.
    #[cfg(unix)]
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.pid == other.pid && (self.start == other.start || self.start == 0 || other.start == 0)
    }
}

/// Whose tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those of one session.
    Session(Root),
    /// All of the user's.
    All,
}

/// What is known of a task before it starts. All of it may be shown: secrets belong in
/// [`Program`](crate::Program).
#[derive(Debug, Clone)]
pub struct NewTask {
    /// Which CLI.
    pub cli: CliKind,
    /// The provider's name.
    pub provider: Option<String>,
    /// The role's name, or names.
    pub role: Option<String>,
    /// A word of the user's own.
    pub tag: Option<String>,
    /// The model that was asked for.
    pub model: Option<String>,
    /// What the CLI may do: `default`, `edit`, ….
    pub permission: String,
    /// A flag that the user passed through and that lifts the CLI's own guards.
    pub bypass: Option<String>,
    /// The beginning of the prompt; it is put on one line and cut.
    pub prompt_preview: String,
    /// Where the CLI works.
    pub cwd: PathBuf,
    /// The CLI's own session, if it was chosen for it.
    pub session: Option<String>,
    /// Whether the CLI has a configuration directory of its own.
    pub isolated: bool,
    /// How long it may run.
    pub timeout: Option<Duration>,
    /// How many tasks stand above it.
    pub depth: u8,
    /// The task right above it. Those above a task may wait for it, so they do not count when it
    /// is looked whether there is a place for it.
    pub parent: Option<TaskId>,
}

/// A task, as it was when it was looked at. Texts are those of its files: [`aiw_core::printable`]
/// is for whoever prints them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// The CLI's process, once there is one.
    pub pid: Option<u32>,
    /// The process at the root of its session.
    pub root_pid: u32,
    /// Which CLI.
    pub cli: CliKind,
    /// The provider's name.
    pub provider: Option<String>,
    /// The role's name, or names.
    pub role: Option<String>,
    /// A word of the user's own.
    pub tag: Option<String>,
    /// The model that was asked for.
    pub model: Option<String>,
    /// Where it is in its life.
    pub state: State,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// The CLI's exit code, if it exited.
    pub exit_code: Option<i32>,
    /// The signal that ended the CLI, or that it was asked to end by.
    pub signal: Option<i32>,
    /// When it was started, in milliseconds since 1970.
    pub started: u64,
    /// When its CLI was started, in milliseconds since 1970; later than `started` if it was queued.
    pub running_since: Option<u64>,
    /// When it ended, in milliseconds since 1970.
    pub ended: Option<u64>,
    /// It has ended and no report has shown that.
    pub unread: bool,
    /// The beginning of the prompt, on one line.
    pub prompt: String,
    /// Where the CLI works.
    pub cwd: PathBuf,
    /// The live log file.
    pub log: PathBuf,
    /// The CLI's own session id.
    pub session: Option<String>,
    /// What the CLI may do.
    pub permission: String,
    /// A flag that was passed through and that lifts the CLI's own guards.
    pub bypass: Option<String>,
    /// The CLI's last words, cut at 32 KiB.
    pub final_message: Option<String>,
    /// The tokens that it used.
    pub usage: Option<Usage>,
    /// What it cost, in US dollars.
    pub cost_usd: Option<f64>,
    /// What else is to be known: why it failed to start or was lost, that memory is not limited.
    pub note: Option<String>,
    /// How many tasks stand above it.
    pub depth: u8,
    /// Whether the CLI has a configuration directory of its own.
    pub isolated: bool,
    /// The task right above it.
    pub parent: Option<TaskId>,
    /// How long it may run, in milliseconds.
    pub timeout: Option<u64>,
}
