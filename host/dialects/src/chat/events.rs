//! Answers of upstreams.

use std::borrow::Cow;
use std::collections::VecDeque;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::Reader;
use crate::event::{Event, InputDetails, JsonEndDetector, OutputDetails, RequestUsage, StopReason};
use crate::failure::UpstreamFailure;
use crate::json::{Text, non_empty_text, parse, parse_string, text_or_empty};
use crate::reasoning::ReasoningProof;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Chunk<'a> {
    #[serde(borrow)]
    choices: Option<Vec<ChoiceOf<'a>>>,
    usage: Option<UsageOf>,
    error: Option<&'a RawValue>,
    object: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ChoiceOf<'a> {
    // `message`: an answer that is not streamed.
    #[serde(borrow, alias = "message")]
    delta: Option<Delta<'a>>,
    finish_reason: Option<Text<'a>>,
    index: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Delta<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    refusal: Option<Text<'a>>,
    reasoning_content: Option<Text<'a>>,
    reasoning: Option<&'a RawValue>,
    tool_calls: Option<Vec<CallOf<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CallOf<'a> {
    index: Option<u64>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    function: Option<FunctionOf<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct FunctionOf<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    arguments: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TextPart<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct UsageOf {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<InputDetails>,
    completion_tokens_details: Option<OutputDetails>,
    /// DeepSeek's.
    prompt_cache_hit_tokens: Option<u64>,
}

/// A call whose pieces come in.
#[derive(Debug, Default)]
struct OpenCall {
    index: u64,
    id: String,
    name: String,
    end: JsonEndDetector,
    has_arguments: bool,
    /// Pieces that wait until the calls before it have ended.
    waiting: String,
}

/// Reads chunks, one after the other.
///
/// The first call that is open is passed on as it comes; others wait for it. Servers send calls of one answer side by
/// side, two calls under one index, or a call's index again with arguments of another.
#[derive(Debug, Default)]
pub(crate) struct EventReader {
    calls: VecDeque<OpenCall>,
    /// The first of `calls` was announced.
    is_announced: bool,
    in_thought: bool,
    has_content: bool,
    has_calls: bool,
    stop: Option<StopReason>,
    is_over: bool,
}

impl Reader for EventReader {
    fn read(&mut self, data: &[u8], sink: &mut dyn FnMut(Event<'_>)) {
        if data.trim_ascii() == b"[DONE]" {
            return self.ends(sink);
        }
        let Ok(chunk) = serde_json::from_slice::<Chunk<'_>>(data) else { return };
        if chunk.error.is_some() {
            self.is_over = true;
            return sink(Event::Failed(UpstreamFailure::from_response(200, data)));
        }
        for choice in chunk.choices.unwrap_or_default() {
            // Only one answer was asked for.
            if choice.index > 0 {
                continue;
            }
            if let Some(delta) = choice.delta {
                self.delta(delta, sink);
            }
            if let Some(reason) = non_empty_text(choice.finish_reason) {
                self.thought_ends(sink);
                self.calls_end(sink);
                let stop = match &*reason {
                    "length" => StopReason::MaxTokens,
                    "content_filter" => StopReason::Refusal,
                    "tool_calls" | "function_call" => StopReason::ToolUse,
                    "error" => {
                        self.is_over = true;
                        return sink(Event::Failed(UpstreamFailure::unexpected_eof()));
                    }
                    _ if self.has_calls => StopReason::ToolUse,
                    _ => StopReason::EndTurn,
                };
                self.stop = Some(stop);
            }
        }
        if let Some(usage) = chunk.usage {
            sink(Event::Usage(usage.usage()));
        }
        if text_or_empty(chunk.object.as_ref()) == "chat.completion" {
            self.ends(sink);
        }
    }

    fn buffered_bytes(&self) -> usize {
        /// The memory of a call beside its words, in bytes. Each new call is compared with those before it.
        const CALL_OVERHEAD_BYTES: usize = 4 << 10;
        self.calls.iter().map(|call| call.id.len() + call.name.len() + call.waiting.len() + CALL_OVERHEAD_BYTES).sum()
    }

    /// Ends the stream of bytes. Some servers leave out `[DONE]`.
    fn end(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        if self.stop.is_some() {
            self.ends(sink);
        } else if !self.is_over {
            sink(Event::Failed(UpstreamFailure::unexpected_eof()));
        }
    }
}

impl EventReader {
    fn delta(&mut self, delta: Delta<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        let reasoning = || delta.reasoning.and_then(parse_string).filter(|text| !text.is_empty());
        if let Some(text) = non_empty_text(delta.reasoning_content).or_else(reasoning) {
            self.calls_end(sink);
            self.in_thought = true;
            sink(Event::Thought(text));
        }
        if let Some(content) = delta.content {
            match parse_string(content) {
                Some(text) => self.text(text, sink),
                None => {
                    let parts: Vec<TextPart<'_>> = parse(content).unwrap_or_default();
                    parts.into_iter().filter_map(|part| part.text).for_each(|text| self.text(text.0, sink));
                }
            }
        }
        if let Some(text) = delta.refusal {
            self.text(text.0, sink);
        }
        for call in delta.tool_calls.unwrap_or_default() {
            self.call(call, sink);
        }
    }

