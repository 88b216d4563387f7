//! Entries of documents: what their types say is read and written here, and each refusal names the place and no value.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use aiw_core::{is_valid_model_name, one_line};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Error, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::base_url;

/// Reads an entry, in which `null` is like an absent field, and names its fields by their place in the document. The
/// error is the end of a sentence.
pub(crate) fn read<T: DeserializeOwned>(place: &str, mut entry: Map<String, Value>) -> Result<T, String> {
    entry.retain(|_, value| !value.is_null());
    read_with_nulls(place, entry)
}

/// Reads an entry in which `null` is a value.
pub(crate) fn read_with_nulls<T: DeserializeOwned>(place: &str, entry: Map<String, Value>) -> Result<T, String> {
    serde_path_to_error::deserialize(Value::Object(entry))
        .map_err(|error| sentence(&format!("{place}.{}", error.path()), &error.inner().to_string()))
}

/// Reads an entry of a type that holds its own name.
pub(crate) fn read_named<T: DeserializeOwned>(name: &str, entry: &Value) -> Result<T, String> {
    let mut fields = entry.as_object().ok_or("is not an object")?.clone();
    fields.insert("name".to_owned(), name.into());
    read("", fields)
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
    if let Some(rest) = error.strip_prefix("unknown field `") {
        // The field may be anything: it ends before what was expected, not at its first backtick.
        let (field, wanted) = rest.rsplit_once("`, expected ").unwrap_or((rest, "no field"));
        let field = one_line(field, 60);
        let place = if path.ends_with(&field) { path } else { below(field) };
        return format!("has a `{place}`: expected {wanted}");
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
    let article = if path.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    if path.is_empty() || path == "name" { problem } else { format!("has {article} `{path}` that {problem}") }
}

fn in_words(wanted: &str) -> String {
    match wanted {
        "a string" | "string or map" => "text".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "a map" => "an object".to_owned(),
        "u32" | "u64" | "usize" | "f64" => "a number".to_owned(),
        wanted if wanted.starts_with("struct ") => "an object".to_owned(),
        wanted => wanted.to_owned(),
    }
}

/// Reads a field in which `null` is like an absent one.
pub(crate) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(d: D) -> Result<T, D::Error> {
    Option::deserialize(d).map(Option::unwrap_or_default)
}

/// Reads an object by its type, which serde would read from a list too. `null` is like an absent one.
pub(crate) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(d: D) -> Result<T, D::Error> {
    Ok(Option::<EntryObject<T>>::deserialize(d)?.map(|EntryObject(entry)| entry).unwrap_or_default())
}

/// Reads objects by their names. `null` is like none.
pub(crate) fn objects<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<BTreeMap<String, T>, D::Error> {
    let entries = Option::<BTreeMap<_, EntryObject<T>>>::deserialize(d)?.unwrap_or_default();
    Ok(entries.into_iter().map(|(name, EntryObject(entry))| (name, entry)).collect())
}

struct EntryObject<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for EntryObject<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = EntryObject<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(EntryObject)
            }
        }

        deserializer.deserialize_map(Fields(PhantomData))
    }
}

/// Reads a field in which `null` is not like an absent one.
pub(crate) fn double_option<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Option<T>, D::Error> {
    T::deserialize(d).map(Some)
}

/// Reads a number within limits.
pub(crate) fn number<'de, const LEAST: u64, const MOST: u64, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<u64>,
{
    // Not through `Value`: with serde_json's `raw_value`, that would parse text which an object holds under its own key.
    let number = u64::deserialize(deserializer).ok().filter(|number| (LEAST..=MOST).contains(number));
    let number = number.and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| D::Error::custom(format!("is not a number from {LEAST} to {MOST}")))
}

/// Reads an amount of dollars.
pub(crate) fn dollars<'de, const MOST: u32, D: Deserializer<'de>, T: From<f64>>(d: D) -> Result<T, D::Error> {
    let dollars = f64::deserialize(d).ok().filter(|dollars| (0.0..=f64::from(MOST)).contains(dollars));
    dollars.map(T::from).ok_or_else(|| D::Error::custom("is not a number of dollars"))
}

/// Reads the name of a model.
pub(crate) fn model<'de, D: Deserializer<'de>, T: From<String>>(deserializer: D) -> Result<T, D::Error> {
    text(deserializer, is_valid_model_name, "a valid model name")
}

/// Reads the base URL of an API.
pub(crate) fn url<'de, D: Deserializer<'de>, T: From<String>>(deserializer: D) -> Result<T, D::Error> {
    base_url(&String::deserialize(deserializer)?).map(T::from).map_err(D::Error::custom)
}

/// Reads text that passes a check.
pub(crate) fn text<'de, D: Deserializer<'de>, T: From<String>>(
    deserializer: D,
    is_valid: fn(&str) -> bool,
    wanted: &str,
) -> Result<T, D::Error> {
    match String::deserialize(deserializer) {
        Ok(text) if is_valid(&text) => Ok(text.into()),
        _ => Err(D::Error::custom(format!("is not {wanted}"))),
    }
}

/// Reads a word of an enum, which serde would read from an object with the word as its key too.
pub(crate) fn string_enum<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    T::deserialize(String::deserialize(deserializer)?.into_deserializer())
}

/// Reads such a word of a field that may be absent.
pub(crate) fn optional_string_enum<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    string_enum(deserializer).map(Some)
}

/// Reads a list of such words.
pub(crate) fn string_enum_list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let words = Vec::<String>::deserialize(deserializer)?;
    words.into_iter().map(|word| T::deserialize(word.into_deserializer())).collect()
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
