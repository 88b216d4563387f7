//! How well a text answers a request.

use std::collections::HashMap;

use super::spelling::ParsedQuery;
use crate::store::terms;

/// How quickly more of the same word stops to count.
const BM25_K1: f32 = 1.2;

/// How much less a word counts in a text that is longer than others.
const BM25_B: f32 = 0.6;

/// The weight of two words that follow each other in the request and in a text, as a share of theirs.
const PROXIMITY_WEIGHT: f32 = 0.35;

/// The score of a text, and which of the request's terms it has.
pub(super) fn score(request: &ParsedQuery, text: &str, tools: Option<&str>) -> (f32, Vec<usize>) {
    let places: HashMap<&str, usize> =
        request.terms.iter().enumerate().map(|(place, term)| (term.term.as_str(), place)).collect();
    let mut all = terms(text);
    all.extend(tools.into_iter().flat_map(terms));
    let mut counts = vec![0_u32; request.terms.len()];
    let mut together = vec![false; request.pairs.len()];
    let mut last: Option<(usize, usize)> = None;
    for (place, term) in all.iter().enumerate() {
        let Some(found) = places.get(term.as_str()).copied() else { continue };
        counts[found] += 1;
        // A word may stand between them.
        if let Some((before, earlier)) = last
            && place - earlier <= 2
        {
            for (pair, is_together) in request.pairs.iter().zip(&mut together) {
                *is_together |= *pair == (before, found);
            }
        }
        last = Some((found, place));
    }
    let relative = all.len() as f32 / request.mean_length;
    let norm = BM25_K1 * (1.0 - BM25_B + BM25_B * relative.min(8.0));
    let mut sum = 0.0;
    for (term, count) in request.terms.iter().zip(&counts) {
        let count = *count as f32;
        sum += term.weight * count * (BM25_K1 + 1.0) / (count + norm);
    }
    for ((one, two), is_together) in request.pairs.iter().zip(together) {
        if is_together {
            sum += PROXIMITY_WEIGHT * request.terms[*one].weight.min(request.terms[*two].weight);
        }
    }
    let has = counts.iter().enumerate().filter(|(_, count)| **count > 0).map(|(place, _)| place).collect();
    (sum, has)
}
