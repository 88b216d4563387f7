//! Requests to upstreams.

use serde_json::json;

use crate::conversation::{Choice, Conversation, Effort, Ids, NO_RESULT, Part, Thinking, Turn};
use crate::exchange::Exchange;
use crate::json::{Array, made, object};
use crate::reasoning::{Proof, ReasoningBlob};
use crate::request::UpstreamTarget;

/// Writes a request.
pub(crate) fn write(conversation: &Conversation<'_>, exchange: &Exchange, to: &UpstreamTarget) -> Vec<u8> {
    let mut body = Vec::with_capacity(16 << 10);
    object(&mut body, |request| {
        request.string("model", &to.model).flag("stream", true).flag("store", false);
        request.raw("include", r#"["reasoning.encrypted_content"]"#);
        request.array("input", |items| write_items(items, conversation, exchange));
        if !conversation.tools.is_empty() {
            request.array("tools", |tools| {
                for tool in &conversation.tools {
                    tools.object(|out| {
                        out.string("type", "function");
                        out.string("name", exchange.names.upstream(tool.namespace.as_deref(), &tool.name));
                        out.string("description", &tool.description).raw("parameters", tool.schema_or_any());
                        out.flag("strict", tool.is_strict)
                    });
                }
            });
            let choice = match &conversation.choice {
                Choice::Unspecified | Choice::Auto => json!("auto"),
                Choice::Any => json!("required"),
                Choice::None => json!("none"),
                Choice::Tool(name) => json!({"type": "function", "name": exchange.names.upstream(None, name)}),
            };
            request.value("tool_choice", &choice);
            request.flag("parallel_tool_calls", !conversation.one_call);
        }
        match conversation.thinking {
            Thinking::Unspecified => {}
            Thinking::Off => {
                request.object("reasoning", |out| out.string("effort", "none"));
            }
            thinking => {
                request.object("reasoning", |out| {
                    out.some_string("effort", thinking.effort().map(Effort::name)).string("summary", "auto")
                });
            }
        }
        if let Some(limit) = conversation.max_output {
            request.number("max_output_tokens", to.limited(limit));
        }
        if let Some(key) = &conversation.cache_key {
            // The longest key that OpenAI takes.
            request.string("prompt_cache_key", &key.chars().take(64).collect::<String>());
        }
        if let Some(format) = &conversation.format {
            request.object("text", |text| {
                text.object("format", |out| match &format.schema {
                    None => out.string("type", "json_object"),
                    Some(schema) => {
                        out.string("type", "json_schema").string("name", &format.name);
                        out.raw("schema", schema).flag("strict", false)
                    }
                })
            });
        }
        request.some_raw("temperature", conversation.temperature).some_raw("top_p", conversation.top_p)
    });
    to.without_refused(body)
}

fn write_items(items: &mut Array<'_>, conversation: &Conversation<'_>, exchange: &Exchange) {
    for block in &conversation.system {
        message(items, "developer", "input_text", block);
    }
    let mut ids = Ids::default();
    let mut calls: Vec<String> = Vec::new();
    for turn in conversation.turns() {
        match turn {
            Turn::System(text) => message(items, "developer", "input_text", text),
            Turn::User(parts) => {
                let contents: Vec<Vec<u8>> = parts.iter().filter_map(|part| content(part)).collect();
                if !contents.is_empty() {
                    items.object(|out| {
                        out.string("type", "message").string("role", "user");
                        out.array("content", |all| all.items(contents))
                    });
                }
            }
            Turn::Assistant(parts) => {
                calls.clear();
                for part in parts {
                    exchange.own_parts(part).iter().for_each(|(one, kept)| thought(items, one, kept));
                    if let Part::Call(call) = part {
                        let id = ids.unique(&call.id);
                        items.object(|out| {
                            out.string("type", "function_call").string("call_id", &id);
                            out.string("name", exchange.names.upstream(call.namespace.as_deref(), &call.name));
                            out.string("arguments", &call.arguments)
                        });
                        calls.push(id);
                    } else if let Some(text) = part.text() {
                        message(items, "assistant", "output_text", text);
                    }
                }
            }
            Turn::Results(results) => {
                for (answered, id) in results.iter().zip(&calls) {
                    items.object(|out| {
                        out.string("type", "function_call_output").string("call_id", id);
                        match answered.result {
                            None => out.string("output", NO_RESULT),
                            Some(result) if result.media().next().is_none() => {
                                out.string("output", &result.marked_text())
                            }
                            Some(result) => {
                                out.array("output", |all| all.items(result.parts.iter().filter_map(content)))
                            }
                        }
                    });
                }
            }
        }
    }
}

fn thought(items: &mut Array<'_>, carried: &ReasoningBlob, kept: &str) {
    let Proof::Encrypted { id, content } = &carried.proof else { return };
    items.object(|out| {
        out.string("type", "reasoning");
        if !id.is_empty() {
            out.string("id", id);
        }
        out.array("summary", |summary| {
            let text = carried.thought(kept);
            if !text.is_empty() {
                summary.object(|out| out.string("type", "summary_text").string("text", &text));
            }
        });
        out.string("encrypted_content", content)
    });
}

fn message(items: &mut Array<'_>, role: &str, kind: &str, text: &str) {
    items.object(|out| {
        out.string("type", "message").string("role", role);
        out.array("content", |all| all.object(|out| out.string("type", kind).string("text", text)))
    });
}

fn content(part: &Part<'_>) -> Option<Vec<u8>> {
    let text = |text: &str| made(|out| out.string("type", "input_text").string("text", text));
    match part {
        Part::Text(_) => part.text().map(text),
        Part::Image(media) => Some(made(|out| out.string("type", "input_image").string("image_url", &media.url()))),
        Part::File(media) => Some(made(|out| {
            let field = if media.url().starts_with("data:") { "file_data" } else { "file_url" };
            out.string("type", "input_file").some_string("filename", media.name.as_deref()).string(field, &media.url())
        })),
        Part::Result(result) => Some(text(&result.marked_text())),
        Part::Thought { .. } | Part::Call(_) => None,
    }
}
