//! Errors that a component returns.

use crate::{Error, Unavailability};

impl Error {
    /// The request or its settings must change.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(message.into())
    }

    /// The requested item does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::NotFound(message.into())
    }

    /// The server, or a missing grant, refuses.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::Denied(message.into())
    }

    /// The server is down or throttling; `retry_after` in seconds, if it gave one.
    pub fn unavailable(message: impl Into<String>, retry_after: Option<u32>) -> Self {
        Self::Unavailable(Unavailability { message: message.into(), retry_after })
    }

    /// The server's answer is invalid.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::Malformed(message.into())
    }

    /// The sentence for the user.
    pub fn message(&self) -> &str {
        match self {
            Self::Invalid(message) | Self::NotFound(message) | Self::Denied(message) | Self::Malformed(message) => {
                message
            }
            Self::Unavailable(unavailability) => &unavailability.message,
        }
    }
}
