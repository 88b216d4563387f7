//! `aiw mcp list`, `show`, `status`, `tools`, `doctor`

use std::sync::Arc;

use aiw_app::ClientSession;
use aiw_app::servers::look;
use aiw_app::servers::route::NO_TOOLS;
use aiw_core::{ErrorKind, one_line, pluralize, to_visible_line};
use aiw_home::Home;
use aiw_routing::{ServerEntry, ServerStatus, ServerTool};
use aiw_servers::visible_json;
use serde_json::Value;

use super::client::{client, run_then_shutdown};
use super::serve::toolsets;
use crate::failure::CliError;
use crate::output::Output;
use crate::schema;

const NO_SERVERS: &str = "no MCP servers: `aiw mcp add NAME -- COMMAND` adds one";

pub fn list(client: &ClientSession, output: &Output) -> Result<(), CliError> {
    let all = look::list(client, output)?;
    let row = |entry: &ServerEntry| {
        let owner = entry.plugin.clone().unwrap_or_else(|| entry.scope.to_owned());
        let tools = entry.tools.map(|tools| tools.to_string()).unwrap_or_default();
        let target = entry.error.as_ref().map_or_else(|| entry.target.clone(), |problem| format!("it {problem}"));
        let listed = listed(entry.listed.filter(|_| entry.enabled));
        vec![entry.name.clone(), owner, entry.state.to_owned(), tools, listed, target]
    };
    if all.servers.is_empty() {
        output.line(NO_SERVERS);
    }
    output.table(
        &["NAME", "FROM", "STATE", "TOOLS", "LISTED", "SERVER"],
        &all.servers.iter().map(row).collect::<Vec<_>>(),
    );
    output.set_json_or_error(all, None)
}

/// Whether clients list a server's tools; blank if that is not known.
fn listed(listed: Option<bool>) -> String {
    listed.map(|listed| if listed { "yes" } else { "no" }.to_owned()).unwrap_or_default()
}

/// Shows a server's entry as it is written, and what is known about it.
pub fn show(client: &ClientSession, name: &str, output: &Output) -> Result<(), CliError> {
    let server = look::show(client, name, output)?;
    server.definition_lines.iter().for_each(|line| output.line(line));
    output.line(format!("  declared in: {}", server.file));
    if !server.enabled {
        output.line("  disabled");
    }
    if let Some(plugin) = &server.plugin {
        output.line(format!("  of the plugin: {plugin}"));
    }
    if let (Some(version), Some(tools)) = (&server.version, server.tools) {
        output.line(format!("  version: {}", to_visible_line(version)));
        output.line(format!("  tools: {tools}"));
    }
    if let Some(text) = &server.instructions {
        output.line("  says about its tools:");
        text.trim().lines().for_each(|line| output.line(format!("    {}", to_visible_line(line))));
    }
    output.set_json_or_error(server, None)
}

pub async fn status(client: &Arc<ClientSession>, names: &[String], output: &Output) -> Result<(), CliError> {
    toolsets(None, client.home())?;
    let all = run_then_shutdown(client, look::status(client, names, output)).await?;
    let row = |status: &ServerStatus| {
        let latency = status.latency_ms.map(|ms| format!("{ms:.1} ms")).unwrap_or_default();
        let said = status.error.clone().unwrap_or_else(|| match status.blocked.len() {
            0 if status.skipped.is_empty() && status.listed => String::new(),
            0 if status.skipped.is_empty() => status.listing.clone().unwrap_or_default(),
            0 => format!("{} left out: aiw mcp doctor {}", pluralize(status.skipped.len(), "definition"), status.name),
            blocked => format!("{} blocked: aiw mcp approve {}", pluralize(blocked, "tool"), status.name),
        });
        let if_ready = |text: String| if status.state == "ready" { text } else { String::new() };
        let (tools, tokens) = (if_ready(status.tools.to_string()), if_ready(status.tokens.to_string()));
        let listed = if_ready(listed(Some(status.listed)));
        let version = status.version.clone().unwrap_or_default();
        vec![status.name.clone(), status.state.to_owned(), version, tools, tokens, listed, latency, said]
    };
    if all.servers.is_empty() {
        output.line(NO_SERVERS);
    }
    let rows: Vec<_> = all.servers.iter().map(row).collect();
    output.table(&["NAME", "STATE", "VERSION", "TOOLS", "TOKENS", "LISTED", "LATENCY", ""], &rows);
    output.set_json_or_error(all, None)
}

