//! `aiw plugin …`

use std::collections::BTreeMap;

use aiw_core::PluginId;
use aiw_home::InstalledPlugin;
use aiw_markets::{
    Answers, Found, Given, Installed, MarketError, Missing, OnConflict, Plan, PlannedServer, Query, SearchResult,
};
use serde_json::{Value, json};

use crate::cli::{EnableArgs, InstallArgs, ListArgs, PluginCommand, SearchArgs, UpdateArgs};
use crate::commands::marketplace;
use crate::components::Host;
use crate::failure::Failure;
use crate::output::{Output, table};
use crate::terminal;

pub async fn run(command: PluginCommand, output: &Output) -> Result<(), Failure> {
    let host = Host::open(output)?;
    host.markets.reconcile()?.iter().for_each(|note| output.note(note));
    match command {
        PluginCommand::Marketplace(command) => marketplace::run(&host, command, output).await,
        // Handled before, outside this runtime.
        PluginCommand::Browse { .. } => Ok(()),
        PluginCommand::Search(args) => search(&host, args, output),
        PluginCommand::List(args) => list(&host, &args, output),
        PluginCommand::Info { plugin } => info(&host, &plugin, output).await,
        PluginCommand::Install(args) => install(&host, args, output).await,
        PluginCommand::Update(args) => update(&host, args, output).await,
        PluginCommand::Remove { plugins } => remove(&host, &plugins, output),
        PluginCommand::Enable(args) => {
            let EnableArgs { plugins, on_conflict } = args;
            toggle(&host, &plugins, true, on_conflict.map(Into::into), output)
        }
        PluginCommand::Disable { plugins } => toggle(&host, &plugins, false, None, output),
        PluginCommand::Validate { path } => validate(&host, &path, output).await,
    }
}

fn search(host: &Host, args: SearchArgs, output: &Output) -> Result<(), Failure> {
    let text = Some(args.query.join(" ")).filter(|text| !text.trim().is_empty());
    let query = Query { text, market: args.market, category: args.category, all: args.all };
    show(&host.markets.search(&query)?, query.text.is_some(), output);
    Ok(())
}

fn list(host: &Host, args: &ListArgs, output: &Output) -> Result<(), Failure> {
    if args.available {
        let query = Query { market: args.market.clone(), all: args.all, ..Query::default() };
        show(&host.markets.search(&query)?, false, output);
        return Ok(());
    }
    let everything = host.markets.search(&Query { all: true, market: args.market.clone(), ..Query::default() })?;
    let wanted = |id: &PluginId| args.market.as_deref().is_none_or(|market| id.market.as_str() == market);
    let installed: Vec<_> = host.markets.installed()?.into_iter().filter(|(id, _)| wanted(id)).collect();
    let mut rows = Vec::new();
    let mut plugins = Vec::new();
    for (id, record) in &installed {
        let found = everything.plugins.iter().find(|found| found.id().as_ref() == Some(id));
        let state = if record.enabled { "" } else { "disabled" };
        rows.push(vec![id.to_string(), short(&record.version), keys(record), state.into()]);
        plugins.push(match found {
            Some(found) => shape(found),
            None => orphan(id, record),
        });
    }
    table(&rows).iter().for_each(|line| output.line(line));
    if installed.is_empty() {
        output.line("No plugins are installed; `aiw plugin search` finds some");
    }
    output.answer(json!({ "plugins": plugins }));
    Ok(())
}

/// The keys that a plugin has in mcp.json, for people.
pub fn keys(record: &InstalledPlugin) -> String {
    let keys: Vec<&str> = record.servers.iter().filter(|s| !s.skipped).map(|s| s.key.as_str()).collect();
    if keys.is_empty() { "no server".into() } else { keys.join(", ") }
}

/// A version for people: a commit or digest is cut.
fn short(version: &str) -> String {
    let hex = version.len() >= 40 && version.bytes().all(|b| b.is_ascii_hexdigit());
    aiw_core::one_line(if hex { &version[..12] } else { version }, 24)
}

