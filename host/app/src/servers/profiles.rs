//! Profiles: which tools a client may see and call.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aiw_core::{ErrorKind, Reporter, one_line, quoted};
use aiw_home::{Home, ListSettings, Lock, ProfileSettings, TrustedProject};
use aiw_routing::{KnownTool, Profile, ProfileSource, Records, ServerSearchPaths, SlotStatus, unmatched_patterns};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Result, ServerError, fetch_tools, pool, word};
use crate::ClientSession;

const SETTINGS_SCOPE: &str = "settings";

/// The longest name of a profile, and the longest pattern.
const MAX_NAME_LEN: usize = 200;

/// `aiw mcp profile list`
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProfileList {
    /// The profiles
    pub profiles: Vec<ProfileDetails>,
    /// How many tools there are for them to allow.
    #[serde(skip)]
    pub tools: usize,
}

/// `aiw mcp profile show`, `add`, `edit`
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProfileShow {
    /// The profile
    pub profile: ProfileDetails,
}

/// `aiw mcp profile remove`
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProfilesRemove {
    /// The names of the profiles that were removed
    pub removed: Vec<String>,
}

/// A profile, and which file defines it.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProfileEntry {
    /// Its name
    pub name: String,
    /// `settings` or `project`: which file defines it
    pub scope: &'static str,
    /// Its patterns
    #[serde(flatten)]
    pub settings: ProfileSettings,
}

/// A profile in `aiw mcp profile list` and `show`
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProfileDetails {
    /// The profile
    #[serde(flatten)]
    pub known: ProfileEntry,
    /// The tools that it allows, as `server/tool`
    pub tools: Vec<String>,
    /// The patterns that no known tool matches
    pub unmatched: Vec<String>,
}

impl ProfileEntry {
    /// Returns what it allows.
    pub fn profile(&self) -> Profile {
        Profile::from_settings(&self.settings)
    }

    /// Whether the user's own settings define it.
    fn is_users(&self) -> bool {
        self.scope == SETTINGS_SCOPE
    }

    fn shown(self, tools: &[KnownTool]) -> ProfileDetails {
        let (profile, ProfileSettings { allow, deny, scripts, .. }) = (self.profile(), &self.settings);
        let allowed = tools.iter().filter(|(server, tool, reads)| profile.allows(server, tool, *reads));
        let allowed = allowed.map(|(server, tool, _)| format!("{server}/{tool}")).collect();
        let unmatched = unmatched_patterns(allow.iter().flatten().chain(deny).chain(scripts), tools, &[]);
        ProfileDetails { unmatched: unmatched.into_iter().cloned().collect(), tools: allowed, known: self }
    }
}

/// Returns the profiles that count in a directory: the user's, and those of a trusted project.
///
/// # Errors
///
/// Fails if a file that defines some can't be used.
pub fn profiles(home: &Home, cwd: &Path) -> Result<Vec<ProfileEntry>> {
    let settings = home.settings()?;
    let project = TrustedProject::find(cwd, home.context().user_home().as_deref(), &settings.trust())?.trusted();
    let theirs = project.iter().flat_map(|project| project.profiles().clone()).map(|of| ("project", of));
    let own = settings.mcp()?.profiles.into_iter().map(|of| (SETTINGS_SCOPE, of));
    let all: BTreeMap<String, ProfileEntry> = theirs
        .chain(own)
        .map(|(scope, (name, settings))| (name.clone(), ProfileEntry { name, scope, settings }))
        .collect();
    Ok(all.into_values().collect())
}

/// Returns the profile of a name. `missing` is the kind of the error if there is none.
///
/// # Errors
///
/// Fails if there is none, or the files can't be used.
pub fn find(home: &Home, cwd: &Path, name: &str, missing: ErrorKind) -> Result<ProfileEntry> {
    let mut all = profiles(home, cwd)?;
    match all.iter().position(|known| known.name == name) {
        Some(at) => Ok(all.swap_remove(at)),
        None => {
            let known = all.into_iter().map(|known| known.name).collect();
            Err(ServerError::ProfileNotFound { name: name.to_owned(), known, kind: missing })
        }
    }
}

