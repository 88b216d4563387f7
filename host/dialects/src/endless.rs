//! Answers that never end: whatever an upstream sends, no buffer on the way of its answer grows without end.

use serde_json::{Value, json};

use crate::response::BufferLimits;
use crate::{Api, ModelRequest, UpstreamTarget, prepare};

/// The bound of each buffer in this test.
const BUFFER_LIMIT: usize = 32 << 10;

/// How much is sent.
const SENT_BYTES: usize = 1 << 20;

/// The limit of all buffers, as [`std::fmt::Debug`] shows them: a byte as five.
const MAX_BUFFER_BYTES: usize = 16 * BUFFER_LIMIT;

fn question(client: Api, is_streamed: bool) -> Value {
    match client {
        Api::Messages => {
            json!({"model": "m", "max_tokens": 9, "stream": is_streamed, "messages": [{"role": "user", "content": "Hi"}]})
        }
        Api::Responses => json!({"model": "m", "stream": is_streamed, "input": "Hi"}),
        Api::ChatCompletions => {
            json!({"model": "m", "stream": is_streamed, "messages": [{"role": "user", "content": "Hi"}]})
        }
        Api::GenerateContent => json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}),
    }
}

/// Returns what an upstream of an API may send again and again, behind a beginning.
// Long: one table of answers that never end.
fn endless(api: Api) -> Vec<(String, String)> {
    let word = "x".repeat(100);
    let event = |value: Value| format!("data: {value}\n\n");
    let again = |value: Value| (String::new(), event(value));
    let mut all = vec![
        (String::new(), word.clone()),
        ("data: ".into(), word.clone()),
        (String::new(), format!("data: {word}\n")),
        (String::new(), ": alive\n\n".into()),
        (String::new(), "data: {}\n\n".into()),
        (String::new(), "\r".into()),
    ];
    match api {
        Api::Messages => {
            let start = |block: Value| json!({"type": "content_block_start", "index": 0, "content_block": block});
            let delta = |delta: Value| json!({"type": "content_block_delta", "index": 0, "delta": delta});
            let thinking = start(json!({"type": "thinking", "thinking": "", "signature": ""}));
            let call = start(json!({"type": "tool_use", "id": "c", "name": "t", "input": {}}));
            let text = delta(json!({"type": "text_delta", "text": "x"}));
            let thought = delta(json!({"type": "thinking_delta", "thinking": "x"}));
            all.extend([
                again(delta(json!({"type": "text_delta", "text": word}))),
                again(delta(json!({"type": "thinking_delta", "thinking": word}))),
                (event(thinking), event(delta(json!({"type": "signature_delta", "signature": word})))),
                (event(call.clone()), event(delta(json!({"type": "input_json_delta", "partial_json": word})))),
                again(call),
                again(start(json!({"type": "redacted_thinking", "data": word}))),
                again(delta(json!({"type": "citations_delta", "citation": {"cited_text": word}}))),
                (String::new(), event(text) + &event(thought)),
                again(json!({"type": "message_start", "message": {"usage": {"input_tokens": 9}}})),
            ]);
        }
        Api::Responses => {
            let done = |item: Value| json!({"type": "response.output_item.done", "item": item});
            let said = |kind: &str, word: &str| json!({"type": kind, "delta": word});
            let (text, thought) = ("response.output_text.delta", "response.reasoning_text.delta");
            all.extend([
                again(said(text, &word)),
                again(said(thought, &word)),
                (String::new(), event(said(text, "x")) + &event(said(thought, "x"))),
                again(done(json!({"type": "function_call", "call_id": "c", "name": "t", "arguments": "{}"}))),
                again(done(json!({"type": "reasoning", "id": "r", "summary": [], "encrypted_content": word}))),
                again(done(json!({"type": "custom_tool_call", "call_id": "c", "name": "t", "input": word}))),
                again(done(json!({"type": "of_next_year", "odd": word}))),
                again(json!({"type": "response.reasoning_summary_part.added"})),
                again(json!({"type": "response.in_progress", "response": {"output": [word]}})),
            ]);
        }
        Api::ChatCompletions => {
            let delta = |delta: Value| json!({"choices": [{"index": 0, "delta": delta}]});
            let call = |index: usize, text: &str| {
                delta(
                    json!({"tool_calls": [{"index": index, "id": format!("c{index}"), "function": {"name": "t", "arguments": text}}]}),
                )
            };
            let side_by_side: String = (0..64).map(|index| event(call(index, "{"))).collect();
            let unnamed = delta(json!({"tool_calls": [{"function": {"arguments": word}}]}));
            all.extend([
                again(delta(json!({"content": word}))),
                again(delta(json!({"reasoning_content": word}))),
                (String::new(), event(delta(json!({"content": "x"}))) + &event(delta(json!({"reasoning": "x"})))),
                again(call(0, &word)),
                (event(call(0, "{")), event(call(1, &word))),
                (String::new(), side_by_side),
                again(call(0, "{}")),
                again(unnamed),
                again(json!({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 9}})),
            ]);
        }
        Api::GenerateContent => {
            let part = |part: Value| json!({"candidates": [{"index": 0, "content": {"parts": [part]}}]});
            all.extend([
                again(part(json!({"text": word}))),
                again(part(json!({"text": word, "thought": true}))),
                (
                    String::new(),
                    event(part(json!({"text": "x"}))) + &event(part(json!({"text": "x", "thought": true}))),
                ),
                again(part(json!({"text": "", "thoughtSignature": word}))),
                again(part(json!({"functionCall": {"name": "t", "args": {"a": word}}}))),
            ]);
        }
    }
    all
}

