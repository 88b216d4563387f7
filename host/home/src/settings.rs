//! `settings.json`.

use std::fs;
use std::path::{Path, PathBuf};

use aiw_core::{CliKind, ExtensionId, MarketKind, MarketName, PluginId, one_line};
use serde_json::{Map, Value, json};

use crate::{Document, HomeError, Lock};

/// The markets of a home that has set none: name, source, enabled.
const DEFAULT_MARKETS: [(&str, &str, bool); 2] = [
    ("claude-plugins-official", "anthropics/claude-plugins-official", true),
    // Not published yet: listed, and fetched once the user adds it.
    ("aiw-official", "putao520/aiw-plugins", false),
];

/// What earlier documents called the official market.
const OFFICIAL_ALIAS: (&str, &str) = ("claude-code-official", "claude-plugins-official");

/// A registered marketplace as stored in settings.json.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarketSettings {
    /// Its name here.
    pub name: MarketName,
    /// How it is reached.
    pub kind: MarketKind,
    /// `owner/repo`, URL or path.
    pub location: String,
    /// A branch or tag.
    pub reference: Option<String>,
    /// The component, if it isn't the bundled one for the kind.
    pub extension: Option<ExtensionId>,
    /// A disabled market is listed but not used.
    pub enabled: bool,
}

impl MarketSettings {
    /// The field that holds the location, per kind, as Claude Code names it.
    fn location_key(kind: &MarketKind) -> &'static str {
        match kind {
            MarketKind::Github => "repo",
            MarketKind::Git | MarketKind::Url => "url",
            MarketKind::Directory | MarketKind::File => "path",
            MarketKind::Other(_) => "location",
        }
    }

    fn to_json(&self) -> Value {
        let mut source = Map::new();
        source.insert("source".into(), self.kind.as_str().into());
        source.insert(Self::location_key(&self.kind).into(), self.location.clone().into());
        if let Some(reference) = &self.reference {
            source.insert("ref".into(), reference.clone().into());
        }
        if let Some(extension) = &self.extension {
            source.insert("extension".into(), extension.as_str().into());
        }
        let mut market = json!({ "source": source });
        if !self.enabled {
            market["enabled"] = false.into();
        }
        market
    }

    fn from_json(name: &str, value: &Value) -> Result<Self, String> {
        let name: MarketName = name.parse().map_err(|e: aiw_core::InvalidName| e.to_string())?;
        let source = value.get("source").and_then(Value::as_object).ok_or("has no `source` object")?;
        let text = |key: &str| source.get(key).and_then(Value::as_str).map(str::to_owned);
        let kind = text("source").ok_or("has a source without the field `source`")?;
        let kind: MarketKind = kind.parse().map_err(|e: aiw_core::InvalidName| format!("has a source whose {e}"))?;
        let key = Self::location_key(&kind);
        let location = text(key).ok_or_else(|| format!("has a `{kind}` source without `{key}`"))?;
        let extension =
            text("extension").map(|id| id.parse()).transpose().map_err(|e: aiw_core::InvalidName| e.to_string())?;
        let enabled = value.get("enabled").and_then(Value::as_bool).unwrap_or(true);
        Ok(Self { name, kind, location, reference: text("ref"), extension, enabled })
    }

    /// The source as one word: `github:owner/repo#ref`, a URL, a path.
    pub fn source(&self) -> String {
        let location = match &self.kind {
            // A query may hold a key.
            MarketKind::Url => match self.location.split_once('?') {
                Some((url, _)) => format!("{url}?…"),
                None => self.location.clone(),
            },
            MarketKind::Git | MarketKind::Directory | MarketKind::File => self.location.clone(),
            kind @ (MarketKind::Github | MarketKind::Other(_)) => format!("{kind}:{}", self.location),
        };
        match &self.reference {
            Some(reference) => format!("{location}#{reference}"),
            None => location,
        }
    }

    /// Whether both read the same place.
    pub fn same_source(&self, other: &Self) -> bool {
        (&self.kind, &self.location, &self.reference, &self.extension)
            == (&other.kind, &other.location, &other.reference, &other.extension)
    }
}

/// Settings of one component, or of the host's part of a source: `sources.<id>`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SourceSettings(Map<String, Value>);

impl SourceSettings {
    /// A setting as text; numbers and truth values as JSON writes them.
    pub fn get(&self, key: &str) -> Option<String> {
        match self.0.get(key)? {
            Value::String(text) => Some(text.clone()),
            value @ (Value::Number(_) | Value::Bool(_)) => Some(value.to_string()),
            _ => None,
        }
    }
}

/// Settings of one AI CLI: `clis.<cli>`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CliSettings {
    /// `default` or `edit`, for runs that don't say. A value that isn't text appears as JSON.
    pub permission: Option<String>,
}

/// Settings of tasks: `tasks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskSettings {
    /// How many tasks of a session run at once; the others wait for their turn.
    pub limit: u32,
}

