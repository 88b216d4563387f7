//! `registry.yaml`: which registries of MCP servers are asked; `registry.lock`: what was installed from them.

use std::collections::BTreeMap;
use std::path::Path;

use aiw_core::{ExtensionId, InvalidName, SecretName};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::documents::REGISTRY_LOCK_VERSION as VERSION;
use crate::{Document, Home, HomeError, SecretRef, TextOrSecret, read_capped, yaml};

/// The longest `registry.yaml`.
const MAX_YAML_BYTES: u64 = 64 << 10;

/// The user's settings of registries of MCP servers. aiw never writes them.
///
/// ```yaml
/// sources:
///   registry-smithery:
///     enabled: true
///     priority: 2
///     key: ${SMITHERY_API_KEY}   # or {secret: NAME}, of the vault
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistrySettings {
    /// By the id of the component.
    pub sources: BTreeMap<ExtensionId, RegistryChoice>,
}

/// The user's settings of one registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryChoice {
    /// Whether it is asked.
    pub enabled: bool,
    /// Its place among the others, in place of its own: 1 to 1000.
    pub priority: Option<u32>,
    /// The secret that it uses.
    pub key: Option<SecretRef>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegistriesFile {
    #[serde(default)]
    sources: BTreeMap<String, Option<WrittenChoice>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenChoice {
    enabled: Option<bool>,
    priority: Option<u32>,
    #[serde(alias = "api_key")]
    key: Option<Value>,
}

/// The names of aiw 0.6 for the components, which people still type.
const REGISTRY_ALIASES: [(&str, &str); 2] = [("registry", "registry-official"), ("smithery", "registry-smithery")];

/// Returns the id of the component that a name of aiw 0.6 stands for, or the name itself.
pub fn registry_id(name: &str) -> &str {
    REGISTRY_ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, id)| id)
}

impl RegistrySettings {
    pub(crate) fn load(path: &Path) -> Result<Self, HomeError> {
        let invalid = |problem: String| HomeError::invalid(path, problem);
        let Some(bytes) = read_capped(path, MAX_YAML_BYTES)? else { return Ok(Self::default()) };
        let text = String::from_utf8(bytes).map_err(|_| invalid("is not UTF-8".into()))?;
        if text.lines().all(|line| line.trim_start().is_empty() || line.trim_start().starts_with('#')) {
            return Ok(Self::default());
        }
        let file: RegistriesFile = yaml::parse(&text).map_err(|why| invalid(format!("cannot be read: {why}")))?;
        let mut sources = BTreeMap::new();
        for (name, choice) in file.sources {
            let id: ExtensionId = registry_id(&name).parse().map_err(|e: InvalidName| invalid(e.to_string()))?;
            if sources.contains_key(&id) {
                return Err(invalid(format!("names `{id}` twice")));
            }
            let WrittenChoice { enabled, priority, key } = choice.unwrap_or_default();
            if priority.is_some_and(|priority| !(1..=1000).contains(&priority)) {
                return Err(invalid(format!("has a priority of `{id}` that is not 1 to 1000")));
            }
            let reference = |value: Value| match TextOrSecret::try_from(value) {
                Ok(TextOrSecret::Secret(reference)) => Ok(reference),
                // What is neither is probably the key itself, so it is not repeated.
                _ => Err(invalid(format!(
                    "has a key of `{id}` that is not a reference: `${{VARIABLE}}`, or `{{secret: NAME}}` after `aiw secret set NAME`"
                ))),
            };
            let key = key.map(reference).transpose()?;
            sources.insert(id, RegistryChoice { enabled: enabled.unwrap_or(true), priority, key });
        }
        Ok(Self { sources })
    }
}

/// A server of `mcp.json` that came from a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstalledServer {
    /// The component that reads the registry.
    pub source: String,
    /// The name in the registry.
    pub name: String,
    /// The version in the registry.
    pub version: String,
    /// Its publisher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher: Option<String>,
    /// The sha256 of what the registry said of it.
    pub digest: String,
    /// The entry of `mcp.json` that was written. Another one there belongs to the user.
    pub written: Value,
    /// Which of the ways to run it was chosen.
    pub method: String,
    /// The answers, by the names of the questions. A secret is a reference.
    #[serde(default)]
    pub answers: BTreeMap<String, Vec<String>>,
    /// The secrets in the vault that were made for it.
    #[serde(default)]
    pub secrets: Vec<SecretName>,
    /// RFC 3339.
    pub installed_at: String,
}

/// `registry.lock` (JSON), written only by aiw. It changes together with `mcp.json`.
#[derive(Debug)]
pub struct RegistryLock(Document);

