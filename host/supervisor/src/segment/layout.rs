//! Where things stand in a segment. A change here is a new version.

use crate::MAX_ABOVE;

/// The version of the layout. It is part of a segment's name, so two versions never share one.
const VERSION: u64 = 2;

/// The version that this process uses.
#[cfg(not(feature = "testing"))]
pub(super) fn version() -> u64 {
    VERSION
}

/// The same, or a newer one in tests of two versions at once.
#[cfg(feature = "testing")]
pub(super) fn version() -> u64 {
    VERSION + NEWER.load(std::sync::atomic::Ordering::Relaxed)
}

/// How much newer than it is this process takes itself to be.
#[cfg(feature = "testing")]
pub(crate) static NEWER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

/// How many of a session may run or be queued.
pub(crate) const SLOTS: usize = 1024;
/// The whole of a segment, in bytes.
pub(super) const SIZE: usize = WORDS * 8;
/// The same in words.
pub(super) const WORDS: usize = HEADER + SLOTS * SLOT;

/// The words of the header: a page.
pub(super) const HEADER: usize = 512;
/// Stored last by whoever makes the segment.
pub(super) const READY: usize = 0;
pub(super) const ROOT_PID: usize = 1;
pub(super) const ROOT_START: usize = 2;
/// The namespace that its process ids belong to.
pub(super) const PID_NAMESPACE: usize = 3;
/// Counts those who asked for a turn.
pub(super) const TICKETS: usize = 4;
/// When it was last looked whether those that have a place are alive, in milliseconds since the system's start.
pub(super) const LOOKED: usize = 5;
/// Goes up whenever a slot changes. On a cache line of its own: waiters read it.
pub(super) const GENERATION: usize = 16;

/// The words of a slot.
pub(super) const SLOT: usize = 64;
/// Odd while the owner writes.
pub(super) const SEQUENCE: usize = 0;
/// The shim, as process id and start in one word, so that claiming is one exchange. 0 is a free slot.
pub(super) const OWNER: usize = 1;
pub(super) const INSTANCE: usize = 2;
pub(super) const ID: usize = 3;
/// State and depth, a byte each.
pub(super) const KIND: usize = 5;
pub(super) const CHILD: usize = 6;
pub(super) const TICKET: usize = 7;
pub(super) const STARTED: usize = 8;
pub(super) const RUNNING: usize = 9;
/// How many bytes the label has.
pub(super) const LENGTH: usize = 10;
/// Owner and instance together, written with the rest: between claiming and writing, a slot holds
/// a new owner and the words of the last one.
pub(super) const CHECK: usize = 11;
/// The word that the owner sleeps on until it has its turn. Unlike all others, it is written by others too.
pub(super) const TURN: usize = 12;
/// How many may run at once, as this one was told.
pub(super) const LIMIT: usize = 13;
/// The ids of those above it, two words each, the nearest first.
pub(super) const ABOVE: usize = 14;
/// The label: readers copy no more than there is.
pub(super) const LABEL: usize = ABOVE + 2 * MAX_ABOVE;
/// The most bytes of a label.
pub(super) const LABEL_BYTES: usize = (SLOT - LABEL) * 8;

/// What [`READY`] holds.
pub(super) fn magic() -> u64 {
    0x6169_775f_7461_0000 | version()
}

const _: () = assert!(GENERATION < HEADER);
