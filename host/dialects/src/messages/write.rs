//! Requests to upstreams.

use crate::conversation::{
    CallIds, Conversation, Effort, MISSING_RESULT_TEXT, Media, MediaSource, OMITTED_START_TEXT, Part, Thinking,
    ToolCallWithResult, ToolChoiceMode, ToolKind, Turn, system_reminder,
};
use crate::exchange::Exchange;
use crate::json::{Array, Object, object_to_vec, write_object};
use crate::names::ToolNames;
use crate::reasoning::{ReasoningBlob, ReasoningProof};
use crate::request::UpstreamTarget;

/// Where a cache may end, at most.
const MAX_CACHE_BREAKPOINTS: usize = 4;

/// Writes a request.
// Long: one arm for each kind of part.
pub(crate) fn write(conversation: &Conversation<'_>, exchange: &Exchange, to: &UpstreamTarget) -> Vec<u8> {
    let mut body = Vec::with_capacity(16 << 10);
    let turns = conversation.turns();
    let thinking = thinking(conversation, to).filter(|mode| match mode {
        ThinkingMode::Budget(_) => !(to.model.contains("claude") && goes_on_without_thought(&turns, exchange)),
        ThinkingMode::Adaptive(_) => true,
    });
    write_object(&mut body, |request| {
        request.string("model", &to.model);
        let limit = conversation.max_output_tokens.unwrap_or(to.output_tokens_or_default());
        let limit = to.clamp_output_tokens(limit).max(1);
        // Thoughts count, and a budget must be less than the limit.
        let limit = if let Some(ThinkingMode::Budget(_)) = thinking { limit.max(2_048) } else { limit };
        request.number("max_tokens", limit);
        request.flag("stream", true);
        if !conversation.system.is_empty() {
            request.array("system", |blocks| {
                for (at, block) in conversation.system.iter().enumerate() {
                    let is_last = at + 1 == conversation.system.len();
                    blocks.object(|out| cached(out.string("type", "text").string("text", block), is_last));
                }
            });
        }
        if !conversation.tools.is_empty() {
            request.array("tools", |tools| write_tools(tools, conversation, &exchange.names));
            let forced = thinking.is_none();
            let choice = match &conversation.tool_choice {
                ToolChoiceMode::Any if forced => Some("any"),
                ToolChoiceMode::Tool(_) if forced => Some("tool"),
                ToolChoiceMode::None => Some("none"),
                _ if conversation.disable_parallel_calls => Some("auto"),
                _ => None,
            };
            if let Some(kind) = choice {
                request.object("tool_choice", |out| {
                    out.string("type", kind);
                    if let (ToolChoiceMode::Tool(name), "tool") = (&conversation.tool_choice, kind) {
                        out.string("name", exchange.names.upstream_name(None, name));
                    }
                    match conversation.disable_parallel_calls && kind != "none" {
                        true => out.flag("disable_parallel_tool_use", true),
                        false => out,
                    }
                });
            }
        }
        match thinking {
            Some(ThinkingMode::Adaptive(effort)) => {
                request.object("thinking", |out| out.string("type", "adaptive"));
                if let Some(effort) = effort {
                    request.object("output_config", |out| out.string("effort", effort.max(Effort::Low).name()));
                }
            }
            Some(ThinkingMode::Budget(tokens)) => {
                let tokens = tokens.min(limit - 1).max(1_024);
                request.object("thinking", |out| out.string("type", "enabled").number("budget_tokens", tokens));
            }
            None => {
                // With thinking, only the usual temperature is taken.
                request.optional_raw("temperature", conversation.temperature).optional_raw("top_k", conversation.top_k);
                if conversation.temperature.is_none() {
                    request.optional_raw("top_p", conversation.top_p);
                }
            }
        }
        if !conversation.stop_sequences.is_empty() {
            request
                .array("stop_sequences", |stop| conversation.stop_sequences.iter().for_each(|text| stop.string(text)));
        }
        request.array("messages", |messages| write_turns(messages, &turns, conversation, exchange))
    });
    body
}

enum ThinkingMode {
    Adaptive(Option<Effort>),
    Budget(u64),
}

