//! Providers as a component and the rooms above it speak of them; the contract's own words are
//! in `wit/`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::{CliKind, EnvName, Family, ProviderName};

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
    /// The APIs that it speaks and where; without an address, the user has to give it.
    pub base_urls: BTreeMap<Family, Option<String>>,
    /// Whether it takes a token (the secret `token`).
    pub token: Need,
    /// The page that hands out tokens.
    pub token_page: Option<String>,
    /// The model where the user names none.
    pub model: Option<String>,
}

impl Preset {
    /// The CLIs that fit: those whose API it speaks.
    pub fn clis(&self) -> Vec<CliKind> {
        CliKind::ALL.into_iter().filter(|cli| self.base_urls.contains_key(&cli.family())).collect()
    }
}

/// Whether something has to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
pub struct Profile {
    /// Its name.
    pub name: ProviderName,
    /// The preset that it was made of.
    pub preset: String,
    /// Where it is: the user's, else the preset's; no `/` at the end.
    pub base_urls: BTreeMap<Family, String>,
    /// The user's, else the preset's.
    pub model: Option<String>,
    /// Names of the secrets that it has; the usual one is `token`.
    pub secrets: BTreeSet<String>,
}

/// What a plan is wanted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CliTarget {
    /// The CLI.
    pub cli: CliKind,
    /// As its files tell it.
    pub version: Option<String>,
    /// The model for this run; else the profile's counts.
    pub model: Option<String>,
}

/// What a CLI is started with, beside what the user asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Environment variables; an empty value keeps others from filling it in.
    pub set: Vec<Variable>,
    /// Environment variables that it must not see.
    pub unset: Vec<EnvName>,
    /// Before the user's own.
    pub arguments: Vec<String>,
    /// Files of settings beside the user's own.
    pub overlays: Vec<Overlay>,
    /// A word that the task keeps.
    pub tag: Option<String>,
    /// Sentences for the user, before the start.
    pub notes: Vec<String>,
}

/// An environment variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: EnvName,
    /// Its value.
    pub value: Value,
}

/// Text, or a secret of the profile that is put in at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// As it is.
    Literal(String),
    /// A secret that the profile has.
    Secret {
        /// Its name.
        name: String,
        /// What stands before it.
        prefix: String,
    },
}

/// A JSON file of settings that the CLI reads beside the user's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlay {
    /// How the CLI is told of it.
    pub passed: Passing,
    /// A file whose content, if it is there, is kept beneath ours.
    pub beneath: Option<PathBuf>,
    /// What it holds; no path twice, none within another.
    pub entries: Vec<Entry>,
}

/// How a CLI is told where a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passing {
    /// After this argument.
    Argument(String),
    /// In this variable.
    Variable(EnvName),
}

/// One value of an overlay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Keys from the root; at least one.
    pub path: Vec<String>,
    /// A string.
    pub value: Value,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
