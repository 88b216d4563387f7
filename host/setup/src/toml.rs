//! TOML of other tools, changed by the smallest insertions and removals.

#[cfg(test)]
mod tests;

use std::ops::Range;

use aiw_core::toml_string;
use serde_json::{Map, Value};
use toml_edit::{Document, Item, TableLike, Value as Node};

const BOM: &str = "\u{feff}";

/// The longest file that is read, as for JSON.
const MAX_BYTES: u64 = aiw_home::json::MAX_BYTES;

/// A TOML file. An edit touches no byte besides what it adds or removes.
#[derive(Debug, Clone)]
pub(crate) struct Toml {
    text: String,
    has_bom: bool,
    value: Value,
}

impl Toml {
    /// Parses a file. The error is the end of a sentence about it.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() as u64 > MAX_BYTES {
            return Err(format!("is larger than {} MiB", MAX_BYTES >> 20));
        }
        let text = str::from_utf8(bytes).map_err(|e| format!("is not UTF-8: byte {}", e.valid_up_to()))?;
        let (has_bom, text) = text.strip_prefix(BOM).map_or((false, text), |rest| (true, rest));
        Ok(Self { text: text.to_owned(), has_bom, value: read(text)? })
    }

    pub(crate) fn value(&self) -> &Value {
        &self.value
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let bom = if self.has_bom { BOM } else { "" };
        format!("{bom}{}", self.text).into_bytes()
    }

    /// Sets a table in a table. An equal one changes nothing.
    pub(crate) fn set(&mut self, parent: &str, key: &str, value: &Map<String, Value>) -> Result<(), String> {
        let new = Value::Object(value.clone());
        match self.value.get(parent).and_then(|tables| tables.get(key)) {
            Some(old) if *old == new => return Ok(()),
            Some(_) => drop(self.remove(parent, key)?),
            None => {}
        }
        let mut wanted = self.value.clone();
        let tables = wanted.as_object_mut().map(|all| all.entry(parent).or_insert_with(|| Value::Object(Map::new())));
        let not_a_table = || format!("has a `{parent}` that is not a table");
        tables.and_then(Value::as_object_mut).ok_or_else(not_a_table)?.insert(key.to_owned(), new);
        let newline = if self.text.contains("\r\n") { "\r\n" } else { "\n" };
        let document = parsed(&self.text)?;
        let (at, new) = match document.get(parent) {
            // A table in braces can't be added to elsewhere.
            Some(Item::Value(Node::InlineTable(tables))) => {
                let end = tables.span().ok_or_else(not_a_table)?.end - 1;
                let at = self.text[..end].trim_end().len();
                let comma = if tables.is_empty() { "" } else { "," };
                (at, format!("{comma} {} = {}", name(key), inline(value)))
            }
            _ => {
                let end = if self.text.is_empty() || self.text.ends_with('\n') { "" } else { newline };
                let blank = if self.text.trim().is_empty() { "" } else { newline };
                let table = table(&format!("{}.{}", name(parent), name(key)), value, newline);
                (self.text.len(), format!("{end}{blank}{table}"))
            }
        };
        drop(document);
        let mut text = self.text.clone();
        text.insert_str(at, &new);
        self.replace(text, wanted)
    }

    /// Removes a table from a table; returns whether it was there.
    pub(crate) fn remove(&mut self, parent: &str, key: &str) -> Result<bool, String> {
        let mut wanted = self.value.clone();
        let tables = wanted.get_mut(parent).and_then(Value::as_object_mut);
        let Some(tables) = tables else { return Ok(false) };
        if tables.shift_remove(key).is_none() {
            return Ok(false);
        }
        let is_last = tables.is_empty();
        let document = parsed(&self.text)?;
        let mut places = Vec::new();
        match document.get(parent).and_then(Item::as_table_like) {
            Some(tables) if !document.get(parent).is_some_and(Item::is_value) => {
                lines_of(tables, key, &self.text, &mut places);
            }
            _ => return Err(format!("has a `{parent}` in one line, which aiw can't take an entry out of")),
        }
        let is_implied = document.get(parent).and_then(Item::as_table).is_some_and(|table| table.is_implicit());
        drop(document);
        if is_last
            && is_implied
            && let Some(all) = wanted.as_object_mut()
        {
            all.shift_remove(parent);
        }
        let mut text = self.text.clone();
        for range in joined(places, &self.text).into_iter().rev() {
            text.replace_range(range, "");
        }
        self.replace(text, wanted)?;
        Ok(true)
    }

    /// A bug here never reaches a user's file.
    fn replace(&mut self, text: String, wanted: Value) -> Result<(), String> {
        if read(&text).as_ref() != Ok(&wanted) {
            return Err("could not be edited without loss; nothing was changed".into());
        }
        (self.text, self.value) = (text, wanted);
        Ok(())
    }
}

