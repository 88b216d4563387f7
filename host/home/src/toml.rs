//! TOML of other tools, changed by the smallest insertions and removals.

mod places;
#[cfg(test)]
mod tests;
mod written;

use std::ops::Range;

use toml_edit::{ArrayOfTables, Document, Item, Value as Node};

use self::places::{KeyLocation, entries, entry_lines, merge_ranges, preamble_end, table_lines};
use self::written::{canonicalize, format_dotted_key, format_inline_value, format_key, format_section};
use crate::config_tree::{ConfigTree, not_a_table_message};
use crate::json;
use crate::splice::{CommentStyle, Edits, apply_edits, insert_item, newline, remove_item};

const BOM: &str = "\u{feff}";

/// The text of a TOML file, of which an edit touches no byte besides what it adds or removes.
#[derive(Debug, Clone)]
pub struct Toml {
    text: String,
    has_bom: bool,
    tree: ConfigTree,
}

impl Toml {
    /// Parses a file.
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
        Ok(Self { text: text.to_owned(), has_bom, tree: read(text)? })
    }

    /// The content, of which nothing is lost.
    pub fn tree(&self) -> &ConfigTree {
        &self.tree
    }

    /// The file's text.
    pub fn text(&self) -> String {
        let bom = if self.has_bom { BOM } else { "" };
        format!("{bom}{}", self.text)
    }

    /// Sets a value, and adds the tables on the way. An equal value changes nothing.
    ///
    /// # Errors
    ///
    /// The end of a sentence about the file, which is then as before.
    pub fn set_tree<K: AsRef<str>>(&mut self, path: &[K], value: &ConfigTree) -> Result<(), String> {
        let value = canonicalize(value);
        if self.tree.get(path) == Some(&value) {
            return Ok(());
        }
        let mut wanted = self.tree.clone();
        wanted.put(path, value.clone())?;
        let document = parsed(&self.text)?;
        let place = KeyLocation::find(&document, path);
        let text = match place.item {
            Some(Item::Value(old)) if !old.as_inline_table().is_some_and(|table| table.is_dotted()) => {
                let range = old.span().ok_or("has a value without a place")?;
                apply_edits(&self.text, &[(range, format_inline_value(&value)?)])
            }
            Some(_) => {
                // Not one value in one place: it goes, and comes as a new one.
                let mut other = self.clone();
                other.remove(path)?;
                let document = parsed(&other.text)?;
                let place = KeyLocation::find(&document, path);
                apply_edits(&other.text, &insertion(&other.text, &place, path, &value)?)
            }
            None => apply_edits(&self.text, &insertion(&self.text, &place, path, &value)?),
        };
        drop(document);
        self.replace(text, wanted, &[] as &[K])
    }

    /// Removes a value; returns whether it was there. Tables that only its own path made go with it.
    ///
    /// # Errors
    ///
    /// As for [`Toml::set_tree`].
    pub fn remove<K: AsRef<str>>(&mut self, path: &[K]) -> Result<bool, String> {
        let Some((last, parents)) = path.split_last() else { return Ok(false) };
        let mut wanted = self.tree.clone();
        if wanted.take(path).is_none() {
            return Ok(false);
        }
        let mut text = self.text.clone();
        loop {
            let document = parsed(&text)?;
            let place = KeyLocation::find(&document, path);
            if place.item.is_none() {
                break;
            }
            let edits = match place.inline_table {
                Some((depth, braces)) => {
                    let entries = entries(braces, &text)?;
                    let inner = &path[depth..];
                    let is_ours = |key: &[&str]| {
                        key.len() >= inner.len() && inner.iter().zip(key).all(|(ours, key)| ours.as_ref() == *key)
                    };
                    let at = entries.iter().position(|entry| is_ours(&entry.key)).ok_or("has no such key")?;
                    let parts: Vec<Range<usize>> = entries.iter().map(|entry| entry.range.clone()).collect();
                    let whole = braces.span().ok_or("has a table without a place")?;
                    remove_item(&text, whole, &parts, at, CommentStyle::Hash)
                }
                None => {
                    let table = place.container.as_table().ok_or("has no such table")?;
                    let mut lines = Vec::new();
                    entry_lines(table, last.as_ref(), &text, &mut lines);
                    without(merge_ranges(lines, &text))
                }
            };
            drop(document);
            let shorter = applied(&text, edits);
            if shorter.len() >= text.len() {
                return Err("could not be edited without loss; nothing was changed".into());
            }
            text = shorter;
        }
        self.replace(text, wanted, parents)?;
        Ok(true)
    }

    /// Adds an item to a list, and the list if there is none. An item that is there changes nothing.
    ///
    /// # Errors
    ///
    /// As for [`Toml::set_tree`].
    pub fn append_tree<K: AsRef<str>>(&mut self, path: &[K], item: &ConfigTree) -> Result<(), String> {
        let item = canonicalize(item);
        let mut items = match self.tree.get(path) {
            None => return self.set_tree(path, &ConfigTree::List(vec![item])),
            Some(ConfigTree::List(items)) if items.contains(&item) => return Ok(()),
            Some(ConfigTree::List(items)) => items.clone(),
            Some(_) => return Err(format!("has a `{}` that is not a list", format_dotted_key(path))),
        };
        items.push(item.clone());
        let mut wanted = self.tree.clone();
        wanted.put(path, ConfigTree::List(items))?;
        let document = parsed(&self.text)?;
        let edits = match KeyLocation::find(&document, path).item {
            Some(Item::Value(Node::Array(array))) => {
                let (whole, parts) = parts_of(array)?;
                let new = format_inline_value(&item)?;
                match parts.is_empty() && self.text[whole.start + 1..whole.end - 1].trim().is_empty() {
                    true => vec![(whole.start + 1..whole.end - 1, new)],
                    false => insert_item(&self.text, whole, &parts, 1, CommentStyle::Hash, |_| new.clone()),
                }
            }
            Some(Item::ArrayOfTables(_)) => {
                let fields = item.as_table().ok_or("has a list of tables, to which only a table can be added")?;
                at_the_end(&self.text, &format_section(&format_dotted_key(path), fields, newline(&self.text), true)?)
            }
            _ => return Err("has no such list".into()),
        };
        drop(document);
        self.replace(applied(&self.text, edits), wanted, &[] as &[K])
    }

    /// Removes an item from a list; returns whether it was there.
    ///
    /// # Errors
    ///
    /// As for [`Toml::set_tree`].
    pub fn remove_tree<K: AsRef<str>>(&mut self, path: &[K], item: &ConfigTree) -> Result<bool, String> {
        let Some(ConfigTree::List(items)) = self.tree.get(path) else { return Ok(false) };
        let Some(position) = items.iter().position(|other| other == item) else { return Ok(false) };
        let mut items = items.clone();
        items.remove(position);
        let document = parsed(&self.text)?;
        let edits = match KeyLocation::find(&document, path).item {
            Some(Item::Value(Node::Array(array))) => {
                let (whole, parts) = parts_of(array)?;
                remove_item(&self.text, whole, &parts, position, CommentStyle::Hash)
            }
            // A list of tables without a table is not there.
            Some(Item::ArrayOfTables(_)) if items.is_empty() => {
                drop(document);
                return self.remove(path);
            }
            Some(Item::ArrayOfTables(tables)) => {
                without(merge_ranges(lines_at(tables, position, &self.text), &self.text))
            }
            _ => return Err("has no such list".into()),
        };
        let mut wanted = self.tree.clone();
        wanted.put(path, ConfigTree::List(items))?;
        drop(document);
        self.replace(applied(&self.text, edits), wanted, &[] as &[K])?;
        Ok(true)
    }

    /// Replaces strings, wherever they are. A path has the keys of tables and the places in lists.
    ///
    /// # Errors
    ///
    /// As for [`Toml::set_tree`].
    pub fn replace_strings(&mut self, mut new: impl FnMut(&[String], &str) -> Option<String>) -> Result<(), String> {
        let mut wanted = self.tree.clone();
        wanted.replace_strings(&mut Vec::new(), &mut new);
        if wanted == self.tree {
            return Ok(());
        }
        let document = parsed(&self.text)?;
        let mut edits = Vec::new();
        places::collect_string_edits(document.as_item(), &mut Vec::new(), &mut new, &mut edits);
        drop(document);
        self.replace(applied(&self.text, edits), wanted, &[] as &[&str])
    }

    /// Takes a text that must have the value `wanted`: a bug here never reaches a user's file. Tables on a path that
    /// have nothing in them any more may be gone.
    fn replace<K: AsRef<str>>(&mut self, text: String, mut wanted: ConfigTree, path: &[K]) -> Result<(), String> {
        let lost = || "could not be edited without loss; nothing was changed".to_owned();
        let tree = read(&text).map_err(|_| lost())?;
        for end in (1..=path.len()).rev() {
            let is_gone = tree.get(&path[..end]).is_none();
            if is_gone && wanted.get(&path[..end]).and_then(ConfigTree::as_table).is_some_and(|table| table.is_empty())
            {
                wanted.take(&path[..end]);
            }
        }
        if tree != wanted {
            return Err(lost());
        }
        (self.text, self.tree) = (text, tree);
        Ok(())
    }
}

