//! The overview, projects, events, what is wrong, and what is installed.

use aiw_app::attention::{Attention, AttentionMute};
use aiw_app::cli_updates::cached_update;
use aiw_app::doctor::Doctor;
use aiw_app::events::{EventList, EventsRequest, HomeEvents};
use aiw_app::installation::Update;
use aiw_app::overview::Overview;
use aiw_app::secrets::SecretList;
use aiw_app::status::TaskStatus;
use aiw_app::sync;
use aiw_app::trust::TrustList;
use aiw_launch::{CliDetails, SearchPath, detect};
use aiw_sync::{PullRequest, PushRequest, StoreStatus, SyncDifference, SyncLog, SyncPull, SyncPush, SyncUndo};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::{ApiCall, ApiResult, ApiRoute, Empty};
use crate::projects::ProjectList;

/// As many events are sent at once.
const MAX_EVENTS: usize = 1_000;

pub(super) fn routes() -> Vec<ApiRoute> {
    vec![
        ApiRoute::get("/overview", "aiw", overview),
        ApiRoute::get("/attention", "aiw attention list", attention).with_query_params(&["muted"]),
        ApiRoute::post("/attention/mute", "aiw attention mute", mute),
        ApiRoute::get("/status", "aiw status", status),
        ApiRoute::get("/projects", "aiw ps --all", projects),
        ApiRoute::get("/doctor", "aiw doctor", doctor),
        ApiRoute::get("/clis", "aiw cli list", clis),
        ApiRoute::get("/update", "aiw update --check", update),
        ApiRoute::get("/secrets", "aiw secret list", secrets),
        ApiRoute::get("/trust", "aiw trust list", trust),
        ApiRoute::get("/events/list", "aiw events", events).with_query_params(&["from", "all"]),
        ApiRoute::get("/sync", "aiw sync status", sync_status),
        ApiRoute::get("/sync/log", "aiw sync log", sync_log),
        ApiRoute::post("/sync/diff", "aiw sync diff", sync_diff),
        ApiRoute::post("/sync/push", "aiw sync push", push),
        ApiRoute::post("/sync/pull", "aiw sync pull", pull),
        ApiRoute::post("/sync/undo", "aiw sync undo", undo),
    ]
}

fn overview(call: &ApiCall) -> ApiResult<Overview> {
    Ok(Overview::collect(call.home(), call.client.cwd()))
}

fn attention(call: &ApiCall) -> ApiResult<Attention> {
    let (home, cwd) = (call.home(), call.client.cwd());
    Ok(if call.query_flag("muted") { Attention::collect_with_muted(home, cwd) } else { Attention::collect(home, cwd) })
}

/// Entries to mute, or to show again
#[derive(Debug, Deserialize, JsonSchema)]
struct MuteRequest {
    /// Their ids
    ids: Vec<String>,
    /// Whether they are muted from now on
    muted: bool,
}

fn mute(call: &ApiCall, request: MuteRequest) -> ApiResult<AttentionMute> {
    Ok(Attention::set_muted(call.home(), call.client.cwd(), &request.ids, request.muted)?)
}

fn status(call: &ApiCall) -> ApiResult<TaskStatus> {
    Ok(aiw_app::status::status(call.home(), true)?.0)
}

fn projects(call: &ApiCall) -> ApiResult<ProjectList> {
    let all = call.projects.all();
    Ok(ProjectList { projects: all.iter().map(|path| path.display().to_string()).collect() })
}

fn doctor(call: &ApiCall) -> ApiResult<Doctor> {
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

fn clis(call: &ApiCall) -> ApiResult<CliListResponse> {
    let home = call.home();
    let one = |cli: &aiw_launch::DetectedCli| {
        let news = cached_update(home, cli);
        let (newest, update) = news.map_or((None, None), |news| (Some(news.newest), news.update));
        CliResponse { installed: CliDetails::new(cli), newest, update }
    };
    Ok(CliListResponse {
        clis: detect(&SearchPath::from_context(home.context()), Some(home)).iter().map(one).collect(),
    })
}

fn update(call: &ApiCall) -> ApiResult<Update> {
    // Only the installation is looked at: nothing is asked on the network.
    call.block_on(Update::detect(false))
}

fn secrets(call: &ApiCall) -> ApiResult<SecretList> {
    Ok(aiw_app::secrets::list(call.home())?)
}

fn trust(call: &ApiCall) -> ApiResult<TrustList> {
    Ok(aiw_app::trust::list(call.home())?)
}

fn events(call: &ApiCall) -> ApiResult<EventList> {
    let request =
        EventsRequest { all_projects: call.query_flag("all"), last: Some(MAX_EVENTS), ..EventsRequest::default() };
    let reader = HomeEvents::new(call.home(), call.client.cwd(), request)?;
    Ok(match call.query_u64("from")? {
        Some(from) => reader.read(from, MAX_EVENTS)?,
        None => reader.list()?,
    })
}

fn synchronizer(call: &ApiCall) -> ApiResult<aiw_sync::Synchronizer> {
    call.home().recover()?;
    Ok(sync::open(call.client.app(), call.home())?)
}

fn sync_status(call: &ApiCall) -> ApiResult<StoreStatus> {
    Ok(synchronizer(call)?.status()?)
}

fn sync_log(call: &ApiCall) -> ApiResult<SyncLog> {
    Ok(synchronizer(call)?.log()?)
}

fn sync_diff(call: &ApiCall, _: Empty) -> ApiResult<SyncDifference> {
    call.block_on(synchronizer(call)?.diff(None, &call.prompter))
}

fn push(call: &ApiCall, _: Empty) -> ApiResult<SyncPush> {
    call.block_on(synchronizer(call)?.push(&PushRequest::default(), &call.prompter, &call.prompter))
}

fn pull(call: &ApiCall, _: Empty) -> ApiResult<SyncPull> {
    call.block_on(synchronizer(call)?.pull(&PullRequest::default(), &call.prompter, &call.prompter))
}

fn undo(call: &ApiCall, _: Empty) -> ApiResult<SyncUndo> {
    Ok(synchronizer(call)?.undo()?)
}
