//! Values as people write them: times, sizes, and the usual mistakes.

use std::time::Duration;

/// Reads a time: `200ms`, `5s`, `1.5s`, `2m`, `1h`.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let seconds = match unit {
        "ms" => number / 1000.0,
        "s" => number,
        "m" | "min" => number * 60.0,
        "h" => number * 3600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds).ok().filter(|time| *time <= Duration::from_secs(365 * 24 * 3600))
}

/// Reads a size in bytes: `512`, `4kB`, `16MB`, `1GB`. A kilobyte has 1024 bytes, as memory has.
pub(crate) fn parse_bytes(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return None,
    };
    let bytes = number * f64::from(1u32 << shift);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is within the range")]
    (0.0..=1e15).contains(&bytes).then_some(bytes as u64)
}

/// Returns a size as [`bytes`] reads it, in the largest unit that is exact.
pub(super) fn format_bytes(bytes: u64) -> String {
    let units = [(30, "GB"), (20, "MB"), (10, "kB")];
    let exact = units.iter().find(|(shift, _)| bytes >> shift > 0 && bytes.trailing_zeros() >= *shift);
    exact.map_or_else(|| bytes.to_string(), |(shift, unit)| format!("{}{unit}", bytes >> shift))
}

fn split(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    Some((text[..end].parse().ok()?, text[end..].trim()))
}

/// Returns the offset and the words for a mistake that KDL itself explains poorly.
pub(super) fn detect_common_mistake(text: &str) -> Option<(usize, String)> {
    scan(text, |at, word| match word {
        "true" | "false" | "null" => Some((at, format!("`{word}` is written `#{word}`"))),
        _ => None,
    })
}

/// Writes bare keywords as KDL 2 has them.
pub(super) fn convert_keywords(text: &str) -> String {
    let mut out = text.to_owned();
    let mut from = 0;
    while let Some(at) = scan(&out[from..], |at, word| matches!(word, "true" | "false" | "null").then_some(at)) {
        out.insert(from + at, '#');
        from += at + 2;
        if from >= out.len() {
            break;
        }
    }
    out
}

/// Calls `look` with each bare word outside strings and comments, and its offset.
fn scan<T>(text: &str, mut look: impl FnMut(usize, &str) -> Option<T>) -> Option<T> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            byte if byte.is_ascii_alphabetic() => {
                let end = bytes[at..].iter().position(|b| !b.is_ascii_alphanumeric() && !b"-_.".contains(b));
                let end = end.map_or(bytes.len(), |end| at + end);
                let is_bare = at == 0 || !bytes[at - 1].is_ascii_alphanumeric() && !b"#-_.".contains(&bytes[at - 1]);
                if is_bare && let Some(found) = text.get(at..end).and_then(|word| look(at, word)) {
                    return Some(found);
                }
                at = end;
            }
            _ => at = skip_quoted(bytes, at).unwrap_or(at + 1),
        }
    }
    None
}

/// Returns the offset after the string or the comment that begins here, if one does.
pub(super) fn skip_quoted(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    if rest.starts_with(b"\"") {
        Some(skip_string(bytes, at))
    } else if rest.starts_with(b"//") {
        Some(rest.iter().position(|b| *b == b'\n').map_or(bytes.len(), |end| at + end))
    } else if rest.starts_with(b"/*") {
        Some(rest[2..].windows(2).position(|pair| pair == b"*/").map_or(bytes.len(), |end| at + end + 4))
    } else {
        None
    }
}

/// Returns the offset after a quoted string that begins here.
pub(super) fn skip_string(bytes: &[u8], at: usize) -> usize {
    let quotes = if bytes[at..].starts_with(b"\"\"\"") { 3 } else { 1 };
    let mut at = at + quotes;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' if quotes == 1 || bytes[at..].starts_with(b"\"\"\"") => return at + quotes,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_and_sizes() {
        for (text, millis) in [("200ms", Some(200)), ("5s", Some(5000)), ("1.5s", Some(1500)), ("2m", Some(120_000))] {
            assert_eq!(parse_duration(text).map(|time| time.as_millis()), millis, "{text}");
        }
        assert!(
            ["", "5", "s", "-1s", "5 years", "1e9h", "999999999h"]
                .into_iter()
                .all(|text| parse_duration(text).is_none())
        );
        for (text, size) in
            [("512", Some(512)), ("4kB", Some(4096)), ("1.5GB", Some(3 << 29)), ("x", None), ("1TB", None)]
        {
            assert_eq!(parse_bytes(text), size, "{text}");
        }
        for (count, text) in
            [(0, "0"), (1023, "1023"), (1536, "1536"), (4096, "4kB"), (64 << 20, "64MB"), (3 << 30, "3GB")]
        {
            assert_eq!((format_bytes(count).as_str(), parse_bytes(text)), (text, Some(count)));
        }
    }

    #[test]
    fn bare_keywords_are_found_outside_strings_and_comments() {
        assert_eq!(detect_common_mistake(r#"a "true" // true"#), None);
        assert_eq!(detect_common_mistake("a #true"), None);
        assert_eq!(detect_common_mistake("a b=true").unwrap().0, 4);
        assert_eq!(
            convert_keywords(r#"p "x" auto_start=true { y false; z "true" }"#),
            r##"p "x" auto_start=#true { y #false; z "true" }"##
        );
    }

    mod fuzz {
        use super::*;
        proptest! {
            #[test]
            fn any_text_is_scanned(text: String) {
                let _ = (detect_common_mistake(&text), convert_keywords(&text), parse_duration(&text), parse_bytes(&text));
            }
        }
    }
}
