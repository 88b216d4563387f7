//! Versions that can't be made one.

use std::fmt;

/// One of the versions of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentSide {
    /// The file on this machine.
    Mine,
    /// That of a snapshot.
    Theirs,
    /// That from which both come.
    Base,
}

impl fmt::Display for ContentSide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mine => "the file on this machine",
            Self::Theirs => "the file in the snapshot",
            Self::Base => "the file in the last common snapshot",
        })
    }
}

/// Versions of a file that can't be made one. Nothing is changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// A version that can't be read.
    #[error("{side} {problem}")]
    Unreadable {
        /// Which one.
        side: ContentSide,
        /// The end of a sentence about it.
        problem: String,
    },
    /// A result that can't be written into the file.
    #[error("{} {problem}", ContentSide::Mine)]
    Unwritable {
        /// The end of a sentence about the file.
        problem: String,
    },
    /// An edited value that can't be read.
    #[error("the edited value {problem}")]
    InvalidEdit {
        /// The end of a sentence about it.
        problem: String,
    },
}

impl ContentError {
    pub(super) fn unreadable(side: ContentSide) -> impl Fn(String) -> Self {
        move |problem| Self::Unreadable { side, problem }
    }

    pub(super) fn unwritable(problem: String) -> Self {
        Self::Unwritable { problem }
    }

    pub(super) fn invalid_edit(problem: String) -> Self {
        Self::InvalidEdit { problem }
    }
}
