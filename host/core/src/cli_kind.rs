//! The AI CLIs by name.

use serde::{Deserialize, Serialize};

crate::string_enum! {
    /// An AI coding CLI that aiw knows.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum CliKind, "AI CLI" {
        /// Claude Code.
        Claude = "claude",
        /// Codex.
        Codex = "codex",
        /// Gemini CLI.
        Gemini = "gemini",
    }
}
