//! Scripts over the tools that a client may use: which tools a script means, what its calls reach, and what is kept of
//! it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aiw_core::{
    Diagnostic, Effect, Plan as AskPlan, PromptError, Prompter, QuotedText, Reporter, WorkflowName, closest, one_line,
    pluralize, quoted_text, shell_quote_printable,
};
use aiw_home::{Home, now_millis};
use aiw_mcp::{Arguments, Call};
use aiw_orchestrator::{
    ApprovalState, CallableTool, Consent, ConsentReply, MAX_CALLS_PER_CONSENT, Orchestrator, OrchestratorError,
    RunRecord, RunRecords, RunResult, SavedWorkflow, ScriptApprover as AskForCalls, ScriptLimits, ScriptPlan, ToolName,
    Tools, Trace, WorkflowEntry, WorkflowError, WorkflowSummary, Workflows, planning::is_destructive,
    problem_of_arguments, tool_name, workflow_file,
};
use aiw_routing::{CatalogItem, Pool, matches_any_pattern};
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::ClientSession;
use crate::runs::is_private_session;
use crate::servers::call::parse_arguments;
use crate::servers::{ArgumentError, refresh_tools};

/// A script can't be run.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// A tool that was named is not there.
    #[error("there is no tool {}{}", quoted_text(.name, 80), if_not_known(.unlearnt))]
    ToolNotFound {
        /// The name.
        name: String,
        /// The one that is most like it.
        nearest: Option<String>,
        /// The servers whose tools are not known yet.
        unlearnt: Vec<String>,
    },
    /// The script names a tool that is not there, and may be one of a server whose tools are not known yet.
    #[error("{script}: {}", not_known(.unlearnt))]
    ToolsUnknown {
        /// The fault of the script.
        #[source]
        script: OrchestratorError,
        /// The servers.
        unlearnt: Vec<String>,
    },
    /// The script makes no sense.
    #[error(transparent)]
    Script(#[from] OrchestratorError),
    /// A kept one can't be used.
    #[error(transparent)]
    Workflow(#[from] WorkflowError),
    /// The person said no, or nobody can be asked.
    #[error("{}", .0.to_message("nothing was approved"))]
    Prompt(#[from] PromptError),
    /// A kept one calls a tool that its head doesn't name.
    #[error("the workflow `{name}` calls {}, which its head does not name", quoted_text(.tool, 120))]
    UndeclaredTool {
        /// The workflow.
        name: WorkflowName,
        /// The tool.
        tool: String,
    },
    /// The input can't be read.
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    /// The input of a kept workflow is invalid.
    #[error("the input of the workflow `{name}` is wrong: {problem}")]
    InvalidInput {
        /// The workflow.
        name: WorkflowName,
        /// The problem, as the end of a sentence.
        problem: String,
    },
}

/// Says whose tools are not known yet, as a clause.
fn not_known(servers: &[String]) -> String {
    const MAX_NAMED_TOOLS: usize = 5;
    let names: Vec<String> = servers.iter().take(MAX_NAMED_TOOLS).map(|name| quoted_text(name, 80)).collect();
    let more = match servers.len().saturating_sub(MAX_NAMED_TOOLS) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "the tools of {}{more} are not known yet, because nobody has looked into them so far, or nobody could",
        names.join(", ")
    )
}

fn if_not_known(servers: &[String]) -> String {
    match servers {
        [] => String::new(),
        servers => format!(": {}", not_known(servers)),
    }
}

impl Diagnostic for ScriptError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(self, Script, Workflow, Prompt, Argument, ToolsUnknown { script })
    }

    fn own_hint(&self) -> Option<String> {
        match self {
            Self::ToolNotFound { nearest: Some(nearest), .. } => {
                Some(format!("did you mean {}?", quoted_text(nearest, 80)))
            }
            Self::UndeclaredTool { .. } => Some("add it to `tools`".into()),
            Self::ToolNotFound { unlearnt, .. } | Self::ToolsUnknown { unlearnt, .. } if !unlearnt.is_empty() => Some(
                "try again in a few seconds; `aiw mcp status` looks into the servers, and says what is wrong".into(),
            ),
            Self::ToolNotFound { nearest: None, .. } => Some("`aiw mcp tools` lists them".into()),
            _ => None,
        }
    }
}

