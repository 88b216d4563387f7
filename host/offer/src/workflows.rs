//! `run_workflow`, `wait_workflow`: a script over the tools of the servers behind aiw.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aiw_core::{closest, one_line, quoted_text, shell_word_in_line};
use aiw_mcp::{Answer, Arguments, Call};
use aiw_orchestrator::{Plan, PlannedTool, ScriptLimits, ToolName, Tools, Trace};
use aiw_routing::{Offered, Pool};
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use crate::ask::{Stop, ask, can_ask};
use crate::context::Context;
use crate::error::CallError;
use crate::runs::Run;

/// The longest that a call waits for a script: clients give a call one minute.
const PATIENCE: Duration = Duration::from_secs(45);

/// How many scripts of a session may run at once, and how many results wait to be fetched.
const RUNS: usize = 8;

/// How many calls of one tool that changes something go with one yes.
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
    /// What it returned, as the script wrote it: numbers keep all of their digits
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    #[serde(flatten)]
    trace: Option<Trace>,
}

/// A whole answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Whole<'a> {
    content: [Value; 1],
    structured_content: &'a RawValue,
    is_error: bool,
}

/// Checks and runs a script.
pub(crate) async fn run_workflow(context: Arc<Context>, asked: RunWorkflow, call: Call) -> Result<Answer, CallError> {
    let orchestrator = context.client.app().orchestrator().clone();
    let offered = context.pool.tools();
    let known: Vec<&Offered> = match asked.tools.as_slice() {
        [] => offered.iter().collect(),
        names => names.iter().map(|name| named(name, &offered)).collect::<Result<_, _>>()?,
    };
    if !context.runs.has_room(RUNS) {
        return Err(CallError::TooManyRuns { most: RUNS });
    }
    let names: Vec<ToolName> = known.iter().map(|tool| name_of(tool)).collect();
    // A wrong name costs no call that was made before it.
    let used = tokio::select! {
        used = orchestrator.check(&asked.code, &names) => used?,
        () = call.cancelled.nobody_waits() => return Err(CallError::NobodyWaits),
    };
    if asked.dry_run {
        let names: Vec<&str> = used.iter().map(|at| names[*at].whole_name.as_str()).collect();
        return answer(&context, &json!({"checked": true, "tools": names}), &call);
    }
    let tools = match asked.tools.is_empty() {
        // Whatever else the script comes up with was not named in advance.
        true => used.into_iter().map(|at| planned(known[at])).collect(),
        false => known.into_iter().map(planned).collect(),
    };
    // The run holds what it needs, and not the session, with which it ends.
    let reach = Arc::new(Reach {
        pool: context.pool.clone(),
        call: call.clone(),
        answers: tokio::sync::Mutex::default(),
        asking: Mutex::default(),
    });
    let plan = Plan { code: asked.code, input: asked.input.into(), tools, limits: ScriptLimits::USUAL };
    let (tell, ended) = watch::channel(None);
    let task = tokio::spawn(async move {
        let ended = orchestrator.run(plan, reach).await;
        let _ = tell.send(Some(Arc::new(ended)));
    });
    let id = context.runs.add(Run::new(ended, task.abort_handle()));
    let id = id.ok_or_else(|| CallError::Defect { problem: "the system gives no random numbers".into() })?;
    wait(&context, &id, &call, true).await
}

/// Waits for a script that took longer.
pub(crate) async fn wait_workflow(context: Arc<Context>, asked: WaitWorkflow, call: Call) -> Result<Answer, CallError> {
    wait(&context, &asked.run, &call, false).await
}

/// Waits for a run. `is_first` is the call that began it: if nobody wants its answer, nobody knows the run.
async fn wait(context: &Context, id: &str, call: &Call, is_first: bool) -> Result<Answer, CallError> {
    let ended = context.runs.get(id);
    let mut ended = ended.ok_or_else(|| CallError::NoRun { run: id.to_owned() })?;
    let waited = tokio::select! {
        waited = tokio::time::timeout(PATIENCE, ended.wait_for(Option::is_some)) => waited,
        () = call.cancelled.nobody_waits() => {
            if is_first {
                context.runs.remove(id);
            }
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
    const NAMED: usize = 20;
    let one = |call: &aiw_orchestrator::CallTrace| match &call.error {
        None => one_line(&call.tool, 120),
        Some(error) => format!("{} (failed: {})", one_line(&call.tool, 120), one_line(error, 120)),
    };
    let some = |all: Vec<String>, count: usize| match count.saturating_sub(all.len()) {
        0 => all.join(", "),
        more => format!("{}, and {more} more", all.join(", ")),
    };
    let ended = some(trace.calls.iter().take(NAMED).map(one).collect(), trace.calls.len());
    let open = trace.cancelled.iter().take(NAMED).map(|name| one_line(name, 120)).collect();
    let open = some(open, trace.cancelled.len());
    let mut parts = Vec::new();
    if !ended.is_empty() {
        parts.push(format!("calls so far: {ended}"));
    }
    if !open.is_empty() {
        parts.push(format!("under way when it ended, so that they may have happened: {open}"));
    }
    if parts.is_empty() {
        parts.push("it had made no calls".to_owned());
    }
    parts.extend(trace.logs.last().map(|last| format!("it logged last: {}", one_line(&last.line, 200))));
    parts.join("; ")
}

fn answer(context: &Context, value: &impl Serialize, call: &Call) -> Result<Answer, CallError> {
    let defect = |e: serde_json::Error| CallError::Defect { problem: e.to_string() };
    let structure = serde_json::value::to_raw_value(value).map_err(defect)?;
    let text = json!({"type": "text", "text": structure.get()});
    let whole = Whole { content: [text], structured_content: &structure, is_error: false };
    let raw = serde_json::value::to_raw_value(&whole).map_err(defect)?;
    context.kept.fit(raw, call.caller.name()).map_err(CallError::Rpc)
}

fn name_of(tool: &Offered) -> ToolName {
    let name = tool.definition.name().to_owned();
    ToolName { server: tool.server.clone(), name, whole_name: tool.proxied.clone() }
}

/// Reads a tool's whole definition, which is worth it for those that are called.
fn planned(tool: &Offered) -> PlannedTool {
    let (ToolName { server, name, whole_name }, definition) = (name_of(tool), tool.definition.value());
    PlannedTool {
        server,
        name,
        whole_name,
        input_schema: definition["inputSchema"].clone(),
        has_output_schema: definition["outputSchema"].is_object(),
    }
}

fn named<'a>(name: &str, offered: &'a [Offered]) -> Result<&'a Offered, CallError> {
    offered.iter().find(|tool| tool.proxied == name).ok_or_else(|| CallError::NoPlannedTool {
        name: name.to_owned(),
        nearest: closest(name, offered.iter().map(|tool| tool.proxied.as_str())).map(str::to_owned),
    })
}

