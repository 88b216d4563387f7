//! Plugins and the marketplaces that list them: installing, updating, switching and removing them.

use std::collections::BTreeMap;

use aiw_core::{Ask, AskError, Effect, Plan, PluginId, Question, Sink, Told, counted, one_line};
use aiw_home::{InstalledPlugin, Surroundings};
use aiw_markets::{
    AddOptions, AddedMarket, InstallAnswers, InstallPlan, InstalledSummary, MarketError, Markets, Missing, OnConflict,
    PluginInstallation, RemovedPlugin, SwitchedPlugin, UpdatedSummary,
};
use aiw_servers::Transport;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::failures::{FailedId, Failures, unless_stopped};
use crate::servers::edit::forget;
use crate::workflows::suspicious;

type Result<T> = std::result::Result<T, MarketError>;

/// The answer for several plugins, and the first failure.
type Several<T> = Result<(T, Option<MarketError>)>;

/// Which plugins, and what they get.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PluginRequest {
    /// Their names or ids; for an update, none means all that are installed
    pub names: Vec<String>,
    /// Values that their servers read, by name
    pub set: Vec<(String, String)>,
    /// How to go on if a server's name is taken in mcp.json
    pub on_conflict: Option<OnConflict>,
}

/// `aiw plugin install`
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct PluginInstall {
    /// The plugins that are installed now
    pub installed: Vec<InstalledSummary>,
    /// The plugins that could not be installed
    pub failed: Vec<FailedId>,
}

/// `aiw plugin update`
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
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct PluginRemove {
    /// The plugins that were removed
    pub removed: Vec<RemovedPlugin>,
    /// The plugins that could not be removed
    pub failed: Vec<FailedId>,
}

/// `aiw plugin enable`, `disable`
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
    ask: &dyn Ask,
    sink: &dyn Sink,
) -> Several<PluginInstall> {
    let answers = answers(request, sink);
    let (mut installed, mut failures) = (Vec::new(), Failures::default());
    for name in &request.names {
        match install_one(markets, name, &answers, ask, sink).await {
            Ok(done) => {
                let verb = if done.unchanged { "Already installed:" } else { "Installed" };
                sink.done(format!("{verb} {} {}: {}", done.id, short(&done.record.version), keys(&done.record)));
                tell(&done, sink);
                installed.push(InstalledSummary::of(&done));
            }
            Err(e) => failures.add(name, Some(name), unless_stopped(e)?, sink),
        }
    }
    Ok((PluginInstall { installed, failed: failures.failed }, failures.first))
}

/// The answers that a request gives.
fn answers(request: &PluginRequest, sink: &dyn Sink) -> InstallAnswers {
    let mut answers = InstallAnswers { on_conflict: request.on_conflict, ..InstallAnswers::default() };
    request.set.iter().for_each(|(name, value)| give(&mut answers, name, value, sink));
    answers
}

fn give(answers: &mut InstallAnswers, name: &str, value: &str, sink: &dyn Sink) {
    if !answers.give(name, value) {
        sink.note(format!("the value of `{name}` is not kept: export it where your client starts"));
    }
}

/// Tells what is still to be done for a plugin, and what came otherwise than planned.
fn tell(done: &PluginInstallation, sink: &dyn Sink) {
    done.missing.iter().for_each(|missing| sink.note(missing.advice(&done.id)));
    done.notes.iter().for_each(|note| sink.note(note.clone()));
}

async fn install_one(
    markets: &Markets,
    name: &str,
    answers: &InstallAnswers,
    ask: &dyn Ask,
    sink: &dyn Sink,
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
    if plan.unchanged && answers.values.is_empty() && answers.on_conflict.is_none() {
        return markets.install(plan, answers).await;
    }
    plan.left_out.iter().for_each(|line| sink.note(line.clone()));
    // A secret can't be given here: how to set it is said at the end.
    let open = plan.missing(&answers, markets.home().around()).into_iter().filter(|missing| !missing.secret);
    let question = |Missing { name, title, .. }| Question { name, description: title, ..Question::default() };
    let open: Vec<Question> = open.map(question).collect();
    let given = ask.agree(&shown(&plan, &answers, markets.home().around()), &open.iter().collect::<Vec<_>>()).await?;
    given.iter().for_each(|(name, value)| give(&mut answers, name, value.expose(), sink));
    if answers.on_conflict.is_none() && ask.is_there() {
        answers.conflicts = conflicts(&plan, ask).await?;
    }
    markets.install(plan, answers).await
}

