//! Results that the command line, the MCP server and the screens show alike.

use futures::future::BoxFuture;
use std::borrow::Borrow;
use std::path::{Path, PathBuf};

use aiw_core::{CliKind, pluralize};
use aiw_history::{DAMAGED_MESSAGE, HistoryError, HistoryQuery, Indexer, Launch, PastSession, SessionHit, Store};
use aiw_home::{Home, format_rfc3339};
use aiw_launch::{EndedSession, ResumeIndex, ResumePlan};
use aiw_registries::{MergedSearch, Registries, RegistryError, rank, semantic_rank_limit, start_sync};
use aiw_routing::CurrentEmbeddings;
use aiw_vectors::Embedder;
use schemars::JsonSchema;
use serde::Serialize;

use crate::own_executable;

/// The result of a search through past sessions.
pub struct SessionSearchResult {
    /// The messages, the best first.
    pub hits: Vec<SessionHit>,
    /// How many sessions have ended and are not read yet.
    pub pending_sessions: usize,
    /// Whether stored texts have not gone through today's rules about secrets.
    pub is_outdated: bool,
    /// Why nothing was found.
    pub empty_reason: Option<EmptyReason>,
}

/// Why a search found nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmptyReason {
    /// The history was damaged, and is being made anew.
    Damaged,
    /// The history has no messages.
    Empty,
    /// None of the messages fits.
    NoMatch {
        /// How many messages there are.
        messages: u64,
    },
}

impl EmptyReason {
    /// Says it in a sentence. `fill` follows where the history is empty.
    pub fn to_message(self, fill: &str) -> String {
        match self {
            Self::Damaged => DAMAGED_MESSAGE.to_owned(),
            Self::Empty => format!("the history is empty: {fill}"),
            Self::NoMatch { messages } => format!("nothing like this in {}", pluralize(messages, "message")),
        }
    }
}

/// Searches past sessions. What hooks asked for is taken in first, as far as that takes no longer than two seconds; what
/// is left over, or out of date, is seen to afterwards by an indexer. `embedder` returns the model to search by meaning
/// with, and is asked only if messages have vectors.
pub fn search<M: Borrow<Embedder>, E: From<HistoryError>>(
    home: &Home,
    query: &HistoryQuery<'_>,
    embedder: impl FnOnce() -> Result<Option<M>, E>,
) -> Result<SessionSearchResult, E> {
    let waiting = Indexer::catch_up(home, own_executable);
    let Some(store) = Store::open_existing(&home.history())? else {
        Indexer::start_if_needed(home, None, own_executable);
        return Ok(SessionSearchResult {
            hits: Vec::new(),
            pending_sessions: waiting,
            is_outdated: false,
            empty_reason: Some(EmptyReason::Empty),
        });
    };
    // Settings that can't be read are no reason to find nothing.
    let is_outdated = aiw_history::is_outdated(home, &store).unwrap_or(false);
    let embedder = if store.has_vectors()? { embedder()? } else { None };
    let hits = store.search(query, embedder.as_ref().map(Borrow::borrow))?;
    let nothing = match hits.is_empty() {
        false => None,
        true => Some(match store.stats()?.messages {
            0 if store.needs_rebuild()? => EmptyReason::Damaged,
            0 => EmptyReason::Empty,
            messages => EmptyReason::NoMatch { messages },
        }),
    };
    Indexer::start_if_needed(home, Some(&store), own_executable);
    Ok(SessionSearchResult { hits, pending_sessions: waiting, is_outdated, empty_reason: nothing })
}

/// Returns a directory as sessions name theirs. One that is gone has sessions still.
pub fn directory(cwd: &Path, path: &Path) -> PathBuf {
    let whole = cwd.join(path);
    std::fs::canonicalize(&whole).unwrap_or(whole)
}

/// Returns how to go on with a session.
pub fn resume(resumes: &ResumeIndex, cli: CliKind, session: &str, directory: &str, launch: &Launch) -> ResumePlan {
    let Launch { provider, isolated } = launch;
    resumes.plan_resume(EndedSession { cli, session, directory, provider: provider.as_deref(), isolated: *isolated })
}

