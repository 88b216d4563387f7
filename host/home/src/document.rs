//! JSON files that are edited in place and keep unknown content.

use std::path::{Path, PathBuf};

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstInputValue, CstNode, CstObject, CstRootNode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{HomeError, Lock, Mode, json, read_capped, replace};

/// Strict JSON, because other tools read these files too.
pub(crate) const STRICT: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// A JSON object on disk that is edited, never rewritten: unknown content, key order and formatting survive. A file
/// that isn't an object is refused and left alone.
#[derive(Debug)]
pub struct Document {
    path: PathBuf,
    value: Value,
    root: CstRootNode,
    original: Option<Vec<u8>>,
    bom: bool,
}

impl Document {
    /// Reads a document; an absent or empty one begins as `initial`.
    pub fn load(path: &Path, initial: &str) -> Result<Self, HomeError> {
        let original = read_capped(path, json::MAX_BYTES)?;
        let text = match &original {
            Some(bytes) if !bytes.trim_ascii().is_empty() => bytes.as_slice(),
            _ => initial.as_bytes(),
        };
        Self::parse(path, text, original.clone())
    }

    /// A document that replaces whatever is there.
    pub(crate) fn fresh(path: &Path, text: &str) -> Result<Self, HomeError> {
        Self::parse(path, text.as_bytes(), None)
    }

    fn parse(path: &Path, text: &[u8], original: Option<Vec<u8>>) -> Result<Self, HomeError> {
        let parsed = json::parse(text).map_err(|problem| HomeError::invalid(path, problem))?;
        if !parsed.value.is_object() {
            return Err(HomeError::invalid(path, "is not a JSON object"));
        }
        if let Some(key) = parsed.duplicates.first() {
            // Don't guess which of the two another tool reads.
            return Err(HomeError::invalid(path, format!("contains the key `{}` twice", aiw_core::one_line(key, 80))));
        }
        let text = String::from_utf8_lossy(text);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let root =
            CstRootNode::parse(text, &STRICT).map_err(|e| HomeError::invalid(path, format!("is not JSON: {e}")))?;
        Ok(Self { path: path.to_owned(), value: parsed.value, root, original, bom: parsed.bom })
    }

    /// The whole document.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The value at a path of keys.
    pub fn get(&self, path: &[&str]) -> Option<&Value> {
        path.iter().try_fold(&self.value, |value, key| value.as_object()?.get(*key))
    }

    /// Sets a value, making the objects on the way. An equal value changes nothing.
    pub fn set(&mut self, path: &[&str], value: &Value) -> Result<(), HomeError> {
        if self.get(path) == Some(value) {
            return Ok(());
        }
        let Some((last, parents)) = path.split_last() else {
            return Err(HomeError::invalid(&self.path, "cannot be set as a whole"));
        };
        let mut object = self.root.object_value_or_set();
        let mut at = &mut self.value;
        for key in parents {
            let Some(next) = object.object_value_or_create(key) else {
                return Err(HomeError::invalid(&self.path, format!("has a `{key}` that is not an object")));
            };
            object = next;
            at = child(at, key);
        }
        match object.get(last) {
            Some(property) => property.set_value(input(value)),
            None => {
                object.append(last, input(value));
                object.ensure_multiline();
            }
        }
        *child(at, last) = value.clone();
        Ok(())
    }

    /// Removes a value; returns whether it was there.
    pub fn remove(&mut self, path: &[&str]) -> bool {
        let Some((last, parents)) = path.split_last() else { return false };
        let Some(mut object) = self.root.object_value() else { return false };
        let mut at = &mut self.value;
        for key in parents {
            let (Some(next), Some(value)) = (object.object_value(key), at.get_mut(*key)) else { return false };
            object = next;
            at = value;
        }
        let Some(property) = object.get(last) else { return false };
        property.remove();
        collapse_when_empty(&object);
        at.as_object_mut().is_some_and(|map| map.shift_remove(*last).is_some())
    }

    /// The document as text.
    pub fn text(&self) -> String {
        let text = self.root.to_string();
        if self.bom { format!("\u{feff}{text}") } else { text }
    }

    /// The new text, if it differs from the file; with the digest of the old content.
    ///
    /// The text is parsed again before it replaces the file, so that a bug in the editor never reaches the user's
    /// file.
    pub(crate) fn change(&self) -> Result<Option<Change>, HomeError> {
        let text = self.text();
        if self.original.as_deref() == Some(text.as_bytes()) {
            return Ok(None);
        }
        match json::parse(text.as_bytes()) {
            Ok(parsed) if parsed.value == self.value && parsed.duplicates.is_empty() => {}
            _ => return Err(HomeError::invalid(&self.path, "could not be edited without loss; nothing was changed")),
        }
        Ok(Some(Change {
            path: self.path.clone(),
            old: self.original.as_deref().map(digest),
            new: text,
            staged: PathBuf::new(),
        }))
    }

