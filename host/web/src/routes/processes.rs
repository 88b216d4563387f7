//! Processes of the project.

use std::collections::BTreeMap;

use aiw_app::{own_executable, phrases};
use aiw_core::Diagnostic;
use aiw_processes::{
    AddedProcess, Author, DefineRequest, EditableProcess, EditedProcess, Manager, MergedLogPage, OutputRequest,
    ProcessEdit, ProcessGraph, ProcessLogPage, ProcessSummaries, ProcessSummary, RemovedProcesses, StartResults,
    WrittenInput,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::{ApiCall, ApiError, ApiResult, ApiRoute, Empty, MessagesResponse};

/// As many bytes of output are sent at once.
const MAX_OUTPUT_BYTES: usize = 1 << 20;

/// How many lines of all processes are sent by default.
const DEFAULT_LINES: u64 = 1_000;

pub(super) fn routes() -> Vec<ApiRoute> {
    vec![
        ApiRoute::get("/processes", "aiw ps --stats", list).with_query_params(&["all"]),
        ApiRoute::post("/processes", "aiw process add", add),
        ApiRoute::get("/graph", "aiw process graph", graph),
        ApiRoute::post("/up", "aiw up -d", up),
        ApiRoute::post("/down", "aiw down", down),
        ApiRoute::get("/processes/{id}", "aiw ps", show),
        ApiRoute::delete("/processes/{id}", "aiw process remove", remove),
        ApiRoute::get("/processes/{id}/definition", "aiw process edit", editable),
        ApiRoute::post("/processes/{id}/definition", "aiw process edit", edit),
        ApiRoute::post("/processes/{id}/start", "aiw process start", start),
        ApiRoute::post("/processes/{id}/stop", "aiw stop", stop),
        ApiRoute::post("/processes/{id}/restart", "aiw restart", restart),
        ApiRoute::post("/processes/{id}/input", "aiw process input", input),
        ApiRoute::get("/logs", "aiw logs", logs).with_query_params(&["from", "lines"]),
        ApiRoute::get("/processes/{id}/log", "aiw logs", log)
            .with_query_params(&["from", "lines", "contains", "stream"]),
    ]
}

fn manager(call: &ApiCall) -> ApiResult<Manager> {
    Ok(Manager::open_in(call.home(), call.client.cwd())?.with_executable(own_executable()?))
}

/// The processes, and what is wrong with their definitions
#[derive(Debug, Serialize, JsonSchema)]
struct ProcessListResponse {
    /// The processes
    #[serde(flatten)]
    all: ProcessSummaries,
    /// Why the project's definitions can't be read or used
    problem: Option<String>,
}

fn list(call: &ApiCall) -> ApiResult<ProcessListResponse> {
    let (all, problem) = manager(call)?.ps(call.query_flag("all"), true)?;
    let shown = |problem: &dyn Diagnostic| match problem.hint() {
        Some(hint) => format!("{problem}; {hint}"),
        None => problem.to_string(),
    };
    Ok(ProcessListResponse { all, problem: problem.as_ref().map(|problem| shown(problem)) })
}

/// A new process, as `aiw process add` takes it
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateProcessRequest {
    /// A new id: letters, digits, `-`, `_` and `.`
    id: String,
    /// The program and its arguments; with `shell`, one line
    command: Vec<String>,
    /// Its directory in the project
    cwd: Option<String>,
    /// Its variables; `secret:NAME` is taken from the vault, and a key goes there
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// When it is started again: no, on-failure, always, unless-stopped
    restart: Option<String>,
    /// It is ready once this port or address accepts connections, or this URL answers
    ready: Option<String>,
    /// Ids of processes that must run before it starts
    #[serde(default)]
    needs: Vec<String>,
    /// Whether a shell reads the command
    #[serde(default)]
    shell: bool,
    /// Whether `aiw up` leaves it alone
    #[serde(default)]
    no_auto_start: bool,
}

fn add(call: &ApiCall, new: CreateProcessRequest) -> ApiResult<AddedProcess> {
    let mut words = new.command.into_iter();
    let request = DefineRequest {
        id: new.id,
        command: words.next().unwrap_or_default(),
        args: words.collect(),
        env: new.env,
        cwd: new.cwd,
        auto_start_on_restore: !new.no_auto_start,
        restart: new.restart,
        needs: new.needs,
        author: Author::User,
        shell: new.shell,
        ready: new.ready,
        ..DefineRequest::default()
    };
    Ok(manager(call)?.define(&request)?)
}

fn graph(call: &ApiCall) -> ApiResult<ProcessGraph> {
    Ok(manager(call)?.graph()?)
}

fn show(call: &ApiCall) -> ApiResult<ProcessSummary> {
    Ok(ProcessSummary::new(&manager(call)?.get(call.id())?))
}

fn editable(call: &ApiCall) -> ApiResult<EditableProcess> {
    Ok(manager(call)?.editable_process(call.id())?)
}

fn edit(call: &ApiCall, edit: ProcessEdit) -> ApiResult<EditedProcess> {
    call.block_on(manager(call)?.edit_process(call.id(), &edit, &call.prompter))
}

fn remove(call: &ApiCall) -> ApiResult<RemovedProcesses> {
    let manager = manager(call)?;
    manager.reconcile()?;
    Ok(manager.remove(&[call.id().to_owned()], Author::User, &call.prompter)?)
}

/// Says what was started, or the first failure.
fn started(results: StartResults) -> ApiResult<MessagesResponse> {
    let done = results.into_iter().map(|(_, result)| Ok(phrases::format_started(&result?)));
    Ok(MessagesResponse { done: done.collect::<ApiResult<_>>()? })
}

fn start(call: &ApiCall, _: Empty) -> ApiResult<MessagesResponse> {
    let manager = manager(call)?;
    manager.reconcile()?;
    started(call.block_on(manager.start(&[call.id().to_owned()], &call.prompter, &call.prompter))?)
}

fn restart(call: &ApiCall, _: Empty) -> ApiResult<MessagesResponse> {
    let manager = manager(call)?;
    manager.reconcile()?;
    started(call.block_on(manager.restart(&[call.id().to_owned()], &call.prompter, &call.prompter))?)
}

fn up(call: &ApiCall, _: Empty) -> ApiResult<MessagesResponse> {
    let manager = manager(call)?;
    manager.reconcile()?;
    started(call.block_on(manager.start(&[], &call.prompter, &call.prompter))?)
}

fn stopped(manager: &Manager, ids: &[String]) -> ApiResult<MessagesResponse> {
    // What can't be started again keeps nothing from being stopped.
    let _ = manager.reconcile();
    let mut done = Vec::new();
    for (id, result) in manager.down(ids)? {
        if result? {
            done.push(format!("stopped {id}"));
        }
    }
    Ok(MessagesResponse { done })
}

fn stop(call: &ApiCall, _: Empty) -> ApiResult<MessagesResponse> {
    let manager = manager(call)?;
    // A name that stands for several is not meant by a path.
    manager.get(call.id())?;
    stopped(&manager, &[call.id().to_owned()])
}

fn down(call: &ApiCall, _: Empty) -> ApiResult<MessagesResponse> {
    stopped(&manager(call)?, &[])
}

/// A line for a process
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WriteLineRequest {
    /// The line, without its end
    line: String,
}

fn input(call: &ApiCall, input: WriteLineRequest) -> ApiResult<WrittenInput> {
    let manager = manager(call)?;
    manager.reconcile()?;
    Ok(manager.write_input(call.id(), format!("{}\n", input.line).as_bytes())?)
}

/// Returns the positions in `ID:POSITION,…`.
fn log_positions(words: &str) -> Option<BTreeMap<String, u64>> {
    words
        .split(',')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.rsplit_once(':').and_then(|(id, from)| Some((id.to_owned(), from.parse().ok()?))))
        .collect()
}

fn logs(call: &ApiCall) -> ApiResult<MergedLogPage> {
    let from = log_positions(call.query_param("from").unwrap_or_default())
        .ok_or_else(|| ApiError::Malformed("`from` must be `ID:POSITION`, separated by commas".into()))?;
    let manager = manager(call)?;
    let lines = call.query_u64("lines")?.unwrap_or(DEFAULT_LINES);
    Ok(manager.merged_log_page(&from, lines, MAX_OUTPUT_BYTES)?)
}

fn log(call: &ApiCall) -> ApiResult<ProcessLogPage> {
    let mut request = serde_json::json!({
        "id": call.id(), "from": call.query_u64("from")?, "lines": call.query_u64("lines")?, "contains": call.query_param("contains"),
    });
    if let Some(stream) = call.query_param("stream") {
        request["stream"] = stream.into();
    }
    let request: OutputRequest =
        serde_json::from_value(request).map_err(|e| ApiError::Malformed(format!("the query is not valid: {e}")))?;
    Ok(manager(call)?.log_page(&request, MAX_OUTPUT_BYTES)?)
}
