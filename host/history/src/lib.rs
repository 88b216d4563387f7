//! Past sessions of AI CLIs: what was said in them is kept in one SQLite database, found again and forgotten.
//!
//! The transcripts that the CLIs write stay the truth: a [`Store`] can always be made anew from them. It keeps each
//! message once, its words in an FTS5 index, and (once a model is there) its meaning as a vector of bytes.
//!
//! Not for starting or resuming a CLI, and not for what a session costs.
//!
//! ```no_run
//! # fn main() -> Result<(), aiw_history::HistoryError> {
//! use aiw_history::{HistoryQuery, Store};
//! let store = Store::open("/home/me/.aiw/history".as_ref())?;
//! for hit in store.search(&HistoryQuery { text: "TLS handshake in March", ..HistoryQuery::default() }, None)? {
//!     println!("{} {}", hit.session, hit.snippet.text);
//! }
//! # Ok(()) }
//! ```

mod error;
mod ingest;
mod message;
mod readers;
mod search;
mod store;
mod summary;

pub use aiw_core::CliKind as Cli;
pub use error::HistoryError;
pub use ingest::{
    Hook, HookOutcome, Import, Indexer, IngestQueue, Report, Todo, Todos, TranscriptRoot, TranscriptWatch,
    VectorCoverage, count_excluded, detached_main, embed_messages, embedding_coverage, is_off, is_off_value,
    is_outdated, log, mark_session_private, mark_sessions_private_since, record_launch, redactor, remove_excluded,
    todos,
};
pub use message::{MAX_TEXT, MessageAuthor, SessionMessage};
pub use readers::Launch;
pub use search::{HistoryQuery, SessionHit, Snippet};
#[doc(hidden)]
pub use store::vectors::bench;
pub use store::{
    AppendOutcome, ForgetReport, ForgetTarget, MessageRange, PastSession, ReadProgress, SessionFilter, SessionView,
    Stats, Store, StoredMessage, TranscriptProblem, render_markdown,
};
pub use summary::HistoryMessage;

/// The number of the rules about secrets, which is another one in a version with other rules.
pub const DAMAGED_MESSAGE: &str = "the history was damaged and is being made anew: search again soon";
