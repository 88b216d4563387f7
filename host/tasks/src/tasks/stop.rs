//! Ending tasks.

use std::time::Duration;

use aiw_core::TaskId;

use super::{Stopped, Tasks};
use crate::platform::{self, Process, Signal};
use crate::{State, TaskError};

/// How much longer than the grace a shim may take before it is taken for stuck.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// How long it has once it is.
const LAST_CHANCE: Duration = Duration::from_secs(1);

impl Tasks {
    /// Asks a task to end: SIGTERM to its group, 5 s, SIGKILL. With `wait` it returns when that is
    /// done. The shim does it; of a dead shim, what is left is ended here. A shim that was stopped
    /// goes on for it, and one that does nothing is killed after 15 s more.
    pub fn stop(&self, id: TaskId, wait: bool) -> Result<Stopped, TaskError> {
        let record = self.settle(self.record(id)?)?;
        if record.state == State::Ended {
            return Ok(Stopped::AlreadyEnded(self.get(id)?));
        }
        let out_of_reach = |reason: &str| TaskError::OutOfReach { id, reason: reason.to_owned() };
        if record.pid_namespace != platform::pid_namespace() {
            return Err(out_of_reach("it belongs to another container"));
        }
        let shim = Process::open(record.shim.pid, record.shim.start).map_err(|e| out_of_reach(&e.to_string()))?;
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
