//! A text as it is read rather than written: without colours and invisible signs, with escapes decoded, with lines
//! joined. What is taken out of it is taken out of the original.

use aiw_core::{is_unsafe, is_unsafe_at};

use super::text::{REDACTED, Span};

/// Colours and escapes that may hide a name or part a token. Signs that nobody sees do so too: [`for_each_invisible_char`].
pub(super) const OBFUSCATION_SEQUENCES: &[&str] = &[
    "\u{1b}[", "\\u001b", "\\x1b", "\\033", "\\e[", "\\u00", "\\x2", "\\x3", "\\x4", "\\x5", "\\x6", "\\x7", "\\/",
    "%40", "%20-", "&ntilde;", "&szlig;",
];

/// Escapes that may stand between a name and its value, but not within a name.
pub(super) const ESCAPES: &[&str] =
    &["\\\"", "\\n", "&quot;", "&#", "&amp;", "&lt;", "%3d", "%22", "%3a", "%27", "%3c"];

/// Lists of words, such as a command line, that have an option.
pub(super) const ARGUMENT_LIST_PATTERNS: &[&str] =
    &["\", \"-", "\", \\\"-", "\",\\\"-", "\",\"-", "', '-", "','-", "\",\n"];

/// The longest token that is put together from several lines.
const MAX_TOKEN_LEN: usize = 4096;

/// The most signs that nobody sees which a token goes on behind.
const MAX_INVISIBLE_CHARS: usize = 64;

/// The fewest signs of a token in a line.
const MIN_TOKEN_LEN: usize = 4;

/// How many bytes are asked at once whether all of them are ASCII.
const BLOCK_LEN: usize = 64;

/// A text that was made from another one.
#[derive(Debug, Default)]
pub(super) struct DerivedText {
    pub(super) text: String,
    /// Where stretches of it begin, and where each was in the original.
    pieces: Vec<Span>,
    /// Where the original ends.
    end: usize,
    /// The spans that were taken out of it, in their order and apart.
    taken: Vec<Span>,
    /// Whether signs of it are longer in the original.
    pub(super) is_decoded: bool,
}

impl DerivedText {
    /// Stretches of a text with its lines joined at these places.
    pub(super) fn from_joined_lines(text: &str, around: &[Span], joins: &[Span]) -> Self {
        let mut joins = joins.to_vec();
        joins.sort_unstable();
        joins.dedup();
        Self::parted(text, around, &joins, "")
    }

    /// Stretches of a text with the words of its lists parted by spaces, as in a command line.
    pub(super) fn from_argument_list(text: &str, around: &[Span]) -> Self {
        let mut joins = Vec::new();
        let bytes = text.as_bytes();
        for (start, end) in around {
            for at in memchr::memchr_iter(b',', &bytes[*start..*end]).map(|at| start + at) {
                let Some(quote @ (b'"' | b'\'')) = at.checked_sub(1).map(|before| bytes[before]) else { continue };
                let spaces = bytes[at + 1..].iter().take(40).take_while(|byte| byte.is_ascii_whitespace()).count();
                // Quotes may be escaped, all alike.
                let escapes = bytes[..at - 1].iter().rev().take(3).take_while(|byte| **byte == b'\\').count();
                let mut next = at + 1 + spaces;
                next += bytes[next..].iter().take(escapes).take_while(|byte| **byte == b'\\').count();
                if bytes.get(next) == Some(&quote) {
                    joins.push((at - 1 - escapes, next + 1));
                }
            }
        }
        Self::parted(text, around, &joins, " ")
    }

    fn parted(text: &str, around: &[Span], joins: &[Span], between: &str) -> Self {
        let mut seen = Self { end: text.len(), ..Self::default() };
        let mut joins = joins.iter().peekable();
        for (begin, close) in around {
            let mut last = *begin;
            while let Some((start, end)) = joins.next_if(|(start, _)| start < close) {
                // An empty word: its quote is that of two gaps.
                if *start >= last
                    && end <= close
                    && let (Some(part), true) = (text.get(last..*start), text.is_char_boundary(*end))
                {
                    seen.copy(part, last);
                    seen.copy(between, *start);
                    last = *end;
                }
            }
            seen.copy(text.get(last..*close).unwrap_or_default(), last);
            seen.copy("\n", *close);
        }
        seen
    }

