//! `updates`: where the newest version is asked for.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::Settings;
use crate::{HomeError, entry};

/// Where the newest versions are asked for: `updates`.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct UpdateSettings {
    /// The address that `aiw update --check` asks. Nothing else asks it.
    #[serde(deserialize_with = "address")]
    pub url: Option<String>,
    /// The npm registry that `aiw cli outdated` asks: without it, npm's own.
    #[serde(deserialize_with = "address")]
    pub npm_url: Option<String>,
    /// Whether newer versions of AI CLIs may be asked for at all.
    pub check: bool,
}

impl Default for UpdateSettings {
    fn default() -> Self {
        Self { url: None, npm_url: None, check: true }
    }
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let is_address = |url: &str| url.starts_with("https://") || url.starts_with("http://");
    entry::text(deserializer, is_address, "an address")
}

impl Settings {
    /// `updates`
    pub fn updates(&self) -> Result<UpdateSettings, HomeError> {
        self.entry(&["updates"])
    }
}
