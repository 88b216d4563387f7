//! Candidates: messages that have words of the request, each with a first score.
//!
//! A word that many messages have costs much and tells little. The rarest words are looked up first, and the rest only as
//! long as the work stays within bounds. What the index has too much of counts when texts are read.

use rusqlite::Connection;

use super::filter::MessageFilter;
use super::spelling::ParsedQuery;
use crate::store::{MessageFacts, decode_length};

/// The most entries of the index that a search reads: some 0.1 µs each.
const MAX_INDEX_ENTRIES: u64 = 150_000;

/// The weight of a message whose text was there before.
const COPY_WEIGHT: f32 = 0.5;

/// How much less a word counts in a message that is longer than others. Less than usual, because how often it occurs is
/// not known yet.
const LENGTH_NORMALIZATION: f32 = 0.35;

/// Messages with words of a request.
pub(super) struct CandidateMessages {
    /// First scores by the ids of messages; 0 for what has no words or is not wanted.
    pub scores: Vec<f32>,
    /// The ids that have a score.
    pub ids: Vec<u32>,
}

impl CandidateMessages {
    pub fn new(
        connection: &Connection,
        request: &ParsedQuery,
        facts: &MessageFacts,
        wanted: &MessageFilter,
    ) -> rusqlite::Result<Self> {
        let mut gathered = Self { scores: vec![0.0; facts.len()], ids: Vec::new() };
        let mut left = MAX_INDEX_ENTRIES;
        for (place, term) in request.terms.iter().enumerate() {
            if term.message_count <= left {
                left -= term.message_count;
                gathered.read(connection, &quoted(&term.term), term.weight, MAX_INDEX_ENTRIES)?;
            } else if place == 0 {
                // All words are frequent. Those messages first that have the two rarest.
                let most = MAX_INDEX_ENTRIES / 3;
                if let Some(second) = request.terms.get(1) {
                    let both = format!("{} AND {}", quoted(&term.term), quoted(&second.term));
                    gathered.read(connection, &both, term.weight + second.weight, most)?;
                }
                if !wanted.matches_all() || gathered.ids.len() < 1000 {
                    gathered.read(connection, &quoted(&term.term), term.weight, most)?;
                }
                break;
            }
        }
        gathered.weigh(request, facts, wanted);
        Ok(gathered)
    }

    /// Adds the newest messages that match.
    fn read(&mut self, connection: &Connection, expression: &str, weight: f32, most: u64) -> rusqlite::Result<()> {
        let mut find =
            connection.prepare_cached("SELECT rowid FROM words WHERE words MATCH ? ORDER BY rowid DESC LIMIT ?")?;
        let mut rows = find.query((expression, most.cast_signed()))?;
        while let Some(row) = rows.next()? {
            let id: u32 = row.get(0)?;
            let Some(score) = self.scores.get_mut(id as usize) else { continue };
            if *score == 0.0 {
                self.ids.push(id);
            }
            *score += weight;
        }
        Ok(())
    }

    fn weigh(&mut self, request: &ParsedQuery, facts: &MessageFacts, wanted: &MessageFilter) {
        let scores = &mut self.scores;
        self.ids.retain(|id| {
            let place = *id as usize;
            let Some(fact) = facts.get(place).filter(|fact| wanted.matches(place, fact)) else {
                scores[place] = 0.0;
                return false;
            };
            let relative = decode_length(fact.length) / request.mean_length;
            let counts = if fact.is_copy && wanted.matches_all() { COPY_WEIGHT } else { 1.0 };
            scores[place] *=
                counts * 2.2 / (1.0 + 1.2 * (1.0 - LENGTH_NORMALIZATION + LENGTH_NORMALIZATION * relative));
            true
        });
    }

    /// The ids with the best first scores.
    pub fn top_ids(&self, most: usize) -> Vec<u32> {
        let mut ids = self.ids.clone();
        let order = |a: &u32, b: &u32| {
            let score = |id: &u32| self.scores[*id as usize];
            score(b).total_cmp(&score(a)).then(b.cmp(a))
        };
        if ids.len() > most {
            ids.select_nth_unstable_by(most, order);
            ids.truncate(most);
        }
        ids
    }
}

fn quoted(term: &str) -> String {
    format!("\"{term}\"")
}
