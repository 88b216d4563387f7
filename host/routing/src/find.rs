//! Finding tools by what they do: the words of a request against the words of the servers' definitions, and their
//! meaning where a model is there.

mod choose;
mod current;
mod embeddings;
mod finder;
mod indexed;
mod names;
mod related;
mod request;
mod segment;
mod shapes;
mod synonyms;
mod texts;
mod vectors;

pub use current::{CurrentEmbeddings, ModelSource};
pub use embeddings::ToolEmbeddings;
pub use finder::{Finder, ToolMatches};
pub use indexed::{Allows, KnownServer, Match};
