//! What the system keeps about a process, the same on Linux and macOS.

/// The system's record of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    /// It has ended, and waits for its parent to notice.
    pub is_ended: bool,
    pub is_stopped: bool,
    pub parent: u32,
    /// The leader of its session, or 0 if that is outside of this container.
    pub session: u32,
    /// When it started, in the system's own unit, or 0 if this user may not know.
    pub start: u64,
}

impl Stat {
    /// Returns whether this is the process with the given start, and not a zombie. A start of 0 is not compared.
    pub fn is_alive(&self, start: u64) -> bool {
        !self.is_ended && (start == 0 || self.start == 0 || self.start == start)
    }
}
