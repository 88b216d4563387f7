//! `run_workflow`, `wait_workflow`: a script over the tools of the servers behind aiw.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use aiw_core::{one_line, shell_word};
use aiw_mcp::{Answer, Arguments, Call};
use aiw_orchestrator::{Plan, PlannedTool, ScriptLimits, Tools, Trace};
use aiw_routing::Offered;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use crate::context::Context;
use crate::error::CallError;
use crate::install::{Stop, ask, can_ask};
use crate::runs::Run;

/// The longest that a call waits for a script: clients give a call one minute.
const PATIENCE: Duration = Duration::from_secs(45);

/// How many scripts of a session may run at once, and how many results wait to be fetched.
const RUNS: usize = 8;

/// How many calls that change something go with one yes.
const CALLS_OF_A_YES: usize = 10;

/// The most bytes of arguments that a question shows.
const SHOWN: usize = 600;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunWorkflow {
    /// JavaScript: `async function workflow(input) {…}`, or statements that `return`
    code: String,
    /// What `workflow` is called with
    #[serde(default)]
    input: Map<String, Value>,
    /// The tools that it may call, as `server__tool`; without this, those that it names
    #[serde(default)]
    tools: Vec<String>,
    /// Only check the code
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WaitWorkflow {
    /// The run that run_workflow named
    run: String,
}

#[derive(Serialize)]
struct RunAnswer {
    /// Whether the script has ended
    done: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    /// What it returned
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Value>,
    #[serde(flatten)]
    trace: Option<Trace>,
}

/// Checks and runs a script.
pub(crate) async fn run_workflow(context: Arc<Context>, asked: RunWorkflow, call: Call) -> Result<Answer, CallError> {
    let orchestrator = context.client.app().orchestrator().clone();
    let offered = context.pool.tools();
    let known: Vec<PlannedTool> = match asked.tools.as_slice() {
        [] => offered.iter().map(planned).collect(),
        names => names.iter().map(|name| named(name, &offered)).collect::<Result<_, _>>()?,
    };
    // A wrong name costs no call that was made before it.
    let used = orchestrator.check(&asked.code, &known).await?;
    if asked.dry_run {
        let names: Vec<&str> = used.iter().map(|at| known[*at].whole_name.as_str()).collect();
        return answer(&context, &json!({"checked": true, "tools": names}), &call);
    }
    let tools = match asked.tools.is_empty() {
        // Whatever else the script comes up with was not named in advance.
        true => used.into_iter().map(|at| known[at].clone()).collect(),
        false => known,
    };
    if context.runs.count() >= RUNS {
        return Err(CallError::TooManyRuns { most: RUNS });
    }
    let reads = offered.iter().filter(|tool| tool.definition.only_reads()).map(|tool| tool.proxied.clone()).collect();
    let reach =
        Arc::new(Reach { context: context.clone(), call: call.clone(), reads, asked: tokio::sync::Mutex::new(0) });
    let plan = Plan { code: asked.code, input: asked.input.into(), tools, limits: ScriptLimits::USUAL };
    let (tell, ended) = watch::channel(None);
    let task = tokio::spawn(async move {
        let ended = orchestrator.run(plan, reach).await;
        let _ = tell.send(Some(Arc::new(ended)));
    });
    let id = context.runs.add(Run::new(ended, task.abort_handle()));
    let id = id.ok_or_else(|| CallError::Defect { problem: "the system gives no random numbers".into() })?;
    wait(&context, &id, &call).await
}

/// Waits for a script that took longer.
pub(crate) async fn wait_workflow(context: Arc<Context>, asked: WaitWorkflow, call: Call) -> Result<Answer, CallError> {
    wait(&context, &asked.run, &call).await
}

async fn wait(context: &Context, id: &str, call: &Call) -> Result<Answer, CallError> {
    let ended = context.runs.get(id);
    let mut ended = ended.ok_or_else(|| CallError::NoRun { run: id.to_owned() })?;
    let waited = tokio::select! {
        waited = tokio::time::timeout(PATIENCE, ended.wait_for(Option::is_some)) => waited,
        () = call.cancelled.nobody_waits() => {
            // Nobody wants its result any more.
            context.runs.remove(id);
            return Err(CallError::NobodyWaits);
        }
    };
    let ended = match waited {
        Err(_) => {
            let message = format!("it still runs: call wait_workflow with `run` {id}");
            let running =
                RunAnswer { done: false, message: Some(message), run: Some(id.to_owned()), result: None, trace: None };
            return answer(context, &running, call);
        }
        Ok(seen) => seen.ok().and_then(|seen| seen.clone()),
    };
    context.runs.remove(id);
    let ended = ended.ok_or_else(|| CallError::Defect { problem: "the run ended without a result".into() })?;
    match &ended.outcome {
        Ok(result) => {
            let (result, trace) = (Some(result.clone()), Some(ended.trace.clone()));
            answer(context, &RunAnswer { done: true, message: None, run: None, result, trace }, call)
        }
        Err(error) => Err(CallError::Workflow { problem: error.to_string(), made: made(&ended.trace) }),
    }
}

/// Says which calls a failed script had made: those stay made.
fn made(trace: &Trace) -> String {
    let one = |call: &aiw_orchestrator::CallTrace| match &call.error {
        None => call.tool.clone(),
        Some(error) => format!("{} (failed: {})", call.tool, one_line(error, 120)),
    };
    let mut lines: Vec<String> = trace.calls.iter().take(20).map(one).collect();
    if trace.calls.len() > lines.len() {
        lines.push(format!("and {} more", trace.calls.len() - lines.len()));
    }
    let calls = if lines.is_empty() {
        "it had made no calls".to_owned()
    } else {
        format!("calls so far: {}", lines.join(", "))
    };
    match trace.logs.last() {
        Some(last) => format!("{calls}; it logged last: {}", one_line(&last.line, 200)),
        None => calls,
    }
}

fn answer(context: &Context, value: &impl Serialize, call: &Call) -> Result<Answer, CallError> {
    let defect = |e: serde_json::Error| CallError::Defect { problem: e.to_string() };
    let structure = serde_json::to_value(value).map_err(defect)?;
    let whole = Value::from(Answer::of(structure).into_value());
    let raw = serde_json::value::to_raw_value(&whole).map_err(defect)?;
    context.kept.fit(raw, call.caller.name()).map_err(CallError::Rpc)
}

fn planned(tool: &Offered) -> PlannedTool {
    let definition = tool.definition.value();
    PlannedTool {
        server: tool.server.clone(),
        name: tool.definition.name().to_owned(),
        whole_name: tool.proxied.clone(),
        input_schema: definition["inputSchema"].clone(),
        has_output_schema: definition["outputSchema"].is_object(),
    }
}

fn named(name: &str, offered: &[Offered]) -> Result<PlannedTool, CallError> {
    offered.iter().find(|tool| tool.proxied == name).map(planned).ok_or_else(|| CallError::UnknownTool {
        name: name.to_owned(),
        tools: offered.iter().map(|tool| tool.proxied.clone()).collect(),
    })
}

/// What the calls of one run reach: the servers as this session may, after the user was asked where something changes.
struct Reach {
    context: Arc<Context>,
    call: Call,
    /// The tools that only read.
    reads: HashSet<String>,
    /// How many calls the user's last yes still covers. Held while they are asked.
    asked: tokio::sync::Mutex<usize>,
}

impl Reach {
    async fn agreed(&self, tool: &PlannedTool, arguments: &Map<String, Value>) -> Result<(), String> {
        if self.reads.contains(&tool.whole_name) {
            return Ok(());
        }
        let mut left = self.asked.lock().await;
        if *left == 0 {
            if !can_ask(&self.call.caller) {
                return Err(self.unasked(tool));
            }
            let shown = one_line(&Value::from(arguments.clone()).to_string(), SHOWN);
            let message = format!(
                "A script of the model's wants to call `{}`, which may change something:\n\n{shown}\n\nAllow this, and up \
                 to {} more such calls of this run?",
                one_line(&tool.whole_name, 120),
                CALLS_OF_A_YES - 1
            );
            match ask(&self.call, message, Map::new(), &[]).await {
                Ok(_) => *left = CALLS_OF_A_YES,
                Err(Stop::Declined) => return Err(format!("the user declined the call of `{}`", tool.whole_name)),
                Err(_) => return Err(self.unasked(tool)),
            }
        }
        *left -= 1;
        Ok(())
    }

    fn unasked(&self, tool: &PlannedTool) -> String {
        format!(
            "`{}` may change something, and this client can't ask the user in the middle of a script: call it with \
             call_tool, or the user runs it with `aiw mcp call {} {}`",
            tool.whole_name,
            shell_word(&tool.server),
            shell_word(&tool.name)
        )
    }
}

#[async_trait]
impl Tools for Reach {
    async fn call(&self, tool: &PlannedTool, arguments: Map<String, Value>) -> Result<Value, String> {
        self.agreed(tool, &arguments).await?;
        // Progress of one call of many would say nothing of the run.
        let call = Call { meta: Map::new(), ..self.call.clone() };
        let result = self.context.pool.call(&tool.server, &tool.name, Arguments::from(arguments), Some(&call)).await;
        let result = result.map_err(|e| one_line(&e.to_string(), 2000))?;
        serde_json::from_str(result.get()).map_err(|e| format!("the result can't be read: {e}"))
    }
}
