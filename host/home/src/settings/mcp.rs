//! `mcp`: the MCP server, the servers behind it, and who sees what.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::Settings;
use crate::HomeError;

/// Settings of the MCP server: `mcp`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct McpSettings {
    /// The names of the toolsets that it offers; none for the usual ones.
    pub toolsets: Option<Vec<String>>,
    /// The settings of single servers, by key: `servers`.
    pub servers: BTreeMap<String, ServerSettings>,
    /// The tools that may change something and that scripts call without asking: `scripts`, as patterns.
    pub scripts: Vec<String>,
    /// Which servers' tools a client lists: `list`.
    pub list: ListSettings,
    /// Which tools a client may see: `profiles`.
    pub profiles: BTreeMap<String, ProfileSettings>,
}

/// Which servers' tools a client lists: `mcp.list`, or `list` of a profile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ListSettings {
    /// The most tokens of all tools that are listed.
    pub tokens: Option<usize>,
    /// The most tools that are listed.
    pub tools: Option<usize>,
    /// The servers that are listed whatever they cost: names, with `*` for any text.
    pub always: Option<Vec<String>>,
    /// The servers that are not listed.
    pub never: Option<Vec<String>>,
}

impl ListSettings {
    /// The highest limit that can be set.
    const MOST: u64 = 1_000_000;

    /// Reads them. The error is the end of a sentence about the file.
    fn read(section: Option<&Value>, place: &str) -> Result<Self, String> {
        let Some(section) = section.filter(|section| !section.is_null()) else { return Ok(Self::default()) };
        let fields = section.as_object().ok_or_else(|| format!("has a `{place}` that is not an object"))?;
        if let Some(other) = fields.keys().find(|key| !matches!(key.as_str(), "tokens" | "tools" | "always" | "never"))
        {
            let other = aiw_core::one_line(other, 60);
            return Err(format!("has a `{place}.{other}`: there are `tokens`, `tools`, `always` and `never`"));
        }
        let number = |key: &str| match fields.get(key).map(Value::as_u64) {
            None => Ok(None),
            Some(Some(number)) if number <= Self::MOST => Ok(usize::try_from(number).ok()),
            Some(_) => Err(format!("has a `{place}.{key}` that is not a number from 0 to {}", Self::MOST)),
        };
        let names = |key: &str| match fields.get(key) {
            None => Ok(None),
            Some(value) => match strings(value) {
                Some(names) => Ok(Some(names)),
                None => Err(format!("has a `{place}.{key}` that is not a list of servers")),
            },
        };
        Ok(Self {
            tokens: number("tokens")?,
            tools: number("tools")?,
            always: names("always")?,
            never: names("never")?,
        })
    }

    /// As it is written.
    fn value(&self) -> Value {
        let mut fields = Map::new();
        let numbers = [("tokens", self.tokens), ("tools", self.tools)];
        fields.extend(numbers.into_iter().filter_map(|(key, number)| Some((key.to_owned(), number?.into()))));
        let names = [("always", &self.always), ("never", &self.never)];
        fields.extend(names.into_iter().filter_map(|(key, names)| Some((key.to_owned(), names.clone()?.into()))));
        Value::Object(fields)
    }
}

/// The texts of a list of texts.
fn strings(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

/// Settings of one server behind aiw: `mcp.servers.KEY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// Whether it is offered to clients.
    pub enabled: bool,
    /// One process serves all sessions of an aiw process. Otherwise each session has its own.
    pub shared: bool,
    /// How long a call may take: `timeout`, in seconds.
    pub timeout: Duration,
    /// How long an unused server keeps running: `idle`, in seconds.
    pub idle: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self { enabled: true, shared: false, timeout: Duration::from_secs(60), idle: Duration::from_secs(600) }
    }
}

/// Patterns of tools: `mcp.profiles.NAME`. A pattern is `server/tool` with `*` for any text, `server`, or `read-only`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ProfileSettings {
    /// The allowed patterns; everything, if there is no list.
    pub allow: Option<Vec<String>>,
    /// The denied patterns, even of allowed tools.
    pub deny: Vec<String>,
    /// The patterns of tools that may change something and that scripts call without asking.
    pub scripts: Vec<String>,
    /// Which servers' tools are listed, where that differs from `mcp.list`.
    pub list: ListSettings,
}

