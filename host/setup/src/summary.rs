//! The shapes of `aiw setup --json`.

use schemars::JsonSchema;
use serde::Serialize;

use crate::plan::{FileChange, SetupPlan};

/// The change of a setup to one file.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ClientChange {
    /// The file
    pub path: String,
    /// The lines that are added and removed, without the values of your own entries
    pub lines: Vec<String>,
}

impl ClientChange {
    /// Returns the change of a file.
    pub(crate) fn new(file: &FileChange) -> Self {
        Self { path: file.path.display().to_string(), lines: file.lines.clone() }
    }
}

/// The changes of a setup for one client.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ClientSummary {
    /// The client: `claude`, `codex`, …
    pub client: String,
    /// The file in which it keeps its servers
    pub file: String,
    /// Whether anything changes
    pub changed: bool,
    /// The changes
    pub changes: Vec<ClientChange>,
    /// The names of the servers that move to mcp.json
    pub imported: Vec<String>,
    /// The names of the secrets that move to the vault
    pub secrets: Vec<String>,
    /// Notes for you, a sentence each
    pub notes: Vec<String>,
}

impl ClientSummary {
    /// Returns the changes of a plan.
    pub fn new(plan: &SetupPlan) -> Self {
        Self {
            client: plan.client.id.to_owned(),
            file: plan.file.display().to_string(),
            changed: !plan.is_empty(),
            changes: plan.files().iter().map(ClientChange::new).collect(),
            imported: plan.imported.clone(),
            secrets: plan.new_secrets.iter().map(|(name, _)| name.to_string()).collect(),
            notes: plan.notes.clone(),
        }
    }
}
