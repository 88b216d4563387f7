//! Questions, as each API takes them.

use serde_json::{Value, json};

use crate::{ChatMessage, CompletionRequest, KEEP_ALIVE, LlmApi, ModelEndpoint, Role};

/// The tool by which Anthropic's API answers with a schema.
pub(crate) const ANSWER_TOOL: &str = "answer";

/// Returns the body of a request. A plain one has only what every server knows.
pub(crate) fn build(endpoint: &ModelEndpoint, question: &CompletionRequest<'_>, is_plain: bool) -> Value {
    let message = |message: &ChatMessage| {
        let role = match message.role {
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        json!({"role": role, "content": message.text})
    };
    let messages: Vec<Value> = question.messages.iter().map(message).collect();
    let with_system = || {
        let system = json!({"role": "system", "content": question.system});
        std::iter::once(system).chain(messages.iter().cloned()).collect::<Vec<_>>()
    };
    let schema = question.schema.as_ref();
    let mut body = json!({"model": endpoint.model});
    match endpoint.api {
        LlmApi::Ollama => {
            body["messages"] = with_system().into();
            body["stream"] = false.into();
            body["keep_alive"] = KEEP_ALIVE.into();
            body["options"] =
                json!({"temperature": 0, "num_ctx": question.context_tokens, "num_predict": question.max_tokens});
            if !is_plain {
                body["think"] = false.into();
            }
            if let Some(schema) = schema {
                body["format"] = if is_plain { "json".into() } else { schema.clone() };
            }
        }
        LlmApi::ChatCompletions => {
            body["messages"] = with_system().into();
            match is_plain {
                // The newest models take this name alone, and no temperature.
                true => body["max_completion_tokens"] = question.max_tokens.into(),
                false => {
                    body["max_tokens"] = question.max_tokens.into();
                    body["temperature"] = 0.into();
                    if let Some(schema) = schema {
                        let format = json!({"name": ANSWER_TOOL, "schema": schema});
                        body["response_format"] = json!({"type": "json_schema", "json_schema": format});
                    }
                }
            }
        }
        LlmApi::Messages => {
            body["system"] = question.system.into();
            body["messages"] = messages.into();
            body["max_tokens"] = question.max_tokens.into();
            if !is_plain {
                body["temperature"] = 0.into();
                // A tool that must be called makes every model and gateway follow a schema.
                if let Some(schema) = schema {
                    body["tools"] =
                        json!([{"name": ANSWER_TOOL, "description": "Your answer", "input_schema": schema}]);
                    body["tool_choice"] = json!({"type": "tool", "name": ANSWER_TOOL});
                }
            }
        }
    }
    body
}
