//! What tells that processes change: their records, and the ends of their shims.

use std::path::PathBuf;
use std::sync::Arc;

use aiw_core::{ProcessId, ProcessState as State};
use rustix::process::{Resource, getrlimit};

use super::table::Processes;
use crate::record::ProcessRecord;
use crate::signal::{ProcessProof, Target};
use crate::watch::Sources;

/// Returns how many shims are listened to. Each takes a file that this process may open, and the others are looked at.
fn heard() -> usize {
    let most = getrlimit(Resource::Nofile).current.and_then(|most| usize::try_from(most).ok());
    most.map_or(MAX_SUBSCRIPTIONS, |most| MAX_SUBSCRIPTIONS.min(most / 8))
}

/// So many shims are listened to at most.
const MAX_SUBSCRIPTIONS: usize = 128;

impl Processes {
    /// Returns the directory of all processes, which changes when one starts, is removed or was reported.
    pub fn directory(&self) -> PathBuf {
        self.records.root().to_owned()
    }

    /// Returns what tells that these processes, or all that have not ended, change their state. Processes that start later
    /// change [`Self::directory`].
    pub fn sources(&self, ids: Option<&[ProcessId]>) -> Sources {
        let mut sources = Sources::default();
        let records: Vec<ProcessRecord> = match ids {
            // One that is started a moment later is listened to as well.
            Some(ids) => {
                sources.directories.extend(ids.iter().map(|id| (self.records.directory(*id), false)));
                ids.iter().filter_map(|id| self.record(*id).ok()).collect()
            }
            // A listing that is kept takes a dead shim for alive until the system has forgotten it.
            None => {
                let all = self.list_with_problems().map(|(all, _)| all).unwrap_or_default();
                all.into_iter().map(|one| one.record).collect()
            }
        };
        let most = heard();
        for record in records.iter().filter(|record| record.state != State::Ended) {
            let directory = self.records.directory(record.id);
            let is_full = sources.shims.len() >= most;
            match Target::find(record.shim.pid, record.shim.start, ProcessProof::Supervisor(record)) {
                Ok(Some(shim)) if shim.as_fd().is_some() && !is_full => {
                    sources.shims.push((directory.clone(), Arc::new(shim)));
                }
                _ => drop(sources.unwatchable_directories.insert(directory.clone())),
            }
            sources.directories.insert(directory, false);
        }
        sources
    }
}
