//! The APIs that AI CLIs speak and providers offer.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::InvalidName;

crate::words! {
    /// An API maker that an AI CLI can be pointed at. OpenAI's two APIs share one address.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Family, "API family" {
        /// Anthropic Messages.
        Anthropic = "anthropic",
        /// OpenAI Responses and Chat Completions.
        Openai = "openai",
        /// Gemini API.
        Gemini = "gemini",
    }
}

/// An API for calling models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Api {
    /// Anthropic's `POST /v1/messages`.
    Messages,
    /// OpenAI's `POST /responses`.
    Responses,
    /// OpenAI's `POST /chat/completions`.
    ChatCompletions,
    /// Gemini's `POST /v1beta/models/MODEL:generateContent`, and the streaming one.
    GenerateContent,
}

impl Api {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Messages, Self::Responses, Self::ChatCompletions, Self::GenerateContent];

    /// The family whose address it uses.
    pub const fn family(self) -> Family {
        match self {
            Self::Messages => Family::Anthropic,
            Self::Responses | Self::ChatCompletions => Family::Openai,
            Self::GenerateContent => Family::Gemini,
        }
    }

    /// Its name in files and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Responses => "responses",
            Self::ChatCompletions => "chat-completions",
            Self::GenerateContent => "generate-content",
        }
    }

    /// Its human-readable name.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Messages => "Anthropic Messages",
            Self::Responses => "OpenAI Responses",
            Self::ChatCompletions => "OpenAI Chat Completions",
            Self::GenerateContent => "the Gemini API",
        }
    }
}

impl FromStr for Api {
    type Err = InvalidName;
    fn from_str(name: &str) -> Result<Self, InvalidName> {
        let known = Self::ALL.into_iter().find(|api| api.as_str() == name);
        known.ok_or(InvalidName {
            what: "API",
            name: name.to_owned(),
            why: "is not `messages`, `responses`, `chat-completions` or `generate-content`",
        })
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.label())
    }
}
