//! Writing a server to `mcp.json`, with the secrets that it names.

use std::collections::BTreeSet;

use aiw_core::{
    Diagnostic, ErrorKind, InvalidName, PluginId, Secret, SecretName, is_secret_token, quoted, quoted_list,
};
use aiw_home::{Home, HomeError, InstalledServer, VaultError};
use serde_json::Value;

use crate::{McpFile, is_reserved_name, referenced_names, sanitize_name, secret_reference};

/// Why a server can't be written.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// A file of the home.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A secret can't be stored.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A plugin owns the name.
    #[error("the plugin `{plugin}` has a server `{name}`")]
    OwnedByPlugin {
        /// The server.
        name: String,
        /// The plugin.
        plugin: PluginId,
    },
    /// The name is a key, and names are shown everywhere.
    #[error("the name looks like a key, and names are shown everywhere")]
    NameIsSecret,
    /// The name isn't one that every client can use.
    #[error("`{name}` can't be the name of a server: it is not made of letters, digits, `_` and `-` alone")]
    UnsafeName {
        /// The name.
        name: String,
    },
    /// There is no such secret.
    #[error("there is no secret `{name}` in the vault")]
    SecretNotFound {
        /// The secret.
        name: SecretName,
    },
    /// A secret's name is invalid.
    #[error(transparent)]
    InvalidSecretName(#[from] InvalidName),
    /// The name stands for what aiw itself offers.
    #[error("`{name}` can't be the name of a server: it is aiw's own")]
    ReservedName {
        /// The name.
        name: String,
    },
    /// There is another server of that name.
    #[error("there is a server `{name}` already")]
    AlreadyExists {
        /// The server.
        name: String,
    },
    /// A text holds no entry.
    #[error("{problem}")]
    EntryNotFound {
        /// The problem, as a sentence.
        problem: String,
    },
    /// A text has several entries, and none of this name.
    #[error("the JSON has no server {}: it has {}", quoted(.name), quoted_list(.names))]
    NoMatchingEntry {
        /// The name.
        name: String,
        /// The names that it has.
        names: Vec<String>,
    },
}

impl Diagnostic for AddError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(self, Home, Vault)
    }

    fn own_kind(&self) -> ErrorKind {
        match self {
            Self::NameIsSecret
            | Self::UnsafeName { .. }
            | Self::ReservedName { .. }
            | Self::EntryNotFound { .. }
            | Self::NoMatchingEntry { .. } => ErrorKind::Usage,
            Self::SecretNotFound { .. }
            | Self::InvalidSecretName(_)
            | Self::OwnedByPlugin { .. }
            | Self::AlreadyExists { .. } => ErrorKind::User,
            _ => ErrorKind::User,
        }
    }

    fn own_hint(&self) -> Option<String> {
        match self {
            Self::NameIsSecret => Some("give the name first, the key with `--env` or `--header`".into()),
            Self::UnsafeName { name } => Some(format!("for example `{}`", sanitize_name(name))),
            Self::SecretNotFound { name } => Some(format!("`aiw secret set {name}` stores it")),
            Self::NoMatchingEntry { .. } => Some("without a name, all of them are added".into()),
            Self::ReservedName { name } => Some(format!("for example `{}`", sanitize_name(name))),
            Self::OwnedByPlugin { .. } => Some("choose another name".into()),
            Self::AlreadyExists { .. } => Some("choose another name, or replace it with `--force`".into()),
            _ => None,
        }
    }
}

/// Fails if no server can have this name.
pub fn check_name(name: &str) -> Result<(), AddError> {
    match () {
        () if is_secret_token(name) => Err(AddError::NameIsSecret),
        () if is_reserved_name(name) => Err(AddError::ReservedName { name: name.to_owned() }),
        () if sanitize_name(name) != name => Err(AddError::UnsafeName { name: name.to_owned() }),
        () => Ok(()),
    }
}

