//! Finding messages again.
//!
//! Words bring candidates (`gather`), whose texts are then read and scored (`score`); vectors, where there are any,
//! bring more and count as much (`rank`). A message also counts for what its session and its neighbours say.

mod gather;
mod rank;
mod score;
mod snippet;
mod spelling;
mod wanted;

use std::path::{Path, PathBuf};

use aiw_vectors::Embedder;

use crate::store::Facts;
use crate::{Cli, HistoryError, Role, Store};
use gather::Gathered;
pub use snippet::Snippet;

/// The most bytes of a request that are looked at.
const MAX_QUERY: usize = 4096;

/// The most hits of a search.
pub(crate) const MAX_HITS: usize = 200;

/// What to look for, and where.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// The words.
    pub text: &'a str,
    /// The most hits.
    pub limit: usize,
    /// Only sessions of this directory and those below it.
    pub project: Option<&'a Path>,
    /// Only this session: its id, or the start of it.
    pub session: Option<&'a str>,
    /// Only messages from this time on, in milliseconds since 1970.
    pub since: Option<i64>,
    /// Only what these said.
    pub role: Option<Role>,
    /// Only sessions of this CLI.
    pub cli: Option<Cli>,
    /// Only messages in which this tool was used.
    pub tool: Option<&'a str>,
}

impl Default for Query<'_> {
    fn default() -> Self {
        Self { text: "", limit: 10, project: None, session: None, since: None, role: None, cli: None, tool: None }
    }
}

/// A message that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// Its session's id.
    pub session: String,
    /// The CLI.
    pub cli: Cli,
    /// The session's directory. Empty if unknown.
    pub project: String,
    /// When it was said, in milliseconds since 1970.
    pub time: Option<i64>,
    /// Who said it.
    pub role: Role,
    /// The part of it that answers best.
    pub snippet: Snippet,
    /// The greater, the better. It can be compared only with those of the same search.
    pub score: f32,
    /// The transcript.
    pub path: PathBuf,
    /// Its id in the transcript.
    pub uuid: String,
    /// The request's words that it has.
    pub words: Vec<String>,
    /// Whether its meaning is near to the request's.
    pub is_near: bool,
}

impl Store {
    /// Finds messages, the best first. Identical texts are found once. With an embedder, what means the same is found
    /// too, as far as vectors were made.
    pub fn search(&self, query: &Query<'_>, embedder: Option<&Embedder>) -> Result<Vec<Hit>, HistoryError> {
        let text = &query.text[..query.text.floor_char_boundary(MAX_QUERY)];
        let limit = query.limit.min(MAX_HITS);
        let session = query.session.map(|session| self.session_number(session)).transpose()?;
        let vector = match embedder {
            Some(embedder) if !text.trim().is_empty() => embedder.embed(&[text])?.pop(),
            _ => None,
        };
        let find = || -> rusqlite::Result<Vec<Hit>> {
            // One view of the database, whatever is stored meanwhile.
            let transaction = self.connection.unchecked_transaction()?;
            let facts = Facts::load(&transaction)?;
            let wanted = wanted::Wanted::new(&transaction, query, session)?;
            let request = spelling::Request::new(&transaction, text)?;
            let gathered = Gathered::new(&transaction, &request, &facts, &wanted)?;
            let near = match (&vector, embedder) {
                (Some(vector), Some(embedder)) => crate::store::vectors::nearness(
                    &transaction,
                    self.directory(),
                    embedder.identity(),
                    vector,
                    facts.end(),
                )?,
                _ => None,
            };
            rank::hits(&transaction, &request, &facts, &wanted, &gathered, near.as_deref(), limit)
        };
        find().map_err(|e| self.failed(e))
    }
}
