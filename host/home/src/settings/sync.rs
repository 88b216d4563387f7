//! `sync`: what the remotes of configuration that travels need to be told.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::Settings;
use crate::{HomeError, entry};

/// Choices of what travels, and settings of remotes: `sync`.
#[warn(missing_docs)]
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(!default)]
pub struct SyncSettings {
    /// Rows that travel although they do on request only: rows of `aiw sync list --what`.
    #[serde(deserialize_with = "texts")]
    pub include: Vec<String>,
    /// Things that stay on this machine: rows or paths.
    #[serde(deserialize_with = "texts")]
    pub exclude: Vec<String>,
    /// Google Drive: `google`.
    #[serde(deserialize_with = "entry::object")]
    pub google: GoogleSettings,
}

/// Where Google is asked, and as which client: `sync.google`.
#[warn(missing_docs)]
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GoogleSettings {
    /// The address of logins, which may be on this machine.
    #[serde(deserialize_with = "address")]
    pub oauth_url: Option<String>,
    /// The address of Drive, which may be on this machine.
    #[serde(deserialize_with = "address")]
    pub api_url: Option<String>,
    /// The OAuth client. Each machine needs the same one.
    #[serde(deserialize_with = "client_id")]
    pub client_id: Option<String>,
}

fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::<Vec<String>>::deserialize(deserializer)?.unwrap_or_default())
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let is_address = |url: &str| url.starts_with("https://") || url.starts_with("http://");
    entry::text(deserializer, is_address, "an address")
}

fn client_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let is_id = |id: &str| (1..=200).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    entry::text(deserializer, is_id, "the id of an OAuth client")
}

impl Settings {
    /// `sync`
    pub fn sync(&self) -> Result<SyncSettings, HomeError> {
        self.section("sync")
    }

    /// Sets what is included and excluded.
    pub fn set_sync_scope(&mut self, own: &SyncSettings) -> Result<(), HomeError> {
        for (name, list) in [("include", &own.include), ("exclude", &own.exclude)] {
            match list.is_empty() {
                true => drop(self.document.remove(&["sync", name])?),
                false => self.document.set(&["sync", name], &list.iter().map(String::as_str).collect())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::Home;

    #[test]
    fn what_is_said_of_google_is_read_or_refused() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path());
        let read = |text: &str| {
            std::fs::write(home.settings_path(), text).unwrap();
            home.settings().and_then(|settings| settings.sync())
        };
        assert_eq!(read("{}").unwrap(), super::SyncSettings::default());
        let google = read(r#"{"sync": {"google": {"api_url": "http://127.0.0.1:1", "client_id": "x.apps"}}}"#).unwrap();
        assert_eq!(google.google.api_url.as_deref(), Some("http://127.0.0.1:1"));
        assert_eq!(google.google.client_id.as_deref(), Some("x.apps"));
        for (google, said) in [
            (r#"{"api_url": "ftp://x"}"#, "`sync.google.api_url`"),
            (r#"{"oauth_url": 3}"#, "`sync.google.oauth_url`"),
            (r#"{"client_id": "a b"}"#, "`sync.google.client_id`"),
            ("[]", "`sync.google`"),
        ] {
            let error = read(&format!(r#"{{"sync": {{"google": {google}}}}}"#)).unwrap_err().to_string();
            assert!(error.contains(said), "{google}: {error}");
        }
    }
}