/// Returns a value as it is written in an entry: `@NAME` stands for a secret of the vault.
pub fn entry_value(value: &str, home: &Home) -> Result<String, AddError> {
    let Some(name) = value.strip_prefix('@') else { return Ok(value.to_owned()) };
    let name: SecretName = name.parse()?;
    match home.vault().is_taken(&name) {
        true => Ok(secret_reference(&name)),
        false => Err(AddError::SecretNotFound { name }),
    }
}

/// The servers of `mcp.json` that refer to a secret. A file that can't be read refers to none.
pub fn servers_using_secret(home: &Home, secret: &SecretName) -> Vec<String> {
    let Ok(file) = McpFile::load(home) else { return Vec::new() };
    let refers =
        |declaration: &Value| declaration.as_object().is_some_and(|d| referenced_names(d).secrets.contains(secret));
    file.servers().filter(|(_, declaration)| refers(declaration)).map(|(key, _)| key.to_owned()).collect()
}

/// Returns the secrets of declarations that are gone, which nothing else names. A file that can't be read may name them all.
pub fn unused_secrets(home: &Home, gone: &[Value]) -> Vec<SecretName> {
    let (Ok(providers), Ok(_)) = (home.providers(), McpFile::load(home)) else { return Vec::new() };
    let Ok(plugins) = home.plugins().and_then(|plugins| plugins.all()) else { return Vec::new() };
    // Those of a plugin that is disabled stand in its record alone.
    let kept: BTreeSet<String> = plugins.into_iter().flat_map(|(_, plugin)| plugin.values.into_values()).collect();
    let named: BTreeSet<SecretName> =
        gone.iter().filter_map(Value::as_object).flat_map(|d| referenced_names(d).secrets).collect();
    let vault = home.vault();
    let is_unused = |name: &SecretName| {
        vault.is_taken(name)
            && servers_using_secret(home, name).is_empty()
            && providers.providers_using(name).next().is_none()
            && !kept.contains(&secret_reference(name))
    };
    named.into_iter().filter(is_unused).collect()
}

/// Fails if a server can't have this name.
pub fn check_name_available(
    home: &Home,
    file: &McpFile,
    name: &str,
    declaration: Option<&Value>,
) -> Result<(), AddError> {
    if is_reserved_name(name) {
        return Err(AddError::ReservedName { name: name.to_owned() });
    }
    let Some(known) = file.get(name) else { return Ok(()) };
    if let Some(plugin) = home.plugins()?.key(name).owners.last() {
        return Err(AddError::OwnedByPlugin { name: name.to_owned(), plugin: plugin.clone() });
    }
    match declaration == Some(known) {
        true => Ok(()),
        false => Err(AddError::AlreadyExists { name: name.to_owned() }),
    }
}

/// Writes a server's declaration and its secrets, and where it came from: all or nothing. Without `installed` it no longer
/// comes from a registry, if it did. Returns the declaration that it replaces.
///
/// # Errors
///
/// Fails if the name is taken by what may not be replaced, or it can't be written.
pub fn add(
    home: &Home,
    name: &str,
    declaration: &Value,
    secrets: &[(SecretName, Secret)],
    installed: Option<&InstalledServer>,
    may_replace: impl FnOnce(&Value) -> bool,
) -> Result<Option<Value>, AddError> {
    let lock = home.lock()?;
    let (mut file, mut record) = (McpFile::load(home)?, home.registry_lock()?);
    record.put(name, installed)?;
    let known = file.get(name).cloned();
    match check_name_available(home, &file, name, Some(declaration)) {
        Err(AddError::AlreadyExists { .. }) if known.as_ref().is_some_and(may_replace) => {}
        result => result?,
    }
    let vault = home.vault();
    file.put(name, Some(declaration))?;
    let names: Vec<SecretName> = secrets.iter().map(|(name, _)| name.clone()).collect();
    home.record_pending_secrets(&lock, &home.mcp_path(), &names)?;
    secrets.iter().try_for_each(|(name, secret)| vault.set(&lock, name, secret))?;
    home.commit(&lock, &[file.document(), record.document()])?;
    home.clear_pending_secrets(&lock, &names);
    home.sweep_bundles(&lock);
    Ok(known)
}
