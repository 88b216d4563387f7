//! The marks of all rules, found in one pass over a text.
//!
//! An automaton of a thousand marks takes a megabyte, and each byte of a text has to wait for the state of the one before.
//! Here, three bytes at a time are looked up in a table that stays in the nearest cache. Only where a mark may begin, as
//! at one place in forty, the tree of marks is followed.

use aho_corasick::automaton::Automaton;
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, MatchKind, StartKind};

/// The kinds of bytes that marks are told by: letters in either case are one.
const KINDS: usize = 64;

/// How many sets of three kinds there are.
const THREE: usize = KINDS * KINDS * KINDS;

/// How many sets of four kinds are told apart.
const FOUR: usize = 1 << 16;

/// The first bytes of marks, and all marks as a tree.
pub(super) struct Marks {
    kinds: [u8; 256],
    /// A bit for each three kinds that a mark begins with.
    three: Box<[u64; THREE / 64]>,
    /// A bit for some sets of four, of which one is that of a mark. It is asked where the first three are right.
    four: Box<[u64; FOUR / 64]>,
    /// A bit for each two kinds that are a mark: too much would follow one to have it among those of four.
    two: [u64; KINDS * KINDS / 64],
    tree: DFA,
}

/// The bit of four kinds: the first three, and the last.
fn bit(three: usize, last: usize) -> usize {
    let mixed = ((three * KINDS + last) as u32).wrapping_mul(0x9e37_79b1);
    (mixed >> 16) as usize
}

impl Marks {
    /// Marks in small letters, of two bytes at least.
    pub(super) fn new(marks: &[String]) -> Result<Self, aho_corasick::BuildError> {
        let tree = DFA::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .start_kind(StartKind::Anchored)
            .build(marks)?;
        let kinds = kinds(marks);
        let (mut three, mut four) = (Box::new([0; THREE / 64]), Box::new([0; FOUR / 64]));
        let mut two = [0; KINDS * KINDS / 64];
        for mark in marks {
            // Anything may follow a short mark.
            let kind = |at: usize| match mark.as_bytes().get(at) {
                Some(byte) => usize::from(kinds[usize::from(*byte)])..usize::from(kinds[usize::from(*byte)]) + 1,
                None => 0..KINDS,
            };
            let begin = kind(0).start * KINDS + kind(1).start;
            let is_short = mark.len() == 2;
            two[begin / 64] |= u64::from(is_short) << (begin % 64);
            for third in kind(2) {
                let key = begin * KINDS + third;
                three[key / 64] |= 1 << (key % 64);
                for last in kind(3).filter(|_| !is_short) {
                    let bit = bit(key, last);
                    four[bit / 64] |= 1 << (bit % 64);
                }
            }
        }
        Ok(Self { kinds, three, four, two, tree })
    }

    /// Calls a function with the number of each mark in a text, and where it is. Those that begin first come first.
    pub(super) fn each(&self, bytes: &[u8], mut take: impl FnMut(usize, usize, usize)) {
        let kind = |byte: u8| usize::from(self.kinds[usize::from(byte)]);
        let Some((begin, rest)) = bytes.split_first_chunk::<2>() else { return };
        let mut key = kind(begin[0]) * KINDS + kind(begin[1]);
        for (at, byte) in rest.iter().enumerate() {
            key = (key * KINDS + kind(*byte)) % THREE;
            if self.three[key / 64] >> (key % 64) & 1 == 1 {
                let bit = bit(key, bytes.get(at + 3).map_or(0, |byte| kind(*byte)));
                let begin = key / KINDS;
                if (self.four[bit / 64] >> (bit % 64) | self.two[begin / 64] >> (begin % 64)) & 1 == 1 {
                    self.follow(bytes, at, &mut take);
                }
            }
        }
        // A mark of two bytes may be the end.
        self.follow(bytes, bytes.len() - 2, &mut take);
    }

    fn follow(&self, bytes: &[u8], start: usize, take: &mut impl FnMut(usize, usize, usize)) {
        let Ok(mut state) = self.tree.start_state(Anchored::Yes) else { return };
        for (end, byte) in bytes.iter().enumerate().skip(start) {
            state = self.tree.next_state(Anchored::Yes, state, *byte);
            if self.tree.is_special(state) {
                if self.tree.is_dead(state) {
                    return;
                }
                if self.tree.is_match(state) {
                    for index in 0..self.tree.match_len(state) {
                        take(self.tree.match_pattern(state, index).as_usize(), start, end + 1);
                    }
                }
            }
        }
    }
}

/// A number for each byte: the same for both cases of a letter, and 0 for those that no mark begins with.
fn kinds(marks: &[String]) -> [u8; 256] {
    let mut kinds = [0; 256];
    let mut last = 0;
    // What isn't ASCII has no part in most texts, and shares its numbers.
    let (ascii, other): (Vec<u8>, Vec<u8>) = marks.iter().flat_map(|mark| mark.bytes().take(3)).partition(u8::is_ascii);
    for byte in ascii.into_iter().chain(other) {
        if kinds[usize::from(byte)] == 0 {
            // More than there are numbers for share the last one.
            last = (last + 1).min(KINDS as u8 - 1);
            kinds[usize::from(byte.to_ascii_lowercase())] = last;
            kinds[usize::from(byte.to_ascii_uppercase())] = last;
        }
    }
    kinds
}
