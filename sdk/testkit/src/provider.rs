//! Providers, as a test sees them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use aiw_core::provider as host;
use serde::Serialize;

use crate::words::{Word, words};
use crate::{CallError, Cli, Driver};

words! {
    /// A family of APIs with one address.
    #[derive(PartialOrd, Ord)]
    Family = aiw_core::Family {
        /// Anthropic Messages.
        Anthropic,
        /// OpenAI Responses and Chat Completions.
        Openai,
        /// The Gemini API.
        Gemini,
    }
}

words! {
    /// An API for requests to models.
    Api = aiw_core::Api {
        /// Anthropic Messages.
        Messages,
        /// OpenAI Responses.
        Responses,
        /// OpenAI Chat Completions.
        ChatCompletions,
        /// The Gemini API.
        GenerateContent,
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.into_host().fmt(f)
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.into_host().fmt(f)
    }
}

words! {
    /// Whether something is required.
    Need = host::Need {
        /// Required.
        Required,
        /// Optional.
        Optional,
        /// There is none.
        Never,
    }
}

words! {
    /// Whether a key is valid.
    KeyState = host::KeyState {
        /// Valid.
        Accepted,
        /// Not valid.
        Refused,
        /// The answer does not tell.
        Unknown,
    }
}

/// What a component connects to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProviderInfo {
    /// In a few words: `Anthropic`.
    pub label: String,
    /// The presets that it knows.
    pub presets: Vec<Preset>,
}

/// A provider that a component knows by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Preset {
    /// The value of `--preset`.
    pub id: String,
    /// A few words for people.
    pub label: String,
    /// The addresses by family. The user must give one that is `None`.
    pub base_urls: BTreeMap<Family, Option<String>>,
    /// Whether it takes a token (the secret `token`).
    pub token: Need,
    /// The page where users get tokens.
    pub token_page: Option<String>,
    /// The model if the user names none.
    pub model: Option<String>,
}

/// A provider as the user configured it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// The preset that it is based on.
    pub preset: String,
    /// Its addresses.
    pub base_urls: BTreeMap<Family, String>,
    /// The families whose address the user typed: these may be on this machine or a private network.
    pub typed: BTreeSet<Family>,
    /// Its model.
    pub model: Option<String>,
    /// The names of its secrets; the usual one is `token`.
    pub secrets: BTreeSet<String>,
}

/// The AI CLI to plan for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The CLI.
    pub cli: Cli,
    /// Its version.
    pub version: Option<String>,
    /// The APIs that it speaks, the preferred one first.
    pub speaks: Vec<Api>,
    /// The model for this run.
    pub model: Option<String>,
}

/// What to tell a CLI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Intent {
    /// The API that the CLI is to use.
    pub api: Api,
    /// How the CLI authenticates.
    pub auth: Auth,
    /// Headers that each request carries.
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Auth {
    /// No credentials are sent.
    None,
    /// `authorization: Bearer SECRET`
    Bearer {
        /// The secret.
        secret: String,
    },
    /// In the header that the API's maker uses.
    ApiKey {
        /// The secret.
        secret: String,
    },
    /// In a header of another name.
    Header {
        /// The header.
        header: String,
        /// The secret.
        secret: String,
    },
}

/// A header that each request carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value.
    #[serde(flatten)]
    pub value: Value,
}

/// Text, or a secret that the host inserts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// Text.
    Literal {
        /// The text.
        value: String,
    },
    /// A secret of the account.
    Secret {
        /// Its name.
        secret: String,
        /// The text before it.
        prefix: String,
    },
}

/// The names of models by size.
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

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Whether the key is valid.
    pub key: KeyState,
    /// One sentence.
    pub message: String,
}

/// A model that a provider offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Model {
    /// The name that a CLI takes.
    pub id: String,
    /// A few words for people.
    pub label: Option<String>,
}

