//! Why nothing listens.

use std::io;
use std::net::SocketAddr;

use aiw_core::{Diagnostic, ErrorKind};

/// Why an address can't be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Others could reach it.
    #[error("`{address}` is not a loopback address: other machines could reach it")]
    NotLoopback {
        /// The requested address.
        address: SocketAddr,
    },
    /// Another program has it.
    #[error("port {} is in use", address.port())]
    InUse {
        /// The requested address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The system refused.
    #[error("can't listen on `{address}`: {source}")]
    BindFailed {
        /// The requested address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
}

impl Diagnostic for ListenError {
    fn own_kind(&self) -> ErrorKind {
        match self {
            Self::NotLoopback { .. } => ErrorKind::Usage,
            Self::InUse { .. } | Self::BindFailed { .. } => ErrorKind::Unavailable,
        }
    }

    fn own_hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotLoopback { .. } => "use 127.0.0.1 or [::1]",
            Self::InUse { .. } => "port 0 picks a free one",
            Self::BindFailed { .. } => "127.0.0.1:0 works on every system",
        };
        Some(hint.into())
    }
}
