//! Trace context in `_meta`: `traceparent`, `tracestate` and `baggage`. What is not one is dropped; no call fails for it.
//!
//! Sources: SEP-414; <https://www.w3.org/TR/trace-context-2/>, sections 2.2 and 2.3; <https://www.w3.org/TR/baggage/>,
//! section 3.

use serde_json::Value;

/// The longest `tracestate` and `baggage` that everybody passes on, in bytes.
const MAX_TRACESTATE_BYTES: usize = 512;
const MAX_BAGGAGE_BYTES: usize = 8192;

/// The most entries of each.
const MAX_STATE_ENTRIES: usize = 32;
const MAX_BAGGAGE_ENTRIES: usize = 64;

/// Returns `false` if a field of `_meta` is named like trace context and is none.
pub(crate) fn is_valid(key: &str, value: &Value) -> bool {
    let text = value.as_str();
    match key {
        "traceparent" => text.is_some_and(is_parent),
        "tracestate" => text.is_some_and(is_state),
        "baggage" => text.is_some_and(is_baggage),
        _ => true,
    }
}

/// `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01`. Later versions may have more behind another `-`.
fn is_parent(text: &str) -> bool {
    let is_hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let has_one = |part: &str| part.bytes().any(|byte| byte != b'0');
    let mut parts = text.splitn(5, '-');
    let (Some(version), Some(trace), Some(parent), Some(flags)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let rest = parts.next();
    is_hex(version, 2)
        && version != "ff"
        && is_hex(trace, 32)
        && has_one(trace)
        && is_hex(parent, 16)
        && has_one(parent)
        && is_hex(flags, 2)
        && (rest.is_none() || version != "00")
        && text.len() <= MAX_TRACESTATE_BYTES
}

/// `vendor=value,tenant@vendor=value`
fn is_state(text: &str) -> bool {
    let is_key = |key: &str| {
        let is_part = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|byte| {
                    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'*' | b'/')
                })
        };
        key.len() <= 256 && key.split('@').count() <= 2 && key.split('@').all(is_part)
    };
    let is_value = |value: &str| {
        (1..=256).contains(&value.len())
            && value.bytes().all(|byte| (0x20..=0x7e).contains(&byte) && byte != b',' && byte != b'=')
            && !value.ends_with(' ')
    };
    let entries: Vec<&str> = text.split(',').map(|entry| entry.trim_matches([' ', '\t'])).collect();
    let is_entry = |entry: &&str| {
        entry.is_empty() || entry.split_once('=').is_some_and(|(key, value)| is_key(key) && is_value(value))
    };
    text.len() <= MAX_TRACESTATE_BYTES && entries.len() <= MAX_STATE_ENTRIES && entries.iter().all(is_entry)
}

/// `key=value;property,key=value`
fn is_baggage(text: &str) -> bool {
    let is_token = |key: &str| {
        !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    let is_value = |value: &str| {
        value.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e))
    };
    let trim = |part: &str| part.trim_matches([' ', '\t']).to_owned();
    let is_pair =
        |part: &str| part.split_once('=').is_some_and(|(key, value)| is_token(&trim(key)) && is_value(&trim(value)));
    let is_entry = |entry: &str| {
        let mut parts = entry.split(';');
        parts.next().is_some_and(is_pair) && parts.all(|part| is_pair(part) || is_token(&trim(part)))
    };
    text.len() <= MAX_BAGGAGE_BYTES && text.split(',').count() <= MAX_BAGGAGE_ENTRIES && text.split(',').all(is_entry)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn trace_context_passes_by_its_grammar() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let long = "x".repeat(500_000);
        let state = "rojo=00f067aa0ba902b7,tenant@congo=t61rcWkgMzE";
        let baggage = "userId=alice,serverNode=DF%2028;ttl=3 , isProduction=false;secure";
        for (key, value, is_good) in [
            ("traceparent", parent.to_owned(), true),
            ("traceparent", format!("cc{}-what-comes", &parent[2..]), true),
            ("traceparent", format!("{parent}-more"), false),
            ("traceparent", parent.replace("00-0af", "ff-0af"), false),
            ("traceparent", parent.to_uppercase(), false),
            ("traceparent", parent.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)), false),
            ("traceparent", format!("{parent}{long}"), false),
            ("traceparent", String::new(), false),
            ("tracestate", state.to_owned(), true),
            ("tracestate", "a=1,,b=2".to_owned(), true),
            ("tracestate", "A=1".to_owned(), false),
            ("tracestate", "a=\u{e9}".to_owned(), false),
            ("tracestate", format!("a={long}"), false),
            ("baggage", baggage.to_owned(), true),
            ("baggage", "no value".to_owned(), false),
            ("baggage", "k=\"v\"".to_owned(), false),
            ("baggage", format!("k={long}"), false),
        ] {
            assert_eq!(is_valid(key, &json!(value)), is_good, "{key}: {value:.100}");
        }
        assert!(!is_valid("traceparent", &json!({"a": 1})) && is_valid("other", &json!({"a": 1})));
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text: String, key in "traceparent|tracestate|baggage") {
            let _ = is_valid(&key, &json!(text));
        }
    }
}
