//! Plugins and the marketplaces that list them: installing, updating, switching and removing them.

use std::collections::BTreeMap;
use std::pin::pin;

use aiw_core::{
    Effect, Plan, PluginId, PromptError, Prompter, Question, ReportEvent, Reporter, one_line, pluralize, without_query,
};
use aiw_home::{Home, InstalledPlugin};
use aiw_markets::{
    AddOptions, AddedMarket, InstallAnswers, InstallPlan, InstalledSummary, MarketError, Markets, MissingValue,
    OnConflict, PluginInstallation, RemovedPlugin, SwitchedPlugin, UpdatedSummary,
};
use aiw_servers::{Replacement, Transport, entry_value};
use futures::StreamExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::failures::{FailedId, Failures, propagate_interrupt};
use crate::secrets::report_unused_secrets;
use crate::servers::edit::forget;
use crate::workflows::injection_warnings;

type Result<T> = std::result::Result<T, MarketError>;

/// The answer for several plugins, and the first failure.
type Several<T> = Result<(T, Option<MarketError>)>;

/// Which plugins, and what they get.
#[warn(missing_docs)]
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PluginRequest {
    /// Their names or ids; for an update, none means all that are installed
    pub names: Vec<String>,
    /// Values that their servers read, by name; `@NAME` is a secret of the vault, and a secret goes there
    pub set: Vec<(String, String)>,
    /// How to go on if a server's name is taken in mcp.json
    pub on_conflict: Option<OnConflict>,
}

/// `aiw plugin install`
#[warn(missing_docs)]
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct PluginInstall {
    /// The plugins that are installed now
    pub installed: Vec<InstalledSummary>,
    /// The plugins that could not be installed
    pub failed: Vec<FailedId>,
}

/// `aiw plugin update`
#[warn(missing_docs)]
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct PluginUpdate {
    /// The plugins that were updated
    pub updated: Vec<UpdatedSummary>,
    /// The ids of those that were not
    pub unchanged: Vec<String>,
    /// The plugins that could not be updated
    pub failed: Vec<FailedId>,
}

/// `aiw plugin remove`
#[warn(missing_docs)]
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct PluginRemove {
    /// The plugins that were removed
    pub removed: Vec<RemovedPlugin>,
    /// The plugins that could not be removed
    pub failed: Vec<FailedId>,
}

/// `aiw plugin enable`, `disable`
#[warn(missing_docs)]
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct PluginSwitch {
    /// The plugins as they are now
    pub plugins: Vec<SwitchedPlugin>,
    /// The plugins that could not be enabled or disabled
    pub failed: Vec<FailedId>,
}

/// Installs plugins: each is shown and agreed to by itself.
///
/// # Errors
///
/// Fails if the person stops. If one can't be installed, the others still are.
pub async fn install(
    markets: &Markets,
    request: &PluginRequest,
    ask: &dyn Prompter,
    sink: &dyn Reporter,
) -> Several<PluginInstall> {
    let answers = answers(request, markets.home())?;
    let (mut installed, mut failures) = (Vec::new(), Failures::default());
    for name in &request.names {
        match install_one(markets, name, &answers, ask, sink).await {
            Ok(done) => {
                let verb = if done.unchanged { "Already installed:" } else { "Installed" };
                sink.done(format!(
                    "{verb} {} {}: {}",
                    done.id,
                    shorten_version(&done.record.version),
                    format_keys(&done.record)
                ));
                tell(&done, sink);
                installed.push(InstalledSummary::new(&done));
            }
            Err(e) => failures.add(name, Some(name), propagate_interrupt(e)?, sink),
        }
    }
    Ok((PluginInstall { installed, failed: failures.failed }, failures.first_error))
}

/// The answers that a request gives.
fn answers(request: &PluginRequest, home: &Home) -> Result<InstallAnswers> {
    let mut answers = InstallAnswers { on_conflict: request.on_conflict, ..InstallAnswers::default() };
    for (name, value) in &request.set {
        answers.set_value(name, &entry_value(value, home)?);
    }
    Ok(answers)
}