/// The tools that scripts of a client can be over, as they are now.
pub struct ScriptTools {
    tools: Vec<CatalogItem>,
    /// The servers whose tools are not known yet.
    servers_without_tools: Vec<String>,
}

impl ScriptTools {
    /// Returns those that the client's profile allows and whose definitions are accepted.
    pub fn new(pool: &Pool) -> Self {
        Self { tools: pool.tools(), servers_without_tools: pool.servers_without_tools() }
    }

    /// Returns those tools.
    pub fn all(&self) -> &[CatalogItem] {
        &self.tools
    }

    fn find(&self, name: &str) -> Option<&CatalogItem> {
        self.tools.iter().find(|tool| tool.proxied_name == name)
    }

    /// Returns a digest of the definition of the tool of a name.
    pub fn digest(&self, name: &str) -> Option<String> {
        Some(aiw_core::hex(self.find(name)?.definition.digest()))
    }

    /// Returns a tool by its name among all tools.
    pub fn tool(&self, name: &str) -> Result<&CatalogItem, ScriptError> {
        self.find(name).ok_or_else(|| ScriptError::ToolNotFound {
            name: name.to_owned(),
            nearest: closest(name, self.tools.iter().map(|tool| tool.proxied_name.as_str())).map(str::to_owned),
            unlearnt: self.servers_without_tools.clone(),
        })
    }

    /// Looks whether a kept workflow can have a name among the tools.
    pub fn check_name(&self, name: &WorkflowName) -> Result<(), ScriptError> {
        match self.find(&tool_name(name)) {
            Some(_) => Err(WorkflowError::ToolNameConflict { name: name.clone() }.into()),
            None => Ok(()),
        }
    }

    /// Looks whether a script makes sense, without running it. It may call the tools of these names; without names,
    /// those that it names itself. Returns the ones that it may call.
    pub async fn check(
        &self,
        orchestrator: &Orchestrator,
        code: &str,
        names: &[String],
    ) -> Result<Vec<&CatalogItem>, ScriptError> {
        let known: Vec<&CatalogItem> = match names {
            [] => self.tools.iter().collect(),
            names => names.iter().map(|name| self.tool(name)).collect::<Result<_, _>>()?,
        };
        let tools: Vec<ToolName> = known.iter().map(|tool| name_of(tool)).collect();
        let used = orchestrator.check(code, &tools).await.map_err(|script| match script.is_unknown_tool() {
            // With names, those are all that it may call.
            true if names.is_empty() && !self.servers_without_tools.is_empty() => {
                ScriptError::ToolsUnknown { script, unlearnt: self.servers_without_tools.clone() }
            }
            _ => ScriptError::Script(script),
        })?;
        Ok(match names.is_empty() {
            // Whatever else the script comes up with was not named in advance.
            true => used.into_iter().map(|at| known[at]).collect(),
            false => known,
        })
    }

    /// Returns a kept workflow with what it may call, if the user has approved it as it is, or if it need not be
    /// approved.
    pub fn saved_workflow(
        &self,
        workflows: &Workflows,
        name: &WorkflowName,
        needs_approval: bool,
    ) -> Result<(SavedWorkflow, Vec<&CatalogItem>), ScriptError> {
        let workflow = workflows.get(name)?;
        let standing = workflow.approval_state(&workflows.lock()?, &|tool| self.digest(tool));
        if needs_approval && standing != ApprovalState::Approved {
            return Err(WorkflowError::NotApproved { name: name.clone(), standing }.into());
        }
        let tools = workflow.tools.iter().map(|tool| self.tool(tool)).collect::<Result<_, _>>()?;
        Ok((workflow, tools))
    }
}

