//! Reaching a running process: signals, and what it uses.

use std::collections::BTreeSet;

use aiw_core::{ProcessId, ProcessState as State};

use super::outcome::ProcessUsage;
use super::table::Processes;
use crate::directory::add_remark;
use crate::error::{SignalError, SupervisorError};
use crate::log::add_line;
use crate::platform::{self, Signal};
use crate::record::ProcessRecord;
use crate::side_by_side::map_chunks_parallel;
use crate::signal::{ProcessProof, Target};

impl Processes {
    /// Sends a signal to a running process itself, not to its descendants.
    pub fn signal(&self, id: ProcessId, signal: i32) -> Result<(), SupervisorError> {
        let record = self.read_repaired(id)?;
        let noun = self.records.kind();
        let signal = Signal::from_named_raw(signal).ok_or_else(|| SupervisorError::InvalidValue {
            problem: format!("{signal} is not the number of a signal"),
        })?;
        let out_of_reach = |source: SignalError| SupervisorError::SignalFailed { noun: noun.clone(), id, source };
        let child = record.child.filter(|_| record.state != State::Ended);
        let child = child.ok_or_else(|| SupervisorError::NotRunning { noun: noun.clone(), id })?;
        let names = self.records.names();
        let target =
            Target::find(child.pid, child.start, ProcessProof::Marked(&record, names)).map_err(&out_of_reach)?;
        let target = target.ok_or_else(|| SupervisorError::NotRunning { noun: noun.clone(), id })?;
        target.signal(signal).map_err(|e| out_of_reach(e.into()))
    }

    /// Says a sentence in the log of a process. Its shim writes it there within some seconds. Where it has ended, it is written
    /// at once: the caller sees to it that nobody starts it meanwhile.
    pub fn add_remark(&self, id: ProcessId, sentence: &str) -> Result<(), SupervisorError> {
        let directory = self.records.directory(id);
        let has_ended = self.read_repaired(id).is_ok_and(|record| record.state == State::Ended);
        let said = if has_ended { add_line(&directory, sentence) } else { add_remark(&directory, sentence) };
        said.map_err(|e| SupervisorError::io("write", &directory, e))
    }

    /// Returns the TCP ports that running processes and their descendants listen on, in the order of these records.
    pub fn ports(&self, records: &[&ProcessRecord]) -> Vec<BTreeSet<u16>> {
        let runs = |record: &ProcessRecord| record.state != State::Ended && crate::signal::has_valid_pids(record);
        let shims = records.iter().filter(|record| runs(record)).map(|record| (record.shim.pid, record.child));
        let (parents, listeners) =
            (platform::ProcessTree::with_known_shims(&shims.collect()), platform::TcpListeners::snapshot());
        let of = |record: &&ProcessRecord| match runs(record) {
            true => parents.descendants(record.shim.pid).iter().flat_map(|pid| listeners.ports(*pid)).collect(),
            false => BTreeSet::new(),
        };
        map_chunks_parallel(records, |records| records.iter().map(of).collect())
    }

    /// Returns what running processes and their descendants use, in the order of these records. It is `None` for one
    /// that cannot be looked at.
    pub fn usage(&self, records: &[&ProcessRecord]) -> Vec<Option<ProcessUsage>> {
        let parents = platform::ProcessTree::snapshot();
        let of = |record: &&ProcessRecord| {
            if record.state == State::Ended || !crate::signal::has_valid_pids(record) {
                return None;
            }
            // The shim adopts all orphans, so its descendants are exactly the process's tree.
            let tree = parents.descendants(record.shim.pid);
            let sampled = tree.iter().filter_map(|pid| platform::sample(*pid));
            let none = ProcessUsage { processes: 0, memory: 0, cpu: 0 };
            Some(sampled.fold(none, |sum, (memory, cpu)| ProcessUsage {
                processes: sum.processes + 1,
                memory: sum.memory + memory,
                cpu: sum.cpu + cpu,
            }))
        };
        records.iter().map(of).collect()
    }
}
