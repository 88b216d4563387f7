//! `enabledPlugins`: which plugins are enabled.

use aiw_core::PluginId;
use serde_json::{Map, Value};

use super::Settings;
use crate::HomeError;

/// The entries of `enabledPlugins`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PluginSettings(Map<String, Value>);

impl PluginSettings {
    /// Returns whether a plugin is enabled. `None` if the file doesn't say.
    pub fn enabled(&self, id: &PluginId) -> Option<bool> {
        self.0.get(&id.to_string())?.as_bool()
    }
}

impl Settings {
    /// `enabledPlugins`
    pub fn plugins(&self) -> PluginSettings {
        let plugins = self.document.get(&["enabledPlugins"]).and_then(Value::as_object);
        PluginSettings(plugins.cloned().unwrap_or_default())
    }

    /// Sets or, with `None`, removes a plugin's entry in `enabledPlugins`. The others stay as they are written.
    pub fn set_plugin(&mut self, id: &PluginId, enabled: Option<bool>) -> Result<(), HomeError> {
        let id = id.to_string();
        match enabled {
            Some(enabled) => self.document.set(&["enabledPlugins", &id], &enabled.into()),
            None => self.document.remove(&["enabledPlugins", &id]).map(drop),
        }
    }
}