fn thinking(conversation: &Conversation<'_>, to: &UpstreamTarget) -> Option<ThinkingMode> {
    let is_adaptive = decides_itself(&to.model);
    match conversation.thinking {
        Thinking::Unspecified | Thinking::Off => None,
        Thinking::Effort(effort) if is_adaptive => Some(ThinkingMode::Adaptive(effort)),
        Thinking::Budget(tokens) if is_adaptive => Some(ThinkingMode::Adaptive(Some(Effort::from_budget(tokens)))),
        Thinking::Effort(effort) => effort.map(|effort| ThinkingMode::Budget(effort.budget())),
        Thinking::Budget(tokens) => Some(ThinkingMode::Budget(tokens)),
    }
}

/// Returns whether a model takes `thinking: adaptive`: Claude from 4.6 on.
fn decides_itself(model: &str) -> bool {
    let Some((_, rest)) = model.split_once("claude-") else { return false };
    let mut numbers = rest.split(['-', '.', '@']).filter_map(|word| word.parse::<u32>().ok());
    let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    // What follows a major version may be a date.
    major >= 5 || (major == 4 && (6..100).contains(&minor))
}

/// Returns whether the model goes on behind results of calls whose thought the client did not give back. Claude refuses to
/// think then, unless it decides itself.
fn goes_on_without_thought(turns: &[Turn<'_, '_>], exchange: &Exchange) -> bool {
    let [.., Turn::Assistant(parts), Turn::ToolResults(_)] = turns else { return false };
    let mut records = parts.iter().flat_map(|part| exchange.own_reasoning(part));
    !records.any(|(one, _)| matches!(one.proof, ReasoningProof::Signature(_) | ReasoningProof::Redacted(_)))
}

