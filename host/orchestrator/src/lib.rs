//! Scripts over tools: a model writes a few lines of JavaScript over the tools that it found, and only their answer
//! goes back to it.
//!
//! The script runs in a component (`wasm` has its engine, `plugins/orchestrator` is its source), which reaches nothing
//! but the tools that the run was started with. What a tool is and who may call it decides the caller, behind
//! [`Tools`]; here is what holds for every run: its limits, the check of arguments, the one shape of results, and its
//! trace.
//!
//! ```no_run
//! # use aiw_orchestrator::{Orchestrator, ScriptPlan, Tools};
//! # async fn run(orchestrator: &Orchestrator, tools: std::sync::Arc<dyn Tools>, plan: ScriptPlan) {
//! let ended = orchestrator.run(plan, tools).await;
//! println!("{:?} after {} calls", ended.outcome, ended.trace.calls.len());
//! # }
//! ```

mod arguments;
mod consent;
mod declarations;
pub mod planning;
mod records;
mod run;
mod sent;
mod shape;
mod trace;
mod workflows;

use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

use aiw_core::{Diagnostic, ErrorKind};
use aiw_home::Home;
use aiw_wasm::{CompiledCache, LoadError, ScriptFailure, ScriptFailureKind, ScriptRunner};
use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::OnceCell;

pub use aiw_wasm::{BundledScripts, ScriptLimits, ScriptTool as ToolName};
pub use arguments::validation_error as problem_of_arguments;
pub use consent::{Consent, ConsentReply, MAX_CALLS_PER_CONSENT, ScriptApprover};
pub use declarations::{DeclaredTool, declaration, declaration_file, tool_expression};
pub use records::{RunRecord, RunRecords};
pub use run::{MAX_CALLS, RUN_TIMEOUT, RunResult};
pub use sent::extract_code;
pub use shape::result_value;
pub use trace::{CallTrace, ScriptLogLine, Trace};
pub use workflows::{
    ApprovalState, MAX_WORKFLOW_BYTES, OverwritePolicy, SavedWorkflow, TOOL_PREFIX, WorkflowEntry, WorkflowError,
    WorkflowSummary, Workflows, tool_name, workflow_file,
};

/// A tool that a script may call.
#[derive(Debug, Clone)]
pub struct CallableTool {
    /// The name of its server.
    pub server: String,
    /// Its name at the server.
    pub name: String,
    /// Its name among all tools.
    pub qualified_name: String,
    /// The schema of its arguments, as its server declares it.
    pub input_schema: Value,
    /// Whether it declares a schema of its results.
    pub has_output_schema: bool,
}

/// A script to run.
#[derive(Debug, Clone)]
pub struct ScriptPlan {
    /// The script, as it was written.
    pub code: String,
    /// The script's input.
    pub input: Value,
    /// The only tools that it may call.
    pub tools: Vec<CallableTool>,
    /// How much it may use.
    pub limits: ScriptLimits,
    /// Whether the trace has the arguments of its calls.
    pub keep_arguments: bool,
}

/// The tools that a script can call.
#[async_trait]
pub trait Tools: Send + Sync {
    /// Calls a tool with arguments that its schema allows, which are an object as JSON. Returns the whole result as MCP
    /// has it, or why there is none, as a sentence.
    async fn call(&self, tool: &CallableTool, arguments: String) -> Result<String, String>;

    /// How long the run has waited for the user, so far. That time is not the script's.
    fn paused_duration(&self) -> Duration {
        Duration::ZERO
    }
}

/// Why a script has no result.
#[derive(Debug, thiserror::Error)]
pub enum OrchestratorError {
    /// The component that runs scripts can't be loaded.
    #[error(transparent)]
    Load(#[from] Arc<LoadError>),
    /// The script is wrong, or failed.
    #[error("{}", said(.0))]
    Script(ScriptFailure),
    /// It took too long.
    #[error("the script was ended after {} minutes", RUN_TIMEOUT.as_secs() / 60)]
    Timeout,
}

/// Much of it is the script's own words, or a server's.
fn said(failure: &ScriptFailure) -> String {
    let message = aiw_core::one_line(&failure.message, MAX_MESSAGE_LEN);
    match failure.line {
        Some(line) => format!("line {line}: {message}"),
        None => message,
    }
}

/// The longest that an error says.
const MAX_MESSAGE_LEN: usize = 2000;

impl OrchestratorError {
    /// Returns the line of the script where it happened, if that is known.
    pub fn line(&self) -> Option<u32> {
        match self {
            Self::Script(failure) => failure.line,
            _ => None,
        }
    }

    /// Whether the script names a tool that is not there.
    pub fn is_unknown_tool(&self) -> bool {
        matches!(self, Self::Script(failure) if failure.kind == ScriptFailureKind::UnknownTool)
    }
}

impl Diagnostic for OrchestratorError {
    fn own_kind(&self) -> ErrorKind {
        match self {
            Self::Load(_) => ErrorKind::Internal,
            Self::Script(failure) if failure.kind == ScriptFailureKind::Unavailable => ErrorKind::Unavailable,
            _ => ErrorKind::User,
        }
    }
}

/// Runs scripts. Nothing is loaded before the first one.
#[derive(Clone)]
pub struct Orchestrator(Arc<SharedScripts>);

struct SharedScripts {
    home: Home,
    bundled: BundledScripts,
    scripts: OnceCell<ScriptRunner>,
}

impl Orchestrator {
    /// Returns what runs scripts. `bundled` is the component that this program carries.
    pub fn new(home: Home, bundled: BundledScripts) -> Self {
        Self(Arc::new(SharedScripts { home, bundled, scripts: OnceCell::new() }))
    }

    async fn scripts(&self) -> Result<&ScriptRunner, OrchestratorError> {
        let load = async || {
            let cache = CompiledCache::new(self.0.home.cache("compiled"));
            ScriptRunner::load(cache, self.0.bundled).await.map_err(Arc::new)
        };
        Ok(self.0.scripts.get_or_try_init(load).await?)
    }

    /// Makes the first script quicker, without loading anything: its engine is put where it loads fast. It blocks for a
    /// tenth of a second, once on a machine.
    pub fn prepare(&self) {
        ScriptRunner::populate_cache(CompiledCache::new(self.0.home.cache("compiled")), self.0.bundled);
    }

    /// Looks whether a script makes sense and names only tools that there are, without running it. Returns the numbers
    /// of the tools that it names.
    pub fn check<'a>(
        &'a self,
        code: &'a str,
        tools: &'a [ToolName],
    ) -> BoxFuture<'a, Result<Vec<usize>, OrchestratorError>> {
        Box::pin(async move {
            let named = self.scripts().await?.check(&extract_code(code), tools).await;
            let named = named.map_err(OrchestratorError::Script)?;
            Ok(named
                .into_iter()
                .filter_map(|number| usize::try_from(number).ok())
                .filter(|at| *at < tools.len())
                .collect())
        })
    }
}

/// Returns what a script knows of tools.
pub fn tool_names(tools: &[CallableTool]) -> Vec<ToolName> {
    let tool = |tool: &CallableTool| ToolName {
        server: tool.server.clone(),
        name: tool.name.clone(),
        qualified_name: tool.qualified_name.clone(),
    };
    tools.iter().map(tool).collect()
}
