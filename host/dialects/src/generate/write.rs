//! Requests to upstreams.

use crate::conversation::{
    CallIds, Conversation, Effort, MISSING_RESULT_TEXT, Media, MediaSource, OMITTED_START_TEXT, Part, Thinking,
    ToolCallWithResult, ToolChoiceMode, Turn, system_reminder,
};
use crate::exchange::Exchange;
use crate::generate::schema::{inline_refs, to_openapi_subset};
use crate::json::{Array, Object, object_to_vec, write_object};
use crate::reasoning::ReasoningProof;
use crate::request::UpstreamTarget;

/// Stands for the signature of a call that another model made. Google documents it for this.
///
/// Source: <https://ai.google.dev/gemini-api/docs/thought-signatures>.
pub(crate) const SKIP_SIGNATURE_CHECK: &str = "skip_thought_signature_validator";

/// The field that older servers refuse.
const JSON_SCHEMA_FIELD: &str = "parametersJsonSchema";

/// Writes a request.
pub(crate) fn write(conversation: &Conversation<'_>, exchange: &Exchange, to: &UpstreamTarget) -> Vec<u8> {
    let mut body = Vec::with_capacity(16 << 10);
    let is_older = to.rejected_fields.iter().any(|field| field == JSON_SCHEMA_FIELD);
    write_object(&mut body, |request| {
        if !conversation.system.is_empty() {
            let blocks = conversation.system.iter().map(|block| text_part(block));
            request.object("systemInstruction", |out| out.array("parts", |parts| parts.items(blocks)));
        }
        request.array("contents", |contents| write_turns(contents, conversation, exchange));
        if !conversation.tools.is_empty() {
            request.array("tools", |tools| {
                tools.object(|out| {
                    out.array("functionDeclarations", |all| {
                        for tool in &conversation.tools {
                            all.object(|out| {
                                out.string("name", exchange.names.upstream_name(tool.namespace.as_deref(), &tool.name));
                                out.string("description", &tool.description);
                                match &tool.schema {
                                    None => out,
                                    Some(schema) if is_older => out.raw("parameters", &to_openapi_subset(schema)),
                                    Some(schema) => out.raw(JSON_SCHEMA_FIELD, &inline_refs(schema)),
                                }
                            });
                        }
                    })
                });
            });
            let (mode, only) = match &conversation.tool_choice {
                ToolChoiceMode::Unspecified | ToolChoiceMode::Auto => ("AUTO", None),
                ToolChoiceMode::Any => ("ANY", None),
                ToolChoiceMode::None => ("NONE", None),
                ToolChoiceMode::Tool(name) => ("ANY", Some(exchange.names.upstream_name(None, name))),
            };
            request.object("toolConfig", |out| {
                out.object("functionCallingConfig", |out| {
                    out.string("mode", mode);
                    match only {
                        Some(name) => out.array("allowedFunctionNames", |names| names.string(name)),
                        None => out,
                    }
                })
            });
        }
        request.object("generationConfig", |out| generation(out, conversation, to))
    });
    body
}

fn generation<'x, 'y>(
    out: &'x mut Object<'y>,
    conversation: &Conversation<'_>,
    to: &UpstreamTarget,
) -> &'x mut Object<'y> {
    out.optional_raw("temperature", conversation.temperature).optional_raw("topP", conversation.top_p);
    out.optional_raw("topK", conversation.top_k).optional_raw("seed", conversation.seed);
    if let Some(limit) = conversation.max_output_tokens {
        out.number("maxOutputTokens", to.clamp_output_tokens(limit));
    }
    if !conversation.stop_sequences.is_empty() {
        // Gemini takes five.
        out.array("stopSequences", |stop| {
            conversation.stop_sequences.iter().take(5).for_each(|text| stop.string(text))
        });
    }
    if let Some(format) = &conversation.format {
        out.string("responseMimeType", "application/json");
        if let Some(schema) = &format.schema {
            out.raw("responseJsonSchema", &inline_refs(schema));
        }
    }
    let takes_levels = to.model.contains("gemini-3");
    match conversation.thinking {
        Thinking::Unspecified | Thinking::Effort(None) => out,
        // Not every model can be kept from thinking.
        Thinking::Off if takes_levels || !to.model.contains("flash") => out,
        Thinking::Off => out.object("thinkingConfig", |out| out.number("thinkingBudget", 0)),
        thinking => {
            let effort = thinking.effort().unwrap_or(Effort::Medium);
            out.object("thinkingConfig", |out| {
                out.flag("includeThoughts", true);
                match (takes_levels, thinking) {
                    (true, _) => out.string("thinkingLevel", if effort <= Effort::Low { "LOW" } else { "HIGH" }),
                    (false, Thinking::Budget(tokens)) => out.number("thinkingBudget", tokens.min(24_576)),
                    (false, _) => out.number("thinkingBudget", effort.budget().min(24_576)),
                }
            })
        }
    }
}

