//! Processes as views show them and programs read them.

use std::collections::{BTreeMap, BTreeSet};

use aiw_core::one_line;
use aiw_home::rfc3339;
use aiw_supervisor::{Enforced, Resource, Usage};
use schemars::JsonSchema;
use serde::Serialize;

use crate::definition::Run;
use crate::state::Status;

/// A process
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ProcessSummary {
    /// Its id in the project
    pub id: String,
    /// The project's directory
    pub project: String,
    /// `not_started`, `starting`, `crash_looping`, `running`, `unhealthy`, `stopping`, `stopped` or `failed`
    pub state: &'static str,
    /// Why it is in that state
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The command line
    pub command: String,
    /// Whether a shell reads the command line
    pub shell: bool,
    /// Where its definition is: `file` or `home`; absent if it is gone
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<&'static str>,
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
    pub restart: &'static str,
    /// How often it was started again
    pub restarts: u32,
    /// The newest restarts, oldest first
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<RestartCause>,
    /// When it was started
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// Since when it runs
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running_since: Option<String>,
    /// When it ended
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// What it wrote last, if it has failed
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<String>,
    /// Who enforces its limits: `kernel`, `watched` or `none`, by resource
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<&'static str, &'static str>,
    /// What it uses now, with its descendants
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<UsageSummary>,
}

/// Why a process was started again
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RestartCause {
    /// When
    pub time: String,
    /// Why, as a phrase
    pub why: String,
}

/// What a process uses
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
    pub fn of(status: &Status) -> Self {
        let record = status.record.as_ref().filter(|record| record.is_since_boot());
        let time = |time: Option<u64>| time.map(rfc3339);
        let definition = &status.definition;
        let causes = status.causes().iter().rev().take(10).rev();
        let alive = status.state.is_alive();
        Self {
            id: status.id.clone(),
            project: status.project.to_string_lossy().into_owned(),
            state: status.state.as_str(),
            reason: status.reason().map(|reason| one_line(&reason, 300)),
            command: one_line(&definition.run.shown().line(), 300),
            shell: matches!(definition.run, Run::Shell(_)),
            source: status.source.map(crate::Source::as_str),
            group: definition.group.clone(),
            ports: BTreeSet::new(),
            pid: status.pid(),
            ready: record.filter(|_| alive).and_then(|record| record.ready),
            exit_code: record.and_then(|record| record.exit_code),
            signal: record.and_then(|record| record.signal),
            restart: definition.restart.when.as_str(),
            restarts: status.restarts(),
            causes: causes.map(|c| RestartCause { time: rfc3339(c.time), why: one_line(&c.why, 200) }).collect(),
            started: time(record.map(|record| record.started)),
            running_since: time(record.filter(|_| status.pid().is_some()).and_then(|record| record.running_since)),
            ended: time(record.filter(|_| !alive).and_then(|record| record.ended)),
            limits: status.limits().into_iter().map(|(resource, by)| (name(resource), who(by))).collect(),
            last_lines: status.last_lines.clone(),
            usage: None,
        }
    }

    /// Why it is in its state, and, behind a bar, what it wrote last if it has failed.
    pub fn why(&self) -> String {
        let why = self.reason.as_deref().unwrap_or_default();
        match self.last_lines.last() {
            Some(last) => format!("{why} │ {last}"),
            None => why.to_owned(),
        }
    }

    /// Adds the ports that the process listens on.
    #[must_use]
    pub fn with_ports(self, ports: BTreeSet<u16>) -> Self {
        Self { ports, ..self }
    }

    /// Adds what the process uses.
    #[must_use]
    pub fn with_usage(self, usage: Option<Usage>) -> Self {
        let usage = usage.map(|Usage { processes, memory, cpu }| UsageSummary { processes, memory, cpu_ms: cpu });
        Self { usage, ..self }
    }
}

fn name(resource: Resource) -> &'static str {
    match resource {
        Resource::Memory => "memory",
        Resource::Cpu => "cpu",
        Resource::Pids => "pids",
        Resource::Files => "files",
    }
}

fn who(by: Enforced) -> &'static str {
    match by {
        Enforced::Kernel => "kernel",
        Enforced::Watched => "watched",
        Enforced::None => "none",
    }
}
