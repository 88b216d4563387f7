//! Choosing from a ranked list so that it does not have the same tool five times.

use std::collections::HashMap;

/// Tools that share so much of their name and description are variants of one.
const SIMILAR: f32 = 0.8;

/// The most variants of one tool that are chosen: a user may have a reason to prefer the second.
const VARIANTS: usize = 2;

/// How much each term of a tool tells of it.
pub(super) type Weights<'a> = HashMap<&'a str, f32>;

/// One place in the choice: the candidate, and those that it stands for.
pub(super) struct Choice {
    pub(super) candidate: usize,
    pub(super) variants: Vec<usize>,
}

/// Chooses at most `most` of the candidates, best first.
pub(super) fn choose(candidates: &[Weights<'_>], most: usize) -> Vec<Choice> {
    let mut chosen: Vec<Choice> = Vec::new();
    for (candidate, weights) in candidates.iter().enumerate() {
        let similar = |choice: &Choice| similarity(&candidates[choice.candidate], weights) >= SIMILAR;
        let of_kind = chosen.iter().filter(|choice| similar(choice)).count();
        if of_kind >= VARIANTS {
            if let Some(first) = chosen.iter_mut().find(|choice| similar(choice)) {
                first.variants.push(candidate);
            }
        } else if chosen.len() < most {
            chosen.push(Choice { candidate, variants: Vec::new() });
        }
    }
    chosen
}

/// The cosine of two tools' terms.
fn similarity(one: &Weights<'_>, two: &Weights<'_>) -> f32 {
    let length = |weights: &Weights<'_>| weights.values().map(|weight| weight * weight).sum::<f32>().sqrt();
    let shared: f32 = one.iter().filter_map(|(term, weight)| Some(weight * two.get(term)?)).sum();
    shared / (length(one) * length(two)).max(f32::MIN_POSITIVE)
}
