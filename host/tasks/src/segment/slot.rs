//! A slot: a task that runs, as others see it.

use aiw_core::{CliKind, TaskId};

use super::layout::{CHECK, CHILD, ID, INSTANCE, KIND, LENGTHS, OWNER, RUNNING, SLOT, STARTED, TEXT, TEXTS, TICKET};
use crate::State;

/// A process that cannot be mistaken for another: its id is used again, its start is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Owner {
    pub pid: u32,
    pub start: u64,
}

const PID_BITS: u32 = 22;

impl Owner {
    /// In one word: Linux' process ids have at most 22 bits.
    pub(super) fn word(self) -> u64 {
        u64::from(self.pid) & ((1 << PID_BITS) - 1) | self.start << PID_BITS
    }

    pub(super) fn of(word: u64) -> Self {
        Self { pid: (word & ((1 << PID_BITS) - 1)) as u32, start: word >> PID_BITS }
    }
}

/// What a shim tells about its task.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Live {
    pub id: TaskId,
    pub shim: Owner,
    pub instance: u64,
    pub state: State,
    pub cli: CliKind,
    pub depth: u8,
    pub pid: Option<u32>,
    pub ticket: u64,
    pub started: u64,
    pub running_since: Option<u64>,
    pub provider: Option<String>,
    pub role: Option<String>,
    pub tag: Option<String>,
    pub prompt: String,
}

/// A consistent copy of a slot's words; what they mean is not yet checked.
#[derive(Clone, Copy)]
pub(crate) struct Snapshot {
    pub(super) words: [u64; SLOT],
}

impl Snapshot {
    pub fn shim(&self) -> Owner {
        Owner::of(self.words[OWNER])
    }

    pub fn instance(&self) -> u64 {
        self.words[INSTANCE]
    }

    pub fn ticket(&self) -> u64 {
        self.words[TICKET]
    }

    /// The task's id, if the words are one.
    pub fn id(&self) -> Option<TaskId> {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.words[ID].to_le_bytes());
        bytes[8..].copy_from_slice(&self.words[ID + 1].to_le_bytes());
        str::from_utf8(&bytes[..12]).ok()?.parse().ok()
    }

    /// How many tasks stand above it.
    pub fn depth(&self) -> u8 {
        (self.words[KIND] >> 16 & 0xff) as u8
    }

    pub fn state(&self) -> Option<State> {
        State::ALL.get((self.words[KIND] & 0xff) as usize).copied()
    }

    /// All that it says; `None` where that makes no sense.
    pub fn decode(&self) -> Option<Live> {
        let number = |word: usize| Some(self.words[word]).filter(|n| *n != 0);
        let mut texts = [const { String::new() }; 4];
        let mut at = 0;
        for (i, (text, limit)) in texts.iter_mut().zip(TEXTS).enumerate() {
            let length = (self.words[LENGTHS] >> (16 * i) & 0xffff) as usize;
            if length > limit {
                return None;
            }
            let bytes: Vec<u8> = (at..at + length).map(|b| self.words[TEXT + b / 8].to_le_bytes()[b % 8]).collect();
            *text = String::from_utf8_lossy(&bytes).into_owned();
            at += length;
        }
        let [provider, role, tag, prompt] = texts;
        let some = |text: String| Some(text).filter(|t| !t.is_empty());
        Some(Live {
            id: self.id()?,
            shim: self.shim(),
            instance: self.instance(),
            state: self.state()?,
            cli: *CliKind::ALL.get((self.words[KIND] >> 8 & 0xff) as usize)?,
            depth: self.depth(),
            pid: number(CHILD).and_then(|pid| u32::try_from(pid).ok()),
            ticket: self.ticket(),
            started: self.words[STARTED],
            running_since: number(RUNNING),
            provider: some(provider),
            role: some(role),
            tag: some(tag),
            prompt,
        })
    }
}

/// What [`CHECK`] must hold.
pub(super) fn check_word(words: &[u64; SLOT]) -> u64 {
    words[OWNER].rotate_left(17) ^ words[INSTANCE]
}

/// How many words a slot with these lengths has that say something.
pub(super) fn used(lengths: u64) -> usize {
    let bytes: u64 = (0..TEXTS.len()).map(|i| lengths >> (16 * i) & 0xffff).sum();
    (TEXT + bytes.div_ceil(8) as usize).min(SLOT)
}

/// The words of [`KIND`].
pub(super) fn kind_word(live: &Live) -> u64 {
    let cli = CliKind::ALL.iter().position(|kind| *kind == live.cli).unwrap_or(0) as u64;
    state_bits(live.state) | cli << 8 | u64::from(live.depth) << 16
}

fn state_bits(state: State) -> u64 {
    State::ALL.iter().position(|s| *s == state).unwrap_or(0) as u64
}

/// The words of a slot that says this. The sequence is left to whoever stores them.
pub(super) fn encode(live: &Live) -> [u64; SLOT] {
    let mut words = [0; SLOT];
    let mut id = [0; 16];
    id[..12].copy_from_slice(live.id.as_str().as_bytes());
    for (i, half) in id.chunks_exact(8).enumerate() {
        words[ID + i] = u64::from_le_bytes(half.try_into().unwrap_or_default());
    }
    words[OWNER] = live.shim.word();
    words[INSTANCE] = live.instance;
    words[CHECK] = check_word(&words);
    words[KIND] = kind_word(live);
    words[CHILD] = u64::from(live.pid.unwrap_or(0));
    words[TICKET] = live.ticket;
    words[STARTED] = live.started;
    words[RUNNING] = live.running_since.unwrap_or(0);
    let texts = [
        live.provider.as_deref().unwrap_or(""),
        live.role.as_deref().unwrap_or(""),
        live.tag.as_deref().unwrap_or(""),
        &live.prompt,
    ];
    let mut at = 0;
    for (i, (text, limit)) in texts.into_iter().zip(TEXTS).enumerate() {
        let cut = &text[..text.floor_char_boundary(limit)];
        words[LENGTHS] |= (cut.len() as u64) << (16 * i);
        for (b, byte) in cut.bytes().enumerate() {
            words[TEXT + (at + b) / 8] |= u64::from(byte) << (8 * ((at + b) % 8));
        }
        at += cut.len();
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
                texts: [String; 4], child: u32, depth: u8,
            ) {
                let [provider, role, tag, prompt] = texts;
                let live = Live {
                    id: TaskId::from_number(number), shim: Owner { pid, start }, instance, state: State::Stopping,
                    cli: CliKind::Gemini, depth, pid: Some(child).filter(|c| *c != 0), ticket: instance, started: 7,
                    running_since: None, provider: Some(provider), role: Some(role), tag: None, prompt,
                };
                let seen = Snapshot { words: encode(&live) }.decode().unwrap();
                prop_assert_eq!(seen.id, live.id);
                prop_assert_eq!(seen.shim, live.shim);
                prop_assert_eq!((seen.state, seen.cli, seen.depth, seen.pid), (live.state, live.cli, depth, live.pid));
                prop_assert!(live.prompt.starts_with(&seen.prompt) && seen.prompt.len() <= 240);
                let _ = tag;
            }

            #[test]
            fn any_words_are_answered(words in proptest::collection::vec(any::<u64>(), SLOT)) {
                let words: [u64; SLOT] = words.try_into().unwrap();
                let _ = Snapshot { words }.decode();
            }
        }
    }
}
