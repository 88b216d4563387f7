//! Finding tools for a job, as `intelligent_route` does for a model.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_core::{Reporter, pluralize};
use aiw_routing::{Finder, ToolMatch};
use schemars::JsonSchema;
use serde::Serialize;

use super::{fetch_tools, pool};
use crate::ClientSession;
use crate::models::tool_embeddings;

/// The sentence where no server has a tool to offer.
pub const NO_TOOLS: &str = "no tools: `aiw mcp status` shows your servers, `aiw mcp add NAME -- COMMAND` adds one";

/// How long a person waits for the model, and for it to see tools that it has not seen. What it saw is kept.
const MODEL_LOAD_TIMEOUT: Duration = Duration::from_secs(30);

/// `aiw mcp route`
#[warn(missing_docs)]
#[derive(Serialize, JsonSchema)]
pub struct RoutedTools {
    /// The tools, the best first
    pub tools: Vec<ToolMatch>,
    /// How many tools were looked at
    pub total_tools: usize,
    /// How long that took, in milliseconds
    pub duration_ms: f64,
    /// Why there are none
    #[serde(skip_serializing_if = "Option::is_none")]
    pub empty_reason: Option<&'static str>,
}

/// Returns the tools that a request gets, at most so many, with how well each fits. Servers that were never seen are
/// started.
pub async fn route(client: &ClientSession, request: &str, most: usize, sink: &dyn Reporter) -> RoutedTools {
    let pool = pool(client, sink);
    fetch_tools(pool, &[], sink).await;
    let finder = Finder::new(client.home(), Arc::new(tool_embeddings(client.home(), sink)));
    let (here, request) = (pool.clone(), request.to_owned());
    let work = move || {
        let unseen = here.prepare(&finder, MODEL_LOAD_TIMEOUT);
        let begun = Instant::now();
        let found = here.find(&finder, &request, most);
        let (took, problem) = (begun.elapsed(), finder.load_error());
        finder.shut_down();
        (found, took, problem, unseen)
    };
    let (found, took, problem, unseen) = aiw_home::run_blocking(work).await;
    let statuses = pool.status();
    pool.shut_down().await;
    if let Some(problem) = problem {
        sink.note(format!("searched by words alone: {problem}"));
    } else if unseen > 0 {
        let known = found.tool_count - unseen.min(found.tool_count);
        sink.note(format!(
            "the meaning of {known} of {} is known so far; `aiw mcp serve` gets to know the others",
            pluralize(found.tool_count, "tool")
        ));
    }
    let tools: Vec<ToolMatch> = found.matches.iter().map(|found| ToolMatch::new(found, &statuses)).collect();
    let nothing = match (found.has_search_terms, tools.is_empty()) {
        (false, _) => Some("no word to search for: say what the tool should do"),
        (true, true) if found.tool_count == 0 => Some(NO_TOOLS),
        (true, true) => Some("none of them fits: say it in other words"),
        (true, false) => None,
    };
    RoutedTools { tools, total_tools: found.tool_count, duration_ms: took.as_secs_f64() * 1e3, empty_reason: nothing }
}
