//! What kind of line a line is, without parsing it.
//!
//! Nearly all bytes of a transcript are in lines that are no messages: descriptions of tools, snapshots, requests. Most of
//! these name their kind at the beginning, and the rest are passed over string by string.

/// The string that a JSON object has under a key, as it is written; none if the object has no such string. What comes
/// after it is not looked at, and a line that is damaged before it has none.
pub(crate) fn string_at<'a>(line: &'a [u8], key: &str) -> Option<&'a [u8]> {
    let mut at = space(line, 0);
    if line.get(at) != Some(&b'{') {
        return None;
    }
    at = space(line, at + 1);
    loop {
        let name = text(line, at)?;
        at = space(line, at + name.len() + 2);
        if line.get(at) != Some(&b':') {
            return None;
        }
        at = space(line, at + 1);
        if name == key.as_bytes() {
            return text(line, at);
        }
        at = space(line, value(line, at)?);
        if line.get(at) != Some(&b',') {
            return None;
        }
        at = space(line, at + 1);
    }
}

/// The first position from `at` on that is not white space.
fn space(line: &[u8], mut at: usize) -> usize {
    while line.get(at).is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// The content of the string that begins at `at`.
fn text(line: &[u8], at: usize) -> Option<&[u8]> {
    if line.get(at) != Some(&b'"') {
        return None;
    }
    let mut end = at + 1;
    loop {
        end += memchr::memchr2(b'"', b'\\', line.get(end..)?)?;
        match line[end] {
            b'"' => return Some(&line[at + 1..end]),
            _ => end += 2,
        }
    }
}

/// Where the value that begins at `at` ends.
fn value(line: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        match line.get(at)? {
            b'"' => at += text(line, at)?.len() + 2,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                // The end of what encloses a bare value.
                if depth == 0 {
                    return Some(at);
                }
                depth -= 1;
                at += 1;
            }
            b',' if depth == 0 => return Some(at),
            _ => {
                at += 1;
                continue;
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn only_the_key_of_the_object_itself_counts() {
        for (line, kind) in [
            (r#"{"type":"user"}"#, Some("user")),
            (r#" { "a" : [ {"type":"x"}, "}\"" ], "b":-1.5e3, "c":null, "type" : "user" , "#, Some("user")),
            (r#"{"message":{"type":"message"},"type":"assistant","x":{"type":"y"}}"#, Some("assistant")),
            (r#"{"text":"\"type\":\"user\"","n":1}"#, None),
            (r#"{"type":3}"#, None),
            (r#"["type","user"]"#, None),
            (r#"{"a":"unfinished"#, None),
            (r#"{"a":"unfinished\"#, None),
            (r#"{"a":[[["#, None),
            ("{", None),
            ("", None),
        ] {
            assert_eq!(string_at(line.as_bytes(), "type"), kind.map(str::as_bytes), "{line}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a\"\\\\{}\\[\\],: ]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-c\"]{1,2}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    mod fuzz {
        use super::*;

        proptest! {
            #[test]
            fn the_key_is_found_behind_anything(before in any_json(), after in any_json(), is_pretty in any::<bool>()) {
                let value = json!({"before": before, "type": "user", "after": after});
                let text = if is_pretty { format!("{value:#}") } else { value.to_string() };
                prop_assert_eq!(string_at(text.as_bytes(), "type"), Some(&b"user"[..]));
            }

            #[test]
            fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..100), text in "[{}\\[\\]\",:\\\\a ]{0,40}") {
                let _ = string_at(&bytes, "type");
                let _ = string_at(text.as_bytes(), "a");
            }
        }
    }
}
