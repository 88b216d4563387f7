//! `aiw mcp profile …`

use aiw_app::current_dir;
use aiw_core::{ErrorKind, one_line, quoted, shell_word};
use aiw_home::{Home, ListSettings, ProfileSettings};
use aiw_routing::{KnownTool, OWN, idle_patterns};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::profiles::{Known, find, profiles};
use super::{look, pool};
use crate::cli::mcp::{McpPatterns, McpProfileCommand};
use crate::failure::Failure;
use crate::output::Output;

/// A profile in `aiw mcp profile list` and `show`
#[derive(Serialize, JsonSchema)]
pub struct ShownProfile {
    /// Its name
    pub name: String,
    /// `settings` or `project`: which file defines it
    pub scope: &'static str,
    /// The allowed patterns; null allows everything
    pub allow: Option<Vec<String>>,
    /// The denied patterns
    pub deny: Vec<String>,
    /// The patterns of tools that scripts call without asking
    pub scripts: Vec<String>,
    /// Which of them a client lists
    pub list: ProfileList,
    /// The tools that it allows, as `server/tool`
    pub tools: Vec<String>,
    /// The patterns that no known tool matches
    pub unmatched: Vec<String>,
}

/// The list of a client with a profile: `list` of the profile. A null is as in `mcp.list`.
#[derive(Serialize, JsonSchema)]
pub struct ProfileList {
    /// The most tokens
    pub tokens: Option<usize>,
    /// The most tools
    pub tools: Option<usize>,
    /// The servers that are listed whatever they cost
    pub always: Option<Vec<String>>,
    /// The servers that are not listed
    pub never: Option<Vec<String>>,
}

impl From<&ListSettings> for ProfileList {
    fn from(list: &ListSettings) -> Self {
        let ListSettings { tokens, tools, always, never } = list.clone();
        Self { tokens, tools, always, never }
    }
}

/// The longest name of a profile, and the longest pattern.
const MOST: usize = 200;

pub async fn run(command: McpProfileCommand, output: &Output) -> Result<(), Failure> {
    match command {
        McpProfileCommand::List => list(output).await,
        McpProfileCommand::Show { name } => show(&name, output).await,
        McpProfileCommand::Add { name, patterns } => {
            check_name(&name)?;
            if profiles(&Home::find()?, &current_dir()?)?.iter().any(|known| known.name == name && known.is_users()) {
                let failure = Failure::user(format!("there is a profile `{name}` already"));
                return Err(failure.with_hint(format!("`aiw mcp profile edit {}` changes it", shell_word(&name))));
            }
            if patterns.allow.is_empty() && patterns.deny.is_empty() && !patterns.is_about_list() {
                return Err(Failure::new(ErrorKind::Usage, "a profile without patterns would allow everything")
                    .with_hint("give `--allow` or `--deny`"));
            }
            let profile = changed(ProfileSettings::default(), &patterns, &[])?;
            save(&name, Some(&profile))?;
            output.line(format!("Added the profile `{name}`"));
            report(&name, output).await
        }
        McpProfileCommand::Edit { name, patterns, without } => {
            let before = known(&name)?;
            if !before.is_users() {
                return Err(of_project(&name));
            }
            if patterns.all().next().is_none() && !patterns.is_about_list() && without.is_empty() {
                return Err(Failure::new(
                    ErrorKind::Usage,
                    "say what changes: `--allow`, `--deny`, `--scripts`, `--list-…` or `--without`",
                ));
            }
            let profile = changed(before.profile, &patterns, &without)?;
            save(&name, Some(&profile))?;
            output.line(format!("Changed the profile `{name}`"));
            report(&name, output).await
        }
        McpProfileCommand::Remove { names } => remove(&names, output),
    }
}

fn known(name: &str) -> Result<Known, Failure> {
    find(name, &Home::find()?, &current_dir()?, ErrorKind::User)
}

fn of_project(name: &str) -> Failure {
    Failure::user(format!("the profile `{name}` is the project's"))
        .with_hint("change it as `mcp.profiles` in the project's `.aiw.json`")
}

fn check_name(name: &str) -> Result<(), Failure> {
    let is_plain = !name.is_empty() && name.len() <= MOST && one_line(name, MOST) == name && !name.starts_with('-');
    match is_plain {
        true => Ok(()),
        false => Err(Failure::new(ErrorKind::Usage, format!("{} can't be the name of a profile", quoted(name)))),
    }
}

/// A profile with more patterns, and without others.
fn changed(
    mut profile: ProfileSettings,
    patterns: &McpPatterns,
    without: &[String],
) -> Result<ProfileSettings, Failure> {
    if let Some(bad) = patterns.all().find(|p| p.trim().is_empty() || p.len() > MOST) {
        return Err(Failure::new(ErrorKind::Usage, format!("{} is not a pattern", quoted(bad))));
    }
    for gone in without {
        let lists = profile.allow.iter_mut().chain([&mut profile.deny, &mut profile.scripts]);
        let lists = lists.chain(profile.list.always.iter_mut()).chain(profile.list.never.iter_mut());
        let mut removed = 0;
        for list in lists {
            let before = list.len();
            list.retain(|pattern| pattern != gone);
            removed += before - list.len();
        }
        if removed == 0 {
            return Err(Failure::user(format!("the profile has no pattern {}", quoted(gone))));
        }
    }
    let add = |list: &mut Vec<String>, new: &[String]| {
        for pattern in new {
            if !list.contains(pattern) {
                list.push(pattern.clone());
            }
        }
    };
    if !patterns.allow.is_empty() {
        add(profile.allow.get_or_insert_default(), &patterns.allow);
    }
    add(&mut profile.deny, &patterns.deny);
    add(&mut profile.scripts, &patterns.scripts);
    let listed = [(&mut profile.list.always, &patterns.list_always), (&mut profile.list.never, &patterns.list_never)];
    for (list, new) in listed.into_iter().filter(|(_, new)| !new.is_empty()) {
        add(list.get_or_insert_default(), new);
    }
    let limits = [(&mut profile.list.tokens, patterns.list_tokens), (&mut profile.list.tools, patterns.list_tools)];
    for (limit, new) in limits {
        *limit = new.and_then(|new| usize::try_from(new).ok()).or(*limit);
    }
    Ok(profile)
}

