//! Answers to clients.
//!
//! A thought is shown in `reasoning_content`. What its upstream wants back travels in `reasoning_details`, which clients of
//! OpenRouter give back unread; others lose it, and no upstream refuses that.

use serde_json::{Map, Value, json};

use crate::collected::{CollectedPart, CollectedResponse, extract_text};
use crate::conversation::ToolKind;
use crate::dialect::Writer;
use crate::event::{Event, RequestUsage, StopReason};
use crate::exchange::Exchange;
use crate::json::write_string;
use crate::names::ClientTool;
use crate::reasoning::{ReasoningBlob, ReasoningProof};
use crate::sse::write_event;

/// A call that is open.
#[derive(Debug)]
struct Open {
    id: String,
    named: ClientTool,
    /// The arguments of a tool that takes a text, which is unwrapped when they are whole.
    arguments: String,
}

/// Writes chunks, one after the other.
#[derive(Debug, Default)]
pub(crate) struct ResponseWriter {
    is_begun: bool,
    thought: String,
    /// Proofs of the call that follows, if one does.
    waiting: Vec<ReasoningBlob>,
    details: u64,
    call: Option<Open>,
    calls: u64,
    usage: RequestUsage,
    stop: Option<StopReason>,
}

impl Writer for ResponseWriter {
    fn write(&mut self, event: Event<'_>, exchange: &mut Exchange, out: &mut Vec<u8>) {
        match event {
            Event::Usage(usage) => self.usage.merge_max(usage),
            Event::Stop(stop) => self.stop = Some(stop),
            Event::Text(text) => {
                self.flush("", exchange, out);
                self.piece("content", &text, exchange, out);
            }
            Event::Thought(text) => {
                self.flush("", exchange, out);
                self.thought.push_str(&text);
                self.piece("reasoning_content", &text, exchange, out);
            }
            Event::ReasoningProof(proof) => {
                let is_of_part = matches!(proof, ReasoningProof::OfPart(_));
                let thought = std::mem::take(&mut self.thought);
                self.waiting.extend(recorded(proof, thought, exchange));
                if !is_of_part {
                    self.flush("", exchange, out);
                }
            }
            Event::Call { id, name } => {
                let (id, named) = (exchange.call_id(&id), exchange.names.client_tool(&name));
                self.flush(&id, exchange, out);
                self.call_ends(exchange, out);
                if named.kind == ToolKind::Function {
                    self.call_delta(call(&id, &named, ""), exchange, out);
                }
                self.call = Some(Open { id, named, arguments: String::new() });
            }
            Event::Arguments(piece) => match &mut self.call {
                Some(open) if open.named.kind == ToolKind::Function => self.arguments(&piece, exchange, out),
                Some(open) => open.arguments.push_str(&piece),
                None => {}
            },
            Event::CallEnd => self.call_ends(exchange, out),
            Event::Failed(failure) => {
                let error: Value = serde_json::from_slice(&failure.body(exchange.client)).unwrap_or_default();
                write_event(&error, out);
            }
            Event::End => {
                self.flush("", exchange, out);
                self.call_ends(exchange, out);
                self.begin(exchange, out);
                write_event(&chunk(json!({}), Some(stop(self.stop, self.calls > 0)), exchange), out);
                if exchange.include_usage {
                    let mut last = chunk(json!({}), None, exchange);
                    last["choices"] = json!([]);
                    last["usage"] = usage(self.usage);
                    write_event(&last, out);
                }
                out.extend_from_slice(b"data: [DONE]\n\n");
            }
        }
    }

    fn keep_alive(&mut self, _: &Exchange, out: &mut Vec<u8>) {
        out.extend_from_slice(b": waiting\n\n");
    }
}

impl ResponseWriter {
    fn begin(&mut self, exchange: &Exchange, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.is_begun, true) {
            write_event(&chunk(json!({"role": "assistant", "content": ""}), None, exchange), out);
        }
    }

    /// Writes the records that wait. `call` is the id of the call that follows.
    fn flush(&mut self, call: &str, exchange: &Exchange, out: &mut Vec<u8>) {
        for carried in std::mem::take(&mut self.waiting) {
            self.begin(exchange, out);
            let detail = reasoning_detail(&carried, call, self.details);
            write_event(&chunk(json!({"reasoning_details": [detail]}), None, exchange), out);
            self.details += 1;
        }
    }

    fn call_ends(&mut self, exchange: &Exchange, out: &mut Vec<u8>) {
        let Some(open) = self.call.take() else { return };
        if open.named.kind != ToolKind::Function {
            self.call_delta(call(&open.id, &open.named, &open.arguments), exchange, out);
        }
        self.calls += 1;
    }

    fn call_delta(&mut self, mut call: Value, exchange: &Exchange, out: &mut Vec<u8>) {
        self.begin(exchange, out);
        call["index"] = self.calls.into();
        write_event(&chunk(json!({"tool_calls": [call]}), None, exchange), out);
    }

    // Most chunks are pieces, so their envelope is not built up piece by piece.
    fn piece(&mut self, field: &str, text: &str, exchange: &Exchange, out: &mut Vec<u8>) {
        self.begin(exchange, out);
        start(exchange, out);
        out.extend_from_slice(b"\"");
        out.extend_from_slice(field.as_bytes());
        out.extend_from_slice(b"\":");
        write_string(out, text);
        out.extend_from_slice(b"},\"finish_reason\":null}]}\n\n");
    }

    fn arguments(&mut self, piece: &str, exchange: &Exchange, out: &mut Vec<u8>) {
        start(exchange, out);
        out.extend_from_slice(b"\"tool_calls\":[{\"index\":");
        out.extend_from_slice(self.calls.to_string().as_bytes());
        out.extend_from_slice(b",\"function\":{\"arguments\":");
        write_string(out, piece);
        out.extend_from_slice(b"}}]},\"finish_reason\":null}]}\n\n");
    }
}

