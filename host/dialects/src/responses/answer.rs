//! Answers to clients.

use serde_json::{Value, json};

use crate::collected::{CollectedPart, CollectedResponse, extract_text, parse_object};
use crate::conversation::ToolKind;
use crate::dialect::Writer;
use crate::event::{Event, RequestUsage, StopReason};
use crate::exchange::Exchange;
use crate::json::{Object, write_object, write_string};
use crate::names::ClientTool;
use crate::reasoning::ReasoningProof;

/// The fields that count the parts of an item.
const CONTENT_INDEX_FIELD: &str = "content_index";
const SUMMARY_INDEX_FIELD: &str = "summary_index";

#[derive(Debug)]
enum Open {
    Text(String),
    Thought(String),
    Call { id: String, named: ClientTool, arguments: String },
}

/// Writes events, one after the other.
#[derive(Debug, Default)]
pub(crate) struct ResponseWriter {
    is_begun: bool,
    open: Option<Open>,
    /// The finished items, as JSON.
    output: Vec<Value>,
    number: u64,
    usage: RequestUsage,
    stop: Option<StopReason>,
}

impl Writer for ResponseWriter {
    // Long: one arm for each kind of event.
    fn write(&mut self, event: Event<'_>, exchange: &mut Exchange, out: &mut Vec<u8>) {
        match event {
            Event::Usage(usage) => self.usage.merge_max(usage),
            Event::Stop(stop) => self.stop = Some(stop),
            Event::Text(text) => {
                if !matches!(self.open, Some(Open::Text(_))) {
                    self.close(None, exchange, out);
                    self.begin(exchange, out);
                    let item = self.item_id(exchange, "msg");
                    self.added(&json!({"type": "message", "id": item, "status": "in_progress", "role": "assistant", "content": []}), out);
                    self.part("response.content_part.added", &item, CONTENT_INDEX_FIELD, ("part", &said("")), out);
                    self.open = Some(Open::Text(String::new()));
                }
                if let Some(Open::Text(all)) = &mut self.open {
                    all.push_str(&text);
                }
                self.delta("response.output_text.delta", "msg", CONTENT_INDEX_FIELD, &text, exchange, out);
            }
            Event::Thought(text) => {
                if !matches!(self.open, Some(Open::Thought(_))) {
                    let item = self.open_thought(exchange, out);
                    self.part(
                        "response.reasoning_summary_part.added",
                        &item,
                        SUMMARY_INDEX_FIELD,
                        ("part", &thought("")),
                        out,
                    );
                }
                if let Some(Open::Thought(all)) = &mut self.open {
                    all.push_str(&text);
                }
                self.delta("response.reasoning_summary_text.delta", "rs", SUMMARY_INDEX_FIELD, &text, exchange, out);
            }
            Event::ReasoningProof(proof) => {
                if !matches!(self.open, Some(Open::Thought(_))) {
                    self.open_thought(exchange, out);
                }
                self.close(Some(proof), exchange, out);
            }
            Event::Call { id, name } => {
                self.close(None, exchange, out);
                self.begin(exchange, out);
                let (id, named) = (exchange.call_id(&id), exchange.names.client_tool(&name));
                let item = call(&self.item_id(exchange, "fc"), &id, &named, "", "in_progress");
                self.added(&item, out);
                self.open = Some(Open::Call { id, named, arguments: String::new() });
            }
            Event::Arguments(piece) => {
                let Some(Open::Call { named, arguments, .. }) = &mut self.open else { return };
                arguments.push_str(&piece);
                // Those of the other kinds are not JSON, and are unwrapped when they are whole.
                if named.kind == ToolKind::Function {
                    self.delta("response.function_call_arguments.delta", "fc", "", &piece, exchange, out);
                }
            }
            Event::CallEnd => self.close(None, exchange, out),
            Event::Failed(failure) => {
                self.begin(exchange, out);
                let error = json!({"code": failure.code(), "message": failure.message_with_wait()});
                let response = self.response(exchange, "failed", Some(&error), None);
                self.send("response.failed", out, |data, _| data.value("response", &response));
            }
            Event::End => {
                self.begin(exchange, out);
                self.close(None, exchange, out);
                let (status, details) = status(self.stop);
                let response = self.response(exchange, status, None, details);
                self.send(&format!("response.{status}"), out, |data, _| data.value("response", &response));
            }
        }
    }

