//! Whole answers out of events, where both sides speak one dialect: all that came is in them, of whatever kind.

use std::collections::BTreeMap;

use aiw_core::Api;
use serde_json::{Map, Value};

/// The memory of an item or a part beside its words, in bytes.
const PART_OVERHEAD_BYTES: usize = 1 << 10;

/// The memory of a value beside its JSON, in bytes.
const VALUE_OVERHEAD_BYTES: usize = 32;

/// Chunks up to this size that bring no new names replace what was there.
const SMALL_CHUNK_BYTES: usize = 4 << 10;

/// An answer that is put together from the events of its own dialect.
#[derive(Debug)]
pub(crate) struct ResponseAssembler {
    dialect: Api,
    /// The frame of the answer.
    whole: Map<String, Value>,
    /// Its items, blocks or candidates, by their places.
    parts: BTreeMap<u64, Map<String, Value>>,
    /// The JSON of a call's arguments that is not whole yet, by the call's place.
    begun: BTreeMap<u64, String>,
    held: usize,
}

impl ResponseAssembler {
    pub(crate) fn new(dialect: Api) -> Self {
        Self { dialect, whole: Map::new(), parts: BTreeMap::new(), begun: BTreeMap::new(), held: 0 }
    }

    /// Returns how much is held, in bytes.
    pub(crate) fn buffered_bytes(&self) -> usize {
        self.held
    }

    /// Takes in an event.
    pub(crate) fn add(&mut self, data: &[u8]) {
        let Ok(Value::Object(event)) = serde_json::from_slice(data) else { return };
        match self.dialect {
            Api::Messages => self.add_message(event, weight(data)),
            Api::Responses => self.add_response(event, weight(data)),
            Api::GenerateContent => self.add_chunk(event, weight(data)),
            Api::ChatCompletions => {}
        }
    }

    fn add_message(&mut self, mut event: Map<String, Value>, size: usize) {
        let at = event.get("index").and_then(Value::as_u64).unwrap_or_default();
        match kind(&event) {
            "message_start" => {
                self.held += size;
                self.whole = object(event.remove("message"));
            }
            "message" => {
                self.held += size;
                self.whole = event;
            }
            "content_block_start" => {
                self.held += size + PART_OVERHEAD_BYTES;
                self.parts.insert(at, object(event.remove("content_block")));
            }
            "content_block_delta" => {
                let Some(block) = self.parts.get_mut(&at) else { return };
                for (name, value) in object(event.remove("delta")) {
                    match (name.as_str(), value) {
                        ("type", _) => {}
                        ("partial_json", Value::String(piece)) => {
                            self.held += piece.len();
                            self.begun.entry(at).or_default().push_str(&piece);
                        }
                        ("citation", citation) => {
                            self.held += size;
                            match block.entry("citations").or_insert(Value::Null) {
                                Value::Array(all) => all.push(citation),
                                none => *none = Value::Array(vec![citation]),
                            }
                        }
                        (_, Value::String(piece)) => {
                            self.held += piece.len() + if block.contains_key(&name) { 0 } else { PART_OVERHEAD_BYTES };
                            match block.entry(name).or_insert(Value::Null) {
                                Value::String(all) => all.push_str(&piece),
                                none => *none = piece.into(),
                            }
                        }
                        (_, value) => {
                            self.held += size;
                            block.insert(name, value);
                        }
                    }
                }
            }
            "content_block_stop" => self.end_block(at),
            "message_delta" => {
                self.held += size;
                let mut usage = object(self.whole.remove("usage"));
                let counts = object(event.remove("usage"));
                usage.extend(counts.into_iter().filter(|(_, count)| !count.is_null()));
                self.whole.insert("usage".into(), usage.into());
                self.whole.extend(object(event.remove("delta")));
                event.remove("type");
                self.whole.extend(event);
            }
            _ => {}
        }
    }

    /// Puts the arguments of a call in.
    fn end_block(&mut self, at: u64) {
        let begun = self.begun.remove(&at).filter(|begun| !begun.trim().is_empty());
        if let (Some(begun), Some(block)) = (begun, self.parts.get_mut(&at)) {
            block.insert("input".into(), crate::collected::parse_object(&begun));
        }
    }

