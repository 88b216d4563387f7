//! MCP servers behind aiw: whether they work, their tools, and what waits to be accepted.

use aiw_app::feed::Topic;
use aiw_app::servers::{approve, edit, look};
use aiw_core::{counted, one_line};
use aiw_routing::{Records, ServerEntry, ServerTool};

use crate::ground::Ground;
use crate::page::{Action, Column, Detail, Listed, Outcome, Page, Row};
use crate::paint::{Fact, Tone};
use crate::person::AtScreen;
use crate::progress::said;
use crate::screen::Program;

/// The page of MCP servers.
pub(crate) struct McpServers;

impl Page for McpServers {
    fn title(&self) -> &'static str {
        "MCP"
    }

    fn word(&self) -> &'static str {
        "mcp"
    }

    fn printed_by(&self) -> &'static str {
        "aiw mcp list"
    }

    fn topics(&self) -> &'static [Topic] {
        &[Topic::Servers]
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: [Column; 6] = [
            Column::new("NAME"),
            Column::state("STATE"),
            Column::extra("TOOLS"),
            Column::extra("OF"),
            Column::extra("BY"),
            Column::new("RUNS OR REACHES"),
        ];
        &COLUMNS
    }

    fn empty(&self) -> &'static str {
        "no servers: `aiw mcp search WORDS` finds some"
    }

    fn actions(&self) -> &'static [Action] {
        const ACTIONS: [Action; 6] = [
            Action::new('s', "status", "start it, and see whether it works"),
            Action::new('a', "approve", "see what it has changed in its definitions, and accept that"),
            Action::new('e', "on/off", "offer it to clients, or hide it from them"),
            Action::new('t', "tools", "its tools as it offers them now, with their parameters"),
            Action::new('o', "log in", "log in to it with your browser"),
            Action::new('d', "remove", "remove it from mcp.json: asks").asking("Remove the server {}? (y/N)"),
        ];
        &ACTIONS
    }

    fn list(&self, ground: &Ground, _: &str) -> Result<Listed, String> {
        let answer = look::list(&ground.client, &aiw_core::Unasked).map_err(|e| said(&e))?;
        let records = Records::new(ground.home().clone());
        let waits = |name: &str| records.load(name).map_or(0, |record| record.changes().len());
        let rows = answer.servers.iter().map(|server| row(server, waits(&server.name)));
        Ok(Listed::of(rows.collect(), answer.problems))
    }

    fn detail(&self, ground: &Ground, id: &str) -> Detail {
        match look::show(&ground.client, id, &aiw_core::Unasked) {
            Err(e) => Detail::failed(said(&e)),
            Ok(shown) => {
                let record = Records::new(ground.home().clone()).load(id).unwrap_or_default();
                let mut facts = vec![Fact::title(&shown.name)];
                let mut fact = |label, text: Option<String>| facts.extend(text.map(|text| Fact::new(label, text)));
                fact("problem", shown.error.map(|error| format!("it {error}")));
                fact(
                    "state",
                    Some(if shown.enabled { "offered to clients" } else { "hidden from clients" }.to_owned()),
                );
                fact("version", shown.version);
                fact("plugin", shown.plugin);
                fact("file", Some(shown.file));
                shown.shown.into_iter().for_each(|line| fact("", Some(line)));
                let waiting = record.changes().len();
                let waits = format!("{} of it; a shows and accepts", counted(waiting, "new definition"));
                fact("waits", (waiting > 0).then_some(waits));
                let mut lines: Vec<String> =
                    record.tools.iter().map(|tool| format!("{}  {}", tool.name(), description(tool))).collect();
                if lines.is_empty() {
                    lines.push("no tools are known: s starts it and looks".to_owned());
                }
                Detail::of(facts).with_lines(lines)
            }
        }
    }

    fn act(&self, ground: &Ground, key: char, id: &str, person: &AtScreen) -> Result<Outcome, String> {
        let (client, names) = (&*ground.client, [id.to_owned()]);
        match key {
            's' => {
                let choices = || Vec::new();
                let answer = ground.block_on(look::status(client, &names, &choices, person))?;
                let line = answer.servers.first().map(|server| match &server.error {
                    Some(error) => Err(format!("{id} {error}")),
                    None => Ok(format!("{id} is {}, {}", server.state, counted(server.tools, "tool"))),
                });
                line.unwrap_or_else(|| Err(format!("there is no server {id}"))).map(Outcome::Said)
            }
            'a' => {
                ground.block_on(approve::approve(client, id, person, person))?;
                person.outcome(|| "nothing waits".to_owned()).map(Outcome::Said)
            }
            'e' => {
                let listed = look::list(client, &aiw_core::Unasked).map_err(|e| said(&e))?;
                let is_on = listed.servers.iter().any(|server| server.name == id && server.enabled);
                edit::switch(client, &names, !is_on, person).map_err(|e| said(&e))?;
                let now = if is_on { "hidden from clients" } else { "offered to clients" };
                person.outcome(|| format!("{id} is {now}")).map(Outcome::Said)
            }
            't' => {
                let answer = ground.block_on(look::tools(client, &names, person))?;
                Ok(Outcome::Shown(tools(id, &answer.tools)))
            }
            'o' => Ok(Outcome::Run(Program::own(["mcp", "login", "--", id])?)),
            _ => {
                ground.block_on(edit::remove(client, &names, person, person))?;
                person.outcome(|| format!("removed {id}")).map(Outcome::Said)
            }
        }
    }
}

