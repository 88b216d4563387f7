//! What every tool uses: the home, the session, what starts CLIs, and the threads that calls may hold.

use std::sync::Arc;

use aiw_app::ClientSession;
use aiw_core::one_line;
use aiw_home::Home;
use aiw_mcp::{Call, ToolResult};
use aiw_routing::{CurrentEmbeddings, DynamicToolRegistry, Finder, Pool};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::{Notify, Semaphore, watch};

use crate::error::CallError;
use crate::planned::PlanStore;
use crate::results::ResultStore;
use crate::runs::ScriptRuns;

/// The state that every tool uses.
pub(crate) struct Context {
    pub(crate) client: Arc<ClientSession>,
    pub(crate) home: Home,
    pub(crate) concurrency_limits: ConcurrencyLimits,
    pub(crate) pool: Arc<Pool>,
    pub(crate) results: ResultStore,
    pub(crate) finder: Finder,
    /// The model in use.
    pub(crate) embeddings: Arc<CurrentEmbeddings>,
    pub(crate) registry: DynamicToolRegistry,
    /// The tools that the user's model has planned.
    pub(crate) plans: PlanStore,
    /// The client has asked for the list of tools.
    pub(crate) tools_listed: Notify,
    /// The scripts that run, and those whose results were not fetched.
    pub(crate) runs: ScriptRuns,
    /// Whether the user is asked before the first start of a process: they did not name the tools for it.
    pub(crate) should_confirm_start: bool,
    /// Whether the user has agreed to a start of a process in this session. Held while they are asked.
    pub(crate) is_start_approved: tokio::sync::Mutex<bool>,
    /// The level from which the client gets events as log messages, by its place among all levels.
    pub(crate) log_level: Mutex<Option<usize>>,
    /// Gone with this: what waits for changes ends then.
    pub(crate) shutdown: watch::Sender<()>,
}

/// Returns who calls, as events say it: by the name that the client gives itself, unless that is one of aiw's words.
pub(crate) fn caller_name(call: &Call) -> String {
    match one_line(call.caller.name(), 60) {
        name if name.is_empty() => "a client".into(),
        name if ["you", "up", "need", "restart", "watch", "cron", "hook", "an extension"].contains(&name.as_str()) => {
            format!("client {name}")
        }
        name => name,
    }
}

impl Context {
    pub(crate) fn new(
        client: Arc<ClientSession>,
        pool: Arc<Pool>,
        registry: DynamicToolRegistry,
        meaning: Arc<CurrentEmbeddings>,
        asks_before_start: bool,
    ) -> Self {
        let home = client.home().clone();
        let finder = Finder::new(&home, meaning.clone());
        let (lanes, kept, listed) = (ConcurrencyLimits::new(), ResultStore::default(), Notify::new());
        Self {
            client,
            home,
            concurrency_limits: lanes,
            pool,
            results: kept,
            finder,
            embeddings: meaning,
            registry,
            plans: PlanStore::default(),
            tools_listed: listed,
            runs: ScriptRuns::default(),
            should_confirm_start: asks_before_start,
            is_start_approved: tokio::sync::Mutex::default(),
            log_level: Mutex::default(),
            shutdown: watch::Sender::default(),
        }
    }
}

/// How many calls of a kind may hold a thread at once; the others queue without one. The runtime has more threads
/// than all of these together, so that no kind of call blocks another.
pub(crate) struct ConcurrencyLimits {
    pub(crate) view: ConcurrencyLimit,
    pub(crate) start: ConcurrencyLimit,
    pub(crate) stop: ConcurrencyLimit,
    pub(crate) wait: ConcurrencyLimit,
}

impl ConcurrencyLimits {
    fn new() -> Self {
        let of = |threads| ConcurrencyLimit(Arc::new(Semaphore::new(threads)));
        Self { view: of(32), start: of(32), stop: of(64), wait: of(16) }
    }
}

/// The threads of one kind of call.
pub(crate) struct ConcurrencyLimit(Arc<Semaphore>);

impl ConcurrencyLimit {
    /// Work over files and shared memory, off the runtime's thread.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, CallError> + Send + 'static,
    ) -> Result<T, CallError> {
        let turn = self.0.clone().acquire_owned().await.map_err(|e| CallError::Internal { problem: e.to_string() })?;
        let work = move || {
            let _turn = turn;
            work()
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(answer) => answer,
            Err(e) => Err(CallError::Internal { problem: e.to_string() }),
        }
    }
}

/// Returns a tool's answer, as text and as structure.
pub(crate) fn to_tool_result(value: &impl Serialize) -> Result<ToolResult, CallError> {
    Ok(ToolResult::from_structured(
        serde_json::to_value(value).map_err(|e| CallError::Internal { problem: e.to_string() })?,
    ))
}
