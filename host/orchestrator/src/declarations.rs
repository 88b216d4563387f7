//! Tools as TypeScript declares functions: what a model, or an editor, needs to know to write a call, in few tokens.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// A tool as its server defines it.
#[derive(Debug, Clone, Copy)]
pub struct DeclaredTool<'a> {
    /// Its name among all tools.
    pub qualified_name: &'a str,
    /// Its definition, as MCP has it.
    pub definition: &'a Value,
}

/// The deepest objects that are written out.
const MAX_DEPTH: usize = 5;

/// The longest type, in bytes.
const MAX_DECLARATION_LEN: usize = 4000;

/// How many fields of an object, choices of a list, and types of a union are written.
const MAX_FIELDS: usize = 60;

/// How many schemas are looked at for one type. References can make a small schema mean many.
const MAX_SCHEMAS: usize = 2000;

/// The longest description, in characters.
const MAX_DESCRIPTION_LEN: usize = 160;

/// Declares a tool in one line: `tools.NAME(args: {…}): Promise<…>; // what it does`.
pub fn declaration(tool: DeclaredTool<'_>) -> String {
    let name = tool_expression(tool.qualified_name);
    let about = about(tool.definition).map(|text| format!(" // {text}")).unwrap_or_default();
    format!("{name}{};{about}", signature(tool.definition))
}

/// The longest types of a tool that a plan may use, in bytes, and the longest description of it, in characters.
const MAX_PLAN_TYPES_BYTES: usize = 240;
const MAX_PLAN_DESCRIPTION_LEN: usize = 80;

/// How many arguments of a tool that a plan may use are written.
const MAX_PLAN_ARGUMENTS: usize = 8;

/// Describes a tool to a small model, in some 40 tokens: `NAME(args: {…}): {…} // what it does`. The arguments that it
/// must have come first.
pub(crate) fn plan_line(whole_name: &str, definition: &Value) -> String {
    let input = &definition["inputSchema"];
    let required = input["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    let fields = input["properties"].as_object();
    let (must, may): (Vec<_>, Vec<_>) =
        fields.into_iter().flatten().partition(|(name, _)| required.iter().any(|one| one == name.as_str()));
    let fields: Map<String, Value> = must
        .into_iter()
        .chain(may)
        .take(MAX_PLAN_ARGUMENTS)
        .map(|(name, field)| (name.clone(), field.clone()))
        .collect();
    let mut shown = input.clone();
    if !fields.is_empty() {
        shown["properties"] = Value::Object(fields);
    }
    let arguments =
        if shown["properties"].is_object() { bounded_type_of(&shown, MAX_PLAN_TYPES_BYTES) } else { String::new() };
    let output = match &definition["outputSchema"] {
        output if output.is_object() => format!(": {}", bounded_type_of(output, MAX_PLAN_TYPES_BYTES)),
        _ => String::new(),
    };
    let about = about(definition).map(|text| format!(" // {}", aiw_core::one_line(&text, MAX_PLAN_DESCRIPTION_LEN)));
    format!("{whole_name}({arguments}){output}{}", about.unwrap_or_default())
}

/// Returns how a script writes a tool: `tools.NAME`.
pub fn tool_expression(whole_name: &str) -> String {
    match is_identifier(whole_name) {
        true => format!("tools.{whole_name}"),
        false => format!("tools[{}]", string(whole_name)),
    }
}

/// Returns a file that declares these tools and all else that a script finds beside the language, for editors.
pub fn declaration_file<'a>(tools: impl IntoIterator<Item = DeclaredTool<'a>>) -> String {
    let mut text = String::from(
        "// Written by `aiw workflow new`: the tools of your MCP servers, for editors. It is written anew each time.\n\n\
         declare const mcp: {\n  call(server: string, tool: string, args?: object): Promise<any>;\n};\n\n\
         declare const tools: {\n",
    );
    for tool in tools {
        if let Some(about) = about(tool.definition) {
            // A comment ends at these.
            let _ = writeln!(text, "  /** {} */", about.replace("*/", "* /"));
        }
        let _ = writeln!(text, "  {}{};", key(tool.qualified_name), signature(tool.definition));
    }
    text.push_str("};\n");
    text
}

fn about(definition: &Value) -> Option<String> {
    let text = ["description", "title"].into_iter().find_map(|key| definition[key].as_str())?;
    Some(aiw_core::one_line(text.trim(), MAX_DESCRIPTION_LEN)).filter(|text| !text.is_empty())
}