fn cached<'x, 'y>(out: &'x mut Object<'y>, is_end: bool) -> &'x mut Object<'y> {
    if is_end { out.raw("cache_control", r#"{"type":"ephemeral"}"#) } else { out }
}

fn write_tools(tools: &mut Array<'_>, conversation: &Conversation<'_>, names: &ToolNames) {
    for (at, tool) in conversation.tools.iter().enumerate() {
        tools.object(|out| {
            out.string("name", names.upstream_name(tool.namespace.as_deref(), &tool.name));
            if !tool.description.is_empty() {
                out.string("description", &tool.description);
            }
            debug_assert!(tool.kind != ToolKind::FreeForm || tool.schema.is_some());
            cached(out.raw("input_schema", tool.schema_or_any()), at + 1 == conversation.tools.len())
        });
    }
}

fn write_turns(messages: &mut Array<'_>, turns: &[Turn<'_, '_>], conversation: &Conversation<'_>, exchange: &Exchange) {
    let mut ids = CallIds::default();
    // The last two messages of the user end a cache, behind the tools and the instructions.
    let used = usize::from(!conversation.tools.is_empty()) + usize::from(!conversation.system.is_empty());
    let mut groups: Vec<(bool, Vec<&Turn<'_, '_>>)> = Vec::new();
    for turn in turns {
        let is_assistant = matches!(turn, Turn::Assistant(_));
        match groups.last_mut() {
            Some((was, group)) if *was == is_assistant => group.push(turn),
            _ => groups.push((is_assistant, vec![turn])),
        }
    }
    let of_user = groups.iter().enumerate().filter(|(_, (is_assistant, _))| !is_assistant).map(|(at, _)| at);
    let ends: Vec<usize> = of_user.rev().take((MAX_CACHE_BREAKPOINTS - used).min(2)).collect();
    if groups.first().is_none_or(|(is_assistant, _)| *is_assistant) {
        messages.object(|out| out.string("role", "user").string("content", OMITTED_START_TEXT));
    }
    let mut calls = Vec::new();
    for (at, (is_assistant, group)) in groups.iter().enumerate() {
        let mut blocks = Vec::new();
        for turn in group {
            match turn {
                Turn::Assistant(parts) => calls = assistant(&mut blocks, parts, exchange, &mut ids),
                Turn::ToolResults(results) => {
                    blocks.extend(results.iter().zip(&calls).map(|(answered, id)| result(answered, id)));
                }
                Turn::System(text) => blocks.push(text_block(&system_reminder(text))),
                Turn::User(parts) => blocks.extend(parts.iter().filter_map(|part| user_block(part))),
            }
        }
        if blocks.is_empty() {
            // An answer without words leaves a gap that Messages does not take.
            blocks.push(text_block("(no text)"));
        }
        if ends.contains(&at)
            && let Some(last) = blocks.last_mut()
            && last.last() == Some(&b'}')
        {
            last.pop();
            last.extend_from_slice(br#","cache_control":{"type":"ephemeral"}}"#);
        }
        messages.object(|out| {
            out.string("role", if *is_assistant { "assistant" } else { "user" });
            out.array("content", |content| content.items(blocks))
        });
    }
}

/// Writes thoughts first, then texts, then calls: a call between texts is refused. Returns the ids of the calls.
fn assistant(blocks: &mut Vec<Vec<u8>>, parts: &[&Part<'_>], exchange: &Exchange, ids: &mut CallIds) -> Vec<String> {
    for part in parts {
        blocks.extend(exchange.own_reasoning(part).iter().filter_map(|(one, kept)| thought(one, kept)));
    }
    blocks.extend(parts.iter().filter_map(|part| part.text()).map(text_block));
    let mut calls = Vec::new();
    for part in parts {
        if let Part::Call(call) = part {
            let id = ids.unique(&call.id);
            blocks.push(object_to_vec(|out| {
                out.string("type", "tool_use").string("id", &id);
                out.string("name", exchange.names.upstream_name(call.namespace.as_deref(), &call.name));
                out.raw("input", call.arguments_object())
            }));
            calls.push(id);
        }
    }
    calls
}

fn thought(carried: &ReasoningBlob, kept: &str) -> Option<Vec<u8>> {
    match &carried.proof {
        ReasoningProof::Signature(signature) => Some(object_to_vec(|out| {
            let thought = carried.thought(kept);
            out.string("type", "thinking").string("thinking", &thought).string("signature", signature)
        })),
        ReasoningProof::Redacted(data) => {
            Some(object_to_vec(|out| out.string("type", "redacted_thinking").string("data", data)))
        }
        _ => None,
    }
}

fn text_block(text: &str) -> Vec<u8> {
    object_to_vec(|out| out.string("type", "text").string("text", text))
}

fn user_block(part: &Part<'_>) -> Option<Vec<u8>> {
    match part {
        Part::Text(_) => part.text().map(text_block),
        Part::Image(media) => Some(media_block("image", media)),
        Part::File(media) => Some(media_block("document", media)),
        // A result without its call.
        Part::Result(result) => {
            Some(text_block(&result.text_with_error_prefix())).filter(|_| !result.text().is_empty())
        }
        Part::Thought { .. } | Part::Call(_) => None,
    }
}

fn media_block(kind: &str, media: &Media<'_>) -> Vec<u8> {
    object_to_vec(|out| {
        out.string("type", kind);
        out.object("source", |source| match &media.source {
            MediaSource::Base64(data) => {
                let default = if kind == "image" { "image/png" } else { "application/pdf" };
                source.string("type", "base64").string("media_type", media.kind_or(default)).string("data", data)
            }
            MediaSource::Url(url) => source.string("type", "url").string("url", url),
        });
        out.optional_string("title", media.name.as_deref().filter(|_| kind == "document"))
    })
}

fn result(answered: &ToolCallWithResult<'_, '_>, id: &str) -> Vec<u8> {
    object_to_vec(|out| {
        out.string("type", "tool_result").string("tool_use_id", id);
        match answered.result {
            None => out.string("content", MISSING_RESULT_TEXT),
            Some(result) => out.array("content", |content| content.items(result.parts.iter().filter_map(user_block))),
        };
        if answered.result.is_none_or(|result| result.has_failed) { out.flag("is_error", true) } else { out }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_that_decide_how_long_they_think_are_known_by_their_version() {
        for model in [
            "claude-opus-4-7",
            "claude-sonnet-4-6",
            "claude-opus-5",
            "anthropic/claude-opus-4.6",
            "claude-fable-5-20260901",
        ] {
            assert!(decides_itself(model), "{model}");
        }
        for model in
            ["claude-opus-4-5-20251101", "claude-sonnet-4-20250514", "claude-3-7-sonnet-20250219", "deepseek-chat"]
        {
            assert!(!decides_itself(model), "{model}");
        }
    }
}
