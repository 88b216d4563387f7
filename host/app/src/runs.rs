//! Runs of AI CLIs: preparing them, starting them, and attending to them until they end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aiw_core::{ErrorKind, ProcessId, PromptError, Prompter, Reporter};
use aiw_history::{
    Launch, is_off, is_off_value, log, mark_session_private, mark_sessions_private_since, record_launch,
};
use aiw_home::{ExecutionContext, HISTORY_VARIABLE, Home, HomeError, run_blocking};
use aiw_launch::{
    Advice, AiwServer, LaunchError, PreparedRun, ProcessSession, RunRequest, advice, describe_state,
    trust_prompt_directory,
};
use aiw_routing::Pool;
use aiw_tasks::{
    Outcome, ProcessScope, QueueLimit, RetentionPolicy, State, Task, TaskError, Tasks, unenforced_limits_warning,
};
use futures::future::BoxFuture;
use tokio::runtime::Handle;

use crate::reach::ComponentClient;
use crate::trust::{self, TrustError};
use crate::{AppError, ClientSession, accounts, health, own_executable, own_path};

/// Prepares a run of a client. It is private if the user says so, or if the task is that it is started in.
pub fn prepare(client: &ClientSession, mut request: RunRequest) -> BoxFuture<'_, Result<PreparedRun, AppError>> {
    Box::pin(async move {
        let home = client.home();
        request.private = is_private(&request, home, client.session().task);
        if request.private {
            // Its hooks, and what it starts itself, are told as well.
            request.env.extend(HISTORY_VARIABLE.parse().ok().map(|name| (name, "off".to_owned())));
        }
        let mut prepared = client.launcher()?.prepare(&request).await?;
        let over = accounts::check(home, &prepared, request.should_start)?;
        prepared.notes.extend(over);
        let (theirs, limits) = (home.clone(), request.limits);
        let looked = move || (unenforced_limits_warning(limits), health::start_daemon(&theirs));
        let (unlimited, woken) = run_blocking(looked).await;
        prepared.notes.extend(unlimited);
        prepared.notes.extend(woken.err().map(|error| error.to_string()));
        Ok(prepared)
    })
}

/// Asks whether the user trusts the project of a run, where its CLI would ask nobody and nobody has answered yet. A no is
/// remembered, and the run then goes on without what the project brings.
///
/// # Errors
///
/// Fails if the user stops, or the settings can't be read or written.
pub async fn ask_for_trust(
    home: &Home,
    request: &RunRequest,
    ask: &dyn Prompter,
    sink: &dyn Reporter,
) -> Result<(), TrustError> {
    let mut asked = None;
    // The project, and then each directory of it that brings more.
    while let Some(directory) =
        trust_prompt_directory(home, request)?.filter(|directory| asked.as_ref() != Some(directory))
    {
        match trust::add(home, directory.clone(), ask, sink).await {
            Ok(_) => asked = Some(directory),
            Err(TrustError::Prompt(PromptError::Declined)) => return trust::decline(home, &directory),
            Err(error @ (TrustError::Prompt(_) | TrustError::Home(HomeError::Busy { .. }))) => return Err(error),
            // The run goes on without it.
            Err(error) => {
                sink.note(error.to_string());
                break;
            }
        }
    }
    Ok(())
}

/// Returns whether a run is to be kept out of the history.
fn is_private(request: &RunRequest, home: &Home, above: Option<ProcessId>) -> bool {
    if request.private {
        return true;
    }
    let given = request.env.iter().rev().find(|(name, _)| name.as_str() == HISTORY_VARIABLE);
    if given.map_or_else(|| is_off(home), |(_, value)| is_off_value(value)) {
        return true;
    }
    is_private_task(home, above)
}

/// Returns whether a session is kept out of the history.
pub fn is_private_session(home: &Home, session: &ProcessSession) -> bool {
    is_off(home) || is_private_task(home, session.task)
}

/// Returns whether the task that a session is in is private. A CLI may not pass its variables on.
fn is_private_task(home: &Home, task: Option<ProcessId>) -> bool {
    let Some(task) = task else { return false };
    // One that can't be read may be private.
    Tasks::open(home, ProcessScope::All).and_then(|tasks| tasks.get(task)).map_or(true, |task| task.about.private)
}

