//! Pools of providers, and which of their members rest.

use aiw_core::Plan;
use aiw_gateway::{cooldowns, remove_pool_state};
use aiw_home::{Home, ProviderPool};
use aiw_providers::{PoolSummary, ProviderError, Providers};
use schemars::JsonSchema;
use serde::Serialize;

use crate::AppError;
use crate::gateways::{self, MemberCooldown};

/// `aiw pool show`
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
pub struct PoolDetails {
    /// The fields of lists
    #[serde(flatten)]
    pub pool: PoolSummary,
    /// The members that are not asked for a while
    pub cooldowns: Vec<MemberCooldown>,
}

/// Returns a pool, and which of its members rest.
pub fn show(home: &Home, providers: &Providers, name: &str) -> Result<PoolDetails, ProviderError> {
    let pool = providers.pool(name)?;
    let cooldowns = cooldowns(home, &pool.name).into_iter().map(MemberCooldown::new).collect();
    Ok(PoolDetails { pool, cooldowns })
}

/// Returns what adding a pool would change, for views that ask before.
pub fn plan(pool: &ProviderPool) -> Plan {
    let members: Vec<String> = pool.members.iter().map(ToString::to_string).collect();
    let about = vec![format!("{}: {}", pool.name, members.join(", ")), format!("strategy: {}", pool.order.as_str())];
    Plan { details: about, ..Plan::new("Add this pool?") }
}

/// Removes a pool that no gateway with a name serves.
pub fn remove(home: &Home, providers: &Providers, name: &str) -> Result<(), AppError> {
    gateways::check_not_served(home, name)?;
    providers.remove_pool(name)?;
    // What was known of it means nothing to another pool of that name.
    let _ = remove_pool_state(home, name);
    Ok(())
}

/// Lets all members of a pool be asked again.
pub fn reset(home: &Home, providers: &Providers, name: &str) -> Result<PoolSummary, AppError> {
    let pool = providers.pool(name)?;
    remove_pool_state(home, &pool.name)?;
    Ok(pool)
}
