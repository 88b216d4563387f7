//! What tells that processes change: their records, and the ends of their shims.

use std::path::PathBuf;
use std::sync::Arc;

use aiw_core::{ProcessId, ProcessState as State};

use super::table::Processes;
use crate::record::Record;
use crate::signal::{Proof, Target};
use crate::watch::Sources;

impl Processes {
    /// Returns the directory of all processes, which changes when one starts, is removed or was reported.
    pub fn directory(&self) -> PathBuf {
        self.records.root().to_owned()
    }

    /// Returns what tells that these processes, or all that have not ended, change their state. Processes that start later
    /// change [`Self::directory`].
    pub fn sources(&self, ids: Option<&[ProcessId]>) -> Sources {
        let records: Vec<Record> = match ids {
            Some(ids) => ids.iter().filter_map(|id| self.record(*id).ok()).collect(),
            None => self.list().unwrap_or_default().into_iter().map(|one| one.record).collect(),
        };
        let mut sources = Sources::default();
        for record in records.iter().filter(|record| record.state != State::Ended) {
            let directory = self.records.directory(record.id);
            match Target::of(record.shim.pid, record.shim.start, Proof::Supervisor(record)) {
                Ok(Some(shim)) if shim.as_fd().is_some() => sources.shims.push((directory.clone(), Arc::new(shim))),
                // It is dead, and the next look says so.
                Ok(None) => {}
                _ => drop(sources.unheard.insert(directory.clone())),
            }
            sources.directories.insert(directory, false);
        }
        sources
    }
}
