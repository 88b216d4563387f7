//! Pools of providers, and which of their members rest.

use aiw_core::one_line;
use aiw_gateway::{Resting, forget_pool, resting};
use aiw_home::{Home, rfc3339};
use aiw_providers::{PoolSummary, ProviderError, Providers};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{AppError, gateways};

/// `aiw pool show`
#[derive(Debug, Serialize, JsonSchema)]
pub struct PoolDetails {
    /// The fields of lists
    #[serde(flatten)]
    pub pool: PoolSummary,
    /// The members that are not asked for a while
    pub resting: Vec<PoolRest>,
}

/// A member of a pool that is not asked for a while.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PoolRest {
    /// The provider
    pub provider: String,
    /// The model, if the provider's others are asked
    pub model: Option<String>,
    /// Until when, in RFC 3339 format
    pub until: String,
    /// What the provider said
    pub why: String,
}

impl PoolRest {
    /// What rests, as it is shown.
    pub fn of(resting: Resting) -> Self {
        let Resting { provider, model, until, why } = resting;
        Self { provider, model, until: rfc3339(until), why }
    }

    /// Returns it as a line.
    pub fn line(&self) -> String {
        let model = self.model.as_ref().map(|model| format!(" with {}", one_line(model, 80))).unwrap_or_default();
        format!("{}{model} rests until {}: {}", self.provider, self.until, one_line(&self.why, 120))
    }
}

/// Returns a pool, and which of its members rest.
pub fn show(home: &Home, providers: &Providers, name: &str) -> Result<PoolDetails, ProviderError> {
    let pool = providers.pool(name)?;
    let resting = resting(home, &pool.name).into_iter().map(PoolRest::of).collect();
    Ok(PoolDetails { pool, resting })
}

/// Removes a pool that no gateway with a name serves.
pub fn remove(home: &Home, providers: &Providers, name: &str) -> Result<(), AppError> {
    gateways::serves_none(home, name)?;
    providers.remove_pool(name)?;
    // What was known of it means nothing to another pool of that name.
    let _ = forget_pool(home, name);
    Ok(())
}

/// Lets all members of a pool be asked again.
pub fn reset(home: &Home, providers: &Providers, name: &str) -> Result<PoolSummary, AppError> {
    let pool = providers.pool(name)?;
    forget_pool(home, &pool.name)?;
    Ok(pool)
}
