//! What is declared, what is known of it, and whether it works.

use std::time::Duration;

use aiw_core::{Diagnostic, Reporter, quoted, shell_quote_printable, to_visible_line};
use aiw_history::redactor;
use aiw_registries::{CacheProblem, CachedServers, UpdateStatus};
use aiw_routing::{
    ConfiguredServer, KnownTool, LOST_RECORD_NOTE, PoolError, Records, ServerEntry, ServerRecord, ServerSearchPaths,
    ServerStatus, ServerTool, ToolDefinition, ToolRef, server_findings,
};
use aiw_servers::{PROJECT_FILE, ServerScope};
use futures::future::join_all;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::profiles::{profiles, unmatched_denials};
use super::{Result, fetch_tools, note_left_out, notes, pool};
use crate::{ClientSession, usable_settings};

/// `aiw mcp list`
#[warn(missing_docs)]
#[derive(Serialize, JsonSchema)]
pub struct ServerList {
    /// The servers
    pub servers: Vec<ServerEntry>,
    /// Files and entries that are left out: a sentence each
    pub problems: Vec<String>,
}

/// `aiw mcp show`
#[warn(missing_docs)]
#[derive(Serialize, JsonSchema)]
pub struct ServerDetails {
    /// Its name
    pub name: String,
    /// `aiw` or `project`: whose file declares it
    pub scope: &'static str,
    /// The file that declares it
    pub file: String,
    /// Whether it is offered to clients
    pub enabled: bool,
    /// Its entry, with keys masked
    pub declaration: Option<Value>,
    /// Why it can't be used
    pub error: Option<String>,
    /// How many of its tools are known and offered
    pub tools: Option<usize>,
    /// Its own instructions about its tools
    pub instructions: Option<String>,
    /// All that decides what it does, in lines.
    #[serde(skip)]
    pub definition_lines: Vec<String>,
    /// The plugin that brought it.
    #[serde(skip)]
    pub plugin: Option<String>,
    /// Its version, as it says.
    #[serde(skip)]
    pub version: Option<String>,
}

/// `aiw mcp status`
#[warn(missing_docs)]
#[derive(Serialize, JsonSchema)]
pub struct ServersStatus {
    /// The servers
    pub servers: Vec<ServerStatus>,
    /// Files, entries and settings that are left out: a sentence each
    pub problems: Vec<String>,
}

/// `aiw mcp doctor`
#[warn(missing_docs)]
#[derive(Serialize, JsonSchema)]
pub struct ServersCheck {
    /// The servers
    pub servers: Vec<ServerCheck>,
    /// Files, entries, settings and profiles that are left out or do nothing: a sentence each
    pub problems: Vec<String>,
    /// The copies of registries that can't be relied on
    pub copies: Vec<CacheProblem>,
}

/// A server in `aiw mcp doctor`
#[warn(missing_docs)]
#[derive(Serialize, JsonSchema)]
pub struct ServerCheck {
    /// The fields of `aiw mcp status`
    #[serde(flatten)]
    pub status: ServerStatus,
    /// The problems, one sentence each
    pub problems: Vec<String>,
    /// Changes in its registry since the installation, by the local copy
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub news: Vec<UpdateStatus>,
}

/// `aiw mcp tools`
#[warn(missing_docs)]
#[derive(Serialize, JsonSchema)]
pub struct ToolList {
    /// The tools
    pub tools: Vec<ServerTool>,
}

/// Definitions beyond this cost every request of a client that lists them.
const TOKENS_WARNING_THRESHOLD: usize = 20_000;

/// A start that takes longer than clients wait for, in milliseconds.
const SLOW_START_THRESHOLD_MS: u64 = 10_000;

/// The servers of a directory, what is left out of them, and what takes out the secrets that somebody wrote there in
/// clear.
type DeclaredServers = (Vec<ConfiguredServer>, Vec<String>, Box<dyn Fn(&str) -> String>);