fn save(name: &str, profile: Option<&ProfileSettings>) -> Result<(), Failure> {
    let home = Home::find()?;
    let lock = home.lock()?;
    let mut settings = home.settings()?;
    settings.set_profile(name, profile)?;
    Ok(settings.save(&lock)?)
}

fn remove(names: &[String], output: &Output) -> Result<(), Failure> {
    for name in names {
        if !known(name)?.is_users() {
            return Err(of_project(name));
        }
    }
    for name in names {
        save(name, None)?;
        output.line(format!("Removed the profile `{name}`"));
    }
    output.answer(json!({"removed": names}));
    Ok(())
}

/// The tools that are known here, aiw's own among them.
async fn tools(output: &Output) -> Result<Vec<KnownTool>, Failure> {
    let pool = pool(output)?;
    let names: Vec<String> = pool.status().into_iter().map(|status| status.name).collect();
    look::learn(&pool, &names, output).await;
    let mut tools: Vec<KnownTool> = Vec::new();
    for status in pool.status() {
        let known = status.record.iter().flat_map(|record| &record.tools);
        tools.extend(known.map(|tool| (status.name.clone(), tool.name().to_owned(), tool.only_reads())));
    }
    pool.end().await;
    tools.extend(aiw_offer::own_tools().into_iter().map(|(name, reads)| (OWN.to_owned(), name, reads)));
    Ok(tools)
}

fn shown(known: &Known, tools: &[KnownTool]) -> ShownProfile {
    let profile = known.profile();
    let allowed = tools.iter().filter(|(server, tool, reads)| profile.allows(server, tool, *reads));
    let patterns = known.profile.allow.iter().flatten().chain(&known.profile.deny).chain(&known.profile.scripts);
    ShownProfile {
        name: known.name.clone(),
        scope: known.scope,
        allow: known.profile.allow.clone(),
        deny: known.profile.deny.clone(),
        scripts: known.profile.scripts.clone(),
        list: ProfileList::from(&known.profile.list),
        tools: allowed.map(|(server, tool, _)| format!("{server}/{tool}")).collect(),
        unmatched: idle_patterns(patterns, tools, &[]).into_iter().cloned().collect(),
    }
}

async fn list(output: &Output) -> Result<(), Failure> {
    let all = profiles(&Home::find()?, &current_dir()?)?;
    let tools = if all.is_empty() { Vec::new() } else { tools(output).await? };
    let all: Vec<ShownProfile> = all.iter().map(|known| shown(known, &tools)).collect();
    let list = |patterns: &[String]| patterns.iter().map(|p| one_line(p, 60)).collect::<Vec<_>>().join(" ");
    let row = |profile: &ShownProfile| {
        let allow = profile.allow.as_deref().map(list).unwrap_or_else(|| "everything".to_owned());
        let count = format!("{} of {}", profile.tools.len(), tools.len());
        vec![profile.name.clone(), profile.scope.to_owned(), count, allow, list(&profile.deny)]
    };
    if all.is_empty() {
        output.line("no profiles: `aiw mcp profile add NAME --allow PATTERN` defines one");
    } else {
        output.table(&["NAME", "FROM", "TOOLS", "ALLOWS", "DENIES"], &all.iter().map(row).collect::<Vec<_>>());
    }
    output.answer(json!({"profiles": all}));
    Ok(())
}

async fn show(name: &str, output: &Output) -> Result<(), Failure> {
    known(name)?;
    report(name, output).await
}

/// A profile as it is now, with the patterns that match nothing.
async fn report(name: &str, output: &Output) -> Result<(), Failure> {
    let known = known(name)?;
    let profile = shown(&known, &tools(output).await?);
    let list = |patterns: &[String]| patterns.iter().map(|p| one_line(p, 100)).collect::<Vec<_>>().join(", ");
    output.line(format!("  allows: {}", profile.allow.as_deref().map(list).unwrap_or_else(|| "everything".to_owned())));
    if !profile.deny.is_empty() {
        output.line(format!("  denies: {}", list(&profile.deny)));
    }
    if !profile.scripts.is_empty() {
        output.line(format!("  scripts call without asking: {}", list(&profile.scripts)));
    }
    let limits = [("tokens", profile.list.tokens), ("tools", profile.list.tools)];
    let limits = limits.into_iter().filter_map(|(what, most)| Some(format!("at most {} {what}", most?)));
    let named = [("always", &profile.list.always), ("never", &profile.list.never)];
    let named = named.into_iter().filter_map(|(when, servers)| Some(format!("{when} {}", list(servers.as_deref()?))));
    let listed: Vec<String> = limits.chain(named).collect();
    if !listed.is_empty() {
        output.line(format!("  lists: {}", listed.join("; ")));
    }
    output.line(format!("  tools: {}", profile.tools.len()));
    profile.tools.iter().for_each(|tool| output.line(format!("    {}", one_line(tool, 200))));
    for pattern in &profile.unmatched {
        output.note(format!("note: no tool that is known here matches {}", quoted(pattern)));
    }
    output.answer(json!({"profile": profile}));
    Ok(())
}
