//! The forms of tokens that other scanners for secrets know, as `tests/public_rules.rs` takes them over.

use super::text::{Span, entropy, has_digit};

/// A rule of another scanner.
pub(super) struct ImportedRule {
    /// Its name there, which stands in the place of what it takes out.
    pub(super) id: &'static str,
    /// Every match begins with one of these.
    pub(super) marks: &'static [&'static str],
    /// Whether the marks are in this case in every match.
    pub(super) is_exact: bool,
    /// Whether no letter, digit or underscore stands before a match.
    pub(super) is_word: bool,
    /// The token: its first group, or all of it.
    pub(super) pattern: &'static str,
    /// How random a token is at least, in bits a sign.
    pub(super) entropy: f64,
}

/// All of them.
pub(super) static IMPORTED_RULES: &[ImportedRule] = &include!("public.in");

impl ImportedRule {
    /// Whether a token that the pattern matches is a secret.
    pub(super) fn is_secret(&self, text: &str, (start, end): Span) -> bool {
        let token = text.get(start..end).unwrap_or_default();
        token.len() >= 12 && has_digit(token) && entropy(token) >= self.entropy.max(2.5)
    }
}
