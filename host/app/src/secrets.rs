//! Secrets of the vault: what stores, lists and removes them, and what becomes of those that nothing uses any more.

use aiw_core::{Plan, PromptError, Prompter, Reporter, Secret, SecretName, quoted};
use aiw_home::Home;
use aiw_providers::RemovedSecret;
use aiw_servers::{servers_using_secret, unused_secrets};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::AppError;

/// A secret that was stored.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SecretSet {
    /// The secret
    pub secret: StoredSecret,
}

/// A secret that was stored, and whether it is new.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StoredSecret {
    /// Its name
    #[schemars(with = "String")]
    pub name: SecretName,
    /// Whether there was none of its name
    pub new: bool,
}

/// The secrets of the vault.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SecretList {
    /// The secrets, in order
    pub secrets: Vec<SecretSummary>,
}

/// A secret, without its value.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SecretSummary {
    /// Its name
    #[schemars(with = "String")]
    pub name: SecretName,
}

/// A secret that was removed.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SecretRemove {
    /// The secret
    #[serde(flatten)]
    pub removed: RemovedSecret,
    /// The MCP servers of mcp.json that still refer to it
    pub servers: Vec<String>,
}

/// Stores a secret, or replaces the one of its name.
///
/// # Errors
///
/// Fails if the vault can't be written.
pub fn set(home: &Home, name: &SecretName, secret: &Secret) -> Result<SecretSet, AppError> {
    let (vault, lock) = (home.vault(), home.lock()?);
    let new = !vault.is_taken(name);
    vault.set(&lock, name, secret)?;
    Ok(SecretSet { secret: StoredSecret { name: name.clone(), new } })
}

/// Returns the names of all secrets.
///
/// # Errors
///
/// Fails if the vault can't be read.
pub fn list(home: &Home) -> Result<SecretList, AppError> {
    let secrets = home.vault().names()?.into_iter().map(|name| SecretSummary { name }).collect();
    Ok(SecretList { secrets })
}

/// Removes a secret, after a question if something uses it.
///
/// # Errors
///
/// Fails if the answer is no, there is no such secret, or the vault can't be written.
pub async fn remove(
    home: &Home,
    name: &SecretName,
    ask: &dyn Prompter,
    sink: &dyn Reporter,
) -> Result<SecretRemove, AppError> {
    crate::providers::migrate(home)?.iter().for_each(|note| sink.note(note.clone()));
    let servers = servers_using_secret(home, name);
    let file = home.providers()?;
    let providers = file.providers_using(name).map(|provider| format!("the provider `{}`", provider.name));
    let users: Vec<String> =
        providers.chain(servers.iter().map(|server| format!("the MCP server {}", quoted(server)))).collect();
    if !users.is_empty() {
        let mut plan = Plan::new(format!("`{name}` is used by {}. Remove it?", users.join(", ")));
        plan.add_hidden_bytes(format!("{servers:?}").as_bytes());
        ask.confirm(&plan, &[]).await?;
    }
    Ok(SecretRemove { removed: aiw_providers::remove_secret(home, name)?, servers })
}

/// Removes the secrets of declarations that are gone, and that nothing else names, if the person agrees. Else they are named.
///
/// # Errors
///
/// Fails if the vault can't be written, or the person stops.
pub async fn remove_unused_secrets(
    home: &Home,
    gone: &[Value],
    ask: &dyn Prompter,
    sink: &dyn Reporter,
) -> Result<(), AppError> {
    let unused = unused_secrets(home, gone);
    if unused.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = unused.iter().map(|name| format!("`{name}`")).collect();
    let question = format!("Nothing uses {} any more. Remove from the vault?", names.join(", "));
    match ask.confirm(&Plan::new(question), &[]).await {
        Ok(_) => {
            let lock = home.lock()?;
            Ok(unused.iter().try_for_each(|name| home.vault().remove(&lock, name))?)
        }
        Err(PromptError::Declined) => Ok(()),
        Err(PromptError::NotInteractive { .. } | PromptError::Unsupported) => {
            report_unused_secrets(home, gone, sink);
            Ok(())
        }
        Err(e) => Err(e.into()),
    }
}

/// Names the secrets of declarations that are gone, and that nothing else names.
pub fn report_unused_secrets(home: &Home, gone: &[Value], sink: &dyn Reporter) {
    for name in unused_secrets(home, gone) {
        sink.note(format!("nothing uses the secret `{name}` any more: `aiw secret remove {name}`"));
    }
}