fn start(exchange: &Exchange, out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: {\"id\":\"chatcmpl-");
    out.extend_from_slice(exchange.seed.as_bytes());
    out.extend_from_slice(b"\",\"object\":\"chat.completion.chunk\",\"created\":");
    out.extend_from_slice(exchange.created.to_string().as_bytes());
    out.extend_from_slice(b",\"model\":");
    write_string(out, &exchange.requested_model);
    out.extend_from_slice(b",\"choices\":[{\"index\":0,\"delta\":{");
}

fn chunk(delta: Value, stop: Option<&str>, exchange: &Exchange) -> Value {
    json!({
        "id": format!("chatcmpl-{}", exchange.seed), "object": "chat.completion.chunk",
        "created": exchange.created, "model": exchange.requested_model, "choices": [{"index": 0, "delta": delta, "finish_reason": stop}],
    })
}

fn call(id: &str, named: &ClientTool, arguments: &str) -> Value {
    match named.kind {
        ToolKind::FreeForm => {
            json!({"id": id, "type": "custom", "custom": {"name": named.name, "input": extract_text(arguments)}})
        }
        ToolKind::Function | ToolKind::Search => {
            json!({"id": id, "type": "function", "function": {"name": named.name, "arguments": arguments}})
        }
    }
}

/// Makes the record of a thought, where its upstream wants it back. Within one API, the client's own field is enough, unless
/// another upstream may answer next.
fn recorded(proof: ReasoningProof, thought: String, exchange: &Exchange) -> Option<ReasoningBlob> {
    let is_needed =
        proof != ReasoningProof::Nothing || (exchange.mark_reasoning && exchange.upstream == exchange.client);
    is_needed.then(|| exchange.reasoning_blob(proof, thought))
}

/// Formats a record as the detail of a message's reasoning that a client gives back. `call` is the id of the call that it proves.
pub(crate) fn reasoning_detail(carried: &ReasoningBlob, call: &str, at: u64) -> Value {
    let id = if call.is_empty() { Value::Null } else { call.into() };
    json!({"type": "reasoning.encrypted", "data": carried.encode(), "id": id, "format": "aiw", "index": at})
}

fn stop(stop: Option<StopReason>, has_calls: bool) -> &'static str {
    match stop {
        // Some upstreams stop for their calls without saying so.
        None | Some(StopReason::EndTurn) if has_calls => "tool_calls",
        None | Some(StopReason::EndTurn | StopReason::Sequence) => "stop",
        Some(StopReason::ToolUse) => "tool_calls",
        Some(StopReason::MaxTokens | StopReason::ContextWindow) => "length",
        Some(StopReason::Refusal) => "content_filter",
    }
}

fn usage(usage: RequestUsage) -> Value {
    let read = usage.total_input();
    json!({
        "prompt_tokens": read, "completion_tokens": usage.output, "total_tokens": read.saturating_add(usage.output),
        "prompt_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": usage.cache_written},
        "completion_tokens_details": {"reasoning_tokens": usage.thinking},
    })
}

/// Formats a whole answer.
pub(crate) fn write_response(answer: &CollectedResponse, exchange: &mut Exchange) -> Vec<u8> {
    let (mut text, mut thought) = (String::new(), String::new());
    let (mut details, mut calls, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    let mut flush = |waiting: &mut Vec<ReasoningBlob>, call: &str| {
        for carried in waiting.drain(..) {
            let at = details.len() as u64;
            details.push(reasoning_detail(&carried, call, at));
        }
    };
    for part in &answer.parts {
        match part {
            CollectedPart::Text(more) => {
                flush(&mut waiting, "");
                text.push_str(more);
            }
            CollectedPart::Thought { text, proof } => {
                flush(&mut waiting, "");
                thought.push_str(text);
                waiting.extend(recorded(proof.clone().unwrap_or(ReasoningProof::Nothing), text.clone(), exchange));
            }
            CollectedPart::Call { id, name, arguments } => {
                let (id, named) = (exchange.call_id(id), exchange.names.client_tool(name));
                let is_of_part = waiting.iter().all(|carried| matches!(carried.proof, ReasoningProof::OfPart(_)));
                flush(&mut waiting, if is_of_part { &id } else { "" });
                calls.push(call(&id, &named, arguments));
            }
        }
    }
    flush(&mut waiting, "");
    let mut message = Map::new();
    message.insert("role".into(), "assistant".into());
    message.insert("content".into(), if text.is_empty() && !calls.is_empty() { Value::Null } else { text.into() });
    message.insert("refusal".into(), Value::Null);
    if !thought.is_empty() {
        message.insert("reasoning_content".into(), thought.into());
    }
    if !details.is_empty() {
        message.insert("reasoning_details".into(), details.into());
    }
    let has_calls = !calls.is_empty();
    if has_calls {
        message.insert("tool_calls".into(), calls.into());
    }
    let answer = json!({
        "id": format!("chatcmpl-{}", exchange.seed), "object": "chat.completion", "created": exchange.created,
        "model": exchange.requested_model,
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": stop(answer.stop_reason, has_calls)}],
        "usage": usage(answer.usage),
    });
    answer.to_string().into_bytes()
}
