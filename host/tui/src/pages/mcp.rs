//! MCP servers behind aiw: whether they work, their tools, and what waits to be accepted; and the workflows over them.

use std::sync::Arc;

use aiw_app::feed::Topic;
use aiw_app::servers::call::{self, ToolCallRequest, ToolCallResult, ToolParameter};
use aiw_app::servers::{approve, edit, look};
use aiw_app::workflows;
use aiw_core::{Choice, Plan, Prompter, Question, WorkflowName, one_line, pluralize};
use aiw_orchestrator::{WorkflowSummary, Workflows};
use aiw_routing::{Records, ServerEntry, ServerTool};

use crate::context::AppContext;
use crate::page::{Action, Column, Detail, ListContent, Outcome, Page, PageDescriptor, Row};
use crate::paint::{Fact, TextStyle};
use crate::progress::error_line;
use crate::prompter::TuiPrompter;
use crate::screen::TerminalProgram;

/// The beginning of the id of a workflow's row. No server has a name with it.
const WORKFLOW_ID_PREFIX: &str = "\nworkflow ";

/// The page of MCP servers.
pub(crate) struct McpServersPage(pub(crate) Arc<AppContext>);

/// The screen in words.
pub(super) static PAGE: PageDescriptor = PageDescriptor {
    title: "MCP",
    slug: "mcp",
    cli_command: "aiw mcp list",
    topics: &[Topic::Servers],
    columns: &[
        Column::new("NAME"),
        Column::state("STATE"),
        Column::optional("TOOLS"),
        Column::optional("LISTED"),
        Column::optional("FROM"),
        Column::optional("TRANSPORT"),
        Column::new("SERVER"),
    ],
    empty_message: "no servers: `aiw mcp search WORDS` finds some",
    actions: &[
        Action::new('s', "status", "start it, and see whether it works"),
        Action::single('a', "approve", "see what it has changed in its definitions, or a workflow, and approve that"),
        Action::single('c', "call", "call one of its tools, with the arguments that you type"),
        Action::new('e', "on/off", "enable it for clients, or disable it"),
        Action::single('t', "tools", "its tools as it offers them now, with their parameters"),
        Action::single('o', "log in", "log in to it with your browser"),
        Action::new('d', "remove", "remove it from mcp.json, or a workflow's file: asks")
            .with_confirmation("Remove {}? (y/N)"),
    ],
    ..PageDescriptor::EMPTY
};

impl Page for McpServersPage {
    fn descriptor(&self) -> &'static PageDescriptor {
        &PAGE
    }

    fn list(&self, _: &str) -> Result<ListContent, String> {
        let ground = &*self.0;
        let answer = look::list(&ground.client, &aiw_core::NonInteractive).map_err(|e| error_line(&e))?;
        let rows = answer.servers.iter().map(row);
        let (workflows, problem) = match workflows::list(&ground.client) {
            Ok(workflows) => (workflows, None),
            Err(e) => (Vec::new(), Some(error_line(&e))),
        };
        let rows = rows.chain(workflows.iter().map(workflow_row)).collect();
        Ok(ListContent::new(rows, answer.problems.into_iter().chain(problem)))
    }

    fn detail(&self, id: &str) -> Detail {
        let ground = &*self.0;
        if let Some(name) = id.strip_prefix(WORKFLOW_ID_PREFIX) {
            return workflow_detail(ground, name);
        }
        match look::show(&ground.client, id, &aiw_core::NonInteractive) {
            Err(e) => Detail::from_error(error_line(&e)),
            Ok(shown) => {
                let record = Records::new(ground.home().clone()).load(id).unwrap_or_default();
                let mut facts = vec![Fact::title(&shown.name)];
                let mut fact = |label, text: Option<String>| facts.extend(text.map(|text| Fact::new(label, text)));
                fact("problem", shown.error.map(|error| format!("it {error}")));
                fact("state", Some(if shown.enabled { "enabled" } else { "disabled" }.to_owned()));
                fact("version", shown.version);
                fact("plugin", shown.plugin);
                fact("file", Some(shown.file));
                shown.definition_lines.into_iter().for_each(|line| fact("", Some(line)));
                let unapproved = record.unapproved();
                let blocked = format!("{}; a shows and approves", pluralize(unapproved, "definition"));
                fact("blocked", (unapproved > 0).then_some(blocked));
                let mut lines: Vec<String> =
                    record.tools.iter().map(|tool| format!("{}  {}", tool.name(), description(tool))).collect();
                if lines.is_empty() {
                    lines.push("no tools are known: s starts it and looks".to_owned());
                }
                Detail::new(facts).with_lines(lines)
            }
        }
    }

    fn run_action(&self, key: char, id: &str, person: &TuiPrompter) -> Result<Outcome, String> {
        let ground = &*self.0;
        if let Some(name) = id.strip_prefix(WORKFLOW_ID_PREFIX) {
            return act_on_workflow(ground, key, name, person).map(Outcome::Message);
        }
        let (client, names) = (&*ground.client, [id.to_owned()]);
        match key {
            'c' => call_tool(ground, id, person),
            's' => {
                let answer = ground.block_on(look::status(client, &names, person))?;
                let line = answer.servers.first().map(|server| match &server.error {
                    Some(error) => Err(format!("{id} {error}")),
                    None => Ok(format!("{id} is {}, {}", server.state, pluralize(server.tools, "tool"))),
                });
                line.unwrap_or_else(|| Err(format!("there is no server {id}"))).map(Outcome::Message)
            }
            'a' => {
                ground.block_on(approve::approve(client, id, false, person, person))?;
                person.finish(|| "nothing waits".to_owned()).map(Outcome::Message)
            }
            'e' => {
                let listed = look::list(client, &aiw_core::NonInteractive).map_err(|e| error_line(&e))?;
                let is_on = listed.servers.iter().any(|server| server.name == id && server.enabled);
                edit::switch(client, &names, !is_on, person).map_err(|e| error_line(&e))?;
                let now = if is_on { "disabled" } else { "enabled" };
                person.finish(|| format!("{id} is {now}")).map(Outcome::Message)
            }
            't' => {
                let answer = ground.block_on(look::tools(client, &names, person))?;
                Ok(Outcome::Details(tools(id, &answer.tools)))
            }
            'o' => Ok(Outcome::Run(TerminalProgram::from_aiw_args(["mcp", "login", "--", id])?)),
            _ => {
                ground.block_on(edit::remove(client, &names, person, person))?;
                person.finish(|| format!("removed {id}")).map(Outcome::Message)
            }
        }
    }
}

