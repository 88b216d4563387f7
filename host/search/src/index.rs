//! BM25F: records of several fields, ranked by the words that they share with a request.
//!
//! Robertson, Zaragoza, Taylor: "Simple BM25 extension to multiple weighted fields" (2004).

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

/// How a field counts.
#[derive(Debug, Clone, Copy)]
pub struct FieldWeight {
    /// How much a word in it counts.
    pub weight: f32,
    /// How much less it counts in a field that is longer than others: 0 (not at all) to 1.
    pub length_norm: f32,
}

/// How quickly more of the same word stops to count.
const BM25_K1: f32 = 1.6;

/// The beginning that two words have in common at least, if one is to stand for the other.
const MIN_COMMON_PREFIX_LEN: usize = 4;

/// Records that there could be: in a handful, a word that most of them have still tells of them.
const PRIOR_RECORD_COUNT: usize = 20;

/// Records by the words in their fields.
#[derive(Debug, Default)]
pub struct Index {
    terms: BTreeMap<Box<str>, u32>,
    /// For each term the records that have it, and how much it counts there.
    postings: Vec<Vec<(u32, f32)>>,
    records: usize,
}

/// A term of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryTerm<'a> {
    /// The term itself.
    pub term: &'a str,
    /// How much it counts.
    pub weight: f32,
    /// Terms that may stand in its place, and how much each counts beside it.
    pub substitutes: Vec<(&'a str, f32)>,
}

impl<'a> From<(&'a str, f32)> for QueryTerm<'a> {
    fn from((term, counts): (&'a str, f32)) -> Self {
        Self { term, weight: counts, substitutes: Vec::new() }
    }
}

/// Scores of all records, reused from request to request.
pub type Scores = Vec<f32>;

