//! Writing a server to `mcp.json`, with the secrets that it names.

use aiw_core::{ErrorKind, PluginId, Secret, SecretName};
use aiw_home::{Document, Home, HomeError, Lock, VaultError};
use serde_json::Value;

use crate::{McpFile, is_own_name};

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
    OfPlugin {
        /// The server.
        name: String,
        /// The plugin.
        plugin: PluginId,
    },
    /// The name stands for what aiw itself offers.
    #[error("`{name}` can't be the name of a server: it is aiw's own")]
    Own {
        /// The name.
        name: String,
    },
    /// There is another server of that name.
    #[error("there is a server `{name}` already")]
    Taken {
        /// The server.
        name: String,
    },
}

impl AddError {
    /// The kind, for the exit code.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Home(e) => e.kind(),
            Self::Vault(e) => e.kind(),
            Self::Own { .. } | Self::OfPlugin { .. } | Self::Taken { .. } => ErrorKind::User,
        }
    }

    /// Returns the next step, if there is just one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Home(e) => e.hint(),
            Self::Vault(e) => e.hint(),
            Self::Own { .. } | Self::OfPlugin { .. } => Some("choose another name".into()),
            Self::Taken { .. } => Some("choose another name, or replace it with `--force`".into()),
        }
    }
}

/// Fails if a server can't have this name.
pub fn check_free(home: &Home, file: &McpFile, name: &str, declaration: Option<&Value>) -> Result<(), AddError> {
    if is_own_name(name) {
        return Err(AddError::Own { name: name.to_owned() });
    }
    let Some(known) = file.get(name) else { return Ok(()) };
    if let Some(plugin) = home.plugins()?.key(name).owners.last() {
        return Err(AddError::OfPlugin { name: name.to_owned(), plugin: plugin.clone() });
    }
    match declaration == Some(known) {
        true => Ok(()),
        false => Err(AddError::Taken { name: name.to_owned() }),
    }
}

/// Writes a server's declaration and its secrets, and returns the one that it replaces. `also` is written with it: all or
/// nothing.
pub fn add(
    home: &Home,
    lock: &Lock,
    name: &str,
    declaration: &Value,
    secrets: &[(SecretName, Secret)],
    force: bool,
    also: &[&Document],
) -> Result<Option<Value>, AddError> {
    let mut file = McpFile::load(home)?;
    match check_free(home, &file, name, Some(declaration)) {
        Err(AddError::Taken { .. }) if force => {}
        result => result?,
    }
    let known = file.get(name).cloned();
    let vault = home.vault();
    file.put(name, Some(declaration))?;
    let names: Vec<SecretName> = secrets.iter().map(|(name, _)| name.clone()).collect();
    home.note_pending(lock, &home.mcp_path(), &names)?;
    secrets.iter().try_for_each(|(name, secret)| vault.set(lock, name, secret))?;
    let documents: Vec<&Document> = std::iter::once(file.document()).chain(also.iter().copied()).collect();
    home.commit(lock, &documents)?;
    home.forget_pending(lock, &names);
    Ok(known)
}
