//! Why a client can't be set up.

use std::path::PathBuf;

use aiw_core::ErrorKind;
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
    NoProject {
        /// The client.
        name: &'static str,
    },
    /// Something else changed a file after the plan was made.
    #[error("`{}` was changed meanwhile; nothing was written", .path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// No client is on this machine.
    #[error("no MCP client was found")]
    NoClient,
    /// A path can't be written into a configuration.
    #[error("`{}` is not text, so no configuration can name it", .path.display())]
    NotText {
        /// The path.
        path: PathBuf,
    },
    /// Something else is called `aiw` there.
    #[error("`{}` has a server `aiw` that is another program", .path.display())]
    Taken {
        /// The file.
        path: PathBuf,
    },
}

impl SetupError {
    /// The kind, for the exit code.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Home(e) => e.kind(),
            Self::Vault(e) => e.kind(),
            Self::Changed { .. } => ErrorKind::Unavailable,
            _ => ErrorKind::User,
        }
    }

    /// Returns the next step, if there is just one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Home(e) => e.hint(),
            Self::Vault(e) => e.hint(),
            Self::Invalid { path, .. } => Some(format!("fix `{}` by hand; aiw left it alone", path.display())),
            Self::NoProject { .. } => Some("leave out `--project`".into()),
            Self::Changed { .. } => Some("run the command again".into()),
            Self::NoClient => Some("name one: `aiw setup claude`".into()),
            Self::NotText { .. } => None,
            Self::Taken { .. } => Some("rename it there, or remove it".into()),
        }
    }
}
