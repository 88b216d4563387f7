//! Every client with every upstream.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::event::Event;
use crate::sides::dialect;
use crate::{
    Api, FailureKind, ModelRequest, PreparedRequest, RequestUsage, SecretMask, StopReason, UPSTREAMS, UpstreamResponse,
    UpstreamTarget, prepare,
};

const CLIENTS: [Api; 4] = Api::ALL;

const MODEL: &str = "up-model";

fn upstream(dialect: Api) -> UpstreamTarget {
    UpstreamTarget::new(dialect, MODEL, "vendor")
}

/// A request of a client: instructions, a question with a picture, a thought, two calls, and their results in another order.
fn request(client: Api, is_streamed: bool) -> Value {
    let schema =
        json!({"$schema": "x", "type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]});
    match client {
        Api::Messages => json!({
            "model": "claude-asked", "max_tokens": 32_000, "stream": is_streamed,
            "system": [
                {"type": "text", "text": "x-anthropic-billing-header: cc_version=2; cch=abc;"},
                {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}},
            ],
            "thinking": {"type": "enabled", "budget_tokens": 8_192},
            "metadata": {"user_id": "{\"session_id\":\"s-1\"}"},
            "tools": [{"name": "Read", "description": "Reads a file", "input_schema": schema}, {"type": "web_search_20250305", "name": "web_search"}],
            "messages": [
                {"role": "user", "content": [
                    {"type": "text", "text": "Look"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                ]},
                {"role": "system", "content": "The list of agents."},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "vendors"},
                    {"type": "text", "text": "Reading."},
                    {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"path": "a"}},
                    {"type": "tool_use", "id": "toolu_2", "name": "Read", "input": {"path": "b"}},
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_2", "is_error": true, "content": "no such file"},
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": [
                        {"type": "text", "text": "seen"},
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "BBBB"}},
                    ]},
                    {"type": "text", "text": "Go on"},
                ]},
            ],
        }),
        Api::Responses => json!({
            "model": "gpt-asked", "stream": is_streamed, "store": false, "include": ["reasoning.encrypted_content"],
            "reasoning": {"effort": "medium", "summary": "auto"}, "prompt_cache_key": "s-1", "parallel_tool_calls": true,
            "tools": [
                {"type": "namespace", "name": "mcp__files", "description": "", "tools": [{"type": "function", "name": "Read", "description": "Reads a file", "parameters": schema, "strict": false}]},
                {"type": "custom", "name": "apply_patch", "description": "Edits", "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"}},
                {"type": "tool_search", "execution": "client", "description": "Finds tools", "parameters": {"type": "object", "properties": {"query": {"type": "string"}}}},
                {"type": "web_search"},
            ],
            "input": [
                {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Be brief."}]},
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Look"}, {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}]},
                {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "The list of agents."}]},
                {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "vendors"},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Reading."}]},
                {"type": "function_call", "call_id": "toolu_1", "name": "Read", "namespace": "mcp__files", "arguments": "{\"path\":\"a\"}"},
                {"type": "custom_tool_call", "call_id": "toolu_2", "name": "apply_patch", "input": "*** Begin"},
                {"type": "custom_tool_call_output", "call_id": "toolu_2", "output": "error: no such file"},
                {"type": "function_call_output", "call_id": "toolu_1", "output": [{"type": "input_text", "text": "seen"}, {"type": "input_image", "image_url": "data:image/png;base64,BBBB"}]},
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Go on"}]},
            ],
        }),
        Api::ChatCompletions => json!({
            "model": "gpt-asked", "stream": is_streamed, "stream_options": {"include_usage": true}, "n": 1, "user": null,
            "reasoning_effort": "medium", "prompt_cache_key": "s-1", "max_completion_tokens": 32_000, "stop": null,
            "tools": [
                {"type": "function", "function": {"name": "Read", "description": "Reads a file", "parameters": schema, "strict": null}},
                {"type": "custom", "custom": {"name": "apply_patch", "description": "Edits", "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: x"}}}},
            ],
            "web_search_options": {},
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]},
                {"role": "developer", "content": "The list of agents."},
                {"role": "assistant", "content": "Reading.", "reasoning_content": "vendors",
                    "reasoning_details": [{"type": "reasoning.encrypted", "data": "vendors", "id": "toolu_1"}],
                    "tool_calls": [
                        {"id": "toolu_1", "type": "function", "function": {"name": "Read", "arguments": "{\"path\":\"a\"}"}},
                        {"id": "toolu_2", "type": "custom", "custom": {"name": "apply_patch", "input": "*** Begin"}},
                    ]},
                {"role": "tool", "tool_call_id": "toolu_2", "content": "error: no such file"},
                {"role": "tool", "tool_call_id": "toolu_1", "content": [{"type": "text", "text": "seen"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,BBBB"}}]},
                {"role": "user", "content": "Go on"},
            ],
        }),
        Api::GenerateContent => json!({
            "systemInstruction": {"role": "user", "parts": [{"text": "Be brief."}]},
            "generationConfig": {"temperature": 1, "topP": 0.95, "topK": 64, "thinkingConfig": {"includeThoughts": true, "thinkingBudget": 8_192}},
            "tools": [{"functionDeclarations": [{"name": "Read", "description": "Reads a file", "parametersJsonSchema": schema}]}],
            "contents": [
                {"role": "user", "parts": [{"text": "Look"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]},
                {"role": "model", "parts": [
                    {"text": "Reading."},
                    {"functionCall": {"name": "Read", "args": {"path": "a"}}, "thoughtSignature": "vendors"},
                    {"functionCall": {"name": "Read", "args": {"path": "b"}}},
                ]},
                {"role": "user", "parts": [
                    {"functionResponse": {"name": "Read", "response": {"output": "seen"}}},
                    {"inlineData": {"mimeType": "image/png", "data": "BBBB"}},
                    {"functionResponse": {"name": "Read", "response": {"error": "no such file"}}},
                    {"text": "Go on"},
                ]},
            ],
        }),
    }
}

fn prepared(client: Api, body: &Value, is_streamed: bool, to: &UpstreamTarget) -> PreparedRequest {
    let body = body.to_string();
    let is_in_path = client == Api::GenerateContent;
    let request = ModelRequest {
        client,
        body: body.as_bytes(),
        model: is_in_path.then_some("gemini-asked"),
        is_streamed: is_in_path.then_some(is_streamed),
    };
    let mut prepared = prepare(&request, to).unwrap();
    // Two answers that are compared may be prepared in two seconds.
    prepared.response.set_created(1_700_000_000);
    prepared
}

fn sent(client: Api, to: Api) -> Value {
    let prepared = prepared(client, &request(client, true), true, &upstream(to));
    assert!(prepared.is_streamed);
    serde_json::from_slice(&prepared.body).unwrap()
}

