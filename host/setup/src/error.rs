//! Why a client can't be set up.

use std::path::PathBuf;

use aiw_core::{Diagnostic, ErrorKind};
use aiw_home::{HomeError, VaultError};

/// An error that concerns a client's file.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A file can't be read or written.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A client's file is invalid, and was left alone.
    #[error("`{}` {problem}", .path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The problem, as the end of a sentence.
        problem: String,
    },
    /// The client reads no servers of projects.
    #[error("{name} has no configuration for projects")]
    ProjectScopeUnsupported {
        /// The client.
        name: &'static str,
    },
    /// Something else changed a file after the plan was made.
    #[error("`{}` was changed meanwhile; nothing was written", .path.display())]
    ConcurrentChange {
        /// The file.
        path: PathBuf,
    },
    /// No client is on this machine.
    #[error("no MCP client was found")]
    ClientNotFound,
    /// A path can't be written into a configuration.
    #[error("`{}` is not text, so no configuration can name it", .path.display())]
    NotUtf8 {
        /// The path.
        path: PathBuf,
    },
    /// Something else is called `aiw` there.
    #[error("`{}` has a server `aiw` that is another program", .path.display())]
    NameTaken {
        /// The file.
        path: PathBuf,
    },
}

impl Diagnostic for SetupError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(self, Home, Vault)
    }

    fn own_kind(&self) -> ErrorKind {
        if matches!(self, Self::ConcurrentChange { .. }) { ErrorKind::Unavailable } else { ErrorKind::User }
    }

    fn own_fix(&self) -> Option<String> {
        match self {
            Self::Invalid { path, .. } | Self::NameTaken { path } => Some(aiw_home::edit_command(path)),
            _ => None,
        }
    }

    fn own_hint(&self) -> Option<String> {
        match self {
            Self::Invalid { path, .. } => Some(format!("fix `{}` by hand; aiw left it alone", path.display())),
            Self::ProjectScopeUnsupported { .. } => Some("leave out `--project`".into()),
            Self::ConcurrentChange { .. } => Some("run the command again".into()),
            Self::ClientNotFound => Some("name one: `aiw setup claude`".into()),
            Self::NameTaken { .. } => Some("rename it there, or remove it".into()),
            _ => None,
        }
    }
}
