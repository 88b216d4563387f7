//! `plugins/installed.json`: which plugins are installed and what they own.

use std::collections::BTreeMap;
use std::path::Path;

use aiw_core::{PluginId, Sha};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::documents::PLUGINS_VERSION as VERSION;
use crate::{Document, HomeError, Lock};

/// One server that an installed plugin brought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AddedServer {
    /// The name in the plugin's own declaration.
    pub name: String,
    /// The key in `mcp.json`.
    pub key: String,
    /// The declaration as the plugin has it, before substitution: what an update compares.
    pub declaration: Value,
    /// The value that the plugin writes under its key.
    pub written: Value,
    /// The user chose to leave it out.
    #[serde(default, skip_serializing_if = "is_false")]
    pub skipped: bool,
    /// The user had edited the entry when the plugin was disabled, so it belongs to the user.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_user_owned: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// An installed plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstalledPlugin {
    /// From plugin.json, else the entry, else the commit.
    pub version: String,
    /// The commit that it was read from; none for plain directories.
    #[serde(default)]
    pub commit: Option<Sha>,
    /// The digest of its files: the directory under `plugins/`.
    pub digest: String,
    /// RFC 3339.
    pub installed_at: String,
    /// Whether its servers are in `mcp.json`.
    pub enabled: bool,
    /// Where it came from, as one word.
    pub source: String,
    /// The servers that it added.
    pub servers: Vec<AddedServer>,
    /// The user's values for variables and options: plain text, or `${NAME}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
    /// Defaults of the plugin's options that its servers use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub defaults: BTreeMap<String, String>,
}

/// A key of `mcp.json` that plugins own.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ServerKey {
    /// Enabled plugins that own the key. When a later one goes, the earlier one gets it back.
    pub owners: Vec<PluginId>,
    /// The value that aiw wrote last. Anything else there belongs to the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<Value>,
    /// The user's own earlier entry; it comes back when the last owner goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<Value>,
}

/// `plugins.json`: what is installed and what it added.
#[derive(Debug)]
pub struct Plugins {
    document: Document,
}

impl Plugins {
    pub(crate) fn load(path: &Path) -> Result<Self, HomeError> {
        let document = Document::load(
            path,
            &format!("{{\n  \"version\": {VERSION},\n  \"plugins\": {{}},\n  \"servers\": {{}}\n}}\n"),
        )?;
        document.has_version(VERSION)?;
        Ok(Self { document })
    }

    fn map(&self, key: &str) -> Option<&Map<String, Value>> {
        self.document.get(&[key])?.as_object()
    }

    /// All installed plugins by id. A record that can't be read is an error, because it names what is in `mcp.json`.
    pub fn all(&self) -> Result<Vec<(PluginId, InstalledPlugin)>, HomeError> {
        let mut all = Vec::new();
        for (id, value) in self.map("plugins").into_iter().flatten() {
            let invalid =
                |e: String| HomeError::invalid(self.document.path(), format!("has a damaged record of `{id}`: {e}"));
            let id: PluginId = id.parse().map_err(|e: aiw_core::InvalidName| invalid(e.to_string()))?;
            let plugin: InstalledPlugin = serde_json::from_value(value.clone()).map_err(|e| invalid(e.to_string()))?;
            // The digest becomes a path.
            if plugin.digest.is_empty() || !plugin.digest.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(invalid("its digest is not hexadecimal".into()));
            }
            all.push((id, plugin));
        }
        Ok(all)
    }

    /// One plugin.
    pub fn get(&self, id: &PluginId) -> Result<Option<InstalledPlugin>, HomeError> {
        Ok(self.all()?.into_iter().find(|(known, _)| known == id).map(|(_, plugin)| plugin))
    }

    /// Records a plugin, and keeps unknown fields of its record.
    pub fn set(&mut self, id: &PluginId, plugin: &InstalledPlugin) -> Result<(), HomeError> {
        self.document.set(&["version"], &VERSION.into())?;
        let id = id.to_string();
        let value =
            serde_json::to_value(plugin).map_err(|e| HomeError::invalid(self.document.path(), e.to_string()))?;
        for (key, value) in value.as_object().into_iter().flatten() {
            self.document.set(&["plugins", &id, key], value)?;
        }
        Ok(())
    }

    /// Forgets a plugin.
    pub fn remove(&mut self, id: &PluginId) -> Result<(), HomeError> {
        self.document.remove(&["plugins", &id.to_string()]).map(drop)
    }

    /// A key of `mcp.json`; without owners if no plugin has it.
    pub fn key(&self, key: &str) -> ServerKey {
        let value = self.document.get(&["servers", key]).cloned();
        value.and_then(|v| serde_json::from_value(v).ok()).unwrap_or_default()
    }

    /// Records a key; one without owners is forgotten.
    pub fn set_key(&mut self, key: &str, state: &ServerKey) -> Result<(), HomeError> {
        if state.owners.is_empty() {
            return self.document.remove(&["servers", key]).map(drop);
        }
        let value = serde_json::to_value(state).map_err(|e| HomeError::invalid(self.document.path(), e.to_string()))?;
        self.document.set(&["servers", key], &value)
    }

    /// The document itself, for [`Home::commit`](crate::Home::commit).
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// Writes the file if something changed.
    pub fn save(&self, lock: &Lock) -> Result<(), HomeError> {
        self.document.save(lock)
    }
}
