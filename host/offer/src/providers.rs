//! `list_providers`.

use std::sync::Arc;

use aiw_core::CliKind;
use aiw_launch::LaunchError;
use aiw_mcp::Call;
use aiw_providers::SecretState;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use crate::bounds;
use crate::context::Context;
use crate::error::CallError;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListProviders {}

#[derive(Serialize, JsonSchema)]
pub(crate) struct ProviderList {
    providers: Vec<ListedProvider>,
    /// How many more there are
    omitted: usize,
    /// Providers that can't be used, and why
    problems: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct ListedProvider {
    /// The name for start_task
    name: String,
    /// The user's purpose for it, in their words
    scenario: Option<String>,
    /// The AI CLIs that it works with
    ai_types: Vec<&'static str>,
    /// Whether runs of some AI CLI use it if none is named
    default: bool,
    /// Whether its token is there
    ready: bool,
}

/// The API providers that the user has added, and pools of them.
pub(crate) async fn list_providers(
    context: Arc<Context>,
    _: ListProviders,
    _: Call,
) -> Result<ProviderList, CallError> {
    let (shared, runtime) = (context.clone(), Handle::current());
    context.concurrency_limits.view.run(move || list(&shared, &runtime)).await
}

fn list(context: &Context, runtime: &Handle) -> Result<ProviderList, CallError> {
    let providers_of = context.client.launcher()?.providers();
    let (listed, mut problems) = runtime.block_on(providers_of.list()).map_err(LaunchError::from)?;
    let providers = listed.into_iter().map(|provider| ListedProvider {
        name: provider.name.to_string(),
        scenario: provider.scenario.map(|scenario| bounds::truncate_text(scenario, 400)),
        ai_types: provider.clis.iter().chain(&provider.gateway).map(|cli| cli.as_str()).collect(),
        default: provider.default,
        ready: provider.secret == SecretState::Set || provider.needs_none,
    });
    let (pools, unreadable) = providers_of.pools().map_err(LaunchError::from)?;
    problems.extend(unreadable);
    let pools = pools.into_iter().map(|pool| ListedProvider {
        scenario: Some(format!(
            "a pool of {}",
            pool.members.iter().map(|m| m.provider.as_str()).collect::<Vec<_>>().join(", ")
        )),
        ai_types: CliKind::ALL.iter().map(|cli| cli.as_str()).collect(),
        default: !pool.default_for.is_empty(),
        ready: pool.members.iter().any(|member| member.exists),
        name: pool.name,
    });
    problems.splice(0..0, context.client.notes());
    problems.truncate(20);
    let (providers, left_out) = bounds::truncate_list(providers.chain(pools).collect());
    Ok(ProviderList { providers, omitted: left_out, problems })
}
