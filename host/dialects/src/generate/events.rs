//! Answers of upstreams.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::Reader;
use crate::event::{Event, RequestUsage, StopReason};
use crate::failure::{FailureKind, UpstreamFailure};
use crate::json::{Text, non_empty_text, text_or_empty};
use crate::reasoning::ReasoningProof;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Chunk<'a> {
    #[serde(borrow)]
    candidates: Vec<Candidate<'a>>,
    prompt_feedback: Option<Feedback<'a>>,
    usage_metadata: Option<UsageOf>,
    error: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Candidate<'a> {
    #[serde(borrow)]
    content: Option<Content<'a>>,
    finish_reason: Option<Text<'a>>,
    index: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Content<'a> {
    #[serde(borrow)]
    parts: Vec<PartOf<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PartOf<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    thought: bool,
    thought_signature: Option<Text<'a>>,
    function_call: Option<FunctionCall<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct FunctionCall<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    name: Text<'a>,
    args: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Feedback<'a> {
    #[serde(borrow)]
    block_reason: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct UsageOf {
    prompt_token_count: u64,
    cached_content_token_count: u64,
    candidates_token_count: u64,
    thoughts_token_count: u64,
}

/// Reads chunks, one after the other. Calls come whole.
#[derive(Debug, Default)]
pub(crate) struct EventReader {
    stop: Option<StopReason>,
    has_calls: bool,
    in_thought: bool,
    is_over: bool,
}

impl Reader for EventReader {
    fn read(&mut self, data: &[u8], sink: &mut dyn FnMut(Event<'_>)) {
        let Ok(chunk) = serde_json::from_slice::<Chunk<'_>>(data) else { return };
        if chunk.error.is_some() {
            self.is_over = true;
            return sink(Event::Failed(UpstreamFailure::from_response(200, data)));
        }
        // Only one answer was asked for.
        for candidate in chunk.candidates.into_iter().filter(|candidate| candidate.index == 0) {
            for part in candidate.content.into_iter().flat_map(|content| content.parts) {
                self.part(part, sink);
            }
            let reason = candidate.finish_reason;
            let stop = match text_or_empty(reason.as_ref()) {
                "" | "FINISH_REASON_UNSPECIFIED" => continue,
                "MAX_TOKENS" => StopReason::MaxTokens,
                "SAFETY" | "PROHIBITED_CONTENT" | "BLOCKLIST" | "SPII" | "RECITATION" | "IMAGE_SAFETY" => {
                    StopReason::Refusal
                }
                "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" => {
                    let said = "the model made a tool call that cannot be read";
                    self.is_over = true;
                    return sink(Event::Failed(UpstreamFailure::new(FailureKind::Upstream, said)));
                }
                _ if self.has_calls => StopReason::ToolUse,
                _ => StopReason::EndTurn,
            };
            self.stop = Some(stop);
        }
        if chunk.prompt_feedback.is_some_and(|feedback| feedback.block_reason.is_some()) {
            self.stop = Some(StopReason::Refusal);
        }
        if let Some(usage) = chunk.usage_metadata {
            let output = usage.candidates_token_count.saturating_add(usage.thoughts_token_count);
            let (whole, cached) = (usage.prompt_token_count, usage.cached_content_token_count);
            sink(Event::Usage(RequestUsage::from_inclusive_counts(
                whole,
                cached,
                0,
                output,
                usage.thoughts_token_count,
            )));
        }
    }

    /// Ends the stream of bytes. Counts may follow the reason to stop, so only this is the end.
    fn end(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        if self.is_over {
            return;
        }
        self.thought_ends(None, sink);
        match self.stop {
            Some(stop) => {
                sink(Event::Stop(stop));
                sink(Event::End);
            }
            None => sink(Event::Failed(UpstreamFailure::unexpected_eof())),
        }
    }
}

impl EventReader {
    fn part(&mut self, part: PartOf<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        let proof =
            non_empty_text(part.thought_signature).map(|signature| ReasoningProof::OfPart(signature.into_owned()));
        if let Some(call) = part.function_call {
            self.thought_ends(proof, sink);
            self.has_calls = true;
            sink(Event::Call { id: call.id.unwrap_or_default().0, name: call.name.0 });
            sink(Event::Arguments(call.args.map_or("{}", RawValue::get).into()));
            sink(Event::CallEnd);
            return;
        }
        match (part.thought, non_empty_text(part.text)) {
            (true, Some(text)) => {
                self.in_thought = true;
                sink(Event::Thought(text));
            }
            (false, Some(text)) => {
                self.thought_ends(proof, sink);
                sink(Event::Text(text));
                return;
            }
            (_, None) => {}
        }
        if proof.is_some() {
            self.thought_ends(proof, sink);
        }
    }

    fn thought_ends(&mut self, proof: Option<ReasoningProof>, sink: &mut dyn FnMut(Event<'_>)) {
        let in_thought = std::mem::take(&mut self.in_thought);
        if in_thought || proof.is_some() {
            sink(Event::ReasoningProof(proof.unwrap_or(ReasoningProof::Nothing)));
        }
    }
}
