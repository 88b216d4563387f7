//! What a reader of transcripts hands to the store.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most bytes of a message's text that are kept.
pub const MAX_TEXT: usize = 16 << 10;

/// An AI CLI that writes transcripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Cli {
    /// Claude Code.
    Claude,
    /// Codex.
    Codex,
    /// Gemini CLI.
    Gemini,
}

impl Cli {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Claude, Self::Codex, Self::Gemini];

    /// Its name, as its program has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
        }
    }
}

/// Who said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The person.
    User,
    /// The model.
    Assistant,
    /// A tool that the model called.
    Tool,
}

impl Role {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::User, Self::Assistant, Self::Tool];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

/// A word that names nothing of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not one of: {known}")]
pub struct UnknownName {
    word: String,
    known: String,
}

impl UnknownName {
    fn new(word: &str, known: &[&str]) -> Self {
        Self { word: aiw_core::one_line(word, 80), known: known.join(", ") }
    }
}

impl FromStr for Cli {
    type Err = UnknownName;

    fn from_str(word: &str) -> Result<Self, UnknownName> {
        let known = Self::ALL.map(Self::as_str);
        Self::ALL.into_iter().find(|cli| cli.as_str() == word).ok_or_else(|| UnknownName::new(word, &known))
    }
}

impl FromStr for Role {
    type Err = UnknownName;

    fn from_str(word: &str) -> Result<Self, UnknownName> {
        let known = Self::ALL.map(Self::as_str);
        Self::ALL.into_iter().find(|role| role.as_str() == word).ok_or_else(|| UnknownName::new(word, &known))
    }
}

/// Something that a person, a model or a tool said in a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The transcript's own id of it. Where a CLI gives none, one that is derived from the session and the position in
    /// it, and so is the same whenever the transcript is read.
    pub uuid: String,
    /// The transcript's own session id. A subagent's messages belong to the session that started it.
    pub session: String,
    /// The directory of the project. Empty if unknown.
    pub project: String,
    /// In milliseconds since 1970. `None` if absent or absurd.
    pub time: Option<i64>,
    /// Who said it.
    pub role: Role,
    /// The names of the tools that it calls or answers for.
    pub tools: Vec<String>,
    /// What was said, without secrets: at most [`MAX_TEXT`] bytes.
    pub text: String,
    /// The id of the subagent that said it, or was told it.
    pub agent: Option<String>,
    /// Where its line starts in the transcript.
    pub offset: u64,
}
