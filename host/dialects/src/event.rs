//! An answer as all dialects mean it: what comes, in order.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::failure::UpstreamFailure;
use crate::reasoning::ReasoningProof;
use crate::request::SecretMask;

/// A step of an answer. Calls and thoughts come one after the other, never side by side.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event<'a> {
    Text(Cow<'a, str>),
    Thought(Cow<'a, str>),
    /// Ends a thought, or stands for one that nobody may read, with what the upstream wants back.
    ReasoningProof(ReasoningProof),
    Call {
        id: Cow<'a, str>,
        name: Cow<'a, str>,
    },
    /// A piece of the JSON of the arguments of the call that is open.
    Arguments(Cow<'a, str>),
    CallEnd,
    Usage(RequestUsage),
    Stop(StopReason),
    Failed(UpstreamFailure),
    /// The upstream ended its answer as its dialect demands.
    End,
}

impl Event<'_> {
    /// Takes secrets out of what an upstream says of a failure, and out of ids and names.
    pub(crate) fn masked(self, mask: &SecretMask) -> Self {
        match self {
            Self::Failed(failure) => Self::Failed(failure.masked(mask)),
            Self::Call { id, name } => Self::Call { id: mask.mask_id(id), name: mask.mask_id(name) },
            Self::ReasoningProof(ReasoningProof::Encrypted { id, content }) => {
                Self::ReasoningProof(ReasoningProof::Encrypted { id: mask.mask_id(id.into()).into_owned(), content })
            }
            event => event,
        }
    }
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// All was said.
    EndTurn,
    /// A stop sequence was met.
    Sequence,
    /// The client has to run tools.
    ToolUse,
    /// The limit of the answer was reached.
    MaxTokens,
    /// The context is full.
    ContextWindow,
    /// The model, or its vendor, refused.
    Refusal,
}

/// Tokens of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestUsage {
    /// Read, without those that came out of a cache or went into one.
    pub input: u64,
    /// Read out of a cache.
    pub cached: u64,
    /// Read and put into a cache, where the vendor counts that.
    pub cache_written: u64,
    /// Of those put into a cache, those that stay for an hour, which costs more.
    pub cache_written_1h: u64,
    /// Written, thoughts included.
    pub output: u64,
    /// Of the written ones, thoughts.
    pub thinking: u64,
}

impl RequestUsage {
    /// Returns all that was read.
    pub fn total_input(&self) -> u64 {
        self.input.saturating_add(self.cached).saturating_add(self.cache_written)
    }

    /// Makes it of a count that includes what came out of a cache.
    pub(crate) fn from_inclusive_counts(whole: u64, cached: u64, written: u64, output: u64, thinking: u64) -> Self {
        let cached = cached.min(whole);
        let cache_written = written.min(whole - cached);
        let thinking = thinking.min(output);
        Self { input: whole - cached - cache_written, cached, cache_written, cache_written_1h: 0, output, thinking }
    }

    /// Takes in later counts. Each dialect's counts only grow within an answer.
    pub(crate) fn merge_max(&mut self, later: Self) {
        self.input = self.input.max(later.input);
        self.cached = self.cached.max(later.cached);
        self.cache_written = self.cache_written.max(later.cache_written);
        self.cache_written_1h = self.cache_written_1h.max(later.cache_written_1h);
        self.output = self.output.max(later.output);
        self.thinking = self.thinking.max(later.thinking);
    }
}

/// Counts of what was read, as OpenAI's APIs tell them apart.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct InputDetails {
    pub cached_tokens: Option<u64>,
    pub cache_write_tokens: Option<u64>,
}

/// Counts of what was written, as OpenAI's APIs tell them apart.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct OutputDetails {
    pub reasoning_tokens: Option<u64>,
}

/// Follows the JSON of a call's arguments, to know when it is whole.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct JsonEndDetector {
    depth: u32,
    is_begun: bool,
    in_string: bool,
    is_escaped: bool,
}

impl JsonEndDetector {
    pub(crate) fn read(&mut self, piece: &str) {
        for byte in piece.bytes() {
            if self.in_string {
                match byte {
                    _ if std::mem::take(&mut self.is_escaped) => {}
                    b'\\' => self.is_escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => {
                    self.depth += 1;
                    self.is_begun = true;
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    pub(crate) fn is_complete(self) -> bool {
        self.is_begun && self.depth == 0 && !self.in_string
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_arguments_is_seen_through_strings() {
        let whole = r#"{"a": "}\"{", "b": [1, {"c": "\\"}]}"#;
        for at in 1..whole.len() {
            let mut end = JsonEndDetector::default();
            end.read(&whole[..at]);
            assert!(!end.is_complete(), "{}", &whole[..at]);
            end.read(&whole[at..]);
            assert!(end.is_complete());
        }
        assert!(!JsonEndDetector::default().is_complete());
    }

    #[test]
    fn what_came_from_a_cache_is_counted_once() {
        let usage = RequestUsage::from_inclusive_counts(100, 80, 5, 7, 3);
        assert_eq!((usage.input, usage.total_input()), (15, 100));
        assert_eq!(RequestUsage::from_inclusive_counts(10, 80, 5, 0, 9).total_input(), 10);
    }
}