    fn keep_alive(&mut self, exchange: &Exchange, out: &mut Vec<u8>) {
        self.begin(exchange, out);
        out.extend_from_slice(b": waiting\n\n");
    }

    fn skip_start_events(&mut self) {
        self.is_begun = true;
    }
}

impl ResponseWriter {
    fn begin(&mut self, exchange: &Exchange, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.is_begun, true) {
            return;
        }
        for kind in ["response.created", "response.in_progress"] {
            let response = self.response(exchange, "in_progress", None, None);
            self.send(kind, out, |data, _| data.value("response", &response));
        }
    }

    fn item_id(&self, exchange: &Exchange, kind: &str) -> String {
        format!("{kind}_{}_{}", exchange.seed, self.output.len())
    }

    fn added(&mut self, item: &Value, out: &mut Vec<u8>) {
        self.send("response.output_item.added", out, |data, at| data.number("output_index", at).value("item", item));
    }

    /// Begins an item of a thought, and returns its id.
    fn open_thought(&mut self, exchange: &Exchange, out: &mut Vec<u8>) -> String {
        self.close(None, exchange, out);
        self.begin(exchange, out);
        let item = self.item_id(exchange, "rs");
        self.added(&json!({"type": "reasoning", "id": item, "summary": []}), out);
        self.open = Some(Open::Thought(String::new()));
        item
    }

    /// Ends the open item.
    fn close(&mut self, proof: Option<ReasoningProof>, exchange: &Exchange, out: &mut Vec<u8>) {
        let item = match self.open.take() {
            None => return,
            Some(Open::Text(text)) => {
                let id = self.item_id(exchange, "msg");
                let part = said(&text);
                self.part("response.output_text.done", &id, CONTENT_INDEX_FIELD, ("text", &part["text"]), out);
                self.part("response.content_part.done", &id, CONTENT_INDEX_FIELD, ("part", &part), out);
                json!({"type": "message", "id": id, "status": "completed", "role": "assistant", "content": [part]})
            }
            Some(Open::Thought(text)) => {
                let id = self.item_id(exchange, "rs");
                if !text.is_empty() {
                    let part = thought(&text);
                    self.part(
                        "response.reasoning_summary_text.done",
                        &id,
                        SUMMARY_INDEX_FIELD,
                        ("text", &part["text"]),
                        out,
                    );
                    self.part("response.reasoning_summary_part.done", &id, SUMMARY_INDEX_FIELD, ("part", &part), out);
                }
                reasoning(&id, &text, proof, exchange)
            }
            Some(Open::Call { id, named, arguments }) => {
                let item = self.item_id(exchange, "fc");
                let arguments = if arguments.trim().is_empty() { "{}" } else { &arguments };
                let whole = call(&item, &id, &named, arguments, "completed");
                let (kind, field) = match named.kind {
                    ToolKind::Function => ("response.function_call_arguments.done", "arguments"),
                    ToolKind::FreeForm => ("response.custom_tool_call_input.done", "input"),
                    ToolKind::Search => ("", ""),
                };
                if let Some(text) = whole[field].as_str() {
                    self.send(kind, out, |data, at| {
                        data.string("item_id", &item).number("output_index", at).string(field, text)
                    });
                }
                whole
            }
        };
        self.send("response.output_item.done", out, |data, at| data.number("output_index", at).value("item", &item));
        self.output.push(item);
    }

    fn response(&self, exchange: &Exchange, status: &str, error: Option<&Value>, details: Option<Value>) -> Value {
        response(exchange, status, error, details, &self.output, (status != "in_progress").then_some(self.usage))
    }

    /// Sends an event of the only part of the open item.
    fn part(&mut self, kind: &str, item: &str, index: &str, (field, value): (&str, &Value), out: &mut Vec<u8>) {
        self.send(kind, out, |data, at| {
            data.string("item_id", item).number("output_index", at).number(index, 0).value(field, value)
        });
    }

    fn send(
        &mut self,
        kind: &str,
        out: &mut Vec<u8>,
        fill: impl for<'x, 'y> FnOnce(&'x mut Object<'y>, u64) -> &'x mut Object<'y>,
    ) {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\ndata: ");
        write_object(out, |data| {
            data.string("type", kind).number("sequence_number", self.number);
            fill(data, self.output.len() as u64)
        });
        out.extend_from_slice(b"\n\n");
        self.number += 1;
    }

    // Most events are deltas, so their envelope is not built up piece by piece.
    fn delta(&mut self, kind: &str, item: &str, index: &str, text: &str, exchange: &Exchange, out: &mut Vec<u8>) {
        let at = self.output.len();
        let start = format!(
            "event: {kind}\ndata: {{\"type\":\"{kind}\",\"sequence_number\":{},\"item_id\":\"{item}_{}_{at}\",\"output_index\":{at},",
            self.number, exchange.seed
        );
        out.extend_from_slice(start.as_bytes());
        if !index.is_empty() {
            out.push(b'"');
            out.extend_from_slice(index.as_bytes());
            out.extend_from_slice(b"\":0,");
        }
        out.extend_from_slice(b"\"delta\":");
        write_string(out, text);
        out.extend_from_slice(b"}\n\n");
        self.number += 1;
    }
}

