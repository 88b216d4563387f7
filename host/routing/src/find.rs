//! Finding tools by what they do: the words of a request against the words of the servers' definitions, and their
//! meaning where a model is there.

mod choose;
mod finder;
mod meaning;
mod request;
mod segment;
mod texts;

pub use finder::{Finder, Found, KnownServer, Match};
pub use meaning::Meaning;
