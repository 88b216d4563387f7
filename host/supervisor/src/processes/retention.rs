//! Which ended processes are kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aiw_core::{ProcessId, ProcessState as State};
use aiw_home::{now_millis, remove_file, remove_tree, rename};

use super::outcome::RetentionPolicy;
use super::table::Processes;
use crate::directory::{LivenessLock, is_seen, is_supervised, mark_seen};
use crate::error::SupervisorError;
use crate::files::random;
use crate::records::Lookup;

/// How many times more processes are kept that no report has shown.
const UNSEEN_LIMIT_FACTOR: usize = 5;

/// A directory without a record that was not touched for this long will never get one.
const ORPHANED_DIR_MAX_AGE: Duration = Duration::from_secs(24 * 3600);

/// The end of the name of a directory that was put aside.
const DAMAGED_SUFFIX: &str = ".damaged";

impl Processes {
    /// Marks ended processes as shown by a report. Other processes are not changed. A mark that cannot be written, or a
    /// process that is gone, is not an error: what counts is that the report was shown.
    pub fn mark_seen(&self, ids: &[ProcessId]) -> Result<(), SupervisorError> {
        for id in ids {
            if self.records.read(*id).is_some_and(|record| record.state == State::Ended) {
                mark_seen(&self.records.directory(*id));
            }
        }
        Ok(())
    }

    /// Removes the directory of an ended process, or whatever is in its place: a directory with a damaged record that
    /// nobody supervises, or a file, FIFO or socket. A link is refused.
    pub fn remove(&self, id: ProcessId) -> Result<(), SupervisorError> {
        let (noun, directory) = (self.records.kind(), self.records.directory(id));
        match self.records.find(id) {
            Lookup::Record(record) => {
                let record = self.repair_record(*record)?;
                if record.state != State::Ended {
                    return Err(SupervisorError::StillRunning { noun, id, state: record.state });
                }
            }
            Lookup::Symlink => return Err(SupervisorError::SymlinkRejected { path: directory }),
            // If it has become a link by now, the link itself is removed.
            Lookup::NotADirectory(_) => {
                return remove_file(&directory).map_err(|e| SupervisorError::io("remove", &directory, e));
            }
            Lookup::NotFound if !directory.exists() => return Err(SupervisorError::NotFound { noun, id }),
            Lookup::NotFound | Lookup::Unreadable(_) => {
                if is_supervised(&directory)? {
                    return Err(SupervisorError::StillSupervised { noun, id, lock: directory.join("alive") });
                }
            }
        }
        // Renamed first, so that nobody sees a half-removed directory. `tidy` removes what is left if we are killed
        // here.
        let gone = self.records.staging_path(ProcessId::from_number(random() >> 2));
        rename(&directory, &gone).map_err(|e| SupervisorError::io("remove", &directory, e))?;
        remove_tree(&gone).map_err(|e| SupervisorError::io("remove", &gone, std::io::Error::other(e)))
    }

    /// Puts the directory of a process with a damaged record aside, with its log.
    ///
    /// # Errors
    ///
    /// A shim supervises it, or it can't be renamed.
    pub(super) fn quarantine(&self, id: ProcessId) -> Result<(), SupervisorError> {
        let (noun, directory) = (self.records.kind(), self.records.directory(id));
        if is_supervised(&directory)? {
            return Err(SupervisorError::StillSupervised { noun, id, lock: directory.join("alive") });
        }
        let name = |number: u32| match number {
            1 => format!("{id}{DAMAGED_SUFFIX}"),
            number => format!("{id}.{number}{DAMAGED_SUFFIX}"),
        };
        let place = aiw_home::first_free(|number| self.records.root().join(name(number)));
        rename(&directory, &place).map_err(|e| SupervisorError::io("rename", &directory, e))
    }

    /// Returns the directories that were put aside, because their records were damaged.
    pub fn quarantined_directories(&self) -> Vec<PathBuf> {
        let entries = aiw_home::read_dir(self.records.root()).into_iter().flatten().flatten().map(|entry| entry.path());
        entries.filter(|path| path.to_string_lossy().ends_with(DAMAGED_SUFFIX)).collect()
    }

    /// Returns the directory of a process, whatever is in it.
    pub fn process_directory(&self, id: ProcessId) -> PathBuf {
        self.records.directory(id)
    }

    /// Removes the records and logs of ended processes that are not to be kept, of all roots.
    pub fn prune(&self, keep: RetentionPolicy) -> Result<Vec<ProcessId>, SupervisorError> {
        let (abandoned, ended) = self.spare(keep)?;
        let mut removed = Vec::new();
        for id in abandoned {
            let directory = self.records.directory(id);
            // A live shim would hold the lock.
            if matches!(LivenessLock::try_acquire(&directory), Ok(Some(_))) {
                let _ = remove_tree(&directory);
                removed.push(id);
            }
        }
        for id in ended {
            match self.remove(id) {
                // Another process may be pruning, too.
                Ok(()) | Err(SupervisorError::NotFound { .. } | SupervisorError::Io { .. }) => removed.push(id),
                Err(error) => return Err(error),
            }
        }
        Ok(removed)
    }

    /// Returns what [`prune`](Self::prune) would remove.
    pub fn prunable(&self, keep: RetentionPolicy) -> Result<Vec<ProcessId>, SupervisorError> {
        let (abandoned, ended) = self.spare(keep)?;
        Ok(abandoned.into_iter().chain(ended).collect())
    }

    /// Returns the directories that have no record and never will, and the ended processes that are not to be kept.
    fn spare(&self, keep: RetentionPolicy) -> Result<(Vec<ProcessId>, Vec<ProcessId>), SupervisorError> {
        let oldest = now_millis().saturating_sub(u64::try_from(keep.age.as_millis()).unwrap_or(u64::MAX));
        let (mut ended, mut abandoned) = (Vec::new(), Vec::new());
        for id in self.records.ids()? {
            match self.records.find(id) {
                Lookup::Record(record) if record.state == State::Ended => {
                    let shown = is_seen(&self.records.directory(id));
                    ended.push((record.ended.unwrap_or(0), id, shown));
                }
                Lookup::Record(_) => {}
                // What a power cut left of a record is of no use.
                Lookup::NotFound if is_old(&self.records.directory(id)) => abandoned.push(id),
                Lookup::NotFound => {}
                // Written by a newer aiw, temporarily unreadable, or not aiw's: not ours to remove.
                Lookup::Unreadable(_) | Lookup::Symlink | Lookup::NotADirectory(_) => {}
            }
        }
        ended.sort_unstable_by(|a, b| b.cmp(a));
        let is_spare = |(place, (time, _, shown)): &(usize, (u64, ProcessId, bool))| {
            let room = if *shown { keep.count } else { keep.count.saturating_mul(UNSEEN_LIMIT_FACTOR) };
            *place >= room || *time < oldest
        };
        let spare = ended.into_iter().enumerate().filter(is_spare).map(|(_, (_, id, _))| id).collect();
        Ok((abandoned, spare))
    }
}

/// Returns whether a directory was last changed long ago. A directory of unknown age counts as recent.
fn is_old(directory: &Path) -> bool {
    let meta = fs::symlink_metadata(directory).ok().filter(fs::Metadata::is_dir);
    let changed = meta.and_then(|meta| meta.modified().ok());
    changed.and_then(|at| SystemTime::now().duration_since(at).ok()).is_some_and(|age| age > ORPHANED_DIR_MAX_AGE)
}
