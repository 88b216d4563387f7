//! Where tokens are from.

aiw_core::string_enum! {
    /// Where a token is from.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum TokenSource {
        /// `gh auth token`
        Gh = "gh",
        /// The vault.
        Vault = "vault",
        /// A variable of the caller.
        Variable = "variable",
        /// There is no token.
        None = "none",
    }
}

impl TokenSource {
    pub(crate) fn as_phrase(self) -> &'static str {
        match self {
            Self::Gh => "of `gh`",
            Self::Vault => "in the vault",
            Self::Variable => "in the environment",
            Self::None => "that it was not given",
        }
    }
}
