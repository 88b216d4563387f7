//! Answers, out of what each API sends.

use std::time::Duration;

use aiw_core::one_line;
use serde_json::Value;

use crate::{Completion, LlmApi, LlmError, ModelEndpoint};

/// Reads an answer.
pub(crate) fn read(endpoint: &ModelEndpoint, status: u16, body: &[u8]) -> Result<Completion, LlmError> {
    if status != 200 {
        return Err(response_error(endpoint, status, body));
    }
    let unusable = |problem| LlmError::InvalidResponse { place: endpoint.place(), problem };
    let answer: Value = aiw_core::from_foreign_json(body).map_err(|_| unusable("an answer that is not JSON"))?;
    // Some gateways send an error with status 200.
    if answer["error"].is_object() || answer["error"].is_string() {
        return Err(response_error(endpoint, status, body));
    }
    let count = |path: &str| answer.pointer(path).and_then(Value::as_u64);
    let (text, is_cut, input_tokens, output_tokens) = match endpoint.api {
        LlmApi::Ollama => {
            let cut = answer["done_reason"] == "length";
            (string(&answer["message"]["content"]), cut, count("/prompt_eval_count"), count("/eval_count"))
        }
        LlmApi::ChatCompletions => {
            let choice = &answer["choices"][0];
            let content = &choice["message"]["content"];
            let parts = || content.as_array().map(|parts| texts(parts));
            let cut = choice["finish_reason"] == "length";
            let text = string(content).or_else(parts);
            (text, cut, count("/usage/prompt_tokens"), count("/usage/completion_tokens"))
        }
        LlmApi::Messages => {
            let cut = answer["stop_reason"] == "max_tokens";
            let text = answer["content"].as_array().map(|blocks| {
                let called = blocks.iter().find(|block| block["type"] == "tool_use" && block["input"].is_object());
                called.map_or_else(|| texts(blocks), |block| block["input"].to_string())
            });
            (text, cut, count("/usage/input_tokens"), count("/usage/output_tokens"))
        }
    };
    let text = text.ok_or_else(|| unusable("an answer without a text"))?;
    // A gateway may say its errors as a model's words.
    let text = masked(endpoint, without_thoughts(&text).to_owned());
    Ok(Completion { text, is_truncated: is_cut, input_tokens, output_tokens, elapsed: Duration::ZERO })
}

