//! Looking at processes, which changes nothing.

use std::collections::HashMap;

use aiw_core::{ProcessId, ProcessState as State};
use aiw_home::OpenDirectory;

use super::listing_cache::ListingVersion;
use super::outcome::SupervisedProcess;
use super::table::Processes;
use crate::directory::is_seen;
use crate::error::SupervisorError;
use crate::record::ProcessRecord;
use crate::records::Lookup;
use crate::root::{ProcessScope, Root};
use crate::segment::{SlotCopy, open, segments};
use crate::side_by_side::map_chunks_parallel;

impl Processes {
    /// Returns all processes, oldest first. Asking the same value again is cheap unless something has happened since.
    pub fn list(&self) -> Result<Vec<SupervisedProcess>, SupervisorError> {
        if let Some(kept) = self.listing_cache.current(&self.records) {
            return Ok(kept);
        }
        self.list_with_problems().map(|(all, _)| all)
    }

    /// Like [`list`](Self::list), but also returns an error for each record that can't be read.
    pub fn list_with_problems(&self) -> Result<(Vec<SupervisedProcess>, Vec<SupervisorError>), SupervisorError> {
        let (mut all, mut problems) = (Vec::new(), Vec::new());
        let before = ListingVersion::capture(&self.records, &self.runtime, self.scope);
        let mut segments = Segments::new(self);
        let ids = self.records.ids()?;
        let open = self.records.open_dir();
        for found in map_chunks_parallel(&ids, |ids| self.find_all(&open, ids)) {
            match found {
                Ok((record, settled)) => {
                    all.push(SupervisedProcess { is_persisted: settled, ..self.refresh(record, &mut segments) })
                }
                Err(problem) => problems.push(problem),
            }
        }
        all.sort_by_key(|one| (one.record.started, one.record.id));
        self.listing_cache.store(before, &all);
        Ok((all, problems))
    }

    /// Reads the records of the scope among these processes, each with whether its end is recorded.
    fn find_all(&self, open: &OpenDirectory, ids: &[ProcessId]) -> Vec<Result<(ProcessRecord, bool), SupervisorError>> {
        let find = |id: &ProcessId| match self.records.find_in(open, *id) {
            Lookup::Record(record) => match self.scope {
                ProcessScope::Root(root) if !root.is_same_root(&record.root) => None,
                _ => Some(Ok(self.reconcile_record(open, *record))),
            },
            // It was removed in the meantime.
            Lookup::NotFound => None,
            found => self.records.require_record(*id, found).err().map(Err),
        };
        ids.iter().filter_map(find).collect()
    }

    /// Checks whether the shared memory of the scope is fit to use. Listing works without it; starting does not.
    pub fn check(&self) -> Result<(), SupervisorError> {
        segments(&self.runtime, self.scope)?.into_iter().try_for_each(|segment| segment.map(drop))
    }

    /// Returns one process. A process of another root is found too, because its id was known. If its shim has
    /// died, that is recorded.
    pub fn get(&self, id: ProcessId) -> Result<SupervisedProcess, SupervisorError> {
        Ok(self.refresh(self.read_repaired(id)?, &mut Segments::new(self)))
    }

    /// Returns a process as it is now: the record, updated with what the shim wrote to its slot.
    pub(super) fn refresh(&self, mut record: ProcessRecord, segments: &mut Segments) -> SupervisedProcess {
        let directory = self.records.directory(record.id);
        let has_ended = record.state == State::Ended;
        // Only the slot tells that a process is about to start; only the record tells an end.
        if !has_ended
            && let Some(slot) = segments.slot(&record)
            && let Some(state) = slot.state()
            && state > record.state
            && state != State::Ended
        {
            record.state = state;
            record.running_since = record.running_since.or(slot.running_since());
        }
        SupervisedProcess { is_seen: has_ended && is_seen(&directory), record, directory, is_persisted: true }
    }
}

/// The segments that were read so far, with one scan of each.
pub(super) struct Segments {
    processes: Processes,
    slots: HashMap<Root, HashMap<u64, SlotCopy>>,
}

impl Segments {
    pub fn new(processes: &Processes) -> Self {
        Self { processes: processes.clone(), slots: HashMap::new() }
    }

    /// Returns the slot of a record's shim.
    pub fn slot(&mut self, record: &ProcessRecord) -> Option<SlotCopy> {
        let slots = self.slots.entry(record.root).or_insert_with(|| {
            let segment = open(&self.processes.runtime, record.root).ok().flatten();
            segment.map(|s| s.scan().map(|slot| (slot.instance(), slot)).collect()).unwrap_or_default()
        });
        slots.get(&record.instance).filter(|slot| slot.id() == Some(record.id)).copied()
    }
}
