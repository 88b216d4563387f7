//! Providers as a component and the rooms above it speak of them; the contract's own words are
//! in `wit/`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{Api, CliKind, Family, HeaderName, ProviderName};

/// What a component can speak to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderInfo {
    /// In a few words: `Anthropic`.
    pub label: String,
    /// Those that it knows by name; each id once.
    pub presets: Vec<Preset>,
}

/// A provider that is known by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preset {
    /// 1 to 64 of `a-z 0-9 -`, the first a letter.
    pub id: String,
    /// For people.
    pub label: String,
    /// Where it is, by family; without an address, the user has to give it.
    pub base_urls: BTreeMap<Family, Option<String>>,
    /// Whether it takes a token (the secret `token`).
    pub token: Need,
    /// The page that hands out tokens.
    pub token_page: Option<String>,
    /// The model where the user names none.
    pub model: Option<String>,
}

/// Whether something has to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Need {
    /// It does not work without.
    Required,
    /// It works either way.
    Optional,
    /// There is none.
    Never,
}

/// A provider as the user configured it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: ProviderName,
    /// The preset that it was made of.
    pub preset: String,
    /// Where it is: the user's, else the preset's; no `/` at the end.
    pub base_urls: BTreeMap<Family, String>,
    /// The families whose address the user typed, or aiw itself knows: it may be on this machine or in a
    /// private network. The others' must be public.
    pub granted: BTreeSet<Family>,
    /// The user's, else the preset's.
    pub model: Option<String>,
    /// Names of the secrets that it has; the usual one is `token`.
    pub secrets: BTreeSet<String>,
}

/// The AI CLI that a plan is wanted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The CLI.
    pub cli: CliKind,
    /// As its files tell it.
    pub version: Option<String>,
    /// The APIs that it speaks, the preferred one first.
    pub speaks: Vec<Api>,
    /// The model for this run; else the account's counts.
    pub model: Option<String>,
}

/// What a CLI should be told. How it is told so is the business of the CLI's own module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// One that the CLI speaks, and for whose family the account has an address.
    pub api: Api,
    /// How the CLI proves who it is.
    pub auth: Auth,
    /// Headers that each request carries; each name once.
    pub headers: Vec<Header>,
    /// The names of models by size.
    pub models: Models,
    /// Limits, and what the far end does not understand.
    pub tuning: Tuning,
    /// A word that the task keeps.
    pub tag: Option<String>,
    /// Sentences for the user, before the start.
    pub notes: Vec<String>,
}

/// How a CLI proves who it is; secrets by name.
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

/// Text, or a secret of the account that is put in at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// As it is.
    Literal(String),
    /// A secret that the account has.
    Secret {
        /// Its name.
        name: String,
        /// What stands before it.
        prefix: String,
    },
}

/// The names of models by size; each that is missing is `main`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Models {
    /// The one that does the work.
    pub main: Option<String>,
    /// For hard work.
    pub large: Option<String>,
    /// For everyday work.
    pub medium: Option<String>,
    /// For small, quick work.
    pub small: Option<String>,
}

/// Limits, and what the far end does not understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tuning {
    /// The most tokens that the model reads.
    pub context_tokens: Option<u32>,
    /// The most tokens that it writes in one answer.
    pub output_tokens: Option<u32>,
    /// How long the CLI waits for an answer.
    pub timeout_seconds: Option<u32>,
    /// The far end does not know experimental features of the API.
    pub no_betas: bool,
    /// It does not know prompt caching.
    pub no_prompt_caching: bool,
    /// It does not know tools that are looked up instead of sent.
    pub no_tool_search: bool,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Whether the key is good.
    pub key: KeyState,
    /// One sentence.
    pub message: String,
}

/// Whether a key is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// It is.
    Accepted,
    /// It is not.
    Refused,
    /// It could not be told.
    Unknown,
}

/// A model that a provider offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// What a CLI takes.
    pub id: String,
    /// For people.
    pub label: Option<String>,
}
