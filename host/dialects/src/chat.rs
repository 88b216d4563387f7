//! OpenAI's Chat Completions, and what others made of it. It is spoken by upstreams only: no client needs it.
//!
//! Source: <https://platform.openai.com/docs/api-reference/chat>; `reasoning_content` is DeepSeek's, `reasoning` is OpenRouter's.

mod events;
mod write;

pub(crate) use events::EventReader;
pub(crate) use write::write;
