//! What this machine knows of its store: `~/.aiw/sync/state.json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aiw_home::{ExclusiveLock, Home, HomeError, Mode, make_private_dir, read_capped, remove_file, replace};
use serde::{Deserialize, Serialize};

use crate::generated::EncryptedDigests;
use crate::graph::matches_tracked_patterns;
use crate::object::{ObjectName, SeenSnapshot};
use crate::place::SyncPath;
use crate::policy::is_within;
use crate::snapshot::VectorClock;

const MAX_STATE_BYTES: u64 = 16 << 20;

const FORMAT_VERSION: u64 = 1;

/// The knowledge of this machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SyncState {
    version: u64,
    /// The remote, as the user gave it.
    pub(crate) remote: String,
    /// The id of this machine in the store.
    pub(crate) machine: String,
    /// Its name, as people call it.
    pub(crate) machine_name: String,
    /// The tag of the store in the names of its objects.
    pub(crate) store: String,
    /// How many snapshots this machine has written.
    pub(crate) counter: u64,
    /// The newest snapshot of each machine that was ever seen: older ones are refused later.
    pub(crate) known: VectorClock,
    /// The part that a merge or a push moves.
    pub(crate) files: MergedState,
    /// The sealed secrets that are those of the vault.
    #[serde(default, skip_serializing_if = "EncryptedDigests::is_empty")]
    pub(crate) secrets: EncryptedDigests,
    /// The snapshot that is being written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pushing: Option<PendingPush>,
    /// The newest snapshot of this machine, if the remote has an id for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) remote_id: Option<RemoteId>,
    /// The newest change to files here, which can be undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) change: Option<String>,
}

/// Paths, with all below them, that were left out of a merge, and the snapshots that were merged into each before.
pub(crate) type SkippedPaths = BTreeMap<String, VectorClock>;

/// How far the files here are merged with those of other machines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MergedState {
    /// The newest snapshots that are merged into the files here.
    pub(crate) merged: VectorClock,
    /// The patterns that were merged then.
    pub(crate) covers: Vec<String>,
    /// Paths that were left out of these, each with the snapshots that are merged into it.
    pub(crate) silent: SkippedPaths,
    /// Keys that were not decided when everything else was merged.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) held: UndecidedKeys,
    /// The digests of the travelling contents that the remote has. What differs is not pushed.
    pub(crate) pushed: BTreeMap<SyncPath, String>,
}

impl MergedState {
    /// Returns the snapshots that are merged into a path.
    pub(crate) fn merged_clock(&self, path: &SyncPath) -> VectorClock {
        if !matches_tracked_patterns(&self.covers, &[], path) {
            return VectorClock::new();
        }
        let left_out = self.silent.iter().find(|(left_out, _)| is_within(left_out, path));
        left_out.map_or_else(|| self.merged.clone(), |(_, before)| before.clone())
    }

    /// Returns the snapshots that are merged into any file or key.
    pub(crate) fn merged_snapshots(&self) -> impl Iterator<Item = (&String, &SeenSnapshot)> {
        let held = self.held.values().flatten().map(|held| &held.merged);
        std::iter::once(&self.merged).chain(self.silent.values()).chain(held).flatten()
    }

    /// Returns what waits of a file that is not merged after all.
    pub(crate) fn undecided_keys(&self, path: &SyncPath) -> Vec<UndecidedKey> {
        let whole = || vec![UndecidedKey { key: Vec::new(), merged: self.merged_clock(path) }];
        self.held.get(path).cloned().unwrap_or_else(whole)
    }
}

/// Keys that are not decided yet, by file.
pub(crate) type UndecidedKeys = BTreeMap<SyncPath, Vec<UndecidedKey>>;

/// A key of a file that is not merged like the rest, or the whole file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UndecidedKey {
    /// The key; empty for the whole file.
    pub(crate) key: Vec<String>,
    /// The snapshots that are merged into it.
    pub(crate) merged: VectorClock,
}

/// A snapshot that is being written: it may be at the remote, or not.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PendingPush {
    pub(crate) object: String,
    pub(crate) files: MergedState,
    /// The remote's id of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
}

/// A remote's id of an object. It finds the object where a listing or a search for its name lags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RemoteId {
    pub(crate) object: String,
    pub(crate) id: String,
}

