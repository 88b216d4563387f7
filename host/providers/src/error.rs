//! What can go wrong with providers.

use aiw_core::{
    CliKind, Diagnostic, EnvName, Family, HeaderName, PromptError, ProviderName, SecretName, did_you_mean, one_line,
};
use aiw_home::{CLI_LOGIN_NAME, HomeError, ProvidersFile, VaultError};

use crate::ProviderComponentError;

/// Why a provider can't be used, added or changed. Nothing has been changed when one of these is returned.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// A file of the home.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The provider's component.
    #[error(transparent)]
    Component(#[from] ProviderComponentError),
    /// An unanswered question.
    #[error("{}", .0.to_message("nothing was changed"))]
    Prompt(#[from] PromptError),
    /// No provider has that name.
    #[error("there is no provider `{}`", one_line(.name, 80))]
    NotFound {
        /// The name.
        name: String,
        /// The existing names.
        known: Vec<String>,
    },
    /// A provider has that name already.
    #[error("provider `{name}` already exists")]
    AlreadyExists {
        /// The name.
        name: ProviderName,
    },
    /// A pool has that name already.
    #[error("there is a pool `{name}`")]
    PoolAlreadyExists {
        /// The name.
        name: ProviderName,
    },
    /// It is a pool.
    #[error("`{}` is a pool of providers", one_line(.name, 80))]
    IsPool {
        /// The name.
        name: String,
    },
    /// The request would not change the pool.
    #[error("nothing to change")]
    PoolUnchanged,
    /// No pool has that name.
    #[error("there is no pool `{}`", one_line(.name, 80))]
    UnknownPool {
        /// The name.
        name: String,
        /// The existing names.
        known: Vec<String>,
    },
    /// The members of a pool are not what they should be.
    #[error("pool `{name}` {problem}")]
    InvalidPool {
        /// The pool.
        name: ProviderName,
        /// The end of a sentence.
        problem: String,
    },
    /// The provider is a member of a pool.
    #[error("provider `{}` is a member of pool `{pool}`", one_line(.provider, 80))]
    UsedByPool {
        /// The provider.
        provider: String,
        /// The pool.
        pool: ProviderName,
    },
    /// The name means something else.
    #[error("`{CLI_LOGIN_NAME}` means the CLI's own configuration")]
    Reserved,
    /// The provider is not for that CLI, or does not speak its API.
    #[error("provider `{provider}` does not work with `{cli}`")]
    Incompatible {
        /// The provider.
        provider: String,
        /// The CLI.
        cli: CliKind,
    },
    /// The preset now points somewhere other than the user agreed to.
    #[error("the preset `{preset}` of provider `{provider}` now leads to `{now}`; you agreed to `{pinned}`")]
    UrlChanged {
        /// The provider.
        provider: String,
        /// Its preset.
        preset: String,
        /// Scheme, host and port that the user agreed to.
        pinned: String,
        /// Where it points now.
        now: String,
    },
    /// The preset gained an address since the user agreed to it, and the CLI would need it.
    #[error(
        "for `{cli}`, the preset `{preset}` of provider `{provider}` now leads to `{now}`, which you have not agreed to"
    )]
    UrlAdded {
        /// The provider.
        provider: String,
        /// Its preset.
        preset: String,
        /// The CLI.
        cli: CliKind,
        /// Scheme, host and port.
        now: String,
    },
    /// The provider's address does not answer.
    #[error("provider `{provider}` can't be reached: {source}")]
    Unreachable {
        /// The provider.
        provider: String,
        /// Why.
        source: ProviderComponentError,
    },
    /// A secret that the provider refers to is missing.
    #[error("provider `{provider}` has no secret `{secret}`: {problem}")]
    SecretNotFound {
        /// The provider.
        provider: String,
        /// The component's name for it: `token`.
        secret: String,
        /// The end of a sentence.
        problem: String,
        /// The next step.
        hint: String,
    },
    /// A secret of the provider's can't be read.
    #[error("provider `{provider}` can't be used: {source}")]
    SecretUnreadable {
        /// The provider.
        provider: String,
        /// Why.
        source: VaultError,
    },
    /// An invalid address.
    #[error("{} {problem}", name_of(.shown))]
    InvalidUrl {
        /// The address, unless it may hold a secret.
        shown: Option<String>,
        /// The end of a sentence.
        problem: String,
    },
    /// The preset has no address for an API.
    #[error("`{preset}` does not speak the API `{family}`")]
    UnsupportedApi {
        /// The preset.
        preset: String,
        /// The API's family.
        family: Family,
    },
    /// An address alone does not say which API it speaks.
    #[error("which API does `{}` speak?", one_line(.url, 120))]
    AmbiguousApi {
        /// The address.
        url: String,
    },
    /// A CLI needs an address that neither the preset nor the user gave.
    #[error("`{preset}` has no address for the API of `{cli}` ({family})")]
    MissingCliUrl {
        /// The preset.
        preset: String,
        /// The CLI.
        cli: CliKind,
        /// Its API's family.
        family: Family,
    },
    /// There is no address at all.
    #[error("`{preset}` needs an address")]
    MissingUrl {
        /// The preset.
        preset: String,
        /// The families that it speaks.
        families: Vec<Family>,
    },
    /// Not a valid model name.
    #[error("`{}` is not a valid model name", one_line(.model, 80))]
    InvalidModelName {
        /// The given text.
        model: String,
    },
    /// A secret as an argument.
    #[error("`{name}` looks like a secret, and every user of this machine can read arguments")]
    PlaintextSecretVariable {
        /// The variable.
        name: EnvName,
    },
    /// The provider has no such variable.
    #[error("provider `{provider}` has no variable `{name}`")]
    VariableNotFound {
        /// The provider.
        provider: ProviderName,
        /// The variable.
        name: EnvName,
    },
    /// A variable that programs of every kind read.
    #[error("`{name}` can't hold a token: programs of every kind read it")]
    GeneralVariable {
        /// The variable.
        name: EnvName,
    },
    /// A variable that aiw itself sets for a CLI.
    #[error("aiw itself sets `{name}` for `{cli}`")]
    ManagedVariable {
        /// The variable.
        name: EnvName,
        /// The CLI.
        cli: CliKind,
    },
    /// A header that can't be sent.
    #[error("the header `{name}` {problem}")]
    InvalidHeader {
        /// The header.
        name: HeaderName,
        /// The end of a sentence.
        problem: String,
    },
    /// A secret as an argument.
    #[error("the value of `{name}` looks like a secret, and every user of this machine can read arguments")]
    PlaintextSecretHeader {
        /// The header.
        name: HeaderName,
    },
    /// The provider has no such header.
    #[error("provider `{provider}` has no header `{name}`")]
    HeaderNotFound {
        /// The provider.
        provider: ProviderName,
        /// The header.
        name: HeaderName,
    },
    /// The provider has no such further secret.
    #[error("provider `{provider}` has no secret `{name}`")]
    UnknownSecret {
        /// The provider.
        provider: ProviderName,
        /// The secret.
        name: SecretName,
    },
    /// There was nothing to change.
    #[error("nothing to change")]
    Unchanged,
    /// Another process moved the provider while the user typed a token for the old place.
    #[error("another command changed the address of `{provider}` in the meantime")]
    ConcurrentMove {
        /// The provider.
        provider: ProviderName,
    },
    /// Another process changed the provider while the user was asked about it.
    #[error("provider `{provider}` has changed meanwhile: nothing was removed")]
    ConcurrentChange {
        /// The provider.
        provider: ProviderName,
    },
    /// The provider needs a token.
    #[error("`{preset}` needs a token, and there is no terminal to ask on")]
    NeedsToken {
        /// The preset.
        preset: String,
    },
    /// The token was given for another place.
    #[error("the token of `{provider}` is for another address, and there is no terminal to ask on")]
    NeedsNewToken {
        /// The provider.
        provider: ProviderName,
    },
    /// The user did not agree to an address.
    #[error("nothing was changed")]
    Declined,
    /// The provider speaks no API by which aiw asks a model.
    #[error("provider `{provider}` speaks neither OpenAI Chat Completions nor Anthropic Messages")]
    UnsupportedModelApi {
        /// The provider.
        provider: String,
    },
    /// No model is named.
    #[error("provider `{provider}` names no model")]
    MissingModelName {
        /// The provider.
        provider: String,
    },
    /// The provider rejects the key.
    #[error("provider `{provider}` refuses the key")]
    KeyRefused {
        /// The provider.
        provider: String,
    },
}

