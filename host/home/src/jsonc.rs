//! Files of other tools: JSON with comments, changed by the smallest insertions and removals.

use std::ops::Range;

use jsonc_parser::ast::{Object, ObjectProp, Value as Node};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use serde_json::{Map, Value};

use crate::json;

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

/// An object in a file that belongs to another tool. Unlike a [`Document`](crate::Document), it may contain comments,
/// and an edit touches no byte besides what it adds or removes.
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

    /// The whole object.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The value at a path of keys.
    pub fn get(&self, path: &[&str]) -> Option<&Value> {
        path.iter().try_fold(&self.value, |value, key| value.as_object()?.get(*key))
    }

    /// The file's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let bom = if self.has_bom { BOM } else { "" };
        format!("{bom}{}", self.text).into_bytes()
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

type Edits = Vec<(Range<usize>, String)>;

/// The value of a text without doubtful content.
fn read(text: &str) -> Result<Value, String> {
    // Positions of errors, and doubled keys, as everywhere else.
    let duplicate = |key: &str| format!("contains the key `{}` twice", aiw_core::one_line(key, 80));
    let value = match json::parse(text.as_bytes()) {
        Ok(parsed) => match parsed.duplicates.first() {
            Some(key) => return Err(duplicate(key)),
            None => parsed.value,
        },
        Err(_) => {
            let parsed = parse_to_ast(text, &CollectOptions::default(), &LENIENT);
            let node = parsed.map_err(|e| format!("is not JSON: {e}"))?.value;
            let node = node.ok_or("is not a JSON object")?;
            if let Some(key) = doubled(&node, 0)? {
                return Err(duplicate(&key));
            }
            jsonc_parser::parse_to_serde_value(text, &LENIENT).map_err(|e| format!("is not JSON: {e}"))?
        }
    };
    if value.is_object() { Ok(value) } else { Err("is not a JSON object".into()) }
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

fn newline(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

/// The indentation of one level: that of the first indented line.
fn unit(text: &str) -> String {
    let mut indents = text.lines().map(|line| &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]);
    indents.find(|indent| !indent.is_empty()).map_or("  ".to_owned(), |indent| {
        if indent.starts_with('\t') { "\t".to_owned() } else { " ".repeat(indent.len().min(8)) }
    })
}

/// A value over several lines, whose first line stands `depth` levels deep. An empty or a short list takes one.
fn pretty(value: &Value, text: &str, depth: usize) -> String {
    fn write(value: &Value, indent: &str, unit: &str, newline: &str, out: &mut String) {
        match value {
            Value::Object(map) if !map.is_empty() => {
                out.push('{');
                let inner = format!("{indent}{unit}");
                for (at, (key, value)) in map.iter().enumerate() {
                    let comma = if at > 0 { "," } else { "" };
                    out.push_str(&format!("{comma}{newline}{inner}{}: ", Value::from(key.as_str())));
                    write(value, &inner, unit, newline, out);
                }
                out.push_str(&format!("{newline}{indent}}}"));
            }
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(ToString::to_string).collect();
                out.push_str(&format!("[{}]", items.join(", ")));
            }
            other => out.push_str(&other.to_string()),
        }
    }
    let (unit, mut out) = (unit(text), String::new());
    write(value, &unit.repeat(depth), &unit, newline(text), &mut out);
    out
}

fn insertion(text: &str, object: &Object<'_>, depth: usize, key: &str, value: &Value) -> Edits {
    let parts: Vec<Range<usize>> = object.properties.iter().map(|p| p.range.start..p.range.end).collect();
    inserted(text, object.range.start..object.range.end, &parts, depth, |at| {
        let value = if at == 0 { value.to_string() } else { pretty(value, text, at) };
        format!("{}: {value}", Value::from(key))
    })
}

