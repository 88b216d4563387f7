//! `ci`: where continuous integration is asked for its runs.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::Settings;
use crate::{HomeError, entry};

/// Where continuous integration is asked for its runs: `ci`.
#[warn(missing_docs)]
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(!default)]
pub struct CiSettings {
    /// GitHub Enterprise hosts, by their names: `hosts`.
    #[serde(deserialize_with = "entry::objects")]
    pub hosts: BTreeMap<String, CiHostSettings>,
}

/// A GitHub Enterprise host: `ci.hosts.HOST`.
#[warn(missing_docs)]
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CiHostSettings {
    /// The address of its API, which may be on this machine or in a private network.
    #[serde(deserialize_with = "address")]
    pub api_url: Option<String>,
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let is_address = |url: &str| url.starts_with("https://") || url.starts_with("http://");
    entry::text(deserializer, is_address, "an address")
}

impl Settings {
    /// `ci`
    pub fn ci(&self) -> Result<CiSettings, HomeError> {
        self.section("ci")
    }
}
