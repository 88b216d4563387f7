//! JSON in and out without a tree: borrowed text when it is read, bytes when it is written.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

/// A string that is borrowed where it holds no escapes. Unlike a bare `Cow`, it is also borrowed inside an `Option` or a `Vec`.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl Text<'_> {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns the text of an optional field, `""` if it is absent.
pub(crate) fn text_or_empty<'t>(text: Option<&'t Text<'_>>) -> &'t str {
    text.map_or("", Text::as_str)
}

/// Returns the text of an optional field, if it says anything.
pub(crate) fn non_empty_text(text: Option<Text<'_>>) -> Option<Cow<'_, str>> {
    text.map(|text| text.0).filter(|text| !text.is_empty())
}

/// Parses a JSON string.
pub(crate) fn parse_string(raw: &RawValue) -> Option<Cow<'_, str>> {
    if !raw.get().starts_with('"') {
        return None;
    }
    serde_json::from_str::<Text<'_>>(raw.get()).ok().map(|text| text.0)
}

/// Parses JSON of a known shape. `None` is returned for another shape.
pub(crate) fn parse<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}

/// Parses a value that is either a string or an array. A string is handed to `of_text`.
pub(crate) fn parse_string_or_array<'a, T: Deserialize<'a>>(
    raw: &'a RawValue,
    of_text: impl Fn(Cow<'a, str>) -> T,
) -> Option<Vec<T>> {
    match parse_string(raw) {
        Some(text) => Some(vec![of_text(text)]),
        None if raw.get() == "null" => Some(Vec::new()),
        None => parse(raw),
    }
}

/// Returns whether a text is one JSON object.
pub(crate) fn is_object(text: &str) -> bool {
    text.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Writes a string with quotes and escapes.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(out, text);
}

/// An object that is being written. `end` closes it.
pub(crate) struct Object<'o> {
    out: &'o mut Vec<u8>,
    is_empty: bool,
}

/// An array that is being written. `end` closes it.
pub(crate) struct Array<'o> {
    out: &'o mut Vec<u8>,
    is_empty: bool,
}

/// Writes the fields of an object, and gives it back, so that a chain of them is enough.
pub(crate) trait Fill: for<'x, 'y> FnOnce(&'x mut Object<'y>) -> &'x mut Object<'y> {}

impl<F> Fill for F where F: for<'x, 'y> FnOnce(&'x mut Object<'y>) -> &'x mut Object<'y> {}

/// Writes an object.
pub(crate) fn write_object(out: &mut Vec<u8>, fill: impl Fill) {
    out.push(b'{');
    fill(&mut Object { out, is_empty: true });
    out.push(b'}');
}

/// Makes an object.
pub(crate) fn object_to_vec(fill: impl Fill) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_object(&mut bytes, fill);
    bytes
}

/// Writes an array.
pub(crate) fn write_array(out: &mut Vec<u8>, fill: impl FnOnce(&mut Array<'_>)) {
    out.push(b'[');
    fill(&mut Array { out, is_empty: true });
    out.push(b']');
}

impl Object<'_> {
    /// Writes a key and returns where its value belongs.
    pub(crate) fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.is_empty) {
            self.out.push(b',');
        }
        write_string(self.out, key);
        self.out.push(b':');
        self.out
    }

    pub(crate) fn string(&mut self, key: &str, text: &str) -> &mut Self {
        write_string(self.key(key), text);
        self
    }

    /// Writes a string if there is one.
    pub(crate) fn optional_string(&mut self, key: &str, text: Option<&str>) -> &mut Self {
        if let Some(text) = text {
            self.string(key, text);
        }
        self
    }

    /// Writes JSON as it is.
    pub(crate) fn raw(&mut self, key: &str, json: &str) -> &mut Self {
        self.key(key).extend_from_slice(json.as_bytes());
        self
    }

    /// Writes JSON as it is, if there is any.
    pub(crate) fn optional_raw(&mut self, key: &str, json: Option<&RawValue>) -> &mut Self {
        if let Some(json) = json {
            self.raw(key, json.get());
        }
        self
    }

    /// Writes a value.
    pub(crate) fn value(&mut self, key: &str, value: &Value) -> &mut Self {
        self.raw(key, &value.to_string())
    }

    pub(crate) fn number(&mut self, key: &str, number: u64) -> &mut Self {
        self.raw(key, &number.to_string())
    }

    pub(crate) fn flag(&mut self, key: &str, is_set: bool) -> &mut Self {
        self.raw(key, if is_set { "true" } else { "false" })
    }

    pub(crate) fn object(&mut self, key: &str, fill: impl Fill) -> &mut Self {
        write_object(self.key(key), fill);
        self
    }

    pub(crate) fn array(&mut self, key: &str, fill: impl FnOnce(&mut Array<'_>)) -> &mut Self {
        write_array(self.key(key), fill);
        self
    }
}

impl Array<'_> {
    /// Returns where the next item belongs.
    pub(crate) fn item(&mut self) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.is_empty) {
            self.out.push(b',');
        }
        self.out
    }

    pub(crate) fn string(&mut self, text: &str) {
        write_string(self.item(), text);
    }

    pub(crate) fn raw(&mut self, json: &str) {
        self.item().extend_from_slice(json.as_bytes());
    }

    /// Writes items that were made before.
    pub(crate) fn items(&mut self, made: impl IntoIterator<Item = Vec<u8>>) {
        made.into_iter().for_each(|one| self.item().extend_from_slice(&one));
    }

    pub(crate) fn object(&mut self, fill: impl Fill) {
        write_object(self.item(), fill);
    }
}
