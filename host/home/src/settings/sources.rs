//! `sources`: settings of components.

use serde_json::{Map, Value};

use super::Settings;

/// Settings of one component, or of the host's part of a source: `sources.<id>`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SourceSettings(Map<String, Value>);

impl SourceSettings {
    /// A setting as text; numbers and truth values as JSON writes them.
    pub fn get(&self, key: &str) -> Option<String> {
        match self.0.get(key)? {
            Value::String(text) => Some(text.clone()),
            value @ (Value::Number(_) | Value::Bool(_)) => Some(value.to_string()),
            _ => None,
        }
    }
}

impl Settings {
    /// `sources.<id>`
    pub fn source(&self, id: &str) -> SourceSettings {
        SourceSettings(self.document.get(&["sources", id]).and_then(Value::as_object).cloned().unwrap_or_default())
    }
}
