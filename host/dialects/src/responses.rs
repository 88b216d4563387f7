//! OpenAI's Responses.
//!
//! Source: <https://platform.openai.com/docs/api-reference/responses>, and what Codex sends and reads.

mod answer;
mod events;
mod read;
mod write;

use crate::dialect::Dialect;

pub(crate) const DIALECT: Dialect = Dialect {
    read: read::read,
    write: write::write,
    reader: || Box::<events::EventReader>::default(),
    writer: || Box::<answer::ResponseWriter>::default(),
    write_response: answer::write_response,
};
