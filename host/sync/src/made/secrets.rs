//! The secrets of the vault, each sealed to the phrase. A value is in clear in no file: not in one that travels, and not in what
//! an undo keeps.

use std::collections::BTreeMap;

use aiw_core::{Secret, SecretName};
use aiw_home::{Home, Lock, VaultError};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::{Made, SECRETS, path_of, read, text};
use crate::error::SyncError;
use crate::keys::StoreKeys;
use crate::place::SyncPath;
use crate::snapshot::digest;

/// Secrets of this machine alone, by the beginning of their names.
const STAY: [&str; 3] = ["mcp-login.", "mcp-token", "sync-"];

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct SecretFile {
    /// The sealed values, by name.
    secrets: BTreeMap<String, String>,
}

/// Whether the values of a path are sealed.
pub(crate) fn is_sealed(path: &SyncPath) -> bool {
    path_of(SECRETS).as_ref() == Some(path)
}

/// The sealed values that are those of the vault, by name: the digest of each.
pub(crate) type Taken = BTreeMap<String, String>;

/// The vault and its sealed copy.
pub(crate) struct SealedSecrets<'a> {
    pub(crate) home: &'a Home,
    pub(crate) keys: &'a StoreKeys,
}

impl SealedSecrets<'_> {
    fn file(&self) -> Result<Option<SecretFile>, SyncError> {
        let Some(bytes) = read(self.home, SECRETS)? else { return Ok(None) };
        // One that doesn't parse says nothing: also not that secrets are gone.
        Ok(serde_json::from_slice(&bytes).ok())
    }

    /// Brings what arrived in the file into the vault. Returns the names that changed.
    pub(crate) fn take(&self, taken: &mut Taken, lock: &Lock) -> Result<Vec<SecretName>, SyncError> {
        let Some(file) = self.file()? else { return Ok(Vec::new()) };
        let (vault, mut changed) = (self.home.vault(), Vec::new());
        for (text, sealed) in &file.secrets {
            let Some(name) = travelling(text) else { continue };
            let mark = digest(sealed.as_bytes());
            // What another phrase sealed says nothing.
            let (false, Some(value)) = (taken.get(text) == Some(&mark), self.open(&name, sealed)) else { continue };
            if !self.is_value(&name, &value) {
                match vault.set(lock, &name, &value) {
                    // No secret is like that.
                    Err(VaultError::Value(_)) => continue,
                    set => set?,
                }
                changed.push(name);
            }
            taken.insert(text.clone(), mark);
        }
        let gone: Vec<String> = taken.keys().filter(|name| !file.secrets.contains_key(*name)).cloned().collect();
        for text in gone {
            taken.remove(&text);
            let Some(name) = travelling(&text) else { continue };
            match vault.remove(lock, &name) {
                Ok(()) => changed.push(name),
                Err(VaultError::Unknown { .. }) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(changed)
    }

    /// Returns the file as it is to be, with what was set and removed in the vault since. `others` are values that other machines
    /// sealed: the same value has one text.
    pub(crate) fn sealed(&self, taken: &mut Taken, others: &[Vec<u8>]) -> Result<Made, SyncError> {
        let before = read(self.home, SECRETS)?;
        let mut file = match before.as_deref().map(serde_json::from_slice::<SecretFile>) {
            Some(Ok(file)) => file,
            Some(Err(_)) => return Ok(Made::new()),
            None => SecretFile::default(),
        };
        let others: Vec<SecretFile> = others.iter().filter_map(|bytes| serde_json::from_slice(bytes).ok()).collect();
        let names: Vec<SecretName> =
            self.home.vault().names()?.into_iter().filter(|name| travelling(name.as_str()).is_some()).collect();
        let mut is_new = before.is_none();
        for name in &names {
            // One that can't be read here says nothing.
            let Ok(value) = self.home.vault().get(name) else { continue };
            let is_it = |sealed: &&String| self.open(name, sealed).is_some_and(|own| own.expose() == value.expose());
            let own = file.secrets.get(name.as_str()).filter(is_it);
            if own.is_none() {
                let theirs = others.iter().find_map(|file| file.secrets.get(name.as_str()).filter(is_it)).cloned();
                let sealed = theirs.map_or_else(|| self.seal(name, &value), Ok)?;
                file.secrets.insert(name.as_str().to_owned(), sealed);
                is_new = true;
            }
            if let Some(sealed) = file.secrets.get(name.as_str()) {
                taken.insert(name.as_str().to_owned(), digest(sealed.as_bytes()));
            }
        }
        let gone: Vec<String> =
            taken.keys().filter(|name| names.iter().all(|own| own.as_str() != name.as_str())).cloned().collect();
        for name in gone {
            taken.remove(&name);
            is_new |= file.secrets.remove(&name).is_some();
        }
        // Also without a secret, so that an undo gives back that there was none.
        let bytes = before.filter(|_| !is_new).unwrap_or_else(|| text(&file));
        Ok(path_of(SECRETS).zip(Some(bytes)).into_iter().collect())
    }

    fn is_value(&self, name: &SecretName, value: &Secret) -> bool {
        self.home.vault().get(name).is_ok_and(|own| own.expose() == value.expose())
    }

    /// The name is sealed with the value: a value can't be given to another name.
    fn seal(&self, name: &SecretName, value: &Secret) -> Result<String, SyncError> {
        let plain = zeroize::Zeroizing::new(format!("{name}\n{}", value.expose()));
        let sealed = self.keys.seal.seal(plain.as_bytes()).map_err(SyncError::Internal)?;
        Ok(BASE64_STANDARD.encode(sealed))
    }

    fn open(&self, name: &SecretName, sealed: &str) -> Option<Secret> {
        let sealed = BASE64_STANDARD.decode(sealed).ok()?;
        let plain = zeroize::Zeroizing::new(String::from_utf8(self.keys.seal.open(&sealed)?).ok()?);
        let value = plain.strip_prefix(name.as_str())?.strip_prefix('\n')?;
        Some(Secret::new(value))
    }
}

/// Returns a name if its secret may travel.
fn travelling(name: &str) -> Option<SecretName> {
    (!STAY.iter().any(|stays| name.starts_with(stays))).then(|| name.parse().ok()).flatten()
}
