//! Past sessions.

use std::time::Instant;

use aiw_app::history::{self, HistorySessions};
use aiw_app::models::Embedder;
use aiw_app::queries::{self, HistoryHit, HistorySearch, SessionSearchResult};
use aiw_history::{HistoryError, HistoryQuery, SessionFilter};
use aiw_launch::ResumeIndex;

use crate::api::{ApiCall, ApiError, ApiResult, ApiRoute};

/// As many hits are sent.
const MAX_HITS: u64 = 50;

pub(super) fn routes() -> Vec<ApiRoute> {
    vec![
        ApiRoute::get("/history", "aiw history search", search).with_query_params(&["q", "limit"]),
        ApiRoute::get("/history/sessions", "aiw history sessions", sessions).with_query_params(&["limit"]),
    ]
}

fn limit(call: &ApiCall) -> ApiResult<usize> {
    Ok(usize::try_from(call.query_u64("limit")?.unwrap_or(MAX_HITS).min(1_000)).unwrap_or(usize::MAX))
}

fn search(call: &ApiCall) -> ApiResult<HistorySearch> {
    let begun = Instant::now();
    let text = call.query_param("q").ok_or_else(|| ApiError::Malformed("`q` is what to search for".into()))?;
    let query = HistoryQuery { text, limit: limit(call)?, ..HistoryQuery::default() };
    // By words: a model would be loaded for each request.
    let without_model = || Ok::<Option<Embedder>, HistoryError>(None);
    let SessionSearchResult { hits, pending_sessions: waiting, .. } =
        queries::search(call.home(), &query, without_model)?;
    let resumes = ResumeIndex::new(call.home());
    let hits = hits.iter().map(|hit| HistoryHit::new(hit, &resumes)).collect();
    Ok(HistorySearch { hits, waiting, duration_ms: (begun.elapsed().as_secs_f64() * 10_000.0).round() / 10.0 })
}

fn sessions(call: &ApiCall) -> ApiResult<HistorySessions> {
    let wanted = SessionFilter { project: None, cli: None, since: None, limit: Some(limit(call)?) };
    Ok(history::sessions(call.home(), &wanted)?)
}
