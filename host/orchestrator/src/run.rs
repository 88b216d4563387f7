//! One run: its calls side by side, its limits, and its trace.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aiw_wasm::{LogLevel, ScriptCalls, ScriptFailure, ScriptFailureKind};
use async_trait::async_trait;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use serde_json::Value;

use crate::trace::{CallTrace, Trace};
use crate::{Arguments, Orchestrator, OrchestratorError, Plan, PlannedTool, Tools, script_tools, shape};

/// How long a run may take, with its calls.
pub const WALL: Duration = Duration::from_secs(10 * 60);

/// How many calls a run may make.
pub const CALLS: usize = 200;

/// How many of them may be under way at once: servers answer one after the other anyway, or are many.
const AT_ONCE: usize = 32;

/// The longest result of one call that a script gets.
const RESULT: usize = 8 << 20;

/// How a run has ended.
#[derive(Debug)]
pub struct Ended {
    /// What the script returned, or why it returned nothing.
    pub outcome: Result<Value, OrchestratorError>,
    /// What it did.
    pub trace: Trace,
}

impl Orchestrator {
    /// Runs a script to its end. When this is dropped, so is the run, with its calls.
    pub async fn run(&self, plan: Plan, tools: Arc<dyn Tools>) -> Ended {
        let trace = Arc::new(Mutex::new(Trace::default()));
        let outcome = self.run_traced(plan, tools, trace.clone()).await;
        let trace = trace.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ended { outcome, trace }
    }

    async fn run_traced(
        &self,
        plan: Plan,
        tools: Arc<dyn Tools>,
        trace: Arc<Mutex<Trace>>,
    ) -> Result<Value, OrchestratorError> {
        let scripts = self.scripts().await?;
        let (known, input) = (script_tools(&plan.tools), plan.input.to_string());
        let calls = Box::new(Calls {
            checks: plan.tools.iter().map(|_| None).collect(),
            planned: plan.tools.into_iter().map(Arc::new).collect(),
            tools,
            trace: trace.clone(),
            open: FuturesUnordered::new(),
            started: 0,
        });
        let run = scripts.run(&plan.code, &input, &known, plan.limits, calls);
        let result = match tokio::time::timeout(WALL, run).await {
            Ok(result) => result.map_err(OrchestratorError::Script)?,
            Err(_) => return Err(OrchestratorError::TooLong),
        };
        // The next script finds a runtime that is ready.
        let scripts = scripts.clone();
        tokio::spawn(async move { scripts.fill().await });
        serde_json::from_str(&result).map_err(|e| {
            OrchestratorError::Script(ScriptFailure {
                kind: ScriptFailureKind::Limit,
                message: format!("the result can't be read: {e}"),
                line: None,
                tool: None,
            })
        })
    }
}

/// A call that has ended: its number, its tool, and what came of it.
type EndedCall = (u32, Arc<PlannedTool>, Instant, Result<Value, String>);

struct Calls {
    planned: Vec<Arc<PlannedTool>>,
    /// The schemas, read when they are needed.
    checks: Vec<Option<Arguments>>,
    tools: Arc<dyn Tools>,
    trace: Arc<Mutex<Trace>>,
    open: FuturesUnordered<BoxFuture<'static, EndedCall>>,
    started: usize,
}

impl Calls {
    fn trace(&self) -> std::sync::MutexGuard<'_, Trace> {
        self.trace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a call, and returns its result as a script gets it.
    fn ended(&self, (call, tool, start, result): EndedCall) -> (u32, Result<String, String>) {
        let value = result.and_then(|result| shape::value_of(&result, tool.has_output_schema));
        let outcome = value.map(|value| value.to_string()).and_then(|text| match text.len() > RESULT {
            true => Err(format!("its result has {} bytes, and a script gets at most {RESULT}", text.len())),
            false => Ok(text),
        });
        let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.trace().calls.push(CallTrace {
            tool: tool.whole_name.clone(),
            ms,
            bytes: outcome.as_ref().map_or(0, String::len),
            error: outcome.as_ref().err().map(|error| aiw_core::one_line(error, 300)),
        });
        (call, outcome)
    }
}

#[async_trait]
impl ScriptCalls for Calls {
    fn start(&mut self, tool: u32, arguments: String) -> Result<u32, String> {
        let at = usize::try_from(tool).unwrap_or(usize::MAX);
        let planned = self.planned.get(at).cloned().ok_or("there is no such tool")?;
        if self.started >= CALLS {
            return Err(format!("a run makes at most {CALLS} calls"));
        }
        if self.open.len() >= AT_ONCE {
            return Err(format!("at most {AT_ONCE} calls may be under way at once: await some of them first"));
        }
        let arguments = shape::object(&arguments)?;
        let check = self.checks[at].get_or_insert_with(|| Arguments::of(&planned));
        if let Some(problem) = check.problem(&arguments) {
            return Err(format!("the arguments of `{}` are wrong: {problem}", planned.whole_name));
        }
        let call = u32::try_from(self.started).unwrap_or(u32::MAX);
        self.started += 1;
        let (tools, start) = (self.tools.clone(), Instant::now());
        self.open.push(Box::pin(async move {
            let result = tools.call(&planned, arguments).await;
            (call, planned, start, result)
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

impl Drop for Calls {
    /// What is still under way ends with the run.
    fn drop(&mut self) {
        self.trace().cancelled = self.open.len();
    }
}
