//! Ranks the tools of a session's servers by a request.

use std::sync::Arc;
use std::time::Duration;

use aiw_home::{Cache, Home};
use parking_lot::Mutex;

use super::current::CurrentEmbeddings;
use super::embeddings::ToolEmbeddings;
use super::indexed::{Allows, KnownServer, Match, ToolIndex};
use super::request::Request;

/// The most bytes of all servers' segments.
const CACHE_QUOTA_BYTES: u64 = 64 << 20;

/// Finds tools by what they do.
pub struct Finder {
    cache: Cache,
    current: Arc<CurrentEmbeddings>,
    last: Mutex<LastIndex>,
}

/// The last index, and that whose vectors it gets.
#[derive(Default)]
struct LastIndex {
    indexed: Arc<ToolIndex>,
    embeddings: Option<Arc<ToolEmbeddings>>,
}

/// The result of a search for tools.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ToolMatches {
    /// The tools, best first.
    pub matches: Vec<Match>,
    /// The request has a word to look for.
    pub has_search_terms: bool,
    /// The number of tools that were looked at.
    pub tool_count: usize,
    /// The servers whose tools are not known yet.
    pub unknown_servers: Vec<String>,
}

impl Finder {
    /// One that keeps what it learns about servers in a home's cache. With a model in use, it knows what tools mean
    /// as soon as the model is loaded.
    pub fn new(home: &Home, current: Arc<CurrentEmbeddings>) -> Self {
        Self { cache: home.byte_cache("tools", CACHE_QUOTA_BYTES), current, last: Mutex::default() }
    }

    /// The tools of these servers that fit a request best, at most `most`. Blocks while the index is made: the first
    /// time, and after a change.
    pub fn find(&self, servers: &[KnownServer], allows: Allows<'_>, request: &str, most: usize) -> ToolMatches {
        let (indexed, meaning) = self.indexed(servers, allows);
        let request = Request::new(request);
        let found = ToolMatches {
            has_search_terms: request.has_search_terms(),
            tool_count: indexed.tools.len(),
            ..ToolMatches::default()
        };
        if most == 0 || !found.has_search_terms {
            return found;
        }
        let meaning = meaning.map(|meaning| meaning.similarities(&indexed.vectors, &request.texts));
        let scored = indexed.score(&request, &meaning.unwrap_or_default());
        ToolMatches { matches: indexed.matches(&request, &scored, most), ..found }
    }

    /// Makes the index of these servers, and waits until the model has seen all their tools, or for so long. Returns how
    /// many it has not seen.
    pub fn prepare(&self, servers: &[KnownServer], allows: Allows<'_>, most: Duration) -> usize {
        let (indexed, meaning) = self.indexed(servers, allows);
        if meaning.is_none() {
            return 0;
        }
        indexed.vectors.wait(most);
        indexed.vectors.missing_count()
    }

    /// Stops what goes on in the background, before the process ends.
    pub fn shut_down(self) {
        let last = self.last.into_inner();
        drop(last.indexed);
        if let Some(meaning) = last.embeddings {
            meaning.join_threads();
        }
    }

    /// Why the model can't be used, in one sentence.
    pub fn load_error(&self) -> Option<String> {
        self.last.lock().embeddings.as_ref()?.load_error()
    }

    /// The index of these servers, and the model in use: the last ones, if they are the same.
    fn indexed(&self, servers: &[KnownServer], allows: Allows<'_>) -> (Arc<ToolIndex>, Option<Arc<ToolEmbeddings>>) {
        let mut last = self.last.lock();
        let meaning = self.current.get();
        let is_same = |(one, two): (&KnownServer, &KnownServer)| one.0 == two.0 && Arc::ptr_eq(&one.1, &two.1);
        let known = &last.indexed.servers;
        let same_servers = known.len() == servers.len() && known.iter().zip(servers).all(is_same);
        // An index has the vectors of one model, and those of a replaced index are no longer made.
        let same_model = last.embeddings.as_ref().map(Arc::as_ptr) == meaning.as_ref().map(Arc::as_ptr);
        if !same_servers || !same_model {
            last.indexed = Arc::new(ToolIndex::new(servers, allows, &self.cache));
            if let Some(meaning) = &meaning {
                meaning.spawn_embedding(&last.indexed);
            }
            last.embeddings = meaning;
        }
        (last.indexed.clone(), last.embeddings.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::ToolDefinition;
    use crate::record::ServerRecord;
    use serde_json::json;

    /// One server with tools, each a name and a description.
    fn servers(tools: &[(&str, &str)]) -> Vec<KnownServer> {
        let mut record = ServerRecord::default();
        for (name, description) in tools {
            let definition = ToolDefinition::new(&json!({"name": name, "description": description}));
            record.pins.insert((*name).into(), definition.clone());
            record.tools.push(definition);
        }
        vec![("server".to_owned(), Arc::new(record))]
    }

    /// The names of what is found, best first.
    fn found(tools: &[(&str, &str)], request: &str) -> Vec<String> {
        let home = tempfile::tempdir().unwrap();
        let at = Home::from_root(home.path());
        let finder = Finder::new(&at, Arc::new(CurrentEmbeddings::none(&at)));
        let found = finder.find(&servers(tools), &|_, _| true, request, 5);
        found.matches.into_iter().map(|found| found.tool).collect()
    }

    #[test]
    fn a_name_that_is_said_wholly_comes_first() {
        let tools =
            [("price_history_of_days", "The price, each day a price"), ("price", "What one thing is worth today")];
        assert_eq!(found(&tools, "the price, please")[0], "price");
    }

    #[test]
    fn a_name_that_is_said_counts_less_beside_its_meaning() {
        let tools =
            servers(&[("price_history", "The price, each day a price"), ("price", "What a thing is worth today")]);
        let home = tempfile::tempdir().unwrap();
        let cache = Home::from_root(home.path()).byte_cache("tools", CACHE_QUOTA_BYTES);
        let indexed = ToolIndex::new(&tools, &|_, _| true, &cache);
        let other = |meaning: &[Vec<Option<f32>>]| {
            let request = Request::new("the price");
            let found = indexed.matches(&request, &indexed.score(&request, meaning), 5);
            found.iter().find(|found| found.tool == "price_history").unwrap().lexical_score
        };
        let (alone, beside) = (other(&[]), other(&[vec![Some(0.5), Some(0.5)]]));
        assert!(beside > alone, "{beside} {alone}");
    }

    #[test]
    fn words_that_stand_together_count_together() {
        let tools = [("one", "The cloud of each word there"), ("two", "The word cloud of each there")];
        assert_eq!(found(&tools, "a word cloud")[0], "two");
    }

    #[test]
    fn a_file_is_found_by_its_address() {
        let tools = [("one", "Sends sales to somebody"), ("two", "Writes a file")];
        assert_eq!(found(&tools, "put it into /srv/sales.bin")[0], "two");
    }
}
