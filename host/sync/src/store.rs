//! The store at the remote, as this machine may trust it.

mod reading;

use std::collections::{BTreeMap, BTreeSet};

use aiw_core::{Reporter, quoted_text};
use aiw_home::{HomeError, Mode, make_private_dir, read_capped, replace};

use crate::apply::records;
use crate::error::SyncError;
use crate::graph::{IntegrityError, Listing, heads};
use crate::keys::StoreKeys;
use crate::object::{ObjectName, SeenSnapshot};
use crate::remote::{MAX_OBJECT_BYTES, Remote, RemoteError, fetch};
use crate::snapshot::{Snapshot, VectorClock};
use crate::state::{MergedState, SyncDirectory, SyncState};

/// A store, with what was read of it.
pub(crate) struct SyncStore<'a> {
    remote: &'a dyn Remote,
    pub(crate) keys: &'a StoreKeys,
    directory: &'a SyncDirectory,
    pub(crate) listing: Listing,
    pub(crate) snapshots: BTreeMap<String, Snapshot>,
    /// The names of the snapshots that are in no other one.
    pub(crate) heads: Vec<String>,
    /// The newest object of this machine, if it was damaged at the remote and put there again.
    pub(crate) repaired_object: Option<ObjectName>,
    /// Objects with the name of a snapshot that no machine of the store wrote.
    forged: BTreeSet<ObjectName>,
}

/// Returns a short name of an object, for people: the machine's id and the number.
pub(crate) fn short_object_name(name: &ObjectName) -> String {
    short_of(&name.machine, name.counter)
}

/// Returns the short name of a machine's snapshot. The machine's id may be any text.
fn short_of(machine: &str, counter: u64) -> String {
    let machine: String = machine.chars().take(8).collect();
    format!("{}-{counter}", aiw_core::one_line(&machine, 9))
}

/// Lists the objects of a remote.
pub(crate) async fn list(far: &dyn Remote) -> Result<Vec<String>, SyncError> {
    let objects = far.list().await?;
    Ok(objects.into_iter().map(|object| object.name).collect())
}

impl<'a> SyncStore<'a> {
    /// Looks at the remote, and refuses one that shows an older state than before.
    pub(crate) async fn open_remote(
        far: &'a dyn Remote,
        keys: &'a StoreKeys,
        directory: &'a SyncDirectory,
        state: &SyncState,
        allow_rollback: bool,
    ) -> Result<Self, SyncError> {
        let objects = far.list().await?;
        let listing = Listing::new(&keys.store_id, objects.iter().map(|object| object.name.as_str()));
        let (read, forged) = (BTreeMap::new(), BTreeSet::new());
        let mut store = Self {
            remote: far,
            keys,
            directory,
            listing,
            snapshots: read,
            heads: Vec::new(),
            repaired_object: None,
            forged,
        };
        store.keep_merged(state);
        let settled = store.load_newest(state, allow_rollback).await;
        // Nobody else can merge anything while it is damaged, so it does not wait for other damaged ones. Where it can't be
        // put again, a push says why.
        let size = |name: &str| objects.iter().find(|own| own.name == name)?.size;
        let _ = store.repair(&state.machine, |name, copy| size(name).is_none_or(|size| size == copy)).await;
        settled?;
        store.heads = heads(store.newest()).into_iter().map(|head| head.name.to_string()).collect();
        Ok(store)
    }

    /// Takes in the copies of what is merged here, now or once a change is undone. A machine that has not pulled for long may be
    /// the last that has them.
    fn keep_merged(&mut self, state: &SyncState) {
        // A record that can't be read is undone by nobody, and neither are those before it.
        let undone: Vec<MergedState> =
            records(self.directory, state).map_while(Result::ok).map(|record| record.before).collect();
        for (machine, seen) in undone.iter().chain([&state.files]).flat_map(MergedState::merged_snapshots) {
            let name = ObjectName::from_seen(&self.keys.store_id, machine, seen);
            if let Some(name) = name.filter(|name| self.directory.object(&name.to_string()).exists()) {
                self.listing.add_known(name);
            }
        }
    }

    /// Returns the newest snapshots, none of which is merged into another one.
    pub(crate) fn heads(&self) -> Vec<&Snapshot> {
        self.heads.iter().filter_map(|name| self.snapshots.get(name)).collect()
    }

    /// Returns the newest snapshot of each machine.
    pub(crate) fn newest(&self) -> Vec<&Snapshot> {
        self.listing.newest().into_iter().filter_map(|name| self.snapshots.get(&name.to_string())).collect()
    }

