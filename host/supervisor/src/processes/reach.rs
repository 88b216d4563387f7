//! Reaching a running process: signals, input, and what it uses.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::time::{Duration, Instant};

use aiw_core::{ProcessId, ProcessState as State};

use super::outcome::ProcessUsage;
use super::table::Processes;
use crate::directory::{INPUT, add_remark};
use crate::error::{SignalRefusal, SupervisorError};
use crate::platform::{self, Signal};
use crate::record::ProcessRecord;
use crate::side_by_side::side_by_side;
use crate::signal::{Proof, Target};

/// How long a process may take to read its input.
const PATIENCE: Duration = Duration::from_secs(5);

impl Processes {
    /// Sends a signal to a running process itself, not to its descendants.
    pub fn signal(&self, id: ProcessId, signal: i32) -> Result<(), SupervisorError> {
        let record = self.settled(id)?;
        let noun = self.records.noun();
        let signal = Signal::from_named_raw(signal)
            .ok_or_else(|| SupervisorError::Invalid { problem: format!("{signal} is not the number of a signal") })?;
        let out_of_reach = |source: SignalRefusal| SupervisorError::OutOfReach { noun: noun.clone(), id, source };
        let child = record.child.filter(|_| record.state != State::Ended);
        let child = child.ok_or_else(|| SupervisorError::NotRunning { noun: noun.clone(), id })?;
        let names = self.records.names();
        let target = Target::of(child.pid, child.start, Proof::Marked(&record, names)).map_err(&out_of_reach)?;
        let target = target.ok_or_else(|| SupervisorError::NotRunning { noun: noun.clone(), id })?;
        target.signal(signal).map_err(|e| out_of_reach(e.into()))
    }

    /// Says a sentence in the log of a process that has not ended. Its shim writes it there within some seconds.
    pub fn remark(&self, id: ProcessId, sentence: &str) -> Result<(), SupervisorError> {
        let directory = self.records.directory(id);
        add_remark(&directory, sentence).map_err(|e| SupervisorError::io("write", &directory, e))
    }

    /// Writes to the standard input of a process that takes input while it runs. Returns once the process's shim has
    /// all of it.
    pub fn write_input(&self, id: ProcessId, bytes: &[u8]) -> Result<(), SupervisorError> {
        let record = self.settled(id)?;
        let noun = self.records.noun();
        if record.state != State::Running {
            return Err(SupervisorError::NotRunning { noun, id });
        }
        let path = self.records.directory(id).join(INPUT);
        let fail = |e: io::Error| SupervisorError::io("write", &path, e);
        let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW;
        let mut fifo = match OpenOptions::new().write(true).custom_flags(flags).open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(SupervisorError::NoInput { noun, id }),
            // Nobody has it open for reading.
            Err(e) if e.raw_os_error() == Some(libc::ENXIO) => return Err(SupervisorError::NotRunning { noun, id }),
            Err(e) => return Err(fail(e)),
        };
        if !fifo.metadata().map_err(fail)?.file_type().is_fifo() {
            return Err(SupervisorError::NoInput { noun, id });
        }
        let (mut left, start) = (bytes, Instant::now());
        while !left.is_empty() {
            match fifo.write(left) {
                Ok(written) => left = &left[written..],
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock && start.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(e) => return Err(fail(e)),
            }
        }
        Ok(())
    }

    /// Returns the TCP ports that running processes and their descendants listen on, in the order of these records.
    pub fn ports(&self, records: &[&ProcessRecord]) -> Vec<BTreeSet<u16>> {
        let runs = |record: &ProcessRecord| record.state != State::Ended && crate::signal::is_here(record);
        let shims = records.iter().filter(|record| runs(record)).map(|record| (record.shim.pid, record.child));
        let (parents, listeners) = (platform::Parents::knowing(&shims.collect()), platform::Listeners::now());
        let of = |record: &&ProcessRecord| match runs(record) {
            true => parents.descendants(record.shim.pid).iter().flat_map(|pid| listeners.ports(*pid)).collect(),
            false => BTreeSet::new(),
        };
        side_by_side(records, |records| records.iter().map(of).collect())
    }

    /// Returns what running processes and their descendants use, in the order of these records. It is `None` for one
    /// that cannot be looked at.
    pub fn usage(&self, records: &[&ProcessRecord]) -> Vec<Option<ProcessUsage>> {
        let parents = platform::Parents::now();
        let of = |record: &&ProcessRecord| {
            if record.state == State::Ended || !crate::signal::is_here(record) {
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
