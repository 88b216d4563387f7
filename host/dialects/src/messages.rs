//! Anthropic's Messages.
//!
//! Source: <https://docs.claude.com/en/api/messages>, <https://docs.claude.com/en/docs/build-with-claude/streaming>.

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
