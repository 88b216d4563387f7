//! Where the values behind references come from: the vault and the environment.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use aiw_core::{Secret, SecretName};
use aiw_home::{Home, Lock, Provider, ProvidersFile, SecretRef, VaultError};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{MANAGED_VARIABLES_ENV, ProviderError, WITHHELD_VARIABLE};

/// The secrets of a provider by the names that its component uses. All that it refers to must exist: a run never
/// starts without one.
pub fn secrets(home: &Home, provider: &Provider) -> Result<BTreeMap<String, Secret>, ProviderError> {
    provider
        .secret_refs()
        .map(|(name, reference)| Ok((name.to_owned(), resolve(home, provider, name, reference)?)))
        .collect()
}

/// Whether each secret that the provider refers to exists and can be read.
pub fn has_secrets(home: &Home, provider: &Provider) -> bool {
    provider.secret_refs().all(|(_, reference)| match reference {
        SecretRef::Vault(name) => home.vault().has(name),
        SecretRef::Variable(name) => {
            !is_withheld(home, name.as_str()) && home.context().non_empty_variable(name.as_str()).is_some()
        }
    })
}

/// One value.
pub fn resolve(home: &Home, provider: &Provider, secret: &str, reference: &SecretRef) -> Result<Secret, ProviderError> {
    let missing = |problem: String, hint: String| ProviderError::SecretNotFound {
        provider: provider.name.to_string(),
        secret: secret.to_owned(),
        problem,
        hint,
    };
    match reference {
        SecretRef::Vault(name) => home.vault().get(name).map_err(|error| match error {
            VaultError::NotFound { name } => {
                missing(format!("`{name}` is not in the vault"), format!("`aiw secret set {name}`"))
            }
            source => ProviderError::SecretUnreadable { provider: provider.name.to_string(), source },
        }),
        SecretRef::Variable(name) if is_withheld(home, name.as_str()) => Err(missing(
            format!("the variable `{name}` is withheld from this run"),
            format!("`aiw provider edit {} --token-stdin` stores the token", provider.name),
        )),
        SecretRef::Variable(name) => match home.context().variable(name.as_str()).map(OsStr::to_str) {
            Some(Some(value)) if !value.trim().is_empty() => Ok(Secret::new(value)),
            Some(Some(_)) => Err(missing(format!("the variable `{name}` is empty"), format!("set `{name}`"))),
            None => {
                let store = format!("`aiw provider edit {} --token-stdin` stores the token", provider.name);
                Err(missing(format!("the variable `{name}` is not set"), format!("set `{name}`, or {store}")))
            }
            Some(None) => {
                Err(missing(format!("the variable `{name}` is not valid UTF-8"), format!("set `{name}` again")))
            }
        },
    }
}

/// Whether an outer run under a provider did not get the variable, or got the key of its own provider in it.
fn is_withheld(home: &Home, name: &str) -> bool {
    let listed = |variable: &str| home.context().variable_str(variable).unwrap_or_default().split(',');
    let lists = |variable: &str| listed(variable).any(|listed| listed == name);
    lists(WITHHELD_VARIABLE) || lists(MANAGED_VARIABLES_ENV)
}

/// The secrets of the vault that a provider refers to.
pub(crate) fn vault_secrets(provider: &Provider) -> Vec<SecretName> {
    let names = provider.references().filter_map(|reference| match reference {
        SecretRef::Vault(name) => Some(name.clone()),
        SecretRef::Variable(_) => None,
    });
    names.collect()
}

/// Removes those secrets from the vault that no provider uses anymore.
pub(crate) fn remove_unused_secrets(
    home: &Home,
    file: &ProvidersFile,
    lock: &Lock,
    secrets: Vec<SecretName>,
) -> Result<Vec<SecretName>, ProviderError> {
    let mut gone = Vec::new();
    for secret in secrets {
        if file.providers_using(&secret).next().is_none() && home.vault().is_taken(&secret) {
            home.vault().remove(lock, &secret)?;
            gone.push(secret);
        }
    }
    Ok(gone)
}

/// A name in the vault that no other provider's secret has.
pub(crate) fn unused_secret_name(
    home: &Home,
    file: &ProvidersFile,
    provider: &Provider,
) -> Result<SecretName, aiw_core::InvalidName> {
    let wanted: SecretName = provider.name.as_str().parse()?;
    if file.providers_using(&wanted).next().is_none() && !home.vault().is_taken(&wanted) {
        return Ok(wanted);
    }
    // Don't lose one that was stored earlier, or for a removed provider of that name.
    let mut number = 2;
    loop {
        let name: SecretName = format!("{wanted}-{number}").parse()?;
        if !home.vault().is_taken(&name) {
            return Ok(name);
        }
        number += 1;
    }
}

/// A secret that was removed from the vault.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RemovedSecret {
    /// Its name
    #[schemars(with = "String")]
    pub removed: SecretName,
    /// The providers that still refer to it
    pub providers: Vec<String>,
}

/// Removes a secret from the vault.
pub fn remove_secret(home: &Home, name: &SecretName) -> Result<RemovedSecret, ProviderError> {
    let lock = home.lock()?;
    let file = home.providers()?;
    let providers: Vec<String> = file.providers_using(name).map(|provider| provider.name.to_string()).collect();
    home.vault().remove(&lock, name)?;
    Ok(RemovedSecret { removed: name.clone(), providers })
}
