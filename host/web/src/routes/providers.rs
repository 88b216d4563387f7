//! API providers, pools, budgets, and what was used.

use std::collections::BTreeMap;

use aiw_app::accounts::{self, UsageReport};
use aiw_app::budgets::{self, BudgetList, BudgetSet};
use aiw_app::pools::{self, PoolDetails};
use aiw_core::{Api, CliKind, Family, Prompter, ProviderName};
use aiw_home::{Budget, BudgetLimit, BudgetPeriod, PoolMember, PoolStrategy, ProviderPool};
use aiw_providers::{
    NewTokenSource, PoolSummary, PresetSummary, ProviderChanges, ProviderDetails, ProviderSummary, Providers,
    RemovedProvider, TestSummary,
};
use aiw_usage::GroupBy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::{ApiCall, ApiError, ApiResult, ApiRoute, Empty, MessagesResponse};

pub(super) fn routes() -> Vec<ApiRoute> {
    vec![
        ApiRoute::get("/providers", "aiw provider list", list),
        ApiRoute::post("/providers", "aiw provider add", add),
        ApiRoute::get("/presets", "aiw provider presets", presets),
        ApiRoute::get("/providers/{name}", "aiw provider show", show),
        ApiRoute::delete("/providers/{name}", "aiw provider remove", remove),
        ApiRoute::post("/providers/{name}/test", "aiw provider test", test),
        ApiRoute::post("/providers/{name}/default", "aiw provider default", default),
        ApiRoute::post("/providers/{name}/key", "aiw provider edit --token-stdin", key),
        ApiRoute::get("/pools", "aiw pool list", pool_list),
        ApiRoute::post("/pools", "aiw pool add", add_pool),
        ApiRoute::get("/pools/{name}", "aiw pool show", pool),
        ApiRoute::delete("/pools/{name}", "aiw pool remove", remove_pool),
        ApiRoute::post("/pools/{name}/reset", "aiw pool reset", reset_pool),
        ApiRoute::get("/budgets", "aiw budget list", budget_list),
        ApiRoute::post("/budgets", "aiw budget set", set_budget),
        ApiRoute::delete("/budgets/{name}", "aiw budget remove", remove_budget),
        ApiRoute::get("/usage", "aiw usage", usage).with_query_params(&["by", "since"]),
    ]
}

fn verbs(call: &ApiCall) -> ApiResult<Providers> {
    Ok(call.client.providers()?)
}

/// The providers
#[derive(Debug, Serialize, JsonSchema)]
struct ProviderListResponse {
    /// The providers
    providers: Vec<ProviderSummary>,
    /// The problems of others
    problems: Vec<String>,
}

fn list(call: &ApiCall) -> ApiResult<ProviderListResponse> {
    let (providers, mut problems) = call.block_on(verbs(call)?.list())?;
    problems.extend(call.client.notes());
    Ok(ProviderListResponse { providers, problems })
}

/// The presets of providers
#[derive(Debug, Serialize, JsonSchema)]
struct PresetListResponse {
    /// The presets
    presets: Vec<PresetSummary>,
}

fn presets(call: &ApiCall) -> ApiResult<PresetListResponse> {
    Ok(PresetListResponse { presets: call.block_on(verbs(call)?.presets())?.0 })
}

/// A new provider: what is not said is asked
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AddProviderRequest {
    /// Its name
    name: Option<String>,
    /// The preset that it follows
    preset: Option<String>,
    /// The model that is asked for
    model: Option<String>,
    /// Its address, for presets without one of their own, or in place of it
    address: Option<String>,
    /// The API family that the address is for: `anthropic`, `openai` or `gemini`; all of the preset if absent
    family: Option<String>,
    /// The API that the address speaks: `messages`, `responses`, `chat-completions` or `generate-content`
    api: Option<String>,
    /// The CLIs that it is for; all that it fits if there are none
    #[serde(default)]
    clis: Vec<String>,
    /// Its purpose, in the user's words
    scenario: Option<String>,
    /// Whether CLIs that speak its API go through the gateway all the same
    #[serde(default)]
    gateway: bool,
    /// Whether it becomes the default for the CLIs that it works with
    #[serde(default)]
    default: bool,
}

