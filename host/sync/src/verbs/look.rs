//! Looking: how a store and this machine stand, its snapshots, what differs, what was done, and what travels.

use std::collections::BTreeSet;

use aiw_core::Reporter;

use super::login::warn_expiry;
use super::pull::describe_change;
use super::{
    OpenStore, StoreListing, StoreMachine, StoreSnapshot, StoreStatus, SyncDifference, SyncLog, SyncLogEntry,
    SyncRuleSummary, Synchronizer,
};
use crate::apply::{ChangeRecord, records};
use crate::error::SyncError;
use crate::gather::SkippedFile;
use crate::generated::{SECRETS_PATH, missing_installs};
use crate::graph::newest_first;
use crate::object::ObjectName;
use crate::place::SyncPath;
use crate::policy::sync_rules;
use crate::remote::google;
use crate::snapshot::{Snapshot, is_merged_into};
use crate::store::{SyncStore, short_object_name};

/// How many snapshots are listed.
const MAX_LISTED_SNAPSHOTS: usize = 300;

impl Synchronizer {
    /// Returns how this machine stands, from what it knows itself.
    ///
    /// # Errors
    ///
    /// It has no store.
    pub fn status(&self) -> Result<StoreStatus, SyncError> {
        let state = self.seen_state()?;
        let opened = self.keys(&state);
        let closed = opened.as_ref().err().filter(|_| self.takes_secrets());
        let closed = closed
            .map(|e| SkippedFile { path: format!("aiw:{SECRETS_PATH}"), reason: format!("can't be compared: {e}") });
        let keys = opened.ok();
        let (gathered, unpushed) = self.unpushed(&state, keys.as_ref());
        let machines = state.known.iter().map(|(id, seen)| StoreMachine {
            id: id.get(..8).unwrap_or(id).to_owned(),
            snapshots: seen.counter,
            merged: state.files.merged.get(id).is_some_and(|own| own.counter >= seen.counter),
        });
        Ok(StoreStatus {
            remote: state.remote.clone(),
            machine: state.machine_name.clone(),
            fingerprint: keys.map(|keys| keys.fingerprint),
            unpushed: unpushed.iter().map(SyncPath::to_string).collect(),
            skipped: gathered.skipped.iter().cloned().chain(closed).collect(),
            machines: machines.collect(),
            pending_installs: missing_installs(&self.home, &gathered.unsynced_servers),
        })
    }

    /// Returns how many files are not pushed. The phrase is opened only where the secrets of the vault travel. `None` without a
    /// store.
    pub(crate) fn count_unpushed(&self) -> Option<usize> {
        let state = self.directory.load().ok()??;
        let keys = if self.takes_secrets() { self.keys(&state).ok() } else { None };
        Some(self.unpushed(&state, keys.as_ref()).1.len())
    }

    /// Returns the newest snapshots of the store.
    ///
    /// # Errors
    ///
    /// The remote can't be reached.
    pub async fn list(&self, sink: &dyn Reporter) -> Result<StoreListing, SyncError> {
        self.telling(sink, self.list_told(sink)).await
    }

    async fn list_told(&self, sink: &dyn Reporter) -> Result<StoreListing, SyncError> {
        let OpenStore { mut state, keys, remote: far, _turn } = self.open().await?;
        sink.step(format!("looking at {}", state.remote));
        if state.remote == "gdrive:"
            && let Some(login) = google::current(&self.context()?).await?
        {
            warn_expiry(login.expiry, sink);
        }
        let mut store = self.look(&*far, &keys, &mut state, false).await?;
        let mut names: Vec<ObjectName> = store.listing.names().cloned().collect();
        names.sort_by_key(|name| std::cmp::Reverse(name.counter));
        names.truncate(MAX_LISTED_SNAPSHOTS);
        store.load_with_progress(&names, sink).await?;
        store.report(sink);
        let read = names.iter().filter_map(|name| store.snapshots.get(&name.to_string())).collect();
        let snapshots: Vec<StoreSnapshot> = newest_first(read)
            .into_iter()
            .map(|snapshot| StoreSnapshot {
                name: short_object_name(&snapshot.name),
                machine: aiw_core::one_line(&snapshot.manifest.machine_name, 60),
                time: aiw_core::one_line(&snapshot.manifest.time, 40),
                files: snapshot.manifest.files.len(),
                head: store.heads.contains(&snapshot.name.to_string()),
                merged: is_merged_into(&snapshot.name, &state.files.merged),
            })
            .collect();
        Ok(StoreListing { snapshots })
    }

