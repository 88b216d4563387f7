//! The processes of a project: the tools of the old Ichimi server under their names, and two more.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_app::own_executable;
use aiw_core::{one_line, star_matches};
use aiw_mcp::Call;
use aiw_processes::{
    CheckOf, Definition, EnvValue, LogEntry, Manager, NeedOf, PageLimits, ProbeOf, ProcessError, ProcessSummary,
    Project, RestartWhen, Run, Source, State, Stream, Until, WaitFor, Waited, is_id,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bounds::{self, first_that_fit};
use crate::context::{Context, Lane};
use crate::error::CallError;

/// The longest that `wait_for_process` waits, in seconds: clients give a call one minute.
const MAX_WAIT: u64 = 45;
/// How many lines of output are shown by default, and at most.
const LINES: usize = 50;
const MAX_LINES: usize = 1000;
/// How long a search through a log may take.
const SEARCH: Duration = Duration::from_secs(5);

/// No arguments.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OneProcess {
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

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateProcess {
    /// A new id: letters, digits, `-`, `_` and `.`
    id: String,
    /// The program, without a shell
    command: String,
    /// Its arguments
    #[serde(default)]
    args: Vec<String>,
    /// Its variables
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// Its directory in the project
    cwd: Option<String>,
    /// Whether restore_snapshot and `aiw up` start it
    #[serde(default)]
    auto_start_on_restore: bool,
    /// When it is started again: no, on-failure, always, unless-stopped
    restart: Option<String>,
    /// It is ready once this port accepts connections
    #[schemars(range(min = 1, max = 65535))]
    ready_port: Option<u64>,
    /// Ids of processes that must run before it starts
    #[serde(default)]
    needs: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateProcess {
    /// The process's id
    id: String,
    command: Option<String>,
    args: Option<Vec<String>>,
    env: Option<BTreeMap<String, String>>,
    cwd: Option<String>,
    auto_start_on_restore: Option<bool>,
}

/// Which output.
#[derive(Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub(crate) enum OutputStream {
    Stdout,
    Stderr,
    #[default]
    Both,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProcessOutputOf {
    /// The process's id
    id: String,
    #[serde(default)]
    stream: OutputStream,
    /// How many lines
    #[schemars(range(min = 1, max = 1000))]
    lines: Option<u64>,
    /// The position to read on from: `next` of an earlier answer. Without it, the last lines
    #[schemars(extend("maximum" = 9_007_199_254_740_991_u64))]
    from: Option<u64>,
    /// Only lines that contain this; `*` stands for any text
    contains: Option<String>,
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

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WaitUntil {
    #[default]
    Ready,
    Ended,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportProcesses {
    /// A file in the project; without it, the text is the answer
    file_path: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportProcesses {
    /// A file in the project, in KDL
    file_path: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Echo {
    message: String,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct ProcessAnswer {
    /// What was done, and what to call next
    message: String,
    process: ProcessSummary,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct ProcessList {
    processes: Vec<ProcessSummary>,
    /// How many more there are
    left_out: usize,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct ProcessOutput {
    /// What the process wrote, oldest first
    lines: Vec<String>,
    /// What aiw says of it last: started, ended, why
    said: Vec<String>,
    /// The position to read on from
    next: u64,
    /// Whether there is more now
    more: bool,
    /// Whether lines before these are no longer kept
    missed: bool,
    state: &'static str,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct ProcessWait {
    /// Whether what was waited for is so
    done: bool,
    /// What to call next
    message: String,
    process: ProcessSummary,
    /// The line that was waited for
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Message {
    message: String,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Exported {
    message: String,
    /// The text, if no file was named
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Status {
    version: String,
    project: String,
    processes: usize,
    running: usize,
}

/// The processes of the session's project, after what dead supervisors left behind was ended or started again.
fn manager(context: &Context) -> Result<Manager, CallError> {
    let manager = Manager::open(&context.home, Project::find(context.client.cwd())?)?;
    manager.look_after(&executable()?)?;
    Ok(manager)
}

/// Does something with the processes of the session's project, in a lane.
async fn on<T: Send + 'static>(
    context: &Arc<Context>,
    lane: &Lane,
    work: impl FnOnce(&Manager) -> Result<T, CallError> + Send + 'static,
) -> Result<T, CallError> {
    let shared = context.clone();
    lane.run(move || work(&manager(&shared)?)).await
}

/// How often a session looks after the processes of its project.
const ROUND: Duration = Duration::from_millis(500);

/// Looks after the processes of the session's project as long as the session lasts: what a dead supervisor left behind
/// ends, and what is to run always is started again.
pub(crate) fn look_after(context: &Arc<Context>) {
    let context = Arc::downgrade(context);
    tokio::spawn(async move {
        // Asking the same one again costs little as long as nothing happens.
        let mut known: Option<Manager> = None;
        loop {
            tokio::time::sleep(ROUND).await;
            let Some(context) = context.upgrade() else { return };
            let before = known.take();
            let look = move || -> Result<Manager, CallError> {
                let project = Project::find(context.client.cwd())?;
                let manager = match before.filter(|before| *before.project() == project) {
                    Some(before) => before,
                    None => Manager::open(&context.home, project)?,
                };
                manager.look_after(&executable()?)?;
                Ok(manager)
            };
            // The next call says what is wrong.
            known = aiw_home::blocking(look).await.ok();
        }
    });
}

fn executable() -> Result<std::path::PathBuf, CallError> {
    Ok(own_executable().map_err(aiw_app::AppError::from)?)
}

fn summary(manager: &Manager, id: &str) -> Result<ProcessSummary, CallError> {
    Ok(ProcessSummary::of(&manager.get(id)?))
}

/// A definition in which a model's words are taken as they stand: no shell, no reference to a secret.
fn definition(asked: &CreateProcess) -> Result<Definition, CallError> {
    if !is_id(&asked.id) {
        return Err(CallError::Wrong {
            name: "id".into(),
            what: "letters, digits, `-`, `_` and `.`, at most 64, and begin with a letter or a digit".into(),
        });
    }
    let argv = std::iter::once(&asked.command).chain(&asked.args).cloned().collect();
    let env = asked.env.iter().map(|(name, value)| (name.clone(), EnvValue::Literal(value.clone()))).collect();
    let mut definition = Definition {
        run: Run::Command(argv),
        cwd: asked.cwd.clone(),
        env,
        auto_start: asked.auto_start_on_restore,
        needs: asked.needs.iter().map(|id| NeedOf { id: id.clone(), until: Until::Ready }).collect(),
        ready: asked.ready_port.map(|port| ProbeOf { check: CheckOf::Tcp(port.to_string()), ..ProbeOf::default() }),
        ..Definition::default()
    };
    if let Some(when) = &asked.restart {
        definition.restart.when = RestartWhen::named(when).ok_or_else(|| CallError::Wrong {
            name: "restart".into(),
            what: "one of no, on-failure, always, unless-stopped".into(),
        })?;
    }
    definition.check().map_err(|problem| ProcessError::Definition { id: asked.id.clone(), problem })?;
    Ok(definition)
}

pub(crate) async fn create_process(
    context: Arc<Context>,
    asked: CreateProcess,
    _: Call,
) -> Result<ProcessAnswer, CallError> {
    let work = move |manager: &Manager| {
        manager.define(&asked.id, &definition(&asked)?)?;
        let process = summary(manager, &asked.id)?;
        Ok(ProcessAnswer { message: "defined: start_process starts it".into(), process })
    };
    on(&context, &context.lanes.look, work).await
}

pub(crate) async fn update_process(
    context: Arc<Context>,
    asked: UpdateProcess,
    _: Call,
) -> Result<ProcessAnswer, CallError> {
    let work = move |manager: &Manager| {
        let status = manager.get(&asked.id)?;
        own_to_change(manager, &status)?;
        // What runs may be of an earlier definition.
        let loaded = manager.load()?;
        let mut definition =
            loaded.definitions.get(&asked.id).map_or(status.definition, |(definition, _)| definition.clone());
        let mut argv = definition.run.argv();
        if let Some(command) = asked.command {
            match argv.first_mut() {
                Some(first) => *first = command,
                None => argv.push(command),
            }
        }
        if let Some(args) = asked.args {
            argv.truncate(1);
            argv.extend(args);
        }
        definition.run = Run::Command(argv);
        if let Some(env) = asked.env {
            definition.env = env.into_iter().map(|(name, value)| (name, EnvValue::Literal(value))).collect();
        }
        definition.cwd = asked.cwd.or(definition.cwd);
        definition.auto_start = asked.auto_start_on_restore.unwrap_or(definition.auto_start);
        definition.check().map_err(|problem| ProcessError::Definition { id: asked.id.clone(), problem })?;
        manager.redefine(&asked.id, &definition)?;
        let process = summary(manager, &asked.id)?;
        let message = match process.pid {
            Some(_) => "it runs as before: restart_process starts it as it is defined now",
            None => "start_process starts it",
        };
        Ok(ProcessAnswer { message: message.into(), process })
    };
    on(&context, &context.lanes.look, work).await
}

/// Refuses to change what the project's file defines: that is the user's.
fn own_to_change(manager: &Manager, status: &aiw_processes::Status) -> Result<(), CallError> {
    match status.source {
        Some(Source::File) => Err(CallError::InFile { id: status.id.clone(), file: manager.project().file() }),
        _ => Ok(()),
    }
}

pub(crate) async fn start_process(
    context: Arc<Context>,
    asked: OneProcess,
    _: Call,
) -> Result<ProcessAnswer, CallError> {
    let work = move |manager: &Manager| {
        let started = manager.start(&executable()?, &asked.id)?;
        let process = ProcessSummary::of(&started.status);
        let message = match (started.is_new, started.status.state) {
            (false, _) => "it runs already",
            (true, State::Failed) => "it did not start: get_process_output shows why",
            (true, _) => "started: wait_for_process waits until it is ready, get_process_output shows what it writes",
        };
        Ok(ProcessAnswer { message: message.into(), process })
    };
    on(&context, &context.lanes.start, work).await
}

pub(crate) async fn stop_process(
    context: Arc<Context>,
    asked: StopProcess,
    _: Call,
) -> Result<ProcessAnswer, CallError> {
    let work = move |manager: &Manager| {
        let (status, ran) = manager.stop_within(&asked.id, asked.grace_period_ms.map(Duration::from_millis))?;
        let message = if ran { "stopped, with all that it started" } else { "it did not run" };
        Ok(ProcessAnswer { message: message.into(), process: ProcessSummary::of(&status) })
    };
    on(&context, &context.lanes.stop, work).await
}

pub(crate) async fn restart_process(
    context: Arc<Context>,
    asked: OneProcess,
    _: Call,
) -> Result<ProcessAnswer, CallError> {
    let work = move |manager: &Manager| {
        // What can't be started again is not stopped.
        manager.check_start(&manager.load()?, std::slice::from_ref(&asked.id))?;
        manager.stop(&asked.id)?;
        let started = manager.start(&executable()?, &asked.id)?;
        let message = "started again: wait_for_process waits until it is ready".into();
        Ok(ProcessAnswer { message, process: ProcessSummary::of(&started.status) })
    };
    on(&context, &context.lanes.stop, work).await
}

pub(crate) async fn get_process_status(
    context: Arc<Context>,
    asked: OneProcess,
    _: Call,
) -> Result<ProcessAnswer, CallError> {
    let work = move |manager: &Manager| {
        let status = manager.get(&asked.id)?;
        let one = std::slice::from_ref(&status);
        let (used, ports) = (manager.usage(one).pop().flatten(), manager.ports(one).pop().unwrap_or_default());
        let message = match status.state {
            State::NotStarted | State::Stopped => "start_process starts it",
            State::Failed | State::CrashLooping => "get_process_output shows its last lines",
            State::Starting => "wait_for_process waits until it is ready",
            State::Running | State::Unhealthy | State::Stopping => "get_process_output shows what it writes",
        };
        Ok(ProcessAnswer {
            message: message.into(),
            process: ProcessSummary::of(&status).with_usage(used).with_ports(ports),
        })
    };
    on(&context, &context.lanes.look, work).await
}

pub(crate) async fn list_processes(
    context: Arc<Context>,
    asked: ListProcesses,
    _: Call,
) -> Result<ProcessList, CallError> {
    let work = move |manager: &Manager| {
        let filter = asked.filter;
        let is_wanted = |status: &aiw_processes::Status| {
            let has_state = match filter.state {
                StateFilter::All => true,
                StateFilter::Running => status.state.is_alive(),
                StateFilter::Stopped => matches!(status.state, State::Stopped | State::NotStarted),
                StateFilter::Failed => status.state == State::Failed,
            };
            has_state && filter.name_pattern.as_ref().is_none_or(|pattern| star_matches(pattern, &status.id))
        };
        let all: Vec<_> = manager.list()?.into_iter().filter(is_wanted).collect();
        let all = all
            .iter()
            .zip(manager.ports(&all))
            .map(|(status, ports)| ProcessSummary::of(status).with_ports(ports))
            .collect();
        let (processes, left_out) = first_that_fit(all);
        Ok(ProcessList { processes, left_out })
    };
    on(&context, &context.lanes.look, work).await
}

/// As many of what aiw says of a process are shown.
const NOTES: usize = 10;

/// A pattern that may stand anywhere in a line.
fn anywhere(text: &str) -> String {
    format!("*{text}*")
}

pub(crate) async fn get_process_output(
    context: Arc<Context>,
    asked: ProcessOutputOf,
    _: Call,
) -> Result<ProcessOutput, CallError> {
    let work = move |manager: &Manager| {
        let log = manager.log(&asked.id)?;
        let pattern = asked.contains.as_deref().map(anywhere);
        let is_wanted = |entry: &LogEntry| {
            let of_stream = match (asked.stream, entry.stream) {
                (OutputStream::Both, stream) => stream != Stream::Aiw,
                (OutputStream::Stdout, stream) => stream == Stream::Stdout,
                (OutputStream::Stderr, stream) => stream == Stream::Stderr,
            };
            let fits = |pattern: &String| star_matches(pattern, &entry.text());
            of_stream && pattern.as_ref().is_none_or(fits)
        };
        let most = asked.lines.map_or(LINES, |lines| usize::try_from(lines).unwrap_or(LINES)).min(MAX_LINES);
        let state = manager.get(&asked.id)?.state.as_str();
        let until = Some(Instant::now() + SEARCH);
        let end = log.end_position().map_err(ProcessError::from)?;
        let last = log.tail(20 * NOTES).map_err(ProcessError::from)?;
        let said: Vec<String> = last.iter().filter(|entry| entry.stream == Stream::Aiw).map(LogEntry::text).collect();
        let said = said[said.len().saturating_sub(NOTES)..].to_vec();
        if let Some(from) = asked.from {
            let limits = PageLimits { lines: most, bytes: bounds::RESULT / 2, until };
            let page = log.page(from.min(end), &is_wanted, limits).map_err(ProcessError::from)?;
            let lines = page.lines.iter().map(|one| bounds::cut(one.entry.text(), 4 << 10)).collect();
            // A position behind the end is of a log that was removed.
            let missed = page.missed || from > end;
            return Ok(ProcessOutput { lines, said, next: page.next, more: page.next < page.end, missed, state });
        }
        // Everything that is kept is looked through, and the last lines are the answer.
        let mut newest = std::collections::VecDeque::new();
        let (mut from, mut missed, mut end) = (0, false, end);
        if pattern.is_none() && asked.stream == OutputStream::Both {
            let (entries, position) = log.tail_with_position(most + 20 * NOTES).map_err(ProcessError::from)?;
            missed = entries.len() >= most;
            newest.extend(entries.iter().filter(|entry| is_wanted(entry)).map(LogEntry::text));
            (from, end) = (position, position);
        }
        let limits = PageLimits { lines: MAX_LINES, bytes: 4 << 20, until };
        while from < end {
            let page = log.page(from, &is_wanted, limits).map_err(ProcessError::from)?;
            newest.extend(page.lines.iter().map(|one| one.entry.text()));
            newest.drain(..newest.len().saturating_sub(most));
            if page.next == from || until.is_some_and(|until| Instant::now() >= until) {
                missed = true;
                break;
            }
            from = page.next;
        }
        newest.drain(..newest.len().saturating_sub(most));
        let lines = bounds::last_that_fit(newest.into());
        Ok(ProcessOutput { lines, said, next: end.max(from), more: false, missed, state })
    };
    on(&context, &context.lanes.look, work).await
}

pub(crate) async fn wait_for_process(
    context: Arc<Context>,
    asked: WaitForProcess,
    call: Call,
) -> Result<ProcessWait, CallError> {
    let cancelled = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let flag = cancelled.clone();
    let work = move |manager: &Manager| wait(manager, &asked, &flag);
    let over = call.cancelled.clone();
    tokio::select! {
        waited = on(&context, &context.lanes.wait, work) => waited,
        () = over.nobody_waits() => {
            cancelled.store(true, std::sync::atomic::Ordering::Relaxed);
            Err(CallError::NobodyWaits)
        }
    }
}

fn wait(
    manager: &Manager,
    asked: &WaitForProcess,
    cancelled: &std::sync::atomic::AtomicBool,
) -> Result<ProcessWait, CallError> {
    let end = Instant::now() + Duration::from_secs(asked.timeout_seconds.unwrap_or(MAX_WAIT).min(MAX_WAIT));
    let what = match (&asked.line, asked.until) {
        (Some(line), _) => WaitFor::Line(anywhere(line)),
        (None, WaitUntil::Ready) => WaitFor::Ready,
        (None, WaitUntil::Ended) => WaitFor::Ended,
    };
    let Waited { status, done, line } = manager.wait(&asked.id, &what, Some(end), cancelled)?;
    let message = match (done, status.state.is_alive()) {
        (true, _) => "it is so",
        (false, false) if status.record.is_none() => "it was not started: start_process starts it",
        (false, false) => "it does not run: get_process_output shows its last lines",
        (false, true) => "not yet: call wait_for_process again",
    };
    let line = line.map(|entry| bounds::cut(entry.text(), 4 << 10));
    Ok(ProcessWait { done, message: message.into(), process: ProcessSummary::of(&status), line })
}

pub(crate) async fn remove_process(context: Arc<Context>, asked: OneProcess, _: Call) -> Result<Message, CallError> {
    let work = move |manager: &Manager| {
        let status = manager.get(&asked.id)?;
        own_to_change(manager, &status)?;
        manager.check_unneeded(&asked.id)?;
        manager.stop(&asked.id)?;
        manager.undefine(&asked.id)?;
        manager.forget(&asked.id)?;
        Ok(Message { message: format!("removed `{}`, with its log", asked.id) })
    };
    on(&context, &context.lanes.stop, work).await
}

pub(crate) async fn export_processes(
    context: Arc<Context>,
    asked: ExportProcesses,
    _: Call,
) -> Result<Exported, CallError> {
    let work = move |manager: &Manager| {
        let (text, hidden) = manager.exported(&manager.load()?);
        let missing = match hidden.as_slice() {
            [] => String::new(),
            ids => format!("; `[secret]` stands for values that are not shown, in {}", one_line(&ids.join(", "), 300)),
        };
        let Some(path) = &asked.file_path else {
            let text = bounds::cut(text, bounds::RESULT);
            return Ok(Exported { message: format!("the definitions in KDL{missing}"), text: Some(text) });
        };
        let written = manager.write_inside(path, &text)?;
        let message = format!("written to `{}`{missing}", one_line(&written.to_string_lossy(), 300));
        Ok(Exported { message, text: None })
    };
    on(&context, &context.lanes.look, work).await
}

pub(crate) async fn import_processes(
    context: Arc<Context>,
    asked: ImportProcesses,
    _: Call,
) -> Result<Message, CallError> {
    let work = move |manager: &Manager| {
        let names = manager.import(Path::new(&asked.file_path))?;
        let message = match names.as_slice() {
            [] => "the file defines no processes".to_owned(),
            names => format!("defined {}: start_process starts one", names.join(", ")),
        };
        Ok(Message { message: one_line(&message, 2000) })
    };
    on(&context, &context.lanes.look, work).await
}

pub(crate) async fn create_snapshot(context: Arc<Context>, _: Nothing, _: Call) -> Result<Message, CallError> {
    let work = move |manager: &Manager| {
        let names = manager.take_snapshot()?;
        Ok(Message { message: format!("{} processes run: restore_snapshot starts them again", names.len()) })
    };
    on(&context, &context.lanes.look, work).await
}

pub(crate) async fn restore_snapshot(context: Arc<Context>, _: Nothing, _: Call) -> Result<Message, CallError> {
    let work = move |manager: &Manager| {
        let started = manager.restore_snapshot(&executable()?)?;
        let (mut names, mut failed) = (Vec::new(), Vec::new());
        for (id, result) in &started {
            match result {
                Ok(started) if started.is_new => names.push(id.as_str()),
                Ok(_) => {}
                Err(error) => failed.push(format!("not started: {error}")),
            }
        }
        if !names.is_empty() {
            failed.insert(0, format!("started {}", names.join(", ")));
        }
        let message = if failed.is_empty() { "nothing was to be started".to_owned() } else { failed.join("; ") };
        Ok(Message { message: one_line(&message, 2000) })
    };
    on(&context, &context.lanes.start, work).await
}

pub(crate) async fn echo(_: Arc<Context>, asked: Echo, _: Call) -> Result<Message, CallError> {
    Ok(Message { message: bounds::cut(asked.message, bounds::RESULT) })
}

pub(crate) async fn ping(_: Arc<Context>, _: Nothing, _: Call) -> Result<Message, CallError> {
    Ok(Message { message: "pong".into() })
}

pub(crate) async fn get_status(context: Arc<Context>, _: Nothing, _: Call) -> Result<Status, CallError> {
    let work = move |manager: &Manager| {
        let all = manager.list()?;
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").into(),
            project: manager.project().directory().to_string_lossy().into_owned(),
            processes: all.len(),
            running: all.iter().filter(|status| status.state.is_alive()).count(),
        })
    };
    on(&context, &context.lanes.look, work).await
}