    /// Writes the document if it changed. The lock proves that no one else is writing.
    pub fn save(&self, _lock: &Lock) -> Result<(), HomeError> {
        match self.change()? {
            Some(change) => replace(&change.path, change.new.as_bytes(), Mode::Private),
            None => Ok(()),
        }
    }
}

/// One file of a change to several files.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) path: PathBuf,
    /// sha256 of the replaced content; none for a new file.
    pub(crate) old: Option<String>,
    pub(crate) new: String,
    /// Where the new content is until it is moved into place.
    #[serde(default)]
    pub(crate) staged: PathBuf,
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    aiw_core::hex(&Sha256::digest(bytes))
}

fn child<'a>(value: &'a mut Value, key: &str) -> &'a mut Value {
    if !value.is_object() {
        *value = Value::Object(serde_json::Map::new());
    }
    // An object by the line above: indexing inserts null for an absent key.
    &mut value[key]
}

/// An emptied object keeps its lines (`{\n  }`); `{}` is what people write.
fn collapse_when_empty(object: &CstObject) {
    if object.properties().is_empty() {
        for node in object.children() {
            if node.is_trivia() && !matches!(node, CstNode::Leaf(ref leaf) if leaf.to_string().starts_with('/')) {
                node.remove();
            }
        }
    }
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(b) => CstInputValue::Bool(*b),
        Value::Number(n) => CstInputValue::Number(n.to_string()),
        Value::String(s) => CstInputValue::String(s.clone()),
        Value::Array(items) => CstInputValue::Array(items.iter().map(input).collect()),
        Value::Object(map) => CstInputValue::Object(map.iter().map(|(k, v)| (k.clone(), input(v))).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn document(text: &str) -> (tempfile::TempDir, Document) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mcp.json");
        std::fs::write(&path, text).unwrap();
        let document = Document::load(&path, "{}").unwrap();
        (dir, document)
    }

    #[test]
    fn an_edit_keeps_order_formatting_and_unknown_fields() {
        let text =
            "{\r\n\t\"z\": 1,\r\n\t\"mcpServers\": {\r\n\t\t\"a\": {\"command\":\"x\",   \"odd\": [1,2]}\r\n\t}\r\n}";
        let (_dir, mut doc) = document(text);
        doc.set(&["mcpServers", "b"], &json!({"url": "https://x"})).unwrap();
        assert!(doc.text().starts_with("{\r\n\t\"z\": 1,\r\n\t\"mcpServers\": {\r\n\t\t\"a\": {\"command\":\"x\",   \"odd\": [1,2]},\r\n\t\t\"b\": {"));
        assert!(doc.remove(&["mcpServers", "b"]));
        assert_eq!(doc.text(), text);
        assert!(!doc.remove(&["mcpServers", "b"]));
    }

    #[test]
    fn the_first_entry_of_an_empty_object_stands_on_its_own_line_and_goes_without_a_trace() {
        let (_dir, mut doc) = document("{\n  \"mcpServers\": {}\n}\n");
        doc.set(&["mcpServers", "a"], &json!({"command": "x", "args": []})).unwrap();
        assert_eq!(
            doc.text(),
            "{\n  \"mcpServers\": {\n    \"a\": {\n      \"command\": \"x\",\n      \"args\": []\n    }\n  }\n}\n"
        );
        doc.remove(&["mcpServers", "a"]);
        assert_eq!(doc.text(), "{\n  \"mcpServers\": {}\n}\n");
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mcp.json");
        for bad in ["[]", "{", "{\"a\":1,\"a\":2}", "nonsense", "\u{1}"] {
            std::fs::write(&path, bad).unwrap();
            assert!(Document::load(&path, "{}").is_err(), "{bad}");
        }
        std::fs::write(&path, "  \n").unwrap();
        assert_eq!(Document::load(&path, "{\"x\":1}").unwrap().value(), &json!({"x":1}));
    }

    #[test]
    fn a_key_that_is_not_an_object_is_not_overwritten() {
        let (_dir, mut doc) = document("{\"mcpServers\": []}");
        assert!(doc.set(&["mcpServers", "b"], &json!({})).is_err());
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec(("[a-z\"\\\\ é]{0,6}", inner), 0..4)
                    .prop_map(|v| Value::Object(v.into_iter().collect())),
            ]
        })
    }

    mod fuzz {
        use super::*;
        proptest! {
            #[test]
            fn what_was_set_is_read_back_and_removal_restores(old in values(), new in values(), key in "[a-c]{1}") {
                let base = json!({"mcpServers": {"kept": old}});
                let (_dir, mut doc) = document(&serde_json::to_string_pretty(&base).unwrap());
                doc.set(&["mcpServers", &key], &new).unwrap();
                let again: Value = serde_json::from_str(&doc.text()).unwrap();
                prop_assert_eq!(&again["mcpServers"][&key], &new);
                prop_assert_eq!(doc.value(), &again);
                doc.remove(&["mcpServers", &key]);
                let again: Value = serde_json::from_str(&doc.text()).unwrap();
                prop_assert_eq!(again, base);
            }
        }
    }
}