fn string(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn texts(parts: &[Value]) -> String {
    parts.iter().filter(|part| part["type"] == "text").filter_map(|part| part["text"].as_str()).collect()
}

/// Returns a text without what a model thought before it. One that thought to its end has said nothing.
fn without_thoughts(text: &str) -> &str {
    let mut text = text.trim();
    while let Some(rest) = text.strip_prefix("<think>") {
        text = rest.split_once("</think>").map_or("", |(_, rest)| rest).trim();
    }
    // Some servers cut off the word that opens it.
    match text.split_once("</think>") {
        Some((thought, rest)) if !thought.contains("<think>") => rest.trim(),
        _ => text,
    }
}

/// Takes the keys out of a text.
fn masked(endpoint: &ModelEndpoint, mut text: String) -> String {
    for (_, secret) in &endpoint.secrets {
        for value in [secret.expose(), secret.expose().trim_start_matches("Bearer ")] {
            if value.len() > 3 && text.contains(value) {
                text = text.replace(value, "…");
            }
        }
    }
    text
}

/// Returns the error for a response that is not an answer.
pub(crate) fn response_error(endpoint: &ModelEndpoint, status: u16, body: &[u8]) -> LlmError {
    let place = endpoint.place();
    let said = aiw_core::from_foreign_json::<Value>(body).ok();
    let said = said.and_then(|said| {
        let message = [&said["error"]["message"], &said["error"], &said["message"], &said["detail"]];
        message.into_iter().find_map(Value::as_str).map(str::to_owned)
    });
    let mut said = said.unwrap_or_else(|| String::from_utf8_lossy(&body[..body.len().min(2000)]).into_owned());
    // Servers repeat the key that they refuse.
    said = masked(endpoint, said);
    let is_about_model = said.contains("model") && (said.contains("not found") || said.contains("not exist"));
    match status {
        401 | 403 => LlmError::Unauthorized { status, place },
        404 if is_about_model => {
            let is_ollama = endpoint.api == LlmApi::Ollama;
            LlmError::ModelNotFound { model: endpoint.model.clone(), place, is_ollama }
        }
        _ => LlmError::HttpStatus { status, place, said: one_line(&said, 300) },
    }
}

#[cfg(test)]
mod tests {
    use aiw_core::{Diagnostic, Secret};
    use serde_json::json;

    use super::*;

    fn endpoint(api: LlmApi) -> ModelEndpoint {
        ModelEndpoint::from_user_url(api, "http://127.0.0.1:1", "m").with_key(&Secret::new("sk-canary"))
    }

    #[test]
    fn each_api_has_its_text_and_its_counts() {
        let read = |api, answer: Value| read(&endpoint(api), 200, answer.to_string().as_bytes());
        let ollama = json!({"message": {"content": "<think>x</think>\n{}"}, "done_reason": "length", "prompt_eval_count": 3, "eval_count": 2});
        let reply = read(LlmApi::Ollama, ollama).unwrap();
        assert_eq!(
            (reply.text.as_str(), reply.is_truncated, reply.input_tokens, reply.output_tokens),
            ("{}", true, Some(3), Some(2))
        );
        let text =
            json!({"choices": [{"message": {"content": "a", "reasoning_content": "b"}, "finish_reason": "stop"}]});
        assert_eq!(read(LlmApi::ChatCompletions, text).unwrap().text, "a");
        let parts = json!({"choices": [{"message": {"content": [{"type": "text", "text": "a"}, {"type": "x"}]}}]});
        assert_eq!(read(LlmApi::ChatCompletions, parts).unwrap().text, "a");
        let called =
            json!({"content": [{"type": "thinking", "thinking": "x"}, {"type": "tool_use", "input": {"a": 1}}]});
        assert_eq!(read(LlmApi::Messages, called).unwrap().text, "{\"a\":1}");
        let said = json!({"content": [{"type": "text", "text": "b"}], "stop_reason": "max_tokens"});
        assert!(read(LlmApi::Messages, said).unwrap().is_truncated);
        for api in [LlmApi::Ollama, LlmApi::ChatCompletions, LlmApi::Messages] {
            for odd in [
                json!({}),
                json!([]),
                json!(null),
                json!({"error": "x"}),
                json!({"choices": 3, "content": {}, "message": 1}),
            ] {
                assert!(read(api, odd).is_err());
            }
        }
    }

    #[test]
    fn thoughts_are_no_answer() {
        for (text, answer) in [
            ("<think>a</think>b", "b"),
            ("<think>a</think><think>b</think> c", "c"),
            ("a</think>b", "b"),
            ("<think>for ever", ""),
            (" plain ", "plain"),
        ] {
            assert_eq!(without_thoughts(text), answer, "{text}");
        }
    }

    #[test]
    fn a_refusal_says_what_the_server_says_but_no_key() {
        let said = |status, body: Value| {
            response_error(&endpoint(LlmApi::ChatCompletions), status, body.to_string().as_bytes())
        };
        let error = said(500, json!({"error": {"message": "key sk-canary\nis odd"}})).to_string();
        assert_eq!(error, "127.0.0.1:1 answered with status 500: `key … is odd`");
        let error = said(401, json!({"error": {"message": "sk-canary"}}));
        assert_eq!(error.to_string(), "127.0.0.1:1 refused the key (status 401)");
        let none = response_error(&endpoint(LlmApi::Ollama), 404, br#"{"error":"model 'm' not found"}"#);
        assert_eq!(
            (none.to_string(), none.hint()),
            ("127.0.0.1:1 has no model `m`".into(), Some("`ollama pull m`".into()))
        );
        let error = response_error(&endpoint(LlmApi::Ollama), 404, b"<html>sk-canary").to_string();
        assert!(error.contains("status 404") && !error.contains("canary"), "{error}");
    }

    mod fuzz {
        use proptest::prelude::*;

        use super::*;

        proptest! {
            #[test]
            fn any_bytes_are_an_answer_or_an_error(status in 100u16..600, body in prop::collection::vec(any::<u8>(), 0..200), text in "[{}\\[\\]\":,a-z<>/ ]{0,80}") {
                for api in [LlmApi::Ollama, LlmApi::ChatCompletions, LlmApi::Messages] {
                    let _ = read(&endpoint(api), status, &body);
                    let _ = read(&endpoint(api), 200, text.as_bytes());
                }
                let _ = without_thoughts(&text);
            }
        }
    }

    #[test]
    fn half_a_character_is_read() {
        for (api, document) in [
            (LlmApi::Ollama, r#"{"message": {"content": "TEXT"}}"#),
            (LlmApi::ChatCompletions, r#"{"choices": [{"message": {"content": "TEXT"}}]}"#),
        ] {
            aiw_tests::assert_reads_odd_json(document, |bytes| Some(read(&endpoint(api), 200, bytes).unwrap().text));
        }
    }
}