/// An answer of an upstream: a thought, a text, two calls.
fn answer(upstream: Api, names: [&str; 2]) -> Vec<String> {
    let [one, two] = names;
    let named = |data: Value| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap());
    let plain = |data: Value| format!("data: {data}\n\n");
    match upstream {
        Api::Messages => [
            json!({"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "model": "dated", "content": [], "usage": {"input_tokens": 20, "cache_read_input_tokens": 80, "output_tokens": 1}}}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm é"}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2ln"}}),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}),
            json!({"type": "ping"}),
            json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Hel"}}),
            json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "lo"}}),
            json!({"type": "content_block_stop", "index": 1}),
            json!({"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "c1", "name": one, "input": {}}}),
            json!({"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "{\"path\":"}}),
            json!({"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "\"a\"}"}}),
            json!({"type": "content_block_stop", "index": 2}),
            json!({"type": "content_block_start", "index": 3, "content_block": {"type": "tool_use", "id": "c1", "name": two, "input": {}}}),
            json!({"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": "{\"input\":\"b\"}"}}),
            json!({"type": "content_block_stop", "index": 3}),
            json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null}, "usage": {"output_tokens": 9}}),
            json!({"type": "message_stop"}),
        ]
        .map(named)
        .to_vec(),
        Api::Responses => {
            let reasoning = json!({"type": "reasoning", "id": "rs_9", "summary": [{"type": "summary_text", "text": "hm é"}], "encrypted_content": "ZW5j"});
            let message = json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]});
            let first = json!({"type": "function_call", "id": "fc_1", "call_id": "c1", "name": one, "arguments": "{\"path\":\"a\"}"});
            let second = json!({"type": "function_call", "id": "fc_2", "call_id": "c1", "name": two, "arguments": "{\"input\":\"b\"}"});
            [
                json!({"type": "response.created", "response": {"id": "r", "model": "dated", "status": "in_progress"}}),
                json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning", "id": "rs_9", "summary": []}}),
                json!({"type": "response.reasoning_summary_part.added", "item_id": "rs_9"}),
                json!({"type": "response.reasoning_summary_text.delta", "item_id": "rs_9", "delta": "hm é"}),
                json!({"type": "response.output_item.done", "output_index": 0, "item": reasoning}),
                json!({"type": "response.output_text.delta", "output_index": 1, "delta": "Hel"}),
                json!({"type": "response.output_text.delta", "output_index": 1, "delta": "lo"}),
                json!({"type": "response.output_item.done", "output_index": 1, "item": message}),
                json!({"type": "response.function_call_arguments.delta", "output_index": 2, "delta": "{\"path\":"}),
                json!({"type": "response.output_item.done", "output_index": 2, "item": first}),
                json!({"type": "response.output_item.done", "output_index": 3, "item": second}),
                json!({"type": "response.completed", "response": {"id": "r", "model": "dated", "status": "completed", "output": [reasoning, message, first, second],
                    "usage": {"input_tokens": 100, "input_tokens_details": {"cached_tokens": 80}, "output_tokens": 9, "output_tokens_details": {"reasoning_tokens": 2}}}}),
            ]
            .map(named)
            .to_vec()
        }
        Api::ChatCompletions => {
            let delta = |delta: Value| json!({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
            let mut chunks = [
                delta(json!({"role": "assistant", "content": "", "reasoning_content": "hm "})),
                delta(json!({"reasoning_content": "é"})),
                delta(json!({"content": "Hel"})),
                delta(json!({"content": "lo"})),
                delta(json!({"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": one, "arguments": ""}}]})),
                delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"path\":"}}, {"index": 1, "id": "c1", "function": {"name": two, "arguments": "{\"input\""}}]})),
                delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": "\"a\"}"}}]})),
                delta(json!({"tool_calls": [{"index": 1, "function": {"arguments": ":\"b\"}"}}]})),
                json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
                json!({"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 80}, "completion_tokens_details": {"reasoning_tokens": 2}}}),
            ]
            .map(plain)
            .to_vec();
            chunks.push("data: [DONE]\n\n".to_owned());
            chunks
        }
        Api::GenerateContent => {
            let parts = |parts: Value| json!({"candidates": [{"content": {"role": "model", "parts": parts}, "index": 0}]});
            [
                parts(json!([{"text": "hm é", "thought": true}])),
                parts(json!([{"text": "Hel"}])),
                parts(json!([{"text": "lo"}])),
                parts(json!([{"functionCall": {"name": one, "args": {"path": "a"}}, "thoughtSignature": "c2ln"}, {"functionCall": {"name": two, "args": {"input": "b"}}}])),
                json!({"candidates": [{"content": {"role": "model", "parts": [{"text": ""}]}, "finishReason": "STOP", "index": 0}],
                    "usageMetadata": {"promptTokenCount": 100, "cachedContentTokenCount": 80, "candidatesTokenCount": 7, "thoughtsTokenCount": 2}}),
            ]
            .map(plain)
            .to_vec()
        }
    }
}

/// Names of the tools, as each client's requests make them for upstreams.
fn names(client: Api) -> [&'static str; 2] {
    match client {
        Api::Responses => ["mcp__files__Read", "apply_patch"],
        Api::Messages | Api::ChatCompletions | Api::GenerateContent => ["Read", "Read"],
    }
}

fn drive(answer: &mut UpstreamResponse, chunks: &[impl AsRef<[u8]>]) -> String {
    let mut out = Vec::new();
    for chunk in chunks {
        answer.read(chunk.as_ref(), &mut out);
    }
    answer.end(&mut out);
    String::from_utf8(out).unwrap()
}

/// Reads what a client got, with the reader of that dialect.
fn understood(client: Api, stream: &str) -> Vec<String> {
    let mut reader = (dialect(client).reader)();
    let mut events = crate::sse::SseEvents::default();
    let mut seen: Vec<String> = Vec::new();
    let mut sink = |event: Event<'_>| {
        let (kind, text) = match event {
            Event::Text(text) => ("text", text.into_owned()),
            Event::Thought(text) => ("thought", text.into_owned()),
            Event::ReasoningProof(_) => ("proof", String::new()),
            Event::Call { id, name } => ("call", format!("{id} {name} ")),
            Event::Arguments(piece) => ("call", piece.into_owned()),
            Event::CallEnd => return,
            Event::Usage(_) => return,
            Event::Stop(stop) => ("stop", format!("{stop:?}")),
            Event::Failed(failure) => ("failed", failure.message),
            Event::End => ("end", String::new()),
        };
        match seen.last_mut() {
            Some(last)
                if last.starts_with(kind) && (kind != "call" || !text.contains("Read") && !text.contains("apply")) =>
            {
                last.push_str(&text)
            }
            _ => seen.push(format!("{kind}: {text}")),
        }
    };
    events.read(stream.as_bytes(), |data| reader.read(data, &mut sink)).unwrap();
    events.end(|data| reader.read(data, &mut sink));
    if !matches!(client, Api::Messages | Api::Responses) {
        reader.end(&mut sink);
    }
    seen
}

#[test]
fn a_request_says_the_same_to_every_upstream() {
    for client in CLIENTS {
        for to in Api::ALL.into_iter().filter(|to| *to != client) {
            let sent = sent(client, to);
            let text = sent.to_string();
            let case = format!("{client:?} to {to:?}: {sent:#}");
            if to != Api::GenerateContent {
                assert_eq!(sent["model"], MODEL, "{case}");
            }
            for word in
                ["Be brief.", "Look", "AAAA", "Reading.", "seen", "BBBB", "no such file", "Go on", "Reads a file"]
            {
                assert_eq!(text.matches(word).count(), 1, "{word} in {case}");
            }
            // Neither the vendor's reasoning nor what changes with each request.
            for word in ["vendors", "billing", "web_search", "cch="] {
                assert!(!text.contains(word), "{word} in {case}");
            }
            let order =
                ["Look", "AAAA", "Reading.", "seen", "no such file", "Go on"].map(|word| text.find(word).unwrap());
            assert!(order.is_sorted() || to == Api::GenerateContent && order[5] > order[3], "{order:?} in {case}");
        }
    }
}

