//! Requests of clients.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::conversation::{
    Conversation, Effort, Media, Part, ResponseFormat, Role, Thinking, Tool, ToolCall, ToolChoiceMode, ToolResult,
};
use crate::json::{Text, parse, parse_string_or_array, text_or_empty};
use crate::reasoning::ReasoningBlob;
use crate::request::RequestError;

#[derive(Deserialize)]
struct ModelRequest<'a> {
    #[serde(borrow)]
    model: Text<'a>,
    messages: Vec<PastMessage<'a>>,
    system: Option<&'a RawValue>,
    #[serde(default)]
    tools: Vec<ToolOf<'a>>,
    tool_choice: Option<ToolChoice<'a>>,
    thinking: Option<ThinkingOf<'a>>,
    output_config: Option<OutputConfig<'a>>,
    metadata: Option<Metadata<'a>>,
    max_tokens: Option<u64>,
    temperature: Option<&'a RawValue>,
    top_p: Option<&'a RawValue>,
    top_k: Option<&'a RawValue>,
    #[serde(default)]
    stop_sequences: Vec<Text<'a>>,
    stream: Option<bool>,
}

#[derive(Deserialize)]
struct PastMessage<'a> {
    #[serde(borrow)]
    role: Text<'a>,
    content: &'a RawValue,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Block<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    text: Option<Text<'a>>,
    /// Of a search result, a text.
    source: Option<&'a RawValue>,
    id: Option<Text<'a>>,
    name: Option<Text<'a>>,
    input: Option<&'a RawValue>,
    tool_use_id: Option<Text<'a>>,
    content: Option<&'a RawValue>,
    is_error: Option<bool>,
    thinking: Option<Text<'a>>,
    signature: Option<Text<'a>>,
    data: Option<Text<'a>>,
    tool_name: Option<Text<'a>>,
    title: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SourceOf<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    media_type: Option<Text<'a>>,
    data: Option<Text<'a>>,
    url: Option<Text<'a>>,
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ToolOf<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    description: Option<Text<'a>>,
    input_schema: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ToolChoice<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    name: Option<Text<'a>>,
    disable_parallel_tool_use: Option<bool>,
}

#[derive(Deserialize)]
struct ThinkingOf<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    budget_tokens: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OutputConfig<'a> {
    #[serde(borrow)]
    effort: Option<Text<'a>>,
    format: Option<FormatOf<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct FormatOf<'a> {
    #[serde(borrow)]
    schema: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata<'a> {
    #[serde(borrow)]
    user_id: Option<Text<'a>>,
}

/// Claude Code's first block of `system`. It changes with each request, so no upstream could cache what follows.
const BILLING_HEADER_PREFIX: &str = "x-anthropic-billing-header:";

/// Reads a request.
// Long: one arm for each kind of block.
pub(crate) fn read(body: &[u8]) -> Result<Conversation<'_>, RequestError> {
    let request: ModelRequest<'_> = serde_json::from_slice(body)?;
    let effort = request.output_config.as_ref().and_then(|config| Effort::parse(text_or_empty(config.effort.as_ref())));
    let thinking = match &request.thinking {
        None => effort.map_or(Thinking::Unspecified, |effort| Thinking::Effort(Some(effort))),
        Some(thinking) => match (thinking.kind.as_str(), thinking.budget_tokens) {
            ("disabled", _) => Thinking::Off,
            ("enabled", Some(tokens)) if effort.is_none() => Thinking::Budget(tokens),
            _ => Thinking::Effort(effort),
        },
    };
    let mut conversation = Conversation {
        model: request.model.0,
        thinking,
        max_output_tokens: request.max_tokens,
        temperature: request.temperature,
        top_p: request.top_p,
        top_k: request.top_k,
        stop_sequences: request.stop_sequences.into_iter().map(|text| text.0).collect(),
        cache_key: request.metadata.and_then(|metadata| metadata.user_id).map(|id| session(id.0)),
        is_streamed: request.stream.unwrap_or_default(),
        ..Conversation::default()
    };
    let format = request.output_config.and_then(|config| config.format);
    conversation.format = format.map(|format| ResponseFormat::new(None, format.schema));
    let blocks = request
        .system
        .map(|raw| parse_string_or_array(raw, of_text).ok_or(RequestError::InvalidShape("system")))
        .transpose()?;
    for block in blocks.unwrap_or_default() {
        let text = block.text.unwrap_or_default().0;
        if !text.starts_with(BILLING_HEADER_PREFIX) && !text.trim().is_empty() {
            conversation.system.push(text);
        }
    }
    for message in request.messages {
        let role = match message.role.as_str() {
            "assistant" => Role::Assistant,
            "system" => Role::System,
            _ => Role::User,
        };
        let blocks: Vec<Block<'_>> =
            parse_string_or_array(message.content, of_text).ok_or(RequestError::InvalidShape("messages.content"))?;
        for part in blocks.into_iter().filter_map(part) {
            match part {
                Part::Text(text) if role == Role::User => {
                    let texts = without_reminders(text).into_iter();
                    conversation.parts.extend(texts.map(|text| (role, Part::Text(text))));
                }
                part => conversation.parts.push((role, part)),
            }
        }
    }
    let of_user =
        conversation.parts.chunk_by_mut(|(one, _), (next, _)| (*one == Role::Assistant) == (*next == Role::Assistant));
    for said in of_user.filter(|said| said[0].0 != Role::Assistant) {
        said.sort_by_key(|(role, part)| place(*role, part));
    }
    // A tool without a schema is one that Anthropic runs itself.
    let tools = request.tools.into_iter().filter_map(|tool| {
        let schema = tool.input_schema?;
        let description = tool.description.unwrap_or_default().0;
        Some(Tool::function(tool.name.0, description, Some(Cow::Borrowed(schema.get()))))
    });
    conversation.tools = tools.collect();
    if let Some(choice) = request.tool_choice {
        conversation.disable_parallel_calls = choice.disable_parallel_tool_use.unwrap_or_default();
        conversation.set_tool_choice(match (choice.kind.as_str(), choice.name) {
            ("any", _) => ToolChoiceMode::Any,
            ("none", _) => ToolChoiceMode::None,
            ("tool", Some(name)) => ToolChoiceMode::Tool(name.0),
            _ => ToolChoiceMode::Auto,
        });
    }
    Ok(conversation)
}

