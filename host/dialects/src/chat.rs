//! OpenAI's Chat Completions, and what others made of it.
//!
//! Source: <https://platform.openai.com/docs/api-reference/chat>; `reasoning_content` is DeepSeek's, `reasoning` and
//! `reasoning_details` are OpenRouter's (<https://openrouter.ai/docs/use-cases/reasoning-tokens>).

mod answer;
mod events;
mod read;
mod write;

pub(crate) use answer::reasoning_detail;

use crate::dialect::Dialect;

pub(crate) const DIALECT: Dialect = Dialect {
    read: read::read,
    write: write::write,
    reader: || Box::<events::EventReader>::default(),
    writer: || Box::<answer::ResponseWriter>::default(),
    write_response: answer::write_response,
};
