//! JSON schemas for people: a line for each parameter, and nothing left out.

use aiw_core::to_visible_line;
use aiw_servers::visible_json;
use serde_json::{Map, Value};

/// The deepest parameter with a line of its own; what is below stands in it as JSON.
const MAX_DEPTH: usize = 6;

/// The most lines: a schema that refers to itself in several places has no end.
const MAX_LINES: usize = 400;

/// The lines that describe the parameters of a schema, indented by two spaces for each level.
pub fn parameters(schema: &Value) -> Vec<String> {
    let mut view = View { root: schema, lines: Vec::new(), open: Vec::new(), named: Vec::new() };
    view.fields(schema, 0);
    // What holds for all of them together.
    let mut whole = schema.as_object().map(|schema| rest(schema, false)).unwrap_or_default();
    whole.retain(|key, value| key != "$schema" && !(key == "additionalProperties" && *value == false));
    if !whole.is_empty() {
        view.lines.push(format!("all: {}", visible_json(&Value::Object(whole))));
    }
    // What lines refer to, and nothing has shown.
    let mut shown = 0;
    while let Some(reference) = view.named.get(shown).cloned() {
        shown += 1;
        if let Some(meant) = reference.strip_prefix('#').and_then(|path| schema.pointer(path)) {
            view.field(&to_visible_line(&reference), "", meant, 0);
        }
    }
    if view.lines.len() >= MAX_LINES {
        view.lines.push("… `--json` shows all of it".to_owned());
    }
    view.lines
}

/// The parameters in one line, those that may be left out in brackets: `(time, [zone])`.
pub fn signature(schema: &Value) -> String {
    let required = required(schema);
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let one = |(name, _): (&String, &Value)| {
        let shown = aiw_core::one_line(name, 40);
        if required.contains(&name.as_str()) { shown } else { format!("[{shown}]") }
    };
    format!("({})", properties.map(one).collect::<Vec<_>>().join(", "))
}

fn required(schema: &Value) -> Vec<&str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Keywords that a line says in words, or that are shown below it.
const DESCRIBED_KEYWORDS: [&str; 11] = [
    "type",
    "description",
    "enum",
    "const",
    "default",
    "properties",
    "items",
    "required",
    "title",
    "$defs",
    "definitions",
];

struct View<'a> {
    root: &'a Value,
    lines: Vec<String>,
    /// The references that the current line is inside of.
    open: Vec<&'a str>,
    /// The definitions that are listed by name.
    named: Vec<String>,
}

impl<'a> View<'a> {
    /// Follows a reference within the schema's document.
    fn resolved(&self, schema: &'a Value) -> (&'a Value, Option<&'a str>) {
        let reference = schema.get("$ref").and_then(Value::as_str);
        let path = reference.and_then(|reference| reference.strip_prefix('#'));
        match path.and_then(|path| self.root.pointer(path)) {
            Some(meant) if !self.open.contains(&reference.unwrap_or_default()) => (meant, reference),
            _ => (schema, None),
        }
    }

    /// Remembers what a text of JSON refers to.
    fn note(&mut self, value: &Value) {
        match value {
            Value::Object(fields) => {
                if let Some(reference) = fields.get("$ref").and_then(Value::as_str)
                    && self.named.len() < MAX_LINES
                    && !self.named.iter().any(|known| known == reference)
                {
                    self.named.push(reference.to_owned());
                }
                fields.values().for_each(|value| self.note(value));
            }
            Value::Array(items) => items.iter().for_each(|value| self.note(value)),
            _ => {}
        }
    }

    fn fields(&mut self, schema: &'a Value, level: usize) {
        let required = required(schema);
        for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let state = if required.contains(&name.as_str()) { "required" } else { "" };
            self.field(&to_visible_line(name), state, field, level);
        }
    }

    fn field(&mut self, name: &str, state: &str, written: &'a Value, level: usize) {
        if self.lines.len() >= MAX_LINES {
            return;
        }
        // As generators write what may be left out.
        let (one, or_null) = match without_null(written) {
            Some(one) => (one, " or null"),
            None => (written, ""),
        };
        let (schema, reference) = self.resolved(one);
        let mut facts: Vec<String> = vec![format!("{}{or_null}", kind(schema))];
        facts.push(state.to_owned());
        for (keyword, word) in [("default", "default "), ("const", "always ")] {
            facts.extend(schema.get(keyword).or(written.get(keyword)).map(|v| format!("{word}{}", visible_json(v))));
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            facts.push(format!("one of {}", values.iter().map(visible_json).collect::<Vec<_>>().join(", ")));
        }
        let is_deep = level >= MAX_DEPTH;
        let rest = schema.as_object().map(|schema| rest(schema, is_deep)).unwrap_or_default();
        let rest = Value::Object(rest);
        self.note(&rest);
        facts.extend(Some(rest).filter(|rest| *rest != Value::Object(Map::new())).map(|rest| visible_json(&rest)));
        facts.retain(|fact| !fact.is_empty());
        let pad = "  ".repeat(level);
        self.lines.push(format!("{pad}{name}: {}", facts.join(", ")));
        let text = written.get("description").or(schema.get("description")).and_then(Value::as_str);
        self.lines.extend(
            text.into_iter().flat_map(str::lines).map(|line| format!("{pad}    {}", to_visible_line(line.trim_end()))),
        );
        if is_deep {
            return;
        }
        self.open.extend(reference);
        self.fields(schema, level + 1);
        if let Some(items) = schema.get("items") {
            let (items, inner) = self.resolved(items);
            if items.get("properties").is_some() {
                self.open.extend(inner);
                self.fields(items, level + 1);
                self.open.truncate(self.open.len() - usize::from(inner.is_some()));
            } else if rest_of_items(items) {
                self.field("each", "", items, level + 1);
            }
        }
        self.open.truncate(self.open.len() - usize::from(reference.is_some()));
    }
}

