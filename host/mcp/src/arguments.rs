//! What a tool is called with.

use memchr::{memchr2, memchr2_iter};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

/// The number of opening brackets below which a text can't be nested too deeply for a parser, which gives up at 128
/// levels.
const MAX_BRACKETS: usize = 100;

/// The arguments of a call: an object. It passes as the client wrote it, on one line.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Arguments(Box<RawValue>);

impl Arguments {
    /// `None` if it is not an object, or is nested too deeply.
    pub fn from_raw(text: &RawValue) -> Option<Self> {
        let bytes = text.get().as_bytes();
        if bytes.first() != Some(&b'{') {
            return None;
        }
        // A server reads lines, and some take `\r` for the end of one.
        let is_line = memchr2(b'\n', b'\r', bytes).is_none();
        if is_line && memchr2_iter(b'{', b'[', bytes).nth(MAX_BRACKETS).is_none() {
            return Some(Self(text.to_owned()));
        }
        serde_json::from_str::<Map<String, Value>>(text.get()).ok().map(Self::from)
    }

    /// Parses the arguments.
    pub fn parse(&self) -> serde_json::Result<Map<String, Value>> {
        serde_json::from_str(self.0.get())
    }
}

impl From<Map<String, Value>> for Arguments {
    fn from(read: Map<String, Value>) -> Self {
        // A map of values can always be written.
        Self(to_raw_value(&read).unwrap_or_default())
    }
}

impl Default for Arguments {
    fn default() -> Self {
        Map::new().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Option<String> {
        let raw: &RawValue = serde_json::from_str(text).unwrap();
        Arguments::from_raw(raw).map(|arguments| serde_json::to_string(&arguments).unwrap())
    }

    #[test]
    fn they_pass_as_they_were_written_on_one_line() {
        let odd = r#"{"n": 123456789012345678901234567890, "e":1e999,"s":"\ud800 \r","n":[ ]}"#;
        assert_eq!(written(odd).as_deref(), Some(odd));
        assert_eq!(written("{\"a\":\n[1,\r2] }").as_deref(), Some(r#"{"a":[1,2]}"#));
        assert_eq!(written("[]"), None);
        assert_eq!(written("7"), None);
    }

    #[test]
    fn many_brackets_pass_and_deep_ones_do_not() {
        let wide = format!("{{\"a\":[{}0]}}", "[],".repeat(500));
        assert_eq!(written(&wide).as_deref(), Some(wide.as_str()));
        assert_eq!(written(&format!("{{\"a\":{}{}}}", "[".repeat(500), "]".repeat(500))), None);
    }

    #[test]
    fn what_no_type_can_hold_is_an_error_only_where_it_is_read() {
        let raw: &RawValue = serde_json::from_str(r#"{"a":1e999}"#).unwrap();
        let error = Arguments::from_raw(raw).unwrap().parse().unwrap_err();
        assert!(error.to_string().starts_with("number out of range"), "{error}");
        assert_eq!(Arguments::default().parse().unwrap(), Map::new());
    }
}