#[test]
fn what_each_upstream_demands_is_kept_to() {
    let chat = sent(Api::Messages, Api::ChatCompletions);
    let roles: Vec<&str> =
        chat["messages"].as_array().unwrap().iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["system", "user", "user", "assistant", "tool", "tool", "user", "user"], "{chat:#}");
    assert_eq!(chat["messages"][1]["content"], "<system-reminder>\nThe list of agents.\n</system-reminder>");
    assert_eq!(chat["messages"][4]["tool_call_id"], "toolu_1");
    assert_eq!(chat["messages"][5]["content"], "error: no such file");
    assert_eq!((&chat["reasoning_effort"], &chat["max_tokens"]), (&json!("medium"), &json!(32_000)));
    assert_eq!(chat["stream_options"]["include_usage"], true);

    let messages = sent(Api::Responses, Api::Messages);
    let said = messages["messages"].as_array().unwrap();
    assert!(
        said.iter().zip(["user", "assistant", "user"]).all(|(message, role)| message["role"] == role),
        "{messages:#}"
    );
    assert_eq!(
        (said[2]["content"][0]["tool_use_id"].as_str(), said[2]["content"][1]["tool_use_id"].as_str()),
        (Some("toolu_1"), Some("toolu_2"))
    );
    assert_eq!(
        said[1]["content"][2],
        json!({"type": "tool_use", "id": "toolu_2", "name": "apply_patch", "input": {"input": "*** Begin"}})
    );
    assert_eq!(messages.to_string().matches("cache_control").count(), 4, "{messages:#}");
    assert_eq!(messages["thinking"], json!({"type": "enabled", "budget_tokens": 8_192}));
    assert_eq!(messages["max_tokens"], 32_000);
    let tools: Vec<&str> =
        messages["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(tools, ["mcp__files__Read", "apply_patch", "tool_search"]);
    assert!(messages["tools"][1]["description"].as_str().unwrap().contains("start: x"));

    let google = sent(Api::Messages, Api::GenerateContent);
    assert_eq!(google["contents"][1]["parts"][1]["thoughtSignature"], "skip_thought_signature_validator");
    assert_eq!(google["contents"][2]["parts"][1]["functionResponse"]["response"], json!({"error": "no such file"}));
    assert!(!google.to_string().contains("$schema"));
    assert_eq!(google["generationConfig"]["thinkingConfig"], json!({"includeThoughts": true, "thinkingBudget": 8_192}));

    let responses = sent(Api::GenerateContent, Api::Responses);
    assert_eq!(responses["include"], json!(["reasoning.encrypted_content"]));
    let kinds: Vec<&str> =
        responses["input"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "message",
            "message",
            "message",
            "function_call",
            "function_call",
            "function_call_output",
            "function_call_output",
            "message"
        ]
    );
    assert_eq!(responses["input"][3]["call_id"], responses["input"][5]["call_id"]);
    assert_ne!(responses["input"][3]["call_id"], responses["input"][4]["call_id"]);
}

#[test]
fn what_an_upstream_refused_is_left_out() {
    let mut to = upstream(Api::ChatCompletions);
    to.rejected_fields = vec!["max_tokens".to_owned(), "reasoning_effort".to_owned(), "stream_options".to_owned()];
    to.max_output_tokens = Some(8_000);
    let sent = prepared(Api::Messages, &request(Api::Messages, true), true, &to).body;
    let sent: Value = serde_json::from_slice(&sent).unwrap();
    assert_eq!(sent["max_completion_tokens"], 8_000);
    assert!(
        sent.get("max_tokens").is_none()
            && sent.get("reasoning_effort").is_none()
            && sent.get("stream_options").is_none()
    );
}

#[test]
fn an_answer_says_the_same_to_every_client_wherever_its_chunks_end() {
    for client in CLIENTS {
        for from in Api::ALL {
            let case = format!("{from:?} to {client:?}");
            let new = || prepared(client, &request(client, true), true, &upstream(from)).response;
            let chunks = answer(from, if client == from { ["Read", "Read"] } else { names(client) });
            let mut whole = new();
            let stream = drive(&mut whole, &chunks);
            let seen = understood(client, &stream);
            let ids: Vec<&str> = seen
                .iter()
                .filter_map(|line| line.strip_prefix("call: "))
                .map(|line| line.split(' ').next().unwrap())
                .collect();
            if client == Api::Messages && client != from {
                assert_ne!(ids[0], ids[1], "two calls with one id vanish: {case}");
            }
            let texts: Vec<&str> =
                seen.iter().map(|line| line.split_once(": ").map_or(&**line, |(kind, _)| kind)).collect();
            // Gemini proves a call, not a thought.
            let expected: &[&str] = match (client, from) {
                (Api::Messages, Api::GenerateContent) => {
                    &["thought", "proof", "text", "proof", "call", "call", "stop", "end"]
                }
                (Api::Responses, Api::GenerateContent) => {
                    &["thought", "proof", "text", "proof", "call", "call", "stop", "end"]
                }
                _ => &["thought", "proof", "text", "call", "call", "stop", "end"],
            };
            if client != Api::GenerateContent {
                assert_eq!(texts, expected, "{case}: {seen:?}\n{stream}");
            }
            assert!(
                seen.iter().any(|line| line == "thought: hm é") && seen.iter().any(|line| line == "text: Hello"),
                "{case}: {seen:?}"
            );
            assert!(seen.last().unwrap().starts_with("end"), "{case}: {seen:?}");
            assert!(!stream.contains("dated"), "the name that was asked for is echoed: {case}\n{stream}");
            assert_eq!(whole.stop_reason(), Some(StopReason::ToolUse), "{case}");
            let thinking = if from == Api::Messages { 0 } else { 2 };
            let usage = RequestUsage { input: 20, cached: 80, output: 9, thinking, ..RequestUsage::default() };
            assert_eq!(whole.usage(), usage, "{case}");
            if client == Api::GenerateContent && client != from {
                assert!(!stream.contains("event:") && !stream.lines().any(|line| line.starts_with(':')), "{case}");
            }
            let bytes = chunks.concat();
            for size in [1, 2, 3, 7, 64, 1000] {
                let pieces: Vec<&[u8]> = bytes.as_bytes().chunks(size).collect();
                assert_eq!(drive(&mut new(), &pieces), stream, "{case} in pieces of {size}");
            }
        }
    }
}

