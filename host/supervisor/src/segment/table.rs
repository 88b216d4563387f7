//! The table of slots. Each slot is written only by its owner and read by all, and nobody waits for anybody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::time::Duration;

use super::layout::{
    CHECK_OFFSET, CHILD_OFFSET, GENERATION_INDEX, HEADER_LEN, INSTANCE_OFFSET, KIND_OFFSET, LABEL_LEN_OFFSET,
    LABEL_OFFSET, OWNER_OFFSET, RUNNING_OFFSET, SEQUENCE_OFFSET, SLOT_COUNT, SLOT_LEN, STARTED_OFFSET, TICKETS_INDEX,
};
use super::mapped::Segment;
use super::slot::{Owner, SlotCopy, SlotData, check_word, encode, kind_word, used_words};
use crate::platform;

/// How often a reader retries a slot that is being written. The writer may have been stopped or killed meanwhile.
const MAX_READ_RETRIES: usize = 64;

impl Segment {
    pub(super) fn slot(&self, index: usize) -> &[AtomicU64] {
        let at = HEADER_LEN + (index % SLOT_COUNT) * SLOT_LEN;
        &self.memory.words()[at..at + SLOT_LEN]
    }

    /// Reads a slot. Returns `None` if the slot is free, or if its owner does not finish writing.
    pub fn read(&self, index: usize) -> Option<SlotCopy> {
        let slot = self.slot(index);
        for _ in 0..MAX_READ_RETRIES {
            if slot[OWNER_OFFSET].load(Ordering::Relaxed) == 0 {
                return None;
            }
            let before = slot[SEQUENCE_OFFSET].load(Ordering::Acquire);
            if before & 1 == 1 {
                std::hint::spin_loop();
                continue;
            }
            let mut words = [0; SLOT_LEN];
            let used = used_words(slot[LABEL_LEN_OFFSET].load(Ordering::Relaxed));
            for (word, shared) in words.iter_mut().zip(slot).take(used) {
                *word = shared.load(Ordering::Relaxed);
            }
            fence(Ordering::Acquire);
            if slot[SEQUENCE_OFFSET].load(Ordering::Relaxed) == before && words[CHECK_OFFSET] == check_word(&words) {
                return Some(SlotCopy { words });
            }
        }
        None
    }

    /// Returns all slots that are taken and readable.
    pub fn scan(&self) -> impl Iterator<Item = SlotCopy> + '_ {
        (0..SLOT_COUNT).filter_map(|index| self.read(index))
    }

    /// Returns whether any slot has an owner.
    pub fn is_taken(&self) -> bool {
        (0..SLOT_COUNT).any(|index| self.slot(index)[OWNER_OFFSET].load(Ordering::Relaxed) != 0)
    }

    /// Takes a free slot and writes `live` to it. If there is none, the slots of dead owners are freed first. Returns `None`
    /// if all [`SLOTS`] are taken.
    pub fn claim(self: &Arc<Self>, live: &SlotData) -> Option<OwnedSlot> {
        let word = live.shim.to_word();
        let words = encode(live);
        for sweep in [false, true] {
            if sweep {
                self.reclaim();
            }
            // Different shims start at different places, so that they do not race for the same slot.
            let first = (live.shim.pid as usize).wrapping_mul(31) % SLOT_COUNT;
            for index in (0..SLOT_COUNT).map(|i| (first + i) % SLOT_COUNT) {
                let slot = self.slot(index);
                if slot[OWNER_OFFSET].load(Ordering::Relaxed) != 0
                    || slot[OWNER_OFFSET].compare_exchange(0, word, Ordering::AcqRel, Ordering::Relaxed).is_err()
                {
                    continue;
                }
                write(slot, |slot| {
                    for (shared, word) in slot.iter().zip(&words).skip(OWNER_OFFSET) {
                        shared.store(*word, Ordering::Relaxed);
                    }
                });
                let (segment, instance, ticket) = (self.clone(), live.instance, live.ticket);
                return Some(OwnedSlot { segment, index, owner: word, instance, ticket });
            }
        }
        None
    }

    /// Frees the slots whose owners are dead. Returns how many that were.
    pub fn reclaim(&self) -> usize {
        let taken = (0..SLOT_COUNT).map(|index| (index, self.slot(index)[OWNER_OFFSET].load(Ordering::Relaxed)));
        taken.filter(|(index, word)| *word != 0 && self.free_if_dead(*index, *word)).count()
    }

    /// Frees a slot if this owner of it is dead. Returns whether it was freed.
    pub(super) fn free_if_dead(&self, index: usize, word: u64) -> bool {
        let Owner { pid, start } = Owner::from_word(word);
        let freed = !platform::is_alive(pid, start)
            && self.slot(index)[OWNER_OFFSET].compare_exchange(word, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if freed {
            self.wake();
        }
        freed
    }

    /// Frees the slot of a shim that is known to be dead.
    pub fn free(&self, instance: u64) {
        for index in 0..SLOT_COUNT {
            let slot = self.slot(index);
            let word = slot[OWNER_OFFSET].load(Ordering::Relaxed);
            if word != 0 && slot[INSTANCE_OFFSET].load(Ordering::Relaxed) == instance {
                let _ = slot[OWNER_OFFSET].compare_exchange(word, 0, Ordering::AcqRel, Ordering::Relaxed);
            }
        }
    }

    /// Returns the next number in the queue. Numbers begin at 1.
    pub fn next_ticket(&self) -> u64 {
        self.memory.words()[TICKETS_INDEX].fetch_add(1, Ordering::Relaxed) + 1
    }

    fn generation_word(&self) -> &AtomicU32 {
        self.memory.futex(GENERATION_INDEX)
    }

    /// Tells all listeners that something changed.
    pub fn wake(&self) {
        let word = self.generation_word();
        word.fetch_add(1, Ordering::Release);
        platform::wake(word);
    }

    /// Returns the number of changes so far.
    pub fn generation(&self) -> u32 {
        self.generation_word().load(Ordering::Acquire)
    }

    /// Sleeps until something has changed since `seen`, a signal comes, or the time is over.
    pub fn sleep(&self, seen: u32, limit: Duration) {
        platform::sleep_on(self.generation_word(), seen, limit);
    }
}