impl ProfileSettings {
    /// Reads profiles by name. The error is the end of a sentence about the file.
    pub(crate) fn read_all(section: Option<&Value>, place: &str) -> Result<BTreeMap<String, Self>, String> {
        let mut profiles = BTreeMap::new();
        for (name, value) in objects(section, place)? {
            let list = |key: &str| match value.get(key) {
                None => Ok(None),
                Some(value) => match strings(value) {
                    Some(patterns) => Ok(Some(patterns)),
                    None => Err(format!("has a `{place}.{name}.{key}` that is not a list of patterns")),
                },
            };
            // A list under another name would leave everything allowed.
            if let Some(other) = value.keys().find(|key| !matches!(key.as_str(), "allow" | "deny" | "scripts" | "list"))
            {
                let other = aiw_core::one_line(other, 60);
                return Err(format!(
                    "has a `{place}.{name}.{other}`: a profile has `allow`, `deny`, `scripts` and `list`"
                ));
            }
            let profile = Self {
                allow: list("allow")?,
                deny: list("deny")?.unwrap_or_default(),
                scripts: list("scripts")?.unwrap_or_default(),
                list: ListSettings::read(value.get("list"), &format!("{place}.{name}.list"))?,
            };
            profiles.insert(name.to_owned(), profile);
        }
        Ok(profiles)
    }
}

/// A name and its object.
type Member<'a> = (&'a str, &'a Map<String, Value>);

/// The members of an object of objects.
fn objects<'a>(section: Option<&'a Value>, place: &str) -> Result<Vec<Member<'a>>, String> {
    let Some(section) = section.filter(|section| !section.is_null()) else { return Ok(Vec::new()) };
    let fields = section.as_object().ok_or_else(|| format!("has a `{place}` that is not an object"))?;
    let member = |(name, value): (&'a String, &'a Value)| match value {
        Value::Object(fields) => Ok((name.as_str(), fields)),
        _ => Err(format!("has a `{place}.{}` that is not an object", aiw_core::one_line(name, 60))),
    };
    fields.iter().map(member).collect()
}

fn server_settings(name: &str, fields: &Map<String, Value>) -> Result<ServerSettings, String> {
    let name = aiw_core::one_line(name, 60);
    let flag = |key: &str, default: bool| match fields.get(key) {
        None => Ok(default),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(format!("has a `mcp.servers.{name}.{key}` that is neither true nor false")),
    };
    let seconds = |key: &str, default: Duration| match fields.get(key).map(Value::as_u64) {
        None => Ok(default),
        Some(Some(seconds @ 1..=86_400)) => Ok(Duration::from_secs(seconds)),
        Some(_) => Err(format!("has a `mcp.servers.{name}.{key}` that is not a number of seconds from 1 to 86400")),
    };
    let default = ServerSettings::default();
    Ok(ServerSettings {
        enabled: flag("enabled", default.enabled)?,
        shared: flag("shared", default.shared)?,
        timeout: seconds("timeout", default.timeout)?,
        idle: seconds("idle", default.idle)?,
    })
}

impl Settings {
    /// `mcp`
    pub fn mcp(&self) -> Result<McpSettings, HomeError> {
        self.read_mcp().map_err(|problem| HomeError::invalid(self.document.path(), problem))
    }

    fn read_mcp(&self) -> Result<McpSettings, String> {
        let servers = objects(self.document.get(&["mcp", "servers"]), "mcp.servers")?
            .into_iter()
            .map(|(name, fields)| Ok((name.to_owned(), server_settings(name, fields)?)))
            .collect::<Result<_, String>>()?;
        let profiles = ProfileSettings::read_all(self.document.get(&["mcp", "profiles"]), "mcp.profiles")?;
        let toolsets = self.document.get(&["mcp", "toolsets"]).and_then(strings);
        let scripts = match self.document.get(&["mcp", "scripts"]) {
            None => Vec::new(),
            Some(value) => strings(value).ok_or("has a `mcp.scripts` that is not a list of patterns")?,
        };
        let list = ListSettings::read(self.document.get(&["mcp", "list"]), "mcp.list")?;
        Ok(McpSettings { toolsets, servers, scripts, list, profiles })
    }

    /// Sets the tools that scripts call without asking.
    pub fn set_scripts(&mut self, patterns: &[String]) -> Result<(), HomeError> {
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
        let mut fields = Map::new();
        if let Some(allow) = &profile.allow {
            fields.insert("allow".into(), allow.clone().into());
        }
        if !profile.deny.is_empty() {
            fields.insert("deny".into(), profile.deny.clone().into());
        }
        if !profile.scripts.is_empty() {
            fields.insert("scripts".into(), profile.scripts.clone().into());
        }
        if profile.list != ListSettings::default() {
            fields.insert("list".into(), profile.list.value());
        }
        self.document.set(&path, &Value::Object(fields))
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