/// Returns everything that an install would add, for people to judge: nothing is folded, cut or left out. The yes holds for
/// all files of the plugin.
fn shown(plan: &InstallPlan, answers: &InstallAnswers, around: &Surroundings) -> Plan {
    let from =
        plan.commit.as_ref().map_or_else(|| plan.source.clone(), |commit| format!("{} at {commit}", plan.source));
    let mut about = vec![format!("{} {} from {from}", plan.id, short(&plan.version))];
    if let Some(present) = &plan.present {
        about.push(format!("  installed: {}", short(&present.version)));
        about.extend(plan.changes().iter().map(|change| format!("  changes: {change}")));
    }
    let mut effects = vec![Effect::Writes("mcp.json".into())];
    // What was left out before is shown again when it would be added now.
    for server in plan.servers.iter().filter(|server| !server.skipped || answers.on_conflict.is_some()) {
        about.extend(server.shown().into_iter().map(|line| format!("  {line}")));
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
            _ => Effect::Reaches(target),
        });
    }
    let unset = plan.missing(answers, around).into_iter().filter(|missing| missing.secret);
    about.extend(unset.map(|missing| format!("  `{}` is a secret, and not set yet", missing.name)));
    let options = plan.options_used(answers);
    about.extend(options.iter().map(|(name, value)| format!("  {name} is {}", value.escape_debug())));
    let signs: Vec<String> = suspicious(about[1..].iter().map(String::as_str)).collect();
    about.extend(signs.iter().map(|line| format!("  {line}")));
    let mut shown = Plan { about, effects, ..Plan::of(format!("Install {}?", plan.id)) };
    shown.hold_for(plan.digest.as_bytes());
    shown
}

/// Asks what becomes of each server whose name is taken.
async fn conflicts(plan: &InstallPlan, ask: &dyn Ask) -> Result<BTreeMap<String, OnConflict>> {
    let mut conflicts = BTreeMap::new();
    for server in plan.servers.iter().filter(|server| !server.skipped) {
        let Some(clash) = &server.clash else { continue };
        let question =
            format!("The server name `{}` is taken by {clash}: [o]verwrite, [s]kip, [r]ename, or stop?", server.key);
        let choice = match ask.text(&question).await?.and_then(|said| said.to_lowercase().chars().next()) {
            Some('o') => OnConflict::Overwrite,
            Some('s') => OnConflict::Skip,
            Some('r') => OnConflict::Rename,
            _ => return Err(AskError::Declined.into()),
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
    ask: &dyn Ask,
    sink: &dyn Sink,
) -> Several<PluginUpdate> {
    let (mut updated, mut unchanged, mut failures) = (Vec::new(), Vec::new(), Failures::default());
    let (answers, is_all) = (answers(request, sink), request.names.is_empty());
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
        let mut used: Vec<&str> = ids.iter().filter(|id| is_known(id)).map(|id| id.market.as_str()).collect();
        used.sort_unstable();
        used.dedup();
        for market in used {
            if let Err(e) = markets.update(market, false).await {
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
                let (before, after) = (short(&from), short(&installed.record.version));
                sink.done(match before == after {
                    true => format!("Updated {id} {after}"),
                    false => format!("Updated {id}: {before} → {after}"),
                });
                tell(&installed, sink);
                updated.push(UpdatedSummary { plugin: InstalledSummary::of(&installed), from });
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
            Err(e) => failures.add(&name, Some(&name), unless_stopped(e)?, sink),
        }
    }
    Ok((PluginUpdate { updated, unchanged, failed: failures.failed }, failures.first))
}

/// Returns the version before, and what is installed now; none if it is up to date.
async fn update_one(
    markets: &Markets,
    id: &PluginId,
    answers: &InstallAnswers,
    accepts_changes: bool,
    ask: &dyn Ask,
    sink: &dyn Sink,
) -> Result<Option<(String, PluginInstallation)>> {
    let Some(check) = markets.check_update(id, answers).await? else { return Ok(None) };
    if check.changed_files > 0 {
        let files = counted(check.changed_files, "file");
        sink.done(format!("{id}: {files} changed in the plugin, which a server runs from"));
    }
    if !check.changes.is_empty() && !accepts_changes {
        let changes = MarketError::Changes { id: id.clone(), changes: check.changes };
        if !ask.is_there() {
            return Err(changes);
        }
        let about = vec![changes.to_string()];
        ask.agree(&Plan { about, ..Plan::of("Accept the changes?") }, &[]).await?;
    }
    Ok(Some((check.from, markets.update_to(check.plan, answers.clone()).await?)))
}

/// Removes plugins, and forgets what is known about their servers.
///
/// # Errors
///
/// If one can't be removed, the others still are.
pub async fn remove(markets: &Markets, names: &[String], sink: &dyn Sink) -> Several<PluginRemove> {
    let (mut removed, mut failures) = (Vec::new(), Failures::default());
    for name in names {
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
                removed.push(done);
            }
            Err(e) => failures.add(name, Some(name), e, sink),
        }
    }
    Ok((PluginRemove { removed, failed: failures.failed }, failures.first))
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
    sink: &dyn Sink,
) -> Several<PluginSwitch> {
    let (mut plugins, mut failures) = (Vec::new(), Failures::default());
    let answers = answers(request, sink);
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
    Ok((PluginSwitch { plugins, failed: failures.failed }, failures.first))
}