impl AddProviderRequest {
    fn changes(self) -> ApiResult<ProviderChanges> {
        let family = self.family.map(|word| word.parse::<Family>()).transpose().map_err(malformed)?;
        let clis = self.clis.iter().map(|word| word.parse::<CliKind>()).collect::<Result<_, _>>().map_err(malformed)?;
        Ok(ProviderChanges {
            preset: self.preset,
            base_urls: self.address.into_iter().map(|address| (family, address)).collect(),
            api: self.api.map(|word| word.parse::<Api>()).transpose().map_err(malformed)?,
            gateway: self.gateway.then_some(true),
            model: self.model,
            clis,
            scenario: self.scenario,
            default: self.default,
            ..ProviderChanges::default()
        })
    }
}

fn provider_name(name: &str) -> ApiResult<ProviderName> {
    name.parse().map_err(|e| ApiError::Malformed(format!("{e}")))
}

fn add(call: &ApiCall, new: AddProviderRequest) -> ApiResult<MessagesResponse> {
    let name = new.name.as_deref().map(provider_name).transpose()?;
    let changes = new.changes()?;
    let added = call.block_on(verbs(call)?.add(name, &changes, &call.prompter, &call.prompter))?;
    let mut done = vec![format!("added {}", added.provider.name)];
    done.extend(added.notes);
    Ok(MessagesResponse { done })
}

fn show(call: &ApiCall) -> ApiResult<ProviderDetails> {
    call.block_on(verbs(call)?.show(call.id()))
}

fn remove(call: &ApiCall) -> ApiResult<RemovedProvider> {
    Ok(aiw_app::providers::remove(call.home(), &verbs(call)?, call.id())?)
}

fn test(call: &ApiCall, _: Empty) -> ApiResult<TestSummary> {
    Ok(TestSummary::of(call.id(), &call.block_on(verbs(call)?.test(call.id()))?))
}

/// The provider of each AI CLI
#[derive(Debug, Serialize, JsonSchema)]
struct DefaultProvidersResponse {
    /// The provider of each, or null: its own configuration
    #[schemars(with = "BTreeMap<String, Option<String>>")]
    default: BTreeMap<CliKind, Option<String>>,
}

fn default(call: &ApiCall, _: Empty) -> ApiResult<DefaultProvidersResponse> {
    let verbs = verbs(call)?;
    call.block_on(verbs.set_default(call.id(), &[]))?;
    Ok(DefaultProvidersResponse { default: verbs.defaults()? })
}

fn key(call: &ApiCall, _: Empty) -> ApiResult<MessagesResponse> {
    let changes = ProviderChanges { token: Some(NewTokenSource::Prompted), ..ProviderChanges::default() };
    let name = provider_name(call.id())?;
    let changed = call.block_on(verbs(call)?.edit(&name, &changes, &call.prompter))?;
    let mut done = vec![format!("{name} has another key")];
    done.extend(changed.notes);
    Ok(MessagesResponse { done })
}

/// The pools
#[derive(Debug, Serialize, JsonSchema)]
struct PoolListResponse {
    /// The pools
    pools: Vec<PoolSummary>,
    /// The problems of others
    problems: Vec<String>,
}

fn pool_list(call: &ApiCall) -> ApiResult<PoolListResponse> {
    let (pools, problems) = verbs(call)?.pools()?;
    Ok(PoolListResponse { pools, problems })
}

fn pool(call: &ApiCall) -> ApiResult<PoolDetails> {
    Ok(pools::show(call.home(), &verbs(call)?, call.id())?)
}

/// A new pool
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AddPoolRequest {
    /// Its name, which no provider has
    name: String,
    /// Its members, the preferred one first: `PROVIDER` or `PROVIDER=MODEL`
    members: Vec<String>,
    /// How it chooses a member for a new session: priority, round-robin, least-busy
    strategy: Option<String>,
}

