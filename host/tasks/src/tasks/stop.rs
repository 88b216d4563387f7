//! Ending tasks.

use std::time::Duration;

use aiw_core::TaskId;

use super::{Stopped, Tasks};
use crate::platform::{self, Process, Signal};
use crate::{State, TaskError};

/// How much longer than the grace a shim may take before it is taken for stuck.
const PATIENCE: Duration = Duration::from_secs(15);

impl Tasks {
    /// Asks a task to end: SIGTERM to its group, 5 s, SIGKILL. With `wait` it returns when that is
    /// done. The shim does it; of a dead shim, what is left is ended here.
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
            if wait {
                shim.wait(self.grace + PATIENCE);
            }
        }
        let task = self.get(id)?;
        Ok(if task.state == State::Ended { Stopped::Ended(task) } else { Stopped::Stopping(task) })
    }
}
