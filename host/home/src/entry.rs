//! Entries of documents: what their types say is read and written here, and each refusal names the place and no value.

use aiw_core::one_line;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// Reads an entry, in which `null` is like an absent field. The error is the end of a sentence.
pub(crate) fn read<T: DeserializeOwned>(entry: &Map<String, Value>) -> Result<T, String> {
    let fields = entry.iter().filter(|(_, value)| !value.is_null());
    let fields: Map<String, Value> = fields.map(|(key, value)| (key.clone(), value.clone())).collect();
    serde_path_to_error::deserialize(Value::Object(fields))
        .map_err(|error| sentence(&error.path().to_string(), &error.inner().to_string()))
}

/// Reads an entry of a type that holds its own name.
pub(crate) fn read_named<T: DeserializeOwned>(name: &str, entry: &Value) -> Result<T, String> {
    let mut fields = entry.as_object().ok_or("is not an object")?.clone();
    fields.insert("name".to_owned(), name.into());
    read(&fields)
}

/// Each field of an entry; `None` for one that is not set.
pub(crate) fn fields(entry: &impl Serialize) -> Vec<(String, Option<Value>)> {
    let Ok(Value::Object(fields)) = serde_json::to_value(entry) else { return Vec::new() };
    let is_set = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    };
    fields.into_iter().map(|(key, value)| (key, Some(value).filter(is_set))).collect()
}

/// Serde's errors repeat values, of which one may be a secret; only what was expected is said.
fn sentence(path: &str, error: &str) -> String {
    let path = one_line(path.trim_matches('.'), 80);
    let quoted = |text: &str| text.split('`').nth(1).unwrap_or_default().to_owned();
    let below = |field: String| if path.is_empty() { field } else { format!("{path}.{field}") };
    if error.starts_with("missing field") {
        return format!("has no `{}`", below(quoted(error)));
    }
    let problem = match error.rsplit_once(", expected ") {
        Some((start, wanted)) if start.starts_with("invalid ") || start.starts_with("unknown ") => {
            format!("is not {}", in_words(wanted))
        }
        _ if ["is ", "are ", "has ", "contains ", "needs "].iter().any(|verb| error.starts_with(verb)) => {
            error.to_owned()
        }
        _ => format!("is wrong: {error}"),
    };
    if path.is_empty() || path == "name" { problem } else { format!("has a `{path}` that {problem}") }
}

fn in_words(wanted: &str) -> String {
    match wanted {
        "a string" => "text".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "a map" => "an object".to_owned(),
        "u32" | "u64" | "usize" | "f64" => "a number".to_owned(),
        wanted if wanted.starts_with("struct ") => "an object".to_owned(),
        wanted => wanted.to_owned(),
    }
}

/// Reads text that passes a check.
pub(crate) fn text<'de, D: Deserializer<'de>>(
    deserializer: D,
    is_valid: fn(&str) -> bool,
    wanted: &str,
) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) if is_valid(&text) => Ok(text),
        _ => Err(D::Error::custom(format!("is not {wanted}"))),
    }
}

/// Pairs that are an object in the document, in its order.
pub(crate) mod pairs {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    struct Pairs<K, V>(std::marker::PhantomData<(K, V)>);

    impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> de::Visitor<'de> for Pairs<K, V> {
        type Value = Vec<(K, V)>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a map")
        }

        fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            std::iter::from_fn(|| map.next_entry().transpose()).collect()
        }
    }

    pub(crate) fn serialize<S: Serializer, K: Serialize, V: Serialize>(
        pairs: &[(K, V)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(pairs.iter().map(|(key, value)| (key, value)))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, K: Deserialize<'de>, V: Deserialize<'de>>(
        deserializer: D,
    ) -> Result<Vec<(K, V)>, D::Error> {
        deserializer.deserialize_map(Pairs(std::marker::PhantomData))
    }
}
