//! Providers and presets for display.

use futures::future::BoxFuture;
use std::collections::BTreeMap;

use aiw_core::provider::{Preset, Requirement};
use aiw_core::{CliKind, ExtensionId, Family, ProviderName};
use aiw_home::{Provider, ProvidersFile, SecretRef, TextOrSecret};
use schemars::JsonSchema;
use serde::Serialize;

use crate::health::{HealthRecords, ProviderHealth, health_key, load_health_records};
use crate::secrets::has_secrets;
use crate::{PresetEntry, ProviderComponentError, ProviderError, Providers, unchecked_account};

/// A provider in a list.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ProviderSummary {
    /// Its name
    #[schemars(with = "String")]
    pub name: ProviderName,
    /// The preset that it starts from
    pub preset: String,
    /// Its addresses by API family: `anthropic`, `openai`, `gemini`
    #[schemars(with = "BTreeMap<String, String>")]
    pub base_urls: BTreeMap<Family, String>,
    /// The CLIs that speak its API
    #[schemars(with = "Vec<String>")]
    pub clis: Vec<CliKind>,
    /// The CLIs that reach it through aiw's gateway, which translates
    #[schemars(with = "Vec<String>")]
    pub gateway: Vec<CliKind>,
    /// Whether it is the default for one of them
    pub default: bool,
    /// Whether its secrets are there
    pub secret: SecretState,
    /// Its last check. Absent if none was made, or providers are not checked from time to time
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<ProviderHealth>,
    /// The user's words for its use.
    #[serde(skip)]
    pub scenario: Option<String>,
    /// The missing variable, if one would supply what its runs need.
    #[serde(skip)]
    pub missing_variable: Option<String>,
    /// Whether the preset takes no token, or none is needed.
    #[serde(skip)]
    pub needs_none: bool,
}

/// Whether a provider's secrets are there.
#[warn(missing_docs)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(with = "String", extend("enum" = ["set", "missing"]))]
pub enum SecretState {
    /// All of them exist.
    Set,
    /// One is missing, or a token that its preset takes was never given.
    Missing,
}

/// A provider with everything about it; no secret.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProviderDetails {
    /// The fields of lists.
    #[serde(flatten)]
    pub summary: ProviderSummary,
    /// The preset's label.
    #[serde(skip)]
    pub label: String,
    /// Whether CLIs that speak its API go through aiw's gateway all the same, which keeps its key
    pub via_gateway: bool,
    /// The model for its runs
    pub model: Option<String>,
    /// Its models by size (`large`, `medium`, `small`), and the main one for single CLIs
    pub models: BTreeMap<String, String>,
    /// Your words for its use
    pub scenario: Option<String>,
    /// The extension that knows the preset
    #[schemars(with = "Option<String>")]
    pub component: Option<ExtensionId>,
    /// The CLIs that it is the default for
    #[schemars(with = "Vec<String>")]
    pub default_for: Vec<CliKind>,
    /// The names of the variables for its runs
    pub env: Vec<String>,
    /// The names of the headers of its requests
    pub headers: Vec<String>,
    /// The variables that runs with other providers don't get
    pub scrub_env: Vec<String>,
    /// The names of its secrets
    pub secrets: Vec<String>,
    /// Where each secret comes from.
    #[serde(skip)]
    pub references: Vec<(String, SecretRef)>,
    /// The variables with their values.
    #[serde(skip)]
    pub variables: Vec<(String, RedactedVariable)>,
    /// The headers with their values.
    #[serde(skip)]
    pub header_values: Vec<(String, RedactedVariable)>,
}

/// The value of a variable, in a form that may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedactedVariable {
    /// As it stands.
    Plain(String),
    /// The value looks like a secret that someone wrote there by hand.
    SuspectedSecret,
    /// A reference.
    Reference(SecretRef),
}

/// A preset that a provider can be added from.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PresetSummary {
    /// The value for `--preset`
    pub id: String,
    /// Its name for people
    pub label: String,
    /// The extension that knows it
    #[schemars(with = "String")]
    pub component: ExtensionId,
    /// Its addresses by API family; null if you give the address
    #[schemars(with = "BTreeMap<String, Option<String>>")]
    pub base_urls: BTreeMap<Family, Option<String>>,
    /// The CLIs that it fits
    #[schemars(with = "Vec<String>")]
    pub clis: Vec<CliKind>,
    /// The CLIs that reach it through aiw's gateway, which translates
    #[schemars(with = "Vec<String>")]
    pub gateway: Vec<CliKind>,
    /// Whether it takes a token
    #[schemars(with = "String", extend("enum" = ["required", "optional", "never"]))]
    pub token: Requirement,
    /// The page where you get a token
    pub token_page: Option<String>,
    /// The model for runs without one
    pub model: Option<String>,
}

