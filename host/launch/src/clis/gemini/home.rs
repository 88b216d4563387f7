//! A separate home for Gemini CLI.
//!
//! Gemini reads settings that override the user's only from a file that belongs to root, as must all directories
//! above it, so other users can't provide one. Instead it gets a home whose settings are the user's, overridden by
//! ours, and where everything else is a link to the user's own file. (`GEMINI_CLI_HOME`; seen in 0.61.0.)
//!
//! What Gemini keeps of sessions is its own here: a session that is held under a provider can then be told from the
//! user's others, and goes on under that provider only.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use aiw_core::CliKind;
use aiw_home::{CliFiles, Home, HomeError, Mode};
use serde_json::Value;

use crate::LaunchError;
use crate::environment::Environment;
use crate::overlay;

/// Where Gemini CLI keeps its files.
pub(super) const FILES: CliFiles = CliFiles::for_cli(CliKind::Gemini);

/// The variable that names the home.
const SESSION_ENTRIES: [&str; 3] = ["history", "projects.json", "tmp"];

/// Returns whether a file of the user's is not linked. Gemini writes a file beside the old one
/// (`projects.json.<id>.tmp`) and renames it: a link to such a file would soon lead nowhere.
fn is_left_out(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name == FILES.settings || SESSION_ENTRIES.contains(&name.as_ref()) || name.ends_with(".tmp")
}

/// A home that is made when the CLI is started.
#[derive(Clone)]
pub(crate) struct GeminiHome {
    home: Home,
    root: PathBuf,
    /// The user's home, which contains `.gemini`.
    base: PathBuf,
}

impl GeminiHome {
    /// Returns the home at a path, on top of the home that the environment names.
    pub(crate) fn new(home: &Home, root: PathBuf, environment: &Environment) -> Self {
        let base = FILES.base(|name| environment.path(name)).unwrap_or_else(env::temp_dir);
        Self { home: home.clone(), root, base }
    }

    /// Returns the variable that leads the CLI to the home, and the home's path.
    pub(crate) fn variable(&self) -> (&'static str, &Path) {
        (FILES.variable, &self.root)
    }

    #[cfg(test)]
    fn path(&self) -> &Path {
        &self.root
    }

    /// Refuses a project whose own settings contradict ours about how it signs in or whom it tells about the run:
    /// project settings override a user's.
    pub(crate) fn check(&self, content: &Value, cwd: &Path) -> Result<(), LaunchError> {
        let path = cwd.join(FILES.project_settings);
        // The user's home is not a project.
        if cwd == self.base {
            return Ok(());
        }
        // Gemini can't read a file either that we can't read.
        let Ok(Some(project)) = overlay::read(&path) else { return Ok(()) };
        let named = |key: &&str| content.get(*key).map(|value| ((*key).to_owned(), value.clone()));
        let ours = Value::Object(["security", "privacy", "telemetry"].iter().filter_map(named).collect());
        match overlay::find_conflict(&ours, &project) {
            None => Ok(()),
            Some(key) => Err(LaunchError::invalid(
                format!("`{}` sets `{key}` to something else, and goes over what aiw can set", path.display()),
                "take it out there, or run in another directory with `--cwd`",
            )),
        }
    }

