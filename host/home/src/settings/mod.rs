//! `settings.json`: `extraKnownMarketplaces` and `enabledPlugins` (both in Claude Code's shape), `sources`,
//! `trustedDirectories`, `ci`, `clis`, `tasks`, `mcp`, `habits`, `health`, `history`, `planner`, `models`, `budgets`,
//! `sync` and `updates`.

mod budgets;
mod ci;
mod clis;
mod habits;
mod health;
mod history;
mod known;
mod known_markets;
mod markets;
mod mcp;
mod models;
mod planner;
mod plugins;
mod sources;
mod sync;
mod tasks;
mod trust;
mod updates;

use std::fs;
use std::path::Path;

use aiw_core::one_line;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub use budgets::{Budget, BudgetLimit, BudgetPeriod};
pub use ci::{CiHostSettings, CiSettings};
pub use clis::CliSettings;
pub use health::HealthSettings;
pub use history::HistorySettings;
pub use known::UnknownKey;
pub use markets::MarketSettings;
pub use mcp::{ListSettings, McpSettings, ProfileSettings, ServerSettings};
pub use models::{ModelLimits, ModelPrice};
pub use planner::{PlannerApiName, PlannerHost, PlannerSettings, ollama_host};
pub use plugins::PluginSettings;
pub use sources::SourceSettings;
pub use sync::{GoogleSettings, SyncSettings};
pub use tasks::TaskSettings;
pub use trust::{FileTrust, TrustSettings};
pub use updates::UpdateSettings;

use crate::{Document, HomeError, Lock, entry};

/// `settings.json`. Each section has a file in this folder.
#[derive(Debug)]
pub struct Settings {
    document: Document,
    markets: Vec<MarketSettings>,
    problems: Vec<String>,
}

impl Settings {
    pub(crate) fn load(path: &Path) -> Result<Self, HomeError> {
        // What it forbids must not be lost with the file that it leads to.
        if fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink()) && !path.exists() {
            return Err(HomeError::invalid(path, "is a link to a file that is not there"));
        }
        let document = Document::load(path, "{}\n")?;
        let (markets, problems) = markets::read(&document)?;
        let settings = Self { document, markets, problems };
        settings.check_sections()?;
        Ok(settings)
    }

    /// The settings of a home that has none.
    pub(crate) fn empty(path: &Path) -> Result<Self, HomeError> {
        let document = Document::from_text(path, "{}\n")?;
        let (markets, problems) = markets::read(&document)?;
        Ok(Self { document, markets, problems })
    }

    /// Reads a section; one that is absent is like one without fields.
    fn section<T: DeserializeOwned>(&self, name: &str) -> Result<T, HomeError> {
        let fields = self.document.get(&[name]).and_then(Value::as_object).cloned().unwrap_or_default();
        entry::read_with_nulls(name, fields).map_err(|problem| HomeError::invalid(self.document.path(), problem))
    }

    /// Reads what is at a path, where `null` is like an absent field.
    fn entry<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T, HomeError> {
        let place = path.join(".");
        let read = match self.document.get(path) {
            None | Some(Value::Null) => entry::read(&place, Map::new()),
            Some(Value::Object(fields)) => entry::read(&place, fields.clone()),
            Some(_) => Err(format!("has a `{}` that is not an object", one_line(&place, 80))),
        };
        read.map_err(|problem| HomeError::invalid(self.document.path(), problem))
    }

    /// The document itself, for [`Home::commit`](crate::Home::commit).
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// Writes the file if something changed.
    pub fn save(&self, lock: &Lock) -> Result<(), HomeError> {
        self.document.save(lock)
    }
}

#[cfg(test)]
mod tests {
    use crate::Home;

