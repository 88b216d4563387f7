//! What components are told when something can't be done.

use aiw_core::one_line;
use aiw_wasm::{CallRejection, ComponentReason};

pub(super) fn rejection(refusal: ComponentReason, message: impl Into<String>) -> CallRejection {
    CallRejection { reason: refusal, message: message.into() }
}

/// Something that is not there now, and may be later.
pub(super) fn unavailable(error: &dyn std::fmt::Display) -> CallRejection {
    rejection(ComponentReason::Unavailable { retry_after: None }, one_line(&error.to_string(), 400))
}

/// The client of a component has ended.
pub(super) fn session_ended() -> CallRejection {
    unavailable(&"the session has ended")
}