#[test]
fn a_codex_tool_comes_back_in_its_own_form() {
    let mut answer_of =
        prepared(Api::Responses, &request(Api::Responses, true), true, &upstream(Api::ChatCompletions)).response;
    let stream = drive(&mut answer_of, &answer(Api::ChatCompletions, ["mcp__files__Read", "apply_patch"]));
    assert!(
        stream
            .contains(r#""name":"Read","arguments":"{\"path\":\"a\"}","status":"completed","namespace":"mcp__files""#),
        "{stream}"
    );
    assert!(
        stream.contains(r#""type":"custom_tool_call","#) && stream.contains(r#""name":"apply_patch","input":"b""#),
        "{stream}"
    );
    let mut answer_of =
        prepared(Api::Responses, &request(Api::Responses, true), true, &upstream(Api::Messages)).response;
    let stream = drive(&mut answer_of, &answer(Api::Messages, ["tool_search", "apply_patch"]));
    assert!(
        stream.contains(r#""type":"tool_search_call","#)
            && stream.contains(r#""execution":"client","arguments":{"path":"a"}"#),
        "{stream}"
    );
}

#[test]
fn an_answer_that_is_cut_anywhere_is_an_error_for_every_client() {
    for client in CLIENTS {
        for from in Api::ALL {
            let chunks = answer(from, names(client));
            // What may be missing without loss: the counts and the last word behind the reason to stop.
            let needed = if from == Api::ChatCompletions { chunks.len() - 2 } else { chunks.len() };
            for cut in 0..needed {
                let mut begun = prepared(client, &request(client, true), true, &upstream(from)).response;
                // Half of an event is nothing.
                let half = chunks[cut].len() / 2;
                let mut parts: Vec<&[u8]> = chunks[..cut].iter().map(|chunk| chunk.as_bytes()).collect();
                parts.push(&chunks[cut].as_bytes()[..half]);
                let stream = drive(&mut begun, &parts);
                let case = format!("{from:?} to {client:?}, {cut} events: {stream}");
                let failure = begun.failure().unwrap_or_else(|| panic!("{case}"));
                assert_eq!(failure.kind, FailureKind::Upstream, "{case}");
                assert_eq!(begun.has_written(), !stream.is_empty(), "{case}");
                if begun.has_written() {
                    let seen = understood(client, &stream);
                    assert!(seen.iter().any(|line| line.starts_with("failed")), "{case}: {seen:?}");
                    assert!(!seen.iter().any(|line| line.starts_with("end")), "{case}: {seen:?}");
                }
            }
        }
    }
}

/// Puts an answer into the next request, as the client does.
fn replayed(client: Api, whole: &Value) -> Value {
    let mut next = request(client, false);
    match client {
        Api::Messages => {
            let messages = next["messages"].as_array_mut().unwrap();
            messages.truncate(1);
            messages.push(json!({"role": "assistant", "content": whole["content"]}));
            messages.push(json!({"role": "user", "content": "next"}));
        }
        Api::Responses => {
            let items = next["input"].as_array_mut().unwrap();
            items.truncate(2);
            items.extend(whole["output"].as_array().unwrap().iter().cloned());
            items.push(json!({"role": "user", "content": "next"}));
        }
        Api::ChatCompletions => {
            let messages = next["messages"].as_array_mut().unwrap();
            messages.truncate(2);
            messages.push(whole["choices"][0]["message"].clone());
            messages.push(json!({"role": "user", "content": "next"}));
        }
        Api::GenerateContent => {
            let contents = next["contents"].as_array_mut().unwrap();
            contents.truncate(1);
            let mut said = whole["candidates"][0]["content"].clone();
            // Gemini CLI forgets thoughts.
            said["parts"].as_array_mut().unwrap().retain(|part| part["thought"] != true);
            contents.push(said);
            contents.push(json!({"role": "user", "parts": [{"text": "next"}]}));
        }
    }
    next
}

#[test]
fn reasoning_of_any_upstream_comes_back_to_it_and_to_no_other() {
    for client in CLIENTS {
        for from in Api::ALL.into_iter().filter(|from| *from != client) {
            let case = format!("{from:?} through {client:?}");
            let mut answered = prepared(client, &request(client, false), false, &upstream(from)).response;
            assert_eq!(drive(&mut answered, &answer(from, names(client))), "", "{case}");
            let whole: Value =
                serde_json::from_slice(&answered.response_body().unwrap_or_else(|| panic!("{case}"))).unwrap();
            let next = replayed(client, &whole);
            let again = prepared(client, &next, false, &upstream(from)).body;
            let again = String::from_utf8(again).unwrap();
            let proof = match from {
                Api::Messages => r#""type":"thinking","thinking":"hm é","signature":"c2ln""#,
                Api::Responses => r#""encrypted_content":"ZW5j""#,
                Api::ChatCompletions => r#""reasoning_content":"hm é""#,
                Api::GenerateContent => r#""thoughtSignature":"c2ln""#,
            };
            assert_eq!(again.matches(proof).count(), 1, "{case}: {again}");
            if from == Api::Responses {
                assert!(again.contains(r#""id":"rs_9""#) && again.contains("hm é"), "{case}: {again}");
            }
            let mut stranger = upstream(from);
            "another".clone_into(&mut stranger.family);
            for to in Api::ALL.map(upstream).into_iter().chain([stranger]) {
                if to.dialect == from && to.family == "vendor" {
                    continue;
                }
                let mut to = to;
                if to.family == "vendor" {
                    to.family = format!("{:?}", to.dialect);
                }
                let sent = String::from_utf8(prepared(client, &next, false, &to).body).unwrap();
                for word in ["YWl3A", "c2ln\"", "ZW5j"] {
                    assert!(!sent.contains(word), "{word} of {case} went to {:?}: {sent}", to.dialect);
                }
            }
        }
    }
}

#[test]
fn whole_answers_are_read_and_written() {
    let chat = json!({"object": "chat.completion", "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", "content": "Hi", "reasoning_content": "hm",
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "Read", "arguments": "{\"path\":\"a\"}"}}]}}], "usage": {"prompt_tokens": 5, "completion_tokens": 3}});
    let mut answered =
        prepared(Api::Messages, &request(Api::Messages, false), false, &upstream(Api::ChatCompletions)).response;
    answered.read_body(chat.to_string().as_bytes(), &mut Vec::new());
    let whole: Value = serde_json::from_slice(&answered.response_body().unwrap()).unwrap();
    assert_eq!((&whole["stop_reason"], &whole["model"]), (&json!("tool_use"), &json!("claude-asked")));
    assert_eq!(
        (&whole["content"][1], &whole["content"][2]["input"]),
        (&json!({"type": "text", "text": "Hi"}), &json!({"path": "a"}))
    );
    // A whole answer to a client that wants events.
    let mut answered =
        prepared(Api::Messages, &request(Api::Messages, true), true, &upstream(Api::ChatCompletions)).response;
    let mut out = Vec::new();
    answered.read_body(chat.to_string().as_bytes(), &mut out);
    assert!(String::from_utf8(out).unwrap().ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"));
    // Text that is not an answer is not read as one.
    let mut answered =
        prepared(Api::Messages, &request(Api::Messages, false), false, &upstream(Api::ChatCompletions)).response;
    answered.read_body(b"<html>busy</html>", &mut Vec::new());
    assert!(answered.response_body().is_none() && answered.failure().is_some());
}

#[test]
fn bytes_pass_where_both_sides_speak_one_dialect() {
    let asked = r#"{"max_tokens":1,  "model":"claude-asked","unknown":{"x":1e3},"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"a","signature":"EqQBnative"},{"type":"thinking","thinking":"b","signature":""},{"type":"redacted_thinking","data":"YWl3AXt9"},{"type":"text","text":"é\u00e9"}]}],"stream":true}"#;
    let mut passed = prepare(&ModelRequest::new(Api::Messages, asked.as_bytes()), &upstream(Api::Messages)).unwrap();
    assert_eq!(
        String::from_utf8(std::mem::take(&mut passed.body)).unwrap(),
        asked.replace("claude-asked", MODEL).replace(
            r#"{"type":"thinking","thinking":"b","signature":""},{"type":"redacted_thinking","data":"YWl3AXt9"},"#,
            ""
        )
    );
    let stream = ": hello\r\n\r\nevent: message_start\r\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"dated\",\"odd\":[1]}}\r\n\r\nevent: new_kind\ndata: {\"type\":\"new_kind\",\"x\":\"\\u00e9\"}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    assert_eq!(drive(&mut passed.response, &[stream]), stream.replace("\"dated\"", "\"claude-asked\""));
}

