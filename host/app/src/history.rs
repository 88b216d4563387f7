//! Past sessions: taking them in, showing and forgetting them, and what the history is made of.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use aiw_core::{Diagnostic, Plan, PromptError, Prompter, Reporter, pluralize, quoted, to_visible_line};
use aiw_history::{
    ForgetReport, ForgetTarget, HistoryError, HistoryMessage, Import, Indexer, IngestQueue, Launch, Report,
    SessionFilter, SessionView, Store, TranscriptRoot, VectorCoverage, count_excluded, embed_messages,
    embedding_coverage, is_off,
};
use aiw_home::{CliPaths, Home, HomeError, now_millis, rfc3339};
use aiw_launch::ResumeIndex;
use aiw_setup::HookStatus;
use aiw_tasks::{ProcessScope, Task, TaskDescription, Tasks};
use schemars::JsonSchema;
use serde::Serialize;

use crate::own_executable;
use crate::queries::{self, HistorySession};

/// Why past sessions can't be taken in, shown or forgotten.
#[derive(Debug, thiserror::Error)]
pub enum HistoryCommandError {
    /// The history.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The person, or nobody.
    #[error("{}", .0.to_message("nothing was forgotten"))]
    Prompt(#[from] PromptError),
    /// The history has nothing of a directory.
    #[error("the history has nothing of `{}`", .0.display())]
    NotFound(PathBuf),
    /// The time before which messages are to be forgotten is in the future.
    #[error("`--before` names a time to come")]
    TimeInFuture,
}

impl From<HomeError> for HistoryCommandError {
    fn from(e: HomeError) -> Self {
        Self::History(e.into())
    }
}

impl Diagnostic for HistoryCommandError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(self, History, Prompt)
    }

    fn own_hint(&self) -> Option<String> {
        match self {
            Self::NotFound(_) => Some("list the sessions with `aiw history sessions`".into()),
            _ => None,
        }
    }
}

/// `aiw history sessions`
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
pub struct HistorySessions {
    /// The sessions, the latest first
    pub sessions: Vec<HistorySession>,
}

/// `aiw history show`, `aiw history export --format json`
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
pub struct HistoryShow {
    /// The session
    pub session: HistorySession,
    /// Its messages, in their order
    pub messages: Vec<HistoryMessage>,
    /// How many come before them
    pub earlier: usize,
    /// How many come after them
    pub later: usize,
}

impl HistoryShow {
    /// A session, or a part of it.
    pub fn new(part: &SessionView, resumes: &ResumeIndex) -> Self {
        Self {
            session: HistorySession::new(&part.session, resumes),
            messages: part.messages.iter().map(HistoryMessage::new).collect(),
            earlier: part.messages_before,
            later: part.messages_after,
        }
    }
}

/// `aiw history forget`
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
pub struct HistoryForget {
    /// How many sessions have messages less
    pub sessions: usize,
    /// How many messages are gone
    pub messages: usize,
}

/// `aiw history import`, `aiw history watch --once`
#[warn(missing_docs)]
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct HistoryImport {
    /// The transcripts that were looked at
    pub transcripts: usize,
    /// The messages that are new
    pub messages: usize,
    /// The bytes that were read
    pub bytes: u64,
    /// The transcripts in which something could not be read; `aiw history doctor` names them
    pub with_problems: usize,
    /// The messages that were there, and that new rules about secrets have changed
    pub cleaned: usize,
    /// The messages that were taken out, because their projects are excluded now
    pub taken_out: usize,
    /// How long it took, in milliseconds
    pub duration_ms: u64,
}