fn show(result: &SearchResult, searched: bool, output: &Output) {
    let mut rows = Vec::new();
    for found in &result.plugins {
        let id =
            found.id().map_or_else(|| format!("{}@{}", found.listed.entry.name, found.market), |id| id.to_string());
        let kind = match (found.listed.broken(), found.listed.has_servers()) {
            (Some(_), _) => "broken".into(),
            (None, _) if found.listed.refused().is_some() => "refused".into(),
            (None, None) => "not yet inspected".into(),
            (None, Some(_)) => kinds(found).join(" "),
        };
        let mark = match &found.installed {
            Some(record) if record.enabled => "✓",
            Some(_) => "-",
            None => " ",
        };
        let text = match found.listed.broken() {
            Some(problem) => format!("it {problem}"),
            None => found.listed.refused().map(str::to_owned).or(found.listed.description()).unwrap_or_default(),
        };
        rows.push(vec![format!("{mark} {id}"), kind, aiw_core::one_line(&text, 90)]);
    }
    table(&rows).iter().for_each(|line| output.line(line));
    if result.plugins.is_empty() {
        output.line(if searched { "No plugin matches" } else { "No plugins" });
    }
    let mut hidden = Vec::new();
    for (count, what) in [
        (result.without_servers, "without MCP servers"),
        (result.not_inspected, "not yet inspected"),
        (result.broken, "broken"),
    ] {
        if count > 0 {
            hidden.push(format!("{count} {what}"));
        }
    }
    if !hidden.is_empty() {
        output.note(format!("hidden: {} (`--all` shows them)", hidden.join(", ")));
    }
    for market in &result.not_fetched {
        output.note(format!("marketplace `{market}` is not fetched yet: `aiw plugin marketplace update {market}`"));
    }
    result.problems.iter().for_each(|problem| output.note(problem));
    output.answer(json!({
        "plugins": result.plugins.iter().map(shape).collect::<Vec<_>>(),
        "hidden": {"without_servers": result.without_servers, "not_inspected": result.not_inspected, "broken": result.broken},
        "not_fetched": result.not_fetched,
    }));
}

/// `mcp` and whatever else a plugin brings.
pub fn kinds(found: &Found) -> Vec<String> {
    let Some(inspection) = &found.listed.inspection else { return Vec::new() };
    let mcp = (!inspection.servers.is_empty()).then(|| "mcp".to_owned());
    mcp.into_iter().chain(inspection.brings.clone().unwrap_or_default()).collect()
}

/// One plugin as JSON; documented in docs/json.md.
pub fn shape(found: &Found) -> Value {
    let listed = &found.listed;
    let inspection = listed.inspection.as_ref().filter(|_| listed.broken().is_none());
    let source = listed.entry.content.as_ref().ok().map(|usable| usable.source.describe());
    json!({
        "id": found.id().map_or_else(|| format!("{}@{}", listed.entry.name, found.market), |id| id.to_string()),
        "name": listed.entry.name,
        "marketplace": found.market,
        "version": listed.version(),
        "description": listed.description(),
        "category": listed.entry.text("category"),
        "source": source,
        "mcp_servers": inspection.map(|i| i.servers.iter().map(|s| json!({"name": s.name, "type": s.transport})).collect::<Vec<_>>()),
        "brings": inspection.and_then(|i| i.brings.as_ref()),
        "installed": found.installed.is_some(),
        "enabled": found.installed.as_ref().is_some_and(|record| record.enabled),
        "broken": listed.broken().or(listed.refused()),
    })
}

/// An installed plugin whose marketplace no longer lists it.
fn orphan(id: &PluginId, record: &InstalledPlugin) -> Value {
    let servers: Vec<Value> = record
        .servers
        .iter()
        .map(|s| json!({"name": s.name, "type": s.written.get("type").and_then(Value::as_str).unwrap_or("stdio")}))
        .collect();
    json!({
        "id": id, "name": id.name, "marketplace": id.market, "version": record.version, "description": null,
        "category": null, "source": record.source, "mcp_servers": servers, "brings": null,
        "installed": true, "enabled": record.enabled, "broken": null,
    })
}

