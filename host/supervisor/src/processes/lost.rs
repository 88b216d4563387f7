//! Processes whose shims have died: what is true of them, and what is done about it.

use std::fs;
use std::time::SystemTime;

use aiw_core::{TaskId, TaskOutcome as Outcome, TaskState as State};
use aiw_home::now_millis;

use super::table::Processes;
use crate::directory::Alive;
use crate::error::SupervisorError;
use crate::log::{Log, Stream, Writer};
use crate::new::LogPolicy;
use crate::platform;
use crate::record::Record;
use crate::segment::open;
use crate::signal::{Proof, Target, end_orphans};

/// What the log of such a process ends with.
const LOST: &str = "lost: the supervisor died";

impl Processes {
    /// The record as it should be, and whether it is so already. Nothing is done: one of a shim that has died says so.
    pub(super) fn seen(&self, record: Record) -> (Record, bool) {
        let directory = self.records.directory(record.id);
        if record.state == State::Ended || !self.is_dead(&record, Alive::is_free(&directory)) {
            return (record, true);
        }
        // It may have ended in good order since the record was read.
        let Ok(mut record) = self.record(record.id) else { return (record, true) };
        let settled = record.state == State::Ended;
        if !settled {
            self.lose(&mut record);
            record.ended = self.last_sign(&record);
        }
        (record, settled)
    }

    /// The record of a process, made good if its shim has died.
    pub(super) fn settled(&self, id: TaskId) -> Result<Record, SupervisorError> {
        self.settle(self.record(id)?)
    }

    /// The record, made good if its shim has died. A shim that lives is left alone.
    pub(super) fn settle(&self, record: Record) -> Result<Record, SupervisorError> {
        if record.state == State::Ended {
            return Ok(record);
        }
        let directory = self.records.directory(record.id);
        // The lock is the shim's as long as it lives: no process id can be mistaken here.
        let alive = Alive::take(&directory);
        if !self.is_dead(&record, alive.as_ref().map(Option::is_some)) {
            return Ok(record);
        }
        // It may have ended in good order since the record was read.
        let mut record = self.record(record.id)?;
        if record.state == State::Ended {
            return Ok(record);
        }
        let left = end_orphans(&record, self.records.names());
        self.lose(&mut record);
        if left > 0 {
            record.note(&format!("processes that it left and that were ended: {left}"));
        }
        if record.pid_namespace != platform::pid_namespace() {
            record.note("it ran in another container: processes that it left cannot be seen from here");
        }
        crate::memory::remove_all(&mut record.files);
        record.ended = Some(now_millis());
        // Where the record cannot be written, everybody comes by here again.
        let last = Log::of(&directory).tail(1).ok().and_then(|mut entries| entries.pop());
        if last.is_none_or(|entry| (entry.stream, entry.bytes.as_slice()) != (Stream::Aiw, LOST.as_bytes()))
            && let Ok(mut log) = Writer::open(&directory, LogPolicy::default())
        {
            let _ = log.say(LOST);
        }
        if self.records.save_last(&directory, &record).is_err() {
            // The disk is full or may not be written: the answer is true all the same. Its time has
            // to be the same for all who look.
            record.ended = self.last_sign(&record);
        }
        if let Ok(Some(segment)) = open(&self.runtime, record.root) {
            segment.free(record.instance);
            segment.wake();
            segment.hand_on();
        }
        Ok(record)
    }

    /// Whether the shim of a record is dead. `is_free` says whether nobody has its lock.
    fn is_dead(&self, record: &Record, is_free: Result<bool, impl Sized>) -> bool {
        match is_free {
            // Nobody holds the locks in a copy of a home, but the processes run.
            Ok(true) => {
                !matches!(Target::of(record.shim.pid, record.shim.start, Proof::Supervisor(record)), Ok(Some(_)))
            }
            Ok(false) => false,
            // Who cannot even ask goes by the process; what is unknown of one must not hide the others.
            Err(_) => {
                record.pid_namespace == platform::pid_namespace()
                    && !platform::is_alive(record.shim.pid, record.shim.start)
            }
        }
    }

    fn lose(&self, record: &mut Record) {
        record.note("its supervisor died, so how it ended is not known");
        record.state = State::Ended;
        record.outcome = Some(Outcome::Lost);
    }

    /// When a process was last heard of, in milliseconds since 1970: the same for all who ask.
    fn last_sign(&self, record: &Record) -> Option<u64> {
        let directory = self.records.directory(record.id);
        let changed = |name: &str| fs::metadata(directory.join(name)).and_then(|meta| meta.modified()).ok();
        let last = ["log", &self.records.names().record].into_iter().filter_map(changed).max();
        let since = last.and_then(|last| last.duration_since(SystemTime::UNIX_EPOCH).ok());
        let last = since.and_then(|since| u64::try_from(since.as_millis()).ok());
        last.max(record.running_since).max(Some(record.started))
    }
}
