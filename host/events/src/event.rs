//! An event, as it is written and shown.

use std::fmt;
use std::path::PathBuf;

use aiw_core::one_line;
use aiw_home::now_rfc3339;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most characters of a text in an event.
const MAX_TEXT_LEN: usize = 200;

aiw_core::string_enum! {
    /// The kind of an event.
    #[warn(missing_docs)]
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    pub enum EventKind, "kind of event" {
        /// It was started.
        Started = "started",
        /// It is ready, as its probe says.
        Ready = "ready",
        /// Its probe fails, or it is not ready in time; a provider does not answer as it should.
        Unhealthy = "unhealthy",
        /// It works again.
        Recovered = "recovered",
        /// It reached a limit of what it may use.
        LimitReached = "limit_reached",
        /// It has ended. It may be started again.
        Exited = "exited",
        /// It was started again, as its definition says.
        Restarted = "restarted",
        /// It was not started: what it needs did not come about, it still runs at its time, or it can't be.
        StartSkipped = "start_skipped",
        /// It has ended because somebody wanted it to.
        Stopped = "stopped",
        /// It has ended without success, and is not started again.
        Failed = "failed",
        /// It has ended, and did not fail.
        Finished = "finished",
        /// It was to start at a time that nobody was awake for.
        Missed = "missed",
        /// Its definition was added, changed or removed.
        DefinitionChanged = "definition_changed",
        /// It defines tools, prompts or resources in another way than before, so they are blocked until somebody approves them.
        Changed = "changed",
        /// It lists other tools, prompts or resources than before, and none of them is blocked.
        ListChanged = "list_changed",
        /// It is not asked for a while.
        Cooldown = "cooldown",
        /// It is spent for its day or month.
        BudgetExceeded = "budget_exceeded",
    }
}

aiw_core::string_enum! {
    /// The kind of thing that an event is about.
    #[warn(missing_docs)]
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    pub enum EventSubject {
        /// A process of a project.
        Process = "process",
        /// A task.
        Task = "task",
        /// An MCP server behind aiw.
        Server = "server",
        /// A provider in a pool, or one that is checked from time to time.
        Provider = "provider",
        /// A budget.
        Budget = "budget",
        /// A run of continuous integration.
        Ci = "ci",
    }
}

/// An event
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HomeEvent {
    /// The time
    pub time: String,
    /// `started`, `ready`, `unhealthy`, `recovered`, `limit_reached`, `exited`, `restarted`, `start_skipped`, `stopped`, `failed`, `finished`, `missed`, `definition_changed`, `changed`, `list_changed`, `cooldown` or `budget_exceeded`
    #[schemars(with = "String")]
    pub kind: EventKind,
    /// `process`, `task`, `server`, `provider`, `budget` or `ci`
    #[schemars(with = "String")]
    pub subject: EventSubject,
    /// A process's id in its project, a task's CLI, the name of a server, provider or budget, or the number of a run of CI. Absent for a private run
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The directory of its project
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<PathBuf>,
    /// The id under which aiw supervises it, or that of a run of CI
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its starter: `you`, `up`, `need`, `restart`, `watch`, `cron`, `hook`, `an extension`, or the name that an MCP client gives itself
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Its process id
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Its exit code
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that ended it
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// The reason, as a phrase
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl HomeEvent {
    /// Returns an event of this moment, with nothing more.
    pub fn now(kind: EventKind, of: EventSubject) -> Self {
        Self {
            time: now_rfc3339(),
            kind,
            subject: of,
            name: None,
            project: None,
            id: None,
            actor: None,
            pid: None,
            exit_code: None,
            signal: None,
            reason: None,
        }
    }

    /// Returns the event with short texts, which can't break its line.
    pub(crate) fn to_truncated(&self) -> Self {
        let short = |text: &Option<String>| text.as_deref().map(|text| one_line(text, MAX_TEXT_LEN));
        Self { name: short(&self.name), actor: short(&self.actor), reason: short(&self.reason), ..self.clone() }
    }
}

impl fmt::Display for HomeEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().or(self.id.as_deref()).unwrap_or("?");
        let kind = match self.kind {
            EventKind::StartSkipped => "held back",
            EventKind::LimitReached => "reached a limit",
            EventKind::Changed => "has changed definitions, which are blocked",
            EventKind::ListChanged => "lists other tools than before",
            EventKind::BudgetExceeded => "is used up",
            kind => kind.as_str(),
        };
        write!(f, "{} {name} {kind}", self.subject)?;
        if let Some(by) = self.actor.as_deref() {
            write!(f, " by {by}")?;
        }
        match (self.exit_code, self.signal) {
            (Some(code), _) => write!(f, ": exit code {code}")?,
            (None, Some(signal)) => write!(f, ": signal {signal}")?,
            (None, None) => {}
        }
        self.reason.as_deref().map_or(Ok(()), |why| write!(f, ": {why}"))
    }
}
