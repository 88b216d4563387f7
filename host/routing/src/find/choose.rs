//! Choosing from a ranked list so that it does not have the same tool five times.

use std::collections::HashMap;

/// Tools that share so much of their name and description are variants of one.
const MIN_SIMILARITY: f32 = 0.8;

/// Of so many places one is not for the server that has most of the others.
const MIN_RESULTS_FOR_DIVERSITY: usize = 5;

/// The most variants of one tool that are chosen: a user may have a reason to prefer the second.
const MAX_VARIANTS: usize = 2;

/// How much each term of a tool tells of it.
pub(super) type TermWeights<'a> = HashMap<&'a str, f32>;

/// A tool that could be chosen.
pub(super) struct CandidateTool<'a> {
    pub(super) weights: TermWeights<'a>,
    /// The number of its server.
    pub(super) server: u32,
    /// The request names its server, so that server may have all places.
    pub(super) is_named: bool,
}

/// One place in the choice: the candidate, and those that it stands for.
pub(super) struct SelectedTool {
    pub(super) candidate: usize,
    pub(super) variants: Vec<usize>,
}

/// Chooses at most `most` of the candidates, best first. A server with many tools that seem to fit can't take all places
/// from the others: one of five stays for them, if they have anything. Those that are `wanted` have a place in any case,
/// the first of them first.
pub(super) fn choose(candidates: &[CandidateTool<'_>], wanted: &[usize], most: usize) -> Vec<SelectedTool> {
    let most_of_one = most - most / MIN_RESULTS_FOR_DIVERSITY;
    let mut chosen: Vec<SelectedTool> = Vec::new();
    let mut left: Vec<usize> = Vec::new();
    for (number, candidate) in candidates.iter().enumerate() {
        let similar = |choice: &SelectedTool| {
            similarity(&candidates[choice.candidate].weights, &candidate.weights) >= MIN_SIMILARITY
        };
        let of_kind = chosen.iter().filter(|choice| similar(choice)).count();
        let of_server = chosen.iter().filter(|choice| candidates[choice.candidate].server == candidate.server).count();
        if of_kind >= MAX_VARIANTS {
            if let Some(first) = chosen.iter_mut().find(|choice| similar(choice)) {
                first.variants.push(number);
            }
        } else if of_server >= most_of_one && !candidate.is_named {
            left.push(number);
        } else if chosen.len() < most {
            chosen.push(SelectedTool { candidate: number, variants: Vec::new() });
        }
    }
    let room = most - chosen.len();
    chosen.extend(left.into_iter().take(room).map(|candidate| SelectedTool { candidate, variants: Vec::new() }));
    let wanted = &wanted[..wanted.len().min(most)];
    for candidate in wanted {
        let stands = |choice: &SelectedTool| choice.candidate == *candidate || choice.variants.contains(candidate);
        if chosen.iter().any(stands) {
            continue;
        }
        if chosen.len() >= most
            && let Some(last) = chosen.iter().rposition(|choice| !wanted.contains(&choice.candidate))
        {
            chosen.remove(last);
        }
        if chosen.len() < most {
            chosen.push(SelectedTool { candidate: *candidate, variants: Vec::new() });
        }
    }
    chosen.sort_by_key(|choice| choice.candidate);
    chosen
}

/// The cosine of two tools' terms.
fn similarity(one: &TermWeights<'_>, two: &TermWeights<'_>) -> f32 {
    let length = |weights: &TermWeights<'_>| weights.values().map(|weight| weight * weight).sum::<f32>().sqrt();
    let shared: f32 = one.iter().filter_map(|(term, weight)| Some(weight * two.get(term)?)).sum();
    shared / (length(one) * length(two)).max(f32::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_all_places_only_if_the_request_names_it() {
        // Six tools of one server fit better than the one of another.
        let terms: Vec<String> = (0..7).map(|n| format!("term{n}")).collect();
        let chosen = |is_named: bool| {
            let candidate = |(n, term)| CandidateTool {
                weights: TermWeights::from([(term, 1.0)]),
                server: u32::from(n == 6),
                is_named: is_named && n != 6,
            };
            let candidates: Vec<_> = terms.iter().map(String::as_str).enumerate().map(candidate).collect();
            choose(&candidates, &[], 5).iter().map(|choice| choice.candidate).collect::<Vec<_>>()
        };
        assert_eq!(chosen(false), [0, 1, 2, 3, 6]);
        assert_eq!(chosen(true), [0, 1, 2, 3, 4]);
    }
}
