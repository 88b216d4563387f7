//! Tokens that look drawn at random, whatever service they are of.
//!
//! What people and programs write follows itself: after `q` comes `u`, after a small letter rarely a large one. How often
//! one sign follows another in identifiers and prose is a table. A token that this table finds less likely than dice do
//! looks random, and is a secret unless it has a form that is known to be harmless (`harmless.rs`).

use super::harmless::TokenRun;
use super::text::{Span, has_digit_in};

/// How often a sign follows another in identifiers and prose, as the binary logarithm in eighths: a row for each sign
/// before, a column for each one after. `cargo bench -p aiw-redact -- --pairs` makes it of the texts of the bench.
static PAIR_SCORES: [[i8; SYMBOL_COUNT]; SYMBOL_COUNT] = include!("pairs.in");

/// The start of a part, small letters, large letters and digits.
const SYMBOL_COUNT: usize = 63;

/// The fewest letters and digits of a token.
const MIN_TOKEN_LEN: usize = 16;

/// The fewest digits of a hexadecimal token: sixteen are an identifier of whatever a program counts.
const MIN_HEX_LEN: usize = 24;

/// By how many eighths of a bit a token must be more likely to be random than to be written, in all.
const RANDOMNESS_THRESHOLD: i32 = 8 * 24;

/// By how many eighths of a bit at least for each of its signs.
const MIN_ENTROPY_EIGHTH_BITS: i32 = 5;

/// A sign's row of the table, and what else it can be in a token.
static BYTE_CLASSES: [u8; 256] = classes();

/// The class of what parts a token, but doesn't end it.
const SEPARATOR_CLASS: u8 = 64;

/// The class of what is of no token.
const NO_CLASS: u8 = 255;

const fn classes() -> [u8; 256] {
    let mut classes = [NO_CLASS; 256];
    let mut n = 0;
    while n < 26 {
        classes[b'a' as usize + n] = 1 + n as u8;
        classes[b'A' as usize + n] = 27 + n as u8;
        n += 1;
    }
    n = 0;
    while n < 10 {
        classes[b'0' as usize + n] = 53 + n as u8;
        n += 1;
    }
    let apart = b"_-.+/=~";
    n = 0;
    while n < apart.len() {
        classes[apart[n] as usize] = SEPARATOR_CLASS;
        n += 1;
    }
    classes
}

/// The tokens of a text that look random. `is_strict`: also those of a harmless form. `has_secret`: whether a text has one,
/// which a token may be the code of.
pub(super) fn find_random_tokens(text: &str, is_strict: bool, has_secret: impl Fn(&str) -> bool) -> Vec<Span> {
    let bytes = text.as_bytes();
    let is_of = |byte: &&u8| BYTE_CLASSES[usize::from(**byte)] != NO_CLASS;
    let mut spans = Vec::new();
    let mut last = 0;
    for (number, part) in bytes.chunks(8).enumerate() {
        // Of 30 tokens with 20 letters and digits, 29 have a digit, and of longer ones nearly all.
        if part.try_into().is_ok_and(|part| !has_digit_in(part)) {
            continue;
        }
        for at in (number * 8..).zip(part).filter(|(_, byte)| byte.is_ascii_digit()).map(|(at, _)| at) {
            if at < last {
                continue;
            }
            let start = at - bytes[last..at].iter().rev().take_while(is_of).count();
            let end = at + bytes[at..].iter().take_while(is_of).count();
            last = end;
            if end - start < MIN_TOKEN_LEN {
                continue;
            }
            let run = TokenRun { bytes, start, end };
            let before = spans.len();
            let known = |at| if is_strict { None } else { run.identifier_len(at) };
            tokens(bytes, (start, end), known, |token| {
                if is_strict || !run.is_harmless(token) {
                    spans.push(token);
                }
            });
            if run.decode().is_some_and(|inner| has_secret(&inner)) {
                spans.truncate(before);
                spans.push((start, end));
            }
        }
    }
    spans
}

