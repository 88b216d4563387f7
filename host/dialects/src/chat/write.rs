//! Requests to upstreams.

use serde_json::json;

use crate::conversation::{
    CallIds, Conversation, Effort, MISSING_RESULT_TEXT, Part, Tool, ToolChoiceMode, Turn, system_reminder,
};
use crate::exchange::Exchange;
use crate::json::{Array, write_object};
use crate::reasoning::ReasoningProof;
use crate::request::UpstreamTarget;

/// Writes a request.
pub(crate) fn write(conversation: &Conversation<'_>, exchange: &Exchange, to: &UpstreamTarget) -> Vec<u8> {
    let mut body = Vec::with_capacity(16 << 10);
    write_object(&mut body, |request| {
        request.string("model", &to.model).flag("stream", true);
        request.raw("stream_options", r#"{"include_usage":true}"#);
        request.array("messages", |messages| write_messages(messages, conversation, exchange));
        if !conversation.tools.is_empty() {
            request
                .array("tools", |tools| conversation.tools.iter().for_each(|tool| write_tool(tools, tool, exchange)));
            let choice = match &conversation.tool_choice {
                ToolChoiceMode::Unspecified | ToolChoiceMode::Auto => None,
                ToolChoiceMode::Any => Some(json!("required")),
                ToolChoiceMode::None => Some(json!("none")),
                ToolChoiceMode::Tool(name) => {
                    Some(json!({"type": "function", "function": {"name": exchange.names.upstream_name(None, name)}}))
                }
            };
            if let Some(choice) = choice {
                request.value("tool_choice", &choice);
            }
            if conversation.disable_parallel_calls {
                request.flag("parallel_tool_calls", false);
            }
        }
        request.optional_string("reasoning_effort", conversation.thinking.effort().map(Effort::name));
        if let Some(limit) = conversation.max_output_tokens {
            // OpenAI's own models refuse the old name, most others know nothing else.
            let is_refused = to.rejected_fields.iter().any(|field| field == "max_tokens");
            request
                .number(if is_refused { "max_completion_tokens" } else { "max_tokens" }, to.clamp_output_tokens(limit));
        }
        request.optional_raw("temperature", conversation.temperature).optional_raw("top_p", conversation.top_p);
        request.optional_raw("seed", conversation.seed);
        if !conversation.stop_sequences.is_empty() {
            // OpenAI takes four.
            request.array("stop", |stop| conversation.stop_sequences.iter().take(4).for_each(|text| stop.string(text)));
        }
        if let Some(format) = &conversation.format {
            request.object("response_format", |out| match &format.schema {
                None => out.string("type", "json_object"),
                Some(schema) => out
                    .string("type", "json_schema")
                    .object("json_schema", |out| out.string("name", &format.name).raw("schema", schema)),
            });
        }
        request
    });
    to.remove_rejected_fields(body)
}

fn write_tool(tools: &mut Array<'_>, tool: &Tool<'_>, exchange: &Exchange) {
    tools.object(|out| {
        out.string("type", "function").object("function", |out| {
            out.string("name", exchange.names.upstream_name(tool.namespace.as_deref(), &tool.name));
            out.string("description", &tool.description).raw("parameters", tool.schema_or_any());
            if tool.is_strict { out.flag("strict", true) } else { out }
        })
    });
}

fn write_messages(messages: &mut Array<'_>, conversation: &Conversation<'_>, exchange: &Exchange) {
    let system: Vec<&str> = conversation.system.iter().map(|block| &**block).collect();
    if !system.is_empty() {
        messages.object(|out| out.string("role", "system").string("content", &system.join("\n\n")));
    }
    let mut ids = CallIds::default();
    let mut calls: Vec<String> = Vec::new();
    for turn in conversation.turns() {
        match turn {
            Turn::System(text) => user_text(messages, &system_reminder(text)),
            Turn::User(parts) => user(messages, &parts),
            Turn::Assistant(parts) => calls = assistant(messages, &parts, exchange, &mut ids),
            Turn::ToolResults(results) => {
                let mut media = Vec::new();
                for (answered, id) in results.iter().zip(&calls) {
                    let mut text = answered
                        .result
                        .map_or(MISSING_RESULT_TEXT.to_owned(), |result| result.text_with_error_prefix());
                    let before = media.len();
                    media.extend(answered.result.into_iter().flat_map(|result| result.media()));
                    if text.is_empty() {
                        text = if media.len() > before { "(see the next message)" } else { "(no output)" }.to_owned();
                    }
                    messages
                        .object(|out| out.string("role", "tool").string("tool_call_id", id).string("content", &text));
                }
                // A result takes text only, and nothing may stand between results.
                if !media.is_empty() {
                    user(messages, &media);
                }
            }
        }
    }
}

/// Writes what the model said. Returns the ids of its calls.
fn assistant(messages: &mut Array<'_>, parts: &[&Part<'_>], exchange: &Exchange, ids: &mut CallIds) -> Vec<String> {
    let texts: Vec<&str> = parts.iter().filter_map(|part| part.text()).collect();
    let records = parts.iter().flat_map(|part| exchange.own_reasoning(part));
    let thoughts = records.filter(|(one, _)| one.proof == ReasoningProof::Nothing);
    let thoughts = thoughts.map(|(one, kept)| one.thought(kept).into_owned()).filter(|text| !text.is_empty());
    let thoughts: Vec<String> = thoughts.collect();
    let calls: Vec<_> = parts
        .iter()
        .filter_map(|part| match part {
            Part::Call(call) => Some((ids.unique(&call.id), call)),
            _ => None,
        })
        .collect();
    if texts.is_empty() && calls.is_empty() {
        return Vec::new();
    }
    messages.object(|out| {
        out.string("role", "assistant");
        match texts.is_empty() {
            true => out.raw("content", "null"),
            false => out.string("content", &texts.join("\n")),
        };
        if !thoughts.is_empty() {
            out.string("reasoning_content", &thoughts.join("\n"));
        }
        if !calls.is_empty() {
            out.array("tool_calls", |all| {
                for (id, call) in &calls {
                    all.object(|out| {
                        out.string("id", id).string("type", "function").object("function", |out| {
                            out.string("name", exchange.names.upstream_name(call.namespace.as_deref(), &call.name))
                                .string("arguments", call.arguments_object())
                        })
                    });
                }
            });
        }
        out
    });
    calls.into_iter().map(|(id, _)| id).collect()
}

