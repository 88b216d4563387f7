//! The definition of a task.

use std::path::PathBuf;

use aiw_core::{CliKind, ProcessId, ProcessOutcome, ProcessState, one_line};
use aiw_supervisor::{Labels, ProcessRecord, SupervisedProcess};
use serde::{Deserialize, Serialize};

/// The maximum number of characters of each text that describes a task.
const MAX_TEXT_LEN: usize = 400;

/// The tokens that a CLI says it used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskUsage {
    /// Read by the model, including cached tokens if the CLI counts them.
    pub input: u64,
    /// Written by the model.
    pub output: u64,
    /// Read from the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<u64>,
    /// Put into the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_written: Option<u64>,
    /// Of those put into the cache, those that stay for an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_written_1h: Option<u64>,
    /// Spent on reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<u64>,
}

/// The properties of a task that a plain process does not have: those given at the start, and those that its CLI's
/// stream reveals later. They are stored in the record as labels. All of it may be shown: secrets belong in
/// [`Program`](crate::Program). Texts are as in the record; callers that print them use [`aiw_core::printable`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskDescription {
    /// The CLI.
    pub cli: CliKind,
    /// The name of the provider.
    #[serde(default)]
    pub provider: Option<String>,
    /// The name of the role, or the names.
    #[serde(default)]
    pub role: Option<String>,
    /// A word that the user chose.
    #[serde(default)]
    pub tag: Option<String>,
    /// The requested model.
    #[serde(default)]
    pub model: Option<String>,
    /// The model that answers, as far as it is known: the requested one, or the provider's.
    #[serde(default)]
    pub answering_model: Option<String>,
    /// The CLI's permissions: `default`, `edit`, ….
    pub permission: String,
    /// A flag that the user passed through and that disables the CLI's own guards.
    #[serde(default)]
    pub bypass: Option<String>,
    /// The beginning of the prompt, put on one line and cut.
    pub prompt: String,
    /// The CLI's own session, either chosen for it or reported by it.
    #[serde(default)]
    pub session: Option<String>,
    /// Whether the CLI has a configuration directory of its own.
    #[serde(default)]
    pub isolated: bool,
    /// Whether its session is to be kept out of the history.
    #[serde(default)]
    pub private: bool,
    /// The CLI's own arguments that the user gave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
    /// Whether it reaches its provider through the gateway, which counts what it uses.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gateway: bool,
    /// The final message of the CLI, cut at 32 KiB.
    #[serde(default)]
    pub final_message: Option<String>,
    /// The tokens that the CLI used.
    #[serde(default)]
    pub usage: Option<TaskUsage>,
    /// The cost in US dollars.
    #[serde(default)]
    pub cost_usd: Option<f64>,
}

impl TaskDescription {
    /// Returns a run of a CLI without any other properties.
    pub fn new(cli: CliKind, permission: impl Into<String>, prompt: impl Into<String>) -> Self {
        Self {
            cli,
            provider: None,
            role: None,
            tag: None,
            model: None,
            answering_model: None,
            permission: permission.into(),
            bypass: None,
            prompt: prompt.into(),
            session: None,
            isolated: false,
            private: false,
            arguments: Vec::new(),
            gateway: false,
            final_message: None,
            usage: None,
            cost_usd: None,
        }
    }

    /// Returns the labels for the record, with each text on one line and cut.
    pub(crate) fn labels(&self) -> Labels {
        let Ok(serde_json::Value::Object(mut labels)) = serde_json::to_value(self) else { return Labels::new() };
        for value in labels.values_mut() {
            if let Some(text) = value.as_str() {
                *value = one_line(text, MAX_TEXT_LEN).into();
            }
        }
        labels
    }

    /// Returns a short form for the table in shared memory. That outlives the task, so it has no word of a private one.
    pub(crate) fn label(&self) -> Vec<u8> {
        let provider = self.provider.as_deref().unwrap_or("-");
        let prompt = if self.private { "-".to_owned() } else { one_line(&self.prompt, MAX_TEXT_LEN) };
        format!("{} {provider} {prompt}", self.cli).into_bytes()
    }

    /// Reads the properties from labels. Returns an error if the labels are not those of a task that this aiw knows.
    pub fn from_labels(labels: &Labels) -> Result<Self, serde_json::Error> {
        use serde::de::IntoDeserializer;
        Self::deserialize(serde_json::Value::Object(labels.clone()).into_deserializer())
    }
}

/// A task, as it was when it was read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Task {
    /// The id.
    pub id: ProcessId,
    /// The properties of the task.
    #[serde(flatten)]
    pub about: TaskDescription,
    /// The process id of the CLI, once there is one.
    pub pid: Option<u32>,
    /// The process id of the root of the session.
    pub root_pid: u32,
    /// The state of the task.
    pub state: ProcessState,
    /// How the task ended.
    pub outcome: Option<ProcessOutcome>,
    /// The CLI's exit code, if it exited.
    pub exit_code: Option<i32>,
    /// The signal that ended the CLI, or that asked it to end.
    pub signal: Option<i32>,
    /// Whether somebody stopped it.
    pub stopped: bool,
    /// When the task was started, in milliseconds since 1970.
    pub started: u64,
    /// When the CLI was started, in milliseconds since 1970; later than `started` if the task was queued.
    pub running_since: Option<u64>,
    /// When the task ended, in milliseconds since 1970.
    pub ended: Option<u64>,
    /// Whether the task has ended and no report has shown that.
    pub unread: bool,
    /// The working directory of the CLI.
    pub cwd: PathBuf,
    /// The live log file.
    pub log: PathBuf,
    /// Other notable facts: why the task failed to start or was lost, or that memory is not limited.
    pub note: Option<String>,
    /// The number of tasks above it.
    pub depth: u8,
    /// The task directly above it.
    pub parent: Option<ProcessId>,
    /// How long the task may run, in milliseconds.
    pub timeout: Option<u64>,
}

impl TryFrom<SupervisedProcess> for Task {
    type Error = serde_json::Error;

    fn try_from(
        SupervisedProcess { record, directory, is_seen: shown, .. }: SupervisedProcess,
    ) -> Result<Self, Self::Error> {
        let about = TaskDescription::from_labels(&record.labels)?;
        let ProcessRecord {
            id, state, outcome, exit_code, signal, stopped, started, running_since, ended, note, ..
        } = record;
        Ok(Self {
            id,
            about,
            pid: record.child.map(|child| child.pid),
            root_pid: record.root.pid().unwrap_or(0),
            state,
            outcome,
            exit_code,
            signal,
            stopped,
            started,
            running_since,
            ended,
            unread: state == ProcessState::Ended && !shown,
            cwd: record.cwd,
            log: directory.join("log"),
            note,
            depth: record.depth,
            parent: record.parent,
            timeout: record.timeout,
        })
    }
}

/// How waiting for tasks ended.
pub type TaskWait = aiw_supervisor::WaitOutcome<Task>;

/// The result of a request to stop a task.
pub type TaskStop = aiw_supervisor::StopOutcome<Task>;
