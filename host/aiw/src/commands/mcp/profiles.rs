//! The profiles that count in a directory.

use std::collections::BTreeMap;
use std::path::Path;

use aiw_core::{ErrorKind, quoted};
use aiw_home::{Home, ProfileSettings, TrustedProject, user_home};
use aiw_routing::Profile;

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

/// Returns the profile that a command asks for. An undefined one would offer everything, so it is an error.
pub(super) fn chosen(name: Option<&str>, home: &Home, cwd: &Path) -> Result<Profile, Failure> {
    let Some(name) = name else { return Ok(Profile::everything()) };
    Ok(find(name, home, cwd, ErrorKind::Config)?.profile())
}
