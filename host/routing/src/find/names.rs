//! How much of a tool's name a request says.
//!
//! A name is the shortest account of a tool. Who says all of it asks for this tool rather than for one that has the same
//! words and others: `get_stock_price` rather than `get_stock_price_by_date`.

use std::collections::HashMap;

use aiw_search::{Index, QueryTerm, Scores};

use super::texts::is_number;

/// The words of the tools' names.
#[derive(Debug, Default)]
pub(super) struct NameWords {
    /// For each word the tools that have it, and what share of the name it is.
    words: HashMap<Box<str>, Vec<(u32, f32)>>,
    tools: usize,
}

impl NameWords {
    /// The names of an index's tools, each as its words. A number is not a word of a name: nobody says the 1 of
    /// `Movies_1_Find`, and a request for one ticket asks for no tool with a 1.
    pub(super) fn new<'a, N: IntoIterator<Item = &'a str>>(index: &Index, names: impl Iterator<Item = N>) -> Self {
        let mut this = Self::default();
        for (tool, name) in (0..).zip(names) {
            let mut name: Vec<(&str, f32)> =
                name.into_iter().filter(|word| !is_number(word)).map(|word| (word, index.idf(word))).collect();
            name.sort_by_key(|(word, _)| *word);
            name.dedup_by_key(|(word, _)| *word);
            let all: f32 = name.iter().map(|(_, rarity)| rarity).sum();
            for (word, rarity) in name {
                this.words.entry(word.into()).or_default().push((tool, rarity / all));
            }
            this.tools += 1;
        }
        this
    }

    /// How much a request says each tool's name, from 0 to 1: the square of the share that it says, because half of a name
    /// is that of many tools. Words that stand in the place of others say a part of it at most.
    pub(super) fn score_names(&self, request: &[QueryTerm<'_>]) -> Scores {
        let mut said = vec![0.0; self.tools];
        for sought in request {
            let instead = sought.substitutes.iter().map(|(term, less)| (*term, sought.weight * less));
            for (term, counts) in std::iter::once((sought.term, sought.weight)).chain(instead) {
                for (tool, share) in self.words.get(term).into_iter().flatten() {
                    said[*tool as usize] += counts.min(1.0) * share;
                }
            }
        }
        said.iter_mut().for_each(|said: &mut f32| *said *= *said);
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aiw_search::FieldWeight;

    /// How much a request says each of these names.
    fn said(names: &[&[&'static str]], request: &[QueryTerm<'_>]) -> Scores {
        let records = names.iter().map(|name| name.iter().map(|word| (0, *word)));
        let index = Index::new([FieldWeight { weight: 1.0, length_norm: 0.0 }], records);
        NameWords::new(&index, names.iter().map(|name| name.iter().copied())).score_names(request)
    }

    fn words<const N: usize>(words: [&str; N]) -> [QueryTerm<'_>; N] {
        words.map(|word| (word, 1.0).into())
    }

    #[test]
    fn the_whole_of_a_name_is_said_or_a_part_of_it() {
        let names: [&[&str]; 4] = [&["stock", "price"], &["stock", "price", "date"], &["stock", "stock"], &[]];
        let said = said(&names, &words(["price", "stock", "other"]));
        assert!((said[0] - 1.0).abs() < 0.001 && said[1] < 0.8 && (said[2] - 1.0).abs() < 0.001, "{said:?}");
        assert_eq!(said[3], 0.0);
    }

    #[test]
    fn half_of_a_name_is_less_than_half_said() {
        let said = said(&[&["stock", "price"], &["other"]], &words(["stock"]));
        assert!((said[0] - 0.25).abs() < 0.001, "{said:?}");
    }

    #[test]
    fn a_number_is_no_word_of_a_name() {
        let names: [&[&str]; 3] = [&["movi", "1", "find"], &["movi", "2", "find"], &["1"]];
        let said = said(&names, &words(["find", "movi", "2"]));
        assert!((said[0] - 1.0).abs() < 0.001 && said[0] == said[1] && said[2] == 0.0, "{said:?}");
    }

    #[test]
    fn words_in_the_place_of_others_do_not_say_a_name() {
        let instead = |term, other| QueryTerm { term, weight: 1.0, substitutes: vec![(other, 0.7)] };
        let names: [&[&str]; 1] = [&["send", "messag"]];
        let only_related = said(&names, &[instead("tell", "send"), instead("text", "messag")]);
        let one_said = said(&names, &[instead("send", "post"), instead("text", "messag")]);
        assert!(
            only_related[0] < 0.5 && one_said[0] > only_related[0] && one_said[0] < 1.0,
            "{only_related:?} {one_said:?}"
        );
    }
}
