//! Why past sessions can't be kept or found.

use std::path::PathBuf;

use aiw_core::{Diagnostic, ErrorKind, one_line};
use aiw_home::HomeError;
use aiw_redact::rules::InvalidRule;
use aiw_vectors::{ModelError, ModelsError};

/// An error that concerns past sessions. Each is one sentence for the user.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// A file of the home.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The model failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The state of the models can't be read.
    #[error(transparent)]
    Models(#[from] ModelsError),
    /// The database can't be read or written.
    #[error("the history in `{}` can't be used: {source}", .path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// SQLite's own reason.
        source: rusqlite::Error,
    },
    /// The database's content is damaged.
    #[error("the history in `{}` is damaged, and is read again from the transcripts: {reason}", .path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// The problem.
        reason: String,
    },
    /// The database was made by a newer aiw.
    #[error("the history in `{}` has version {found}, and this aiw knows {known}", .path.display())]
    UnsupportedVersion {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version that is known.
        known: i64,
    },
    /// A rule about secrets is wrong.
    #[error(transparent)]
    InvalidRule(#[from] InvalidRule),
    /// A path is not one of a transcript.
    #[error("`{}` {reason}", .path.display())]
    TranscriptNotFound {
        /// The path.
        path: PathBuf,
        /// Why, as the end of a sentence.
        reason: String,
    },
    /// Another process is indexing, and goes on for longer than this one waits.
    #[error("another aiw is indexing and did not finish within {seconds} s")]
    Busy {
        /// How long we waited.
        seconds: u64,
    },
    /// There is no such session.
    #[error("no session `{}` is in the history", one_line(.session, 100))]
    SessionNotFound {
        /// The requested session.
        session: String,
    },
    /// Several sessions' ids start like this.
    #[error("`{}` is the start of {} sessions' ids", one_line(.start, 100), .count)]
    Ambiguous {
        /// The requested beginning.
        start: String,
        /// How many there are.
        count: usize,
    },
    /// There is no such message in the session.
    #[error("no message `{}` is in session `{}`", one_line(.uuid, 100), one_line(.session, 100))]
    MessageNotFound {
        /// The session.
        session: String,
        /// The requested message.
        uuid: String,
    },
}

impl HistoryError {
    /// Whether a newer aiw made the database.
    pub(crate) fn is_unsupported_version(&self) -> bool {
        matches!(self, Self::UnsupportedVersion { .. })
    }
}

impl Diagnostic for HistoryError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(self, Home, Model, Models)
    }

    fn own_kind(&self) -> ErrorKind {
        match self {
            Self::Database { .. } => ErrorKind::Unavailable,
            Self::Damaged { .. } | Self::UnsupportedVersion { .. } => ErrorKind::Config,
            Self::InvalidRule(_) => ErrorKind::Internal,
            Self::Busy { .. } => ErrorKind::Unavailable,
            Self::TranscriptNotFound { .. }
            | Self::SessionNotFound { .. }
            | Self::Ambiguous { .. }
            | Self::MessageNotFound { .. } => ErrorKind::User,
            _ => ErrorKind::User,
        }
    }

    fn own_fix(&self) -> Option<String> {
        match self {
            Self::UnsupportedVersion { .. } => Some("aiw update".into()),
            Self::Damaged { .. } => Some("aiw history import --all".into()),
            // SQLite does not say whether it is the file or the disk.
            Self::Database { path, .. } => Some(aiw_home::move_aside_command(path)),
            _ => None,
        }
    }

    fn own_hint(&self) -> Option<String> {
        match self {
            Self::UnsupportedVersion { .. } => Some("update aiw".into()),
            Self::Damaged { .. } => Some("run `aiw history import --all`".into()),
            Self::SessionNotFound { .. } => Some("list them with `aiw history sessions`".into()),
            Self::Ambiguous { .. } => Some("type more of it".into()),
            _ => None,
        }
    }
}
