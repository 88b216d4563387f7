//! Provider types shared by components and the rooms above them. The contract's own types are in `wit/`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{Api, CliKind, Family, HeaderName, ProviderName};

/// The description of a component for providers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProviderInfo {
    /// In a few words: `Anthropic`.
    pub label: String,
    /// The presets that it knows; each id once.
    pub presets: Vec<Preset>,
}

/// A provider that a component knows by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Preset {
    /// 1 to 64 of `a-z 0-9 -`, starting with a letter.
    pub id: String,
    /// A human-readable label.
    pub label: String,
    /// Its addresses by family. If one is missing, the user must give it.
    pub base_urls: BTreeMap<Family, Option<String>>,
    /// Whether it takes a token (the secret `token`).
    pub token: Requirement,
    /// The page where you get tokens.
    pub token_page: Option<String>,
    /// The model if the user names none.
    pub model: Option<String>,
}

/// Whether something is required.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Requirement {
    /// Required.
    Required,
    /// Optional.
    Optional,
    /// There is none.
    Never,
}

/// A provider as the user configured it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: ProviderName,
    /// The preset that it is based on.
    pub preset: String,
    /// Its addresses: the user's, else the preset's; without a trailing `/`.
    pub base_urls: BTreeMap<Family, String>,
    /// The families whose address the user typed or aiw itself knows: these may be on this machine or a private
    /// network. All others must be public.
    pub trusted_families: BTreeSet<Family>,
    /// The user's, else the preset's.
    pub model: Option<String>,
    /// Names of the secrets that it has; the usual one is `token`.
    pub secrets: BTreeSet<String>,
}

/// The user of the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The AI CLI; none for aiw itself, which components see as a CLI of another name.
    pub cli: Option<CliKind>,
    /// Its version, read from its files.
    pub version: Option<String>,
    /// The APIs that it speaks, the preferred one first.
    pub supported_apis: Vec<Api>,
    /// The model for this run; if none, the account's applies.
    pub model: Option<String>,
}

/// An intent: the API, the credentials and the models for a CLI. The CLI's own module decides how to pass them on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// An API that the CLI speaks and for whose family the account has an address.
    pub api: Api,
    /// How the CLI authenticates.
    pub auth: Auth,
    /// Headers that each request carries; each name once.
    pub headers: Vec<Header>,
    /// The names of models by size.
    pub models: Models,
    /// Limits, and what the server does not support.
    pub tuning: Tuning,
    /// A tag that the task keeps.
    pub tag: Option<String>,
    /// Sentences for the user, before the start.
    pub notes: Vec<String>,
}

/// How a CLI authenticates; secrets by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// No credentials are sent.
    None,
    /// `authorization: Bearer SECRET`
    Bearer(String),
    /// In the header that the API's maker uses.
    ApiKey(String),
    /// In a header of another name.
    Header {
        /// The header.
        header: HeaderName,
        /// The secret.
        secret: String,
    },
}

impl Auth {
    /// The name of the secret.
    pub fn secret(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::Bearer(secret) | Self::ApiKey(secret) | Self::Header { secret, .. } => Some(secret),
        }
    }
}

/// A header that each request carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Its name; not one that carries credentials or frames the message.
    pub name: HeaderName,
    /// Its value: visible ASCII and blanks.
    pub value: Value,
}

/// Text, or a secret of the account that is inserted when the CLI starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// As it is.
    Literal(String),
    /// A secret that the account has.
    Secret {
        /// Its name.
        name: String,
        /// The text before it.
        prefix: String,
    },
}

/// The names of models by size. If one is missing, `main` is used.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Models {
    /// The main model.
    pub main: Option<String>,
    /// For hard work.
    pub large: Option<String>,
    /// For everyday work.
    pub medium: Option<String>,
    /// For small, quick work.
    pub small: Option<String>,
}

/// Limits, and what the server does not support.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Tuning {
    /// The most tokens that the model reads.
    pub context_tokens: Option<u32>,
    /// The most tokens that it writes in one answer.
    pub output_tokens: Option<u32>,
    /// How long the CLI waits for an answer.
    pub timeout_seconds: Option<u32>,
    /// The server does not support experimental features of the API.
    pub no_betas: bool,
    /// The server does not support prompt caching.
    pub no_prompt_caching: bool,
    /// The server does not support tools that are looked up instead of sent.
    pub no_tool_search: bool,
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Whether the key is valid.
    pub key: KeyState,
    /// One sentence.
    pub message: String,
}

/// Whether a key is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// The server accepts the key.
    Accepted,
    /// The server refuses the key.
    Refused,
    /// Unknown.
    Unknown,
}

/// A model that a provider offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Model {
    /// The name that a CLI takes.
    pub id: String,
    /// A human-readable label.
    pub label: Option<String>,
}
