//! Words that mean the same in general English: who looks for a "physician" finds what tools say of a "doctor".
//!
//! They are WordNet's, cut down to common words and their first meanings by `tests/make_synonyms.py`, so nobody chose
//! them for any set of tools. The words of tools for what people do with them are in [`super::related`].

use std::collections::HashMap;
use std::sync::OnceLock;

use aiw_search::words;

/// WordNet's licence asks that its notice is in each copy: it stands at the beginning.
const SYNONYMS_TEXT: &str = include_str!("synonyms.txt");

/// The terms that mean the same as one, as an index has them.
pub(super) fn synonyms(term: &str) -> impl Iterator<Item = String> {
    // By the word's term: the words for it, several lines of them where several words have the same term.
    static TABLE: OnceLock<HashMap<String, Vec<&str>>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let mut table: HashMap<String, Vec<&str>> = HashMap::new();
        for line in SYNONYMS_TEXT.lines().filter(|line| !line.starts_with('#')) {
            let Some((said, meant)) = line.split_once(' ') else { continue };
            for said in words(said) {
                table.entry(said).or_default().push(meant);
            }
        }
        table
    });
    table.get(term).into_iter().flatten().flat_map(|meant| words(meant)).filter(move |meant| meant != term)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn general_words_have_others_that_mean_the_same() {
        for (said, meant) in [("physician", "doctor"), ("films", "movie"), ("purchase", "buy"), ("sell", "sale")] {
            let (said, meant) = (&words(said)[0], &words(meant)[0]);
            assert!(synonyms(said).any(|other| other == *meant), "{said}: {:?}", synonyms(said).collect::<Vec<_>>());
        }
        assert_eq!(synonyms("xlsx").count(), 0);
        assert!(!synonyms("film").any(|other| other == "film"));
    }

    #[test]
    fn the_notice_that_the_licence_asks_for_is_kept() {
        assert!(
            SYNONYMS_TEXT.contains("Copyright 2011 by Princeton University")
                && SYNONYMS_TEXT.contains("appear on ALL copies")
        );
    }
}