/// Asks the servers behind some tools for them, and returns all tools as they are now.
pub async fn refresh_script_tools(pool: &Pool, names: &[String], sink: &dyn Reporter) -> ScriptTools {
    let known = pool.tools();
    let server = |name: &String| match known.iter().find(|tool| tool.proxied_name == *name) {
        Some(tool) => Some(tool.server.clone()),
        // One that is not known yet may be of any server that was never seen.
        None => Some(name.split_once("__")?.0.to_owned()),
    };
    for server in names.iter().filter_map(server).collect::<BTreeSet<String>>() {
        // One that is not there has no tools, which is said when they are looked for.
        let _ = refresh_tools(pool, &server, sink).await;
    }
    ScriptTools::new(pool)
}

/// A script that is to be kept.
pub struct WorkflowDraft<'a> {
    /// Its name.
    pub name: WorkflowName,
    /// Its description, for those who look for a tool.
    pub description: &'a str,
    /// The schema of its input.
    pub input_schema: &'a Value,
    /// The script.
    pub code: &'a str,
    /// The tools that it may call; without any, those that it names.
    pub tools: &'a [String],
}

impl WorkflowDraft<'_> {
    /// Checks the script, and returns it as it would be kept.
    pub async fn to_workflow(
        &self,
        orchestrator: &Orchestrator,
        workflows: &Workflows,
        tools: &ScriptTools,
    ) -> Result<SavedWorkflow, ScriptError> {
        let used = tools.check(orchestrator, self.code, self.tools).await?;
        let names: Vec<String> = used.iter().map(|tool| tool.proxied_name.clone()).collect();
        let text = workflow_file(self.description, &names, self.input_schema, self.code);
        Ok(workflows.parse(&self.name, text.into_bytes())?)
    }
}

/// Checks that a workflow can have its name, makes sense as it is written, and calls nothing but its tools.
pub async fn check_workflow(
    orchestrator: &Orchestrator,
    workflow: &SavedWorkflow,
    tools: &ScriptTools,
) -> Result<(), ScriptError> {
    tools.check_name(&workflow.name)?;
    // Without a name, it may call what it names, which is nothing then.
    let used = tools.check(orchestrator, &workflow.text, &workflow.tools).await?;
    match used.into_iter().find(|tool| !workflow.tools.contains(&tool.proxied_name)) {
        None => Ok(()),
        Some(tool) => Err(ScriptError::UndeclaredTool { name: workflow.name.clone(), tool: tool.proxied_name.clone() }),
    }
}

/// Approves a kept workflow, if the person agrees to all of it. It is a tool then, which calls its tools without
/// asking.
pub async fn approve(
    workflows: &Workflows,
    workflow: &SavedWorkflow,
    tools: &ScriptTools,
    ask: &dyn Prompter,
) -> Result<(), ScriptError> {
    let used = workflow.tools.iter().map(|tool| tools.tool(tool)).collect::<Result<Vec<&CatalogItem>, _>>()?;
    let effect = |tool: &&CatalogItem| {
        let does = if tool.definition.is_read_only() { "says that it only reads" } else { "may change something" };
        format!("{} {does}", quoted_text(&tool.proxied_name, 120))
    };
    // What ends a line in JavaScript, and with it a comment.
    let lines: Vec<&str> = workflow.text.split(['\n', '\r', '\u{2028}', '\u{2029}']).collect();
    let question = match used.len() {
        0 => format!("Offer this script as the tool `{}`?", tool_name(&workflow.name)),
        _ => format!(
            "Offer this script as the tool `{}`, which calls these without asking again?",
            tool_name(&workflow.name)
        ),
    };
    let mut plan = AskPlan {
        text: Some(workflow.text.clone()),
        details: used.iter().map(effect).chain(injection_warnings(lines.iter().copied())).collect(),
        effects: used.iter().map(|tool| Effect::Runs(tool.proxied_name.clone())).collect(),
        ..AskPlan::new(question)
    };
    let digests: BTreeMap<String, String> =
        workflow.tools.iter().filter_map(|tool| Some((tool.clone(), tools.digest(tool)?))).collect();
    // The tools as they are now, whose names may be cut.
    plan.add_hidden_bytes(format!("{digests:?}").as_bytes());
    ask.confirm(&plan, &[]).await?;
    let (workflows, workflow) = (workflows.clone(), workflow.clone());
    Ok(aiw_home::run_blocking(move || workflows.approve(&workflow, &|tool| digests.get(tool).cloned())).await?)
}

