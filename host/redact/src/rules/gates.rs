//! What stands around a mark that most texts have, as a look at a few bytes tells: whether its pattern can match at all.
//!
//! A gate may only let too much through. Of `value` in code, one in a hundred stands behind a name and before a sign.

use super::text::{Span, is_word};

/// Whether a pattern may match around a mark that stands there.
pub(super) type Guard = fn(&[u8], Span) -> bool;

/// The gate of a mark of [`super::named::searches`].
pub(super) fn guard_for(mark: &str) -> Guard {
    match mark {
        "value" => is_value_of_name,
        "://" => has_login,
        "-u" | "--user" => has_user,
        "http" => |bytes, (_, end)| is_space(at(bytes, end + usize::from(at(bytes, end).eq_ignore_ascii_case(&b's')))),
        "auth" => {
            |bytes, (_, end)| is_space(at(bytes, end)) || matches!(at(bytes, end), b'\\' | b'"' | b'\'' | b':' | b'=')
        }
        "cookie" => |bytes, (_, end)| at(bytes, spaces(bytes, end)) == b':',
        "env" => calls_with_text,
        "define(" | "config(" => |bytes, (_, end)| is_quote(at(bytes, spaces(bytes, end))),
        "define" => |bytes, (start, end)| {
            let before = bytes[..start].iter().rev().take(8).find(|byte| !byte.is_ascii_whitespace());
            before == Some(&b'#') && has_word_and_space(bytes, (start, end))
        },
        "setenv" | "setx" | "env " | "arg " => has_word_and_space,
        "send " => |bytes, (_, end)| {
            let next = spaces(bytes, end);
            let next = if bytes[next..].starts_with(b"--") { spaces(bytes, next + 2) } else { next };
            matches!(at(bytes, next), b'\\' | b'"')
        },
        "variable" => |bytes, (_, end)| is_space(at(bytes, end)) && is_quote(at(bytes, spaces(bytes, end))),
        "password" | "identified" | "openssl" => |bytes, (_, end)| is_space(at(bytes, end)),
        "name=" | "key=" => {
            |bytes, (start, end)| is_space(at(bytes, start.wrapping_sub(1))) && is_quote(at(bytes, spaces(bytes, end)))
        }
        // What `placed` looks for.
        "word\":" | "word\\\":" | "wd\":" | "phrase\":" | "secret\":" | "secret\\\":" | "token\":" | "token\\\":"
        | "key\":" | "key\\\":" | "word':" | "token':" | "secret':" => {
            |bytes, (_, end)| at(bytes, spaces(bytes, end)) == b'{'
        }
        "value\":" | "value\\\":" | "value\\\\\\\":" | "value':" => {
            |bytes, (start, _)| is_named_before(bytes, start, 260)
        }
        "</key>" | "</name>" | "<\\/key>" | "<\\/name>" => |bytes, (start, _)| is_named_before(bytes, start, 70),
        "<pass " => |_, _| true,
        ".login(" | ".auth(" => |bytes, (_, end)| is_quote(at(bytes, spaces(bytes, end))),
        "passwords" | "passphrases" | "secrets" | "tokens" => |bytes, (_, end)| {
            let end = end + bytes[end..].iter().take(4).take_while(|byte| is_quote(**byte)).count();
            let sign = spaces(bytes, end);
            // Blanks hide nothing, however many they are.
            matches!(at(bytes, sign), b':' | b'=')
                && bytes[sign + 1..].iter().find(|byte| !is_space(**byte)) == Some(&b'[')
        },
        "passwords:" | "passphrases:" | "secrets:" | "tokens:" => {
            |bytes, (_, end)| at(bytes, spaces(bytes, end)) == b'-'
        }
        "exp " | "imp " | "expdp" | "impdp" | "sqlldr" | "rman" | "sqlplus" => {
            |bytes, (_, end)| bytes[end..].iter().take(80).take_while(|byte| **byte != b'\n').any(|byte| *byte == b'@')
        }
        "/p:" | "/user:" => |bytes, (start, _)| is_space(at(bytes, start.wrapping_sub(1))),
        _ => |_, _| true,
    }
}

