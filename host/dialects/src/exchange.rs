//! What a request and its answer share.

use aiw_core::Api;

use crate::conversation::{CallIds, Part};
use crate::names::ToolNames;
use crate::reasoning::{ReasoningBlob, ReasoningProof};
use crate::request::SecretMask;

/// One request and its answer.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub client: Api,
    pub upstream: Api,
    /// The model, as the client called it. Answers repeat it letter by letter.
    pub requested_model: String,
    pub family: String,
    pub model: String,
    pub names: ToolNames,
    pub ids: CallIds,
    /// The seed of this answer's ids.
    pub seed: String,
    /// When the request came, in seconds since 1970.
    pub created: u64,
    pub is_streamed: bool,
    /// Whether the client wants the tokens at the end of the events (Chat Completions).
    pub include_usage: bool,
    /// Whether reasoning is marked although both sides speak one dialect.
    pub mark_reasoning: bool,
    pub mask: SecretMask,
}

impl Exchange {
    /// Returns a record if it is of this upstream. Another one's reasoning is never sent.
    pub fn filter_own_reasoning<'c>(&self, carried: &'c ReasoningBlob) -> Option<&'c ReasoningBlob> {
        (carried.family == self.family && carried.model == self.model).then_some(carried)
    }

    /// Returns the records of a part that are of this upstream, each with the words of it that the client kept.
    pub fn own_reasoning<'p>(&self, part: &'p Part<'_>) -> Vec<(ReasoningBlob, &'p str)> {
        let (carried, kept) = match part {
            Part::Thought { text, carried } => (carried, &**text),
            Part::Call(call) => (&call.reasoning_blob, ""),
            _ => return Vec::new(),
        };
        let all = carried.clone().into_iter().flat_map(ReasoningBlob::into_chain);
        all.filter(|one| self.filter_own_reasoning(one).is_some()).map(|one| (one, kept)).collect()
    }

    pub fn reasoning_blob(&self, proof: ReasoningProof, text: String) -> ReasoningBlob {
        ReasoningBlob { family: self.family.clone(), model: self.model.clone(), proof, text, next: Vec::new() }
    }

    /// Returns the client's id for a call.
    pub fn call_id(&mut self, id: &str) -> String {
        if id.is_empty() { self.ids.unique(&format!("call_{}", self.seed)) } else { self.ids.unique(id) }
    }
}