    /// Stretches of a text with so many layers of escapes decoded; none if they have not so many.
    pub(super) fn from_decoded(text: &str, around: &[Span], layers: usize) -> Option<Self> {
        let mut seen = Self { end: text.len(), ..Self::default() };
        for (start, end) in around {
            seen.copy(text.get(*start..*end)?, *start);
            seen.copy("\n", *end);
        }
        for _ in 0..layers {
            let mut next = Self { text: String::with_capacity(seen.text.len()), end: seen.end, ..Self::default() };
            let (mut place, mut is_changed, mut piece) = (0, false, 0);
            while let Some(rest) = seen.text.get(place..).filter(|rest| !rest.is_empty()) {
                let plain = rest.find(may_be_code).unwrap_or(rest.len());
                seen.copy_to(&mut next, place, place + plain, &mut piece);
                place += plain;
                let rest = &rest[plain..];
                if rest.is_empty() {
                    break;
                }
                let (length, sign) = code(rest);
                if length == 0 {
                    let length = rest.chars().next().map_or(1, char::len_utf8);
                    seen.copy_to(&mut next, place, place + length, &mut piece);
                    place += length;
                    continue;
                }
                is_changed = true;
                let at = seen.original_offset(place);
                if let Some(sign) = sign {
                    next.copy(sign.encode_utf8(&mut [0; 4]), at);
                }
                place += length;
                // What follows is not where the sign was.
                if place < seen.text.len() {
                    next.pieces.push((next.text.len(), seen.original_offset(place)));
                }
            }
            if !is_changed {
                return None;
            }
            seen = next;
        }
        seen.is_decoded = true;
        Some(seen)
    }

    /// Adds a stretch, which is in the original from a place on.
    fn copy(&mut self, part: &str, from: usize) {
        if !part.is_empty() {
            self.pieces.push((self.text.len(), from));
            self.text.push_str(part);
        }
    }

    /// Adds a stretch of this text to another one, with where it was in the original.
    fn copy_to(&self, next: &mut Self, start: usize, end: usize, piece: &mut usize) {
        if start >= end {
            return;
        }
        next.pieces.push((next.text.len(), self.original_offset(start)));
        while let Some((at, from)) = self.pieces.get(*piece).filter(|(at, _)| *at < end) {
            if *at > start {
                next.pieces.push((next.text.len() + at - start, *from));
            }
            *piece += 1;
        }
        next.text.push_str(&self.text[start..end]);
    }

    /// Where a place of the text, as it was made, is in the original.
    pub(super) fn original_offset(&self, place: usize) -> usize {
        let after = self.pieces.partition_point(|(at, _)| *at <= place);
        let (at, from) = after.checked_sub(1).map_or((0, 0), |piece| self.pieces[piece]);
        (from + place - at).min(self.end)
    }

    /// Takes stretches of the text out, which are in their order. The text has [`REDACTED`] for those before.
    pub(super) fn remove_spans(&mut self, spans: &[Span]) {
        let places = self.places();
        let mut made: Vec<Span> = spans
            .iter()
            .map(|(start, end)| (self.made(*start, false, &places), self.made(*end, true, &places)))
            .collect();
        made.append(&mut self.taken);
        self.taken = merged(made);
    }

    /// Keeps the stretches of the text, as it is now, within which signs are longer in the original: padding, and what
    /// stands behind, does not count.
    pub(super) fn retain_escaped(&self, text: &str, spans: &mut Vec<Span>) {
        let places = self.places();
        spans.retain(|(start, end)| {
            let signs = text[*start..*end].trim_end_matches('=').len();
            let first = self.made(*start, false, &places);
            let last = self.made(start + signs.max(1) - 1, false, &places);
            self.original_offset(last) - self.original_offset(first) > last - first
        });
    }

    /// Where each stretch that was taken out is now.
    fn places(&self) -> Vec<usize> {
        let places = self.taken.iter().scan(0, |shift: &mut isize, (start, end)| {
            let now = start.wrapping_add_signed(*shift);
            *shift += REDACTED.len() as isize - (end - start) as isize;
            Some(now)
        });
        places.collect()
    }

    /// Where a place of the text, as it is now, was when it was made. `places`: where each stretch that was taken is now.
    fn made(&self, place: usize, is_end: bool, places: &[usize]) -> usize {
        let before = places.partition_point(|now| *now < place);
        let Some(last) = before.checked_sub(1) else { return place };
        let (now, (start, end)) = (places[last], self.taken[last]);
        if place < now + REDACTED.len() {
            return if is_end { end } else { start };
        }
        end + (place - now - REDACTED.len())
    }

    /// Returns the spans that were taken out, in the original, in their order and apart.
    pub(super) fn into_removed_spans(self) -> Vec<Span> {
        let origin = |place: usize, is_end: bool| match is_end && place > 0 {
            // Behind its last sign, and not where the next one is.
            true => self.after(place),
            false => self.original_offset(place),
        };
        merged(self.taken.iter().map(|(start, end)| (origin(*start, false), origin(*end, true))).collect())
    }

