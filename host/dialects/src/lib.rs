//! The four APIs for requests to models, and translation between them: bytes in, bytes out.
//!
//! A client speaks [Messages](Api::Messages), [Responses](Api::Responses) or
//! [generateContent](Api::GenerateContent); an upstream speaks any of the four. [`prepare`] turns a client's request into
//! the upstream's, and gives the [`Answer`] that turns what comes back into the client's. Nothing is kept between two
//! requests: what an upstream wants back travels through the client. This room opens no connection and knows no key.
//!
//! ```
//! use aiw_dialects::{Api, Request, Upstream, prepare};
//!
//! let body = br#"{"model":"claude-x","max_tokens":100,"stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
//! let upstream = Upstream::new(Api::ChatCompletions, "deepseek-chat", "deepseek");
//! let mut prepared = prepare(&Request::new(Api::Messages, body), &upstream)?;
//! assert!(prepared.body.starts_with(br#"{"model":"deepseek-chat","#));
//!
//! let mut out = Vec::new();
//! prepared.answer.read(b"data: {\"choices\":[{\"delta\":{\"content\":\"Hello\"},\"finish_reason\":\"stop\"}]}\n\n", &mut out);
//! prepared.answer.end(&mut out);
//! assert!(String::from_utf8(out).unwrap().contains("message_stop"));
//! # Ok::<(), aiw_dialects::RequestError>(())
//! ```

mod answer;
mod carrier;
mod chat;
mod conversation;
mod count;
mod event;
mod failure;
mod generate;
mod json;
mod messages;
mod names;
mod pass;
mod responses;
mod sse;
#[cfg(test)]
mod tests;

pub use answer::Answer;
pub use count::{count_answer, estimate};
pub use event::{Stop, Usage};
pub use failure::{Failure, FailureKind};

pub use aiw_core::Api;

use sha2::{Digest, Sha256};

use crate::answer::Writer;
use crate::carrier::{Carried, Proof};
use crate::conversation::{Conversation, Ids, Part};
use crate::names::Names;

/// What any client can be translated to, the preferred one first. Of the two that share an address, Chat Completions is the one
/// that most servers speak.
pub const UPSTREAMS: [Api; 4] = [Api::Messages, Api::ChatCompletions, Api::Responses, Api::GenerateContent];

/// Returns the path, behind a provider's address, of requests whose answer is streamed.
pub fn path(api: Api, model: &str) -> String {
    match api {
        Api::Messages => "/v1/messages".to_owned(),
        Api::Responses => "/responses".to_owned(),
        Api::ChatCompletions => "/chat/completions".to_owned(),
        Api::GenerateContent => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
    }
}

/// A request of a client.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The API that the client speaks.
    pub client: Api,
    /// Its JSON.
    pub body: &'a [u8],
    /// The model, where it stands in the path (generateContent).
    pub model: Option<&'a str>,
    /// Whether the client wants events, where the path says so (generateContent).
    pub is_streamed: Option<bool>,
}

impl<'a> Request<'a> {
    /// Makes a request whose body says everything.
    pub fn new(client: Api, body: &'a [u8]) -> Self {
        Self { client, body, model: None, is_streamed: None }
    }
}

/// Where a request goes.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// The API that it speaks.
    pub dialect: Api,
    /// The model, as it calls it.
    pub model: String,
    /// Says whose reasoning can be given back: a word for the vendor and the address.
    pub family: String,
    /// The most tokens that the model writes in an answer.
    pub output_tokens: Option<u64>,
    /// Fields of the request that it has refused before.
    pub refused: Vec<String>,
}

/// What a model may write where neither the client nor the table of models says it.
const OUTPUT_TOKENS: u64 = 32_000;

impl Upstream {
    /// Makes one of which no more is known.
    pub fn new(dialect: Api, model: impl Into<String>, family: impl Into<String>) -> Self {
        Self { dialect, model: model.into(), family: family.into(), output_tokens: None, refused: Vec::new() }
    }

    fn output_tokens_or_default(&self) -> u64 {
        self.output_tokens.unwrap_or(OUTPUT_TOKENS)
    }
}

/// A client's request that makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// It is not the JSON of the dialect.
    #[error("the request is not valid: {0}")]
    Json(#[from] serde_json::Error),
    /// A field has a shape that the dialect does not know.
    #[error("the request is not valid: `{0}` has a wrong shape")]
    Shape(&'static str),
    /// No client speaks Chat Completions here.
    #[error("Chat Completions is not spoken to clients")]
    Client,
}

/// A request for an upstream, and what reads its answer.
#[derive(Debug)]
pub struct Prepared {
    /// The JSON for the upstream.
    pub body: Vec<u8>,
    /// The model, as the client called it.
    pub asked: String,
    /// Whether the client wants events.
    pub is_streamed: bool,
    /// Reads the upstream's answer.
    pub answer: Answer,
}

/// One request and its answer.
#[derive(Debug)]
pub(crate) struct Exchange {
    client: Api,
    upstream: Api,
    /// The model, as the client called it. Answers repeat it letter by letter.
    asked: String,
    family: String,
    model: String,
    names: Names,
    ids: Ids,
    /// What ids of this answer are made of.
    seed: String,
    is_streamed: bool,
}

impl Exchange {
    /// Returns a record if it is of this upstream. Another one's reasoning is never sent.
    fn own<'c>(&self, carried: &'c Carried) -> Option<&'c Carried> {
        (carried.family == self.family && carried.model == self.model).then_some(carried)
    }

    fn record(&self, proof: Proof, text: String) -> Carried {
        Carried { family: self.family.clone(), model: self.model.clone(), proof, text, next: Vec::new() }
    }

    /// Returns the client's id for a call.
    fn call_id(&mut self, id: &str) -> String {
        if id.is_empty() { self.ids.unique(&format!("call_{}", self.seed)) } else { self.ids.unique(id) }
    }
}

