//! What is kept of ended tasks.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use aiw_core::{TaskId, TaskState as State};
use aiw_home::now_millis;

use super::outcome::Keep;
use super::table::Processes;
use crate::directory::{Alive, is_read, is_supervised, mark_read};
use crate::error::SupervisorError;
use crate::files::random;
use crate::records::Found;

/// Of tasks that no report has shown, so many times more are kept.
const UNREAD: usize = 5;

/// What has no record and was not touched for so long never gets one.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

impl Processes {
    /// Marks ended tasks as shown by a report. Others are left as they are. That a mark cannot be
    /// written, or a task is gone, is not an error: the report was shown, and that is what counts.
    pub fn mark_read(&self, ids: &[TaskId]) -> Result<(), SupervisorError> {
        for id in ids {
            if self.records.read(*id).is_some_and(|record| record.state == State::Ended) {
                mark_read(&self.records.directory(*id));
            }
        }
        Ok(())
    }

    /// Removes the directory of an ended task, or what is in its place: a directory with a damaged record
    /// that nobody supervises, or a file, FIFO or socket. A link is refused.
    pub fn remove(&self, id: TaskId) -> Result<(), SupervisorError> {
        let directory = self.records.directory(id);
        match self.records.find(id) {
            Found::Record(record) => {
                let record = self.settle(*record)?;
                if record.state != State::Ended {
                    return Err(SupervisorError::StillRunning { id, state: record.state });
                }
            }
            Found::Link => return Err(SupervisorError::Link { path: directory }),
            // Should it be a link by now, the link itself is removed.
            Found::NoDirectory(_) => {
                return fs::remove_file(&directory).map_err(|e| SupervisorError::io("remove", &directory, e));
            }
            Found::Nothing if !directory.exists() => return Err(SupervisorError::Absent { id }),
            Found::Nothing | Found::Unreadable(_) => {
                if is_supervised(&directory)? {
                    return Err(SupervisorError::Supervised { id, lock: directory.join("alive") });
                }
            }
        }
        // Out of sight in one step: nobody sees half of it. `tidy` removes what a kill leaves here.
        let gone = self.records.staging(TaskId::from_number(random() >> 2));
        fs::rename(&directory, &gone).map_err(|e| SupervisorError::io("remove", &directory, e))?;
        fs::remove_dir_all(&gone).map_err(|e| SupervisorError::io("remove", &gone, e))
    }

    /// Removes the records and logs of ended tasks that are not to be kept, of all sessions.
    pub fn prune(&self, keep: Keep) -> Result<Vec<TaskId>, SupervisorError> {
        let oldest = now_millis().saturating_sub(u64::try_from(keep.age.as_millis()).unwrap_or(u64::MAX));
        let mut ended = Vec::new();
        let mut removed = Vec::new();
        for id in self.records.ids()? {
            match self.records.find(id) {
                Found::Record(record) if record.state == State::Ended => {
                    let read = is_read(&self.records.directory(id));
                    ended.push((record.ended.unwrap_or(0), id, read));
                }
                Found::Record(_) => {}
                // What a power cut has left of a record tells nothing. A shim that lives holds its lock.
                Found::Nothing => {
                    let directory = self.records.directory(id);
                    if is_old(&directory) && matches!(Alive::take(&directory), Ok(Some(_))) {
                        let _ = fs::remove_dir_all(directory);
                        removed.push(id);
                    }
                }
                // Of a newer aiw, or it cannot be read just now, or of somebody else: not ours to remove.
                Found::Unreadable(_) | Found::Link | Found::NoDirectory(_) => {}
            }
        }
        ended.sort_unstable_by(|a, b| b.cmp(a));
        for (place, (time, id, read)) in ended.into_iter().enumerate() {
            let room = if read { keep.count } else { keep.count.saturating_mul(UNREAD) };
            if place >= room || time < oldest {
                match self.remove(id) {
                    // Somebody else prunes, too.
                    Ok(()) | Err(SupervisorError::Absent { .. } | SupervisorError::Io { .. }) => removed.push(id),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(removed)
    }
}

/// Whether a directory was last changed long ago. One whose age is not known is young.
fn is_old(directory: &Path) -> bool {
    let meta = fs::symlink_metadata(directory).ok().filter(fs::Metadata::is_dir);
    let changed = meta.and_then(|meta| meta.modified().ok());
    changed.and_then(|at| SystemTime::now().duration_since(at).ok()).is_some_and(|age| age > ABANDONED)
}
