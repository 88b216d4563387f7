//! The planned tools of a session.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_app::planning::JobPlanResult;
use aiw_app::workflows::ScriptTools;
use aiw_mcp::Tool;
use parking_lot::Mutex;

/// The prefix of planned tools' names.
pub(crate) const PLANNED_TOOL_PREFIX: &str = "planned__";

/// How soon a new tool is listed.
const NEW_TOOL_LIST_DELAY: Duration = Duration::from_secs(5);

/// The planned tools of a session, by name. The registry of tools decides how long each is listed.
#[derive(Default)]
pub(crate) struct PlanStore(Mutex<BTreeMap<String, Arc<SessionPlan>>>);

/// A planned tool.
pub(crate) struct SessionPlan {
    pub(crate) job: JobPlanResult,
    /// The tools that it calls, each with the digest of its definition when it was planned.
    pub(crate) digests: Vec<(String, String)>,
    pub(crate) tool: Tool,
    pub(crate) created_at: Instant,
}

impl SessionPlan {
    /// Whether the tools that it calls are as they were.
    pub(crate) fn is_current(&self, tools: &ScriptTools) -> bool {
        self.digests.iter().all(|(name, digest)| tools.digest(name).as_ref() == Some(digest))
    }
}

impl PlanStore {
    pub(crate) fn lock(&self) -> parking_lot::MutexGuard<'_, BTreeMap<String, Arc<SessionPlan>>> {
        self.0.lock()
    }

    /// Returns a tool by its name, with or without what all of their names begin with.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<SessionPlan>> {
        let all = self.lock();
        all.get(name).or_else(|| all.get(&format!("{PLANNED_TOOL_PREFIX}{name}"))).cloned()
    }

    /// Whether a listed tool is planned, and may be called as it was planned.
    pub(crate) fn is_callable(&self, name: &str, tools: &ScriptTools) -> bool {
        self.lock().get(name).is_some_and(|planned| planned.is_current(tools))
    }

    /// Forgets the tools that are not listed any more. One that is new may not be listed yet.
    pub(crate) fn retain(&self, is_listed: impl Fn(&str) -> bool) {
        self.lock().retain(|name, planned| is_listed(name) || planned.created_at.elapsed() < NEW_TOOL_LIST_DELAY);
    }
}
