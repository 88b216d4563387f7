//! `extensions.lock`: which components are installed, with digests and grants.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aiw_core::ExtensionId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::document::unsupported_version_message;
use crate::documents::EXTENSIONS_VERSION as VERSION;
use crate::{HomeError, Lock, Mode, read_capped, replace};

/// A third-party component: what it is, and what the user agreed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedExtension {
    /// The component's id.
    pub id: ExtensionId,
    /// Its own version.
    pub version: String,
    /// Where it came from: a path or URL; `update` reads it again.
    pub source: String,
    /// sha256 of the file, hexadecimal; checked at every load.
    pub sha256: String,
    /// The worlds that it offers.
    pub worlds: Vec<String>,
    /// A disabled component is listed but not loaded.
    pub enabled: bool,
    /// RFC 3339.
    pub added_at: String,
    /// The granted capabilities: capability → values (`hosts`, `origins`, `settings`, `imports`).
    pub grants: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct LockDocument {
    version: u64,
    #[serde(default, rename = "extension")]
    extensions: Vec<LockedExtension>,
}

/// `extensions.lock` (TOML), written only by aiw.
#[derive(Debug)]
pub struct ExtensionsLock {
    path: PathBuf,
    /// By id.
    pub extensions: BTreeMap<ExtensionId, LockedExtension>,
}

impl ExtensionsLock {
    pub(crate) fn load(path: &Path) -> Result<Self, HomeError> {
        let invalid = |problem: String| HomeError::invalid(path, problem);
        let mut lock = Self { path: path.to_owned(), extensions: BTreeMap::new() };
        let Some(file) = read_toml(path, 1 << 20, VERSION, |file: &LockDocument| file.version)? else {
            return Ok(lock);
        };
        for extension in file.extensions {
            // The digest becomes a path.
            if extension.sha256.len() != 64 || !extension.sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(invalid(format!("has a digest of `{}` that is not a sha256", extension.id)));
            }
            lock.extensions.insert(extension.id.clone(), extension);
        }
        Ok(lock)
    }

    /// Writes the file.
    pub fn save(&self, _lock: &Lock) -> Result<(), HomeError> {
        let file = LockDocument { version: VERSION, extensions: self.extensions.values().cloned().collect() };
        write_toml(&self.path, "# Written by `aiw extension`. Pins each component and what it may do.", &file)
    }
}

/// Reads a file of TOML that aiw alone writes, of at most so many bytes, in the version that this aiw supports; `None`
/// without a file.
pub(crate) fn read_toml<T: DeserializeOwned>(
    path: &Path,
    limit: u64,
    supported: u64,
    version: impl FnOnce(&T) -> u64,
) -> Result<Option<T>, HomeError> {
    let invalid = |problem: String| HomeError::invalid(path, problem);
    let Some(bytes) = read_capped(path, limit)? else { return Ok(None) };
    let text = String::from_utf8(bytes).map_err(|_| invalid("is not UTF-8".into()))?;
    let file: T = toml::from_str(&text).map_err(|e| invalid(format!("cannot be read: {}", e.message())))?;
    match version(&file) {
        version if version == supported => Ok(Some(file)),
        version => Err(invalid(unsupported_version_message(version, supported))),
    }
}

/// Writes such a file below a comment of one line.
pub(crate) fn write_toml(path: &Path, head: &str, file: &impl Serialize) -> Result<(), HomeError> {
    let text = toml::to_string_pretty(file).map_err(|e| HomeError::invalid(path, e.to_string()))?;
    replace(path, format!("{head}\n{text}").as_bytes(), Mode::Private)
}