impl SyncState {
    /// Returns the state of a machine that joins a store.
    pub(crate) fn new(remote: String, machine: String, machine_name: String, store: String) -> Self {
        Self {
            version: FORMAT_VERSION,
            remote,
            machine,
            machine_name,
            store,
            counter: 0,
            known: VectorClock::new(),
            files: MergedState::default(),
            secrets: EncryptedDigests::new(),
            pushing: None,
            remote_id: None,
            change: None,
        }
    }

    /// Takes over what a finished push wrote.
    pub(crate) fn finish(&mut self, PendingPush { object, files, id }: PendingPush) {
        self.pushing = None;
        self.remote_id = id.map(|id| RemoteId { object, id });
        let Some(own) = files.merged.get(&self.machine).cloned() else { return };
        let mut merged = self.files.merged.clone();
        merged.insert(self.machine.clone(), own.clone());
        if files.merged == merged {
            self.files = files;
        } else {
            // Its object was found late, and something else was merged meanwhile.
            self.files.merged = merged;
        }
        self.counter = self.counter.max(own.counter);
        self.known.insert(self.machine.clone(), own);
    }

    /// Notes that the object of a push was not found. It may still arrive, so no other one gets its number.
    pub(crate) fn skip_counter(&mut self) {
        let number = self.pushing.as_ref().and_then(|pushing| ObjectName::parse(&pushing.object));
        self.counter = self.counter.max(number.map_or(0, |name| name.counter));
    }
}

/// The directory of everything that synchronization keeps.
#[derive(Debug, Clone)]
pub(crate) struct SyncDirectory(PathBuf);

impl SyncDirectory {
    pub(crate) fn new(home: &Home) -> Self {
        Self(home.root().join("sync"))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    fn state(&self) -> PathBuf {
        self.0.join("state.json")
    }

    /// Waits for the turn to synchronize: one process at a time does.
    pub(crate) fn lock(&self) -> Result<ExclusiveLock, HomeError> {
        make_private_dir(&self.0)?;
        ExclusiveLock::acquire(&self.0.join(".turn"))
    }

    /// Whether this machine has a store. One call of `stat`.
    pub(crate) fn has_store(&self) -> bool {
        self.state().exists()
    }

    /// Reads the state; `None` if this machine has no store.
    pub(crate) fn load(&self) -> Result<Option<SyncState>, HomeError> {
        let path = self.state();
        let Some(bytes) = read_capped(&path, MAX_STATE_BYTES)? else { return Ok(None) };
        let invalid = |e: serde_json::Error| HomeError::Invalid { path: path.clone(), problem: e.to_string() };
        let state: SyncState = serde_json::from_slice(&bytes).map_err(invalid)?;
        if state.version > FORMAT_VERSION {
            let problem = "was written by a newer aiw".to_owned();
            return Err(HomeError::Invalid { path, problem });
        }
        Ok(Some(state))
    }

    pub(crate) fn save(&self, state: &SyncState) -> Result<(), HomeError> {
        make_private_dir(&self.0)?;
        let text = serde_json::to_vec_pretty(state)
            .map_err(|e| HomeError::Invalid { path: self.state(), problem: e.to_string() })?;
        replace(&self.state(), &text, Mode::Private)
    }

    /// Forgets the store. The files stay as they are.
    pub(crate) fn remove_state(&self) -> Result<(), HomeError> {
        match remove_file(&self.state()) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(HomeError::Io { action: "remove", path: self.state(), source: e })
            }
            _ => Ok(()),
        }
    }

    /// Returns where the object of a name is kept, sealed as it came.
    pub(crate) fn object(&self, name: &str) -> PathBuf {
        self.objects().join(name)
    }

    /// Returns the directory of all objects that are kept here.
    pub(crate) fn objects(&self) -> PathBuf {
        self.0.join("objects")
    }

    /// Returns the directory of all changes to files here.
    pub(crate) fn changes(&self) -> PathBuf {
        self.0.join("changes")
    }

    /// Returns the directory of a change to files here.
    pub(crate) fn change(&self, id: &str) -> PathBuf {
        self.changes().join(id)
    }

    /// Returns the directory of the versions that conflict.
    pub(crate) fn conflicts(&self) -> PathBuf {
        self.0.join("conflicts")
    }
}