/// Turns a client's request into an upstream's.
///
/// # Errors
///
/// Fails if the body is not the JSON of the client's dialect.
pub fn prepare(request: &Request<'_>, to: &Upstream) -> Result<Prepared, RequestError> {
    let writer = Writer::new(request.client).ok_or(RequestError::Client)?;
    let mut exchange = Exchange {
        client: request.client,
        upstream: to.dialect,
        asked: request.model.unwrap_or_default().to_owned(),
        family: to.family.clone(),
        model: to.model.clone(),
        names: Names::default(),
        ids: Ids::default(),
        seed: seed(request.body),
        is_streamed: request.is_streamed.unwrap_or_default(),
    };
    let body = if request.client == to.dialect {
        if let Some(head) = head(request)? {
            (exchange.asked, exchange.is_streamed) = head;
        }
        pass::request(request.client, request.body, &to.model)?
    } else {
        let conversation = read(request)?;
        if request.model.is_none() {
            exchange.asked = conversation.model.clone().into_owned();
        }
        exchange.is_streamed = request.is_streamed.unwrap_or(conversation.is_streamed);
        exchange.names = Names::of(&conversation);
        for (_, part) in &conversation.parts {
            if let Part::Call(call) = part {
                exchange.ids.unique(&call.id);
            }
        }
        match to.dialect {
            Api::Messages => messages::write(&conversation, &exchange, to),
            Api::Responses => responses::write(&conversation, &exchange, to),
            Api::ChatCompletions => chat::write(&conversation, &exchange, to),
            Api::GenerateContent => generate::write(&conversation, &exchange, to),
        }
    };
    let (asked, is_streamed) = (exchange.asked.clone(), exchange.is_streamed);
    Ok(Prepared { body, asked, is_streamed, answer: Answer::new(exchange, Some(writer)) })
}

fn read<'a>(request: &Request<'a>) -> Result<Conversation<'a>, RequestError> {
    match request.client {
        Api::Messages => messages::read(request.body),
        Api::Responses => responses::read(request.body),
        Api::GenerateContent => generate::read(request.body),
        Api::ChatCompletions => Err(RequestError::Client),
    }
}

/// Reads the model and whether events are wanted. `None` if the path says it.
fn head(request: &Request<'_>) -> Result<Option<(String, bool)>, RequestError> {
    #[derive(serde::Deserialize)]
    struct Head {
        model: String,
        #[serde(default)]
        stream: Option<bool>,
    }
    if request.model.is_some() {
        return Ok(None);
    }
    let head: Head = serde_json::from_slice(request.body)?;
    Ok(Some((head.model, head.stream.unwrap_or_default())))
}

/// Makes a word that differs from request to request. Conversations grow at their end, so that is hashed.
fn seed(body: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(body.len().to_le_bytes());
    hash.update(&body[body.len().saturating_sub(4_096)..]);
    hash.finalize().iter().take(10).map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the model that a client asks for, and a word that stays the same within its session.
///
/// # Errors
///
/// Fails if the body is not the JSON of the client's dialect.
pub fn session(request: &Request<'_>) -> Result<String, RequestError> {
    let conversation = read(request)?;
    if let Some(key) = conversation.cache_key {
        return Ok(key.into_owned());
    }
    let mut hash = Sha256::new();
    for block in &conversation.system {
        hash.update(block.as_bytes());
    }
    if let Some(text) = conversation.parts.iter().find_map(|(_, part)| part.text()) {
        hash.update(text);
    }
    Ok(hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}

/// Says what gets lost between a client and an upstream, in a sentence each. Nothing is lost within one dialect.
pub fn losses(client: Api, upstream: Api) -> Vec<&'static str> {
    let mut losses = Vec::new();
    if client == upstream {
        return losses;
    }
    losses.push("the vendor's own web search is left out");
    match upstream {
        Api::ChatCompletions => {
            losses.push("images in results of tools are sent behind them, as a message of the user")
        }
        Api::GenerateContent => losses.push("images in results of tools are sent beside them"),
        Api::Messages | Api::Responses => {}
    }
    match client {
        Api::Messages => losses.push("marks for the prompt cache are left out"),
        Api::Responses => {
            losses.push("tools that take a text get it as the argument `input`, without a grammar that is enforced")
        }
        Api::GenerateContent => losses.push("settings for safety are left out"),
        Api::ChatCompletions => {}
    }
    losses
}
