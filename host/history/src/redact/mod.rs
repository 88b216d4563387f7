//! Secrets are taken out of texts before anything is stored: tokens by the form that their services document, private
//! keys, what is named a password, and the values in the vault.
//!
//! The original is where it was; a hit leads to it.

mod named;
mod rules;

use std::borrow::Cow;

use aho_corasick::{AhoCorasick, MatchKind};
use aiw_home::{Home, VaultError};
use regex::{Captures, Regex};

use self::rules::RULES;
use crate::HistoryError;

/// What stands in place of a secret.
pub const REDACTED: &str = "[redacted]";

/// The longest text that is looked through. Nothing that is kept comes from beyond.
pub(crate) const MAX_LOOKED: usize = 256 << 10;

/// Values shorter than this are not hidden wherever they occur: the texts would be full of holes.
const MIN_VALUE: usize = 6;

/// There are fewer rules than this.
const MAX_RULES: usize = 192;

/// Takes secrets out of texts.
pub struct Redactor {
    /// Finds in one pass which rules can match at all.
    marks: AhoCorasick,
    /// The rule of each mark.
    owners: Vec<usize>,
    /// Rules without a mark. Their patterns begin with few pairs of letters, so they are as fast.
    always: Vec<usize>,
    rules: Vec<Step>,
    /// The values in the vault.
    values: Option<AhoCorasick>,
}

/// The values in the vault, which are taken out of texts. One that can't be read can't be found in them either.
pub fn vault_values(home: &Home) -> Vec<String> {
    read_vault(home).0
}

/// Why secrets of the vault can't be read, a sentence each, so that their values are not taken out of texts.
pub fn unreadable_secrets(home: &Home) -> Vec<String> {
    read_vault(home).1.iter().map(ToString::to_string).collect()
}

/// What is in the vault, and what can't be read of it.
fn read_vault(home: &Home) -> (Vec<String>, Vec<VaultError>) {
    let vault = home.vault();
    let names = match vault.names() {
        Ok(names) => names,
        Err(error) => return (Vec::new(), vec![error]),
    };
    let (mut values, mut errors) = (Vec::new(), Vec::<VaultError>::new());
    for name in names {
        match vault.get(&name) {
            Ok(secret) => values.push(secret.expose().to_owned()),
            // It was removed in the meantime.
            Err(VaultError::Unknown { .. }) => {}
            // What is wrong with the key is the same for all.
            Err(error) if errors.last().is_some_and(|last| last.to_string() == error.to_string()) => {}
            Err(error) => errors.push(error),
        }
    }
    (values, errors)
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
        let (mut marks, mut owners, mut always, mut rules) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let owned = |(marks, pattern, replace): named::Named| (marks, pattern.to_owned(), replace);
        let (first, named) = (named::first_steps().into_iter().map(owned), named::steps().into_iter().map(owned));
        let whole: fn(&Captures<'_>) -> Option<String> = |_| Some(REDACTED.to_owned());
        // Tokens are ASCII, and such patterns are compiled ten times as fast.
        let formed = RULES.iter().map(|rule| {
            let replace = if rule.is_mixed { named::whole_if_mixed } else { whole };
            (rule.marks, format!("(?-u){}", rule.pattern), replace)
        });
        for (own, pattern, replace) in first.chain(formed).chain(named) {
            let pattern = Regex::new(&pattern).map_err(|e| HistoryError::Rule { reason: e.to_string() })?;
            always.extend(own.is_empty().then_some(rules.len()));
            owners.extend(own.iter().map(|_| rules.len()));
            marks.extend(own.iter().map(|mark| (*mark).to_owned()));
            rules.push(Step { pattern, replace });
        }
        let build = |marks: &[String], is_loose| {
            let built = AhoCorasick::builder()
                .ascii_case_insensitive(is_loose)
                // Every text is looked through for marks, so they have the fastest kind, although it takes a megabyte.
                .kind(is_loose.then_some(aho_corasick::AhoCorasickKind::DFA))
                .match_kind(if is_loose { MatchKind::Standard } else { MatchKind::LeftmostLongest })
                .build(marks);
            built.map_err(|e| HistoryError::Rule { reason: e.to_string() })
        };
        let marks = build(&marks, true)?;
        let mut known: Vec<String> = Vec::new();
        for value in values.iter().map(|value| value.trim()).filter(|value| value.len() >= MIN_VALUE) {
            known.push(value.to_owned());
            known.push(percent_encoded(value));
            // A tool's result may have JSON, and that a string of JSON.
            for once in json_escaped(value) {
                known.extend(json_escaped(&once));
                known.push(once);
            }
        }
        known.sort();
        known.dedup();
        let values = if known.is_empty() { None } else { Some(build(&known, false)?) };
        Ok(Self { marks, owners, always, rules, values })
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
        let mut due = [false; MAX_RULES];
        for rule in &self.always {
            due[rule % due.len()] = true;
        }
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

/// A value as it may stand in strings of JSON. Slashes, what isn't ASCII and what HTML has are escaped by some writers.
fn json_escaped(value: &str) -> Vec<String> {
    let mut forms = Vec::new();
    for (is_slash, is_ascii, is_html) in (0..8).map(|n| (n & 1 != 0, n & 2 != 0, n & 4 != 0)) {
        for is_upper in [false, true] {
            let mut out = String::new();
            for c in value.chars() {
                match c {
                    '"' => out.push_str("\\\""),
                    '\\' => out.push_str("\\\\"),
                    '\n' => out.push_str("\\n"),
                    '\r' => out.push_str("\\r"),
                    '\t' => out.push_str("\\t"),
                    '\u{8}' => out.push_str("\\b"),
                    '\u{c}' => out.push_str("\\f"),
                    '/' if is_slash => out.push_str("\\/"),
                    _ if c < ' ' || (is_ascii && c >= '\u{7f}') || (is_html && "<>&'".contains(c)) => {
                        for unit in c.encode_utf16(&mut [0; 2]) {
                            out.push_str(&if is_upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") });
                        }
                    }
                    _ => out.push(c),
                }
            }
            if out != value && !forms.contains(&out) {
                forms.push(out);
            }
        }
    }
    forms
}

#[cfg(test)]
mod tests;
