//! The record of a process. It is the authority on the process, and is always replaced as a whole.

use std::collections::BTreeMap;
use std::path::PathBuf;

use aiw_core::{ProcessId, ProcessOutcome, ProcessState};
use serde::{Deserialize, Serialize};

use crate::announced::EventContext;
use crate::program::{LimitEnforcer, Resource};
use crate::root::Root;

/// A description of a process that has no meaning in this crate. Fields that a newer aiw has added to a record are
/// part of the labels, and are kept when this version writes the record.
pub type Labels = serde_json::Map<String, serde_json::Value>;

/// A process in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pid {
    /// The process id.
    pub pid: u32,
    /// When the process started.
    pub start: u64,
}

/// How many restarts a record keeps, with their causes.
pub const MAX_CAUSES: usize = 100;

/// Why and when a process was started again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartRecord {
    /// When its end was noticed, in milliseconds since 1970.
    pub time: u64,
    /// Why it was started again, as a phrase: `exit code 1`.
    pub why: String,
}

/// The record of a supervised process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessRecord {
    /// The version of the format.
    pub version: u32,
    /// The id, which is also the name of the directory.
    pub id: ProcessId,
    /// The root that the process belongs to.
    pub root: Root,
    /// The state of the process.
    pub state: ProcessState,
    /// How the process ended.
    #[serde(default)]
    pub outcome: Option<ProcessOutcome>,
    /// The exit code, if the process exited.
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// The signal that ended the process, or that asked it to end.
    #[serde(default)]
    pub signal: Option<i32>,
    /// Whether somebody asked it to end before it ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
    /// When the process was started, in milliseconds since 1970.
    pub started: u64,
    /// Since when the process runs.
    #[serde(default)]
    pub running_since: Option<u64>,
    /// When the process ended.
    #[serde(default)]
    pub ended: Option<u64>,
    /// The working directory.
    pub cwd: PathBuf,
    /// Other notable facts: why the process failed to start or was lost, or that memory is not limited.
    #[serde(default)]
    pub note: Option<String>,
    /// The number of processes above it.
    #[serde(default)]
    pub depth: u8,
    /// The process directly above it.
    #[serde(default)]
    pub parent: Option<ProcessId>,
    /// How long the process may run, in milliseconds.
    #[serde(default)]
    pub timeout: Option<u64>,
    /// How often the shim has started the process again after an end.
    #[serde(default, skip_serializing_if = "is_none")]
    pub restarts: u32,
    /// The newest restarts, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<RestartRecord>,
    /// Whether the process is ready, if there is a probe for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
    /// Why the process runs but does not work, or what it waits for before it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// How each limit on resources is enforced.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<Resource, LimitEnforcer>,
    /// How often a caller has started the process again under its id.
    #[serde(default, skip_serializing_if = "is_none")]
    pub incarnation: u32,
    /// How events name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announced: Option<EventContext>,
    /// The shim that supervises the process.
    pub shim: Pid,
    /// The process, which is also the leader of its process group.
    #[serde(default)]
    pub child: Option<Pid>,
    /// Distinguishes the process from any other with the same id.
    pub instance: u64,
    /// Named files, in memory where the system can, which are removed when the process has ended.
    #[serde(default)]
    pub files: Vec<PathBuf>,
    /// The namespace of the process ids.
    pub pid_namespace: u64,
    /// The boot of the system that the process ids belong to.
    #[serde(default)]
    pub boot: Option<String>,
    /// All other fields.
    #[serde(flatten)]
    pub labels: Labels,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
fn is_none(count: &u32) -> bool {
    *count == 0
}

/// Returns what tells this boot of the system from others, if the system says it.
pub fn boot_id() -> Option<&'static str> {
    #[cfg(unix)]
    return crate::platform::boot_id();
    #[cfg(not(unix))]
    return None;
}

impl ProcessRecord {
    /// Returns whether the process was started since the system was. No process survives a reboot.
    pub fn is_from_current_boot(&self) -> bool {
        self.boot.as_deref() == boot_id()
    }

    /// Adds a sentence to the note.
    #[cfg(unix)]
    pub(crate) fn add_note(&mut self, sentence: &str) {
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
