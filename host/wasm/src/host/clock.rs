//! The interface `clock`.

use std::time::SystemTime;

use super::{CallSetup, HostCall, Interface, NoCapability};
use crate::budget::LimitExceeded;

/// The clock that components see.
pub trait Clock: Send + Sync {
    /// Returns the current time.
    fn now(&self) -> SystemTime;
}

/// The system clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// The first moment of 1970.
impl Clock for NoCapability {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }
}

/// The interface `clock`.
pub(crate) struct ClockImport;

impl Interface for ClockImport {
    const NAME: &'static str = "clock";
    type Capability = dyn Clock;
    type State = ();

    fn initial_state(_setup: &CallSetup<'_>) -> Self::State {}
}

impl HostCall<'_, ClockImport> {
    pub(crate) fn now(&mut self) -> Result<SystemTime, LimitExceeded> {
        self.check_import("now")?;
        Ok(self.capability.now())
    }
}
