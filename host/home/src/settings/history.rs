//! `history`: settings of past sessions.

use serde_json::Value;

use super::Settings;
use crate::HomeError;

/// Settings of past sessions: `history`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistorySettings {
    /// The projects whose sessions are not kept: directories, in which `*` and `**` stand for any names.
    pub exclude: Vec<String>,
}

impl Settings {
    /// `history`
    pub fn history(&self) -> Result<HistorySettings, HomeError> {
        let exclude = match self.document.get(&["history", "exclude"]) {
            None | Some(Value::Null) => Some(Vec::new()),
            Some(Value::Array(items)) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
            Some(_) => None,
        };
        let wrong = || HomeError::invalid(self.document.path(), "has a `history.exclude` that is not a list of paths");
        Ok(HistorySettings { exclude: exclude.ok_or_else(wrong)? })
    }
}
