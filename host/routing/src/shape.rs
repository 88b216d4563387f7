//! The shape that the protocol gives to tools, prompts, resources and templates. Clients throw away a whole list, and
//! model APIs a whole request, for one item of another shape.
//!
//! <https://modelcontextprotocol.io/specification/2025-11-25/schema>

use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The longest name or URI, in bytes.
const MAX_NAME_BYTES: usize = 256;
const MAX_URI_BYTES: usize = 2048;

/// The scheme of the URIs by which aiw tells servers apart.
pub(crate) const OWN_SCHEME: &str = "aiw";

/// What the URI of an MCP App begins with.
pub(crate) const UI_PREFIX: &str = "ui://";

aiw_core::string_enum! {
    /// A kind of item that a server lists, with the word for one of them.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub(crate) enum Kind {
        Tool = "tool",
        Prompt = "prompt",
        Resource = "resource",
        Template = "resource template",
        /// A server's instructions about all of its tools.
        Instructions = "text",
    }
}

/// The required shape of a field. `null` stands for an absent field: several SDKs write it.
enum FieldShape {
    Text,
    Name,
    Uri,
    UriTemplate,
    Flag,
    Number,
    Object,
    /// A JSON Schema of an object.
    Schema,
    OneOf(&'static [&'static str]),
    List(&'static FieldShape),
    Fields(&'static [Field]),
    /// Metadata, of which only these fields pass on, and they only in their shape.
    Meta(&'static [Field]),
    /// The `ui://` URI of an MCP App.
    UiUri,
    /// Who may use a tool of MCP Apps. What does not plainly name models is not for them.
    Visibility,
}

/// A field: its name, its shape, whether it must be there, and whether it passes on to clients.
struct Field(&'static str, FieldShape, FieldNeed, FieldWay);

#[derive(PartialEq)]
enum FieldNeed {
    Required,
    Optional,
}

#[derive(PartialEq)]
enum FieldWay {
    /// The field is pinned, and passes on.
    Forward,
    /// The field is left out: a server could change it unseen.
    Omit,
}

use FieldNeed::{Optional, Required};
use FieldShape::{
    Fields, Flag, List, Meta, Name, Number, Object, OneOf, Schema, Text, UiUri, Uri, UriTemplate, Visibility,
};
use FieldWay::{Forward, Omit};

const ICON: FieldShape = Fields(&[
    Field("src", Text, Required, Omit),
    Field("mimeType", Text, Optional, Omit),
    Field("sizes", List(&Text), Optional, Omit),
    Field("theme", OneOf(&["light", "dark"]), Optional, Omit),
]);

const HINTS: FieldShape = Fields(&[
    Field("title", Text, Optional, Forward),
    Field("readOnlyHint", Flag, Optional, Forward),
    Field("destructiveHint", Flag, Optional, Forward),
    Field("idempotentHint", Flag, Optional, Forward),
    Field("openWorldHint", Flag, Optional, Forward),
]);

const AUDIENCE: FieldShape = Fields(&[
    Field("audience", List(&OneOf(&["user", "assistant"])), Optional, Omit),
    Field("priority", Number, Optional, Omit),
    Field("lastModified", Text, Optional, Omit),
]);

const EXECUTION: FieldShape =
    Fields(&[Field("taskSupport", OneOf(&["forbidden", "optional", "required"]), Optional, Omit)]);

const ARGUMENT: FieldShape = Fields(&[
    Field("name", Text, Required, Forward),
    Field("title", Text, Optional, Forward),
    Field("description", Text, Optional, Forward),
    Field("required", Flag, Optional, Forward),
]);

/// A tool's page, and who may use the tool.
///
/// Source: SEP-1865.
const UI: FieldShape =
    Fields(&[Field("resourceUri", UiUri, Optional, Forward), Field("visibility", Visibility, Optional, Forward)]);

const TOOL: &[Field] = &[
    Field("name", Name, Required, Forward),
    Field("title", Text, Optional, Forward),
    Field("description", Text, Optional, Forward),
    Field("inputSchema", Schema, Required, Forward),
    Field("outputSchema", Schema, Optional, Forward),
    Field("annotations", HINTS, Optional, Forward),
    Field("execution", EXECUTION, Optional, Omit),
    Field("icons", List(&ICON), Optional, Omit),
    Field("_meta", Meta(&[Field("ui", UI, Optional, Forward)]), Optional, Forward),
];

const PROMPT: &[Field] = &[
    Field("name", Name, Required, Forward),
    Field("title", Text, Optional, Forward),
    Field("description", Text, Optional, Forward),
    Field("arguments", List(&ARGUMENT), Optional, Forward),
    Field("icons", List(&ICON), Optional, Omit),
    Field("_meta", Object, Optional, Omit),
];

const RESOURCE: &[Field] = &[
    Field("uri", Uri, Required, Forward),
    Field("name", Text, Required, Forward),
    Field("title", Text, Optional, Forward),
    Field("description", Text, Optional, Forward),
    Field("mimeType", Text, Optional, Forward),
    Field("size", Number, Optional, Omit),
    Field("annotations", AUDIENCE, Optional, Omit),
    Field("icons", List(&ICON), Optional, Omit),
    Field("_meta", Object, Optional, Omit),
];

const TEMPLATE: &[Field] = &[
    Field("uriTemplate", UriTemplate, Required, Forward),
    Field("name", Text, Required, Forward),
    Field("title", Text, Optional, Forward),
    Field("description", Text, Optional, Forward),
    Field("mimeType", Text, Optional, Forward),
    Field("annotations", AUDIENCE, Optional, Omit),
    Field("icons", List(&ICON), Optional, Omit),
    Field("_meta", Object, Optional, Omit),
];

/// A record of ours: in the protocol it is a text of the answer to `initialize`.
const INSTRUCTIONS: &[Field] = &[Field("name", Name, Required, Forward), Field("description", Text, Required, Forward)];

impl Kind {
    fn fields(self) -> &'static [Field] {
        match self {
            Self::Tool => TOOL,
            Self::Prompt => PROMPT,
            Self::Resource => RESOURCE,
            Self::Template => TEMPLATE,
            Self::Instructions => INSTRUCTIONS,
        }
    }

    /// The field that tells one from the others of a server.
    pub(crate) fn id_field(self) -> &'static str {
        self.fields()[0].0
    }

    /// Returns the field that tells an item from the others of a server; empty if nothing does.
    pub(crate) fn id(self, item: &Value) -> &str {
        item[self.id_field()].as_str().unwrap_or_default()
    }

    /// The fields that pass on to clients.
    pub(crate) fn forwarded_fields(self) -> impl Iterator<Item = &'static str> {
        self.fields().iter().filter(|field| field.3 == Forward).map(|field| field.0)
    }

    /// An item with what passes on to clients, in the server's order.
    pub(crate) fn forwarded_item(self, item: &Value) -> Value {
        passable(item, self.fields())
    }

    /// Why an item does not have the shape of its kind, as the end of a sentence about it.
    pub(crate) fn validation_error(self, item: &Value) -> Option<String> {
        let Some(item) = item.as_object() else { return Some("is not an object".into()) };
        let mut path = Vec::new();
        check_fields(item, self.fields(), &mut path).err().map(|problem| match path.is_empty() {
            true => problem,
            false => {
                let path = path.join(".");
                let article = if path.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
                format!("has {article} `{path}` that {problem}")
            }
        })
    }
}

