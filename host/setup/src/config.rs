//! A client's file, whatever its format.

use aiw_home::{ConfigTree, Jsonc, Toml};
use serde_json::{Map, Value};

/// The format of a client's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConfigFormat {
    /// JSON, perhaps with comments.
    Json,
    /// TOML.
    Toml,
}

/// A client's file, parsed.
#[derive(Debug, Clone)]
pub(crate) enum Config {
    Json(Jsonc),
    Toml(Toml),
}

impl Config {
    /// Parses a file. The error is the end of a sentence about it.
    pub(crate) fn parse(format: ConfigFormat, bytes: &[u8]) -> Result<Self, String> {
        match format {
            ConfigFormat::Json => Jsonc::parse(bytes).map(Self::Json),
            ConfigFormat::Toml => Toml::parse(bytes).map(Self::Toml),
        }
    }

    /// The servers under a key. The error is the end of a sentence about the file.
    pub(crate) fn servers(&self, key: &str) -> Result<Map<String, Value>, String> {
        let servers = match self {
            Self::Json(json) => json.get(&[key]).cloned(),
            Self::Toml(toml) => toml.tree().get(&[key]).map(ConfigTree::to_json),
        };
        match servers {
            None => Ok(Map::new()),
            Some(Value::Object(servers)) => Ok(servers),
            Some(_) => Err(format!("has a `{key}` that is not an object")),
        }
    }

    /// Puts a server under a key.
    pub(crate) fn set(&mut self, key: &str, name: &str, entry: &Map<String, Value>) -> Result<(), String> {
        match self {
            Self::Toml(toml) => {
                let entry = ConfigTree::from(&Value::Object(entry.clone()));
                if toml.tree().get(&[key, name]) != Some(&entry) {
                    // As a section of its own, whatever it was.
                    let mut other = toml.clone();
                    other.remove(&[key, name])?;
                    other.set_tree(&[key, name], &entry)?;
                    *toml = other;
                }
                Ok(())
            }
            Self::Json(json) => match json.get(&[key, name]) {
                // Field by field, so that comments within it stay.
                Some(Value::Object(old)) => {
                    let gone: Vec<String> = old.keys().filter(|field| !entry.contains_key(*field)).cloned().collect();
                    for field in gone {
                        json.remove(&[key, name, &field])?;
                    }
                    entry.iter().try_for_each(|(field, value)| json.set(&[key, name, field], value))
                }
                _ => json.set(&[key, name], &Value::Object(entry.clone())),
            },
        }
    }

    /// Takes a server out; returns whether it was there.
    pub(crate) fn remove(&mut self, key: &str, name: &str) -> Result<bool, String> {
        match self {
            Self::Toml(toml) => toml.remove(&[key, name]),
            Self::Json(json) => json.remove(&[key, name]),
        }
    }

    /// Removes the servers' object where nothing is in it.
    pub(crate) fn remove_empty(&mut self, key: &str) -> Result<(), String> {
        match self {
            Self::Json(json) if json.get(&[key]) == Some(&Value::Object(Map::new())) => json.remove(&[key]).map(drop),
            _ => Ok(()),
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Json(json) => json.text().into_bytes(),
            Self::Toml(toml) => toml.text().into_bytes(),
        }
    }
}
