//! The part of a text that answers best, and where a request's words are in it.

use std::collections::HashMap;
use std::ops::Range;

use aiw_core::is_unsafe;

/// The bytes of a snippet, about.
const MAX_SNIPPET_LEN: usize = 240;

/// The most matches in a text that are looked at.
const MAX_MATCHES: usize = 2000;

/// A part of a text on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snippet {
    /// The part, with `…` where something was left out.
    pub text: String,
    /// Where the request's words are in it, in bytes.
    pub highlights: Vec<Range<usize>>,
}

impl Snippet {
    /// Cuts the part with the most telling words, each with what it counts.
    pub(super) fn new(text: &str, words: &[(&str, f32)]) -> Self {
        let matches = matches(text, words);
        let window = best_window(&matches, text.len());
        let start = text.floor_char_boundary(window.start);
        let end = text.ceil_char_boundary(window.end);
        let mut snippet = Self { text: String::new(), highlights: Vec::new() };
        if start > 0 {
            snippet.text.push('…');
        }
        let mut at = start;
        for (place, _, _) in matches.iter().filter(|(place, ..)| place.start >= start && place.end <= end) {
            if place.start < at {
                continue;
            }
            snippet.push(&text[at..place.start]);
            let from = snippet.text.len();
            snippet.push(&text[place.clone()]);
            snippet.highlights.push(from..snippet.text.len());
            at = place.end;
        }
        snippet.push(&text[at..end]);
        if end < text.len() {
            snippet.text.push('…');
        }
        snippet
    }

    /// Adds text on one line.
    fn push(&mut self, text: &str) {
        for c in text.chars() {
            if c.is_whitespace() {
                if !self.text.ends_with(' ') && !self.text.is_empty() {
                    self.text.push(' ');
                }
            } else if !is_unsafe(c) {
                self.text.push(c);
            }
        }
    }

    /// The text with each match between two marks.
    pub fn highlight(&self, open: &str, close: &str) -> String {
        let mut marked = String::with_capacity(self.text.len() + 32);
        let mut at = 0;
        for mark in &self.highlights {
            marked.push_str(&self.text[at..mark.start]);
            marked.push_str(open);
            marked.push_str(&self.text[mark.clone()]);
            marked.push_str(close);
            at = mark.end;
        }
        marked.push_str(&self.text[at..]);
        marked
    }
}

/// Where words are in a text: the place, which word, and what it counts.
fn matches(text: &str, words: &[(&str, f32)]) -> Vec<(Range<usize>, usize, f32)> {
    let known: HashMap<&str, usize> = words.iter().enumerate().map(|(place, (word, _))| (*word, place)).collect();
    let mut found = Vec::new();
    if known.is_empty() {
        return found;
    }
    for run in runs(text) {
        if found.len() >= MAX_MATCHES {
            break;
        }
        let piece = &text[run.clone()];
        let terms = crate::store::words(piece);
        if terms.len() == 1 {
            if let Some(place) = known.get(terms[0].as_str()) {
                found.push((run, *place, words[*place].1));
            }
            continue;
        }
        // Words of a name, or pairs of characters: each where its own text is.
        let lower = piece.to_lowercase();
        let mut from = 0;
        for term in &terms {
            // Endings are cut off terms, so a term may end in another letter than its word.
            let stem = &term[..term.floor_char_boundary(term.len().saturating_sub(usize::from(term.len() > 4)))];
            let Some(at) = lower.get(from..).and_then(|rest| rest.find(stem)) else { continue };
            let (start, end) = (from + at, from + at + term.len());
            from = start + stem.chars().next().map_or(1, char::len_utf8);
            if let Some(place) = known.get(term.as_str())
                && lower.len() == piece.len()
                && let (Some(start), Some(end)) = (
                    Some(run.start + piece.floor_char_boundary(start)),
                    Some(run.start + piece.ceil_char_boundary(end.min(piece.len()))),
                )
            {
                found.push((start..end, *place, words[*place].1));
            }
        }
    }
    found
}

/// Letters and digits that stand together.
fn runs(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut characters = text.char_indices().peekable();
    std::iter::from_fn(move || {
        while characters.next_if(|(_, c)| !c.is_alphanumeric()).is_some() {}
        let (start, first) = characters.next()?;
        let mut end = start + first.len_utf8();
        while let Some((at, c)) = characters.next_if(|(_, c)| c.is_alphanumeric() || *c == '_') {
            end = at + c.len_utf8();
        }
        Some(start..end)
    })
}

/// The stretch with the greatest sum of different words.
fn best_window(matches: &[(Range<usize>, usize, f32)], length: usize) -> Range<usize> {
    let mut best = (0.0, 0..length.min(MAX_SNIPPET_LEN));
    for (first, (place, ..)) in matches.iter().enumerate() {
        let mut sum = 0.0;
        let mut seen = Vec::new();
        let mut end = place.end;
        for (other, word, weight) in &matches[first..] {
            if other.end > place.start + MAX_SNIPPET_LEN * 3 / 4 {
                break;
            }
            end = other.end;
            if !seen.contains(word) {
                seen.push(*word);
                sum += weight;
            }
        }
        if sum > best.0 {
            let spare = MAX_SNIPPET_LEN.saturating_sub(end - place.start);
            let start = place.start.saturating_sub(spare / 3);
            best = (sum, start..(start + MAX_SNIPPET_LEN).max(end).min(length));
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_part_with_the_most_telling_words_is_shown_on_one_line() {
        let text = format!("{} the TLS handshake\nfails in getUserName {}", "filler ".repeat(90), "more ".repeat(90));
        let snippet = Snippet::new(&text, &[("handshak", 3.0), ("tls", 3.0), ("filler", 0.5), ("user", 1.0)]);
        assert!(snippet.highlight("[", "]").contains("the [TLS] [handshake] fails in get[User]Name"), "{snippet:?}");
        assert!(snippet.text.starts_with('…') && snippet.text.ends_with('…') && snippet.text.len() < 400);
        let chinese = Snippet::new("请修复登录页面的错误", &[("登录", 2.0)]);
        assert_eq!(chinese.highlight("[", "]"), "请修复[登录]页面的错误");
        assert_eq!(Snippet::new("", &[]).text, "");
    }

    mod fuzz {
        use super::*;

        proptest! {
            #[test]
            fn any_text_has_a_snippet(text in "(\\PC|[a-z登录İß ]){0,600}", word in "[a-z]{1,4}") {
                let snippet = Snippet::new(&text, &[(&word, 1.0), ("登录", 1.0)]);
                prop_assert!(snippet.text.len() < 1200);
                let _ = snippet.highlight("<", ">");
            }
        }
    }
}
