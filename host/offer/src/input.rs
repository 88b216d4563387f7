//! A tool's arguments, from JSON to its input type. Models write numbers as text and leave fields `null`, so
//! unambiguous values are accepted.

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::CallError;

/// The input of a tool. Clients see its JSON Schema, and arguments are checked against it.
pub(crate) trait ToolInput: DeserializeOwned + JsonSchema + Send + 'static {}

impl<T: DeserializeOwned + JsonSchema + Send + 'static> ToolInput for T {}

/// The schema of a tool's arguments.
pub(crate) fn input_schema<T: JsonSchema>() -> Value {
    short(settings().into_generator().into_root_schema_for::<T>())
}

fn settings() -> SchemaSettings {
    SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    })
}

/// `null` counts as absent. The schema doesn't mention it, because some clients have no such type.
fn without_null(schema: &mut Schema) {
    if let Some(Value::Array(kinds)) = schema.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [kind] = kinds.as_slice() {
            let kind = kind.clone();
            schema.insert("type".into(), kind);
        }
    }
    if schema.get("default") == Some(&Value::Null) {
        schema.remove("default");
    }
}

/// A schema without the parts that only cost a model tokens. It is not generic: the schemas of all tools pass through
/// one copy of it.
fn short(mut schema: Schema) -> Value {
    let mut each = RecursiveTransform(|schema: &mut Schema| {
        // Doc comments are wrapped into lines for human readers.
        if let Some(Value::String(text)) = schema.get_mut("description") {
            *text = text.replace('\n', " ");
        }
        for name in ["title", "format"] {
            // A property may have such a name.
            if schema.get(name).is_some_and(Value::is_string) {
                schema.remove(name);
            }
        }
        without_null(schema);
    });
    each.transform(&mut schema);
    schema.remove("description");
    schema.insert("type".into(), "object".into());
    if schema.get("properties").is_none() {
        schema.insert("properties".into(), Map::new().into());
    }
    schema.to_value()
}

/// Reads arguments by their schema.
pub(crate) fn parse_arguments<T: ToolInput>(given: Map<String, Value>, schema: &Value) -> Result<T, CallError> {
    let arguments = checked(given, schema)?;
    serde_json::from_value(arguments.into()).map_err(|e| CallError::MalformedArguments { problem: e.to_string() })
}

/// The given arguments as the schema has them, without those that are `null`.
fn checked(given: Map<String, Value>, schema: &Value) -> Result<Map<String, Value>, CallError> {
    let none = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&none);
    let mut arguments = Map::new();
    for (name, value) in given {
        // Don't ignore an unknown argument: it was meant to do something.
        let Some(property) = properties.get(&name) else {
            let known = properties.keys().cloned().collect();
            return Err(CallError::UnknownArgument { name, known });
        };
        // Absent and `null` mean the same.
        if !value.is_null() {
            let value = meant(&name, value, property)?;
            arguments.insert(name, value);
        }
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !arguments.contains_key(name) {
            return Err(CallError::MissingArgument { name: name.to_owned(), what: about(&properties[name]) });
        }
    }
    Ok(arguments)
}

/// Returns a property's description and its allowed values: the hint if it is missing.
fn about(property: &Value) -> String {
    let description = property["description"].as_str().unwrap_or_default();
    let sentence = description.split(". ").next().unwrap_or_default();
    let mut letters = sentence.chars();
    let sentence: String = letters.next().map(|c| c.to_lowercase().chain(letters).collect()).unwrap_or_default();
    match property["enum"].as_array() {
        Some(words) => format!("{sentence}: {}", listed(words)),
        None => sentence,
    }
}

fn listed(words: &[Value]) -> String {
    let words: Vec<String> = words.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect();
    words.join(", ")
}

