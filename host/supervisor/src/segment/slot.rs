//! A slot: a process that runs or waits for its turn, as other processes see it.

use aiw_core::{ProcessId, ProcessState as State};

use super::layout::{
    ANCESTORS_OFFSET, CHECK_OFFSET, CHILD_OFFSET, FUTEX_OFFSET, ID_OFFSET, INSTANCE_OFFSET, KIND_OFFSET, LABEL_BYTES,
    LABEL_LEN_OFFSET, LABEL_OFFSET, LIMIT_OFFSET, OWNER_OFFSET, RUNNING_OFFSET, SEQUENCE_OFFSET, SLOT_LEN,
    STARTED_OFFSET, TICKET_OFFSET,
};
use crate::MAX_ANCESTORS;

/// A unique identification of a process: its id may be reused, but not together with its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Owner {
    pub pid: u32,
    pub start: u64,
}

const PID_BITS: u32 = 22;

impl Owner {
    /// Returns the owner in one word: Linux process ids have at most 22 bits.
    pub(super) fn to_word(self) -> u64 {
        u64::from(self.pid) & ((1 << PID_BITS) - 1) | self.start << PID_BITS
    }

    pub(super) fn from_word(word: u64) -> Self {
        Self { pid: (word & ((1 << PID_BITS) - 1)) as u32, start: word >> PID_BITS }
    }
}

/// The phase of a waiter on its way to a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum QueueState {
    Waiting,
    /// The process waits and is the first, so it checks for dead processes.
    Monitoring,
    /// A place was handed to it.
    Granted,
    /// The process has taken the place.
    Acquired,
}

impl QueueState {
    /// Returns the phase with the ticket, so that the word of one owner of a slot is not mistaken for that of the
    /// next.
    pub(super) fn to_word(self, ticket: u64) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "the low bits of a ticket tell neighbors apart")]
        let ticket = ticket as u32;
        ticket << 2 | self as u32
    }

    pub(super) fn from_word(word: u32) -> Self {
        [Self::Waiting, Self::Monitoring, Self::Granted, Self::Acquired][(word & 3) as usize]
    }
}

/// The data that a shim publishes about its process.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SlotData {
    pub id: ProcessId,
    pub shim: Owner,
    pub instance: u64,
    pub state: State,
    pub depth: u8,
    pub pid: Option<u32>,
    pub ticket: u64,
    /// How many processes may run at once.
    pub limit: u32,
    /// The processes above it, the nearest first. They may wait for this one, so it does not wait for them.
    pub ancestors: Vec<ProcessId>,
    pub started: u64,
    pub running_since: Option<u64>,
    /// A description of the process that has no meaning in this crate.
    pub label: Vec<u8>,
}

/// A consistent copy of a slot's words, whose meaning is not checked yet.
#[derive(Clone, Copy)]
pub(crate) struct SlotCopy {
    pub(super) words: [u64; SLOT_LEN],
}

impl SlotCopy {
    pub fn shim(&self) -> Owner {
        Owner::from_word(self.words[OWNER_OFFSET])
    }

    /// Returns how often the slot was written, as an even number.
    pub fn sequence(&self) -> u64 {
        self.words[SEQUENCE_OFFSET]
    }

    pub fn instance(&self) -> u64 {
        self.words[INSTANCE_OFFSET]
    }

    pub fn ticket(&self) -> u64 {
        self.words[TICKET_OFFSET]
    }

    /// Returns the id, if the words are a valid id.
    pub fn id(&self) -> Option<ProcessId> {
        id(&self.words[ID_OFFSET..])
    }

    /// Returns the number of processes above it.
    pub fn depth(&self) -> u8 {
        (self.words[KIND_OFFSET] >> 8 & 0xff) as u8
    }

    pub fn state(&self) -> Option<State> {
        State::ALL.get((self.words[KIND_OFFSET] & 0xff) as usize).copied()
    }

    /// Returns how many processes may run at once, as the owner was told.
    pub fn limit(&self) -> u32 {
        u32::try_from(self.words[LIMIT_OFFSET]).unwrap_or(u32::MAX)
    }

    /// Returns the processes above it, the nearest first.
    pub fn ancestors(&self) -> impl Iterator<Item = ProcessId> + '_ {
        (0..MAX_ANCESTORS).map_while(|i| id(&self.words[ANCESTORS_OFFSET + 2 * i..]))
    }

    /// Returns the process id, once there is a process.
    #[cfg(any(test, feature = "testing"))]
    pub fn pid(&self) -> Option<u32> {
        Some(self.words[CHILD_OFFSET]).filter(|pid| *pid != 0).and_then(|pid| u32::try_from(pid).ok())
    }

    /// Returns since when it runs, in milliseconds since 1970.
    pub fn running_since(&self) -> Option<u64> {
        Some(self.words[RUNNING_OFFSET]).filter(|time| *time != 0)
    }

    /// Returns everything in the slot, or `None` if that makes no sense.
    #[cfg(any(test, feature = "testing"))]
    pub fn decode(&self) -> Option<SlotData> {
        let length = usize::try_from(self.words[LABEL_LEN_OFFSET]).ok().filter(|length| *length <= LABEL_BYTES)?;
        let bytes = self.words[LABEL_OFFSET..].iter().flat_map(|word| word.to_le_bytes());
        Some(SlotData {
            id: self.id()?,
            shim: self.shim(),
            instance: self.instance(),
            state: self.state()?,
            depth: self.depth(),
            pid: self.pid(),
            ticket: self.ticket(),
            limit: self.limit(),
            ancestors: self.ancestors().collect(),
            started: self.words[STARTED_OFFSET],
            running_since: self.running_since(),
            label: bytes.take(length).collect(),
        })
    }
}

