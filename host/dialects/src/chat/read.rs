//! Requests of clients.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::conversation::{
    Conversation, Grammar, Media, MediaSource, Part, ResponseFormat, Role, Thinking, Tool, ToolCall, ToolChoiceMode,
    ToolResult,
};
use crate::json::{Text, parse, parse_string, parse_string_or_array, text_or_empty};
use crate::reasoning::ReasoningBlob;
use crate::request::{RequestError, StreamOptions};

// Clients write `null` for what they leave out, so each field is an `Option`.
#[derive(Deserialize)]
struct ModelRequest<'a> {
    #[serde(borrow)]
    model: Text<'a>,
    messages: Vec<PastMessage<'a>>,
    tools: Option<Vec<ToolOf<'a>>>,
    /// The tools of clients from before `tools`.
    functions: Option<Vec<ChatFunction<'a>>>,
    tool_choice: Option<&'a RawValue>,
    function_call: Option<&'a RawValue>,
    parallel_tool_calls: Option<bool>,
    reasoning_effort: Option<&'a RawValue>,
    reasoning: Option<&'a RawValue>,
    thinking: Option<&'a RawValue>,
    max_completion_tokens: Option<u64>,
    max_tokens: Option<u64>,
    temperature: Option<&'a RawValue>,
    top_p: Option<&'a RawValue>,
    top_k: Option<&'a RawValue>,
    seed: Option<&'a RawValue>,
    stop: Option<&'a RawValue>,
    response_format: Option<FormatOf<'a>>,
    prompt_cache_key: Option<Text<'a>>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
}

#[derive(Deserialize)]
struct PastMessage<'a> {
    #[serde(borrow)]
    role: Text<'a>,
    content: Option<&'a RawValue>,
    refusal: Option<Text<'a>>,
    reasoning_content: Option<Text<'a>>,
    reasoning: Option<&'a RawValue>,
    reasoning_details: Option<&'a RawValue>,
    tool_calls: Option<Vec<CallOf<'a>>>,
    function_call: Option<ChatFunction<'a>>,
    tool_call_id: Option<Text<'a>>,
    name: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Content<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    text: Option<Text<'a>>,
    refusal: Option<Text<'a>>,
    image_url: Option<&'a RawValue>,
    file: Option<FileOf<'a>>,
    input_audio: Option<Audio<'a>>,
}

#[derive(Deserialize)]
struct ImageUrl<'a> {
    #[serde(borrow)]
    url: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct FileOf<'a> {
    #[serde(borrow)]
    file_data: Option<Text<'a>>,
    filename: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Audio<'a> {
    #[serde(borrow)]
    data: Text<'a>,
    format: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CallOf<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    function: Option<ChatFunction<'a>>,
    custom: Option<Custom<'a>>,
}

/// A function as it is declared, or as it is called.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ChatFunction<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    description: Option<Text<'a>>,
    parameters: Option<&'a RawValue>,
    arguments: Option<&'a RawValue>,
    strict: Option<bool>,
}

/// A tool that takes a text, as it is declared, or as it is called.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Custom<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    description: Option<Text<'a>>,
    format: Option<CustomFormat<'a>>,
    input: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CustomFormat<'a> {
    #[serde(borrow)]
    grammar: Option<Grammar<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ToolOf<'a> {
    #[serde(borrow)]
    function: Option<ChatFunction<'a>>,
    custom: Option<Custom<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Chosen<'a> {
    #[serde(borrow)]
    function: Option<ChatFunction<'a>>,
    custom: Option<Custom<'a>>,
    name: Option<Text<'a>>,
    allowed_tools: Option<AllowedTools<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AllowedTools<'a> {
    #[serde(borrow)]
    mode: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct FormatOf<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    json_schema: Option<Schema<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Schema<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    schema: Option<&'a RawValue>,
}

/// How much to think, as OpenRouter's `reasoning` and others' `thinking` say it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ThinkingOf<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    effort: Option<Text<'a>>,
    enabled: Option<bool>,
    #[serde(alias = "budget_tokens")]
    max_tokens: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ReasoningDetail<'a> {
    #[serde(borrow)]
    data: Option<Text<'a>>,
    id: Option<Text<'a>>,
}