/// Returns all kept workflows, as they stand with the tools that are known.
///
/// # Errors
///
/// Fails if what was approved can't be read.
pub fn list(client: &ClientSession) -> Result<Vec<WorkflowSummary>, ScriptError> {
    let workflows = Workflows::new(client.home().clone());
    let (lock, tools) = (workflows.lock()?, ScriptTools::new(client.pool()));
    Ok(workflows.list().iter().map(|listed| WorkflowSummary::new(listed, &lock, &|tool| tools.digest(tool))).collect())
}

/// Approves a workflow by its name, with its tools as their servers describe them now. Those are started.
///
/// # Errors
///
/// Fails if it can't be read or used, or the person doesn't agree.
pub async fn approve_by_name(
    client: &ClientSession,
    name: &WorkflowName,
    ask: &dyn Prompter,
    sink: &dyn Reporter,
) -> Result<WorkflowSummary, ScriptError> {
    let workflows = Workflows::new(client.home().clone());
    let workflow = workflows.get(name)?;
    let tools = refresh_script_tools(client.pool(), &workflow.tools, sink).await;
    check_workflow(client.app().orchestrator(), &workflow, &tools).await?;
    approve(&workflows, &workflow, &tools, ask).await?;
    client.pool().shut_down().await;
    Ok(summary(&workflows, &workflow, &tools)?)
}

/// Describes a workflow as it stands with these tools.
///
/// # Errors
///
/// Fails if what was approved can't be read.
pub fn summary(
    workflows: &Workflows,
    workflow: &SavedWorkflow,
    tools: &ScriptTools,
) -> Result<WorkflowSummary, WorkflowError> {
    let (name, path) = (workflow.name.clone(), workflow.path.clone());
    let listed = WorkflowEntry { name, path, workflow: Ok(workflow.clone()) };
    Ok(WorkflowSummary::new(&listed, &workflows.lock()?, &|tool| tools.digest(tool)))
}

/// Returns a line for each sign that a text is written to take over a model or to read keys.
pub fn injection_warnings<'a>(lines: impl IntoIterator<Item = &'a str>) -> impl Iterator<Item = String> {
    aiw_routing::injection_findings(lines).into_iter().map(|sign| format!("suspicious: it {sign}"))
}

/// Returns what is run of a kept workflow, if its input is right.
pub fn script_plan(workflow: &SavedWorkflow, input: Value, tools: &[&CatalogItem]) -> Result<ScriptPlan, ScriptError> {
    if let Some(problem) = problem_of_arguments(&workflow.input_schema, &input.to_string()) {
        return Err(ScriptError::InvalidInput { name: workflow.name.clone(), problem });
    }
    Ok(plan(workflow.text.clone(), input, tools))
}

/// Returns what is run of a script.
pub fn plan(code: String, input: Value, tools: &[&CatalogItem]) -> ScriptPlan {
    let tools = tools.iter().map(|tool| planned(tool)).collect();
    ScriptPlan { code, input, tools, limits: ScriptLimits::DEFAULT, keep_arguments: false }
}

fn name_of(tool: &CatalogItem) -> ToolName {
    let name = tool.definition.name().to_owned();
    ToolName { server: tool.server.clone(), name, qualified_name: tool.proxied_name.clone() }
}

/// Reads a tool's whole definition, which is worth it for those that are called.
fn planned(tool: &CatalogItem) -> CallableTool {
    let (ToolName { server, name, qualified_name: whole_name }, definition) = (name_of(tool), tool.definition.value());
    CallableTool {
        server,
        name,
        qualified_name: whole_name,
        input_schema: definition["inputSchema"].clone(),
        has_output_schema: definition["outputSchema"].is_object(),
    }
}

/// The decision about a run's calls that may change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WritePolicy {
    /// The user is asked, where nothing was decided before.
    Prompt,
    /// They are asked for each call: nobody who talks with them has seen the script.
    PromptPerCall,
    /// The user has approved the script with its tools.
    Approved,
    /// They are refused.
    Refused,
}