fn passable(item: &Value, fields: &[Field]) -> Value {
    let passes = |name: &str, value: &Value| {
        let field = fields.iter().find(|field| field.0 == name && field.3 == Forward && !value.is_null())?;
        Some(match &field.1 {
            Fields(fields) => passable(value, fields),
            Meta(fields) => {
                let mut meta = passable(value, fields);
                meta.as_object_mut()?.retain(|_, value| value.as_object().is_none_or(|value| !value.is_empty()));
                return Some(meta).filter(|meta| meta.as_object().is_some_and(|meta| !meta.is_empty()));
            }
            // A URI that is none costs itself.
            UiUri => check(value, &UiUri, &mut Vec::new()).ok().map(|()| value.clone())?,
            Visibility => match value.as_array().is_some_and(|all| all.iter().any(|one| one == "model")) {
                true => value.as_array()?.iter().filter(|one| *one == "model" || *one == "app").cloned().collect(),
                false => json!(["app"]),
            },
            List(Fields(fields)) => value.as_array()?.iter().map(|item| passable(item, fields)).collect(),
            _ => value.clone(),
        })
    };
    let item = item.as_object().into_iter().flatten();
    Value::Object(item.filter_map(|(name, value)| Some((name.clone(), passes(name, value)?))).collect())
}

type ShapeCheck = Result<(), String>;

fn must(is_so: bool, what: &str) -> ShapeCheck {
    if is_so { Ok(()) } else { Err(format!("is not {what}")) }
}

/// `path` is where the problem is.
fn check_fields(item: &Map<String, Value>, fields: &[Field], path: &mut Vec<String>) -> ShapeCheck {
    for Field(name, shape, need, _) in fields {
        match item.get(*name) {
            None | Some(Value::Null) if *need == Required => return Err(format!("has no `{name}`")),
            None | Some(Value::Null) => {}
            Some(value) => within(path, name, |path| check(value, shape, path))?,
        }
    }
    Ok(())
}

