//! The profiles that count in a directory.

use std::collections::BTreeMap;
use std::path::Path;

use aiw_core::{ErrorKind, quoted};
use aiw_home::{Home, ProfileSettings, TrustedProject, user_home};
use aiw_routing::{KnownTool, OWN, Profile, Records, ServerPlaces, idle_patterns};

use crate::failure::Failure;

pub(super) const SETTINGS: &str = "settings";

/// A profile, and which file defines it.
pub(super) struct Known {
    pub(super) name: String,
    pub(super) scope: &'static str,
    pub(super) profile: ProfileSettings,
}

impl Known {
    pub(super) fn profile(&self) -> Profile {
        Profile::of(&self.profile)
    }

    /// Whether the user's own settings define it.
    pub(super) fn is_users(&self) -> bool {
        self.scope == SETTINGS
    }
}

/// The profiles that count in a directory: the user's, and those of a trusted project.
pub(super) fn profiles(home: &Home, cwd: &Path) -> Result<Vec<Known>, Failure> {
    let settings = home.settings()?;
    let project = TrustedProject::find(cwd, user_home().as_deref(), &settings.trust())?.trusted();
    let mut all = BTreeMap::new();
    for (name, profile) in project.iter().flat_map(|project| project.profiles()) {
        all.insert(name.clone(), Known { name: name.clone(), scope: "project", profile: profile.clone() });
    }
    for (name, profile) in settings.mcp()?.profiles {
        all.insert(name.clone(), Known { name, scope: SETTINGS, profile });
    }
    Ok(all.into_values().collect())
}

/// The profile of a name. `missing` is the kind of the error if there is none.
pub(super) fn find(name: &str, home: &Home, cwd: &Path, missing: ErrorKind) -> Result<Known, Failure> {
    let mut all = profiles(home, cwd)?;
    if let Some(at) = all.iter().position(|known| known.name == name) {
        return Ok(all.swap_remove(at));
    }
    let names: Vec<&str> = all.iter().map(|known| known.name.as_str()).collect();
    let failure = Failure::new(missing, format!("there is no profile {}", quoted(name)));
    Err(failure.with_hint(match names.is_empty() {
        true => "`aiw mcp profile add` defines one".to_owned(),
        false => format!("the profiles are: {}", names.join(", ")),
    }))
}

/// Returns a sentence for each denial of some profiles that matches no tool which is known without starting a server.
pub(super) fn idle_denials(profiles: &[Known], home: &Home, cwd: &Path) -> Result<Vec<String>, Failure> {
    if profiles.iter().all(|known| known.profile.deny.is_empty()) {
        return Ok(Vec::new());
    }
    let own = aiw_offer::own_tools().into_iter().map(|(name, reads)| (OWN.to_owned(), name, reads));
    let (mut tools, mut unknown): (Vec<KnownTool>, Vec<String>) = (own.collect(), Vec::new());
    let records = Records::new(home.clone());
    for server in ServerPlaces::of(home.clone(), cwd).read()?.0 {
        match records.load(&server.key) {
            Some(record) => {
                tools.extend(record.tools.iter().map(|t| (server.key.clone(), t.name().to_owned(), t.only_reads())));
            }
            None => unknown.push(server.key),
        }
    }
    let sentence = |known: &Known, pattern: &String| {
        format!("the profile {} denies {}, which no known tool matches", quoted(&known.name), quoted(pattern))
    };
    let of = |known: &Known| -> Vec<String> {
        let idle = idle_patterns(&known.profile.deny, &tools, &unknown);
        idle.into_iter().map(|pattern| sentence(known, pattern)).collect()
    };
    Ok(profiles.iter().flat_map(of).collect())
}

/// Returns a sentence for each denial of the profiles of a directory that matches no known tool.
pub fn problems(home: &Home, cwd: &Path) -> Result<Vec<String>, Failure> {
    idle_denials(&profiles(home, cwd)?, home, cwd)
}

/// Returns the profile that a command asks for. An undefined one would offer everything, so it is an error.
pub(super) fn chosen(name: Option<&str>, home: &Home, cwd: &Path) -> Result<Profile, Failure> {
    let Some(name) = name else { return Ok(Profile::everything()) };
    Ok(find(name, home, cwd, ErrorKind::Config)?.profile())
}
