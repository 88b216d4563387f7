//! Results that are longer than a client takes: the beginning is shown, and the rest is kept for the session.

use std::collections::VecDeque;
use std::sync::Arc;

use aiw_mcp::{RpcError, ToolResult, parse_result};
use parking_lot::Mutex;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// The bytes that all kept results of a session may hold. The oldest go first.
const MAX_STORED_BYTES: usize = 32 << 20;

/// How Codex calls itself.
pub(crate) const CODEX_CLIENT_NAME: &str = "codex-mcp-client";

/// The longest text that a client passes on whole, in bytes. Measured: Codex cuts at about 12 kB, Claude Code shows
/// only the beginning from 49 kB on, Gemini CLI cuts at 40,000 characters.
pub(crate) fn max_result_bytes(client: &str) -> usize {
    match client {
        CODEX_CLIENT_NAME => 10 << 10,
        "claude-code" => 40 << 10,
        _ => 32 << 10,
    }
}

/// Whether a client shows a model a result's structure in place of its text. The others check the structure against the
/// tool's schema, and take no result without it.
fn shows_structure(client: &str) -> bool {
    matches!(client, CODEX_CLIENT_NAME | "claude-code")
}

/// Results that were cut.
#[derive(Default)]
pub(crate) struct ResultStore {
    inner: Mutex<ResultQueue>,
}

#[derive(Default)]
struct ResultQueue {
    results: VecDeque<(String, Arc<str>)>,
    size: usize,
}

/// A piece of a kept result.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ResultChunk {
    pub(crate) text: String,
    /// Where it begins, in bytes.
    pub(crate) offset: usize,
    /// Where the next piece begins; none at the end.
    pub(crate) next_offset: Option<usize>,
    /// The length of the whole result, in bytes.
    pub(crate) total: usize,
}

impl ResultStore {
    /// The handle under which the text is kept. It can't be guessed: clients without a session share what is kept. Without random
    /// numbers nothing is kept.
    fn keep(&self, text: String) -> String {
        let Ok(handle) = aiw_core::random_hex::<16>() else { return String::new() };
        let mut inner = self.inner.lock();
        inner.size += text.len();
        inner.results.push_back((handle.clone(), text.into()));
        while inner.size > MAX_STORED_BYTES && inner.results.len() > 1 {
            let Some((_, gone)) = inner.results.pop_front() else { break };
            inner.size -= gone.len();
        }
        handle
    }

    /// A piece of a result; none if it is not kept, or no longer.
    pub(crate) fn chunk(&self, handle: &str, offset: usize, most: usize) -> Option<ResultChunk> {
        let inner = self.inner.lock();
        let text = inner.results.iter().find(|(known, _)| known == handle).map(|(_, text)| text.clone())?;
        drop(inner);
        let offset = text.floor_char_boundary(offset);
        let end = text.floor_char_boundary(offset.saturating_add(most));
        let next = (end < text.len()).then_some(end);
        Some(ResultChunk { text: text[offset..end].to_owned(), offset, next_offset: next, total: text.len() })
    }

    /// A result as it is, or cut to what a client takes. What is short in all need not be read.
    pub(crate) fn truncate_result(&self, result: Box<RawValue>, client: &str) -> Result<ToolResult, RpcError> {
        let limit = max_result_bytes(client);
        if result.get().len() <= limit {
            return Ok(ToolResult::from_raw(result));
        }
        match parse_result(&result)? {
            Value::Object(result) => Ok(self.cut(result, limit, shows_structure(client))),
            _ => Ok(ToolResult::from_raw(result)),
        }
    }

