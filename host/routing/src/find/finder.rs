//! Ranks the tools of a session's servers by a request.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aiw_home::{Cache, Home};
use aiw_search::{Index, Scores};

use super::choose::{Weights, choose};
use super::meaning::{Meaning, Vectors, passages};
use super::request::Request;
use super::segment::{Segment, ToolTerms};
use super::texts::FIELDS;
use crate::record::Record;

/// The most bytes of all servers' segments.
const QUOTA: u64 = 64 << 20;

/// How many of the best are looked at for variants.
const CANDIDATES: usize = 60;

/// How much the average of the clauses counts beside the request as a whole.
const CLAUSES: f32 = 0.5;

/// How much it counts that a tool is the best, or nearly, for one clause: a request for two things needs two tools that
/// are each bad for the other.
const PEAK: f32 = 0.4;
const PEAK_POWER: i32 = 8;

/// How much the meaning counts, where it is known, beside the words.
const MEANING: f32 = 0.6;

/// What is worse than this, compared with the best, is no answer.
const WORST: f32 = 0.2;

/// Finds tools by what they do.
pub struct Finder {
    cache: Cache,
    meaning: Option<Arc<Meaning>>,
    indexed: Mutex<Arc<Indexed>>,
}

/// A server's key, and what is known of it.
pub type KnownServer = (String, Arc<Record>);

/// What a request found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// The tools, best first.
    pub matches: Vec<Match>,
    /// The request has a word to look for.
    pub says_something: bool,
    /// The number of tools that were looked at.
    pub tools: usize,
}

/// A found tool.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// Its server's key.
    pub server: String,
    /// Its own name.
    pub tool: String,
    /// How well it fits: 1 is the best of all.
    pub score: f32,
    /// How well its words fit, and how near its meaning is, each from 0 to 1, where 1 is the best of all.
    pub words: f32,
    /// See [`Match::words`]; none without a model.
    pub meaning: Option<f32>,
    /// The words of the request that it has, those that tell most first.
    pub matched: Vec<String>,
    /// Variants that it stands for: server and tool.
    pub variants: Vec<(String, String)>,
}

/// The index of certain records.
#[derive(Default)]
pub(super) struct Indexed {
    servers: Vec<KnownServer>,
    segments: Vec<Segment>,
    /// For each tool its segment and its place there.
    tools: Vec<(u32, u32)>,
    index: Index,
    pub(super) vectors: Vectors,
}

/// The scores of all tools.
struct Scored {
    total: Scores,
    /// For the request as a whole.
    words: Scores,
    meaning: Vec<Option<f32>>,
}

impl Finder {
    /// One that keeps what it learns about servers in a home's cache. With a model, it knows what tools mean as soon
    /// as the model is loaded.
    pub fn new(home: &Home, meaning: Option<Arc<Meaning>>) -> Self {
        Self { cache: home.byte_cache("tools", QUOTA), meaning, indexed: Mutex::default() }
    }

    /// The tools of these servers that fit a request best, at most `most`. Blocks while the index is made: the first
    /// time, and after a change.
    pub fn find(
        &self,
        servers: &[KnownServer],
        allows: &dyn Fn(&str, &Record, &str) -> bool,
        request: &str,
        most: usize,
    ) -> Found {
        let indexed = self.indexed(servers, allows);
        let request = Request::new(request);
        let found = Found { says_something: request.says_something(), tools: indexed.tools.len(), ..Found::default() };
        if most == 0 || !found.says_something {
            return found;
        }
        let meaning = self.meaning.as_ref().map(|meaning| meaning.near(&indexed.vectors, &request.texts));
        let scored = indexed.score(&request, &meaning.unwrap_or_default());
        Found { matches: indexed.matches(&request, &scored, most), ..found }
    }

    /// Makes the index of these servers, and waits until the model has seen all their tools, or for so long.
    pub fn prepare(&self, servers: &[KnownServer], allows: &dyn Fn(&str, &Record, &str) -> bool, most: Duration) {
        let indexed = self.indexed(servers, allows);
        if self.meaning.is_some() {
            indexed.vectors.wait(most);
        }
    }

    /// Why the model can't be used, in one sentence.
    pub fn problem(&self) -> Option<String> {
        self.meaning.as_ref()?.problem()
    }

    /// The index of these servers: the last one, if they are the same.
    fn indexed(&self, servers: &[KnownServer], allows: &dyn Fn(&str, &Record, &str) -> bool) -> Arc<Indexed> {
        let mut last = self.indexed.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |(one, two): (&KnownServer, &KnownServer)| one.0 == two.0 && Arc::ptr_eq(&one.1, &two.1);
        if last.servers.len() != servers.len() || !last.servers.iter().zip(servers).all(is_same) {
            *last = Arc::new(Indexed::new(servers, allows, &self.cache));
            if let Some(meaning) = &self.meaning {
                meaning.follow(&last);
            }
        }
        last.clone()
    }
}