/// Returns what a profile allows, or everything without one. One that is not defined would allow everything, so it is an
/// error.
///
/// # Errors
///
/// Fails if there is no such profile, or the files can't be used.
pub fn resolve_profile(home: &Home, cwd: &Path, name: Option<&str>) -> Result<Profile> {
    let known = name.map(|name| find(home, cwd, name, ErrorKind::Config));
    Ok(known.transpose()?.map_or_else(Profile::allow_all, |known| known.profile()))
}

/// Returns the profile of a session that begins now, followed from then on. A project's own stays as it was: whoever works
/// in the project may write its file.
pub fn profile_source(home: Home, cwd: PathBuf, name: Option<String>) -> ProfileSource {
    let Some(name) = name else { return Arc::new(Profile::allow_all) };
    let read = move || find(&home, &cwd, &name, ErrorKind::Config);
    let begun = read().map_or_else(|_| Profile::deny_all(), |known| known.profile());
    Arc::new(move || match read() {
        Ok(known) if known.is_users() => known.profile(),
        Ok(_) => begun.clone(),
        Err(_) => Profile::deny_all(),
    })
}

/// Returns a sentence for each denial of some profiles that matches no tool which is known without starting a server. `own`
/// are aiw's own tools.
///
/// # Errors
///
/// Fails if the files that declare servers can't be used.
pub fn unmatched_denials(
    home: &Home,
    cwd: &Path,
    profiles: &[ProfileEntry],
    own: Vec<KnownTool>,
) -> Result<Vec<String>> {
    if profiles.iter().all(|known| known.settings.deny.is_empty()) {
        return Ok(Vec::new());
    }
    let (mut tools, mut unknown) = (own, Vec::new());
    let records = Records::new(home.clone());
    for server in ServerSearchPaths::load(home.clone(), cwd).read()?.0 {
        match records.load(&server.key) {
            Some(record) => tools.extend(record.known_tools(&server.key)),
            None => unknown.push(server.key),
        }
    }
    let of = |known: &ProfileEntry| -> Vec<String> {
        let sentence = |pattern: &String| {
            format!("the profile {} denies {}, which no known tool matches", quoted(&known.name), quoted(pattern))
        };
        unmatched_patterns(&known.settings.deny, &tools, &unknown).into_iter().map(sentence).collect()
    };
    Ok(profiles.iter().flat_map(of).collect())
}

/// Defines a profile.
///
/// # Errors
///
/// Fails if there is one of its name, it would allow everything, or the settings can't be written.
pub fn add(client: &ClientSession, name: &str, profile: ProfileSettings, sink: &dyn Reporter) -> Result<()> {
    let is_plain = !name.is_empty()
        && name.len() <= MAX_NAME_LEN
        && one_line(name, MAX_NAME_LEN) == name
        && !name.starts_with('-');
    let home = client.home();
    let lock = home.lock()?;
    if !is_plain {
        return Err(word(ErrorKind::Usage, name, "can't be the name of a profile"));
    }
    if profiles(home, client.cwd())?.iter().any(|known| known.name == name && known.is_users()) {
        let why = "is the name of a profile already: `aiw mcp profile edit` changes it";
        return Err(word(ErrorKind::User, name, why));
    }
    if profile.allow.is_none() && profile.deny.is_empty() && profile.list == ListSettings::default() {
        return Err(ServerError::MissingPatterns);
    }
    save(home, &lock, name, &changed(ProfileSettings::default(), profile, &[])?)?;
    sink.done(format!("Added the profile `{name}`"));
    Ok(())
}

/// Adds patterns to a profile of the user's, and takes others out.
///
/// # Errors
///
/// Fails if there is no such profile, it is a project's, nothing would change, or the settings can't be written.
pub fn edit(
    client: &ClientSession,
    name: &str,
    more: ProfileSettings,
    without: &[String],
    sink: &dyn Reporter,
) -> Result<()> {
    let home = client.home();
    let (lock, before) = (home.lock()?, users(client, name)?);
    if more == ProfileSettings::default() && without.is_empty() {
        return Err(ServerError::NothingToChange);
    }
    save(home, &lock, name, &changed(before, more, without)?)?;
    sink.done(format!("Changed the profile `{name}`"));
    Ok(())
}

/// Removes profiles of the user's.
///
/// # Errors
///
/// Fails if there is no such profile, or it is a project's. Then none is removed.
pub fn remove(client: &ClientSession, names: &[String], sink: &dyn Reporter) -> Result<ProfilesRemove> {
    let lock = client.home().lock()?;
    let mut settings = client.home().settings()?;
    for name in names {
        users(client, name)?;
        settings.set_profile(name, None)?;
    }
    settings.save(&lock)?;
    names.iter().for_each(|name| sink.done(format!("Removed the profile `{name}`")));
    Ok(ProfilesRemove { removed: names.to_vec() })
}

