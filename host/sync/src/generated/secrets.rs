//! The secrets of the vault, each sealed to the phrase. A value is in clear in no file: not in one that travels, and not in what
//! an undo keeps.

use std::collections::{BTreeMap, BTreeSet};

use aiw_core::{Secret, SecretName};
use aiw_home::{Home, Lock, VaultError};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::{GeneratedFiles, SECRETS_PATH, generated_path, read, text};
use crate::error::SyncError;
use crate::keys::StoreKeys;
use crate::place::SyncPath;
use crate::snapshot::digest;

/// Secrets of this machine alone, by the beginning of their names.
const LOCAL_SECRET_PREFIXES: [&str; 2] = ["mcp-login.", "sync-"];

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct SecretFile {
    /// The sealed values, by name.
    secrets: BTreeMap<String, String>,
}

/// Whether the values of a path are sealed.
pub(crate) fn is_encrypted(path: &SyncPath) -> bool {
    generated_path(SECRETS_PATH).as_ref() == Some(path)
}

/// The sealed values that are those of the vault, by name: the digest of each.
pub(crate) type EncryptedDigests = BTreeMap<String, String>;

/// The vault and its sealed copy.
pub(crate) struct EncryptedSecrets<'a> {
    pub(crate) home: &'a Home,
    pub(crate) keys: &'a StoreKeys,
}

impl EncryptedSecrets<'_> {
    /// Brings a change of the file into the vault, where the vault still has what the file had. What somebody set or removed
    /// meanwhile stays, and is sealed by the next push.
    pub(crate) fn apply_to_vault(
        &self,
        old: Option<&[u8]>,
        new: Option<&[u8]>,
        taken: &mut EncryptedDigests,
        lock: &Lock,
    ) -> Result<(), SyncError> {
        let (old, new) = (parsed(old), parsed(new));
        let (Some(old), Some(new)) = (old, new) else { return Ok(()) };
        let names: BTreeSet<&String> = old.secrets.keys().chain(new.secrets.keys()).collect();
        let vault = self.home.vault();
        for text in names {
            let (before, after) = (old.secrets.get(text), new.secrets.get(text));
            let Some(name) = travelling(text).filter(|_| before != after) else { continue };
            let open = |sealed: Option<&String>| sealed.map(|sealed| self.open(&name, sealed));
            let has = match vault.get(&name) {
                Ok(value) => Some(value),
                Err(VaultError::NotFound { .. }) => None,
                // Nobody knows whether it is the one of before.
                Err(_) => continue,
            };
            let is = |value: Option<&Secret>| has.as_ref().map(Secret::expose) == value.map(Secret::expose);
            let was = open(before).flatten();
            match open(after) {
                // What another phrase sealed says nothing.
                Some(None) => continue,
                Some(Some(value)) if is(Some(&value)) => {}
                Some(Some(value)) if is(was.as_ref()) => match vault.set(lock, &name, &value) {
                    // No secret is like that.
                    Err(VaultError::InvalidValue(_)) => continue,
                    set => set?,
                },
                None if has.is_some() && is(was.as_ref()) => vault.remove(lock, &name)?,
                None if has.is_none() => {}
                Some(Some(_)) | None => continue,
            }
            match after {
                Some(sealed) => drop(taken.insert(text.clone(), digest(sealed.as_bytes()))),
                None => drop(taken.remove(text)),
            }
        }
        Ok(())
    }

    /// Returns the file as it is to be, with what was set and removed in the vault since. `others` are values that other machines
    /// sealed: the same value has one text.
    pub(crate) fn encrypt_secrets(
        &self,
        taken: &mut EncryptedDigests,
        others: &[Vec<u8>],
    ) -> Result<GeneratedFiles, SyncError> {
        let before = read(self.home, SECRETS_PATH)?;
        // Nobody but a pull takes something out of it: what the vault has comes back.
        let mut file = parsed(before.as_deref()).unwrap_or_default();
        let others: Vec<SecretFile> = others.iter().filter_map(|bytes| parsed(Some(bytes))).collect();
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
        // What was removed here, and what an older phrase sealed.
        let is_gone = |text: &String, sealed: &String| {
            let is_here = names.iter().any(|own| own.as_str() == text.as_str());
            let opens = || travelling(text).is_some_and(|name| self.open(&name, sealed).is_some());
            !is_here && (taken.contains_key(text) || !opens())
        };
        let all = file.secrets.len();
        file.secrets.retain(|text, sealed| !is_gone(text, sealed));
        is_new |= file.secrets.len() != all;
        taken.retain(|text, _| names.iter().any(|own| own.as_str() == text.as_str()));
        // Also without a secret, so that an undo gives back that there was none.
        let bytes = before.filter(|_| !is_new).unwrap_or_else(|| text(&file));
        Ok(generated_path(SECRETS_PATH).zip(Some(bytes)).into_iter().collect())
    }

    /// The name is sealed with the value: a value can't be given to another name.
    fn seal(&self, name: &SecretName, value: &Secret) -> Result<String, SyncError> {
        let plain = zeroize::Zeroizing::new(format!("{name}\n{}", value.expose()));
        let sealed = self.keys.encryption_key.seal(plain.as_bytes()).map_err(SyncError::Internal)?;
        Ok(BASE64_STANDARD.encode(sealed))
    }

    fn open(&self, name: &SecretName, sealed: &str) -> Option<Secret> {
        let sealed = BASE64_STANDARD.decode(sealed).ok()?;
        let plain = zeroize::Zeroizing::new(String::from_utf8(self.keys.encryption_key.open(&sealed)?).ok()?);
        let value = plain.strip_prefix(name.as_str())?.strip_prefix('\n')?;
        Some(Secret::new(value))
    }
}

/// Reads a file; one that is not there has no secrets, and of one that can't be read nothing is known.
fn parsed(bytes: Option<&[u8]>) -> Option<SecretFile> {
    bytes.map_or(Some(SecretFile::default()), |bytes| serde_json::from_slice(bytes).ok())
}

/// Returns how many secrets a file has, and how many of them another one lacks.
pub(crate) fn count_lost_secrets(before: &[u8], now: Option<&[u8]>) -> Option<(usize, usize)> {
    let (before, now) = (parsed(Some(before))?, parsed(now).unwrap_or_default());
    let lost = before.secrets.keys().filter(|name| !now.secrets.contains_key(*name)).count();
    Some((lost, before.secrets.len()))
}

/// Returns a name if its secret may travel.
fn travelling(name: &str) -> Option<SecretName> {
    (!LOCAL_SECRET_PREFIXES.iter().any(|stays| name.starts_with(stays))).then(|| name.parse().ok()).flatten()
}
