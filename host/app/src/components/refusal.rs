//! What components are told when something can't be done.

use aiw_core::one_line;
use aiw_wasm::{ComponentRefusal, RefusedCall};

pub(super) fn refused(refusal: ComponentRefusal, message: impl Into<String>) -> RefusedCall {
    RefusedCall { refusal, message: message.into() }
}

/// Something that is not there now, and may be later.
pub(super) fn unavailable(error: &dyn std::fmt::Display) -> RefusedCall {
    refused(ComponentRefusal::Unavailable { retry_after: None }, one_line(&error.to_string(), 400))
}

/// The client of a component has ended.
pub(super) fn gone() -> RefusedCall {
    unavailable(&"the session has ended")
}
