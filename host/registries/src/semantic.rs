//! Ranking what words have found by meaning, where there is a sentence model.

use crate::merge::MergedServer;
use crate::terms;

/// The servers that are ranked by meaning: a model takes some milliseconds for each.
const MAX_RANKED_SERVERS: usize = 24;

/// The words of a request. With fewer, it is a name or a category, which words find better.
const MIN_QUERY_WORDS: usize = 3;

/// How little the first places differ (<https://doi.org/10.1145/1571941.1572114>), and what meaning counts beside
/// words.
const RANK_SMOOTHING: f32 = 10.0;
const SEMANTIC_WEIGHT: f32 = 1.0;

/// The bytes of a description that a model reads.
const MAX_DESCRIPTION_BYTES: usize = 300;

/// Whether a query is ranked by meaning. If it is, as many servers should be found as are ranked.
pub fn semantic_rank_limit(query: &str) -> Option<usize> {
    (terms::query_terms(query).len() >= MIN_QUERY_WORDS).then_some(MAX_RANKED_SERVERS)
}

/// Puts the first servers in the order of their places by words and by meaning together. `embed` makes a vector of each
/// text, all of one length; none if it can't.
pub fn rank(query: &str, found: &mut [MergedServer], embed: impl FnOnce(&[&str]) -> Option<Vec<Vec<f32>>>) {
    let count = found.len().min(MAX_RANKED_SERVERS);
    let found = &mut found[..count];
    let texts: Vec<String> = found.iter().map(text).collect();
    let all: Vec<&str> = std::iter::once(query).chain(texts.iter().map(String::as_str)).collect();
    let Some(vectors) = embed(&all).filter(|vectors| vectors.len() == all.len()) else { return };
    let (asked, vectors) = vectors.split_at(1);
    let near = |at: usize| -> f32 { asked[0].iter().zip(&vectors[at]).map(|(one, two)| one * two).sum() };
    let mut nearest: Vec<(usize, f32)> = (0..count).map(|at| (at, near(at))).collect();
    nearest.sort_by(|one, two| two.1.total_cmp(&one.1));
    let mut score: Vec<f32> = (0..count).map(place_score).collect();
    nearest.iter().enumerate().for_each(|(place, (at, _))| score[*at] += SEMANTIC_WEIGHT * place_score(place));
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|one, two| score[*two].total_cmp(&score[*one]));
    let ranked: Vec<MergedServer> = order.into_iter().map(|at| found[at].clone()).collect();
    found.clone_from_slice(&ranked);
}

#[expect(clippy::cast_precision_loss, reason = "there are few places")]
fn place_score(place: usize) -> f32 {
    1.0 / (RANK_SMOOTHING + place as f32)
}

/// Returns the text of a server that a model reads.
fn text(found: &MergedServer) -> String {
    let server = &found.server;
    let name = server.title.as_deref().unwrap_or_else(|| terms::last_segment(&server.name));
    let description = &server.description;
    let end = description.floor_char_boundary(MAX_DESCRIPTION_BYTES.min(description.len()));
    format!("{name}: {}", &description[..end])
}