/// Checks something below a name. The name stays in the path if there is a problem.
fn within(path: &mut Vec<String>, name: &str, check: impl FnOnce(&mut Vec<String>) -> ShapeCheck) -> ShapeCheck {
    path.push(aiw_core::one_line(name, 40));
    check(path)?;
    path.pop();
    Ok(())
}

fn check(value: &Value, shape: &FieldShape, path: &mut Vec<String>) -> ShapeCheck {
    match shape {
        Text => must(value.is_string(), "a text"),
        Name => must(
            value.as_str().is_some_and(|text| (1..=MAX_NAME_BYTES).contains(&text.len())),
            "a text of 1 to 256 bytes",
        ),
        Uri => check_uri(
            value,
            is_uri,
            &[':'],
            "a URI by RFC 3986 of at most 2048 bytes (`[` and `]` are `%5B` and `%5D`)",
        ),
        UriTemplate => check_uri(value, is_uri_template, &[':', '{'], "a URI template of at most 2048 bytes"),
        Flag => must(value.is_boolean(), "`true` or `false`"),
        Number => must(value.is_number(), "a number"),
        UiUri => {
            check_uri(value, is_uri, &[':'], "a URI")?;
            must(value.as_str().is_some_and(|uri| uri.starts_with(UI_PREFIX)), "a URI that begins with `ui://`")?;
            let segments = value.as_str().unwrap_or_default().split(['/', '?', '#']);
            must(!segments.into_iter().any(|one| one == "." || one == ".."), "a URI without segments of dots")
        }
        Visibility => Ok(()),
        Object | Meta(_) => must(value.is_object(), "an object"),
        OneOf(words) => must(value.as_str().is_some_and(|text| words.contains(&text)), "a word of the protocol"),
        List(shape) => {
            let Some(items) = value.as_array() else { return Err("is not a list".into()) };
            let mut items = items.iter().enumerate();
            items.try_for_each(|(at, item)| within(path, &at.to_string(), |path| check(item, shape, path)))
        }
        Fields(fields) => match value.as_object() {
            Some(item) => check_fields(item, fields, path),
            None => Err("is not an object".into()),
        },
        Schema => match value.as_object() {
            Some(schema) if schema.get("type").is_some_and(|kind| kind == "object") => {
                let list = schema.get("properties").filter(|list| !list.is_null());
                for (name, property) in list.and_then(Value::as_object).into_iter().flatten() {
                    // Elsewhere a schema may be `true` or `false`.
                    must(property.is_object(), "an object").inspect_err(|_| path.push(aiw_core::one_line(name, 40)))?;
                }
                schema_of(value, path)
            }
            Some(_) => Err("does not describe an object: its `type` is not `object`".into()),
            None => Err("is not an object".into()),
        },
    }
}

/// `ends` are the signs that can follow the scheme: that of a template may go on with a variable.
///
/// <https://www.rfc-editor.org/rfc/rfc3986#section-3.1>
fn check_uri(value: &Value, grammar: fn(&str) -> bool, ends: &[char], what: &str) -> ShapeCheck {
    let uri = value.as_str().filter(|text| text.len() <= MAX_URI_BYTES && grammar(text));
    let end = uri.and_then(|uri| uri.find(ends));
    let Some((uri, end)) = uri.zip(end) else { return must(false, what) };
    let scheme = &uri[..end];
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    must(is_scheme || end == 0 && uri.starts_with('{'), what)?;
    must(!scheme.eq_ignore_ascii_case(OWN_SCHEME), "a URI of the server's own")
}

/// Whether what follows a text's first colon is that of a URI, each part with its own characters. A port is one that there
/// is, and brackets are around a whole address.
///
/// <https://www.rfc-editor.org/rfc/rfc3986#appendix-A>
fn is_uri(text: &str) -> bool {
    let Some((_, rest)) = text.split_once(':') else { return false };
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    // Without two slashes behind the scheme there is no host.
    let (authority, path) = match rest.strip_prefix("//") {
        Some(place) => place.split_at(place.find('/').unwrap_or(place.len())),
        None => ("", rest),
    };
    let is_below = |c| is_of_name(c) || b":@/".contains(&c);
    let is_behind = |c| is_below(c) || c == b'?';
    is_authority(authority)
        && are_whole(path, is_below)
        && are_whole(query, is_behind)
        && are_whole(fragment, is_behind)
}