/// The only other form of a value that may be `null`.
fn without_null(schema: &Value) -> Option<&Value> {
    let forms = schema.get("anyOf").or(schema.get("oneOf"))?.as_array()?;
    let is_null = |form: &&Value| form.get("type").is_some_and(|kind| kind == "null");
    let mut others = forms.iter().filter(|form| !is_null(form));
    let one = others.next().filter(|_| others.next().is_none())?;
    let says_more = |key: &str| !["anyOf", "oneOf", "default", "description", "title"].contains(&key);
    (forms.len() == 2 && !schema.as_object()?.keys().any(|key| says_more(key))).then_some(one)
}

/// Whether the items of an array have more to say than their type.
fn rest_of_items(items: &Value) -> bool {
    items.as_object().is_some_and(|items| items.keys().any(|key| !["type", "title"].contains(&key.as_str())))
}

/// The keywords that stand in the line as they are.
fn rest(schema: &Map<String, Value>, is_deep: bool) -> Map<String, Value> {
    let is_said = |key: &str| DESCRIBED_KEYWORDS.contains(&key) && !(is_deep && ["properties", "items"].contains(&key));
    schema.iter().filter(|(key, _)| !is_said(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// The type in words: `string`, `array of string`, `string or null`.
fn kind(schema: &Value) -> String {
    let names = match schema.get("type") {
        Some(Value::String(name)) => vec![name.as_str()],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let items = schema.get("items").map(kind).filter(|items| !items.is_empty());
    let name = |name: &str| match &items {
        Some(items) if name == "array" => format!("array of {items}"),
        _ => to_visible_line(name),
    };
    names.into_iter().map(name).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn every_parameter_has_a_line_and_no_keyword_is_lost() {
        let schema = json!({
            "type": "object",
            "$schema": "http://json-schema.org/draft-07/schema#",
            "additionalProperties": false,
            "minProperties": 1,
            "required": ["time"],
            "properties": {
                "time": {"type": "string", "description": "The time.\n24 hours.", "pattern": "^..:..$"},
                "zone": {"enum": ["UTC", "CET"], "default": "UTC"},
                "tags": {"type": ["array", "null"], "items": {"type": "string"}},
                "rows": {"type": "array", "items": {"$ref": "#/$defs/row"}},
                "either": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/size"}]},
                "maybe": {"anyOf": [{"$ref": "#/$defs/size"}, {"type": "null"}], "default": null},
                "esc\u{1b}[2K": {"type": "string"},
            },
            "$defs": {"row": {"type": "object", "required": ["a"], "properties": {
                "a": {"type": "integer", "minimum": 1}, "next": {"$ref": "#/$defs/row"}}},
                "size": {"type": "object", "properties": {"width": {"type": "number"}}}},
        });
        assert_eq!(signature(&schema), "(time, [zone], [tags], [rows], [either], [maybe], [esc\\u{1b}[2K])");
        insta::assert_snapshot!(parameters(&schema).join("\n"), @r##"
        time: string, required, {"pattern":"^..:..$"}
            The time.
            24 hours.
        zone: default UTC, one of UTC, CET
        tags: array of string or null
        rows: array
          a: integer, required, {"minimum":1}
          next: {"$ref":"#/$defs/row"}
        either: {"anyOf":[{"type":"string"},{"$ref":"#/$defs/size"}]}
        maybe: object or null, default null
          width: number
        esc\u{1b}[2K: string
        all: {"minProperties":1}
        #/$defs/row: object
          a: integer, required, {"minimum":1}
          next: object
            a: integer, required, {"minimum":1}
            next: {"$ref":"#/$defs/row"}
        #/$defs/size: object
          width: number
        "##);
    }

    #[test]
    fn a_schema_that_refers_to_itself_everywhere_ends() {
        let field = json!({"$ref": "#/$defs/a"});
        let properties: Map<String, Value> = (0..20).map(|n| (format!("p{n}"), field.clone())).collect();
        let schema = json!({"properties": properties, "$defs": {"a": {"properties": {"x": {"$ref": "#/$defs/b"}}},
            "b": {"properties": properties}}});
        assert!(parameters(&schema).len() <= MAX_LINES + 1);
        assert!(!parameters(&json!({"properties": {"x": {"$ref": "#"}}})).is_empty());
    }

    mod fuzz {
        use super::*;

        proptest! {
            #[test]
            fn no_schema_is_too_odd(text in r#"[\[\]{}:,"a-d0-9]{0,60}"#, key in "[a-z$]{1,10}") {
                let value: Value = serde_json::from_str(&text).unwrap_or(json!(text));
                for schema in [json!({ &key: value }), json!({"properties": {"x": {"items": value}}}), json!({"required": value})] {
                    parameters(&schema);
                    signature(&schema);
                }
            }
        }
    }
}
