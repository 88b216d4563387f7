//! `{{step1.items[0].id}}`, `{{input.city}}`: what a plan leaves to be filled in.

use serde_json::Value;

/// What a template means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reference {
    /// The result of a step, counted from one, and the way into it.
    Step(usize, Vec<Key>),
    /// A part of the input.
    Input(String),
}

/// A step on the way into a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    Field(String),
    Index(usize),
}

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    Reference(Reference),
}

/// The longest way into a value.
const DEPTH: usize = 12;

/// Splits a text at its templates. The error is the end of a sentence about the text of a template.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some((before, inner)) = rest.split_once("{{") {
        let Some((inner, after)) = inner.split_once("}}") else { break };
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        pieces.push(Piece::Reference(reference(inner.trim())?));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

/// Whether there is a template anywhere in a value.
pub(super) fn has_template(value: &Value) -> bool {
    match value {
        Value::String(text) => text.split_once("{{").is_some_and(|(_, rest)| rest.contains("}}")),
        Value::Array(items) => items.iter().any(has_template),
        Value::Object(fields) => fields.values().any(has_template),
        _ => false,
    }
}

fn reference(text: &str) -> Result<Reference, String> {
    let wrong = |why: &str| format!("`{{{{{}}}}}` {why}", aiw_core::one_line(text, 60));
    let end = text.find(['.', '[']).unwrap_or(text.len());
    let (root, way) = text.split_at(end);
    let way = way_of(way).ok_or_else(|| wrong("is no way into a result"))?;
    let root = root.trim();
    let number = root.strip_prefix("step").map(|number| number.trim_start_matches('_').parse::<usize>());
    match (number, way.as_slice()) {
        (Some(Ok(number)), _) => Ok(Reference::Step(number, way)),
        (None, [Key::Field(name)]) if root == "input" => Ok(Reference::Input(name.clone())),
        // Small models leave the word out.
        (None, []) if is_name(root) && root != "input" => Ok(Reference::Input(root.to_owned())),
        _ => Err(wrong("names neither a step nor an input")),
    }
}

/// Whether it can be the name of an input.
pub(super) fn is_name(text: &str) -> bool {
    (1..=60).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Reads `.items[0].id`.
fn way_of(mut text: &str) -> Option<Vec<Key>> {
    let mut way = Vec::new();
    while !text.is_empty() {
        if way.len() == DEPTH {
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
            way.push(name.parse().map_or_else(|_| Key::Field(name.to_owned()), Key::Index));
            text = rest;
        } else {
            let (key, rest) = text.strip_prefix('[')?.split_once(']')?;
            let key = key.trim();
            let quoted = key.trim_matches(['"', '\'']);
            way.push(match key.parse() {
                Ok(index) => Key::Index(index),
                Err(_) if quoted.len() + 2 == key.len() && !quoted.is_empty() => Key::Field(quoted.to_owned()),
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

    #[test]
    fn texts_are_split_at_what_is_filled_in() {
        let step = |number, way: &[Key]| Piece::Reference(Reference::Step(number, way.to_vec()));
        let field = |name: &str| Key::Field(name.into());
        let text = |text: &str| Piece::Text(text.into());
        for (written, expected) in [
            ("plain", vec![text("plain")]),
            ("{{step1}}", vec![step(1, &[])]),
            (
                "a {{ step_2.items[0].id }} b",
                vec![text("a "), step(2, &[field("items"), Key::Index(0), field("id")]), text(" b")],
            ),
            ("{{step1.items.0['a b']}}", vec![step(1, &[field("items"), Key::Index(0), field("a b")])]),
            ("{{input.city}}", vec![Piece::Reference(Reference::Input("city".into()))]),
            ("{{city}}", vec![Piece::Reference(Reference::Input("city".into()))]),
            ("{{open", vec![text("{{open")]),
            ("", vec![]),
        ] {
            assert_eq!(pieces(written), Ok(expected), "{written}");
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
            assert!(pieces(bad).is_err(), "{bad}");
        }
    }
}