fn description(tool: &aiw_routing::ToolDefinition) -> String {
    one_line(tool.value()["description"].as_str().unwrap_or_default(), 300)
}

/// Returns a server in the list.
pub(super) fn row(server: &ServerEntry) -> Row {
    let tone = match server.state {
        "invalid" => TextStyle::Bad,
        "blocked" => TextStyle::Warn,
        "disabled" => TextStyle::Plain,
        _ => TextStyle::Good,
    };
    let listed = match server.listed {
        Some(true) => "yes",
        Some(false) => "no",
        None => "",
    };
    let cells = [
        server.name.clone(),
        server.state.to_owned(),
        server.tools.map(|count| count.to_string()).unwrap_or_default(),
        listed.to_owned(),
        server.scope.to_owned(),
        server.transport.unwrap_or_default().to_owned(),
        server.error.as_ref().map_or_else(|| server.target.clone(), |error| format!("it {error}")),
    ];
    let keys = match (server.error.is_some(), server.transport) {
        (true, _) => "ed",
        (false, Some("http")) => "sacetod",
        (false, _) => "sacetd",
    };
    Row::new(server.name.clone(), tone, keys, cells)
}

/// Returns a workflow in the list.
fn workflow_row(workflow: &WorkflowSummary) -> Row {
    let (tone, keys) = match workflow.state {
        "approved" => (TextStyle::Good, "d"),
        "broken" => (TextStyle::Bad, "d"),
        _ => (TextStyle::Warn, "ad"),
    };
    let problem = workflow.problem.as_ref().map(|problem| format!("it {problem}"));
    let cells = [
        workflow.name.clone(),
        workflow.state.to_owned(),
        workflow.tools.len().to_string(),
        String::new(),
        "workflow".to_owned(),
        "script".to_owned(),
        problem.or_else(|| workflow.description.clone()).unwrap_or_default(),
    ];
    Row::new(format!("{WORKFLOW_ID_PREFIX}{}", workflow.name), tone, keys, cells)
}

fn workflow_detail(ground: &AppContext, name: &str) -> Detail {
    let listed = match workflows::list(&ground.client) {
        Ok(listed) => listed,
        Err(e) => return Detail::from_error(error_line(&e)),
    };
    let Some(workflow) = listed.into_iter().find(|workflow| workflow.name == name) else {
        return Detail::from_error("it is gone");
    };
    let mut facts = vec![Fact::title(format!("the workflow {name}")), Fact::new("state", workflow.state)];
    facts.extend(workflow.problem.map(|problem| Fact::new("problem", format!("it {problem}"))));
    facts.extend(workflow.description.map(|description| Fact::new("does", description)));
    facts.extend((!workflow.tools.is_empty()).then(|| Fact::new("calls", workflow.tools.join(", "))));
    facts.push(Fact::new("file", workflow.path.display().to_string()));
    let kept = name.parse::<WorkflowName>().ok().map(|name| Workflows::new(ground.home().clone()).get(&name));
    let text = kept.and_then(Result::ok).map(|kept| kept.text).unwrap_or_default();
    Detail::new(facts).with_lines(text.lines())
}

