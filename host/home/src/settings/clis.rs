//! `clis`: settings of each AI CLI.

use aiw_core::CliKind;
use schemars::JsonSchema;
use serde_json::Value;

use super::Settings;

/// Settings of one AI CLI: `clis.<cli>`.
#[warn(missing_docs)]
#[derive(Debug, Clone, Default, PartialEq, Eq, JsonSchema)]
pub struct CliSettings {
    /// `default` or `edit`, for runs that don't say. A value that isn't text appears as JSON.
    pub permission: Option<String>,
}

/// `clis`
#[derive(JsonSchema)]
#[expect(dead_code, reason = "its schema is used")]
pub(super) struct Clis {
    claude: CliSettings,
    codex: CliSettings,
    gemini: CliSettings,
}

impl Settings {
    /// `clis.<cli>`
    pub fn cli(&self, cli: CliKind) -> CliSettings {
        let permission = self.document.get(&["clis", cli.as_str(), "permission"]).map(|word| match word {
            Value::String(word) => word.clone(),
            other => other.to_string(),
        });
        CliSettings { permission }
    }
}
