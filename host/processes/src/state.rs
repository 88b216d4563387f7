//! The state of a process, in one word and in detail.

use std::collections::BTreeMap;
use std::path::PathBuf;

use aiw_core::{ProcessId, ProcessOutcome, ProcessState};
use aiw_supervisor::{LimitEnforcer, ProcessRecord, Resource, RestartRecord, SupervisedProcess};
use serde::{Deserialize, Serialize};

use crate::definition::{Definition, DefinitionSource, RestartPolicy};

/// From how many restarts in a row on a process is in a loop of crashes.
const CRASH_LOOP_THRESHOLD: u32 = 3;

aiw_core::string_enum! {
    /// The state of a process.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum RunState {
        /// It was not started, or not since the system was.
        NotStarted = "not started",
        /// It waits for what it needs or for its turn, is being started, or is not ready yet.
        Starting = "starting",
        /// It was started again several times in a row, and has not lived long since.
        CrashLooping = "crash looping",
        /// It runs, and is ready.
        Running = "running",
        /// It runs, and its probe fails.
        Unhealthy = "unhealthy",
        /// It was asked to end.
        Stopping = "stopping",
        /// It has ended with success, or because somebody asked for it.
        Stopped = "stopped",
        /// It has ended otherwise, and is not started again.
        Failed = "failed",
    }
}

impl RunState {
    /// Whether there is a process, or will be one soon.
    pub fn is_alive(self) -> bool {
        matches!(self, Self::Starting | Self::CrashLooping | Self::Running | Self::Unhealthy | Self::Stopping)
    }

    pub(crate) fn new(record: &ProcessRecord, restart: RestartPolicy) -> Self {
        let is_starting = record.state == ProcessState::Starting
            || (record.state == ProcessState::Running && record.ready == Some(false));
        match record.state {
            _ if !record.is_from_current_boot() => Self::NotStarted,
            _ if is_starting
                && restart.supervisor_restart().count_in_window(&record.causes, aiw_home::now_millis())
                    >= CRASH_LOOP_THRESHOLD =>
            {
                Self::CrashLooping
            }
            ProcessState::Queued | ProcessState::Starting => Self::Starting,
            ProcessState::Running if record.last_error.is_some() => Self::Unhealthy,
            ProcessState::Running if record.ready == Some(false) => Self::Starting,
            ProcessState::Running => Self::Running,
            ProcessState::Stopping => Self::Stopping,
            ProcessState::Ended if record.stopped || record.outcome == Some(ProcessOutcome::Succeeded) => Self::Stopped,
            ProcessState::Ended => Self::Failed,
        }
    }
}

/// A process of a project, as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessStatus {
    /// Its id in the project.
    pub id: String,
    /// The project's directory.
    pub project: PathBuf,
    /// Its state.
    pub state: RunState,
    /// Its definition: of the process that runs, else as it would be started.
    pub definition: Definition,
    /// Where the definition is from, unless it is gone.
    pub source: Option<DefinitionSource>,
    /// The supervisor's id of its record, if there is one.
    pub process: ProcessId,
    /// Its record.
    pub record: Option<ProcessRecord>,
    /// Its last lines, if it has failed.
    pub last_lines: Vec<String>,
    /// When it is started next by its times, in RFC 3339 format.
    pub next_run_at: Option<String>,
    /// Why the program of a hook did not run for an event.
    pub problem: Option<String>,
}

impl ProcessStatus {
    /// The process id of its program, while it runs.
    pub fn pid(&self) -> Option<u32> {
        let is_there = |record: &&ProcessRecord| self.state.is_alive() && record.state != ProcessState::Ended;
        self.record.as_ref().filter(is_there)?.child.map(|child| child.pid)
    }

    /// How often it was started again.
    pub fn restarts(&self) -> u32 {
        self.record.as_ref().map_or(0, |record| record.restarts)
    }

    /// Why it was started again, oldest first.
    pub fn restart_causes(&self) -> &[RestartRecord] {
        self.record.as_ref().map_or(&[], |record| &record.causes)
    }

    /// Returns who enforces each limit.
    pub fn limits(&self) -> BTreeMap<Resource, LimitEnforcer> {
        self.record.as_ref().map(|record| record.limits.clone()).unwrap_or_default()
    }

    /// Why it is in its state, in a few words.
    pub fn reason(&self) -> Option<String> {
        if self.problem.is_some() {
            return self.problem.clone();
        }
        let record = self.record.as_ref()?;
        if self.state == RunState::NotStarted {
            return Some("not since the system was started".into());
        }
        let ended = || match (record.exit_code, record.signal) {
            (Some(code), _) => Some(format!("exit code {code}")),
            (None, Some(signal)) => Some(format!("signal {signal}")),
            (None, None) => None,
        };
        match self.state {
            RunState::Starting | RunState::CrashLooping | RunState::Unhealthy => {
                record.last_error.clone().or_else(|| {
                    let last =
                        record.causes.last().filter(|_| record.running_since.is_none() || record.child.is_none())?;
                    Some(format!("starts again: {}", last.why))
                })
            }
            RunState::Failed => record.note.clone().or_else(ended),
            RunState::Stopped if record.outcome == Some(ProcessOutcome::Succeeded) => ended(),
            _ => None,
        }
    }
}

/// The fields of this room's records, beside those of all records.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RecordLabels {
    pub name: String,
    pub project: PathBuf,
    pub definition: Definition,
}

impl RecordLabels {
    pub fn from_supervised(one: &SupervisedProcess) -> Option<Self> {
        Self::deserialize(&one.record.labels).ok()
    }

    pub fn to_labels(&self) -> aiw_supervisor::Labels {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::Object(fields)) => fields,
            _ => aiw_supervisor::Labels::new(),
        }
    }
}