/// The toolset that a run gets from aiw's own server where the settings name none. A run may call each of its tools, so what
/// starts processes is among them only if the user has said so.
pub const DEFAULT_TOOLSET: &str = "default";

/// Returns aiw's own MCP server as the only one of a run.
///
/// # Errors
///
/// Fails if the settings or aiw's own path can't be read.
pub fn own_server(home: &Home, profile: Option<String>) -> Result<AiwServer, AppError> {
    let toolsets = home.settings()?.mcp()?.toolsets.is_none().then(|| DEFAULT_TOOLSET.to_owned());
    Ok(AiwServer { command: own_path()?, profile, toolsets })
}

/// Starts a prepared run as a task of the client's session. If the limit of running tasks is reached, it waits for its
/// turn, or fails without `may_queue`.
pub fn start(client: &ClientSession, prepared: PreparedRun, may_queue: bool) -> Result<Task, AppError> {
    let queue = QueueLimit { limit: client.home().settings()?.tasks()?.limit, may_queue };
    Ok(prepared.start(client.home(), client.session(), &own_executable()?, queue)?)
}

impl ComponentClient for ClientSession {
    fn cwd(&self) -> PathBuf {
        Self::cwd(self).to_owned()
    }

    fn servers(&self) -> Arc<Pool> {
        self.pool().clone()
    }

    fn tasks(&self) -> Result<Tasks, AppError> {
        Self::tasks(self).cloned()
    }

    fn start(&self, request: RunRequest, runtime: &Handle) -> Result<Task, AppError> {
        start(self, runtime.block_on(prepare(self, request))?, true)
    }
}

/// Removes old tasks. A problem is left to the next time.
pub fn prune_tasks(home: &Home) {
    if let Ok(tasks) = Tasks::open(home, ProcessScope::All) {
        let _ = tasks.prune(RetentionPolicy::default());
    }
}

/// Runs a prepared CLI in the foreground of this terminal, and notes of its sessions what the history needs to know.
/// Returns its exit code. Without a provider, the CLI of a run that is not private replaces this process.
pub fn interact(home: &Home, prepared: PreparedRun) -> Result<i32, LaunchError> {
    let launch =
        Launch { provider: prepared.provider.as_ref().map(ToString::to_string), isolated: prepared.is_isolated() };
    let (private, cli, cwd, begun) =
        (prepared.is_private(), prepared.cli.kind, prepared.cwd().to_owned(), SystemTime::now());
    let (code, sessions) = prepared.exec(home)?;
    if private && sessions.is_empty() {
        // This CLI does not say which session it is in.
        if let Err(e) = mark_sessions_private_since(home, cli, &cwd, begun) {
            log(home, &format!("that a session is private can't be noted: {e}"));
        }
    }
    for session in &sessions {
        let (what, noted) = if private {
            ("that a session is private", mark_session_private(home, session, begun))
        } else {
            ("the provider of a session", record_launch(home, session, &launch).map_err(Into::into))
        };
        if let Err(e) = noted {
            log(home, &format!("{what} can't be noted: {e}"));
        }
    }
    Ok(code)
}

/// Notes a private session as soon as its CLI names it: nothing of it is indexed later, whatever becomes of the task. What
/// an indexer has read of it since the CLI began is taken out. This runs in the shim.
pub fn record_private_session(task: &aiw_tasks::TaskDescription, session: &str, since: SystemTime) {
    let Ok(home) = Home::find(ExecutionContext::from_process()) else { return };
    if task.private
        && let Err(e) = mark_session_private(&home, session, since)
    {
        log(&home, &format!("that a session is private can't be noted: {e}"));
    }
}

/// How long a CLI may try to reach a provider whose host name does not resolve. Codex alone would try for ten minutes.
const UNREACHABLE_TIMEOUT: Duration = Duration::from_secs(20);

/// A task that somebody watches until it has ended.
pub struct TaskWatcher {
    /// Why the provider can't be reached.
    unreachable: Option<String>,
    begun: Instant,
    has_stopped: bool,
    is_unwatched: bool,
    said: String,
}

/// Why a task is stopped by whoever watches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The user or a component asked for it.
    Requested,
    /// Its provider can't be reached.
    Unreachable,
}

/// How a task ended, in words and as an exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskOutcome {
    /// The exit code for whoever watched it.
    pub code: u8,
    /// The problem. `None` if the task succeeded.
    pub problem: Option<TaskProblem>,
}

