//! Ending processes.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use aiw_core::{TaskId, TaskState as State};

use super::outcome::{Stopped, Supervised, WaitMode};
use super::table::Processes;
use crate::directory::{LOOK_AGAIN, ask_to_stop};
use crate::error::{Refusal, SupervisorError};
use crate::platform::Signal;
use crate::signal::{Proof, Target};

/// How long it has once it is.
const LAST_CHANCE: Duration = Duration::from_secs(1);

impl Processes {
    /// Asks a process to end: SIGTERM to its group, 5 s, SIGKILL. With `wait` it returns when that is
    /// done. The shim does it; of a dead shim, what is left is ended here. A shim that was stopped
    /// goes on for it, and one that does nothing is killed after 15 s more. One that cannot be
    /// inspected is asked by a file, which it sees within 5 s.
    pub fn stop(&self, id: TaskId, wait: bool) -> Result<Stopped<Supervised>, SupervisorError> {
        let record = self.settled(id)?;
        if record.state == State::Ended {
            return Ok(Stopped::AlreadyEnded(self.get(id)?));
        }
        let out_of_reach = |source: Refusal| SupervisorError::OutOfReach { id, source };
        let shim = match Target::of(record.shim.pid, record.shim.start, Proof::Supervisor(&record)) {
            Ok(shim) => shim,
            // `/proc` may be mounted so that it hides supervisors. They read their directories all the same.
            Err(Refusal::Hidden { .. }) => {
                ask_to_stop(&self.records.directory(id))?;
                if wait {
                    let limit = Instant::now() + LOOK_AGAIN + self.grace + self.patience;
                    self.wait(&[id], WaitMode::All, Some(limit), &AtomicBool::new(false), &mut |_| {})?;
                }
                None
            }
            Err(refusal) => return Err(out_of_reach(refusal)),
        };
        if let Some(shim) = shim {
            shim.signal(Signal::TERM).map_err(|e| out_of_reach(e.into()))?;
            // It may be stopped, and not even hear the other.
            let _ = shim.signal(Signal::CONT);
            if wait && !shim.wait(self.grace + self.patience) {
                let _ = shim.signal(Signal::CONT);
                if !shim.wait(LAST_CHANCE) && shim.signal(Signal::KILL).is_ok() {
                    // What it leaves is ended by the look below.
                    shim.wait(LAST_CHANCE);
                }
            }
        }
        let now = self.get(id)?;
        Ok(if now.record.state == State::Ended { Stopped::Ended(now) } else { Stopped::Stopping(now) })
    }
}