fn malformed(problem: impl std::fmt::Display) -> ApiError {
    ApiError::Malformed(problem.to_string())
}

fn add_pool(call: &ApiCall, new: AddPoolRequest) -> ApiResult<PoolSummary> {
    let order = new.strategy.as_deref().map(str::parse::<PoolStrategy>).transpose().map_err(malformed)?;
    let members = new.members.iter().map(|member| member.parse::<PoolMember>()).collect::<Result<_, _>>();
    let members = members.map_err(malformed)?;
    let pool = ProviderPool { name: provider_name(&new.name)?, members, order: order.unwrap_or_default() };
    call.block_on(call.prompter.confirm(&pools::plan(&pool), &[]))?;
    Ok(verbs(call)?.add_pool(&pool)?)
}

fn remove_pool(call: &ApiCall) -> ApiResult<MessagesResponse> {
    pools::remove(call.home(), &verbs(call)?, call.id())?;
    Ok(MessagesResponse::new(format!("removed {}", call.id())))
}

fn reset_pool(call: &ApiCall, _: Empty) -> ApiResult<PoolSummary> {
    Ok(pools::reset(call.home(), &verbs(call)?, call.id())?)
}

/// The budgets
#[derive(Debug, Serialize, JsonSchema)]
struct BudgetListResponse {
    /// The budgets
    #[serde(flatten)]
    list: BudgetList,
    /// The loss in the book that they are counted by
    loss: Option<String>,
}

fn budget_list(call: &ApiCall) -> ApiResult<BudgetListResponse> {
    let (list, loss) = budgets::list(call.home())?;
    Ok(BudgetListResponse { list, loss: loss.map(|loss| loss.to_string()) })
}

/// A budget, as `aiw budget set` takes it
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SetBudgetRequest {
    /// Its name
    name: String,
    /// How much, in US dollars
    usd: Option<String>,
    /// How much, in tokens, if not in dollars
    tokens: Option<u64>,
    /// For which time, in UTC: day, month
    per: Option<String>,
    /// Only for what this provider or pool is asked; `own` is the CLIs' own login
    provider: Option<String>,
    /// Whether it is for runs in this project alone
    #[serde(default)]
    project_only: bool,
    /// Whether nothing new starts once it is used up
    #[serde(default)]
    block: bool,
}

fn set_budget(call: &ApiCall, new: SetBudgetRequest) -> ApiResult<BudgetSet> {
    let limit = match (new.usd, new.tokens) {
        (Some(usd), None) => BudgetLimit::Dollars(Budget::read_dollars(&usd).map_err(malformed)?),
        (None, Some(tokens)) => BudgetLimit::Tokens(tokens),
        _ => return Err(malformed("a budget has either `usd` or `tokens`")),
    };
    let period = new.per.as_deref().unwrap_or("month").parse::<BudgetPeriod>().map_err(malformed)?;
    let budget = Budget {
        name: Budget::read_name(&new.name).map_err(malformed)?,
        limit,
        period,
        provider: new.provider,
        project: new.project_only.then(|| call.client.cwd().to_owned()),
        blocks: new.block,
    };
    call.block_on(call.prompter.confirm(&budgets::plan(call.home(), &budget)?, &[]))?;
    Ok(budgets::set(call.home(), &budget)?)
}

fn remove_budget(call: &ApiCall) -> ApiResult<MessagesResponse> {
    budgets::remove(call.home(), call.id())?;
    Ok(MessagesResponse::new(format!("removed {}", call.id())))
}

fn usage(call: &ApiCall) -> ApiResult<UsageReport> {
    let by = match call.query_param("by") {
        None => GroupBy::Day,
        Some(word) => word.parse().map_err(|_| ApiError::Malformed(format!("`by` can't be `{word}`")))?,
    };
    Ok(accounts::summarize_usage(call.home(), by, call.query_u64("since")?, |_| true)?)
}
