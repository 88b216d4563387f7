//! Keys of `settings.json` that mean nothing.

use std::collections::BTreeMap;

use aiw_core::closest;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::clis::Clis;
use super::planner::PlannerEntry;
use super::{
    Budget, CiSettings, HealthSettings, HistorySettings, McpSettings, ModelLimits, ModelPrice, Settings, SyncSettings,
    TaskSettings, UpdateSettings,
};
use crate::{HomeError, entry};

type Section = Map<String, Value>;
type NamedSections = BTreeMap<String, Section>;

/// The sections of `settings.json`: their shape, and the types that know their fields.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
struct Sections {
    #[serde(rename = "$schema")]
    #[schemars(with = "String")]
    schema: Value,
    #[schemars(with = "BTreeMap<String, Budget>")]
    budgets: NamedSections,
    #[schemars(with = "CiSettings")]
    ci: Section,
    #[schemars(with = "Clis")]
    clis: NamedSections,
    enabled_plugins: Section,
    extra_known_marketplaces: Value,
    habits: bool,
    #[schemars(with = "HealthSettings")]
    health: Section,
    #[schemars(with = "HistorySettings")]
    history: Section,
    #[schemars(with = "McpSettings")]
    mcp: Section,
    #[schemars(with = "BTreeMap<String, Model>")]
    models: NamedSections,
    #[schemars(with = "bool")]
    offer_default_marketplace: Value,
    #[schemars(with = "PlannerEntry")]
    planner: Section,
    sources: NamedSections,
    #[schemars(with = "SyncSettings")]
    sync: Section,
    #[schemars(with = "TaskSettings")]
    tasks: Section,
    trusted_directories: Vec<String>,
    trusted_files: Section,
    untrusted_directories: Vec<String>,
    #[schemars(with = "UpdateSettings")]
    updates: Section,
}

/// An entry of `models`.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "limits and price are read apart")]
struct Model {
    #[schemars(flatten)]
    limits: ModelLimits,
    price: Option<ModelPrice>,
}

/// A key of the settings that means nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKey {
    /// Where it stands: `tasks.limits`.
    pub path: String,
    /// The key that was most likely meant.
    pub suggestion: Option<String>,
}

impl Settings {
    /// Refuses a section of the wrong shape. Ignoring it would not do what its author meant.
    pub(super) fn check_sections(&self) -> Result<(), HomeError> {
        let sections = self.document.value().as_object().cloned().unwrap_or_default();
        let read = entry::read::<Sections>("", sections).map(drop);
        read.map_err(|problem| HomeError::invalid(self.document.path(), problem))
    }

    /// Returns the names of all sections.
    pub fn sections() -> Vec<String> {
        named(&schema()).into_iter().map(|(name, _)| name.clone()).collect()
    }

    /// Returns the keys that mean nothing. Where any name is good, none is unknown.
    pub fn unknown_keys(&self) -> Vec<UnknownKey> {
        let mut found = Vec::new();
        unknown(self.document.value(), &schema(), &mut Vec::new(), &mut found);
        found
    }
}

/// The JSON Schema of the settings.
fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<Sections>().to_value()
}

fn unknown<'a>(value: &'a Value, schema: &Value, path: &mut Vec<&'a str>, found: &mut Vec<UnknownKey>) {
    let (known, others) = (named(schema), &schema["additionalProperties"]);
    let is_open = *others == Value::Bool(true) || schema["type"].is_null();
    if known.is_empty() && is_open {
        return;
    }
    for (key, value) in value.as_object().into_iter().flatten() {
        path.push(key);
        match known.iter().find(|(name, _)| *name == key).map_or(others, |(_, schema)| schema) {
            Value::Null => {
                let meant = closest(key, known.iter().map(|(name, _)| name.as_str()));
                let meant = meant.map(|name| [&path[..path.len() - 1], &[name]].concat().join("."));
                found.push(UnknownKey { path: path.join("."), suggestion: meant });
            }
            schema => unknown(value, schema, path, found),
        }
        path.pop();
    }
}

/// The fields that a schema names.
fn named(schema: &Value) -> Vec<(&String, &Value)> {
    let choices = ["anyOf", "oneOf"].into_iter().filter_map(|key| schema[key].as_array()).flatten();
    schema["properties"].as_object().into_iter().flatten().chain(choices.flat_map(named)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Home;

    fn unknown_keys(settings: &str) -> Vec<(String, Option<String>)> {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path());
        std::fs::write(home.settings_path(), settings).unwrap();
        home.settings().unwrap().unknown_keys().into_iter().map(|key| (key.path, key.suggestion)).collect()
    }

    #[test]
    fn a_mistyped_key_is_named_with_the_one_that_was_meant() {
        let settings = r#"{
            "task": {"limit": 3}, "tasks": {"limits": 3}, "clis": {"codex": {"permision": "edit"}, "aider": {}},
            "models": {"m": {"price": {"input": 1, "cache_writen": 2, "output": 3}}}, "llm": {"model": "x"}
        }"#;
        let expected = [
            ("clis.aider", None),
            ("clis.codex.permision", Some("clis.codex.permission")),
            ("llm", None),
            ("models.m.price.cache_writen", Some("models.m.price.cache_written")),
            ("task", Some("tasks")),
            ("tasks.limits", Some("tasks.limit")),
        ];
        let mut found = unknown_keys(settings);
        found.sort();
        let expected = expected.map(|(path, meant)| (path.to_owned(), meant.map(str::to_owned)));
        assert_eq!(found, expected);
    }

    /// The keys that docs/files.md shows are those that are known: neither lacks one of the other.
    #[test]
    fn the_keys_of_the_documentation_are_known() {
        let document = include_str!("../../../../docs/files.md");
        let (_, section) = document.split_once("## settings.json").unwrap();
        let example = section.split("```").nth(1).unwrap().trim_start_matches("json");
        assert_eq!(unknown_keys(example), []);
        let (section, _) = section.split_once("\n## ").unwrap();
        fn each(schema: &Value, found: &mut BTreeSet<String>) {
            for (name, schema) in named(schema) {
                found.insert(name.clone());
                each(schema, found);
            }
            if schema["additionalProperties"].is_object() {
                each(&schema["additionalProperties"], found);
            }
        }
        let mut names = BTreeSet::new();
        each(&schema(), &mut names);
        assert!(
            names.contains("cache_written_1h") && names.contains("permission") && names.contains("usd"),
            "{names:?}"
        );
        // The manual says `<cli>` for their names.
        let is_cli = |name: &str| name.parse::<aiw_core::CliKind>().is_ok();
        for name in names.iter().filter(|name| *name != "$schema" && !is_cli(name)) {
            assert!(section.contains(name.as_str()), "docs/files.md says nothing of `{name}`");
        }
    }
}
