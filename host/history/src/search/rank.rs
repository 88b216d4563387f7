//! From candidates to hits.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, params};

use super::filter::MessageFilter;
use super::gather::CandidateMessages;
use super::query::SessionHit;
use super::score;
use super::snippet::Snippet;
use super::spelling::ParsedQuery;
use crate::Launch;
use crate::store::{
    MessageFact, MessageFacts, StoredText, Uuid, cli_from_number, path_from_key, role_from_number, text_hash,
};

/// How many candidates' texts are read.
const MAX_READ_CANDIDATES: usize = 160;

/// The most bytes of them: reading words takes time. The best by their first scores are read first.
const MAX_CANDIDATE_BYTES: usize = 512 << 10;

/// How many of the nearest in meaning become candidates.
const MAX_NEAREST_CANDIDATES: usize = 100;

/// The share of the mean of its session's three best scores that is added to a message's score.
const SESSION_WEIGHT: f32 = 0.75;

/// The share of each neighbour's score that is added to a message's score.
const NEIGHBOR_WEIGHT: f32 = 0.25;

/// The gain of the newest messages, and the minutes in which it falls to about a third.
const RECENCY_WEIGHT: f32 = 0.06;
const RECENCY_DECAY_MINUTES: f32 = 60.0 * 24.0 * 60.0;

/// The weight of meaning; words have the rest.
const SEMANTIC_WEIGHT: f32 = 0.5;

/// From which part of what all words of a request count the best hit by words stays the first, whatever means the same:
/// whoever types a name or an error message wants the text that has it.
const STRONG_MATCH_SHARE: f32 = 0.8;

/// Of how many copies of a text, one counts half as much as the first.
const COPIES_HALF_WEIGHT: f32 = 20.0;

/// In how many copies of a text its context counts half.
const CONTEXT_HALF_WEIGHT_COPIES: f32 = 10.0;

/// Which part of what all words of a request count is worth as much as the best meaning. A text with one word of five,
/// and that one misspelt, is not a good answer only because no other has more.
const FULL_COVERAGE_SHARE: f32 = 0.4;

/// How near in meaning a message is at least that has none of the words: a cosine. With all-MiniLM-L6-v2, what means the
/// same has 0.23 and more, and the nearest of what doesn't has 0.17 and less.
const MIN_COSINE_SIMILARITY: f32 = 0.2;

/// A candidate whose text was read.
struct RankedMessage {
    id: u32,
    fact: MessageFact,
    text: String,
    words: f32,
    near: Option<f32>,
    has: Vec<usize>,
    /// A hash of the text.
    hash: i64,
}

/// The best candidates as hits.
pub(super) fn rank_hits(
    connection: &Connection,
    request: &ParsedQuery,
    facts: &MessageFacts,
    wanted: &MessageFilter,
    gathered: &CandidateMessages,
    near: Option<&[f32]>,
    limit: usize,
) -> rusqlite::Result<Vec<SessionHit>> {
    let mut ids = best_with_context(gathered, facts, wanted, MAX_READ_CANDIDATES.max(limit * 2));
    let near_of = |id: u32| near.and_then(|near| near.get(id as usize).copied()).filter(|near| !near.is_nan());
    if let Some(near) = near {
        let known: HashSet<u32> = ids.iter().copied().collect();
        ids.extend(nearest(near, facts, wanted, MAX_NEAREST_CANDIDATES).into_iter().filter(|id| !known.contains(id)));
    }
    let mut find = connection.prepare_cached("SELECT text, tools FROM messages WHERE id = ?")?;
    let mut candidates = Vec::with_capacity(ids.len());
    let mut left = MAX_CANDIDATE_BYTES;
    for id in ids {
        let Some(fact) = facts.get(id as usize) else { continue };
        if left == 0 {
            break;
        }
        let (StoredText(text), tools) =
            find.query_row([id], |row| Ok((row.get(0)?, row.get::<_, Option<String>>(1)?)))?;
        left = left.saturating_sub(text.len());
        let (words, has) = score::score(request, &text, tools.as_deref());
        let hash = text_hash(&text);
        candidates.push(RankedMessage { id, fact, text, words, near: near_of(id), has, hash });
    }
    let mut copies: HashMap<i64, u32> = HashMap::new();
    for candidate in &candidates {
        *copies.entry(candidate.hash).or_default() += 1;
    }
    let mut ranked = with_context(request, &candidates, &copies, gathered, facts, near);
    let order = |(a, one): &(usize, f32), (b, two): &(usize, f32)| {
        two.total_cmp(one).then(candidates[*b].id.cmp(&candidates[*a].id))
    };
    let best = candidates.iter().map(|candidate| candidate.words).fold(0.0, f32::max);
    if near.is_some() && request.total_weight > 0.0 && best >= STRONG_MATCH_SHARE * request.total_weight {
        let by_words = with_context(request, &candidates, &copies, gathered, facts, None);
        let first = by_words.iter().min_by(|one, two| order(one, two)).map(|(place, _)| *place);
        let most = ranked.iter().map(|(_, score)| *score).fold(0.0, f32::max);
        ranked.iter_mut().filter(|(place, _)| Some(*place) == first).for_each(|(_, score)| *score = most.next_up());
    }
    ranked.sort_by(order);
    // What a session says twice, or its transcript has twice, is found once.
    let mut said = HashSet::new();
    ranked.retain(|(place, _)| said.insert((candidates[*place].fact.session, candidates[*place].text.trim())));
    let mut earlier: HashMap<i64, u32> = HashMap::new();
    for (place, score) in &mut ranked {
        let hash = candidates[*place].hash;
        let earlier = earlier.entry(hash).or_default();
        // What a few messages say is found in each of them; what hundreds say only hides the rest.
        *score /= 1.0 + *earlier as f32 * (copies[&hash] - 1) as f32 / COPIES_HALF_WEIGHT;
        *earlier += 1;
    }
    ranked.sort_by(order);
    // The nearest in meaning of all messages need not mean the same.
    let is_noise = |candidate: &RankedMessage| {
        candidate.words <= 0.0 && candidate.near.is_some_and(|near| near < MIN_COSINE_SIMILARITY)
    };
    ranked.retain(|(place, score)| *score > 0.0 && !is_noise(&candidates[*place]));
    ranked.iter().take(limit).map(|(place, score)| hit(connection, request, &candidates[*place], *score)).collect()
}