fn id(words: &[u64]) -> Option<ProcessId> {
    let [one, two, ..] = words else { return None };
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&one.to_le_bytes());
    bytes[8..].copy_from_slice(&two.to_le_bytes());
    str::from_utf8(&bytes[..12]).ok()?.parse().ok()
}

fn put_id(words: &mut [u64], id: ProcessId) {
    let mut bytes = [0; 16];
    bytes[..12].copy_from_slice(id.as_str().as_bytes());
    for (word, half) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_le_bytes(half.try_into().unwrap_or_default());
    }
}

/// Returns the value that [`CHECK`] must hold.
pub(super) fn check_word(words: &[u64; SLOT_LEN]) -> u64 {
    words[OWNER_OFFSET].rotate_left(17) ^ words[INSTANCE_OFFSET]
}

/// Returns how many words of a slot with a label of this length are in use.
pub(super) fn used_words(length: u64) -> usize {
    LABEL_OFFSET + usize::try_from(length.div_ceil(8)).unwrap_or(SLOT_LEN).min(SLOT_LEN - LABEL_OFFSET)
}

/// Returns the word at [`KIND`].
pub(super) fn kind_word(live: &SlotData) -> u64 {
    let state = State::ALL.iter().position(|state| *state == live.state).unwrap_or(0) as u64;
    state | u64::from(live.depth) << 8
}

/// Returns the words of a slot with this content. The caller stores the sequence.
pub(super) fn encode(live: &SlotData) -> [u64; SLOT_LEN] {
    let mut words = [0; SLOT_LEN];
    put_id(&mut words[ID_OFFSET..], live.id);
    words[OWNER_OFFSET] = live.shim.to_word();
    words[INSTANCE_OFFSET] = live.instance;
    words[CHECK_OFFSET] = check_word(&words);
    words[KIND_OFFSET] = kind_word(live);
    words[CHILD_OFFSET] = u64::from(live.pid.unwrap_or(0));
    words[TICKET_OFFSET] = live.ticket;
    words[STARTED_OFFSET] = live.started;
    words[RUNNING_OFFSET] = live.running_since.unwrap_or(0);
    let phase = if live.state == State::Queued { QueueState::Waiting } else { QueueState::Acquired };
    words[FUTEX_OFFSET] = u64::from(phase.to_word(live.ticket));
    words[LIMIT_OFFSET] = u64::from(live.limit);
    for (i, id) in live.ancestors.iter().take(MAX_ANCESTORS).enumerate() {
        put_id(&mut words[ANCESTORS_OFFSET + 2 * i..], *id);
    }
    let label = &live.label[..live.label.len().min(LABEL_BYTES)];
    words[LABEL_LEN_OFFSET] = label.len() as u64;
    for (word, bytes) in words[LABEL_OFFSET..].iter_mut().zip(label.chunks(8)) {
        let mut whole = [0; 8];
        whole[..bytes.len()].copy_from_slice(bytes);
        *word = u64::from_le_bytes(whole);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    mod fuzz {
        use super::*;
        proptest! {
            #[test]
            fn what_a_slot_says_is_what_was_told(
                pid in 1u32..4_194_304, start in 0u64..1 << 42, instance: u64, number in 0u64..1 << 62,
                label: Vec<u8>, child: u32, depth: u8, limit: u32, above in 0usize..=MAX_ANCESTORS,
            ) {
                let above = (0..above as u64).map(ProcessId::from_number).collect();
                let live = SlotData {
                    id: ProcessId::from_number(number), shim: Owner { pid, start }, instance, state: State::Stopping,
                    depth, pid: Some(child).filter(|c| *c != 0), ticket: instance, limit, ancestors: above, started: 7,
                    running_since: None, label,
                };
                let seen = SlotCopy { words: encode(&live) }.decode().unwrap();
                prop_assert!(live.label.starts_with(&seen.label) && seen.label.len() == live.label.len().min(LABEL_BYTES));
                prop_assert_eq!(SlotData { label: live.label.clone(), ..seen }, live);
            }

            #[test]
            fn any_words_are_answered(words in proptest::collection::vec(any::<u64>(), SLOT_LEN)) {
                let words: [u64; SLOT_LEN] = words.try_into().unwrap();
                let _ = SlotCopy { words }.decode();
            }
        }
    }
}
