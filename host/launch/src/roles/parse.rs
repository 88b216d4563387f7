//! The two forms of a role's file. Bytes in, text or a problem out.

use aiw_core::{RoleName, one_line};
use serde::Deserialize;

use super::error::{MAX_ROLE_BYTES, RoleProblem};

/// What parts a role's description from its content, on a line of its own.
pub const DELIMITER: &str = "------------";

/// What a role's file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    /// Before the delimiter, without the blanks around it.
    pub description: String,
    /// After it, without the empty lines around it; line ends as they are.
    pub content: String,
}

/// aiw's own form: description, a line of exactly 12 dashes, content.
pub(super) fn own(bytes: &[u8]) -> Result<Text, RoleProblem> {
    let text = utf8(bytes)?;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let next = at + line.len();
        if without_end(line) == DELIMITER {
            return parts(&text[..at], &text[next..]);
        }
        at = next;
    }
    Err(RoleProblem::NoDelimiter { near: near(text) })
}

/// A subagent of Claude Code: front matter between two lines `---`, and the rest.
pub(super) fn subagent(bytes: &[u8], stem: &str) -> Result<(RoleName, Text), RoleProblem> {
    let text = utf8(bytes)?;
    let mut lines = text.split_inclusive('\n');
    let first = lines.next().filter(|line| is_fence(line)).ok_or(RoleProblem::NoFrontMatter)?;
    let mut end = first.len();
    for line in lines {
        if is_fence(line) {
            let front = front_matter(&text[first.len()..end])?;
            // Claude Code wants a name; without one, the file has one still.
            let name = front.name.as_deref().unwrap_or(stem).trim();
            let name = name.parse().map_err(|source| RoleProblem::Name { source })?;
            return Ok((name, parts(front.description.as_deref().unwrap_or_default(), &text[end + line.len()..])?));
        }
        end += line.len();
    }
    Err(RoleProblem::OpenFrontMatter)
}

/// The text of a file: some editors put a byte order mark before it, which belongs to nothing.
fn utf8(bytes: &[u8]) -> Result<&str, RoleProblem> {
    let length = bytes.len() as u64;
    if length > MAX_ROLE_BYTES {
        return Err(RoleProblem::TooLarge { bytes: length });
    }
    let text = std::str::from_utf8(bytes).map_err(|e| RoleProblem::NotUtf8 { at: e.valid_up_to() })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

fn parts(description: &str, content: &str) -> Result<Text, RoleProblem> {
    if content.trim().is_empty() {
        return Err(RoleProblem::NoContent);
    }
    let content = content.trim_matches(['\r', '\n']).to_owned();
    Ok(Text { description: description.trim().to_owned(), content })
}

fn without_end(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}

fn is_fence(line: &str) -> bool {
    line.trim_end() == "---"
}

/// The line that was perhaps meant to be the delimiter.
fn near(text: &str) -> String {
    let dashes = |line: &str| line.len() > 3 && line.bytes().all(|b| b == b'-');
    let found = text.lines().enumerate().find(|(_, line)| dashes(line.trim()));
    match found {
        Some((at, line)) if line.trim() == DELIMITER => format!(": line {} has spaces next to them", at + 1),
        Some((at, line)) => format!(": line {} has {}", at + 1, line.trim().len()),
        None => String::new(),
    }
}

/// What of the front matter is ours to know; `tools`, `model` and the like are Claude Code's.
#[derive(Debug, Default, Deserialize)]
struct FrontMatter {
    name: Option<String>,
    description: Option<String>,
}

/// The largest seen in the wild has 4 kB.
const MAX_FRONT_MATTER: usize = 64 << 10;

fn front_matter(text: &str) -> Result<FrontMatter, RoleProblem> {
    if text.len() > MAX_FRONT_MATTER {
        return Err(RoleProblem::LongFrontMatter);
    }
    if text.trim().is_empty() {
        return Ok(FrontMatter::default());
    }
    yaml(text).or_else(|why| {
        // Claude Code takes `description: Use it so: …`, which YAML does not.
        quoted_description(text).and_then(|text| yaml(&text).ok()).ok_or(RoleProblem::FrontMatter { why })
    })
}

fn yaml(text: &str) -> Result<FrontMatter, String> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 16,
            flow_nesting_limit: 16,
            max_documents: 1,
            max_events: 10_000,
            max_nodes: 10_000,
            max_aliases: 100,
            max_anchors: 100,
            max_merge_keys: 100,
            max_recorded_anchor_events: 10_000,
            max_total_scalar_bytes: MAX_FRONT_MATTER,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 10_000,
            max_replay_stack_depth: 8,
        },
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|e| one_line(&e.to_string(), 200))
}

/// The same front matter with its description in quotes, if that is a plain line.
fn quoted_description(text: &str) -> Option<String> {
    let mut quoted = String::with_capacity(text.len() + 16);
    let mut changed = false;
    for line in text.split_inclusive('\n') {
        match line.strip_prefix("description:").map(str::trim) {
            Some(value) if !changed && !value.is_empty() && !value.starts_with(['"', '\'', '|', '>']) => {
                quoted.push_str(&format!("description: '{}'\n", value.replace('\'', "''")));
                changed = true;
            }
            _ => quoted.push_str(line),
        }
    }
    changed.then_some(quoted)
}