    fn text(&mut self, text: Cow<'_, str>, sink: &mut dyn FnMut(Event<'_>)) {
        if text.is_empty() {
            return;
        }
        self.thought_ends(sink);
        // Some servers send an empty line between calls and their end.
        if !self.calls.is_empty() && text.trim().is_empty() {
            return;
        }
        self.calls_end(sink);
        self.has_content = true;
        sink(Event::Text(text));
    }

    fn thought_ends(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        if std::mem::take(&mut self.in_thought) {
            sink(Event::ReasoningProof(ReasoningProof::Nothing));
        }
    }

    fn call(&mut self, call: CallOf<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        self.thought_ends(sink);
        let id = text_or_empty(call.id.as_ref());
        let (name, arguments) = match &call.function {
            Some(function) => (text_or_empty(function.name.as_ref()), function.arguments),
            None => ("", None),
        };
        // An object instead of a string is not as it should be, but its meaning is clear.
        let arguments = arguments.map(|raw| parse_string(raw).unwrap_or(raw.get().into()));
        let arguments = arguments.as_deref().unwrap_or_default();
        let index = call.index.unwrap_or_else(|| match (id.is_empty(), self.calls.back()) {
            (true, Some(last)) => last.index,
            (false, Some(last)) if last.id == id => last.index,
            (_, Some(last)) => last.index + 1,
            (_, None) => 0,
        });
        let known = self.calls.iter().rposition(|open| open.index == index);
        let at = known.filter(|at| {
            let open = &self.calls[*at];
            let is_other = (!id.is_empty() && !open.id.is_empty() && open.id != id)
                || (open.end.is_complete() && !name.is_empty() && !arguments.is_empty());
            !is_other
        });
        let at = at.unwrap_or_else(|| {
            self.calls.push_back(OpenCall { index, ..OpenCall::default() });
            self.calls.len() - 1
        });
        self.has_calls = true;
        let open = &mut self.calls[at];
        if open.id.is_empty() {
            id.clone_into(&mut open.id);
        }
        // A name comes whole, but some servers repeat it.
        if open.name.is_empty() {
            name.clone_into(&mut open.name);
        }
        // Behind its end, nothing belongs to a call.
        if !arguments.is_empty() && !open.end.is_complete() {
            open.end.read(arguments);
            open.waiting.push_str(arguments);
        }
        self.pass_on(sink);
    }

    fn pass_on(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        while let Some(first) = self.calls.front_mut() {
            if !self.is_announced {
                if first.name.is_empty() || (first.id.is_empty() && first.waiting.is_empty()) {
                    return;
                }
                sink(Event::Call { id: first.id.as_str().into(), name: first.name.as_str().into() });
                self.is_announced = true;
            }
            if !first.waiting.is_empty() {
                first.has_arguments = true;
                sink(Event::Arguments(std::mem::take(&mut first.waiting).into()));
            }
            if !first.end.is_complete() || self.calls.len() == 1 {
                return;
            }
            self.first_ends(sink);
        }
    }

    fn first_ends(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        let Some(mut first) = self.calls.pop_front() else { return };
        if !std::mem::take(&mut self.is_announced) {
            if first.name.is_empty() {
                return;
            }
            sink(Event::Call { id: first.id.into(), name: first.name.into() });
        }
        if !first.waiting.is_empty() {
            first.has_arguments = true;
            sink(Event::Arguments(first.waiting.into()));
        }
        if !first.has_arguments {
            sink(Event::Arguments("{}".into()));
        }
        sink(Event::CallEnd);
    }

    fn calls_end(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        while !self.calls.is_empty() {
            self.first_ends(sink);
        }
    }

    fn ends(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        self.thought_ends(sink);
        self.calls_end(sink);
        match self.stop {
            Some(stop) => {
                sink(Event::Stop(stop));
                sink(Event::End);
            }
            // Some servers give no reason; `[DONE]` alone says that all was said.
            None if self.has_content || self.has_calls => sink(Event::End),
            None => sink(Event::Failed(UpstreamFailure::unexpected_eof())),
        }
    }
}

impl UsageOf {
    fn usage(self) -> RequestUsage {
        let input = self.prompt_tokens_details.unwrap_or_default();
        let output = self.completion_tokens_details.unwrap_or_default();
        RequestUsage::from_inclusive_counts(
            self.prompt_tokens.unwrap_or_default(),
            input.cached_tokens.or(self.prompt_cache_hit_tokens).unwrap_or_default(),
            input.cache_write_tokens.unwrap_or_default(),
            self.completion_tokens.unwrap_or_default(),
            output.reasoning_tokens.unwrap_or_default(),
        )
    }
}