/// The content as JSON, to compare with. TOML's numbers that JSON doesn't have, and its times, are compared as text.
fn read(text: &str) -> Result<Value, String> {
    let table: toml::Table = toml::from_str(text).map_err(|e| invalid(e.message()))?;
    Ok(Value::Object(table.iter().map(|(key, value)| (key.clone(), json(value))).collect()))
}

fn json(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::from(text.as_str()),
        toml::Value::Integer(number) => Value::from(*number),
        toml::Value::Boolean(flag) => Value::from(*flag),
        toml::Value::Float(number) if number.is_finite() => Value::from(*number),
        toml::Value::Array(items) => items.iter().map(json).collect(),
        toml::Value::Table(table) => Value::Object(table.iter().map(|(k, v)| (k.clone(), json(v))).collect()),
        other => Value::from(other.to_string()),
    }
}

fn parsed(text: &str) -> Result<Document<&str>, String> {
    Document::parse(text).map_err(|e| invalid(e.message()))
}

fn invalid(problem: &str) -> String {
    format!("is not TOML: {}", aiw_core::one_line(problem, 200))
}

/// A table's text, headers and all.
pub(crate) fn table(path: &str, value: &Map<String, Value>, newline: &str) -> String {
    let mut text = format!("[{path}]{newline}");
    let mut inner = String::new();
    for (key, value) in value {
        match value {
            // A table of tables gets a header, one of texts stands on its line.
            Value::Object(map) if map.values().any(Value::is_object) => {
                inner.push_str(newline);
                inner.push_str(&table(&format!("{path}.{}", name(key)), map, newline));
            }
            value => text.push_str(&format!("{} = {}{newline}", name(key), written(value))),
        }
    }
    text + &inner
}

fn inline(map: &Map<String, Value>) -> String {
    let fields: Vec<String> = map.iter().map(|(key, value)| format!("{} = {}", name(key), written(value))).collect();
    if fields.is_empty() { "{}".into() } else { format!("{{ {} }}", fields.join(", ")) }
}

fn written(value: &Value) -> String {
    match value {
        Value::Object(map) => inline(map),
        Value::Array(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(", ")),
        Value::String(text) => toml_string(text),
        Value::Null => "\"\"".into(),
        other => other.to_string(),
    }
}

/// A bare key where that is possible.
fn name(key: &str) -> String {
    let is_bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if is_bare { key.to_owned() } else { toml_string(key) }
}

/// Collects the lines that an entry of a table consists of: headers and values, wherever they are.
fn lines_of(table: &dyn TableLike, key: &str, text: &str, places: &mut Vec<Range<usize>>) {
    let Some((key, item)) = table.get_key_value(key) else { return };
    let lines = |range: Range<usize>| {
        let start = text[..range.start].rfind('\n').map_or(0, |line| line + 1);
        let end = text[range.end..].find('\n').map_or(text.len(), |end| range.end + end + 1);
        start..end
    };
    match item {
        Item::Table(inner) => {
            if let Some(header) = inner.span().filter(|_| !inner.is_implicit() && !inner.is_dotted()) {
                places.push(lines(header));
            }
            for (key, _) in inner.iter() {
                lines_of(inner, key, text, places);
            }
        }
        Item::ArrayOfTables(tables) => {
            for inner in tables.iter() {
                places.extend(inner.span().map(lines));
                for (key, _) in inner.iter() {
                    lines_of(inner, key, text, places);
                }
            }
        }
        item => {
            let (start, end) = (key.span(), item.span());
            places.extend(start.zip(end).map(|(start, end)| lines(start.start..end.end)));
        }
    }
}

/// Ranges of lines in order, those that touch as one. Of blank lines on both sides, one set goes.
fn joined(mut places: Vec<Range<usize>>, text: &str) -> Vec<Range<usize>> {
    places.sort_by_key(|range| range.start);
    let mut all: Vec<Range<usize>> = Vec::new();
    for range in places {
        match all.last_mut() {
            Some(last) if text[last.end.min(range.start)..range.start].trim().is_empty() => {
                last.end = last.end.max(range.end);
            }
            _ => all.push(range),
        }
    }
    for range in &mut all {
        let before = &text[..range.start];
        let is_apart = before.is_empty() || before.ends_with("\n\n") || before.ends_with("\n\r\n");
        let rest = &text[range.end..];
        let blank = rest.len() - rest.trim_start_matches(['\r', '\n']).len();
        if is_apart && blank > 0 {
            range.end += blank;
        } else if rest.is_empty() {
            // At the end, the blank line before it goes.
            let kept = before.trim_end_matches(['\r', '\n']);
            let newline = if before[kept.len()..].starts_with("\r\n") { 2 } else { 1 };
            range.start = range.start.min(kept.len() + newline);
        }
    }
    all
}
