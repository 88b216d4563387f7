//! The index of the servers of a session, and how it ranks their tools.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use aiw_home::Cache;
use aiw_search::{Index, Scores};

use super::choose::{CandidateTool, SelectedTool, TermWeights, choose};
use super::names::NameWords;
use super::request::Request;
use super::segment::{ServerTerms, ToolTerms};
use super::texts::{FIELD_WEIGHTS, ToolField, is_number, passages};
use super::vectors::ToolVectors;
use crate::definition::ToolDefinition;
use crate::record::ServerRecord;

/// How many of the best are looked at for variants.
const MAX_CANDIDATES: usize = 60;

/// How much more a tool counts whose whole name is said. Not beside its meaning, which is made from its name too.
const NAME_WEIGHT: f32 = 1.0;

/// How much the average of the clauses counts beside the request as a whole.
const CLAUSE_WEIGHT: f32 = 0.5;

/// How much it counts that a tool is the best, or nearly, for one clause: a request for two things needs two tools that
/// are each bad for the other.
const PEAK_WEIGHT: f32 = 0.4;
const PEAK_POWER: i32 = 8;

/// How much the meaning counts, where it is known, beside the words.
const SEMANTIC_WEIGHT: f32 = 0.65;

/// A clause whose best tool fits it less than this, compared with the clause that a tool fits most, asks for no tool.
const MIN_CLAUSE_SCORE: f32 = 0.4;

/// The share of the best score below which a tool is left out.
const MIN_RELATIVE_SCORE: f32 = 0.2;

/// A server's key, and what is known of it.
pub type KnownServer = (String, Arc<ServerRecord>);

/// Whether a tool of a server may be found, by its definition.
pub type Allows<'a> = &'a dyn Fn(&str, &ToolDefinition) -> bool;

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
    pub lexical_score: f32,
    /// See [`Match::lexical_score`]; none without a model.
    pub semantic_score: Option<f32>,
    /// The words of the request that it has, those that tell most first.
    pub matched_terms: Vec<String>,
    /// Variants that it stands for: server and tool.
    pub variants: Vec<(String, String)>,
}

impl Match {
    /// Returns the variants as `server/tool`.
    pub fn variant_names(&self) -> Vec<String> {
        self.variants.iter().map(|(server, tool)| format!("{server}/{tool}")).collect()
    }
}

/// The index of certain records.
#[derive(Default)]
pub(super) struct ToolIndex {
    pub(super) servers: Vec<KnownServer>,
    segments: Vec<ServerTerms>,
    /// For each tool its segment and its place there.
    pub(super) tools: Vec<(u32, u32)>,
    index: Index,
    names: NameWords,
    pub(super) vectors: ToolVectors,
}

/// The scores of all tools.
pub(super) struct ToolScores {
    total: Scores,
    /// For the request as a whole.
    words: Scores,
    semantic: Vec<Option<f32>>,
    /// The best tool for each clause that says enough.
    best: Vec<usize>,
}

impl ToolIndex {
    pub(super) fn new(servers: &[KnownServer], allows: Allows<'_>, cache: &Cache) -> Self {
        let segments: Vec<ServerTerms> =
            servers.iter().map(|(key, record)| ServerTerms::load(key, record, cache)).collect();
        let mut tools = Vec::new();
        for (number, ((key, record), segment)) in (0..).zip(servers.iter().zip(&segments)) {
            // A segment has the accepted tools in their order.
            let own = (0..).zip(&segment.tools).zip(record.accepted_tools());
            tools.extend(own.filter(|(_, tool)| allows(key, tool)).map(|((tool, _), _)| (number, tool)));
        }
        let terms = |(segment, tool): &(u32, u32)| {
            let segment = &segments[*segment as usize];
            segment.terms(&segment.tools[*tool as usize])
        };
        let index = Index::new(FIELD_WEIGHTS, tools.iter().map(terms));
        let name = |(segment, tool): &(u32, u32)| {
            let segment = &segments[*segment as usize];
            segment.tool_terms(&segment.tools[*tool as usize], &[ToolField::Name])
        };
        let names = NameWords::new(&index, tools.iter().map(name));
        let vectors = ToolVectors::with_len(tools.len());
        Self { servers: servers.to_vec(), segments, tools, index, names, vectors }
    }

    /// Returns the passages of a tool that a model gets.
    pub(super) fn passages(&self, tool: usize) -> Option<Vec<String>> {
        let (key, record) = &self.servers[self.tools[tool].0 as usize];
        let definition = record.tool(&self.terms(tool).1.name)?;
        Some(passages(key, record, &definition.value()))
    }

    fn terms(&self, tool: usize) -> (&ServerTerms, &ToolTerms) {
        let (segment, tool) = self.tools[tool];
        let segment = &self.segments[segment as usize];
        (segment, &segment.tools[tool as usize])
    }

