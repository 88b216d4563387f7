//! Words that a text is searched for, and where it has them.

use std::ops::Range;

use regex::{Regex, RegexBuilder};

/// A search of the text beside the list.
#[derive(Default)]
pub(super) struct TextSearch {
    words: String,
    pattern: Option<Regex>,
    /// The line on the screen from which it searches.
    pub(super) start_line: usize,
    /// The line that it has gone to.
    pub(super) current_match: Option<usize>,
    /// The lines on the screen that have the words; none if it has not searched since the text or the words changed.
    found: Option<Vec<usize>>,
}

impl TextSearch {
    /// Searches for other words, in any case of letters.
    pub(super) fn set_query(&mut self, words: String) {
        let pattern =
            (!words.is_empty()).then(|| RegexBuilder::new(&regex::escape(&words)).case_insensitive(true).build());
        *self = Self {
            pattern: pattern.and_then(Result::ok),
            words,
            start_line: self.start_line,
            current_match: None,
            found: None,
        };
    }

    pub(super) fn query(&self) -> &str {
        &self.words
    }

    /// Forgets where the words were: the text has changed.
    pub(super) fn invalidate(&mut self) {
        (self.found, self.current_match) = (None, None);
    }

    /// Searches the pieces of lines, unless it has.
    pub(super) fn search<'a>(&mut self, pieces: impl Iterator<Item = &'a str>) {
        let Some(pattern) = self.pattern.as_ref().filter(|_| self.found.is_none()) else { return };
        let has = |(at, piece): (usize, &str)| pattern.is_match(piece).then_some(at);
        self.found = Some(pieces.enumerate().filter_map(has).collect());
    }

    /// Returns the first line that has the words from a line on, or the last one before it; at the end it begins again.
    pub(super) fn next_match(&self, from: usize, is_back: bool) -> Option<usize> {
        let found = self.found.as_ref()?;
        let at = found.partition_point(|line| *line < from);
        let next = if is_back { found[..at].last().or(found.last()) } else { found.get(at).or(found.first()) };
        next.copied()
    }

    /// Returns which of the lines with the words is the first one from a line on, and how many there are.
    pub(super) fn match_position(&self, from: usize) -> (usize, usize) {
        let found = self.found.as_deref().unwrap_or_default();
        ((found.partition_point(|line| *line < from) + 1).min(found.len()), found.len())
    }

    /// Returns where a piece has the words.
    pub(super) fn match_ranges(&self, piece: &str) -> Vec<Range<usize>> {
        self.pattern.iter().flat_map(|pattern| pattern.find_iter(piece)).map(|found| found.range()).collect()
    }
}
