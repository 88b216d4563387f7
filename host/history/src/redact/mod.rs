//! Secrets are taken out of texts before anything is stored: tokens by the form that their services document, private
//! keys, what is named a password, and the values in the vault.
//!
//! The original is where it was; a hit leads to it.

mod named;
mod rules;

use std::borrow::Cow;

use aho_corasick::{AhoCorasick, MatchKind};
use aiw_home::Home;
use regex::{Captures, Regex};

use self::rules::RULES;
use crate::HistoryError;

/// What stands in place of a secret.
pub const REDACTED: &str = "[redacted]";

/// The longest text that is looked through. Nothing that is kept comes from beyond.
pub(crate) const MAX_LOOKED: usize = 256 << 10;

/// Values shorter than this are not hidden wherever they occur: the texts would be full of holes.
const MIN_VALUE: usize = 6;

/// Takes secrets out of texts.
pub struct Redactor {
    /// Finds in one pass which rules can match at all.
    marks: AhoCorasick,
    /// The rule of each mark.
    owners: Vec<usize>,
    rules: Vec<Step>,
    /// The values in the vault.
    values: Option<AhoCorasick>,
}

/// The values in the vault, which are taken out of texts. One that can't be read can't be found in them either.
pub fn vault_values(home: &Home) -> Vec<String> {
    let vault = home.vault();
    let names = vault.names().unwrap_or_default();
    names.iter().filter_map(|name| vault.get(name).ok()).map(|secret| secret.expose().to_owned()).collect()
}

/// One thing to look for.
struct Step {
    pattern: Regex,
    replace: fn(&Captures<'_>) -> Option<String>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").field("rules", &self.rules.len()).finish_non_exhaustive()
    }
}

impl Redactor {
    /// A redactor that knows these values too: those in the vault.
    pub fn new(values: &[String]) -> Result<Self, HistoryError> {
        let (mut marks, mut owners, mut rules) = (Vec::new(), Vec::new(), Vec::new());
        // Those with names first: their values may be of any form.
        let named = named::steps().into_iter().map(|(marks, pattern, replace)| (marks, pattern.to_owned(), replace));
        let whole: fn(&Captures<'_>) -> Option<String> = |_| Some(REDACTED.to_owned());
        // Tokens are ASCII, and such patterns are compiled ten times as fast.
        let formed = RULES.iter().map(|rule| (rule.marks, format!("(?-u){}", rule.pattern), whole));
        for (own, pattern, replace) in formed.chain(named) {
            let pattern = Regex::new(&pattern).map_err(|e| HistoryError::Rule { reason: e.to_string() })?;
            owners.extend(own.iter().map(|_| rules.len()));
            marks.extend(own.iter().map(|mark| (*mark).to_owned()));
            rules.push(Step { pattern, replace });
        }
        let build = |marks: &[String], is_loose| {
            let built = AhoCorasick::builder()
                .ascii_case_insensitive(is_loose)
                .match_kind(if is_loose { MatchKind::Standard } else { MatchKind::LeftmostLongest })
                .build(marks);
            built.map_err(|e| HistoryError::Rule { reason: e.to_string() })
        };
        let marks = build(&marks, true)?;
        let mut known: Vec<String> = Vec::new();
        for value in values.iter().map(|value| value.trim()).filter(|value| value.len() >= MIN_VALUE) {
            known.push(value.to_owned());
            known.push(percent_encoded(value));
        }
        known.sort();
        known.dedup();
        let values = if known.is_empty() { None } else { Some(build(&known, false)?) };
        Ok(Self { marks, owners, rules, values })
    }

    /// The text without secrets, at most [`MAX_LOOKED`] of it.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let text = &text[..text.floor_char_boundary(MAX_LOOKED)];
        let mut out = Cow::Borrowed(text);
        if let Some(values) = &self.values
            && values.is_match(text)
        {
            let patterns = values.patterns_len();
            out = Cow::Owned(values.replace_all(text, &vec![REDACTED; patterns]));
        }
        let mut due = [false; 128];
        for found in self.marks.find_overlapping_iter(out.as_ref()) {
            due[self.owners[found.pattern().as_usize()] % due.len()] = true;
        }
        for (step, _) in self.rules.iter().zip(due).filter(|(_, is_due)| *is_due) {
            let replaced = step.pattern.replace_all(&out, |found: &Captures<'_>| match (step.replace)(found) {
                Some(new) => new,
                None => found[0].to_owned(),
            });
            if let Cow::Owned(new) = replaced {
                out = Cow::Owned(new);
            }
        }
        out
    }

    /// Whether a field of this name holds a secret.
    pub fn is_secret_name(&self, name: &str) -> bool {
        named::is_secret(name)
    }
}

/// A value as it stands in URLs.
fn percent_encoded(value: &str) -> String {
    let mut out = String::new();
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests;