impl RegistryLock {
    pub(crate) fn load(path: &Path) -> Result<Self, HomeError> {
        let document = Document::load(path, &format!("{{\n  \"version\": {VERSION},\n  \"servers\": {{}}\n}}\n"))?;
        match document.has_version(VERSION)? {
            true => Ok(Self(document)),
            false => Err(HomeError::invalid(path, "has no `version`")),
        }
    }

    /// Returns what is recorded of a server of `mcp.json`; none if it didn't come from a registry.
    pub fn get(&self, key: &str) -> Option<InstalledServer> {
        InstalledServer::deserialize(self.0.get(&["servers", key])?).ok()
    }

    /// Returns all records, by the names of the servers in `mcp.json`.
    pub fn all(&self) -> BTreeMap<String, InstalledServer> {
        let servers = self.0.get(&["servers"]).and_then(Value::as_object);
        let records = servers.into_iter().flatten();
        records.filter_map(|(key, value)| Some((key.clone(), InstalledServer::deserialize(value).ok()?))).collect()
    }

    /// Records a server, or forgets it.
    pub fn put(&mut self, key: &str, record: Option<&InstalledServer>) -> Result<(), HomeError> {
        match record {
            Some(record) => self.0.set(&["servers", key], &json!(record)),
            None => self.0.remove(&["servers", key]).map(drop),
        }
    }

    /// Returns the document, for [`Home::commit`](crate::Home::commit).
    pub fn document(&self) -> &Document {
        &self.0
    }
}

impl Home {
    /// `registry.yaml`
    pub fn registry_settings(&self) -> Result<RegistrySettings, HomeError> {
        RegistrySettings::load(&self.root().join("registry.yaml"))
    }

    /// `registry.lock`
    pub fn registry_lock(&self) -> Result<RegistryLock, HomeError> {
        RegistryLock::load(&self.root().join("registry.lock"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Result<RegistrySettings, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("registry.yaml");
        std::fs::write(&path, text).unwrap();
        RegistrySettings::load(&path).map_err(|e| e.to_string())
    }

    #[test]
    fn sources_are_switched_ranked_and_given_keys() {
        let text = "# mine\nsources:\n  registry-official:\n  registry-smithery: {enabled: false, priority: 7}\n  \
                    acme:\n    key: ${ACME_KEY}\n  other:\n    key: {secret: other}\n";
        let sources = settings(text).unwrap().sources;
        let of = |id: &str| sources[&id.parse::<ExtensionId>().unwrap()].clone();
        assert_eq!(of("registry-official"), RegistryChoice { enabled: true, priority: None, key: None });
        assert_eq!(of("registry-smithery"), RegistryChoice { enabled: false, priority: Some(7), key: None });
        assert_eq!(of("acme").key, Some(SecretRef::Variable("ACME_KEY".parse().unwrap())));
        assert_eq!(of("other").key, Some(SecretRef::Vault("other".parse().unwrap())));
        for empty in ["", "\n# nothing\n", "sources:\n", "sources: {}\n"] {
            assert!(settings(empty).unwrap_or_else(|e| panic!("{empty}: {e}")).sources.is_empty(), "{empty}");
        }
    }

    #[test]
    fn the_file_of_aiw_0_6_is_read() {
        let text = "sources:\n  registry:\n    enabled: true\n    priority: 1\n\n  smithery:\n    enabled: true\n    \
                    priority: 2\n    api_key: \"${SMITHERY_API_KEY}\"\n";
        let sources = settings(text).unwrap().sources;
        let of = |id: &str| sources[&id.parse::<ExtensionId>().unwrap()].clone();
        assert_eq!(of("registry-official"), RegistryChoice { enabled: true, priority: Some(1), key: None });
        assert_eq!(of("registry-smithery").key, Some(SecretRef::Variable("SMITHERY_API_KEY".parse().unwrap())));
        let twice = settings("sources: {smithery: {}, registry-smithery: {}}\n").unwrap_err();
        assert!(twice.contains("names `registry-smithery` twice"), "{twice}");
    }

    #[test]
    fn a_key_is_not_repeated_and_a_mistake_is_named() {
        let said = settings("sources:\n  acme:\n    key: sk-abcdefgh12345678\n").unwrap_err();
        assert!(said.contains("key of `acme`") && !said.contains("sk-abc"), "{said}");
        for bad in ["sources: 3\n", "source: {}\n", "sources: {acme: {prio: 1}}\n", "sources: {acme: {priority: 0}}\n"]
        {
            assert!(settings(bad).is_err(), "{bad}");
        }
    }
}
