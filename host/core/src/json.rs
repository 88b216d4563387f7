//! JSON that other programs wrote.

use std::borrow::Cow;

use memchr::{memchr, memmem};
use serde::de::DeserializeOwned;

/// Replaces what is not Unicode in a JSON text by U+FFFD, and leaves all other bytes as they are: unpaired surrogate
/// escapes (`"\ud83d"`, which JavaScript writes after cutting a text between two UTF-16 units) and invalid UTF-8.
///
/// Source: RFC 8259, sections 8.1 and 8.2; <https://encoding.spec.whatwg.org/#utf-8-decode> for the replacement.
pub fn well_formed_json(json: &[u8]) -> Cow<'_, [u8]> {
    let text = match String::from_utf8_lossy(json) {
        Cow::Borrowed(_) => Cow::Borrowed(json),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    };
    let unpaired = unpaired_surrogates(&text);
    if unpaired.is_empty() {
        return text;
    }
    let mut text = text.into_owned();
    for at in unpaired {
        text[at + 2..at + 6].copy_from_slice(b"fffd");
    }
    Cow::Owned(text)
}

/// Returns the offsets of the escapes of unpaired surrogates, each of six bytes.
pub fn unpaired_surrogates(json: &[u8]) -> Vec<usize> {
    let mut unpaired = Vec::new();
    // Most texts have no escape of a surrogate at all.
    if memmem::find(json, b"\\ud").is_none() && memmem::find(json, b"\\uD").is_none() {
        return unpaired;
    }
    let mut at = 0;
    while let Some(found) = json.get(at..).and_then(|rest| memchr(b'\\', rest)) {
        let escape = at + found;
        at = escape + 2;
        let Some(unit) = surrogate(json, escape) else { continue };
        at = escape + 6;
        if unit < 0xdc00 && surrogate(json, at).is_some_and(|second| second >= 0xdc00) {
            at += 6;
        } else {
            unpaired.push(escape);
        }
    }
    unpaired
}

/// The surrogate whose escape begins at an offset.
fn surrogate(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at.checked_add(6)?)?.strip_prefix(b"\\u")?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let unit = u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    (0xd800..0xe000).contains(&unit).then_some(unit)
}

/// Parses JSON that another program wrote: what is not Unicode in it becomes U+FFFD, and a byte order mark is skipped.
///
/// # Errors
///
/// As [`serde_json::from_slice`].
pub fn from_foreign_json<T: DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
    // The common case is parsed once, and not searched before.
    serde_json::from_slice(json).or_else(|error| match well_formed_json(json) {
        Cow::Owned(json) => serde_json::from_slice(&json),
        Cow::Borrowed(_) => Err(error),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn unpaired_surrogates_are_replaced_and_pairs_stay() {
        for (text, expected) in [
            (r#"["\ud83d"]"#, json!(["\u{fffd}"])),
            (r#"["a\uD83Db\uDE00c"]"#, json!(["a\u{fffd}b\u{fffd}c"])),
            (r#"["\ud83d\ude00"]"#, json!(["\u{1f600}"])),
            (r#"["\ud83d\ud83d\ude00\ude00"]"#, json!(["\u{fffd}\u{1f600}\u{fffd}"])),
            (r#"["\\ud83d"]"#, json!(["\\ud83d"])),
            (r#"["\\\ud83d"]"#, json!(["\\\u{fffd}"])),
            (r#"{"\udead": 1}"#, json!({"\u{fffd}": 1})),
        ] {
            assert_eq!(from_foreign_json::<Value>(text.as_bytes()).unwrap(), expected, "{text}");
            assert_eq!(well_formed_json(text.as_bytes()).len(), text.len(), "{text}");
        }
        assert_eq!(from_foreign_json::<Value>(b"\xef\xbb\xbf[\"caf\xe9\"]").unwrap(), json!(["caf\u{fffd}"]));
        assert!(from_foreign_json::<Value>(br#"["\ud83"]"#).is_err());
        assert!(matches!(well_formed_json("[\"\u{1f600}\"]".as_bytes()), Cow::Borrowed(_)));
    }

    proptest! {
        /// What JavaScript reads is read: texts of any UTF-16 units, as `JSON.stringify` writes them.
        #[test]
        fn texts_of_any_units_are_read(units in proptest::collection::vec(any::<u16>(), 0..40)) {
            let mut written = String::from("\"");
            for unit in &units {
                written.push_str(&format!("\\u{unit:04x}"));
            }
            written.push('"');
            let read: String = from_foreign_json(written.as_bytes()).unwrap();
            prop_assert_eq!(read, String::from_utf16_lossy(&units));
        }

        #[test]
        fn other_bytes_stay(text in "[\\\\u\"d8c0-9a-f ]{0,60}") {
            let repaired = well_formed_json(text.as_bytes());
            prop_assert_eq!(repaired.len(), text.len());
            let unpaired = unpaired_surrogates(text.as_bytes());
            for (at, (one, other)) in text.bytes().zip(repaired.iter().copied()).enumerate() {
                let is_replaced = unpaired.iter().any(|from| (*from..from + 6).contains(&at));
                prop_assert!(one == other || is_replaced);
            }
            prop_assert!(unpaired_surrogates(&repaired).is_empty());
        }

        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(std::str::from_utf8(&well_formed_json(&bytes)).is_ok());
            let _ = from_foreign_json::<Value>(&bytes);
        }
    }
}
