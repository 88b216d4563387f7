//! Answers to clients.
//!
//! Gemini CLI throws an answer away that has an `event:` line or a comment.

use serde_json::{Value, json};

use crate::collected::{CollectedPart, CollectedResponse, parse_object};
use crate::dialect::Writer;
use crate::event::{Event, RequestUsage, StopReason};
use crate::exchange::Exchange;
use crate::json::write_string;
use crate::reasoning::{ReasoningBlob, ReasoningProof};
use crate::sse::write_event;

/// Writes chunks, one after the other. Calls are written whole.
#[derive(Debug, Default)]
pub(crate) struct ResponseWriter {
    thought: String,
    /// Records that wait for a part that carries them.
    waiting: Vec<ReasoningBlob>,
    call: Option<(String, String, String)>,
    usage: RequestUsage,
    stop: Option<StopReason>,
}

impl Writer for ResponseWriter {
    fn write(&mut self, event: Event<'_>, exchange: &mut Exchange, out: &mut Vec<u8>) {
        match event {
            Event::Usage(usage) => self.usage.merge_max(usage),
            Event::Stop(stop) => self.stop = Some(stop),
            Event::Text(text) => piece("", &text, exchange, out),
            Event::Thought(text) => {
                self.thought.push_str(&text);
                piece("\"thought\":true,", &text, exchange, out);
            }
            Event::ReasoningProof(proof) => self.proof(proof, exchange),
            Event::Call { id, name } => {
                self.open_thought_ends(exchange);
                self.call = Some((exchange.call_id(&id), exchange.names.client_tool(&name).name, String::new()));
            }
            Event::Arguments(text) => {
                if let Some((.., arguments)) = &mut self.call {
                    arguments.push_str(&text);
                }
            }
            Event::CallEnd => {
                let Some((id, name, arguments)) = self.call.take() else { return };
                let record = self.record();
                write_event(&chunk(&[call_part(&id, &name, &arguments, record)], exchange), out);
            }
            Event::Failed(failure) => write_event(&json!({"error": failure.to_generate_content_json()}), out),
            Event::End => {
                self.open_thought_ends(exchange);
                let parts = match self.record() {
                    Some(record) => vec![json!({"text": "", "thoughtSignature": record})],
                    None => vec![json!({"text": ""})],
                };
                let mut last = chunk(&parts, exchange);
                last["candidates"][0]["finishReason"] = stop(self.stop).into();
                last["usageMetadata"] = usage(self.usage);
                write_event(&last, out);
            }
        }
    }

    fn keep_alive(&mut self, exchange: &Exchange, out: &mut Vec<u8>) {
        write_event(&json!({"modelVersion": exchange.requested_model}), out);
    }
}

impl ResponseWriter {
    fn proof(&mut self, proof: ReasoningProof, exchange: &Exchange) {
        self.waiting.push(exchange.reasoning_blob(proof, std::mem::take(&mut self.thought)));
    }

    fn open_thought_ends(&mut self, exchange: &Exchange) {
        if !self.thought.is_empty() {
            self.proof(ReasoningProof::Nothing, exchange);
        }
    }

    fn record(&mut self) -> Option<String> {
        joined(std::mem::take(&mut self.waiting))
    }
}

fn call_part(id: &str, name: &str, arguments: &str, record: Option<String>) -> Value {
    let mut part = json!({"functionCall": {"id": id, "name": name, "args": parse_object(arguments)}});
    if let Some(record) = record {
        part["thoughtSignature"] = record.into();
    }
    part
}

/// Makes one record of several.
fn joined(records: Vec<ReasoningBlob>) -> Option<String> {
    let mut records = records.into_iter();
    let mut first = records.next()?;
    first.next = records.collect();
    Some(first.encode())
}

// Most chunks are pieces of text, so their envelope is not built up piece by piece.
fn piece(kind: &str, text: &str, exchange: &Exchange, out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\"text\":");
    write_string(out, text);
    out.extend_from_slice(b"}]},\"index\":0}],\"modelVersion\":");
    write_string(out, &exchange.requested_model);
    out.extend_from_slice(b"}\n\n");
}

fn chunk(parts: &[Value], exchange: &Exchange) -> Value {
    json!({"candidates": [{"content": {"role": "model", "parts": parts}, "index": 0}], "modelVersion": exchange.requested_model})
}

fn stop(stop: Option<StopReason>) -> &'static str {
    match stop {
        Some(StopReason::MaxTokens | StopReason::ContextWindow) => "MAX_TOKENS",
        Some(StopReason::Refusal) => "SAFETY",
        _ => "STOP",
    }
}

fn usage(usage: RequestUsage) -> Value {
    json!({
        "promptTokenCount": usage.total_input(), "cachedContentTokenCount": usage.cached,
        "candidatesTokenCount": usage.output - usage.thinking.min(usage.output), "thoughtsTokenCount": usage.thinking,
        "totalTokenCount": usage.total_input().saturating_add(usage.output),
    })
}

/// Formats a whole answer.
pub(crate) fn write_response(answer: &CollectedResponse, exchange: &mut Exchange) -> Vec<u8> {
    let mut parts = Vec::new();
    let mut waiting = Vec::new();
    for part in &answer.parts {
        match part {
            CollectedPart::Text(text) => parts.push(json!({"text": text})),
            CollectedPart::Thought { text, proof } => {
                if !text.is_empty() {
                    parts.push(json!({"text": text, "thought": true}));
                }
                waiting.push(exchange.reasoning_blob(proof.clone().unwrap_or(ReasoningProof::Nothing), text.clone()));
            }
            CollectedPart::Call { id, name, arguments } => {
                let (id, name) = (exchange.call_id(id), exchange.names.client_tool(name).name);
                parts.push(call_part(&id, &name, arguments, joined(std::mem::take(&mut waiting))));
            }
        }
    }
    if let Some(record) = joined(waiting) {
        parts.push(json!({"text": "", "thoughtSignature": record}));
    }
    let mut whole = chunk(&parts, exchange);
    whole["candidates"][0]["finishReason"] = stop(answer.stop_reason).into();
    whole["usageMetadata"] = usage(answer.usage);
    whole.to_string().into_bytes()
}
