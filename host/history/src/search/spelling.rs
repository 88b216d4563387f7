//! What a request asks for: its terms, how rare each is, and known words in the place of unknown ones.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension};

use crate::store::{compound_names, words};

/// The most terms of a request that are looked for.
const MAX_TERMS: usize = 48;

/// The most words that are compared with an unknown one.
const MAX_COMPARED_WORDS: usize = 20_000;

/// The most known words that stand for an unknown one.
const MAX_VARIANTS: usize = 3;

/// The weight of a word that is only similar to that of the request.
const VARIANT_WEIGHT: f32 = 0.6;

/// The weight of a whole name: its parts count as well.
const NAME_WEIGHT: f32 = 0.8;

/// A term to look for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Term {
    pub term: String,
    /// In how many messages it occurs.
    pub message_count: u64,
    /// The weight: its rarity, less if it is not exactly the requested word.
    pub weight: f32,
}

/// A request as the index sees it.
#[derive(Debug)]
pub(super) struct ParsedQuery {
    /// The terms, the rarest first.
    pub terms: Vec<Term>,
    /// Which terms follow each other in the request, by their places in `terms`.
    pub pairs: Vec<(usize, usize)>,
    /// The mean number of terms of a message.
    pub mean_length: f32,
    /// The weight of all of its words, also of those that no message has.
    pub total_weight: f32,
}

impl ParsedQuery {
    pub fn new(connection: &Connection, text: &str) -> rusqlite::Result<Self> {
        let (messages, length): (f32, f32) =
            connection.query_row("SELECT messages, terms FROM state", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let sequence = words(text);
        let mut seen = HashSet::new();
        let mut terms: Vec<Term> = Vec::new();
        let mut whole = 0.0;
        let asked = sequence
            .iter()
            .cloned()
            .map(|word| (word, 1.0))
            .chain(compound_names(text).map(|name| (name, NAME_WEIGHT)));
        // People type names without what parts them.
        let asked = asked.chain(run_together(text).map(|name| (name, NAME_WEIGHT)));
        for (word, counts) in asked {
            if terms.len() >= MAX_TERMS || !seen.insert(word.clone()) {
                continue;
            }
            let known = frequency(connection, &word)?;
            if !word.starts_with('§') {
                whole += rarity(messages, known);
            }
            if known > 0 {
                terms.push(Term { term: word, message_count: known, weight: counts * rarity(messages, known) });
            } else if !word.starts_with('§') {
                for (variant, known) in variants(connection, &word)? {
                    if seen.insert(variant.clone()) {
                        terms.push(Term {
                            term: variant,
                            message_count: known,
                            weight: VARIANT_WEIGHT * rarity(messages, known),
                        });
                    }
                }
            }
        }
        terms.sort_by(|a, b| a.message_count.cmp(&b.message_count).then_with(|| a.term.cmp(&b.term)));
        let place = |word: &String| terms.iter().position(|term| term.term == *word);
        let pairs = sequence.windows(2).filter_map(|pair| Some((place(&pair[0])?, place(&pair[1])?))).collect();
        Ok(Self { terms, pairs, mean_length: (length / messages.max(1.0)).max(1.0), total_weight: whole })
    }
}

/// Words that may be names of several parts: `getusername`.
fn run_together(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| (6..=40).contains(&word.len()));
    words.map(|word| format!("§{}", word.to_ascii_lowercase()))
}

fn frequency(connection: &Connection, term: &str) -> rusqlite::Result<u64> {
    let mut find = connection.prepare_cached("SELECT messages FROM terms WHERE term = ?")?;
    let known: Option<i64> = find.query_row([term], |row| row.get(0)).optional()?;
    Ok(known.map_or(0, |known| known.max(0).cast_unsigned()))
}

/// How much a term tells of a message that has it.
fn rarity(messages: f32, having: u64) -> f32 {
    let having = having as f32;
    (1.0 + (messages - having).max(0.0) / (having + 0.5)).ln().max(0.05)
}

/// Known words that somebody may have meant who wrote an unknown one: it is the start of them, they are the start of it,
/// or they differ in a letter or two.
fn variants(connection: &Connection, word: &str) -> rusqlite::Result<Vec<(String, u64)>> {
    let length = word.chars().count();
    if length < 4 || word.chars().any(|c| c.is_numeric()) {
        return Ok(Vec::new());
    }
    // People rarely mistake the first letters.
    let start: String = word.chars().take(2).collect();
    let mut list =
        connection.prepare_cached("SELECT term, messages FROM terms WHERE term >= ?1 AND term < ?2 LIMIT ?3")?;
    let end = format!("{start}\u{10ffff}");
    let mut rows = list.query((&start, end, i64::try_from(MAX_COMPARED_WORDS).unwrap_or(i64::MAX)))?;
    let mut near: Vec<(usize, String, u64)> = Vec::new();
    while let Some(row) = rows.next()? {
        let term = row.get_ref(0)?.as_str()?;
        let others = term.chars().count();
        let is_start = (term.starts_with(word) && others <= length + 6)
            || (word.starts_with(term) && others >= 4 && length <= others + 4);
        let distance = if is_start {
            1
        } else if others.abs_diff(length) > 2 {
            continue;
        } else {
            strsim::osa_distance(term, word)
        };
        if distance <= 1 + usize::from(length > 6) {
            near.push((distance, term.to_owned(), row.get::<_, i64>(1)?.max(0).cast_unsigned()));
        }
    }
    near.sort_by(|a, b| a.0.cmp(&b.0).then(b.2.cmp(&a.2)).then_with(|| a.1.cmp(&b.1)));
    near.truncate(MAX_VARIANTS);
    Ok(near.into_iter().map(|(_, term, messages)| (term, messages)).collect())
}
