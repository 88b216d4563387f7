//! `search_history`, `get_session`, `get_session_todos`: what was said and planned in past sessions.

use std::path::Path;
use std::sync::Arc;

use aiw_app::queries::{self, EmptyReason, SessionSearchResult, resume};
use aiw_core::{one_line, pluralize};
use aiw_history::{
    HistoryError, HistoryQuery, MessageAuthor, MessageRange, PastSession, SessionHit, Store, StoredMessage, Todo,
    Todos, todos,
};
use aiw_home::{CliPaths, HomeError, format_rfc3339, parse_rfc3339};
use aiw_launch::ResumeIndex;
use aiw_mcp::{Call, ToolResult};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::bounds::{self, json_len};
use crate::context::{Context, to_tool_result};
use crate::error::CallError;
use crate::results::max_result_bytes;

/// How many hits there are by default, and at most.
const DEFAULT_HITS: usize = 10;
const MAX_HITS: usize = 50;

/// How long a part of a session is by default, in bytes.
const DEFAULT_PART_BYTES: usize = 8_000;

/// The most bytes of one message in it.
const MAX_MESSAGE_LEN: usize = 3_000;

/// The most messages of a part.
const MAX_MESSAGES: usize = 100;

/// A number, without what only costs a model tokens.
fn number(schema: &mut Schema) {
    schema.remove("minimum");
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchHistory {
    query: String,
    #[serde(default)]
    #[schemars(transform = number)]
    limit: Option<usize>,
    /// Its directory
    #[serde(default)]
    project: Option<String>,
    #[serde(default)]
    session_id: Option<String>,
    /// Like 2026-03-01
    #[serde(default)]
    since: Option<String>,
    #[serde(default)]
    #[schemars(extend("enum" = MessageAuthor::ALL.map(MessageAuthor::as_str)))]
    role: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetSession {
    session_id: String,
    /// A message's uuid; else the end
    #[serde(default)]
    around: Option<String>,
    #[serde(default)]
    #[schemars(transform = number)]
    max_chars: Option<usize>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetSessionTodos {
    #[serde(default)]
    session_id: Option<String>,
}

#[derive(Serialize)]
struct FoundSessions {
    message: String,
    sessions: Vec<FoundSession>,
}

#[derive(Serialize)]
struct FoundSession {
    session_id: String,
    cli: &'static str,
    project: String,
    resume: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    hits: Vec<FoundMessage>,
}

#[derive(Serialize)]
struct FoundMessage {
    uuid: String,
    time: Option<String>,
    role: &'static str,
    /// With `**` around what was asked for.
    snippet: String,
    score: f32,
    reason: String,
}

#[derive(Serialize)]
struct SessionPart {
    session_id: String,
    cli: &'static str,
    project: String,
    title: String,
    resume: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// How many messages come before these, and after them.
    earlier: usize,
    later: usize,
    messages: Vec<PartMessage>,
}

#[derive(Serialize)]
struct PartMessage {
    uuid: String,
    time: Option<String>,
    role: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subagent: Option<String>,
    text: String,
}

#[derive(Serialize)]
struct SessionTodos {
    session_id: String,
    source: &'static str,
    todos: Vec<Todo>,
    /// How many more there are.
    #[serde(skip_serializing_if = "is_none")]
    omitted: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_none(count: &usize) -> bool {
    *count == 0
}

/// Finds messages, and lists them by session.
pub(crate) async fn search_history(
    context: Arc<Context>,
    asked: SearchHistory,
    call: Call,
) -> Result<ToolResult, CallError> {
    // Twice: as text and as structure.
    let room = max_result_bytes(call.caller.name()) * 3 / 4;
    let shared = context.clone();
    to_tool_result(&context.concurrency_limits.view.run(move || search(&shared, &asked, room)).await?)
}

fn search(context: &Context, asked: &SearchHistory, mut room: usize) -> Result<FoundSessions, CallError> {
    let since = match &asked.since {
        Some(since) => Some(parse_rfc3339(since).ok_or_else(|| CallError::InvalidArgument {
            name: "since".into(),
            what: "a date (2026-03-01) or a time (2026-03-01T12:00:00Z)".into(),
        })?),
        None => None,
    };
    let directory = asked.project.as_ref().map(|project| queries::directory(context.client.cwd(), Path::new(project)));
    let query = HistoryQuery {
        text: &asked.query,
        limit: asked.limit.unwrap_or(DEFAULT_HITS).clamp(1, MAX_HITS),
        project: directory.as_deref(),
        session: asked.session_id.as_deref(),
        since,
        // The schema has checked it.
        role: asked.role.as_deref().and_then(|role| role.parse().ok()),
        ..HistoryQuery::default()
    };
    let meaning = context.embeddings.get();
    let embedder = || Ok::<_, CallError>(meaning.as_ref().and_then(|meaning| meaning.embedder()));
    let SessionSearchResult { hits, pending_sessions: waiting, empty_reason: nothing, .. } =
        queries::search(&context.home, &query, embedder)?;
    let resumes = ResumeIndex::new(&context.home);
    let mut sessions: Vec<FoundSession> = Vec::new();
    let mut left_out = 0;
    for hit in &hits {
        let message = found_message(hit);
        let place = sessions.iter().position(|session| session.session_id == hit.session);
        let session = || {
            let resume = resume(&resumes, hit.cli, &hit.session, &hit.project, &hit.launch);
            FoundSession {
                session_id: hit.session.clone(),
                cli: hit.cli.as_str(),
                project: hit.project.clone(),
                resume: resume.command_line(),
                problem: resume.problem,
                hits: Vec::new(),
            }
        };
        let mut needed = json_len(&message);
        let new = place.is_none().then(session);
        needed += new.as_ref().map_or(0, json_len);
        if needed > room {
            left_out += 1;
            continue;
        }
        room -= needed;
        sessions.extend(new);
        let place = place.unwrap_or(sessions.len() - 1);
        sessions[place].hits.push(message);
    }
    let mut message = match nothing {
        None => "get_session with a session_id, and a hit's uuid as `around`, shows what was said before and after"
            .to_owned(),
        Some(nothing @ EmptyReason::NoMatch { .. }) => format!("{}: try other words", nothing.to_message("")),
        Some(nothing) => nothing.to_message("the user can fill it with `aiw history import --all`"),
    };
    if left_out > 0 {
        message.push_str(&format!("; {} did not fit", pluralize(left_out, "more hit")));
    }
    if waiting > 0 {
        message.push_str(&format!("; {} not read yet: search again soon", pluralize(waiting, "session")));
    }
    Ok(FoundSessions { message, sessions })
}

fn found_message(hit: &SessionHit) -> FoundMessage {
    let words = hit.matched_words.iter().take(6).map(String::as_str).collect::<Vec<_>>().join(", ");
    let why = match (words.is_empty(), hit.is_semantic_match) {
        (false, true) => format!("has {words}, and is close in meaning"),
        (false, false) => format!("has {words}"),
        (true, true) => "is close in meaning".to_owned(),
        (true, false) => "its session fits".to_owned(),
    };
    FoundMessage {
        uuid: hit.uuid.clone(),
        time: hit.time.and_then(format_rfc3339),
        role: hit.role.as_str(),
        snippet: hit.snippet.highlight("**", "**"),
        score: (hit.score * 1000.0).round() / 1000.0,
        reason: one_line(&why, 200),
    }
}

/// Shows a part of a session.
pub(crate) async fn get_session(context: Arc<Context>, asked: GetSession, call: Call) -> Result<ToolResult, CallError> {
    let room = max_result_bytes(call.caller.name()) * 3 / 4;
    let room = asked.max_chars.unwrap_or(DEFAULT_PART_BYTES).clamp(500, room);
    let shared = context.clone();
    let part = context.concurrency_limits.view.run(move || part(&shared, &asked, room)).await?;
    to_tool_result(&part)
}

fn part(context: &Context, asked: &GetSession, room: usize) -> Result<SessionPart, CallError> {
    let store = Store::open(&context.home.history())?;
    let range = MessageRange { around: asked.around.as_deref(), limit: MAX_MESSAGES };
    let part = store.session_view(&asked.session_id, &range)?;
    let all: Vec<PartMessage> = part.messages.iter().map(part_message).collect();
    let middle = match &asked.around {
        Some(uuid) => all.iter().position(|message| message.uuid == *uuid).unwrap_or_default(),
        None => all.len().saturating_sub(1),
    };
    let (start, end) = around(&all, middle, room);
    let PastSession { id, cli, project, title, launch, .. } = part.session;
    let resume = resume(&ResumeIndex::new(&context.home), cli, &id, &project, &launch);
    let (earlier, later) = (part.messages_before + start, part.messages_after + all.len() - end);
    let messages = all.into_iter().take(end).skip(start).collect();
    let title = one_line(&title, 200);
    Ok(SessionPart {
        session_id: id,
        cli: cli.as_str(),
        project,
        title,
        resume: resume.command_line(),
        problem: resume.problem,
        earlier,
        later,
        messages,
    })
}

/// Lists what a session planned, also of one that is still running.
pub(crate) async fn get_session_todos(
    context: Arc<Context>,
    asked: GetSessionTodos,
    call: Call,
) -> Result<ToolResult, CallError> {
    // Twice: as text and as structure.
    let mut room = max_result_bytes(call.caller.name()) / 3;
    let home = context.home.clone();
    let find = move || {
        let places =
            CliPaths::from_context(home.context()).ok_or(HomeError::HomeNotFound).map_err(HistoryError::from)?;
        Ok(todos(&home, &places, asked.session_id.as_deref())?)
    };
    let Todos { session, source, mut todos } = context.concurrency_limits.view.run(find).await?;
    let all = todos.len();
    todos.retain(|todo| {
        let length = json_len(todo);
        let fits = length <= room;
        room = if fits { room - length } else { 0 };
        fits
    });
    to_tool_result(&SessionTodos { session_id: session, source, omitted: all - todos.len(), todos })
}

/// As many messages around one as fit: those before and after it in turn.
fn around(all: &[PartMessage], middle: usize, mut room: usize) -> (usize, usize) {
    let (mut start, mut end) = (middle, (middle + 1).min(all.len()));
    room = room.saturating_sub(all.get(middle).map_or(0, json_len));
    loop {
        let before = start.checked_sub(1).map(|place| json_len(&all[place]));
        let after = all.get(end).map(json_len);
        let takes_before = before.is_some_and(|before| before <= room);
        if takes_before {
            start -= 1;
            room -= before.unwrap_or_default();
        }
        let takes_after = after.is_some_and(|after| after <= room);
        if takes_after {
            end += 1;
            room -= after.unwrap_or_default();
        }
        if !takes_before && !takes_after {
            return (start, end);
        }
    }
}

fn part_message(message: &StoredMessage) -> PartMessage {
    PartMessage {
        uuid: message.uuid.clone(),
        time: message.time.and_then(format_rfc3339),
        role: message.role.as_str(),
        tools: message.tools.clone(),
        subagent: message.agent.clone(),
        text: bounds::truncate_text(message.text.clone(), MAX_MESSAGE_LEN),
    }
}