/// Calls a function with each stretch of a run that looks random: parts of it that follow each other. `is_known`: whether
/// something that begins at a place is known to be harmless, and how long it is.
fn tokens(bytes: &[u8], (start, end): Span, is_known: impl Fn(usize) -> Option<usize>, mut take: impl FnMut(Span)) {
    let mut at = start;
    // The parts that could be a token, as they were read so far, and the best of their ends.
    let mut now = SignGroup::default();
    let mut best = SignGroup::default();
    let mut finish = |best: &mut SignGroup| {
        let best = std::mem::take(best);
        if best.is_random() {
            take(best.with_padding(bytes, end));
        }
    };
    while at < end {
        if BYTE_CLASSES[usize::from(bytes[at])] == SEPARATOR_CLASS {
            now.score -= if bytes[at] == b'=' { 80 } else { 6 };
            now.is_name |= bytes[at] == b'_';
            at += 1;
            continue;
        }
        let part = SignRun::read(bytes, at, end);
        let known = if part.may_be_known(bytes[at]) { is_known(at) } else { None };
        if now.score <= 0 || known.is_some() {
            finish(&mut best);
            now = SignGroup { start: at, ..SignGroup::default() };
        }
        if let Some(length) = known {
            now.score = i32::MIN / 2;
            at += length;
            continue;
        }
        now.add(&part);
        at = part.end;
        if now.score > best.score {
            best = now;
        }
    }
    finish(&mut best);
}

/// Letters and digits without a break.
struct SignRun {
    end: usize,
    symbols: usize,
    score: i32,
    seen: u64,
}

impl SignRun {
    fn read(bytes: &[u8], start: usize, most: usize) -> Self {
        let (mut at, mut before, mut likely, mut seen) = (start, 0_usize, 0_i32, 0_u64);
        let mut steady = 0;
        while at < most {
            let class = BYTE_CLASSES[usize::from(bytes[at])];
            if class >= SEPARATOR_CLASS {
                break;
            }
            let sign = usize::from(class);
            // What goes on as the alphabet does, or stays the same, was drawn by nobody.
            if sign == before + 1 && before > 0 || sign == before {
                steady += 1;
            }
            likely += i32::from(PAIR_SCORES[before][sign]);
            seen |= 1 << sign;
            before = sign;
            at += 1;
        }
        let signs = at - start;
        let dice = match (seen & LOWERCASE_MASK != 0, seen & UPPERCASE_MASK != 0, seen & DIGIT_MASK != 0) {
            (true, true, _) => 48,
            (_, _, true) if seen & (LOWERCASE_MASK | UPPERCASE_MASK) == 0 => {
                return Self { end: at, symbols: signs, score: 0, seen };
            }
            (true, false, true) if seen & !HEX_LOWERCASE_MASK == 0 => 32,
            (false, true, true) if seen & !HEX_UPPERCASE_MASK == 0 => 32,
            (_, _, true) => 41,
            _ => 38,
        };
        let score = -likely - dice * signs as i32 - steady * 48;
        Self { end: at, symbols: signs, score, seen }
    }

    /// Whether it may begin an identifier of a known form: those are hexadecimal, or begin with a zero.
    fn may_be_known(&self, first: u8) -> bool {
        first == b'0' || (self.seen & !(HEX_LOWERCASE_MASK | HEX_UPPERCASE_MASK) == 0 && self.symbols >= 8)
    }
}

const LOWERCASE_MASK: u64 = ((1 << 26) - 1) << 1;
const UPPERCASE_MASK: u64 = ((1 << 26) - 1) << 27;
const DIGIT_MASK: u64 = ((1 << 10) - 1) << 53;
const HEX_LOWERCASE_MASK: u64 = DIGIT_MASK | (0b11_1111 << 1);
const HEX_UPPERCASE_MASK: u64 = DIGIT_MASK | (0b11_1111 << 27);

/// Parts that follow each other.
#[derive(Clone, Copy, Default)]
struct SignGroup {
    start: usize,
    end: usize,
    symbols: usize,
    score: i32,
    seen: u64,
    longest: usize,
    /// Whether underscores part it.
    is_name: bool,
}

impl SignGroup {
    fn add(&mut self, part: &SignRun) {
        self.end = part.end;
        self.symbols += part.symbols;
        self.longest = self.longest.max(part.symbols);
        self.score += part.score;
        self.seen |= part.seen;
    }

    fn is_random(&self) -> bool {
        let is_hex = self.seen & !HEX_LOWERCASE_MASK == 0 || self.seen & !HEX_UPPERCASE_MASK == 0;
        self.symbols >= if is_hex { MIN_HEX_LEN } else { MIN_TOKEN_LEN }
            && self.score >= RANDOMNESS_THRESHOLD
            && self.score >= MIN_ENTROPY_EIGHTH_BITS * self.symbols as i32
            // Words of a language that the table doesn't know have no digits.
            && self.seen & DIGIT_MASK != 0
            && self.seen.count_ones() >= 8
            // Names of constants have short words.
            && (self.longest >= 8 || !self.is_name)
    }

    fn with_padding(self, bytes: &[u8], most: usize) -> Span {
        let padding = bytes[self.end..most].iter().take(2).take_while(|byte| **byte == b'=').count();
        (self.start, self.end + padding)
    }
}
