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
    /// The lines on the screen that have the words, among those that were searched.
    found: Vec<usize>,
    /// How many lines were searched since the text or the words changed.
    searched: usize,
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
            found: Vec::new(),
            searched: 0,
        };
    }

    pub(super) fn query(&self) -> &str {
        &self.words
    }

    /// Forgets where the words were: the text has changed.
    pub(super) fn invalidate(&mut self) {
        (self.found, self.searched, self.current_match) = (Vec::new(), 0, None);
    }

    /// Searches the pieces of lines that it has not searched.
    pub(super) fn search<'a>(&mut self, pieces: impl Iterator<Item = &'a str>) {
        let Some(pattern) = &self.pattern else { return };
        for piece in pieces.skip(self.searched) {
            self.found.extend(pattern.is_match(piece).then_some(self.searched));
            self.searched += 1;
        }
    }

    /// Returns the first line that has the words from a line on, or the last one before it; at the end it begins again.
    pub(super) fn next_match(&self, from: usize, is_back: bool) -> Option<usize> {
        let at = self.found.partition_point(|line| *line < from);
        let next = if is_back {
            self.found[..at].last().or(self.found.last())
        } else {
            self.found.get(at).or(self.found.first())
        };
        next.copied()
    }

    /// Returns which of the lines with the words is the first one from a line on, and how many there are.
    pub(super) fn match_position(&self, from: usize) -> (usize, usize) {
        let count = self.found.len();
        ((self.found.partition_point(|line| *line < from) + 1).min(count), count)
    }

    /// Returns where a piece has the words.
    pub(super) fn match_ranges(&self, piece: &str) -> Vec<Range<usize>> {
        self.pattern.iter().flat_map(|pattern| pattern.find_iter(piece)).map(|found| found.range()).collect()
    }
}