/// A value converted to its property's schema type.
fn meant(name: &str, value: Value, property: &Value) -> Result<Value, CallError> {
    let wrong = |what: &str| CallError::InvalidArgument { name: name.to_owned(), what: what.to_owned() };
    match property["type"].as_str() {
        Some("string") => match value {
            Value::String(text) => match property["enum"].as_array() {
                Some(words) if !words.iter().any(|word| *word == text) => {
                    Err(wrong(&format!("one of {}", listed(words))))
                }
                _ => Ok(Value::String(text)),
            },
            // A process id in place of the task's id.
            Value::Number(number) if name == "id" => Ok(Value::String(number.to_string())),
            _ => Err(wrong("a string")),
        },
        Some("integer") => {
            let bound = |name: &str| property[name].as_u64();
            let (least, most) = (bound("minimum").unwrap_or(0), bound("maximum").unwrap_or(u32::MAX.into()));
            let number = match &value {
                Value::String(text) => text.trim().parse().ok(),
                Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
                _ => None,
            };
            let number = number.filter(|number| (least..=most).contains(number));
            number.map(Value::from).ok_or_else(|| CallError::OutOfRange { name: name.to_owned(), least, most })
        }
        Some("boolean") => match value {
            Value::Bool(_) => Ok(value),
            Value::String(text) if text == "true" || text == "false" => Ok((text == "true").into()),
            _ => Err(wrong("true or false")),
        },
        Some("object") if property["additionalProperties"]["type"] == "string" => match value {
            Value::Object(fields) => {
                let text = |(name, value)| match value {
                    Value::Number(number) => (name, Value::String(number.to_string())),
                    value => (name, value),
                };
                Ok(fields.into_iter().map(text).collect())
            }
            _ => Err(wrong("an object")),
        },
        _ => Ok(value),
    }
}

/// `30.0` is 30.
fn whole(number: f64) -> Option<u64> {
    // `f64` represents every whole number below 2^53.
    let fits = number.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&number);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole and within the range")]
    fits.then_some(number as u64)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Given {
        /// The id
        id: Option<String>,
        /// A number
        #[schemars(range(min = 1, max = 30))]
        n: Option<u64>,
        /// Everything
        #[serde(default)]
        all: bool,
    }

    fn of(value: Value) -> Result<Given, CallError> {
        parse_arguments(value.as_object().cloned().unwrap_or_default(), &input_schema::<Given>())
    }

    #[test]
    fn a_schema_says_what_clients_need_and_no_more() {
        assert_eq!(
            input_schema::<Given>(),
            json!({
                "type": "object",
                "properties": {
                    "id": {"description": "The id", "type": "string"},
                    "n": {"description": "A number", "type": "integer", "minimum": 1, "maximum": 30},
                    "all": {"description": "Everything", "type": "boolean", "default": false}
                },
                "additionalProperties": false
            })
        );
    }

    #[test]
    fn what_can_only_mean_one_thing_is_taken() {
        for (value, expected) in
            [(json!(30), Some(30)), (json!(30.0), Some(30)), (json!("30"), Some(30)), (json!(null), None)]
        {
            assert_eq!(of(json!({"n": value})).unwrap().n, expected);
        }
        for value in
            [json!(-1), json!(0), json!(31), json!(1.5), json!("x"), json!(1e300), json!([1]), json!({}), json!(true)]
        {
            let error = of(json!({"n": value})).unwrap_err();
            assert_eq!(error.to_string(), "the argument `n` must be a whole number from 1 to 30");
        }
        assert_eq!(of(json!({"id": 4711})).unwrap().id.as_deref(), Some("4711"));
        assert!(of(json!({"all": "true"})).unwrap().all);
        let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
        let meant = |value: Value| meant("values", value, &texts).map_err(|e| e.to_string());
        assert_eq!(meant(json!({"port": 80, "a": "b"})), Ok(json!({"port": "80", "a": "b"})));
        assert_eq!(meant(json!([])), Err("the argument `values` must be an object".into()));
        assert_eq!(of(json!({"all": 1})).unwrap_err().to_string(), "the argument `all` must be true or false");
        assert_eq!(of(json!({"id": {}})).unwrap_err().to_string(), "the argument `id` must be a string");
    }

    #[test]
    fn what_is_not_known_is_named() {
        let error = of(json!({"all": true, "bypass": true})).unwrap_err();
        assert_eq!(error.text(), "`bypass` is not an argument of this tool\nhint: it takes id, n, all");
    }
}
