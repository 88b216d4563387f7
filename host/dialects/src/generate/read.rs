//! Requests of clients.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::schema::from_gemini;
use crate::conversation::{
    Conversation, Effort, Media, Part, ResponseFormat, Role, Thinking, Tool, ToolCall, ToolChoiceMode, ToolResult,
};
use crate::json::{Text, non_empty_text, parse, parse_string, text_or_empty};
use crate::reasoning::ReasoningBlob;
use crate::request::RequestError;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ModelRequest<'a> {
    #[serde(borrow)]
    contents: Vec<Content<'a>>,
    system_instruction: Option<Content<'a>>,
    #[serde(default)]
    tools: Vec<ToolOf<'a>>,
    tool_config: Option<ToolConfig<'a>>,
    generation_config: Option<Generation<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Content<'a> {
    #[serde(borrow)]
    role: Option<Text<'a>>,
    parts: Vec<PartOf<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PartOf<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    thought: Option<bool>,
    thought_signature: Option<Text<'a>>,
    inline_data: Option<Data<'a>>,
    file_data: Option<Data<'a>>,
    function_call: Option<FunctionCall<'a>>,
    function_response: Option<FunctionResponse<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Data<'a> {
    #[serde(borrow)]
    mime_type: Option<Text<'a>>,
    data: Option<Text<'a>>,
    file_uri: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct FunctionCall<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    name: Text<'a>,
    args: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct FunctionResponse<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    name: Text<'a>,
    response: Option<&'a RawValue>,
    #[serde(default)]
    parts: Vec<PartOf<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CallResponse<'a> {
    #[serde(borrow)]
    output: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ToolOf<'a> {
    #[serde(borrow)]
    function_declarations: Vec<Declaration<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Declaration<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    description: Option<Text<'a>>,
    parameters: Option<&'a RawValue>,
    parameters_json_schema: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ToolConfig<'a> {
    #[serde(borrow)]
    function_calling_config: Option<CallingConfig<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct CallingConfig<'a> {
    #[serde(borrow)]
    mode: Option<Text<'a>>,
    allowed_function_names: Vec<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Generation<'a> {
    #[serde(borrow)]
    temperature: Option<&'a RawValue>,
    top_p: Option<&'a RawValue>,
    top_k: Option<&'a RawValue>,
    seed: Option<&'a RawValue>,
    max_output_tokens: Option<u64>,
    stop_sequences: Vec<Text<'a>>,
    response_mime_type: Option<Text<'a>>,
    response_json_schema: Option<&'a RawValue>,
    response_schema: Option<&'a RawValue>,
    thinking_config: Option<ThinkingConfig<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ThinkingConfig<'a> {
    thinking_budget: Option<i64>,
    #[serde(borrow)]
    thinking_level: Option<Text<'a>>,
}

/// Reads a request. The model and whether events are wanted stand in its path.
pub(crate) fn read(body: &[u8]) -> Result<Conversation<'_>, RequestError> {
    let request: ModelRequest<'_> = serde_json::from_slice(body)?;
    let mut conversation = Conversation::default();
    for part in request.system_instruction.into_iter().flat_map(|content| content.parts) {
        if let Some(text) = part.text.filter(|text| !text.as_str().trim().is_empty()) {
            conversation.system.push(text.0);
        }
    }
    // Ids are optional: a call and its result are then matched by name and order.
    let mut unanswered: HashMap<String, Vec<String>> = HashMap::new();
    let mut made = 0;
    for content in request.contents {
        let role = if text_or_empty(content.role.as_ref()) == "model" { Role::Assistant } else { Role::User };
        let start = conversation.parts.len();
        for part in content.parts {
            read_part(part, role, start, &mut unanswered, &mut made, &mut conversation);
        }
    }
    let declared = request.tools.into_iter().flat_map(|tool| tool.function_declarations);
    conversation.tools = declared
        .map(|declared| {
            let older = || declared.parameters.map(|raw| from_gemini(raw.get()));
            let schema = declared.parameters_json_schema.map(|raw| from_gemini(raw.get())).or_else(older);
            Tool::function(declared.name.0, declared.description.unwrap_or_default().0, schema)
        })
        .collect();
    if let Some(config) = request.tool_config.and_then(|config| config.function_calling_config) {
        let mut allowed = config.allowed_function_names;
        conversation.tool_choice = match text_or_empty(config.mode.as_ref()) {
            "NONE" => ToolChoiceMode::None,
            "ANY" if allowed.len() == 1 => ToolChoiceMode::Tool(allowed.remove(0).0),
            "ANY" => ToolChoiceMode::Any,
            _ => ToolChoiceMode::Auto,
        };
    }
    if let Some(config) = request.generation_config {
        (conversation.temperature, conversation.top_p, conversation.top_k) =
            (config.temperature, config.top_p, config.top_k);
        (conversation.seed, conversation.max_output_tokens) = (config.seed, config.max_output_tokens);
        conversation.stop_sequences = config.stop_sequences.into_iter().map(|text| text.0).collect();
        let schema = config.response_json_schema.or(config.response_schema);
        if schema.is_some() || text_or_empty(config.response_mime_type.as_ref()) == "application/json" {
            let schema = schema.map(|raw| from_gemini(raw.get()));
            conversation.format = Some(ResponseFormat { name: "answer".into(), schema });
        }
        if let Some(thinking) = config.thinking_config {
            let effort = Effort::parse(text_or_empty(thinking.thinking_level.as_ref()));
            conversation.thinking = match thinking.thinking_budget {
                Some(0) => Thinking::Off,
                Some(tokens) if tokens > 0 => Thinking::Budget(tokens.unsigned_abs()),
                _ => Thinking::Effort(effort),
            };
        }
    }
    Ok(conversation)
}

