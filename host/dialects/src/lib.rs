//! The four APIs for requests to models, and translation between them: bytes in, bytes out.
//!
//! A client speaks any of the four, and so does an upstream. [`prepare`] turns a client's request into the upstream's,
//! and gives the [`UpstreamResponse`] that turns what comes back into the client's. Nothing is kept between two requests:
//! what an upstream wants back travels through the client. This room opens no connection and knows no key.
//!
//! ```
//! use aiw_dialects::{Api, ModelRequest, UpstreamTarget, prepare};
//!
//! let body = br#"{"model":"claude-x","max_tokens":100,"stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
//! let upstream = UpstreamTarget::new(Api::ChatCompletions, "deepseek-chat", "deepseek");
//! let mut prepared = prepare(&ModelRequest::new(Api::Messages, body), &upstream)?;
//! assert!(prepared.body.starts_with(br#"{"model":"deepseek-chat","#));
//!
//! let mut out = Vec::new();
//! prepared.response.read(b"data: {\"choices\":[{\"delta\":{\"content\":\"Hello\"},\"finish_reason\":\"stop\"}]}\n\n",
//! &mut out); prepared.response.end(&mut out); assert!(String::from_utf8(out).unwrap().contains("message_stop"));
//! # Ok::<(), aiw_dialects::RequestError>(())
//! ```

mod assembled;
mod chat;
mod collected;
mod conversation;
mod count;
mod dialect;
#[cfg(test)]
mod endless;
mod event;
mod exchange;
mod failure;
mod generate;
mod json;
mod messages;
mod names;
mod passthrough;
mod reasoning;
mod request;
mod response;
mod responses;
mod sides;
mod sse;
#[cfg(test)]
mod tests;

pub use count::{estimate, token_count_response};
pub use event::{RequestUsage, StopReason};
pub use failure::{FailureKind, UpstreamFailure, parse_duration_prefix};
pub use request::{ModelRequest, RequestError, SecretMask, UpstreamTarget};
pub use response::UpstreamResponse;

pub use aiw_core::Api;

use sha2::{Digest, Sha256};

use crate::conversation::{CallIds, Part, Role};
use crate::exchange::Exchange;
use crate::names::ToolNames;
use crate::request::StreamOptions;
use crate::sides::dialect;
use aiw_core::well_formed_json;

/// The APIs that any client can be translated to, the preferred one first. Of the two that share an address, Chat
/// Completions is the one that most servers speak.
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

/// Returns the path, behind a provider's address, of the list of its models.
pub fn models_path(api: Api) -> &'static str {
    match api {
        Api::Messages => "/v1/models?limit=1000",
        Api::Responses | Api::ChatCompletions => "/models",
        Api::GenerateContent => "/v1beta/models?pageSize=1000",
    }
}

/// A request for an upstream, and what reads its answer.
#[derive(Debug)]
pub struct PreparedRequest {
    /// The JSON for the upstream.
    pub body: Vec<u8>,
    /// The model, as the client called it.
    pub requested_model: String,
    /// Whether the client wants events.
    pub is_streamed: bool,
    /// Reads the upstream's answer.
    pub response: UpstreamResponse,
}

/// Turns a client's request into an upstream's.
///
/// # Errors
///
/// Fails if the body is not the JSON of the client's dialect.
pub fn prepare(request: &ModelRequest<'_>, to: &UpstreamTarget) -> Result<PreparedRequest, RequestError> {
    // A session whose history holds half a character would get a refusal for each further request.
    let body = well_formed_json(request.body);
    let request = &ModelRequest { body: &body, ..*request };
    let mut exchange = Exchange {
        client: request.client,
        upstream: to.dialect,
        requested_model: request.model.unwrap_or_default().to_owned(),
        family: to.family.clone(),
        model: to.model.clone(),
        names: ToolNames::default(),
        ids: CallIds::default(),
        seed: seed(request.body),
        created: aiw_core::now_seconds(),
        is_streamed: request.is_streamed.unwrap_or_default(),
        include_usage: false,
        mark_reasoning: to.mark_reasoning,
        mask: to.mask.clone(),
    };
    let body = if request.client == to.dialect {
        if request.model.is_none() {
            let head: PassthroughRequest = serde_json::from_slice(request.body)?;
            (exchange.requested_model, exchange.is_streamed) = (head.model, head.stream.unwrap_or_default());
            exchange.include_usage = head.stream_options.and_then(|of| of.include_usage).unwrap_or_default();
        }
        passthrough::rewrite_request(request.body, &exchange, to)?
    } else {
        let conversation = (dialect(request.client).read)(request.body)?;
        if request.model.is_none() {
            exchange.requested_model = conversation.model.clone().into_owned();
        }
        exchange.is_streamed = request.is_streamed.unwrap_or(conversation.is_streamed);
        exchange.include_usage = conversation.include_usage;
        exchange.names = ToolNames::collect(&conversation);
        for (_, part) in &conversation.parts {
            if let Part::Call(call) = part {
                exchange.ids.unique(&call.id);
            }
        }
        (dialect(to.dialect).write)(&conversation, &exchange, to)
    };
    let (asked, is_streamed) = (exchange.requested_model.clone(), exchange.is_streamed);
    Ok(PreparedRequest { body, requested_model: asked, is_streamed, response: UpstreamResponse::new(exchange) })
}

/// The parts that are read of a request that passes: the model, and whether events are wanted and the tokens in them.
#[derive(serde::Deserialize)]
struct PassthroughRequest {
    model: String,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
}

/// Makes a word that differs from request to request. Conversations grow at their end, so that is hashed.
fn seed(body: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(body.len().to_le_bytes());
    hash.update(&body[body.len().saturating_sub(4_096)..]);
    aiw_core::hex(&hash.finalize()[..10])
}

/// Returns the model that a client asks for, and a word that stays the same within its session.
///
/// # Errors
///
/// Fails if the body is not the JSON of the client's dialect.
pub fn session_key(request: &ModelRequest<'_>) -> Result<String, RequestError> {
    let body = well_formed_json(request.body);
    let conversation = (dialect(request.client).read)(&body)?;
    if let Some(key) = conversation.cache_key {
        return Ok(key.into_owned());
    }
    let mut hash = Sha256::new();
    for block in &conversation.system {
        hash.update(block.as_bytes());
    }
    let of_user = conversation.parts.iter().filter(|(role, _)| *role == Role::User);
    if let Some(text) = of_user.into_iter().find_map(|(_, part)| part.text()) {
        hash.update(text);
    }
    Ok(aiw_core::hex(&hash.finalize()[..16]))
}

/// Says what gets lost between a client and an upstream, in a sentence each. Nothing is lost within one dialect.
pub fn translation_losses(client: Api, upstream: Api) -> Vec<&'static str> {
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
        Api::ChatCompletions => losses.push("there is one answer, whatever `n` says, and no `logprobs`"),
    }
    losses
}
