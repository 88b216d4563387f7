//! Reading snapshots, and deciding which objects of a listing are snapshots of the store.
//!
//! A listing may lag behind writes and deletions, and whoever can write to the remote can add objects without the key. An
//! object is a snapshot if its bytes have the digest in its name and it was sealed with the key. Bytes with another digest
//! may be those of a damaged snapshot, so an object that has them is ignored only beside an intact one.

use std::collections::{BTreeMap, BTreeSet};

use aiw_core::{NonInteractive, Reporter};
use aiw_home::read_capped;
use futures::{StreamExt, stream};

use super::{SyncStore, read_error, short_object_name};
use crate::error::SyncError;
use crate::object::{self, DAMAGED_REASON, ObjectName, SeenSnapshot};
use crate::remote::{MAX_OBJECT_BYTES, RemoteError, fetch};
use crate::snapshot::{Snapshot, VectorClock, unpack};
use crate::state::SyncState;

/// Snapshots that are read at once.
const MAX_PARALLEL_READS: usize = 8;

/// Objects with a number for which an intact one was found that are read to find a second one.
const MAX_DUPLICATE_READS: usize = 16;

/// Progress is shown each time so many snapshots were read, if at least so many are fetched.
const PROGRESS_BATCH: usize = 25;

/// The objects with one number, after they were read.
struct NumberResult {
    snapshot: Option<Snapshot>,
    /// Objects that no machine of the store wrote.
    forged: Vec<ObjectName>,
    /// Objects that the remote doesn't have.
    missing: Vec<ObjectName>,
}

/// Why an object is not a snapshot that can be used.
enum ReadFailure {
    /// The remote doesn't have it.
    Missing,
    /// Its bytes are those of its name, and not sealed with the key.
    Forged,
    /// Its bytes are not those of its name.
    Damaged(SyncError),
    /// It can't be fetched.
    Unreadable(SyncError),
    /// It was sealed with the key, and can't be used.
    Invalid(SyncError),
}

