//! Requests of clients.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::conversation::{
    Conversation, Grammar, Media, Part, ResponseFormat, Role, Thinking, Tool, ToolCall, ToolChoiceMode, ToolKind,
    ToolResult,
};
use crate::json::{Text, parse, parse_string, parse_string_or_array, text_or_empty};
use crate::reasoning::ReasoningBlob;
use crate::request::RequestError;

#[derive(Deserialize)]
struct ModelRequest<'a> {
    #[serde(borrow)]
    model: Text<'a>,
    instructions: Option<Text<'a>>,
    input: &'a RawValue,
    #[serde(default)]
    tools: Vec<ToolOf<'a>>,
    tool_choice: Option<&'a RawValue>,
    parallel_tool_calls: Option<bool>,
    reasoning: Option<Reasoning<'a>>,
    text: Option<TextOf<'a>>,
    prompt_cache_key: Option<Text<'a>>,
    max_output_tokens: Option<u64>,
    temperature: Option<&'a RawValue>,
    top_p: Option<&'a RawValue>,
    stream: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct InputItem<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    role: Option<Text<'a>>,
    content: Option<&'a RawValue>,
    call_id: Option<Text<'a>>,
    name: Option<Text<'a>>,
    namespace: Option<Text<'a>>,
    arguments: Option<&'a RawValue>,
    input: Option<Text<'a>>,
    output: Option<&'a RawValue>,
    summary: Option<&'a RawValue>,
    encrypted_content: Option<Text<'a>>,
    tools: Vec<ToolOf<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Content<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    text: Option<Text<'a>>,
    refusal: Option<Text<'a>>,
    image_url: Option<Text<'a>>,
    file_data: Option<Text<'a>>,
    file_url: Option<Text<'a>>,
    filename: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct ToolOf<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    name: Option<Text<'a>>,
    description: Option<Text<'a>>,
    parameters: Option<&'a RawValue>,
    strict: Option<bool>,
    format: Option<Grammar<'a>>,
    #[serde(default)]
    tools: Vec<ToolOf<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Chosen<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reasoning<'a> {
    #[serde(borrow)]
    effort: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TextOf<'a> {
    #[serde(borrow)]
    format: Option<FormatOf<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct FormatOf<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    name: Option<Text<'a>>,
    schema: Option<&'a RawValue>,
}

/// The name of the tool that looks for tools. Codex's has none.
pub(super) const TOOL_SEARCH_NAME: &str = "tool_search";

/// How deep namespaces of tools lie.
const MAX_NAMESPACE_DEPTH: usize = 4;

/// Reads a request.
pub(crate) fn read(body: &[u8]) -> Result<Conversation<'_>, RequestError> {
    let request: ModelRequest<'_> = serde_json::from_slice(body)?;
    let effort = request.reasoning.map(|reasoning| reasoning.effort.unwrap_or_default());
    let thinking = effort.map_or(Thinking::Unspecified, |effort| Thinking::from_effort(effort.as_str()));
    let mut conversation = Conversation {
        model: request.model.0,
        thinking,
        disable_parallel_calls: request.parallel_tool_calls == Some(false),
        max_output_tokens: request.max_output_tokens,
        temperature: request.temperature,
        top_p: request.top_p,
        cache_key: request.prompt_cache_key.map(|key| key.0),
        is_streamed: request.stream.unwrap_or_default(),
        ..Conversation::default()
    };
    conversation.format = request.text.and_then(|text| text.format).and_then(|format| match format.kind.as_str() {
        "json_schema" | "json_object" => Some(ResponseFormat::new(format.name, format.schema)),
        _ => None,
    });
    conversation.system.extend(request.instructions.filter(|text| !text.as_str().trim().is_empty()).map(|text| text.0));
    tools(request.tools, None, MAX_NAMESPACE_DEPTH, &mut conversation.tools);
    // A text alone is what the user says.
    let user = |_| InputItem { content: Some(request.input), ..InputItem::default() };
    let items = parse_string_or_array(request.input, user).ok_or(RequestError::InvalidShape("input"))?;
    for item in items {
        read_item(item, &mut conversation);
    }
    if let Some(choice) = request.tool_choice {
        conversation.tool_choice =
            match (parse_string(choice), parse::<Chosen<'_>>(choice).and_then(|chosen| chosen.name)) {
                (Some(word), _) => ToolChoiceMode::from_name(&word),
                (None, Some(name)) if conversation.tools.iter().any(|tool| tool.name == name.0) => {
                    ToolChoiceMode::Tool(name.0)
                }
                (None, _) => ToolChoiceMode::Auto,
            };
    }
    Ok(conversation)
}

