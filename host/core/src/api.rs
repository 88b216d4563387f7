//! The APIs that AI CLIs speak and providers offer.

use serde::{Deserialize, Serialize};

crate::string_enum! {
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

crate::string_enum! {
    /// An API for calling models.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum Api, "API" {
        /// Anthropic's `POST /v1/messages`.
        Messages = "messages" => "Anthropic Messages",
        /// OpenAI's `POST /responses`.
        Responses = "responses" => "OpenAI Responses",
        /// OpenAI's `POST /chat/completions`.
        ChatCompletions = "chat-completions" => "OpenAI Chat Completions",
        /// Gemini's `POST /v1beta/models/MODEL:generateContent`, and the streaming one.
        GenerateContent = "generate-content" => "the Gemini API",
    }
}

impl Api {
    /// The family whose address it uses.
    pub const fn family(self) -> Family {
        match self {
            Self::Messages => Family::Anthropic,
            Self::Responses | Self::ChatCompletions => Family::Openai,
            Self::GenerateContent => Family::Gemini,
        }
    }
}
