//! Answers to clients.

use serde_json::{Value, json};

use super::events::STOP_REASONS;
use crate::collected::CollectedResponse;
use crate::dialect::Writer;
use crate::event::{Event, RequestUsage, StopReason};
use crate::exchange::Exchange;
use crate::json::{Fill, write_object, write_string};
use crate::reasoning::ReasoningProof;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
    Call,
}

/// Writes events, one after the other.
#[derive(Debug, Default)]
pub(crate) struct ResponseWriter {
    is_begun: bool,
    open: Option<Open>,
    index: u32,
    usage: RequestUsage,
    stop: Option<StopReason>,
    has_calls: bool,
}

impl Writer for ResponseWriter {
    fn write(&mut self, event: Event<'_>, exchange: &mut Exchange, out: &mut Vec<u8>) {
        match event {
            Event::Usage(usage) => self.usage.merge_max(usage),
            Event::Stop(stop) => self.stop = Some(stop),
            Event::Text(text) => {
                self.block(Open::Text, exchange, out);
                self.delta("text_delta", "text", &text, out);
            }
            Event::Thought(text) => {
                self.block(Open::Thinking, exchange, out);
                self.delta("thinking_delta", "thinking", &text, out);
            }
            Event::ReasoningProof(proof) => self.proof(proof, exchange, out),
            Event::Call { id, name } => {
                self.close(exchange, out);
                self.begin(exchange, out);
                self.has_calls = true;
                let (id, name) = (exchange.call_id(&id), exchange.names.client_tool(&name).name);
                self.start(out, |block| {
                    block.string("type", "tool_use").string("id", &id).string("name", &name).raw("input", "{}")
                });
                self.open = Some(Open::Call);
            }
            Event::Arguments(piece) => {
                if self.open == Some(Open::Call) {
                    self.delta("input_json_delta", "partial_json", &piece, out);
                }
            }
            Event::CallEnd => self.close(exchange, out),
            Event::Failed(failure) => {
                send(out, "error", |data| data.value("error", &failure.to_messages_json()));
            }
            Event::End => {
                self.begin(exchange, out);
                self.close(exchange, out);
                let stop = stop(self.stop, self.has_calls);
                send(out, "message_delta", |data| {
                    data.object("delta", |delta| delta.string("stop_reason", stop).raw("stop_sequence", "null"));
                    data.value("usage", &usage(self.usage))
                });
                send(out, "message_stop", |data| data);
            }
        }
    }

    fn keep_alive(&mut self, exchange: &Exchange, out: &mut Vec<u8>) {
        self.begin(exchange, out);
        send(out, "ping", |data| data);
    }
}

impl ResponseWriter {
    fn begin(&mut self, exchange: &Exchange, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.is_begun, true) {
            return;
        }
        send(out, "message_start", |data| {
            data.object("message", |message| {
                message.string("id", &format!("msg_{}", exchange.seed)).string("type", "message");
                message.string("role", "assistant").string("model", &exchange.requested_model).raw("content", "[]");
                message.raw("stop_reason", "null").raw("stop_sequence", "null").value("usage", &usage(self.usage))
            })
        });
    }

    fn proof(&mut self, proof: ReasoningProof, exchange: &mut Exchange, out: &mut Vec<u8>) {
        let record = exchange.reasoning_blob(proof, String::new()).encode();
        if self.open == Some(Open::Thinking) {
            self.delta("signature_delta", "signature", &record, out);
            self.open = None;
            self.block_stop(out);
            return;
        }
        // A thought that nobody may read.
        self.close(exchange, out);
        self.begin(exchange, out);
        self.start(out, |block| block.string("type", "redacted_thinking").string("data", &record));
        self.block_stop(out);
    }

    fn block(&mut self, wanted: Open, exchange: &mut Exchange, out: &mut Vec<u8>) {
        if self.open == Some(wanted) {
            return;
        }
        self.close(exchange, out);
        self.begin(exchange, out);
        self.start(out, |block| match wanted {
            Open::Text => block.string("type", "text").string("text", ""),
            _ => block.string("type", "thinking").string("thinking", "").string("signature", ""),
        });
        self.open = Some(wanted);
    }

    fn close(&mut self, exchange: &mut Exchange, out: &mut Vec<u8>) {
        match self.open.take() {
            None => {}
            Some(Open::Thinking) => {
                // Clients demand a signature.
                self.open = Some(Open::Thinking);
                self.proof(ReasoningProof::Nothing, exchange, out);
            }
            Some(Open::Text | Open::Call) => self.block_stop(out),
        }
    }

    fn start(&mut self, out: &mut Vec<u8>, fill: impl Fill) {
        send(out, "content_block_start", |data| data.number("index", self.index.into()).object("content_block", fill));
    }

    fn block_stop(&mut self, out: &mut Vec<u8>) {
        send(out, "content_block_stop", |data| data.number("index", self.index.into()));
        self.index += 1;
    }

    // Most events are deltas, so their envelope is not built up piece by piece.
    fn delta(&mut self, kind: &str, field: &str, text: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":");
        out.extend_from_slice(self.index.to_string().as_bytes());
        out.extend_from_slice(b",\"delta\":{\"type\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\",\"");
        out.extend_from_slice(field.as_bytes());
        out.extend_from_slice(b"\":");
        write_string(out, text);
        out.extend_from_slice(b"}}\n\n");
    }
}

fn send(out: &mut Vec<u8>, kind: &str, fill: impl Fill) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    write_object(out, |data| fill(data.string("type", kind)));
    out.extend_from_slice(b"\n\n");
}

fn stop(stop: Option<StopReason>, has_calls: bool) -> &'static str {
    let stop = match stop {
        // Some upstreams stop for their calls without saying so.
        None | Some(StopReason::EndTurn) if has_calls => StopReason::ToolUse,
        stop => stop.unwrap_or(StopReason::EndTurn),
    };
    STOP_REASONS.iter().find(|(_, known)| *known == stop).map_or("end_turn", |(name, _)| name)
}

fn usage(usage: RequestUsage) -> Value {
    json!({
        "input_tokens": usage.input, "cache_creation_input_tokens": usage.cache_written,
        "cache_read_input_tokens": usage.cached, "output_tokens": usage.output,
    })
}

/// Formats a whole answer.
pub(crate) fn write_response(answer: &CollectedResponse, exchange: &mut Exchange) -> Vec<u8> {
    let mut content = Vec::new();
    for part in &answer.parts {
        use crate::collected::CollectedPart as Part;
        content.push(match part {
            Part::Text(text) => json!({"type": "text", "text": text}),
            Part::Thought { text, proof } => {
                let record =
                    exchange.reasoning_blob(proof.clone().unwrap_or(ReasoningProof::Nothing), String::new()).encode();
                match text.is_empty() {
                    true => json!({"type": "redacted_thinking", "data": record}),
                    false => json!({"type": "thinking", "thinking": text, "signature": record}),
                }
            }
            Part::Call { id, name, arguments } => {
                let (id, name) = (exchange.call_id(id), exchange.names.client_tool(name).name);
                json!({"type": "tool_use", "id": id, "name": name, "input": crate::collected::parse_object(arguments)})
            }
        });
    }
    let answer = json!({
        "id": format!("msg_{}", exchange.seed), "type": "message", "role": "assistant", "model": exchange.requested_model,
        "content": content, "stop_reason": stop(answer.stop_reason, answer.has_calls()), "stop_sequence": null,
        "usage": usage(answer.usage),
    });
    answer.to_string().into_bytes()
}