/// A run, for its trace.
#[derive(Debug, Clone)]
pub struct TracedRun {
    /// The kept workflow; none for a script that was sent.
    pub workflow: Option<WorkflowName>,
    /// The runner: an MCP client's name, or `aiw`.
    pub client: String,
    /// Whether its session is kept out of the history. Then nothing is kept of it.
    pub private: bool,
}

/// A run of a kept workflow by hand.
#[derive(Debug, Clone)]
pub struct WorkflowRequest {
    /// The workflow.
    pub name: WorkflowName,
    /// `NAME=VALUE` for each part of its input, or one JSON object.
    pub input: Vec<String>,
    /// Whether its trace keeps the arguments of its calls.
    pub keep_arguments: bool,
    /// Whether it is only tried: it need not be approved, and calls that may change something are refused.
    pub is_test: bool,
}

/// `aiw workflow run`, `test`
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
pub struct WorkflowResult {
    /// The script's result
    pub result: Option<Value>,
    /// Why it failed
    pub error: Option<String>,
    /// Its trace
    #[serde(flatten)]
    pub trace: Trace,
}

impl WorkflowResult {
    /// Describes a run that has ended.
    pub fn new(ended: &RunResult) -> Self {
        let (result, error) = match &ended.outcome {
            Ok(result) => (serde_json::from_str(result.get()).ok(), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Self { result, error, trace: ended.trace.clone() }
    }
}

/// Runs a kept workflow to its end, with its tools as their servers describe them now. Those are started. When this is
/// dropped, so is the run.
///
/// # Errors
///
/// Fails if it can't be read, is not approved as it is, or its input is wrong. An error of the script itself is in the
/// result.
pub async fn run_by_name(
    client: &ClientSession,
    request: WorkflowRequest,
    sink: &dyn Reporter,
) -> Result<RunResult, ScriptError> {
    let WorkflowRequest { name, input, keep_arguments, is_test } = request;
    let (home, pool, orchestrator) = (client.home(), client.pool(), client.app().orchestrator());
    let workflows = Workflows::new(home.clone());
    let tools = refresh_script_tools(pool, &workflows.get(&name)?.tools, sink).await;
    let (workflow, used) = tools.saved_workflow(&workflows, &name, !is_test)?;
    if is_test {
        check_workflow(orchestrator, &workflow, &tools).await?;
    }
    let input = parse_arguments(&input, &workflow.input_schema)?.parse().map_err(ArgumentError::from)?;
    let plan = ScriptPlan { keep_arguments, ..script_plan(&workflow, input.into(), &used)? };
    let private = is_private_session(home, client.session());
    let about = TracedRun { workflow: Some(name), client: "aiw".into(), private };
    let writes = if is_test { WritePolicy::Refused } else { WritePolicy::Approved };
    let reach = ScriptPermissions::new(home.clone(), pool.clone(), None, writes, NoPrompter);
    let ended = run(home, orchestrator, plan, reach, about).await;
    pool.shut_down().await;
    Ok(ended)
}

/// Runs a script to its end, and keeps its trace.
pub async fn run<A: AskForCalls + 'static>(
    home: &Home,
    orchestrator: &Orchestrator,
    plan: ScriptPlan,
    reach: ScriptPermissions<A>,
    about: TracedRun,
) -> RunResult {
    let (started, keep_arguments) = (now_millis(), plan.keep_arguments);
    let ended = orchestrator.run(plan, Arc::new(reach)).await;
    if !about.private {
        let record =
            RunRecord::new(&ended, about.workflow.map(|name| name.to_string()), &about.client, started, keep_arguments);
        let records = RunRecords::new(home.clone());
        // The run succeeds even if its trace can't be kept.
        aiw_home::run_blocking(move || record.map(|record| records.add(&record))).await;
    }
    ended
}

/// The reach of one run's calls: the servers that the client may call. The user is asked before something changes.
pub struct ScriptPermissions<A> {
    home: Home,
    pool: Arc<Pool>,
    call: Option<Call>,
    writes: WritePolicy,
    consent: Consent<A>,
    ended: AtomicU64,
}

impl<A: AskForCalls> ScriptPermissions<A> {
    /// Returns what a run reaches. `call` is the client's, which hears of progress and may cancel it.
    pub fn new(home: Home, pool: Arc<Pool>, call: Option<Call>, writes: WritePolicy, ask: A) -> Self {
        Self { home, pool, call, writes, consent: Consent::new(ask), ended: AtomicU64::new(0) }
    }

