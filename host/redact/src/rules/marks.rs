//! The marks of all rules, found in one pass over a text.
//!
//! An automaton of a thousand marks takes a megabyte, and each byte of a text has to wait for the state of the one before.
//! Here, the kinds of three bytes at a time are looked up in a table of 4 KiB that stays in the nearest cache, then up to five
//! bytes. Only where a mark may begin, as at one place in a hundred, the tree of marks is followed.

use aho_corasick::automaton::Automaton;
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, MatchKind, StartKind};

/// How many kinds of bytes there are: as many as a number has bits.
const BYTE_CLASS_COUNT: usize = u32::BITS as usize;

/// How many places are asked for three kinds before those that were found are looked at: a branch for each byte would be
/// guessed wrong at every twentieth. A number has a bit for each.
const BLOCK_LEN: usize = u64::BITS as usize;

/// The first bytes of marks, and all marks as a tree.
pub(super) struct KeywordTrie {
    /// A bit for each three kinds that a mark begins with: a number for the first two, in it a bit for the third.
    three: Box<[u32; BYTE_CLASS_COUNT * BYTE_CLASS_COUNT]>,
    /// The marks of two, three and four bytes, and the first five bytes of longer ones: too much would follow a short one to
    /// have it among the long ones.
    begins: [PrefixSet; 4],
    tree: DFA,
}

/// Some of all beginnings of so many bytes, among them those of marks.
struct PrefixSet(Box<[u64; Self::BITS / 64]>);

impl PrefixSet {
    const BITS: usize = 1 << 14;

    fn bit(begin: u64) -> usize {
        (begin.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 50) as usize
    }

    fn add(&mut self, begin: u64) {
        let bit = Self::bit(begin);
        self.0[bit / 64] |= 1 << (bit % 64);
    }

    fn has(&self, begin: u64) -> bool {
        let bit = Self::bit(begin);
        self.0[bit / 64] >> (bit % 64) & 1 == 1
    }
}

/// The eight bytes from a place on as a number, in which both cases of a letter are one, as some other bytes are.
fn eight(bytes: &[u8], at: usize) -> u64 {
    let first = match bytes.get(at..).and_then(<[u8]>::first_chunk) {
        Some(eight) => u64::from_le_bytes(*eight),
        None => bytes.iter().skip(at).rev().fold(0, |all, byte| all << 8 | u64::from(*byte)),
    };
    first | (u64::MAX / 255 * 0x20)
}

/// The first bytes of eight.
fn first(count: usize, eight: u64) -> u64 {
    eight & ((1 << (8 * count)) - 1)
}

impl KeywordTrie {
    /// Marks in small letters, of two bytes at least.
    pub(super) fn new(marks: &[String]) -> Result<Self, aho_corasick::BuildError> {
        let tree = DFA::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .start_kind(StartKind::Anchored)
            .build(marks)?;
        let mut three = Box::new([0; BYTE_CLASS_COUNT * BYTE_CLASS_COUNT]);
        let mut begins = [(); 4].map(|()| PrefixSet(Box::new([0; PrefixSet::BITS / 64])));
        for mark in marks.iter().map(String::as_bytes).filter(|mark| mark.len() >= 2) {
            let count = mark.len().min(5);
            begins[count - 2].add(first(count, eight(mark, 0)));
            // Anything may follow a mark of two bytes.
            three[and_kind(kind(mark[0]), kind(mark[1])) as usize] |=
                if count == 2 { u32::MAX } else { 1 << kind(mark[2]) };
        }
        Ok(Self { three, begins, tree })
    }

    /// Calls a function with the number of each mark in a text, and where it is. Those that begin first come first.
    pub(super) fn for_each_match(&self, bytes: &[u8], mut take: impl FnMut(usize, usize, usize)) {
        let Some((begin, rest)) = bytes.split_first_chunk::<2>() else { return };
        let mut kinds = begin.iter().fold(0, |kinds, byte| and_kind(kinds, kind(*byte)));
        let (blocks, last) = rest.as_chunks::<BLOCK_LEN>();
        let mut look = |number: usize, mut places: u64| {
            while places != 0 {
                let place = places.leading_zeros();
                places ^= 1 << (BLOCK_LEN as u32 - 1 - place);
                let at = number * BLOCK_LEN + place as usize;
                if self.may_begin(bytes, at) {
                    self.follow(bytes, at, &mut take);
                }
            }
        };
        for (number, block) in blocks.iter().enumerate() {
            look(number, self.places(block, &mut kinds));
        }
        if !last.is_empty() {
            look(blocks.len(), self.places(last, &mut kinds) << (BLOCK_LEN - last.len()));
        }
        // A mark of two bytes may be the end.
        self.follow(bytes, bytes.len() - 2, &mut take);
    }