    /// Where a stretch that ends at a place ends in the original.
    fn after(&self, place: usize) -> usize {
        let next = self.pieces.partition_point(|(at, _)| *at < place);
        let (at, from) = next.checked_sub(1).map_or((0, 0), |piece| self.pieces[piece]);
        let end = from + place - at;
        // An escape is longer than its sign: it ends where the next piece begins.
        match self.pieces.get(next).filter(|(at, _)| *at == place) {
            Some((_, from)) if self.is_decoded && *from > end && *from - end < 64 => *from,
            _ => end.min(self.end),
        }
    }
}

/// Stretches in their order and apart.
fn merged(mut spans: Vec<Span>) -> Vec<Span> {
    spans.retain(|(start, end)| start < end);
    spans.sort_unstable();
    let mut merged: Vec<Span> = Vec::new();
    for (start, end) in spans {
        match merged.last_mut() {
            Some(last) if start < last.1 => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    merged
}

/// Calls a function with each sign of a text that nobody sees, but for those that its writing needs.
pub(super) fn for_each_invisible_char(text: &str, mut take: impl FnMut(Span)) {
    let bytes = text.as_bytes();
    for (number, block) in bytes.chunks(BLOCK_LEN).enumerate() {
        // As most are.
        if block.is_ascii() {
            continue;
        }
        // A sign of more bytes begins with one of these.
        for at in (number * BLOCK_LEN..).zip(block).filter(|(_, byte)| **byte >= 0xc2).map(|(at, _)| at) {
            if let Some(sign) = text[at..].chars().next().filter(|sign| is_unsafe(*sign))
                && is_unsafe_at(text, at)
            {
                take((at, at + sign.len_utf8()));
            }
        }
    }
}

/// Whether it is a sign beyond ASCII that nobody sees. Controls of ASCII end a token, or begin an escape.
fn is_unseen(sign: char) -> bool {
    !sign.is_ascii() && is_unsafe(sign)
}

/// Whether a code may begin with it.
fn may_be_code(sign: char) -> bool {
    matches!(sign, '\\' | '&' | '%' | '\u{1b}') || is_unseen(sign)
}

/// The length of an escape at the start of a text, and what it stands for: nothing, if that is not seen.
fn code(text: &str) -> (usize, Option<char>) {
    let bytes = text.as_bytes();
    match bytes[0] {
        0x1b => (escape_sequence(&text[1..]).map_or(0, |length| 1 + length), None),
        b'\\' => backslash(text),
        b'&' => entity(text),
        b'%' => {
            match bytes.get(1..3).and_then(|digits| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()) {
                Some(sign) if (0x20..0x7f).contains(&sign) => (3, char::from_u32(sign)),
                _ => (0, None),
            }
        }
        _ => match text.chars().next().filter(|sign| is_unseen(*sign)) {
            // They are seen as the end of a line.
            Some(end @ ('\u{85}' | '\u{2028}' | '\u{2029}')) => (end.len_utf8(), Some('\n')),
            Some(sign) => (sign.len_utf8(), None),
            None => (0, None),
        },
    }
}

/// The length of what follows an escape sign in a colour or a movement: `[1;31m`.
fn escape_sequence(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('[')?;
    let length = inner.bytes().take(24).take_while(|byte| matches!(byte, b'0'..=b'?')).count();
    inner.as_bytes().get(length).is_some_and(|byte| matches!(byte, b'@'..=b'~')).then_some(length + 2)
}

fn backslash(text: &str) -> (usize, Option<char>) {
    for escape in ["\\u001b", "\\u001B", "\\x1b", "\\x1B", "\\033", "\\e"] {
        if let Some(length) = text.strip_prefix(escape).and_then(escape_sequence) {
            return (escape.len() + length, None);
        }
    }
    let hex = |from: usize, to: usize| {
        let digits = text.get(from..to)?;
        digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
    };
    let sign = |code: Option<u32>| code.and_then(char::from_u32).filter(|c| !c.is_control() || *c == '\n');
    match text.as_bytes().get(1) {
        Some(byte @ (b'"' | b'\\' | b'/' | b'\'' | b'`')) => (2, Some(char::from(*byte))),
        Some(b'n') => (2, Some('\n')),
        Some(b't') => (2, Some('\t')),
        Some(b'r') => (2, Some('\r')),
        Some(b'u') => sign(hex(2, 6)).map_or((0, None), |c| (6, Some(c))),
        Some(b'x') => sign(hex(2, 4)).filter(char::is_ascii).map_or((0, None), |c| (4, Some(c))),
        _ => (0, None),
    }
}

fn entity(text: &str) -> (usize, Option<char>) {
    for (name, sign) in [
        ("&quot;", '"'),
        ("&amp;", '&'),
        ("&lt;", '<'),
        ("&gt;", '>'),
        ("&apos;", '\''),
        ("&nbsp;", ' '),
        ("&ntilde;", 'ñ'),
        ("&szlig;", 'ß'),
    ] {
        if text.starts_with(name) {
            return (name.len(), Some(sign));
        }
    }
    let Some(number) =
        text.strip_prefix("&#").and_then(|rest| rest.get(..rest.bytes().take(8).position(|b| b == b';')?))
    else {
        return (0, None);
    };
    let code = match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => number.parse().ok(),
    };
    code.and_then(char::from_u32).filter(|c| !c.is_control()).map_or((0, None), |c| (number.len() + 3, Some(c)))
}

fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'+' | b'/' | b'=' | b'~')
}