/// The entries of a plugin in mcp.json, as they were written.
fn written(record: &InstalledPlugin) -> impl Iterator<Item = Value> {
    record.servers.iter().map(|server| server.written.clone())
}

/// Tells what is still to be done for a plugin, and what came otherwise than planned.
fn tell(done: &PluginInstallation, sink: &dyn Reporter) {
    done.missing.iter().for_each(|missing| sink.note(missing.advice(&done.id)));
    done.notes.iter().for_each(|note| sink.note(note.clone()));
}

async fn install_one(
    markets: &Markets,
    name: &str,
    answers: &InstallAnswers,
    ask: &dyn Prompter,
    sink: &dyn Reporter,
) -> Result<PluginInstallation> {
    let plan = match markets.plan(name).await {
        Err(
            MarketError::NotFetched { name: market } | MarketError::UnknownPlugin { not_fetched: Some(market), .. },
        ) if wants(&market, ask).await? => {
            fetch(markets, &market, sink).await?;
            markets.plan(name).await
        }
        plan => plan,
    }?;
    let mut answers = answers.clone();
    let missing = plan.missing(&answers, markets.home());
    let asks_again = !missing.is_empty() && ask.is_interactive();
    if plan.unchanged && answers.has_no_values() && answers.on_conflict.is_none() && !asks_again {
        return markets.install(plan, answers).await;
    }
    plan.skipped.iter().for_each(|line| sink.note(line.clone()));
    let shown = shown(&plan, &answers, &missing, markets.home());
    // Where nobody can be asked for a secret, how to set it is said at the end.
    let question = |MissingValue { name, title, is_secret: secret, .. }| Question {
        name,
        description: title,
        secret,
        ..Question::default()
    };
    let open: Vec<Question> = missing.into_iter().map(question).collect();
    let given = ask.confirm(&shown, &open.iter().collect::<Vec<_>>()).await?;
    for (name, value) in given.into_iter().filter(|(_, value)| !value.expose().is_empty()) {
        let is_reference = Replacement::parse(value.expose()).is_reference();
        match open.iter().any(|question| question.secret && question.name == name) && !is_reference {
            true => answers.set_secret(&name, value),
            false => answers.set_value(&name, value.expose()),
        }
    }
    if answers.on_conflict.is_none() && ask.is_interactive() {
        answers.conflicts = conflicts(&plan, ask).await?;
    }
    let replaced: Vec<Value> = plan.installed.iter().flat_map(written).collect();
    let done = markets.install(plan, answers).await?;
    report_unused_secrets(markets.home(), &replaced, sink);
    Ok(done)
}

/// Returns everything that an install would add, for people to judge: nothing is folded, cut or left out. The yes holds for
/// all files of the plugin.
fn shown(plan: &InstallPlan, answers: &InstallAnswers, missing: &[MissingValue], home: &Home) -> Plan {
    let from =
        plan.commit.as_ref().map_or_else(|| plan.source.clone(), |commit| format!("{} at {commit}", plan.source));
    let mut about = vec![format!("{} {} from {from}", plan.id, shorten_version(&plan.version))];
    if let Some(present) = &plan.installed {
        about.push(format!("  installed: {}", shorten_version(&present.version)));
        about.extend(plan.changes().iter().map(|change| format!("  changes: {change}")));
    }
    let mut effects = vec![Effect::Writes("mcp.json".into())];
    // What was left out before is shown again when it would be added now.
    for server in plan.servers.iter().filter(|server| !server.skipped || answers.on_conflict.is_some()) {
        about.extend(server.describe().into_iter().map(|line| format!("  {line}")));
        if let Some(clash) = &server.clash {
            let then = match answers.on_conflict {
                None => "",
                Some(OnConflict::Overwrite) => ", which is replaced",
                Some(OnConflict::Skip) => ": the plugin's is left out",
                Some(OnConflict::Rename) => ": the plugin's gets another",
            };
            about.push(format!("    the name is taken by {clash}{then}"));
        }
        let target = server.server().target();
        effects.push(match server.transport {
            Transport::Stdio => Effect::Runs(target),
            _ => Effect::Connects(target),
        });
    }
    let unset = missing.iter().filter(|missing| missing.is_secret);
    about.extend(unset.map(|missing| format!("  `{}` is a secret, and not set yet", missing.name)));
    let options = plan.options_used(answers, home);
    about.extend(options.iter().map(|(name, value)| format!("  {name} is {}", value.escape_debug())));
    let signs: Vec<String> = injection_warnings(about[1..].iter().map(String::as_str)).collect();
    about.extend(signs.iter().map(|line| format!("  {line}")));
    let mut shown = Plan { details: about, effects, ..Plan::new(format!("Install {}?", plan.id)) };
    shown.add_hidden_bytes(plan.digest.as_bytes());
    shown
}

