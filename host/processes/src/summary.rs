//! Processes as views show them and programs read them.

use std::collections::{BTreeMap, BTreeSet};

use aiw_core::one_line;
use aiw_home::rfc3339;
use aiw_supervisor::{LimitEnforcer, ProcessUsage, Resource};
use schemars::JsonSchema;
use serde::Serialize;

use crate::definition::{CommandSpec, DefinitionSource, EventHook, RestartCondition};
use crate::error::ProcessError;
use crate::manager::{LoadedDefinitions, Manager};
use crate::state::{ProcessStatus, RunState};

/// `aiw ps`, `up -d`, `start`, `restart`
#[warn(missing_docs)]
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct ProcessSummaries {
    /// The processes
    pub processes: Vec<ProcessSummary>,
}

/// `aiw down`, `stop`
#[warn(missing_docs)]
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct StoppedProcesses {
    /// The ids of those that were stopped
    pub stopped: Vec<String>,
}

/// A process
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ProcessSummary {
    /// Its id in the project
    pub id: String,
    /// The project's directory
    pub project: String,
    /// `not_started`, `starting`, `crash_looping`, `running`, `unhealthy`, `stopping`, `stopped` or `failed`
    #[schemars(with = "String")]
    pub state: RunState,
    /// Why it is in that state
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The command line
    pub command: String,
    /// Whether a shell reads the command line
    pub shell: bool,
    /// Whether it takes input: its standard input stays open, or it has a terminal
    pub stdin_open: bool,
    /// Where its definition is: `file` or `home`; absent if it is gone
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub source: Option<DefinitionSource>,
    /// The group that it belongs to
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The TCP ports that it listens on, with its descendants
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub ports: BTreeSet<u16>,
    /// Its process id, while it runs
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Whether it is ready, if there is a probe for that
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
    /// The exit code of its last end
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal of its last end
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// `no`, `on-failure`, `always` or `unless-stopped`
    #[schemars(with = "String")]
    pub restart: RestartCondition,
    /// How often it was started again
    pub restarts: u32,
    /// The newest restarts, oldest first
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub restart_reasons: Vec<RestartCause>,
    /// When it was started
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// Since when it runs
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// When it ended
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// When it is started next, by its `cron`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_run_at: Option<String>,
    /// Its last lines, if it has failed
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<String>,
    /// The enforcer of each limit: `kernel`, `watched` or `none`, by resource
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub limits: BTreeMap<Resource, LimitEnforcer>,
    /// Its usage now, with its descendants
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<UsageSummary>,
    /// Whether nothing defines it any more, as far as that was looked at.
    #[serde(skip)]
    is_gone: bool,
}

/// Why a process was started again
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RestartCause {
    /// When
    pub time: String,
    /// Why, as a phrase
    pub reason: String,
}

/// The usage of a process
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct UsageSummary {
    /// The number of processes
    pub processes: usize,
    /// The resident memory in bytes
    pub memory: u64,
    /// The processor time so far, in milliseconds
    pub cpu_ms: u64,
}

impl ProcessSummary {
    /// Returns a process as it is shown. Texts that others wrote are made short.
    pub fn new(status: &ProcessStatus) -> Self {
        let record = status.record.as_ref().filter(|record| record.is_from_current_boot());
        let time = |time: Option<u64>| time.map(rfc3339);
        let definition = &status.definition;
        let causes = status.restart_causes().iter().rev().take(10).rev();
        let alive = status.state.is_alive();
        Self {
            id: status.id.clone(),
            project: status.project.to_string_lossy().into_owned(),
            state: status.state,
            reason: status.reason().map(|reason| one_line(&reason, 300)),
            command: one_line(&definition.run.redacted().command_line(), 300),
            shell: matches!(definition.run, CommandSpec::Shell(_)),
            stdin_open: definition.accepts_input(),
            source: status.source,
            group: definition.group.clone(),
            ports: BTreeSet::new(),
            pid: status.pid(),
            ready: record.filter(|_| alive).and_then(|record| record.ready),
            exit_code: record.and_then(|record| record.exit_code),
            signal: record.and_then(|record| record.signal),
            restart: definition.restart.when,
            restarts: status.restarts(),
            restart_reasons: causes
                .map(|c| RestartCause { time: rfc3339(c.time), reason: one_line(&c.why, 200) })
                .collect(),
            started: time(record.map(|record| record.started)),
            started_at: time(record.filter(|_| status.pid().is_some()).and_then(|record| record.running_since)),
            ended: time(record.filter(|_| !alive).and_then(|record| record.ended)),
            limits: status.limits(),
            last_lines: status.last_lines.clone(),
            next_run_at: status.next_run_at.clone(),
            usage: None,
            is_gone: false,
        }
    }

    /// Whether it can be started again: it is still defined, and is not the program of a hook, which only an event starts.
    pub fn can_start(&self) -> bool {
        !self.is_gone && !self.id.starts_with(EventHook::PREFIX)
    }

    /// Why it is in its state, and, behind a bar, what it wrote last if it has failed.
    pub fn reason_text(&self) -> String {
        let gone = self.is_gone.then_some("no longer defined");
        let why = [gone, self.reason.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(": ");
        match self.last_lines.last() {
            Some(last) => format!("{why} │ {last}"),
            None => why,
        }
    }
}

impl Manager {
    /// Returns the processes of the project, or of all projects, after it has looked after those of the project.
    /// Returns also why the project's file can't be used: what runs is shown all the same.
    ///
    /// # Errors
    ///
    /// The records can't be read.
    pub fn ps(&self, all: bool, with_usage: bool) -> Result<(ProcessSummaries, Option<ProcessError>), ProcessError> {
        let (loaded, problem) = match self.load() {
            Ok(loaded) => (loaded, None),
            Err(error) => (LoadedDefinitions::default(), Some(error)),
        };
        let own = self.reconciled_statuses(&loaded)?;
        let listed = if all { self.list_all()? } else { own };
        let mut processes = self.summaries(&listed, with_usage);
        // A list of all projects does not read their files.
        if !all && problem.is_none() {
            processes.iter_mut().for_each(|process| process.is_gone = process.source.is_none());
        }
        Ok((ProcessSummaries { processes }, problem.filter(|_| !all)))
    }

    /// Returns processes as they are shown, with the ports that they listen on, and with what they use.
    pub fn summaries(&self, statuses: &[ProcessStatus], with_usage: bool) -> Vec<ProcessSummary> {
        let records: Vec<_> = statuses.iter().filter_map(|status| status.record.as_ref()).collect();
        let is_alive = statuses.iter().any(|status| status.state.is_alive());
        let mut used = if with_usage { self.processes.usage(&records) } else { Vec::new() }.into_iter();
        let mut ports = if is_alive { self.processes.ports(&records) } else { Vec::new() }.into_iter();
        let of = |status: &ProcessStatus| {
            let mut summary = ProcessSummary::new(status);
            if status.record.is_some() {
                summary.usage = used.next().flatten().map(UsageSummary::of);
                summary.ports = ports.next().unwrap_or_default();
            }
            summary
        };
        statuses.iter().map(of).collect()
    }
}

impl UsageSummary {
    fn of(ProcessUsage { processes, memory, cpu }: ProcessUsage) -> Self {
        Self { processes, memory, cpu_ms: cpu }
    }
}
