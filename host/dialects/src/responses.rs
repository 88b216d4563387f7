//! OpenAI's Responses.
//!
//! Source: <https://platform.openai.com/docs/api-reference/responses>, and what Codex sends and reads.

mod answer;
mod events;
mod read;
mod write;

pub(crate) use answer::{AnswerWriter, write_whole};
pub(crate) use events::EventReader;
pub(crate) use read::read;
pub(crate) use write::{remove, write};
