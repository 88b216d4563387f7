//! A call of a tool by hand, with arguments as people type them.

use std::sync::Arc;

use aiw_core::registry::Format;
use aiw_core::{Question, Reporter, one_line};
use aiw_markets::Observer;
use aiw_mcp::{Arguments, parse_result};
use aiw_routing::{PoolError, ToolDefinition, ToolRef};
use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::mpsc;

use super::{ArgumentError, Result, ServerError, pool};
use crate::ClientSession;

/// A call of a tool.
#[derive(Debug, Clone)]
pub struct ToolCallRequest {
    /// The tool, as `SERVER/TOOL`, or the server, whose tool is then the first of `given`.
    pub name: String,
    /// `NAME=VALUE` for each argument, or one JSON object.
    pub arguments: Vec<String>,
}

/// The result of a call.
#[derive(Debug, Clone)]
pub struct ToolCallResult {
    /// The tool's name.
    pub tool: String,
    /// The result as the server wrote it.
    pub raw_result: Box<RawValue>,
    /// The result, without what is nested too deeply.
    pub result: Value,
    /// The result in words.
    pub text: String,
    /// Whether the tool says that it failed.
    pub is_error: bool,
}

/// Calls a tool. A server that does not run is started.
///
/// # Errors
///
/// Fails if there is no such tool, if the arguments can't be read, and if the server doesn't answer.
pub async fn call(client: &ClientSession, request: &ToolCallRequest, sink: &dyn Reporter) -> Result<ToolCallResult> {
    call_with_progress(client, request, sink, None).await
}

/// As [`call`]; `observer` sees the server's progress.
///
/// # Errors
///
/// As those of [`call`].
pub async fn call_with_progress(
    client: &ClientSession,
    request: &ToolCallRequest,
    sink: &dyn Reporter,
    observer: Option<Arc<dyn Observer>>,
) -> Result<ToolCallResult> {
    let pool = pool(client, sink);
    let ToolRef { server, tool } = pool.resolve_tool_ref(&request.name)?;
    let (tool, given) = match (tool, request.arguments.split_first()) {
        (Some(tool), _) => (tool, &request.arguments[..]),
        (None, Some((tool, given))) => (tool.clone(), given),
        (None, None) => return Err(ServerError::MissingToolName { server }),
    };
    let definition = definition(client, &server, &tool, sink).await?;
    let arguments = parse_arguments(given, &definition["inputSchema"])?;
    let answered = |problem: String| ServerError::CallFailed { server: server.clone(), problem };
    let steps = observer.map(|observer| {
        let (steps, mut told) = mpsc::channel::<Value>(64);
        let name = tool.clone();
        tokio::spawn(async move {
            while let Some(step) = told.recv().await {
                show_step(&*observer, &name, &step);
            }
        });
        steps
    });
    let written = match pool.call(&server, &tool, arguments, None, steps).await {
        Ok(written) => written,
        // Its own error.
        Err(PoolError::Rpc(e)) => return Err(answered(e.to_string())),
        Err(e) => return Err(e.into()),
    };
    pool.shut_down().await;
    let result = parse_result(&written).map_err(|e| answered(e.to_string()))?;
    let items = result.get("content").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let text = items.iter().map(shown).collect::<Vec<_>>().join("\n");
    let text = match result.get("structuredContent") {
        Some(structure) if text.is_empty() => format!("{structure:#}"),
        _ => text,
    };
    let failed = result.get("isError") == Some(&true.into());
    Ok(ToolCallResult { tool, raw_result: written, result, text, is_error: failed })
}

/// Shows a step of a call: its message, else the tool's name, and how far it is.
fn show_step(observer: &dyn Observer, tool: &str, step: &Value) {
    let count = |field: &str| step[field].as_f64().filter(|count| (0.0..1e15).contains(count)).unwrap_or(0.0) as u64;
    let message = step["message"].as_str().map_or_else(|| tool.to_owned(), |message| one_line(message, 200));
    observer.progress(&message, count("progress"), count("total"));
}

