//! One run: its calls side by side, its limits, and its trace.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_wasm::{LogLevel, ScriptCalls, ScriptFailure, ScriptFailureKind};
use async_trait::async_trait;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use parking_lot::{Mutex, MutexGuard};
use serde_json::value::RawValue;
use tokio::sync::Semaphore;

use crate::trace::{CallTrace, Trace};
use crate::{
    CallableTool, Orchestrator, OrchestratorError, ScriptPlan, Tools, arguments, extract_code, shape, tool_names,
};

/// How long a run may take, with its calls. The time in which the user is asked does not count.
pub const RUN_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// How many calls a run may make.
pub const MAX_CALLS: usize = 200;

/// The longest arguments of a failed call that a trace has, in characters.
const MAX_TRACED_ARGUMENTS_LEN: usize = 200;

/// The longest that it has if they were asked for.
const MAX_REQUESTED_ARGUMENTS_LEN: usize = 2000;

/// How many of them are under way at once. The others wait for their turn.
const MAX_PARALLEL_CALLS: usize = 32;

/// How a run has ended.
#[derive(Debug)]
pub struct RunResult {
    /// The script's result as JSON, or why there is none.
    pub outcome: Result<Box<RawValue>, OrchestratorError>,
    /// Its trace.
    pub trace: Trace,
}

impl Orchestrator {
    /// Runs a script to its end. When this is dropped, so is the run, with its calls.
    pub fn run(&self, plan: ScriptPlan, tools: Arc<dyn Tools>) -> BoxFuture<'_, RunResult> {
        Box::pin(async move {
            let trace = Arc::new(Mutex::new(Trace::default()));
            let outcome = self.run_traced(plan, tools, trace.clone()).await;
            let trace = trace.lock().clone();
            RunResult { outcome, trace }
        })
    }

    async fn run_traced(
        &self,
        plan: ScriptPlan,
        tools: Arc<dyn Tools>,
        trace: Arc<Mutex<Trace>>,
    ) -> Result<Box<RawValue>, OrchestratorError> {
        let scripts = self.scripts().await?;
        let (known, input) = (tool_names(&plan.tools), plan.input.to_string());
        let calls = Box::new(OpenCalls {
            planned: plan.tools.into_iter().map(Arc::new).collect(),
            tools: tools.clone(),
            turns: Arc::new(Semaphore::new(MAX_PARALLEL_CALLS)),
            trace,
            open: FuturesUnordered::new(),
            in_flight: HashMap::new(),
            started: 0,
            keep_arguments: plan.keep_arguments,
        });
        let result = {
            let code = extract_code(&plan.code);
            let run = scripts.run(&code, &input, &known, plan.limits, calls);
            tokio::pin!(run);
            let start = tokio::time::Instant::now();
            loop {
                let paused = tools.paused_duration();
                match tokio::time::timeout_at(start + RUN_TIMEOUT + paused, &mut run).await {
                    Ok(result) => break result,
                    Err(_) if tools.paused_duration() > paused => {}
                    Err(_) => return Err(OrchestratorError::Timeout),
                }
            }
        };
        // The next script finds a runtime that is ready.
        let scripts = scripts.clone();
        tokio::spawn(async move { scripts.prewarm().await });
        let result = result.map_err(OrchestratorError::Script)?;
        RawValue::from_string(result).map_err(|e| {
            let problem = format!("the result can't be read: {e}");
            OrchestratorError::Script(ScriptFailure::new(ScriptFailureKind::LimitExceeded, problem))
        })
    }
}

/// A call that has ended: its number, its tool, and what came of it, as JSON.
type EndedCall = (u32, Arc<CallableTool>, Instant, Result<String, String>);

struct OpenCalls {
    planned: Vec<Arc<CallableTool>>,
    tools: Arc<dyn Tools>,
    turns: Arc<Semaphore>,
    trace: Arc<Mutex<Trace>>,
    open: FuturesUnordered<BoxFuture<'static, EndedCall>>,
    /// The tools of the calls under way, and their arguments.
    in_flight: HashMap<u32, (String, String)>,
    started: usize,
    keep_arguments: bool,
}

impl OpenCalls {
    fn trace(&self) -> MutexGuard<'_, Trace> {
        self.trace.lock()
    }

    /// Records a call, and returns its result as a script gets it.
    fn ended(&mut self, (call, tool, start, outcome): EndedCall) -> (u32, Result<String, String>) {
        let arguments = self.in_flight.remove(&call).map(|(_, arguments)| arguments);
        let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.trace().calls.push(CallTrace {
            tool: tool.qualified_name.clone(),
            duration_ms: ms,
            bytes: outcome.as_ref().map_or(0, String::len),
            error: outcome.as_ref().err().map(|error| aiw_core::one_line(error, 300)),
            // Whoever reads of a failure did not see what the script made up.
            arguments: arguments.filter(|_| self.keep_arguments || outcome.is_err()),
        });
        (call, outcome)
    }
}

#[async_trait]
impl ScriptCalls for OpenCalls {
    fn start(&mut self, tool: u32, arguments: String) -> Result<u32, String> {
        let at = usize::try_from(tool).unwrap_or(usize::MAX);
        let planned = self.planned.get(at).cloned().ok_or("there is no such tool")?;
        // One that is refused counts, too: the check is work.
        self.started += 1;
        if self.started > MAX_CALLS {
            return Err(format!("a run makes at most {MAX_CALLS} calls"));
        }
        if let Some(problem) = arguments::validation_error(&planned.input_schema, &arguments) {
            return Err(format!("the arguments of `{}` are wrong: {problem}", planned.qualified_name));
        }
        let call = u32::try_from(self.started).unwrap_or(u32::MAX);
        let shown = aiw_core::one_line(
            &arguments,
            if self.keep_arguments { MAX_REQUESTED_ARGUMENTS_LEN } else { MAX_TRACED_ARGUMENTS_LEN },
        );
        self.in_flight.insert(call, (planned.qualified_name.clone(), shown));
        let (tools, turns) = (self.tools.clone(), self.turns.clone());
        self.open.push(Box::pin(async move {
            let _turn = turns.acquire_owned().await;
            let start = Instant::now();
            // Only text waits until the script takes it.
            let result = tools.call(&planned, arguments).await;
            let outcome = result.and_then(|result| shape::result_value(&result, planned.has_output_schema));
            (call, planned, start, outcome)
        }));
        Ok(call)
    }

    async fn next(&mut self, patience: Option<Duration>) -> Option<(u32, Result<String, String>)> {
        if self.open.is_empty() {
            tokio::time::sleep(patience.unwrap_or_default()).await;
            return None;
        }
        let next = match patience {
            None => self.open.next().await,
            Some(patience) => tokio::time::timeout(patience, self.open.next()).await.ok()?,
        };
        next.map(|ended| self.ended(ended))
    }

    fn log(&mut self, level: LogLevel, line: String) {
        let level = match level {
            LogLevel::Log => "log",
            LogLevel::Warn => "warn",
            LogLevel::Error => "error",
        };
        self.trace().log(level, &line);
    }
}

impl Drop for OpenCalls {
    /// Ends what is still under way.
    fn drop(&mut self) {
        let mut calls: Vec<(u32, (String, String))> = self.in_flight.drain().collect();
        calls.sort();
        self.trace().cancelled = calls.into_iter().map(|(_, (name, _))| name).collect();
    }
}