    fn home() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path());
        (dir, home)
    }

    #[test]
    #[cfg(unix)]
    fn a_link_to_nothing_is_not_the_same_as_no_settings() {
        let (dir, home) = home();
        std::os::unix::fs::symlink(dir.path().join("dotfiles.json"), home.settings_path()).unwrap();
        assert!(home.settings().unwrap_err().to_string().contains("is a link to a file that is not there"));
        std::fs::write(dir.path().join("dotfiles.json"), "{}").unwrap();
        home.settings().unwrap();
    }

    #[test]
    fn a_default_market_that_was_removed_stays_away() {
        let (_dir, home) = home();
        let mut settings = home.settings().unwrap();
        assert_eq!(settings.markets().len(), 2);
        assert!(!settings.market("aiw-official").unwrap().enabled);
        assert!(settings.remove_market(&"aiw-official".parse().unwrap()).unwrap());
        settings.save(&home.lock().unwrap()).unwrap();
        let again = home.settings().unwrap();
        assert_eq!(again.markets().len(), 1);
        assert_eq!(again.markets()[0].name.as_str(), "claude-plugins-official");
    }

    #[test]
    fn what_is_misshapen_is_said() {
        let (_dir, home) = home();
        for (text, said) in [
            (r#"{"clis": []}"#, "`clis`"),
            (r#"{"clis": {"claude": "edit"}}"#, "`clis.claude`"),
            (r#"{"tasks": 3}"#, "`tasks`"),
            (r#"{"mcp": []}"#, "`mcp`"),
            (r#"{"mcp": {"toolsets": "tasks"}}"#, "`mcp.toolsets`"),
            (r#"{"sources": {"x": 1}}"#, "`sources.x`"),
            (r#"{"trustedDirectories": "/x"}"#, "`trustedDirectories`"),
            (r#"{"trustedDirectories": ["/x", 1]}"#, "`trustedDirectories[1]`"),
            (r#"{"extraKnownMarketplaces": []}"#, "`extraKnownMarketplaces`"),
            (r#"{"extraKnownMarketplaces": null}"#, "`extraKnownMarketplaces`"),
        ] {
            std::fs::write(home.settings_path(), text).unwrap();
            let error = home.settings().and_then(|settings| settings.mcp()).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
        std::fs::write(home.settings_path(), r#"{"clis": null, "mine": 1}"#).unwrap();
        home.settings().unwrap();
    }

    #[test]
    fn a_limit_is_a_number_or_an_error() {
        let (_dir, home) = home();
        assert_eq!(home.settings().unwrap().tasks().unwrap().limit, 64);
        for (text, limit) in [
            ("3", Some(3)),
            ("1000", Some(1000)),
            ("0", None),
            ("1001", None),
            ("-1", None),
            ("\"3\"", None),
            ("2.5", None),
        ] {
            std::fs::write(home.settings_path(), format!(r#"{{"tasks": {{"limit": {text}}}}}"#)).unwrap();
            assert_eq!(home.settings().unwrap().tasks().ok().map(|tasks| tasks.limit), limit, "{text}");
        }
    }

    #[test]
    fn providers_are_checked_only_where_it_is_said_and_not_too_often() {
        let (_dir, home) = home();
        let read = |text: &str| {
            std::fs::write(home.settings_path(), text).unwrap();
            home.settings().and_then(|settings| settings.health()).map(|health| health.every)
        };
        for (text, every) in [
            ("{}", None),
            (r#"{"health": null}"#, None),
            (r#"{"health": {}}"#, None),
            (r#"{"health": {"every": 60}}"#, Some(60)),
        ] {
            assert_eq!(read(text).unwrap(), every, "{text}");
        }
        for bad in ["59", "0", "-60", "86401", "\"300\"", "60.5"] {
            let error = read(&format!(r#"{{"health": {{"every": {bad}}}}}"#)).unwrap_err().to_string();
            assert!(error.contains("`health.every`") && error.contains("from 60 to 86400"), "{bad}: {error}");
        }
    }

    #[test]
    fn what_is_listed_is_read_whole_or_refused() {
        let (_dir, home) = home();
        let read = |text: &str| {
            std::fs::write(home.settings_path(), text).unwrap();
            home.settings().unwrap().mcp()
        };
        for (list, said) in [
            (r#"{"tokens": -1}"#, "`mcp.list.tokens`"),
            (r#"{"tokens": "many"}"#, "`mcp.list.tokens`"),
            (r#"{"tools": 1.5}"#, "`mcp.list.tools`"),
            (r#"{"tools": 1000001}"#, "`mcp.list.tools`"),
            (r#"{"always": "git"}"#, "`mcp.list.always`"),
            (r#"{"never": [1]}"#, "`mcp.list.never[0]`"),
            (r#"{"pinned": ["git"]}"#, "`mcp.list.pinned`"),
            ("[]", "`mcp.list`"),
        ] {
            let error = read(&format!(r#"{{"mcp": {{"list": {list}}}}}"#)).unwrap_err().to_string();
            assert!(error.contains(said), "{list}: {error}");
            let profile = format!(r#"{{"mcp": {{"profiles": {{"p": {{"list": {list}}}}}}}}}"#);
            let (error, said) =
                (read(&profile).unwrap_err().to_string(), said.replace("mcp.list", "mcp.profiles.p.list"));
            assert!(error.contains(&said), "{list}: {error}");
        }
        let known =
            read(r#"{"mcp": {"list": null, "profiles": {"p": {"list": {"tokens": 0, "always": []}}}}}"#).unwrap();
        assert_eq!(known.list, super::ListSettings::default());
        // A change of a profile by a command keeps what only its file can say.
        let (mut settings, profile) = (home.settings().unwrap(), &known.profiles["p"]);
        assert_eq!((profile.list.tokens, profile.list.always.as_deref()), (Some(0), Some(&[][..])));
        settings.set_profile("p", Some(profile)).unwrap();
        settings.save(&home.lock().unwrap()).unwrap();
        assert_eq!(home.settings().unwrap().mcp().unwrap().profiles["p"], *profile);
    }

    #[test]
    fn the_older_name_of_the_official_market_is_read_and_kept_as_it_stands() {
        let (_dir, home) = home();
        let text = r#"{"extraKnownMarketplaces":{"claude-code-official":{"source":{"source":"github","repo":"anthropics/claude-plugins-official"},"autoUpdate":true},"bad":{"source":3}}}"#;
        std::fs::write(home.settings_path(), text).unwrap();
        let mut settings = home.settings().unwrap();
        assert_eq!(settings.problems().len(), 1);
        let mut market = settings.market("claude-code-official").unwrap().clone();
        assert_eq!(market.name.as_str(), "claude-plugins-official");
        market.reference = Some("stable".into());
        settings.set_market(market).unwrap();
        settings.save(&home.lock().unwrap()).unwrap();
        let text = std::fs::read_to_string(home.settings_path()).unwrap();
        assert!(text.contains("claude-code-official") && text.contains("autoUpdate") && text.contains("stable"));
    }

    #[test]
    fn trust_covers_what_is_beneath_and_nothing_beside() {
        let (dir, home) = home();
        let project = std::fs::canonicalize(dir.path()).unwrap().join("project");
        for path in ["project/src", "project-2"] {
            std::fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        let mut settings = home.settings().unwrap();
        let mut trust = settings.trust();
        assert!(trust.add(&project) && !trust.add(&project));
        settings.set_trust(&trust).unwrap();
        settings.save(&home.lock().unwrap()).unwrap();
        let mut trust = home.settings().unwrap().trust();
        assert!(trust.is_trusted(&project) && trust.is_trusted(&dir.path().join("project/src")));
        assert!(!trust.is_trusted(&dir.path().join("project-2")) && !trust.is_trusted(dir.path()));
        assert!(
            !trust.is_trusted(&project.join("none/../../project-2"))
                && !trust.is_trusted(&project.join("../project-2"))
        );
        assert_eq!(trust.remove(&project), std::slice::from_ref(&project));
        assert!(trust.remove(&project).is_empty() && !trust.is_trusted(&project));
    }

    #[test]
    fn trust_that_is_taken_from_a_directory_is_taken_from_everything_beneath() {
        let (_dir, home) = home();
        let mut trust = home.settings().unwrap().trust();
        let path = std::path::Path::new;
        for directory in ["/a/b", "/a/b/c", "/a/bc"] {
            trust.add(path(directory));
        }
        trust.add_file(path("/a/b/c/.mcp.json"), b"{}");
        trust.add_file(path("/a/bc/.mcp.json"), b"{}");
        assert_eq!(trust.remove(path("/a/b")), [path("/a/b"), path("/a/b/c")]);
        assert_eq!(trust.directories(), [path("/a/bc")]);
        assert_eq!(trust.file_trust(path("/a/b/c/.mcp.json"), b"{}"), super::FileTrust::Unknown);
        assert_eq!(trust.file_trust(path("/a/bc/.mcp.json"), b"{}"), super::FileTrust::Trusted);
        assert_eq!(trust.file_trust(path("/a/bc/.mcp.json"), b"{ }"), super::FileTrust::Changed);
        // A file alone is worth nothing without its directory.
        trust.add_file(path("/x/.mcp.json"), b"{}");
        assert_eq!(trust.file_trust(path("/x/.mcp.json"), b"{}"), super::FileTrust::Unknown);
        assert_eq!(trust.remove(path("/x")), [path("/x")]);
    }
}