impl Indexed {
    fn new(servers: &[KnownServer], allows: &dyn Fn(&str, &Record, &str) -> bool, cache: &Cache) -> Self {
        let segments: Vec<Segment> = servers.iter().map(|(key, record)| Segment::of(key, record, cache)).collect();
        let mut tools = Vec::new();
        for (number, ((key, record), segment)) in (0..).zip(servers.iter().zip(&segments)) {
            let allowed = (0..).zip(&segment.tools).filter(|(_, tool)| allows(key, record, &tool.name));
            tools.extend(allowed.map(|(tool, _)| (number, tool)));
        }
        let terms = |(segment, tool): &(u32, u32)| {
            let segment = &segments[*segment as usize];
            segment.terms(&segment.tools[*tool as usize])
        };
        let index = Index::new(FIELDS, tools.iter().map(terms));
        let vectors = Vectors::of(tools.len());
        Self { servers: servers.to_vec(), segments, tools, index, vectors }
    }

    /// What a model is told of a tool.
    pub(super) fn passages(&self, tool: usize) -> Option<Vec<String>> {
        let (key, record) = &self.servers[self.tools[tool].0 as usize];
        let definition = record.tool(&self.terms(tool).1.name)?;
        Some(passages(key, record, definition))
    }

    fn terms(&self, tool: usize) -> (&Segment, &ToolTerms) {
        let (segment, tool) = self.tools[tool];
        let segment = &self.segments[segment as usize];
        (segment, &segment.tools[tool as usize])
    }

    /// Scores every tool, part by part of the request: by its words, and by its meaning where that is known.
    fn score(&self, request: &Request<'_>, meaning: &[Vec<Option<f32>>]) -> Scored {
        let mut scored = Scored { total: vec![0.0; self.tools.len()], words: Scores::new(), meaning: Vec::new() };
        let mut scores = Scores::new();
        let clauses = (request.parts.len() - 1).max(1) as f32;
        for (number, part) in request.parts.iter().enumerate() {
            let best = self.index.score(part.iter().map(|term| (term.as_str(), 1.0)), &mut scores);
            scores.iter_mut().for_each(|score| *score /= best.max(f32::MIN_POSITIVE));
            if number == 0 {
                scored.words.clone_from(&scores);
                scored.meaning = meaning.first().cloned().unwrap_or_default();
            }
            for (score, near) in scores.iter_mut().zip(meaning.get(number).into_iter().flatten()) {
                *score = near.map_or(*score, |near| (1.0 - MEANING) * *score + MEANING * near);
            }
            let best = scores.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
            for (total, score) in scored.total.iter_mut().zip(&scores) {
                let score = score / best;
                *total += match number {
                    0 => score,
                    _ => CLAUSES * score / clauses + PEAK * score.powi(PEAK_POWER),
                };
            }
        }
        scored
    }

    fn matches(&self, request: &Request<'_>, scored: &Scored, most: usize) -> Vec<Match> {
        let scores = &scored.total;
        let mut ranked: Vec<usize> = (0..scores.len()).filter(|tool| scores[*tool] > 0.0).collect();
        let better = |one: &usize, two: &usize| scores[*two].total_cmp(&scores[*one]).then(one.cmp(two));
        let candidates = CANDIDATES.max(most);
        if ranked.len() > candidates {
            ranked.select_nth_unstable_by(candidates, better);
            ranked.truncate(candidates);
        }
        ranked.sort_by(better);
        let Some(best) = ranked.first().map(|tool| scores[*tool]) else { return Vec::new() };
        ranked.retain(|tool| scores[*tool] >= WORST * best);
        let weights: Vec<Weights<'_>> = ranked.iter().map(|tool| self.weights(*tool)).collect();
        let named = |candidate: usize| {
            let tool = ranked[candidate];
            (self.servers[self.tools[tool].0 as usize].0.clone(), self.terms(tool).1.name.clone())
        };
        let matched = |choice: super::choose::Choice| {
            let (server, tool) = named(choice.candidate);
            let place = ranked[choice.candidate];
            Match {
                server,
                tool,
                score: scores[place] / best,
                words: scored.words[place],
                meaning: scored.meaning.get(place).copied().flatten(),
                matched: self.matched(request, place),
                variants: choice.variants.into_iter().map(named).collect(),
            }
        };
        choose(&weights, most).into_iter().map(matched).collect()
    }

    /// What the terms of a tool's name and description tell of it.
    fn weights(&self, tool: usize) -> Weights<'_> {
        let (segment, tool) = self.terms(tool);
        segment.own_terms(tool).map(|term| (term, self.index.rarity(term))).collect()
    }

    fn matched(&self, request: &Request<'_>, tool: usize) -> Vec<String> {
        let (segment, tool) = self.terms(tool);
        let terms: std::collections::HashSet<&str> = segment.terms(tool).map(|(_, term)| term).collect();
        let mut words = request.words_for(|term| terms.contains(term));
        let rarity =
            |word: &String| aiw_search::words(word).iter().map(|term| self.index.rarity(term)).fold(0.0, f32::max);
        words.sort_by(|one, two| rarity(two).total_cmp(&rarity(one)));
        words
    }
}
