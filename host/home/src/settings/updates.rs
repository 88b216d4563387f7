//! `updates`: where the newest version is asked for.

use serde_json::Value;

use super::Settings;
use crate::HomeError;

/// Where the newest version is asked for: `updates`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpdateSettings {
    /// The address that `aiw update --check` asks. Nothing else asks it.
    pub url: Option<String>,
}

impl Settings {
    /// `updates`
    pub fn updates(&self) -> Result<UpdateSettings, HomeError> {
        match self.document.get(&["updates", "url"]) {
            None | Some(Value::Null) => Ok(UpdateSettings::default()),
            Some(Value::String(url)) if url.starts_with("https://") || url.starts_with("http://") => {
                Ok(UpdateSettings { url: Some(url.clone()) })
            }
            Some(_) => Err(HomeError::invalid(self.document.path(), "has an `updates.url` that is not an address")),
        }
    }
}