/// Returns all profiles, with the tools that each allows. A server that was never seen is started. `own` are aiw's own
/// tools.
///
/// # Errors
///
/// Fails if a file that defines profiles can't be used.
pub async fn list(client: &ClientSession, own: Vec<KnownTool>, sink: &dyn Reporter) -> Result<ProfileList> {
    let all = profiles(client.home(), client.cwd())?;
    let tools = if all.is_empty() { Vec::new() } else { known_tools(client, own, sink).await };
    let profiles = all.into_iter().map(|known| known.shown(&tools)).collect();
    Ok(ProfileList { profiles, tools: tools.len() })
}

/// Returns a profile as it is now, with the tools that it allows, and notes the patterns that match nothing.
///
/// # Errors
///
/// Fails if there is no such profile.
pub async fn show(client: &ClientSession, name: &str, own: Vec<KnownTool>, sink: &dyn Reporter) -> Result<ProfileShow> {
    let known = find(client.home(), client.cwd(), name, ErrorKind::User)?;
    Ok(ProfileShow { profile: known.shown(&known_tools(client, own, sink).await) })
}

/// The tools that are known here, aiw's own among them.
async fn known_tools(client: &ClientSession, own: Vec<KnownTool>, sink: &dyn Reporter) -> Vec<KnownTool> {
    let pool = pool(client, sink);
    fetch_tools(pool, &[], sink).await;
    let statuses = pool.status();
    let of = |status: &SlotStatus| {
        status.record.iter().flat_map(|record| record.known_tools(&status.name)).collect::<Vec<_>>()
    };
    statuses.iter().flat_map(of).chain(own).collect()
}

/// The patterns of a profile that is the user's.
fn users(client: &ClientSession, name: &str) -> Result<ProfileSettings> {
    let known = find(client.home(), client.cwd(), name, ErrorKind::User)?;
    match known.is_users() {
        true => Ok(known.settings),
        false => Err(ServerError::ProfileDeclaredByProject { name: name.to_owned() }),
    }
}

fn save(home: &Home, lock: &Lock, name: &str, profile: &ProfileSettings) -> Result<()> {
    let mut settings = home.settings()?;
    settings.set_profile(name, Some(profile))?;
    Ok(settings.save(lock)?)
}

/// The lists of patterns of a profile, those that it has.
fn lists(profile: &mut ProfileSettings) -> impl Iterator<Item = &mut Vec<String>> {
    let ProfileSettings { allow, deny, scripts, list } = profile;
    [deny, scripts].into_iter().chain([allow, &mut list.always, &mut list.never].into_iter().flatten())
}

/// A profile with more patterns, and without others.
fn changed(mut profile: ProfileSettings, mut more: ProfileSettings, without: &[String]) -> Result<ProfileSettings> {
    if let Some(bad) = lists(&mut more).flatten().find(|p| p.trim().is_empty() || p.len() > MAX_NAME_LEN) {
        return Err(word(ErrorKind::Usage, bad, "is not a pattern"));
    }
    for gone in without {
        let count = |profile: &mut ProfileSettings| lists(profile).map(|list| list.len()).sum::<usize>();
        let before = count(&mut profile);
        lists(&mut profile).for_each(|list| list.retain(|pattern| pattern != gone));
        if count(&mut profile) == before {
            return Err(word(ErrorKind::User, gone, "is not a pattern of the profile"));
        }
    }
    let more_in = |list: &mut Vec<String>, new: Vec<String>| {
        for pattern in new {
            if !list.contains(&pattern) {
                list.push(pattern);
            }
        }
    };
    let (list, news) = (&mut profile.list, more.list);
    more_in(&mut profile.deny, more.deny);
    more_in(&mut profile.scripts, more.scripts);
    for (list, new) in
        [(&mut profile.allow, more.allow), (&mut list.always, news.always), (&mut list.never, news.never)]
    {
        new.into_iter().for_each(|new| more_in(list.get_or_insert_default(), new));
    }
    (list.tokens, list.tools) = (news.tokens.or(list.tokens), news.tools.or(list.tools));
    Ok(profile)
}
