//! What the user answered to a plan.

use std::collections::BTreeMap;

use aiw_servers::Given;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The treatment of a taken key of mcp.json.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnConflict {
    /// Ours replaces theirs; removal brings theirs back.
    Overwrite,
    /// Ours is not added.
    Skip,
    /// Ours is called `<plugin>-<server>`.
    Rename,
}

/// The user's answers.
#[derive(Debug, Clone, Default)]
pub struct InstallAnswers {
    /// Variables and options, by the name in the placeholder.
    pub values: BTreeMap<String, Given>,
    /// For every clash without its own answer.
    pub on_conflict: Option<OnConflict>,
    /// By key.
    pub conflicts: BTreeMap<String, OnConflict>,
}

impl InstallAnswers {
    /// Takes what was typed for a value. Returns whether it is kept: a secret never is, as if it had not been given,
    /// so that the placeholder stays.
    pub fn give(&mut self, name: &str, value: &str) -> bool {
        let given = Given::parse(value);
        let is_kept = !matches!(&given, Given::Literal(value) if aiw_core::is_secret(name, value));
        if is_kept {
            self.values.insert(name.to_owned(), given);
        }
        is_kept
    }
}