/// Asks what becomes of each server whose name is taken.
async fn conflicts(plan: &InstallPlan, ask: &dyn Prompter) -> Result<BTreeMap<String, OnConflict>> {
    let mut conflicts = BTreeMap::new();
    for server in plan.servers.iter().filter(|server| !server.skipped) {
        let Some(clash) = &server.clash else { continue };
        let question = format!(
            "The server name `{}` is taken by {clash}: [o]verwrite, [s]kip, [r]ename, or stop? ({}, {})",
            server.key, plan.id, plan.digest
        );
        let choice = match ask.text(&question).await?.and_then(|said| said.to_lowercase().chars().next()) {
            Some('o') => OnConflict::Overwrite,
            Some('s') => OnConflict::Skip,
            Some('r') => OnConflict::Rename,
            _ => return Err(PromptError::Declined.into()),
        };
        conflicts.insert(server.key.clone(), choice);
    }
    Ok(conflicts)
}

/// Brings plugins up to date, once their marketplaces were fetched. Changes of what runs are agreed to, unless
/// `accepts_changes`.
///
/// # Errors
///
/// Fails if the person stops, or it can't be known what is installed.
pub async fn update(
    markets: &Markets,
    request: &PluginRequest,
    fetches: bool,
    accepts_changes: bool,
    ask: &dyn Prompter,
    sink: &dyn Reporter,
) -> Several<PluginUpdate> {
    let (mut updated, mut unchanged, mut failures) = (Vec::new(), Vec::new(), Failures::default());
    let (answers, is_all) = (answers(request, markets.home())?, request.names.is_empty());
    let mut ids: Vec<PluginId> = Vec::new();
    if is_all {
        ids.extend(markets.installed()?.into_iter().map(|(id, _)| id));
    }
    for name in &request.names {
        match markets.find_installed(name) {
            Ok(id) => ids.push(id),
            Err(e) => failures.add(name, Some(name), e, sink),
        }
    }
    let known: Vec<String> = markets.statuses()?.0.iter().map(|status| status.market.name.to_string()).collect();
    let is_known = |id: &PluginId| known.iter().any(|name| name == id.market.as_str());
    if fetches {
        let mut used: Vec<String> = ids.iter().filter(|id| is_known(id)).map(|id| id.market.to_string()).collect();
        used.sort_unstable();
        used.dedup();
        let mut updates = pin!(markets.update_each(used, false));
        while let Some((market, updated)) = updates.next().await {
            if let Err(e) = updated {
                sink.note(format!("marketplace `{market}` is used as last fetched: {e}"));
            }
        }
    }
    for id in ids {
        let name = id.to_string();
        // Of all of them, one whose marketplace is gone stays as it is.
        if is_all && !is_known(&id) {
            sink.note(format!("{id} stays as it is: its marketplace no longer exists"));
            unchanged.push(name);
            continue;
        }
        match update_one(markets, &id, &answers, accepts_changes, ask, sink).await {
            Ok(Some((from, installed))) => {
                let (before, after) = (shorten_version(&from), shorten_version(&installed.record.version));
                sink.done(match before == after {
                    true => format!("Updated {id} {after}"),
                    false => format!("Updated {id}: {before} → {after}"),
                });
                tell(&installed, sink);
                updated.push(UpdatedSummary { plugin: InstalledSummary::new(&installed), from });
            }
            Ok(None) => {
                sink.done(format!("{id} is up to date"));
                unchanged.push(name);
            }
            // Of all of them, one that its marketplace no longer lists stays as well.
            Err(e @ MarketError::UnknownPlugin { .. }) if is_all => {
                sink.note(format!("{id} stays as it is: {e}"));
                unchanged.push(name);
            }
            Err(e) => failures.add(&name, Some(&name), propagate_interrupt(e)?, sink),
        }
    }
    Ok((PluginUpdate { updated, unchanged, failed: failures.failed }, failures.first_error))
}

