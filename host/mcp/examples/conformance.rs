//! The server with the fixed tools that the official conformance suite asks for, over HTTP without a token.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use aiw_listen::{HttpRoute, Listener, Method, Rules};
use aiw_mcp::{
    Arguments, Call, Caller, HttpLimits, HttpServer, RpcError, ServerBackend, ServerDescription, Tool, ToolResult,
};
use async_trait::async_trait;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";
const MOMENT: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(30);

struct Fixed {
    tools: Arc<[Tool]>,
}

fn tools() -> Result<Arc<[Tool]>, Box<dyn Error>> {
    let none = json!({"type": "object", "properties": {}});
    let text = |name: &str| json!({"type": "object", "properties": {name: {"type": "string"}}, "required": [name]});
    let dialect = json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
        "$defs": {"address": {"type": "object", "properties": {"street": {"type": "string"}, "city": {"type": "string"}}}},
        "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"}},
        "additionalProperties": false});
    let header = json!({"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}});
    let named = [
        ("test_simple_text", none.clone()),
        ("test_image_content", none.clone()),
        ("test_audio_content", none.clone()),
        ("test_embedded_resource", none.clone()),
        ("test_multiple_content_types", none.clone()),
        ("test_tool_with_logging", none.clone()),
        ("test_tool_with_progress", none.clone()),
        ("test_error_handling", none.clone()),
        ("test_sampling", text("prompt")),
        ("test_elicitation", text("message")),
        ("test_elicitation_sep1034_defaults", none.clone()),
        ("test_elicitation_sep1330_enums", none.clone()),
        ("test_reconnection", none.clone()),
        ("test_missing_capability", none.clone()),
        ("test_custom_header", header),
        ("json_schema_2020_12_tool", dialect),
    ];
    let tools = named.into_iter().map(|(name, schema)| {
        Tool::from_definition(
            json!({"name": name, "description": format!("`{name}` of the suite"), "inputSchema": schema}),
        )
    });
    Ok(tools.collect::<Option<Vec<_>>>().ok_or("a tool is not valid")?.into())
}

fn content(items: Value) -> ToolResult {
    ToolResult::from_map(Map::from_iter([("content".to_owned(), items)]))
}

fn said(text: impl Into<String>) -> ToolResult {
    content(json!([{"type": "text", "text": text.into()}]))
}

fn ask_schema(name: &str) -> Value {
    let titled = |word: &str| {
        let values = [("value1", "First"), ("value2", "Second"), ("value3", "Third")];
        json!(values.map(|(value, number)| json!({"const": value, "title": format!("{number} {word}")})))
    };
    let properties = match name {
        "test_elicitation" => json!({"username": {"type": "string", "description": "User's response"},
            "email": {"type": "string", "description": "User's email address"}}),
        "test_elicitation_sep1034_defaults" => json!({"name": {"type": "string", "default": "John Doe"},
            "age": {"type": "integer", "default": 30}, "score": {"type": "number", "default": 95.5},
            "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
            "verified": {"type": "boolean", "default": true}}),
        _ => json!({"untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
            "titledSingle": {"type": "string", "oneOf": titled("Option")},
            "legacyEnum": {"type": "string", "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["Option One", "Option Two", "Option Three"]},
            "untitledMulti": {"type": "array", "items": {"type": "string", "enum": ["option1", "option2", "option3"]}},
            "titledMulti": {"type": "array", "items": {"anyOf": titled("Choice")}}}),
    };
    let required = if name == "test_elicitation" { json!(["username", "email"]) } else { json!([]) };
    json!({"type": "object", "properties": properties, "required": required})
}

async fn ask(caller: &Caller, method: &str, params: Value) -> Result<Value, RpcError> {
    let answer = caller.send_request(method, Some(params), PATIENCE).await;
    answer.map_err(|e| RpcError { code: -32603, message: e.to_string(), data: None })
}

#[async_trait]
impl ServerBackend for Fixed {
    fn describe(&self) -> ServerDescription {
        let capabilities = json!({"prompts": {"listChanged": true}, "resources": {"subscribe": true},
            "logging": {}, "completions": {}});
        let capabilities = capabilities.as_object().cloned().unwrap_or_default();
        ServerDescription {
            name: "aiw-conformance".into(),
            version: "1".into(),
            instructions: String::new(),
            capabilities,
        }
    }

    fn tools(&self) -> Arc<[Tool]> {
        self.tools.clone()
    }

    async fn on_session_start(&self, _: Caller) {}

    async fn call(&self, name: &str, arguments: Arguments, call: Call) -> Result<ToolResult, RpcError> {
        let arguments = arguments.parse().unwrap_or_default();
        let text = |field: &str| arguments.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let resource = json!({"type": "resource", "resource": {"uri": "test://embedded-resource",
            "mimeType": "text/plain", "text": "This is an embedded resource content."}});
        Ok(match name {
            "test_simple_text" => said("This is a simple text response for testing."),
            "test_image_content" => content(json!([{"type": "image", "data": PNG, "mimeType": "image/png"}])),
            "test_audio_content" => content(json!([{"type": "audio", "data": WAV, "mimeType": "audio/wav"}])),
            "test_embedded_resource" => content(json!([resource])),
            "test_multiple_content_types" => content(json!([
                {"type": "text", "text": "Multiple content types test:"},
                {"type": "image", "data": PNG, "mimeType": "image/png"},
                {"type": "resource", "resource": {"uri": "test://mixed-content-resource",
                    "mimeType": "application/json", "text": "{\"test\":\"data\",\"value\":123}"}}
            ])),
            "test_tool_with_logging" => {
                for line in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
                    let params = json!({"level": "info", "data": line});
                    let _ = call.caller.notify("notifications/message", Some(params)).await;
                    tokio::time::sleep(MOMENT).await;
                }
                said("done")
            }
            "test_tool_with_progress" => {
                for progress in [0, 50, 100] {
                    if let Some(token) = call.meta.get("progressToken") {
                        let params = json!({"progressToken": token, "progress": progress, "total": 100});
                        let _ = call.caller.notify("notifications/progress", Some(params)).await;
                    }
                    tokio::time::sleep(MOMENT).await;
                }
                said("done")
            }
            "test_error_handling" => ToolResult::error("This tool intentionally returns an error for testing"),
            "test_sampling" => {
                let params = json!({"maxTokens": 100,
                    "messages": [{"role": "user", "content": {"type": "text", "text": text("prompt")}}]});
                let answer = ask(&call.caller, "sampling/createMessage", params).await?;
                said(format!("LLM response: {}", answer["content"]["text"].as_str().unwrap_or_default()))
            }
            "test_elicitation" | "test_elicitation_sep1034_defaults" | "test_elicitation_sep1330_enums" => {
                let message = if name == "test_elicitation" { text("message") } else { "Choose".into() };
                let params = json!({"message": message, "requestedSchema": ask_schema(name)});
                let answer = ask(&call.caller, "elicitation/create", params).await?;
                said(format!("Elicitation completed: action={}, content={}", answer["action"], answer["content"]))
            }
            "test_missing_capability" if call.caller.capabilities().get("sampling").is_none() => {
                let data = Some(json!({"requiredCapabilities": {"sampling": {}}}));
                return Err(RpcError { code: -32021, message: "this needs sampling".into(), data });
            }
            "test_missing_capability" | "test_custom_header" => said("done"),
            "test_reconnection" => {
                tokio::time::sleep(Duration::from_millis(300)).await;
                said("Reconnection test completed successfully")
            }
            _ => ToolResult::error(format!("there is no tool `{name}`")),
        })
    }

    async fn request(&self, method: &str, params: Option<Value>, _: Call) -> Result<Value, RpcError> {
        let params = params.unwrap_or_default();
        let uri = params["uri"].as_str().unwrap_or_default();
        Ok(match method {
            "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" => json!({}),
            "completion/complete" => json!({"completion": {"values": ["paris", "park"], "total": 2, "hasMore": false}}),
            "resources/list" => json!({"resources": [
                {"uri": "test://static-text", "name": "text", "description": "A text", "mimeType": "text/plain"},
                {"uri": "test://static-binary", "name": "image", "description": "An image", "mimeType": "image/png"},
                {"uri": "test://watched-resource", "name": "watched", "description": "A watched one"}]}),
            "resources/templates/list" => json!({"resourceTemplates": [
                {"uriTemplate": "test://template/{id}/data", "name": "template", "description": "One for each id"}]}),
            "resources/read" => match uri {
                "test://static-text" => json!({"contents": [{"uri": uri, "mimeType": "text/plain",
                    "text": "This is the content of the static text resource."}]}),
                "test://static-binary" => json!({"contents": [{"uri": uri, "mimeType": "image/png", "blob": PNG}]}),
                _ => {
                    let id = uri.strip_prefix("test://template/").and_then(|rest| rest.strip_suffix("/data"));
                    let Some(id) = id else {
                        return Err(RpcError { code: -32002, message: "there is no such resource".into(), data: None });
                    };
                    let text = json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")});
                    json!({"contents": [{"uri": uri, "mimeType": "application/json", "text": text.to_string()}]})
                }
            },
            "prompts/list" => json!({"prompts": [
                {"name": "test_simple_prompt", "description": "A simple one"},
                {"name": "test_prompt_with_arguments", "description": "One with arguments", "arguments": [
                    {"name": "arg1", "required": true}, {"name": "arg2", "required": true}]},
                {"name": "test_prompt_with_embedded_resource", "description": "One with a resource",
                    "arguments": [{"name": "resourceUri", "required": true}]},
                {"name": "test_prompt_with_image", "description": "One with an image"}]}),
            "prompts/get" => prompt(&params),
            other => return Err(RpcError::method_not_found(other)),
        })
    }
}

fn prompt(params: &Value) -> Value {
    let arguments = &params["arguments"];
    let message = |content: Value| json!({"role": "user", "content": content});
    let text = |text: String| message(json!({"type": "text", "text": text}));
    let word = |name: &str| arguments[name].as_str().unwrap_or_default().to_owned();
    let messages = match params["name"].as_str().unwrap_or_default() {
        "test_prompt_with_arguments" => {
            vec![text(format!("Prompt with arguments: arg1='{}', arg2='{}'", word("arg1"), word("arg2")))]
        }
        "test_prompt_with_embedded_resource" => vec![
            message(json!({"type": "resource", "resource": {"uri": word("resourceUri"), "mimeType": "text/plain",
                "text": "Embedded resource content for testing."}})),
            text("Please process the embedded resource above.".into()),
        ],
        "test_prompt_with_image" => vec![
            message(json!({"type": "image", "data": PNG, "mimeType": "image/png"})),
            text("Please analyze the image above.".into()),
        ],
        _ => vec![text("This is a simple prompt for testing.".into())],
    };
    json!({"messages": messages})
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    use std::io::Write;

    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).await?;
    let address = listener.address();
    writeln!(std::io::stdout(), "{}", json!({"url": format!("http://{address}/mcp")}))?;
    let (stop, tools) = (CancellationToken::new(), tools()?);
    let make = move || Arc::new(Fixed { tools: tools.clone() }) as Arc<dyn ServerBackend>;
    let server = HttpServer::new(make, HttpLimits::default(), stop.clone());
    let route = HttpRoute::new("/mcp", [Method::POST, Method::GET, Method::DELETE]).with_media_type("application/json");
    // The suite acts as a page of the server's own origin.
    let origins = ["127.0.0.1", "localhost"].map(|name| format!("http://{name}:{}", address.port()));
    let answer = move |request| {
        let server = server.clone();
        async move { server.handle(request).await }
    };
    listener.serve(Rules::new([route]).with_gate(|_| Ok(())).with_origins(origins), answer, stop).await;
    Ok(())
}
