//! What a request and its answer share.

use aiw_core::Api;

use crate::conversation::{Ids, Part};
use crate::names::ToolNames;
use crate::reasoning::{Proof, ReasoningBlob};
use crate::request::SecretMask;

/// One request and its answer.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub client: Api,
    pub upstream: Api,
    /// The model, as the client called it. Answers repeat it letter by letter.
    pub asked: String,
    pub family: String,
    pub model: String,
    pub names: ToolNames,
    pub ids: Ids,
    /// The seed of this answer's ids.
    pub seed: String,
    /// When the request came, in seconds since 1970.
    pub created: u64,
    pub is_streamed: bool,
    /// Whether the client wants the tokens at the end of the events (Chat Completions).
    pub wants_usage: bool,
    /// Whether reasoning is marked although both sides speak one dialect.
    pub marks_thoughts: bool,
    pub mask: SecretMask,
}

impl Exchange {
    /// Returns a record if it is of this upstream. Another one's reasoning is never sent.
    pub fn own<'c>(&self, carried: &'c ReasoningBlob) -> Option<&'c ReasoningBlob> {
        (carried.family == self.family && carried.model == self.model).then_some(carried)
    }

    /// Returns the records of a part that are of this upstream, each with the words of it that the client kept.
    pub fn own_parts<'p>(&self, part: &'p Part<'_>) -> Vec<(ReasoningBlob, &'p str)> {
        let (carried, kept) = match part {
            Part::Thought { text, carried } => (carried, &**text),
            Part::Call(call) => (&call.carried, ""),
            _ => return Vec::new(),
        };
        let all = carried.clone().into_iter().flat_map(ReasoningBlob::all);
        all.filter(|one| self.own(one).is_some()).map(|one| (one, kept)).collect()
    }

    pub fn record(&self, proof: Proof, text: String) -> ReasoningBlob {
        ReasoningBlob { family: self.family.clone(), model: self.model.clone(), proof, text, next: Vec::new() }
    }

    /// Returns the client's id for a call.
    pub fn call_id(&mut self, id: &str) -> String {
        if id.is_empty() { self.ids.unique(&format!("call_{}", self.seed)) } else { self.ids.unique(id) }
    }
}