    fn add_response(&mut self, mut event: Map<String, Value>, size: usize) {
        match kind(&event) {
            "response.output_item.done" => {
                self.held += size + PART_OVERHEAD_BYTES;
                let at = event.get("output_index").and_then(Value::as_u64);
                let at = at.unwrap_or_else(|| self.parts.last_key_value().map_or(0, |(last, _)| last + 1));
                self.parts.insert(at, object(event.remove("item")));
            }
            "response.completed" | "response.incomplete" | "response.failed" | "response.done" => {
                self.held += size;
                self.whole = object(event.remove("response"));
            }
            "" if event.get("object").is_some_and(|of| of == "response") => {
                self.held += size;
                self.whole = event;
            }
            _ => {}
        }
    }

    fn add_chunk(&mut self, mut event: Map<String, Value>, size: usize) {
        let mut has_new = size > SMALL_CHUNK_BYTES;
        for (place, candidate) in array(event.remove("candidates")).into_iter().enumerate() {
            let mut candidate = object(Some(candidate));
            let at = candidate.get("index").and_then(Value::as_u64).unwrap_or(place as u64);
            let mut content = object(candidate.remove("content"));
            let parts = array(content.remove("parts"));
            has_new |= !self.parts.contains_key(&at);
            let all = self.parts.entry(at).or_default();
            has_new |= merge(all, candidate);
            let Value::Object(all) = all.entry("content").or_insert_with(|| Map::new().into()) else { continue };
            has_new |= merge(all, content);
            let Value::Array(said) = all.entry("parts").or_insert_with(|| Value::Array(Vec::new())) else { continue };
            for part in parts {
                match (said.last_mut(), part) {
                    (Some(Value::Object(last)), Value::Object(new)) if is_continued(last, &new) => {
                        if let (Some(Value::String(text)), Some(Value::String(piece))) =
                            (last.get_mut("text"), new.get("text"))
                        {
                            self.held += piece.len();
                            text.push_str(piece);
                        }
                    }
                    (_, part) => {
                        self.held += size + PART_OVERHEAD_BYTES;
                        said.push(part);
                    }
                }
            }
        }
        // Each chunk repeats the counts and the names.
        has_new |= merge(&mut self.whole, event);
        self.held += if has_new { size + PART_OVERHEAD_BYTES } else { 0 };
    }

    /// Returns the whole answer as JSON, or `None` if no event held the frame of one.
    pub(crate) fn finish(&mut self) -> Option<Vec<u8>> {
        let begun: Vec<u64> = self.begun.keys().copied().collect();
        begun.into_iter().for_each(|at| self.end_block(at));
        let (mut whole, parts) = (std::mem::take(&mut self.whole), std::mem::take(&mut self.parts));
        let name = match self.dialect {
            Api::Messages => "content",
            Api::Responses => "output",
            Api::GenerateContent => "candidates",
            Api::ChatCompletions => return None,
        };
        let told = whole.get(name).and_then(Value::as_array).map_or(0, Vec::len);
        if whole.is_empty() || told + parts.len() == 0 {
            return None;
        }
        // Some servers repeat everything at the end.
        if parts.len() > told {
            whole.insert(name.to_owned(), parts.into_values().map(Value::Object).collect());
        }
        serde_json::to_vec(&Value::Object(whole)).ok()
    }
}

fn kind(event: &Map<String, Value>) -> &str {
    event.get("type").and_then(Value::as_str).unwrap_or_default()
}

fn object(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(object)) => object,
        _ => Map::new(),
    }
}

fn array(value: Option<Value>) -> Vec<Value> {
    match value {
        Some(Value::Array(array)) => array,
        _ => Vec::new(),
    }
}

/// Puts later fields in the place of earlier ones. Returns whether there was none of a name.
fn merge(into: &mut Map<String, Value>, later: Map<String, Value>) -> bool {
    let has_new = later.keys().any(|name| !into.contains_key(name));
    into.extend(later);
    has_new
}

