//! The segment of a root: the index of running processes, in shared memory.
//!
//! Everything in a segment is untrusted input: any program of the same user may have written it.

mod attach;
mod guard;
mod layout;
mod lock;
mod mapped;
mod memory;
mod queue;
mod slot;
mod table;

pub(crate) use attach::{attach, open, segments, sweep_dead};
pub(crate) use layout::SLOT_COUNT;
#[cfg(feature = "testing")]
pub(crate) use layout::TEST_VERSION_OFFSET;
pub(crate) use mapped::Segment;
pub(crate) use slot::{Owner, SlotCopy, SlotData};
pub(crate) use table::OwnedSlot;
