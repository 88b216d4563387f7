//! Schemas of tools: Gemini's older form, and what its newer one takes.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

/// How deep references and schemas are followed.
const MAX_SCHEMA_DEPTH: u32 = 32;

/// The largest schema that is made by inlining, in values.
const MAX_SCHEMA_VALUES: u32 = 20_000;

const SCHEMA_TYPES: [&str; 7] = ["OBJECT", "STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "NULL"];

/// Turns Gemini's older form, with `OBJECT` and `nullable`, into a JSON schema.
pub(super) fn from_gemini(schema: &str) -> Cow<'_, str> {
    if !SCHEMA_TYPES.iter().any(|name| schema.contains(&format!("\"{name}\""))) {
        return Cow::Borrowed(schema);
    }
    let Ok(mut value) = serde_json::from_str::<Value>(schema) else { return Cow::Borrowed(schema) };
    lower(&mut value, 0);
    Cow::Owned(value.to_string())
}

fn lower(value: &mut Value, depth: u32) {
    match value {
        Value::Object(map) if depth < MAX_SCHEMA_DEPTH => {
            if let Some(Value::String(kind)) = map.get_mut("type")
                && SCHEMA_TYPES.contains(&kind.as_str())
            {
                kind.make_ascii_lowercase();
            }
            let is_nullable =
                map.get("type").is_some_and(Value::is_string) && map.get("nullable") == Some(&json!(true));
            if is_nullable {
                map.shift_remove("nullable");
                let kind = map["type"].take();
                map["type"] = json!([kind, "null"]);
            }
            map.values_mut().for_each(|value| lower(value, depth + 1));
        }
        Value::Array(list) if depth < MAX_SCHEMA_DEPTH => list.iter_mut().for_each(|value| lower(value, depth + 1)),
        _ => {}
    }
}

/// Writes a JSON schema as `parametersJsonSchema` takes it: without references and `$schema`.
pub(super) fn inline_refs(schema: &str) -> Cow<'_, str> {
    if !["$ref", "$schema", "$defs", "definitions"].iter().any(|word| schema.contains(word)) {
        return Cow::Borrowed(schema);
    }
    let Ok(value) = serde_json::from_str::<Value>(schema) else { return Cow::Borrowed(schema) };
    Cow::Owned(inline(&value, &value, 0, &mut MAX_SCHEMA_VALUES.clone()).to_string())
}

fn inline(value: &Value, root: &Value, depth: u32, left: &mut u32) -> Value {
    *left = left.saturating_sub(1);
    if depth > MAX_SCHEMA_DEPTH || *left == 0 {
        // Anything goes there.
        return json!({});
    }
    match value {
        Value::Object(map) => {
            if let Some(path) = map.get("$ref").and_then(Value::as_str) {
                let found = path.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
                let mut target = found.map_or_else(|| json!({}), |found| inline(found, root, depth + 1, left));
                if let (Some(target), Some(text)) = (target.as_object_mut(), map.get("description")) {
                    target.insert("description".to_owned(), text.clone());
                }
                return target;
            }
            let kept = map
                .iter()
                .filter(|(key, _)| !matches!(key.as_str(), "$schema" | "$defs" | "definitions" | "$id" | "$comment"));
            Value::Object(kept.map(|(key, value)| (key.clone(), inline(value, root, depth + 1, left))).collect())
        }
        Value::Array(list) => list.iter().map(|value| inline(value, root, depth + 1, left)).collect(),
        other => other.clone(),
    }
}

/// Writes a JSON schema as the older field `parameters` takes it: a part of OpenAPI 3.0.
pub(super) fn to_openapi_subset(schema: &str) -> String {
    let value: Value = serde_json::from_str(schema).unwrap_or_else(|_| json!({"type": "object"}));
    let value = inline(&value, &value, 0, &mut MAX_SCHEMA_VALUES.clone());
    reduced(&value).to_string()
}

