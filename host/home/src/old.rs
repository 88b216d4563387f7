//! The marketplaces in `settings.json` and the `plugins.json` of aiw 0.6: `source.type` in place of `source.source`, and records
//! of plugins without a version of the file and without digests.

use std::path::{Path, PathBuf};

use aiw_core::{PluginId, one_line};
use serde_json::{Map, Value, json};

use crate::documents::PLUGINS_VERSION;
use crate::{Document, Home, HomeError, Mode, first_free, json, read_capped, replace};

const MARKETS: &str = "extraKnownMarketplaces";

/// What was brought up to date of aiw 0.6.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PluginMigration {
    /// The marketplaces whose sources are written as Claude Code writes them now.
    pub markets: Vec<String>,
    /// The plugins whose records were dropped. Their servers stay in `mcp.json`.
    pub plugins: Vec<PluginId>,
    /// What could not be taken over, a sentence each. It is in the backups.
    pub skipped: Vec<String>,
    /// The old files.
    pub backups: Vec<PathBuf>,
}

impl Home {
    /// Brings the marketplaces and plugins of aiw 0.6 up to date. `None` if there are none.
    ///
    /// The backups are written before the files are replaced, so that a crash in between loses nothing and the next call does the
    /// rest.
    ///
    /// # Errors
    ///
    /// A file can't be read or written. Both are as they were.
    pub fn migrate_plugins(&self) -> Result<Option<PluginMigration>, HomeError> {
        let load = || -> Result<_, HomeError> {
            Ok((
                Document::load(&self.settings_path(), "{}\n")?,
                Document::load(&self.root().join("plugins.json"), "{}\n")?,
            ))
        };
        let user_home = self.context().user_home();
        // One that can't be renewed stays, and is named where markets are read.
        let is_current = |(settings, plugins): &(Document, Document)| {
            !old_markets(settings.value()).any(|(_, source)| renewed(source, user_home.as_deref()).is_ok())
                && old_records(plugins.value()).is_none()
        };
        // Without the lock it is a hint.
        if is_current(&load()?) {
            return Ok(None);
        }
        let lock = self.lock()?;
        let found = load()?;
        if is_current(&found) {
            return Ok(None);
        }
        let (mut settings, mut plugins) = found;
        let mut done = PluginMigration::default();
        let markets: Vec<(String, Map<String, Value>)> =
            old_markets(settings.value()).map(|(name, source)| (name.clone(), source.clone())).collect();
        if !markets.is_empty() {
            done.backups.push(keep(settings.path())?);
        }
        for (name, source) in markets {
            match renewed(&source, user_home.as_deref()) {
                Ok(source) => {
                    settings.set(&[MARKETS, &name, "source"], &source)?;
                    done.markets.push(name);
                }
                Err(problem) => done.skipped.push(format!("marketplace `{}` {problem}", one_line(&name, 60))),
            }
        }
        let records = old_records(plugins.value()).cloned();
        if let Some(records) = records {
            done.backups.push(keep(plugins.path())?);
            for (key, record) in &records {
                let Ok(id) = key.parse::<PluginId>() else {
                    done.skipped.push(format!("plugin `{}` is not named NAME@MARKET", one_line(key, 80)));
                    continue;
                };
                let enabled = record.get("enabled").and_then(Value::as_bool).unwrap_or(true);
                settings.set(&["enabledPlugins", key], &enabled.into())?;
                done.plugins.push(id);
            }
            plugins.set(&["plugins"], &json!({}))?;
            plugins.set(&["version"], &PLUGINS_VERSION.into())?;
        }
        self.commit(&lock, &[&settings, &plugins])?;
        Ok(Some(done))
    }
}

/// The marketplaces whose sources are of aiw 0.6, by name.
fn old_markets(settings: &Value) -> impl Iterator<Item = (&String, &Map<String, Value>)> {
    let markets = settings.get(MARKETS).and_then(Value::as_object).into_iter().flatten();
    markets.filter_map(|(name, market)| {
        let source = market.get("source")?.as_object()?;
        (source.contains_key("type") && !source.contains_key("source")).then_some((name, source))
    })
}

/// The records of a `plugins.json` that says no version: all of them are of aiw 0.6.
fn old_records(plugins: &Value) -> Option<&Map<String, Value>> {
    let records = plugins.get("plugins")?.as_object()?;
    let is_old = plugins.get("version").is_none() && records.values().any(|record| record.get("digest").is_none());
    is_old.then_some(records)
}

