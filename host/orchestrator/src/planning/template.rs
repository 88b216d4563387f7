//! `{{step1.items[0].id}}`, `{{input.city}}`: what a plan leaves to be filled in.

use serde_json::Value;

/// The meaning of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateReference {
    /// The result of a step, counted from one, and the way into it.
    Step(usize, Vec<PathKey>),
    /// A part of the input.
    Input(String),
}

/// A step on the way into a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathKey {
    /// A field.
    Field(String),
    /// An element of a list, counted from zero.
    Index(usize),
}

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplatePart {
    /// A text.
    Text(String),
    /// The value that is filled in.
    Reference(TemplateReference),
}

/// The longest way into a value.
const MAX_DEPTH: usize = 12;

/// The value of a step's argument.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    /// A value as it is.
    Json(Value),
    /// A text with something filled in. Of a single piece, the value itself, unless a text is wanted.
    Template {
        /// Its pieces.
        pieces: Vec<TemplatePart>,
        /// Whether it has to be a text.
        is_text: bool,
    },
    /// A list.
    List(Vec<Expression>),
    /// An object.
    Object(Vec<(String, Expression)>),
}

impl Expression {
    /// Reads a value whose texts may hold templates. What stands in the request as it is, is text.
    pub(super) fn parse(value: &Value, request: &str) -> Result<Self, String> {
        Ok(match value {
            Value::String(text) => {
                let pieces = pieces(text, request)?;
                match pieces.iter().any(|piece| matches!(piece, TemplatePart::Reference(_))) {
                    true => Self::Template { is_text: pieces.len() > 1, pieces },
                    false => Self::Json(value.clone()),
                }
            }
            Value::Array(items) => {
                Self::List(items.iter().map(|item| Self::parse(item, request)).collect::<Result<_, _>>()?)
            }
            Value::Object(fields) => {
                let field = |(name, field): (&String, &Value)| Ok((name.clone(), Self::parse(field, request)?));
                Self::Object(fields.iter().map(field).collect::<Result<_, String>>()?)
            }
            other => Self::Json(other.clone()),
        })
    }

    /// Calls this for each reference, with whether it is the whole expression.
    pub(super) fn visit_references(
        &self,
        visit: &mut dyn FnMut(&TemplateReference, bool) -> Result<(), String>,
    ) -> Result<(), String> {
        self.each_within(true, visit)
    }

    fn each_within(
        &self,
        is_top: bool,
        visit: &mut dyn FnMut(&TemplateReference, bool) -> Result<(), String>,
    ) -> Result<(), String> {
        match self {
            Self::Json(_) => Ok(()),
            Self::Template { pieces, .. } => pieces.iter().try_for_each(|piece| match piece {
                TemplatePart::Reference(reference) => visit(reference, is_top && pieces.len() == 1),
                TemplatePart::Text(_) => Ok(()),
            }),
            Self::List(items) => items.iter().try_for_each(|item| item.each_within(false, visit)),
            Self::Object(fields) => fields.iter().try_for_each(|(_, field)| field.each_within(false, visit)),
        }
    }

    /// Whether something is filled in anywhere.
    pub(super) fn has_references(&self) -> bool {
        match self {
            Self::Json(_) => false,
            Self::Template { .. } => true,
            Self::List(items) => items.iter().any(Self::has_references),
            Self::Object(fields) => fields.iter().any(|(_, field)| field.has_references()),
        }
    }
}

/// The forms in which models write a template: what opens it, what closes it, and what its text must begin with.
const TEMPLATE_DELIMITERS: [(&str, &str, &[&str]); 3] =
    [("{{", "}}", &[]), ("${", "}", &["step", "input."]), ("{", "}", &["step", "input."])];

/// Splits a text at its templates. The error is the end of a sentence about the text of a template.
fn pieces(text: &str, request: &str) -> Result<Vec<TemplatePart>, String> {
    let (mut pieces, mut plain, mut rest) = (Vec::new(), String::new(), text);
    while let Some(c) = rest.chars().next() {
        let template = TEMPLATE_DELIMITERS.iter().find_map(|(open, close, begins)| {
            let (inner, after) = rest.strip_prefix(open)?.split_once(close)?;
            let whole = &rest[..rest.len() - after.len()];
            let lower = inner.trim().to_lowercase();
            let fits = begins.is_empty() || begins.iter().any(|begin| lower.starts_with(begin));
            (fits && !request.contains(whole)).then_some((inner, after))
        });
        match template {
            Some((inner, after)) => {
                if !plain.is_empty() {
                    pieces.push(TemplatePart::Text(std::mem::take(&mut plain)));
                }
                pieces.push(TemplatePart::Reference(reference(inner.trim())?));
                rest = after;
            }
            // Braces that don't form a template are kept as text.
            None => {
                let opened = if rest.starts_with("{{") { 2 } else { c.len_utf8() };
                plain.push_str(&rest[..opened]);
                rest = &rest[opened..];
            }
        }
    }
    if !plain.is_empty() {
        pieces.push(TemplatePart::Text(plain));
    }
    Ok(pieces)
}

