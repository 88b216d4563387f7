//! Why something in `~/.aiw` can't be read or written.

use std::io;
use std::path::{Path, PathBuf};

use aiw_core::{ErrorKind, Fault};

/// An error that concerns a file of the home.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Neither `AIW_HOME` nor `HOME` says where the home is.
    #[error("there is no home directory: neither `AIW_HOME` nor `HOME` is set")]
    NoHome,
    /// The system refused a file operation.
    #[error("cannot {action} `{}`: {source}", .path.display())]
    Io {
        /// `read`, `write`, …
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A document is invalid; nothing was changed.
    #[error("`{}` {problem}", .path.display())]
    Invalid {
        /// The document.
        path: PathBuf,
        /// The problem, as the end of a sentence.
        problem: String,
    },
    /// `providers.json` as aiw 0.6 wrote it; [`Home::migrate_providers`](crate::Home::migrate_providers) upgrades it.
    #[error("`{}` was written by aiw 0.6", .path.display())]
    Old {
        /// The document.
        path: PathBuf,
    },
    /// A variable of the environment is wrong.
    #[error("{problem}")]
    Variable {
        /// A sentence that names it.
        problem: String,
    },
    /// Another process has held the lock for too long.
    #[error("another aiw is using `{}` and did not finish within {seconds} s", .path.display())]
    Busy {
        /// The lock file.
        path: PathBuf,
        /// How long we waited.
        seconds: u64,
    },
}

impl HomeError {
    /// A failure to `action` (a verb, as in "cannot read") a file.
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    pub(crate) fn invalid(path: &Path, problem: impl Into<String>) -> Self {
        Self::Invalid { path: path.to_owned(), problem: problem.into() }
    }
}

impl Fault for HomeError {
    fn own_kind(&self) -> ErrorKind {
        match self {
            Self::NoHome | Self::Invalid { .. } | Self::Old { .. } | Self::Variable { .. } => ErrorKind::Config,
            Self::Io { .. } | Self::Busy { .. } => ErrorKind::Unavailable,
        }
    }

    fn own_hint(&self) -> Option<String> {
        match self {
            Self::NoHome => Some("set `AIW_HOME` to a directory of your own".into()),
            Self::Invalid { path, .. } => Some(format!("fix `{}` by hand, or move it out of the way", path.display())),
            Self::Old { .. } => Some("`aiw provider list` upgrades it".into()),
            _ => None,
        }
    }
}
