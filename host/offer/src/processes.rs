//! The processes of a project: the tools of the old Ichimi server under their names, and two more.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aiw_app::attention::{Attention, AttentionItem};
use aiw_app::events::{EventList, EventsRequest, HomeEvents};
use aiw_app::feed::Topic;
use aiw_app::own_executable;
use aiw_core::{NonInteractive, Plan, Prompter, RecordingReporter, matches_wildcard, one_line};
use aiw_events::EventKind;
use aiw_mcp::Call;
use aiw_processes::{
    Author, DefineRequest, ExportFormat, ExportRequest, HabitSuggestion, Manager, OutputRequest, ProcessError,
    ProcessOutput, ProcessProject, ProcessSummary, ProcessTemplates, RedefineRequest, RunState, TemplateRequest,
    WaitFor, WaitOutcome, Watch, single_result, substring_pattern,
};
use futures::future::BoxFuture;
use parking_lot::{Mutex, MutexGuard};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use crate::ask::{FormPrompter, can_prompt};
use crate::bounds::{self, truncate_list};
use crate::context::{ConcurrencyLimit, ConcurrencyLimits, Context, caller_name};
use crate::error::CallError;

/// The longest that `wait_for_process` waits, in seconds: clients give a call one minute.
const MAX_WAIT_SECS: u64 = 45;

/// As many events fit into an answer.
const MAX_EVENTS: usize = 20;

/// How often a call that waits looks whether anybody still wants its answer.
const CANCEL_POLL_INTERVAL: Duration = Duration::from_millis(500);

/// No arguments.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoArguments {}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProcessParams {
    /// The process's id
    id: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StopProcess {
    /// The process's id
    id: String,
    /// The time until SIGKILL, in milliseconds
    #[schemars(range(min = 1, max = 40000))]
    grace_period_ms: Option<u64>,
}

