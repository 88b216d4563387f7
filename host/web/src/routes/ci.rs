//! Runs of continuous integration, and what habits suggest.

use aiw_app::ci::{self, CI_INTERVAL};
use aiw_app::own_executable;
use aiw_ci::{Ci, CiFailedLogs, CiListRequest, CiRunDetails, CiRunList, MonitoredBranch, StoppedMonitoring};
use aiw_processes::{HabitSuggestion, HabitSuggestions, Manager};

use crate::api::{ApiCall, ApiError, ApiRoute, Empty, Reply};

/// As many runs are sent by default, and at most.
const DEFAULT_RUNS: u64 = 20;
const MAX_RUNS: u64 = 1_000;

pub(super) fn routes() -> Vec<ApiRoute> {
    vec![
        ApiRoute::get("/ci", "aiw ci list", list).with(&["branch", "limit"]),
        ApiRoute::post("/ci/watch", "aiw ci watch --background", watch),
        ApiRoute::post("/ci/unwatch", "aiw ci watch --stop", unwatch),
        ApiRoute::get("/ci/{run}", "aiw ci show", show),
        ApiRoute::get("/ci/{run}/log", "aiw ci logs", failed_logs),
        ApiRoute::get("/suggestions", "aiw process suggest", suggestions),
        ApiRoute::post("/suggestions/{id}/accept", "aiw process suggest accept", accept),
        ApiRoute::post("/suggestions/{id}/dismiss", "aiw process suggest dismiss", dismiss),
    ]
}

fn open(call: &ApiCall) -> Reply<Ci> {
    call.wait(ci::open(call.client.app(), call.home(), None))
}

fn list(call: &ApiCall) -> Reply<CiRunList> {
    let limit = call.number("limit")?.unwrap_or(DEFAULT_RUNS).clamp(1, MAX_RUNS);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let request = CiListRequest { limit, branch: call.word("branch").map(str::to_owned) };
    call.wait(open(call)?.list(&request))
}

fn run(call: &ApiCall) -> Reply<u64> {
    call.id().parse().map_err(|_| ApiError::Malformed("the id of a run is a number".into()))
}

fn show(call: &ApiCall) -> Reply<CiRunDetails> {
    let run = run(call)?;
    call.wait(open(call)?.details(Some(run)))
}

fn failed_logs(call: &ApiCall) -> Reply<CiFailedLogs> {
    let run = run(call)?;
    call.wait(open(call)?.failed_logs(Some(run)))
}

fn watch(call: &ApiCall, _: Empty) -> Reply<MonitoredBranch> {
    Ok(ci::start(call.home(), None, CI_INTERVAL)?)
}

fn unwatch(call: &ApiCall, _: Empty) -> Reply<StoppedMonitoring> {
    Ok(ci::stop(call.home())?)
}

fn manager(call: &ApiCall) -> Reply<Manager> {
    Ok(Manager::open_in(call.home(), call.client.cwd())?.with_executable(own_executable()?))
}

fn suggestions(call: &ApiCall) -> Reply<HabitSuggestions> {
    Ok(manager(call)?.suggestions(None)?)
}

fn accept(call: &ApiCall, _: Empty) -> Reply<HabitSuggestion> {
    call.wait(manager(call)?.accept_suggestion(call.id(), &call.person))
}

fn dismiss(call: &ApiCall, _: Empty) -> Reply<HabitSuggestion> {
    Ok(manager(call)?.dismiss_suggestion(call.id())?)
}
