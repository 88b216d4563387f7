//! aiw's own executable.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use aiw_core::{Diagnostic, ErrorKind};

/// aiw's own executable can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ExecutableError {
    /// The file was removed, and the system has no other way to it.
    #[error("aiw's own executable is gone: `{}`", .path.display())]
    Deleted {
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
    /// It is in a cache, which is emptied at times.
    #[error("this aiw runs from the cache of {by}, which may be emptied at any time, so nothing can rely on it")]
    InCache {
        /// The program that keeps the cache.
        by: &'static str,
        /// The command that installs it for good.
        lasting: String,
    },
}

impl Diagnostic for ExecutableError {
    fn own_kind(&self) -> ErrorKind {
        match self {
            Self::Deleted { .. } | Self::Unknown { .. } => ErrorKind::Internal,
            Self::Replaced => ErrorKind::Unavailable,
            Self::InCache { .. } => ErrorKind::User,
        }
    }

    fn own_hint(&self) -> Option<String> {
        match self {
            Self::Replaced => Some("run the command again".into()),
            Self::InCache { lasting, .. } => {
                Some(format!("install it for good: `{lasting}`, then run this command again"))
            }
            _ => None,
        }
    }
}

/// This process's own file, also after an update has replaced or removed it.
const SELF_EXE: &str = "/proc/self/exe";

/// Returns the path from which this process can start aiw again, if it does so now.
pub fn own_executable() -> Result<PathBuf, ExecutableError> {
    match std::env::current_exe() {
        Ok(path) if is_own(&path) => Ok(path),
        _ if Path::new(SELF_EXE).exists() => Ok(SELF_EXE.into()),
        Ok(path) => Err(ExecutableError::Deleted { path }),
        Err(source) => Err(ExecutableError::Unknown { source }),
    }
}

/// Whether a path leads to the file that this process runs. Of one that was removed, the kernel says `… (deleted)`, and
/// another program may have that name.
fn is_own(path: &Path) -> bool {
    let own = std::fs::metadata(SELF_EXE);
    match (std::fs::metadata(path), own) {
        (Ok(named), Ok(own)) => (named.dev(), named.ino()) == (own.dev(), own.ino()),
        // A system without `/proc`.
        (Ok(named), Err(_)) => named.is_file(),
        (Err(_), _) => false,
    }
}

/// Returns the path from which this process and its supervisors can start aiw for as long as they live. After an update,
/// the path that [`own_executable`] gave before leads to another version, or nowhere.
pub fn stable_executable() -> Result<PathBuf, ExecutableError> {
    match Path::new(SELF_EXE).exists() {
        true => Ok(SELF_EXE.into()),
        // This system keeps no other way to the file.
        false => own_executable(),
    }
}

/// Returns the path from which other programs can start aiw.
pub fn own_path() -> Result<PathBuf, ExecutableError> {
    match own_executable()? {
        // In another process, this is another program.
        path if path.starts_with("/proc/self") => Err(ExecutableError::Replaced),
        path => Ok(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_takes_the_name_of_ours_is_not_ours() {
        let own = std::env::current_exe().unwrap();
        assert!(is_own(&own));
        assert_eq!(own_executable().unwrap(), own);
        // What the kernel calls an executable that was removed, and what somebody put there.
        let place = tempfile::tempdir().unwrap();
        let named = place.path().join("aiw (deleted)");
        assert!(!is_own(&named));
        std::fs::write(&named, "#!/bin/sh\n").unwrap();
        assert_eq!(is_own(&named), !Path::new(SELF_EXE).exists());
    }
}
