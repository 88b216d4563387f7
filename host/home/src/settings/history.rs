//! `history`: settings of past sessions.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::Settings;
use crate::{HomeError, entry};

/// Settings of past sessions: `history`.
#[warn(missing_docs)]
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HistorySettings {
    /// The projects whose sessions are not kept: directories, in which `*` and `**` stand for any names.
    #[serde(deserialize_with = "entry::or_default")]
    pub exclude: Vec<String>,
    /// Whether what only looks random is taken out of texts too: `history.redact` is `strict`.
    #[serde(rename = "redact", deserialize_with = "redact")]
    #[schemars(with = "String")]
    pub is_strict: bool,
}

fn redact<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let is_word = |word: &str| ["standard", "strict"].contains(&word);
    let word: String = entry::text(deserializer, is_word, "`standard` or `strict`")?;
    Ok(word == "strict")
}

impl Settings {
    /// `history`
    pub fn history(&self) -> Result<HistorySettings, HomeError> {
        self.section("history")
    }
}