impl Providers {
    /// All providers in the file's order, and one sentence for each that can't be read or whose preset no longer
    /// exists.
    pub async fn list(&self) -> Result<(Vec<ProviderSummary>, Vec<String>), ProviderError> {
        let file = self.file()?;
        let (mut summaries, mut problems) = (Vec::new(), Vec::new());
        let kept =
            |every: Option<u32>| every.map_or_else(|| Ok(HealthRecords::new()), |_| load_health_records(&self.home));
        let mut book = match self.home.settings().and_then(|settings| kept(settings.health()?.every)) {
            Ok(book) => book,
            Err(error) => {
                problems.push(format!("no provider is checked from time to time: {error}"));
                HealthRecords::new()
            }
        };
        for provider in file.providers() {
            let known = self.find_preset(provider).await;
            if let Err(error) = &known {
                problems.push(format!("provider `{}`: {error}", provider.name));
            }
            let health = book.remove(health_key(provider));
            summaries.push(ProviderSummary { health, ..self.summary(&file, provider, known.as_ref().ok()) });
        }
        for bad in file.problems() {
            let name = aiw_core::one_line(&bad.name, 60);
            problems.push(format!("provider `{name}` in providers.json {}", bad.problem));
        }
        Ok((summaries, problems))
    }

    /// Everything about one provider.
    pub fn show<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<ProviderDetails, ProviderError>> {
        Box::pin(async move {
            let file = self.file()?;
            let provider = Self::get(&file, name)?;
            let known = self.find_preset(&provider).await?;
            fn variable(name: &str, text: &TextOrSecret) -> (String, RedactedVariable) {
                let value = match text {
                    TextOrSecret::Literal(text) if aiw_core::is_secret(name, text) => RedactedVariable::SuspectedSecret,
                    TextOrSecret::Literal(text) => RedactedVariable::Plain(text.clone()),
                    TextOrSecret::Secret(reference) => RedactedVariable::Reference(reference.clone()),
                };
                (name.to_owned(), value)
            }
            let references = provider.secret_refs().map(|(name, reference)| (name.to_owned(), reference.clone()));
            let is_default = |cli: &CliKind| file.default_for(*cli) == Some(provider.name.as_str());
            Ok(ProviderDetails {
                summary: self.summary(&file, &provider, Some(&known)),
                label: known.preset.label,
                via_gateway: provider.gateway,
                models: provider.models.iter().map(|(of, model)| (of.to_string(), model.clone())).collect(),
                model: provider.model.clone(),
                scenario: provider.scenario.clone(),
                component: provider.component.clone(),
                default_for: self.clis.all().filter(is_default).collect(),
                env: provider.env.iter().map(|(name, _)| name.to_string()).collect(),
                secrets: provider.secret_refs().map(|(name, _)| name.to_owned()).collect(),
                references: references.collect(),
                variables: provider.env.iter().map(|(name, text)| variable(name.as_str(), text)).collect(),
                headers: provider.headers.iter().map(|(name, _)| name.to_string()).collect(),
                scrub_env: crate::keys::scrubbed_variables(&provider).iter().map(ToString::to_string).collect(),
                header_values: provider.headers.iter().map(|(name, text)| variable(name.as_str(), text)).collect(),
            })
        })
    }

    /// All presets, and the components that don't answer.
    pub async fn presets(&self) -> Result<(Vec<PresetSummary>, Vec<ProviderComponentError>), ProviderError> {
        let (presets, problems) = self.components.presets().await?;
        let summary = |PresetEntry { component, preset, .. }: PresetEntry| PresetSummary {
            clis: self.clis.clis_for_preset(&preset),
            gateway: self.clis.gateway_clis_for_preset(&preset),
            id: preset.id,
            label: preset.label,
            component,
            base_urls: preset.base_urls,
            token: preset.token,
            token_page: preset.token_page,
            model: preset.model,
        };
        Ok((presets.into_iter().map(summary).collect(), problems))
    }

    pub(crate) fn summary(
        &self,
        file: &ProvidersFile,
        provider: &Provider,
        known: Option<&PresetEntry>,
    ) -> ProviderSummary {
        let name = provider.name.as_str();
        let has_none = provider.token.is_none() && provider.secrets.is_empty();
        let takes_one = |preset: &Preset| preset.token != Requirement::Never;
        let lacks = has_none && known.is_some_and(|known| takes_one(&known.preset));
        let set = !lacks && has_secrets(&self.home, provider);
        let unset = provider.secret_refs().find_map(|(_, reference)| match reference {
            SecretRef::Variable(name) if self.home.context().non_empty_variable(name.as_str()).is_none() => {
                Some(name.to_string())
            }
            _ => None,
        });
        ProviderSummary {
            name: provider.name.clone(),
            preset: provider.preset.clone(),
            base_urls: known
                .map_or_else(|| provider.base_urls.clone(), |known| unchecked_account(provider, known).base_urls),
            gateway: known.map(|known| self.clis.gateway_clis(provider, &known.preset)).unwrap_or_default(),
            clis: match known {
                Some(known) => self.clis.direct_clis(provider, &known.preset),
                None => provider.clis.clone().unwrap_or_default(),
            },
            default: self.clis.all().any(|cli| file.default_for(cli) == Some(name)),
            secret: if set { SecretState::Set } else { SecretState::Missing },
            health: None,
            scenario: provider.scenario.clone(),
            missing_variable: unset,
            needs_none: has_none && known.is_some_and(|known| known.preset.token != Requirement::Required),
        }
    }
}
