//! The APIs, chosen here and nowhere else.

use aiw_core::Api;

use crate::dialect::Dialect;
use crate::{chat, generate, messages, responses};

/// Returns what is done with an API.
pub(crate) fn dialect(api: Api) -> &'static Dialect {
    match api {
        Api::Messages => &messages::DIALECT,
        Api::Responses => &responses::DIALECT,
        Api::ChatCompletions => &chat::DIALECT,
        Api::GenerateContent => &generate::DIALECT,
    }
}