/// Returns about how much memory a value takes up, from its JSON.
fn weight(data: &[u8]) -> usize {
    data.len() + VALUE_OVERHEAD_BYTES * data.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count()
}

/// Returns whether a part goes on with the words of the one before. A signature is for the words that it came with.
fn is_continued(last: &Map<String, Value>, new: &Map<String, Value>) -> bool {
    let is_words = |part: &Map<String, Value>| {
        part.get("text").is_some_and(Value::is_string)
            && part.keys().all(|name| matches!(name.as_str(), "text" | "thought"))
    };
    is_words(last) && is_words(new) && last.get("thought") == new.get("thought")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use serde_json::json;

    use super::*;

    fn assembled(dialect: Api, events: &[Value]) -> Option<Value> {
        let mut assembled = ResponseAssembler::new(dialect);
        events.iter().for_each(|event| assembled.add(event.to_string().as_bytes()));
        assembled.finish().map(|whole| serde_json::from_slice(&whole).unwrap())
    }

    proptest! {
        #[test]
        fn any_events_are_taken_in(events: Vec<String>, names in proptest::collection::vec("[a-z_.]{0,24}", 0..4)) {
            for dialect in Api::ALL {
                let mut assembled = ResponseAssembler::new(dialect);
                events.iter().for_each(|event| assembled.add(event.as_bytes()));
                for kind in ["message_start", "content_block_start", "content_block_delta", "response.completed", "response.output_item.done"] {
                    for name in &names {
                        let odd = json!({"type": kind, name.as_str(): [1], "delta": {name.as_str(): "x"}, "content_block": 7, "response": [], "index": -1, "candidates": {"a": 1}});
                        assembled.add(odd.to_string().as_bytes());
                    }
                }
                assembled.finish();
            }
        }
    }

    #[test]
    fn chunks_of_words_are_joined_and_all_others_stay_apart() {
        let chunk = |parts: Value| json!({"candidates": [{"content": {"role": "model", "parts": parts}, "index": 0}], "usageMetadata": {"totalTokenCount": 1}});
        let mut events: Vec<Value> = vec![
            chunk(json!([{"text": "a", "thought": true}])),
            chunk(json!([{"text": "b", "thought": true}])),
            chunk(json!([{"text": "c"}])),
            chunk(json!([{"text": "d"}, {"executableCode": {"language": "PYTHON", "code": "1"}}])),
            chunk(json!([{"text": "e", "thoughtSignature": "s"}])),
            chunk(json!([{"text": "f"}])),
        ];
        events.push(json!({"candidates": [{"index": 0, "finishReason": "STOP", "groundingMetadata": {"q": []}}], "usageMetadata": {"totalTokenCount": 9}}));
        let expected = json!({
            "candidates": [{
                "content": {"role": "model", "parts": [
                    {"text": "ab", "thought": true}, {"text": "cd"}, {"executableCode": {"language": "PYTHON", "code": "1"}},
                    {"text": "e", "thoughtSignature": "s"}, {"text": "f"},
                ]},
                "index": 0, "finishReason": "STOP", "groundingMetadata": {"q": []},
            }],
            "usageMetadata": {"totalTokenCount": 9},
        });
        assert_eq!(assembled(Api::GenerateContent, &events), Some(expected));
    }

    /// Drives an answer as the gateway does, for a client that asked for the whole.
    fn whole(api: Api, events: &[Value]) -> Value {
        let body = match api {
            Api::GenerateContent => json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}),
            Api::Messages => json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}),
            _ => json!({"model": "m", "input": "Hi"}),
        }
        .to_string();
        let is_in_path = api == Api::GenerateContent;
        let (model, is_streamed) = (is_in_path.then_some("m"), is_in_path.then_some(false));
        let request = crate::ModelRequest { client: api, body: body.as_bytes(), model, is_streamed };
        let mut answer =
            crate::prepare(&request, &crate::UpstreamTarget::new(api, "dated", "vendor")).unwrap().response;
        answer.set_streamed(true);
        let mut out = Vec::new();
        for event in events {
            answer.read(format!("data: {event}\n\n").as_bytes(), &mut out);
        }
        answer.end(&mut out);
        assert_eq!(answer.failure(), None, "{events:?}");
        assert!(out.is_empty() && !answer.is_incremental());
        serde_json::from_slice(&answer.response_body().unwrap()).unwrap()
    }

    #[test]
    fn every_kind_of_item_of_a_response_is_in_the_whole_answer() {
        let kinds = [
            json!({"type": "message", "id": "1", "role": "assistant", "status": "completed", "content": [
                {"type": "output_text", "text": "a", "annotations": [{"type": "url_citation", "url": "https://a.example"}], "logprobs": []}]}),
            json!({"type": "message", "id": "2", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}),
            json!({"type": "reasoning", "id": "3", "summary": [{"type": "summary_text", "text": "s"}], "encrypted_content": "e"}),
            json!({"type": "function_call", "id": "4", "call_id": "c", "name": "f", "arguments": "{}"}),
            json!({"type": "custom_tool_call", "id": "5", "call_id": "c", "name": "apply_patch", "input": "*** Begin \"x\""}),
            json!({"type": "tool_search_call", "call_id": "c", "execution": "client", "arguments": {"query": "q"}}),
            json!({"type": "local_shell_call", "call_id": "c", "action": {"type": "exec", "command": ["ls"]}}),
            json!({"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}}),
            json!({"type": "apply_patch_call", "call_id": "c", "operation": {"type": "delete_file", "path": "a"}}),
            json!({"type": "web_search_call", "id": "6", "action": {"type": "search", "query": "q"}}),
            json!({"type": "file_search_call", "id": "7", "queries": ["q"], "results": null}),
            json!({"type": "computer_call", "id": "8", "call_id": "c", "action": {"type": "wait"}}),
            json!({"type": "code_interpreter_call", "id": "9", "code": "1", "outputs": [{"type": "logs", "logs": "1"}]}),
            json!({"type": "image_generation_call", "id": "10", "result": "AAAA"}),
            json!({"type": "mcp_list_tools", "id": "11", "server_label": "s", "tools": []}),
            json!({"type": "mcp_call", "id": "12", "name": "t", "arguments": "{}", "output": "o"}),
            json!({"type": "mcp_approval_request", "id": "13", "name": "t", "arguments": "{}"}),
            json!({"type": "compaction", "id": "14", "encrypted_content": "e"}),
            json!({"type": "of_next_year", "id": "15", "odd": [1, {"x": null}]}),
        ];
        let end = |output: &[Value]| {
            json!({"type": "response.completed", "response": {
                "id": "resp_1", "object": "response", "status": "completed", "model": "dated", "output": output,
                "metadata": {"k": "v"}, "usage": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}}})
        };
        let done = |at: usize| json!({"type": "response.output_item.done", "output_index": at, "item": kinds[at]});
        let mut expected = end(&kinds)["response"].clone();
        expected["model"] = "m".into();
        // Some servers repeat all at the end, some nothing.
        for output in [&kinds[..], &[]] {
            let mut events = vec![json!({"type": "response.created", "response": {"id": "resp_1", "output": []}})];
            events.push(json!({"type": "response.custom_tool_call_input.delta", "delta": "***"}));
            events.extend((0..kinds.len()).map(done));
            events.push(end(output));
            assert_eq!(whole(Api::Responses, &events), expected);
        }
        // Each alone, so that none is there by chance.
        for (at, kind) in kinds.iter().enumerate() {
            let whole = whole(Api::Responses, &[done(at), end(&[])]);
            assert_eq!(whole["output"], json!([kind]), "{kind}");
        }
    }

    #[test]
    fn every_kind_of_block_of_a_message_is_in_the_whole_answer() {
        let cited = json!({"type": "web_search_result_location", "url": "https://a.example", "cited_text": "c"});
        // The start of a block, its deltas, and what it is at its end.
        let kinds = [
            (
                json!({"type": "text", "text": ""}),
                vec![json!({"type": "text_delta", "text": "Hel"}), json!({"type": "text_delta", "text": "lo"})],
                json!({"type": "text", "text": "Hello"}),
            ),
            (
                json!({"type": "text", "text": "", "citations": []}),
                vec![json!({"type": "citations_delta", "citation": cited}), json!({"type": "text_delta", "text": "x"})],
                json!({"type": "text", "text": "x", "citations": [cited]}),
            ),
            (
                json!({"type": "thinking", "thinking": "", "signature": ""}),
                vec![
                    json!({"type": "thinking_delta", "thinking": "hm"}),
                    json!({"type": "signature_delta", "signature": "s"}),
                ],
                json!({"type": "thinking", "thinking": "hm", "signature": "s"}),
            ),
            (
                json!({"type": "redacted_thinking", "data": "d"}),
                vec![],
                json!({"type": "redacted_thinking", "data": "d"}),
            ),
            (
                json!({"type": "tool_use", "id": "t", "name": "n", "input": {}}),
                vec![
                    json!({"type": "input_json_delta", "partial_json": ""}),
                    json!({"type": "input_json_delta", "partial_json": "{\"a\":"}),
                    json!({"type": "input_json_delta", "partial_json": "[1]}"}),
                ],
                json!({"type": "tool_use", "id": "t", "name": "n", "input": {"a": [1]}}),
            ),
            (
                json!({"type": "server_tool_use", "id": "t", "name": "web_search", "input": {}}),
                vec![json!({"type": "input_json_delta", "partial_json": "{\"query\":\"q\"}"})],
                json!({"type": "server_tool_use", "id": "t", "name": "web_search", "input": {"query": "q"}}),
            ),
            (
                json!({"type": "mcp_tool_use", "id": "t", "name": "n", "server_name": "s", "input": {}}),
                vec![],
                json!({"type": "mcp_tool_use", "id": "t", "name": "n", "server_name": "s", "input": {}}),
            ),
            (
                json!({"type": "web_search_tool_result", "tool_use_id": "t", "content": [{"type": "web_search_result", "url": "u"}]}),
                vec![],
                json!({"type": "web_search_tool_result", "tool_use_id": "t", "content": [{"type": "web_search_result", "url": "u"}]}),
            ),
            (
                json!({"type": "code_execution_tool_result", "tool_use_id": "t", "content": {"stdout": "1"}}),
                vec![],
                json!({"type": "code_execution_tool_result", "tool_use_id": "t", "content": {"stdout": "1"}}),
            ),
            (
                json!({"type": "container_upload", "file_id": "f"}),
                vec![],
                json!({"type": "container_upload", "file_id": "f"}),
            ),
            (
                json!({"type": "compaction", "content": null}),
                vec![json!({"type": "compaction_delta", "content": "c"})],
                json!({"type": "compaction", "content": "c"}),
            ),
            (
                json!({"type": "of_next_year", "odd": 1}),
                vec![json!({"type": "odd_delta", "other": {"x": 1}})],
                json!({"type": "of_next_year", "odd": 1, "other": {"x": 1}}),
            ),
        ];
        let mut events = vec![json!({"type": "message_start", "message": {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "dated", "content": [], "stop_reason": null,
            "usage": {"input_tokens": 5, "output_tokens": 1, "service_tier": "standard"}}})];
        for (at, (start, deltas, _)) in kinds.iter().enumerate() {
            events.push(json!({"type": "content_block_start", "index": at, "content_block": start}));
            events
                .extend(deltas.iter().map(|delta| json!({"type": "content_block_delta", "index": at, "delta": delta})));
            events.push(json!({"type": "content_block_stop", "index": at}));
        }
        events.push(json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "container": {"id": "c"}}, "usage": {"input_tokens": null, "output_tokens": 7}}));
        events.push(json!({"type": "message_stop"}));
        let content: Vec<&Value> = kinds.iter().map(|(_, _, whole)| whole).collect();
        let expected = json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content, "stop_reason": "tool_use",
            "container": {"id": "c"}, "usage": {"input_tokens": 5, "output_tokens": 7, "service_tier": "standard"},
        });
        assert_eq!(whole(Api::Messages, &events), expected);
    }
}
