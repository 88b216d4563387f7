//! The record of a process: the truth about it, replaced as a whole.

use std::path::PathBuf;

use aiw_core::{TaskId, TaskOutcome, TaskState};
use serde::{Deserialize, Serialize};

use crate::root::Root;

/// What a process is, in words that mean nothing here. What a newer aiw has put into a record is among them, and
/// stays when this one writes it.
pub type Labels = serde_json::Map<String, serde_json::Value>;

/// A process as it is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pid {
    /// Its id.
    pub pid: u32,
    /// When it started.
    pub start: u64,
}

/// What is known of a supervised process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// How it is to be read.
    pub version: u32,
    /// Its id, which names its directory.
    pub id: TaskId,
    /// The root of its session.
    pub root: Root,
    /// Where it is in its life.
    pub state: TaskState,
    /// How it ended.
    #[serde(default)]
    pub outcome: Option<TaskOutcome>,
    /// The exit code, if it exited.
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// The signal that ended it, or that it was asked to end by.
    #[serde(default)]
    pub signal: Option<i32>,
    /// When it was started, in milliseconds since 1970.
    pub started: u64,
    /// Since when it runs.
    #[serde(default)]
    pub running_since: Option<u64>,
    /// When it ended.
    #[serde(default)]
    pub ended: Option<u64>,
    /// Where it works.
    pub cwd: PathBuf,
    /// What else is to be known: why it failed to start or was lost, that memory is not limited.
    #[serde(default)]
    pub note: Option<String>,
    /// How many stand above it.
    #[serde(default)]
    pub depth: u8,
    /// The process right above it.
    #[serde(default)]
    pub parent: Option<TaskId>,
    /// How long it may run, in milliseconds.
    #[serde(default)]
    pub timeout: Option<u64>,
    /// How often it was started again after it had ended by itself.
    #[serde(default, skip_serializing_if = "is_none")]
    pub restarts: u32,
    /// How often somebody has started it again under its id.
    #[serde(default, skip_serializing_if = "is_none")]
    pub incarnation: u32,
    /// What supervises it.
    pub shim: Pid,
    /// The process, which is also the leader of its group.
    #[serde(default)]
    pub child: Option<Pid>,
    /// Tells it from any other with its id.
    pub instance: u64,
    /// Named files in memory, which go when it has ended.
    #[serde(default)]
    pub files: Vec<PathBuf>,
    /// The namespace that the process ids belong to.
    pub pid_namespace: u64,
    /// The system's start that they belong to, too.
    #[serde(default)]
    pub boot: Option<String>,
    /// All else.
    #[serde(flatten)]
    pub labels: Labels,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
fn is_none(count: &u32) -> bool {
    *count == 0
}

impl Record {
    /// Adds a sentence to the note.
    #[cfg(unix)]
    pub(crate) fn note(&mut self, sentence: &str) {
        match &mut self.note {
            Some(note) if note.contains(sentence) => {}
            Some(note) => {
                note.push_str("; ");
                note.push_str(sentence);
            }
            None => self.note = Some(sentence.to_owned()),
        }
    }
}
