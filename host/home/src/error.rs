//! Why something in `~/.aiw` can't be read or written.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aiw_core::{Diagnostic, ErrorKind, shell_quote_printable};

/// The end of the sentence about a document of a newer aiw.
pub(crate) const NEWER_VERSION_REASON: &str = "a newer aiw wrote it";

/// An error that concerns a file of the home.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Neither `AIW_HOME` nor `HOME` says where the home is.
    #[error("there is no home directory: neither `AIW_HOME` nor `HOME` is set")]
    HomeNotFound,
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
    LegacyProviders {
        /// The document.
        path: PathBuf,
    },
    /// A variable of the environment is wrong.
    #[error("{problem}")]
    InvalidVariable {
        /// A sentence that names it.
        problem: String,
    },
    /// Another process has held the lock for too long.
    #[error("{} is using `{}` and did not finish within {seconds} s", user_of(.pid), .path.display())]
    Busy {
        /// The lock file.
        path: PathBuf,
        /// How long we waited.
        seconds: u64,
        /// The process that holds it, if the system says that.
        pid: Option<u32>,
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

impl Diagnostic for HomeError {
    fn own_kind(&self) -> ErrorKind {
        match self {
            Self::HomeNotFound | Self::Invalid { .. } | Self::LegacyProviders { .. } | Self::InvalidVariable { .. } => {
                ErrorKind::Config
            }
            Self::Io { .. } | Self::Busy { .. } => ErrorKind::Unavailable,
        }
    }

    fn own_hint(&self) -> Option<String> {
        match self {
            Self::HomeNotFound => Some("set `AIW_HOME` to a directory of your own".into()),
            Self::Invalid { path, .. } => Some(format!("fix `{}` by hand, or move it out of the way", path.display())),
            Self::LegacyProviders { .. } => Some("`aiw provider list` upgrades it".into()),
            // A directory, a link or a pipe stands where a file of ours belongs, or a file where a directory does.
            Self::Io { path, source, .. }
                if matches!(source.kind(), io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory)
                    || source.kind() == io::ErrorKind::InvalidInput
                        && fs::symlink_metadata(path).is_ok_and(|meta| !meta.is_file()) =>
            {
                Some(format!("move `{}` out of the way", path.display()))
            }
            Self::Io { source, .. }
                if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) =>
            {
                Some("make room on that disk; `aiw doctor` says how".into())
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                Some("make that disk writable; for files of aiw's own, `AIW_HOME` may name another directory".into())
            }
            _ => None,
        }
    }

    fn own_fix(&self) -> Option<String> {
        Some(match self {
            Self::HomeNotFound => "export AIW_HOME=~/.aiw".into(),
            Self::Io { path, source, .. } => io_fix_command(path, source),
            Self::Invalid { problem, .. } if problem.ends_with(NEWER_VERSION_REASON) => "aiw update".into(),
            Self::Invalid { path, .. } => remedy_of_document(path),
            Self::LegacyProviders { .. } => "aiw provider list".into(),
            Self::InvalidVariable { .. } => "env | grep AIW_".into(),
            Self::Busy { path, .. } => format!("lsof {}", shown_path(path)),
        })
    }
}

fn user_of(pid: &Option<u32>) -> String {
    pid.map_or_else(|| "another aiw".to_owned(), |pid| format!("another aiw, process {pid},"))
}

/// Returns a path as a shell reads it.
fn shown_path(path: &Path) -> Cow<'_, str> {
    match path.to_string_lossy() {
        Cow::Borrowed(path) => shell_quote_printable(path),
        Cow::Owned(path) => Cow::Owned(shell_quote_printable(&path).into_owned()),
    }
}

/// Returns the command that opens a file in the user's editor.
pub fn edit_command(path: &Path) -> String {
    format!("${{EDITOR:-vi}} {}", shown_path(path))
}

/// Returns the command that puts something aside, with all that it holds.
pub fn move_aside_command(path: &Path) -> String {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".aside");
    format!("mv {} {}", shown_path(path), shown_path(Path::new(&aside)))
}

/// Returns the command that mends a document: what is not a file, or what only aiw writes, is put aside.
fn remedy_of_document(path: &Path) -> String {
    let is_file = fs::metadata(path).is_ok_and(|meta| meta.is_file());
    let is_ours = path.extension().is_some_and(|ending| ending == "lock");
    if is_file && !is_ours { edit_command(path) } else { move_aside_command(path) }
}

/// Returns the command that mends what the system refused.
pub fn io_fix_command(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            // What is below a directory that can't be searched can't even be looked at.
            let closed = path.ancestors().filter(|place| fs::symlink_metadata(place).is_ok()).find(|place| {
                *place == path || fs::symlink_metadata(place.join(".")).is_err() || fs::read_dir(place).is_err()
            });
            format!("chmod u+rwX {}", shown_path(closed.unwrap_or(path)))
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "aiw task prune --age 1days --keep 20".into(),
        io::ErrorKind::ReadOnlyFilesystem => "export AIW_HOME=~/.aiw".into(),
        io::ErrorKind::NotFound => {
            format!("mkdir -p {}", shown_path(path.parent().unwrap_or(path)))
        }
        _ => move_aside_command(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_takes_nothing_has_a_next_step() {
        let hint = |kind: io::ErrorKind| HomeError::io("write", Path::new("/x"), kind.into()).hint();
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            assert_eq!(hint(kind).as_deref(), Some("make room on that disk; `aiw doctor` says how"));
        }
        assert!(hint(io::ErrorKind::ReadOnlyFilesystem).is_some_and(|hint| hint.contains("`AIW_HOME`")));
        assert_eq!(hint(io::ErrorKind::NotFound), None);
    }
}