    /// Returns what differs between this machine and a snapshot, the newest that is merged here if none is named.
    ///
    /// # Errors
    ///
    /// There is no such snapshot.
    pub async fn diff(&self, snapshot: Option<&str>, sink: &dyn Reporter) -> Result<SyncDifference, SyncError> {
        self.telling(sink, self.diff_told(snapshot, sink)).await
    }

    async fn diff_told(&self, snapshot: Option<&str>, sink: &dyn Reporter) -> Result<SyncDifference, SyncError> {
        let OpenStore { mut state, keys, remote: far, _turn } = self.open().await?;
        sink.step(format!("looking at {}", state.remote));
        let mine = self.gather(BTreeSet::new()).await?;
        let mut store = self.look(&*far, &keys, &mut state, false).await?;
        let found = self.find(&mut store, snapshot).await?;
        let incoming = self.plan_restore(&found, &mine);
        Ok(SyncDifference {
            snapshot: short_object_name(&found.name),
            changes: incoming.files.iter().map(describe_change).collect(),
        })
    }

    /// Finds a snapshot by its name or the beginning of it; the newest one without a name.
    pub(super) async fn find(&self, store: &mut SyncStore<'_>, name: Option<&str>) -> Result<Snapshot, SyncError> {
        let missing = || SyncError::SnapshotNotFound(name.unwrap_or("newest").to_owned());
        let found = match name {
            None => store.heads().first().map(|head| head.name.clone()).ok_or_else(missing)?,
            Some(name) => {
                let fits = |own: &&ObjectName| short_object_name(own) == name || own.to_string() == name;
                let listed: Vec<ObjectName> = store.listing.names().filter(fits).cloned().collect();
                // Some may be no snapshots.
                store.load(&listed).await?;
                let mut found = listed.into_iter().filter(|own| store.snapshots.contains_key(&own.to_string()));
                let first = found.next().ok_or_else(missing)?;
                if found.next().is_some() {
                    return Err(SyncError::Ambiguous(name.to_owned()));
                }
                first
            }
        };
        store.snapshots.get(&found.to_string()).cloned().ok_or_else(missing)
    }

    /// Returns what was done to files here.
    ///
    /// # Errors
    ///
    /// This machine has no store.
    pub fn log(&self) -> Result<SyncLog, SyncError> {
        let state = self.seen_state()?;
        let entry = |record: ChangeRecord| SyncLogEntry {
            files: record.paths().map(SyncPath::to_string).collect(),
            time: record.time,
            operation: record.what,
        };
        let entries: Result<_, SyncError> = records(&self.directory, &state).map(|record| record.map(entry)).collect();
        Ok(SyncLog { entries: entries? })
    }

    /// Returns the table of what travels.
    pub fn list_sync_rules(&self) -> Vec<SyncRuleSummary> {
        let included: BTreeSet<String> = self.scope.synced_rules().map(|row| row.pattern()).collect();
        let rows = sync_rules().into_iter().map(|row| SyncRuleSummary {
            path: row.pattern(),
            policy: row.policy.as_str().into(),
            included: included.contains(&row.pattern()) && !self.scope.excluded().contains(&row.pattern()),
            effect: row.effect.as_str().into(),
            reason: row.reason.into(),
            keys: row
                .keys
                .iter()
                .map(|key| format!("{} {} {}", key.key, key.policy.as_str(), key.effect.as_str()))
                .collect(),
        });
        rows.collect()
    }
}