#[test]
fn within_one_dialect_reasoning_is_marked_where_another_upstream_may_see_it() {
    let cases = [
        (
            Api::Messages,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"SIGNED"}}"#,
            "/delta/signature",
            json!({"model": "m", "messages": [
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": [{"type": "thinking", "thinking": "x", "signature": "@"}, {"type": "text", "text": "y"}]}
            ]}),
        ),
        (
            Api::Responses,
            r#"{"type":"response.output_item.done","item":{"type":"reasoning","id":"rs","summary":[],"encrypted_content":"SIGNED"}}"#,
            "/item/encrypted_content",
            json!({"model": "m", "input": [
                {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "@"},
                {"role": "user", "content": "Hi"}
            ]}),
        ),
        (
            Api::GenerateContent,
            r#"{"candidates":[{"content":{"role":"model","parts":[{"functionCall":{"name":"f","args":{}},"thoughtSignature":"SIGNED"}]}}]}"#,
            "/candidates/0/content/parts/0/thoughtSignature",
            json!({"contents": [{"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "@"}]}]}),
        ),
    ];
    for (dialect, event, pointer, back) in cases {
        let to = |family: &str| UpstreamTarget { mark_reasoning: true, family: family.into(), ..upstream(dialect) };
        let sent = |given: &str, to: &UpstreamTarget| {
            let body = back.to_string().replace('@', given);
            let request = ModelRequest {
                model: Some("m"),
                is_streamed: Some(true),
                ..ModelRequest::new(dialect, body.as_bytes())
            };
            String::from_utf8(prepare(&request, to).unwrap().body).unwrap()
        };
        let body = back.to_string();
        let request =
            ModelRequest { model: Some("m"), is_streamed: Some(true), ..ModelRequest::new(dialect, body.as_bytes()) };
        let mut answer = prepare(&request, &to("one")).unwrap().response;
        let stream = drive(&mut answer, &[format!("data: {event}\n\n")]);
        let said: Value =
            serde_json::from_str(stream.lines().find_map(|line| line.strip_prefix("data: ")).unwrap()).unwrap();
        let marked = said.pointer(pointer).unwrap().as_str().unwrap();
        assert!(marked != "SIGNED" && !stream.contains("SIGNED"), "{stream}");
        assert!(sent(marked, &to("one")).contains("SIGNED"), "{dialect:?}: its own comes back as it was");
        for (given, of) in [(marked, "two"), ("SIGNED", "one")] {
            let sent = sent(given, &to(of));
            assert!(!sent.contains("SIGNED") && !sent.contains(marked), "{dialect:?}, {of}: {sent}");
        }
        // Without a pool, what the vendor's own client says passes as it is.
        let plain = UpstreamTarget { mark_reasoning: false, ..to("one") };
        assert!(
            sent("SIGNED", &plain).contains("SIGNED")
                && !sent(marked, &UpstreamTarget { family: "two".into(), ..plain }).contains(marked)
        );
    }
}

#[test]
fn a_signature_in_pieces_comes_back_whole_and_a_strangers_thought_goes_nowhere() {
    let to =
        |dialect, family: &str| UpstreamTarget { mark_reasoning: true, family: family.into(), ..upstream(dialect) };
    let question = json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "Hi"}]});
    let mut answer = prepared(Api::Messages, &question, true, &to(Api::Messages, "one")).response;
    let delta = |piece: &str| {
        format!(
            "data: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"signature_delta\",\"signature\":\"{piece}\"}}}}\n\n"
        )
    };
    let stream = drive(&mut answer, &[delta("SIG"), delta("NED")]);
    let datas = stream.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
    let whole: String = datas.filter_map(|event| Some(event["delta"]["signature"].as_str()?.to_owned())).collect();
    let back = json!({"model": "m", "messages": [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "x", "signature": whole}, {"type": "text", "text": "y"}]}
    ]});
    let sent = |family: &str| {
        String::from_utf8(prepared(Api::Messages, &back, false, &to(Api::Messages, family)).body).unwrap()
    };
    assert!(sent("one").contains("\"SIGNED\"") && !sent("two").contains("thinking"));
    let thought = json!({"contents": [
        {"role": "user", "parts": [{"text": "Hi"}]},
        {"role": "model", "parts": [{"text": "a secret thought", "thought": true}]}
    ]});
    let sent = prepared(Api::GenerateContent, &thought, true, &to(Api::GenerateContent, "two")).body;
    let sent = String::from_utf8(sent).unwrap();
    assert!(!sent.contains("secret") && sent.contains("(no text)"), "{sent}");
}

#[test]
fn a_key_in_a_failure_is_taken_out_within_one_dialect_and_between_two() {
    let mask = SecretMask::new(|text| text.replace("sk-canary", "\u{2026}"));
    for (client, to) in
        [(Api::Messages, Api::Messages), (Api::Responses, Api::Responses), (Api::Messages, Api::ChatCompletions)]
    {
        let upstream = UpstreamTarget { mask: mask.clone(), ..upstream(to) };
        let mut answer = prepared(client, &request(client, true), true, &upstream).response;
        let failure = match to {
            Api::Messages => {
                r#"event: error
data: {"type":"error","error":{"type":"authentication_error","message":"no sk-canary"}}

"#
            }
            Api::Responses => {
                "data: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"x\",\"message\":\"no sk-canary\"}}}\n\n"
            }
            _ => {
                "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"error\":{\"message\":\"no sk-canary\"}}\n\n"
            }
        };
        let stream = drive(&mut answer, &[failure]);
        assert!(!stream.contains("canary") && !answer.failure().unwrap().message.contains("canary"), "{stream}");
    }
}

#[test]
fn failures_before_the_first_word_leave_the_choice() {
    for client in CLIENTS {
        let from = if client == Api::ChatCompletions { Api::GenerateContent } else { Api::ChatCompletions };
        let mut refused = prepared(client, &request(client, true), true, &upstream(from)).response;
        let stream = drive(&mut refused, &["data: {\"error\":{\"message\":\"busy\",\"code\":503}}\n\n"]);
        assert_eq!((stream.as_str(), refused.has_content(), refused.has_written()), ("", false, false), "{client:?}");
        assert_eq!(refused.failure().unwrap().kind, FailureKind::Overloaded);
        let mut out = Vec::new();
        refused.write_failure(&mut out);
        let seen = understood(client, std::str::from_utf8(&out).unwrap());
        assert!(seen.iter().any(|line| line.starts_with("failed")), "{client:?}: {seen:?}");
    }
}

