//! The marks of all rules, found in one pass over a text.
//!
//! An automaton of a thousand marks takes a megabyte, and each byte of a text has to wait for the state of the one before.
//! Here, three bytes at a time are looked up in a table that stays in the nearest cache, then five. Only where a mark may
//! begin, as at one place in a hundred, the tree of marks is followed.

use aho_corasick::automaton::Automaton;
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, MatchKind, StartKind};

/// The kinds of bytes that marks are told by: letters in either case are one.
const KINDS: usize = 64;

/// How many sets of three kinds there are.
const THREE: usize = KINDS * KINDS * KINDS;

/// How many sets of more kinds are told apart, in each table of them.
const MORE: usize = 1 << 14;

/// How many bytes are asked for three kinds before the places that were found are looked at: a branch for each byte would be
/// guessed wrong at every twentieth.
const BLOCK: usize = 64;

/// The first bytes of marks, and all marks as a tree.
pub(super) struct Marks {
    kinds: [u8; 256],
    /// A bit for each three kinds that a mark begins with.
    three: Box<[u64; THREE / 64]>,
    /// A bit for some sets of five kinds, of which one is that of a mark. It is asked where the first three are right.
    five: Set,
    /// Such sets for the marks of three and of four bytes: too much would follow one to have it among those of five.
    short: [Set; 2],
    /// A bit for each two kinds that are a mark.
    two: [u64; KINDS * KINDS / 64],
    tree: DFA,
}

/// Some of all sets of kinds.
struct Set(Box<[u64; MORE / 64]>);

impl Set {
    fn new() -> Self {
        Self(Box::new([0; MORE / 64]))
    }

    /// The bit of some kinds, six bits of each, which other kinds may share.
    fn bit(kinds: usize) -> usize {
        ((kinds as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 50) as usize
    }

    fn add(&mut self, kinds: usize) {
        let bit = Self::bit(kinds);
        self.0[bit / 64] |= 1 << (bit % 64);
    }

    fn has(&self, kinds: usize) -> bool {
        let bit = Self::bit(kinds);
        self.0[bit / 64] >> (bit % 64) & 1 == 1
    }
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
        let (mut three, mut two) = (Box::new([0; THREE / 64]), [0; KINDS * KINDS / 64]);
        let (mut five, mut short) = (Set::new(), [Set::new(), Set::new()]);
        for mark in marks {
            let first = |count| {
                mark.bytes().take(count).fold(0, |all, byte| all * KINDS + usize::from(kinds[usize::from(byte)]))
            };
            match mark.len() {
                ..=2 => two[first(2) / 64] |= 1 << (first(2) % 64),
                3 => short[0].add(first(3)),
                4 => short[1].add(first(4)),
                _ => five.add(first(5)),
            }
            // Anything may follow a mark of two bytes.
            let keys = if mark.len() == 2 { first(2) * KINDS..(first(2) + 1) * KINDS } else { first(3)..first(3) + 1 };
            keys.for_each(|key| three[key / 64] |= 1 << (key % 64));
        }
        Ok(Self { kinds, three, five, short, two, tree })
    }

    /// Calls a function with the number of each mark in a text, and where it is. Those that begin first come first.
    pub(super) fn each(&self, bytes: &[u8], mut take: impl FnMut(usize, usize, usize)) {
        let kind = |byte: u8| usize::from(self.kinds[usize::from(byte)]);
        let Some((begin, rest)) = bytes.split_first_chunk::<2>() else { return };
        let mut key = kind(begin[0]) * KINDS + kind(begin[1]);
        for (number, block) in rest.chunks(BLOCK).enumerate() {
            let (mut places, mut count) = ([0_u8; BLOCK], 0);
            for (at, byte) in block.iter().enumerate() {
                key = (key * KINDS + kind(*byte)) % THREE;
                places[count % BLOCK] = at as u8;
                count += (self.three[key / 64] >> (key % 64) & 1) as usize;
            }
            for place in &places[..count] {
                let at = number * BLOCK + usize::from(*place);
                if self.may_begin(bytes, at) {
                    self.follow(bytes, at, &mut take);
                }
            }
        }
        // A mark of two bytes may be the end.
        self.follow(bytes, bytes.len() - 2, &mut take);
    }

    /// Whether a mark may begin at a place, as five bytes tell.
    fn may_begin(&self, bytes: &[u8], at: usize) -> bool {
        let kind = |at: usize| bytes.get(at).map_or(0, |byte| usize::from(self.kinds[usize::from(*byte)]));
        let two = kind(at) * KINDS + kind(at + 1);
        let three = two * KINDS + kind(at + 2);
        let four = three * KINDS + kind(at + 3);
        self.five.has(four * KINDS + kind(at + 4))
            || self.two[two / 64] >> (two % 64) & 1 == 1
            || self.short[0].has(three)
            || self.short[1].has(four)
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
