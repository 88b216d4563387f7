//! Errors of loading and calling components.

use std::fmt::Display;

use aiw_core::{Diagnostic, ErrorKind};
use aiw_extensions::ExtensionError;
use aiw_net::NetError;

use crate::invalid_response::InvalidResponse;

/// Why a component cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file is not a component for this aiw.
    #[error(transparent)]
    Extension(#[from] ExtensionError),
    /// The digest differs from the one that the user agreed to.
    #[error("component `{id}` is not the file that you agreed to: its sha256 is {found}, the lock file says {pinned}")]
    DigestMismatch {
        /// The component.
        id: String,
        /// The digest in the lock file.
        pinned: String,
        /// The digest of the file.
        found: String,
    },
    /// The compiler refuses the component.
    #[error("component `{id}` cannot be compiled: {reason}")]
    Compile {
        /// The component.
        id: String,
        /// The message of wasmtime, in one line.
        reason: String,
    },
    /// The component imports an interface that the lock file does not grant. A component needs both its own request
    /// and the user's agreement.
    #[error(
        "component `{id}` imports `{import}`, which you did not agree to: run `aiw extension update {id} --accept-changes`"
    )]
    NotGranted {
        /// The component.
        id: String,
        /// The interface.
        import: String,
    },
    /// The engine itself failed to start.
    #[error("the WebAssembly engine failed to start: {reason}")]
    Engine {
        /// The message of wasmtime, in one line.
        reason: String,
    },
}

/// The reason given instead of a result: the contract's `error`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ComponentReason {
    /// The request or the settings must change.
    Invalid,
    /// The requested item does not exist.
    NotFound,
    /// The remote refuses, or a grant is missing.
    Denied,
    /// The remote is down or throttles requests.
    Unavailable {
        /// Seconds after which to try again.
        retry_after: Option<u32>,
    },
    /// The remote's answer makes no sense.
    Malformed,
}

/// A reason, and the sentence that says it: by a capability to a component, or by a component to its caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CallRejection {
    /// The reason.
    pub reason: ComponentReason,
    /// The sentence.
    pub message: String,
}

impl CallRejection {
    /// Refuses a request that must change.
    pub(crate) fn invalid(why: impl Display) -> Self {
        Self { reason: ComponentReason::Invalid, message: why.to_string() }
    }
}

impl From<NetError> for CallRejection {
    fn from(error: NetError) -> Self {
        let message = error.to_string();
        let refusal = match error {
            NetError::Invalid { .. } | NetError::TooLarge { .. } => ComponentReason::Invalid,
            NetError::NotFound { .. } => ComponentReason::NotFound,
            NetError::Denied { .. } => ComponentReason::Denied,
            NetError::Unavailable { retry_after, .. } => ComponentReason::Unavailable { retry_after },
            NetError::Cancelled => ComponentReason::Unavailable { retry_after: None },
            NetError::Malformed { .. } => ComponentReason::Malformed,
        };
        Self { reason: refusal, message }
    }
}

/// Why an exported function gave no result.
#[derive(Debug)]
pub(crate) enum CallFailure {
    /// A trap, a limit or the time ended it.
    Aborted(wasmtime::Error),
    /// An error that it returned.
    Rejected(CallRejection),
    /// Its answer breaks a rule. A phrase comes before the rule: `describes itself with`.
    Invalid(&'static str, InvalidResponse),
}

impl From<wasmtime::Error> for CallFailure {
    fn from(error: wasmtime::Error) -> Self {
        Self::Aborted(error)
    }
}

/// Why a call returned no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The component returned an error.
    #[error("{message}")]
    Rejected {
        /// Which error of the contract it is.
        refusal: ComponentReason,
        /// The component's message, made printable.
        message: String,
    },
    /// The component exceeded a limit or failed.
    #[error("component `{component}` {what}")]
    Trapped {
        /// The component.
        component: String,
        /// The event, as the end of a sentence.
        what: String,
    },
    /// The component does not offer the world that was called.
    #[error("component `{component}` is not a `{world}`")]
    Unsupported {
        /// The component.
        component: String,
        /// The world whose function was called.
        world: &'static str,
    },
    /// The component could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl Diagnostic for CallError {
    fn own_kind(&self) -> ErrorKind {
        match self {
            Self::Rejected { refusal: ComponentReason::Unavailable { .. }, .. } => ErrorKind::Unavailable,
            Self::Rejected { .. } | Self::Unsupported { .. } => ErrorKind::User,
            Self::Trapped { .. } => ErrorKind::Internal,
            Self::Load(_) => ErrorKind::Config,
        }
    }
}

/// Formats an error with all its causes on one printable line.
pub(crate) fn one_line(error: &wasmtime::Error) -> String {
    aiw_core::one_line(&format!("{error:#}"), 400)
}