impl Index {
    /// An index over records, each with the terms of its fields.
    pub fn new<'a, const F: usize, R>(fields: [FieldWeight; F], records: impl IntoIterator<Item = R> + Clone) -> Self
    where
        R: IntoIterator<Item = (usize, &'a str)>,
    {
        let lengths = |record: R| {
            let mut lengths = [0_f32; F];
            record.into_iter().for_each(|(field, _)| lengths[field] += 1.0);
            lengths
        };
        let lengths: Vec<[f32; F]> = records.clone().into_iter().map(lengths).collect();
        let mut average = [0_f32; F];
        for (field, average) in average.iter_mut().enumerate() {
            let sum: f32 = lengths.iter().map(|lengths| lengths[field]).sum();
            *average = (sum / lengths.len().max(1) as f32).max(1.0);
        }
        let mut index = Self { records: lengths.len(), ..Self::default() };
        let mut counts: HashMap<u32, f32> = HashMap::new();
        for ((record, terms), lengths) in (0..).zip(records).zip(&lengths) {
            for (field, term) in terms {
                let FieldWeight { weight, length_norm: length } = fields[field];
                let term = index.number(term);
                *counts.entry(term).or_default() += weight / (1.0 - length + length * lengths[field] / average[field]);
            }
            for (term, count) in counts.drain() {
                index.postings[term as usize].push((record, count / (BM25_K1 + count)));
            }
        }
        index
    }

    fn number(&mut self, term: &str) -> u32 {
        if let Some(number) = self.terms.get(term) {
            return *number;
        }
        let number = u32::try_from(self.postings.len()).unwrap_or(u32::MAX);
        self.terms.insert(term.into(), number);
        self.postings.push(Vec::new());
        number
    }

    /// The terms that may be this one in another form: abbreviations (`admin` for `administr`), and those that begin
    /// alike and have another ending (`recogn` and `recognit`).
    pub fn similar_terms<'a>(&'a self, term: &'a str) -> impl Iterator<Item = &'a str> {
        let is_word = |word: &str| word.bytes().all(|b| b.is_ascii_alphabetic());
        let head = term.get(..MIN_COMMON_PREFIX_LEN).filter(|_| is_word(term));
        let from = |head: &'a str| self.terms.range::<str, _>((Bound::Included(head), Bound::Unbounded));
        let near = head
            .into_iter()
            .flat_map(move |head| from(head).map(|(word, _)| &**word).take_while(move |word| word.starts_with(head)));
        near.filter(move |word| *word != term && is_word(word) && is_alike(term, word))
    }

    /// The terms that are longer than this one and begin with it.
    pub fn terms_with_prefix<'a>(&'a self, term: &'a str) -> impl Iterator<Item = &'a str> {
        let from = self.terms.range::<str, _>((Bound::Excluded(term), Bound::Unbounded));
        from.map(|(word, _)| &**word).take_while(move |word| word.starts_with(term))
    }

    /// How much a term tells of a record that has it: the fewer have it, the more.
    pub fn idf(&self, term: &str) -> f32 {
        rarity(self.records, self.having(term).len())
    }

    /// Scores every record by the terms of a request. Returns the best score.
    ///
    /// Scores the records. A term's substitute never counts more than the term itself would, however rare it is, and a
    /// record that has several such terms has not said more than one: together they count as the root of their squares.
    pub fn score<'a, S: Into<QueryTerm<'a>>>(&self, request: impl IntoIterator<Item = S>, scores: &mut Scores) -> f32 {
        scores.clear();
        scores.resize(self.records, 0.0);
        let mut squares = Scores::new();
        let mut having: Vec<u32> = Vec::new();
        for sought in request.into_iter().map(S::into) {
            let most = self.idf(sought.term);
            for (record, weight) in self.having(sought.term) {
                scores[*record as usize] += sought.weight * most * weight;
            }
            squares.resize(self.records, 0.0);
            for (term, less) in sought.substitutes {
                let counts = sought.weight * (less * self.idf(term)).min(most);
                for (record, weight) in self.having(term) {
                    having.push(*record);
                    squares[*record as usize] += (counts * weight).powi(2);
                }
            }
            for record in having.drain(..) {
                // A record that is there twice has nothing left the second time.
                scores[record as usize] += std::mem::take(&mut squares[record as usize]).sqrt();
            }
        }
        scores.iter().copied().fold(0.0, f32::max)
    }

    /// The records that have a term, and how much it counts there.
    fn having(&self, term: &str) -> &[(u32, f32)] {
        self.terms.get(term).map_or(&[], |number| &self.postings[*number as usize])
    }
}

fn is_alike(term: &str, word: &str) -> bool {
    let common = term.bytes().zip(word.bytes()).take_while(|(one, two)| one == two).count();
    let (short, long) = (term.len().min(word.len()), term.len().max(word.len()));
    // Two letters may differ at the end of the shorter one, and three may follow.
    let has_another_ending =
        common > MIN_COMMON_PREFIX_LEN && 4 * common >= 3 * long && long - common <= 3 && short - common <= 2;
    common == word.len() || has_another_ending
}

fn rarity(records: usize, having: usize) -> f32 {
    let (records, having) = ((records + PRIOR_RECORD_COUNT) as f32, having as f32);
    (1.0 + (records - having + 0.5) / (having + 0.5)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked(records: &[&[(usize, &'static str)]], request: &[&str]) -> Vec<f32> {
        let fields = [FieldWeight { weight: 2.0, length_norm: 0.3 }, FieldWeight { weight: 1.0, length_norm: 0.6 }];
        let index = Index::new(fields, records.iter().map(|record| record.iter().copied()));
        let mut scores = Scores::new();
        let best = index.score(request.iter().map(|term| (*term, 1.0)), &mut scores);
        assert_eq!(best, scores.iter().copied().fold(0.0, f32::max));
        scores
    }

    #[test]
    fn rare_words_heavy_fields_and_short_records_win() {
        let scores = ranked(&[&[(0, "get"), (1, "mail")], &[(0, "get"), (1, "file")], &[(0, "set")]], &["get", "mail"]);
        assert!(scores[0] > scores[1] && scores[1] > scores[2] && scores[2] == 0.0, "{scores:?}");
        let scores = ranked(&[&[(0, "mail")], &[(1, "mail")]], &["mail"]);
        assert!(scores[0] > scores[1], "{scores:?}");
        let long = [(1, "mail"), (1, "a"), (1, "b"), (1, "c"), (1, "d")];
        let scores = ranked(&[&long, &[(1, "mail")]], &["mail"]);
        assert!(scores[1] > scores[0], "{scores:?}");
    }

    #[test]
    fn words_that_begin_alike_stand_for_each_other() {
        let words =
            ["admin", "recognit", "recogn", "administr", "recommend", "add", "recogn proxi", "2023", "psychologi"];
        let fields = [FieldWeight { weight: 1.0, length_norm: 0.0 }];
        let index = Index::new(fields, [words.map(|word| (0, word))]);
        let alike = |term| index.similar_terms(term).collect::<Vec<_>>();
        assert_eq!(alike("administr"), ["admin"]);
        assert_eq!(alike("recogn"), ["recognit"]);
        assert_eq!(alike("recognit"), ["recogn"]);
        // A short word is not an abbreviation, and a word is not a form of its own abbreviation.
        assert_eq!(alike("additional"), [""; 0]);
        assert_eq!(alike("admin"), [""; 0]);
        assert_eq!(alike("20230"), [""; 0]);
        assert_eq!(alike("psychiatri"), [""; 0]);
        assert_eq!(alike("größe"), [""; 0]);
    }

    /// Scores records of one field for a term and what may stand in its place.
    fn instead<'a>(records: &[&[&'a str]], term: &'a str, instead: &[&'a str]) -> Vec<f32> {
        let fields = [FieldWeight { weight: 1.0, length_norm: 0.0 }];
        let index = Index::new(fields, records.iter().map(|record| record.iter().map(|term| (0, *term))));
        let mut scores = Scores::new();
        let instead = instead.iter().map(|term| (*term, 0.7)).collect();
        index.score([QueryTerm { term, weight: 1.0, substitutes: instead }], &mut scores);
        scores
    }

    #[test]
    fn a_rarer_term_does_not_outweigh_the_one_whose_place_it_takes() {
        // Six have the word that is said, one has a rare word for it.
        let said: &[&str] = &["event"];
        let scores = instead(&[said, said, said, said, said, said, &["calendar"]], "event", &["calendar"]);
        assert!(scores[0] >= scores[6] && scores[6] > 0.0, "{scores:?}");
    }

    #[test]
    fn terms_in_the_place_of_one_are_no_sum() {
        let all: &[&str] = &["get", "list", "view", "read"];
        let scores = instead(&[all, &["get"], &["list"], &["view"], &["read"]], "show", all);
        assert!(scores[1] < scores[0] && scores[0] < 2.1 * scores[1], "{scores:?}");
    }

    #[test]
    fn nothing_is_found_in_nothing() {
        assert!(ranked(&[], &["mail"]).is_empty());
        assert_eq!(ranked(&[&[(0, "mail")], &[]], &["tool"]), [0.0, 0.0]);
    }
}