async fn info(host: &Host, name: &str, output: &Output) -> Result<(), Failure> {
    let mut found = match host.markets.find(name) {
        Ok(found) => found,
        // What is installed can be shown without its marketplace.
        Err(e) => match host.markets.find_installed(name) {
            Ok(id) => return info_installed(host, &id, output),
            Err(_) => return Err(e.into()),
        },
    };
    if found.listed.broken().is_none() && found.listed.refused().is_none() && found.listed.inspection.is_none() {
        match host.markets.look_into(&found).await {
            Ok(inspection) => found.listed.inspection = Some(inspection),
            Err(e) => output.note(format!("not inspected: {e}")),
        }
    }
    let mut answer = shape(&found);
    output.line(answer["id"].as_str().unwrap_or_default());
    if let Some(description) = found.listed.description() {
        output.line(format!("  {}", aiw_core::one_line(&description, 400)));
    }
    for key in ["version", "category", "source"] {
        if let Some(text) = answer[key].as_str() {
            output.line(format!("  {key}: {}", aiw_core::one_line(text, 200)));
        }
    }
    if let Some(problem) = answer["broken"].as_str() {
        output.line(format!("  broken: {problem}"));
    }
    if let Some(inspection) = &found.listed.inspection {
        if let Some(brings) = inspection.brings.as_ref().filter(|brings| !brings.is_empty()) {
            output.line(format!("  brings: {}", brings.join(", ")));
        }
        if let Some(commit) = &inspection.commit {
            output.line(format!("  commit: {commit}"));
        }
        let mut servers = Vec::new();
        for server in &inspection.servers {
            let reads = server.reads();
            output.line(format!(
                "  server {}: {} {}",
                aiw_core::one_line(&server.name, 60),
                server.transport,
                server.target()
            ));
            let details = server.details();
            details.iter().for_each(|detail| output.line(format!("    {detail}")));
            if !reads.is_empty() {
                output.line(format!("    reads {}", reads.join(", ")));
            }
            servers.push(
                json!({"name": server.name, "type": server.transport, "target": server.target(), "details": details, "reads": reads}),
            );
        }
        inspection.left_out.iter().for_each(|line| output.line(format!("  {line}")));
        answer["mcp_servers"] = servers.into();
        answer["commit"] = json!(inspection.commit);
        answer["left_out"] = json!(inspection.left_out);
    }
    if let Some(record) = &found.installed {
        output.line(installed_line(record));
        answer["installed_version"] = json!(record.version);
        answer["keys"] = json!(record.servers.iter().map(|s| &s.key).collect::<Vec<_>>());
    }
    output.answer(json!({ "plugin": answer }));
    Ok(())
}

fn installed_line(record: &InstalledPlugin) -> String {
    let state = if record.enabled { "installed" } else { "installed, disabled" };
    format!("  {state}: {} since {}, as {}", short(&record.version), record.installed_at, keys(record))
}

fn info_installed(host: &Host, id: &PluginId, output: &Output) -> Result<(), Failure> {
    let record = host.markets.installed()?.into_iter().find(|(known, _)| known == id).map(|(_, record)| record);
    let record = record.ok_or_else(|| Failure::from(MarketError::NotInstalled { name: id.to_string() }))?;
    output.line(id.to_string());
    output.line("  its marketplace does not list it any more");
    output.line(installed_line(&record));
    output.answer(json!({ "plugin": orphan(id, &record) }));
    Ok(())
}

async fn install(host: &Host, args: InstallArgs, output: &Output) -> Result<(), Failure> {
    let mut answers = Answers { on_conflict: args.on_conflict.map(Into::into), ..Answers::default() };
    for (name, value) in &args.env {
        if let Some(given) = given(name, value, output) {
            answers.values.insert(name.clone(), given);
        }
    }
    let mut report = Report::default();
    for name in &args.plugins {
        match install_one(host, name, &answers, args.yes, output).await {
            Ok(installed) => report.done(installed, output),
            Err(failure) if failure.code() >= 128 => return Err(failure),
            Err(failure) => report.failed(name, failure, output),
        }
    }
    let serves = |done: &Value| done["servers"].as_array().is_some_and(|servers| !servers.is_empty());
    if report.installed.iter().any(serves) {
        let path = host.home.mcp_path();
        output.line(format!("Use it: claude --mcp-config {}", shell_word(&path.display().to_string())));
    }
    report.finish("installed", output)
}

