//! `aiw mcp list`, `status`, `tools`, `doctor`

use std::sync::Arc;
use std::time::Duration;

use aiw_app::{ClientSession, current_dir};
use aiw_core::{ErrorKind, counted, quoted, shell_word_in_line};
use aiw_history::redactor;
use aiw_home::Home;
use aiw_registries::{Kept, News};
use aiw_routing::{
    Definition, LOST, Pool, PoolError, Profile, Record, ServerEntry, ServerPlaces, ServerStatus, ServerTool, Status,
    suspicions,
};
use aiw_servers::{PROJECT_FILE, Scope, visible, visible_json};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::named::{Named, named};
use super::serve::choices;
use super::{chosen, client_with, pool_with, profiles};
use crate::commands::usable_settings;
use crate::components::session;
use crate::failure::Failure;
use crate::output::Output;
use crate::schema;

/// `aiw mcp show`
#[derive(Serialize, JsonSchema)]
pub struct ShownServer {
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
}

/// A server in `aiw mcp doctor`
#[derive(Serialize, JsonSchema)]
pub struct ServerCheck {
    /// The fields of `aiw mcp status`
    #[serde(flatten)]
    pub status: ServerStatus,
    /// The problems, one sentence each
    pub problems: Vec<String>,
    /// What has become of it in its registry, by the local copy
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub news: Vec<News>,
}

/// Definitions beyond this cost every request of a client that lists them.
const MANY_TOKENS: usize = 20_000;

/// A start that takes longer than clients wait for.
const SLOW: Duration = Duration::from_secs(10);

pub fn list(output: &Output) -> Result<(), Failure> {
    let home = Home::find()?;
    let settings = usable_settings(&home, output)?;
    let (servers, problems) = ServerPlaces::of(home.clone(), &current_dir()?).read_with(&settings)?;
    problems.iter().for_each(|problem| output.note(format!("note: {problem}")));
    let (plugins, records) = (home.plugins()?, aiw_routing::Records::new(home.clone()));
    // What somebody wrote there in clear.
    let redactor = redactor(&home, &settings)?;
    let entries: Vec<ServerEntry> = servers
        .iter()
        .map(|found| {
            let plugin = plugins.key(&found.key).owners.last().map(ToString::to_string);
            ServerEntry::of(found, &records, plugin, |target| redactor.redact(target).into_owned())
        })
        .collect();
    let row = |entry: &ServerEntry| {
        let state = match (&entry.error, entry.enabled) {
            (Some(problem), _) => format!("can't be used: it {problem}"),
            (None, false) => "disabled".to_owned(),
            (None, true) => entry.tools.map(|tools| counted(tools, "tool")).unwrap_or_default(),
        };
        let owner = entry.plugin.clone().unwrap_or_else(|| entry.scope.to_owned());
        vec![entry.name.clone(), owner, state, entry.target.clone()]
    };
    if entries.is_empty() {
        output.line("no MCP servers: `aiw mcp add NAME -- COMMAND` adds one");
    } else {
        output.table(&["NAME", "FROM", "STATE", "SERVER"], &entries.iter().map(row).collect::<Vec<_>>());
    }
    output.answer(json!({"servers": entries, "problems": problems}));
    Ok(())
}

/// Shows a server's entry as it is written, and what is known about it.
pub fn show(name: &str, output: &Output) -> Result<(), Failure> {
    let home = Home::find()?;
    let settings = usable_settings(&home, output)?;
    let (servers, problems) = ServerPlaces::of(home.clone(), &current_dir()?).read_with(&settings)?;
    problems.iter().for_each(|problem| output.note(format!("note: {problem}")));
    let known = || servers.iter().map(|server| server.key.clone()).collect();
    let found = servers.iter().find(|server| server.key == name);
    let found = found.ok_or_else(|| PoolError::NoServer { name: name.to_owned(), known: known() })?;
    let record = aiw_routing::Records::new(home.clone()).load(name);
    let file = match found.scope {
        Scope::Aiw => home.mcp_path(),
        Scope::Project => found.directory.join(PROJECT_FILE),
    };
    // What somebody wrote there in clear.
    let redactor = redactor(&home, &settings)?;
    let redact = |text: &str| redactor.redact(text).into_owned();
    match &found.server {
        Ok(server) => server.shown(name).iter().for_each(|line| output.line(redact(line))),
        Err(problem) => output.line(format!("{} can't be used: it {problem}", visible(name))),
    }
    output.line(format!("  declared in: {}", file.display()));
    if !found.settings.enabled {
        output.line("  disabled");
    }
    if let Some(plugin) = home.plugins()?.key(name).owners.last() {
        output.line(format!("  of the plugin: {plugin}"));
    }
    if let Some(record) = &record {
        let version = record.server["version"].as_str().unwrap_or("unknown");
        output.line(format!("  version: {}", visible(version)));
        output.line(format!("  tools: {}", record.accepted().count()));
        if let Some(text) = record.instructions() {
            output.line("  says about its tools:");
            text.trim().lines().for_each(|line| output.line(format!("    {}", visible(line))));
        }
    }
    let declaration =
        found.server.as_ref().ok().map(|server| redact(&Value::from(server.declaration.clone()).to_string()));
    let declaration: Option<Value> = declaration.and_then(|text| serde_json::from_str(&text).ok());
    output.answer(ShownServer {
        name: name.to_owned(),
        scope: found.scope.as_str(),
        file: file.to_string_lossy().into_owned(),
        enabled: found.settings.enabled,
        declaration,
        error: found.server.as_ref().err().cloned(),
        tools: record.as_ref().map(|record| record.accepted().count()),
        instructions: record.as_ref().and_then(|record| record.instructions().map(str::to_owned)),
    });
    Ok(())
}