fn description(tool: &aiw_routing::ToolDefinition) -> String {
    one_line(tool.value()["description"].as_str().unwrap_or_default(), 300)
}

/// Returns a server in the list, of which so many definitions wait to be accepted.
pub(super) fn row(server: &ServerEntry, waits: usize) -> Row {
    let (state, tone) = match (&server.error, server.enabled, waits) {
        (Some(_), ..) => ("can't be used", Tone::Bad),
        (None, false, _) => ("hidden", Tone::Plain),
        (None, true, 1..) => ("to approve", Tone::Warn),
        (None, true, 0) => ("offered", Tone::Good),
    };
    let cells = [
        server.name.clone(),
        state.to_owned(),
        server.tools.map(|count| count.to_string()).unwrap_or_default(),
        server.scope.to_owned(),
        server.transport.unwrap_or_default().to_owned(),
        server.error.as_ref().map_or_else(|| server.target.clone(), |error| format!("it {error}")),
    ];
    let keys = match (server.error.is_some(), server.transport) {
        (true, _) => "ed",
        (false, Some("http")) => "saetod",
        (false, _) => "saetd",
    };
    Row::new(server.name.clone(), tone, keys, cells)
}

/// Returns the tools of a server with their parameters.
fn tools(server: &str, tools: &[ServerTool]) -> Detail {
    let tokens: usize = tools.iter().map(|tool| tool.tokens).sum();
    let total = format!("{}, {tokens} tokens in a client", counted(tools.len(), "tool"));
    let facts = vec![Fact::title(format!("the tools of {server}")), Fact::new("in all", total)];
    let mut lines = Vec::new();
    // Those that wait for the user go first.
    let (waiting, others): (Vec<&ServerTool>, Vec<&ServerTool>) = tools.iter().partition(|tool| tool.withheld);
    for tool in waiting.into_iter().chain(others) {
        let reads = if tool.read_only { "  only reads" } else { "" };
        let withheld = if tool.withheld { "  withheld: a shows why" } else { "" };
        lines.push(format!("{}{reads}{withheld}", tool.name));
        lines.push(format!("  {}", one_line(&tool.description, 600)));
        lines.extend(tool.suspicions.iter().map(|sentence| format!("  ! it {sentence}")));
        lines.extend(parameters(&tool.input_schema));
    }
    Detail::of(facts).with_lines(lines)
}

/// Returns a line for each parameter of a tool.
fn parameters(schema: &serde_json::Value) -> Vec<String> {
    let needed = |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
    let one = |(name, about): (&String, &serde_json::Value)| {
        let kind = about["type"].as_str().unwrap_or("any");
        let needed = if needed(name) { ", needed" } else { "" };
        format!("    {name} ({kind}{needed}) {}", one_line(about["description"].as_str().unwrap_or_default(), 200))
    };
    schema["properties"].as_object().into_iter().flatten().map(one).collect()
}
