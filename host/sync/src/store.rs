//! The store at the far end, as this machine may trust it.

use std::collections::BTreeMap;

use aiw_core::Sink;
use aiw_home::{HomeError, Mode, make_private_dir, read_capped, replace};

use crate::apply::records;
use crate::error::SyncError;
use crate::far::{FarEnd, FarError, MAX_OBJECT};
use crate::graph::{Doubt, Listing, heads};
use crate::keys::StoreKeys;
use crate::object::{self, ObjectName};
use crate::snapshot::{Clock, SeenSnapshot, Snapshot, digest, unpack};
use crate::state::{MergedState, SyncDirectory, SyncState};

/// A store, with what was read of it.
pub(crate) struct SyncStore<'a> {
    far: &'a dyn FarEnd,
    pub(crate) keys: &'a StoreKeys,
    directory: &'a SyncDirectory,
    pub(crate) listing: Listing,
    pub(crate) read: BTreeMap<String, Snapshot>,
    /// The names of the snapshots that are in no other one.
    pub(crate) heads: Vec<String>,
    /// The newest object of this machine, if it was damaged at the far end and put there again.
    pub(crate) mended: Option<ObjectName>,
}

/// Returns a short name of an object, for people: the machine's id and the number.
pub(crate) fn short(name: &ObjectName) -> String {
    format!("{}-{}", &name.machine[..8], name.counter)
}

/// Lists the objects of a far end.
pub(crate) async fn list(far: &dyn FarEnd) -> Result<Vec<String>, SyncError> {
    let objects = far.list().await?;
    Ok(objects.into_iter().map(|object| object.name).collect())
}

impl<'a> SyncStore<'a> {
    /// Looks at the far end, and refuses one that shows an older state than before.
    pub(crate) async fn look(
        far: &'a dyn FarEnd,
        keys: &'a StoreKeys,
        directory: &'a SyncDirectory,
        state: &SyncState,
        accept_older: bool,
    ) -> Result<Self, SyncError> {
        let objects = far.list().await?;
        let names = objects.iter().map(|object| object.name.as_str());
        let listing = Listing::new(&keys.store, names).map_err(|doubt| said(&doubt))?;
        let read = BTreeMap::new();
        let mut store = Self { far, keys, directory, listing, read, heads: Vec::new(), mended: None };
        if !accept_older {
            store.listing.check(&state.known).map_err(|doubt| said(&doubt))?;
        }
        store.keep_merged(state);
        let newest: Vec<ObjectName> = store.listing.newest().into_iter().cloned().collect();
        // Nobody else can merge anything while it is damaged. Where it can't be put again, a push says why.
        let size = |name: &str| objects.iter().find(|own| own.name == name)?.size;
        let _ = store.mend(&state.machine, |name, copy| size(name).is_none_or(|size| size == copy)).await;
        store.load(&newest).await?;
        if !accept_older {
            // What anybody's newest snapshot names is there, or something newer of that machine.
            for snapshot in store.read.values() {
                store.listing.check(&snapshot.manifest.seen).map_err(|doubt| said(&doubt))?;
            }
        }
        let newest: Vec<&Snapshot> = newest.iter().filter_map(|name| store.read.get(&name.to_string())).collect();
        store.heads = heads(newest).into_iter().map(|head| head.name.to_string()).collect();
        Ok(store)
    }

    /// Takes in the copies of what is merged here, now or once a change is undone. A machine that has not pulled for long may be
    /// the last that has them.
    fn keep_merged(&mut self, state: &SyncState) {
        // A record that can't be read is undone by nobody, and neither are those before it.
        let undone: Vec<MergedState> =
            records(self.directory, state).map_while(Result::ok).map(|record| record.before).collect();
        for (machine, SeenSnapshot { counter, digest }) in
            undone.iter().chain([&state.files]).flat_map(MergedState::all_merged)
        {
            let (store, machine, digest) = (self.keys.store.clone(), machine.clone(), digest.clone());
            let name = ObjectName { store, machine, counter: *counter, digest };
            if self.directory.object(&name.to_string()).exists() {
                self.listing.keep(name);
            }
        }
    }

    /// Returns the newest snapshots, none of which is merged into another one.
    pub(crate) fn heads(&self) -> Vec<&Snapshot> {
        self.heads.iter().filter_map(|name| self.read.get(name)).collect()
    }

    /// Returns the newest snapshot of each machine.
    pub(crate) fn newest(&self) -> Vec<&Snapshot> {
        self.listing.newest().into_iter().filter_map(|name| self.read.get(&name.to_string())).collect()
    }