/// What was typed for a value. A secret is never kept: it is as if it had not been given, so
/// that the placeholder stays.
fn given(name: &str, value: &str, output: &Output) -> Option<Given> {
    match Given::parse(value) {
        Given::Literal(value) if aiw_core::is_secret(name, &value) => {
            output.note(format!("the value of `{name}` is not kept: export it where your client starts"));
            None
        }
        given => Some(given),
    }
}

/// What happened to each of several plugins.
#[derive(Default)]
struct Report {
    installed: Vec<Value>,
    failed: Vec<Value>,
    first: Option<Failure>,
}

impl Report {
    fn done(&mut self, done: Installed, output: &Output) {
        let verb = if done.unchanged { "Already installed:" } else { "Installed" };
        output.line(format!("{verb} {} {}: {}", done.id, short(&done.record.version), keys(&done.record)));
        say_missing(&done, output);
        done.notes.iter().for_each(|note| output.note(note));
        self.installed.push(installed_shape(&done));
    }

    fn failed(&mut self, name: &str, failure: Failure, output: &Output) {
        self.failed.push(json!({"id": name, "error": failure.message(), "hint": failure.hint()}));
        if self.first.is_some() {
            output.note(format!("error: {name}: {}", failure.message()));
        }
        self.first.get_or_insert(failure);
    }

    fn finish(self, list: &str, output: &Output) -> Result<(), Failure> {
        output.conclude(json!({list: self.installed, "failed": self.failed}), self.first)
    }
}

fn installed_shape(done: &Installed) -> Value {
    json!({
        "id": done.id,
        "version": done.record.version,
        "commit": done.record.commit,
        "servers": done.record.servers.iter().filter(|s| !s.skipped && done.record.enabled).map(|s| &s.key).collect::<Vec<_>>(),
        "missing_env": done.missing.iter().map(|m| &m.variable).collect::<Vec<_>>(),
        "notes": done.notes,
        "unchanged": done.unchanged,
    })
}

fn say_missing(done: &Installed, output: &Output) {
    for missing in &done.missing {
        let flag = missing.option.as_deref().unwrap_or(missing.variable.as_str());
        let how = if missing.secret {
            format!("export {0}, or name another variable with --env {flag}='${{OTHER}}'", missing.variable)
        } else {
            format!("export {0}, or give it with --env {flag}=VALUE", missing.variable)
        };
        output.note(format!("`{}` is not set: {how}", missing.variable));
    }
}

async fn install_one(
    host: &Host,
    name: &str,
    answers: &Answers,
    yes: bool,
    output: &Output,
) -> Result<Installed, Failure> {
    let plan = host.markets.plan(name).await?;
    if plan.unchanged && answers.values.is_empty() && answers.on_conflict.is_none() {
        return Ok(host.markets.install(plan, answers)?);
    }
    preview(&plan, answers).iter().for_each(|line| output.before_question(line));
    output.flush();
    for line in &plan.left_out {
        output.note(line);
    }
    if !terminal::confirm(&format!("Install {}?", plan.id), "--yes", yes).await? {
        return Err(MarketError::Declined.into());
    }
    let answers = complete(&plan, answers, output).await?;
    Ok(host.markets.install(plan, &answers)?)
}

/// What an install would add, for people to judge: nothing is folded, cut or left out.
pub fn preview(plan: &Plan, answers: &Answers) -> Vec<String> {
    let from =
        plan.commit.as_ref().map_or_else(|| plan.source.clone(), |commit| format!("{} at {commit}", plan.source));
    let mut lines = vec![format!("{} {} from {from}", plan.id, short(&plan.version))];
    if let Some(present) = &plan.present {
        lines.push(format!("  installed: {}", short(&present.version)));
        lines.extend(plan.changes().iter().map(|change| format!("  changes: {change}")));
    }
    // What was left out before is shown again when it would be added now.
    for server in plan.servers.iter().filter(|server| !server.skipped || answers.on_conflict.is_some()) {
        let verb = if server.transport == "stdio" { "runs" } else { "reaches" };
        lines.push(format!("  {} ({}) {verb}: {}", server.key, server.transport, server.target));
        lines.extend(server.details.iter().map(|detail| format!("    {detail}")));
        let reads = read_names(server);
        if !reads.is_empty() {
            lines.push(format!("    reads {}", reads.join(", ")));
        }
        if let Some(clash) = &server.clash {
            lines.push(format!("    the name is taken by {clash}"));
        }
    }
    let options = plan.options_used(answers);
    lines.extend(options.iter().map(|(name, value)| format!("  user_config.{name} is {}", value.escape_debug())));
    lines
}

