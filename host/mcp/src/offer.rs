//! What a server offers, and what a call answers.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::Tool;

/// What a server says of itself.
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
    /// What it says of itself.
    fn about(&self) -> About;

    /// The tools that there are now; taken as they are, so it must be at hand.
    fn tools(&self) -> Arc<[Tool]>;

    /// A signal that is sent each time the tools change. The client is told so (`list_changed`).
    fn changes(&self) -> watch::Receiver<()>;

    /// Calls a tool. What goes wrong is an answer too: clients hide errors of the protocol from
    /// the model.
    async fn call(&self, name: &str, arguments: Map<String, Value>, cancelled: Cancelled) -> Answer;
}

/// What a tool answers: a `CallToolResult` as JSON. Some clients show the model only the text, others only the
/// structure: an answer of our own holds every fact in both.
///
/// <https://modelcontextprotocol.io/specification/2025-11-25/schema#calltoolresult>
#[derive(Debug, Clone, PartialEq)]
pub struct Answer(Map<String, Value>);

impl Answer {
    /// An answer whose text is its structure.
    pub fn of(structure: Value) -> Self {
        let mut answer = Self::text(&format!("{structure:#}"), false);
        answer.0.insert("structuredContent".into(), structure);
        answer
    }

    /// Why a call failed, for the model. It has no structure: that would have to fit the schema.
    pub fn error(text: impl AsRef<str>) -> Self {
        Self::text(text.as_ref(), true)
    }

    /// What another server answered, as it is: content of a kind that is not known here, and fields too.
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
    /// Whether the client has taken the call back. A client that has only gone away has not.
    pub fn is_taken_back(&self) -> bool {
        self.request.is_cancelled()
    }

    /// Waits until nobody waits for the answer any more: the call was taken back, or the client
    /// has gone away.
    pub async fn nobody_waits(&self) {
        tokio::select! {
            () = self.request.cancelled() => {}
            () = self.gone.cancelled() => {}
        }
    }
}
