//! What dead shims have left behind is ended and recorded, by whoever looks next.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use aiw_home::now_millis;

use super::Tasks;
use crate::log::Writer;
use crate::platform::{self, Signal};
use crate::record::{Alive, Record, save_last};
use crate::segment::Segment;
use crate::signal::{self, Proof, Target};
use crate::{Log, Outcome, State, Stream, TaskError};

/// A shim makes its task's directory within milliseconds.
const STAGING_AGE: Duration = Duration::from_secs(60);

/// What the log of such a task ends with.
const LOST: &str = "lost: the supervisor died";

/// So many looks must find nothing before nothing is left.
pub(crate) const QUIET: usize = 3;

impl Tasks {
    /// The record, made good if its shim has died. A shim that lives is left alone.
    pub(super) fn settle(&self, record: Record) -> Result<Record, TaskError> {
        if record.state == State::Ended {
            return Ok(record);
        }
        let directory = self.records.directory(record.id);
        // The lock is the shim's as long as it lives: no process id can be mistaken here.
        let ours = record.pid_namespace == platform::pid_namespace();
        let _alive = match Alive::take(&directory) {
            Ok(Some(alive)) => Some(alive),
            Ok(None) => return Ok(record),
            // Who cannot even ask goes by the process; what is unknown of one task must not hide the others.
            Err(_) if ours && !platform::is_alive(record.shim.pid, record.shim.start) => None,
            Err(_) => return Ok(record),
        };
        // It may have ended in good order since the record was read.
        let mut record = self.record(record.id)?;
        if record.state == State::Ended {
            return Ok(record);
        }
        // Nobody holds the locks in a copy of a home, but the tasks run.
        if let Ok(Some(_)) = Target::of(record.shim.pid, record.shim.start, Proof::Supervisor(&record)) {
            return Ok(record);
        }
        let left = end_orphans(&record);
        record.note("its supervisor died, so how it ended is not known");
        if left > 0 {
            record.note(&format!("processes that it left and that were ended: {left}"));
        }
        if !ours {
            record.note("it ran in another container: processes that it left cannot be seen from here");
        }
        record.remove_files();
        record.state = State::Ended;
        record.outcome = Some(Outcome::Lost);
        record.ended = Some(now_millis());
        // Where the record cannot be written, everybody comes by here again.
        let last = Log::of(&directory).tail(1).ok().and_then(|mut entries| entries.pop());
        if last.is_none_or(|entry| (entry.stream, entry.bytes.as_slice()) != (Stream::Aiw, LOST.as_bytes()))
            && let Ok(mut log) = Writer::open(&directory, self.log_bytes)
        {
            let _ = log.say(LOST);
        }
        if save_last(&directory, &record).is_err() {
            // The disk is full or may not be written: the answer is true all the same. Its time has
            // to be the same for all who look.
            record.ended = last_sign(&directory).max(record.running_since).max(Some(record.started));
        }
        if let Ok(Some(segment)) = Segment::open(&self.runtime, record.root) {
            segment.free(record.instance);
            segment.wake();
            segment.hand_on();
        }
        Ok(record)
    }

    /// Removes what half-started tasks and ended sessions have left. Failing at this harms nobody.
    pub(super) fn tidy(&self) {
        for id in self.records.staged().unwrap_or_default() {
            let directory = self.records.staging(id);
            // aiw makes nothing but directories here.
            let age = fs::symlink_metadata(&directory)
                .ok()
                .filter(fs::Metadata::is_dir)
                .and_then(|m| m.modified().ok())
                .and_then(|t| SystemTime::now().duration_since(t).ok());
            if age.is_some_and(|age| age > STAGING_AGE) && matches!(Alive::take(&directory), Ok(Some(_))) {
                let _ = fs::remove_dir_all(&directory);
            }
        }
        let _ = crate::segment::sweep_dead(&self.runtime);
        crate::program::sweep_memory(|| {
            let records = self.records.ids().unwrap_or_default().into_iter().filter_map(|id| self.records.read(id));
            records.filter(|record| record.state != State::Ended).flat_map(|record| record.files).collect()
        });
    }
}

/// When a task was last heard of, in milliseconds since 1970.
fn last_sign(directory: &Path) -> Option<u64> {
    let changed = |name| fs::metadata(directory.join(name)).and_then(|meta| meta.modified()).ok();
    let last = ["log", "task.json"].into_iter().filter_map(changed).max()?;
    u64::try_from(last.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_millis()).ok()
}

/// Ends what a dead shim's task still has running: its CLI and all else that carry its marks. How many that were.
fn end_orphans(record: &Record) -> usize {
    // Nothing outlives the system that it ran on.
    if !signal::is_here(record) {
        return 0;
    }
    let marks = signal::marks(record);
    let mut ended = Vec::new();
    // What is being ended may start others, and who has just done so is gone when it is looked at:
    // once is not enough to say that nothing is left.
    let mut quiet = 0;
    for _ in 0..100 {
        let (left, unsure) = platform::marked(&marks, record.shim.start);
        if left.is_empty() {
            quiet += usize::from(!unsure);
            if quiet == QUIET {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        quiet = 0;
        let mut handles = Vec::new();
        for (pid, start) in left {
            if let Ok(Some(process)) = Target::of(pid, start, Proof::Marked(record)) {
                let _ = process.signal(Signal::KILL);
                handles.push(process);
                if !ended.contains(&(pid, start)) {
                    ended.push((pid, start));
                }
            }
        }
        for process in handles {
            process.wait(Duration::from_millis(500));
        }
    }
    ended.len()
}
