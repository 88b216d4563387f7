//! The one shape of results: what a script gets of what a tool answered. It stays text, so that numbers keep all digits.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

/// The longest result that a script gets, in bytes.
const MAX_RESULT_BYTES: usize = 4 << 20;

/// The deepest JSON that a script gets as a value. What is deeper stays text.
const MAX_DEPTH: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WholeResult<'a> {
    #[serde(default)]
    is_error: Option<Value>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    structured_content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ContentPart<'a> {
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    resource: Option<ContentResource<'a>>,
}

#[derive(Deserialize)]
struct ContentResource<'a> {
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
}

/// Returns the value of a result, both as JSON: its structured content; else the JSON that its text is, if it is an object or
/// a list and the tool declares no schema of its results; else its text; else null.
///
/// # Errors
///
/// The tool says that it failed: the error is its text. Or the result is too long, or can't be read.
pub fn result_value(result: &str, has_output_schema: bool) -> Result<String, String> {
    if result.len() > MAX_RESULT_BYTES {
        return Err(format!("its result has {} bytes, and a script gets at most {MAX_RESULT_BYTES}", result.len()));
    }
    let whole: WholeResult<'_> = serde_json::from_str(result).map_err(|e| format!("its result can't be read: {e}"))?;
    let parts: Vec<&RawValue> = whole.content.and_then(|all| serde_json::from_str(all.get()).ok()).unwrap_or_default();
    let text = text_of(&parts);
    if whole.is_error == Some(Value::Bool(true)) {
        return Err(text.unwrap_or_else(|| "the tool failed, and did not say why".into()));
    }
    if let Some(structure) = whole.structured_content.filter(|structure| structure.get() != "null") {
        return Ok(structure.get().to_owned());
    }
    let Some(text) = text else {
        // Pictures and sounds, as they came.
        return Ok(match parts.as_slice() {
            [] => "null".into(),
            [one] => one.get().to_owned(),
            _ => whole.content.map_or("null", RawValue::get).to_owned(),
        });
    };
    let is_structure = text.trim_start().starts_with(['{', '[']);
    if !has_output_schema
        && is_structure
        && depth(&text) <= MAX_DEPTH
        && serde_json::from_str::<IgnoredAny>(&text).is_ok()
    {
        return Ok(text);
    }
    serde_json::to_string(&text).map_err(|e| format!("its result can't be read: {e}"))
}

/// The texts of a result, a line apart; those in embedded resources, too.
fn text_of(parts: &[&RawValue]) -> Option<String> {
    let text = |part: &&RawValue| {
        let part: ContentPart<'_> = serde_json::from_str(part.get()).ok()?;
        part.text.or(part.resource.and_then(|resource| resource.text)).map(Cow::into_owned)
    };
    let texts: Vec<String> = parts.iter().filter_map(text).collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}

/// How deeply brackets are nested in a text. Those in strings count, too.
fn depth(text: &str) -> usize {
    let (mut depth, mut most) = (0usize, 0);
    for byte in text.bytes() {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        most = most.max(depth);
    }
    most
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_result_has_one_shape() {
        let text = |text: &str| json!({"content": [{"type": "text", "text": text}]}).to_string();
        let value = |result: &str| result_value(result, false);
        let is = |value: &str| Ok(value.to_owned());
        // All digits of a number stay.
        assert_eq!(
            value(r#"{"content":[],"structuredContent":{"a":31.245270191439438}}"#),
            is(r#"{"a":31.245270191439438}"#)
        );
        assert_eq!(value(&text("{\"a\":[1]}")), is("{\"a\":[1]}"));
        assert_eq!(value(&text("[1,2]")), is("[1,2]"));
        // A number or a word is what somebody wrote, not a structure.
        assert_eq!(value(&text("12")), is("\"12\""));
        assert_eq!(value(&text("{broken")), is("\"{broken\""));
        assert_eq!(result_value(&text("{\"a\":1}"), true), is("\"{\\\"a\\\":1}\""));
        assert_eq!(value(r#"{"content":[]}"#), is("null"));
        assert_eq!(value("{}"), is("null"));
        assert_eq!(value(r#"{"content":"odd","structuredContent":null}"#), is("null"));
        let picture = r#"{"type":"image","data":"aGk=","mimeType":"image/png"}"#;
        assert_eq!(value(&format!(r#"{{"content":[{picture}]}}"#)), is(picture));
        let two = json!({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]});
        assert_eq!(value(&two.to_string()), is("\"a\\nb\""));
        let failed = json!({"isError": true, "content": [{"type": "text", "text": "no such city"}]});
        assert_eq!(value(&failed.to_string()), Err("no such city".into()));
        let deep = format!("{}{}", "[".repeat(110), "]".repeat(110));
        assert_eq!(value(&text(&deep)), is(&format!("\"{deep}\"")));
        assert!(value("[").unwrap_err().contains("can't be read"));
        assert!(value(&text(&"x".repeat(MAX_RESULT_BYTES))).unwrap_err().contains("at most"));
    }
}
