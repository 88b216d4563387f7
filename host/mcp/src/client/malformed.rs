//! Messages of servers that are not JSON, or hold what no value can: what of them can be used, and why the rest can't.

use std::borrow::Cow;
use std::collections::BTreeMap;

use aiw_core::well_formed_json;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::events::RpcError;
use crate::elicitation::INPUT_REQUIRED;

/// The deepest nesting of an answer that is looked into. Parsers give up at 128.
const MAX_DEPTH: usize = 100;

/// The answers of which items may be cut.
const LIST_RESULT_FIELDS: [&str; 4] = ["tools", "prompts", "resources", "resourceTemplates"];

/// The code of an answer that no client could use.
pub(super) const INTERNAL_ERROR: i32 = -32603;

/// The parts of a response that are looked at if the whole can't be read as values.
#[derive(Deserialize)]
struct Envelope<'a> {
    id: Option<Value>,
    method: Option<IgnoredAny>,
    error: Option<IgnoredAny>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

/// What tells an item of a list from others.
#[derive(Deserialize)]
struct ItemNames {
    name: Option<String>,
    uri: Option<String>,
}

/// Parses a message of a server; none for noise. A response of which nothing can be used becomes an error, or its
/// request would wait in vain.
pub(super) fn parse_message(bytes: &[u8]) -> Option<Value> {
    let text = well_formed_json(bytes);
    match serde_json::from_slice(&text) {
        // Over HTTP, servers answer one request with a list of one.
        Ok(Value::Array(mut list)) if list.len() == 1 => list.pop(),
        Ok(message) => Some(message),
        Err(error) => readable(&text, &error),
    }
}

/// Parses a result. Items of a list that can't be read are cut; another result that can't be read is an error.
pub fn parse_result(result: &RawValue) -> Result<Value, RpcError> {
    let text = well_formed_json(result.get().as_bytes());
    serde_json::from_slice(&text).or_else(|error| {
        let (list, why) = list_of(&text, &error);
        list.ok_or_else(|| RpcError { code: INTERNAL_ERROR, message: format!("the server's answer {why}"), data: None })
    })
}

/// Returns the `resultType` of a result, as whoever parses it will read it: with its escapes, the last of several.
pub(super) fn result_type(result: &str) -> Option<String> {
    let bytes = result.as_bytes();
    // Nearly every result has neither the word nor an escape that could stand for a part of it.
    if memchr::memmem::find(bytes, b"\"resultType\"").is_none() && memchr::memmem::find(bytes, b"\\u00").is_none() {
        return None;
    }
    let fields: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(result).ok()?;
    serde_json::from_str(fields.get("resultType")?.get()).ok()
}

/// Why a result of this type can't be passed on. Without `initialize`, a server may ask for something first; what it asks
/// for does not get past [`resume`](super::resume).
pub(super) fn unsupported_type_reason(kind: Option<&str>, is_modern: bool) -> Option<&'static str> {
    match kind {
        None | Some("complete") => None,
        Some(INPUT_REQUIRED) if is_modern => None,
        Some("task") => Some("is a task, though nobody had asked for one"),
        Some(_) => Some("is of a kind that nobody had asked for"),
    }
}

/// Puts an error in the place of a result that is not a list. Anything else would say what the server did not.
pub(super) fn replace_non_list(fields: &mut Map<String, Value>, why: &str) {
    if fields.get("result").is_some_and(|result| !is_list(result)) {
        replace_with_error(fields, why);
    }
}

/// Puts an error in the place of a result.
pub(super) fn replace_with_error(fields: &mut Map<String, Value>, why: &str) {
    fields.shift_remove("result");
    fields.insert("error".into(), json!({"code": INTERNAL_ERROR, "message": format!("the server's answer {why}")}));
}

fn readable(json: &[u8], error: &serde_json::Error) -> Option<Value> {
    let cut = shallow(json).map_or(Cow::Borrowed(json), Cow::Owned);
    // Such a number costs its field, where that is in a list; another answer could mean something else without it.
    if let Some(numbers) = without_non_finite(&cut)
        && let Ok(mut message) = serde_json::from_slice::<Value>(&numbers)
        && message.get("method").is_none()
        && message.get("result").is_some_and(is_list)
    {
        remove_marked(&mut message);
        return Some(message);
    }
    let (id, list, why) = match serde_json::from_slice::<Envelope<'_>>(&cut) {
        // A line for debugging may have an `id`, too.
        Ok(Envelope { method: Some(_), .. } | Envelope { result: None, error: None, .. }) => return None,
        Ok(Envelope { id, result, .. }) => {
            let result = result.map(|result| result.get().as_bytes());
            // The depth is that of the whole message.
            let (list, why) = list_of(result.unwrap_or_default(), error);
            (id?, list, if matches!(cut, Cow::Owned(_)) { too_deep() } else { why })
        }
        Err(_) => (id_in(&cut)?, None, unreadable(error)),
    };
    Some(match list {
        Some(list) => json!({"jsonrpc": "2.0", "id": id, "result": list}),
        None => {
            let message = format!("the server's answer {why}");
            json!({"jsonrpc": "2.0", "id": id, "error": {"code": INTERNAL_ERROR, "message": message}})
        }
    })
}

