//! The only place that turns shared memory into Rust references.

use std::sync::atomic::{AtomicU32, AtomicU64};

use shared_memory::{Shmem, ShmemConf, ShmemError};

use super::guard::Guard;
use super::layout::{SEGMENT_BYTES, SEGMENT_WORDS};

/// A mapping of at least [`SEGMENT_BYTES`] bytes, accessed only as atomics: other processes write to it at any time, so
/// nothing in it is ever borrowed as plain data.
pub(super) struct Memory {
    /// Dropped before the mapping.
    _guard: Guard,
    mapping: Shmem,
}

#[expect(unsafe_code, reason = "a mapping may be used by all threads: it is only seen as atomics")]
// SAFETY: the mapping is valid until it is dropped, whatever thread that is, and is reached
// through shared references to atomics alone.
unsafe impl Send for Memory {}
#[expect(unsafe_code, reason = "a mapping may be used by all threads: it is only seen as atomics")]
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// Creates a segment, which outlives this process.
    pub fn create(id: &str) -> Result<Self, ShmemError> {
        let mut mapping = ShmemConf::new().os_id(id).size(SEGMENT_BYTES).create()?;
        mapping.set_owner(false);
        Ok(Self::of(mapping))
    }

    /// Maps an existing segment. Returns `None` if its length is not ours.
    pub fn open(id: &str) -> Result<Option<Self>, ShmemError> {
        let mapping = ShmemConf::new().os_id(id).open()?;
        Ok((mapping.len() == SEGMENT_BYTES).then(|| Self::of(mapping)))
    }

    fn of(mapping: Shmem) -> Self {
        Self { _guard: Guard::new(mapping.as_ptr()), mapping }
    }

    /// Removes the name of a segment. Processes that have mapped it keep it.
    #[cfg(not(target_os = "linux"))]
    pub fn unlink(id: &str) {
        if let Ok(mut mapping) = ShmemConf::new().os_id(id).open() {
            mapping.set_owner(true);
        }
    }

    /// Returns all words.
    pub fn words(&self) -> &[AtomicU64] {
        #[expect(unsafe_code, reason = "shared memory is reached by its address")]
        // SAFETY: the mapping holds SIZE bytes = WORDS words (checked when it was made), begins on
        // a page and lives as long as `self`; all bit patterns are valid for AtomicU64, and nobody
        // in this process makes other references to it than to atomics. What other processes do
        // to it is, for us, a value that an atomic load may yield.
        unsafe {
            std::slice::from_raw_parts(self.mapping.as_ptr().cast::<AtomicU64>(), SEGMENT_WORDS)
        }
    }

    /// Returns the first half of a word, which other processes sleep on. Such a word is used as 32 bits only.
    pub fn futex(&self, index: usize) -> &AtomicU32 {
        let word = std::ptr::from_ref(&self.words()[index]);
        #[expect(unsafe_code, reason = "a futex word has 32 bits")]
        // SAFETY: it is half of a word of the mapping, more strictly aligned than it needs, and accessed as an
        // atomic.
        unsafe {
            &*word.cast::<AtomicU32>()
        }
    }
}
