//! Which tools a request gets, and the profiles that say which a client may use.

use aiw_app::servers::profiles::{self, ProfileEntry, ProfileShow, ProfilesRemove};
use aiw_app::servers::route::{self, RoutedTools};
use aiw_home::{ListSettings, ProfileSettings};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::{ApiCall, ApiError, ApiResult, ApiRoute, Empty};

/// As many tools are found by default, and at most.
const DEFAULT_TOOLS: usize = 5;
const MAX_TOOLS: usize = 20;

pub(super) fn routes() -> Vec<ApiRoute> {
    vec![
        ApiRoute::post("/route", "aiw mcp route --explain", route_request),
        ApiRoute::get("/profiles", "aiw mcp profile list", profile_list),
        ApiRoute::post("/profiles", "aiw mcp profile add", add_profile),
        ApiRoute::delete("/profiles/{name}", "aiw mcp profile remove", remove_profile),
        ApiRoute::post("/profiles/{name}/tools", "aiw mcp profile show", show_profile),
    ]
}

/// A request for tools
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FindToolsRequest {
    /// The job
    request: String,
    /// Only what this profile allows
    profile: Option<String>,
    /// How many tools at the most
    limit: Option<usize>,
}

fn route_request(call: &ApiCall, asked: FindToolsRequest) -> ApiResult<RoutedTools> {
    let most = asked.limit.unwrap_or(DEFAULT_TOOLS).clamp(1, MAX_TOOLS);
    call.block_on_isolated(asked.profile.as_deref(), async |client| {
        Ok::<_, ApiError>(route::route(client, &asked.request, most, &call.prompter).await)
    })
}

/// The profiles, without the tools that each allows
#[derive(Debug, Serialize, JsonSchema)]
struct ProfileListResponse {
    /// The profiles
    profiles: Vec<ProfileEntry>,
}

fn profile_list(call: &ApiCall) -> ApiResult<ProfileListResponse> {
    Ok(ProfileListResponse { profiles: profiles::profiles(call.home(), call.client.cwd())? })
}

/// A new profile
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AddProfileRequest {
    /// Its name
    name: String,
    /// Only these tools: patterns
    #[serde(default)]
    allow: Vec<String>,
    /// Not these tools: patterns
    #[serde(default)]
    deny: Vec<String>,
}

fn add_profile(call: &ApiCall, new: AddProfileRequest) -> ApiResult<ProfileListResponse> {
    let AddProfileRequest { name, allow, deny } = new;
    let allow = Some(allow).filter(|allow| !allow.is_empty());
    let settings = ProfileSettings { allow, deny, scripts: Vec::new(), list: ListSettings::default() };
    profiles::add(&call.client, &name, settings, &call.prompter)?;
    profile_list(call)
}

fn remove_profile(call: &ApiCall) -> ApiResult<ProfilesRemove> {
    Ok(profiles::remove(&call.client, &[call.id().to_owned()], &call.prompter)?)
}

fn show_profile(call: &ApiCall, _: Empty) -> ApiResult<ProfileShow> {
    let own_tools = (call.own_tools)();
    call.block_on_isolated(None, async |client| profiles::show(client, call.id(), own_tools, &call.prompter).await)
}
