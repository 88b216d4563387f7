//! marketplace.json: lenient when listing, so that a bad entry affects only itself; strict in `validate`.
//!
//! Format: <https://code.claude.com/docs/en/plugin-marketplaces>, and what real marketplaces
//! hold.

use std::collections::{BTreeMap, HashSet};

use aiw_core::{MarketName, PluginName, RelPath, one_line};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::source::PluginSource;

/// The document's path in a marketplace's root.
pub const MARKETPLACE_JSON: &str = ".claude-plugin/marketplace.json";

/// The fields of an entry that are kept in a listing.
pub const ENTRY_FIELDS: [&str; 16] = [
    "description",
    "displayName",
    "version",
    "category",
    "homepage",
    "tags",
    "keywords",
    "strict",
    "mcpServers",
    "skills",
    "commands",
    "agents",
    "hooks",
    "lspServers",
    "userConfig",
    "author",
];

/// The most entries that are read. The largest marketplace seen has 295.
pub const MAX_ENTRIES: usize = 20_000;

/// More problems of one document than anyone reads.
const MAX_PROBLEMS: usize = 100;

/// A marketplace.json, read leniently.
#[derive(Debug, Clone, PartialEq)]
pub struct MarketDocument {
    /// Its own name, which may not be registrable.
    pub name: Option<String>,
    /// Its entries, in order; broken ones too.
    pub entries: Vec<PluginEntry>,
    /// Old name → new name, or `None` when the plugin is gone.
    pub renames: BTreeMap<String, Option<String>>,
    /// Problems of the document as a whole, one sentence each.
    pub problems: Vec<String>,
}

/// One entry of `plugins`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PluginEntry {
    /// Its name as written, made printable.
    pub name: String,
    /// Its content, or why it can't be used.
    pub content: Result<ValidEntry, String>,
    /// Its fields that aiw uses: see [`KEPT`].
    pub fields: Map<String, Value>,
}

/// A usable entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ValidEntry {
    /// The plugin's name.
    pub name: PluginName,
    /// Where its files are.
    pub source: PluginSource,
}

/// Why a whole document is refused, as the end of a sentence.
pub type RejectionReason = String;

impl MarketDocument {
    /// Reads a document. `partition_forms` are the entry source forms of the market's component.
    pub fn parse(bytes: &[u8], own_forms: &[String]) -> Result<Self, RejectionReason> {
        let parsed = aiw_home::json::parse(bytes)?;
        let Value::Object(fields) = parsed.value else { return Err("is not a JSON object".into()) };
        let mut problems = Vec::new();
        for key in &parsed.duplicates {
            problems.push(format!("the key `{}` appears twice; the last one is used", one_line(key, 80)));
        }
        let Some(plugins) = fields.get("plugins") else { return Err("has no `plugins` list".into()) };
        let Value::Array(plugins) = plugins else { return Err("has a `plugins` that is not a list".into()) };
        if plugins.len() > MAX_ENTRIES {
            return Err(format!("has {} plugins, more than the {MAX_ENTRIES} that are read", plugins.len()));
        }
        let root = fields.get("metadata").and_then(|m| m.get("pluginRoot")).and_then(Value::as_str);
        let plugin_root = match root.map(RelPath::parse).transpose() {
            Ok(root) => root.unwrap_or_default(),
            Err(e) => {
                problems.push(format!("`metadata.pluginRoot` is left out: {e}"));
                RelPath::root()
            }
        };
        let mut seen = HashSet::new();
        let mut entries: Vec<PluginEntry> = Vec::with_capacity(plugins.len());
        for (index, plugin) in plugins.iter().enumerate() {
            let mut entry = PluginEntry::parse(plugin, index, &plugin_root, own_forms);
            if entry.content.is_ok() && !seen.insert(entry.name.to_ascii_lowercase()) {
                entry.content = Err("has the same name as an earlier entry".into());
            }
            entries.push(entry);
        }
        let mut renames = BTreeMap::new();
        for (old, new) in fields.get("renames").and_then(Value::as_object).into_iter().flatten() {
            match new {
                Value::String(new) => drop(renames.insert(old.clone(), Some(new.clone()))),
                Value::Null => drop(renames.insert(old.clone(), None)),
                _ => problems.push(format!("the rename of `{}` is neither a name nor null", one_line(old, 60))),
            }
        }
        let name = fields.get("name").and_then(Value::as_str).map(str::to_owned);
        let problems = truncate_lines(problems, MAX_PROBLEMS, "faults are not shown");
        Ok(Self { name, entries, renames, problems })
    }