/// Reads a request.
pub(crate) fn read(body: &[u8]) -> Result<Conversation<'_>, RequestError> {
    let request: ModelRequest<'_> = serde_json::from_slice(body)?;
    let stop = request.stop.and_then(|stop| parse_string_or_array(stop, Text)).unwrap_or_default();
    let mut conversation = Conversation {
        thinking: thinking(&request),
        model: request.model.0,
        disable_parallel_calls: request.parallel_tool_calls == Some(false),
        max_output_tokens: request.max_completion_tokens.or(request.max_tokens),
        temperature: request.temperature,
        top_p: request.top_p,
        top_k: request.top_k,
        seed: request.seed,
        stop_sequences: stop.into_iter().map(|text| text.0).collect(),
        cache_key: request.prompt_cache_key.map(|key| key.0),
        is_streamed: request.stream.unwrap_or_default(),
        include_usage: request.stream_options.and_then(|options| options.include_usage).unwrap_or_default(),
        ..Conversation::default()
    };
    conversation.format = request.response_format.and_then(|format| match format.kind.as_str() {
        "json_object" => Some(ResponseFormat::new(None, None)),
        "json_schema" => format.json_schema.map(|of| ResponseFormat::new(of.name, of.schema)),
        _ => None,
    });
    for tool in request.tools.unwrap_or_default() {
        let known = tool.function.map(declared).or_else(|| tool.custom.map(declared_text));
        add_tool(&mut conversation, known);
    }
    for function in request.functions.unwrap_or_default() {
        add_tool(&mut conversation, Some(declared(function)));
    }
    for message in request.messages {
        read_message(message, &mut conversation)?;
    }
    if let Some(choice) = request.tool_choice.or(request.function_call) {
        conversation.set_tool_choice(chosen(choice));
    }
    Ok(conversation)
}

fn thinking(request: &ModelRequest<'_>) -> Thinking {
    let effort = request.reasoning_effort.and_then(parse_string);
    if let Some(effort) = effort {
        return Thinking::from_effort(&effort);
    }
    let more = request.reasoning.or(request.thinking).and_then(parse::<ThinkingOf<'_>>);
    let Some(more) = more else { return Thinking::Unspecified };
    match (text_or_empty(more.kind.as_ref()), more.enabled, more.effort, more.max_tokens) {
        ("disabled", ..) | (_, Some(false), ..) => Thinking::Off,
        (_, _, Some(effort), _) => Thinking::from_effort(effort.as_str()),
        (_, _, _, Some(tokens)) => Thinking::Budget(tokens),
        _ => Thinking::Effort(None),
    }
}

fn chosen(choice: &RawValue) -> ToolChoiceMode<'_> {
    if let Some(word) = parse_string(choice) {
        return ToolChoiceMode::from_name(&word);
    }
    let Some(choice) = parse::<Chosen<'_>>(choice) else { return ToolChoiceMode::Unspecified };
    let function = choice.function.and_then(|function| function.name);
    let name = function.or_else(|| choice.custom.and_then(|custom| custom.name)).or(choice.name);
    match (name, choice.allowed_tools) {
        (Some(name), _) => ToolChoiceMode::Tool(name.0),
        (None, Some(allowed)) if text_or_empty(allowed.mode.as_ref()) == "required" => ToolChoiceMode::Any,
        _ => ToolChoiceMode::Auto,
    }
}

fn declared(function: ChatFunction<'_>) -> Tool<'_> {
    let schema = function.parameters.map(|raw| Cow::Borrowed(raw.get()));
    let (name, description) = (function.name.unwrap_or_default().0, function.description.unwrap_or_default().0);
    Tool { is_strict: function.strict.unwrap_or_default(), ..Tool::function(name, description, schema) }
}

fn declared_text(custom: Custom<'_>) -> Tool<'_> {
    let grammar = custom.format.and_then(|format| format.grammar);
    Tool::free_form(custom.name.unwrap_or_default().0, custom.description.unwrap_or_default().0, grammar)
}

fn add_tool<'a>(conversation: &mut Conversation<'a>, tool: Option<Tool<'a>>) {
    let tool = tool.filter(|tool| !tool.name.is_empty());
    if let Some(tool) = tool.filter(|tool| !conversation.tools.iter().any(|known| known.name == tool.name)) {
        conversation.tools.push(tool);
    }
}

fn read_message<'a>(message: PastMessage<'a>, conversation: &mut Conversation<'a>) -> Result<(), RequestError> {
    let contents = match message.content {
        Some(raw) => parse_string_or_array(raw, of_text).ok_or(RequestError::InvalidShape("messages.content"))?,
        None => Vec::new(),
    };
    match message.role.as_str() {
        "system" | "developer" => {
            let texts = contents.into_iter().filter_map(|content| Some(content.text?.0));
            let texts = texts.filter(|text| !text.trim().is_empty());
            if conversation.parts.is_empty() {
                conversation.system.extend(texts);
            } else {
                conversation.parts.extend(texts.map(|text| (Role::System, Part::Text(text))));
            }
        }
        "assistant" => assistant(message, contents, conversation),
        "tool" | "function" => {
            let id = message.tool_call_id.or(message.name).unwrap_or_default().0;
            let parts = contents.into_iter().filter_map(part).collect();
            conversation.parts.push((Role::User, Part::Result(ToolResult { id, parts, has_failed: false })));
        }
        _ => conversation.parts.extend(contents.into_iter().filter_map(|content| Some((Role::User, part(content)?)))),
    }
    Ok(())
}