/// Which processes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub(crate) enum StateFilter {
    Running,
    Stopped,
    Failed,
    #[default]
    All,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProcessFilter {
    #[serde(default)]
    state: StateFilter,
    /// Only ids like this; `*` stands for any text
    name_pattern: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListProcesses {
    #[serde(default)]
    filter: ProcessFilter,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WaitForProcess {
    /// The process's id
    id: String,
    /// Wait until it is ready, or has ended
    #[serde(default)]
    until: WaitUntil,
    /// Wait for a line that contains this; `*` stands for any text
    line: Option<String>,
    /// How long
    #[schemars(range(min = 1, max = 45))]
    timeout_seconds: Option<u64>,
}

/// The state to wait for.
#[derive(Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WaitUntil {
    #[default]
    Ready,
    Ended,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WaitForEvent {
    /// Only of these kinds: `started`, `ready`, `unhealthy`, `recovered`, `limit_reached`, `exited`, `restarted`, `start_skipped`, `stopped`,
    /// `failed`, `finished`, `missed`, `definition_changed`, `changed`, `list_changed`, `cooldown`, `budget_exceeded`
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    kinds: Vec<EventKind>,
    /// Only of the process with this id, or the task, MCP server, provider, budget or run of CI of this name
    process: Option<String>,
    /// The position to go on from: `next` of an earlier answer. Without it, what happens from now on
    #[schemars(extend("maximum" = 9_007_199_254_740_991_u64))]
    from: Option<u64>,
    /// How long
    #[schemars(range(min = 1, max = 45))]
    timeout_seconds: Option<u64>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetSuggestions {
    /// Only what is usually started after this process, or fails after it
    current_process: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportProcesses {
    /// A file in the project; a YAML file must be below `.ichimi`. Without it, the text is the answer
    file_path: Option<String>,
    /// The form, in which the file's name ends
    #[serde(default)]
    format: ExportFormat,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportProcesses {
    /// A file in the project, in KDL, or in YAML as export_processes writes it
    file_path: String,
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SnapshotParams {
    /// The snapshot's name; without one, the project's one without a name
    name: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Echo {
    message: String,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct ProcessResponse {
    /// The result, and the next tool to call
    message: String,
    process: ProcessSummary,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct ProcessList {
    processes: Vec<ProcessSummary>,
    /// How many more there are
    omitted: usize,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct ProcessWait {
    /// Whether what was waited for is so
    done: bool,
    /// The next tool to call
    message: String,
    process: ProcessSummary,
    /// The line that was waited for
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct SuggestionList {
    suggestions: Vec<HabitSuggestion>,
    /// How many more there are
    omitted: usize,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Message {
    message: String,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct ExportResponse {
    message: String,
    /// The text, if no file was named
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Status {
    /// What needs the user, the most urgent first.
    attention: Vec<StatusItem>,
    version: String,
    project: String,
    processes: usize,
    running: usize,
}

/// Something that needs the user.
#[derive(Serialize, JsonSchema)]
pub(crate) struct StatusItem {
    severity: &'static str,
    problem: String,
    /// The user's command that resolves it.
    next: String,
}

/// The most entries of [`Status`]: its reader pays for each.
const MAX_STATUS_ITEMS: usize = 20;

/// The processes of the session's project, after what dead supervisors left behind was ended or started again.
fn manager(context: &Context) -> Result<Manager, CallError> {
    let manager =
        Manager::open(&context.home, ProcessProject::discover(context.client.cwd())?)?.with_executable(executable()?);
    manager.reconcile()?;
    Ok(manager)
}

/// The answer of a tool.
type ProcessResult<T> = Result<T, ProcessError>;

/// Returns a tool that works on the processes of the session's project, in a lane.
pub(crate) fn limited_tool<I: Send + 'static, O: Send + 'static>(
    lane: fn(&ConcurrencyLimits) -> &ConcurrencyLimit,
    work: fn(&Manager, I) -> ProcessResult<O>,
) -> impl Fn(Arc<Context>, I, Call) -> BoxFuture<'static, Result<O, CallError>> + Clone {
    move |context, asked, call| {
        let shared = context.clone();
        let by = caller_name(&call);
        let work = move || Ok(work(&manager(&shared)?.with_actor(by), asked)?);
        Box::pin(async move { lane(&context.concurrency_limits).run(work).await })
    }
}

/// The work of a tool that starts processes.
pub(crate) trait DescribeStart {
    /// What it starts, as a phrase, and the command lines; none if there is no such thing.
    fn describe_start(&self, manager: &Manager) -> Option<(String, Vec<String>)>;
}

impl DescribeStart for ProcessParams {
    fn describe_start(&self, manager: &Manager) -> Option<(String, Vec<String>)> {
        let line = |id: &String| {
            let command = manager.get(id).ok()?.definition.run.redacted().command_line();
            Some(format!("  {}: {}", one_line(id, 80), one_line(&command, 1000)))
        };
        let lines: Option<Vec<String>> =
            manager.expand_replica_ids(std::slice::from_ref(&self.id)).iter().map(line).collect();
        Some((format!("`{}`", one_line(&self.id, 80)), lines?))
    }
}

impl DescribeStart for SnapshotParams {
    fn describe_start(&self, _: &Manager) -> Option<(String, Vec<String>)> {
        let what = match &self.name {
            Some(name) => format!("the processes of the snapshot `{}`", one_line(name, 80)),
            None => "the processes that ran last".to_owned(),
        };
        Some((what, Vec::new()))
    }
}

/// As [`in_lane`], once the user has agreed to the first start of the session, if they have not named the tools for it and the
/// client can ask: what a process runs, such as a script of the project, may be what the model has just written.
pub(crate) fn confirmed_start_tool<I: DescribeStart + Clone + Send + 'static, O: Send + 'static>(
    lane: fn(&ConcurrencyLimits) -> &ConcurrencyLimit,
    work: fn(&Manager, I) -> ProcessResult<O>,
) -> impl Fn(Arc<Context>, I, Call) -> BoxFuture<'static, Result<O, CallError>> + Clone {
    let work = limited_tool(lane, work);
    move |context, asked, call| {
        let work = work.clone();
        Box::pin(async move {
            if context.should_confirm_start && can_prompt(&call.caller) {
                let mut agreed = context.is_start_approved.lock().await;
                if !*agreed {
                    *agreed = agree_to_start(&context, asked.clone(), &call).await?;
                }
            }
            work(context, asked, call).await
        })
    }
}

/// Asks the user whether something may be started. Returns whether there was something to ask about.
async fn agree_to_start<I: DescribeStart + Send + 'static>(
    context: &Arc<Context>,
    asked: I,
    call: &Call,
) -> Result<bool, CallError> {
    let shared = context.clone();
    let started = context.concurrency_limits.view.run(move || Ok(asked.describe_start(&manager(&shared)?))).await?;
    // The call says that there is no such thing.
    let Some((what, mut about)) = started else { return Ok(false) };
    about.push("What it runs may have been changed by the model. A yes holds for this session.".to_owned());
    let plan = Plan { details: about, ..Plan::new(format!("Start {what}, outside of the sandbox of your AI CLI?")) };
    let agreed = FormPrompter(call).confirm(&plan, &[]).await;
    agreed.map(|_| true).map_err(|source| CallError::StartDeclined { what, source })
}

/// Looks after the processes of the session's project as long as the session lasts: what a dead supervisor left behind
/// ends, and what is to run always is started again.
pub(crate) fn reconcile_processes(context: &Arc<Context>) {
    let (feed, mut here) = (context.client.app().feed().clone(), context.shutdown.subscribe());
    let context = Arc::downgrade(context);
    tokio::spawn(async move {
        let subscribe = move || feed.changes(&[Topic::Processes]);
        // Without it, each call still looks after them.
        let Ok(changes) = aiw_home::run_blocking(subscribe).await else { return };
        loop {
            let Some(looking) = context.upgrade() else { return };
            // The next call says what is wrong.
            let is_done = aiw_home::run_blocking(move || manager(&looking).is_ok()).await;
            let told = async {
                match is_done {
                    true => drop(changes.next().await),
                    false => drop(tokio::time::timeout(Manager::RETRY_DELAY, changes.next()).await),
                }
            };
            tokio::select! {
                () = told => {}
                _ = here.changed() => return,
            }
        }
    });
}

fn executable() -> Result<PathBuf, CallError> {
    Ok(own_executable().map_err(aiw_app::AppError::from)?)
}

/// A process and what to call next.
fn about(status: &aiw_processes::ProcessStatus, message: &str) -> ProcessResponse {
    ProcessResponse { message: message.into(), process: ProcessSummary::new(status) }
}

pub(crate) fn create_process(manager: &Manager, asked: DefineRequest) -> ProcessResult<ProcessResponse> {
    manager.define(&asked)?;
    Ok(about(&manager.get(&asked.id)?, "defined: start_process starts it"))
}

pub(crate) fn list_templates(manager: &Manager, _: NoArguments) -> ProcessResult<ProcessTemplates> {
    manager.templates(None)
}

pub(crate) fn instantiate_template(manager: &Manager, asked: TemplateRequest) -> ProcessResult<ProcessResponse> {
    let added = Handle::current().block_on(manager.instantiate(&asked, &NonInteractive))?;
    Ok(about(&manager.get(&added.added)?, "defined: start_process starts it"))
}

pub(crate) fn update_process(manager: &Manager, asked: RedefineRequest) -> ProcessResult<ProcessResponse> {
    let status = manager.redefine(asked)?;
    let message = match status.pid() {
        Some(_) => "it runs as before: restart_process starts it as it is defined now",
        None => "start_process starts it",
    };
    Ok(about(&status, message))
}

pub(crate) fn start_process(manager: &Manager, asked: ProcessParams) -> ProcessResult<ProcessResponse> {
    let ids = std::slice::from_ref(&asked.id);
    // A file that the user has not allowed starts nothing: they look at it in a terminal.
    let results = Handle::current().block_on(manager.start(ids, &NonInteractive, &NonInteractive))?;
    let started = single_result(&asked.id, results)?;
    let message = match (started.is_new, started.status.state) {
        (false, _) => "it runs already",
        (true, RunState::Failed) => "it did not start: get_process_output shows why",
        (true, _) => "started: wait_for_process waits until it is ready, get_process_output shows what it writes",
    };
    Ok(about(&started.status, message))
}

pub(crate) fn stop_process(manager: &Manager, asked: StopProcess) -> ProcessResult<ProcessResponse> {
    let (status, ran) = manager.stop_with_timeout(&asked.id, asked.grace_period_ms.map(Duration::from_millis))?;
    Ok(about(&status, if ran { "stopped, with all that it started" } else { "it did not run" }))
}

pub(crate) fn restart_process(manager: &Manager, asked: ProcessParams) -> ProcessResult<ProcessResponse> {
    let ids = std::slice::from_ref(&asked.id);
    let heard = RecordingReporter::default();
    let results = Handle::current().block_on(manager.restart(ids, &NonInteractive, &heard))?;
    let started = single_result(&asked.id, results)?;
    let told = heard.lines().into_iter().chain(["started again: wait_for_process waits until it is ready".into()]);
    Ok(about(&started.status, &told.collect::<Vec<String>>().join("; ")))
}

pub(crate) fn get_process_status(manager: &Manager, asked: ProcessParams) -> ProcessResult<ProcessResponse> {
    let status = manager.get(&asked.id)?;
    let message = match status.state {
        RunState::NotStarted | RunState::Stopped => "start_process starts it",
        RunState::Failed | RunState::CrashLooping => "get_process_output shows its last lines",
        RunState::Starting => "wait_for_process waits until it is ready",
        RunState::Running | RunState::Unhealthy | RunState::Stopping => "get_process_output shows what it writes",
    };
    let process = manager.summaries(std::slice::from_ref(&status), true).pop();
    let process = process.unwrap_or_else(|| ProcessSummary::new(&status));
    Ok(ProcessResponse { message: message.into(), process })
}

pub(crate) fn list_processes(manager: &Manager, asked: ListProcesses) -> ProcessResult<ProcessList> {
    let filter = asked.filter;
    let is_wanted = |status: &aiw_processes::ProcessStatus| {
        let has_state = match filter.state {
            StateFilter::All => true,
            StateFilter::Running => status.state.is_alive(),
            StateFilter::Stopped => matches!(status.state, RunState::Stopped | RunState::NotStarted),
            StateFilter::Failed => status.state == RunState::Failed,
        };
        has_state && filter.name_pattern.as_ref().is_none_or(|pattern| matches_wildcard(pattern, &status.id))
    };
    let all: Vec<_> = manager.list()?.into_iter().filter(is_wanted).collect();
    let (processes, left_out) = truncate_list(manager.summaries(&all, false));
    Ok(ProcessList { processes, omitted: left_out })
}

pub(crate) fn get_process_output(manager: &Manager, asked: OutputRequest) -> ProcessResult<ProcessOutput> {
    let output = manager.output(&asked, bounds::MAX_RESULT_BYTES / 2)?;
    let lines = match asked.from {
        Some(_) => output.lines.into_iter().map(|line| bounds::truncate_text(line, bounds::MAX_LINE_BYTES)).collect(),
        None => bounds::tail_lines(output.lines),
    };
    Ok(ProcessOutput { lines, ..output })
}

pub(crate) fn get_suggestions(manager: &Manager, asked: GetSuggestions) -> ProcessResult<SuggestionList> {
    let (suggestions, left_out) = truncate_list(manager.suggestions(asked.current_process.as_deref())?.suggestions);
    Ok(SuggestionList { suggestions, omitted: left_out })
}

pub(crate) async fn wait_for_process(
    context: Arc<Context>,
    asked: WaitForProcess,
    call: Call,
) -> Result<ProcessWait, CallError> {
    let (shared, sleep) = (context.clone(), Arc::<Sleep>::default());
    let theirs = sleep.clone();
    let work = move || Ok(wait(&manager(&shared)?, &asked, &theirs)?);
    tokio::select! {
        waited = context.concurrency_limits.wait.run(work) => waited,
        () = call.cancellation.wait_until_abandoned() => {
            sleep.cancel();
            Err(CallError::NoWaiter)
        }
    }
}

pub(crate) async fn wait_for_event(
    context: Arc<Context>,
    asked: WaitForEvent,
    call: Call,
) -> Result<EventList, CallError> {
    let is_over = Arc::<AtomicBool>::default();
    let (shared, over) = (context.clone(), is_over.clone());
    let work = move || {
        let request = EventsRequest { kinds: asked.kinds, process: asked.process, ..EventsRequest::default() };
        let mut reader = HomeEvents::new(&shared.home, shared.client.cwd(), request)?;
        let end =
            Instant::now() + Duration::from_secs(asked.timeout_seconds.unwrap_or(MAX_WAIT_SECS).min(MAX_WAIT_SECS));
        let mut from = asked.from.map_or_else(|| reader.end_offset(), Ok)?;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let list = reader.next(from, MAX_EVENTS, left.min(CANCEL_POLL_INTERVAL))?;
            if !list.events.is_empty() || list.gap || left.is_zero() || over.load(Ordering::Relaxed) {
                return Ok(list);
            }
            from = list.next;
        }
    };
    tokio::select! {
        waited = context.concurrency_limits.wait.run(work) => waited,
        () = call.cancellation.wait_until_abandoned() => {
            is_over.store(true, Ordering::Relaxed);
            Err(CallError::NoWaiter)
        }
    }
}

/// The sleep of a call, which takes files only once it has begun: many wait for their turn.
#[derive(Default)]
struct Sleep(Mutex<(bool, Option<Arc<Watch>>)>);

impl Sleep {
    fn state(&self) -> MutexGuard<'_, (bool, Option<Arc<Watch>>)> {
        self.0.lock()
    }

    fn cancel(&self) {
        let mut state = self.state();
        state.0 = true;
        state.1.iter().for_each(|watch| watch.wake());
    }

    fn is_cancelled(&self) -> bool {
        self.state().0
    }

    fn begin(&self) -> ProcessResult<Arc<Watch>> {
        let watch = Arc::new(Watch::new()?);
        self.state().1 = Some(watch.clone());
        Ok(watch)
    }
}

fn wait(manager: &Manager, asked: &WaitForProcess, sleep: &Sleep) -> ProcessResult<ProcessWait> {
    let end = Instant::now() + Duration::from_secs(asked.timeout_seconds.unwrap_or(MAX_WAIT_SECS).min(MAX_WAIT_SECS));
    let what = match (&asked.line, asked.until) {
        (Some(line), _) => WaitFor::Line(substring_pattern(line)),
        (None, WaitUntil::Ready) => WaitFor::Ready,
        (None, WaitUntil::Ended) => WaitFor::Ended,
    };
    let watch = sleep.begin()?;
    let WaitOutcome { status, done, line } =
        manager.wait(&asked.id, &what, Some(end), &watch, &|| sleep.is_cancelled())?;
    let message = match (done, status.state.is_alive()) {
        (true, _) => "it is so",
        (false, false) if status.record.is_none() => "it was not started: start_process starts it",
        (false, false) => "it does not run: get_process_output shows its last lines",
        (false, true) => "not yet: call wait_for_process again",
    };
    let line = line.map(|entry| bounds::truncate_text(entry.text(), bounds::MAX_LINE_BYTES));
    Ok(ProcessWait { done, message: message.into(), process: ProcessSummary::new(&status), line })
}

pub(crate) fn remove_process(manager: &Manager, asked: ProcessParams) -> ProcessResult<Message> {
    manager.remove(std::slice::from_ref(&asked.id), Author::Model, &NonInteractive)?;
    Ok(Message { message: format!("removed `{}`, with its log", asked.id) })
}

pub(crate) fn export_processes(manager: &Manager, asked: ExportProcesses) -> ProcessResult<ExportResponse> {
    let request =
        ExportRequest { format: asked.format, file: asked.file_path.map(PathBuf::from), ..ExportRequest::default() };
    let exported = manager.export(&request)?;
    let missing = exported.redaction_note().map(|missing| format!("; {missing}")).unwrap_or_default();
    let place =
        exported.file.as_ref().map_or(format!("the definitions in {}", asked.format.as_str().to_uppercase()), |file| {
            format!("written to `{}`", one_line(file, 300))
        });
    let text = exported.text.map(|text| bounds::truncate_text(text, bounds::MAX_RESULT_BYTES));
    Ok(ExportResponse { message: format!("{place}{missing}"), text })
}

pub(crate) fn import_processes(manager: &Manager, asked: ImportProcesses) -> ProcessResult<Message> {
    let names = manager.import(Path::new(&asked.file_path))?;
    let message = match names.as_slice() {
        [] => "the file defines no processes".to_owned(),
        names => format!("defined {}: start_process starts one", names.join(", ")),
    };
    Ok(Message { message: one_line(&message, 2000) })
}

pub(crate) fn create_snapshot(manager: &Manager, asked: SnapshotParams) -> ProcessResult<Message> {
    let running = match asked.name {
        Some(name) => manager.save_snapshot(&name.parse()?, false)?.running,
        None => manager.take_snapshot()?,
    };
    Ok(Message { message: format!("{} processes run: restore_snapshot starts them again", running.len()) })
}

pub(crate) fn restore_snapshot(manager: &Manager, asked: SnapshotParams) -> ProcessResult<Message> {
    let heard = RecordingReporter::default();
    let results = match asked.name {
        Some(name) => Handle::current().block_on(manager.restore(&name.parse()?, &NonInteractive, &heard))?,
        None => manager.restore_snapshot()?,
    };
    let (mut names, mut told) = (Vec::new(), heard.lines());
    for (id, result) in &results {
        match result {
            Ok(started) if started.is_new => names.push(id.as_str()),
            Ok(_) => {}
            Err(error) => told.push(format!("not started: {error}")),
        }
    }
    if !names.is_empty() {
        told.insert(0, format!("started {}", names.join(", ")));
    }
    let message = if told.is_empty() { "nothing was to be started".to_owned() } else { told.join("; ") };
    Ok(Message { message: one_line(&message, 2000) })
}

pub(crate) async fn echo(_: Arc<Context>, asked: Echo, _: Call) -> Result<Message, CallError> {
    Ok(Message { message: bounds::truncate_text(asked.message, bounds::MAX_RESULT_BYTES) })
}

pub(crate) async fn ping(_: Arc<Context>, _: NoArguments, _: Call) -> Result<Message, CallError> {
    Ok(Message { message: "pong".into() })
}

pub(crate) fn get_status(manager: &Manager, _: NoArguments) -> ProcessResult<Status> {
    let all = manager.list()?;
    let found = Attention::collect(manager.home(), manager.project().directory()).items.into_iter();
    // Of other projects, an agent learns nothing.
    let attention = found.filter(|item| !item.is_elsewhere);
    let item =
        |AttentionItem { severity, problem, next, .. }| StatusItem { severity: severity.as_str(), problem, next };
    Ok(Status {
        attention: attention.take(MAX_STATUS_ITEMS).map(item).collect(),
        version: env!("CARGO_PKG_VERSION").into(),
        project: manager.project().directory().to_string_lossy().into_owned(),
        processes: all.len(),
        running: all.iter().filter(|status| status.state.is_alive()).count(),
    })
}
