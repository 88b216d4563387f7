//! Whose processes: sessions and their roots.

use serde::{Deserialize, Serialize};

/// The process at the root of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Root {
    /// Its process id.
    pub pid: u32,
    /// When it started, in the system's ticks since boot; 0 where that is not known.
    pub start: u64,
}

impl Root {
    /// The root with this process id, its start looked up.
    pub fn of(pid: u32) -> Self {
        Self { pid, start: crate::platform::start_of(pid).unwrap_or(0) }
    }

    /// Whether both are one process, as far as is known.
    #[cfg(unix)]
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.pid == other.pid && (self.start == other.start || self.start == 0 || other.start == 0)
    }
}

/// Whose processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those of one session.
    Session(Root),
    /// All of the user's.
    All,
}
