//! Kinds of errors, and the exit code of each.

/// The kind of failure. It decides the exit code and the `kind` of a JSON error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorKind {
    /// The request can't be carried out.
    User,
    /// One of aiw's own files, or a setting, is invalid.
    Config,
    /// The command line is invalid.
    Usage,
    /// Something outside aiw (network, server, disk) is unavailable.
    Unavailable,
    /// A bug in aiw or in a component.
    Internal,
    /// Stopped by the user.
    Interrupted,
}

impl ErrorKind {
    /// The process's exit code (sysexits where there is one, 128 + SIGINT when interrupted).
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::User => 2,
            Self::Config => 3,
            Self::Usage => 64,
            Self::Unavailable => 69,
            Self::Internal => 70,
            Self::Interrupted => 130,
        }
    }

    /// The word in `{"error":{"kind":…}}`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Config => "config",
            Self::Usage => "usage",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
            Self::Interrupted => "interrupted",
        }
    }
}
