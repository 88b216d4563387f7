//! What a task is.

use std::path::PathBuf;

use aiw_core::{CliKind, TaskId, TaskOutcome, TaskState, one_line};
use aiw_supervisor::{Labels, Record, Supervised};
use serde::{Deserialize, Serialize};

/// The most characters of each text that a task is told by.
const TEXT: usize = 400;

/// Tokens that a CLI says it used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Read by the model, cached ones included where the CLI counts so.
    pub input: u64,
    /// Written by the model.
    pub output: u64,
    /// Read from the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<u64>,
    /// Spent on reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<u64>,
}

/// What a task is, besides a process: what is said of it when it is started, and what its CLI's stream tells later.
/// It stands in the record as labels. All of it may be shown: secrets belong in [`Program`](crate::Program). Texts
/// are those of the record: [`aiw_core::printable`] is for whoever prints them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// Which CLI.
    pub cli: CliKind,
    /// The provider's name.
    #[serde(default)]
    pub provider: Option<String>,
    /// The role's name, or names.
    #[serde(default)]
    pub role: Option<String>,
    /// A word of the user's own.
    #[serde(default)]
    pub tag: Option<String>,
    /// The model that was asked for.
    #[serde(default)]
    pub model: Option<String>,
    /// What the CLI may do: `default`, `edit`, ….
    pub permission: String,
    /// A flag that the user passed through and that lifts the CLI's own guards.
    #[serde(default)]
    pub bypass: Option<String>,
    /// The beginning of the prompt; it is put on one line and cut.
    pub prompt: String,
    /// The CLI's own session, chosen for it or told by it.
    #[serde(default)]
    pub session: Option<String>,
    /// Whether the CLI has a configuration directory of its own.
    #[serde(default)]
    pub isolated: bool,
    /// The CLI's last words, cut at 32 KiB.
    #[serde(default)]
    pub final_message: Option<String>,
    /// The tokens that it used.
    #[serde(default)]
    pub usage: Option<Usage>,
    /// What it cost, in US dollars.
    #[serde(default)]
    pub cost_usd: Option<f64>,
}

impl About {
    /// A run of a CLI, with nothing else said of it.
    pub fn new(cli: CliKind, permission: impl Into<String>, prompt: impl Into<String>) -> Self {
        Self {
            cli,
            provider: None,
            role: None,
            tag: None,
            model: None,
            permission: permission.into(),
            bypass: None,
            prompt: prompt.into(),
            session: None,
            isolated: false,
            final_message: None,
            usage: None,
            cost_usd: None,
        }
    }

    /// The labels of a record, each text on one line and cut.
    pub(crate) fn labels(&self) -> Labels {
        let Ok(serde_json::Value::Object(mut labels)) = serde_json::to_value(self) else { return Labels::new() };
        for value in labels.values_mut() {
            if let Some(text) = value.as_str() {
                *value = one_line(text, TEXT).into();
            }
        }
        labels
    }

    /// The same in a few bytes, for the table in shared memory.
    pub(crate) fn label(&self) -> Vec<u8> {
        let provider = self.provider.as_deref().unwrap_or("-");
        format!("{} {provider} {}", self.cli, one_line(&self.prompt, TEXT)).into_bytes()
    }

    /// What labels say; an error if they are of no task that this aiw knows.
    pub(crate) fn of(labels: &Labels) -> Result<Self, serde_json::Error> {
        use serde::de::IntoDeserializer;
        Self::deserialize(serde_json::Value::Object(labels.clone()).into_deserializer())
    }
}

/// A task, as it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// What it is.
    #[serde(flatten)]
    pub about: About,
    /// The CLI's process, once there is one.
    pub pid: Option<u32>,
    /// The process at the root of its session.
    pub root_pid: u32,
    /// Where it is in its life.
    pub state: TaskState,
    /// How it ended.
    pub outcome: Option<TaskOutcome>,
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
    /// Where the CLI works.
    pub cwd: PathBuf,
    /// The live log file.
    pub log: PathBuf,
    /// What else is to be known: why it failed to start or was lost, that memory is not limited.
    pub note: Option<String>,
    /// How many tasks stand above it.
    pub depth: u8,
    /// The task right above it.
    pub parent: Option<TaskId>,
    /// How long it may run, in milliseconds.
    pub timeout: Option<u64>,
}

impl TryFrom<Supervised> for Task {
    type Error = serde_json::Error;

    fn try_from(Supervised { record, directory, unread, .. }: Supervised) -> Result<Self, Self::Error> {
        let about = About::of(&record.labels)?;
        let Record { id, state, outcome, exit_code, signal, started, running_since, ended, note, .. } = record;
        Ok(Self {
            id,
            about,
            pid: record.child.map(|child| child.pid),
            root_pid: record.root.pid,
            state,
            outcome,
            exit_code,
            signal,
            started,
            running_since,
            ended,
            unread,
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
pub type Waited = aiw_supervisor::Waited<Task>;

/// What became of a request to stop a task.
pub type Stopped = aiw_supervisor::Stopped<Task>;
