//! Finding tools for a job, as `intelligent_route` does for a model.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_core::{Sink, counted};
use aiw_routing::{Finder, FoundTool};
use schemars::JsonSchema;
use serde::Serialize;

use super::{learn, pool};
use crate::ClientSession;
use crate::models::meaning;

/// The sentence where no server has a tool to offer.
pub const NO_TOOLS: &str = "no tools: `aiw mcp status` shows your servers, `aiw mcp add NAME -- COMMAND` adds one";

/// How long a person waits for the model, and for it to see tools that it has not seen. What it saw is kept.
const MODEL_LOAD_TIMEOUT: Duration = Duration::from_secs(30);

/// `aiw mcp route`
#[warn(missing_docs)]
#[derive(Serialize, JsonSchema)]
pub struct RoutedTools {
    /// The tools, the best first
    pub tools: Vec<FoundTool>,
    /// How many tools were looked at
    pub searched: usize,
    /// How long that took, in milliseconds
    pub took_ms: f64,
    /// Why there are none
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nothing: Option<&'static str>,
}

/// Returns the tools that a request gets, at most so many, with how well each fits. Servers that were never seen are
/// started.
pub async fn route(client: &ClientSession, request: &str, most: usize, sink: &dyn Sink) -> RoutedTools {
    let pool = pool(client, sink);
    learn(pool, &[], sink).await;
    let finder = Finder::new(client.home(), Arc::new(meaning(client.home(), sink)));
    let (here, request) = (pool.clone(), request.to_owned());
    let work = move || {
        let unseen = here.prepare(&finder, MODEL_LOAD_TIMEOUT);
        let begun = Instant::now();
        let found = here.find(&finder, &request, most);
        let (took, problem) = (begun.elapsed(), finder.problem());
        finder.end();
        (found, took, problem, unseen)
    };
    let (found, took, problem, unseen) = aiw_home::blocking(work).await;
    let statuses = pool.status();
    pool.end().await;
    if let Some(problem) = problem {
        sink.note(format!("searched by words alone: {problem}"));
    } else if unseen > 0 {
        let known = found.tools - unseen.min(found.tools);
        sink.note(format!(
            "the meaning of {known} of {} is known so far; `aiw mcp serve` gets to know the others",
            counted(found.tools, "tool")
        ));
    }
    let tools: Vec<FoundTool> = found.matches.iter().map(|found| FoundTool::of(found, &statuses)).collect();
    let nothing = match (found.says_something, tools.is_empty()) {
        (false, _) => Some("no word to search for: say what the tool should do"),
        (true, true) if found.tools == 0 => Some(NO_TOOLS),
        (true, true) => Some("none of them fits: say it in other words"),
        (true, false) => None,
    };
    RoutedTools { tools, searched: found.tools, took_ms: took.as_secs_f64() * 1e3, nothing }
}
