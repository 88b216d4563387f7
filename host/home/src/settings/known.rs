//! Keys of `settings.json` that mean nothing.

use aiw_core::closest;
use serde_json::Value;

use super::Settings;

/// The keys of the settings. `*` is any name, and others know the keys under a path that ends in `**`.
const KNOWN: &[&str] = &[
    "$schema",
    "budgets.*.per",
    "budgets.*.project",
    "budgets.*.provider",
    "budgets.*.then",
    "budgets.*.tokens",
    "budgets.*.usd",
    "clis.claude.permission",
    "clis.codex.permission",
    "clis.gemini.permission",
    "enabledPlugins.**",
    "extraKnownMarketplaces.**",
    "history.exclude",
    "history.redact",
    "mcp.list",
    "mcp.list.**",
    "mcp.profiles.**",
    "mcp.scripts",
    "mcp.servers.*.enabled",
    "mcp.servers.*.idle",
    "mcp.servers.*.shared",
    "mcp.servers.*.timeout",
    "mcp.toolsets",
    "models.*.context",
    "models.*.output",
    "models.*.price.cache_written",
    "models.*.price.cache_written_1h",
    "models.*.price.cached",
    "models.*.price.input",
    "models.*.price.output",
    "offerDefaultMarketplace",
    "planner.api",
    "planner.code_seconds",
    "planner.context_tokens",
    "planner.key",
    "planner.key.**",
    "planner.model",
    "planner.plan_tokens",
    "planner.provider",
    "planner.seconds",
    "planner.url",
    "sources.**",
    "tasks.limit",
    "trustedDirectories",
    "trustedFiles.**",
    "updates.url",
];

/// A key of the settings that means nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKey {
    /// Where it stands: `tasks.limits`.
    pub path: String,
    /// The key that was most likely meant.
    pub meant: Option<String>,
}

impl Settings {
    /// Returns the keys that mean nothing. Where any name is good, none is unknown.
    pub fn unknown_keys(&self) -> Vec<UnknownKey> {
        let mut found = Vec::new();
        unknown(self.document.value(), &mut Vec::new(), &mut found);
        found
    }
}

fn unknown<'a>(value: &'a Value, path: &mut Vec<&'a str>, found: &mut Vec<UnknownKey>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        path.push(key);
        let at = path.len() - 1;
        let beside = || KNOWN.iter().filter_map(|known| next(known, &path[..at]));
        match beside().find(|(name, _)| *name == "*" || *name == "**" || name == key) {
            Some(("**", _)) => {}
            Some(_) => unknown(value, path, found),
            None => {
                let meant = closest(key, beside().map(|(name, _)| name));
                let meant = meant.map(|name| [&path[..at], &[name]].concat().join("."));
                found.push(UnknownKey { path: path.join("."), meant });
            }
        }
        path.pop();
    }
}

/// The name that a known path has behind a path, and the rest of it.
fn next<'a>(known: &'a str, path: &[&str]) -> Option<(&'a str, Option<&'a str>)> {
    let mut rest = Some(known);
    for name in path {
        let (first, more) = split(rest?);
        if first != "*" && first != *name {
            return None;
        }
        rest = more;
    }
    rest.map(split)
}

fn split(path: &str) -> (&str, Option<&str>) {
    path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Home;

    fn unknown_keys(settings: &str) -> Vec<(String, Option<String>)> {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        std::fs::write(home.settings_path(), settings).unwrap();
        home.settings().unwrap().unknown_keys().into_iter().map(|key| (key.path, key.meant)).collect()
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
        for known in KNOWN.iter().filter(|known| **known != "$schema") {
            let last = known.trim_end_matches(".**").rsplit('.').next().unwrap();
            assert!(section.contains(last), "docs/files.md says nothing of `{known}`");
        }
    }
}
