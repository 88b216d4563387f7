//! Answers for clients that wait for the whole.

use serde_json::{Map, Value};

use crate::event::{Event, RequestUsage, StopReason};
use crate::reasoning::ReasoningProof;

/// An answer whose parts were put together.
#[derive(Debug, Default)]
pub(crate) struct CollectedResponse {
    pub parts: Vec<CollectedPart>,
    pub usage: RequestUsage,
    pub stop_reason: Option<StopReason>,
}

#[derive(Debug)]
pub(crate) enum CollectedPart {
    Text(String),
    Thought { text: String, proof: Option<ReasoningProof> },
    Call { id: String, name: String, arguments: String },
}

impl CollectedResponse {
    pub(crate) fn add(&mut self, event: Event<'_>) {
        match (event, self.parts.last_mut()) {
            (Event::Text(text), Some(CollectedPart::Text(all))) => all.push_str(&text),
            (Event::Text(text), _) => self.parts.push(CollectedPart::Text(text.into_owned())),
            (Event::Thought(text), Some(CollectedPart::Thought { text: all, proof: None })) => all.push_str(&text),
            (Event::Thought(text), _) => {
                self.parts.push(CollectedPart::Thought { text: text.into_owned(), proof: None });
            }
            (Event::ReasoningProof(given), Some(CollectedPart::Thought { proof: proof @ None, .. })) => {
                *proof = Some(given)
            }
            (Event::ReasoningProof(given), _) => {
                self.parts.push(CollectedPart::Thought { text: String::new(), proof: Some(given) });
            }
            (Event::Call { id, name }, _) => self.parts.push(CollectedPart::Call {
                id: id.into_owned(),
                name: name.into_owned(),
                arguments: String::new(),
            }),
            (Event::Arguments(piece), Some(CollectedPart::Call { arguments, .. })) => arguments.push_str(&piece),
            _ => {}
        }
    }

    pub(crate) fn has_calls(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, CollectedPart::Call { .. }))
    }
}

/// Reads a call's arguments. Those that are no object become one, so that the tool can say what is wrong.
pub(crate) fn parse_object(arguments: &str) -> Value {
    match aiw_core::from_foreign_json(arguments.as_bytes()) {
        Ok(Value::Object(object)) => Value::Object(object),
        Ok(Value::Null) => Value::Object(Map::new()),
        _ if arguments.trim().is_empty() => Value::Object(Map::new()),
        _ => serde_json::json!({"input": arguments}),
    }
}

/// Reads the text that the arguments of a call wrap. A model that did not keep to the wrapping gave the text itself.
pub(crate) fn extract_text(arguments: &str) -> String {
    parse_object(arguments)["input"].as_str().map_or_else(|| arguments.to_owned(), str::to_owned)
}