/// The edits that add a value which is not there.
fn insertion<K: AsRef<str>>(
    text: &str,
    place: &KeyLocation<'_>,
    path: &[K],
    value: &ConfigTree,
) -> Result<Edits, String> {
    let (last, parents) = path.split_last().ok_or("cannot be set as a whole")?;
    let at = place.depth;
    let newline = newline(text);
    if let Some((depth, braces)) = place.inline_table {
        if place.container.as_table_like().is_none() {
            return Err(not_a_table_message(path[at.saturating_sub(1)].as_ref()));
        }
        let new = format_inline_value(&ConfigTree::nested(&path[at + 1..], value.clone()))?;
        let new = format!("{} = {new}", format_dotted_key(&path[depth..=at]));
        let whole = braces.span().ok_or("has a table without a place")?;
        let inner = whole.start + 1..whole.end - 1;
        if text[inner.clone()].trim().is_empty() {
            return Ok(vec![(inner, format!(" {new} "))]);
        }
        let parts: Vec<Range<usize>> = entries(braces, text)?.into_iter().map(|entry| entry.range).collect();
        return Ok(insert_item(text, whole, &parts, 1, CommentStyle::Hash, |_| new.clone()));
    }
    let table = place.container.as_table().ok_or_else(|| not_a_table_message(path[at.saturating_sub(1)].as_ref()))?;
    if let ConfigTree::Table(fields) = value {
        return Ok(at_the_end(text, &format_section(&format_dotted_key(path), fields, newline, false)?));
    }
    let line = |key: &str| Ok::<_, String>(format!("{key} = {}{newline}", format_inline_value(value)?));
    if at < parents.len() || (table.is_implicit() && !table.is_dotted()) {
        let header = format!("[{}]{newline}", format_dotted_key(parents));
        return Ok(at_the_end(text, &(header + &line(&format_key(last.as_ref()))?)));
    }
    // A dotted table has its lines in the section around it.
    let (key, after) = match place.section {
        Some((depth, _)) if table.is_dotted() => (format_dotted_key(&path[depth..]), places::last_line(table, text)),
        _ => (format_key(last.as_ref()), places::last_line(table, text)),
    };
    let header = table.span().filter(|_| !parents.is_empty() && !table.is_dotted());
    let (end, indent) = match (after, header) {
        (Some(range), _) => (range.end, places::indentation(text, range.start)),
        (None, Some(header)) => (places::lines(header, text).end, ""),
        (None, None) => {
            let start = preamble_end(text);
            let apart = if text[start..].trim().is_empty() { "" } else { newline };
            return Ok(vec![(start..start, line(&key)? + apart)]);
        }
    };
    let before = if text[..end].ends_with('\n') { "" } else { newline };
    Ok(vec![(end..end, format!("{before}{indent}{}", line(&key)?))])
}

