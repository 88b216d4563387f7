//! Gemini's generateContent.
//!
//! Source: <https://ai.google.dev/api/generate-content>.

mod answer;
mod events;
mod read;
mod schema;
mod write;

pub(crate) use answer::{AnswerWriter, write_whole};
pub(crate) use events::EventReader;
pub(crate) use read::read;
pub(crate) use write::write;