fn tools<'a>(given: Vec<ToolOf<'a>>, namespace: Option<&Cow<'a, str>>, depth: usize, into: &mut Vec<Tool<'a>>) {
    for tool in given {
        let name = tool.name.unwrap_or_default().0;
        let description = tool.description.unwrap_or_default().0;
        let parameters = tool.parameters.map(|raw| Cow::Borrowed(raw.get()));
        let made = match tool.kind.as_str() {
            "function" => Tool::function(name, description, parameters),
            "custom" => Tool::free_form(name, description, tool.format),
            TOOL_SEARCH_NAME => {
                Tool { kind: ToolKind::Search, ..Tool::function(TOOL_SEARCH_NAME.into(), description, parameters) }
            }
            "namespace" if depth > 0 => {
                tools(tool.tools, Some(&name), depth - 1, into);
                continue;
            }
            // Tools that OpenAI runs itself.
            _ => continue,
        };
        let namespace = namespace.cloned();
        // Tools that were found come again in later answers.
        if !made.name.is_empty() && !into.iter().any(|known| known.name == made.name && known.namespace == namespace) {
            into.push(Tool { namespace, is_strict: tool.strict.unwrap_or_default(), ..made });
        }
    }
}

fn read_item<'a>(item: InputItem<'a>, conversation: &mut Conversation<'a>) {
    let id = item.call_id.unwrap_or_default().0;
    let namespace = item.namespace.map(|namespace| namespace.0);
    let call = |name: Cow<'a, str>, namespace, arguments: Cow<'a, str>| {
        (Role::Assistant, Part::Call(ToolCall { id: id.clone(), namespace, name, arguments, reasoning_blob: None }))
    };
    let name = item.name.unwrap_or_default().0;
    match text_or_empty(item.kind.as_ref()) {
        "" | "message" => {
            let role = match text_or_empty(item.role.as_ref()) {
                "assistant" => Role::Assistant,
                "developer" | "system" => Role::System,
                _ => Role::User,
            };
            let parts = item.content.map(contents).unwrap_or_default();
            if role == Role::System && conversation.parts.is_empty() {
                let texts = parts.into_iter().filter_map(|part| match part {
                    Part::Text(text) => Some(text),
                    _ => None,
                });
                conversation.system.extend(texts);
            } else {
                conversation.parts.extend(parts.into_iter().map(|part| (role, part)));
            }
        }
        "function_call" => {
            let arguments = item.arguments.and_then(parse_string).unwrap_or("{}".into());
            conversation.parts.push(call(name, namespace, arguments));
        }
        "tool_search_call" => {
            let arguments = item.arguments.map_or("{}", RawValue::get);
            conversation.parts.push(call(TOOL_SEARCH_NAME.into(), None, arguments.into()));
        }
        "custom_tool_call" => {
            let input = Tool::free_form_arguments(item.input.unwrap_or_default().as_str());
            conversation.parts.push(call(name, namespace, input.into()));
        }
        "function_call_output" | "custom_tool_call_output" => {
            let parts = item.output.map(contents).unwrap_or_default();
            conversation.parts.push((Role::User, Part::Result(ToolResult { id, parts, has_failed: false })));
        }
        "tool_search_output" => {
            let before = conversation.tools.len();
            tools(item.tools, None, MAX_NAMESPACE_DEPTH, &mut conversation.tools);
            let found: Vec<String> = conversation.tools[before..]
                .iter()
                .map(|tool| match &tool.namespace {
                    Some(namespace) => format!("{namespace}.{}", tool.name),
                    None => tool.name.clone().into_owned(),
                })
                .collect();
            let text = match found.is_empty() {
                true => "No further tools were found.".to_owned(),
                false => format!("These tools are loaded: {}", found.join(", ")),
            };
            let parts = vec![Part::Text(text.into())];
            conversation.parts.push((Role::User, Part::Result(ToolResult { id, parts, has_failed: false })));
        }
        "reasoning" => {
            let texts: Vec<Content<'_>> = item.summary.and_then(parse).unwrap_or_default();
            let texts: Vec<Cow<'_, str>> = texts.into_iter().filter_map(|content| Some(content.text?.0)).collect();
            let text = texts.join("\n\n").into();
            let carried = ReasoningBlob::decode_field(item.encrypted_content.as_ref());
            conversation.parts.push((Role::Assistant, Part::Thought { text, carried }));
        }
        // What OpenAI's own tools did.
        _ => {}
    }
}

fn contents(raw: &RawValue) -> Vec<Part<'_>> {
    let of_text = |text| Content { kind: Text("text".into()), text: Some(Text(text)), ..Content::default() };
    // An output may be any JSON.
    let Some(contents) = parse_string_or_array(raw, of_text) else { return vec![Part::Text(raw.get().into())] };
    contents.into_iter().filter_map(content).collect()
}

fn content(content: Content<'_>) -> Option<Part<'_>> {
    match content.kind.as_str() {
        "input_image" => Some(Part::Image(Media::from_url(content.image_url?.0, None))),
        "input_file" => {
            let url = content.file_data.or(content.file_url)?.0;
            Some(Part::File(Media::from_url(url, content.filename.map(|name| name.0))))
        }
        _ => Some(Part::Text(content.text.or(content.refusal)?.0)),
    }
}