fn user_text(messages: &mut Array<'_>, text: &str) {
    messages.object(|out| out.string("role", "user").string("content", text));
}

fn user(messages: &mut Array<'_>, parts: &[&Part<'_>]) {
    let is_text = parts.iter().all(|part| !matches!(part, Part::Image(_) | Part::File(_)));
    if is_text {
        let texts: Vec<String> = parts.iter().filter_map(|part| text_of(part)).collect();
        if !texts.is_empty() {
            user_text(messages, &texts.join("\n\n"));
        }
        return;
    }
    messages.object(|out| {
        out.string("role", "user").array("content", |content| {
            for part in parts {
                match part {
                    Part::Image(media) => content.object(|out| {
                        out.string("type", "image_url").object("image_url", |out| out.string("url", &media.url()))
                    }),
                    Part::File(media) => content.object(|out| {
                        out.string("type", "file").object("file", |out| {
                            out.string("filename", media.name.as_deref().unwrap_or("document"))
                                .string("file_data", &media.url())
                        })
                    }),
                    part => {
                        if let Some(text) = text_of(part) {
                            content.object(|out| out.string("type", "text").string("text", &text));
                        }
                    }
                }
            }
        })
    });
}

fn text_of(part: &Part<'_>) -> Option<String> {
    match part {
        // A result without its call.
        Part::Result(result) => Some(result.text_with_error_prefix()).filter(|text| !text.is_empty()),
        part => part.text().map(str::to_owned),
    }
}
