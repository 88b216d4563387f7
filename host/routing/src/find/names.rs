//! How much of a tool's name a request says.
//!
//! A name is the shortest account of a tool. Who says all of it asks for this tool rather than for one that has the same
//! words and others: `get_stock_price` rather than `get_stock_price_by_date`.

use std::collections::HashMap;

use aiw_search::{Index, Scores};

/// The words of the tools' names.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// For each word the tools that have it, and what share of the name it is.
    words: HashMap<Box<str>, Vec<(u32, f32)>>,
    tools: usize,
}

impl Names {
    /// The names of an index's tools, each as its words.
    pub(super) fn new<'a, N: IntoIterator<Item = &'a str>>(index: &Index, names: impl Iterator<Item = N>) -> Self {
        let mut this = Self::default();
        for (tool, name) in (0..).zip(names) {
            let mut name: Vec<(&str, f32)> = name.into_iter().map(|word| (word, index.rarity(word))).collect();
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

    /// The share of each tool's name that a request's terms say, each term as far as it counts.
    pub(super) fn said<'a>(&self, request: impl IntoIterator<Item = (&'a str, f32)>) -> Scores {
        let mut said = vec![0.0; self.tools];
        for (term, counts) in request {
            for (tool, share) in self.words.get(term).into_iter().flatten() {
                said[*tool as usize] += counts.min(1.0) * share;
            }
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aiw_search::Field;

    #[test]
    fn the_whole_of_a_name_is_said_or_a_part_of_it() {
        let names = [&["stock", "price"][..], &["stock", "price", "date"], &["stock", "stock"], &[]];
        let records = names.map(|name| name.iter().map(|word| (0, *word)).collect::<Vec<_>>());
        let index = Index::new([Field { weight: 1.0, length: 0.0 }], records);
        let names = Names::new(&index, names.into_iter().map(|name| name.iter().copied()));
        let said = names.said([("price", 1.0), ("stock", 1.0), ("other", 1.0)]);
        assert!((said[0] - 1.0).abs() < 0.001 && said[1] < 0.8 && (said[2] - 1.0).abs() < 0.001, "{said:?}");
        assert_eq!(said[3], 0.0);
        // A word that only means the same says less of it.
        assert!(names.said([("stock", 0.5)])[2] <= 0.5);
    }
}