fn reference(text: &str) -> Result<TemplateReference, String> {
    let wrong = |why: &str| format!("`{{{{{}}}}}` {why}", aiw_core::one_line(text, 60));
    // `steps[0]` counts from zero.
    let counted = text.strip_prefix("steps[").and_then(|rest| rest.split_once(']'));
    let counted = counted.and_then(|(number, rest)| Some((number.trim().parse::<usize>().ok()?, rest)));
    if let Some((number, rest)) = counted {
        let way = way_of(rest).ok_or_else(|| wrong("is not a path into a result"))?;
        return Ok(TemplateReference::Step(number.saturating_add(1), way));
    }
    let end = text.find(['.', '[']).unwrap_or(text.len());
    let (root, way) = text.split_at(end);
    let way = way_of(way).ok_or_else(|| wrong("is not a path into a result"))?;
    let root = root.trim();
    let lower = root.to_lowercase();
    let number = lower.strip_prefix("step").map(|number| number.trim_matches(['_', ' ']).parse::<usize>());
    match (number, way.as_slice()) {
        (Some(Ok(number)), _) => Ok(TemplateReference::Step(number, way)),
        (None, [PathKey::Field(name)]) if lower == "input" && is_input_name(name) => {
            Ok(TemplateReference::Input(name.clone()))
        }
        // Small models leave the word out.
        (None, []) if is_input_name(root) && lower != "input" => Ok(TemplateReference::Input(root.to_owned())),
        _ => Err(wrong("names neither a step nor an input")),
    }
}

/// Whether it can be the name of an input.
pub(super) fn is_input_name(text: &str) -> bool {
    (1..=60).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Reads `.items[0].id`.
fn way_of(mut text: &str) -> Option<Vec<PathKey>> {
    let mut way = Vec::new();
    while !text.is_empty() {
        if way.len() == MAX_DEPTH {
            return None;
        }
        if let Some(rest) = text.strip_prefix('.') {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (name, rest) = rest.split_at(end);
            let name = name.trim();
            if name.is_empty() || name.len() > 200 {
                return None;
            }
            // `items.0.id` means the same as `items[0].id`.
            way.push(name.parse().map_or_else(|_| PathKey::Field(name.to_owned()), PathKey::Index));
            text = rest;
        } else {
            let (key, rest) = text.strip_prefix('[')?.split_once(']')?;
            let key = key.trim();
            let quoted = key.trim_matches(['"', '\'']);
            way.push(match key.parse() {
                Ok(index) => PathKey::Index(index),
                Err(_) if quoted.len() + 2 == key.len() && !quoted.is_empty() => PathKey::Field(quoted.to_owned()),
                Err(_) => return None,
            });
            text = rest;
        }
    }
    Some(way)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = "Send the text 'run: ${{ github.ref }}' to Anna";

    #[test]
    fn texts_are_split_at_what_is_filled_in() {
        let step = |number, way: &[PathKey]| TemplatePart::Reference(TemplateReference::Step(number, way.to_vec()));
        let field = |name: &str| PathKey::Field(name.into());
        let text = |text: &str| TemplatePart::Text(text.into());
        for (written, expected) in [
            ("plain", vec![text("plain")]),
            ("{{step1}}", vec![step(1, &[])]),
            (
                "a {{ step_2.items[0].id }} b",
                vec![text("a "), step(2, &[field("items"), PathKey::Index(0), field("id")]), text(" b")],
            ),
            ("{{step1.items.0['a b']}}", vec![step(1, &[field("items"), PathKey::Index(0), field("a b")])]),
            ("{{input.city}}", vec![TemplatePart::Reference(TemplateReference::Input("city".into()))]),
            ("{{city}}", vec![TemplatePart::Reference(TemplateReference::Input("city".into()))]),
            ("{{steps[0].id}}", vec![step(1, &[field("id")])]),
            ("{{Step 2}}", vec![step(2, &[])]),
            ("${step1.id} {step2} {x} ${y}", vec![step(1, &[field("id")]), text(" "), step(2, &[]), text(" {x} ${y}")]),
            ("run: ${{ github.ref }}", vec![text("run: ${{ github.ref }}")]),
            ("{{open", vec![text("{{open")]),
            ("", vec![]),
        ] {
            assert_eq!(pieces(written, REQUEST), Ok(expected), "{written}");
        }
        for bad in [
            "{{}}",
            "{{a b}}",
            "{{stepx}}",
            "{{input}}",
            "{{input.a.b}}",
            "{{other.a}}",
            "{{step1.}}",
            "{{step1[x]}}",
            "{{step1[0}}",
        ] {
            assert!(pieces(bad, REQUEST).is_err(), "{bad}");
        }
    }
}