/// Lists tools. Those of named servers, and named tools, are shown whole.
pub async fn tools(names: &[String], profile: Option<&str>, home: &Home, output: &Output) -> Result<(), CliError> {
    let client = client(home, profile, output)?;
    let all = run_then_shutdown(&client, look::tools(&client, names, output)).await?;
    let marks = |tool: &ServerTool| {
        let marks = [(tool.blocked, "blocked"), (!tool.injection_findings.is_empty(), "suspicious")];
        marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark).collect::<Vec<_>>().join(", ")
    };
    let row = |tool: &ServerTool| {
        let text = tool.description.lines().next().unwrap_or_default();
        vec![format!("{}/{}", tool.server, tool.name), marks(tool), one_line(text, 100)]
    };
    if all.tools.is_empty() {
        output.line(NO_TOOLS);
    } else if names.is_empty() {
        output.table(&["TOOL", "", "WHAT IT DOES"], &all.tools.iter().map(row).collect::<Vec<_>>());
    }
    for (at, tool) in all.tools.iter().enumerate().filter(|_| !names.is_empty()) {
        if at > 0 {
            output.line("");
        }
        let marks = Some(marks(tool)).filter(|marks| !marks.is_empty());
        let marks = marks.map(|marks| format!(" ({marks})")).unwrap_or_default();
        output.line(format!("{}/{}{marks}", to_visible_line(&tool.server), to_visible_line(&tool.name)));
        let parts = [("parameters", Some(&tool.input_schema)), ("answers", tool.output_schema.as_ref())];
        print_tool_details(&tool.description, &parts, tool.annotations.as_ref(), output);
    }
    output.set_json_or_error(all, None)
}

/// A tool's description, schemas and hints, below its name.
pub(super) fn print_tool_details(
    description: &str,
    schemas: &[(&str, Option<&Value>)],
    annotations: Option<&Value>,
    output: &Output,
) {
    description.trim().lines().for_each(|line| output.line(format!("  {}", to_visible_line(line.trim_end()))));
    for (what, schema) in schemas {
        let Some(schema) = schema else { continue };
        let lines = schema::parameters(schema);
        output.line(if lines.is_empty() { format!("  no {what}") } else { format!("  {what}") });
        lines.iter().for_each(|line| output.line(format!("    {line}")));
    }
    if let Some(annotations) = annotations {
        output.line(format!("  says of itself: {}", visible_json(annotations)));
    }
}

pub async fn doctor(client: &Arc<ClientSession>, names: &[String], output: &Output) -> Result<(), CliError> {
    toolsets(None, client.home())?;
    let checked = run_then_shutdown(client, look::check(client, names, aiw_offer::own_tools(), output)).await?;
    for check in &checked.servers {
        let status = &check.status;
        let facts = match status.state {
            "ready" => format!(
                "ready in {} ms, protocol {}, {}, {} tokens",
                status.startup_duration_ms.unwrap_or_default(),
                status.protocol.as_deref().unwrap_or("unknown"),
                pluralize(status.tools, "tool"),
                status.tokens
            ),
            other => other.to_owned(),
        };
        output.line(format!("{}: {facts}", to_visible_line(&status.name)));
        check.problems.iter().for_each(|problem| output.line(format!("  {problem}")));
    }
    if checked.servers.is_empty() {
        output.line(NO_SERVERS);
    }
    let failed = checked.servers.iter().filter(|check| !matches!(check.status.state, "ready" | "disabled")).count();
    let failure = (failed > 0).then(|| {
        let verb = if failed == 1 { "does" } else { "do" };
        CliError::new(ErrorKind::Unavailable, format!("{} {verb} not work", pluralize(failed, "MCP server")))
    });
    output.set_json_or_error(checked, failure)
}