fn declared(client: &ClientSession, sink: &dyn Reporter) -> Result<DeclaredServers> {
    let settings = usable_settings(client.home(), sink)?;
    let (servers, problems) = ServerSearchPaths::load(client.home().clone(), client.cwd()).read_with(&settings)?;
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    notes(problems.clone(), sink);
    let redactor = redactor(client.home(), &settings)?;
    Ok((servers, problems, Box::new(move |text| redactor.redact(text).into_owned())))
}

/// Returns the servers of a directory with what is known of each. None is started.
///
/// # Errors
///
/// Fails if a file of the home can't be read.
pub fn list(client: &ClientSession, sink: &dyn Reporter) -> Result<ServerList> {
    let (servers, problems, redact) = declared(client, sink)?;
    let (plugins, records) = (client.home().plugins()?, Records::new(client.home().clone()));
    let choices = client.listing_choices();
    let entry = |found: &ConfiguredServer| {
        let plugin = plugins.key(&found.key).owners.last().map(ToString::to_string);
        ServerEntry::new(found, &records, plugin, &choices, &redact)
    };
    Ok(ServerList { servers: servers.iter().map(entry).collect(), problems })
}

/// Returns a server's entry as it is written, and what is known about it.
///
/// # Errors
///
/// Fails if there is no such server, or a file of the home can't be read.
pub fn show(client: &ClientSession, name: &str, sink: &dyn Reporter) -> Result<ServerDetails> {
    let (home, (servers, _, redact)) = (client.home(), declared(client, sink)?);
    let Some(found) = servers.iter().find(|server| server.key == name) else {
        let known = servers.into_iter().map(|server| server.key).collect();
        return Err(PoolError::ServerNotFound { name: name.to_owned(), known }.into());
    };
    let record = Records::new(home.clone()).load(name);
    let file = match found.scope {
        ServerScope::Aiw => home.mcp_path(),
        ServerScope::Project => found.directory.join(PROJECT_FILE),
    };
    let (shown, declaration, error) = match &found.server {
        Ok(server) => {
            let declaration = redact(&server.redacted_declaration().to_string());
            let lines = server.describe(name).iter().map(|line| redact(line)).collect();
            (lines, serde_json::from_str(&declaration).ok(), None)
        }
        Err(problem) => {
            (vec![format!("{} can't be used: it {problem}", to_visible_line(name))], None, Some(problem.clone()))
        }
    };
    let version = |record: &ServerRecord| record.server["version"].as_str().unwrap_or("unknown").to_owned();
    Ok(ServerDetails {
        name: name.to_owned(),
        scope: found.scope.as_str(),
        file: file.to_string_lossy().into_owned(),
        enabled: found.settings.enabled,
        declaration,
        error,
        tools: record.as_ref().map(|record| record.accepted_tools().count()),
        instructions: record.as_ref().and_then(|record| record.instructions().map(str::to_owned)),
        definition_lines: shown,
        plugin: home.plugins()?.key(name).owners.last().map(ToString::to_string),
        version: record.as_ref().map(version),
    })
}

/// Starts the chosen servers in parallel. Returns what became of each, in order, and the next step where it failed.
async fn tried(client: &ClientSession, names: &[String]) -> Result<Vec<(ServerStatus, Option<String>)>> {
    let pool = client.pool();
    let known: Vec<String> = pool.status().into_iter().map(|status| status.name).collect();
    if let Some(name) = names.iter().find(|name| !known.contains(name)) {
        return Err(PoolError::ServerNotFound { name: name.clone(), known }.into());
    }
    let names = if names.is_empty() { &known } else { names };
    let looked = names.iter().map(async |name| {
        let failure = pool.refresh(name).await.err();
        let ping = if failure.is_none() { pool.ping(name).await.ok() } else { None };
        (name, failure, ping)
    });
    let looked = join_all(looked).await;
    let (after, choices) = (pool.status(), client.listing_choices());
    let answer = |(name, failure, ping): (&String, Option<PoolError>, Option<Duration>)| {
        let status = after.iter().find(|status| status.name == *name)?;
        let hint = failure.as_ref().filter(|e| !matches!(e, PoolError::Disabled { .. })).and_then(PoolError::hint);
        Some((ServerStatus::new(status, failure.as_ref(), ping, &choices), hint))
    };
    Ok(looked.into_iter().filter_map(answer).collect())
}

