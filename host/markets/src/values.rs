//! What the user answered to a plan.

use std::collections::BTreeMap;

use aiw_core::Secret;
use aiw_servers::Replacement;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The treatment of a taken key of mcp.json.
#[warn(missing_docs)]
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
    pub values: BTreeMap<String, Replacement>,
    /// Secrets for the vault, by the same names.
    pub secrets: BTreeMap<String, Secret>,
    /// For every clash without its own answer.
    pub on_conflict: Option<OnConflict>,
    /// By key.
    pub conflicts: BTreeMap<String, OnConflict>,
}

impl InstallAnswers {
    /// Takes what was typed for a value: a secret goes to the vault.
    pub fn set_value(&mut self, name: &str, value: &str) {
        match Replacement::parse(value) {
            Replacement::Literal(text) if !text.is_empty() && aiw_core::is_secret(name, &text) => {
                self.set_secret(name, Secret::new(text));
            }
            given => drop(self.values.insert(name.to_owned(), given)),
        }
    }

    /// Takes a secret for the vault.
    pub fn set_secret(&mut self, name: &str, secret: Secret) {
        self.secrets.insert(name.to_owned(), secret);
    }

    /// Whether it gives no value.
    pub fn has_no_values(&self) -> bool {
        self.values.is_empty() && self.secrets.is_empty()
    }
}
