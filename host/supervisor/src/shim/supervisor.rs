//! A shim with its process: its state, and how the state is published.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use aiw_core::{ProcessOutcome as Outcome, ProcessState as State};
use aiw_events::{EventKind, HomeEvent};
use rustix::process::Rlimit;

use super::control::ControlSocket;
use super::signals::ShimSignals;
use super::streams::Streams;
use crate::directory::{LivenessLock, is_stop_requested, remarks};
use crate::interpreter::OutputInterpreter;
use crate::new::{NewProcess, QueueLimit};
use crate::program::Program;
use crate::record::ProcessRecord;
use crate::records::Records;
use crate::runtime::RuntimeDir;
use crate::segment::{OwnedSlot, SlotData, attach, open};

/// How long to retry recording an end.
const FINAL_RECORD_RETRY_TIMEOUT: Duration = Duration::from_secs(30);

/// A shim with its process.
pub(super) struct Supervisor {
    pub record: ProcessRecord,
    /// The previous record of the directory, if the directory existed already.
    pub previous_record: Option<ProcessRecord>,
    pub new_process: NewProcess,
    pub directory: PathBuf,
    pub streams: Streams,
    pub interpreter: fn(&ProcessRecord) -> Option<Box<dyn OutputInterpreter>>,
    pub signals: ShimSignals,
    pub program: Program,
    pub files: Vec<OwnedFd>,
    /// The socket that each incarnation gets.
    pub listener: Option<TcpListener>,
    pub grace: Duration,
    pub core: Rlimit,
    pub slot_data: SlotData,
    pub slot: Option<OwnedSlot>,
    pub records: Records,
    pub runtime: RuntimeDir,
    /// The socket for those who type at the process or have it started again, once it has taken input or may be.
    pub control: Option<ControlSocket>,
    /// Whether somebody asked for the next life.
    pub restart_requested: bool,
    pub queue: QueueLimit,
    /// How far the remarks of others were read.
    pub remark_offset: usize,
    /// Held until this process ends.
    pub _liveness_lock: LivenessLock,
}

impl Supervisor {
    /// Publishes the current state in the record, then in the slot: a process that is woken finds both.
    pub fn publish(&mut self) {
        self.slot_data.state = self.record.state;
        self.slot_data.pid = self.record.child.map(|child| child.pid);
        self.slot_data.running_since = self.record.running_since;
        if let Err(error) = self.records.save(&self.directory, &self.record) {
            self.streams.log_error.get_or_insert_with(|| error.to_string());
        }
        if let Some(slot) = &self.slot {
            slot.update(&self.slot_data);
            slot.segment().wake();
        }
    }

    /// Adds an event. One that can't be written stops nothing.
    pub fn log_event(&self, kind: EventKind, more: impl FnOnce(HomeEvent) -> HomeEvent) {
        self.records.log_event(&self.record, kind, more);
    }

    /// Returns whether the end of the process was requested, by a signal or through its directory.
    pub fn is_stop_requested(&self) -> bool {
        self.signals.is_termination_requested() || is_stop_requested(&self.directory, self.record.instance)
    }

    /// Takes what other processes have to say into the log.
    pub fn log_remarks(&mut self) {
        for remark in remarks(&self.directory, &mut self.remark_offset) {
            self.streams.write_message(&remark);
        }
    }

    /// Moves to the root's new segment, if there is one (the files of a segment may vanish at a logout).
    pub fn reattach_segment(&mut self) {
        let segment = self.slot.as_ref().map(OwnedSlot::segment);
        if segment.is_some_and(|segment| segment.is_current()) {
            return;
        }
        let root = self.record.root;
        // Another process may have the root's id by now. Creating a segment for it is not up to us.
        let attached =
            if root.is_alive() { attach(&self.runtime, root).ok() } else { open(&self.runtime, root).ok().flatten() };
        if let Some(segment) = attached {
            self.slot_data.ticket = segment.next_ticket();
            self.slot = segment.claim(&self.slot_data);
            segment.wake();
        }
    }

    /// Gives up the slot, and hands the place on.
    pub fn release_slot(&mut self) {
        if let Some(slot) = self.slot.take() {
            let segment = slot.segment().clone();
            drop(slot);
            segment.grant_permits();
        }
    }

    /// Restores everything to its state before this shim started.
    pub fn roll_back(&mut self) {
        match self.previous_record.take() {
            None => {
                let _ = aiw_home::remove_tree(&self.directory);
            }
            Some(before) => {
                let _ = self.records.save(&self.directory, &before);
            }
        }
        self.release_slot();
    }

    /// Records the end. The slot is freed last, so that a process that this wakes finds the complete record.
    pub fn close(&mut self, outcome: Outcome) {
        crate::memory::remove_all(&mut self.record.files, self.runtime.path());
        self.record.state = State::Ended;
        self.record.outcome = Some(outcome);
        self.record.ended = Some(aiw_home::now_millis());
        if let Some(trouble) = self.streams.log_error.take() {
            self.record.add_note(&trouble);
        }
        // If the record cannot be written, the process counts as lost after our death. A full disk may have space
        // again soon.
        let start = Instant::now();
        while self.records.save_last(&self.directory, &self.record).is_err() {
            if start.elapsed() >= FINAL_RECORD_RETRY_TIMEOUT || !self.directory.exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        match outcome {
            _ if self.record.stopped => self.log_event(EventKind::Stopped, |event| event),
            Outcome::Succeeded => {}
            _ => self.log_event(EventKind::Failed, |event| event),
        }
        self.release_slot();
    }
}