/// Starts the servers of these names, or all of them, and returns the state of each.
///
/// # Errors
///
/// Fails if there is no server of a name.
pub async fn status(client: &ClientSession, names: &[String], sink: &dyn Reporter) -> Result<ServersStatus> {
    let pool = pool(client, sink);
    let unknown = pool.unknown_server_warnings();
    notes(unknown.clone(), sink);
    let problems = [pool.problems(), unknown].concat();
    let servers = tried(client, names).await?.into_iter().map(|(status, _)| status).collect();
    Ok(ServersStatus { servers, problems })
}

/// Starts the servers of these names, or all of them, and looks for what is wrong with each. `own` are aiw's own tools.
///
/// # Errors
///
/// Fails if there is no server of a name, or the files that define profiles can't be used.
pub async fn check(
    client: &ClientSession,
    names: &[String],
    own: Vec<KnownTool>,
    sink: &dyn Reporter,
) -> Result<ServersCheck> {
    let (home, cwd, pool) = (client.home(), client.cwd(), pool(client, sink));
    let mut problems = pool.problems();
    let tried = tried(client, names).await?;
    let statuses = pool.status();
    let (suspicious, kept) = (server_findings(&statuses), kept(client, sink));
    let check = |(status, hint): (ServerStatus, Option<String>)| {
        let record = statuses.iter().find(|known| known.name == status.name).and_then(|known| known.record.clone());
        let mut problems: Vec<String> = status.error.iter().map(|error| format!("it {error}")).collect();
        problems.extend(hint);
        if status.state == "ready" {
            problems.extend(problems_of(&status, &record.unwrap_or_default()));
            let of_it = suspicious.iter().filter(|(server, ..)| *server == status.name);
            problems.extend(of_it.map(|(_, tool, sentence)| format!("tool {} {sentence}", quoted(tool))));
            problems.extend(costs_of(&status));
        }
        let of_it = kept.servers.iter().find(|(key, ..)| *key == status.name);
        let news = of_it.map_or_else(Vec::new, |(key, record, news)| {
            let line = |one: &UpdateStatus| format!("it {} (`{}`)", one.describe(), one.command(key, &record.name));
            problems.extend(news.iter().map(line));
            news.clone()
        });
        ServerCheck { status, problems, news }
    };
    let servers = tried.into_iter().map(check).collect();
    let mut more = unmatched_denials(home, cwd, &profiles(home, cwd)?, own)?;
    more.extend(pool.unknown_server_warnings());
    notes(kept.problems.iter().map(|copy| copy.problem.clone()).chain(more.clone()), sink);
    problems.extend(more);
    let leftovers = home.leftovers().len();
    if leftovers > 0 {
        let (files, wait) = if leftovers == 1 { ("file", "waits") } else { ("files", "wait") };
        sink.note(format!(
            "{leftovers} {files} of commands that were killed {wait} for the next command that writes, which removes them"
        ));
    }
    Ok(ServersCheck { servers, problems, copies: kept.problems })
}

