//! Answers of upstreams.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::Reader;
use crate::event::{Event, RequestUsage, StopReason};
use crate::failure::UpstreamFailure;
use crate::json::{Text, non_empty_text, text_or_empty};
use crate::reasoning::ReasoningProof;

/// The name of each reason to stop.
pub(super) const STOP_REASONS: [(&str, StopReason); 7] = [
    ("end_turn", StopReason::EndTurn),
    ("stop_sequence", StopReason::Sequence),
    ("tool_use", StopReason::ToolUse),
    ("max_tokens", StopReason::MaxTokens),
    ("model_context_window_exceeded", StopReason::ContextWindow),
    ("refusal", StopReason::Refusal),
    ("pause_turn", StopReason::EndTurn),
];

#[derive(Default, Deserialize)]
#[serde(default)]
struct Data<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    message: Option<BegunMessage<'a>>,
    content_block: Option<Block<'a>>,
    delta: Option<Delta<'a>>,
    usage: Option<UsageOf>,
    // An answer that is not streamed.
    content: Option<Vec<Block<'a>>>,
    stop_reason: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct BegunMessage<'a> {
    usage: Option<UsageOf>,
    #[serde(borrow)]
    content: Vec<Block<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Block<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    text: Option<Text<'a>>,
    thinking: Option<Text<'a>>,
    signature: Option<Text<'a>>,
    data: Option<Text<'a>>,
    id: Option<Text<'a>>,
    name: Option<Text<'a>>,
    input: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Delta<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    text: Option<Text<'a>>,
    thinking: Option<Text<'a>>,
    signature: Option<Text<'a>>,
    partial_json: Option<Text<'a>>,
    stop_reason: Option<Text<'a>>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct UsageOf {
    input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
    output_tokens: Option<u64>,
}

/// Tokens that were put into a cache, by how long they stay there.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Option<u64>,
    ephemeral_1h_input_tokens: Option<u64>,
}

impl UsageOf {
    fn usage(self) -> RequestUsage {
        let parts = self.cache_creation.unwrap_or_default();
        let hour = parts.ephemeral_1h_input_tokens.unwrap_or_default();
        let in_parts = hour.saturating_add(parts.ephemeral_5m_input_tokens.unwrap_or_default());
        let cache_written = self.cache_creation_input_tokens.unwrap_or(in_parts);
        RequestUsage {
            input: self.input_tokens.unwrap_or_default(),
            cached: self.cache_read_input_tokens.unwrap_or_default(),
            cache_written,
            cache_written_1h: hour.min(cache_written),
            output: self.output_tokens.unwrap_or_default(),
            thinking: 0,
        }
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Open {
    #[default]
    None,
    Thinking,
    Call {
        has_input: bool,
    },
}

/// Reads events, one after the other.
#[derive(Debug, Default)]
pub(crate) struct EventReader {
    open: Open,
    signature: String,
}

impl Reader for EventReader {
    fn read(&mut self, data: &[u8], sink: &mut dyn FnMut(Event<'_>)) {
        let Ok(event) = serde_json::from_slice::<Data<'_>>(data) else {
            // Claude Code passes over what it does not know, and so do we: an end that never comes is an error anyway.
            return;
        };
        match event.kind.as_str() {
            "message_start" => {
                let Some(message) = event.message else { return };
                if let Some(usage) = message.usage {
                    sink(Event::Usage(usage.usage()));
                }
                message.content.into_iter().for_each(|block| self.whole(block, sink));
            }
            "content_block_start" => {
                self.block_ends(sink);
                if let Some(block) = event.content_block {
                    self.begin(block, sink);
                }
            }
            "content_block_delta" => {
                let Some(delta) = event.delta else { return };
                match delta.kind.as_str() {
                    "text_delta" => text(delta.text, sink),
                    "thinking_delta" => {
                        if let Some(text) = non_empty_text(delta.thinking) {
                            self.open = Open::Thinking;
                            sink(Event::Thought(text));
                        }
                    }
                    "signature_delta" => self.signature.push_str(text_or_empty(delta.signature.as_ref())),
                    "input_json_delta" => {
                        if let (Open::Call { has_input }, Some(piece)) =
                            (&mut self.open, non_empty_text(delta.partial_json))
                        {
                            *has_input = true;
                            sink(Event::Arguments(piece));
                        }
                    }
                    _ => {}
                }
            }
            "content_block_stop" => self.block_ends(sink),
            "message_delta" => {
                if let Some(usage) = event.usage {
                    sink(Event::Usage(usage.usage()));
                }
                let reason = event.delta.and_then(|delta| delta.stop_reason);
                self.stop(reason, sink);
            }
            "message_stop" => {
                self.block_ends(sink);
                sink(Event::End);
            }
            "error" => sink(Event::Failed(UpstreamFailure::from_response(200, data))),
            // The whole answer.
            "message" => {
                event.content.unwrap_or_default().into_iter().for_each(|block| self.whole(block, sink));
                if let Some(usage) = event.usage {
                    sink(Event::Usage(usage.usage()));
                }
                self.stop(event.stop_reason, sink);
                sink(Event::End);
            }
            _ => {}
        }
    }

    fn buffered_bytes(&self) -> usize {
        self.signature.len()
    }

    fn end(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        sink(Event::Failed(UpstreamFailure::unexpected_eof()));
    }
}

impl EventReader {
    fn stop(&mut self, reason: Option<Text<'_>>, sink: &mut dyn FnMut(Event<'_>)) {
        let Some(reason) = reason else { return };
        self.block_ends(sink);
        let stop = STOP_REASONS
            .iter()
            .find(|(name, _)| *name == reason.as_str())
            .map_or(StopReason::EndTurn, |(_, stop)| *stop);
        sink(Event::Stop(stop));
    }

    fn begin(&mut self, block: Block<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        match block.kind.as_str() {
            "text" => text(block.text, sink),
            "thinking" => {
                self.open = Open::Thinking;
                self.signature = block.signature.unwrap_or_default().0.into_owned();
                if let Some(text) = non_empty_text(block.thinking) {
                    sink(Event::Thought(text));
                }
            }
            "redacted_thinking" => {
                if let Some(data) = block.data {
                    sink(Event::ReasoningProof(ReasoningProof::Redacted(data.0.into_owned())));
                }
            }
            "tool_use" => {
                sink(Event::Call { id: block.id.unwrap_or_default().0, name: block.name.unwrap_or_default().0 });
                let input = block.input.map(RawValue::get).filter(|input| !matches!(*input, "{}" | "null" | "\"\""));
                if let Some(input) = input {
                    sink(Event::Arguments(input.into()));
                }
                self.open = Open::Call { has_input: input.is_some() };
            }
            _ => {}
        }
    }

    fn whole(&mut self, block: Block<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        self.begin(block, sink);
        self.block_ends(sink);
    }

    fn block_ends(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        match std::mem::take(&mut self.open) {
            Open::None => {}
            Open::Thinking => {
                let signature = std::mem::take(&mut self.signature);
                let proof =
                    if signature.is_empty() { ReasoningProof::Nothing } else { ReasoningProof::Signature(signature) };
                sink(Event::ReasoningProof(proof));
            }
            Open::Call { has_input } => {
                if !has_input {
                    sink(Event::Arguments("{}".into()));
                }
                sink(Event::CallEnd);
            }
        }
    }
}

fn text(text: Option<Text<'_>>, sink: &mut dyn FnMut(Event<'_>)) {
    if let Some(text) = non_empty_text(text) {
        sink(Event::Text(text));
    }
}
