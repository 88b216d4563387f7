//! The sweep: it ends and records what dead shims have left behind.

use std::fs;
use std::time::{Duration, SystemTime};

use aiw_core::ProcessState as State;

use super::table::Processes;
use crate::directory::LivenessLock;
use crate::error::SupervisorError;
use crate::memory::sweep_memory;
use crate::records::Lookup;
use crate::root::ProcessScope;
use crate::segment::sweep_dead;

/// After this time a half-made directory is abandoned. A shim makes its directory within milliseconds.
const STAGING_AGE: Duration = Duration::from_secs(60);

impl Processes {
    /// Ends and records what dead shims have left behind, and removes the files of half-started processes and of
    /// ended roots. Listing does none of that, so a caller that lists often needs to sweep only rarely.
    pub fn sweep(&self) -> Result<(), SupervisorError> {
        for id in self.records.ids()? {
            let Lookup::Record(record) = self.records.find(id) else { continue };
            let is_ours = match self.scope {
                ProcessScope::Root(root) => root.is_same_root(&record.root),
                ProcessScope::All => true,
            };
            if is_ours && record.state != State::Ended {
                self.repair_record(*record)?;
            }
        }
        self.tidy();
        Ok(())
    }

    /// Removes files that no process uses any more. Errors do no harm.
    fn tidy(&self) {
        for id in self.records.staged_ids().unwrap_or_default() {
            let directory = self.records.staging_path(id);
            // aiw creates only directories here.
            let age = fs::symlink_metadata(&directory)
                .ok()
                .filter(fs::Metadata::is_dir)
                .and_then(|m| m.modified().ok())
                .and_then(|t| SystemTime::now().duration_since(t).ok());
            if age.is_some_and(|age| age > STAGING_AGE) && matches!(LivenessLock::try_acquire(&directory), Ok(Some(_)))
            {
                let _ = aiw_home::remove_tree(&directory);
            }
        }
        let _ = sweep_dead(&self.runtime);
        sweep_memory(self.runtime.path(), || {
            let records = self.records.ids().unwrap_or_default().into_iter().filter_map(|id| self.records.read(id));
            records.filter(|record| record.state != State::Ended).flat_map(|record| record.files).collect()
        });
    }
}
