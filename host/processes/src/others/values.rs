//! Values of YAML as these files write them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

/// The fields of an object.
pub(crate) type ObjectFields = Map<String, Value>;

/// Returns a scalar as text.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(is) => Some(is.to_string()),
        _ => None,
    }
}

/// Returns a list of scalars, or a single one as a list.
pub(crate) fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(items) => items.iter().map(text).collect(),
        Value::Null => Some(Vec::new()),
        value => text(value).map(|text| vec![text]),
    }
}

/// Returns variables that are written as an object or as a list of `NAME=VALUE`. Those without a value are `None`.
pub(crate) fn pairs(value: &Value) -> Option<BTreeMap<String, Option<String>>> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (!value.is_object() && !value.is_array()).then(|| (name.clone(), text(value))))
            .collect(),
        Value::Array(items) => {
            let pair = |item: String| match item.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (item, None),
            };
            items.iter().map(|item| text(item).map(pair)).collect()
        }
        Value::Null => Some(BTreeMap::new()),
        _ => None,
    }
}

/// Returns a time such as `1m30s`, `500ms` or a number of seconds.
pub(crate) fn time(value: &Value) -> Option<Duration> {
    if let Some(seconds) = value.as_f64() {
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

/// Puts variables into a text as docker-compose does: `$NAME`, `${NAME}`, `${NAME:-default}`, and `$$` for a dollar. Returns also
/// the names of those that have no value.
pub(crate) fn filled(text: &str, variables: &BTreeMap<String, String>) -> (String, Vec<String>) {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let (mut out, mut missing, mut left) = (String::new(), Vec::new(), text);
    while let Some(at) = left.find('$') {
        out.push_str(&left[..at]);
        left = &left[at + 1..];
        if let Some(rest) = left.strip_prefix('$') {
            (out, left) = (out + "$", rest);
            continue;
        }
        let (inner, rest) = match left.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some(parts) => parts,
            None => left.split_at(left.find(|c| !is_name(c)).unwrap_or(left.len())),
        };
        let end = inner.find(|c| !is_name(c)).unwrap_or(inner.len());
        let (name, how) = inner.split_at(end);
        if name.is_empty() {
            out.push('$');
            continue;
        }
        left = rest;
        let value = variables.get(name);
        let filled = match (how.split_at_checked(1), how.split_at_checked(2)) {
            (_, Some((":-", default))) => value.filter(|value| !value.is_empty()).cloned().or(Some(default.to_owned())),
            (_, Some((":+", other))) => {
                Some(value.filter(|value| !value.is_empty()).map(|_| other.to_owned()).unwrap_or_default())
            }
            (Some(("-", default)), _) => value.cloned().or(Some(default.to_owned())),
            (Some(("+", other)), _) => Some(value.map(|_| other.to_owned()).unwrap_or_default()),
            _ => value.cloned(),
        };
        match filled {
            Some(filled) => out.push_str(&filled),
            None => missing.push(name.to_owned()),
        }
    }
    (out + left, missing)
}