#[test]
fn tokens_are_estimated_and_sessions_have_a_word() {
    for client in CLIENTS {
        let body = request(client, true).to_string();
        let request = ModelRequest::new(client, body.as_bytes());
        let tokens = crate::estimate(&request).unwrap();
        assert!((3_200..4_000).contains(&tokens), "{client:?}: {tokens}");
        let word = crate::session_key(&request).unwrap();
        assert!(word == "s-1" || client == Api::GenerateContent && word.len() == 32, "{word}");
    }
}

#[test]
fn reminders_of_claude_code_stand_before_the_prompt_and_behind_results() {
    let reminder = |text: &str| format!("<system-reminder>\n{text}\n</system-reminder>");
    let text = |text: &str| json!({"type": "text", "text": text});
    let body = json!({"model": "m", "max_tokens": 9, "messages": [
        {"role": "user", "content": [text("first prompt"), text(&reminder("one"))]},
        {"role": "system", "content": "two"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "Read", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "seen"}, text(&reminder("three"))]},
        {"role": "assistant", "content": "done"},
        {"role": "user", "content": format!("second prompt\n\n{}\n{}\n", reminder("four"), reminder("five"))},
        {"role": "assistant", "content": "done again"},
        // A prompt that quotes one is a prompt.
        {"role": "user", "content": format!("what is {}? say it", reminder("quoted"))},
    ]});
    for to in Api::ALL.into_iter().filter(|to| *to != Api::Messages) {
        let sent = String::from_utf8(prepared(Api::Messages, &body, true, &upstream(to)).body).unwrap();
        let words =
            ["one", "two", "first prompt", "seen", "three", "four", "five", "second prompt", "what is", "quoted"];
        let places = words.map(|word| sent.find(word).unwrap_or_else(|| panic!("{word} in {sent}")));
        assert!(places.is_sorted(), "{to:?}: {places:?} in {sent}");
        assert_eq!(sent.matches("system-reminder").count() % 2, 0, "{sent}");
    }
    let passed = prepared(Api::Messages, &body, true, &upstream(Api::Messages)).body;
    assert_eq!(String::from_utf8(passed).unwrap(), body.to_string().replace("\"m\"", &format!("\"{MODEL}\"")));
}