fn act_on_workflow(ground: &AppContext, key: char, name: &str, person: &TuiPrompter) -> Result<String, String> {
    let own = name.parse::<WorkflowName>().map_err(|e| e.to_string())?;
    if key == 'a' {
        ground.block_on(workflows::approve_by_name(&ground.client, &own, person, person))?;
        return person.finish(|| format!("approved {name}"));
    }
    Workflows::new(ground.home().clone()).remove(&own).map_err(|e| error_line(&e))?;
    Ok(format!("removed {name}"))
}

/// Calls one of a server's tools: which one, and with what, is asked.
fn call_tool(ground: &AppContext, server: &str, person: &TuiPrompter) -> Result<Outcome, String> {
    let client = &*ground.client;
    let known = ground.block_on(look::tools(client, &[server.to_owned()], person))?.tools;
    let known: Vec<&ServerTool> = known.iter().filter(|tool| !tool.blocked).collect();
    if known.is_empty() {
        return Err(format!("{server} has no tool that can be called"));
    }
    let option = |tool: &&ServerTool| format!("{}  {}", tool.name, one_line(&tool.description, 200));
    let mut choice = Choice {
        name: "tool",
        question: format!("Which tool of {server} is called?"),
        short_question: "tool".to_owned(),
        options: known.iter().map(option).collect(),
        optional: false,
        flag: String::new(),
        hidden_digests: Vec::new(),
    };
    choice.add_hidden_bytes(known.iter().map(|tool| &*tool.description).collect::<Vec<_>>().join("\n").as_bytes());
    let chosen = ground.block_on(person.select(&choice))?;
    let tool = known.get(chosen).ok_or("there is no such tool")?;
    let questions = ground.block_on(call::questions(client, server, &tool.name, person))?;
    let does = if tool.read_only { "it says that it only reads" } else { "it may change something" };
    let plan = Plan {
        text: Some(tool.description.clone()),
        details: vec![does.to_owned()],
        ..Plan::new(format!("Call the tool {} of {server}?", tool.name))
    };
    let asked: Vec<&Question> = questions.iter().collect();
    let given = ground.block_on(person.confirm(&plan, &asked))?;
    let given = given.iter().map(|(name, value)| format!("{name}={}", value.expose())).collect();
    let request = ToolCallRequest { name: format!("{server}/{}", tool.name), arguments: given };
    Ok(Outcome::Details(called(&ground.block_on(call::call(client, &request, person))?)))
}

fn called(called: &ToolCallResult) -> Detail {
    let (state, tone) = if called.is_error { ("it failed", TextStyle::Bad) } else { ("it answered", TextStyle::Good) };
    let facts = vec![Fact::title(format!("the tool {}", called.tool)), Fact::new("", state).with_tone(tone)];
    Detail::new(facts).with_lines(called.text.lines().take(Detail::MAX_LINES))
}

/// Returns the tools of a server with their parameters.
fn tools(server: &str, tools: &[ServerTool]) -> Detail {
    let tokens: usize = tools.iter().map(|tool| tool.tokens).sum();
    let total = format!("{}, {tokens} tokens in a client", pluralize(tools.len(), "tool"));
    let facts = vec![Fact::title(format!("the tools of {server}")), Fact::new("in all", total)];
    let mut lines = Vec::new();
    // Those that wait for the user go first.
    let (waiting, others): (Vec<&ServerTool>, Vec<&ServerTool>) = tools.iter().partition(|tool| tool.blocked);
    for tool in waiting.into_iter().chain(others) {
        let reads = if tool.read_only { "  only reads" } else { "" };
        let blocked = if tool.blocked { "  blocked: a shows why" } else { "" };
        lines.push(format!("{}{reads}{blocked}", tool.name));
        lines.push(format!("  {}", one_line(&tool.description, 600)));
        lines.extend(tool.injection_findings.iter().map(|sentence| format!("  ! it {sentence}")));
        lines.extend(call::parameters(&tool.input_schema).map(parameter_line));
    }
    Detail::new(facts).with_lines(lines)
}

fn parameter_line(parameter: ToolParameter<'_>) -> String {
    let ToolParameter { name, schema: about, required } = parameter;
    let kind = about["type"].as_str().unwrap_or("any");
    let needed = if required { ", needed" } else { "" };
    format!("    {name} ({kind}{needed}) {}", one_line(about["description"].as_str().unwrap_or_default(), 200))
}
