//! `aiw mcp search`, `info`: what registries of MCP servers have.

use std::io::IsTerminal;
use std::time::Duration;

use aiw_app::queries::find_servers;
use aiw_core::registry::ServerVersion;
use aiw_core::{ErrorKind, one_line, quoted};
use aiw_home::Home;
use aiw_registries::{
    MergedSearch, MergedServer, MethodSummary, RegistrySearchStatus, RegistryServer, ServerSearch, install_methods,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::mcp::{McpInfoArgs, McpInstallArgs, McpSearchArgs};
use crate::components::session;
use crate::failure::CliError;
use crate::output::Output;
use crate::terminal;

/// `aiw mcp info`
#[derive(Serialize, JsonSchema)]
pub struct ServerInfo {
    /// The registry's entry
    pub server: RegistryServer,
    /// The ways to run it, the default first
    pub methods: Vec<MethodSummary>,
    /// Why the registry could not be asked: its copy has answered
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

pub async fn search(args: &McpSearchArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    let query = args.query.join(" ");
    if query.trim().is_empty() {
        let failure = CliError::new(ErrorKind::Usage, "there is nothing to search for");
        return Err(failure.with_hint("say what the server should do: `aiw mcp search weather forecast`"));
    }
    let client = session(home, output)?;
    let (registries, limit) = (client.registries()?, usize::from(args.limit));
    let meaning = aiw_app::models::tool_embeddings(client.home(), output);
    let found = find_servers(client.home(), &registries, &meaning, &query, limit, args.source.as_deref()).await?;
    show(&found, output);
    if found.is_unanswered() {
        let failure = CliError::new(ErrorKind::Unavailable, "no registry could be asked, and there is no copy of one");
        return output.set_json_or_error(ServerSearch::new(&found), Some(failure));
    }
    output.set_json(ServerSearch::new(&found));
    let answers = found.sources.iter().any(|source| source.problem.is_none());
    if found.servers.is_empty() && answers && (found.needs_sync || registries.is_syncing()) {
        output.note("note: a local copy is being made, which finds more: search again in a minute");
    }
    if output.is_json() || found.servers.is_empty() || !terminal::is_interactive() || !std::io::stdout().is_terminal() {
        return Ok(());
    }
    output.flush();
    let answer = terminal::prompt_line("Install which one? Its number, or nothing to stop:").await?;
    if answer.is_empty() {
        return Ok(());
    }
    let number = answer.parse::<usize>().ok();
    let chosen = number.and_then(|number| found.servers.get(number.checked_sub(1)?));
    let chosen = chosen.ok_or_else(|| CliError::declined("there is no such number; nothing was installed"))?;
    let args = McpInstallArgs::new(&chosen.server.name, chosen.source.as_str());
    super::install::install(args, home, output).await
}

/// Shows what a search found, numbered from 1.
fn show(found: &MergedSearch, output: &Output) {
    let rows: Vec<Vec<String>> = found.servers.iter().zip(1..).map(|(found, number)| row(number, found)).collect();
    output.table(&["", "NAME", "VERSION", "RUNS", "REGISTRY", "DESCRIPTION"], &rows);
    if rows.is_empty() && !found.is_unanswered() {
        output.line("No server matches");
    }
    which_is_which(found, output);
    for RegistrySearchStatus { source, found, cache_age_seconds: age_seconds, cached_servers: copied, problem } in
        &found.sources
    {
        match (problem, copied) {
            (Some(problem), Some(_)) => {
                output.note(format!("note: the copy of {source} is {} old: {problem}", age(*age_seconds)));
            }
            (Some(problem), None) if *found > 0 => output.note(format!(
                "note: {source} did not answer: {problem}; its servers in this list were found by earlier searches"
            )),
            (Some(problem), None) => output.note(format!("note: {source} did not answer: {problem}")),
            (None, Some(count)) if *age_seconds >= 2 * 60 * 60 => {
                output.note(format!("note: the copy of {source} ({count} servers) is {} old", age(*age_seconds)));
            }
            _ => {}
        }
    }
}

/// Says of names that look alike whose they are: each is a server of its own.
fn which_is_which(found: &MergedSearch, output: &Output) {
    let all = ServerSearch::new(found).servers;
    for (server, number) in all.iter().zip(1..).filter(|(server, _)| !server.confusable_with.is_empty()) {
        let is_like =
            |other: &&RegistryServer| server.confusable_with.contains(&format!("{} {}", other.source, other.name));
        let others =
            all.iter().zip(1..).filter(|(other, _)| is_like(other)).map(|(_, number): (_, usize)| number.to_string());
        output.note(format!(
            "note: {number} looks like {}: it is {} of {}, published by {}, source code: {}",
            others.collect::<Vec<_>>().join(" and "),
            quoted(&server.name),
            server.source,
            server.publisher.as_deref().map_or("nobody known".to_owned(), quoted),
            server.repository.as_deref().unwrap_or("unknown"),
        ));
    }
}

fn row(number: usize, found: &MergedServer) -> Vec<String> {
    let ServerVersion { name, version, .. } = &found.server;
    let summary = RegistryServer::new(found);
    let mut about = summary.description;
    if summary.status != "active" {
        about = format!("({}) {about}", summary.status);
    }
    let source = found.source.as_str();
    let registry = source.strip_prefix("registry-").unwrap_or(source).to_owned();
    vec![
        number.to_string(),
        name.clone(),
        one_line(version, 16),
        summary.kinds.join(" "),
        registry,
        one_line(&about, 90),
    ]
}

/// A time span in its largest unit.
fn age(seconds: u64) -> String {
    let whole = match seconds {
        ..3600 => seconds / 60 * 60,
        3600..86400 => seconds / 3600 * 3600,
        _ => seconds / 86400 * 86400,
    };
    humantime::format_duration(Duration::from_secs(whole)).to_string()
}

pub async fn info(args: &McpInfoArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    let client = session(home, output)?;
    let registries = client.registries()?;
    let (found, problem) = registries.find_server(&args.name, args.version.as_deref(), args.source.as_deref()).await?;
    let problem = problem.map(|problem| problem.to_string());
    if let Some(problem) = &problem {
        output.note(format!("note: this is from the local copy: {problem}"));
    }
    let server = RegistryServer::new(&found);
    output.line(format!("{} {}", server.name, server.version));
    let fields = [
        ("title", server.title.clone()),
        ("description", Some(server.description.clone()).filter(|text| !text.is_empty())),
        ("status", Some(server.status.to_owned()).filter(|status| status != "active")),
        ("reason", server.status_message.clone()),
        ("registry", Some(server.source.clone())),
        ("publisher", server.publisher.clone()),
        ("source code", server.repository.clone()),
        ("website", server.website.clone()),
        ("changed", server.updated.clone()),
        ("uses", server.uses.map(|uses| uses.to_string())),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            output.line(format!("  {name}: {value}"));
        }
    }
    let ways: Vec<MethodSummary> =
        install_methods(&found.server, home.context()).iter().map(MethodSummary::new).collect();
    for way in &ways {
        match &way.refused {
            None => output.line(format!("  runs: {} {}", way.kind, way.command.as_deref().unwrap_or(&way.target))),
            Some(reason) => output.line(format!("  can't run: {} {}: {reason}", way.kind, way.target)),
        }
        way.sets.iter().for_each(|set| output.line(format!("    sets {set}")));
        way.asks.iter().for_each(|asked| output.line(format!("    {}", asked.summary_line())));
        way.notes.iter().for_each(|note| output.line(format!("    note: {note}")));
    }
    for step in &server.instructions {
        output.line(format!("  afterwards: {step}"));
    }
    output.set_json(ServerInfo { server, methods: ways, problem });
    Ok(())
}

/// Brings the local copies up to date. Nobody reads what this says.
pub async fn sync(home: &Home, output: &Output) -> Result<(), CliError> {
    session(home, output)?.registries()?.sync().await?;
    Ok(())
}
