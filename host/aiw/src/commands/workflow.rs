//! `aiw workflow …`

use std::sync::Arc;

use aiw_app::ClientSession;
use aiw_app::workflows::{
    self, ScriptError, ScriptTools, WorkflowDraft, WorkflowRequest, WorkflowResult, check_workflow,
    refresh_script_tools,
};
use aiw_core::{ErrorKind, WorkflowName, one_line, pluralize, quoted_text};
use aiw_home::Home;
use aiw_orchestrator::{
    DeclaredTool, MAX_WORKFLOW_BYTES, Orchestrator, OverwritePolicy, RunRecord, RunRecords, SavedWorkflow,
    WorkflowSummary, Workflows, declaration_file, extract_code, tool_expression, tool_name, workflow_file,
};
use aiw_routing::{CatalogItem, Pool};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::each::remove_files;
use super::given;
use crate::ask::TerminalPrompter;
use crate::cli::workflow::{NewWorkflowArgs, RunWorkflowArgs, RunsArgs, SaveWorkflowArgs, WorkflowCommand};
use crate::components::session;
use crate::failure::CliError;
use crate::output::Output;
use aiw_app::phrases::{elapsed_since_rfc3339, format_ago};

/// `aiw workflow list`
#[derive(Serialize, JsonSchema)]
pub struct WorkflowList {
    /// The workflows, by name
    pub workflows: Vec<WorkflowSummary>,
}

/// `aiw workflow show`, `new`, `save`, `approve`
#[derive(Serialize, JsonSchema)]
pub struct WorkflowDetails {
    /// The workflow
    pub workflow: WorkflowSummary,
    /// Its file's text, of `show` alone
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// `aiw workflow runs`
#[derive(Serialize, JsonSchema)]
pub struct WorkflowRunList {
    /// The runs, the newest first
    pub runs: Vec<RunRecord>,
}

/// Values that every command uses.
struct CommandValues {
    client: Arc<ClientSession>,
    workflows: Workflows,
}

impl CommandValues {
    fn new(home: &Home, output: &Output) -> Result<Self, CliError> {
        let client = session(home, output)?;
        let workflows = Workflows::new(client.home().clone());
        Ok(Self { client, workflows })
    }

    fn pool(&self) -> &Arc<Pool> {
        self.client.pool()
    }

