//! Testing whether a provider is reachable.

use std::time::{Duration, Instant};

use aiw_core::provider::{Health, KeyState, Model};

use crate::{AdapterError, ProviderError, Providers, account, secrets};

/// What a provider answered.
#[derive(Debug)]
pub struct Tested {
    /// How long the first answer took.
    pub latency: Duration,
    /// Whether the key is valid.
    pub health: Health,
    /// The models that it offers; none if the key is refused.
    pub models: Result<Vec<Model>, AdapterError>,
}

impl Providers {
    /// Asks a provider whether it is reachable, whether the key is valid, and which models it has.
    pub async fn test(&self, name: &str) -> Result<Tested, ProviderError> {
        let provider = Self::get(&self.file()?, name)?;
        let known = self.preset_of(&provider).await?;
        let (account, secrets) = (account(&provider, &known)?, secrets(&self.home, &provider)?);
        let start = Instant::now();
        let health = self.adapters.check(&known.component, &account, &secrets).await?;
        let latency = start.elapsed();
        let models = match health.key {
            KeyState::Refused => Ok(Vec::new()),
            _ => self.adapters.models(&known.component, &account, &secrets).await,
        };
        Ok(Tested { latency, health, models })
    }
}
