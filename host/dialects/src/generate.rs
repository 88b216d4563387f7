//! Gemini's generateContent.
//!
//! Source: <https://ai.google.dev/api/generate-content>.

mod answer;
mod events;
mod read;
mod schema;
mod write;

pub(crate) use write::SKIP_SIGNATURE_CHECK;

use crate::dialect::Dialect;

pub(crate) const DIALECT: Dialect = Dialect {
    read: read::read,
    write: write::write,
    reader: || Box::<events::EventReader>::default(),
    writer: || Box::<answer::ResponseWriter>::default(),
    write_response: answer::write_response,
};
