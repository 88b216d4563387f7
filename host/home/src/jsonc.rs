//! JSON, with or without comments, changed by the smallest insertions and removals.

mod splice;
#[cfg(test)]
mod tests;

use std::ops::Range;

use jsonc_parser::ast::{Object, ObjectProp, Value as Node};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use serde_json::{Map, Value};

use self::splice::{Edits, inserted, newline, pretty, removed};
use crate::json::{self, Parsed};

/// Comments and trailing commas, which editors allow in their settings. Everything else is as strict as JSON.
const LENIENT: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_loose_object_property_names: false,
    allow_trailing_commas: true,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

const BOM: &str = "\u{feff}";

/// The text of an object, of which an edit touches no byte besides what it adds or removes. It may contain comments, as
/// the files of other tools do.
#[derive(Debug, Clone)]
pub struct Jsonc {
    text: String,
    has_bom: bool,
    value: Value,
}

impl Jsonc {
    /// Parses a file; an empty one is an empty object.
    ///
    /// # Errors
    ///
    /// The end of a sentence about the file.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() as u64 > json::MAX_BYTES {
            return Err(format!("is larger than {} MiB", json::MAX_BYTES >> 20));
        }
        let text = str::from_utf8(bytes).map_err(|e| format!("is not UTF-8: byte {}", e.valid_up_to()))?;
        let (has_bom, text) = text.strip_prefix(BOM).map_or((false, text), |rest| (true, rest));
        let value = if text.trim().is_empty() { Value::Object(Map::new()) } else { read(text)? };
        Ok(Self { text: text.to_owned(), has_bom, value })
    }

    /// Parses a file without comments and trailing commas; an empty one is refused.
    pub(crate) fn parse_strict(bytes: &[u8]) -> Result<Self, String> {
        let parsed = json::parse(bytes)?;
        let text = String::from_utf8_lossy(bytes);
        let text = text.strip_prefix(BOM).unwrap_or(&text).to_owned();
        Ok(Self { text, has_bom: parsed.bom, value: object(undoubled(parsed)?)? })
    }

    /// The whole object.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The value at a path of keys.
    pub fn get(&self, path: &[&str]) -> Option<&Value> {
        path.iter().try_fold(&self.value, |value, key| value.as_object()?.get(*key))
    }

    /// The file's text.
    pub fn text(&self) -> String {
        let bom = if self.has_bom { BOM } else { "" };
        format!("{bom}{}", self.text)
    }

    /// Sets a value, and adds the objects on the way. An equal value changes nothing.
    ///
    /// # Errors
    ///
    /// The end of a sentence about the file, which is then as before.
    pub fn set(&mut self, path: &[&str], value: &Value) -> Result<(), String> {
        if self.get(path) == Some(value) {
            return Ok(());
        }
        let mut wanted = self.value.clone();
        put(&mut wanted, path, value)?;
        self.edit(wanted, |text, root| {
            let Some(root) = root else {
                return Ok(vec![(0..text.len(), pretty(&nested(path, value), text, 0) + newline(text))]);
            };
            let (mut object, mut depth) = (root, 1);
            for (at, key) in path.iter().enumerate() {
                let rest = &path[at + 1..];
                match object.properties.iter().find(|p| p.name.as_str() == *key) {
                    None => return Ok(insertion(text, object, depth, key, &nested(rest, value))),
                    Some(property) if rest.is_empty() => {
                        let range = property.value.range();
                        return Ok(vec![(range.start..range.end, pretty(value, text, depth))]);
                    }
                    Some(property) => {
                        object = property.value.as_object().ok_or_else(|| not_an_object(key))?;
                        depth += 1;
                    }
                }
            }
            Err("cannot be set as a whole".into())
        })
    }

    /// Adds an item to a list, and the list if there is none. An item that is there changes nothing.
    ///
    /// # Errors
    ///
    /// As for [`Jsonc::set`].
    pub fn append(&mut self, path: &[&str], item: &Value) -> Result<(), String> {
        let mut items = match self.get(path) {
            None => return self.set(path, &Value::Array(vec![item.clone()])),
            Some(Value::Array(items)) if items.contains(item) => return Ok(()),
            Some(Value::Array(items)) => items.clone(),
            Some(_) => return Err(format!("has a `{}` that is not a list", path.join("."))),
        };
        items.push(item.clone());
        let mut wanted = self.value.clone();
        put(&mut wanted, path, &Value::Array(items))?;
        let depth = path.len();
        self.edit(wanted, |text, root| {
            let array = find(root, path).and_then(|property| property.value.as_array()).ok_or("has no such list")?;
            let parts: Vec<Range<usize>> = array.elements.iter().map(|e| e.range()).map(|r| r.start..r.end).collect();
            Ok(inserted(text, array.range.start..array.range.end, &parts, depth, |at| pretty(item, text, at)))
        })
    }

    /// Removes a value; returns whether it was there.
    ///
    /// # Errors
    ///
    /// As for [`Jsonc::set`].
    pub fn remove(&mut self, path: &[&str]) -> Result<bool, String> {
        let Some((last, parents)) = path.split_last() else { return Ok(false) };
        let mut wanted = self.value.clone();
        let parent = parents.iter().try_fold(&mut wanted, |value, key| value.get_mut(*key));
        if parent.and_then(Value::as_object_mut).and_then(|map| map.shift_remove(*last)).is_none() {
            return Ok(false);
        }
        self.edit(wanted, |text, root| {
            let object = match parents {
                [] => root,
                parents => find(root, parents).and_then(|property| property.value.as_object()),
            };
            let object = object.ok_or("has no such object")?;
            let parts: Vec<Range<usize>> = object.properties.iter().map(|p| p.range.start..p.range.end).collect();
            let at = object.properties.iter().position(|p| p.name.as_str() == *last).ok_or("has no such key")?;
            Ok(removed(text, object.range.start..object.range.end, &parts, at))
        })?;
        Ok(true)
    }

    /// Removes an item from a list; returns whether it was there.
    ///
    /// # Errors
    ///
    /// As for [`Jsonc::set`].
    pub fn remove_item(&mut self, path: &[&str], item: &Value) -> Result<bool, String> {
        let Some(Value::Array(items)) = self.get(path) else { return Ok(false) };
        let Some(position) = items.iter().position(|other| other == item) else { return Ok(false) };
        let mut items = items.clone();
        items.remove(position);
        let mut wanted = self.value.clone();
        put(&mut wanted, path, &Value::Array(items))?;
        self.edit(wanted, |text, root| {
            let array = find(root, path).and_then(|property| property.value.as_array()).ok_or("has no such list")?;
            let parts: Vec<Range<usize>> = array.elements.iter().map(|e| e.range()).map(|r| r.start..r.end).collect();
            Ok(removed(text, array.range.start..array.range.end, &parts, position))
        })?;
        Ok(true)
    }

    /// Replaces parts of the text, which must then have the value `wanted`: a bug here never reaches a user's file.
    fn edit(
        &mut self,
        wanted: Value,
        edits: impl FnOnce(&str, Option<&Object<'_>>) -> Result<Edits, String>,
    ) -> Result<(), String> {
        let parsed = parse_to_ast(&self.text, &CollectOptions::default(), &LENIENT);
        let root = parsed.map_err(|e| format!("is not JSON: {e}"))?.value;
        let mut edits = edits(&self.text, root.as_ref().and_then(|root| root.as_object()))?;
        edits.sort_by_key(|(range, _)| std::cmp::Reverse((range.start, range.end)));
        drop(root);
        let mut text = self.text.clone();
        for (range, new) in edits {
            text.replace_range(range, &new);
        }
        if read(&text).as_ref() != Ok(&wanted) {
            return Err("could not be edited without loss; nothing was changed".into());
        }
        (self.text, self.value) = (text, wanted);
        Ok(())
    }
}