fn read_names(server: &PlannedServer) -> Vec<String> {
    let variables = server.reads.variables.keys().map(ToString::to_string);
    variables.chain(server.reads.options.iter().map(|option| format!("user_config.{option}"))).collect()
}

/// Asks on a terminal for what the flags left open.
async fn complete(plan: &Plan, answers: &Answers, output: &Output) -> Result<Answers, Failure> {
    let mut answers = answers.clone();
    if !terminal::can_ask() {
        return Ok(answers);
    }
    if answers.on_conflict.is_none() {
        let mut conflicts = BTreeMap::new();
        for server in plan.servers.iter().filter(|server| !server.skipped) {
            let Some(clash) = &server.clash else { continue };
            let question = format!(
                "The server name `{}` is taken by {clash}: [o]verwrite, [s]kip, [r]ename, or stop?",
                server.key
            );
            let choice = match terminal::ask(&question).await?.to_lowercase().chars().next() {
                Some('o') => OnConflict::Overwrite,
                Some('s') => OnConflict::Skip,
                Some('r') => OnConflict::Rename,
                _ => return Err(MarketError::Declined.into()),
            };
            conflicts.insert(server.key.clone(), choice);
        }
        answers.conflicts = conflicts;
    }
    for Missing { variable, option, title, secret } in plan.missing(&answers) {
        if secret {
            output.note(format!("`{variable}` is a secret: export it where your client starts; aiw does not keep it"));
            continue;
        }
        let name = option.clone().unwrap_or_else(|| variable.to_string());
        let title = title.map_or(String::new(), |title| format!(" ({title})"));
        let value =
            terminal::ask(&format!("Value of `{name}`{title}, or nothing to read ${{{variable}}} at the start:"))
                .await?;
        if let Some(given) =
            Some(value).filter(|value| !value.is_empty()).and_then(|value| given(&name, &value, output))
        {
            answers.values.insert(name, given);
        }
    }
    Ok(answers)
}

async fn update(host: &Host, args: UpdateArgs, output: &Output) -> Result<(), Failure> {
    let mut report = Report::default();
    let mut ids: Vec<PluginId> = Vec::new();
    if args.plugins.is_empty() {
        ids.extend(host.markets.installed()?.into_iter().map(|(id, _)| id));
    }
    for name in &args.plugins {
        match host.markets.find_installed(name) {
            Ok(id) => ids.push(id),
            Err(e) => report.failed(name, e.into(), output),
        }
    }
    let known: Vec<String> = host.markets.statuses()?.0.iter().map(|status| status.market.name.to_string()).collect();
    if !args.no_fetch {
        let mut markets: Vec<String> = ids.iter().map(|id| id.market.to_string()).collect();
        markets.retain(|market| known.contains(market));
        markets.sort();
        markets.dedup();
        for market in markets {
            if let Err(e) = host.markets.update(&market, false).await {
                output.note(format!("marketplace `{market}` is used as it was fetched last: {e}"));
            }
        }
    }
    let (mut updated, mut unchanged) = (Vec::new(), Vec::new());
    for id in ids {
        // Of all of them, one whose marketplace is gone stays as it is.
        if args.plugins.is_empty() && !known.iter().any(|name| name == id.market.as_str()) {
            output.note(format!("{id} stays as it is: its marketplace is not there any more"));
            unchanged.push(json!(id));
            continue;
        }
        let result = update_one(host, &id, &args, output).await;
        match result {
            Ok(Some((from, installed))) => {
                output.line(format!("Updated {id}: {} → {}", short(&from), short(&installed.record.version)));
                say_missing(&installed, output);
                installed.notes.iter().for_each(|note| output.note(note));
                let mut shape = installed_shape(&installed);
                shape["from"] = from.into();
                updated.push(shape);
            }
            Ok(None) => {
                output.line(format!("{id} is current"));
                unchanged.push(json!(id));
            }
            Err(failure) if failure.code() >= 128 => return Err(failure),
            // Of all of them, one that its marketplace no longer lists stays as well.
            Err(failure) if args.plugins.is_empty() && failure.is_unknown() => {
                output.note(format!("{id} stays as it is: {}", failure.message()));
                unchanged.push(json!(id));
            }
            Err(failure) => report.failed(&id.to_string(), failure, output),
        }
    }
    output.conclude(json!({"updated": updated, "unchanged": unchanged, "failed": report.failed}), report.first)
}