/// What the calls of one run reach: the servers as this session may, after the user was asked where something changes.
struct Reach {
    pool: Arc<Pool>,
    call: Call,
    /// What the user said of each tool. Held while they are asked, so that they see one question at a time.
    answers: tokio::sync::Mutex<Answers>,
    asking: Mutex<Asking>,
}

#[derive(Default)]
struct Answers {
    /// How many calls of a tool the last yes still covers.
    left: HashMap<String, usize>,
    declined: HashSet<String>,
}

/// How long the user was asked.
#[derive(Default)]
struct Asking {
    past: Duration,
    since: Option<Instant>,
}

impl Reach {
    fn asking(&self) -> std::sync::MutexGuard<'_, Asking> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a tool says that it only reads, by what is known of it now.
    fn only_reads(&self, tool: &PlannedTool) -> bool {
        let known = self.pool.offered(&[(tool.server.clone(), tool.name.clone())]);
        known.into_iter().flatten().any(|tool| tool.definition.only_reads())
    }

    async fn agreed(&self, tool: &PlannedTool, arguments: &str) -> Result<(), String> {
        if self.only_reads(tool) {
            return Ok(());
        }
        let name = &tool.whole_name;
        let mut answers = self.answers.lock().await;
        let declined = || format!("the user declined calls of {}", quoted_text(name, 120));
        if answers.declined.contains(name) {
            return Err(declined());
        }
        let left = match answers.left.get(name).copied().filter(|left| *left > 0) {
            Some(left) => left,
            None => match self.ask(tool, arguments).await {
                Ok(()) => CALLS_OF_A_YES,
                Err(Unagreed::Declined) => {
                    answers.declined.insert(name.clone());
                    return Err(declined());
                }
                Err(Unagreed::Unasked) => return Err(self.unasked(tool)),
            },
        };
        answers.left.insert(name.clone(), left - 1);
        Ok(())
    }

    async fn ask(&self, tool: &PlannedTool, arguments: &str) -> Result<(), Unagreed> {
        if !can_ask(&self.call.caller) {
            return Err(Unagreed::Unasked);
        }
        let end = arguments.floor_char_boundary(SHOWN);
        let more = match arguments.len() - end {
            0 => String::new(),
            more => format!(" ({more} more bytes are not shown)"),
        };
        let message = format!(
            "A script of the model's wants to call {}, which may change something. Its arguments:\n\n{}{more}\n\nAllow \
             this, and up to {} more calls of the same tool in this run?",
            quoted_text(&tool.whole_name, 120),
            one_line(&arguments[..end], SHOWN),
            CALLS_OF_A_YES - 1
        );
        self.asking().since = Some(Instant::now());
        let said = ask(&self.call, message, Map::new(), &[]).await;
        let mut asking = self.asking();
        let time = asking.since.take().map(|since| since.elapsed()).unwrap_or_default();
        asking.past += time;
        match said {
            Ok(_) => Ok(()),
            Err(Stop::Declined) => Err(Unagreed::Declined),
            Err(_) => Err(Unagreed::Unasked),
        }
    }

    fn unasked(&self, tool: &PlannedTool) -> String {
        format!(
            "{} may change something, and the user can't be asked in the middle of this script: call it with call_tool, or \
             the user runs it with `aiw mcp call {} {}`",
            quoted_text(&tool.whole_name, 120),
            shell_word_in_line(&tool.server),
            shell_word_in_line(&tool.name)
        )
    }
}

/// Why a call was not agreed to.
enum Unagreed {
    Declined,
    /// The user can't be asked here.
    Unasked,
}

#[async_trait]
impl Tools for Reach {
    async fn call(&self, tool: &PlannedTool, arguments: String) -> Result<String, String> {
        self.agreed(tool, &arguments).await?;
        let arguments = RawValue::from_string(arguments).ok().and_then(|text| Arguments::written(&text));
        let arguments = arguments.ok_or("the arguments are nested too deeply")?;
        // Progress of one call of many would say nothing of the run.
        let call = Call { meta: Map::new(), ..self.call.clone() };
        let result = self.pool.call(&tool.server, &tool.name, arguments, Some(&call)).await;
        let result = result.map_err(|e| one_line(&e.to_string(), 2000))?;
        Ok(Box::<str>::from(result).into_string())
    }

    fn paused(&self) -> Duration {
        let asking = self.asking();
        asking.past + asking.since.map(|since| since.elapsed()).unwrap_or_default()
    }
}