/// The list that a result holds, without what can't be read in it, and why that can't be read. An item of which
/// something can't be read has only its name.
fn list_of(result: &[u8], error: &serde_json::Error) -> (Option<Value>, String) {
    let cut = shallow(result);
    let why = if cut.is_some() { too_deep() } else { unreadable(error) };
    let text = cut.as_deref().unwrap_or(result);
    let list = serde_json::from_slice(text).ok().or_else(|| by_items(text));
    (list.filter(is_list), why)
}

/// The text that stands for a number that is not finite until its field is removed: `null` is not valid wherever a
/// number is (`maximum` in a schema), and an infinite bound means none.
const NON_FINITE_MARK: &str = "\0non-finite";

/// Removes the fields whose value is [`NON_FINITE_MARK`]. In an array the value becomes `null`, since positions count.
fn remove_marked(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| value != NON_FINITE_MARK);
            fields.values_mut().for_each(remove_marked);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_marked),
        Value::String(text) if text == NON_FINITE_MARK => *value = Value::Null,
        _ => {}
    }
}

/// Replaces `NaN` and `Infinity`, which Python writes, by [`NON_FINITE_MARK`]. `None` if the text has none.
fn without_non_finite(json: &[u8]) -> Option<Vec<u8>> {
    const NON_FINITE: [&[u8]; 4] = [b"NaN", b"-NaN", b"Infinity", b"-Infinity"];
    let (mut written, mut rest, mut is_text) = (Vec::new(), json, false);
    while let Some((&first, after)) = rest.split_first() {
        let is_value = |text: &[u8]| text.trim_ascii_start().first() != Some(&b':');
        let number = NON_FINITE.iter().find(|number| rest.strip_prefix(**number).is_some_and(is_value));
        if !is_text && let Some(found) = number {
            written.extend_from_slice(Value::from(NON_FINITE_MARK).to_string().as_bytes());
            rest = &rest[found.len()..];
            continue;
        }
        is_text ^= first == b'"';
        let length = if is_text && first == b'\\' { rest.len().min(2) } else { 1 };
        written.extend_from_slice(&rest[..length]);
        rest = if length == 1 { after } else { &rest[length..] };
    }
    (written != json).then_some(written)
}

fn by_items(result: &[u8]) -> Option<Value> {
    let fields: BTreeMap<String, &RawValue> = serde_json::from_slice(result).ok()?;
    let item = |item: &RawValue| {
        serde_json::from_str::<Value>(item.get()).ok().or_else(|| {
            let names: ItemNames = serde_json::from_str(item.get()).ok()?;
            let names = [("name", names.name), ("uri", names.uri)];
            let names = names.into_iter().filter_map(|(key, name)| Some((key.to_owned(), name?.into())));
            Some(Value::Object(names.collect()))
        })
    };
    let mut list = Map::new();
    for (key, value) in fields {
        let read = match serde_json::from_str::<Value>(value.get()) {
            Ok(value) => value,
            Err(_) if LIST_RESULT_FIELDS.contains(&key.as_str()) => {
                let items: Vec<&RawValue> = serde_json::from_str(value.get()).ok()?;
                items.into_iter().filter_map(item).collect()
            }
            Err(_) => continue,
        };
        list.insert(key, read);
    }
    Some(list.into())
}

/// The id of a response that is not JSON (`{"id": 7, "result": {"n": NaN}}`). A line that is cut off, or has neither a
/// result nor an error, is no response.
fn id_in(json: &[u8]) -> Option<Value> {
    let (mut depth, mut start, mut is_escaped) = (0usize, None, false);
    let (mut id, mut is_response) = (None, false);
    for (at, &byte) in json.iter().enumerate() {
        match (byte, start) {
            (_, Some(_)) if is_escaped => is_escaped = false,
            (b'\\', Some(_)) => is_escaped = true,
            (b'"', None) => start = Some(at + 1),
            (b'"', Some(from)) => {
                start = None;
                let rest = json.get(at + 1..)?.trim_ascii_start();
                match (depth, json.get(from..at), rest.strip_prefix(b":")) {
                    (1, Some(b"method"), Some(_)) => return None,
                    (1, Some(b"result" | b"error"), Some(_)) => is_response = true,
                    (1, Some(b"id"), Some(value)) => {
                        let mut values = serde_json::Deserializer::from_slice(value).into_iter::<Value>();
                        id = values.next()?.ok().filter(|id| id.is_number() || id.is_string());
                    }
                    _ => {}
                }
            }
            (b'{' | b'[', None) => depth += 1,
            (b'}' | b']', None) => depth = depth.checked_sub(1)?,
            _ => {}
        }
    }
    id.filter(|_| is_response && depth == 0 && start.is_none())
}

/// JSON in which what is nested too deeply is null. None if nothing is.
fn shallow(json: &[u8]) -> Option<Vec<u8>> {
    let mut kept = Vec::new();
    let (mut depth, mut in_string, mut is_escaped, mut is_cut) = (0usize, false, false, false);
    for &byte in json {
        let was_deep = depth > MAX_DEPTH;
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        match (was_deep, depth > MAX_DEPTH) {
            (false, false) => kept.push(byte),
            (false, true) => {
                is_cut = true;
                kept.extend_from_slice(b"null");
            }
            (true, _) => {}
        }
    }
    is_cut.then_some(kept)
}