/// Whether a text was there before. Where not everything is searched, the one before may not be found.
fn is_repeated(fact: &MessageFact, wanted: &MessageFilter) -> bool {
    fact.is_copy && wanted.matches_all()
}

/// Sums of a session's best scores, to know what its context adds to its messages.
#[derive(Default)]
struct SessionSums(HashMap<u32, [f32; 3]>);

impl SessionSums {
    fn add(&mut self, session: u32, score: f32) {
        let best = self.0.entry(session).or_default();
        if score > best[2] {
            best[2] = score;
            best.sort_by(|a, b| b.total_cmp(a));
        }
    }

    /// The mean of the three best.
    fn mean(&self, session: u32) -> f32 {
        self.0.get(&session).map_or(0.0, |best| best.iter().sum::<f32>() / 3.0)
    }
}

/// The scores of the messages before and after one, if they are of its session.
fn neighbours(id: u32, fact: &MessageFact, facts: &MessageFacts, score: impl Fn(u32) -> f32) -> f32 {
    let of = |other: Option<u32>| {
        other
            .filter(|other| facts.get(*other as usize).is_some_and(|other| other.session == fact.session))
            .map_or(0.0, &score)
    };
    of(id.checked_sub(1)) + of(id.checked_add(1))
}

/// The ids of those that are best by their first scores, with what their context adds.
fn best_with_context(
    gathered: &CandidateMessages,
    facts: &MessageFacts,
    wanted: &MessageFilter,
    most: usize,
) -> Vec<u32> {
    let ids = gathered.top_ids(most * 20);
    let first = |id: u32| gathered.scores.get(id as usize).copied().unwrap_or_default();
    let mut sessions = SessionSums::default();
    for id in &ids {
        if let Some(fact) = facts.get(*id as usize).filter(|fact| !is_repeated(fact, wanted)) {
            sessions.add(fact.session, first(*id));
        }
    }
    let mut scored: Vec<(u32, f32)> = ids
        .into_iter()
        .filter_map(|id| {
            let fact = facts.get(id as usize)?;
            if is_repeated(&fact, wanted) {
                return Some((id, first(id)));
            }
            let context =
                SESSION_WEIGHT * sessions.mean(fact.session) + NEIGHBOR_WEIGHT * neighbours(id, &fact, facts, first);
            Some((id, first(id) + context))
        })
        .collect();
    scored.sort_by(|a, b| b.1.total_cmp(&a.1).then(b.0.cmp(&a.0)));
    scored.truncate(most);
    scored.into_iter().map(|(id, _)| id).collect()
}

/// The ids that are nearest in meaning.
fn nearest(near: &[f32], facts: &MessageFacts, wanted: &MessageFilter, most: usize) -> Vec<u32> {
    let is_wanted = |id: usize| facts.get(id).is_some_and(|fact| wanted.matches(id, &fact));
    let mut ids: Vec<u32> = (0..near.len())
        .filter(|id| !near[*id].is_nan() && is_wanted(*id))
        .filter_map(|id| u32::try_from(id).ok())
        .collect();
    let order = |a: &u32, b: &u32| near[*b as usize].total_cmp(&near[*a as usize]).then(b.cmp(a));
    if ids.len() > most {
        ids.select_nth_unstable_by(most, order);
        ids.truncate(most);
    }
    ids
}

