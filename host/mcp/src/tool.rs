//! Tools as clients see them.

use serde_json::{Map, Value, json};

/// The effect of a tool call. Clients use it to decide whether to ask the user first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolEffect {
    /// It only reads. Codex runs such a tool without approval.
    ReadOnly,
    /// The tool may change or end existing state.
    Mutating {
        /// A second call with the same arguments changes nothing more.
        idempotent: bool,
        /// Whether it reaches beyond this machine's own state.
        open_world: bool,
    },
}

impl ToolEffect {
    /// The annotations that say so. <https://modelcontextprotocol.io/specification/2025-11-25/schema#toolannotations>
    pub fn annotations(self) -> Value {
        match self {
            Self::ReadOnly => json!({"readOnlyHint": true, "openWorldHint": false}),
            Self::Mutating { idempotent, open_world } => json!({
                "readOnlyHint": false,
                "destructiveHint": true,
                "idempotentHint": idempotent,
                "openWorldHint": open_world,
            }),
        }
    }
}

/// A tool's definition as JSON. Another server's definition is kept exactly as that server sent it.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    name: String,
    definition: Value,
}

impl Tool {
    /// A tool with the JSON Schema of its arguments. That of its answer would cost a client more than all the rest, and
    /// a model reads the answer itself.
    pub fn new(name: &str, title: &str, description: &str, effect: ToolEffect, input: Value) -> Self {
        let definition = json!({
            "name": name,
            "title": title,
            "description": description,
            "inputSchema": schema(input),
            "annotations": effect.annotations(),
        });
        Self { name: name.to_owned(), definition }
    }

    /// A tool as another server defines it, under its name there; none if it has no name.
    pub fn from_definition(definition: Value) -> Option<Self> {
        let name = definition.get("name")?.as_str()?.to_owned();
        Some(Self { name, definition })
    }

    /// Shows the tool to the model from the start: Claude Code keeps the others behind a search.
    #[must_use]
    pub fn with_always_load(mut self) -> Self {
        self.definition["_meta"] = json!({"anthropic/alwaysLoad": true});
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole definition.
    pub fn definition(&self) -> &Value {
        &self.definition
    }
}

/// A schema must be an object; anything else would allow everything.
fn schema(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
