//! The queue: places are handed on in order, and each waiter sleeps on a word of its own.
//!
//! A process that joins, ends or gives up takes the root's lock and hands the free places to the waiters. A turn
//! is a word in the waiter's slot, so it cannot be missed, and a place counts as taken as long as the process that
//! has it, or was handed it, lives. The first waiter checks every second for processes that died silently; the others
//! sleep for longer, in case the first waiter has died too.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use aiw_core::{ProcessId, ProcessState as State};

use super::layout::{FUTEX_OFFSET, HEADER_LEN, LAST_CHECK_INDEX, OWNER_OFFSET, SLOT_COUNT, SLOT_LEN};
use super::lock::RootLock;
use super::mapped::Segment;
use super::slot::{Owner, QueueState, SlotCopy};
use super::table::OwnedSlot;
use crate::platform::{self, ProcessCondition};

/// How often the processes that have a place are checked for being alive.
const LIVENESS_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// A holder keeps the lock for microseconds. If it takes longer, the holder was stopped.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a waiter sleeps that is not the first.
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(5);

/// A process that waits for a place.
struct Waiter {
    index: usize,
    slot: SlotCopy,
}

impl Waiter {
    /// Returns the waiter's line. Processes below the same parent keep their order. Other lines may have to wait for
    /// what this process, and those above it, must do first.
    fn line(&self) -> (u8, Option<ProcessId>) {
        (self.slot.depth(), self.slot.ancestors().next())
    }

    /// Returns the condition of the waiter's shim. A stopped shim would not take its turn, and would hold up all
    /// waiters behind it.
    fn condition(&self) -> ProcessCondition {
        let Owner { pid, start } = self.slot.shim();
        platform::condition(pid, start)
    }
}

impl Segment {
    fn turn(&self, index: usize) -> &AtomicU32 {
        self.memory.futex(HEADER_LEN + (index % SLOT_COUNT) * SLOT_LEN + FUTEX_OFFSET)
    }

    /// Returns the word that holds the owner of a slot.
    fn owner(&self, index: usize) -> &AtomicU64 {
        &self.slot(index)[OWNER_OFFSET]
    }

    fn phase(&self, index: usize) -> QueueState {
        QueueState::from_word(self.turn(index).load(Ordering::Acquire))
    }

    /// Moves a waiter from one phase to another and wakes it, if the slot still has the same owner.
    fn change(&self, waiter: &Waiter, from: QueueState, to: QueueState) -> bool {
        let (word, ticket) = (self.turn(waiter.index), waiter.slot.ticket());
        let changed = word
            .compare_exchange(from.to_word(ticket), to.to_word(ticket), Ordering::AcqRel, Ordering::Relaxed)
            .is_ok();
        if changed {
            platform::wake(word);
        }
        changed
    }

    /// Hands on free places now. If that cannot be decided, the first waiter does it within a second.
    pub fn grant_permits(&self) {
        if let Ok(lock) = RootLock::acquire(&self.link, LOCK_TIMEOUT) {
            self.advance(&lock);
        }
    }

    /// Hands the free places to the waiters, in the order of their tickets. The lock makes sure that one process at a
    /// time does so.
    fn advance(&self, _lock: &RootLock) {
        if self.is_due() {
            self.look_after();
        }
        // A slot that is being written may belong to a process that is about to run. If it does not run, it calls
        // this itself.
        let mut unknown = 0;
        let mut running: Vec<Option<ProcessId>> = Vec::new();
        let mut waiters = Vec::new();
        for index in 0..SLOT_COUNT {
            match self.read(index) {
                None => unknown += u32::from(self.owner(index).load(Ordering::Relaxed) != 0),
                Some(slot) => match (slot.state(), self.phase(index)) {
                    (Some(State::Queued), QueueState::Waiting | QueueState::Monitoring) => {
                        waiters.push(Waiter { index, slot })
                    }
                    (Some(State::Queued | State::Starting | State::Running | State::Stopping), _) => {
                        running.push(slot.id());
                    }
                    (Some(State::Ended) | None, _) => {}
                },
            }
        }
        waiters.sort_unstable_by_key(|waiter| waiter.slot.ticket());
        let mut held_up = HashSet::new();
        let mut first = None;
        for waiter in &waiters {
            let line = waiter.line();
            if held_up.contains(&line) {
                continue;
            }
            // The processes above this one may wait for it, so they do not count.
            let above: Vec<ProcessId> = waiter.slot.ancestors().collect();
            let counts = |id: &&Option<ProcessId>| !id.is_some_and(|id| above.contains(&id));
            let taken = u32::try_from(running.iter().filter(counts).count()).unwrap_or(u32::MAX);
            let has_room = taken.saturating_add(unknown) < waiter.slot.limit();
            match waiter.condition() {
                ProcessCondition::Running => {}
                ProcessCondition::Stopped => continue,
                ProcessCondition::Gone => {
                    self.free_if_dead(waiter.index, waiter.slot.shim().to_word());
                    continue;
                }
            }
            let phase = self.phase(waiter.index);
            if has_room && self.change(waiter, phase, QueueState::Granted) {
                running.push(waiter.slot.id());
            } else {
                held_up.insert(line);
                first = first.or(Some(waiter));
            }
        }
        if let Some(waiter) = first {
            self.change(waiter, QueueState::Waiting, QueueState::Monitoring);
        }
    }