    fn orchestrator(&self) -> &Orchestrator {
        self.client.app().orchestrator()
    }
}

pub async fn run(command: WorkflowCommand, home: &Home, output: &Output) -> Result<(), CliError> {
    let here = CommandValues::new(home, output)?;
    match command {
        WorkflowCommand::List => list(&here, output),
        WorkflowCommand::Show { name } => show(&here, &name.parse()?, output),
        WorkflowCommand::New(args) => new(&here, args, output).await,
        WorkflowCommand::Save(args) => save(&here, args, output).await,
        WorkflowCommand::Run(args) => execute(&here, args, false, output).await,
        WorkflowCommand::Test(args) => execute(&here, args, true, output).await,
        WorkflowCommand::Approve { name, yes } => approve(&here, &name.parse()?, yes, output).await,
        WorkflowCommand::Remove { names } => {
            remove_files(&names, output, |name| Ok(here.workflows.remove(&name.parse()?)?))
        }
        WorkflowCommand::Runs(args) => runs(&here, &args, output),
    }
}

fn list(here: &CommandValues, output: &Output) -> Result<(), CliError> {
    let workflows = workflows::list(&here.client)?;
    let row = |workflow: &WorkflowSummary| {
        let about = workflow.description.clone().or_else(|| workflow.problem.as_ref().map(|p| format!("it {p}")));
        vec![workflow.name.clone(), workflow.state.to_owned(), one_line(&about.unwrap_or_default(), 80)]
    };
    output.table(&["NAME", "STATE", "DESCRIPTION"], &workflows.iter().map(row).collect::<Vec<_>>());
    if workflows.is_empty() {
        output.line("no workflows: `aiw workflow new NAME` writes one");
    }
    output.set_json(WorkflowList { workflows });
    Ok(())
}

fn show(here: &CommandValues, name: &WorkflowName, output: &Output) -> Result<(), CliError> {
    let workflow = here.workflows.get(name)?;
    let summary = workflows::summary(&here.workflows, &workflow, &ScriptTools::new(here.pool()))?;
    workflow.text.lines().for_each(|line| output.line(line));
    if let Some(problem) = &summary.problem {
        output.note(format!("note: it {problem}"));
    }
    output.set_json(WorkflowDetails { workflow: summary, text: Some(workflow.text) });
    Ok(())
}

async fn new(here: &CommandValues, args: NewWorkflowArgs, output: &Output) -> Result<(), CliError> {
    let name: WorkflowName = args.name.parse()?;
    let tools = refresh_script_tools(here.pool(), &args.tools, output).await;
    let used = args.tools.iter().map(|tool| tools.tool(tool)).collect::<Result<Vec<&CatalogItem>, _>>()?;
    let calls: Vec<String> = used
        .iter()
        .enumerate()
        .map(|(at, tool)| format!("  const result{} = await {}({{}});\n", at + 1, tool_expression(&tool.proxied_name)))
        .collect();
    let result = if calls.is_empty() { "input".to_owned() } else { "result1".to_owned() };
    let code = format!(
        "\n/** @param {{Record<string, any>}} input */\nasync function workflow(input) {{\n{}  return {result};\n}}",
        calls.concat()
    );
    let description = args.description.unwrap_or_else(|| "What it does".to_owned());
    let file = workflow_file(&description, &args.tools, &json!({"type": "object", "properties": {}}), &code);
    // What an editor needs. Comments of a line may stand before the head.
    let file = format!("// @ts-check\n/// <reference path=\"tools.d.ts\" />\n{file}");
    let workflow = here.workflows.parse(&name, file.into_bytes())?;
    here.workflows.write(&workflow, OverwritePolicy::Never)?;
    let declared: Vec<(&str, Value)> =
        tools.all().iter().map(|tool| (tool.proxied_name.as_str(), tool.definition.value())).collect();
    let declared =
        declared.iter().map(|(whole_name, definition)| DeclaredTool { qualified_name: whole_name, definition });
    here.workflows.write_declarations(&declaration_file(declared))?;
    output.line(format!("Wrote `{}`", workflow.path.display()));
    output.line(format!(
        "`{}` declares your {} for editors",
        here.workflows.declarations_path().display(),
        pluralize(tools.all().len(), "tool")
    ));
    output.line(format!(
        "When it is done, try it with `aiw workflow test {name}`, and `aiw workflow approve {name}` makes it a tool"
    ));
    output.set_json(WorkflowDetails { workflow: workflows::summary(&here.workflows, &workflow, &tools)?, text: None });
    Ok(())
}

async fn save(here: &CommandValues, args: SaveWorkflowArgs, output: &Output) -> Result<(), CliError> {
    let name: WorkflowName = args.name.parse()?;
    let bytes = given(&args.from, MAX_WORKFLOW_BYTES)?;
    if bytes.len() as u64 > MAX_WORKFLOW_BYTES {
        return Err(CliError::user(format!(
            "`{}` is larger than {} kB",
            args.from.display(),
            MAX_WORKFLOW_BYTES >> 10
        )));
    }
    let tools = refresh_script_tools(here.pool(), &args.tools, output).await;
    let parsed = SavedWorkflow::parse(name.clone(), here.workflows.path(&name), bytes.clone());
    let workflow = match (parsed, args.description) {
        (Ok(workflow), None) if args.tools.is_empty() => workflow,
        (Ok(_), _) => {
            return Err(CliError::new(ErrorKind::Usage, "the file has a head that says what it does and calls")
                .with_hint("leave `--description` and `--tool` out, or the head"));
        }
        (Err(problem), None) => {
            return Err(CliError::new(ErrorKind::Usage, format!("the file {problem}"))
                .with_hint("`--description` gives it one, with the tools that the script names"));
        }
        (Err(_), Some(description)) => {
            let text = String::from_utf8(bytes)
                .map_err(|_| CliError::user(format!("`{}` is not UTF-8", args.from.display())))?;
            let (code, name) = (&extract_code(&text), name.clone());
            let input_schema = &json!({"type": "object"});
            let draft = WorkflowDraft { name, description: &description, input_schema, code, tools: &args.tools };
            draft.to_workflow(here.orchestrator(), &here.workflows, &tools).await?
        }
    };
    check_workflow(here.orchestrator(), &workflow, &tools).await?;
    here.workflows.write(&workflow, if args.force { OverwritePolicy::Always } else { OverwritePolicy::Never })?;
    output.line(format!("Wrote `{}`", workflow.path.display()));
    output.line(format!("`aiw workflow approve {name}` makes it a tool"));
    output.set_json(WorkflowDetails { workflow: workflows::summary(&here.workflows, &workflow, &tools)?, text: None });
    Ok(())
}

async fn execute(here: &CommandValues, args: RunWorkflowArgs, is_test: bool, output: &Output) -> Result<(), CliError> {
    let RunWorkflowArgs { name, input, trace_arguments } = args;
    let request = WorkflowRequest { name: name.parse()?, input, keep_arguments: trace_arguments, is_test };
    let ended = workflows::run_by_name(&here.client, request, output).await?;
    for line in &ended.trace.logs {
        output.note(&line.line);
    }
    let answer = WorkflowResult::new(&ended);
    match ended.outcome {
        Ok(result) => {
            match serde_json::from_str::<String>(result.get()) {
                Ok(text) => text.lines().for_each(|line| output.line(line)),
                Err(_) => output.line(pretty(&result)),
            }
            output.set_json(answer);
            Ok(())
        }
        Err(error) => Err(CliError::from(ScriptError::from(error)).with_json_output(answer)),
    }
}

/// A result over several lines, with all digits of its numbers.
fn pretty(result: &RawValue) -> String {
    let parsed: Result<Value, _> = serde_json::from_str(result.get());
    match parsed {
        // What can't be written again as it was is shown as it is.
        Ok(value) if format!("{value}") == result.get() => format!("{value:#}"),
        _ => result.get().to_owned(),
    }
}

async fn approve(here: &CommandValues, name: &WorkflowName, yes: bool, output: &Output) -> Result<(), CliError> {
    let workflow = workflows::approve_by_name(&here.client, name, &TerminalPrompter::new(output, yes), output).await?;
    output.line(format!("Approved `{name}`: it is the tool `{}` of the toolset `workflows`", tool_name(name)));
    output.set_json(WorkflowDetails { workflow, text: None });
    Ok(())
}

fn runs(here: &CommandValues, args: &RunsArgs, output: &Output) -> Result<(), CliError> {
    let records = RunRecords::new(here.client.home().clone());
    if let Some(id) = &args.run {
        let run = records.get(id).ok_or_else(|| {
            CliError::user(format!("no run is {}, or several begin so", quoted_text(id, 40)))
                .with_hint("`aiw workflow runs` lists them")
        })?;
        output.line(format!("{}  {}", run.id, about(&run)));
        let row = |call: &aiw_orchestrator::CallTrace| {
            let said = call.error.clone().or_else(|| call.arguments.clone()).unwrap_or_default();
            vec![
                one_line(&call.tool, 80),
                format!("{} ms", call.duration_ms),
                format!("{} bytes", call.bytes),
                one_line(&said, 200),
            ]
        };
        output.table(&["TOOL", "TIME", "RESULT", ""], &run.calls.iter().map(row).collect::<Vec<_>>());
        for tool in &run.cancelled {
            output.line(format!("{} was cancelled", quoted_text(tool, 120)));
        }
        output.set_json(WorkflowRunList { runs: vec![run] });
        return Ok(());
    }
    let runs = records.list(args.workflow.as_deref(), args.tail.into());
    let row = |run: &RunRecord| {
        let workflow = run.workflow.clone().unwrap_or_else(|| "-".into());
        let calls = run.calls.len().to_string();
        vec![
            run.id.clone(),
            elapsed_since_rfc3339(&run.started_at).map(format_ago).unwrap_or_default(),
            workflow,
            run.client.clone(),
            calls,
            about(run),
        ]
    };
    output
        .table(&["RUN", "STARTED", "WORKFLOW", "CLIENT", "CALLS", "ENDED"], &runs.iter().map(row).collect::<Vec<_>>());
    if runs.is_empty() {
        output.line(match &args.workflow {
            Some(name) => format!("{} has not run", quoted_text(name, 60)),
            None => "no script has run".to_owned(),
        });
    }
    output.set_json(WorkflowRunList { runs });
    Ok(())
}

fn about(run: &RunRecord) -> String {
    match &run.error {
        None => format!("after {} ms, with {} bytes", run.duration_ms, run.bytes),
        Some(error) => format!("failed after {} ms: {}", run.duration_ms, one_line(error, 120)),
    }
}
