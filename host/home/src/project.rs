//! `.aiw.json` of a project.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use aiw_core::CliKind;
use serde::Deserialize;
use serde_json::Value;

use crate::providers::CliChoice;
use crate::{HomeError, ProfileSettings, TrustSettings, entry, find_in_ancestors, json, read_capped, read_nofollow};

/// `.aiw.json` of a project: what its authors want aiw to use there. It comes with a repository, so aiw ignores it
/// until the user trusts the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// The directory that holds the file.
    pub root: PathBuf,
    provider: CliChoice,
    profiles: BTreeMap<String, ProfileSettings>,
    history: bool,
    unknown: Vec<String>,
}

/// The settings of a project that count, given whether the user trusts its directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustedProject {
    /// The directory belongs to no project.
    None,
    /// The user trusts the project.
    Trusted(Project),
    /// The user doesn't trust this directory, so its file is ignored, whatever is in it.
    Ignored(PathBuf),
}

impl TrustedProject {
    /// The project that a directory belongs to, by [`Project::FILE`]. Its bytes are read once, from a path without links
    /// that is trusted.
    ///
    /// # Errors
    ///
    /// The user trusts the directory, and the file can't be used.
    pub fn find(directory: &Path, stop: Option<&Path>, trust: &TrustSettings) -> Result<Self, HomeError> {
        // Trust belongs to a path without links; the user may have named the directory by one with links.
        let directory = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
        let Some(path) = find_in_ancestors(Project::FILE, &directory, stop) else { return Ok(Self::None) };
        let root = path.parent().unwrap_or(&path);
        if !trust.is_trusted(root) {
            return Ok(Self::Ignored(root.to_owned()));
        }
        Ok(match read_nofollow(&path, MAX_BYTES)? {
            Some(bytes) => Self::Trusted(Project::parse(&path, &bytes)?),
            None => Self::None,
        })
    }

    /// The project, if the user trusts it.
    pub fn trusted(self) -> Option<Project> {
        match self {
            Self::Trusted(project) => Some(project),
            Self::None | Self::Ignored(_) => None,
        }
    }
}

/// The longest `.aiw.json` that is read.
const MAX_BYTES: u64 = 1 << 20;

/// The part of `mcp` that a project may have.
#[derive(Deserialize)]
struct Profiles {
    #[serde(default, deserialize_with = "entry::objects")]
    profiles: BTreeMap<String, ProfileSettings>,
}

impl Project {
    /// The name of the file.
    pub const FILE: &'static str = ".aiw.json";

    /// The project of a directory: the nearest `.aiw.json` in it or above it, not beyond
    /// `stop` (the user's home directory) and not beyond the root of a repository. Nothing is known of the user's trust;
    /// [`TrustedProject::find`] asks for that.
    pub fn find(directory: &Path, stop: Option<&Path>) -> Result<Option<Self>, HomeError> {
        let Some(path) = find_in_ancestors(Self::FILE, directory, stop) else { return Ok(None) };
        Self::parse(&path, &read_capped(&path, MAX_BYTES)?.unwrap_or_default()).map(Some)
    }

