//! Plugins, marketplaces, and registries of MCP servers.

use aiw_app::installs::{self, InstallRequest, ServerInstalled};
use aiw_app::own_executable;
use aiw_app::plugins::{self, PluginInstall, PluginRemove, PluginRequest, PluginSwitch};
use aiw_home::rfc3339;
use aiw_markets::{MarketSummary, Markets, PluginQuery, PluginSummary, SearchSummary, UpdatedMarket};
use aiw_registries::{ServerSearch, list_registries, start_sync};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::{ApiCall, ApiError, ApiResult, ApiRoute, Empty};
use crate::progress::ProgressStep;

/// As many servers of registries are sent.
const MAX_SERVERS: usize = 50;

pub(super) fn routes() -> Vec<ApiRoute> {
    vec![
        ApiRoute::get("/plugins", "aiw plugin list", list),
        ApiRoute::post("/plugins", "aiw plugin install", install),
        ApiRoute::get("/plugins/search", "aiw plugin search", search).with_query_params(&["q", "market"]),
        ApiRoute::delete("/plugins/{id}", "aiw plugin remove", remove),
        ApiRoute::post("/plugins/{id}/enable", "aiw plugin enable", enable),
        ApiRoute::post("/plugins/{id}/disable", "aiw plugin disable", disable),
        ApiRoute::get("/marketplaces", "aiw plugin marketplace list", markets),
        ApiRoute::post("/marketplaces/{name}/update", "aiw plugin marketplace update", update_market),
        ApiRoute::get("/progress", "aiw plugin marketplace update", progress),
        ApiRoute::get("/registries", "aiw mcp search", registries),
        ApiRoute::post("/registries/fetch", "aiw mcp search", fetch_registries),
        ApiRoute::get("/registries/search", "aiw mcp search", search_registries).with_query_params(&["q", "source"]),
        ApiRoute::post("/registries/install", "aiw mcp install", install_server),
    ]
}

fn opened(call: &ApiCall) -> ApiResult<Markets> {
    let markets = call.client.markets()?;
    call.block_on(markets.reconcile())?;
    Ok(markets)
}

/// The installed plugins
#[derive(Debug, Serialize, JsonSchema)]
struct PluginListResponse {
    /// The plugins
    plugins: Vec<PluginSummary>,
}

fn list(call: &ApiCall) -> ApiResult<PluginListResponse> {
    let markets = opened(call)?;
    let everything = markets.search(&PluginQuery { all: true, ..PluginQuery::default() })?;
    let of = |(id, record)| match everything.plugins.iter().find(|found| found.id().as_ref() == Some(&id)) {
        Some(found) => PluginSummary::new(found),
        None => PluginSummary::from_installed(&id, &record, markets.home()),
    };
    Ok(PluginListResponse { plugins: markets.installed()?.into_iter().map(of).collect() })
}

fn search(call: &ApiCall) -> ApiResult<SearchSummary> {
    let (text, market) = (call.query_param("q").map(str::to_owned), call.query_param("market").map(str::to_owned));
    Ok(SearchSummary::new(&opened(call)?.search(&PluginQuery { text, market, ..PluginQuery::default() })?))
}

/// A plugin to install
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct InstallPluginRequest {
    /// Its name or id
    name: String,
}

/// Returns the answer for one plugin, or why there is none.
fn only<A, E>(answer: (A, Option<E>)) -> ApiResult<A>
where
    ApiError: From<E>,
{
    match answer {
        (_, Some(failed)) => Err(failed.into()),
        (answer, None) => Ok(answer),
    }
}

fn named(name: &str) -> PluginRequest {
    PluginRequest { names: vec![name.to_owned()], ..PluginRequest::default() }
}

fn install(call: &ApiCall, wanted: InstallPluginRequest) -> ApiResult<PluginInstall> {
    only(call.block_on(plugins::install(&opened(call)?, &named(&wanted.name), &call.prompter, &call.prompter))?)
}

