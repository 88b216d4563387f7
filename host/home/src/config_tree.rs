//! Values of configuration, as JSON and TOML have them.

use std::hash::{Hash, Hasher};

use indexmap::IndexMap;
use serde_json::Value;

/// A value of a file of configuration. It loses nothing of what JSON and TOML can say: numbers keep their text, and TOML's times are
/// no texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigTree {
    /// JSON's `null`.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number, as it is written.
    Number(String),
    /// A time or date of TOML, as it is written.
    Time(String),
    /// A string.
    Text(String),
    /// A list.
    List(Vec<ConfigTree>),
    /// An object or a table. Two with the same keys in another order are equal.
    Table(IndexMap<String, ConfigTree>),
}

impl Hash for ConfigTree {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Self::Null => {}
            Self::Bool(flag) => flag.hash(state),
            Self::Number(text) | Self::Time(text) | Self::Text(text) => text.hash(state),
            Self::List(items) => items.hash(state),
            Self::Table(table) => {
                let mut keys: Vec<_> = table.iter().collect();
                keys.sort_by_key(|(key, _)| *key);
                keys.hash(state);
            }
        }
    }
}

impl From<&Value> for ConfigTree {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(flag) => Self::Bool(*flag),
            Value::Number(number) => Self::Number(number.to_string()),
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Object(map) => Self::Table(map.iter().map(|(key, value)| (key.clone(), value.into())).collect()),
        }
    }
}

impl FromIterator<(String, ConfigTree)> for ConfigTree {
    fn from_iter<I: IntoIterator<Item = (String, ConfigTree)>>(fields: I) -> Self {
        Self::Table(fields.into_iter().collect())
    }
}

impl ConfigTree {
    /// A table without keys.
    pub fn empty() -> Self {
        Self::Table(IndexMap::new())
    }

    /// The keys of a table.
    pub fn as_table(&self) -> Option<&IndexMap<String, Self>> {
        if let Self::Table(table) = self { Some(table) } else { None }
    }

    /// The items of a list.
    pub fn as_list(&self) -> Option<&[Self]> {
        if let Self::List(items) = self { Some(items) } else { None }
    }

    /// The value at a path of keys.
    pub fn get<K: AsRef<str>>(&self, path: &[K]) -> Option<&Self> {
        path.iter().try_fold(self, |tree, key| tree.as_table()?.get(key.as_ref()))
    }

    /// Sets a value, and adds the tables on the way.
    ///
    /// # Errors
    ///
    /// The end of a sentence about a file with a value on the way that is not a table; nothing is changed then.
    pub fn put<K: AsRef<str>>(&mut self, path: &[K], new: Self) -> Result<(), String> {
        let Some((first, rest)) = path.split_first() else {
            *self = new;
            return Ok(());
        };
        let Self::Table(table) = self else { return Err("is not a table".into()) };
        match table.get_mut(first.as_ref()) {
            Some(inner) if !rest.is_empty() && inner.as_table().is_none() => Err(not_a_table_message(first.as_ref())),
            Some(inner) => inner.put(rest, new),
            None => {
                table.insert(first.as_ref().to_owned(), Self::nested(rest, new));
                Ok(())
            }
        }
    }

    /// Takes a value out of its table.
    pub fn take<K: AsRef<str>>(&mut self, path: &[K]) -> Option<Self> {
        let (last, parents) = path.split_last()?;
        let parent = parents.iter().try_fold(self, |tree, key| match tree {
            Self::Table(table) => table.get_mut(key.as_ref()),
            _ => None,
        })?;
        let Self::Table(table) = parent else { return None };
        table.shift_remove(last.as_ref())
    }

    /// A value inside the tables of a path.
    pub fn nested<K: AsRef<str>>(path: &[K], value: Self) -> Self {
        path.iter()
            .rev()
            .fold(value, |inner, key| Self::Table([(key.as_ref().to_owned(), inner)].into_iter().collect()))
    }

    /// Replaces strings, wherever they are. A path has the keys of tables and the places in lists.
    pub fn replace_strings(&mut self, path: &mut Vec<String>, new: &mut impl FnMut(&[String], &str) -> Option<String>) {
        match self {
            Self::Text(text) => {
                if let Some(new) = new(path, text) {
                    *text = new;
                }
            }
            Self::List(items) => {
                for (at, item) in items.iter_mut().enumerate() {
                    path.push(at.to_string());
                    item.replace_strings(path, new);
                    path.pop();
                }
            }
            Self::Table(table) => {
                for (key, value) in table {
                    path.push(key.clone());
                    value.replace_strings(path, new);
                    path.pop();
                }
            }
            _ => {}
        }
    }

    /// The value as JSON, for a reader: a number that JSON doesn't have, and a time, are texts.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(flag) => Value::from(*flag),
            Self::Number(text) => number(text),
            Self::Time(text) | Self::Text(text) => Value::from(text.as_str()),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Table(table) => {
                Value::Object(table.iter().map(|(key, value)| (key.clone(), value.to_json())).collect())
            }
        }
    }

    /// The value on one line of JSON. Numbers keep their text.
    pub fn json_text(&self) -> String {
        match self {
            Self::Null => "null".into(),
            Self::Bool(flag) => flag.to_string(),
            Self::Number(text) => text.clone(),
            Self::Time(text) | Self::Text(text) => Value::from(text.as_str()).to_string(),
            Self::List(items) => {
                format!("[{}]", items.iter().map(Self::json_text).collect::<Vec<_>>().join(","))
            }
            Self::Table(table) => {
                let fields =
                    table.iter().map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), value.json_text()));
                format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
            }
        }
    }
}

pub(crate) fn not_a_table_message(key: &str) -> String {
    format!("has a `{}` that is not an object", aiw_core::one_line(key, 80))
}

/// A number as JSON's reader gives it, if it keeps its value there.
fn number(text: &str) -> Value {
    if let Ok(number) = text.parse::<i64>() {
        return number.into();
    }
    if let Ok(number) = text.parse::<u64>() {
        return number.into();
    }
    let is_whole = !text.contains(['.', 'e', 'E']);
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && !is_whole => number.into(),
        _ => text.into(),
    }
}