/// The value of a text without doubtful content.
fn read(text: &str) -> Result<Value, String> {
    // Positions of errors, and doubled keys, as everywhere else.
    let value = match json::parse(text.as_bytes()) {
        Ok(parsed) => undoubled(parsed)?,
        Err(_) => {
            let parsed = parse_to_ast(text, &CollectOptions::default(), &LENIENT);
            let node = parsed.map_err(|e| format!("is not JSON: {e}"))?.value;
            let node = node.ok_or("is not a JSON object")?;
            if let Some(key) = doubled(&node, 0)? {
                return Err(twice(&key));
            }
            jsonc_parser::parse_to_serde_value(text, &LENIENT).map_err(|e| format!("is not JSON: {e}"))?
        }
    };
    object(value)
}

/// The value of a document in which no object has a key twice: don't guess which of the two another tool reads.
fn undoubled(parsed: Parsed) -> Result<Value, String> {
    parsed.duplicates.first().map_or(Ok(parsed.value), |key| Err(twice(key)))
}

fn object(value: Value) -> Result<Value, String> {
    if value.is_object() { Ok(value) } else { Err("is not a JSON object".into()) }
}

fn twice(key: &str) -> String {
    format!("contains the key `{}` twice", aiw_core::one_line(key, 80))
}

/// A key that an object has twice.
fn doubled(node: &Node<'_>, depth: usize) -> Result<Option<String>, String> {
    // serde_json's own limit.
    if depth > 127 {
        return Err("is not JSON: recursion limit exceeded".into());
    }
    match node {
        Node::Object(object) => {
            let mut seen = std::collections::HashSet::new();
            for property in &object.properties {
                if !seen.insert(property.name.as_str()) {
                    return Ok(Some(property.name.as_str().to_owned()));
                }
                if let Some(key) = doubled(&property.value, depth + 1)? {
                    return Ok(Some(key));
                }
            }
            Ok(None)
        }
        Node::Array(array) => {
            for element in &array.elements {
                if let Some(key) = doubled(element, depth + 1)? {
                    return Ok(Some(key));
                }
            }
            Ok(None)
        }
        _ => Ok(None),
    }
}