/// Returns the version before, and what is installed now; none if it is up to date.
async fn update_one(
    markets: &Markets,
    id: &PluginId,
    answers: &InstallAnswers,
    accepts_changes: bool,
    ask: &dyn Prompter,
    sink: &dyn Reporter,
) -> Result<Option<(String, PluginInstallation)>> {
    let Some(check) = markets.check_update(id, answers).await? else { return Ok(None) };
    if check.changed_files > 0 {
        let files = pluralize(check.changed_files, "file");
        sink.done(format!("{id}: {files} changed in the plugin, which a server runs from"));
    }
    if !check.changes.is_empty() && !accepts_changes {
        let changes = MarketError::ServerChanges { id: id.clone(), changes: check.changes };
        if !ask.is_interactive() {
            return Err(changes);
        }
        let about = vec![changes.to_string()];
        let mut plan = Plan { details: about, ..Plan::new(format!("Accept the changes of {id}?")) };
        plan.add_hidden_bytes(check.plan.digest.as_bytes());
        ask.confirm(&plan, &[]).await?;
    }
    let replaced: Vec<Value> = check.plan.installed.iter().flat_map(written).collect();
    let done = markets.update_to(check.plan, answers.clone()).await?;
    report_unused_secrets(markets.home(), &replaced, sink);
    Ok(Some((check.installed_version, done)))
}

/// Removes plugins, and forgets what is known about their servers.
///
/// # Errors
///
/// If one can't be removed, the others still are.
pub async fn remove(markets: &Markets, names: &[String], sink: &dyn Reporter) -> Several<PluginRemove> {
    let (mut removed, mut failures) = (Vec::new(), Failures::default());
    for name in names {
        let record = markets.find_installed(name).and_then(|id| Ok(markets.home().plugins()?.get(&id)?));
        let gone: Vec<Value> = record.ok().flatten().iter().flat_map(written).collect();
        match markets.uninstall(name).await {
            Ok(done) => {
                let servers = if done.servers.is_empty() { "no server" } else { &done.servers.join(", ") };
                sink.done(format!("Removed {}: {servers}", done.id));
                done.notes.iter().for_each(|note| sink.note(note.clone()));
                for key in &done.servers {
                    if let Err(e) = forget(markets.home(), key) {
                        sink.note(format!("what is known about the server `{key}` stays: {e}"));
                    }
                }
                report_unused_secrets(markets.home(), &gone, sink);
                removed.push(done);
            }
            Err(e) => failures.add(name, Some(name), e, sink),
        }
    }
    Ok((PluginRemove { removed, failed: failures.failed }, failures.first_error))
}

