//! A request: the terms that it is looked for by, as a whole and clause by clause.

use std::collections::HashSet;

use aiw_search::{clauses, words};

use super::texts::cut;

/// The most bytes of a request that count.
const MAX: usize = 16 << 10;

pub(super) struct Request<'a> {
    /// The whole first, then its clauses, if there are several.
    pub(super) parts: Vec<Vec<String>>,
    pub(super) texts: Vec<&'a str>,
}

impl<'a> Request<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let text = cut(text, MAX);
        let texts: Vec<&str> = std::iter::once(text).chain(clauses(text)).collect();
        Self { parts: texts.iter().map(|text| distinct(text)).collect(), texts }
    }

    /// Whether it has a word that says something.
    pub(super) fn says_something(&self) -> bool {
        !self.parts[0].is_empty()
    }

    /// Whether it names a server: it has all words of the server's key.
    pub(super) fn names(&self, server: &str) -> bool {
        let key = words(server);
        !key.is_empty() && key.iter().all(|word| self.parts[0].contains(word))
    }

    /// Its words as they are written that stand for one of these terms, each once.
    pub(super) fn words_for(&self, has: impl Fn(&str) -> bool) -> Vec<String> {
        let mut seen = HashSet::new();
        let written = self.texts[0].split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        let matched = written.filter(|word| word.len() <= 64 && words(word).iter().any(|term| has(term)));
        matched.filter(|word| seen.insert(word.to_lowercase())).map(str::to_owned).collect()
    }
}

fn distinct(text: &str) -> Vec<String> {
    let mut seen = HashSet::new();
    words(text).into_iter().filter(|term| seen.insert(term.clone())).collect()
}
