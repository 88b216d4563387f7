//! Testing whether a provider is reachable.

use futures::future::BoxFuture;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Serialize;

use aiw_core::provider::{Health, KeyState, Model};
use aiw_core::quoted;

use crate::health::record_key_state;
use crate::{ProviderComponentError, ProviderError, Providers, account, secrets};

/// A provider's answer.
#[derive(Debug)]
pub struct Tested {
    /// How long the first answer took.
    pub latency: Duration,
    /// Whether the key is valid.
    pub health: Health,
    /// The models that it offers; none if the key is refused.
    pub models: Result<Vec<Model>, ProviderComponentError>,
    /// Notes for the user, a sentence each.
    pub notes: Vec<String>,
}

/// A provider's answer, for programs.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TestSummary {
    /// The provider's name
    pub name: String,
    /// How long the first answer took
    pub latency_ms: u64,
    /// Whether the provider accepts the key
    #[schemars(with = "String", extend("enum" = ["accepted", "refused", "unknown"]))]
    pub key: KeyState,
    /// The extension's sentence about it
    pub message: String,
    /// The ids of its models, as far as it lists them
    pub models: Vec<String>,
}

impl TestSummary {
    /// Returns the result of a test.
    pub fn of(name: &str, tested: &Tested) -> Self {
        Self {
            name: name.to_owned(),
            latency_ms: u64::try_from(tested.latency.as_millis()).unwrap_or(u64::MAX),
            key: tested.health.key,
            message: tested.health.message.clone(),
            models: tested.models.iter().flatten().map(|model| model.id.clone()).collect(),
        }
    }
}

impl Providers {
    /// Asks a provider whether it is reachable, whether the key is valid, and which models it has.
    pub fn test<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Tested, ProviderError>> {
        Box::pin(async move {
            let provider = Self::get(&self.file()?, name)?;
            let known = self.find_preset(&provider).await?;
            let (account, secrets) = (account(&provider, &known)?, secrets(&self.home, &provider)?);
            let start = Instant::now();
            let health = self.components.check(&known.component, &account, &secrets).await?;
            let latency = start.elapsed();
            // What can't be written is no reason to fail a test.
            match health.key {
                KeyState::Accepted => drop(record_key_state(&self.home, name, true)),
                KeyState::Refused if provider.headers.is_empty() => drop(record_key_state(&self.home, name, false)),
                KeyState::Refused | KeyState::Unknown => {}
            }
            let models = match health.key {
                KeyState::Refused => Ok(Vec::new()),
                _ => self.components.models(&known.component, &account, &secrets).await,
            };
            let mut notes = Vec::new();
            if !provider.headers.is_empty() {
                notes.push("this test does not send the provider's own headers".to_owned());
            }
            if let (Some(model), Ok(models)) = (provider.model.as_ref().or(known.preset.model.as_ref()), &models)
                && !models.is_empty()
                && !models.iter().any(|known| known.id == *model)
            {
                notes.push(format!("note: its model {} is not among the models that it lists", quoted(model)));
            }
            Ok(Tested { latency, health, models, notes })
        })
    }
}
