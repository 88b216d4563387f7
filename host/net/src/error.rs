//! Errors of reading something outside aiw.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use aiw_core::{Diagnostic, ErrorKind};

/// The cause of a failure, as text and as an error. Two causes with the same text are equal.
#[derive(Clone)]
pub struct FailureCause(Arc<dyn Error + Send + Sync>);

impl FailureCause {
    pub(crate) fn new(error: impl Error + Send + Sync + 'static) -> Self {
        Self(Arc::new(error))
    }

    /// Returns whether a connection was made, and broke.
    fn is_of_a_connection(&self) -> bool {
        self.0.downcast_ref::<reqwest::Error>().is_some_and(|error| !error.is_connect())
    }
}

impl Error for FailureCause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

impl fmt::Display for FailureCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for FailureCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PartialEq for FailureCause {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for FailureCause {}

/// The party that denies a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeniedBy {
    /// The policy, because the address is not public and nothing grants it.
    NotPublic,
    /// The rest of the policy, or the server.
    Other,
}

/// The reason that something outside aiw could not be read. Each message is one sentence for the user and contains
/// no query, password or header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// The request makes no sense as it stands, or the content it names cannot be used.
    #[error("{message}")]
    Invalid {
        /// The message.
        message: String,
    },
    /// There is no such repository, ref, commit or file.
    #[error("{message}")]
    NotFound {
        /// The message.
        message: String,
    },
    /// The policy or the server refuses.
    #[error("{message}")]
    Denied {
        /// The party that refuses.
        by: DeniedBy,
        /// The message.
        message: String,
    },
    /// The server or the disk does not answer as it should. Trying again later may help.
    #[error("{message}")]
    Unavailable {
        /// The message.
        message: String,
        /// Seconds to wait, if the server gave a number.
        retry_after: Option<u32>,
        /// The error that caused this one, if any.
        source: Option<FailureCause>,
    },
    /// The server answered, but the answer makes no sense.
    #[error("{message}")]
    Malformed {
        /// The message.
        message: String,
        /// The error that caused this one, if any.
        source: Option<FailureCause>,
    },
    /// There was more data than the limit allows, whatever size was announced.
    #[error("{message}")]
    TooLarge {
        /// The message.
        message: String,
    },
    /// The caller stopped the operation.
    #[error("stopped before it was done")]
    Cancelled,
}

impl NetError {
    /// Returns whether the server may have got the request.
    pub fn may_have_sent(&self) -> bool {
        match self {
            Self::Invalid { .. } | Self::NotFound { .. } | Self::Denied { .. } => false,
            // Silence has no cause.
            Self::Unavailable { source, .. } => source.as_ref().is_none_or(FailureCause::is_of_a_connection),
            Self::Malformed { .. } | Self::TooLarge { .. } | Self::Cancelled => true,
        }
    }

    /// Returns the error without the paths of the URLs in its message, which may be secrets.
    pub fn without_paths(mut self) -> Self {
        match &mut self {
            Self::Invalid { message }
            | Self::NotFound { message }
            | Self::Denied { message, .. }
            | Self::TooLarge { message }
            | Self::Unavailable { message, .. }
            | Self::Malformed { message, .. } => *message = origins(message),
            Self::Cancelled => {}
        }
        self
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid { message: message.into() }
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::NotFound { message: message.into() }
    }

    pub(crate) fn denied(message: impl Into<String>) -> Self {
        Self::Denied { by: DeniedBy::Other, message: message.into() }
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::Unavailable { message: message.into(), retry_after: None, source: None }
    }

    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::Malformed { message: message.into(), source: None }
    }

    /// Adds the error that caused this one.
    pub(crate) fn with_source(self, error: impl Error + Send + Sync + 'static) -> Self {
        let source = Some(FailureCause::new(error));
        match self {
            Self::Unavailable { message, retry_after, .. } => Self::Unavailable { message, retry_after, source },
            Self::Malformed { message, .. } => Self::Malformed { message, source },
            other => other,
        }
    }

    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::TooLarge { message: message.into() }
    }
}

impl Diagnostic for NetError {
    fn own_kind(&self) -> ErrorKind {
        match self {
            Self::Invalid { .. } | Self::NotFound { .. } | Self::Denied { .. } | Self::TooLarge { .. } => {
                ErrorKind::User
            }
            Self::Unavailable { .. } | Self::Malformed { .. } => ErrorKind::Unavailable,
            Self::Cancelled => ErrorKind::Interrupted,
        }
    }
}

/// A text in which each URL, up to a blank or a backtick, ends after its host and port.
fn origins(text: &str) -> String {
    let (mut result, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("://") {
        let end = after.find(['`', ' ']).unwrap_or(after.len());
        let host = after[..end].find(['/', '?', '#']).unwrap_or(end);
        result.extend([before, "://", &after[..host]]);
        rest = &after[end..];
    }
    result + rest
}

/// Formats a number of bytes for people.
pub(crate) fn format_size(bytes: u64) -> String {
    match bytes {
        _ if bytes >= 1 << 30 && bytes.is_multiple_of(1 << 30) => format!("{} GiB", bytes >> 30),
        _ if bytes >= 1 << 20 && bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        _ => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_without_paths_names_the_same_hosts() {
        for (message, expected) in [
            ("cannot reach `http://h:9/key/a?b=c`: refused", "cannot reach `http://h:9`: refused"),
            ("`https://h` redirects to `https://o/key`", "`https://h` redirects to `https://o`"),
            ("`https://h/a://b/c` ended", "`https://h` ended"),
            ("https://h?key", "https://h"),
            ("no URL: a/b", "no URL: a/b"),
        ] {
            assert_eq!(NetError::invalid(message).without_paths(), NetError::invalid(expected));
        }
        assert_eq!(NetError::Cancelled.without_paths(), NetError::Cancelled);
    }
}