    /// Returns the newest snapshot of each machine, to be remembered.
    pub(crate) fn known(&self) -> Clock {
        let newest = self.listing.newest().into_iter();
        newest.map(|name| (name.machine.clone(), SeenSnapshot::from(name))).collect()
    }

    /// Reads snapshots that were not read yet.
    pub(crate) async fn load(&mut self, names: &[ObjectName]) -> Result<(), SyncError> {
        for name in names {
            if self.read.contains_key(&name.to_string()) || !self.listing.has(name) {
                continue;
            }
            let snapshot = self.open(name).await?;
            self.read.insert(name.to_string(), snapshot);
        }
        Ok(())
    }

    async fn open(&self, name: &ObjectName) -> Result<Snapshot, SyncError> {
        let wrong = |problem: String| SyncError::Snapshot { name: name.to_string(), problem };
        let kept = self.directory.object(&name.to_string());
        // A copy that was damaged here is fetched again.
        let own = read_capped(&kept, MAX_OBJECT)?.and_then(|bytes| object::open(self.keys, name, &bytes).ok());
        let content = match own {
            Some(content) => content,
            None => {
                let bytes = self.far.get(&name.to_string(), MAX_OBJECT).await?;
                let content = object::open(self.keys, name, &bytes).map_err(|problem| wrong(problem.into()))?;
                self.keep(name, &bytes)?;
                content
            }
        };
        unpack(name.clone(), &content).map_err(wrong)
    }

    /// Puts the newest object of this machine again if the far end has other bytes under its name. It is not fetched if it is
    /// taken for whole, by its name and the size of the copy here.
    pub(crate) async fn mend(&mut self, machine: &str, is_whole: impl Fn(&str, u64) -> bool) -> Result<(), SyncError> {
        let Some(own) = self.listing.newest().into_iter().find(|own| own.machine == machine).cloned() else {
            return Ok(());
        };
        let name = own.to_string();
        let copy = read_capped(&self.directory.object(&name), MAX_OBJECT)?;
        let Some(copy) = copy.filter(|copy| digest(copy) == own.digest) else { return Ok(()) };
        if is_whole(&name, copy.len() as u64) {
            return Ok(());
        }
        match self.far.get(&name, MAX_OBJECT).await {
            Ok(bytes) if bytes == copy => return Ok(()),
            Ok(_) | Err(FarError::NotFound { .. } | FarError::TooLarge { .. }) => {}
            Err(e) => return Err(e.into()),
        }
        self.far.delete(&name).await?;
        self.far.put(&name, &copy).await?;
        self.mended = Some(own);
        Ok(())
    }

    /// Tells that the newest object of this machine was put again.
    pub(crate) fn say_mended(&self, sink: &dyn Sink) {
        if let Some(name) = &self.mended {
            sink.note(format!("snapshot `{}` was damaged at the far end, and is whole there again", short(name)));
        }
    }

    /// Writes an object, and keeps it here too.
    pub(crate) async fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), SyncError> {
        self.far.put(&name.to_string(), bytes).await?;
        self.keep(name, bytes)
    }

    fn keep(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), SyncError> {
        let kept = self.directory.object(&name.to_string());
        make_private_dir(kept.parent().unwrap_or(&kept))?;
        Ok(replace(&kept, bytes, Mode::Private)?)
    }

    /// Forgets the copies of objects that the far end has no more, and that no merge here looks for.
    pub(crate) fn forget_old(&self) -> Result<(), SyncError> {
        let Ok(entries) = std::fs::read_dir(self.directory.objects()) else { return Ok(()) };
        let is_old = |name: &str| ObjectName::parse(name).is_some_and(|name| !self.listing.has(&name));
        for entry in entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_old)) {
            aiw_home::remove_file(&entry.path()).map_err(|e| HomeError::io("remove", &entry.path(), e))?;
        }
        Ok(())
    }

    /// Deletes an object.
    pub(crate) async fn delete(&self, name: &ObjectName) -> Result<(), FarError> {
        self.far.delete(&name.to_string()).await
    }
}

fn said(doubt: &Doubt) -> SyncError {
    let part = |machine: &str| aiw_core::one_line(machine, 9);
    SyncError::Doubt(match doubt {
        Doubt::Twice { machine, counter } => format!(
            "machine `{}` has two different snapshots with number {counter}: delete the copy at the far end, or, if a copy of its home is in use as well, leave and join there",
            part(machine)
        ),
        Doubt::Gone { machine, counter } => format!(
            "the far end shows an older state than before: snapshot {counter} of machine `{}` is gone",
            part(machine)
        ),
        Doubt::Changed { machine, counter } => {
            format!("snapshot {counter} of machine `{}` is another one than before", part(machine))
        }
    })
}