    /// Reads the bytes of a project's file.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, HomeError> {
        let root = path.parent().unwrap_or(path);
        let parsed = json::parse(bytes).map_err(|problem| HomeError::invalid(path, problem))?;
        let Value::Object(fields) = &parsed.value else {
            return Err(HomeError::invalid(path, "is not a JSON object"));
        };
        let provider = CliChoice::from_json(fields.get("provider"))
            .map_err(|problem| HomeError::invalid(path, format!("has a `provider` that {problem}")))?;
        let mcp = fields.get("mcp").and_then(Value::as_object).cloned().unwrap_or_default();
        let Profiles { profiles } =
            entry::read_with_nulls("mcp", mcp).map_err(|problem| HomeError::invalid(path, problem))?;
        // What nobody is asked about is for the user alone to decide.
        if let Some((name, _)) = profiles.iter().find(|(_, profile)| !profile.scripts.is_empty()) {
            let name = aiw_core::one_line(name, 60);
            let problem = format!("has a `mcp.profiles.{name}.scripts`, which only your own settings may have");
            return Err(HomeError::invalid(path, problem));
        }
        let history = match fields.get("history") {
            None | Some(Value::Null) => true,
            Some(Value::Bool(history)) => *history,
            Some(_) => return Err(HomeError::invalid(path, "has a `history` that is not true or false")),
        };
        let known = |name: &str| matches!(name, "provider" | "mcp" | "history" | "$schema");
        let unknown = fields.keys().filter(|name| !known(name)).cloned().collect();
        Ok(Self { root: root.to_owned(), provider, profiles, history, unknown })
    }

    /// The provider that the project names, for each CLI that it names one for.
    pub fn providers(&self) -> impl Iterator<Item = (CliKind, &str)> {
        CliKind::ALL.into_iter().filter_map(|cli| Some((cli, self.provider(cli)?)))
    }

    /// The provider that the project names for a CLI.
    pub fn provider(&self, cli: CliKind) -> Option<&str> {
        self.provider.for_cli(cli)
    }

    /// `mcp.profiles`: which tools a client may see, by name.
    pub fn profiles(&self) -> &BTreeMap<String, ProfileSettings> {
        &self.profiles
    }

    /// `history`: whether sessions in the project may be kept for searching. That can only be refused, so it counts
    /// without the user's trust.
    pub fn is_history_enabled(&self) -> bool {
        self.history
    }

    /// Unknown fields; probably typos.
    pub fn unknown_fields(&self) -> &[String] {
        &self.unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_file_counts_up_to_the_root_of_the_repository() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("outer/repo/src/deep");
        fs::create_dir_all(&inner).unwrap();
        fs::write(dir.path().join("outer/.aiw.json"), r#"{"provider": "outer"}"#).unwrap();
        let found = Project::find(&inner, None).unwrap().unwrap();
        assert_eq!(found.provider(CliKind::Claude), Some("outer"));
        fs::create_dir(dir.path().join("outer/repo/.git")).unwrap();
        assert_eq!(Project::find(&inner, None).unwrap(), None);
        fs::write(dir.path().join("outer/repo/.aiw.json"), r#"{"provider": {"codex": "x"}, "else": 1}"#).unwrap();
        let found = Project::find(&inner, None).unwrap().unwrap();
        assert_eq!((found.provider(CliKind::Codex), found.provider(CliKind::Claude)), (Some("x"), None));
        assert_eq!(found.root, dir.path().join("outer/repo"));
        assert_eq!(found.unknown_fields(), ["else"]);
    }

    #[test]
    fn a_file_that_makes_no_sense_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        for bad in ["", "[]", "{", r#"{"history": "off"}"#, r#"{"provider": 3}"#, r#"{"provider": {"vim": "x"}}"#] {
            fs::write(dir.path().join(".aiw.json"), bad).unwrap();
            assert!(Project::find(dir.path(), None).is_err(), "{bad}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_directory_that_is_exchanged_for_a_link_lends_no_trust() {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        let (good, evil, link, away) = (root.join("good"), root.join("evil"), root.join("link"), root.join("away"));
        for (directory, provider) in [(&good, "good"), (&evil, "evil")] {
            fs::create_dir(directory).unwrap();
            fs::write(directory.join(".aiw.json"), format!(r#"{{"provider": "{provider}"}}"#)).unwrap();
        }
        std::os::unix::fs::symlink(&evil, &link).unwrap();
        let mut trust = TrustSettings::default();
        trust.add(&good);
        let stop = std::sync::atomic::AtomicBool::new(false);
        let ordering = std::sync::atomic::Ordering::Relaxed;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(ordering) {
                    for (from, to) in [(&good, &away), (&link, &good), (&good, &link), (&away, &good)] {
                        fs::rename(from, to).unwrap();
                    }
                }
            });
            let (start, mut seen) = (std::time::Instant::now(), 0);
            while start.elapsed().as_millis() < 1000 {
                if let Ok(TrustedProject::Trusted(project)) = TrustedProject::find(&good, None, &trust) {
                    assert_eq!(project.provider(CliKind::Claude), Some("good"));
                    seen += 1;
                }
            }
            stop.store(true, ordering);
            assert!(seen > 0);
        });
    }
}
