//! Escapes, and invisible characters.

use std::ops::ControlFlow;

/// The text that begins at a backslash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    /// Not an escape.
    None,
    /// An escape whose rest has not arrived yet.
    Incomplete,
    /// A character, and the length of its escape.
    Complete(Character, usize),
}

/// A character as UTF-8. `\xNN` may be only a part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Character {
    bytes: [u8; 4],
    length: usize,
}

impl Character {
    fn of(c: char) -> Self {
        let mut bytes = [0; 4];
        let length = c.encode_utf8(&mut bytes).len();
        Self { bytes, length }
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    pub fn as_char(&self) -> Option<char> {
        str::from_utf8(self.as_bytes()).ok()?.chars().next()
    }
}

/// Reads the escape at the start of a text: the escapes of JSON, and those that shells and languages print (`\xNN`,
/// `\u{…}`, `\UNNNNNNNN`).
pub(super) fn parse_escape(text: &[u8]) -> Escape {
    let Some(kind) = text.get(1) else { return Escape::Incomplete };
    let plain = |byte: u8| Escape::Complete(Character { bytes: [byte, 0, 0, 0], length: 1 }, 2);
    match kind {
        b'"' | b'\\' | b'/' | b'\'' => plain(*kind),
        b'b' => plain(8),
        b'f' => plain(12),
        b'n' => plain(b'\n'),
        b'r' => plain(b'\r'),
        b't' => plain(b'\t'),
        b'e' => plain(0x1b),
        b'x' => match hex(text, 2, 2) {
            Ok(byte) => Escape::Complete(Character { bytes: [byte as u8, 0, 0, 0], length: 1 }, 4),
            Err(none) => none,
        },
        b'U' => match hex(text, 2, 8) {
            Ok(code) => character(code, 10),
            Err(none) => none,
        },
        b'u' if text.get(2) == Some(&b'{') => braced(text),
        b'u' => match hex(text, 2, 4) {
            Ok(high @ 0xd800..=0xdbff) => match text.get(6..8) {
                Some(br"\u") => match hex(text, 8, 4) {
                    Ok(low @ 0xdc00..=0xdfff) => character(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00), 12),
                    Ok(_) => Escape::None,
                    Err(none) => none,
                },
                None if br"\u".starts_with(&text[6..]) => Escape::Incomplete,
                _ => Escape::None,
            },
            Ok(code) => character(code, 6),
            Err(none) => none,
        },
        _ => Escape::None,
    }
}

fn character(code: u32, length: usize) -> Escape {
    char::from_u32(code).map_or(Escape::None, |c| Escape::Complete(Character::of(c), length))
}

/// Returns the value of `count` hexadecimal digits.
fn hex(text: &[u8], from: usize, count: usize) -> Result<u32, Escape> {
    let mut code = 0;
    for at in from..from + count {
        let digit = text.get(at).ok_or(Escape::Incomplete)?;
        code = code << 4 | char::from(*digit).to_digit(16).ok_or(Escape::None)?;
    }
    Ok(code)
}

/// Reads `\u{…}`.
fn braced(text: &[u8]) -> Escape {
    let mut code = 0;
    for (at, digit) in text.iter().enumerate().skip(3).take(7) {
        match char::from(*digit).to_digit(16) {
            Some(digit) => code = code << 4 | digit,
            None if *digit == b'}' && at > 3 => return character(code, at + 1),
            None => return Escape::None,
        }
    }
    if text.len() < 10 { Escape::Incomplete } else { Escape::None }
}

/// Returns the invisible character at the start of a text, and its length. Returns `Break(())` if the rest of the
/// character has not arrived yet.
pub(super) fn parse_invisible_char(text: &[u8]) -> ControlFlow<(), Option<(char, usize)>> {
    let length = match text.first() {
        Some(0..0x20 | 0x7f) => 1,
        Some(0xc2..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf4) => 4,
        _ => return ControlFlow::Continue(None),
    };
    let Some(bytes) = text.get(..length) else { return ControlFlow::Break(()) };
    let c = str::from_utf8(bytes).ok().and_then(|text| text.chars().next());
    ControlFlow::Continue(c.filter(|c| aiw_core::is_unsafe(*c)).map(|c| (c, length)))
}