    /// Returns the newest snapshot of each machine, to be remembered.
    pub(crate) fn newest_clock(&self) -> VectorClock {
        let newest = self.listing.newest().into_iter();
        newest.map(|name| (name.machine.clone(), SeenSnapshot::from(name))).collect()
    }

    /// Puts the newest object of this machine again if the remote has other bytes under its name. It is not fetched if it is
    /// taken for whole, by its name and the size of the copy here.
    pub(crate) async fn repair(
        &mut self,
        machine: &str,
        is_whole: impl Fn(&str, u64) -> bool,
    ) -> Result<(), SyncError> {
        let Some(own) = self.listing.newest().into_iter().find(|own| own.machine == machine).cloned() else {
            return Ok(());
        };
        let name = own.to_string();
        let copy = read_capped(&self.directory.object(&name), MAX_OBJECT_BYTES)?;
        let Some(copy) = copy.filter(|copy| own.is_intact(copy)) else { return Ok(()) };
        if is_whole(&name, copy.len() as u64) {
            return Ok(());
        }
        match fetch(self.remote, &name).await {
            Ok(bytes) if bytes == copy => return Ok(()),
            Ok(_) | Err(RemoteError::NotFound { .. } | RemoteError::TooLarge { .. }) => {}
            Err(e) => return Err(read_error(&own)(e)),
        }
        self.remote.delete(&name).await.map_err(unwritten(&own))?;
        self.remote.put(&name, &copy).await.map_err(unwritten(&own))?;
        self.repaired_object = Some(own);
        Ok(())
    }

    /// Tells which objects were put again, and which ones are ignored.
    pub(crate) fn report(&self, sink: &dyn Reporter) {
        if let Some(name) = &self.repaired_object {
            sink.note(format!(
                "snapshot `{}` was damaged at the remote, and is whole there again",
                short_object_name(name)
            ));
        }
        for name in &self.forged {
            let file = quoted_text(&name.to_string(), 200);
            sink.note(format!("{file} is ignored: no machine with your phrase wrote it; delete it at the remote"));
        }
    }

    /// Writes an object, and keeps it here too. Returns the remote's id of it, if it has one.
    pub(crate) async fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<Option<String>, SyncError> {
        let id = self.remote.put(&name.to_string(), bytes).await.map_err(unwritten(name))?;
        self.keep(name, bytes)?;
        Ok(id)
    }

    /// Returns `true` if an object that is not listed can't appear any more.
    pub(crate) fn is_consistent(&self) -> bool {
        self.remote.is_consistent()
    }

    fn keep(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), SyncError> {
        let kept = self.directory.object(&name.to_string());
        make_private_dir(kept.parent().unwrap_or(&kept))?;
        Ok(replace(&kept, bytes, Mode::Private)?)
    }

    /// Forgets the copies of objects that the remote has no more, and that no merge here looks for.
    pub(crate) fn prune_local_objects(&self) -> Result<(), SyncError> {
        let Ok(entries) = std::fs::read_dir(self.directory.objects()) else { return Ok(()) };
        let is_old = |name: &str| ObjectName::parse(name).is_some_and(|name| !self.listing.has(&name));
        for entry in entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_old)) {
            aiw_home::remove_file(&entry.path()).map_err(|e| HomeError::io("remove", &entry.path(), e))?;
        }
        Ok(())
    }

    /// Deletes an object.
    pub(crate) async fn delete(&self, name: &ObjectName) -> Result<(), RemoteError> {
        self.remote.delete(&name.to_string()).await
    }
}

/// Returns the error for a snapshot that can't be read.
pub(crate) fn read_error(name: &ObjectName) -> impl Fn(RemoteError) -> SyncError {
    let name = short_object_name(name);
    move |source| SyncError::SnapshotReadFailed { name: name.clone(), source }
}

/// Returns the error for a snapshot that can't be written.
fn unwritten(name: &ObjectName) -> impl Fn(RemoteError) -> SyncError {
    let name = short_object_name(name);
    move |source| SyncError::SnapshotWriteFailed { name: name.clone(), source }
}

impl From<IntegrityError> for SyncError {
    fn from(doubt: IntegrityError) -> Self {
        Self::Integrity(match doubt {
            IntegrityError::Missing { machine, counter } => {
                let name = short_of(&machine, counter);
                format!("the remote shows an older state than before: snapshot `{name}` is gone")
            }
            IntegrityError::Tampered { machine, counter } => {
                format!("snapshot `{}` is another one than before", short_of(&machine, counter))
            }
        })
    }
}
