//! The words of one server's tools, kept from session to session: a server that did not change costs nothing.

use std::collections::HashMap;
use std::time::Duration;

use aiw_home::Cache;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::texts::{ToolField, server_words, tool_words};
use crate::definition::ToolDefinition;
use crate::record::ServerRecord;

/// Part of each key: another way to take texts apart makes other segments.
const SEGMENT_VERSION: &str = "tools 2";

const SEGMENT_TTL: Duration = Duration::from_secs(60 * 24 * 3600);

/// The words of one server's tools.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ServerTerms {
    terms: Vec<String>,
    /// For each field of the server the numbers of its terms.
    server: Vec<(u8, Vec<u32>)>,
    pub(super) tools: Vec<ToolTerms>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ToolTerms {
    pub(super) name: String,
    fields: Vec<(u8, Vec<u32>)>,
}

impl ServerTerms {
    /// That of a server: from the cache if it is there, else made and put there.
    pub(super) fn load(key: &str, record: &ServerRecord, cache: &Cache) -> Self {
        let digest = digest(key, record);
        if let Some(segment) = cache.get(&digest).and_then(|bytes| Self::read(&bytes)) {
            return segment;
        }
        let segment = Self::new(key, record);
        if let Ok(bytes) = serde_json::to_vec(&segment) {
            cache.put(&digest, &bytes, SEGMENT_TTL);
        }
        segment
    }

    fn new(key: &str, record: &ServerRecord) -> Self {
        let (mut terms, mut known) = (Vec::new(), HashMap::new());
        let mut number = |word: String| {
            *known.entry(word).or_insert_with_key(|word: &String| {
                terms.push(word.clone());
                terms.len() as u32 - 1
            })
        };
        let mut number = |words: Vec<String>| words.into_iter().map(&mut number).collect::<Vec<u32>>();
        let server = server_words(key, record).map(|(part, words)| (part as u8, number(words.0))).into();
        let tool = |tool: &ToolDefinition| ToolTerms {
            name: tool.name().to_owned(),
            fields: tool_words(&tool.value()).map(|(part, words)| (part as u8, number(words.0))).into(),
        };
        let tools = record.accepted_tools().map(tool).collect();
        Self { terms, server, tools }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let segment: Self = serde_json::from_slice(bytes).ok()?;
        let fields = segment.tools.iter().flat_map(|tool| &tool.fields).chain(&segment.server);
        let is_good = |(field, terms): &(u8, Vec<u32>)| {
            usize::from(*field) < super::texts::FIELD_WEIGHTS.len()
                && terms.iter().all(|term| (*term as usize) < segment.terms.len())
        };
        fields.into_iter().all(is_good).then_some(segment)
    }

    /// The terms of a tool, each with its field; those of its server too.
    pub(super) fn terms<'a>(&'a self, tool: &'a ToolTerms) -> impl Iterator<Item = (usize, &'a str)> + Clone {
        let fields = tool.fields.iter().chain(&self.server);
        fields.flat_map(|(field, terms)| {
            terms.iter().map(|term| (usize::from(*field), self.terms[*term as usize].as_str()))
        })
    }

    /// The terms of some of a tool's fields.
    pub(super) fn tool_terms<'a>(
        &'a self,
        tool: &'a ToolTerms,
        parts: &'a [ToolField],
    ) -> impl Iterator<Item = &'a str> {
        let is_of = |field: usize| parts.iter().any(|part| *part as usize == field);
        self.terms(tool).filter(move |(field, _)| is_of(*field)).map(|(_, term)| term)
    }
}

/// A digest of all that a segment is made from.
fn digest(key: &str, record: &ServerRecord) -> String {
    let mut digest = Sha256::new();
    let mut add = |bytes: &[u8]| {
        digest.update((bytes.len() as u64).to_le_bytes());
        digest.update(bytes);
    };
    for text in [SEGMENT_VERSION, key, &super::texts::server_description(record)] {
        add(text.as_bytes());
    }
    for tool in record.accepted_tools() {
        add(tool.digest());
    }
    aiw_core::hex(&digest.finalize())
}