#[test]
fn a_client_of_chat_completions_may_leave_out_and_write_anything_that_others_take() {
    let of = |body: Value| {
        let sent = prepared(Api::ChatCompletions, &body, false, &upstream(Api::Messages)).body;
        serde_json::from_slice::<Value>(&sent).unwrap()
    };
    let ask = json!([{"role": "user", "content": "Hi"}]);
    // The oldest form of tools, and calls without ids.
    let old = of(
        json!({"model": "m", "functions": [{"name": "look", "parameters": {"type": "object"}}], "function_call": {"name": "look"},
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": null, "function_call": {"name": "look", "arguments": "{\"a\":1}"}},
            {"role": "function", "name": "look", "content": "one"},
            {"role": "assistant", "content": null, "function_call": {"name": "look", "arguments": ""}},
            {"role": "function", "name": "look", "content": "two"},
        ]}),
    );
    assert_eq!(old["tools"][0]["name"], "look");
    assert_eq!(old["tool_choice"], json!({"type": "tool", "name": "look"}));
    let said = &old["messages"];
    assert_eq!(said[1]["content"][0]["input"], json!({"a": 1}));
    assert_eq!(said[2]["content"][0]["tool_use_id"], said[1]["content"][0]["id"]);
    assert_eq!(
        (&said[3]["content"][0]["input"], &said[4]["content"][0]["content"][0]["text"]),
        (&json!({}), &json!("two"))
    );
    for (choice, expected) in [
        (json!("required"), json!({"type": "any"})),
        (json!("none"), json!({"type": "none"})),
        (json!("auto"), Value::Null),
        (json!({"type": "function", "function": {"name": "gone"}}), Value::Null),
        (json!({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": []}}), json!({"type": "any"})),
        (json!(7), Value::Null),
    ] {
        let tools = json!([{"type": "function", "function": {"name": "look"}}, {"type": "of_next_year"}]);
        let sent = of(json!({"model": "m", "messages": ask, "tools": tools, "tool_choice": choice}));
        assert_eq!((&sent["tool_choice"], sent["tools"].as_array().unwrap().len()), (&expected, 1), "{choice}");
    }
    for (said, expected) in [
        (json!({"reasoning_effort": "none"}), Value::Null),
        (json!({"reasoning_effort": "high"}), json!({"type": "enabled", "budget_tokens": 24_576})),
        (json!({"reasoning": {"max_tokens": 2_000}}), json!({"type": "enabled", "budget_tokens": 2_000})),
        (json!({"reasoning": {"enabled": false, "effort": "low"}}), Value::Null),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 3_000}}),
            json!({"type": "enabled", "budget_tokens": 3_000}),
        ),
        (json!({"thinking": {"type": "disabled"}}), Value::Null),
    ] {
        let mut body = json!({"model": "m", "messages": ask, "max_tokens": 40_000, "stop": "END"});
        body.as_object_mut().unwrap().extend(said.as_object().unwrap().clone());
        let sent = of(body);
        assert_eq!((&sent["thinking"], &sent["stop_sequences"]), (&expected, &json!(["END"])), "{said}");
    }
    let media = json!([
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": "https://a.example/a.png"},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "of_next_year", "x": 1},
    ]);
    let sent = of(json!({"model": "m", "messages": [{"role": "user", "content": media}]}));
    let kinds: Vec<&Value> =
        sent["messages"][0]["content"].as_array().unwrap().iter().map(|part| &part["type"]).collect();
    assert_eq!(kinds, ["text", "image", "document"]);
    let google = prepared(
        Api::ChatCompletions,
        &json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]}]}),
        false,
        &upstream(Api::GenerateContent),
    );
    assert!(String::from_utf8(google.body).unwrap().contains(r#""mimeType":"audio/wav""#));
}

#[test]
fn the_tokens_come_to_a_client_of_chat_completions_that_asks_for_them() {
    for from in Api::ALL {
        for wants in [true, false] {
            let mut body = request(Api::ChatCompletions, true);
            body["stream_options"] = json!({"include_usage": wants});
            let mut asked = prepared(Api::ChatCompletions, &body, true, &upstream(from));
            let sent: Value = serde_json::from_slice(&asked.body).unwrap();
            if from == Api::ChatCompletions {
                // For the book, it is asked in any case.
                assert_eq!(sent["stream_options"], json!({"include_usage": true}));
            }
            let stream = drive(&mut asked.response, &answer(from, ["Read", "Read"]));
            let usage = r#""usage":{"prompt_tokens":100,"completion_tokens":9"#;
            assert_eq!(stream.contains(usage), wants, "{from:?}: {stream}");
            assert_eq!(asked.response.usage().total_input(), 100, "{from:?}");
            assert!(stream.ends_with("data: [DONE]\n\n"), "{stream}");
            // None of them is empty otherwise: some clients read the first choice of each.
            let datas =
                stream.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
            let empty = datas.filter(|chunk| chunk["choices"].as_array().is_none_or(Vec::is_empty)).count();
            assert_eq!(empty, usize::from(wants), "{from:?}: {stream}");
        }
    }
    let bare = json!({"model": "m", "stream": true, "messages": []});
    let sent = prepared(Api::ChatCompletions, &bare, true, &upstream(Api::ChatCompletions)).body;
    let sent: Value = serde_json::from_slice(&sent).unwrap();
    assert_eq!((&sent["stream_options"], &sent["model"]), (&json!({"include_usage": true}), &json!(MODEL)));
}

#[test]
fn what_a_server_of_chat_completions_refused_is_left_out_of_what_passes() {
    let mut to = upstream(Api::ChatCompletions);
    let sent = |to: &UpstreamTarget, limit: &str| {
        let body =
            json!({"model": "m", "stream": true, limit: 7, "seed": 1, "messages": [{"role": "user", "content": "Hi"}]});
        serde_json::from_slice::<Value>(&prepared(Api::ChatCompletions, &body, true, to).body).unwrap()
    };
    assert_eq!(sent(&to, "max_tokens")["max_tokens"], 7);
    to.rejected_fields = vec!["max_tokens".into(), "stream_options".into(), "seed".into()];
    assert_eq!(
        sent(&to, "max_tokens"),
        json!({"model": MODEL, "stream": true, "messages": [{"role": "user", "content": "Hi"}], "max_completion_tokens": 7})
    );
    to.rejected_fields.push("max_completion_tokens".into());
    let none = sent(&to, "max_completion_tokens");
    assert!(none.get("max_tokens").is_none() && none.get("max_completion_tokens").is_none(), "{none}");
}

#[test]
fn a_tool_that_takes_a_text_comes_back_so_to_a_client_of_chat_completions() {
    let body = request(Api::ChatCompletions, true);
    let mut answered = prepared(Api::ChatCompletions, &body, true, &upstream(Api::Messages)).response;
    let stream = drive(&mut answered, &answer(Api::Messages, ["Read", "apply_patch"]));
    assert!(stream.contains(r#""type":"custom","custom":{"name":"apply_patch","input":"b"},"index":1"#), "{stream}");
    let mut answered =
        prepared(Api::ChatCompletions, &request(Api::ChatCompletions, false), false, &upstream(Api::Messages)).response;
    drive(&mut answered, &answer(Api::Messages, ["Read", "apply_patch"]));
    let whole: Value = serde_json::from_slice(&answered.response_body().unwrap()).unwrap();
    let choice = &whole["choices"][0];
    assert_eq!((&choice["finish_reason"], &choice["message"]["content"]), (&json!("tool_calls"), &json!("Hello")));
    let calls = &choice["message"]["tool_calls"];
    assert_eq!(calls[0]["function"], json!({"name": "Read", "arguments": "{\"path\":\"a\"}"}));
    assert_eq!(calls[1]["custom"], json!({"name": "apply_patch", "input": "b"}));
    assert_ne!(calls[0]["id"], calls[1]["id"]);
}

#[test]
fn in_a_pool_a_thought_in_chat_completions_comes_back_to_its_own_server_only() {
    let to =
        |family: &str| UpstreamTarget { mark_reasoning: true, family: family.into(), ..upstream(Api::ChatCompletions) };
    for is_streamed in [true, false] {
        let asked = request(Api::ChatCompletions, is_streamed);
        let mut answered = prepared(Api::ChatCompletions, &asked, is_streamed, &to("one")).response;
        let chunks = answer(Api::ChatCompletions, ["Read", "Read"]);
        let (details, thought) = if is_streamed {
            let stream = drive(&mut answered, &chunks);
            let seen = understood(Api::ChatCompletions, &stream);
            assert_eq!((&*seen[0], &**seen.last().unwrap()), ("thought: hm é", "end: "), "{seen:?}");
            let datas =
                stream.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
            let deltas: Vec<Value> = datas.map(|chunk| chunk["choices"][0]["delta"].clone()).collect();
            let at = deltas.iter().position(|delta| delta["reasoning_details"].is_array()).unwrap();
            assert!(at < deltas.iter().position(|delta| delta["content"] == "Hel").unwrap(), "{stream}");
            (deltas[at]["reasoning_details"].clone(), "hm é".to_owned())
        } else {
            let whole = json!({"object": "chat.completion", "choices": [{"index": 0, "finish_reason": "stop",
                "message": {"role": "assistant", "content": "Hello", "reasoning_content": "hm é"}}]});
            let mut out = Vec::new();
            answered.set_streamed(false);
            answered.read_body(whole.to_string().as_bytes(), &mut out);
            let said: Value = serde_json::from_slice(&out).unwrap();
            let message = &said["choices"][0]["message"];
            (message["reasoning_details"].clone(), message["reasoning_content"].as_str().unwrap().to_owned())
        };
        // Some clients forget what they have shown.
        for kept in [Some(&thought), None] {
            let mut next = request(Api::ChatCompletions, false);
            let message = &mut next["messages"][3];
            message["reasoning_content"] = json!(kept);
            message["reasoning_details"] = details.clone();
            for (family, is_own) in [("one", true), ("two", false)] {
                let sent = prepared(Api::ChatCompletions, &next, false, &to(family)).body;
                let sent: Value = serde_json::from_slice(&sent).unwrap();
                let message = &sent["messages"][3];
                assert_eq!(message["reasoning_content"] == "hm é", is_own, "{family}: {sent}");
                assert!(message.get("reasoning_details").is_none(), "{family}: {sent}");
            }
        }
        // Without a pool, what the client gives back passes as it is.
        let next = request(Api::ChatCompletions, false);
        let sent = prepared(Api::ChatCompletions, &next, false, &upstream(Api::ChatCompletions)).body;
        assert_eq!(String::from_utf8(sent).unwrap(), next.to_string().replace("gpt-asked", MODEL));
    }
}

#[test]
fn claude_is_not_asked_to_think_on_behind_a_call_whose_thought_is_gone() {
    let called = |details: Value| {
        json!({"model": "m", "reasoning_effort": "medium", "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": null, "reasoning_details": details,
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "seen"},
        ]})
    };
    let claude = UpstreamTarget::new(Api::Messages, "claude-opus-4-5", "vendor");
    let mut answered = prepared(Api::ChatCompletions, &request(Api::ChatCompletions, false), false, &claude).response;
    drive(&mut answered, &answer(Api::Messages, ["Read", "Read"]));
    let whole: Value = serde_json::from_slice(&answered.response_body().unwrap()).unwrap();
    let details = whole["choices"][0]["message"]["reasoning_details"].clone();
    let thinks = |details: Value, to: &UpstreamTarget| {
        let sent = prepared(Api::ChatCompletions, &called(details), false, to).body;
        serde_json::from_slice::<Value>(&sent).unwrap().get("thinking").is_some()
    };
    assert!(thinks(details.clone(), &claude));
    assert!(!thinks(Value::Null, &claude));
    assert!(!thinks(details, &UpstreamTarget { family: "another".into(), ..claude.clone() }));
    // Those that decide themselves, and others that speak its API, take it.
    for model in ["claude-opus-5", "glm-4.6"] {
        assert!(thinks(Value::Null, &UpstreamTarget { model: model.into(), ..claude.clone() }), "{model}");
    }
}

#[test]
fn a_key_in_an_id_is_taken_out_of_a_good_answer() {
    let mask = SecretMask::new(|text| text.replace("sk-canary", "\u{2026}"));
    for client in CLIENTS {
        for from in Api::ALL {
            // As it is, and as JSON may write it.
            for written in ["sk-canary", "sk\\u002dcanary", "\\u0073k-canary"] {
                for is_whole in [false, true] {
                    let to = UpstreamTarget { mask: mask.clone(), ..upstream(from) };
                    let mut answered = prepared(client, &request(client, !is_whole), !is_whole, &to).response;
                    answered.set_streamed(true);
                    let id = format!("\"toolu_{written}\"");
                    let google = format!(r#"{{"name":"Read","id":{id},"#);
                    let chunks = answer(from, ["Read", "Read"]).into_iter().map(|chunk| {
                        chunk.replace("\"c1\"", &id).replace(r#"{"name":"Read","#, &google).replace(r#""rs_9""#, &id)
                    });
                    let chunks: Vec<String> = chunks.collect();
                    assert!(chunks.concat().contains(written), "{from:?}");
                    let stream = drive(&mut answered, &chunks);
                    let said = match answered.response_body() {
                        Some(whole) => String::from_utf8(whole).unwrap(),
                        None => stream,
                    };
                    let case = format!("{client:?} {from:?} {written} {is_whole}: {said}");
                    assert!(said.contains("Hel") && answered.failure().is_none(), "{case}");
                    assert!(said.contains("toolu__"), "{case}");
                    for secret in ["canary", "\\u002d", "\\u0073"] {
                        assert!(!said.contains(secret), "{case}");
                    }
                    let records = said.match_indices("YWl3A").map(|(at, _)| said[at..].split('"').next().unwrap());
                    for record in records.filter_map(crate::reasoning::ReasoningBlob::decode) {
                        assert!(!format!("{record:?}").contains("canary"), "{case}");
                    }
                }
            }
        }
    }
}

#[test]
fn what_stays_in_a_cache_for_an_hour_is_counted_apart() {
    let usage = json!({"input_tokens": 3, "cache_read_input_tokens": 50, "cache_creation_input_tokens": 40, "output_tokens": 1,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 30}});
    let start = json!({"type": "message_start", "message": {"usage": usage}});
    let delta = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9, "cache_creation": null}});
    for client in CLIENTS {
        let mut answered = prepared(client, &request(client, true), true, &upstream(Api::Messages)).response;
        drive(&mut answered, &[format!("data: {start}\n\n"), format!("data: {delta}\n\n")]);
        let expected =
            RequestUsage { input: 3, cached: 50, cache_written: 40, cache_written_1h: 30, output: 9, thinking: 0 };
        assert_eq!(answered.usage(), expected, "{client:?}");
    }
}

