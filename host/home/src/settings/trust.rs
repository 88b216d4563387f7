//! `trustedDirectories`: the projects whose files aiw uses.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Settings;
use crate::HomeError;

/// The trusted directories, each with everything below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustSettings(Vec<PathBuf>);

impl TrustSettings {
    /// Returns the directories in the file's order.
    pub fn directories(&self) -> &[PathBuf] {
        &self.0
    }

    /// Returns whether a directory is a trusted one, or below one. Links are resolved.
    pub fn covers(&self, directory: &Path) -> bool {
        let Ok(directory) = fs::canonicalize(directory) else { return false };
        self.0.iter().any(|trusted| directory.starts_with(trusted))
    }

    /// Trusts a directory. Returns whether it is new.
    pub fn add(&mut self, directory: &Path) -> bool {
        let is_new = !self.0.iter().any(|known| known == directory);
        if is_new {
            self.0.push(directory.to_owned());
        }
        is_new
    }

    /// Stops trusting a directory. Returns whether it was in the list.
    pub fn remove(&mut self, directory: &Path) -> bool {
        let before = self.0.len();
        self.0.retain(|known| known != directory);
        self.0.len() < before
    }
}

impl Settings {
    /// `trustedDirectories`
    pub fn trust(&self) -> TrustSettings {
        let list = self.document.get(&["trustedDirectories"]).and_then(Value::as_array);
        let paths = list.into_iter().flatten().filter_map(Value::as_str).map(PathBuf::from);
        TrustSettings(paths.filter(|directory| directory.is_absolute()).collect())
    }

    /// Replaces `trustedDirectories`.
    pub fn set_trust(&mut self, trust: &TrustSettings) -> Result<(), HomeError> {
        let list: Vec<Value> = trust.0.iter().map(|directory| directory.to_string_lossy().into()).collect();
        self.document.set(&["trustedDirectories"], &list.into())
    }
}