fn not_an_object(key: &str) -> String {
    format!("has a `{}` that is not an object", aiw_core::one_line(key, 80))
}

fn put(value: &mut Value, path: &[&str], new: &Value) -> Result<(), String> {
    let Some((first, rest)) = path.split_first() else {
        *value = new.clone();
        return Ok(());
    };
    let map = value.as_object_mut().ok_or_else(|| not_an_object(first))?;
    match map.get_mut(*first) {
        Some(inner) if !rest.is_empty() && !inner.is_object() => Err(not_an_object(first)),
        Some(inner) => put(inner, rest, new),
        None => {
            map.insert((*first).to_owned(), nested(rest, new));
            Ok(())
        }
    }
}

/// A value inside the objects of a path.
fn nested(path: &[&str], value: &Value) -> Value {
    path.iter()
        .rev()
        .fold(value.clone(), |inner, key| Value::Object([((*key).to_owned(), inner)].into_iter().collect()))
}

fn find<'a, 'b>(root: Option<&'a Object<'b>>, path: &[&str]) -> Option<&'a ObjectProp<'b>> {
    let (last, parents) = path.split_last()?;
    let property = |object: &'a Object<'b>, key: &str| object.properties.iter().find(|p| p.name.as_str() == key);
    let object = parents.iter().try_fold(root?, |object, key| property(object, key)?.value.as_object())?;
    property(object, last)
}

fn insertion(text: &str, object: &Object<'_>, depth: usize, key: &str, value: &Value) -> Edits {
    let parts: Vec<Range<usize>> = object.properties.iter().map(|p| p.range.start..p.range.end).collect();
    inserted(text, object.range.start..object.range.end, &parts, depth, |at| {
        let value = if at == 0 { value.to_string() } else { pretty(value, text, at) };
        format!("{}: {value}", Value::from(key))
    })
}