fn remove(call: &ApiCall) -> ApiResult<PluginRemove> {
    only(call.block_on(plugins::remove(&opened(call)?, &[call.id().to_owned()], &call.prompter))?)
}

fn enable(call: &ApiCall, _: Empty) -> ApiResult<PluginSwitch> {
    only(call.block_on(plugins::switch(&opened(call)?, &named(call.id()), true, &call.prompter))?)
}

fn disable(call: &ApiCall, _: Empty) -> ApiResult<PluginSwitch> {
    only(call.block_on(plugins::switch(&opened(call)?, &named(call.id()), false, &call.prompter))?)
}

/// The marketplaces
#[derive(Debug, Serialize, JsonSchema)]
struct MarketListResponse {
    /// The marketplaces
    marketplaces: Vec<MarketSummary>,
    /// The problems of others
    problems: Vec<String>,
}

fn markets(call: &ApiCall) -> ApiResult<MarketListResponse> {
    let (statuses, problems) = opened(call)?.statuses()?;
    Ok(MarketListResponse { marketplaces: statuses.iter().map(MarketSummary::new).collect(), problems })
}

fn update_market(call: &ApiCall, _: Empty) -> ApiResult<UpdatedMarket> {
    call.block_on(opened(call)?.update(call.id(), true))
}

fn progress(call: &ApiCall) -> ApiResult<ProgressStep> {
    Ok(call.progress.latest())
}

/// The registries of MCP servers
#[derive(Debug, Serialize, JsonSchema)]
struct RegistryListResponse {
    /// The registries
    registries: Vec<RegistryResponse>,
    /// Whether a process brings their copies up to date now
    fetching: bool,
}

/// A registry of MCP servers
#[derive(Debug, Serialize, JsonSchema)]
struct RegistryResponse {
    /// The component that reads it
    id: String,
    /// Whether it is asked
    enabled: bool,
    /// When its local copy was made
    fetched: Option<String>,
    /// The servers in its local copy; null without a copy
    servers: Option<u64>,
    /// Why its copy is not up to date
    problem: Option<String>,
}

fn registries(call: &ApiCall) -> ApiResult<RegistryListResponse> {
    let of = |one: aiw_registries::RegistryInfo| RegistryResponse {
        id: one.id,
        enabled: one.enabled,
        fetched: one.fetched_at_ms.map(rfc3339),
        servers: one.servers,
        problem: one.problem,
    };
    let library = call.client.library()?;
    let registries = list_registries(call.home(), library)?.into_iter().map(of).collect();
    Ok(RegistryListResponse { registries, fetching: call.client.registries()?.is_syncing() })
}

/// Starts the process that a search starts as well; the list says when it has ended.
fn fetch_registries(call: &ApiCall, _: Empty) -> ApiResult<RegistryListResponse> {
    start_sync(call.home(), &own_executable()?)?;
    registries(call)
}

fn search_registries(call: &ApiCall) -> ApiResult<ServerSearch> {
    let query = call.query_param("q").ok_or_else(|| ApiError::Malformed("`q` is what to search for".into()))?;
    let registries = call.client.registries()?;
    Ok(ServerSearch::new(&call.block_on(registries.search(query, MAX_SERVERS, call.query_param("source")))?))
}

/// A server of a registry to install
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct InstallServerRequest {
    /// Its name in the registry
    name: String,
    /// The registry; any if there is none
    source: Option<String>,
    /// Its name in mcp.json
    key: Option<String>,
}

fn install_server(call: &ApiCall, wanted: InstallServerRequest) -> ApiResult<ServerInstalled> {
    let registries = call.client.registries()?;
    let (found, _) = call.block_on(registries.find_server(&wanted.name, None, wanted.source.as_deref()))?;
    let request = InstallRequest { key: wanted.key, ..InstallRequest::default() };
    Ok(call.block_on(installs::install(&call.client, &found, request, &call.prompter, &call.prompter))?.server)
}
