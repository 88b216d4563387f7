//! The insertions and removals by which objects and lists of JSON and TOML change.

use std::ops::Range;

use serde_json::Value;

use crate::config_tree::ConfigTree;

/// Parts of a text, and what takes their place.
pub(crate) type Edits = Vec<(Range<usize>, String)>;

/// A text with its parts replaced, which are given from the last to the first. Those at one place keep their order.
pub(crate) fn apply_edits(text: &str, edits: &[(Range<usize>, String)]) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = 0;
    for (range, new) in edits.iter().rev() {
        result.push_str(&text[rest..range.start.max(rest)]);
        result.push_str(new);
        rest = range.end.max(rest);
    }
    result.push_str(&text[rest..]);
    result
}

/// The line ends of a text.
pub(crate) fn newline(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

/// The indentation of one level: that of the first indented line.
fn unit(text: &str) -> String {
    let mut indents = text.lines().map(|line| &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]);
    indents.find(|indent| !indent.is_empty()).map_or("  ".to_owned(), |indent| {
        if indent.starts_with('\t') { "\t".to_owned() } else { " ".repeat(indent.len().min(8)) }
    })
}

/// How comments of a format look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommentStyle {
    /// `//` to the end of the line, and `/* … */`.
    Slashes,
    /// `#` to the end of the line.
    Hash,
}

/// A value over several lines, whose first line stands `depth` levels deep. A list of plain values takes one.
pub(crate) fn pretty(value: &ConfigTree, text: &str, depth: usize) -> String {
    fn is_long(value: &ConfigTree) -> bool {
        match value {
            ConfigTree::Table(map) => !map.is_empty(),
            ConfigTree::List(items) => items.iter().any(is_long),
            _ => false,
        }
    }
    fn write(value: &ConfigTree, indent: &str, unit: &str, newline: &str, out: &mut String) {
        match value {
            ConfigTree::Table(map) if !map.is_empty() => {
                out.push('{');
                let inner = format!("{indent}{unit}");
                for (at, (key, value)) in map.iter().enumerate() {
                    let comma = if at > 0 { "," } else { "" };
                    out.push_str(&format!("{comma}{newline}{inner}{}: ", Value::from(key.as_str())));
                    write(value, &inner, unit, newline, out);
                }
                out.push_str(&format!("{newline}{indent}}}"));
            }
            ConfigTree::List(items) if items.iter().any(is_long) => {
                out.push('[');
                let inner = format!("{indent}{unit}");
                for (at, item) in items.iter().enumerate() {
                    let comma = if at > 0 { "," } else { "" };
                    out.push_str(&format!("{comma}{newline}{inner}"));
                    write(item, &inner, unit, newline, out);
                }
                out.push_str(&format!("{newline}{indent}]"));
            }
            ConfigTree::List(items) => {
                let items: Vec<String> = items.iter().map(ConfigTree::json_text).collect();
                out.push_str(&format!("[{}]", items.join(", ")));
            }
            other => out.push_str(&other.json_text()),
        }
    }
    let (unit, mut out) = (unit(text), String::new());
    write(value, &unit.repeat(depth), &unit, newline(text), &mut out);
    out
}

/// Adds a last part to an object or a list, `depth` levels deep. `new` writes it for a depth, or for one line: 0.
pub(crate) fn insert_item(
    text: &str,
    whole: Range<usize>,
    parts: &[Range<usize>],
    depth: usize,
    comments: CommentStyle,
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
    let comma = comma_in(tail, comments);
    let at = last.end + tail.trim_end().len();
    let mut edits = Vec::new();
    if comma.is_none() {
        edits.push((last.end..last.end, ",".to_owned()));
    }
    let end = if comma.is_some() { "," } else { "" };
    // What follows a line comment would be a part of it.
    let is_multiline = text[whole.start..parts[0].start].contains('\n') || has_line_comment(tail, comments);
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

/// Returns the text before a place on its line, if it is blank.
fn indent_of(text: &str, at: usize) -> Option<&str> {
    let start = text[..at].rfind('\n').map_or(0, |line| line + 1);
    let before = &text[start..at];
    before.trim_matches([' ', '\t']).is_empty().then_some(before)
}

/// The place of a comma between two parts, outside of comments.
fn comma_in(between: &str, comments: CommentStyle) -> Option<usize> {
    outside_of_blocks(between, comments).find(|(_, rest)| rest.starts_with(',')).map(|(at, _)| at)
}

/// Whether there is a comment between two parts that ends with its line.
fn has_line_comment(between: &str, comments: CommentStyle) -> bool {
    let sign = if comments == CommentStyle::Hash { "#" } else { "//" };
    outside_of_blocks(between, comments).any(|(_, rest)| rest.starts_with(sign))
}

/// The places between two parts that are in no comment, with what follows each. A comment has its first place.
fn outside_of_blocks(between: &str, comments: CommentStyle) -> impl Iterator<Item = (usize, &str)> {
    let mut next = 0;
    std::iter::from_fn(move || {
        let (at, rest) = (next, between.get(next..).filter(|rest| !rest.is_empty())?);
        let is_line = if comments == CommentStyle::Hash { rest.starts_with('#') } else { rest.starts_with("//") };
        next += if is_line {
            rest.find('\n').unwrap_or(rest.len())
        } else if comments == CommentStyle::Slashes && rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else {
            rest.chars().next().map_or(1, char::len_utf8)
        };
        Some((at, rest))
    })
}

/// Removes a part and its comma. Comments stay.
pub(crate) fn remove_item(
    text: &str,
    whole: Range<usize>,
    parts: &[Range<usize>],
    at: usize,
    comments: CommentStyle,
) -> Edits {
    let part = parts[at].clone();
    let inner = whole.start + 1..whole.end - 1;
    if let ([_], "" | ",") = (parts, [&text[inner.start..part.start], &text[part.end..inner.end]].concat().trim()) {
        // Nothing else is there, not even a comment: `{}` is what people write.
        return vec![(inner, String::new())];
    }
    let next = parts.get(at + 1).map_or(whole.end - 1, |next| next.start);
    let following = comma_in(&text[part.end..next], comments).map(|comma| part.end + comma);
    let before = at.checked_sub(1).map(|before| parts[before].end);
    if let (None, Some(before)) = (following, before)
        && let Some(comma) = comma_in(&text[before..part.start], comments).map(|comma| before + comma)
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
