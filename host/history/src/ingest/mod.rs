//! Taking in transcripts: who asks for it, which files may be read, how far each was read.

mod detached;
mod elsewhere;
mod embeddings;
mod exclude;
mod files;
pub(crate) mod findings;
mod head;
mod hook;
mod import;
mod indexer;
mod launched;
mod lines;
mod log;
mod private;
mod queue;
mod reprocess;
mod running;
pub(crate) mod scan;
mod take;
#[cfg(test)]
mod tests;
mod todos;
mod watch;

pub use detached::detached_main;
pub use embeddings::{VectorCoverage, embed_messages, embedding_coverage};
pub use exclude::{is_off, is_off_value, mark_session_private};
pub use hook::{Hook, HookOutcome};
pub use import::{Import, TranscriptRoot};
pub use indexer::Indexer;
pub use launched::record_launch;
pub use log::log;
pub use private::mark_sessions_private_since;
pub use queue::IngestQueue;
pub use reprocess::{count_excluded, is_outdated, remove_excluded};
pub use take::{Report, redactor};
pub use todos::{Todo, Todos, todos};
pub use watch::TranscriptWatch;
