//! Ending processes.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use aiw_core::{ProcessId, ProcessState as State};

use super::outcome::{StopOutcome, SupervisedProcess, WaitMode};
use super::table::Processes;
use crate::directory::{DIRECTORY_POLL_INTERVAL, is_stop_requested, request_stop};
use crate::error::{SignalError, SupervisorError};
use crate::platform::Signal;
use crate::record::ProcessRecord;
use crate::signal::{ProcessProof, Target};

/// How long a shim has after it was resumed, and after it was killed.
const POST_KILL_TIMEOUT: Duration = Duration::from_secs(1);

impl Processes {
    /// Returns whether a process was asked to end and has not ended yet.
    pub fn is_stopping(&self, record: &ProcessRecord) -> bool {
        match record.state {
            State::Ended => false,
            State::Stopping => true,
            _ => is_stop_requested(&self.records.directory(record.id), record.instance),
        }
    }

    /// Asks a process to end: SIGTERM to its group, 5 s, SIGKILL. With `wait` it returns when that is done. The shim
    /// does the work; if the shim is dead, the processes that are left are ended here. A stopped shim is resumed for
    /// this, and a shim that does nothing is killed after 15 s more. A shim that cannot be inspected is asked through
    /// a file, which it sees within 5 s.
    pub fn stop(&self, id: ProcessId, wait: bool) -> Result<StopOutcome<SupervisedProcess>, SupervisorError> {
        let record = self.read_repaired(id)?;
        if record.state == State::Ended {
            return Ok(StopOutcome::AlreadyEnded(self.get(id)?));
        }
        let out_of_reach =
            |source: SignalError| SupervisorError::SignalFailed { noun: self.records.kind(), id, source };
        let shim = match Target::find(record.shim.pid, record.shim.start, ProcessProof::Supervisor(&record)) {
            Ok(shim) => shim,
            // `/proc` may be mounted so that it hides supervisors. They read their directories nevertheless.
            Err(SignalError::NotVisible { .. }) => {
                request_stop(&self.records.directory(id), record.instance)?;
                if wait {
                    let limit = Instant::now() + DIRECTORY_POLL_INTERVAL + self.grace + self.timeout;
                    self.wait(&[id], WaitMode::All, Some(limit), &AtomicBool::new(false), &mut |_| {})?;
                }
                None
            }
            Err(refusal) => return Err(out_of_reach(refusal)),
        };
        if let Some(shim) = shim {
            // Written first: whoever asked may be gone before the shim has heard it, and what is being stopped is not
            // to pass for what runs. A full disk does not keep anything from being stopped.
            let _ = request_stop(&self.records.directory(id), record.instance);
            shim.signal(Signal::TERM).map_err(|e| out_of_reach(e.into()))?;
            // A stopped shim would not even handle the SIGTERM.
            let _ = shim.signal(Signal::CONT);
            if wait && !shim.wait(self.grace + self.timeout) {
                let _ = shim.signal(Signal::CONT);
                if !shim.wait(POST_KILL_TIMEOUT) && shim.signal(Signal::KILL).is_ok() {
                    // The call of `get` below ends what the shim leaves behind.
                    shim.wait(POST_KILL_TIMEOUT);
                }
            }
        }
        let now = self.get(id)?;
        Ok(if now.record.state == State::Ended { StopOutcome::Ended(now) } else { StopOutcome::Stopping(now) })
    }
}
