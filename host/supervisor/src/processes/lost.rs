//! Processes whose shims have died: how they are reported, and how they are cleaned up.

use std::fs;

use aiw_core::{ProcessId, ProcessOutcome as Outcome, ProcessState as State, unix_millis};
use aiw_events::{EventKind, HomeEvent};
use aiw_home::{OpenDirectory, now_millis};

use super::table::Processes;
use crate::directory::LivenessLock;
use crate::error::SupervisorError;
use crate::log::{Log, LogWriter, Stream};
use crate::new::LogPolicy;
use crate::platform;
use crate::record::ProcessRecord;
use crate::segment::open;
use crate::signal::{ProcessProof, Target, end_orphans};

/// The last log line of such a process.
const LOST_LOG_LINE: &str = "lost: the supervisor died";

impl Processes {
    /// Returns the record as it should be, and whether it is recorded that way already. If the shim has died, the
    /// returned record says so, but nothing is changed.
    /// `all` is the directory of all processes.
    pub(super) fn reconcile_record(&self, all: &OpenDirectory, record: ProcessRecord) -> (ProcessRecord, bool) {
        let directory = self.records.directory(record.id);
        if record.state == State::Ended || !self.is_dead(&record, LivenessLock::is_free(all, &directory)) {
            return (record, true);
        }
        // The process may have ended normally since the record was read.
        let Ok(mut record) = self.record(record.id) else { return (record, true) };
        let settled = record.state == State::Ended;
        if !settled {
            self.lose(&mut record);
            record.ended = self.last_sign(&record);
        }
        (record, settled)
    }

    /// Reads the record of a process, and repairs it if the shim has died.
    pub(super) fn read_repaired(&self, id: ProcessId) -> Result<ProcessRecord, SupervisorError> {
        self.repair_record(self.record(id)?)
    }

    /// Returns the record, repaired if the shim has died. A live shim is left alone.
    pub(super) fn repair_record(&self, record: ProcessRecord) -> Result<ProcessRecord, SupervisorError> {
        if record.state == State::Ended {
            return Ok(record);
        }
        let directory = self.records.directory(record.id);
        // The shim holds the lock for as long as it lives, so no process id can be mistaken here.
        let alive = LivenessLock::try_acquire(&directory);
        if !self.is_dead(&record, alive.as_ref().map(Option::is_some)) {
            return Ok(record);
        }
        // The process may have ended normally since the record was read.
        let mut record = self.record(record.id)?;
        if record.state == State::Ended {
            return Ok(record);
        }
        let left = end_orphans(&record, self.records.names());
        self.lose(&mut record);
        if left > 0 {
            record.add_note(&format!("processes that it left and that were ended: {left}"));
        }
        if record.pid_namespace != platform::pid_namespace() {
            record.add_note("it ran in another container: processes that it left cannot be seen from here");
        }
        crate::memory::remove_all(&mut record.files, self.runtime.path());
        let _ = aiw_home::remove_file(&crate::control::socket(self.runtime.path(), record.id));
        record.ended = Some(now_millis());
        // If the record cannot be written, this code runs again for every caller, so the line may be there already.
        let last = Log::new(&directory).tail(1).ok().and_then(|mut entries| entries.pop());
        if last.is_none_or(|entry| (entry.stream, entry.bytes.as_slice()) != (Stream::Aiw, LOST_LOG_LINE.as_bytes()))
            && let Ok(mut log) = LogWriter::open(&directory, LogPolicy::default())
        {
            let _ = log.write_message(LOST_LOG_LINE);
        }
        let saved = self.records.save_last(&directory, &record);
        if saved.is_ok() {
            let why = Some("its supervisor died".to_owned());
            self.records.log_event(&record, EventKind::Failed, |event| HomeEvent { reason: why, ..event });
        }
        if saved.is_err() {
            // The disk is full or read-only, but the answer is true nevertheless. Its time has to be the same for all
            // callers.
            record.ended = self.last_sign(&record);
        }
        if let Ok(Some(segment)) = open(&self.runtime, record.root) {
            segment.free(record.instance);
            segment.wake();
            segment.grant_permits();
        }
        Ok(record)
    }

    /// Returns whether the shim of a record is dead. `is_free` says whether nobody holds its lock.
    fn is_dead(&self, record: &ProcessRecord, is_free: Result<bool, impl Sized>) -> bool {
        match is_free {
            // In a copy of a home nobody holds the locks, but the processes may still run.
            Ok(true) => !matches!(
                Target::find(record.shim.pid, record.shim.start, ProcessProof::Supervisor(record)),
                Ok(Some(_))
            ),
            Ok(false) => false,
            // If the lock cannot be checked, the process decides. An error about one process must not hide the
            // others.
            Err(_) => {
                record.pid_namespace == platform::pid_namespace()
                    && !platform::is_alive(record.shim.pid, record.shim.start)
            }
        }
    }

    fn lose(&self, record: &mut ProcessRecord) {
        record.add_note("its supervisor died, so how it ended is not known");
        record.state = State::Ended;
        record.outcome = Some(Outcome::Lost);
    }

    /// Returns when a process was last heard of, in milliseconds since 1970: the same for all callers.
    fn last_sign(&self, record: &ProcessRecord) -> Option<u64> {
        let directory = self.records.directory(record.id);
        let changed = |name: &str| fs::metadata(directory.join(name)).and_then(|meta| meta.modified()).ok();
        let last = ["log", &self.records.names().record].into_iter().filter_map(changed).max();
        last.map(unix_millis).max(record.running_since).max(Some(record.started))
    }
}