    /// Looks up a tool as it is offered now.
    fn known(&self, tool: &CallableTool) -> Option<CatalogItem> {
        self.pool.tools_by_name(&[(tool.server.clone(), tool.name.clone())]).pop().flatten()
    }

    /// Whether the user has decided beforehand that scripts may call a tool.
    fn is_decided(&self, tool: &CallableTool) -> bool {
        let (server, name) = (&tool.server, &tool.name);
        let in_settings = || {
            let patterns = self.home.settings().ok()?.mcp().ok()?.scripts;
            Some(matches_any_pattern(&patterns, server, name))
        };
        self.pool.profile().allows_script_call(server, name) || in_settings().unwrap_or_default()
    }

    async fn agreed(&self, tool: &CallableTool, arguments: &str) -> Result<(), String> {
        if self.writes == WritePolicy::Approved {
            return Ok(());
        }
        let known = self.known(tool);
        if known.as_ref().is_some_and(|tool| tool.definition.is_read_only()) {
            return Ok(());
        }
        if self.writes == WritePolicy::Refused {
            return Err(format!(
                "{} may change something, and this is only a test",
                quoted_text(&tool.qualified_name, 120)
            ));
        }
        if self.is_decided(tool) {
            return Ok(());
        }
        let definition = known.map(|tool| tool.definition.value()).unwrap_or_default();
        self.consent.request_consent(tool, arguments, calls_of_a_yes(self.writes, tool, &definition, arguments)).await
    }

    /// Tells the client how many calls have ended. What single servers tell of theirs would count up and down.
    async fn progress(&self, tool: &CallableTool) {
        let ended = self.ended.fetch_add(1, Ordering::Relaxed) + 1;
        let Some((call, token)) = self.call.as_ref().and_then(|call| Some((call, call.meta.get("progressToken")?)))
        else {
            return;
        };
        let message = format!("{} has answered", quoted_text(&tool.qualified_name, 120));
        let params = json!({"progressToken": token, "progress": ended, "message": message});
        // It may be gone.
        let _ = call.caller.notify("notifications/progress", Some(params)).await;
    }
}

#[async_trait]
impl<A: AskForCalls> Tools for ScriptPermissions<A> {
    async fn call(&self, tool: &CallableTool, arguments: String) -> Result<String, String> {
        self.agreed(tool, &arguments).await?;
        let arguments = RawValue::from_string(arguments).ok().and_then(|text| Arguments::from_raw(&text));
        let arguments = arguments.ok_or("the arguments are nested too deeply")?;
        let call = self.call.as_ref().map(|call| Call { meta: Map::new(), ..call.clone() });
        let result = self.pool.call(&tool.server, &tool.name, arguments, call.as_ref(), None).await;
        self.progress(tool).await;
        let result = result.map_err(|e| one_line(&e.to_string(), 2000))?;
        Ok(Box::<str>::from(result).into_string())
    }

    fn paused_duration(&self) -> Duration {
        self.consent.paused_duration()
    }
}

/// Says what else can be done where nobody can be asked.
pub fn non_interactive_message(tool: &CallableTool) -> String {
    format!(
        "{} may change something, and the user can't be asked in the middle of this script: call it with call_tool, or the \
         user lets scripts call it with `aiw mcp approve {} --scripts {}`",
        quoted_text(&tool.qualified_name, 120),
        shell_quote_printable(&tool.server),
        shell_quote_printable(&tool.name)
    )
}

/// How many calls one yes can cover: one where the user can't see all that it does, where it destroys something, and
/// where nobody who talks with them has seen the script.
fn calls_of_a_yes(writes: WritePolicy, tool: &CallableTool, definition: &Value, arguments: &str) -> usize {
    let is_each = writes == WritePolicy::PromptPerCall
        || is_destructive(&tool.qualified_name, definition)
        || !QuotedText::new(arguments).is_complete();
    if is_each { 1 } else { MAX_CALLS_PER_CONSENT }
}

/// The question whether a script may call a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallQuestion {
    /// The question.
    pub message: String,
    /// The choices of the user, each with the number of calls that it covers; the first is the default. Where
    /// each call asks, the list is empty.
    pub choices: Vec<(String, usize)>,
}

