//! What the verbs answer, as every view shows it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::gather::SkippedFile;
use crate::generated::PendingInstall;

/// A store that began or was joined.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StoreSetup {
    /// Where it is.
    pub remote: String,
    /// How this machine is called in it.
    pub machine: String,
    /// Four words that are the same on every machine of the store.
    pub fingerprint: String,
    /// How many snapshots it holds.
    pub snapshots: usize,
}

/// The result of a push.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SyncPush {
    /// The snapshot; none if nothing was new.
    pub snapshot: Option<String>,
    /// Its files.
    pub files: usize,
    /// Its sealed size in bytes.
    pub bytes: usize,
    /// The files that differ from what was there.
    pub changed: Vec<String>,
    /// Files that were left out.
    pub skipped: Vec<SkippedFile>,
    /// Snapshots that nobody needs any more, and that were deleted.
    pub pruned: usize,
}

/// A file that a pull or a restore changes.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SyncChange {
    /// The file: `claude:settings.json`.
    pub path: String,
    /// `added`, `changed` or `removed`.
    pub change: &'static str,
    /// The most that any of it does: `sets`, `instructs`, `starts`.
    pub effect: &'static str,
    /// Its changes, a line each.
    pub lines: Vec<String>,
}

/// A conflict between this machine and another one.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SyncConflict {
    /// The file.
    pub path: String,
    /// The key in it; none if the whole file conflicts.
    pub key: Option<String>,
    /// The value here.
    pub mine: Option<String>,
    /// The value there.
    pub theirs: Option<String>,
    /// The machine that has the other one.
    pub machine: String,
    /// The decision: `skip`, `mine`, `theirs`, `edited`.
    pub answer: &'static str,
}

/// The result of a pull, or what it would be.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SyncPull {
    /// Whether files were changed.
    pub applied: bool,
    /// The files.
    pub changes: Vec<SyncChange>,
    /// The conflicts.
    pub conflicts: Vec<SyncConflict>,
    /// Files that can't be merged.
    pub unreadable: Vec<SkippedFile>,
    /// Files that somebody changed meanwhile. They stayed as they are.
    pub skipped: Vec<String>,
    /// How many files of other machines don't travel to this one.
    pub ignored: usize,
    /// The digest of what starts programs, for `--allow-executable`.
    pub executable: Option<String>,
    /// AI CLIs that run now, and read some of these files only when they start.
    pub running: Vec<String>,
    /// Things that are installed on other machines of yours, and not here.
    pub pending_installs: Vec<PendingInstall>,
}

/// How a store and this machine stand.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StoreStatus {
    /// The remote.
    pub remote: String,
    /// How this machine is called.
    pub machine: String,
    /// Four words that are the same on every machine of the store.
    pub fingerprint: Option<String>,
    /// Files that differ from what was pushed.
    pub unpushed: Vec<String>,
    /// Files that can't travel now.
    pub skipped: Vec<SkippedFile>,
    /// The newest snapshot of each machine that was seen.
    pub machines: Vec<StoreMachine>,
    /// Things that are installed on other machines of yours, and not here.
    pub pending_installs: Vec<PendingInstall>,
}

/// A machine of a store.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StoreMachine {
    /// Its id.
    pub id: String,
    /// How many snapshots it wrote.
    pub snapshots: u64,
    /// Whether the newest is merged here.
    pub merged: bool,
}

/// The snapshots of a store.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StoreListing {
    /// The newest first.
    pub snapshots: Vec<StoreSnapshot>,
}

/// A snapshot of a store.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StoreSnapshot {
    /// Its name, for `diff` and `restore`.
    pub name: String,
    /// The machine.
    pub machine: String,
    /// When it was made, by the machine's clock.
    pub time: String,
    /// How many files it has.
    pub files: usize,
    /// Whether it is in no other one.
    pub head: bool,
    /// Whether it is merged here.
    pub merged: bool,
}

/// The difference between this machine and a snapshot.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SyncDifference {
    /// The snapshot.
    pub snapshot: String,
    /// The files.
    pub changes: Vec<SyncChange>,
}

/// The result of an undo.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SyncUndo {
    /// The verb that was undone: `pull` or `restore`.
    pub operation: String,
    /// When that was done.
    pub time: String,
    /// The files that are as they were before.
    pub files: Vec<String>,
    /// The files that somebody changed since. They stay as they are.
    pub skipped: Vec<String>,
}

/// The changes to files here.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SyncLog {
    /// The newest first.
    pub entries: Vec<SyncLogEntry>,
}

/// A change to files here.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SyncLogEntry {
    /// When.
    pub time: String,
    /// `pull` or `restore`.
    pub operation: String,
    /// The files.
    pub files: Vec<String>,
}

/// The result of a change of the phrase.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SyncRekey {
    /// Four words that are the same on every machine that has the new phrase.
    pub fingerprint: String,
    /// The first snapshot of the new store.
    pub snapshot: String,
}

/// A file of the table.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SyncRuleSummary {
    /// The pattern: `claude:agents/`.
    pub path: String,
    /// `always`, `on-request` or `never`.
    pub policy: String,
    /// Whether it goes from and to this machine.
    pub included: bool,
    /// `sets`, `instructs` or `starts`.
    pub effect: String,
    /// Why it stays, or travels on request only.
    pub reason: String,
    /// Keys that are not like the rest of the file, each with whether it travels.
    pub keys: Vec<String>,
}
