//! Why a component cannot be loaded, or a call failed.

use aiw_core::ErrorKind;
use aiw_extensions::ExtensionError;

/// Why a component cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It is not a component for this aiw.
    #[error(transparent)]
    Extension(#[from] ExtensionError),
    /// Its digest is not the one that was agreed to.
    #[error("component `{id}` is not the file that you agreed to: its sha256 is {found}, the lock file says {pinned}")]
    Digest {
        /// The component.
        id: String,
        /// What the lock file says.
        pinned: String,
        /// What the file has.
        found: String,
    },
    /// The compiler refuses it.
    #[error("component `{id}` cannot be compiled: {reason}")]
    Compile {
        /// The component.
        id: String,
        /// What wasmtime says, in one line.
        reason: String,
    },
    /// It imports what the lock file does not grant: both keys are needed.
    #[error(
        "component `{id}` imports `{import}`, which you did not agree to: run `aiw extension update {id} --accept-changes`"
    )]
    NotGranted {
        /// The component.
        id: String,
        /// The interface.
        import: String,
    },
    /// The engine itself does not start.
    #[error("the WebAssembly engine failed to start: {reason}")]
    Engine {
        /// What wasmtime says, in one line.
        reason: String,
    },
}

/// What a component answered instead of a result: the contract's `error`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The request or its settings must change.
    Invalid,
    /// What was asked for does not exist.
    NotFound,
    /// The far end, or a grant, refuses.
    Denied,
    /// The far end is down or throttling.
    Unavailable {
        /// Seconds after which another try makes sense.
        retry_after: Option<u32>,
    },
    /// The far end's answer makes no sense.
    Malformed,
}

/// Why a call gave no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The component says so.
    #[error("{message}")]
    Refused {
        /// Which of the contract's errors.
        refusal: Refusal,
        /// Its sentence, made printable.
        message: String,
    },
    /// The component broke a limit or itself.
    #[error("component `{component}` {what}")]
    Misbehaved {
        /// The component.
        component: String,
        /// What it did, as the end of a sentence.
        what: String,
    },
    /// It was called as what it is not.
    #[error("component `{component}` is not a `{world}`")]
    NotOffered {
        /// The component.
        component: String,
        /// The world whose function was called.
        world: &'static str,
    },
    /// It could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl CallError {
    /// The kind, for the exit code.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused { refusal: Refusal::Unavailable { .. }, .. } => ErrorKind::Unavailable,
            Self::Refused { .. } | Self::NotOffered { .. } => ErrorKind::User,
            Self::Misbehaved { .. } => ErrorKind::Internal,
            Self::Load(_) => ErrorKind::Config,
        }
    }
}

/// The whole chain of an error on one printable line.
pub(crate) fn one_line(error: &wasmtime::Error) -> String {
    aiw_core::one_line(&format!("{error:#}"), 400)
}