    /// Cuts a result that was read: its text, or its structure, which some clients show instead.
    fn cut(&self, mut result: Map<String, Value>, limit: usize, shows_structure: bool) -> ToolResult {
        let texts: Vec<&str> = texts(&result).collect();
        let length: usize = texts.iter().map(|text| text.len()).sum();
        let structure = result.get("structuredContent").filter(|s| !s.is_null()).map(ToString::to_string);
        let is_long = |structure: &String| structure.len() > limit;
        if length <= limit && !structure.as_ref().is_some_and(|structure| shows_structure && is_long(structure)) {
            return ToolResult::from_map(result);
        }
        // The structure says the same as the text, as a rule; it is read on as text.
        let whole = match structure {
            Some(structure) if length <= structure.len() / 2 => structure,
            _ => texts.join("\n"),
        };
        let end = whole.floor_char_boundary(limit);
        let (shown, total) = (whole[..end].to_owned(), whole.len());
        let handle = self.keep(whole);
        let note = format!(
            "[aiw cut this result: these are the first {end} of {total} bytes. Call read_result with handle \
             \"{handle}\" and offset {end} for more.]"
        );
        if shows_structure {
            result.shift_remove("structuredContent");
        }
        let others = match result.get_mut("content").map(Value::take) {
            Some(Value::Array(items)) => items.into_iter().filter(|item| text_of(item).is_none()).collect(),
            _ => Vec::new(),
        };
        let cut = [shown, note].map(|text| json!({"type": "text", "text": text}));
        result.insert("content".into(), cut.into_iter().chain(others).collect());
        ToolResult::from_map(result)
    }
}

/// The texts of a result, those in embedded resources too.
fn texts(result: &Map<String, Value>) -> impl Iterator<Item = &str> {
    result.get("content").and_then(Value::as_array).into_iter().flatten().filter_map(text_of)
}

fn text_of(item: &Value) -> Option<&str> {
    match item["type"].as_str()? {
        "text" => item["text"].as_str(),
        "resource" => item["resource"]["text"].as_str(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn what_fits_passes_unchanged_and_a_long_text_is_read_on_to_its_end() {
        let kept = ResultStore::default();
        let fits = answer(json!({"content": [{"type": "text", "text": "é"}, {"type": "hologram"}], "odd": null}));
        assert_eq!(kept.cut(fits.clone(), 100, true).into_map(), fits);
        let text = "aé".repeat(1000);
        let image = json!({"type": "image", "data": "x".repeat(5000)});
        let long = answer(json!({"content": [{"type": "text", "text": text}, image], "isError": true}));
        let cut = kept.cut(long, 101, true).into_map();
        let mut read = cut["content"][0]["text"].as_str().unwrap().to_owned();
        assert!(read.len() == 100 && cut["isError"] == true && cut["content"][2] == image);
        let note = cut["content"][1]["text"].as_str().unwrap();
        let handle = note.split('"').nth(1).unwrap();
        assert!(handle.len() == 32 && note.contains("and offset 100"), "{note}");
        let mut at = Some(read.len());
        while let Some(offset) = at {
            let piece = kept.chunk(handle, offset, 700).unwrap();
            assert_eq!((piece.offset, piece.total), (offset, text.len()));
            read += &piece.text;
            at = piece.next_offset;
        }
        assert_eq!(read, text);
        assert_eq!(kept.chunk("r1", 0, 1), None);
        assert_eq!(kept.chunk(handle, usize::MAX, 1).unwrap().text, "");
    }

    #[test]
    fn a_long_structure_is_cut_too_and_the_oldest_results_go() {
        let kept = ResultStore::default();
        let long = answer(json!({"content": [], "structuredContent": {"x": "y".repeat(500)}}));
        // A client that checks it against a schema gets it whole.
        let both =
            answer(json!({"content": [{"type": "text", "text": "z".repeat(300)}], "structuredContent": {"x": 1}}));
        assert_eq!(kept.cut(long.clone(), 100, false).into_map(), long);
        assert_eq!(kept.cut(both, 100, false).into_map()["structuredContent"], json!({"x": 1}));
        let cut = kept.cut(long, 100, true).into_map();
        assert!(cut.get("structuredContent").is_none());
        assert!(cut["content"][0]["text"].as_str().unwrap().starts_with("{\"x\":\"yyy"));
        let handles: Vec<String> = (0..6).map(|_| kept.keep("z".repeat(MAX_STORED_BYTES / 3))).collect();
        assert_eq!(kept.chunk(&handles[0], 0, 10), None);
        assert!(kept.chunk(&handles[5], 0, 10).is_some());
    }
}