/// A hit of `aiw history search`
#[warn(missing_docs)]
#[derive(Serialize, JsonSchema)]
pub struct HistoryHit {
    /// The session's id, as its CLI has it
    pub session: String,
    /// `claude`, `codex` or `gemini`
    pub cli: &'static str,
    /// The session's directory; empty if unknown
    pub project: String,
    /// When it was said; null if unknown
    pub time: Option<String>,
    /// `user`, `assistant` or `tool`
    pub role: &'static str,
    /// The part of the message that answers best
    pub snippet: String,
    /// The greater, the better; to be compared within one answer only
    pub score: f64,
    /// The provider under which aiw ran the CLI; null if aiw did not, or nothing tells
    pub provider: Option<String>,
    /// The command line that goes on with the session, under the provider that it had
    pub resume: String,
    /// Why that line fails, and what to do instead
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The transcript
    pub path: String,
    /// The message's id in the transcript
    pub uuid: String,
}

impl HistoryHit {
    /// A message that a search found.
    pub fn new(hit: &SessionHit, resumes: &ResumeIndex) -> Self {
        let resume = resume(resumes, hit.cli, &hit.session, &hit.project, &hit.launch);
        Self {
            session: hit.session.clone(),
            cli: hit.cli.as_str(),
            project: hit.project.clone(),
            time: hit.time.and_then(format_rfc3339),
            role: hit.role.as_str(),
            snippet: hit.snippet.text.clone(),
            score: (f64::from(hit.score) * 1000.0).round() / 1000.0,
            provider: hit.launch.provider.clone(),
            resume: resume.command_line(),
            problem: resume.problem,
            path: hit.path.to_string_lossy().into_owned(),
            uuid: hit.uuid.clone(),
        }
    }
}

/// `aiw history search`
#[warn(missing_docs)]
#[derive(Serialize, JsonSchema)]
pub struct HistorySearch {
    /// The messages that were found, the best first
    pub hits: Vec<HistoryHit>,
    /// The sessions that have ended and are not searched yet, because they are still being read
    pub waiting: usize,
    /// How long it took, in milliseconds
    pub duration_ms: f64,
}

/// A session in `aiw history sessions`
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
pub struct HistorySession {
    /// Its id, as its CLI has it
    pub session: String,
    /// `claude`, `codex` or `gemini`
    pub cli: &'static str,
    /// Its directory; empty if unknown
    pub project: String,
    /// How the first thing that was asked begins
    pub title: String,
    /// When its first message was said; null if unknown
    pub first: Option<String>,
    /// When its last message was said; null if unknown
    pub last: Option<String>,
    /// How many messages it has
    pub messages: u64,
    /// The provider under which aiw ran the CLI; null if aiw did not, or nothing tells
    pub provider: Option<String>,
    /// The command line that goes on with it, under the provider that it had
    pub resume: String,
    /// Why that line fails, and what to do instead
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl HistorySession {
    /// A session in a list.
    pub fn new(session: &PastSession, resumes: &ResumeIndex) -> Self {
        let resume = resume(resumes, session.cli, &session.id, &session.project, &session.launch);
        Self {
            session: session.id.clone(),
            cli: session.cli.as_str(),
            project: session.project.clone(),
            title: session.title.clone(),
            first: session.first_message_time.and_then(format_rfc3339),
            last: session.last_message_time.and_then(format_rfc3339),
            messages: session.message_count,
            provider: session.launch.provider.clone(),
            resume: resume.command_line(),
            problem: resume.problem,
        }
    }
}

/// Searches the registries of MCP servers, or one of them. A local copy that is out of date is seen to afterwards, by a
/// process of its own. With a model, a request in several words is ranked by meaning, too.
pub fn find_servers<'a>(
    home: &'a Home,
    registries: &'a Registries,
    meaning: &'a CurrentEmbeddings,
    query: &'a str,
    limit: usize,
    source: Option<&'a str>,
) -> BoxFuture<'a, Result<MergedSearch, RegistryError>> {
    Box::pin(async move {
        let model = meaning.get().zip(semantic_rank_limit(query));
        let most = model.as_ref().map_or(limit, |(_, ranked)| limit.max(*ranked));
        let mut found = registries.search(query, most, source).await?;
        if let Some((model, _)) = model {
            let (query, mut servers) = (query.to_owned(), found.servers.clone());
            let ranked = aiw_home::run_blocking(move || {
                rank(&query, &mut servers, |texts| model.embedder()?.embed(texts).ok());
                servers
            });
            found.servers = ranked.await;
            found.servers.truncate(limit);
        }
        if found.needs_sync && !registries.is_syncing() {
            let started = own_executable().map_err(|e| e.to_string());
            let started = started.and_then(|aiw| start_sync(home, &aiw).map_err(|e| e.to_string()));
            if let (Err(problem), Some(first)) = (started, found.sources.first_mut()) {
                // The answer itself is good.
                first.problem.get_or_insert(format!("its copy can't be brought up to date: {problem}"));
            }
        }
        Ok(found)
    })
}
