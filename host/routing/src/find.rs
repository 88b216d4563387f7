//! Finding tools by what they do: the words of a request against the words of the servers' definitions, and their
//! meaning where a model is there.

mod choose;
mod current;
mod finder;
mod indexed;
mod meaning;
mod names;
mod related;
mod request;
mod segment;
mod shapes;
mod synonyms;
mod texts;
mod vectors;

pub use current::{CurrentMeaning, ModelSource};
pub use finder::{Finder, FoundTools};
pub use indexed::{Allows, KnownServer, Match};
pub use meaning::ToolMeaning;