fn write_turns(contents: &mut Array<'_>, conversation: &Conversation<'_>, exchange: &Exchange) {
    let mut ids = CallIds::default();
    let mut calls: Vec<String> = Vec::new();
    // Turns of one role that follow each other are one content.
    let mut groups: Vec<(&str, Vec<Vec<u8>>)> = Vec::new();
    for turn in conversation.turns() {
        let (role, parts) = match turn {
            Turn::System(said) => ("user", vec![text_part(&system_reminder(said))]),
            Turn::User(parts) => ("user", parts.iter().filter_map(|part| user_part(part)).collect()),
            Turn::Assistant(parts) => {
                let (written, made) = model_parts(&parts, exchange, &mut ids);
                calls = made;
                ("model", written)
            }
            Turn::ToolResults(results) => ("user", results_of(&results, &calls, exchange)),
        };
        match groups.last_mut() {
            _ if parts.is_empty() => {}
            Some((last, all)) if *last == role => all.extend(parts),
            _ => groups.push((role, parts)),
        }
    }
    if groups.first().is_none_or(|(role, _)| *role == "model") {
        groups.insert(0, ("user", vec![text_part(OMITTED_START_TEXT)]));
    }
    for (role, parts) in groups {
        contents.object(|out| {
            out.string("role", role);
            out.array("parts", |all| all.items(parts))
        });
    }
}

fn model_parts(parts: &[&Part<'_>], exchange: &Exchange, ids: &mut CallIds) -> (Vec<Vec<u8>>, Vec<String>) {
    let mut written = Vec::new();
    let mut calls = Vec::new();
    let mut signature: Option<String> = None;
    for part in parts {
        for (one, _) in exchange.own_reasoning(part) {
            if let ReasoningProof::OfPart(of_part) = one.proof {
                signature = Some(of_part);
            }
        }
        if let Part::Call(call) = part {
            let id = ids.unique(&call.id);
            written.push(object_to_vec(|out| {
                out.object("functionCall", |out| {
                    out.string("id", &id);
                    out.string("name", exchange.names.upstream_name(call.namespace.as_deref(), &call.name));
                    out.raw("args", call.arguments_object())
                });
                let signature = signature.take();
                match signature.is_some() || calls.is_empty() {
                    true => out.string("thoughtSignature", signature.as_deref().unwrap_or(SKIP_SIGNATURE_CHECK)),
                    false => out,
                }
            }));
            calls.push(id);
        } else {
            written.extend(part.text().map(text_part));
        }
    }
    if let Some(signature) = signature {
        written.push(object_to_vec(|out| out.string("text", "").string("thoughtSignature", &signature)));
    }
    (written, calls)
}

fn results_of(results: &[ToolCallWithResult<'_, '_>], calls: &[String], exchange: &Exchange) -> Vec<Vec<u8>> {
    let mut written = Vec::new();
    let mut media = Vec::new();
    for (answered, id) in results.iter().zip(calls) {
        let call = answered.call;
        written.push(object_to_vec(|out| {
            out.object("functionResponse", |out| {
                out.string("id", id);
                out.string("name", exchange.names.upstream_name(call.namespace.as_deref(), &call.name));
                out.object("response", |out| match answered.result {
                    None => out.string("error", MISSING_RESULT_TEXT),
                    Some(result) => out.string(if result.has_failed { "error" } else { "output" }, &result.text()),
                })
            })
        }));
        media.extend(answered.result.into_iter().flat_map(|result| result.media()).filter_map(user_part));
    }
    written.extend(media);
    written
}

fn text_part(text: &str) -> Vec<u8> {
    object_to_vec(|out| out.string("text", text))
}

fn user_part(part: &Part<'_>) -> Option<Vec<u8>> {
    match part {
        Part::Image(media) => Some(media_part(media, "image/png")),
        Part::File(media) => Some(media_part(media, "application/pdf")),
        // A result without its call.
        Part::Result(result) => {
            Some(result.text_with_error_prefix()).filter(|text| !text.is_empty()).map(|text| text_part(&text))
        }
        part => part.text().map(text_part),
    }
}

fn media_part(media: &Media<'_>, default: &str) -> Vec<u8> {
    let kind = media.kind_or(default);
    object_to_vec(|out| match &media.source {
        MediaSource::Base64(data) => out.object("inlineData", |out| out.string("mimeType", kind).string("data", data)),
        MediaSource::Url(url) => out.object("fileData", |out| out.string("mimeType", kind).string("fileUri", url)),
    })
}
