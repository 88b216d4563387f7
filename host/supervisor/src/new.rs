//! How to start a process, apart from the program itself.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use aiw_core::ProcessId;
use serde::{Deserialize, Serialize};

use crate::announced::EventContext;
use crate::record::{Labels, RestartRecord};

/// A process that is to be started. All of this may be shown: secrets belong in [`Program`](crate::Program).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewProcess {
    /// A description of the process, in the starter's terms. The labels are stored in its record unchanged.
    pub labels: Labels,
    /// The labels in a few bytes, for the table in shared memory.
    pub label: Vec<u8>,
    /// The working directory.
    #[serde(skip)]
    pub cwd: PathBuf,
    /// How long the process may run.
    pub timeout: Option<Duration>,
    /// The number of processes above it.
    pub depth: u8,
    /// The process directly above it. The processes above one may wait for it, so they do not count against the limit
    /// of running processes.
    pub parent: Option<ProcessId>,
    /// Whether the process is started again after it ends.
    pub restart: Restart,
    /// The restarts of earlier incarnations that still count.
    pub causes: Vec<RestartRecord>,
    /// The processes that it waits for before it starts.
    pub needs: Vec<ProcessDependency>,
    /// When it counts as ready.
    pub ready: Option<Probe>,
    /// How to see that it still works.
    pub live: Option<Probe>,
    /// The signal that asks it to end, by number.
    pub stop_signal: i32,
    /// The exit codes that mean success.
    pub success: Vec<i32>,
    /// Whether others may write to its standard input while it runs.
    pub takes_input: bool,
    /// Whether it is started again on request, with the environment and the secrets that it has.
    pub restart_on_request: bool,
    /// An address on which the shim listens. The process gets the listening socket as its standard input, as with the
    /// `wait` services of inetd(8): it is the same one after a restart, so a client meanwhile only waits.
    pub listen: Option<SocketAddr>,
    /// The terminal of the process. Without one it has pipes.
    pub terminal: Option<Terminal>,
    /// How much of its output is kept.
    pub log: LogPolicy,
    /// How events name the process. Without it, there are none.
    pub announced: Option<EventContext>,
    /// Its starter, as events say it.
    pub by: String,
}

impl NewProcess {
    /// Returns a process that runs once in a directory, with defaults for everything else.
    pub fn new(cwd: impl Into<PathBuf>) -> Self {
        Self {
            labels: Labels::new(),
            label: Vec::new(),
            cwd: cwd.into(),
            timeout: None,
            depth: 0,
            parent: None,
            restart: Restart::default(),
            causes: Vec::new(),
            needs: Vec::new(),
            ready: None,
            live: None,
            stop_signal: SIGTERM,
            success: vec![0],
            takes_input: false,
            restart_on_request: false,
            listen: None,
            terminal: None,
            log: LogPolicy::default(),
            announced: None,
            by: "you".into(),
        }
    }
}

/// SIGTERM, whose number is the same everywhere.
const SIGTERM: i32 = 15;

/// Whether, and how often, a process is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// After which ends.
    pub when: RestartCondition,
    /// The pause after an end. It doubles from one restart to the next, until the process has lived for longer than
    /// the window.
    pub pause: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// The maximum number of restarts in a row, at most [`MAX_CAUSES`](crate::MAX_CAUSES).
    pub limit: Option<u32>,
    /// The life after which a row of restarts is over; without one, all of them count.
    pub within: Option<Duration>,
}

impl Restart {
    /// Returns how many of these restarts count against the limit at a time, in milliseconds since 1970: those in a row
    /// that no life longer than the window lies between. The pauses between them are not part of a life: they grow, and
    /// would make the row end by themselves.
    pub fn count_in_window(&self, causes: &[RestartRecord], now: u64) -> u32 {
        let Some(within) = self.within else { return u32::try_from(causes.len()).unwrap_or(u32::MAX) };
        let (mut count, mut next) = (0, now);
        // The pause before the latest of them was the longest.
        for (cause, streak) in causes.iter().rev().zip((1..=u32::try_from(causes.len()).unwrap_or(u32::MAX)).rev()) {
            let apart = within.saturating_add(self.restart_delay(streak));
            if u128::from(next.saturating_sub(cause.time)) > apart.as_millis() {
                break;
            }
            (count, next) = (count + 1, cause.time);
        }
        count
    }

