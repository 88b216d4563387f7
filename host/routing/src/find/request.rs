//! A request: the terms that it is looked for by, as a whole and clause by clause.

use std::collections::{HashMap, HashSet};

use aiw_search::{Index, QueryTerm, clauses, words};

use super::related::related_terms;
use super::shapes::address_terms;
use super::synonyms::synonyms;
use super::texts::{truncate, word_pairs};

/// The most bytes of a request that count.
const MAX_REQUEST_BYTES: usize = 16 << 10;

/// How much a word of the tools counts that people use another one for; that means the same in general; and that may be
/// one of the request's in another form.
const RELATED_WEIGHT: f32 = 0.7;
const SYNONYM_WEIGHT: f32 = 0.5;
const SIMILAR_WEIGHT: f32 = 0.4;

/// How much two neighbouring words count beside each of them.
const PAIR_WEIGHT: f32 = 0.3;

/// How much it counts that two neighbouring words are one word of the tools: `screen shot`.
const COMPOUND_WEIGHT: f32 = 0.5;

/// The shortest words that make one together.
const MIN_COMPOUND_PART_LEN: usize = 3;

pub(super) struct Request<'a> {
    /// The whole first, then its clauses, if there are several.
    pub(super) parts: Vec<RequestTerms>,
    pub(super) texts: Vec<&'a str>,
    /// The terms that are written in it.
    written: HashSet<String>,
}

/// A part of a request: its terms with what each counts, in their order, each once.
pub(super) struct RequestTerms {
    words: Vec<Word>,
    pairs: Vec<String>,
    joined: Vec<String>,
}

struct Word {
    term: String,
    counts: f32,
    /// Terms that may stand for it whatever the tools are, with what each counts beside it.
    instead: Vec<(String, f32)>,
}

impl Word {
    fn new(term: String, counts: f32) -> Self {
        let related = related_terms(&term).iter().map(|other| (other.clone(), RELATED_WEIGHT));
        let instead = related.chain(synonyms(&term).map(|other| (other, SYNONYM_WEIGHT))).collect();
        Self { term, counts, instead }
    }
}

impl<'a> Request<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let text = truncate(text, MAX_REQUEST_BYTES);
        let texts: Vec<&str> = std::iter::once(text).chain(clauses(text)).collect();
        Self {
            parts: texts.iter().map(|text| RequestTerms::new(text)).collect(),
            texts,
            written: words(text).into_iter().collect(),
        }
    }

    /// Whether it has a word that says something.
    pub(super) fn has_search_terms(&self) -> bool {
        !self.written.is_empty()
    }

    /// Whether it names a server: it has all words of the server's key.
    pub(super) fn mentions_server(&self, server: &str) -> bool {
        let key = words(server);
        !key.is_empty() && key.iter().all(|word| self.written.contains(word))
    }

    /// Its words as they are written that stand for one of these terms, each once.
    pub(super) fn matching_words(&self, has: impl Fn(&str) -> bool) -> Vec<String> {
        let mut seen = HashSet::new();
        let written = self.texts[0].split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        let matched = written.filter(|word| word.len() <= 64 && words(word).iter().any(|term| has(term)));
        matched.filter(|word| seen.insert(word.to_lowercase())).map(str::to_owned).collect()
    }
}

impl RequestTerms {
    fn new(text: &str) -> Self {
        let mut known: HashMap<String, usize> = HashMap::new();
        let mut all: Vec<(String, f32)> = Vec::new();
        for token in text.split_whitespace() {
            let terms =
                address_terms(token).unwrap_or_else(|| words(token).into_iter().map(|word| (word, 1.0)).collect());
            for (term, counts) in terms {
                let place = *known.entry(term.clone()).or_insert(all.len());
                match all.get_mut(place) {
                    Some((_, most)) => *most = counts.max(*most),
                    None => all.push((term, counts)),
                }
            }
        }
        let written: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let are_long = |pair: &&[&str]| pair.iter().all(|word| word.len() >= MIN_COMPOUND_PART_LEN);
        let joined =
            written.windows(2).filter(are_long).flat_map(|pair| words(&pair.concat().to_lowercase())).collect();
        let words_of_it = all.into_iter().map(|(term, counts)| Word::new(term, counts)).collect();
        Self { words: words_of_it, pairs: word_pairs(&words(text)).collect(), joined }
    }

    /// Returns the terms to look up: the words, each with those that mean the same or may be the same in another form,
    /// and the pairs of neighbours; each once.
    pub(super) fn terms<'s>(&'s self, index: &'s Index) -> Vec<QueryTerm<'s>> {
        let mut seen: HashSet<&str> = self.words.iter().map(|word| word.term.as_str()).collect();
        let mut terms: Vec<QueryTerm<'_>> = Vec::with_capacity(self.words.len());
        for Word { term, counts, instead } in &self.words {
            let instead = instead.iter().map(|(other, less)| (other.as_str(), *less));
            let instead = instead.chain(index.similar_terms(term).map(|alike| (alike, SIMILAR_WEIGHT)));
            let instead = instead.filter(|(other, _)| seen.insert(other)).collect();
            terms.push(QueryTerm { term, weight: *counts, substitutes: instead });
        }
        let pairs = self.pairs.iter().map(|pair| (pair.as_str(), PAIR_WEIGHT));
        let together = pairs.chain(self.joined.iter().map(|joined| (joined.as_str(), COMPOUND_WEIGHT)));
        terms.extend(together.filter(|(term, _)| seen.insert(term)).map(QueryTerm::from));
        terms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aiw_search::FieldWeight;

    /// Returns the weight of a term in a request, with these terms in the index.
    fn counts(text: &str, known: &[&str], term: &str) -> f32 {
        let records = [known.iter().map(|term| (0, *term)).collect::<Vec<_>>()];
        let index = Index::new([FieldWeight { weight: 1.0, length_norm: 0.0 }], records);
        let request = Request::new(text);
        let terms = request.parts[0].terms(&index);
        let all = terms.iter().flat_map(|sought| {
            let instead = sought.substitutes.iter().map(|(other, less)| (*other, sought.weight * less));
            std::iter::once((sought.term, sought.weight)).chain(instead)
        });
        let counts: Vec<f32> = all.filter(|(known, _)| *known == term).map(|(_, counts)| counts).collect();
        assert!(counts.len() < 2, "{terms:?}");
        counts.first().copied().unwrap_or_default()
    }

    #[test]
    fn words_count_and_what_stands_for_them_counts_less() {
        assert_eq!(counts("the forecasts", &[], "forecast"), 1.0);
        assert_eq!(counts("open it", &[], "navig"), RELATED_WEIGHT);
        assert_eq!(counts("the physician", &[], "doctor"), SYNONYM_WEIGHT);
        assert_eq!(counts("administration", &["admin"], "admin"), SIMILAR_WEIGHT);
        assert_eq!(counts("administration, admin", &["admin"], "admin"), 1.0);
        assert_eq!(counts("a word cloud", &[], "word cloud"), PAIR_WEIGHT);
        assert_eq!(counts("take a screen shot", &[], "screenshot"), COMPOUND_WEIGHT);
        assert_eq!(counts("go to it", &[], "goto"), 0.0);
    }

    #[test]
    fn a_word_in_a_path_counts_less() {
        assert!(counts("/srv/sales", &[], "sale") < counts("sales in /srv/sales", &[], "sale"));
        assert!(counts("save it as sales.csv", &[], "file") > 0.0);
        let request = Request::new("save it as sales.csv");
        assert!(request.mentions_server("sales") && !request.mentions_server("file"));
    }
}
