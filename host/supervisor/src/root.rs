//! Sessions and their roots: whose processes they are.

use serde::{Deserialize, Serialize};

/// The process at the root of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Root {
    /// Its process id.
    pub pid: u32,
    /// When it started, in the system's ticks since boot, or 0 if that is not known.
    pub start: u64,
}

impl Root {
    /// Returns the root with this process id, after looking up its start.
    pub fn of(pid: u32) -> Self {
        Self { pid, start: crate::platform::start_of(pid).unwrap_or(0) }
    }

    /// Returns whether both are the same process, as far as is known.
    #[cfg(unix)]
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.pid == other.pid && (self.start == other.start || self.start == 0 || other.start == 0)
    }
}

/// The scope of a set of processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The processes of one session.
    Session(Root),
    /// All processes of the user.
    All,
}