    /// Returns whether the processes that have a place need to be checked. The first caller then does so.
    fn is_due(&self) -> bool {
        let due = self.is_unwatched_for(LIVENESS_CHECK_INTERVAL);
        if due {
            let now = u64::try_from(platform::uptime().as_millis()).unwrap_or(0);
            self.memory.words()[LAST_CHECK_INDEX].store(now, Ordering::Relaxed);
        }
        due
    }

    /// Returns whether nobody has checked them for this long.
    fn is_unwatched_for(&self, limit: Duration) -> bool {
        let last = Duration::from_millis(self.memory.words()[LAST_CHECK_INDEX].load(Ordering::Relaxed));
        // None of our processes wrote a time in the future.
        platform::uptime().checked_sub(last).is_none_or(|age| age >= limit)
    }

    /// Frees the places of dead processes, and takes back a place that was handed to a waiter that was stopped since.
    fn look_after(&self) {
        for index in 0..SLOT_COUNT {
            let word = self.owner(index).load(Ordering::Relaxed);
            let slot = self.read(index);
            let waits = |slot: &SlotCopy| slot.state() == Some(State::Queued);
            // Of the waiters, only the next one is checked, when there is a place for it.
            if word == 0 || slot.as_ref().is_some_and(waits) && self.phase(index) == QueueState::Waiting {
                continue;
            }
            self.free_if_dead(index, word);
            if let Some(slot) = slot.filter(waits) {
                let waiter = Waiter { index, slot };
                if self.phase(index) == QueueState::Granted && waiter.condition() == ProcessCondition::Stopped {
                    self.change(&waiter, QueueState::Granted, QueueState::Waiting);
                }
            }
        }
    }
}

impl OwnedSlot {
    /// Takes the place that was handed to us. Returns whether there was one.
    pub fn take_permit(&self) -> bool {
        let (has, taken) = (QueueState::Granted.to_word(self.ticket), QueueState::Acquired.to_word(self.ticket));
        let word = self.segment().turn(self.index());
        word.compare_exchange(has, taken, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Returns whether it is up to us to check the others: we are the first waiter, or the first does not check.
    pub fn is_checker(&self) -> bool {
        let phase = QueueState::from_word(self.segment().turn(self.index()).load(Ordering::Acquire));
        phase == QueueState::Monitoring || self.segment().is_unwatched_for(3 * LIVENESS_CHECK_INTERVAL)
    }

    /// Sleeps until a place is handed to us, a signal comes, or it is time to check. Returns `false` if a place was
    /// handed to us, or our phase changed.
    pub fn sleep_until_permit(&self) -> bool {
        let word = self.segment().turn(self.index());
        let seen = word.load(Ordering::Acquire);
        let limit = match QueueState::from_word(seen) {
            QueueState::Waiting => MAX_POLL_INTERVAL,
            QueueState::Monitoring => LIVENESS_CHECK_INTERVAL,
            QueueState::Granted | QueueState::Acquired => Duration::ZERO,
        };
        if seen == QueueState::Granted.to_word(self.ticket) {
            return false;
        }
        // A corrupted word must not make us spin.
        platform::sleep_on(word, seen, limit.max(Duration::from_millis(100)));
        word.load(Ordering::Acquire) == seen
    }
}
