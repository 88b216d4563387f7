//! What a CLI may do without asking.

use serde::{Deserialize, Serialize};

aiw_core::string_enum! {
    /// The actions that a CLI takes without asking, in each CLI's own safe modes.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Permission, "permission" {
        /// Whatever the CLI allows by default.
        #[default]
        Default = "default",
        /// Editing files of the project: `acceptEdits`, `workspace-write`, `auto_edit`.
        Edit = "edit",
    }
}
