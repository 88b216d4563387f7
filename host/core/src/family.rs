use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{CliKind, InvalidName};

/// An API by which an AI CLI reaches models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Anthropic Messages.
    Anthropic,
    /// OpenAI Responses.
    Openai,
    /// Gemini API.
    Gemini,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Anthropic, Self::Openai, Self::Gemini];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::Openai => "openai",
            Self::Gemini => "gemini",
        }
    }
}

impl CliKind {
    /// The API that the CLI speaks.
    pub const fn family(self) -> Family {
        match self {
            Self::Claude => Family::Anthropic,
            Self::Codex => Family::Openai,
            Self::Gemini => Family::Gemini,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Family {
    type Err = InvalidName;
    fn from_str(name: &str) -> Result<Self, InvalidName> {
        let known = Self::ALL.into_iter().find(|family| family.as_str() == name);
        known.ok_or(InvalidName {
            what: "API family",
            name: name.to_owned(),
            why: "is none of `anthropic`, `openai` and `gemini`",
        })
    }
}