    /// Creates the home, or brings it up to date.
    pub(crate) fn make(&self, content: &Value) -> Result<(), LaunchError> {
        let (own, users) = (FILES.directory_in(&self.root), FILES.directory_in(&self.base));
        self.home.make_dir(&own)?;
        let io = |action: &'static str, path: &Path, source| HomeError::Io { action, path: path.to_owned(), source };
        // Removes links that lead to a previous home, or nowhere.
        for entry in fs::read_dir(&own).into_iter().flatten().flatten() {
            let to = fs::read_link(entry.path());
            if to.is_ok_and(|to| to.parent() != Some(&users) || !to.exists()) {
                let _ = fs::remove_file(entry.path());
            }
        }
        match fs::read_dir(&users) {
            Ok(entries) => {
                for entry in entries.flatten().filter(|entry| !is_left_out(&entry.file_name())) {
                    let link = own.join(entry.file_name());
                    // Files that Gemini has created here itself stay.
                    if fs::symlink_metadata(&link).is_err()
                        && let Err(e) = symlink(&entry.path(), &link)
                        && e.kind() != std::io::ErrorKind::AlreadyExists
                    {
                        return Err(io("link", &link, e).into());
                    }
                }
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(io("read", &users, e).into()),
        }
        let settings = overlay::read(&users.join(FILES.settings))?.unwrap_or_else(|| Value::Object(Default::default()));
        let settings = overlay::merge(settings, content.clone()).to_string();
        Ok(aiw_home::replace(&own.join(FILES.settings), settings.as_bytes(), Mode::Private)?)
    }
}

#[cfg(unix)]
fn symlink(to: &Path, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(to, link)
}

#[cfg(not(unix))]
fn symlink(to: &Path, link: &Path) -> std::io::Result<()> {
    if to.is_dir() { std::os::windows::fs::symlink_dir(to, link) } else { std::os::windows::fs::symlink_file(to, link) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_users_own_files_are_linked_and_the_settings_joined() {
        let dir = tempfile::tempdir().unwrap();
        let user = dir.path().join("user");
        fs::create_dir_all(user.join(".gemini/tmp")).unwrap();
        fs::create_dir_all(user.join(".gemini/commands")).unwrap();
        let before =
            "{ // mine\n \"ui\": {\"theme\": \"dark\"}, \"security\": {\"auth\": {\"selectedType\": \"oauth\"}}}";
        fs::write(user.join(".gemini/settings.json"), before).unwrap();
        let environment = Environment::from_parent([("HOME".into(), user.clone().into())].into_iter());
        let home = Home::from_root(dir.path().join("aiw"));
        let gemini = GeminiHome::new(&home, home.gemini_dir("gw", false), &environment);
        let content = json!({"security": {"auth": {"selectedType": "gemini-api-key"}}});
        for _ in 0..2 {
            gemini.make(&content).unwrap();
        }
        let own = gemini.path().join(".gemini");
        let settings: Value = serde_json::from_slice(&fs::read(own.join("settings.json")).unwrap()).unwrap();
        assert_eq!(settings["ui"]["theme"], "dark");
        assert_eq!(settings["security"]["auth"]["selectedType"], "gemini-api-key");
        fs::write(own.join("commands/mine"), "x").unwrap();
        assert!(user.join(".gemini/commands/mine").exists());
        assert_eq!(fs::read_to_string(user.join(".gemini/settings.json")).unwrap(), before);
        // The sessions of a provider are its own.
        assert!(fs::symlink_metadata(own.join("tmp")).is_err());
    }

    #[test]
    fn a_file_that_is_written_while_a_home_is_made_leaves_no_link_behind() {
        let dir = tempfile::tempdir().unwrap();
        let user = dir.path().join("user/.gemini");
        fs::create_dir_all(&user).unwrap();
        for name in ["projects.json", "projects.json.4f1c.tmp", "gone", "GEMINI.md"] {
            fs::write(user.join(name), "{}").unwrap();
        }
        let environment = Environment::from_parent([("HOME".into(), dir.path().join("user").into())].into_iter());
        let home = Home::from_root(dir.path().join("aiw"));
        let gemini = GeminiHome::new(&home, home.gemini_dir("gw", false), &environment);
        let own = gemini.path().join(".gemini");
        // What an older aiw has left, and a link to a file that goes.
        fs::create_dir_all(&own).unwrap();
        symlink(&user.join("projects.json.77aa.tmp"), &own.join("projects.json.77aa.tmp")).unwrap();
        gemini.make(&json!({})).unwrap();
        fs::remove_file(user.join("gone")).unwrap();
        gemini.make(&json!({})).unwrap();
        let mut names: Vec<_> = fs::read_dir(&own).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["GEMINI.md", "settings.json"]);
    }

    #[test]
    fn a_project_that_says_otherwise_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path());
        let gemini = GeminiHome::new(&home, home.gemini_dir("gw", false), &Environment::default());
        let content = json!({
            "security": {"auth": {"selectedType": "gemini-api-key"}},
            "telemetry": {"enabled": false},
            "mcpServers": {"mine": {"command": "x"}},
        });
        let project = dir.path().join("project");
        fs::create_dir_all(project.join(".gemini")).unwrap();
        gemini.check(&content, &project).unwrap();
        for (settings, key) in [
            (json!({"security": {"auth": {"selectedType": "vertex-ai"}}}), "security.auth.selectedType"),
            (json!({"telemetry": {"enabled": true, "otlpEndpoint": "https://h"}}), "telemetry.enabled"),
        ] {
            fs::write(project.join(".gemini/settings.json"), settings.to_string()).unwrap();
            let error = gemini.check(&content, &project).unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
        fs::write(project.join(".gemini/settings.json"), r#"{"mcpServers": {"mine": {"command": "y"}}}"#).unwrap();
        gemini.check(&content, &project).unwrap();
    }
}