/// Adds a last part to an object or a list, `depth` levels deep. `new` writes it for a depth, or for one line: 0.
fn inserted(
    text: &str,
    whole: Range<usize>,
    parts: &[Range<usize>],
    depth: usize,
    new: impl Fn(usize) -> String,
) -> Edits {
    let (newline, unit) = (newline(text), unit(text));
    let inner_end = whole.end - 1;
    let Some(last) = parts.last() else {
        let inner = &text[whole.start + 1..inner_end];
        let at = whole.start + 1 + inner.trim_end().len();
        let close = if text[at..inner_end].contains('\n') { "" } else { newline };
        let closing = if close.is_empty() { String::new() } else { unit.repeat(depth - 1) };
        return vec![(at..at, format!("{newline}{}{}{close}{closing}", unit.repeat(depth), new(depth)))];
    };
    let tail = &text[last.end..inner_end];
    let comma = comma_in(tail);
    let at = last.end + tail.trim_end().len();
    let mut edits = Vec::new();
    if comma.is_none() {
        edits.push((last.end..last.end, ",".to_owned()));
    }
    let end = if comma.is_some() { "," } else { "" };
    let is_multiline = text[whole.start..parts[0].start].contains('\n');
    let part = if is_multiline {
        let indent = indent_of(text, parts[0].start).map_or_else(|| unit.repeat(depth), str::to_owned);
        let levels = if unit.is_empty() { depth } else { indent.len() / unit.len() };
        format!("{newline}{indent}{}{end}", new(levels.max(1)))
    } else {
        format!(" {}{end}", new(0))
    };
    match edits.first_mut() {
        // At one place, the comma comes first.
        Some((place, comma)) if place.start == at => comma.push_str(&part),
        _ => edits.push((at..at, part)),
    }
    edits
}

/// What is before a place on its line, if that is blank.
fn indent_of(text: &str, at: usize) -> Option<&str> {
    let start = text[..at].rfind('\n').map_or(0, |line| line + 1);
    let before = &text[start..at];
    before.trim_matches([' ', '\t']).is_empty().then_some(before)
}

