//! The user's API providers across versions of aiw.

use aiw_home::{Home, HomeError, Provider, VaultError};
use aiw_providers::{Providers, RemovedProvider};

use crate::{AppError, gateways};

/// Removes a provider that no gateway with a name serves, and the secrets that only it uses.
pub fn remove(home: &Home, providers: &Providers, name: &str) -> Result<RemovedProvider, AppError> {
    gateways::check_not_served(home, name)?;
    Ok(providers.remove(name)?)
}

/// Removes a provider as [`remove`] does, unless it has changed since it was seen.
pub fn remove_if_unchanged(home: &Home, providers: &Providers, seen: &Provider) -> Result<RemovedProvider, AppError> {
    gateways::check_not_served(home, seen.name.as_str())?;
    Ok(providers.remove_if_unchanged(seen)?)
}

/// Brings a `providers.json` of aiw 0.6 up to date. Returns what the user should know of it.
pub fn migrate(home: &Home) -> Result<Vec<String>, VaultError> {
    if !matches!(home.providers(), Err(HomeError::LegacyProviders { .. })) {
        return Ok(Vec::new());
    }
    let Some(done) = home.migrate_providers()? else { return Ok(Vec::new()) };
    let mut notes = vec![format!(
        "providers.json of aiw 0.6 is brought up to date: {} providers, {} secrets moved to the vault; the old file is `{}`, encrypted",
        done.providers.len(),
        done.secrets.len(),
        done.backup.display()
    )];
    notes.extend(done.skipped);
    Ok(notes)
}