#[test]
fn no_buffer_grows_without_end() {
    let mut ended = 0;
    for client in Api::ALL {
        // Some stream although they were not asked to. In a pool, thoughts are marked.
        for (is_streamed, says_so, marks_thoughts) in
            [(true, false, false), (true, false, true), (false, false, false), (false, true, true)]
        {
            for upstream in Api::ALL.into_iter().filter(|upstream| !marks_thoughts || *upstream == client) {
                for (at, (begin, piece)) in endless(upstream).into_iter().enumerate() {
                    let body = question(client, is_streamed).to_string();
                    let path = (client == Api::GenerateContent).then_some("m");
                    let streams = path.map(|_| is_streamed);
                    let request = ModelRequest { client, body: body.as_bytes(), model: path, is_streamed: streams };
                    let to =
                        UpstreamTarget { mark_reasoning: marks_thoughts, ..UpstreamTarget::new(upstream, "m", "f") };
                    let mut answer = prepare(&request, &to).unwrap().response;
                    answer.set_bounds(BufferLimits { event: BUFFER_LIMIT, response: BUFFER_LIMIT });
                    if says_so {
                        answer.set_streamed(true);
                    }
                    let (mut out, mut most) = (Vec::new(), 0);
                    answer.read(begin.as_bytes(), &mut out);
                    let chunk = piece.repeat(4_096_usize.div_ceil(piece.len()));
                    for round in 0..SENT_BYTES / chunk.len() {
                        if answer.is_over() {
                            break;
                        }
                        out.clear();
                        answer.read(chunk.as_bytes(), &mut out);
                        most = most.max(out.len());
                        if round % 32 == 0 {
                            most = most.max(format!("{answer:?}").len());
                        }
                    }
                    most = most.max(format!("{answer:?}").len());
                    let case = format!("{client:?} {is_streamed} {says_so} {upstream:?} {at}");
                    assert!(most < MAX_BUFFER_BYTES, "{case}: {most}");
                    if answer.is_over() {
                        ended += 1;
                        let failure = answer.failure().map(|failure| failure.message.clone()).unwrap_or_default();
                        assert!(failure.contains("too long") || failure.contains("too large"), "{case}: {failure}");
                    }
                    answer.end(&mut out);
                    assert!(out.len() + answer.response_body().unwrap_or_default().len() < MAX_BUFFER_BYTES, "{case}");
                }
            }
        }
    }
    assert!(ended > 100, "{ended}");
}