/// Starts the chosen servers in parallel. Returns what became of each, in order.
async fn tried(
    client: &Arc<ClientSession>,
    names: &[String],
    output: &Output,
) -> Result<Vec<(ServerStatus, Option<PoolError>)>, Failure> {
    let pool = client.pool();
    let known: Vec<Status> = pool.status();
    let names = chosen(names, known.iter().map(|status| status.name.clone()).collect())?;
    let look = |name: String| {
        let pool = pool.clone();
        async move {
            let failure = pool.look(&name).await.err();
            let ping = if failure.is_none() { pool.ping(&name).await.ok() } else { None };
            (name, failure, ping)
        }
    };
    let looked = futures::future::join_all(names.into_iter().map(look)).await;
    let (after, choices) = (pool.status(), choices(client.clone(), output)?);
    let answer = |(name, failure, ping): (String, Option<PoolError>, Option<Duration>)| {
        let status = after.iter().find(|status| status.name == name)?;
        let shown = ServerStatus::of(status, failure.as_ref(), ping, &choices);
        let is_off = matches!(failure, Some(PoolError::Disabled { .. }));
        Some((shown, failure.filter(|_| !is_off)))
    };
    let answers = looked.into_iter().filter_map(answer).collect();
    pool.end().await;
    Ok(answers)
}

pub async fn status(names: &[String], output: &Output) -> Result<(), Failure> {
    let client = client_with(Profile::everything(), output)?;
    let problems = [client.pool().problems(), client.pool().unknown_in_list()].concat();
    client.pool().unknown_in_list().iter().for_each(|problem| output.note(format!("note: {problem}")));
    let statuses: Vec<ServerStatus> =
        tried(&client, names, output).await?.into_iter().map(|(status, _)| status).collect();
    let row = |status: &ServerStatus| {
        let latency = status.latency_ms.map(|ms| format!("{ms:.1} ms")).unwrap_or_default();
        let said = status.error.clone().unwrap_or_else(|| match status.withheld.len() {
            0 if status.left_out.is_empty() && status.listed => String::new(),
            0 if status.left_out.is_empty() => status.listing.clone().unwrap_or_default(),
            0 => format!("{} left out: aiw mcp doctor {}", counted(status.left_out.len(), "definition"), status.name),
            withheld => format!("{} withheld: aiw mcp approve {}", counted(withheld, "tool"), status.name),
        });
        let tools = if status.state == "ready" { status.tools.to_string() } else { String::new() };
        let tokens = if status.state == "ready" { status.tokens.to_string() } else { String::new() };
        let version = status.version.clone().unwrap_or_default();
        let listed = match status.state {
            "ready" if status.listed => "yes",
            "ready" => "no",
            _ => "",
        };
        vec![status.name.clone(), status.state.to_owned(), version, tools, tokens, listed.to_owned(), latency, said]
    };
    if statuses.is_empty() {
        output.line("no MCP servers: `aiw mcp add NAME -- COMMAND` adds one");
    } else {
        let rows: Vec<_> = statuses.iter().map(row).collect();
        output.table(&["NAME", "STATE", "VERSION", "TOOLS", "TOKENS", "LISTED", "LATENCY", ""], &rows);
    }
    output.answer(json!({"servers": statuses, "problems": problems}));
    Ok(())
}