/// Whether a word for a secret is among so many bytes before a place.
fn is_named_before(bytes: &[u8], start: usize, most: usize) -> bool {
    let before = &bytes[start.saturating_sub(most)..start];
    memchr::memchr2_iter(b's', b'S', before).any(|at| {
        let rest = &before[at..];
        let is = |word: &[u8]| rest.get(..word.len()).is_some_and(|part| part.eq_ignore_ascii_case(word));
        is(b"ssw")
            || is(b"ssp")
            || is(b"ssc")
            || is(b"secret")
            || (at >= 2 && before[at - 1].eq_ignore_ascii_case(&b'a'))
    }) || [&b"ken"[..], b"KEN", b"Ken", b"key", b"Key", b"KEY", b"wd", b"redential"]
        .iter()
        .any(|word| memchr::memmem::find(before, word).is_some())
}

/// The byte at a place, 0 outside of the text.
fn at(bytes: &[u8], place: usize) -> u8 {
    bytes.get(place).copied().unwrap_or(0)
}

/// Whether it may be a space: some of them aren't ASCII.
fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b || byte >= 0x80
}

fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`' | b'\\')
}

/// Where spaces end that begin at a place.
fn spaces(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().take(200).take_while(|byte| is_space(**byte)).count()
}

/// `name: DB_PASSWORD\n  value: X`: the name of a secret before it, and a sign behind it.
fn is_value_of_name(bytes: &[u8], (start, end): Span) -> bool {
    let mut next = end;
    next += bytes[next..].iter().take(4).take_while(|byte| is_quote(**byte)).count();
    if !matches!(at(bytes, spaces(bytes, next)), b':' | b'=') {
        return false;
    }
    let mut before = bytes[..start].iter().rev().take(300).copied().peekable();
    while before.next_if(|byte| is_quote(*byte) || is_space(*byte) || *byte == b',').is_some() {}
    // The last letter of the words that secrets are named with.
    before
        .next()
        .is_some_and(|byte| matches!(byte | 0x20, b'd' | b's' | b'e' | b'y' | b't' | b'n' | b'a' | b'l' | b'w' | b'k'))
}

/// `://user:X@`: only few URLs have an `@` before their path. A password may have a slash; then the text before it is not a
/// port.
fn has_login(bytes: &[u8], (_, end): Span) -> bool {
    let mut colon = None;
    for (place, byte) in bytes.iter().enumerate().skip(end).take(320) {
        match byte {
            b'@' => return true,
            b':' if colon.is_none() => colon = Some(place + 1),
            b'/' => {
                let port = colon.and_then(|colon| bytes.get(colon..place)).unwrap_or_default();
                if port.iter().all(u8::is_ascii_digit) {
                    return false;
                }
            }
            b'"' | b'\'' | b'<' | b'>' => return false,
            byte if byte.is_ascii_whitespace() => return false,
            _ => {}
        }
    }
    false
}

/// `-u user:X`
fn has_user(bytes: &[u8], (start, end): Span) -> bool {
    if !is_space(at(bytes, start.wrapping_sub(1))) {
        return false;
    }
    let from = end + bytes[end..].iter().take(2).take_while(|byte| matches!(byte, b' ' | b'=' | b'"' | b'\'')).count();
    let rest = bytes[from..].iter().take(330).copied();
    let user = rest.take_while(|byte| !byte.is_ascii_whitespace() && !matches!(byte, b':' | b'"' | b'\'')).count();
    user > 0 && at(bytes, from + user) == b':'
}

/// `getenv("API_KEY", "X")`: a call with a text in it.
fn calls_with_text(bytes: &[u8], (_, end): Span) -> bool {
    let rest = &bytes[end..bytes.len().min(end + 100)];
    memchr::memchr_iter(b'(', rest).any(|open| is_quote(at(bytes, spaces(bytes, end + open + 1))))
}

/// `setenv NAME X`
fn has_word_and_space(bytes: &[u8], (_, end): Span) -> bool {
    let word = spaces(bytes, end);
    let length = bytes[word..].iter().take(100).take_while(|byte| is_word(**byte)).count();
    length > 0 && is_space(at(bytes, word + length))
}
