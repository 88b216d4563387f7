//! TOML of other tools, changed by the smallest insertions and removals.

use std::ops::Range;

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
        Value::String(text) => string(text),
        Value::Null => "\"\"".into(),
        other => other.to_string(),
    }
}

/// A bare key where that is possible.
fn name(key: &str) -> String {
    let is_bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if is_bare { key.to_owned() } else { string(key) }
}

/// A basic string. <https://toml.io/en/v1.0.0#string>
fn string(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn ours() -> Map<String, Value> {
        let value = json!({
            "command": "/x/a\"iw", "args": ["mcp", "serve"], "env": {"AIW_HOME": "/h"},
            "tools": {"list_roles": {"approval_mode": "approve"}}
        });
        value.as_object().unwrap().clone()
    }

    const OURS: &str = "[mcp_servers.aiw]\ncommand = \"/x/a\\\"iw\"\nargs = [\"mcp\", \"serve\"]\nenv = { AIW_HOME = \"/h\" }\n\n\
                        [mcp_servers.aiw.tools]\nlist_roles = { approval_mode = \"approve\" }\n";

    fn set(text: &str) -> String {
        let mut document = Toml::parse(text.as_bytes()).unwrap();
        document.set("mcp_servers", "aiw", &ours()).unwrap();
        String::from_utf8(document.bytes()).unwrap()
    }

    fn removed(text: &str, key: &str) -> String {
        let mut document = Toml::parse(text.as_bytes()).unwrap();
        assert!(document.remove("mcp_servers", key).unwrap());
        String::from_utf8(document.bytes()).unwrap()
    }

    #[test]
    fn a_table_is_added_at_the_end() {
        assert_eq!(set(""), OURS);
        assert_eq!(set("model = \"x\" # mine"), format!("model = \"x\" # mine\n\n{OURS}"));
        let windows = "\u{feff}[a]\r\nb = 1\r\n";
        assert_eq!(set(windows), format!("{windows}\r\n{}", OURS.replace('\n', "\r\n")));
        let dotted = "mcp_servers.x.command = \"y\"\n";
        assert_eq!(set(dotted), format!("{dotted}\n{OURS}"));
        assert!(
            set("mcp_servers = { x = { command = \"y\" } }\n")
                .starts_with("mcp_servers = { x = { command = \"y\" }, aiw = { ")
        );
        assert!(set("mcp_servers = {}\n").starts_with("mcp_servers = { aiw = { "));
    }

    #[test]
    fn a_table_goes_with_its_own_tables_and_nothing_else() {
        let text = "# top\na = 1\n\n# about x\n[mcp_servers.x] # x\ncommand = \"c\"\nargs = [\n  1, # one\n]\n\n[other]\nz = 1\n\n[mcp_servers.x.env]\nA = \"b\"\n\n[mcp_servers.y]\nurl = \"u\"\n";
        assert_eq!(removed(text, "x"), "# top\na = 1\n\n# about x\n\n[other]\nz = 1\n\n[mcp_servers.y]\nurl = \"u\"\n");
        assert_eq!(removed("a = 1\n\n[mcp_servers.x]\ncommand = \"c\"\n", "x"), "a = 1\n");
        assert_eq!(
            removed("[mcp_servers]\nx = {command = \"a\"}\ny.command = \"z\"\n", "y"),
            "[mcp_servers]\nx = {command = \"a\"}\n"
        );
        let text = "a = 1\n";
        assert_eq!(removed(&set(text), "aiw"), text);
        assert!(Toml::parse(b"mcp_servers = {x = {}}").unwrap().remove("mcp_servers", "x").is_err());
    }

    #[test]
    fn what_is_doubtful_is_refused() {
        for text in ["x", "a = 1\na = 2", "[a]\n[a]", "a = \u{1}"] {
            assert!(Toml::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Toml::parse(b"\xff").is_err());
        assert!(Toml::parse("a=[".repeat(50_000).as_bytes()).is_err());
        assert!(Toml::parse(b"mcp_servers = 1").unwrap().set("mcp_servers", "aiw", &ours()).is_err());
    }

    /// Configurations as people write them.
    fn texts() -> impl Strategy<Value = String> {
        let line = prop_oneof![
            Just("# a comment = [x]"),
            Just(""),
            Just("  "),
            Just("[features]"),
            Just("[mcp_servers.one]"),
            Just("[mcp_servers.one.env]"),
            Just("[ mcp_servers . \"two\" ] # two"),
            Just("[[list]]"),
            Just("[mcp_servers]"),
            Just("command = \"a\" # b"),
            Just("args = [\"x\",\n  # in it\n  'y',\n]"),
            Just("env = { A = \"b\" }"),
            Just("three.command = \"c\""),
            Just("mcp_servers.four.url = \"u\""),
            Just("text = '''\n[mcp_servers.x]\n'''"),
            Just("when = 1979-05-27T07:32:00Z"),
            Just("number = 1_000.50"),
            Just("mcp_servers = { five = { command = \"c\" } }"),
            Just("mcp_servers = {}"),
        ];
        (proptest::collection::vec(line, 0..14), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
            |(lines, crlf, end, bom)| {
                let newline = if crlf { "\r\n" } else { "\n" };
                let text = lines.join("\n").replace('\n', newline);
                format!("{}{text}{}", if bom { BOM } else { "" }, if end { newline } else { "" })
            },
        )
    }

    fn only_adds(old: &str, new: &str) -> bool {
        let mut new = new.chars();
        old.chars().all(|c| new.any(|other| other == c))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn what_is_added_touches_nothing_else_and_goes_again(text in texts()) {
            let Ok(before) = Toml::parse(text.as_bytes()) else { return Ok(()) };
            let mut document = before.clone();
            if document.set("mcp_servers", "aiw", &ours()).is_ok() {
                prop_assert!(only_adds(&text, str::from_utf8(&document.bytes()).unwrap()));
                prop_assert_eq!(&document.value()["mcp_servers"]["aiw"], &Value::Object(ours()));
                match document.remove("mcp_servers", "aiw") {
                    Ok(there) => {
                        prop_assert!(there);
                        prop_assert_eq!(document.value(), before.value());
                    }
                    // In braces it stays.
                    Err(_) => prop_assert!(text.contains("mcp_servers = "), "{}", text),
                }
            } else {
                prop_assert!(before.value()["mcp_servers"].is_array(), "{}", text);
            }
            for name in ["one", "two", "three", "four"] {
                let mut document = before.clone();
                if let Ok(true) = document.remove("mcp_servers", name) {
                    prop_assert!(only_adds(str::from_utf8(&document.bytes()).unwrap(), &text));
                    prop_assert!(document.value()["mcp_servers"].get(name).is_none());
                }
            }
        }
    }
}