    /// Returns the pause before a restart, by its place in a row from 1: they double, up to the longest.
    pub fn restart_delay(&self, streak: u32) -> Duration {
        let longest = self.longest.max(self.pause);
        let doubled = 1_u32.checked_shl(streak.saturating_sub(1)).and_then(|times| self.pause.checked_mul(times));
        doubled.map_or(longest, |pause| pause.min(longest))
    }
}

impl Default for Restart {
    fn default() -> Self {
        let pause = Duration::from_secs(1);
        Self { when: RestartCondition::Never, pause, longest: pause, limit: None, within: None }
    }
}

/// A process that another one waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessDependency {
    /// Its id.
    pub id: ProcessId,
    /// Its name, for messages.
    pub name: String,
    /// The state that it waits for.
    pub until: DependencyCondition,
}

aiw_core::string_enum! {
    /// A state that a process waits for.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum DependencyCondition {
        /// The other process is ready, if it has a probe for that; else it runs. Or it has ended with success.
        Ready = "ready",
        /// The other process runs, or has done so with success.
        Started = "started",
        /// The other process runs, is ready, and its probes succeed.
        Healthy = "healthy",
        /// The other process has ended with success.
        Completed = "completed",
        /// The other process has ended, with success or not.
        Ended = "ended",
    }
}

/// How to see whether a process works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// The check.
    pub check: Check,
    /// The time between two checks.
    pub every: Duration,
    /// Of a readiness probe, how long the process has until it is ready; of a liveness probe, how long one check may
    /// take.
    pub timeout: Option<Duration>,
    /// How many checks in a row must fail.
    pub failures: u32,
}

/// The check of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Check {
    /// Something answers a plain HTTP request with a status from 200 to 399. Redirects are not followed.
    Http {
        /// Where it listens.
        at: ProbeAddress,
        /// The host, as the request names it.
        host: String,
        /// The path and the query.
        path: String,
    },
    /// Something accepts a connection.
    Tcp {
        /// Where it listens.
        at: ProbeAddress,
    },
    /// A command ends with 0. It runs in the process's directory, with its environment.
    Exec {
        /// The program and its arguments.
        command: Vec<String>,
    },
    /// The process has written a line like this pattern, in which `*` stands for any text. Only for readiness.
    Line {
        /// The pattern. The line may go on before and after it.
        pattern: String,
    },
}

/// An address that a probe connects to. Names are not resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProbeAddress {
    /// A port of this machine, at 127.0.0.1 or at ::1.
    Local(u16),
    /// An address.
    Address(SocketAddr),
}

/// After which ends a process is started again. A process that was stopped or that timed out is never started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestartCondition {
    /// After none.
    Never,
    /// After those that are not a success.
    Failed,
    /// After all.
    Ended,
}

/// The size of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    /// The number of lines.
    pub rows: u16,
    /// The number of characters in a line.
    pub columns: u16,
}

/// How much of a process's output is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPolicy {
    /// The size at which a log file is full and the next one begins, in bytes.
    pub file_bytes: u64,
    /// The maximum number of files, including the live one; at most 16. With 0 there is no log.
    pub files: u8,
}

impl Default for LogPolicy {
    fn default() -> Self {
        Self { file_bytes: 16 << 20, files: 4 }
    }
}

/// The limit of running processes, and the treatment of one that exceeds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueLimit {
    /// How many processes of the root may run at once.
    pub limit: u32,
    /// Whether the process waits for its turn. Otherwise it is refused.
    pub may_queue: bool,
}

impl Default for QueueLimit {
    fn default() -> Self {
        Self { limit: 64, may_queue: true }
    }
}