impl Default for TaskSettings {
    fn default() -> Self {
        Self { limit: 64 }
    }
}

/// `settings.json`: `extraKnownMarketplaces`, `enabledPlugins` (both in Claude Code's shape),
/// `sources`, `trustedDirectories`, `clis`, `tasks`.
#[derive(Debug)]
pub struct Settings {
    document: Document,
    markets: Vec<MarketSettings>,
    problems: Vec<String>,
}

impl Settings {
    pub(crate) fn load(path: &Path) -> Result<Self, HomeError> {
        let document = Document::load(path, "{}\n")?;
        if let Some(problem) = misshapen(document.value()) {
            return Err(HomeError::invalid(path, problem));
        }
        let mut settings = Self { document, markets: Vec::new(), problems: Vec::new() };
        match settings.document.get(&["extraKnownMarketplaces"]) {
            // A home without marketplace settings has the default ones.
            None => {
                for (name, repo, enabled) in DEFAULT_MARKETS {
                    if let Ok(name) = name.parse() {
                        settings.markets.push(MarketSettings {
                            name,
                            kind: MarketKind::Github,
                            location: repo.into(),
                            reference: None,
                            extension: None,
                            enabled,
                        });
                    }
                }
            }
            Some(Value::Object(markets)) => {
                for (name, value) in markets {
                    let known = if name == OFFICIAL_ALIAS.0 { OFFICIAL_ALIAS.1 } else { name };
                    match MarketSettings::from_json(known, value) {
                        Ok(market) => settings.markets.push(market),
                        Err(problem) => settings.problems.push(format!(
                            "marketplace `{}` in `{}` is left out: {problem}",
                            one_line(name, 60),
                            path.display()
                        )),
                    }
                }
            }
            Some(_) => {
                return Err(HomeError::invalid(path, "has an `extraKnownMarketplaces` that is not an object"));
            }
        }
        Ok(settings)
    }

    /// The registered marketplaces, in the file's order.
    pub fn markets(&self) -> &[MarketSettings] {
        &self.markets
    }

    /// One marketplace; the official one also by its older name.
    pub fn market(&self, name: &str) -> Option<&MarketSettings> {
        let name = if name == OFFICIAL_ALIAS.0 { OFFICIAL_ALIAS.1 } else { name };
        self.markets.iter().find(|m| m.name.as_str() == name)
    }

    /// Entries that could not be read, one sentence each.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// The default markets become explicit before the first change, so that one of them can be removed.
    fn write_defaults(&mut self) -> Result<(), HomeError> {
        if self.document.get(&["extraKnownMarketplaces"]).is_none() {
            for market in &self.markets {
                self.document.set(&["extraKnownMarketplaces", market.name.as_str()], &market.to_json())?;
            }
        }
        Ok(())
    }

    fn key_of(&self, name: &MarketName) -> String {
        let alias = self.document.get(&["extraKnownMarketplaces", OFFICIAL_ALIAS.0]).is_some();
        if alias && name.as_str() == OFFICIAL_ALIAS.1 { OFFICIAL_ALIAS.0.into() } else { name.to_string() }
    }

    /// Adds or replaces a marketplace, and keeps unknown fields of its entry.
    pub fn set_market(&mut self, market: MarketSettings) -> Result<(), HomeError> {
        self.write_defaults()?;
        let key = self.key_of(&market.name);
        let entry = market.to_json();
        self.document.set(&["extraKnownMarketplaces", &key, "source"], &entry["source"])?;
        match entry.get("enabled") {
            Some(enabled) => self.document.set(&["extraKnownMarketplaces", &key, "enabled"], enabled)?,
            None => {
                self.document.remove(&["extraKnownMarketplaces", &key, "enabled"]);
            }
        }
        match self.markets.iter_mut().find(|m| m.name == market.name) {
            Some(old) => *old = market,
            None => self.markets.push(market),
        }
        Ok(())
    }

    /// Removes a marketplace; returns whether it was there.
    pub fn remove_market(&mut self, name: &MarketName) -> Result<bool, HomeError> {
        self.write_defaults()?;
        let key = self.key_of(name);
        self.markets.retain(|m| m.name != *name);
        Ok(self.document.remove(&["extraKnownMarketplaces", &key]))
    }

    /// `enabledPlugins`: what the file says about a plugin.
    pub fn plugin_enabled(&self, id: &PluginId) -> Option<bool> {
        self.document.get(&["enabledPlugins", &id.to_string()])?.as_bool()
    }

    /// Sets or, with `None`, removes a plugin's entry in `enabledPlugins`.
    pub fn set_plugin_enabled(&mut self, id: &PluginId, enabled: Option<bool>) -> Result<(), HomeError> {
        let id = id.to_string();
        match enabled {
            Some(enabled) => self.document.set(&["enabledPlugins", &id], &enabled.into()),
            None => {
                self.document.remove(&["enabledPlugins", &id]);
                Ok(())
            }
        }
    }

