//! Tokens of a request, for upstreams that do not count them.

use crate::conversation::{Conversation, Part};
use crate::request::{ModelRequest, RequestError};
use crate::sides::dialect;
use aiw_core::{Api, well_formed_json};

/// Tokens that a picture or a document costs, about.
const MEDIA_TOKEN_COUNT: u64 = 1_600;

/// Estimates the tokens of a request: a token for each 3.5 bytes of what it says.
///
/// # Errors
///
/// Fails if the body is not the JSON of the client's dialect.
pub fn estimate(request: &ModelRequest<'_>) -> Result<u64, RequestError> {
    let body = well_formed_json(request.body);
    let conversation = (dialect(request.client).read)(&body)?;
    let (bytes, media) = size(&conversation);
    Ok(estimate_tokens(bytes) + media * MEDIA_TOKEN_COUNT)
}

/// Estimates the tokens of so many bytes.
pub(crate) fn estimate_tokens(bytes: u64) -> u64 {
    (bytes * 2).div_ceil(7)
}

fn size(conversation: &Conversation<'_>) -> (u64, u64) {
    let mut bytes: usize = conversation.system.iter().map(|block| block.len()).sum();
    for tool in &conversation.tools {
        bytes += tool.name.len() + tool.description.len() + tool.schema.as_ref().map_or(0, |schema| schema.len());
    }
    let mut media = 0;
    let parts = conversation.parts.iter().map(|(_, part)| part);
    for part in parts {
        let inner: &[Part<'_>] = match part {
            Part::Result(result) => &result.parts,
            other => std::slice::from_ref(other),
        };
        for part in inner {
            match part {
                Part::Text(text) | Part::Thought { text, .. } => bytes += text.len(),
                Part::Call(call) => bytes += call.name.len() + call.arguments.len(),
                Part::Image(_) | Part::File(_) => media += 1,
                Part::Result(_) => {}
            }
        }
    }
    (bytes as u64, media)
}

/// Formats a number of tokens for a client.
pub fn token_count_response(client: Api, tokens: u64) -> Vec<u8> {
    let answer = match client {
        Api::Messages => serde_json::json!({"input_tokens": tokens}),
        Api::Responses | Api::ChatCompletions => {
            serde_json::json!({"object": "response.input_tokens", "input_tokens": tokens})
        }
        Api::GenerateContent => serde_json::json!({"totalTokens": tokens}),
    };
    answer.to_string().into_bytes()
}