/// Enables or disables plugins.
///
/// # Errors
///
/// If one can't be switched, the others still are.
pub async fn switch(
    markets: &Markets,
    request: &PluginRequest,
    enabled: bool,
    sink: &dyn Reporter,
) -> Several<PluginSwitch> {
    let (mut plugins, mut failures) = (Vec::new(), Failures::default());
    let answers = answers(request, markets.home())?;
    for name in &request.names {
        match markets.set_enabled(name, enabled, answers.clone()).await {
            Ok(done) => {
                let already = if done.changed { "" } else { "already " };
                let state = if enabled { "enabled" } else { "disabled" };
                sink.done(format!("{}: {already}{state}", done.id));
                done.notes.iter().for_each(|note| sink.note(note.clone()));
                plugins.push(done);
            }
            Err(e) => failures.add(name, Some(name), e, sink),
        }
    }
    Ok((PluginSwitch { plugins, failed: failures.failed }, failures.first_error))
}

/// Adds a marketplace. One that anybody can change on its way, and a name that looks like another's, are asked about.
pub async fn add_market(
    markets: &Markets,
    reference: &str,
    options: AddOptions,
    ask: &dyn Prompter,
) -> Result<AddedMarket> {
    if reference.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://")) {
        let question = "The address is not encrypted: anyone on the network path can change what you install. Add it?";
        // Who typed it on a terminal sees it; what that prints is the answer alone.
        let effects = vec![Effect::Reads(without_query(reference).into_owned())];
        let mut plan = Plan { effects, ..Plan::new(question) };
        plan.add_hidden_bytes(reference.as_bytes());
        ask.confirm(&plan, &[]).await?;
    }
    match markets.add(reference, &options).await {
        Err(alike @ MarketError::NameConfusable { .. }) if ask.is_interactive() => {
            let mut plan = Plan { details: vec![alike.to_string()], ..Plan::new("Add it anyway?") };
            plan.add_hidden_bytes(reference.as_bytes());
            ask.confirm(&plan, &[]).await?;
            markets.add(reference, &AddOptions { accept_confusable: true, ..options }).await
        }
        added => added,
    }
}

/// Offers, once, to fetch the default marketplace of a new home.
pub async fn offer_market(markets: &Markets, ask: &dyn Prompter, sink: &dyn Reporter) -> Result<()> {
    let offered = if ask.is_interactive() { markets.pending_offer()? } else { None };
    let Some(market) = offered else { return Ok(()) };
    if wants(market.as_str(), ask).await? {
        if let Err(e) = fetch(markets, market.as_str(), sink).await {
            sink.report(ReportEvent::Failed(e.to_string()));
        }
    } else {
        markets.decline_offer().await?;
        sink.step(format!("`aiw plugin marketplace update {market}` fetches it later"));
    }
    Ok(())
}

/// Asks whether to fetch a marketplace that was never fetched, where somebody can be asked.
async fn wants(market: &str, ask: &dyn Prompter) -> Result<bool> {
    let question = format!("The marketplace `{market}` was never fetched. Fetch it now?");
    Ok(ask.is_interactive() && ask.ask_yes_no(&question, false).await?)
}

/// Fetches a marketplace.
async fn fetch(markets: &Markets, market: &str, sink: &dyn Reporter) -> Result<()> {
    sink.step(format!("Fetching {market}…"));
    let done = markets.update(market, true).await.inspect_err(|_| sink.note(format!("{market} is not fetched")))?;
    done.notes.iter().for_each(|note| sink.note(format!("{market}: {note}")));
    Ok(())
}

/// The keys that a plugin has in mcp.json, for people.
pub fn format_keys(record: &InstalledPlugin) -> String {
    let keys: Vec<&str> = record.servers.iter().filter(|s| !s.skipped).map(|s| s.key.as_str()).collect();
    if keys.is_empty() { "no server".into() } else { keys.join(", ") }
}

/// A version for people: a commit or digest is cut.
pub fn shorten_version(version: &str) -> String {
    let hex = version.len() >= 40 && version.bytes().all(|b| b.is_ascii_hexdigit());
    one_line(if hex { &version[..12] } else { version }, 24)
}
