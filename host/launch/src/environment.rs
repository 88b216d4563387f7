//! The environment of a CLI: the user's, without what makes a CLI think that it runs inside
//! another one, with what the provider's launch plan says.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use aiw_core::EnvName;

/// What CLIs tell their children of themselves. A CLI that finds them refuses to start, answers
/// as a helper of the one above, or writes into its session.
const NESTING: [&str; 13] = [
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
    aiw_tasks::TASK_VARIABLE,
];

/// Variables by name.
#[derive(Clone, Default)]
pub(crate) struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// The given variables without those of a CLI above.
    pub(crate) fn inherited(variables: impl Iterator<Item = (OsString, OsString)>) -> Self {
        Self(variables.filter(|(name, _)| !NESTING.iter().any(|nesting| name == nesting)).collect())
    }

    pub(crate) fn set(&mut self, name: &EnvName, value: impl Into<OsString>) {
        self.0.insert(name.as_str().into(), value.into());
    }

    pub(crate) fn unset(&mut self, name: &EnvName) {
        self.0.remove(OsStr::new(name.as_str()));
    }

    pub(crate) fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    pub(crate) fn into_pairs(self) -> Vec<(OsString, OsString)> {
        self.0.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_cli_above_is_left() {
        let variables = ["CLAUDECODE", "CLAUDE_CODE_ENTRYPOINT", "GEMINI_CLI", "PATH", "CLAUDE_CONFIG_DIR"];
        let environment = Environment::inherited(variables.iter().map(|name| (name.into(), "1".into())));
        let names: Vec<OsString> = environment.into_pairs().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["CLAUDE_CONFIG_DIR", "PATH"]);
    }
}