fn is_authority(text: &str) -> bool {
    let (user, place) = text.rsplit_once('@').unwrap_or(("", text));
    // What follows the last colon outside of brackets.
    let (host, port) = place.rsplit_once(':').filter(|(_, port)| !port.contains(']')).unwrap_or((place, ""));
    let is_host = match host.strip_prefix('[') {
        Some(literal) => literal.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => are_whole(host, is_of_name),
    };
    let is_port = port.is_empty() || port.bytes().all(|c| c.is_ascii_digit()) && port.parse::<u16>().is_ok();
    are_whole(user, |c| is_of_name(c) || c == b':') && is_host && is_port
}

/// Whether a byte may be in the name of a host and in all other parts: an unreserved one, or one that delimits within a
/// part.
fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}

/// Whether a text has only such bytes, and bytes in percent.
fn are_whole(text: &str, is_plain: impl Fn(u8) -> bool) -> bool {
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = match first {
            b'%' if after.len() >= 2 && after[..2].iter().all(u8::is_ascii_hexdigit) => &after[2..],
            c if is_plain(*c) => after,
            _ => return false,
        };
    }
    true
}

/// Whether a text is a template of URIs: literal parts, and expressions. Which part of a URI a literal is in is known only
/// with the values, so it may have the characters of all of them.
///
/// <https://www.rfc-editor.org/rfc/rfc6570#section-2>
fn is_uri_template(text: &str) -> bool {
    let is_literal = |c| is_of_name(c) || b":/?#[]@".contains(&c);
    let mut rest = text;
    while let Some((literal, after)) = rest.split_once('{') {
        let Some((expression, next)) = after.split_once('}') else { return false };
        if !are_whole(literal, is_literal) || !is_expression(expression) {
            return false;
        }
        rest = next;
    }
    are_whole(rest, is_literal)
}

fn is_expression(text: &str) -> bool {
    let list = text.strip_prefix(['+', '#', '.', '/', ';', '?', '&']).unwrap_or(text);
    list.split(',').all(|variable| {
        let name = match variable.split_once(':') {
            Some((name, most)) => {
                let is_most = (1..=4).contains(&most.len()) && most.bytes().all(|b| b.is_ascii_digit());
                if !is_most || most.starts_with('0') {
                    return false;
                }
                name
            }
            None => variable.strip_suffix('*').unwrap_or(variable),
        };
        let is_part = |part: &str| !part.is_empty() && are_whole(part, |c| c.is_ascii_alphanumeric() || c == b'_');
        name.split('.').all(is_part)
    })
}

/// Returns what a URI or a template says, as words: a model reads them, whatever stands between.
pub(crate) fn uri_words(uri: &str) -> String {
    let pairs = url::form_urlencoded::parse(uri.as_bytes());
    let decoded = pairs.map(|(name, value)| format!("{name} {value} ")).collect::<String>();
    decoded.chars().map(|c| if "-_+/.,;:?&=#{}*".contains(c) { ' ' } else { c }).collect()
}

/// The drafts of JSON Schema that are known here, without what may stand around their names.
const SCHEMA_DRAFTS: [&str; 6] = [
    "json-schema.org/schema",
    "json-schema.org/draft-04/schema",
    "json-schema.org/draft-06/schema",
    "json-schema.org/draft-07/schema",
    "json-schema.org/draft/2019-09/schema",
    "json-schema.org/draft/2020-12/schema",
];

fn is_known_draft(text: &str) -> bool {
    let name = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    name.is_some_and(|name| SCHEMA_DRAFTS.contains(&name.trim_end_matches('#')))
}

/// The keywords below which names stand, each with a schema.
const NAMED_SCHEMA_KEYWORDS: [&str; 5] =
    ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];

/// The keywords below which no schema stands, but values of what the schema describes.
const DATA_KEYWORDS: [&str; 5] = ["const", "default", "enum", "example", "examples"];

/// The keywords that name a place.
const REFERENCE_KEYWORDS: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// Checks a keyword that names a place or the schema itself. A reader of the schema may fetch what another document has,
/// or look there for what stands here.
fn leads_within(keyword: &str, value: &Value) -> ShapeCheck {
    let holds = |test: fn(&str) -> bool| value.as_str().is_some_and(test);
    match keyword {
        "$schema" => must(holds(is_known_draft), "a known draft of JSON Schema"),
        "$id" => must(holds(|id| id.starts_with('#')), "a name within the schema"),
        "id" => must(holds(is_id_within), "a name within the schema"),
        _ => must(holds(|at| at.starts_with('#') && !is_in_data(at)), "a place in the same schema"),
    }
}

