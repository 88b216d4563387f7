//! Asks a language model one question, by one of three APIs: Ollama's, OpenAI's Chat Completions, Anthropic's Messages.
//!
//! The answer is short, and comes whole or not at all: it is limited in bytes and in time, and what a model thought
//! before it is taken out. This is not the place for tools, streams or conversations, and what is asked is the caller's
//! business.
//!
//! ```no_run
//! # async fn example(client: &aiw_net::HttpClient) -> Result<(), aiw_llm::LlmError> {
//! use std::time::Duration;
//!
//! use aiw_llm::{ChatMessage, LanguageModel, LlmApi, ModelEndpoint, CompletionRequest, Role};
//!
//! let model = LanguageModel::new(ModelEndpoint::from_user_url(LlmApi::Ollama, "http://127.0.0.1:11434", "qwen3:1.7b"));
//! let question = CompletionRequest {
//!     system: "Answer with one word.",
//!     messages: vec![ChatMessage { role: Role::User, text: "The capital of Norway?".into() }],
//!     schema: None,
//!     max_tokens: 10,
//!     context_tokens: 4096,
//!     timeout: Duration::from_secs(3),
//! };
//! println!("{}", model.complete(client, &question).await?.text);
//! # Ok(())
//! # }
//! ```

mod answer;
mod body;
mod error;
mod model;

use std::time::Duration;

use aiw_core::Secret;
use aiw_net::Policy;
use serde_json::Value;

pub use error::LlmError;
pub use model::LanguageModel;

/// How long Ollama keeps a model in memory after a question.
const KEEP_ALIVE: &str = "10m";

/// An API to ask a model by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LlmApi {
    /// Ollama's `POST /api/chat`: <https://docs.ollama.com/api/chat>. Its OpenAI-compatible API can't switch thinking
    /// off.
    Ollama,
    /// OpenAI's `POST /chat/completions`: <https://platform.openai.com/docs/api-reference/chat>.
    ChatCompletions,
    /// Anthropic's `POST /v1/messages`: <https://docs.claude.com/en/api/messages>.
    Messages,
}

/// Where a model is asked.
#[derive(Debug, Clone)]
pub struct ModelEndpoint {
    /// The API.
    pub api: LlmApi,
    /// The address, without a trailing `/`: Ollama's, OpenAI's with `/v1`, Anthropic's without.
    pub url: String,
    /// The model.
    pub model: String,
    /// Headers that each request carries.
    pub headers: Vec<(String, String)>,
    /// Headers that are secrets.
    pub secrets: Vec<(String, Secret)>,
    /// The addresses that may be reached.
    pub policy: Policy,
}

impl ModelEndpoint {
    /// An endpoint at an address that the user typed, which may be on this machine.
    pub fn from_user_url(api: LlmApi, url: &str, model: &str) -> Self {
        let mut policy = Policy::none();
        policy.grant_url(url);
        let (headers, secrets) = (Vec::new(), Vec::new());
        Self { api, url: url.trim_end_matches('/').to_owned(), model: model.to_owned(), headers, secrets, policy }
    }

    /// Sends a key in the header that the API's maker uses.
    #[must_use]
    pub fn with_key(mut self, key: &Secret) -> Self {
        let key = Secret::new(key.expose().trim());
        self.secrets.push(match self.api {
            LlmApi::Messages => ("x-api-key".into(), key),
            LlmApi::Ollama | LlmApi::ChatCompletions => {
                ("authorization".into(), Secret::new(format!("Bearer {}", key.expose())))
            }
        });
        self
    }

    /// The host and port of the address.
    fn place(&self) -> String {
        aiw_net::host_and_port(&self.url).map_or_else(|| self.url.clone(), |(host, port)| format!("{host}:{port}"))
    }
}

/// The speaker of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The one who asks.
    User,
    /// The model.
    Assistant,
}

/// A part of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatMessage {
    /// Its speaker.
    pub role: Role,
    /// Its text.
    pub text: String,
}

/// A question to a model.
#[derive(Debug, Clone)]
pub struct CompletionRequest<'a> {
    /// The system prompt of every question of a kind. A server that keeps the beginning of its last prompt reads it
    /// once.
    pub system: &'a str,
    /// The conversation; the last message is the user's.
    pub messages: Vec<ChatMessage>,
    /// The JSON schema of the answer, which is an object; without it, the answer is text.
    pub schema: Option<Value>,
    /// The most tokens of the answer.
    pub max_tokens: u32,
    /// The tokens that question and answer need together. Ollama silently cuts what its default does not hold.
    pub context_tokens: u32,
    /// The longest wait.
    pub timeout: Duration,
}

/// A model's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// The text, without what the model thought before it.
    pub text: String,
    /// Whether it ended because it was too long.
    pub is_truncated: bool,
    /// The tokens that were read, if the server counts them.
    pub input_tokens: Option<u64>,
    /// The tokens that were written.
    pub output_tokens: Option<u64>,
    /// From the question to the answer.
    pub elapsed: Duration,
}