/// Places of candidates, with their scores.
fn with_context(
    request: &ParsedQuery,
    candidates: &[RankedMessage],
    copies: &HashMap<i64, u32>,
    gathered: &CandidateMessages,
    facts: &MessageFacts,
    near: Option<&[f32]>,
) -> Vec<(usize, f32)> {
    // What has none of the words is not among the candidates.
    let words = Range::of(
        candidates.iter().map(|candidate| candidate.words).chain([0.0, FULL_COVERAGE_SHARE * request.total_weight]),
    );
    let meaning = Range::of(candidates.iter().filter_map(|candidate| candidate.near));
    let blend = |score: f32, near: Option<f32>| {
        let words = words.place(score);
        match near {
            Some(near) => (1.0 - SEMANTIC_WEIGHT) * words + SEMANTIC_WEIGHT * meaning.place(near),
            None => words,
        }
    };
    let own: HashMap<u32, f32> =
        candidates.iter().map(|c| (c.id, blend(c.words, c.near.filter(|_| near.is_some())))).collect();
    // The text of a neighbour may not have been read: then its first score has to do.
    let any = |id: u32| {
        own.get(&id).copied().unwrap_or_else(|| {
            let first = gathered.scores.get(id as usize).copied().unwrap_or_default();
            let near = near.and_then(|near| near.get(id as usize).copied()).filter(|near| !near.is_nan());
            blend(first, near)
        })
    };
    // What everybody says tells nothing of a session.
    let is_rare = |hash: &i64| 1.0 / (1.0 + (copies[hash] - 1) as f32 / CONTEXT_HALF_WEIGHT_COPIES);
    let mut sessions = SessionSums::default();
    for candidate in candidates {
        sessions.add(candidate.fact.session, any(candidate.id) * is_rare(&candidate.hash));
    }
    let newest = candidates.iter().map(|candidate| candidate.fact.minutes_since_2020).max().unwrap_or_default();
    let mut ranked = Vec::with_capacity(candidates.len());
    for (place, RankedMessage { id, fact, hash, .. }) in candidates.iter().enumerate() {
        let context =
            SESSION_WEIGHT * sessions.mean(fact.session) + NEIGHBOR_WEIGHT * neighbours(*id, fact, facts, any);
        let context = context * is_rare(hash);
        let age = newest.saturating_sub(fact.minutes_since_2020) as f32;
        let recent = if fact.minutes_since_2020 == 0 {
            1.0
        } else {
            1.0 + RECENCY_WEIGHT * (-age / RECENCY_DECAY_MINUTES).exp()
        };
        ranked.push((place, (any(*id) + context) * recent));
    }
    ranked
}

/// The least and the greatest of some numbers.
struct Range(f32, f32);

impl Range {
    fn of(numbers: impl Iterator<Item = f32>) -> Self {
        let (least, most) = numbers.fold((f32::MAX, f32::MIN), |(least, most), n| (least.min(n), most.max(n)));
        Self(least, most)
    }

    /// Where a number is between them, from 0 to 1.
    fn place(&self, number: f32) -> f32 {
        let range = self.1 - self.0;
        if range > 0.0 { ((number - self.0) / range).clamp(0.0, 1.0) } else { f32::from(u8::from(number > 0.0)) }
    }
}

fn hit(
    connection: &Connection,
    request: &ParsedQuery,
    candidate: &RankedMessage,
    score: f32,
) -> rusqlite::Result<SessionHit> {
    let mut find = connection.prepare_cached(
        "SELECT sessions.name, sessions.cli, projects.path, messages.time, messages.role, files.path, messages.uuid,
         sessions.provider, sessions.isolated FROM messages JOIN sessions ON sessions.id = messages.session JOIN projects ON projects.id = sessions.project
         JOIN files ON files.id = messages.file WHERE messages.id = ?",
    )?;
    let terms: Vec<&str> = candidate.has.iter().map(|place| request.terms[*place].term.as_str()).collect();
    let weights: Vec<(&str, f32)> =
        candidate.has.iter().map(|place| (request.terms[*place].term.as_str(), request.terms[*place].weight)).collect();
    find.query_row(params![candidate.id], |row| {
        Ok(SessionHit {
            session: row.get(0)?,
            cli: cli_from_number(row.get(1)?),
            project: row.get(2)?,
            launch: Launch { provider: row.get(7)?, isolated: row.get(8)? },
            time: row.get(3)?,
            role: role_from_number(row.get(4)?),
            snippet: Snippet::new(&candidate.text, &weights),
            score,
            path: path_from_key(&row.get::<_, Vec<u8>>(5)?),
            uuid: row.get::<_, Uuid>(6)?.0,
            matched_words: terms.iter().map(|term| term.trim_start_matches('§').to_owned()).collect(),
            is_semantic_match: candidate.near.is_some_and(|near| near > 0.4),
        })
    })
}
