//! Arguments are checked against a tool's schema before a call leaves: the remote would say less, and later.
//!
//! What is looked at is what models get wrong: names that are missing or not quite right, and values of another kind. The
//! rest is left to the server. A whole validator would run the schema of somebody else's server on the only thread: one of
//! nested `anyOf` takes twice as long for each level of the arguments.

use serde_json::{Map, Value};

/// The longest arguments of a call.
const MAX_ARGUMENTS_BYTES: usize = 1 << 20;

/// How many problems of one call are named.
const MAX_PROBLEMS: usize = 4;

/// How many names of a schema are looked at.
const MAX_SCHEMA_NAMES: usize = 500;

/// Returns what is wrong with the arguments of a call, which are JSON, by the schema of a tool, as the end of a sentence.
pub fn validation_error(schema: &Value, arguments: &str) -> Option<String> {
    if arguments.len() > MAX_ARGUMENTS_BYTES {
        return Some(format!("they have {} bytes, and at most {MAX_ARGUMENTS_BYTES} are sent", arguments.len()));
    }
    let arguments: Map<String, Value> = match serde_json::from_str(arguments) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) => return Some("a tool takes one object with its arguments".into()),
        Err(e) => return Some(format!("they are not JSON: {e}")),
    };
    let empty = Map::new();
    let known = schema["properties"].as_object().unwrap_or(&empty);
    let names = || known.keys().take(MAX_SCHEMA_NAMES).map(String::as_str);
    let mut problems = Vec::new();
    let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    for name in
        required.iter().take(MAX_SCHEMA_NAMES).filter_map(Value::as_str).filter(|name| !arguments.contains_key(*name))
    {
        let given =
            arguments.keys().take(MAX_SCHEMA_NAMES).map(String::as_str).filter(|given| !known.contains_key(*given));
        let meant = aiw_core::closest(name, given);
        let instead = meant.map(|given| format!(", and {} is not one of its arguments", aiw_core::quoted(given)));
        problems.push(format!("{} is missing{}", aiw_core::quoted(name), instead.unwrap_or_default()));
    }
    for (name, value) in arguments.iter().take(MAX_SCHEMA_NAMES) {
        match known.get(name) {
            None if schema["additionalProperties"] == false => {
                let meant = aiw_core::closest(name, names())
                    .map(|meant| format!(": did you mean {}?", aiw_core::quoted(meant)));
                problems.push(format!(
                    "{} is not one of its arguments{}",
                    aiw_core::quoted(name),
                    meant.unwrap_or_default()
                ));
            }
            Some(schema) => problems.extend(wrong_kind(name, value, schema)),
            None => {}
        }
    }
    problems.truncate(MAX_PROBLEMS);
    (!problems.is_empty()).then(|| problems.join("; "))
}

/// Says that a value is of another kind than its schema says, or none of those that it lists.
fn wrong_kind(name: &str, value: &Value, schema: &Value) -> Option<String> {
    let name = aiw_core::quoted(name);
    let is = |kind: &str| match kind {
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        // No kind that there is: the server knows.
        _ => true,
    };
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).take(7).collect(),
        _ => Vec::new(),
    };
    if !kinds.is_empty() && !kinds.iter().any(|kind| is(kind)) {
        return Some(format!("{name} is not of the type {}", aiw_core::one_line(&kinds.join(" or "), 60)));
    }
    let choices = schema["enum"].as_array().filter(|choices| !choices.contains(value))?;
    let shown: Vec<String> = choices.iter().take(8).map(ToString::to_string).collect();
    Some(format!("{name} must be one of {}", aiw_core::one_line(&shown.join(", "), 200)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn wrong_arguments_are_named_with_what_was_meant() {
        let forecast = json!({
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer"},
                "unit": {"type": ["string", "null"], "enum": ["C", "F", null]},
            },
            "required": ["city"],
        });
        let said = |arguments: Value| validation_error(&forecast, &arguments.to_string());
        assert_eq!(said(json!({"city": "Oslo", "days": 3, "unit": "C", "more": 1})), None);
        assert_eq!(said(json!({"city": "Oslo", "days": 3.0, "unit": null})), None);
        assert_eq!(
            said(json!({"citty": "Oslo"})).unwrap(),
            "`city` is missing, and `citty` is not one of its arguments"
        );
        assert_eq!(said(json!({"city": 1})).unwrap(), "`city` is not of the type string");
        assert_eq!(said(json!({"city": "Oslo", "unit": "K"})).unwrap(), "`unit` must be one of \"C\", \"F\", null");
        assert_eq!(said(json!([1])).unwrap(), "a tool takes one object with its arguments");
        let strict = json!({"properties": {"city": {}}, "additionalProperties": false});
        let said = validation_error(&strict, "{\"citty\":1}").unwrap();
        assert_eq!(said, "`citty` is not one of its arguments: did you mean `city`?");
        // A schema of nonsense checks nothing.
        for schema in
            [json!(null), json!({"type": 7, "properties": [], "required": {}}), json!({"properties": {"x": 5}})]
        {
            assert_eq!(validation_error(&schema, "{\"x\":1}"), None);
        }
        // One that takes a whole validator minutes.
        let nested = json!({"anyOf": [{"type": "object", "properties": {"a": {"$ref": "#/$defs/n"}}, "required": ["z"]},
            {"type": "object", "properties": {"a": {"$ref": "#/$defs/n"}}, "required": ["y"]}]});
        let hostile = json!({"properties": {"t": {"$ref": "#/$defs/n"}}, "$defs": {"n": nested}});
        let deep = format!("{{\"t\":{}1{}}}", "{\"a\":".repeat(40), "}".repeat(40));
        assert_eq!(validation_error(&hostile, &deep), None);
    }
}