/// Of a list, the items that can be read are worth having.
fn is_list(result: &Value) -> bool {
    LIST_RESULT_FIELDS.iter().any(|list| result[list].is_array())
}

fn too_deep() -> String {
    format!("is nested more than {MAX_DEPTH} levels deep")
}

fn unreadable(error: &serde_json::Error) -> String {
    format!("is not JSON: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Value> {
        parse_message(text.as_bytes())
    }

    #[test]
    fn a_response_that_is_not_json_answers_its_request_with_the_reason() {
        for (text, why) in [
            (r#"{"jsonrpc":"2.0","id":7,"result":{"v":NaN,"w":Infinity}}"#, "is not JSON: expected value"),
            (r#"{"result":{"id":1,"t":"\"id\":2","v":-Infinity}, "id" : 7 ,"jsonrpc":"2.0"}"#, "is not JSON: "),
            (r#"{"jsonrpc":"2.0","id":7,"result":{"v":1e999}}"#, "is not JSON: number out of range"),
            (r#"{"id":7,"result":{"content":[,]}}"#, "is not JSON: "),
        ] {
            let read = read(text).unwrap();
            let said = read["error"]["message"].as_str().unwrap();
            assert!(read["id"] == 7 && said.starts_with("the server's answer ") && said.contains(why), "{read}");
        }
        for noise in [
            "Server started: NaN",
            r#"{"id":7,"method":"x","params":NaN}"#,
            r#"{"level":"info","id":7,"dur":NaN}"#,
            r#"{"level":"info","id":7,"dur":1e999}"#,
            r#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"te"#,
            r#"{"n":NaN}"#,
            "",
            "{",
        ] {
            assert_eq!(read(noise), None, "{noise}");
        }
    }

    #[test]
    fn an_item_that_cannot_be_read_costs_itself_alone() {
        let text =
            r#"{"id":1,"result":{"tools":[{"name":"a"},{"name":"b","n":1e999},{"name":"c \ud83d"}],"nextCursor":"2"}}"#;
        let list = json!({"nextCursor": "2", "tools": [{"name": "a"}, {"name": "b"}, {"name": "c \u{fffd}"}]});
        let read = read(text).unwrap();
        assert_eq!((&read["id"], &read["result"]), (&json!(1), &list));
        let raw: &RawValue = serde_json::from_str(&text[r#"{"id":1,"result":"#.len()..text.len() - 1]).unwrap();
        assert_eq!(parse_result(raw).unwrap(), list);
    }

    #[test]
    fn the_type_of_a_result_is_what_its_reader_will_see() {
        for (text, expected) in [
            (r#"{"content":[{"text":"\"resultType\":\"task\""}]}"#, None),
            (r#"{"resultType":"task"}"#, Some("task")),
            (r#"{"result\u0054ype":"input\u005frequired"}"#, Some("input_required")),
            (r#"{"resultType":"complete","content":[],"resultType":"task"}"#, Some("task")),
            (r#"{"resultType":7}"#, None),
        ] {
            assert_eq!(result_type(text).as_deref(), expected, "{text}");
        }
        let refused = |kind| [false, true].map(|is_modern| unsupported_type_reason(Some(kind), is_modern).is_some());
        assert_eq!(
            ["complete", "input_required", "task", "new"].map(refused),
            [[false; 2], [true, false], [true; 2], [true; 2]]
        );
    }

    #[test]
    fn what_is_no_number_costs_its_field_in_a_list() {
        let text =
            r#"{"id":1,"result":{"tools":[{"name":"NaN \" NaN","n":NaN},{"name":"b","m":[-Infinity,Infinity]}]}}"#;
        let tools = json!([{"name": "NaN \" NaN"}, {"name": "b", "m": [null, null]}]);
        assert_eq!(read(text).unwrap()["result"]["tools"], tools);
        // A key is no number.
        assert_eq!(without_non_finite(br#"{"a":NaN,NaN :1}"#).unwrap(), br#"{"a":"\u0000non-finite",NaN :1}"#);
    }

    #[test]
    fn a_list_of_one_message_is_the_message() {
        assert_eq!(read(r#"[{"id":1,"result":{}}]"#), Some(json!({"id": 1, "result": {}})));
    }

    mod fuzz {
        use super::*;
        use proptest::prelude::*;
        proptest! {
            #[test]
            fn any_text_is_answered(text in "[\\[\\]{}\",:0-9a-cidmethod \\\\.eENu-]{0,80}") {
                let _ = parse_message(text.as_bytes());
            }
        }
    }

    #[test]
    fn half_a_character_is_read() {
        let list = r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"a","description":"TEXT"}]}}"#;
        let result = r#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"TEXT"}]}}"#;
        for document in [list, result] {
            aiw_tests::assert_finds_odd_json(document, |bytes| parse_message(bytes).unwrap());
        }
    }
}
