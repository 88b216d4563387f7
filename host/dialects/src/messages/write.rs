//! Requests to upstreams.

use crate::conversation::{
    Choice, Conversation, Effort, Ids, Media, MediaSource, NO_RESULT, OPENING, Part, Thinking, ToolCallWithResult,
    ToolKind, Turn, reminder,
};
use crate::exchange::Exchange;
use crate::json::{Array, Object, made, object};
use crate::names::ToolNames;
use crate::reasoning::{Proof, ReasoningBlob};
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
    object(&mut body, |request| {
        request.string("model", &to.model);
        let limit = conversation.max_output.unwrap_or(to.output_tokens_or_default());
        let limit = to.limited(limit).max(1);
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
            let choice = match &conversation.choice {
                Choice::Any if forced => Some("any"),
                Choice::Tool(_) if forced => Some("tool"),
                Choice::None => Some("none"),
                _ if conversation.one_call => Some("auto"),
                _ => None,
            };
            if let Some(kind) = choice {
                request.object("tool_choice", |out| {
                    out.string("type", kind);
                    if let (Choice::Tool(name), "tool") = (&conversation.choice, kind) {
                        out.string("name", exchange.names.upstream(None, name));
                    }
                    match conversation.one_call && kind != "none" {
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
                request.some_raw("temperature", conversation.temperature).some_raw("top_k", conversation.top_k);
                if conversation.temperature.is_none() {
                    request.some_raw("top_p", conversation.top_p);
                }
            }
        }
        if !conversation.stop.is_empty() {
            request.array("stop_sequences", |stop| conversation.stop.iter().for_each(|text| stop.string(text)));
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
    let [.., Turn::Assistant(parts), Turn::Results(_)] = turns else { return false };
    let mut records = parts.iter().flat_map(|part| exchange.own_parts(part));
    !records.any(|(one, _)| matches!(one.proof, Proof::Signature(_) | Proof::Redacted(_)))
}

fn cached<'x, 'y>(out: &'x mut Object<'y>, is_end: bool) -> &'x mut Object<'y> {
    if is_end { out.raw("cache_control", r#"{"type":"ephemeral"}"#) } else { out }
}

fn write_tools(tools: &mut Array<'_>, conversation: &Conversation<'_>, names: &ToolNames) {
    for (at, tool) in conversation.tools.iter().enumerate() {
        tools.object(|out| {
            out.string("name", names.upstream(tool.namespace.as_deref(), &tool.name));
            if !tool.description.is_empty() {
                out.string("description", &tool.description);
            }
            debug_assert!(tool.kind != ToolKind::FreeForm || tool.schema.is_some());
            cached(out.raw("input_schema", tool.schema_or_any()), at + 1 == conversation.tools.len())
        });
    }
}

fn write_turns(messages: &mut Array<'_>, turns: &[Turn<'_, '_>], conversation: &Conversation<'_>, exchange: &Exchange) {
    let mut ids = Ids::default();
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
        messages.object(|out| out.string("role", "user").string("content", OPENING));
    }
    let mut calls = Vec::new();
    for (at, (is_assistant, group)) in groups.iter().enumerate() {
        let mut blocks = Vec::new();
        for turn in group {
            match turn {
                Turn::Assistant(parts) => calls = assistant(&mut blocks, parts, exchange, &mut ids),
                Turn::Results(results) => {
                    blocks.extend(results.iter().zip(&calls).map(|(answered, id)| result(answered, id)));
                }
                Turn::System(text) => blocks.push(text_block(&reminder(text))),
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
fn assistant(blocks: &mut Vec<Vec<u8>>, parts: &[&Part<'_>], exchange: &Exchange, ids: &mut Ids) -> Vec<String> {
    for part in parts {
        blocks.extend(exchange.own_parts(part).iter().filter_map(|(one, kept)| thought(one, kept)));
    }
    blocks.extend(parts.iter().filter_map(|part| part.text()).map(text_block));
    let mut calls = Vec::new();
    for part in parts {
        if let Part::Call(call) = part {
            let id = ids.unique(&call.id);
            blocks.push(made(|out| {
                out.string("type", "tool_use").string("id", &id);
                out.string("name", exchange.names.upstream(call.namespace.as_deref(), &call.name));
                out.raw("input", call.object())
            }));
            calls.push(id);
        }
    }
    calls
}

fn thought(carried: &ReasoningBlob, kept: &str) -> Option<Vec<u8>> {
    match &carried.proof {
        Proof::Signature(signature) => Some(made(|out| {
            let thought = carried.thought(kept);
            out.string("type", "thinking").string("thinking", &thought).string("signature", signature)
        })),
        Proof::Redacted(data) => Some(made(|out| out.string("type", "redacted_thinking").string("data", data))),
        _ => None,
    }
}

fn text_block(text: &str) -> Vec<u8> {
    made(|out| out.string("type", "text").string("text", text))
}

fn user_block(part: &Part<'_>) -> Option<Vec<u8>> {
    match part {
        Part::Text(_) => part.text().map(text_block),
        Part::Image(media) => Some(media_block("image", media)),
        Part::File(media) => Some(media_block("document", media)),
        // A result without its call.
        Part::Result(result) => Some(text_block(&result.marked_text())).filter(|_| !result.text().is_empty()),
        Part::Thought { .. } | Part::Call(_) => None,
    }
}

fn media_block(kind: &str, media: &Media<'_>) -> Vec<u8> {
    made(|out| {
        out.string("type", kind);
        out.object("source", |source| match &media.source {
            MediaSource::Base64(data) => {
                let default = if kind == "image" { "image/png" } else { "application/pdf" };
                source.string("type", "base64").string("media_type", media.kind_or(default)).string("data", data)
            }
            MediaSource::Url(url) => source.string("type", "url").string("url", url),
        });
        out.some_string("title", media.name.as_deref().filter(|_| kind == "document"))
    })
}

fn result(answered: &ToolCallWithResult<'_, '_>, id: &str) -> Vec<u8> {
    made(|out| {
        out.string("type", "tool_result").string("tool_use_id", id);
        match answered.result {
            None => out.string("content", NO_RESULT),
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
