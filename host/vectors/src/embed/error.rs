//! Why a model can't be used.

use std::io;
use std::path::{Path, PathBuf};

use aiw_core::{Diagnostic, ErrorKind};

/// Why a model can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file is not there.
    #[error("there is no `{}`", .path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file can't be read.
    #[error("cannot read `{}`: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file is longer than any model's.
    #[error("`{}` is larger than {} MiB", .path.display(), limit >> 20)]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// A file is not the one that was chosen.
    #[error("`{}` is not the file that was chosen: its sha256 is {found}, not {pinned}", .path.display())]
    DigestMismatch {
        /// The file.
        path: PathBuf,
        /// The digest that it must have.
        pinned: String,
        /// The digest that it has.
        found: String,
    },
    /// The library can't be loaded.
    #[error("ONNX Runtime cannot be loaded from `{}`: {reason}", .path.display())]
    RuntimeLoadFailed {
        /// The library.
        path: PathBuf,
        /// The loader's own words.
        reason: String,
    },
    /// The library collects data about its use and can't be stopped from it.
    #[error("`{}` collects data about its use for its maker, and aiw can't switch that off", .path.display())]
    ForcedTelemetry {
        /// The library.
        path: PathBuf,
    },
    /// The files are not a model that ONNX Runtime can run.
    #[error("the model in `{}` cannot be loaded: {reason}", .directory.display())]
    InvalidModel {
        /// The directory.
        directory: PathBuf,
        /// The words of the library.
        reason: String,
    },
    /// The model failed on a text.
    #[error("the model failed: {reason}")]
    InferenceFailed {
        /// The words of the library.
        reason: String,
    },
}

impl Diagnostic for ModelError {
    fn own_kind(&self) -> ErrorKind {
        match self {
            Self::Missing { .. } | Self::Unreadable { .. } => ErrorKind::Unavailable,
            Self::InferenceFailed { .. } => ErrorKind::Internal,
            _ => ErrorKind::Config,
        }
    }
}

pub(super) fn unreadable(path: &Path, source: io::Error) -> ModelError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ModelError::Missing { path },
        _ => ModelError::Unreadable { path, source },
    }
}
