//! Anthropic's Messages.
//!
//! Source: <https://docs.claude.com/en/api/messages>, <https://docs.claude.com/en/docs/build-with-claude/streaming>.

mod answer;
mod events;
mod read;
mod write;

use crate::event::Stop;
use crate::sides::Dialect;

pub(crate) const DIALECT: Dialect = Dialect {
    read: read::read,
    write: write::write,
    reader: || Box::<events::EventReader>::default(),
    writer: || Box::<answer::AnswerWriter>::default(),
    write_whole: answer::write_whole,
};

/// The name of each reason to stop.
const STOPS: [(&str, Stop); 7] = [
    ("end_turn", Stop::Done),
    ("stop_sequence", Stop::Sequence),
    ("tool_use", Stop::Calls),
    ("max_tokens", Stop::Limit),
    ("model_context_window_exceeded", Stop::Context),
    ("refusal", Stop::Refused),
    ("pause_turn", Stop::Done),
];
