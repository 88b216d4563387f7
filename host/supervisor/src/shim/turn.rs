//! A process from its registration to its turn.

use aiw_core::{ProcessOutcome as Outcome, ProcessState as State};

use super::starter::Starter;
use super::supervisor::Supervisor;
use crate::request::ShimResponse;
use crate::segment::OwnedSlot;

impl Supervisor {
    /// Waits until the process has a place. Returns whether it is to run. Otherwise it has ended or was withdrawn.
    pub fn wait_for_permit(&mut self, starter: &mut Starter) -> bool {
        self.hand_on();
        if self.take_turn() {
            return true;
        }
        if !self.queue.may_queue {
            self.roll_back();
            starter.respond(&ShimResponse::Limit(self.queue.limit));
            return false;
        }
        let noun = self.records.kind();
        self.streams.write_message(&format!("queued: as many {noun}s run as may run"));
        starter.respond(&ShimResponse::Started(Box::new(self.record.clone())));
        loop {
            if self.is_stop_requested() {
                self.streams.write_message("stopped before its turn came");
                self.record.add_note("it was stopped before its turn came");
                self.record.stopped = true;
                self.close(Outcome::Signalled);
                return false;
            }
            let has_slept = self.slot.as_ref().is_some_and(OwnedSlot::sleep_until_permit);
            if self.take_turn() {
                return true;
            }
            if has_slept {
                // Nothing wakes us for the death of another process, or for a replaced segment.
                self.reattach_segment();
                if self.slot.as_ref().is_some_and(OwnedSlot::is_checker) {
                    self.hand_on();
                }
            }
        }
    }

    /// Returns whether the process has a place. Without a segment there is no limit to enforce.
    fn take_turn(&mut self) -> bool {
        let Some(slot) = &self.slot else { return true };
        let has = slot.take_permit();
        if has {
            self.slot_data.state = State::Starting;
            slot.update(&self.slot_data);
        }
        has
    }

    /// Hands free places to the waiters, including ourselves.
    fn hand_on(&self) {
        if let Some(slot) = &self.slot {
            slot.segment().grant_permits();
        }
    }
}
