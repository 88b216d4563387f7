//! `aiw plugin install|update|remove|enable|disable|validate`: what changes.

use std::collections::BTreeMap;

use aiw_app::servers::edit::forget;
use aiw_core::PluginId;
use aiw_home::Home;
use aiw_markets::{
    Answers, InstallPlan, Installed, InstalledSummary, MarketError, Markets, Missing, OnConflict, RemovedPlugin,
    SwitchedPlugin, UpdatedSummary,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::look::{fetch, keys, short, wants};
use crate::cli::{InstallArgs, UpdateArgs};
use crate::commands::each::{FailedId, Failures};
use crate::failure::Failure;
use crate::output::Output;
use crate::terminal;
use aiw_app::workflows::suspicious;

/// `aiw plugin install`
#[derive(Default, Serialize, JsonSchema)]
pub struct PluginInstall {
    /// The plugins that are installed now
    pub installed: Vec<InstalledSummary>,
    /// The plugins that could not be installed
    pub failed: Vec<FailedId>,
}

/// `aiw plugin update`
#[derive(Default, Serialize, JsonSchema)]
pub struct PluginUpdate {
    /// The plugins that were updated
    pub updated: Vec<UpdatedSummary>,
    /// The ids of those that were not
    pub unchanged: Vec<String>,
    /// The plugins that could not be updated
    pub failed: Vec<FailedId>,
}

/// `aiw plugin remove`
#[derive(Default, Serialize, JsonSchema)]
pub struct PluginRemove {
    /// The plugins that were removed
    pub removed: Vec<RemovedPlugin>,
    /// The plugins that could not be removed
    pub failed: Vec<FailedId>,
}

/// `aiw plugin enable`, `disable`
#[derive(Default, Serialize, JsonSchema)]
pub struct PluginSwitch {
    /// The plugins as they are now
    pub plugins: Vec<SwitchedPlugin>,
    /// The plugins that could not be enabled or disabled
    pub failed: Vec<FailedId>,
}

pub(super) async fn install(markets: &Markets, args: InstallArgs, output: &Output) -> Result<(), Failure> {
    let answers = answers(args.on_conflict.map(Into::into), &args.env, output);
    let (mut installed, mut failures) = (Vec::new(), Failures::default());
    for name in &args.plugins {
        match install_one(markets, name, &answers, args.yes, output).await {
            Ok(done) => {
                let verb = if done.unchanged { "Already installed:" } else { "Installed" };
                output.line(format!("{verb} {} {}: {}", done.id, short(&done.record.version), keys(&done.record)));
                say_missing(&done, output);
                done.notes.iter().for_each(|note| output.note(note));
                installed.push(InstalledSummary::of(&done));
            }
            Err(failure) if failure.code() >= 128 => return Err(failure),
            Err(failure) => failures.add(name, Some(name), failure, output),
        }
    }
    if installed.iter().any(|done| !done.servers.is_empty()) {
        output.line("Use it: aiw claude --mcp");
    }
    output.conclude(PluginInstall { installed, failed: failures.failed }, failures.first)
}

/// The answers that the flags give.
fn answers(on_conflict: Option<OnConflict>, env: &[(String, String)], output: &Output) -> Answers {
    let mut answers = Answers { on_conflict, ..Answers::default() };
    for (name, value) in env {
        give(&mut answers, name, value, output);
    }
    answers
}

fn give(answers: &mut Answers, name: &str, value: &str, output: &Output) {
    if !answers.give(name, value) {
        output.note(format!("the value of `{name}` is not kept: export it where your client starts"));
    }
}

fn say_missing(done: &Installed, output: &Output) {
    for missing in &done.missing {
        output.note(missing.advice(&done.id));
    }
}

async fn install_one(
    markets: &Markets,
    name: &str,
    answers: &Answers,
    yes: bool,
    output: &Output,
) -> Result<Installed, Failure> {
    let plan = match markets.plan(name).await {
        Err(
            MarketError::NotFetched { name: market } | MarketError::UnknownPlugin { not_fetched: Some(market), .. },
        ) if wants(&market).await? => {
            fetch(markets, &market, output).await;
            markets.plan(name).await?
        }
        plan => plan?,
    };
    if plan.unchanged && answers.values.is_empty() && answers.on_conflict.is_none() {
        return Ok(markets.install(plan, answers.clone()).await?);
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
    Ok(markets.install(plan, answers).await?)
}

/// Returns everything that an install would add, for people to judge: nothing is folded, cut or left out.
pub fn preview(plan: &InstallPlan, answers: &Answers) -> Vec<String> {
    let from =
        plan.commit.as_ref().map_or_else(|| plan.source.clone(), |commit| format!("{} at {commit}", plan.source));
    let mut lines = vec![format!("{} {} from {from}", plan.id, short(&plan.version))];
    if let Some(present) = &plan.present {
        lines.push(format!("  installed: {}", short(&present.version)));
        lines.extend(plan.changes().iter().map(|change| format!("  changes: {change}")));
    }
    // What was left out before is shown again when it would be added now.
    for server in plan.servers.iter().filter(|server| !server.skipped || answers.on_conflict.is_some()) {
        lines.extend(server.shown().into_iter().map(|line| format!("  {line}")));
        if let Some(clash) = &server.clash {
            lines.push(format!("    the name is taken by {clash}"));
        }
    }
    let options = plan.options_used(answers);
    lines.extend(options.iter().map(|(name, value)| format!("  {name} is {}", value.escape_debug())));
    let signs: Vec<String> = suspicious(lines[1..].iter().map(String::as_str)).collect();
    lines.extend(signs.iter().map(|line| format!("  {line}")));
    lines
}

/// Asks on a terminal for what the flags left open.
async fn complete(plan: &InstallPlan, answers: &Answers, output: &Output) -> Result<Answers, Failure> {
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
    // A secret can't be given here: how to set it is said at the end.
    for Missing { name, title, .. } in plan.missing(&answers).into_iter().filter(|missing| !missing.secret) {
        let title = title.map_or(String::new(), |title| format!(" ({title})"));
        let value = terminal::ask(&format!("Value of `{name}`{title}, or nothing to set it later:")).await?;
        if !value.is_empty() {
            give(&mut answers, &name, &value, output);
        }
    }
    Ok(answers)
}

pub(super) async fn update(markets: &Markets, args: UpdateArgs, output: &Output) -> Result<(), Failure> {
    let mut failures = Failures::default();
    let answers = answers(args.on_conflict.map(Into::into), &args.env, output);
    let mut ids: Vec<PluginId> = Vec::new();
    if args.plugins.is_empty() {
        ids.extend(markets.installed()?.into_iter().map(|(id, _)| id));
    }
    for name in &args.plugins {
        match markets.find_installed(name) {
            Ok(id) => ids.push(id),
            Err(e) => failures.add(name, Some(name), e, output),
        }
    }
    let known: Vec<String> = markets.statuses()?.0.iter().map(|status| status.market.name.to_string()).collect();
    if !args.no_fetch {
        let mut used: Vec<String> = ids.iter().map(|id| id.market.to_string()).collect();
        used.retain(|market| known.contains(market));
        used.sort();
        used.dedup();
        for market in used {
            if let Err(e) = markets.update(&market, false).await {
                output.note(format!("marketplace `{market}` is used as last fetched: {e}"));
            }
        }
    }
    let (mut updated, mut unchanged) = (Vec::new(), Vec::new());
    for id in ids {
        // Of all of them, one whose marketplace is gone stays as it is.
        if args.plugins.is_empty() && !known.iter().any(|name| name == id.market.as_str()) {
            output.note(format!("{id} stays as it is: its marketplace no longer exists"));
            unchanged.push(id.to_string());
            continue;
        }
        let result = update_one(markets, &id, &answers, args.accept_changes, output).await;
        match result {
            Ok(Some((from, installed))) => {
                let (before, after) = (short(&from), short(&installed.record.version));
                output.line(match before == after {
                    true => format!("Updated {id} {after}"),
                    false => format!("Updated {id}: {before} → {after}"),
                });
                say_missing(&installed, output);
                installed.notes.iter().for_each(|note| output.note(note));
                updated.push(UpdatedSummary { plugin: InstalledSummary::of(&installed), from });
            }
            Ok(None) => {
                output.line(format!("{id} is up to date"));
                unchanged.push(id.to_string());
            }
            Err(failure) if failure.code() >= 128 => return Err(failure),
            // Of all of them, one that its marketplace no longer lists stays as well.
            Err(failure) if args.plugins.is_empty() && failure.is_unknown() => {
                output.note(format!("{id} stays as it is: {}", failure.message()));
                unchanged.push(id.to_string());
            }
            Err(failure) => {
                let id = id.to_string();
                failures.add(&id, Some(&id), failure, output);
            }
        }
    }
    output.conclude(PluginUpdate { updated, unchanged, failed: failures.failed }, failures.first)
}

async fn update_one(
    markets: &Markets,
    id: &PluginId,
    answers: &Answers,
    accept_changes: bool,
    output: &Output,
) -> Result<Option<(String, Installed)>, Failure> {
    let Some(check) = markets.check_update(id, answers).await? else { return Ok(None) };
    if check.changed_files > 0 {
        let files = if check.changed_files == 1 { "1 file".into() } else { format!("{} files", check.changed_files) };
        output.line(format!("{id}: {files} changed in the plugin, which a server runs from"));
    }
    if !check.changes.is_empty() && !accept_changes {
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
    let from = check.from.clone();
    Ok(Some((from, markets.update_to(check.plan, answers.clone()).await?)))
}

pub(super) async fn remove(markets: &Markets, names: &[String], output: &Output) -> Result<(), Failure> {
    let home = Home::find()?;
    let mut removed = Vec::new();
    let mut failures = Failures::default();
    for name in names {
        match markets.uninstall(name).await {
            Ok(done) => {
                let servers = if done.servers.is_empty() { "no server" } else { &done.servers.join(", ") };
                output.line(format!("Removed {}: {servers}", done.id));
                done.notes.iter().for_each(|note| output.note(note));
                for key in &done.servers {
                    if let Err(e) = forget(&home, key) {
                        output.note(format!("what is known about the server `{key}` stays: {e}"));
                    }
                }
                removed.push(done);
            }
            Err(e) => failures.add(name, Some(name), e, output),
        }
    }
    output.conclude(PluginRemove { removed, failed: failures.failed }, failures.first)
}

pub(super) async fn toggle(
    markets: &Markets,
    names: &[String],
    enabled: bool,
    on_conflict: Option<OnConflict>,
    output: &Output,
) -> Result<(), Failure> {
    let mut plugins = Vec::new();
    let mut failures = Failures::default();
    let answers = Answers { on_conflict, ..Answers::default() };
    for name in names {
        match markets.set_enabled(name, enabled, answers.clone()).await {
            Ok(done) => {
                let state = if enabled { "enabled" } else { "disabled" };
                let already = if done.changed { "" } else { "already " };
                output.line(format!("{}: {already}{state}", done.id));
                done.notes.iter().for_each(|note| output.note(note));
                plugins.push(done);
            }
            Err(e) => failures.add(name, Some(name), e, output),
        }
    }
    output.conclude(PluginSwitch { plugins, failed: failures.failed }, failures.first)
}

pub(super) async fn validate(markets: &Markets, path: &std::path::Path, output: &Output) -> Result<(), Failure> {
    let report = markets.validate(path).await?;
    report.errors.iter().for_each(|line| output.line(format!("error: {line}")));
    report.warnings.iter().for_each(|line| output.line(format!("warning: {line}")));
    let failure = match report.errors.len() {
        0 => {
            output.line(format!("The {} is valid", report.kind));
            None
        }
        1 => Some(Failure::user(format!("the {} has 1 error", report.kind))),
        n => Some(Failure::user(format!("the {} has {n} errors", report.kind))),
    };
    output.conclude(report, failure)
}
