//! Past sessions.

use std::time::Instant;

use aiw_app::history::{self, HistorySessions};
use aiw_app::models::Embedder;
use aiw_app::queries::{self, HistoryHit, HistorySearch, Searched};
use aiw_history::{HistoryError, HistoryQuery, Sessions};
use aiw_launch::ResumeIndex;

use crate::api::{ApiCall, ApiError, ApiRoute, Reply};

/// As many hits are sent.
const MAX_HITS: u64 = 50;

pub(super) fn routes() -> Vec<ApiRoute> {
    vec![
        ApiRoute::get("/history", "aiw history search", search).with(&["q", "limit"]),
        ApiRoute::get("/history/sessions", "aiw history sessions", sessions).with(&["limit"]),
    ]
}

fn limit(call: &ApiCall) -> Reply<usize> {
    Ok(usize::try_from(call.number("limit")?.unwrap_or(MAX_HITS).min(1_000)).unwrap_or(usize::MAX))
}

fn search(call: &ApiCall) -> Reply<HistorySearch> {
    let begun = Instant::now();
    let text = call.word("q").ok_or_else(|| ApiError::Malformed("`q` is what to search for".into()))?;
    let query = HistoryQuery { text, limit: limit(call)?, ..HistoryQuery::default() };
    // By words: a model would be loaded for each request.
    let without_model = || Ok::<Option<Embedder>, HistoryError>(None);
    let Searched { hits, waiting, .. } = queries::search(call.home(), &query, without_model)?;
    let resumes = ResumeIndex::new(call.home());
    let hits = hits.iter().map(|hit| HistoryHit::new(hit, &resumes)).collect();
    Ok(HistorySearch { hits, waiting, duration_ms: (begun.elapsed().as_secs_f64() * 10_000.0).round() / 10.0 })
}

fn sessions(call: &ApiCall) -> Reply<HistorySessions> {
    let wanted = Sessions { project: None, cli: None, since: None, limit: Some(limit(call)?) };
    Ok(history::sessions(call.home(), &wanted)?)
}
