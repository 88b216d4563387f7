//! Where the parts of a TOML file are.

use std::ops::Range;

use aiw_core::toml_string;
use toml_edit::{Document, InlineTable, Item, Table, Value as Node};

use crate::splice::Edits;

/// Where a path of keys leads.
pub(super) struct KeyLocation<'a> {
    /// The item at the whole path, if there is one.
    pub(super) item: Option<&'a Item>,
    /// The last thing on the path that is there, without the last key.
    pub(super) container: &'a Item,
    /// How many keys lead to it.
    pub(super) depth: usize,
    /// The innermost braces on the way, and how many keys lead to them.
    pub(super) inline_table: Option<(usize, &'a InlineTable)>,
    /// The innermost table on the way with a header, or the root, and how many keys lead to it.
    pub(super) section: Option<(usize, &'a Table)>,
}

impl<'a> KeyLocation<'a> {
    pub(super) fn find<K: AsRef<str>>(document: &'a Document<&str>, path: &[K]) -> Self {
        let root = document.as_item();
        let mut place = Self { item: None, container: root, depth: 0, inline_table: None, section: None };
        for (depth, key) in path.iter().enumerate() {
            place.pass(depth);
            let next = place.container.as_table_like().and_then(|table| table.get(key.as_ref()));
            match next {
                Some(item) if depth + 1 == path.len() => place.item = Some(item),
                Some(item) => (place.container, place.depth) = (item, depth + 1),
                None => break,
            }
        }
        place
    }

    fn pass(&mut self, depth: usize) {
        match self.container {
            Item::Value(Node::InlineTable(table)) if !table.is_dotted() => self.inline_table = Some((depth, table)),
            Item::Table(table) if !table.is_dotted() => self.section = Some((depth, table)),
            _ => {}
        }
    }
}

/// An entry in braces.
pub(super) struct InlineEntry<'a> {
    /// Its key, which may be dotted.
    pub(super) key: Vec<&'a str>,
    /// Where it is.
    pub(super) range: Range<usize>,
}

/// The entries in braces, in their order.
pub(super) fn entries<'a>(braces: &'a InlineTable, text: &str) -> Result<Vec<InlineEntry<'a>>, String> {
    let mut entries = Vec::new();
    collect(braces, &mut Vec::new(), &mut entries).ok_or("has a table without a place")?;
    entries.sort_by_key(|entry| entry.range.start);
    let mut from = braces.span().ok_or("has a table without a place")?.start + 1;
    for entry in &mut entries {
        // From the first part of its key on.
        entry.range.start = from + blank(&text[from..entry.range.start]);
        from = entry.range.end;
    }
    Ok(entries)
}

fn collect<'a>(table: &'a InlineTable, key: &mut Vec<&'a str>, entries: &mut Vec<InlineEntry<'a>>) -> Option<()> {
    for (name, value) in table.iter() {
        key.push(name);
        match value {
            Node::InlineTable(inner) if inner.is_dotted() => collect(inner, key, entries)?,
            value => {
                entries.push(InlineEntry { key: key.clone(), range: table.key(name)?.span()?.start..value.span()?.end })
            }
        }
        key.pop();
    }
    Some(())
}

/// How long the blanks, comments and the comma at the beginning of a text are.
fn blank(text: &str) -> usize {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n', ',']);
        if !rest.starts_with('#') {
            return text.len() - rest.len();
        }
        rest = rest.find('\n').map_or("", |end| &rest[end..]);
    }
}

/// The whole lines on which something is.
pub(super) fn lines(range: Range<usize>, text: &str) -> Range<usize> {
    let start = text[..range.start].rfind('\n').map_or(0, |line| line + 1);
    let end = text[range.end..].find('\n').map_or(text.len(), |end| range.end + end + 1);
    start..end
}

