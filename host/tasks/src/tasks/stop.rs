//! Ending tasks.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use aiw_core::TaskId;

use super::{Stopped, Tasks, WaitMode};
use crate::platform::Signal;
use crate::record::ask_to_stop;
use crate::shim::LOOK_AGAIN;
use crate::signal::{Proof, Refusal, Target};
use crate::{State, TaskError};

/// How much longer than the grace a shim may take before it is taken for stuck.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// How long it has once it is.
const LAST_CHANCE: Duration = Duration::from_secs(1);

impl Tasks {
    /// Asks a task to end: SIGTERM to its group, 5 s, SIGKILL. With `wait` it returns when that is
    /// done. The shim does it; of a dead shim, what is left is ended here. A shim that was stopped
    /// goes on for it, and one that does nothing is killed after 15 s more. One that cannot be
    /// inspected is asked by a file, which it sees within 5 s.
    pub fn stop(&self, id: TaskId, wait: bool) -> Result<Stopped, TaskError> {
        let record = self.settle(self.record(id)?)?;
        if record.state == State::Ended {
            return Ok(Stopped::AlreadyEnded(self.get(id)?));
        }
        let out_of_reach = |reason: &str| TaskError::OutOfReach { id, reason: reason.to_owned() };
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
            Err(refusal) => return Err(out_of_reach(&refusal.to_string())),
        };
        if let Some(shim) = shim {
            shim.signal(Signal::TERM).map_err(|e| out_of_reach(&e.to_string()))?;
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
        let task = self.get(id)?;
        Ok(if task.state == State::Ended { Stopped::Ended(task) } else { Stopped::Stopping(task) })
    }
}
