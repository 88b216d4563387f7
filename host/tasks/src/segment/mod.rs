//! The segment of a session: the index of what runs, in shared memory.
//!
//! Everything in it is untrusted input: a program of the same user may have written it.

mod attach;
mod guard;
mod layout;
mod memory;
mod queue;
mod slot;
mod table;

use std::path::PathBuf;

use crate::Root;

pub(crate) use attach::{sessions, sweep_dead};
pub(crate) use layout::be_newer;
pub(crate) use slot::{Live, Owner, Snapshot};
pub(crate) use table::Slot;

/// A mapped segment.
pub(crate) struct Segment {
    memory: memory::Memory,
    /// Its name in the system.
    id: String,
    /// The file that names it.
    link: PathBuf,
    root: Root,
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Segment").field("id", &self.id).field("root", &self.root).finish()
    }
}
