//! Errors of the testkit.

use std::error::Error;
use std::fmt::Display;
use std::path::PathBuf;

use aiw_core::{ErrorKind, Fault};
use aiw_wasm as host;

/// An error of the host, of a type that tests need not know.
type HostError = Box<dyn Error + Send + Sync>;

/// The reason that a component can't be driven.
#[derive(Debug, thiserror::Error)]
pub enum TestkitError {
    /// A file can't be read.
    #[error("`{}` cannot be read: {source}", path.display())]
    Read {
        /// The component, or the recorded answers.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file does not contain recorded answers.
    #[error("`{}` does not hold recorded answers: {source}", path.display())]
    Answers {
        /// The file.
        path: PathBuf,
        /// Where the problem is.
        source: serde_json::Error,
    },
    /// The file is not a component for this aiw.
    #[error("the component {0}")]
    Component(#[source] HostError),
    /// A task of the test is not one that can be.
    #[error("a task of the test has a name that is none: {0}")]
    Task(#[source] HostError),
    /// The component can't be loaded, or the host can't start.
    #[error("{0}")]
    Load(#[source] HostError),
    /// A temporary directory can't be created.
    #[error("no temporary directory can be made: {0}")]
    Temporary(std::io::Error),
}

/// The reason that a component, or the host for it, gave instead of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The request or the settings must change.
    Invalid,
    /// The requested item does not exist.
    NotFound,
    /// The far end refuses, or a grant is missing.
    Denied,
    /// The far end is down or throttles requests.
    Unavailable {
        /// Seconds after which to try again.
        retry_after: Option<u32>,
    },
    /// The far end's answer makes no sense.
    Malformed,
}

/// Why a call returned no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The component returned an error.
    #[error("{message}")]
    Refused {
        /// Which error of the contract it is.
        refusal: Refusal,
        /// The component's message, made printable.
        message: String,
    },
    /// The component is not of the kind that was called.
    #[error("{message}")]
    NotOffered {
        /// The sentence that a user would see.
        message: String,
    },
    /// The component exceeded a limit or failed.
    #[error("{message}")]
    Misbehaved {
        /// The sentence that a user would see.
        message: String,
    },
}

impl CallError {
    /// The test itself asks for something that can't be.
    pub(crate) fn invalid<E: Display>(why: E) -> Self {
        Self::Refused { refusal: Refusal::Invalid, message: why.to_string() }
    }
}

impl From<host::CallError> for CallError {
    fn from(error: host::CallError) -> Self {
        let message = error.to_string();
        match error {
            host::CallError::Refused { refusal, .. } => {
                let refusal = match refusal {
                    host::ComponentRefusal::Invalid => Refusal::Invalid,
                    host::ComponentRefusal::NotFound => Refusal::NotFound,
                    host::ComponentRefusal::Denied => Refusal::Denied,
                    host::ComponentRefusal::Unavailable { retry_after } => Refusal::Unavailable { retry_after },
                    host::ComponentRefusal::Malformed => Refusal::Malformed,
                };
                Self::Refused { refusal, message }
            }
            host::CallError::NotOffered { .. } => Self::NotOffered { message },
            host::CallError::Misbehaved { .. } | host::CallError::Load(_) => Self::Misbehaved { message },
        }
    }
}

impl Fault for TestkitError {}

impl Fault for CallError {
    fn own_kind(&self) -> ErrorKind {
        match self {
            Self::Refused { refusal: Refusal::Unavailable { .. }, .. } => ErrorKind::Unavailable,
            Self::Refused { .. } | Self::NotOffered { .. } => ErrorKind::User,
            Self::Misbehaved { .. } => ErrorKind::Internal,
        }
    }
}