fn read_part<'a>(
    part: PartOf<'a>,
    role: Role,
    start: usize,
    unanswered: &mut HashMap<String, Vec<String>>,
    made: &mut u32,
    conversation: &mut Conversation<'a>,
) {
    let carried = ReasoningBlob::decode_field(part.thought_signature.as_ref());
    if let Some(call) = part.function_call {
        let id = non_empty_text(call.id).unwrap_or_else(|| {
            *made += 1;
            Cow::Owned(format!("call_{made}"))
        });
        unanswered.entry(call.name.0.clone().into_owned()).or_default().push(id.clone().into_owned());
        let arguments = call.args.map_or("{}", RawValue::get).into();
        let call = ToolCall { id, namespace: None, name: call.name.0, arguments, reasoning_blob: carried };
        conversation.parts.push((role, Part::Call(call)));
        return;
    }
    if let Some(response) = part.function_response {
        let waiting = unanswered.entry(response.name.0.into_owned()).or_default();
        let id = match non_empty_text(response.id) {
            Some(id) => {
                if let Some(at) = waiting.iter().position(|known| *known == id) {
                    waiting.remove(at);
                }
                id
            }
            None if waiting.is_empty() => "".into(),
            None => Cow::Owned(waiting.remove(0)),
        };
        let (parts, has_failed) = result(response.response);
        let media = response.parts.into_iter().filter_map(media);
        let parts = parts.into_iter().chain(media).collect();
        conversation.parts.push((role, Part::Result(ToolResult { id, parts, has_failed })));
        return;
    }
    if let Some(text) = part.text {
        let is_thought = part.thought == Some(true);
        if carried.is_some() || is_thought {
            // The record stands behind the words that the thought came before.
            let kept = if is_thought { text.0.clone() } else { "".into() };
            conversation.parts.insert(start, (role, Part::Thought { text: kept, carried }));
        }
        if !is_thought && !text.as_str().is_empty() {
            conversation.parts.push((role, Part::Text(text.0)));
        }
        return;
    }
    // An image of a result stands beside the results. It is put into the last one.
    let Some(media) = media(PartOf { function_call: None, function_response: None, text: None, ..part }) else {
        return;
    };
    match conversation.parts[start..].iter_mut().rev().find_map(|(_, part)| match part {
        Part::Result(result) => Some(result),
        _ => None,
    }) {
        Some(result) => result.parts.push(media),
        None => conversation.parts.push((role, media)),
    }
}

fn media(part: PartOf<'_>) -> Option<Part<'_>> {
    let data = part.inline_data.or(part.file_data)?;
    let media = Media::from_url_or_base64(data.mime_type, data.file_uri, data.data)?;
    let is_image = media.kind.is_empty() || media.kind.starts_with("image/");
    Some(if is_image { Part::Image(media) } else { Part::File(media) })
}

/// Reads what a tool gave: Gemini CLI wraps texts in `output` and errors in `error`.
fn result(response: Option<&RawValue>) -> (Vec<Part<'_>>, bool) {
    let Some(raw) = response else { return (Vec::new(), false) };
    let text = |raw: &'_ RawValue| -> Option<String> { parse_string(raw).map(Cow::into_owned) };
    let whole = |raw: &RawValue| text(raw).unwrap_or_else(|| raw.get().to_owned());
    let (said, has_failed) = match parse::<CallResponse<'_>>(raw) {
        Some(CallResponse { error: Some(error), .. }) => (whole(error), true),
        Some(CallResponse { output: Some(output), .. }) => (whole(output), false),
        _ => (whole(raw), false),
    };
    (vec![Part::Text(said.into())], has_failed)
}