async fn update_one(
    host: &Host,
    id: &PluginId,
    args: &UpdateArgs,
    output: &Output,
) -> Result<Option<(String, Installed)>, Failure> {
    let Some(check) = host.markets.check_update(id).await? else { return Ok(None) };
    if check.changed_files > 0 {
        let files = if check.changed_files == 1 { "1 file".into() } else { format!("{} files", check.changed_files) };
        output.line(format!("{id}: {files} changed in the plugin, which a server runs from"));
    }
    if !check.changes.is_empty() && !args.accept_changes {
        let changes = MarketError::Changes { id: id.clone(), changes: check.changes.clone() };
        if !terminal::can_ask() {
            return Err(changes.into());
        }
        output.flush();
        output.note(changes.to_string());
        if !terminal::confirm("Accept the changes?", "--accept-changes", false).await? {
            return Err(MarketError::Declined.into());
        }
    }
    let answers = Answers { on_conflict: args.on_conflict.map(Into::into), ..Answers::default() };
    let from = check.from.clone();
    Ok(Some((from, host.markets.update_to(check.plan, &answers)?)))
}

fn remove(host: &Host, names: &[String], output: &Output) -> Result<(), Failure> {
    let mut removed = Vec::new();
    let mut report = Report::default();
    for name in names {
        match host.markets.uninstall(name) {
            Ok(done) => {
                let servers = if done.servers.is_empty() { "no server" } else { &done.servers.join(", ") };
                output.line(format!("Removed {}: {servers}", done.id));
                done.notes.iter().for_each(|note| output.note(note));
                removed.push(json!({"id": done.id, "servers": done.servers, "notes": done.notes}));
            }
            Err(e) => report.failed(name, e.into(), output),
        }
    }
    report.installed = removed;
    report.finish("removed", output)
}

fn toggle(
    host: &Host,
    names: &[String],
    enabled: bool,
    on_conflict: Option<OnConflict>,
    output: &Output,
) -> Result<(), Failure> {
    let mut changed = Vec::new();
    let mut report = Report::default();
    let answers = Answers { on_conflict, ..Answers::default() };
    for name in names {
        match host.markets.set_enabled(name, enabled, &answers) {
            Ok(done) => {
                let state = if enabled { "enabled" } else { "disabled" };
                let already = if done.changed { "" } else { "already " };
                output.line(format!("{}: {already}{state}", done.id));
                done.notes.iter().for_each(|note| output.note(note));
                changed.push(json!({"id": done.id, "enabled": done.enabled, "changed": done.changed,
                    "servers": done.servers, "notes": done.notes}));
            }
            Err(e) => report.failed(name, e.into(), output),
        }
    }
    report.installed = changed;
    report.finish("plugins", output)
}

async fn validate(host: &Host, path: &std::path::Path, output: &Output) -> Result<(), Failure> {
    let report = host.markets.validate(path).await?;
    report.errors.iter().for_each(|line| output.line(format!("error: {line}")));
    report.warnings.iter().for_each(|line| output.line(format!("warning: {line}")));
    let answer = json!({"valid": report.errors.is_empty(), "kind": report.kind, "errors": report.errors, "warnings": report.warnings});
    let failure = match report.errors.len() {
        0 => {
            output.line(format!("The {} is valid", report.kind));
            None
        }
        1 => Some(Failure::user(format!("the {} has 1 error", report.kind))),
        n => Some(Failure::user(format!("the {} has {n} errors", report.kind))),
    };
    output.conclude(answer, failure)
}

/// A word as a shell reads it back.
fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,~".contains(c);
    if word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}