/// A driven component as a provider. If it is none, each call says so.
pub struct Provider<'d>(&'d Driver);

impl Driver {
    /// Returns the component as a provider.
    pub fn provider(&self) -> Provider<'_> {
        Provider(self)
    }
}

impl Provider<'_> {
    fn component(&self) -> Result<aiw_wasm::Provider<'_>, CallError> {
        Ok(self.0.component.provider()?)
    }

    /// Returns what the component connects to.
    pub async fn describe(&self) -> Result<ProviderInfo, CallError> {
        let info = self.component()?.describe().await?;
        let preset = |preset: host::Preset| Preset {
            id: preset.id,
            label: preset.label,
            base_urls: preset.base_urls.into_iter().map(|(family, url)| (Family::of(family), url)).collect(),
            token: Need::of(preset.token),
            token_page: preset.token_page,
            model: preset.model,
        };
        Ok(ProviderInfo { label: info.label, presets: info.presets.into_iter().map(preset).collect() })
    }

    /// Returns what to tell a CLI so that it reaches a provider.
    pub async fn plan(&self, account: &Account, target: &Target) -> Result<Intent, CallError> {
        let target = host::Target {
            cli: Some(target.cli.into_host()),
            version: target.version.clone(),
            speaks: target.speaks.iter().map(|api| api.into_host()).collect(),
            model: target.model.clone(),
        };
        Ok(intent(self.component()?.plan(&host_account(account)?, &target).await?))
    }

    /// Checks whether a provider is reachable and accepts the key, with the kit's secrets.
    pub async fn check(&self, account: &Account) -> Result<Health, CallError> {
        let health = self.component()?.check(&host_account(account)?, &self.0.secrets).await?;
        Ok(Health { key: KeyState::of(health.key), message: health.message })
    }

    /// Returns the models of a provider, with the kit's secrets.
    pub async fn models(&self, account: &Account) -> Result<Vec<Model>, CallError> {
        let models = self.component()?.models(&host_account(account)?, &self.0.secrets).await?;
        Ok(models.into_iter().map(|model| Model { id: model.id, label: model.label }).collect())
    }
}

fn host_account(account: &Account) -> Result<host::Account, CallError> {
    Ok(host::Account {
        name: account.name.parse().map_err(CallError::invalid::<aiw_core::InvalidName>)?,
        preset: account.preset.clone(),
        base_urls: account.base_urls.iter().map(|(family, url)| (family.into_host(), url.clone())).collect(),
        granted: account.typed.iter().map(|family| family.into_host()).collect(),
        model: account.model.clone(),
        secrets: account.secrets.clone(),
    })
}

fn intent(intent: host::Intent) -> Intent {
    let header = |header: host::Header| Header {
        name: header.name.to_string(),
        value: match header.value {
            host::Value::Literal(value) => Value::Literal { value },
            host::Value::Secret { name: secret, prefix } => Value::Secret { secret, prefix },
        },
    };
    let (models, tuning) = (intent.models, intent.tuning);
    Intent {
        api: Api::of(intent.api),
        auth: match intent.auth {
            host::Auth::None => Auth::None,
            host::Auth::Bearer(secret) => Auth::Bearer { secret },
            host::Auth::ApiKey(secret) => Auth::ApiKey { secret },
            host::Auth::Header { header, secret } => Auth::Header { header: header.to_string(), secret },
        },
        headers: intent.headers.into_iter().map(header).collect(),
        models: Models { main: models.main, large: models.large, medium: models.medium, small: models.small },
        tuning: Tuning {
            context_tokens: tuning.context_tokens,
            output_tokens: tuning.output_tokens,
            timeout_seconds: tuning.timeout_seconds,
            no_betas: tuning.no_betas,
            no_prompt_caching: tuning.no_prompt_caching,
            no_tool_search: tuning.no_tool_search,
        },
        tag: intent.tag,
        notes: intent.notes,
    }
}