fn name_of(address: &Option<String>) -> String {
    address.as_ref().map_or_else(|| "the address".to_owned(), |address| format!("`{}`", one_line(address, 120)))
}

impl ProviderError {
    /// Returns the error for a name that no provider of a file has.
    pub fn not_found(file: &ProvidersFile, name: &str) -> Self {
        let known = file.providers().iter().map(|provider| provider.name.to_string()).collect();
        Self::NotFound { name: name.to_owned(), known }
    }
}

impl Diagnostic for ProviderError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(
            self,
            Home,
            Vault,
            Component,
            Prompt,
            SecretUnreadable { source },
            Unreachable { source }
        )
    }

    // Long: a row for each error.
    fn own_hint(&self) -> Option<String> {
        Some(match self {
            Self::InvalidModelName { .. }
            | Self::Declined
            | Self::Incompatible { .. }
            | Self::UnsupportedApi { .. } => {
                return None;
            }
            Self::NotFound { name, known } => {
                let meant = did_you_mean(name, known.iter().map(String::as_str), "your providers");
                meant.unwrap_or_else(|| "`aiw provider add NAME` adds one".into())
            }
            Self::AlreadyExists { name } => format!("`aiw provider edit {name}` changes it"),
            Self::PoolAlreadyExists { name } => format!("choose another name, or `aiw pool remove {name}` first"),
            Self::UnknownPool { name, known } => {
                let meant = did_you_mean(name, known.iter().map(String::as_str), "your pools");
                meant.unwrap_or_else(|| "`aiw pool add NAME PROVIDER…` adds one".into())
            }
            Self::IsPool { name } => format!("`aiw pool show {name}` shows it, and `aiw pool edit` changes it"),
            Self::PoolUnchanged => "`--member PROVIDER` names its members, `--strategy HOW` how it chooses".into(),
            Self::UsedByPool { pool, .. } => {
                format!(
                    "`aiw pool edit {pool} --member PROVIDER` names its other members, `aiw pool remove {pool}` removes it"
                )
            }
            Self::Reserved => "choose another name".into(),
            Self::MissingModelName { provider } => {
                format!("`aiw planner set --provider {provider} --model NAME` names one")
            }
            Self::UrlChanged { provider, .. } | Self::UrlAdded { provider, .. } => format!(
                "if you trust the new address, `aiw provider edit {provider} --keep-token` sends the token there; `--token-stdin` gives another"
            ),
            Self::SecretNotFound { hint, .. } => hint.clone(),
            Self::Unreachable { provider, .. } => {
                format!("`aiw provider test {provider}` tries again")
            }
            Self::AmbiguousApi { url } => {
                format!("`--base-url anthropic={url}`, `openai=…` or `gemini=…`; or name the CLIs with `--clis`")
            }
            Self::MissingCliUrl { family, .. } => {
                format!("if it speaks that API, add `--base-url {family}=URL`")
            }
            Self::MissingUrl { families, .. } => {
                let families: Vec<&str> = families.iter().map(|family| family.as_str()).collect();
                format!("`--base-url FAMILY=URL`, for one or more of {}", families.join(", "))
            }
            Self::PlaintextSecretVariable { name } => {
                format!("`--env '{name}=${{{name}}}'` takes it from the environment at each run")
            }
            Self::GeneralVariable { .. } => {
                "name a variable of its own for the token, or store it with `--token-stdin`".into()
            }
            Self::ManagedVariable { name, .. } => match name.as_str() {
                name if name.ends_with("_HEADERS") => "`--header NAME=VALUE` adds a header".into(),
                name if name.ends_with("_URL") => "`--base-url URL` sets the address".into(),
                _ => "`--token-env VAR` or `--token-stdin` gives the token".into(),
            },
            Self::InvalidHeader { problem, .. } if problem.contains("comma") => {
                "leave that CLI out with `--clis`, or send the header without a comma".into()
            }
            Self::PlaintextSecretHeader { name } => {
                format!("store it with `aiw secret set NAME`, then `--header {name}=@NAME`")
            }
            Self::VariableNotFound { provider, .. }
            | Self::UnknownSecret { provider, .. }
            | Self::HeaderNotFound { provider, .. } => {
                format!("`aiw provider show {provider}` lists what it has")
            }
            Self::Unchanged => "`aiw provider edit --help` lists what you can change".into(),
            Self::ConcurrentMove { provider } => {
                format!("look at it with `aiw provider show {provider}`, then give the token again")
            }
            Self::ConcurrentChange { provider } => format!("look at it with `aiw provider show {provider}`"),
            Self::NeedsToken { .. } => "`--token-env VAR` or `--token-stdin`".into(),
            Self::NeedsNewToken { .. } => {
                "`--token-stdin` or `--token-env VAR` gives a new one; `--keep-token` sends the old one there".into()
            }
            Self::KeyRefused { provider } => format!("`aiw provider edit {provider} --token-stdin` gives another"),
            _ => return None,
        })
    }
}
