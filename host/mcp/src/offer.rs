//! What a server offers, and what a call answers.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use crate::{Arguments, Call, Caller, RpcError, Tool};

/// A server's description of itself.
#[derive(Debug, Clone)]
pub struct ServerDescription {
    /// The name that clients know it by.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Instructions that a model should read before it uses the tools.
    pub instructions: String,
    /// Its capabilities besides tools, in the protocol's form: `{"prompts": {"listChanged": true}}`.
    pub capabilities: Map<String, Value>,
}

/// The offer of a server.
#[async_trait]
pub trait ServerBackend: Send + Sync {
    /// Returns the server's description of itself.
    fn describe(&self) -> ServerDescription;

    /// The current tools. This must return at once.
    fn tools(&self) -> Arc<[Tool]>;

    /// A client has begun a session. The offer notifies it of changes: `notifications/tools/list_changed`.
    async fn on_session_start(&self, client: Caller);

    /// Calls a tool. Clients hide an error of the protocol from the model, so a failure of our own is an answer too.
    async fn call(&self, name: &str, arguments: Arguments, call: Call) -> Result<ToolResult, RpcError>;

    /// Answers any other request: `prompts/get`, `resources/read`.
    async fn request(&self, method: &str, params: Option<Value>, call: Call) -> Result<Value, RpcError> {
        let _ = (params, call);
        Err(RpcError::method_not_found(method))
    }

    /// The client notifies the server: `notifications/roots/list_changed`.
    async fn on_notification(&self, method: &str, params: Option<Value>) {
        let _ = (method, params);
    }
}

/// A tool's answer: a `CallToolResult` as JSON. Some clients show the model only the text, others only the structure,
/// so our own answers hold every fact in both.
///
/// <https://modelcontextprotocol.io/specification/2025-11-25/schema#calltoolresult>
#[derive(Debug, Clone)]
pub struct ToolResult(ToolResultContent);

#[derive(Debug, Clone)]
enum ToolResultContent {
    Parsed(Map<String, Value>),
    Raw(Box<RawValue>),
}

impl ToolResult {
    /// An answer whose text is its structured content.
    pub fn from_structured(structure: Value) -> Self {
        let mut answer = text(&format!("{structure:#}"), false);
        answer.insert("structuredContent".into(), structure);
        Self::from_map(answer)
    }

    /// Why a call failed, for the model. It has no structured content, which would have to match the schema.
    pub fn error(text: impl AsRef<str>) -> Self {
        Self::from_map(self::text(text.as_ref(), true))
    }

    /// Returns another server's answer, unchanged, including unknown kinds of content and fields.
    pub fn from_map(result: Map<String, Value>) -> Self {
        Self(ToolResultContent::Parsed(result))
    }

    /// Returns another server's answer as it was written. It must be an object.
    pub fn from_raw(result: Box<RawValue>) -> Self {
        Self(ToolResultContent::Raw(result))
    }

    /// The whole answer.
    pub fn into_map(self) -> Map<String, Value> {
        match self.0 {
            ToolResultContent::Parsed(answer) => answer,
            ToolResultContent::Raw(answer) => serde_json::from_str(answer.get())
                .unwrap_or_else(|_| text("the answer is nested too deeply for this version of the protocol", true)),
        }
    }

    /// The whole answer as JSON.
    pub(crate) fn into_raw(self) -> Box<RawValue> {
        match self.0 {
            ToolResultContent::Parsed(answer) => to_raw_value(&answer).unwrap_or_default(),
            ToolResultContent::Raw(answer) => answer,
        }
    }
}

fn text(text: &str, is_error: bool) -> Map<String, Value> {
    let mut answer = Map::new();
    answer.insert("content".into(), json!([{"type": "text", "text": text}]));
    answer.insert("isError".into(), is_error.into());
    answer
}
