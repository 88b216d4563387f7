//! What a reader of transcripts hands to the store.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most bytes of a message's text that are kept.
pub const MAX_TEXT: usize = 256 << 10;

aiw_core::string_enum! {
    /// The author of a message.
    #[warn(missing_docs)]
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum MessageAuthor, "role" {
        /// The person.
        User = "user",
        /// The model.
        Assistant = "assistant",
        /// A tool that the model called.
        Tool = "tool",
    }
}

/// Something that a person, a model or a tool said in a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionMessage {
    /// The transcript's own id of it. Where a CLI gives none, one that is derived from the session and the position in
    /// it, and so is the same whenever the transcript is read.
    pub uuid: String,
    /// The transcript's own session id. A subagent's messages belong to the session that started it.
    pub session: String,
    /// The directory of the project. Empty if unknown.
    pub project: String,
    /// In milliseconds since 1970. `None` if absent or absurd.
    pub time: Option<i64>,
    /// The author.
    pub role: MessageAuthor,
    /// The names of the tools that it calls or answers for.
    pub tools: Vec<String>,
    /// The text, without secrets: at most [`MAX_TEXT`] bytes.
    pub text: String,
    /// The id of the subagent that said it, or was told it.
    pub agent: Option<String>,
    /// Where its line starts in the transcript.
    pub offset: u64,
}