/// The edit that adds a section.
fn at_the_end(text: &str, section: &str) -> Edits {
    let newline = newline(text);
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { newline };
    let blank = if text.trim().is_empty() { "" } else { newline };
    vec![(text.len()..text.len(), format!("{end}{blank}{section}"))]
}

fn without(ranges: Vec<Range<usize>>) -> Edits {
    ranges.into_iter().map(|range| (range, String::new())).collect()
}

fn applied(text: &str, mut edits: Edits) -> String {
    edits.sort_by_key(|(range, _)| std::cmp::Reverse((range.start, range.end)));
    apply_edits(text, &edits)
}

fn parts_of(array: &toml_edit::Array) -> Result<(Range<usize>, Vec<Range<usize>>), String> {
    let parts: Option<Vec<Range<usize>>> = array.iter().map(Node::span).collect();
    array.span().zip(parts).ok_or_else(|| "has a list without a place".into())
}

fn lines_at(tables: &ArrayOfTables, position: usize, text: &str) -> Vec<Range<usize>> {
    let mut lines = Vec::new();
    if let Some(table) = tables.get(position) {
        table_lines(table, text, &mut lines);
    }
    lines
}

fn read(text: &str) -> Result<ConfigTree, String> {
    Ok(tree_of(parsed(text)?.as_item()).unwrap_or_else(ConfigTree::empty))
}

fn parsed(text: &str) -> Result<Document<&str>, String> {
    Document::parse(text).map_err(|e| format!("is not TOML: {}", aiw_core::one_line(e.message(), 200)))
}

fn tree_of(item: &Item) -> Option<ConfigTree> {
    match item {
        Item::None => None,
        Item::Value(value) => Some(value_of(value)),
        Item::Table(table) => Some(table_of(table.iter())),
        Item::ArrayOfTables(tables) => {
            Some(ConfigTree::List(tables.iter().map(|table| table_of(table.iter())).collect()))
        }
    }
}

fn table_of<'a>(fields: impl Iterator<Item = (&'a str, &'a Item)>) -> ConfigTree {
    ConfigTree::Table(fields.filter_map(|(key, item)| Some((key.to_owned(), tree_of(item)?))).collect())
}

fn value_of(value: &Node) -> ConfigTree {
    match value {
        Node::String(text) => ConfigTree::Text(text.value().clone()),
        Node::Integer(number) => ConfigTree::Number(number.value().to_string()),
        Node::Float(number) => ConfigTree::Number(written::format_float(*number.value())),
        Node::Boolean(flag) => ConfigTree::Bool(*flag.value()),
        Node::Datetime(time) => ConfigTree::Time(time.value().to_string()),
        Node::Array(items) => ConfigTree::List(items.iter().map(value_of).collect()),
        Node::InlineTable(table) => {
            ConfigTree::Table(table.iter().map(|(key, value)| (key.to_owned(), value_of(value))).collect())
        }
    }
}