/// The tags around a reminder of Claude Code.
const REMINDER_TAGS: (&str, &str) = ("<system-reminder>", "</system-reminder>");

/// Returns the place of a part in what is said between two answers. Claude Code puts reminders behind the prompt; a model of
/// another vendor would answer them instead of it. Results stay directly behind their calls.
fn place(role: Role, part: &Part<'_>) -> u8 {
    match part {
        Part::Result(_) => 0,
        _ if role == Role::System => 1,
        Part::Text(text) if is_reminder(text) => 1,
        _ => 2,
    }
}

fn is_reminder(text: &str) -> bool {
    reminders_at_end(text).is_some_and(|start| text[..start].trim().is_empty())
}

/// Splits a text from the reminders at its end.
fn without_reminders(text: Cow<'_, str>) -> Vec<Cow<'_, str>> {
    let start = reminders_at_end(&text).filter(|start| !text[..*start].trim().is_empty());
    match (start, text) {
        (None, text) => vec![text],
        (Some(start), Cow::Borrowed(text)) => vec![text[..start].into(), text[start..].into()],
        (Some(start), Cow::Owned(text)) => vec![text[..start].to_owned().into(), text[start..].to_owned().into()],
    }
}

/// Returns where the reminders at the end of a text begin.
fn reminders_at_end(text: &str) -> Option<usize> {
    let (mut end, mut begun) = (text.trim_end().len(), None);
    while text[..end].ends_with(REMINDER_TAGS.1)
        && let Some(start) = text[..end].rfind(REMINDER_TAGS.0)
    {
        begun = Some(start);
        end = text[..start].trim_end().len();
    }
    begun
}

/// Claude Code's `user_id` is JSON with the session's id.
fn session(user_id: Cow<'_, str>) -> Cow<'_, str> {
    #[derive(Deserialize)]
    struct User {
        session_id: String,
    }
    match serde_json::from_str::<User>(&user_id) {
        Ok(user) => Cow::Owned(user.session_id),
        Err(_) => user_id,
    }
}

fn of_text(text: Cow<'_, str>) -> Block<'_> {
    Block { kind: Text("text".into()), text: Some(Text(text)), ..Block::default() }
}

/// Returns the texts of a document or search result, below its title and where it is from.
fn joined<'a>(content: &RawValue, title: Option<&Text<'_>>, source: Option<&Text<'_>>) -> Option<Cow<'a, str>> {
    let texts =
        parse_string_or_array(content, of_text)?.into_iter().filter_map(|block| Some(block.text?.0.into_owned()));
    let title = title.map(|title| title.as_str().to_owned()).filter(|title| !title.is_empty());
    let source = source.map(|source| source.as_str().to_owned()).filter(|source| !source.is_empty());
    let head = match (title, source) {
        (Some(title), Some(source)) => Some(format!("{title} ({source})")),
        (title, source) => title.or(source),
    };
    Some(head.into_iter().chain(texts).collect::<Vec<_>>().join("\n").into())
}

fn part(block: Block<'_>) -> Option<Part<'_>> {
    let part = match block.kind.as_str() {
        "text" => Part::Text(block.text?.0),
        "image" => {
            let source: SourceOf<'_> = parse(block.source?)?;
            Part::Image(Media::from_url_or_base64(source.media_type, source.url, source.data)?)
        }
        "document" => {
            let source: SourceOf<'_> = parse(block.source?)?;
            match source.kind.as_str() {
                "text" => return Some(Part::Text(source.data?.0)),
                "content" => return Some(Part::Text(joined(source.content?, block.title.as_ref(), None)?)),
                _ => {}
            }
            let name = block.title.map(|title| title.0);
            Part::File(Media { name, ..Media::from_url_or_base64(source.media_type, source.url, source.data)? })
        }
        "thinking" => {
            let carried = ReasoningBlob::decode_field(block.signature.as_ref());
            Part::Thought { text: block.thinking.unwrap_or_default().0, carried }
        }
        "redacted_thinking" => {
            Part::Thought { text: "".into(), carried: ReasoningBlob::decode_field(block.data.as_ref()) }
        }
        "tool_use" => Part::Call(ToolCall {
            id: block.id.unwrap_or_default().0,
            namespace: None,
            name: block.name.unwrap_or_default().0,
            arguments: block.input.map_or("{}", RawValue::get).into(),
            reasoning_blob: None,
        }),
        "tool_result" => {
            let content = block.content.and_then(|raw| parse_string_or_array(raw, of_text)).unwrap_or_default();
            Part::Result(ToolResult {
                id: block.tool_use_id.unwrap_or_default().0,
                parts: content.into_iter().filter_map(part).collect(),
                has_failed: block.is_error.unwrap_or_default(),
            })
        }
        "tool_reference" => Part::Text(format!("The tool {} is loaded.", block.tool_name?.0).into()),
        "search_result" => {
            let source: Option<Text<'_>> = block.source.and_then(parse);
            Part::Text(joined(block.content?, block.title.as_ref(), source.as_ref())?)
        }
        // Tools that Anthropic runs itself, and blocks that are not known yet: other vendors have no place for them.
        _ => return None,
    };
    Some(part)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn documents_and_search_results_are_texts_for_others() {
        let body = r#"{"model": "m", "messages": [{"role": "user", "content": [
            {"type": "document", "title": "Notes", "source": {"type": "content", "content": [{"type": "text", "text": "one"}]}},
            {"type": "document", "source": {"type": "content", "content": "two"}},
            {"type": "search_result", "source": "https://x", "title": "T", "content": [{"type": "text", "text": "hit"}]},
            {"type": "tool_result", "tool_use_id": "t", "content": [
                {"type": "search_result", "source": "https://y", "title": "", "content": [{"type": "text", "text": "inner"}]}]}
        ]}]}"#;
        let conversation = read(body.as_bytes()).unwrap();
        let texts: Vec<String> = conversation
            .parts
            .iter()
            .map(|(_, part)| match part {
                Part::Result(result) => result.text(),
                part => part.text().unwrap().to_owned(),
            })
            .collect();
        assert_eq!(texts, ["https://y\ninner", "Notes\none", "two", "T (https://x)\nhit"]);
    }

    #[test]
    fn a_text_is_split_from_the_reminders_at_its_end() {
        let of = |text: &str| -> Vec<String> {
            let text = text.replace('[', REMINDER_TAGS.0).replace(']', REMINDER_TAGS.1);
            let parts = without_reminders(text.as_str().into());
            parts.iter().map(|part| part.replace(REMINDER_TAGS.0, "[").replace(REMINDER_TAGS.1, "]")).collect()
        };
        assert_eq!(of("prompt\n[a]\n[b]\n"), ["prompt\n", "[a]\n[b]\n"]);
        assert_eq!(of("[a] prompt [b]"), ["[a] prompt ", "[b]"]);
        for whole in ["prompt", "[a]", " [a]\n[b] ", "[a] prompt", "a]", "[a", "] ]", ""] {
            assert_eq!(of(whole), [whole]);
        }
        assert!(
            is_reminder(" <system-reminder>a</system-reminder>\n")
                && !is_reminder("a")
                && !is_reminder(REMINDER_TAGS.1)
        );
    }

    mod fuzz {
        use super::*;

        proptest! {
            #[test]
            fn nothing_of_a_text_is_lost(pieces in proptest::collection::vec(prop_oneof![Just("<system-reminder>"), Just("</system-reminder>"), Just("\u{a0} "), Just("é")], 0..12)) {
                let text = pieces.concat();
                prop_assert_eq!(without_reminders(text.as_str().into()).concat(), text);
            }
        }
    }
}