/// Whether the `id` of a schema of draft 4 leaves the places below it in its document. Generators write names of all kinds
/// there, so only an address elsewhere counts.
fn is_id_within(id: &str) -> bool {
    let Ok(here) = url::Url::parse("https://schema.invalid/") else { return false };
    here.join(id).is_ok_and(|base| base.origin() == here.origin() || base.scheme() == "urn")
}

/// Whether a place of the schema is in a value, which is not looked at: a reader would take it for a schema.
fn is_in_data(at: &str) -> bool {
    let decoded: String = url::form_urlencoded::parse(at.as_bytes()).flat_map(|(name, value)| [name, value]).collect();
    let mut is_name = false;
    decoded.split('/').skip(1).any(|part| {
        let is_data = !is_name && DATA_KEYWORDS.contains(&part);
        is_name = !is_name && NAMED_SCHEMA_KEYWORDS.contains(&part);
        is_data
    })
}

/// Checks a value below a keyword that is not known: a reference can make a schema of any part of it.
fn stays_within(value: &Value, path: &mut Vec<String>) -> ShapeCheck {
    match value {
        Value::Object(fields) => fields.iter().try_for_each(|(name, field)| {
            within(path, name, |path| match name.as_str() {
                // It is the name of something, and no keyword.
                _ if !field.is_string() => stays_within(field, path),
                keyword @ ("$id" | "$schema") => leads_within(keyword, field),
                keyword if REFERENCE_KEYWORDS.contains(&keyword) => leads_within(keyword, field),
                "id" if refers(value) => leads_within("id", field),
                _ => Ok(()),
            })
        }),
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.try_for_each(|(at, item)| within(path, &at.to_string(), |path| stays_within(item, path)))
        }
        _ => Ok(()),
    }
}

/// Whether something in a value names a place: only for that does the address of the whole matter.
fn refers(value: &Value) -> bool {
    match value {
        Value::Object(fields) => refer(fields),
        Value::Array(items) => items.iter().any(refers),
        _ => false,
    }
}

fn refer(fields: &Map<String, Value>) -> bool {
    fields.iter().any(|(name, field)| refers(field) || field.is_string() && REFERENCE_KEYWORDS.contains(&name.as_str()))
}

/// The types of JSON Schema.
const SCHEMA_TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];

/// Whether the keywords of a JSON Schema have the types that a draft from 4 to 2020-12 gives them.
fn schema_of(schema: &Value, path: &mut Vec<String>) -> ShapeCheck {
    let schema = match schema {
        Value::Object(schema) => schema,
        Value::Bool(_) => return Ok(()),
        _ => return Err("is not a schema".into()),
    };
    for (keyword, value) in schema {
        within(path, keyword, |path| match keyword.as_str() {
            "type" => {
                let is_type = |value: &Value| value.as_str().is_some_and(|name| SCHEMA_TYPES.contains(&name));
                let some = value.as_array().is_some_and(|names| !names.is_empty() && names.iter().all(is_type));
                must(is_type(value) || some, "a type of JSON Schema")
            }
            keyword if NAMED_SCHEMA_KEYWORDS.contains(&keyword) => {
                let Some(named) = value.as_object() else { return Err("is not an object".into()) };
                named.iter().try_for_each(|(name, schema)| within(path, name, |path| schema_of(schema, path)))
            }
            "items" if value.as_array().is_some_and(|items| !items.is_empty()) => schemas(value, path),
            "items" if value.is_array() => Ok(()),
            "allOf" | "anyOf" | "oneOf" | "prefixItems" => schemas(value, path),
            "items"
            | "additionalItems"
            | "additionalProperties"
            | "unevaluatedItems"
            | "unevaluatedProperties"
            | "not"
            | "if"
            | "then"
            | "else"
            | "contains"
            | "propertyNames" => schema_of(value, path),
            // In draft 4 and earlier, `required` could be `true`; no model API takes that.
            "required" => {
                must(value.as_array().is_some_and(|names| names.iter().all(Value::is_string)), "a list of texts")
            }
            "enum" | "examples" => must(value.is_array(), "a list"),
            // `example` is OpenAPI's.
            "const" | "default" | "example" => Ok(()),
            "uniqueItems" | "readOnly" | "writeOnly" | "deprecated" => must(value.is_boolean(), "`true` or `false`"),
            keyword @ ("$id" | "$schema") => leads_within(keyword, value),
            keyword if REFERENCE_KEYWORDS.contains(&keyword) => leads_within(keyword, value),
            "id" if value.is_string() && !refer(schema) => Ok(()),
            "id" if value.is_string() => leads_within("id", value),
            "title" | "description" | "format" | "pattern" | "$anchor" | "$comment" => {
                must(value.is_string(), "a text")
            }
            "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" | "minContains"
            | "maxContains" => must(value.as_f64().is_some_and(|n| n >= 0.0 && n.fract() == 0.0), "a whole number"),
            // In draft 4 they are flags, and real servers have them.
            "exclusiveMinimum" | "exclusiveMaximum" if value.is_boolean() => Ok(()),
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => {
                must(value.is_number(), "a number")
            }
            _ => stays_within(value, path),
        })?;
    }
    Ok(())
}