/// Lists tools. Those of named servers, and named tools, are shown whole.
pub async fn tools(names: &[String], profile: Option<&str>, output: &Output) -> Result<(), Failure> {
    let profile = profiles::chosen(profile, &Home::find()?, &current_dir()?)?;
    let pool = pool_with(profile.clone(), output)?;
    let wanted = names.iter().map(|name| named(name, &pool)).collect::<Result<Vec<_>, _>>()?;
    let known: Vec<String> = pool.status().into_iter().map(|status| status.name).collect();
    let names = if wanted.is_empty() { known } else { wanted.iter().map(|named| named.server.clone()).collect() };
    learn(&pool, &names, output).await;
    let statuses = pool.status();
    let is_wanted = |server: &str, tool: &str| {
        let is_it = |named: &Named| named.server == server && named.tool.as_deref().is_none_or(|name| name == tool);
        wanted.is_empty() || wanted.iter().any(is_it)
    };
    let suspicious = suspicions(&statuses);
    let of = |status: &Status, record: &Record| -> Vec<ServerTool> {
        let is_shown = |tool: &&Definition| {
            is_wanted(&status.name, tool.name()) && profile.allows(&status.name, tool.name(), tool.only_reads())
        };
        record
            .tools
            .iter()
            .filter(is_shown)
            .map(|tool| ServerTool::of(&status.name, tool, record, &suspicious))
            .collect()
    };
    let chosen = statuses.iter().filter(|status| status.enabled && names.contains(&status.name));
    let tools: Vec<ServerTool> =
        chosen.filter_map(|status| Some(of(status, status.record.as_deref()?))).flatten().collect();
    // A tool that is named and not there.
    for Named { server, tool } in &wanted {
        let Some(tool) = tool else { continue };
        if !tools.iter().any(|found| found.server == *server && found.name == *tool) {
            let known = statuses.iter().find(|status| status.name == *server).and_then(|status| status.record.clone());
            let known =
                known.iter().flat_map(|record| record.tools.iter().map(|tool| tool.name().to_owned())).collect();
            pool.end().await;
            return Err(PoolError::NoTool { server: server.clone(), tool: tool.clone(), known }.into());
        }
    }
    for status in statuses.iter().filter(|status| status.record.as_ref().is_some_and(|record| record.lost)) {
        let (name, accept) = (quoted(&status.name), shell_word_in_line(&status.name));
        output.note(format!("note: of the server {name}, {LOST}: `aiw mcp approve {accept}` accepts them"));
    }
    let marks = |tool: &ServerTool| {
        let marks = [(tool.withheld, "withheld"), (!tool.suspicions.is_empty(), "suspicious")];
        marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark).collect::<Vec<_>>().join(", ")
    };
    let row = |tool: &ServerTool| {
        let text = tool.description.lines().next().unwrap_or_default();
        vec![format!("{}/{}", tool.server, tool.name), marks(tool), aiw_core::one_line(text, 100)]
    };
    if tools.is_empty() {
        output.line("no tools");
    } else if !wanted.is_empty() {
        for (at, tool) in tools.iter().enumerate() {
            if at > 0 {
                output.line("");
            }
            let marks = Some(marks(tool)).filter(|marks| !marks.is_empty());
            let marks = marks.map(|marks| format!(" ({marks})")).unwrap_or_default();
            output.line(format!("{}/{}{marks}", visible(&tool.server), visible(&tool.name)));
            let parts = [("parameters", Some(&tool.input_schema)), ("answers", tool.output_schema.as_ref())];
            whole(&tool.description, &parts, tool.annotations.as_ref(), output);
        }
    } else {
        output.table(&["TOOL", "", "WHAT IT DOES"], &tools.iter().map(row).collect::<Vec<_>>());
    }
    output.answer(json!({"tools": tools}));
    pool.end().await;
    Ok(())
}