/// `(args: {…}): Promise<…>`
fn signature(definition: &Value) -> String {
    let input = &definition["inputSchema"];
    let takes_nothing = input["properties"].as_object().is_none_or(Map::is_empty);
    let arguments = match takes_nothing && input["additionalProperties"] == false {
        true => String::new(),
        false => {
            let may_be_left_out = input["required"].as_array().is_none_or(Vec::is_empty);
            format!("args{}: {}", if may_be_left_out { "?" } else { "" }, type_of(input))
        }
    };
    let output = match definition["outputSchema"].is_object() {
        true => type_of(&definition["outputSchema"]),
        // What the text is, nobody says beforehand.
        false => "any".to_owned(),
    };
    format!("({arguments}): Promise<{output}>")
}

/// Returns the type that a schema describes. What TypeScript can't say is `unknown`, and what is too long, too.
fn type_of(schema: &Value) -> String {
    bounded_type_of(schema, MAX_DECLARATION_LEN)
}

/// Returns the type in about so many bytes.
fn bounded_type_of(schema: &Value, room: usize) -> String {
    let mut types = Types { root: schema, open: Vec::new(), room, remaining_bytes: MAX_SCHEMAS };
    types.of(schema, 0)
}

struct Types<'a> {
    root: &'a Value,
    /// The references that are being followed.
    open: Vec<&'a str>,
    room: usize,
    remaining_bytes: usize,
}

impl<'a> Types<'a> {
    /// Takes what a text needs from the room that there is.
    fn taken(&mut self, text: String) -> String {
        match self.room.checked_sub(text.len()) {
            Some(room) => {
                self.room = room;
                text
            }
            None => "unknown".into(),
        }
    }

    fn of(&mut self, schema: &'a Value, depth: usize) -> String {
        if depth > MAX_DEPTH || self.room == 0 || self.remaining_bytes == 0 {
            return "unknown".into();
        }
        self.remaining_bytes -= 1;
        if let Some(reference) = schema["$ref"].as_str() {
            let meant = reference.strip_prefix('#').and_then(|path| self.root.pointer(path));
            let Some(meant) = meant.filter(|_| !self.open.contains(&reference)) else { return "unknown".into() };
            self.open.push(reference);
            let text = self.of(meant, depth);
            self.open.pop();
            return text;
        }
        if !schema["const"].is_null() {
            return self.literal(&schema["const"]);
        }
        if let Some(choices) = schema["enum"].as_array() {
            let choices: Vec<String> = choices.iter().take(MAX_FIELDS).map(|choice| self.literal(choice)).collect();
            return union(choices);
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(all) = schema[key].as_array() {
                let all: Vec<String> = all.iter().take(MAX_FIELDS).map(|one| self.of(one, depth + 1)).collect();
                return union(all);
            }
        }
        match &schema["type"] {
            Value::Array(kinds) => {
                let kinds: Vec<String> =
                    kinds.iter().filter_map(Value::as_str).take(7).map(|kind| self.kind(kind, schema, depth)).collect();
                union(kinds)
            }
            Value::String(kind) => self.kind(kind, schema, depth),
            _ if schema["properties"].is_object() => self.kind("object", schema, depth),
            _ => "unknown".into(),
        }
    }

    fn kind(&mut self, kind: &str, schema: &'a Value, depth: usize) -> String {
        match kind {
            "string" => "string".into(),
            "number" | "integer" => "number".into(),
            "boolean" => "boolean".into(),
            "null" => "null".into(),
            "array" => {
                let items = self.of(&schema["items"], depth + 1);
                match items.contains([' ', '|']) && !items.starts_with('{') {
                    true => format!("({items})[]"),
                    false => format!("{items}[]"),
                }
            }
            "object" => self.object(schema, depth),
            _ => "unknown".into(),
        }
    }

    fn object(&mut self, schema: &'a Value, depth: usize) -> String {
        let Some(fields) = schema["properties"].as_object().filter(|fields| !fields.is_empty()) else {
            let others = &schema["additionalProperties"];
            let value = if others.is_object() { self.of(others, depth + 1) } else { "unknown".into() };
            return format!("Record<string, {value}>");
        };
        let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut parts = Vec::new();
        for (name, field) in fields.iter().take(MAX_FIELDS) {
            let name_in_type = self.taken(key(name));
            if self.room == 0 || (name_in_type == "unknown" && name != "unknown") {
                break;
            }
            let mark = if required.iter().any(|one| one == name) { "" } else { "?" };
            parts.push(format!("{name_in_type}{mark}: {}", self.of(field, depth + 1)));
        }
        format!("{{ {} }}", parts.join("; "))
    }

    fn literal(&mut self, value: &Value) -> String {
        let text = match value {
            Value::String(text) => string(text),
            Value::Array(_) | Value::Object(_) => "unknown".into(),
            other => other.to_string(),
        };
        self.taken(text)
    }
}

