//! Messages as programs see them.

use aiw_home::format_rfc3339;
use schemars::JsonSchema;
use serde::Serialize;

use crate::StoredMessage;

/// A message in `aiw history show`
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
pub struct HistoryMessage {
    /// Its id in the transcript
    pub uuid: String,
    /// When it was said; null if unknown
    pub time: Option<String>,
    /// `user`, `assistant` or `tool`
    pub role: &'static str,
    /// The tools that it calls or answers for
    pub tools: Vec<String>,
    /// The subagent that said it, or was told it
    pub agent: Option<String>,
    /// The text
    pub text: String,
    /// The transcript
    pub path: String,
}

impl HistoryMessage {
    /// A message that is stored.
    pub fn new(message: &StoredMessage) -> Self {
        Self {
            uuid: message.uuid.clone(),
            time: message.time.and_then(format_rfc3339),
            role: message.role.as_str(),
            tools: message.tools.clone(),
            agent: message.agent.clone(),
            text: message.text.clone(),
            path: message.path.to_string_lossy().into_owned(),
        }
    }
}