    /// Scores every tool, part by part of the request: by its words, and by its meaning where that is known.
    pub(super) fn score(&self, request: &Request<'_>, meaning: &[Vec<Option<f32>>]) -> ToolScores {
        let mut scored = ToolScores {
            total: vec![0.0; self.tools.len()],
            words: Scores::new(),
            semantic: Vec::new(),
            best: Vec::new(),
        };
        let mut most = 0.0_f32;
        let mut firsts: Vec<(usize, f32)> = Vec::new();
        let mut scores = Scores::new();
        let clauses = (request.parts.len() - 1).max(1) as f32;
        for (number, part) in request.parts.iter().enumerate() {
            let terms = part.terms(&self.index);
            if meaning.is_empty() {
                let said = self.names.score_names(&terms);
                self.index.score(terms, &mut scores);
                scores.iter_mut().zip(said).for_each(|(score, said)| *score *= 1.0 + NAME_WEIGHT * said);
            } else {
                self.index.score(terms, &mut scores);
            }
            let strength = scores.iter().copied().fold(0.0, f32::max);
            scores.iter_mut().for_each(|score| *score /= strength.max(f32::MIN_POSITIVE));
            if number == 0 {
                scored.words.clone_from(&scores);
                scored.semantic = meaning.first().cloned().unwrap_or_default();
            }
            for (score, near) in scores.iter_mut().zip(meaning.get(number).into_iter().flatten()) {
                *score = near.map_or(*score, |near| (1.0 - SEMANTIC_WEIGHT) * *score + SEMANTIC_WEIGHT * near);
            }
            let best = scores.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
            if number > 0 && strength > 0.0 {
                let first = scores.iter().position(|score| *score == best);
                firsts.extend(first.map(|tool| (tool, strength)));
                most = most.max(strength);
            }
            for (total, score) in scored.total.iter_mut().zip(&scores) {
                let score = score / best;
                *total += match number {
                    0 => score,
                    _ => CLAUSE_WEIGHT * score / clauses + PEAK_WEIGHT * score.powi(PEAK_POWER),
                };
            }
        }
        scored.best = firsts
            .into_iter()
            .filter(|(_, strength)| *strength >= MIN_CLAUSE_SCORE * most)
            .map(|(tool, _)| tool)
            .collect();
        scored
    }

    pub(super) fn matches(&self, request: &Request<'_>, scored: &ToolScores, most: usize) -> Vec<Match> {
        let scores = &scored.total;
        let mut ranked: Vec<usize> = (0..scores.len()).filter(|tool| scores[*tool] > 0.0).collect();
        let better = |one: &usize, two: &usize| scores[*two].total_cmp(&scores[*one]).then(one.cmp(two));
        let candidates = MAX_CANDIDATES.max(most);
        if ranked.len() > candidates {
            ranked.select_nth_unstable_by(candidates, better);
            // One server may have all of these.
            let others = self.best_of_each_server(&ranked[candidates..], better);
            ranked.truncate(candidates);
            ranked.extend(others.into_iter().take(most));
        }
        ranked.sort_by(better);
        let Some(best) = ranked.first().map(|tool| scores[*tool]) else { return Vec::new() };
        ranked.extend(scored.best.iter().filter(|tool| !ranked.contains(tool)).copied().collect::<Vec<_>>());
        ranked.sort_by(better);
        ranked.retain(|tool| scores[*tool] >= MIN_RELATIVE_SCORE * best || scored.best.contains(tool));
        let candidate = |tool: &usize| {
            let server = self.tools[*tool].0;
            CandidateTool {
                weights: self.weights(*tool),
                server,
                is_named: request.mentions_server(&self.servers[server as usize].0),
            }
        };
        let ranked_candidates: Vec<CandidateTool<'_>> = ranked.iter().map(candidate).collect();
        let named = |candidate: usize| {
            let tool = ranked[candidate];
            (self.servers[self.tools[tool].0 as usize].0.clone(), self.terms(tool).1.name.clone())
        };
        let matched = |choice: SelectedTool| {
            let (server, tool) = named(choice.candidate);
            let place = ranked[choice.candidate];
            Match {
                server,
                tool,
                score: scores[place] / best,
                lexical_score: scored.words[place],
                semantic_score: scored.semantic.get(place).copied().flatten(),
                matched_terms: self.matched(request, place),
                variants: choice.variants.into_iter().map(named).collect(),
            }
        };
        let wanted: Vec<usize> =
            scored.best.iter().filter_map(|tool| ranked.iter().position(|other| other == tool)).collect();
        choose(&ranked_candidates, &wanted, most).into_iter().map(matched).collect()
    }

    /// The best tool of each server, best first.
    fn best_of_each_server(&self, tools: &[usize], better: impl Fn(&usize, &usize) -> Ordering + Copy) -> Vec<usize> {
        let mut best: HashMap<u32, usize> = HashMap::new();
        for tool in tools {
            let known = best.entry(self.tools[*tool].0).or_insert(*tool);
            if better(tool, known).is_lt() {
                *known = *tool;
            }
        }
        let mut best: Vec<usize> = best.into_values().collect();
        best.sort_by(better);
        best
    }

    /// Returns the weights of the terms in a tool's name and description.
    fn weights(&self, tool: usize) -> TermWeights<'_> {
        let (segment, tool) = self.terms(tool);
        segment
            .tool_terms(tool, &[ToolField::Name, ToolField::Description])
            .filter(|term| !is_number(term))
            .map(|term| (term, self.index.idf(term)))
            .collect()
    }

    fn matched(&self, request: &Request<'_>, tool: usize) -> Vec<String> {
        let (segment, tool) = self.terms(tool);
        let terms: HashSet<&str> = segment.terms(tool).map(|(_, term)| term).collect();
        let mut words = request.matching_words(|term| terms.contains(term));
        let rarity =
            |word: &String| aiw_search::words(word).iter().map(|term| self.index.idf(term)).fold(0.0, f32::max);
        words.sort_by(|one, two| rarity(two).total_cmp(&rarity(one)));
        words
    }
}
