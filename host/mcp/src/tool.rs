use std::sync::Arc;

use rmcp::model::{MetaObject, ToolAnnotations};
use serde_json::{Map, Value, json};

/// What a call of a tool changes. Clients decide by it whether to ask the user first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing. Codex runs such a tool without being told that it may.
    Reads,
    /// It may change or end what is there.
    Changes {
        /// A second call with the same arguments changes nothing more.
        idempotent: bool,
        /// It reaches beyond this machine's own state.
        open_world: bool,
    },
}

impl Effect {
    fn annotations(self) -> ToolAnnotations {
        match self {
            Self::Reads => ToolAnnotations::new().read_only(true).open_world(false),
            Self::Changes { idempotent, open_world } => {
                ToolAnnotations::new().read_only(false).destructive(true).idempotent(idempotent).open_world(open_world)
            }
        }
    }
}

/// A tool as clients are told of it. A clone is cheap.
#[derive(Debug, Clone)]
pub struct Tool(pub(crate) rmcp::model::Tool);

impl Tool {
    /// A tool with the JSON Schemas of its arguments and of its structured answer.
    pub fn new(
        name: &'static str,
        title: &str,
        description: &'static str,
        effect: Effect,
        input: Value,
        output: Value,
    ) -> Self {
        let tool = rmcp::model::Tool::new(name, description, object(input))
            .with_title(title)
            .with_raw_output_schema(object(output))
            .with_annotations(effect.annotations());
        Self(tool)
    }

    /// The same, shown to the model from the start: Claude Code keeps the others behind a search.
    #[must_use]
    pub fn always_loaded(mut self) -> Self {
        let meta = object(json!({"anthropic/alwaysLoad": true}));
        self.0 = self.0.with_meta(MetaObject(Arc::unwrap_or_clone(meta)));
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }
}

/// A schema is an object; anything else would allow everything.
fn object(value: Value) -> Arc<Map<String, Value>> {
    match value {
        Value::Object(map) => Arc::new(map),
        _ => Arc::default(),
    }
}
