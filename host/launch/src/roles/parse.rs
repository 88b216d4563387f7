//! The two forms of a role's file. They are parsed from bytes to a text or a problem.

use aiw_core::{RoleName, unsafe_chars};
use aiw_home::yaml;
use serde::Deserialize;

use super::error::{MAX_ROLE_BYTES, RoleProblem};

/// The line that separates a role's description from its content.
pub const DELIMITER: &str = "------------";

/// The parts of a role's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ParsedRole {
    /// The text before the delimiter, without surrounding blanks.
    pub description: String,
    /// The text after the delimiter, without surrounding empty lines. Line endings are preserved.
    pub content: String,
}

/// Parses aiw's own form: description, a line of exactly 12 dashes, content.
pub(super) fn parse_role(bytes: &[u8]) -> Result<ParsedRole, RoleProblem> {
    let text = utf8(bytes)?;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let next = at + line.len();
        if without_end(line) == DELIMITER {
            return parts(&text[..at], &text[next..]);
        }
        at = next;
    }
    Err(RoleProblem::MissingDelimiter { near: near(text) })
}

/// Parses a subagent of Claude Code: front matter between two lines `---`, and the rest.
pub(super) fn parse_subagent(bytes: &[u8], stem: &str) -> Result<(RoleName, ParsedRole), RoleProblem> {
    let text = utf8(bytes)?;
    // Subagents come with repositories, and a model would read what their users can't see.
    for (line, number) in text.lines().zip(1..) {
        if let Some((_, character)) = unsafe_chars(line).next() {
            return Err(RoleProblem::HiddenCharacter { line: number, character });
        }
    }
    let mut lines = text.split_inclusive('\n');
    let first = lines.next().filter(|line| is_fence(line)).ok_or(RoleProblem::MissingFrontMatter)?;
    let mut end = first.len();
    for line in lines {
        if is_fence(line) {
            let front = front_matter(&text[first.len()..end])?;
            // Claude Code requires a name. Without one, the name of the file is used.
            let name = front.name.as_deref().unwrap_or(stem).trim();
            let name = name.parse().map_err(|source| RoleProblem::InvalidName { source })?;
            return Ok((name, parts(front.description.as_deref().unwrap_or_default(), &text[end + line.len()..])?));
        }
        end += line.len();
    }
    Err(RoleProblem::UnclosedFrontMatter)
}

/// Returns the text of a file, without the byte order mark that some editors put in front of it.
fn utf8(bytes: &[u8]) -> Result<&str, RoleProblem> {
    let length = bytes.len() as u64;
    if length > MAX_ROLE_BYTES {
        return Err(RoleProblem::TooLarge { bytes: length });
    }
    let text = std::str::from_utf8(bytes).map_err(|e| RoleProblem::NotUtf8 { at: e.valid_up_to() })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

fn parts(description: &str, content: &str) -> Result<ParsedRole, RoleProblem> {
    if content.trim().is_empty() {
        return Err(RoleProblem::Empty);
    }
    let content = content.trim_matches(['\r', '\n']).to_owned();
    Ok(ParsedRole { description: description.trim().to_owned(), content })
}

fn without_end(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}

fn is_fence(line: &str) -> bool {
    line.trim_end() == "---"
}

/// Returns the line that may have been meant as the delimiter.
fn near(text: &str) -> String {
    let dashes = |line: &str| line.len() > 3 && line.bytes().all(|b| b == b'-');
    let found = text.lines().enumerate().find(|(_, line)| dashes(line.trim()));
    match found {
        Some((at, line)) if line.trim() == DELIMITER => format!(": line {} has spaces next to them", at + 1),
        Some((at, line)) => format!(": line {} has {}", at + 1, line.trim().len()),
        None => String::new(),
    }
}

/// The fields of the front matter that concern us. Others, such as `tools` and `model`, are Claude Code's.
#[derive(Debug, Default, Deserialize)]
struct FrontMatter {
    name: Option<String>,
    description: Option<String>,
}

/// The largest front matter seen in the wild has 4 kB.
const MAX_FRONT_MATTER_BYTES: usize = 64 << 10;

fn front_matter(text: &str) -> Result<FrontMatter, RoleProblem> {
    if text.len() > MAX_FRONT_MATTER_BYTES {
        return Err(RoleProblem::FrontMatterTooLong);
    }
    if text.trim().is_empty() {
        return Ok(FrontMatter::default());
    }
    yaml::parse(text).or_else(|why| {
        // Claude Code accepts `description: Use it so: …`, which is not valid YAML.
        quoted_description(text).and_then(|text| yaml::parse(&text).ok()).ok_or(RoleProblem::InvalidFrontMatter { why })
    })
}

/// Returns the same front matter with its description in quotes, if that is a plain line.
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