mod fuzz {
    use super::*;

    /// Bytes that look like a stream, and bytes that do not.
    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            (0..4_usize, any::<prop::sample::Index>()).prop_map(|(from, at)| {
                let chunks = answer(Api::ALL[from], ["Read", "apply_patch"]);
                chunks[at.index(chunks.len())].clone().into_bytes()
            }),
            Just(b"data: [DONE]\n\n".to_vec()),
            "data: \\{\"(type|choices|candidates|error|response|delta|item)\":(null|1|\"x\"|\\{\\}|\\[\\{\\}\\]|\\[1\\])\\}\n\n".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..40),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_stream_ends_well_or_with_an_error_that_the_client_understands(client in 0..4_usize, from in 0..4_usize, bytes in stream(), size in 1..200_usize) {
            let (client, from) = (CLIENTS[client], Api::ALL[from]);
            let mut read = prepared(client, &request(client, true), true, &upstream(from)).response;
            let mut out = Vec::new();
            for chunk in bytes.chunks(size) {
                read.read(chunk, &mut out);
            }
            read.end(&mut out);
            prop_assert!(read.is_over());
            if client != from && !out.is_empty() {
                let out = String::from_utf8(out).unwrap();
                let seen = understood(client, &out);
                let last = seen.last().cloned().unwrap_or_default();
                prop_assert_eq!(last.starts_with("failed"), read.failure().is_some(), "{:?} {}", &seen, out);
                prop_assert!(last.starts_with("failed") || last.starts_with("end"), "{:?}", seen);
            }
        }

        #[test]
        fn any_request_is_translated_or_refused(client in 0..4_usize, to in 0..4_usize, at in any::<prop::sample::Index>(), with in prop_oneof![Just("null"), Just("1"), Just("[]"), Just("{}"), Just("\"x\""), Just("")]) {
            let client = CLIENTS[client];
            let body = request(client, true).to_string();
            // One value, of any shape, is another.
            let places: Vec<usize> = body.match_indices(':').map(|(at, _)| at + 1).collect();
            let start = places[at.index(places.len())];
            let mut values = serde_json::Deserializer::from_str(&body[start..]).into_iter::<Value>();
            let _ = values.next();
            let end = start + values.byte_offset();
            let body = format!("{}{with}{}", &body[..start], &body[end..]);
            let request = ModelRequest { client, body: body.as_bytes(), model: Some("m"), is_streamed: Some(true) };
            if let Ok(prepared) = prepare(&request, &upstream(Api::ALL[to])) {
                prop_assert!(serde_json::from_slice::<Value>(&prepared.body).is_ok(), "{}", String::from_utf8_lossy(&prepared.body));
            }
        }

        #[test]
        fn any_bytes_are_refused_without_a_panic(client in 0..4_usize, body in prop::collection::vec(any::<u8>(), 0..200)) {
            for to in Api::ALL {
                let _ = prepare(&ModelRequest::new(CLIENTS[client], &body), &upstream(to));
            }
        }
    }
}

#[test]
fn half_a_character_is_read() {
    let request_of = |client: Api| match client {
        Api::Messages => r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"TEXT"}]}"#,
        Api::ChatCompletions => r#"{"model":"m","messages":[{"role":"user","content":"TEXT"}]}"#,
        Api::Responses => r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"TEXT"}]}]}"#,
        _ => r#"{"contents":[{"role":"user","parts":[{"text":"TEXT"}]}]}"#,
    };
    let answer_of = |upstream: Api| match upstream {
        Api::Messages => {
            r#"{"id":"a","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"TEXT"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}"#
        }
        Api::ChatCompletions => {
            r#"{"id":"a","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"TEXT"},"finish_reason":"stop"}]}"#
        }
        Api::Responses => {
            r#"{"id":"a","object":"response","status":"completed","model":"m","output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"TEXT"}]}]}"#
        }
        _ => {
            r#"{"candidates":[{"index":0,"content":{"role":"model","parts":[{"text":"TEXT"}]},"finishReason":"STOP"}]}"#
        }
    };
    let prepare = |client: Api, to: Api, body: &[u8]| {
        let is_in_path = client == Api::GenerateContent;
        let (model, is_streamed) = (is_in_path.then_some("m"), is_in_path.then_some(false));
        prepare(&ModelRequest { client, body, model, is_streamed }, &upstream(to)).unwrap()
    };
    for client in UPSTREAMS {
        for to in UPSTREAMS {
            aiw_tests::assert_finds_odd_json(request_of(client), |bytes| {
                serde_json::from_slice(&prepare(client, to, bytes).body).unwrap()
            });
            aiw_tests::assert_finds_odd_json(answer_of(to), |bytes| {
                let mut answer = prepare(client, to, request_of(client).as_bytes()).response;
                let mut out = Vec::new();
                answer.set_streamed(false);
                answer.read_body(bytes, &mut out);
                // Where both sides speak one API, an answer passes as it came.
                aiw_core::from_foreign_json(&answer.response_body().unwrap_or(out)).unwrap()
            });
        }
    }
}
