//! What a server offers, and what a call answers.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::Tool;

/// What a server says about itself.
#[derive(Debug, Clone)]
pub struct About {
    /// The name that clients know it by.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What a model should know before it uses the tools.
    pub instructions: String,
}

/// What a server offers.
#[async_trait]
pub trait Offer: Send + Sync {
    /// What it says about itself.
    fn about(&self) -> About;

    /// The current tools. This must return at once.
    fn tools(&self) -> Arc<[Tool]>;

    /// A signal that fires each time the tools change. The client is notified (`list_changed`).
    fn changes(&self) -> watch::Receiver<()>;

    /// Calls a tool. A failure is also an answer, because clients hide protocol errors from the model.
    async fn call(&self, name: &str, arguments: Map<String, Value>, cancelled: Cancelled) -> Answer;
}

/// What a tool answers: a `CallToolResult` as JSON. Some clients show the model only the text, others only the
/// structure, so our own answers hold every fact in both.
///
/// <https://modelcontextprotocol.io/specification/2025-11-25/schema#calltoolresult>
#[derive(Debug, Clone, PartialEq)]
pub struct Answer(Map<String, Value>);

impl Answer {
    /// An answer whose text is its structured content.
    pub fn of(structure: Value) -> Self {
        let mut answer = Self::text(&format!("{structure:#}"), false);
        answer.0.insert("structuredContent".into(), structure);
        answer
    }

    /// Why a call failed, for the model. It has no structured content, which would have to match the schema.
    pub fn error(text: impl AsRef<str>) -> Self {
        Self::text(text.as_ref(), true)
    }

    /// What another server answered, unchanged, including unknown kinds of content and fields.
    pub fn foreign(result: Map<String, Value>) -> Self {
        Self(result)
    }

    fn text(text: &str, is_error: bool) -> Self {
        let mut answer = Map::new();
        answer.insert("content".into(), json!([{"type": "text", "text": text}]));
        answer.insert("isError".into(), is_error.into());
        Self(answer)
    }

    /// The whole answer.
    pub fn into_value(self) -> Map<String, Value> {
        self.0
    }
}

/// Whether a call is still wanted.
#[derive(Debug, Clone)]
pub struct Cancelled {
    pub(crate) request: CancellationToken,
    pub(crate) gone: CancellationToken,
}

impl Cancelled {
    /// Whether the client has cancelled the call. A client that only disconnected has not.
    pub fn is_taken_back(&self) -> bool {
        self.request.is_cancelled()
    }

    /// Waits until no one needs the answer anymore: the call was cancelled, or the client disconnected.
    pub async fn nobody_waits(&self) {
        tokio::select! {
            () = self.request.cancelled() => {}
            () = self.gone.cancelled() => {}
        }
    }
}
