//! Requests, read by their client's API.

use aiw_core::Api;

use crate::conversation::Conversation;
use crate::request::{Request, RequestError};
use crate::{chat, generate, messages, responses};

/// Reads a request.
pub(crate) fn read<'a>(request: &Request<'a>) -> Result<Conversation<'a>, RequestError> {
    match request.client {
        Api::Messages => messages::read(request.body),
        Api::Responses => responses::read(request.body),
        Api::GenerateContent => generate::read(request.body),
        Api::ChatCompletions => chat::read(request.body),
    }
}
