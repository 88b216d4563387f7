//! Errors that a component returns.

use crate::{Error, Unavailability};

impl Error {
    /// Creates an error: the request or its settings must change.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(message.into())
    }

    /// Creates an error: the requested item does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::NotFound(message.into())
    }

    /// Creates an error: the server refuses, or a grant is missing.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::Denied(message.into())
    }

    /// Creates an error: the server is down or throttling. `retry_after` is in seconds, if the server gave it.
    pub fn unavailable(message: impl Into<String>, retry_after: Option<u32>) -> Self {
        Self::Unavailable(Unavailability { message: message.into(), retry_after })
    }

    /// Creates an error: the server's answer is invalid.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::Malformed(message.into())
    }

    /// Returns the sentence for the user.
    pub fn message(&self) -> &str {
        match self {
            Self::Invalid(message) | Self::NotFound(message) | Self::Denied(message) | Self::Malformed(message) => {
                message
            }
            Self::Unavailable(unavailability) => &unavailability.message,
        }
    }
}
