//! Anthropic's Messages.
//!
//! Source: <https://docs.claude.com/en/api/messages>, <https://docs.claude.com/en/docs/build-with-claude/streaming>.

mod answer;
mod events;
mod read;
mod write;

pub(crate) use answer::{AnswerWriter, write_whole};
pub(crate) use events::EventReader;
pub(crate) use read::read;
pub(crate) use write::write;

use crate::event::Stop;

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
