//! `health`: whether API providers are checked from time to time.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::Settings;
use crate::{HomeError, entry};

/// Whether API providers are checked from time to time: `health`.
#[warn(missing_docs)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HealthSettings {
    /// The seconds from one check of all providers to the next. Without them, none is checked.
    #[serde(deserialize_with = "seconds")]
    #[schemars(with = "Option<u32>")]
    pub every: Option<u32>,
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    entry::number::<60, 86_400, _, _>(deserializer).map(Some)
}

impl Settings {
    /// `health`
    pub fn health(&self) -> Result<HealthSettings, HomeError> {
        self.section("health")
    }
}