/// Whether an option is among the words that this is a mark of: of lists with a word in each line, few are a command.
pub(super) fn has_option(bytes: &[u8], (start, end): Span) -> bool {
    if bytes[start..end].ends_with(b"-") {
        return true;
    }
    let rest = bytes[end..].iter().take(80);
    rest.copied().find(|byte| !byte.is_ascii_whitespace() && !matches!(byte, b'\\' | b'"')) == Some(b'-')
}

/// Whether a token may go on behind its mark: for eight signs at least, or up to a gap that may be within it. A mark that
/// begins with a sign may be its end.
pub(super) fn may_be_token(text: &str, mark: usize, from: usize) -> bool {
    if text.as_bytes().get(mark).is_some_and(|byte| !byte.is_ascii_alphanumeric()) {
        return true;
    }
    let rest = text.as_bytes().get(from..).unwrap_or_default();
    let run = rest.iter().take(8).take_while(|byte| is_of_token(**byte)).count();
    let next = rest.get(run).copied().unwrap_or(b'"');
    run == 8
        || matches!(next, b'\n' | b'\r' | b'\\' | 0x80..)
        || (run == 0 && !matches!(next, b'"' | b'\'' | b'(' | b')' | b','))
}

/// Adds the ends of lines in a token that begins at a place, which is behind those before, with what stands before the rest of it in the next line.
/// Signs that can't be seen are no end of it either. Returns where its first line ends.
pub(super) fn collect_line_joins(text: &str, start: usize, joins: &mut Vec<Span>) -> usize {
    let bytes = text.as_bytes();
    let (mut at, most) = (start, (start + MAX_TOKEN_LEN).min(bytes.len()));
    let mut first = None;
    loop {
        let length = bytes[at..most].iter().take_while(|byte| is_of_token(**byte)).count();
        let end = at + length;
        let first = *first.get_or_insert(end);
        let Some(rest) = text.get(end..) else { return first };
        // The rest is as it was from an earlier place in the token, up to where that one was followed.
        if length >= MIN_TOKEN_LEN
            && let Ok(_) = joins.binary_search_by_key(&end, |(end, _)| *end)
            && let Some((_, next)) = joins.last()
        {
            if *next >= most {
                return first;
            }
            at = *next;
            continue;
        }
        let unseen: usize =
            rest.chars().take(MAX_INVISIBLE_CHARS).take_while(|sign| is_unseen(*sign)).map(char::len_utf8).sum();
        let mut next = end + unseen;
        if unseen == 0 {
            next += bytes[end..].iter().take(8).take_while(|byte| **byte == b'\\').count();
            let is_written = next > end && bytes.get(next) == Some(&b'n');
            if !is_written {
                next += usize::from(bytes.get(next) == Some(&b'\r'));
                if bytes.get(next) != Some(&b'\n') {
                    // `\r\n` as JSON has it.
                    let Some(length) = rest.strip_prefix("\\r\\n").map(|_| 4) else { return first };
                    next = end + length - 1;
                }
            }
            next += 1;
            next += bytes[next..]
                .iter()
                .take(40)
                .take_while(|byte| matches!(byte, b' ' | b'\t' | b'>' | b'|' | b'+'))
                .count();
        }
        let rest = bytes.get(next..most).unwrap_or_default();
        let follows = rest.iter().take_while(|byte| is_of_token(**byte)).count();
        let count = |is: fn(&u8) -> bool| rest[..follows].iter().filter(|byte| is(byte)).count();
        let is_odd =
            count(u8::is_ascii_digit) > 0 || (count(u8::is_ascii_uppercase) > 1 && count(u8::is_ascii_lowercase) > 0);
        // A token does not go on over the end of a sentence or into the next line.
        if length < MIN_TOKEN_LEN || follows < MIN_TOKEN_LEN || !is_odd || next >= most {
            return first;
        }
        joins.push((end, next));
        at = next;
    }
}