    /// A bit for each byte, the last one lowest: whether it has the third kind of three, after the kinds of the bytes before.
    #[inline]
    fn places(&self, block: &[u8], kinds: &mut u32) -> u64 {
        block.iter().fold(0, |places, byte| {
            let third = kind(*byte);
            let is_begin = self.three[*kinds as usize % (BYTE_CLASS_COUNT * BYTE_CLASS_COUNT)] >> third & 1;
            *kinds = and_kind(*kinds, third);
            places << 1 | u64::from(is_begin)
        })
    }

    /// Whether a mark may begin at a place, as five bytes tell.
    fn may_begin(&self, bytes: &[u8], at: usize) -> bool {
        let eight = eight(bytes, at);
        (2..).zip(&self.begins).any(|(count, begins)| begins.has(first(count, eight)))
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

/// The kind of each byte. The signs of `//` and `::`, which most code has, are apart from those of `&#`, and those of `",`
/// from the ones of `\\n`.
static BYTE_CLASSES: [u8; 256] = kinds();

fn kind(byte: u8) -> u32 {
    u32::from(BYTE_CLASSES[usize::from(byte)])
}

/// The kinds of bytes that follow each other, and of the next one: the last of them are the lowest.
fn and_kind(kinds: u32, next: u32) -> u32 {
    kinds << BYTE_CLASS_COUNT.ilog2() | next
}

const fn kinds() -> [u8; 256] {
    // The signs that share the last kinds, which come after the letters.
    const BYTE_GROUPS: [&[u8]; 6] = [b"-_&$", b"0123456789", b"\\", b"\"'", b" ", b"%~*#\x1b"];
    // Other signs have the first kind, other languages the last one.
    let mut kinds = [0; 256];
    let (mut letter, mut next) = (0, 1);
    while letter < 26 {
        // Three letters that are rare share one.
        let kind = if matches!(letter + b'a', b'q' | b'z') { kinds[b'j' as usize] } else { next };
        kinds[(b'a' + letter) as usize] = kind;
        kinds[(b'A' + letter) as usize] = kind;
        next += if kind == next { 1 } else { 0 };
        letter += 1;
    }
    let mut set = 0;
    while set < BYTE_GROUPS.len() {
        let mut sign = 0;
        while sign < BYTE_GROUPS[set].len() {
            kinds[BYTE_GROUPS[set][sign] as usize] = next;
            sign += 1;
        }
        next += 1;
        set += 1;
    }
    assert!(next as usize <= BYTE_CLASS_COUNT, "each kind is a bit");
    let mut byte = 128;
    while byte < 256 {
        kinds[byte] = next - 1;
        byte += 1;
    }
    kinds
}

#[cfg(test)]
mod tests {
    use aho_corasick::AhoCorasick;
    use proptest::prelude::*;

    use super::*;

    const MARKS: [&str; 12] =
        ["sk", "\\n", "&#", "\u{1b}[", "://", "$1$", "ghp_", "%3a", "token", "-----begin ", "密码", "q~"];

    proptest! {
        #[test]
        fn all_marks_are_found_as_by_a_plain_search(
            parts in prop::collection::vec(
                prop_oneof![
                    prop::sample::select(&MARKS[..]).prop_map(str::to_owned),
                    prop::sample::select(&MARKS[..]).prop_map(str::to_uppercase),
                    "[a-zA-Z0-9/:&#$%~\\\\ \"密é-]{0,9}",
                    any::<char>().prop_map(String::from),
                ],
                0..60,
            ),
        ) {
            let text = parts.concat();
            let marks = MARKS.map(str::to_owned);
            let mut found = Vec::new();
            KeywordTrie::new(&marks).unwrap().for_each_match(text.as_bytes(), |mark, start, end| found.push((start, end, mark)));
            let plain = AhoCorasick::builder().ascii_case_insensitive(true).build(marks).unwrap();
            let all = plain.find_overlapping_iter(&text);
            let mut expected: Vec<_> = all.map(|it| (it.start(), it.end(), it.pattern().as_usize())).collect();
            expected.sort_unstable();
            prop_assert_eq!(found, expected);
        }
    }
}
