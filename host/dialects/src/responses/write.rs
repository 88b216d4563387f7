//! Requests to upstreams.

use serde_json::json;

use crate::conversation::{CallIds, Conversation, Effort, MISSING_RESULT_TEXT, Part, Thinking, ToolChoiceMode, Turn};
use crate::exchange::Exchange;
use crate::json::{Array, object_to_vec, write_object};
use crate::reasoning::{ReasoningBlob, ReasoningProof};
use crate::request::UpstreamTarget;

/// Writes a request.
pub(crate) fn write(conversation: &Conversation<'_>, exchange: &Exchange, to: &UpstreamTarget) -> Vec<u8> {
    let mut body = Vec::with_capacity(16 << 10);
    write_object(&mut body, |request| {
        request.string("model", &to.model).flag("stream", true).flag("store", false);
        request.raw("include", r#"["reasoning.encrypted_content"]"#);
        request.array("input", |items| write_items(items, conversation, exchange));
        if !conversation.tools.is_empty() {
            request.array("tools", |tools| {
                for tool in &conversation.tools {
                    tools.object(|out| {
                        out.string("type", "function");
                        out.string("name", exchange.names.upstream_name(tool.namespace.as_deref(), &tool.name));
                        out.string("description", &tool.description).raw("parameters", tool.schema_or_any());
                        out.flag("strict", tool.is_strict)
                    });
                }
            });
            let choice = match &conversation.tool_choice {
                ToolChoiceMode::Unspecified | ToolChoiceMode::Auto => json!("auto"),
                ToolChoiceMode::Any => json!("required"),
                ToolChoiceMode::None => json!("none"),
                ToolChoiceMode::Tool(name) => {
                    json!({"type": "function", "name": exchange.names.upstream_name(None, name)})
                }
            };
            request.value("tool_choice", &choice);
            request.flag("parallel_tool_calls", !conversation.disable_parallel_calls);
        }
        match conversation.thinking {
            Thinking::Unspecified => {}
            Thinking::Off => {
                request.object("reasoning", |out| out.string("effort", "none"));
            }
            thinking => {
                request.object("reasoning", |out| {
                    out.optional_string("effort", thinking.effort().map(Effort::name)).string("summary", "auto")
                });
            }
        }
        if let Some(limit) = conversation.max_output_tokens {
            request.number("max_output_tokens", to.clamp_output_tokens(limit));
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
        request.optional_raw("temperature", conversation.temperature).optional_raw("top_p", conversation.top_p)
    });
    to.remove_rejected_fields(body)
}

fn write_items(items: &mut Array<'_>, conversation: &Conversation<'_>, exchange: &Exchange) {
    for block in &conversation.system {
        message(items, "developer", "input_text", block);
    }
    let mut ids = CallIds::default();
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
                    exchange.own_reasoning(part).iter().for_each(|(one, kept)| thought(items, one, kept));
                    if let Part::Call(call) = part {
                        let id = ids.unique(&call.id);
                        items.object(|out| {
                            out.string("type", "function_call").string("call_id", &id);
                            out.string("name", exchange.names.upstream_name(call.namespace.as_deref(), &call.name));
                            out.string("arguments", &call.arguments)
                        });
                        calls.push(id);
                    } else if let Some(text) = part.text() {
                        message(items, "assistant", "output_text", text);
                    }
                }
            }
            Turn::ToolResults(results) => {
                for (answered, id) in results.iter().zip(&calls) {
                    items.object(|out| {
                        out.string("type", "function_call_output").string("call_id", id);
                        match answered.result {
                            None => out.string("output", MISSING_RESULT_TEXT),
                            Some(result) if result.media().next().is_none() => {
                                out.string("output", &result.text_with_error_prefix())
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
    let ReasoningProof::Encrypted { id, content } = &carried.proof else { return };
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
    let text = |text: &str| object_to_vec(|out| out.string("type", "input_text").string("text", text));
    match part {
        Part::Text(_) => part.text().map(text),
        Part::Image(media) => {
            Some(object_to_vec(|out| out.string("type", "input_image").string("image_url", &media.url())))
        }
        Part::File(media) => Some(object_to_vec(|out| {
            let field = if media.url().starts_with("data:") { "file_data" } else { "file_url" };
            out.string("type", "input_file")
                .optional_string("filename", media.name.as_deref())
                .string(field, &media.url())
        })),
        Part::Result(result) => Some(text(&result.text_with_error_prefix())),
        Part::Thought { .. } | Part::Call(_) => None,
    }
}
