//! Phrases that a wallet is made from again: twelve words and more, all of them of the English list of BIP 39.
//!
//! Such a phrase needs no name beside it. A text in a language has other words among those of the list every few words.

use bip39::Language;

use super::text::Span;

/// The fewest words of a phrase.
const LEAST: usize = 12;

/// The shortest phrase has words of three letters and what is between them: one of each so many bytes is in it.
const STEP: usize = 36;

/// The longest word of the list.
const LONGEST: usize = 8;

/// The most bytes between two words: `, `, a line with its number, quotes.
const MOST_BETWEEN: usize = 8;

/// The first three letters of the words of the list, a bit each: what most other words don't have.
pub(super) struct Seeds {
    begins: Box<[u64; 26 * 26 * 26 / 64 + 1]>,
}

impl Seeds {
    pub(super) fn new() -> Self {
        let mut begins = Box::new([0; 26 * 26 * 26 / 64 + 1]);
        for word in Language::English.word_list() {
            if let Some(key) = key(word.as_bytes()) {
                begins[key / 64] |= 1 << (key % 64);
            }
        }
        Self { begins }
    }

    /// The phrases of a text.
    pub(super) fn spans(&self, text: &str) -> Vec<Span> {
        let bytes = text.as_bytes();
        let mut spans = Vec::new();
        let mut at = STEP - 1;
        while at < bytes.len() {
            let Some(word) = self.word_at(bytes, at) else {
                at += STEP;
                continue;
            };
            // Most words have a neighbour that isn't of the list.
            let next = self.after(bytes, word.1);
            let before = self.before(bytes, word.0);
            if next.is_none() && before.is_none() {
                at += STEP;
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
            if words >= LEAST {
                spans.push((start, end));
            }
            at = end.max(at) + STEP;
        }
        spans
    }

    /// The word of the list that is at a place, or right behind it.
    fn word_at(&self, bytes: &[u8], at: usize) -> Option<Span> {
        if bytes[at].is_ascii_alphabetic() {
            let before = bytes[..at].iter().rev().take(LONGEST).take_while(|byte| byte.is_ascii_alphabetic()).count();
            return self.listed(bytes, at - before);
        }
        self.after(bytes, at)
    }

    fn after(&self, bytes: &[u8], end: usize) -> Option<Span> {
        let between = bytes[end..].iter().take(MOST_BETWEEN + 1).take_while(|byte| is_between(**byte)).count();
        (1..=MOST_BETWEEN).contains(&between).then(|| self.listed(bytes, end + between))?
    }

    fn before(&self, bytes: &[u8], start: usize) -> Option<Span> {
        let between =
            bytes[..start].iter().rev().take(MOST_BETWEEN + 1).take_while(|byte| is_between(**byte)).count();
        if !(1..=MOST_BETWEEN).contains(&between) {
            return None;
        }
        let end = start - between;
        let length = bytes[..end].iter().rev().take(LONGEST + 1).take_while(|byte| byte.is_ascii_alphabetic()).count();
        self.listed(bytes, end - length)
    }

    /// The word that begins at a place, if the list has it.
    fn listed(&self, bytes: &[u8], start: usize) -> Option<Span> {
        let key = key(&bytes[start..])?;
        if self.begins[key / 64] >> (key % 64) & 1 == 0 {
            return None;
        }
        let length = bytes[start..].iter().take(LONGEST + 1).take_while(|byte| byte.is_ascii_alphabetic()).count();
        let word = std::str::from_utf8(bytes.get(start..start + length)?).ok()?.to_ascii_lowercase();
        Language::English.find_word(&word).map(|_| (start, start + length))
    }
}

/// The number of a word's first three letters.
fn key(word: &[u8]) -> Option<usize> {
    let letter = |at: usize| word.get(at).filter(|byte| byte.is_ascii_alphabetic()).map(|byte| usize::from(byte | 0x20) - 97);
    Some((letter(0)? * 26 + letter(1)?) * 26 + letter(2)?)
}

/// Whether it may stand between two words of a phrase. An escaped end of a line is written with a letter.
fn is_between(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte.is_ascii_digit() || b",.)\"'-:;|\\*`[]".contains(&byte)
}
