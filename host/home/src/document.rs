//! JSON files that are edited in place and keep unknown content.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{HomeError, Jsonc, Lock, Mode, json, read_capped, replace};

/// A JSON object on disk that is edited, never rewritten: unknown content, key order and formatting survive. A file
/// that isn't an object is refused and left alone. It is strict JSON, because other tools read these files too.
#[derive(Debug)]
pub struct Document {
    path: PathBuf,
    content: Jsonc,
    original: Option<Vec<u8>>,
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
    pub(crate) fn from_text(path: &Path, text: &str) -> Result<Self, HomeError> {
        Self::parse(path, text.as_bytes(), None)
    }

    fn parse(path: &Path, text: &[u8], original: Option<Vec<u8>>) -> Result<Self, HomeError> {
        let content = Jsonc::parse_strict(text).map_err(|problem| HomeError::invalid(path, problem))?;
        Ok(Self { path: path.to_owned(), content, original })
    }

    /// The whole document.
    pub fn value(&self) -> &Value {
        self.content.value()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The value at a path of keys.
    pub fn get(&self, path: &[&str]) -> Option<&Value> {
        self.content.get(path)
    }

    /// Sets a value, and adds the objects on the way. An equal value changes nothing.
    pub fn set(&mut self, path: &[&str], value: &Value) -> Result<(), HomeError> {
        self.content.set(path, value).map_err(|problem| HomeError::invalid(&self.path, problem))
    }

    /// Removes a value; returns whether it was there.
    pub fn remove(&mut self, path: &[&str]) -> Result<bool, HomeError> {
        self.content.remove(path).map_err(|problem| HomeError::invalid(&self.path, problem))
    }

    /// Refuses a document of another version than this aiw supports. Returns whether it says its version.
    pub(crate) fn has_version(&self, supported: u64) -> Result<bool, HomeError> {
        let problem = match self.get(&["version"]).map(Value::as_u64) {
            None => return Ok(false),
            Some(Some(version)) if version == supported => return Ok(true),
            Some(Some(version)) => unsupported_version_message(version, supported),
            Some(None) => "has a `version` that is not a number".to_owned(),
        };
        Err(HomeError::invalid(&self.path, problem))
    }

    /// The document as text.
    pub fn text(&self) -> String {
        self.content.text()
    }

    /// The new text, if it differs from the file; with the digest of the old content.
    pub(crate) fn change(&self) -> Option<DocumentChange> {
        let new = self.text();
        let is_new = self.original.as_deref() != Some(new.as_bytes());
        let old = self.original.as_deref().map(digest);
        is_new.then(|| DocumentChange { path: self.path.clone(), old, new, staged: PathBuf::new() })
    }

    /// Writes the document if it changed. The lock proves that no one else is writing.
    pub fn save(&self, _lock: &Lock) -> Result<(), HomeError> {
        match self.change() {
            Some(change) => replace(&change.path, change.new.as_bytes(), Mode::Private),
            None => Ok(()),
        }
    }
}

/// Says that a file has a version which this aiw does not know, as the end of a sentence.
pub(crate) fn unsupported_version_message(version: u64, supported: u64) -> String {
    format!("has version {version}, but this aiw supports {supported}; {}", crate::error::NEWER_VERSION_REASON)
}

/// One file of a change to several files.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DocumentChange {
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
        assert!(doc.remove(&["mcpServers", "b"]).unwrap());
        assert_eq!(doc.text(), text);
        assert!(!doc.remove(&["mcpServers", "b"]).unwrap());
    }

    #[test]
    fn the_first_entry_of_an_empty_object_stands_on_its_own_line_and_goes_without_a_trace() {
        let (_dir, mut doc) = document("{\n  \"mcpServers\": {}\n}\n");
        doc.set(&["mcpServers", "a"], &json!({"command": "x", "args": []})).unwrap();
        assert_eq!(
            doc.text(),
            "{\n  \"mcpServers\": {\n    \"a\": {\n      \"command\": \"x\",\n      \"args\": []\n    }\n  }\n}\n"
        );
        doc.remove(&["mcpServers", "a"]).unwrap();
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
                doc.remove(&["mcpServers", &key]).unwrap();
                let again: Value = serde_json::from_str(&doc.text()).unwrap();
                prop_assert_eq!(again, base);
            }
        }
    }
}
