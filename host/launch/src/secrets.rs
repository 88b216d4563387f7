//! Where the values behind references come from: the vault and the environment.

use std::collections::BTreeMap;
use std::env;

use aiw_core::Secret;
use aiw_home::{Home, Provider, SecretRef, VaultError};

use crate::LaunchError;

/// The secrets of a provider by the names that a component uses. Each that it refers to has to
/// be there: a run never starts silently without one.
pub fn secrets(home: &Home, provider: &Provider) -> Result<BTreeMap<String, Secret>, LaunchError> {
    provider
        .secret_refs()
        .map(|(name, reference)| Ok((name.to_owned(), look_up(home, provider, name, reference)?)))
        .collect()
}

/// Whether each secret that the provider refers to is there and opens.
pub fn has_secrets(home: &Home, provider: &Provider) -> bool {
    provider.secret_refs().all(|(_, reference)| match reference {
        SecretRef::Vault(name) => home.vault().has(name),
        SecretRef::Variable(name) => env::var_os(name.as_str()).is_some_and(|value| !value.is_empty()),
    })
}

/// One value.
pub(crate) fn look_up(
    home: &Home,
    provider: &Provider,
    secret: &str,
    reference: &SecretRef,
) -> Result<Secret, LaunchError> {
    let missing = |problem: String, hint: String| LaunchError::NoSecret {
        provider: provider.name.to_string(),
        secret: secret.to_owned(),
        problem,
        hint,
    };
    match reference {
        SecretRef::Vault(name) => home.vault().get(name).map_err(|error| match error {
            VaultError::Unknown { name } => {
                missing(format!("`{name}` is not in the vault"), format!("`aiw secret set {name}`"))
            }
            error => LaunchError::Vault { provider: provider.name.to_string(), error },
        }),
        SecretRef::Variable(name) => match env::var(name.as_str()) {
            Ok(value) if !value.trim().is_empty() => Ok(Secret::new(value)),
            Ok(_) => Err(missing(format!("the variable `{name}` is empty"), format!("set `{name}`"))),
            Err(env::VarError::NotPresent) => {
                Err(missing(format!("the variable `{name}` is not set"), format!("set `{name}`")))
            }
            Err(env::VarError::NotUnicode(_)) => {
                Err(missing(format!("the variable `{name}` is not text"), format!("set `{name}` anew")))
            }
        },
    }
}
