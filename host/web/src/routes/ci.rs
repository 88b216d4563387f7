//! Runs of continuous integration, and what habits suggest.

use aiw_app::ci::{self, CI_INTERVAL};
use aiw_app::own_executable;
use aiw_ci::{Ci, CiFailedLogs, CiListRequest, CiRunDetails, CiRunList, MonitorStopSummary, MonitoredBranch};
use aiw_processes::{HabitSuggestion, HabitSuggestions, Manager};

use crate::api::{ApiCall, ApiError, ApiResult, ApiRoute, Empty};

/// As many runs are sent by default, and at most.
const DEFAULT_RUNS: u64 = 20;
const MAX_RUNS: u64 = 1_000;

pub(super) fn routes() -> Vec<ApiRoute> {
    vec![
        ApiRoute::get("/ci", "aiw ci list", list).with_query_params(&["branch", "limit"]),
        ApiRoute::post("/ci/watch", "aiw ci watch --background", watch),
        ApiRoute::post("/ci/unwatch", "aiw ci watch --stop", unwatch),
        ApiRoute::get("/ci/{run}", "aiw ci show", show),
        ApiRoute::get("/ci/{run}/log", "aiw ci logs", failed_logs),
        ApiRoute::get("/suggestions", "aiw process suggest", suggestions),
        ApiRoute::post("/suggestions/{id}/accept", "aiw process suggest accept", accept),
        ApiRoute::post("/suggestions/{id}/dismiss", "aiw process suggest dismiss", dismiss),
    ]
}

fn open(call: &ApiCall) -> ApiResult<Ci> {
    call.block_on(ci::open(call.client.app(), call.home(), None))
}

fn list(call: &ApiCall) -> ApiResult<CiRunList> {
    let limit = call.query_u64("limit")?.unwrap_or(DEFAULT_RUNS).clamp(1, MAX_RUNS);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let request = CiListRequest { limit, branch: call.query_param("branch").map(str::to_owned) };
    call.block_on(open(call)?.list(&request))
}

fn run(call: &ApiCall) -> ApiResult<u64> {
    call.id().parse().map_err(|_| ApiError::Malformed("the id of a run is a number".into()))
}

fn show(call: &ApiCall) -> ApiResult<CiRunDetails> {
    let run = run(call)?;
    call.block_on(open(call)?.details(Some(run)))
}

fn failed_logs(call: &ApiCall) -> ApiResult<CiFailedLogs> {
    let run = run(call)?;
    call.block_on(open(call)?.failed_logs(Some(run)))
}

fn watch(call: &ApiCall, _: Empty) -> ApiResult<MonitoredBranch> {
    Ok(ci::start(call.home(), None, CI_INTERVAL)?)
}

fn unwatch(call: &ApiCall, _: Empty) -> ApiResult<MonitorStopSummary> {
    Ok(ci::stop(call.home())?)
}

fn manager(call: &ApiCall) -> ApiResult<Manager> {
    Ok(Manager::open_in(call.home(), call.client.cwd())?.with_executable(own_executable()?))
}

fn suggestions(call: &ApiCall) -> ApiResult<HabitSuggestions> {
    Ok(manager(call)?.suggestions(None)?)
}

fn accept(call: &ApiCall, _: Empty) -> ApiResult<HabitSuggestion> {
    call.block_on(manager(call)?.accept_suggestion(call.id(), &call.prompter))
}

fn dismiss(call: &ApiCall, _: Empty) -> ApiResult<HabitSuggestion> {
    Ok(manager(call)?.dismiss_suggestion(call.id())?)
}
