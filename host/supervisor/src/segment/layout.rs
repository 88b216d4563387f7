//! The layout of a segment. A change here needs a new version.

use crate::MAX_ANCESTORS;

/// The version of the layout. It is part of a segment's name, so two versions never share one.
const LAYOUT_VERSION: u64 = 2;

/// Returns the version that this process uses.
#[cfg(not(feature = "testing"))]
pub(super) fn version() -> u64 {
    LAYOUT_VERSION
}

/// Returns the version, or a newer one in tests that run two versions at once.
#[cfg(feature = "testing")]
pub(super) fn version() -> u64 {
    LAYOUT_VERSION + TEST_VERSION_OFFSET.load(std::sync::atomic::Ordering::Relaxed)
}

/// How much newer than its real version this process pretends to be.
#[cfg(feature = "testing")]
pub(crate) static TEST_VERSION_OFFSET: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

/// How many processes of a root may run or be queued.
pub(crate) const SLOT_COUNT: usize = 1024;
/// The size of a segment in bytes.
pub(super) const SEGMENT_BYTES: usize = SEGMENT_WORDS * 8;
/// The size of a segment in words.
pub(super) const SEGMENT_WORDS: usize = HEADER_LEN + SLOT_COUNT * SLOT_LEN;

/// The number of words in the header, which is one page.
pub(super) const HEADER_LEN: usize = 512;
/// Stored last when a segment is created.
pub(super) const READY_INDEX: usize = 0;
pub(super) const ROOT_PID_INDEX: usize = 1;
pub(super) const ROOT_START_INDEX: usize = 2;
/// The namespace of the process ids in the segment.
pub(super) const PID_NAMESPACE_INDEX: usize = 3;
/// Counts the requests for a turn.
pub(super) const TICKETS_INDEX: usize = 4;
/// When the processes that have a place were last checked, in milliseconds since the system's start.
pub(super) const LAST_CHECK_INDEX: usize = 5;
/// Incremented whenever a slot changes. It has a cache line of its own, because waiters read it.
pub(super) const GENERATION_INDEX: usize = 16;

/// The number of words in a slot.
pub(super) const SLOT_LEN: usize = 64;
/// Odd while the owner writes.
pub(super) const SEQUENCE_OFFSET: usize = 0;
/// The shim's process id and start in one word, so that a slot is claimed by one exchange. 0 is a free slot.
pub(super) const OWNER_OFFSET: usize = 1;
pub(super) const INSTANCE_OFFSET: usize = 2;
pub(super) const ID_OFFSET: usize = 3;
/// State and depth, one byte each.
pub(super) const KIND_OFFSET: usize = 5;
pub(super) const CHILD_OFFSET: usize = 6;
pub(super) const TICKET_OFFSET: usize = 7;
pub(super) const STARTED_OFFSET: usize = 8;
pub(super) const RUNNING_OFFSET: usize = 9;
/// The number of bytes in the label.
pub(super) const LABEL_LEN_OFFSET: usize = 10;
/// Owner and instance combined, written with the other words: between claiming and writing, a slot holds a new owner
/// and the words of the previous one.
pub(super) const CHECK_OFFSET: usize = 11;
/// The word that the owner sleeps on until its turn. Unlike all other words, it is also written by other processes.
pub(super) const FUTEX_OFFSET: usize = 12;
/// How many processes may run at once, as the owner was told.
pub(super) const LIMIT_OFFSET: usize = 13;
/// The ids of the processes above, two words each, the nearest first.
pub(super) const ANCESTORS_OFFSET: usize = 14;
/// The label. Readers copy only its actual length.
pub(super) const LABEL_OFFSET: usize = ANCESTORS_OFFSET + 2 * MAX_ANCESTORS;
/// The maximum number of bytes in a label.
pub(super) const LABEL_BYTES: usize = (SLOT_LEN - LABEL_OFFSET) * 8;

/// Returns the value that [`READY`] holds.
pub(super) fn magic() -> u64 {
    0x6169_775f_7461_0000 | version()
}

const _: () = assert!(GENERATION_INDEX < HEADER_LEN);
