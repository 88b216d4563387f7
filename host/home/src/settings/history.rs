//! `history`: settings of past sessions.

use serde_json::Value;

use super::Settings;
use crate::HomeError;

/// Settings of past sessions: `history`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistorySettings {
    /// The projects whose sessions are not kept: directories, in which `*` and `**` stand for any names.
    pub exclude: Vec<String>,
    /// Whether what only looks random is taken out of texts too: `history.redact` is `strict`.
    pub is_strict: bool,
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
        let is_strict = match self.document.get(&["history", "redact"]).map(Value::as_str) {
            None | Some(Some("standard")) => false,
            Some(Some("strict")) => true,
            Some(_) => {
                let reason = "has a `history.redact` that is neither `standard` nor `strict`";
                return Err(HomeError::invalid(self.document.path(), reason));
            }
        };
        Ok(HistorySettings { exclude: exclude.ok_or_else(wrong)?, is_strict })
    }
}