    /// The directories whose `.aiw.json` aiw uses, each with everything below it.
    pub fn trusted(&self) -> Vec<PathBuf> {
        let list = self.document.get(&["trustedDirectories"]).and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(PathBuf::from)
            .filter(|dir| dir.is_absolute())
            .collect()
    }

    /// Whether a directory is one of [`Settings::trusted`] or below one; links are resolved.
    pub fn trusts(&self, directory: &Path) -> bool {
        let Ok(directory) = fs::canonicalize(directory) else { return false };
        self.trusted().iter().any(|trusted| directory.starts_with(trusted))
    }

    /// Trusts a directory. Returns whether it is new.
    pub fn trust(&mut self, directory: &Path) -> Result<bool, HomeError> {
        let mut all = self.trusted();
        if all.iter().any(|known| known == directory) {
            return Ok(false);
        }
        all.push(directory.to_owned());
        self.set_trusted(&all).map(|()| true)
    }

    /// Stops trusting a directory. Returns whether it was in the list.
    pub fn distrust(&mut self, directory: &Path) -> Result<bool, HomeError> {
        let mut all = self.trusted();
        let before = all.len();
        all.retain(|known| known != directory);
        if all.len() == before {
            return Ok(false);
        }
        self.set_trusted(&all).map(|()| true)
    }

    fn set_trusted(&mut self, all: &[PathBuf]) -> Result<(), HomeError> {
        let list: Vec<Value> = all.iter().map(|dir| dir.to_string_lossy().into()).collect();
        self.document.set(&["trustedDirectories"], &list.into())
    }

    /// `clis.<cli>`
    pub fn cli(&self, cli: CliKind) -> CliSettings {
        let permission = self.document.get(&["clis", cli.as_str(), "permission"]).map(|word| match word {
            Value::String(word) => word.clone(),
            other => other.to_string(),
        });
        CliSettings { permission }
    }

    /// `tasks`
    pub fn tasks(&self) -> Result<TaskSettings, HomeError> {
        let Some(limit) = self.document.get(&["tasks", "limit"]) else { return Ok(TaskSettings::default()) };
        let number = limit.as_u64().and_then(|limit| u32::try_from(limit).ok());
        let limit = number.filter(|limit| (1..=1000).contains(limit)).ok_or_else(|| {
            HomeError::invalid(self.document.path(), "has a `tasks.limit` that is not a number from 1 to 1000")
        })?;
        Ok(TaskSettings { limit })
    }

    /// `sources.<id>`
    pub fn source(&self, id: &str) -> SourceSettings {
        SourceSettings(self.document.get(&["sources", id]).and_then(Value::as_object).cloned().unwrap_or_default())
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

/// What has the wrong shape, as the end of a sentence. Ignoring it would not do what its author meant.
fn misshapen(settings: &Value) -> Option<String> {
    let is_set = |key: &&str| settings.get(key).is_some_and(|value| !value.is_null());
    let objects = ["enabledPlugins", "sources", "clis", "tasks"];
    if let Some(key) = objects.into_iter().filter(is_set).find(|key| !settings[*key].is_object()) {
        return Some(format!("has a `{key}` that is not an object"));
    }
    for key in ["sources", "clis"] {
        let mut fields = settings[key].as_object().into_iter().flatten();
        if let Some((name, _)) = fields.find(|(_, value)| !value.is_object()) {
            return Some(format!("has a `{key}.{}` that is not an object", one_line(name, 60)));
        }
    }
    let trusted = &settings["trustedDirectories"];
    let is_list = trusted.as_array().is_some_and(|list| list.iter().all(Value::is_string));
    (!trusted.is_null() && !is_list).then(|| "has a `trustedDirectories` that is not a list of paths".into())
}

#[cfg(test)]
mod tests {
    use crate::Home;

    fn home() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        (dir, home)
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
            (r#"{"sources": {"x": 1}}"#, "`sources.x`"),
            (r#"{"trustedDirectories": "/x"}"#, "`trustedDirectories`"),
            (r#"{"trustedDirectories": ["/x", 1]}"#, "`trustedDirectories`"),
            (r#"{"extraKnownMarketplaces": []}"#, "`extraKnownMarketplaces`"),
            (r#"{"extraKnownMarketplaces": null}"#, "`extraKnownMarketplaces`"),
        ] {
            std::fs::write(home.settings_path(), text).unwrap();
            let error = home.settings().unwrap_err().to_string();
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
        assert!(settings.trust(&project).unwrap() && !settings.trust(&project).unwrap());
        settings.save(&home.lock().unwrap()).unwrap();
        let settings = home.settings().unwrap();
        assert!(settings.trusts(&project) && settings.trusts(&dir.path().join("project/src")));
        assert!(!settings.trusts(&dir.path().join("project-2")) && !settings.trusts(dir.path()));
        assert!(!settings.trusts(&project.join("none/../../project-2")));
        let mut settings = settings;
        assert!(settings.distrust(&project).unwrap() && !settings.trusts(&project));
    }
}
