//! Values of YAML as these files write them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

/// The fields of an object.
pub(crate) type ObjectFields = Map<String, Value>;

/// Returns a scalar as text.
pub(crate) fn scalar_to_string(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(is) => Some(is.to_string()),
        _ => None,
    }
}

/// Returns a number, which may be written as a text.
pub(crate) fn parse_number<T: std::str::FromStr>(value: &Value) -> Option<T> {
    scalar_to_string(value)?.trim().parse().ok()
}

/// Returns a boolean, as YAML 1.1 and these tools write it.
pub(crate) fn parse_bool(value: &Value) -> Option<bool> {
    match scalar_to_string(value)?.to_ascii_lowercase().as_str() {
        "true" | "yes" | "y" | "on" => Some(true),
        "false" | "no" | "n" | "off" => Some(false),
        _ => None,
    }
}

/// Returns a list of scalars, or a single one as a list.
pub(crate) fn parse_string_list(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(items) => items.iter().map(scalar_to_string).collect(),
        Value::Null => Some(Vec::new()),
        value => scalar_to_string(value).map(|text| vec![text]),
    }
}

/// Returns variables that are written as an object or as a list of `NAME=VALUE`. Those without a value are `None`.
pub(crate) fn parse_env(value: &Value) -> Option<BTreeMap<String, Option<String>>> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                (!value.is_object() && !value.is_array()).then(|| (name.clone(), scalar_to_string(value)))
            })
            .collect(),
        Value::Array(items) => {
            let pair = |item: String| match item.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (item, None),
            };
            items.iter().map(|item| scalar_to_string(item).map(pair)).collect()
        }
        Value::Null => Some(BTreeMap::new()),
        _ => None,
    }
}

/// Returns a time such as `1m30s`, `500ms` or a number of seconds.
pub(crate) fn parse_duration(value: &Value) -> Option<Duration> {
    if let Some(seconds) = parse_number::<f64>(value) {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let mut left = value.as_str()?.trim();
    let mut sum = Duration::ZERO;
    while !left.is_empty() {
        let digits = left.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = left[..digits].parse().ok()?;
        left = &left[digits..];
        let unit = left.find(|c: char| c.is_ascii_digit()).unwrap_or(left.len());
        let seconds = match &left[..unit] {
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        left = &left[unit..];
        sum = sum.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
    }
    Some(sum)
}
