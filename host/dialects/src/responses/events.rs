//! Answers of upstreams.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::conversation::Tool;
use crate::dialect::Reader;
use crate::event::{Event, InputDetails, OutputDetails, RequestUsage, StopReason};
use crate::failure::{FailureKind, UpstreamFailure};
use crate::json::{Text, non_empty_text, parse, parse_string, text_or_empty};
use crate::reasoning::ReasoningProof;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Data<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    delta: Option<&'a RawValue>,
    item: Option<&'a RawValue>,
    response: Option<EndedResponse<'a>>,
    // An answer that is not streamed.
    object: Option<Text<'a>>,
    error: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EndedResponse<'a> {
    #[serde(borrow)]
    status: Option<Text<'a>>,
    output: Option<Vec<&'a RawValue>>,
    error: Option<&'a RawValue>,
    incomplete_details: Option<Incomplete<'a>>,
    usage: Option<UsageOf>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Incomplete<'a> {
    #[serde(borrow)]
    reason: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct UsageOf {
    input_tokens: u64,
    output_tokens: u64,
    input_tokens_details: Option<InputDetails>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OutputItem<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    id: Option<Text<'a>>,
    call_id: Option<Text<'a>>,
    name: Option<Text<'a>>,
    arguments: Option<&'a RawValue>,
    input: Option<Text<'a>>,
    summary: Option<Vec<Content<'a>>>,
    content: Option<Vec<Content<'a>>>,
    encrypted_content: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Content<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    refusal: Option<Text<'a>>,
}

/// Reads events, one after the other. Calls are taken whole, from the event that ends their item.
#[derive(Debug, Default)]
pub(crate) struct EventReader {
    /// Words of the item that is open came in pieces. Items come one after the other.
    in_pieces: bool,
    thought_in_pieces: bool,
    parts_of_thought: u32,
    items: usize,
    has_calls: bool,
    was_refused: bool,
}

impl Reader for EventReader {
    fn read(&mut self, data: &[u8], sink: &mut dyn FnMut(Event<'_>)) {
        let Ok(event) = serde_json::from_slice::<Data<'_>>(data) else { return };
        let delta = || event.delta.and_then(parse_string).filter(|delta| !delta.is_empty());
        match text_or_empty(event.kind.as_ref()) {
            "response.output_text.delta" | "response.refusal.delta" => {
                if let Some(text) = delta() {
                    self.in_pieces = true;
                    self.was_refused |= text_or_empty(event.kind.as_ref()) == "response.refusal.delta";
                    sink(Event::Text(text));
                }
            }
            "response.reasoning_summary_part.added" => {
                self.parts_of_thought += 1;
                if self.parts_of_thought > 1 {
                    sink(Event::Thought("\n\n".into()));
                }
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                if let Some(text) = delta() {
                    self.thought_in_pieces = true;
                    sink(Event::Thought(text));
                }
            }
            "response.output_item.done" => {
                if let Some(item) = event.item {
                    self.item(item, sink);
                }
            }
            "response.completed" | "response.incomplete" | "response.failed" | "response.done" => {
                if let Some(response) = event.response {
                    self.ends(response, sink);
                }
            }
            "error" => sink(Event::Failed(failure(data))),
            "" if text_or_empty(event.object.as_ref()) == "response" => {
                if let Ok(response) = serde_json::from_slice::<EndedResponse<'_>>(data) {
                    self.ends(response, sink);
                }
            }
            "" if event.error.is_some() => sink(Event::Failed(failure(data))),
            _ => {}
        }
    }

    fn end(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        sink(Event::Failed(UpstreamFailure::unexpected_eof()));
    }
}

impl EventReader {
    fn ends(&mut self, response: EndedResponse<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        // Some servers say everything at the end only.
        let output = response.output.unwrap_or_default();
        if self.items < output.len() {
            output[self.items..].iter().for_each(|item| self.item(item, sink));
        }
        if let Some(usage) = response.usage {
            let input = usage.input_tokens_details.unwrap_or_default();
            let output = usage.output_tokens_details.unwrap_or_default();
            sink(Event::Usage(RequestUsage::from_inclusive_counts(
                usage.input_tokens,
                input.cached_tokens.unwrap_or_default(),
                input.cache_write_tokens.unwrap_or_default(),
                usage.output_tokens,
                output.reasoning_tokens.unwrap_or_default(),
            )));
        }
        match text_or_empty(response.status.as_ref()) {
            "failed" | "cancelled" => {
                let said = response.error.map_or("{}", RawValue::get);
                sink(Event::Failed(failure(format!("{{\"error\":{said}}}").as_bytes())));
                return;
            }
            "incomplete" => {
                let reason = response.incomplete_details.and_then(|of| of.reason);
                let stop = if text_or_empty(reason.as_ref()) == "content_filter" {
                    StopReason::Refusal
                } else {
                    StopReason::MaxTokens
                };
                sink(Event::Stop(stop));
            }
            _ if self.has_calls => sink(Event::Stop(StopReason::ToolUse)),
            _ if self.was_refused => sink(Event::Stop(StopReason::Refusal)),
            _ => sink(Event::Stop(StopReason::EndTurn)),
        }
        sink(Event::End);
    }

    fn item(&mut self, item: &RawValue, sink: &mut dyn FnMut(Event<'_>)) {
        self.items += 1;
        let Some(item) = parse::<OutputItem<'_>>(item) else { return };
        match item.kind.as_str() {
            "message" => {
                let is_known = std::mem::take(&mut self.in_pieces);
                for content in item.content.filter(|_| !is_known).unwrap_or_default() {
                    self.was_refused |= content.refusal.is_some();
                    if let Some(text) = non_empty_text(content.text.or(content.refusal)) {
                        sink(Event::Text(text));
                    }
                }
            }
            "reasoning" => {
                let in_pieces = std::mem::take(&mut self.thought_in_pieces);
                self.parts_of_thought = 0;
                if !in_pieces {
                    let summary =
                        item.summary.filter(|summary| !summary.is_empty()).or(item.content).unwrap_or_default();
                    let texts: Vec<Cow<'_, str>> = summary.into_iter().filter_map(|of| Some(of.text?.0)).collect();
                    if !texts.is_empty() {
                        sink(Event::Thought(texts.join("\n\n").into()));
                    }
                }
                let id = item.id.unwrap_or_default().0.into_owned();
                sink(Event::ReasoningProof(match item.encrypted_content {
                    Some(content) => ReasoningProof::Encrypted { id, content: content.0.into_owned() },
                    None => ReasoningProof::Nothing,
                }));
            }
            kind @ ("function_call" | "custom_tool_call") => {
                self.has_calls = true;
                sink(Event::Call { id: item.call_id.unwrap_or_default().0, name: item.name.unwrap_or_default().0 });
                let arguments = match kind {
                    "function_call" => item.arguments.and_then(parse_string).filter(|text| !text.trim().is_empty()),
                    _ => Some(Tool::free_form_arguments(text_or_empty(item.input.as_ref())).into()),
                };
                sink(Event::Arguments(arguments.unwrap_or("{}".into())));
                sink(Event::CallEnd);
            }
            _ => {}
        }
    }
}

fn failure(data: &[u8]) -> UpstreamFailure {
    let mut failure = UpstreamFailure::from_response(200, data);
    // In a stream, only the code tells.
    if failure.message.ends_with("status 200") {
        failure = UpstreamFailure::new(FailureKind::Upstream, "the provider failed without saying why");
    }
    failure
}
