//! The forms of tokens that other scanners for secrets know, as build.rs took them over.

use regex::Captures;

use super::text::{entropy, has_digit};

/// A rule of another scanner.
pub(super) struct Public {
    /// One of these is in every text that the pattern matches.
    pub(super) marks: &'static [&'static str],
    /// The token: its first group, or all of it.
    pub(super) pattern: &'static str,
    /// How random a token is at least, in bits a sign.
    pub(super) entropy: f64,
}

/// All of them.
pub(super) static PUBLIC: &[Public] = &include!(concat!(env!("OUT_DIR"), "/public.rs"));

impl Public {
    /// The stretch that is the secret, if it is one.
    pub(super) fn secret(&self, found: &Captures<'_>) -> Option<(usize, usize)> {
        let secret = found.get(1).or_else(|| found.get(0))?;
        let text = secret.as_str();
        let is_secret = text.len() >= 12 && has_digit(text) && entropy(text) >= self.entropy.max(2.5);
        is_secret.then_some((secret.start(), secret.end()))
    }
}
