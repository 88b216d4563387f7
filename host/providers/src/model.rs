//! How aiw itself asks a provider's model.

use futures::future::BoxFuture;
use std::collections::BTreeMap;

use aiw_core::provider::{Account, Auth, Header, Intent, Models, Target, Tuning, Value};
use aiw_core::{Api, CliKind, Secret};
use aiw_home::{ModelRole, Provider, TextOrSecret};

use crate::{ProviderError, Providers, account, resolve, secrets};

/// Where a provider's model is asked, and with what.
#[derive(Debug, Clone)]
pub struct ModelEndpoint {
    /// The API that it speaks.
    pub api: Api,
    /// The provider's address for that API.
    pub url: String,
    /// Whether the user typed the address, or aiw itself knows it: then it may be on this machine.
    pub is_granted: bool,
    /// Its models by size.
    pub models: Models,
    /// The known limits of the models.
    pub tuning: Tuning,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// Headers that are secrets.
    pub secrets: Vec<(String, Secret)>,
}

impl Providers {
    /// Returns how a provider's model is asked, through one of these APIs, the preferred one first: by its component's
    /// intent, as an AI CLI would be told.
    pub fn model_endpoint<'a>(
        &'a self,
        name: &'a str,
        cli: Option<CliKind>,
        speaks: &'a [Api],
        model: Option<&'a str>,
    ) -> BoxFuture<'a, Result<ModelEndpoint, ProviderError>> {
        Box::pin(async move {
            let provider = Self::get(&self.file()?, name)?;
            let known = self.find_preset(&provider).await?;
            let (account, secrets) = (account(&provider, &known)?, secrets(&self.home, &provider)?);
            let no_api = || ProviderError::UnsupportedModelApi { provider: name.to_owned() };
            if !speaks.iter().any(|api| account.base_urls.contains_key(&api.family())) {
                return Err(no_api());
            }
            let only: Vec<Api> = speaks.iter().copied().filter(|api| provider.supports_api(*api)).collect();
            let target = Target { cli, version: None, supported_apis: only, model: model.map(str::to_owned) };
            let mut intent = self.components.plan(&known.component, &account, &target).await?;
            apply_model_overrides(&provider, cli, model, &mut intent);
            self.build_endpoint(&provider, &account, &intent, &secrets).await
        })
    }

    /// Returns how what a component intends is done by aiw itself.
    pub fn build_endpoint<'a>(
        &'a self,
        provider: &'a Provider,
        account: &'a Account,
        intent: &'a Intent,
        secrets: &'a BTreeMap<String, Secret>,
    ) -> BoxFuture<'a, Result<ModelEndpoint, ProviderError>> {
        Box::pin(async move {
            let url = account.base_urls.get(&intent.api.family());
            let no_api = || ProviderError::UnsupportedModelApi { provider: provider.name.to_string() };
            let url = url.ok_or_else(no_api)?.clone();
            let is_granted = account.trusted_families.contains(&intent.api.family());
            if !is_granted {
                self.components.check_address(&url).await?;
            }
            let (mut headers, mut hidden) = (Vec::new(), Vec::new());
            let secret = |name: &str| secrets.get(name).cloned().ok_or_else(|| no_secret(provider.name.as_str(), name));
            for (header, text) in &provider.headers {
                match text {
                    TextOrSecret::Literal(value) => headers.push((header.to_string(), value.clone())),
                    TextOrSecret::Secret(reference) => {
                        hidden.push((header.to_string(), resolve(&self.home, provider, header.as_str(), reference)?));
                    }
                }
            }
            for Header { name, value } in &intent.headers {
                match value {
                    Value::Literal(value) => headers.push((name.to_string(), value.clone())),
                    Value::Secret { name: wanted, prefix } => {
                        let value = format!("{prefix}{}", secret(wanted)?.expose());
                        hidden.push((name.to_string(), Secret::new(value)));
                    }
                }
            }
            if let Some((header, prefix, wanted)) = credentials(intent) {
                hidden.push((header, Secret::new(format!("{prefix}{}", secret(wanted)?.expose()))));
            }
            let (api, tuning) = (intent.api, intent.tuning);
            let mut models = intent.models.clone();
            models.main = models.main.or_else(|| account.model.clone());
            Ok(ModelEndpoint { api, url, is_granted, models, tuning, headers, secrets: hidden })
        })
    }
}

/// Puts the models that the user named for sizes and CLIs in place of those that a component intends. `asked` is the
/// model of this run alone, which stays the main one.
pub fn apply_model_overrides(provider: &Provider, cli: Option<CliKind>, asked: Option<&str>, intent: &mut Intent) {
    let named = |of: ModelRole| provider.models.get(&of).cloned();
    if let Some(main) = cli.and_then(|cli| named(ModelRole::Cli(cli))).filter(|_| asked.is_none()) {
        intent.models.main = Some(main);
    }
    let models = &mut intent.models;
    for (of, model) in [
        (ModelRole::Large, &mut models.large),
        (ModelRole::Medium, &mut models.medium),
        (ModelRole::Small, &mut models.small),
    ] {
        if let Some(own) = named(of) {
            *model = Some(own);
        }
    }
}

/// The header with which an intent authenticates, what stands before the secret, and the secret's name.
fn credentials(intent: &Intent) -> Option<(String, &'static str, &str)> {
    let bearer = |secret| Some(("authorization".to_owned(), "Bearer ", secret));
    match &intent.auth {
        Auth::None => None,
        Auth::ApiKey(secret) if intent.api == Api::Messages => Some(("x-api-key".to_owned(), "", secret.as_str())),
        Auth::ApiKey(secret) if intent.api == Api::GenerateContent => {
            Some(("x-goog-api-key".to_owned(), "", secret.as_str()))
        }
        Auth::Bearer(secret) | Auth::ApiKey(secret) => bearer(secret.as_str()),
        Auth::Header { header, secret } => Some((header.to_string(), "", secret.as_str())),
    }
}

fn no_secret(provider: &str, secret: &str) -> ProviderError {
    ProviderError::SecretNotFound {
        provider: provider.to_owned(),
        secret: secret.to_owned(),
        problem: "you have not given it one".into(),
        hint: format!("`aiw provider edit {provider} --token-stdin`"),
    }
}