fn schemas(list: &Value, path: &mut Vec<String>) -> ShapeCheck {
    let Some(list) = list.as_array() else { return Err("is not a list".into()) };
    must(!list.is_empty(), "a list of at least one schema")?;
    let mut list = list.iter().enumerate();
    list.try_for_each(|(at, schema)| within(path, &at.to_string(), |path| schema_of(schema, path)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_uri_is_one_for_strict_readers() {
        for good in [
            "file:///a%5B1%5D.txt",
            "http://[::1]:80/x",
            "https://u@a.example:8080/?q=a:b#c",
            "x:y",
            "db://a/b@c",
            "open:x?u=http://host:abc/",
            "x://u:p;a=b@h/a@b:c;d/?e?f/@#g?h/@",
            "x:a:b@c//d",
            "x://",
            "x://h:",
        ] {
            assert!(is_uri(good), "{good}");
        }
        for bad in [
            "http://[::1",
            "http://::1]/",
            "http://a[b]/",
            "http://[[::1]]/",
            "http://a:80x/",
            "http://a:99999/",
            "http://[zz]/",
            "http://[u]@h/",
            "http://a b/",
            "http://a:1:2/",
            "file:///a[1].txt",
            "x:a[1]",
            "x:a?b[]=c",
            "x:a#b[c]",
            "x:a#b#c",
            "x:##",
            "http://u@v@h/",
            "http://u[1]@h/",
        ] {
            assert!(!is_uri(bad), "{bad}");
        }
        assert!(is_uri_template("http://[{address}]:{port}/{+path}") && is_uri_template("x:{a}#{b}[1]@"));
    }

    /// A whole item of each kind.
    fn whole(kind: Kind) -> Value {
        let icons = json!([{"src": "data:,", "mimeType": "image/png", "sizes": ["48x48"], "theme": "dark"}]);
        let audience = json!({"audience": ["user"], "priority": 0.5, "lastModified": "2026-01-01T00:00:00Z"});
        match kind {
            Kind::Tool => json!({
                "name": "t", "title": "T", "description": "d", "icons": icons, "_meta": {"x": 1}, "odd": 1,
                "inputSchema": {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "properties": {"a": {"type": ["string", "null"]},
                    "b": {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/c"}}, {"enum": [1, "x", null]}]}},
                    "required": ["a"], "additionalProperties": false, "$defs": {"c": true}},
                "outputSchema": {"type": "object"}, "execution": {"taskSupport": "optional"},
                "annotations": {"title": "T", "readOnlyHint": true, "odd": 1},
            }),
            Kind::Prompt => json!({
                "name": "p", "title": "P", "description": "d", "icons": icons, "_meta": {},
                "arguments": [{"name": "a", "title": "A", "description": "d", "required": true, "odd": 1}],
            }),
            Kind::Resource => json!({
                "uri": "file:///x", "name": "x", "title": "X", "description": "d", "mimeType": "text/plain",
                "size": 3, "annotations": audience, "icons": icons, "_meta": {},
            }),
            Kind::Template => json!({
                "uriTemplate": "file:///{x}", "name": "x", "title": "X", "description": "d", "mimeType": "text/plain",
                "annotations": audience, "icons": icons, "_meta": {},
            }),
            Kind::Instructions => json!({"name": "instructions", "description": "d"}),
        }
    }

    #[test]
    fn a_whole_item_is_right_and_passes_without_what_is_not_pinned() {
        for kind in Kind::ALL {
            let item = whole(kind);
            assert_eq!(kind.validation_error(&item), None, "{kind:?}");
            let passed = kind.forwarded_item(&item);
            assert!(passed.as_object().unwrap().keys().all(|key| kind.forwarded_fields().any(|passed| passed == key)));
            assert!(!passed.to_string().contains("odd") && !passed.to_string().contains("_meta"), "{passed}");
            // Absent and `null` are the same.
            for name in item.as_object().unwrap().keys() {
                let mut without = item.clone();
                without[name] = Value::Null;
                let is_needed = kind.fields().iter().any(|field| field.0 == name && field.2 == Required);
                assert_eq!(kind.validation_error(&without).is_some(), is_needed, "{kind:?} {name}");
            }
        }
    }

    #[test]
    fn every_field_of_another_type_is_a_problem_that_is_named() {
        for kind in Kind::ALL {
            for Field(name, ..) in kind.fields() {
                for wrong in [json!(5), json!("x"), json!([]), json!({}), json!(true), json!([5])] {
                    let mut item = whole(kind);
                    let right = item[*name].clone();
                    if std::mem::discriminant(&right) == std::mem::discriminant(&wrong) {
                        continue;
                    }
                    item[*name] = wrong.clone();
                    let problem = kind.validation_error(&item).unwrap_or_else(|| panic!("{kind:?} {name} {wrong}"));
                    assert!(problem.contains(name), "{problem}");
                }
            }
        }
    }

    #[test]
    fn schemas_that_model_apis_refuse_are_problems() {
        for (schema, problem) in [
            (json!({}), "has an `inputSchema` that does not describe an object: its `type` is not `object`"),
            (
                json!({"type": "string"}),
                "has an `inputSchema` that does not describe an object: its `type` is not `object`",
            ),
            (json!({"type": "object", "required": "x"}), "has an `inputSchema.required` that is not a list of texts"),
            (json!({"type": "object", "properties": []}), "has an `inputSchema.properties` that is not an object"),
            (json!({"type": "object", "properties": {"a": true}}), "has an `inputSchema.a` that is not an object"),
            (
                json!({"type": "object", "properties": {"a": {"type": "str"}}}),
                "has an `inputSchema.properties.a.type` that is not a type of JSON Schema",
            ),
            (
                json!({"type": "object", "properties": {"a": {"items": {"oneOf": {}}}}}),
                "has an `inputSchema.properties.a.items.oneOf` that is not a list",
            ),
        ] {
            let tool = json!({"name": "t", "inputSchema": schema});
            assert_eq!(Kind::Tool.validation_error(&tool).as_deref(), Some(problem));
        }
    }

    #[test]
    fn a_uri_has_a_scheme_that_is_not_aiws() {
        let is_right = |uri: &str| Kind::Resource.validation_error(&json!({"uri": uri, "name": "x"})).is_none();
        assert!(is_right("file:///x") && is_right("urn:x:y") && is_right("A+b.c-1:"));
        for wrong in [
            "",
            "note",
            "zzz__file:///x",
            "aiw://a/b",
            "AIW:x",
            "a b:c",
            "x:\n",
            "x:\u{202e}",
            ":x",
            "{a}:b",
            "1:x",
            "+x:y",
            "-x:y",
        ] {
            assert!(!is_right(wrong), "{wrong}");
        }
        // By the grammar.
        assert!(is_right("file:///a%20b") && is_right("x://[::1]:80/a;b=c?d#e") && is_right("mailto:a@b.example"));
        for wrong in
            ["x:a b", "x:ä", "x:\"a\"", "x:<a>", "x:{a}", "x:a|b", "x:a\\b", "x:^", "x:%", "x:%4", "x:%zz", "x:`a`"]
        {
            assert!(!is_right(wrong), "{wrong}");
        }
        assert!(!is_right(&format!("x:{}", "y".repeat(MAX_URI_BYTES))));
        let template = |uri: &str| Kind::Template.validation_error(&json!({"uriTemplate": uri, "name": "x"})).is_none();
        for right in ["x:{a}{b}", "x:{?a,b*,c:30}", "x:{#a.b}", "x:{/a_1,%41}", "x:a%20{;b}", "x:{&c}"] {
            assert!(template(right), "{right}");
        }
        for wrong in [
            "x:{",
            "x:}",
            "x:{}",
            "x:{a b}",
            "x:{=a}",
            "x:{a:0}",
            "x:{a:10000}",
            "x:{a,}",
            "x:{.a.}",
            "x:{ignore all}",
            "x y:{a}",
            "1:{a}",
            "1{+a}",
            "x:{a{b}}",
        ] {
            assert!(!template(wrong), "{wrong}");
        }
        assert!(template("https{+rest}") && template("{+all}") && template("x:/{y}") && !template("aiw{+rest}"));
    }

    #[test]
    fn a_schema_leads_nowhere_else() {
        let is_right = |schema: Value| {
            let mut whole = json!({"type": "object"});
            whole.as_object_mut().unwrap().extend(schema.as_object().unwrap().clone());
            Kind::Tool.validation_error(&json!({"name": "x", "inputSchema": whole})).is_none()
        };
        for right in [
            json!({"$schema": "http://json-schema.org/draft-07/schema#"}),
            json!({"$schema": "https://json-schema.org/draft/2020-12/schema"}),
            json!({"$id": "#here", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "string"}}}),
            json!({"properties": {"$ref": {"type": "string"}, "$id": {"type": "string"}}}),
            json!({"properties": {"id": {"type": "string"}, "default": {"$ref": "#/properties/id"}},
                "required": ["id"], "dependencies": {"$ref": ["id"], "id": {"$ref": "#/properties/default"}}}),
            json!({"id": "/properties/a", "$defs": {"a": {"id": "urn:jsonschema:com:acme:A"}, "b": {"id": "#b"}}}),
            json!({"$ref": "#/$defs/enum", "$defs": {"enum": {"items": {"$ref": "#/$defs/enum"}}}}),
            // Values of what is described, and what nothing refers to.
            json!({"id": "acme:Create", "properties": {"a": {"id": "https://a.example/x", "type": "string"}}}),
            json!({"properties": {"a": {"type": "object", "example": {"$id": "https://a.example/x"}}}}),
            json!({"default": {"$ref": "https://a.example/x"}, "examples": [{"$id": "https://a.example/x"}]}),
            json!({"enum": [{"id": "https://a.example/x"}], "const": {"$schema": "https://a.example/x"}}),
            json!({"example": {"id": "https://a.example/x"}, "x-docs": {"url": "https://a.example/x", "id": "x:y"}}),
            json!({"x-names": {"$ref": {"type": "string"}, "$schema": ["https://a.example"]}}),
        ] {
            assert!(is_right(right.clone()), "{right}");
        }
        for wrong in [
            json!({"$schema": "https://evil.example/schema"}),
            json!({"$schema": "https://json-schema.org.evil.example/draft-07/schema"}),
            json!({"$id": "https://evil.example/x"}),
            json!({"$ref": "https://evil.example/x"}),
            json!({"properties": {"a": {"$ref": "file:///etc/passwd"}}}),
            json!({"properties": {"a": {"items": {"$ref": "other.json#/a"}}}}),
            json!({"properties": {"a": {"$dynamicRef": "//evil.example/x"}}}),
            json!({"properties": {"a": {"anyOf": [{"$recursiveRef": "x"}]}}}),
            // Below keywords that are not checked otherwise.
            json!({"$ref": "#/x", "x": {"$ref": "https://evil.example/x"}}),
            json!({"x": [{"y": {"properties": {"default": {"$dynamicRef": "other.json"}}}}]}),
            json!({"x": {"default": {"$ref": "https://evil.example/x"}}}),
            json!({"x": {"$id": "https://evil.example/x"}}),
            json!({"x": {"$schema": "https://evil.example/x"}}),
            json!({"dependencies": {"a": {"$ref": "https://evil.example/x"}}}),
            json!({"properties": {"a": {"contentSchema": {"items": {"$ref": "file:///etc/passwd"}}}}}),
            // In draft 4, `id` moves the base of what stands below it.
            json!({"id": "https://evil.example/x", "$ref": "#/a"}),
            json!({"id": "https://evil.example/x", "properties": {"a": {"$ref": "#/a"}}}),
            json!({"properties": {"a": {"id": "//evil.example/x", "items": {"$ref": "#/a"}}}}),
            json!({"items": {"id": "\\\\evil.example/x", "$ref": "#"}}),
            json!({"x": {"id": "file:///etc/passwd", "y": [{"$ref": "#/z"}]}}),
            // A reference makes a schema of a value.
            json!({"$ref": "#/default", "default": {"$ref": "https://evil.example/x"}}),
            json!({"properties": {"a": {"enum": [{"$ref": "https://evil.example/x"}]},
                "b": {"$ref": "#/properties/a/%65num/0"}}}),
            json!({"$ref": "#%2Fproperties%2Fconst%2Fconst", "properties": {"const": {"const": {"$ref": "x.json"}}}}),
        ] {
            assert!(!is_right(wrong.clone()), "{wrong}");
        }
    }

    fn anything() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-z:{}]{0,6}|object|string".prop_map(Value::from),
        ];
        let name =
            "name|uri|uriTemplate|inputSchema|type|properties|required|annotations|title|items|arguments|[a-z]{1,3}";
        leaf.prop_recursive(5, 48, 6, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(name, inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    mod fuzz {
        use super::*;

        proptest! {
            #[test]
            fn what_passes_the_check_still_passes_it_without_what_is_left_out(item in anything()) {
                for kind in Kind::ALL {
                    if kind.validation_error(&item).is_none() {
                        let passed = kind.forwarded_item(&item);
                        prop_assert_eq!(kind.validation_error(&passed), None);
                        prop_assert_eq!(&kind.forwarded_item(&passed), &passed);
                    }
                }
            }
        }
    }
}