fn union(mut types: Vec<String>) -> String {
    let mut seen = std::collections::HashSet::new();
    types.retain(|one| seen.insert(one.clone()));
    match types.is_empty() || types.iter().any(|one| one == "unknown") {
        true => "unknown".into(),
        false => types.join(" | "),
    }
}

/// A text as JavaScript writes it. What ends a line or turns the direction of writing is escaped, as in a comment.
fn string(text: &str) -> String {
    let mut written = String::new();
    for c in Value::from(text).to_string().chars() {
        match aiw_core::is_unsafe(c) {
            true => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    let _ = write!(written, "\\u{unit:04x}");
                }
            }
            false => written.push(c),
        }
    }
    written
}

/// The name of a field.
fn key(name: &str) -> String {
    if is_identifier(name) { name.to_owned() } else { string(name) }
}

fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '$')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn declared(definition: &Value) -> String {
        declaration(DeclaredTool { qualified_name: "git__log", definition })
    }

    #[test]
    fn a_tool_is_a_line_of_typescript() {
        let definition = json!({
            "description": "Shows commits.\nNewest first. */",
            "inputSchema": {
                "type": "object",
                "properties": {
                    "repo": {"type": "string"},
                    "sort": {"enum": ["new", "old"]},
                    "labels": {"type": "array", "items": {"type": ["string", "null"]}},
                    "since-date": {"$ref": "#/$defs/when"},
                    "tree": {"$ref": "#/$defs/tree"},
                },
                "required": ["repo"],
                "$defs": {
                    "when": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
                    "tree": {"type": "object", "properties": {"child": {"$ref": "#/$defs/tree"}}},
                },
            },
            "outputSchema": {"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]},
        });
        assert_eq!(
            declared(&definition),
            "tools.git__log(args: { repo: string; sort?: \"new\" | \"old\"; labels?: (string | null)[]; \
             \"since-date\"?: number | string; tree?: { child?: unknown } }): Promise<{ total: number }>; \
             // Shows commits. Newest first. */"
        );
        assert_eq!(
            declared(&json!({"inputSchema": {"type": "object", "additionalProperties": false}})),
            "tools.git__log(): Promise<any>;"
        );
        assert_eq!(
            declared(&json!({"inputSchema": {"type": "object"}})),
            "tools.git__log(args?: Record<string, unknown>): Promise<any>;"
        );
        let file = declaration_file([DeclaredTool { qualified_name: "a-b__c", definition: &definition }]);
        assert!(file.contains("  /** Shows commits. Newest first. * / */\n  \"a-b__c\"(args: {"), "{file}");
    }

    #[test]
    fn a_schema_that_means_a_million_others_takes_no_time() {
        let mut definitions = Map::new();
        for level in 0..8 {
            let next = json!({"$ref": format!("#/$defs/l{}", level + 1)});
            definitions.insert(format!("l{level}"), json!({"anyOf": vec![next; 60]}));
        }
        definitions.insert("l8".into(), json!({"type": "string"}));
        let input = json!({"properties": {"a": {"$ref": "#/$defs/l0"}}, "$defs": definitions});
        let start = std::time::Instant::now();
        assert!(declared(&json!({"inputSchema": input})).len() < 40_000);
        // A guard against hanging.
        assert!(start.elapsed().as_secs() < 20);
    }

    mod fuzz {
        use proptest::prelude::*;

        use super::*;

        fn schemas() -> impl Strategy<Value = Value> {
            let words = prop::sample::select(vec![
                "type",
                "properties",
                "items",
                "enum",
                "const",
                "anyOf",
                "$ref",
                "required",
                "additionalProperties",
                "string",
                "object",
                "array",
                "#",
                "#/properties/type",
                "\u{2028}",
                "*/",
                "a\nb",
            ]);
            let leaf = prop_oneof![
                Just(Value::Null),
                any::<bool>().prop_map(Value::from),
                words.clone().prop_map(Value::from)
            ];
            leaf.prop_recursive(8, 200, 8, move |inner| {
                prop_oneof![
                    prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                    prop::collection::vec((words.clone(), inner), 0..8).prop_map(|all| all
                        .into_iter()
                        .map(|(k, v)| (k.to_owned(), v))
                        .collect::<Map<_, _>>()
                        .into()),
                ]
            })
        }

        proptest! {
            #[test]
            fn any_schema_is_one_line_of_bounded_length(input in schemas(), output in schemas(), text in ".{0,300}") {
                let line = declared(&json!({"description": text, "inputSchema": input, "outputSchema": output}));
                prop_assert!(!line.chars().any(aiw_core::is_unsafe) && !line.contains('\n'), "{line}");
                prop_assert!(line.len() < 40_000);
            }
        }
    }
}