/// A tool's description, schemas and hints, below its name.
pub(super) fn whole(
    description: &str,
    schemas: &[(&str, Option<&Value>)],
    annotations: Option<&Value>,
    output: &Output,
) {
    description.trim().lines().for_each(|line| output.line(format!("  {}", visible(line.trim_end()))));
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

/// Starts what was never seen, to learn its tools.
pub async fn learn(pool: &Pool, names: &[String], output: &Output) {
    let is_new = |status: &Status| status.record.is_none() && status.enabled && names.contains(&status.name);
    let new: Vec<String> = pool.status().iter().filter(|s| is_new(s)).map(|s| s.name.clone()).collect();
    for (name, looked) in futures::future::join_all(new.iter().map(async |name| (name, pool.look(name).await))).await {
        if let Err(e) = looked {
            output.note(format!("note: {} {}", quoted(name), e.brief()));
        }
    }
}

pub async fn doctor(names: &[String], output: &Output) -> Result<(), Failure> {
    let client = client_with(Profile::everything(), output)?;
    let pool = client.pool();
    let mut problems_of_files = pool.problems();
    let tried = tried(&client, names, output).await?;
    let statuses = pool.status();
    let suspicious = suspicions(&statuses);
    let kept = kept(output);
    let mut checks = Vec::new();
    let mut failed = 0;
    for (status, failure) in tried {
        let record = statuses.iter().find(|known| known.name == status.name).and_then(|known| known.record.clone());
        let mut problems: Vec<String> = status.error.iter().map(|error| format!("it {error}")).collect();
        problems.extend(failure.as_ref().and_then(PoolError::hint));
        failed += usize::from(failure.is_some());
        if failure.is_none() && status.state == "ready" {
            let record = record.unwrap_or_default();
            problems.extend(record.left_out().map(str::to_owned));
            if record.lost {
                problems.push(format!("{LOST}: `aiw mcp approve {}` accepts them", status.name));
            }
            let approve = format!("`aiw mcp approve {}` shows it", status.name);
            problems.extend(record.withheld().map(|tool| {
                let why = if record.pins.contains_key(tool.name()) { "has changed" } else { "is suspicious" };
                format!("tool {} {why} and is withheld: {approve}", quoted(tool.name()))
            }));
            problems.extend(record.withheld_texts().map(|(kind, name)| match kind {
                "prompt" => format!("prompt {} has changed or is suspicious, and is withheld: {approve}", quoted(name)),
                _ => format!(
                    "the text of {kind} {} has changed or is suspicious, and is left out: {approve}",
                    quoted(name)
                ),
            }));
            let of_it = suspicious.iter().filter(|(server, ..)| *server == status.name);
            problems.extend(of_it.map(|(_, tool, sentence)| format!("tool {} {sentence}", quoted(tool))));
            if status.tokens > MANY_TOKENS {
                problems.push(format!("the definitions of its tools cost a client {} tokens", status.tokens));
            }
            if status.start_ms.is_some_and(|ms| u128::from(ms) > SLOW.as_millis()) {
                problems.push("it starts slowly: the first call of a session waits for it".into());
            }
        }
        let news = kept.servers.iter().find(|(key, ..)| *key == status.name);
        let news = news.map_or(Vec::new(), |(key, record, news)| {
            let line = |one: &News| format!("it {} (`{}`)", one.sentence(), one.command(key, &record.name));
            problems.extend(news.iter().map(line));
            news.clone()
        });
        checks.push(ServerCheck { status, problems, news });
    }
    kept.problems.iter().for_each(|problem| output.note(format!("note: {}", problem.problem)));
    let idle = profiles::problems(&Home::find()?, &current_dir()?)?;
    idle.iter().for_each(|problem| output.note(format!("note: {problem}")));
    let unknown = pool.unknown_in_list();
    unknown.iter().for_each(|problem| output.note(format!("note: {problem}")));
    problems_of_files.extend(idle.into_iter().chain(unknown));
    let leftovers = Home::find()?.leftovers().len();
    if leftovers > 0 {
        let (files, wait) = if leftovers == 1 { ("file", "waits") } else { ("files", "wait") };
        output.note(format!(
            "note: {leftovers} {files} of commands that were killed {wait} for the next command that writes, which removes them"
        ));
    }
    for check in &checks {
        let status = &check.status;
        let facts = match status.state {
            "ready" => format!(
                "ready in {} ms, protocol {}, {}, {} tokens",
                status.start_ms.unwrap_or_default(),
                status.protocol.as_deref().unwrap_or("unknown"),
                counted(status.tools, "tool"),
                status.tokens
            ),
            other => other.to_owned(),
        };
        output.line(format!("{}: {facts}", visible(&status.name)));
        check.problems.iter().for_each(|problem| output.line(format!("  {problem}")));
    }
    if checks.is_empty() {
        output.line("no MCP servers: `aiw mcp add NAME -- COMMAND` adds one");
    }
    let failure = (failed > 0).then(|| {
        let verb = if failed == 1 { "does" } else { "do" };
        Failure::new(ErrorKind::Unavailable, format!("{} {verb} not work", counted(failed, "MCP server")))
    });
    output.conclude(json!({"servers": checks, "problems": problems_of_files, "copies": kept.problems}), failure)
}

/// What local copies of registries say of the servers: a doctor asks no registry.
fn kept(output: &Output) -> Kept {
    let looked = session(output).and_then(|client| Ok(aiw_registries::kept(client.home(), client.library()?)?));
    looked.unwrap_or_else(|e: Failure| {
        output.note(format!("note: what registries say of servers is not known: {e}"));
        Kept::default()
    })
}