/// Why a task has not succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskProblem {
    /// A sentence.
    pub message: String,
    /// The kind of the problem.
    pub kind: ErrorKind,
    /// The next step.
    pub hint: String,
}

impl TaskWatcher {
    /// Begins to watch a task. `unreachable` says why its provider can't be reached, if that is known.
    pub fn new(unreachable: Option<String>) -> Self {
        let said = String::new();
        Self { unreachable, begun: Instant::now(), has_stopped: false, is_unwatched: false, said }
    }

    /// Hears what the task says. The end of it may tell why it failed.
    pub fn push_output(&mut self, more: &str) {
        const MAX_LINE_BYTES: usize = 8 << 10;

        self.said.push_str(more);
        if self.said.len() > 2 * MAX_LINE_BYTES {
            let from = self.said.ceil_char_boundary(self.said.len() - MAX_LINE_BYTES);
            self.said.drain(..from);
        }
    }

    /// Stops the task if that is asked for, or if it is hopeless: nothing answers, and it has tried for a while. Returns
    /// why, once.
    pub fn check(
        &mut self,
        tasks: &Tasks,
        task: &Task,
        has_answered: bool,
        is_asked: bool,
    ) -> Result<Option<StopReason>, TaskError> {
        if self.has_stopped || task.state == State::Ended {
            return Ok(None);
        }
        let is_hopeless = self.unreachable.is_some() && !has_answered && self.begun.elapsed() > UNREACHABLE_TIMEOUT;
        let why = match (is_hopeless, is_asked) {
            (true, _) => StopReason::Unreachable,
            (_, true) => StopReason::Requested,
            _ => return Ok(None),
        };
        self.has_stopped = true;
        self.is_unwatched = is_hopeless;
        tasks.stop(task.id, false)?;
        Ok(Some(why))
    }

    /// Returns how the task has ended. `signal` is the signal that asked to stop it, or 0.
    pub fn outcome(&self, task: &Task, signal: u8) -> TaskOutcome {
        let code = match (task.outcome, task.exit_code) {
            (Some(Outcome::Succeeded), _) => return TaskOutcome { code: 0, problem: None },
            (Some(Outcome::Timeout), _) => 124,
            (Some(Outcome::Signalled), _) if signal != 0 => 128 + signal,
            (Some(Outcome::Signalled), _) => {
                128 + task.signal.and_then(|s| u8::try_from(s).ok()).filter(|s| *s < 128).unwrap_or(15)
            }
            (_, Some(code)) if code != 0 => u8::try_from(code).unwrap_or(1),
            _ => 1,
        };
        if let Some(problem) = self.unreachable.as_ref().filter(|_| self.is_unwatched) {
            let message = format!("{problem}; task {} was stopped", task.id);
            let (kind, hint) = (ErrorKind::Unavailable, "with `--no-check`, aiw lets the CLI try on".to_owned());
            return TaskOutcome { code: kind.exit_code(), problem: Some(TaskProblem { message, kind, hint }) };
        }
        let how = match (task.outcome, task.signal) {
            (Some(Outcome::Timeout), _) => "timed out".to_owned(),
            (Some(Outcome::Lost), _) => "was lost".to_owned(),
            (Some(Outcome::Signalled), _) if signal != 0 || task.stopped => "was stopped".to_owned(),
            (Some(Outcome::Signalled), Some(number)) => format!("was ended by signal {number}"),
            _ => describe_state(task),
        };
        let advice = advice(task.about.cli, task.about.provider.as_deref(), task.exit_code, &self.said);
        if let Some(Advice { reason: why, hint }) = advice.filter(|_| task.outcome == Some(Outcome::Failed)) {
            let why = why.map(|why| format!(": {why}")).unwrap_or_default();
            let message = format!("task {} {how}{why}", task.id);
            return TaskOutcome { code, problem: Some(TaskProblem { message, kind: ErrorKind::User, hint }) };
        }
        let hint = task.note.clone().unwrap_or_else(|| format!("`aiw logs {}` shows what it wrote", task.id));
        let message = format!("task {} {how}", task.id);
        let kind = if signal == 0 { ErrorKind::User } else { ErrorKind::Interrupted };
        TaskOutcome { code, problem: Some(TaskProblem { message, kind, hint }) }
    }
}
