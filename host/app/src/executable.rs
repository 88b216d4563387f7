//! aiw's own executable.

use std::io;
use std::path::{Path, PathBuf};

use aiw_core::ErrorKind;

/// aiw's own executable can't be used.
#[derive(Debug, thiserror::Error)]
pub enum NoExecutable {
    /// The file was removed, and the system has no other way to it.
    #[error("aiw's own executable is gone: `{}`", .path.display())]
    Gone {
        /// Where it was.
        path: PathBuf,
    },
    /// The system does not say where the file is.
    #[error("aiw cannot find its own executable: {source}")]
    Unknown {
        /// The system's error.
        source: io::Error,
    },
    /// Another program can't start it any more.
    #[error("aiw's own executable was replaced or removed")]
    Replaced,
}

impl NoExecutable {
    /// Returns the kind of the error, for the exit code.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Gone { .. } | Self::Unknown { .. } => ErrorKind::Internal,
            Self::Replaced => ErrorKind::Unavailable,
        }
    }

    /// Returns what to do next, if there is one obvious step.
    pub fn hint(&self) -> Option<&'static str> {
        matches!(self, Self::Replaced).then_some("run the command again")
    }
}

/// Returns the path from which this process can start aiw again.
pub fn own_executable() -> Result<PathBuf, NoExecutable> {
    // After an update has replaced it, the same file is still available through /proc.
    match std::env::current_exe() {
        Ok(path) if path.is_file() => Ok(path),
        _ if Path::new("/proc/self/exe").exists() => Ok("/proc/self/exe".into()),
        Ok(path) => Err(NoExecutable::Gone { path }),
        Err(source) => Err(NoExecutable::Unknown { source }),
    }
}

/// Returns the path from which other programs can start aiw.
pub fn own_path() -> Result<PathBuf, NoExecutable> {
    match own_executable()? {
        // In another process, this is another program.
        path if path.starts_with("/proc/self") => Err(NoExecutable::Replaced),
        path => Ok(path),
    }
}
