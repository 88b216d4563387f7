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
pub use exclude::{is_off, is_word_for_off, keep_private};
pub use hook::{Handled, Hook};
pub use import::{Import, TranscriptRoot};
pub use indexer::Indexer;
pub use launched::note_launch;
pub use log::log;
pub use private::keep_private_since;
pub use queue::IntakeQueue;
pub use reprocess::{excluded, is_outdated, take_out_excluded};
pub use take::{Report, redactor};
pub use todos::{Todo, Todos, todos};
pub use watch::TranscriptWatch;
