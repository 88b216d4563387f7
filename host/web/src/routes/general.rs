//! The overview, projects, events, what is wrong, and what is installed.

use aiw_app::cli_updates::last_known;
use aiw_app::doctor::Doctor;
use aiw_app::events::{EventList, EventsRequest, HomeEvents};
use aiw_app::installation::Update;
use aiw_app::overview::Overview;
use aiw_app::secrets::SecretList;
use aiw_app::sync;
use aiw_app::tasks::TaskStatus;
use aiw_app::trust::TrustList;
use aiw_launch::{CliDetails, Search, detect};
use aiw_sync::{PullRequest, PushRequest, StoreStatus, SyncDifference, SyncLog, SyncPull, SyncPush, SyncUndone};
use schemars::JsonSchema;
use serde::Serialize;

use crate::api::{ApiCall, ApiRoute, Empty, Reply};
use crate::projects::ProjectList;

/// As many events are sent at once.
const MAX_EVENTS: usize = 1_000;

pub(super) fn routes() -> Vec<ApiRoute> {
    vec![
        ApiRoute::get("/overview", "aiw", overview),
        ApiRoute::get("/status", "aiw status", status),
        ApiRoute::get("/projects", "aiw ps --all", projects),
        ApiRoute::get("/doctor", "aiw doctor", doctor),
        ApiRoute::get("/clis", "aiw cli list", clis),
        ApiRoute::get("/update", "aiw update --check", update),
        ApiRoute::get("/secrets", "aiw secret list", secrets),
        ApiRoute::get("/trust", "aiw trust list", trust),
        ApiRoute::get("/events/list", "aiw events", events).with(&["from", "all"]),
        ApiRoute::get("/sync", "aiw sync status", sync_status),
        ApiRoute::get("/sync/log", "aiw sync log", sync_log),
        ApiRoute::post("/sync/diff", "aiw sync diff", sync_diff),
        ApiRoute::post("/sync/push", "aiw sync push", push),
        ApiRoute::post("/sync/pull", "aiw sync pull", pull),
        ApiRoute::post("/sync/undo", "aiw sync undo", undo),
    ]
}

fn overview(call: &ApiCall) -> Reply<Overview> {
    Ok(Overview::collect(call.home(), call.client.cwd()))
}

fn status(call: &ApiCall) -> Reply<TaskStatus> {
    Ok(aiw_app::tasks::status(call.home(), true)?.0)
}

fn projects(call: &ApiCall) -> Reply<ProjectList> {
    let all = call.projects.all();
    Ok(ProjectList { projects: all.iter().map(|path| path.display().to_string()).collect() })
}

fn doctor(call: &ApiCall) -> Reply<Doctor> {
    Ok((call.doctor)(call.home()))
}

/// The AI CLIs, and the newer versions that aiw knows of
#[derive(Debug, Serialize, JsonSchema)]
struct CliListResponse {
    /// The AI CLIs
    clis: Vec<CliResponse>,
}

/// An AI CLI
#[derive(Debug, Serialize, JsonSchema)]
struct CliResponse {
    /// The installation
    #[serde(flatten)]
    installed: CliDetails,
    /// The newest version that is known, if it is newer
    newest: Option<String>,
    /// The command that updates it
    update: Option<String>,
}

fn clis(call: &ApiCall) -> Reply<CliListResponse> {
    let home = call.home();
    let one = |cli: &aiw_launch::DetectedCli| {
        let news = last_known(home, cli);
        let (newest, update) = news.map_or((None, None), |news| (Some(news.newest), news.update));
        CliResponse { installed: CliDetails::new(cli), newest, update }
    };
    Ok(CliListResponse { clis: detect(&Search::around(home.around()), Some(home)).iter().map(one).collect() })
}

fn update(call: &ApiCall) -> Reply<Update> {
    // Only the installation is looked at: nothing is asked on the network.
    call.wait(Update::detect(false))
}

fn secrets(call: &ApiCall) -> Reply<SecretList> {
    Ok(aiw_app::secrets::list(call.home())?)
}

fn trust(call: &ApiCall) -> Reply<TrustList> {
    Ok(aiw_app::trust::list(call.home())?)
}

fn events(call: &ApiCall) -> Reply<EventList> {
    let request = EventsRequest { all: call.flag("all"), last: Some(MAX_EVENTS), ..EventsRequest::default() };
    let reader = HomeEvents::new(call.home(), call.client.cwd(), request)?;
    Ok(match call.number("from")? {
        Some(from) => reader.read(from, MAX_EVENTS)?,
        None => reader.list()?,
    })
}

fn synchronizer(call: &ApiCall) -> Reply<aiw_sync::Synchronizer> {
    call.home().recover()?;
    Ok(sync::open(call.client.app(), call.home())?)
}

fn sync_status(call: &ApiCall) -> Reply<StoreStatus> {
    Ok(synchronizer(call)?.status()?)
}

fn sync_log(call: &ApiCall) -> Reply<SyncLog> {
    Ok(synchronizer(call)?.log()?)
}

fn sync_diff(call: &ApiCall, _: Empty) -> Reply<SyncDifference> {
    call.wait(synchronizer(call)?.diff(None, &call.person))
}

fn push(call: &ApiCall, _: Empty) -> Reply<SyncPush> {
    call.wait(synchronizer(call)?.push(&PushRequest::default(), &call.person, &call.person))
}

fn pull(call: &ApiCall, _: Empty) -> Reply<SyncPull> {
    call.wait(synchronizer(call)?.pull(&PullRequest::default(), &call.person, &call.person))
}

fn undo(call: &ApiCall, _: Empty) -> Reply<SyncUndone> {
    Ok(synchronizer(call)?.undo()?)
}