/// Returns what to ask for a call of a tool by its schema: a question for each argument, those that are needed first.
///
/// # Errors
///
/// Fails if the server doesn't answer, and has never been seen.
pub async fn questions(client: &ClientSession, server: &str, tool: &str, sink: &dyn Reporter) -> Result<Vec<Question>> {
    let definition = definition(client, server, tool, sink).await?;
    let question = |parameter: ToolParameter<'_>| {
        let about = parameter.schema;
        let kind = about["type"].as_str().map(|kind| format!("({}) ", one_line(kind, 40))).unwrap_or_default();
        let words = one_line(about["description"].as_str().unwrap_or_default(), 600);
        let is_boolean = about["type"].as_str() == Some("boolean");
        let booleans = ["true", "false"].into_iter().filter(|_| is_boolean).map(str::to_owned);
        let choices = about["enum"].as_array().into_iter().flatten().map(typed).chain(booleans);
        Question {
            name: parameter.name.to_owned(),
            description: Some(format!("{kind}{words}").trim_end().to_owned()),
            required: parameter.required,
            secret: false,
            format: Format::Text,
            default: about.get("default").map(typed),
            placeholder: None,
            choices: choices.collect(),
            repeated: false,
            allows_bare_flag: false,
        }
    };
    let mut questions: Vec<Question> = parameters(&definition["inputSchema"]).map(question).collect();
    questions.sort_by_key(|question| !question.required);
    Ok(questions)
}

/// A parameter of a tool.
#[derive(Debug, Clone, Copy)]
pub struct ToolParameter<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its own schema.
    pub schema: &'a Value,
    /// Whether a call needs it.
    pub required: bool,
}

/// Returns the parameters of a tool by its schema.
pub fn parameters(schema: &Value) -> impl Iterator<Item = ToolParameter<'_>> {
    let is_required =
        move |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
    let all = schema["properties"].as_object().into_iter().flatten();
    all.map(move |(name, about)| ToolParameter { name, schema: about, required: is_required(name) })
}

/// Returns a value as people would type it.
fn typed(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Returns what a server says of a tool, as it was seen last; nothing if it doesn't have it.
async fn definition(client: &ClientSession, server: &str, tool: &str, sink: &dyn Reporter) -> Result<Value> {
    let pool = pool(client, sink);
    pool.refresh(server).await?;
    let status = pool.status().into_iter().find(|status| status.name == server);
    let record = status.and_then(|status| status.record);
    Ok(record.and_then(|record| record.tool(tool).map(ToolDefinition::value)).unwrap_or_default())
}

/// An item of a result in words, where it is not text.
fn shown(item: &Value) -> String {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let named = |what: &str, name: &Value| format!("[{what}: {}]", one_line(name.as_str().unwrap_or("unknown"), 200));
    match item["type"].as_str() {
        Some("text") => text(&item["text"]).unwrap_or_default(),
        Some("resource") => {
            text(&item["resource"]["text"]).unwrap_or_else(|| named("resource", &item["resource"]["uri"]))
        }
        Some("resource_link") => named("resource", &item["uri"]),
        Some(kind @ ("image" | "audio")) => named(kind, &item["mimeType"]),
        _ => item.to_string(),
    }
}

/// Arguments by name, each as it is written: a number keeps all of its digits.
struct WrittenArguments(Vec<(String, Box<RawValue>)>);

impl Serialize for WrittenArguments {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// Reads one JSON object, or `NAME=VALUE` for each argument, as the tool's schema says.
///
/// # Errors
///
/// Fails if a word is neither, an argument stands there twice, or a value doesn't have the type that the schema says.
pub fn parse_arguments(given: &[String], schema: &Value) -> Result<Arguments, ArgumentError> {
    if let [json] = given
        && json.trim_start().starts_with('{')
    {
        let written: Box<RawValue> = serde_json::from_str(json)?;
        return Arguments::from_raw(&written).ok_or(ArgumentError::TooDeep);
    }
    let mut arguments = WrittenArguments(Vec::new());
    for pair in given {
        let (name, value) = pair.split_once('=').ok_or_else(|| ArgumentError::InvalidSyntax(pair.clone()))?;
        let value = match schema["properties"][name]["type"].as_str() {
            Some("string") => to_raw_value(value)?,
            Some(kind) => serde_json::from_str(value)
                .map_err(|_| ArgumentError::InvalidType { name: name.to_owned(), kind: kind.to_owned() })?,
            None => serde_json::from_str(value).or_else(|_| to_raw_value(value))?,
        };
        if arguments.0.iter().any(|(known, _)| known == name) {
            return Err(ArgumentError::Duplicate { name: name.to_owned() });
        }
        arguments.0.push((name.to_owned(), value));
    }
    Arguments::from_raw(&to_raw_value(&arguments)?).ok_or(ArgumentError::TooDeep)
}
