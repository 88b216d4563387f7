//! `mcp`: the MCP server, the servers behind it, and who sees what.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

use super::Settings;
use crate::{HomeError, entry};

/// Settings of the MCP server: `mcp`.
#[warn(missing_docs)]
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(!default)]
pub struct McpSettings {
    /// The names of the toolsets that it offers; none for the usual ones.
    pub toolsets: Option<Vec<String>>,
    /// The settings of single servers, by key: `servers`.
    #[serde(deserialize_with = "entry::objects")]
    pub servers: BTreeMap<String, ServerSettings>,
    /// The tools that may change something and that scripts call without asking: `scripts`, as patterns.
    pub scripts: Vec<String>,
    /// Which servers' tools a client lists: `list`.
    #[serde(deserialize_with = "entry::object")]
    pub list: ListSettings,
    /// Which tools a client may see: `profiles`.
    #[serde(deserialize_with = "entry::objects")]
    pub profiles: BTreeMap<String, ProfileSettings>,
}

/// Which servers' tools a client lists: `mcp.list`, or `list` of a profile.
#[warn(missing_docs)]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(!default, !deny_unknown_fields)]
pub struct ListSettings {
    /// The most tokens of all tools that are listed.
    #[serde(deserialize_with = "limit")]
    pub tokens: Option<usize>,
    /// The most tools that are listed.
    #[serde(deserialize_with = "limit")]
    pub tools: Option<usize>,
    /// The servers that are listed whatever they cost: names, with `*` for any text.
    #[serde(deserialize_with = "entry::double_option")]
    pub always: Option<Vec<String>>,
    /// The servers that are not listed.
    #[serde(deserialize_with = "entry::double_option")]
    pub never: Option<Vec<String>>,
}

/// The highest limit that can be set.
const MAX_LIMIT: u64 = 1_000_000;

fn limit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    entry::number::<0, MAX_LIMIT, _, _>(deserializer).map(Some)
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    entry::number::<1, 86_400, _, _>(deserializer).map(Duration::from_secs)
}

/// Settings of one server behind aiw: `mcp.servers.KEY`.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(!default)]
pub struct ServerSettings {
    /// Whether it is offered to clients.
    pub enabled: bool,
    /// One process serves all sessions of an aiw process. Otherwise each session has its own.
    pub shared: bool,
    /// How long a call may take: `timeout`, in seconds.
    #[serde(deserialize_with = "seconds")]
    #[schemars(with = "u64")]
    pub timeout: Duration,
    /// How long an unused server keeps running: `idle`, in seconds.
    #[serde(deserialize_with = "seconds")]
    #[schemars(with = "u64")]
    pub idle: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self { enabled: true, shared: false, timeout: Duration::from_secs(60), idle: Duration::from_secs(600) }
    }
}

/// Patterns of tools: `mcp.profiles.NAME`. A pattern is `server/tool` with `*` for any text, `server`, or `read-only`.
#[warn(missing_docs)]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(!default, !deny_unknown_fields)]
pub struct ProfileSettings {
    /// The allowed patterns; everything, if there is no list.
    #[serde(deserialize_with = "entry::double_option")]
    pub allow: Option<Vec<String>>,
    /// The denied patterns, even of allowed tools.
    pub deny: Vec<String>,
    /// The patterns of tools that may change something and that scripts call without asking.
    pub scripts: Vec<String>,
    /// Which servers' tools are listed, where that differs from `mcp.list`.
    #[serde(deserialize_with = "entry::object")]
    pub list: ListSettings,
}

/// Leaves out what is not set, here and in what is within.
fn without_nulls(fields: &mut Map<String, Value>) {
    fields.values_mut().filter_map(Value::as_object_mut).for_each(without_nulls);
    fields.retain(|_, value| !value.is_null() && *value != json!({}));
}

impl Settings {
    /// `mcp`
    pub fn mcp(&self) -> Result<McpSettings, HomeError> {
        self.section("mcp")
    }

    /// Sets the tools that scripts call without asking.
    pub fn set_script_patterns(&mut self, patterns: &[String]) -> Result<(), HomeError> {
        match patterns.is_empty() {
            true => self.document.remove(&["mcp", "scripts"]).map(drop),
            false => self.document.set(&["mcp", "scripts"], &patterns.into()),
        }
    }

    /// Offers a server to clients, or no longer.
    pub fn set_server_enabled(&mut self, key: &str, enabled: bool) -> Result<(), HomeError> {
        if enabled {
            self.document.remove(&["mcp", "servers", key, "enabled"]).map(drop)
        } else {
            self.document.set(&["mcp", "servers", key, "enabled"], &false.into())
        }
    }

    /// Defines a profile, or forgets it.
    pub fn set_profile(&mut self, name: &str, profile: Option<&ProfileSettings>) -> Result<(), HomeError> {
        let path = ["mcp", "profiles", name];
        let Some(profile) = profile else {
            return self.document.remove(&path).map(drop);
        };
        let mut fields = json!(profile);
        if let Some(fields) = fields.as_object_mut() {
            fields.retain(|key, value| key == "allow" || *value != json!([]));
            without_nulls(fields);
        }
        self.document.set(&path, &fields)
    }

    /// Gives the settings of a server to another name.
    pub fn rename_server(&mut self, key: &str, new: &str) -> Result<(), HomeError> {
        if let Some(settings) = self.document.get(&["mcp", "servers", key]).cloned() {
            self.document.set(&["mcp", "servers", new], &settings)?;
        }
        self.remove_server(key)
    }

    /// Forgets the settings of a server.
    pub fn remove_server(&mut self, key: &str) -> Result<(), HomeError> {
        self.document.remove(&["mcp", "servers", key]).map(drop)
    }
}