fn status(stop: Option<StopReason>) -> (&'static str, Option<Value>) {
    match stop {
        Some(StopReason::MaxTokens | StopReason::ContextWindow) => {
            ("incomplete", Some(json!({"reason": "max_output_tokens"})))
        }
        Some(StopReason::Refusal) => ("incomplete", Some(json!({"reason": "content_filter"}))),
        _ => ("completed", None),
    }
}

fn reasoning(id: &str, text: &str, proof: Option<ReasoningProof>, exchange: &Exchange) -> Value {
    let summary = if text.is_empty() { json!([]) } else { json!([thought(text)]) };
    let record = exchange.reasoning_blob(proof.unwrap_or(ReasoningProof::Nothing), String::new());
    json!({"type": "reasoning", "id": id, "summary": summary, "encrypted_content": record.encode()})
}

/// Makes the part of an item that holds words.
fn said(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": []})
}

/// Makes the part of an item that holds a thought.
fn thought(text: &str) -> Value {
    json!({"type": "summary_text", "text": text})
}

/// Makes the item of a call, as the tool's kind wants it.
fn call(item: &str, id: &str, named: &ClientTool, arguments: &str, status: &str) -> Value {
    match named.kind {
        ToolKind::Function => {
            let mut call = json!({
                "type": "function_call", "id": item, "call_id": id, "name": named.name, "arguments": arguments, "status": status,
            });
            if let Some(namespace) = &named.namespace {
                call["namespace"] = namespace.as_str().into();
            }
            call
        }
        ToolKind::FreeForm => {
            let input = extract_text(arguments);
            json!({"type": "custom_tool_call", "id": item, "call_id": id, "name": named.name, "input": input, "status": status})
        }
        ToolKind::Search => json!({
            "type": "tool_search_call", "id": item, "call_id": id, "execution": "client",
            "arguments": parse_object(arguments), "status": status,
        }),
    }
}

fn response(
    exchange: &Exchange,
    status: &str,
    error: Option<&Value>,
    details: Option<Value>,
    output: &[Value],
    usage: Option<RequestUsage>,
) -> Value {
    let usage = usage.map(|usage| {
        json!({
            "input_tokens": usage.total_input(),
            "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": usage.cache_written},
            "output_tokens": usage.output, "output_tokens_details": {"reasoning_tokens": usage.thinking},
            "total_tokens": usage.total_input().saturating_add(usage.output),
        })
    });
    json!({
        "id": format!("resp_{}", exchange.seed), "object": "response", "created_at": exchange.created,
        "status": status,
        "model": exchange.requested_model, "output": output, "error": error, "incomplete_details": details, "usage": usage,
    })
}

/// Formats a whole answer.
pub(crate) fn write_response(answer: &CollectedResponse, exchange: &mut Exchange) -> Vec<u8> {
    let mut output = Vec::new();
    for (at, part) in answer.parts.iter().enumerate() {
        let id = |kind: &str, exchange: &Exchange| format!("{kind}_{}_{at}", exchange.seed);
        output.push(match part {
            CollectedPart::Text(text) => json!({
                "type": "message", "id": id("msg", exchange), "status": "completed", "role": "assistant",
                "content": [said(text)],
            }),
            CollectedPart::Thought { text, proof } => reasoning(&id("rs", exchange), text, proof.clone(), exchange),
            CollectedPart::Call { id: call_id, name, arguments } => {
                let (call_id, named) = (exchange.call_id(call_id), exchange.names.client_tool(name));
                call(&id("fc", exchange), &call_id, &named, arguments, "completed")
            }
        });
    }
    let (status, details) = status(answer.stop_reason);
    response(exchange, status, None, details, &output, Some(answer.usage)).to_string().into_bytes()
}
