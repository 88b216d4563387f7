//! JSON from outside: bounded in size and depth, byte order marks and duplicate keys noticed.

use std::collections::HashSet;
use std::fmt;

use aiw_core::well_formed_json;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The longest JSON document that aiw reads. The largest marketplace seen has 170 kB.
pub const MAX_BYTES: u64 = 8 << 20;

/// A parsed document and what was odd about it.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedJson {
    /// The value; for duplicate keys, the last one.
    pub value: Value,
    /// Keys that appear twice in one object, as paths (`plugins.3.name`).
    pub duplicates: Vec<String>,
    /// Whether a byte order mark had to be skipped.
    pub has_bom: bool,
}

/// Parses a document, in which what is not Unicode becomes U+FFFD. Nesting is bounded by serde_json (128).
///
/// # Errors
///
/// The end of a sentence: `is not JSON: …`.
pub fn parse(bytes: &[u8]) -> Result<ParsedJson, String> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("is larger than {} MiB", MAX_BYTES >> 20));
    }
    let (bom, bytes) = match bytes.strip_prefix(b"\xef\xbb\xbf") {
        Some(rest) => (true, rest),
        None => (false, bytes),
    };
    let text = well_formed_json(bytes);
    let mut duplicates = Vec::new();
    let mut path = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_slice(&text);
    let value = Seed { duplicates: &mut duplicates, path: &mut path }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|e| match std::str::from_utf8(bytes) {
            Ok(_) => format!("is not JSON: {e}"),
            // UTF-16 and binary files.
            Err(invalid) => format!("is not UTF-8: byte {}", invalid.valid_up_to()),
        })?;
    Ok(ParsedJson { value, duplicates, has_bom: bom })
}

/// Parses settings of other tools, which may contain comments and trailing commas. The error is the end of a
/// sentence.
pub fn parse_settings(bytes: &[u8]) -> Result<Value, String> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("is larger than {} MiB", MAX_BYTES >> 20));
    }
    // Everything else is as strict as ever, including the depth.
    if let Ok(parsed) = parse(bytes) {
        return Ok(parsed.value);
    }
    let text = String::from_utf8_lossy(&well_formed_json(bytes)).into_owned();
    let options = jsonc_parser::ParseOptions::default();
    jsonc_parser::parse_to_serde_value(&text, &options).map_err(|e| format!("is not JSON: {e}"))
}

struct Seed<'a> {
    duplicates: &'a mut Vec<String>,
    path: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Value, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }
    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(Value::from(v))
    }
    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(Value::from(v))
    }
    fn visit_f64<E: serde::de::Error>(self, v: f64) -> Result<Value, E> {
        Number::from_f64(v).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }
    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::from(v))
    }
    fn visit_string<E>(self, v: String) -> Result<Value, E> {
        Ok(Value::String(v))
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<Value, D::Error> {
        Value::deserialize(d)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        loop {
            self.path.push(items.len().to_string());
            let item = seq.next_element_seed(Seed { duplicates: &mut *self.duplicates, path: &mut *self.path })?;
            self.path.pop();
            match item {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        let mut seen = HashSet::new();
        while let Some(key) = access.next_key::<String>()? {
            self.path.push(key.clone());
            if !seen.insert(key.clone()) && self.duplicates.len() < 100 {
                self.duplicates.push(self.path.join("."));
            }
            let value = access.next_value_seed(Seed { duplicates: &mut *self.duplicates, path: &mut *self.path })?;
            self.path.pop();
            map.insert(key, value);
        }
        if map.len() > 100_000 {
            return Err(A::Error::custom("more than 100000 keys in one object"));
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn duplicate_keys_are_named_and_the_last_wins() {
        let parsed = parse(br#"{"a":1,"b":[{"c":1,"c":2}],"a":3}"#).unwrap();
        assert_eq!(parsed.duplicates, ["b.0.c", "a"]);
        assert_eq!(parsed.value, serde_json::json!({"a":3,"b":[{"c":2}]}));
    }

    #[test]
    fn a_byte_order_mark_is_skipped_and_depth_is_bounded() {
        assert!(parse(b"\xef\xbb\xbf{}").unwrap().has_bom);
        let deep = "[".repeat(100_000);
        assert!(parse(deep.as_bytes()).unwrap_err().contains("recursion limit"));
        assert!(parse(b"{} x").is_err());
        assert!(parse(b"\xff{}").unwrap_err().contains("UTF-8"));
    }

    #[test]
    fn what_is_not_unicode_becomes_the_replacement_character() {
        let value = serde_json::json!({"a": "cut \u{fffd}", "b": "caf\u{fffd}"});
        assert_eq!(parse(b"{\"a\": \"cut \\ud83d\", \"b\": \"caf\xe9\"}").unwrap().value, value);
        assert_eq!(parse_settings(b"{\"a\": \"cut \\uDE00\", /* \xe9 */ \"b\": \"caf\xe9\",}").unwrap(), value);
    }

    #[test]
    fn settings_may_hold_comments() {
        let value = parse_settings(b"{\n  // one\n  \"a\": [1,], /* two */\n}").unwrap();
        assert_eq!(value, serde_json::json!({"a": [1]}));
        assert!(parse_settings(b"{\"a\": ").is_err());
        assert!(parse_settings("[".repeat(100_000).as_bytes()).is_err());
    }

    mod fuzz {
        use super::*;
        proptest! {
            #[test]
            fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
                let _ = parse(&bytes);
                let _ = parse_settings(&bytes);
            }

            #[test]
            fn what_serde_json_reads_we_read_alike(text in "[\\[\\]{}\",:0-9a-c \\\\.eE-]{0,60}") {
                let theirs = serde_json::from_str::<Value>(&text);
                let ours = parse(text.as_bytes());
                prop_assert_eq!(theirs.is_ok(), ours.is_ok());
                if let (Ok(theirs), Ok(ours)) = (theirs, ours) {
                    prop_assert_eq!(theirs, ours.value);
                }
            }
        }
    }

    #[test]
    fn half_a_character_is_read() {
        let document = r#"{"plugins": [{"name": "a", "description": "TEXT"}]}"#;
        aiw_tests::assert_finds_odd_json(document, |bytes| parse(bytes).unwrap().value);
        aiw_tests::assert_finds_odd_json(document, |bytes| parse_settings(bytes).unwrap());
    }
}