/// Lists the problems of a working server: tools that it offers and clients don't get.
fn problems_of(status: &ServerStatus, record: &ServerRecord) -> Vec<String> {
    let mut problems: Vec<String> = record.skipped_item_notices().map(str::to_owned).collect();
    if record.lost {
        problems.push(format!("{LOST_RECORD_NOTE}: `aiw mcp approve {}` accepts them", status.name));
    }
    let approve = format!("`aiw mcp approve {}` shows it", status.name);
    problems.extend(record.blocked_tools().map(|tool| {
        let why = if record.pins.contains_key(tool.name()) { "has changed" } else { "is suspicious" };
        format!("tool {} {why} and is blocked: {approve}", quoted(tool.name()))
    }));
    let text = |(kind, name): (&str, &str)| {
        let (what, gone) = if kind == "prompt" { ("", "is blocked") } else { ("the text of ", "is left out") };
        format!("{what}{kind} {} has changed or is suspicious, and {gone}: {approve}", quoted(name))
    };
    problems.extend(record.blocked_texts().map(text));
    problems
}

/// Lists the costs of a working server to its clients.
fn costs_of(status: &ServerStatus) -> impl Iterator<Item = String> {
    let many = format!("the definitions of its tools cost a client {} tokens", status.tokens);
    let slow = "it starts slowly: the first call of a session waits for it".to_owned();
    let costs = [
        (status.tokens > TOKENS_WARNING_THRESHOLD, many),
        (status.startup_duration_ms.is_some_and(|ms| ms > SLOW_START_THRESHOLD_MS), slow),
    ];
    costs.into_iter().filter(|(is, _)| *is).map(|(_, sentence)| sentence)
}

/// Reads the servers' entries in local copies of registries; the doctor asks no registry.
fn kept(client: &ClientSession, sink: &dyn Reporter) -> CachedServers {
    let looked = client.library().map_err(|e| e.to_string());
    let looked =
        looked.and_then(|library| aiw_registries::cached_servers(client.home(), library).map_err(|e| e.to_string()));
    looked.unwrap_or_else(|e| {
        sink.note(format!("what registries say of servers is not known: {e}"));
        CachedServers::default()
    })
}

/// Returns the tools that the client's profile allows: of all servers, or of those that are named, or those that are
/// named themselves. A server that was never seen is started.
///
/// # Errors
///
/// Fails if there is no server or tool of a name.
pub async fn tools(client: &ClientSession, names: &[String], sink: &dyn Reporter) -> Result<ToolList> {
    let (pool, profile) = (pool(client, sink), client.pool().profile());
    let wanted = names.iter().map(|name| pool.resolve_tool_ref(name)).collect::<Result<Vec<_>, _>>()?;
    let servers: Vec<String> = wanted.iter().map(|named| named.server.clone()).collect();
    fetch_tools(pool, &servers, sink).await;
    let statuses = pool.status();
    let suspicious = server_findings(&statuses);
    let mut tools = Vec::new();
    for status in statuses.iter().filter(|status| status.enabled) {
        let Some(record) = &status.record else { continue };
        let is_wanted = |tool: &&ToolDefinition| {
            (wanted.is_empty() || wanted.iter().any(|named| named.matches(&status.name, tool.name())))
                && profile.allows(&status.name, tool.name(), tool.is_read_only())
        };
        if wanted.is_empty() || servers.contains(&status.name) {
            note_left_out(record, &status.name, sink);
        }
        let shown = record.tools.iter().filter(is_wanted);
        tools.extend(shown.map(|tool| ServerTool::new(&status.name, tool, record, &suspicious)));
    }
    // A tool that is named and not there.
    for ToolRef { server, tool } in &wanted {
        if let Some(tool) =
            tool.as_ref().filter(|name| !tools.iter().any(|of| of.server == *server && of.name == **name))
        {
            let of_it = statuses.iter().filter(|status| status.name == *server);
            let known = of_it.flat_map(|status| status.record.iter().flat_map(|record| &record.tools));
            return Err(PoolError::tool_not_found(server, tool, known).into());
        }
    }
    for status in statuses.iter().filter(|status| status.record.as_ref().is_some_and(|record| record.lost)) {
        let (name, accept) = (quoted(&status.name), shell_quote_printable(&status.name));
        sink.note(format!("of the server {name}, {LOST_RECORD_NOTE}: `aiw mcp approve {accept}` accepts them"));
    }
    Ok(ToolList { tools })
}