impl HistoryImport {
    /// Summarises an indexer's report since a moment.
    pub fn new(report: &Report, begun: Instant) -> Self {
        Self {
            transcripts: report.transcripts,
            messages: report.new_messages,
            bytes: report.bytes,
            with_problems: report.partial_transcripts,
            cleaned: report.redacted_messages,
            taken_out: 0,
            duration_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// `aiw history doctor`
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
pub struct HistoryDoctor {
    /// Whether Claude Code tells aiw of its sessions, in any of its settings
    pub hooks_installed: bool,
    /// Each settings file of Claude Code's
    pub hooks: Vec<HookStatus>,
    /// Whether `AIW_HISTORY` switches the history off here
    pub off: bool,
    /// The requests of hooks that were not carried out yet
    pub queued: usize,
    /// How far the messages have vectors of the model in use
    pub embeddings: Option<VectorCoverage>,
    /// The messages that are there although their projects are excluded now
    pub excluded: usize,
    /// The excluded messages, with the number of their sessions
    #[serde(skip)]
    pub excluded_amount: ForgetReport,
    /// The transcripts that there are
    pub transcripts: usize,
    /// The number of transcripts of which nothing was read yet
    pub unread: usize,
    /// Where transcripts, or lines of them, were left out, the latest first
    pub skipped: Vec<HistorySkipped>,
    /// Why secrets of the vault can't be read: their values are not taken out of sessions
    pub unreadable_secrets: Vec<String>,
}

/// A transcript in `aiw history doctor`
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
pub struct HistorySkipped {
    /// The transcript
    pub path: String,
    /// The problem
    pub reason: String,
    /// How often that was seen
    pub count: u64,
    /// When it was last seen
    pub time: String,
}

/// Returns where AI CLIs keep their sessions.
pub fn cli_paths(home: &Home) -> Result<CliPaths, HistoryCommandError> {
    Ok(CliPaths::from_context(home.context()).ok_or(HomeError::HomeNotFound)?)
}

/// Returns the indexer of a home, which knows how tasks were run.
pub fn indexer(home: Home) -> Indexer {
    let tasks = Tasks::open(&home, ProcessScope::All).and_then(|tasks| tasks.list()).unwrap_or_default();
    let launch = |task: Task| {
        let TaskDescription { session, provider, isolated, .. } = task.about;
        Some((session?, Launch { provider, isolated }))
    };
    Indexer::new(home).with_launches(tasks.into_iter().filter_map(launch).collect())
}

/// Says how much is, or would be, gone.
pub fn format_forgotten(forgot: &ForgetReport) -> String {
    format!("{} of {}", pluralize(forgot.messages, "message"), pluralize(forgot.sessions, "session"))
}

/// Tells what an indexer did.
pub fn report_import(report: &Report, sink: &dyn Reporter) {
    let Report {
        transcripts,
        new_messages: stored,
        partial_transcripts: with_problems,
        redacted_messages: cleaned,
        ..
    } = report;
    let done = |line: String| sink.done(line);
    done(format!("{} from {}", pluralize(*stored, "new message"), pluralize(*transcripts, "transcript")));
    if *cleaned > 0 {
        done(format!("{} changed by new rules about secrets", pluralize(*cleaned, "older message")));
    }
    if *with_problems > 0 {
        done(format!("{with_problems} could not be read whole: `aiw history doctor` says why"));
    }
}

/// Takes in the transcripts at a path, or all that there are. What is excluded now is taken out, after a question.
/// `progress` gets the bytes that were read and those that there are.
pub async fn import(
    home: &Home,
    path: Option<&Path>,
    ask: &dyn Prompter,
    sink: &dyn Reporter,
    progress: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<HistoryImport, HistoryCommandError> {
    let begun = Instant::now();
    let places = cli_paths(home)?;
    if is_off(home) {
        sink.done("nothing was read: `AIW_HISTORY` is off".into());
        return Ok(HistoryImport::new(&Report::default(), begun));
    }
    let found = match path {
        Some(path) => Import::find_at_path(path, &places, home)?,
        None => Import::find_all(&places).into_iter().chain(Import::find_in_redirected_homes(home)).collect(),
    };
    let taken_out = take_out_excluded(home, ask, sink).await?;
    let report = indexer(home.clone()).import(&found, &places, progress)?;
    report_import(&report, sink);
    let answer = HistoryImport { taken_out, ..HistoryImport::new(&report, begun) };
    // A model may have come, or changed, since the messages did.
    if let Some(store) = Store::open_existing(&home.history())?
        && let Some(coverage) = embedding_coverage(home, &store)?
    {
        if coverage.total - coverage.done <= MAX_IMMEDIATE_VECTORS {
            embed_messages(home, &store);
        } else {
            sink.note(format!("meaning: {coverage}; `aiw model status` shows how far it is"));
            Indexer::start_if_enabled(home, own_executable);
        }
    }
    Ok(answer)
}

/// So many messages get their vectors at once. More are given theirs in the background.
const MAX_IMMEDIATE_VECTORS: u64 = 100;

/// Takes out what is excluded now, if the person agrees. Returns how many messages that were.
async fn take_out_excluded(home: &Home, ask: &dyn Prompter, sink: &dyn Reporter) -> Result<usize, HistoryCommandError> {
    let Some(store) = Store::open_existing(&home.history())? else { return Ok(0) };
    let excluded = count_excluded(home, &store)?;
    if excluded.messages == 0 {
        return Ok(0);
    }
    let what = format!("{}, of projects that are excluded now", format_forgotten(&excluded));
    match ask.confirm(&Plan::new(format!("Take {what}, out of the history?")), &[]).await {
        Ok(_) => {}
        Err(PromptError::Declined) => return Ok(0),
        Err(PromptError::NotInteractive { .. } | PromptError::Unsupported) => {
            sink.note(format!("the history still has {what}: `aiw history import --yes` takes them out"));
            return Ok(0);
        }
        Err(e) => return Err(e.into()),
    }
    let taken = aiw_history::remove_excluded(home, &store)?;
    sink.done(format!("took out {}", format_forgotten(&taken)));
    Ok(taken.messages)
}

/// Returns sessions, the latest first.
pub fn sessions(home: &Home, wanted: &SessionFilter<'_>) -> Result<HistorySessions, HistoryCommandError> {
    let (all, resumes) = (Store::open(&home.history())?.sessions(wanted)?, ResumeIndex::new(home));
    Ok(HistorySessions { sessions: all.iter().map(|session| HistorySession::new(session, &resumes)).collect() })
}

/// Returns the directories that sessions worked in. Without a history there are none.
pub fn projects(home: &Home) -> Result<Vec<String>, HistoryCommandError> {
    Ok(Store::open_read_only(&home.history())?.map_or_else(|| Ok(Vec::new()), |store| store.projects())?)
}

/// A choice of messages to forget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForgetRequest {
    /// A session, or a project by its directory: what has a slash, `.` and `..` are directories.
    SessionOrProject(String),
    /// Messages from before a time, in milliseconds since 1970.
    Before(i64),
}

/// Returns what is forgotten, in parentheses after the amount.
fn subject(forget: &ForgetTarget<'_>) -> String {
    match forget {
        ForgetTarget::Session(id) => format!("session {}", quoted(id)),
        ForgetTarget::Project(directory) => format!("in `{}`", to_visible_line(&directory.to_string_lossy())),
        ForgetTarget::Before(time) => format!("before {}", rfc3339(u64::try_from(*time).unwrap_or_default())),
    }
}

/// Forgets sessions, after a question if there is anything to forget.
pub async fn forget(
    home: &Home,
    cwd: &Path,
    request: &ForgetRequest,
    ask: &dyn Prompter,
) -> Result<HistoryForget, HistoryCommandError> {
    let store = Store::open(&home.history())?;
    let directory = match request {
        // Session ids have no slashes.
        ForgetRequest::SessionOrProject(name) if name.contains('/') || name == "." || name == ".." => {
            Some(queries::directory(cwd, Path::new(name)))
        }
        _ => None,
    };
    let forget = match (request, &directory) {
        (_, Some(directory)) => ForgetTarget::Project(directory),
        (ForgetRequest::SessionOrProject(session), None) => ForgetTarget::Session(session),
        (ForgetRequest::Before(before), None) if *before > i64::try_from(now_millis()).unwrap_or(i64::MAX) => {
            return Err(HistoryCommandError::TimeInFuture);
        }
        (ForgetRequest::Before(before), None) => ForgetTarget::Before(*before),
    };
    let would = store.preview_forget(&forget)?;
    match directory {
        Some(directory) if would.messages == 0 => return Err(HistoryCommandError::NotFound(directory)),
        _ if would.messages > 0 => {
            let mut plan = Plan::new(format!("Forget {} ({})?", format_forgotten(&would), subject(&forget)));
            plan.add_hidden_bytes(format!("{request:?} {directory:?}").as_bytes());
            ask.confirm(&plan, &[]).await?;
        }
        _ => {}
    }
    let ForgetReport { sessions, messages } = store.forget(&forget)?;
    Ok(HistoryForget { sessions, messages })
}

/// Looks at what the history is made of, with the hooks that are known. Nothing is changed.
pub fn inspect(home: &Home, hooks: Vec<HookStatus>) -> Result<HistoryDoctor, HistoryCommandError> {
    let store = Store::open_read_only(&home.history())?;
    let (known, problems, embeddings) = match &store {
        Some(store) => {
            (store.transcript_paths()?.into_iter().collect(), store.problems()?, embedding_coverage(home, store)?)
        }
        None => (HashSet::new(), Vec::new(), None),
    };
    let excluded: ForgetReport = store.as_ref().and_then(|store| count_excluded(home, store).ok()).unwrap_or_default();
    let found: Vec<TranscriptRoot> =
        Import::find_all(&cli_paths(home)?).into_iter().chain(Import::find_in_redirected_homes(home)).collect();
    let skipped = problems.into_iter().map(|problem| HistorySkipped {
        path: problem.path.to_string_lossy().into_owned(),
        reason: problem.reason,
        count: problem.count,
        time: rfc3339(u64::try_from(problem.time).unwrap_or_default()),
    });
    Ok(HistoryDoctor {
        hooks_installed: hooks.iter().any(|status| status.installed && !status.disabled),
        hooks,
        off: is_off(home),
        queued: IngestQueue::new(home).len(),
        embeddings,
        excluded: excluded.messages,
        excluded_amount: excluded,
        transcripts: found.iter().map(TranscriptRoot::len).sum(),
        unread: found.iter().flat_map(TranscriptRoot::paths).filter(|path| !known.contains(path)).count(),
        skipped: skipped.collect(),
        unreadable_secrets: home.vault().values().1.iter().map(ToString::to_string).collect(),
    })
}