fn reduced(value: &Value) -> Value {
    let Value::Object(map) = value else { return json!({"type": "STRING"}) };
    let mut out = Map::new();
    for (key, value) in map {
        match (key.as_str(), value) {
            ("type", Value::String(kind)) => {
                out.insert("type".to_owned(), kind.to_uppercase().into());
            }
            ("type", Value::Array(kinds)) => {
                let first = kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null");
                out.insert("type".to_owned(), first.unwrap_or("string").to_uppercase().into());
                if kinds.iter().any(|kind| kind == "null") {
                    out.insert("nullable".to_owned(), true.into());
                }
            }
            ("const", value) => {
                out.insert("enum".to_owned(), json!([text(value)]));
            }
            ("enum", Value::Array(values)) => {
                out.insert("enum".to_owned(), values.iter().map(text).collect());
            }
            ("properties", Value::Object(properties)) => {
                let properties: Map<_, _> = properties.iter().map(|(name, of)| (name.clone(), reduced(of))).collect();
                out.insert("properties".to_owned(), properties.into());
            }
            ("items", of) => {
                out.insert("items".to_owned(), reduced(of));
            }
            ("anyOf" | "oneOf", Value::Array(choices)) => {
                let (null, some): (Vec<_>, Vec<_>) = choices.iter().partition(|choice| choice["type"] == "null");
                if !null.is_empty() {
                    out.insert("nullable".to_owned(), true.into());
                }
                match some.as_slice() {
                    [one] => {
                        if let Value::Object(one) = reduced(one) {
                            one.into_iter().for_each(|(key, value)| {
                                out.entry(key).or_insert(value);
                            });
                        }
                    }
                    some => {
                        out.insert("anyOf".to_owned(), some.iter().map(|choice| reduced(choice)).collect());
                    }
                }
            }
            (
                "description" | "title" | "nullable" | "minItems" | "maxItems" | "minimum" | "maximum" | "minLength"
                | "maxLength" | "pattern" | "required",
                value,
            ) => {
                out.insert(key.clone(), value.clone());
            }
            _ => {}
        }
    }
    // Enumerations are of texts only.
    if out.contains_key("enum") {
        out.insert("type".to_owned(), "STRING".into());
    }
    let names: Vec<String> =
        out.get("properties").and_then(Value::as_object).map(|of| of.keys().cloned().collect()).unwrap_or_default();
    if let Some(Value::Array(required)) = out.get_mut("required") {
        required.retain(|name| name.as_str().is_some_and(|name| names.iter().any(|known| known == name)));
    }
    if !out.contains_key("type") && !out.contains_key("anyOf") {
        out.insert("type".to_owned(), if names.is_empty() { "STRING" } else { "OBJECT" }.into());
    }
    Value::Object(out)
}

fn text(value: &Value) -> Value {
    value.as_str().map_or_else(|| value.to_string().into(), Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_inlined_and_those_without_end_are_open() {
        let schema = json!({"$schema": "x", "type": "object", "properties": {"a": {"$ref": "#/$defs/A", "description": "d"}}, "$defs": {"A": {"type": "string"}}});
        assert_eq!(
            inline_refs(&schema.to_string()),
            r#"{"type":"object","properties":{"a":{"type":"string","description":"d"}}}"#
        );
        let endless =
            json!({"properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}, "c": {"$ref": "#/none"}}}).to_string();
        assert!(inline_refs(&endless).len() < 10_000_000);
    }

    #[test]
    fn the_older_forms_are_reached_and_left() {
        let schema = json!({
            "type": "object", "additionalProperties": false, "required": ["a", "gone"],
            "properties": {
                "a": {"type": ["string", "null"]}, "b": {"const": 1}, "c": {"anyOf": [{"type": "null"}, {"type": "integer", "exclusiveMinimum": 0}]},
                "d": {"type": "array", "items": {"$ref": "#/definitions/D"}, "uniqueItems": true},
            },
            "definitions": {"D": {"enum": ["x", 2]}},
        });
        let reduced: Value = serde_json::from_str(&to_openapi_subset(&schema.to_string())).unwrap();
        assert_eq!(
            reduced,
            json!({
                "type": "OBJECT", "required": ["a"],
                "properties": {
                    "a": {"type": "STRING", "nullable": true}, "b": {"enum": ["1"], "type": "STRING"}, "c": {"nullable": true, "type": "INTEGER"},
                    "d": {"type": "ARRAY", "items": {"enum": ["x", "2"], "type": "STRING"}},
                },
            })
        );
        let back: Value = serde_json::from_str(&from_gemini(&reduced.to_string())).unwrap();
        assert_eq!(back["properties"]["a"], json!({"type": ["string", "null"]}));
        assert_eq!(back["properties"]["d"]["type"], "array");
    }
}
