//! Providers, as a test sees them.

use std::collections::{BTreeMap, BTreeSet};

use aiw_core::provider as host;
use serde::Serialize;

use crate::error::invalid;
use crate::{CallError, Cli, Driver};

pub use aiw_core::provider::{Health, KeyState, Model, Models, Preset, ProviderInfo, Requirement, Tuning};
pub use aiw_core::{Api, Family};

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
    pub custom_url_families: BTreeSet<Family>,
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
    pub supported_apis: Vec<Api>,
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
        self.0.component.provider()
    }

    /// Returns what the component connects to.
    pub async fn describe(&self) -> Result<ProviderInfo, CallError> {
        self.component()?.describe().await
    }

    /// Returns what to tell a CLI so that it reaches a provider.
    pub async fn plan(&self, account: &Account, target: &Target) -> Result<Intent, CallError> {
        let target = host::Target {
            cli: Some(target.cli),
            version: target.version.clone(),
            supported_apis: target.supported_apis.clone(),
            model: target.model.clone(),
        };
        Ok(intent(self.component()?.plan(&host_account(account)?, &target).await?))
    }

    /// Checks whether a provider is reachable and accepts the key, with the kit's secrets.
    pub async fn check(&self, account: &Account) -> Result<Health, CallError> {
        self.component()?.check(&host_account(account)?, &self.0.secrets).await
    }

    /// Returns the models of a provider, with the kit's secrets.
    pub async fn models(&self, account: &Account) -> Result<Vec<Model>, CallError> {
        self.component()?.models(&host_account(account)?, &self.0.secrets).await
    }
}

fn host_account(account: &Account) -> Result<host::Account, CallError> {
    Ok(host::Account {
        name: account.name.parse().map_err(invalid::<aiw_core::InvalidName>)?,
        preset: account.preset.clone(),
        base_urls: account.base_urls.clone(),
        trusted_families: account.custom_url_families.clone(),
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
    Intent {
        api: intent.api,
        auth: match intent.auth {
            host::Auth::None => Auth::None,
            host::Auth::Bearer(secret) => Auth::Bearer { secret },
            host::Auth::ApiKey(secret) => Auth::ApiKey { secret },
            host::Auth::Header { header, secret } => Auth::Header { header: header.to_string(), secret },
        },
        headers: intent.headers.into_iter().map(header).collect(),
        models: intent.models,
        tuning: intent.tuning,
        tag: intent.tag,
        notes: intent.notes,
    }
}
