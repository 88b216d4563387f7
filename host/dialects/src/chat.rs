//! OpenAI's Chat Completions, and what others made of it.
//!
//! Source: <https://platform.openai.com/docs/api-reference/chat>; `reasoning_content` is DeepSeek's, `reasoning` and
//! `reasoning_details` are OpenRouter's (<https://openrouter.ai/docs/use-cases/reasoning-tokens>).

mod answer;
mod events;
mod read;
mod write;

pub(crate) use answer::{AnswerWriter, detail, write_whole};
pub(crate) use events::EventReader;
pub(crate) use read::read;
pub(crate) use write::write;