    /// Follows `renames` from an old name to the current one; `None` if it was removed. A cycle is an error.
    pub fn resolve_rename(renames: &BTreeMap<String, Option<String>>, name: &str) -> Result<Option<String>, String> {
        let mut at = name.to_owned();
        for _ in 0..=renames.len() {
            match renames.get(&at) {
                None => return Ok(Some(at)),
                Some(None) => return Ok(None),
                Some(Some(next)) => at.clone_from(next),
            }
        }
        Err(format!("`renames` forms a cycle from `{}`", one_line(name, 60)))
    }

    /// The document's own name, if a marketplace can be registered under it.
    pub fn market_name(&self) -> Result<MarketName, String> {
        match &self.name {
            None => Err("the document has no `name`".into()),
            Some(name) => name.parse().map_err(|e: aiw_core::InvalidName| e.to_string()),
        }
    }
}

/// As many lines as anyone reads, and how many more there were.
pub(crate) fn truncate_lines(mut lines: Vec<String>, most: usize, what: &str) -> Vec<String> {
    let more = lines.len().saturating_sub(most);
    lines.truncate(most);
    if more > 0 {
        lines.push(format!("{more} more {what}"));
    }
    lines
}

impl PluginEntry {
    fn parse(value: &Value, index: usize, plugin_root: &RelPath, own_forms: &[String]) -> Self {
        let Value::Object(fields) = value else {
            return Self { name: format!("#{index}"), content: Err("is not an object".into()), fields: Map::new() };
        };
        let name = match fields.get("name") {
            Some(Value::String(name)) => one_line(name, 128),
            _ => format!("#{index}"),
        };
        let content = Self::usable(fields, plugin_root, own_forms);
        let kept = |(key, _): &(&String, &Value)| ENTRY_FIELDS.contains(&key.as_str());
        let fields = fields.iter().filter(kept).map(|(k, v)| (k.clone(), v.clone())).collect();
        Self { name, content, fields }
    }

    fn usable(fields: &Map<String, Value>, plugin_root: &RelPath, own_forms: &[String]) -> Result<ValidEntry, String> {
        let name = match fields.get("name") {
            None => return Err("has no `name`".into()),
            Some(Value::String(name)) => name,
            Some(_) => return Err("has a `name` that is not a string".into()),
        };
        let name: PluginName =
            name.parse().map_err(|e: aiw_core::InvalidName| format!("has a name that {}", e.reason))?;
        for field in ["description", "version", "category", "displayName"] {
            if fields.get(field).is_some_and(|v| !v.is_string() && !v.is_null()) {
                return Err(format!("has a `{field}` that is not a string"));
            }
        }
        if fields.get("strict").is_some_and(|v| !v.is_boolean()) {
            return Err("has a `strict` that is neither true nor false".into());
        }
        let source = match fields.get("source") {
            None => return Err("has no `source`".into()),
            Some(source) => PluginSource::parse(source, plugin_root, own_forms)?,
        };
        Ok(ValidEntry { name, source })
    }

    /// A text field, printable.
    pub fn text(&self, field: &str) -> Option<String> {
        let text = self.fields.get(field)?.as_str()?;
        Some(aiw_core::printable(text).into_owned())
    }

    /// The name of `author`.
    pub fn author(&self) -> Option<String> {
        author(&self.fields)
    }

    /// `strict`, true by default.
    pub fn is_strict(&self) -> bool {
        self.fields.get("strict").and_then(Value::as_bool).unwrap_or(true)
    }

    /// `tags` and `keywords`, for searching.
    pub fn search_terms(&self) -> Vec<String> {
        let lists = ["tags", "keywords"].into_iter().filter_map(|key| self.fields.get(key)?.as_array());
        lists.flatten().filter_map(Value::as_str).take(64).map(|word| one_line(word, 60)).collect()
    }
}