/// Returns a source as Claude Code writes it.
fn renewed(source: &Map<String, Value>, user_home: Option<&Path>) -> Result<Value, String> {
    let text = |key: &str| {
        let text = source.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        text.ok_or_else(|| format!("has a source without `{key}`"))
    };
    let mut new = match source.get("type").and_then(Value::as_str) {
        Some("github") => json!({"source": "github", "repo": text("repo")?}),
        Some("remote") => {
            let url = text("url")?;
            json!({"source": if url.ends_with(".git") { "git" } else { "url" }, "url": url})
        }
        Some("local") => {
            let path = text("path")?;
            let whole = match (path.strip_prefix("~/"), user_home) {
                (Some(rest), Some(home)) => home.join(rest).to_string_lossy().into_owned(),
                _ => path.to_owned(),
            };
            json!({"source": if whole.ends_with(".json") { "file" } else { "directory" }, "path": whole})
        }
        _ => return Err("has a source of a `type` that aiw doesn't know".to_owned()),
    };
    for key in ["ref", "branch"] {
        if let Some(reference) = source.get(key).and_then(Value::as_str) {
            new["ref"] = reference.into();
        }
    }
    Ok(new)
}

/// Keeps a file as it is beside itself. Returns the path.
fn keep(path: &Path) -> Result<PathBuf, HomeError> {
    let bytes = read_capped(path, json::MAX_BYTES)?.unwrap_or_default();
    let named = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(if number == 1 { ".v0".to_owned() } else { format!(".v0.{number}") });
        PathBuf::from(name)
    };
    let backup = first_free(named);
    replace(&backup, &bytes, Mode::Private)?;
    Ok(backup)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn home() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path());
        drop(home.lock().unwrap());
        (dir, home)
    }

    /// As the founding documents print it.
    const SETTINGS: &str = r#"{
  "extraKnownMarketplaces": {
    "claude-code-official": {
      "source": {
        "type": "github",
        "repo": "anthropics/claude-plugins-official"
      },
      "enabled": true
    },
    "team": {"source": {"type": "remote", "url": "https://x.example/marketplace.json"}, "enabled": false},
    "here": {"source": {"type": "local", "path": "/srv/market"}, "enabled": true},
    "odd": {"source": {"type": "local"}},
    "new": {"source": {"source": "github", "repo": "a/b"}}
  },
  "mine": 1
}
"#;
    const PLUGINS: &str = r#"{"plugins": {
  "github-mcp@aiw-official": {"version": "1.0.0", "installed_at": "2025-01-01T00:00:00Z", "enabled": true, "source": "aiw-official"},
  "files@team": {"version": "0.1", "installed_at": "2025-01-01T00:00:00Z", "enabled": false, "source": "team"},
  "odd": {}
}}"#;

    #[test]
    fn the_files_of_aiw_0_6_are_brought_up_to_date_once() {
        let (_dir, home) = home();
        fs::write(home.settings_path(), SETTINGS).unwrap();
        fs::write(home.root().join("plugins.json"), PLUGINS).unwrap();
        assert!(home.plugins().unwrap().all().is_err());
        let done = home.migrate_plugins().unwrap().unwrap();
        assert_eq!(done.markets, ["claude-code-official", "team", "here"]);
        assert_eq!(
            done.plugins.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["github-mcp@aiw-official", "files@team"]
        );
        assert_eq!(
            done.skipped,
            ["marketplace `odd` has a source without `path`", "plugin `odd` is not named NAME@MARKET",]
        );
        let kept: Vec<String> = done.backups.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        assert_eq!(kept, [SETTINGS, PLUGINS]);
        let settings = home.settings().unwrap();
        let sources: Vec<String> = settings.markets().iter().map(|market| market.source()).collect();
        assert_eq!(
            sources,
            [
                "github:anthropics/claude-plugins-official",
                "https://x.example/marketplace.json",
                "/srv/market",
                "github:a/b",
            ]
        );
        assert!(!settings.market("team").unwrap().enabled);
        let text = fs::read_to_string(home.settings_path()).unwrap();
        assert!(text.contains("\"mine\": 1"), "{text}");
        assert_eq!(settings.plugins().enabled(&"files@team".parse().unwrap()), Some(false));
        assert!(home.plugins().unwrap().all().unwrap().is_empty());
        // What could not be taken over is still there, and makes no second backup.
        assert!(settings.problems().iter().any(|problem| problem.contains("`odd`")));
        assert_eq!(home.migrate_plugins().unwrap(), None);
    }

    #[test]
    fn what_aiw_writes_now_is_left_alone() {
        let (_dir, home) = home();
        assert_eq!(home.migrate_plugins().unwrap(), None);
        for (settings, plugins) in [
            ("{}", r#"{"version": 1, "plugins": {"a@b": {}}}"#),
            (
                r#"{"extraKnownMarketplaces": {"a": {"source": {"source": "url", "type": "local", "url": "https://x"}}}}"#,
                "{}",
            ),
            (
                r#"{"extraKnownMarketplaces": {"a": {"source": {"type": "else"}}, "b": 1, "c": {"source": []}}}"#,
                r#"{"plugins": []}"#,
            ),
        ] {
            fs::write(home.settings_path(), settings).unwrap();
            fs::write(home.root().join("plugins.json"), plugins).unwrap();
            assert_eq!(home.migrate_plugins().unwrap(), None, "{settings} {plugins}");
            assert_eq!(fs::read_to_string(home.settings_path()).unwrap(), settings);
        }
    }
}
