//! Why a model was not pulled, used or removed.

use std::path::PathBuf;

use aiw_core::{Diagnostic, ErrorKind};
use aiw_home::HomeError;

use crate::embed::ModelError;

/// An error that concerns the library of models.
#[derive(Debug, thiserror::Error)]
pub enum ModelsError {
    /// No model has that name.
    #[error("there is no model `{name}`")]
    NotFound {
        /// The name that was given.
        name: String,
    },
    /// The model is known, but not here.
    #[error("the model `{name}` was not pulled")]
    NotPulled {
        /// Its name.
        name: String,
    },
    /// There is nothing to switch off or on.
    #[error("no model is in use")]
    NoActiveModel,
    /// The name can't be that of a model.
    #[error("`{name}` is not a valid name of a model")]
    InvalidName {
        /// The given text.
        name: String,
    },
    /// The library is not published for this system.
    #[error("ONNX Runtime is not available for this system")]
    UnsupportedPlatform,
    /// A file is not what its pin says.
    #[error("`{file}` from {source_name} is not the file that aiw knows: {problem}")]
    IntegrityCheckFailed {
        /// The file.
        file: String,
        /// Where it came from.
        source_name: String,
        /// The difference, as a sentence.
        problem: String,
    },
    /// The network or the server failed.
    #[error("`{file}` could not be downloaded: {reason}; {done} of {total} bytes are kept")]
    DownloadFailed {
        /// The file.
        file: String,
        /// The reason.
        reason: String,
        /// The bytes that are there and need not be asked for again.
        done: u64,
        /// The size of the file.
        total: u64,
    },
    /// The manifest of a mirror makes no sense.
    #[error("`{url}` does not describe a model: {problem}")]
    InvalidManifest {
        /// The address.
        url: String,
        /// The problem.
        problem: String,
    },
    /// The archive does not hold the library.
    #[error("`{archive}` cannot be unpacked: {reason}")]
    InvalidArchive {
        /// The archive.
        archive: String,
        /// The reason.
        reason: String,
    },
    /// A directory lacks a file.
    #[error("there is no `{}`", .path.display())]
    MissingFile {
        /// The file.
        path: PathBuf,
    },
    /// The model can't be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A file of the home can't be read or written.
    #[error(transparent)]
    Home(#[from] HomeError),
}

impl Diagnostic for ModelsError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(self, Model, Home)
    }

    fn own_kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. }
            | Self::NotPulled { .. }
            | Self::NoActiveModel
            | Self::InvalidName { .. }
            | Self::UnsupportedPlatform
            | Self::MissingFile { .. } => ErrorKind::User,
            Self::IntegrityCheckFailed { .. }
            | Self::DownloadFailed { .. }
            | Self::InvalidManifest { .. }
            | Self::InvalidArchive { .. } => ErrorKind::Unavailable,
            _ => ErrorKind::User,
        }
    }

    fn own_hint(&self) -> Option<String> {
        match self {
            Self::NotFound { .. } => Some("`aiw model list` shows them".into()),
            Self::NotPulled { name } => Some(format!("`aiw model pull {name}` gets it")),
            Self::NoActiveModel => Some("`aiw model pull` gets one".into()),
            Self::InvalidName { .. } => Some("a name has letters, digits, `.`, `-` and `_`".into()),
            Self::UnsupportedPlatform => {
                Some("`aiw model use NAME --runtime FILE` uses a library that you have".into())
            }
            Self::DownloadFailed { done: 1.., .. } => Some("`aiw model pull` goes on from there".into()),
            Self::IntegrityCheckFailed { .. } => Some("a model of your own needs a name of its own".into()),
            _ => None,
        }
    }
}