/// Returns the name of `author`, which is a text or has a `name`.
pub fn author(fields: &Map<String, Value>) -> Option<String> {
    let author = fields.get("author")?;
    let name = author.as_str().or_else(|| author.get("name")?.as_str())?;
    Some(one_line(name, 100)).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::anything::{self, is_line};
    use proptest::prelude::*;
    use serde_json::json;

    fn parse(value: &Value) -> MarketDocument {
        MarketDocument::parse(value.to_string().as_bytes(), &[]).unwrap()
    }

    #[test]
    fn an_author_is_a_text_or_has_a_name() {
        for (fields, wanted) in [
            (json!({"author": "Ann"}), Some("Ann")),
            (json!({"author": {"name": "Ann\n<a@x>", "email": "a@x"}}), Some("Ann <a@x>")),
            (json!({"author": {"email": "a@x"}}), None),
            (json!({"author": ""}), None),
            (json!({"author": 3}), None),
            (json!({}), None),
        ] {
            assert_eq!(author(fields.as_object().unwrap()).as_deref(), wanted, "{fields}");
        }
    }

    #[test]
    fn a_bad_entry_costs_itself_alone() {
        let document = parse(&json!({"name": "m", "plugins": [
            {"name": "good", "source": "./good"},
            {"source": "./x"}, {"name": 3, "source": "./x"}, {"name": "../x", "source": "./x"}, 7,
            {"name": "good", "source": "./again"}, {"name": "Good", "source": "./case"},
            {"name": "up", "source": "./../x"}, {"name": "abs", "source": "/etc"}, {"name": "none"},
            {"name": "typed", "source": "./x", "description": 3},
            {"name": "last", "source": "./last"}
        ]}));
        let broken: Vec<_> = document.entries.iter().filter(|e| e.content.is_err()).map(|e| e.name.as_str()).collect();
        assert_eq!(broken, ["#1", "#2", "../x", "#4", "good", "Good", "up", "abs", "none", "typed"]);
    }

    #[test]
    fn renames_are_followed_and_circles_end() {
        let renames: BTreeMap<_, _> =
            [("a", Some("b")), ("b", Some("c")), ("x", Some("y")), ("y", Some("x")), ("z", None)]
                .map(|(old, new)| (old.to_owned(), new.map(str::to_owned)))
                .into();
        assert_eq!(MarketDocument::resolve_rename(&renames, "a"), Ok(Some("c".into())));
        assert_eq!(MarketDocument::resolve_rename(&renames, "z"), Ok(None));
        assert!(MarketDocument::resolve_rename(&renames, "x").is_err());
    }

    #[test]
    fn of_many_faults_some_are_said_and_the_others_counted() {
        let renames: Map<String, Value> = (0..5000).map(|n| (format!("p{n}"), json!(n))).collect();
        let document = parse(&json!({"name": "m", "plugins": [], "renames": renames}));
        assert_eq!(document.problems.len(), MAX_PROBLEMS + 1);
        assert_eq!(document.problems[0], "the rename of `p0` is neither a name nor null");
        assert_eq!(document.problems[MAX_PROBLEMS], "4900 more faults are not shown");
    }

    mod fuzz {
        use super::*;
        proptest! {
            #[test]
            fn any_bytes_are_answered(bytes in anything::bytes()) {
                let _ = MarketDocument::parse(&bytes, &["acme".into()]);
            }

            #[test]
            fn any_document_is_read_within_bounds(value in anything::document()) {
                let document = MarketDocument::parse(value.to_string().as_bytes(), &["acme".into(), "github".into()]).unwrap();
                prop_assert_eq!(document.entries.len(), value["plugins"].as_array().unwrap().len());
                prop_assert!(document.problems.len() <= MAX_PROBLEMS + 1);
                for problem in &document.problems {
                    prop_assert!(is_line(problem), "{:?}", problem);
                }
                let mut names = HashSet::new();
                for entry in &document.entries {
                    prop_assert!(is_line(&entry.name) && entry.name.chars().count() <= 128, "{:?}", entry.name);
                    prop_assert!(entry.fields.keys().all(|key| ENTRY_FIELDS.contains(&key.as_str())));
                    // As it is kept, so it is read again.
                    let kept: PluginEntry = serde_json::from_slice(&serde_json::to_vec(entry).unwrap()).unwrap();
                    prop_assert_eq!(&kept.content, &entry.content);
                    let (_, _) = (entry.search_terms(), entry.is_strict());
                    let usable = match &entry.content {
                        Ok(usable) => usable,
                        Err(problem) => {
                            prop_assert!(is_line(problem), "{:?}", problem);
                            continue;
                        }
                    };
                    prop_assert!(names.insert(usable.name.as_str().to_ascii_lowercase()));
                    prop_assert!(is_line(&usable.source.describe()), "{:?}", usable.source);
                    match &usable.source {
                        PluginSource::Relative { path } | PluginSource::Git { path, .. } => {
                            let parsed = RelPath::parse(path).unwrap();
                            prop_assert_eq!(parsed.as_str(), path);
                        }
                        PluginSource::InMarketplace { word, .. } => prop_assert_eq!(word, "acme"),
                        PluginSource::Refused { word, reason } => {
                            prop_assert!(word != "github" && is_line(reason), "{} {}", word, reason);
                        }
                    }
                }
                for old in document.renames.keys() {
                    let _ = MarketDocument::resolve_rename(&document.renames, old);
                }
            }
        }
    }
}
