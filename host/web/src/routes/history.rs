//! Past sessions: searching them, and reading one in parts.

use std::ops::Range;
use std::time::Instant;

use aiw_app::history::{self, HistorySessions};
use aiw_app::models::Embedder;
use aiw_app::queries::{self, HistoryHit, HistorySession, SessionSearchResult};
use aiw_history::{
    HistoryError, HistoryMessage, HistoryQuery, MessageRange, SessionFilter, SessionHit, SessionView, Store,
};
use aiw_launch::ResumeIndex;
use schemars::JsonSchema;
use serde::Serialize;

use crate::api::{ApiCall, ApiError, ApiResult, ApiRoute};

/// Maximum number of hits in an answer.
const MAX_HITS: u64 = 50;

/// Maximum number of messages in a part of a session.
const MAX_MESSAGES: usize = 100;

/// Maximum size of a message in a part of a session.
const MAX_MESSAGE_BYTES: usize = 16 << 10;

pub(super) fn routes() -> Vec<ApiRoute> {
    vec![
        ApiRoute::get("/history", "aiw history search", search).with_query_params(&["q", "limit"]),
        ApiRoute::get("/history/sessions", "aiw history sessions", sessions).with_query_params(&["limit"]),
        ApiRoute::get("/history/sessions/{id}", "aiw history show", show).with_query_params(&["start", "around"]),
        ApiRoute::get("/history/sessions/{id}/messages/{uuid}", "aiw history show", message),
    ]
}

fn limit(call: &ApiCall) -> ApiResult<usize> {
    Ok(usize::try_from(call.query_u64("limit")?.unwrap_or(MAX_HITS).min(1_000)).unwrap_or(usize::MAX))
}

/// Messages that a search found
#[derive(Serialize, JsonSchema)]
struct MarkedSearch {
    /// The messages, the best first
    hits: Vec<MarkedHit>,
    /// The sessions that have ended and are not searched yet, because they are still being read
    waiting: usize,
    /// How long it took, in milliseconds
    duration_ms: f64,
}

/// A hit of a search, with the places of the words in its snippet
#[derive(Serialize, JsonSchema)]
struct MarkedHit {
    /// The hit
    #[serde(flatten)]
    hit: HistoryHit,
    /// The start and the end of each match in the snippet, in UTF-16 code units
    marks: Vec<(usize, usize)>,
}

/// Returns a range of bytes in UTF-16 code units, as JavaScript counts.
fn utf16_range(text: &str, bytes: &Range<usize>) -> (usize, usize) {
    let units = |text: &str| text.encode_utf16().count();
    let start = units(&text[..bytes.start]);
    (start, start + units(&text[bytes.clone()]))
}

impl MarkedHit {
    fn new(hit: &SessionHit, resumes: &ResumeIndex) -> Self {
        let marks = hit.snippet.highlights.iter().map(|bytes| utf16_range(&hit.snippet.text, bytes)).collect();
        Self { hit: HistoryHit::new(hit, resumes), marks }
    }
}

fn search(call: &ApiCall) -> ApiResult<MarkedSearch> {
    let begun = Instant::now();
    let text = call.query_param("q").ok_or_else(|| ApiError::Malformed("`q` is what to search for".into()))?;
    let query = HistoryQuery { text, limit: limit(call)?, ..HistoryQuery::default() };
    // By words: a model would be loaded for each request.
    let without_model = || Ok::<Option<Embedder>, HistoryError>(None);
    let SessionSearchResult { hits, pending_sessions: waiting, .. } =
        queries::search(call.home(), &query, without_model)?;
    let resumes = ResumeIndex::new(call.home());
    let hits = hits.iter().map(|hit| MarkedHit::new(hit, &resumes)).collect();
    Ok(MarkedSearch { hits, waiting, duration_ms: (begun.elapsed().as_secs_f64() * 10_000.0).round() / 10.0 })
}

fn sessions(call: &ApiCall) -> ApiResult<HistorySessions> {
    let wanted = SessionFilter { project: None, cli: None, since: None, limit: Some(limit(call)?) };
    Ok(history::sessions(call.home(), &wanted)?)
}

/// A part of a session
#[derive(Serialize, JsonSchema)]
struct SessionPage {
    /// The session
    session: HistorySession,
    /// Messages in their order
    messages: Vec<MessagePart>,
    /// The number of messages before them
    earlier: usize,
    /// The number of messages after them
    later: usize,
}

/// A message, or the beginning of a long one
#[derive(Serialize, JsonSchema)]
struct MessagePart {
    /// The message
    #[serde(flatten)]
    message: HistoryMessage,
    /// The bytes of its text that are left out
    omitted_bytes: usize,
}

impl MessagePart {
    fn new(mut message: HistoryMessage) -> Self {
        let whole = message.text.len();
        message.text.truncate(message.text.floor_char_boundary(MAX_MESSAGE_BYTES));
        Self { omitted_bytes: whole - message.text.len(), message }
    }
}

fn store(call: &ApiCall) -> ApiResult<Store> {
    let unknown = || HistoryError::SessionNotFound { session: call.id().to_owned() };
    Ok(Store::open_existing(&call.home().history())?.ok_or_else(unknown)?)
}

fn show(call: &ApiCall) -> ApiResult<SessionPage> {
    let store = store(call)?;
    let SessionView { session, messages, messages_before, messages_after } = match call.query_u64("start")? {
        Some(start) => store.session_page(call.id(), usize::try_from(start).unwrap_or(usize::MAX), MAX_MESSAGES)?,
        None => {
            let range = MessageRange { around: call.query_param("around"), limit: MAX_MESSAGES };
            store.session_view(call.id(), &range)?
        }
    };
    Ok(SessionPage {
        session: HistorySession::new(&session, &ResumeIndex::new(call.home())),
        messages: messages.iter().map(|message| MessagePart::new(HistoryMessage::new(message))).collect(),
        earlier: messages_before,
        later: messages_after,
    })
}

fn message(call: &ApiCall) -> ApiResult<HistoryMessage> {
    let uuid = call.segments.get(1).map(String::as_str);
    let view = store(call)?.session_view(call.id(), &MessageRange { around: uuid, limit: 1 })?;
    let found = view.messages.first().ok_or_else(|| HistoryError::SessionNotFound { session: call.id().to_owned() })?;
    Ok(HistoryMessage::new(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_are_counted_as_javascript_counts() {
        assert_eq!(utf16_range("𝄞 über port", &(11..15)), (8, 12));
    }
}
