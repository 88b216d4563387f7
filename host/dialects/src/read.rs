//! Requests, read by their client's API.

use aiw_core::Api;

use crate::conversation::Conversation;
use crate::request::{ModelRequest, RequestError};
use crate::{chat, generate, messages, responses};

/// Reads a request.
pub(crate) fn read<'a>(request: &ModelRequest<'a>) -> Result<Conversation<'a>, RequestError> {
    match request.client {
        Api::Messages => messages::read(request.body),
        Api::Responses => responses::read(request.body),
        Api::GenerateContent => generate::read(request.body),
        Api::ChatCompletions => chat::read(request.body),
    }
}