/// Brackets the changes of a slot, so that no reader mistakes a mixture for a consistent state. Only the owner calls
/// this.
fn write(slot: &[AtomicU64], change: impl FnOnce(&[AtomicU64])) {
    // A previous owner that was killed in here has left it odd.
    let odd = slot[SEQUENCE_OFFSET].load(Ordering::Relaxed) | 1;
    slot[SEQUENCE_OFFSET].store(odd, Ordering::Relaxed);
    fence(Ordering::Release);
    change(slot);
    slot[SEQUENCE_OFFSET].store(odd.wrapping_add(1), Ordering::Release);
}

/// A slot that we own.
pub(crate) struct OwnedSlot {
    segment: Arc<Segment>,
    index: usize,
    owner: u64,
    instance: u64,
    /// The slot's number in the queue.
    pub(super) ticket: u64,
}

impl OwnedSlot {
    pub fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// Publishes the current state. All other words stay as they were claimed.
    pub fn update(&self, live: &SlotData) {
        let slot = self.segment.slot(self.index);
        if !self.is_ours(slot) {
            return;
        }
        write(slot, |slot| {
            slot[KIND_OFFSET].store(kind_word(live), Ordering::Relaxed);
            slot[CHILD_OFFSET].store(u64::from(live.pid.unwrap_or(0)), Ordering::Relaxed);
            slot[STARTED_OFFSET].store(live.started, Ordering::Relaxed);
            slot[RUNNING_OFFSET].store(live.running_since.unwrap_or(0), Ordering::Relaxed);
        });
    }

    /// Returns whether the slot is still ours. If another program has overwritten the table, the slot must not be
    /// changed.
    fn is_ours(&self, slot: &[AtomicU64]) -> bool {
        slot[OWNER_OFFSET].load(Ordering::Relaxed) == self.owner
            && slot[INSTANCE_OFFSET].load(Ordering::Relaxed) == self.instance
    }
}

impl Drop for OwnedSlot {
    fn drop(&mut self) {
        let slot = self.segment.slot(self.index);
        if self.is_ours(slot) {
            // What it said of its process goes with it.
            write(slot, |slot| {
                slot[LABEL_LEN_OFFSET].store(0, Ordering::Relaxed);
                slot[LABEL_OFFSET..].iter().for_each(|word| word.store(0, Ordering::Relaxed));
            });
            let _ = slot[OWNER_OFFSET].compare_exchange(self.owner, 0, Ordering::AcqRel, Ordering::Relaxed);
        }
        self.segment.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::super::attach::attach;
    use super::*;
    use crate::root::Root;
    use crate::runtime::RuntimeDir;
    use aiw_core::{ProcessId, ProcessState as State};

    #[test]
    fn a_slot_that_is_being_written_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let pid = std::process::id();
        let segment =
            attach(&RuntimeDir::from_path(dir.path().join("run"), "test".into()), Root::for_pid(pid)).unwrap();
        let live = SlotData {
            id: ProcessId::from_number(7),
            shim: Owner { pid, start: 1 },
            instance: 3,
            state: State::Running,
            depth: 0,
            pid: None,
            ticket: 1,
            limit: 1,
            ancestors: Vec::new(),
            started: 1,
            running_since: None,
            label: b"claude router what was asked".to_vec(),
        };
        let slot = segment.claim(&live).unwrap();
        assert_eq!((segment.scan().count(), segment.is_taken()), (1, true));
        // The owner is held up in the middle of a change.
        segment.slot(slot.index)[SEQUENCE_OFFSET].fetch_or(1, Ordering::Relaxed);
        assert_eq!((segment.scan().count(), segment.is_taken()), (0, true));
        let index = slot.index;
        drop(slot);
        assert!(!segment.is_taken());
        // The table outlives it, and none of its words stays there.
        assert!(segment.slot(index)[LABEL_LEN_OFFSET].load(Ordering::Relaxed) == 0);
        assert!(segment.slot(index)[LABEL_OFFSET..].iter().all(|word| word.load(Ordering::Relaxed) == 0));
        let _ = std::fs::remove_file(std::path::Path::new("/dev/shm").join(&segment.name()[1..]));
    }
}