/// Returns the question whether a script may call a tool, and up to so many times.
pub fn question(tool: &CallableTool, arguments: &str, calls: usize) -> CallQuestion {
    let (name, shown) = (quoted_text(&tool.qualified_name, 120), QuotedText::new(arguments));
    let more = pluralize(calls.saturating_sub(1), "more call");
    let (covers, choices) = match calls {
        0 | 1 => ("Yes allows this call only: the next one asks again.", Vec::new()),
        _ => (
            "Yes allows this call only, unless you choose more.",
            vec![
                ("this call only".to_owned(), 1),
                (format!("this call and up to {more} of {name} in this run, whatever their arguments"), calls),
            ],
        ),
    };
    let message = format!(
        "A script wants to call {name}, which may change something. Its arguments:\n\n{}\n\n{covers}",
        shown.framed()
    );
    CallQuestion { message, choices }
}

/// Whoever never asks.
pub struct NoPrompter;

#[async_trait]
impl AskForCalls for NoPrompter {
    async fn prompt(&self, tool: &CallableTool, _: &str, _: usize) -> ConsentReply {
        ConsentReply::NotInteractive(non_interactive_message(tool))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str) -> CallableTool {
        CallableTool {
            server: "s".into(),
            name: name.into(),
            qualified_name: format!("s__{name}"),
            input_schema: json!({}),
            has_output_schema: false,
        }
    }

    #[test]
    fn a_question_shows_all_of_the_arguments_or_how_much_is_missing() {
        let long = json!({"a": "x".repeat(600), "to": "mallory@evil.example"}).to_string();
        let asked = question(&tool("send"), &long, 10);
        assert!(asked.message.replace("\n┆ ", "").contains("mallory@evil.example"), "{}", asked.message);
        let huge = json!({"a": "x".repeat(60_000), "to": "mallory@evil.example"}).to_string();
        let asked = question(&tool("send"), &huge, 1);
        let measured = format!("the whole text has {} bytes, sha256 ", huge.len());
        assert!(asked.message.contains(&measured) && asked.choices.is_empty(), "{}", asked.message);
        assert!(asked.message.replace("\n┆ ", "").contains("mallory@evil.example"), "{}", asked.message);
        let forged = question(&tool("send"), "{\"a\":\n\nYes allows nothing}", 1);
        assert!(forged.message.contains("\n│ Yes allows nothing}\n\nYes allows this call only"), "{}", forged.message);
    }

    #[test]
    fn a_question_says_what_a_yes_covers_and_offers_this_call_only() {
        let asked = question(&tool("send"), "{}", 10);
        assert_eq!(
            asked.message,
            "A script wants to call `s__send`, which may change something. Its arguments:\n\n│ {}\n\nYes allows this call \
             only, unless you choose more."
        );
        let choices: Vec<_> = asked.choices.iter().map(|(text, calls)| (text.as_str(), *calls)).collect();
        let more = "this call and up to 9 more calls of `s__send` in this run, whatever their arguments";
        assert_eq!(choices, [("this call only", 1), (more, 10)]);
    }

    #[test]
    fn what_destroys_or_cannot_be_seen_asks_each_time() {
        let calls = |writes, name: &str, definition: Value, arguments: &str| {
            calls_of_a_yes(writes, &tool(name), &definition, arguments)
        };
        assert_eq!(calls(WritePolicy::Prompt, "send", json!({}), "{}"), MAX_CALLS_PER_CONSENT);
        assert_eq!(calls(WritePolicy::PromptPerCall, "send", json!({}), "{}"), 1);
        assert_eq!(calls(WritePolicy::Prompt, "delete_all", json!({}), "{}"), 1);
        assert_eq!(calls(WritePolicy::Prompt, "send", json!({"annotations": {"destructiveHint": true}}), "{}"), 1);
        assert_eq!(calls(WritePolicy::Prompt, "send", json!({}), &"x".repeat(10_000)), 1);
    }
}