/// The place of a comma between two parts, outside of comments.
fn comma_in(between: &str) -> Option<usize> {
    let mut at = 0;
    while at < between.len() {
        let rest = &between[at..];
        if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            at += rest.find("*/").map_or(rest.len(), |end| end + 2);
        } else if rest.starts_with(',') {
            return Some(at);
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    None
}

/// Removes a part and its comma. Comments stay.
fn removed(text: &str, whole: Range<usize>, parts: &[Range<usize>], at: usize) -> Edits {
    let part = parts[at].clone();
    let next = parts.get(at + 1).map_or(whole.end - 1, |next| next.start);
    let following = comma_in(&text[part.end..next]).map(|comma| part.end + comma);
    let before = at.checked_sub(1).map(|before| parts[before].end);
    if let (None, Some(before)) = (following, before)
        && let Some(comma) = comma_in(&text[before..part.start]).map(|comma| before + comma)
    {
        // The last one: the comma before it goes too.
        return match text[comma + 1..part.start].trim().is_empty() {
            true => vec![(comma..part.end, String::new())],
            false => vec![(comma..comma + 1, String::new()), (part, String::new())],
        };
    }
    let mut range = match following {
        Some(comma) if text[part.end..comma].trim().is_empty() => part.start..comma + 1,
        _ => part.clone(),
    };
    let mut edits = Vec::new();
    if let Some(comma) = following.filter(|comma| *comma >= range.end) {
        edits.push((comma..comma + 1, String::new()));
    }
    let line = text[range.end..].find('\n').map_or(text.len(), |end| range.end + end + 1);
    let is_alone = text[range.end..line.min(whole.end - 1)].trim().is_empty();
    match indent_of(text, range.start) {
        // Its lines are its own.
        Some(indent) if is_alone && line < whole.end => range = range.start - indent.len()..line,
        _ if is_alone || parts.len() == 1 => {}
        // The blank that parted it from the next one.
        _ => range.end += text[range.end..next].len() - text[range.end..next].trim_start_matches([' ', '\t']).len(),
    }
    edits.push((range, String::new()));
    edits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn edited(text: &str, edit: impl FnOnce(&mut Jsonc) -> Result<(), String>) -> String {
        let mut document = Jsonc::parse(text.as_bytes()).unwrap();
        edit(&mut document).unwrap();
        String::from_utf8(document.bytes()).unwrap()
    }

    fn set(text: &str) -> String {
        edited(text, |document| document.set(&["servers", "aiw"], &json!({"command": "aiw", "args": ["mcp", "serve"]})))
    }

    #[test]
    fn an_entry_is_added_in_the_manner_of_the_file() {
        let entry = "\"aiw\": {\n      \"command\": \"aiw\",\n      \"args\": [\"mcp\", \"serve\"]\n    }";
        assert_eq!(set(""), format!("{{\n  \"servers\": {{\n    {entry}\n  }}\n}}\n"));
        assert_eq!(set("{}"), format!("{{\n  \"servers\": {{\n    {entry}\n  }}\n}}"));
        assert_eq!(
            set("{\n  // mine\n  \"servers\": {\n    \"a\": {}, // first\n    // last\n  },\n}\n"),
            format!(
                "{{\n  // mine\n  \"servers\": {{\n    \"a\": {{}}, // first\n    // last\n    {entry},\n  }},\n}}\n"
            )
        );
        assert_eq!(
            set("{\"x\": 1, \"servers\": {\"a\": {}}}"),
            "{\"x\": 1, \"servers\": {\"a\": {}, \"aiw\": {\"command\":\"aiw\",\"args\":[\"mcp\",\"serve\"]}}}"
        );
        assert_eq!(
            set("\u{feff}{\r\n\t\"x\": 1 // one\r\n}\r\n"),
            "\u{feff}{\r\n\t\"x\": 1, // one\r\n\t\"servers\": {\r\n\t\t\"aiw\": {\r\n\t\t\t\"command\": \"aiw\",\r\n\t\t\t\"args\": [\"mcp\", \"serve\"]\r\n\t\t}\r\n\t}\r\n}\r\n"
        );
    }

    #[test]
    fn an_entry_goes_and_comments_stay() {
        let remove =
            |text: &str, key: &str| edited(text, |document| document.remove(&["s", key]).map(|there| assert!(there)));
        let text = "{\"s\": {\n  \"a\": 1, // one\n  \"b\": 2,\n  \"c\": 3 // three\n}}";
        assert_eq!(remove(text, "b"), "{\"s\": {\n  \"a\": 1, // one\n  \"c\": 3 // three\n}}");
        assert_eq!(remove(text, "c"), "{\"s\": {\n  \"a\": 1, // one\n  \"b\": 2 // three\n}}");
        assert_eq!(remove("{\"s\": {\"a\": 1, \"b\": 2}}", "a"), "{\"s\": {\"b\": 2}}");
        assert_eq!(remove("{\"s\": {\"a\": 1, \"b\": 2}}", "b"), "{\"s\": {\"a\": 1}}");
        assert_eq!(remove("{\"s\": {\"a\": 1}}", "a"), "{\"s\": {}}");
    }

    #[test]
    fn items_come_and_go() {
        let path = ["permissions", "allow"];
        let text = "{\"permissions\": {\"allow\": [\n  \"a\" // one\n]}}";
        let more = edited(text, |document| document.append(&path, &json!("b")));
        assert_eq!(more, "{\"permissions\": {\"allow\": [\n  \"a\", // one\n  \"b\"\n]}}");
        let less = edited(&more, |document| document.remove_item(&path, &json!("a")).map(drop));
        assert_eq!(less, "{\"permissions\": {\"allow\": [\n  // one\n  \"b\"\n]}}");
        assert!(Jsonc::parse(b"{\"permissions\": {\"allow\": 1}}").unwrap().append(&path, &json!("b")).is_err());
    }

    #[test]
    fn what_is_doubtful_is_refused() {
        for text in ["[]", "{", "{\"a\":1,\"a\":2}", "{\"a\":1,/**/\"a\":2}", "{a: 1}", "{'a': 1}", "x", "\u{1}"] {
            assert!(Jsonc::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Jsonc::parse(b"\xff{}").is_err());
        assert!(Jsonc::parse("[".repeat(100_000).as_bytes()).is_err());
        assert!(Jsonc::parse(b"{\"s\": []}").unwrap().set(&["s", "a"], &json!(1)).is_err());
    }

    /// Whether one text is another with insertions only.
    fn only_adds(old: &str, new: &str) -> bool {
        let mut new = new.chars();
        old.chars().all(|c| new.any(|other| other == c))
    }

    /// Objects as people write them: with comments, blanks, trailing commas, any line ends.
    fn texts() -> impl Strategy<Value = String> {
        let blank = || {
            prop_oneof![
                Just(String::new()),
                Just(" ".to_owned()),
                Just("\n  ".to_owned()),
                Just("\r\n\t".to_owned()),
                Just(" // , } \"x\n".to_owned()),
                Just("/* , ] */".to_owned()),
            ]
        };
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("1.50".to_owned()),
            Just("\"a, // {\"".to_owned()),
            Just("\"\\u0041é\"".to_owned()),
        ];
        let value = leaf.prop_recursive(3, 12, 4, move |inner| {
            let part = (blank(), inner.clone(), blank());
            let object = (proptest::collection::vec(part.clone(), 0..4), blank(), any::<bool>());
            let array = (proptest::collection::vec(part, 0..4), blank(), any::<bool>());
            prop_oneof![
                object.prop_map(|(parts, end, trailing)| {
                    let parts: Vec<_> = parts
                        .iter()
                        .enumerate()
                        .map(|(at, (before, value, after))| {
                            format!("{before}\"{}\":{value}{after}", ["aiw", "s", "x", "y"][at])
                        })
                        .collect();
                    let comma = if trailing && !parts.is_empty() { "," } else { "" };
                    format!("{{{}{comma}{end}}}", parts.join(","))
                }),
                array.prop_map(|(parts, end, trailing)| {
                    let parts: Vec<_> =
                        parts.iter().map(|(before, value, after)| format!("{before}{value}{after}")).collect();
                    let comma = if trailing && !parts.is_empty() { "," } else { "" };
                    format!("[{}{comma}{end}]", parts.join(","))
                }),
            ]
        });
        (blank(), proptest::collection::vec((blank(), value, blank()), 0..4), blank(), blank()).prop_map(
            |(a, parts, b, c)| {
                let parts: Vec<_> = parts
                    .iter()
                    .enumerate()
                    .map(|(at, (before, value, after))| {
                        format!("{before}\"{}\":{value}{after}", ["s", "aiw", "x", "y"][at])
                    })
                    .collect();
                format!("{a}{{{}{b}}}{c}", parts.join(","))
            },
        )
    }

    mod fuzz {
        use super::*;
        proptest! {
            #[test]
            fn what_is_added_touches_nothing_else_and_goes_again(text in texts()) {
                let before = Jsonc::parse(text.as_bytes()).unwrap();
                let mut document = before.clone();
                let is_new = document.get(&["s", "new"]).is_none();
                if document.set(&["s", "new"], &json!({"command": "x", "args": ["a"]})).is_ok() && is_new {
                    prop_assert!(only_adds(&text, &document.text), "{:?}", document.text);
                    prop_assert!(document.remove(&["s", "new"]).unwrap());
                    if before.get(&["s"]).is_none() {
                        document.remove(&["s"]).unwrap();
                    }
                    prop_assert_eq!(document.value(), before.value());
                }
                for key in before.value().as_object().unwrap().keys() {
                    let mut document = before.clone();
                    prop_assert!(document.remove(&[key]).unwrap());
                    prop_assert!(only_adds(&document.text, &text), "{:?}", document.text);
                    prop_assert_eq!(document.get(&[key]), None);
                }
            }

            #[test]
            fn lists_grow_and_shrink(text in texts()) {
                let before = Jsonc::parse(text.as_bytes()).unwrap();
                let mut document = before.clone();
                if document.append(&["s", "aiw"], &json!("new")).is_ok() {
                    prop_assert!(only_adds(&text, &document.text), "{:?}", document.text);
                    prop_assert!(document.remove_item(&["s", "aiw"], &json!("new")).unwrap());
                    if let Some(Value::Array(items)) = before.get(&["s", "aiw"]) {
                        prop_assert_eq!(document.get(&["s", "aiw"]).unwrap().as_array().unwrap(), items);
                    }
                }
            }

            #[test]
            fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..100), text in "[{}\\[\\]\",:/*a1 \n]{0,40}") {
                let _ = Jsonc::parse(&bytes);
                if let Ok(mut document) = Jsonc::parse(text.as_bytes()) {
                    let _ = document.set(&["a", "b"], &json!(1));
                }
            }
        }
    }
}
