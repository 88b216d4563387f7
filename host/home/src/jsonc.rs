//! JSON, with or without comments, changed by the smallest insertions and removals.

mod surrogates;
#[cfg(test)]
mod tests;

use std::ops::Range;

use jsonc_parser::ast::{Object, ObjectProp, Value as Node};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use serde_json::{Map, Value};

use crate::config_tree::{ConfigTree, not_a_table_message};
use crate::json::{self, ParsedJson};
use crate::jsonc::surrogates::MarkedText;
use crate::splice::{CommentStyle, Edits, apply_edits, insert_item, newline, pretty, remove_item};

/// Comments and trailing commas, which editors allow in their settings. Everything else is as strict as JSON.
const LENIENT_OPTIONS: ParseOptions = ParseOptions {
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
    /// With characters in place of unpaired surrogates, which no parser takes.
    text: MarkedText,
    has_bom: bool,
    /// With U+FFFD in their place.
    value: Value,
}

impl Jsonc {
    /// Parses a file; an empty one is an empty object.
    ///
    /// # Errors
    ///
    /// The end of a sentence about the file.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let (has_bom, text) = decode(bytes)?;
        let value = if text.trim().is_empty() { Value::Object(Map::new()) } else { text.lossy_value(read(&text)?) };
        Ok(Self { text, has_bom, value })
    }

    /// Parses a file without comments and trailing commas; an empty one is refused.
    pub(crate) fn parse_strict(bytes: &[u8]) -> Result<Self, String> {
        let (has_bom, text) = decode(bytes)?;
        let value = text.lossy_value(object(undoubled(json::parse(text.as_bytes())?)?)?);
        Ok(Self { text, has_bom, value })
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
        format!("{bom}{}", self.text.unmarked())
    }

    /// The whole object, with its numbers as they are written.
    ///
    /// # Errors
    ///
    /// The end of a sentence about the file.
    pub fn tree(&self) -> Result<ConfigTree, String> {
        self.marked_tree().map(|tree| self.text.lossy_tree(tree))
    }

    /// The whole object, with the characters that stand for unpaired surrogates.
    fn marked_tree(&self) -> Result<ConfigTree, String> {
        with_root(&self.text, |root| root.map_or_else(ConfigTree::empty, tree_of))
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
        self.set_tree(path, &value.into())
    }

    /// Sets a value, and adds the objects on the way. An equal value that is written alike changes nothing.
    ///
    /// # Errors
    ///
    /// As for [`Jsonc::set`].
    pub fn set_tree<K: AsRef<str>>(&mut self, path: &[K], value: &ConfigTree) -> Result<(), String> {
        let mut wanted = self.marked_tree()?;
        if wanted.get(path) == Some(value) {
            return Ok(());
        }
        wanted.put(path, value.clone())?;
        self.edit(wanted, |text, root| {
            let Some(root) = root else {
                let whole = ConfigTree::nested(path, value.clone());
                return Ok(vec![(0..text.len(), pretty(&whole, text, 0) + newline(text))]);
            };
            let (mut object, mut depth) = (root, 1);
            for (at, key) in path.iter().enumerate() {
                let (key, rest) = (key.as_ref(), &path[at + 1..]);
                match object.properties.iter().find(|p| p.name.as_str() == key) {
                    None => return Ok(insertion(text, object, depth, key, &ConfigTree::nested(rest, value.clone()))),
                    Some(property) if rest.is_empty() => {
                        let range = property.value.range();
                        return Ok(vec![(range.start..range.end, pretty(value, text, depth))]);
                    }
                    Some(property) => {
                        object = property.value.as_object().ok_or_else(|| not_a_table_message(key))?;
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
        match self.get(path) {
            Some(Value::Array(items)) if items.contains(item) => Ok(()),
            _ => self.append_tree(path, &item.into()),
        }
    }

    /// Adds an item to a list, and the list if there is none. An item that is there and written alike changes nothing.
    ///
    /// # Errors
    ///
    /// As for [`Jsonc::set`].
    pub fn append_tree<K: AsRef<str>>(&mut self, path: &[K], item: &ConfigTree) -> Result<(), String> {
        let mut wanted = self.marked_tree()?;
        let mut items = match wanted.get(path) {
            None => return self.set_tree(path, &ConfigTree::List(vec![item.clone()])),
            Some(ConfigTree::List(items)) if items.contains(item) => return Ok(()),
            Some(ConfigTree::List(items)) => items.clone(),
            Some(_) => return Err(not_a_list(path)),
        };
        items.push(item.clone());
        wanted.put(path, ConfigTree::List(items))?;
        self.edit(wanted, |text, root| {
            let array = find(root, path).and_then(|property| property.value.as_array()).ok_or("has no such list")?;
            let parts = ranges(&array.elements);
            let whole = array.range.start..array.range.end;
            let new = |at| pretty(item, text, at);
            Ok(insert_item(text, whole, &parts, path.len(), CommentStyle::Slashes, new))
        })
    }

    /// Removes a value; returns whether it was there.
    ///
    /// # Errors
    ///
    /// As for [`Jsonc::set`].
    pub fn remove<K: AsRef<str>>(&mut self, path: &[K]) -> Result<bool, String> {
        let Some((last, parents)) = path.split_last() else { return Ok(false) };
        let mut wanted = self.marked_tree()?;
        if wanted.take(path).is_none() {
            return Ok(false);
        }
        self.edit(wanted, |text, root| {
            let object = match parents {
                [] => root,
                parents => find(root, parents).and_then(|property| property.value.as_object()),
            };
            let object = object.ok_or("has no such object")?;
            let parts = ranges(&object.properties);
            let at =
                object.properties.iter().position(|p| p.name.as_str() == last.as_ref()).ok_or("has no such key")?;
            Ok(remove_item(text, object.range.start..object.range.end, &parts, at, CommentStyle::Slashes))
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
        // As it is written.
        let tree = self.marked_tree()?;
        let item = tree.get(path).and_then(|list| list.as_list()?.get(position)).ok_or("has no such list")?;
        self.remove_tree(path, &item.clone())
    }

    /// Removes an item that is written alike from a list; returns whether it was there.
    ///
    /// # Errors
    ///
    /// As for [`Jsonc::set`].
    pub fn remove_tree<K: AsRef<str>>(&mut self, path: &[K], item: &ConfigTree) -> Result<bool, String> {
        let mut wanted = self.marked_tree()?;
        let Some(ConfigTree::List(items)) = wanted.get(path) else { return Ok(false) };
        let Some(position) = items.iter().position(|other| other == item) else { return Ok(false) };
        let mut items = items.clone();
        items.remove(position);
        wanted.put(path, ConfigTree::List(items))?;
        self.edit(wanted, |text, root| {
            let array = find(root, path).and_then(|property| property.value.as_array()).ok_or("has no such list")?;
            let parts = ranges(&array.elements);
            Ok(remove_item(text, array.range.start..array.range.end, &parts, position, CommentStyle::Slashes))
        })?;
        Ok(true)
    }

    /// Replaces strings, wherever they are. A path has the keys of objects and the places in lists.
    ///
    /// # Errors
    ///
    /// As for [`Jsonc::set`].
    pub fn replace_strings(&mut self, mut new: impl FnMut(&[String], &str) -> Option<String>) -> Result<(), String> {
        let mut wanted = self.marked_tree()?;
        wanted.replace_strings(&mut Vec::new(), &mut new);
        self.edit(wanted, |_, root| {
            let mut edits = Vec::new();
            if let Some(root) = root {
                for property in &root.properties {
                    strings_of(&property.value, &mut vec![property.name.as_str().to_owned()], &mut new, &mut edits);
                }
            }
            Ok(edits)
        })
    }

    /// Replaces parts of the text, which must then have the value `wanted`: a bug here never reaches a user's file.
    fn edit(
        &mut self,
        wanted: ConfigTree,
        edits: impl FnOnce(&str, Option<&Object<'_>>) -> Result<Edits, String>,
    ) -> Result<(), String> {
        let mut edits = with_root(&self.text, |root| edits(&self.text, root))??;
        edits.sort_by_key(|(range, _)| std::cmp::Reverse((range.start, range.end)));
        let text = apply_edits(&self.text, &edits);
        let is_wanted = with_root(&text, |root| root.map(tree_of)).is_ok_and(|tree| tree.as_ref() == Some(&wanted));
        match read(&text) {
            Ok(value) if is_wanted => {
                self.text.replace(text);
                self.value = self.text.lossy_value(value);
            }
            _ => return Err("could not be edited without loss; nothing was changed".into()),
        }
        Ok(())
    }
}

/// The text of a file, and whether a byte order mark stood before it.
fn decode(bytes: &[u8]) -> Result<(bool, MarkedText), String> {
    if bytes.len() as u64 > json::MAX_BYTES {
        return Err(format!("is larger than {} MiB", json::MAX_BYTES >> 20));
    }
    let text = str::from_utf8(bytes).map_err(|e| format!("is not UTF-8: byte {}", e.valid_up_to()))?;
    let (has_bom, text) = text.strip_prefix(BOM).map_or((false, text), |rest| (true, rest));
    Ok((has_bom, MarkedText::new(text)))
}

/// Runs something with the object of a text.
fn with_root<T>(text: &str, then: impl FnOnce(Option<&Object<'_>>) -> T) -> Result<T, String> {
    let parsed = parse_to_ast(text, &CollectOptions::default(), &LENIENT_OPTIONS);
    let root = parsed.map_err(|e| format!("is not JSON: {e}"))?.value;
    Ok(then(root.as_ref().and_then(|root| root.as_object())))
}

fn ranges(parts: &[impl Ranged]) -> Vec<Range<usize>> {
    parts.iter().map(Ranged::range).map(|range| range.start..range.end).collect()
}

/// The value of an object. Its depth is that of a text that was read.
fn tree_of(object: &Object<'_>) -> ConfigTree {
    let fields = object.properties.iter().map(|p| (p.name.as_str().to_owned(), value_of(&p.value)));
    ConfigTree::Table(fields.collect())
}

fn value_of(node: &Node<'_>) -> ConfigTree {
    match node {
        Node::StringLit(text) => ConfigTree::Text(text.value.to_string()),
        Node::NumberLit(number) => ConfigTree::Number(number.value.to_owned()),
        Node::BooleanLit(flag) => ConfigTree::Bool(flag.value),
        Node::Object(object) => tree_of(object),
        Node::Array(array) => ConfigTree::List(array.elements.iter().map(value_of).collect()),
        Node::NullKeyword(_) => ConfigTree::Null,
    }
}

/// The edits that replace strings in a value.
fn strings_of(
    node: &Node<'_>,
    path: &mut Vec<String>,
    new: &mut impl FnMut(&[String], &str) -> Option<String>,
    edits: &mut Edits,
) {
    match node {
        Node::StringLit(text) => {
            let range = text.range.start..text.range.end;
            edits.extend(new(path, &text.value).map(|new| (range, Value::from(new).to_string())));
        }
        Node::Object(object) => {
            for property in &object.properties {
                path.push(property.name.as_str().to_owned());
                strings_of(&property.value, path, new, edits);
                path.pop();
            }
        }
        Node::Array(array) => {
            for (at, element) in array.elements.iter().enumerate() {
                path.push(at.to_string());
                strings_of(element, path, new, edits);
                path.pop();
            }
        }
        _ => {}
    }
}

/// The value of a text without doubtful content.
fn read(text: &str) -> Result<Value, String> {
    // Positions of errors, and doubled keys, as everywhere else.
    let value = match json::parse(text.as_bytes()) {
        Ok(parsed) => undoubled(parsed)?,
        Err(_) => {
            let parsed = parse_to_ast(text, &CollectOptions::default(), &LENIENT_OPTIONS);
            let node = parsed.map_err(|e| format!("is not JSON: {e}"))?.value;
            let node = node.ok_or("is not a JSON object")?;
            if let Some(key) = doubled(&node, 0)? {
                return Err(twice(&key));
            }
            jsonc_parser::parse_to_serde_value(text, &LENIENT_OPTIONS).map_err(|e| format!("is not JSON: {e}"))?
        }
    };
    object(value)
}

/// The value of a document in which no object has a key twice: don't guess which of the two another tool reads.
fn undoubled(parsed: ParsedJson) -> Result<Value, String> {
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

fn not_a_list<K: AsRef<str>>(path: &[K]) -> String {
    let path: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
    format!("has a `{}` that is not a list", aiw_core::one_line(&path.join("."), 80))
}

fn find<'a, 'b, K: AsRef<str>>(root: Option<&'a Object<'b>>, path: &[K]) -> Option<&'a ObjectProp<'b>> {
    let (last, parents) = path.split_last()?;
    let property = |object: &'a Object<'b>, key: &str| object.properties.iter().find(|p| p.name.as_str() == key);
    let object = parents.iter().try_fold(root?, |object, key| property(object, key.as_ref())?.value.as_object())?;
    property(object, last.as_ref())
}

fn insertion(text: &str, object: &Object<'_>, depth: usize, key: &str, value: &ConfigTree) -> Edits {
    let parts = ranges(&object.properties);
    insert_item(text, object.range.start..object.range.end, &parts, depth, CommentStyle::Slashes, |at| {
        let value = if at == 0 { value.json_text() } else { pretty(value, text, at) };
        format!("{}: {value}", Value::from(key))
    })
}