/// Adds a marketplace. One that anybody can change on its way, and a name that looks like another's, are asked about.
pub async fn add_market(markets: &Markets, reference: &str, options: AddOptions, ask: &dyn Ask) -> Result<AddedMarket> {
    if reference.starts_with("http://") {
        let question = "The address is not encrypted: anyone on the network path can change what you install. Add it?";
        ask.agree(&Plan::of(question), &[]).await?;
    }
    match markets.add(reference, &options).await {
        Err(alike @ MarketError::LooksReserved { .. }) if ask.is_there() => {
            let about = vec![alike.to_string()];
            ask.agree(&Plan { about, ..Plan::of("Add it anyway?") }, &[]).await?;
            markets.add(reference, &AddOptions { take_look_alike: true, ..options }).await
        }
        added => added,
    }
}

/// Offers, once, to fetch the default marketplace of a new home.
pub async fn offer_market(markets: &Markets, ask: &dyn Ask, sink: &dyn Sink) -> Result<()> {
    let offered = if ask.is_there() { markets.offer()? } else { None };
    let Some(market) = offered else { return Ok(()) };
    if wants(market.as_str(), ask).await? {
        if let Err(e) = fetch(markets, market.as_str(), sink).await {
            sink.tell(Told::Failed(e.to_string()));
        }
    } else {
        markets.decline_offer().await?;
        sink.step(format!("`aiw plugin marketplace update {market}` fetches it later"));
    }
    Ok(())
}

/// Asks whether to fetch a marketplace that was never fetched, where somebody can be asked.
async fn wants(market: &str, ask: &dyn Ask) -> Result<bool> {
    let question = format!("The marketplace `{market}` was never fetched. Fetch it now?");
    Ok(ask.is_there() && ask.decide(&question, false).await?)
}

/// Fetches a marketplace.
async fn fetch(markets: &Markets, market: &str, sink: &dyn Sink) -> Result<()> {
    sink.step(format!("Fetching {market}…"));
    let done = markets.update(market, true).await.inspect_err(|_| sink.note(format!("{market} is not fetched")))?;
    done.notes.iter().for_each(|note| sink.note(format!("{market}: {note}")));
    Ok(())
}

/// The keys that a plugin has in mcp.json, for people.
pub fn keys(record: &InstalledPlugin) -> String {
    let keys: Vec<&str> = record.servers.iter().filter(|s| !s.skipped).map(|s| s.key.as_str()).collect();
    if keys.is_empty() { "no server".into() } else { keys.join(", ") }
}

/// A version for people: a commit or digest is cut.
pub fn short(version: &str) -> String {
    let hex = version.len() >= 40 && version.bytes().all(|b| b.is_ascii_hexdigit());
    one_line(if hex { &version[..12] } else { version }, 24)
}
