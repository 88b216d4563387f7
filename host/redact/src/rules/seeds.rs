//! Phrases that a wallet is made from again: twelve words and more, all of them of the English list of BIP 39.
//!
//! Such a phrase needs no name beside it. A text in a language has other words among those of the list every few words.

use bip39::Language;

use super::text::Span;

/// The fewest words of a phrase.
const MIN_WORDS: usize = 12;

/// How many bytes are asked at once whether they may be of a phrase.
const WINDOW_BYTES: usize = 22;

/// How far apart such stretches begin. One of them is within any twelve words: those of the list have five letters and
/// more on average.
const SAMPLE_STEP: usize = 38;

/// The longest word of the list.
const MAX_WORD_LEN: usize = 8;

/// The most bytes between two words: `, `, a line with its number, quotes.
const MAX_GAP_BYTES: usize = 8;

/// A bit for each word of the list, among those that other words share.
pub(super) struct Prefilter {
    bits: Box<[u64; 1 << 10]>,
}

impl Prefilter {
    pub(super) fn new() -> Self {
        let mut bits = Box::new([0; 1 << 10]);
        for word in Language::English.word_list() {
            let bit = bit(word.bytes().fold(0, |packed, byte| packed << 8 | u64::from(byte)));
            bits[bit / 64] |= 1 << (bit % 64);
        }
        Self { bits }
    }

    /// The phrases of a text.
    pub(super) fn find_phrases(&self, text: &str) -> Vec<Span> {
        let bytes = text.as_bytes();
        let mut spans = Vec::new();
        let mut after = 0;
        for from in (0..bytes.len().saturating_sub(WINDOW_BYTES)).step_by(SAMPLE_STEP) {
            let part = &bytes[from..from + WINDOW_BYTES];
            let is_of_phrase = |at: usize| BYTE_CLASSES[usize::from(part[at])];
            // Code has other signs among its words.
            if from < after
                || is_of_phrase(0).min(is_of_phrase(5)).min(is_of_phrase(9)).min(is_of_phrase(13)) == 0
                || is_of_phrase(2).min(is_of_phrase(7)).min(is_of_phrase(17)).min(is_of_phrase(21)) == 0
            {
                continue;
            }
            let Some(word) = self.word_at(bytes, from + WINDOW_BYTES / 2) else { continue };
            // Most words have a neighbour that isn't of the list.
            let next = self.after(bytes, word.1);
            let before = self.before(bytes, word.0);
            if next.is_none() && before.is_none() {
                continue;
            }
            let (mut start, mut end, mut words) = (word.0, word.1, 1);
            let (mut forth, mut back) = (next, before);
            while let Some(word) = forth {
                (end, words) = (word.1, words + 1);
                forth = self.after(bytes, end);
            }
            while let Some(word) = back {
                (start, words) = (word.0, words + 1);
                back = self.before(bytes, start);
            }
            if words >= MIN_WORDS && are_listed(&text[start..end]) {
                spans.push((start, end));
            }
            after = end;
        }
        spans
    }

    /// The word of the list that is at a place, or right behind it.
    fn word_at(&self, bytes: &[u8], at: usize) -> Option<Span> {
        if is_letter(bytes[at]) {
            let before = bytes[..at].iter().rev().take(MAX_WORD_LEN).take_while(|byte| is_letter(**byte)).count();
            return self.listed(bytes, at - before);
        }
        self.after(bytes, at)
    }

    fn after(&self, bytes: &[u8], end: usize) -> Option<Span> {
        let between = bytes[end..].iter().take(MAX_GAP_BYTES + 1).take_while(|byte| is_between(**byte)).count();
        (1..=MAX_GAP_BYTES).contains(&between).then(|| self.listed(bytes, end + between))?
    }

    fn before(&self, bytes: &[u8], start: usize) -> Option<Span> {
        let between = bytes[..start].iter().rev().take(MAX_GAP_BYTES + 1).take_while(|byte| is_between(**byte)).count();
        if !(1..=MAX_GAP_BYTES).contains(&between) {
            return None;
        }
        let end = start - between;
        let length = bytes[..end].iter().rev().take(MAX_WORD_LEN + 1).take_while(|byte| is_letter(**byte)).count();
        self.listed(bytes, end - length)
    }

    /// The word that begins at a place, if the list may have it: some others share its bit.
    fn listed(&self, bytes: &[u8], start: usize) -> Option<Span> {
        let (mut length, mut packed) = (0, 0);
        for byte in bytes[start..].iter().take(MAX_WORD_LEN + 1).take_while(|byte| is_letter(**byte)) {
            length += 1;
            packed = packed << 8 | u64::from(byte.to_ascii_lowercase());
        }
        let bit = bit(packed);
        let is_listed = (3..=MAX_WORD_LEN).contains(&length) && self.bits[bit / 64] >> (bit % 64) & 1 == 1;
        is_listed.then_some((start, start + length))
    }
}

/// Whether nearly all words of a phrase are of the list. One may be misspelled.
fn are_listed(phrase: &str) -> bool {
    let words = phrase.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| word.len() >= 3);
    let (all, listed) = words.fold((0, 0), |(all, listed), word| {
        let is_listed = Language::English.find_word(&word.to_ascii_lowercase()).is_some();
        (all + 1, listed + usize::from(is_listed))
    });
    listed >= MIN_WORDS - 1 && listed + 1 + all / 24 >= all
}

/// The number of the bit of a word, whose letters are the bytes of a number.
fn bit(packed: u64) -> usize {
    (packed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize
}

/// The possible roles of a byte in a phrase.
static BYTE_CLASSES: [u8; 256] = kinds();

const LETTER_CLASS: u8 = 1;

/// A byte between two words. An escaped end of a line is written with a letter.
const SEPARATOR_CLASS: u8 = 2;

const fn kinds() -> [u8; 256] {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        let it = byte as u8;
        if it.is_ascii_alphabetic() {
            kinds[byte] = LETTER_CLASS;
        } else if it.is_ascii_whitespace() || it.is_ascii_digit() {
            kinds[byte] = SEPARATOR_CLASS;
        }
        byte += 1;
    }
    let signs = b",.)\"'-:;|\\*`[]";
    byte = 0;
    while byte < signs.len() {
        kinds[signs[byte] as usize] = SEPARATOR_CLASS;
        byte += 1;
    }
    kinds
}

fn is_between(byte: u8) -> bool {
    BYTE_CLASSES[usize::from(byte)] == SEPARATOR_CLASS
}

fn is_letter(byte: u8) -> bool {
    BYTE_CLASSES[usize::from(byte)] == LETTER_CLASS
}
