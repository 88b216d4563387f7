//! Fuzzy search over the rows of a list, updated with each keystroke.

use nucleo_matcher::pattern::{Atom, AtomKind, CaseMatching, Normalization};
use nucleo_matcher::{Config, Matcher, Utf32String};

use crate::page::Row;

/// A matching row.
#[derive(Debug, Clone, Copy)]
struct RowHit {
    index: usize,
    score: u32,
}

/// The searchable text of a row.
struct Haystack {
    name: Utf32String,
    words: Utf32String,
}

/// The matcher, the text that it searches, and the hits for the current query.
///
/// Every word of the query must match: with gaps in the name, or without gaps in what else the search covers. (With gaps, a long
/// description would match nearly everything.)
pub(crate) struct RowSearch {
    haystacks: Vec<Haystack>,
    matcher: Matcher,
    query: String,
    hits: Vec<RowHit>,
}

impl RowSearch {
    pub(crate) fn new(entries: &[Row]) -> Self {
        let haystacks: Vec<Haystack> = entries
            .iter()
            .map(|entry| Haystack { name: entry.name().into(), words: entry.search_text.as_str().into() })
            .collect();
        let hits = (0..haystacks.len()).map(|index| RowHit { index, score: 0 }).collect();
        Self { haystacks, matcher: Matcher::new(Config::DEFAULT), query: String::new(), hits }
    }

    /// Searches for `query`. A query that extends the previous one can only narrow its hits, so after a typed letter
    /// only the current hits are searched.
    pub(crate) fn set_query(&mut self, query: &str) {
        if query == self.query {
            return;
        }
        if !query.starts_with(&self.query) {
            self.hits = (0..self.haystacks.len()).map(|index| RowHit { index, score: 0 }).collect();
        }
        self.query.clear();
        self.query.push_str(query);
        let words: Vec<(Atom, Atom)> = query
            .split_whitespace()
            .map(|word| (atom(word, AtomKind::Fuzzy), atom(word, AtomKind::Substring)))
            .collect();
        let (haystacks, matcher) = (&self.haystacks, &mut self.matcher);
        self.hits.retain_mut(|hit| {
            let Some(haystack) = haystacks.get(hit.index) else { return false };
            hit.score = 0;
            words.iter().all(|(fuzzy, exact)| {
                let name = fuzzy.score(haystack.name.slice(..), matcher).map(|score| u32::from(score) * 3 / 2);
                let words = exact.score(haystack.words.slice(..), matcher).map(u32::from);
                let best = name.max(words);
                hit.score += best.unwrap_or(0);
                best.is_some()
            })
        });
        self.hits.sort_unstable_by_key(|hit| (std::cmp::Reverse(hit.score), hit.index));
    }

    /// Returns the matching rows, best first.
    pub(crate) fn hits(&self) -> impl Iterator<Item = usize> {
        self.hits.iter().map(|hit| hit.index)
    }
}

fn atom(word: &str, kind: AtomKind) -> Atom {
    Atom::new(word, CaseMatching::Ignore, Normalization::Smart, kind, false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paint::TextStyle;

    fn search(names: &[&str]) -> (Vec<Row>, RowSearch) {
        let row = |name: &&str| Row {
            search_text: format!("All about {name}, for those who need it"),
            ..Row::new(*name, TextStyle::Plain, "", [(*name).to_owned()])
        };
        let entries: Vec<Row> = names.iter().map(row).collect();
        let search = RowSearch::new(&entries);
        (entries, search)
    }

    fn found<'a>(entries: &'a [Row], search: &RowSearch) -> Vec<&'a str> {
        search.hits().map(|index| entries[index].name()).collect()
    }

    #[test]
    fn names_match_with_gaps_and_the_closest_comes_first() {
        let (entries, mut search) = search(&["gadget-hit", "github", "time"]);
        search.set_query("gith");
        assert_eq!(found(&entries, &search), ["github"]);
        search.set_query("git");
        assert_eq!(found(&entries, &search), ["github", "gadget-hit"]);
    }

    #[test]
    fn descriptions_match_as_they_stand() {
        let (entries, mut search) = search(&["github", "time"]);
        search.set_query("ABOUT TIM");
        assert_eq!(found(&entries, &search), ["time"]);
        search.set_query("abttm");
        assert_eq!(found(&entries, &search), Vec::<&str>::new());
    }

    #[test]
    fn typing_on_finds_what_searching_at_once_finds() {
        let names: Vec<String> = (0..300).map(|n| format!("plug-{}-{n}", ["git", "time", "café"][n % 3])).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (entries, mut typed) = search(&names);
        let query = "cafe 12 a";
        for end in 1..=query.len() {
            typed.set_query(&query[..end]);
        }
        let mut at_once = RowSearch::new(&entries);
        at_once.set_query(query);
        assert_eq!(found(&entries, &typed), found(&entries, &at_once));
        typed.set_query("");
        assert_eq!(found(&entries, &typed).len(), 300);
    }
}