impl SyncStore<'_> {
    /// Reads the newest snapshot of each machine. Refuses a remote that shows an older state than before.
    pub(super) async fn load_newest(&mut self, state: &SyncState, allow_rollback: bool) -> Result<(), SyncError> {
        let mut looked_up = BTreeSet::new();
        let is_known =
            |name: &ObjectName| state.known.get(&name.machine).is_some_and(|seen| *seen == SeenSnapshot::from(name));
        // Each turn reads, adds or removes at least one object, so a hostile listing ends, too.
        loop {
            self.find_unlisted(&state.known, state, allow_rollback, &mut looked_up).await?;
            let pushing = state.pushing.as_ref().and_then(|pushing| ObjectName::parse(&pushing.object));
            if let Some(name) = pushing.filter(|name| !self.listing.is_listed(name) && name.store == self.keys.store_id)
            {
                self.look_up(name, state, &mut looked_up).await?;
            }
            let directory = self.directory;
            self.listing.prefer_valid(|name| is_known(name) || directory.object(&name.to_string()).exists());
            let wanted = self.listing.conflicting_objects(&state.known).into_iter().chain(self.listing.newest());
            let wanted: Vec<ObjectName> = wanted.cloned().collect();
            if self.load(&wanted).await? {
                continue;
            }
            if allow_rollback {
                return Ok(());
            }
            self.listing.check(&state.known)?;
            // What anybody's newest snapshot names is there, or something newer of that machine.
            let seen: Vec<VectorClock> = self.newest().into_iter().map(|own| own.manifest.seen.clone()).collect();
            let mut found = false;
            for seen in &seen {
                found |= self.find_unlisted(seen, state, allow_rollback, &mut looked_up).await?;
                self.listing.check(seen)?;
            }
            if !found {
                return Ok(());
            }
        }
    }

    /// Looks up the known snapshots that the listing lacks. Returns `true` if the remote has one of them.
    async fn find_unlisted(
        &mut self,
        known: &VectorClock,
        state: &SyncState,
        allow_rollback: bool,
        looked_up: &mut BTreeSet<ObjectName>,
    ) -> Result<bool, SyncError> {
        let store = &self.keys.store_id;
        let doubtful = self.listing.inconsistent_machines(known);
        let names: Vec<Option<ObjectName>> =
            doubtful.map(|(machine, seen)| ObjectName::from_seen(store, machine, seen)).collect();
        let mut found = false;
        for name in names {
            let is_there = match name {
                Some(name) => self.look_up(name, state, looked_up).await?,
                None => false,
            };
            found |= is_there;
            if !is_there && !allow_rollback {
                break;
            }
        }
        Ok(found)
    }

    /// Adds an object to the listing if the remote has it. Returns `true` if it does. Each one is looked up once.
    async fn look_up(
        &mut self,
        name: ObjectName,
        state: &SyncState,
        looked_up: &mut BTreeSet<ObjectName>,
    ) -> Result<bool, SyncError> {
        if !looked_up.insert(name.clone()) {
            return Ok(false);
        }
        let object = name.to_string();
        let id = state.remote_id.as_ref().filter(|own| own.object == object).map(|own| own.id.as_str());
        let is_there = self.remote.contains(&object, id).await.map_err(read_error(&name))?;
        if is_there {
            self.listing.add(name);
        }
        Ok(is_there)
    }

    /// Reads snapshots that were not read yet. Returns `true` if that changed which ones are read or listed.
    pub(crate) async fn load(&mut self, names: &[ObjectName]) -> Result<bool, SyncError> {
        self.load_with_progress(names, &NonInteractive).await
    }

    /// Reads snapshots as [`Self::load`] does, and shows progress.
    pub(crate) async fn load_with_progress(
        &mut self,
        names: &[ObjectName],
        sink: &dyn Reporter,
    ) -> Result<bool, SyncError> {
        let numbers = self.unread_numbers(names);
        let is_copied = |name: &ObjectName| self.directory.object(&name.to_string()).exists();
        let fetched = numbers.iter().filter(|objects| !objects.iter().all(is_copied)).count();
        let total = numbers.len();
        let mut results = Vec::new();
        let reads: Vec<_> = numbers.into_iter().map(|objects| self.read_number(objects)).collect();
        let mut reads = stream::iter(reads).buffer_unordered(MAX_PARALLEL_READS);
        while let Some(result) = reads.next().await {
            results.push(result?);
            if fetched >= PROGRESS_BATCH && results.len().is_multiple_of(PROGRESS_BATCH) {
                sink.step(format!("read {} of {total} snapshots", results.len()));
            }
        }
        drop(reads);
        for NumberResult { snapshot, forged, missing } in results {
            forged.iter().chain(&missing).for_each(|name| self.listing.remove(name));
            self.forged.extend(forged);
            if let Some(snapshot) = snapshot {
                if self.listing.is_listed(&snapshot.name) {
                    self.listing.drop_duplicates(&snapshot.name);
                }
                self.snapshots.insert(snapshot.name.to_string(), snapshot);
            }
        }
        Ok(total > 0)
    }

    /// Returns the objects that have to be read for these snapshots, those with the same number together.
    fn unread_numbers(&self, names: &[ObjectName]) -> Vec<Vec<ObjectName>> {
        let mut numbers = BTreeMap::new();
        for name in names {
            let same_number = self.listing.objects_with_counter(name);
            // What is kept here alone competes with none.
            let is_listed = self.listing.is_listed(name);
            let is_read = self.snapshots.contains_key(&name.to_string()) && (!is_listed || same_number.len() == 1);
            if is_read || !self.listing.has(name) {
                continue;
            }
            let objects = if is_listed { same_number.to_vec() } else { vec![name.clone()] };
            numbers.insert((&name.machine, name.counter, is_listed), objects);
        }
        numbers.into_values().collect()
    }

    /// Reads the objects with one number. The one that a machine of the store wrote is the snapshot.
    async fn read_number(&self, objects: Vec<ObjectName>) -> Result<NumberResult, SyncError> {
        let mut result = NumberResult { snapshot: None, forged: Vec::new(), missing: Vec::new() };
        let (mut damaged, mut failure) = (Vec::new(), None);
        for (at, name) in objects.into_iter().enumerate() {
            if result.snapshot.is_some() && at > MAX_DUPLICATE_READS {
                break;
            }
            match self.open(&name).await {
                Ok(snapshot) => {
                    if let Some(first) = &result.snapshot {
                        let objects = [&first.name, &snapshot.name].map(ToString::to_string);
                        return Err(SyncError::DuplicateMachine { name: short_object_name(&name), objects });
                    }
                    result.snapshot = Some(snapshot);
                }
                Err(ReadFailure::Missing) => result.missing.push(name),
                Err(ReadFailure::Forged) => result.forged.push(name),
                Err(ReadFailure::Damaged(error)) => {
                    failure.get_or_insert(error);
                    damaged.push(name);
                }
                Err(ReadFailure::Unreadable(error)) => drop(failure.get_or_insert(error)),
                Err(ReadFailure::Invalid(error)) => return Err(error),
            }
        }
        match (result.snapshot.is_some(), failure) {
            (false, Some(error)) => Err(error),
            _ => {
                result.forged.append(&mut damaged);
                Ok(result)
            }
        }
    }

    async fn open(&self, name: &ObjectName) -> Result<Snapshot, ReadFailure> {
        let object = name.to_string();
        let wrong = |problem: String| SyncError::InvalidSnapshot {
            name: short_object_name(name),
            object: object.clone(),
            problem,
        };
        let kept = read_capped(&self.directory.object(&object), MAX_OBJECT_BYTES);
        let kept = kept.map_err(|error| ReadFailure::Invalid(error.into()))?;
        // A copy that was damaged here is fetched again.
        let own = kept.and_then(|bytes| object::decrypt_object(self.keys, name, &bytes).ok());
        let content = match own {
            Some(content) => content,
            None => {
                let bytes = match fetch(self.remote, &object).await {
                    Ok(bytes) if name.is_intact(&bytes) => bytes,
                    Ok(_) => return Err(ReadFailure::Damaged(wrong(DAMAGED_REASON.into()))),
                    Err(RemoteError::NotFound { .. }) => return Err(ReadFailure::Missing),
                    Err(error) => return Err(ReadFailure::Unreadable(read_error(name)(error))),
                };
                let content = object::decrypt_object(self.keys, name, &bytes).map_err(|_| ReadFailure::Forged)?;
                self.keep(name, &bytes).map_err(ReadFailure::Invalid)?;
                content
            }
        };
        unpack(name.clone(), &content).map_err(|problem| ReadFailure::Invalid(wrong(problem)))
    }
}