fn assistant<'a>(message: PastMessage<'a>, contents: Vec<Content<'a>>, conversation: &mut Conversation<'a>) {
    let mut say = |part| conversation.parts.push((Role::Assistant, part));
    let calls = message.tool_calls.unwrap_or_default();
    let called_ids: HashSet<String> = calls.iter().map(|call| text_or_empty(call.id.as_ref()).to_owned()).collect();
    // What proves a call stays with it.
    let mut of_calls: HashMap<String, Vec<ReasoningBlob>> = HashMap::new();
    let mut has_records = false;
    for detail in message.reasoning_details.and_then(parse::<Vec<ReasoningDetail<'_>>>).unwrap_or_default() {
        let Some(carried) = ReasoningBlob::decode_field(detail.data.as_ref()) else { continue };
        has_records = true;
        match detail.id.filter(|id| called_ids.contains(id.as_str())) {
            Some(id) => of_calls.entry(id.0.into_owned()).or_default().push(carried),
            None => say(Part::Thought { text: "".into(), carried: Some(carried) }),
        }
    }
    let kept = message.reasoning_content.map(|text| text.0).or_else(|| message.reasoning.and_then(parse_string));
    if let Some(text) = kept.filter(|text| !has_records && !text.trim().is_empty()) {
        say(Part::Thought { text, carried: None });
    }
    contents.into_iter().filter_map(part).for_each(&mut say);
    message.refusal.into_iter().for_each(|text| say(Part::Text(text.0)));
    for call in calls {
        let id = call.id.unwrap_or_default().0;
        let mut own = of_calls.remove(&*id).unwrap_or_default().into_iter();
        let carried = own.next().map(|mut first| {
            first.next.extend(own);
            first
        });
        let (name, arguments) = match (call.function, call.custom) {
            (Some(function), _) => called(function),
            (None, Some(custom)) => {
                let input = Tool::free_form_arguments(custom.input.unwrap_or_default().as_str());
                (custom.name.unwrap_or_default().0, input.into())
            }
            (None, None) => continue,
        };
        say(Part::Call(ToolCall { id, namespace: None, name, arguments, reasoning_blob: carried }));
    }
    if let Some(function) = message.function_call {
        let (name, arguments) = called(function);
        say(Part::Call(ToolCall { id: name.clone(), namespace: None, name, arguments, reasoning_blob: None }));
    }
}

fn called(function: ChatFunction<'_>) -> (Cow<'_, str>, Cow<'_, str>) {
    // An object instead of a string is not as it should be, but its meaning is clear.
    let arguments = function.arguments.map(|raw| parse_string(raw).unwrap_or(raw.get().into()));
    let arguments = arguments.filter(|text| !text.trim().is_empty()).unwrap_or("{}".into());
    (function.name.unwrap_or_default().0, arguments)
}

fn of_text(text: Cow<'_, str>) -> Content<'_> {
    Content { kind: Text("text".into()), text: Some(Text(text)), ..Content::default() }
}

fn part(content: Content<'_>) -> Option<Part<'_>> {
    match content.kind.as_str() {
        "image_url" => {
            let raw = content.image_url?;
            let url = parse_string(raw).or_else(|| Some(parse::<ImageUrl<'_>>(raw)?.url.0))?;
            Some(Part::Image(Media::from_url(url, None)))
        }
        "file" => {
            let file = content.file?;
            Some(Part::File(Media::from_url(file.file_data?.0, file.filename.map(|name| name.0))))
        }
        "input_audio" => {
            let audio = content.input_audio?;
            let kind = format!("audio/{}", text_or_empty(audio.format.as_ref()));
            Some(Part::File(Media { kind: kind.into(), source: MediaSource::Base64(audio.data.0), name: None }))
        }
        _ => Some(Part::Text(content.text.or(content.refusal)?.0)),
    }
}
