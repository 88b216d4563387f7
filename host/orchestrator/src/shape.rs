//! The one shape of results: what a script gets of what a tool answered.

use serde_json::{Map, Value};

/// The deepest JSON that a script gets as a value. What is deeper stays text.
const DEPTH: usize = 100;

/// Returns the value of a result: its structured content; else the JSON that its text is, if it is an object or a list and
/// the tool declares no schema of its results; else its text; else null.
///
/// # Errors
///
/// The tool says that it failed. The error is its text.
pub fn value_of(result: &Value, has_output_schema: bool) -> Result<Value, String> {
    let text = text_of(result);
    if result["isError"] == true {
        return Err(if text.is_empty() { "the tool failed, and did not say why".into() } else { text });
    }
    match result.get("structuredContent") {
        Some(Value::Null) | None => {}
        Some(structure) => return Ok(structure.clone()),
    }
    let is_structure = |value: &Value| value.is_object() || value.is_array();
    if !has_output_schema
        && let Ok(value) = serde_json::from_str::<Value>(&text)
        && is_structure(&value)
        && depth(&value) <= DEPTH
    {
        return Ok(value);
    }
    Ok(if text.is_empty() { of_other_content(result) } else { text.into() })
}

/// The texts of a result, a line apart. A linked or embedded text counts, too.
fn text_of(result: &Value) -> String {
    let content = result["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |part: &Value| part["text"].as_str().or_else(|| part["resource"]["text"].as_str()).map(str::to_owned);
    content.iter().filter_map(text).collect::<Vec<_>>().join("\n")
}

/// What there is besides text: pictures and sounds, as they came. Null if there is nothing.
fn of_other_content(result: &Value) -> Value {
    match result["content"].as_array().map(Vec::as_slice) {
        None | Some([]) => Value::Null,
        Some([one]) => one.clone(),
        Some(all) => all.into(),
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Returns the object that a call has for arguments.
pub(crate) fn object(arguments: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(arguments) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err("a tool takes one object with its arguments".into()),
        Err(e) => Err(format!("the arguments are not JSON: {e}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_result_has_one_shape() {
        let text = |text: &str| json!({"content": [{"type": "text", "text": text}]});
        let value = |result: Value| value_of(&result, false);
        assert_eq!(value(json!({"content": [], "structuredContent": {"a": 1}})), Ok(json!({"a": 1})));
        assert_eq!(value(text("{\"a\":[1]}")), Ok(json!({"a": [1]})));
        assert_eq!(value(text("[1,2]")), Ok(json!([1, 2])));
        // A number or a word is what somebody wrote, not a structure.
        assert_eq!(value(text("12")), Ok(json!("12")));
        assert_eq!(value(text("{broken")), Ok(json!("{broken")));
        assert_eq!(value_of(&text("{\"a\":1}"), true), Ok(json!("{\"a\":1}")));
        assert_eq!(value(json!({"content": []})), Ok(Value::Null));
        assert_eq!(value(json!({})), Ok(Value::Null));
        let picture = json!({"type": "image", "data": "aGk=", "mimeType": "image/png"});
        assert_eq!(value(json!({"content": [picture]})), Ok(picture.clone()));
        let two = json!({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]});
        assert_eq!(value(two), Ok(json!("a\nb")));
        let failed = json!({"isError": true, "content": [{"type": "text", "text": "no such city"}]});
        assert_eq!(value(failed), Err("no such city".into()));
        let deep = format!("{}{}", "[".repeat(110), "]".repeat(110));
        assert_eq!(value(text(&deep)), Ok(json!(deep)));
    }
}
