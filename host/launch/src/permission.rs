//! What a CLI may do without asking.

use std::fmt;
use std::str::FromStr;

use aiw_core::InvalidName;
use serde::{Deserialize, Serialize};

/// The actions that a CLI takes without asking, in each CLI's own safe modes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// Whatever the CLI allows by default.
    #[default]
    Default,
    /// Editing files of the project: `acceptEdits`, `workspace-write`, `auto_edit`.
    Edit,
}

impl Permission {
    /// Returns the word on the command line and in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Edit => "edit",
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Permission {
    type Err = InvalidName;
    fn from_str(name: &str) -> Result<Self, InvalidName> {
        match name {
            "default" => Ok(Self::Default),
            "edit" => Ok(Self::Edit),
            _ => Err(InvalidName { what: "permission", name: name.to_owned(), why: "is neither `default` nor `edit`" }),
        }
    }
}
