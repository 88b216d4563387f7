//! Kinds of errors, and the exit code of each.

crate::string_enum! {
    /// The kind of failure. It decides the exit code and the `kind` of a JSON error.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub enum ErrorKind {
        /// The request can't be carried out.
        User = "user",
        /// One of aiw's own files, or a setting, is invalid or missing.
        Config = "config",
        /// The command line is invalid.
        Usage = "usage",
        /// Something outside aiw (network, server, disk) is unavailable.
        Unavailable = "unavailable",
        /// A bug in aiw or in a component.
        Internal = "internal",
        /// Stopped by the user.
        Interrupted = "interrupted",
    }
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
}
