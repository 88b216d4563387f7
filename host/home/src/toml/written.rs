//! Values as TOML.

use aiw_core::toml_string;
use indexmap::IndexMap;

use crate::config_tree::ConfigTree;

/// A section's text, headers and all: that of a table, or of an item of a list of tables.
pub(super) fn format_section(
    path: &str,
    fields: &IndexMap<String, ConfigTree>,
    newline: &str,
    is_item: bool,
) -> Result<String, String> {
    let mut text = if is_item { format!("[[{path}]]{newline}") } else { format!("[{path}]{newline}") };
    let mut inner = String::new();
    for (key, value) in fields {
        match value {
            // A table of tables gets a header, one of texts stands on its line.
            ConfigTree::Table(map) if map.values().any(|value| value.as_table().is_some()) => {
                inner.push_str(newline);
                inner.push_str(&format_section(&format!("{path}.{}", format_key(key)), map, newline, false)?);
            }
            value => text.push_str(&format!("{} = {}{newline}", format_key(key), format_inline_value(value)?)),
        }
    }
    Ok(text + &inner)
}

/// A value on one line.
pub(super) fn format_inline_value(value: &ConfigTree) -> Result<String, String> {
    Ok(match value {
        ConfigTree::Null => return Err("can't hold a null".into()),
        ConfigTree::Bool(flag) => flag.to_string(),
        ConfigTree::Number(text) | ConfigTree::Time(text) => text.clone(),
        ConfigTree::Text(text) => toml_string(text),
        ConfigTree::List(items) => {
            let items: Result<Vec<String>, String> = items.iter().map(format_inline_value).collect();
            format!("[{}]", items?.join(", "))
        }
        ConfigTree::Table(fields) if fields.is_empty() => "{}".into(),
        ConfigTree::Table(fields) => {
            let field = |(key, value): (&String, &ConfigTree)| {
                Ok(format!("{} = {}", format_key(key), format_inline_value(value)?))
            };
            let fields: Result<Vec<String>, String> = fields.iter().map(field).collect();
            format!("{{ {} }}", fields?.join(", "))
        }
    })
}

/// A value with its numbers as they are read back.
pub(super) fn canonicalize(value: &ConfigTree) -> ConfigTree {
    match value {
        ConfigTree::Number(text) => ConfigTree::Number(number(text)),
        ConfigTree::List(items) => ConfigTree::List(items.iter().map(canonicalize).collect()),
        ConfigTree::Table(fields) => {
            ConfigTree::Table(fields.iter().map(|(key, value)| (key.clone(), canonicalize(value))).collect())
        }
        other => other.clone(),
    }
}

fn number(text: &str) -> String {
    if let Ok(number) = text.parse::<i64>() {
        return number.to_string();
    }
    // An integer that is too large for TOML does not become a float.
    let is_float = text.contains(['.', 'e', 'E']);
    text.parse::<f64>()
        .ok()
        .filter(|number| is_float && number.is_finite())
        .map_or_else(|| text.to_owned(), format_float)
}

/// A float's text, which no integer has.
pub(super) fn format_float(number: f64) -> String {
    if number.is_nan() { "nan".into() } else { format!("{number:?}") }
}

/// A bare key where that is possible.
pub(super) fn format_key(key: &str) -> String {
    let is_bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if is_bare { key.to_owned() } else { toml_string(key) }
}

/// A dotted key.
pub(super) fn format_dotted_key<K: AsRef<str>>(path: &[K]) -> String {
    path.iter().map(|key| format_key(key.as_ref())).collect::<Vec<_>>().join(".")
}
