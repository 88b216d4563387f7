//! The changes to a provider that somebody asks for.

use std::collections::BTreeSet;

use aiw_core::{Api, CliKind, EnvName, Family, HeaderName, SecretName};
use aiw_home::{ModelRole, Provider, TextOrSecret, origin};

use crate::account::unchecked_account;
use crate::{PresetEntry, ProviderError};

/// The changes to a provider. Empty fields stay as they are.
#[derive(Debug, Clone, Default)]
pub struct ProviderChanges {
    /// The preset to start from.
    pub preset: Option<String>,
    /// Addresses, each for one API or for all APIs of the preset.
    pub base_urls: Vec<(Option<Family>, String)>,
    /// The API that its address speaks.
    pub api: Option<Api>,
    /// Whether CLIs that speak its API go through the gateway all the same.
    pub gateway: Option<bool>,
    /// The model; empty text removes it.
    pub model: Option<String>,
    /// Models for sizes and for single CLIs; empty text removes one.
    pub models: Vec<(ModelRole, String)>,
    /// The CLIs that it is for.
    pub clis: Vec<CliKind>,
    /// The user's words for its use; empty text removes them.
    pub scenario: Option<String>,
    /// Variables of its runs; `${NAME}` reads another at each run.
    pub env: Vec<(EnvName, String)>,
    /// Variables to remove.
    pub unset_env: Vec<EnvName>,
    /// Headers of its requests.
    pub headers: Vec<(HeaderName, TextOrSecret)>,
    /// Headers to remove.
    pub unset_headers: Vec<HeaderName>,
    /// Where its token comes from.
    pub token: Option<NewTokenSource>,
    /// Further secrets, each read from a variable at each run.
    pub secrets: Vec<(SecretName, EnvName)>,
    /// Further secrets to remove.
    pub unset_secrets: Vec<SecretName>,
    /// Keep its token and further secrets for another preset or address.
    pub keep_token: bool,
    /// Whether runs with other providers must not see the variables that its secrets are read from. If absent, the
    /// user is asked.
    pub scrub_env: Option<bool>,
    /// Make it the default for the CLIs that it works with.
    pub default: bool,
}

/// Where a token comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewTokenSource {
    /// A variable, read at each run.
    Variable(EnvName),
    /// It is asked for, and stored in the vault.
    Prompted,
}

/// Why a token is wanted.
#[derive(Clone, Copy)]
pub(crate) enum TokenPurpose {
    /// It has not changed.
    Unchanged,
    /// The provider is new.
    New,
    /// The provider now points elsewhere, and its secrets don't move with it.
    UrlChanged {
        /// Whether it had any secrets.
        had_one: bool,
    },
}

pub(crate) fn reject_general_variable(variable: &EnvName) -> Result<(), ProviderError> {
    match variable.is_general() {
        true => Err(ProviderError::GeneralVariable { name: variable.clone() }),
        false => Ok(()),
    }
}

/// Header names are compared without case.
pub(crate) fn is_same_header(one: &HeaderName, other: &HeaderName) -> bool {
    one.as_str().eq_ignore_ascii_case(other.as_str())
}

/// Where a provider's secrets go.
pub(crate) fn origins(provider: &Provider, known: &PresetEntry) -> BTreeSet<String> {
    unchecked_account(provider, known).base_urls.values().map(|url| origin(url)).collect()
}

/// Removes the secrets that were given for another place, and keeps those from the same command. Returns sentences
/// for the user.
pub(crate) fn drop_old_secrets(provider: &mut Provider, changes: &ProviderChanges) -> (TokenPurpose, Vec<String>) {
    let mut notes = Vec::new();
    let mut left: Vec<String> = provider.token.take().iter().map(|_| "`token`".to_owned()).collect();
    provider.secrets.retain(|name, _| {
        let given = changes.secrets.iter().any(|(given, _)| given == name);
        if !given {
            left.push(format!("`{name}`"));
        }
        given
    });
    provider.headers.retain(|(name, value)| {
        let stays = matches!(value, TextOrSecret::Literal(_))
            || changes.headers.iter().any(|(given, _)| is_same_header(given, name));
        if !stays {
            left.push(format!("header `{name}`"));
        }
        stays
    });
    if !left.is_empty() {
        notes.push(format!("secrets for the old address do not go to the new one: {}", left.join(", ")));
    }
    // Variables are for the CLI, and may serve another purpose.
    let env: Vec<String> = provider
        .env
        .iter()
        .filter(|(name, text)| {
            matches!(text, TextOrSecret::Secret(_)) && !changes.env.iter().any(|(given, _)| given == name)
        })
        .map(|(name, _)| format!("`{name}`"))
        .collect();
    if !env.is_empty() {
        notes.push(format!("its runs still get the secret variables {}", env.join(", ")));
    }
    (TokenPurpose::UrlChanged { had_one: !left.is_empty() }, notes)
}