/// The blanks at the beginning of the line that begins there.
pub(super) fn indentation(text: &str, start: usize) -> &str {
    let line = &text[start..];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// Collects the lines that an entry of a table consists of: headers and values, wherever they are.
pub(super) fn entry_lines(table: &Table, key: &str, text: &str, places: &mut Vec<Range<usize>>) {
    let Some((key, item)) = table.get_key_value(key) else { return };
    match item {
        Item::Table(inner) => table_lines(inner, text, places),
        Item::ArrayOfTables(tables) => tables.iter().for_each(|inner| table_lines(inner, text, places)),
        item => {
            let (start, end) = (key.span(), item.span());
            places.extend(start.zip(end).map(|(start, end)| lines(start.start..end.end, text)));
        }
    }
}

pub(super) fn table_lines(table: &Table, text: &str, places: &mut Vec<Range<usize>>) {
    let header = table.span().filter(|_| !table.is_implicit() && !table.is_dotted());
    places.extend(header.map(|header| lines(header, text)));
    for (key, _) in table.iter() {
        entry_lines(table, key, text, places);
    }
}

/// The last line of a table's own values, those of its dotted keys too.
pub(super) fn last_line(table: &Table, text: &str) -> Option<Range<usize>> {
    let mut last: Option<Range<usize>> = None;
    for (key, item) in table.iter() {
        let line = match item {
            Item::Table(inner) if inner.is_dotted() => last_line(inner, text),
            Item::Value(value) => {
                let start = table.key(key).and_then(toml_edit::Key::span);
                start.zip(value.span()).map(|(start, end)| lines(start.start..end.end, text))
            }
            _ => None,
        };
        if let Some(line) = line
            && last.as_ref().is_none_or(|last| last.end < line.end)
        {
            last = Some(line);
        }
    }
    last
}

/// Where the first line of a file that has none but sections goes: behind the comment that is about the whole file.
pub(super) fn preamble_end(text: &str) -> usize {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        match line.trim() {
            "" if at > 0 => return at + line.len(),
            comment if comment.starts_with('#') && line.ends_with('\n') => at += line.len(),
            _ => break,
        }
    }
    0
}

/// Ranges of lines in order, those that touch as one. Of blank lines on both sides, one set goes.
pub(super) fn merge_ranges(mut places: Vec<Range<usize>>, text: &str) -> Vec<Range<usize>> {
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

/// The edits that replace strings.
pub(super) fn collect_string_edits(
    item: &Item,
    path: &mut Vec<String>,
    new: &mut impl FnMut(&[String], &str) -> Option<String>,
    edits: &mut Edits,
) {
    match item {
        Item::None => {}
        Item::Value(value) => strings_of_value(value, path, new, edits),
        Item::Table(table) => strings_of_table(table, path, new, edits),
        Item::ArrayOfTables(tables) => {
            for (at, table) in tables.iter().enumerate() {
                path.push(at.to_string());
                strings_of_table(table, path, new, edits);
                path.pop();
            }
        }
    }
}

fn strings_of_table(
    table: &Table,
    path: &mut Vec<String>,
    new: &mut impl FnMut(&[String], &str) -> Option<String>,
    edits: &mut Edits,
) {
    for (key, item) in table.iter() {
        path.push(key.to_owned());
        collect_string_edits(item, path, new, edits);
        path.pop();
    }
}

fn strings_of_value(
    value: &Node,
    path: &mut Vec<String>,
    new: &mut impl FnMut(&[String], &str) -> Option<String>,
    edits: &mut Edits,
) {
    let mut inside = |key: String, value: &Node, edits: &mut Edits| {
        path.push(key);
        strings_of_value(value, path, new, edits);
        path.pop();
    };
    match value {
        Node::Array(items) => items.iter().enumerate().for_each(|(at, item)| inside(at.to_string(), item, edits)),
        Node::InlineTable(table) => table.iter().for_each(|(key, value)| inside(key.to_owned(), value, edits)),
        Node::String(text) => {
            let new = new(path, text.value());
            edits.extend(text.span().zip(new).map(|(range, new)| (range, toml_string(&new))));
        }
        _ => {}
    }
}
