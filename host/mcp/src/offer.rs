use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};
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

    /// Calls a tool. What goes wrong is an answer too: clients hide errors of the protocol from
    /// the model.
    async fn call(&self, name: &str, arguments: Map<String, Value>, cancelled: Cancelled) -> Answer;
}

/// What a tool answers. Some clients show the model only the text, others only the structure:
/// both hold every fact.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// For the clients that show text.
    pub text: String,
    /// For those that show structure; it fits the tool's output schema. None for an error.
    pub structured: Option<Value>,
    /// Whether the call failed.
    pub is_error: bool,
}

impl Answer {
    /// An answer whose text is its structure.
    pub fn of(value: Value) -> Self {
        Self { text: format!("{value:#}"), structured: Some(value), is_error: false }
    }

    /// Why a call failed, for the model. It has no structure: that would have to fit the schema.
    pub fn error(text: impl Into<String>) -> Self {
        Self { text: text.into(), structured: None, is_error: true }
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
