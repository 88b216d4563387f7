//! Finding messages again.
//!
//! Words bring candidates (`gather`), whose texts are then read and scored (`score`); vectors, where there are any,
//! bring more and count as much (`rank`). A message also counts for what its session and its neighbours say.

mod filter;
mod gather;
mod query;
mod rank;
mod score;
mod snippet;
mod spelling;
#[cfg(test)]
mod tests;

use aiw_vectors::Embedder;

use crate::store::MessageFacts;
use crate::{HistoryError, Store};
use gather::CandidateMessages;
pub use query::{HistoryQuery, SessionHit};
pub use snippet::Snippet;

/// The most bytes of a request that are looked at.
const MAX_QUERY: usize = 4096;

/// The most hits of a search.
pub(crate) const MAX_HITS: usize = 200;

impl Store {
    /// Finds messages, the best first. The more often a text is there, the less its copies count. With an embedder, what
    /// means the same is found too, as far as vectors were made.
    pub fn search(
        &self,
        query: &HistoryQuery<'_>,
        embedder: Option<&Embedder>,
    ) -> Result<Vec<SessionHit>, HistoryError> {
        let text = &query.text[..query.text.floor_char_boundary(MAX_QUERY)];
        let limit = query.limit.min(MAX_HITS);
        let session = query.session.map(|session| self.session_number(session)).transpose()?;
        let vector = match embedder {
            Some(embedder) if !text.trim().is_empty() => embedder.embed(&[text])?.pop(),
            _ => None,
        };
        let find = || -> rusqlite::Result<Vec<SessionHit>> {
            // One view of the database, whatever is stored meanwhile.
            let transaction = self.connection.unchecked_transaction()?;
            let facts = MessageFacts::load(&transaction)?;
            let wanted = filter::MessageFilter::new(&transaction, query, session)?;
            let request = spelling::ParsedQuery::new(&transaction, text)?;
            let gathered = CandidateMessages::new(&transaction, &request, &facts, &wanted)?;
            let near = match (&vector, embedder) {
                (Some(vector), Some(embedder)) => crate::store::vectors::cosine_similarities(
                    &transaction,
                    self.directory(),
                    embedder.identity(),
                    vector,
                    facts.len(),
                )?,
                _ => None,
            };
            rank::rank_hits(&transaction, &request, &facts, &wanted, &gathered, near.as_deref(), limit)
        };
        find().map_err(|e| self.map_sqlite_error(e))
    }
}
