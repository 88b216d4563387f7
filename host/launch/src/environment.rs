//! The environment of a CLI: the user's, without the variables that make a CLI think that it runs inside another one,
//! and with those that send it to the provider.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use aiw_core::ProviderName;
use aiw_providers::{MANAGED_VARIABLES_ENV, WITHHELD_VARIABLE};

/// The variables by which CLIs describe themselves to their children. A CLI that finds them refuses to start, answers
/// as a helper of the CLI above, or writes into its session.
const NESTED_SESSION_VARIABLES: [&str; 14] = [
    "CLAUDECODE",
    "CLAUDE_CODE_CHILD_SESSION",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_EXECPATH",
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_CODE_SSE_PORT",
    "CLAUDE_PID",
    "CLAUDE_PROJECT_DIR",
    "CLAUDE_SESSION_ID",
    "CODEX_THREAD_ID",
    "GEMINI_CLI",
    "GEMINI_CLI_NO_RELAUNCH",
    ProviderName::VARIABLE,
    aiw_tasks::TASK_VARIABLE,
];

/// Variables by name.
#[derive(Clone, Default)]
pub(crate) struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// Returns the given variables without those of a CLI above.
    pub(crate) fn from_parent(variables: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let mut all = Self(
            variables.filter(|(name, _)| !NESTED_SESSION_VARIABLES.iter().any(|nesting| name == nesting)).collect(),
        );
        let set = all
            .0
            .remove(OsStr::new(MANAGED_VARIABLES_ENV))
            .and_then(|names| names.into_string().ok())
            .unwrap_or_default();
        for name in set.split(',') {
            all.0.remove(OsStr::new(name));
        }
        all
    }

    /// Removes variables that a run under a provider does not get. Returns those that were there.
    pub(crate) fn withhold(&mut self, is_withheld: impl Fn(&str) -> bool) -> BTreeSet<String> {
        let names: BTreeSet<String> = self.names().filter(|name| is_withheld(name)).map(str::to_owned).collect();
        names.iter().for_each(|name| self.unset(name));
        names
    }

    /// Tells an aiw that this CLI starts which variables were withheld, here or further out.
    pub(crate) fn export_unset_names(&mut self, names: &BTreeSet<String>) {
        let outer = self.get(WITHHELD_VARIABLE).and_then(OsStr::to_str).unwrap_or_default().to_owned();
        let outer = outer.split(',').filter(|name| !name.is_empty());
        let all: BTreeSet<&str> = outer.chain(names.iter().map(String::as_str)).collect();
        if !all.is_empty() {
            self.set(WITHHELD_VARIABLE, all.into_iter().collect::<Vec<_>>().join(","));
        }
    }

    /// Records which variables are for this CLI alone.
    pub(crate) fn record_non_inherited<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        let names: Vec<&str> = names.filter(|name| self.get(name).is_some()).collect();
        if !names.is_empty() {
            self.0.insert(MANAGED_VARIABLES_ENV.into(), names.join(",").into());
        }
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.0.insert(name.into(), value.into());
    }

    pub(crate) fn unset(&mut self, name: &str) {
        self.0.remove(OsStr::new(name));
    }

    /// Returns the names that are valid text.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().filter_map(|name| name.to_str())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// Returns the path that a variable names, if it is not empty.
    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    pub(crate) fn into_pairs(self) -> Vec<(OsString, OsString)> {
        self.0.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_for_a_cli_is_not_for_those_that_it_starts() {
        let mut environment = Environment::from_parent([("MINE".into(), "1".into())].into_iter());
        environment.set("ANTHROPIC_AUTH_TOKEN", "secret");
        environment.record_non_inherited(["ANTHROPIC_AUTH_TOKEN", "NOT_THERE"].into_iter());
        let inner = Environment::from_parent(environment.into_pairs().into_iter());
        let names: Vec<OsString> = inner.into_pairs().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["MINE"]);
    }

    #[test]
    fn nothing_of_a_cli_above_is_left() {
        let variables = ["CLAUDECODE", "CLAUDE_CODE_ENTRYPOINT", "GEMINI_CLI", "PATH", "CLAUDE_CONFIG_DIR"];
        let environment = Environment::from_parent(variables.iter().map(|name| (name.into(), "1".into())));
        let names: Vec<OsString> = environment.into_pairs().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["CLAUDE_CONFIG_DIR", "PATH"]);
    }
}
